//! Leaders are elected, in-sync replicas change, replicas move and name their directories
//! (Kafka 4.4 `ReplicationControlManager`; KIP-460, KIP-497, KIP-455, KIP-858).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::brokers::BrokerChange;
use super::command::{
    AlterPartition, AlterPartitionReassignments, AlteredPartition, AssignReplicasToDirs,
    ElectLeaders, ElectionType, PartitionState, ProposedIsr, Refusal, Verdict,
};
use super::machine::{Context, Controller, ControllerDecision};
use super::partitions::{Election, RECOVERED, RECOVERING};
use crate::metadata::record::{MetadataRecord, PartitionChangeRecord};
use crate::metadata::topics::{NO_LEADER, NO_LEADER_CHANGE};
use crate::metadata::{MetadataImage, Partition, Topic};
use crate::types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicPartition, Uuid};

/// The verdicts on partitions, by topic.
type ElectionResults = Vec<(String, Vec<(PartitionIndex, Verdict)>)>;

/// The verdicts on the partitions of a topic, in a directory.
type Assigned = (Uuid, TopicId, Vec<(PartitionIndex, Verdict)>);

/// A partition that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ongoing {
    /// Its number.
    pub partition: PartitionIndex,
    /// All its replicas, also those that go.
    pub replicas: Vec<BrokerId>,
    /// Those that come.
    pub adding: Vec<BrokerId>,
    /// Those that go.
    pub removing: Vec<BrokerId>,
}

/// The reassignments under way, of these partitions or of all (ListPartitionReassignments).
pub fn ongoing_reassignments(
    image: &MetadataImage,
    topics: Option<&[(String, Vec<PartitionIndex>)]>,
) -> Vec<(String, Vec<Ongoing>)> {
    let of = |topic: &Topic, index: PartitionIndex| {
        let partition = topic.partition(index).filter(|partition| is_moving(partition))?;
        Some(Ongoing {
            partition: index,
            replicas: partition.replicas.clone(),
            adding: partition.adding_replicas.clone(),
            removing: partition.removing_replicas.clone(),
        })
    };
    let all = |topic: &Arc<Topic>| {
        let indexes = 0..topic.partitions.len() as PartitionIndex;
        (topic.name.to_string(), indexes.filter_map(|index| of(topic, index)).collect::<Vec<_>>())
    };
    let mut found: Vec<(String, Vec<Ongoing>)> = match topics {
        None => image.topics.iter_by_name().map(all).collect(),
        Some(topics) => topics
            .iter()
            .filter_map(|(name, indexes)| {
                let topic = image.topics.by_name(name)?;
                let moving = indexes.iter().filter_map(|index| of(topic, *index)).collect();
                Some((name.clone(), moving))
            })
            .collect(),
    };
    found.retain(|(_, moving)| !moving.is_empty());
    found
}

fn is_moving(partition: &Partition) -> bool {
    !partition.adding_replicas.is_empty() || !partition.removing_replicas.is_empty()
}

impl Controller {
    pub(super) fn elect_leaders(
        &mut self,
        _context: Context,
        command: ElectLeaders,
    ) -> Result<ControllerDecision<ElectionResults>, Refusal> {
        let mut records = Vec::new();
        let mut elect = |name: &str, index| {
            let elected = self.elect_leader(name, index, command.election);
            elected.map(|record| records.push(record))
        };
        let results = match &command.partitions {
            Some(topics) => topics
                .iter()
                .map(|(name, indexes)| {
                    let results = indexes.iter().map(|index| (*index, elect(name, *index)));
                    (name.clone(), results.collect())
                })
                .collect(),
            None => self
                .image()
                .topics
                .iter_by_name()
                .map(|topic| {
                    let results = (0..topic.partitions.len() as PartitionIndex)
                        .map(|index| (index, elect(&topic.name, index)))
                        // Those that are as asked for are not worth a word.
                        .filter(|(_, result)| !is_not_needed(result))
                        .collect();
                    (topic.name.to_string(), results)
                })
                .collect(),
        };
        if records.len() > super::machine::RECORDS_MAX {
            return Err(super::topics::too_large());
        }
        Ok(ControllerDecision::split(records, results))
    }

