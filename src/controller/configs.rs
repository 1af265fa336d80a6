//! Configuration is altered (Kafka 4.4 `ConfigurationControlManager`; what `ControllerApis` checks
//! before it is here too).

use std::collections::{BTreeMap, BTreeSet};

use super::bootstrap::{MIN_INSYNC_REPLICAS, min_insync_replicas_of_cluster};
use super::command::{AlterConfigs, ConfigChange, ConfigOp, EffectiveConfig, Refusal, Verdict};
use super::config_rules::ConfigValues;
use super::machine::{Context, Controller, ControllerDecision};
use crate::metadata::record::{ClearElrRecord, ConfigRecord, MetadataRecord};
use crate::metadata::{ConfigResource, ResourceType};
use crate::types::{BrokerId, ErrorCode};

const CORDONED_LOG_DIRS: &str = "cordoned.log.dirs";
/// Java's `Short.MAX_VALUE`: no value is longer.
const VALUE_LEN_MAX: usize = 32_767;

static NOTHING: ConfigValues = ConfigValues::new();

impl Controller {
    fn values_of(&self, resource: &ConfigResource) -> &ConfigValues {
        self.image().configs.of(resource).unwrap_or(&NOTHING)
    }

    fn node_and_cluster_values(&self) -> (&ConfigValues, &ConfigValues) {
        let node = self.values_of(&ConfigResource::broker(self.settings.node_id));
        (node, self.values_of(&ConfigResource::default_broker()))
    }

    /// A key of a topic's configuration as it takes effect.
    pub(super) fn topic_config(&self, topic: &str, key: &str) -> Option<String> {
        let (node, cluster) = self.node_and_cluster_values();
        let topic = self.values_of(&ConfigResource::topic(topic));
        self.rules.effective_topic_value(key, topic, node, cluster)
    }

    /// The configuration that a topic with these values would have.
    pub(super) fn effective_topic_configs(&self, values: &ConfigValues) -> Vec<EffectiveConfig> {
        let (node, cluster) = self.node_and_cluster_values();
        self.rules.effective_topic(values, node, cluster)
    }

    pub(super) fn alter_configs(
        &mut self,
        _context: Context,
        command: AlterConfigs,
    ) -> Result<ControllerDecision<Vec<(ConfigResource, Verdict)>>, Refusal> {
        let mut counts: BTreeMap<&ConfigResource, usize> = BTreeMap::new();
        for (resource, _) in &command.changes {
            *counts.entry(resource).or_default() += 1;
        }
        let forwarded = command.forwarded;
        let mut results: Vec<(ConfigResource, Verdict)> = Vec::new();
        let mut records = Vec::new();
        let mut told_twice = BTreeSet::new();
        for (resource, change) in &command.changes {
            let decided = if counts.get(resource) == Some(&1) {
                let checked =
                    if forwarded { self.check_forwarded(resource, change) } else { Ok(()) };
                checked.and_then(|()| self.config_records(resource, change, false, forwarded))
            } else if forwarded {
                Err(invalid_request("Each resource must appear at most once."))
            } else if !told_twice.insert(resource) {
                continue;
            } else {
                Err(invalid_request("Duplicate resource."))
            };
            results.push((resource.clone(), decided.map(|more| records.extend(more))));
        }
        Ok(ControllerDecision::atomic(records, results).unless(command.validate_only))
    }

    /// What a broker checks before it passes a change on (Kafka 4.4 `ConfigAdminManager`).
    fn check_forwarded(
        &self,
        resource: &ConfigResource,
        change: &ConfigChange,
    ) -> Result<(), Refusal> {
        let keys: Vec<(&str, bool)> = match change {
            ConfigChange::Incremental(operations) => operations
                .iter()
                .map(|(key, op)| (key.as_str(), *op == ConfigOp::Set(None)))
                .collect(),
            ConfigChange::Replace(values) => {
                values.iter().map(|(key, value)| (key.as_str(), value.is_none())).collect()
            }
        };
        if keys.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len() < keys.len() {
            return Err(invalid_request("Error due to duplicate config keys"));
        }
        let nulls: Vec<&str> =
            keys.iter().filter(|(_, is_null)| *is_null).map(|(key, _)| *key).collect();
        if !nulls.is_empty() {
            let keys = nulls.join(", ");
            return Err(invalid_request(format!("Null value not supported for : {keys}")));
        }
        if resource.kind == ResourceType::Broker && !resource.name.is_empty() {
            let (name, mine) = (&resource.name, self.settings.node_id);
            return match name.parse::<BrokerId>() {
                Err(_) => {
                    Err(invalid_request(format!("Node id must be an integer, but it is: {name}")))
                }
                Ok(id) if id != mine => Err(invalid_request(format!(
                    "Unexpected broker id, expected {mine}, but received {name}"
                ))),
                Ok(_) => Ok(()),
            };
        }
        Ok(())
    }

