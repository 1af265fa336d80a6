//! The roles of a replica and the state of each (Kafka 4.4 `EpochState` and its implementations).
//!
//! Epoch, leader and vote are not part of a role: the machine keeps them as the one
//! [`ElectionState`](super::super::quorum_state::ElectionState), which is always what was persisted.

use std::collections::{BTreeMap, BTreeSet};

use super::super::snapshot::SnapshotId;
use super::super::voters::{ReplicaKey, VoterEndpoint, VoterSet};
use super::progress::Leader;
use crate::types::{BrokerId, Mono, Offset};

/// The role of a replica. An observer is only ever [`Unattached`](Self::Unattached) or
/// [`Follower`](Self::Follower), or [`Resigned`](Self::Resigned) when it led until its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleKind {
    /// Knows an epoch and no leader that could be followed.
    Unattached,
    /// Asks whether it could win an election, without a new epoch.
    Prospective,
    /// Stands for election in a new epoch.
    Candidate,
    /// Leads the epoch.
    Leader,
    /// Fetches from the leader of the epoch.
    Follower,
    /// Led the epoch and has given it up.
    Resigned,
}

#[derive(Clone, Debug)]
pub(super) enum RoleState {
    Unattached(Unattached),
    Prospective(Prospective),
    Candidate(Candidate),
    Leader(Box<Leader>),
    Follower(Follower),
    Resigned(Resigned),
}

#[derive(Clone, Debug)]
pub(super) struct Unattached {
    /// When to stand for election; never for an observer.
    pub(super) election_at: Option<Mono>,
}

#[derive(Clone, Debug)]
pub(super) struct Prospective {
    pub(super) tally: Tally,
    pub(super) election_at: Mono,
    /// Where the leader of the epoch was reached, if there was one.
    pub(super) leader_endpoints: Vec<VoterEndpoint>,
}

#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) tally: Tally,
    /// When the election has failed.
    pub(super) election_at: Mono,
}

#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) leader: BrokerId,
    pub(super) endpoints: Vec<VoterEndpoint>,
    /// When a voter stops believing in its leader.
    pub(super) fetch_timeout_at: Mono,
    /// Whether the leader has answered a fetch in this epoch and has not resigned since: then no
    /// pre-vote is granted against it.
    pub(super) has_live_leader: bool,
    /// When to compare its recorded voter entry with what it is, or to ask to become a voter.
    pub(super) membership_at: Mono,
    /// Whether the leader has taken an UpdateRaftVoter in this epoch.
    pub(super) has_updated_leader: bool,
    /// What the leader has committed, which may be more than this replica has.
    pub(super) leader_high_watermark: Option<Offset>,
    pub(super) download: Option<Download>,
}

/// A snapshot that is being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Download {
    pub(super) id: SnapshotId,
    /// The bytes received.
    pub(super) position: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Resigned {
    /// The voters that have not acknowledged it.
    pub(super) unacknowledged: BTreeSet<BrokerId>,
    pub(super) successors: Vec<ReplicaKey>,
    /// When to enter the next epoch.
    pub(super) election_at: Mono,
}

/// The votes of an election (Kafka 4.4 `EpochElection`).
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Each voter with its answer, if it has answered.
    votes: BTreeMap<BrokerId, (ReplicaKey, Option<bool>)>,
}

impl Tally {
    /// An election in which only `own` has voted, for itself.
    pub(super) fn new(voters: &VoterSet, own: BrokerId) -> Self {
        let vote = |key: ReplicaKey| (key.id, (key, (key.id == own).then_some(true)));
        Self { votes: voters.iter().map(|voter| vote(voter.key)).collect() }
    }

    /// Records an answer. The first one of a voter counts.
    pub(super) fn record(&mut self, voter: BrokerId, granted: bool) {
        if let Some((_, vote)) = self.votes.get_mut(&voter) {
            vote.get_or_insert(granted);
        }
    }

    fn count(&self, answer: Option<bool>) -> usize {
        self.votes.values().filter(|(_, vote)| *vote == answer).count()
    }

    fn majority(&self) -> usize {
        self.votes.len() / 2 + 1
    }

    pub(super) fn is_granted(&self) -> bool {
        self.count(Some(true)) >= self.majority()
    }

    /// Whether no majority is possible any more.
    pub(super) fn is_rejected(&self) -> bool {
        self.count(Some(true)) + self.count(None) < self.majority()
    }

    pub(super) fn unanswered(&self) -> Vec<ReplicaKey> {
        self.votes.values().filter(|(_, vote)| vote.is_none()).map(|(key, _)| *key).collect()
    }

    pub(super) fn granting(&self) -> Vec<BrokerId> {
        let granted = self.votes.iter().filter(|(_, (_, vote))| *vote == Some(true));
        granted.map(|(id, _)| *id).collect()
    }
}

impl RoleState {
    pub(super) fn kind(&self) -> RoleKind {
        match self {
            Self::Unattached(_) => RoleKind::Unattached,
            Self::Prospective(_) => RoleKind::Prospective,
            Self::Candidate(_) => RoleKind::Candidate,
            Self::Leader(_) => RoleKind::Leader,
            Self::Follower(_) => RoleKind::Follower,
            Self::Resigned(_) => RoleKind::Resigned,
        }
    }
}
