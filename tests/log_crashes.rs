//! The log of a partition on a disk that loses power after every call, fails every call, and kills
//! the process in between: what was flushed is there afterwards, in its place, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "log_crashes/producers.rs"]
mod producers;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "log_crashes/splits.rs"]
mod splits;
#[path = "log_crashes/tails.rs"]
mod tails;
#[path = "log_crashes/transactions.rs"]
mod transactions;

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use blumfeld::env::Disk;
use blumfeld::env::OpenMode;
use blumfeld::env::sim::{Call, Crash, Fault, Rng, SimDisk};
use blumfeld::log::checkpoint::{self, Offsets, RECOVERY_POINTS};
use blumfeld::log::{
    AppendError, Appended, FlushKind, Log, LogConfig, LogShared, LogView, OpenContext, OpenFiles,
    UpTo,
};
use blumfeld::record::{BatchBuilder, BatchView, ControlType, Records};
use blumfeld::types::{Offset, Timestamp};
use seeds::seeds;

const ROOT: &str = "/data";
const DIR: &str = "/data/t-0";
const PRODUCERS: i64 = 3;

/// What the one who appends knows of the log.
#[derive(Clone, Default)]
struct Known {
    /// The batches that were appended, or may have been.
    batches: Vec<Sent>,
    /// The end after the last append that returned.
    end: Offset,
    /// Everything below was flushed.
    durable: Offset,
    /// Segments were deleted up to here, at most.
    start_max: Offset,
    /// How many things the one who appends does.
    steps: usize,
}

/// A batch as its producer knows it.
#[derive(Clone, Copy)]
struct Sent {
    base: Offset,
    count: i32,
    producer: i64,
    sequence: i32,
}

impl Sent {
    fn end(&self) -> Offset {
        self.base + i64::from(self.count)
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut builder = BatchBuilder::new(0).producer(self.producer, 0, self.sequence);
        for offset in self.base..self.end() {
            builder.push(time_at(offset), None, Some(&value_at(offset)));
        }
        builder.build().unwrap()
    }
}

fn value_at(offset: Offset) -> Vec<u8> {
    let len = 20 + (offset * 37 % 300) as usize;
    let mut value = format!("record {offset} ").into_bytes();
    value.resize(len.max(value.len()), b'.');
    value
}

fn time_at(offset: Offset) -> Timestamp {
    Timestamp(1_767_225_600_000 + offset * 10)
}

fn append(log: &mut Log, batch: &Sent) -> Result<Appended, AppendError> {
    let mut bytes = batch.to_bytes();
    let header = *BatchView::first(&bytes).unwrap().header();
    log.append_as_leader(&mut bytes, &header, 0, time_at(batch.base))
}

/// Every second seed has few segments whose indexes are longer than a sector.
fn config(seed: u64) -> Arc<LogConfig> {
    let long = seed % 2 == 1;
    Arc::new(LogConfig {
        segment_bytes: if long { 48 * 1024 } else { 4096 },
        segment_index_bytes: if long { 1 << 20 } else { 1200 },
        index_interval_bytes: if long { 0 } else { 200 },
        ..LogConfig::default()
    })
}

fn steps(seed: u64) -> usize {
    if seed % 2 == 1 { 160 } else { 60 }
}

fn shared(disk: &SimDisk) -> LogShared {
    LogShared { disk: Arc::new(disk.clone()), files: OpenFiles::new(4) }
}

fn open(disk: &SimDisk, seed: u64) -> Result<Log, String> {
    disk.create_dir_all(Path::new(ROOT)).map_err(|error| error.to_string())?;
    disk.sync_dir(Path::new("/")).map_err(|error| error.to_string())?;
    let file = Path::new(ROOT).join(RECOVERY_POINTS);
    let offsets = checkpoint::read_offsets(disk, &file).map_err(|error| error.to_string())?;
    let context = OpenContext {
        clean: false,
        recovery_point: offsets.get("t", 0).unwrap_or(0),
        log_start_offset: 0,
        high_watermark: 0,
        now: time_at(1_000_000),
    };
    let opened = Log::open(shared(disk), Path::new(DIR), config(seed), &context);
    opened.map(|(log, _)| log).map_err(|error| error.to_string())
}