    /// The records of one resource's change.
    pub(super) fn config_records(
        &self,
        resource: &ConfigResource,
        change: &ConfigChange,
        is_new: bool,
        forwarded: bool,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let before = self.values_of(resource);
        let (mut named, mut implied): (Changed, Changed) = (BTreeMap::new(), BTreeMap::new());
        match change {
            ConfigChange::Incremental(operations) => {
                let last: BTreeMap<&str, &ConfigOp> =
                    operations.iter().map(|(key, op)| (key.as_str(), op)).collect();
                for (key, op) in last {
                    let value = self.next_value(resource, key, before.get(key), op)?;
                    named.insert(key.to_owned(), value);
                }
            }
            ConfigChange::Replace(values) => {
                named.extend(values.iter().cloned());
                implied = before
                    .keys()
                    .filter(|key| !named.contains_key(*key))
                    .map(|key| (key.clone(), None))
                    .collect();
            }
        }
        // A broker is told again of what does not change: its files may have (KAFKA-14136).
        let is_broker = resource.kind == ResourceType::Broker;
        named.retain(|key, value| is_broker || before.get(key) != value.as_ref());
        let mut after = before.clone();
        for (changed, is_named) in [(&named, true), (&implied, false)] {
            for (key, value) in changed {
                self.check_key(resource, key, value.as_deref(), forwarded)?;
                match value {
                    Some(value) if is_named && value.encode_utf16().count() > VALUE_LEN_MAX => {
                        return Err(invalid(format!(
                            "The configuration value cannot be added because it exceeds the \
                             maximum value size of {VALUE_LEN_MAX} bytes."
                        )));
                    }
                    Some(value) => _ = after.insert(key.clone(), value.clone()),
                    None => _ = after.remove(key),
                }
            }
        }
        self.rules.validate(resource, &after, before)?;
        if !is_new {
            self.check_exists(resource)?;
        }
        let mut records: Vec<MetadataRecord> = Vec::new();
        let mut clears_elr = false;
        for (key, value) in named.into_iter().chain(implied) {
            clears_elr |= key == MIN_INSYNC_REPLICAS;
            let record = ConfigRecord {
                resource_type: resource.kind as i8,
                resource_name: resource.name.clone(),
                name: key,
                value,
            };
            records.push(record.into());
        }
        // Who is eligible depends on the minimum: nobody is, until the ISR says so again.
        if clears_elr && self.has_elr() {
            let is_topic = resource.kind == ResourceType::Topic;
            let topic_name = if is_topic { resource.name.clone() } else { String::new() };
            records.push(ClearElrRecord { topic_name }.into());
        }
        Ok(records)
    }

    fn next_value(
        &self,
        resource: &ConfigResource,
        key: &str,
        current: Option<&String>,
        op: &ConfigOp,
    ) -> Result<Option<String>, Refusal> {
        let (name, given) = match op {
            ConfigOp::Set(value) => return Ok(value.clone()),
            ConfigOp::Delete => return Ok(None),
            ConfigOp::Append(value) => ("APPEND", value),
            ConfigOp::Subtract(value) => ("SUBTRACT", value),
        };
        if !self.rules.is_list(resource.kind, key) {
            return Err(invalid(format!(
                "Can't {name} to key {key} because its type is not LIST."
            )));
        }
        let old = current.cloned().or_else(|| self.rules.default_value(resource.kind, key));
        let mut parts: Vec<&str> =
            old.as_deref().unwrap_or("").split(',').filter(|part| !part.is_empty()).collect();
        for part in split(given) {
            let at = parts.iter().position(|old| *old == part);
            match (op, at) {
                (ConfigOp::Append(_), None) => parts.push(part),
                (ConfigOp::Subtract(_), Some(at)) => _ = parts.remove(at),
                _ => {}
            }
        }
        Ok(Some(parts.join(",")))
    }

