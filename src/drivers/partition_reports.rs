//! Reports of a broker to the controller about its partitions: that a leader has recovered, and in
//! which log directory a replica is.

use std::sync::Arc;

use tokio::sync::Notify;

use super::controller::ControllerClient;
use super::metadata_feed::MetadataFeed;
use super::shutdown::ShutdownSignal;
use crate::controller::command::{AlterPartition, AssignReplicasToDirs, ProposedIsr};
use crate::metadata::MetadataImage;
use crate::store::Mover;
use crate::store::log_dir_moves::{ReplicaMove, ReportMove};
use crate::types::{BrokerId, PartitionIndex, TopicId, TopicPartition, Uuid};

/// `LeaderRecoveryState.RECOVERING`: elected although records may be missing.
const RECOVERING: i8 = 1;

/// Reports whenever an image gives reason to.
pub struct PartitionReporter {
    /// This broker.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: i64,
    /// The active controller.
    pub controller: ControllerClient,
    /// The images.
    pub feed: MetadataFeed,
    /// Moves between log directories, which are reported by [`report_moves`].
    pub mover: Arc<Mover>,
}

/// Reports each move between log directories to the controller.
pub fn report_moves(
    (broker_id, broker_epoch): (BrokerId, i64),
    controller: ControllerClient,
    feed: MetadataFeed,
) -> ReportMove {
    Box::new(move |moved| {
        let (controller, feed) = (controller.clone(), feed.clone());
        Box::pin(async move {
            if !feed.image().release.has_directories() {
                return true;
            }
            let ReplicaMove { topic, id, directory } = moved;
            let replicas = vec![(directory, id.topic, vec![id.partition])];
            let command = AssignReplicasToDirs { broker_id, broker_epoch, replicas };
            let refused = match controller.call(command).await {
                Ok(results) => {
                    let mut verdicts = results.into_iter().flat_map(|(_, _, verdicts)| verdicts);
                    verdicts.find_map(|(_, verdict)| verdict.err())
                }
                Err(refusal) => Some(refusal),
            };
            if let Some(refusal) = &refused {
                tracing::warn!(%topic, partition = id.partition, %directory, %refusal,
                    "the controller did not record the new log directory of a replica");
            }
            refused.is_none()
        })
    })
}

impl PartitionReporter {
    /// Runs until the broker stops; `changed` is notified with each image.
    pub async fn run(self, changed: Arc<Notify>, stopping: Arc<ShutdownSignal>) {
        loop {
            self.report().await;
            tokio::select! {
                biased;
                () = stopping.wait() => return,
                () = changed.notified() => {}
            }
        }
    }

    async fn report(&self) {
        let image = self.feed.image();
        let recovered = self.recovered(&image);
        if !recovered.is_empty() {
            let (broker_id, broker_epoch) = (self.broker_id, self.broker_epoch);
            let command = AlterPartition { broker_id, broker_epoch, partitions: recovered };
            if let Err(refusal) = self.controller.call(command).await {
                tracing::warn!(%refusal, "the controller did not record that partitions have recovered");
            }
        }
        let replicas =
            if image.release.has_directories() { self.unassigned(&image) } else { Vec::new() };
        if !replicas.is_empty() {
            let (broker_id, broker_epoch) = (self.broker_id, self.broker_epoch);
            let command = AssignReplicasToDirs { broker_id, broker_epoch, replicas };
            if let Err(refusal) = self.controller.call(command).await {
                tracing::warn!(%refusal, "the controller did not record the log directories of replicas");
            }
        }
    }

    /// Partitions that this broker leads and has recovered: their logs are open.
    fn recovered(&self, image: &MetadataImage) -> Vec<ProposedIsr> {
        each(image)
            .filter(|(_, partition)| {
                partition.leader == self.broker_id && partition.leader_recovery_state == RECOVERING
            })
            .filter(|(id, _)| self.mover.partitions().get(*id).is_some())
            .map(|(id, partition)| ProposedIsr {
                topic: id.topic,
                partition: id.partition,
                leader_epoch: partition.leader_epoch,
                partition_epoch: partition.partition_epoch,
                isr: vec![(self.broker_id, self.broker_epoch)],
                recovering: false,
            })
            .collect()
    }

    /// Replicas here whose directory the metadata does not know, or believes to be another, also
    /// after a move that was cancelled late.
    fn unassigned(&self, image: &MetadataImage) -> Vec<(Uuid, TopicId, Vec<PartitionIndex>)> {
        let mut all: Vec<(Uuid, TopicId, Vec<PartitionIndex>)> = Vec::new();
        for (id, registration) in each(image) {
            if self.mover.log_dirs().len() == 1
                && registration.directory_of(self.broker_id) != Some(Uuid::UNASSIGNED_DIRECTORY)
            {
                continue;
            }
            let Some(partition) = self.mover.partitions().get(id) else { continue };
            // Where a partition will be that is offline, the next start finds out.
            if self.mover.is_moving(id) || partition.offline().is_some() {
                continue;
            }
            let path = partition.log_dir();
            let dir = self.mover.log_dirs().iter().find(|known| known.path == path);
            let Some(dir) = dir.map(|dir| dir.id) else { continue };
            if registration.directory_of(self.broker_id) == Some(dir) {
                continue;
            }
            match all.iter_mut().find(|(known, topic, _)| *known == dir && *topic == id.topic) {
                Some((_, _, partitions)) => partitions.push(id.partition),
                None => all.push((dir, id.topic, vec![id.partition])),
            }
        }
        all
    }
}

fn each(
    image: &MetadataImage,
) -> impl Iterator<Item = (TopicPartition, &Arc<crate::metadata::Partition>)> {
    image.topics.iter().flat_map(|topic| {
        let numbered = (0..).zip(&topic.partitions);
        numbered.map(|(partition, known)| (TopicPartition { topic: topic.id, partition }, known))
    })
}
