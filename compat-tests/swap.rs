//! One directory, two brokers: what one wrote, the other serves, and back. `scripts/swap` tells these stories with
//! every release of Apache Kafka that a directory may come from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rdkafka::consumer::Consumer as _;

use crate::files::furnish;
use crate::harness::client::{
    Outgoing, Record, assert_same, consumer, create_topic, produce, read_all,
};
use crate::harness::dump::assert_sound;
use crate::harness::kafka::Release;
use crate::harness::{Broker, Make, PATIENCE, Plan, soon};
use crate::holdings::{
    COMPACTED, Holdings, able_to_hold_all, acquire, credentials, end_the_open_transaction,
};
use crate::moves::{begin_move, where_they_are};

/// Every record of every partition of the users' topics, of aborted transactions too; and of some what a reader of
/// committed records is given.
type Contents = BTreeMap<(String, i32, &'static str), Vec<Record>>;

fn contents(broker: &Broker) -> Contents {
    let metadata = consumer(&broker.client()).fetch_metadata(None, PATIENCE).unwrap();
    let mut contents = Contents::new();
    for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
        if COMPACTED.contains(&topic.name()) {
            continue;
        }
        for partition in topic.partitions() {
            assert_eq!(partition.error(), None, "{}-{}", topic.name(), partition.id());
            for level in ["read_uncommitted", "read_committed"] {
                if level == "read_committed" && topic.name() != "transacted" {
                    continue;
                }
                let mut config = broker.client();
                config.set("isolation.level", level);
                let records = read_all(&config, topic.name(), partition.id());
                contents.insert((topic.name().to_owned(), partition.id(), level), records);
            }
        }
    }
    contents
}

#[track_caller]
fn assert_same_contents(when: &str, before: &Contents, after: &Contents) {
    let names = |contents: &Contents| contents.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(after), names(before), "{when}: the partitions");
    for (partition, records) in before {
        assert_same(&format!("{when}: {partition:?}"), &after[partition], records);
    }
}

