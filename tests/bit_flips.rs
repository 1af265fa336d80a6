//! One bit flipped at every byte of every file of a log: recovery notices it in what it reads, an
//! index, a snapshot or a checkpoint ends in a rebuild or a refusal, and `blumfeld check` finds all
//! but what no CRC, no order and no other file tells. That list is in ARCHITECTURE.md.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blumfeld::cli::check::{CheckArgs, run};
use blumfeld::env::sim::SimDisk;
use blumfeld::env::{Disk, OpenMode};
use blumfeld::log::checkpoint::{
    CLEANER_OFFSETS, HIGH_WATERMARKS, LOG_START_OFFSETS, Offsets, RECOVERY_POINTS,
    offsets_from_text, partition_metadata, write_clean_shutdown, write_offsets,
};
use blumfeld::log::cleaner::CleanerBudget;
use blumfeld::log::{
    Log, LogConfig, LogShared, Marker, OpenContext, OpenFiles, UpTo, Verification,
};
use blumfeld::record::validate::Rules;
use blumfeld::record::{BatchBuilder, BatchView, Records, batch};
use blumfeld::types::{Offset, Timestamp, Uuid};

const ROOT: &str = "/data";
const DIR: &str = "/data/t-0";
/// Inside the first batch.
const START: Offset = 1;

/// A file with its bytes.
type Files = Vec<(PathBuf, Vec<u8>)>;

fn config(compacted: bool) -> Arc<LogConfig> {
    let defaults = LogConfig::default();
    Arc::new(LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 120,
        rules: Rules { compacted, ..defaults.rules },
        ..defaults
    })
}

fn open(disk: &SimDisk, context: &OpenContext, compacted: bool) -> Result<Log, String> {
    let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(4) };
    let opened = Log::open(shared, Path::new(DIR), config(compacted), context);
    opened.map(|(log, _)| log).map_err(|error| error.to_string())
}

fn context(clean: bool, recovery_point: Offset, log_start_offset: Offset) -> OpenContext {
    let high_watermark = Offset::MAX;
    OpenContext { clean, recovery_point, log_start_offset, high_watermark, now: Timestamp(5000) }
}

/// Everything that a clean stop leaves of a log of several segments and epochs, with transactions
/// that ended both ways.
fn stopped() -> Files {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(ROOT)).unwrap();
    let mut log = open(&disk, &context(false, 0, 0), false).unwrap();
    let now = Timestamp(0);
    for n in 0..40i64 {
        let (id, epoch) = (7 + n % 2, (n / 15) as i32);
        let mut builder = BatchBuilder::new(0).producer(id, 0, (n / 2 * 2) as i32);
        if n >= 2 {
            builder = builder.transactional();
        }
        for at in 0..2 {
            // Time goes back, now and then.
            let time = Timestamp(1000 + (n - n % 7 / 5 * 9) * 10 + at);
            builder.push(time, Some(&[b'k', (n % 9) as u8]), Some(&[b'x'; 30]));
        }
        let mut bytes = builder.build().unwrap();
        let header = *BatchView::first(&bytes).unwrap().header();
        if n < 2 {
            log.append_as_leader(&mut bytes, &header, epoch, now).unwrap();
            log.set_high_watermark(log.end());
            log.publish();
            continue;
        }
        let verification = match log.begin_verification(&header, false, now).unwrap() {
            Some(guard) => Verification::Guarded(guard),
            None => Verification::Ongoing,
        };
        log.append_in_transaction(&mut bytes, &header, verification, epoch, now).unwrap();
        if n % 4 >= 2 {
            let marker = Marker {
                producer_id: id,
                producer_epoch: 0,
                coordinator_epoch: 0,
                committed: n % 3 == 0,
                transaction_version: 0,
            };
            log.append_marker(&marker, epoch, Timestamp(1000 + n * 10)).unwrap();
        }
        log.set_high_watermark(log.end());
        log.publish();
    }
    log.increment_log_start_offset(START).unwrap();
    log.close().unwrap();
    let root = Path::new(ROOT);
    let checkpoint = |name: &str, offset: Offset| {
        let offsets = Offsets::from([("t", 0, offset)]);
        write_offsets(&disk, &root.join(name), &offsets).unwrap();
    };
    checkpoint(RECOVERY_POINTS, log.end());
    checkpoint(HIGH_WATERMARKS, log.end());
    checkpoint(LOG_START_OFFSETS, START);
    checkpoint(CLEANER_OFFSETS, 0);
    let of = |disk: &SimDisk, path: &Path, bytes: &[u8]| {
        (disk as &dyn Disk).replace_file(path, bytes).unwrap();
    };
    of(&disk, &root.join("meta.properties"), b"#\nversion=1\ncluster.id=c\nnode.id=1\n");
    let id = partition_metadata(Uuid([7; 16]));
    of(&disk, &Path::new(DIR).join("partition.metadata"), id.as_bytes());
    write_clean_shutdown(&disk, root, 1).unwrap();
    drop(log);
    let mut files = Files::new();
    for dir in [ROOT, DIR] {
        for entry in disk.list(Path::new(dir)).unwrap().into_iter().filter(|e| !e.is_dir) {
            let path = Path::new(dir).join(entry.name);
            let bytes = (&disk as &dyn Disk).read_file(&path).unwrap().unwrap();
            files.push((path, bytes));
        }
    }
    files
}

