//! One cleaning of one log: reads it from files, in steps that each take a bounded time, and writes
//! `.cleaned` segments (Kafka 4.4 `Cleaner.doClean`). It holds no lock; what it reads is below what
//! anyone still changes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use super::error::CleanError;
use super::filter::{Filter, Left};
use super::grouping::{self, SegmentPart};
use super::offset_map::OffsetMap;
use super::replace::Replacement;
use super::txns::{CleanedTxns, ControlKind};
use crate::log::files::CLEANED;
use crate::log::index::{Entry, OffsetEntry, TimeEntry};
use crate::log::segment::Segment;
use crate::log::txn_index::AbortedTxn;
use crate::log::{Log, LogConfig, LogShared, LogView};
use crate::record::batch::stored_batches;
use crate::record::{BatchError, BatchHeader, BatchView, ControlType, HEADER_LEN, Records};
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// The memory of a pass.
#[derive(Clone, Copy, Debug)]
pub struct CleanerBudget {
    /// Bytes for the offset map.
    pub map_bytes: usize,
    /// How full the map gets.
    pub load_factor: f64,
    /// Bytes that are read at a time, if a batch is no larger.
    pub read_bytes: usize,
}

/// What a step did.
pub enum Step {
    /// So many bytes were read and written.
    Moved(u64),
    /// These segments are ready to be put in their place.
    Swap(Replacement),
    /// Everything below this offset is clean.
    Done(Offset),
}

/// A cleaning under way.
pub struct Pass {
    shared: LogShared,
    dir: PathBuf,
    config: Arc<LogConfig>,
    view: Arc<LogView>,
    filter: Filter,
    txns: CleanedTxns,
    budget: CleanerBudget,
    first_dirty: Offset,
    first_uncleanable: Offset,
    phase: Phase,
}

#[expect(clippy::large_enum_variant, reason = "there is one of them, in a pass")]
enum Phase {
    /// Keys are put into the map: the segment, and the byte in it.
    Mapping(usize, u32),
    /// Segments are written anew, group by group.
    Writing(VecDeque<std::ops::Range<usize>>),
    /// The group, the segment in it, the byte in that, and what was written.
    InGroup(VecDeque<std::ops::Range<usize>>, std::ops::Range<usize>, usize, u32, Output),
}

/// The segments that a group becomes.
struct Output {
    done: Vec<Arc<Segment>>,
    open: Segment,
    /// Bytes that are not written yet.
    pending: Vec<u8>,
    since_index: u32,
    max_timestamp: (Timestamp, Offset),
}

impl Log {
    /// Begins to clean the log from `first_dirty` up to `first_uncleanable`. Until the pass is
    /// over no segment goes by retention; [`Log::end_cleaning`] says that it is.
    pub fn begin_cleaning(
        &mut self,
        first_dirty: Offset,
        first_uncleanable: Offset,
        budget: CleanerBudget,
        now: Timestamp,
    ) -> Pass {
        self.is_being_cleaned = true;
        let view = self.views.load_full();
        let keys = first_uncleanable.saturating_sub(first_dirty).max(0).unsigned_abs();
        let filter = Filter {
            map: OffsetMap::new(budget.map_bytes, budget.load_factor, keys),
            mapped_to: first_dirty - 1,
            last_records: self.producers.last_records(),
            high_watermark: view.high_watermark,
            now,
            delete_retention_ms: self.config.delete_retention_ms,
        };
        let first = view.segments.partition_point(|s| s.base_offset <= first_dirty);
        Pass {
            shared: self.shared.clone(),
            dir: self.dir.clone(),
            config: Arc::clone(&self.config),
            filter,
            txns: CleanedTxns::default(),
            budget,
            first_dirty,
            first_uncleanable,
            phase: Phase::Mapping(first.saturating_sub(1), 0),
            view,
        }
    }

    /// The pass is over.
    pub fn end_cleaning(&mut self) {
        self.is_being_cleaned = false;
    }
}

