//! Logs that roll, are compacted, lose their front to DeleteRecords, and are written down in
//! checkpoints, while the power goes, the process is killed, or a call of the disk fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blumfeld::env::sim::{Crash, Fault, Rng, SimDisk, World};
use blumfeld::env::{Disk, Env};
use blumfeld::record::{BatchBuilder, Records, batch};
use blumfeld::types::{ErrorCode, Timestamp};
use bytes::Bytes;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DeleteRecordsRequest, IncrementalAlterConfigsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;

use crate::support::broker::{DATA, SimBroker};
use crate::support::workload::{PARTITIONS, Session, TOPIC};
use crate::support::{seeds, simulate};
use crate::{HOST, LOOK};

const DELETE_RECORDS: i16 = 2;
const BATCHES: u32 = 50;
const KEYS: u64 = 6;
/// A seed takes every so many-th change or call, and the next one those beside them.
const STRIDE: u64 = 23;
const RETRY: Duration = Duration::from_millis(50);
/// Every record is flushed before its answer, and everything that runs now and then runs often.
const BUSY: &[(&str, &str)] = &[
    ("log.flush.interval.messages", "1"),
    ("log.cleanup.policy", "compact,delete"),
    ("log.cleaner.min.cleanable.ratio", "0.01"),
    ("log.cleaner.backoff.ms", "30"),
    ("log.cleaner.delete.retention.ms", "300"),
    ("log.segment.delete.delay.ms", "100"),
    ("log.retention.check.interval.ms", "100"),
    ("log.flush.offset.checkpoint.interval.ms", "120"),
    ("log.flush.start.offset.checkpoint.interval.ms", "90"),
    ("log.flush.scheduler.interval.ms", "70"),
];

/// What the writer knows of a partition.
#[derive(Clone, Default)]
struct Known {
    /// By key: where its last record is, and its value. Every record was acknowledged.
    last: BTreeMap<Vec<u8>, (i64, Option<Vec<u8>>)>,
    /// Records below may be gone: their deletion was asked for.
    start_max: i64,
    end: i64,
}

type Written = Arc<Mutex<BTreeMap<i32, Known>>>;

fn is_retriable(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::RequestTimedOut
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::KafkaStorageError
    )
}

/// Writes batches with keys and tombstones, each until the broker has it, and, if it `deletes`, takes
/// away the front of a partition now and then.
async fn write(mut session: Session, mut rng: Rng, known: Written, deletes: bool) {
    session.create_topic().await;
    let (id, epoch) = session.producer_id().await;
    let mut sequences = BTreeMap::<i32, i32>::new();
    for number in 0..BATCHES {
        let partition = rng.below(PARTITIONS as u64) as i32;
        let sequence = sequences.entry(partition).or_default();
        let mut builder = BatchBuilder::new(0).producer(id, epoch, *sequence);
        let records: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..=rng.below(3))
            .map(|at| {
                let key = format!("k{}", rng.below(KEYS)).into_bytes();
                let mut value = format!("{number}:{at} ").into_bytes();
                value.resize(value.len() + rng.below(300) as usize, b'.');
                (key, Some(value).filter(|_| rng.below(4) > 0))
            })
            .collect();
        for (key, value) in &records {
            builder.push(Timestamp(1_767_225_600_000), Some(key), value.as_deref());
        }
        *sequence += records.len() as i32;
        let batch = Bytes::from(builder.build().unwrap());
        let base = loop {
            match session.produce(partition, batch.clone()).await {
                Ok(Ok(base)) => break base,
                Ok(Err(error)) if !is_retriable(error) => panic!("batch {number}: {error:?}"),
                Ok(Err(_)) | Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        {
            let mut all = known.lock();
            let known = all.entry(partition).or_default();
            for (offset, (key, value)) in (base..).zip(records) {
                known.last.insert(key, (offset, value));
                known.end = offset + 1;
            }
        }
        if deletes && rng.one_in(8) {
            delete_front(&mut session, partition, &known).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.below(40))).await;
    }
}

/// Asks once; whatever comes of it, these records may be gone.
async fn delete_front(session: &mut Session, partition: i32, known: &Written) {
    let before = {
        let mut all = known.lock();
        let known = all.get_mut(&partition).unwrap();
        known.start_max = known.start_max.max(known.end / 2);
        known.start_max
    };
    let partition =
        DeleteRecordsPartition::default().with_partition_index(partition).with_offset(before);
    let topic = DeleteRecordsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    if let Ok(answer) = session.call(DELETE_RECORDS, &request).await {
        let code = ErrorCode::from_code(answer.topics[0].partitions[0].error_code).unwrap();
        // (What was asked for before a crash may have come further than what came back.)
        let is_due = code == ErrorCode::None || is_retriable(code);
        assert!(is_due || code == ErrorCode::OffsetOutOfRange, "{code:?}");
    }
}