    fn elect_leader(
        &self,
        name: &str,
        index: PartitionIndex,
        election: ElectionType,
    ) -> Result<MetadataRecord, Refusal> {
        let unknown = |message| Refusal::new(ErrorCode::UnknownTopicOrPartition, message);
        let topic = self.image().topics.by_name(name);
        let topic = topic.ok_or_else(|| unknown(format!("No such topic as {name}")))?;
        let partition = topic.partition(index);
        let partition =
            partition.ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
        let is_fine = match election {
            ElectionType::Preferred => partition.replicas.first() == Some(&partition.leader),
            ElectionType::Unclean => partition.leader != NO_LEADER,
        };
        if is_fine {
            let message = "Leader election not needed for topic partition.";
            return Err(Refusal::new(ErrorCode::ElectionNotNeeded, message));
        }
        let (how, code, message) = match election {
            ElectionType::Preferred => (
                Election::Preferred,
                ErrorCode::PreferredLeaderNotAvailable,
                "The preferred leader was not available.",
            ),
            ElectionType::Unclean => (
                Election::Unclean,
                ErrorCode::EligibleLeadersNotAvailable,
                "Eligible topic partition leaders are not available.",
            ),
        };
        let is_active = |id| self.is_active(id);
        let change = self.change_of(topic, index, partition, &is_active, |c| c.election(how));
        change.ok_or_else(|| Refusal::new(code, message))
    }

    pub(super) fn alter_partition(
        &mut self,
        _context: Context,
        command: AlterPartition,
    ) -> Result<ControllerDecision<Vec<AlteredPartition>>, Refusal> {
        let AlterPartition { broker_id, broker_epoch, partitions } = command;
        self.check_epoch(broker_id, broker_epoch)?;
        let mut records = Vec::new();
        let results = partitions
            .iter()
            .map(|proposed| {
                let decided = self.altered_partition(broker_id, proposed);
                let result = decided.and_then(|(record, result)| {
                    records.extend(record);
                    result
                });
                let ProposedIsr { topic, partition, .. } = *proposed;
                AlteredPartition { topic, partition, result }
            })
            .collect();
        Ok(ControllerDecision::split(records, results))
    }

