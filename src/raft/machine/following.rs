//! The follower's side of replication: what to fetch from whom, and what an answer does to the log
//! (Kafka 4.4 `KafkaRaftClient`, `FollowerState`).

use super::super::log_summary::LogPosition;
use super::super::snapshot::SnapshotId;
use super::super::voters::VoterSet;
use super::QuorumMachine;
use super::contract::{Destination, PeerId, RaftEffect};
use super::epochs::unexpected;
use super::faults::planted;
use super::message::{
    BatchSummary, FetchContent, FetchRequest, FetchResponse, FetchSnapshotRequest,
    FetchSnapshotResponse, HIGH_WATERMARK_UNKNOWN, RaftRequest,
};
use super::peers::{Channel, Purpose};
use super::role::{Download, Follower, RoleState};
use crate::types::{ErrorCode, Offset};

impl QuorumMachine {
    pub(super) fn poll_follower(&mut self) -> bool {
        let RoleState::Follower(follower) = &self.role else { return false };
        let fetch_timeout_at = follower.fetch_timeout_at;
        if self.is_stopping {
            return false;
        }
        if self.is_voter() {
            if self.is_due(fetch_timeout_at) {
                tracing::info!(leader = follower.leader, "no successful fetch in time");
                self.become_prospective();
                return true;
            }
            self.wake_at(fetch_timeout_at);
        }
        self.poll_membership();
        self.fetch_from_best_node();
        false
    }

    /// From the leader, or from a bootstrap server while the leader does not answer. One fetch is in
    /// flight at a time, and none while what it would say is not durable.
    fn fetch_from_best_node(&mut self) {
        let RoleState::Follower(follower) = &self.role else { return };
        if self.settled_end() < self.log.end().offset {
            return; // The end of the sync is the next event.
        }
        let download = follower.download;
        let Some(to) = self.leader_destination() else { return };
        if self.peers.has_timed_out(self.now, to.peer, Channel::Replication) {
            self.peers.forget(to.peer, Channel::Replication);
            return self.fetch_from_bootstrap();
        }
        if self.peers.is_backing_off(self.now, to.peer, Channel::Replication) {
            if let Some(until) = self.peers.busy_until(self.now, to.peer, Channel::Replication) {
                self.wake_at(until);
            }
            return self.fetch_from_bootstrap();
        }
        let busy = self.peers.fetching_until(self.now);
        let busy = busy.or_else(|| self.peers.busy_until(self.now, to.peer, Channel::Replication));
        if let Some(until) = busy {
            return self.wake_at(until);
        }
        match download {
            Some(Download { id, position }) => self.send_fetch_snapshot(to, id, position),
            None => self.send_fetch(to),
        }
    }

    pub(super) fn leader_destination(&self) -> Option<Destination> {
        let RoleState::Follower(Follower { leader, endpoints, .. }) = &self.role else {
            return None;
        };
        let (host, port) = self.config.address(endpoints)?;
        Some(Destination { peer: PeerId::Node(*leader), host, port })
    }

    /// From any bootstrap server that is ready, beginning at a random one.
    pub(super) fn fetch_from_bootstrap(&mut self) {
        let count = self.config.bootstrap_servers.len();
        if count == 0 || self.settled_end() < self.log.end().offset {
            return;
        }
        if let Some(until) = self.peers.fetching_until(self.now) {
            return self.wake_at(until);
        }
        let first = usize::try_from(self.jitter.below(count as u64)).unwrap_or(0);
        for step in 0..count {
            let at = (first + step) % count;
            let peer = PeerId::Bootstrap(at);
            match self.peers.busy_until(self.now, peer, Channel::Replication) {
                None => {
                    let (host, port) = self.config.bootstrap_servers[at].clone();
                    return self.send_fetch(Destination { peer, host, port });
                }
                Some(until) => self.wake_at(until),
            }
        }
    }

    fn send_fetch(&mut self, to: Destination) {
        assert!(to.peer != PeerId::Node(self.me().id), "a replica does not fetch from itself");
        let end = self.log.end();
        let request = FetchRequest {
            replica: self.me(),
            epoch: self.election.epoch,
            offset: end.offset,
            last_epoch: end.epoch,
            max_wait_ms: self.config.fetch_max_wait_ms,
            max_bytes: self.config.fetch_max_bytes,
            high_watermark: self.high_watermark.unwrap_or(HIGH_WATERMARK_UNKNOWN),
        };
        self.send(to, Purpose::Fetch, RaftRequest::Fetch(request));
        self.wake_at(self.now + self.config.request_timeout);
    }

