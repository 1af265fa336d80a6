//! What a log knows of its producers, and what of it outlives refusals, deletions, truncation, and
//! the process: the cases in which Apache Kafka has stored a retry twice, or refused a producer
//! that had done nothing wrong.

use std::collections::BTreeMap;

use blumfeld::log::producers::Producers;
use blumfeld::log::{Marker, Verification};
use blumfeld::record::BatchHeader;
use blumfeld::types::{ErrorCode, ProducerEpoch, ProducerId, Sequence};

use super::*;

const ID: ProducerId = 7;

/// A batch of `count` records.
fn batch(
    (id, epoch): (ProducerId, ProducerEpoch),
    sequence: Sequence,
    count: i32,
    in_transaction: bool,
) -> (Vec<u8>, BatchHeader) {
    let mut builder = BatchBuilder::new(0).producer(id, epoch, sequence);
    if in_transaction {
        builder = builder.transactional();
    }
    for _ in 0..count {
        builder.push(time_at(0), None, Some(b"a value of some length"));
    }
    let bytes = builder.build().unwrap();
    let header = *BatchView::first(&bytes).unwrap().header();
    (bytes, header)
}

fn send(
    log: &mut Log,
    of: (ProducerId, ProducerEpoch),
    sequence: Sequence,
    in_transaction: bool,
) -> Result<Appended, AppendError> {
    let (mut bytes, header) = batch(of, sequence, 2, in_transaction);
    append_any(log, &mut bytes, &header, 0)
}

fn append_any(
    log: &mut Log,
    bytes: &mut [u8],
    header: &BatchHeader,
    leader_epoch: i32,
) -> Result<Appended, AppendError> {
    let now = time_at(log.end());
    if header.attributes.is_transactional() {
        let verification = Verification::NotNeeded;
        log.append_in_transaction(bytes, header, verification, leader_epoch, now)
    } else {
        log.append_as_leader(bytes, header, leader_epoch, now)
    }
}

fn refusal(appended: Result<Appended, AppendError>) -> ErrorCode {
    appended.unwrap_err().code()
}

fn mark(
    log: &mut Log,
    (producer_id, producer_epoch): (ProducerId, ProducerEpoch),
    committed: bool,
    transaction_version: i16,
) -> Result<Appended, AppendError> {
    let coordinator_epoch = 0;
    let marker =
        Marker { producer_id, producer_epoch, coordinator_epoch, committed, transaction_version };
    log.append_marker(&marker, 0, time_at(log.end()))
}

fn commit_all(log: &mut Log) {
    log.set_high_watermark(log.end());
    log.publish();
}

fn stable(log: &Log) -> Offset {
    log.views().load().last_stable_offset
}

/// The log after a kill, with a log start that was written down before.
fn reopen(disk: &SimDisk, dir: &str, log_start_offset: Offset) -> Log {
    let context = OpenContext {
        clean: false,
        recovery_point: 0,
        log_start_offset,
        high_watermark: 0,
        now: time_at(1_000_000),
    };
    Log::open(shared(disk), Path::new(dir), config(0), &context).unwrap().0
}

/// What a snapshot tells of each producer: epoch, last sequence and offset, open transaction, epoch
/// of its coordinator.
type Outline = BTreeMap<ProducerId, (ProducerEpoch, Sequence, Option<Offset>, Option<Offset>, i32)>;

fn outline(producers: &Producers) -> Outline {
    let of = |(id, known): (ProducerId, &blumfeld::log::producers::Producer)| {
        let last = known.recent.back().map(|batch| batch.last_offset);
        let outline =
            (known.epoch, known.last_sequence(), last, known.open_since, known.coordinator_epoch);
        (id, outline)
    };
    producers.iter().map(of).collect()
}

fn read_file(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    disk.read_file(path).unwrap().unwrap()
}

fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    disk.replace_file(path, bytes).unwrap();
}

fn snapshots(disk: &SimDisk) -> Vec<std::path::PathBuf> {
    let entries = disk.list(Path::new(DIR)).unwrap();
    let mut names: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.name.ends_with(".snapshot"))
        .map(|entry| Path::new(DIR).join(entry.name))
        .collect();
    names.sort();
    names
}

