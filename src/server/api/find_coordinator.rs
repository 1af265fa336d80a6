//! FindCoordinator: v0-6.
//!
//! The first question brings the internal topic into being (Kafka 4.4
//! `DefaultAutoTopicCreationManager`). v1: transactional ids. v3: flexible. v4: several keys
//! (KIP-699).
//! Differs from Kafka: whoever brought the topic into being is answered with the coordinator, not
//! with COORDINATOR_NOT_AVAILABLE.

use crate::controller::command::{CreateTopics, NewTopic};
use crate::coordinator::partition_for;
use crate::metadata::Topic;
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, StrBytes,
    find_coordinator_response::Coordinator, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// What a key is of.
#[derive(Clone, Copy)]
enum KeyType {
    Group,
    Transaction,
}

/// Key type of share groups, which are not served.
const SHARE: i8 = 2;

/// The message of versions 1 to 3 where there is no error; clients assert it.
const NO_ERROR: &str = "NONE";

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let kind = match request.key_type {
        0 => Ok(KeyType::Group),
        1 => Ok(KeyType::Transaction),
        _ => Err(ErrorCode::InvalidRequest),
    };
    let keys = if context.version < 4 { vec![request.key] } else { request.coordinator_keys };
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let coordinator = match kind {
            Ok(kind) => find(context, kind, &key).await,
            Err(error) => Err(error),
        };
        let told = Coordinator::default().with_key(key);
        found.push(match coordinator {
            Ok((id, host, port)) => {
                told.with_node_id(BrokerId(id)).with_host(text(host)).with_port(port)
            }
            Err(error) => told
                .with_node_id(BrokerId(-1))
                .with_port(-1)
                .with_error_code(error.code())
                .with_error_message(message(context.version, request.key_type, error)),
        });
    }
    let response = FindCoordinatorResponse::default();
    if context.version >= 4 {
        return response.with_coordinators(found);
    }
    let Some(only) = found.pop() else { return response };
    let error = ErrorCode::from_code(only.error_code).unwrap_or(ErrorCode::UnknownServerError);
    response
        .with_error_code(only.error_code)
        .with_error_message(message(context.version, request.key_type, error))
        .with_node_id(only.node_id)
        .with_host(only.host)
        .with_port(only.port)
}

/// The message beside an error, as Kafka 4.4 `KafkaApis.getCoordinator` leaves it: from version 4 on
/// empty, unless the key type fails the whole request.
fn message(version: i16, key_type: i8, error: ErrorCode) -> Option<StrBytes> {
    let fails_whole = !(0..=SHARE).contains(&key_type);
    match version {
        0 => None,
        1..=3 if error.is_none() => Some(text(NO_ERROR)),
        4.. if !fails_whole => Some(StrBytes::default()),
        _ => error.message().map(text),
    }
}

async fn find(
    context: &RequestContext,
    kind: KeyType,
    key: &str,
) -> Result<(i32, String, i32), ErrorCode> {
    let of = match kind {
        KeyType::Group => Resource::Group(key),
        KeyType::Transaction => Resource::TransactionalId(key),
    };
    context.require(Operation::Describe, of)?;
    let name = match kind {
        KeyType::Group => "__consumer_offsets",
        KeyType::Transaction => "__transaction_state",
    };
    if context.broker.image.load().topics.by_name(name).is_none() {
        create(context, kind, name).await?;
    }
    // The controller's client returned after this node had published the new topic.
    let image = context.broker.image.load_full();
    let topic: &Topic = image.topics.by_name(name).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let at = partition_for(key, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
    let leader = topic.partition(at).map_or(-1, |partition| partition.leader);
    let broker = image.cluster.brokers.get(&leader).filter(|_| image.cluster.is_alive(leader));
    let endpoint = broker
        .and_then(|broker| broker.endpoint(&context.listener.name))
        .ok_or(ErrorCode::CoordinatorNotAvailable)?;
    Ok((leader, endpoint.host.clone(), i32::from(endpoint.port)))
}

async fn create(context: &RequestContext, kind: KeyType, name: &str) -> Result<(), ErrorCode> {
    let settings = context.broker.configuration.started_with();
    let config = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let mut configs = vec![config("cleanup.policy", "compact")];
    let (partitions, replication_factor) = match kind {
        KeyType::Group => {
            let group = &settings.group;
            configs.push(config("compression.type", "producer"));
            configs.push(config("segment.bytes", &group.offsets_topic_segment_bytes.to_string()));
            (group.offsets_topic_num_partitions, group.offsets_topic_replication_factor)
        }
        KeyType::Transaction => {
            let transaction = &settings.transaction;
            let segment_bytes = transaction.transaction_state_log_segment_bytes.to_string();
            let min_isr = transaction.transaction_state_log_min_isr.to_string();
            configs.push(config("compression.type", "uncompressed"));
            configs.push(config("segment.bytes", &segment_bytes));
            configs.push(config("min.insync.replicas", &min_isr));
            configs.push(config("unclean.leader.election.enable", "false"));
            (
                transaction.transaction_state_log_num_partitions,
                transaction.transaction_state_log_replication_factor,
            )
        }
    };
    let topic = NewTopic {
        name: name.to_owned(),
        partitions,
        replication_factor,
        assignments: Vec::new(),
        configs,
    };
    let command = CreateTopics { topics: vec![topic], validate_only: false };
    let results = context.broker.controller.call(command).await;
    let failed = match &results {
        Ok(results) => results.iter().find_map(|result| result.result.as_ref().err()),
        Err(refusal) => Some(refusal),
    };
    match failed {
        Some(refusal) if refusal.code != ErrorCode::TopicAlreadyExists => {
            tracing::warn!(topic = name, %refusal, "an internal topic cannot be created");
            Err(ErrorCode::CoordinatorNotAvailable)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_beside_an_error_depends_on_the_version() {
        let said = |version, key_type, error| {
            message(version, key_type, error).map(|message| message.to_string())
        };
        let described = ErrorCode::InvalidRequest.message().map(str::to_owned);
        assert_eq!(said(0, 0, ErrorCode::None), None);
        assert_eq!(said(1, 0, ErrorCode::None).as_deref(), Some("NONE"));
        assert_eq!(said(3, 9, ErrorCode::InvalidRequest), described);
        assert_eq!(
            said(3, 0, ErrorCode::GroupAuthorizationFailed).as_deref(),
            Some("Group authorization failed.")
        );
        for (key_type, error) in
            [(0, ErrorCode::CoordinatorNotAvailable), (SHARE, ErrorCode::InvalidRequest)]
        {
            assert_eq!(said(4, key_type, error).as_deref(), Some(""));
        }
        assert_eq!(said(4, 9, ErrorCode::InvalidRequest), described);
        assert_eq!(said(6, -1, ErrorCode::InvalidRequest), described);
    }
}