fn flush(log: &mut Log, disk: &SimDisk, kind: FlushKind) -> io::Result<()> {
    let Some(job) = log.begin_flush(kind) else { return Ok(()) };
    let result = job.sync(disk);
    let told = result.as_ref().copied().map_err(|error| io::Error::from(error.kind()));
    log.finish_flush(&job, result, time_at(0));
    told
}

/// Appends, flushes and deletes as `rng` has it, until something fails.
fn work(log: &mut Log, disk: &SimDisk, known: &mut Known, rng: &mut Rng) -> Result<(), String> {
    for _ in 0..known.steps {
        match rng.below(10) {
            0 => {
                flush(log, disk, FlushKind::Records).map_err(|error| error.to_string())?;
                known.durable = log.flushed();
            }
            1 => {
                flush(log, disk, FlushKind::RecoveryPoint).map_err(|error| error.to_string())?;
                known.durable = log.flushed();
                let points = Offsets::from([("t", 0, log.recovery_point())]);
                checkpoint::write_offsets(disk, &Path::new(ROOT).join(RECOVERY_POINTS), &points)
                    .map_err(|error| error.to_string())?;
            }
            2 if log.views().load().segments.len() > 3 => {
                let second = log.views().load().segments[1].base_offset;
                known.start_max = known.start_max.max(second);
                let gone = log.take_deletable(1, time_at(0)).map_err(|error| error.to_string())?;
                log.publish();
                gone.remove().map_err(|error| error.to_string())?;
            }
            _ => {
                let producer = rng.below(PRODUCERS as u64) as i64;
                let before = known.batches.iter().rev().find(|sent| sent.producer == producer);
                let sequence = before.map_or(0, |sent| sent.sequence + sent.count);
                let count = 1 + rng.below(4) as i32;
                let batch = Sent { base: log.end(), count, producer, sequence };
                known.batches.push(batch);
                append(log, &batch).map_err(|error| error.to_string())?;
                log.set_high_watermark(log.end());
                log.publish();
                known.end = log.end();
            }
        }
    }
    Ok(())
}

/// All records from the log's start, through the view that readers use.
fn read_all(log: &Log) -> Vec<(Offset, Vec<u8>)> {
    read_view(&log.views().load_full())
}

/// All records that a view shows.
fn read_view(view: &LogView) -> Vec<(Offset, Vec<u8>)> {
    let mut found = Vec::new();
    let mut offset = view.log_start_offset;
    while offset < view.log_end_offset {
        let plan = view.read(offset, 700, UpTo::LogEnd, true).unwrap();
        let Some(file) = plan.file else { break }; // A gap before an end that begins a file.
        let mut bytes = vec![0; plan.len];
        assert_eq!(file.read_at(&mut bytes, plan.position).unwrap(), plan.len);
        let before = offset;
        for batch in blumfeld::record::batch::batches(&bytes).map_while(Result::ok) {
            batch.check_crc().unwrap();
            for record in Records::of(&batch).unwrap().iter().map(Result::unwrap) {
                if record.offset >= offset {
                    found.push((record.offset, record.value.unwrap().to_vec()));
                }
            }
            offset = batch.header().next_offset();
        }
        assert!(offset > before, "a read from {before} gives nothing");
    }
    found
}

