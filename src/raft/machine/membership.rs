//! The leader's side of changes of voters, one at a time (KIP-853; Kafka 4.4 `AddVoterHandler`,
//! `RemoveVoterHandler`, `UpdateVoterHandler`, `KRaftVersionUpgrade`).
//!
//! A change is asked for, for Add and Update the address is probed, a Voters record is appended, and
//! the change ends when that record is committed, by a majority of the *new* set.

use super::super::voters::{ReplicaKey, Voter, VoterSet};
use super::contract::{Destination, PeerId, RaftEffect, ReplyToken};
use super::faults::planted;
use super::message::{AddVoterRequest, RaftRequest, RaftResponse, UpdateVoterRequest};
use super::peers::{Channel, Purpose};
use super::role::RoleState;
use super::voter_change::{ChangeKind, VoterChange};
use super::{ControlRecord, QuorumMachine};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

/// Why the voters are not changed. The messages are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterChangeError {
    /// The request is for another cluster.
    #[error("The given id \"{given}\" doesn't match the cluster id \"{own}\"")]
    OtherCluster {
        /// The cluster that the caller means.
        given: String,
        /// This cluster.
        own: String,
    },
    /// This node does not lead, or is stopping.
    #[error("not the leader")]
    NotLeader(ErrorCode),
    /// The directory is missing, or the versions make no range.
    #[error("{0} voter request didn't include a valid voter")]
    InvalidVoter(&'static str),
    /// The voter has no address on the listener that replicas dial.
    #[error("Add voter request didn't include the endpoint for the default listener {0}")]
    NoEndpoint(String),
    /// Another change is under way.
    #[error("Request timed out waiting for leader to handle previous voter change request")]
    Pending,
    /// Nothing of this epoch is committed yet.
    #[error(
        "Request timed out waiting for leader to establish HWM and fence previous voter changes"
    )]
    NoHighWatermark,
    /// Voters are static.
    #[error("Cluster doesn't support {0} voter because the kraft.version feature is {1}")]
    StaticVoters(&'static str, i16),
    /// The last change is not committed yet.
    #[error(
        "Request timed out waiting for voters to commit the latest voter change at {at:?} with HWM {high_watermark}"
    )]
    Uncommitted {
        /// The offset of the last change.
        at: Option<Offset>,
        /// The high watermark.
        high_watermark: Offset,
    },
    /// The id votes already.
    #[error("The voter id for {0} is already part of the set of voters {1}.")]
    Duplicate(ReplicaKey, VoterSet),
    /// No such voter, or the last one.
    #[error("Cannot remove voter {0} from the set of voters {1}")]
    NotFound(ReplicaKey, VoterSet),
    /// The leader is asking this address already.
    #[error("New voter {0} is not ready to receive requests")]
    NotReady(ReplicaKey),
    /// The address does not answer.
    #[error("Aborted add voter operation for {0} since API_VERSIONS returned an error")]
    Unreachable(ReplicaKey),
    /// The voter does not support the quorum's version.
    #[error(
        "Aborted add voter operation for {voter} since the kraft.version range {range:?} doesn't support the finalized version {finalized}"
    )]
    Version {
        /// The voter.
        voter: ReplicaKey,
        /// The versions it supports.
        range: (i16, i16),
        /// The version of the quorum.
        finalized: i16,
    },
    /// The voter has not fetched everything yet.
    #[error("Aborted add voter operation for {0} since it is lagging behind")]
    Lagging(ReplicaKey),
}

impl VoterChangeError {
    /// Kafka's error code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OtherCluster { .. } => ErrorCode::InconsistentClusterId,
            Self::NotLeader(code) => *code,
            Self::InvalidVoter(_) | Self::NoEndpoint(_) | Self::Version { .. } => {
                ErrorCode::InvalidRequest
            }
            Self::Pending
            | Self::NoHighWatermark
            | Self::Uncommitted { .. }
            | Self::NotReady(_)
            | Self::Unreachable(_)
            | Self::Lagging(_) => ErrorCode::RequestTimedOut,
            Self::StaticVoters(..) => ErrorCode::UnsupportedVersion,
            Self::Duplicate(..) => ErrorCode::DuplicateVoter,
            Self::NotFound(..) => ErrorCode::VoterNotFound,
        }
    }
}

