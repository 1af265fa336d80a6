//! What a new metadata image changes here: partitions to open, to lead, to delete.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::in_parallel::in_parallel;
use super::log_dirs::LogDir;
use super::partition::Partition;
use super::partitions::Partitions;
use super::startup_cleanup::{self, DirectoryContents, DirectoryScan, UnfinishedMove};
use crate::env::{Env, OpenMode};
use crate::log::checkpoint::{PARTITION_METADATA, partition_metadata};
use crate::log::{Log, LogConfig, LogShared, OpenContext, OpenError, RecoveryReport, dirs};
use crate::metadata::configs::ResourceType;
use crate::metadata::image::Changes;
use crate::metadata::{MetadataImage, Topic};
use crate::types::{BrokerId, PartitionIndex, Timestamp, TopicPartition, Uuid};

/// Makes the settings of a topic's logs from an image.
pub type LogConfigOf = Arc<dyn Fn(&MetadataImage, &str) -> LogConfig + Send + Sync>;

/// Keeps the partitions of this broker as the metadata has them.
pub struct Placement {
    env: Env,
    this_broker: BrokerId,
    log_dirs: Vec<Arc<LogDir>>,
    shared: LogShared,
    partitions: Arc<Partitions>,
    config_of: LogConfigOf,
    /// Partitions that did not open: damage, or a disk that failed.
    offline: Mutex<Vec<(TopicPartition, String)>>,
    /// Moves of the broker before this one.
    unfinished: Mutex<Vec<UnfinishedMove>>,
}

/// A partition to open.
struct PartitionToOpen {
    id: TopicPartition,
    topic: Arc<str>,
    dir: Arc<LogDir>,
    config: Arc<LogConfig>,
    is_new: bool,
    /// What is known of its directory; an id that was read is the topic's.
    contents: DirectoryContents,
}

/// What became of a partition: why it is offline, if it is.
type Opened = (RecoveryTotals, Result<Arc<Partition>, (TopicPartition, String)>);

impl Placement {
    /// Over opened log directories; no partition is opened yet.
    pub fn new(
        env: Env,
        this_broker: BrokerId,
        log_dirs: Vec<Arc<LogDir>>,
        shared: LogShared,
        partitions: Arc<Partitions>,
        config_of: LogConfigOf,
    ) -> Self {
        let (offline, unfinished) = (Mutex::default(), Mutex::default());
        Self { env, this_broker, log_dirs, shared, partitions, config_of, offline, unfinished }
    }

    /// The log directories.
    pub fn log_dirs(&self) -> &[Arc<LogDir>] {
        &self.log_dirs
    }

    /// The partitions.
    pub fn partitions(&self) -> &Arc<Partitions> {
        &self.partitions
    }

    /// Partitions that are here and do not open, with the reason.
    pub fn offline(&self) -> Vec<(TopicPartition, String)> {
        self.offline.lock().clone()
    }

    /// Whether a partition is here and does not open.
    pub fn is_offline(&self, id: TopicPartition) -> bool {
        self.offline.lock().iter().any(|(offline, _)| *offline == id)
    }

    /// Opens all partitions that `image` places here, in the directories where they were found.
    /// Called once, before anything is served; the broker leads what [`Placement::apply`] says.
    pub async fn open_all(
        &self,
        image: &MetadataImage,
        mut found: DirectoryScan,
    ) -> RecoveryTotals {
        let unfinished = startup_cleanup::clean_up(
            &self.env,
            self.this_broker,
            &self.log_dirs,
            &mut found,
            image,
        );
        *self.unfinished.lock() = unfinished;
        let mut counts = self.counts();
        let mut wanted = Vec::new();
        for topic in image.topics.iter() {
            let config = Arc::new((self.config_of)(image, &topic.name));
            let mut found = found.of_topic(&topic.name);
            wanted.reserve(topic.partitions.len());
            for index in 0..topic.partitions.len() as PartitionIndex {
                let Some(mut one) = self.wanted(topic, index, &config, &mut counts) else {
                    continue;
                };
                let dir = self.log_dirs.iter().position(|dir| Arc::ptr_eq(dir, &one.dir));
                one.contents = dir.map(|dir| found.take(dir, index)).unwrap_or_default();
                wanted.push(one);
            }
        }
        drop(found);
        self.open(wanted).await
    }

    /// The moves between log directories that were under way; given once.
    pub fn take_unfinished(&self) -> Vec<UnfinishedMove> {
        std::mem::take(&mut *self.unfinished.lock())
    }

    /// How many partitions are in each log directory that is online.
    fn counts(&self) -> Vec<(Arc<LogDir>, usize)> {
        let online = self.log_dirs.iter().filter(|dir| dir.failure().is_none());
        let mut counts: Vec<_> = online.map(|dir| (Arc::clone(dir), 0)).collect();
        if counts.len() > 1 {
            for partition in self.partitions.all() {
                let dir = partition.log_dir();
                if let Some((_, count)) = counts.iter_mut().find(|(known, _)| known.path == dir) {
                    *count += 1;
                }
            }
        }
        counts
    }

