//! Compaction on a disk of memory: against a map of what was written, with the power cut after every
//! change, and with every call failing.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "compaction/scenarios.rs"]
mod scenarios;
#[path = "support/seeds.rs"]
mod seeds;

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use blumfeld::env::sim::{Call, Crash, Fault, Rng, SimDisk};
use blumfeld::env::{Disk, OpenMode};
use blumfeld::log::cleaner::{CleanError, CleanerBudget};
use blumfeld::log::{FlushKind, Log, LogConfig, LogShared, OpenContext, OpenFiles, UpTo};
use blumfeld::record::control::end_transaction_value;
use blumfeld::record::record::Header;
use blumfeld::record::validate::Rules;
use blumfeld::record::{BatchBuilder, BatchView, CompressionType, ControlType, Records, batch};
use blumfeld::types::{Offset, Timestamp};
use seeds::seeds;

const DIR: &str = "/data/t-0";
const BUDGET: CleanerBudget =
    CleanerBudget { map_bytes: 1 << 20, load_factor: 0.9, read_bytes: 700 };
const CODECS: [CompressionType; 5] = [
    CompressionType::None,
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];

fn config() -> Arc<LogConfig> {
    let defaults = LogConfig::default();
    Arc::new(LogConfig {
        segment_bytes: 2048,
        index_interval_bytes: 100,
        delete: false,
        delete_retention_ms: 1000,
        rules: Rules { compacted: true, ..defaults.rules },
        ..defaults
    })
}

fn open(disk: &SimDisk) -> Log {
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(4) };
    let context = OpenContext {
        clean: false,
        recovery_point: 0,
        log_start_offset: 0,
        high_watermark: Offset::MAX,
        now: Timestamp(5000),
    };
    Log::open(shared, Path::new(DIR), config(), &context).unwrap().0
}

/// What was written, by key; nothing is a tombstone.
type Model = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A log of several segments with data of two producers, tombstones, every codec, repeated headers
/// and, in its first part, transactions; all flushed.
fn fill(disk: &SimDisk, seed: u64, model: &mut Model) -> Log {
    let mut rng = Rng::new(seed).fork("fill");
    // Transactions stand in files before the log is opened: it learns of them as recovery does.
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let mut bytes = Vec::new();
    let (mut offset, mut sequence) = (0, 0);
    for _ in 0..10 {
        let aborts = rng.coin();
        for _ in 0..=rng.below(3) {
            let codec = CODECS[rng.below(5) as usize];
            let mut builder = BatchBuilder::new(offset)
                .producer(7, 0, sequence)
                .transactional()
                .compression(codec, None);
            let key = format!("k{}", rng.below(12)).into_bytes();
            let value = format!("{offset} in a transaction").into_bytes();
            builder.push(Timestamp(offset), Some(&key), Some(&value));
            if !aborts {
                model.insert(key, Some(value));
            }
            bytes.extend(builder.build().unwrap());
            (offset, sequence) = (offset + 1, sequence + 1);
        }
        let kind = if aborts { ControlType::Abort } else { ControlType::Commit };
        let mut marker = BatchBuilder::new(offset).producer(7, 0, -1).transactional().control();
        marker.push(Timestamp(offset), Some(&kind.key()), Some(&end_transaction_value(0)));
        bytes.extend(marker.build().unwrap());
        offset += 1;
    }
    let path = Path::new(DIR).join(format!("{:020}.log", 0));
    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
    file.sync_all().unwrap();
    let mut log = open(disk);
    let mut sequence = 0;
    for _ in 0..60 {
        let count = 1 + rng.below(4) as i32;
        let mut builder = BatchBuilder::new(0)
            .producer(9, 0, sequence)
            .compression(CODECS[rng.below(5) as usize], None);
        for at in 0..count {
            let key = format!("k{}", rng.below(20)).into_bytes();
            let len = 1 + rng.below(120) as usize;
            let value = (rng.below(5) > 0).then(|| vec![b'a' + at as u8; len]);
            let headers =
                [Header { key: b"h", value: Some(b"1") }, Header { key: b"h", value: None }];
            let time = Timestamp(log.end() + i64::from(at));
            builder.push_with_headers(time, Some(&key), value.as_deref(), &headers);
            model.insert(key, value);
        }
        sequence += count;
        let mut bytes = builder.build().unwrap();
        let header = *BatchView::first(&bytes).unwrap().header();
        log.append_as_leader(&mut bytes, &header, 0, Timestamp(0)).unwrap();
    }
    log.roll(Timestamp(0)).unwrap();
    log.set_high_watermark(log.end());
    let job = log.begin_flush(FlushKind::RecoveryPoint).unwrap();
    let synced = job.sync(disk);
    log.finish_flush(&job, synced, Timestamp(0));
    log.publish();
    log
}

