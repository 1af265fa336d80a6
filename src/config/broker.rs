//! A broker's configuration as it takes effect.

use std::collections::BTreeMap;

use super::conflicts;
use super::error::{AlterError, Conflict, StartErrors, ValueError};
use super::key::{Default as KeyDefault, Key};
use super::keys;
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
use super::properties::Properties;
use super::quorum::{self, HostPort};
use super::start;
use super::value::Value;
use super::warning::Warning;
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

/// What is wrong with some settings.
#[derive(Debug)]
pub(super) enum Problem {
    /// A value is not one.
    Value(ValueError),
    /// A key without a default is not set.
    Missing(&'static Key),
    /// Values that are each right, and together are not.
    Conflict(Conflict),
}

impl Problem {
    /// The keys in question.
    fn keys(&self) -> Vec<&str> {
        match self {
            Self::Value(error) => vec![&error.key],
            Self::Missing(key) => vec![key.name],
            Self::Conflict(conflict) => conflict.keys.clone(),
        }
    }

    /// As a client is told of it.
    pub(super) fn into_alter_error(self) -> AlterError {
        AlterError::Broker(match self {
            Self::Value(error) => error.message,
            Self::Missing(key) => format!(
                "Missing required configuration \"{}\" which has no default value.",
                key.name
            ),
            Self::Conflict(conflict) => conflict.to_string(),
        })
    }
}

impl BrokerConfig {
    /// The configuration of a node that is started with these settings, and what its operator
    /// should know of them. All that is wrong is said at once.
    pub fn start(settings: &Properties) -> Result<(Self, Vec<Warning>), StartErrors> {
        start::start(settings)
    }

    /// The configuration with these alterations, for all brokers and for this one, on top of what
    /// the broker was started with. What is stored and does not fit is left out, with a warning, as
    /// Kafka leaves it out.
    #[must_use]
    pub fn altered(&self, cluster: &Props, broker: &Props) -> (Self, Vec<Warning>) {
        let mut warnings = Vec::new();
        let mut layers = Layers {
            started_with: self.layers.started_with.clone(),
            cluster: super::alter::keep_valid(cluster, false, &mut warnings),
            broker: super::alter::keep_valid(broker, true, &mut warnings),
        };
        super::alter::clamp(&mut layers, &mut warnings);
        loop {
            let problems = match Self::build(layers.clone()) {
                Ok(config) => return (config, warnings),
                Err(problems) => problems,
            };
            // Each fits alone, and not together with others: what takes part in that is left out.
            let mut has_less = false;
            for problem in problems {
                for name in problem.keys() {
                    for layer in [&mut layers.cluster, &mut layers.broker] {
                        has_less |= layer.remove(name).is_some();
                    }
                }
                warnings.push(Warning::NotApplied(problem.into_alter_error().to_string()));
            }
            if !has_less {
                return (self.clone(), warnings);
            }
        }
    }

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

