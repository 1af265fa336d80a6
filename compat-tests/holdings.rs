//! All that a directory holds beside plain records, made and looked at through Kafka's own tools: topics of every
//! cleanup policy, groups of both protocols, transactions that ended and one that did not, entries for access, quotas,
//! credentials, and settings of every kind of resource.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::harness::client::{Outgoing, Record, create_topic, produce, read_all};
use crate::harness::{Broker, PATIENCE, Plan, kafka, process, soon};
use crate::transactions::transactional;

/// Topics that may lose records at any time, though never the last of a key.
pub(crate) const COMPACTED: [&str; 2] = ["compacted", "compacted-and-deleted"];
/// The topic with a transaction that nobody ends.
const HELD: &str = "held";
/// The transactional id of that transaction.
const OPEN: &str = "open";

/// Lets entries for access be kept, and cleaners and deletions be quick.
pub(crate) fn able_to_hold_all(plan: Plan) -> Plan {
    plan.with("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .with("allow.everyone.if.no.acl.found", true)
        .with("super.users", "User:ANONYMOUS")
        .with("log.cleaner.backoff.ms", 100)
        .with("offsets.topic.num.partitions", 4)
        .with("transaction.state.log.num.partitions", 4)
}

/// Makes one of each.
pub(crate) fn acquire(broker: &Broker) {
    compacted(broker);
    groups(broker);
    transactions(broker);
    settings(broker);
}

fn compacted(broker: &Broker) {
    for (topic, policy) in COMPACTED.into_iter().zip(["compact", "compact,delete"]) {
        let quick = [
            ("segment.bytes", "1048576"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("delete.retention.ms", "86400000"),
            ("cleanup.policy", policy),
        ];
        create_topic(broker, topic, 1, &quick);
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            // Every seventh record deletes its key.
            let records: Vec<_> = (0..1_500_u64)
                .map(|n| {
                    let mut record = Outgoing::pair(format!("{}", n % 90), noise(n, 1_000));
                    record.value = record.value.filter(|_| n % 7 > 0);
                    record
                })
                .collect();
            let mut config = broker.client();
            config.set("compression.type", codec).set("enable.idempotence", "true");
            produce(config.set("batch.num.messages", "40"), topic, 0, &records);
        }
    }
}

/// Text that does not compress to nothing.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut text = Vec::with_capacity(len + 16);
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(format!("{state:x}").as_bytes());
    }
    text
}

fn groups(broker: &Broker) {
    create_topic(broker, "grouped", 3, &[]);
    for partition in 0..3 {
        produce(&broker.client(), "grouped", partition, &vec![Outgoing::value("x"); 30]);
    }
    for protocol in ["classic", "consumer"] {
        let mut config = broker.client();
        config.set("group.id", format!("of-{protocol}")).set("group.protocol", protocol);
        config.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&["grouped"]).unwrap();
        let (mut count, deadline) = (0, Instant::now() + PATIENCE);
        while count < 90 {
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                message.unwrap();
                count += 1;
            }
            assert!(Instant::now() < deadline, "{count} of 90 records");
        }
        let mut offsets = TopicPartitionList::new();
        for partition in 0..3 {
            let offset = Offset::Offset(i64::from(partition) + 10);
            offsets.add_partition_offset("grouped", partition, offset).unwrap();
            let mut position = offsets.find_partition("grouped", partition).unwrap();
            position.set_metadata(format!("{protocol} {partition}"));
        }
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    }
}

fn transactions(broker: &Broker) {
    create_topic(broker, "transacted", 2, &[("segment.bytes", "1048576")]);
    create_topic(broker, HELD, 1, &[]);
    let producer = transactional(broker, "ended", PATIENCE);
    for round in 0..20 {
        producer.begin_transaction().unwrap();
        for partition in [0, 1] {
            for n in 0..10 {
                send(&producer, "transacted", partition, &noise(round * 10 + n, 8_000));
            }
        }
        producer.flush(PATIENCE).unwrap();
        if round % 3 == 0 {
            producer.abort_transaction(PATIENCE).unwrap();
        } else {
            producer.commit_transaction(PATIENCE).unwrap();
        }
    }
    let aborted = transactional(broker, "aborted", PATIENCE);
    aborted.begin_transaction().unwrap();
    send(&aborted, "transacted", 0, b"never");
    aborted.flush(PATIENCE).unwrap();
    aborted.abort_transaction(PATIENCE).unwrap();
    // Its producer goes without a word; what is written behind it waits for it.
    let open = transactional(broker, OPEN, Duration::from_mins(15));
    open.begin_transaction().unwrap();
    send(&open, HELD, 0, b"in an open transaction");
    open.flush(PATIENCE).unwrap();
    produce(&broker.client(), HELD, 0, &[Outgoing::value("behind it")]);
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &[u8]) {
    let record: BaseRecord<'_, (), [u8]> =
        BaseRecord::to(topic).partition(partition).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.poll(Duration::ZERO);
}