    fn send_fetch_snapshot(&mut self, to: Destination, snapshot: SnapshotId, position: u64) {
        let request = FetchSnapshotRequest {
            replica: self.me(),
            epoch: self.election.epoch,
            snapshot,
            position: i64::try_from(position).unwrap_or(i64::MAX),
            max_bytes: self.config.fetch_snapshot_max_bytes,
        };
        self.send(to, Purpose::FetchSnapshot, RaftRequest::FetchSnapshot(request));
        self.wake_at(self.now + self.config.request_timeout);
    }

    pub(super) fn on_fetch_response(&mut self, _peer: PeerId, response: FetchResponse) -> bool {
        let FetchResponse { error, view, high_watermark, content, .. } = response;
        if let Some(is_handled) = self.observe(error, view.clone()) {
            return is_handled;
        }
        let high_watermark = high_watermark.filter(|offset| *offset >= self.log.start());
        let RoleState::Follower(follower) = &self.role else { return true };
        if !error.is_none() || view.leader != Some(follower.leader) {
            return unexpected("Fetch", error);
        }
        let is_handled = match content {
            FetchContent::Diverging(end) => {
                if planted!(self, HighWatermarkFromDivergingResponse)
                    && let Some(hw) = high_watermark
                {
                    self.raise_high_watermark(hw.min(self.log.end().offset));
                }
                return self.on_diverging(end) && self.fetch_succeeded();
            }
            FetchContent::Snapshot(id) => return self.begin_download(id) && self.fetch_succeeded(),
            FetchContent::Empty => true,
            FetchContent::Batches(batches) => self.append_fetched(batches),
            FetchContent::Read { .. } => false,
        };
        if let RoleState::Follower(follower) = &mut self.role {
            follower.leader_high_watermark = follower.leader_high_watermark.max(high_watermark);
        }
        self.follow_high_watermark();
        is_handled && self.fetch_succeeded()
    }

    /// The leader is alive. Always true, for the caller's return.
    pub(super) fn fetch_succeeded(&mut self) -> bool {
        let timeout_at = self.now + self.config.fetch_timeout;
        if let RoleState::Follower(follower) = &mut self.role {
            follower.fetch_timeout_at = timeout_at;
            follower.has_live_leader = true;
        }
        true
    }

    /// A replica takes the leader's high watermark as far as its own log reaches and is settled.
    pub(super) fn follow_high_watermark(&mut self) {
        let RoleState::Follower(follower) = &self.role else { return };
        let Some(leader) = follower.leader_high_watermark else { return };
        let own = if planted!(self, HighWatermarkBeyondLog) { leader } else { self.settled_end() };
        self.raise_high_watermark(leader.min(own));
    }

    /// Appends what continues the log; the rest is dropped and fetched again.
    fn append_fetched(&mut self, mut batches: Vec<BatchSummary>) -> bool {
        let mut end = self.log.end();
        let continues = |batch: &BatchSummary| {
            let holds = batch.base == end.offset
                && batch.end > batch.base
                && (end.epoch..=self.election.epoch).contains(&batch.epoch)
                && batch.control.len() as Offset <= batch.end - batch.base;
            end = LogPosition { epoch: batch.epoch, offset: batch.end };
            holds
        };
        let whole = batches.iter().map(continues).take_while(|holds| *holds).count();
        if whole < batches.len() {
            tracing::error!(end = ?self.log.end(), "fetched batches do not continue the log");
        }
        batches.truncate(whole);
        if batches.is_empty() {
            return false;
        }
        let kraft_version = self.history.kraft_version();
        for batch in &batches {
            self.log.append(batch.end, batch.epoch);
            for (offset, record) in (batch.base..).zip(&batch.control) {
                self.history.apply(record, offset);
            }
        }
        self.effects.push(RaftEffect::AppendFetched(batches));
        self.follow_kraft_version(kraft_version);
        self.begin_sync();
        true
    }

    /// The version of the quorum-state file follows kraft.version.
    pub(super) fn follow_kraft_version(&mut self, before: i16) {
        if self.history.kraft_version() != before {
            self.write_election();
        }
    }

