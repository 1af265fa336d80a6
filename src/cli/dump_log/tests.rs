//! What the command prints, line by line. The expected text is what Kafka 4.3.1's `kafka-dump-log`
//! prints of the same bytes.

use std::io::IoSlice;
use std::path::Path;

use clap::Parser as _;

use super::{DumpError, DumpLogArgs, run};
use crate::env::sim::SimDisk;
use crate::env::{Disk, OpenMode};
use crate::log::index::{Entry, OffsetEntry, TimeEntry};
use crate::metadata::MetadataRecord;
use crate::metadata::record::{FeatureLevelRecord, TopicRecord};
use crate::raft::VoterSet;
use crate::raft::snapshot::{Contents, write_file};
use crate::record::builder::stamp_timestamp;
use crate::record::control::end_transaction_value;
use crate::record::legacy::old_formats::{Old, message, wrapper};
use crate::record::record::Header;
use crate::record::{BatchBuilder, CompressionType, ControlType, TimestampType};
use crate::types::{Timestamp, Uuid};

#[derive(clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    args: DumpLogArgs,
}

const LOG: &str = "/t-0/00000000000000000100.log";
const AT: Timestamp = Timestamp(1_700_000_000_000);

fn put(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let path = Path::new(path);
    disk.create_dir_all(path.parent().unwrap()).unwrap();
    let file = disk.open(path, OpenMode::CreateEmpty).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
}

/// What is printed, what is reported, and how it ended.
fn dump(disk: &SimDisk, args: &[&str]) -> (String, String, Result<(), DumpError>) {
    let args = CommandLine::parse_from([&["dump-log"], args].concat()).args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = run(&args, disk, &mut out, &mut err);
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), ended)
}

/// What is printed of what is in order.
fn printed(disk: &SimDisk, args: &[&str]) -> String {
    let (out, err, ended) = dump(disk, args);
    ended.unwrap();
    assert_eq!(err, "");
    out
}

/// Three batches from offset 100: a compressed one with headers, a marker, one with append time.
fn segment() -> Vec<u8> {
    let mut first = BatchBuilder::new(100)
        .leader_epoch(3)
        .compression(CompressionType::Snappy, None)
        .producer(7, 1, 5)
        .transactional();
    let headers = [Header { key: b"a", value: None }, Header { key: b"a", value: Some(b"1") }];
    first.push_with_headers(AT, Some(b"k"), Some("v\u{fc}".as_bytes()), &headers);
    first.push(Timestamp(AT.0 + 9), None, Some(b""));
    first.push(Timestamp(AT.0 + 1), Some(b"k"), None);
    let mut marker = BatchBuilder::new(103).leader_epoch(3).producer(7, 1, -1).transactional();
    marker.push(AT, Some(&ControlType::Commit.key()), Some(&end_transaction_value(8)));
    let mut last = BatchBuilder::new(104).leader_epoch(3);
    last.push(AT, None, Some(b"late"));
    let mut last = last.build().unwrap();
    stamp_timestamp(&mut last, TimestampType::LogAppendTime, Timestamp(AT.0 + 77));
    [first.build().unwrap(), marker.control().build().unwrap(), last].concat()
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    put(&disk, LOG, &segment());
    disk
}

const TITLE: &str = "Dumping /t-0/00000000000000000100.log\nLog starting offset: 100\n";
const FIRST: &str = "baseOffset: 100 lastOffset: 102 count: 3 baseSequence: 5 lastSequence: 7 \
    producerId: 7 producerEpoch: 1 partitionLeaderEpoch: 3 isTransactional: true isControl: false \
    deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 1700000000009 size: 116 magic: 2 \
    compresscodec: snappy crc: 2781222084 isvalid: true\n";
const MARKER: &str = "baseOffset: 103 lastOffset: 103 count: 1 baseSequence: -1 lastSequence: -1 \
    producerId: 7 producerEpoch: 1 partitionLeaderEpoch: 3 isTransactional: true isControl: true \
    deleteHorizonMs: OptionalLong.empty position: 116 CreateTime: 1700000000000 size: 78 magic: 2 \
    compresscodec: none crc: 1567409168 isvalid: true\n";
