//! A file, read in blocks from its beginning to its end.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::env::{Disk, File, OpenMode};

/// How much is read at a time.
const BLOCK_LEN: usize = 1 << 20;

/// A file opened for reading, and the block of it that was read last.
pub(super) struct FileBlocks {
    file: Arc<dyn File>,
    len: u64,
    start: u64,
    block: Vec<u8>,
}

impl FileBlocks {
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path, OpenMode::Read)?;
        let len = file.len()?;
        Ok(Self { file, len, start: 0, block: Vec::new() })
    }

    /// How many bytes the file had when it was opened.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The `len` bytes at `position`; nothing where the file ends before.
    pub(super) fn at(&mut self, position: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if position.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let block_end = self.start + self.block.len() as u64;
        if position < self.start || position + len as u64 > block_end {
            let left = usize::try_from(self.len - position).unwrap_or(usize::MAX);
            self.block.resize(len.max(BLOCK_LEN).min(left), 0);
            self.start = position;
            let got = self.file.read_at(&mut self.block, position)?;
            self.block.truncate(got);
        }
        let from = (position - self.start) as usize;
        Ok(self.block.get(from..from + len))
    }
}
