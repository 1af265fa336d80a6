//! The log of one partition: the one writer.
//!
//! Appends go into the page cache with one vectored write. What readers see changes only in
//! [`Log::publish`]: an append and the high watermark that follows from it become visible
//! together. After a failed write or sync the log takes nothing more: what the page cache holds
//! is not trusted again.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::config::LogConfig;
use super::epochs::Epochs;
use super::error::AppendError;
use super::files::{DELETED, EPOCHS_FILE, OpenFiles, SNAPSHOT, file_path, is_out_of_descriptors};
use super::flush::{FlushJob, FlushKind, sync_names};
use super::index::{OffsetEntry, TimeEntry};
use super::marker::Marker;
use super::producers::{CompletedTxn, ProducerError, Producers, SequenceVerdict};
use super::producers_file;
use super::segment::Segment;
use super::verification::{Verification, VerificationGuard, Verifications};
use super::view::LogView;
use crate::env::{Disk, OpenMode};
use crate::record::builder::{stamp, stamp_timestamp};
use crate::record::{BatchHeader, BatchView, TimestampType};
use crate::types::{
    LeaderEpoch, NO_SEQUENCE, NO_TIMESTAMP, Offset, ProducerEpoch, ProducerId, Timestamp,
};

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record; of the original for a retry.
    pub base_offset: Offset,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// When it was appended, if the topic's timestamps are of the append; the original's largest
    /// timestamp for a retry.
    pub append_time: Option<Timestamp>,
    /// Whether it was in the log already.
    pub is_duplicate: bool,
    /// Bytes that were appended.
    pub bytes: usize,
    /// Whether a new segment was begun for it: the old one wants a flush.
    pub rolled: bool,
}

/// What every log of a broker shares.
#[derive(Clone)]
pub struct LogShared {
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// The files that are open.
    pub files: Arc<OpenFiles>,
}

/// One partition's data on disk, and its writer.
pub struct Log {
    pub(super) shared: LogShared,
    pub(super) dir: PathBuf,
    pub(super) config: Arc<LogConfig>,
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) log_start_offset: Offset,
    pub(super) high_watermark: Offset,
    pub(super) end: Offset,
    pub(super) epochs: Arc<Epochs>,
    /// The epochs in memory are not those in the file.
    pub(super) epochs_dirty: bool,
    pub(super) producers: Producers,
    /// Transactions that are about to begin here.
    pub(super) verifications: Verifications,
    /// Offsets of the `.snapshot` files, ascending.
    pub(super) snapshots: Vec<Offset>,
    /// Everything below is flushed.
    pub(super) flushed: Offset,
    /// Everything below is flushed, indexes included: what may be written as recovery point.
    pub(super) recovery_point: Offset,
    pub(super) last_flush: Timestamp,
    /// Counts the changes of names in the directory, and up to which of them they are synced.
    pub(super) dir_changes: u64,
    pub(super) dir_synced: u64,
    /// Bytes of the active segment since its last index entry.
    pub(super) bytes_since_index: u32,
    pub(super) views: Arc<ArcSwap<LogView>>,
    pub(super) offline: Option<String>,
    /// A pass of the cleaner is under way: the segments stay those that it reads.
    pub(super) is_being_cleaned: bool,
}

impl Log {
    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where its views are published. Readers keep this, and never take the log.
    pub fn views(&self) -> Arc<ArcSwap<LogView>> {
        Arc::clone(&self.views)
    }

    /// The offset of the next record.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The first offset.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// Below it all in-sync replicas have the records.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// What may be written as recovery point: everything below survives a power loss.
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// Everything below is flushed.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// Its settings.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Changes its settings.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The idempotent producers.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets producers that are silent for too long.
    pub fn expire_producers(&mut self, now: Timestamp, expiration_ms: i64) {
        self.producers.expire(now, expiration_ms);
        self.verifications.expire(now, expiration_ms);
    }

    /// Why the log takes nothing any more, if so.
    pub fn offline(&self) -> Option<&str> {
        self.offline.as_deref()
    }