impl Pass {
    /// Does a bounded part of the work.
    ///
    /// Errors: the log is as it was, as far as this pass is concerned; see [`Pass::abandon`].
    pub fn step(&mut self) -> Result<Step, CleanError> {
        match std::mem::replace(&mut self.phase, Phase::Writing(VecDeque::new())) {
            Phase::Mapping(segment, position) => self.map(segment, position),
            Phase::Writing(groups) => self.begin_group(groups),
            Phase::InGroup(groups, group, at, position, output) => {
                let segments: Vec<Arc<Segment>> = output.done.clone();
                match self.write(groups, group, at, position, output) {
                    Ok(step) => Ok(step),
                    Err(error) => {
                        for segment in &segments {
                            let _ = segment.remove_files(); // Recovery removes them anyway.
                        }
                        Err(error.into())
                    }
                }
            }
        }
    }

    /// Removes what the pass has written and not put in its place.
    pub fn abandon(&mut self) {
        let Ok(entries) = self.shared.disk.list(&self.dir) else { return };
        for entry in entries.iter().filter(|entry| entry.name.ends_with(CLEANED)) {
            let _ = self.shared.disk.remove_file(&self.dir.join(&entry.name)); // As above.
        }
    }

    fn map(&mut self, segment: usize, position: u32) -> Result<Step, CleanError> {
        let view = Arc::clone(&self.view);
        let current = view.segments.get(segment);
        let Some(current) = current.filter(|s| s.base_offset < self.first_uncleanable) else {
            return Ok(self.finish_mapping());
        };
        if position == 0 {
            let end = view.segments.get(segment + 1).map_or(view.log_end_offset, |s| s.base_offset);
            let aborted = view.aborted_between(current.base_offset.max(self.first_dirty), end);
            self.txns.add_aborted(aborted.map_err(|error| io::Error::other(error.to_string()))?);
        }
        let bytes = read_batches(current, position, self.budget.read_bytes)?;
        let mut is_full = false;
        for batch in stored_batches(&bytes) {
            let batch = batch.map_err(damaged)?;
            if !self.note(&batch)? {
                is_full = true;
                break;
            }
        }
        if is_full {
            return Ok(self.finish_mapping());
        }
        let position = position + bytes.len() as u32;
        if position < current.size() {
            self.phase = Phase::Mapping(segment, position);
        } else {
            // Offsets that are missing at the end of a segment are known to be.
            let next =
                view.segments.get(segment + 1).map_or(view.log_end_offset, |s| s.base_offset);
            self.filter.mapped_to = self.filter.mapped_to.max(next.min(self.first_uncleanable) - 1);
            self.phase = Phase::Mapping(segment + 1, 0);
        }
        Ok(Step::Moved(bytes.len() as u64))
    }

    /// Notes the keys of a batch; false when there is no room.
    fn note(&mut self, batch: &BatchView<'_>) -> Result<bool, CleanError> {
        let header = batch.header();
        if header.attributes.is_control() {
            let records = Records::of(batch).map_err(damaged)?;
            let kind = match records.raw().next() {
                None => ControlKind::Empty,
                Some(record) => {
                    let key = record.map_err(damaged)?.key;
                    key.and_then(ControlType::from_key)
                        .map_or(ControlKind::Unknown, ControlKind::Of)
                }
            };
            self.txns.on_control(header, kind);
        } else if !self.txns.on_data(header) {
            let records = Records::of(batch).map_err(damaged)?;
            let base_offset = records.header().base_offset;
            for record in records.raw() {
                let record = record.map_err(damaged)?;
                let offset = base_offset.saturating_add(i64::from(record.offset_delta));
                let Some(key) = record.key.filter(|_| offset >= self.first_dirty) else { continue };
                if !self.filter.map.put(key, offset) {
                    return Ok(false);
                }
                self.filter.mapped_to = offset;
            }
        }
        if header.last_offset() >= self.first_dirty {
            self.filter.mapped_to = header.last_offset();
        }
        Ok(true)
    }

    fn finish_mapping(&mut self) -> Step {
        self.txns = CleanedTxns::default();
        let end = self.filter.mapped_to + 1;
        let segments: Vec<_> =
            self.view.segments.iter().take_while(|segment| segment.base_offset < end).collect();
        let part = |segment: &&Arc<Segment>| SegmentPart {
            base_offset: segment.base_offset,
            size: u64::from(segment.size()),
            index_bytes: (segment.index.len() * OffsetEntry::LEN) as u64,
            time_index_bytes: (segment.time_index.len() * TimeEntry::LEN) as u64,
        };
        let parts: Vec<SegmentPart> = segments.iter().map(part).collect();
        let segment_bytes = u64::from(self.config.segment_bytes);
        let index_bytes = u64::from(self.config.segment_index_bytes);
        let groups = grouping::group(&parts, segment_bytes, index_bytes, self.first_uncleanable);
        self.phase = Phase::Writing(groups.into());
        Step::Moved(0)
    }

