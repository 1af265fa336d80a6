//! Moves of partitions between the log directories of this broker (KIP-113; Kafka 4.4
//! `ReplicaManager.alterReplicaLogDirs`, `ReplicaAlterLogDirsThread`).
//!
//! A copy in `NAME-N.UUID-future` is filled from the published views of the partition, on threads
//! that may block, some chunks at once over all moves and no faster than
//! `replica.alter.log.dirs.io.max.bytes.per.second`. Once it has caught up the controller is told
//! of the new directory (KIP-858); when that is in the metadata, the rest is copied and the two
//! change places under the partition's monitor. See `log/copy.rs` for what a crash leaves.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::cleaner::Cleaner;
use super::log_dirs::{Checkpoints, LogDir};
use super::partition::{LogDirSwap, Partition};
use super::partitions::Partitions;
use super::placement::remove_later;
use super::startup_cleanup::UnfinishedMove;
use crate::env::Env;
use crate::log::checkpoint::{PARTITION_METADATA, partition_metadata};
use crate::log::{CopyError, Log, LogShared, LogView, OpenContext, OpenError, dirs};
use crate::types::{ErrorCode, Mono, TopicPartition, Uuid};

/// How much is copied at once.
const CHUNK_BYTES: usize = 1 << 20;
/// So much of a copy is written before it is flushed.
const UNFLUSHED_BYTES_MAX: u64 = 64 << 20;
/// The pause before the controller is told again, or the places are changed again.
const RETRY: Duration = Duration::from_millis(50);

/// Why a partition does not move.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The directory is none of this broker's.
    #[error("log directory {0} is not one of log.dirs")]
    NoSuchDir(String),
    /// A log directory failed, or the partition's log did.
    #[error("{0}")]
    Storage(String),
    /// The name of the copy's directory would be too long (KAFKA-4893).
    #[error("the topic name is too long")]
    NameTooLong,
    /// The copy cannot be begun.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl MoveError {
    /// The Kafka code of this refusal.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoSuchDir(_) => ErrorCode::LogDirNotFound,
            Self::Storage(_) | Self::Open(_) => ErrorCode::KafkaStorageError,
            Self::NameTooLong => ErrorCode::InvalidTopicException,
        }
    }
}

/// What is told of a move.
pub struct MoveProgress {
    /// The log directory that the partition moves to.
    pub to: PathBuf,
    /// The copy as it is now.
    pub view: Arc<LogView>,
}

struct Move {
    to: Arc<LogDir>,
    /// The copy; nothing before it is begun and after the move is over.
    log: Mutex<Option<Log>>,
    /// What is seen of it.
    views: ArcSwapOption<ArcSwap<LogView>>,
    /// Nobody wants it any more.
    over: AtomicBool,
}

/// What one step came to.
enum CopyStep {
    Copied(usize),
    CaughtUp,
    /// The move was cancelled, or the partition is gone.
    Over,
}

/// How fast all moves together may be, in bytes a second, as it is now.
pub type BytesPerSecondOf = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A replica that will be in another log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaMove {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition.
    pub id: TopicPartition,
    /// The id of the log directory.
    pub directory: Uuid,
}

/// Reports a move to whoever keeps the cluster's metadata, before the move takes effect; whether
/// the metadata names the new directory now.
pub type ReportMove =
    Box<dyn Fn(ReplicaMove) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// What moves are made with.
pub struct MoverDependencies {
    /// The world outside.
    pub env: Env,
    /// What logs share.
    pub shared: LogShared,
    /// The partitions.
    pub partitions: Arc<Partitions>,
    /// The log directories.
    pub log_dirs: Vec<Arc<LogDir>>,
    /// Written after each move.
    pub checkpoints: Arc<Checkpoints>,
    /// Told of each move.
    pub cleaner: Arc<Cleaner>,
    /// Reports the new directory of a partition.
    pub report: ReportMove,
    /// `replica.alter.log.dirs.io.max.bytes.per.second`.
    pub bytes_per_second: BytesPerSecondOf,
    /// Notified when a move ends: what the controller believes may be wrong.
    pub changed: Arc<Notify>,
}

/// The moves of this broker.
pub struct Mover {
    with: MoverDependencies,
    moves: Mutex<BTreeMap<TopicPartition, Arc<Move>>>,
    at_once: Semaphore,
    free_at: Mutex<Option<Mono>>,
}

impl Mover {
    /// No move is under way. `at_once` chunks are copied at the same time.
    pub fn new(with: MoverDependencies, at_once: usize) -> Arc<Self> {
        let at_once = Semaphore::new(at_once.max(1));
        Arc::new(Self { with, moves: Mutex::default(), at_once, free_at: Mutex::default() })
    }