/// What must hold of every log that was opened after a crash.
fn check(log: &mut Log, known: &Known, all_appends_survive: bool) {
    let (start, end) = (log.log_start_offset(), log.end());
    assert!(start <= known.start_max.min(end), "starts at {start}, not by {}", known.start_max);
    assert!(end >= known.durable, "ends at {end}, flushed up to {}", known.durable);
    if all_appends_survive {
        assert!(end >= known.end, "ends at {end}, appended up to {}", known.end);
    }
    let records = read_all(log);
    let mut expected = start;
    let segments = log.views().load().segments.clone();
    for (offset, value) in &records {
        // Of what was deleted a part may come back: a disk need not keep removals in their order.
        let was_deleted = *offset <= known.start_max && *offset > expected;
        // A file may have lost what was not flushed at its end while the next one did not. Nothing
        // tells that from what compaction leaves, and Kafka keeps both.
        let was_torn = !all_appends_survive
            && expected >= known.durable
            && segments.iter().any(|segment| segment.base_offset == *offset);
        let is_due = *offset == expected || was_deleted || was_torn;
        assert!(is_due, "{offset} where {expected} should be");
        assert!(*value == value_at(*offset), "offset {offset} holds another record");
        expected = offset + 1;
    }
    let begins_file = segments.last().is_some_and(|segment| segment.base_offset == end);
    let was_torn = !all_appends_survive && expected >= known.durable && begins_file;
    assert!(expected == end || was_torn, "{expected} is the end, not {end}");
    let view = log.views().load_full();
    if let Some((offset, _)) = records.get(records.len() / 2) {
        let found = view.offset_for_timestamp(time_at(*offset)).unwrap().unwrap();
        assert_eq!(found.offset, *offset, "by its timestamp");
    }
    // A retry of each producer's last batch that survived is known as one.
    for producer in 0..PRODUCERS {
        let survived = |sent: &&Sent| {
            sent.producer == producer && records.iter().any(|(offset, _)| *offset == sent.base)
        };
        let last = known.batches.iter().rev().find(survived);
        if let Some(batch) = last.filter(|sent| sent.base >= start) {
            let retried = append(log, batch).unwrap();
            assert!(retried.is_duplicate, "{} to {} appended twice", batch.base, batch.end());
            assert_eq!((retried.base_offset, log.end()), (batch.base, end));
        }
    }
}

/// Works until the power goes after `cut` changes; whether it did not.
fn run_until(seed: u64, cut: u64) -> (SimDisk, Known, bool) {
    let disk = SimDisk::new(seed);
    let mut known = Known { steps: steps(seed), ..Known::default() };
    disk.cut_power_after(cut);
    let mut rng = Rng::new(seed).fork("work");
    let worked = open(&disk, seed).and_then(|mut log| work(&mut log, &disk, &mut known, &mut rng));
    let survived = !disk.is_without_power();
    assert!(worked.is_ok() || !survived, "seed {seed}: {worked:?}");
    (disk, known, survived)
}

/// Prints how to see a failure again.
struct Replay(u64, u64, &'static str);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Replay(seed, cut, test) = self;
            eprintln!(
                "after change {cut}; replay: SEED={seed} cargo test --test log_crashes {test}"
            );
        }
    }
}

/// R12: what a power loss leaves.
#[test]
fn what_was_flushed_survives_a_power_cut_after_every_call() {
    for seed in seeds(3) {
        for cut in 1.. {
            let _replay = Replay(seed, cut, "what_was_flushed");
            let (disk, known, finished) = run_until(seed, cut);
            let mode =
                if seed % 3 == 0 { Crash::PowerLossKeepingNothing } else { Crash::PowerLoss };
            let disk = disk.crash(mode);
            let mut log = open(&disk, seed).unwrap();
            check(&mut log, &known, false);
            if finished {
                break;
            }
        }
    }
}

/// R12: what a kill leaves.
#[test]
fn every_append_survives_a_kill_after_every_call() {
    for seed in seeds(3) {
        for cut in 1.. {
            let _replay = Replay(seed, cut, "every_append_survives");
            let (disk, known, finished) = run_until(seed, cut);
            let mut log = open(&disk.crash(Crash::Kill), seed).unwrap();
            check(&mut log, &known, true);
            if finished {
                break;
            }
        }
    }
}

