//! Producers and consumers that go on whatever happens to the broker, and write down what they
//! were told.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use blumfeld::env::Env;
use blumfeld::env::sim::Rng;
use blumfeld::record::{BatchBuilder, Records};
use blumfeld::types::{ErrorCode, Timestamp};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    FetchRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;

use super::broker::PORT;
use super::client::Client;
use super::history::{History, Mark};

/// The topic that everyone uses.
pub const TOPIC: &str = "orders";
/// Its partitions.
pub const PARTITIONS: i32 = 2;

const METADATA: i16 = 12;
const INIT_PRODUCER_ID: i16 = 4;
const PRODUCE: i16 = 9;
const FETCH: i16 = 12;

const RETRY: Duration = Duration::from_millis(50);

/// What is known of the topic, shared by all who use it.
pub type Histories = Arc<Mutex<BTreeMap<i32, History>>>;

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

/// One connection at a time to one broker.
pub struct Session {
    env: Env,
    host: String,
    client: Option<Client>,
}

impl Session {
    /// From the process of `env` to the broker on `host`.
    pub fn new(env: Env, host: &str) -> Self {
        Self { env, host: host.to_owned(), client: None }
    }

    /// The connection, a new one if need be.
    async fn client(&mut self) -> &mut Client {
        if self.client.is_none() {
            self.client = loop {
                match Client::connect(&self.env, &self.host, PORT).await {
                    Ok(client) => break Some(client),
                    Err(_) => tokio::time::sleep(RETRY).await,
                }
            };
        }
        self.client.as_mut().unwrap()
    }

    /// One request; after an error the next one connects anew.
    pub async fn call<R: kafka_protocol::protocol::Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> io::Result<R::Response> {
        let result = self.client().await.call(version, request).await;
        if result.is_err() {
            self.client = None;
        }
        result
    }

