//! One `.log` file with its indexes.
//!
//! Shared between the log's one writer and any number of readers. What a reader may see is bounded
//! by its [`LogView`](super::LogView), never by the length of the file.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use super::files::{
    CLEANED, INDEX, LOG, LazyFile, OpenFiles, TIME_INDEX, TXN_INDEX, file_name, file_path,
};
use super::index::{Among, Index, OffsetEntry, TimeEntry};
use super::txn_index::TxnIndex;
use crate::env::{Disk, File};
use crate::record::{BatchHeader, BatchView, HEADER_LEN};
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// How many bytes are read at a time when batch headers are looked for.
const SCAN_LEN: usize = 16 * 1024;

/// An index that is made anew has an entry for so many bytes (Kafka 4.4 `index.interval.bytes`).
const REMADE_INTERVAL_BYTES: u32 = 4096;

/// The index led astray.
struct Misled;

/// A segment of a log.
pub struct Segment {
    /// The first offset that it may hold; names its files.
    pub base_offset: Offset,
    pub(super) log: LazyFile,
    pub(super) index: Index<OffsetEntry>,
    pub(super) time_index: Index<TimeEntry>,
    pub(super) txn_index: TxnIndex,
    /// Bytes of whole batches.
    size: AtomicU32,
    /// The largest timestamp of its records.
    max_timestamp: AtomicI64,
    /// The last offset of the batch that has it.
    max_timestamp_offset: AtomicI64,
    /// The two come from the last entry of the time index, which nobody compared with its batch yet.
    pub(super) max_timestamp_is_indexed: AtomicBool,
    /// The largest timestamp of its first batch, from which rolling by time counts.
    first_timestamp: AtomicI64,
}

/// A batch found in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its header.
    pub header: BatchHeader,
    /// Its first byte.
    pub position: u32,
}

impl Located {
    /// The byte behind it.
    pub fn end(&self) -> u32 {
        self.position.saturating_add(u32::try_from(self.header.size()).unwrap_or(u32::MAX))
    }
}

impl Segment {
    /// The files of a segment, not looked at yet. `make_index` decides what its indexes hold.
    pub(super) fn over(
        disk: &Arc<dyn Disk>,
        files: &Arc<OpenFiles>,
        dir: &Path,
        base_offset: Offset,
    ) -> io::Result<(Self, bool)> {
        let file = |suffix| {
            let path = file_path(dir, base_offset, suffix);
            LazyFile::new(Arc::clone(disk), Arc::clone(files), path)
        };
        let mut sound = true;
        let index = Index::load(file(INDEX))?.unwrap_or_else(|file| {
            sound = false;
            Index::empty(file)
        });
        let time_index = Index::load(file(TIME_INDEX))?.unwrap_or_else(|file| {
            sound = false;
            Index::empty(file)
        });
        let segment = Self::new(base_offset, file(LOG), index, time_index, file(TXN_INDEX));
        Ok((segment, sound))
    }

    /// The files of a segment without records, as a clean stop left them: its indexes are empty.
    pub(super) fn over_empty(
        disk: &Arc<dyn Disk>,
        files: &Arc<OpenFiles>,
        dir: &Path,
        base_offset: Offset,
    ) -> Self {
        let file = |suffix| {
            let path = file_path(dir, base_offset, suffix);
            LazyFile::new(Arc::clone(disk), Arc::clone(files), path)
        };
        Self::new(
            base_offset,
            file(LOG),
            Index::empty(file(INDEX)),
            Index::empty(file(TIME_INDEX)),
            file(TXN_INDEX),
        )
    }

    fn new(
        base_offset: Offset,
        log: LazyFile,
        index: Index<OffsetEntry>,
        time_index: Index<TimeEntry>,
        txn_index: LazyFile,
    ) -> Self {
        Self {
            base_offset,
            log,
            index,
            time_index,
            txn_index: TxnIndex::new(txn_index),
            size: AtomicU32::new(0),
            max_timestamp: AtomicI64::new(NO_TIMESTAMP.0),
            max_timestamp_offset: AtomicI64::new(base_offset),
            max_timestamp_is_indexed: AtomicBool::new(false),
            first_timestamp: AtomicI64::new(NO_TIMESTAMP.0),
        }
    }