#[test]
fn a_power_cut_during_recovery_harms_no_more_than_the_first() {
    for seed in seeds(3) {
        let mut rng = Rng::new(seed).fork("cuts");
        for round in 0..40 {
            let cut = 1 + rng.below(150);
            let _replay = Replay(seed, cut, "a_power_cut_during_recovery");
            let (disk, mut known, _) = run_until(seed, cut);
            let mut disk = disk.crash(Crash::PowerLoss);
            for again in 0..6 {
                disk.cut_power_after(1 + rng.below(12));
                let opened = open(&disk, seed);
                disk = disk.crash(if rng.coin() { Crash::PowerLoss } else { Crash::Kill });
                assert!(opened.is_ok() || again < 6, "round {round}: {:?}", opened.err());
            }
            let mut log = open(&disk, seed).unwrap();
            check(&mut log, &known, false);
            // And the next life of the log works like the first.
            known.durable = known.durable.min(log.end());
            known.end = log.end();
            // What was not flushed may be missing between two files as well.
            let start = log.log_start_offset();
            let there: BTreeSet<Offset> =
                read_all(&log).iter().map(|(offset, _)| *offset).collect();
            known.batches.retain(|sent| sent.base < start || there.contains(&sent.base));
            let mut rng = Rng::new(seed).fork("next life");
            work(&mut log, &disk, &mut known, &mut rng).unwrap();
            check(&mut open(&disk.crash(Crash::PowerLoss), seed).unwrap(), &known, false);
        }
    }
}

#[test]
fn a_failed_call_takes_the_log_offline_or_leaves_it_whole() {
    for seed in seeds(2) {
        for (call, error) in [
            (Call::Write, Fault::eio()),
            (Call::Write, Fault::enospc()),
            (Call::SyncData, Fault::eio()),
            (Call::SyncAll, Fault::eio()),
            (Call::SyncDir, Fault::eio()),
            (Call::Open, Fault::enospc()),
            (Call::Rename, Fault::eio()),
            (Call::SetLen, Fault::enospc()),
            (Call::Read, Fault::eio()),
        ] {
            for nth in 0..400 {
                let _replay = Replay(seed, nth, "a_failed_call");
                let disk = SimDisk::new(seed);
                let mut known = Known { steps: steps(seed), ..Known::default() };
                let mut rng = Rng::new(seed).fork("work");
                let mut log = open(&disk, seed).unwrap();
                disk.inject(error.clone().on(call).path(DIR).after(nth));
                let worked = work(&mut log, &disk, &mut known, &mut rng);
                if worked.is_ok() {
                    break;
                }
                if log.offline().is_some() {
                    let batch = Sent { base: known.end, count: 1, producer: -1, sequence: -1 };
                    let more = append(&mut log, &batch);
                    assert!(more.is_err(), "{call:?} {nth}: an offline log takes nothing");
                }
                drop(log);
                let mode = if nth % 2 == 0 { Crash::Kill } else { Crash::PowerLoss };
                let mut log = open(&disk.crash(mode), seed).unwrap();
                check(&mut log, &known, false);
            }
        }
    }
}

#[test]
fn the_index_of_aborted_transactions_is_made_anew_from_the_markers() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let data = |base: Offset, producer: i64| {
        let mut builder =
            BatchBuilder::new(base).producer(producer, 0, base as i32).transactional();
        builder.push(time_at(base), None, Some(b"x"));
        builder.build().unwrap()
    };
    let marker = |base: Offset, producer: i64, kind: ControlType| {
        let mut builder =
            BatchBuilder::new(base).producer(producer, 0, -1).transactional().control();
        builder.push(time_at(base), Some(&kind.key()), Some(&[0; 6]));
        builder.build().unwrap()
    };
    let segments = [
        (0, [data(0, 1), data(1, 2), marker(2, 1, ControlType::Abort)].concat()),
        (
            3,
            [marker(3, 2, ControlType::Commit), data(4, 1), marker(5, 1, ControlType::Abort)]
                .concat(),
        ),
    ];
    for (base, bytes) in &segments {
        let path = Path::new(DIR).join(format!("{base:020}.log"));
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(&[io::IoSlice::new(bytes)], 0).unwrap();
    }
    for _ in 0..2 {
        let log = open(&disk, 0).unwrap();
        let view = log.views().load_full();
        let aborted: Vec<_> =
            view.segments.iter().map(|segment| segment.aborted().unwrap()).collect();
        let seen: Vec<Vec<_>> = aborted
            .iter()
            .map(|txns| {
                txns.iter().map(|t| (t.producer_id, t.first_offset, t.last_offset)).collect()
            })
            .collect();
        assert_eq!(seen, [vec![(1, 0, 2)], vec![(1, 4, 5)]]);
        assert_eq!(aborted[0][0].last_stable_offset, 1, "the second producer's was open");
        // Again, with an index that did not survive.
        let path = Path::new(DIR).join(format!("{:020}.txnindex", 3));
        disk.open(&path, OpenMode::Write).unwrap().set_len(0).unwrap();
    }
}

