//! Runs the coordinators of an internal topic, one [`Shard`] for each partition that this broker
//! leads (Kafka 4.4 `CoordinatorRuntime`).
//!
//! A shard is run by a monitor, as a partition is. The caller of a command takes the monitor on its
//! own thread and executes all queued commands: their records are appended with one write.
//! `runner.rs` is that monitor; `load.rs` reads a partition into a shard.

mod load;
mod runner;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::runner::ShardRunner;
use crate::coordinator::{Answer, Outcome, Producer, Shard, ShardContext, partition_for};
use crate::env::Env;
use crate::metadata::image::Changes;
use crate::metadata::{MetadataImage, Topic};
use crate::record::CompressionType;
use crate::store::error::StoreError;
use crate::store::flusher::Flusher;
use crate::store::partition::{AcceptedAppend, Partition};
use crate::store::partitions::Partitions;
use crate::types::{BrokerId, ErrorCode, PartitionIndex, Sequence, TopicPartition};

/// What the coordinators of a topic need of the broker.
#[derive(Clone)]
pub struct CoordinatorDependencies {
    /// The world outside.
    pub env: Env,
    /// Which broker this is.
    pub this_broker: BrokerId,
    /// Its partitions.
    pub partitions: Arc<Partitions>,
    /// Group commit.
    pub flusher: Arc<Flusher>,
    /// The newest metadata.
    pub image: Arc<ArcSwap<MetadataImage>>,
}

impl CoordinatorDependencies {
    fn context(&self) -> ShardContext {
        let clock = &self.env.clock;
        ShardContext { now: clock.now(), wall: clock.wall(), image: self.image.load_full() }
    }
}

/// Makes the empty shard of a partition.
pub type MakeShard<S> = Box<dyn Fn(PartitionIndex) -> S + Send + Sync>;
/// Runs the effects of shards. Called outside of every monitor; it must not block.
pub type OnEffect<S> = Box<dyn Fn(PartitionIndex, <S as Shard>::Effect) + Send + Sync>;

/// How the coordinators of a topic use its logs.
#[derive(Clone, Copy, Debug)]
pub struct LogUse {
    /// Of the batches that they write.
    pub compression: CompressionType,
    /// The base sequence of the batches that they write. Nothing reads it; the value is Apache
    /// Kafka's, whose group coordinators write 0 and whose transaction coordinators write none
    /// (Kafka 4.4 `CoordinatorRuntime`, `TransactionStateManager`).
    pub base_sequence: Sequence,
    /// How long records linger before they are appended; `None`: until the end of their round.
    /// Records of a transaction never linger.
    pub linger: Option<Duration>,
    /// Commits that take longer fail with COORDINATOR_NOT_AVAILABLE.
    pub commit_timeout: Option<Duration>,
    /// Read size of a load; a larger batch is still read.
    pub load_bytes: usize,
}

/// What all shards of a topic share.
struct Shared<S: Shard> {
    topic: &'static str,
    dependencies: CoordinatorDependencies,
    log_use: LogUse,
    make: MakeShard<S>,
    on_effect: OnEffect<S>,
}

/// The coordinators of one internal topic.
pub struct Coordinators<S: Shard> {
    shared: Arc<Shared<S>>,
    runners: ArcSwap<BTreeMap<PartitionIndex, Arc<ShardRunner<S>>>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl<S: Shard> Coordinators<S> {
    /// Coordinators of `topic`, none of them here yet.
    pub fn new(
        topic: &'static str,
        dependencies: CoordinatorDependencies,
        log_use: LogUse,
        make: MakeShard<S>,
        on_effect: OnEffect<S>,
    ) -> Self {
        let shared = Arc::new(Shared { topic, dependencies, log_use, make, on_effect });
        Self { shared, runners: ArcSwap::default(), changing: Mutex::new(()) }
    }

    /// The name of the topic.
    pub fn topic(&self) -> &'static str {
        self.shared.topic
    }

    /// The partition whose coordinator has charge of `key`; none while the topic does not exist.
    pub fn partition_for(&self, image: &MetadataImage, key: &str) -> Option<PartitionIndex> {
        let topic = image.topics.by_name(self.shared.topic)?;
        Some(partition_for(key, i32::try_from(topic.partitions.len()).ok()?))
    }

    /// The partitions whose coordinators are here, loading ones among them.
    pub fn partitions(&self) -> Vec<PartitionIndex> {
        self.runners.load().keys().copied().collect()
    }

