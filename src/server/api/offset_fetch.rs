//! OffsetFetch: v1-10.
//!
//! v2: all topics of a group. v5: leader epochs. v6: flexible. v7: only stable offsets (KIP-447).
//! v8: several groups (KIP-709). v9: members of the new protocol (KIP-848). v10: topics by their
//! ids.

use crate::coordinator::groups::command::{FetchOffsets, FetchedOffset, GroupCommand, GroupReply};
use crate::metadata::{Operation, Resource};
use crate::protocol::declared::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, PartitionIndex, Uuid};

/// The version from which on topics are named by id.
const TOPIC_IDS_SINCE: i16 = 10;

type RequestedOffsets = Option<Vec<(String, Vec<PartitionIndex>)>>;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    if context.version < 8 {
        let topics: RequestedOffsets = request.topics.map(|topics| {
            topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect()
        });
        let asked = FetchOffsets {
            group: request.group_id.clone(),
            member_id: None,
            member_epoch: -1,
            require_stable,
            topics: topics.clone(),
        };
        let fetched = fetch(context, asked).await;
        return before_8(context.version, fetched, topics);
    }
    let mut groups = Vec::with_capacity(request.groups.len());
    let mut steps = context.steps();
    for asked in request.groups {
        groups.push(fetch_group(context, asked, require_stable).await);
        steps.step().await;
    }
    OffsetFetchResponse { groups, ..OffsetFetchResponse::default() }
}

/// One of several groups.
async fn fetch_group(
    context: &RequestContext,
    asked: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let by_id = context.version >= TOPIC_IDS_SINCE;
    let image = &context.image.topics;
    let mut unknown = Vec::new();
    let topics: RequestedOffsets = asked.topics.map(|topics| {
        let mut named = Vec::with_capacity(topics.len());
        for topic in topics {
            if !by_id {
                named.push((topic.name, topic.partition_indexes));
            } else if let Some(known) = image.by_id(topic.topic_id) {
                named.push((known.name.to_string(), topic.partition_indexes));
            } else {
                unknown.push(topic);
            }
        }
        named
    });
    let fetched = match topics {
        // Nothing is left to ask for; without topics it would be asked for all.
        Some(topics) if topics.is_empty() && !unknown.is_empty() => Ok(Vec::new()),
        topics => {
            let asked = FetchOffsets {
                group: asked.group_id.clone(),
                member_id: asked.member_id.clone(),
                member_epoch: asked.member_epoch,
                require_stable,
                topics,
            };
            fetch(context, asked).await
        }
    };
    let told = OffsetFetchResponseGroup { group_id: asked.group_id, ..Default::default() };
    match fetched {
        Ok(topics) => {
            let named = topics.into_iter().filter_map(|(name, partitions)| {
                let topic_id = image.by_name(&name).map(|topic| topic.id);
                // A topic that is gone has no id to tell it by.
                (topic_id.is_some() || !by_id)
                    .then(|| topic(name, topic_id.unwrap_or(Uuid::ZERO), partitions))
            });
            let topics = named.chain(unknown.into_iter().map(unknown_topic)).collect();
            OffsetFetchResponseGroup { topics, ..told }
        }
        Err(error) => OffsetFetchResponseGroup { error_code: error.code(), ..told },
    }
}

fn unknown_topic(asked: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partitions =
        asked.partition_indexes.into_iter().map(|partition_index| OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: -1,
            metadata: Some(String::new()),
            error_code: ErrorCode::UnknownTopicId.code(),
            ..OffsetFetchResponsePartitions::default()
        });
    OffsetFetchResponseTopics {
        name: asked.name,
        topic_id: asked.topic_id,
        partitions: partitions.collect(),
    }
}

/// What was committed, of the topics that the client may see; of others that it names, that it may
/// not.
async fn fetch(
    context: &RequestContext,
    asked: FetchOffsets,
) -> Result<Vec<(String, Vec<FetchedOffset>)>, ErrorCode> {
    let group = asked.group.clone();
    context.require(Operation::Describe, Resource::Group(&group))?;
    let may_see = |name: &str| context.may(Operation::Describe, Resource::Topic(name));
    let is_all = asked.topics.is_none();
    let (seen, hidden): (RequestedOffsets, Vec<(String, Vec<PartitionIndex>)>) = match asked.topics
    {
        None => (None, Vec::new()),
        Some(topics) => {
            let (seen, hidden) = topics.into_iter().partition(|(name, _)| may_see(name));
            (Some(seen), hidden)
        }
    };
    let asked = FetchOffsets { topics: seen, ..asked };
    let reply = super::groups::ask(context, &group, GroupCommand::Fetch(asked)).await?;
    let GroupReply::Fetched(mut fetched) = reply else {
        return Err(ErrorCode::UnknownServerError);
    };
    if is_all {
        fetched.retain(|(name, _)| may_see(name));
    }
    fetched.extend(hidden.into_iter().map(|(name, partitions)| {
        let refused = partitions.into_iter().map(|partition| FetchedOffset {
            partition,
            offset: -1,
            leader_epoch: -1,
            metadata: String::new(),
            error: ErrorCode::TopicAuthorizationFailed,
        });
        (name, refused.collect())
    }));
    Ok(fetched)
}

fn topic(name: String, topic_id: Uuid, fetched: Vec<FetchedOffset>) -> OffsetFetchResponseTopics {
    let partitions = fetched.into_iter().map(|fetched| OffsetFetchResponsePartitions {
        partition_index: fetched.partition,
        committed_offset: fetched.offset,
        committed_leader_epoch: fetched.leader_epoch,
        metadata: Some(fetched.metadata),
        error_code: fetched.error.code(),
    });
    OffsetFetchResponseTopics { name, topic_id, partitions: partitions.collect() }
}

/// One group; version 1 has no place for the group's error but the partitions.
fn before_8(
    version: i16,
    fetched: Result<Vec<(String, Vec<FetchedOffset>)>, ErrorCode>,
    asked: RequestedOffsets,
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
        let partitions = partitions.into_iter().map(|fetched| OffsetFetchResponsePartition {
            partition_index: fetched.partition,
            committed_offset: fetched.offset,
            committed_leader_epoch: fetched.leader_epoch,
            metadata: Some(fetched.metadata),
            error_code: fetched.error.code(),
        });
        OffsetFetchResponseTopic { name, partitions: partitions.collect() }
    });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: error.code(),
        ..OffsetFetchResponse::default()
    }
}
