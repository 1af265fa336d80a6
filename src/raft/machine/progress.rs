//! The leader's knowledge of its replicas, and the high watermark that follows from it (Kafka 4.4
//! `LeaderState`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::voters::{ReplicaKey, Voter, VoterSet};
use super::contract::ReplyToken;
use super::message::{FetchRequest, QuorumDescription, ReplicaDescription};
use super::voter_change::VoterChange;
use crate::types::{BrokerId, LeaderEpoch, Mono, Offset};

/// An observer that has not fetched for this long is forgotten.
const OBSERVER_TIMEOUT: Duration = Duration::from_mins(5);

/// A replica must have fetched this recently to be added as a voter.
const CAUGHT_UP_WITHIN: Duration = Duration::from_hours(1);

/// The most observers that are tracked. More of them can fetch, and are not described.
const OBSERVERS_MAX: usize = 10_000;

/// What a leader knows of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplicaProgress {
    pub(super) key: ReplicaKey,
    /// The replica has everything before this offset, durably if it is a voter.
    pub(super) end: Option<Offset>,
    pub(super) last_fetch: Option<Mono>,
    /// The end of the leader's log at the fetch before.
    leader_end_at_last_fetch: Offset,
    pub(super) last_caught_up: Option<Mono>,
}

/// A fetch that waits for records.
#[derive(Clone, Debug)]
pub(super) struct ParkedFetch {
    pub(super) token: ReplyToken,
    pub(super) request: FetchRequest,
    pub(super) expires: Mono,
}

/// The state of a leader.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    pub(super) local: Voter,
    /// The end of the log at the election. Only what is after it is committed by count.
    pub(super) epoch_start: Offset,
    pub(super) voters: BTreeMap<BrokerId, ReplicaProgress>,
    observers: BTreeMap<ReplicaKey, ReplicaProgress>,
    /// Known once a record of this epoch is committed.
    pub(super) high_watermark: Option<Offset>,
    /// The voters that have fetched since the last majority of them.
    fetched: BTreeSet<BrokerId>,
    check_quorum_timeout: Duration,
    check_quorum_at: Mono,
    pub(super) begin_epoch_at: Mono,
    pub(super) parked: Vec<ParkedFetch>,
    pub(super) change: Option<VoterChange>,
    /// Under kraft.version 0: the voters as they have described themselves in this epoch.
    pub(super) described_voters: Option<VoterSet>,
    pub(super) resign_requested: bool,
}

impl ReplicaProgress {
    fn new(key: ReplicaKey) -> Self {
        let (end, last_fetch, last_caught_up) = (None, None, None);
        Self { key, end, last_fetch, leader_end_at_last_fetch: -1, last_caught_up }
    }

    /// Whether a replica is the one tracked: by id alone while the directory is not known.
    fn is(&self, replica: ReplicaKey) -> bool {
        self.key.id == replica.id
            && (self.key.directory.is_none() || self.key.directory == replica.directory)
    }

    fn fetched(&mut self, now: Mono, end: Offset, leader_end: Offset) {
        if end >= leader_end {
            self.last_caught_up = Some(now);
        } else if self.leader_end_at_last_fetch > 0 && end >= self.leader_end_at_last_fetch {
            // It had everything that there was when it fetched before.
            self.last_caught_up = self.last_caught_up.max(self.last_fetch);
        }
        self.leader_end_at_last_fetch = leader_end;
        self.last_fetch = Some(now);
        self.end = Some(end);
    }
}

impl Leader {
    pub(super) fn new(
        now: Mono,
        local: Voter,
        epoch_start: Offset,
        voters: &VoterSet,
        kraft_version: i16,
        fetch_timeout: Duration,
    ) -> Self {
        let described_voters =
            (kraft_version == 0).then(|| voters.replaced(local.clone())).flatten();
        let progress = |voter: &Voter| (voter.key.id, ReplicaProgress::new(voter.key));
        let check_quorum_timeout = fetch_timeout * 3 / 2;
        Self {
            local,
            epoch_start,
            voters: voters.iter().map(progress).collect(),
            observers: BTreeMap::new(),
            high_watermark: None,
            fetched: BTreeSet::new(),
            check_quorum_timeout,
            check_quorum_at: now + check_quorum_timeout,
            begin_epoch_at: now,
            parked: Vec::new(),
            change: None,
            described_voters,
            resign_requested: false,
        }
    }

    /// Whether the leader itself votes: not while its own removal is being committed.
    fn is_voter(&self) -> bool {
        self.voters.get(&self.local.key.id).is_some_and(|own| own.is(self.local.key))
    }

    /// What the leader itself has durably.
    pub(super) fn local_synced(&mut self, synced: Offset) {
        let key = self.local.key;
        let own = self.progress_mut(key).expect("the leader is always tracked");
        assert!(own.end <= Some(synced), "the leader's log shrank from {:?} to {synced}", own.end);
        own.end = Some(synced);
    }

    /// A replica has fetched from `end` on, a position that the leader's log contains.
    pub(super) fn replica_fetched(
        &mut self,
        now: Mono,
        replica: ReplicaKey,
        end: Offset,
        leader_end: Offset,
    ) {
        if let Some(progress) = self.progress_mut(replica) {
            progress.fetched(now, end, leader_end);
        }
        self.heard_from(now, replica);
    }

