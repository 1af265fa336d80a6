//! A number that changes when what an assignor sees of a group's topics does (KIP-1101, Kafka 4.4
//! `Utils.computeTopicHash`): stored with the group, so that whoever loads it sees whether anything
//! has happened since.

use std::collections::BTreeMap;
use std::sync::Arc;

use twox_hash::XxHash3_64;

use crate::metadata::{MetadataImage, Topic};

/// The version of the hash.
const MAGIC: u8 = 0;

/// Hashes of topics, until they change.
#[derive(Debug, Default)]
pub(in crate::coordinator::groups) struct TopicHashes {
    known: BTreeMap<Arc<str>, (Arc<Topic>, i64)>,
}

impl TopicHashes {
    /// The hash of those topics that exist; 0 for none. They come sorted by name.
    pub(super) fn of<'a>(
        &mut self,
        image: &MetadataImage,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> i64 {
        let mut bytes = Vec::new();
        for topic in topics.into_iter().filter_map(|name| image.topics.by_name(name)) {
            bytes.extend_from_slice(&self.of_topic(image, topic).to_le_bytes());
        }
        if bytes.is_empty() { 0 } else { XxHash3_64::oneshot(&bytes).cast_signed() }
    }

    /// A topic that is gone need not be remembered.
    pub(in crate::coordinator::groups) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
    }

    fn of_topic(&mut self, image: &MetadataImage, topic: &Arc<Topic>) -> i64 {
        if let Some((known, hash)) = self.known.get(&topic.name)
            && Arc::ptr_eq(known, topic)
        {
            return *hash;
        }
        let hash = topic_hash(image, topic);
        self.known.insert(Arc::clone(&topic.name), (Arc::clone(topic), hash));
        hash
    }
}

fn topic_hash(image: &MetadataImage, topic: &Topic) -> i64 {
    let mut bytes = vec![MAGIC];
    let (most, least) = topic.id.0.split_at(8);
    bytes.extend(most.iter().rev());
    bytes.extend(least.iter().rev());
    put_text(&mut bytes, &topic.name);
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    bytes.extend_from_slice(&count.to_le_bytes());
    for (index, partition) in (0..count).zip(topic.partitions.iter()) {
        bytes.extend_from_slice(&index.to_le_bytes());
        let brokers = partition.replicas.iter().filter_map(|id| image.cluster.brokers.get(id));
        let mut racks: Vec<&str> = brokers.filter_map(|broker| broker.rack.as_deref()).collect();
        racks.sort_unstable();
        for rack in racks {
            bytes.extend_from_slice(&utf16_len(rack).to_le_bytes());
            put_text(&mut bytes, rack);
        }
    }
    XxHash3_64::oneshot(&bytes).cast_signed()
}

fn utf16_len(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}

/// A text is its UTF-16 units, then how many they are.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes.extend_from_slice(&utf16_len(text).to_le_bytes());
}
