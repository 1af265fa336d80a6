//! Snappy: one raw block, or xerial frames as snappy-java writes them (the clients of Kafka, and
//! librdkafka, write those).
//!
//! ```text
//! magic 0x82 "SNAPPY" 0x00, version i32, compatible version i32, all big-endian
//! then chunks: length i32, a raw block of that length
//! ```

use std::io;

use super::invalid;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_LEN: usize = 16;
/// What snappy-java puts into one chunk.
const CHUNK_LEN: usize = 32 * 1024;
/// The most that one block may inflate to.
const BLOCK_LEN_MAX: usize = 64 * 1024 * 1024;
/// No block inflates more than this many times: the densest element makes 64 bytes of 3.
const INFLATION_MAX: usize = 32;

/// The blocks of a payload.
pub(super) struct Blocks<'a> {
    rest: &'a [u8],
    is_framed: bool,
    decoder: snap::raw::Decoder,
}

fn refused(error: snap::Error) -> io::Error {
    invalid(error.to_string())
}

impl<'a> Blocks<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        let is_framed = payload.starts_with(&MAGIC) && payload.len() >= HEADER_LEN;
        let rest = if is_framed { &payload[HEADER_LEN..] } else { payload };
        Self { rest, is_framed, decoder: snap::raw::Decoder::new() }
    }

    /// Inflates the next block to the start of `out`, which grows as needed; its length, or none
    /// at the end of the payload.
    pub(super) fn next_block(&mut self, out: &mut Vec<u8>) -> io::Result<Option<usize>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let block = if self.is_framed {
            let (len, rest) = self
                .rest
                .split_first_chunk()
                .ok_or_else(|| invalid("a snappy chunk has no length"))?;
            let (chunk, rest) = rest
                .split_at_checked(u32::from_be_bytes(*len) as usize)
                .ok_or_else(|| invalid("a snappy chunk is longer than the batch"))?;
            self.rest = rest;
            chunk
        } else {
            std::mem::take(&mut self.rest)
        };
        let len = snap::raw::decompress_len(block).map_err(refused)?;
        if len > BLOCK_LEN_MAX.min(block.len().saturating_mul(INFLATION_MAX)) {
            let claimed = format!("a snappy block of {} bytes claims to hold {len}", block.len());
            return Err(invalid(claimed));
        }
        if out.len() < len {
            out.resize(len, 0);
        }
        self.decoder.decompress(block, &mut out[..len]).map(Some).map_err(refused)
    }
}

/// Compresses `records` into xerial frames.
pub(super) fn compress(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for chunk in records.chunks(CHUNK_LEN) {
        let block = encoder.compress_vec(chunk).map_err(refused)?;
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(out)
}
