//! Compression of the records of a batch, both ways.
//!
//! Reading streams: the inflated bytes are never held whole unless asked for, and a bound cuts
//! off what inflates without end. Sizes that a peer wrote into its frames are not believed. A
//! thread keeps its buffer and its zstd context from one batch to the next.

mod gzip;
mod lz4;
mod snappy;
mod zstd_frames;

use std::cell::Cell;
use std::io::{self, Read, Write};

use zstd::stream::raw::{self, DParameter, Operation};

use super::compression_type::CompressionType;

/// A batch that inflates to more than this is refused. It bounds the work that a client can
/// cause with one small request; Apache Kafka has no such bound.
pub const INFLATED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The largest window that a zstd frame may ask for: 2^27 bytes, what `zstd -d` itself allows.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How much of a gzip or zstd stream is inflated at a time.
const CHUNK_LEN: usize = 32 * 1024;

/// A buffer that grew beyond this is not kept for the next batch.
const KEPT_CHUNK_LEN_MAX: usize = 1024 * 1024;

/// What a thread keeps from one batch to the next.
#[derive(Default)]
struct Scratch {
    chunk: Vec<u8>,
    gzip: Option<flate2::Decompress>,
    zstd: Option<raw::Decoder<'static>>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Whether the checksum of an LZ4 frame header is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lz4Header {
    /// It must be right.
    Checked,
    /// It may be wrong: writers of message format 0 computed it over the wrong bytes.
    Unchecked,
}

/// Inflates `payload` as a stream; it ends with an error past [`INFLATED_BYTES_MAX`].
pub fn reader(codec: CompressionType, payload: &[u8]) -> io::Result<Inflate<'_>> {
    reader_with(codec, payload, Lz4Header::Checked)
}

/// As [`reader`], for the payload of any message format.
pub(super) fn reader_with(
    codec: CompressionType,
    payload: &[u8],
    lz4_header: Lz4Header,
) -> io::Result<Inflate<'_>> {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let source = match codec {
        CompressionType::None => CompressedSource::Plain(payload),
        CompressionType::Gzip => {
            match &mut scratch.gzip {
                Some(inflater) => inflater.reset(false),
                none => *none = Some(flate2::Decompress::new(false)),
            }
            CompressedSource::Gzip(gzip::Members::new(payload)?)
        }
        CompressionType::Snappy => CompressedSource::Snappy(snappy::Blocks::new(payload)?),
        CompressionType::Lz4 => CompressedSource::Lz4(lz4::Frame::new(payload, lz4_header)?),
        CompressionType::Zstd => {
            if let Some(decoder) = &mut scratch.zstd {
                decoder.reinit()?;
            } else {
                let mut decoder = raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                scratch.zstd = Some(decoder);
            }
            CompressedSource::Zstd(zstd_frames::Frames::new(payload))
        }
    };
    Ok(Inflate { source, scratch, at: 0, end: 0, before: 0 })
}

/// A stream of inflated bytes; see [`reader`].
pub struct Inflate<'a> {
    source: CompressedSource<'a>,
    scratch: Box<Scratch>,
    /// The bytes of the chunk that are not read yet lie between these two.
    at: usize,
    end: usize,
    /// How many bytes were inflated before this chunk.
    before: u64,
}

