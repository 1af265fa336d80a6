//! Snappy: one raw block, or xerial streams as snappy-java writes them (the clients of Kafka, and
//! librdkafka, write those).
//!
//! ```text
//! magic 0x82 "SNAPPY" 0x00, version i32, compatible version i32, all big-endian
//! then chunks: length i32, a raw block of that length
//! ```
//!
//! Another stream may follow where a chunk would begin. What snappy-java 1.1.10 ignores at the end
//! is ignored: fewer bytes than the length of a chunk, and all that follows a header that begins
//! like the magic and is none (`SnappyInputStream.hasNextChunk`).

use std::io;

use super::invalid;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_LEN: usize = 16;
/// The oldest version of a stream that snappy-java reads.
const VERSION_MIN: i32 = 1;
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
    pub(super) fn new(payload: &'a [u8]) -> io::Result<Self> {
        let decoder = snap::raw::Decoder::new();
        let mut blocks = Self { rest: payload, is_framed: false, decoder };
        blocks.is_framed = blocks.skip_header()?;
        Ok(blocks)
    }

    /// Skips the header of a stream, if there is one next; whether there is.
    fn skip_header(&mut self) -> io::Result<bool> {
        let Some((header, rest)) = self.rest.split_first_chunk::<HEADER_LEN>() else {
            return Ok(false);
        };
        let Some(([version, ..], _)) =
            header.strip_prefix(&MAGIC).map(|versions| versions.as_chunks::<4>())
        else {
            return Ok(false);
        };
        if i32::from_be_bytes(*version) < VERSION_MIN {
            return Err(invalid("a snappy stream has a version that Kafka does not read"));
        }
        self.rest = rest;
        Ok(true)
    }

    /// The next chunk of a stream; none at the end of the payload.
    fn next_chunk(&mut self) -> io::Result<Option<&'a [u8]>> {
        while self.rest.starts_with(&MAGIC[..4]) {
            if self.rest.len() < HEADER_LEN {
                return Err(invalid("the header of a snappy stream ends too soon"));
            }
            if !self.skip_header()? {
                return Ok(None);
            }
        }
        let Some((len, rest)) = self.rest.split_first_chunk() else { return Ok(None) };
        let (chunk, rest) = rest
            .split_at_checked(u32::from_be_bytes(*len) as usize)
            .ok_or_else(|| invalid("a snappy chunk is longer than the batch"))?;
        self.rest = rest;
        Ok(Some(chunk))
    }

    /// Inflates the next block to the start of `out`, which grows as needed; its length, or none
    /// at the end of the payload.
    pub(super) fn next_block(&mut self, out: &mut Vec<u8>) -> io::Result<Option<usize>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let block = if self.is_framed {
            let Some(chunk) = self.next_chunk()? else {
                self.rest = &[];
                return Ok(None);
            };
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
