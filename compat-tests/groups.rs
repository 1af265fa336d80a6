//! Consumers that share topics in groups of the classic protocol, and what they committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::harness::client::{Outgoing, create_topic, produce};
use crate::harness::kafka::run_tool;
use crate::harness::{Broker, PATIENCE, transcript};

/// A member of group "g" that has subscribed to "t". It commits when it is told to.
pub(crate) fn member(broker: &Broker, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = broker.client();
    config
        .set("group.id", "g")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "200");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&["t"]).unwrap();
    consumer
}

pub(crate) fn partitions_of(member: &BaseConsumer) -> BTreeSet<i32> {
    let assigned = member.assignment().unwrap();
    assigned
        .elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect()
}

/// Values by partition, as members read them.
pub(crate) type Got = BTreeMap<i32, Vec<String>>;

/// Polls all members until `done` says so of their assignments and of everything they read.
pub(crate) fn poll_until(
    what: &str,
    members: &[&BaseConsumer],
    got: &mut Got,
    done: impl Fn(&[BTreeSet<i32>], &Got) -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for member in members {
            if let Some(message) = member.poll(std::time::Duration::from_millis(10)) {
                let message = message.unwrap();
                let value = String::from_utf8_lossy(message.payload().unwrap()).into_owned();
                got.entry(message.partition()).or_default().push(value);
            }
        }
        let assigned: Vec<_> = members.iter().map(|member| partitions_of(member)).collect();
        if done(&assigned, got) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: assigned {assigned:?}, got {got:?}");
    }
}

/// Whether every one of `count` partitions has one member, and every member one partition at least.
pub(crate) fn is_shared(assigned: &[BTreeSet<i32>], count: usize) -> bool {
    let all: Vec<_> = assigned.iter().flatten().collect();
    let different: BTreeSet<_> = all.iter().collect();
    all.len() == count && different.len() == count && assigned.iter().all(|one| !one.is_empty())
}

pub(crate) fn fill(broker: &Broker, partitions: i32, from: usize, count: usize) {
    for partition in 0..partitions {
        let values: Vec<_> =
            (from..from + count).map(|n| Outgoing::value(format!("{partition}:{n}"))).collect();
        produce(&broker.client(), "t", partition, &values);
    }
}

pub(crate) fn total(got: &Got) -> usize {
    got.values().map(Vec::len).sum()
}

pub(crate) fn committed(member: &BaseConsumer, partitions: i32) -> Vec<i64> {
    let mut list = TopicPartitionList::new();
    (0..partitions).for_each(|partition| {
        list.add_partition("t", partition);
    });
    // A broker that has just started may still be loading its groups, and says so.
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        match member.committed_offsets(list.clone(), PATIENCE) {
            Ok(found) => break found,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    found
        .elements()
        .iter()
        .map(|found| match found.offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        })
        .collect()
}

#[test]
fn partitions_move_to_a_member_that_joins_and_back_when_it_leaves() {
    for strategy in ["range", "roundrobin", "cooperative-sticky"] {
        let broker = Broker::start("share");
        create_topic(&broker, "t", 4, &[]);
        fill(&broker, 4, 0, 10);
        let settings = [("partition.assignment.strategy", strategy)];
        let first = member(&broker, &settings);
        let mut got = Got::new();
        poll_until(strategy, &[&first], &mut got, |assigned, got| {
            is_shared(assigned, 4) && total(got) == 40
        });
        first.commit_consumer_state(CommitMode::Sync).unwrap();
        let second = member(&broker, &settings);
        poll_until(strategy, &[&first, &second], &mut got, |assigned, _| is_shared(assigned, 4));
        fill(&broker, 4, 10, 10);
        poll_until(strategy, &[&first, &second], &mut got, |_, got| total(got) == 80);
        second.commit_consumer_state(CommitMode::Sync).unwrap();
        drop(second);
        poll_until(strategy, &[&first], &mut got, |assigned, _| is_shared(assigned, 4));
        for (partition, values) in &got {
            let all: Vec<_> = (0..20).map(|n| format!("{partition}:{n}")).collect();
            assert_eq!(values, &all, "{strategy}: each record once and in order");
        }
    }
}

