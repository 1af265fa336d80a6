//! Compression of the records of a batch, both ways.
//!
//! Reading streams: the inflated bytes are never held whole unless asked for, and a bound cuts
//! off what inflates without end. Sizes that a peer wrote into its frames are not believed.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use super::batch::CompressionType;

/// A batch that inflates to more than this is refused. It bounds the work that a client can
/// cause with one small request; Apache Kafka has no such bound.
pub const INFLATED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The largest window that a zstd frame may ask for: 2^27 bytes, what `zstd -d` itself allows.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Snappy frames as snappy-java writes them: this magic, two versions, then chunks of a 32-bit
/// length each.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_LEN: usize = 16;
/// What snappy-java puts into one chunk.
const XERIAL_CHUNK_LEN: usize = 32 * 1024;
/// The most that one snappy block may inflate to; snappy can shrink at most 22 times or so.
const SNAPPY_BLOCK_MAX: usize = 64 * 1024 * 1024;

thread_local! {
    static GZIP: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Inflates `payload` as a stream; the reader ends with an error past [`INFLATED_BYTES_MAX`].
pub fn reader(codec: CompressionType, payload: &[u8]) -> io::Result<Inflate<'_>> {
    let inner = match codec {
        CompressionType::None => Inner::None(payload),
        CompressionType::Gzip => Inner::Gzip(Box::new(flate2::bufread::GzDecoder::new(payload))),
        CompressionType::Snappy => Inner::Snappy(Snappy::new(payload)),
        CompressionType::Lz4 => Inner::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(payload))),
        CompressionType::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(payload)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Inner::Zstd(Box::new(decoder))
        }
    };
    Ok(Inflate { inner, left: INFLATED_BYTES_MAX })
}

/// A stream of inflated bytes; see [`reader`].
pub struct Inflate<'a> {
    inner: Inner<'a>,
    left: u64,
}

enum Inner<'a> {
    None(&'a [u8]),
    Gzip(Box<flate2::bufread::GzDecoder<&'a [u8]>>),
    Snappy(Snappy<'a>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<&'a [u8]>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'a [u8]>>),
}

impl Read for Inflate<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = match &mut self.inner {
            Inner::None(bytes) => bytes.read(out)?,
            Inner::Gzip(decoder) => decoder.read(out)?,
            Inner::Snappy(decoder) => decoder.read(out)?,
            Inner::Lz4(decoder) => decoder.read(out)?,
            Inner::Zstd(decoder) => decoder.read(out)?,
        };
        self.left = self.left.checked_sub(got as u64).ok_or_else(|| {
            invalid(format!("the batch inflates to more than {INFLATED_BYTES_MAX} bytes"))
        })?;
        Ok(got)
    }
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Snappy blocks, one at a time: xerial chunks, or one raw block.
struct Snappy<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    at: usize,
}

impl<'a> Snappy<'a> {
    fn new(payload: &'a [u8]) -> Self {
        let framed = payload.starts_with(&XERIAL_MAGIC) && payload.len() >= XERIAL_HEADER_LEN;
        let rest = if framed { &payload[XERIAL_HEADER_LEN..] } else { payload };
        Self { rest, framed, block: Vec::new(), at: 0 }
    }

    fn next_block(&mut self) -> io::Result<bool> {
        if self.rest.is_empty() {
            return Ok(false);
        }
        let compressed = if self.framed {
            let (len, rest) = self
                .rest
                .split_first_chunk::<4>()
                .ok_or_else(|| invalid("a snappy chunk has no length"))?;
            let len = u32::from_be_bytes(*len) as usize;
            let (chunk, rest) = rest
                .split_at_checked(len)
                .ok_or_else(|| invalid("a snappy chunk is longer than the batch"))?;
            self.rest = rest;
            chunk
        } else {
            std::mem::take(&mut self.rest)
        };
        let len = snap::raw::decompress_len(compressed).map_err(invalid_snappy)?;
        // No snappy block inflates more than this, whatever it claims.
        if len > SNAPPY_BLOCK_MAX.min(compressed.len().saturating_mul(32)) {
            return Err(invalid(format!(
                "a snappy block of {} bytes claims to hold {len}",
                compressed.len()
            )));
        }
        self.block.resize(len, 0);
        snap::raw::Decoder::new()
            .decompress(compressed, &mut self.block)
            .map_err(invalid_snappy)?;
        self.at = 0;
        Ok(true)
    }
}

