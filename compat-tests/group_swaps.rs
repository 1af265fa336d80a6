//! Two consumers that swap in and out of a group a hundred times while records keep coming: the
//! group reads each record, and no committed offset goes back. In both protocols, and from the one
//! to the other and back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};

use crate::groups::{Got, committed, is_shared, partitions_of, total};
use crate::harness::client::{Outgoing, create_topic, produce};
use crate::harness::{Broker, PATIENCE};

const PARTITIONS: i32 = 4;
const SWAPS: usize = 100;
/// A swap between the protocols takes more than two seconds: fewer of them by default, `SWAPS` says how many.
const SWAPS_BETWEEN_PROTOCOLS: usize = 15;

fn member(broker: &Broker, protocol: &str, strategy: &str) -> BaseConsumer {
    let mut config = broker.client();
    config
        .set("group.id", "g")
        .set("group.protocol", protocol)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    if protocol == "classic" {
        config
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "100")
            .set("partition.assignment.strategy", strategy);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&["t"]).unwrap();
    consumer
}

/// Records that are written, and what the group has made of them.
struct Story<'a> {
    broker: &'a Broker,
    written: usize,
    got: Got,
    committed: Vec<i64>,
}

impl Story<'_> {
    /// One record more in each partition.
    fn write(&mut self) {
        for partition in 0..PARTITIONS {
            let value = Outgoing::value(format!("{partition}:{}", self.written));
            produce(&self.broker.client(), "t", partition, &[value]);
        }
        self.written += 1;
    }

    /// All members read and commit, and records keep coming, until the partitions are shared.
    fn share(&mut self, what: &str, members: &[&BaseConsumer]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.write();
            self.read(members);
            let assigned: Vec<BTreeSet<i32>> = members.iter().map(|m| partitions_of(m)).collect();
            if is_shared(&assigned, 4) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: assigned {assigned:?}");
        }
    }

    fn read(&mut self, members: &[&BaseConsumer]) {
        for member in members {
            let mut has_read = false;
            while let Some(message) = member.poll(Duration::from_millis(5)) {
                use rdkafka::Message as _;
                let message = message.unwrap();
                let value = String::from_utf8_lossy(message.payload().unwrap()).into_owned();
                self.got.entry(message.partition()).or_default().push(value);
                has_read = true;
            }
            if has_read {
                // Whoever lost a partition in this moment is told that it may not commit it.
                let _ = member.commit_consumer_state(CommitMode::Sync);
            }
        }
        let now = committed(members[0], PARTITIONS);
        for (before, now) in self.committed.iter().zip(&now) {
            assert!(now >= before, "committed {before}, then {now}");
        }
        self.committed = now;
    }
}

fn swap(what: &str, protocols: [&str; 2], strategy: &str, swaps: usize) {
    let broker = Broker::plan(&format!("swaps-{what}"))
        .with("group.initial.rebalance.delay.ms", "0")
        .with("group.consumer.heartbeat.interval.ms", "100")
        .with("group.consumer.min.heartbeat.interval.ms", "100")
        .with("group.consumer.assignment.interval.ms", "0")
        .start();
    create_topic(&broker, "t", PARTITIONS, &[]);
    let committed = vec![-1; PARTITIONS as usize];
    let mut story = Story { broker: &broker, written: 0, got: Got::new(), committed };
    let mut stays = member(&broker, protocols[0], strategy);
    story.share(what, &[&stays]);
    for number in 1..=swaps {
        let comes = member(&broker, protocols[number % 2], strategy);
        story.share(&format!("{what}: {number} comes"), &[&stays, &comes]);
        drop(std::mem::replace(&mut stays, comes));
        story.share(&format!("{what}: {number} stays"), &[&stays]);
    }
    let deadline = Instant::now() + PATIENCE;
    let all = vec![story.written as i64; PARTITIONS as usize];
    while story.committed != all {
        story.read(&[&stays]);
        assert!(Instant::now() < deadline, "{what}: {:?} of {all:?}", story.committed);
    }
    for (partition, values) in &story.got {
        let read: BTreeSet<&String> = values.iter().collect();
        let written: BTreeSet<String> =
            (0..story.written).map(|number| format!("{partition}:{number}")).collect();
        assert_eq!(read, written.iter().collect(), "{what}: partition {partition}");
    }
    // What was read and not committed when its reader left is read again, and nothing else is.
    let again = total(&story.got) - story.written * PARTITIONS as usize;
    println!("{what}: {} records, {again} of them twice", total(&story.got));
}

#[test]
fn members_of_a_classic_group_swap_a_hundred_times() {
    swap("classic", ["classic", "classic"], "cooperative-sticky", SWAPS);
}

#[test]
fn members_of_a_consumer_group_swap_a_hundred_times() {
    swap("consumer", ["consumer", "consumer"], "", SWAPS);
}

#[test]
fn members_swap_again_and_again_and_their_protocol_with_them() {
    // What librdkafka's cooperative-sticky assignor puts into an assignment would be lost in a consumer
    // group: such a group is not moved, as on Apache Kafka.
    let asked = std::env::var("SWAPS").ok().map(|number| number.parse().unwrap());
    swap("both", ["classic", "consumer"], "range", asked.unwrap_or(SWAPS_BETWEEN_PROTOCOLS));
}
