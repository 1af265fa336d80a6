//! What a batch must satisfy to be appended by a leader, rule by rule.
//!
//! Source: Kafka 4.4 `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`,
//! `LogValidator`. Stricter in three places: an uncompressed batch whose records are not numbered
//! 0, 1, 2... is refused (Kafka stores it, with holes), what does not inflate is INVALID_RECORD
//! (Kafka: UNKNOWN_SERVER_ERROR, which clients retry for ever), and the inflated size is bounded.

use super::batch::{BatchError, BatchHeader, BatchView, TimestampType};
use super::builder::{rebuild, stamp_timestamp};
use super::compression_type::CompressionType;
use super::error::RecordsError;
use super::record::{Outline, outline};
use super::{builder::BatchBuilder, record::Records};
use crate::types::{ErrorCode, NO_TIMESTAMP, Timestamp};

/// The compression that a topic wants of its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetCompression {
    /// As the producer chose.
    Producer,
    /// Always this; batches in another codec are compressed anew.
    Codec(CompressionType, Option<i32>),
}

/// The rules of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`.
    pub compression: TargetCompression,
    /// Whether `cleanup.policy` has `compact`: every record needs a key.
    pub compacted: bool,
}

/// A batch that may be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// Its header, with the maximum timestamp as its records give it.
    pub header: BatchHeader,
    /// The batch to append instead of the one given, where it had to be compressed anew.
    pub rewritten: Option<Vec<u8>>,
}

/// A record that is at fault, for the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFault {
    /// Its number in the batch.
    pub index: i32,
    /// What is wrong with it.
    pub message: String,
}

/// Why a batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The messages say it.
pub enum InvalidBatch {
    #[error("a partition of a produce request must hold exactly one record batch")]
    NotOneBatch,
    #[error("record batches must have magic 2, this one has {0}")]
    Magic(i8),
    #[error(transparent)]
    Corrupt(#[from] BatchError),
    #[error("the batch has {size} bytes, max.message.bytes is {max}")]
    TooLarge { size: usize, max: usize },
    #[error("the compression codec of the batch is unknown")]
    UnknownCodec,
    #[error("zstd needs Produce version 7, the request has version {0}")]
    ZstdTooOld(i16),
    #[error("the base offset of a produced batch must be 0, it is {0}")]
    BaseOffset(i64),
    #[error("last offset delta {last_offset_delta} does not fit {count} records")]
    Count { last_offset_delta: i32, count: i32 },
    #[error("clients may not write control records")]
    Control,
    #[error("base sequence {sequence} of producer {producer_id} is negative")]
    Sequence { producer_id: i64, sequence: i32 },
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("the records are not numbered from 0 without a gap")]
    OffsetDeltas,
    #[error("{} records are without a key, which a compacted topic needs", .0.len())]
    Keyless(Vec<RecordFault>),
    #[error("One or more records have been rejected due to invalid timestamp")]
    Timestamps(Vec<RecordFault>),
}

impl InvalidBatch {
    /// The Kafka code of this refusal.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Corrupt(_) => ErrorCode::CorruptMessage,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::ZstdTooOld(_) => ErrorCode::UnsupportedCompressionType,
            Self::Timestamps(_) => ErrorCode::InvalidTimestamp,
            Self::NotOneBatch
            | Self::Magic(_)
            | Self::UnknownCodec
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::Records(_)
            | Self::OffsetDeltas
            | Self::Keyless(_) => ErrorCode::InvalidRecord,
        }
    }

    /// The records at fault, where single records are.
    pub fn faults(&self) -> &[RecordFault] {
        match self {
            Self::Keyless(faults) | Self::Timestamps(faults) => faults,
            _ => &[],
        }
    }
}

/// What is wrong with a record without a key in a compacted topic.
pub const KEYLESS: &str = "Compacted topic cannot accept message without key";

/// At most this many records at fault are named in a response; a batch may hold a million.
const FAULTS_MAX: usize = 1_000;

