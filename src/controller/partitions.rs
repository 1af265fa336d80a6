//! How a partition changes: elections, in-sync and eligible replicas, reassignments
//! (Kafka 4.4 `PartitionChangeBuilder`, `PartitionReassignmentReplicas`; KIP-966).

use super::bootstrap::MIN_INSYNC_REPLICAS;
use super::machine::Controller;
use crate::metadata::features::ELIGIBLE_LEADER_REPLICAS_VERSION;
use crate::metadata::record::{MetadataRecord, PartitionChangeRecord, PartitionRecord};
pub(super) use crate::metadata::topics::NO_LEADER;
use crate::metadata::topics::NO_LEADER_CHANGE;
use crate::metadata::{Broker, Partition, Topic};
use crate::types::{BrokerId, PartitionIndex, TopicId, Uuid};

pub(super) fn is_online(broker: &Broker, directory: Uuid) -> bool {
    // "Unassigned" and "migrating" say nothing against a replica; a registration without
    // directories is older than they are (KAFKA-16162).
    match directory {
        Uuid::UNASSIGNED_DIRECTORY | Uuid::MIGRATING_DIRECTORY => true,
        Uuid::LOST_DIRECTORY => false,
        directory => broker.log_dirs.is_empty() || broker.log_dirs.contains(&directory),
    }
}

/// The leader has all that the partition acknowledged, as far as anyone can tell.
pub(super) const RECOVERED: i8 = 0;
/// The leader came by an unclean election and has not yet said that it is done.
pub(super) const RECOVERING: i8 = 1;

/// Which replica may be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica, if it is in sync and alive; else as `Online`.
    Preferred,
    /// One that is in sync (or eligible, if nobody is in sync) and alive. Keeps a valid leader.
    Online,
    /// As `Online`; where there is none, any that is alive. May lose records.
    Unclean,
}

/// A change of one partition, built up from its present state.
pub(super) struct PartitionChange<'a> {
    partition: &'a Partition,
    topic: TopicId,
    index: PartitionIndex,
    /// Whether a broker, alive with the directory of its replica, could lead.
    is_acceptable_leader: &'a dyn Fn(BrokerId) -> bool,
    /// The directory that a broker's new replica gets.
    default_directory: &'a dyn Fn(BrokerId) -> Uuid,
    rules: PartitionRules,
    election: Election,
    isr: Vec<BrokerId>,
    replicas: Vec<BrokerId>,
    removing: Vec<BrokerId>,
    adding: Vec<BrokerId>,
    elr: Vec<BrokerId>,
    recovery: i8,
    directories: Vec<(BrokerId, Uuid)>,
    uncleanly_stopped: Option<BrokerId>,
}

/// What the cluster's features and the topic's configuration ask of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartitionRules {
    /// eligible.leader.replicas.version is at least 1.
    pub(super) elr: bool,
    /// The topic's min.insync.replicas, at most its number of replicas.
    pub(super) min_isr: usize,
    /// Before metadata.version 3.6 a smaller ISR raised the leader epoch (KAFKA-15021).
    pub(super) shrink_raises_epoch: bool,
    /// Since metadata.version 3.7-IV2 replicas name their directory.
    pub(super) directories: bool,
}

/// What a topic asks of a change that comes from what happened to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// As of any change.
    pub(super) rules: PartitionRules,
    /// Who may be elected.
    pub(super) election: Election,
}

/// Whom an election chose.
struct Elected {
    leader: BrokerId,
    unclean: bool,
}

impl<'a> PartitionChange<'a> {
    /// Begins with the present state and an `Online` election.
    pub(super) fn new(
        partition: &'a Partition,
        topic: TopicId,
        index: PartitionIndex,
        is_acceptable_leader: &'a dyn Fn(BrokerId) -> bool,
        default_directory: &'a dyn Fn(BrokerId) -> Uuid,
        rules: PartitionRules,
    ) -> Self {
        let directories = partition.replicas.iter().copied();
        Self {
            partition,
            topic,
            index,
            is_acceptable_leader,
            default_directory,
            rules,
            election: Election::Online,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            removing: partition.removing_replicas.clone(),
            adding: partition.adding_replicas.clone(),
            elr: partition.elr.clone(),
            recovery: partition.leader_recovery_state,
            directories: directories.zip(partition.directories.iter().copied()).collect(),
            uncleanly_stopped: None,
        }
    }

