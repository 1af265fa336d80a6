//! The headers of requests and responses (Kafka 4.4 `RequestHeader`, `ResponseHeader`), from bytes
//! of a peer that is not trusted.

use bytes::{BufMut, BytesMut};

use super::apis::{ApiFacts, facts};
use crate::codec::{CodecError, Reader, Writer};

/// The header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// Which API.
    pub api: &'static ApiFacts,
    /// Its version, as asked for; it may be one that nobody knows.
    pub version: i16,
    /// Goes back with the response.
    pub correlation_id: i32,
    /// How the client calls itself.
    pub client_id: Option<&'a str>,
    /// Bytes of the header; the body follows.
    pub len: usize,
}

/// Why bytes are not the header of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No API has this number.
    #[error("no API has number {0}")]
    UnknownApi(i16),
    /// The bytes are no header.
    #[error("request header: {0}")]
    Malformed(#[from] CodecError),
}

impl<'a> RequestHeader<'a> {
    /// Reads the header at the start of a frame.
    pub fn read(frame: &'a [u8]) -> Result<Self, HeaderError> {
        let mut reader = Reader::new(frame);
        let key = reader.i16()?;
        let version = reader.i16()?;
        let api = facts(key).ok_or(HeaderError::UnknownApi(key))?;
        let correlation_id = reader.i32()?;
        // Not compact in any version, so that a broker can read it before it knows the version.
        let client_id = reader.nullable_str(false)?;
        if version >= api.flexible_from {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        let len = frame.len() - reader.remaining();
        Ok(Self { api, version, correlation_id, client_id, len })
    }

    /// Appends the header of a request.
    pub fn write(
        out: &mut BytesMut,
        api: &ApiFacts,
        version: i16,
        correlation_id: i32,
        client_id: Option<&str>,
    ) {
        out.put_i16(api.key);
        out.put_i16(version);
        out.put_i32(correlation_id);
        let mut writer = Writer::over(std::mem::take(out));
        writer.nullable_str(client_id, false);
        *out = writer.into_bytes();
        if version >= api.flexible_from {
            out.put_u8(0);
        }
    }
}

/// The header of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The number that the client gave the request.
    pub correlation_id: i32,
    /// Bytes of the header; the body follows.
    pub len: usize,
}

impl ResponseHeader {
    /// The number of the request that a frame answers, whichever API it is.
    pub fn correlation_id(frame: &[u8]) -> Result<i32, CodecError> {
        Reader::new(frame).i32()
    }

    /// Reads the header at the start of a frame that answers a request of `api` at `version`.
    pub fn read(frame: &[u8], api: &ApiFacts, version: i16) -> Result<Self, CodecError> {
        let mut reader = Reader::new(frame);
        let correlation_id = reader.i32()?;
        if api.has_flexible_response_header(version) {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(Self { correlation_id, len: frame.len() - reader.remaining() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_in_both_forms() {
        let old = [0, 3, 0, 8, 0, 0, 0, 7, 0, 2, b'm', b'e', 9];
        let header = RequestHeader::read(&old).unwrap();
        assert_eq!((header.api.name, header.version, header.len), ("Metadata", 8, 12));
        assert_eq!(header.client_id, Some("me"));
        let flexible = [0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 1, 0, 2, 1, 1];
        let header = RequestHeader::read(&flexible).unwrap();
        assert_eq!((header.client_id, header.len), (None, 15));
    }

    #[test]
    fn what_is_not_kafka_is_refused() {
        let cases: [&[u8]; 4] = [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02", b"", &[0, 3, 0]];
        for bytes in cases {
            assert!(RequestHeader::read(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = RequestHeader::read(&bytes);
        }
    }
}
