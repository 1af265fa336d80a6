//! What must hold after every event.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::*;
use super::Config;
use super::broker::{Broker, Record};
use super::controller::Controller;
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, LeaderEpoch, Offset};

/// Watches the cluster from outside.
pub(super) struct Checker {
    config: Config,
    /// Every record that a leader ever reported as committed, but for those that an unclean
    /// election or the loss of as many replicas as the minimum ISR has taken.
    committed: BTreeMap<Offset, Record>,
    /// Brokers that ended uncleanly, with loss of data, and have not been in sync since.
    damaged: BTreeSet<BrokerId>,
    /// Leaders of earlier epochs do not know of an unclean election: what they commit is not kept.
    floor: LeaderEpoch,
    /// The leader epoch and high watermark that each process had.
    last_leader: [Option<(BrokerEpoch, LeaderEpoch, Offset)>; 3],
    /// Appends that were answered.
    answered: BTreeSet<u64>,
}

impl Checker {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            committed: BTreeMap::new(),
            damaged: BTreeSet::new(),
            floor: -1,
            last_leader: [None; 3],
            answered: BTreeSet::new(),
        }
    }

    pub(super) fn on_stop(&mut self, at: usize, is_clean: bool) {
        if !is_clean && self.config.loses_power {
            self.damaged.insert(at as BrokerId + 1);
        }
    }

    pub(super) fn check(
        &mut self,
        controller: &Controller,
        brokers: &[Broker],
        answers: &[(u64, AckResult)],
    ) -> Result<(), String> {
        self.note_unclean_election(controller, brokers);
        for broker in brokers {
            log_is_sound(broker)?;
        }
        logs_match(brokers)?;
        for broker in brokers {
            self.leader_commits_in_order(broker)?;
        }
        for broker in brokers {
            self.follower_is_behind(broker, brokers)?;
        }
        self.acknowledged_are_committed(answers)?;
        self.electable_are_complete(controller, brokers)?;
        maximal_isr_covers(controller, brokers)?;
        let registration = &controller.now().registration;
        self.damaged.retain(|id| {
            let is_running = brokers[*id as usize - 1].replica.is_some();
            !(is_running && registration.isr.contains(id))
        });
        Ok(())
    }

    /// After an unclean election only what the new leader has is still committed.
    fn note_unclean_election(&mut self, controller: &Controller, brokers: &[Broker]) {
        if controller.last_unclean > self.floor {
            self.floor = controller.last_unclean;
            let leader = controller.now().registration.leader;
            if let Some(broker) = brokers.iter().find(|broker| broker.id == leader) {
                self.committed.retain(|offset, record| broker.log.get(*offset) == Some(*record));
            }
        }
    }

    /// ConsistentRead, and the high watermark of an epoch never goes back.
    fn leader_commits_in_order(&mut self, broker: &Broker) -> Result<(), String> {
        let last = &mut self.last_leader[broker.id as usize - 1];
        let Some(leader) = broker.leader() else {
            *last = None;
            return Ok(());
        };
        let high_watermark = leader.high_watermark();
        let present = (broker.broker_epoch, leader.epoch());
        if let Some((broker_epoch, epoch, before)) = *last
            && (broker_epoch, epoch) == present
            && high_watermark < before
        {
            return Err(format!("high watermark of {} goes back from {before}", broker.id));
        }
        *last = Some((present.0, present.1, high_watermark));
        if leader.epoch() < self.floor {
            return Ok(());
        }
        for offset in broker.log.start..high_watermark {
            let Some(record) = broker.log.get(offset) else {
                return Err(format!("leader {} lacks committed {offset}", broker.id));
            };
            let known = *self.committed.entry(offset).or_insert(record);
            if known != record && !self.may_forget(offset) {
                return Err(format!(
                    "leader {} has {record:?} at {offset}, where {known:?} was committed",
                    broker.id
                ));
            }
        }
        Ok(())
    }

    /// A follower that has met its leader in this epoch shows only committed records.
    fn follower_is_behind(&mut self, broker: &Broker, brokers: &[Broker]) -> Result<(), String> {
        let Some(follower) = broker.follower().filter(|follower| follower.lag().is_some()) else {
            return Ok(());
        };
        let high_watermark = broker.log.high_watermark;
        let leader = brokers.iter().find(|other| {
            Some(other.id) == follower.leader()
                && other.leader().is_some_and(|leader| leader.epoch() == follower.epoch())
        });
        if let Some(leader) = leader
            && high_watermark > leader.log.end()
        {
            return Err(format!("high watermark of {} passes its leader's end", broker.id));
        }
        if follower.epoch() < self.floor {
            return Ok(());
        }
        for offset in broker.log.start..high_watermark {
            let (shown, known) = (broker.log.get(offset), self.committed.get(&offset).copied());
            if known.is_some() && shown != known && !self.may_forget(offset) {
                return Err(format!(
                    "follower {} shows {shown:?} at {offset}, where {known:?} was committed",
                    broker.id
                ));
            }
        }
        Ok(())
    }

    fn acknowledged_are_committed(&mut self, answers: &[(u64, AckResult)]) -> Result<(), String> {
        if let Some((value, _)) = answers.iter().find(|(value, _)| !self.answered.insert(*value)) {
            return Err(format!("append {value} is answered twice"));
        }
        let unknown = |value: &u64| !self.committed.values().any(|record| record.value == *value);
        let acknowledged = answers.iter().filter(|(_, result)| result.is_ok());
        match acknowledged.map(|(value, _)| value).find(|value| unknown(value)) {
            Some(value) if self.floor < 0 && self.damaged.is_empty() => {
                Err(format!("append {value} is acknowledged, and not committed"))
            }
            _ => Ok(()),
        }
    }

    /// LeaderCompleteness and LeaderCandidateCompleteness: whoever leads, or may be elected without
    /// an unclean election, has every committed record.
    fn electable_are_complete(
        &mut self,
        controller: &Controller,
        brokers: &[Broker],
    ) -> Result<(), String> {
        let registration = &controller.now().registration;
        let candidates = registration.isr.iter().chain(&registration.elr);
        for id in candidates {
            let broker = &brokers[*id as usize - 1];
            if broker.replica.is_none() && self.damaged.contains(id) {
                continue; // It will register as unclean.
            }
            let lacking = self
                .committed
                .range(broker.log.start..)
                .find(|(offset, record)| broker.log.get(**offset) != Some(**record))
                .map(|(offset, record)| (*offset, *record));
            if let Some((offset, record)) = lacking
                && !self.may_forget(offset)
            {
                return Err(format!(
                    "replica {id} may be elected, and lacks {record:?}, committed at {offset}"
                ));
            }
        }
        Ok(())
    }

    /// As many replicas as the minimum ISR were lost at once: the record may be gone, and all after
    /// it.
    fn may_forget(&mut self, offset: Offset) -> bool {
        let may = self.damaged.len() >= self.config.min_isr;
        if may {
            self.committed.split_off(&offset);
        }
        may
    }
}

