//! The voters and the kraft.version by offset (Kafka 4.4 `VoterSetHistory`,
//! `KRaftControlRecordStateMachine`; KIP-853).
//!
//! A record counts as soon as it is in the log, committed or not; truncation brings back the one
//! before it.

use std::collections::BTreeMap;

use super::batch::ControlRecord;
use super::voters::VoterSet;
use crate::types::Offset;

/// The control records of snapshot and log, by offset. Those of a snapshot stand at the last offset
/// that it contains, those of `format` at -1.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct QuorumHistory {
    /// `controller.quorum.voters`: in force while no record names the voters.
    configured: VoterSet,
    voters: BTreeMap<Offset, VoterSet>,
    kraft_versions: BTreeMap<Offset, i16>,
}

impl QuorumHistory {
    /// Before any record: the configured voters, if there are any.
    pub fn new(configured: VoterSet) -> Self {
        Self { configured, ..Self::default() }
    }

    /// The voters in force.
    pub fn voters(&self) -> &VoterSet {
        self.voters.values().next_back().unwrap_or(&self.configured)
    }

    /// The offset of the record that names the voters in force; `None` if they are configured.
    pub fn voters_offset(&self) -> Option<Offset> {
        self.voters.keys().next_back().copied()
    }

    /// The voters that were in force for the records before `end`.
    pub fn voters_before(&self, end: Offset) -> &VoterSet {
        self.voters.range(..end).next_back().map_or(&self.configured, |(_, voters)| voters)
    }

    /// The kraft.version in force; 0 where no record names one.
    pub fn kraft_version(&self) -> i16 {
        self.kraft_versions.values().next_back().copied().unwrap_or(0)
    }

    /// The offset of the record that names the kraft.version in force.
    pub fn kraft_version_offset(&self) -> Option<Offset> {
        self.kraft_versions.keys().next_back().copied()
    }

    /// The kraft.version that was in force for the records before `end`.
    pub fn kraft_version_before(&self, end: Offset) -> i16 {
        self.kraft_versions.range(..end).next_back().map_or(0, |(_, version)| *version)
    }

    /// Applies the control record at `offset`.
    pub fn apply(&mut self, record: &ControlRecord, offset: Offset) {
        match record {
            ControlRecord::KraftVersion(version) => {
                self.kraft_versions.insert(offset, *version);
            }
            ControlRecord::Voters(voters) => {
                self.voters.insert(offset, voters.clone());
            }
            ControlRecord::LeaderChange { .. }
            | ControlRecord::SnapshotHeader { .. }
            | ControlRecord::SnapshotFooter => {}
        }
    }

    /// The records from `end` on were removed from the log.
    pub fn truncate(&mut self, end: Offset) {
        self.voters.split_off(&end);
        self.kraft_versions.split_off(&end);
    }

    /// The log was replaced by a snapshot up to `end`, which names these voters.
    pub fn restart_at(&mut self, end: Offset, kraft_version: i16, voters: Option<VoterSet>) {
        self.voters = voters.map(|voters| (end - 1, voters)).into_iter().collect();
        self.kraft_versions = BTreeMap::new();
        if kraft_version > 0 {
            self.kraft_versions.insert(end - 1, kraft_version);
        }
    }

    /// Forgets what no snapshot from `start` on needs.
    pub fn clean(&mut self, start: Offset) {
        let keep = |offsets: Option<Offset>| offsets.unwrap_or(Offset::MIN);
        let voters = keep(self.voters.range(..start).next_back().map(|(at, _)| *at));
        self.voters.retain(|offset, _| *offset >= voters);
        let versions = keep(self.kraft_versions.range(..start).next_back().map(|(at, _)| *at));
        self.kraft_versions.retain(|offset, _| *offset >= versions);
    }
}

#[cfg(test)]
mod tests {
    use super::super::voters::DynamicVoter;
    use super::*;

    fn voters(ids: &[i32]) -> VoterSet {
        let voter = |id: &i32| {
            let text = format!("{id}@host{id}:9093:JEXY6aqzQY-32P5TStzaFg");
            DynamicVoter::parse(&text).unwrap().to_voter("CONTROLLER")
        };
        VoterSet::new(ids.iter().map(voter))
    }

    #[test]
    fn the_newest_record_counts_and_truncation_brings_back_the_one_before() {
        let mut history = QuorumHistory::new(voters(&[9]));
        assert_eq!((history.voters(), history.voters_offset()), (&voters(&[9]), None));
        history.apply(&ControlRecord::KraftVersion(1), 3);
        history.apply(&ControlRecord::Voters(voters(&[1, 2])), 4);
        history.apply(&ControlRecord::Voters(voters(&[1, 2, 3])), 8);
        assert_eq!((history.voters(), history.voters_offset()), (&voters(&[1, 2, 3]), Some(8)));
        assert_eq!(history.voters_before(8), &voters(&[1, 2]));
        assert_eq!((history.kraft_version_before(3), history.kraft_version_before(4)), (0, 1));
        history.truncate(8);
        assert_eq!((history.voters(), history.kraft_version()), (&voters(&[1, 2]), 1));
        history.truncate(2);
        assert_eq!((history.voters(), history.kraft_version()), (&voters(&[9]), 0));
    }

    #[test]
    fn what_a_snapshot_needs_outlives_a_cleaned_log() {
        let mut history = QuorumHistory::default();
        for (offset, ids) in [(1, &[1][..]), (5, &[1, 2]), (9, &[1, 2, 3])] {
            history.apply(&ControlRecord::Voters(voters(ids)), offset);
        }
        history.clean(7);
        assert_eq!(history.voters_before(7), &voters(&[1, 2]));
        assert_eq!(history.voters_before(5), &VoterSet::default(), "forgotten");
        history.restart_at(20, 1, Some(voters(&[4])));
        assert_eq!((history.voters(), history.voters_offset()), (&voters(&[4]), Some(19)));
        assert_eq!(history.kraft_version_before(20), 1);
    }
}
