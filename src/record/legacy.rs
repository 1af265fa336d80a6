//! Message formats 0 and 1, which brokers before 0.11 wrote (Kafka 4.4 `LegacyRecord`,
//! `AbstractLegacyRecordBatch`). They are read where logs are read and never written: Kafka 4 sends
//! them to consumers as they are stored, and its cleaner rewrites them in format 2.
//!
//! ```text
//!  0 offset i64       16 magic i8          18 timestamp i64 (format 1 alone)
//!  8 length i32       17 attributes i8     18 or 26 keyLength i32, key, valueLength i32, value
//! 12 crc u32 (of 16..)
//! ```
//!
//! The value of a compressed message (the wrapper) holds messages in turn. The offset of a wrapper is
//! that of its last message. Inner offsets are absolute in format 0 and relative to the first in
//! format 1. So a header alone does not tell the first offset of a wrapper: its
//! [`BatchHeader::base_offset`] is the last one, and [`BatchView::base_offset`] inflates to tell.

use std::borrow::Cow;
use std::io::Read;

use super::batch::{
    Attributes, BatchError, BatchHeader, BatchView, LENGTH_PREFIX_LEN, MAGIC, TimestampType,
};
use super::codec::{self, Lz4Header};
use super::compression_type::CompressionType;
use super::error::RecordsError;
use super::varint::{field_len, put_field, put_varlong, varlong_len};
use crate::types::{
    NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, Offset,
    Timestamp,
};

/// The smallest length field: a message of format 0 without key and value.
pub const LENGTH_MIN: i32 = 14;
/// The same, of format 1.
const LENGTH_MIN_V1: i32 = 22;
/// Where the bytes that the CRC covers begin.
const CRC_START: usize = 16;
/// Where the timestamp of format 1 lies.
const TIMESTAMP_AT: usize = 18;
/// The length of the fields before the key length.
const fn key_at(magic: i8) -> usize {
    if magic == 0 { TIMESTAMP_AT } else { TIMESTAMP_AT + 8 }
}

/// One message, inside a wrapper or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its absolute offset.
    pub offset: Offset,
    /// Its own, or that of its wrapper if the broker set it; none in format 0.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The CRC that was stored with it.
    pub crc: u32,
    bytes: &'a [u8],
}

impl Message<'_> {
    /// Whether its CRC is that of its bytes. Kafka does not check the one of an inner message.
    pub fn is_valid(&self) -> bool {
        self.crc == computed_crc(self.bytes)
    }
}

/// Reads a header of format 0 or 1; the magic is known. The offsets are those of the last message, the
/// record count is 1, and whatever these formats lack is absent as in a batch without a producer.
///
/// Errors: the length is too small, or `bytes` end inside the header.
pub(super) fn read_header(bytes: &[u8], magic: i8) -> Result<BatchHeader, BatchError> {
    let truncated =
        |needed| BatchError::Truncated { needed: needed as usize, available: bytes.len() };
    let field = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    let long = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk::<8>);
    let needed = LENGTH_PREFIX_LEN as i32 + LENGTH_MIN;
    let (Some(offset), Some(length), Some(crc), Some(attributes)) =
        (long(0), field(8), field(12), bytes.get(17))
    else {
        return Err(truncated(needed));
    };
    let batch_length = i32::from_be_bytes(*length);
    if batch_length < if magic == 0 { LENGTH_MIN } else { LENGTH_MIN_V1 } {
        return Err(BatchError::LengthTooSmall(batch_length));
    }
    let known_attributes = if magic == 0 { 0x07 } else { 0x0f };
    let timestamp = match magic {
        0 => NO_TIMESTAMP,
        _ => {
            let needed = LENGTH_PREFIX_LEN as i32 + LENGTH_MIN_V1;
            let timestamp = long(TIMESTAMP_AT).ok_or_else(|| truncated(needed))?;
            Timestamp(i64::from_be_bytes(*timestamp))
        }
    };
    Ok(BatchHeader {
        base_offset: i64::from_be_bytes(*offset),
        batch_length,
        leader_epoch: NO_LEADER_EPOCH,
        magic,
        crc: u32::from_be_bytes(*crc),
        attributes: Attributes(i16::from(attributes & known_attributes)),
        last_offset_delta: 0,
        base_timestamp: timestamp,
        max_timestamp: timestamp,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        records_count: 1,
    })
}