    /// The record of a proposal and what its leader is told. The end of a reassignment may give
    /// the partition to somebody else: then there is a record, and an error.
    fn altered_partition(
        &self,
        broker: BrokerId,
        proposed: &ProposedIsr,
    ) -> Result<(Option<MetadataRecord>, Result<PartitionState, ErrorCode>), ErrorCode> {
        let topic = self.image().topics.by_id(proposed.topic).ok_or(ErrorCode::UnknownTopicId)?;
        let partition =
            topic.partition(proposed.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.check_proposal(broker, partition, proposed)?;
        let is_active = |id| self.is_active(id);
        let recovery = if proposed.recovering { RECOVERING } else { RECOVERED };
        let isr = proposed.isr.iter().map(|(id, _)| *id).collect();
        let election =
            if self.allows_unclean(topic) { Election::Unclean } else { Election::Online };
        let index = proposed.partition;
        let record = self.change_of(topic, index, partition, &is_active, |change| {
            change.election(election).isr(isr).recovery(recovery)
        });
        let mut after = state_of(partition);
        if let Some(MetadataRecord::PartitionChange(change)) = &record {
            apply_change(&mut after, change);
            if change.leader != broker && change.leader != NO_LEADER_CHANGE {
                return Ok((record, Err(ErrorCode::NewLeaderElected)));
            }
        }
        Ok((record, Ok(after)))
    }

    fn check_proposal(
        &self,
        broker: BrokerId,
        partition: &Partition,
        proposed: &ProposedIsr,
    ) -> Result<(), ErrorCode> {
        // A leader that knows of a later epoch than we do talks to a controller of yesterday.
        if proposed.leader_epoch > partition.leader_epoch
            || proposed.partition_epoch > partition.partition_epoch
        {
            return Err(ErrorCode::NotController);
        }
        if proposed.leader_epoch < partition.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if broker != partition.leader {
            return Err(ErrorCode::InvalidRequest);
        }
        if proposed.partition_epoch < partition.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let ids: BTreeSet<BrokerId> = proposed.isr.iter().map(|(id, _)| *id).collect();
        let is_whole = !ids.is_empty()
            && ids.len() == proposed.isr.len()
            && ids.iter().all(|id| partition.replicas.contains(id))
            && ids.contains(&partition.leader);
        let recovers_alone = !proposed.recovering || ids.len() == 1;
        let was_recovering = partition.leader_recovery_state == RECOVERING;
        if !is_whole || !recovers_alone || (proposed.recovering && !was_recovering) {
            return Err(ErrorCode::InvalidRequest);
        }
        let is_eligible = |(id, epoch): &(BrokerId, i64)| {
            let broker = self.broker(*id).filter(|_| self.is_active(*id));
            broker.is_some_and(|broker| *epoch == -1 || *epoch == broker.epoch)
        };
        if proposed.isr.iter().all(is_eligible) {
            Ok(())
        } else {
            Err(ErrorCode::IneligibleReplica)
        }
    }

    pub(super) fn alter_reassignments(
        &mut self,
        _context: Context,
        command: AlterPartitionReassignments,
    ) -> Result<ControllerDecision<ElectionResults>, Refusal> {
        let mut records = Vec::new();
        let may_change = command.allow_replication_factor_change;
        let results = command
            .topics
            .iter()
            .map(|(name, partitions)| {
                let results = partitions
                    .iter()
                    .map(|(index, target)| {
                        let decided = self.reassign(name, *index, target.as_deref(), may_change);
                        (*index, decided.map(|record| records.extend(record)))
                    })
                    .collect();
                (name.clone(), results)
            })
            .collect();
        Ok(ControllerDecision::atomic(records, results))
    }

    fn reassign(
        &self,
        name: &str,
        index: PartitionIndex,
        target: Option<&[BrokerId]>,
        may_change_factor: bool,
    ) -> Result<Option<MetadataRecord>, Refusal> {
        let unknown = |message| Refusal::new(ErrorCode::UnknownTopicOrPartition, message);
        let topic = self.image().topics.by_name(name);
        let topic =
            topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
        let partition = topic.partition(index);
        let partition = partition
            .ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
        match target {
            None => self.cancel_reassignment(topic, index, partition),
            Some(target) => {
                self.begin_reassignment(topic, index, partition, target, may_change_factor)
            }
        }
    }

    fn begin_reassignment(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        partition: &Partition,
        target: &[BrokerId],
        may_change_factor: bool,
    ) -> Result<Option<MetadataRecord>, Refusal> {
        self.check_assignment(target, None)?;
        let current = &partition.replicas;
        if !may_change_factor {
            let stays = |id: &&BrokerId| !partition.removing_replicas.contains(id);
            let factor = current.iter().filter(stays).count();
            if factor != target.len() {
                return Err(Refusal::new(
                    ErrorCode::InvalidReplicationFactor,
                    format!("The replication factor is changed from {factor} to {}", target.len()),
                ));
            }
        }
        let missing = |from: &[BrokerId], of: &[BrokerId]| -> Vec<BrokerId> {
            let missing: BTreeSet<BrokerId> =
                from.iter().copied().filter(|id| !of.contains(id)).collect();
            missing.into_iter().collect()
        };
        let (removing, adding) = (missing(current, target), missing(target, current));
        let replicas = [target, &removing].concat();
        // What is empty stays as it is: a target equal to the present replicas cancels nothing.
        let or = |new: Vec<BrokerId>, old: &Vec<BrokerId>| {
            if new.is_empty() { old.clone() } else { new }
        };
        let removing = or(removing, &partition.removing_replicas);
        let adding = or(adding, &partition.adding_replicas);
        let is_active = |id| self.is_active(id);
        Ok(self.change_of(topic, index, partition, &is_active, |change| {
            change.assignment(replicas, removing, adding)
        }))
    }

    fn cancel_reassignment(
        &self,
        topic: &Topic,
        index: PartitionIndex,
        partition: &Partition,
    ) -> Result<Option<MetadataRecord>, Refusal> {
        if !is_moving(partition) {
            return Err(ErrorCode::NoReassignmentInProgress.into());
        }
        let was_there = |id: &BrokerId| !partition.adding_replicas.contains(id);
        let replicas: Vec<BrokerId> =
            partition.replicas.iter().copied().filter(was_there).collect();
        let mut isr: Vec<BrokerId> = partition.isr.iter().copied().filter(was_there).collect();
        let refuse = |message| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        let allows_unclean = self.allows_unclean(topic);
        if isr.is_empty() {
            // Only those that were being added are in sync: going back loses what they have.
            let Some(first) = replicas.first() else {
                return refuse(
                    "Invalid replica assignment: addingReplicas contains all replicas.".to_owned(),
                );
            };
            isr.push(*first);
            if !allows_unclean {
                return refuse(format!(
                    "Unable to revert partition assignment for {}:{index} because it would require \
                     an unclean leader election.",
                    topic.name
                ));
            }
        }
        let election = if allows_unclean { Election::Unclean } else { Election::Online };
        let is_active = |id| self.is_active(id);
        Ok(self.change_of(topic, index, partition, &is_active, |change| {
            change.election(election).isr(isr).assignment(replicas, Vec::new(), Vec::new())
        }))
    }

    pub(super) fn assign_directories(
        &mut self,
        _context: Context,
        command: AssignReplicasToDirs,
    ) -> Result<ControllerDecision<Vec<Assigned>>, Refusal> {
        if !self.image().release.has_directories() {
            return Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                "Directory assignment is not supported yet.",
            ));
        }
        let id = command.broker_id;
        let broker = self.check_epoch(id, command.broker_epoch)?;
        let mut records = Vec::new();
        let mut results = Vec::new();
        for (directory, topic_id, indexes) in command.replicas {
            let is_lost = !super::partitions::is_online(broker, directory);
            let topic = self.image().topics.by_id(topic_id);
            let assign = |index: PartitionIndex| -> Result<Vec<MetadataRecord>, Refusal> {
                let topic = topic.ok_or(ErrorCode::UnknownTopicId)?;
                let partition = topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
                if !partition.replicas.contains(&id) {
                    return Err(ErrorCode::NotLeaderOrFollower.into());
                }
                let is_active = |id| self.is_active(id);
                let named = self.change_of(topic, index, partition, &is_active, |change| {
                    change.directory(id, directory)
                });
                let change = BrokerChange { remove: Some(id), ..BrokerChange::default() };
                let lost = is_lost.then(|| {
                    let id = TopicPartition { topic: topic_id, partition: index };
                    self.partition_change(change, self.terms_of(topic), id, partition)
                });
                Ok(named.into_iter().chain(lost.flatten()).collect())
            };
            let verdicts = indexes
                .into_iter()
                .map(|index| (index, assign(index).map(|more| records.extend(more))))
                .collect();
            results.push((directory, topic_id, verdicts));
        }
        Ok(ControllerDecision::split(records, results))
    }
}

fn is_not_needed(result: &Verdict) -> bool {
    matches!(result, Err(refusal) if refusal.code == ErrorCode::ElectionNotNeeded)
}

fn state_of(partition: &Partition) -> PartitionState {
    PartitionState {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        isr: partition.isr.clone(),
        recovering: partition.leader_recovery_state == RECOVERING,
        partition_epoch: partition.partition_epoch,
    }
}

/// As the image applies it.
fn apply_change(state: &mut PartitionState, change: &PartitionChangeRecord) {
    if let Some(isr) = &change.isr {
        state.isr.clone_from(isr);
    }
    if change.leader != NO_LEADER_CHANGE {
        state.leader = change.leader;
        state.leader_epoch += 1;
    }
    if change.leader_recovery_state >= 0 {
        state.recovering = change.leader_recovery_state == RECOVERING;
    }
    state.partition_epoch += 1;
}