enum CompressedSource<'a> {
    Plain(&'a [u8]),
    Gzip(gzip::Members<'a>),
    Snappy(snappy::Blocks<'a>),
    Lz4(lz4::Frame<'a>),
    Zstd(zstd_frames::Frames<'a>),
}

impl CompressedSource<'_> {
    /// Inflates the next bytes to the start of the chunk; how many, or none at the end.
    fn next_chunk(&mut self, scratch: &mut Scratch) -> io::Result<Option<usize>> {
        let chunk = &mut scratch.chunk;
        let got = match self {
            Self::Snappy(blocks) => return blocks.next_block(chunk),
            Self::Lz4(frame) => return frame.next_block(chunk),
            Self::Plain(rest) => rest.read(sized(chunk))?,
            Self::Gzip(members) => {
                let inflater = scratch.gzip.as_mut().ok_or_else(|| invalid("no gzip context"))?;
                members.read(inflater, sized(chunk))?
            }
            Self::Zstd(frames) => {
                let decoder = scratch.zstd.as_mut().ok_or_else(|| invalid("no zstd context"))?;
                frames.read(decoder, sized(chunk))?
            }
        };
        Ok((got > 0).then_some(got))
    }
}

/// The chunk, at least [`CHUNK_LEN`] long.
fn sized(chunk: &mut Vec<u8>) -> &mut [u8] {
    if chunk.len() < CHUNK_LEN {
        chunk.resize(CHUNK_LEN, 0);
    }
    chunk
}

impl Inflate<'_> {
    /// Inflates more if all that was inflated is read; whether there are unread bytes.
    fn fill(&mut self) -> io::Result<bool> {
        while self.at == self.end {
            self.before += self.end as u64;
            (self.at, self.end) = (0, 0);
            let Some(got) = self.source.next_chunk(&mut self.scratch)? else { return Ok(false) };
            if self.before + got as u64 > INFLATED_BYTES_MAX {
                let bound = format!("the batch inflates to more than {INFLATED_BYTES_MAX} bytes");
                return Err(invalid(bound));
            }
            self.end = got;
        }
        Ok(true)
    }

    /// The next byte, or none at the end.
    #[inline]
    pub fn byte(&mut self) -> io::Result<Option<u8>> {
        if self.at == self.end && !self.fill()? {
            return Ok(None);
        }
        let byte = self.scratch.chunk[self.at];
        self.at += 1;
        Ok(Some(byte))
    }

    /// Reads past `count` bytes; whether there were so many.
    #[inline]
    pub fn skip(&mut self, mut count: usize) -> io::Result<bool> {
        loop {
            let here = count.min(self.end - self.at);
            self.at += here;
            count -= here;
            if count == 0 {
                return Ok(true);
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// How many bytes were read.
    #[inline]
    pub fn position(&self) -> u64 {
        self.before + self.at as u64
    }
}

impl Read for Inflate<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.fill()? {
            return Ok(0);
        }
        let got = (&self.scratch.chunk[self.at..self.end]).read(out)?;
        self.at += got;
        Ok(got)
    }
}

impl Drop for Inflate<'_> {
    fn drop(&mut self) {
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.chunk.len() > KEPT_CHUNK_LEN_MAX {
            scratch.chunk = Vec::new();
        }
        // The thread may be ending: then nothing is kept.
        let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
    }
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Inflates the whole payload, bounded by [`INFLATED_BYTES_MAX`].
pub fn inflate(codec: CompressionType, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader(codec, payload)?.read_to_end(&mut out)?;
    Ok(out)
}

/// Compresses `records`. `level` is the codec's own; `None` is its default. Snappy has no levels,
/// and LZ4 is always written at its fastest.
pub fn deflate(codec: CompressionType, level: Option<i32>, records: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        CompressionType::None => Ok(records.to_vec()),
        CompressionType::Gzip => {
            let level = level
                .and_then(|level| u32::try_from(level).ok())
                .map_or_else(flate2::Compression::default, flate2::Compression::new);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(records)?;
            encoder.finish()
        }
        CompressionType::Snappy => snappy::compress(records),
        CompressionType::Lz4 => {
            // Independent blocks of 64 KiB without a content checksum, as Kafka's clients write.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(records)?;
            encoder.finish().map_err(|error| invalid(error.to_string()))
        }
        CompressionType::Zstd => {
            zstd::bulk::compress(records, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL))
        }
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
        let mut framed = vec![0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
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
    fn streams_after_each_other_inflate_as_one() {
        for codec in [CompressionType::Gzip, CompressionType::Snappy, CompressionType::Zstd] {
            let of = |records: &[u8]| deflate(codec, None, records).unwrap();
            let large = vec![b'x'; 100_000];
            let parts = [&b"abc"[..], b"", &large, b"def"];
            let joined: Vec<u8> = parts.iter().flat_map(|part| of(part)).collect();
            assert_eq!(inflate(codec, &joined).unwrap(), parts.concat(), "{codec:?}");
            let cut = inflate(codec, &joined[..joined.len() - 1]);
            // zstd-jni ignores it: what is missing shows when the records are counted.
            assert_eq!(cut.is_ok(), codec == CompressionType::Zstd, "{codec:?}");
        }
        // Kafka reads the first lz4 frame alone.
        let frame = |records| deflate(CompressionType::Lz4, None, records).unwrap();
        let joined = [frame(b"abc"), frame(b"def")].concat();
        assert_eq!(inflate(CompressionType::Lz4, &joined).unwrap(), b"abc");
    }

    #[test]
    fn tails_that_kafka_ignores_are_ignored() {
        let cases: [(CompressionType, &[u8]); 6] = [
            (CompressionType::Gzip, &[0; 40]),
            (CompressionType::Gzip, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0]),
            (CompressionType::Snappy, &[1, 2, 3]),
            (
                CompressionType::Snappy,
                &[0x82, b'S', b'N', b'A', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
            (CompressionType::Lz4, &[7; 40]),
            (CompressionType::Zstd, &[0x28, 0xb5]),
        ];
        for (codec, tail) in cases {
            let mut payload = deflate(codec, None, b"abc").unwrap();
            payload.extend_from_slice(tail);
            assert_eq!(inflate(codec, &payload).unwrap(), b"abc", "{codec:?} and {tail:?}");
        }
        let refused: [(CompressionType, &[u8]); 3] = [
            (CompressionType::Snappy, &[0; 4]),
            (CompressionType::Snappy, &[0x82, b'S', b'N', b'A']),
            (CompressionType::Zstd, &[7; 4]),
        ];
        for (codec, tail) in refused {
            let mut payload = deflate(codec, None, b"abc").unwrap();
            payload.extend_from_slice(tail);
            assert!(inflate(codec, &payload).is_err(), "{codec:?} and {tail:?}");
        }
    }

    #[test]
    fn gzip_headers_may_have_every_field_and_trailers_must_be_right() {
        let plain = deflate(CompressionType::Gzip, None, b"abc").unwrap();
        let mut full = flate2::GzBuilder::new()
            .extra(&b"more"[..])
            .filename(&b"name"[..])
            .comment(&b"why"[..])
            .write(Vec::new(), flate2::Compression::default());
        full.write_all(b"def").unwrap();
        let joined = [plain.clone(), full.finish().unwrap()].concat();
        assert_eq!(inflate(CompressionType::Gzip, &joined).unwrap(), b"abcdef");
        for at in 1..=8 {
            let mut wrong = plain.clone();
            let at = wrong.len() - at;
            wrong[at] ^= 1;
            assert!(inflate(CompressionType::Gzip, &wrong).is_err(), "byte {at} of the trailer");
        }
    }

    #[test]
    fn many_small_streams_together_are_cut_off_as_well() {
        let member = deflate(CompressionType::Gzip, None, &vec![0; 1 << 20]).unwrap();
        let count = (INFLATED_BYTES_MAX >> 20) as usize + 1;
        let bomb = member.repeat(count);
        let mut reader = reader(CompressionType::Gzip, &bomb).unwrap();
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err().to_string();
        assert!(error.contains("inflates to more than"), "{error}");
    }

    #[test]
    fn garbage_is_an_error_in_every_codec() {
        for codec in &CODECS[1..] {
            assert!(inflate(*codec, &[7; 100]).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn a_payload_cut_anywhere_is_an_error_in_every_codec_and_leaves_no_trace() {
        let records: Vec<u8> = (0..70_000u32).map(|i| (i / 3) as u8).collect();
        for codec in &CODECS[1..] {
            let whole = deflate(*codec, None, &records).unwrap();
            for cut in [1, whole.len() / 2, whole.len() - 1] {
                let inflated = inflate(*codec, &whole[..cut]);
                // A xerial stream has no end mark: what is there is read, and then counted.
                assert!(inflated.is_err() || *codec == CompressionType::Snappy);
                assert_eq!(inflate(*codec, &whole).unwrap(), records, "{codec:?} after a cut one");
            }
        }
    }

    #[test]
    fn streams_of_one_thread_may_overlap() {
        for codec in CODECS {
            let a = deflate(codec, None, &vec![b'a'; 100_000]).unwrap();
            let b = deflate(codec, None, &vec![b'b'; 100_000]).unwrap();
            let (mut a, mut b) = (reader(codec, &a).unwrap(), reader(codec, &b).unwrap());
            for _ in 0..100_000 {
                assert_eq!((a.byte().unwrap(), b.byte().unwrap()), (Some(b'a'), Some(b'b')));
            }
            assert_eq!((a.byte().unwrap(), b.byte().unwrap()), (None, None), "{codec:?}");
        }
    }

    #[test]
    fn zstd_reads_frame_after_frame_and_refuses_a_window_over_128_mib() {
        let frame = zstd::stream::encode_all(&b"abc"[..], 1).unwrap();
        assert_eq!(inflate(CompressionType::Zstd, &frame.repeat(3)).unwrap(), b"abcabcabc");
        // Magic, no flags, the window, then a last raw block of one byte.
        let windowed =
            |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1 | 1 << 3, 0, 0, b'x'];
        assert_eq!(inflate(CompressionType::Zstd, &windowed(27)).unwrap(), b"x");
        assert!(inflate(CompressionType::Zstd, &windowed(28)).is_err());
    }

    #[test]
    fn lz4_frames_that_kafka_does_not_read_are_refused() {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        let frame = |info: FrameInfo| {
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&vec![b'x'; 100_000]).unwrap();
            encoder.finish().unwrap()
        };
        let plain = || FrameInfo::new().block_mode(BlockMode::Independent);
        let read = [
            plain(),
            plain().block_checksums(true),
            plain().content_checksum(true).content_size(Some(100_000)),
            plain().block_size(BlockSize::Max4MB),
        ];
        for info in read {
            assert_eq!(inflate(CompressionType::Lz4, &frame(info)).unwrap(), vec![b'x'; 100_000]);
        }
        assert!(
            inflate(CompressionType::Lz4, &frame(FrameInfo::new().block_mode(BlockMode::Linked)))
                .is_err()
        );
        for at in [4, 5, 6] {
            let mut wrong = frame(plain());
            wrong[at] ^= 0x80;
            assert!(inflate(CompressionType::Lz4, &wrong).is_err(), "byte {at} of the header");
        }
        let mut wrong = frame(plain().block_checksums(true));
        wrong[15] ^= 1;
        assert!(inflate(CompressionType::Lz4, &wrong).is_err());
    }
}
