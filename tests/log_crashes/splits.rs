//! Segments whose offsets are too far apart for their indexes: split by recovery, whatever crashes in
//! between.

use blumfeld::log::OpenError;

use super::*;

const FAR: Offset = 3_000_000_000;

fn batch_at(offset: Offset) -> Vec<u8> {
    let mut builder = BatchBuilder::new(offset);
    builder.push(time_at(offset), None, Some(&value_at(offset)));
    builder.build().unwrap()
}

/// A directory with one segment from offset 0 on, synced, that has these offsets.
fn dir_with(offsets: &[Offset]) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    write(
        &disk,
        "00000000000000000000.log",
        &offsets.iter().copied().flat_map(batch_at).collect::<Vec<_>>(),
    );
    for dir in ["/", ROOT, DIR] {
        disk.sync_dir(Path::new(dir)).unwrap();
    }
    disk
}

fn write(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let file = disk.open(&Path::new(DIR).join(name), OpenMode::CreateEmpty).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    file.sync_data().unwrap();
}

fn open_at(disk: &SimDisk, recovery_point: Offset) -> Result<Log, OpenError> {
    let context = OpenContext {
        clean: false,
        recovery_point,
        log_start_offset: 0,
        high_watermark: 0,
        now: time_at(1_000_000),
    };
    let config = LogConfig { index_interval_bytes: 0, ..LogConfig::default() };
    Log::open(shared(disk), Path::new(DIR), Arc::new(config), &context).map(|(log, _)| log)
}

/// All offsets, each found by itself as well.
fn offsets(log: &Log) -> Vec<Offset> {
    let view = log.views().load_full();
    let all: Vec<_> = read_view(&view).iter().map(|(offset, _)| *offset).collect();
    for offset in &all {
        let plan = view.read(*offset, 1, UpTo::LogEnd, true).unwrap();
        assert_eq!(plan.first_offset, *offset);
        let found = view.offset_for_timestamp(time_at(*offset)).unwrap().unwrap();
        assert_eq!(found.offset, *offset);
    }
    all
}

fn bases(log: &Log) -> Vec<Offset> {
    log.views().load().segments.iter().map(|segment| segment.base_offset).collect()
}

#[test]
fn offsets_too_far_apart_are_split_wherever_the_recovery_point_is() {
    let max = Offset::from(i32::MAX);
    let cases: [(&[Offset], &[Offset]); 5] = [
        (&[0, 1, FAR, FAR + 1, 3 * FAR], &[0, FAR, 3 * FAR]),
        (&[0, max, max + 1], &[0, max + 1]),
        // The first part keeps the name, though nothing fits into it.
        (&[FAR, FAR + max, FAR + max + 1], &[0, FAR, FAR + max + 1]),
        (&[5, max + 5], &[0, max + 5]),
        (&[0, 1, max], &[0]),
    ];
    for (written, expected) in cases {
        let end = written.last().unwrap() + 1;
        for recovery_point in [0, 1, 2, FAR, end - 1, end, end + 5] {
            let disk = dir_with(written);
            let mut log = open_at(&disk, recovery_point).unwrap();
            assert_eq!((offsets(&log), log.end()), (written.to_vec(), end), "{recovery_point}");
            assert_eq!(bases(&log), expected, "{written:?} from {recovery_point}");
            let sent = Sent { base: end, count: 2, producer: 1, sequence: 0 };
            append(&mut log, &sent).unwrap();
            drop(log);
            let again = open_at(&disk.crash(Crash::Kill), recovery_point).unwrap();
            assert_eq!((again.end(), &bases(&again)[..expected.len()]), (end + 2, expected));
        }
    }
}

#[test]
fn a_split_is_dropped_or_completed_after_a_crash_at_every_call() {
    let written = [0, 1, FAR, FAR + 1, 3 * FAR, 3 * FAR + 1];
    for mode in [Crash::Kill, Crash::PowerLoss, Crash::PowerLossKeepingNothing] {
        let mut crashed = 0;
        for cut in 1.. {
            let disk = dir_with(&written);
            write(&disk, "00000000000000000000.index", &[0, 0, 0, 1, 0, 0, 0, 9]);
            disk.cut_power_after(cut);
            let finished = open_at(&disk, 0).is_ok() && !disk.is_without_power();
            let mut disk = disk.crash(mode);
            if finished {
                break;
            }
            // And once more while the first crash is repaired.
            for second in [1 + cut % 5, 1 + cut % 11] {
                disk.cut_power_after(second);
                let _ = open_at(&disk, 0);
                disk = disk.crash(mode);
            }
            let log = open_at(&disk, 0).unwrap();
            assert_eq!(offsets(&log), written, "{mode:?} after change {cut}");
            assert_eq!(bases(&log), [0, FAR, 3 * FAR], "{mode:?} after change {cut}");
            let names = disk.list(Path::new(DIR)).unwrap();
            let is_left = |name: &str| name.ends_with(".swap") || name.ends_with(".cleaned");
            assert!(!names.iter().any(|entry| is_left(&entry.name)), "{names:?}");
            crashed += 1;
        }
        assert!(crashed > 10, "{crashed}");
    }
}

#[test]
fn a_torn_tail_after_a_split_is_cut_and_a_split_never_replaces_the_next_file() {
    let written = [0, FAR, FAR + 1];
    let disk = dir_with(&written);
    let mut bytes: Vec<u8> = written.iter().copied().flat_map(batch_at).collect();
    bytes.extend(&batch_at(3 * FAR)[..40]);
    write(&disk, "00000000000000000000.log", &bytes);
    let log = open_at(&disk, 0).unwrap();
    assert_eq!((offsets(&log), bases(&log)), (written.to_vec(), vec![0, FAR]));
    // Below the recovery point it is damage, and nothing is touched.
    let disk = dir_with(&written);
    write(&disk, "00000000000000000000.log", &bytes);
    assert!(matches!(open_at(&disk, 3 * FAR), Err(OpenError::Damaged { .. })));
    assert_eq!(
        disk.info(&Path::new(DIR).join("00000000000000000000.log")).unwrap().unwrap().len,
        bytes.len() as u64
    );
    // Files that overlap are damage too.
    let disk = dir_with(&[0, 1, FAR, FAR + 1]);
    write(&disk, "00000000003000000001.log", &batch_at(FAR + 1));
    assert!(matches!(open_at(&disk, 0), Err(OpenError::Damaged { .. })));
}
