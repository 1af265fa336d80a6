//! Our answers beside those that Apache Kafka gave to its own AdminClient for the same settings.

use std::collections::BTreeSet;

use super::*;
use crate::config::tests::props;
use crate::config::{BrokerConfig, Properties};

/// One line a key: resource, key, type, value, source, read-only, sensitive, whether there is no
/// documentation, and all values from the one that counts to the default. Kafka's keys that are
/// only for tests are in neither.
const KAFKA_4_4_0: &str = include_str!("kafka-4.4.0.tsv");
const KAFKA_4_3_1: &str = include_str!("kafka-4.3.1.tsv");

/// What Kafka 4.3.1 does not know yet. Nothing else differs between the two.
const NEW_IN_4_4: &[&str] = &[
    "BROKER:1 errors.deadletterqueue.auto.create.topics.enable",
    "BROKER:1 errors.deadletterqueue.topic.name.prefix",
    "BROKER:1 group.streams.assignors",
    "BROKER:1 group.streams.rack.aware.assignment.tags",
    "BROKER:1 group.streams.topology.description.plugin.class",
    "BROKER:1 log.remote.copy.lag.bytes",
    "BROKER:1 log.remote.copy.lag.ms",
    "BROKER:1 max.decompressed.message.bytes",
    "BROKER:1 sasl.oauthbearer.allow.unverified.audience",
    "BROKER:1 sasl.oauthbearer.allow.unverified.issuer",
    "GROUP:g errors.deadletterqueue.copy.record.enable",
    "GROUP:g errors.deadletterqueue.topic.name",
    "GROUP:g streams.assignor.name",
    "GROUP:g streams.rack.aware.assignment.tags",
    "TOPIC:t errors.deadletterqueue.group.enable",
    "TOPIC:t max.decompressed.message.bytes",
    "TOPIC:t remote.copy.lag.bytes",
    "TOPIC:t remote.copy.lag.ms",
];

const STARTED_WITH: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:9093
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
advertised.listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=/kafka/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.roll.hours=100
log.retention.minutes=77
my.static=x
log.initial.task.delay.ms=31000
sasl.jaas.config=abc
compression.type=lz4
num.io.threads=9
";

fn broker() -> BrokerConfig {
    let settings = Properties::parse("server.properties", STARTED_WITH.as_bytes()).unwrap();
    let (config, _) = BrokerConfig::start(&settings).unwrap();
    let cluster = props(&[
        ("log.retention.ms", "123456"),
        ("message.max.bytes", "2000000"),
        ("log.cleaner.io.max.bytes.per.second", "1000000"),
        ("leader.replication.throttled.rate", "777"),
        ("my.dynamic", "y"),
        ("min.insync.replicas", "1"),
    ]);
    let own = props(&[
        ("message.max.bytes", "3000000"),
        ("listener.name.plaintext.max.connections", "55"),
        ("listener.name.plaintext.ssl.keystore.password", "secret"),
    ]);
    let (config, warnings) = config.altered(&cluster, &own);
    assert_eq!(warnings, []);
    config
}

/// Kafka's name of a source in its client.
fn name(source: Source) -> &'static str {
    match source {
        Source::Topic => "DYNAMIC_TOPIC_CONFIG",
        Source::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        Source::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        Source::StaticBroker => "STATIC_BROKER_CONFIG",
        Source::Default => "DEFAULT_CONFIG",
        Source::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
        Source::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
        Source::Group => "DYNAMIC_GROUP_CONFIG",
    }
}

fn lines(resource: &str, descriptions: Vec<Description>) -> Vec<String> {
    let null = || "null".to_owned();
    let line = |key: Description| {
        let synonyms: Vec<String> = key
            .synonyms
            .into_iter()
            .map(|s| format!("{}:{}={}", name(s.source), s.name, s.value.unwrap_or_else(null)))
            .collect();
        let line = [
            resource.to_owned(),
            key.name,
            key.kind.map_or("UNKNOWN", Kind::name).to_owned(),
            key.value.unwrap_or_else(null),
            name(key.source).to_owned(),
            if key.read_only { "read-only" } else { "" }.to_owned(),
            if key.sensitive { "sensitive" } else { "" }.to_owned(),
            if key.documentation.is_none() { "no-doc" } else { "" }.to_owned(),
            synonyms.join(" "),
        ];
        line.join("\t").trim_end_matches('\t').to_owned()
    };
    descriptions.into_iter().map(line).collect()
}

