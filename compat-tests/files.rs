//! The files, as Kafka's own reader sees them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use crate::harness::client::{
    Outgoing, Producer, admin, create_topic, delete_records, options, produce, wait_for,
};
use crate::harness::dump::{assert_sound, complaints, files};
use crate::harness::kafka::Release;
use crate::harness::{Broker, Make, PATIENCE, Plan, process};

/// Fills a broker with what leaves every kind of file: many segments, every codec, idempotent producers, old and
/// shuffled timestamps, LogAppendTime, deleted records, changed settings, topics that came and went.
pub(crate) fn furnish(broker: &Broker) {
    let values = |count: usize, size: usize| -> Vec<Outgoing> {
        (0..count).map(|n| Outgoing::pair(format!("{}", n % 50), format!("{n:0size$}"))).collect()
    };
    create_topic(broker, "segments", 2, &[("segment.bytes", "1048576")]);
    for partition in 0..2 {
        let mut config = broker.client();
        config.set("batch.size", "20000").set("enable.idempotence", "true");
        produce(&config, "segments", partition, &values(3_000, 1_000));
    }
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        create_topic(broker, codec, 1, &[("index.interval.bytes", "100")]);
        let mut config = broker.client();
        config.set("compression.type", codec).set("batch.num.messages", "100");
        produce(&config, codec, 0, &values(2_000, 100));
    }
    create_topic(broker, "recompressed", 1, &[("compression.type", "zstd")]);
    produce(broker.client().set("compression.type", "gzip"), "recompressed", 0, &values(500, 100));
    create_topic(broker, "appended", 1, &[("message.timestamp.type", "LogAppendTime")]);
    produce(broker.client().set("compression.type", "lz4"), "appended", 0, &values(500, 100));
    create_topic(
        broker,
        "times",
        1,
        &[("index.interval.bytes", "0"), ("segment.ms", "3600000"), ("retention.ms", "-1")],
    );
    let times: Vec<_> = (0..200)
        .map(|n| Outgoing::value("x").at(1_700_000_000_000 + (n * 7_919 % 1_000) * 60_000))
        .collect();
    produce(broker.client().set("batch.num.messages", "3"), "times", 0, &times);
    create_topic(broker, "front-deleted", 1, &[("segment.bytes", "1048576")]);
    produce(&broker.client(), "front-deleted", 0, &values(3_000, 1_000));
    delete_records(broker, "front-deleted", 0, rdkafka::Offset::Offset(2_500));
    create_topic(broker, "short-lived", 3, &[]);
    produce(&broker.client(), "short-lived", 1, &values(10, 10));
    wait_for(admin(broker).delete_topics(&["short-lived"], &options())).unwrap();
    create_topic(broker, "empty", 1, &[]);
    let mut producer = Producer::new(broker.client().set("linger.ms", "0"));
    for value in values(300, 10) {
        producer.send("unbatched", None, &value);
    }
    assert!(producer.finish().iter().all(|report| report.outcome.is_ok()));
}

#[test]
fn kafka_dump_log_finds_nothing_wrong_with_any_file_of_ours() {
    let broker = Broker::start("dump");
    furnish(&broker);
    let plan = broker.stop();
    assert_sound(&plan.home().data());

    // Once more after a start, which opens, checks and continues every file, and a kill.
    let broker = plan.start();
    produce(&broker.client(), "segments", 0, &[Outgoing::value("again")]);
    let broker = broker.kill().start();
    produce(&broker.client(), "segments", 0, &[Outgoing::value("and again")]);
    assert_sound(&broker.stop().home().data());
}

#[test]
fn the_check_finds_nothing_in_a_directory_that_apache_kafka_stopped() {
    let plan = Broker::plan("theirs-checked").run_by(Make::Apache(Release::to_swap_with()));
    let plan = plan.start().stop();
    let check = |plan: &Plan| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_blumfeld"));
        check.arg("check").arg(plan.home().data());
        process::run(check, b"", PATIENCE).ok();
    };
    // Some of its checkpoints are empty files.
    check(&plan);
    let broker = plan.start();
    furnish(&broker);
    check(&broker.stop());
}

/// What is planted, by whom, and what is said of it.
type Plant<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);

#[test]
fn the_check_of_the_files_finds_what_is_planted_in_them() {
    let broker = Broker::start("planted");
    furnish(&broker);
    let plan = broker.stop();
    let segments = plan.home().data().join("segments-0");
    let last = |folder: &Path, extension| files(folder, &[extension]).pop().unwrap();

    let overwrite = |file: &Path, position: u64, bytes: &[u8]| {
        File::options().write(true).open(file).unwrap().write_all_at(bytes, position).unwrap();
    };
    let plants: [Plant<'_>; 6] = [
        (
            "a changed byte of a record",
            &|folder| overwrite(&files(folder, &["log"])[0], 5_000, b"!!!!"),
            "isvalid: false",
        ),
        (
            "a torn tail",
            &|folder| {
                let log = last(folder, "log");
                let length = fs::metadata(&log).unwrap().len();
                File::options().write(true).open(&log).unwrap().set_len(length - 7).unwrap();
            },
            "invalid bytes at the end",
        ),
        (
            "a batch that was cut out",
            &|folder| {
                let log = &files(folder, &["log"])[0];
                let bytes = fs::read(log).unwrap();
                let length = |at: usize| {
                    let field = bytes[at + 8..at + 12].try_into().unwrap();
                    12 + u32::from_be_bytes(field) as usize
                };
                let second = length(0);
                let third = second + length(second);
                fs::write(log, [&bytes[..second], &bytes[third..]].concat()).unwrap();
            },
            "is followed by",
        ),
        (
            "an index entry that points beside its batch",
            &|folder| overwrite(&files(folder, &["index"])[0], 0, &1_u32.to_be_bytes()),
            "Mismatches in",
        ),
        (
            "a time index entry of another time",
            &|folder| overwrite(&files(folder, &["timeindex"])[0], 0, &1_i64.to_be_bytes()),
            "timestamp",
        ),
        (
            "a producer snapshot with a wrong checksum",
            &|folder| overwrite(&last(folder, "snapshot"), 2, &[0; 4]),
            "orrupt",
        ),
    ];
    for (what, plant, complaint) in plants {
        let copy = plan.home().copy("planted");
        for folder in fs::read_dir(copy.data()).unwrap().map(|entry| entry.unwrap().path()) {
            if folder.is_dir() && folder.file_name() != segments.file_name() {
                fs::remove_dir_all(folder).unwrap();
            }
        }
        plant(&copy.data().join("segments-0"));
        let found = complaints(&copy.data());
        assert!(found.contains(complaint), "{what} was not found, only {found:?}");
    }
}

#[test]
fn a_second_broker_on_a_directory_in_use_ends_and_the_first_serves_on() {
    let broker = Broker::start("lock");
    // (Apache Kafka's second broker writes into the metadata log before it finds the lock, which ends both.)
    if broker.started_by().make() == Make::Blumfeld {
        let ran = broker.started_by().run_beside();
        assert!(!ran.succeeded() && ran.all().contains("lock"), "{ran}");
    }
    create_topic(&broker, "t", 1, &[]);
    let records = [Outgoing::value("still here")];
    assert_eq!(produce(&broker.client(), "t", 0, &records)[0].offset(), 0);
}
