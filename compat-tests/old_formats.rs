//! Segments of message formats 0 and 1 in a directory of Apache Kafka's, as clusters from before 0.11 have them: what
//! Kafka serves of it, we serve.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::files::furnish;
use crate::harness::client::{
    Outgoing, Record, assert_same, consumer, create_topic, produce, read_all,
};
use crate::harness::dump::assert_sound;
use crate::harness::kafka::Release;
use crate::harness::process::run;
use crate::harness::{Broker, Make, PATIENCE, Plan, soon};

#[path = "../tests/support/old_formats.rs"]
mod bytes;

use bytes::{Old, segment};

const START: i64 = 1_400_000_000_000;
const COUNT: i64 = 400;
/// Topics by the format and the codec of their first segment.
const TOPICS: [(&str, u8, u8); 8] = [
    ("v0", 0, 0),
    ("v0-gzip", 0, 1),
    ("v0-snappy", 0, 2),
    ("v0-lz4", 0, 3),
    ("v1", 1, 0),
    ("v1-gzip", 1, 1),
    ("v1-snappy", 1, 2),
    ("v1-lz4", 1, 3),
];

fn messages() -> Vec<Old> {
    let one = |n| Old::new(n, START + n * 1_000, &format!("key {}", n % 10), &format!("value {n}"));
    (0..COUNT).map(one).collect()
}

/// Puts old segments into the topics of a stopped broker, without indexes, as if its log had begun with them.
fn age(plan: &Plan, is_clean: bool) {
    let data = plan.home().data();
    for (topic, magic, codec) in TOPICS {
        let dir = data.join(format!("{topic}-0"));
        for file in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            if !file.ends_with("partition.metadata") {
                fs::remove_file(file).unwrap();
            }
        }
        let bytes = segment(magic, codec, &messages());
        fs::write(dir.join("00000000000000000000.log"), bytes).unwrap();
    }
    let lines: String = TOPICS.iter().map(|(topic, ..)| format!("{topic} 0 {COUNT}\n")).collect();
    let text = format!("0\n{}\n{lines}", TOPICS.len());
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        fs::write(data.join(name), &text).unwrap();
    }
    if !is_clean {
        fs::remove_file(data.join(".kafka_cleanshutdown")).unwrap();
    }
}

/// What a broker answers about one topic: its records, and offsets by time.
fn served(broker: &Broker, topic: &str) -> (Vec<Record>, Vec<Offset>) {
    let records = read_all(&broker.client(), topic, 0);
    let consumer = consumer(&broker.client());
    let times = [0, START, START + 7_500, START + COUNT * 1_000, START * 2];
    let offset_at = |time: i64| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(time)).unwrap();
        consumer.offsets_for_times(list, PATIENCE).unwrap().elements()[0].offset()
    };
    (records, times.map(offset_at).to_vec())
}

fn age_and_compare(name: &str, is_clean: bool) {
    let release = Release::to_swap_with();
    let mut plan = Broker::plan(name)
        .with("log.cleaner.backoff.ms", 500)
        .with("log.initial.task.delay.ms", 500)
        .run_by(Make::Apache(release));
    let broker = plan.start();
    for (topic, ..) in TOPICS {
        create_topic(&broker, topic, 1, &[("retention.ms", "-1")]);
    }
    plan = broker.stop();
    age(&plan, is_clean);
    let other = plan.clone().at(plan.home().copy(&format!("{name}-theirs")));

    let theirs = other.start();
    let expected = TOPICS.map(|(topic, ..)| served(&theirs, topic));
    drop(theirs.stop());
    plan = plan.run_by(Make::under_test());
    let ours = plan.start();
    for ((topic, ..), (records, offsets)) in TOPICS.iter().zip(&expected) {
        let (our_records, our_offsets) = served(&ours, topic);
        assert_eq!(records.len() as i64, COUNT, "{topic}");
        assert_same(topic, &our_records, records);
        assert_eq!(&our_offsets, offsets, "{topic}: by time");
        let sent = Outgoing::pair("key 1", "new").at(START + COUNT * 1_000);
        let appended = produce(&ours.client(), topic, 0, &[sent])[0].offset();
        assert_eq!(appended, COUNT, "{topic}");
        assert_eq!(read_all(&ours.client(), topic, 0).len() as i64, COUNT + 1, "{topic}");
    }
    plan = ours.stop();
    assert_check_finds_nothing(&plan);
    assert_sound(&plan.home().data());

    // Compacted, they are of format 2, for Kafka as well.
    let ours = plan.start();
    for (topic, ..) in TOPICS {
        let set = "cleanup.policy=compact,segment.ms=100,min.cleanable.dirty.ratio=0.01";
        let entity = ["--alter", "--entity-type", "topics", "--entity-name", topic];
        ours.tool("kafka-configs", &[&entity[..], &["--add-config", set]].concat()).ok();
        sleep(Duration::from_millis(150)); // A batch later than `segment.ms` begins a new segment.
        let sent = Outgoing::pair("key 2", "newer").at(START + COUNT * 1_000 + 1_000);
        produce(&ours.client(), topic, 0, &[sent]);
    }
    for (topic, ..) in TOPICS {
        // The keys, and what is in the active segment.
        soon((topic, true), || (topic, read_all(&ours.client(), topic, 0).len() <= 12));
    }
    let left = TOPICS.map(|(topic, ..)| read_all(&ours.client(), topic, 0));
    plan = ours.stop();
    for (topic, ..) in TOPICS {
        let first = first_segment(&plan.home().data().join(format!("{topic}-0")));
        assert_eq!(first[16], 2, "{topic}");
    }
    assert_sound(&plan.home().data());
    let theirs = plan.run_by(Make::Apache(release)).start();
    for ((topic, ..), records) in TOPICS.iter().zip(&left) {
        assert_same(topic, &read_all(&theirs.client(), topic, 0), records);
    }
}

fn assert_check_finds_nothing(plan: &Plan) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_blumfeld"));
    check.arg("check").arg(plan.home().data());
    run(check, b"", PATIENCE).ok();
}

fn first_segment(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("00000000000000000000.log")).unwrap()
}

#[test]
fn old_message_formats_are_served_as_apache_kafka_serves_them() {
    age_and_compare("old-formats", true);
}

#[test]
fn old_message_formats_survive_an_unclean_stop() {
    age_and_compare("old-formats-unclean", false);
}

#[test]
fn the_check_finds_nothing_in_a_directory_that_apache_kafka_stopped() {
    let release = Release::to_swap_with();
    let plan = Broker::plan("theirs-checked").run_by(Make::Apache(release));
    let broker = plan.start();
    let plan = broker.stop();
    // Some of its checkpoints are empty files.
    assert_check_finds_nothing(&plan);
    let broker = plan.start();
    furnish(&broker);
    assert_check_finds_nothing(&broker.stop());
}
