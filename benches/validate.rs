//! What does it cost a leader to judge one produced batch?
//!
//! The produce path does this for every batch, on the network thread: find the one batch, check
//! its CRC, walk its records (inflating them as a stream). Run with `cargo bench --bench validate`;
//! an argument picks the cases whose name contains it.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock itself")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use blumfeld::record::validate::single_batch;
use blumfeld::record::{BatchBuilder, CompressionType, Rules, TargetCompression, TimestampType};
use blumfeld::record::{BatchView, validate};
use blumfeld::types::Timestamp;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const WARM_UP: Duration = Duration::from_millis(100);
const MEASURED: Duration = Duration::from_millis(400);
const ROUNDS: usize = 5;

/// (records in a batch, bytes of a value)
const SHAPES: [(usize, usize); 2] = [(100, 100), (16, 1024)];

const CODECS: [CompressionType; 5] = [
    CompressionType::None,
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];

/// Text of half random words, which compresses about as JSON does.
fn value(seed: &mut u64, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 16);
    while out.len() < len {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(format!("\"field\":{:06},", (*seed >> 40) % 1_000_000).as_bytes());
    }
    out.truncate(len);
    out
}

fn batch(codec: CompressionType, (count, len): (usize, usize)) -> (Vec<u8>, usize) {
    let mut seed = 42;
    let mut builder = BatchBuilder::new(0).compression(codec, None);
    for i in 0..count {
        let value = value(&mut seed, len);
        builder.push(Timestamp(NOW.0 + i as i64), Some(&(i as u64).to_be_bytes()), Some(&value));
    }
    let raw = builder.len();
    (builder.build().expect("the codec works"), raw)
}

/// The fastest of some rounds, in nanoseconds a call: noise only ever adds.
fn measure(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0u32;
    while start.elapsed() < WARM_UP {
        call();
        calls += 1;
    }
    let calls_a_round = (f64::from(calls) * MEASURED.as_secs_f64() / WARM_UP.as_secs_f64()) as u32;
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls_a_round.max(1) {
            call();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls_a_round.max(1)));
    }
    best
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{} x{cores}", model.trim_start_matches([' ', '\t', ':']))
}

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    let rules = Rules {
        max_message_bytes: 1_048_588,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        compression: TargetCompression::Producer,
        compacted: false,
    };
    println!("machine: {}", machine());
    println!(
        "{:<26} {:>9} {:>10} {:>12} {:>14}",
        "case", "bytes", "us/batch", "ns/record", "MB/s inflated"
    );
    let report = |name: String, bytes: usize, raw: usize, count: usize, ns: f64| {
        let rate = raw as f64 / ns * 1_000.0;
        println!(
            "{name:<26} {bytes:>9} {:>10.2} {:>12.1} {rate:>14.0}",
            ns / 1_000.0,
            ns / count as f64
        );
    };
    for shape in SHAPES {
        for codec in CODECS {
            let name = format!("{} x {} B {}", shape.0, shape.1, codec.name());
            if !name.contains(&wanted) {
                continue;
            }
            let (mut bytes, raw) = batch(codec, shape);
            let ns = measure(|| {
                single_batch(black_box(&bytes)).expect("one batch");
                black_box(validate::validate(&mut bytes, &rules, 9, NOW).expect("valid"));
            });
            report(name, bytes.len(), raw, shape.0, ns);
        }
        let name = format!("{} x {} B crc alone", shape.0, shape.1);
        if name.contains(&wanted) {
            let (bytes, raw) = batch(CompressionType::None, shape);
            let view = BatchView::first(&bytes).expect("a batch");
            let ns = measure(|| black_box(&view).check_crc().expect("right"));
            report(name, bytes.len(), raw, shape.0, ns);
        }
    }
}
