//! The aborted transactions of a segment (Kafka 4.4 `TransactionIndex`, `AbortedTxn`).

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::LazyFile;
use crate::env::File;
use crate::types::{Offset, ProducerId};

/// A transaction that was aborted by a marker in this segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose.
    pub producer_id: ProducerId,
    /// The first offset of its records.
    pub first_offset: Offset,
    /// The offset of its marker.
    pub last_offset: Offset,
    /// The last stable offset when the marker was written.
    pub last_stable_offset: Offset,
}

impl AbortedTxn {
    /// Bytes on disk.
    pub const LEN: usize = 34;

    fn write(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        out[10..18].copy_from_slice(&self.first_offset.to_be_bytes());
        out[18..26].copy_from_slice(&self.last_offset.to_be_bytes());
        out[26..34].copy_from_slice(&self.last_stable_offset.to_be_bytes());
        out
    }

    /// From those bytes; `None` for a version that is unknown.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let field = |at: usize| Some(i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let version = i16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
        if version != 0 {
            return None;
        }
        Some(Self {
            producer_id: field(2)?,
            first_offset: field(10)?,
            last_offset: field(18)?,
            last_stable_offset: field(26)?,
        })
    }
}

/// Entries that are read at a time.
const READ_ENTRIES: u64 = 64;

/// Whether a transaction may stand behind another in an index: markers stand one behind the other,
/// and what is stable does not go back.
fn follows(before: Option<&AbortedTxn>, entry: &AbortedTxn) -> bool {
    entry.first_offset < entry.last_offset
        && entry.last_stable_offset <= entry.last_offset + 1
        && before.is_none_or(|before| {
            before.last_offset < entry.last_offset
                && before.last_stable_offset <= entry.last_stable_offset
        })
}

/// The index of one segment. Most segments have no aborted transaction, and no file.
pub struct TxnIndex {
    file: LazyFile,
    /// So many entries, from the first on, are known to follow one another.
    checked: AtomicU64,
}

impl TxnIndex {
    /// Over a file that need not exist.
    pub fn new(file: LazyFile) -> Self {
        Self { file, checked: AtomicU64::new(0) }
    }

    /// The file, for rename and removal.
    pub fn file(&self) -> &LazyFile {
        &self.file
    }

    /// All entries. Errors with `InvalidData` when the file is damaged: rebuild it.
    pub fn entries(&self) -> io::Result<Vec<AbortedTxn>> {
        let Some(file) = self.file.open_existing()? else { return Ok(Vec::new()) };
        let count = self.checked_count(&file)?;
        self.read(&file, 0, count)
    }

    /// Those of the entries that end at or behind `offset` and begin below `upper`, and whether all
    /// that end later begin behind `upper`. They lie in the order of their ends, so that a reader far
    /// behind, or right at the end, reads a few of many. Errors as [`Self::entries`].
    pub fn between(&self, offset: Offset, upper: Offset) -> io::Result<(Vec<AbortedTxn>, bool)> {
        let mut found = Vec::new();
        let Some(file) = self.file.open_existing()? else { return Ok((found, false)) };
        let count = self.checked_count(&file)?;
        let (mut at, mut high) = (0, count);
        while at < high {
            let middle = at.midpoint(high);
            if self.read(&file, middle, 1)?.iter().all(|entry| entry.last_offset < offset) {
                at = middle + 1;
            } else {
                high = middle;
            }
        }
        while at < count {
            let entries = self.read(&file, at, READ_ENTRIES.min(count - at))?;
            at += entries.len() as u64;
            for entry in entries {
                if entry.first_offset < upper {
                    found.push(entry);
                }
                // Every transaction that ends later begins behind what was stable by then.
                if entry.last_stable_offset >= upper {
                    return Ok((found, true));
                }
            }
        }
        Ok((found, false))
    }