    fn begin_group(
        &mut self,
        mut groups: VecDeque<std::ops::Range<usize>>,
    ) -> Result<Step, CleanError> {
        let Some(group) = groups.pop_front() else {
            return Ok(Step::Done(self.filter.mapped_to + 1));
        };
        let base_offset = self.view.segments[group.start].base_offset;
        let output = Output::new(&self.shared, &self.dir, base_offset, Vec::new())?;
        let start = group.start;
        self.phase = Phase::InGroup(groups, group, start, 0, output);
        Ok(Step::Moved(0))
    }

    fn write(
        &mut self,
        groups: VecDeque<std::ops::Range<usize>>,
        group: std::ops::Range<usize>,
        at: usize,
        position: u32,
        mut output: Output,
    ) -> io::Result<Step> {
        let view = Arc::clone(&self.view);
        if at == group.end {
            let cleaned = output.close()?;
            let old = view.segments[group].to_vec();
            self.phase = Phase::Writing(groups);
            return Ok(Step::Swap(Replacement::new(&self.shared, &self.dir, cleaned, old)));
        }
        let source = &view.segments[at];
        if position == 0 {
            let end = view.segments.get(at + 1).map_or(view.log_end_offset, |s| s.base_offset);
            let aborted = view.aborted_between(source.base_offset, end);
            self.txns.add_aborted(aborted.map_err(|error| io::Error::other(error.to_string()))?);
        }
        let bytes = read_batches(source, position, self.budget.read_bytes)?;
        let rest_is_empty = view.segments[at + 1..group.end].iter().all(|s| s.size() == 0);
        let mut here = position;
        let mut written = 0;
        for batch in stored_batches(&bytes) {
            let batch = batch.map_err(damaged)?;
            here += batch.bytes().len() as u32;
            let keeps_place = rest_is_empty && here == source.size();
            let (left, indexed) = self.filter.judge(&batch, &mut self.txns, keeps_place)?;
            let left = match &left {
                Left::Nothing => &[],
                Left::All => batch.bytes(),
                Left::Some(bytes) => bytes,
            };
            written += left.len() as u64;
            output = self.append(output, left, indexed)?;
        }
        output.write_out()?;
        let read = bytes.len() as u64;
        let (at, position) = if here >= source.size() { (at + 1, 0) } else { (at, here) };
        self.phase = Phase::InGroup(groups, group, at, position, output);
        Ok(Step::Moved(read + written))
    }

    /// Adds a batch, in another segment if it does not fit into the one at hand.
    fn append(
        &self,
        mut output: Output,
        batch: &[u8],
        indexed: Option<AbortedTxn>,
    ) -> io::Result<Output> {
        if !batch.is_empty() {
            let header = *BatchView::first(batch).map_err(damaged)?.header();
            if !output.fits(&header) {
                let mut done = output.close()?;
                output = Output::new(&self.shared, &self.dir, header.base_offset, Vec::new())?;
                output.done.append(&mut done);
            }
            output.push(batch, &header, self.config.index_interval_bytes);
        }
        if let Some(txn) = indexed {
            output.open.txn_index.push(&txn)?;
        }
        Ok(output)
    }

    /// Does the whole pass at once, for a log that nobody else uses; where it is clean to.
    pub fn run(mut self, log: &mut Log) -> Result<Offset, CleanError> {
        let result = loop {
            match self.step() {
                Ok(Step::Moved(_)) => {}
                Ok(Step::Swap(replacement)) => match replacement.apply(log) {
                    Ok(gone) => gone.remove()?,
                    Err(error) => break Err(error),
                },
                Ok(Step::Done(offset)) => break Ok(offset),
                Err(error) => break Err(error),
            }
        };
        log.end_cleaning();
        if result.is_err() {
            self.abandon();
        }
        result
    }
}

