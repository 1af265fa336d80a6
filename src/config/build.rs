//! How a broker's configuration is built from its layers: values parsed, listeners resolved, conflicts
//! found.

use super::broker::{BrokerConfig, InterBroker};
use super::conflicts;
use super::error::{AlterError, Conflict, ValueError};
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
use super::quorum;
use super::warning::Warning;

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
        let found = ParsedListeners::of(&effective, &node, &network, &replication)
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
}

/// What the settings say of listeners.
struct ParsedListeners {
    protocols: ProtocolMap,
    listeners: Vec<Listener>,
    advertised: Option<Vec<Listener>>,
    inter_broker: InterBroker,
}

impl ParsedListeners {
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
