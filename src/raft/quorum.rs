//! Who leads (Kafka 4.4 `QuorumState`, `KRaftControlRecordStateMachine`, `LeaderState`).
//!
//! Pure: the driver persists an [`ElectionState`] before it relies on it. Today's quorum has one
//! voter, who elects himself; votes and fetches of others come in here when there are others.

use std::collections::BTreeSet;

use super::batch::ControlRecord;
use super::quorum_state::{ElectionState, Remembered};
use super::voters::{ReplicaKey, Voter, VoterSet};
use crate::types::{BrokerId, LeaderEpoch, Offset};

/// What the control records of snapshot and log say of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumRecords {
    /// The version of the quorum's protocol: 0 has static voters.
    pub kraft_version: i16,
    /// The voters: configured ones until a record names others.
    pub voters: VoterSet,
    /// Where the voters were recorded: the offset before the first where `format` did; `None` where
    /// no record names them.
    pub voters_at: Option<Offset>,
}

/// Why this node cannot lead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// It does not vote.
    #[error(
        "node {id} with metadata directory {} is not a voter: the voters are {voters}. It is the \
         directory of a broker, or was formatted anew: use the voter's, as metadata.log.dir",
        .directory.as_ref().map_or_else(|| "(no id)".to_owned(), ToString::to_string)
    )]
    NotAVoter {
        /// This node.
        id: BrokerId,
        /// The directory of its metadata log.
        directory: Option<crate::types::Uuid>,
        /// Who votes.
        voters: String,
    },
    /// The quorum was another one when this directory was last used: what the metadata log has is
    /// only what its leader had sent so far.
    #[error(
        "the metadata log was last used with the static voters {remembered:?}, and \
         controller.quorum.voters names {configured}: this is not the directory of the controller \
         that led it. Use that one, as its metadata.log.dir"
    )]
    OtherVoters {
        /// Who voted then.
        remembered: BTreeSet<BrokerId>,
        /// Who votes now.
        configured: String,
    },
    /// Others vote too.
    #[error("the quorum has the voters {0}: more than one voter is not supported yet")]
    NotAlone(String),
}

/// The part of this node in the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It knows an epoch, and no leader in it that could be followed. A leader that restarts
    /// begins here: what it had not flushed may be gone, so the epoch in which it led is over.
    Unattached,
    /// It stands for election.
    Candidate,
    /// It leads; its first record of the epoch is at `epoch_start`.
    Leader {
        /// The log's end when it was elected.
        epoch_start: Offset,
    },
}

/// The quorum as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    me: ReplicaKey,
    records: QuorumRecords,
    election: ElectionState,
    /// The static voters that were there before, if they are not those of now.
    other_voters: Option<BTreeSet<BrokerId>>,
    role: Role,
}

impl QuorumRecords {
    /// Before any record: the configured voters, if any.
    pub fn new(configured: VoterSet) -> Self {
        Self { kraft_version: 0, voters: configured, voters_at: None }
    }

    /// Applies a control record.
    pub fn apply(&mut self, record: &ControlRecord, offset: Offset) {
        match record {
            ControlRecord::KraftVersion(version) => self.kraft_version = *version,
            ControlRecord::Voters(voters) => {
                self.voters = voters.clone();
                self.voters_at = Some(offset);
            }
            ControlRecord::LeaderChange { .. }
            | ControlRecord::SnapshotHeader { .. }
            | ControlRecord::SnapshotFooter => {}
        }
    }

    fn describe(&self) -> String {
        let voters: Vec<String> = self
            .voters
            .iter()
            .map(|voter| match voter.key.directory {
                Some(directory) => format!("{}:{directory}", voter.key.id),
                None => voter.key.id.to_string(),
            })
            .collect();
        format!("[{}]", voters.join(", "))
    }
}

impl Quorum {
    /// As a node finds it at its start: what it remembers, and the epoch of its last record.
    pub fn new(
        me: ReplicaKey,
        records: QuorumRecords,
        remembered: Option<Remembered>,
        log_epoch: LeaderEpoch,
    ) -> Self {
        let Remembered { mut election, static_voters } = remembered.unwrap_or_default();
        let voters: BTreeSet<BrokerId> = records.voters.ids().collect();
        let other_voters = static_voters
            .filter(|before| records.kraft_version == 0 && !before.is_empty() && *before != voters);
        if election.epoch < log_epoch {
            tracing::warn!(
                remembered = election.epoch,
                log = log_epoch,
                "the quorum-state file is older than the log"
            );
            election = ElectionState { epoch: log_epoch, ..ElectionState::default() };
        }
        Self { me, records, election, other_voters, role: Role::Unattached }
    }