#[test]
fn a_member_that_falls_silent_loses_its_partitions_when_its_session_ends() {
    let broker = Broker::start("silent");
    create_topic(&broker, "t", 2, &[]);
    let (first, second) =
        (member(&broker, &[]), member(&broker, &[("max.poll.interval.ms", "6000")]));
    let mut got = Got::new();
    poll_until("together", &[&first, &second], &mut got, |assigned, _| is_shared(assigned, 2));
    // Nobody polls the second any more.
    poll_until("alone", &[&first], &mut got, |assigned, _| is_shared(assigned, 2));
}

#[test]
fn a_static_member_that_comes_back_has_its_partitions_without_a_rebalance() {
    let broker = Broker::start("static");
    create_topic(&broker, "t", 2, &[]);
    let one = [("group.instance.id", "one"), ("session.timeout.ms", "30000")];
    let two = [("group.instance.id", "two"), ("session.timeout.ms", "30000")];
    let (first, second) = (member(&broker, &one), member(&broker, &two));
    let mut got = Got::new();
    poll_until("together", &[&first, &second], &mut got, |assigned, _| is_shared(assigned, 2));
    let (mine, theirs) = (partitions_of(&first), partitions_of(&second));
    drop(second);
    let again = member(&broker, &two);
    poll_until("again", &[&first, &again], &mut got, |assigned, _| assigned[1] == theirs);
    assert_eq!(partitions_of(&first), mine);
}

#[test]
fn what_a_group_committed_survives_a_clean_stop_and_a_kill() {
    let mut broker = Broker::start("committed");
    create_topic(&broker, "t", 3, &[]);
    let mut got = Got::new();
    for round in 0..4 {
        fill(&broker, 3, round * 10, 10);
        let reader = member(&broker, &[]);
        let goal = (round + 1) * 30;
        poll_until("a round", &[&reader], &mut got, |_, got| total(got) == goal);
        reader.commit_consumer_state(CommitMode::Sync).unwrap();
        let told = committed(&reader, 3);
        assert_eq!(told, vec![(round as i64 + 1) * 10; 3]);
        drop(reader);
        broker = if round % 2 == 0 { broker.kill().start() } else { broker.stop().start() };
    }
    for (partition, values) in &got {
        let all: Vec<_> = (0..40).map(|n| format!("{partition}:{n}")).collect();
        assert_eq!(values, &all, "each record once and in order");
    }
}

#[test]
fn kafka_consumer_groups_lists_describes_resets_and_deletes_as_on_kafka() {
    transcript::replay(&Broker::start("groups"), "groups");
}

#[test]
fn commits_that_come_within_the_linger_of_their_coordinator_share_an_append() {
    let broker = Broker::plan("linger")
        .with("group.coordinator.append.linger.ms", 300)
        .with("offsets.topic.num.partitions", 1)
        .start();
    create_topic(&broker, "t", 1, &[]);
    std::thread::scope(|threads| {
        for group in 0..10 {
            let mut config = broker.client();
            config.set("group.id", format!("g{group}")).set("enable.auto.commit", "false");
            threads.spawn(move || {
                let consumer: BaseConsumer = config.create().unwrap();
                for offset in 1..=3 {
                    let mut list = TopicPartitionList::new();
                    list.add_partition_offset("t", 0, Offset::Offset(offset)).unwrap();
                    consumer.commit(&list, CommitMode::Sync).unwrap();
                }
                assert_eq!(committed(&consumer, 1), [3]);
            });
        }
    });
    let stopped = broker.stop();
    let log = stopped.home().data().join("__consumer_offsets-0/00000000000000000000.log");
    let dumped = run_tool("kafka-dump-log", &["--files", log.to_str().unwrap()], "").ok();
    let counts: Vec<usize> = dumped
        .lines()
        .filter_map(|line| line.split_once("count: ")?.1.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 30, "{dumped}");
    assert!(counts.len() < 30, "{dumped}");
}