/// Topics with their ids, configurations and leaders, as kafka-topics prints them.
fn described(broker: &Broker) -> Vec<String> {
    let described = broker.tool("kafka-topics", &["--describe"]).ok();
    let users = described.lines().filter(|line| !line.contains("Topic: __"));
    let mut lines: Vec<_> = users.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// New records go behind the old, also in the name of an idempotent producer; a new topic comes into being.
fn write_on(broker: &Broker, before: &Contents) {
    let fresh = format!("fresh-{}", before.len());
    create_topic(broker, &fresh, 2, &[("retention.ms", "86400000")]);
    let mut config = broker.client();
    config.set("enable.idempotence", "true");
    for topic in ["segments", "lz4", "front-deleted", "empty", &fresh] {
        let records: Vec<_> = (0..100).map(|n| Outgoing::value(format!("{n}"))).collect();
        let known = before.get(&(topic.to_owned(), 0, "read_uncommitted"));
        let first = produce(&config, topic, 0, &records)[0].offset();
        let expected = known.and_then(|records| records.last()).map_or(0, |last| last.offset + 1);
        assert_eq!(first, expected, "{topic}");
    }
}

/// `first` fills a directory, and the two take turns with it: each finds what the other left, in a clean stop or a
/// kill, and leaves something of its own.
fn take_turns(name: &str, release: Release, first: Make, second: Make) {
    let plan = able_to_hold_all(Broker::plan(name)).formatted_for(release);
    let broker = plan.run_by(first).start();
    furnish(&broker);
    acquire(&broker);
    let mut before = contents(&broker);
    let topics = described(&broker);
    let holdings = Holdings::look(&broker);
    for (word, least) in [
        ("acl", 2),
        ("setting TOPIC", 20),
        ("setting BROKER", 3),
        ("setting GROUP", 1),
        ("setting CLIENT_METRICS", 2),
        ("quota", 5),
        ("credential", 2),
        ("offset", 6),
        ("transaction", 3),
        ("feature", 3),
    ] {
        assert!(holdings.count(word) >= least, "{word} in {holdings:?}");
    }
    let mut plan = broker.stop();
    let secrets = credentials(&plan);
    assert_eq!(secrets.len(), 2, "{secrets:?}");
    for (make, is_killed) in [(second, true), (first, true), (second, false), (first, false)] {
        let when = format!("{make:?} with a directory of {first:?}");
        plan = plan.run_by(make);
        let broker = plan.start();
        assert_same_contents(&when, &before, &contents(&broker));
        let described = described(&broker);
        let kept: Vec<_> = topics.iter().filter(|line| described.contains(line)).collect();
        assert_eq!(kept, topics.iter().collect::<Vec<_>>(), "{when}");
        Holdings::look(&broker).assert_same(&when, &holdings);
        write_on(&broker, &before);
        before = contents(&broker);
        plan = if is_killed { broker.kill() } else { broker.stop() };
        if !is_killed {
            assert_sound(&plan.home().data());
        }
        assert_eq!(credentials(&plan), secrets, "{when}");
    }
    let broker = plan.run_by(second).start();
    end_the_open_transaction(&broker);
}

#[test]
fn apache_kafka_serves_our_directory_and_we_serve_it_again() {
    let release = Release::to_swap_with();
    take_turns("ours-first", release, Make::under_test(), Make::Apache(release));
}

#[test]
fn we_serve_a_directory_of_apache_kafka_and_apache_kafka_serves_it_again() {
    let release = Release::to_swap_with();
    take_turns("theirs-first", release, Make::Apache(release), Make::under_test());
}

/// A node whose metadata log has a directory of its own.
fn with_metadata_apart(name: &str, release: Release) -> Plan {
    let plan = Broker::plan(name).formatted_for(release);
    let metadata = plan.home().path().join("metadata");
    plan.with("metadata.log.dir", metadata.display())
}

#[test]
fn a_metadata_log_in_a_directory_of_its_own_is_served_by_both() {
    let release = Release::to_swap_with();
    // Little makes a snapshot here, and less does when a broker of ours stops.
    let plan = with_metadata_apart("apart", release);
    let mut plan = plan.with("metadata.log.max.record.bytes.between.snapshots", 20_000);
    let makes = [Make::Apache(release), Make::under_test()];
    for (turn, make) in makes.into_iter().cycle().take(4).enumerate() {
        let broker = plan.run_by(make).start();
        if turn == 0 {
            create_topic(&broker, "t", 1, &[]);
        }
        let value = Outgoing::value(format!("{turn}"));
        assert_eq!(produce(&broker.client(), "t", 0, &[value])[0].offset(), turn as i64);
        let all: Vec<_> = (0..=turn).map(|n| n.to_string()).collect();
        soon(all, || {
            let records = read_all(&broker.client(), "t", 0);
            records.iter().map(|record| record.text().to_owned()).collect()
        });
        plan = broker.stop();
        let metadata = plan.home().path().join("metadata/__cluster_metadata-0");
        let snapshots = fs::read_dir(&metadata).unwrap().map(|entry| entry.unwrap().file_name());
        let snapshots = snapshots.filter(|name| name.to_string_lossy().ends_with(".checkpoint"));
        assert!(make != Make::Blumfeld || snapshots.count() > 1, "a stop leaves a snapshot");
        assert!(metadata.is_dir() && !plan.home().data().join("__cluster_metadata-0").exists());
    }
}

/// Each broker finds partitions where the other left them, in two log directories, and moves one of them.
#[test]
fn partitions_in_two_log_directories_are_served_where_they_lie_by_both_and_moved() {
    const PARTITIONS: i32 = 4;
    let release = Release::to_swap_with();
    let plan = Broker::plan("two-dirs").formatted_for(release);
    let dirs = [plan.home().data(), plan.home().path().join("other")];
    let dirs = dirs.map(|dir| dir.display().to_string());
    let mut plan = plan.with("log.dirs", dirs.join(","));
    let mut expected = BTreeMap::new();
    let makes = [Make::Apache(release), Make::under_test()];
    for (turn, make) in (0..).zip(makes.into_iter().cycle().take(5)) {
        let broker = plan.run_by(make).start();
        if turn == 0 {
            create_topic(&broker, "t", PARTITIONS, &[]);
            expected = where_they_are(&broker, "t").0;
            assert_eq!(expected.len(), PARTITIONS as usize);
        }
        let when = format!("turn {turn}, {make:?}");
        assert_eq!(where_they_are(&broker, "t"), (expected.clone(), false), "{when}");
        for partition in 0..PARTITIONS {
            let value = Outgoing::value(format!("{turn}"));
            let first = produce(&broker.client(), "t", partition, &[value])[0].offset();
            assert_eq!(first, turn, "{when}");
        }
        let moved = (turn % i64::from(PARTITIONS)) as i32;
        let name = format!("t-{moved}");
        let target = dirs.iter().find(|dir| **dir != expected[&name]).unwrap();
        begin_move(&broker, "t", moved, target);
        expected.insert(name, target.clone());
        soon((expected.clone(), false), || where_they_are(&broker, "t"));
        let all: Vec<_> = (0..=turn).map(|n| n.to_string()).collect();
        for partition in 0..PARTITIONS {
            soon(all.clone(), || {
                let records = read_all(&broker.client(), "t", partition);
                records.iter().map(|record| record.text().to_owned()).collect()
            });
        }
        let is_killed = (2..4).contains(&turn);
        plan = if is_killed { broker.kill() } else { broker.stop() };
        if make == Make::Blumfeld && !is_killed {
            dirs.iter().for_each(|dir| assert_sound(Path::new(dir)));
        }
    }
}
