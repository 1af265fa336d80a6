//! Topics are created, deleted, and get more partitions (Kafka 4.4 `ReplicationControlManager`;
//! what `ControllerApis` checks before it is here too).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::brokers::has_uncordoned_dirs;
use super::command::{
    ConfigChange, ConfigOp, CreatePartitions, CreateTopicResult, CreateTopics, CreatedTopic,
    DeleteTopicResult, DeleteTopics, MorePartitions, NewTopic, Refusal, TopicRef, Verdict,
};
use super::machine::{Context, Controller, ControllerDecision, RECORDS_MAX};
use super::placement::{self, Entropy};
use super::topic_names::{self, CLUSTER_METADATA};
use crate::metadata::record::{MetadataRecord, RemoveTopicRecord, TopicRecord};
use crate::metadata::{ConfigResource, Topic};
use crate::types::{BrokerId, ErrorCode, PartitionIndex, TopicId, Uuid};

/// The replicas of each partition from a first one on, and those of them that are in sync.
type ReplicaAssignments = Vec<(Vec<BrokerId>, Vec<BrokerId>)>;

impl Controller {
    pub(super) fn create_topics(
        &mut self,
        context: Context,
        command: CreateTopics,
    ) -> Result<ControllerDecision<Vec<CreateTopicResult>>, Refusal> {
        let mut entropy = context.entropy();
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in &command.topics {
            *names.entry(&topic.name).or_default() += 1;
        }
        let is_single = |name: &str| names.get(name) == Some(&1);
        let is_mine = |topic: &&NewTopic| is_single(&topic.name) && topic.name != CLUSTER_METADATA;
        self.check_total(command.topics.iter().filter(is_mine))?;
        let mut records = Vec::new();
        let mut results = Vec::new();
        for topic in command.topics.iter().filter(is_mine) {
            let result = self.create_topic(&mut entropy, topic, &mut records);
            results.push(CreateTopicResult { name: topic.name.clone(), result });
        }
        let invalid = |name: &str, message: String| CreateTopicResult {
            name: name.to_owned(),
            result: Err(Refusal::new(ErrorCode::InvalidRequest, message)),
        };
        for name in names.keys().filter(|name| !is_single(name)) {
            results.push(invalid(name, "Duplicate topic name.".to_owned()));
        }
        if is_single(CLUSTER_METADATA) {
            let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
            results.push(invalid(CLUSTER_METADATA, message));
        }
        if records.len() > RECORDS_MAX {
            return Err(too_large());
        }
        Ok(ControllerDecision::atomic(records, results).unless(command.validate_only))
    }

