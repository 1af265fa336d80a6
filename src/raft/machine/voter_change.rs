//! A change of voters, from the request to its answer.

use super::super::voters::Voter;
use super::contract::{RaftEffect, ReplyToken};
use super::message::{LeaderView, RaftResponse, VoterChangeAnswer};
use crate::types::{ErrorCode, Mono, Offset};

/// A change of voters that is under way.
#[derive(Clone, Debug)]
pub(super) struct VoterChange {
    pub(super) kind: ChangeKind,
    /// The caller, until it is answered.
    pub(super) token: Option<ReplyToken>,
    /// The offset of the Voters record; `None` while the address is probed.
    pub(super) offset: Option<Offset>,
    pub(super) expires: Mono,
}

#[derive(Clone, Debug)]
pub(super) enum ChangeKind {
    Add { voter: Voter, ack_when_committed: bool },
    Remove,
    Update { voter: Voter },
}

impl ChangeKind {
    pub(super) fn response(
        &self,
        error: ErrorCode,
        message: Option<String>,
        view: &LeaderView,
    ) -> RaftResponse {
        match self {
            Self::Add { .. } => RaftResponse::AddVoter(VoterChangeAnswer { error, message }),
            Self::Remove => RaftResponse::RemoveVoter(VoterChangeAnswer { error, message }),
            Self::Update { .. } => RaftResponse::UpdateVoter { error, view: view.clone() },
        }
    }
}

impl VoterChange {
    /// The answer to the caller, if it still waits for one.
    pub(super) fn answer(
        self,
        error: ErrorCode,
        message: Option<String>,
        view: &LeaderView,
    ) -> Option<RaftEffect> {
        let response = self.kind.response(error, message, view);
        self.token.map(|token| RaftEffect::Reply { token, response })
    }

    /// The voter whose address is being probed.
    pub(super) fn probed(&self) -> Option<&Voter> {
        match &self.kind {
            ChangeKind::Add { voter, .. } | ChangeKind::Update { voter }
                if self.offset.is_none() =>
            {
                Some(voter)
            }
            _ => None,
        }
    }
}
