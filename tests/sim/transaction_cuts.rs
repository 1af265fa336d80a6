//! A broker that is killed, or loses its power, after each change of its disk in the life of a
//! transaction: records in two partitions and the offsets of a group have one outcome.

use std::sync::Arc;
use std::time::Duration;

use blumfeld::env::sim::{Crash, World};
use blumfeld::types::ErrorCode;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, FindCoordinatorRequest, GroupId, OffsetFetchRequest, TopicName,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use parking_lot::Mutex;

use super::transaction_stories::PROPERTIES;
use super::transactions::{HOST, Outcomes, Producer, RETRY, Reader, Told, text};
use crate::support::broker::SimBroker;
use crate::support::workload::{PARTITIONS, Session, TOPIC};
use crate::support::{seeds, simulate};

const GROUP: &str = "g";
const NUMBER: u32 = 1;
/// Whether each is committed.
const TRANSACTIONS: [bool; 3] = [true, false, true];
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_mins(10);

/// The same, with a flush before each answer.
const DURABLE: &[(&str, &str)] = &[
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("log.flush.interval.messages", "1"),
];

/// Commits `offset` for the group, within the transaction.
async fn commit_offset(producer: &mut Producer, offset: i64) -> Result<(), ErrorCode> {
    if !producer.has_version_2 {
        let add = AddOffsetsToTxnRequest::default()
            .with_transactional_id(producer.transactional_id())
            .with_producer_id(producer.id.into())
            .with_producer_epoch(producer.epoch)
            .with_group_id(GroupId(text(GROUP)));
        producer.until_answered(3, &add, |response| response.error_code).await?;
    }
    let partition = TxnOffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("")));
    let named = TxnOffsetCommitRequestTopic::default()
        .with_name(TopicName(text(TOPIC)))
        .with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(producer.transactional_id())
        .with_group_id(GroupId(text(GROUP)))
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch)
        .with_generation_id(-1)
        .with_topics(vec![named]);
    let version = if producer.has_version_2 { 5 } else { 3 };
    let told = |response: &TxnOffsetCommitResponse| response.topics[0].partitions[0].error_code;
    producer.until_answered(version, &request, told).await.map(drop)
}

/// The offset that the group has committed, once nothing is open.
async fn committed_offset(session: &mut Session) -> i64 {
    let named = OffsetFetchRequestTopics::default()
        .with_name(TopicName(text(TOPIC)))
        .with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_member_epoch(-1)
        .with_topics(Some(vec![named]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true);
    for _ in 0..10_000 {
        if let Ok(told) = session.call(9, &request).await
            && told.groups[0].error_code == 0
            && told.groups[0].topics[0].partitions[0].error_code == 0
        {
            return told.groups[0].topics[0].partitions[0].committed_offset;
        }
        tokio::time::sleep(RETRY).await;
    }
    panic!("the offset stays open");
}

/// The producer with its coordinators, before its first transaction.
async fn ready(session: Session, has_version_2: bool) -> Producer {
    let mut producer = Producer::new(session, NUMBER, has_version_2);
    producer.session.create_topic().await;
    let find =
        FindCoordinatorRequest::default().with_key_type(0).with_coordinator_keys(vec![text(GROUP)]);
    while producer
        .session
        .call(4, &find)
        .await
        .map_or(true, |found| found.coordinators[0].error_code != 0)
    {
        tokio::time::sleep(RETRY).await;
    }
    producer.init().await;
    producer
}

/// A record in each partition, and an offset.
async fn write_everywhere(producer: &mut Producer, number: u32) -> Result<(), ErrorCode> {
    for partition in 0..PARTITIONS {
        producer.write(partition, number).await?;
    }
    commit_offset(producer, i64::from(number) + 1).await
}

/// All transactions, one after the other.
async fn work(mut producer: Producer, outcomes: Outcomes) {
    for (number, commits) in (0..).zip(TRANSACTIONS) {
        let written = write_everywhere(&mut producer, number).await;
        let told = match written {
            Ok(()) => match producer.end(commits).await {
                Ok(()) if commits => Told::Committed,
                Err(_) if commits => Told::Unknown,
                _ => Told::Aborted,
            },
            Err(_) => {
                producer.init().await;
                Told::Aborted
            }
        };
        outcomes.lock().insert((NUMBER, number), told);
    }
}

/// Whether nothing was cut.
async fn cut_after(world: World, cut: u64, crash: Crash, has_version_2: bool) -> bool {
    let properties = if crash == Crash::Kill { PROPERTIES } else { DURABLE };
    let mut broker = SimBroker::new(&world, HOST, properties);
    broker.start_and_serve().await;
    let env = world.machine("producer").start();
    let producer = ready(Session::new(env.clone(), HOST), has_version_2).await;
    let outcomes: Outcomes = Arc::new(Mutex::default());
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    let told = Arc::clone(&outcomes);
    let disk = broker.machine().disk();
    disk.cut_power_after(cut);
    env.threads.spawn(Box::pin(async move {
        work(producer, told).await;
        drop(done);
    }));
    while !disk.is_without_power() && !all_done.is_closed() {
        tokio::time::sleep(LOOK).await;
    }
    let untroubled = !disk.is_without_power();
    broker.crash(crash);
    broker.start_and_serve().await;
    let finished = tokio::time::timeout(PATIENCE, all_done.recv()).await;
    assert!(finished.is_ok(), "in its second life everything gets through");

    let judge = world.machine("judge").start();
    let session = || Session::new(judge.clone(), HOST);
    let mut seen = Vec::new();
    for partition in 0..PARTITIONS {
        seen.push(Reader::new(session(), partition).read_all().await);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "one outcome everywhere: {seen:?}");
    let outcomes = outcomes.lock().clone();
    for (key, told) in &outcomes {
        let count = seen[0].iter().filter(|read| *read == key).count();
        match told {
            Told::Committed => assert_eq!(count, 1, "{key:?}"),
            Told::Aborted => assert_eq!(count, 0, "{key:?}"),
            Told::Unknown => assert!(count <= 1, "{key:?}"),
        }
    }
    let last = seen[0].last().map_or(-1, |(_, number)| i64::from(*number) + 1);
    assert_eq!(committed_offset(&mut session()).await, last, "offsets have the same outcome");
    // Nothing was lost on the way: a producer that tries again is told how it went.
    let expected =
        TRANSACTIONS.map(|commits| if commits { Told::Committed } else { Told::Aborted });
    assert_eq!(outcomes.into_values().collect::<Vec<_>>(), expected);
    untroubled
}

#[test]
fn a_transaction_has_one_outcome_whichever_change_of_the_disk_is_the_last() {
    for seed in seeds(2) {
        for crash in [Crash::Kill, Crash::PowerLoss] {
            let has_version_2 = (seed % 2 == 0) == (crash == Crash::Kill);
            for cut in 0.. {
                let name = format!("a_transaction_has_one_outcome # {crash:?} after change {cut}");
                let scenario = |world| cut_after(world, cut, crash, has_version_2);
                let (_, untroubled) = simulate(&name, seed, scenario);
                if untroubled {
                    assert!(cut > 20, "{cut} changes");
                    break;
                }
            }
        }
    }
}
