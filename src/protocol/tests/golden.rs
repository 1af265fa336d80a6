//! Every request and response at every version, as Apache Kafka's generated classes write it
//! (`scripts/GoldenMessages.java`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use bytes::Bytes;

use super::all_messages;

fn bytes_of(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn every_message_is_read_and_written_as_apache_kafka_writes_it() {
    let file: &[u8] = include_bytes!("../../../tests/golden/messages.tsv.gz");
    let mut lines = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut lines).unwrap();
    let messages: BTreeMap<_, _> =
        all_messages().into_iter().map(|message| (message.shape.name, message)).collect();
    let mut expected: BTreeSet<(&str, i16, &str)> = BTreeSet::new();
    for (name, message) in &messages {
        let versions = message.shape.versions;
        for version in versions.first..=versions.last {
            expected.extend(["default", "empty", "full"].map(|sample| (*name, version, sample)));
        }
    }
    let mut differing = Vec::new();
    for line in lines.lines() {
        let [name, version, sample, hex] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let version = version.parse().unwrap();
        assert!(expected.remove(&(name, version, sample)), "{name} v{version} is not in the table");
        let body = bytes_of(hex);
        let decoded = (messages[name].decode)(body.clone(), version);
        let decoded = decoded.unwrap_or_else(|error| panic!("{name} v{version} {sample}: {error}"));
        let default = (sample == "default").then(|| (messages[name].default)(version));
        for encoded in [Some(decoded.encoded), default].into_iter().flatten() {
            if !encoded.as_ref().is_ok_and(|encoded| *encoded == body) {
                differing.push(format!("{name} v{version} {sample}: {encoded:02x?}\n{hex}"));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(expected.is_empty(), "Apache Kafka's are missing: {expected:?}");
}
