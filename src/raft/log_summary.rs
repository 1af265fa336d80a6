//! The metadata log as the quorum sees it: where it starts and ends, which epoch wrote which
//! offsets, what is durable, which snapshots exist (Kafka 4.4 `RaftLog`, `KafkaRaftLog`).
//!
//! A value, not a file. The driver builds it when it opens the log; afterwards the quorum machine
//! keeps it equal to the log, because it decides on every append and every truncation.

use std::collections::BTreeMap;

use super::snapshot::SnapshotId;
use crate::types::{LeaderEpoch, Offset};

/// An offset with the epoch of the record before it. Ordered as Raft compares logs: the later epoch
/// is ahead, whatever the offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogPosition {
    /// The epoch of the last record before `offset`; 0 before the first record.
    pub epoch: LeaderEpoch,
    /// The offset of the next record.
    pub offset: Offset,
}

/// How a replica's fetch position relates to the leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchPosition {
    /// The log contains the position.
    Valid,
    /// The replica must truncate: the end of the largest epoch not above its own.
    Diverging(LogPosition),
    /// The replica must load a snapshot: the log no longer reaches back to it.
    Snapshot(SnapshotId),
}

/// Start, end, epochs, durable end and snapshots of the log.
///
/// Invariants: `start <= synced <= end`; epochs and their start offsets strictly ascend; a log that
/// starts above 0 has a snapshot at or after its start.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogSummary {
    start: Offset,
    end: Offset,
    synced: Offset,
    /// Each epoch with the offset of its first record.
    epochs: Vec<(LeaderEpoch, Offset)>,
    /// The complete snapshots with their sizes in bytes, without the one that `format` writes.
    snapshots: BTreeMap<SnapshotId, u64>,
}

impl LogSummary {
    /// A log as it was opened. The driver has synced it since: after a kill of the process it may
    /// have read what is only in the page cache.
    pub fn new(
        start: Offset,
        end: Offset,
        epochs: Vec<(LeaderEpoch, Offset)>,
        snapshots: impl IntoIterator<Item = (SnapshotId, u64)>,
    ) -> Self {
        let snapshots = snapshots.into_iter().filter(|(id, _)| *id != SnapshotId::BOOTSTRAP);
        let log = Self { start, end, synced: end, epochs, snapshots: snapshots.collect() };
        log.check();
        log
    }

    fn check(&self) {
        let Self { start, end, synced, .. } = self;
        assert!(start <= synced && synced <= end, "log start {start}, synced {synced}, end {end}");
        let ascend =
            |pair: &[(LeaderEpoch, Offset)]| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1;
        assert!(self.epochs.windows(2).all(ascend), "epochs do not ascend: {:?}", self.epochs);
        let newest = self.latest_snapshot().map_or(0, |id| id.offset);
        assert!(*start <= newest, "the log starts at {start}, the newest snapshot is at {newest}");
    }

    /// The first offset.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The offset of the next record, and the epoch of the last one.
    pub fn end(&self) -> LogPosition {
        let epoch = match self.epochs.last() {
            Some((epoch, _)) => *epoch,
            // An empty log continues its snapshot.
            None => {
                self.latest_snapshot().filter(|id| id.offset == self.end).map_or(0, |id| id.epoch)
            }
        };
        LogPosition { epoch, offset: self.end }
    }

    /// The offset up to which the log survives a power loss.
    pub fn synced(&self) -> Offset {
        self.synced
    }

