//! How a replica learns of leaders and epochs: the dispatch of requests and responses, the rules that
//! all responses share, BeginQuorumEpoch and EndQuorumEpoch.

use std::time::Duration;

use super::super::voters::VoterEndpoint;
use super::contract::{PeerId, ReplyToken, RequestId, SendFailure};
use super::message::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, LeaderView, RaftRequest, RaftResponse,
    RequestHead, RequestTarget,
};
use super::peers::{Channel, Purpose};
use super::role::RoleState;
use super::{QuorumMachine, ReplicaKey};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch};

impl QuorumMachine {
    /// Cluster, then partition, then the request itself.
    pub(super) fn on_request(
        &mut self,
        token: ReplyToken,
        head: &RequestHead,
        request: RaftRequest,
    ) {
        let is_other_cluster =
            head.cluster_id.as_ref().is_some_and(|id| *id != self.config.cluster_id);
        let is_metadata_log = head.target == RequestTarget::MetadataLog;
        let rejected = |error| RaftResponse::Rejected(error);
        match request {
            RaftRequest::ApiVersions => {
                let kraft_versions = Some(self.config.local.kraft_versions);
                let error = ErrorCode::None;
                self.reply(token, RaftResponse::ApiVersions { error, kraft_versions });
            }
            RaftRequest::DescribeQuorum => self.on_describe(token, is_metadata_log),
            RaftRequest::AddVoter(_)
            | RaftRequest::RemoveVoter(_)
            | RaftRequest::UpdateVoter(_) => {
                let other = head.cluster_id.clone().filter(|_| is_other_cluster);
                self.on_voter_change(token, other, request);
            }
            _ if is_other_cluster => self.reply(token, rejected(ErrorCode::InconsistentClusterId)),
            RaftRequest::FetchSnapshot(request) => match head.target {
                RequestTarget::Malformed => self.reply(token, rejected(ErrorCode::InvalidRequest)),
                target => self.on_fetch_snapshot(token, target, &request),
            },
            _ if !is_metadata_log => self.reply(token, rejected(ErrorCode::InvalidRequest)),
            RaftRequest::Vote(request) => self.on_vote(token, &request),
            RaftRequest::BeginQuorumEpoch(request) => self.on_begin_epoch(token, request),
            RaftRequest::EndQuorumEpoch(request) => self.on_end_epoch(token, request),
            RaftRequest::Fetch(request) => self.on_fetch(token, request),
        }
    }

    /// Only the answer to a request that is still in flight counts. A peer whose answer does not help
    /// is left alone for the retry back-off.
    pub(super) fn on_response(&mut self, id: RequestId, response: RaftResponse) {
        let Some((peer, purpose)) = self.peers.complete(id) else { return };
        let is_handled = match (purpose, response) {
            (
                Purpose::Vote { pre_vote: true, .. },
                RaftResponse::Rejected(ErrorCode::UnsupportedVersion),
            ) => {
                self.on_pre_vote_unsupported();
                true
            }
            (Purpose::Probe, response) => self.on_probe_response(peer, &response),
            (_, RaftResponse::Rejected(error)) => unexpected("request", error),
            (Purpose::Vote { epoch, pre_vote }, RaftResponse::Vote { error, view, granted }) => {
                self.on_vote_response(peer, (epoch, pre_vote), error, view, granted)
            }
            (Purpose::BeginQuorumEpoch, RaftResponse::BeginQuorumEpoch { error, view }) => {
                match self.observe(error, view) {
                    Some(is_handled) => is_handled,
                    None => error.is_none() || unexpected("BeginQuorumEpoch", error),
                }
            }
            (Purpose::EndQuorumEpoch, RaftResponse::EndQuorumEpoch { error, view }) => {
                self.on_end_epoch_response(peer, error, view)
            }
            (Purpose::Fetch, RaftResponse::Fetch(response)) => {
                self.on_fetch_response(peer, response)
            }
            (Purpose::FetchSnapshot, RaftResponse::FetchSnapshot(response)) => {
                self.on_fetch_snapshot_response(response)
            }
            (Purpose::Membership, response) => self.on_membership_response(response),
            (purpose, response) => {
                tracing::error!(?purpose, ?response, "response of another kind than the request");
                false
            }
        };
        if !is_handled {
            self.peers.back_off(self.now, peer, purpose);
        }
    }

    pub(super) fn on_failure(&mut self, id: RequestId, failure: SendFailure) {
        let Some((peer, purpose)) = self.peers.complete(id) else { return };
        match (purpose, failure) {
            (Purpose::Vote { pre_vote: true, .. }, SendFailure::UnsupportedVersion) => {
                self.on_pre_vote_unsupported();
            }
            (Purpose::Probe, _) => self.on_probe_failed(peer),
            _ => {}
        }
        self.peers.back_off(self.now, peer, purpose);
    }