/// The one batch in what a produce request holds for a partition. The beginning of another one
/// after it is ignored, as Kafka does.
pub fn single_batch(records: &[u8]) -> Result<BatchView<'_>, InvalidBatch> {
    let batch = next_batch(records)?.ok_or(InvalidBatch::NotOneBatch)?;
    match next_batch(&records[batch.bytes().len()..])? {
        Some(_) => Err(InvalidBatch::NotOneBatch),
        None => Ok(batch),
    }
}

/// The batch at the start of `records`; none if it is not whole (Kafka 4.4
/// `ByteBufferLogInputStream.nextBatch`).
fn next_batch(records: &[u8]) -> Result<Option<BatchView<'_>>, InvalidBatch> {
    match BatchView::first(records) {
        Ok(batch) => Ok(Some(batch)),
        Err(BatchError::Truncated { .. }) => Ok(None),
        Err(BatchError::Magic(magic @ (0 | 1))) => Err(InvalidBatch::Magic(magic)),
        Err(error) => Err(InvalidBatch::Corrupt(error)),
    }
}

/// Judges the batch of a producer; `bytes` are exactly one batch (see [`single_batch`]).
/// `produce_version` is the version of the request. Changes at most the timestamp fields of the
/// header, and only where what they say is not what the records say.
pub fn validate(
    bytes: &mut [u8],
    rules: &Rules,
    produce_version: i16,
    now: Timestamp,
) -> Result<Validated, InvalidBatch> {
    let batch = BatchView::first(bytes)?;
    let mut header = *batch.header();
    let size = batch.bytes().len();
    if size > rules.max_message_bytes {
        return Err(InvalidBatch::TooLarge { size, max: rules.max_message_bytes });
    }
    batch.check_crc()?;
    let codec = check_header(&header, produce_version)?;
    let walked = walk(&batch, rules, now)?;

    let target = match rules.compression {
        TargetCompression::Producer => (codec, None),
        TargetCompression::Codec(codec, level) => (codec, level),
    };
    let mut rewritten = None;
    if target.0 != codec || !walked.in_order {
        if codec == CompressionType::None && !walked.in_order {
            return Err(InvalidBatch::OffsetDeltas);
        }
        let records = if walked.in_order {
            super::codec::inflate(codec, batch.payload()).map_err(RecordsError::from)?
        } else {
            renumbered(&batch)?
        };
        let batch = rebuild(&header, &records, target.0, target.1).map_err(RecordsError::from)?;
        if batch.len() > rules.max_message_bytes {
            return Err(InvalidBatch::TooLarge { size: batch.len(), max: rules.max_message_bytes });
        }
        header = *BatchView::first(&batch)?.header();
        rewritten = Some(batch);
    }

    if header.attributes.timestamp_type() != TimestampType::CreateTime
        || header.max_timestamp != walked.max_timestamp
    {
        let bytes = rewritten.as_deref_mut().unwrap_or(&mut bytes[..size]);
        stamp_timestamp(bytes, TimestampType::CreateTime, walked.max_timestamp);
        header = *BatchView::first(bytes)?.header();
    }
    Ok(Validated { header, rewritten })
}

fn check_header(
    header: &BatchHeader,
    produce_version: i16,
) -> Result<CompressionType, InvalidBatch> {
    let codec = header.attributes.compression().ok_or(InvalidBatch::UnknownCodec)?;
    if codec == CompressionType::Zstd && produce_version < 7 {
        return Err(InvalidBatch::ZstdTooOld(produce_version));
    }
    if header.base_offset != 0 {
        return Err(InvalidBatch::BaseOffset(header.base_offset));
    }
    let BatchHeader { last_offset_delta, records_count: count, .. } = *header;
    if count <= 0 || i64::from(last_offset_delta) + 1 != i64::from(count) {
        return Err(InvalidBatch::Count { last_offset_delta, count });
    }
    if header.attributes.is_control() {
        return Err(InvalidBatch::Control);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        let (producer_id, sequence) = (header.producer_id, header.base_sequence);
        return Err(InvalidBatch::Sequence { producer_id, sequence });
    }
    Ok(codec)
}

struct Walked {
    max_timestamp: Timestamp,
    in_order: bool,
}

