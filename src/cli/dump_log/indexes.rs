//! What lies beside a segment: its indexes, which are compared with the segment, and its snapshot
//! of producers.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::blocks::LogBlocks;
use super::{Dump, DumpError, base_offset, beside};
use crate::log::files::{INDEX, LOG};
use crate::log::index::{Entry, OffsetEntry, TimeEntry};
use crate::log::producers::RecentBatch;
use crate::log::producers_file;
use crate::log::txn_index::AbortedTxn;
use crate::record::{BatchView, Records};
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// What does not fit together, by the file's absolute path.
#[derive(Default)]
pub(super) struct IndexFindings {
    /// An offset index, and in it: the offset of an entry, the one of the batch it points to.
    mismatches: IndexMap<PathBuf, BTreeMap<Offset, Offset>>,
    /// A time index, and in it: the timestamp of an entry, the largest of its batch.
    time_mismatches: IndexMap<PathBuf, Vec<(Timestamp, Timestamp)>>,
    /// A time index, and in it: a timestamp, and the one before it, which is not smaller.
    out_of_order: IndexMap<PathBuf, Vec<(Timestamp, Timestamp)>>,
    /// A time index, and in it: an offset, and the last offset of the batch that holds it, or -1.
    not_found: IndexMap<PathBuf, Vec<(Offset, Offset)>>,
    /// A segment, and in it: an offset, and the one that follows it.
    pub(super) gaps: IndexMap<PathBuf, BTreeMap<Offset, Offset>>,
}

impl IndexFindings {
    /// In the words of Kafka's tool, which scripts look for.
    pub(super) fn print(&self, err: &mut dyn Write) -> io::Result<()> {
        for (path, offsets) in &self.mismatches {
            writeln!(err, "Mismatches in :{}", path.display())?;
            for (index, log) in offsets.iter().rev() {
                writeln!(err, "  Index offset: {index}, log offset: {log}")?;
            }
        }
        for (path, timestamps) in &self.time_mismatches {
            writeln!(err, "Found timestamp mismatch in :{}", path.display())?;
            for (index, log) in timestamps {
                writeln!(err, "  Index timestamp: {}, log timestamp: {}", index.0, log.0)?;
            }
        }
        for (path, timestamps) in &self.out_of_order {
            writeln!(err, "Found out of order timestamp in :{}", path.display())?;
            for (index, before) in timestamps {
                let (index, before) = (index.0, before.0);
                writeln!(
                    err,
                    "  Index timestamp: {index}, Previously indexed timestamp: {before}"
                )?;
            }
        }
        for (path, offsets) in &self.not_found {
            writeln!(err, "The following indexed offsets are not found in :{}", path.display())?;
            for (index, log) in offsets {
                writeln!(err, "Indexed offset: {index}, found log offset: {log}")?;
            }
        }
        for (path, offsets) in &self.gaps {
            writeln!(err, "Non-consecutive offsets in {}", path.display())?;
            for (offset, next) in offsets {
                writeln!(err, "  {offset} is followed by {next}")?;
            }
        }
        Ok(())
    }
}

/// The entries of an index file. A running broker's active index is preallocated: its entries end
/// where zeroes begin.
struct DumpedEntries<E> {
    file: LogBlocks,
    base_offset: Offset,
    count: u64,
    kind: PhantomData<E>,
}

impl<E: Entry> DumpedEntries<E> {
    fn open(dump: &Dump<'_>, path: &Path) -> Result<Self, DumpError> {
        let base_offset = base_offset(path)?;
        let file = LogBlocks::open(dump.disk, path)?;
        let count = file.len() / E::LEN as u64;
        Ok(Self { file, base_offset, count, kind: PhantomData })
    }

    fn at(&mut self, index: u64) -> Result<E, DumpError> {
        Ok(E::read(self.file.at(index * E::LEN as u64, E::LEN)?))
    }

    /// The entry, unless the index ends before it.
    fn get(&mut self, index: u64) -> Result<Option<E>, DumpError> {
        if index >= self.count {
            return Ok(None);
        }
        let entry = self.at(index)?;
        Ok((index == 0 || entry.relative_offset() != 0).then_some(entry))
    }

    fn offset(&self, entry: E) -> Offset {
        self.base_offset + i64::from(entry.relative_offset() as i32)
    }

    fn last(&mut self) -> Result<Option<E>, DumpError> {
        self.count.checked_sub(1).map(|last| self.at(last)).transpose()
    }

