//! What a crash, or Apache Kafka, left in the log directories of moves between them (Kafka 4.4
//! `LogManager.recoverAbandonedFutureLogs`, `LogManager.loadLog`).
//!
//! A copy beside its partition is gone on with. Apache Kafka puts it in the partition's place at
//! once when the metadata names its directory, although the partition may have more by then. A copy
//! whose partition has no directory takes its name, if the metadata names the copy's directory: the
//! change of places was interrupted. All else is of nobody, and set aside.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::in_parallel::in_parallel;
use super::log_dirs::LogDir;
use crate::env::{Disk, Env};
use crate::log::checkpoint::{PARTITION_METADATA, topic_id_of};
use crate::log::{Listing, dirs};
use crate::metadata::{MetadataImage, Partition, Topic};
use crate::types::{BrokerId, PartitionIndex, TopicPartition, Uuid};

/// An interrupted move that an earlier process left, to be resumed.
#[derive(Clone)]
pub struct UnfinishedMove {
    /// Whose.
    pub id: TopicPartition,
    /// Where it lies.
    pub to: Arc<LogDir>,
    /// The name of its directory.
    pub name: String,
}

/// What was seen of the partitions in each log directory, before anything was changed there.
pub struct DirectoryScan {
    /// In the order of the log directories; each by topic and partition.
    dirs: Vec<Vec<ScannedPartition>>,
}

/// What lies in the directory of a partition.
struct ScannedPartition {
    topic: Arc<str>,
    index: PartitionIndex,
    contents: DirectoryContents,
}

/// What is known of a partition's directory before its log is opened.
#[derive(Default)]
pub(super) struct DirectoryContents {
    /// The topic id beside the log, if one can be read.
    pub(super) topic_id: Option<Uuid>,
    /// The files of the log, if they could be listed.
    pub(super) listing: Option<Listing>,
}

impl DirectoryScan {
    /// What was seen of the partitions of a topic, in each log directory.
    pub(super) fn of_topic(&mut self, topic: &str) -> TopicScan<'_> {
        fn of_dir<'a>(seen: &'a mut [ScannedPartition], topic: &str) -> &'a mut [ScannedPartition] {
            let from = seen.partition_point(|seen| &*seen.topic < topic);
            let len = seen[from..].partition_point(|seen| &*seen.topic == topic);
            &mut seen[from..from + len]
        }
        TopicScan { dirs: self.dirs.iter_mut().map(|seen| of_dir(seen, topic)).collect() }
    }
}

/// What was seen of the partitions of one topic.
pub(super) struct TopicScan<'a> {
    dirs: Vec<&'a mut [ScannedPartition]>,
}

impl TopicScan<'_> {
    /// Gives what was seen of a partition in the log directory number `dir`, once.
    pub(super) fn take(&mut self, dir: usize, index: PartitionIndex) -> DirectoryContents {
        let seen = &mut self.dirs[dir];
        let at = seen.binary_search_by_key(&index, |seen| seen.index);
        at.map(|at| std::mem::take(&mut seen[at].contents)).unwrap_or_default()
    }
}

/// Looks into the directories of all partitions, several at once.
pub async fn scan(env: &Env, log_dirs: &[Arc<LogDir>]) -> DirectoryScan {
    let mut found = DirectoryScan { dirs: Vec::new() };
    for dir in log_dirs {
        let (disk, path) = (Arc::clone(&env.disk), dir.path.clone());
        let look = move |(topic, index): (Arc<str>, PartitionIndex)| {
            let contents = scan_directory(&*disk, &path.join(dirs::live_name(&topic, index)));
            ScannedPartition { topic, index, contents }
        };
        found.dirs.push(in_parallel(env, dir.held(), look).await);
    }
    found
}

/// What cannot be read now is met again when the log is opened.
fn scan_directory(disk: &dyn Disk, path: &Path) -> DirectoryContents {
    let Ok((entries, dir)) = disk.open_dir(path) else { return DirectoryContents::default() };
    let has_id = entries.iter().any(|entry| entry.name == PARTITION_METADATA);
    let bytes = if has_id { dir.read_file(PARTITION_METADATA).ok().flatten() } else { None };
    DirectoryContents {
        topic_id: bytes.and_then(|bytes| id_in(&bytes)),
        listing: Listing::of(&entries, &*dir).ok(),
    }
}

fn topic_id(disk: &dyn Disk, dir: &Path) -> Option<Uuid> {
    id_in(&disk.read_file(&dir.join(PARTITION_METADATA)).ok().flatten()?)
}

