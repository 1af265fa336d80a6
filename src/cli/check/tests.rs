//! What the check finds, and what it does not take for damage.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CheckArgs, Totals, run};
use crate::env::sim::SimDisk;
use crate::env::{Disk, OpenMode};
use crate::log::checkpoint::{
    HIGH_WATERMARKS, Offsets, RECOVERY_POINTS, write_clean_shutdown, write_offsets,
};
use crate::log::{Log, LogConfig, LogShared, Marker, OpenContext, OpenFiles, Verification};
use crate::record::legacy::old_formats::{Old, segment};
use crate::record::{BatchBuilder, BatchView};
use crate::types::{Offset, Timestamp};

const ROOT: &str = "/data";
const DIR: &str = "/data/t-0";

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 2048, index_interval_bytes: 100, ..LogConfig::default() })
}

fn open(disk: &SimDisk) -> Log {
    disk.create_dir_all(Path::new(ROOT)).unwrap();
    let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(4) };
    let context = OpenContext {
        clean: false,
        recovery_point: 0,
        log_start_offset: 0,
        high_watermark: 0,
        now: Timestamp(0),
    };
    Log::open(shared, Path::new(DIR), config(), &context).unwrap().0
}

/// Segments with data, transactions that ended both ways, and epochs; stopped cleanly.
fn stopped(disk: &SimDisk) -> Offset {
    let mut log = open(disk);
    for n in 0..60 {
        let (id, epoch) = (7 + n % 2, (n / 20) as i32);
        let mut batch = BatchBuilder::new(0).producer(id, 0, (n / 2 * 2) as i32).transactional();
        for at in 0..2 {
            batch.push(Timestamp(1000 + n * 10 + at), None, Some(&[b'x'; 50]));
        }
        let mut bytes = batch.build().unwrap();
        let header = *BatchView::first(&bytes).unwrap().header();
        let verification = match log.begin_verification(&header, false, Timestamp(0)).unwrap() {
            Some(guard) => Verification::Guarded(guard),
            None => Verification::Ongoing,
        };
        log.append_in_transaction(&mut bytes, &header, verification, epoch, Timestamp(0)).unwrap();
        if n % 5 == 4 {
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
    log.close().unwrap();
    let end = log.end();
    let offsets = Offsets::from([("t", 0, end)]);
    for name in [RECOVERY_POINTS, HIGH_WATERMARKS] {
        write_offsets(disk, &Path::new(ROOT).join(name), &offsets).unwrap();
    }
    let meta = b"#\nversion=1\ncluster.id=c\nnode.id=1\n";
    (disk as &dyn Disk).replace_file(&Path::new(ROOT).join("meta.properties"), meta).unwrap();
    write_clean_shutdown(disk, Path::new(ROOT), 1).unwrap();
    end
}

fn check(disk: &SimDisk, dir: &str) -> (Vec<String>, Totals) {
    let mut out = Vec::new();
    let args = CheckArgs { dirs: vec![PathBuf::from(dir)] };
    let before = contents(disk);
    let totals = run(&args, disk, &mut out).unwrap();
    assert!(contents(disk) == before, "nothing is changed");
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len() as u64, totals.findings + 1);
    (lines, totals)
}

/// Every file with its bytes.
fn contents(disk: &SimDisk) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let names = |dir: &str| -> Vec<PathBuf> {
        let entries = disk.list(Path::new(dir)).unwrap();
        let files = entries.into_iter().filter(|entry| !entry.is_dir);
        files.map(|entry| Path::new(dir).join(entry.name)).collect()
    };
    let all = [names(ROOT), names(DIR)].concat();
    let read = |path: PathBuf| {
        let bytes = (disk as &dyn Disk).read_file(&path).unwrap();
        (path, bytes)
    };
    all.into_iter().map(read).collect()
}