    /// What a broker checks of an index when it starts (Kafka 4.4 `OffsetIndex.sanityCheck`,
    /// `TimeIndex.sanityCheck`).
    fn check(&mut self) -> Result<(), DumpError> {
        if let Some(last) = self.last()?
            && self.offset(last) < self.base_offset
        {
            let (last, base) = (self.offset(last), self.base_offset);
            return Err(self.file.damaged(format!(
                "Corrupt index found: the last offset is {last}, less than the base offset {base}"
            )));
        }
        if !self.file.len().is_multiple_of(E::LEN as u64) {
            let (len, entry) = (self.file.len(), E::LEN);
            return Err(self.file.damaged(format!(
                "the index is corrupt: its {len} bytes are not a multiple of {entry}"
            )));
        }
        Ok(())
    }
}

impl DumpedEntries<OffsetEntry> {
    /// The byte of the log from which to look for `offset`.
    fn lookup(&mut self, offset: Offset) -> Result<u64, DumpError> {
        let (mut low, mut high) = (0, self.count);
        let mut position = 0;
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle)? {
                Some(entry) if self.offset(entry) <= offset => {
                    (low, position) = (middle + 1, u64::from(entry.position));
                }
                _ => high = middle,
            }
        }
        Ok(position)
    }
}

impl Dump<'_> {
    /// Shows an offset index, and compares it with its segment.
    pub(super) fn offset_index(&mut self, path: &Path) -> Result<(), DumpError> {
        let mut log = LogBlocks::open(self.disk, &beside(path, LOG))?;
        let mut index = DumpedEntries::<OffsetEntry>::open(self, path)?;
        if index.count == 0 {
            writeln!(self.out, "{} is empty.", path.display())?;
            return Ok(());
        }
        if self.args.index_sanity_check {
            index.check()?;
            writeln!(self.out, "{} passed sanity check.", path.display())?;
            return Ok(());
        }
        let mut mismatches = BTreeMap::new();
        let mut at = 0;
        while let Some(entry) = index.get(at)? {
            at += 1;
            let offset = index.offset(entry);
            let position = u64::from(entry.position);
            let end = position + u64::from(self.args.max_message_size);
            let header = log.batch_at(position, end)?.ok_or_else(|| {
                let max = self.args.max_message_size;
                index.file.damaged(format!(
                    "the entry of offset {offset} points to byte {position}, where the log has no \
                     whole batch of at most {max} bytes (--max-message-size)"
                ))
            })?;
            if header.last_offset() != offset {
                mismatches.insert(offset, header.last_offset());
            }
            if !self.args.verify_index_only {
                writeln!(self.out, "offset: {offset} position: {position}")?;
            }
        }
        if !mismatches.is_empty() {
            self.findings.mismatches.insert(self.disk.absolute(path)?, mismatches);
        }
        Ok(())
    }

    /// Shows a time index, and compares it with its segment.
    pub(super) fn time_index(&mut self, path: &Path) -> Result<(), DumpError> {
        let mut log = LogBlocks::open(self.disk, &beside(path, LOG))?;
        let mut index = DumpedEntries::<OffsetEntry>::open(self, &beside(path, INDEX))?;
        let mut times = DumpedEntries::<TimeEntry>::open(self, path)?;
        if self.args.index_sanity_check {
            let first = if times.count > 0 { Some(times.at(0)?.timestamp) } else { None };
            let last = times.last()?.map(|entry| entry.timestamp);
            if last < first {
                let what = "Corrupt time index found: the last timestamp is less than the first";
                return Err(times.file.damaged(what));
            }
            times.check()?;
            writeln!(self.out, "{} passed sanity check.", path.display())?;
            return Ok(());
        }
        let absolute = self.disk.absolute(path)?;
        let mut before = NO_TIMESTAMP;
        let mut at = 0;
        while let Some(entry) = times.get(at)? {
            at += 1;
            let offset = times.offset(entry);
            let from = index.lookup(offset)?;
            match batch_holding(&mut log, from, offset)? {
                Some((_, last_offset)) if last_offset != offset => {
                    let not_found = self.findings.not_found.entry(absolute.clone()).or_default();
                    not_found.push((offset, last_offset));
                }
                None => {
                    let not_found = self.findings.not_found.entry(absolute.clone()).or_default();
                    not_found.push((offset, -1));
                }
                Some((position, _)) => {
                    let newest = newest_timestamp(&mut log, position)?;
                    if newest != entry.timestamp {
                        let found = &mut self.findings.time_mismatches;
                        found.entry(absolute.clone()).or_default().push((entry.timestamp, newest));
                    }
                    if before >= entry.timestamp {
                        let found = &mut self.findings.out_of_order;
                        found.entry(absolute.clone()).or_default().push((entry.timestamp, before));
                    }
                }
            }
            if !self.args.verify_index_only {
                writeln!(self.out, "timestamp: {} offset: {offset}", entry.timestamp.0)?;
            }
            before = entry.timestamp;
        }
        Ok(())
    }

    /// Shows the aborted transactions of a segment.
    pub(super) fn txn_index(&mut self, path: &Path) -> Result<(), DumpError> {
        let mut file = LogBlocks::open(self.disk, path)?;
        let mut position = 0;
        while position + AbortedTxn::LEN as u64 <= file.len() {
            let Some(txn) = AbortedTxn::read(file.at(position, AbortedTxn::LEN)?) else {
                let what = format!("the entry at byte {position} is of a version that is unknown");
                return Err(file.damaged(what));
            };
            let AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset } = txn;
            writeln!(
                self.out,
                "version: 0 producerId: {producer_id} firstOffset: {first_offset} \
                 lastOffset: {last_offset} lastStableOffset: {last_stable_offset}"
            )?;
            position += AbortedTxn::LEN as u64;
        }
        Ok(())
    }

    /// Shows a snapshot of producers. One that is damaged is only reported: a broker does without.
    pub(super) fn producers(&mut self, path: &Path, err: &mut dyn Write) -> Result<(), DumpError> {
        let failed = |source| DumpError::Read { path: path.to_owned(), source };
        let missing = || failed(io::ErrorKind::NotFound.into());
        let bytes = self.disk.read_file(path).map_err(failed)?.ok_or_else(missing)?;
        let Some(entries) = producers_file::entries(&bytes) else {
            let path = path.display();
            writeln!(err, "{path}: the snapshot is corrupt, or of a version that is unknown")?;
            return Ok(());
        };
        for entry in entries {
            let open_since = match entry.current_txn_first_offset {
                offset if offset >= 0 => format!("OptionalLong[{offset}]"),
                _ => "OptionalLong.empty".to_owned(),
            };
            write!(
                self.out,
                "producerId: {} producerEpoch: {} coordinatorEpoch: {} \
                 currentTxnFirstOffset: {open_since} lastTimestamp: {}",
                entry.producer_id, entry.epoch, entry.coordinator_epoch, entry.timestamp,
            )?;
            if entry.last_offset >= 0 {
                let batch = RecentBatch {
                    last_sequence: entry.last_sequence,
                    last_offset: entry.last_offset,
                    offset_delta: entry.offset_delta,
                    timestamp: Timestamp(entry.timestamp),
                };
                write!(
                    self.out,
                    " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} \
                     timestamp: {}",
                    batch.first_sequence(),
                    batch.last_sequence,
                    batch.last_offset,
                    batch.offset_delta,
                    batch.timestamp.0,
                )?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }
}

/// The first batch from byte `position` on that ends at or after `offset`: its first byte and its
/// last offset.
fn batch_holding(
    log: &mut LogBlocks,
    mut position: u64,
    offset: Offset,
) -> Result<Option<(u64, Offset)>, DumpError> {
    while let Some(header) = log.batch_at(position, u64::MAX)? {
        if header.last_offset() >= offset {
            return Ok(Some((position, header.last_offset())));
        }
        position += header.size() as u64;
    }
    Ok(None)
}

/// The largest timestamp of the records of the batch at byte `position`, which is whole.
fn newest_timestamp(log: &mut LogBlocks, position: u64) -> Result<Timestamp, DumpError> {
    let end = log.len();
    let Some(header) = log.batch_at(position, end)? else { return Ok(NO_TIMESTAMP) };
    let path = log.path().to_owned();
    let damaged = |what: String| DumpError::Damaged {
        path,
        what: format!("the batch at byte {position}: {what}"),
    };
    let newest = BatchView::stored(log.at(position, header.size())?)
        .map_err(|error| error.to_string())
        .and_then(|view| Records::of(&view).map_err(|error| error.to_string()))
        .and_then(|records| {
            let mut timestamps = records.iter().map(|record| record.map(|record| record.timestamp));
            timestamps
                .try_fold(NO_TIMESTAMP, |newest, next| next.map(|next| newest.max(next)))
                .map_err(|error| error.to_string())
        });
    newest.map_err(damaged)
}