impl QuorumMachine {
    pub(super) fn on_voter_change(
        &mut self,
        token: ReplyToken,
        other_cluster: Option<String>,
        request: RaftRequest,
    ) {
        let epoch = match &request {
            RaftRequest::UpdateVoter(request) => request.epoch,
            _ => self.election.epoch,
        };
        let checked = self.check_change(other_cluster, epoch);
        let (kind, outcome) = match request {
            RaftRequest::AddVoter(AddVoterRequest { voter, endpoints, ack_when_committed }) => {
                let voter = Voter { key: voter, endpoints, kraft_versions: (0, 0) };
                let outcome = checked.and_then(|()| self.add_voter(&voter));
                (ChangeKind::Add { voter, ack_when_committed }, outcome)
            }
            RaftRequest::RemoveVoter(key) => {
                let outcome = checked.and_then(|()| self.remove_voter(key));
                (ChangeKind::Remove, outcome)
            }
            RaftRequest::UpdateVoter(request) => {
                let UpdateVoterRequest { voter, endpoints, kraft_versions, .. } = request;
                let voter = Voter { key: voter, endpoints, kraft_versions };
                let outcome = checked.and_then(|()| self.update_voter(&voter));
                (ChangeKind::Update { voter }, outcome)
            }
            _ => return,
        };
        self.begin_change(token, kind, outcome);
    }

    /// Begins a change, with its record if it needs no probe, or answers why it cannot begin.
    fn begin_change(
        &mut self,
        token: ReplyToken,
        kind: ChangeKind,
        outcome: Result<Option<ControlRecord>, VoterChangeError>,
    ) {
        let expires = self.now + self.config.request_timeout;
        let record = match outcome {
            Ok(record) => record,
            Err(error) => {
                let message =
                    (!matches!(error, VoterChangeError::NotLeader(_))).then(|| error.to_string());
                let response = kind.response(error.code(), message, &self.view());
                return self.reply(token, response);
            }
        };
        let change = VoterChange { kind, token: Some(token), offset: None, expires };
        self.set_change(change);
        if let Some(record) = record {
            self.append_change(record);
        }
    }

