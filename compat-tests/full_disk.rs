//! A file system that runs full under the real binary: what was acknowledged is there once there is room again.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::client::{Outgoing, Producer, create_topic, produce, read_all};
use crate::harness::process::{self, Ran};
use crate::harness::{Broker, Make, PATIENCE};

/// A file system in memory, of a limited size.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounted at `path`; nothing, with a message, where nobody may mount.
    fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let ran = run("mount", &["-t", "tmpfs", "-o", "size=12m", "tmpfs"], path);
        if !ran.succeeded() {
            println!("passed over, since a file system cannot be mounted here: {}", ran.all());
            return None;
        }
        Some(Self(path.to_owned()))
    }

    fn grow(&self) {
        run("mount", &["-o", "remount,size=200m"], &self.0).ok();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &self.0);
    }
}

fn run(program: &str, words: &[&str], path: &Path) -> Ran {
    let mut command = Command::new(program);
    command.args(words).arg(path);
    process::run(command, b"", PATIENCE)
}

/// Writes to a partition until the broker takes no more; the values that it took, by offset.
fn fill(broker: &Broker, partition: i32) -> Vec<(i64, String)> {
    let mut config = broker.client();
    config.set("acks", "all").set("linger.ms", "0").set("message.timeout.ms", "5000");
    let mut producer = Producer::new(&config);
    for n in 0..400 {
        producer.send("t", Some(partition), &Outgoing::value(format!("{n:050000}")));
    }
    let reports = producer.finish();
    let taken: Vec<_> = reports
        .iter()
        .filter_map(|report| Some((report.outcome.ok()?, format!("{:050000}", report.index))))
        .collect();
    assert!(taken.len() > 50, "{} records were taken", taken.len());
    assert!(taken.len() < 400, "20 MB fit into 12");
    taken
}

/// Every record that was acknowledged is where the broker said, and no other record appears twice.
#[track_caller]
fn assert_there(broker: &Broker, partition: i32, taken: &[(i64, String)]) {
    let records = read_all(&broker.client(), "t", partition);
    for (offset, value) in taken {
        let found = records.iter().find(|record| record.offset == *offset);
        assert!(found.is_some_and(|record| record.text() == value), "offset {offset} is gone");
    }
}

#[test]
fn a_full_disk_ends_the_broker_and_costs_nothing_acknowledged() {
    let plan = Broker::plan("full");
    let Some(disk) = SmallDisk::mount(&plan.home().data()) else { return };
    let broker = plan.start();
    create_topic(&broker, "t", 1, &[]);
    let taken = fill(&broker, 0);
    drop(broker);
    disk.grow();
    let broker = plan.start();
    assert_there(&broker, 0, &taken);
    produce(&broker.client(), "t", 0, &[Outgoing::value("there is room")]);
    drop(broker);
    drop(disk);
}

/// R10.
#[test]
fn a_full_disk_takes_its_partitions_offline_and_the_others_serve_on() {
    let plan = Broker::plan("one-full");
    let small = plan.home().path().join("small");
    let Some(disk) = SmallDisk::mount(&small) else { return };
    let both = format!("{},{}", plan.home().data().display(), small.display());
    let plan = plan.with("log.dirs", both);
    let broker = plan.start();
    create_topic(&broker, "t", 2, &[]);
    let on_small = i32::from(small.join("t-1").is_dir());
    assert!(small.join(format!("t-{on_small}")).is_dir(), "one of two partitions is there");
    let taken = fill(&broker, on_small);
    let other = 1 - on_small;
    let more = produce(&broker.client(), "t", other, &[Outgoing::value("served on")]);
    assert_eq!(more[0].offset(), 0);
    if plan.make() == Make::Blumfeld {
        let described = broker.tool("kafka-log-dirs", &["--describe"]).ok();
        assert!(described.contains("KafkaStorageException"), "{described}");
    }
    let plan = broker.kill();
    disk.grow();
    let broker = plan.start();
    assert_there(&broker, on_small, &taken);
    assert_eq!(read_all(&broker.client(), "t", other).len(), 1);
    produce(&broker.client(), "t", on_small, &[Outgoing::value("there is room")]);
    drop(broker);
    drop(disk);
}
