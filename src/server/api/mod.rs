//! One file an API: authorize, resolve, call one thing, translate back.

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod allocate_producer_ids;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_delegation_token;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_delegation_token;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod end_txn;
pub mod expire_delegation_token;
pub mod fetch;
pub mod find_coordinator;
mod groups;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod renew_delegation_token;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod unregister_broker;
pub mod update_features;
pub mod write_txn_markers;

use bytes::{Bytes, BytesMut};

use super::context::{Reply, RequestContext};
use crate::controller::command::{self, Refusal, Verdict};
use crate::metadata::{Resource, ResourceType};
use crate::protocol::messages::{self, DecodeError, StrBytes, text};
use crate::types::{BrokerId, ErrorCode};

/// Requests up to this length are decoded from a copy: their strings, of which some are kept, must
/// not keep the whole buffer that the connection reads into.
const COPIED_LEN_MAX: usize = 4 * 1024;

/// The decoded request of `context`.
pub(super) fn decode<T: messages::WireRequest>(
    context: &RequestContext,
    body: BytesMut,
) -> Result<T, DecodeError> {
    let is_small = body.len() <= COPIED_LEN_MAX;
    let body = if is_small { Bytes::copy_from_slice(&body) } else { body.freeze() };
    T::decode_body(body, context.version)
}

/// A body that is not its request: the connection ends, as in Kafka.
pub(super) fn malformed(error: impl std::fmt::Display) -> Reply {
    Reply::Close(format!("malformed request: {error}"))
}

/// Topics that the broker keeps for itself (Kafka 4.4 `Topic.isInternal`).
pub(super) fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// Asks the controller, unless the request's timeout is over at once: Kafka's controller rejects
/// what waits in its queue when its deadline passes, so a timeout of 0 or less is never served
/// (Kafka 4.4 `ControllerRequestContext.requestTimeoutMsToDeadlineNs`).
pub(super) async fn call_within<C: command::Operation>(
    context: &RequestContext,
    timeout_ms: i32,
    command: C,
) -> Result<C::Reply, Refusal> {
    if timeout_ms <= 0 {
        return Err(Refusal::from(ErrorCode::RequestTimedOut));
    }
    context.broker.controller.call(command).await
}

/// Code and message of a refusal, as responses carry them.
pub(super) fn error(refusal: &Refusal) -> (i16, Option<StrBytes>) {
    (refusal.code.code(), refusal.message.as_deref().map(text))
}

/// Code and message of what was done or refused.
pub(super) fn verdict(verdict: &Verdict) -> (i16, Option<StrBytes>) {
    match verdict {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(refusal) => error(refusal),
    }
}

/// The resource whose rights decide over a configuration (Kafka 4.4 `ConfigHelper`).
pub(super) fn configured(kind: ResourceType, name: &str) -> Option<Resource<'_>> {
    match kind {
        ResourceType::Topic => Some(Resource::Topic(name)),
        ResourceType::Group => Some(Resource::Group(name)),
        ResourceType::Broker | ResourceType::BrokerLogger | ResourceType::ClientMetrics => {
            Some(Resource::Cluster)
        }
        ResourceType::Unknown => None,
    }
}

/// The ids of brokers in a request.
pub(super) fn broker_ids(ids: &[messages::BrokerId]) -> Vec<BrokerId> {
    ids.iter().map(|id| id.0).collect()
}
