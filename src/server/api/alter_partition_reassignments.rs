//! AlterPartitionReassignments: v0-1.
//!
//! Partitions move to other brokers, or their move is cancelled (KIP-455). v1: whether a partition
//! may get more or fewer replicas (KIP-860).
//! A timeout of 0 or less is refused, as by Kafka; any other is not used: no change here takes long.

use crate::controller::command::{AlterPartitionReassignments, Reassignment};
use crate::metadata::Operation;
use crate::protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, StrBytes,
    alter_partition_reassignments_request::ReassignableTopic,
    alter_partition_reassignments_response::{
        ReassignablePartitionResponse, ReassignableTopicResponse,
    },
    topic_name,
};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let command = AlterPartitionReassignments {
        topics: request.topics.iter().map(reassignment).collect(),
        allow_replication_factor_change: request.allow_replication_factor_change,
    };
    let result = |index: i32, (code, message)| {
        ReassignablePartitionResponse::default()
            .with_partition_index(index)
            .with_error_code(code)
            .with_error_message(message)
    };
    let answered = match context.require_on_cluster(Operation::Alter) {
        Ok(()) if request.topics.is_empty() => {
            return AlterPartitionReassignmentsResponse::default()
                .with_error_message(Some(StrBytes::default()));
        }
        Ok(()) => super::call_within(context, request.timeout_ms, command).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(results) => {
            let responses = results.into_iter().map(|(name, partitions)| {
                let partitions = partitions
                    .iter()
                    .map(|(index, verdict)| result(*index, super::verdict(verdict)));
                ReassignableTopicResponse::default()
                    .with_name(topic_name(name))
                    .with_partitions(partitions.collect())
            });
            AlterPartitionReassignmentsResponse::default()
                .with_allow_replication_factor_change(request.allow_replication_factor_change)
                .with_error_message(None)
                .with_responses(responses.collect())
        }
        Err(refusal) => {
            let responses = request.topics.into_iter().map(|topic| {
                let partitions = topic
                    .partitions
                    .iter()
                    .map(|partition| result(partition.partition_index, super::error(&refusal)));
                ReassignableTopicResponse::default()
                    .with_partitions(partitions.collect())
                    .with_name(topic.name)
            });
            let (code, message) = super::error(&refusal);
            AlterPartitionReassignmentsResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_responses(responses.collect())
        }
    }
}

fn reassignment(topic: &ReassignableTopic) -> Reassignment {
    let partitions = topic.partitions.iter().map(|partition| {
        let replicas = partition.replicas.as_deref().map(super::broker_ids);
        (partition.partition_index, replicas)
    });
    (topic.name.0.to_string(), partitions.collect())
}
