//! DescribeTopicPartitions: v0 (KIP-966).
//!
//! Topics with their eligible leader replicas, page by page.

use crate::metadata::{Operation, Resource, Topic};
use crate::protocol::messages::{
    self, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    describe_topic_partitions_response::{
        Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
    },
    topic_name, wire_uuid,
};
use crate::server::context::RequestContext;
use crate::types::{BrokerId, ErrorCode};

/// Whether a cursor can be followed (Kafka 4.4 `DescribeTopicPartitionsRequestHandler`): its
/// partition is none below 0, and its topic is among those that are named.
fn check_cursor(request: &DescribeTopicPartitionsRequest) -> Result<(), ErrorCode> {
    let Some(cursor) = &request.cursor else { return Ok(()) };
    let is_named = request.topics.is_empty()
        || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
    if is_named && cursor.partition_index >= 0 { Ok(()) } else { Err(ErrorCode::InvalidRequest) }
}

/// The answer to a request that is refused as a whole: its code beside each topic.
fn refuse(
    request: DescribeTopicPartitionsRequest,
    error: ErrorCode,
) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(topic.name))
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    if let Err(error) = check_cursor(&request) {
        return refuse(request, error);
    }
    let (from_topic, from_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.0.to_string(), cursor.partition_index),
        None => (String::new(), 0),
    };
    let image = &context.image;
    let all = request.topics.is_empty();
    let mut names: Vec<String> = if all {
        image.topics.iter_by_name().map(|topic| topic.name.to_string()).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.0.to_string()).collect()
    };
    names.retain(|name| *name >= from_topic);
    names.sort();
    names.dedup();
    // Whether a topic exists that the client may not see is not even looked at; one that was not
    // named is left out.
    let (names, hidden): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| {
        let topic = Resource::Topic(name);
        if all {
            context.may_quietly(Operation::Describe, topic)
        } else {
            context.may(Operation::Describe, topic)
        }
    });
    let limit = context.broker.config.max_request_partitions;
    let mut left = request.response_partition_limit.min(limit).max(1) as usize;
    let mut topics = Vec::new();
    let mut next = None;
    for name in names {
        if left == 0 {
            next = Some((name, 0));
            break;
        }
        let Some(topic) = image.topics.by_name(&name) else {
            topics.push(unknown(context, &name));
            continue;
        };
        let first = if name == from_topic { from_partition as usize } else { 0 };
        let count = topic.partitions.len().saturating_sub(first).min(left);
        topics.push(describe(context, topic, first..first + count));
        left -= count;
        if first + count < topic.partitions.len() {
            next = Some((name, (first + count) as i32));
            break;
        }
    }
    if !all {
        topics.extend(hidden.iter().map(|name| {
            DescribeTopicPartitionsResponseTopic::default()
                .with_error_code(ErrorCode::TopicAuthorizationFailed.code())
                .with_name(Some(topic_name(&**name)))
                .with_topic_authorized_operations(i32::MIN)
        }));
    }
    let cursor = next.map(|(name, index)| {
        Cursor::default().with_topic_name(topic_name(name)).with_partition_index(index)
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(cursor)
}

fn unknown(context: &RequestContext, name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match crate::controller::topic_names::check(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(topic_name(name)))
        .with_is_internal(super::is_internal(name))
        .with_topic_authorized_operations(context.operations(Resource::Topic(name)))
}

fn describe(
    context: &RequestContext,
    topic: &Topic,
    range: std::ops::Range<usize>,
) -> DescribeTopicPartitionsResponseTopic {
    let image = &context.image;
    let wire = |ids: &[BrokerId]| -> Vec<messages::BrokerId> {
        ids.iter().map(|id| messages::BrokerId(*id)).collect()
    };
    let partitions = range
        .filter_map(|index| Some((index, topic.partitions.get(index)?)))
        .map(|(index, known)| {
            let reachable = |id: BrokerId| super::metadata::is_reachable(context, image, id);
            let offline: Vec<BrokerId> =
                known.replicas.iter().copied().filter(|id| !reachable(*id)).collect();
            let has_leader = reachable(known.leader);
            let error = if has_leader { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
            DescribeTopicPartitionsResponsePartition::default()
                .with_error_code(error.code())
                .with_partition_index(index as i32)
                .with_leader_id(messages::BrokerId(if has_leader { known.leader } else { -1 }))
                .with_leader_epoch(known.leader_epoch)
                .with_replica_nodes(wire(&known.replicas))
                .with_isr_nodes(wire(&known.isr))
                .with_eligible_leader_replicas(Some(wire(&known.elr)))
                .with_last_known_elr(Some(wire(&known.last_known_elr)))
                .with_offline_replicas(wire(&offline))
        })
        .collect();
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(&*topic.name)))
        .with_topic_id(wire_uuid(topic.id))
        .with_is_internal(super::is_internal(&topic.name))
        .with_partitions(partitions)
        .with_topic_authorized_operations(context.operations(Resource::Topic(&topic.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::describe_topic_partitions_request::{self, TopicRequest};

    #[test]
    fn a_cursor_names_a_requested_topic_and_no_negative_partition() {
        let request = |topics: &[&str], topic: &str, partition| {
            let named =
                topics.iter().map(|name| TopicRequest::default().with_name(topic_name(*name)));
            let cursor = describe_topic_partitions_request::Cursor::default()
                .with_topic_name(topic_name(topic))
                .with_partition_index(partition);
            DescribeTopicPartitionsRequest::default()
                .with_topics(named.collect())
                .with_cursor(Some(cursor))
        };
        assert_eq!(check_cursor(&request(&["a", "t"], "t", 0)), Ok(()));
        assert_eq!(check_cursor(&request(&[], "t", 7)), Ok(()), "all topics are meant");
        for refused in [request(&["a"], "t", 0), request(&["t"], "t", -1), request(&[], "t", -1)] {
            assert_eq!(check_cursor(&refused), Err(ErrorCode::InvalidRequest));
        }
        let answer = refuse(request(&["a", "t"], "x", 0), ErrorCode::InvalidRequest);
        let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [42, 42]);
        assert_eq!(answer.topics[0].topic_authorized_operations, i32::MIN);
    }
}