    /// The files of a segment that the cleaner writes, new.
    pub(super) fn to_be_cleaned(
        disk: &Arc<dyn Disk>,
        files: &Arc<OpenFiles>,
        dir: &Path,
        base_offset: Offset,
    ) -> io::Result<Self> {
        let file = |suffix| -> io::Result<LazyFile> {
            let path = dir.join(file_name(base_offset, suffix) + CLEANED);
            match disk.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            Ok(LazyFile::new(Arc::clone(disk), Arc::clone(files), path))
        };
        let (index, time_index) = (Index::empty(file(INDEX)?), Index::empty(file(TIME_INDEX)?));
        let segment = Self::new(base_offset, file(LOG)?, index, time_index, file(TXN_INDEX)?);
        segment.log.open(true)?;
        Ok(segment)
    }

    /// The last entry in the time index, and both indexes in their files.
    pub(super) fn finish(&self) -> io::Result<()> {
        let (timestamp, offset) = self.max_timestamp();
        if self.size() > 0 && timestamp != NO_TIMESTAMP {
            let relative_offset = (offset - self.base_offset) as u32;
            self.time_index.push_if_later(TimeEntry { timestamp, relative_offset });
        }
        self.index.close()?;
        self.time_index.close()
    }

    /// The largest timestamp of the first batch, read from the file if it is not known.
    pub fn read_first_timestamp(&self) -> io::Result<Timestamp> {
        if let Some(first) = self.first_timestamp() {
            return Ok(first);
        }
        let mut first = NO_TIMESTAMP;
        self.scan(0, self.size(), |batch| {
            first = batch.header.max_timestamp;
            true
        })?;
        self.set_first_timestamp(first);
        Ok(first)
    }

    /// Bytes of whole batches.
    pub fn size(&self) -> u32 {
        self.size.load(Ordering::Acquire)
    }

    /// The largest timestamp of its records and the last offset of the batch that has it.
    pub fn max_timestamp(&self) -> (Timestamp, Offset) {
        let timestamp = self.max_timestamp.load(Ordering::Acquire);
        (Timestamp(timestamp), self.max_timestamp_offset.load(Ordering::Acquire))
    }

    /// The largest timestamp of its first batch, if known.
    pub fn first_timestamp(&self) -> Option<Timestamp> {
        Some(Timestamp(self.first_timestamp.load(Ordering::Acquire))).filter(|t| *t != NO_TIMESTAMP)
    }

    pub(super) fn set_size(&self, size: u32) {
        self.size.store(size, Ordering::Release);
    }

    pub(super) fn set_max_timestamp(&self, timestamp: Timestamp, offset: Offset) {
        self.max_timestamp_offset.store(offset, Ordering::Release);
        self.max_timestamp.store(timestamp.0, Ordering::Release);
    }

    pub(super) fn set_first_timestamp(&self, timestamp: Timestamp) {
        self.first_timestamp.store(timestamp.0, Ordering::Release);
    }

    /// The record file.
    pub fn file(&self) -> io::Result<Arc<dyn File>> {
        self.log.open(false)
    }

    /// Where `path` is, for messages.
    pub fn path(&self) -> std::path::PathBuf {
        self.log.path()
    }

    /// The aborted transactions that ended in this segment.
    pub fn aborted(&self) -> io::Result<Vec<super::txn_index::AbortedTxn>> {
        self.txn_index.entries()
    }

    /// Whether it has an index of aborted transactions.
    pub(super) fn has_aborted(&self) -> io::Result<bool> {
        Ok(self.txn_index.file().open_existing()?.is_some())
    }

    /// See [`TxnIndex::between`].
    pub fn aborted_between(
        &self,
        offset: Offset,
        upper: Offset,
    ) -> io::Result<(Vec<super::txn_index::AbortedTxn>, bool)> {
        self.txn_index.between(offset, upper)
    }