impl Output {
    fn new(
        shared: &LogShared,
        dir: &std::path::Path,
        base_offset: Offset,
        done: Vec<Arc<Segment>>,
    ) -> io::Result<Self> {
        let open = Segment::to_be_cleaned(&shared.disk, &shared.files, dir, base_offset)?;
        let max_timestamp = (NO_TIMESTAMP, base_offset);
        Ok(Self { done, open, pending: Vec::new(), since_index: 0, max_timestamp })
    }

    fn size(&self) -> u64 {
        u64::from(self.open.size()) + self.pending.len() as u64
    }

    fn fits(&self, header: &BatchHeader) -> bool {
        let max = i32::MAX as u64;
        let range = header.last_offset() - self.open.base_offset;
        self.size() == 0 && range <= i64::from(i32::MAX)
            || self.size() + header.size() as u64 <= max && range <= i64::from(i32::MAX)
            || self.open.base_offset == header.base_offset
    }

    fn push(&mut self, batch: &[u8], header: &BatchHeader, index_interval_bytes: u32) {
        let position = self.size() as u32;
        let relative = |offset: Offset| (offset - self.open.base_offset) as u32;
        if position == 0 {
            self.open.set_first_timestamp(header.max_timestamp);
        }
        // A batch without records has no time that could be searched for.
        if header.records_count > 0 && header.max_timestamp > self.max_timestamp.0 {
            self.max_timestamp = (header.max_timestamp, header.last_offset());
        }
        if self.since_index > index_interval_bytes {
            let relative_offset = relative(header.last_offset());
            self.open.index.push(OffsetEntry { relative_offset, position });
            let (timestamp, offset) = self.max_timestamp;
            let relative_offset = relative(offset);
            self.open.time_index.push_if_later(TimeEntry { timestamp, relative_offset });
            self.since_index = 0;
        }
        self.since_index = self.since_index.saturating_add(batch.len() as u32);
        self.pending.extend_from_slice(batch);
    }

    fn write_out(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            let position = self.open.size();
            let file = self.open.log.open(true)?;
            file.write_at(&[IoSlice::new(&self.pending)], u64::from(position))?;
            self.open.set_size(position + self.pending.len() as u32);
            self.pending.clear();
        }
        Ok(())
    }

    /// Everything of it to disk; all that was written, in order.
    fn close(mut self) -> io::Result<Vec<Arc<Segment>>> {
        self.write_out()?;
        self.open.set_max_timestamp(self.max_timestamp.0, self.max_timestamp.1);
        self.open.finish()?;
        self.open.log.open(true)?.sync_data()?;
        self.open.index.sync()?;
        self.open.time_index.sync()?;
        self.open.txn_index.sync()?;
        self.done.push(Arc::new(self.open));
        Ok(self.done)
    }
}

fn damaged(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// Whole batches from byte `position` on, checked: some `read_bytes`, or one batch if that is larger.
fn read_batches(segment: &Segment, position: u32, read_bytes: usize) -> io::Result<Vec<u8>> {
    let rest = segment.size().saturating_sub(position) as usize;
    if rest == 0 {
        return Ok(Vec::new());
    }
    let bad = |what: String| {
        damaged(format!("{}, byte {position} and on: {what}", segment.path().display()))
    };
    let file = segment.file()?;
    let mut bytes = vec![0; read_bytes.max(HEADER_LEN).min(rest)];
    let got = file.read_at(&mut bytes, u64::from(position))?;
    bytes.truncate(got);
    if let Err(BatchError::Truncated { needed, .. }) = BatchView::stored(&bytes) {
        if needed > rest {
            return Err(bad(format!("a batch of {needed} bytes, {rest} are left")));
        }
        bytes.resize(needed, 0);
        let got = file.read_at(&mut bytes, u64::from(position))?;
        bytes.truncate(got);
    }
    let mut whole = 0;
    for batch in stored_batches(&bytes) {
        match batch {
            Ok(batch) => {
                batch.check_crc().map_err(|error| bad(error.to_string()))?;
                whole += batch.bytes().len();
            }
            Err(BatchError::Truncated { .. }) if whole > 0 && bytes.len() < rest => break,
            Err(error) => return Err(bad(error.to_string())),
        }
    }
    bytes.truncate(whole);
    Ok(bytes)
}
