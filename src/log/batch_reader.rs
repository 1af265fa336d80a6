//! Batches of a segment's file, each whole and checked, read some hundred kilobytes at a time:
//! batches may be small and many.

use std::io;

use crate::env::File;
use crate::record::batch::MAGIC_END;
use crate::record::{BatchHeader, BatchView, HEADER_LEN};

/// How much is read at once, unless a batch is longer.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads the batches of one file.
pub(super) struct BatchReader<'a> {
    file: &'a dyn File,
    /// The file's length in bytes.
    size: u32,
    chunk: Vec<u8>,
    /// Where in the file the chunk begins.
    chunk_at: u32,
}

impl<'a> BatchReader<'a> {
    pub(super) fn new(file: &'a dyn File, size: u32) -> Self {
        Self { file, size, chunk: Vec::new(), chunk_at: 0 }
    }

    /// The batch at a byte, whole and with its CRC; what is wrong with it otherwise. A disk that
    /// does not answer says nothing about the batch: that is the outer error.
    pub(super) fn at(&mut self, position: u32) -> io::Result<Result<BatchView<'_>, String>> {
        let left = self.left(position);
        let header = match self.header(position)? {
            Ok(header) => header,
            Err(what) => return Ok(Err(what)),
        };
        if header.size() > left {
            return Ok(Err(format!("a batch of {} bytes, {left} are left", header.size())));
        }
        let Some(bytes) = self.bytes(position, header.size())? else { return Ok(Err(shorter())) };
        let checked = BatchView::stored(bytes).and_then(|view| view.check_crc().map(|()| view));
        Ok(checked.map_err(|error| error.to_string()))
    }

    /// What lies at a byte, taken for a header: its length and magic make sense, no more is checked.
    pub(super) fn header(&mut self, position: u32) -> io::Result<Result<BatchHeader, String>> {
        let left = self.left(position);
        if left < MAGIC_END {
            return Ok(Err(format!("{left} bytes are no batch header")));
        }
        let head = self.bytes(position, HEADER_LEN.min(left))?;
        let header = head.map(|head| BatchHeader::stored(head).map_err(|error| error.to_string()));
        Ok(header.unwrap_or_else(|| Err(shorter())))
    }

    fn left(&self, position: u32) -> usize {
        self.size.saturating_sub(position) as usize
    }

    /// `len` bytes that lie before the end of the file as it was.
    fn bytes(&mut self, position: u32, len: usize) -> io::Result<Option<&[u8]>> {
        let held = position.checked_sub(self.chunk_at).map(|from| from as usize);
        let from = match held.filter(|from| from + len <= self.chunk.len()) {
            Some(from) => from,
            None => {
                self.chunk.resize(len.max(CHUNK_BYTES).min(self.left(position)), 0);
                let got = self.file.read_at(&mut self.chunk, u64::from(position))?;
                self.chunk.truncate(got);
                self.chunk_at = position;
                0
            }
        };
        Ok(self.chunk.get(from..from + len))
    }
}

fn shorter() -> String {
    "the file is shorter than it was".to_owned()
}
