//! Exactly once, by Kafka's own clients: copies in transactions, Kafka Streams, and the tool that ends what hangs;
//! with clients and brokers killed in between.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rdkafka::producer::Producer as _;
use rustix::process::Signal;

use crate::harness::client::{Outgoing, Producer, Record, create_topic, read_all};
use crate::harness::kafka::program;
use crate::harness::process::{Process, run};
use crate::harness::{Broker, Make, PATIENCE, soon};
use crate::transactions::{read, send, transactional};

/// Records that are copied: `BLUMFELD_COPIES=100000` for the long form.
const COPIES: u64 = 6_000;
/// Records of a transaction.
const SIZE: u64 = 750;
/// Somebody is killed so many times; the client, then the broker, then the client.
const KILLS: u64 = 4;

/// The records of a topic's partition that a reader of committed ones gets.
fn committed(broker: &Broker, topic: &str, partition: i32) -> Vec<Record> {
    let mut config = broker.client();
    read_all(config.set("isolation.level", "read_committed"), topic, partition)
}

/// Fills a topic with numbers, each partition in order.
fn fill(broker: &Broker, topic: &str, count: u64, partitions: u64) {
    let mut config = broker.client();
    let mut producer = Producer::new(config.set("enable.idempotence", "true"));
    for number in 0..count {
        let record = Outgoing::value(number.to_string());
        producer.send(topic, Some((number % partitions) as i32), &record);
    }
    assert!(producer.finish().iter().all(|report| report.outcome.is_ok()));
}

#[test]
fn what_is_copied_in_transactions_arrives_once_and_in_order_whoever_is_killed() {
    const PARTITIONS: u64 = 2;
    let copies = std::env::var("BLUMFELD_COPIES").map_or(COPIES, |text| text.parse().unwrap());
    // The long form joins a group, and waits for its dead members to be missed.
    let (subscribes, kills) = if copies > COPIES { ("yes", 3 * KILLS) } else { ("no", KILLS) };
    let mut broker = Broker::start("copy");
    // Apache Kafka would hang: alone on its node it forgets markers when it is killed, see FINDINGS.md.
    let spares_the_broker = Make::under_test() != Make::Blumfeld;
    create_topic(&broker, "from", PARTITIONS as i32, &[]);
    create_topic(&broker, "to", PARTITIONS as i32, &[]);
    fill(&broker, "from", copies, PARTITIONS);
    let log = broker.home().path().join("copy.log");
    let start = |broker: &Broker| {
        let mut copy = program("CopyInTransactions.java");
        copy.args([&broker.address(), "from", "to", "copy", &SIZE.to_string(), subscribes]);
        Process::start(copy, &log)
    };
    let mut copy = start(&broker);
    let (mut commits, mut killed) = (0, 0);
    let commits_a_kill = (copies / SIZE / (kills + 1)).max(1);
    while !copy.wait_for_line("", PATIENCE).contains("done") {
        commits += 1;
        if commits % commits_a_kill != 0 || killed == kills {
            continue;
        }
        killed += 1;
        if killed % 2 == 0 && !spares_the_broker {
            broker = broker.kill().start();
        } else {
            copy.signal(Signal::KILL);
            copy.wait(PATIENCE);
            copy = start(&broker);
        }
    }
    assert!(copy.wait(PATIENCE).success());
    assert_eq!(killed, kills);
    for partition in 0..PARTITIONS {
        let sent: Vec<String> =
            (partition..copies).step_by(PARTITIONS as usize).map(|n| n.to_string()).collect();
        let got = committed(&broker, "to", partition as i32);
        for (got, sent) in got.iter().zip(&sent) {
            assert_eq!(got.text(), sent, "partition {partition}, offset {}", got.offset);
        }
        assert_eq!(got.len(), sent.len(), "partition {partition}");
    }
    let mut config = broker.client();
    config.set("isolation.level", "read_uncommitted");
    let all: usize = (0..PARTITIONS).map(|at| read_all(&config, "to", at as i32).len()).sum();
    assert!(all > copies as usize, "something was aborted as well");
}

#[test]
fn a_producer_at_full_speed_commits_all_of_its_transactions() {
    const COUNT: usize = 20_000;
    let broker = Broker::start("transactional-perf");
    create_topic(&broker, "t", 1, &[]);
    let printed = broker.tool(
        "kafka-producer-perf-test",
        &[
            "--topic",
            "t",
            "--num-records",
            &COUNT.to_string(),
            "--record-size",
            "100",
            "--throughput",
            "-1",
            "--transactional-id",
            "perf",
            "--transaction-duration-ms",
            "20",
        ],
    );
    let printed = printed.ok();
    assert!(printed.contains("20000 records sent"), "{printed}");
    let got = committed(&broker, "t", 0);
    assert_eq!(got.len(), COUNT);
    let end = got.last().unwrap().offset;
    assert!(end as usize > COUNT, "there are markers in between, the last is at {end}");
}

/// The rows of a tool's table, by the names of their columns.
fn rows(printed: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = printed.lines().map(|line| line.split('\t').map(|cell| cell.trim().to_owned()));
    let Some(heads) = lines.next() else { return Vec::new() };
    let heads: Vec<String> = heads.collect();
    lines.map(|cells| heads.iter().cloned().zip(cells).collect()).collect()
}

