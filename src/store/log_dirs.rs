//! The log directories of this broker: what lies in them, and their checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::{Disk, Lock};
use crate::log::checkpoint::{
    self, HIGH_WATERMARKS, LOG_START_OFFSETS, Offsets, RECOVERY_POINTS, read_offsets, write_offsets,
};
use crate::log::dirs::{self, PartitionDir};
use crate::types::{PartitionIndex, Uuid};

use super::partitions::Partitions;

/// The lock file of a log directory.
const LOCK: &str = ".lock";

/// Partitions by topic.
type Held = BTreeMap<Arc<str>, BTreeSet<PartitionIndex>>;

/// One log directory, locked by this broker.
pub struct LogDir {
    /// Where it is.
    pub path: PathBuf,
    /// Its `directory.id`.
    pub id: Uuid,
    /// Whether the broker stopped cleanly, and the broker epoch it noted then.
    pub clean_shutdown: Option<i64>,
    /// Directories of partitions that were being deleted.
    deleting: Vec<String>,
    /// Copies that were to take a partition's place when the broker before this one ended: topic,
    /// partition, name of the directory.
    pub futures: Vec<(String, PartitionIndex, String)>,
    /// The partitions that were in it at the start, and are known to be gone from nowhere.
    held: Mutex<Held>,
    /// Why it is used no more.
    failure: Mutex<Option<String>>,
    recovery_points: Offsets,
    high_watermarks: Offsets,
    log_start_offsets: Offsets,
    _lock: Box<dyn Lock>,
}

/// Why a log directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogDirError {
    /// Another broker is running on it.
    #[error("{}: another broker holds the lock: is one running on this directory?", .0.display())]
    Locked(PathBuf),
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// Which directory.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

/// Takes the lock of a log directory, as Apache Kafka does.
pub fn lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Lock>, LogDirError> {
    let io = |source| LogDirError::Io { path: path.to_owned(), source };
    disk.try_lock(&path.join(LOCK)).map_err(io)?.ok_or_else(|| LogDirError::Locked(path.to_owned()))
}

fn note(held: &mut Held, topic: &str, partition: PartitionIndex) {
    match held.get_mut(topic) {
        Some(partitions) => _ = partitions.insert(partition),
        None => _ = held.insert(topic.into(), BTreeSet::from([partition])),
    }
}

impl LogDir {
    /// Opens a locked log directory: reads the mark of a clean stop and the checkpoints, and lists the
    /// partitions. Nothing is changed before [`Self::begin`].
    pub fn open(
        disk: &dyn Disk,
        path: &Path,
        id: Uuid,
        lock: Box<dyn Lock>,
    ) -> Result<Self, LogDirError> {
        let io = |source| LogDirError::Io { path: path.to_owned(), source };
        let clean_shutdown = checkpoint::read_clean_shutdown(disk, path).map_err(io)?;
        let read = |name| read_offsets(disk, &path.join(name)).map_err(io);
        let (mut held, mut futures, mut deleting) = (Held::new(), Vec::new(), Vec::new());
        for entry in disk.list(path).map_err(io)? {
            if !entry.is_dir || entry.name == "__cluster_metadata-0" {
                continue;
            }
            match dirs::parse(&entry.name) {
                Some(PartitionDir::Live { topic, partition }) => {
                    note(&mut held, &topic, partition);
                }
                Some(PartitionDir::Deleting) => deleting.push(entry.name),
                Some(PartitionDir::Future { topic, partition }) => {
                    futures.push((topic, partition, entry.name));
                }
                Some(PartitionDir::Stray) | None => {}
            }
        }
        Ok(Self {
            path: path.to_owned(),
            id,
            clean_shutdown,
            deleting,
            futures,
            held: Mutex::new(held),
            failure: Mutex::default(),
            recovery_points: read(RECOVERY_POINTS)?,
            high_watermarks: read(HIGH_WATERMARKS)?,
            log_start_offsets: read(LOG_START_OFFSETS)?,
            _lock: lock,
        })
    }

    /// The broker may go on with what was found: takes the mark of a clean stop away, and removes
    /// what was being deleted.
    pub fn begin(&self, disk: &dyn Disk) -> Result<(), LogDirError> {
        let io = |source| LogDirError::Io { path: self.path.clone(), source };
        if self.clean_shutdown.is_some() {
            checkpoint::remove_clean_shutdown(disk, &self.path).map_err(io)?;
        }
        for name in &self.deleting {
            disk.remove_dir_all(&self.path.join(name)).map_err(io)?;
        }
        Ok(())
    }

