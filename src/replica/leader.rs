//! The leader of a partition: in-sync replicas and the high watermark.

use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

/// An append with acks=all while too few replicas are in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{in_sync} replicas are in sync, min.insync.replicas is {required}")]
pub struct NotEnoughReplicas {
    /// How many replicas are in sync.
    pub in_sync: usize,
    /// How many the topic wants.
    pub required: usize,
}

impl NotEnoughReplicas {
    /// Nothing was appended, and a retry may succeed.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::NotEnoughReplicas
    }
}

/// What the leader of one partition knows, for one leader epoch.
///
/// Invariant: the high watermark never goes back (within this epoch, as long as this value lives).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    epoch: LeaderEpoch,
    this_broker: BrokerId,
    /// The other in-sync replicas, with the end of each as far as it is known in this epoch.
    others: Vec<(BrokerId, Option<Offset>)>,
    high_watermark: Offset,
}

impl Leader {
    /// The leader of `epoch`. `high_watermark` is the last one known, from the checkpoint or from
    /// the role before.
    pub fn new(
        epoch: LeaderEpoch,
        this_broker: BrokerId,
        in_sync: &[BrokerId],
        high_watermark: Offset,
    ) -> Self {
        let mut leader = Self { epoch, this_broker, others: Vec::new(), high_watermark };
        leader.set_in_sync(in_sync);
        leader
    }

    /// The epoch it leads in.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Up to here every in-sync replica has the records.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The controller changed the in-sync replicas.
    pub fn set_in_sync(&mut self, in_sync: &[BrokerId]) {
        let before = std::mem::take(&mut self.others);
        let known = |id| before.iter().find(|(other, _)| *other == id).and_then(|(_, end)| *end);
        self.others = in_sync
            .iter()
            .filter(|id| **id != self.this_broker)
            .map(|id| (*id, known(*id)))
            .collect();
    }

    /// Whether an append with acks=all may begin (Kafka 4.4 `Partition.appendRecordsToLeader`).
    pub fn check_in_sync(&self, min_in_sync_replicas: usize) -> Result<(), NotEnoughReplicas> {
        let in_sync = self.others.len() + 1;
        if in_sync < min_in_sync_replicas {
            return Err(NotEnoughReplicas { in_sync, required: min_in_sync_replicas });
        }
        Ok(())
    }

    /// This broker's own records stand up to `end` (flushed, where the topic asks for it before
    /// an acknowledgement). Returns the high watermark, risen or not.
    pub fn on_local_progress(&mut self, end: Offset) -> Offset {
        let slowest = self.others.iter().map(|(_, end)| end.unwrap_or(self.high_watermark));
        let committed = slowest.fold(end, Offset::min);
        self.high_watermark = self.high_watermark.max(committed);
        self.high_watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_alone_in_sync_commits_what_it_has() {
        let mut leader = Leader::new(3, 1, &[1], 5);
        assert_eq!(leader.on_local_progress(9), 9);
        assert_eq!(leader.on_local_progress(7), 9, "the high watermark never goes back");
    }

    #[test]
    fn a_leader_does_not_commit_past_an_in_sync_replica_that_it_has_not_heard_of() {
        let mut leader = Leader::new(3, 1, &[1, 2], 5);
        assert_eq!(leader.on_local_progress(9), 5);
        leader.set_in_sync(&[1]);
        assert_eq!(leader.on_local_progress(9), 9);
    }

    #[test]
    fn too_few_replicas_in_sync_refuse_acks_all() {
        let leader = Leader::new(3, 1, &[1], 0);
        assert_eq!(leader.check_in_sync(1), Ok(()));
        assert_eq!(leader.check_in_sync(2), Err(NotEnoughReplicas { in_sync: 1, required: 2 }));
    }
}
