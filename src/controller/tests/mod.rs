//! Stories: given what happened, when a command comes, then these records and this reply.
//!
//! Here is the world that they play in; the stories are in files by subject.

mod brokers;
mod others;
mod partitions;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::command::*;
use super::*;
use crate::metadata::cluster::FeatureRange;
use crate::metadata::features;
use crate::metadata::{ConfigResource, MetadataRecord, ResourceType};
use crate::types::{ErrorCode, Mono, Offset, Uuid};

/// Rules that know a few keys.
pub(crate) struct FewRules;

impl ConfigRules for FewRules {
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &ConfigValues,
        _before: &ConfigValues,
    ) -> Result<(), Refusal> {
        let known = ["retention.ms", "cleanup.policy", "min.insync.replicas", "cordoned.log.dirs"];
        let unclean = "unclean.leader.election.enable";
        match values.keys().find(|key| !known.contains(&key.as_str()) && *key != unclean) {
            Some(key) if resource.kind == ResourceType::Topic => Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Unknown topic config name: {key}"),
            )),
            _ => Ok(()),
        }
    }

    fn is_list(&self, _kind: ResourceType, key: &str) -> bool {
        key == "cleanup.policy"
    }

    fn default_value(&self, _kind: ResourceType, key: &str) -> Option<String> {
        (key == "cleanup.policy").then(|| "delete".to_owned())
    }

    fn effective_topic(
        &self,
        topic: &ConfigValues,
        _node: &ConfigValues,
        _cluster: &ConfigValues,
    ) -> Vec<EffectiveConfig> {
        let effective = |(name, value): (&String, &String)| EffectiveConfig {
            name: name.clone(),
            value: Some(value.clone()),
            source: 1,
            sensitive: false,
        };
        topic.iter().map(effective).collect()
    }

    fn effective_topic_value(
        &self,
        key: &str,
        topic: &ConfigValues,
        _node: &ConfigValues,
        cluster: &ConfigValues,
    ) -> Option<String> {
        topic.get(key).or_else(|| cluster.get(key)).cloned()
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        node_id: 1,
        cluster_id: "cluster".to_owned(),
        voters: BTreeSet::from([1]),
        kraft_version: 0,
        default_partitions: 1,
        default_replication_factor: 1,
        min_insync_replicas: 1,
        delete_topic_enable: true,
        session_timeout: Duration::from_secs(9),
        max_idle_interval: None,
    }
}

pub(crate) fn directory(broker: i32) -> Uuid {
    Uuid::from_halves(0xd1 << 32, 1000 + broker as u64)
}

pub(crate) fn supported() -> Vec<FeatureRange> {
    features::supported()
        .map(|(name, min, max)| FeatureRange { name: name.to_owned(), min, max })
        .collect()
}

pub(crate) fn registration(broker: i32, incarnation: u64) -> RegisterBroker {
    RegisterBroker {
        broker_id: broker,
        cluster_id: "cluster".to_owned(),
        incarnation_id: Uuid::from_halves(7, incarnation),
        endpoints: Vec::new(),
        features: supported(),
        rack: None,
        log_dirs: vec![directory(broker)],
        previous_epoch: Some(-1),
    }
}

/// One line for one record: enough to tell what it does.
pub(crate) fn line(record: &MetadataRecord) -> String {
    let or = |ids: &Option<Vec<i32>>, name: &str| {
        ids.as_ref().map_or_else(String::new, |ids| format!(" {name}{ids:?}"))
    };
    match record {
        MetadataRecord::FeatureLevel(r) => format!("feature {}={}", r.name, r.feature_level),
        MetadataRecord::Config(r) => format!(
            "config {}:{} {}={}",
            r.resource_type,
            r.resource_name,
            r.name,
            r.value.as_deref().unwrap_or("-")
        ),
        MetadataRecord::Topic(r) => format!("topic {}", r.name),
        MetadataRecord::RemoveTopic(_) => "remove topic".to_owned(),
        MetadataRecord::Partition(r) => format!(
            "partition {} replicas{:?} isr{:?} leader {} epoch {}",
            r.partition_id, r.replicas, r.isr, r.leader, r.leader_epoch
        ),
        MetadataRecord::PartitionChange(r) => {
            let leader =
                if r.leader == -2 { String::new() } else { format!(" leader {}", r.leader) };
            let recovery = match r.leader_recovery_state {
                0 => " recovered",
                1 => " recovering",
                _ => "",
            };
            format!(
                "change {}{leader}{}{}{}{}{}{}{recovery}",
                r.partition_id,
                or(&r.isr, "isr"),
                or(&r.replicas, "replicas"),
                or(&r.removing_replicas, "removing"),
                or(&r.adding_replicas, "adding"),
                or(&r.eligible_leader_replicas, "elr"),
                or(&r.last_known_elr, "last"),
            )
        }
        MetadataRecord::RegisterBroker(r) => {
            format!("register {} epoch {} fenced {}", r.broker_id, r.broker_epoch, r.fenced)
        }
        MetadataRecord::BrokerRegistrationChange(r) => {
            let fenced = match r.fenced {
                1 => " fence",
                -1 => " unfence",
                _ => "",
            };
            let stopping = if r.in_controlled_shutdown == 1 { " stopping" } else { "" };
            let dirs = if r.log_dirs.is_empty() { "" } else { " dirs" };
            let cordoned = if r.cordoned_log_dirs.is_some() { " cordoned" } else { "" };
            format!("broker {}{fenced}{stopping}{dirs}{cordoned}", r.broker_id)
        }
        MetadataRecord::ProducerIds(r) => format!("producer ids to {}", r.next_producer_id),
        MetadataRecord::ClearElr(r) => format!("clear elr '{}'", r.topic_name),
        other => other.name().to_lowercase(),
    }
}

