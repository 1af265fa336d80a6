//! The offset and the time index of a segment, in Kafka's formats.
//!
//! An offset index entry is (last offset of a batch less the segment's base offset, byte position
//! of that batch), 4 bytes each; a time index entry is (largest timestamp so far, 8 bytes; its
//! offset less the base offset, 4 bytes). Entries of the active segment live in memory until a
//! flush or a roll writes them out; a closed index is searched in its file.
//!
//! Source: Kafka 4.4 `OffsetIndex`, `TimeIndex`, `AbstractIndex`.

use std::io::{self, IoSlice};

use parking_lot::RwLock;

use super::files::LazyFile;
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// Entries that are read at a time when an index is walked from its start.
const TRUSTED_READ_ENTRIES: usize = 4096;

/// An entry of either index.
pub trait Entry: Copy {
    /// Bytes on disk.
    const LEN: usize;
    /// From those bytes.
    fn read(bytes: &[u8]) -> Self;
    /// To those bytes.
    fn write(self, out: &mut Vec<u8>);
    /// The offset less the base offset.
    fn relative_offset(self) -> u32;
}

/// Where a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OffsetEntry {
    /// Last offset of the batch, less the segment's base offset.
    pub relative_offset: u32,
    /// Its first byte.
    pub position: u32,
}

/// How far time had come at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    /// The largest timestamp up to there.
    pub timestamp: Timestamp,
    /// The last offset of the batch that has it, less the segment's base offset.
    pub relative_offset: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

impl Entry for OffsetEntry {
    const LEN: usize = 8;
    fn read(bytes: &[u8]) -> Self {
        Self { relative_offset: u32_at(bytes, 0), position: u32_at(bytes, 4) }
    }
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }
    fn relative_offset(self) -> u32 {
        self.relative_offset
    }
}

impl Entry for TimeEntry {
    const LEN: usize = 12;
    fn read(bytes: &[u8]) -> Self {
        let timestamp = u64::from(u32_at(bytes, 0)) << 32 | u64::from(u32_at(bytes, 4));
        Self { timestamp: Timestamp(timestamp as i64), relative_offset: u32_at(bytes, 8) }
    }
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }
    fn relative_offset(self) -> u32 {
        self.relative_offset
    }
}

/// An entry with its neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Among<E> {
    /// The one before it.
    pub before: Option<E>,
    /// It.
    pub entry: E,
    /// The one behind it.
    pub behind: Option<E>,
}

/// An index of a segment.
pub struct Index<E> {
    file: LazyFile,
    state: RwLock<IndexState<E>>,
}

struct IndexState<E> {
    /// How many entries the file holds; those in `tail` follow them.
    in_file: u32,
    /// Entries that are not in the file yet.
    tail: Vec<E>,
    last: Option<E>,
}

impl<E: Entry> Index<E> {
    /// An empty index over a file that holds nothing of worth.
    pub fn empty(file: LazyFile) -> Self {
        Self { file, state: RwLock::new(IndexState { in_file: 0, tail: Vec::new(), last: None }) }
    }

    /// The index as its file has it. The file comes back when it is missing, holds no whole number
    /// of entries, or ends in zeroes: the index must be rebuilt.
    pub fn load(file: LazyFile) -> io::Result<Result<Self, LazyFile>> {
        let Some(open) = file.peek()? else { return Ok(Err(file)) };
        let len = open.len()?;
        if len % E::LEN as u64 != 0 {
            return Ok(Err(file));
        }
        let entries = u32::try_from(len / E::LEN as u64).unwrap_or(u32::MAX);
        let mut last = None;
        if entries > 0 {
            let mut bytes = vec![0; E::LEN];
            open.read_at(&mut bytes, u64::from(entries - 1) * E::LEN as u64)?;
            // The preallocated index of a broker that was killed ends in zeroes.
            if bytes.iter().all(|byte| *byte == 0) {
                return Ok(Err(file));
            }
            last = Some(E::read(&bytes));
        }
        let state = IndexState { in_file: entries, tail: Vec::new(), last };
        Ok(Ok(Self { file, state: RwLock::new(state) }))
    }

