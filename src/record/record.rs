//! Records inside a batch.
//!
//! ```text
//! length varint, attributes i8, timestampDelta varlong, offsetDelta varint,
//! keyLength varint, key, valueLength varint, value,
//! headersCount varint, [keyLength varint, key, valueLength varint, value]
//! ```
//!
//! Source: Kafka 4.4 `DefaultRecord.readFrom`.

use std::io;

use super::batch::{BatchHeader, BatchView};
use super::codec::{self, Inflate};
use super::error::RecordsError;
use super::legacy::Messages;
use crate::types::{Offset, Timestamp};

/// What can be wrong with a record. Small, since every byte that is read may be it.
#[derive(Debug)]
enum DecodeFault {
    End,
    Varint,
    Size,
    NegativeSize,
    NegativeHeaders,
    HeaderKey,
    Inflate(io::Error),
}

impl DecodeFault {
    #[cold]
    fn at(self, index: i32) -> RecordsError {
        let what = match self {
            Self::Inflate(error) => return error.into(),
            Self::End => "the bytes end inside it",
            Self::Varint => "one of its varints is too long",
            Self::Size => "its size is not that of its fields",
            Self::NegativeSize => "its size is negative",
            Self::NegativeHeaders => "its number of headers is negative",
            Self::HeaderKey => "a header has no key",
        };
        RecordsError::Malformed { index, what }
    }
}

/// What a walk learns of one record without looking at its key or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its number within the batch.
    pub index: i32,
    /// Its offset less the batch's base offset.
    pub offset_delta: i32,
    /// Its timestamp less the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Whether it has a key.
    pub has_key: bool,
}

/// Where a walk takes its bytes from.
trait RecordSource {
    fn byte(&mut self) -> Result<u8, DecodeFault>;
    fn skip(&mut self, count: usize) -> Result<(), DecodeFault>;
    /// How many bytes were taken.
    fn position(&self) -> u64;
    fn is_at_end(&mut self) -> Result<bool, DecodeFault>;
}

struct RecordSlice<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl RecordSource for RecordSlice<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, DecodeFault> {
        let byte = self.bytes.get(self.at).copied().ok_or(DecodeFault::End)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<(), DecodeFault> {
        if count > self.bytes.len() - self.at {
            return Err(DecodeFault::End);
        }
        self.at += count;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.at as u64
    }

    fn is_at_end(&mut self) -> Result<bool, DecodeFault> {
        Ok(self.at == self.bytes.len())
    }
}

impl RecordSource for Inflate<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, DecodeFault> {
        self.byte().map_err(DecodeFault::Inflate)?.ok_or(DecodeFault::End)
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<(), DecodeFault> {
        if self.skip(count).map_err(DecodeFault::Inflate)? { Ok(()) } else { Err(DecodeFault::End) }
    }

    fn position(&self) -> u64 {
        self.position()
    }

    fn is_at_end(&mut self) -> Result<bool, DecodeFault> {
        Ok(self.byte().map_err(DecodeFault::Inflate)?.is_none())
    }
}

