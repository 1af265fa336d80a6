//! Opening a log: what is there, what a crash left, and what must be rebuilt.
//!
//! After a clean stop nothing is read but the ends of the indexes and the last batches. After any
//! other, everything past the recovery point is read and checked, and nothing below it: the log is
//! cut at the first bad batch (writes of a power loss may be reordered, so whole batches may lie
//! behind it; the report counts them). A bad batch *below* the recovery point was promised to be on
//! disk: that is damage, and the log does not open.
//!
//! Source: Kafka 4.4 `LogLoader`, `LogSegment.recover`, `UnifiedLog.rebuildProducerState`. One
//! thing differs: the state of producers is never expired by the timestamps of their records, see
//! [`super::producers::Producer::last_seen`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use super::batch_reader::BatchReader;
use super::config::LogConfig;
use super::epochs::Epochs;
use super::error::OpenError;
use super::files::EPOCHS_FILE;
use super::files::{
    CLEANED, DELETED, INDEX, LOG, SNAPSHOT, SWAP, TIME_INDEX, TXN_INDEX, file_path, offset_of,
};
use super::flush::FlushKind;
use super::index::{OffsetEntry, TimeEntry};
use super::listing::Listing;
use super::log::{Log, LogShared};
use super::producers::Producers;
use super::producers_file;
use super::segment::Segment;
use super::split;
use super::txn_index::AbortedTxn;
use super::verification::Verifications;
use super::view::LogView;
use crate::env::OpenMode;
use crate::record::control::{ControlType, coordinator_epoch};
use crate::record::{BatchHeader, BatchView, Records};
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// What is known of a log before it is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenContext {
    /// The broker stopped cleanly: the files are whole.
    pub clean: bool,
    /// Everything below is on disk.
    pub recovery_point: Offset,
    /// From the checkpoint of log start offsets.
    pub log_start_offset: Offset,
    /// From the checkpoint of high watermarks.
    pub high_watermark: Offset,
    /// The wall clock.
    pub now: Timestamp,
}

/// What recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of records that were read and checked.
    pub checked_bytes: u64,
    /// The cut, if there was one.
    pub cut: Option<Cut>,
}

/// Where a log was cut, and what lay behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The log ends here now.
    pub offset: Offset,
    /// In which file.
    pub path: PathBuf,
    /// At which byte.
    pub position: u64,
    /// What was wrong with the bytes there.
    pub what: String,
    /// Bytes that were cut off, in all files.
    pub bytes: u64,
    /// Whole, valid batches among them.
    pub whole_batches: u64,
}

