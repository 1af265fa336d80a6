//! Consumers that share topics in groups of the consumer protocol (KIP-848): librdkafka with
//! `group.protocol=consumer`, and Kafka's own tool.

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};

use crate::groups::{Got, committed, fill, is_shared, poll_until, total};
use crate::harness::Broker;
use crate::harness::client::{Outgoing, create_topic, produce};

/// A member of group "g". It commits when it is told to.
fn member(broker: &Broker, topics: &[&str], settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = broker.client();
    config
        .set("group.id", "g")
        .set("group.protocol", "consumer")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        // A pattern's topics are found when the client looks for topics again.
        .set("topic.metadata.refresh.interval.ms", "1000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(topics).unwrap();
    consumer
}

fn broker(name: &str) -> Broker {
    Broker::plan(name)
        .with("group.consumer.heartbeat.interval.ms", "500")
        .with("group.consumer.min.heartbeat.interval.ms", "500")
        .with("group.consumer.assignment.interval.ms", "0")
        .start()
}

#[test]
fn partitions_move_to_a_consumer_that_joins_and_back_when_it_leaves() {
    for assignor in ["uniform", "range"] {
        let broker = broker("consumer-share");
        create_topic(&broker, "t", 4, &[]);
        fill(&broker, 4, 0, 10);
        let settings = [("group.remote.assignor", assignor)];
        let first = member(&broker, &["t"], &settings);
        let mut got = Got::new();
        poll_until(assignor, &[&first], &mut got, |assigned, got| {
            is_shared(assigned, 4) && total(got) == 40
        });
        first.commit_consumer_state(CommitMode::Sync).unwrap();
        let second = member(&broker, &["t"], &settings);
        poll_until(assignor, &[&first, &second], &mut got, |assigned, _| is_shared(assigned, 4));
        let described =
            broker.tool("kafka-consumer-groups", &["--describe", "--group", "g", "--state"]).ok();
        assert!(described.contains(assignor) && described.contains("Stable"), "{described}");
        fill(&broker, 4, 10, 10);
        poll_until(assignor, &[&first, &second], &mut got, |_, got| total(got) == 80);
        second.commit_consumer_state(CommitMode::Sync).unwrap();
        drop(second);
        poll_until(assignor, &[&first], &mut got, |assigned, _| is_shared(assigned, 4));
        for (partition, values) in &got {
            let all: Vec<_> = (0..20).map(|n| format!("{partition}:{n}")).collect();
            assert_eq!(values, &all, "{assignor}: each record once and in order");
        }
    }
}

#[test]
fn a_consumer_group_survives_a_kill_of_the_broker() {
    let running = broker("consumer-kill");
    create_topic(&running, "t", 2, &[]);
    fill(&running, 2, 0, 5);
    let consumer = member(&running, &["t"], &[("group.instance.id", "i")]);
    let mut got = Got::new();
    poll_until("before", &[&consumer], &mut got, |_, got| total(got) == 10);
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let running = running.kill().start();
    fill(&running, 2, 5, 5);
    let got = std::cell::RefCell::new(got);
    crate::harness::soon(20, || {
        // Meanwhile the client says that it has lost its broker.
        if let Some(Ok(message)) = consumer.poll(std::time::Duration::from_millis(100)) {
            let value = String::from_utf8_lossy(message.payload().unwrap()).into_owned();
            got.borrow_mut().entry(message.partition()).or_default().push(value);
        }
        total(&got.borrow())
    });
    let got = got.into_inner();
    assert_eq!(committed(&consumer, 2), [5, 5]);
    for (partition, values) in &got {
        let all: Vec<_> = (0..10).map(|n| format!("{partition}:{n}")).collect();
        assert_eq!(values, &all, "each record once and in order");
    }
}

#[test]
fn a_pattern_is_matched_by_the_broker_and_finds_topics_that_come_later() {
    let broker = broker("consumer-pattern");
    create_topic(&broker, "t-1", 1, &[]);
    create_topic(&broker, "other", 1, &[]);
    let consumer = member(&broker, &["^t-.*"], &[]);
    let read = |topic: &str| {
        produce(&broker.client(), topic, 0, &[Outgoing::value(topic.to_owned())]);
        crate::harness::soon(Some(topic.to_owned()), || {
            let message = consumer.poll(std::time::Duration::from_millis(100))?.ok()?;
            Some(String::from_utf8_lossy(message.payload()?).into_owned())
        });
    };
    read("t-1");
    create_topic(&broker, "t-2", 1, &[]);
    read("t-2");
}
