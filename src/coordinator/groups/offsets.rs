//! Committed offsets of all groups of a shard, and those of open transactions (Kafka 4.4
//! `OffsetMetadataManager`).

use std::collections::{BTreeMap, BTreeSet};

use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::classic::{OffsetCommitKey, OffsetCommitValue};
use crate::coordinator::{Outcome, Producer};
use crate::types::{Offset, ProducerId};

type PartitionOffsets = BTreeMap<i32, Committed>;

/// A committed offset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Committed {
    pub(super) value: OffsetCommitValue,
    /// Where its record lies.
    pub(super) at: Offset,
}

#[derive(Debug, Default)]
pub(super) struct Offsets {
    groups: BTreeMap<String, BTreeMap<String, PartitionOffsets>>,
    /// By producer, what its open transaction would commit; a tombstone never is.
    pending: BTreeMap<ProducerId, BTreeMap<(String, String, i32), Committed>>,
    /// The same by partition: which producers.
    unstable: BTreeMap<(String, String, i32), BTreeSet<ProducerId>>,
}

impl Offsets {
    pub(super) fn apply(
        &mut self,
        at: Offset,
        producer: Option<Producer>,
        key: OffsetCommitKey,
        value: Option<OffsetCommitValue>,
    ) {
        let OffsetCommitKey { group, topic, partition } = key;
        match (value, producer) {
            (Some(value), Some(producer)) => {
                let key = (group, topic, partition);
                self.unstable.entry(key.clone()).or_default().insert(producer.id);
                let committed = Committed { value, at };
                self.pending.entry(producer.id).or_default().insert(key, committed);
            }
            (Some(value), None) => {
                let topics = self.groups.entry(group).or_default();
                topics.entry(topic).or_default().insert(partition, Committed { value, at });
            }
            (None, _) => {
                self.remove(&group, &topic, partition);
                let key = (group, topic, partition);
                // Whoever deletes an offset deletes what was about to replace it.
                for producer in self.unstable.remove(&key).unwrap_or_default() {
                    if let Some(offsets) = self.pending.get_mut(&producer) {
                        offsets.remove(&key);
                        if offsets.is_empty() {
                            self.pending.remove(&producer);
                        }
                    }
                }
            }
        }
    }

    fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(topics) = self.groups.get_mut(group) else { return };
        if let Some(partitions) = topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
    }

    /// A transaction ended: its offsets count, unless a later commit was made meanwhile.
    pub(super) fn apply_marker(&mut self, producer: Producer, outcome: Outcome) {
        for (key, committed) in self.pending.remove(&producer.id).unwrap_or_default() {
            if let Some(producers) = self.unstable.get_mut(&key) {
                producers.remove(&producer.id);
                if producers.is_empty() {
                    self.unstable.remove(&key);
                }
            }
            let (group, topic, partition) = key;
            if outcome == Outcome::Committed {
                let topics = self.groups.entry(group).or_default();
                let known = topics.entry(topic).or_default();
                if known.get(&partition).is_none_or(|before| before.at < committed.at) {
                    known.insert(partition, committed);
                }
            }
        }
    }

    pub(super) fn of(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    pub(super) fn of_group(&self, group: &str) -> Option<&BTreeMap<String, PartitionOffsets>> {
        self.groups.get(group)
    }

    pub(super) fn is_unstable(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.unstable.contains_key(&(group.to_owned(), topic.to_owned(), partition))
    }

    /// Whether an open transaction would commit offsets of the group.
    pub(super) fn has_pending(&self, group: &str) -> bool {
        let from = (group.to_owned(), String::new(), i32::MIN);
        self.unstable.range(from..).next().is_some_and(|((of, _, _), _)| of == group)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &String> {
        self.groups.keys()
    }

    /// The records that delete all offsets of a group, those of open transactions too.
    pub(super) fn delete_group(&self, group: &str) -> Vec<GroupRecord> {
        let mut keys = BTreeSet::new();
        for (topic, partitions) in self.groups.get(group).into_iter().flatten() {
            keys.extend(partitions.keys().map(|partition| (topic.clone(), *partition)));
        }
        let from = (group.to_owned(), String::new(), i32::MIN);
        let pending = self.unstable.range(from..).take_while(|((of, _, _), _)| of == group);
        keys.extend(pending.map(|((_, topic, partition), _)| (topic.clone(), *partition)));
        keys.into_iter().map(|(topic, partition)| tombstone(group, &topic, partition)).collect()
    }

    /// The records that delete the offsets of a topic that is gone, of all groups.
    pub(super) fn delete_topic(&self, topic: &str) -> Vec<GroupRecord> {
        let mut records = Vec::new();
        for (group, topics) in &self.groups {
            for partition in topics.get(topic).into_iter().flat_map(BTreeMap::keys) {
                records.push(tombstone(group, topic, *partition));
            }
        }
        records
    }
}

/// The record that deletes an offset.
pub(super) fn tombstone(group: &str, topic: &str, partition: i32) -> GroupRecord {
    let key = OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition };
    GroupRecord::OffsetCommit(key, None)
}
