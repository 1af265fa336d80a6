//! librdkafka, through the rdkafka crate, in the shape that the stories need: records as values, answers with their
//! errors, and no group.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, Timestamp, TopicPartitionList};

use super::{Broker, PATIENCE};

/// A configuration that knows the broker at `address`.
pub(crate) fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("broker.address.family", "v4");
    config
}

/// A record as a client sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// `None` is no key, which is not the empty key.
    pub(crate) key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    /// In their order, equal names and absent values included.
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    /// In milliseconds since 1970; `None` is now.
    pub(crate) timestamp: Option<i64>,
}

impl Outgoing {
    /// A record with a value alone.
    pub(crate) fn value(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A record with a key and a value.
    pub(crate) fn pair(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), ..Self::value(value) }
    }

    /// The same with an explicit timestamp, in milliseconds since 1970.
    pub(crate) fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

/// A record as a client receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect()
        });
        Self {
            offset: message.offset(),
            timestamp: message.timestamp(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    /// The value as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap()).unwrap()
    }
}

/// What became of a record that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The count of records that its producer sent before it.
    pub(crate) index: u64,
    pub(crate) partition: i32,
    /// Its offset, or why it was not taken.
    pub(crate) outcome: Result<i64, RDKafkaErrorCode>,
    pub(crate) timestamp: Timestamp,
}

impl Delivery {
    /// The offset of a record that must have been taken.
    #[track_caller]
    pub(crate) fn offset(&self) -> i64 {
        self.outcome.unwrap_or_else(|error| panic!("record {} was refused: {error}", self.index))
    }
}

/// Passes delivery reports on.
pub(crate) struct Reports(Sender<Delivery>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<u64>) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error)),
        };
        let outcome = match error {
            None => Ok(message.offset()),
            Some(error) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        let (partition, timestamp) = (message.partition(), message.timestamp());
        self.0.send(Delivery { index: *index, partition, outcome, timestamp }).ok();
    }
}

/// A producer that remembers what became of each record.
pub(crate) struct Producer {
    inner: BaseProducer<Reports>,
    reports: Receiver<Delivery>,
    sent: u64,
}

impl Producer {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        let (sender, reports) = channel();
        Self { inner: config.create_with_context(Reports(sender)).unwrap(), reports, sent: 0 }
    }

    /// Queues a record, waiting while the queue is full. A `partition` of `None` leaves the choice to the client.
    pub(crate) fn send(&mut self, topic: &str, partition: Option<i32>, record: &Outgoing) -> u64 {
        let index = self.sent;
        let mut message = BaseRecord::with_opaque_to(topic, Box::new(index));
        if let Some(partition) = partition {
            message = message.partition(partition);
        }
        if let Some(key) = &record.key {
            message = message.key(key);
        }
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        if let Some(timestamp) = record.timestamp {
            message = message.timestamp(timestamp);
        }
        if !record.headers.is_empty() {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: value.as_ref() });
            }
            message = message.headers(headers);
        }
        let deadline = Instant::now() + PATIENCE;
        while let Err((error, refused)) = self.inner.send(message) {
            assert!(
                error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                    && Instant::now() < deadline,
                "{error}"
            );
            self.inner.poll(Duration::from_millis(10));
            message = refused;
        }
        self.sent += 1;
        index
    }

    /// Takes the reports that are there, waiting up to `wait` for the first.
    pub(crate) fn reports(&self, wait: Duration) -> Vec<Delivery> {
        let deadline = Instant::now() + wait;
        loop {
            // (A poll of the crate lasts as long as it may, whatever comes in.)
            self.inner.poll(Duration::from_millis(1));
            let reports: Vec<_> = self.reports.try_iter().collect();
            if !reports.is_empty() || Instant::now() >= deadline {
                return reports;
            }
        }
    }

    /// Waits until nothing is under way, and returns the reports that were not taken yet, in the order of sending.
    pub(crate) fn finish(&self) -> Vec<Delivery> {
        self.inner.flush(PATIENCE).unwrap();
        let mut reports: Vec<_> = self.reports.try_iter().collect();
        reports.sort_by_key(|report| report.index);
        reports
    }

    /// How many records are under way.
    pub(crate) fn in_flight(&self) -> i32 {
        self.inner.in_flight_count()
    }
}

