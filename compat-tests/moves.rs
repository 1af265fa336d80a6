//! Partitions move between two log directories, told by Kafka's own tools.

use std::collections::BTreeMap;
use std::fs;

use rdkafka::consumer::Consumer as _;

use crate::harness::client::{Outgoing, consumer, create_topic, produce, read_all};
use crate::harness::dump::assert_sound;
use crate::harness::kafka::Release;
use crate::harness::{Broker, Make, PATIENCE};

const TOPIC: &str = "wanderer";

/// The directory of each partition of a topic, as kafka-log-dirs prints it, and whether a copy is under way.
pub(crate) fn where_they_are(broker: &Broker, topic: &str) -> (BTreeMap<String, String>, bool) {
    let args = ["--describe", "--topic-list", topic];
    let printed = broker.tool("kafka-log-dirs", &args).ok();
    let json = printed.lines().find(|line| line.starts_with('{')).unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let (mut dirs, mut on_the_way) = (BTreeMap::new(), false);
    for dir in json["brokers"][0]["logDirs"].as_array().unwrap() {
        for partition in dir["partitions"].as_array().unwrap() {
            if partition["isFuture"].as_bool().unwrap() {
                on_the_way = true;
            } else {
                let name = partition["partition"].as_str().unwrap().to_owned();
                let before = dirs.insert(name, dir["logDir"].as_str().unwrap().to_owned());
                assert_eq!(before, None, "it is in two directories: {json}");
            }
        }
    }
    (dirs, on_the_way)
}

/// Has kafka-reassign-partitions begin to move a partition to another log directory; its plan.
pub(crate) fn begin_move(broker: &Broker, topic: &str, partition: i32, target: &str) -> String {
    let file = broker.home().path().join("reassignment.json");
    let plan = format!(
        r#"{{"version":1,"partitions":[{{"topic":"{topic}","partition":{partition},"replicas":[1],"log_dirs":["{target}"]}}]}}"#
    );
    fs::write(&file, plan).unwrap();
    let file = file.display().to_string();
    let args = ["--reassignment-json-file", &file, "--execute"];
    let said = broker.tool("kafka-reassign-partitions", &args).ok();
    assert!(said.contains("Successfully started moving log directory"), "{said}");
    file
}

#[test]
fn a_partition_moves_under_its_producer_and_apache_kafka_opens_what_came_of_it() {
    let plan = Broker::plan("moves");
    let data = plan.home().data();
    let other = plan.home().path().join("other");
    let dirs = format!("{},{}", data.display(), other.display());
    let broker = plan.with("log.dirs", &dirs).start();
    create_topic(&broker, TOPIC, 1, &[("segment.bytes", "1048576")]);
    let mut config = broker.client();
    config.set("enable.idempotence", "true");
    let records = |from: usize, count: usize| -> Vec<Outgoing> {
        (from..from + count).map(|n| Outgoing::value(format!("{n:0>1000}"))).collect()
    };
    let mut sent = 0;
    produce(&config, TOPIC, 0, &records(sent, 5000));
    sent += 5000;
    let where_it_is = |broker: &Broker| where_they_are(broker, TOPIC);
    let name = format!("{TOPIC}-0");
    let (before, _) = where_it_is(&broker);
    let target = if before[&name] == data.display().to_string() { &other } else { &data };
    let target = target.display().to_string();
    let arrived = (BTreeMap::from([(name, target.clone())]), false);
    let plan_file = begin_move(&broker, TOPIC, 0, &target);
    while where_it_is(&broker) != arrived {
        produce(&config, TOPIC, 0, &records(sent, 500));
        sent += 500;
        assert!(sent < 200_000, "it does not arrive");
    }
    produce(&config, TOPIC, 0, &records(sent, 500));
    sent += 500;
    let args = ["--reassignment-json-file", &plan_file, "--verify"];
    let said = broker.tool("kafka-reassign-partitions", &args).ok();
    assert!(said.contains("is complete") || said.contains("completed successfully"), "{said}");

    let check = |broker: &Broker| {
        let got = read_all(&broker.client(), TOPIC, 0);
        assert_eq!(got.len(), sent);
        assert!(got.iter().zip(0..).all(|(record, offset)| record.offset == offset));
        assert_eq!(where_it_is(broker), arrived);
    };
    check(&broker);
    let plan = broker.stop();
    assert_sound(&data);
    assert_sound(&other);
    let broker = plan.run_by(Make::Apache(Release::V4_4_0)).start();
    let known = consumer(&broker.client()).fetch_metadata(Some(TOPIC), PATIENCE).unwrap();
    assert_eq!(known.topics()[0].partitions()[0].error(), None);
    check(&broker);
    let broker = broker.stop().run_by(Make::under_test()).start();
    check(&broker);
    broker.stop();
}
