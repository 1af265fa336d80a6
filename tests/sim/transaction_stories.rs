//! Transactions as a client of one broker meets them: what is refused, with which code, and what
//! readers see of it all.

use std::time::Duration;

use blumfeld::env::sim::{Call, Crash, Fault, World};
use blumfeld::record::BatchBuilder;
use blumfeld::types::{ErrorCode, Timestamp};
use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::ProducerState;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest,
    EndTxnRequest, FetchRequest, FindCoordinatorRequest, GroupId, InitProducerIdRequest,
    ListOffsetsRequest, OffsetFetchRequest, ProduceRequest, TopicName, TransactionalId,
    TxnOffsetCommitRequest, WriteTxnMarkersRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::support::broker::SimBroker;
use crate::support::simulate;
use crate::support::workload::{Session, TOPIC};

const HOST: &str = "broker";
const GROUP: &str = "g";
const OFFSETS: &str = "__consumer_offsets";
const RETRY: Duration = Duration::from_millis(20);
const OK: ErrorCode = ErrorCode::None;
pub(super) const PROPERTIES: &[(&str, &str)] = &[
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
];
/// As a broker that verifies nothing, which leaves transactions hanging.
const TRUSTING: &[(&str, &str)] = &[
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("transaction.partition.verification.enable", "false"),
];

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn id(value: &str) -> TransactionalId {
    TransactionalId(text(value))
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).expect("a known error")
}

/// A producer's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Who {
    id: i64,
    epoch: i16,
}

/// What the committed offset of the group is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Committed {
    offset: i64,
    error: ErrorCode,
}

struct Story {
    world: World,
    broker: SimBroker,
    session: Session,
}

impl Story {
    async fn begin(world: World, properties: &'static [(&'static str, &'static str)]) -> Self {
        let mut broker = SimBroker::new(&world, HOST, properties);
        broker.start_and_serve().await;
        let mut session = Session::new(world.machine("client").start(), HOST);
        session.create_topic().await;
        let mut story = Self { world, broker, session };
        // The coordinators' topics come with the first question.
        for (key_type, key) in [(0, GROUP), (1, "tx")] {
            let find = FindCoordinatorRequest::default()
                .with_key_type(key_type)
                .with_coordinator_keys(vec![text(key)]);
            while story.session.call(4, &find).await.unwrap().coordinators[0].error_code != 0 {
                tokio::time::sleep(RETRY).await;
            }
        }
        story
    }

    fn other_session(&self, name: &str) -> Session {
        Session::new(self.world.machine(name).start(), HOST)
    }

