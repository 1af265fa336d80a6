//! A copy of a log in another directory: filled from the log that it is a copy of, and taking its
//! place in the end (Kafka 4.4 `ReplicaAlterLogDirsThread`, `LogManager.replaceCurrentWithFutureLog`).
//!
//! Batches are taken over as they are, with their offsets and epochs; gaps that compaction left
//! stay gaps. Where the two logs part, their leader epochs tell.
//!
//! The change of places, with the records of both logs the same and all of the copy synced:
//!
//! 1. The old directory becomes `-delete`, and that is synced. A crash before: the old log is there
//!    as it was, and the move goes on.
//! 2. The copy's directory takes the partition's name, and that is synced. A crash before: no
//!    directory has the partition's name, and the copy gets it at the start, since the metadata
//!    names its directory.
//!
//! Apache Kafka goes the other way round, and after a crash in between refuses the two directories
//! that it then finds; what a crash leaves here it takes up as we do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{AppendError, ReadError};
use super::files::{SNAPSHOT, file_name};
use super::flush::FlushKind;
use super::log::Log;
use super::recovery::marker;
use super::view::{LogView, UpTo};
use crate::record::{BatchError, BatchHeader, BatchView};
use crate::types::{Offset, Timestamp};

/// Why a log cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The log that is copied cannot be read.
    #[error("reading: {0}")]
    Read(#[from] ReadError),
    /// The copy cannot be written.
    #[error("writing: {0}")]
    Write(#[from] AppendError),
    /// The copy cannot be cut, flushed or renamed.
    #[error("writing: {0}")]
    Io(#[from] io::Error),
    /// What was read is damaged.
    #[error("offset {offset}: {source}")]
    Damaged {
        /// Where.
        offset: Offset,
        /// What is wrong.
        source: BatchError,
    },
    /// The two logs have nothing in common any more: the copy must begin anew.
    #[error("the copy has nothing in common with the log any more")]
    Apart,
}

impl Log {
    /// Where a copy of the log in `view` begins: with the batch that holds its first offset.
    pub fn copy_begins_at(view: &LogView) -> Result<Offset, ReadError> {
        let start = view.log_start_offset;
        Ok(view.base_offset_at(start)?.map_or(start, |base| base.min(start)))
    }

    /// Cuts off what the log in `view` does not have (Kafka 4.4
    /// `AbstractFetcherThread.getOffsetTruncationState`).
    fn cut_to_common(&mut self, view: &LogView) -> Result<(), CopyError> {
        // The copy of a log that starts inside a batch begins with all of the batch.
        if self.end < view.log_start_offset && self.end < Self::copy_begins_at(view)? {
            return Err(CopyError::Apart); // Retention was faster.
        }
        loop {
            let mut keep = self.end.min(view.log_end_offset);
            if let Some(latest) = self.epochs.latest() {
                let (epoch, end) = view.epochs.end_offset_for(latest, view.log_end_offset);
                let own = self.epochs.end_offset_for(epoch, self.end).1;
                keep = keep.min(end).min(own);
            }
            if keep >= self.end {
                return Ok(());
            }
            if keep < self.log_start_offset {
                return Err(CopyError::Apart);
            }
            self.high_watermark = self.high_watermark.min(keep);
            let before = self.end;
            self.truncate_to(keep)?;
            if self.end >= before {
                return Err(CopyError::Apart);
            }
        }
    }

    /// Takes over up to `max_bytes`, or one batch, of the log in `view`, with its bounds; how many
    /// bytes it were. The copy has caught up with `view` when its end is the same.
    pub fn copy_from(
        &mut self,
        view: &LogView,
        max_bytes: usize,
        now: Timestamp,
    ) -> Result<usize, CopyError> {
        self.check_online()?;
        self.cut_to_common(view)?;
        let mut copied = 0;
        if self.end < view.log_end_offset {
            let from = self.end.max(view.log_start_offset);
            let plan = view.read(from, max_bytes, UpTo::LogEnd, true)?;
            match plan.file {
                Some(file) => {
                    let mut bytes = vec![0; plan.len];
                    let got = file.read_at(&mut bytes, plan.position).map_err(ReadError::Io)?;
                    copied = self.append_copied(&bytes[..got], now)?;
                }
                // Nothing lies between here and the end.
                None => self.end = view.log_end_offset,
            }
        }
        self.set_high_watermark(view.high_watermark.min(self.end));
        self.increment_log_start_offset(view.log_start_offset)?;
        self.publish();
        Ok(copied)
    }

    /// Appends the whole batches among `bytes` as they are.
    fn append_copied(&mut self, bytes: &[u8], now: Timestamp) -> Result<usize, CopyError> {
        let mut rest = bytes;
        let mut copied = 0;
        while !rest.is_empty() {
            let offset = self.end;
            let damaged = |source| CopyError::Damaged { offset, source };
            let batch = match BatchView::stored(rest) {
                Ok(batch) => batch,
                Err(BatchError::Truncated { .. }) if copied > 0 => break,
                Err(source) => return Err(damaged(source)),
            };
            batch.check_crc().map_err(damaged)?;
            let header = with_base_offset(&batch, self.end);
            let len = batch.bytes().len();
            if header.base_offset < self.end {
                let (batch, end) = (header.base_offset, self.end);
                return Err(AppendError::OutOfOrder { batch, end }.into());
            }
            self.end = header.base_offset;
            self.write(batch.bytes(), &header, now)?;
            copied += len;
            if !header.attributes.is_control() {
                self.producers.apply(&header, now);
            } else if let Some((aborted, epoch)) = marker(batch.bytes())
                && let Some(txn) = self.producers.apply_marker(&header, epoch, aborted, now)
            {
                self.finish_txn(&txn)?;
            }
            rest = &rest[len..];
        }
        Ok(copied)
    }

    /// Everything to disk, indexes included.
    pub fn flush_copy(&mut self, now: Timestamp) -> io::Result<()> {
        let Some(job) = self.begin_flush(FlushKind::RecoveryPoint) else { return Ok(()) };
        let result = job.sync(&*self.shared.disk);
        let told = result.as_ref().copied().map_err(|e| io::Error::new(e.kind(), e.to_string()));
        self.finish_flush(&job, result, now);
        told
    }

    /// The copy, which has all that `old` has, takes its place under its name, and `old` is in
    /// `deleted` afterwards, to be removed. Idempotent producers and transactions about to begin
    /// are known as before; readers of `old` see the copy from now on.
    ///
    /// Errors: nothing has changed, or `old` is offline and a new start decides.
    pub fn take_place_of(
        &mut self,
        old: &mut Log,
        deleted: &Path,
        now: Timestamp,
    ) -> io::Result<()> {
        // Those of records that retention took are in no batch that was copied.
        self.producers = old.producers.clone();
        if let Some(last) = self.snapshots.pop_if(|last| *last == self.end) {
            self.shared.disk.remove_file(&self.dir.join(file_name(last, SNAPSHOT)))?;
        }
        self.write_snapshot()?;
        self.flush_copy(now)?;
        let name = old.dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
        let live = self.dir.with_file_name(name);
        let disk = Arc::clone(&self.shared.disk);
        let before = old.dir.clone();
        disk.rename(&before, deleted)?;
        old.moved_to(deleted.to_owned());
        if let Err(error) = sync_parent(&*disk, deleted) {
            old.fail("change of the log directory", &error);
            return Err(error);
        }
        if let Err(error) = disk.rename(&self.dir, &live) {
            match disk.rename(deleted, &before).and_then(|()| sync_parent(&*disk, &before)) {
                Ok(()) => old.moved_to(before),
                Err(worse) => drop(old.fail("change of the log directory", &worse)),
            }
            return Err(error);
        }
        self.moved_to(live.clone());
        if let Err(error) = sync_parent(&*disk, &live) {
            old.fail("change of the log directory", &error);
            return Err(error);
        }
        self.verifications = std::mem::take(&mut old.verifications);
        self.views = Arc::clone(&old.views);
        self.publish();
        Ok(())
    }

    /// Shows itself in `views` from now on: whoever looks there sees the copy that began anew.
    pub fn show_in(&mut self, views: &Arc<arc_swap::ArcSwap<LogView>>) {
        self.views = Arc::clone(views);
        self.publish();
    }

    /// The log directory that it lies in.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.parent().map(ToOwned::to_owned).unwrap_or_default()
    }

    /// Whether a pass of the cleaner is under way.
    pub fn is_being_cleaned(&self) -> bool {
        self.is_being_cleaned
    }
}

/// The header of a batch that is copied to offset `end`. A wrapper of an old message format gets the
/// offset of its first message, lest a segment that begins with it be named after its last. One that
/// cannot be inflated is copied all the same.
fn with_base_offset(batch: &BatchView<'_>, end: Offset) -> BatchHeader {
    let header = *batch.header();
    if !header.is_legacy() {
        return header;
    }
    let last = header.last_offset();
    let base = batch.base_offset().ok().filter(|base| (end..=last).contains(base));
    let delta = base.and_then(|base| i32::try_from(last - base).ok());
    let last_offset_delta = delta.unwrap_or(0);
    let base_offset = last - i64::from(last_offset_delta);
    BatchHeader { base_offset, last_offset_delta, ..header }
}

fn sync_parent(disk: &dyn crate::env::Disk, dir: &Path) -> io::Result<()> {
    dir.parent().map_or(Ok(()), |parent| disk.sync_dir(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Disk;
    use crate::env::sim::SimDisk;
    use crate::log::{LogConfig, LogShared, Marker, OpenContext, OpenFiles};
    use crate::record::BatchBuilder;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn open(disk: &SimDisk, dir: &str, start: Offset) -> Log {
        let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(16) };
        let context = OpenContext {
            clean: false,
            recovery_point: 0,
            log_start_offset: start,
            high_watermark: 0,
            now: NOW,
        };
        let config = LogConfig { segment_bytes: 600, ..LogConfig::default() };
        disk.create_dir_all(Path::new(dir).parent().unwrap()).unwrap();
        Log::open(shared, Path::new(dir), Arc::new(config), &context).unwrap().0
    }

    fn append(log: &mut Log, producer: i64, sequence: i32, epoch: i32) {
        let mut builder = BatchBuilder::new(0).producer(producer, 0, sequence).transactional();
        builder.push(NOW, None, Some(&[b'x'; 100]));
        let mut bytes = builder.build().unwrap();
        let header = *BatchView::first(&bytes).unwrap().header();
        log.append_as_leader(&mut bytes, &header, epoch, NOW).unwrap();
    }

    fn end_txn(log: &mut Log, producer_id: i64, committed: bool, epoch: i32) {
        let marker = Marker {
            producer_id,
            producer_epoch: 0,
            committed,
            coordinator_epoch: 0,
            transaction_version: 1,
        };
        log.append_marker(&marker, epoch, NOW).unwrap();
    }

    fn publish(log: &mut Log) -> Arc<LogView> {
        log.set_high_watermark(log.end());
        log.publish();
        log.views().load_full()
    }

    fn copy_all(copy: &mut Log, view: &LogView) {
        while copy.copy_from(view, 250, NOW).unwrap() > 0 {}
        assert_eq!(copy.end(), view.log_end_offset);
    }

    #[test]
    fn a_copy_has_the_bytes_the_epochs_and_the_transactions_of_its_log_and_takes_its_place() {
        let disk = SimDisk::new(1);
        let mut log = open(&disk, "/a/t-0", 0);
        for round in 0..12 {
            append(&mut log, 7, round, round / 4);
            append(&mut log, 8, round, round / 4);
            if round % 3 == 2 {
                end_txn(&mut log, 7, round % 2 == 0, round / 4);
            }
        }
        let view = publish(&mut log);
        let mut copy = open(&disk, "/b/t-0.00000000000000000000000000000000-future", 0);
        copy_all(&mut copy, &view);
        let shown = copy.views().load_full();
        assert_eq!(shown.last_stable_offset, view.last_stable_offset);
        assert_eq!(shown.epochs, view.epochs);
        let aborted = |view: &LogView| view.aborted_between(0, view.log_end_offset).unwrap();
        assert!(!aborted(&view).is_empty());
        assert_eq!(aborted(&shown), aborted(&view));
        assert_eq!(shown.size_bytes(), view.size_bytes());

        let views = log.views();
        copy.take_place_of(&mut log, Path::new("/a/t-0.0-delete"), NOW).unwrap();
        assert_eq!(copy.dir(), Path::new("/b/t-0"));
        assert!(disk.info(Path::new("/a/t-0")).unwrap().is_none());
        assert_eq!(views.load().size_bytes(), view.size_bytes());
        append(&mut copy, 8, 12, 3);
        assert_eq!(publish(&mut copy).log_end_offset, view.log_end_offset + 1);
        assert_eq!(views.load().log_end_offset, view.log_end_offset + 1, "readers follow");
        drop(copy);
        let again = open(&disk, "/b/t-0", 0);
        assert_eq!(again.end(), view.log_end_offset + 1);
    }

    #[test]
    fn a_copy_of_a_log_that_starts_inside_a_batch_begins_with_the_batch() {
        let disk = SimDisk::new(3);
        let mut log = open(&disk, "/a/t-0", 0);
        for _ in 0..4 {
            let mut builder = BatchBuilder::new(0);
            (0..5).for_each(|_| builder.push(NOW, None, Some(b"v")));
            let mut bytes = builder.build().unwrap();
            let header = *BatchView::first(&bytes).unwrap().header();
            log.append_as_leader(&mut bytes, &header, 0, NOW).unwrap();
        }
        log.set_high_watermark(log.end());
        log.increment_log_start_offset(7).unwrap();
        let view = publish(&mut log);
        let begins_at = Log::copy_begins_at(&view).unwrap();
        assert_eq!(begins_at, 5);
        let mut copy = open(&disk, "/b/t-0", begins_at);
        copy_all(&mut copy, &view);
        let shown = copy.views().load_full();
        assert_eq!((shown.log_start_offset, shown.log_end_offset), (7, 20));
        assert_eq!(shown.read(7, 1, UpTo::LogEnd, true).unwrap().first_offset, 5);
    }

    #[test]
    fn a_copy_is_cut_where_its_log_was_and_begins_anew_where_retention_was_faster() {
        let disk = SimDisk::new(2);
        let mut log = open(&disk, "/a/t-0", 0);
        (0..20).for_each(|n| append(&mut log, 7, n, 0));
        let view = publish(&mut log);
        let mut copy = open(&disk, "/b/copy", 0);
        copy_all(&mut copy, &view);
        // The log was cut, and grew again under another leader.
        log.set_high_watermark(5);
        log.truncate_to(5).unwrap();
        (5..9).for_each(|n| append(&mut log, 7, n, 1));
        let view = publish(&mut log);
        copy_all(&mut copy, &view);
        assert_eq!((copy.end(), copy.views().load().epochs.clone()), (9, view.epochs.clone()));
        assert_eq!(copy.views().load().size_bytes(), view.size_bytes());

        let late = open(&disk, "/b/late", 0);
        let mut late = late;
        log.take_deletable(2, NOW).unwrap().remove().unwrap();
        let view = publish(&mut log);
        assert!(view.log_start_offset > 0);
        assert!(matches!(late.copy_from(&view, 250, NOW), Err(CopyError::Apart)));
        let mut anew = open(&disk, "/b/anew", Log::copy_begins_at(&view).unwrap());
        copy_all(&mut anew, &view);
        let shown = anew.views().load_full();
        assert_eq!((shown.log_start_offset, shown.log_end_offset), (view.log_start_offset, 9));
    }
}