    /// The partitions of this broker.
    pub fn partitions(&self) -> &Partitions {
        &self.with.partitions
    }

    /// Its log directories.
    pub fn log_dirs(&self) -> &[Arc<LogDir>] {
        &self.with.log_dirs
    }

    /// Whether a partition moves: what the metadata says of its directory may be ahead.
    pub fn is_moving(&self, id: TopicPartition) -> bool {
        self.moves.lock().contains_key(&id)
    }

    /// Where a partition moves to, and how far it has come.
    pub fn progress(&self, id: TopicPartition) -> Option<MoveProgress> {
        let of = Arc::clone(self.moves.lock().get(&id)?);
        let views = of.views.load_full()?;
        Some(MoveProgress { to: of.to.path.clone(), view: views.load_full() })
    }

    /// Moves a partition to the log directory at `path`. To where it lies: a move that is under way
    /// is cancelled. The copy is begun when this returns.
    pub async fn request(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        path: &str,
    ) -> Result<(), MoveError> {
        let unique = self.with.env.random.uuid();
        let name = dirs::future_name(&partition.topic, partition.id.partition, unique)
            .ok_or(MoveError::NameTooLong)?;
        let to = self.dir_at(path)?;
        if let Some(why) = to.failure() {
            return Err(MoveError::Storage(why));
        }
        if let Some(why) = partition.offline() {
            return Err(MoveError::Storage(why));
        }
        let known = self.moves.lock().get(&partition.id).cloned();
        if let Some(known) = known {
            if known.to.path == to.path {
                return Ok(());
            }
            self.cancel(partition, &known).await;
        }
        if partition.log_dir() == to.path {
            return Ok(());
        }
        // While one is offline, a copy of an earlier life may lie there.
        if let Some(why) = self.with.log_dirs.iter().find_map(|dir| dir.failure()) {
            return Err(MoveError::Storage(why));
        }
        match self.register(partition, to) {
            Some(this) => Ok(self.begin(partition, this, name).await?),
            None => Ok(()), // Another request was faster.
        }
    }

    /// Goes on with copies of a broker before this one.
    pub fn resume(self: &Arc<Self>, unfinished: Vec<UnfinishedMove>) {
        for UnfinishedMove { id, to, name } in unfinished {
            let Some(partition) = self.with.partitions.get(id) else { continue };
            tracing::info!(topic = %partition.topic, partition = id.partition,
                to = %to.path.display(), "a move between log directories goes on");
            let Some(this) = self.register(&partition, to) else { continue };
            let mover = Arc::clone(self);
            self.with.env.threads.spawn(Box::pin(async move {
                if let Err(error) = mover.begin(&partition, this, name).await {
                    tracing::error!(topic = %partition.topic, partition = id.partition, %error,
                        "a move between log directories cannot go on");
                }
            }));
        }
    }

    /// Whether there is such a directory, and whether a copy could have a name there: what is asked
    /// first, whatever the partition.
    pub fn check_dir(
        &self,
        topic: &str,
        partition: crate::types::PartitionIndex,
        path: &str,
    ) -> Result<(), MoveError> {
        dirs::future_name(topic, partition, Uuid::ZERO).ok_or(MoveError::NameTooLong)?;
        match self.dir_at(path)?.failure() {
            Some(why) => Err(MoveError::Storage(why)),
            None => Ok(()),
        }
    }

    fn dir_at(&self, path: &str) -> Result<Arc<LogDir>, MoveError> {
        let disk = &self.with.env.disk;
        let is_it = |dir: &&Arc<LogDir>| {
            disk.absolute(&dir.path).is_ok_and(|absolute| absolute == Path::new(path))
        };
        let found = self.with.log_dirs.iter().find(is_it).cloned();
        found.ok_or_else(|| MoveError::NoSuchDir(path.to_owned()))
    }

    /// A move begins, unless another one is under way.
    fn register(&self, partition: &Partition, to: Arc<LogDir>) -> Option<Arc<Move>> {
        let this = Arc::new(Move {
            to,
            log: Mutex::default(),
            views: ArcSwapOption::empty(),
            over: AtomicBool::new(false),
        });
        let mut moves = self.moves.lock();
        if moves.contains_key(&partition.id) {
            return None;
        }
        moves.insert(partition.id, Arc::clone(&this));
        partition.set_moving(true);
        Some(this)
    }