    /// Acts on a new image.
    pub async fn apply(&self, image: &MetadataImage, changes: &Changes) {
        for topic in &changes.topics_deleted {
            self.delete(topic);
        }
        let ids: Vec<TopicPartition> = changes.partitions.iter().copied().collect();
        let by_topic = || {
            let of_topics = ids.chunk_by(|a, b| a.topic == b.topic);
            of_topics.filter_map(|ids| Some((image.topics.by_id(ids[0].topic)?, ids)))
        };
        let mut wanted = Vec::new();
        let mut counts: Option<Vec<(Arc<LogDir>, usize)>> = None;
        for (topic, ids) in by_topic() {
            let here = self.partitions.looked_up(topic.id);
            let mut config = None;
            for id in ids {
                if here.get(id.partition).is_some() || self.is_offline(*id) {
                    continue;
                }
                let make = || Arc::new((self.config_of)(image, &topic.name));
                let config = config.get_or_insert_with(make);
                let counts = counts.get_or_insert_with(|| self.counts());
                wanted.extend(self.wanted(topic, id.partition, config, counts));
            }
        }
        self.open(wanted).await;
        self.apply_configs(image, changes);
        for (topic, ids) in by_topic() {
            let here = self.partitions.looked_up(topic.id);
            for id in ids {
                if let (Some(partition), Some(registration)) =
                    (here.get(id.partition), topic.partition(id.partition))
                {
                    partition.set_role(self.this_broker, registration);
                }
            }
        }
    }

    fn apply_configs(&self, image: &MetadataImage, changes: &Changes) {
        let all = changes.configs.iter().any(|changed| changed.kind == ResourceType::Broker);
        let topics = image.topics.iter().filter(|topic| {
            all || changes
                .configs
                .iter()
                .any(|changed| changed.kind == ResourceType::Topic && *changed.name == *topic.name)
        });
        if changes.configs.is_empty() {
            return;
        }
        for topic in topics {
            let config = Arc::new((self.config_of)(image, &topic.name));
            for (_, partition) in self.partitions.of_topic(topic.id) {
                partition.set_config(Arc::clone(&config));
            }
        }
    }

    /// The partition, if it is placed here: in the directory where it lies, or the one that the
    /// metadata names, or the one with the fewest (Kafka 4.4 `LogManager.nextLogDirs`).
    fn wanted(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        config: &Arc<LogConfig>,
        counts: &mut [(Arc<LogDir>, usize)],
    ) -> Option<PartitionToOpen> {
        let registration = topic.partition(index)?;
        let named = registration.directory_of(self.this_broker)?;
        let lies_in = self.log_dirs.iter().find(|dir| dir.holds(&topic.name, index));
        let by_name = || self.log_dirs.iter().find(|dir| dir.id == named);
        let fewest = || counts.iter().min_by_key(|(_, count)| *count).map(|(dir, _)| dir);
        let dir = Arc::clone(lies_in.or_else(by_name).or_else(fewest)?);
        if let Some((_, count)) = counts.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &dir)) {
            *count += 1;
        }
        Some(PartitionToOpen {
            id: TopicPartition { topic: topic.id, partition: index },
            topic: Arc::clone(&topic.name),
            dir,
            config: Arc::clone(config),
            is_new: lies_in.is_none(),
            contents: DirectoryContents::default(),
        })
    }

    /// Opens logs, several at once. A new partition's files and its topic id are durable
    /// afterwards.
    async fn open(&self, wanted: Vec<PartitionToOpen>) -> RecoveryTotals {
        if wanted.is_empty() {
            return RecoveryTotals::default();
        }
        let now = self.env.clock.wall();
        let created: Vec<PathBuf> = wanted
            .iter()
            .filter(|wanted| wanted.is_new)
            .map(|wanted| wanted.dir.path.clone())
            .collect();
        let shared = self.shared.clone();
        let opened =
            in_parallel(&self.env, wanted, move |wanted| open_one(&shared, wanted, now)).await;
        let (mut totals, mut partitions) = (RecoveryTotals::default(), Vec::new());
        for (of_one, result) in opened {
            totals.merge(of_one);
            match result {
                Ok(partition) => partitions.push(partition),
                Err(offline) => self.offline.lock().push(offline),
            }
        }
        self.partitions.insert(partitions);
        let created: std::collections::BTreeSet<PathBuf> = created.into_iter().collect();
        for dir in created {
            let disk = Arc::clone(&self.env.disk);
            let synced = self.env.threads.run_blocking(move || disk.sync_filesystem(&dir)).await;
            if let Err(error) = synced {
                tracing::error!(%error, "new partitions could not be synced");
            }
        }
        totals
    }

    fn delete(&self, topic: &Topic) {
        self.offline.lock().retain(|(id, _)| id.topic != topic.id);
        for dir in &self.log_dirs {
            for index in 0..topic.partitions.len() as PartitionIndex {
                dir.forget(&topic.name, index);
            }
        }
        for partition in self.partitions.remove_topic(topic.id) {
            let unique = self.env.random.uuid();
            let name = dirs::delete_name(&topic.name, partition.id.partition, unique);
            match partition.move_away(&*self.env.disk, &name) {
                Ok(dir) => remove_later(&self.env, &partition, dir),
                Err(error) => tracing::error!(
                    topic = %topic.name, partition = partition.id.partition, %error,
                    "the directory of a deleted partition cannot be renamed"
                ),
            }
        }
    }
}