    /// With this election.
    #[must_use]
    pub(super) fn election(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    /// With these replicas in sync.
    #[must_use]
    pub(super) fn isr(mut self, isr: Vec<BrokerId>) -> Self {
        self.isr = isr;
        self
    }

    /// With these replicas, some of which are being removed and added.
    #[must_use]
    pub(super) fn assignment(
        mut self,
        replicas: Vec<BrokerId>,
        removing: Vec<BrokerId>,
        adding: Vec<BrokerId>,
    ) -> Self {
        self.replicas = replicas;
        self.removing = removing;
        self.adding = adding;
        self
    }

    /// With the leader in this state.
    #[must_use]
    pub(super) fn recovery(mut self, state: i8) -> Self {
        self.recovery = state;
        self
    }

    /// With a broker's replica in this directory.
    #[must_use]
    pub(super) fn directory(mut self, broker: BrokerId, directory: Uuid) -> Self {
        self.directories.retain(|(id, _)| *id != broker);
        self.directories.push((broker, directory));
        self
    }

    /// With a broker that stopped uncleanly: it is no longer sure to have what it acknowledged,
    /// and so not eligible.
    #[must_use]
    pub(super) fn uncleanly_stopped(mut self, broker: Option<BrokerId>) -> Self {
        self.uncleanly_stopped = broker;
        self
    }

    /// The record of the change; `None` if nothing changes.
    pub(super) fn build(mut self) -> Option<MetadataRecord> {
        let before = self.partition;
        let mut record = PartitionChangeRecord {
            partition_id: self.index,
            topic_id: self.topic,
            ..PartitionChangeRecord::default()
        };
        self.complete_reassignment();
        self.find_eligible();
        self.elect(&mut record);
        let lost_a_replica = before.replicas.iter().any(|id| !self.replicas.contains(id));
        if record.leader == NO_LEADER_CHANGE && lost_a_replica {
            record.leader = before.leader; // Naming the leader raises its epoch.
        }
        self.update_eligible(&mut record);
        // With eligible replicas the ISR may become empty; without, the last member stays.
        let may_change = !self.isr.is_empty() || self.rules.elr;
        if record.isr.is_none() && may_change && self.isr != before.isr {
            record.isr = Some(self.isr.clone());
        }
        if self.rules.shrink_raises_epoch && record.leader == NO_LEADER_CHANGE {
            let shrinks = |isr: &Vec<BrokerId>| before.isr.iter().any(|id| !isr.contains(id));
            if record.isr.as_ref().is_some_and(shrinks) {
                record.leader = before.leader;
            }
        }
        self.update_last_known_leader(&mut record);
        self.assign(&mut record);
        if self.recovery != before.leader_recovery_state {
            record.leader_recovery_state = self.recovery;
        }
        let nothing = PartitionChangeRecord {
            partition_id: self.index,
            topic_id: self.topic,
            ..PartitionChangeRecord::default()
        };
        (record != nothing).then(|| record.into())
    }

    /// A reassignment ends once all that are added are in sync and somebody remains; where the
    /// number of replicas shrinks, once all that remain are in sync.
    fn complete_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let remains = |id: &BrokerId| !self.removing.contains(id);
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(remains).collect();
        let replicas: Vec<BrokerId> = self.replicas.iter().copied().filter(remains).collect();
        let removes_all = !self.removing.is_empty() && (isr.is_empty() || replicas.is_empty());
        let in_sync = |ids: &[BrokerId]| ids.iter().all(|id| isr.contains(id));
        let shrinks = self.adding.len() < self.removing.len();
        if removes_all || !in_sync(&self.adding) || (shrinks && !in_sync(&replicas)) {
            return;
        }
        self.isr = isr;
        self.replicas = replicas;
        self.removing.clear();
        self.adding.clear();
    }