    async fn init(&mut self) -> Who {
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(id("tx")))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        loop {
            let told = self.session.call(5, &init).await.unwrap();
            if told.error_code == 0 {
                return Who { id: told.producer_id.0, epoch: told.producer_epoch };
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn add(&mut self, who: Who, partitions: &[i32]) -> ErrorCode {
        let named = AddPartitionsToTxnTopic::default()
            .with_name(topic(TOPIC))
            .with_partitions(partitions.to_vec());
        let add = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id("tx"))
            .with_v3_and_below_producer_id(who.id.into())
            .with_v3_and_below_producer_epoch(who.epoch)
            .with_v3_and_below_topics(vec![named]);
        let told = self.session.call(3, &add).await.unwrap();
        code(told.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code)
    }

    /// One record in a transaction.
    async fn write(&mut self, version: i16, who: Who, partition: i32, sequence: i32) -> ErrorCode {
        let request = produce(who, partition, sequence);
        let told = self.session.call(version, &request).await.unwrap();
        code(told.responses[0].partition_responses[0].error_code)
    }

    async fn end(&mut self, version: i16, who: Who, commits: bool) -> (ErrorCode, Who) {
        let request = end(who, commits);
        loop {
            let told = self.session.call(version, &request).await.unwrap();
            let next = Who { id: told.producer_id.0, epoch: told.producer_epoch };
            match code(told.error_code) {
                ErrorCode::ConcurrentTransactions => tokio::time::sleep(RETRY).await,
                code => return (code, next),
            }
        }
    }

    async fn commit_offset(&mut self, version: i16, who: Who, offset: i64) -> ErrorCode {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("")));
        let named = TxnOffsetCommitRequestTopic::default()
            .with_name(topic(TOPIC))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id("tx"))
            .with_group_id(GroupId(text(GROUP)))
            .with_producer_id(who.id.into())
            .with_producer_epoch(who.epoch)
            .with_generation_id(-1)
            .with_topics(vec![named]);
        let told = self.session.call(version, &request).await.unwrap();
        code(told.topics[0].partitions[0].error_code)
    }

    async fn committed_offset(&mut self) -> Committed {
        let named = OffsetFetchRequestTopics::default()
            .with_name(topic(TOPIC))
            .with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_member_epoch(-1)
            .with_topics(Some(vec![named]));
        let request =
            OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true);
        let told = self.session.call(9, &request).await.unwrap();
        let told = &told.groups[0].topics[0].partitions[0];
        Committed { offset: told.committed_offset, error: code(told.error_code) }
    }

    async fn mark(&mut self, who: Who, name: &str, partition: i32, commits: bool) -> ErrorCode {
        let named = WritableTxnMarkerTopic::default()
            .with_name(topic(name))
            .with_partition_indexes(vec![partition]);
        let marker = WritableTxnMarker::default()
            .with_producer_id(who.id.into())
            .with_producer_epoch(who.epoch)
            .with_transaction_result(commits)
            .with_coordinator_epoch(0)
            .with_topics(vec![named]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        let told = self.session.call(1, &request).await.unwrap();
        code(told.markers[0].topics[0].partitions[0].error_code)
    }

    /// A fetch of read_committed that waits for at least a byte, up to `wait_ms`.
    async fn fetch(&mut self, offset: i64, wait_ms: i32) -> PartitionData {
        fetch(&mut self.session, offset, wait_ms).await
    }

    /// The latest offset that ListOffsets tells at an isolation level, and the one of `timestamp`.
    async fn list(&mut self, isolation: i8, timestamp: i64) -> i64 {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(0)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp);
        let named =
            ListOffsetsTopic::default().with_name(topic(TOPIC)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(isolation)
            .with_topics(vec![named]);
        let told = self.session.call(6, &request).await.unwrap();
        told.topics[0].partitions[0].offset
    }

    async fn producers(&mut self, name: &str) -> Vec<ProducerState> {
        let named = TopicRequest::default().with_name(topic(name)).with_partition_indexes(vec![0]);
        let request = DescribeProducersRequest::default().with_topics(vec![named]);
        let told = self.session.call(0, &request).await.unwrap();
        told.topics[0].partitions[0].active_producers.clone()
    }

    /// The state of the transactional id, and the epoch of its producer.
    async fn described(&mut self) -> (String, i16) {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id("tx")]);
        loop {
            let told = self.session.call(0, &request).await.unwrap();
            let state = &told.transaction_states[0];
            if state.error_code == 0 {
                return (state.transaction_state.to_string(), state.producer_epoch);
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

const TIME: i64 = 1_767_225_600_000;

fn produce(who: Who, partition: i32, sequence: i32) -> ProduceRequest {
    let mut batch = BatchBuilder::new(0).producer(who.id, who.epoch, sequence).transactional();
    batch.push(Timestamp(TIME + i64::from(sequence)), None, Some(b"v"));
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(Bytes::from(batch.build().unwrap())));
    let data = TopicProduceData::default().with_name(topic(TOPIC)).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(Some(id("tx")))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![data])
}

fn end(who: Who, commits: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(id("tx"))
        .with_producer_id(who.id.into())
        .with_producer_epoch(who.epoch)
        .with_committed(commits)
}

async fn fetch(session: &mut Session, offset: i64, wait_ms: i32) -> PartitionData {
    let wanted = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let wanted = FetchTopic::default().with_topic(topic(TOPIC)).with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(1)
        .with_session_epoch(-1)
        .with_topics(vec![wanted]);
    let response = session.call(12, &request).await.unwrap();
    response.responses[0].partitions[0].clone()
}

fn tell<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(World) -> F) {
    simulate(test, 1, scenario);
}