    async fn begin(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        this: Arc<Move>,
        name: String,
    ) -> Result<(), OpenError> {
        let (inner, of) = (Arc::clone(&this), Arc::clone(partition));
        let (shared, now) = (self.with.shared.clone(), self.with.env.clock.wall());
        let opened = self.with.env.threads.run_blocking(move || {
            let dir = inner.to.path.join(name);
            let log = open(&shared, &of, &dir, now)?;
            inner.views.store(Some(log.views()));
            *inner.log.lock() = Some(log);
            Ok::<_, OpenError>(())
        });
        if let Err(error) = opened.await {
            self.end(partition, &this);
            return Err(error);
        }
        let (mover, partition) = (Arc::clone(self), Arc::clone(partition));
        self.with.env.threads.spawn(Box::pin(async move {
            if let Err(error) = mover.run(&partition, &this).await {
                tracing::error!(topic = %partition.topic, partition = partition.id.partition,
                    to = %this.to.path.display(), %error, "a move between log directories ends");
                // Of a partition that went offline meanwhile the copy may be all there is.
                if partition.offline().is_none() {
                    mover.discard(&partition, &this).await;
                }
            }
            mover.end(&partition, &this);
        }));
        Ok(())
    }

    fn end(&self, partition: &Partition, this: &Arc<Move>) {
        this.over.store(true, Ordering::Release);
        let mut moves = self.moves.lock();
        if moves.get(&partition.id).is_some_and(|known| Arc::ptr_eq(known, this)) {
            moves.remove(&partition.id);
            partition.set_moving(false);
        }
        drop(moves);
        self.with.changed.notify_one();
    }

    async fn cancel(&self, partition: &Partition, this: &Arc<Move>) {
        this.over.store(true, Ordering::Release);
        self.discard(partition, this).await;
        self.end(partition, this);
    }

    /// Takes the copy away.
    async fn discard(&self, partition: &Partition, this: &Arc<Move>) {
        let unique = self.with.env.random.uuid();
        let name = dirs::delete_name(&partition.topic, partition.id.partition, unique);
        let (inner, disk) = (Arc::clone(this), Arc::clone(&self.with.env.disk));
        let discarded = self.with.env.threads.run_blocking(move || {
            let Some(log) = inner.log.lock().take() else { return Ok(()) };
            let to = log.dir().with_file_name(name);
            disk.rename(log.dir(), &to)?;
            disk.remove_dir_all(&to)
        });
        if let Err(error) = discarded.await {
            tracing::warn!(topic = %partition.topic, partition = partition.id.partition, %error,
                "the copy of a move that ended stays on disk");
        }
    }

    async fn run(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        this: &Arc<Move>,
    ) -> Result<(), CopyError> {
        let env = &self.with.env;
        let mut is_told = false;
        loop {
            let step = {
                let Ok(_permit) = self.at_once.acquire().await else { return Ok(()) };
                let (mover, of, inner) =
                    (Arc::clone(self), Arc::clone(partition), Arc::clone(this));
                env.threads.run_blocking(move || mover.step(&of, &inner)).await?
            };
            match step {
                CopyStep::Copied(bytes) => self.throttle(bytes).await,
                CopyStep::Over => {
                    if self.is_gone(partition) {
                        self.discard(partition, this).await;
                    }
                    return Ok(());
                }
                CopyStep::CaughtUp if !is_told => {
                    let topic = Arc::clone(&partition.topic);
                    let moved = ReplicaMove { topic, id: partition.id, directory: this.to.id };
                    is_told = (self.with.report)(moved).await;
                    if !is_told {
                        env.clock.sleep_until(env.clock.now() + RETRY).await;
                    }
                }
                CopyStep::CaughtUp => {
                    if self.swap_log_dirs(partition, this).await? {
                        return Ok(());
                    }
                    env.clock.sleep_until(env.clock.now() + RETRY).await;
                }
            }
        }
    }

    fn is_gone(&self, partition: &Arc<Partition>) -> bool {
        let known = self.with.partitions.get(partition.id);
        known.is_none_or(|known| !Arc::ptr_eq(&known, partition))
    }

