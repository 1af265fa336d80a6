//! DescribeLogDirs: v1-5.
//!
//! What lies in each log directory (KIP-113). v2: flexible. v3: an error of the whole. v4: sizes of
//! the file system (KIP-827). v5: cordoned directories (KIP-1066).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::metadata::{Operation, Resource};
use crate::protocol::declared::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::protocol::messages::{
    DescribeLogDirsRequest, describe_log_dirs_request::DescribableLogDirTopic,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

type PartitionsByTopic = BTreeMap<String, Vec<DescribeLogDirsPartition>>;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if let Err(code) = context.require(Operation::Describe, Resource::Cluster) {
        return DescribeLogDirsResponse { error_code: code.code(), ..Default::default() };
    }
    let named: Option<BTreeSet<(&str, i32)>> =
        request.topics.as_ref().map(|topics| topics.iter().flat_map(named_partitions).collect());
    let broker = &context.broker;
    let mut by_dir: BTreeMap<PathBuf, PartitionsByTopic> = BTreeMap::new();
    let mut steps = context.steps();
    for partition in broker.partitions.all() {
        steps.step().await;
        let index = partition.id.partition;
        if named.as_ref().is_some_and(|named| !named.contains(&(&*partition.topic, index))) {
            continue;
        }
        let view = partition.view();
        let topics = by_dir.entry(partition.log_dir()).or_default();
        topics.entry(partition.topic.to_string()).or_default().push(DescribeLogDirsPartition {
            partition_index: index,
            partition_size: view.size_bytes() as i64,
            offset_lag: (view.high_watermark - view.log_end_offset).max(0),
            is_future_key: false,
        });
        if let Some(copy) = broker.mover.progress(partition.id) {
            let topics = by_dir.entry(copy.to).or_default();
            topics.entry(partition.topic.to_string()).or_default().push(DescribeLogDirsPartition {
                partition_index: index,
                partition_size: copy.view.size_bytes() as i64,
                offset_lag: view.log_end_offset - copy.view.log_end_offset,
                is_future_key: true,
            });
        }
    }
    let results = broker
        .log_dirs
        .iter()
        .map(|dir| {
            let path = &dir.path;
            let disk = &broker.env.disk;
            let absolute = disk.absolute(path).unwrap_or_else(|_| path.clone());
            if dir.failure().is_some() {
                return DescribeLogDirsResult {
                    error_code: ErrorCode::KafkaStorageError.code(),
                    log_dir: absolute.to_string_lossy().into_owned(),
                    ..DescribeLogDirsResult::default()
                };
            }
            let space = disk.space(path);
            let (total_bytes, usable_bytes) = match &space {
                Ok((total, usable)) => (*total as i64, *usable as i64),
                Err(_) => (-1, -1),
            };
            let error = match space {
                Ok(_) => ErrorCode::None,
                Err(_) => ErrorCode::KafkaStorageError,
            };
            let topics = by_dir.remove(path).unwrap_or_default();
            DescribeLogDirsResult {
                error_code: error.code(),
                log_dir: absolute.to_string_lossy().into_owned(),
                topics: topics
                    .into_iter()
                    .map(|(name, partitions)| DescribeLogDirsTopic { name, partitions })
                    .collect(),
                total_bytes,
                usable_bytes,
                is_cordoned: false,
            }
        })
        .collect();
    DescribeLogDirsResponse { results, ..DescribeLogDirsResponse::default() }
}

fn named_partitions(topic: &DescribableLogDirTopic) -> impl Iterator<Item = (&str, i32)> {
    topic.partitions.iter().map(|partition| (topic.topic.0.as_str(), *partition))
}
