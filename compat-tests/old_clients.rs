//! The console producer and consumer of Apache Kafka's older releases, as far back as the protocol
//! of Apache Kafka 4 goes.

use std::process::Command;

use crate::harness::client::create_topic;
use crate::harness::kafka::old_client_jars;
use crate::harness::process::{self, Ran};
use crate::harness::{Broker, PATIENCE};

/// A release, where its two tools are, and what the address of the broker is called.
struct Old {
    version: &'static str,
    scala: &'static str,
    in_tools: bool,
    producer: &'static str,
    address: &'static str,
    consumer: &'static str,
}

const OLD: &[Old] = &[
    Old {
        version: "2.1.1",
        scala: "2.12",
        in_tools: false,
        producer: "kafka.tools.ConsoleProducer",
        address: "--broker-list",
        consumer: "kafka.tools.ConsoleConsumer",
    },
    Old {
        version: "2.8.2",
        scala: "2.13",
        in_tools: false,
        producer: "kafka.tools.ConsoleProducer",
        address: "--bootstrap-server",
        consumer: "kafka.tools.ConsoleConsumer",
    },
    Old {
        version: "3.9.1",
        scala: "2.13",
        in_tools: true,
        producer: "kafka.tools.ConsoleProducer",
        address: "--bootstrap-server",
        consumer: "org.apache.kafka.tools.consumer.ConsoleConsumer",
    },
    Old {
        version: "4.0.0",
        scala: "2.13",
        in_tools: true,
        producer: "org.apache.kafka.tools.ConsoleProducer",
        address: "--bootstrap-server",
        consumer: "org.apache.kafka.tools.consumer.ConsoleConsumer",
    },
];

impl Old {
    fn run(&self, class: &str, args: &[&str], input: &str) -> Ran {
        let jars = old_client_jars(self.version, self.scala, self.in_tools);
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-cp", &format!("{}/*", jars.display()), class])
            .args(args);
        process::run(java, input.as_bytes(), PATIENCE * 3)
    }
}

#[test]
fn old_console_clients_read_in_a_group_what_every_other_wrote() {
    let broker = Broker::start("old-clients");
    create_topic(&broker, "t", 1, &[]);
    let address = broker.address();
    let mut written = Vec::new();
    for (old, codec) in OLD.iter().zip(["gzip", "snappy", "lz4", "none"]) {
        let lines: Vec<String> = (0..50).map(|n| format!("{} {n}", old.version)).collect();
        let properties = ["--producer-property", "enable.idempotence=true"];
        let mut args = vec![old.address, &address, "--topic", "t"];
        args.extend(["--compression-codec", codec, "--request-required-acks", "all"]);
        args.extend(properties);
        old.run(old.producer, &args, &(lines.join("\n") + "\n")).ok();
        written.extend(lines);
    }
    for old in OLD {
        let group = format!("readers-{}", old.version);
        let count = written.len().to_string();
        let mut args = vec!["--bootstrap-server", &address, "--topic", "t"];
        args.extend(["--group", &group, "--from-beginning", "--max-messages", &count]);
        args.extend(["--isolation-level", "read_committed"]);
        let read = old.run(old.consumer, &args, "").ok();
        assert_eq!(read.lines().collect::<Vec<_>>(), written, "Apache Kafka {}", old.version);
    }
}
