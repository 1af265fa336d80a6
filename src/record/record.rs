//! Records inside a batch.
//!
//! ```text
//! length varint, attributes i8, timestampDelta varlong, offsetDelta varint,
//! keyLength varint, key, valueLength varint, value,
//! headersCount varint, [keyLength varint, key, valueLength varint, value]
//! ```
//!
//! Source: Kafka 4.4 `DefaultRecord.readFrom`.

use std::io::{self, Read};

use super::batch::{BatchHeader, BatchView, TimestampType};
use super::codec;
use crate::types::{Offset, Timestamp};

/// Why bytes are not the records that their batch claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The bytes end inside a record, or do not inflate.
    #[error("the records end too soon or cannot be read: {0}")]
    Unreadable(String),
    /// A length, count or varint that cannot be.
    #[error("record {index}: {what}")]
    Malformed {
        /// Which record, from 0.
        index: i32,
        /// What about it.
        what: &'static str,
    },
    /// Bytes after the last record that the batch counts.
    #[error("bytes follow the {count} records that the batch counts")]
    Trailing {
        /// As the header says.
        count: i32,
    },
}

impl From<io::Error> for RecordsError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
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
trait Source {
    fn byte(&mut self) -> Result<u8, RecordsError>;
    fn skip(&mut self, count: usize) -> Result<(), RecordsError>;
    /// How many bytes were taken.
    fn position(&self) -> u64;
    fn is_at_end(&mut self) -> Result<bool, RecordsError>;
}

struct Slice<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn too_short() -> RecordsError {
    RecordsError::Unreadable("unexpected end of the batch".into())
}

impl Source for Slice<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, RecordsError> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(too_short)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<(), RecordsError> {
        if count > self.bytes.len() - self.at {
            return Err(too_short());
        }
        self.at += count;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.at as u64
    }

    fn is_at_end(&mut self) -> Result<bool, RecordsError> {
        Ok(self.at == self.bytes.len())
    }
}

const STREAM_BUFFER_LEN: usize = 16 * 1024;

struct Stream<R> {
    reader: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    before: u64,
}

impl<R: Read> Stream<R> {
    fn new(reader: R) -> Self {
        let buffer = vec![0; STREAM_BUFFER_LEN].into_boxed_slice();
        Self { reader, buffer, at: 0, end: 0, before: 0 }
    }

    /// Whether there are more bytes, after reading some if the buffer is used up.
    fn fill(&mut self) -> Result<bool, RecordsError> {
        if self.at == self.end {
            self.before += self.end as u64;
            self.at = 0;
            self.end = self.reader.read(&mut self.buffer)?;
        }
        Ok(self.at < self.end)
    }
}