#[test]
fn what_retention_removes_stays_readable_to_whoever_read_it_and_its_flush_ends_well() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 0).unwrap();
    while log.views().load().segments.len() < 8 {
        let batch = Sent { base: log.end(), count: 4, producer: 0, sequence: log.end() as i32 };
        append(&mut log, &batch).unwrap();
        log.set_high_watermark(log.end());
        log.publish();
    }
    let view = log.views().load_full();
    let job = log.begin_flush(FlushKind::RecoveryPoint).unwrap();

    let gone = log.take_deletable(7, time_at(0)).unwrap();
    log.publish();
    gone.remove().unwrap();

    for segment in &view.segments[..7] {
        let plan = view.read(segment.base_offset, 10_000, UpTo::LogEnd, true).unwrap();
        let mut bytes = vec![0; plan.len];
        assert_eq!(plan.file.unwrap().read_at(&mut bytes, plan.position).unwrap(), plan.len);
        let first = BatchView::first(&bytes).unwrap();
        first.check_crc().unwrap();
        assert_eq!(first.header().base_offset, segment.base_offset);
    }
    let result = job.sync(&disk);
    log.finish_flush(&job, result, time_at(0));
    assert_eq!(log.offline(), None);
    assert_eq!(log.recovery_point(), log.end());
}

#[test]
fn a_flush_does_not_bring_back_epochs_that_retention_has_dropped_meanwhile() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 0).unwrap();
    for epoch in 0..8 {
        let batches = log.views().load().segments.len() + 1;
        while log.views().load().segments.len() < batches {
            let sent = Sent { base: log.end(), count: 4, producer: 0, sequence: log.end() as i32 };
            let mut bytes = sent.to_bytes();
            let header = *BatchView::first(&bytes).unwrap().header();
            log.append_as_leader(&mut bytes, &header, epoch, time_at(sent.base)).unwrap();
            log.set_high_watermark(log.end());
            log.publish();
        }
    }
    let job = log.begin_flush(FlushKind::RecoveryPoint).unwrap();
    log.take_deletable(4, time_at(0)).unwrap();
    log.publish();
    let result = job.sync(&disk);
    log.finish_flush(&job, result, time_at(0));
    assert_eq!(log.offline(), None);
    let written = shared(&disk)
        .disk
        .read_file(&Path::new(DIR).join("leader-epoch-checkpoint"))
        .unwrap()
        .unwrap();
    let epochs = log.views().load().epochs.to_text();
    assert_eq!(String::from_utf8(written).unwrap(), epochs);
    assert!(epochs.lines().count() < 2 + 8, "{epochs}");
}

/// R16.
/// R9.
#[test]
fn whoever_has_a_view_is_given_its_whole_batches_and_no_more_whatever_is_appended_meanwhile() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 2).unwrap();
    let mut rng = Rng::new(1);
    let mut views = vec![log.views().load_full()];
    for sequence in 0..200 {
        let (base, count) = (log.end(), 1 + rng.below(4) as i32);
        append(&mut log, &Sent { base, count, producer: sequence, sequence: 0 }).unwrap();
        // A view may be published after some appends, and a reader may hold it before and after.
        if rng.coin() {
            log.publish();
            views.push(log.views().load_full());
        }
    }
    assert!(log.views().load().segments.len() > 5, "the log rolled");
    for view in views {
        let read = read_view(&view);
        let expected: Vec<_> = (0..view.log_end_offset).map(|at| (at, value_at(at))).collect();
        assert_eq!(read, expected);
    }
}

