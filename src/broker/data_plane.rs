//! The data plane of a broker: its logs, and the tasks that keep them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::settings::BrokerSettings;
use super::storage::OpenedStorage;
use super::{BrokerError, PartFailure};
use crate::env::Env;
use crate::metadata::image::Changes;
use crate::metadata::{ConfigResource, MetadataImage, Topic};
use crate::metrics::Registry;
use crate::store::cleaner::Cleaner;
use crate::store::failures::{self, Watched};
use crate::store::flusher::close_all;
use crate::store::log_dir_moves::{BytesPerSecondOf, Mover, MoverDependencies, ReportMove};
use crate::store::log_dirs::{Checkpoints, LogDir};
use crate::store::startup_cleanup::DirectoryScan;
use crate::store::{Flusher, Partitions, Placement, housekeeping};
use crate::types::{BrokerId, TopicPartition};

/// The logs of a broker, and what works on them.
pub(super) struct DataPlane {
    pub(super) env: Env,
    pub(super) partitions: Arc<Partitions>,
    pub(super) placement: Arc<Placement>,
    pub(super) flusher: Arc<Flusher>,
    checkpoints: Arc<Checkpoints>,
    cleaner: Arc<Cleaner>,
}

/// How the logs were closed.
pub(super) struct Closed {
    /// The log directories with a log that did not close.
    unclean: BTreeSet<PathBuf>,
    /// Whether the checkpoints were written.
    checkpoints: std::io::Result<()>,
}

impl DataPlane {
    /// Opens every partition that `image` places here, and leads those that it lets this broker
    /// lead. Returns those as changes, for the coordinators on them.
    pub(super) async fn open(
        env: &Env,
        settings: &BrokerSettings,
        storage: &OpenedStorage,
        images: Arc<ArcSwap<MetadataImage>>,
        found: DirectoryScan,
    ) -> (Self, Changes) {
        let image = images.load_full();
        let partitions = Arc::new(Partitions::default());
        let placement = Arc::new(Placement::new(
            env.clone(),
            settings.node_id,
            storage.log_dirs.clone(),
            storage.shared.clone(),
            Arc::clone(&partitions),
            Arc::clone(&settings.log_config_of),
        ));
        placement.open_all(&image, found).await.tell();
        let led = led_by(settings.node_id, &image);
        placement.apply(&image, &led).await;
        let checkpoints = Checkpoints::new(Arc::clone(&env.disk), settings.log_dirs.clone());
        let cleaner_of = Arc::clone(&settings.cleaner_of);
        let cleaner = Cleaner::new(
            env.clone(),
            Arc::clone(&partitions),
            settings.log_dirs.clone(),
            Arc::new(move || cleaner_of(&images.load())),
        );
        let data = Self {
            env: env.clone(),
            partitions,
            placement,
            flusher: Arc::new(Flusher::default()),
            checkpoints: Arc::new(checkpoints),
            cleaner: Arc::new(cleaner),
        };
        (data, led)
    }

    /// Begins to move partitions between log directories, and resumes the moves that the last
    /// shutdown interrupted.
    pub(super) fn start_moves(
        &self,
        settings: &BrokerSettings,
        storage: &OpenedStorage,
        images: Arc<ArcSwap<MetadataImage>>,
        report: ReportMove,
        changed: &Arc<Notify>,
    ) -> Arc<Mover> {
        let mover = Mover::new(
            MoverDependencies {
                env: self.env.clone(),
                shared: storage.shared.clone(),
                partitions: Arc::clone(&self.partitions),
                log_dirs: storage.log_dirs.clone(),
                checkpoints: Arc::clone(&self.checkpoints),
                cleaner: Arc::clone(&self.cleaner),
                report,
                bytes_per_second: move_bytes_per_second(images, settings.node_id),
                changed: Arc::clone(changed),
            },
            settings.moves_at_once,
        );
        mover.resume(self.placement.take_unfinished());
        mover
    }

