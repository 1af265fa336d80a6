//! Transactions in a simulated world whose broker is killed again and again: whatever state one is
//! in, it ends in one outcome, and in the same one in every partition. `SEED=n` runs one seed,
//! `SEEDS=n` so many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::support::broker::SimBroker;
use crate::support::workload::{PARTITIONS, Session, TOPIC};
use crate::support::{seeds, simulate};
use blumfeld::env::sim::{Crash, Rng, World};
use blumfeld::record::{BatchBuilder, Records as BatchRecords};
use blumfeld::types::{ErrorCode, Timestamp};
use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, FetchRequest, FindCoordinatorRequest,
    InitProducerIdRequest, ProduceRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;

pub(super) const HOST: &str = "broker";
const PRODUCERS: u32 = 2;
const TRANSACTIONS: u32 = 25;
const ROUNDS: u32 = 8;
pub(super) const RETRY: Duration = Duration::from_millis(30);
pub(super) const PROPERTIES: &[(&str, &str)] = &[
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "2"),
    // A batch at a time, when coordinators are loaded.
    ("offsets.load.buffer.size", "1"),
    ("transaction.state.log.load.buffer.size", "1"),
];

/// What a producer was told of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Committed,
    Aborted,
    /// It asked for the commit, and got no answer that says how it went.
    Unknown,
}

/// By producer and number.
pub(super) type Outcomes = Arc<Mutex<BTreeMap<(u32, u32), Told>>>;

pub(super) fn text(value: impl Into<String>) -> StrBytes {
    StrBytes::from_string(value.into())
}

pub(super) fn is_retriable(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ConcurrentTransactions
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::RequestTimedOut
            | ErrorCode::KafkaStorageError
    )
}

pub(super) fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).expect("a known error")
}

/// A producer of the second version of transactions (KIP-890), or of the first.
pub(super) struct Producer {
    pub(super) session: Session,
    number: u32,
    pub(super) has_version_2: bool,
    pub(super) id: i64,
    pub(super) epoch: i16,
    sequences: BTreeMap<i32, i32>,
}

impl Producer {
    pub(super) fn new(session: Session, number: u32, has_version_2: bool) -> Self {
        Self { session, number, has_version_2, id: -1, epoch: -1, sequences: BTreeMap::new() }
    }

    pub(super) fn transactional_id(&self) -> TransactionalId {
        TransactionalId(text(format!("tx-{}", self.number)))
    }