#[test]
fn a_fetch_that_waited_for_the_end_of_a_transaction_says_that_it_was_aborted() {
    tell("a_fetch_that_waited", |world| async move {
        let mut story = Story::begin(world, PROPERTIES).await;
        let who = story.init().await;
        assert_eq!(story.write(12, who, 0, 0).await, OK);
        let mut reader = story.other_session("reader");
        let waits = async {
            let began = tokio::time::Instant::now();
            let told = fetch(&mut reader, 0, 20_000).await;
            (told, began.elapsed())
        };
        let aborts = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(story.end(5, who, false).await.0, OK);
        };
        let ((told, waited), ()) = tokio::join!(waits, aborts);
        assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(2), "{waited:?}");
        assert!(!told.records.unwrap().is_empty());
        let aborted = told.aborted_transactions.unwrap();
        assert_eq!(aborted.len(), 1);
        assert_eq!((aborted[0].producer_id.0, aborted[0].first_offset), (who.id, 0));
        // A marker takes an offset, and is no record.
        assert_eq!((told.last_stable_offset, told.high_watermark), (2, 2));
    });
}

#[test]
fn the_latest_offset_of_what_is_committed_is_where_the_first_open_transaction_begins() {
    tell("the_latest_offset_of_what_is_committed", |world| async move {
        const LATEST: i64 = -1;
        let mut story = Story::begin(world, PROPERTIES).await;
        let mut plain = BatchBuilder::new(0);
        plain.push(Timestamp(TIME), None, Some(b"v"));
        let plain = Bytes::from(plain.build().unwrap());
        assert_eq!(story.session.produce(0, plain).await.unwrap(), Ok(0));
        let who = story.init().await;
        assert_eq!(story.write(12, who, 0, 0).await, OK);
        assert_eq!(story.write(12, who, 0, 1).await, OK);
        assert_eq!((story.list(0, LATEST).await, story.list(1, LATEST).await), (3, 1));
        // By a timestamp that only records of the open transaction have.
        assert_eq!((story.list(0, TIME + 1).await, story.list(1, TIME + 1).await), (2, -1));
        assert_eq!(story.end(5, who, true).await.0, OK);
        while story.list(1, LATEST).await != 4 {
            tokio::time::sleep(RETRY).await;
        }
        assert_eq!(story.list(1, TIME + 1).await, 2);
    });
}

#[test]
fn a_batch_for_a_partition_that_is_not_in_the_transaction_is_refused_and_not_stored() {
    tell("a_batch_for_a_partition_that_is_not_in", |world| async move {
        let mut story = Story::begin(world, PROPERTIES).await;
        let who = story.init().await;
        assert_eq!(story.add(who, &[1]).await, OK);
        assert_eq!(story.write(11, who, 0, 0).await, ErrorCode::TransactionAbortable);
        assert_eq!(story.write(9, who, 0, 0).await, ErrorCode::InvalidTxnState, "of old");
        let stranger = Who { id: who.id + 1000, epoch: 0 };
        let refused = story.write(11, stranger, 0, 0).await;
        assert_eq!(refused, ErrorCode::InvalidProducerIdMapping);
        let zombie = Who { epoch: who.epoch - 1, ..who };
        assert_eq!(story.write(11, zombie, 1, 0).await, ErrorCode::InvalidProducerEpoch);
        assert_eq!(story.list(0, -1).await, 0, "nothing was appended");
        assert_eq!(story.write(11, who, 1, 0).await, OK);
        assert_eq!(story.end(3, who, true).await.0, OK);
        // After its end it has begun nowhere.
        assert_eq!(story.write(11, who, 1, 1).await, ErrorCode::TransactionAbortable);
        // From version 12 on, a batch adds its partition.
        let who = story.init().await;
        assert_eq!(story.write(12, who, 0, 0).await, OK);
    });
}