    /// Who this node is.
    pub fn me(&self) -> ReplicaKey {
        self.me
    }

    /// The epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.election.epoch
    }

    /// The leader, if known.
    pub fn leader(&self) -> Option<BrokerId> {
        self.election.leader
    }

    /// This node's part.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What the control records say.
    pub fn records(&self) -> &QuorumRecords {
        &self.records
    }

    /// What is to be persisted.
    pub fn election(&self) -> &ElectionState {
        &self.election
    }

    /// The only voter stands for election in the next epoch. Returns what to persist before
    /// anything else happens: this node voted.
    pub fn become_candidate(&mut self) -> Result<&ElectionState, QuorumError> {
        let voters = &self.records.voters;
        if !voters.is_voter(self.me) {
            let ReplicaKey { id, directory } = self.me;
            return Err(QuorumError::NotAVoter { id, directory, voters: self.records.describe() });
        }
        if let Some(remembered) = self.other_voters.clone() {
            let configured = self.records.describe();
            return Err(QuorumError::OtherVoters { remembered, configured });
        }
        if !voters.is_only_voter(self.me) {
            return Err(QuorumError::NotAlone(self.records.describe()));
        }
        let epoch = self.election.epoch + 1;
        self.election = ElectionState { epoch, leader: None, voted: Some(self.me) };
        self.role = Role::Candidate;
        Ok(&self.election)
    }

    /// A majority granted its vote: the candidate itself. Returns what to persist before the first
    /// record of the epoch is appended, at `epoch_start`.
    pub fn become_leader(&mut self, epoch_start: Offset) -> &ElectionState {
        assert!(self.role == Role::Candidate, "only a candidate is elected, not {:?}", self.role);
        let epoch = self.election.epoch;
        // Kafka keeps no vote beside a known leader.
        self.election = ElectionState { epoch, leader: Some(self.me.id), voted: None };
        self.role = Role::Leader { epoch_start };
        &self.election
    }

    /// The records with which a leader begins its epoch. `local` is how this node is reached now:
    /// the voters are recorded when that changed, and when only `format` recorded them.
    pub fn first_records(&self, local: &Voter) -> Vec<ControlRecord> {
        let voters: Vec<BrokerId> = self.records.voters.ids().collect();
        let granting = vec![self.me.id];
        let mut records =
            vec![ControlRecord::LeaderChange { leader: self.me.id, voters, granting }];
        if self.records.kraft_version >= 1 {
            let is_in_log = self.records.voters_at.is_some_and(|offset| offset >= 0);
            let changed = self.records.voters.updated(local);
            if !is_in_log || changed.is_some() {
                let voters = changed.unwrap_or_else(|| self.records.voters.clone());
                records.push(ControlRecord::KraftVersion(self.records.kraft_version));
                records.push(ControlRecord::Voters(voters));
            }
        }
        records
    }

    /// Applies a control record that this leader appended.
    pub fn apply(&mut self, record: &ControlRecord, offset: Offset) {
        self.records.apply(record, offset);
    }
}

#[cfg(test)]
mod tests {
    use super::super::voters::DynamicVoter;
    use super::*;

    fn voter(text: &str) -> Voter {
        DynamicVoter::parse(text).unwrap().to_voter("CONTROLLER")
    }

    const ME: &str = "1@a:9:JEXY6aqzQY-32P5TStzaFg";
    const OTHER: &str = "2@b:9:MvDxzVmcRsaTz33bUuRU6A";

    fn formatted(voters: &[&str]) -> QuorumRecords {
        let mut records = QuorumRecords::new(VoterSet::default());
        records.apply(&ControlRecord::KraftVersion(1), -1);
        let voters = VoterSet::new(voters.iter().map(|text| voter(text)));
        records.apply(&ControlRecord::Voters(voters), -1);
        records
    }

    fn quorum(voters: &[&str], election: Option<ElectionState>, log_epoch: i32) -> Quorum {
        let remembered = election.map(|election| Remembered { election, static_voters: None });
        Quorum::new(voter(ME).key, formatted(voters), remembered, log_epoch)
    }

