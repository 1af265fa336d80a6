//! Where a broker's settings come from, one over the other (Kafka 4.4 `DynamicBrokerConfig`).

use std::collections::BTreeMap;

use super::key::Key;
use super::keys;
use super::value::{FromValue, Value};

/// Settings as text, by key.
pub type Props = BTreeMap<String, String>;

/// The values of all keys of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    pub(super) fn insert(&mut self, key: &'static Key, value: Value) {
        self.0.insert(key.name, value);
    }

    /// The value of a key; `None` if there is no such key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// The value of a declared key as the type of its field.
    pub(super) fn typed<T: FromValue>(&self, key: &str) -> T {
        T::from_value(self.0.get(key).unwrap_or(&Value::Null))
    }
}

/// Keys that are names of one setting, in the order of their precedence.
const SAME_SETTING: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];

/// Keys of a listener that may also name a SASL mechanism before the key.
const OF_MECHANISM: &[&str] = &[
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

/// The key without its listener's prefix, `listener.name.NAME.`, if it has one.
pub(super) fn without_listener(key: &str) -> Option<&str> {
    key.strip_prefix("listener.name.")?.split_once('.').map(|(_, base)| base)
}

/// All names of the setting that a broker's key is for, in the order of their precedence; with
/// `of_listeners` a listener's key has the key without the prefix as its second name.
pub(super) fn synonyms(key: &str, of_listeners: bool) -> Vec<&str> {
    if let Some(names) = SAME_SETTING.iter().find(|names| names.contains(&key)) {
        return names.to_vec();
    }
    // The other way round it is not so: the scheduler's interval has one name.
    if key == "log.flush.interval.ms" {
        return vec![key, "log.flush.scheduler.interval.ms"];
    }
    match without_listener(key) {
        Some(base) if of_listeners => {
            let of_mechanism = OF_MECHANISM.iter().find(|name| base.ends_with(*name));
            vec![key, of_mechanism.copied().unwrap_or(base)]
        }
        _ => vec![key],
    }
}

/// The declaration of a broker's key, be it for one listener alone.
pub(super) fn declaration(key: &str) -> Option<&'static Key> {
    synonyms(key, true).into_iter().find_map(keys::broker)
}

/// A broker's settings, by where they come from. What is nowhere has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// Those that the broker was started with.
    pub started_with: Props,
    /// Those that were altered for all brokers.
    pub cluster: Props,
    /// Those that were altered for this broker.
    pub broker: Props,
}

impl Layers {
    /// What takes effect: of every setting the uppermost, whichever of its names it goes by.
    pub fn effective(&self) -> Props {
        let mut effective = self.started_with.clone();
        for layer in [&self.cluster, &self.broker] {
            for (key, value) in layer {
                for name in synonyms(key, false) {
                    effective.remove(name);
                }
                effective.insert(key.clone(), value.clone());
            }
        }
        effective
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(pairs: &[(&str, &str)]) -> Props {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_uppermost_layer_counts_whichever_name_the_setting_goes_by() {
        let mut layers = Layers {
            started_with: props(&[("log.roll.ms", "1"), ("log.retention.hours", "2"), ("a", "3")]),
            cluster: props(&[("log.roll.hours", "4")]),
            broker: Props::new(),
        };
        assert_eq!(
            layers.effective(),
            props(&[("log.roll.hours", "4"), ("log.retention.hours", "2"), ("a", "3")])
        );
        layers.broker = props(&[("log.roll.ms", "5")]);
        assert_eq!(layers.effective()["log.roll.ms"], "5");
        assert!(!layers.effective().contains_key("log.roll.hours"));
    }

    #[test]
    fn a_listeners_key_is_a_name_of_the_key_without_its_prefix() {
        let jaas = "listener.name.a.scram-sha-256.sasl.jaas.config";
        assert_eq!(synonyms(jaas, true), [jaas, "sasl.jaas.config"]);
        let location = "listener.name.a.ssl.keystore.location";
        assert_eq!(synonyms(location, true), [location, "ssl.keystore.location"]);
        assert_eq!(synonyms(location, false), [location]);
        assert_eq!(declaration(location).unwrap().name, "ssl.keystore.location");
        assert_eq!(synonyms("log.flush.scheduler.interval.ms", true).len(), 1);
        assert!(declaration("listener.name.a").is_none());
    }
}
