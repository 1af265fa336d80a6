//! Names of partition directories (Kafka 4.4 `UnifiedLog.parseTopicPartitionName`, `LocalLog`).

use crate::types::{PartitionIndex, Uuid};

/// What a directory in a log directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionDir {
    /// `topic-3`: a partition.
    Live {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
    },
    /// `topic-3.<32 hex digits>-delete`: about to be removed.
    Deleting,
    /// `topic-3.<32 hex digits>-future`: a copy that is to take the partition's place.
    Future {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
    },
    /// `...-stray`: not of this cluster any more; kept for a person to look at.
    Stray,
}

/// What `name` is; `None` for something that is no partition.
pub fn parse(name: &str) -> Option<PartitionDir> {
    for suffix in ["-delete", "-future", "-stray"] {
        if let Some(rest) = name.strip_suffix(suffix)
            && let Some((of, unique)) = rest.rsplit_once('.')
            && unique.len() == 32
            && unique.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return match suffix {
                "-delete" => Some(PartitionDir::Deleting),
                "-stray" => Some(PartitionDir::Stray),
                _ => {
                    let (topic, partition) = parse_live(of)?;
                    Some(PartitionDir::Future { topic, partition })
                }
            };
        }
    }
    let (topic, partition) = parse_live(name)?;
    Some(PartitionDir::Live { topic, partition })
}

fn parse_live(name: &str) -> Option<(String, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let partition = partition.parse().ok().filter(|partition| *partition >= 0)?;
    (!topic.is_empty()).then(|| (topic.to_owned(), partition))
}

/// `topic-3`.
pub fn live_name(topic: &str, partition: PartitionIndex) -> String {
    format!("{topic}-{partition}")
}

/// The longest name of a file.
const NAME_MAX: usize = 255;

/// The name that a partition gets when it is to be removed. Unique, and never longer than a file
/// name may be: a long topic is cut.
pub fn delete_name(topic: &str, partition: PartitionIndex, unique: Uuid) -> String {
    suffixed(topic, partition, unique, "-delete")
}

/// The name of a copy that is to take the partition's place; nothing where it would be longer than
/// a name may be (KAFKA-4893): the topic cannot be cut, since a start reads it from here.
pub fn future_name(topic: &str, partition: PartitionIndex, unique: Uuid) -> Option<String> {
    let name = format!("{}.{}-future", live_name(topic, partition), hex(unique));
    (name.len() <= NAME_MAX).then_some(name)
}

/// The name of a partition that belongs to nobody.
pub fn stray_name(topic: &str, partition: PartitionIndex, unique: Uuid) -> String {
    suffixed(topic, partition, unique, "-stray")
}

fn suffixed(topic: &str, partition: PartitionIndex, unique: Uuid, suffix: &str) -> String {
    let tail = format!("-{partition}.{}{suffix}", hex(unique));
    let topic: String = topic.chars().take(NAME_MAX - tail.len()).collect();
    format!("{topic}{tail}")
}

fn hex(unique: Uuid) -> String {
    unique.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names_are_told_apart() {
        let live = |topic: &str, partition| {
            Some(PartitionDir::Live { topic: topic.to_owned(), partition })
        };
        assert_eq!(parse("orders-0"), live("orders", 0));
        assert_eq!(parse("a-b.c_d-17"), live("a-b.c_d", 17));
        assert_eq!(parse(&delete_name("orders", 3, Uuid::ZERO)), Some(PartitionDir::Deleting));
        assert_eq!(parse(&stray_name("orders", 3, Uuid::ZERO)), Some(PartitionDir::Stray));
        let future = future_name("a-b", 3, Uuid::ZERO).unwrap();
        let expected = PartitionDir::Future { topic: "a-b".to_owned(), partition: 3 };
        assert_eq!(parse(&future), Some(expected));
        assert_eq!(future_name(&"x".repeat(249), 0, Uuid::ZERO), None);
        for other in ["orders", "-1", "orders-", "orders-x", "orders--1x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_longest_topic_can_be_deleted() {
        assert!(delete_name(&"x".repeat(249), 2_147_483_647, Uuid::ZERO).len() <= NAME_MAX);
    }
}