/// Removes a renamed directory after `file.delete.delay.ms`, so that readers finish.
pub(super) fn remove_later(env: &Env, partition: &Partition, dir: PathBuf) {
    let delay = partition.config().file_delete_delay_ms.max(0).unsigned_abs();
    let inner = env.clone();
    env.threads.spawn(Box::pin(async move {
        let env = inner;
        let until = env.clock.now() + std::time::Duration::from_millis(delay);
        env.clock.sleep_until(until).await;
        let disk = Arc::clone(&env.disk);
        let removed = env.threads.run_blocking({
            let dir = dir.clone();
            move || disk.remove_dir_all(&dir)
        });
        if let Err(error) = removed.await {
            tracing::warn!(dir = %dir.display(), %error, "a deleted partition stays on disk");
        }
    }));
}

/// What recovery did over all logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryTotals {
    /// Logs that were opened.
    pub logs: usize,
    /// Bytes that were read and checked.
    pub checked_bytes: u64,
    /// Logs that were cut.
    pub cut: usize,
}

impl RecoveryTotals {
    /// Tells the operator, if there was anything to recover.
    pub fn tell(&self) {
        if self.checked_bytes > 0 {
            tracing::info!(
                logs = self.logs,
                bytes = self.checked_bytes,
                cut = self.cut,
                "recovered logs after an unclean stop"
            );
        }
    }

    fn merge(&mut self, other: Self) {
        self.logs += other.logs;
        self.checked_bytes += other.checked_bytes;
        self.cut += other.cut;
    }

    fn add(&mut self, wanted: &PartitionToOpen, report: &RecoveryReport) {
        self.logs += 1;
        self.checked_bytes += report.checked_bytes;
        if let Some(cut) = &report.cut {
            self.cut += 1;
            tracing::warn!(
                topic = %wanted.topic, partition = wanted.id.partition, offset = cut.offset,
                file = %cut.path.display(), position = cut.position, what = cut.what,
                bytes = cut.bytes, whole_batches_behind = cut.whole_batches,
                "the log was cut at the first bad batch past its recovery point"
            );
        }
    }
}

/// Opens a partition; what there is to tell of it, is told.
fn open_one(shared: &LogShared, mut wanted: PartitionToOpen, now: Timestamp) -> Opened {
    let contents = std::mem::take(&mut wanted.contents);
    let mut totals = RecoveryTotals::default();
    match open_log(shared, &wanted, contents, now) {
        Ok((log, report)) => {
            totals.add(&wanted, &report);
            (totals, Ok(Arc::new(Partition::new(wanted.id, wanted.topic, log))))
        }
        Err(error) => {
            tracing::error!(
                topic = %wanted.topic, partition = wanted.id.partition, %error,
                "the partition is offline; to accept the loss, stop the broker and \
                 remove or truncate the damaged file"
            );
            (totals, Err((wanted.id, error.to_string())))
        }
    }
}

fn open_log(
    shared: &LogShared,
    wanted: &PartitionToOpen,
    contents: DirectoryContents,
    now: Timestamp,
) -> Result<(Log, RecoveryReport), OpenError> {
    let dir = wanted.dir.path.join(dirs::live_name(&wanted.topic, wanted.id.partition));
    let (recovery_point, high_watermark, log_start_offset) =
        wanted.dir.checkpointed(&wanted.topic, wanted.id.partition);
    let context = if wanted.is_new {
        OpenContext { clean: true, recovery_point: 0, log_start_offset: 0, high_watermark: 0, now }
    } else {
        let clean = wanted.dir.clean_shutdown.is_some();
        OpenContext { clean, recovery_point, log_start_offset, high_watermark, now }
    };
    let (shared_too, config) = (shared.clone(), Arc::clone(&wanted.config));
    let opened = match contents.listing {
        Some(listing) => Log::open_listed(shared_too, &dir, listing, config, &context)?,
        None => Log::open(shared_too, &dir, config, &context)?,
    };
    if contents.topic_id.is_none() {
        write_topic_id(shared, &dir, wanted.id.topic).map_err(OpenError::io(dir))?;
    }
    Ok(opened)
}

/// Puts the topic id beside the log, unless it is there.
fn write_topic_id(shared: &LogShared, dir: &std::path::Path, topic: Uuid) -> io::Result<()> {
    let path = dir.join(PARTITION_METADATA);
    let text = partition_metadata(topic);
    if shared.disk.read_file(&path)?.is_some_and(|bytes| bytes == text.as_bytes()) {
        return Ok(());
    }
    let file = shared.disk.open(&path, OpenMode::CreateEmpty)?;
    file.write_at(&[IoSlice::new(text.as_bytes())], 0)
}