/// The CRC of a whole message.
pub(super) fn computed_crc(message: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(message.get(CRC_START..).unwrap_or_default());
    crc.sum()
}

/// Splits a nullable field off the start of `bytes`, with an i32 as its length. `None` where the
/// bytes end before the field.
#[expect(
    clippy::option_option,
    reason = "a field that is null is another thing than a missing one"
)]
fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (len, rest) = bytes.split_first_chunk()?;
    let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
        *bytes = rest;
        return Some(None);
    };
    let (field, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some(Some(field))
}

/// The messages of one batch, inflated if it is a wrapper.
pub struct Messages<'a> {
    outer: BatchHeader,
    bytes: Cow<'a, [u8]>,
    /// What is added to the offsets of inner messages.
    added: Offset,
}

impl<'a> Messages<'a> {
    /// The messages of `batch`, which is of format 0 or 1.
    ///
    /// Errors: what the wrapper holds does not inflate, or is no message.
    pub fn of(batch: &BatchView<'a>) -> Result<Self, RecordsError> {
        let outer = *batch.header();
        let unreadable = |what: &str| RecordsError::Unreadable(what.into());
        let codec = outer.attributes.compression();
        let codec = codec.ok_or_else(|| unreadable("the compression codec is unknown"))?;
        if codec == CompressionType::None {
            return Ok(Self { outer, bytes: batch.bytes().into(), added: 0 });
        }
        if codec == CompressionType::Zstd {
            return Err(unreadable("message formats 0 and 1 have no zstd"));
        }
        let mut fields = batch.bytes().get(key_at(outer.magic)..).unwrap_or_default();
        let wrapped = take_field(&mut fields).and_then(|_| take_field(&mut fields)).flatten();
        let wrapped = wrapped.ok_or_else(|| unreadable("a compressed message has no value"))?;
        let lz4 = if outer.magic == 0 { Lz4Header::Unchecked } else { Lz4Header::Checked };
        let mut inflated = Vec::new();
        codec::reader_with(codec, wrapped, lz4)?.read_to_end(&mut inflated)?;
        let mut messages = Self { outer, bytes: inflated.into(), added: 0 };
        let mut last = None;
        for message in messages.iter() {
            last = Some(message?.offset);
        }
        let last = last.ok_or_else(|| unreadable("a compressed message holds no messages"))?;
        // A wrapper at offset 0 is one of certain releases of librdkafka.
        if outer.magic == 1 && outer.base_offset != 0 {
            messages.added =
                outer.base_offset.checked_sub(last).filter(|added| *added >= 0).ok_or_else(
                    || {
                        let offset = outer.base_offset;
                        unreadable(&format!("inner offset {last} in a message at offset {offset}"))
                    },
                )?;
        }
        Ok(messages)
    }

