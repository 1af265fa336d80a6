//! OffsetCommit: v2-10.
//!
//! v5: no retention time of its own. v6: leader epochs. v7: static members (KIP-345). v8:
//! flexible. v9: members of the new protocol too (KIP-848). v10: topics by their ids.

use std::sync::Arc;

use crate::coordinator::groups::command::{
    CommitOffsets, GroupCommand, GroupReply, OffsetToCommit,
};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::metadata::{Operation, Resource, Topic};
use crate::protocol::declared::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// The version from which on topics are named by id.
const TOPIC_IDS_SINCE: i16 = 10;
/// The version from which on it is told that there is no such group.
const NO_SUCH_GROUP_SINCE: i16 = 9;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let group = &request.group_id;
    let instance_id = request.group_instance_id.clone();
    let member = MemberRef {
        group: group.clone(),
        member_id: request.member_id.clone(),
        instance_id,
        generation: request.generation_id_or_member_epoch,
    };
    let by_id = context.version >= TOPIC_IDS_SINCE;
    let known = |topic: &OffsetCommitRequestTopic| -> Option<&Arc<Topic>> {
        let topics = &context.image.topics;
        if by_id { topics.by_id(topic.topic_id) } else { topics.by_name(&topic.name) }
    };
    let may_commit = context.require(Operation::Read, Resource::Group(group));
    let may_read = |topic: &OffsetCommitRequestTopic| -> Result<(), ErrorCode> {
        may_commit?;
        match known(topic) {
            None if by_id => Ok(()), // There is nothing that could be forbidden.
            None => context.require(Operation::Read, Resource::Topic(&topic.name)),
            Some(image) => context.require(Operation::Read, Resource::Topic(&image.name)),
        }
    };
    let rights: Vec<Result<(), ErrorCode>> = request.topics.iter().map(may_read).collect();
    let mut topics = Vec::new();
    for (topic, may) in request.topics.iter().zip(&rights) {
        let (Some(image), Ok(())) = (known(topic), may) else { continue };
        let offsets = topic.partitions.iter();
        let offsets = offsets.filter(|asked| image.partition(asked.partition_index).is_some());
        let offsets: Vec<OffsetToCommit> = offsets
            .map(|asked| OffsetToCommit {
                partition: asked.partition_index,
                offset: asked.committed_offset,
                leader_epoch: asked.committed_leader_epoch,
                metadata: asked.committed_metadata.clone().unwrap_or_default(),
            })
            .collect();
        if !offsets.is_empty() {
            topics.push((image.name.to_string(), image.id, offsets));
        }
    }
    let retention_ms = Some(request.retention_time_ms).filter(|ms| *ms != -1);
    let answer = if topics.is_empty() {
        Ok(GroupReply::Partitions(Vec::new())) // Nothing to commit: nobody is asked.
    } else {
        let says_no_group = context.version >= NO_SUCH_GROUP_SINCE;
        let command = CommitOffsets { member, producer: None, retention_ms, says_no_group, topics };
        super::groups::ask(context, group, GroupCommand::Commit(command)).await
    };
    let (mut results, failed) = match answer {
        Ok(GroupReply::Partitions(results)) => (results, None),
        Ok(_) => (Vec::new(), Some(ErrorCode::UnknownServerError)),
        Err(error) => (Vec::new(), Some(commit_code(error))),
    };
    // What was committed comes back in the order of the request.
    let mut committed = results.drain(..).flat_map(|(_, partitions)| partitions);
    let told = request.topics.iter().zip(rights).map(|(topic, may)| {
        let image = known(topic);
        let partitions = topic.partitions.iter().map(|asked| {
            let exists = image.is_some_and(|i| i.partition(asked.partition_index).is_some());
            let error = if let Err(code) = may {
                code
            } else if exists {
                failed.unwrap_or_else(|| committed.next().map_or(ErrorCode::None, |(_, e)| e))
            } else if by_id && image.is_none() {
                ErrorCode::UnknownTopicId
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            OffsetCommitResponsePartition {
                partition_index: asked.partition_index,
                error_code: error.code(),
            }
        });
        OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    });
    OffsetCommitResponse { throttle_time_ms: 0, topics: told.collect() }
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
