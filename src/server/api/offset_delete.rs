//! OffsetDelete: v0 (KIP-496).

use crate::coordinator::groups::command::{DeleteOffsets, GroupCommand, GroupReply};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    OffsetDeleteRequest, OffsetDeleteResponse,
    offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let group = request.group_id.0.to_string();
    let response = OffsetDeleteResponse::default();
    if let Err(code) = context.require(Operation::Delete, Resource::Group(&group)) {
        return response.with_error_code(code.code());
    }
    // Kafka does not let a topic that may not be read come to the coordinator.
    let rights: Vec<Result<(), ErrorCode>> = request
        .topics
        .iter()
        .map(|topic| context.require(Operation::Read, Resource::Topic(&topic.name.0)))
        .collect();
    let exists = |topic: &str, partition: i32| {
        context.image.topics.by_name(topic).is_some_and(|t| t.partition(partition).is_some())
    };
    let readable = request.topics.iter().zip(&rights).filter(|(_, may)| may.is_ok());
    let topics = readable.map(|(topic, _)| {
        let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
        let known = partitions.filter(|at| exists(&topic.name.0, *at));
        (topic.name.0.to_string(), known.collect())
    });
    let command = GroupCommand::DeleteOffsets(DeleteOffsets {
        group: group.clone(),
        topics: topics.collect(),
    });
    let results = match super::groups::ask(context, &group, command).await {
        Ok(GroupReply::Partitions(results)) => results,
        Ok(_) => return response.with_error_code(ErrorCode::UnknownServerError.code()),
        Err(error) => return response.with_error_code(error.code()),
    };
    let mut results = results.into_iter();
    let told = request.topics.iter().zip(rights).map(|(topic, may)| {
        let known = may.ok().and_then(|()| results.next()).map(|(_, known)| known);
        let mut known = known.unwrap_or_default().into_iter();
        let partitions = topic.partitions.iter().map(|partition| {
            let error = if let Err(code) = may {
                code
            } else if exists(&topic.name.0, partition.partition_index) {
                known.next().map_or(ErrorCode::None, |(_, error)| error)
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    response.with_topics(told.collect())
}
