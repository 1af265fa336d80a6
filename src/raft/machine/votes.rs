//! Votes and pre-votes (KIP-595, KIP-996): who gets one, and what an election comes to.

use super::super::log_summary::LogPosition;
use super::super::quorum_state::ElectionState;
use super::super::voters::ReplicaKey;
use super::contract::{PeerId, ReplyToken};
use super::epochs::unexpected;
use super::faults::planted;
use super::message::{RaftRequest, RaftResponse, VoteRequest};
use super::peers::{Channel, Purpose};
use super::role::{RoleKind, RoleState, Unattached};
use super::{LeaderView, QuorumMachine};
use crate::types::{BrokerId, ErrorCode};

impl QuorumMachine {
    /// The checks are Kafka's, in its order. Whether the candidate votes is not among them: this
    /// replica's voter set may be behind, and a reconfiguration must not deadlock.
    pub(super) fn on_vote(&mut self, token: ReplyToken, request: &VoteRequest) {
        let (error, granted) = match self.judge_vote(request) {
            Ok(granted) => (ErrorCode::None, granted),
            Err(error) => (error, false),
        };
        let view = self.view();
        self.reply(token, RaftResponse::Vote { error, view, granted });
    }

    fn judge_vote(&mut self, request: &VoteRequest) -> Result<bool, ErrorCode> {
        let VoteRequest { voter, epoch, candidate, log_end, pre_vote } = *request;
        let has_legal_epoch = if pre_vote { log_end.epoch <= epoch } else { log_end.epoch < epoch };
        if log_end.offset < 0 || log_end.epoch < 0 || !has_legal_epoch {
            return Err(ErrorCode::InvalidRequest);
        }
        self.check_voter_request(candidate.id, epoch)?;
        if epoch > self.election.epoch {
            self.become_unattached(epoch, None);
        }
        if !self.is_me(voter) {
            tracing::info!(?candidate, ?voter, me = %self.me(), "vote request for another voter");
            return Err(ErrorCode::InvalidVoterKey);
        }
        let granted = self.can_grant(candidate, log_end, pre_vote);
        if granted && !pre_vote {
            self.record_vote(candidate);
        }
        Ok(granted)
    }

    fn can_grant(&self, candidate: ReplicaKey, log_end: LogPosition, pre_vote: bool) -> bool {
        let is_up_to_date = log_end >= self.log.end() || planted!(self, VoteIgnoresLog);
        if candidate.id == self.me().id {
            tracing::error!(%candidate, "another process with this node's id stands for election");
            return false;
        }
        if pre_vote {
            return is_up_to_date
                && match &self.role {
                    RoleState::Leader(_) => false,
                    RoleState::Follower(follower) => !follower.has_live_leader,
                    RoleState::Unattached(_)
                    | RoleState::Prospective(_)
                    | RoleState::Candidate(_)
                    | RoleState::Resigned(_) => true,
                };
        }
        if !matches!(self.role.kind(), RoleKind::Unattached | RoleKind::Prospective) {
            return false;
        }
        match self.election.voted {
            Some(voted) if !planted!(self, VoteGivenTwice) => {
                voted.id == candidate.id
                    && (voted.directory.is_none() || voted.directory == candidate.directory)
            }
            _ => self.election.leader.is_none() && is_up_to_date,
        }
    }

    fn record_vote(&mut self, candidate: ReplicaKey) {
        if self.election.voted.is_some() && !planted!(self, VoteGivenTwice) {
            return;
        }
        let voted = ElectionState { voted: Some(candidate), ..self.election.clone() };
        if planted!(self, VoteNotPersisted) {
            self.election = voted;
        } else {
            self.persist(voted);
        }
        match self.role.kind() {
            RoleKind::Prospective => self.restart_prospective(),
            _ => {
                let election_at = self.election_deadline();
                self.role = RoleState::Unattached(Unattached { election_at });
            }
        }
    }

    /// The checks that Vote, BeginQuorumEpoch and EndQuorumEpoch have in common.
    pub(super) fn check_voter_request(
        &self,
        sender: BrokerId,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        if epoch < self.election.epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else if sender < 0 {
            Err(ErrorCode::InvalidRequest)
        } else {
            Ok(())
        }
    }

    /// Whether a request is meant for this replica; an older version does not say.
    pub(super) fn is_me(&self, voter: Option<ReplicaKey>) -> bool {
        let me = self.me();
        voter.is_none_or(|key| {
            key.id == me.id && (key.directory.is_none() || key.directory == me.directory)
        })
    }