fn files(disk: &SimDisk, suffix: &str) -> Vec<PathBuf> {
    let names = disk.list(Path::new(DIR)).unwrap();
    let names = names.into_iter().filter(|entry| entry.name.ends_with(suffix));
    names.map(|entry| Path::new(DIR).join(entry.name)).collect()
}

fn overwrite(disk: &SimDisk, path: &Path, position: u64, bytes: &[u8]) {
    let file = disk.open(path, OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(bytes)], position).unwrap();
}

#[test]
fn old_message_formats_and_empty_checkpoints_are_no_damage() {
    for (magic, codec) in [(0, 0), (0, 1), (1, 0), (1, 2)] {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        let old: Vec<Old> = (0..40).map(|n| Old::new(n, 1000 + n, "key", "value")).collect();
        let bytes = segment(magic, codec, &old);
        let put = |path: PathBuf, bytes: &[u8]| {
            let file = disk.open(&path, OpenMode::CreateEmpty).unwrap();
            file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        };
        let log = Path::new(DIR).join("00000000000000000000.log");
        put(log.clone(), &bytes);
        open(&disk).close().unwrap();
        for name in [RECOVERY_POINTS, HIGH_WATERMARKS, "cleaner-offset-checkpoint"] {
            put(Path::new(ROOT).join(name), &[]);
        }
        put(Path::new(DIR).join("leader-epoch-checkpoint"), &[]);
        let meta = b"#\nversion=1\ncluster.id=c\nnode.id=1\n";
        put(Path::new(ROOT).join("meta.properties"), meta);
        write_clean_shutdown(&disk, Path::new(ROOT), 1).unwrap();
        assert_eq!(check(&disk, ROOT).1.findings, 0, "{magic} {codec}: {:?}", check(&disk, ROOT).0);
        // A changed byte is one finding, as in format 2.
        for at in [16, 20, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            put(log.clone(), &changed);
            assert_eq!(check(&disk, ROOT).1.findings, 1, "{magic} {codec}, byte {at}");
        }
    }
}

#[test]
fn what_a_broker_leaves_after_a_clean_stop_is_sound() {
    let disk = SimDisk::new(1);
    stopped(&disk);
    let (lines, totals) = check(&disk, ROOT);
    assert_eq!(totals.findings, 0, "{lines:#?}");
    assert_eq!(totals.partitions, 1);
    assert!(totals.record_bytes > 8000, "{totals:?}");
    assert!(files(&disk, ".log").len() > 3 && !files(&disk, ".txnindex").is_empty());
    // The partition alone, too.
    assert_eq!(check(&disk, DIR).1, Totals { files: totals.files, ..totals });
}

#[test]
fn a_damaged_batch_is_told_with_its_file_and_its_first_byte() {
    let disk = SimDisk::new(1);
    stopped(&disk);
    let path = &files(&disk, ".log")[1];
    overwrite(&disk, path, 80, &[0xff]);
    let (lines, totals) = check(&disk, ROOT);
    assert_eq!(totals.findings, 1, "{lines:#?}");
    assert!(lines[0].starts_with(&format!("{}, byte 0: batch crc", path.display())), "{lines:#?}");
    assert!(lines[0].contains("take the partition from a replica or a backup"));
}

#[test]
fn what_a_killed_broker_leaves_is_no_damage() {
    let disk = SimDisk::new(1);
    stopped(&disk);
    // Indexes as long as Apache Kafka makes them, an index that lags behind, no mark of a clean stop.
    let (index, times) = (files(&disk, ".index"), files(&disk, ".timeindex"));
    for (paths, len) in [(&index, 800), (&times, 1200)] {
        disk.open(paths.last().unwrap(), OpenMode::Write).unwrap().set_len(len).unwrap();
    }
    disk.remove_file(&Path::new(ROOT).join(".kafka_cleanshutdown")).unwrap();
    let offsets = Offsets::from([("t", 0, 20)]);
    write_offsets(&disk, &Path::new(ROOT).join(RECOVERY_POINTS), &offsets).unwrap();
    disk.remove_file(&index[2]).unwrap();
    assert_eq!(check(&disk, ROOT).0[..1], check(&disk, ROOT).0, "nothing but the last line");
    // A torn tail is told, and what becomes of it.
    let log = files(&disk, ".log").pop().unwrap();
    let len = disk.info(&log).unwrap().unwrap().len;
    disk.open(&log, OpenMode::Write).unwrap().set_len(len - 3).unwrap();
    let (lines, totals) = check(&disk, ROOT);
    assert_eq!(totals.findings, 1, "{lines:#?}");
    assert!(lines[0].ends_with("the next start cuts the log there"), "{lines:#?}");
}

