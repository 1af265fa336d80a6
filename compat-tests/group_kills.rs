//! Pairs of Kafka's verifiable consumer, of which one after the other is killed and replaced while records keep
//! coming: the group reads each record, its committed offsets never go back, and what is read twice was not committed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use rdkafka::consumer::BaseConsumer;
use rustix::process::Signal;
use serde_json::Value;

use crate::groups::{committed, fill, is_shared};
use crate::harness::client::create_topic;
use crate::harness::kafka::tool;
use crate::harness::process::Process;
use crate::harness::{Broker, PATIENCE};

const PARTITIONS: i32 = 4;
/// Each kill costs a session: `BLUMFELD_MEMBER_KILLS` says how many.
const KILLS: usize = 1;
/// Records a partition that come between two looks.
const RECORDS: usize = 5;

/// A verifiable consumer, and what it says of itself.
struct Member {
    process: Process,
    output: PathBuf,
}

/// A partition and an offset.
type At = (i32, i64);

impl Member {
    fn start(broker: &Broker, protocol: &str, number: usize) -> Self {
        let output = broker.home().path().join(format!("member-{number}.log"));
        let mut command = tool("kafka-verifiable-consumer");
        command.args(["--bootstrap-server", &broker.address(), "--topic", "t", "--group-id", "g"]);
        command.args(["--group-protocol", protocol, "--reset-policy", "earliest"]);
        if protocol == "classic" {
            command.args(["--session-timeout", "6000"]);
        }
        Self { process: Process::start(command, &output), output }
    }

    fn events(&self) -> Vec<Value> {
        let printed = fs::read_to_string(&self.output).unwrap_or_default();
        printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn assigned(&self) -> BTreeSet<i32> {
        let mut assigned = BTreeSet::new();
        for event in self.events() {
            let partitions = || {
                let listed = event["partitions"].as_array().into_iter().flatten();
                listed.map(|named| named["partition"].as_i64().unwrap() as i32)
            };
            match event["name"].as_str() {
                Some("partitions_assigned") => assigned.extend(partitions()),
                Some("partitions_revoked") => {
                    assigned.retain(|one| !partitions().any(|p| p == *one));
                }
                _ => {}
            }
        }
        assigned
    }

    /// The offsets that it read, in order, and those of them that it did not commit.
    fn read(&self) -> (Vec<At>, BTreeSet<At>) {
        let number = |value: &Value| value.as_i64().unwrap();
        let (mut read, mut uncommitted) = (Vec::new(), BTreeSet::new());
        for event in self.events() {
            let parts = |name: &str| event[name].as_array().cloned().unwrap_or_default();
            if event["name"] == "records_consumed" {
                for range in parts("partitions") {
                    let partition = number(&range["partition"]) as i32;
                    let offsets = number(&range["minOffset"])..=number(&range["maxOffset"]);
                    let offsets: Vec<At> = offsets.map(|offset| (partition, offset)).collect();
                    assert_eq!(number(&range["count"]), offsets.len() as i64, "{range}");
                    uncommitted.extend(&offsets);
                    read.extend(offsets);
                }
            } else if event["name"] == "offsets_committed" && event["success"] == true {
                for committed in parts("offsets") {
                    let partition = number(&committed["partition"]) as i32;
                    let upto = number(&committed["offset"]);
                    uncommitted.retain(|(of, offset)| *of != partition || *offset >= upto);
                }
            }
        }
        (read, uncommitted)
    }
}

/// What is written, and what of it the group has committed.
struct Story<'a> {
    broker: &'a Broker,
    looks: BaseConsumer,
    written: usize,
    committed: Vec<i64>,
}

impl Story<'_> {
    /// Records keep coming until `done`. No committed offset goes back.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            fill(self.broker, PARTITIONS, self.written, RECORDS);
            self.written += RECORDS;
            self.look();
            assert!(Instant::now() < deadline, "{what}: {:?} committed", self.committed);
        }
    }

    fn look(&mut self) {
        let now = committed(&self.looks, PARTITIONS);
        for (before, now) in self.committed.iter().zip(&now) {
            assert!(now >= before, "committed {before}, then {now}");
        }
        self.committed = now;
    }
}

fn members_are_killed(protocol: &str) {
    let broker = Broker::plan(&format!("group-kills-{protocol}"))
        .with("group.initial.rebalance.delay.ms", "0")
        .with("group.consumer.heartbeat.interval.ms", "500")
        .with("group.consumer.min.heartbeat.interval.ms", "500")
        .with("group.consumer.session.timeout.ms", "6000")
        .with("group.consumer.min.session.timeout.ms", "6000")
        .start();
    create_topic(&broker, "t", PARTITIONS, &[]);
    let mut config = broker.client();
    let looks: BaseConsumer = config.set("group.id", "g").create().unwrap();
    let mut story =
        Story { broker: &broker, looks, written: 0, committed: vec![-1; PARTITIONS as usize] };
    let kills: usize =
        std::env::var("BLUMFELD_MEMBER_KILLS").map_or(KILLS, |text| text.parse().unwrap());

    let mut pair = [0, 1].map(|number| Member::start(&broker, protocol, number));
    let mut dead = Vec::new();
    for number in 0..=kills {
        let is_shared =
            |_: &Story| is_shared(&pair.each_ref().map(Member::assigned), PARTITIONS as usize);
        story.until(&format!("{protocol}, after {number} kills"), is_shared);
        let until = story.written as i64;
        story.until("both read", |story| story.committed.iter().all(|offset| *offset >= until));
        if number < kills {
            let victim = &mut pair[number % 2];
            victim.process.signal(Signal::KILL);
            victim.process.wait(PATIENCE);
            let next = Member::start(&broker, protocol, number + 2);
            dead.push(std::mem::replace(victim, next));
        }
    }
    let all = vec![story.written as i64; PARTITIONS as usize];
    let deadline = Instant::now() + PATIENCE;
    while story.committed != all {
        story.look();
        assert!(Instant::now() < deadline, "{protocol}: {:?} of {all:?}", story.committed);
    }

    let (mut read, mut twice, mut uncommitted) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for member in dead.iter().chain(&pair) {
        let (of_member, not_committed) = member.read();
        twice.extend(of_member.into_iter().filter(|at| !read.insert(*at)));
        uncommitted.extend(not_committed);
    }
    println!("{protocol}: {} records a partition, {} read twice", story.written, twice.len());
    let written = (0..PARTITIONS)
        .flat_map(|partition| (0..story.written as i64).map(move |offset| (partition, offset)));
    assert_eq!(read, written.collect(), "{protocol}: everything was read, and nothing else");
    for at in twice {
        assert!(uncommitted.contains(&at), "{protocol}: {at:?} was read twice, and was committed");
    }
}

#[test]
fn members_of_a_classic_group_are_killed_and_replaced() {
    members_are_killed("classic");
}

#[test]
fn members_of_a_consumer_group_are_killed_and_replaced() {
    members_are_killed("consumer");
}
