//! ListOffsets: v1-11.
//!
//! The offset of a timestamp, or of a special one: latest (-1), earliest (-2), that of the largest
//! timestamp (-3, v7, KIP-734), earliest local (-4, v8, KIP-405), latest tiered (-5, v9, KIP-1005),
//! earliest pending upload (-6, v11, KIP-1023). v2: isolation levels. v4: leader epochs. v6:
//! flexible. v10: a timeout for tiered storage.
//! Nothing is tiered here: -4 is the earliest, -5 and -6 are unknown.

use std::collections::BTreeSet;

use crate::log::{TimestampOffset, UpTo};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse,
    list_offsets_request::ListOffsetsPartition,
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
};
use crate::server::context::RequestContext;
use crate::store::StoreError;
use crate::types::{ErrorCode, NO_TIMESTAMP, Timestamp, TopicPartition};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let up_to = match (request.replica_id.0, request.isolation_level) {
        (0.., _) => UpTo::LogEnd,
        (_, 1) => UpTo::LastStable,
        _ => UpTo::HighWatermark,
    };
    let mut steps = context.steps();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let may = context.require(Operation::Describe, Resource::Topic(&topic.name.0));
        let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
        for partition in &topic.partitions {
            if !seen.insert(partition.partition_index) {
                twice.insert(partition.partition_index);
            }
        }
        // A partition that is listed twice is answered once, unless the client may not see the topic.
        let mut refused = BTreeSet::new();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let is_twice = twice.contains(&index);
            if may.is_ok() && is_twice && !refused.insert(index) {
                continue;
            }
            let found = if let Err(code) = may {
                Err(code)
            } else if is_twice {
                Err(ErrorCode::InvalidRequest)
            } else {
                find(context, &topic.name.0, partition, up_to)
            };
            partitions.push(answer(context, partition, found));
            steps.step().await;
        }
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

fn answer(
    context: &RequestContext,
    partition: &ListOffsetsPartition,
    found: Result<Option<TimestampOffset>, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let response =
        ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
    match found {
        Ok(Some(found)) => {
            let response = response.with_timestamp(found.timestamp.0).with_offset(found.offset);
            match found.leader_epoch {
                Some(epoch) if context.version >= 4 => response.with_leader_epoch(epoch),
                _ => response,
            }
        }
        Ok(None) => response.with_timestamp(-1).with_offset(-1),
        Err(error) => response.with_timestamp(-1).with_offset(-1).with_error_code(error.code()),
    }
}

fn find(
    context: &RequestContext,
    topic: &str,
    wanted: &ListOffsetsPartition,
    up_to: UpTo,
) -> Result<Option<TimestampOffset>, ErrorCode> {
    let timestamp = wanted.timestamp;
    let since = match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        LATEST | EARLIEST | 0.. => 1,
        _ => i16::MAX,
    };
    if context.version < since {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let topic = context.image.topics.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let index = wanted.partition_index;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let id = TopicPartition { topic: topic.id, partition: index };
    let partition = context.broker.partitions.get(id).ok_or(ErrorCode::NotLeaderOrFollower)?;
    let epoch =
        partition.check_leader(wanted.current_leader_epoch).map_err(|error| error.code())?;
    let view = partition.view();
    let bound = view.bound(up_to);
    let at = |offset, leader_epoch| {
        Some(TimestampOffset { timestamp: NO_TIMESTAMP, offset, leader_epoch })
    };
    let read = |error: crate::log::ReadError| StoreError::from(error).code();
    Ok(match timestamp {
        LATEST => at(bound, Some(epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let start = view.log_start_offset;
            at(start, view.epochs.epoch_at(start))
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => at(-1, None),
        MAX_TIMESTAMP => {
            view.offset_of_max_timestamp().map_err(read)?.filter(|found| found.offset < bound)
        }
        timestamp => view
            .offset_for_timestamp(Timestamp(timestamp))
            .map_err(read)?
            .filter(|found| found.offset < bound),
    })
}
