//! The leader's side of replication: Fetch, FetchSnapshot, DescribeQuorum (Kafka 4.4
//! `KafkaRaftClient`; KIP-595, 630, 1166).

use std::time::Duration;

use super::super::log_summary::{FetchPosition, LogPosition};
use super::contract::ReplyToken;
use super::faults::planted;
use super::message::{
    FetchContent, FetchRequest, FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse,
    RaftResponse, RequestTarget,
};
use super::progress::ParkedFetch;
use super::role::{RoleKind, RoleState};
use super::{QuorumMachine, SnapshotId};
use crate::types::{ErrorCode, LeaderEpoch, Offset};

/// The most fetches that wait; more of them are answered at once.
const PARKED_MAX: usize = 10_000;

impl QuorumMachine {
    /// Answers a fetch, or lets it wait if there is nothing to send.
    pub(super) fn on_fetch(&mut self, token: ReplyToken, request: FetchRequest) {
        let FetchRequest { epoch, offset, last_epoch, max_wait_ms, .. } = request;
        if max_wait_ms < 0 || offset < 0 || last_epoch < 0 || last_epoch > epoch {
            let response = self.empty_fetch_response(ErrorCode::InvalidRequest);
            return self.reply(token, RaftResponse::Fetch(response));
        }
        if let Err(error) = self.check_leader_request(epoch) {
            let response = self.empty_fetch_response(error);
            return self.reply(token, RaftResponse::Fetch(response));
        }
        if request.replica.id == self.me().id {
            tracing::error!(replica = %request.replica, "another process fetches with this node's id");
            let response = self.empty_fetch_response(ErrorCode::UnknownServerError);
            return self.reply(token, RaftResponse::Fetch(response));
        }
        self.count_fetch(&request);
        let response = self.fetch_response(&request);
        let has_news = response.content != FetchContent::Empty
            || Some(request.high_watermark) < response.high_watermark;
        let RoleState::Leader(leader) = &mut self.role else { return };
        if has_news || max_wait_ms == 0 || leader.parked.len() >= PARKED_MAX {
            return self.reply(token, RaftResponse::Fetch(response));
        }
        let wait = Duration::from_millis(u64::from(max_wait_ms.unsigned_abs()));
        leader.parked.push(ParkedFetch { token, request, expires: self.now + wait });
    }

    /// What a fetch says of the replica: it has everything before its position, if the log agrees.
    /// Counted once, on arrival: a fetch that has waited says nothing about now.
    fn count_fetch(&mut self, request: &FetchRequest) {
        let FetchRequest { replica, offset, last_epoch, .. } = *request;
        if replica.id < 0 {
            return;
        }
        let position = LogPosition { epoch: last_epoch, offset };
        let is_valid = self.log.locate(position) == FetchPosition::Valid;
        let leader_end = self.log.end().offset;
        let RoleState::Leader(leader) = &mut self.role else { return };
        if is_valid {
            leader.replica_fetched(self.now, replica, offset, leader_end);
        } else if planted!(self, DivergingFetchCounts) {
            leader.replica_fetched(self.now, replica, offset.min(leader_end), leader_end);
        }
        #[cfg(test)]
        {
            if planted!(self, SentRecordsCount) && is_valid {
                leader.replica_fetched(self.now, replica, leader_end, leader_end);
            }
            if planted!(self, ObserverCountsAsVoter) && is_valid {
                leader.replica_fetched_by_id(replica.id, offset);
            }
        }
        self.advance_commit();
    }

    fn fetch_response(&self, request: &FetchRequest) -> FetchResponse {
        let FetchRequest { offset, last_epoch, max_bytes, .. } = *request;
        let content = match self.log.locate(LogPosition { epoch: last_epoch, offset }) {
            FetchPosition::Diverging(end) => FetchContent::Diverging(end),
            FetchPosition::Snapshot(id) => FetchContent::Snapshot(id),
            FetchPosition::Valid if offset < self.log.end().offset => {
                FetchContent::Read { offset, max_bytes }
            }
            FetchPosition::Valid => FetchContent::Empty,
        };
        let high_watermark = match &self.role {
            RoleState::Leader(leader) => leader.high_watermark,
            _ => None,
        };
        FetchResponse { high_watermark, content, ..self.empty_fetch_response(ErrorCode::None) }
    }