    #[test]
    fn the_only_voter_leads_the_next_epoch_and_votes_before() {
        let mut quorum = quorum(&[ME], None, 0);
        let voted = quorum.become_candidate().unwrap().clone();
        assert_eq!(voted, ElectionState { epoch: 1, leader: None, voted: Some(voter(ME).key) });
        let leads = quorum.become_leader(0).clone();
        assert_eq!(leads, ElectionState { epoch: 1, leader: Some(1), voted: None });
        let mut rebooted = super::tests::quorum(&[ME], Some(leads), 1);
        assert_eq!(
            rebooted.become_candidate().unwrap().epoch,
            2,
            "a restarted leader leads a new epoch"
        );
    }

    #[test]
    fn an_epoch_that_the_log_has_seen_is_never_led_again() {
        let stale = ElectionState { epoch: 3, leader: Some(1), voted: None };
        let mut quorum = quorum(&[ME], Some(stale), 7);
        assert_eq!(quorum.become_candidate().unwrap().epoch, 8);
    }

    #[test]
    fn a_node_that_does_not_vote_or_not_alone_is_told_who_votes() {
        let error = quorum(&[OTHER], None, 0).become_candidate().unwrap_err().to_string();
        assert_eq!(
            error,
            "node 1 with metadata directory JEXY6aqzQY-32P5TStzaFg is not a voter: the voters are \
             [2:MvDxzVmcRsaTz33bUuRU6A]. It is the directory of a broker, or was formatted anew: \
             use the voter's, as metadata.log.dir"
        );
        let error = quorum(&[ME, OTHER], None, 0).become_candidate().unwrap_err().to_string();
        assert_eq!(
            error,
            "the quorum has the voters [1:JEXY6aqzQY-32P5TStzaFg, 2:MvDxzVmcRsaTz33bUuRU6A]: more \
             than one voter is not supported yet"
        );
    }

    #[test]
    fn a_copy_that_a_broker_kept_of_another_controllers_log_is_not_led() {
        let fixed =
            VoterSet::new([Voter { key: ReplicaKey { id: 1, directory: None }, ..voter(ME) }]);
        let become_candidate = |before: &[BrokerId], kraft_version| {
            let election = ElectionState { epoch: 4, leader: Some(9), voted: None };
            let static_voters = Some(before.iter().copied().collect());
            let records = QuorumRecords { kraft_version, ..QuorumRecords::new(fixed.clone()) };
            let remembered = Some(Remembered { election, static_voters });
            let mut quorum = Quorum::new(voter(ME).key, records, remembered, 4);
            quorum.become_candidate().map(|state| state.epoch).map_err(|error| error.to_string())
        };
        assert_eq!(
            become_candidate(&[9], 0).unwrap_err(),
            "the metadata log was last used with the static voters {9}, and \
             controller.quorum.voters names [1]: this is not the directory of the controller that \
             led it. Use that one, as its metadata.log.dir"
        );
        assert!(become_candidate(&[1, 9], 0).is_err());
        assert_eq!(become_candidate(&[1], 0), Ok(5));
        assert_eq!(become_candidate(&[], 0), Ok(5), "nothing is known of them");
        assert_eq!(become_candidate(&[9], 1), Ok(5), "records name the voters since");
    }

    #[test]
    fn voters_are_recorded_once_and_whenever_this_node_moved() {
        let kinds = |quorum: &Quorum, local: &Voter| -> Vec<&'static str> {
            let name = |record: &ControlRecord| match record {
                ControlRecord::LeaderChange { .. } => "leader",
                ControlRecord::KraftVersion(_) => "version",
                ControlRecord::Voters(_) => "voters",
                _ => "other",
            };
            quorum.first_records(local).iter().map(name).collect()
        };
        let mut quorum = quorum(&[ME], None, 0);
        assert_eq!(kinds(&quorum, &voter(ME)), ["leader", "version", "voters"]);
        for (at, record) in quorum.first_records(&voter(ME)).iter().enumerate() {
            quorum.apply(record, at as Offset);
        }
        assert_eq!(kinds(&quorum, &voter(ME)), ["leader"]);
        let moved = voter("1@elsewhere:9:JEXY6aqzQY-32P5TStzaFg");
        assert_eq!(kinds(&quorum, &moved), ["leader", "version", "voters"]);
        let fixed =
            VoterSet::new([Voter { key: ReplicaKey { id: 1, directory: None }, ..voter(ME) }]);
        let quorum = Quorum::new(voter(ME).key, QuorumRecords::new(fixed), None, 0);
        assert_eq!(kinds(&quorum, &moved), ["leader"], "static voters are not recorded");
    }
}