#[test]
fn offsets_are_committed_in_a_transaction_only_where_the_group_is_in_it() {
    tell("offsets_are_committed_in_a_transaction_only", |world| async move {
        let mut story = Story::begin(world, PROPERTIES).await;
        let who = story.init().await;
        assert_eq!(story.commit_offset(4, who, 5).await, ErrorCode::TransactionAbortable);
        assert_eq!(story.commit_offset(3, who, 5).await, ErrorCode::InvalidTxnState, "of old");
        let zombie = Who { epoch: who.epoch - 1, ..who };
        assert_eq!(story.commit_offset(4, zombie, 5).await, ErrorCode::InvalidProducerEpoch);
        assert_eq!(story.committed_offset().await, Committed { offset: -1, error: OK });
        // From version 5 on the commit adds the group.
        assert_eq!(story.commit_offset(5, who, 6).await, OK);
        let unstable = Committed { offset: -1, error: ErrorCode::UnstableOffsetCommit };
        assert_eq!(story.committed_offset().await, unstable);
        let (_, next) = story.end(5, who, true).await;
        while story.committed_offset().await == unstable {
            tokio::time::sleep(RETRY).await;
        }
        assert_eq!(story.committed_offset().await, Committed { offset: 6, error: OK });
        // One that comes after the end is of an epoch that is over.
        assert_eq!(story.commit_offset(5, who, 7).await, ErrorCode::InvalidProducerEpoch);
        assert_eq!(story.commit_offset(5, next, 8).await, OK);
    });
}

#[test]
fn offsets_whose_transaction_ends_meanwhile_are_refused_and_disturb_no_other_commit() {
    tell("offsets_whose_transaction_ends_meanwhile", |world| async move {
        let mut story = Story::begin(world, TRUSTING).await;
        let who = Who { id: 77, epoch: 3 };
        assert_eq!(story.commit_offset(4, who, 5).await, OK);
        assert_eq!(story.mark(Who { epoch: 4, ..who }, OFFSETS, 0, true).await, OK);
        assert_eq!(story.committed_offset().await, Committed { offset: 5, error: OK });
        assert_eq!(story.commit_offset(4, who, 6).await, ErrorCode::InvalidProducerEpoch);
        // The coordinator goes on: had it been thrown away, it would be loading now.
        assert_eq!(story.committed_offset().await, Committed { offset: 5, error: OK });
        assert_eq!(story.commit_offset(4, Who { id: 78, epoch: 0 }, 9).await, OK);
    });
}

#[test]
fn a_marker_is_answered_when_the_offsets_that_it_commits_can_be_seen() {
    tell("a_marker_is_answered_when", |world| async move {
        let mut story = Story::begin(world, TRUSTING).await;
        for (offset, commits) in [(10, true), (11, false), (12, true)] {
            let before = story.committed_offset().await.offset;
            let who = Who { id: 500 + offset, epoch: 0 };
            assert_eq!(story.commit_offset(4, who, offset).await, OK);
            assert_eq!(story.mark(who, OFFSETS, 0, commits).await, OK);
            let seen = if commits { offset } else { before };
            assert_eq!(story.committed_offset().await, Committed { offset: seen, error: OK });
        }
    });
}

#[test]
fn a_marker_of_an_epoch_that_is_over_is_refused_in_every_kind_of_partition() {
    tell("a_marker_of_an_epoch_that_is_over", |world| async move {
        let mut story = Story::begin(world, TRUSTING).await;
        let who = Who { id: 90, epoch: 5 };
        let zombie = Who { epoch: 4, ..who };
        assert_eq!(story.write(9, who, 0, 0).await, OK);
        assert_eq!(story.commit_offset(4, who, 3).await, OK);
        for name in [TOPIC, OFFSETS] {
            assert_eq!(story.mark(zombie, name, 0, true).await, ErrorCode::InvalidProducerEpoch);
            assert_eq!(story.mark(who, name, 0, true).await, OK);
            assert_eq!(story.mark(who, name, 0, true).await, OK, "sent again");
        }
        let nowhere = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(story.mark(who, "nowhere", 0, true).await, nowhere);
        assert_eq!(story.mark(who, TOPIC, 77, true).await, nowhere);
    });
}

