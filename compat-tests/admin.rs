//! librdkafka's admin client.

use rdkafka::Offset;
use rdkafka::admin::{
    AlterConfig, ConfigEntry, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use crate::harness::client::{
    Outgoing, admin, consumer, create_topic, options, produce, read_all, wait_for,
};
use crate::harness::{Broker, PATIENCE, soon};

/// The partitions of a topic as Metadata has them; 0 when there is no such topic.
fn partitions(broker: &Broker, topic: &str) -> usize {
    let consumer = consumer(&broker.client());
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    let found = metadata.topics().iter().find(|known| known.name() == topic);
    found.map_or(0, |topic| topic.partitions().len())
}

/// The configuration of a topic or broker.
fn describe(broker: &Broker, resource: ResourceSpecifier<'_>) -> Vec<ConfigEntry> {
    let mut answer = wait_for(admin(broker).describe_configs([&resource], &options())).unwrap();
    answer.remove(0).unwrap().entries
}

fn entry<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
    entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn topics_are_created_described_grown_and_deleted() {
    let broker = Broker::start("topics");
    let admin = admin(&broker);
    create_topic(&broker, "t", 2, &[("retention.ms", "3600000")]);
    soon(2, || partitions(&broker, "t"));

    let grown = wait_for(admin.create_partitions([&NewPartitions::new("t", 5)], &options()));
    assert_eq!(grown.unwrap(), [Ok("t".to_owned())]);
    soon(5, || partitions(&broker, "t"));
    produce(&broker.client(), "t", 4, &[Outgoing::value("in a new partition")]);
    assert_eq!(read_all(&broker.client(), "t", 4).len(), 1);

    let deleted = wait_for(admin.delete_topics(&["t"], &options())).unwrap();
    assert_eq!(deleted, [Ok("t".to_owned())]);
    soon(0, || partitions(&broker, "t"));
}

#[test]
fn a_topic_deleted_and_created_again_is_another_topic() {
    let broker = Broker::start("again");
    for round in 0..3 {
        create_topic(&broker, "t", 1, &[]);
        let sent = Outgoing::value(format!("round {round}"));
        assert_eq!(produce(&broker.client(), "t", 0, &[sent])[0].offset(), 0);
        let got = read_all(&broker.client(), "t", 0);
        assert_eq!(got.iter().map(|r| r.text()).collect::<Vec<_>>(), [format!("round {round}")]);
        wait_for(admin(&broker).delete_topics(&["t"], &options())).unwrap().remove(0).unwrap();
    }
}

#[test]
fn what_cannot_be_created_is_refused_with_kafkas_errors() {
    let broker = Broker::start("refused");
    create_topic(&broker, "taken", 1, &[]);
    create_topic(&broker, "with.dot", 1, &[]);
    let create = |topic: NewTopic<'_>| {
        let mut answer = wait_for(admin(&broker).create_topics([&topic], &options())).unwrap();
        answer.remove(0).map_err(|(_, code)| code)
    };
    let plain = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let too_long = "x".repeat(250);
    for (topic, expected) in [
        (plain("taken"), RDKafkaErrorCode::TopicAlreadyExists),
        (plain("no/slash"), RDKafkaErrorCode::InvalidTopic),
        (plain(".."), RDKafkaErrorCode::InvalidTopic),
        (plain(&too_long), RDKafkaErrorCode::InvalidTopic),
        // "with.dot" and "with_dot" would share a metric's name.
        (plain("with_dot"), RDKafkaErrorCode::InvalidTopic),
        (
            NewTopic::new("t", 1, TopicReplication::Fixed(3)),
            RDKafkaErrorCode::InvalidReplicationFactor,
        ),
        (
            NewTopic::new("t", 1, TopicReplication::Fixed(0)),
            RDKafkaErrorCode::InvalidReplicationFactor,
        ),
        (
            NewTopic::new("t", 1, TopicReplication::Variable(&[&[7]])),
            RDKafkaErrorCode::InvalidReplicaAssignment,
        ),
        (plain("t").set("no.such.key", "1"), RDKafkaErrorCode::InvalidConfig),
        (plain("t").set("retention.ms", "soon"), RDKafkaErrorCode::InvalidConfig),
        (plain("t").set("cleanup.policy", "shred"), RDKafkaErrorCode::InvalidConfig),
    ] {
        let shown = format!("{topic:?}");
        assert_eq!(create(topic), Err(expected), "{shown}");
    }
    soon(0, || partitions(&broker, "t"));
}

