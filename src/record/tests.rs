//! Properties of the whole module: what is built is valid and read again; what is valid is sound;
//! no bytes panic.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::batch::{Attributes, CRC_START, HEADER_LEN};
use super::builder::{rebuild, stamp, stamp_timestamp};
use super::record::{Header, outline};
use super::validate::{single_batch, validate};
use super::{
    BatchBuilder, BatchHeader, BatchView, CompressionType, Record, Records, Rules,
    TargetCompression, TimestampType,
};
use crate::types::Timestamp;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const PRODUCE_VERSION: i16 = 13;

fn rules(compression: TargetCompression) -> Rules {
    Rules {
        max_message_bytes: 1 << 20,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        compression,
        compacted: false,
    }
}

/// A record as a producer has it.
#[derive(Clone, Debug, PartialEq)]
struct Produced {
    timestamp: Timestamp,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Produced {
    fn of(record: &Record<'_>) -> Self {
        let owned = |bytes: &[u8]| bytes.to_vec();
        Self {
            timestamp: record.timestamp,
            key: record.key.map(owned),
            value: record.value.map(owned),
            headers: record.headers.iter().map(|h| (owned(h.key), h.value.map(owned))).collect(),
        }
    }
}

fn bytes(len_max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..len_max), (0..len_max).prop_map(|len| vec![b'a'; len])]
}

prop_compose! {
    fn produced()(
        ago in 0..100_000i64,
        key in option::of(bytes(20)),
        value in option::of(bytes(400)),
        headers in vec((bytes(8), option::of(bytes(8))), 0..3),
    ) -> Produced {
        Produced { timestamp: Timestamp(NOW.0 - ago), key, value, headers }
    }
}

fn codec() -> impl Strategy<Value = CompressionType> {
    (0u8..5).prop_map(|id| CompressionType::from_id(id).unwrap())
}

fn build(records: &[Produced], codec: CompressionType) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).compression(codec, None).producer(5, 1, 0);
    for Produced { timestamp, key, value, headers } in records {
        let headers: Vec<_> =
            headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        builder.push_with_headers(*timestamp, key.as_deref(), value.as_deref(), &headers);
    }
    builder.build().unwrap()
}

fn read(batch: &[u8]) -> Vec<Produced> {
    let view = BatchView::first(batch).unwrap();
    view.check_crc().unwrap();
    let records = Records::of(&view).unwrap();
    records.iter().map(|record| Produced::of(&record.unwrap())).collect()
}