    fn check_total<'a>(&self, topics: impl Iterator<Item = &'a NewTopic>) -> Result<(), Refusal> {
        let mut total = 0;
        for topic in topics {
            total += match topic.assignments.len() {
                0 if topic.partitions == -1 => i64::from(self.settings.default_partitions),
                0 => i64::from(topic.partitions.max(0)),
                assigned => assigned as i64,
            };
            if total > RECORDS_MAX as i64 {
                return Err(Refusal::new(
                    ErrorCode::PolicyViolation,
                    "Excessively large number of partitions per request.",
                ));
            }
        }
        Ok(())
    }

    fn create_topic(
        &self,
        entropy: &mut Entropy,
        topic: &NewTopic,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<CreatedTopic, Refusal> {
        self.check_new_name(&topic.name)?;
        let nulls: Vec<&str> = topic
            .configs
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(key, _)| key.as_str())
            .collect();
        if !nulls.is_empty() {
            return Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Null value not supported for topic configs: {}", nulls.join(",")),
            ));
        }
        let config_records = if topic.configs.is_empty() {
            Vec::new()
        } else {
            let set = |(key, value): &(String, Option<String>)| {
                (key.clone(), ConfigOp::Set(value.clone()))
            };
            let change = ConfigChange::Incremental(topic.configs.iter().map(set).collect());
            self.config_records(&ConfigResource::topic(&topic.name), &change, true, false)?
        };
        let partitions = if topic.assignments.is_empty() {
            self.choose_replicas(entropy, topic)?
        } else {
            self.check_assignments(topic)?
        };
        let id = self.new_topic_id(entropy);
        let replication_factor = partitions.first().map_or(0, |(replicas, _)| replicas.len());
        let creation: BTreeMap<String, String> = topic
            .configs
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect();
        let created = CreatedTopic {
            id,
            partitions: partitions.len() as i32,
            replication_factor: replication_factor as i16,
            configs: self.effective_topic_configs(&creation),
        };
        records.push(TopicRecord { name: topic.name.clone(), topic_id: id }.into());
        records.extend(config_records);
        records.extend(partitions.into_iter().enumerate().map(|(index, (replicas, isr))| {
            self.new_partition(id, index as PartitionIndex, replicas, isr)
        }));
        Ok(created)
    }

    /// An id that no topic has.
    fn new_topic_id(&self, entropy: &mut Entropy) -> TopicId {
        loop {
            let id = entropy.uuid();
            if self.image().topics.by_id(id).is_none() {
                return id;
            }
        }
    }

    fn check_new_name(&self, name: &str) -> Result<(), Refusal> {
        topic_names::check(name)
            .map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message))?;
        if self.image().topics.by_name(name).is_some() {
            return Err(Refusal::new(
                ErrorCode::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        if let Some(other) = self.collision(name) {
            return Err(Refusal::new(
                ErrorCode::InvalidTopicException,
                format!("Topic '{name}' collides with existing topic: {other}"),
            ));
        }
        Ok(())
    }

    /// A topic that metrics would confuse with one of this name.
    fn collision(&self, name: &str) -> Option<Arc<str>> {
        if !name.contains(['.', '_']) {
            return None;
        }
        let mut topics = self.image().topics.iter_by_name();
        topics.find(|topic| topic_names::collide(&topic.name, name)).map(|t| Arc::clone(&t.name))
    }

    /// The replicas of a topic that leaves the choice to us.
    fn choose_replicas(
        &self,
        entropy: &mut Entropy,
        topic: &NewTopic,
    ) -> Result<ReplicaAssignments, Refusal> {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            return Err(Refusal::new(
                ErrorCode::InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        if topic.partitions < -1 || topic.partitions == 0 {
            return Err(Refusal::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        let or_default = |asked: i32, default: i32| if asked == -1 { default } else { asked };
        let partitions = or_default(topic.partitions, self.settings.default_partitions);
        let factor = or_default(
            i32::from(topic.replication_factor),
            i32::from(self.settings.default_replication_factor),
        );
        self.place(entropy, partitions, factor).map_err(|refusal| Refusal {
            message: refusal.message.map(|reason| {
                format!("Unable to replicate the partition {factor} time(s): {reason}")
            }),
            ..refusal
        })
    }

    /// Places new partitions. The message of a refusal is only the reason.
    fn place(
        &self,
        entropy: &mut Entropy,
        partitions: i32,
        factor: i32,
    ) -> Result<ReplicaAssignments, Refusal> {
        let refuse = |reason: String| Refusal::new(ErrorCode::InvalidReplicationFactor, reason);
        let count = usize::try_from(partitions).unwrap_or(0);
        let placed = placement::place(entropy, self.usable_brokers(), count, factor)
            .map_err(|error| refuse(error.to_string()))?;
        placed
            .into_iter()
            .map(|replicas| {
                let isr = self.active_of(&replicas);
                if isr.is_empty() {
                    return Err(refuse(
                        "All brokers are currently fenced or in controlled shutdown.".to_owned(),
                    ));
                }
                Ok((replicas, isr))
            })
            .collect()
    }

    fn active_of(&self, replicas: &[BrokerId]) -> Vec<BrokerId> {
        replicas.iter().copied().filter(|id| self.is_active(*id)).collect()
    }

    /// The replicas of a topic that names them.
    fn check_assignments(&self, topic: &NewTopic) -> Result<ReplicaAssignments, Refusal> {
        let invalid = |message: &str| Refusal::new(ErrorCode::InvalidRequest, message);
        if topic.replication_factor != -1 {
            return Err(invalid(
                "A manual partition assignment was specified, but replication factor was not set \
                 to -1.",
            ));
        }
        if topic.partitions != -1 {
            return Err(invalid(
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            ));
        }
        let refuse = |message: String| Refusal::new(ErrorCode::InvalidReplicaAssignment, message);
        let mut partitions: BTreeMap<PartitionIndex, _> = BTreeMap::new();
        let mut factor = None;
        for (index, replicas) in &topic.assignments {
            if partitions.contains_key(index) {
                return Err(refuse(format!(
                    "Found multiple manual partition assignments for partition {index}"
                )));
            }
            self.check_assignment(replicas, factor)?;
            factor = Some(replicas.len());
            let isr = self.active_of(replicas);
            if isr.is_empty() {
                return Err(refuse(format!(
                    "All brokers specified in the manual partition assignment for partition \
                     {index} are fenced or in controlled shutdown."
                )));
            }
            partitions.insert(*index, (replicas.clone(), isr));
        }
        if partitions.keys().enumerate().any(|(at, index)| at as PartitionIndex != *index) {
            let message = "partitions should be a consecutive 0-based integer sequence";
            return Err(refuse(message.to_owned()));
        }
        Ok(partitions.into_values().collect())
    }

    /// Whether replicas that were named can hold a partition.
    pub(super) fn check_assignment(
        &self,
        replicas: &[BrokerId],
        factor: Option<usize>,
    ) -> Result<(), Refusal> {
        let refuse =
            |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        if replicas.is_empty() {
            return refuse(
                "The manual partition assignment includes an empty replica list.".to_owned(),
            );
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let mut previous = None;
        for id in sorted {
            let Some(broker) = self.broker(id) else {
                return refuse(format!(
                    "The manual partition assignment includes broker {id}, but no such broker is \
                     registered."
                ));
            };
            if !has_uncordoned_dirs(broker) {
                return refuse(format!(
                    "The manual partition assignment includes broker {id}, but all its log \
                     directories are cordoned."
                ));
            }
            if previous == Some(id) {
                return refuse(format!(
                    "The manual partition assignment includes the broker {id} more than once."
                ));
            }
            previous = Some(id);
        }
        match factor {
            Some(factor) if factor != replicas.len() => refuse(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this \
                 is not consistent with previous partitions, which have {factor} replica(s).",
                replicas.len()
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn delete_topics(
        &mut self,
        _context: Context,
        command: DeleteTopics,
    ) -> Result<ControllerDecision<Vec<DeleteTopicResult>>, Refusal> {
        if !self.settings.delete_topic_enable {
            return Err(Refusal::new(
                ErrorCode::TopicDeletionDisabled,
                "Topic deletion is disabled.",
            ));
        }
        let mut counts: BTreeMap<&TopicRef, usize> = BTreeMap::new();
        for topic in &command.topics {
            *counts.entry(topic).or_default() += 1;
        }
        let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
        let refuse = |name: Option<&String>, id: TopicId, result: Verdict| DeleteTopicResult {
            name: name.cloned(),
            id,
            result,
        };
        let mut results = Vec::new();
        let mut found: BTreeMap<TopicId, Arc<Topic>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let image = self.image();
        // Ids first: a name that means a topic whose id was given is ambiguous.
        for (topic, count) in counts.iter().rev() {
            let is_single = *count == 1;
            match topic {
                TopicRef::Id(id) if !is_single => {
                    results.push(refuse(None, *id, invalid("Duplicate topic id.")));
                    taken.insert(*id);
                }
                TopicRef::Id(id) => match image.topics.by_id(*id) {
                    Some(topic) => {
                        taken.insert(*id);
                        found.insert(*id, Arc::clone(topic));
                    }
                    None => results.push(refuse(None, *id, Err(unknown_topic_id()))),
                },
                TopicRef::Name(name) if !is_single => {
                    let refusal = invalid("Duplicate topic name.");
                    results.push(refuse(Some(name), Uuid::ZERO, refusal));
                }
                TopicRef::Name(name) => match image.topics.by_name(name) {
                    Some(topic) if !taken.insert(topic.id) => {
                        found.remove(&topic.id);
                        let message =
                            "The provided topic name maps to an ID that was already supplied.";
                        results.push(refuse(Some(name), topic.id, invalid(message)));
                    }
                    Some(topic) => _ = found.insert(topic.id, Arc::clone(topic)),
                    None => results.push(refuse(Some(name), Uuid::ZERO, Err(unknown_topic()))),
                },
            }
        }
        let records: Vec<MetadataRecord> =
            found.keys().map(|id| RemoveTopicRecord { topic_id: *id }.into()).collect();
        results.extend(found.into_values().map(|topic| DeleteTopicResult {
            name: Some(topic.name.to_string()),
            id: topic.id,
            result: Ok(()),
        }));
        Ok(ControllerDecision::atomic(records, results))
    }

    pub(super) fn create_partitions(
        &mut self,
        context: Context,
        command: CreatePartitions,
    ) -> Result<ControllerDecision<Vec<(String, Verdict)>>, Refusal> {
        let mut entropy = context.entropy();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for topic in &command.topics {
            *counts.entry(&topic.name).or_default() += 1;
        }
        let mut results: Vec<(String, Verdict)> = counts
            .iter()
            .filter(|(_, count)| **count > 1)
            .map(|(name, _)| {
                let refusal = Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
                ((*name).to_owned(), Err(refusal))
            })
            .collect();
        let mut records = Vec::new();
        for topic in &command.topics {
            let present = self.image().topics.by_name(&topic.name).map(|t| t.partitions.len());
            let wanted = usize::try_from(topic.count).unwrap_or(0);
            if present.is_some_and(|present| wanted.saturating_sub(present) > RECORDS_MAX) {
                return Err(too_large());
            }
            if counts.get(topic.name.as_str()) == Some(&1) {
                let result = self.add_partitions(&mut entropy, topic, &mut records);
                results.push((topic.name.clone(), result));
            }
            if records.len() > RECORDS_MAX {
                return Err(too_large());
            }
        }
        Ok(ControllerDecision::atomic(records, results).unless(command.validate_only))
    }

    fn add_partitions(
        &self,
        entropy: &mut Entropy,
        command: &MorePartitions,
        records: &mut Vec<MetadataRecord>,
    ) -> Verdict {
        let Some(topic) = self.image().topics.by_name(&command.name) else {
            return Err(ErrorCode::UnknownTopicOrPartition.into());
        };
        let present = topic.partitions.len();
        let refuse = |message| Err(Refusal::new(ErrorCode::InvalidPartitions, message));
        let additional = match usize::try_from(command.count) {
            Ok(count) if count == present => {
                return refuse(format!("Topic already has {present} partition(s)."));
            }
            Ok(count) if count > present => count - present,
            _ => {
                return refuse(format!(
                    "The topic {} currently has {present} partition(s); {} would not be an \
                     increase.",
                    command.name, command.count
                ));
            }
        };
        let factor = topic.partitions.first().map_or(0, |first| first.replicas.len());
        let placed = match &command.assignments {
            None => self.place(entropy, additional as i32, factor as i32).map_err(|refusal| {
                // Only this reason is given with what it prevents.
                let all_fenced = "All brokers are currently fenced or in controlled shutdown.";
                match refusal.message {
                    Some(reason) if reason == all_fenced => Refusal::new(
                        refusal.code,
                        format!("Unable to replicate the partition {factor} time(s): {reason}"),
                    ),
                    message => Refusal { message, ..refusal },
                }
            })?,
            Some(assignments) => {
                self.check_more_assignments(assignments, present, additional, factor)?
            }
        };
        records.extend(placed.into_iter().zip(present..).map(|((replicas, isr), index)| {
            self.new_partition(topic.id, index as PartitionIndex, replicas, isr)
        }));
        Ok(())
    }

    fn check_more_assignments(
        &self,
        assignments: &[Vec<BrokerId>],
        present: usize,
        additional: usize,
        factor: usize,
    ) -> Result<ReplicaAssignments, Refusal> {
        let refuse =
            |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        if assignments.len() != additional {
            return refuse(format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) \
                 were specified.",
                assignments.len()
            ));
        }
        let mut placed = Vec::with_capacity(additional);
        for (replicas, index) in assignments.iter().zip(present..) {
            self.check_assignment(replicas, Some(factor))?;
            let isr = self.active_of(replicas);
            if isr.is_empty() {
                return refuse(format!(
                    "All brokers specified in the manual partition assignment for partition \
                     {index} are fenced or in controlled shutdown."
                ));
            }
            placed.push((replicas.clone(), isr));
        }
        Ok(placed)
    }
}

/// The refusal of a request that would write too many records.
/// The refusal of a change that does not fit into one batch.
pub fn too_large() -> Refusal {
    Refusal::new(ErrorCode::PolicyViolation, "Unable to perform excessively large batch operation.")
}

fn unknown_topic() -> Refusal {
    let message = "This server does not host this topic-partition.";
    Refusal::new(ErrorCode::UnknownTopicOrPartition, message)
}

fn unknown_topic_id() -> Refusal {
    Refusal::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.")
}