/// Bounds are in order, and the epochs rise strictly and are those of the records.
fn log_is_sound(broker: &Broker) -> Result<(), String> {
    let log = &broker.log;
    let (start, high_watermark, end) = (log.start, log.high_watermark, log.end());
    if start > high_watermark || high_watermark > end {
        return Err(format!("bounds of {}: {start}, {high_watermark}, {end}", broker.id));
    }
    let entries = log.epochs.entries();
    if !entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1) {
        return Err(format!("epochs of {} do not rise: {entries:?}", broker.id));
    }
    for offset in start..end {
        let (entry, record) = (log.epochs.epoch_at(offset), log.get(offset));
        if entry != record.map(|record| record.epoch) {
            return Err(format!("epochs of {} at {offset}: {entry:?}, {record:?}", broker.id));
        }
    }
    Ok(())
}

/// LogMatching: two logs that have the same epoch at an offset are equal up to there.
fn logs_match(brokers: &[Broker]) -> Result<(), String> {
    for (at, one) in brokers.iter().enumerate() {
        for other in &brokers[at + 1..] {
            let start = one.log.start.max(other.log.start);
            let end = one.log.end().min(other.log.end());
            let mut matched = false;
            for offset in (start..end).rev() {
                let (a, b) = (one.log.get(offset), other.log.get(offset));
                matched |= a.map(|record| record.epoch) == b.map(|record| record.epoch);
                if matched && a != b {
                    return Err(format!(
                        "logs of {} and {} differ at {offset}: {a:?}, {b:?}",
                        one.id, other.id
                    ));
                }
            }
        }
    }
    Ok(())
}

/// ReplicationQuorumSuperset: the maximal ISR of the leader contains the controller's ISR.
fn maximal_isr_covers(controller: &Controller, brokers: &[Broker]) -> Result<(), String> {
    let registration = &controller.now().registration;
    for broker in brokers {
        if let Some(leader) = broker.leader()
            && leader.epoch() == registration.leader_epoch
            && let Some(id) =
                registration.isr.iter().find(|id| !leader.isr().maximal_contains(**id))
        {
            return Err(format!("leader {} does not count ISR member {id}", broker.id));
        }
    }
    Ok(())
}