    /// An answer counts only for the election that asked.
    pub(super) fn on_vote_response(
        &mut self,
        peer: PeerId,
        asked: (i32, bool),
        error: ErrorCode,
        view: LeaderView,
        granted: bool,
    ) -> bool {
        if let Some(is_handled) = self.observe(error, view) {
            return is_handled;
        }
        if !error.is_none() {
            return unexpected("Vote", error);
        }
        let (epoch, pre_vote) = asked;
        let PeerId::Node(voter) = peer else { return true };
        if epoch != self.election.epoch {
            return true;
        }
        match &mut self.role {
            RoleState::Prospective(prospective) if pre_vote => {
                prospective.tally.record(voter, granted);
                if prospective.tally.is_rejected() {
                    self.lose_pre_vote();
                } else {
                    self.stand_if_granted();
                }
            }
            RoleState::Candidate(candidate) if !pre_vote => {
                // A lost election waits its timeout out.
                candidate.tally.record(voter, granted);
                self.win_if_granted();
            }
            _ => {}
        }
        true
    }

    /// A peer that does not know pre-votes would never let this node past them.
    pub(super) fn on_pre_vote_unsupported(&mut self) {
        if self.role.kind() == RoleKind::Prospective && self.has_next_epoch() {
            tracing::info!("a voter does not support pre-votes, standing for election");
            self.become_candidate();
        }
    }

    pub(super) fn stand_if_granted(&mut self) {
        let RoleState::Prospective(prospective) = &self.role else { return };
        if prospective.tally.is_granted() && self.has_next_epoch() {
            self.become_candidate();
        }
    }

    pub(super) fn win_if_granted(&mut self) {
        let RoleState::Candidate(candidate) = &self.role else { return };
        if candidate.tally.is_granted() && self.is_voter() {
            self.become_leader();
        }
    }

    /// Whether epochs have not run out: a peer may claim any.
    pub(super) fn has_next_epoch(&self) -> bool {
        let has_next = self.election.epoch < i32::MAX;
        if !has_next {
            tracing::error!("epoch {} has no successor: no election is possible", i32::MAX);
        }
        has_next
    }

    /// Back to the leader of the epoch, if one was known.
    fn lose_pre_vote(&mut self) {
        let LeaderView { epoch, leader, endpoints } = self.view();
        match leader {
            Some(leader) if leader != self.me().id && !endpoints.is_empty() => {
                self.become_follower(epoch, leader, endpoints);
            }
            _ => self.become_unattached(epoch, leader),
        }
    }

    pub(super) fn poll_nominee(&mut self) -> bool {
        let (tally, election_at, pre_vote) = match &self.role {
            RoleState::Prospective(state) => (&state.tally, state.election_at, true),
            RoleState::Candidate(state) => (&state.tally, state.election_at, false),
            _ => return false,
        };
        if self.is_stopping {
            return false;
        }
        let unanswered = if tally.is_rejected() { Vec::new() } else { tally.unanswered() };
        if self.is_due(election_at) {
            if pre_vote || !self.is_voter() {
                self.lose_election();
            } else {
                self.become_prospective();
            }
            return true;
        }
        self.wake_at(election_at);
        for voter in unanswered {
            self.request_vote(voter, pre_vote);
        }
        false
    }

    fn lose_election(&mut self) {
        if self.role.kind() == RoleKind::Prospective {
            self.lose_pre_vote();
        } else if self.has_next_epoch() {
            // A candidate that was removed from the voters meanwhile.
            self.become_unattached(self.election.epoch + 1, None);
        }
    }

    fn request_vote(&mut self, voter: ReplicaKey, pre_vote: bool) {
        let Some(to) = self.voter_destination(voter.id) else { return };
        if let Some(until) = self.peers.busy_until(self.now, to.peer, Channel::Replication) {
            return self.wake_at(until);
        }
        let mut epoch = self.election.epoch;
        if pre_vote && planted!(self, PreVoteRaisesEpoch) {
            epoch += 1;
        }
        let (candidate, log_end) = (self.me(), self.log.end());
        // A JVM voter answers INVALID_REQUEST otherwise, which ends a JVM candidate.
        let is_legal = if pre_vote { log_end.epoch <= epoch } else { log_end.epoch < epoch };
        assert!(is_legal, "candidate of epoch {epoch} with a log of {log_end:?}");
        let request = VoteRequest { voter: Some(voter), epoch, candidate, log_end, pre_vote };
        let purpose = Purpose::Vote { epoch: self.election.epoch, pre_vote };
        self.send(to, purpose, RaftRequest::Vote(request));
        self.wake_at(self.now + self.config.request_timeout);
    }

    pub(super) fn poll_unattached(&mut self) -> bool {
        let RoleState::Unattached(unattached) = &self.role else { return false };
        if self.is_stopping {
            return false;
        }
        if self.is_voter() {
            let election_at = unattached.election_at.or_else(|| self.election_deadline());
            self.role = RoleState::Unattached(Unattached { election_at });
            if let Some(at) = election_at {
                if self.is_due(at) {
                    self.become_prospective();
                    return true;
                }
                self.wake_at(at);
            }
        }
        self.fetch_from_bootstrap();
        false
    }
}
