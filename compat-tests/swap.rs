//! One directory, two brokers: what one wrote, the other serves, and back.

use std::collections::BTreeMap;

use rdkafka::consumer::Consumer as _;

use crate::files::furnish;
use crate::harness::client::{
    Outgoing, Record, assert_same, consumer, create_topic, produce, read_all,
};
use crate::harness::dump::assert_sound;
use crate::harness::kafka::Release;
use crate::harness::{Broker, Make, PATIENCE};

/// Every record of every partition of the users' topics.
type Contents = BTreeMap<(String, i32), Vec<Record>>;

fn contents(broker: &Broker) -> Contents {
    let metadata = consumer(&broker.client()).fetch_metadata(None, PATIENCE).unwrap();
    let mut contents = Contents::new();
    for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
        for partition in topic.partitions() {
            assert_eq!(partition.error(), None, "{}-{}", topic.name(), partition.id());
            let records = read_all(&broker.client(), topic.name(), partition.id());
            contents.insert((topic.name().to_owned(), partition.id()), records);
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

/// Ours writes; Apache Kafka serves the same and writes; ours serves both, and so once more.
fn there_and_back(release: Release) {
    let broker = Broker::plan("swap").formatted_for(release).start();
    furnish(&broker);
    let mut before = contents(&broker);
    let topics = described(&broker);
    let mut plan = broker.stop();
    for make in
        [Make::Apache(release), Make::under_test(), Make::Apache(release), Make::under_test()]
    {
        plan = plan.run_by(make);
        let broker = plan.start();
        let after = contents(&broker);
        assert_same_contents(&format!("{make:?}"), &before, &after);
        let fresh = format!("fresh-{}", before.len());
        assert_eq!(
            described(&broker).iter().filter(|line| topics.contains(line)).count(),
            topics.len()
        );
        // New records go behind the old, also in the name of an idempotent producer; new topics come into being.
        create_topic(&broker, &fresh, 2, &[("retention.ms", "86400000")]);
        let mut config = broker.client();
        config.set("enable.idempotence", "true");
        for topic in ["segments", "lz4", "front-deleted", "empty", &fresh] {
            let records: Vec<_> =
                (0..100).map(|n| Outgoing::value(format!("{make:?} {n}"))).collect();
            let end = before.get(&(topic.to_owned(), 0)).and_then(|records| records.last());
            let first = produce(&config, topic, 0, &records)[0].offset();
            assert_eq!(first, end.map_or(0, |last| last.offset + 1), "{topic} under {make:?}");
        }
        before = contents(&broker);
        plan = broker.stop();
        assert_sound(&plan.home().data());
    }
}

#[test]
fn apache_kafka_4_4_serves_our_directory_and_we_serve_it_again() {
    there_and_back(Release::V4_4_0);
}

#[test]
fn apache_kafka_4_3_serves_our_directory_formatted_for_it_and_we_serve_it_again() {
    there_and_back(Release::V4_3_1);
}

#[test]
fn we_serve_a_directory_that_apache_kafka_wrote() {
    for release in [Release::V4_4_0, Release::V4_3_1] {
        let theirs = Make::Apache(release);
        let broker = Broker::plan("theirs").formatted_for(release).run_by(theirs).start();
        furnish(&broker);
        let before = contents(&broker);
        let topics = described(&broker);
        let broker = broker.stop().run_by(Make::under_test()).start();
        assert_same_contents("ours after theirs", &before, &contents(&broker));
        assert_eq!(described(&broker), topics);
        assert_sound(&broker.stop().home().data());
    }
}
