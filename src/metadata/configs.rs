//! Dynamic configuration: what was altered, by resource.

use std::collections::BTreeMap;

use super::record::ConfigRecord;
use super::shared::SharedMap;

/// What kind of thing is configured; the numbers are Kafka's `ConfigResource.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    /// Kafka's "unknown": kept when stored, refused when asked for.
    Unknown = 0,
    /// A topic.
    Topic = 2,
    /// A broker; the empty name is the default of all brokers.
    Broker = 4,
    /// The log levels of a broker; never stored.
    BrokerLogger = 8,
    /// A client metrics subscription (KIP-714).
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

impl ResourceType {
    /// From the number on the wire and in records.
    pub fn from_id(id: i8) -> Self {
        match id {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::BrokerLogger,
            16 => Self::ClientMetrics,
            32 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

/// One configured thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// Its kind.
    pub kind: ResourceType,
    /// Its name.
    pub name: String,
}

impl ConfigResource {
    /// A topic.
    pub fn topic(name: &str) -> Self {
        Self { kind: ResourceType::Topic, name: name.to_owned() }
    }

    /// One broker.
    pub fn broker(id: i32) -> Self {
        Self { kind: ResourceType::Broker, name: id.to_string() }
    }

    /// The default of all brokers.
    pub fn default_broker() -> Self {
        Self { kind: ResourceType::Broker, name: String::new() }
    }
}

/// Every altered key of every resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configs {
    by_resource: SharedMap<ConfigResource, BTreeMap<String, String>>,
}

impl Configs {
    /// The altered keys of a resource.
    pub fn of(&self, resource: &ConfigResource) -> Option<&BTreeMap<String, String>> {
        self.by_resource.get(resource)
    }

    /// One altered key of a resource.
    pub fn get(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.of(resource)?.get(key).map(String::as_str)
    }

    /// All resources with altered keys.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &BTreeMap<String, String>)> {
        self.by_resource.iter()
    }

    pub(super) fn apply(&mut self, record: &ConfigRecord) -> ConfigResource {
        let resource = ConfigResource {
            kind: ResourceType::from_id(record.resource_type),
            name: record.resource_name.clone(),
        };
        match &record.value {
            Some(value) => {
                let keys = self.by_resource.get_or_default(resource.clone());
                keys.insert(record.name.clone(), value.clone());
            }
            None => {
                if let Some(keys) = self.by_resource.get_mut(&resource) {
                    keys.remove(&record.name);
                    if keys.is_empty() {
                        self.by_resource.remove(&resource);
                    }
                }
            }
        }
        resource
    }

    pub(super) fn remove(&mut self, resource: &ConfigResource) {
        self.by_resource.remove(resource);
    }
}