    /// Walks batch headers from byte `from` up to byte `end`, until `each` has seen enough (returns
    /// true). Reads headers only, some kilobytes at a time where batches are small.
    ///
    /// Errors: `InvalidData` when what lies there is no batch.
    pub fn scan(
        &self,
        from: u32,
        end: u32,
        mut each: impl FnMut(Located) -> bool,
    ) -> io::Result<()> {
        if from >= end {
            return Ok(());
        }
        let file = self.file()?;
        let mut buffer = [0u8; HEADER_LEN];
        let mut chunk: Vec<u8> = Vec::new();
        let (mut chunk_at, mut position) = (0u32, from);
        while position < end {
            // A header from the chunk at hand, else from the file: the first one alone, since it
            // is most often the one; then a chunk, since batches that are passed over are small.
            let in_chunk = (position - chunk_at) as usize;
            let left = (end - position) as usize;
            let held = chunk.get(in_chunk..).filter(|held| held.len() >= HEADER_LEN.min(left));
            let head: &[u8] = if let Some(held) = held {
                held
            } else if position == from {
                let len = HEADER_LEN.min(left);
                let got = file.read_at(&mut buffer[..len], u64::from(position))?;
                &buffer[..got]
            } else {
                chunk.resize(SCAN_LEN.min(left), 0);
                let got = file.read_at(&mut chunk, u64::from(position))?;
                chunk.truncate(got);
                chunk_at = position;
                &chunk
            };
            let header = BatchHeader::stored(head).map_err(|_| self.damaged(position))?;
            let located = Located { header, position };
            if located.end() > end {
                return Err(self.damaged(position));
            }
            if each(located) {
                return Ok(());
            }
            position = located.end();
        }
        Ok(())
    }