    pub(super) fn active(&self) -> &Arc<Segment> {
        match self.segments.last() {
            Some(segment) => segment,
            None => unreachable!("a log has at least one segment"),
        }
    }

    pub(super) fn check_online(&self) -> Result<(), AppendError> {
        match &self.offline {
            Some(why) => Err(AppendError::Offline(why.clone())),
            None => Ok(()),
        }
    }

    /// Takes the log offline: its log directory failed.
    pub fn take_offline(&mut self, why: &str) {
        self.offline.get_or_insert_with(|| why.to_owned());
    }

    /// Takes the log offline.
    pub(super) fn fail(&mut self, doing: &str, error: &io::Error) -> AppendError {
        let why = format!("{}: {doing}: {error}", self.dir.display());
        tracing::error!(log = %self.dir.display(), %error, "{doing} failed, the log is offline");
        self.offline = Some(why.clone());
        AppendError::Offline(why)
    }

    /// As [`Log::fail`], before anything was changed: a file that cannot be opened for want of a
    /// descriptor is refused alone.
    fn refuse(&mut self, doing: &str, error: io::Error) -> AppendError {
        if is_out_of_descriptors(&error) {
            tracing::warn!(log = %self.dir.display(), %error, "{doing} failed, and may be retried");
            return AppendError::NoDescriptors(error);
        }
        self.fail(doing, &error)
    }

    /// Appends the batch of a client that passed [`crate::record::validate`]; `header` is what that
    /// gave. Base offset, leader epoch and, where the topic says so, the append time are stamped
    /// into `batch`. Not visible before [`Log::publish`].
    ///
    /// Errors: nothing was appended.
    pub fn append_as_leader(
        &mut self,
        batch: &mut [u8],
        header: &BatchHeader,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.check_online()?;
        if let SequenceVerdict::Duplicate(original) = self.producers.decide(header)? {
            return Ok(Appended {
                base_offset: original.first_offset(),
                last_offset: original.last_offset,
                // Whatever the topic's timestamps are of (Kafka 4.4 `UnifiedLog.append`).
                append_time: Some(original.timestamp),
                is_duplicate: true,
                bytes: 0,
                rolled: false,
            });
        }
        self.append_data(batch, header, epoch, now)
    }

    /// A transactional batch is about to be appended: the guard with which to come back once the
    /// coordinator has been asked, or nothing when its transaction is open here already.
    pub fn begin_verification(
        &mut self,
        header: &BatchHeader,
        bumps_epoch: bool,
        now: Timestamp,
    ) -> Result<Option<VerificationGuard>, AppendError> {
        self.check_online()?;
        self.producers.check_epoch(header.producer_id, header.producer_epoch)?;
        let producer = self.producers.get(header.producer_id);
        if producer.is_some_and(|known| known.is_in_transaction(header.producer_epoch)) {
            return Ok(None);
        }
        Ok(Some(self.verifications.begin(header, bumps_epoch, now)))
    }

    /// As [`Log::begin_verification`], for what a coordinator of this broker will append, which
    /// has no sequence.
    pub fn begin_own_verification(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        now: Timestamp,
    ) -> Verification {
        let known = self.producers.get(id);
        if known.is_some_and(|known| known.is_in_transaction(epoch)) {
            return Verification::Ongoing;
        }
        let guard = self.verifications.begin_at(id, epoch, NO_SEQUENCE, false, now);
        Verification::Guarded(guard)
    }

    /// As [`Log::append_as_leader`], for a batch in a transaction.
    pub fn append_in_transaction(
        &mut self,
        batch: &mut [u8],
        header: &BatchHeader,
        verification: Verification,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        if !self.producers.is_duplicate(header) {
            let producer = self.producers.get(header.producer_id);
            self.verifications.check(header, verification, producer)?;
        }
        self.append_as_leader(batch, header, epoch, now)
    }

