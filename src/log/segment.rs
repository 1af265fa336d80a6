//! One `.log` file with its indexes.
//!
//! Shared between the log's one writer and any number of readers. What a reader may see is bounded
//! by its [`LogView`](super::LogView), never by the length of the file.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use super::files::{CLEANED, INDEX, LOG, LazyFile, OpenFiles, TIME_INDEX, TXN_INDEX, file_name};
use super::index::{Index, OffsetEntry, TimeEntry};
use super::txn_index::TxnIndex;
use crate::env::{Disk, File};
use crate::record::{BatchHeader, HEADER_LEN};
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// How many bytes are read at a time when batch headers are looked for.
const SCAN_LEN: usize = 16 * 1024;

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
            let path = dir.join(file_name(base_offset, suffix));
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
        let segment = Self {
            base_offset,
            log: file(LOG),
            index,
            time_index,
            txn_index: TxnIndex::new(file(TXN_INDEX)),
            size: AtomicU32::new(0),
            max_timestamp: AtomicI64::new(NO_TIMESTAMP.0),
            max_timestamp_offset: AtomicI64::new(base_offset),
            first_timestamp: AtomicI64::new(NO_TIMESTAMP.0),
        };
        Ok((segment, sound))
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
        let segment = Self {
            base_offset,
            log: file(LOG)?,
            index: Index::empty(file(INDEX)?),
            time_index: Index::empty(file(TIME_INDEX)?),
            txn_index: TxnIndex::new(file(TXN_INDEX)?),
            size: AtomicU32::new(0),
            max_timestamp: AtomicI64::new(NO_TIMESTAMP.0),
            max_timestamp_offset: AtomicI64::new(base_offset),
            first_timestamp: AtomicI64::new(NO_TIMESTAMP.0),
        };
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
        let file = self.file()?;
        let mut buffer = [0u8; HEADER_LEN];
        let mut chunk: Vec<u8> = Vec::new();
        let (mut chunk_at, mut position) = (0u32, from);
        while position < end {
            // A header from the chunk at hand, else from the file: the first one alone, since it
            // is most often the one; then a chunk, since batches that are passed over are small.
            let in_chunk = (position - chunk_at) as usize;
            let head: &[u8; HEADER_LEN] = if let Some(head) =
                chunk.get(in_chunk..).and_then(|rest| rest.first_chunk::<HEADER_LEN>())
            {
                head
            } else if position == from {
                if file.read_at(&mut buffer, u64::from(position))? < HEADER_LEN {
                    return Err(self.damaged(position));
                }
                &buffer
            } else {
                chunk.resize(SCAN_LEN.min((end - position) as usize), 0);
                let got = file.read_at(&mut chunk, u64::from(position))?;
                chunk.truncate(got);
                chunk_at = position;
                chunk.first_chunk::<HEADER_LEN>().ok_or_else(|| self.damaged(position))?
            };
            let located = Located { header: BatchHeader::read(head), position };
            if located.header.check_shape().is_err() || located.end() > end {
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

    /// The batch that holds `offset`, or the first behind it, below byte `end`.
    pub fn locate(&self, offset: Offset, end: u32) -> io::Result<Option<Located>> {
        let from = self.index.lookup(self.base_offset, offset)?.min(end);
        let mut found = None;
        self.scan(from, end, |located| {
            let is_it = located.header.last_offset() >= offset;
            if is_it {
                found = Some(located);
            }
            is_it
        })?;
        Ok(found)
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

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("base_offset", &self.base_offset)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
