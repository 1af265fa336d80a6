//! One file an API: authorize, resolve, call one thing, translate back.

pub mod api_versions;

use bytes::BytesMut;

use super::context::{Reply, RequestContext};
use crate::protocol::messages::{self, DecodeError};

/// The decoded request of `context`.
pub(super) fn decode<T: messages::Decodable>(
    context: &RequestContext,
    body: BytesMut,
) -> Result<T, DecodeError> {
    messages::decode(context.api, context.version, body.freeze())
}

/// A body that is not its request: the connection ends, as in Kafka.
pub(super) fn malformed(error: impl std::fmt::Display) -> Reply {
    Reply::Close(format!("malformed request: {error}"))
}