impl<R: Read> Source for Stream<R> {
    #[inline]
    fn byte(&mut self) -> Result<u8, RecordsError> {
        if self.at == self.end && !self.fill()? {
            return Err(too_short());
        }
        let byte = self.buffer[self.at];
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn skip(&mut self, mut count: usize) -> Result<(), RecordsError> {
        loop {
            let here = count.min(self.end - self.at);
            self.at += here;
            count -= here;
            if count == 0 {
                return Ok(());
            }
            if !self.fill()? {
                return Err(too_short());
            }
        }
    }

    fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    fn is_at_end(&mut self) -> Result<bool, RecordsError> {
        Ok(!self.fill()?)
    }
}

#[inline]
fn varlong<S: Source>(source: &mut S, bytes_max: u32) -> Result<i64, RecordsError> {
    let mut value = 0u64;
    for shift in 0..bytes_max {
        let byte = source.byte()?;
        value |= u64::from(byte & 0x7f) << (shift * 7);
        if byte & 0x80 == 0 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(RecordsError::Unreadable(format!("a varint is longer than {bytes_max} bytes")))
}

#[inline]
fn varint<S: Source>(source: &mut S) -> Result<i32, RecordsError> {
    Ok(varlong(source, 5)? as i32)
}

/// Skips a value with a length before it; whether it is there (not null).
#[inline]
fn skip_field<S: Source>(source: &mut S) -> Result<bool, RecordsError> {
    match varint(source)? {
        len if len < 0 => Ok(false),
        len => source.skip(len as usize).map(|()| true),
    }
}

fn walk<S: Source>(
    source: &mut S,
    count: i32,
    mut each: impl FnMut(Outline),
) -> Result<(), RecordsError> {
    for index in 0..count {
        let malformed = |what| RecordsError::Malformed { index, what };
        let size = varint(source)?;
        let Ok(size) = u64::try_from(size) else { return Err(malformed("its size is negative")) };
        let start = source.position();
        source.byte()?; // Attributes: unused since they exist.
        let timestamp_delta = varlong(source, 10)?;
        let offset_delta = varint(source)?;
        let has_key = skip_field(source)?;
        skip_field(source)?;
        let headers = varint(source)?;
        if headers < 0 {
            return Err(malformed("its number of headers is negative"));
        }
        for _ in 0..headers {
            if !skip_field(source)? {
                return Err(malformed("a header has no key"));
            }
            skip_field(source)?;
        }
        if source.position() - start != size {
            return Err(malformed("its size is not that of its fields"));
        }
        each(Outline { index, offset_delta, timestamp_delta, has_key });
    }
    if source.is_at_end()? { Ok(()) } else { Err(RecordsError::Trailing { count }) }
}

/// Walks the records of a batch, inflating them as a stream, and checks that they are whole and as
/// many as the batch counts. Allocates nothing for an uncompressed batch.
pub fn outline(batch: &BatchView<'_>, each: impl FnMut(Outline)) -> Result<(), RecordsError> {
    let header = batch.header();
    let codec = header.attributes.compression().ok_or_else(unknown_codec)?;
    if codec == super::CompressionType::None {
        let mut source = Slice { bytes: batch.payload(), at: 0 };
        walk(&mut source, header.records_count, each)
    } else {
        let mut source = Stream::new(codec::reader(codec, batch.payload())?);
        walk(&mut source, header.records_count, each)
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

/// The inflated records of a batch, to be iterated.
pub struct Records<'a> {
    header: BatchHeader,
    bytes: std::borrow::Cow<'a, [u8]>,
}

impl<'a> Records<'a> {
    /// Inflates the records of `batch`; an uncompressed batch is borrowed.
    pub fn of(batch: &BatchView<'a>) -> Result<Self, RecordsError> {
        let codec = batch.header().attributes.compression().ok_or_else(unknown_codec)?;
        let bytes = if codec == super::CompressionType::None {
            batch.payload().into()
        } else {
            codec::inflate(codec, batch.payload())?.into()
        };
        Ok(Self { header: *batch.header(), bytes })
    }

    /// The records, in order. Ends after the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record<'_>, RecordsError>> {
        let mut source = Slice { bytes: &self.bytes, at: 0 };
        let mut index = 0;
        std::iter::from_fn(move || {
            if index >= self.header.records_count {
                return None;
            }
            let record = read(&mut source, &self.header, index);
            index = if record.is_ok() { index + 1 } else { i32::MAX };
            Some(record)
        })
    }
}

fn field<'a>(source: &mut Slice<'a>) -> Result<Option<&'a [u8]>, RecordsError> {
    let len = varint(source)?;
    let Ok(len) = usize::try_from(len) else { return Ok(None) };
    let start = source.at;
    source.skip(len)?;
    Ok(Some(&source.bytes[start..source.at]))
}

fn read<'a>(
    source: &mut Slice<'a>,
    header: &BatchHeader,
    index: i32,
) -> Result<Record<'a>, RecordsError> {
    let malformed = |what| RecordsError::Malformed { index, what };
    let size = varint(source)?;
    let start = source.at;
    source.byte()?;
    let timestamp_delta = varlong(source, 10)?;
    let offset_delta = varint(source)?;
    let key = field(source)?;
    let value = field(source)?;
    let mut headers = Vec::new();
    for _ in 0..varint(source)? {
        let key = field(source)?.ok_or(malformed("a header has no key"))?;
        headers.push(Header { key, value: field(source)? });
    }
    if usize::try_from(size).ok() != Some(source.at - start) {
        return Err(malformed("its size is not that of its fields"));
    }
    let timestamp = match header.attributes.timestamp_type() {
        TimestampType::LogAppendTime => header.max_timestamp,
        TimestampType::CreateTime => {
            Timestamp(header.base_timestamp.0.saturating_add(timestamp_delta))
        }
    };
    let offset = header.base_offset.saturating_add(i64::from(offset_delta));
    Ok(Record { offset, timestamp, key, value, headers })
}