    fn on_diverging(&mut self, leader_end: LogPosition) -> bool {
        if leader_end.offset < 0 || leader_end.epoch < 0 {
            return unexpected("Fetch", ErrorCode::None);
        }
        let to = self.log.truncation_point(leader_end);
        if planted!(self, HighWatermarkFromDivergingResponse) {
            self.truncate(to);
            return true;
        }
        let committed = self.high_watermark.unwrap_or(self.log.start()).max(self.log.start());
        if to < committed {
            self.halt(format!(
                "the leader of epoch {} has no records from offset {to} on, and this node knows \
                 those before {committed} to be committed: one of them has lost its log",
                self.election.epoch
            ));
            return false;
        }
        if to == self.log.end().offset {
            tracing::error!(?leader_end, end = ?self.log.end(), "nothing to truncate");
            return false;
        }
        self.truncate(to);
        true
    }

    pub(super) fn truncate(&mut self, to: Offset) {
        let to = to.clamp(self.log.start(), self.log.end().offset);
        if to == self.log.end().offset {
            return;
        }
        let kraft_version = self.history.kraft_version();
        self.log.truncate(to);
        self.history.truncate(to);
        self.syncing_to = self.syncing_to.min(to);
        self.effects.push(RaftEffect::Truncate(to));
        self.follow_kraft_version(kraft_version);
    }

    /// The leader's log no longer reaches back to this one.
    fn begin_download(&mut self, id: SnapshotId) -> bool {
        let is_ahead = LogPosition::from(id) > self.log.end()
            && id.offset > 0
            && id.epoch <= self.election.epoch;
        if !is_ahead || Some(id.offset) < self.high_watermark {
            tracing::error!(snapshot = %id, end = ?self.log.end(), "snapshot is not ahead of the log");
            return false;
        }
        let RoleState::Follower(follower) = &mut self.role else { return false };
        if self.log.snapshot_size(id).is_some() {
            self.install(id);
        } else if follower.download.is_some_and(|download| download.id == id) {
            // A bootstrap server leads to the leader, which knows no more than this.
            self.fetch_succeeded();
            return false;
        } else {
            follower.download = Some(Download { id, position: 0 });
            self.effects.push(RaftEffect::BeginSnapshot(id));
        }
        true
    }

    fn install(&mut self, id: SnapshotId) {
        self.installing = Some(id);
        self.effects.push(RaftEffect::InstallSnapshot(id));
    }

    pub(super) fn on_fetch_snapshot_response(&mut self, response: FetchSnapshotResponse) -> bool {
        let FetchSnapshotResponse { error, view, snapshot, size, position, bytes } = response;
        if let Some(is_handled) = self.observe(error, view.clone()) {
            return is_handled;
        }
        let RoleState::Follower(follower) = &mut self.role else { return true };
        let Some(download) = follower.download.take() else { return true };
        if error == ErrorCode::SnapshotNotFound || (error.is_none() && snapshot.is_none()) {
            // The leader has a newer one by now: the next fetch names it.
            return self.fetch_succeeded();
        }
        let fits = snapshot == Some(download.id)
            && position == download.position
            && position.checked_add(bytes).is_some_and(|end| end <= size)
            && bytes > 0;
        if !error.is_none() || !fits {
            tracing::error!(
                ?error,
                ?snapshot,
                size,
                position,
                bytes,
                ?download,
                "snapshot is refused"
            );
            return false;
        }
        let id = download.id;
        self.effects.push(RaftEffect::AppendSnapshot { id, position });
        if position + bytes == size {
            self.install(id);
        } else {
            follower.download = Some(Download { id, position: position + bytes });
        }
        self.fetch_succeeded()
    }

    pub(super) fn on_snapshot_installed(
        &mut self,
        id: SnapshotId,
        bytes: u64,
        kraft_version: i16,
        voters: Option<VoterSet>,
    ) {
        assert!(self.installing.take() == Some(id), "snapshot {id} was not to be installed");
        let before = self.history.kraft_version();
        self.log.restart_at(id, bytes);
        self.history.restart_at(id.offset, kraft_version, voters);
        self.syncing_to = id.offset;
        self.follow_kraft_version(before);
        self.raise_high_watermark(id.offset);
    }
}
