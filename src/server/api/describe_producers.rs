//! DescribeProducers: v0.
//!
//! The idempotent producers that a replica remembers (KIP-664). Any replica answers, not only the
//! leader.

use crate::controller::topic_names;
use crate::log::producers::Producer;
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    self, DescribeProducersRequest, DescribeProducersResponse,
    describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
    text,
};
use crate::server::context::RequestContext;
use crate::store::StoreError;
use crate::types::{ErrorCode, NO_LEADER_EPOCH, ProducerId, TopicPartition};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut steps = context.steps();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let invalid = topic_names::check(&topic.name.0).err();
        let may = context.require_in_words(Operation::Read, Resource::Topic(&topic.name.0));
        let is_known = context.image.topics.by_name(&topic.name.0).is_some();
        let one = |index: &i32| {
            let response = PartitionResponse::default().with_partition_index(*index);
            if let Some(message) = &invalid {
                return response
                    .with_error_code(ErrorCode::InvalidTopicException.code())
                    .with_error_message(Some(text(&**message)));
            }
            if let Err(refusal) = &may {
                let (code, message) = super::error(refusal);
                return response.with_error_code(code).with_error_message(message);
            }
            match producers(context, &topic.name.0, *index) {
                Ok(producers) => response.with_active_producers(producers),
                // Kafka describes a topic that it does not know, but not a partition.
                Err(code) => response
                    .with_error_code(code.code())
                    .with_error_message(code.message().filter(|_| !is_known).map(text)),
            }
        };
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for index in &topic.partition_indexes {
            partitions.push(one(index));
            steps.step().await;
        }
        topics.push(TopicResponse::default().with_partitions(partitions).with_name(topic.name));
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn producers(
    context: &RequestContext,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, ErrorCode> {
    let topic = context.image.topics.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let id = TopicPartition { topic: topic.id, partition: index };
    let partition = context.broker.partitions.get(id).ok_or(ErrorCode::NotLeaderOrFollower)?;
    if let Err(StoreError::Offline(_)) = partition.check_leader(NO_LEADER_EPOCH) {
        return Err(ErrorCode::KafkaStorageError);
    }
    Ok(partition.with_producers(|producers| {
        producers.iter().map(|(id, producer)| state(id, producer)).collect()
    }))
}

fn state(id: ProducerId, producer: &Producer) -> ProducerState {
    // The timestamp of the newest batch; of a producer that only ended transactions, when it did.
    let timestamp = producer.recent.back().map_or(producer.last_seen, |batch| batch.timestamp);
    ProducerState::default()
        .with_producer_id(messages::ProducerId(id))
        .with_producer_epoch(i32::from(producer.epoch))
        .with_last_sequence(producer.last_sequence())
        .with_last_timestamp(timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.open_since.unwrap_or(-1))
}