    /// The file, for rename and removal.
    pub fn file(&self) -> &LazyFile {
        &self.file
    }

    /// The last entry.
    pub fn last(&self) -> Option<E> {
        self.state.read().last
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let state = self.state.read();
        state.in_file as usize + state.tail.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry, which must lie behind the last.
    pub fn push(&self, entry: E) {
        let mut state = self.state.write();
        debug_assert!(
            state.last.is_none_or(|last| last.relative_offset() < entry.relative_offset())
        );
        state.tail.push(entry);
        state.last = Some(entry);
    }

    /// The last entry for which `is_before` holds; it must hold for a prefix of the entries.
    pub fn floor(&self, is_before: impl Fn(E) -> bool) -> io::Result<Option<E>> {
        let state = self.state.read();
        match self.count_before(&state, is_before)?.checked_sub(1) {
            Some(last) => self.entry_at(&state, last),
            None => Ok(None),
        }
    }

    /// As [`Self::floor`], with the entries before and behind it.
    pub fn floor_among(&self, is_before: impl Fn(E) -> bool) -> io::Result<Option<Among<E>>> {
        let state = self.state.read();
        let Some(at) = self.count_before(&state, is_before)?.checked_sub(1) else {
            return Ok(None);
        };
        let Some(entry) = self.entry_at(&state, at)? else { return Ok(None) };
        let before = at.checked_sub(1).map(|at| self.entry_at(&state, at)).transpose()?;
        let behind = self.entry_at(&state, at + 1)?;
        Ok(Some(Among { before: before.flatten(), entry, behind }))
    }

    /// The first entry for which `is_before` does not hold, as of [`Index::floor`].
    pub fn ceiling(&self, is_before: impl Fn(E) -> bool) -> io::Result<Option<E>> {
        let state = self.state.read();
        let count = self.count_before(&state, is_before)?;
        self.entry_at(&state, count)
    }

    fn count_before(
        &self,
        state: &IndexState<E>,
        is_before: impl Fn(E) -> bool,
    ) -> io::Result<u32> {
        if state.tail.first().is_some_and(|first| is_before(*first)) {
            let in_tail = state.tail.partition_point(|entry| is_before(*entry));
            return Ok(state.in_file + in_tail as u32);
        }
        let (mut low, mut high) = (0, state.in_file);
        while low < high {
            let middle = low.midpoint(high);
            if self.entry_at(state, middle)?.is_some_and(&is_before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn entry_at(&self, state: &IndexState<E>, at: u32) -> io::Result<Option<E>> {
        if at >= state.in_file {
            return Ok(state.tail.get((at - state.in_file) as usize).copied());
        }
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..E::LEN];
        self.file.open(false)?.read_at(bytes, u64::from(at) * E::LEN as u64)?;
        Ok(Some(E::read(bytes)))
    }

    /// Replaces the entries in the file by those that `make` finds, which is told where the entries
    /// in memory begin: these are not touched, and `make` ends before them.
    pub fn replace_in_file(
        &self,
        make: impl FnOnce(Option<E>) -> io::Result<Vec<E>>,
    ) -> io::Result<()> {
        let mut state = self.state.write();
        let made = make(state.tail.first().copied())?;
        let mut bytes = Vec::with_capacity(made.len() * E::LEN);
        made.iter().for_each(|entry| entry.write(&mut bytes));
        let file = self.file.open(true)?;
        file.set_len(0)?;
        file.write_at(&[IoSlice::new(&bytes)], 0)?;
        state.in_file = made.len() as u32;
        state.last = state.tail.last().or(made.last()).copied();
        Ok(())
    }

    /// Writes the entries that are only in memory to the file; whether there were any.
    pub fn write_out(&self) -> io::Result<bool> {
        let mut state = self.state.write();
        if state.tail.is_empty() {
            return Ok(false);
        }
        let mut bytes = Vec::with_capacity(state.tail.len() * E::LEN);
        for entry in &state.tail {
            entry.write(&mut bytes);
        }
        let position = u64::from(state.in_file) * E::LEN as u64;
        self.file.open(true)?.write_at(&[IoSlice::new(&bytes)], position)?;
        state.in_file += state.tail.len() as u32;
        state.tail = Vec::new();
        Ok(true)
    }

    /// Writes out, makes the file exist, and cuts what a former life left behind the entries.
    pub fn close(&self) -> io::Result<()> {
        self.write_out()?;
        let file = self.file.open(true)?;
        let len = u64::from(self.state.read().in_file) * E::LEN as u64;
        if file.len()? != len {
            file.set_len(len)?;
        }
        Ok(())
    }

    /// Drops all entries for which `is_before` does not hold.
    pub fn truncate(&self, is_before: impl Fn(E) -> bool) -> io::Result<()> {
        let mut state = self.state.write();
        let keep = state.tail.partition_point(|entry| is_before(*entry));
        state.tail.truncate(keep);
        if keep == 0 && state.in_file > 0 {
            let file = self.file.open(true)?;
            let mut bytes = vec![0; E::LEN];
            while state.in_file > 0 {
                file.read_at(&mut bytes, u64::from(state.in_file - 1) * E::LEN as u64)?;
                if is_before(E::read(&bytes)) {
                    break;
                }
                state.in_file -= 1;
            }
            file.set_len(u64::from(state.in_file) * E::LEN as u64)?;
            state.last = (state.in_file > 0).then(|| E::read(&bytes));
        } else {
            state.last = state.tail.last().copied();
        }
        Ok(())
    }

    /// Keeps the entries from the first on for as long as `is_before` holds and they ascend; the
    /// last one kept. For an index whose end is not trusted: what was not synced before a power
    /// loss may be zeroes, or old entries behind a gap.
    pub fn retain_trusted(&self, is_before: impl Fn(E) -> bool) -> io::Result<Option<E>> {
        self.write_out()?;
        let mut state = self.state.write();
        if state.in_file == 0 {
            // One that must be rebuilt stays recognizable as such until it is closed.
            state.last = None;
            return Ok(None);
        }
        let file = self.file.open(true)?;
        let mut bytes = vec![0; TRUSTED_READ_ENTRIES * E::LEN];
        let (mut kept, mut last) = (0u32, None::<E>);
        'all: while kept < state.in_file {
            let got = file.read_at(&mut bytes, u64::from(kept) * E::LEN as u64)?;
            let before = kept;
            for entry in bytes[..got].chunks_exact(E::LEN).map(E::read) {
                let ascends =
                    last.is_none_or(|last| last.relative_offset() < entry.relative_offset());
                if kept == state.in_file || !ascends || !is_before(entry) {
                    break 'all;
                }
                (kept, last) = (kept + 1, Some(entry));
            }
            if kept == before {
                break;
            }
        }
        if kept < state.in_file {
            file.set_len(u64::from(kept) * E::LEN as u64)?;
            state.in_file = kept;
        }
        state.last = last;
        Ok(last)
    }

    /// Writes out and makes the file durable.
    pub fn sync(&self) -> io::Result<()> {
        self.write_out()?;
        match self.file.open_existing()? {
            Some(file) => file.sync_data(),
            None => Ok(()),
        }
    }
}

impl Index<OffsetEntry> {
    /// The byte from which to look for `offset`, as the index has it: whoever uses it sees for
    /// himself that a batch begins there, and none behind `offset`.
    pub(super) fn lookup(&self, base_offset: Offset, offset: Offset) -> io::Result<u32> {
        if offset <= base_offset {
            return Ok(0);
        }
        let relative = u32::try_from(offset - base_offset).unwrap_or(u32::MAX);
        let found = self.floor(|entry| entry.relative_offset <= relative)?;
        Ok(found.map_or(0, |entry| entry.position))
    }
}

impl Index<TimeEntry> {
    /// The largest timestamp that is indexed, [`NO_TIMESTAMP`] if none is.
    pub fn last_timestamp(&self) -> Timestamp {
        self.last().map_or(NO_TIMESTAMP, |entry| entry.timestamp)
    }

    /// Adds an entry if time has moved on (Kafka 4.4 `TimeIndex.maybeAppend`).
    pub fn push_if_later(&self, entry: TimeEntry) {
        if entry.timestamp > self.last_timestamp() {
            self.push(entry);
        }
    }
}
