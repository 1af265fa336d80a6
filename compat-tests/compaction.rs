//! Compaction, as a consumer and as Kafka's own reader of the files see it.

use std::collections::BTreeMap;

use crate::harness::client::{Outgoing, create_topic, produce, read_all};
use crate::harness::dump::assert_sound;
use crate::harness::{Broker, soon};

#[test]
fn a_compacted_topic_ends_with_the_last_value_of_each_key_and_kafka_reads_its_files() {
    let broker = Broker::plan("compaction").with("log.cleaner.backoff.ms", 100).start();
    let mut last = BTreeMap::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        create_topic(
            &broker,
            codec,
            1,
            &[
                ("cleanup.policy", "compact"),
                ("segment.bytes", "1048576"),
                ("min.cleanable.dirty.ratio", "0.01"),
            ],
        );
        let records: Vec<_> = (0..4_000u64)
            .map(|n| {
                // Text that does not compress to nothing.
                let noise: String = (0..60u64)
                    .map(|at| {
                        format!(
                            "{:x}",
                            ((n + 1) * (at + 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 65_521
                        )
                    })
                    .collect();
                let (key, value) = (format!("{}", n % 40), format!("{n} {noise} {noise} {noise}"));
                last.insert((codec, key.clone()), value.clone());
                Outgoing::pair(key, value)
            })
            .collect();
        let mut config = broker.client();
        config.set("compression.type", codec).set("enable.idempotence", "true");
        config.set("batch.num.messages", "50");
        produce(&config, codec, 0, &records);
    }
    // Where something was compacted some offsets are missing.
    soon(true, || read_all(&broker.client(), "none", 0).len() < 3_000);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let mut seen = BTreeMap::new();
        for record in read_all(&broker.client(), codec, 0) {
            let text = record.text().to_owned();
            seen.insert(String::from_utf8(record.key.unwrap()).unwrap(), text);
        }
        let expected: BTreeMap<_, _> = last
            .iter()
            .filter(|((of, _), _)| *of == codec)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(seen, expected, "{codec}");
    }
    let plan = broker.stop();
    assert_sound(&plan.home().data());
    let checkpoint = plan.home().data().join("cleaner-offset-checkpoint");
    let text = std::fs::read_to_string(checkpoint).unwrap();
    assert!(text.lines().any(|line| line.starts_with("none 0 ")), "{text}");
}

/// Kafka's `LogCompactionTester`: values and deletions of keys that each come ten times, written down as they are sent
/// and as they are read while the cleaner is at work.
#[test]
fn kafkas_own_tester_of_compaction_reads_the_last_value_of_every_key() {
    let plan = Broker::plan("compaction-tester").with("log.segment.bytes", 1_048_576);
    let plan =
        plan.with("log.cleaner.backoff.ms", 100).with("log.cleaner.min.cleanable.ratio", 0.01);
    let broker = plan.start();
    let args = ["--messages", "200000", "--duplicates", "10", "--percent-deletes", "10"];
    let more = ["--topics", "2", "--sleep", "3", "--compression-type", "zstd"];
    let args: Vec<&str> = args.into_iter().chain(more).collect();
    let said = broker.tool("kafka-log-compaction-tester", &args).ok();
    assert!(said.contains(" 0 mismatches."), "{said}");
    assert!(said.contains("Data verification is completed"), "{said}");
    let reduction = said.split("consumed (").nth(1).and_then(|rest| rest.split('%').next());
    let reduction: f64 = reduction.unwrap().parse().unwrap();
    assert!(reduction > 20.0, "little was compacted: {said}");
}
