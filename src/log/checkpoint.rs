//! Small files of a log directory and of a partition, in Kafka's formats.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::env::Disk;
use crate::types::{Offset, PartitionIndex, TopicId};

/// Recovery points of the logs of a directory.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// High watermarks.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// Log start offsets that differ from the first segment's.
pub const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
/// Up to where logs were compacted.
pub const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
/// There when the broker stopped cleanly.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// The topic id of a partition.
pub const PARTITION_METADATA: &str = "partition.metadata";

/// Offsets by topic name and partition (Kafka 4.4 `OffsetCheckpointFile`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    topics: BTreeMap<String, BTreeMap<PartitionIndex, Offset>>,
}

impl Offsets {
    /// The offset of a partition.
    pub fn get(&self, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        self.topics.get(topic)?.get(&partition).copied()
    }

    /// Sets the offset of a partition.
    pub fn set(&mut self, topic: &str, partition: PartitionIndex, offset: Offset) {
        let partitions = match self.topics.get_mut(topic) {
            Some(known) => known,
            None => self.topics.entry(topic.to_owned()).or_default(),
        };
        partitions.insert(partition, offset);
    }

    /// How many partitions have one.
    pub fn len(&self) -> usize {
        self.topics.values().map(BTreeMap::len).sum()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// All, by topic and partition.
    pub fn iter(&self) -> impl Iterator<Item = (&str, PartitionIndex, Offset)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|(partition, offset)| (topic.as_str(), *partition, *offset))
        })
    }
}

impl<const N: usize> From<[(&str, PartitionIndex, Offset); N]> for Offsets {
    fn from(all: [(&str, PartitionIndex, Offset); N]) -> Self {
        let mut offsets = Self::default();
        for (topic, partition, offset) in all {
            offsets.set(topic, partition, offset);
        }
        offsets
    }
}

/// The text of an offset checkpoint.
pub fn offsets_to_text(offsets: &Offsets) -> String {
    use std::fmt::Write as _;
    let mut text = format!("0\n{}\n", offsets.len());
    for (topic, partition, offset) in offsets.iter() {
        let _ = writeln!(text, "{topic} {partition} {offset}"); // Into a String: cannot fail.
    }
    text
}

/// From that text; `None` when it is damaged. An empty file is an empty checkpoint: Kafka creates it
/// before it has anything to write (Kafka 4.4 `CheckpointFile`).
pub fn offsets_from_text(text: &str) -> Option<Offsets> {
    if text.is_empty() {
        return Some(Offsets::default());
    }
    let mut lines = text.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    let mut offsets = Offsets::default();
    for line in lines.by_ref().take(count) {
        let mut words = line.split_ascii_whitespace();
        let topic = words.next()?;
        let partition = words.next()?.parse().ok()?;
        let offset = words.next()?.parse().ok()?;
        if words.next().is_some() {
            return None;
        }
        offsets.set(topic, partition, offset);
    }
    (offsets.len() == count && lines.next().is_none()).then_some(offsets)
}

/// Reads an offset checkpoint; a missing one is empty, a damaged one too, with a warning: logs
/// are then recovered from their start.
pub fn read_offsets(disk: &dyn Disk, path: &Path) -> io::Result<Offsets> {
    let Some(bytes) = disk.read_file(path)? else { return Ok(Offsets::default()) };
    match std::str::from_utf8(&bytes).ok().and_then(offsets_from_text) {
        Some(offsets) => Ok(offsets),
        None => {
            tracing::warn!(file = %path.display(), "damaged offset checkpoint, taken as empty");
            Ok(Offsets::default())
        }
    }
}

/// Replaces an offset checkpoint, durably.
pub fn write_offsets(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> io::Result<()> {
    disk.replace_file(path, offsets_to_text(offsets).as_bytes())
}

/// The text of `partition.metadata` (Kafka 4.4 `PartitionMetadataFile`).
pub fn partition_metadata(topic: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic}")
}

/// The topic id in `partition.metadata`; `None` when it is damaged.
pub fn topic_id_of(text: &str) -> Option<TopicId> {
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version:")?.trim();
    let id = lines.next()?.strip_prefix("topic_id:")?.trim();
    if version != "0" {
        return None;
    }
    id.parse().ok()
}

/// Reads the mark of a clean stop: the broker epoch that it names, -1 for none.
pub fn read_clean_shutdown(disk: &dyn Disk, log_dir: &Path) -> io::Result<Option<i64>> {
    let Some(bytes) = disk.read_file(&log_dir.join(CLEAN_SHUTDOWN))? else { return Ok(None) };
    let epoch = serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|json| json.get("brokerEpoch")?.as_i64());
    Ok(Some(epoch.unwrap_or(-1)))
}

/// Takes the mark away, durably, before any log is opened: a crash from now on is seen as one.
pub fn remove_clean_shutdown(disk: &dyn Disk, log_dir: &Path) -> io::Result<()> {
    disk.remove_file(&log_dir.join(CLEAN_SHUTDOWN))?;
    disk.sync_dir(log_dir)
}

/// Marks a clean stop (Kafka 4.4 `CleanShutdownFileHandler`).
pub fn write_clean_shutdown(disk: &dyn Disk, log_dir: &Path, broker_epoch: i64) -> io::Result<()> {
    let json = serde_json::json!({ "version": 0, "brokerEpoch": broker_epoch });
    disk.replace_file(&log_dir.join(CLEAN_SHUTDOWN), json.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_checkpoints_are_kafkas_text() {
        let offsets = Offsets::from([("a", 0, 5), ("b.c_d-e", 12, 0)]);
        let text = offsets_to_text(&offsets);
        assert_eq!(text, "0\n2\na 0 5\nb.c_d-e 12 0\n");
        assert_eq!(offsets_from_text(&text), Some(offsets));
        assert_eq!(offsets_from_text(""), Some(Offsets::default()), "as Kafka creates it");
        for damaged in
            ["0", "1\n0\n", "0\n1\n", "0\n1\na 0\n", "0\n0\na 0 1\n", "0\n2\na 0 1\na 0 2\n"]
        {
            assert_eq!(offsets_from_text(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn a_partition_names_its_topic_id() {
        let id: TopicId = "4L6g3nShT-eMCtK--X86sw".parse().unwrap();
        let text = partition_metadata(id);
        assert_eq!(text, "version: 0\ntopic_id: 4L6g3nShT-eMCtK--X86sw");
        assert_eq!(topic_id_of(&text), Some(id));
        assert_eq!(topic_id_of("version: 1\ntopic_id: x"), None);
    }
}