/// Some producers with data, markers and open transactions over several segments.
fn fill(log: &mut Log) {
    for round in 0..60 {
        send(log, (ID, 0), round * 2, false).unwrap();
        let epoch = round as i16 / 3;
        send(log, (8, epoch), round % 3 * 2, true).unwrap();
        if round % 3 == 2 {
            mark(log, (8, epoch + 1), round % 2 == 0, 2).unwrap();
        }
        if round < 20 {
            send(log, (9, 0), round * 2, true).unwrap();
        }
    }
    commit_all(log);
    assert!(log.views().load().segments.len() > 3);
}

#[test]
fn a_refused_append_leaves_what_is_known_of_its_producer_as_it_was() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk, 0).unwrap();
    send(&mut log, (ID, 3), 0, true).unwrap();
    let (before, end) = (log.producers().clone(), log.end());
    let as_before = |log: &Log, what: &str| {
        assert_eq!(*log.producers(), before, "{what}");
        assert_eq!(log.end(), end, "{what}");
    };
    for (epoch, sequence, in_transaction, code) in [
        (3, 2, false, ErrorCode::InvalidTxnState),
        (3, 9, true, ErrorCode::OutOfOrderSequenceNumber),
        (2, 0, true, ErrorCode::InvalidProducerEpoch),
        (4, 9, true, ErrorCode::OutOfOrderSequenceNumber),
    ] {
        assert_eq!(refusal(send(&mut log, (ID, epoch), sequence, in_transaction)), code);
        as_before(&log, &format!("{epoch} {sequence}"));
    }
    for id in [ID, 100] {
        // Of the next epoch, of a producer that is not known: none of it becomes known.
        let (mut large, header) = batch((id, 4), 0, 1000, true);
        let told = append_any(&mut log, &mut large, &header, 0);
        assert_eq!(refusal(told), ErrorCode::RecordListTooLarge);
        as_before(&log, "too large");
    }
    assert_eq!(refusal(mark(&mut log, (ID, 3), true, 2)), ErrorCode::InvalidProducerEpoch);
    as_before(&log, "a marker of an epoch that is over");

    // What it was given to bring along stands too.
    let (mut large, header) = batch((8, 0), 0, 1000, true);
    let guard = log.begin_verification(&header, true, time_at(0)).unwrap().unwrap();
    let guard = Verification::Guarded(guard);
    let told = log.append_in_transaction(&mut large, &header, guard, 0, time_at(0));
    assert_eq!(refusal(told), ErrorCode::RecordListTooLarge);
    let (mut small, header) = batch((8, 0), 0, 2, true);
    log.append_in_transaction(&mut small, &header, guard, 0, time_at(0)).unwrap();

    let (before, end) = (log.producers().clone(), log.end());
    disk.inject(Fault::enospc().on(Call::Write).path(".log"));
    assert_eq!(refusal(send(&mut log, (ID, 3), 2, true)), ErrorCode::KafkaStorageError);
    assert_eq!(*log.producers(), before);
    drop(log);
    let mut log = open(&disk.crash(Crash::Kill), 0).unwrap();
    assert_eq!(log.end(), end);
    assert_eq!(send(&mut log, (ID, 3), 2, true).unwrap().base_offset, end, "sent again");
}

#[test]
fn what_was_accepted_once_is_taken_over_by_who_knows_nothing_of_its_producer() {
    let disk = SimDisk::new(2);
    let mut log = open(&disk, 0).unwrap();
    fill(&mut log);
    let gone = log.take_deletable(2, time_at(0)).unwrap();
    commit_all(&mut log);
    gone.remove().unwrap();
    let (view, known) = (log.views().load_full(), outline(log.producers()));
    assert!(view.log_start_offset > 0);

    // A copy sees no batch before that start.
    let dir = format!("{ROOT}/copy");
    let mut copy = reopen(&disk, &dir, Log::copy_begins_at(&view).unwrap());
    while copy.copy_from(&view, 700, time_at(0)).unwrap() > 0 {}
    assert_eq!(copy.end(), view.log_end_offset);
    assert_eq!(outline(copy.producers())[&ID], known[&ID]);
    drop((copy, log));

    // Nor does a recovery that finds no snapshot.
    let disk = disk.crash(Crash::Kill);
    for path in snapshots(&disk) {
        disk.remove_file(&path).unwrap();
    }
    for dir in [DIR, &dir] {
        let mut log = reopen(&disk, dir, view.log_start_offset);
        assert_eq!(outline(log.producers())[&ID], known[&ID], "{dir}");
        assert_eq!(
            refusal(send(&mut log, (ID, 0), 130, false)),
            ErrorCode::OutOfOrderSequenceNumber
        );
        assert!(send(&mut log, (ID, 0), 118, false).unwrap().is_duplicate);
        assert!(!send(&mut log, (ID, 0), 120, false).unwrap().is_duplicate);
    }
}