#[test]
fn indexes_are_compared_with_their_segment() {
    for (suffix, position, bytes, expected) in [
        (".index", 4, &[0, 0, 0, 9][..], "no batch begins at byte 9 of the segment"),
        (".index", 0, &[0, 0, 0, 99], "does not ascend"),
        (".timeindex", 0, &[0, 0, 0, 0, 0, 0, 0, 1], "whose batch has"),
        (".timeindex", 8, &[0, 0, 1, 0], "is behind the end of the segment"),
        (".txnindex", 2, &[0, 0, 0, 0, 0, 0, 0, 99], "producer 99"),
        (".txnindex", 10, &[0, 0, 0, 0, 0, 0, 0, 1], "which began elsewhere"),
        (".txnindex", 26, &[0, 0, 0, 0, 0, 0, 0, 1], "last stable offset 1"),
        (".txnindex", 1, &[9], "of a version that is unknown"),
    ] {
        let disk = SimDisk::new(1);
        stopped(&disk);
        let path =
            files(&disk, suffix).into_iter().find(|p| disk.info(p).unwrap().unwrap().len > 24);
        overwrite(&disk, &path.unwrap(), position, bytes);
        let (lines, totals) = check(&disk, ROOT);
        assert!(totals.findings > 0, "{suffix} {position}");
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:#?}");
        assert!(lines[..lines.len() - 1].iter().all(|line| line.contains(suffix)), "{lines:#?}");
    }
}

#[test]
fn small_files_are_compared_with_the_log() {
    let root = Path::new(ROOT);
    for (path, text, expected) in [
        (root.join(RECOVERY_POINTS), "0\n1\nt 0 9999\n", "t 0 9999: the log ends at offset"),
        (root.join(HIGH_WATERMARKS), "0\n2\nt 0 9\n", "does not hold as many lines"),
        (root.join(HIGH_WATERMARKS), "0\n1\nt 0 x9\n", ", line 3: it does not hold"),
        (root.join("meta.properties"), "version=1\n", "was not found"),
        (
            Path::new(DIR).join("leader-epoch-checkpoint"),
            "0\n1\n0 0\n",
            "by leader-epoch-checkpoint",
        ),
        (Path::new(DIR).join("leader-epoch-checkpoint"), "0\n1\n0", "rising epochs"),
        (Path::new(DIR).join("partition.metadata"), "version: 0\ntopic_id: !", "topic id"),
    ] {
        let disk = SimDisk::new(1);
        stopped(&disk);
        (&disk as &dyn Disk).replace_file(&path, text.as_bytes()).unwrap();
        let (lines, _) = check(&disk, ROOT);
        // An epoch may be wrong in either of two files.
        let is_of_file = lines[0].starts_with(&path.display().to_string());
        assert!(is_of_file || expected.contains("by leader-epoch"), "{lines:#?}");
        assert!(lines[0].contains(expected), "{expected}: {lines:#?}");
    }
}

#[test]
fn a_directory_that_a_broker_runs_on_is_not_read() {
    let disk = SimDisk::new(1);
    stopped(&disk);
    let _lock = disk.try_lock(&Path::new(ROOT).join(".lock")).unwrap().unwrap();
    let args = CheckArgs { dirs: vec![PathBuf::from(ROOT)] };
    let error = run(&args, &disk, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("a broker is running on this directory"), "{error}");
}