    fn set_change(&mut self, change: VoterChange) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        assert!(
            leader.change.is_none() || planted!(self, VoterChangeBeforeOwnCommit),
            "two changes of voters at once"
        );
        leader.change = Some(change);
    }

    /// Appends the Voters record of the pending change.
    fn append_change(&mut self, record: ControlRecord) {
        let end = self.log.end().offset;
        if let RoleState::Leader(leader) = &mut self.role
            && let Some(change) = &mut leader.change
        {
            change.offset = Some(end);
        }
        self.append_control(vec![record]);
    }

    fn check_change(
        &self,
        other_cluster: Option<String>,
        epoch: LeaderEpoch,
    ) -> Result<(), VoterChangeError> {
        if let Some(given) = other_cluster {
            let own = self.config.cluster_id.clone();
            return Err(VoterChangeError::OtherCluster { given, own });
        }
        self.check_leader_request(epoch).map_err(VoterChangeError::NotLeader)
    }

    /// No other change is under way, and a record of this epoch is committed. Returns the high
    /// watermark.
    fn check_no_change(&mut self) -> Result<Offset, VoterChangeError> {
        self.expire_voter_change();
        let RoleState::Leader(leader) = &self.role else {
            return Err(VoterChangeError::NotLeader(ErrorCode::NotLeaderOrFollower));
        };
        if planted!(self, VoterChangeBeforeOwnCommit) {
            return Ok(leader.high_watermark.unwrap_or(0));
        }
        if leader.change.is_some() {
            return Err(VoterChangeError::Pending);
        }
        leader.high_watermark.ok_or(VoterChangeError::NoHighWatermark)
    }

    /// Voters are dynamic, and the last change of them is committed.
    fn check_reconfigurable(
        &self,
        what: &'static str,
        high_watermark: Offset,
    ) -> Result<(), VoterChangeError> {
        let kraft_version = self.history.kraft_version();
        if kraft_version < 1 {
            return Err(VoterChangeError::StaticVoters(what, kraft_version));
        }
        let at = self.history.voters_offset();
        if at.is_none_or(|at| at >= high_watermark) && !planted!(self, VoterChangeBeforeOwnCommit) {
            return Err(VoterChangeError::Uncommitted { at, high_watermark });
        }
        Ok(())
    }

    fn add_voter(&mut self, voter: &Voter) -> Result<Option<ControlRecord>, VoterChangeError> {
        if voter.key.directory.is_none() {
            return Err(VoterChangeError::InvalidVoter("Add"));
        }
        let Some(address) = self.config.address(&voter.endpoints) else {
            return Err(VoterChangeError::NoEndpoint(self.config.listener.clone()));
        };
        let high_watermark = self.check_no_change()?;
        self.check_reconfigurable("adding", high_watermark)?;
        let voters = self.history.voters();
        if voters.get(voter.key.id).is_some() {
            return Err(VoterChangeError::Duplicate(voter.key, voters.clone()));
        }
        self.probe(voter.key, address)?;
        Ok(None)
    }

    fn remove_voter(&mut self, key: ReplicaKey) -> Result<Option<ControlRecord>, VoterChangeError> {
        if key.directory.is_none() {
            return Err(VoterChangeError::InvalidVoter("Remove"));
        }
        let high_watermark = self.check_no_change()?;
        self.check_reconfigurable("removing", high_watermark)?;
        let voters = self.history.voters();
        let left = voters.without(key);
        left.map(|left| Some(ControlRecord::Voters(left)))
            .ok_or_else(|| VoterChangeError::NotFound(key, voters.clone()))
    }

    fn update_voter(&mut self, voter: &Voter) -> Result<Option<ControlRecord>, VoterChangeError> {
        let (min, max) = voter.kraft_versions;
        let is_valid = voter.key.directory.is_some() && min >= 0 && min <= max;
        // Nobody but the leader knows how the leader is reached.
        if !is_valid || voter.key.id == self.me().id {
            return Err(VoterChangeError::InvalidVoter("Update"));
        }
        self.check_no_change()?;
        let Some(address) = self.config.address(&voter.endpoints) else {
            return Err(VoterChangeError::NoEndpoint(self.config.listener.clone()));
        };
        self.probe(voter.key, address)?;
        Ok(None)
    }

    /// Asks the address of a voter, before it is believed, which versions it supports.
    fn probe(
        &mut self,
        voter: ReplicaKey,
        (host, port): (String, u16),
    ) -> Result<(), VoterChangeError> {
        let peer = PeerId::Node(voter.id);
        if self.peers.busy_until(self.now, peer, Channel::Probe).is_some() {
            return Err(VoterChangeError::NotReady(voter));
        }
        self.send(Destination { peer, host, port }, Purpose::Probe, RaftRequest::ApiVersions);
        Ok(())
    }

    pub(super) fn on_probe_failed(&mut self, peer: PeerId) {
        let error = ErrorCode::NetworkException;
        self.on_probe_response(peer, &RaftResponse::ApiVersions { error, kraft_versions: None });
    }

    /// Continues the change that waits for this probe.
    pub(super) fn on_probe_response(&mut self, peer: PeerId, response: &RaftResponse) -> bool {
        let RoleState::Leader(leader) = &self.role else { return true };
        let Some(change) = &leader.change else { return true };
        let Some(voter) = change.probed() else { return true };
        if peer != PeerId::Node(voter.key.id) {
            return true;
        }
        let (key, kind) = (voter.key, change.kind.clone());
        let range = match response {
            RaftResponse::ApiVersions { error: ErrorCode::None, kraft_versions } => *kraft_versions,
            _ => {
                self.abort_change(&VoterChangeError::Unreachable(key));
                return false;
            }
        };
        let outcome = match kind {
            ChangeKind::Add { voter, .. } => self.continue_add(voter, range),
            ChangeKind::Update { voter } => return self.continue_update(voter, range),
            ChangeKind::Remove => return true,
        };
        if let Err(error) = outcome {
            self.abort_change(&error);
        }
        true
    }

    fn continue_add(
        &mut self,
        voter: Voter,
        range: Option<(i16, i16)>,
    ) -> Result<(), VoterChangeError> {
        let (key, finalized) = (voter.key, self.history.kraft_version());
        let range = range.unwrap_or((0, 0));
        let voter = Voter { kraft_versions: range, ..voter };
        if !voter.supports(finalized) {
            return Err(VoterChangeError::Version { voter: key, range, finalized });
        }
        let RoleState::Leader(leader) = &self.role else { return Ok(()) };
        if !leader.is_caught_up(self.now, key) {
            return Err(VoterChangeError::Lagging(key));
        }
        let voters = self.history.voters();
        let Some(more) = voters.with(voter) else {
            return Err(VoterChangeError::Duplicate(key, voters.clone()));
        };
        self.append_change(ControlRecord::Voters(more));
        let view = self.view();
        let RoleState::Leader(leader) = &mut self.role else { return Ok(()) };
        if let Some(change) = &mut leader.change
            && matches!(change.kind, ChangeKind::Add { ack_when_committed: false, .. })
        {
            let token = change.token.take();
            let response = change.kind.response(ErrorCode::None, None, &view);
            self.effects.extend(token.map(|token| RaftEffect::Reply { token, response }));
        }
        Ok(())
    }

    fn continue_update(&mut self, voter: Voter, range: Option<(i16, i16)>) -> bool {
        let (key, kraft_version) = (voter.key, self.history.kraft_version());
        let RoleState::Leader(leader) = &mut self.role else { return true };
        if range != Some(voter.kraft_versions) || !voter.supports(kraft_version) {
            self.end_change(ErrorCode::InvalidRequest, None);
            return true;
        }
        if kraft_version == 0 {
            let described = leader.described_voters.as_ref().map(|voters| voters.replaced(voter));
            let error = match described {
                None => ErrorCode::RequestTimedOut,
                Some(None) => ErrorCode::VoterNotFound,
                Some(described) => {
                    leader.described_voters = described;
                    leader.heard_from(self.now, key);
                    ErrorCode::None
                }
            };
            self.end_change(error, None);
            return true;
        }
        let is_committed =
            self.history.voters_offset().is_some_and(|at| Some(at) < leader.high_watermark);
        let voters = self.history.voters();
        let updated = voters.is_voter(key).then(|| voters.replaced(voter)).flatten();
        match updated {
            _ if !is_committed => self.end_change(ErrorCode::RequestTimedOut, None),
            None => self.end_change(ErrorCode::VoterNotFound, None),
            Some(updated) => {
                leader.heard_from(self.now, key);
                self.append_change(ControlRecord::Voters(updated));
                let view = self.view();
                // The caller is answered now: it sees the record in its log.
                let RoleState::Leader(leader) = &mut self.role else { return true };
                if let Some(change) = &mut leader.change {
                    let token = change.token.take();
                    let response = change.kind.response(ErrorCode::None, None, &view);
                    self.effects.extend(token.map(|token| RaftEffect::Reply { token, response }));
                }
            }
        }
        true
    }

    fn abort_change(&mut self, error: &VoterChangeError) {
        tracing::info!(%error, "voter change aborted");
        self.end_change(error.code(), Some(error.to_string()));
    }

    fn end_change(&mut self, error: ErrorCode, message: Option<String>) {
        let view = self.view();
        let RoleState::Leader(leader) = &mut self.role else { return };
        let answer = leader.change.take().and_then(|change| change.answer(error, message, &view));
        self.effects.extend(answer);
    }

    /// A change that takes too long is answered; its record, if there is one, stands.
    pub(super) fn expire_voter_change(&mut self) {
        let RoleState::Leader(leader) = &self.role else { return };
        let Some(expires) = leader.change.as_ref().map(|change| change.expires) else { return };
        if self.is_due(expires) {
            self.end_change(ErrorCode::RequestTimedOut, None);
        } else {
            self.wake_at(expires);
        }
    }

    /// The high watermark has moved: the change is done if its record is committed. A leader that is
    /// not in the committed set resigns.
    pub(super) fn finish_voter_change(&mut self, high_watermark: Offset) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        let offset = leader.change.as_ref().and_then(|change| change.offset);
        let is_committed = self.history.voters_offset().is_none_or(|at| at < high_watermark);
        leader.resign_requested |=
            is_committed && !self.history.voters().is_voter(leader.local.key);
        if offset.is_some_and(|offset| offset < high_watermark) {
            self.end_change(ErrorCode::None, None);
        }
    }

    /// kraft.version 0 to 1: allowed once every voter has described itself in this epoch.
    pub(super) fn on_upgrade(
        &mut self,
        token: ReplyToken,
        epoch: LeaderEpoch,
        version: i16,
        validate_only: bool,
    ) {
        let (error, message, offset) = match self.judge_upgrade(epoch, version) {
            Err((error, message)) => (error, Some(message), None),
            Ok(None) => (ErrorCode::None, None, self.history.kraft_version_offset()),
            Ok(Some(_)) if validate_only => (ErrorCode::None, None, None),
            Ok(Some(voters)) => {
                let mut records = vec![ControlRecord::KraftVersion(version)];
                if voters != *self.history.voters() {
                    records.push(ControlRecord::Voters(voters));
                }
                let last = records.len() as Offset - 1;
                let base = self.append_control(records);
                self.write_election();
                (ErrorCode::None, None, Some(base + last))
            }
        };
        self.reply(token, RaftResponse::KraftVersionUpgrade { error, message, offset });
    }

    /// The voters to record with the new version; `None` if it is in force already.
    fn judge_upgrade(
        &self,
        epoch: LeaderEpoch,
        version: i16,
    ) -> Result<Option<VoterSet>, (ErrorCode, String)> {
        let leader = match &self.role {
            RoleState::Leader(leader) if epoch == self.election.epoch => leader,
            _ => {
                return Err((
                    ErrorCode::NotLeaderOrFollower,
                    format!("not the leader of epoch {epoch}"),
                ));
            }
        };
        let present = self.history.kraft_version();
        let invalid = |why: String| {
            let from_to =
                format!("Invalid upgrade of kraft.version from version {present} to {version}");
            Err((ErrorCode::InvalidUpdateVersion, format!("{from_to}{why}")))
        };
        if present == version {
            return Ok(None);
        }
        if present > version {
            return invalid(" because the new version is a downgrade".to_owned());
        }
        let Some(voters) = &leader.described_voters else { return invalid(String::new()) };
        let silent: Vec<BrokerId> = voters
            .iter()
            .filter(|voter| voter.key.directory.is_none())
            .map(|voter| voter.key.id)
            .collect();
        if !silent.is_empty() {
            return invalid(format!(" because the voters {silent:?} have not sent their versions"));
        }
        if !voters.supports(version) {
            return invalid(" because not all of the voters support it".to_owned());
        }
        Ok(Some(voters.clone()))
    }
}
