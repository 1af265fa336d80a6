//! Every kind and version of record that Apache Kafka 4.4.0 keeps in internal topics: read, shown,
//! and written again to the byte.
//!
//! `tests/golden/coordinators.tsv.gz` is what Kafka's own classes write of records whose fields are
//! all set, as they are when new, and null wherever they may be:
//!
//! ```text
//! javac -cp 'KAFKA/libs/*' -d OUT scripts/GoldenCoordinators.java
//! java -cp 'OUT:KAFKA/libs/*' GoldenCoordinators | gzip -9n > tests/golden/coordinators.tsv.gz
//! ```

#![expect(clippy::disallowed_methods, reason = "it reads files of the repository")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::io::Read;

use blumfeld::codec::CodecError;
use blumfeld::coordinator::records::{
    CoordinatorRecordError, GroupRecord, ShareStateRecord, TransactionRecord,
};

/// A record of some internal topic, as it was read and could be written again.
#[derive(Debug, PartialEq)]
struct Again {
    number: i16,
    name: &'static str,
    version: i16,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    key_json: String,
    value_json: Option<String>,
}

fn again(topic: &str, key: &[u8], value: Option<&[u8]>) -> Result<Again, CoordinatorRecordError> {
    macro_rules! again {
        ($record:ty) => {{
            let (record, version) = <$record>::decode(key, value)?;
            assert_eq!(record.is_tombstone(), value.is_none());
            let (key, value) = record.encode(version).unwrap();
            Again {
                number: record.number(),
                name: record.name(),
                version,
                key: key.to_vec(),
                value: value.map(|value| value.to_vec()),
                key_json: record.key_to_json(),
                value_json: record.value_to_json(version),
            }
        }};
    }
    Ok(match topic {
        "group" => again!(GroupRecord),
        "transaction" => again!(TransactionRecord),
        _ => again!(ShareStateRecord),
    })
}

struct Line {
    topic: String,
    expected: Again,
}

fn lines() -> Vec<Line> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/coordinators.tsv.gz");
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let hex = |digits: &str| -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        pairs.map(byte).collect()
    };
    let line = |line: &str| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [topic, number, name, version, key, value, key_json, value_json] = parts[..] else {
            panic!("{line}");
        };
        Line {
            topic: topic.to_owned(),
            expected: Again {
                number: number.parse().unwrap(),
                name: name.to_owned().leak(),
                version: version.parse().unwrap(),
                key: hex(key),
                value: Some(hex(value)),
                key_json: format!(r#"{{"type":"{number}","data":{key_json}}}"#),
                value_json: Some(format!(r#"{{"version":"{version}","data":{value_json}}}"#)),
            },
        }
    };
    text.lines().map(line).collect()
}

#[test]
fn every_record_is_understood_as_kafka_understands_it_and_written_as_kafka_writes_it() {
    let lines = lines();
    let kinds: BTreeSet<_> = lines.iter().map(|line| line.expected.name).collect();
    assert_eq!(kinds.len(), 25, "{kinds:?}");
    for Line { topic, expected } in lines {
        let read = again(&topic, &expected.key, expected.value.as_deref());
        assert_eq!(read.as_ref(), Ok(&expected));
        let tombstone = again(&topic, &expected.key, None).unwrap();
        assert_eq!(tombstone.key, expected.key);
        assert_eq!((tombstone.value, tombstone.value_json), (None, None));
    }
}

#[test]
fn a_damaged_record_is_an_error_or_another_record_and_never_a_panic() {
    for Line { topic, expected } in lines() {
        let (key, value) = (&expected.key, expected.value.unwrap());
        for at in 0..value.len() {
            assert!(again(&topic, key, Some(&value[..at])).is_err(), "{topic} cut at {at}");
            for bit in [0x01, 0x40, 0x80, 0xff] {
                let mut damaged = value.clone();
                damaged[at] ^= bit;
                let _ = GroupRecord::decode(key, Some(&damaged));
                let _ = TransactionRecord::decode(key, Some(&damaged));
                let _ = ShareStateRecord::decode(key, Some(&damaged));
            }
        }
        for at in 0..key.len() {
            assert!(again(&topic, &key[..at], Some(&value)).is_err());
        }
    }
}

#[test]
fn a_record_of_a_later_release_is_told_from_a_damaged_one() {
    let later = [0, 99, 1, 2, 3];
    assert_eq!(
        GroupRecord::decode(&later, None).unwrap_err(),
        CoordinatorRecordError::UnknownType(99)
    );
    let offset = [&[0, 1][..], &[0, 1, b'g', 0, 1, b't', 0, 0, 0, 0]].concat();
    let newer = [0, 9];
    assert_eq!(
        GroupRecord::decode(&offset, Some(&newer)).unwrap_err(),
        CoordinatorRecordError::Damaged {
            name: "OFFSET_COMMIT",
            part: "value",
            source: CodecError::UnknownVersion { message: "OffsetCommitValue", version: 9 },
        }
    );
}
