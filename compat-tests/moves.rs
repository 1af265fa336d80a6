//! Partitions move between two log directories, told by Kafka's own tools.

use std::fs;

use rdkafka::consumer::Consumer as _;

use crate::harness::client::{Outgoing, consumer, create_topic, produce, read_all};
use crate::harness::dump::assert_sound;
use crate::harness::kafka::Release;
use crate::harness::{Broker, Make, PATIENCE};

const TOPIC: &str = "wanderer";

/// The directory that kafka-log-dirs says the partition is in, and whether a copy is under way.
fn where_it_is(broker: &Broker) -> (Vec<String>, bool) {
    let args = ["--describe", "--topic-list", TOPIC];
    let printed = broker.tool("kafka-log-dirs", &args).ok();
    let json = printed.lines().find(|line| line.starts_with('{')).unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let (mut dirs, mut on_the_way) = (Vec::new(), false);
    for dir in json["brokers"][0]["logDirs"].as_array().unwrap() {
        for partition in dir["partitions"].as_array().unwrap() {
            if partition["isFuture"].as_bool().unwrap() {
                on_the_way = true;
            } else {
                dirs.push(dir["logDir"].as_str().unwrap().to_owned());
            }
        }
    }
    (dirs, on_the_way)
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
    let (before, _) = where_it_is(&broker);
    assert_eq!(before.len(), 1);
    let target = if before[0] == data.display().to_string() { &other } else { &data };
    let target = target.display().to_string();

    let plan_file = broker.home().path().join("reassignment.json");
    fs::write(
        &plan_file,
        format!(
            r#"{{"version":1,"partitions":[{{"topic":"{TOPIC}","partition":0,"replicas":[1],"log_dirs":["{target}"]}}]}}"#
        ),
    )
    .unwrap();
    let plan_file = plan_file.display().to_string();
    let args = ["--reassignment-json-file", &plan_file, "--execute"];
    let said = broker.tool("kafka-reassign-partitions", &args).ok();
    assert!(said.contains("Successfully started moving log directory"), "{said}");
    while where_it_is(&broker) != (vec![target.clone()], false) {
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
        assert_eq!(where_it_is(broker), (vec![target.clone()], false));
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
