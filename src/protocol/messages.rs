//! The one door to the message library: requests and responses, decoded after the walk over their
//! bytes and encoded into whole frames. All of it works in both directions, since nodes are clients
//! of other nodes.

use bytes::{BufMut, Bytes, BytesMut};
pub use kafka_protocol::messages::*;
pub use kafka_protocol::protocol::StrBytes;

use super::apis::ApiFacts;
// A name here hides the library's struct of that name, which lacks the newest version.
pub use super::declared::{
    AddRaftVoterRequest, ApiVersionsRequest, ApiVersionsResponse, BrokerHeartbeatRequest,
    DeleteGroupsResponse, DescribeLogDirsResponse, DescribeShareGroupOffsetsResponse,
    InitProducerIdRequest, InitProducerIdResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, ReadShareGroupStateSummaryResponse,
    ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest,
    StreamsGroupDescribeRequest, StreamsGroupDescribeResponse, StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse, StreamsGroupTopologyDescriptionUpdateRequest,
    StreamsGroupTopologyDescriptionUpdateResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    UnregisterControllerRequest, UnregisterControllerResponse, WriteShareGroupStateRequest,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use super::header::RequestHeader as Header;
use crate::codec::CodecError;
use crate::codec::shape::Shape;
use crate::types;

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A length, a count or a tagged field does not fit, or the version is unknown.
    #[error(transparent)]
    Shape(#[from] CodecError),
    /// A value that the decoder rejects.
    #[error("{message} version {version}: {reason}")]
    Value {
        /// The message.
        message: &'static str,
        /// The version.
        version: i16,
        /// The decoder's reason.
        reason: String,
    },
}

/// A message that cannot be written: a field has a value that the version cannot carry. A bug of
/// the caller, not of a peer.
#[derive(Debug, thiserror::Error)]
#[error("{message} version {version} cannot be written: {reason}")]
pub struct EncodeError {
    /// The message.
    pub message: &'static str,
    /// The version.
    pub version: i16,
    /// The encoder's reason.
    pub reason: String,
}

/// A request or a response.
pub trait WireMessage: Sized + std::fmt::Debug {
    /// The newest version that the message library has; `None` for a message of ours.
    const LIBRARY_NEWEST: Option<i16>;

    /// The API that it belongs to.
    fn api() -> &'static ApiFacts;
    /// What its bytes look like.
    fn shape() -> &'static Shape;
    /// Decodes a body that [`Shape::check`] has passed.
    fn decode_checked(body: Bytes, version: i16) -> Result<Self, DecodeError>;
    /// Appends the body.
    fn encode_body(&self, out: &mut BytesMut, version: i16) -> Result<(), EncodeError>;

    /// Decodes a body from a peer. Bytes after the message are ignored, as Kafka ignores them.
    fn decode_body(mut body: Bytes, version: i16) -> Result<Self, DecodeError> {
        let len = Self::shape().check(version, &body)?;
        body.truncate(len);
        Self::decode_checked(body, version)
    }
}

/// A request.
pub trait WireRequest: WireMessage {
    /// Its response.
    type Response: WireResponse;
}

/// A response.
pub trait WireResponse: WireMessage {
    /// The field that tells the client how many milliseconds to wait before its next request; `None`
    /// where the response has no such field.
    fn throttle_time(&mut self) -> Option<&mut i32>;

    /// Sets the milliseconds that the client must wait before its next request. Does nothing where
    /// the response cannot carry them (Kafka 4.4 `AbstractResponse.maybeSetThrottleTimeMs`).
    fn set_throttle_time(&mut self, milliseconds: i32) {
        if let Some(throttle_time) = self.throttle_time() {
            *throttle_time = milliseconds;
        }
    }
}

/// Implements [`WireMessage`] for a struct of the message library. Where the library lacks the
/// newest version, that version has the layout of the one before (a test compares the shapes).
macro_rules! library {
    ($message:ident, $name:ident, $direction:ident) => {
        impl $crate::protocol::messages::WireMessage for $crate::protocol::messages::$message {
            const LIBRARY_NEWEST: Option<i16> =
                Some(<Self as kafka_protocol::protocol::Message>::VERSIONS.max);

            fn api() -> &'static ApiFacts {
                const FACTS: &ApiFacts = facts(key::$name).expect("the API is in the table");
                FACTS
            }

            fn shape() -> &'static $crate::codec::shape::Shape {
                &Self::api().$direction
            }

            fn decode_checked(
                mut body: bytes::Bytes,
                version: i16,
            ) -> Result<Self, $crate::protocol::messages::DecodeError> {
                let newest = <Self as kafka_protocol::protocol::Message>::VERSIONS.max;
                let decoded =
                    kafka_protocol::protocol::Decodable::decode(&mut body, version.min(newest));
                let message =
                    decoded.map_err(|error| $crate::protocol::messages::DecodeError::Value {
                        message: stringify!($message),
                        version,
                        reason: error.to_string(),
                    })?;
                // The walk says where the message ends. A decoder that ends elsewhere has taken
                // one field for another.
                match body.len() {
                    0 => Ok(message),
                    left => Err($crate::codec::CodecError::Trailing(left).into()),
                }
            }

            fn encode_body(
                &self,
                out: &mut bytes::BytesMut,
                version: i16,
            ) -> Result<(), $crate::protocol::messages::EncodeError> {
                let newest = <Self as kafka_protocol::protocol::Message>::VERSIONS.max;
                kafka_protocol::protocol::Encodable::encode(self, out, version.min(newest)).map_err(
                    |error| $crate::protocol::messages::EncodeError {
                        message: stringify!($message),
                        version,
                        reason: error.to_string(),
                    },
                )
            }
        }
    };
}

