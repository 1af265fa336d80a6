//! Partitions of several topics, as members of a group are given them.

use std::collections::BTreeMap;

use crate::coordinator::records::consumer::{TopicPartition, TopicPartitions};
use crate::types::{PartitionIndex, TopicId};

/// Partitions by topic, sorted; no topic without any.
pub type Assignment = BTreeMap<TopicId, Vec<PartitionIndex>>;

/// Partitions that a member owns, each with the epoch in which it was given to it (KIP-1251).
pub(super) type Owned = BTreeMap<TopicId, BTreeMap<PartitionIndex, i32>>;

/// The same without epochs.
pub(super) fn partitions(owned: &Owned) -> Assignment {
    owned.iter().map(|(topic, owned)| (*topic, owned.keys().copied().collect())).collect()
}

pub(super) fn has(owned: &Owned, topic: TopicId, partition: PartitionIndex) -> bool {
    owned.get(&topic).is_some_and(|partitions| partitions.contains_key(&partition))
}

pub(super) fn target_of_record(topics: Vec<TopicPartition>) -> Assignment {
    let mut target = Assignment::new();
    for mut topic in topics {
        topic.partitions.sort_unstable();
        topic.partitions.dedup();
        if !topic.partitions.is_empty() {
            target.insert(topic.topic_id, topic.partitions);
        }
    }
    target
}

pub(super) fn target_to_record(target: &Assignment) -> Vec<TopicPartition> {
    let one = |(topic, partitions): (&TopicId, &Vec<PartitionIndex>)| TopicPartition {
        topic_id: *topic,
        partitions: partitions.clone(),
    };
    target.iter().map(one).collect()
}

/// Older releases wrote no epochs: the member's stands for them.
pub(super) fn owned_of_record(topics: Vec<TopicPartitions>, member_epoch: i32) -> Owned {
    let mut owned = Owned::new();
    for topic in topics {
        let epochs =
            topic.assignment_epochs.filter(|epochs| epochs.len() == topic.partitions.len());
        let of = owned.entry(topic.topic_id).or_default();
        for (index, partition) in topic.partitions.into_iter().enumerate() {
            let epoch = epochs.as_ref().and_then(|epochs| epochs.get(index));
            of.insert(partition, epoch.copied().unwrap_or(member_epoch.max(0)));
        }
    }
    owned.retain(|_, partitions| !partitions.is_empty());
    owned
}

pub(super) fn owned_to_record(owned: &Owned) -> Vec<TopicPartitions> {
    let one = |(topic, partitions): (&TopicId, &BTreeMap<PartitionIndex, i32>)| TopicPartitions {
        topic_id: *topic,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    };
    owned.iter().map(one).collect()
}