/// Base-128 digits, the least significant first, in at most `bytes_max` bytes.
#[inline]
fn unsigned<S: RecordSource>(source: &mut S, bytes_max: u32) -> Result<u64, DecodeFault> {
    let first = source.byte()?;
    if first & 0x80 == 0 {
        return Ok(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for shift in 1..bytes_max {
        let byte = source.byte()?;
        value |= u64::from(byte & 0x7f) << (shift * 7);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeFault::Varint)
}

#[inline]
fn varlong<S: RecordSource>(source: &mut S) -> Result<i64, DecodeFault> {
    let value = unsigned(source, 10)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Bits beyond the 32nd are dropped before the sign is undone, as Kafka does: broker and clients
/// must not read different numbers from the same bytes.
#[inline]
fn varint<S: RecordSource>(source: &mut S) -> Result<i32, DecodeFault> {
    let value = unsigned(source, 5)? as u32;
    Ok((value >> 1) as i32 ^ -((value & 1) as i32))
}

/// Skips a value with a length before it; whether it is there (not null).
#[inline]
fn skip_field<S: RecordSource>(source: &mut S) -> Result<bool, DecodeFault> {
    match varint(source)? {
        len if len < 0 => Ok(false),
        len => source.skip(len as usize).map(|()| true),
    }
}

fn skip_record<S: RecordSource>(source: &mut S, index: i32) -> Result<Outline, DecodeFault> {
    let size = u64::try_from(varint(source)?).map_err(|_| DecodeFault::NegativeSize)?;
    let start = source.position();
    source.byte()?; // Attributes: unused since they exist.
    let timestamp_delta = varlong(source)?;
    let offset_delta = varint(source)?;
    let has_key = skip_field(source)?;
    skip_field(source)?;
    let headers = varint(source)?;
    if headers < 0 {
        return Err(DecodeFault::NegativeHeaders);
    }
    for _ in 0..headers {
        if !skip_field(source)? {
            return Err(DecodeFault::HeaderKey);
        }
        skip_field(source)?;
    }
    if source.position() - start != size {
        return Err(DecodeFault::Size);
    }
    Ok(Outline { index, offset_delta, timestamp_delta, has_key })
}

fn walk<S: RecordSource>(
    source: &mut S,
    count: i32,
    mut each: impl FnMut(Outline),
) -> Result<(), RecordsError> {
    if count < 0 {
        return Err(RecordsError::Count(count));
    }
    for index in 0..count {
        each(skip_record(source, index).map_err(|fault| fault.at(index))?);
    }
    if source.is_at_end().map_err(|fault| fault.at(count))? {
        Ok(())
    } else {
        Err(RecordsError::Trailing { count })
    }
}

/// Walks the records of a batch, inflating them as a stream, and checks that they are whole and as
/// many as the batch counts. Allocates nothing for an uncompressed batch.
pub fn outline(batch: &BatchView<'_>, each: impl FnMut(Outline)) -> Result<(), RecordsError> {
    let header = batch.header();
    if header.is_legacy() {
        return Err(RecordsError::Unreadable("it is of a message format before 2".into()));
    }
    let codec = header.attributes.compression().ok_or_else(unknown_codec)?;
    if codec == super::CompressionType::None {
        let mut source = RecordSlice { bytes: batch.payload(), at: 0 };
        walk(&mut source, header.records_count, each)
    } else {
        walk(&mut codec::reader(codec, batch.payload())?, header.records_count, each)
    }
}

fn unknown_codec() -> RecordsError {
    RecordsError::Unreadable("its compression codec is unknown".into())
}

/// A header of a record. Keys may repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// A record, borrowed from the inflated bytes of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: Offset,
    /// When it was created, or appended if the batch says so.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Vec<Header<'a>>,
}

/// A record for whoever copies it: what compaction asks of it, and the bytes that it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Its attributes, which mean nothing yet.
    pub attributes: u8,
    /// Its offset less the batch's base offset.
    pub offset_delta: i32,
    /// When it was created, or appended if the batch says so.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Whether it has a value; without one it is a tombstone.
    pub has_value: bool,
    /// Its bytes from the length of the key on.
    pub body: &'a [u8],
}

/// The inflated records of a batch, to be iterated.
pub struct Records<'a> {
    header: BatchHeader,
    bytes: std::borrow::Cow<'a, [u8]>,
}

impl<'a> Records<'a> {
    /// Inflates the records of `batch`; an uncompressed batch is borrowed. Those of message formats 0
    /// and 1 are converted to format 2.
    pub fn of(batch: &BatchView<'a>) -> Result<Self, RecordsError> {
        if batch.header().is_legacy() {
            let (header, records) = Messages::of(batch)?.in_current_format()?;
            return Ok(Self { header, bytes: records.into() });
        }
        let codec = batch.header().attributes.compression().ok_or_else(unknown_codec)?;
        let bytes = if codec == super::CompressionType::None {
            batch.payload().into()
        } else {
            codec::inflate(codec, batch.payload())?.into()
        };
        Ok(Self { header: *batch.header(), bytes })
    }