fn invalid_snappy(error: snap::Error) -> io::Error {
    invalid(error.to_string())
}

impl Read for Snappy<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let got = (&self.block[self.at..]).read(out)?;
        self.at += got;
        Ok(got)
    }
}

/// Inflates the whole payload, bounded by [`INFLATED_BYTES_MAX`].
pub fn inflate(codec: CompressionType, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader(codec, payload)?.read_to_end(&mut out)?;
    Ok(out)
}

/// Compresses `records`. `level` is the codec's own; `None` is its default.
pub fn deflate(codec: CompressionType, level: Option<i32>, records: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        CompressionType::None => Ok(records.to_vec()),
        CompressionType::Gzip => {
            let level = level
                .and_then(|level| u32::try_from(level).ok())
                .map_or_else(flate2::Compression::default, flate2::Compression::new);
            GZIP.with_borrow_mut(|scratch| {
                scratch.clear();
                let mut encoder = flate2::write::GzEncoder::new(&mut *scratch, level);
                encoder.write_all(records)?;
                encoder.finish()?;
                Ok(scratch.clone())
            })
        }
        CompressionType::Snappy => {
            let mut out = XERIAL_MAGIC.to_vec();
            out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
            let mut encoder = snap::raw::Encoder::new();
            for chunk in records.chunks(XERIAL_CHUNK_LEN) {
                let block = encoder.compress_vec(chunk).map_err(invalid_snappy)?;
                out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                out.extend_from_slice(&block);
            }
            Ok(out)
        }
        CompressionType::Lz4 => {
            // Independent blocks of 64 KiB without a content checksum, as Kafka's clients write.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(records)?;
            encoder.finish().map_err(|error| invalid(error.to_string()))
        }
        CompressionType::Zstd => zstd::bulk::compress(records, level.unwrap_or(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [CompressionType; 5] = [
        CompressionType::None,
        CompressionType::Gzip,
        CompressionType::Snappy,
        CompressionType::Lz4,
        CompressionType::Zstd,
    ];

    #[test]
    fn every_codec_gives_back_what_it_was_given() {
        let records: Vec<u8> = (0..200_000u32).map(|i| (i / 7) as u8).collect();
        for codec in CODECS {
            let small = deflate(codec, None, &records).unwrap();
            assert_eq!(inflate(codec, &small).unwrap(), records, "{codec:?}");
        }
    }

    #[test]
    fn a_raw_snappy_block_is_read_as_well() {
        let block = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
        assert_eq!(inflate(CompressionType::Snappy, &block).unwrap(), b"hello hello hello");
    }

    #[test]
    fn a_claimed_snappy_length_is_not_believed() {
        // A block of 6 bytes that claims 4 GiB, raw and framed.
        let block = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        assert!(inflate(CompressionType::Snappy, &block).is_err());
        let mut framed = XERIAL_MAGIC.to_vec();
        framed.extend_from_slice(&[0; 8]);
        framed.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0]);
        assert!(inflate(CompressionType::Snappy, &framed).is_err());
    }

    #[test]
    fn what_inflates_without_end_is_cut_off() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
        let bombs = bomb.repeat(5);
        let mut reader = reader(CompressionType::Zstd, &bombs).unwrap();
        assert!(io::copy(&mut reader, &mut io::sink()).is_err());
    }

    #[test]
    fn garbage_is_an_error_in_every_codec() {
        for codec in &CODECS[1..] {
            assert!(inflate(*codec, &[7; 100]).is_err(), "{codec:?}");
        }
    }
}