    /// Those that were in sync when the ISR fell below its minimum hold every committed record
    /// and may lead, unless they stopped uncleanly.
    fn find_eligible(&mut self) {
        if !self.rules.elr {
            return;
        }
        if self.isr.len() >= self.rules.min_isr {
            self.elr.clear();
            return;
        }
        // In the order of Kafka's set of small integers, which is ascending.
        let mut candidates: Vec<BrokerId> = self.elr.clone();
        candidates.extend(&self.partition.isr);
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|id| !self.isr.contains(id) && self.uncleanly_stopped != Some(*id));
        self.elr = candidates;
    }

    fn elect(&mut self, record: &mut PartitionChangeRecord) {
        let elected = self.choose();
        if elected.leader == self.partition.leader {
            return;
        }
        record.leader = elected.leader;
        if self.elr.contains(&elected.leader) {
            self.isr = vec![elected.leader];
            self.elr.retain(|id| *id != elected.leader);
        } else if elected.unclean {
            let (topic, partition, leader) = (self.topic, self.index, elected.leader);
            tracing::debug!(%topic, partition, leader, "unclean election: records may be lost");
        }
        if elected.unclean {
            record.isr = Some(vec![elected.leader]);
            if self.partition.leader_recovery_state != RECOVERING {
                record.leader_recovery_state = RECOVERING;
            }
        }
    }

    fn choose(&self) -> Elected {
        let clean = |leader| Elected { leader, unclean: false };
        let unclean = |leader| Elected { leader, unclean: true };
        let preferred = self.replicas.first().copied().filter(|_| self.prefers_first());
        if let Some(leader) = preferred.filter(|id| self.is_valid(*id)) {
            return clean(leader);
        }
        if self.is_valid(self.partition.leader) {
            return clean(self.partition.leader);
        }
        if let Some(leader) = self.replicas.iter().copied().find(|id| self.is_valid(*id)) {
            return clean(leader);
        }
        if let Some(leader) = self.last_known_leader() {
            return unclean(leader);
        }
        let alive = || self.replicas.iter().copied().find(|id| (self.is_acceptable_leader)(*id));
        match self.election {
            Election::Unclean => alive().map_or(clean(NO_LEADER), unclean),
            Election::Preferred | Election::Online => clean(NO_LEADER),
        }
    }

    fn prefers_first(&self) -> bool {
        self.election == Election::Preferred
    }

    fn is_valid(&self, id: BrokerId) -> bool {
        let in_sync = self.isr.contains(&id) || (self.isr.is_empty() && self.elr.contains(&id));
        in_sync && (self.is_acceptable_leader)(id)
    }

    /// The leader that the partition had when it lost its last eligible replica: nobody has more.
    fn last_known_leader(&self) -> Option<BrokerId> {
        if !self.rules.elr || !self.elr.is_empty() || !self.isr.is_empty() {
            return None;
        }
        match self.partition.last_known_elr.as_slice() {
            [leader] if (self.is_acceptable_leader)(*leader) => Some(*leader),
            _ => None,
        }
    }

    fn update_eligible(&mut self, record: &mut PartitionChangeRecord) {
        let was_unclean = record.isr.is_some();
        if was_unclean || !self.rules.elr {
            self.elr.clear();
        }
        if self.elr != self.partition.elr {
            record.eligible_leader_replicas = Some(self.elr.clone());
        }
    }

    fn update_last_known_leader(&self, record: &mut PartitionChangeRecord) {
        if !self.rules.elr {
            return;
        }
        let known = &self.partition.last_known_elr;
        match record.leader {
            NO_LEADER if known.is_empty() => {
                record.last_known_elr = Some(vec![self.partition.leader]);
            }
            leader if leader >= 0 && !known.is_empty() => {
                record.last_known_elr = Some(Vec::new());
            }
            _ => {}
        }
    }

    fn assign(&self, record: &mut PartitionChangeRecord) {
        let before = self.partition;
        if !self.replicas.is_empty() {
            if self.rules.directories {
                let directory = |id: &BrokerId| {
                    let known = self.directories.iter().find(|(known, _)| known == id);
                    known.map_or_else(|| (self.default_directory)(*id), |(_, directory)| *directory)
                };
                let directories: Vec<Uuid> = self.replicas.iter().map(directory).collect();
                if directories != before.directories {
                    record.directories = Some(directories);
                }
            }
            if self.replicas != before.replicas {
                record.replicas = Some(self.replicas.clone());
            }
        }
        if self.removing != before.removing_replicas {
            record.removing_replicas = Some(self.removing.clone());
        }
        if self.adding != before.adding_replicas {
            record.adding_replicas = Some(self.adding.clone());
        }
    }
}