    /// Learns leader and epoch from the answer of a partition. Returns whether the answer
    /// helped, if there is nothing more to it; `None` if it is of this epoch and is to be acted on.
    pub(super) fn observe(&mut self, error: ErrorCode, view: LeaderView) -> Option<bool> {
        let LeaderView { epoch, leader, endpoints } = view;
        self.correct_leader_address(error, epoch, leader, &endpoints);
        let endpoints = leader.map(|id| self.leader_endpoints(id, endpoints)).unwrap_or_default();
        if epoch < self.election.epoch || error == ErrorCode::UnknownLeaderEpoch {
            return Some(false);
        }
        if self.contradicts(epoch, leader) {
            return Some(false);
        }
        let is_fenced =
            matches!(error, ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower);
        if epoch > self.election.epoch || is_fenced {
            return Some(self.adopt(epoch, leader, endpoints));
        }
        if leader.is_some() && self.adopt(epoch, leader, endpoints) && !error.is_none() {
            return Some(true);
        }
        match error {
            ErrorCode::BrokerNotAvailable => Some(false),
            ErrorCode::InvalidVoterKey => {
                tracing::info!("a voter has another directory than this node knows");
                Some(false)
            }
            ErrorCode::InvalidRequest => Some(unexpected("request", error)),
            _ => None,
        }
    }

    /// The addresses of a leader: those in the message, or those recorded for the voter.
    fn leader_endpoints(&self, leader: BrokerId, sent: Vec<VoterEndpoint>) -> Vec<VoterEndpoint> {
        if self.config.address(&sent).is_some() {
            return sent;
        }
        self.history.voters().get(leader).map(|voter| voter.endpoints.clone()).unwrap_or_default()
    }

    /// Takes another address of the leader that is followed: from the leader itself, or from any
    /// peer while the leader cannot be reached at the address that is known. Recorded addresses are
    /// out of date until a leader that has moved records its own.
    fn correct_leader_address(
        &mut self,
        error: ErrorCode,
        epoch: LeaderEpoch,
        leader: Option<BrokerId>,
        sent: &[VoterEndpoint],
    ) {
        let RoleState::Follower(follower) = &mut self.role else { return };
        if epoch != self.election.epoch || leader != Some(follower.leader) {
            return;
        }
        let (peer, channel) = (PeerId::Node(follower.leader), Channel::Replication);
        let is_unreachable = self.peers.is_backing_off(self.now, peer, channel)
            || self.peers.has_timed_out(self.now, peer, channel);
        let address = self.config.address(sent);
        let is_other = address.is_some() && address != self.config.address(&follower.endpoints);
        if is_other && (error.is_none() || is_unreachable) {
            follower.endpoints = sent.to_vec();
            self.peers.forget(peer, channel);
        }
    }

    /// Enters an epoch, or follows its leader, if that is news. Returns whether it was.
    fn adopt(
        &mut self,
        epoch: LeaderEpoch,
        leader: Option<BrokerId>,
        endpoints: Vec<VoterEndpoint>,
    ) -> bool {
        if self.contradicts(epoch, leader) {
            return false;
        }
        let is_later = epoch > self.election.epoch;
        let known = self.election.leader.filter(|_| !is_later);
        let is_reachable = self.config.address(&endpoints).is_some();
        match leader {
            Some(leader) if leader == self.me().id => false,
            Some(leader) if is_reachable => {
                let is_news =
                    is_later || known.is_none() || endpoints.len() > self.view().endpoints.len();
                if is_news {
                    self.become_follower(epoch, leader, endpoints);
                }
                is_news
            }
            _ if is_later => {
                self.become_unattached(epoch, leader);
                true
            }
            _ => false,
        }
    }

    /// Whether a peer names a leader that cannot be. A JVM process ends on such a message.
    fn contradicts(&self, epoch: LeaderEpoch, leader: Option<BrokerId>) -> bool {
        let Some(leader) = leader else { return false };
        let is_me = leader == self.me().id;
        let known = self.election.leader.filter(|_| epoch == self.election.epoch);
        let holds = if is_me { known == Some(leader) } else { known.is_none_or(|it| it == leader) };
        if !holds {
            tracing::error!(
                epoch,
                leader,
                own_epoch = self.election.epoch,
                ?known,
                "not the leader"
            );
        }
        !holds
    }

    fn on_begin_epoch(&mut self, token: ReplyToken, request: BeginQuorumEpochRequest) {
        let BeginQuorumEpochRequest { voter, leader, epoch, endpoints } = request;
        let error = match self.check_voter_request(leader, epoch) {
            Err(error) => error,
            Ok(()) => {
                let endpoints = self.leader_endpoints(leader, endpoints);
                self.adopt(epoch, Some(leader), endpoints);
                if self.is_me(voter) { ErrorCode::None } else { ErrorCode::InvalidVoterKey }
            }
        };
        let view = self.view();
        self.reply(token, RaftResponse::BeginQuorumEpoch { error, view });
    }

