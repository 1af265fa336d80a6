//! The offset and the time index of a segment, compared with its batches as these go by.

use std::path::PathBuf;

use super::segment_files::{Names, Placed};
use super::{Advice, At, Check};
use crate::log::files::{INDEX, TIME_INDEX};
use crate::log::index::{Entry, OffsetEntry, TimeEntry};
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// The entries of an index, as far as they go.
struct IndexEntries<E> {
    path: PathBuf,
    base_offset: Offset,
    entries: Vec<E>,
    at: usize,
    /// How much was reported of it.
    told: usize,
}

/// More is not reported of one index: it is made anew as a whole.
const TOLD_MAX: usize = 4;

impl<E: Entry> IndexEntries<E> {
    /// Reads an index. The one of a segment in use may be longer than its entries: zeroes follow
    /// them, and only zeroes.
    fn read(check: &mut Check<'_>, names: &Names<'_>, suffix: &str) -> Self {
        let path = names.path(suffix);
        let bytes = names.read(check, suffix).unwrap_or_default();
        let mut all: Vec<E> = bytes.chunks_exact(E::LEN).map(E::read).collect();
        let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let used = used.div_ceil(E::LEN);
        if !bytes.len().is_multiple_of(E::LEN) {
            let what = format!("its {} bytes are not a multiple of {}", bytes.len(), E::LEN);
            check.report(&path, At::File, &what, Advice::RemoveIndex);
        }
        all.truncate(used);
        Self { path, base_offset: names.base_offset, entries: all, at: 0, told: 0 }
    }

    fn offset(&self, entry: E) -> Offset {
        self.base_offset + i64::from(entry.relative_offset())
    }

    fn peek(&self) -> Option<E> {
        self.entries.get(self.at).copied()
    }

    fn report(&mut self, check: &mut Check<'_>, at: usize, what: &str) {
        self.told += 1;
        if self.told > TOLD_MAX {
            return;
        }
        check.report(&self.path, At::Byte((at * E::LEN) as u64), what, Advice::RemoveIndex);
    }

    /// Whether an entry is behind the one before it.
    fn ascends(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.entries.get(before));
        before.is_none_or(|before| before.relative_offset() < self.entries[at].relative_offset())
    }
}

/// The offset index, in step with the batches.
///
/// An entry names the last offset of the batch at its position. Releases before 4.0 name that of
/// the last batch that was written with it, which is one before the next entry's, and those that
/// wrote message formats 0 and 1 any offset of the wrapper.
pub(super) struct OffsetsInStep {
    entries: IndexEntries<OffsetEntry>,
    /// The last offset of the batch before.
    last_offset: Offset,
    /// The entry whose batch was met, and its offset not yet.
    sought: Option<(usize, Offset)>,
}

impl OffsetsInStep {
    pub(super) fn read(check: &mut Check<'_>, names: &Names<'_>) -> Self {
        let last_offset = names.base_offset - 1;
        Self { entries: IndexEntries::read(check, names, INDEX), last_offset, sought: None }
    }

    pub(super) fn on_batch(&mut self, check: &mut Check<'_>, batch: &Placed, trusted_to: Offset) {
        let header = &batch.header;
        while let Some(entry) =
            self.entries.peek().filter(|e| u64::from(e.position) <= batch.position)
        {
            let at = self.entries.at;
            let offset = self.entries.offset(entry);
            self.entries.at += 1;
            self.give_up(check, trusted_to);
            if offset >= trusted_to {
                continue;
            }
            if !self.entries.ascends(at) {
                self.entries.report(check, at, &format!("offset {offset} does not ascend"));
            } else if u64::from(entry.position) < batch.position {
                let what = format!("no batch begins at byte {} of the segment", entry.position);
                self.entries.report(check, at, &what);
            } else if header.is_legacy()
                && (self.last_offset + 1..header.last_offset()).contains(&offset)
            {
                // It is inside the wrapper.
            } else if offset < header.last_offset() {
                let what =
                    format!("offset {offset}, where a batch ends at {}", header.last_offset());
                self.entries.report(check, at, &what);
            } else {
                self.sought = Some((at, offset));
            }
        }
        self.last_offset = header.last_offset();
        if let Some((_, offset)) = self.sought {
            if header.last_offset() == offset {
                self.sought = None;
            } else if header.last_offset() > offset {
                self.give_up(check, trusted_to);
            }
        }
    }

    /// The entry that is sought is of no batch.
    fn give_up(&mut self, check: &mut Check<'_>, trusted_to: Offset) {
        if let Some((at, offset)) = self.sought.take().filter(|(_, offset)| *offset < trusted_to) {
            let what = format!("no batch from its position on ends at offset {offset}");
            self.entries.report(check, at, &what);
        }
    }

    /// The segment is over.
    pub(super) fn finish(&mut self, check: &mut Check<'_>, trusted_to: Offset) {
        self.give_up(check, trusted_to);
        if let Some(entry) = self.entries.peek()
            && self.entries.offset(entry) < trusted_to
        {
            let what = format!("byte {} is behind the end of the segment", entry.position);
            let at = self.entries.at;
            self.entries.report(check, at, &what);
        }
    }
}

/// The time index, in step with the batches. An entry names the largest timestamp up to an offset,
/// and an offset of the first batch that has it.
pub(super) struct TimesInStep {
    entries: IndexEntries<TimeEntry>,
    latest: Timestamp,
}

impl TimesInStep {
    pub(super) fn read(check: &mut Check<'_>, names: &Names<'_>) -> Self {
        Self { entries: IndexEntries::read(check, names, TIME_INDEX), latest: NO_TIMESTAMP }
    }

    pub(super) fn on_batch(&mut self, check: &mut Check<'_>, batch: &Placed, trusted_to: Offset) {
        let header = &batch.header;
        while let Some(entry) =
            self.entries.peek().filter(|e| self.entries.offset(*e) <= header.last_offset())
        {
            let at = self.entries.at;
            let offset = self.entries.offset(entry);
            self.entries.at += 1;
            if offset >= trusted_to {
                continue;
            }
            let before = at.checked_sub(1).map(|before| self.entries.entries[before]);
            if !self.entries.ascends(at) || before.is_some_and(|b| b.timestamp >= entry.timestamp) {
                let what = format!("time {} of offset {offset} does not ascend", entry.timestamp.0);
                self.entries.report(check, at, &what);
            } else if offset < header.base_offset && !header.is_legacy() {
                self.entries.report(check, at, &format!("no batch holds offset {offset}"));
            } else if header.max_timestamp != entry.timestamp {
                let what = format!(
                    "time {} of offset {offset}, whose batch has {}",
                    entry.timestamp.0, header.max_timestamp.0
                );
                self.entries.report(check, at, &what);
            } else if self.latest >= entry.timestamp {
                let what = format!(
                    "time {} of offset {offset}, which an earlier batch has too",
                    entry.timestamp.0
                );
                self.entries.report(check, at, &what);
            }
        }
        if header.records_count > 0 {
            self.latest = self.latest.max(header.max_timestamp);
        }
    }

    /// The segment is over.
    pub(super) fn finish(&mut self, check: &mut Check<'_>, trusted_to: Offset) {
        if let Some(entry) = self.entries.peek()
            && self.entries.offset(entry) < trusted_to
        {
            let what =
                format!("offset {} is behind the end of the segment", self.entries.offset(entry));
            let at = self.entries.at;
            self.entries.report(check, at, &what);
        }
    }
}