fn walk(batch: &BatchView<'_>, rules: &Rules, now: Timestamp) -> Result<Walked, InvalidBatch> {
    let header = batch.header();
    let batch_appends = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let create_time = rules.timestamp_type == TimestampType::CreateTime;
    let earliest = now.0.saturating_sub(rules.timestamp_before_max_ms);
    let latest = now.0.saturating_add(rules.timestamp_after_max_ms);
    let mut max_timestamp = NO_TIMESTAMP;
    let mut in_order = true;
    let mut keyless: Vec<RecordFault> = Vec::new();
    let mut timestamps: Vec<RecordFault> = Vec::new();
    let fault = |faults: &mut Vec<RecordFault>, index, message: String| {
        if faults.len() < FAULTS_MAX {
            faults.push(RecordFault { index, message });
        }
    };
    outline(batch, |Outline { index, offset_delta, timestamp_delta, has_key }| {
        let timestamp = header.timestamp_at(timestamp_delta);
        in_order &= offset_delta == index;
        max_timestamp = max_timestamp.max(timestamp);
        if rules.compacted && !has_key {
            fault(&mut keyless, index, KEYLESS.to_owned());
        } else if create_time && timestamp != NO_TIMESTAMP {
            if timestamp.0 < earliest || timestamp.0 > latest {
                let message = format!(
                    "Timestamp {} of message with offset {offset_delta} is out of range. The \
                     timestamp should be within [{earliest}, {latest}]",
                    timestamp.0
                );
                fault(&mut timestamps, index, message);
            }
        } else if batch_appends {
            let message = "Producer should not set timestamp type to LogAppendTime".to_owned();
            fault(&mut timestamps, index, message);
        }
    })?;
    if !timestamps.is_empty() {
        timestamps.extend(keyless);
        timestamps.sort_by_key(|fault| fault.index);
        return Err(InvalidBatch::Timestamps(timestamps));
    }
    if !keyless.is_empty() {
        return Err(InvalidBatch::Keyless(keyless));
    }
    Ok(Walked { max_timestamp, in_order })
}

