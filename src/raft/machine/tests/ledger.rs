//! What must hold after every event of the simulation, whatever happens (the TLA+ models kip_595,
//! kip_853 and kip_996; Kafka's `RaftEventSimulationTest`).

use std::collections::BTreeMap;

use super::super::super::batch::ControlRecord;
use super::super::super::quorum_state::ElectionState;
use super::super::super::voters::{ReplicaKey, VoterSet};
use super::super::{ControlBatch, QuorumMachine, RoleKind};
use super::disk::{SimDisk, SimLog};
use crate::types::{BrokerId, LeaderEpoch, Offset, Uuid};

/// What the simulation has seen so far.
#[derive(Default)]
pub(super) struct Ledger {
    /// Every record that a leader has committed.
    pub(super) committed: Vec<(LeaderEpoch, String)>,
    /// The epoch of the leader that committed each.
    committed_in: Vec<LeaderEpoch>,
    leaders: BTreeMap<LeaderEpoch, ReplicaKey>,
    votes: BTreeMap<(Option<Uuid>, LeaderEpoch), BrokerId>,
    /// The highest epoch and high watermark of each disk.
    epochs: BTreeMap<Option<Uuid>, LeaderEpoch>,
    high_watermarks: BTreeMap<Option<Uuid>, Offset>,
}

impl Ledger {
    fn committed_end(&self) -> Offset {
        self.committed.len() as Offset
    }

    /// The node leads `epoch`: no other node ever does, and its log holds everything that leaders of
    /// earlier epochs have committed.
    pub(super) fn elected(&mut self, key: ReplicaKey, epoch: LeaderEpoch, log: &SimLog) {
        let other = self.leaders.insert(epoch, key);
        assert!(other.is_none(), "{key} and {other:?} lead epoch {epoch}");
        let earlier = self.committed_in.iter().take_while(|it| **it < epoch).count();
        for (offset, record) in self.committed[..earlier].iter().enumerate() {
            let own = log.record(offset as Offset);
            assert!(
                own.as_ref() == Some(record),
                "leader {key} lacks {offset}: {own:?}, {record:?}"
            );
        }
    }

    /// The node votes.
    pub(super) fn voted(&mut self, voter: ReplicaKey, epoch: LeaderEpoch, candidate: BrokerId) {
        let other = *self.votes.entry((voter.directory, epoch)).or_insert(candidate);
        assert!(other == candidate, "{voter} votes for {other} and {candidate} in epoch {epoch}");
    }

    /// A leader, perhaps one that is deposed and does not know it, has committed up to `end`: the
    /// records are its own epoch's, and durable on a
    /// majority of the voters.
    pub(super) fn leader_committed(
        &mut self,
        machine: &QuorumMachine,
        log: &SimLog,
        end: Offset,
        disk_of: &dyn Fn(ReplicaKey) -> Option<SimDisk>,
    ) {
        let (epoch, voters) = (machine.epoch(), machine.history().voters());
        let last = log.record(end - 1);
        let last_epoch = last.as_ref().map(|(epoch, _)| *epoch);
        assert!(last_epoch == Some(epoch), "leader of {epoch} commits {last:?} by count");
        let has =
            |key: ReplicaKey| disk_of(key).is_some_and(|disk| disk.log.record(end - 1) == last);
        let holders = voters.iter().filter(|voter| has(voter.key)).count();
        assert!(
            holders > voters.len() / 2,
            "{holders} of {} voters have {end} committed by {}",
            voters.len(),
            machine.me()
        );
        for offset in self.committed_end()..end {
            self.committed.push(log.record(offset).expect("a leader has what it commits"));
            self.committed_in.push(epoch);
        }
    }

    /// A node knows that everything before `end` is committed.
    pub(super) fn knows_committed(
        &mut self,
        key: ReplicaKey,
        log: &SimLog,
        from: Offset,
        end: Offset,
    ) {
        assert!(
            end <= self.committed_end(),
            "{key} takes {end} for committed: no leader has said so"
        );
        assert!(end <= log.end(), "{key} takes {end} for committed, its log ends at {}", log.end());
        for offset in from.max(log.start)..end {
            let (own, committed) = (log.record(offset), &self.committed[offset as usize]);
            assert!(own.as_ref() == Some(committed), "{key} at {offset}: {own:?}, {committed:?}");
        }
    }

    /// A snapshot holds committed records only.
    pub(super) fn installed(&self, key: ReplicaKey, records: &[(LeaderEpoch, String)]) {
        let committed = self.committed.get(..records.len());
        assert!(committed == Some(records), "{key} installs a snapshot of other records");
    }

    /// Truncation never removes a committed record.
    pub(super) fn truncated(&self, key: ReplicaKey, log: &SimLog, to: Offset) {
        if let Some(committed) = self.committed.get(to as usize) {
            let own = log.record(to);
            assert!(own.as_ref() != Some(committed), "{key} truncates {to}, which is committed");
        }
    }

    /// Voters change one at a time, and after a record of the epoch and the last change are
    /// committed.
    pub(super) fn appended(
        &self,
        before: &VoterSet,
        changed_at: Option<Offset>,
        batch: &ControlBatch,
    ) {
        for record in &batch.records {
            let ControlRecord::Voters(after) = record else { continue };
            assert!(before.is_adjacent(after), "{before} becomes {after} at once");
            if before.len() != after.len() {
                // A deposed leader may not know better yet, but it has committed in its own epoch.
                let has_own = self.committed.iter().any(|(epoch, _)| *epoch == batch.epoch);
                assert!(has_own, "{after} before a commit of {}", batch.epoch);
                let is_committed = changed_at.is_none_or(|at| at < self.committed_end());
                assert!(is_committed, "{after} before {before} is committed");
            }
        }
    }

    /// Epoch, leader and vote are always what the disk has.
    pub(super) fn check_persisted(machine: &QuorumMachine, disk: &SimDisk) {
        let me = machine.me();
        let strip = |state: &ElectionState| {
            let voted = state.voted.map(|key| key.id);
            (state.epoch, state.leader, voted)
        };
        let persisted = disk.election.as_ref().map(strip);
        assert!(
            persisted == Some(strip(machine.election())),
            "{me} has not persisted its election"
        );
    }

    /// After a step: machine and log agree, and nothing has gone back, over restarts too.
    pub(super) fn after_step(&mut self, machine: &QuorumMachine, log: &SimLog, disk: &SimDisk) {
        let me = machine.me();
        assert_eq!(machine.log().end().offset, log.end(), "{me} and its log");
        assert_eq!(machine.log().start(), log.start, "{me} and its log");
        let epoch = self.epochs.entry(me.directory).or_insert(0);
        assert!(*epoch <= machine.epoch(), "the epoch of {me} fell from {epoch}");
        *epoch = machine.epoch();
        if let Some(hw) = machine.high_watermark() {
            let highest = self.high_watermarks.entry(me.directory).or_insert(hw);
            let durable = disk.log.end();
            // What was learned before a crash is still there, even if it is not known yet.
            assert!(*highest <= durable.max(hw), "{me} lost what it knew committed: {highest}");
            *highest = hw.max(*highest);
        }
        if machine.role() == RoleKind::Leader {
            let leader = self.leaders.get(&machine.epoch());
            assert!(leader == Some(&me), "{me} leads {} as well as {leader:?}", machine.epoch());
        }
    }
}
