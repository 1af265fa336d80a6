//! DeleteRecords: v0-2.
//!
//! Moves each partition's log start forward (KIP-107); segments go later, in retention. v2:
//! flexible.

use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse,
    delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
};
use crate::server::context::RequestContext;
use crate::store::StoreError;
use crate::types::{ErrorCode, Offset, TopicPartition};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut steps = context.steps();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let may = context.require(Operation::Delete, Resource::Topic(&topic.name.0));
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let index = wanted.partition_index;
            let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
            let done = may.and_then(|()| delete(context, &topic.name.0, index, wanted.offset));
            partitions.push(match done {
                Ok(low_watermark) => result.with_low_watermark(low_watermark),
                Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
            });
            steps.step().await;
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

fn delete(
    context: &RequestContext,
    topic: &str,
    index: i32,
    offset: Offset,
) -> Result<Offset, ErrorCode> {
    if super::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let topic = context.image.topics.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let id = TopicPartition { topic: topic.id, partition: index };
    let partition = context.broker.partitions.get(id).ok_or(ErrorCode::NotLeaderOrFollower)?;
    partition.check_leader(-1).map_err(|error| error.code())?;
    if !partition.config().delete {
        return Err(ErrorCode::PolicyViolation);
    }
    partition.delete_records(offset).map_err(|error: StoreError| error.code())
}