const LAST: &str = "baseOffset: 104 lastOffset: 104 count: 1 baseSequence: -1 lastSequence: -1 \
    producerId: -1 producerEpoch: -1 partitionLeaderEpoch: 3 isTransactional: false \
    isControl: false deleteHorizonMs: OptionalLong.empty position: 194 \
    LogAppendTime: 1700000000077 size: 72 magic: 2 compresscodec: none crc: 603698220 \
    isvalid: true\n";

#[test]
fn a_segment_is_shown_batch_by_batch() {
    let args = ["--files", LOG];
    assert_eq!(printed(&disk(), &args), [TITLE, FIRST, MARKER, LAST].concat());
}

#[test]
fn records_are_shown_with_their_contents() {
    let (out, err, ended) = dump(&disk(), &["--print-data-log", "--files", LOG]);
    ended.unwrap();
    let records = [
        TITLE,
        FIRST,
        "| offset: 100 CreateTime: 1700000000000 keySize: 1 valueSize: 3 sequence: 5 \
         headerKeys: [a,a] key: k payload: vü\n",
        "| offset: 101 CreateTime: 1700000000009 keySize: -1 valueSize: 0 sequence: 6 \
         headerKeys: [] payload: \n",
        "| offset: 102 CreateTime: 1700000000001 keySize: 1 valueSize: -1 sequence: 7 \
         headerKeys: [] key: k\n",
        MARKER,
        "| offset: 103 CreateTime: 1700000000000 keySize: 4 valueSize: 6 sequence: -1 \
         headerKeys: [] endTxnMarker: COMMIT coordinatorEpoch: 8\n",
        LAST,
        "| offset: 104 LogAppendTime: 1700000000077 keySize: -1 valueSize: 4 sequence: -1 \
         headerKeys: [] payload: late\n",
    ];
    assert_eq!(out, records.concat());
    // Kafka's tool expects a log to begin at 0, and says so of every other.
    assert_eq!(err, format!("Non-consecutive offsets in {LOG}\n  -1 is followed by 100\n"));

    let (deep, _, _) = dump(&disk(), &["--deep-iteration", "--files", LOG]);
    assert_eq!(deep.lines().count(), records.len() + 1);
    assert!(deep.contains("headerKeys: [a,a]\n"));
}

#[test]
fn messages_of_formats_0_and_1_are_shown() {
    let one = |offset| Old { value: None, ..Old::new(offset, AT.0 + offset, "k", "") };
    let bytes = [message(0, 0, &one(100)), wrapper(1, 2, &[one(101), one(103)])].concat();
    let crc = |at: usize| u32::from_be_bytes(*bytes[at + 12..].first_chunk().unwrap());
    let inner = |offset| {
        u32::from_be_bytes(
            *message(1, 0, &Old { offset, ..one(101 + offset) })[12..].first_chunk().unwrap(),
        )
    };
    let disk = SimDisk::new(1);
    put(&disk, LOG, &bytes);
    let (shown, err, ended) = dump(&disk, &["--files", LOG, "--print-data-log"]);
    ended.unwrap();
    assert!(err.ends_with("  -1 is followed by 100\n  101 is followed by 103\n"), "{err}");
    let lines: Vec<_> = shown.lines().skip(2).collect();
    let size = bytes.len() - 27;
    let expected = [
        format!(
            "offset: 100 position: 0 NoTimestampType: -1 size: 27 magic: 0 compresscodec: none \
             crc: {} isvalid: true",
            crc(0)
        ),
        format!(
            "| offset: 100 NoTimestampType: -1 keySize: 1 valueSize: -1 isValid: true crc: {} \
             key: k",
            crc(0)
        ),
        format!(
            "offset: 103 position: 27 CreateTime: {} size: {size} magic: 1 compresscodec: snappy \
             crc: {} isvalid: true",
            AT.0 + 103,
            crc(27)
        ),
        format!(
            "| offset: 101 CreateTime: {} keySize: 1 valueSize: -1 isValid: true crc: {} key: k",
            AT.0 + 101,
            inner(0)
        ),
        format!(
            "| offset: 103 CreateTime: {} keySize: 1 valueSize: -1 isValid: true crc: {} key: k",
            AT.0 + 103,
            inner(2)
        ),
    ];
    assert_eq!(lines[..5], expected);
}

