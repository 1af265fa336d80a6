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
    /// `...-future`: a copy that moves between log directories.
    Future,
    /// `...-stray`: not of this cluster any more; kept for a person to look at.
    Stray,
}

/// What `name` is; `None` for something that is no partition.
pub fn parse(name: &str) -> Option<PartitionDir> {
    for (suffix, kind) in [
        ("-delete", PartitionDir::Deleting),
        ("-future", PartitionDir::Future),
        ("-stray", PartitionDir::Stray),
    ] {
        if let Some(rest) = name.strip_suffix(suffix)
            && rest.rsplit_once('.').is_some_and(|(_, unique)| {
                unique.len() == 32 && unique.bytes().all(|b| b.is_ascii_hexdigit())
            })
        {
            return Some(kind);
        }
    }
    let (topic, partition) = name.rsplit_once('-')?;
    let partition = partition.parse().ok().filter(|partition| *partition >= 0)?;
    (!topic.is_empty()).then(|| PartitionDir::Live { topic: topic.to_owned(), partition })
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

/// The name of a partition that belongs to nobody.
pub fn stray_name(topic: &str, partition: PartitionIndex, unique: Uuid) -> String {
    suffixed(topic, partition, unique, "-stray")
}

fn suffixed(topic: &str, partition: PartitionIndex, unique: Uuid, suffix: &str) -> String {
    let unique: String = unique.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let tail = format!("-{partition}.{unique}{suffix}");
    let topic: String = topic.chars().take(NAME_MAX - tail.len()).collect();
    format!("{topic}{tail}")
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
        for other in ["orders", "-1", "orders-", "orders-x", "orders--1x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_longest_topic_can_be_deleted() {
        assert!(delete_name(&"x".repeat(249), 2_147_483_647, Uuid::ZERO).len() <= NAME_MAX);
    }
}
