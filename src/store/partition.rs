//! One partition as a monitor: its log, its role, and whoever waits for it.
//!
//! Writers take the monitor for one vectored write. Readers load the published [`LogView`] and
//! never wait. Nothing awaits inside.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::error::StoreError;
use super::fetch_watch::FetchWatches;
use super::topic_metrics::TopicTraffic;
use crate::log::cleaner::choose::{Bounds, dirty_range};
use crate::log::cleaner::{CleanError, CleanerBudget, DirtyRange, Extent, Pass, Replacement};
use crate::log::producers::ProducerError;
use crate::log::segment::Segment;
use crate::log::{
    AppendError, Appended, CopyError, Deletable, FlushJob, FlushKind, Log, LogConfig, LogView,
    Marker, Verification,
};
use crate::metadata;
use crate::record::{BatchHeader, Validated};
use crate::replica::{self, AckFailure, AckResult, LeaderSettings, LocalEnd, PartitionLeader};
use crate::types::{
    BrokerId, LeaderEpoch, Mono, NO_LEADER_EPOCH, NO_TIMESTAMP, Offset, ProducerEpoch, ProducerId,
    Timestamp, TopicPartition,
};

/// The default of `replica.lag.time.max.ms`. Nothing depends on it as long as no follower fetches
/// from this broker.
const LAG_TIME_MAX: Duration = Duration::from_secs(30);

/// What a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nothing.
    None,
    /// The leader's append.
    Leader,
    /// Every in-sync replica.
    All,
}

/// Resolves when what was appended may be acknowledged, or never can be.
pub type Acknowledged = oneshot::Receiver<Result<(), StoreError>>;

type WaitingAcks = replica::ParkedAcks<oneshot::Sender<Result<(), StoreError>>>;

/// An append that was made.
#[derive(Debug)]
pub struct AcceptedAppend {
    /// Offsets and time of the batch; those of the original for a retry.
    pub appended: Appended,
    /// The log's start, for the response.
    pub log_start_offset: Offset,
    /// What the acknowledgement waits for; nothing when it may leave at once.
    pub wait: Option<Acknowledged>,
    /// A flush that is wanted now.
    pub flush: Option<FlushKind>,
}

/// One partition that this broker holds.
pub struct Partition {
    /// Its identity.
    pub id: TopicPartition,
    /// The name of its topic.
    pub topic: Arc<str>,
    /// Settings that validation reads without the monitor.
    config: ArcSwap<LogConfig>,
    views: Arc<ArcSwap<LogView>>,
    /// The epoch this broker leads in, [`NO_LEADER_EPOCH`] when it does not.
    leader_epoch: AtomicI32,
    monitor: Mutex<Monitor>,
    watches: FetchWatches,
    /// It moves to another log directory.
    moving: AtomicBool,
    /// The metrics of its topic, shared with the other partitions of the topic.
    traffic: OnceLock<TopicTraffic>,
}

/// What an attempt to put a copy in a partition's place came to.
#[derive(Debug)]
pub enum LogDirSwap {
    /// It is there; what it replaced is in this directory.
    Done(std::path::PathBuf),
    /// Too much is missing in it, or the log is being cleaned.
    NotYet,
}

struct Monitor {
    log: Log,
    /// There while this broker leads.
    leader: Option<PartitionLeader>,
    /// Appends that wait for the high watermark.
    commits: WaitingAcks,
    /// Appends that wait for a flush.
    flushes: WaitingAcks,
    /// Its directory stays what it is: the broker stops, or the partition is deleted.
    closed: bool,
}

/// What an acknowledgement waits for: the offset after its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Flushed(Offset),
    Committed(Offset),
}

/// Answers a parked append; its producer may be gone.
fn answer(reply: oneshot::Sender<Result<(), StoreError>>, result: AckResult) {
    let _ = reply.send(result.map_err(StoreError::from));
}

fn leader_settings(config: &LogConfig) -> LeaderSettings {
    LeaderSettings { min_insync_replicas: config.min_insync_replicas, lag_time_max: LAG_TIME_MAX }
}

/// The end of the log. Records that the topic wants flushed before they are acknowledged count once
/// they are.
fn local_end(log: &Log) -> LocalEnd {
    let log_end = log.end();
    LocalEnd { log_end, durable: if log.flush_is_due() { log.flushed() } else { log_end } }
}