/// A disk that holds these files.
fn disk_with(files: &Files) -> SimDisk {
    let disk = SimDisk::new(2);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    for (path, bytes) in files {
        let file = disk.open(path, OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    }
    disk
}

/// The files with one bit flipped.
fn flipped(files: &Files, file: usize, position: usize) -> Files {
    let mut files = files.clone();
    files[file].1[position] ^= 1 << ((position * 5 + file) % 8);
    files
}

/// Calls `each` with every file whose name ends so, and every byte of it.
fn each_byte(files: &Files, suffix: &str, mut each: impl FnMut(usize, usize)) {
    let mut count = 0;
    for (at, (path, bytes)) in files.iter().enumerate() {
        if path.to_string_lossy().ends_with(suffix) {
            count += bytes.len();
            (0..bytes.len()).for_each(|position| each(at, position));
        }
    }
    assert!(count > 0, "there is a {suffix}");
}

/// What a log gives to those who read it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    records: Vec<(Offset, Timestamp, Vec<u8>)>,
    /// For each offset, that of the batch in which a read of it begins.
    begins: Vec<Offset>,
    /// For some times, the offset that they are found at.
    times: Vec<Option<Offset>>,
    newest: Option<Offset>,
    aborted: Vec<(i64, Offset, Offset)>,
    epochs: Vec<(i32, Offset)>,
    producers: Vec<(i64, i32)>,
    end: Offset,
}

