//! Runs the transaction coordinators of this broker: gives them producer ids, writes the markers
//! they ask for, and answers whether a partition is in a transaction.
//!
//! Source: Kafka 4.4 `TransactionMarkerChannelManager`, `AddPartitionsToTxnManager`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::coordinators::{CoordinatorDependencies, Coordinators, LogUse};
use super::producer_ids::ProducerIds;
use crate::config::keys::transaction::TransactionSettings;
use crate::coordinator::groups::Groups;
use crate::coordinator::transactions::{
    TransactionCommand, TransactionCoordinatorConfig, TransactionEffect,
    TransactionPartitions as TopicPartitions, TransactionReply, TransactionShard,
};
use crate::coordinator::{Answer, Outcome, Producer};
use crate::env::Clock;
use crate::log::Marker;
use crate::metadata::MetadataImage;
use crate::metadata::image::Changes;
use crate::record::CompressionType;
use crate::store::partition::{AcceptedAppend, Partition};
use crate::types::{
    ErrorCode, NO_LEADER_EPOCH, NO_SEQUENCE, PartitionIndex, ProducerId, TopicPartition,
};

/// The topic that transactional ids are kept in.
const TOPIC: &str = "__transaction_state";

/// The pause before a marker that could not be written is tried again.
const MARKER_PAUSE: Duration = Duration::from_millis(100);

/// Reads the dynamic settings.
pub type TransactionSettingsOf = Arc<dyn Fn() -> TransactionSettings + Send + Sync>;

/// The transaction coordinators of this broker.
pub struct Transactions {
    around: CoordinatorDependencies,
    producer_ids: Arc<ProducerIds>,
    groups: Arc<Coordinators<Groups>>,
    /// The settings as of now.
    settings: TransactionSettingsOf,
    coordinators: Coordinators<TransactionShard>,
    /// Which task ends the transaction of an id; one that is not named here writes nothing.
    ending: Mutex<BTreeMap<String, u64>>,
    next_task: AtomicU64,
}