    /// The messages, in order. Ends after the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<Message<'_>, RecordsError>> {
        let mut rest: &[u8] = &self.bytes;
        let mut index = 0;
        std::iter::from_fn(move || {
            let message = self.next(&mut rest)?;
            let at = index;
            index += 1;
            if message.is_err() {
                rest = &[];
            }
            Some(message.map_err(|what| RecordsError::Malformed { index: at, what }))
        })
    }

    /// Splits the next message off `rest`; none at the end. As in Kafka the beginning of a message at
    /// the end of a wrapper is ignored.
    fn next<'b>(&self, rest: &mut &'b [u8]) -> Option<Result<Message<'b>, &'static str>> {
        let length = i32::from_be_bytes(*rest.get(8..)?.first_chunk()?);
        let Ok(length_now) = usize::try_from(length) else {
            return Some(Err("its length is negative"));
        };
        if length < LENGTH_MIN {
            return Some(Err("its length is too small"));
        }
        let (bytes, after) = rest.split_at_checked(LENGTH_PREFIX_LEN + length_now)?;
        *rest = after;
        Some(self.read(bytes))
    }

    fn read<'b>(&self, bytes: &'b [u8]) -> Result<Message<'b>, &'static str> {
        let magic = bytes[16] as i8;
        if !matches!(magic, 0 | 1) {
            return Err("its magic is neither 0 nor 1");
        }
        let header = read_header(bytes, magic).map_err(|_| "its length is too small")?;
        let is_wrapped = self.outer.attributes.compression() != Some(CompressionType::None);
        if is_wrapped && header.attributes.compression() != Some(CompressionType::None) {
            return Err("it is compressed inside a compressed message");
        }
        let mut fields = bytes.get(key_at(magic)..).unwrap_or_default();
        let key = take_field(&mut fields).ok_or("its key is longer than it is")?;
        let value = take_field(&mut fields).ok_or("its value is longer than it is")?;
        let by_broker = self.outer.attributes.timestamp_type() == TimestampType::LogAppendTime;
        let timestamp =
            if magic == 1 && by_broker { self.outer.max_timestamp } else { header.max_timestamp };
        Ok(Message {
            offset: header.base_offset.wrapping_add(self.added),
            timestamp,
            key,
            value,
            crc: header.crc,
            bytes,
        })
    }

    /// The same records as a batch of format 2 has them: its header, without length and CRC, and its
    /// records, not compressed. The attributes name the codec of the original.
    ///
    /// Errors: a message is malformed, or the offsets do not ascend within the range of a batch.
    pub(super) fn in_current_format(&self) -> Result<(BatchHeader, Vec<u8>), RecordsError> {
        let mut records = Vec::with_capacity(self.bytes.len());
        let (mut base_offset, mut base_timestamp, mut last_offset_delta) = (None, NO_TIMESTAMP, -1);
        let (mut max_timestamp, mut count) = (NO_TIMESTAMP, 0i32);
        for message in self.iter() {
            let message = message?;
            let base = *base_offset.get_or_insert(message.offset);
            if count == 0 {
                base_timestamp = message.timestamp;
            }
            let offset_delta = message.offset.checked_sub(base);
            let offset_delta = offset_delta.and_then(|delta| i32::try_from(delta).ok());
            last_offset_delta = offset_delta.filter(|delta| *delta > last_offset_delta).ok_or(
                RecordsError::Malformed { index: count, what: "its offset does not ascend" },
            )?;
            max_timestamp = max_timestamp.max(message.timestamp);
            let timestamp_delta = message.timestamp.0.wrapping_sub(base_timestamp.0);
            let offset_delta = i64::from(last_offset_delta);
            let size = 1
                + varlong_len(timestamp_delta)
                + varlong_len(offset_delta)
                + field_len(message.key)
                + field_len(message.value)
                + 1;
            put_varlong(&mut records, size as i64);
            records.push(0); // Attributes: none exist.
            put_varlong(&mut records, timestamp_delta);
            put_varlong(&mut records, offset_delta);
            put_field(&mut records, message.key);
            put_field(&mut records, message.value);
            put_varlong(&mut records, 0); // Headers: none existed.
            count = count.saturating_add(1);
        }
        let header = BatchHeader {
            base_offset: base_offset.unwrap_or(self.outer.base_offset),
            magic: MAGIC,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            records_count: count,
            ..self.outer
        };
        Ok((header, records))
    }
}

impl BatchView<'_> {
    /// The offset of its first record, for which a wrapper of message format 0 or 1 is inflated.
    pub fn base_offset(&self) -> Result<Offset, RecordsError> {
        let is_wrapper = self.header().attributes.compression() != Some(CompressionType::None);
        if !self.header().is_legacy() || !is_wrapper {
            return Ok(self.header().base_offset);
        }
        let messages = Messages::of(self)?;
        let first = messages.iter().next();
        first.map_or(Ok(self.header().base_offset), |first| first.map(|first| first.offset))
    }
}

