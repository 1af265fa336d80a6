//! ElectLeaders: v0-2.
//!
//! Partitions get their preferred leader, or any that is left (KIP-183, KIP-460). v1: unclean
//! elections; an error of the whole. v2: flexible.
//! A timeout of 0 or less is refused, as by Kafka; any other is not used: no change here takes long.

use crate::controller::command::{ElectLeaders, ElectionType, Refusal};
use crate::metadata::Operation;
use crate::protocol::messages::{
    ElectLeadersRequest, ElectLeadersResponse,
    elect_leaders_response::{PartitionResult, ReplicaElectionResult},
    topic_name,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    if let Err(refusal) = context.require_on_cluster(Operation::Alter) {
        return refused(context.version, request, &refusal);
    }
    if request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
        return ElectLeadersResponse::default();
    }
    let election = match election_type(request.election_type) {
        Ok(election) => election,
        Err(refusal) => return refused(context.version, request, &refusal),
    };
    let partitions = request.topic_partitions.as_ref().map(|topics| {
        topics.iter().map(|topic| (topic.topic.0.to_string(), topic.partitions.clone())).collect()
    });
    let command = ElectLeaders { election, partitions };
    let results = match super::call_within(context, request.timeout_ms, command).await {
        Ok(results) => results,
        Err(refusal) => return refused(context.version, request, &refusal),
    };
    let results = results.into_iter().map(|(name, partitions)| {
        let partitions = partitions.iter().map(|(index, verdict)| {
            let (code, message) = super::verdict(verdict);
            PartitionResult::default()
                .with_partition_id(*index)
                .with_error_code(code)
                .with_error_message(message)
        });
        ReplicaElectionResult::default()
            .with_topic(topic_name(name))
            .with_partition_result(partitions.collect())
    });
    ElectLeadersResponse::default().with_replica_election_results(results.collect())
}

/// By the numbers of Kafka 4.4 `ElectionType`.
fn election_type(number: i8) -> Result<ElectionType, Refusal> {
    match number {
        0 => Ok(ElectionType::Preferred),
        1 => Ok(ElectionType::Unclean),
        _ => {
            Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown election type {number}")))
        }
    }
}

fn refused(version: i16, request: ElectLeadersRequest, refusal: &Refusal) -> ElectLeadersResponse {
    let (code, message) = super::error(refusal);
    let topics = request.topic_partitions.unwrap_or_default();
    let results = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            PartitionResult::default()
                .with_partition_id(*index)
                .with_error_code(code)
                .with_error_message(message.clone())
        });
        ReplicaElectionResult::default()
            .with_topic(topic.topic)
            .with_partition_result(partitions.collect())
    });
    let response = ElectLeadersResponse::default().with_replica_election_results(results.collect());
    // Version 0 has no error of the whole.
    if version == 0 { response } else { response.with_error_code(code) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::elect_leaders_request::TopicPartitions;
    use crate::protocol::messages::encode_response;

    #[test]
    fn a_refusal_can_be_said_at_every_version() {
        let topic =
            TopicPartitions::default().with_topic(topic_name("a")).with_partitions(vec![0, 1]);
        let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]));
        let refusal = election_type(2).unwrap_err();
        assert_eq!(refusal.message.as_deref(), Some("Unknown election type 2"));
        for version in 0..=2 {
            let response = refused(version, request.clone(), &refusal);
            assert_eq!(response.replica_election_results[0].partition_result.len(), 2);
            encode_response(&response, version, 1).unwrap();
        }
    }
}