    fn progress_mut(&mut self, replica: ReplicaKey) -> Option<&mut ReplicaProgress> {
        match self.voters.get_mut(&replica.id) {
            Some(voter) if voter.is(replica) => Some(voter),
            _ => {
                let is_known = self.observers.contains_key(&replica);
                let is_tracked =
                    is_known || self.observers.len() < OBSERVERS_MAX || replica == self.local.key;
                let new = || ReplicaProgress::new(replica);
                is_tracked.then(|| self.observers.entry(replica).or_insert_with(new))
            }
        }
    }

    /// A planted fault counts a replica with a voter's id as that voter, whatever its directory.
    #[cfg(test)]
    pub(super) fn replica_fetched_by_id(&mut self, id: BrokerId, end: Offset) {
        if let Some(voter) = self.voters.get_mut(&id) {
            voter.end = voter.end.max(Some(end));
        }
    }

    /// The replica is alive: it has fetched records or a part of a snapshot.
    pub(super) fn heard_from(&mut self, now: Mono, replica: ReplicaKey) {
        assert!(replica.id != self.local.key.id, "a leader does not fetch from itself");
        if self.voters.get(&replica.id).is_some_and(|voter| voter.is(replica)) {
            self.fetched.insert(replica.id);
        }
        if self.fetched.len() >= self.others_needed() {
            self.fetched.clear();
            self.check_quorum_at = now + self.check_quorum_timeout;
        }
    }

    /// The number of voters that make a majority together with the leader.
    fn others_needed(&self) -> usize {
        self.voters.len() / 2 + usize::from(!self.is_voter())
    }

    /// When the leader resigns unless a majority fetches; never if it is the majority.
    pub(super) fn check_quorum_at(&self) -> Option<Mono> {
        (self.others_needed() > 0).then_some(self.check_quorum_at)
    }

    /// The voter set has changed: what is known of each replica is kept.
    pub(super) fn set_voters(&mut self, voters: &VoterSet) {
        let mut old = std::mem::take(&mut self.voters);
        for voter in voters.iter() {
            let key = voter.key;
            let known = match old.remove(&key.id) {
                Some(progress) if progress.is(key) => Some(progress),
                Some(other) => {
                    old.insert(key.id, other);
                    self.observers.remove(&key)
                }
                None => self.observers.remove(&key),
            };
            let mut progress = known.unwrap_or_else(|| ReplicaProgress::new(key));
            progress.key = key;
            self.voters.insert(key.id, progress);
        }
        self.observers.extend(old.into_values().map(|progress| (progress.key, progress)));
        let voters = &self.voters;
        self.fetched.retain(|id| voters.contains_key(id));
    }

    /// The offset that a majority of the voters has reached.
    pub(super) fn majority_end(&self) -> Option<Offset> {
        let mut ends: Vec<Option<Offset>> = self.voters.values().map(|voter| voter.end).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        ends.get(self.voters.len() / 2).copied().flatten()
    }

    /// Who should succeed this leader: the other voters, the one with the longest log first.
    pub(super) fn successors(&self) -> Vec<ReplicaKey> {
        let mut others: Vec<&ReplicaProgress> =
            self.voters.values().filter(|voter| !voter.is(self.local.key)).collect();
        others.sort_by_key(|voter| (std::cmp::Reverse(voter.end), voter.key));
        others.into_iter().map(|voter| voter.key).collect()
    }

    /// The voters that have not fetched for `within`.
    pub(super) fn silent_voters(&self, now: Mono, within: Duration) -> Vec<ReplicaKey> {
        let is_silent = |voter: &&ReplicaProgress| {
            voter.key.id != self.local.key.id
                && voter.last_fetch.is_none_or(|last| now.since(last) >= within)
        };
        self.voters.values().filter(is_silent).map(|voter| voter.key).collect()
    }

    /// Whether an observer has caught up in this epoch and has fetched within the last hour.
    pub(super) fn is_caught_up(&self, now: Mono, replica: ReplicaKey) -> bool {
        self.observers.get(&replica).is_some_and(|observer| {
            observer.last_caught_up.is_some()
                && observer.last_fetch.is_some_and(|last| now.since(last) < CAUGHT_UP_WITHIN)
        })
    }

    /// What DescribeQuorum answers. Observers that have been silent for too long are forgotten.
    pub(super) fn describe(
        &mut self,
        now: Mono,
        epoch: LeaderEpoch,
        log_end: Offset,
    ) -> QuorumDescription {
        self.forget_silent_observers(now);
        let own = self.local.key;
        let describe = |progress: &ReplicaProgress| {
            let ReplicaProgress { key, end, last_fetch, last_caught_up, .. } = progress.clone();
            if progress.is(own) {
                let (log_end, at) = (Some(log_end), Some(now));
                ReplicaDescription { key: own, log_end, last_fetch: at, last_caught_up: at }
            } else {
                ReplicaDescription { key, log_end: end, last_fetch, last_caught_up }
            }
        };
        QuorumDescription {
            leader: own.id,
            epoch,
            high_watermark: self.high_watermark,
            voters: self.voters.values().map(describe).collect(),
            observers: self.observers.values().map(describe).collect(),
        }
    }

    fn forget_silent_observers(&mut self, now: Mono) {
        let own = self.local.key;
        self.observers.retain(|key, observer| {
            *key == own
                || observer.last_fetch.is_some_and(|last| now.since(last) < OBSERVER_TIMEOUT)
        });
    }
}