    /// Starts the tasks that look after the logs.
    pub(super) fn start(
        &self,
        settings: &BrokerSettings,
        mover: &Arc<Mover>,
        metrics: &Registry,
        failure: &PartFailure,
    ) {
        let threads = &self.env.threads;
        threads.spawn(Box::pin(Arc::clone(&self.flusher).run(self.env.clone())));
        threads.spawn(Box::pin(Arc::clone(&self.cleaner).run()));
        threads.spawn(Box::pin(housekeeping::run(
            self.env.clone(),
            Arc::clone(&self.partitions),
            Arc::clone(&self.flusher),
            Arc::clone(&self.checkpoints),
            metrics.clone(),
            settings.intervals,
        )));
        self.watch_dirs(settings, mover, failure);
    }

    /// Looks after the log directories, until the broker cannot go on without one that failed.
    fn watch_dirs(&self, settings: &BrokerSettings, mover: &Arc<Mover>, failure: &PartFailure) {
        let (mover, metadata_dir) = (Arc::clone(mover), settings.metadata_dir.clone());
        let watched = Watched { mover, metadata_dir };
        let watch = failures::watch(self.env.clone(), watched, settings.intervals.flush);
        let failure = failure.clone();
        self.env.threads.spawn(Box::pin(async move {
            let why = watch.await;
            tracing::error!(why, "the broker stops");
            failure.set(BrokerError::LogDirsFailed(why));
        }));
    }

    /// Ends compaction and moves, closes the logs, and writes the checkpoints.
    pub(super) async fn stop(&self, mover: &Arc<Mover>) -> Closed {
        self.cleaner.stop().await;
        let (partitions, mover) = (Arc::clone(&self.partitions), Arc::clone(mover));
        let checkpoints = Arc::clone(&self.checkpoints);
        let (disk, now) = (Arc::clone(&self.env.disk), self.env.clock.wall());
        let close = move || {
            mover.stop();
            let all = partitions.all();
            let offline = all.iter().filter(|partition| partition.offline().is_some());
            let mut unclean: BTreeSet<_> = offline.map(|partition| partition.log_dir()).collect();
            unclean.extend(close_all(&*disk, all, now));
            Closed { checkpoints: checkpoints.write(&partitions), unclean }
        };
        self.env.threads.run_blocking(close).await
    }

    /// Marks the shutdown as clean in every log directory where it was, last of all.
    pub(super) fn mark_clean(&self, closed: Closed, epoch: i64) -> Result<(), BrokerError> {
        if !self.placement.offline().is_empty() {
            return Ok(());
        }
        let Closed { unclean, checkpoints } = closed;
        if unclean.is_empty() {
            checkpoints.map_err(BrokerError::Stop)?;
        }
        let is_whole = |dir: &&Arc<LogDir>| dir.failure().is_none() && !unclean.contains(&dir.path);
        for dir in self.placement.log_dirs().iter().filter(is_whole) {
            dir.mark_clean_shutdown(&*self.env.disk, epoch).map_err(BrokerError::Stop)?;
        }
        Ok(())
    }
}

/// How fast partitions may move between log directories: a key that is only set while a broker
/// runs, and without a bound unless it is.
fn move_bytes_per_second(
    images: Arc<ArcSwap<MetadataImage>>,
    broker: BrokerId,
) -> BytesPerSecondOf {
    let layers = [ConfigResource::broker(broker), ConfigResource::default_broker()];
    Arc::new(move || {
        let image = images.load();
        let of = |layer| {
            image.configs.of(layer)?.get("replica.alter.log.dirs.io.max.bytes.per.second").cloned()
        };
        layers.iter().find_map(of).and_then(|text| text.trim().parse().ok()).unwrap_or(i64::MAX)
    })
}

/// The partitions that an image lets `broker` lead, as if they were new. Of all others nothing is
/// to be done when it starts.
fn led_by(broker: BrokerId, image: &MetadataImage) -> Changes {
    let of_topic = |topic: &Arc<Topic>| {
        let id = topic.id;
        let numbered = (0..).zip(topic.partitions.iter().map(|partition| partition.leader));
        let led = numbered.filter(move |(_, leader)| *leader == broker);
        led.map(move |(partition, _)| TopicPartition { topic: id, partition }).collect::<Vec<_>>()
    };
    let partitions = image.topics.iter().flat_map(of_topic).collect();
    Changes { partitions, ..Changes::default() }
}