    /// The header that belongs to these records: that of their batch or, in message formats 0 and 1,
    /// the one that a batch of format 2 with them has, without length and CRC.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records, in order. Ends after the first error; bytes after the last record that the
    /// batch counts are one, in place of that record.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record<'_>, RecordsError>> {
        self.each(read)
    }

    /// The same, as bytes.
    pub fn raw(&self) -> impl Iterator<Item = Result<RawRecord<'_>, RecordsError>> {
        self.each(read_raw)
    }

    fn each<'b, T>(
        &'b self,
        read: impl Fn(&mut RecordSlice<'b>, &BatchHeader) -> Result<T, DecodeFault>,
    ) -> impl Iterator<Item = Result<T, RecordsError>> {
        let count = self.header.records_count;
        let mut source = RecordSlice { bytes: &self.bytes, at: 0 };
        let mut index = 0;
        let mut failed = (count < 0).then_some(RecordsError::Count(count));
        std::iter::from_fn(move || {
            if let Some(error) = failed.take() {
                index = i32::MAX;
                return Some(Err(error));
            }
            if index >= count {
                return None;
            }
            let record = read(&mut source, &self.header).map_err(|fault| fault.at(index));
            let record = record.and_then(|record| {
                let is_whole = index + 1 < count || source.at == source.bytes.len();
                if is_whole { Ok(record) } else { Err(RecordsError::Trailing { count }) }
            });
            index = if record.is_ok() { index + 1 } else { i32::MAX };
            Some(record)
        })
    }
}

fn field<'a>(source: &mut RecordSlice<'a>) -> Result<Option<&'a [u8]>, DecodeFault> {
    let Ok(len) = usize::try_from(varint(source)?) else { return Ok(None) };
    let start = source.at;
    source.skip(len)?;
    Ok(Some(&source.bytes[start..source.at]))
}

fn read<'a>(source: &mut RecordSlice<'a>, header: &BatchHeader) -> Result<Record<'a>, DecodeFault> {
    let size = usize::try_from(varint(source)?).map_err(|_| DecodeFault::NegativeSize)?;
    let start = source.at;
    source.byte()?;
    let timestamp = header.timestamp_at(varlong(source)?);
    let offset = header.base_offset.wrapping_add(i64::from(varint(source)?));
    let key = field(source)?;
    let value = field(source)?;
    let headers_count = varint(source)?;
    if headers_count < 0 {
        return Err(DecodeFault::NegativeHeaders);
    }
    let mut headers = Vec::new();
    for _ in 0..headers_count {
        let key = field(source)?.ok_or(DecodeFault::HeaderKey)?;
        headers.push(Header { key, value: field(source)? });
    }
    if source.at - start != size {
        return Err(DecodeFault::Size);
    }
    Ok(Record { offset, timestamp, key, value, headers })
}

fn read_raw<'a>(
    source: &mut RecordSlice<'a>,
    header: &BatchHeader,
) -> Result<RawRecord<'a>, DecodeFault> {
    let size = usize::try_from(varint(source)?).map_err(|_| DecodeFault::NegativeSize)?;
    let start = source.at;
    let attributes = source.byte()?;
    let timestamp = header.timestamp_at(varlong(source)?);
    let offset_delta = varint(source)?;
    let body_start = source.at;
    let key = field(source)?;
    let has_value = skip_field(source)?;
    // Its headers are not looked at.
    let read = source.at - start;
    source.skip(size.checked_sub(read).ok_or(DecodeFault::Size)?)?;
    let body = &source.bytes[body_start..source.at];
    Ok(RawRecord { attributes, offset_delta, timestamp, key, has_value, body })
}

#[cfg(test)]
mod tests {
    use super::super::batch::HEADER_LEN;
    use super::super::builder::{BatchBuilder, rebuild};
    use super::super::{CompressionType, batch};
    use super::*;

    /// A batch whose payload is `records`, said to be `count`.
    fn holding(records: &[u8], count: i32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(100);
        builder.push(Timestamp(1_000), None, None);
        let one = builder.build().unwrap();
        let header = *batch::BatchView::first(&one).unwrap().header();
        let header = BatchHeader { records_count: count, ..header };
        rebuild(&header, records, CompressionType::None, None).unwrap()
    }