/// Whoever reads all of it ends with the last value of each key, or, while they are written
/// (`goes_on`), with a later one.
async fn check(session: &mut Session, known: &Written, when: &str, goes_on: bool) {
    let all = known.lock().clone();
    for (partition, known) in all {
        let (mut found, mut offset) = (BTreeMap::new(), 0);
        loop {
            let (bytes, end) = match session.fetch_bytes(partition, offset, 1 << 20).await {
                Ok(Ok(fetched)) => fetched,
                Ok(Err(ErrorCode::OffsetOutOfRange)) if offset <= known.start_max => {
                    offset += 1;
                    continue;
                }
                Ok(Err(error)) => panic!("{when}, partition {partition}: {error:?} at {offset}"),
                Err(_) => continue,
            };
            for batch in batch::batches(&bytes).map_while(Result::ok) {
                batch.check_crc().unwrap();
                for record in Records::of(&batch).unwrap().iter().map(Result::unwrap) {
                    let value = record.value.map(<[u8]>::to_vec);
                    found.insert(record.key.unwrap().to_vec(), (record.offset, value));
                }
                offset = offset.max(batch.header().next_offset());
            }
            if offset >= end || bytes.is_empty() {
                assert!(end >= known.end, "{when}: ends at {end}, written up to {}", known.end);
                break;
            }
        }
        for (key, last) in &known.last {
            let name = String::from_utf8_lossy(key);
            match found.get(key) {
                Some(found) if goes_on && found.0 > last.0 => {}
                Some(found) => assert_eq!(found, last, "{when}, partition {partition}: {name}"),
                // A tombstone goes after a while, and what was deleted at once.
                None => assert!(
                    last.1.is_none() || last.0 < known.start_max,
                    "{when}, partition {partition}: {name} of {} is gone",
                    last.0
                ),
            }
        }
    }
}

/// What is in the partitions' directories that does not belong to a log at rest.
fn leftovers(disk: &SimDisk) -> Vec<String> {
    let is_left =
        |name: &str| [".cleaned", ".swap", ".deleted"].iter().any(|end| name.ends_with(end));
    let dirs = disk.list(Path::new(DATA)).unwrap().into_iter();
    dirs.filter(|entry| entry.is_dir && entry.name.starts_with(TOPIC))
        .flat_map(|entry| disk.list(&Path::new(DATA).join(entry.name)).unwrap())
        .map(|entry| entry.name)
        .filter(|name| is_left(name))
        .collect()
}

async fn judge(env: Env, known: &Written, when: &str, goes_on: bool) {
    let mut session = Session::new(env, HOST);
    session.create_topic().await;
    check(&mut session, known, when, goes_on).await;
}

