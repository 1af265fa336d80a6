//! Formatting on a disk that can lose what was not synced.

use std::path::{Path, PathBuf};

use super::*;
use crate::env::Random;
use crate::env::sim::{Crash, Rng, SimDisk};
use crate::env::{Disk, OpenMode};
use crate::raft::snapshot::read_file;
use crate::raft::{DynamicVoter, SnapshotId};
use crate::types::{Timestamp, Uuid};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

struct Seeded(parking_lot::Mutex<Rng>);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill(bytes);
    }
}

fn random() -> Seeded {
    Seeded(parking_lot::Mutex::new(Rng::new(3)))
}

fn request() -> FormatRequest {
    FormatRequest {
        cluster_id: "cluster".to_owned(),
        node_id: 1,
        log_dirs: vec!["/a".into(), "/b".into()],
        metadata_dir: "/a".into(),
        is_controller: true,
        controller_listener: "CONTROLLER".to_owned(),
        controller_endpoint: Some((None, 9093)),
        has_static_voters: true,
        initial_controllers: InitialControllers::Unspecified,
        release: None,
        features: Vec::new(),
        ignore_formatted: false,
        records: Vec::new(),
    }
}

fn dynamic() -> FormatRequest {
    FormatRequest {
        has_static_voters: false,
        initial_controllers: InitialControllers::Standalone,
        ..request()
    }
}

fn run(disk: &SimDisk, request: &FormatRequest) -> Result<Vec<String>, String> {
    let mut said = Vec::new();
    format(disk, &random(), NOW, request, &mut |line| said.push(line.to_owned()))
        .map(|()| said)
        .map_err(|error| error.to_string())
}

fn refused(request: &FormatRequest, expect: &str) {
    let disk = SimDisk::new(1);
    assert_eq!(run(&disk, request).unwrap_err(), expect);
    assert_eq!(disk.changes(), 0, "nothing was touched");
}

fn opened(disk: &SimDisk, node_id: i32) -> Result<Storage, String> {
    let dirs = [PathBuf::from("/a"), PathBuf::from("/b")];
    let found = open(disk, &random(), &dirs, Path::new("/a"), node_id);
    let found = found.map_err(|error| error.to_string())?;
    found.begin(disk, NOW).unwrap();
    Ok(found)
}

fn files(disk: &SimDisk, dir: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in disk.list(Path::new(dir)).unwrap() {
        let path = format!("{dir}/{}", entry.name);
        if entry.is_dir {
            found.extend(files(disk, &path));
        } else {
            found.push(path);
        }
    }
    found
}

fn checkpoint(disk: &SimDisk, name: &str) -> crate::raft::snapshot::Snapshot {
    read_file(disk, Path::new(name)).unwrap()
}

const ZERO: &str = "/a/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint";

#[test]
fn a_node_with_static_voters_is_formatted_as_kafka_4_4_formats_it() {
    let disk = SimDisk::new(1);
    let said = run(&disk, &request()).unwrap();
    assert!(said[0].starts_with(
        "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(\
         name='metadata.version', featureLevel=33) at version 0), ApiMessageAndVersion("
    ));
    assert!(said[0].ends_with("metadataVersionLevel=33, source=format command)"));
    assert_eq!(
        said[1..],
        [
            "Formatting metadata directory /a with metadata.version 4.4-IV2.",
            "Formatting data directory /b with metadata.version 4.4-IV2.",
        ]
    );
    let mut all = files(&disk, "/a");
    all.extend(files(&disk, "/b"));
    assert_eq!(all, [ZERO, "/a/meta.properties", "/b/meta.properties"]);
    let snapshot = checkpoint(&disk, ZERO);
    assert_eq!((snapshot.kraft_version, snapshot.voters), (0, None));
    assert_eq!(snapshot.records.len(), 6, "kraft.version is no record");
    let storage = opened(&disk, 1).unwrap();
    assert_eq!(storage.cluster_id, "cluster");
    assert_eq!(storage.directories.len(), 2);
}

#[test]
fn a_standalone_node_is_its_only_voter_by_the_id_of_its_metadata_directory() {
    let disk = SimDisk::new(1);
    let said = run(&disk, &dynamic()).unwrap();
    assert!(said[1].starts_with("Formatting dynamic metadata voter directory /a"));
    let snapshot = checkpoint(&disk, ZERO);
    assert_eq!(snapshot.kraft_version, 1);
    let voters = snapshot.voters.unwrap();
    let voter = voters.iter().next().unwrap();
    assert_eq!(voter.endpoints[0].host, "localhost", "where the listener names none");
    let directory = opened(&disk, 1).unwrap().directories[Path::new("/a")];
    assert_eq!((voter.key.id, voter.key.directory), (1, Some(directory)));
}

