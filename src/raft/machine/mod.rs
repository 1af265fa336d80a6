//! KRaft as a state machine without I/O: votes, leadership, replication, snapshots and changes of
//! voters, for a voter or an observer (Kafka 4.4 `KafkaRaftClient`, `QuorumState`; KIP-595, 630,
//! 853, 996, 1166, 1186).
//!
//! One call, [`QuorumMachine::step`], takes the time and an event and returns what to do. Nothing
//! here reads a clock, a file or a socket. A driver carries the [`RaftEffect`]s out in their order,
//! steps again when an answer arrives or [`QuorumMachine::deadline`] is reached, and never decides.
//!
//! Read `contract.rs` (inputs, effects and their order), `role.rs` and `transitions.rs` (the states),
//! `votes.rs` and `epochs.rs` (how a leader comes and goes), `serving.rs` with `progress.rs` (the
//! leader's side of replication) and `following.rs` (the other side), `membership.rs` with
//! `joining.rs` and `voter_change.rs` (changes of voters), `peers.rs` (requests in flight). `tests` holds the table of all
//! roles and events, and the simulation.
//!
//! # Differences from Apache Kafka
//!
//! - The leader counts itself up to what it has *synced*; a voter publishes no high watermark beyond
//!   its own sync, so what a voter has published survives its crash.
//! - A pre-vote never carries a new epoch.
//! - Vote and leader are kept for as long as their epoch lasts.
//! - A resigned leader does not name itself leader, and a follower that hears of the
//!   resignation grants pre-votes at once.
//! - A parked fetch counts when it arrives and not again when it is answered.
//! - A removed voter does not join again by itself before it is restarted.
//! - Contradictions that end a JVM process are logged and ignored, except one that concerns committed
//!   records: [`RaftEffect::Halt`].

mod config;
mod contract;
mod epochs;
mod faults;
mod following;
mod joining;
mod membership;
mod message;
mod peers;
mod progress;
mod role;
mod serving;
#[cfg(test)]
mod tests;
mod transitions;
mod voter_change;
mod votes;

pub use config::RaftConfig;
pub use contract::{
    ControlBatch, Destination, Leadership, PeerId, RaftEffect, RaftInput, ReplyToken, RequestId,
    SendFailure,
};
pub use membership::VoterChangeError;
pub use message::*;
pub use role::RoleKind;

use super::batch::ControlRecord;
use super::history::QuorumHistory;
use super::log_summary::LogSummary;
use super::quorum_state::ElectionState;
use super::snapshot::SnapshotId;
use super::voters::ReplicaKey;
use crate::types::{BrokerId, LeaderEpoch, Mono, Offset};
use config::Jitter;
use faults::planted;
use peers::{Peers, Purpose};
use role::RoleState;

/// More transitions than this in one step would be a circle.
const TRANSITIONS_MAX: usize = 8;

/// A replica of the metadata log.
///
/// Invariants, checked after every step: the epoch never falls; within an epoch the leader and the
/// vote never change once they are known; the high watermark never falls and never passes the log's
/// end; only a voter stands for election; a leader knows no other leader of its epoch.
#[derive(Clone, Debug)]
pub struct QuorumMachine {
    config: RaftConfig,
    /// Always equal to what the last [`RaftEffect::Persist`] carried.
    election: ElectionState,
    role: RoleState,
    log: LogSummary,
    history: QuorumHistory,
    /// What is known to be committed, by any leader.
    high_watermark: Option<Offset>,
    peers: Peers,
    jitter: Jitter,
    now: Mono,
    deadline: Option<Mono>,
    /// The end of the log at the last [`RaftEffect::Sync`].
    syncing_to: Offset,
    /// The snapshot that the driver is installing: the next input reports it.
    installing: Option<SnapshotId>,
    /// Whether the committed voter set has contained this replica since it started.
    was_voter: bool,
    /// Whether a committed record has removed this replica since it started.
    was_removed: bool,
    is_stopping: bool,
    is_stopped: bool,
    is_halted: bool,
    effects: Vec<RaftEffect>,
    #[cfg(test)]
    fault: Option<faults::PlantedFault>,
}

