//! A file, read in blocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DumpError;
use crate::env::{Disk, File, OpenMode};
use crate::record::batch::{LENGTH_PREFIX_LEN, MAGIC_END};
use crate::record::legacy::LENGTH_MIN;
use crate::record::{BatchHeader, HEADER_LEN};

/// How much is read at a time.
const BLOCK_LEN: usize = 256 * 1024;

/// A file opened for reading, and the block of it that was read last.
pub(super) struct LogBlocks {
    path: PathBuf,
    file: Arc<dyn File>,
    len: u64,
    start: u64,
    block: Vec<u8>,
}

impl LogBlocks {
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, DumpError> {
        let failed = |source| DumpError::Read { path: path.to_owned(), source };
        let file = disk.open(path, OpenMode::Read).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, len, start: 0, block: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes the file had when it was opened.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> DumpError {
        DumpError::Damaged { path: self.path.clone(), what: what.into() }
    }

    /// The `len` bytes at `position`, all of which the file must have.
    pub(super) fn at(&mut self, position: u64, len: usize) -> Result<&[u8], DumpError> {
        if position.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(self.damaged(format!("it ends before byte {position} + {len}")));
        }
        let block_end = self.start + self.block.len() as u64;
        if position < self.start || position + len as u64 > block_end {
            let left = usize::try_from(self.len - position).unwrap_or(usize::MAX);
            self.block.resize(len.max(BLOCK_LEN).min(left), 0);
            self.start = position;
            let failed = |source| DumpError::Read { path: self.path.clone(), source };
            let got = self.file.read_at(&mut self.block, position).map_err(failed)?;
            self.block.truncate(got);
            if got < len {
                return Err(self.damaged(format!("it was cut at byte {}", position + got as u64)));
            }
        }
        let from = (position - self.start) as usize;
        Ok(&self.block[from..from + len])
    }

    /// The header of the batch at `position`, if the batch is whole before `end`.
    pub(super) fn batch_at(
        &mut self,
        position: u64,
        end: u64,
    ) -> Result<Option<BatchHeader>, DumpError> {
        let end = end.min(self.len);
        // Kafka takes so few bytes for the beginning of one.
        if position.saturating_add(MAGIC_END as u64) >= end {
            return Ok(None);
        }
        let head = self.at(position, MAGIC_END)?;
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if length < LENGTH_MIN {
            let what = format!(
                "Found record size {length} smaller than minimum record overhead ({LENGTH_MIN}) \
                 at byte {position}"
            );
            return Err(self.damaged(what));
        }
        if position + LENGTH_PREFIX_LEN as u64 + length as u64 > end {
            return Ok(None);
        }
        let size = LENGTH_PREFIX_LEN + length as usize;
        let header = BatchHeader::stored(self.at(position, size.min(HEADER_LEN))?);
        header.map(Some).map_err(|error| self.damaged(format!("at byte {position}: {error}")))
    }
}