#[test]
fn a_transaction_that_hangs_is_found_and_aborted_with_kafkas_tool() {
    const HOUR_MS: &str = "3600000";
    let broker =
        Broker::plan("hanging").with("transaction.partition.verification.enable", "false").start();
    create_topic(&broker, "t", 1, &[]);
    let transactions = |args: &[&str]| broker.tool("kafka-transactions", args).ok();

    let known = transactional(&broker, "known", PATIENCE);
    known.begin_transaction().unwrap();
    send(&known, 0, "known");
    known.flush(PATIENCE).unwrap();
    let listed = rows(&transactions(&["list"]));
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(
        (&*listed[0]["TransactionalId"], &*listed[0]["TransactionState"]),
        ("known", "Ongoing")
    );
    let described = rows(&transactions(&["describe", "--transactional-id", "known"]));
    assert_eq!(described[0]["TransactionState"], "Ongoing", "{described:?}");
    assert_eq!(described[0]["TopicPartitions"], "t-0");
    assert_eq!(described[0]["ProducerId"], listed[0]["ProducerId"]);
    known.commit_transaction(PATIENCE).unwrap();

    let port = broker.home().port.to_string();
    let mut hang: Command = program("HangingTransaction.java");
    hang.args(["127.0.0.1", &port, "t", "0", "424242", HOUR_MS]);
    assert_eq!(run(hang, b"", PATIENCE).ok().trim(), "{NONE=1}");
    known.begin_transaction().unwrap();
    send(&known, 0, "behind");
    known.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, "read_committed", 0), ["known"]);

    let producers =
        rows(&transactions(&["describe-producers", "--topic", "t", "--partition", "0"]));
    let hanging = producers.iter().find(|row| row["ProducerId"] == "424242").unwrap();
    let at = hanging["CurrentTransactionStartOffset"].clone();
    assert_eq!(at, "2", "{producers:?}");
    let found = rows(&transactions(&["find-hanging", "--broker-id", "1"]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&*found[0]["Topic"], &*found[0]["ProducerId"]), ("t", "424242"));
    transactions(&["abort", "--topic", "t", "--partition", "0", "--start-offset", &at]);
    soon(vec!["known".to_owned(), "behind".to_owned()], || read(&broker, "read_committed", 0));
    assert_eq!(rows(&transactions(&["find-hanging", "--broker-id", "1"])).len(), 0);
}

/// Lines of three words each, of which there are ten.
fn lines(numbers: std::ops::Range<u64>) -> Vec<Outgoing> {
    let word = |number: u64| format!("word-{}", number * 7 % 10);
    let line = |n: u64| format!("{} {} {}", word(n), word(n + 1), word(n + 5));
    numbers.map(|number| Outgoing::pair(number.to_string(), line(number))).collect()
}

#[test]
fn kafka_streams_counts_and_joins_exactly_once_whoever_is_killed() {
    const PARTITIONS: i32 = 2;
    const CUSTOMERS: u64 = 20;
    /// Lines and orders that come between two kills.
    const PART: u64 = 300;
    let mut broker = Broker::plan("streams")
        .with("transaction.abort.timed.out.transaction.cleanup.interval.ms", 500)
        .start();
    for topic in ["lines", "orders", "customers", "counts", "joined"] {
        create_topic(&broker, topic, PARTITIONS, &[]);
    }
    let mut config = broker.client();
    let mut producer = Producer::new(
        config.set("enable.idempotence", "true").set("reconnect.backoff.max.ms", "200"),
    );
    for customer in 0..CUSTOMERS {
        let record = Outgoing::pair(customer.to_string(), format!("customer {customer}"));
        producer.send("customers", None, &record);
    }
    producer.finish();
    let start = |broker: &Broker| {
        let home = broker.home().path();
        let mut streams = program("CountAndJoin.java");
        streams.arg(broker.address()).arg(home.join("streams"));
        let streams = Process::start(streams, &home.join("streams.log"));
        streams.wait_for_line("running", PATIENCE);
        streams
    };
    let outcome = |broker: &Broker, topic: &str| -> Vec<(String, String)> {
        let records = (0..PARTITIONS).flat_map(|at| committed(broker, topic, at));
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
        records.map(|record| (text(record.key), text(record.value))).collect()
    };

    let mut streams = start(&broker);
    for part in 0..3 {
        let numbers = part * PART..(part + 1) * PART;
        for (line, number) in lines(numbers.clone()).iter().zip(numbers) {
            producer.send("lines", None, line);
            let customer = (number % CUSTOMERS).to_string();
            producer.send("orders", None, &Outgoing::pair(customer, format!("order {number}")));
        }
        producer.finish();
        match part {
            0 => {
                soon(true, || outcome(&broker, "counts").len() as u64 > PART);
                streams.signal(Signal::KILL);
                streams.wait(PATIENCE);
                streams = start(&broker);
            }
            1 => broker = broker.kill().start(),
            _ => {}
        }
    }
    soon(9 * PART, || outcome(&broker, "counts").len() as u64);
    soon(3 * PART, || outcome(&broker, "joined").len() as u64);
    let mut counts = BTreeMap::<String, Vec<u64>>::new();
    for (word, count) in outcome(&broker, "counts") {
        counts.entry(word).or_default().push(count.parse().unwrap());
    }
    assert_eq!(counts.len(), 10);
    for (word, counts) in &counts {
        assert!(counts.iter().copied().eq(1..=counts.len() as u64), "{word}: {counts:?}");
    }
    let joined: BTreeSet<_> =
        outcome(&broker, "joined").into_iter().map(|(_, text)| text).collect();
    let expected =
        (0..3 * PART).map(|order| format!("order {order} of customer {}", order % CUSTOMERS));
    assert_eq!(joined, expected.collect::<BTreeSet<_>>());
    streams.signal(Signal::TERM);
    streams.wait(PATIENCE);
}