#[test]
fn a_request_that_is_only_validated_changes_nothing() {
    let broker = Broker::start("validate-only");
    let dry = options().validate_only(true);
    let topic = NewTopic::new("t", 3, TopicReplication::Fixed(1));
    let answer = wait_for(admin(&broker).create_topics([&topic], &dry)).unwrap();
    assert_eq!(answer, [Ok("t".to_owned())]);
    soon(0, || partitions(&broker, "t"));

    create_topic(&broker, "u", 1, &[]);
    let grown = wait_for(admin(&broker).create_partitions([&NewPartitions::new("u", 4)], &dry));
    assert_eq!(grown.unwrap(), [Ok("u".to_owned())]);
    soon(1, || partitions(&broker, "u"));

    let change = AlterConfig::new(ResourceSpecifier::Topic("u")).set("retention.ms", "1000");
    wait_for(admin(&broker).alter_configs([&change], &dry)).unwrap().remove(0).unwrap();
    let entries = describe(&broker, ResourceSpecifier::Topic("u"));
    assert_eq!(entry(&entries, "retention.ms").value.as_deref(), Some("604800000"));
}

#[test]
fn partitions_are_never_taken_away_nor_added_to_what_is_not_there() {
    let broker = Broker::start("partitions-refused");
    create_topic(&broker, "t", 3, &[]);
    let grow = |name, to| {
        let wanted = NewPartitions::new(name, to);
        let mut answer = wait_for(admin(&broker).create_partitions([&wanted], &options())).unwrap();
        answer.remove(0).map_err(|(_, code)| code)
    };
    assert_eq!(grow("t", 2), Err(RDKafkaErrorCode::InvalidPartitions));
    assert_eq!(grow("t", 3), Err(RDKafkaErrorCode::InvalidPartitions));
    assert_eq!(grow("absent", 3), Err(RDKafkaErrorCode::UnknownTopicOrPartition));
    let deleted = wait_for(admin(&broker).delete_topics(&["absent"], &options())).unwrap();
    let unknown = RDKafkaErrorCode::UnknownTopicOrPartition;
    assert_eq!(deleted, [Err(("absent".to_owned(), unknown))]);
}

#[test]
fn a_topics_configuration_says_where_each_value_comes_from() {
    let broker = Broker::plan("describe").with("log.retention.ms", 172_800_000).start();
    create_topic(&broker, "t", 1, &[("max.message.bytes", "70000")]);
    let entries = describe(&broker, ResourceSpecifier::Topic("t"));
    let shown = |name| {
        let entry = entry(&entries, name);
        (entry.value.as_deref().unwrap(), &entry.source)
    };
    assert_eq!(shown("max.message.bytes"), ("70000", &ConfigSource::DynamicTopic));
    assert_eq!(shown("retention.ms"), ("172800000", &ConfigSource::StaticBroker));
    assert_eq!(shown("cleanup.policy"), ("delete", &ConfigSource::Default));
    assert_eq!(shown("compression.type"), ("producer", &ConfigSource::Default));
    assert!(entries.iter().all(|entry| !entry.is_sensitive));

    // (Of a topic that is not there, the crate tells no error, but an empty configuration.)
    assert!(describe(&broker, ResourceSpecifier::Topic("absent")).is_empty());
}

