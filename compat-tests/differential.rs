//! Every answer, field by field, against Apache Kafka's.
//!
//! `differential/compare.py` sends the same requests, in every version, and the same stories of groups and transactions
//! to both brokers. It fails on a difference that `differential/allowed.txt` does not list with a reason, and on a listed
//! one that no longer occurs. With `COMPAT_BROKER` set to Apache Kafka it compares Kafka with itself, and nothing differs.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::harness::kafka::Release;
use crate::harness::{Broker, Make, process};

/// The comparison waits out many timeouts of Kafka's, one after the other.
const PATIENCE: Duration = Duration::from_mins(10);

#[test]
fn every_answer_is_kafkas_or_differs_for_a_stated_reason() {
    let release = Release::V4_4_0;
    // Versions before 4 of Metadata create topics unless this forbids it; both are asked for topics to create.
    let plan = |name| Broker::plan(name).with("auto.create.topics.enable", true);
    let kafkas = plan("differential-kafka").run_by(Make::Apache(release));
    let others = plan("differential-other");
    let starting = thread::spawn(move || kafkas.start());
    let other = others.start();
    let kafka = starting.join().unwrap();

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/compat-tests/differential");
    let mut command = Command::new("python3");
    command.args(["-B", &format!("{folder}/compare.py")]);
    command.arg("--jars").arg(release.jars());
    for (side, broker) in [("--kafka", &kafka), ("--other", &other)] {
        let home = broker.home();
        command.arg(side).arg(home.port.to_string()).arg(home.data());
    }
    if Make::under_test() == Make::Blumfeld {
        command.args(["--allowed", &format!("{folder}/allowed.txt")]);
    }
    process::run(command, b"", PATIENCE).ok();
}
