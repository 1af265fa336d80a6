//! WriteTxnMarkers: v1-2.
//!
//! Ends transactions in partitions that this broker leads: for coordinators of other brokers, and
//! for `kafka-transactions`, which aborts what was left hanging. v2: by which version a
//! transaction ends (KIP-1228).

use std::collections::BTreeMap;

use bytes::BytesMut;

use crate::log::Marker;
use crate::metadata::{Operation, Resource};
use crate::protocol::declared::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::server::context::{Handled, RequestContext};
use crate::store::StoreError;
use crate::types::{ErrorCode, NO_LEADER_EPOCH, PartitionIndex, ProducerId, TopicPartition};

/// Codes by producer, topic and partition.
type ProducerCodes = BTreeMap<ProducerId, BTreeMap<String, BTreeMap<PartitionIndex, ErrorCode>>>;

/// Answers.
pub(in crate::server) fn handle(context: RequestContext, body: BytesMut) -> Handled {
    match super::decode(&context, body) {
        Ok(request) => Handled::Later(Box::pin(async move {
            let codes = write(&context, request).await;
            context.reply(&response(codes))
        })),
        Err(error) => Handled::Now(super::malformed(error)),
    }
}

async fn write(context: &RequestContext, request: WriteTxnMarkersRequest) -> ProducerCodes {
    let mut codes = ProducerCodes::new();
    let mut waits = Vec::new();
    let may = if context.may_quietly(Operation::Alter, Resource::Cluster) {
        Ok(())
    } else {
        context.require(Operation::ClusterAction, Resource::Cluster)
    };
    for wanted in &request.markers {
        let marker = marker(wanted);
        for topic in &wanted.topics {
            for index in &topic.partition_indexes {
                let appended = may.and_then(|()| append(context, &topic.name, *index, &marker));
                let code = appended.as_ref().err().copied().unwrap_or(ErrorCode::None);
                let of_producer = codes.entry(wanted.producer_id).or_default();
                of_producer.entry(topic.name.clone()).or_default().insert(*index, code);
                if let Ok(Some(wait)) = appended {
                    waits.push((wait, wanted.producer_id, &topic.name, *index));
                }
            }
        }
    }
    for (wait, producer_id, topic, index) in waits {
        let code = match wait.await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.code(),
            Err(_) => ErrorCode::NotLeaderOrFollower,
        };
        let of_producer = codes.entry(producer_id).or_default();
        of_producer.entry(topic.clone()).or_default().insert(index, code);
    }
    codes
}

fn marker(wanted: &WritableTxnMarker) -> Marker {
    Marker {
        producer_id: wanted.producer_id,
        producer_epoch: wanted.producer_epoch,
        coordinator_epoch: wanted.coordinator_epoch,
        committed: wanted.transaction_result,
        transaction_version: i16::from(wanted.transaction_version),
    }
}

fn append(
    context: &RequestContext,
    topic: &str,
    index: PartitionIndex,
    marker: &Marker,
) -> Result<Option<crate::store::partition::Acknowledged>, ErrorCode> {
    let topic = context.image.topics.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let id = TopicPartition { topic: topic.id, partition: index };
    // A partition that is not here, or not in order, is unknown as well: `NOT_LEADER_OR_FOLLOWER`
    // is said by one that is led elsewhere (Kafka 4.4 `ReplicaManager.onlinePartition`).
    let partitions = &context.broker.partitions;
    let partition = partitions.get(id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if let Err(StoreError::Offline(_)) = partition.check_leader(NO_LEADER_EPOCH) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    context.broker.transactions.append_marker(id, marker).map(|accepted| accepted.wait)
}

fn response(codes: ProducerCodes) -> WriteTxnMarkersResponse {
    let partition = |(partition_index, code): (PartitionIndex, ErrorCode)| {
        WritableTxnMarkerPartitionResult { partition_index, error_code: code.code() }
    };
    let topic = |(name, partitions): (String, BTreeMap<_, _>)| WritableTxnMarkerTopicResult {
        name,
        partitions: partitions.into_iter().map(partition).collect(),
    };
    let markers = codes.into_iter().map(|(producer_id, topics)| WritableTxnMarkerResult {
        producer_id,
        topics: topics.into_iter().map(topic).collect(),
    });
    WriteTxnMarkersResponse { markers: markers.collect() }
}
