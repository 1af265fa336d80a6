//! Groups and transactions in a directory that goes from broker to broker.

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::producer::Producer as _;

use crate::groups::{Got, committed, fill, member, poll_until, total};
use crate::harness::client::create_topic;
use crate::harness::kafka::Release;
use crate::harness::{Broker, Make, PATIENCE, soon};
use crate::transactions::{read, send, transactional};

/// Whose broker is next: each hands over to the other, and takes back what it gave.
fn turns() -> [Make; 4] {
    let theirs = Make::Apache(Release::to_swap_with());
    [theirs, Make::under_test(), theirs, Make::under_test()]
}

#[test]
fn a_group_goes_on_where_it_was_when_kafka_and_we_take_turns() {
    let mut plan = Broker::plan("swap-groups").formatted_for(Release::to_swap_with());
    let mut got = Got::new();
    for (turn, make) in turns().into_iter().enumerate() {
        let broker = plan.run_by(make).start();
        if turn == 0 {
            create_topic(&broker, "t", 2, &[]);
        }
        fill(&broker, 2, turn * 10, 10);
        let reader = member(&broker, &[]);
        assert_eq!(committed(&reader, 2), [if turn == 0 { -1 } else { turn as i64 * 10 }; 2]);
        poll_until("a turn", &[&reader], &mut got, |_, got| total(got) == (turn + 1) * 20);
        reader.commit_consumer_state(CommitMode::Sync).unwrap();
        drop(reader);
        plan = broker.stop();
    }
    for (partition, values) in &got {
        let all: Vec<_> = (0..40).map(|n| format!("{partition}:{n}")).collect();
        assert_eq!(values, &all, "each record once and in order");
    }
}

#[test]
fn a_transaction_left_open_by_one_is_finished_under_the_other() {
    let mut plan = Broker::plan("swap-open").formatted_for(Release::to_swap_with());
    let mut expected: Vec<String> = Vec::new();
    for (turn, pair) in turns().windows(2).enumerate() {
        let broker = plan.run_by(pair[0]).start();
        if turn == 0 {
            create_topic(&broker, "t", 1, &[]);
        }
        // What nobody ends holds back all that is behind it, until the next one aborts it when its
        // time is over. It is not over yet when the directory changes hands.
        let silent = transactional(&broker, &format!("silent-{turn}"), Duration::from_secs(10));
        let (commits, aborts) = (format!("commits-{turn}"), format!("aborts-{turn}"));
        let [committing, aborting] =
            [&commits, &aborts].map(|id| transactional(&broker, id, PATIENCE));
        let left = "left to its timeout".to_owned();
        for (producer, value) in [(&silent, &left), (&committing, &commits), (&aborting, &aborts)] {
            producer.begin_transaction().unwrap();
            send(producer, 0, value);
            producer.flush(PATIENCE).unwrap();
        }
        let plan_of_next = broker.kill().run_by(pair[1]);
        drop(silent);
        // The next one finds all open, and learns from the producers of two how they end.
        let broker = plan_of_next.start();
        committing.commit_transaction(PATIENCE).unwrap();
        aborting.abort_transaction(PATIENCE).unwrap();
        expected.push(commits);
        soon(expected.clone(), || read(&broker, "read_committed", 0));
        let all = read(&broker, "read_uncommitted", 0);
        assert!(all.contains(&aborts) && all.contains(&left), "{all:?}");
        plan = broker.stop();
    }
    let broker = plan.run_by(Make::under_test()).start();
    let after = transactional(&broker, "after", PATIENCE);
    after.begin_transaction().unwrap();
    send(&after, 0, "after");
    after.commit_transaction(PATIENCE).unwrap();
    expected.push("after".to_owned());
    soon(expected, || read(&broker, "read_committed", 0));
}

/// What a share group has read and what it has not, as Kafka's tool prints it: "group topic partition start-offset".
fn share_group(broker: &Broker) -> Vec<String> {
    let printed = broker.tool("kafka-share-groups", &["--describe", "--group", "sg"]).ok();
    let lines = printed.lines().filter(|line| line.starts_with("sg"));
    lines.map(|line| line.split_whitespace().take(4).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_share_group_goes_on_where_it_was_after_a_turn_of_ours() {
    let release = Release::to_swap_with();
    if release == Release::V4_0_2 {
        return; // They came with 4.2.
    }
    let read = |broker: &Broker, count: &str| -> Vec<String> {
        let words = ["--topic", "t", "--group", "sg", "--max-messages", count];
        let printed = broker.tool("kafka-console-share-consumer", &words).ok();
        printed.lines().map(str::to_owned).collect()
    };
    let plan = Broker::plan("swap-share").formatted_for(release).run_by(Make::Apache(release));
    let broker = plan.start();
    create_topic(&broker, "t", 1, &[]);
    fill(&broker, 1, 0, 10);
    let words = ["--alter", "--entity-type", "groups", "--entity-name", "sg"];
    let earliest = ["--add-config", "share.auto.offset.reset=earliest"];
    broker.tool("kafka-configs", &[&words[..], &earliest].concat()).ok();
    let values = |from: usize, to: usize| (from..to).map(|n| format!("0:{n}")).collect::<Vec<_>>();
    assert_eq!(read(&broker, "10"), values(0, 10));
    let group = share_group(&broker);
    assert_eq!(group.len(), 1);

    let broker = broker.stop().run_by(Make::under_test()).start();
    fill(&broker, 1, 10, 10);
    let broker = broker.kill().run_by(Make::Apache(release)).start();
    assert_eq!(share_group(&broker), group);
    assert_eq!(read(&broker, "10"), values(10, 20));
}