fn with_right_crc(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[CRC_START..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// Judges whatever bytes; what is taken must be one batch that its consumers can read, whose
/// records are as many as it says, numbered from 0.
fn judge(mut bytes: Vec<u8>, compression: TargetCompression) {
    let Ok(batch) = single_batch(&bytes) else { return };
    let len = batch.bytes().len();
    bytes.truncate(len);
    let Ok(valid) = validate(&mut bytes, &rules(compression), PRODUCE_VERSION, NOW) else { return };
    let stored = valid.rewritten.unwrap_or(bytes);
    let view = BatchView::first(&stored).unwrap();
    view.check_crc().unwrap();
    assert_eq!(*view.header(), valid.header);
    assert_eq!(view.bytes().len(), stored.len());
    let records = Records::of(&view).unwrap();
    let records: Vec<_> =
        records.iter().map(Result::unwrap).map(|r| (r.offset, r.timestamp)).collect();
    let offsets: Vec<_> = records.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (0..i64::from(valid.header.records_count)).collect::<Vec<_>>());
    assert_eq!(valid.header.last_offset_delta + 1, valid.header.records_count);
    let newest = records.iter().map(|(_, timestamp)| *timestamp).max().unwrap();
    assert_eq!(valid.header.max_timestamp, newest.max(Timestamp(-1)));
}

proptest! {
    #[test]
    fn what_is_built_is_valid_and_read_again(
        records in vec(produced(), 1..30), codec in codec(),
    ) {
        let mut batch = build(&records, codec);
        let built = batch.clone();
        prop_assert_eq!(single_batch(&batch).unwrap().bytes(), &built[..]);
        let rules = rules(TargetCompression::Producer);
        let valid = validate(&mut batch, &rules, PRODUCE_VERSION, NOW).unwrap();
        prop_assert_eq!((&batch, &valid.rewritten), (&built, &None));
        prop_assert_eq!(valid.header.records_count as usize, records.len());
        prop_assert_eq!(valid.header.producer_id, 5);

        stamp(&mut batch, 1_000, 7);
        prop_assert_eq!(&read(&batch), &records);
        let view = BatchView::first(&batch).unwrap();
        prop_assert_eq!((view.header().base_offset, view.header().leader_epoch), (1_000, 7));
        let mut outlines = Vec::new();
        outline(&view, |outline| outlines.push(outline)).unwrap();
        prop_assert_eq!(outlines.len(), records.len());
        for (outline, record) in outlines.iter().zip(&records) {
            prop_assert_eq!(outline.has_key, record.key.is_some());
            prop_assert_eq!(view.header().timestamp_at(outline.timestamp_delta), record.timestamp);
        }

        stamp_timestamp(&mut batch, TimestampType::LogAppendTime, NOW);
        prop_assert!(read(&batch).iter().all(|record| record.timestamp == NOW));
    }

    #[test]
    fn a_topics_codec_changes_the_bytes_and_not_the_records(
        records in vec(produced(), 1..30), from in codec(), to in codec(),
    ) {
        let mut batch = build(&records, from);
        let rules = rules(TargetCompression::Codec(to, None));
        let valid = validate(&mut batch, &rules, PRODUCE_VERSION, NOW).unwrap();
        prop_assert_eq!(valid.rewritten.is_some(), from != to);
        let stored = valid.rewritten.unwrap_or(batch);
        prop_assert_eq!(valid.header.attributes.compression(), Some(to));
        prop_assert_eq!(&read(&stored), &records);
    }

    #[test]
    fn changed_bytes_never_panic_and_what_is_taken_is_sound(
        records in vec(produced(), 1..6), codec in codec(), target in option::of(codec()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), crc_is_right: bool,
    ) {
        let mut batch = build(&records, codec);
        for (at, byte) in changes {
            let at = at.index(batch.len());
            batch[at] = byte;
        }
        if crc_is_right {
            batch = with_right_crc(batch);
        }
        let target = target.map_or(TargetCompression::Producer, |codec| {
            TargetCompression::Codec(codec, None)
        });
        judge(batch, target);
    }

    #[test]
    fn any_payload_under_a_right_header_never_panics_and_what_is_taken_is_sound(
        payload in bytes(300), codec in codec(), count in 1..5i32, is_packed: bool,
        base: i64, newest: i64,
    ) {
        let header = BatchHeader {
            attributes: Attributes::new(codec, TimestampType::CreateTime),
            last_offset_delta: count - 1,
            records_count: count,
            base_timestamp: Timestamp(base),
            max_timestamp: Timestamp(newest),
            ..*BatchView::first(&build(&[], CompressionType::None)).unwrap().header()
        };
        let packed = rebuild(&header, &payload, codec, None).unwrap();
        let batch = if is_packed {
            packed
        } else {
            let len = HEADER_LEN + payload.len();
            let mut raw = packed[..HEADER_LEN].to_vec();
            raw[8..12].copy_from_slice(&(len as i32 - 12).to_be_bytes());
            raw.extend_from_slice(&payload);
            with_right_crc(raw)
        };
        judge(batch, TargetCompression::Producer);
    }

    #[test]
    fn any_bytes_at_all_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        judge(bytes, TargetCompression::Producer);
    }

    #[test]
    fn a_batch_cut_anywhere_is_refused(
        records in vec(produced(), 1..6), codec in codec(), at: prop::sample::Index,
    ) {
        let batch = build(&records, codec);
        prop_assert!(single_batch(&batch[..at.index(batch.len())]).is_err());
    }
}