    /// Appends the marker that ends a producer's transaction.
    ///
    /// Errors: nothing was appended.
    pub fn append_marker(
        &mut self,
        marker: &Marker,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.check_online()?;
        self.producers.decide_marker(marker)?;
        let mut batch = marker.batch(now).map_err(|error| self.fail("marker", &error))?;
        let read = BatchView::first(&batch).map(|view| *view.header());
        let header = read.map_err(|error| self.fail("marker", &io::Error::other(error)))?;
        let appended = self.append_own(&mut batch, &header, epoch, now)?;
        let header = BatchHeader { base_offset: appended.base_offset, ..header };
        let (coordinator_epoch, aborted) = (marker.coordinator_epoch, !marker.committed);
        if let Some(txn) = self.producers.apply_marker(&header, coordinator_epoch, aborted, now) {
            self.finish_txn(&txn).map_err(|error| self.fail("index an abort", &error))?;
        }
        self.verifications.clear(marker.producer_id);
        Ok(appended)
    }

    /// Appends a batch of records that a coordinator of this broker made. Those of a transaction
    /// carry its producer, but no sequence (Kafka 4.4 `AppendOrigin.COORDINATOR`).
    ///
    /// Errors: nothing was appended.
    pub fn append_as_coordinator(
        &mut self,
        batch: &mut [u8],
        header: &BatchHeader,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.check_online()?;
        if header.attributes.is_transactional() {
            self.check_own_transaction(header.producer_id, header.producer_epoch)?;
        } else {
            self.producers.check_epoch(header.producer_id, header.producer_epoch)?;
        }
        self.append_data(batch, header, epoch, now)
    }

