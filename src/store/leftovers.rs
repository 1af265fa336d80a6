//! What a crash, or Apache Kafka, left in the log directories of moves between them (Kafka 4.4
//! `LogManager.recoverAbandonedFutureLogs`, `LogManager.loadLog`).
//!
//! A copy beside its partition is gone on with. Apache Kafka puts it in the partition's place at
//! once when the metadata names its directory, although the partition may have more by then. A copy
//! whose partition has no directory takes its name, if the metadata names the copy's directory: the
//! change of places was interrupted. All else is of nobody, and set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::log_dirs::LogDir;
use super::moves::Unfinished;
use super::placement::{futures_in_order, split};
use crate::env::{Disk, Env};
use crate::log::checkpoint::{PARTITION_METADATA, topic_id_of};
use crate::log::dirs;
use crate::metadata::{MetadataImage, Partition, Topic};
use crate::types::{BrokerId, PartitionIndex, TopicPartition, Uuid};

/// The topic ids that lie beside the partitions of each log directory, in its order.
pub(super) type Found = Vec<BTreeMap<(String, PartitionIndex), Option<Uuid>>>;

/// Reads the topic ids that lie beside partitions, several at once.
pub(super) async fn find(env: &Env, log_dirs: &[Arc<LogDir>]) -> Found {
    let mut found = Vec::new();
    for dir in log_dirs {
        let mut running = Vec::new();
        for chunk in split(dir.held(), env.threads.blocking_parallelism()) {
            let (disk, dir) = (Arc::clone(&env.disk), Arc::clone(dir));
            running.push(env.threads.run_blocking(move || {
                let read = |(topic, index): (String, PartitionIndex)| {
                    let id = topic_id(&*disk, &dir.path.join(dirs::live_name(&topic, index)));
                    ((topic, index), id)
                };
                chunk.into_iter().map(read).collect::<Vec<_>>()
            }));
        }
        found.push(futures_in_order(running).await.into_iter().flatten().collect());
    }
    found
}

fn topic_id(disk: &dyn Disk, dir: &Path) -> Option<Uuid> {
    let bytes = disk.read_file(&dir.join(PARTITION_METADATA)).ok().flatten()?;
    topic_id_of(std::str::from_utf8(&bytes).ok()?)
}

/// Sets the log directories in order; the moves that go on, and the partitions whose topic id was
/// found beside them.
pub(super) fn settle(
    env: &Env,
    this_broker: BrokerId,
    log_dirs: &[Arc<LogDir>],
    found: Found,
    image: &MetadataImage,
) -> (Vec<Unfinished>, BTreeSet<TopicPartition>) {
    let settling = Settling { env, this_broker, log_dirs, image };
    let identified = settling.set_strays_aside(&found);
    settling.leave_one_of_two();
    (settling.futures(), identified)
}

struct Settling<'a> {
    env: &'a Env,
    this_broker: BrokerId,
    log_dirs: &'a [Arc<LogDir>],
    image: &'a MetadataImage,
}

