//! Runs the coordinators of an internal topic, one [`Shard`] for each partition that this broker
//! leads (Kafka 4.4 `CoordinatorRuntime`).
//!
//! A shard is a monitor, as a partition is. Whoever brings a command takes it, on its own thread,
//! and executes whatever else has been brought meanwhile: what waits together is written with one
//! append and answered together. `slot.rs` is that monitor; `load.rs` reads a partition into a
//! shard.

mod load;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::slot::Slot;
use crate::coordinator::{Answer, Moment, Outcome, Producer, Shard, partition_for};
use crate::env::Env;
use crate::metadata::image::Changes;
use crate::metadata::{MetadataImage, Topic};
use crate::record::CompressionType;
use crate::store::error::StoreError;
use crate::store::flusher::Flusher;
use crate::store::partition::{Accepted, Partition};
use crate::store::partitions::Partitions;
use crate::types::{BrokerId, ErrorCode, PartitionIndex, TopicPartition};

/// What the coordinators of a topic need of the broker.
#[derive(Clone)]
pub struct Surroundings {
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

impl Surroundings {
    fn moment(&self) -> Moment {
        let clock = &self.env.clock;
        Moment { now: clock.now(), wall: clock.wall(), image: self.image.load_full() }
    }
}

/// Makes the empty shard of a partition.
pub type MakeShard<S> = Box<dyn Fn(PartitionIndex) -> S + Send + Sync>;
/// Does what shards want done elsewhere. Called outside of every monitor; it must not block.
pub type OnEffect<S> = Box<dyn Fn(PartitionIndex, <S as Shard>::Effect) + Send + Sync>;

/// How the coordinators of a topic use its logs.
#[derive(Clone, Copy, Debug)]
pub struct LogUse {
    /// Of the batches that they write.
    pub compression: CompressionType,
    /// How long records wait for others to be appended with; `None`: for the end of their round.
    /// Those of a transaction never do.
    pub linger: Option<Duration>,
    /// Whoever waits longer for a commit is told that the coordinator is not available.
    pub commit_timeout: Option<Duration>,
    /// How much is read at once when a log is loaded; a larger batch is read all the same.
    pub load_bytes: usize,
}

/// What all shards of a topic share.
struct Shared<S: Shard> {
    topic: &'static str,
    around: Surroundings,
    log_use: LogUse,
    make: MakeShard<S>,
    on_effect: OnEffect<S>,
}

/// The coordinators of one internal topic.
pub struct Coordinators<S: Shard> {
    shared: Arc<Shared<S>>,
    slots: ArcSwap<BTreeMap<PartitionIndex, Arc<Slot<S>>>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl<S: Shard> Coordinators<S> {
    /// Coordinators of `topic`, none of them here yet.
    pub fn new(
        topic: &'static str,
        around: Surroundings,
        log_use: LogUse,
        make: MakeShard<S>,
        on_effect: OnEffect<S>,
    ) -> Self {
        let shared = Arc::new(Shared { topic, around, log_use, make, on_effect });
        Self { shared, slots: ArcSwap::default(), changing: Mutex::new(()) }
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
        self.slots.load().keys().copied().collect()
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
        let Some(slot) = self.slots.load().get(&partition).cloned() else {
            return Err(ErrorCode::NotCoordinator);
        };
        Ok(slot.submit(command))
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
        append: impl FnOnce(&Partition) -> Result<Accepted, StoreError>,
    ) -> Result<Accepted, ErrorCode> {
        let Some(slot) = self.slots.load().get(&partition).cloned() else {
            return Err(ErrorCode::NotCoordinator);
        };
        slot.end_transaction(producer, outcome, append)
    }

    /// Acts on a new image, whose partitions are in place: coordinators of partitions that this
    /// broker leads from now on are loaded, others are given up.
    pub fn on_image(&self, image: &MetadataImage, changes: &Changes) {
        let is_ours = |topic: &Arc<Topic>| *topic.name == *self.shared.topic;
        if changes.topics_deleted.iter().any(is_ours) {
            self.keep_only(|_| false);
        }
        let Some(topic) = image.topics.by_name(self.shared.topic) else { return };
        let range = |partition| TopicPartition { topic: topic.id, partition };
        for id in changes.partitions.range(range(0)..=range(i32::MAX)) {
            let Some(registration) = topic.partition(id.partition) else { continue };
            if registration.leader == self.shared.around.this_broker {
                self.lead(*id);
            } else {
                self.keep_only(|partition| partition != id.partition);
            }
        }
    }

    /// Gives all coordinators up: the broker stops.
    pub fn stop(&self) {
        self.keep_only(|_| false);
    }

    fn lead(&self, id: TopicPartition) {
        let _one = self.changing.lock();
        let mut slots = BTreeMap::clone(&self.slots.load());
        let Some(partition) = self.shared.around.partitions.get(id) else { return };
        if let Some(slot) = slots.get(&id.partition) {
            // It has led all along: nobody else can have written. One that failed tries again.
            if slot.is_over(&partition) && !slot.has_failed() {
                return;
            }
            slot.close();
        }
        let slot = Slot::new(Arc::clone(&self.shared), partition);
        slots.insert(id.partition, Arc::clone(&slot));
        self.slots.store(Arc::new(slots));
        slot.load();
    }

    fn keep_only(&self, keep: impl Fn(PartitionIndex) -> bool) {
        let _one = self.changing.lock();
        let mut slots = BTreeMap::clone(&self.slots.load());
        let mut gone = Vec::new();
        slots.retain(|partition, slot| {
            let keeps = keep(*partition);
            if !keeps {
                gone.push(Arc::clone(slot));
            }
            keeps
        });
        if gone.is_empty() {
            return;
        }
        self.slots.store(Arc::new(slots));
        for slot in gone {
            slot.close();
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