/// Cleans all of the log but its active segment.
fn clean(
    log: &mut Log,
    from: Offset,
    budget: CleanerBudget,
    now: i64,
) -> Result<Offset, CleanError> {
    let end = log.views().load().segments.last().unwrap().base_offset;
    log.begin_cleaning(from, end, budget, Timestamp(now)).run(log)
}

/// Every record that a read_committed consumer is given, through the view that readers use.
fn read(log: &Log) -> Vec<(Offset, Vec<u8>, Option<Vec<u8>>, usize)> {
    let view = log.views().load_full();
    let aborted = view.aborted_between(view.log_start_offset, view.log_end_offset).unwrap();
    let (mut found, mut offset) = (Vec::new(), view.log_start_offset);
    while offset < view.log_end_offset {
        let plan = view.read(offset, 500, UpTo::LogEnd, true).unwrap();
        let Some(file) = plan.file else { break };
        let mut bytes = vec![0; plan.len];
        assert_eq!(file.read_at(&mut bytes, plan.position).unwrap(), plan.len);
        for batch in batch::batches(&bytes).map_while(Result::ok) {
            batch.check_crc().unwrap();
            let header = batch.header();
            assert!(header.next_offset() > offset, "offsets ascend");
            offset = header.next_offset();
            let is_aborted = header.attributes.is_transactional()
                && aborted.iter().any(|txn| {
                    txn.producer_id == header.producer_id
                        && (txn.first_offset..txn.last_offset).contains(&header.base_offset)
                });
            if header.attributes.is_control() || is_aborted {
                continue;
            }
            for record in Records::of(&batch).unwrap().iter().map(Result::unwrap) {
                let (key, value) = (record.key.unwrap().to_vec(), record.value.map(<[u8]>::to_vec));
                found.push((record.offset, key, value, record.headers.len()));
            }
        }
    }
    found
}