impl Monitor {
    /// Moves the high watermark as far as the leader's own progress allows, and answers the appends
    /// that waited for it. Returns whether it moved.
    fn advance(&mut self) -> bool {
        let Some(leader) = &mut self.leader else { return false };
        leader.on_local_progress(local_end(&self.log));
        let high_watermark = leader.high_watermark();
        let moved = high_watermark > self.log.high_watermark();
        if moved {
            self.log.set_high_watermark(high_watermark);
        }
        self.release();
        moved
    }

    /// Answers the appends whose records are committed, or flushed.
    fn release(&mut self) {
        if !self.flushes.is_empty() {
            self.flushes.release(self.log.flushed(), Ok(()), answer);
        }
        if let Some(leader) = self.leader.as_ref().filter(|_| !self.commits.is_empty()) {
            self.commits.release(leader.high_watermark(), leader.check_after_append(), answer);
        }
    }

    fn park(&mut self, until: Until) -> Acknowledged {
        let (reply, wait) = oneshot::channel();
        match until {
            Until::Flushed(upto) => self.flushes.park(upto, None, reply),
            Until::Committed(upto) => self.commits.park(upto, None, reply),
        }
        wait
    }

    /// Ends leadership. What is committed or flushed has been acknowledged when that happened.
    fn resign(&mut self, failure: &AckFailure) {
        self.release();
        self.leader = None;
        self.commits.fail(failure, answer);
        self.flushes.fail(failure, answer);
    }
}

impl Partition {
    /// A partition over an open log. It leads nothing until it is told.
    pub fn new(id: TopicPartition, topic: Arc<str>, log: Log) -> Self {
        Self {
            id,
            topic,
            config: ArcSwap::new(Arc::clone(log.config())),
            views: log.views(),
            leader_epoch: AtomicI32::new(NO_LEADER_EPOCH),
            monitor: Mutex::new(Monitor {
                log,
                leader: None,
                commits: WaitingAcks::default(),
                flushes: WaitingAcks::default(),
                closed: false,
            }),
            watches: FetchWatches::default(),
            moving: AtomicBool::new(false),
            traffic: OnceLock::new(),
        }
    }

    /// The traffic of its topic, where its reads are counted.
    pub fn traffic(&self) -> &TopicTraffic {
        self.traffic.get_or_init(TopicTraffic::default)
    }

    /// Sets the metrics of its topic, before it serves.
    pub(super) fn set_traffic(&self, traffic: TopicTraffic) {
        self.traffic.get_or_init(|| traffic);
    }

    /// What readers see.
    pub fn view(&self) -> Arc<LogView> {
        self.views.load_full()
    }

    /// Its settings.
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// Changes its settings.
    pub fn set_config(&self, config: Arc<LogConfig>) {
        let mut monitor = self.monitor.lock();
        monitor.log.set_config(Arc::clone(&config));
        if let Some(leader) = &mut monitor.leader {
            leader.set_settings(leader_settings(&config));
        }
        let moved = monitor.advance();
        if moved {
            monitor.log.publish();
        }
        drop(monitor);
        self.config.store(config);
        if moved {
            self.watches.on_event();
        }
    }

    /// Whoever waits to read.
    pub fn watches(&self) -> &FetchWatches {
        &self.watches
    }

    /// Whether a request may be served here, and with the epoch it believes in (-1 for none).
    /// The epoch of the leader, if so (Kafka 4.4 `Partition.checkCurrentLeaderEpoch`).
    pub fn check_leader(&self, believed: LeaderEpoch) -> Result<LeaderEpoch, StoreError> {
        let current = self.leader_epoch.load(Ordering::Acquire);
        if current == NO_LEADER_EPOCH {
            return Err(match self.monitor.lock().log.offline() {
                Some(why) => StoreError::Offline(why.to_owned()),
                None => StoreError::NotLeader,
            });
        }
        if believed == NO_LEADER_EPOCH || believed == current {
            Ok(current)
        } else if believed < current {
            Err(StoreError::FencedEpoch { request: believed, current })
        } else {
            Err(StoreError::UnknownEpoch { request: believed, current })
        }
    }

