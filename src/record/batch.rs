//! The record batch as it lies on disk and on the wire, of version 2 unless said otherwise (Kafka 4.4
//! `DefaultRecordBatch`; see [`super::legacy`] for the versions before).
//!
//! ```text
//!  0 baseOffset i64      21 attributes i16        43 producerId i64
//!  8 batchLength i32     23 lastOffsetDelta i32   51 producerEpoch i16
//! 12 leaderEpoch i32     27 baseTimestamp i64     53 baseSequence i32
//! 16 magic i8            35 maxTimestamp i64      57 recordsCount i32
//! 17 crc u32 (of 21..)                            61 records
//! ```
//!
//! Base offset and leader epoch lie outside the CRC, so that a broker stamps them in place.

use super::compression_type::CompressionType;
use super::legacy;
use crate::types::{
    LeaderEpoch, NO_PRODUCER_ID, NO_SEQUENCE, Offset, ProducerEpoch, ProducerId, Sequence,
    Timestamp,
};

/// Bytes before `batchLength` starts to count: base offset and the length itself.
pub const LENGTH_PREFIX_LEN: usize = 12;
/// Bytes before the first record.
pub const HEADER_LEN: usize = 61;
/// Where the bytes that the CRC covers begin.
pub const CRC_START: usize = 21;
/// The only magic that is written; 0 and 1 belong to Kafka before 0.11.
pub const MAGIC: i8 = 2;
/// Bytes up to and including the magic, in every message format.
pub const MAGIC_END: usize = 17;

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The broker, at append.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const TIMESTAMP_TYPE: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// Attributes of a batch.
    pub fn new(compression: CompressionType, timestamps: TimestampType) -> Self {
        let stamp = match timestamps {
            TimestampType::CreateTime => 0,
            TimestampType::LogAppendTime => Self::TIMESTAMP_TYPE,
        };
        Self(i16::from(compression as u8) | stamp)
    }

    /// The same, marked transactional.
    #[must_use]
    pub fn transactional(self, yes: bool) -> Self {
        Self(if yes { self.0 | Self::TRANSACTIONAL } else { self.0 & !Self::TRANSACTIONAL })
    }

    /// The same, marked as a control batch.
    #[must_use]
    pub fn control(self, yes: bool) -> Self {
        Self(if yes { self.0 | Self::CONTROL } else { self.0 & !Self::CONTROL })
    }

    /// The same, with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamps: TimestampType) -> Self {
        match timestamps {
            TimestampType::CreateTime => Self(self.0 & !Self::TIMESTAMP_TYPE),
            TimestampType::LogAppendTime => Self(self.0 | Self::TIMESTAMP_TYPE),
        }
    }

    /// The same, with or without a delete horizon in the base timestamp (KIP-534).
    #[must_use]
    pub fn with_delete_horizon(self, yes: bool) -> Self {
        Self(if yes { self.0 | Self::DELETE_HORIZON } else { self.0 & !Self::DELETE_HORIZON })
    }

    /// The codec; `None` for a number that Kafka does not know.
    pub fn compression(self) -> Option<CompressionType> {
        CompressionType::from_id((self.0 & 0x07) as u8)
    }

    /// Who set the timestamps.
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::TIMESTAMP_TYPE == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Part of a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Written by the broker for the broker: markers, leader changes.
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// The base timestamp is the delete horizon (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
}

/// The 61 bytes before the records, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names are those of the format, above.
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes of the batch after [`LENGTH_PREFIX_LEN`].
    pub batch_length: i32,
    pub leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub records_count: i32,
}

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end inside the batch.
    #[error("batch needs {needed} bytes, {available} are there")]
    Truncated {
        /// What the header claims.
        needed: usize,
        /// What there is.
        available: usize,
    },
    /// The length field is smaller than a header.
    #[error("batch length {0} is smaller than a batch header")]
    LengthTooSmall(i32),
    /// Not version 2.
    #[error("batch magic {0} is not 2")]
    Magic(i8),
    /// The bytes are not those that were written.
    #[error("batch crc is {stored:#010x}, its bytes give {computed:#010x}")]
    Crc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
}

