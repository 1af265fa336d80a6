//! A broker's configuration is altered while it runs (Kafka 4.4 `DynamicBrokerConfig`,
//! `DynamicThreadPool`, `LogCleaner`; KIP-226).

use std::collections::BTreeSet;

use super::broker::BrokerConfig;
use super::error::AlterError;
use super::key::{Key, Mode};
use super::keys;
use super::layers::{Layers, Props, without_listener};
use super::value::Value;
use super::warning::Warning;

/// Keys that are only altered for one listener, since the others must keep what they have.
const ONLY_OF_LISTENERS: &[&str] = &[
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Keys that hold for all listeners together, and may be altered for all brokers even with a
/// listener's prefix.
const OF_ALL_LISTENERS: &[&str] =
    &["max.connections", "max.connection.creation.rate", "num.network.threads"];

/// Thread counts, which change by no more than a factor of two at once.
const THREADS: &[&str] = &[
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
];

/// The declaration of a key that may be altered, under its name without a listener's prefix.
fn alterable(name: &str) -> Option<&'static Key> {
    let base = without_listener(name).unwrap_or(name);
    keys::dynamic_only(base).or_else(|| keys::broker(base).filter(|key| key.mode != Mode::ReadOnly))
}

fn is_read_only(name: &str) -> bool {
    keys::broker(name).is_some_and(|key| key.mode == Mode::ReadOnly)
}

fn is_per_broker(name: &str) -> bool {
    match without_listener(name) {
        Some(base) => !OF_ALL_LISTENERS.contains(&base),
        None => keys::broker(name).is_some_and(|key| key.mode == Mode::PerBroker),
    }
}

/// Java prints a set with brackets.
fn bracketed(names: &BTreeSet<&str>) -> String {
    format!("[{}]", names.iter().copied().collect::<Vec<_>>().join(", "))
}

fn those(props: &Props, of: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    props.keys().map(String::as_str).filter(|name| of(name)).collect()
}

impl BrokerConfig {
    /// Whether these may be all alterations for this broker, or for all, in the place of those
    /// that are. The values of the other layer stay.
    pub fn validate_alterations(
        &self,
        props: &Props,
        for_this_broker: bool,
    ) -> Result<(), AlterError> {
        let refuse = |names: BTreeSet<&str>, words: &str| {
            if names.is_empty() {
                return Ok(());
            }
            Err(AlterError::Broker(format!("{words}: {}", bracketed(&names))))
        };
        refuse(those(props, is_read_only), "Cannot update these configs dynamically")?;
        refuse(
            those(props, |name| ONLY_OF_LISTENERS.contains(&name)),
            "These security configs can be dynamically updated only per-listener using the \
             listener prefix",
        )?;
        for (name, value) in props {
            let Some(key) = alterable(name) else { continue };
            let value = key.parse(value).map_err(|error| AlterError::Broker(error.message))?;
            if let Some(reason) = key.refusal(&value) {
                return Err(AlterError::Broker(format!(
                    "{name} is not supported yet, and not ignored: {reason}"
                )));
            }
        }
        if !for_this_broker {
            refuse(
                those(props, is_per_broker),
                "Cannot update these configs at default cluster level, broker id must be specified",
            )?;
        }
        let layers = &self.layers;
        let (cluster, broker) = if for_this_broker {
            (layers.cluster.clone(), props.clone())
        } else {
            (props.clone(), layers.broker.clone())
        };
        let started_with = layers.started_with.clone();
        let mut problems = match Self::build(Layers { started_with, cluster, broker }) {
            Ok(next) => return self.validate_step(&next),
            Err(problems) => problems,
        };
        Err(problems.swap_remove(0).into_alter_error())
    }

    /// Whether a running broker can go from this configuration to that one. Kafka tells a client
    /// no more than that it cannot; the reason is in its log, and here in the same message.
    fn validate_step(&self, next: &Self) -> Result<(), AlterError> {
        let refuse = |reason: String| {
            Err(AlterError::Broker(format!("Invalid dynamic configuration: {reason}")))
        };
        for name in THREADS {
            let (Value::Int(old), Value::Int(new)) = (self.value(name), next.value(name)) else {
                continue;
            };
            let failed = format!("Dynamic thread count update validation failed for {name}={new}");
            if new != old && *new < old / 2 {
                return refuse(format!(
                    "{failed}, value should be at least half the current value {old}"
                ));
            }
            if new != old && i64::from(*new) > i64::from(*old) * 2 {
                return refuse(format!(
                    "{failed}, value should not be greater than double the current value {old}"
                ));
            }
        }
        let (old, new) = (self.log.log_cleaner_threads, next.log.log_cleaner_threads);
        if old != new {
            if new < old / 2 {
                return refuse(format!(
                    "Log cleaner threads cannot be reduced to less than half the current value {old}"
                ));
            }
            if i64::from(new) > i64::from(old) * 2 {
                return refuse(format!(
                    "Log cleaner threads cannot be increased to more than double the current \
                     value {old}"
                ));
            }
        }
        if let Err(reason) = next.tiered_storage_bounds() {
            return refuse(reason);
        }
        let names = |config: &Self| -> BTreeSet<String> {
            config.listeners.iter().map(|listener| listener.name.clone()).collect()
        };
        let advertised: BTreeSet<String> =
            self.advertised_for_brokers().map(|listener| listener.name.clone()).collect();
        let listeners = names(next);
        if !advertised.is_subset(&listeners) {
            return refuse(format!(
                "Advertised listeners {advertised:?} must be a subset of listeners {listeners:?}"
            ));
        }
        for name in names(self).intersection(&listeners) {
            if self.protocol_of(name) != next.protocol_of(name) {
                return refuse(format!(
                    "Security protocol cannot be updated for existing listener {name}"
                ));
            }
        }
        Ok(())
    }