/// Whoever reads the whole log ends with the last value of every key.
fn check(log: &Log, model: &Model) {
    let mut last = Model::new();
    for (_, key, value, _) in read(log) {
        last.insert(key, value);
    }
    let live = |model: &Model| -> Model {
        model.iter().filter(|(_, v)| v.is_some()).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    assert_eq!(live(&last), live(model));
}

#[test]
fn a_cleaned_log_holds_the_last_record_of_each_key_once_where_it_was() {
    for seed in seeds(20) {
        let (disk, mut model) = (SimDisk::new(seed), Model::new());
        let mut log = fill(&disk, seed, &mut model);
        let before = read(&log);
        let (end, size) = (log.end(), log.views().load().size_bytes());
        assert_eq!(clean(&mut log, 0, BUDGET, 10_000).unwrap(), end);
        check(&log, &model);
        let after = read(&log);
        assert_eq!(after.len(), model.len(), "seed {seed}: tombstones stay for a while");
        assert!(after.iter().all(|record| before.contains(record)), "offsets and headers stay");
        assert!(log.views().load().size_bytes() < size);

        // Tombstones and markers go once their horizon has passed, not before.
        clean(&mut log, 0, BUDGET, 10_999).unwrap();
        assert_eq!(read(&log).len(), model.len());
        clean(&mut log, 0, BUDGET, 11_000).unwrap();
        assert!(read(&log).iter().all(|(_, _, value, _)| value.is_some()), "seed {seed}");
        check(&log, &model);

        // And a start after it finds the same, the producer's sequence too.
        let last = log.producers().get(9).map(|producer| producer.last_sequence());
        drop(log);
        let log = open(&disk.crash(Crash::PowerLoss));
        check(&log, &model);
        assert_eq!(log.producers().get(9).map(|p| p.last_sequence()), last);
        assert_eq!(log.end(), end);
    }
}

#[test]
fn a_full_offset_map_cleans_a_part_and_the_next_pass_the_rest() {
    for seed in seeds(5) {
        let (disk, mut model) = (SimDisk::new(seed), Model::new());
        let mut log = fill(&disk, seed, &mut model);
        let budget = CleanerBudget { map_bytes: 24 * 6, ..BUDGET };
        let (mut from, mut passes) = (0, 0);
        while from < log.end() {
            let to = clean(&mut log, from, budget, 10_000).unwrap();
            assert!(to > from, "a pass comes further than {from}");
            check(&log, &model);
            (from, passes) = (to, passes + 1);
        }
        assert!(passes > 1);
    }
}

#[test]
fn a_reader_that_began_before_the_swap_finishes_on_the_old_segments() {
    let (disk, mut model) = (SimDisk::new(1), Model::new());
    let mut log = fill(&disk, 1, &mut model);
    let old = log.views().load_full();
    let size = old.size_bytes();
    clean(&mut log, 0, BUDGET, 10_000).unwrap();
    let (mut offset, mut seen) = (0, 0);
    while offset < old.log_end_offset {
        let plan = old.read(offset, 500, UpTo::LogEnd, true).unwrap();
        let mut bytes = vec![0; plan.len];
        plan.file.unwrap().read_at(&mut bytes, plan.position).unwrap();
        for batch in batch::batches(&bytes).map_while(Result::ok) {
            seen += batch.bytes().len() as u64;
            offset = batch.header().next_offset();
        }
    }
    assert_eq!(seen, size);
}

/// C10, R17.
#[test]
fn a_power_cut_after_every_change_of_a_cleaning_loses_no_last_value() {
    for seed in seeds(3) {
        for cut in 1.. {
            let (disk, mut model) = (SimDisk::new(seed), Model::new());
            let mut log = fill(&disk, seed, &mut model);
            let end = log.end();
            disk.cut_power_after(cut);
            // The second pass removes tombstones: an old value must not come back.
            let cleaned =
                clean(&mut log, 0, BUDGET, 10_000).and_then(|_| clean(&mut log, 0, BUDGET, 20_000));
            drop(log);
            let mode = match cut % 3 {
                0 => Crash::PowerLossKeepingNothing,
                1 => Crash::PowerLoss,
                _ => Crash::Kill,
            };
            let disk = disk.crash(mode);
            // Recovery is cut as well, now and then.
            disk.cut_power_after(1 + cut % 7);
            let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(4) };
            let context = OpenContext {
                clean: false,
                recovery_point: 0,
                log_start_offset: 0,
                high_watermark: Offset::MAX,
                now: Timestamp(5000),
            };
            drop(Log::open(shared, Path::new(DIR), config(), &context));
            let log = open(&disk.crash(Crash::PowerLoss));
            assert_eq!(log.end(), end, "seed {seed}, change {cut}");
            check(&log, &model);
            if cleaned.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_call_that_fails_leaves_the_log_whole() {
    for (call, error) in [
        (Call::Write, Fault::enospc()),
        (Call::Open, Fault::enospc()),
        (Call::SyncData, Fault::eio()),
        (Call::SyncDir, Fault::eio()),
        (Call::Rename, Fault::eio()),
        (Call::Read, Fault::eio()),
        (Call::RemoveFile, Fault::eio()),
    ] {
        for nth in 0..200 {
            let (disk, mut model) = (SimDisk::new(3), Model::new());
            let mut log = fill(&disk, 3, &mut model);
            disk.inject(error.clone().on(call).path(DIR).after(nth));
            let cleaned = clean(&mut log, 0, BUDGET, 10_000);
            disk.clear_faults();
            check(&log, &model);
            drop(log);
            let log = open(&disk.crash(if nth % 2 == 0 { Crash::Kill } else { Crash::PowerLoss }));
            check(&log, &model);
            if cleaned.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_damaged_batch_ends_the_cleaning_and_nothing_is_replaced() {
    let (disk, mut model) = (SimDisk::new(4), Model::new());
    let mut log = fill(&disk, 4, &mut model);
    let segment = Arc::clone(&log.views().load().segments[1]);
    let file = disk.open(&segment.path(), OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(&[0xff])], 66).unwrap();
    let names = |disk: &SimDisk| -> Vec<String> {
        disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    let before = names(&disk);
    assert!(matches!(clean(&mut log, 0, BUDGET, 10_000), Err(CleanError::Io(_))));
    assert!(log.offline().is_none());
    assert_eq!(names(&disk), before);
}
