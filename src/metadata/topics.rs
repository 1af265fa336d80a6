//! Topics and the replicas of their partitions.

use std::sync::Arc;

use super::apply_error::ApplyError;
use super::record::{PartitionChangeRecord, PartitionRecord};
use super::shared::{SharedMap, SharedVec};
use crate::types::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicPartition, Uuid};

/// "No leader" in a partition's registration.
pub const NO_LEADER: BrokerId = -1;
/// "The leader stays" in a change record.
pub const NO_LEADER_CHANGE: BrokerId = -2;

/// One partition as the controller registered it (Kafka 4.4 `PartitionRegistration`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The log directory of each replica, in the order of `replicas`.
    pub directories: Vec<Uuid>,
    /// The replicas that have all committed records.
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment takes away.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding_replicas: Vec<BrokerId>,
    /// Out of sync, yet sure to have all committed records (KIP-966).
    pub elr: Vec<BrokerId>,
    /// The last eligible replicas before an unclean shutdown emptied `elr`.
    pub last_known_elr: Vec<BrokerId>,
    /// Who leads, or [`NO_LEADER`].
    pub leader: BrokerId,
    /// How many leaders it has had.
    pub leader_epoch: LeaderEpoch,
    /// How often this registration changed.
    pub partition_epoch: i32,
    /// 0 when the leader is recovered, 1 while it recovers from an unclean election.
    pub leader_recovery_state: i8,
}

impl Partition {
    fn from_record(record: &PartitionRecord) -> Self {
        Self {
            directories: directories_of(&record.directories, record.replicas.len()),
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            elr: record.eligible_leader_replicas.clone().unwrap_or_default(),
            last_known_elr: record.last_known_elr.clone().unwrap_or_default(),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            leader_recovery_state: record.leader_recovery_state,
        }
    }

    /// A change of leader, even to the same one, raises the leader epoch; any change raises the
    /// partition epoch.
    fn change(&mut self, record: &PartitionChangeRecord) {
        fn set<T: Clone>(field: &mut Vec<T>, to: Option<&Vec<T>>) {
            if let Some(to) = to {
                field.clone_from(to);
            }
        }
        set(&mut self.replicas, record.replicas.as_ref());
        set(&mut self.isr, record.isr.as_ref());
        set(&mut self.removing_replicas, record.removing_replicas.as_ref());
        set(&mut self.adding_replicas, record.adding_replicas.as_ref());
        set(&mut self.elr, record.eligible_leader_replicas.as_ref());
        set(&mut self.last_known_elr, record.last_known_elr.as_ref());
        let directories = record.directories.as_deref().unwrap_or(&self.directories);
        self.directories = directories_of(directories, self.replicas.len());
        if record.leader != NO_LEADER_CHANGE {
            self.leader = record.leader;
            self.leader_epoch += 1;
        }
        if record.leader_recovery_state >= 0 {
            self.leader_recovery_state = record.leader_recovery_state;
        }
        self.partition_epoch += 1;
    }

    /// The directory of `broker`'s replica, if it has one here.
    pub fn directory_of(&self, broker: BrokerId) -> Option<Uuid> {
        let at = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(at).copied()
    }
}

/// Records older than directory assignment name none; a partition of which none is known keeps
/// saying so when its replicas change (Kafka 4.4 `defaultToMigrating`).
fn directories_of(directories: &[Uuid], replicas: usize) -> Vec<Uuid> {
    if directories.iter().all(|directory| *directory == Uuid::MIGRATING_DIRECTORY) {
        vec![Uuid::MIGRATING_DIRECTORY; replicas]
    } else {
        directories.to_vec()
    }
}

/// A topic and its partitions. Partition numbers run from 0 without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: TopicId,
    /// Its partitions by number.
    pub partitions: SharedVec<Arc<Partition>>,
}