/// A controller and its log.
pub(crate) struct World {
    pub(crate) machine: Controller,
    pub(crate) log: Vec<MetadataRecord>,
    pub(crate) now: Mono,
}

impl World {
    /// Of a cluster formatted at these levels, without brokers.
    pub(crate) fn formatted(levels: &[(&str, i16)], settings: Settings) -> Self {
        let feature = |(name, level): &(&str, i16)| {
            let name = (*name).to_owned();
            crate::metadata::record::FeatureLevelRecord { name, feature_level: *level }.into()
        };
        let bootstrap: Vec<MetadataRecord> = levels.iter().map(feature).collect();
        let machine = Controller::new(settings, Arc::new(FewRules));
        let mut world = Self { machine, log: Vec::new(), now: Mono::default() };
        let records = world.machine.activate(world.now, &bootstrap).unwrap();
        world.apply(&records);
        world
    }

    /// With eligible leader replicas, and brokers 1 to `count` alive.
    pub(crate) fn of_brokers(count: i32) -> Self {
        Self::of_brokers_at(
            count,
            &[("metadata.version", 33), ("eligible.leader.replicas.version", 1)],
        )
    }

    pub(crate) fn of_brokers_at(count: i32, levels: &[(&str, i16)]) -> Self {
        let mut world = Self::formatted(levels, settings());
        for broker in 1..=count {
            world.start(broker, 1);
        }
        world
    }

    /// Registers a new incarnation of a broker and unfences it.
    pub(crate) fn start(&mut self, broker: i32, incarnation: u64) -> i64 {
        let epoch = self.ask(registration(broker, incarnation)).unwrap();
        self.heartbeat(broker, false, false);
        epoch
    }

    pub(crate) fn heartbeat(
        &mut self,
        broker: i32,
        fence: bool,
        stop: bool,
    ) -> BrokerHeartbeatReply {
        let broker_epoch = self.machine.image().cluster.brokers[&broker].epoch;
        self.ask(BrokerHeartbeat {
            broker_id: broker,
            broker_epoch,
            metadata_offset: self.log.len() as Offset,
            want_fence: fence,
            want_shut_down: stop,
            ..BrokerHeartbeat::default()
        })
        .unwrap()
    }

    pub(crate) fn apply(&mut self, records: &[MetadataRecord]) {
        for record in records {
            self.machine.apply(record, self.log.len() as Offset, 1).unwrap();
            self.log.push(record.clone());
        }
    }

    pub(crate) fn ask<O: Operation>(&mut self, operation: O) -> Result<O::Reply, Refusal> {
        let next_offset = self.log.len() as Offset;
        let seed = next_offset as u128 + 1;
        let context = Context { now: self.now, next_offset, seed };
        let outcome = self.machine.decide(context, operation.into_command());
        self.apply(&outcome.records);
        outcome.reply.map(|reply| O::reply(reply).unwrap())
    }

    /// The records that an operation writes.
    pub(crate) fn records<O: Operation>(&mut self, operation: O) -> Vec<String> {
        let before = self.log.len();
        self.ask(operation).unwrap();
        self.lines_since(before)
    }

    pub(crate) fn lines_since(&self, offset: usize) -> Vec<String> {
        self.log[offset..].iter().map(line).collect()
    }

    pub(crate) fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Refusal> {
        let command = CreateTopics { topics: vec![topic], validate_only: false };
        self.ask(command)?.remove(0).result
    }

    pub(crate) fn topic(&mut self, name: &str, replicas: &[&[i32]]) {
        let assignments = (0..).zip(replicas.iter().map(|ids| ids.to_vec())).collect();
        let topic = NewTopic { name: name.to_owned(), assignments, ..NewTopic::default() };
        self.create(topic).unwrap();
    }

    pub(crate) fn epochs(&self, name: &str) -> Vec<(i32, i32)> {
        let topic = self.machine.image().topics.by_name(name).unwrap();
        topic.partitions.iter().map(|p| (p.leader, p.leader_epoch)).collect()
    }
}

pub(crate) fn named(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), ..NewTopic::default() }
}

pub(crate) fn refused<T: std::fmt::Debug>(
    result: Result<T, Refusal>,
    code: ErrorCode,
    message: &str,
) {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.code, code, "{refusal}");
    assert_eq!(refusal.message.unwrap_or_default(), message);
}