    /// The successors stand for election one after the other, all other voters after them.
    fn on_end_epoch(&mut self, token: ReplyToken, request: EndQuorumEpochRequest) {
        let EndQuorumEpochRequest { leader, epoch, successors, endpoints } = request;
        let error = match self.check_voter_request(leader, epoch) {
            Err(error) => error,
            Ok(()) => {
                let endpoints = self.leader_endpoints(leader, endpoints);
                self.adopt(epoch, Some(leader), endpoints);
                let back_off = self.successor_back_off(&successors);
                let at = self.now + back_off;
                if let RoleState::Follower(follower) = &mut self.role
                    && follower.leader == leader
                {
                    follower.fetch_timeout_at = at;
                    follower.has_live_leader = false;
                }
                ErrorCode::None
            }
        };
        let view = self.view();
        self.reply(token, RaftResponse::EndQuorumEpoch { error, view });
    }

    /// How long to wait before standing for election: nothing for the first successor, then an
    /// exponential share of the largest back-off, all of it for a voter that is not named.
    fn successor_back_off(&self, successors: &[ReplicaKey]) -> Duration {
        let most = self.config.election_backoff_max;
        match successors.iter().position(|key| self.is_me(Some(*key))) {
            Some(0) => Duration::ZERO,
            Some(position) => {
                let halvings = u32::try_from(successors.len() - position).unwrap_or(u32::MAX);
                most / 2_u32.checked_pow(halvings).unwrap_or(u32::MAX)
            }
            None => most,
        }
    }

    fn on_end_epoch_response(&mut self, peer: PeerId, error: ErrorCode, view: LeaderView) -> bool {
        if let Some(is_handled) = self.observe(error, view) {
            return is_handled;
        }
        if !error.is_none() {
            return unexpected("EndQuorumEpoch", error);
        }
        if let (RoleState::Resigned(resigned), PeerId::Node(voter)) = (&mut self.role, peer) {
            resigned.unacknowledged.remove(&voter);
        }
        true
    }

    pub(super) fn on_resign(&mut self, epoch: LeaderEpoch) {
        if epoch == self.election.epoch
            && let RoleState::Leader(leader) = &mut self.role
        {
            leader.resign_requested = true;
        }
    }

    /// The leader's timers: check-quorum, the pending change of voters, parked fetches, and
    /// BeginQuorumEpoch to voters that do not fetch.
    pub(super) fn poll_leader(&mut self) -> bool {
        let RoleState::Leader(leader) = &mut self.role else { return false };
        let has_lost_quorum = leader.check_quorum_at().is_some_and(|at| at <= self.now);
        if has_lost_quorum {
            let within = self.config.fetch_timeout * 3 / 2;
            tracing::info!(
                epoch = self.election.epoch,
                ?within,
                "no majority of voters has fetched"
            );
        }
        if has_lost_quorum || leader.resign_requested || self.is_stopping {
            self.become_resigned();
            return true;
        }
        if let Some(at) = leader.check_quorum_at() {
            self.wake_at(at);
        }
        self.expire_voter_change();
        self.expire_parked();
        self.begin_epochs();
        false
    }

    fn begin_epochs(&mut self) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        let interval = self.config.fetch_timeout / 2;
        if leader.begin_epoch_at > self.now {
            let at = leader.begin_epoch_at;
            return self.wake_at(at);
        }
        leader.begin_epoch_at = self.now + interval;
        let at = leader.begin_epoch_at;
        let endpoints = leader.local.endpoints.clone();
        for voter in leader.silent_voters(self.now, interval) {
            let Some(to) = self.voter_destination(voter.id) else { continue };
            if self.peers.busy_until(self.now, to.peer, Channel::Replication).is_none() {
                let (leader, epoch) = (self.me().id, self.election.epoch);
                let endpoints = endpoints.clone();
                let request =
                    BeginQuorumEpochRequest { voter: Some(voter), leader, epoch, endpoints };
                let request = RaftRequest::BeginQuorumEpoch(request);
                self.send(to, Purpose::BeginQuorumEpoch, request);
            }
        }
        self.wake_at(at);
    }

    pub(super) fn poll_resigned(&mut self) -> bool {
        let RoleState::Resigned(resigned) = &self.role else { return false };
        let (election_at, successors) = (resigned.election_at, resigned.successors.clone());
        let unacknowledged: Vec<BrokerId> = resigned.unacknowledged.iter().copied().collect();
        if !self.is_stopping && self.has_next_epoch() {
            if self.is_due(election_at) {
                self.become_unattached(self.election.epoch + 1, None);
                return true;
            }
            self.wake_at(election_at);
        }
        for voter in unacknowledged {
            let Some(to) = self.voter_destination(voter) else { continue };
            if let Some(until) = self.peers.busy_until(self.now, to.peer, Channel::Replication) {
                self.wake_at(until);
                continue;
            }
            let (leader, epoch) = (self.me().id, self.election.epoch);
            let (successors, endpoints) = (successors.clone(), self.config.local.endpoints.clone());
            let request = EndQuorumEpochRequest { leader, epoch, successors, endpoints };
            self.send(to, Purpose::EndQuorumEpoch, RaftRequest::EndQuorumEpoch(request));
            self.wake_at(self.now + self.config.request_timeout);
        }
        false
    }
}

/// Logs an error that no rule of the protocol explains. Always false: the peer is left alone for the
/// retry back-off.
pub(super) fn unexpected(what: &str, error: ErrorCode) -> bool {
    tracing::error!(?error, "unexpected error in the answer to {what}");
    false
}