impl Log {
    /// Opens the log in `dir`, creating what is missing.
    ///
    /// Errors: the disk, or damage below the recovery point.
    pub fn open(
        shared: LogShared,
        dir: &Path,
        config: Arc<LogConfig>,
        context: &OpenContext,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let listing = match Listing::read(&*shared.disk, dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                shared.disk.create_dir_all(dir).map_err(OpenError::io(dir))?;
                Listing::default()
            }
            listing => listing.map_err(OpenError::io(dir))?,
        };
        Self::open_listed(shared, dir, listing, config, context)
    }

    /// As [`Log::open`], where the directory is there and has been looked at: nothing in it has
    /// changed since.
    pub fn open_listed(
        shared: LogShared,
        dir: &Path,
        mut listing: Listing,
        config: Arc<LogConfig>,
        context: &OpenContext,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let disk = Arc::clone(&shared.disk);
        if listing.is_untidy {
            tidy_up(&shared, dir).map_err(OpenError::io(dir))?;
            listing = Listing::read(&*disk, dir).map_err(OpenError::io(dir))?;
        }
        let (epochs, epochs_damaged) = read_epochs(&shared, dir, &listing)?;
        let has_epochs = epochs.is_some();
        let mut opening = Opening {
            context: *context,
            dir: dir.to_owned(),
            config: Arc::clone(&config),
            shared,
            epochs: epochs.unwrap_or_default(),
            report: RecoveryReport::default(),
            end: context.log_start_offset,
            unindexed: BTreeMap::new(),
            indexes_to_sync: Vec::new(),
            gap: None,
            overflowed: Vec::new(),
        };
        let mut segments = opening.segments(&listing)?;
        if !opening.overflowed.is_empty() {
            let Opening { shared, overflowed, report: before, .. } = opening;
            drop(segments);
            for base_offset in overflowed {
                split_segment(&shared, dir, base_offset).map_err(OpenError::io(dir))?;
            }
            // The parts have no indexes yet, and everything is opened anew.
            let listing = Listing::read(&*disk, dir).map_err(OpenError::io(dir))?;
            let (log, mut report) = Self::open_listed(shared, dir, listing, config, context)?;
            report.checked_bytes += before.checked_bytes;
            report.cut = report.cut.or(before.cut);
            return Ok((log, report));
        }
        // A log without records has no epoch yet.
        let lacks_epochs = !has_epochs && segments.iter().any(|segment| segment.size() > 0);
        if lacks_epochs {
            tracing::warn!(log = %dir.display(), "no leader epochs, taken from the log");
        }
        let mut snapshots = listing.snapshots;
        if opening.end < context.log_start_offset {
            if context.clean && !segments.is_empty() {
                // A clean stop leaves no log like that: the records are not given up for a number.
                return Err(OpenError::Contradiction {
                    path: dir.to_owned(),
                    end: opening.end,
                    start: context.log_start_offset,
                });
            }
            tracing::warn!(
                log = %dir.display(), end = opening.end, start = context.log_start_offset,
                "the log ends before its start: it begins anew there"
            );
            for segment in segments.drain(..) {
                segment.remove_files().map_err(OpenError::io(dir))?;
            }
            opening.epochs.clear();
            opening.end = context.log_start_offset;
        }
        let told_by_all = opening.gap.unwrap_or(opening.end).min(opening.end);
        for offset in snapshots.extract_if(.., |offset| *offset > told_by_all) {
            let path = file_path(dir, offset, SNAPSHOT);
            disk.remove_file(&path).map_err(OpenError::io(path))?;
        }
        let Opening { shared, epochs, report, end, unindexed, indexes_to_sync, .. } = opening;
        let first = segments.first().map_or(end, |segment| segment.base_offset);
        let log_start_offset = context.log_start_offset.max(first).min(end);
        let bytes_since_index = segments.last().map_or(0, |segment| {
            segment.size().saturating_sub(segment.index.last().map_or(0, |entry| entry.position))
        });
        let flushed = if context.clean { end } else { context.recovery_point.min(end) };
        let placeholder = LogView {
            segments: Arc::from([]),
            log_start_offset,
            last_stable_offset: log_start_offset,
            high_watermark: log_start_offset,
            log_end_offset: end,
            end_position: 0,
            epochs: Arc::default(),
        };
        let mut log = Log {
            shared,
            dir: dir.to_owned(),
            config,
            segments,
            log_start_offset,
            high_watermark: context.high_watermark.clamp(log_start_offset, end),
            end,
            epochs: Arc::new(epochs),
            epochs_dirty: false,
            producers: Producers::default(),
            verifications: Verifications::default(),
            snapshots,
            flushed,
            recovery_point: flushed,
            last_flush: context.now,
            dir_changes: u64::from(!context.clean),
            dir_synced: 0,
            bytes_since_index,
            views: Arc::new(ArcSwap::from_pointee(placeholder)),
            offline: None,
            is_being_cleaned: false,
        };
        log.finish_open(context, epochs_damaged || lacks_epochs, &unindexed)
            .map_err(OpenError::io(dir))?;
        log.finish_indexes(&indexes_to_sync).map_err(OpenError::io(dir))?;
        Ok((log, report))
    }

    fn finish_open(
        &mut self,
        context: &OpenContext,
        epochs_damaged: bool,
        unindexed: &BTreeMap<Offset, Offset>,
    ) -> io::Result<()> {
        if self.segments.is_empty() {
            let segment = self.create_segment(self.end)?;
            self.segments.push(segment);
        }
        if epochs_damaged {
            self.rebuild_epochs()?;
        }
        let mut changed = Arc::make_mut(&mut self.epochs).truncate_end(self.end);
        changed |= Arc::make_mut(&mut self.epochs).truncate_start(self.log_start_offset);
        if changed || epochs_damaged {
            self.write_epochs(false)?;
        }
        // Without any snapshot a cleanly stopped log had no producers worth one.
        if !(context.clean && self.snapshots.is_empty() && unindexed.is_empty()) {
            self.reload_producers(context.now, unindexed)?;
        }
        if self.flush_is_due()
            && let Some(job) = self.begin_flush(FlushKind::Records)
        {
            // What was recovered was acknowledged, and is not shown before it is flushed.
            job.sync(&*self.shared.disk)?;
            self.finish_flush(&job, Ok(()), context.now);
        }
        self.producers.on_high_watermark(self.high_watermark);
        // Nobody has seen the one before.
        let view = self.make_view(self.segments.as_slice().into());
        self.views = Arc::new(ArcSwap::from_pointee(view));
        Ok(())
    }

    /// Makes the indexes of segments below the recovery point, or before a gap, durable, which no later
    /// flush would do. Those of aborted transactions are made first: once the others are whole, all are
    /// believed.
    fn finish_indexes(&mut self, bases: &[Offset]) -> io::Result<()> {
        let is_one = |segment: &&Arc<Segment>| bases.contains(&segment.base_offset);
        let segments: Vec<_> = self.segments.iter().filter(is_one).cloned().collect();
        if segments.is_empty() {
            return Ok(());
        }
        for segment in &segments {
            segment.index.close()?;
            segment.time_index.close()?;
            segment.index.sync()?;
            segment.time_index.sync()?;
        }
        Ok(())
    }

    /// The epochs as the batches have them.
    fn rebuild_epochs(&mut self) -> io::Result<()> {
        let mut epochs = Epochs::default();
        for segment in &self.segments {
            segment.scan(0, segment.size(), |batch| {
                epochs.assign(batch.header.leader_epoch, batch.header.base_offset);
                false
            })?;
        }
        self.epochs = Arc::new(epochs);
        Ok(())
    }

    /// The producers as of the log end: from the newest snapshot that is whole, then from the
    /// batches behind it. On the way it indexes the aborted transactions of the segments named in
    /// `unindexed`, from an offset of each on, so that it begins no later than these.
    pub(super) fn reload_producers(
        &mut self,
        now: Timestamp,
        unindexed: &BTreeMap<Offset, Offset>,
    ) -> io::Result<()> {
        let mut aborted = BTreeMap::from_iter(unindexed.keys().map(|base| (*base, Vec::new())));
        let latest = unindexed.values().min().copied().unwrap_or(Offset::MAX);
        self.replay_producers(now, latest, &mut aborted)?;
        for segment in &self.segments {
            let Some(from) = unindexed.get(&segment.base_offset) else { continue };
            let found = aborted.remove(&segment.base_offset).unwrap_or_default();
            segment.txn_index.rebuild(*from, &found)?;
        }
        Ok(())
    }

    /// The same, but for the indexes: what was aborted in the segments named in `aborted`.
    fn replay_producers(
        &mut self,
        now: Timestamp,
        latest: Offset,
        aborted: &mut BTreeMap<Offset, Vec<AbortedTxn>>,
    ) -> io::Result<()> {
        self.producers.clear();
        let from = self.load_snapshot(latest, now)?;
        if from >= self.end {
            return Ok(());
        }
        let at = self.segments.partition_point(|s| s.base_offset <= from).saturating_sub(1);
        for segment in &self.segments[at..] {
            let start = segment.seek(from, segment.size())?;
            let mut found = Vec::new();
            segment.scan(start, segment.size(), |batch| {
                // The log may begin inside a batch.
                if batch.header.has_producer_id() && batch.header.last_offset() >= from {
                    found.push(batch);
                }
                false
            })?;
            for batch in found {
                if !batch.header.attributes.is_control() {
                    self.producers.apply(&batch.header, now);
                    continue;
                }
                let mut bytes = vec![0; batch.header.size()];
                segment.file()?.read_at(&mut bytes, u64::from(batch.position))?;
                let Some((aborts, epoch)) = marker(&bytes) else { continue };
                if let Some(txn) = self.producers.apply_marker(&batch.header, epoch, aborts, now) {
                    if aborts && let Some(aborted) = aborted.get_mut(&segment.base_offset) {
                        aborted.push(self.producers.aborted_entry(&txn));
                    }
                    self.producers.complete(&txn);
                }
            }
        }
        Ok(())
    }

    /// Takes the producers from the newest snapshot that is whole and no later than `latest`; the
    /// offset from which the batches tell the rest. What lies below the log start and is still in a
    /// file counts: whose records are deleted goes on where it was (Apache Kafka forgets them here,
    /// and what they have open). A snapshot from before the first file does not: nothing tells what
    /// came between, and a producer known by half would be out of order.
    fn load_snapshot(&mut self, latest: Offset, now: Timestamp) -> io::Result<Offset> {
        let disk = Arc::clone(&self.shared.disk);
        let first = self.segments.first().map_or(self.end, |segment| segment.base_offset);
        let is_of_use = |offset: &&Offset| (first..=latest).contains(*offset);
        let candidates: Vec<Offset> =
            self.snapshots.iter().rev().filter(is_of_use).copied().collect();
        for offset in candidates {
            if offset == 0 {
                return Ok(self.log_start_offset); // Nobody produced before the first record.
            }
            let path = file_path(&self.dir, offset, SNAPSHOT);
            let bytes = disk.read_file(&path)?.unwrap_or_default();
            if producers_file::entries(&bytes).is_some_and(|entries| entries.is_empty()) {
                return Ok(offset.max(self.log_start_offset));
            }
            let written =
                disk.info(&path)?.map_or(NO_TIMESTAMP, |info| Timestamp(info.modified_ms));
            if let Some(producers) = producers_file::decode(&bytes, written.min(now)) {
                self.producers = producers;
                return Ok(offset);
            }
            tracing::warn!(file = %path.display(), "damaged producer snapshot, taking an older one");
            disk.remove_file(&path)?;
            self.snapshots.retain(|known| *known != offset);
        }
        Ok(first)
    }
}

