//! The configuration that a node is started with: read, checked, remarked on.

use super::authorizer;
use super::broker::BrokerConfig;
use super::build::{Problem, complete_node_id};
use super::error::{Cited, StartError, StartErrors};
use super::key::{Key, Status};
use super::keys;
use super::layers::{self, Layers};
use super::origin::Origin;
use super::properties::Properties;
use super::value::Kind;
use super::warning::Warning;

/// Keys that Kafka once had. Whoever comes from there may still have them.
const REMOVED: &[&str] = &[
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "controller.quorum.max.request.size",
    "delegation.token.master.key",
    "inter.broker.protocol.version",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.topic.compression.type",
    "port",
    "host.name",
    "advertised.host.name",
    "advertised.port",
    "quota.consumer.default",
    "quota.producer.default",
    "reserved.broker.max.id",
];

/// Prefixes of keys that Kafka once had.
const REMOVED_PREFIXES: &[&str] = &["zookeeper.", "password.encoder.", "producer.metrics."];

/// Prefixes of keys that belong to a plug-in.
const OF_PLUGINS: &[&str] = &["rsm.config.", "rlmm.config.", "remote.log.metadata."];

impl BrokerConfig {
    /// The configuration of a node that is started with these settings, and what its operator
    /// should know of them. All that is wrong is said at once.
    pub fn start(settings: &Properties) -> Result<(Self, Vec<Warning>), StartErrors> {
        start(settings)
    }
}

fn start(settings: &Properties) -> Result<(BrokerConfig, Vec<Warning>), StartErrors> {
    let mut props: layers::Props =
        settings.iter().map(|(key, setting)| (key.to_owned(), setting.value.clone())).collect();
    complete_node_id(&mut props);
    let mut errors = refused(settings);
    let built = BrokerConfig::build(Layers { started_with: props, ..Layers::default() });
    match built {
        Ok(config) => {
            // What topics take from the broker must fit them too.
            if let Err(error) = keys::topic::TopicConfig::resolve(&config, &layers::Props::new()) {
                errors.push(StartError::Conflict {
                    at: topic_defaults(settings, &error.to_string()),
                    message: error.to_string(),
                });
            }
            if errors.is_empty() {
                let warnings = warnings(settings, &config);
                return Ok((config, warnings));
            }
        }
        Err(problems) => errors.extend(problems.into_iter().map(|p| start_error(settings, p))),
    }
    Err(StartErrors(errors))
}

fn start_error(settings: &Properties, problem: Problem) -> StartError {
    match problem {
        Problem::Value(error) => {
            StartError::Value { at: cited(settings, &error.key), accepted: error.accepted }
        }
        Problem::Missing(key) => StartError::Missing { key: key.name, accepted: key.accepted() },
        Problem::Conflict(conflict) => {
            let at: Vec<Cited> = conflict.keys.iter().map(|key| cited(settings, key)).collect();
            // Of several names of a thing those that are not set say nothing, unless none is.
            let (set, unset): (Vec<_>, Vec<_>) =
                at.into_iter().partition(|cited| cited.origin != Origin::Default);
            let at = if set.is_empty() { unset } else { set };
            StartError::Conflict { at, message: conflict.message }
        }
    }
}

/// The settings that a message on a topic's key concerns.
fn topic_defaults(settings: &Properties, message: &str) -> Vec<Cited> {
    let is_named = |key: &&'static Key| message.contains(&format!("configuration {}:", key.name));
    let key = keys::topics().find(is_named);
    let of_broker = key.map_or(&[][..], |key| key.synonyms).iter();
    of_broker
        .map(|synonym| cited(settings, synonym.name))
        .filter(|cited| cited.origin != Origin::Default)
        .collect()
}

/// A key as messages show it.
fn cited(settings: &Properties, key: &str) -> Cited {
    let declared = layers::declaration(key);
    // What is unknown may be a secret; so may a key of a plug-in whose name says so.
    let looks_secret = ["password", "secret", "credential", "jaas", "token"]
        .iter()
        .any(|word| key.to_ascii_lowercase().contains(word));
    let is_secret = declared.map_or(looks_secret, |key| key.kind == Kind::Password);
    let (value, origin) = match settings.get(key) {
        Some(setting) if is_secret => (Some("[hidden]".to_owned()), setting.origin.clone()),
        Some(setting) => (Some(setting.value.clone()), setting.origin.clone()),
        None => (declared.and_then(Key::default_text), Origin::Default),
    };
    Cited { key: key.to_owned(), value, origin }
}