#[test]
fn a_roll_without_a_descriptor_is_refused_and_the_log_goes_on_when_there_is_one() {
    const EMFILE: i32 = 24;
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 0).unwrap();
    let mut refused = 0;
    for n in 0..200 {
        let batch = Sent { base: log.end(), count: 4, producer: 0, sequence: log.end() as i32 };
        // One failure is helped by closing what is not in use, two are not.
        disk.inject(Fault::errno(EMFILE).on(Call::Open).path(DIR).after(n % 5).times(1 + n % 3));
        if let Err(error) = append(&mut log, &batch) {
            assert!(matches!(error, AppendError::NoDescriptors(_)), "{error}");
            assert_eq!(log.offline(), None);
            refused += 1;
            disk.clear_faults();
            append(&mut log, &batch).unwrap();
        }
        disk.clear_faults();
        if n % 20 == 0 {
            disk.inject(Fault::errno(EMFILE).on(Call::Open).path(DIR).times(2));
            let flushed = flush(&mut log, &disk, FlushKind::RecoveryPoint);
            assert_eq!(log.offline(), None, "{flushed:?}");
            disk.clear_faults();
        }
        log.set_high_watermark(log.end());
        log.publish();
    }
    assert!(refused > 10, "{refused} appends were refused");
    assert!(log.views().load().segments.len() > 10);
    let expected: Vec<_> = (0..800).map(|offset| (offset, value_at(offset))).collect();
    assert_eq!(read_all(&log), expected);
    log.close().unwrap();
    drop(log);
    assert_eq!(read_all(&open(&disk.crash(Crash::PowerLoss), 0).unwrap()), expected);
}

/// A log in two files, as one that was compacted leaves it: of three batches two are missing.
fn with_gaps(disk: &SimDisk) -> Vec<(Offset, Vec<u8>)> {
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let mut kept = Vec::new();
    for file in [0, 120] {
        let mut bytes = Vec::new();
        for base in (file..file + 120).step_by(12) {
            let mut batch = Sent { base, count: 4, producer: 0, sequence: base as i32 }.to_bytes();
            batch[..8].copy_from_slice(&base.to_be_bytes());
            bytes.extend(batch);
            kept.extend((base..base + 4).map(|offset| (offset, value_at(offset))));
        }
        let path = Path::new(DIR).join(format!("{file:020}.log"));
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
    }
    kept
}

#[test]
fn gaps_in_the_offsets_past_the_recovery_point_are_kept_within_a_file_and_between_two() {
    let disk = SimDisk::new(1);
    let kept = with_gaps(&disk);
    let log = open(&disk, 0).unwrap();
    assert_eq!(read_all(&log), kept);
    drop(log);
    // With the indexes that were made, too.
    assert_eq!(read_all(&open(&disk, 0).unwrap()), kept);
}

#[test]
fn a_gap_between_two_files_is_a_torn_tail_where_an_index_leads_into_it() {
    let disk = SimDisk::new(1);
    let kept = with_gaps(&disk);
    drop(open(&disk, 0).unwrap());
    // The last batch of the first file had reached offset 115.
    let index = disk.open(&Path::new(DIR).join(format!("{:020}.index", 0)), OpenMode::Write);
    let index = index.unwrap();
    let entry = [115u32.to_be_bytes(), 1_000_000u32.to_be_bytes()].concat();
    index.write_at(&[IoSlice::new(&entry)], index.len().unwrap()).unwrap();
    let log = open(&disk, 0).unwrap();
    assert_eq!((log.end(), read_all(&log)), (112, kept[..40].to_vec()));
}