fn id_in(bytes: &[u8]) -> Option<Uuid> {
    topic_id_of(std::str::from_utf8(bytes).ok()?)
}

/// Sets the log directories in order; the moves that go on. What was found of a partition that is
/// set aside is forgotten.
pub(super) fn clean_up(
    env: &Env,
    this_broker: BrokerId,
    log_dirs: &[Arc<LogDir>],
    found: &mut DirectoryScan,
    image: &MetadataImage,
) -> Vec<UnfinishedMove> {
    let cleanup = StartupCleanup { env, this_broker, log_dirs, image };
    cleanup.set_strays_aside(found);
    cleanup.keep_one_of_two(found);
    cleanup.futures()
}

struct StartupCleanup<'a> {
    env: &'a Env,
    this_broker: BrokerId,
    log_dirs: &'a [Arc<LogDir>],
    image: &'a MetadataImage,
}

impl StartupCleanup<'_> {
    /// The partition that a directory with this topic id holds, if the metadata places it here.
    fn placed(
        &self,
        id: Option<Uuid>,
        topic: &str,
        index: PartitionIndex,
    ) -> Option<(&Topic, &Partition)> {
        let known = self.image.topics.by_name(topic)?;
        self.placed_of(known, id, index).map(|partition| (&**known, partition))
    }

    /// As [`Self::placed`], where the topic of that name is known.
    fn placed_of<'t>(
        &self,
        known: &'t Topic,
        id: Option<Uuid>,
        index: PartitionIndex,
    ) -> Option<&'t Partition> {
        let partition = known.partition(index)?;
        let is_it = id.is_none_or(|id| id == known.id);
        (partition.replicas.contains(&self.this_broker) && is_it).then_some(&**partition)
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
    fn set_strays_aside(&self, found: &mut DirectoryScan) {
        for (dir, found) in self.log_dirs.iter().zip(&mut found.dirs) {
            let mut last: Option<(Arc<str>, Option<&Arc<Topic>>)> = None;
            found.retain(|ScannedPartition { topic, index, contents }| {
                let known = match &last {
                    Some((name, known)) if Arc::ptr_eq(name, topic) => *known,
                    _ => {
                        let known = self.image.topics.by_name(topic);
                        last = Some((Arc::clone(topic), known));
                        known
                    }
                };
                let placed = known.map(|known| self.placed_of(known, contents.topic_id, *index));
                let is_placed = placed.flatten().is_some();
                if !is_placed {
                    self.set_aside(dir, &dirs::live_name(topic, *index), topic, *index);
                    dir.forget(topic, *index);
                }
                is_placed
            });
        }
    }

    /// Apache Kafka changes places so that a crash leaves two whole directories, which it refuses
    /// afterwards. The one that the metadata names is kept.
    fn keep_one_of_two(&self, found: &mut DirectoryScan) {
        if self.log_dirs.len() < 2 {
            return;
        }
        let mut seen: BTreeSet<(Arc<str>, PartitionIndex)> = BTreeSet::new();
        for dir in self.log_dirs {
            for (topic, index) in dir.held() {
                if seen.insert((Arc::clone(&topic), index)) {
                    continue;
                }
                let named = self.named(&topic, index);
                let both = self.log_dirs.iter().enumerate();
                let both: Vec<(usize, &Arc<LogDir>)> =
                    both.filter(|(_, dir)| dir.holds(&topic, index)).collect();
                let kept = both.iter().find(|(_, dir)| Some(dir.id) == named).or(both.first());
                let Some(kept) = kept.map(|(at, _)| *at) else { continue };
                for (at, other) in both.into_iter().filter(|(at, _)| *at != kept) {
                    self.set_aside(other, &dirs::live_name(&topic, index), &topic, index);
                    other.forget(&topic, index);
                    found.of_topic(&topic).take(at, index);
                }
            }
        }
    }

    fn named(&self, topic: &str, index: PartitionIndex) -> Option<Uuid> {
        self.image.topics.by_name(topic)?.partition(index)?.directory_of(self.this_broker)
    }

    fn futures(&self) -> Vec<UnfinishedMove> {
        let mut unfinished: Vec<UnfinishedMove> = Vec::new();
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
                            && !unfinished.iter().any(|other| other.id == id) =>
                    {
                        unfinished.push(UnfinishedMove {
                            id,
                            to: Arc::clone(dir),
                            name: name.clone(),
                        });
                    }
                    None if is_named => self.promote(dir, name, topic, *index),
                    _ => self.set_aside(dir, name, topic, *index),
                }
            }
        }
        unfinished
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