fn settings(broker: &Broker) {
    let acls = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        broker.tool("kafka-acls", &words).ok();
    };
    acls("--add --allow-principal User:alice --operation Read --topic lz4");
    acls(
        "--add --deny-principal User:mallory --operation All --group of- --resource-pattern-type prefixed",
    );
    for words in [
        "--entity-type users --entity-name alice --add-config producer_byte_rate=1048576",
        "--entity-type users --entity-default --add-config request_percentage=12.5",
        "--entity-type users --entity-name alice --entity-type clients --entity-name app --add-config consumer_byte_rate=777",
        "--entity-type clients --entity-name app --add-config controller_mutation_rate=5",
        "--entity-type ips --entity-name 10.1.2.3 --add-config connection_creation_rate=7",
        "--entity-type users --entity-name bob --add-config SCRAM-SHA-256=[iterations=4096,password=secret]",
        "--entity-type users --entity-name bob --add-config SCRAM-SHA-512=[password=other]",
        "--entity-type brokers --entity-default --add-config log.cleaner.threads=2",
        "--entity-type brokers --entity-name 1 --add-config log.cleaner.delete.retention.ms=90000000",
        "--entity-type topics --entity-name lz4 --add-config retention.ms=86400000,max.message.bytes=900000",
        "--entity-type groups --entity-name of-consumer --add-config consumer.session.timeout.ms=50000",
        "--entity-type client-metrics --entity-name tail --add-config interval.ms=60000,metrics=org.apache.kafka.producer.",
    ] {
        let mut all = vec!["--alter"];
        all.extend(words.split(' '));
        broker.tool("kafka-configs", &all).ok();
    }
}

/// What Kafka's admin client tells of it, and the last value of each key where others may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holdings {
    told: Vec<String>,
    compacted: BTreeMap<&'static str, BTreeMap<Vec<u8>, Record>>,
}

impl Holdings {
    pub(crate) fn look(broker: &Broker) -> Self {
        let mut command = kafka::program("Describe.java");
        command.arg(broker.address());
        let mut told: Vec<_> = output(command).lines().map(str::to_owned).collect();
        // (What is written after a look is told by the next one: only what was there then counts.)
        told.retain(|line| !line.contains("fresh-"));
        let last = COMPACTED.map(|topic| (topic, last_values(broker, topic)));
        Self { told, compacted: last.into() }
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, when: &str, before: &Self) {
        assert_eq!(self.told, before.told, "{when}");
        for (topic, before) in &before.compacted {
            let after = &self.compacted[topic];
            assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
            for (key, record) in before {
                assert_eq!(&after[key], record, "{when}: {topic}");
            }
        }
    }

    /// How many facts begin with a word.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.told.iter().filter(|line| line.starts_with(word)).count()
    }
}

fn last_values(broker: &Broker, topic: &str) -> BTreeMap<Vec<u8>, Record> {
    let records = read_all(&broker.client(), topic, 0).into_iter();
    let last: BTreeMap<_, _> =
        records.map(|record| (record.key.clone().unwrap(), record)).collect();
    last.into_iter().filter(|(_, record)| record.value.is_some()).collect()
}

/// What stands in the metadata of the credentials, which no tool prints: they are what they were to the last byte.
pub(crate) fn credentials(plan: &Plan) -> Vec<String> {
    let folder = plan.home().data().join("__cluster_metadata-0");
    let files = crate::harness::dump::files(&folder, &["log", "checkpoint"]);
    let list: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    let mut command = kafka::tool("kafka-dump-log");
    command.args(["--cluster-metadata-decoder", "--files", &list.join(",")]);
    let printed = output(command);
    let mut found: Vec<String> = printed
        .lines()
        .filter_map(|line| line.split_once("payload: ").map(|(_, payload)| payload.to_owned()))
        .filter(|payload| payload.contains("SCRAM"))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn output(command: std::process::Command) -> String {
    process::run(command, b"", PATIENCE * 3).ok()
}

/// Ends the transaction that was open all the time; whoever waited behind it is read.
pub(crate) fn end_the_open_transaction(broker: &Broker) {
    let read = |level: &str| -> Vec<String> {
        let mut config = broker.client();
        let records = read_all(config.set("isolation.level", level), HELD, 0);
        records.iter().map(|record| record.text().to_owned()).collect()
    };
    assert_eq!(read("read_committed"), Vec::<String>::new(), "held back as long as it is open");
    assert_eq!(read("read_uncommitted"), ["in an open transaction", "behind it"]);
    drop(transactional(broker, OPEN, PATIENCE));
    soon(vec!["behind it".to_owned()], || read("read_committed"));
}