#[test]
fn what_comes_late_of_a_transaction_that_has_ended_does_not_end_the_next() {
    tell("what_comes_late_of_a_transaction", |world| async move {
        let mut story = Story::begin(world, PROPERTIES).await;
        let first = story.init().await;
        assert_eq!(story.write(12, first, 0, 0).await, OK);
        assert_eq!(story.commit_offset(5, first, 5).await, OK);
        let (told, second) = story.end(5, first, true).await;
        assert_eq!(told, OK);
        while story.described().await.0 != "CompleteCommit" {
            tokio::time::sleep(RETRY).await;
        }
        assert_eq!(story.write(12, second, 0, 0).await, OK);
        assert_eq!(story.commit_offset(5, second, 6).await, OK);
        let before = story.described().await;
        let began = story.fetch(0, 100).await.last_stable_offset;
        for commits in [true, false] {
            for name in [TOPIC, OFFSETS] {
                let late = story.mark(first, name, 0, commits).await;
                assert_eq!(late, ErrorCode::InvalidProducerEpoch);
            }
            for version in [3, 5] {
                let late = story.end(version, first, commits).await.0;
                assert_eq!(late, ErrorCode::ProducerFenced);
            }
        }
        assert_eq!(story.described().await, before);
        assert_eq!(story.fetch(0, 100).await.last_stable_offset, began);
        let unstable = Committed { offset: -1, error: ErrorCode::UnstableOffsetCommit };
        assert_eq!(story.committed_offset().await, unstable);
        assert_eq!(story.end(5, second, true).await.0, OK);
        while story.committed_offset().await == unstable {
            tokio::time::sleep(RETRY).await;
        }
        assert_eq!(story.committed_offset().await, Committed { offset: 6, error: OK });
        let told = story.fetch(0, 100).await;
        assert_eq!(told.last_stable_offset, told.high_watermark);
        assert_eq!(told.aborted_transactions.unwrap().len(), 0);
    });
}

#[test]
fn a_transaction_that_no_coordinator_knows_of_is_found_and_aborted() {
    tell("a_transaction_that_no_coordinator_knows_of", |world| async move {
        let mut story = Story::begin(world, TRUSTING).await;
        let lost = Who { id: 4242, epoch: 0 };
        assert_eq!(story.write(9, lost, 0, 0).await, OK);
        assert_eq!(story.commit_offset(4, lost, 1).await, OK);
        let other = story.init().await;
        assert_eq!(story.write(12, other, 0, 0).await, OK);
        assert_eq!(story.end(5, other, true).await.0, OK);
        assert_eq!(story.fetch(0, 100).await.last_stable_offset, 0, "held back");
        for (name, at) in [(TOPIC, 0), (OFFSETS, 0)] {
            let found = story.producers(name).await;
            let hanging: Vec<_> =
                found.iter().filter(|producer| producer.current_txn_start_offset >= 0).collect();
            assert_eq!(hanging.len(), 1, "{name}");
            assert_eq!((hanging[0].producer_id.0, hanging[0].current_txn_start_offset), (4242, at));
            assert_eq!(story.mark(lost, name, 0, false).await, OK);
            let left = story.producers(name).await;
            assert!(left.iter().all(|producer| producer.current_txn_start_offset < 0), "{name}");
        }
        let told = story.fetch(0, 100).await;
        assert_eq!(told.last_stable_offset, told.high_watermark);
        assert_eq!(told.aborted_transactions.unwrap().len(), 1);
        assert_eq!(story.committed_offset().await, Committed { offset: -1, error: OK });
    });
}

#[test]
fn a_producer_whose_fence_cannot_be_written_keeps_its_epoch_and_its_transaction() {
    tell("a_producer_whose_fence_cannot_be_written", |world| async move {
        let mut story = Story::begin(world, PROPERTIES).await;
        let who = story.init().await;
        assert_eq!(story.write(12, who, 0, 0).await, OK);
        let before = story.described().await;
        assert_eq!(before, ("Ongoing".to_owned(), who.epoch));
        let disk = story.broker.machine().disk();
        disk.inject(Fault::enospc().on(Call::Write).path("__transaction_state"));
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(id("tx")))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let told = story.session.call(5, &init).await;
        assert!(told.is_err() || told.unwrap().error_code != 0);
        // The disk is well again, and the broker too.
        story.broker.crash(Crash::Kill);
        story.broker.start_and_serve().await;
        story.session = story.other_session("client again");
        assert_eq!(story.described().await, before, "nothing is pending, and no epoch was used");
        let (code, next) = story.end(5, who, true).await;
        assert_eq!((code, next), (OK, Who { epoch: who.epoch + 1, ..who }));
        while story.fetch(0, 100).await.last_stable_offset != 2 {
            tokio::time::sleep(RETRY).await;
        }
        assert_eq!(story.described().await, ("CompleteCommit".to_owned(), next.epoch));
    });
}