#[cfg(test)]
#[path = "../../tests/support/old_formats.rs"]
pub(crate) mod old_formats;

#[cfg(test)]
mod tests {
    use super::super::batch::{HEADER_LEN, stored_batches};
    use super::super::record::Records;
    use super::old_formats::{BY_BROKER, Old, message, segment, wrapper};
    use super::*;

    const NOW: i64 = 1_400_000_000_000;

    fn messages(count: i64) -> Vec<Old> {
        let message = |n: i64| Old {
            // A gap, as the cleaner of the time left them.
            offset: 100 + n + n / 3,
            timestamp: NOW - n,
            key: (n % 4 != 1).then(|| format!("key {n}").into_bytes()),
            value: (n % 5 != 2).then(|| vec![b'v'; 200]),
        };
        (0..count).map(message).collect()
    }

    fn read_all(bytes: &[u8]) -> Vec<Old> {
        let mut all = Vec::new();
        for batch in stored_batches(bytes) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            let records = Records::of(&batch).unwrap();
            for (n, record) in records.iter().enumerate() {
                let record = record.unwrap();
                assert!(n > 0 || batch.base_offset() == Ok(record.offset));
                let (key, value) = (record.key.map(Vec::from), record.value.map(Vec::from));
                let (offset, timestamp) = (record.offset, record.timestamp.0);
                all.push(Old { offset, timestamp, key, value });
            }
        }
        all
    }

    #[test]
    fn messages_of_both_formats_and_every_codec_are_read() {
        let written = messages(23);
        for (magic, codec) in [0, 1].iter().flat_map(|magic| (0..4).map(|codec| (*magic, codec))) {
            let mut expected = written.clone();
            if magic == 0 {
                expected.iter_mut().for_each(|message| message.timestamp = -1);
            }
            assert_eq!(read_all(&segment(magic, codec, &written)), expected, "{magic} {codec}");
        }
    }

    #[test]
    fn a_wrong_lz4_header_checksum_is_read_in_format_0_alone() {
        let old = wrapper(0, 3, &messages(2));
        assert_eq!(read_all(&old).len(), 2);
        let mut newer = wrapper(1, 3, &messages(2));
        let at = newer.windows(4).position(|bytes| bytes == [4, 0x22, 0x4d, 0x18]).unwrap();
        newer[at + 6] ^= 1;
        let view = BatchView::stored(&newer).unwrap();
        assert!(Records::of(&view).is_err());
    }

    #[test]
    fn a_time_that_the_broker_set_is_that_of_all_messages_in_the_wrapper() {
        let bytes = wrapper(1, 1 | BY_BROKER, &messages(4));
        let header = *BatchView::stored(&bytes).unwrap().header();
        assert_eq!(header.max_timestamp, Timestamp(NOW));
        assert!(read_all(&bytes).iter().all(|message| message.timestamp == NOW));
    }

    #[test]
    fn a_header_tells_the_last_offset_and_lacks_what_the_format_lacks() {
        let bytes = wrapper(1, 2, &messages(4));
        let view = BatchView::stored(&bytes).unwrap();
        let header = view.header();
        assert_eq!(
            (header.base_offset, header.last_offset(), header.next_offset()),
            (104, 104, 105)
        );
        assert_eq!(view.base_offset(), Ok(100));
        assert!(!header.has_producer_id() && header.leader_epoch < 0);
        assert!(!header.attributes.is_control() && !header.attributes.is_transactional());
        assert_eq!(view.bytes().len(), bytes.len());
        assert!(matches!(BatchView::first(&bytes), Err(BatchError::Magic(1))), "from a client");
        // The smallest message is shorter than a header of format 2.
        let none = Old { offset: 7, timestamp: NOW, key: None, value: None };
        let smallest = message(0, 0, &none);
        assert!(smallest.len() < HEADER_LEN);
        assert_eq!(read_all(&smallest), [Old { timestamp: -1, ..none }]);
    }

    #[test]
    fn a_wrapper_at_offset_0_holds_offsets_from_0_on() {
        let mut bytes = wrapper(1, 1, &messages(3));
        bytes[..8].copy_from_slice(&0i64.to_be_bytes());
        let offsets: Vec<_> = read_all(&bytes).iter().map(|message| message.offset).collect();
        assert_eq!(offsets, [0, 1, 2]);
        // One that is before the last message inside is a lie.
        bytes[..8].copy_from_slice(&1i64.to_be_bytes());
        assert!(Records::of(&BatchView::stored(&bytes).unwrap()).is_err());
    }

    #[test]
    fn what_kafka_does_not_read_is_an_error() {
        let refused = |bytes: &[u8]| {
            let view = BatchView::stored(bytes).unwrap();
            Records::of(&view).map(|records| records.iter().count()).unwrap_err()
        };
        let old = |value: Option<Vec<u8>>| Old { offset: 9, timestamp: NOW, key: None, value };
        let inner = message(1, 0, &old(None));
        assert!(matches!(refused(&message(1, 1, &old(None))), RecordsError::Unreadable(_)));
        assert!(matches!(refused(&message(1, 4, &old(Some(inner)))), RecordsError::Unreadable(_)));
        assert!(matches!(refused(&message(1, 5, &old(None))), RecordsError::Unreadable(_)));
        let nested = codec::deflate(CompressionType::Gzip, None, &wrapper(1, 1, &messages(2)));
        let nested = message(1, 1, &old(Some(nested.unwrap())));
        assert!(matches!(refused(&nested), RecordsError::Malformed { index: 0, .. }));
        let empty = codec::deflate(CompressionType::Gzip, None, &[]).unwrap();
        assert!(matches!(refused(&message(0, 1, &old(Some(empty)))), RecordsError::Unreadable(_)));
        let falling: Vec<_> = messages(3).into_iter().rev().collect();
        assert!(matches!(refused(&wrapper(0, 1, &falling)), RecordsError::Malformed { .. }));
    }

    #[test]
    fn the_beginning_of_a_message_at_the_end_of_a_wrapper_is_ignored() {
        let whole = message(0, 0, &Old::new(5, -1, "k", "v"));
        for cut in 1..whole.len() {
            let inner = [&whole[..], &whole[..cut]].concat();
            let value = codec::deflate(CompressionType::Gzip, None, &inner).ok();
            let bytes = message(0, 1, &Old { offset: 5, timestamp: -1, key: None, value });
            assert_eq!(read_all(&bytes).len(), 1, "{cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_reader_of_old_formats_panic(
            magic in 0u8..2, codec in 0u8..4, at in 0usize..600, byte: u8, cut in 0usize..600,
        ) {
            let mut bytes = segment(magic, codec, &messages(3));
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len());
            for batch in stored_batches(&bytes).flatten() {
                let _ = (batch.check_crc(), batch.base_offset());
                if let Ok(records) = Records::of(&batch) {
                    let _ = (records.iter().count(), records.raw().count());
                }
            }
        }

        #[test]
        fn no_inner_bytes_make_a_reader_of_old_formats_panic(
            magic in 0u8..2, inner: Vec<u8>, at in 0usize..80, byte: u8, offset: i64,
        ) {
            let mut whole = message(magic, 0, &Old::new(3, NOW, "key", "value"));
            let at = at % whole.len();
            whole[at] = byte;
            whole.extend(inner);
            let value = codec::deflate(CompressionType::Gzip, None, &whole).ok();
            let bytes = message(magic, 1, &Old { offset, timestamp: NOW, key: None, value });
            let view = BatchView::stored(&bytes).unwrap();
            let _ = (view.base_offset(), Records::of(&view).map(|records| records.raw().count()));
        }
    }
}