#[test]
fn an_older_release_gets_its_bootstrap_checkpoint_in_each_directory() {
    let disk = SimDisk::new(1);
    run(&disk, &FormatRequest { release: Some("4.3".to_owned()), ..dynamic() }).unwrap();
    assert_eq!(files(&disk, "/b"), ["/b/bootstrap.checkpoint", "/b/meta.properties"]);
    let voters_only = checkpoint(&disk, ZERO);
    assert!(voters_only.voters.is_some() && voters_only.records.is_empty());
    assert_eq!(checkpoint(&disk, "/a/bootstrap.checkpoint").records.len(), 6);
}

#[test]
fn a_broker_alone_gets_no_metadata_log() {
    let disk = SimDisk::new(1);
    let broker = FormatRequest {
        is_controller: false,
        has_static_voters: false,
        initial_controllers: InitialControllers::Unspecified,
        ..request()
    };
    run(&disk, &broker).unwrap();
    assert_eq!(files(&disk, "/a"), ["/a/meta.properties"]);
}

#[test]
fn named_controllers_are_the_voters_and_this_node_takes_the_id_it_was_given() {
    let disk = SimDisk::new(1);
    let listed = "1@a:9093:JEXY6aqzQY-32P5TStzaFg,2@b:9093:MvDxzVmcRsaTz33bUuRU6A";
    let voters = DynamicVoter::parse_list(listed).unwrap();
    let initial_controllers = InitialControllers::Listed(voters);
    run(&disk, &FormatRequest { initial_controllers, ..dynamic() }).unwrap();
    assert_eq!(checkpoint(&disk, ZERO).voters.unwrap().ids().collect::<Vec<_>>(), [1, 2]);
    let id: Uuid = "JEXY6aqzQY-32P5TStzaFg".parse().unwrap();
    assert_eq!(opened(&disk, 1).unwrap().directories[Path::new("/a")], id);
}

#[test]
fn options_that_do_not_go_together_are_refused_with_kafkas_words() {
    refused(
        &FormatRequest { has_static_voters: true, ..dynamic() },
        "You cannot specify controller.quorum.voters and format the node with \
         --initial-controllers or --standalone. If you want to use dynamic quorum, please remove \
         controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.",
    );
    refused(
        &FormatRequest { has_static_voters: false, ..request() },
        "Because controller.quorum.voters is not set on this controller, you must specify one of \
         the following: --standalone, --initial-controllers, or --no-initial-controllers.",
    );
    refused(
        &FormatRequest { is_controller: false, ..dynamic() },
        "You can only use --standalone on a controller.",
    );
    refused(
        &FormatRequest { node_id: -1, ..request() },
        "You must specify a valid non-negative node ID.",
    );
    let features = |list: &[(&str, i16)]| -> Vec<(String, i16)> {
        list.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect()
    };
    refused(
        &FormatRequest { features: features(&[("no.such", 1)]), ..request() },
        "Unsupported feature: no.such. Supported features are: eligible.leader.replicas.version, \
         group.version, kraft.version, share.version, streams.version, transaction.version",
    );
    refused(
        &FormatRequest {
            features: features(&[("metadata.version", 30)]),
            release: Some("4.4".to_owned()),
            ..request()
        },
        "Use --release-version instead of --feature metadata.version=X to avoid ambiguity.",
    );
    refused(
        &FormatRequest { features: features(&[("share.version", 7)]), ..request() },
        "No feature:share.version with feature level 7",
    );
    refused(
        &FormatRequest {
            features: features(&[("eligible.leader.replicas.version", 1)]),
            release: Some("3.9".to_owned()),
            ..request()
        },
        "eligible.leader.replicas.version could not be set to 1 because it depends on \
         metadata.version level 23",
    );
    assert!(
        run(
            &SimDisk::new(1),
            &FormatRequest { features: features(&[("kraft.version", 0)]), ..dynamic() }
        )
        .unwrap_err()
        .starts_with("Cannot set kraft.version to 0 if controller.quorum.voters is empty")
    );
    assert!(
        run(
            &SimDisk::new(1),
            &FormatRequest { features: features(&[("kraft.version", 1)]), ..request() }
        )
        .unwrap_err()
        .starts_with("Cannot set kraft.version to 1 unless controller.quorum.voters is empty")
    );
}

