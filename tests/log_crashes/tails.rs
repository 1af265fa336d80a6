//! What a start finds at the end of a log, and in files beside it that are not what they were: R1 to
//! R7 and R13.

use super::*;

const NAME: &str = "00000000000000000000";

fn path(extension: &str) -> std::path::PathBuf {
    Path::new(DIR).join(format!("{NAME}.{extension}"))
}

/// A stopped log of one segment, of `batches` batches; where each ends, in offsets and bytes.
fn stopped(batches: usize) -> (SimDisk, Known, Vec<(Offset, u64)>) {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 1).unwrap();
    let (mut known, mut ends) = (Known::default(), vec![(0, 0)]);
    for n in 0..batches {
        let (producer, base) = (n as i64 % PRODUCERS, log.end());
        let last = known.batches.iter().rev().find(|sent: &&Sent| sent.producer == producer);
        let sequence = last.map_or(0, |sent| sent.sequence + sent.count);
        let batch = Sent { base, count: 1 + n as i32 % 3, producer, sequence };
        append(&mut log, &batch).unwrap();
        known.batches.push(batch);
        log.set_high_watermark(log.end());
        log.publish();
        ends.push((log.end(), u64::from(log.views().load().segments[0].size())));
    }
    known.end = log.end();
    log.close().unwrap();
    (disk.crash(Crash::Kill), known, ends)
}

fn bytes_of(disk: &SimDisk, extension: &str) -> Vec<u8> {
    let disk = shared(disk).disk;
    disk.read_file(&path(extension)).unwrap().unwrap_or_default()
}