    fn damaged(&self, position: u32) -> io::Error {
        let path = self.path();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: no record batch at byte {position}", path.display()),
        )
    }

    /// The last offset that its indexes name.
    pub(super) fn last_indexed(&self) -> Option<Offset> {
        let by_offset = self.index.last().map(|entry| entry.relative_offset);
        let by_time = self.time_index.last().map(|entry| entry.relative_offset);
        by_offset.max(by_time).map(|relative| self.base_offset + i64::from(relative))
    }

    /// The last offset that it may hold: relative to the first it fits the indexes (Kafka 4.4
    /// `LogSegment.canConvertToRelativeOffset`).
    pub(super) fn last_possible(&self) -> Offset {
        self.base_offset.saturating_add(i64::from(i32::MAX))
    }

    /// The batch that holds `offset`, or the first behind it, below byte `end`.
    pub fn locate(&self, offset: Offset, end: u32) -> io::Result<Option<Located>> {
        if end == 0 {
            return Ok(None);
        }
        let from = self.index.lookup(self.base_offset, offset)?;
        match self.locate_from(from, offset, end) {
            Ok(Ok(found)) => return Ok(found),
            Err(error) if error.kind() != io::ErrorKind::InvalidData || from == 0 => {
                return Err(error);
            }
            _ => self.make_index_anew(end)?,
        }
        Ok(self.locate_from(0, offset, end)?.ok().flatten())
    }

    /// As [`Self::locate`], from byte `from` on. The inner error: the index led to no batch at or
    /// before `offset`.
    fn locate_from(
        &self,
        from: u32,
        offset: Offset,
        end: u32,
    ) -> io::Result<Result<Option<Located>, Misled>> {
        if from >= end {
            return Ok(Err(Misled));
        }
        let mut found = Ok(None);
        self.scan(from, end, |located| {
            let header = &located.header;
            if located.position == from && from > 0 && !self.leads_to(offset, &located) {
                found = Err(Misled);
                return true;
            }
            let is_it = header.last_offset() >= offset;
            if is_it {
                found = Ok(Some(located));
            }
            is_it
        })?;
        Ok(found)
    }

    /// Whether the index may send whoever looks for `offset` to this batch.
    fn leads_to(&self, offset: Offset, batch: &Located) -> bool {
        let led_to = self.base_offset..=offset;
        let header = &batch.header;
        // Indexes of the releases that wrote wrappers may name the first offset of one.
        led_to.contains(&header.base_offset)
            || header.is_legacy()
                && self.base_offset_of(batch).is_ok_and(|base| led_to.contains(&base))
    }

    /// The offset of the first record of a batch, which is read as a whole if its header does not
    /// tell.
    pub(super) fn base_offset_of(&self, batch: &Located) -> io::Result<Offset> {
        if !batch.header.is_legacy() {
            return Ok(batch.header.base_offset); // Nothing need be read.
        }
        let mut bytes = vec![0; batch.header.size()];
        let got = self.file()?.read_at(&mut bytes, u64::from(batch.position))?;
        let base = BatchView::stored(&bytes[..got]).map(|view| view.base_offset());
        base.map_err(|_| self.damaged(batch.position))?.map_err(|_| self.damaged(batch.position))
    }

    /// The byte from which to look for `offset` below byte `end`: the start of a batch at or before
    /// it. The index is believed only where it leads to one.
    pub(super) fn seek(&self, offset: Offset, end: u32) -> io::Result<u32> {
        let from = self.index.lookup(self.base_offset, offset)?;
        if from == 0 || end == 0 {
            return Ok(0);
        }
        match self.locate_from(from, offset, end) {
            Ok(Ok(_)) => Ok(from),
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(error),
            _ => {
                self.make_index_anew(end)?;
                let from = self.index.lookup(self.base_offset, offset)?;
                Ok(if from < end { from } else { 0 })
            }
        }
    }

    /// An offset behind all batches that begin before byte `position`, if the index knows one near and
    /// the batch to which it leads agrees.
    pub(super) fn offset_behind(&self, position: u64, end: u32) -> io::Result<Option<Offset>> {
        let known = self.index.ceiling(|entry| u64::from(entry.position) < position)?;
        let Some(entry) = known.filter(|entry| u64::from(entry.position) >= position) else {
            return Ok(None);
        };
        let offset = self.base_offset + Offset::from(entry.relative_offset);
        let mut agrees = false;
        match self.scan(entry.position, end, |located| {
            agrees = located.header.last_offset() == offset;
            true
        }) {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(error),
            _ => Ok(agrees.then_some(offset)),
        }
    }

    /// The offset index does not lead to batches: what its file holds is replaced.
    fn make_index_anew(&self, end: u32) -> io::Result<()> {
        let file = self.index.file().path();
        tracing::warn!(file = %file.display(), "a damaged index, made anew from its segment");
        self.index.replace_in_file(|tail| {
            let end = tail.map_or(end, |first| first.position.min(end));
            let (mut entries, mut since) = (Vec::new(), 0u32);
            self.scan_what_is_whole(end, |located| {
                if since > REMADE_INTERVAL_BYTES {
                    let relative = located.header.last_offset() - self.base_offset;
                    let relative_offset = u32::try_from(relative).unwrap_or(u32::MAX);
                    entries.push(OffsetEntry { relative_offset, position: located.position });
                    since = 0;
                }
                since = since.saturating_add(located.header.size() as u32);
            })?;
            Ok(entries)
        })
    }

    /// Walks the batches up to the first that is none: an index leads no further.
    fn scan_what_is_whole(&self, end: u32, mut each: impl FnMut(Located)) -> io::Result<()> {
        let walked = self.scan(0, end, |located| {
            each(located);
            false
        });
        match walked {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(()),
            walked => walked,
        }
    }

    /// The largest timestamp of its records, as the batch that has it says.
    pub fn read_max_timestamp(&self, end: u32) -> io::Result<(Timestamp, Offset)> {
        if !self.max_timestamp_is_indexed.load(Ordering::Acquire) {
            return Ok(self.max_timestamp());
        }
        let (timestamp, offset) = self.max_timestamp();
        let located = self.locate(offset, end)?;
        let is_true = located.is_some_and(|batch| {
            let header = batch.header;
            may_hold(&header, offset) && header.max_timestamp == timestamp
        });
        if !is_true {
            self.make_times_anew(end)?;
        }
        self.max_timestamp_is_indexed.store(false, Ordering::Release);
        Ok(self.max_timestamp())
    }

    /// The time index does not say what its batches do: what its file holds is replaced.
    fn make_times_anew(&self, end: u32) -> io::Result<()> {
        let file = self.time_index.file().path();
        tracing::warn!(file = %file.display(), "a damaged time index, made anew from its segment");
        let (mut latest, mut latest_at) = (NO_TIMESTAMP, self.base_offset);
        self.time_index.replace_in_file(|tail| {
            let tail_from =
                tail.map_or(Offset::MAX, |e| self.base_offset + i64::from(e.relative_offset));
            let (mut entries, mut since) = (Vec::<TimeEntry>::new(), 0u32);
            let mut push = |timestamp: Timestamp, offset: Offset| {
                let is_later = entries.last().is_none_or(|last| last.timestamp < timestamp);
                if timestamp != NO_TIMESTAMP && is_later && offset < tail_from {
                    let relative = offset - self.base_offset;
                    let relative_offset = u32::try_from(relative).unwrap_or(u32::MAX);
                    entries.push(TimeEntry { timestamp, relative_offset });
                }
            };
            self.scan_what_is_whole(end, |located| {
                let header = &located.header;
                if header.records_count > 0 && header.max_timestamp > latest {
                    (latest, latest_at) = (header.max_timestamp, header.last_offset());
                }
                if since > REMADE_INTERVAL_BYTES {
                    push(latest, latest_at);
                    since = 0;
                }
                since = since.saturating_add(header.size() as u32);
            })?;
            push(latest, latest_at);
            Ok(entries)
        })?;
        self.set_max_timestamp(latest, latest_at);
        Ok(())
    }

    /// The byte, below byte `end`, from which to look for the first record at or above `timestamp`:
    /// no record before it is. The time index is believed only as far as the batches agree.
    pub(super) fn seek_time(&self, timestamp: Timestamp, end: u32) -> io::Result<u32> {
        for _ in 0..2 {
            let found = self.time_index.floor_among(|entry| entry.timestamp < timestamp)?;
            let Some(among) = found else { return Ok(0) };
            if let Some(position) = self.place_of_time(&among, end)? {
                return Ok(position);
            }
            self.make_times_anew(end)?;
        }
        Ok(0)
    }

    /// The batch that an entry of the time index means, if it is the first with such a time.
    fn place_of_time(&self, among: &Among<TimeEntry>, end: u32) -> io::Result<Option<u32>> {
        let Among { before, entry, behind } = *among;
        let ascends = before.is_none_or(|b| {
            b.relative_offset < entry.relative_offset && b.timestamp < entry.timestamp
        }) && behind.is_none_or(|b| entry.relative_offset < b.relative_offset);
        if !ascends {
            return Ok(None);
        }
        let offset = self.base_offset + i64::from(entry.relative_offset);
        let from =
            before.map_or(self.base_offset, |b| self.base_offset + i64::from(b.relative_offset));
        let mut found = None;
        let walked = self.scan(self.seek(from, end)?, end, |located| {
            let header = &located.header;
            if header.last_offset() >= offset {
                let is_it = may_hold(header, offset) && header.max_timestamp == entry.timestamp;
                found = is_it.then_some(located.position);
                return true;
            }
            header.records_count > 0 && header.max_timestamp >= entry.timestamp
        });
        walked.map(|()| found)
    }

    /// Renames all files, adding `suffix`; readers go on. Used before removal.
    pub(super) fn add_suffix(&self, suffix: &str) -> io::Result<()> {
        for file in self.files() {
            let mut path = file.path().into_os_string();
            path.push(suffix);
            file.rename(path.into())?;
        }
        Ok(())
    }

    /// Renames all files from one suffix to another.
    pub(super) fn change_suffix(&self, from: &str, to: &str) -> io::Result<()> {
        for file in self.files() {
            let path = file.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(from) {
                file.rename(path.with_file_name(format!("{name}{to}")))?;
            }
        }
        Ok(())
    }

    pub(super) fn files(&self) -> [&LazyFile; 4] {
        [&self.log, self.index.file(), self.time_index.file(), self.txn_index.file()]
    }

    /// Removes all files that exist. To the readers and flushes that hold this segment they stay
    /// open; nobody else may come to hold it any more.
    pub(super) fn remove_files(self: &Arc<Self>) -> io::Result<()> {
        let is_held = Arc::strong_count(self) > 1;
        self.files().into_iter().try_for_each(|file| file.remove(is_held))
    }
}

/// Whether a batch that ends at `offset` or after it, and follows one that ends before it, may hold
/// `offset`. The header of a wrapper in an old message format does not tell where it begins.
fn may_hold(header: &BatchHeader, offset: Offset) -> bool {
    header.is_legacy() || header.base_offset <= offset
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("base_offset", &self.base_offset)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