    /// Asks until there is an answer that is no "try again". An answer that was lost is asked for
    /// again too.
    pub(super) async fn until_answered<R: kafka_protocol::protocol::Request>(
        &mut self,
        version: i16,
        request: &R,
        error: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, ErrorCode> {
        loop {
            if let Ok(response) = self.session.call(version, request).await {
                match code(error(&response)) {
                    ErrorCode::None => return Ok(response),
                    again if is_retriable(again) => {}
                    other => return Err(other),
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Takes over from whatever this producer did before, which ends its open transaction.
    pub(super) async fn init(&mut self) {
        let find = FindCoordinatorRequest::default()
            .with_key_type(1)
            .with_coordinator_keys(vec![self.transactional_id().0]);
        let found = |response: &kafka_protocol::messages::FindCoordinatorResponse| {
            response.coordinators[0].error_code
        };
        self.until_answered(4, &find, found).await.unwrap();
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.transactional_id()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let got = self.until_answered(5, &init, |response| response.error_code).await.unwrap();
        (self.id, self.epoch) = (got.producer_id.0, got.producer_epoch);
        self.sequences.clear();
    }

    pub(super) async fn write(&mut self, partition: i32, number: u32) -> Result<(), ErrorCode> {
        let topic = TopicName(text(TOPIC));
        let transactional_id = self.transactional_id();
        if !self.has_version_2 {
            let topic = AddPartitionsToTxnTopic::default()
                .with_name(topic.clone())
                .with_partitions(vec![partition]);
            let add = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(transactional_id.clone())
                .with_v3_and_below_producer_id(self.id.into())
                .with_v3_and_below_producer_epoch(self.epoch)
                .with_v3_and_below_topics(vec![topic]);
            let told = |response: &kafka_protocol::messages::AddPartitionsToTxnResponse| {
                response.results_by_topic_v3_and_below[0].results_by_partition[0]
                    .partition_error_code
            };
            self.until_answered(3, &add, told).await?;
        }
        let sequence = self.sequences.entry(partition).or_default();
        let mut batch = BatchBuilder::new(0).producer(self.id, self.epoch, *sequence);
        *sequence += 1;
        batch = batch.transactional();
        let value = format!("{} {number}", self.number);
        batch.push(Timestamp(1_767_225_600_000), None, Some(value.as_bytes()));
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(Bytes::from(batch.build().unwrap())));
        let data = TopicProduceData::default().with_name(topic).with_partition_data(vec![data]);
        let produce = ProduceRequest::default()
            .with_transactional_id(Some(transactional_id))
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![data]);
        let version = if self.has_version_2 { 12 } else { 11 };
        let told = |response: &kafka_protocol::messages::ProduceResponse| {
            response.responses[0].partition_responses[0].error_code
        };
        self.until_answered(version, &produce, told).await.map(drop)
    }

    pub(super) async fn end(&mut self, commits: bool) -> Result<(), ErrorCode> {
        let end = EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_committed(commits);
        let version = if self.has_version_2 { 5 } else { 3 };
        let told = self.until_answered(version, &end, |response| response.error_code).await?;
        if self.has_version_2 {
            (self.id, self.epoch) = (told.producer_id.0, told.producer_epoch);
            self.sequences.clear();
        }
        Ok(())
    }

    /// Transactions of one record in each partition; some are given up in the middle.
    async fn work(mut self, mut rng: Rng, outcomes: Outcomes) {
        self.session.create_topic().await;
        self.init().await;
        for number in 0..TRANSACTIONS {
            let key = (self.number, number);
            let commits = rng.below(3) > 0;
            let gives_up = rng.one_in(6);
            let mut failed = None;
            for partition in 0..PARTITIONS {
                tokio::time::sleep(Duration::from_millis(rng.below(20))).await;
                if let Err(error) = self.write(partition, number).await {
                    failed = Some(error);
                    break;
                }
            }
            if failed.is_some() || gives_up {
                outcomes.lock().insert(key, Told::Aborted);
                self.init().await;
                continue;
            }
            let told = match self.end(commits).await {
                Ok(()) if commits => Told::Committed,
                Err(_) if commits => Told::Unknown,
                _ => Told::Aborted,
            };
            outcomes.lock().insert(key, told);
            if rng.one_in(8) {
                self.init().await;
            }
        }
    }
}

/// Producer and number of records, in order.
pub(super) type Records = Vec<(u32, u32)>;

/// A read_committed consumer of one partition, as clients do it.
pub(super) struct Reader {
    session: Session,
    partition: i32,
    offset: i64,
    records: Arc<Mutex<Records>>,
}

impl Reader {
    pub(super) fn new(session: Session, partition: i32) -> Self {
        Self { session, partition, offset: 0, records: Arc::default() }
    }

    /// One fetch, which waits up to `wait_ms` for something to read. Where it stands, the last
    /// stable offset and the high watermark; nothing when there was no answer.
    async fn fetch(&mut self, wait_ms: i32, max_bytes: i32) -> Option<(i64, i64, i64)> {
        let wanted = FetchPartition::default()
            .with_partition(self.partition)
            .with_fetch_offset(self.offset)
            .with_partition_max_bytes(max_bytes);
        let wanted =
            FetchTopic::default().with_topic(TopicName(text(TOPIC))).with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_isolation_level(1)
            .with_session_epoch(-1)
            .with_topics(vec![wanted]);
        let response = self.session.call(12, &request).await.ok()?;
        let answer = &response.responses[0].partitions[0];
        if answer.error_code != 0 {
            return None;
        }
        let (stable, high_watermark) = (answer.last_stable_offset, answer.high_watermark);
        assert!(stable <= high_watermark);
        let mut aborted: Vec<(i64, i64)> = answer
            .aborted_transactions
            .iter()
            .flatten()
            .map(|txn| (txn.first_offset, txn.producer_id.0))
            .collect();
        aborted.sort_unstable();
        let mut aborting = BTreeSet::new();
        let bytes = answer.records.clone().unwrap_or_default();
        for batch in blumfeld::record::batch::batches(&bytes).map_while(Result::ok) {
            let header = batch.header();
            assert!(header.last_offset() < stable, "nothing is read that is undecided");
            let begun = aborted.partition_point(|(first, _)| *first <= header.last_offset());
            aborting.extend(aborted.drain(..begun).map(|(_, id)| id));
            let after = header.last_offset() + 1;
            if header.attributes.is_control() {
                aborting.remove(&header.producer_id);
            } else if !aborting.contains(&header.producer_id) && after > self.offset {
                for record in BatchRecords::of(&batch).unwrap().iter().map(Result::unwrap) {
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    let (producer, number) = value.split_once(' ').unwrap();
                    let read = (producer.parse().unwrap(), number.parse().unwrap());
                    self.records.lock().push(read);
                }
            }
            self.offset = self.offset.max(after);
        }
        Some((self.offset, stable, high_watermark))
    }

    /// Reads until nothing is open and nothing left.
    pub(super) async fn read_all(mut self) -> Records {
        for _ in 0..10_000 {
            match self.fetch(100, 1 << 20).await {
                Some((offset, stable, end)) if stable == end && offset == end => {
                    return self.records.lock().clone();
                }
                Some(_) => {}
                None => tokio::time::sleep(RETRY).await,
            }
        }
        panic!("partition {} stays open at {}", self.partition, self.offset);
    }

    /// Reads for ever, in pieces, and mostly waits for what comes.
    async fn follow(mut self, mut rng: Rng) {
        loop {
            let wait_ms = [0, 50, 500, 5000][rng.below(4) as usize];
            if self.fetch(wait_ms, 1 + rng.below(1000) as i32).await.is_none() {
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn killed_again_and_again(world: World) {
    let mut rng = world.rng("trouble");
    world.set_latency(1 + rng.below(5));
    world.set_blocking_time(rng.below(4));
    let mut broker = SimBroker::new(&world, HOST, PROPERTIES);
    broker.start_and_serve().await;
    let outcomes = Outcomes::default();
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    for number in 1..=PRODUCERS {
        let name = format!("producer-{number}");
        let env = world.machine(&name).start();
        let producer = Producer::new(Session::new(env.clone(), HOST), number, rng.coin());
        let (rng, outcomes, done) = (world.rng(&name), outcomes.clone(), done.clone());
        env.threads.spawn(Box::pin(async move {
            producer.work(rng, outcomes).await;
            drop(done);
        }));
    }
    drop(done);
    // Whoever reads meanwhile gets, as far as they come, what is there in the end.
    let mut followed = Vec::new();
    for at in 0..2 * PARTITIONS {
        let name = format!("reader-{at}");
        let env = world.machine(&name).start();
        let reader = Reader::new(Session::new(env.clone(), HOST), at % PARTITIONS);
        followed.push((at % PARTITIONS, Arc::clone(&reader.records)));
        env.threads.spawn(Box::pin(reader.follow(world.rng(&name))));
    }
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(rng.below(400))).await;
        if rng.one_in(4) {
            broker.stop().await;
        } else {
            broker.crash(Crash::Kill);
        }
        tokio::time::sleep(Duration::from_millis(rng.below(200))).await;
        broker.start_and_serve().await;
    }
    let finished = tokio::time::timeout(Duration::from_mins(10), all_done.recv()).await;
    assert!(finished.is_ok(), "after the last kill everything gets through");

    let judge = world.machine("judge").start();
    let outcomes = outcomes.lock().clone();
    let mut seen = Vec::new();
    for partition in 0..PARTITIONS {
        let records = Reader::new(Session::new(judge.clone(), HOST), partition).read_all().await;
        for (_, followed) in followed.iter().filter(|(of, _)| *of == partition) {
            let followed = followed.lock();
            assert!(records.starts_with(&followed), "{partition}: {followed:?} of {records:?}");
            assert!(!followed.is_empty());
        }
        let as_set: BTreeSet<_> = records.iter().copied().collect();
        assert_eq!(as_set.len(), records.len(), "partition {partition}: something twice");
        for producer in 1..=PRODUCERS {
            let own = records.iter().filter(|(of, _)| *of == producer);
            assert!(own.is_sorted(), "partition {partition}: out of order");
        }
        for (key, told) in &outcomes {
            match told {
                Told::Committed => assert!(as_set.contains(key), "{key:?} lost in {partition}"),
                Told::Aborted => assert!(!as_set.contains(key), "{key:?} read in {partition}"),
                Told::Unknown => {}
            }
        }
        seen.push(as_set);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "one outcome everywhere: {seen:?}");
    let committed = outcomes.values().filter(|told| **told == Told::Committed).count();
    assert!(committed > 5, "{committed} committed");
}

#[test]
fn a_transaction_ends_in_one_outcome_everywhere_whatever_kills_the_broker() {
    for seed in seeds(12) {
        simulate(
            "a_transaction_ends_in_one_outcome_everywhere_whatever_kills_the_broker",
            seed,
            killed_again_and_again,
        );
    }
}