/// What a step must not undo.
struct Milestones {
    election: ElectionState,
    high_watermark: Option<Offset>,
}

impl QuorumMachine {
    /// A replica as it starts: `election` is what the quorum-state file holds, `log` and `history`
    /// what was found in the log. The effects are to be carried out before the first step.
    pub fn start(
        now: Mono,
        config: RaftConfig,
        election: ElectionState,
        log: LogSummary,
        history: QuorumHistory,
    ) -> (Self, Vec<RaftEffect>) {
        let mut machine = Self::before_start(now, config, election, log, history);
        let effects = machine.begin();
        (machine, effects)
    }

    /// The same with a planted fault.
    #[cfg(test)]
    pub(crate) fn start_with_fault(
        now: Mono,
        config: RaftConfig,
        election: ElectionState,
        log: LogSummary,
        history: QuorumHistory,
        fault: Option<faults::PlantedFault>,
    ) -> (Self, Vec<RaftEffect>) {
        let mut machine = Self::before_start(now, config, election, log, history);
        machine.fault = fault;
        let effects = machine.begin();
        (machine, effects)
    }

    fn before_start(
        now: Mono,
        config: RaftConfig,
        election: ElectionState,
        log: LogSummary,
        history: QuorumHistory,
    ) -> Self {
        assert!(config.me().directory.is_some(), "the directory of a replica is known");
        let config = config.with_least_timeouts();
        Self {
            peers: Peers::new(config.request_timeout, config.retry_backoff),
            jitter: Jitter::new(config.seed),
            role: RoleState::Unattached(role::Unattached { election_at: None }),
            config,
            election,
            syncing_to: log.end().offset,
            log,
            history,
            high_watermark: None,
            now,
            deadline: None,
            installing: None,
            was_voter: false,
            was_removed: false,
            is_stopping: false,
            is_stopped: false,
            is_halted: false,
            effects: Vec::new(),
            #[cfg(test)]
            fault: None,
        }
    }

    fn begin(&mut self) -> Vec<RaftEffect> {
        self.enter_first_role();
        self.finish_step()
    }

    /// Handles one event. `now` never goes back; an earlier time is taken as the latest seen.
    ///
    /// # Panics
    ///
    /// If the driver breaks the contract: it appends where this node does not lead, reports a sync
    /// beyond the log, or takes a snapshot of records that are not committed. No request and no
    /// response of a peer panics.
    pub fn step(&mut self, now: Mono, input: RaftInput) -> Vec<RaftEffect> {
        if self.is_halted || self.is_stopped {
            return Vec::new();
        }
        let before = self.milestones();
        self.now = self.now.max(now);
        let is_installed = matches!(input, RaftInput::SnapshotInstalled { .. });
        assert!(self.installing.is_none() || is_installed, "a snapshot is being installed");
        match input {
            RaftInput::Tick => {}
            RaftInput::Request { token, head, request } => self.on_request(token, &head, request),
            RaftInput::Response { id, response } => self.on_response(id, response),
            RaftInput::Failed { id, failure } => self.on_failure(id, failure),
            RaftInput::Appended { epoch, end } => self.on_leader_append(epoch, end),
            RaftInput::Synced(offset) => self.on_synced(offset),
            RaftInput::SnapshotTaken { id, bytes } => self.on_snapshot_taken(id, bytes),
            RaftInput::SnapshotInstalled { id, bytes, kraft_version, voters } => {
                self.on_snapshot_installed(id, bytes, kraft_version, voters);
            }
            RaftInput::Cleaned(start) => {
                self.log.clean(start);
                self.history.clean(start);
            }
            RaftInput::Resign(epoch) => self.on_resign(epoch),
            RaftInput::UpgradeKraftVersion { token, epoch, version, validate_only } => {
                self.on_upgrade(token, epoch, version, validate_only);
            }
            RaftInput::Shutdown => self.is_stopping = true,
        }
        let effects = self.finish_step();
        self.check(&before);
        effects
    }