impl Settling<'_> {
    /// The partition that a directory with this topic id holds, if the metadata places it here.
    fn placed(
        &self,
        id: Option<Uuid>,
        topic: &str,
        index: PartitionIndex,
    ) -> Option<(&Topic, &Partition)> {
        let known = self.image.topics.by_name(topic)?;
        let partition = known.partition(index)?;
        let is_it = id.is_none_or(|id| id == known.id);
        (partition.replicas.contains(&self.this_broker) && is_it).then_some((known, partition))
    }

    fn rename(&self, dir: &LogDir, from: &str, to: &str) -> io::Result<()> {
        self.env.disk.rename(&dir.path.join(from), &dir.path.join(to))?;
        self.env.disk.sync_dir(&dir.path)
    }

    fn set_aside(&self, dir: &LogDir, name: &str, topic: &str, index: PartitionIndex) {
        let stray = dirs::stray_name(topic, index, self.env.random.uuid());
        let path = dir.path.join(name);
        tracing::warn!(dir = %path.display(), stray, "a partition of nobody, set aside");
        if let Err(error) = self.rename(dir, name, &stray) {
            tracing::error!(dir = %path.display(), %error, "it cannot be renamed");
        }
    }

    /// Partitions that the metadata does not place here belong to nobody: they are renamed, and
    /// kept for a person to look at (Kafka 4.4 `LogManager`, KAFKA-14616).
    fn set_strays_aside(&self, found: &Found) -> BTreeSet<TopicPartition> {
        let (mut identified, mut twice) = (BTreeSet::new(), BTreeSet::new());
        for (dir, found) in self.log_dirs.iter().zip(found) {
            for ((topic, index), id) in found {
                match self.placed(*id, topic, *index) {
                    None => {
                        self.set_aside(dir, &dirs::live_name(topic, *index), topic, *index);
                        dir.forget(topic, *index);
                    }
                    Some((known, _)) => {
                        let partition = TopicPartition { topic: known.id, partition: *index };
                        if id.is_none() || !identified.insert(partition) {
                            twice.insert(partition);
                        }
                    }
                }
            }
        }
        // Of two directories one will be left, and which of them has the id is not told here.
        identified.retain(|partition| !twice.contains(partition));
        identified
    }

    /// Apache Kafka changes places so that a crash leaves two whole directories, which it refuses
    /// afterwards. The one that the metadata names is kept.
    fn leave_one_of_two(&self) {
        let mut seen: BTreeSet<(String, PartitionIndex)> = BTreeSet::new();
        for dir in self.log_dirs {
            for (topic, index) in dir.held() {
                if seen.insert((topic.clone(), index)) {
                    continue;
                }
                let named = self.named(&topic, index);
                let both = self.log_dirs.iter().filter(|dir| dir.holds(&topic, index));
                let both: Vec<&Arc<LogDir>> = both.collect();
                let kept = both.iter().find(|dir| Some(dir.id) == named).or(both.first());
                let Some(kept) = kept.map(|dir| dir.path.clone()) else { continue };
                for other in both.iter().filter(|dir| dir.path != kept) {
                    self.set_aside(other, &dirs::live_name(&topic, index), &topic, index);
                    other.forget(&topic, index);
                }
            }
        }
    }

    fn named(&self, topic: &str, index: PartitionIndex) -> Option<Uuid> {
        self.image.topics.by_name(topic)?.partition(index)?.directory_of(self.this_broker)
    }

    fn futures(&self) -> Vec<Unfinished> {
        let mut going_on: Vec<Unfinished> = Vec::new();
        for dir in self.log_dirs {
            for (topic, index, name) in &dir.futures {
                let id = topic_id(&*self.env.disk, &dir.path.join(name));
                let Some((known, partition)) = self.placed(id, topic, *index) else {
                    self.set_aside(dir, name, topic, *index);
                    continue;
                };
                let id = TopicPartition { topic: known.id, partition: *index };
                let lives_in = self.log_dirs.iter().find(|dir| dir.holds(topic, *index));
                let named = partition.directory_of(self.this_broker);
                let is_named = named == Some(dir.id)
                    || named == Some(Uuid::MIGRATING_DIRECTORY)
                    || !self.image.release.has_directories();
                match lives_in {
                    Some(lives_in)
                        if lives_in.path != dir.path
                            && !going_on.iter().any(|other| other.id == id) =>
                    {
                        going_on.push(Unfinished { id, to: Arc::clone(dir), name: name.clone() });
                    }
                    None if is_named => self.promote(dir, name, topic, *index),
                    _ => self.set_aside(dir, name, topic, *index),
                }
            }
        }
        going_on
    }

    fn promote(&self, dir: &LogDir, name: &str, topic: &str, index: PartitionIndex) {
        let live = dirs::live_name(topic, index);
        let path: &Path = &dir.path;
        tracing::info!(dir = %path.display(), partition = live,
            "a move between log directories was interrupted at its end, and is finished");
        match self.rename(dir, name, &live) {
            Ok(()) => dir.hold(topic, index),
            Err(error) => {
                tracing::error!(dir = %path.display(), partition = live, %error,
                    "the copy cannot be given its name");
            }
        }
    }
}