/// Whether a marker aborts, and the epoch of its coordinator.
pub(super) fn marker(bytes: &[u8]) -> Option<(bool, i32)> {
    let view = BatchView::first(bytes).ok()?;
    let records = Records::of(&view).ok()?;
    let record = records.iter().next()?.ok()?;
    let aborted = match ControlType::of(&record)? {
        ControlType::Abort => true,
        ControlType::Commit => false,
        _ => return None,
    };
    Some((aborted, coordinator_epoch(record.value?)?))
}

/// The epochs of a log, and whether their file is damaged. None if there is no file, or an empty one,
/// as Kafka creates it.
fn read_epochs(
    shared: &LogShared,
    dir: &Path,
    listing: &Listing,
) -> Result<(Option<Epochs>, bool), OpenError> {
    if !listing.has_epochs {
        return Ok((None, false));
    }
    let path = dir.join(EPOCHS_FILE);
    let bytes = shared.disk.read_file(&path).map_err(OpenError::io(&path))?;
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok((None, false)) };
    match std::str::from_utf8(&bytes).ok().and_then(Epochs::from_text) {
        Some(epochs) => Ok((Some(epochs), false)),
        None => {
            tracing::warn!(file = %path.display(), "damaged leader epochs, rebuilt from the log");
            Ok((Some(Epochs::default()), true))
        }
    }
}