    /// The registration changed: this broker leads, or does not.
    pub fn set_role(&self, this_broker: BrokerId, registration: &metadata::Partition) {
        // Nobody follows this broker yet: the time of fetches and the registrations of other brokers
        // do not matter, and the epoch is recorded with its first batch (`end_offset_for`).
        let (now, brokers) = (Mono::default(), |_| None);
        let mut monitor = self.monitor.lock();
        let epoch = registration.leader_epoch;
        if registration.leader != this_broker {
            self.leader_epoch.store(NO_LEADER_EPOCH, Ordering::Release);
            monitor.resign(&AckFailure::NotLeader);
        } else if monitor.log.offline().is_none() {
            let Monitor { log, leader, .. } = &mut *monitor;
            // Either moves the high watermark in `advance`.
            let _ = match leader {
                Some(leader) if leader.epoch() == epoch => {
                    leader.on_registration(now, registration, brokers)
                }
                _ => {
                    let (elected, progress) = PartitionLeader::new(
                        now,
                        this_broker,
                        registration,
                        brokers,
                        local_end(log),
                        log.high_watermark(),
                        leader_settings(log.config()),
                    );
                    *leader = Some(elected);
                    progress
                }
            };
            monitor.advance();
            monitor.log.publish();
            self.leader_epoch.store(epoch, Ordering::Release);
        }
        drop(monitor);
        self.watches.on_event();
    }

    /// Appends a validated batch; `bytes` are those that were validated.
    ///
    /// Errors: nothing was appended.
    pub fn append(
        &self,
        bytes: &mut [u8],
        valid: &mut Validated,
        acks: Acks,
        now: Timestamp,
    ) -> Result<AcceptedAppend, StoreError> {
        let batch = match &mut valid.rewritten {
            Some(rewritten) => &mut rewritten[..],
            None => bytes,
        };
        let header = &valid.header;
        self.append_with(acks, |log, epoch| log.append_as_leader(batch, header, epoch, now))
    }

    /// As [`Partition::append`], for a batch in a transaction.
    pub fn append_in_transaction(
        &self,
        bytes: &mut [u8],
        valid: &mut Validated,
        verification: Verification,
        acks: Acks,
        now: Timestamp,
    ) -> Result<AcceptedAppend, StoreError> {
        let batch = match &mut valid.rewritten {
            Some(rewritten) => &mut rewritten[..],
            None => bytes,
        };
        let header = &valid.header;
        self.append_with(acks, |log, epoch| {
            log.append_in_transaction(batch, header, verification, epoch, now)
        })
    }

    /// What a batch in a transaction must bring along; see [`Log::begin_verification`].
    pub fn begin_verification(
        &self,
        header: &BatchHeader,
        bumps_epoch: bool,
        now: Timestamp,
    ) -> Result<Verification, StoreError> {
        let guard = self.monitor.lock().log.begin_verification(header, bumps_epoch, now)?;
        Ok(guard.map_or(Verification::Ongoing, Verification::Guarded))
    }

    /// See [`Log::begin_own_verification`].
    pub fn begin_own_verification(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
        now: Timestamp,
    ) -> Verification {
        self.monitor.lock().log.begin_own_verification(id, epoch, now)
    }

