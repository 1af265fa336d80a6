//! A directory that this broker does not understand, or may not lead, is left byte for byte as it
//! was; set right, it is served with everything that is in it.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blumfeld::env::sim::{Crash, SimDisk, World};
use blumfeld::env::{Disk, OpenMode};
use blumfeld::raft::batch;
use blumfeld::types::Timestamp;
use kafka_protocol::messages::{BrokerId, UnregisterBrokerRequest};

use crate::HOST;
use crate::stops::with_records_of;
use crate::support::broker::{DATA, Life, SimBroker};
use crate::support::simulate;
use crate::support::workload::{Session, TOPIC};

const META: &str = "/meta";
/// A flush before each answer: all records are there after every end.
const APART: &[(&str, &str)] = &[("metadata.log.dir", META), ("log.flush.interval.messages", "1")];

/// Every file under `dir` with its bytes, and every directory; locks are left out.
fn tree(disk: &dyn Disk, dir: &Path, found: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            tree(disk, &path, found);
            found.insert(path, None);
        } else if entry.name != ".lock" {
            let bytes = disk.read_file(&path).unwrap();
            found.insert(path, bytes);
        }
    }
}

fn all(disk: &SimDisk) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    tree(disk, Path::new(DATA), &mut found);
    tree(disk, Path::new(META), &mut found);
    found
}

fn put_back(disk: &SimDisk, files: &BTreeMap<PathBuf, Option<Vec<u8>>>) {
    let disk: &dyn Disk = disk;
    disk.remove_dir_all(Path::new(META)).unwrap();
    disk.create_dir_all(Path::new(META)).unwrap();
    for (path, bytes) in files {
        match bytes {
            None => disk.create_dir_all(path).unwrap(),
            Some(bytes) => {
                disk.create_dir_all(path.parent().unwrap()).unwrap();
                disk.replace_file(path, bytes).unwrap();
            }
        }
    }
}

fn metadata(name: &str) -> PathBuf {
    Path::new(META).join("__cluster_metadata-0").join(name)
}

/// Appends a record of a kind that no release knows yet to the metadata log, and half a batch.
fn add_what_a_newer_release_wrote(disk: &SimDisk) {
    let disk: &dyn Disk = disk;
    let extent = blumfeld::log::scan::read::<()>(disk, &metadata(""), |_| Ok(())).unwrap();
    let mut newer = batch::empty(extent.end, extent.epoch.unwrap());
    newer.push(Timestamp(1), None, Some(&[1, 0x8f, 0x4e, 0]));
    let mut bytes = batch::finish(newer);
    bytes.extend_from_within(..bytes.len() / 2);
    let logs = disk.list(&metadata("")).unwrap().into_iter().map(|entry| entry.name);
    let last = logs.filter(|name| name.ends_with(".log")).max().unwrap();
    let file = disk.open(&metadata(&last), OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(&bytes)], file.len().unwrap()).unwrap();
}

fn replace(disk: &SimDisk, path: &Path, from: &str, to: &str) {
    let disk: &dyn Disk = disk;
    let text = String::from_utf8(disk.read_file(path).unwrap().unwrap()).unwrap();
    assert!(text.contains(from), "{text}");
    disk.replace_file(path, text.replace(from, to).as_bytes()).unwrap();
}

type Spoil = fn(&SimDisk);

/// What is wrong with the directories, and what the broker says of it.
const WRONG: &[(Spoil, &str)] = &[
    (
        |disk| disk.remove_dir_all(&metadata("")).unwrap(),
        "this is a broker's directory without its controller's. Nothing was changed.",
    ),
    (
        |disk| replace(disk, &metadata("quorum-state"), "{\"voterId\":1}", "{\"voterId\":7}"),
        "this is not the directory of the controller that led it",
    ),
    (
        |disk| replace(disk, &metadata("quorum-state"), "\"data_version\":0", "\"data_version\":2"),
        "data_version 2 is not within the min (0) and max (1) supported version",
    ),
    (add_what_a_newer_release_wrote, "9999"),
    (
        |disk| replace(disk, &Path::new(META).join("meta.properties"), "node.id=1", "node.id=2"),
        "Stored node id 2 doesn't match previous node id 1",
    ),
    (
        |disk| replace(disk, &Path::new(META).join("meta.properties"), "version=1", "version=3"),
        "version=3 is not known",
    ),
];

#[test]
fn directories_that_are_not_understood_or_not_this_brokers_are_left_byte_for_byte_as_they_were() {
    for (case, (spoil, says)) in WRONG.iter().enumerate() {
        for end in [None, Some(Crash::Kill), Some(Crash::PowerLoss)] {
            let name = format!("directories_that_are_not_understood # case {case}, {end:?}");
            simulate(&name, case as u64, |world| refuse(world, *spoil, says, end));
        }
    }
}

async fn refuse(world: World, spoil: Spoil, says: &str, end: Option<Crash>) {
    let (mut broker, _) = with_records_of(SimBroker::new(&world, HOST, APART), &world, 20).await;
    // Checkpoints, and a flush.
    tokio::time::sleep(Duration::from_mins(2)).await;
    match end {
        None => broker.stop().await,
        Some(mode) => broker.crash(mode),
    }
    let disk = broker.machine().disk();
    let sound = all(&disk);
    spoil(&disk);
    let before = all(&disk);
    assert_ne!(before, sound);
    broker.start();
    let Life::Failed(why) = broker.ended().await else { panic!("it started") };
    assert!(why.contains(says), "{why}");
    broker.crash(Crash::Kill);
    let disk = broker.machine().disk();
    let after = all(&disk);
    let names = |files: &BTreeMap<PathBuf, _>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before), "{says}");
    for (path, bytes) in &after {
        assert!(*bytes == before[path], "{} was changed", path.display());
    }
    put_back(&disk, &sound);
    broker.start_and_serve().await;
    let mut session = Session::new(world.machine("again").start(), HOST);
    session.create_topic().await;
    let last = session.fetch_bytes(0, 19, 1000).await.unwrap();
    assert!(!last.unwrap().0.is_empty(), "the last record of {TOPIC}");
}

#[test]
fn a_broker_whose_registration_was_taken_back_registers_again_and_has_its_partitions() {
    simulate("a_broker_whose_registration_was_taken_back", 1, |world| async move {
        let (mut broker, mut session) =
            with_records_of(SimBroker::new(&world, HOST, APART), &world, 20).await;
        let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(1));
        let answer = session.call(0, &request).await.unwrap();
        assert_eq!(answer.error_code, 0);
        broker.crash(Crash::Kill);
        broker.start_and_serve().await;
        let mut session = Session::new(world.machine("again").start(), HOST);
        session.create_topic().await;
        assert!(!session.fetch_bytes(0, 19, 1000).await.unwrap().unwrap().0.is_empty());
    });
}