/// The inflated records of a compressed batch, numbered from 0. Some old clients number the
/// records of a compressed batch wrongly; Kafka rewrites these, and so do we.
fn renumbered(batch: &BatchView<'_>) -> Result<Vec<u8>, InvalidBatch> {
    let records = Records::of(batch)?;
    // The first record's timestamp becomes the base: keep the header's own.
    let mut builder = BatchBuilder::new(0).based_at(batch.header().base_timestamp);
    for record in records.iter() {
        let record = record?;
        builder.push_with_headers(record.timestamp, record.key, record.value, &record.headers);
    }
    Ok(builder.into_records())
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Attributes, CRC_START, HEADER_LEN};
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn rules() -> Rules {
        Rules {
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: TargetCompression::Producer,
            compacted: false,
        }
    }

    const CODECS: [CompressionType; 5] = [
        CompressionType::None,
        CompressionType::Gzip,
        CompressionType::Snappy,
        CompressionType::Lz4,
        CompressionType::Zstd,
    ];

    fn batch(codec: CompressionType) -> Vec<u8> {
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        for i in 0..10u8 {
            builder.push(Timestamp(900_000 + i64::from(i)), Some(&[i]), Some(&[i; 20]));
        }
        builder.build().unwrap()
    }

    /// Changes a batch and makes its CRC right again.
    fn with(mut batch: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        change(&mut batch);
        let crc = crc32c::crc32c(&batch[CRC_START..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }

    fn refused(mut bytes: Vec<u8>, rules: &Rules) -> InvalidBatch {
        validate(&mut bytes, rules, 9, NOW).unwrap_err()
    }

    #[test]
    fn a_good_batch_of_every_codec_is_taken_as_it_is() {
        for codec in CODECS {
            let mut bytes = batch(codec);
            let before = bytes.clone();
            let valid = validate(&mut bytes, &rules(), 9, NOW).unwrap();
            assert_eq!(valid.header.max_timestamp, Timestamp(900_009));
            assert_eq!((bytes, valid.rewritten), (before, None), "{codec:?}");
        }
    }

    #[test]
    fn a_right_crc_around_a_lying_count_is_refused_in_every_codec() {
        for codec in CODECS {
            for count in [9i32, 11, i32::MAX] {
                let lying = with(batch(codec), |batch| {
                    batch[57..61].copy_from_slice(&count.to_be_bytes());
                    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
                });
                assert!(
                    matches!(refused(lying, &rules()), InvalidBatch::Records(_)),
                    "{codec:?} with {count} records"
                );
            }
        }
    }

    #[test]
    fn records_compressed_in_several_streams_are_accepted() {
        for codec in [CompressionType::Gzip, CompressionType::Snappy, CompressionType::Zstd] {
            let plain = batch(CompressionType::None);
            let view = BatchView::first(&plain).unwrap();
            let (head, tail) = view.payload().split_at(17);
            let deflate = |records| super::super::codec::deflate(codec, None, records).unwrap();
            let payload = [deflate(head), deflate(tail)].concat();
            // The header and the CRC of a batch with this payload, which stays as it is.
            let mut bytes = rebuild(view.header(), &payload, CompressionType::None, None).unwrap();
            bytes = with(bytes, |b| b[22] |= codec as u8);
            let valid = validate(&mut bytes, &rules(), 9, NOW).unwrap();
            assert_eq!(valid.rewritten, None, "{codec:?}");
        }
    }

    #[test]
    fn a_changed_byte_under_the_crc_is_corruption() {
        let mut bytes = batch(CompressionType::None);
        bytes[HEADER_LEN + 3] ^= 1;
        assert_eq!(refused(bytes, &rules()).code(), ErrorCode::CorruptMessage);
    }

    #[test]
    fn fields_that_contradict_each_other_are_refused() {
        let none = || batch(CompressionType::None);
        let cases: [(Vec<u8>, &str); 4] = [
            (with(none(), |b| b[26] = 3), "last offset delta 3 does not fit 10 records"),
            (with(none(), |b| b[7] = 1), "the base offset of a produced batch must be 0, it is 1"),
            (with(none(), |b| b[22] |= 0x20), "clients may not write control records"),
            (with(none(), |b| b[22] |= 0x07), "the compression codec of the batch is unknown"),
        ];
        for (bytes, message) in cases {
            let error = refused(bytes, &rules());
            assert_eq!(error.to_string(), message);
            assert_eq!(error.code(), ErrorCode::InvalidRecord);
        }
        let negative = with(none(), |b| {
            b[43..51].copy_from_slice(&5i64.to_be_bytes());
            b[53..57].copy_from_slice(&(-2i32).to_be_bytes());
        });
        assert!(matches!(refused(negative, &rules()), InvalidBatch::Sequence { .. }));
    }

    #[test]
    fn two_batches_none_and_old_formats_are_told_apart() {
        let one = batch(CompressionType::None);
        assert!(single_batch(&one).is_ok());
        assert_eq!(single_batch(&one.repeat(2)).unwrap_err(), InvalidBatch::NotOneBatch);
        assert_eq!(single_batch(&[]).unwrap_err(), InvalidBatch::NotOneBatch);
        let mut old = one.clone();
        old[16] = 1;
        assert_eq!(single_batch(&old).unwrap_err(), InvalidBatch::Magic(1));
        let mut trailing = one.clone();
        trailing.extend_from_slice(&one[..40]);
        assert_eq!(single_batch(&trailing).unwrap().bytes(), &one[..]);
        assert_eq!(single_batch(&one[..one.len() - 1]).unwrap_err(), InvalidBatch::NotOneBatch);
        let mut garbage = one.clone();
        garbage.extend_from_slice(&[0; HEADER_LEN]);
        assert_eq!(single_batch(&garbage).unwrap_err().code(), ErrorCode::CorruptMessage);
    }

    #[test]
    fn zstd_needs_produce_version_7() {
        let error = validate(&mut batch(CompressionType::Zstd), &rules(), 6, NOW).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnsupportedCompressionType);
    }

    #[test]
    fn a_batch_over_the_limit_is_too_large() {
        let error =
            refused(batch(CompressionType::None), &Rules { max_message_bytes: 99, ..rules() });
        assert_eq!(error.code(), ErrorCode::MessageTooLarge);
    }

    #[test]
    fn a_compacted_topic_names_the_records_without_a_key() {
        let mut builder = BatchBuilder::new(0);
        builder.push(NOW, Some(b"k"), Some(b"v"));
        builder.push(NOW, None, Some(b"v"));
        let error = refused(builder.build().unwrap(), &Rules { compacted: true, ..rules() });
        assert_eq!(error.code(), ErrorCode::InvalidRecord);
        assert_eq!(error.faults().iter().map(|f| f.index).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_timestamp_out_of_range_is_named_with_its_record() {
        let strict = Rules { timestamp_before_max_ms: 99_995, ..rules() };
        let error = refused(batch(CompressionType::None), &strict);
        assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
        assert_eq!(error.faults().len(), 5, "those before 900005");
    }

    #[test]
    fn a_wrong_maximum_timestamp_is_put_right() {
        let mut wrong = with(batch(CompressionType::None), |b| {
            b[35..43].copy_from_slice(&7i64.to_be_bytes());
        });
        let valid = validate(&mut wrong, &rules(), 9, NOW).unwrap();
        assert_eq!(valid.header.max_timestamp, Timestamp(900_009));
        let view = BatchView::first(&wrong).unwrap();
        view.check_crc().unwrap();
        assert_eq!(view.header().max_timestamp, Timestamp(900_009));
    }

    #[test]
    fn a_topic_with_its_own_codec_gets_its_batches_in_it() {
        let target = TargetCompression::Codec(CompressionType::Lz4, None);
        let rules = Rules { compression: target, ..rules() };
        for codec in CODECS {
            let mut bytes = batch(codec);
            let valid = validate(&mut bytes, &rules, 9, NOW).unwrap();
            assert_eq!(valid.rewritten.is_some(), codec != CompressionType::Lz4);
            let stored = valid.rewritten.unwrap_or(bytes);
            let view = BatchView::first(&stored).unwrap();
            view.check_crc().unwrap();
            assert_eq!(view.header().attributes.compression(), Some(CompressionType::Lz4));
            let read = |bytes: &[u8]| {
                let view = BatchView::first(bytes).unwrap();
                let records = Records::of(&view).unwrap();
                records.iter().map(|r| r.unwrap().value.unwrap().to_vec()).collect::<Vec<_>>()
            };
            assert_eq!(read(&stored), read(&batch(CompressionType::None)));
        }
    }

    /// R8.
    #[test]
    fn wrongly_numbered_records_are_renumbered_when_compressed_and_refused_otherwise() {
        let plain = {
            let mut builder = BatchBuilder::new(0);
            builder.push(NOW, None, Some(b"a"));
            builder.push(NOW, None, Some(b"b"));
            builder.build().unwrap()
        };
        // The second record's offset delta: length, attributes, timestamp delta, then it.
        let at = HEADER_LEN + (plain.len() - HEADER_LEN) / 2 + 3;
        assert_eq!(plain[at], 2);
        let wrong = with(plain, |b| b[at] = 8);
        assert_eq!(refused(wrong.clone(), &rules()), InvalidBatch::OffsetDeltas);
        let view = BatchView::first(&wrong).unwrap();
        let mut zipped =
            rebuild(view.header(), view.payload(), CompressionType::Gzip, None).unwrap();
        let valid = validate(&mut zipped, &rules(), 9, NOW).unwrap();
        let stored = valid.rewritten.unwrap();
        let view = BatchView::first(&stored).unwrap();
        let offsets: Vec<_> =
            Records::of(&view).unwrap().iter().map(|r| r.unwrap().offset).collect();
        assert_eq!(offsets, [0, 1]);
        assert_eq!(Attributes(1).compression(), view.header().attributes.compression());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_validation_panic(
            codec in 0u8..5, at in 0usize..300, byte: u8, fix_crc: bool,
        ) {
            let codec = CompressionType::from_id(codec).unwrap();
            let good = batch(codec);
            let at = at % good.len();
            let mut bytes = if fix_crc {
                with(good, |batch| batch[at] = byte)
            } else {
                let mut bytes = good;
                bytes[at] = byte;
                bytes
            };
            if single_batch(&bytes).is_ok() {
                let _ = validate(&mut bytes, &rules(), 9, NOW);
            }
        }
    }
}