    /// How many entries there are. What was not read before is read once, whether it is in order: a
    /// search among others would find anything.
    fn checked_count(&self, file: &Arc<dyn File>) -> io::Result<u64> {
        let len = file.len()?;
        if len % AbortedTxn::LEN as u64 != 0 {
            return Err(self.damaged());
        }
        let count = len / AbortedTxn::LEN as u64;
        let mut checked = self.checked.load(Ordering::Relaxed);
        let mut before = match checked.checked_sub(1) {
            Some(last) if checked < count => self.read(file, last, 1)?.pop(),
            _ => None,
        };
        while checked < count {
            for entry in self.read(file, checked, READ_ENTRIES.min(count - checked))? {
                if !follows(before.as_ref(), &entry) {
                    return Err(self.damaged());
                }
                before = Some(entry);
                checked += 1;
            }
        }
        self.checked.store(count, Ordering::Relaxed);
        Ok(count)
    }

    fn read(&self, file: &Arc<dyn File>, at: u64, count: u64) -> io::Result<Vec<AbortedTxn>> {
        let mut bytes = vec![0; count as usize * AbortedTxn::LEN];
        file.read_at(&mut bytes, at * AbortedTxn::LEN as u64)?;
        let entries: Option<Vec<_>> = bytes.chunks(AbortedTxn::LEN).map(AbortedTxn::read).collect();
        entries.ok_or_else(|| self.damaged())
    }

    fn damaged(&self) -> io::Error {
        let path = self.file.path();
        let what = format!("{}: damaged index of aborted transactions", path.display());
        io::Error::new(io::ErrorKind::InvalidData, what)
    }

    /// Adds an entry; whether it is the first, whose file is new: then its name is not durable yet.
    pub fn push(&self, entry: &AbortedTxn) -> io::Result<bool> {
        let file = self.file.open(true)?;
        let position = file.len()?;
        file.write_at(&[IoSlice::new(&entry.write())], position)?;
        Ok(position == 0)
    }

    /// Drops the transactions that end at or after `offset`, and whatever follows an entry that
    /// none of ours would follow: the end of the file may not have survived a power loss.
    pub fn truncate(&self, offset: Offset) -> io::Result<()> {
        let Some(file) = self.file.open_existing()? else { return Ok(()) };
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
        file.read_at(&mut bytes, 0)?;
        self.checked.store(0, Ordering::Relaxed);
        file.set_len((sound(&bytes, offset) * AbortedTxn::LEN) as u64)
    }

    /// Makes the index anew: what it has of transactions that end below `from`, then `found`. In one
    /// step, so that a power loss never leaves a part: below a recovery point it is believed.
    pub fn rebuild(&self, from: Offset, found: &[AbortedTxn]) -> io::Result<()> {
        let before = self.file.read()?.unwrap_or_default();
        let keep = sound(&before, from);
        let mut bytes = before[..keep * AbortedTxn::LEN].to_vec();
        for entry in found.iter().filter(|entry| entry.last_offset >= from) {
            bytes.extend_from_slice(&entry.write());
        }
        self.checked.store(0, Ordering::Relaxed);
        if bytes == before { Ok(()) } else { self.file.replace(&bytes) }
    }

    /// Makes the file durable, if there is one.
    pub fn sync(&self) -> io::Result<()> {
        match self.file.open_existing()? {
            Some(file) => file.sync_data(),
            None => Ok(()),
        }
    }
}

/// How many entries from the first on are of transactions that end below `offset`, and follow one
/// another as ours do.
fn sound(bytes: &[u8], offset: Offset) -> usize {
    let mut before = None;
    let entries = bytes.chunks(AbortedTxn::LEN).map_while(AbortedTxn::read);
    let is_sound = |entry: &AbortedTxn| {
        let is_sound = follows(before.as_ref(), entry);
        before = Some(*entry);
        is_sound && entry.last_offset < offset
    };
    entries.take_while(is_sound).count()
}