fn see(log: &Log) -> Result<Seen, String> {
    let view = log.views().load_full();
    let in_words = |error: blumfeld::log::ReadError| error.to_string();
    let (mut records, mut begins) = (Vec::new(), Vec::new());
    for offset in view.log_start_offset..view.log_end_offset {
        let plan = view.read(offset, 1, UpTo::LogEnd, true).map_err(in_words)?;
        begins.push(plan.first_offset);
        if plan.first_offset != offset && offset != view.log_start_offset {
            continue;
        }
        let Some(file) = plan.file else { return Err("nothing is there".to_owned()) };
        let mut bytes = vec![0; plan.len];
        assert_eq!(file.read_at(&mut bytes, plan.position).unwrap(), plan.len);
        for batch in batch::batches(&bytes).map_while(Result::ok) {
            batch.check_crc().map_err(|error| error.to_string())?; // A client does that.
            for record in Records::of(&batch).unwrap().iter().map(Result::unwrap) {
                let value = record.value.unwrap_or_default().to_vec();
                records.push((record.offset, record.timestamp, value));
            }
        }
    }
    let find = |time| view.offset_for_timestamp(Timestamp(time)).map_err(in_words);
    let mut times = Vec::new();
    for time in (990..1420).step_by(3) {
        times.push(find(time)?.map(|found| found.offset));
    }
    let aborted = view.aborted_between(view.log_start_offset, view.log_end_offset);
    let aborted = aborted.map_err(in_words)?;
    Ok(Seen {
        records,
        begins,
        times,
        newest: view.offset_of_max_timestamp().map_err(in_words)?.map(|found| found.offset),
        aborted: aborted.iter().map(|t| (t.producer_id, t.first_offset, t.last_offset)).collect(),
        epochs: view.epochs.entries().to_vec(),
        producers: log.producers().iter().map(|(id, p)| (id, p.last_sequence())).collect(),
        end: view.log_end_offset,
    })
}

fn truth(files: &Files) -> Seen {
    let log = open(&disk_with(files), &context(true, 0, START), false).unwrap();
    let seen = see(&log).unwrap();
    assert!(seen.records.len() > 80 && seen.aborted.len() > 5 && seen.epochs.len() == 3);
    assert!(log.views().load().segments.len() > 3);
    seen
}

/// The byte of its batch, and the batch's first byte.
fn in_batch(segment: &[u8], position: usize) -> (usize, usize) {
    let mut from = 0;
    for batch in batch::batches(segment) {
        let len = batch.unwrap().bytes().len();
        if position < from + len {
            return (position - from, from);
        }
        from += len;
    }
    panic!("byte {position} is behind the last batch");
}

const LEADER_EPOCH: std::ops::Range<usize> = 12..16;
const BASE_OFFSET: std::ops::Range<usize> = 0..8;

#[test]
fn recovery_notices_a_flipped_bit_in_any_byte_of_a_segment_past_the_recovery_point() {
    let files = stopped();
    let truth = truth(&files);
    let active = files.iter().rposition(|(path, _)| path.to_string_lossy().ends_with(".log"));
    let mut moved = 0;
    each_byte(&files, ".log", |file, position| {
        let (path, bytes) = &files[file];
        let at = format!("{}, byte {position}", path.display());
        let disk = disk_with(&flipped(&files, file, position));
        let mut log = open(&disk, &context(false, 0, START), false).expect(&at);
        let (in_batch, from) = in_batch(bytes, position);
        let is_last = Some(file) == active && batch::batches(&bytes[from..]).count() == 1;
        if is_last && BASE_OFFSET.contains(&in_batch) && log.end() > truth.end {
            // No CRC covers the offset, and it leaves a gap as compaction does: however wide, since a
            // segment whose offsets are too far apart for its indexes is split.
            moved += 1;
            return;
        }
        let seen = see(&log).expect(&at);
        assert!(truth.records.starts_with(&seen.records), "{at}: another record");
        // Nothing but the file of epochs knows a batch's epoch: recovery believes the batch.
        let is_noticed = seen.end < truth.end;
        assert_eq!(is_noticed, !LEADER_EPOCH.contains(&in_batch), "{at}");
        log.close().expect(&at);
    });
    assert!(moved > 0, "nothing tells the offset of the last batch");
}

