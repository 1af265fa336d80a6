//! Batches of which some records are left: what compaction writes (Kafka 4.4
//! `MemoryRecords.buildRetainedRecordsInto`, `DefaultRecordBatch.writeEmptyHeader`).
//!
//! Records are copied as bytes, from the key on; offsets, sequences and the producer stay those of
//! the whole batch.

use std::io;

use super::batch::{Attributes, BatchHeader, TimestampType};
use super::builder::rebuild;
use super::compression_type::CompressionType;
use super::record::RawRecord;
use super::varint::{put_varlong, varlong_len};
use crate::types::{NO_TIMESTAMP, Timestamp};

/// The batch of `header` with `records` alone, in its own codec. With a `delete_horizon` that is
/// its base timestamp (KIP-534).
///
/// Errors: only those of the compressor.
pub fn retained(
    header: &BatchHeader,
    records: &[RawRecord<'_>],
    delete_horizon: Option<Timestamp>,
) -> io::Result<Vec<u8>> {
    let first = records.first().map_or(NO_TIMESTAMP, |record| record.timestamp);
    let base_timestamp = delete_horizon.unwrap_or(first);
    let mut bytes = Vec::new();
    for record in records {
        let timestamp_delta = record.timestamp.0.wrapping_sub(base_timestamp.0);
        let offset_delta = i64::from(record.offset_delta);
        let size = 1 + varlong_len(timestamp_delta) + varlong_len(offset_delta) + record.body.len();
        put_varlong(&mut bytes, size as i64);
        bytes.push(record.attributes);
        put_varlong(&mut bytes, timestamp_delta);
        put_varlong(&mut bytes, offset_delta);
        bytes.extend_from_slice(record.body);
    }
    let max_timestamp = match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => {
            records.iter().map(|record| record.timestamp).max().unwrap_or(NO_TIMESTAMP)
        }
    };
    let header = BatchHeader {
        attributes: header.attributes.with_delete_horizon(delete_horizon.is_some()),
        base_timestamp,
        max_timestamp,
        records_count: i32::try_from(records.len()).unwrap_or(i32::MAX),
        ..*header
    };
    let codec = header.attributes.compression().unwrap_or(CompressionType::None);
    rebuild(&header, &bytes, codec, None)
}

/// The batch of `header` without records: offsets and sequences of a producer stay known.
pub fn emptied(header: &BatchHeader) -> Vec<u8> {
    let attributes = Attributes::new(CompressionType::None, header.attributes.timestamp_type())
        .transactional(header.attributes.is_transactional())
        .control(header.attributes.is_control());
    let header =
        BatchHeader { attributes, base_timestamp: NO_TIMESTAMP, records_count: 0, ..*header };
    match rebuild(&header, &[], CompressionType::None, None) {
        Ok(bytes) => bytes,
        Err(_) => unreachable!("nothing is compressed"),
    }
}