impl Controller {
    /// Whether eligible leader replicas are kept.
    pub(super) fn has_elr(&self) -> bool {
        let level = self.image().features.get(ELIGIBLE_LEADER_REPLICAS_VERSION);
        level.is_some_and(|level| *level >= 1)
    }

    /// Whether a replica that is not in sync may be elected for this topic.
    pub(super) fn allows_unclean(&self, topic: &Topic) -> bool {
        self.topic_config(&topic.name, "unclean.leader.election.enable")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn rules_of(&self, topic: &Topic) -> PartitionRules {
        let release = self.image().release;
        let min_isr = self.topic_config(&topic.name, MIN_INSYNC_REPLICAS);
        let min_isr: usize = min_isr.and_then(|value| value.parse().ok()).unwrap_or(1);
        let replicas = topic.partitions.first().map_or(usize::MAX, |first| first.replicas.len());
        PartitionRules {
            elr: self.has_elr(),
            min_isr: min_isr.min(replicas),
            shrink_raises_epoch: release.raises_epoch_on_shrink(),
            directories: release.has_directories(),
        }
    }

    /// What a topic asks of a change that nobody asked for.
    pub(super) fn terms_of(&self, topic: &Topic) -> Terms {
        let election =
            if self.allows_unclean(topic) { Election::Unclean } else { Election::Online };
        Terms { rules: self.rules_of(topic), election }
    }

    /// The record of a change that `describe` makes, where `is_candidate` says which brokers may
    /// lead; one whose replica lies in a lost directory may not.
    pub(super) fn change_of(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        partition: &Partition,
        is_candidate: &dyn Fn(BrokerId) -> bool,
        describe: impl FnOnce(PartitionChange<'_>) -> PartitionChange<'_>,
    ) -> Option<MetadataRecord> {
        let rules = self.rules_of(topic);
        self.change_under(rules, topic.id, index, partition, is_candidate, describe)
    }

    /// The same, for many partitions of a topic whose rules are known.
    pub(super) fn change_under(
        &self,
        rules: PartitionRules,
        topic: TopicId,
        index: PartitionIndex,
        partition: &Partition,
        is_candidate: &dyn Fn(BrokerId) -> bool,
        describe: impl FnOnce(PartitionChange<'_>) -> PartitionChange<'_>,
    ) -> Option<MetadataRecord> {
        let is_acceptable = |id: BrokerId| {
            is_candidate(id)
                && self.broker(id).is_some_and(|broker| {
                    let directory = partition.directory_of(id);
                    is_online(broker, directory.unwrap_or(Uuid::UNASSIGNED_DIRECTORY))
                })
        };
        let default_directory = |id: BrokerId| self.default_directory(id);
        let change = PartitionChange::new(
            partition,
            topic,
            index,
            &is_acceptable,
            &default_directory,
            rules,
        );
        describe(change).build()
    }

    /// The record of a new partition: the first replica that is alive leads.
    pub(super) fn new_partition(
        &self,
        topic: TopicId,
        index: PartitionIndex,
        replicas: Vec<BrokerId>,
        isr: Vec<BrokerId>,
    ) -> MetadataRecord {
        let directories = if self.image().release.has_directories() {
            replicas.iter().map(|id| self.default_directory(*id)).collect()
        } else {
            Vec::new()
        };
        PartitionRecord {
            partition_id: index,
            topic_id: topic,
            leader: isr.first().copied().unwrap_or(NO_LEADER),
            replicas,
            isr,
            leader_recovery_state: RECOVERED,
            leader_epoch: 0,
            partition_epoch: 0,
            directories,
            ..PartitionRecord::default()
        }
        .into()
    }
}
