//! OffsetForLeaderEpoch: v2-4.
//!
//! Where a leader epoch ended: how a consumer learns that records it read were lost (KIP-320).
//! v3: replica id. v4: flexible.

use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    offset_for_leader_epoch_request::OffsetForLeaderPartition,
    offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, LeaderEpoch, Offset, TopicPartition};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let may_all = context.may_quietly(Operation::ClusterAction, Resource::Cluster);
    let mut steps = context.steps();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let may = if may_all {
            Ok(())
        } else {
            context.require(Operation::Describe, Resource::Topic(&topic.topic.0))
        };
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let answer = EpochEndOffset::default().with_partition(partition.partition);
            partitions.push(match may.and_then(|()| find(context, &topic.topic.0, partition)) {
                Ok((epoch, end_offset)) => {
                    answer.with_leader_epoch(epoch).with_end_offset(end_offset)
                }
                Err(error) => answer.with_error_code(error.code()),
            });
            steps.step().await;
        }
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions),
        );
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

fn find(
    context: &RequestContext,
    topic: &str,
    wanted: &OffsetForLeaderPartition,
) -> Result<(LeaderEpoch, Offset), ErrorCode> {
    let topic = context.image.topics.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(wanted.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let id = TopicPartition { topic: topic.id, partition: wanted.partition };
    let partition = context.broker.partitions.get(id).ok_or(ErrorCode::NotLeaderOrFollower)?;
    partition.check_leader(wanted.current_leader_epoch).map_err(|error| error.code())?;
    Ok(partition.end_offset_for(wanted.leader_epoch))
}