/// Finishes or undoes what a crash interrupted: removes what was being deleted or cleaned, and
/// completes a swap of cleaned segments.
fn tidy_up(shared: &LogShared, dir: &Path) -> io::Result<()> {
    let disk = &shared.disk;
    let list = || -> io::Result<Vec<String>> {
        Ok(disk.list(dir)?.into_iter().filter(|e| !e.is_dir).map(|e| e.name).collect())
    };
    let names = list()?;
    let offset_with = |name: &str, suffix: &str| {
        let name = name.strip_suffix(suffix)?;
        [LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT].iter().find_map(|kind| offset_of(name, kind))
    };
    // While one of the cleaner's files has its first name, what has the second is not whole. It goes
    // first, and for good, lest a second crash leaves a part of it that looks whole.
    let cleaned = names.iter().filter_map(|name| offset_with(name, CLEANED)).min();
    let is_partial = |name: &str| {
        let offset = offset_with(name, SWAP);
        offset.is_some_and(|offset| cleaned.is_some_and(|cleaned| offset >= cleaned))
    };
    let partial: Vec<_> = names.iter().filter(|name| is_partial(name)).collect();
    for name in &partial {
        disk.remove_file(&dir.join(name))?;
    }
    if !partial.is_empty() {
        disk.sync_dir(dir)?;
    }
    let (mut swapped_from, mut swapped_to) = (Offset::MAX, Offset::MIN);
    for name in &names {
        let path = dir.join(name);
        let is_snapshot_of_metadata = name.ends_with(".checkpoint.deleted");
        if name.ends_with(CLEANED)
            || (name.ends_with(DELETED) && !is_snapshot_of_metadata)
            || name == "leader-epoch-checkpoint.tmp"
            || name.ends_with(".txnindex.tmp")
        {
            disk.remove_file(&path)?;
        } else if let Some(offset) = offset_with(name, SWAP)
            && name.ends_with(".log.swap")
            && !is_partial(name)
        {
            swapped_from = swapped_from.min(offset);
            swapped_to = swapped_to.max(swap_end(shared, &path, offset)?);
        }
    }
    // Segments that the swapped ones replace.
    for name in list()? {
        let offset =
            [LOG, INDEX, TIME_INDEX, TXN_INDEX].iter().find_map(|kind| offset_of(&name, kind));
        if offset.is_some_and(|offset| (swapped_from..swapped_to).contains(&offset)) {
            disk.remove_file(&dir.join(&name))?;
        }
    }
    // The old names are gone for good before the new ones appear beside them.
    if swapped_from < swapped_to {
        disk.sync_dir(dir)?;
    }
    for name in list()? {
        if let Some(whole) = name.strip_suffix(SWAP) {
            disk.rename(&dir.join(&name), &dir.join(whole))?;
        }
    }
    disk.sync_dir(dir)
}