/// The settings that must not be neglected and are not honoured.
fn refused(settings: &Properties) -> Vec<StartError> {
    let mut errors = Vec::new();
    for (name, setting) in settings.iter() {
        let Some(key) = layers::declaration(name) else { continue };
        let Ok(value) = key.parse(&setting.value) else { continue };
        if let Some(reason) = key.refusal(&value) {
            let at = cited(settings, name);
            errors.push(StartError::Refused { at, reason: reason.to_owned() });
        }
    }
    errors
}

fn warnings(settings: &Properties, config: &BrokerConfig) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (key, former) in settings.duplicates() {
        let value = cited(settings, key)
            .value
            .map(|shown| if shown == "[hidden]" { shown } else { former.value.clone() });
        let at = Cited { key: key.to_owned(), value, origin: former.origin.clone() };
        warnings.push(Warning::Duplicate { at });
    }
    for (name, setting) in settings.iter() {
        let at = || cited(settings, name);
        match layers::declaration(name) {
            // The authorizer's own keys.
            None if authorizer::KEYS.contains(&name) && config.authorizer().is_some() => {}
            None => warnings.push(unknown(name, at)),
            Some(key) if key.name == "broker.id" => {
                warnings.push(Warning::Deprecated { at: at(), instead: "node.id" });
            }
            Some(key) => {
                let is_default =
                    key.parse(&setting.value).is_ok_and(|value| value == key.default_value());
                match key.status {
                    _ if is_default => {}
                    // Not set by the operator.
                    _ if setting.origin == Origin::BuiltIn => {}
                    Status::Accepted(reason) => {
                        warnings.push(Warning::NotActedOn { at: at(), reason });
                    }
                    Status::Pending { effect, .. } => {
                        warnings.push(Warning::NotImplemented { at: at(), effect });
                    }
                    Status::Field(_) | Status::Refused(..) => {}
                }
            }
        }
    }
    let (beat, session) =
        (config.node.broker_heartbeat_interval_ms, config.node.broker_session_timeout_ms);
    if i64::from(beat) * 2 > i64::from(session) {
        warnings.push(Warning::Unwise {
            message: format!(
                "broker.heartbeat.interval.ms={beat} should be at most half of \
                 broker.session.timeout.ms={session}: brokers that live would be fenced"
            ),
        });
    }
    if !config.is_controller() && config.node.controller_listener_names.len() > 1 {
        warnings.push(Warning::Unwise {
            message: format!(
                "controller.listener.names={}: a broker uses only the first",
                config.node.controller_listener_names.join(",")
            ),
        });
    }
    warnings
}

fn unknown(name: &str, at: impl Fn() -> Cited) -> Warning {
    const AUTHORIZER: &str = "It is the authorizer's, and none is configured.";
    if authorizer::KEYS.contains(&name) {
        return Warning::NotActedOn { at: at(), reason: AUTHORIZER };
    }
    if OF_PLUGINS.iter().any(|prefix| name.starts_with(prefix)) {
        let reason = "It is a plug-in's, and none is loaded.";
        return Warning::NotActedOn { at: at(), reason };
    }
    let is_removed =
        REMOVED.contains(&name) || REMOVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let hint = if is_removed {
        Some(". Kafka had it once, and has removed it".to_owned())
    } else {
        nearest(name).map(|near| format!(". Was {near} meant?"))
    };
    Warning::Unknown { at: at(), hint }
}

/// The key whose name differs least, if it differs by no more than two letters.
fn nearest(name: &str) -> Option<&'static str> {
    keys::brokers()
        .map(|key| (distance(name, key.name), key.name))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or exchanged to make one text of the other; 3 stands
/// for more than that too.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return 3;
    }
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()].min(3)
}
