//! Who may do what, as stock clients and `kafka-acls` have it. Every client here is `User:ANONYMOUS`.

use rdkafka::Offset;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::harness::client::{
    Outgoing, Reader, admin, create_topic, options, produce, read_all, wait_for,
};
use crate::harness::{Broker, PATIENCE, Plan, soon, transcript};

/// A broker with Kafka's authorizer, where everyone may do what no entry is about.
fn guarded(name: &str) -> Plan {
    Broker::plan(name)
        .with("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .with("allow.everyone.if.no.acl.found", true)
}

/// Runs `kafka-acls` with these words.
fn acls(broker: &Broker, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    broker.tool("kafka-acls", &words).ok()
}

fn write(broker: &Broker, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let sent = produce(&broker.client(), topic, 0, &[Outgoing::value("x")]);
    sent[0].outcome.map(|_| ())
}

fn read(broker: &Broker, topic: &str) -> Result<usize, RDKafkaErrorCode> {
    let reader = Reader::new(&broker.client(), topic, 0, Offset::Offset(0));
    let mut count = 0;
    while reader.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

fn create(broker: &Broker, name: &str) -> Result<(), RDKafkaErrorCode> {
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let mut answer = wait_for(admin(broker).create_topics([&topic], &options())).unwrap();
    answer.remove(0).map(|_| ()).map_err(|(_, code)| code)
}

#[test]
fn kafka_acls_creates_lists_and_deletes_as_on_kafka() {
    transcript::replay(&guarded("acls").start(), "acls");
}

#[test]
fn a_client_neither_writes_nor_reads_what_it_is_denied_until_the_entries_are_gone() {
    let broker = guarded("denied").start();
    create_topic(&broker, "t", 1, &[]);
    assert_eq!(write(&broker, "t"), Ok(()));
    acls(&broker, "--add --deny-principal User:ANONYMOUS --operation Write --topic t");
    soon(Err(RDKafkaErrorCode::TopicAuthorizationFailed), || write(&broker, "t"));
    // There are entries for the topic now: what none of them allows is denied.
    acls(&broker, "--add --allow-principal User:* --operation Describe --topic t");
    soon(Err(RDKafkaErrorCode::TopicAuthorizationFailed), || read(&broker, "t"));
    acls(&broker, "--add --allow-principal User:* --operation Read --topic t");
    soon(Ok(1), || read(&broker, "t"));
    // What was decided holds after a kill.
    let broker = broker.kill().start();
    assert_eq!(write(&broker, "t"), Err(RDKafkaErrorCode::TopicAuthorizationFailed));
    assert_eq!(read(&broker, "t"), Ok(1));
    acls(&broker, "--remove --topic t --force");
    soon(Ok(()), || write(&broker, "t"));
    assert_eq!(read_all(&broker.client(), "t", 0).len(), 2);
}

#[test]
fn a_transactional_id_that_is_denied_begins_no_transaction() {
    let broker = guarded("denied-transaction").start();
    acls(&broker, "--add --deny-principal User:ANONYMOUS --operation Write --transactional-id x");
    acls(
        &broker,
        "--add --allow-principal User:ANONYMOUS --operation Describe --transactional-id x",
    );
    let begin = |id: &str| {
        let producer: BaseProducer = broker.client().set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).map_err(|error| error.rdkafka_error_code())
    };
    let refused = RDKafkaErrorCode::TransactionalIdAuthorizationFailed;
    soon(Err(Some(refused)), || begin("x"));
    assert_eq!(begin("y"), Ok(()));
}

#[test]
fn topics_come_into_being_only_where_they_may() {
    let broker = guarded("denied-creation").start();
    // In one call: once there is an entry for the cluster, nobody may do more with it than entries allow, and the
    // brokers are nobody special.
    acls(
        &broker,
        "--add --allow-principal User:ANONYMOUS --cluster --operation ClusterAction --operation Alter --operation \
         AlterConfigs --operation DescribeConfigs",
    );
    acls(
        &broker,
        "--add --deny-principal User:ANONYMOUS --operation Create --topic yours- \
         --resource-pattern-type prefixed",
    );
    soon(Err(RDKafkaErrorCode::TopicAuthorizationFailed), || create(&broker, "yours-1"));
    assert_eq!(create(&broker, "mine-1"), Ok(()));
}

#[test]
fn super_users_may_everything_and_others_nothing_where_no_entry_allows_it() {
    let broker = guarded("closed").with("allow.everyone.if.no.acl.found", false);
    let broker = broker.with("super.users", "User:admin;User:ANONYMOUS").start();
    create_topic(&broker, "t", 1, &[]);
    assert_eq!(write(&broker, "t"), Ok(()));
    acls(&broker, "--add --deny-principal User:ANONYMOUS --operation All --topic *");
    assert_eq!(write(&broker, "t"), Ok(()));
}

#[test]
fn the_profile_that_other_peoples_suites_assume_is_honoured() {
    let mut plan = guarded("profile");
    for (key, value) in [
        ("auto.create.topics.enable", "true"),
        ("num.partitions", "4"),
        ("default.replication.factor", "1"),
        ("min.insync.replicas", "1"),
        ("group.initial.rebalance.delay.ms", "1000"),
        ("group.min.session.timeout.ms", "3000"),
        ("group.max.session.timeout.ms", "1800000"),
        ("group.consumer.heartbeat.interval.ms", "1000"),
        ("group.consumer.min.heartbeat.interval.ms", "1000"),
        ("group.share.heartbeat.interval.ms", "1000"),
        ("group.share.min.heartbeat.interval.ms", "1000"),
        ("group.share.min.record.lock.duration.ms", "1000"),
        ("transaction.max.timeout.ms", "900000"),
        ("delete.topic.enable", "true"),
        ("broker.rack", "RACK1"),
        ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"),
    ] {
        plan = plan.with(key, value);
    }
    let broker = plan.start();
    assert_eq!(write(&broker, "t"), Ok(()), "it comes into being");
    let described = broker.tool("kafka-topics", &["--describe", "--topic", "t"]).ok();
    assert!(described.contains("PartitionCount: 4"), "{described}");
}
