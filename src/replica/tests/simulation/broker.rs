//! A broker: a log on a disk that can lose what was not synced, and the replica over it.

use std::time::Duration;

use super::super::super::*;
use super::controller::Image;
use crate::log::epochs::Epochs;
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, LeaderEpoch, Offset};

/// A record; each is a batch of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) epoch: LeaderEpoch,
    /// Unique, so that records of equal epoch and offset can be told apart.
    pub(super) value: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SimLog {
    pub(super) start: Offset,
    pub(super) records: Vec<Record>,
    pub(super) epochs: Epochs,
    pub(super) high_watermark: Offset,
    /// What survives a power failure.
    synced_end: Offset,
    checkpointed_high_watermark: Offset,
}

impl SimLog {
    pub(super) fn end(&self) -> Offset {
        self.start + self.records.len() as Offset
    }

    pub(super) fn get(&self, offset: Offset) -> Option<Record> {
        self.records.get(usize::try_from(offset - self.start).ok()?).copied()
    }

    /// The records from `from` up to `upto`, as far as they are there without a gap.
    pub(super) fn read(&self, from: Offset, upto: Offset) -> Vec<(Offset, Record)> {
        (from..upto).map_while(|offset| Some((offset, self.get(offset)?))).collect()
    }

    pub(super) fn facts(&self) -> LogFacts<'_> {
        LogFacts {
            start: self.start,
            end: self.end(),
            high_watermark: self.high_watermark,
            epochs: &self.epochs,
        }
    }

    pub(super) fn append(&mut self, record: Record) {
        self.epochs.assign(record.epoch, self.end());
        self.records.push(record);
    }

    pub(super) fn truncate(&mut self, to: Offset) {
        assert!(to >= self.start && to <= self.end(), "truncation to {to} is outside of the log");
        self.records.truncate((to - self.start) as usize);
        self.epochs.truncate_end(to);
        self.high_watermark = self.high_watermark.min(to);
        self.checkpointed_high_watermark = self.checkpointed_high_watermark.min(to);
        self.synced_end = self.synced_end.min(to);
    }

    pub(super) fn restart_at(&mut self, start: Offset) {
        *self = Self {
            start,
            high_watermark: start,
            synced_end: start,
            checkpointed_high_watermark: start,
            ..Self::default()
        };
    }

    pub(super) fn set_start(&mut self, start: Offset) {
        assert!(start <= self.high_watermark, "only committed records are deleted");
        self.records.drain(..(start - self.start) as usize);
        self.start = start;
        self.epochs.truncate_start(start);
        self.synced_end = self.synced_end.max(start);
        self.checkpointed_high_watermark = self.checkpointed_high_watermark.max(start);
    }

    pub(super) fn sync(&mut self) {
        self.synced_end = self.end();
    }

    pub(super) fn checkpoint(&mut self) {
        self.checkpointed_high_watermark = self.high_watermark;
    }

    /// How many records a power failure may take.
    pub(super) fn unsynced(&self) -> u64 {
        (self.end() - self.synced_end) as u64
    }

    /// The process ends; its last `lost` records with it.
    pub(super) fn crash(&mut self, lost: u64) {
        self.truncate(self.end() - lost as Offset);
        self.high_watermark = self.checkpointed_high_watermark;
        self.synced_end = self.end();
    }
}

/// What the replica sees of its broker.
pub(super) struct Host<'a> {
    pub(super) log: &'a mut SimLog,
    pub(super) image: &'a Image,
    pub(super) settings: ReplicaSettings,
    pub(super) acks: &'a mut ParkedAcks<u64>,
    pub(super) answers: &'a mut Vec<(u64, AckResult)>,
    pub(super) asked: &'a mut Option<FollowerRequest>,
}

impl ReplicaHost for Host<'_> {
    fn log(&self) -> LogFacts<'_> {
        self.log.facts()
    }

    fn local_end(&self) -> LocalEnd {
        LocalEnd::appended(self.log.end())
    }

    fn broker(&self, id: BrokerId) -> Option<BrokerStatus> {
        self.image.broker(id)
    }

    fn settings(&self) -> ReplicaSettings {
        self.settings
    }

    fn perform(&mut self, step: RoleStep, epoch: LeaderEpoch) -> Result<(), String> {
        match step {
            RoleStep::RecordEpochStart => {
                self.log.epochs.assign(epoch, self.log.end());
            }
            RoleStep::StopFetching => *self.asked = None,
            RoleStep::FailWaiting => {
                let answers = &mut *self.answers;
                let high_watermark = self.log.high_watermark;
                self.acks.release(high_watermark, Ok(()), |value, it| answers.push((value, it)));
                self.acks.fail(&AckFailure::NotLeader, |value, it| answers.push((value, it)));
            }
            RoleStep::ForgetVerifications | RoleStep::StartFetching | RoleStep::WakeReaders => {}
        }
        Ok(())
    }
}

pub(super) const LAG_TIME_MAX: Duration = Duration::from_millis(100);
pub(super) const BACKOFF: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) id: BrokerId,
    pub(super) log: SimLog,
    /// `None` while the process is down.
    pub(super) replica: Option<Replica>,
    pub(super) broker_epoch: BrokerEpoch,
    pub(super) is_paused: bool,
    /// The image that it has reached.
    pub(super) image_at: usize,
    /// The request of the follower that is under way.
    pub(super) asked: Option<FollowerRequest>,
    pub(super) acks: ParkedAcks<u64>,
    /// Whether the last process shut down cleanly.
    pub(super) was_clean: bool,
}

impl Broker {
    pub(super) fn is_running(&self) -> bool {
        self.replica.is_some() && !self.is_paused
    }

    pub(super) fn leader(&self) -> Option<&PartitionLeader> {
        self.replica.as_ref().and_then(Replica::leader)
    }

    pub(super) fn follower(&self) -> Option<&PartitionFollower> {
        self.replica.as_ref().and_then(Replica::follower)
    }
}