fn put(disk: &SimDisk, extension: &str, bytes: &[u8]) {
    let file = disk.open(&path(extension), OpenMode::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
}

/// Everything up to offset `end` is there and nothing else, by every way that leads to it; and a
/// retry of what was cut off is new.
fn check_ends_at(disk: &SimDisk, known: &Known, end: Offset, what: &str) {
    let mut log = open(disk, 1).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(log.end(), end, "{what}");
    let expected: Vec<_> = (0..end).map(|offset| (offset, value_at(offset))).collect();
    assert_eq!(read_all(&log), expected, "{what}");
    let mut left = known.clone();
    left.batches.retain(|sent| sent.end() <= end);
    left.end = end;
    check(&mut log, &left, true);
    if let Some(cut) = known.batches.iter().find(|sent| sent.base == end) {
        assert!(!append(&mut log, cut).unwrap().is_duplicate, "{what}: it is written again");
    }
}

/// R1.
#[test]
fn a_log_cut_at_any_byte_ends_with_its_last_whole_batch() {
    let (disk, known, ends) = stopped(8);
    let whole = bytes_of(&disk, "log");
    for len in 0..=whole.len() {
        let (disk, _, _) = stopped(8);
        put(&disk, "log", &whole[..len]);
        let (end, _) = ends.iter().rev().find(|(_, size)| *size <= len as u64).unwrap();
        check_ends_at(&disk, &known, *end, &format!("{len} bytes"));
    }
}

/// R2.
#[test]
fn whatever_stands_behind_the_last_whole_batch_is_cut_off() {
    let (disk, known, ends) = stopped(8);
    let whole = bytes_of(&disk, "log");
    let (end, size) = ends[6];
    let (before, last) = whole.split_at(size as usize);
    let with = |at: usize, bytes: &[u8]| {
        let mut batch = last.to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        batch
    };
    for (what, tail) in [
        ("a header without its body", last[..61].to_vec()),
        ("zeroes", vec![0; 5_000]),
        ("zeroes in place of the body", [&last[..61], &vec![0; 400]].concat()),
        ("a huge length", with(8, &i32::MAX.to_be_bytes())),
        ("a negative length", with(8, &(-1i32).to_be_bytes())),
        ("a length of nothing", with(8, &0i32.to_be_bytes())),
        ("another magic", with(16, &[3])),
        ("an older magic", with(16, &[1])),
        ("a changed record", with(70, &[0xff])),
        ("an offset below those before it", with(0, &0i64.to_be_bytes())),
        ("noise", (0..3_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
    ] {
        let (disk, _, _) = stopped(8);
        put(&disk, "log", &[before, &tail].concat());
        check_ends_at(&disk, &known, end, what);
    }
}

/// R3.
#[test]
fn a_bad_batch_below_the_recovery_point_is_damage_and_not_a_torn_tail() {
    let (disk, known, ends) = stopped(8);
    let points = |disk: &SimDisk, offset: Offset| {
        let points = Offsets::from([("t", 0, offset)]);
        checkpoint::write_offsets(disk, &Path::new(ROOT).join(RECOVERY_POINTS), &points).unwrap();
    };
    points(&disk, known.end);
    let whole = bytes_of(&disk, "log");
    put(&disk, "log", &whole[..whole.len() - 1]);
    let refused = open(&disk, 1).map(drop).unwrap_err();
    assert!(refused.contains("recovery point"), "{refused}");
    assert_eq!(bytes_of(&disk, "log").len(), whole.len() - 1, "nothing is touched");
    // Whoever accepts the loss says so with the checkpoint.
    points(&disk, 0);
    check_ends_at(&disk, &known, ends[7].0, "without a recovery point");
}

/// R6: whatever stands in an index, the log is read as it is.
#[test]
fn an_index_that_is_missing_empty_too_long_or_noise_is_made_anew() {
    let (disk, known, _) = stopped(60);
    let noise = |len: u32| -> Vec<u8> {
        (0..len).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    };
    for extension in ["index", "timeindex", "txnindex"] {
        let whole = bytes_of(&disk, extension);
        let padded = [&whole[..], &[0; 4096]].concat();
        let odd = [&whole[..], &[7; 5]].concat();
        for (what, bytes) in [
            ("missing", None),
            ("empty", Some(Vec::new())),
            ("preallocated", Some(padded)),
            ("no multiple of an entry", Some(odd)),
            ("noise", Some(noise(1200))),
        ] {
            let (disk, _, _) = stopped(60);
            match bytes {
                Some(bytes) => {
                    if disk.info(&path(extension)).unwrap().is_none() {
                        disk.open(&path(extension), OpenMode::CreateNew).unwrap();
                    }
                    put(&disk, extension, &bytes);
                }
                None => {
                    let _ = disk.remove_file(&path(extension)); // There may be none.
                }
            }
            check_ends_at(&disk, &known, known.end, &format!("{what} .{extension}"));
        }
    }
}

/// R7.
#[test]
fn a_log_that_ends_before_its_start_begins_anew_there() {
    let (disk, known, _) = stopped(8);
    let context = OpenContext {
        clean: false,
        recovery_point: 0,
        log_start_offset: known.end + 100,
        high_watermark: known.end + 100,
        now: time_at(1_000_000),
    };
    let (log, _) = Log::open(shared(&disk), Path::new(DIR), config(1), &context).unwrap();
    assert_eq!((log.log_start_offset(), log.end()), (known.end + 100, known.end + 100));
    assert_eq!(read_all(&log), []);
    drop(log);
    // What is named by a clean stop is not given up for a number.
    let (disk, _, _) = stopped(8);
    let context = OpenContext { clean: true, ..context };
    assert!(Log::open(shared(&disk), Path::new(DIR), config(1), &context).is_err());
}

/// R13: of a segment below the recovery point no record is read.
#[test]
fn a_start_reads_no_record_below_the_recovery_point() {
    for clean in [true, false] {
        let disk = SimDisk::new(1);
        let mut log = open(&disk, 0).unwrap();
        while log.views().load().segments.len() < 12 {
            let batch = Sent { base: log.end(), count: 4, producer: 0, sequence: log.end() as i32 };
            append(&mut log, &batch).unwrap();
            log.set_high_watermark(log.end());
            log.publish();
        }
        flush(&mut log, &disk, FlushKind::RecoveryPoint).unwrap();
        let (end, point) = (log.end(), log.recovery_point());
        let segments = log.views().load().segments.clone();
        log.close().unwrap();
        drop(log);
        let disk = disk.crash(Crash::Kill);
        for segment in &segments[..10] {
            let name = segment.path().file_name().unwrap().to_str().unwrap().to_owned();
            disk.inject(Fault::eio().on(Call::Read).path(&name).always());
        }
        let context = OpenContext {
            clean,
            recovery_point: point,
            log_start_offset: 0,
            high_watermark: end,
            now: time_at(1_000_000),
        };
        let (log, report) = Log::open(shared(&disk), Path::new(DIR), config(0), &context).unwrap();
        assert_eq!(log.end(), end);
        let last = u64::from(segments.last().unwrap().size() + segments[10].size());
        assert!(report.checked_bytes <= last, "{} of {last}", report.checked_bytes);
    }
}