    /// What concerns the cluster as a whole, and so is not a matter of the key's own rules.
    fn check_key(
        &self,
        resource: &ConfigResource,
        key: &str,
        value: Option<&str>,
        forwarded: bool,
    ) -> Result<(), Refusal> {
        if resource.kind != ResourceType::Broker {
            return Ok(());
        }
        let is_cluster = resource.name.is_empty();
        if key == MIN_INSYNC_REPLICAS && self.has_elr() {
            if !is_cluster {
                return Err(invalid(
                    "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
                ));
            }
            if value.is_none() {
                return Err(invalid(
                    "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
                ));
            }
        }
        if key == CORDONED_LOG_DIRS {
            if !self.image().release.has_cordoned_directories() {
                return Err(invalid(
                    "The cordoned.log.dirs configuration value cannot be set because it requires \
                     metadata.version >= 4.3-IV0",
                ));
            }
            let new = value.map(str::trim).filter(|value| !value.is_empty() && !forwarded);
            let current = self.values_of(resource).get(key).map_or("", String::as_str);
            let known: Vec<&str> = current.split(',').map(str::trim).collect();
            if new.is_some_and(|new| new.split(',').any(|dir| !known.contains(&dir.trim()))) {
                return Err(invalid(
                    "When updating cordoned.log.dirs via controllers,  the new value must be a \
                     subset of the current configuration value.",
                ));
            }
        }
        Ok(())
    }

    fn check_exists(&self, resource: &ConfigResource) -> Result<(), Refusal> {
        let name = &resource.name;
        match resource.kind {
            ResourceType::Topic if self.image().topics.by_name(name).is_none() => {
                Err(Refusal::new(
                    ErrorCode::UnknownTopicOrPartition,
                    format!("The topic '{name}' does not exist."),
                ))
            }
            ResourceType::Broker if !name.is_empty() => {
                let Ok(id) = name.parse::<BrokerId>() else {
                    return Err(Refusal::new(
                        ErrorCode::InvalidRequest,
                        format!("Invalid broker name {name}"),
                    ));
                };
                let cluster = &self.image().cluster;
                let is_known = cluster.brokers.contains_key(&id)
                    || self.settings.voters.contains(&id)
                    || cluster.controllers.contains_key(&id);
                if is_known {
                    return Ok(());
                }
                Err(Refusal::new(
                    ErrorCode::BrokerIdNotRegistered,
                    format!("No node with id {id} found."),
                ))
            }
            ResourceType::Topic
            | ResourceType::Broker
            | ResourceType::BrokerLogger
            | ResourceType::ClientMetrics
            | ResourceType::Group
            | ResourceType::Unknown => Ok(()),
        }
    }

    /// The records that make it safe to begin with eligible leader replicas: one minimum for all
    /// brokers.
    pub(super) fn elr_safety_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        let (_, cluster) = self.node_and_cluster_values();
        if !cluster.contains_key(MIN_INSYNC_REPLICAS) {
            records.push(min_insync_replicas_of_cluster(self.settings.min_insync_replicas));
        }
        for (resource, values) in self.image().configs.iter() {
            let is_broker = resource.kind == ResourceType::Broker && !resource.name.is_empty();
            if is_broker && values.contains_key(MIN_INSYNC_REPLICAS) {
                let record = ConfigRecord {
                    resource_type: resource.kind as i8,
                    resource_name: resource.name.clone(),
                    name: MIN_INSYNC_REPLICAS.to_owned(),
                    value: None,
                };
                records.push(record.into());
            }
        }
        records
    }
}

/// The keys that change, with their new values.
type Changed = BTreeMap<String, Option<String>>;

fn invalid_request(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidConfig, message)
}

/// As Java's `String.split(",")`: nothing of what is empty at the end, but "" is one part.
fn split(text: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(',').collect();
    while parts.len() > 1 && parts.last() == Some(&"") {
        parts.pop();
    }
    if parts == [""] && !text.is_empty() {
        parts.clear();
    }
    parts
}