    pub(super) fn empty_fetch_response(&self, error: ErrorCode) -> FetchResponse {
        FetchResponse {
            error,
            view: self.view(),
            log_start: self.log.start(),
            high_watermark: None,
            content: FetchContent::Empty,
        }
    }

    /// The checks that Fetch, FetchSnapshot and UpdateRaftVoter have in common.
    pub(super) fn check_leader_request(&self, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        if epoch < self.election.epoch {
            Err(ErrorCode::FencedLeaderEpoch)
        } else if epoch > self.election.epoch {
            Err(ErrorCode::UnknownLeaderEpoch)
        } else if self.role.kind() != RoleKind::Leader {
            Err(ErrorCode::NotLeaderOrFollower)
        } else if self.is_stopping {
            Err(ErrorCode::BrokerNotAvailable)
        } else {
            Ok(())
        }
    }

    /// There are records for the fetches from below `end`.
    pub(super) fn answer_parked_below(&mut self, end: Offset) {
        self.answer_parked(|parked| parked.request.offset < end);
    }

    /// The high watermark has moved.
    pub(super) fn answer_all_parked(&mut self) {
        self.answer_parked(|_| true);
    }

    pub(super) fn expire_parked(&mut self) {
        let now = self.now;
        self.answer_parked(|parked| parked.expires <= now);
        let RoleState::Leader(leader) = &self.role else { return };
        if let Some(at) = leader.parked.iter().map(|parked| parked.expires).min() {
            self.wake_at(at);
        }
    }

    fn answer_parked(&mut self, is_ready: impl Fn(&ParkedFetch) -> bool) {
        let RoleState::Leader(leader) = &mut self.role else { return };
        let ready: Vec<ParkedFetch> = leader.parked.extract_if(.., |it| is_ready(it)).collect();
        for ParkedFetch { token, request, .. } in ready {
            let response = self.fetch_response(&request);
            self.reply(token, RaftResponse::Fetch(response));
        }
    }

    pub(super) fn on_fetch_snapshot(
        &mut self,
        token: ReplyToken,
        target: RequestTarget,
        request: &FetchSnapshotRequest,
    ) {
        let response = match self.judge_fetch_snapshot(target, request) {
            Ok((size, position)) => {
                let most = u64::from(request.max_bytes.max(0).unsigned_abs());
                let bytes = most.min(size - position);
                let snapshot = Some(request.snapshot);
                let empty = self.empty_snapshot_response(ErrorCode::None);
                FetchSnapshotResponse { snapshot, size, position, bytes, ..empty }
            }
            Err(error) => self.empty_snapshot_response(error),
        };
        self.reply(token, RaftResponse::FetchSnapshot(response));
    }

    /// Size of the snapshot and position in it, if a part of it is to be sent.
    fn judge_fetch_snapshot(
        &mut self,
        target: RequestTarget,
        request: &FetchSnapshotRequest,
    ) -> Result<(u64, u64), ErrorCode> {
        if target != RequestTarget::MetadataLog {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        self.check_leader_request(request.epoch)?;
        let id: SnapshotId = request.snapshot;
        let size = self.log.snapshot_size(id).ok_or(ErrorCode::SnapshotNotFound)?;
        let position = u64::try_from(request.position).ok().filter(|position| *position < size);
        let position = position.ok_or(ErrorCode::PositionOutOfRange)?;
        if request.replica.id == self.me().id {
            return Err(ErrorCode::UnknownServerError);
        }
        if let RoleState::Leader(leader) = &mut self.role {
            leader.heard_from(self.now, request.replica);
        }
        Ok((size, position))
    }

    fn empty_snapshot_response(&self, error: ErrorCode) -> FetchSnapshotResponse {
        let (snapshot, size, position, bytes) = (None, 0, 0, 0);
        FetchSnapshotResponse { error, view: self.view(), snapshot, size, position, bytes }
    }

    pub(super) fn on_describe(&mut self, token: ReplyToken, is_metadata_log: bool) {
        let (epoch, log_end) = (self.election.epoch, self.log.end().offset);
        let answer = match &mut self.role {
            _ if !is_metadata_log => Err(ErrorCode::UnknownTopicOrPartition),
            RoleState::Leader(leader) => Ok(leader.describe(self.now, epoch, log_end)),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        };
        self.reply(token, RaftResponse::DescribeQuorum(answer));
    }
}
