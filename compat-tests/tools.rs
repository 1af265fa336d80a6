//! Kafka's command-line tools, on Kafka's Java clients.

use std::fs;

use crate::harness::client::{create_topic, read_all};
use crate::harness::{Broker, Make, soon, transcript};

#[test]
fn kafka_topics_creates_describes_alters_and_deletes_as_on_kafka() {
    transcript::replay(&Broker::start("topics"), "topics");
}

#[test]
fn kafka_configs_describes_and_alters_topics_and_brokers_as_on_kafka() {
    transcript::replay(&Broker::start("configs"), "configs");
}

#[test]
fn kafka_configs_changes_the_level_of_a_logger_and_with_it_the_log() {
    let (logger, line) = match Make::under_test() {
        Make::Blumfeld => ("blumfeld.server.api.produce", "produce refused"),
        Make::Apache(_) => ("kafka.server.KafkaApis", "Produce request with correlation id"),
    };
    let broker = Broker::start("loggers");
    create_topic(&broker, "t", 1, &[("max.message.bytes", "100")]);
    let refuse = || {
        let value = "x".repeat(1_000);
        assert!(!broker.kcat(&["-P", "-t", "t", "-p", "0"], &value).succeeded());
    };
    let count = || {
        let log = fs::read_to_string(broker.home().path().join("broker.log")).unwrap();
        log.lines().filter(|logged| logged.contains(line)).count()
    };
    let configs = |args: &[&str]| {
        let of_loggers = ["--entity-type", "broker-loggers", "--entity-name", "1"];
        broker.tool("kafka-configs", &[&of_loggers, args].concat()).ok()
    };
    // Kafka names a logger once its class is loaded.
    refuse();
    assert_eq!(count(), 0);
    configs(&["--alter", "--add-config", &format!("{logger}=DEBUG")]);
    refuse();
    soon(1, count);
    assert!(configs(&["--describe"]).contains(&format!("{logger}=DEBUG")));
    configs(&["--alter", "--delete-config", logger]);
    refuse();
    assert_eq!(count(), 1);
    assert!(!configs(&["--describe"]).contains(&format!("{logger}=DEBUG")));
}

#[test]
fn the_console_clients_write_and_read_as_on_kafka() {
    transcript::replay(&Broker::start("console"), "console");
}

#[test]
fn kafka_get_offsets_and_kafka_delete_records_answer_as_on_kafka() {
    transcript::replay(&Broker::start("offsets"), "offsets");
}

#[test]
fn the_cluster_describes_itself_to_the_tools_as_kafka_does() {
    transcript::replay(&Broker::start("cluster"), "cluster");
}

#[test]
fn what_is_advertised_is_advertised_in_the_versions_that_kafka_has() {
    let broker = Broker::start("versions");
    let printed = broker.tool("kafka-broker-api-versions", &[]).ok();
    let lines = printed.lines().filter_map(|line| line.strip_prefix('\t'));
    let versions: Vec<_> = lines.map(|line| line.trim_end_matches(',')).collect();
    let known = transcript::recorded("versions", &(versions.join("\n") + "\n"));
    let known: Vec<_> = known.lines().collect();
    let served = versions.iter().filter(|line| !line.ends_with("UNSUPPORTED"));
    let others: Vec<_> = served.clone().filter(|line| !known.contains(line)).collect();
    assert!(others.is_empty(), "Kafka has other versions of {others:#?}");
    for line in
        known.iter().filter(|line| line.starts_with("Produce(") || line.starts_with("Fetch("))
    {
        assert!(versions.contains(line), "{line}");
    }
}

#[test]
fn the_java_producer_at_full_speed_writes_every_record_in_each_codec() {
    const COUNT: usize = 50_000;
    let broker = Broker::start("perf");
    let count = COUNT.to_string();
    for (topic, properties) in [
        ("defaults", "acks=all"),
        ("gzip", "compression.type=gzip"),
        ("snappy", "compression.type=snappy"),
        ("lz4", "compression.type=lz4"),
        ("zstd", "compression.type=zstd"),
        ("leader", "acks=1"),
        ("unsafe", "acks=0"),
    ] {
        create_topic(&broker, topic, 1, &[]);
        let printed = broker.tool(
            "kafka-producer-perf-test",
            &[
                "--topic",
                topic,
                "--num-records",
                &count,
                "--record-size",
                "100",
                "--throughput",
                "-1",
                "--command-property",
                properties,
            ],
        );
        let printed = printed.ok();
        assert!(printed.contains("50000 records sent"), "{topic}: {printed}");
        let got = read_all(&broker.client(), topic, 0);
        assert_eq!(got.len(), COUNT, "{topic}");
        assert!(got.iter().zip(0..).all(|(record, offset)| record.offset == offset), "{topic}");
    }
}