    /// The newest snapshot.
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.keys().next_back().copied()
    }

    /// The size of a snapshot in bytes, if it exists.
    pub fn snapshot_size(&self, id: SnapshotId) -> Option<u64> {
        self.snapshots.get(&id).copied()
    }

    /// The end of the largest epoch that is not above `epoch` (Kafka's `endOffsetForEpoch`).
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> LogPosition {
        let end = self.end();
        if epoch >= end.epoch {
            return end;
        }
        let after = self.epochs.partition_point(|(own, _)| *own <= epoch);
        let offset = self.epochs.get(after).map_or(self.end, |(_, first)| *first);
        match after.checked_sub(1) {
            Some(at) => LogPosition { epoch: self.epochs[at].0, offset },
            // Before the first record that is left there is only the snapshot.
            None => match self.snapshots.keys().next().filter(|id| id.offset == offset) {
                Some(id) => LogPosition { epoch: id.epoch, offset },
                None => LogPosition { epoch, offset },
            },
        }
    }

    /// Where a replica stands that has fetched up to `position` (Kafka's `validateOffsetAndEpoch`
    /// and the rule of `tryCompleteFetchRequest` for offset 0).
    pub fn locate(&self, position: LogPosition) -> FetchPosition {
        let LogPosition { epoch, offset } = position;
        if let Some(latest) = self.latest_snapshot() {
            let is_below = match self.snapshots.keys().next() {
                Some(earliest) => {
                    epoch < earliest.epoch
                        || (offset == self.start && self.start > 0 && epoch != earliest.epoch)
                }
                None => false,
            };
            if offset == 0 || offset < self.start || is_below {
                return FetchPosition::Snapshot(latest);
            }
        }
        if offset == 0 && self.start == 0 {
            return FetchPosition::Valid;
        }
        let end = self.end_of_epoch(epoch);
        if end.epoch != epoch || end.offset < offset {
            FetchPosition::Diverging(end)
        } else {
            FetchPosition::Valid
        }
    }

    /// The offset to truncate to when the leader's log ends its largest common epoch at `leader`
    /// (Kafka's `truncateToEndOffset`).
    pub fn truncation_point(&self, leader: LogPosition) -> Offset {
        let own = self.end_of_epoch(leader.epoch);
        let point = if leader.epoch == 0 {
            leader.offset.min(self.end)
        } else if own.epoch == leader.epoch {
            own.offset.min(leader.offset)
        } else {
            own.offset
        };
        point.min(self.end)
    }

    /// Adds records up to `end`, written in `epoch`.
    pub(super) fn append(&mut self, end: Offset, epoch: LeaderEpoch) {
        assert!(end > self.end, "an append moves the log end from {} to {end}", self.end);
        if self.end().epoch != epoch || self.epochs.is_empty() {
            assert!(epoch >= self.end().epoch, "epoch {epoch} follows {:?}", self.epochs.last());
            self.epochs.push((epoch, self.end));
        }
        self.end = end;
    }

    /// Removes the records from `to` on.
    pub(super) fn truncate(&mut self, to: Offset) {
        assert!(self.start <= to && to <= self.end, "truncation of {self:?} to {to}");
        self.end = to;
        self.synced = self.synced.min(to);
        let keep = self.epochs.partition_point(|(_, first)| *first < to);
        self.epochs.truncate(keep);
    }

    /// The log is durable up to `offset`.
    pub(super) fn set_synced(&mut self, offset: Offset) {
        assert!(offset <= self.end, "synced to {offset}, the log ends at {}", self.end);
        self.synced = self.synced.max(offset);
    }

    /// A snapshot was written.
    pub(super) fn add_snapshot(&mut self, id: SnapshotId, bytes: u64) {
        if id != SnapshotId::BOOTSTRAP {
            self.snapshots.insert(id, bytes);
        }
    }

    /// The log was replaced by a snapshot that is ahead of it.
    pub(super) fn restart_at(&mut self, id: SnapshotId, bytes: u64) {
        assert!(LogPosition::from(id) > self.end(), "{id} is not ahead of {:?}", self.end());
        let snapshots = BTreeMap::from([(id, bytes)]);
        *self =
            Self { start: id.offset, end: id.offset, synced: id.offset, epochs: vec![], snapshots };
    }

    /// Records before `start`, and the snapshots before it, were deleted.
    pub(super) fn clean(&mut self, start: Offset) {
        assert!(start <= self.end, "the log cannot start at {start}: it ends at {}", self.end);
        self.start = self.start.max(start);
        self.snapshots.retain(|id, _| id.offset >= self.start);
        let first = self.epochs.partition_point(|(_, first)| *first <= self.start);
        // The epoch that spans the start begins there now.
        self.epochs.drain(..first.saturating_sub(1));
        if let Some((_, first)) = self.epochs.first_mut() {
            *first = (*first).max(self.start);
        }
        if self.start == self.end {
            self.epochs.clear();
        }
        self.check();
    }
}