#[test]
fn contents_alone_are_shown_without_control_records() {
    let args = ["--print-data-log", "--skip-record-metadata", "--files", LOG];
    let (out, _, _) = dump(&disk(), &args);
    let contents = "| key: k payload: vü\n| payload: \n| key: k\n";
    assert_eq!(out, [TITLE, FIRST, contents, MARKER, "\n", LAST, "| payload: late\n"].concat());
}

#[test]
fn numbers_are_read_by_their_decoders() {
    let mut builder = BatchBuilder::new(0);
    builder.push(AT, Some(&7i32.to_be_bytes()), Some(&(-1i64).to_be_bytes()));
    builder.push(AT, None, Some(b"short"));
    let disk = SimDisk::new(1);
    put(&disk, "/t-0/0.log", &builder.build().unwrap());
    let long = "org.apache.kafka.tools.api.LongDecoder";
    let decoders = ["--key-decoder-class", "IntegerDecoder", "--value-decoder-class", long];
    let out = printed(&disk, &[&["--files", "/t-0/0.log"], &decoders[..]].concat());
    assert!(out.contains("headerKeys: [] key: 7 payload: -1\n"));
    assert!(out.contains("headerKeys: [] payload: <5 bytes>\n"));
    let own = ["dump-log", "--files", "a", "--key-decoder-class", "com.example.Own"];
    assert!(CommandLine::try_parse_from(own).is_err());
}

#[test]
fn a_torn_tail_is_counted_and_a_limit_is_kept() {
    let disk = disk();
    let whole = segment();
    put(&disk, LOG, &whole[..whole.len() - 5]);
    let left = "Found 67 invalid bytes at the end of 00000000000000000100.log\n";
    assert_eq!(printed(&disk, &["--files", LOG]), [TITLE, FIRST, MARKER, left].concat());
    assert_eq!(printed(&disk, &["--files", LOG, "--max-bytes", "150"]), [TITLE, FIRST].concat());
}

#[test]
fn a_changed_byte_makes_a_batch_invalid_and_is_shown() {
    let disk = disk();
    disk.damage(Path::new(LOG), 116 + 30, 1).unwrap();
    let out = printed(&disk, &["--files", LOG]);
    let valid: Vec<_> = out.lines().skip(2).map(|line| line.ends_with("isvalid: true")).collect();
    assert_eq!(valid, [true, false, true]);
}

#[test]
fn indexes_are_shown_and_compared_with_their_segment() {
    let disk = disk();
    let mut index = Vec::new();
    OffsetEntry { relative_offset: 2, position: 0 }.write(&mut index);
    OffsetEntry { relative_offset: 5, position: 194 }.write(&mut index);
    index.extend_from_slice(&[0; 80]); // As a running broker preallocates it.
    let name = "/t-0/00000000000000000100.index";
    put(&disk, name, &index);
    let (out, err, ended) = dump(&disk, &["--files", name]);
    ended.unwrap();
    assert_eq!(
        out,
        format!("Dumping {name}\noffset: 102 position: 0\noffset: 105 position: 194\n")
    );
    assert_eq!(err, format!("Mismatches in :{name}\n  Index offset: 105, log offset: 104\n"));
    let (out, again, _) = dump(&disk, &["--verify-index-only", "--files", name]);
    assert_eq!((out, again), (format!("Dumping {name}\n"), err));

    let mut times = Vec::new();
    let entry =
        |after, relative_offset| TimeEntry { timestamp: Timestamp(AT.0 + after), relative_offset };
    entry(9, 2).write(&mut times);
    entry(9, 3).write(&mut times);
    entry(77, 5).write(&mut times);
    let name = "/t-0/00000000000000000100.timeindex";
    put(&disk, name, &times);
    let (out, err, ended) = dump(&disk, &["--files", name]);
    ended.unwrap();
    let entries = [
        "timestamp: 1700000000009 offset: 102\n",
        "timestamp: 1700000000009 offset: 103\n",
        "timestamp: 1700000000077 offset: 105\n",
    ];
    assert_eq!(out, format!("Dumping {name}\n{}", entries.concat()));
    let findings = [
        "Found timestamp mismatch in :/t-0/00000000000000000100.timeindex\n",
        "  Index timestamp: 1700000000009, log timestamp: 1700000000000\n",
        "Found out of order timestamp in :/t-0/00000000000000000100.timeindex\n",
        "  Index timestamp: 1700000000009, Previously indexed timestamp: 1700000000009\n",
        "The following indexed offsets are not found in :/t-0/00000000000000000100.timeindex\n",
        "Indexed offset: 105, found log offset: -1\n",
    ];
    assert_eq!(err, findings.concat());
    let sane = printed(&disk, &["--index-sanity-check", "--files", name]);
    assert_eq!(sane, format!("Dumping {name}\n{name} passed sanity check.\n"));
}

