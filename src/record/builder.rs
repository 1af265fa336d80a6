//! Building batches: for logs that the broker itself writes, for recompression, and for tests.

use std::io;

use super::batch::{
    Attributes, BatchHeader, CRC_START, HEADER_LEN, LENGTH_PREFIX_LEN, MAGIC, TimestampType,
};
use super::codec;
use super::compression_type::CompressionType;
use super::record::Header;
use super::varint::{field_len, put_field, put_varlong, varlong_len};
use crate::types::{
    LeaderEpoch, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    Offset, ProducerEpoch, ProducerId, Sequence, Timestamp,
};

/// A batch being built. Offsets count up from the base offset.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    codec: CompressionType,
    level: Option<i32>,
    attributes: Attributes,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: Sequence,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    count: i32,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// An empty, uncompressed batch at `base_offset`, with timestamps of its creator.
    pub fn new(base_offset: Offset) -> Self {
        Self {
            base_offset,
            leader_epoch: NO_LEADER_EPOCH,
            codec: CompressionType::None,
            level: None,
            attributes: Attributes::default(),
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            count: 0,
            records: Vec::new(),
        }
    }

    /// The leader epoch to stamp.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// The base timestamp, where it is not that of the first record.
    #[must_use]
    pub fn based_at(mut self, timestamp: Timestamp) -> Self {
        self.base_timestamp = Some(timestamp);
        self
    }

    /// How to compress.
    #[must_use]
    pub fn compression(mut self, codec: CompressionType, level: Option<i32>) -> Self {
        (self.codec, self.level) = (codec, level);
        self
    }

    /// The idempotent producer it is of.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, sequence: Sequence) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, sequence);
        self
    }

    /// Part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.transactional(true);
        self
    }

    /// A control batch.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes = self.attributes.control(true);
        self
    }

    /// Adds a record.
    pub fn push(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.push_with_headers(timestamp, key, value, &[]);
    }

    /// Adds a record with headers.
    pub fn push_with_headers(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        let base = *self.base_timestamp.get_or_insert(timestamp);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.0.wrapping_sub(base.0);
        let offset_delta = i64::from(self.count);
        let headers_count = headers.len() as i64;
        let mut size = 1 + varlong_len(timestamp_delta) + varlong_len(offset_delta);
        size += field_len(key) + field_len(value) + varlong_len(headers_count);
        for header in headers {
            size += field_len(Some(header.key)) + field_len(header.value);
        }

        let out = &mut self.records;
        put_varlong(out, size as i64);
        out.push(0); // Attributes: none exist.
        put_varlong(out, timestamp_delta);
        put_varlong(out, offset_delta);
        put_field(out, key);
        put_field(out, value);
        put_varlong(out, headers_count);
        for header in headers {
            put_field(out, Some(header.key));
            put_field(out, header.value);
        }
        self.count += 1;
    }

    /// How many records were added.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// How many bytes the records take, uncompressed.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The records alone, uncompressed.
    pub fn into_records(self) -> Vec<u8> {
        self.records
    }

    /// The batch.
    ///
    /// Errors: only those of the compressor.
    pub fn build(self) -> io::Result<Vec<u8>> {
        let payload = match self.codec {
            CompressionType::None => self.records,
            codec => codec::deflate(codec, self.level, &self.records)?,
        };
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: (HEADER_LEN - LENGTH_PREFIX_LEN + payload.len()) as i32,
            leader_epoch: self.leader_epoch,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes(self.attributes.0 | self.codec as i16),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            records_count: self.count,
        };
        let mut batch = Vec::with_capacity(HEADER_LEN + payload.len());
        batch.extend_from_slice(&header.write());
        batch.extend_from_slice(&payload);
        stamp_crc(&mut batch);
        Ok(batch)
    }
}

fn stamp_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_START..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// Writes base offset and leader epoch into a whole batch. Both lie outside its CRC.
pub fn stamp(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Writes the timestamp type and the maximum timestamp into a whole batch, and its CRC anew
/// (Kafka 4.4 `DefaultRecordBatch.setMaxTimestamp`).
pub fn stamp_timestamp(batch: &mut [u8], kind: TimestampType, max_timestamp: Timestamp) {
    let attributes = Attributes(i16::from_be_bytes([batch[21], batch[22]]));
    batch[21..23].copy_from_slice(&attributes.with_timestamp_type(kind).0.to_be_bytes());
    batch[35..43].copy_from_slice(&max_timestamp.0.to_be_bytes());
    stamp_crc(batch);
}

/// A batch with the same header but `records` instead, compressed with `codec`.
pub fn rebuild(
    header: &BatchHeader,
    records: &[u8],
    codec: CompressionType,
    level: Option<i32>,
) -> io::Result<Vec<u8>> {
    let payload = codec::deflate(codec, level, records)?;
    let header = BatchHeader {
        batch_length: (HEADER_LEN - LENGTH_PREFIX_LEN + payload.len()) as i32,
        attributes: Attributes(header.attributes.0 & !0x07 | codec as i16),
        ..*header
    };
    let mut batch = Vec::with_capacity(HEADER_LEN + payload.len());
    batch.extend_from_slice(&header.write());
    batch.extend_from_slice(&payload);
    stamp_crc(&mut batch);
    Ok(batch)
}
