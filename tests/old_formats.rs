//! Logs whose first segments are of message formats 0 and 1, as directories from before Kafka 0.11
//! have them: opened after every kind of stop, read, looked up, appended to, copied, compacted, and
//! damaged in every byte.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/old_formats.rs"]
mod old_formats;

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use blumfeld::env::sim::{Crash, SimDisk};
use blumfeld::env::{Disk, OpenMode};
use blumfeld::log::cleaner::CleanerBudget;
use blumfeld::log::{
    Log, LogConfig, LogShared, LogView, OpenContext, OpenError, OpenFiles, RecoveryReport, UpTo,
};
use blumfeld::record::batch::stored_batches;
use blumfeld::record::validate::Rules;
use blumfeld::record::{BatchBuilder, BatchView, Records};
use blumfeld::types::{Offset, Timestamp};
use old_formats::{Old, segment, wrapper};

const DIR: &str = "/data/t-0";
const FIRST: &str = "00000000000000000000.log";
const START: i64 = 1_400_000_000_000;
const NOW: Timestamp = Timestamp(START + 1_000_000);
/// Messages of a segment.
const COUNT: i64 = 43;

/// Every format with every codec, from 0: magic and codec.
const KINDS: [(u8, u8); 8] = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)];

fn messages(from: i64) -> Vec<Old> {
    let one = |n| Old::new(n, START + n * 10, &format!("key {}", n % 7), &format!("value {n}"));
    (from..from + COUNT).map(one).collect()
}

fn write(disk: &SimDisk, dir: &str, name: &str, bytes: &[u8]) {
    let file = disk.open(&Path::new(dir).join(name), OpenMode::CreateEmpty).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    file.sync_data().unwrap();
}

/// A directory with one segment of `kind`, and another one after it.
fn old_dir((magic, codec): (u8, u8)) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    write(&disk, DIR, FIRST, &segment(magic, codec, &messages(0)));
    write(&disk, DIR, &format!("{COUNT:020}.log"), &segment(magic, codec, &messages(COUNT)));
    for dir in ["/", "/data", DIR] {
        disk.sync_dir(Path::new(dir)).unwrap();
    }
    disk
}

fn open_in(
    disk: &SimDisk,
    dir: &str,
    clean: bool,
    recovery_point: Offset,
) -> Result<(Log, RecoveryReport), OpenError> {
    let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(8) };
    let context = OpenContext {
        clean,
        recovery_point,
        log_start_offset: 0,
        high_watermark: Offset::MAX,
        now: NOW,
    };
    let defaults = LogConfig::default();
    let config = LogConfig {
        index_interval_bytes: 100,
        delete_retention_ms: 1000,
        rules: Rules { compacted: true, ..defaults.rules },
        ..defaults
    };
    Log::open(shared, Path::new(dir), Arc::new(config), &context)
}

fn open(disk: &SimDisk, clean: bool, recovery_point: Offset) -> Log {
    open_in(disk, DIR, clean, recovery_point).unwrap().0
}

/// All records from `offset` on, as a consumer reads them.
fn read_from(view: &LogView, mut offset: Offset) -> Vec<Old> {
    let mut all = Vec::new();
    while offset < view.log_end_offset {
        let plan = view.read(offset, 300, UpTo::LogEnd, true).unwrap();
        let Some(file) = plan.file else { break };
        let mut bytes = vec![0; plan.len];
        assert_eq!(file.read_at(&mut bytes, plan.position).unwrap(), plan.len);
        let before = offset;
        for batch in stored_batches(&bytes).map_while(Result::ok) {
            batch.check_crc().unwrap();
            for record in Records::of(&batch).unwrap().iter().map(Result::unwrap) {
                if record.offset >= offset {
                    let (key, value) = (record.key.map(Vec::from), record.value.map(Vec::from));
                    all.push(Old {
                        offset: record.offset,
                        timestamp: record.timestamp.0,
                        key,
                        value,
                    });
                }
            }
            offset = batch.header().next_offset();
        }
        assert!(offset > before, "a read from {before} returns nothing");
    }
    all
}