/// Implements [`WireMessage`] for a message of `declared`.
macro_rules! declared {
    ($message:ident, $name:ident, $direction:ident) => {
        impl $crate::protocol::messages::WireMessage for $crate::protocol::messages::$message {
            const LIBRARY_NEWEST: Option<i16> = None;

            fn api() -> &'static ApiFacts {
                const FACTS: &ApiFacts = facts(key::$name).expect("the API is in the table");
                FACTS
            }

            fn shape() -> &'static $crate::codec::shape::Shape {
                &Self::api().$direction
            }

            fn decode_checked(
                body: bytes::Bytes,
                version: i16,
            ) -> Result<Self, $crate::protocol::messages::DecodeError> {
                Ok(Self::decode(&body, version)?)
            }

            fn encode_body(
                &self,
                out: &mut bytes::BytesMut,
                version: i16,
            ) -> Result<(), $crate::protocol::messages::EncodeError> {
                let mut writer = $crate::codec::Writer::over(std::mem::take(out));
                let encoded = self.encode(&mut writer, version);
                *out = writer.into_bytes();
                encoded.map_err(|error| $crate::protocol::messages::EncodeError {
                    message: stringify!($message),
                    version,
                    reason: error.to_string(),
                })
            }
        }
    };
}

pub(super) use {declared, library};

/// A whole request: length, header, body.
pub fn encode_request<T: WireRequest>(
    body: &T,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(128);
    out.put_i32(0);
    Header::write(&mut out, T::api(), version, correlation_id, client_id);
    body.encode_body(&mut out, version)?;
    Ok(seal(out))
}

/// A whole response: length, header, body.
pub fn encode_response<T: WireResponse>(
    body: &T,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(128);
    out.put_i32(0);
    out.put_i32(correlation_id);
    if T::api().has_flexible_response_header(version) {
        out.put_u8(0);
    }
    body.encode_body(&mut out, version)?;
    Ok(seal(out))
}

/// Writes the length of a frame into its first four bytes.
fn seal(mut frame: BytesMut) -> Bytes {
    let len = (frame.len() - 4) as i32;
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame.freeze()
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