/// Sends `records` to one partition with `config`, and returns what became of them.
pub(crate) fn produce(
    config: &ClientConfig,
    topic: &str,
    partition: i32,
    records: &[Outgoing],
) -> Vec<Delivery> {
    let mut producer = Producer::new(config);
    for record in records {
        producer.send(topic, Some(partition), record);
    }
    let reports = producer.finish();
    assert_eq!(reports.len(), records.len(), "every record has an answer");
    reports
}

/// A consumer that is told its partitions: it belongs to no group.
pub(crate) fn consumer(config: &ClientConfig) -> BaseConsumer {
    let mut config = config.clone();
    config
        .set("group.id", "assigned by hand")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true");
    for (key, value) in [("auto.offset.reset", "error"), ("fetch.wait.max.ms", "100")] {
        if config.get(key).is_none() {
            config.set(key, value);
        }
    }
    config.create().unwrap()
}

/// One partition, read in order.
pub(crate) struct Reader {
    consumer: BaseConsumer,
}

impl Reader {
    /// Begins to read at `from`.
    pub(crate) fn new(config: &ClientConfig, topic: &str, partition: i32, from: Offset) -> Self {
        let consumer = consumer(config);
        // librdkafka looks for a logical offset at once if it knows the partition's leader, else half a second later.
        consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, from).unwrap();
        consumer.assign(&list).unwrap();
        Self { consumer }
    }

    /// The next record; `None` at the end of the partition.
    pub(crate) fn next(&self) -> Result<Option<Record>, RDKafkaErrorCode> {
        match self.consumer.poll(PATIENCE) {
            None => panic!("neither a record nor the partition's end in {PATIENCE:?}"),
            Some(Ok(message)) => Ok(Some(Record::of(&message))),
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(code) => Err(code),
                None => panic!("{error}"),
            },
        }
    }

    /// The next record, waiting for it beyond the end of the partition.
    pub(crate) fn wait(&self) -> Record {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(record) = self.next().unwrap() {
                return record;
            }
        }
        panic!("no record in {PATIENCE:?}")
    }

    /// `count` records, waiting for them beyond the end of the partition.
    pub(crate) fn take(&self, count: usize) -> Vec<Record> {
        (0..count).map(|_| self.wait()).collect()
    }

    /// Everything up to the end of the partition.
    pub(crate) fn rest(&self) -> Vec<Record> {
        std::iter::from_fn(|| self.next().unwrap()).collect()
    }
}

/// All records of a partition.
pub(crate) fn read_all(config: &ClientConfig, topic: &str, partition: i32) -> Vec<Record> {
    Reader::new(config, topic, partition, Offset::Beginning).rest()
}

/// Runs a future of the rdkafka crate.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// An admin client.
pub(crate) fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    broker.client().create().unwrap()
}

/// Options of an admin call.
pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

/// Creates a topic with replication factor 1.
#[track_caller]
pub(crate) fn create_topic(
    broker: &Broker,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let results = wait_for(admin(broker).create_topics([&topic], &options())).unwrap();
    assert_eq!(results, [Ok(name.to_owned())]);
}

/// Deletes a partition's records below an offset.
#[track_caller]
pub(crate) fn delete_records(broker: &Broker, topic: &str, partition: i32, before: Offset) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, before).unwrap();
    let answer = wait_for(admin(broker).delete_records(&list, &options())).unwrap();
    answer.find_partition(topic, partition).unwrap().error().unwrap();
}

/// Asserts that two lists of records are the same, naming the first that differs.
#[track_caller]
pub(crate) fn assert_same(what: &str, ours: &[Record], theirs: &[Record]) {
    for (left, right) in ours.iter().zip(theirs) {
        assert_eq!(left, right, "{what}: the first records that differ");
    }
    assert_eq!(ours.len(), theirs.len(), "{what}: the count of records");
}

/// Asserts that `got` are the records of `sent`, at offsets from `first` on without a gap.
#[track_caller]
pub(crate) fn assert_received(what: &str, sent: &[Outgoing], got: &[Record], first: i64) {
    for (index, (sent, got)) in sent.iter().zip(got).enumerate() {
        assert_eq!(got.offset, first + index as i64, "{what}: record {index}'s offset");
        assert_eq!(got.key, sent.key, "{what}: record {index}'s key");
        assert_eq!(got.value, sent.value, "{what}: record {index}'s value");
        assert_eq!(got.headers, sent.headers, "{what}: record {index}'s headers");
        if let Some(timestamp) = sent.timestamp {
            assert_eq!(got.timestamp, Timestamp::CreateTime(timestamp), "{what}: record {index}");
        }
    }
    assert_eq!(got.len(), sent.len(), "{what}: the count of records");
}
