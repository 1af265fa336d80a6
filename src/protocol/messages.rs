//! The one door to the message library: its messages, decoded behind the guard and encoded into
//! whole responses.

use bytes::{BufMut, Bytes, BytesMut};
pub use kafka_protocol::messages::*;
pub use kafka_protocol::protocol::Decodable;
pub use kafka_protocol::protocol::StrBytes;
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::apis::{ApiFacts, key};
use super::shape;
use crate::codec::CodecError;
use crate::types;

/// Why a body is not the request it should be.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The guard says so.
    #[error(transparent)]
    Shape(#[from] CodecError),
    /// The message library says so.
    #[error("{api} version {version}: {reason}")]
    Message {
        /// The API.
        api: &'static str,
        /// The version.
        version: i16,
        /// In the library's words.
        reason: String,
    },
}

/// The version at which the message library reads the requests of `version` of an API. It lacks
/// some newest versions; these here changed the meaning of values or the response, not the layout.
pub fn request_layout(api: &ApiFacts, version: i16) -> i16 {
    match (api.key, version) {
        (key::ListOffsets, 11) => 10,
        (key::DescribeLogDirs, 5) => 4,
        (key::DeleteGroups, 3) => 2,
        (key::ReadShareGroupStateSummary | key::DescribeShareGroupOffsets, 1) => 0,
        _ => version,
    }
}

/// The version at which the message library writes the responses of `version` of an API.
pub fn response_layout(api: &ApiFacts, version: i16) -> i16 {
    match (api.key, version) {
        // Version 11 has one more special timestamp (KIP-1023).
        (key::ListOffsets, 11) => 10,
        _ => version,
    }
}

/// Decodes a request of the message library, behind the guard.
pub fn decode<T: Decodable>(
    api: &'static ApiFacts,
    version: i16,
    mut body: Bytes,
) -> Result<T, DecodeError> {
    shape::check(api, version, &body)?;
    T::decode(&mut body, request_layout(api, version)).map_err(|error| DecodeError::Message {
        api: api.name,
        version,
        reason: error.to_string(),
    })
}

/// A message that can be the body of a request.
pub trait RequestBody: Sized {
    /// Reads it, whatever the bytes are.
    fn decode_body(api: &'static ApiFacts, version: i16, body: Bytes) -> Result<Self, DecodeError>;
}

impl<T: Decodable> RequestBody for T {
    fn decode_body(api: &'static ApiFacts, version: i16, body: Bytes) -> Result<Self, DecodeError> {
        decode(api, version, body)
    }
}

/// A message that can be the body of a response.
pub trait ResponseBody: std::fmt::Debug {
    /// Whether the response header has tagged fields at this version of the API.
    fn has_flexible_header(version: i16) -> bool;
    /// Appends the body. Errors only where a field cannot be said at the version: a bug of ours.
    fn encode_body(&self, out: &mut BytesMut, version: i16) -> Result<(), String>;
}

impl<T: Encodable + HeaderVersion + std::fmt::Debug> ResponseBody for T {
    fn has_flexible_header(version: i16) -> bool {
        T::header_version(version) > 0
    }
    fn encode_body(&self, out: &mut BytesMut, version: i16) -> Result<(), String> {
        self.encode(out, version).map_err(|error| error.to_string())
    }
}

/// A whole response: length, header, body.
pub fn encode_response<T: ResponseBody>(
    body: &T,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, String> {
    let mut out = BytesMut::with_capacity(128);
    out.put_i32(0);
    out.put_i32(correlation_id);
    if T::has_flexible_header(version) {
        out.put_u8(0);
    }
    body.encode_body(&mut out, version)?;
    let len = (out.len() - 4) as i32;
    out[..4].copy_from_slice(&len.to_be_bytes());
    Ok(out.freeze())
}

/// A string for a message.
pub fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A topic's name for a message.
pub fn topic_name(name: impl Into<String>) -> TopicName {
    TopicName(text(name))
}

/// An id for a message.
pub fn wire_uuid(id: types::Uuid) -> uuid::Uuid {
    uuid::Uuid::from_bytes(id.0)
}

/// An id from a message.
pub fn uuid_of(id: uuid::Uuid) -> types::Uuid {
    types::Uuid(*id.as_bytes())
}