fn expected(magic: u8) -> Vec<Old> {
    let mut all = [messages(0), messages(COUNT)].concat();
    if magic == 0 {
        all.iter_mut().for_each(|message| message.timestamp = -1);
    }
    all
}

fn append(log: &mut Log, timestamp: i64) {
    let mut builder = BatchBuilder::new(0);
    builder.push(Timestamp(timestamp), Some(b"key 1"), Some(b"new"));
    let mut bytes = builder.build().unwrap();
    let header = *BatchView::first(&bytes).unwrap().header();
    log.append_as_leader(&mut bytes, &header, 0, NOW).unwrap();
    log.set_high_watermark(log.end());
    log.publish();
}

/// What must hold of the log of [`old_dir`], whatever happened to its indexes.
fn check(log: &Log, magic: u8, when: &str) {
    let view = log.views().load_full();
    let all = expected(magic);
    assert_eq!(read_from(&view, 0), all, "{when}");
    assert_eq!((view.log_start_offset, view.log_end_offset), (0, 2 * COUNT), "{when}");
    for from in 0..2 * COUNT {
        assert_eq!(read_from(&view, from), all[from as usize..], "{when}, from {from}");
        let found = view.offset_for_timestamp(Timestamp(START + from * 10 - 5)).unwrap();
        // Messages of format 0 have no time.
        assert_eq!(found.map(|found| found.offset), (magic == 1).then_some(from), "{when}");
        assert!(found.is_none_or(|found| found.leader_epoch.is_none()));
    }
    let newest = view.offset_of_max_timestamp().unwrap().map(|found| found.offset);
    assert_eq!(newest, (magic == 1).then_some(2 * COUNT - 1), "{when}");
}

#[test]
fn old_segments_are_whole_after_every_kind_of_stop_and_take_new_batches() {
    for kind in KINDS {
        for (clean, point) in
            [(true, 2 * COUNT), (false, 0), (false, 7), (false, COUNT), (false, 2 * COUNT)]
        {
            let when = format!("{kind:?}, clean: {clean}, recovery point {point}");
            let disk = old_dir(kind);
            let (mut log, report) = open_in(&disk, DIR, clean, point).unwrap();
            assert_eq!(report.cut, None, "{when}");
            check(&log, kind.0, &when);
            assert_eq!(log.views().load().epochs.latest(), None, "{when}");
            log.close().unwrap();
            drop(log);
            // With the indexes that it has now, and then appended to in the same segment.
            let mut log = open(&disk, clean, point);
            check(&log, kind.0, &when);
            append(&mut log, NOW.0);
            assert_eq!(log.views().load().segments.len(), 2, "{when}");
            drop(log);
            let again = open(&disk.crash(Crash::Kill), false, point);
            let all = read_from(&again.views().load(), 0);
            assert_eq!(all.len() as i64, 2 * COUNT + 1, "{when}");
            assert_eq!(again.views().load().epochs.entries(), [(0, 2 * COUNT)], "{when}");
            let found = again.views().load().offset_for_timestamp(NOW).unwrap();
            assert_eq!(found.unwrap().offset, 2 * COUNT, "{when}");
        }
    }
}

#[test]
fn an_index_of_an_old_release_may_name_the_first_offset_of_a_wrapper() {
    let bytes = segment(1, 1, &messages(0));
    let second = wrapper(1, 1, &messages(0)[..5]).len() as u32;
    let mut index = 5u32.to_be_bytes().to_vec();
    index.extend(second.to_be_bytes());
    let disk = old_dir((1, 1));
    write(&disk, DIR, FIRST, &bytes);
    write(&disk, DIR, "00000000000000000000.index", &index);
    let mut times = (START + (COUNT - 1) * 10).to_be_bytes().to_vec();
    times.extend((COUNT as u32 - 1).to_be_bytes());
    write(&disk, DIR, "00000000000000000000.timeindex", &times);
    let log = open(&disk, true, 2 * COUNT);
    check(&log, 1, "with such an index");
    let path = Path::new(DIR).join("00000000000000000000.index");
    let mut bytes = vec![0; 100];
    let file = disk.open(&path, OpenMode::Read).unwrap();
    let got = file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes[..got], index, "it is not damaged");
}

