//! A small batch that inflates without end is refused, in little memory and in every codec.
//!
//! A test program of its own, since it watches the memory of the whole process.

#![expect(clippy::disallowed_methods, reason = "it asks the operating system about this process")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Write;

use blumfeld::record::builder::rebuild;
use blumfeld::record::validate::validate;
use blumfeld::record::{
    Attributes, BatchBuilder, BatchHeader, BatchView, CompressionType, HEADER_LEN, Rules,
    TargetCompression, TimestampType,
};
use blumfeld::types::{ErrorCode, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const MIB: usize = 1024 * 1024;
/// Each bomb inflates to more than this; the bound of the codecs is 256 MiB.
const INFLATED: usize = 320 * MIB;
/// What judging one may add to the peak of the process.
const GROWTH_MAX: usize = 24 * MIB;

/// The beginning of a record whose value has a gibibyte.
const RECORD_HEAD: [u8; 14] = [
    0xa0, 0x80, 0x80, 0x80, 0x08, // size 2^30 + 16
    0, 0, 0, 1, // attributes, deltas, no key
    0x80, 0x80, 0x80, 0x80, 0x08, // value of 2^30 bytes
];

/// A payload that begins a record and then inflates to zeroes, built in small pieces.
fn bomb(codec: CompressionType) -> Vec<u8> {
    let zeroes = vec![0; MIB];
    match codec {
        CompressionType::None => RECORD_HEAD.to_vec(),
        CompressionType::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(&RECORD_HEAD).unwrap();
            (0..INFLATED / MIB).for_each(|_| out.write_all(&zeroes).unwrap());
            out.finish().unwrap()
        }
        CompressionType::Lz4 => {
            let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
            out.write_all(&RECORD_HEAD).unwrap();
            (0..INFLATED / MIB).for_each(|_| out.write_all(&zeroes).unwrap());
            out.finish().unwrap()
        }
        CompressionType::Zstd => {
            let mut out = zstd::bulk::compress(&RECORD_HEAD, 1).unwrap();
            let frame = zstd::bulk::compress(&zeroes, 1).unwrap();
            (0..INFLATED / MIB).for_each(|_| out.extend_from_slice(&frame));
            out
        }
        CompressionType::Snappy => {
            let mut encoder = snap::raw::Encoder::new();
            let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            let mut put = |block: Vec<u8>| {
                out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                out.extend_from_slice(&block);
            };
            put(encoder.compress_vec(&RECORD_HEAD).unwrap());
            let block = encoder.compress_vec(&zeroes).unwrap();
            (0..INFLATED / MIB).for_each(|_| put(block.clone()));
            out
        }
    }
}

fn batch(codec: CompressionType) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    builder.push(NOW, None, None);
    let one = builder.build().unwrap();
    let payload = bomb(codec);
    let header = BatchHeader {
        attributes: Attributes::new(codec, TimestampType::CreateTime),
        ..*BatchView::first(&one).unwrap().header()
    };
    // Built as an uncompressed batch of these bytes, then said to be compressed.
    let mut batch = rebuild(&header, &payload, CompressionType::None, None).unwrap();
    batch[22] |= codec as u8;
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(batch.len(), HEADER_LEN + payload.len());
    batch
}

/// The most memory this process had since the last reset, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn a_batch_that_inflates_without_end_is_refused_in_little_memory() {
    let rules = Rules {
        max_message_bytes: 64 * MIB,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        compression: TargetCompression::Producer,
        compacted: false,
    };
    for codec in [
        CompressionType::Gzip,
        CompressionType::Snappy,
        CompressionType::Lz4,
        CompressionType::Zstd,
    ] {
        let mut bytes = batch(codec);
        // "5" sets the peak back to what is resident now: proc(5), clear_refs.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = peak();
        let error = validate(&mut bytes, &rules, 13, NOW).unwrap_err();
        let growth = peak().saturating_sub(before);
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
        assert!(error.to_string().contains("inflates to more than"), "{codec:?}: {error}");
        assert!(growth < GROWTH_MAX, "{codec:?} took {growth} bytes for {}", bytes.len());
    }
}