    /// What the keys of tiered storage must satisfy among each other, even where it is not used.
    fn tiered_storage_bounds(&self) -> Result<(), String> {
        let long = |key: &str| self.values().typed::<i64>(key);
        for (unit, kept, kept_key) in [
            ("ms", self.log.retention_ms(), "log.retention.ms"),
            ("bytes", self.log.log_retention_bytes, "log.retention.bytes"),
        ] {
            let local_key = format!("log.local.retention.{unit}");
            let lag_key = format!("log.remote.copy.lag.{unit}");
            let (local, lag) = (long(&local_key), long(&lag_key));
            let invalid = |key: &str, value: i64, words: String| {
                Err(format!("Invalid value {value} for configuration {key}: {words}"))
            };
            if kept > -1 && local == -1 {
                let words = format!("Value must not be -1 as {kept_key} value is set as {kept}.");
                return invalid(&local_key, local, words);
            }
            if kept > -1 && local > kept {
                let words =
                    format!("Value must not be more than {kept_key} property value: {kept}");
                return invalid(&local_key, local, words);
            }
            let effective = if local == -2 { kept } else { local };
            if lag > 0 && effective >= 0 && lag > effective {
                let words =
                    format!("Value must not exceed {local_key} (effective value: {effective})");
                return invalid(&lag_key, lag, words);
            }
        }
        Ok(())
    }
}

/// Of stored alterations those that are valid by themselves.
pub(super) fn keep_valid(
    stored: &Props,
    for_this_broker: bool,
    warnings: &mut Vec<Warning>,
) -> Props {
    let mut kept = Props::new();
    for (name, value) in stored {
        let problem = if is_read_only(name) {
            Some("it cannot be altered while the broker runs".to_owned())
        } else if ONLY_OF_LISTENERS.contains(&name.as_str()) {
            Some("it can only be altered for one listener".to_owned())
        } else if !for_this_broker && is_per_broker(name) {
            Some("it can only be altered for one broker".to_owned())
        } else {
            let key = alterable(name);
            let parsed = key.map(|key| key.parse(value));
            match (key, parsed) {
                (Some(_), Some(Err(error))) => Some(error.message),
                (Some(key), Some(Ok(value))) => key.refusal(&value).map(str::to_owned),
                _ => None,
            }
        };
        match problem {
            Some(problem) => warnings.push(Warning::NotApplied(format!("{name}: {problem}"))),
            None => _ = kept.insert(name.clone(), value.clone()),
        }
    }
    kept
}

/// Moves the assignment intervals of groups, where they were altered, into their bounds (Kafka 4.4
/// `GroupCoordinatorConfig.clampDynamicConfigs`).
pub(super) fn clamp(layers: &mut Layers, warnings: &mut Vec<Warning>) {
    let effective = layers.effective();
    let number = |name: &str| -> Option<i32> {
        let key = keys::broker(name)?;
        let value = match effective.get(name) {
            Some(text) => key.parse(text).ok()?,
            None => key.default_value(),
        };
        if let Value::Int(number) = value { Some(number) } else { None }
    };
    for kind in ["consumer", "share", "streams"] {
        let key = format!("group.{kind}.assignment.interval.ms");
        let min = number(&format!("group.{kind}.min.assignment.interval.ms"));
        let max = number(&format!("group.{kind}.max.assignment.interval.ms"));
        let (Some(min), Some(max)) = (min, max) else { continue };
        for layer in [&mut layers.cluster, &mut layers.broker] {
            let Some(text) = layer.get_mut(&key) else { continue };
            let Ok(value) = text.trim().parse::<i32>() else { continue };
            let clamped = value.min(max).max(min);
            if clamped != value {
                let (value, clamped) = (text.clone(), clamped.to_string());
                text.clone_from(&clamped);
                warnings.push(Warning::Clamped { key: key.clone(), value, clamped });
            }
        }
    }
}
