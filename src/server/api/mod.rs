//! One file an API: authorize, resolve, call one thing, translate back.

pub mod api_versions;
pub mod delete_records;
pub mod describe_cluster;
pub mod describe_log_dirs;
pub mod describe_topic_partitions;
pub mod fetch;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;

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

/// Topics that the broker keeps for itself (Kafka 4.4 `Topic.isInternal`).
pub(super) fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}
