//! ListPartitionReassignments: v0.
//!
//! The partitions that are on the move (KIP-455).

use crate::controller::{Ongoing, ongoing_reassignments};
use crate::metadata::Operation;
use crate::protocol::messages::{
    self, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    list_partition_reassignments_response::{
        OngoingPartitionReassignment, OngoingTopicReassignment,
    },
    topic_name,
};
use crate::server::context::RequestContext;
use crate::types::{BrokerId, PartitionIndex};

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    if let Err(refusal) = context.require_on_cluster(Operation::Describe) {
        let (code, message) = super::error(&refusal);
        return ListPartitionReassignmentsResponse::default()
            .with_error_code(code)
            .with_error_message(message);
    }
    let asked: Option<Vec<(String, Vec<PartitionIndex>)>> = request.topics.map(|topics| {
        topics.into_iter().map(|t| (t.name.0.to_string(), t.partition_indexes)).collect()
    });
    let found = ongoing_reassignments(&context.image, asked.as_deref());
    let topics = found.into_iter().map(|(name, partitions)| {
        OngoingTopicReassignment::default()
            .with_name(topic_name(name))
            .with_partitions(partitions.iter().map(ongoing).collect())
    });
    ListPartitionReassignmentsResponse::default()
        .with_error_message(None)
        .with_topics(topics.collect())
}

fn ongoing(moving: &Ongoing) -> OngoingPartitionReassignment {
    let wire = |ids: &[BrokerId]| ids.iter().map(|id| messages::BrokerId(*id)).collect();
    OngoingPartitionReassignment::default()
        .with_partition_index(moving.partition)
        .with_replicas(wire(&moving.replicas))
        .with_adding_replicas(wire(&moving.adding))
        .with_removing_replicas(wire(&moving.removing))
}