    /// The configuration of these layers, or all that is wrong with it.
    pub(super) fn build(layers: Layers) -> Result<Self, Vec<Problem>> {
        let effective = layers.effective();
        let mut problems = Vec::new();
        let mut values = Values::default();
        for key in keys::brokers() {
            let value = match (effective.get(key.name), key.default) {
                (Some(text), _) => key.parse(text).map_err(Problem::Value),
                (None, KeyDefault::Required) => Err(Problem::Missing(key)),
                (None, KeyDefault::Text(_) | KeyDefault::Null) => Ok(key.default_value()),
            };
            match value {
                Ok(value) => values.insert(key, value),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let node = NodeSettings::from_values(&values);
        let network = NetworkSettings::from_values(&values);
        let replication = ReplicationSettings::from_values(&values);
        let found = Found::of(&effective, &node, &network, &replication)
            .map_err(|conflict| vec![Problem::Conflict(conflict)])?;
        let config = Self {
            voters: quorum::parse_voters(&node.controller_quorum_voters).unwrap_or_default(),
            bootstrap_servers: quorum::parse_bootstrap_servers(
                &node.controller_quorum_bootstrap_servers,
            )
            .unwrap_or_default(),
            log: LogSettings::from_values(&values),
            transaction: TransactionSettings::from_values(&values),
            group: GroupSettings::from_values(&values),
            share: ShareSettings::from_values(&values),
            quota: QuotaSettings::from_values(&values),
            security: SecuritySettings::from_values(&values),
            listeners: found.listeners,
            advertised: found.advertised,
            inter_broker: found.inter_broker,
            protocols: found.protocols,
            node,
            network,
            replication,
            layers,
            effective,
            values,
        };
        let conflicts = conflicts::find(&config);
        if conflicts.is_empty() {
            return Ok(config);
        }
        Err(conflicts.into_iter().map(Problem::Conflict).collect())
    }

    /// The value of a broker's key.
    pub(super) fn value(&self, key: &str) -> &Value {
        self.values.get(key).unwrap_or(&Value::Null)
    }
}

/// What the settings say of listeners.
struct Found {
    protocols: ProtocolMap,
    listeners: Vec<Listener>,
    advertised: Option<Vec<Listener>>,
    inter_broker: InterBroker,
}

impl Found {
    fn of(
        effective: &Props,
        node: &NodeSettings,
        network: &NetworkSettings,
        replication: &ReplicationSettings,
    ) -> Result<Self, Conflict> {
        const MAP: &str = "listener.security.protocol.map";
        let conflict = |keys: &[&'static str]| {
            let keys = keys.to_vec();
            move |message: String| Conflict { keys, message, requirement: false }
        };
        let protocols = listeners::protocol_map(
            &network.listener_security_protocol_map,
            effective.contains_key(MAP),
            &node.controller_listener_names,
            &network.listeners,
        )
        .map_err(conflict(&[MAP]))?;
        let listeners = listeners::parse_listeners(&network.listeners, &protocols, true)
            .map_err(conflict(&["listeners", MAP]))?;
        let advertised = match &network.advertised_listeners {
            Some(entries) => Some(
                listeners::parse_listeners(entries, &protocols, false)
                    .map_err(conflict(&["advertised.listeners", MAP]))?,
            ),
            None => None,
        };
        let inter_broker = inter_broker(effective, replication, &protocols)?;
        Ok(Self { protocols, listeners, advertised, inter_broker })
    }
}

fn inter_broker(
    effective: &Props,
    settings: &ReplicationSettings,
    protocols: &ProtocolMap,
) -> Result<InterBroker, Conflict> {
    const NAME: &str = "inter.broker.listener.name";
    const PROTOCOL: &str = "security.inter.broker.protocol";
    const MAP: &str = "listener.security.protocol.map";
    let Some(name) = &settings.inter_broker_listener_name else {
        // The check of the key lets no other text through.
        let protocol = SecurityProtocol::parse(&settings.security_inter_broker_protocol)
            .unwrap_or(SecurityProtocol::Plaintext);
        return Ok(InterBroker { listener: protocol.name().to_owned(), protocol });
    };
    let conflict = |keys, message| Err(Conflict { keys, message, requirement: false });
    if effective.contains_key(PROTOCOL) {
        return conflict(
            vec![NAME, PROTOCOL],
            format!("Only one of {NAME} and {PROTOCOL} should be set."),
        );
    }
    if name.trim().is_empty() {
        return conflict(
            vec![NAME],
            "The provided listener name is null or empty string".to_owned(),
        );
    }
    let listener = name.to_uppercase();
    let Some(protocol) = protocols.get(&listener).copied() else {
        let message =
            format!("Listener with name {listener} defined in {NAME} not found in {MAP}.");
        return conflict(vec![NAME, MAP], message);
    };
    Ok(InterBroker { listener, protocol })
}

/// The names of both keys that number a node: what one of them says, both do (Kafka 4.4
/// `AbstractKafkaConfig.populateSynonyms`).
pub(super) fn complete_node_id(props: &mut Props) {
    for (name, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let (None, Some(value)) = (props.get(name), props.get(other)) {
            props.insert(name.to_owned(), value.clone());
        }
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
