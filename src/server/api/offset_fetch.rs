//! OffsetFetch: v1-9.
//!
//! v2: all topics of a group. v5: leader epochs. v6: flexible. v7: only stable offsets (KIP-447).
//! v8: several groups (KIP-709). v9: members of the new protocol (KIP-848).
//! Differs from Kafka: version 10, with topic ids, is not served yet.

use crate::coordinator::groups::command::{FetchOffsets, FetchedOffset, GroupCommand, GroupReply};
use crate::protocol::messages::{
    GroupId, OffsetFetchRequest, OffsetFetchResponse,
    offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
        OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
    text, topic_name,
};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, PartitionIndex};

type Topics = Option<Vec<(String, Vec<PartitionIndex>)>>;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    if context.version < 8 {
        let topics: Topics = request.topics.as_ref().map(|topics| {
            topics.iter().map(|t| (t.name.0.to_string(), t.partition_indexes.clone())).collect()
        });
        let fetched = fetch(context, &request.group_id.0, topics.clone(), require_stable).await;
        return before_8(context.version, fetched, topics);
    }
    let mut groups = Vec::with_capacity(request.groups.len());
    for asked in &request.groups {
        let topics: Topics = asked.topics.as_ref().map(|topics| {
            topics.iter().map(|t| (t.name.0.to_string(), t.partition_indexes.clone())).collect()
        });
        let told = OffsetFetchResponseGroup::default()
            .with_group_id(GroupId(text(asked.group_id.0.as_str())));
        groups.push(match fetch(context, &asked.group_id.0, topics, require_stable).await {
            Ok(topics) => told.with_topics(topics.into_iter().map(topic).collect()),
            Err(error) => told.with_error_code(error.code()),
        });
    }
    OffsetFetchResponse::default().with_groups(groups)
}

async fn fetch(
    context: &RequestContext,
    group: &str,
    topics: Topics,
    require_stable: bool,
) -> Result<Vec<(String, Vec<FetchedOffset>)>, ErrorCode> {
    let asked = FetchOffsets { group: group.to_owned(), require_stable, topics };
    match super::groups::ask(context, group, GroupCommand::Fetch(asked)).await {
        Ok(GroupReply::Fetched(topics)) => Ok(topics),
        Ok(_) => Err(ErrorCode::UnknownServerError),
        Err(error) => Err(error),
    }
}

fn topic((name, partitions): (String, Vec<FetchedOffset>)) -> OffsetFetchResponseTopics {
    let partitions = partitions.into_iter().map(|fetched| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(fetched.partition)
            .with_committed_offset(fetched.offset)
            .with_committed_leader_epoch(fetched.leader_epoch)
            .with_metadata(Some(text(fetched.metadata)))
            .with_error_code(fetched.error.code())
    });
    OffsetFetchResponseTopics::default()
        .with_name(topic_name(name))
        .with_partitions(partitions.collect())
}

/// One group; version 1 has no place for the group's error but the partitions.
fn before_8(
    version: i16,
    fetched: Result<Vec<(String, Vec<FetchedOffset>)>, ErrorCode>,
    asked: Topics,
) -> OffsetFetchResponse {
    let (topics, error) = match fetched {
        Ok(topics) => (topics, ErrorCode::None),
        Err(error) if version >= 2 => (Vec::new(), error),
        Err(error) => {
            let none = |partition| FetchedOffset {
                partition,
                offset: -1,
                leader_epoch: -1,
                metadata: String::new(),
                error,
            };
            let asked = asked.unwrap_or_default().into_iter();
            let topics = asked.map(|(name, at)| (name, at.into_iter().map(none).collect()));
            (topics.collect(), error)
        }
    };
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|fetched| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(fetched.partition)
                .with_committed_offset(fetched.offset)
                .with_committed_leader_epoch(fetched.leader_epoch)
                .with_metadata(Some(text(fetched.metadata)))
                .with_error_code(fetched.error.code())
        });
        OffsetFetchResponseTopic::default()
            .with_name(topic_name(name))
            .with_partitions(partitions.collect())
    });
    let response = OffsetFetchResponse::default().with_topics(topics.collect());
    if version >= 2 { response.with_error_code(error.code()) } else { response }
}
