//! A broker's configuration as it takes effect.

use std::collections::BTreeMap;

use super::keys::group::GroupSettings;
use super::keys::log::LogSettings;
use super::keys::network::NetworkSettings;
use super::keys::node::NodeSettings;
use super::keys::quota::QuotaSettings;
use super::keys::replication::ReplicationSettings;
use super::keys::security::SecuritySettings;
use super::keys::share::ShareSettings;
use super::keys::transaction::TransactionSettings;
use super::layers::{Layers, Props, Values};
use super::listeners::{self, Listener, ProtocolMap, SecurityProtocol};
use super::quorum::HostPort;
use super::value::Value;
use crate::types::BrokerId;

/// A broker's configuration, all of it, at one moment. It never changes: an alteration makes
/// another one.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// The node and its quorum.
    pub node: NodeSettings,
    /// Connections and requests.
    pub network: NetworkSettings,
    /// Logs.
    pub log: LogSettings,
    /// Replication.
    pub replication: ReplicationSettings,
    /// Transactions.
    pub transaction: TransactionSettings,
    /// Groups.
    pub group: GroupSettings,
    /// Share groups.
    pub share: ShareSettings,
    /// Quotas.
    pub quota: QuotaSettings,
    /// Security.
    pub security: SecuritySettings,
    /// Where to listen, controllers' listeners included.
    pub listeners: Vec<Listener>,
    /// The controllers of a static quorum; none, where it is dynamic.
    pub voters: BTreeMap<BrokerId, HostPort>,
    /// Where to ask for a dynamic quorum.
    pub bootstrap_servers: Vec<HostPort>,
    /// The listener that brokers use among each other.
    pub inter_broker: InterBroker,
    pub(super) advertised: Option<Vec<Listener>>,
    pub(super) protocols: ProtocolMap,
    pub(super) layers: Layers,
    pub(super) effective: Props,
    pub(super) values: Values,
}

/// The listener that brokers use among each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterBroker {
    /// Its name, in upper case.
    pub listener: String,
    /// How it is secured.
    pub protocol: SecurityProtocol,
}

impl BrokerConfig {
    /// What was set, by where it comes from.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// All values, by key.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The text of a key that may be set for one listener alone: that listener's if it is set,
    /// else the one for all. `None` if neither is set; the default is in [`Self::values`].
    pub fn of_listener(&self, listener: &str, key: &str) -> Option<&str> {
        let own = format!("{}{key}", listeners::key_prefix(listener));
        self.effective.get(&own).or_else(|| self.effective.get(key)).map(String::as_str)
    }

    /// Whether `process.roles` has `broker`.
    pub fn is_broker(&self) -> bool {
        self.node.process_roles.iter().any(|role| role == "broker")
    }

    /// Whether `process.roles` has `controller`.
    pub fn is_controller(&self) -> bool {
        self.node.process_roles.iter().any(|role| role == "controller")
    }

    /// The directories of the partitions.
    pub fn log_dirs(&self) -> &[String] {
        self.log.log_dirs.as_deref().unwrap_or(&self.log.log_dir)
    }

    /// The directory of the metadata log.
    pub fn metadata_dir(&self) -> &str {
        let first = || self.log_dirs().first().map_or("", String::as_str);
        self.node.metadata_log_dir.as_deref().unwrap_or_else(first)
    }

    /// The directories that get no new partitions.
    pub fn cordoned_log_dirs(&self) -> &[String] {
        match self.log.cordoned_log_dirs.as_slice() {
            all if all.iter().any(|dir| dir == "*") => self.log_dirs(),
            some => some,
        }
    }

    /// Whether a listener is one of the controllers'.
    pub fn is_controller_listener(&self, name: &str) -> bool {
        self.node.controller_listener_names.iter().any(|controllers| controllers == name)
    }