#[test]
fn the_cleaner_notices_a_flipped_bit_in_any_byte_that_a_crc_covers() {
    let files = stopped();
    let active = files.iter().rposition(|(path, _)| path.to_string_lossy().ends_with(".log"));
    each_byte(&files, ".log", |file, position| {
        let (in_batch, _) = in_batch(&files[file].1, position);
        if Some(file) == active
            || position % 3 != 0
            || BASE_OFFSET.contains(&in_batch)
            || LEADER_EPOCH.contains(&in_batch)
        {
            return;
        }
        let disk = disk_with(&flipped(&files, file, position));
        let Ok(mut log) = open(&disk, &context(true, 0, START), true) else { return };
        let end = log.views().load().segments.last().unwrap().base_offset;
        let budget = CleanerBudget { map_bytes: 1 << 16, load_factor: 0.9, read_bytes: 700 };
        let cleaned = log.begin_cleaning(0, end, budget, Timestamp(9000)).run(&mut log);
        assert!(cleaned.is_err(), "byte {position} of {}", files[file].0.display());
        assert!(log.offline().is_none(), "the log is as it was");
    });
}

#[test]
fn a_flipped_bit_in_an_index_or_a_snapshot_never_leads_to_a_wrong_record_or_offset() {
    let files = stopped();
    let truth = truth(&files);
    for suffix in [".index", ".timeindex", ".snapshot"] {
        each_byte(&files, suffix, |file, position| {
            let at = format!("{}, byte {position}", files[file].0.display());
            for clean in [true, false] {
                let disk = disk_with(&flipped(&files, file, position));
                let context = context(clean, truth.end, START);
                let log = open(&disk, &context, false).expect(&at);
                assert_eq!(see(&log).expect(&at), truth, "{at}");
                // What was made anew is sound, after a stop too.
                let mut log = log;
                log.close().expect(&at);
                drop(log);
                let again = OpenContext { clean: true, ..context };
                assert_eq!(see(&open(&disk, &again, false).unwrap()).unwrap(), truth, "{at}");
            }
        });
    }
}

#[test]
fn a_flipped_bit_in_the_index_of_aborted_transactions_is_refused_or_one_that_only_a_check_finds() {
    let files = stopped();
    let truth = truth(&files);
    let (mut refused, mut unseen) = (0, 0);
    each_byte(&files, ".txnindex", |file, position| {
        let at = format!("{}, byte {position}", files[file].0.display());
        let disk = disk_with(&flipped(&files, file, position));
        let log = open(&disk, &context(true, truth.end, START), false).expect(&at);
        match see(&log) {
            Err(error) => {
                assert!(error.contains("damaged index of aborted transactions"), "{error}");
                refused += 1;
            }
            Ok(seen) => {
                assert_eq!((&seen.records, &seen.begins), (&truth.records, &truth.begins), "{at}");
                assert!(position % 34 >= 2, "{at}: the version is looked at");
                unseen += usize::from(seen != truth);
            }
        }
    });
    assert!(refused > unseen, "{refused} refused, {unseen} not seen");
    // And whoever is told to remove it has it made anew.
    let removed: Files = files
        .iter()
        .filter(|(path, _)| {
            let name = path.to_string_lossy();
            !name.ends_with(".txnindex") && !name.ends_with(".index")
        })
        .cloned()
        .collect();
    let log = open(&disk_with(&removed), &context(true, truth.end, START), false).unwrap();
    assert_eq!(see(&log).unwrap(), truth);
}

#[test]
fn a_flipped_bit_in_the_leader_epochs_harms_no_record() {
    let files = stopped();
    let truth = truth(&files);
    each_byte(&files, "leader-epoch-checkpoint", |file, position| {
        let at = format!("byte {position}");
        let disk = disk_with(&flipped(&files, file, position));
        let log = open(&disk, &context(true, truth.end, START), false).expect(&at);
        let seen = see(&log).expect(&at);
        let is_digit = files[file].1[position].is_ascii_digit();
        assert!(seen.epochs == truth.epochs || is_digit, "{at}: {:?}", seen.epochs);
        assert_eq!(Seen { epochs: truth.epochs.clone(), ..seen }, truth, "{at}");
    });
}