#[test]
fn an_index_that_a_broker_would_rebuild_fails_the_sanity_check() {
    let disk = disk();
    for name in ["/t-0/00000000000000000100.index", "/t-0/00000000000000000100.timeindex"] {
        put(&disk, "/t-0/00000000000000000100.index", &[]);
        put(&disk, name, &[0; 25]);
        let (_, _, ended) = dump(&disk, &["--index-sanity-check", "--files", name]);
        assert!(matches!(ended, Err(DumpError::Damaged { .. })), "{name}");
    }
    put(&disk, "/t-0/00000000000000000100.index", &[]);
    let out = printed(&disk, &["--files", "/t-0/00000000000000000100.index"]);
    assert!(out.ends_with("00000000000000000100.index is empty.\n"));
}

#[test]
fn producers_and_aborted_transactions_are_shown() {
    let disk = SimDisk::new(1);
    // As Kafka 4.4 wrote it: two producers, of which one has an open transaction.
    let entry =
        |id: i64, epoch: i16, last: (i32, i64), timestamp: i64, coordinator: i32, since: i64| {
            let mut out = id.to_be_bytes().to_vec();
            out.extend_from_slice(&epoch.to_be_bytes());
            out.extend_from_slice(&last.0.to_be_bytes());
            out.extend_from_slice(&last.1.to_be_bytes());
            out.extend_from_slice(&0i32.to_be_bytes());
            out.extend_from_slice(&timestamp.to_be_bytes());
            out.extend_from_slice(&coordinator.to_be_bytes());
            out.extend_from_slice(&since.to_be_bytes());
            out
        };
    let mut body = 2i32.to_be_bytes().to_vec();
    body.extend(entry(4, 15, (-1, -1), 1_795_489_632_740, 0, -1));
    body.extend(entry(5, 4, (0, 5044), 1_795_489_740_045, 0, 5044));
    let mut bytes = vec![0, 1];
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    bytes.extend(body);
    let name = "/t-0/00000000000000012327.snapshot";
    put(&disk, name, &bytes);
    let lines = [
        "Dumping /t-0/00000000000000012327.snapshot\n",
        "producerId: 4 producerEpoch: 15 coordinatorEpoch: 0 \
         currentTxnFirstOffset: OptionalLong.empty lastTimestamp: 1795489632740\n",
        "producerId: 5 producerEpoch: 4 coordinatorEpoch: 0 \
         currentTxnFirstOffset: OptionalLong[5044] lastTimestamp: 1795489740045 firstSequence: 0 \
         lastSequence: 0 lastOffset: 5044 offsetDelta: 0 timestamp: 1795489740045\n",
    ];
    assert_eq!(printed(&disk, &["--files", name]), lines.concat());
    disk.damage(Path::new(name), 20, 1).unwrap();
    let (out, err, ended) = dump(&disk, &["--files", name]);
    assert!(ended.is_ok() && out.lines().count() == 1 && err.contains("corrupt"));

    let mut bytes = vec![0, 0];
    for field in [5i64, 5020, 5025, 5026] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    let name = "/t-0/00000000000000000000.txnindex";
    put(&disk, name, &bytes);
    let line = "version: 0 producerId: 5 firstOffset: 5020 lastOffset: 5025 lastStableOffset: 5026";
    assert_eq!(printed(&disk, &["--files", name]), format!("Dumping {name}\n{line}\n"));
}