    /// What the walk and the iterator say of it: the same.
    fn refusal(records: &[u8], count: i32) -> Option<RecordsError> {
        let bytes = holding(records, count);
        let view = BatchView::first(&bytes).unwrap();
        let walked = outline(&view, |_| {}).err();
        let iterated = Records::of(&view).unwrap().iter().find_map(Result::err);
        assert_eq!(walked, iterated);
        walked
    }

    #[test]
    fn a_header_key_may_repeat_and_its_value_may_be_missing() {
        let mut builder = BatchBuilder::new(7);
        let headers = [
            Header { key: b"k", value: Some(b"1") },
            Header { key: b"k", value: None },
            Header { key: b"", value: Some(b"") },
        ];
        builder.push_with_headers(Timestamp(5), Some(b""), None, &headers);
        let bytes = builder.build().unwrap();
        let records = Records::of(&BatchView::first(&bytes).unwrap()).unwrap();
        let record = records.iter().next().unwrap().unwrap();
        assert_eq!(record.headers, headers);
        assert_eq!((record.key, record.value), (Some(&b""[..]), None));
        assert_eq!((record.offset, record.timestamp), (7, Timestamp(5)));
    }

    #[test]
    fn a_record_must_end_where_its_size_says() {
        // Size 6: attributes, timestamp and offset delta 0, no key, no value, no headers.
        let good = [12, 0, 0, 0, 1, 1, 0];
        assert_eq!(refusal(&good, 1), None);
        for size in [10, 14] {
            let mut bytes = good.to_vec();
            bytes[0] = size;
            bytes.push(0);
            let at_fault = refusal(&bytes, 1);
            assert!(matches!(at_fault, Some(RecordsError::Malformed { index: 0, .. })), "{size}");
        }
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        let good = [12, 0, 0, 0, 1, 1, 0];
        assert_eq!(refusal(&good, -1), Some(RecordsError::Count(-1)));
        assert!(matches!(refusal(&good, 2), Some(RecordsError::Malformed { index: 1, .. })));
        assert_eq!(refusal(&good.repeat(2), 1), Some(RecordsError::Trailing { count: 1 }));
        let negative_size = [1, 0, 0, 0, 1, 1, 0];
        assert!(matches!(refusal(&negative_size, 1), Some(RecordsError::Malformed { .. })));
        let negative_headers = [12, 0, 0, 0, 1, 1, 1];
        assert!(matches!(refusal(&negative_headers, 1), Some(RecordsError::Malformed { .. })));
        let keyless_header = [16, 0, 0, 0, 1, 1, 2, 1, 1];
        assert!(matches!(refusal(&keyless_header, 1), Some(RecordsError::Malformed { .. })));
        let more_headers_than_bytes = [20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(
            refusal(&more_headers_than_bytes, 1),
            Some(RecordsError::Malformed { .. })
        ));
    }

    #[test]
    fn bits_beyond_the_32nd_of_a_varint_are_dropped_as_kafka_drops_them() {
        let read = |bytes: &[u8]| varint(&mut RecordSlice { bytes, at: 0 }).ok();
        assert_eq!(read(&[0xfe, 0xff, 0xff, 0xff, 0x0f]), Some(i32::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(i32::MIN));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x70]), Some(0));
        assert!(read(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]).is_none());
        let read = |bytes: &[u8]| varlong(&mut RecordSlice { bytes, at: 0 }).ok();
        assert_eq!(
            read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Some(i64::MIN)
        );
        assert!(read(&[0x80; 11]).is_none());
    }

    #[test]
    fn records_of_a_batch_with_append_time_have_its_time() {
        let mut builder = BatchBuilder::new(0);
        builder.push(Timestamp(5), None, None);
        let mut bytes = builder.build().unwrap();
        let kind = batch::TimestampType::LogAppendTime;
        super::super::builder::stamp_timestamp(&mut bytes, kind, Timestamp(99));
        let view = BatchView::first(&bytes).unwrap();
        view.check_crc().unwrap();
        let records = Records::of(&view).unwrap();
        assert_eq!(records.iter().next().unwrap().unwrap().timestamp, Timestamp(99));
        assert_eq!(bytes.len(), HEADER_LEN + 7);
    }
}