fn take<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Reads the fields; judges nothing.
    pub fn read(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(take(bytes, 0)),
            batch_length: i32::from_be_bytes(take(bytes, 8)),
            leader_epoch: i32::from_be_bytes(take(bytes, 12)),
            magic: i8::from_be_bytes(take(bytes, 16)),
            crc: u32::from_be_bytes(take(bytes, 17)),
            attributes: Attributes(i16::from_be_bytes(take(bytes, 21))),
            last_offset_delta: i32::from_be_bytes(take(bytes, 23)),
            base_timestamp: Timestamp(i64::from_be_bytes(take(bytes, 27))),
            max_timestamp: Timestamp(i64::from_be_bytes(take(bytes, 35))),
            producer_id: i64::from_be_bytes(take(bytes, 43)),
            producer_epoch: i16::from_be_bytes(take(bytes, 51)),
            base_sequence: i32::from_be_bytes(take(bytes, 53)),
            records_count: i32::from_be_bytes(take(bytes, 57)),
        }
    }

    /// The fields as bytes.
    pub fn write(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        out[16] = self.magic.to_be_bytes()[0];
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.0.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.0.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.records_count.to_be_bytes());
        out
    }

    /// The header at the start of `bytes`, which lie in a log: of any message format, with a length
    /// and a magic that make sense. `bytes` are at least [`HEADER_LEN`] long, or all there are.
    pub fn stored(bytes: &[u8]) -> Result<Self, BatchError> {
        match bytes.get(MAGIC_END - 1) {
            Some(magic @ (0 | 1)) => legacy::read_header(bytes, *magic as i8),
            _ => {
                let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
                    let needed = HEADER_LEN;
                    return Err(BatchError::Truncated { needed, available: bytes.len() });
                };
                let header = Self::read(head);
                header.check_shape()?;
                Ok(header)
            }
        }
    }

    /// Whether it is of message format 0 or 1: see [`super::legacy`] for what its fields are then.
    pub fn is_legacy(&self) -> bool {
        matches!(self.magic, 0 | 1)
    }

    /// Length and magic make sense: a batch of [`BatchHeader::size`] bytes may follow.
    pub fn check_shape(&self) -> Result<(), BatchError> {
        if self.batch_length < (HEADER_LEN - LENGTH_PREFIX_LEN) as i32 {
            return Err(BatchError::LengthTooSmall(self.batch_length));
        }
        if self.magic != MAGIC {
            return Err(BatchError::Magic(self.magic));
        }
        Ok(())
    }

    /// The whole batch in bytes, header included.
    pub fn size(&self) -> usize {
        LENGTH_PREFIX_LEN + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// The offset of the last record (saturating: the fields are the peer's).
    pub fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// Whether an idempotent producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id != NO_PRODUCER_ID
    }

    /// The sequence of the last record: wraps from `i32::MAX` to 0. None without a base sequence.
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        increment_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// The timestamp of a record, which overflows as Kafka's does (the fields are the peer's).
    pub fn timestamp_at(&self, delta: i64) -> Timestamp {
        match self.attributes.timestamp_type() {
            TimestampType::LogAppendTime => self.max_timestamp,
            TimestampType::CreateTime => Timestamp(self.base_timestamp.0.wrapping_add(delta)),
        }
    }
}

/// `sequence + by`, wrapping from `i32::MAX` to 0 (Kafka 4.4 `DefaultRecordBatch.incrementSequence`,
/// also in what it makes of a negative `by`, which only a damaged batch has).
pub fn increment_sequence(sequence: Sequence, by: i32) -> Sequence {
    if sequence > i32::MAX.wrapping_sub(by) {
        by.wrapping_sub(i32::MAX.wrapping_sub(sequence)).wrapping_sub(1)
    } else {
        sequence.wrapping_add(by)
    }
}

/// The bytes of one whole batch, of version 2 unless it comes from [`BatchView::stored`]. Invariant:
/// the length and magic make sense and all bytes of the batch are there, and no more. The CRC is
/// checked separately.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
    header: BatchHeader,
}

impl<'a> BatchView<'a> {
    /// The batch at the start of `bytes`; more may follow it.
    pub fn first(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::Truncated { needed: HEADER_LEN, available: bytes.len() });
        };
        let header = BatchHeader::read(head);
        header.check_shape()?;
        Self::whole(bytes, header)
    }

    /// The batch at the start of `bytes`, which lie in a log, of any message format; more may follow
    /// it. What a client sends is read by [`BatchView::first`].
    pub fn stored(bytes: &'a [u8]) -> Result<Self, BatchError> {
        Self::whole(bytes, BatchHeader::stored(bytes)?)
    }

    fn whole(bytes: &'a [u8], header: BatchHeader) -> Result<Self, BatchError> {
        let needed = header.size();
        match bytes.get(..needed) {
            Some(bytes) => Ok(Self { bytes, header }),
            None => Err(BatchError::Truncated { needed, available: bytes.len() }),
        }
    }

    /// The header's fields.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header of version 2: records, compressed as the attributes say.
    pub(super) fn payload(&self) -> &'a [u8] {
        debug_assert!(!self.header.is_legacy(), "see Messages");
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Whether the bytes are those that were written.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = if self.header.is_legacy() {
            legacy::computed_crc(self.bytes)
        } else {
            crc32c::crc32c(&self.bytes[CRC_START..])
        };
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(BatchError::Crc { stored: self.header.crc, computed })
        }
    }
}

/// Walks batches that lie one after the other; ends after the first error.
pub fn batches(bytes: &[u8]) -> impl Iterator<Item = Result<BatchView<'_>, BatchError>> {
    each(bytes, BatchView::first)
}

/// As [`batches`], for what lies in a log: of any message format.
pub fn stored_batches(bytes: &[u8]) -> impl Iterator<Item = Result<BatchView<'_>, BatchError>> {
    each(bytes, BatchView::stored)
}

fn each<'a>(
    bytes: &'a [u8],
    read: impl Fn(&'a [u8]) -> Result<BatchView<'a>, BatchError>,
) -> impl Iterator<Item = Result<BatchView<'a>, BatchError>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest.filter(|bytes| !bytes.is_empty())?;
        let view = read(bytes);
        rest = view.as_ref().ok().map(|view| &bytes[view.bytes().len()..]);
        Some(view)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_wraps_from_the_largest_to_zero() {
        assert_eq!(increment_sequence(i32::MAX, 1), 0);
        assert_eq!(increment_sequence(i32::MAX - 1, 3), 1);
        assert_eq!(increment_sequence(5, 0), 5);
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_its_accessors_panic(bytes: [u8; 32], more: [u8; 29]) {
            let mut all = [0; HEADER_LEN];
            all[..32].copy_from_slice(&bytes);
            all[32..].copy_from_slice(&more);
            let header = BatchHeader::read(&all);
            assert_eq!(header.write(), all);
            let _ = (header.last_sequence(), header.next_offset(), header.size());
            let _ = (header.check_shape(), header.timestamp_at(i64::MAX));
        }
    }
}