#[test]
fn a_producer_is_known_after_its_records_are_deleted_and_when_it_is_forgotten_begins_anywhere() {
    let disk = SimDisk::new(3);
    let mut log = open(&disk, 0).unwrap();
    for round in 0..100 {
        send(&mut log, (ID, 0), round * 2, false).unwrap();
    }
    commit_all(&mut log);
    // DeleteRecords takes all, and a snapshot lies below what it leaves.
    let end = log.end();
    assert!(log.increment_log_start_offset(end).unwrap());
    commit_all(&mut log);
    let goes_on = |log: &mut Log, sequence| {
        let again = send(log, (ID, 0), sequence - 2, false).unwrap();
        assert!(again.is_duplicate, "{sequence}");
        let beyond = refusal(send(log, (ID, 0), sequence + 2, false));
        assert_eq!(beyond, ErrorCode::OutOfOrderSequenceNumber);
        assert!(!send(log, (ID, 0), sequence, false).unwrap().is_duplicate);
    };
    drop(log);
    let disk = disk.crash(Crash::Kill);
    let mut log = reopen(&disk, DIR, end);
    goes_on(&mut log, 200);
    drop(log);
    let disk = disk.crash(Crash::Kill);
    let mut log = reopen(&disk, DIR, end);
    goes_on(&mut log, 202);
    commit_all(&mut log);

    // Retention takes the files as well.
    let gone = log.take_deletable(usize::MAX, time_at(0)).unwrap();
    gone.remove().unwrap();
    commit_all(&mut log);
    assert_eq!(log.views().load().size_bytes(), 0);
    goes_on(&mut log, 204);
    let start = log.log_start_offset();
    drop(log);
    let disk = disk.crash(Crash::Kill);
    let mut log = reopen(&disk, DIR, start);
    goes_on(&mut log, 206);

    log.expire_producers(time_at(i64::from(u32::MAX)), 1000);
    assert!(log.producers().is_empty());
    assert!(!send(&mut log, (ID, 0), 5555, false).unwrap().is_duplicate, "KIP-360");
    // Unless a lower one waits for its coordinator.
    let (mut second, second_header) = batch((8, 0), 6, 2, true);
    let (mut first, first_header) = batch((8, 0), 4, 2, true);
    let mut guard = |header| {
        let guard = log.begin_verification(header, false, time_at(0)).unwrap();
        Verification::Guarded(guard.unwrap())
    };
    let (late, early) = (guard(&second_header), guard(&first_header));
    let told = log.append_in_transaction(&mut second, &second_header, late, 0, time_at(0));
    assert_eq!(refusal(told), ErrorCode::OutOfOrderSequenceNumber);
    log.append_in_transaction(&mut first, &first_header, early, 0, time_at(0)).unwrap();
    log.append_in_transaction(&mut second, &second_header, late, 0, time_at(0)).unwrap();
}