    /// When [`RaftInput::Tick`] is due; `None` if nothing is.
    pub fn deadline(&self) -> Option<Mono> {
        self.deadline
    }

    /// This replica.
    pub fn me(&self) -> ReplicaKey {
        self.config.me()
    }

    /// The role.
    pub fn role(&self) -> RoleKind {
        self.role.kind()
    }

    /// The epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.election.epoch
    }

    /// The leader of the epoch, if one is known that has not resigned as far as this node knows.
    pub fn leader(&self) -> Option<BrokerId> {
        self.view().leader
    }

    /// Epoch, leader and vote: what is persisted.
    pub fn election(&self) -> &ElectionState {
        &self.election
    }

    /// Voters and kraft.version.
    pub fn history(&self) -> &QuorumHistory {
        &self.history
    }

    /// The log as the machine knows it.
    pub fn log(&self) -> &LogSummary {
        &self.log
    }

    /// The end of what is known to be committed.
    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// Whether this replica votes.
    pub fn is_voter(&self) -> bool {
        self.history.voters().is_voter(self.me())
    }

    fn finish_step(&mut self) -> Vec<RaftEffect> {
        let mut transitions = 0;
        while !self.is_halted && self.installing.is_none() {
            self.deadline = None;
            if !self.poll() {
                break;
            }
            transitions += 1;
            assert!(transitions <= TRANSITIONS_MAX, "roles change in a circle: {:?}", self.role);
        }
        if self.is_stopping && !self.is_stopped && self.can_stop() {
            self.is_stopped = true;
            self.effects.push(RaftEffect::ShutdownComplete);
        }
        std::mem::take(&mut self.effects)
    }

    /// Does what is due in the present role, and sends what can be sent. Returns whether the role
    /// changed; otherwise every later deadline has been noted.
    fn poll(&mut self) -> bool {
        match self.role.kind() {
            RoleKind::Unattached => self.poll_unattached(),
            RoleKind::Prospective | RoleKind::Candidate => self.poll_nominee(),
            RoleKind::Leader => self.poll_leader(),
            RoleKind::Follower => self.poll_follower(),
            RoleKind::Resigned => self.poll_resigned(),
        }
    }

    /// Whether the hand-over is done, or there is no voter to hand over to.
    fn can_stop(&self) -> bool {
        let leader = self.election.leader;
        !self.is_voter()
            || self.history.voters().is_only_voter(self.me())
            || leader.is_some_and(|leader| leader != self.me().id)
    }

    fn is_due(&self, at: Mono) -> bool {
        at <= self.now
    }

    /// Notes that something is due at `at`.
    fn wake_at(&mut self, at: Mono) {
        self.deadline = Some(self.deadline.map_or(at, |earlier| earlier.min(at)));
    }

    fn milestones(&self) -> Milestones {
        Milestones { election: self.election.clone(), high_watermark: self.high_watermark }
    }

    fn check(&self, before: &Milestones) {
        let (old, new) = (&before.election, &self.election);
        assert!(old.epoch <= new.epoch, "the epoch fell: {old:?}, {new:?}");
        if old.epoch == new.epoch && !planted!(self, VoteGivenTwice) {
            let keeps = |old: Option<BrokerId>, new: Option<BrokerId>| old.is_none() || old == new;
            assert!(keeps(old.leader, new.leader), "two leaders in an epoch: {old:?}, {new:?}");
            let voted = |state: &ElectionState| state.voted.map(|key| key.id);
            assert!(keeps(voted(old), voted(new)), "two votes in an epoch: {old:?}, {new:?}");
        }
        assert!(before.high_watermark <= self.high_watermark, "the high watermark fell");
        if !planted!(self, HighWatermarkBeyondLog) {
            assert!(self.high_watermark <= Some(self.log.end().offset), "committed beyond the log");
        }
        let log = self.log.end();
        assert!(log.epoch <= new.epoch, "the log of {log:?} is ahead of epoch {}", new.epoch);
        match &self.role {
            RoleState::Leader(_) | RoleState::Resigned(_) => {
                assert!(new.leader == Some(self.me().id), "leads without its epoch: {new:?}");
            }
            RoleState::Follower(follower) => {
                assert!(new.leader == Some(follower.leader), "follows another: {new:?}");
                assert!(follower.leader != self.me().id, "follows itself");
            }
            RoleState::Candidate(_) => {
                assert!(new.voted.map(|key| key.id) == Some(self.me().id), "no own vote: {new:?}");
                assert!(new.leader.is_none(), "stands against a leader of its epoch: {new:?}");
            }
            RoleState::Unattached(_) | RoleState::Prospective(_) => {}
        }
        assert!(self.installing.is_none() || self.role.kind() == RoleKind::Follower);
    }

    // The log.

    /// The end of the log that this replica may claim to have. A voter, and a node that may become
    /// one, claims only what it has synced.
    fn settled_end(&self) -> Offset {
        let must_sync = self.config.can_become_voter || self.is_voter();
        if must_sync && !planted!(self, FetchBeforeSync) {
            self.log.synced()
        } else {
            self.log.end().offset
        }
    }

    /// Begins a sync of what was appended, if it must be durable.
    fn begin_sync(&mut self) {
        let end = self.log.end().offset;
        let must_sync = self.config.can_become_voter || self.is_voter();
        if must_sync && self.syncing_to < end {
            self.syncing_to = end;
            self.effects.push(RaftEffect::Sync);
        }
    }

    /// Appends a control batch of this leader. Returns its first offset.
    fn append_control(&mut self, records: Vec<ControlRecord>) -> Offset {
        let RoleState::Leader(leader) = &self.role else { panic!("only a leader appends") };
        let base = self.log.end().offset;
        for (offset, record) in (base..).zip(&records) {
            if let ControlRecord::Voters(voters) = record {
                let is_own_commit_known = leader.high_watermark.is_some();
                let is_adjacent = self.history.voters().is_adjacent(voters);
                assert!(
                    is_adjacent || planted!(self, VoterChangeBeforeOwnCommit),
                    "voters change by more than one: {}, {voters}",
                    self.history.voters()
                );
                let same = self.history.voters().len() == voters.len();
                assert!(
                    same || is_own_commit_known || planted!(self, VoterChangeBeforeOwnCommit),
                    "voters change before a record of the epoch is committed"
                );
            }
            self.history.apply(record, offset);
        }
        let end = base + records.len() as Offset;
        let epoch = self.election.epoch;
        self.log.append(end, epoch);
        self.effects.push(RaftEffect::Append(ControlBatch { base, epoch, records }));
        let voters = self.history.voters().clone();
        if let RoleState::Leader(leader) = &mut self.role {
            leader.set_voters(&voters);
        }
        self.after_leader_append();
        base
    }

    fn on_leader_append(&mut self, epoch: LeaderEpoch, end: Offset) {
        assert!(
            self.role.kind() == RoleKind::Leader && self.election.epoch == epoch,
            "records of epoch {epoch} were appended as {:?} of epoch {}",
            self.role.kind(),
            self.election.epoch
        );
        self.log.append(end, epoch);
        self.after_leader_append();
    }

    fn after_leader_append(&mut self) {
        self.begin_sync();
        self.advance_commit();
        self.answer_parked_below(self.log.end().offset);
    }

    fn on_synced(&mut self, offset: Offset) {
        self.log.set_synced(offset);
        match self.role.kind() {
            RoleKind::Leader => self.advance_commit(),
            RoleKind::Follower => self.follow_high_watermark(),
            _ => {}
        }
    }

    /// The leader's high watermark follows from what the voters have.
    fn advance_commit(&mut self) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        let own = if planted!(self, LeaderCountsItselfBeforeSync) {
            self.log.end().offset
        } else {
            self.log.synced()
        };
        leader.local_synced(own);
        let Some(end) = leader.majority_end() else { return };
        let is_of_epoch =
            end > leader.epoch_start || (planted!(self, CommitOfOlderEpoch) && end > 0);
        if !is_of_epoch || leader.high_watermark.is_some_and(|old| end <= old) {
            // A smaller one comes of a change of voters: what is committed stays committed.
            return;
        }
        leader.high_watermark = Some(end);
        self.raise_high_watermark(end);
        self.finish_voter_change(end);
        self.answer_all_parked();
    }

    fn raise_high_watermark(&mut self, to: Offset) {
        if self.high_watermark.is_some_and(|old| to <= old) {
            return;
        }
        self.high_watermark = Some(to);
        self.effects.push(RaftEffect::HighWatermark(to));
        let is_voter = self.history.voters_before(to).is_voter(self.me());
        self.was_removed |= self.was_voter && !is_voter;
        self.was_voter |= is_voter;
    }

    fn on_snapshot_taken(&mut self, id: SnapshotId, bytes: u64) {
        assert!(
            Some(id.offset) <= self.high_watermark || planted!(self, SnapshotAboveHighWatermark),
            "snapshot {id} holds more than is committed, {:?}",
            self.high_watermark
        );
        self.log.add_snapshot(id, bytes);
    }

    // Effects.

    /// Changes what is persisted, and persists it.
    fn persist(&mut self, election: ElectionState) {
        if self.election != election {
            self.election = election;
            self.write_election();
        }
    }

    /// Of two states between which nothing leaves this node, only the later is written.
    fn write_election(&mut self) {
        let kraft_version = self.history.kraft_version();
        let persist = RaftEffect::Persist { election: self.election.clone(), kraft_version };
        let is_silent = |effect: &RaftEffect| matches!(effect, RaftEffect::Leadership(_));
        let last = self.effects.iter().rposition(|effect| !is_silent(effect));
        match last.map(|at| &mut self.effects[at]) {
            Some(earlier @ RaftEffect::Persist { .. }) => *earlier = persist,
            _ => self.effects.push(persist),
        }
    }

    fn reply(&mut self, token: ReplyToken, response: RaftResponse) {
        self.effects.push(RaftEffect::Reply { token, response });
    }

    fn send(&mut self, to: Destination, purpose: Purpose, request: RaftRequest) {
        let id = self.peers.send(self.now, to.peer, purpose);
        self.effects.push(RaftEffect::Send { id, to, request });
    }

    fn halt(&mut self, line: String) {
        self.is_halted = true;
        self.effects.push(RaftEffect::Halt(line));
    }

    /// Leader and epoch as other nodes learn them from this one. A leader that has resigned does not name
    /// itself.
    fn view(&self) -> LeaderView {
        let endpoints = match &self.role {
            RoleState::Leader(leader) => leader.local.endpoints.clone(),
            RoleState::Follower(follower) => follower.endpoints.clone(),
            RoleState::Prospective(prospective) => prospective.leader_endpoints.clone(),
            _ => Vec::new(),
        };
        let has_resigned = self.role.kind() == RoleKind::Resigned;
        let leader = self.election.leader.filter(|_| !has_resigned);
        LeaderView { epoch: self.election.epoch, leader, endpoints }
    }

    /// Where a voter is reached.
    fn voter_destination(&self, id: BrokerId) -> Option<Destination> {
        let voter = self.history.voters().get(id)?;
        let (host, port) = self.config.address(&voter.endpoints)?;
        Some(Destination { peer: PeerId::Node(id), host, port })
    }
}