fn ours() -> Vec<String> {
    let broker = broker();
    let topic = props(&[
        ("segment.bytes", "2097152"),
        ("cleanup.policy", "compact,delete"),
        ("min.cleanable.dirty.ratio", "0.7"),
    ]);
    let group =
        props(&[("consumer.session.timeout.ms", "50000"), ("share.auto.offset.reset", "earliest")]);
    let subscription = props(&[("interval.ms", "1000"), ("metrics", "*")]);
    [
        lines("BROKER:1", broker.describe_broker()),
        lines("BROKER:", broker.describe_all_brokers()),
        lines("TOPIC:t", broker.describe_topic(&topic)),
        lines("GROUP:g", broker.describe_group(&group)),
        lines("CLIENT_METRICS:s", broker.describe_client_metrics(&subscription)),
    ]
    .concat()
}

fn assert_same(ours: &[String], theirs: &[&str]) {
    let (a, b): (BTreeSet<&str>, BTreeSet<&str>) =
        (ours.iter().map(String::as_str).collect(), theirs.iter().copied().collect());
    let only_ours: Vec<_> = a.difference(&b).collect();
    let only_theirs: Vec<_> = b.difference(&a).collect();
    assert!(
        only_ours.is_empty() && only_theirs.is_empty(),
        "ours alone: {only_ours:#?}\nKafka's alone: {only_theirs:#?}"
    );
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn every_key_is_described_as_kafka_4_4_0_describes_it() {
    assert_same(&ours(), &KAFKA_4_4_0.lines().collect::<Vec<_>>());
}

#[test]
fn kafka_4_3_1_differs_by_the_keys_that_are_new_in_4_4_alone() {
    let mut known = ours();
    let is_new = |line: &String| {
        let mut columns = line.split('\t');
        let key = [columns.next().unwrap(), columns.next().unwrap()].join(" ");
        NEW_IN_4_4.contains(&key.as_str())
    };
    let all = known.len();
    known.retain(|line| !is_new(line));
    assert_eq!(all - known.len(), NEW_IN_4_4.len());
    assert_same(&known, &KAFKA_4_3_1.lines().collect::<Vec<_>>());
}

#[test]
fn a_new_topics_keys_come_from_what_the_controller_knows() {
    let broker = broker();
    let (topic, own, cluster) = (
        props(&[("retention.bytes", "5")]),
        props(&[("log.roll.hours", "2")]),
        props(&[("message.max.bytes", "7"), ("log.retention.hours", "x")]),
    );
    let keys = broker.effective_topic(&topic, &own, &cluster);
    assert_eq!(keys.len(), 37, "all but the internal one");
    let shown = |name: &str| {
        let key = keys.iter().find(|key| key.name == name).unwrap();
        (key.value.clone().unwrap_or_default(), key.source)
    };
    assert_eq!(shown("retention.bytes"), ("5".to_owned(), Source::Topic));
    assert_eq!(shown("segment.ms"), ("7200000".to_owned(), Source::DynamicBroker));
    assert_eq!(shown("max.message.bytes"), ("7".to_owned(), Source::DynamicDefaultBroker));
    assert_eq!(shown("retention.ms"), ("0".to_owned(), Source::DynamicDefaultBroker));
    assert_eq!(shown("compression.type"), ("lz4".to_owned(), Source::StaticBroker));
    assert_eq!(shown("flush.messages"), (i64::MAX.to_string(), Source::Default));
}

#[test]
fn what_is_stored_for_a_topic_and_unknown_is_not_shown() {
    let keys = broker().describe_topic(&props(&[("from.the.future", "x"), ("retention.ms", "?")]));
    let of = |name: &str| keys.iter().find(|key| key.name == name).unwrap();
    let future = of("from.the.future");
    assert_eq!((future.value.as_deref(), future.sensitive, future.kind), (None, true, None));
    assert_eq!(of("retention.ms").value.as_deref(), Some("123456"), "as it takes effect");
}