/// A life with trouble and one without. Whether there was no trouble.
async fn busy_lives(
    world: World,
    prepare: impl FnOnce(&SimDisk),
    is_calm: fn(&SimDisk) -> bool,
    mode: Crash,
) -> bool {
    let mut broker = SimBroker::new(&world, HOST, BUSY);
    broker.start_and_serve().await;
    let known = Written::default();
    let env = world.machine("writer").start();
    Session::new(env.clone(), HOST).create_topic().await;
    let disk = broker.machine().disk();
    prepare(&disk);
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    let session = Session::new(env.clone(), HOST);
    let (rng, written) = (world.rng("writer"), Arc::clone(&known));
    env.threads.clone().spawn(Box::pin(async move {
        write(session, rng, written, true).await;
        drop(done);
    }));
    let mut waited = Duration::ZERO;
    while !disk.is_without_power()
        && !broker.has_ended()
        && !all_done.is_closed()
        && waited < Duration::from_secs(30)
    {
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
    let is_calm = is_calm(&disk);
    broker.crash(mode);
    broker.start_and_serve().await;
    judge(world.machine("judge").start(), &known, "after the crash", true).await;
    let finished = tokio::time::timeout(Duration::from_mins(10), all_done.recv()).await;
    assert!(finished.is_ok(), "in its second life everything gets through");
    judge(world.machine("second judge").start(), &known, "after all was written", false).await;
    // What the crash left half done is done, and tombstones go.
    tokio::time::sleep(Duration::from_secs(10)).await;
    judge(world.machine("third judge").start(), &known, "after all was cleaned", false).await;
    broker.stop().await;
    assert_eq!(leftovers(&broker.machine().disk()), [""; 0]);
    broker.start_and_serve().await;
    judge(world.machine("fourth judge").start(), &known, "after a clean stop", false).await;
    is_calm
}

#[test]
fn a_power_cut_after_any_change_of_a_busy_disk_costs_no_last_value() {
    for seed in seeds(1) {
        for cut in (1 + seed % STRIDE..).step_by(STRIDE as usize) {
            let name = format!("a_power_cut_after_any_change_of_a_busy # after change {cut}");
            let mode = [Crash::PowerLoss, Crash::PowerLossKeepingNothing, Crash::Kill];
            let mode = mode[cut as usize % 3];
            let prepare = |disk: &SimDisk| disk.cut_power_after(cut);
            let is_calm = |disk: &SimDisk| !disk.is_without_power();
            let life = |world| busy_lives(world, prepare, is_calm, mode);
            if simulate(&name, seed, life).1 {
                assert!(cut > 300, "only {cut} changes: it is not busy");
                break;
            }
        }
    }
}

#[test]
fn any_call_of_a_busy_disk_may_fail_once_and_costs_no_last_value() {
    for seed in seeds(1) {
        for nth in (seed % STRIDE..).step_by(STRIDE as usize) {
            let name = format!("any_call_of_a_busy_disk # call {nth}");
            let fault = if nth % 2 == 0 { Fault::eio() } else { Fault::enospc() };
            let prepare = |disk: &SimDisk| disk.inject(fault.after(nth));
            let is_calm = |disk: &SimDisk| disk.faults_left() > 0;
            let life = |world| busy_lives(world, prepare, is_calm, Crash::PowerLoss);
            if simulate(&name, seed, life).1 {
                break;
            }
        }
    }
}

/// Of a cleaner that may move a few bytes a second.
const SLOW: &[(&str, &str)] = &[
    ("log.flush.interval.messages", "1"),
    ("log.cleanup.policy", "compact"),
    ("log.cleaner.min.cleanable.ratio", "0.01"),
    ("log.cleaner.backoff.ms", "30"),
    ("log.segment.delete.delay.ms", "100"),
    ("log.cleaner.io.max.bytes.per.second", "100"),
];

/// A broker that has begun to clean what was written to it; the writer's session, and what it knows.
async fn while_it_cleans(world: &World) -> (SimBroker, Session, Written) {
    let mut broker = SimBroker::new(world, HOST, SLOW);
    broker.start_and_serve().await;
    let known = Written::default();
    let env = world.machine("writer").start();
    write(Session::new(env.clone(), HOST), world.rng("writer"), Arc::clone(&known), false).await;
    let disk = broker.machine().disk();
    while !leftovers(&disk).iter().any(|name| name.ends_with(".cleaned")) {
        tokio::time::sleep(LOOK).await;
    }
    (broker, Session::new(env, HOST), known)
}

#[test]
fn a_topic_that_is_compacted_no_more_keeps_what_a_cleaning_under_way_would_have_taken() {
    simulate("a_topic_that_is_compacted_no_more", 1, |world| async move {
        let (mut broker, mut session, known) = while_it_cleans(&world).await;
        let config = |name, value| {
            AlterableConfig::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(Some(StrBytes::from_static_str(value)))
        };
        let configs = vec![config("cleanup.policy", "delete"), config("retention.ms", "-1")];
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_static_str(TOPIC))
            .with_configs(configs);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = session.call(1, &request).await.unwrap();
        assert_eq!(answer.responses[0].error_code, 0);
        let disk = broker.machine().disk();
        // At this speed a batch is written within some seconds.
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(leftovers(&disk), [""; 0], "it ended, and left nothing");
        tokio::time::sleep(Duration::from_mins(30)).await;
        let mut session = Session::new(world.machine("reader").start(), HOST);
        session.create_topic().await;
        let all_known = known.lock().clone();
        for (partition, known) in all_known {
            let (mut next, mut offsets) = (known.start_max, Vec::new());
            while next < known.end {
                let (bytes, _) =
                    session.fetch_bytes(partition, next, 1 << 20).await.unwrap().unwrap();
                for batch in batch::batches(&bytes).map_while(Result::ok) {
                    let records = Records::of(&batch).unwrap();
                    offsets.extend(records.iter().map(|record| record.unwrap().offset));
                    next = batch.header().next_offset();
                }
            }
            let kept: Vec<i64> = offsets.into_iter().filter(|at| *at >= known.start_max).collect();
            let all: Vec<i64> = (known.start_max..known.end).collect();
            assert_eq!(kept, all, "older records of a key are there as well");
        }
        judge(world.machine("judge").start(), &known, "with deletion alone", false).await;
        broker.stop().await;
    });
}

#[test]
fn a_stop_ends_a_cleaning_that_is_under_way_and_leaves_nothing_of_it() {
    simulate("a_stop_ends_a_cleaning", 1, |world| async move {
        let (mut broker, _, known) = while_it_cleans(&world).await;
        let asked = tokio::time::Instant::now();
        broker.stop().await;
        assert!(asked.elapsed() < Duration::from_secs(5), "it does not wait for the cleaner");
        assert_eq!(leftovers(&broker.machine().disk()), [""; 0]);
        broker.start_and_serve().await;
        judge(world.machine("judge").start(), &known, "after the stop", false).await;
    });
}