    /// See [`Log::check_own_transaction`].
    pub fn check_own_transaction(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<(), ProducerError> {
        self.monitor.lock().log.check_own_transaction(id, epoch)
    }

    /// Appends the marker that ends a transaction, with acks=all.
    ///
    /// Errors: nothing was appended.
    pub fn append_marker(
        &self,
        marker: &Marker,
        now: Timestamp,
    ) -> Result<AcceptedAppend, StoreError> {
        let accepted =
            self.append_with(Acks::All, |log, epoch| log.append_marker(marker, epoch, now))?;
        // Readers of what is committed get more than the marker.
        self.watches.on_event();
        Ok(accepted)
    }

    /// Appends a whole batch that a coordinator of this broker made, with acks=all.
    ///
    /// Errors: nothing was appended.
    pub fn append_as_coordinator(
        &self,
        batch: &mut [u8],
        header: &BatchHeader,
        now: Timestamp,
    ) -> Result<AcceptedAppend, StoreError> {
        self.append_with(Acks::All, |log, epoch| {
            log.append_as_coordinator(batch, header, epoch, now)
        })
    }

    fn append_with(
        &self,
        acks: Acks,
        append: impl FnOnce(&mut Log, LeaderEpoch) -> Result<Appended, AppendError>,
    ) -> Result<AcceptedAppend, StoreError> {
        let accepted = self.append_in_monitor(acks, append);
        self.traffic().appended(accepted.as_ref().ok().map(
            |AcceptedAppend { appended, .. }| {
                let records = appended.last_offset - appended.base_offset + 1;
                if appended.is_duplicate { (0, 0) } else { (records as u64, appended.bytes as u64) }
            },
        ));
        accepted
    }

    fn append_in_monitor(
        &self,
        acks: Acks,
        append: impl FnOnce(&mut Log, LeaderEpoch) -> Result<Appended, AppendError>,
    ) -> Result<AcceptedAppend, StoreError> {
        let mut monitor = self.monitor.lock();
        let Some(leader) = &monitor.leader else {
            return Err(match monitor.log.offline() {
                Some(why) => StoreError::Offline(why.to_owned()),
                None => StoreError::NotLeader,
            });
        };
        let epoch = leader.epoch();
        if acks == Acks::All {
            leader.check_before_append()?;
        }
        let appended = match append(&mut monitor.log, epoch) {
            Ok(appended) => appended,
            Err(error) => {
                self.note_offline(&mut monitor);
                return Err(error.into());
            }
        };
        let due = monitor.log.flush_is_due();
        let moved = monitor.advance();
        monitor.log.publish();
        let upto = appended.last_offset + 1;
        let until = match acks {
            Acks::None => None,
            Acks::Leader => (due && monitor.log.flushed() < upto).then_some(Until::Flushed(upto)),
            Acks::All => (monitor.log.high_watermark() < upto).then_some(Until::Committed(upto)),
        };
        let wait = until.map(|until| monitor.park(until));
        let log_start_offset = monitor.log.log_start_offset();
        drop(monitor);
        if moved {
            self.watches.on_bytes(appended.bytes);
        }
        let flush = if appended.rolled {
            Some(FlushKind::RecoveryPoint)
        } else {
            due.then_some(FlushKind::Records)
        };
        Ok(AcceptedAppend { appended, log_start_offset, wait, flush })
    }

    /// A log that failed leads no more.
    fn note_offline(&self, monitor: &mut Monitor) {
        if let Some(why) = monitor.log.offline().map(str::to_owned) {
            self.leader_epoch.store(NO_LEADER_EPOCH, Ordering::Release);
            monitor.resign(&AckFailure::Offline(why));
        }
    }

    /// What must be synced now; see [`Log::begin_flush`].
    pub fn begin_flush(&self, kind: FlushKind) -> Option<FlushJob> {
        self.monitor.lock().log.begin_flush(kind)
    }

    /// The result of a flush.
    pub fn finish_flush(&self, job: &FlushJob, result: io::Result<()>, now: Timestamp) {
        let mut monitor = self.monitor.lock();
        monitor.log.finish_flush(job, result, now);
        self.note_offline(&mut monitor);
        let moved = monitor.advance();
        if moved {
            monitor.log.publish();
        }
        drop(monitor);
        if moved {
            self.watches.on_event();
        }
    }

    /// Where `requested` ended (OffsetForLeaderEpoch).
    ///
    /// The newest epoch is written down with its first batch; until then it begins at the end.
    pub fn end_offset_for(&self, requested: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let view = self.view();
        let current = self.leader_epoch.load(Ordering::Acquire);
        let latest = view.epochs.latest().unwrap_or(NO_LEADER_EPOCH);
        if latest < current && requested >= 0 {
            if requested == current {
                return (current, view.log_end_offset);
            }
            if requested > latest && requested < current {
                let epoch = if latest == NO_LEADER_EPOCH { requested } else { latest };
                return (epoch, view.log_end_offset);
            }
        }
        view.epochs.end_offset_for(requested, view.log_end_offset)
    }

    /// Moves the log start up to `offset` (DeleteRecords); -1 is the high watermark. The new log
    /// start.
    pub fn delete_records(&self, offset: Offset) -> Result<Offset, StoreError> {
        let mut monitor = self.monitor.lock();
        let high_watermark = monitor.log.high_watermark();
        let offset = if offset == -1 { high_watermark } else { offset };
        let (start, end) = (monitor.log.log_start_offset(), high_watermark);
        if offset < 0 || offset > high_watermark {
            return Err(crate::log::ReadError::OutOfRange { offset, start, end }.into());
        }
        monitor.log.increment_log_start_offset(offset).map_err(crate::log::ReadError::Io)?;
        monitor.log.publish();
        let start = monitor.log.log_start_offset();
        drop(monitor);
        self.watches.on_event();
        Ok(start)
    }

    /// Takes segments out of the log whose time is over; their files are removed by the caller,
    /// later.
    pub fn retain(&self, now: Timestamp) -> io::Result<Option<Deletable>> {
        let mut monitor = self.monitor.lock();
        if monitor.log.offline().is_some() {
            return Ok(None);
        }
        let deletable = monitor.log.apply_retention(now);
        self.note_offline(&mut monitor);
        let deletable = deletable?;
        if deletable.is_some() {
            monitor.log.publish();
        }
        Ok(deletable)
    }

    /// How much of the log is not compacted yet, where it is to be; nothing for one that is offline.
    pub fn dirty_range(
        &self,
        cleaned_to: Option<Offset>,
        now: Timestamp,
    ) -> io::Result<Option<DirtyRange>> {
        let (is_offline, recovery_point) = {
            let monitor = self.monitor.lock();
            (monitor.log.offline().is_some(), monitor.log.recovery_point())
        };
        if is_offline || self.is_moving() {
            return Ok(None);
        }
        let (view, config) = (self.view(), self.config());
        let wants_times = config.max_compaction_lag_ms < i64::MAX;
        let extent = |segment: &Arc<Segment>| {
            let is_known = !wants_times || segment.size() == 0;
            let first = if is_known { NO_TIMESTAMP } else { segment.read_first_timestamp()? };
            Ok(Extent {
                base_offset: segment.base_offset,
                size: u64::from(segment.size()),
                max_timestamp: segment.read_max_timestamp(segment.size())?.0,
                first_timestamp: first,
            })
        };
        let extents: Vec<Extent> =
            view.segments.iter().map(extent).collect::<io::Result<Vec<_>>>()?;
        let bounds = Bounds {
            log_start: view.log_start_offset,
            stable: view.last_stable_offset.min(recovery_point),
            log_end: view.log_end_offset,
        };
        Ok(Some(dirty_range(&extents, bounds, cleaned_to, &config, now)))
    }

    /// Begins to compact the log; see [`Log::begin_cleaning`].
    pub fn begin_cleaning(
        &self,
        dirty_range: &DirtyRange,
        budget: CleanerBudget,
        now: Timestamp,
    ) -> Pass {
        let (from, to) = (dirty_range.first_dirty, dirty_range.first_uncleanable);
        self.monitor.lock().log.begin_cleaning(from, to, budget, now)
    }

    /// Compacting is over.
    pub fn end_cleaning(&self) {
        self.monitor.lock().log.end_cleaning();
    }

    /// Puts compacted segments in their place; blocks, the monitor for renames alone. A failure
    /// takes the log offline.
    pub fn swap(&self, replacement: &Replacement) -> Result<Deletable, CleanError> {
        replacement.check(&self.monitor.lock().log)?;
        let swapped = replacement
            .prepare()
            .map_err(CleanError::from)
            .and_then(|()| replacement.set_aside(&self.monitor.lock().log))
            .and_then(|()| Ok(replacement.sync()?))
            .and_then(|()| replacement.finish(&mut self.monitor.lock().log))
            .and_then(|gone| replacement.sync().map(|()| gone).map_err(CleanError::from));
        swapped.inspect_err(|error| {
            let mut monitor = self.monitor.lock();
            monitor.log.fail_swap(error);
            self.note_offline(&mut monitor);
        })
    }

    /// What runs by the clock: whether `flush.ms` has passed, or so much lies past the recovery
    /// point that a crash would take long to recover.
    pub fn flush_due_by_time(&self, now: Timestamp, bytes_max: u64) -> Option<FlushKind> {
        let monitor = self.monitor.lock();
        if monitor.log.flush_is_late(now) || monitor.log.unflushed_bytes() >= bytes_max {
            Some(FlushKind::RecoveryPoint)
        } else {
            None
        }
    }

    /// Forgets producers that are silent for too long.
    pub fn expire_producers(&self, now: Timestamp, expiration_ms: i64) {
        self.monitor.lock().log.expire_producers(now, expiration_ms);
    }

    /// For the checkpoints: recovery point, high watermark, and the log start where it is not the
    /// start of a segment.
    pub fn checkpoint(&self) -> Checkpoint {
        let monitor = self.monitor.lock();
        let view = self.view();
        let first = view.segments.first().map_or(0, |segment| segment.base_offset);
        Checkpoint {
            recovery_point: monitor.log.recovery_point(),
            high_watermark: monitor.log.high_watermark(),
            log_start_offset: (view.log_start_offset > first).then_some(view.log_start_offset),
        }
    }

    /// Everything to disk but for the syncs, for a clean stop: what is to be synced. It leads
    /// nothing from now on.
    pub fn begin_close(&self) -> io::Result<Option<FlushJob>> {
        let mut monitor = self.monitor.lock();
        self.leader_epoch.store(NO_LEADER_EPOCH, Ordering::Release);
        monitor.resign(&AckFailure::NotLeader);
        monitor.closed = true;
        let closed = monitor.log.begin_close();
        drop(monitor);
        self.watches.on_event();
        closed
    }

    /// The partition is deleted: its directory gets another name, readers are told.
    pub fn move_away(
        &self,
        disk: &dyn crate::env::Disk,
        name: &str,
    ) -> io::Result<std::path::PathBuf> {
        let mut monitor = self.monitor.lock();
        self.leader_epoch.store(NO_LEADER_EPOCH, Ordering::Release);
        monitor.resign(&AckFailure::NotLeader);
        monitor.closed = true;
        let from = monitor.log.dir().to_owned();
        let to = from.with_file_name(name);
        disk.rename(&from, &to)?;
        monitor.log.moved_to(to.clone());
        drop(monitor);
        self.watches.on_event();
        Ok(to)
    }

    /// Whether it moves to another log directory: it is not compacted meanwhile.
    pub fn is_moving(&self) -> bool {
        self.moving.load(Ordering::Acquire)
    }

    /// A move begins or ends.
    pub fn set_moving(&self, moving: bool) {
        self.moving.store(moving, Ordering::Release);
    }

    /// Why its log takes nothing any more, if so.
    pub fn offline(&self) -> Option<String> {
        self.monitor.lock().log.offline().map(str::to_owned)
    }

    /// Its log directory failed: nothing in it is trusted.
    pub fn fail(&self, why: &str) {
        let mut monitor = self.monitor.lock();
        monitor.log.take_offline(why);
        self.note_offline(&mut monitor);
        drop(monitor);
        self.watches.on_event();
    }

    /// Puts `copy`, which lies in another log directory, in the place of the log, if no more than
    /// `bytes_max` are missing in it. Blocks, the monitor for one read, one write, and the syncs of
    /// them and of two names: until then nobody may append.
    pub fn change_place(
        &self,
        copy: &mut Option<Log>,
        deleted: &str,
        bytes_max: usize,
        now: Timestamp,
    ) -> Result<LogDirSwap, CopyError> {
        let mut monitor = self.monitor.lock();
        let Some(log) = copy.as_mut() else { return Ok(LogDirSwap::NotYet) };
        if monitor.closed || monitor.log.is_being_cleaned() || monitor.log.offline().is_some() {
            return Ok(LogDirSwap::NotYet);
        }
        let view = self.view();
        log.copy_from(&view, bytes_max, now)?;
        if log.end() != view.log_end_offset {
            return Ok(LogDirSwap::NotYet);
        }
        let deleted = monitor.log.dir().with_file_name(deleted);
        if let Err(error) = log.take_place_of(&mut monitor.log, &deleted, now) {
            self.note_offline(&mut monitor);
            return Err(error.into());
        }
        log.set_config(self.config());
        if let Some(log) = copy.take() {
            monitor.log = log;
        }
        if monitor.advance() {
            monitor.log.publish();
        }
        drop(monitor);
        self.watches.on_event();
        Ok(LogDirSwap::Done(deleted))
    }

    /// The log directory that it lies in.
    pub fn log_dir(&self) -> std::path::PathBuf {
        let monitor = self.monitor.lock();
        monitor.log.dir().parent().map(ToOwned::to_owned).unwrap_or_default()
    }

    /// What is remembered of its idempotent producers.
    pub fn with_producers<T>(
        &self,
        look: impl FnOnce(&crate::log::producers::Producers) -> T,
    ) -> T {
        look(self.monitor.lock().log.producers())
    }
}

/// What the checkpoint files of a log directory say of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything below is on disk.
    pub recovery_point: Offset,
    /// Everything below is on all in-sync replicas.
    pub high_watermark: Offset,
    /// The log start, where the files do not say it.
    pub log_start_offset: Option<Offset>,
}