fn milliseconds(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Markers that one task writes.
struct Ending {
    task: u64,
    id: String,
    load: u64,
    producer: Producer,
    outcome: Outcome,
    version: i16,
    left: Vec<(String, PartitionIndex)>,
}

impl Transactions {
    /// No coordinator is here before the first image.
    pub fn new(
        around: CoordinatorDependencies,
        producer_ids: Arc<ProducerIds>,
        groups: Arc<Coordinators<Groups>>,
        started_with: &TransactionSettings,
        settings_of: TransactionSettingsOf,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| {
            let config = started_with;
            let settings = TransactionCoordinatorConfig {
                max_timeout_ms: config.transaction_max_timeout_ms,
                id_expiration_ms: config.transactional_id_expiration_ms.into(),
                abort_interval: milliseconds(
                    config.transaction_abort_timed_out_transaction_cleanup_interval_ms,
                ),
                expiration_interval: milliseconds(
                    config.transaction_remove_expired_transaction_cleanup_interval_ms,
                ),
            };
            let this = Weak::clone(this);
            let loads = AtomicU64::new(0);
            let coordinators = Coordinators::new(
                TOPIC,
                around.clone(),
                LogUse {
                    compression: CompressionType::None,
                    base_sequence: NO_SEQUENCE,
                    linger: None,
                    commit_timeout: None,
                    load_bytes: config.transaction_state_log_load_buffer_size.max(1) as usize,
                },
                Box::new(move |_| {
                    TransactionShard::new(settings.clone(), loads.fetch_add(1, Ordering::Relaxed))
                }),
                Box::new(move |partition, effect| {
                    if let Some(this) = this.upgrade() {
                        this.on_effect(partition, effect);
                    }
                }),
            );
            Self {
                around,
                producer_ids,
                groups,
                settings: settings_of,
                coordinators,
                ending: Mutex::default(),
                next_task: AtomicU64::new(0),
            }
        })
    }

    /// Acts on a new image, whose partitions are in place.
    pub fn on_image(&self, image: &MetadataImage, changes: &Changes) {
        self.coordinators.on_image(image, changes);
    }

    /// The broker stops.
    pub fn stop(&self) {
        self.coordinators.stop();
        self.ending.lock().clear();
    }

    fn config(&self) -> TransactionSettings {
        (self.settings)()
    }

    /// The partitions whose coordinators are here.
    pub fn here(&self) -> Vec<PartitionIndex> {
        self.coordinators.partitions()
    }

    /// Asks the coordinator of an id; `command` is given a new producer id when it needs one.
    pub async fn ask(
        &self,
        id: &str,
        command: impl Fn(Option<ProducerId>) -> TransactionCommand,
    ) -> Answer<TransactionShard> {
        let image = self.around.image.load_full();
        let mut fresh = None;
        loop {
            match self.coordinators.call_for(&image, id, command(fresh)).await {
                Ok(TransactionReply::WantsProducerId) if fresh.is_none() => {
                    fresh = Some(self.producer_ids.next().await?);
                }
                answer => return answer,
            }
        }
    }

    /// Asks the coordinator of one partition.
    pub async fn ask_partition(
        &self,
        partition: PartitionIndex,
        command: TransactionCommand,
    ) -> Answer<TransactionShard> {
        self.coordinators.call(partition, command).await
    }

    /// Whether transactional appends are checked with their coordinator.
    pub fn verifies(&self) -> bool {
        self.config().transaction_partition_verification_enable
    }

    /// Whether there may be transactions that never time out.
    pub fn has_two_phase_commit(&self) -> bool {
        self.config().transaction_two_phase_commit_enable
    }

    /// Adds partitions to a producer's transaction, as a Produce of version 12 does. Waits a
    /// little where the last transaction is still ending.
    ///
    /// `guards_stand` opens the guards of [`crate::log::verification`] again, and says whether all
    /// of them still stood: the marker of the transaction before may have taken them away since
    /// they were opened, and then the coordinator is asked once more. None of this transaction
    /// does so before the producer ends it.
    pub async fn add(
        &self,
        id: &str,
        producer: Producer,
        partitions: &TopicPartitions,
        guards_stand: impl FnMut() -> bool,
    ) -> Result<(), ErrorCode> {
        let config = self.config();
        let pause = milliseconds(config.add_partitions_to_txn_retry_backoff_ms);
        let patience = milliseconds(config.add_partitions_to_txn_retry_backoff_max_ms);
        let command = |_| TransactionCommand::AddPartitions {
            id: id.to_owned(),
            producer,
            partitions: partitions.clone(),
            client_version: 2,
        };
        let ask = || self.ask(id, command);
        add_with_guards(&*self.around.env.clock, (pause, patience), ask, guards_stand).await
    }

    /// Which of these partitions are in a producer's transaction.
    pub async fn verify(
        &self,
        id: &str,
        producer: Producer,
        partitions: &TopicPartitions,
    ) -> Result<Vec<(String, PartitionIndex, ErrorCode)>, ErrorCode> {
        let command = |_| TransactionCommand::Verify {
            id: id.to_owned(),
            producer,
            partitions: partitions.clone(),
        };
        match self.ask(id, command).await? {
            TransactionReply::Verified(verified) => Ok(verified),
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    fn on_effect(self: &Arc<Self>, partition: PartitionIndex, effect: TransactionEffect) {
        let this = Arc::clone(self);
        match effect {
            TransactionEffect::WriteMarkers {
                id,
                load,
                producer,
                outcome,
                version,
                partitions,
            } => {
                let task = self.next_task.fetch_add(1, Ordering::Relaxed);
                self.ending.lock().insert(id.clone(), task);
                let left = partitions
                    .into_iter()
                    .flat_map(|(topic, indexes)| {
                        indexes.into_iter().map(move |index| (topic.clone(), index))
                    })
                    .collect();
                let ending = Ending { task, id, load, producer, outcome, version, left };
                let work = async move { this.write_markers(partition, ending).await };
                self.around.env.threads.spawn(Box::pin(work));
            }
            TransactionEffect::AbortTimedOut { id, producer } => {
                let work = async move {
                    let command = |fresh| TransactionCommand::AbortTimedOut {
                        id: id.clone(),
                        producer,
                        fresh,
                    };
                    if let Err(code) = this.ask(&id, command).await {
                        tracing::debug!(transactional_id = id, code = code.name(), "not expelled");
                    }
                };
                self.around.env.threads.spawn(Box::pin(work));
            }
        }
    }

    /// Writes the markers of a transaction, trying again until every partition that still exists
    /// has its own, and tells the coordinator.
    async fn write_markers(self: Arc<Self>, partition: PartitionIndex, mut ending: Ending) {
        let clock = &self.around.env.clock;
        loop {
            let mut waits = Vec::new();
            let mut again = Vec::new();
            for (topic, index) in std::mem::take(&mut ending.left) {
                match self.write_marker(partition, &ending, &topic, index) {
                    Ok(None) => {}
                    Ok(Some(accepted)) => waits.extend(accepted.wait.map(|w| (w, topic, index))),
                    Err(ErrorCode::OperationNotAttempted) => return,
                    Err(
                        code @ (ErrorCode::InvalidProducerEpoch
                        | ErrorCode::TransactionCoordinatorFenced),
                    ) => {
                        let id = &ending.id;
                        tracing::warn!(
                            transactional_id = id,
                            topic,
                            partition = index,
                            code = code.name(),
                            "a marker is fenced: the transaction is left as it is"
                        );
                        return;
                    }
                    Err(_) => again.push((topic, index)),
                }
            }
            for (wait, topic, index) in waits {
                if !matches!(wait.await, Ok(Ok(()))) {
                    again.push((topic, index));
                }
            }
            if again.is_empty() {
                break;
            }
            ending.left = again;
            clock.sleep_until(clock.now() + MARKER_PAUSE).await;
        }
        {
            let mut tasks = self.ending.lock();
            if tasks.get(&ending.id) == Some(&ending.task) {
                tasks.remove(&ending.id);
            }
        }
        let Ending { ref id, load, producer, .. } = ending;
        let command = TransactionCommand::MarkersWritten { id: id.clone(), producer, load };
        if let Err(code) = self.coordinators.call(partition, command).await {
            // A coordinator that is loaded again asks for its markers again.
            tracing::debug!(transactional_id = ending.id, code = code.name(), "not completed");
        }
    }

    /// Appends one marker; nothing for a partition that is no more. OPERATION_NOT_ATTEMPTED when
    /// another task has taken over, or another broker.
    fn write_marker(
        &self,
        coordinator: PartitionIndex,
        ending: &Ending,
        topic: &str,
        index: PartitionIndex,
    ) -> Result<Option<AcceptedAppend>, ErrorCode> {
        let image = self.around.image.load_full();
        let leads = image
            .topics
            .by_name(TOPIC)
            .and_then(|topic| topic.partition(coordinator))
            .filter(|registration| registration.leader == self.around.this_broker);
        let Some(coordinator_epoch) = leads.map(|registration| registration.leader_epoch) else {
            return Err(ErrorCode::OperationNotAttempted);
        };
        let Some(known) = image.topics.by_name(topic) else { return Ok(None) };
        if known.partition(index).is_none() {
            return Ok(None);
        }
        let marker = Marker {
            producer_id: ending.producer.id,
            producer_epoch: ending.producer.epoch,
            coordinator_epoch,
            committed: ending.outcome == Outcome::Committed,
            transaction_version: ending.version,
        };
        let id = TopicPartition { topic: known.id, partition: index };
        // Held for one append, so that no task appends after another has taken over.
        let tasks = self.ending.lock();
        if tasks.get(&ending.id) != Some(&ending.task) {
            return Err(ErrorCode::OperationNotAttempted);
        }
        self.append_marker(id, &marker).map(Some)
    }

    /// Appends a marker to a partition that this broker leads.
    pub fn append_marker(
        &self,
        id: TopicPartition,
        marker: &Marker,
    ) -> Result<AcceptedAppend, ErrorCode> {
        let partition = self.around.partitions.get(id).ok_or(ErrorCode::NotLeaderOrFollower)?;
        partition.check_leader(NO_LEADER_EPOCH).map_err(|error| error.code())?;
        let now = self.around.env.clock.wall();
        if *partition.topic == *self.groups.topic() {
            // The coordinator of its groups applies what the marker ends.
            let producer = Producer { id: marker.producer_id, epoch: marker.producer_epoch };
            let outcome = if marker.committed { Outcome::Committed } else { Outcome::Aborted };
            let append = |log: &Partition| log.append_marker(marker, now);
            return self.groups.end_transaction(id.partition, producer, outcome, append).map_err(
                |code| match code {
                    ErrorCode::CoordinatorNotAvailable
                    | ErrorCode::CoordinatorLoadInProgress
                    | ErrorCode::NotCoordinator => ErrorCode::NotLeaderOrFollower,
                    code => code,
                },
            );
        }
        let accepted = partition.append_marker(marker, now).map_err(|error| error.code())?;
        if let Some(kind) = accepted.flush {
            self.around.flusher.request(&partition, kind);
        }
        Ok(accepted)
    }
}

/// Asks until the answer was given under guards that still stand; see [`Transactions::add`].
async fn add_with_guards<Asked: Future<Output = Answer<TransactionShard>>>(
    clock: &dyn Clock,
    (pause, patience): (Duration, Duration),
    mut ask: impl FnMut() -> Asked,
    mut guards_stand: impl FnMut() -> bool,
) -> Result<(), ErrorCode> {
    let until = clock.now() + patience;
    loop {
        match ask().await {
            Ok(_) if guards_stand() => return Ok(()),
            Ok(_) => {}
            Err(ErrorCode::ConcurrentTransactions) if clock.now() + pause <= until => {
                clock.sleep_until(clock.now() + pause).await;
            }
            Err(code) => return Err(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::sim::World;
    use crate::log::verification::Verifications;
    use crate::types::Timestamp;

    const WAITS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(100));

    #[tokio::test(start_paused = true)]
    async fn a_marker_that_comes_late_is_not_taken_for_one_of_the_transaction_that_begins() {
        let clock = World::new(1).machine("broker").start().clock;
        let open = Mutex::new(Verifications::default());
        let begin = || open.lock().begin_at(9, 1, 0, true, Timestamp(0));
        let mut guard = begin();
        let mut asked = 0;
        let ask = || {
            asked += 1;
            if asked == 2 {
                // The last marker of the transaction before, and with it the end of that.
                open.lock().clear(9);
            }
            std::future::ready(match asked {
                1 => Err(ErrorCode::ConcurrentTransactions),
                _ => Ok(TransactionReply::Done),
            })
        };
        let guards_stand = || {
            let again = begin();
            std::mem::replace(&mut guard, again) == again
        };
        assert_eq!(add_with_guards(&*clock, WAITS, ask, guards_stand).await, Ok(()));
        assert_eq!(asked, 3, "asked once more under the guard that was opened after the marker");
        assert_eq!(guard, begin(), "the batch comes with the guard that stands");
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_while_the_last_transaction_ends_is_not_kept_for_ever() {
        let clock = World::new(1).machine("broker").start().clock;
        let began = clock.now();
        let ask = || std::future::ready(Err(ErrorCode::ConcurrentTransactions));
        let told = add_with_guards(&*clock, WAITS, ask, || true).await;
        assert_eq!(told, Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(clock.now().since(began), Duration::from_millis(100));
    }
}
