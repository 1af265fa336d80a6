//! What Apache Kafka 4.4.0 wrote into its metadata log: read, replayed, and written again to the
//! byte.
//!
//! The files in `tests/golden/metadata` are logs and snapshots of a running Kafka, made by
//! `scripts/golden-metadata.sh`, which says what each holds; beside each lies what Kafka itself
//! reads in it, a line a record.

#![expect(clippy::disallowed_methods, reason = "it reads files of the repository")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use blumfeld::codec::{CodecError, Writer};
use blumfeld::metadata::control::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord,
};
use blumfeld::metadata::features::{FEATURES, KRAFT_VERSION, METADATA_VERSION, Release, supported};
use blumfeld::metadata::replay::Replay;
use blumfeld::metadata::{MetadataImage, MetadataRecord};
use blumfeld::raft::batch;
use blumfeld::raft::snapshot::{SnapshotId, read_file};
use blumfeld::record::batch::{BatchView, batches};
use blumfeld::record::{ControlType, Record, Records};
use blumfeld::types::Offset;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metadata")
}

/// A log or snapshot, and what Kafka reads in it: a line for each record, its offset first.
struct Golden {
    name: String,
    bytes: Vec<u8>,
    lines: Vec<String>,
}

fn golden(name: &str) -> Golden {
    let path = folder().join(name);
    let bytes = std::fs::read(&path).unwrap();
    let json = std::fs::read(folder().join(format!("{name}.json.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&json[..]).read_to_string(&mut text).unwrap();
    Golden { name: name.to_owned(), bytes, lines: text.lines().map(str::to_owned).collect() }
}

fn all() -> Vec<Golden> {
    let is_golden = |name: &String| {
        Path::new(name).extension().is_some_and(|kind| kind == "log" || kind == "checkpoint")
    };
    let names = std::fs::read_dir(folder()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.filter(is_golden).collect();
    assert!(names.len() >= 8, "{names:?}");
    names.iter().map(|name| golden(name)).collect()
}

impl Golden {
    fn batches(&self) -> impl Iterator<Item = BatchView<'_>> {
        batches(&self.bytes).map(|batch| {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            batch
        })
    }

    fn each_record(&self, mut each: impl FnMut(&BatchView<'_>, &Record<'_>)) {
        for batch in self.batches() {
            for record in Records::of(&batch).unwrap().iter() {
                each(&batch, &record.unwrap());
            }
        }
    }

    /// The records of the cluster with their offsets and versions.
    fn metadata(&self) -> Vec<(Offset, MetadataRecord, i16)> {
        let mut all = Vec::new();
        self.each_record(|batch, record| {
            if !batch.header().attributes.is_control() {
                let (message, version) = MetadataRecord::decode(record.value.unwrap()).unwrap();
                all.push((record.offset, message, version));
            }
        });
        all
    }

    /// The image after the records before `end`.
    fn image_at(&self, end: Offset) -> MetadataImage {
        let mut replay = Replay::default();
        for (offset, record, _) in self.metadata() {
            if offset < end {
                replay.apply(&record, offset, 1).unwrap();
            }
        }
        assert!(!replay.in_transaction());
        replay.image().clone()
    }
}

/// Reads the value of a control record and writes it again; with what Kafka's tools print of it.
fn control_again(kind: ControlType, value: &[u8]) -> Result<(Vec<u8>, String), CodecError> {
    macro_rules! again {
        ($message:ty) => {{
            let message = <$message>::decode(value, 0)?;
            let mut writer = Writer::new();
            message.encode(&mut writer, 0)?;
            (writer.into_bytes().to_vec(), message.to_json(0))
        }};
    }
    Ok(match kind {
        ControlType::LeaderChange => again!(LeaderChangeMessage),
        ControlType::SnapshotHeader => again!(SnapshotHeaderRecord),
        ControlType::SnapshotFooter => again!(SnapshotFooterRecord),
        ControlType::KraftVersion => again!(KRaftVersionRecord),
        ControlType::KraftVoters => again!(VotersRecord),
        ControlType::Abort | ControlType::Commit => panic!("{kind:?} in a metadata log"),
    })
}

#[test]
fn every_record_is_understood_as_kafka_understands_it_and_written_as_kafka_wrote_it() {
    for golden in all() {
        let mut lines = golden.lines.iter();
        golden.each_record(|batch, record| {
            let value = record.value.unwrap();
            let (bytes, json) = if batch.header().attributes.is_control() {
                control_again(ControlType::of(record).unwrap(), value).unwrap()
            } else {
                let (message, version) = MetadataRecord::decode(value).unwrap();
                (message.encode(version).unwrap().to_vec(), message.to_json(version))
            };
            let (name, offset) = (&golden.name, record.offset);
            assert_eq!(&format!("{offset} {json}"), lines.next().unwrap(), "{name}");
            assert_eq!(bytes, value, "{name} at {offset}: {json}");
        });
        assert_eq!(lines.next(), None, "{}", golden.name);
    }
}

#[test]
fn every_batch_is_written_as_kafka_wrote_it() {
    for golden in all() {
        let mut written = Vec::new();
        for original in golden.batches() {
            let header = original.header();
            let (base, epoch, now) =
                (header.base_offset, header.leader_epoch, header.base_timestamp);
            match batch::decode(&original).unwrap() {
                batch::Content::Control(records) => {
                    written.extend(batch::control(base, epoch, now, &records));
                }
                batch::Content::Data(records) => {
                    let versions = golden.metadata().into_iter();
                    let mut versions = versions.filter(|(offset, ..)| *offset >= base);
                    let mut builder = batch::empty(base, epoch);
                    for record in records {
                        let (_, _, version) = versions.next().unwrap();
                        builder.push(now, None, Some(&record.encode(version).unwrap()));
                    }
                    written.extend(batch::finish(builder));
                }
            }
        }
        assert!(written == golden.bytes, "{}", golden.name);
    }
}

#[test]
fn the_files_hold_every_kind_of_record_that_kafka_still_writes() {
    let mut found: BTreeMap<&str, BTreeSet<i16>> = BTreeMap::new();
    for golden in all() {
        for (_, record, version) in golden.metadata() {
            found.entry(record.name()).or_default().insert(version);
        }
    }
    let found: Vec<String> = found
        .iter()
        .map(|(name, versions)| {
            let versions: Vec<String> = versions.iter().map(i16::to_string).collect();
            format!("{name} {}", versions.join(" "))
        })
        .collect();
    // Not here: fencing before 3.3, the migration from ZooKeeper, an aborted transaction.
    let expected = [
        "ACCESS_CONTROL_ENTRY_RECORD 0",
        "BEGIN_TRANSACTION_RECORD 0",
        "BROKER_REGISTRATION_CHANGE_RECORD 0 1 3",
        "CLEAR_ELR_RECORD 0",
        "CLIENT_QUOTA_RECORD 0",
        "CONFIG_RECORD 0",
        "DELEGATION_TOKEN_RECORD 0",
        "END_TRANSACTION_RECORD 0",
        "FEATURE_LEVEL_RECORD 0",
        "NO_OP_RECORD 0",
        "PARTITION_CHANGE_RECORD 0 1 2",
        "PARTITION_RECORD 0 1 2",
        "PRODUCER_IDS_RECORD 0",
        "REGISTER_BROKER_RECORD 1 2 3 4",
        "REGISTER_CONTROLLER_RECORD 0",
        "REMOVE_ACCESS_CONTROL_ENTRY_RECORD 0",
        "REMOVE_DELEGATION_TOKEN_RECORD 0",
        "REMOVE_TOPIC_RECORD 0",
        "REMOVE_USER_SCRAM_CREDENTIAL_RECORD 0",
        "TOPIC_RECORD 0",
        "UNREGISTER_BROKER_RECORD 0",
        "UNREGISTER_CONTROLLER_RECORD 0",
        "USER_SCRAM_CREDENTIAL_RECORD 0",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_levels_of_features_are_those_that_kafkas_nodes_registered() {
    let ours: BTreeSet<(&str, i16, i16)> = supported().collect();
    let mut registrations = 0;
    for (_, record, _) in golden("kinds.log").metadata() {
        let theirs: BTreeSet<(&str, i16, i16)> = match &record {
            MetadataRecord::RegisterBroker(broker) => {
                let all = broker.features.iter();
                all.map(|f| (f.name.as_str(), f.min_supported_version, f.max_supported_version))
                    .collect()
            }
            MetadataRecord::RegisterController(node) => {
                let all = node.features.iter();
                all.map(|f| (f.name.as_str(), f.min_supported_version, f.max_supported_version))
                    .collect()
            }
            _ => continue,
        };
        assert_eq!(theirs, ours);
        registrations += 1;
    }
    assert!(registrations >= 4);
}

#[test]
fn a_new_cluster_finalizes_what_kafka_finalizes() {
    for (name, release) in
        [("kinds-00000000000000000000-0000000000.checkpoint", "4.4"), ("transaction.log", "4.3")]
    {
        let theirs: BTreeMap<String, i16> = golden(name)
            .metadata()
            .into_iter()
            .filter_map(|(_, record, _)| match record {
                MetadataRecord::FeatureLevel(feature) => {
                    Some((feature.name, feature.feature_level))
                }
                _ => None,
            })
            .collect();
        let release = Release::parse(release).unwrap();
        // The version of the quorum is a control record.
        let others = FEATURES.iter().filter(|feature| feature.name != KRAFT_VERSION);
        let ours: BTreeMap<String, i16> = others
            .map(|feature| (feature.name.to_owned(), feature.default_level(release)))
            .chain([(METADATA_VERSION.to_owned(), release.level)])
            .filter(|(_, level)| *level > 0)
            .collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

/// Framed records, sorted: Kafka writes a snapshot in the order of its hash tables, and the lists
/// of a registration too.
fn framed(records: impl IntoIterator<Item = (MetadataRecord, i16)>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (mut record, version) in records {
        match &mut record {
            MetadataRecord::RegisterBroker(broker) => {
                broker.end_points.sort_by(|a, b| a.name.cmp(&b.name));
                broker.features.sort_by(|a, b| a.name.cmp(&b.name));
            }
            MetadataRecord::RegisterController(node) => {
                node.end_points.sort_by(|a, b| a.name.cmp(&b.name));
                node.features.sort_by(|a, b| a.name.cmp(&b.name));
            }
            _ => {}
        }
        all.push(record.encode(version).unwrap().to_vec());
    }
    all.sort();
    all
}

#[test]
fn the_snapshot_of_an_image_has_the_records_of_kafkas_snapshot() {
    for snapshot in all() {
        // RUN-OFFSET-EPOCH.checkpoint is of RUN.log.
        let Some((run, file_name)) = snapshot.name.split_once('-') else { continue };
        let (id, _) = SnapshotId::parse(file_name).unwrap();
        if id == SnapshotId::BOOTSTRAP {
            continue;
        }
        let (log, name) = (golden(&format!("{run}.log")), &snapshot.name);
        let ours = log.image_at(id.offset).to_records();
        let theirs = snapshot.metadata().into_iter().map(|(_, record, version)| (record, version));
        assert_eq!(framed(ours), framed(theirs), "{name}");
    }
}

#[test]
fn a_snapshot_of_kafkas_is_whole_and_torn_at_any_byte_it_is_not() {
    let scratch = std::env::temp_dir().join(format!("blumfeld-golden-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let disk = blumfeld::env::real::disk();
    for golden in all().into_iter().filter(|golden| golden.name.ends_with(".checkpoint")) {
        let path = folder().join(&golden.name);
        let snapshot = read_file(&*disk, &path).unwrap();
        let is_dynamic = !golden.name.starts_with("releases");
        assert_eq!(snapshot.voters.is_some(), is_dynamic, "{}", golden.name);
        assert_eq!(snapshot.records.len(), golden.metadata().len());
        let torn = scratch.join(&golden.name);
        std::fs::write(&torn, &golden.bytes[..golden.bytes.len() - 1]).unwrap();
        read_file(&*disk, &torn).unwrap_err();
    }
    std::fs::remove_dir_all(&scratch).unwrap();
}

#[test]
fn a_damaged_record_is_an_error_or_another_record_and_never_a_panic() {
    for golden in all() {
        golden.each_record(|_, record| {
            let value = record.value.unwrap();
            for at in 0..value.len() {
                let _ = MetadataRecord::decode(&value[..at]);
                for bit in [0x01, 0x40, 0x80, 0xff] {
                    let mut damaged = value.to_vec();
                    damaged[at] ^= bit;
                    let _ = MetadataRecord::decode(&damaged);
                }
            }
        });
    }
}