    /// What the checkpoints say of a partition: recovery point, high watermark, log start.
    pub fn checkpointed(&self, topic: &str, partition: PartitionIndex) -> (i64, i64, i64) {
        let of = |offsets: &Offsets| offsets.get(topic, partition).unwrap_or(0);
        (of(&self.recovery_points), of(&self.high_watermarks), of(&self.log_start_offsets))
    }

    /// The partitions that lay here at the start, and still do as far as is known, in order.
    pub fn held(&self) -> Vec<(Arc<str>, PartitionIndex)> {
        let mut all = Vec::new();
        for (topic, partitions) in &*self.held.lock() {
            all.extend(partitions.iter().map(|partition| (Arc::clone(topic), *partition)));
        }
        all
    }

    /// How many there are.
    pub fn held_count(&self) -> usize {
        self.held.lock().values().map(BTreeSet::len).sum()
    }

    /// Whether `topic`-`partition` is one of them.
    pub fn holds(&self, topic: &str, partition: PartitionIndex) -> bool {
        self.held.lock().get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// It is one of them after all.
    pub(super) fn hold(&self, topic: &str, partition: PartitionIndex) {
        note(&mut self.held.lock(), topic, partition);
    }

    /// It is none of them any more: one of the same name would be new.
    pub(super) fn forget(&self, topic: &str, partition: PartitionIndex) {
        let mut held = self.held.lock();
        let Some(partitions) = held.get_mut(topic) else { return };
        partitions.remove(&partition);
        if partitions.is_empty() {
            held.remove(topic);
        }
    }

    /// Why it is used no more, if so.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// It is used no more; whether that is news.
    pub fn fail(&self, why: &str) -> bool {
        let mut failure = self.failure.lock();
        let is_news = failure.is_none();
        failure.get_or_insert_with(|| why.to_owned());
        is_news
    }

    /// Marks a clean stop. The last thing a broker does.
    pub fn mark_clean_shutdown(&self, disk: &dyn Disk, broker_epoch: i64) -> io::Result<()> {
        checkpoint::write_clean_shutdown(disk, &self.path, broker_epoch)
    }
}

/// Who writes the checkpoints of all log directories.
///
/// One writer at a time, from the look at the partitions to the last rename: the stop of a broker
/// may meet its housekeeping here, two writers would share one temporary file, and an older picture
/// must not follow a newer one.
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    log_dirs: Vec<PathBuf>,
    one_at_a_time: Mutex<()>,
}

impl Checkpoints {
    /// For these log directories.
    pub fn new(disk: Arc<dyn Disk>, log_dirs: Vec<PathBuf>) -> Self {
        Self { disk, log_dirs, one_at_a_time: Mutex::new(()) }
    }

    /// Writes them. Recovery points only ever tell what was synced before.
    pub fn write(&self, partitions: &Partitions) -> io::Result<()> {
        #[derive(Default)]
        struct Files {
            recovery_points: Offsets,
            high_watermarks: Offsets,
            log_start_offsets: Offsets,
        }
        let _one = self.one_at_a_time.lock();
        let mut by_dir: BTreeMap<&Path, Files> =
            self.log_dirs.iter().map(|dir| (dir.as_path(), Files::default())).collect();
        for partition in partitions.all() {
            let Some(files) = by_dir.get_mut(partition.log_dir().as_path()) else { continue };
            let (topic, index) = (&*partition.topic, partition.id.partition);
            let known = partition.checkpoint();
            files.recovery_points.set(topic, index, known.recovery_point);
            files.high_watermarks.set(topic, index, known.high_watermark);
            if let Some(log_start_offset) = known.log_start_offset {
                files.log_start_offsets.set(topic, index, log_start_offset);
            }
        }
        let disk = &*self.disk;
        // One directory that fails does not keep the others from theirs.
        let mut result = Ok(());
        for (dir, files) in by_dir {
            let written = write_offsets(disk, &dir.join(RECOVERY_POINTS), &files.recovery_points)
                .and_then(|()| {
                    write_offsets(disk, &dir.join(LOG_START_OFFSETS), &files.log_start_offsets)
                })
                .and_then(|()| {
                    write_offsets(disk, &dir.join(HIGH_WATERMARKS), &files.high_watermarks)
                });
            result = result.and(written);
        }
        result
    }
}
