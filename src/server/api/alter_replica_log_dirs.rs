//! AlterReplicaLogDirs: v1-2.
//!
//! Moves replicas of this broker between its log directories (KIP-113). v2: flexible.

use std::collections::BTreeMap;

use crate::metadata::Operation;
use crate::protocol::messages::{
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
    alter_replica_log_dirs_response::{
        AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
    },
    topic_name,
};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, PartitionIndex, TopicPartition};

/// Answers once the copies are begun. Of a partition that is named twice the last counts, as in
/// Kafka. Whoever may not alter the cluster is refused for each partition.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let mut wanted: BTreeMap<&str, BTreeMap<PartitionIndex, &str>> = BTreeMap::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            let partitions = wanted.entry(&topic.name.0).or_default();
            partitions.extend(topic.partitions.iter().map(|index| (*index, &*dir.path)));
        }
    }
    let allowed = context
        .require_on_cluster(Operation::Alter)
        .map_err(|_refusal| ErrorCode::ClusterAuthorizationFailed);
    let mut results = Vec::new();
    for (name, partitions) in wanted {
        let mut of_topic = Vec::new();
        for (index, path) in partitions {
            let altered = match allowed {
                Ok(()) => alter(context, name, index, path).await,
                Err(code) => Err(code),
            };
            let error = altered.err().unwrap_or(ErrorCode::None);
            of_topic.push(
                AlterReplicaLogDirPartitionResult::default()
                    .with_partition_index(index)
                    .with_error_code(error.code()),
            );
        }
        results.push(
            AlterReplicaLogDirTopicResult::default()
                .with_topic_name(topic_name(name))
                .with_partitions(of_topic),
        );
    }
    AlterReplicaLogDirsResponse::default().with_results(results)
}

async fn alter(
    context: &RequestContext,
    name: &str,
    index: PartitionIndex,
    path: &str,
) -> Result<(), ErrorCode> {
    let broker = &context.broker;
    broker.mover.check_dir(name, index, path).map_err(|error| error.code())?;
    let topic = context.image.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let id = TopicPartition { topic: topic.id, partition: index };
    if broker.placement.is_offline(id) {
        return Err(ErrorCode::KafkaStorageError);
    }
    let partition = broker.partitions.get(id).ok_or(ErrorCode::ReplicaNotAvailable)?;
    broker.mover.request(&partition, path).await.map_err(|error| {
        tracing::warn!(topic = name, partition = index, path, %error, "a partition does not move");
        error.code()
    })
}