#[test]
fn a_transaction_whose_first_records_are_deleted_is_open_still_after_a_kill() {
    // In the middle of its batch, and behind it.
    for start in [1, 2] {
        let disk = SimDisk::new(4);
        let mut log = open(&disk, 0).unwrap();
        send(&mut log, (ID, 0), 0, true).unwrap();
        send(&mut log, (8, 0), 0, false).unwrap();
        commit_all(&mut log);
        assert!(log.increment_log_start_offset(start).unwrap());
        commit_all(&mut log);
        assert_eq!(stable(&log), start);
        drop(log);
        let mut log = reopen(&disk.crash(Crash::Kill), DIR, start);
        commit_all(&mut log);
        assert_eq!(stable(&log), start, "held back by what is open");
        assert!(send(&mut log, (ID, 0), 0, true).unwrap().is_duplicate);
        mark(&mut log, (ID, 1), false, 2).unwrap();
        commit_all(&mut log);
        assert_eq!(stable(&log), log.end());
        assert_eq!(log.views().load().aborted_between(start, log.end()).unwrap().len(), 1);
    }
}

#[test]
fn damaged_snapshots_of_producers_are_made_good_from_the_log() {
    let closed = || {
        let disk = SimDisk::new(5);
        let mut log = open(&disk, 0).unwrap();
        fill(&mut log);
        log.close().unwrap();
        let known = outline(log.producers());
        (disk.crash(Crash::Kill), known, log.end())
    };
    let count = snapshots(&closed().0).len();
    assert!(count > 3);
    for damaged in 0..=count {
        let (disk, known, end) = closed();
        for path in snapshots(&disk).iter().rev().take(damaged) {
            let mut bytes = read_file(&disk, path);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            replace_file(&disk, path, &bytes);
        }
        let mut log = reopen(&disk, DIR, 0);
        assert_eq!(outline(log.producers()), known, "{damaged} damaged");
        assert!(send(&mut log, (ID, 0), 118, false).unwrap().is_duplicate);
        assert_eq!(log.end(), end);
    }
}

#[test]
fn a_snapshot_of_producers_from_before_the_first_file_is_not_believed() {
    let disk = SimDisk::new(6);
    let mut log = open(&disk, 0).unwrap();
    fill(&mut log);
    let early = snapshots(&disk)[0].clone();
    let stale = read_file(&disk, &early);
    let gone = log.take_deletable(3, time_at(0)).unwrap();
    commit_all(&mut log);
    gone.remove().unwrap();
    let (start, known) = (log.log_start_offset(), outline(log.producers()));
    drop(log);
    // A power loss may undo that it was removed.
    let disk = disk.crash(Crash::Kill);
    for path in snapshots(&disk) {
        disk.remove_file(&path).unwrap();
    }
    replace_file(&disk, &early, &stale);
    let mut log = reopen(&disk, DIR, start);
    assert_eq!(outline(log.producers())[&ID], known[&ID]);
    // This one has written nothing since the snapshot that is still there.
    assert!(!outline(log.producers()).contains_key(&9));
    assert!(!send(&mut log, (9, 0), 40, true).unwrap().is_duplicate, "and not out of order");
}

#[test]
fn a_snapshot_of_producers_that_is_not_on_the_disk_for_certain_ends_the_log() {
    let disk = SimDisk::new(7);
    let mut log = open(&disk, 0).unwrap();
    disk.inject(Fault::eio().on(Call::SyncAll).path(".snapshot"));
    let failed = (0..100).find_map(|n| send(&mut log, (ID, 0), n * 2, false).err());
    assert_eq!(failed.unwrap().code(), ErrorCode::KafkaStorageError);
    assert!(log.offline().is_some());
}

#[test]
fn a_retry_is_known_to_the_leader_that_comes_next() {
    let disk = SimDisk::new(8);
    let mut log = open(&disk, 0).unwrap();
    for number in 0..6 {
        send(&mut log, (ID, 0), number * 2, false).unwrap();
    }
    drop(log);
    let mut log = open(&disk.crash(Crash::Kill), 0).unwrap();
    let end = log.end();
    // The five that a client may have in flight, and no more.
    for number in 1..6 {
        let (mut bytes, header) = batch((ID, 0), number * 2, 2, false);
        let again = append_any(&mut log, &mut bytes, &header, 1).unwrap();
        assert_eq!((again.is_duplicate, again.base_offset), (true, Offset::from(number) * 2));
        assert_eq!(log.end(), end);
    }
    let (mut bytes, header) = batch((ID, 0), 0, 2, false);
    let too_old = append_any(&mut log, &mut bytes, &header, 1);
    assert_eq!(refusal(too_old), ErrorCode::OutOfOrderSequenceNumber);
    let (mut bytes, header) = batch((ID, 0), 12, 2, false);
    let next = append_any(&mut log, &mut bytes, &header, 1).unwrap();
    assert_eq!((next.is_duplicate, next.base_offset), (false, end));
}