/// Puts segments that can be indexed in the place of one whose offsets are too far apart.
fn split_segment(shared: &LogShared, dir: &Path, base_offset: Offset) -> io::Result<()> {
    let parts = split::prepare(shared, dir, base_offset)?;
    tracing::info!(
        log = %dir.display(), base_offset, parts,
        "split a segment with offsets more than 2147483647 apart"
    );
    tidy_up(shared, dir)
}

/// The offset behind the last batch of a swap file.
fn swap_end(shared: &LogShared, path: &Path, base_offset: Offset) -> io::Result<Offset> {
    let file = shared.disk.open(path, OpenMode::Read)?;
    let size = u32::try_from(file.len()?).unwrap_or(u32::MAX);
    let mut batches = BatchReader::new(&*file, size);
    let (mut position, mut end) = (0u32, base_offset);
    // Opening the segment tells what is wrong with what is none.
    while let Ok(header) = batches.header(position)? {
        end = header.next_offset();
        position = position.saturating_add(header.size() as u32);
    }
    // An empty segment still replaces the one of its name.
    Ok(end.max(base_offset + 1))
}

struct Opening {
    context: OpenContext,
    dir: PathBuf,
    config: Arc<LogConfig>,
    shared: LogShared,
    epochs: Epochs,
    report: RecoveryReport,
    /// The end of what was opened so far.
    end: Offset,
    /// By the base offset of a segment: from this offset on, the index of its aborted transactions
    /// is to be made anew.
    unindexed: BTreeMap<Offset, Offset>,
    /// The base offsets of the segments among these that lie below the recovery point or before a
    /// gap: their indexes are made durable at once.
    indexes_to_sync: Vec<Offset>,
    /// Where records may have been torn off at the end of a file: a snapshot from behind may tell of
    /// them, and what it tells may be neither repeated nor ended by what is left.
    gap: Option<Offset>,
    /// The base offsets of segments with offsets further from these than an index can tell.
    overflowed: Vec<Offset>,
}

impl Opening {
    fn segments(&mut self, listing: &Listing) -> Result<Vec<Arc<Segment>>, OpenError> {
        for name in &listing.orphans {
            let path = self.dir.join(name);
            tracing::warn!(file = %path.display(), "an index without a segment, removed");
            self.shared.disk.remove_file(&path).map_err(OpenError::io(&path))?;
        }
        let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(listing.segments.len());
        for (at, (base, len)) in listing.segments.iter().enumerate() {
            let next = listing.segments.get(at + 1).map(|(base, _)| *base);
            let size = u32::try_from(*len).unwrap_or(u32::MAX);
            let (disk, files) = (&self.shared.disk, &self.shared.files);
            let (segment, sound) = if size == 0 && self.context.clean {
                (Segment::over_empty(disk, files, &self.dir, *base), true)
            } else {
                Segment::over(disk, files, &self.dir, *base).map_err(OpenError::io(&self.dir))?
            };
            segment.set_size(size);
            let named = segment.last_indexed();
            self.segment(&segment, sound, next)?;
            self.check_seam(&segment, named, next)?;
            segments.push(Arc::new(segment));
            if self.report.cut.is_some() {
                self.drop_rest(&listing.segments[at + 1..])?;
                break;
            }
        }
        Ok(segments)
    }

