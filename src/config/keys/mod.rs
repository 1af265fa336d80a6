//! The tables of keys: one row for each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::key::Key;

pub mod client_metrics;
pub mod group;
pub mod group_level;
pub mod log;
pub mod network;
pub mod node;
pub mod quota;
pub mod remote;
pub mod replication;
pub mod security;
pub mod share;
pub mod topic;
pub mod transaction;

/// The tables of the keys that a broker may be started with, with their titles.
pub static BROKER_TABLES: &[(&str, &[Key])] = &[
    ("Node and quorum", node::NODE),
    ("Listeners and connections", network::NETWORK),
    ("Logs", log::LOG),
    ("Replication", replication::REPLICATION),
    ("Groups", group::GROUP),
    ("Share groups", share::SHARE),
    ("Transactions", transaction::TRANSACTION),
    ("Quotas and metrics", quota::QUOTA),
    ("Security", security::SECURITY),
    ("Tiered storage", remote::REMOTE),
];

type KeyIndex = LazyLock<BTreeMap<&'static str, &'static Key>>;

fn index(tables: &[&'static [Key]]) -> BTreeMap<&'static str, &'static Key> {
    tables.iter().flat_map(|table| table.iter()).map(|key| (key.name, key)).collect()
}

static BROKER: KeyIndex =
    LazyLock::new(|| index(&BROKER_TABLES.iter().map(|(_, table)| *table).collect::<Vec<_>>()));
static DYNAMIC_ONLY: KeyIndex = LazyLock::new(|| index(&[quota::DYNAMIC_ONLY]));
static TOPIC: KeyIndex = LazyLock::new(|| index(&[topic::TOPIC]));
static GROUP: KeyIndex = LazyLock::new(|| index(&[group_level::GROUP_KEYS]));
static CLIENT_METRICS: KeyIndex = LazyLock::new(|| index(&[client_metrics::CLIENT_METRICS]));

/// A key that a broker may be started with.
pub fn broker(name: &str) -> Option<&'static Key> {
    BROKER.get(name).copied()
}

/// All keys that a broker may be started with, by name.
pub fn brokers() -> impl Iterator<Item = &'static Key> {
    BROKER.values().copied()
}

/// A key of a broker that can only be set while it runs.
pub fn dynamic_only(name: &str) -> Option<&'static Key> {
    DYNAMIC_ONLY.get(name).copied()
}

/// A topic's key.
pub fn topic(name: &str) -> Option<&'static Key> {
    TOPIC.get(name).copied()
}

/// All of a topic's keys, by name.
pub fn topics() -> impl Iterator<Item = &'static Key> {
    TOPIC.values().copied()
}

/// A group's key.
pub fn group(name: &str) -> Option<&'static Key> {
    GROUP.get(name).copied()
}

/// All of a group's keys, by name.
pub fn groups() -> impl Iterator<Item = &'static Key> {
    GROUP.values().copied()
}

/// A key of a client metrics subscription.
pub fn client_metrics(name: &str) -> Option<&'static Key> {
    CLIENT_METRICS.get(name).copied()
}

/// All keys of a client metrics subscription, by name.
pub fn all_client_metrics() -> impl Iterator<Item = &'static Key> {
    CLIENT_METRICS.values().copied()
}
