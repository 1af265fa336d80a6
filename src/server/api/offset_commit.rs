//! OffsetCommit: v2-9.
//!
//! v5: no retention time of its own. v6: leader epochs. v7: static members (KIP-345). v8:
//! flexible. v9: members of the new protocol too (KIP-848).
//! Differs from Kafka: version 10, with topic ids, is not served yet.

use crate::coordinator::groups::command::{
    CommitOffsets, GroupCommand, GroupReply, OffsetToCommit,
};
use crate::protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse,
    offset_commit_request::OffsetCommitRequestTopic,
    offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let group = request.group_id.0.to_string();
    let instance = request.group_instance_id.as_ref();
    let generation = request.generation_id_or_member_epoch;
    let member = super::groups::member(&group, &request.member_id, instance, generation);
    let known = |topic: &OffsetCommitRequestTopic| context.image.topics.by_name(&topic.name.0);
    let mut topics = Vec::new();
    for topic in &request.topics {
        let Some(image) = known(topic) else { continue };
        let offsets = topic.partitions.iter();
        let offsets = offsets.filter(|asked| image.partition(asked.partition_index).is_some());
        let offsets: Vec<OffsetToCommit> = offsets
            .map(|asked| OffsetToCommit {
                partition: asked.partition_index,
                offset: asked.committed_offset,
                leader_epoch: asked.committed_leader_epoch,
                metadata: asked.committed_metadata.as_deref().unwrap_or_default().to_owned(),
            })
            .collect();
        if !offsets.is_empty() {
            topics.push((image.name.to_string(), image.id, offsets));
        }
    }
    let retention_ms = Some(request.retention_time_ms)
        .filter(|ms| (2..=4).contains(&context.version) && *ms != -1);
    let answer = if topics.is_empty() {
        Ok(GroupReply::Partitions(Vec::new())) // Nothing to commit: nobody is asked.
    } else {
        let command =
            GroupCommand::Commit(CommitOffsets { member, producer: None, retention_ms, topics });
        super::groups::ask(context, &group, command).await
    };
    let (mut results, failed) = match answer {
        Ok(GroupReply::Partitions(results)) => (results, None),
        Ok(_) => (Vec::new(), Some(ErrorCode::UnknownServerError)),
        Err(error) => (Vec::new(), Some(commit_code(error))),
    };
    // What was committed comes back in the order of the request.
    let mut committed = results.drain(..).flat_map(|(_, partitions)| partitions);
    let told = request.topics.iter().map(|topic| {
        let image = known(topic);
        let partitions = topic.partitions.iter().map(|asked| {
            let exists = image.is_some_and(|i| i.partition(asked.partition_index).is_some());
            let error = if exists {
                failed.unwrap_or_else(|| committed.next().map_or(ErrorCode::None, |(_, e)| e))
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            OffsetCommitResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(error.code())
        });
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    OffsetCommitResponse::default().with_topics(told.collect())
}

/// Kafka 4.4 `OffsetCommitRequest`: what does not fit a batch has a name of its own here.
fn commit_code(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::RecordListTooLarge | ErrorCode::MessageTooLarge => {
            ErrorCode::InvalidCommitOffsetSize
        }
        ErrorCode::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
        error => error,
    }
}