    /// Copies a chunk; blocks.
    fn step(&self, partition: &Arc<Partition>, this: &Move) -> Result<CopyStep, CopyError> {
        let is_over = this.over.load(Ordering::Acquire) || self.is_gone(partition);
        if is_over || partition.offline().is_some() {
            return Ok(CopyStep::Over);
        }
        let now = self.with.env.clock.wall();
        let mut log = this.log.lock();
        let Some(copy) = log.as_mut() else { return Ok(CopyStep::Over) };
        let view = partition.view();
        match copy.copy_from(&view, CHUNK_BYTES, now) {
            Ok(0) if copy.end() == view.log_end_offset => {
                copy.flush_copy(now)?;
                Ok(CopyStep::CaughtUp)
            }
            Ok(bytes) => {
                if copy.unflushed_bytes() >= UNFLUSHED_BYTES_MAX {
                    copy.flush_copy(now)?;
                }
                Ok(CopyStep::Copied(bytes))
            }
            Err(CopyError::Apart) => {
                let (dir, views) = (copy.dir().to_owned(), copy.views());
                *log = None;
                self.with.env.disk.remove_dir_all(&dir)?;
                let anew = open(&self.with.shared, partition, &dir, now);
                let mut anew = anew.map_err(|error| io::Error::other(error.to_string()))?;
                anew.show_in(&views);
                *log = Some(anew);
                Ok(CopyStep::Copied(0))
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until the next chunk may be copied, after so many bytes.
    async fn throttle(&self, bytes: usize) {
        let clock = &self.with.env.clock;
        let per_second = (self.with.bytes_per_second)().max(1) as f64;
        let takes = Duration::from_secs_f64((bytes as f64 / per_second).min(3600.0));
        let until = {
            let mut free_at = self.free_at.lock();
            let now = clock.now();
            let until = free_at.map_or(now, |at| at.max(now)) + takes;
            *free_at = Some(until);
            until
        };
        if until > clock.now() {
            clock.sleep_until(until).await;
        }
    }

    /// Puts the copy in the partition's place, if it is as good; whether it did.
    async fn swap_log_dirs(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        this: &Arc<Move>,
    ) -> Result<bool, CopyError> {
        let unique = self.with.env.random.uuid();
        let deleted = dirs::delete_name(&partition.topic, partition.id.partition, unique);
        let (mover, of, inner) = (Arc::clone(self), Arc::clone(partition), Arc::clone(this));
        let changed = self.with.env.threads.run_blocking(move || {
            let from = of.log_dir();
            let now = mover.with.env.clock.wall();
            let mut log = inner.log.lock();
            if inner.over.load(Ordering::Acquire) || mover.is_gone(&of) {
                return Ok(None);
            }
            match of.change_place(&mut log, &deleted, CHUNK_BYTES, now)? {
                LogDirSwap::Done(old) => {
                    if let Err(error) = mover.with.checkpoints.write(&mover.with.partitions) {
                        tracing::error!(%error, "the offset checkpoints cannot be written");
                    }
                    mover.with.cleaner.note_move(&from, &inner.to.path);
                    Ok(Some(old))
                }
                LogDirSwap::NotYet => Ok::<_, CopyError>(None),
            }
        });
        let Some(old) = changed.await? else { return Ok(false) };
        tracing::info!(topic = %partition.topic, partition = partition.id.partition,
            to = %this.to.path.display(), "a partition moved to another log directory");
        remove_later(&self.with.env, partition, old);
        Ok(true)
    }

    /// A log directory failed: what moves there stays where it is.
    pub fn on_failed_dir(&self, dir: &Path) {
        let moves: Vec<_> = self.moves.lock().iter().map(|(id, m)| (*id, Arc::clone(m))).collect();
        for (id, this) in moves {
            if this.to.path == dir {
                this.over.store(true, Ordering::Release);
                if let Some(partition) = self.with.partitions.get(id) {
                    self.end(&partition, &this);
                }
            }
        }
    }

    /// The broker stops: copies are closed, and gone on with after the next start. Blocks.
    pub fn stop(&self) {
        let moves: Vec<Arc<Move>> = self.moves.lock().values().cloned().collect();
        for this in moves {
            this.over.store(true, Ordering::Release);
            if let Some(mut log) = this.log.lock().take()
                && let Err(error) = log.close()
            {
                tracing::warn!(dir = %log.dir().display(), %error, "a copy cannot be closed");
            }
        }
    }
}

/// Opens the copy of a partition in `dir`, or begins it there. What an earlier life left is read
/// and checked; where it is no beginning of the partition's log, the first chunk tells.
fn open(
    shared: &LogShared,
    partition: &Partition,
    dir: &Path,
    now: crate::types::Timestamp,
) -> Result<Log, OpenError> {
    let disk = &shared.disk;
    let is_new = disk.info(dir).map_err(OpenError::io(dir))?.is_none();
    let view = partition.view();
    let begins_at = Log::copy_begins_at(&view)
        .map_err(|error| OpenError::io(dir)(io::Error::other(error.to_string())))?;
    let context = OpenContext {
        clean: false,
        recovery_point: 0,
        log_start_offset: if is_new { begins_at } else { 0 },
        high_watermark: 0,
        now,
    };
    let opened = Log::open(shared.clone(), dir, partition.config(), &context)
        .and_then(|(log, _)| {
            let path = dir.join(PARTITION_METADATA);
            let text = partition_metadata(partition.id.topic);
            disk.replace_file(&path, text.as_bytes()).map_err(OpenError::io(path))?;
            Ok(log)
        })
        .and_then(|mut log| {
            log.flush_copy(now).map_err(OpenError::io(dir))?;
            Ok(log)
        });
    if opened.is_err() {
        let _ = disk.remove_dir_all(dir); // What is left is dealt with at the next start.
    }
    opened
}