    /// Whether a coordinator of this broker may append in a transaction of this producer.
    pub fn check_own_transaction(
        &self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<(), ProducerError> {
        self.producers.check_epoch(producer_id, epoch)?;
        let known = self.producers.get(producer_id);
        let is_open = known.is_some_and(|known| known.is_in_transaction(epoch));
        if !is_open && !self.verifications.is_open(producer_id) {
            return Err(ProducerError::NotInTransaction { producer_id });
        }
        Ok(())
    }

    fn append_data(
        &mut self,
        batch: &mut [u8],
        header: &BatchHeader,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.check_size(batch)?;
        let by_append = self.config.rules.timestamp_type == TimestampType::LogAppendTime;
        let mut header = BatchHeader { base_offset: self.end, leader_epoch: epoch, ..*header };
        if header.next_offset() == i64::MAX {
            return Err(AppendError::OffsetsExhausted(i64::MAX));
        }
        if by_append {
            header.max_timestamp = now;
            stamp_timestamp(batch, TimestampType::LogAppendTime, now);
        }
        stamp(batch, header.base_offset, epoch);
        let rolled = self.write(batch, &header, now)?;
        self.producers.apply(&header, now);
        if header.attributes.is_transactional() {
            self.verifications.clear(header.producer_id);
        }
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            append_time: by_append.then_some(now),
            is_duplicate: false,
            bytes: batch.len(),
            rolled,
        })
    }

    /// Appends a batch that the broker itself made, offsets and epoch stamped here: control batches
    /// and the records of internal logs.
    pub fn append_own(
        &mut self,
        batch: &mut [u8],
        header: &BatchHeader,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.check_online()?;
        self.check_size(batch)?;
        let header = BatchHeader { base_offset: self.end, leader_epoch: epoch, ..*header };
        stamp(batch, header.base_offset, epoch);
        let rolled = self.write(batch, &header, now)?;
        let (base_offset, last_offset) = (header.base_offset, header.last_offset());
        let bytes = batch.len();
        Ok(Appended {
            base_offset,
            last_offset,
            append_time: None,
            is_duplicate: false,
            bytes,
            rolled,
        })
    }

    fn check_size(&self, batch: &[u8]) -> Result<(), AppendError> {
        let (size, segment_bytes) = (batch.len(), self.config.segment_bytes);
        if size > segment_bytes as usize {
            return Err(AppendError::LargerThanSegment { size, segment_bytes });
        }
        Ok(())
    }

    /// Writes one stamped batch at the end and notes it in indexes and epochs.
    pub(super) fn write(
        &mut self,
        batch: &[u8],
        header: &BatchHeader,
        now: Timestamp,
    ) -> Result<bool, AppendError> {
        let size = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let rolled = self.should_roll(header, size, now).map_err(|e| self.refuse("roll", e))?;
        if rolled {
            self.roll(now).map_err(|error| self.refuse("roll", error))?;
        }
        if self.epochs.latest().is_none_or(|latest| latest < header.leader_epoch) {
            self.begin_epoch(header.leader_epoch).map_err(|e| self.refuse("write epochs", e))?;
        }
        let segment = Arc::clone(self.active());
        let position = segment.size();
        let file = segment.log.open(true).map_err(|error| self.refuse("append", error))?;
        let written =
            file.write_at(&[IoSlice::new(batch)], u64::from(position)).inspect_err(|_| {
                let _ = file.set_len(u64::from(position)); // Recovery cuts it anyway.
            });
        written.map_err(|error| self.fail("append", &error))?;

        let (latest, latest_offset) = segment.max_timestamp();
        let (mut latest, mut latest_offset) = (latest, latest_offset);
        if header.max_timestamp > latest {
            (latest, latest_offset) = (header.max_timestamp, header.last_offset());
            segment.set_max_timestamp(latest, latest_offset);
        }
        if position == 0 {
            segment.set_first_timestamp(header.max_timestamp);
        }
        if self.bytes_since_index > self.config.index_interval_bytes {
            let relative = |offset: Offset| (offset - segment.base_offset) as u32;
            segment
                .index
                .push(OffsetEntry { relative_offset: relative(header.last_offset()), position });
            let relative_offset = relative(latest_offset);
            segment.time_index.push_if_later(TimeEntry { timestamp: latest, relative_offset });
            self.bytes_since_index = 0;
        }
        self.bytes_since_index = self.bytes_since_index.saturating_add(size);
        segment.set_size(position + size);
        self.end = header.next_offset();
        Ok(rolled)
    }

    /// A new leader epoch begins at the end of the log. It is in `leader-epoch-checkpoint` before
    /// the first batch of the epoch is in the log.
    fn begin_epoch(&mut self, epoch: LeaderEpoch) -> io::Result<()> {
        let before = Arc::clone(&self.epochs);
        if Arc::make_mut(&mut self.epochs).assign(epoch, self.end) {
            self.write_epochs(false).inspect_err(|_| self.epochs = before)?;
        }
        Ok(())
    }

    pub(super) fn write_epochs(&mut self, sync: bool) -> io::Result<()> {
        let path = self.dir.join(EPOCHS_FILE);
        let text = self.epochs.to_text();
        if sync {
            self.shared.disk.replace_file(&path, text.as_bytes())?;
        } else {
            // Batches carry their epoch: what a power loss takes from here, recovery finds there.
            let temporary = self.dir.join("leader-epoch-checkpoint.tmp");
            let file = self.shared.disk.open(&temporary, OpenMode::CreateEmpty)?;
            file.write_at(&[IoSlice::new(text.as_bytes())], 0)?;
            self.shared.disk.rename(&temporary, &path)?;
        }
        self.epochs_dirty = !sync;
        Ok(())
    }

    fn should_roll(&self, header: &BatchHeader, size: u32, now: Timestamp) -> io::Result<bool> {
        let segment = self.active();
        let config = &self.config;
        if segment.size() == 0 {
            return Ok(header.last_offset() - segment.base_offset > i64::from(i32::MAX));
        }
        let entries = |len: u32| (config.segment_index_bytes / len) as usize;
        Ok(segment.size() > config.segment_bytes.saturating_sub(size)
            || self.waited_ms(segment, header.max_timestamp, now)?
                > config.segment_ms - self.jitter_ms(segment)
            || segment.index.len() >= entries(8)
            || segment.time_index.len() >= entries(12)
            || header.last_offset() - segment.base_offset > i64::from(i32::MAX))
    }

    /// How long a segment has been filling: by its records' timestamps where they have some.
    fn waited_ms(&self, segment: &Segment, newest: Timestamp, now: Timestamp) -> io::Result<i64> {
        let first = segment.read_first_timestamp()?;
        Ok(if first.0 >= 0 { newest.0.saturating_sub(first.0) } else { now.0 - self.last_flush.0 })
    }

    /// Up to `segment.jitter.ms`, told from the segment's name, so that logs do not roll at once.
    fn jitter_ms(&self, segment: &Segment) -> i64 {
        if self.config.segment_jitter_ms <= 0 {
            return 0;
        }
        let name = segment.path();
        let hash = crc32c::crc32c(name.as_os_str().as_encoded_bytes());
        (i64::from(hash) % self.config.segment_jitter_ms.min(self.config.segment_ms)).abs()
    }

    /// Closes the active segment and begins the next at the log end. The producers are put into a
    /// snapshot, so that recovery never reads further back than one segment.
    pub fn roll(&mut self, now: Timestamp) -> io::Result<()> {
        let old = Arc::clone(self.active());
        if old.size() == 0 && old.base_offset == self.end {
            return Ok(());
        }
        if self.dir_changes > self.dir_synced {
            // A segment whose name is lost must not leave a later one behind. The flush after the
            // last roll has done this, as a rule.
            sync_names(&*self.shared.disk, &self.dir)?;
            self.dir_synced = self.dir_changes;
        }
        old.finish()?;
        self.write_snapshot()?;
        let segment = self.create_segment(self.end)?;
        self.segments.push(segment);
        self.bytes_since_index = 0;
        let _ = now;
        Ok(())
    }

    pub(super) fn create_segment(&mut self, base_offset: Offset) -> io::Result<Arc<Segment>> {
        let shared = &self.shared;
        let (segment, _) = Segment::over(&shared.disk, &shared.files, &self.dir, base_offset)?;
        for file in segment.files() {
            let path = file.path();
            if shared.disk.info(&path)?.is_some() {
                shared.disk.remove_file(&path)?;
            }
        }
        let (segment, _) = Segment::over(&shared.disk, &shared.files, &self.dir, base_offset)?;
        segment.log.open(true)?;
        segment.index.file().open(true)?;
        segment.time_index.file().open(true)?;
        self.dir_changes += 1;
        Ok(Arc::new(segment))
    }

    /// Writes the producers to `END.snapshot`, synced, unless that is there.
    pub(super) fn write_snapshot(&mut self) -> io::Result<()> {
        if let Some(path) = self.write_snapshot_unsynced()? {
            self.shared.disk.open(&path, OpenMode::Write)?.sync_all()?;
        }
        Ok(())
    }

    /// Writes the producers to `END.snapshot`, unless that is there; which file is to be synced. A
    /// log that never had a record has none (Kafka 4.4 `ProducerStateManager.takeSnapshot`).
    fn write_snapshot_unsynced(&mut self) -> io::Result<Option<PathBuf>> {
        if self.end == 0 || self.snapshots.last() == Some(&self.end) {
            return Ok(None);
        }
        let path = file_path(&self.dir, self.end, SNAPSHOT);
        let file = self.shared.disk.open(&path, OpenMode::CreateEmpty)?;
        file.write_at(&[IoSlice::new(&producers_file::encode(&self.producers))], 0)?;
        self.snapshots.push(self.end);
        self.dir_changes += 1;
        Ok(Some(path))
    }

    /// Raises the high watermark, within what the log holds.
    pub fn set_high_watermark(&mut self, high_watermark: Offset) {
        let high_watermark = high_watermark.clamp(self.log_start_offset, self.end);
        self.high_watermark = high_watermark;
        self.producers.on_high_watermark(high_watermark);
    }

    fn last_stable_offset(&self) -> Offset {
        let unstable = self.producers.first_unstable_offset().unwrap_or(i64::MAX);
        unstable.clamp(self.log_start_offset, self.high_watermark)
    }

    /// Lets readers see the log as it is now.
    pub fn publish(&self) {
        let old = self.views.load();
        let same = old.segments.len() == self.segments.len()
            && old.segments.iter().zip(&self.segments).all(|(a, b)| Arc::ptr_eq(a, b));
        let segments =
            if same { Arc::clone(&old.segments) } else { self.segments.as_slice().into() };
        self.views.store(Arc::new(self.make_view(segments)));
    }

    pub(super) fn make_view(&self, segments: Arc<[Arc<Segment>]>) -> LogView {
        let view = LogView {
            segments,
            log_start_offset: self.log_start_offset,
            last_stable_offset: self.last_stable_offset(),
            high_watermark: self.high_watermark,
            log_end_offset: self.end,
            end_position: self.active().size(),
            epochs: Arc::clone(&self.epochs),
        };
        assert!(
            view.log_start_offset <= view.last_stable_offset
                && view.last_stable_offset <= view.high_watermark
                && view.high_watermark <= view.log_end_offset,
            "offsets out of order in {}: start {}, stable {}, high watermark {}, end {}",
            self.dir.display(),
            view.log_start_offset,
            view.last_stable_offset,
            view.high_watermark,
            view.log_end_offset
        );
        view
    }

    /// Whether the topic wants a flush before what was appended is acknowledged.
    pub fn flush_is_due(&self) -> bool {
        self.end - self.flushed >= self.config.flush_messages
    }

    /// Whether `flush.ms` has passed over something that is not flushed.
    pub fn flush_is_late(&self, now: Timestamp) -> bool {
        self.end > self.flushed
            && self.config.flush_ms.is_some_and(|ms| now.0 - self.last_flush.0 >= ms)
    }

    /// Bytes that recovery would have to read after a crash.
    pub fn unflushed_bytes(&self) -> u64 {
        if self.end <= self.recovery_point {
            return 0;
        }
        let point = self.recovery_point;
        let first = self.segments.partition_point(|s| s.base_offset <= point).saturating_sub(1);
        let all: u64 = self.segments[first..].iter().map(|s| u64::from(s.size())).sum();
        let segment = &self.segments[first];
        let before = segment.seek(point, segment.size()).unwrap_or(0);
        all.saturating_sub(u64::from(before))
    }

    /// Takes out the segments whose time is over, if there are any.
    pub fn apply_retention(&mut self, now: Timestamp) -> io::Result<Option<Deletable>> {
        if self.is_being_cleaned {
            return Ok(None); // The next round comes soon enough.
        }
        let next = |at: usize| self.segments.get(at + 1).map_or(self.end, |s| s.base_offset);
        let outline = |(at, segment): (usize, &Arc<Segment>)| {
            let path = segment.path();
            let (max_timestamp, _) = segment.read_max_timestamp(segment.size())?;
            let modified = if max_timestamp == NO_TIMESTAMP {
                self.shared.disk.info(&path)?.map_or(now, |info| Timestamp(info.modified_ms))
            } else {
                now
            };
            Ok(super::retention::SegmentOutline {
                next_offset: next(at),
                size: u64::from(segment.size()),
                max_timestamp,
                modified,
            })
        };
        let outlines: io::Result<Vec<_>> = self.segments.iter().enumerate().map(outline).collect();
        let outlines = outlines?;
        let (start, high_watermark) = (self.log_start_offset, self.high_watermark);
        let mut count =
            super::retention::deletable(&outlines, &self.config, start, high_watermark, now);
        // An empty active segment has nothing to delete.
        if count == self.segments.len() && self.active().size() == 0 {
            count -= 1;
        }
        if count == 0 {
            return Ok(None);
        }
        // One that fails half-way has taken segments out that readers still see.
        self.take_deletable(count, now).map(Some).inspect_err(|error| {
            self.fail("retention", error);
        })
    }

    /// What must be synced so that all that is appended now survives a power loss. The sync may run
    /// outside the monitor; its result comes back with [`Log::finish_flush`]. `None` when there
    /// is nothing to do.
    pub fn begin_flush(&mut self, kind: FlushKind) -> Option<FlushJob> {
        let from = match kind {
            FlushKind::Records => self.flushed,
            FlushKind::RecoveryPoint => self.recovery_point,
        };
        if self.offline.is_some() || (from >= self.end && self.dir_changes == self.dir_synced) {
            return None;
        }
        // With the segment that ends where the last flush ended: it may have been closed since, and
        // with that its indexes got their last entries.
        let first =
            self.segments.partition_point(|segment| segment.base_offset < from).saturating_sub(1);
        let job = FlushJob {
            dir: self.dir.clone(),
            segments: self.segments[first..].to_vec(),
            kind,
            upto: self.end,
            dir_changes: (self.dir_changes > self.dir_synced).then_some(self.dir_changes),
            epochs: self.needs_epochs_synced(kind).then(|| Arc::clone(&self.epochs)),
            snapshot: None,
        };
        Some(job)
    }

    fn needs_epochs_synced(&self, kind: FlushKind) -> bool {
        self.epochs_dirty && kind == FlushKind::RecoveryPoint
    }

    /// Takes the result of a flush. A failed one takes the log offline.
    pub fn finish_flush(&mut self, job: &FlushJob, result: io::Result<()>, now: Timestamp) {
        if job.dir != self.dir {
            return; // It was of the copy that this one has replaced, or of a name that is gone.
        }
        match result {
            Ok(()) => {
                // A truncation meanwhile may have cut what was flushed.
                let upto = job.upto.min(self.end);
                self.flushed = self.flushed.max(upto);
                self.last_flush = now;
                self.dir_synced = self.dir_synced.max(job.dir_changes.unwrap_or(0));
                if job.kind == FlushKind::RecoveryPoint {
                    self.recovery_point = self.recovery_point.max(upto);
                    if job.epochs.as_deref() == Some(&*self.epochs) {
                        self.epochs_dirty = false;
                    }
                }
            }
            Err(error) if is_out_of_descriptors(&error) => {
                tracing::warn!(log = %self.dir.display(), %error, "a flush has to wait");
            }
            Err(error) => {
                self.fail("flush", &error);
            }
        }
    }

    /// Moves the log start up to `offset` (DeleteRecords, retention); whether it moved. Whole
    /// segments below it go with [`Log::take_deletable`].
    pub fn increment_log_start_offset(&mut self, offset: Offset) -> io::Result<bool> {
        let offset = offset.min(self.high_watermark);
        if offset <= self.log_start_offset {
            return Ok(false);
        }
        self.log_start_offset = offset;
        if Arc::make_mut(&mut self.epochs).truncate_start(offset) {
            self.write_epochs(false)?;
        }
        Ok(true)
    }

    /// Takes the first `count` segments out of the log; their files are renamed to `.deleted`, and
    /// removed by [`Deletable::remove`] once readers had time to finish.
    pub fn take_deletable(&mut self, count: usize, now: Timestamp) -> io::Result<Deletable> {
        if count >= self.segments.len() {
            self.roll(now)?;
        }
        let count = count.min(self.segments.len() - 1);
        let gone: Vec<Arc<Segment>> = self.segments.drain(..count).collect();
        let start = self.segments.first().map_or(self.end, |segment| segment.base_offset);
        let mut snapshots = Vec::new();
        self.snapshots.retain(|offset| {
            let keep = *offset >= start;
            if !keep {
                snapshots.push(*offset);
            }
            keep
        });
        self.increment_log_start_offset(start)?;
        for segment in &gone {
            segment.add_suffix(DELETED)?;
        }
        for offset in snapshots {
            self.shared.disk.remove_file(&file_path(&self.dir, offset, SNAPSHOT))?;
        }
        Ok(Deletable { segments: gone })
    }

    /// Cuts the log back to `offset`: everything from there on is gone. The high watermark follows.
    pub fn truncate_to(&mut self, offset: Offset) -> io::Result<()> {
        if offset >= self.end {
            return Ok(());
        }
        let keep = self.segments.partition_point(|segment| segment.base_offset < offset).max(1);
        for segment in self.segments.drain(keep..) {
            segment.remove_files()?;
        }
        let segment = Arc::clone(self.active());
        let cut = segment.locate(offset, segment.size())?.map_or(segment.size(), |b| b.position);
        segment.log.open(true)?.set_len(u64::from(cut))?;
        let relative = u32::try_from(offset - segment.base_offset).unwrap_or(0);
        segment.index.truncate(|entry| entry.position < cut)?;
        segment.time_index.truncate(|entry| entry.relative_offset < relative)?;
        segment.txn_index.truncate(offset)?;
        segment.set_size(cut);
        let last = segment.time_index.last();
        let (mut latest, mut at) = last.map_or((NO_TIMESTAMP, segment.base_offset), |entry| {
            (entry.timestamp, segment.base_offset + i64::from(entry.relative_offset))
        });
        let mut end = segment.base_offset;
        let last = segment.index.last().map_or(segment.base_offset, |entry| {
            segment.base_offset + i64::from(entry.relative_offset)
        });
        let from = segment.seek(last, cut)?;
        segment.scan(from, cut, |batch| {
            end = batch.header.next_offset();
            if batch.header.max_timestamp > latest {
                (latest, at) = (batch.header.max_timestamp, batch.header.last_offset());
            }
            false
        })?;
        segment.set_max_timestamp(latest, at);
        self.bytes_since_index = cut - from;
        self.end = end.max(self.log_start_offset);
        self.flushed = self.flushed.min(self.end);
        self.recovery_point = self.recovery_point.min(self.end);
        if Arc::make_mut(&mut self.epochs).truncate_end(self.end) {
            self.write_epochs(false)?;
        }
        self.high_watermark = self.high_watermark.min(self.end);
        let end = self.end;
        for offset in self.snapshots.extract_if(.., |offset| *offset > end) {
            self.shared.disk.remove_file(&file_path(&self.dir, offset, SNAPSHOT))?;
        }
        let now = self.last_flush;
        self.reload_producers(now, &BTreeMap::new())?;
        self.producers.on_high_watermark(self.high_watermark);
        Ok(())
    }

    /// Puts a completed transaction into the index of its segment, then lets it go.
    pub(super) fn finish_txn(&mut self, txn: &CompletedTxn) -> io::Result<()> {
        if txn.aborted {
            let entry = self.producers.aborted_entry(txn);
            // Below a recovery point the index is believed, and the lack of one too.
            self.dir_changes += u64::from(self.active().txn_index.push(&entry)?);
        }
        self.producers.complete(txn);
        Ok(())
    }

    /// Everything to disk, for a clean stop: records, indexes, producers, epochs.
    pub fn close(&mut self) -> io::Result<()> {
        let Some(job) = self.begin_close()? else { return Ok(()) };
        let result = job.sync(&*self.shared.disk);
        let failed =
            result.as_ref().err().map(|error| io::Error::new(error.kind(), error.to_string()));
        let now = self.last_flush;
        self.finish_flush(&job, result, now);
        failed.map_or(Ok(()), Err)
    }

    /// As [`Log::close`], but for the syncs, which many logs make together: what must be synced yet.
    pub fn begin_close(&mut self) -> io::Result<Option<FlushJob>> {
        if self.offline.is_some() {
            return Ok(None);
        }
        let active = Arc::clone(self.active());
        active.finish()?;
        let snapshot = self.write_snapshot_unsynced()?;
        let keep = self.snapshots_to_keep();
        for offset in self.snapshots.extract_if(.., |offset| !keep.contains(offset)) {
            self.shared.disk.remove_file(&file_path(&self.dir, offset, SNAPSHOT))?;
        }
        let job = self.begin_flush(FlushKind::RecoveryPoint);
        Ok(job.map(|job| FlushJob { snapshot, ..job }))
    }

    /// Snapshots at the start of a segment, and the newest.
    fn snapshots_to_keep(&self) -> Vec<Offset> {
        let mut keep: Vec<Offset> = self.segments.iter().map(|s| s.base_offset).collect();
        keep.extend(self.snapshots.last());
        keep
    }

    /// The directory was renamed to `dir`.
    pub fn moved_to(&mut self, dir: PathBuf) {
        for segment in &self.segments {
            for file in segment.files() {
                file.moved_to(&dir);
            }
        }
        self.dir = dir;
    }
}

/// Segments that were taken out of a log.
pub struct Deletable {
    segments: Vec<Arc<Segment>>,
}

impl Deletable {
    pub(super) fn of(segments: Vec<Arc<Segment>>) -> Self {
        Self { segments }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Removes the files. Whoever reads them goes on.
    pub fn remove(&self) -> io::Result<()> {
        self.segments.iter().try_for_each(Segment::remove_files)
    }
}