    /// Makes the topic exist.
    pub async fn create_topic(&mut self) {
        let wanted = MetadataRequestTopic::default().with_name(Some(topic()));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(true);
        loop {
            if let Ok(response) = self.call(METADATA, &request).await
                && let Some(topic) = response.topics.first()
                && topic.error_code == 0
                && topic.partitions.iter().all(|partition| partition.error_code == 0)
            {
                assert_eq!(topic.partitions.len() as i32, PARTITIONS);
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// A new producer's id and epoch.
    pub async fn producer_id(&mut self) -> (i64, i16) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        loop {
            match self.call(INIT_PRODUCER_ID, &request).await {
                Ok(response) if response.error_code == 0 => {
                    return (response.producer_id.0, response.producer_epoch);
                }
                _ => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Sends one batch; its base offset or the broker's error.
    pub async fn produce(
        &mut self,
        partition: i32,
        batch: Bytes,
    ) -> io::Result<Result<i64, ErrorCode>> {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let data = TopicProduceData::default().with_name(topic()).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![data]);
        let response = self.call(PRODUCE, &request).await?;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.index, partition);
        Ok(match answer.error_code {
            0 => Ok(answer.base_offset),
            code => Err(ErrorCode::from_code(code).expect("a known error")),
        })
    }

    /// Batches from that of `offset` on, below the high watermark, and the high watermark.
    pub async fn fetch_bytes(
        &mut self,
        partition: i32,
        offset: i64,
        max_bytes: i32,
    ) -> io::Result<Result<(Bytes, i64), ErrorCode>> {
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(max_bytes);
        let wanted = FetchTopic::default().with_topic(topic()).with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_max_wait_ms(200)
            .with_min_bytes(1)
            .with_max_bytes(max_bytes)
            .with_session_epoch(-1)
            .with_topics(vec![wanted]);
        let response = self.call(FETCH, &request).await?;
        let answer = &response.responses[0].partitions[0];
        Ok(match answer.error_code {
            0 => Ok((answer.records.clone().unwrap_or_default(), answer.high_watermark)),
            code => Err(ErrorCode::from_code(code).expect("a known error")),
        })
    }

    /// What is below the high watermark from `offset` on, and the high watermark.
    async fn fetch(
        &mut self,
        partition: i32,
        offset: i64,
        max_bytes: i32,
    ) -> io::Result<Result<(Vec<(i64, Mark)>, i64), ErrorCode>> {
        let (bytes, high_watermark) = match self.fetch_bytes(partition, offset, max_bytes).await? {
            Ok(fetched) => fetched,
            Err(error) => return Ok(Err(error)),
        };
        let mut records = Vec::new();
        for batch in blumfeld::record::batch::batches(&bytes).map_while(Result::ok) {
            batch.check_crc().unwrap();
            for record in Records::of(&batch).unwrap().iter() {
                let record = record.unwrap();
                let mark = Mark::of_value(record.value.unwrap()).expect("one of ours");
                if record.offset >= offset {
                    records.push((record.offset, mark));
                }
            }
        }
        assert!(
            records.iter().all(|(offset, _)| *offset < high_watermark),
            "a consumer sees nothing from the high watermark {high_watermark} on"
        );
        Ok(Ok((records, high_watermark)))
    }
}

/// Sends `count` batches, each until the broker has it. Where the broker may forget
/// (`may_forget`), a producer whose sequence it does not know starts anew under another id, and
/// gives up what it did not get an answer for.
pub async fn write(
    mut session: Session,
    writer: u32,
    count: u32,
    may_forget: bool,
    mut rng: Rng,
    histories: Histories,
) {
    session.create_topic().await;
    let (mut id, mut epoch) = session.producer_id().await;
    // By partition: the next number, and the next sequence.
    let mut next = BTreeMap::<i32, (u32, i32)>::new();
    for _ in 0..count {
        let partition = rng.below(PARTITIONS as u64) as i32;
        let (number, sequence) = next.get(&partition).copied().unwrap_or_default();
        let marks: Vec<Mark> = (0..=rng.below(3) as u32)
            .map(|index| Mark { writer, number: number + index })
            .collect();
        let mut builder = BatchBuilder::new(0).producer(id, epoch, sequence);
        for mark in &marks {
            histories.lock().entry(partition).or_default().sent(*mark);
            builder.push(Timestamp(1_767_225_600_000), None, Some(&mark.to_value()));
        }
        let batch = Bytes::from(builder.build().unwrap());
        let sequence = sequence + marks.len() as i32;
        next.insert(partition, (number + marks.len() as u32, sequence));
        loop {
            let age = histories.lock()[&partition].age();
            match session.produce(partition, batch.clone()).await {
                Ok(Ok(base)) => {
                    let mut histories = histories.lock();
                    let history = histories.get_mut(&partition).unwrap();
                    for (offset, mark) in (base..).zip(&marks) {
                        history.acknowledged(*mark, offset, age);
                    }
                    break;
                }
                Ok(Err(
                    ErrorCode::NotLeaderOrFollower
                    | ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::LeaderNotAvailable
                    | ErrorCode::RequestTimedOut
                    | ErrorCode::NotEnoughReplicas
                    | ErrorCode::KafkaStorageError,
                ))
                | Err(_) => tokio::time::sleep(RETRY).await,
                Ok(Err(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId))
                    if may_forget =>
                {
                    (id, epoch) = session.producer_id().await;
                    for (_, sequence) in next.values_mut() {
                        *sequence = 0;
                    }
                    break;
                }
                Ok(Err(error)) => panic!("{marks:?} to {partition}: {error:?}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.below(40))).await;
    }
}

/// Reads a partition over and over from places it chooses, and writes down what it saw.
pub async fn read(mut session: Session, mut rng: Rng, histories: Histories) {
    let mut position = 0;
    loop {
        let partition = rng.below(PARTITIONS as u64) as i32;
        let max_bytes = 1 + rng.below(2000) as i32;
        let age = histories.lock().entry(partition).or_default().age();
        match session.fetch(partition, position, max_bytes).await {
            Ok(Ok((records, high_watermark))) => {
                let mut histories = histories.lock();
                let history = histories.entry(partition).or_default();
                for (offset, mark) in records {
                    history.seen(mark, offset, age).unwrap();
                    position = offset + 1;
                }
                if rng.one_in(4) || position > high_watermark {
                    position = rng.below(high_watermark as u64 + 1) as i64;
                }
            }
            Ok(Err(_)) => {
                position = 0;
                tokio::time::sleep(RETRY).await;
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Where a partition's log ends, as far as consumers may see.
pub async fn end_of(session: &mut Session, partition: i32) -> i64 {
    loop {
        match session.fetch(partition, 0, 1).await {
            Ok(Ok((_, high_watermark))) => return high_watermark,
            Ok(Err(_)) | Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Reads each partition from its start to its end, and judges.
pub async fn check(mut session: Session, histories: &Histories) -> Result<(), String> {
    session.create_topic().await;
    for partition in 0..PARTITIONS {
        let mut log = Vec::new();
        loop {
            let from = log.last().map_or(0, |(offset, _)| offset + 1);
            let fetched = session.fetch(partition, from, 1 << 20).await;
            let (records, high_watermark) = match fetched {
                Ok(Ok(fetched)) => fetched,
                Ok(Err(error)) => return Err(format!("partition {partition}: {error:?}")),
                Err(_) => continue,
            };
            log.extend(records);
            if log.last().map_or(0, |(offset, _)| offset + 1) == high_watermark {
                break;
            }
        }
        let history = histories.lock().get(&partition).cloned().unwrap_or_default();
        history.check(0, &log).map_err(|error| format!("partition {partition}: {error}"))?;
    }
    Ok(())
}