#[test]
fn a_flipped_bit_in_a_checkpoint_is_taken_for_none_or_refused_or_hides_what_is_before_the_start() {
    let files = stopped();
    let truth = truth(&files);
    for name in [RECOVERY_POINTS, LOG_START_OFFSETS] {
        each_byte(&files, name, |file, position| {
            let files = flipped(&files, file, position);
            let text = std::str::from_utf8(&files[file].1).ok();
            let offsets = text.and_then(offsets_from_text).unwrap_or_default();
            let offset = offsets.get("t", 0).unwrap_or(0);
            for clean in [true, false] {
                let context = if name == RECOVERY_POINTS {
                    context(clean, offset, START)
                } else {
                    context(clean, truth.end, offset)
                };
                let at = format!("{name}, byte {position}, {offset}, clean: {clean}");
                let log = match open(&disk_with(&files), &context, false) {
                    Err(error) => {
                        assert!(clean && error.contains("one of the two is damaged"), "{error}");
                        continue;
                    }
                    Ok(log) => log,
                };
                let seen = see(&log).expect(&at);
                let from = log.log_start_offset();
                if name == RECOVERY_POINTS {
                    assert_eq!(seen, truth, "{at}");
                } else if from <= truth.end {
                    let from = from.max(START);
                    let expected = truth.records.iter().filter(|(offset, ..)| *offset >= from);
                    let seen = seen.records.iter().filter(|(offset, ..)| *offset >= from);
                    assert!(seen.eq(expected), "{at}");
                }
            }
        });
    }
}

/// What no CRC covers, no order contradicts and no other file repeats: of ARCHITECTURE.md.
fn nothing_tells(path: &Path, bytes: &[u8], position: usize) -> bool {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let line = bytes[..position].iter().filter(|byte| **byte == b'\n').count();
    if name.ends_with(".index") {
        // An offset between that of its batch and the next entry's, of a batch too.
        return position % 8 < 4;
    }
    if name.ends_with(".timeindex") {
        return position % 12 >= 8; // Another offset of the same batch, which releases before 4.0 name.
    }
    if name.ends_with("-checkpoint") && name != "leader-epoch-checkpoint" {
        return line == 2; // Of another partition, or an offset that may be.
    }
    match name.as_str() {
        "leader-epoch-checkpoint" => line == 2, // Before the log's start.
        "meta.properties" | "partition.metadata" | ".kafka_cleanshutdown" => true,
        _ => false,
    }
}

#[test]
fn the_check_finds_a_flipped_bit_in_every_byte_but_those_that_nothing_covers() {
    let files = stopped();
    let damage = |files: &Files| {
        let mut out = Vec::new();
        let args = CheckArgs { dirs: vec![PathBuf::from(ROOT)] };
        let totals = run(&args, &disk_with(files), &mut out).unwrap();
        (totals.findings, String::from_utf8(out).unwrap())
    };
    assert_eq!(damage(&files).0, 0, "{}", damage(&files).1);
    let mut unseen = std::collections::BTreeMap::<String, usize>::new();
    for (at, (path, bytes)) in files.iter().enumerate() {
        for position in 0..bytes.len() {
            let (findings, _) = damage(&flipped(&files, at, position));
            if findings == 0 {
                let told = nothing_tells(path, bytes, position);
                assert!(told, "{}, byte {position} of {}", path.display(), bytes.len());
                // Segments and snapshots are named by their offsets, the others speak for themselves.
                let name = path.file_name().unwrap().to_string_lossy();
                let kind = name.trim_start_matches(|digit: char| digit.is_ascii_digit());
                *unseen.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
    // No more than the list has, and no less.
    let kinds: Vec<_> = unseen.keys().map(String::as_str).collect();
    let listed = [
        ".index",
        ".kafka_cleanshutdown",
        ".timeindex",
        CLEANER_OFFSETS,
        LOG_START_OFFSETS,
        "meta.properties",
        "partition.metadata",
        RECOVERY_POINTS,
        HIGH_WATERMARKS,
    ];
    assert_eq!(kinds, listed, "{unseen:?}");
}