#[test]
fn a_torn_tail_of_an_old_segment_is_cut_and_damage_below_the_recovery_point_is_reported() {
    for kind in KINDS {
        let whole = segment(kind.0, kind.1, &messages(COUNT));
        let name = format!("{COUNT:020}.log");
        for len in (0..whole.len()).step_by(13) {
            let disk = old_dir(kind);
            write(&disk, DIR, &name, &whole[..len]);
            let (log, report) = open_in(&disk, DIR, false, COUNT).unwrap();
            let kept: Vec<_> = stored_batches(&whole[..len]).map_while(Result::ok).collect();
            let end = kept.last().map_or(COUNT, |batch| batch.header().next_offset());
            assert_eq!(log.end(), end, "{kind:?} cut at {len}");
            let left = kept.iter().map(|batch| batch.bytes().len()).sum::<usize>();
            assert_eq!(report.cut.map_or(0, |cut| cut.bytes) as usize, len - left);
            let opened = open_in(&old_dir_cut(kind, &whole[..len]), DIR, false, 2 * COUNT);
            let is_whole = left == len;
            assert_eq!(matches!(opened, Err(OpenError::Damaged { .. })), !is_whole, "{len}");
        }
    }
}

fn old_dir_cut(kind: (u8, u8), second: &[u8]) -> SimDisk {
    let disk = old_dir(kind);
    write(&disk, DIR, &format!("{COUNT:020}.log"), second);
    disk
}

#[test]
fn a_changed_byte_in_an_old_segment_is_never_a_panic_nor_a_record() {
    for kind in KINDS {
        let whole = segment(kind.0, kind.1, &messages(COUNT));
        for at in (0..whole.len()).step_by(29).chain(0..30) {
            for bit in [1, 0x80] {
                let mut changed = whole.clone();
                changed[at] ^= bit;
                let disk = old_dir_cut(kind, &changed);
                let (log, _) = open_in(&disk, DIR, false, 0).unwrap();
                let view = log.views().load_full();
                let found = read_from(&view, 0);
                // Only the offset of a message lies outside its CRC, and that must still rise.
                let written = expected(kind.0);
                let mut rest = written.iter();
                for one in &found {
                    assert!(rest.any(|m| m.value == one.value), "{kind:?}, byte {at}: {one:?}");
                }
                assert!(found.is_sorted_by(|a, b| a.offset < b.offset), "{kind:?}, byte {at}");
                // And where nothing was checked.
                if let Ok((log, _)) = open_in(&old_dir_cut(kind, &changed), DIR, true, 0) {
                    let view = log.views().load_full();
                    for offset in [0, COUNT, COUNT + 7, 2 * COUNT - 1] {
                        let _ = view.read(offset, 1 << 20, UpTo::LogEnd, true);
                        let _ = view.offset_for_timestamp(Timestamp(START + offset * 10));
                    }
                    let _ = view.offset_of_max_timestamp();
                }
            }
        }
    }
}

fn clean(log: &mut Log, from: Offset, now: i64) -> Result<Offset, String> {
    log.roll(NOW).unwrap();
    log.publish();
    let budget = CleanerBudget { map_bytes: 1 << 20, load_factor: 0.9, read_bytes: 300 };
    let first_uncleanable = log.views().load().segments.last().unwrap().base_offset;
    let pass = log.begin_cleaning(from, first_uncleanable, budget, Timestamp(now));
    pass.run(log).map_err(|error| error.to_string())
}

