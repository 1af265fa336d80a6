//! A follower's own entry among the voters: it tells the leader when it has changed, and an observer
//! that may asks to become a voter (KIP-853, KIP-1186).

use super::QuorumMachine;
use super::message::{
    AddVoterRequest, RaftRequest, RaftResponse, UpdateVoterRequest, VoterChangeAnswer,
};
use super::peers::{Channel, Purpose};
use super::role::RoleState;
use crate::types::ErrorCode;

impl QuorumMachine {
    /// Every two fetch timeouts the follower checks whether it has something to ask of the leader.
    pub(super) fn poll_membership(&mut self) {
        let RoleState::Follower(follower) = &self.role else { return };
        let at = follower.membership_at;
        if !self.is_due(at) {
            return self.wake_at(at);
        }
        if let Some(request) = self.membership_request() {
            let Some(to) = self.leader_destination() else { return };
            if let Some(until) = self.peers.busy_until(self.now, to.peer, Channel::Membership) {
                return self.wake_at(until);
            }
            self.send(to, Purpose::Membership, request);
        }
        self.reset_membership_timer();
    }

    fn reset_membership_timer(&mut self) {
        let at = self.now + self.config.fetch_timeout * 2;
        if let RoleState::Follower(follower) = &mut self.role {
            follower.membership_at = at;
            self.wake_at(at);
        }
    }

    /// What to ask of the leader, if anything.
    fn membership_request(&self) -> Option<RaftRequest> {
        let RoleState::Follower(follower) = &self.role else { return None };
        let (voters, local) = (self.history.voters(), &self.config.local);
        let is_dynamic = self.history.kraft_version() >= 1;
        if self.is_voter() {
            let is_needed = if is_dynamic {
                voters.updated(local).is_some()
            } else {
                !follower.has_updated_leader
            };
            return is_needed.then(|| {
                RaftRequest::UpdateVoter(UpdateVoterRequest {
                    epoch: self.election.epoch,
                    voter: local.key,
                    endpoints: local.endpoints.clone(),
                    kraft_versions: local.kraft_versions,
                })
            });
        }
        let may_join = is_dynamic
            && self.config.can_become_voter
            && self.config.auto_join
            && !self.was_removed;
        may_join.then(|| match voters.get(local.key.id) {
            // The disk that voted under this id is gone.
            Some(old) => RaftRequest::RemoveVoter(old.key),
            None => RaftRequest::AddVoter(AddVoterRequest {
                voter: local.key,
                endpoints: local.endpoints.clone(),
                ack_when_committed: false,
            }),
        })
    }

    pub(super) fn on_membership_response(&mut self, response: RaftResponse) -> bool {
        match response {
            RaftResponse::AddVoter(VoterChangeAnswer { error, message })
            | RaftResponse::RemoveVoter(VoterChangeAnswer { error, message }) => {
                self.reset_membership_timer();
                let is_expected = matches!(
                    error,
                    ErrorCode::None
                        | ErrorCode::RequestTimedOut
                        | ErrorCode::DuplicateVoter
                        | ErrorCode::VoterNotFound
                );
                if !is_expected {
                    tracing::warn!(?error, message, "the leader refuses this node as a voter");
                }
                is_expected
            }
            RaftResponse::UpdateVoter { error, view } => {
                if let Some(is_handled) = self.observe(error, view) {
                    return is_handled;
                }
                if !matches!(error, ErrorCode::None | ErrorCode::UnsupportedVersion) {
                    tracing::info!(?error, "the leader has not updated this voter, trying later");
                    return false;
                }
                if let RoleState::Follower(follower) = &mut self.role {
                    follower.has_updated_leader = true;
                }
                self.fetch_succeeded()
            }
            response => {
                tracing::error!(?response, "response of another kind than the request");
                false
            }
        }
    }
}
