//! LZ4 frames, read as strictly as Kafka reads them: a frame that its consumers could not read is
//! refused here (Kafka 4.4 `Lz4BlockInputStream`, `Lz4BlockOutputStream`; LZ4 frame format 1.5.1).
//!
//! ```text
//! magic u32 = 0x184d2204, all little-endian
//! flags u8:  version (2 bits) = 1, independent blocks = 1, block checksum, content size,
//!            content checksum, reserved (2 bits) = 0
//! blocks u8: reserved (1 bit) = 0, largest block (3 bits) 4..=7, reserved (4 bits) = 0
//! [content size u64], header checksum u8
//! then blocks: length u32 (highest bit: stored as it is), bytes, [checksum u32]
//! ending with a length of 0
//! ```

use std::io;

use twox_hash::XxHash32;

use super::{Lz4Header, invalid};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const STORED: u32 = 1 << 31;

/// The blocks of one frame.
pub(super) struct Frame<'a> {
    rest: &'a [u8],
    has_block_checksums: bool,
    has_content_checksum: bool,
    block_len_max: usize,
    is_at_end: bool,
}

/// The first `N` bytes of `rest`, which it loses.
fn take<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let (taken, after) =
        rest.split_first_chunk().ok_or_else(|| invalid("an lz4 frame ends too soon"))?;
    *rest = after;
    Ok(*taken)
}

impl<'a> Frame<'a> {
    pub(super) fn new(payload: &'a [u8], header: Lz4Header) -> io::Result<Self> {
        let mut rest = payload;
        if take(&mut rest)? != MAGIC {
            return Err(invalid("the payload is no lz4 frame"));
        }
        let descriptor = rest;
        let [flags, blocks] = take(&mut rest)?;
        if flags & 0b1110_0011 != 0b0110_0000 {
            return Err(invalid("an lz4 frame has flags that Kafka does not read"));
        }
        let block_len_max = match blocks {
            0x40 | 0x50 | 0x60 | 0x70 => 1 << (8 + 2 * (blocks >> 4)),
            _ => return Err(invalid("an lz4 frame has no valid block size")),
        };
        if flags & 0b1000 != 0 {
            // The content size is not believed: the bound on all that inflates is enough.
            take::<8>(&mut rest)?;
        }
        let described = &descriptor[..descriptor.len() - rest.len()];
        let [checksum] = take(&mut rest)?;
        if header == Lz4Header::Checked
            && checksum != XxHash32::oneshot(0, described).to_be_bytes()[2]
        {
            return Err(invalid("the header of an lz4 frame is not what was written"));
        }
        let has_block_checksums = flags & 0b1_0000 != 0;
        let has_content_checksum = flags & 0b100 != 0;
        Ok(Self {
            rest,
            has_block_checksums,
            has_content_checksum,
            block_len_max,
            is_at_end: false,
        })
    }

    /// Inflates the next block to the start of `out`, which grows as needed; its length, or none
    /// at the end of the frame. What follows the frame is ignored.
    pub(super) fn next_block(&mut self, out: &mut Vec<u8>) -> io::Result<Option<usize>> {
        if self.is_at_end {
            return Ok(None);
        }
        let head = u32::from_le_bytes(take(&mut self.rest)?);
        let len = (head & !STORED) as usize;
        if len == 0 {
            self.is_at_end = true;
            if self.has_content_checksum {
                take::<4>(&mut self.rest)?; // Kafka does not compare it either.
            }
            return Ok(None);
        }
        if len > self.block_len_max {
            return Err(invalid("an lz4 block is larger than its frame says"));
        }
        let (block, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| invalid("an lz4 block is longer than the batch"))?;
        self.rest = rest;
        if self.has_block_checksums
            && u32::from_le_bytes(take(&mut self.rest)?) != XxHash32::oneshot(0, block)
        {
            return Err(invalid("an lz4 block is not what was written"));
        }
        if head & STORED != 0 {
            if out.len() < len {
                out.resize(len, 0);
            }
            out[..len].copy_from_slice(block);
            return Ok(Some(len));
        }
        if out.len() < self.block_len_max {
            out.resize(self.block_len_max, 0);
        }
        lz4_flex::block::decompress_into(block, &mut out[..self.block_len_max])
            .map(Some)
            .map_err(|error| invalid(error.to_string()))
    }
}