    /// Asks the coordinator of `partition`. It executes on this thread, and is answered when what
    /// it wrote is committed, or when it is its time. The command stays when the future is dropped
    /// after its first poll.
    ///
    /// Errors: what the shard says; `NOT_COORDINATOR`, `COORDINATOR_LOAD_IN_PROGRESS` and
    /// `COORDINATOR_NOT_AVAILABLE`, upon which clients look for the coordinator again.
    pub async fn call(&self, partition: PartitionIndex, command: S::Command) -> Answer<S> {
        let answer = self.submit(partition, command)?;
        answer.await.unwrap_or(Err(ErrorCode::NotCoordinator))
    }

    /// As [`Coordinators::call`], for someone who does not wait here.
    pub fn submit(
        &self,
        partition: PartitionIndex,
        command: S::Command,
    ) -> Result<oneshot::Receiver<Answer<S>>, ErrorCode> {
        let Some(runner) = self.runners.load().get(&partition).cloned() else {
            return Err(ErrorCode::NotCoordinator);
        };
        Ok(runner.submit(command))
    }

    /// Asks the coordinator of `key`; see [`Coordinators::call`].
    pub async fn call_for(
        &self,
        image: &MetadataImage,
        key: &str,
        command: S::Command,
    ) -> Answer<S> {
        match self.partition_for(image, key) {
            Some(partition) => self.call(partition, command).await,
            None => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Appends the marker that ends a producer's transaction, and tells the shard. `append` does
    /// the former, while nothing else is written by the shard. Nothing is appended by an error.
    pub fn end_transaction(
        &self,
        partition: PartitionIndex,
        producer: Producer,
        outcome: Outcome,
        append: impl FnOnce(&Partition) -> Result<AcceptedAppend, StoreError>,
    ) -> Result<AcceptedAppend, ErrorCode> {
        let Some(runner) = self.runners.load().get(&partition).cloned() else {
            return Err(ErrorCode::NotCoordinator);
        };
        runner.end_transaction(producer, outcome, append)
    }

    /// Acts on a new image, whose partitions are in place: coordinators of partitions that this
    /// broker leads from now on are loaded, the others are unloaded.
    pub fn on_image(&self, image: &MetadataImage, changes: &Changes) {
        let is_ours = |topic: &Arc<Topic>| *topic.name == *self.shared.topic;
        if changes.topics_deleted.iter().any(is_ours) {
            self.keep_only(|_| false);
        }
        let Some(topic) = image.topics.by_name(self.shared.topic) else { return };
        let range = |partition| TopicPartition { topic: topic.id, partition };
        for id in changes.partitions.range(range(0)..=range(i32::MAX)) {
            let Some(registration) = topic.partition(id.partition) else { continue };
            if registration.leader == self.shared.dependencies.this_broker {
                self.lead(*id);
            } else {
                self.keep_only(|partition| partition != id.partition);
            }
        }
    }

    /// Unloads all shards: the broker shuts down.
    pub fn stop(&self) {
        self.keep_only(|_| false);
    }

    fn lead(&self, id: TopicPartition) {
        let _one = self.changing.lock();
        let mut runners = BTreeMap::clone(&self.runners.load());
        let Some(partition) = self.shared.dependencies.partitions.get(id) else { return };
        if let Some(runner) = runners.get(&id.partition) {
            // This broker has led since the load, so no other can have appended. A failed load is retried.
            if runner.is_over(&partition) && !runner.has_failed() {
                return;
            }
            runner.close();
        }
        let runner = ShardRunner::new(Arc::clone(&self.shared), partition);
        runners.insert(id.partition, Arc::clone(&runner));
        self.runners.store(Arc::new(runners));
        runner.load();
    }

    fn keep_only(&self, keep: impl Fn(PartitionIndex) -> bool) {
        let _one = self.changing.lock();
        let mut runners = BTreeMap::clone(&self.runners.load());
        let mut gone = Vec::new();
        runners.retain(|partition, runner| {
            let keeps = keep(*partition);
            if !keeps {
                gone.push(Arc::clone(runner));
            }
            keeps
        });
        if gone.is_empty() {
            return;
        }
        self.runners.store(Arc::new(runners));
        for runner in gone {
            runner.close();
        }
    }
}

/// The code that a client of the coordinator is told when the log fails (Kafka 4.4
/// `GroupCoordinatorService.handleOperationException`).
fn code_of(error: &StoreError) -> ErrorCode {
    match error.code() {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        _ => ErrorCode::UnknownServerError,
    }
}