    /// The listeners of the broker.
    pub fn broker_listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(|listener| !self.is_controller_listener(&listener.name))
    }

    /// The listeners of the controller.
    pub fn controller_listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(|listener| self.is_controller_listener(&listener.name))
    }

    /// How the connections of a listener are secured, be it one of another node.
    pub fn protocol_of(&self, listener: &str) -> Option<SecurityProtocol> {
        self.protocols.get(&listener.to_uppercase()).copied()
    }

    /// What clients are told of the broker's listeners: `advertised.listeners`, or `listeners`. A
    /// host that is left open is the machine's canonical name; the port of a listener on port 0 is
    /// the one in `bound`, by name.
    pub fn advertised_broker_listeners(
        &self,
        canonical_host: &str,
        bound: &BTreeMap<String, u16>,
    ) -> Vec<Listener> {
        self.advertised_for_brokers()
            .map(|listener| listener.clone().completed(canonical_host, bound))
            .collect()
    }

    /// What is told of the controller's listeners, the first of `controller.listener.names` first;
    /// see [`Self::advertised_broker_listeners`].
    pub fn advertised_controller_listeners(
        &self,
        canonical_host: &str,
        bound: &BTreeMap<String, u16>,
    ) -> Vec<Listener> {
        self.advertised_for_controllers()
            .into_iter()
            .map(|listener| listener.completed(canonical_host, bound))
            .collect()
    }

    pub(super) fn advertised_for_brokers(&self) -> impl Iterator<Item = &Listener> {
        let all = self.advertised.as_ref().unwrap_or(&self.listeners);
        all.iter().filter(|listener| !self.is_controller_listener(&listener.name))
    }

    /// Kafka 4.4 `KafkaConfig.effectiveAdvertisedControllerListeners`.
    pub(super) fn advertised_for_controllers(&self) -> Vec<Listener> {
        let advertised = self.advertised.as_deref().unwrap_or(&[]);
        let is_open = |host: &Option<String>| host.as_deref().is_none_or(|host| host == "0.0.0.0");
        let mut found = Vec::new();
        for (at, name) in self.node.controller_listener_names.iter().enumerate() {
            let is_named = |listener: &&Listener| listener.name == name.to_uppercase();
            if let Some(listener) = advertised.iter().find(is_named) {
                found.push(listener.clone());
                continue;
            }
            let Some(listener) = self.controller_listeners().find(is_named) else { continue };
            let mut listener = listener.clone();
            if is_open(&listener.host) {
                // The quorum's own word for where this node is, if it has one.
                match self.voters.get(&self.node.node_id).filter(|_| at == 0) {
                    Some(voter) => {
                        listener.host = Some(voter.host.clone());
                        listener.port = voter.port;
                    }
                    None => listener.host = None,
                }
            }
            found.push(listener);
        }
        found
    }

    /// The value of a broker's key.
    pub(super) fn value(&self, key: &str) -> &Value {
        self.values.get(key).unwrap_or(&Value::Null)
    }
}

/// Milliseconds of the settings that have several names (Kafka 4.4 `AbstractKafkaConfig`).
impl LogSettings {
    /// `log.roll.ms`, or `log.roll.hours`.
    pub fn roll_ms(&self) -> i64 {
        self.log_roll_ms.unwrap_or_else(|| hours(self.log_roll_hours))
    }

    /// `log.roll.jitter.ms`, or `log.roll.jitter.hours`.
    pub fn roll_jitter_ms(&self) -> i64 {
        self.log_roll_jitter_ms.unwrap_or_else(|| hours(self.log_roll_jitter_hours))
    }

    /// `log.retention.ms`, or `log.retention.minutes`, or `log.retention.hours`; -1 is for ever.
    pub fn retention_ms(&self) -> i64 {
        let minutes = || self.log_retention_minutes.map(|minutes| i64::from(minutes) * 60_000);
        let kept = self.log_retention_ms.or_else(minutes);
        kept.unwrap_or_else(|| hours(self.log_retention_hours)).max(-1)
    }

    /// `log.flush.interval.ms`, or `log.flush.scheduler.interval.ms`.
    pub fn flush_ms(&self) -> i64 {
        self.log_flush_interval_ms.unwrap_or(self.log_flush_scheduler_interval_ms)
    }
}

fn hours(hours: i32) -> i64 {
    i64::from(hours) * 3_600_000
}