#[test]
fn a_formatted_directory_is_left_alone() {
    let disk = SimDisk::new(1);
    run(&disk, &request()).unwrap();
    let read = |disk: &SimDisk| {
        let disk: &dyn Disk = disk;
        disk.read_file(Path::new("/a/meta.properties")).unwrap()
    };
    let before = read(&disk);
    assert_eq!(
        run(&disk, &request()).unwrap_err(),
        "Log directory /a is already formatted. Use --ignore-formatted to ignore this directory \
         and format the others."
    );
    let again = FormatRequest { ignore_formatted: true, ..request() };
    assert_eq!(run(&disk, &again).unwrap(), ["All of the log directories are already formatted."]);
    let others = FormatRequest { cluster_id: "other".to_owned(), ..again.clone() };
    assert_eq!(
        run(&disk, &others).unwrap_err(),
        "Invalid cluster.id in: /a/meta.properties. Expected other, but read cluster"
    );
    assert_eq!(read(&disk), before);
    let mut three = again;
    three.log_dirs.push("/c".into());
    let said = run(&disk, &three).unwrap();
    assert_eq!(said[1..], ["Formatting data directory /c with metadata.version 4.4-IV2."]);
}

#[test]
fn any_text_that_the_protocol_carries_is_a_cluster_id() {
    let longest = "x".repeat(32_767);
    for id in
        ["MkU3OEVBNTcwNTJENDM2Qk", "", " ", " a = b: #c ", "\u{fc}n\u{ef}-\u{1d11e}", &longest]
    {
        let disk = SimDisk::new(1);
        run(&disk, &FormatRequest { cluster_id: id.to_owned(), ..request() }).unwrap();
        assert_eq!(opened(&disk, 1).unwrap().cluster_id, id);
    }
    let too_long = FormatRequest { cluster_id: "x".repeat(32_768), ..request() };
    refused(
        &too_long,
        "the cluster id has 32768 bytes, the protocol carries 32767 at most: use a shorter one, \
         such as 22 characters of URL-safe base64",
    );
}

/// R14.
#[test]
fn directories_that_do_not_belong_together_stop_the_start_with_both_sides() {
    let disk = SimDisk::new(1);
    assert_eq!(
        opened(&disk, 1).unwrap_err(),
        "No `meta.properties` found in /a (have you run `blumfeld format` to format the directory?)"
    );
    run(&disk, &request()).unwrap();
    assert!(
        opened(&disk, 2).unwrap_err().starts_with(
            "Stored node id 1 doesn't match previous node id 2 in /a/meta.properties."
        )
    );
    let put = |path: &str, text: &str| {
        let disk: &dyn Disk = &disk;
        disk.replace_file(Path::new(path), text.as_bytes()).unwrap();
    };
    let id = opened(&disk, 1).unwrap().directories[Path::new("/a")];
    let mine =
        |cluster: &str| format!("version=1\ncluster.id={cluster}\nnode.id=1\ndirectory.id={id}\n");
    put("/b/meta.properties", &mine("cluster"));
    assert_eq!(
        opened(&disk, 1).unwrap_err(),
        format!("Duplicate directory ID {id} found. It was the ID of /a, but also of /b")
    );
    put("/b/meta.properties", &mine("elsewhere"));
    assert_eq!(
        opened(&disk, 1).unwrap_err(),
        "Invalid cluster.id in: /b/meta.properties. Expected cluster, but read elsewhere"
    );
    put("/b/meta.properties", "version=2\n");
    assert_eq!(
        opened(&disk, 1).unwrap_err(),
        "/b/meta.properties: version=2 is not known: 0 and 1 are"
    );
    put("/b/meta.properties", "version=1\ncluster.id=cluster\nnode.id=1\n");
    disk.create_dir_all(Path::new("/b/__cluster_metadata-0")).unwrap();
    assert_eq!(
        opened(&disk, 1).unwrap_err(),
        "Found unexpected metadata location in data directory `/b/__cluster_metadata-0` (the \
         configured metadata directory is /a)."
    );
    disk.remove_dir_all(Path::new("/b/__cluster_metadata-0")).unwrap();
    let given = opened(&disk, 1).unwrap().directories[Path::new("/b")];
    assert_eq!(opened(&disk, 1).unwrap().directories[Path::new("/b")], given, "it is kept");
}

#[test]
fn whenever_the_power_goes_a_directory_is_formatted_whole_or_not_at_all() {
    for cuts in 0.. {
        let disk = SimDisk::new(cuts);
        disk.cut_power_after(cuts);
        let done = run(&disk, &dynamic()).is_ok();
        let disk = disk.crash(Crash::PowerLoss);
        if disk.info(Path::new("/a/meta.properties")).unwrap().is_some() {
            assert_eq!(checkpoint(&disk, ZERO).records.len(), 6, "{cuts} changes");
        }
        if done {
            opened(&disk, 1).unwrap();
            return;
        }
        // Whatever is left, formatting goes on from there, and gives one cluster.
        let again = FormatRequest { ignore_formatted: true, ..dynamic() };
        run(&disk, &again).unwrap();
        opened(&disk, 1).unwrap();
        let id = SnapshotId::BOOTSTRAP.file_name();
        let path = Path::new("/a/__cluster_metadata-0").join(id);
        disk.open(&path, OpenMode::Read).unwrap();
    }
}
