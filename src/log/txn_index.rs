//! The aborted transactions of a segment (Kafka 4.4 `TransactionIndex`, `AbortedTxn`).

use std::io::{self, IoSlice};

use super::files::LazyFile;
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

/// The index of one segment. Most segments have no aborted transaction, and no file.
pub struct TxnIndex {
    file: LazyFile,
}

impl TxnIndex {
    /// Over a file that need not exist.
    pub fn new(file: LazyFile) -> Self {
        Self { file }
    }

    /// The file, for rename and removal.
    pub fn file(&self) -> &LazyFile {
        &self.file
    }

    /// All entries. Errors with `InvalidData` when the file is damaged: rebuild it.
    pub fn entries(&self) -> io::Result<Vec<AbortedTxn>> {
        let Some(file) = self.file.open_existing()? else { return Ok(Vec::new()) };
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        file.read_at(&mut bytes, 0)?;
        let entries: Option<Vec<_>> = bytes.chunks(AbortedTxn::LEN).map(AbortedTxn::read).collect();
        let damaged = || {
            let path = self.file.path();
            let what = format!("{}: damaged index of aborted transactions", path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        let entries = entries.ok_or_else(damaged)?;
        // Markers stand one behind the other, and what is stable does not go back.
        let is_possible = |entry: &AbortedTxn| {
            entry.first_offset < entry.last_offset
                && entry.last_stable_offset <= entry.last_offset + 1
        };
        let ascend = entries.is_sorted_by(|a, b| {
            a.last_offset < b.last_offset && a.last_stable_offset <= b.last_stable_offset
        });
        if !ascend || !entries.iter().all(is_possible) {
            return Err(damaged());
        }
        Ok(entries)
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
    let mut last = Offset::MIN;
    let entries = bytes.chunks(AbortedTxn::LEN).map_while(AbortedTxn::read);
    let follows = |entry: &AbortedTxn| {
        let follows = entry.last_offset > last && entry.first_offset < entry.last_offset;
        last = entry.last_offset;
        follows && entry.last_offset < offset
    };
    entries.take_while(follows).count()
}