    /// Past the recovery point a segment may have lost its tail, at the end of a batch, while the
    /// next one did not. That alone is no torn tail: a log that is compacted, or was, or follows one
    /// that was, has gaps. It is one where the indexes, as they were `named` before they were cut,
    /// lead to a record in the gap: what the cleaner leaves out, it leaves out of the indexes too.
    fn check_seam(
        &mut self,
        segment: &Segment,
        named: Option<Offset>,
        next: Option<Offset>,
    ) -> Result<(), OpenError> {
        let recovery_point = self.context.recovery_point;
        let Some(next) = next.filter(|next| *next > recovery_point && !self.context.clean) else {
            return Ok(());
        };
        if self.end >= next || self.config.rules.compacted || self.report.cut.is_some() {
            return Ok(());
        }
        if named.is_none_or(|named| !(self.end..next).contains(&named)) {
            self.gap = self.gap.or(Some(self.end));
            // What its index does not name now it must not name after a power loss either: what is
            // flushed behind the gap would be cut.
            self.indexes_to_sync.push(segment.base_offset);
            return Ok(());
        }
        let (path, position) = (segment.path(), u64::from(segment.size()));
        let what =
            format!("the records up to offset {next}, where the next file begins, are missing");
        if self.end < recovery_point {
            return Err(OpenError::Damaged { path, position, what, recovery_point });
        }
        let cut = Cut { offset: self.end, path, position, what, bytes: 0, whole_batches: 0 };
        self.report.cut = Some(cut);
        Ok(())
    }

    fn segment(
        &mut self,
        segment: &Segment,
        sound: bool,
        next: Option<Offset>,
    ) -> Result<(), OpenError> {
        let recovery_point = self.context.recovery_point;
        let past = !self.context.clean && next.is_none_or(|next| next > recovery_point);
        // Flushed while it was the last one: what its indexes got when it was closed was not.
        let may_lack_entries = !self.context.clean && next == Some(recovery_point);
        let io = |error| OpenError::io(segment.path())(error);
        if past || !sound || may_lack_entries {
            let from = self.trusted(segment, sound).map_err(io)?;
            self.check(segment, from, next, past)?;
            if past {
                segment.index.close().map_err(io)?;
                segment.time_index.close().map_err(io)?;
            } else {
                self.indexes_to_sync.push(segment.base_offset);
            }
            return Ok(());
        }
        if let Some(last) = segment.time_index.last() {
            let offset = segment.base_offset + i64::from(last.relative_offset);
            segment.set_max_timestamp(last.timestamp, offset);
            segment.max_timestamp_is_indexed.store(true, Ordering::Release);
        }
        let mut end = segment.base_offset;
        if let Some(next) = next {
            end = next;
        } else {
            let last = segment.index.last().map_or(segment.base_offset, |entry| {
                segment.base_offset + i64::from(entry.relative_offset)
            });
            let from = segment.seek(last, segment.size()).map_err(io)?;
            let (mut latest, mut at) = segment.max_timestamp();
            segment
                .scan(from, segment.size(), |batch| {
                    end = batch.header.next_offset();
                    if batch.header.max_timestamp > latest {
                        (latest, at) = (batch.header.max_timestamp, batch.header.last_offset());
                    }
                    false
                })
                .map_err(|error| OpenError::Damaged {
                    path: segment.path(),
                    position: u64::from(from),
                    what: error.to_string(),
                    recovery_point: end,
                })?;
            segment.set_max_timestamp(latest, at);
        }
        self.end = end;
        Ok(())
    }