impl Topic {
    /// The partition with this number.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// All topics, by id and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    by_id: SharedMap<TopicId, Arc<Topic>>,
    by_name: SharedMap<Arc<str>, TopicId>,
}

impl Topics {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The topic with this id.
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// The topic with this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// One partition.
    pub fn partition(&self, id: TopicPartition) -> Option<&Arc<Partition>> {
        self.by_id(id.topic)?.partition(id.partition)
    }

    /// All topics in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_id.values()
    }

    /// All topics in the order of their names.
    pub fn iter_by_name(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    pub(super) fn create(&mut self, name: &str, id: TopicId) -> Result<(), ApplyError> {
        if self.by_name.contains_key(name) || self.by_id.contains_key(&id) {
            return Err(ApplyError::TopicExists { name: name.to_owned(), id });
        }
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), id);
        let topic = Topic { name, id, partitions: SharedVec::default() };
        self.by_id.insert(id, Arc::new(topic));
        Ok(())
    }

    pub(super) fn remove(&mut self, id: TopicId) -> Result<Arc<Topic>, ApplyError> {
        let topic = self.by_id.remove(&id).ok_or(ApplyError::UnknownTopic { id })?;
        self.by_name.remove(&topic.name);
        Ok(topic)
    }

    fn topic_mut(&mut self, id: TopicId) -> Result<&mut Topic, ApplyError> {
        self.by_id.get_mut(&id).map(Arc::make_mut).ok_or(ApplyError::UnknownTopic { id })
    }

    pub(super) fn put_partition(&mut self, record: &PartitionRecord) -> Result<(), ApplyError> {
        let topic = self.topic_mut(record.topic_id)?;
        let partition = Arc::new(Partition::from_record(record));
        let unknown =
            ApplyError::UnknownPartition { topic: record.topic_id, partition: record.partition_id };
        let at = usize::try_from(record.partition_id).map_err(|_| unknown.clone())?;
        let count = topic.partitions.len();
        match topic.partitions.get_mut(at) {
            Some(present) => *present = partition,
            None if at == count => topic.partitions.push(partition),
            None => return Err(unknown),
        }
        Ok(())
    }

    pub(super) fn change_partition(
        &mut self,
        record: &PartitionChangeRecord,
    ) -> Result<(), ApplyError> {
        let topic = self.topic_mut(record.topic_id)?;
        let unknown =
            ApplyError::UnknownPartition { topic: record.topic_id, partition: record.partition_id };
        let at = usize::try_from(record.partition_id).map_err(|_| unknown.clone())?;
        let partition = topic.partitions.get_mut(at).ok_or(unknown)?;
        Arc::make_mut(partition).change(record);
        Ok(())
    }

    /// Empties the eligible leader replicas of one topic, or of all (`name` is empty).
    pub(super) fn clear_elr(&mut self, name: &str) -> Result<Vec<TopicPartition>, ApplyError> {
        let ids: Vec<TopicId> = if name.is_empty() {
            self.by_id.keys().copied().collect()
        } else {
            let id = self.by_name.get(name).copied();
            vec![id.ok_or_else(|| ApplyError::UnknownTopicName { name: name.to_owned() })?]
        };
        let mut changed = Vec::new();
        for id in ids {
            let partitions = self.by_id.get(&id).into_iter().flat_map(|t| t.partitions.iter());
            let has_some = |p: &Partition| !p.elr.is_empty() || !p.last_known_elr.is_empty();
            let some = partitions.enumerate().filter(|(_, partition)| has_some(partition));
            changed.extend(some.map(|(at, _)| TopicPartition { topic: id, partition: at as i32 }));
        }
        for TopicPartition { topic, partition } in &changed {
            // A change like any other, so that the partition epoch rises with it.
            self.change_partition(&PartitionChangeRecord {
                topic_id: *topic,
                partition_id: *partition,
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                ..PartitionChangeRecord::default()
            })?;
        }
        Ok(changed)
    }
}