#[test]
fn a_snapshot_of_the_metadata_is_decoded() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/m")).unwrap();
    let name = "/m/00000000000000000042-0000000007.checkpoint";
    let records = [
        (FeatureLevelRecord { name: "metadata.version".into(), feature_level: 33 }.into(), 0),
        (TopicRecord { name: "t".into(), topic_id: Uuid::from_halves(0, 5) }.into(), 0),
    ];
    let contents = Contents {
        last_contained_timestamp: AT,
        appended_at: AT,
        kraft_version: 1,
        voters: Some(&VoterSet::default()),
        records: &records,
    };
    write_file(&disk, Path::new(name), 7, &contents).unwrap();
    let out = printed(&disk, &["--cluster-metadata-decoder", "--files", name]);
    assert!(out.starts_with(&format!("Dumping {name}\nSnapshot end offset: 42, epoch: 7\n")));
    let of = |what: &str| out.lines().find(|line| line.contains(what)).unwrap_or_default();
    for (what, said) in [
        ("SnapshotHeader", r#" {"version":0,"lastContainedLogTimestamp":1700000000000}"#),
        ("KRaftVersion", r#" {"version":0,"kRaftVersion":1}"#),
        ("KRaftVoters", r#" {"version":0,"voters":[]}"#),
        ("SnapshotFooter", r#" {"version":0}"#),
        ("FEATURE_LEVEL", r#""data":{"name":"metadata.version","featureLevel":33}}"#),
        ("TOPIC_RECORD", r#""data":{"name":"t","topicId":"AAAAAAAAAAAAAAAAAAAABQ"}}"#),
    ] {
        assert!(of(what).ends_with(said), "{}", of(what));
    }
    let topic = &records[1].0;
    assert!(matches!(topic, MetadataRecord::Topic(_)));
    assert!(of("TOPIC").contains(r#" payload: {"type":"TOPIC_RECORD","version":0,"#));
}

#[test]
fn what_is_no_file_of_a_log_is_ignored_and_what_is_missing_ends_the_dump() {
    let disk = disk();
    let (out, err, ended) =
        dump(&disk, &["--files", "/t-0/leader-epoch-checkpoint,/meta.properties"]);
    ended.unwrap();
    assert_eq!(out, "Dumping /t-0/leader-epoch-checkpoint\nDumping /meta.properties\n");
    assert_eq!(
        err,
        "Ignoring unknown file /t-0/leader-epoch-checkpoint\nIgnoring unknown file /meta.properties\n"
    );
    let (_, _, ended) = dump(&disk, &["--files", "/t-0/00000000000000000000.log"]);
    assert!(matches!(ended, Err(DumpError::Read { .. })));
    let (_, _, ended) = dump(&disk, &["--files", "/t-0/none.log"]);
    assert!(matches!(ended, Err(DumpError::Damaged { .. })));
}

proptest::proptest! {
    #[test]
    fn no_bytes_of_a_file_make_the_dump_panic(
        changes in proptest::collection::vec((0usize..266, proptest::prelude::any::<u8>()), 1..8),
        suffix in proptest::sample::select(vec!["log", "index", "timeindex", "txnindex", "snapshot"]),
    ) {
        let disk = disk();
        let mut bytes = segment();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        put(&disk, "/t-0/00000000000000000100.index", &bytes[..80]);
        let name = format!("/t-0/00000000000000000100.{suffix}");
        put(&disk, &name, &bytes);
        let _ = dump(&disk, &["--print-data-log", "--files", &name]);
        let _ = dump(&disk, &["--cluster-metadata-decoder", "--files", &name]);
    }
}