    /// Cuts the indexes back to what the recovery point vouches for; the byte and the offset of the
    /// batch from which the rest is to be checked.
    fn trusted(&self, segment: &Segment, sound: bool) -> io::Result<(u32, Offset)> {
        let recovery_point = self.context.recovery_point;
        let relative = u32::try_from(recovery_point - 1 - segment.base_offset).ok();
        if let Some(relative) = relative.filter(|_| sound)
            && let Some(entry) = segment.index.retain_trusted(|e| e.relative_offset <= relative)?
        {
            // An index that does not lead to its batch is damaged, which the batches need not be.
            let size = segment.size();
            let file = segment.log.open(true)?;
            let offset = segment.base_offset + i64::from(entry.relative_offset);
            if entry.position < size
                && let Ok(batch) = BatchReader::new(&*file, size).at(entry.position)?
                && batch.header().last_offset() == offset
            {
                let first = (batch.header().base_offset - segment.base_offset) as u32;
                segment.index.truncate(|e| e.position < entry.position)?;
                segment.time_index.retain_trusted(|e| e.relative_offset < first)?;
                drop_torn_time(segment, entry.position)?;
                return Ok((entry.position, batch.header().base_offset));
            }
        }
        segment.index.retain_trusted(|_| false)?;
        segment.time_index.retain_trusted(|_| false)?;
        Ok((0, segment.base_offset))
    }

    /// Reads and checks every batch of `segment` from the one at a byte and offset on, rebuilds what
    /// is indexed of them, and cuts at the first bad one, if it lies past the recovery point.
    fn check(
        &mut self,
        segment: &Segment,
        (from, from_offset): (u32, Offset),
        next: Option<Offset>,
        may_cut: bool,
    ) -> Result<(), OpenError> {
        let path = segment.path();
        let io = |error| OpenError::io(&path)(error);
        self.unindexed.insert(segment.base_offset, from_offset);
        let file = segment.log.open(true).map_err(io)?;
        let size = segment.size();
        let mut end = if from == 0 { segment.base_offset } else { Offset::MIN };
        let last = segment.time_index.last();
        let (mut latest, mut latest_at) = last.map_or((NO_TIMESTAMP, segment.base_offset), |e| {
            (e.timestamp, segment.base_offset + i64::from(e.relative_offset))
        });
        // The index may lack the newest time of what is trusted.
        segment
            .scan(offset_of_time(segment, last, from).map_err(io)?, from, |batch| {
                let header = &batch.header;
                if header.records_count > 0 && header.max_timestamp > latest {
                    (latest, latest_at) = (header.max_timestamp, header.last_offset());
                }
                false
            })
            .map_err(io)?;
        let mut since_index = 0;
        let mut position = from;
        let mut batches = BatchReader::new(&*file, size);
        let mut bad = None;
        let mut overflows = false;
        while position < size {
            let header = match batches.at(position).map_err(io)? {
                Ok(batch) => *batch.header(),
                Err(what) => {
                    bad = Some(what);
                    break;
                }
            };
            // A gap is fine: the log may have been compacted before.
            let leaves_gap = end != Offset::MIN && header.base_offset > end;
            if header.base_offset < segment.base_offset.max(end)
                || header.last_offset() < header.base_offset
                || (leaves_gap
                    && is_contradicted(&mut batches, position, &header, end, next).map_err(io)?)
            {
                bad = Some(format!("offset {} after {end}", header.base_offset));
                break;
            }
            if position == 0 {
                segment.set_first_timestamp(header.max_timestamp);
            }
            if header.records_count > 0 && header.max_timestamp > latest {
                (latest, latest_at) = (header.max_timestamp, header.last_offset());
            }
            overflows |= header.last_offset() > segment.last_possible();
            if since_index > self.config.index_interval_bytes && !overflows {
                let relative = |offset: Offset| (offset - segment.base_offset) as u32;
                let relative_offset = relative(header.last_offset());
                segment.index.push(OffsetEntry { relative_offset, position });
                let relative_offset = relative(latest_at);
                segment.time_index.push_if_later(TimeEntry { timestamp: latest, relative_offset });
                since_index = 0;
            }
            self.epochs.assign(header.leader_epoch, header.base_offset);
            since_index += header.size() as u32;
            end = header.next_offset();
            position += header.size() as u32;
        }
        if end == Offset::MIN {
            end = segment.base_offset;
        }
        self.report.checked_bytes += u64::from(position - from);
        if overflows {
            if let Some(next) = next.filter(|next| *next < end) {
                // Its parts would replace the next file.
                let what = format!("offsets up to {end}, and the next file begins at {next}");
                let recovery_point = self.context.recovery_point;
                let position = u64::from(position);
                return Err(OpenError::Damaged { path, position, what, recovery_point });
            }
            self.overflowed.push(segment.base_offset);
        }
        segment.set_max_timestamp(latest, latest_at);
        self.end = end;
        if let Some(what) = bad {
            let position = u64::from(position);
            if !may_cut || end < self.context.recovery_point {
                let recovery_point = self.context.recovery_point;
                return Err(OpenError::Damaged { path, position, what, recovery_point });
            }
            let whole_batches = whole_batches_behind(&mut batches, position as u32);
            file.set_len(position).map_err(OpenError::io(&path))?;
            segment.set_size(position as u32);
            let bytes = u64::from(size) - position;
            self.report.cut = Some(Cut { offset: end, path, position, what, bytes, whole_batches });
        }
        Ok(())
    }