#[test]
fn the_cleaner_writes_what_is_left_of_old_messages_in_format_2() {
    for kind in KINDS {
        let disk = old_dir(kind);
        let mut log = open(&disk, false, 0);
        append(&mut log, NOW.0);
        assert_eq!(clean(&mut log, 0, NOW.0), Ok(2 * COUNT + 1));
        let view = log.views().load_full();
        let mut left = expected(kind.0);
        let last_of_key_1 = left.iter().rposition(|m| m.key.as_deref() == Some(b"key 1")).unwrap();
        left.drain(..left.len() - 7);
        left.retain(|message| message.offset != last_of_key_1 as i64);
        let all = read_from(&view, 0);
        assert_eq!(all[..6], left, "{kind:?}");
        assert_eq!((all.len(), all[6].offset), (7, 2 * COUNT), "{kind:?}");
        let cleaned = view.read(0, 1 << 20, UpTo::LogEnd, true).unwrap();
        let mut bytes = vec![0; cleaned.len];
        cleaned.file.unwrap().read_at(&mut bytes, cleaned.position).unwrap();
        for batch in stored_batches(&bytes).map(Result::unwrap) {
            let header = batch.header();
            assert_eq!(header.magic, 2);
            let codec = header.attributes.compression().unwrap() as u8;
            assert!(codec == kind.1 || header.leader_epoch == 0, "the codec stays");
        }
        drop(view);
        drop(log);
        let log = open(&disk.crash(Crash::PowerLoss), false, 0);
        assert_eq!(read_from(&log.views().load(), 0), all, "{kind:?}");
    }
}

#[test]
fn old_tombstones_get_a_delete_horizon_and_messages_without_a_key_go() {
    let tombstone =
        |offset, key: &[u8]| Old { offset, timestamp: START, key: Some(key.to_vec()), value: None };
    for codec in 0..4 {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        let keyless = Old { key: None, ..Old::new(2, START, "", "nobody's") };
        let old = [Old::new(0, START, "a", "1"), tombstone(1, b"a"), keyless, tombstone(3, b"b")];
        write(&disk, DIR, FIRST, &segment(1, codec, &old));
        let mut log = open(&disk, false, 0);
        append(&mut log, NOW.0);
        clean(&mut log, 0, NOW.0).unwrap();
        let offsets = |log: &Log| {
            read_from(&log.views().load(), 0).iter().map(|m| m.offset).collect::<Vec<_>>()
        };
        assert_eq!(offsets(&log), [1, 3, 4], "{codec}");
        clean(&mut log, 0, NOW.0 + 999).unwrap();
        assert_eq!(offsets(&log), [1, 3, 4], "{codec}");
        clean(&mut log, 0, NOW.0 + 1000).unwrap();
        assert_eq!(offsets(&log), [4], "{codec}");
    }
}

#[test]
fn a_copy_of_an_old_log_has_its_bytes_and_its_end() {
    for kind in KINDS {
        let disk = old_dir(kind);
        let mut log = open(&disk, false, 0);
        append(&mut log, NOW.0);
        log.increment_log_start_offset(7).unwrap();
        log.publish();
        let view = log.views().load_full();
        let begins_at = Log::copy_begins_at(&view).unwrap();
        assert_eq!(begins_at, if kind.1 == 0 { 7 } else { 5 }, "{kind:?}");
        let dir = "/data2/t-0";
        disk.create_dir_all(Path::new("/data2")).unwrap();
        let shared = LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(8) };
        let context = OpenContext {
            clean: false,
            recovery_point: 0,
            log_start_offset: begins_at,
            high_watermark: 0,
            now: NOW,
        };
        let config = LogConfig { segment_bytes: 700, ..LogConfig::default() };
        let mut copy = Log::open(shared, Path::new(dir), Arc::new(config), &context).unwrap().0;
        while copy.copy_from(&view, 250, NOW).unwrap() > 0 {}
        assert_eq!(copy.end(), log.end(), "{kind:?}");
        let copied = copy.views().load_full();
        assert_eq!(read_from(&copied, 7), read_from(&view, 7), "{kind:?}");
        assert!(copied.segments.len() > 1);
        if kind.1 != 0 {
            // Named after the first message of a wrapper.
            assert!(
                copied.segments.iter().all(|s| s.base_offset % 5 == 0 || s.base_offset >= COUNT)
            );
        }
    }
}