#[test]
fn the_brokers_configuration_lists_its_keys_and_what_was_set() {
    let broker = Broker::plan("describe-broker").with("num.partitions", 7).start();
    let entries = describe(&broker, ResourceSpecifier::Broker(1));
    let partitions = entry(&entries, "num.partitions");
    assert_eq!(partitions.value.as_deref(), Some("7"));
    assert_eq!(partitions.source, ConfigSource::StaticBroker);
    assert_eq!(entry(&entries, "node.id").value.as_deref(), Some("1"));
    assert!(entry(&entries, "node.id").is_read_only);
    assert!(!entry(&entries, "log.retention.ms").is_read_only);
    assert!(entry(&entries, "ssl.keystore.password").is_sensitive);
    assert!(entries.len() > 200, "{} keys", entries.len());
}

#[test]
fn altering_replaces_a_topics_configuration_at_once() {
    let broker = Broker::start("alter");
    create_topic(&broker, "t", 1, &[("retention.ms", "3600000")]);
    // (The crate says Ok of every resource, whatever the broker said: only the effect counts here.)
    let change = AlterConfig::new(ResourceSpecifier::Topic("t")).set("max.message.bytes", "1000");
    wait_for(admin(&broker).alter_configs([&change], &options())).unwrap().remove(0).unwrap();
    // What the request does not name is back at its default: it is the whole configuration.
    let shown = || {
        let entries = describe(&broker, ResourceSpecifier::Topic("t"));
        ["max.message.bytes", "retention.ms"].map(|name| entry(&entries, name).value.clone())
    };
    soon([Some("1000".to_owned()), Some("604800000".to_owned())], shown);
    let refused = produce(&broker.client(), "t", 0, &[Outgoing::value(vec![b'x'; 2_000])]);
    assert_eq!(refused[0].outcome, Err(RDKafkaErrorCode::MessageSizeTooLarge));

    let broker = broker.stop().start();
    let entries = describe(&broker, ResourceSpecifier::Topic("t"));
    assert_eq!(entry(&entries, "max.message.bytes").value.as_deref(), Some("1000"));
}

#[test]
fn deleted_records_are_gone_and_what_cannot_be_deleted_is_refused() {
    let broker = Broker::start("delete-records");
    create_topic(&broker, "t", 1, &[]);
    let sent: Vec<_> = (0..10).map(|n| Outgoing::value(format!("{n}"))).collect();
    produce(&broker.client(), "t", 0, &sent);
    let delete = |topic: &str, before| {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, 0, before).unwrap();
        let answer = wait_for(admin(&broker).delete_records(&list, &options()))?;
        let element = answer.find_partition(topic, 0).unwrap();
        element.error().map(|()| element.offset())
    };
    assert_eq!(delete("t", Offset::Offset(6)).unwrap(), Offset::Offset(6));
    assert_eq!(delete("t", Offset::Offset(3)).unwrap(), Offset::Offset(6), "never backwards");
    assert_eq!(read_all(&broker.client(), "t", 0)[0].text(), "6");
    let beyond = delete("t", Offset::Offset(11)).unwrap_err();
    assert_eq!(beyond.rdkafka_error_code(), Some(RDKafkaErrorCode::OffsetOutOfRange));
}

#[test]
fn metadata_names_the_broker_its_port_and_its_cluster() {
    let broker = Broker::start("metadata");
    create_topic(&broker, "t", 2, &[]);
    let consumer = consumer(&broker.client());
    let metadata = consumer.fetch_metadata(Some("t"), PATIENCE).unwrap();
    let [node] = metadata.brokers() else { panic!("{} brokers", metadata.brokers().len()) };
    assert_eq!((node.id(), node.host()), (1, "127.0.0.1"));
    assert_eq!(node.port(), i32::from(broker.home().port));
    let [topic] = metadata.topics() else { panic!("{} topics", metadata.topics().len()) };
    for partition in topic.partitions() {
        assert_eq!(
            (partition.leader(), partition.replicas(), partition.isr()),
            (1, &[1][..], &[1][..])
        );
        assert_eq!(partition.error(), None);
    }
    let cluster = consumer.client().fetch_cluster_id(PATIENCE);
    assert_eq!(cluster.as_deref(), Some(crate::harness::CLUSTER_ID));
}