    /// Removes the segments behind a cut.
    fn drop_rest(&mut self, segments: &[(Offset, u64)]) -> Result<(), OpenError> {
        for (base, len) in segments {
            let (segment, _) =
                Segment::over(&self.shared.disk, &self.shared.files, &self.dir, *base)
                    .map_err(OpenError::io(&self.dir))?;
            let path = segment.path();
            if let Some(cut) = &mut self.report.cut {
                cut.bytes += len;
                let len = u32::try_from(*len).unwrap_or(u32::MAX);
                let file = segment.file().map_err(OpenError::io(&path))?;
                cut.whole_batches += whole_batches_behind(&mut BatchReader::new(&*file, len), 0);
            }
            Arc::new(segment).remove_files().map_err(OpenError::io(&path))?;
        }
        Ok(())
    }
}

/// The byte of the batch that a time entry means; the first byte without one. At most `from`.
fn offset_of_time(segment: &Segment, entry: Option<TimeEntry>, from: u32) -> io::Result<u32> {
    let Some(entry) = entry else { return Ok(0) };
    let offset = segment.base_offset + i64::from(entry.relative_offset);
    Ok(segment.seek(offset, segment.size())?.min(from))
}

/// Drops the last time entry if its batch, which lies before byte `from`, has another time.
///
/// A time is written down only some batches after the one that has it. So the last entry for what
/// the recovery point vouches for may itself have come after that flush, and a power loss may have
/// torn it.
fn drop_torn_time(segment: &Segment, from: u32) -> io::Result<()> {
    let Some(entry) = segment.time_index.last() else { return Ok(()) };
    let offset = segment.base_offset + i64::from(entry.relative_offset);
    let mut is_true = false;
    segment.scan(offset_of_time(segment, Some(entry), from)?, from, |batch| {
        let is_it = batch.header.last_offset() >= offset;
        is_true = is_it
            && batch.header.last_offset() == offset
            && batch.header.max_timestamp == entry.timestamp;
        is_it
    })?;
    if !is_true {
        segment.time_index.truncate(|e| e.relative_offset < entry.relative_offset)?;
    }
    Ok(())
}

/// Whether what is behind a batch, which leaves a gap behind offset `end`, belongs into that gap or
/// into the batch: the offset of the batch, which no CRC covers, is the false one of the two.
fn is_contradicted(
    batches: &mut BatchReader<'_>,
    position: u32,
    header: &BatchHeader,
    end: Offset,
    next: Option<Offset>,
) -> io::Result<bool> {
    let is_before = |offset: Offset| (end..=header.last_offset()).contains(&offset);
    let behind = position + header.size() as u32;
    if let Ok(follows) = batches.header(behind)?
        && is_before(follows.base_offset)
    {
        // It is not believed before its CRC is right.
        return Ok(batches.at(behind)?.is_ok());
    }
    Ok(next.is_some_and(is_before))
}

/// Counts valid batches behind a bad one, as far as lengths lead from one to the next.
fn whole_batches_behind(batches: &mut BatchReader<'_>, from: u32) -> u64 {
    let (mut position, mut count) = (from, 0);
    loop {
        let Ok(Ok(header)) = batches.header(position) else { return count };
        match batches.at(position) {
            Ok(Ok(_)) => count += 1,
            Ok(Err(_)) => {}
            Err(_) => return count,
        }
        let Ok(len) = u32::try_from(header.size()) else { return count };
        position = position.saturating_add(len);
    }
}
