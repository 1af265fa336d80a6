//! The mark of a clean stop: written when everything else is on disk, taken before anything is
//! opened. R4, R5 and the start offsets of C12.

use std::path::Path;
use std::time::Duration;

use blumfeld::env::Disk;
use blumfeld::env::sim::{Call, Crash, Fault, SimDisk, World};
use blumfeld::record::BatchBuilder;
use blumfeld::types::{ErrorCode, Timestamp};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::{DeleteRecordsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::HOST;
use crate::support::broker::{DATA, SimBroker};
use crate::support::simulate;
use crate::support::workload::{Session, TOPIC};

fn is_marked(disk: &SimDisk) -> bool {
    disk.info(&Path::new(DATA).join(".kafka_cleanshutdown")).unwrap().is_some()
}

/// A broker with a record in each of `count` batches.
async fn with_records(world: &World, count: usize) -> (SimBroker, Session) {
    with_records_of(SimBroker::new(world, HOST, &[]), world, count).await
}

/// The same, of this broker.
pub(crate) async fn with_records_of(
    mut broker: SimBroker,
    world: &World,
    count: usize,
) -> (SimBroker, Session) {
    broker.start_and_serve().await;
    let mut session = Session::new(world.machine("client").start(), HOST);
    session.create_topic().await;
    for _ in 0..count {
        let mut builder = BatchBuilder::new(0);
        builder.push(Timestamp(1_767_225_600_000), None, Some(b"x"));
        let batch = bytes::Bytes::from(builder.build().unwrap());
        session.produce(0, batch).await.unwrap().unwrap();
    }
    (broker, session)
}

/// R4.
#[test]
fn a_start_that_crashes_while_it_loads_is_followed_by_one_that_trusts_nothing() {
    let mut first = None;
    for (cut, mode) in (1..40).zip([Crash::Kill, Crash::PowerLoss].into_iter().cycle()) {
        let name = format!("a_start_that_crashes # after change {cut}");
        let (_, was_taken) = simulate(&name, cut, |world| async move {
            let (mut broker, _) = with_records(&world, 20).await;
            broker.stop().await;
            let disk = broker.machine().disk();
            assert!(is_marked(&disk));
            disk.cut_power_after(cut);
            broker.start();
            tokio::time::sleep(Duration::from_secs(5)).await;
            broker.crash(mode);
            let was_taken = !is_marked(&broker.machine().disk());
            broker.start_and_serve().await;
            broker.stop().await;
            assert!(is_marked(&broker.machine().disk()));
            was_taken
        });
        // Before its directory is synced the power may bring it back, and nothing is changed before
        // that. What is opened to be read meanwhile counts too, and comes sooner or later by the seed.
        let may_come_back = first.is_none_or(|first| cut <= first + 2);
        assert!(was_taken || may_come_back, "it came back after change {cut}");
        first = first.or(was_taken.then_some(cut));
    }
    assert!(
        first.is_some_and(|first| first < 25),
        "it is taken first, behind what is opened to be read: {first:?}"
    );
}

/// R5.
#[test]
fn a_stop_that_cannot_write_everything_down_leaves_no_mark() {
    for (call, path) in [
        (Call::SyncFilesystem, DATA),
        (Call::Write, "recovery-point-offset-checkpoint"),
        (Call::Rename, "recovery-point-offset-checkpoint"),
        (Call::Write, "replication-offset-checkpoint"),
        (Call::Write, ".snapshot"),
    ] {
        simulate("a_stop_that_cannot_write", 1, |world| async move {
            let (mut broker, _) = with_records(&world, 20).await;
            broker.machine().disk().inject(Fault::eio().on(call).path(path).always());
            let _ = broker.ask_to_stop().await;
            let disk = broker.machine().disk();
            assert!(disk.faults_left() == 0 || !is_marked(&disk), "{call:?} of {path}");
            broker.crash(Crash::Kill);
            assert!(!is_marked(&broker.machine().disk()), "{call:?} of {path}");
            broker.start_and_serve().await;
        });
    }
}

async fn delete_before(session: &mut Session, offset: i64) {
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = session.call(2, &request).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

/// C12.
#[test]
fn where_a_log_starts_is_known_after_a_clean_stop_and_after_a_kill_once_it_was_written_down() {
    simulate("where_a_log_starts", 1, |world| async move {
        let (mut broker, mut session) = with_records(&world, 30).await;
        let starts_at = async |session: &mut Session, start: i64| {
            session.create_topic().await;
            let below = session.fetch_bytes(0, start - 1, 1000).await.unwrap();
            assert_eq!(below.map(drop), Err(ErrorCode::OffsetOutOfRange));
            assert!(session.fetch_bytes(0, start, 1000).await.unwrap().is_ok());
        };
        delete_before(&mut session, 11).await;
        starts_at(&mut session, 11).await;
        broker.stop().await;
        broker.start_and_serve().await;
        starts_at(&mut Session::new(world.machine("second").start(), HOST), 11).await;
        let mut session = Session::new(world.machine("third").start(), HOST);
        delete_before(&mut session, 23).await;
        // `log.flush.start.offset.checkpoint.interval.ms` is a minute.
        tokio::time::sleep(Duration::from_secs(70)).await;
        broker.crash(Crash::Kill);
        broker.start_and_serve().await;
        starts_at(&mut Session::new(world.machine("fourth").start(), HOST), 23).await;
    });
}