#[test]
fn high_watermark_and_last_stable_offset_are_seen_as_of_one_moment() {
    let disk = SimDisk::new(9);
    let mut log = open(&disk, 0).unwrap();
    send(&mut log, (ID, 0), 0, true).unwrap();
    commit_all(&mut log);
    let bounds = |view: &blumfeld::log::LogView| {
        (view.last_stable_offset, view.high_watermark, view.log_end_offset)
    };
    let before = log.views().load_full();
    assert_eq!(bounds(&before), (0, 2, 2));
    mark(&mut log, (ID, 1), false, 2).unwrap();
    assert_eq!(bounds(&log.views().load()), (0, 2, 2), "nobody sees the half of it");
    log.publish();
    assert_eq!(bounds(&log.views().load()), (0, 2, 3), "a marker counts once it is committed");
    commit_all(&mut log);
    let after = log.views().load_full();
    assert_eq!(bounds(&after), (3, 3, 3));
    assert_eq!(after.aborted_between(0, 3).unwrap().len(), 1);
    // Who looked before the end reads as of then: not what is undecided, and no record unmarked.
    let read = |view: &blumfeld::log::LogView| view.read(0, 1000, UpTo::LastStable, true).unwrap();
    assert_eq!(read(&before).len, 0);
    assert!(read(&after).len > 0);
}

#[test]
fn a_marker_that_comes_late_ends_no_later_transaction() {
    let disk = SimDisk::new(10);
    let mut log = open(&disk, 0).unwrap();
    let refused = |log: &mut Log, epoch, version| {
        let before = (log.producers().clone(), log.end());
        for committed in [true, false] {
            let told = mark(log, (ID, epoch), committed, version);
            assert_eq!(refusal(told), ErrorCode::InvalidProducerEpoch, "{epoch}, {version}");
        }
        assert_eq!((log.producers().clone(), log.end()), before);
    };
    send(&mut log, (ID, 0), 0, true).unwrap();
    mark(&mut log, (ID, 1), true, 2).unwrap();
    // Its coordinator did not hear that it is written.
    mark(&mut log, (ID, 1), true, 2).unwrap();
    let began = send(&mut log, (ID, 1), 0, true).unwrap().base_offset;
    commit_all(&mut log);
    assert_eq!(stable(&log), began);
    refused(&mut log, 1, 2); // The same again, now that the next has begun.
    refused(&mut log, 0, 0); // One of a tool, of the epoch before.
    refused(&mut log, 0, 2);
    commit_all(&mut log);
    assert_eq!(stable(&log), began, "it is open");
    mark(&mut log, (ID, 2), false, 2).unwrap();
    refused(&mut log, 1, 2); // When that has ended too.
    refused(&mut log, 1, 0);
    commit_all(&mut log);
    assert_eq!(stable(&log), log.end());
    assert_eq!(aborted(&log), [began]);

    // Before version 2 a transaction may have the epoch of the one before; what tells a late marker
    // then is the coordinator that wrote it.
    send(&mut log, (8, 0), 0, true).unwrap();
    let of = |coordinator_epoch| Marker {
        producer_id: 8,
        producer_epoch: 0,
        coordinator_epoch,
        committed: true,
        transaction_version: 0,
    };
    log.append_marker(&of(5), 0, time_at(0)).unwrap();
    let began = send(&mut log, (8, 0), 2, true).unwrap().base_offset;
    let late = refusal(log.append_marker(&of(4), 0, time_at(0)));
    assert_eq!(late, ErrorCode::TransactionCoordinatorFenced);
    commit_all(&mut log);
    assert_eq!(stable(&log), began);
}

fn aborted(log: &Log) -> Vec<Offset> {
    let view = log.views().load_full();
    view.aborted_between(0, view.log_end_offset)
        .unwrap()
        .iter()
        .map(|txn| txn.first_offset)
        .collect()
}