impl From<SnapshotId> for LogPosition {
    fn from(id: SnapshotId) -> Self {
        Self { epoch: id.epoch, offset: id.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: Offset, epoch: LeaderEpoch) -> LogPosition {
        LogPosition { epoch, offset }
    }

    /// Epoch 1 wrote 0 to 4, epoch 3 wrote 5 to 9, epoch 4 wrote 10 and 11.
    fn log() -> LogSummary {
        LogSummary::new(0, 12, vec![(1, 0), (3, 5), (4, 10)], [])
    }

    #[test]
    fn a_position_is_valid_diverging_or_only_in_a_snapshot() {
        use FetchPosition::{Diverging, Snapshot, Valid};
        let log = log();
        for (at, expect) in [
            (position(0, 0), Valid),
            (position(5, 1), Valid),
            (position(6, 1), Diverging(position(5, 1))),
            (position(7, 2), Diverging(position(5, 1))),
            (position(7, 3), Valid),
            (position(12, 4), Valid),
            (position(13, 4), Diverging(position(12, 4))),
            (position(12, 5), Diverging(position(12, 4))),
            (position(3, 0), Diverging(position(0, 0))),
        ] {
            assert_eq!(log.locate(at), expect, "{at:?}");
        }
        let id = SnapshotId { offset: 7, epoch: 3 };
        let mut cut = log.clone();
        cut.add_snapshot(id, 100);
        assert_eq!(cut.locate(position(0, 0)), Snapshot(id), "a snapshot beats the whole log");
        cut.clean(7);
        for (at, expect) in [
            (position(5, 1), Snapshot(id)),
            (position(7, 1), Snapshot(id)),
            (position(7, 3), Valid),
            (position(8, 3), Valid),
            (position(9, 2), Snapshot(id)),
            (position(11, 3), Diverging(position(10, 3))),
        ] {
            assert_eq!(cut.locate(at), expect, "{at:?}");
        }
    }

    #[test]
    fn a_follower_truncates_to_the_last_common_offset() {
        let log = log();
        for (leader, expect) in [
            (position(8, 3), 8),
            (position(20, 3), 10),
            (position(20, 2), 5),
            (position(0, 0), 0),
            (position(20, 9), 12),
        ] {
            assert_eq!(log.truncation_point(leader), expect, "{leader:?}");
        }
        let mut cut = log.clone();
        cut.truncate(10);
        assert_eq!((cut.end(), cut.synced()), (position(10, 3), 10));
        cut.append(11, 7);
        assert_eq!((cut.end(), cut.synced()), (position(11, 7), 10));
    }

    #[test]
    fn a_log_that_was_replaced_by_a_snapshot_continues_its_epoch() {
        let mut log = log();
        let id = SnapshotId { offset: 40, epoch: 6 };
        log.restart_at(id, 9);
        assert_eq!(log.end(), position(40, 6));
        assert_eq!(log.end_of_epoch(6), position(40, 6));
        assert_eq!(log.locate(position(40, 6)), FetchPosition::Valid);
        log.append(41, 6);
        assert_eq!(log.end(), position(41, 6));
        assert_eq!(log.locate(position(40, 6)), FetchPosition::Valid);
    }

    #[test]
    fn positions_compare_by_epoch_first() {
        assert!(position(3, 5) > position(9, 4));
        assert!(position(9, 5) > position(3, 5));
    }
}
