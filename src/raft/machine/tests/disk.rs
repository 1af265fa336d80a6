//! The disk of a simulated replica: a log of batches whose unsynced tail a crash may take, snapshots,
//! and the quorum-state file.

use std::collections::BTreeMap;

use super::super::super::batch::ControlRecord;
use super::super::super::history::QuorumHistory;
use super::super::super::log_summary::LogSummary;
use super::super::super::quorum_state::ElectionState;
use super::super::super::snapshot::SnapshotId;
use super::super::super::voters::VoterSet;
use super::super::BatchSummary;
use crate::types::{LeaderEpoch, Offset};

/// A batch: control records, or the number of one data record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SimBatch {
    pub(super) base: Offset,
    pub(super) end: Offset,
    pub(super) epoch: LeaderEpoch,
    pub(super) data: u64,
    pub(super) control: Vec<ControlRecord>,
}

impl SimBatch {
    pub(super) fn summary(&self) -> BatchSummary {
        let Self { base, end, epoch, .. } = *self;
        BatchSummary { base, end, epoch, control: self.control.clone() }
    }

    /// What identifies the record at `offset`.
    fn record(&self, offset: Offset) -> (LeaderEpoch, String) {
        let index = usize::try_from(offset - self.base).unwrap();
        let content =
            self.control.get(index).map_or_else(|| self.data.to_string(), |it| format!("{it:?}"));
        (self.epoch, content)
    }
}

/// A snapshot: what it says of the quorum, and a digest of all records before its offset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SimSnapshot {
    pub(super) id: SnapshotId,
    pub(super) kraft_version: i16,
    pub(super) voters: Option<VoterSet>,
    pub(super) records: Vec<(LeaderEpoch, String)>,
}

impl SimSnapshot {
    /// Large enough for several chunks.
    pub(super) const BYTES: u64 = 250;
}

/// A log: batches from `start` on, and the snapshots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SimLog {
    pub(super) start: Offset,
    pub(super) batches: Vec<SimBatch>,
    pub(super) snapshots: BTreeMap<SnapshotId, SimSnapshot>,
}

impl SimLog {
    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(self.start, |batch| batch.end)
    }

    pub(super) fn append(&mut self, batch: SimBatch) {
        assert_eq!(batch.base, self.end(), "batches continue the log");
        self.batches.push(batch);
    }

    pub(super) fn truncate(&mut self, to: Offset) {
        self.batches.retain(|batch| batch.base < to);
        assert!(self.end() <= to, "truncation splits a batch");
    }

    /// The batches up to `end`.
    pub(super) fn prefix(&self, end: Offset) -> Self {
        let mut prefix = self.clone();
        prefix.batches.retain(|batch| batch.end <= end);
        prefix
    }

    pub(super) fn read(&self, from: Offset, most: usize) -> Vec<SimBatch> {
        self.batches.iter().filter(|batch| batch.base >= from).take(most).cloned().collect()
    }

    /// The record at `offset`, from the log or from the newest snapshot.
    pub(super) fn record(&self, offset: Offset) -> Option<(LeaderEpoch, String)> {
        let at = self.batches.partition_point(|batch| batch.end <= offset);
        match self.batches.get(at).filter(|batch| batch.base <= offset) {
            Some(batch) => Some(batch.record(offset)),
            None => {
                let (_, newest) = self.snapshots.last_key_value()?;
                newest.records.get(usize::try_from(offset).ok()?).cloned()
            }
        }
    }

    pub(super) fn records_before(&self, end: Offset) -> Option<Vec<(LeaderEpoch, String)>> {
        (0..end).map(|offset| self.record(offset)).collect()
    }

    /// The log starts at a snapshot; older snapshots go.
    pub(super) fn clean(&mut self, start: Offset) {
        self.start = start;
        self.batches.retain(|batch| batch.end > start);
        self.snapshots.retain(|id, _| id.offset >= start);
    }

    pub(super) fn restart_at(&mut self, snapshot: SimSnapshot) {
        self.start = snapshot.id.offset;
        self.batches.clear();
        self.snapshots = BTreeMap::from([(snapshot.id, snapshot)]);
    }

    /// As a driver builds it when it opens the log.
    pub(super) fn summary(&self) -> LogSummary {
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        for batch in &self.batches {
            if epochs.last().is_none_or(|(epoch, _)| *epoch != batch.epoch) {
                epochs.push((batch.epoch, batch.base));
            }
        }
        let snapshots = self.snapshots.keys().map(|id| (*id, SimSnapshot::BYTES));
        LogSummary::new(self.start, self.end(), epochs, snapshots)
    }

    pub(super) fn history(&self, formatted: &QuorumHistory) -> QuorumHistory {
        let mut history = formatted.clone();
        if let Some((id, oldest)) = self.snapshots.first_key_value() {
            history.restart_at(id.offset, oldest.kraft_version, oldest.voters.clone());
        }
        let from = self.snapshots.first_key_value().map_or(0, |(id, _)| id.offset);
        for batch in self.batches.iter().filter(|batch| batch.base >= from) {
            for (offset, record) in (batch.base..).zip(&batch.control) {
                history.apply(record, offset);
            }
        }
        history
    }
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(super) struct SimDisk {
    pub(super) log: SimLog,
    pub(super) election: Option<ElectionState>,
}
