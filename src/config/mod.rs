//! Configuration: one row for each key, and what follows from it.
//!
//! `keys/` declares every key of Kafka 4.4 with its type, default, check and meaning; `key.rs` is
//! what a row has. [`BrokerConfig`] is a broker's configuration as it takes effect, an immutable
//! value; [`TopicConfig`] is a topic's over it. Values come in layers (`layers.rs`): the default,
//! what the broker was started with, what was altered for all brokers, for this one, for the topic.

mod alter;
mod authorizer;
mod broker;
mod build;
mod check;
mod client_metrics;
mod conflicts;
mod describe;
mod error;
mod group;
mod key;
pub mod keys;
mod layers;
mod listeners;
mod offset_reset;
mod origin;
mod properties;
mod quorum;
mod server_properties;
mod start;
mod topic;
mod types;
mod value;
mod warning;

pub use authorizer::AuthorizerConfig;
pub use broker::{BrokerConfig, InterBroker};
pub use check::Check;
pub use describe::{DescribedSynonym, Description, Source};
pub use error::{AlterError, Cited, Conflict, StartError, StartErrors, ValueError};
pub use key::{Default, Importance, Key, Mode, Status, Synonym};
pub use keys::client_metrics::ClientMetricsConfig;
pub use keys::group_level::GroupConfig;
pub use keys::topic::TopicConfig;
pub use layers::{Layers, Props, Values};
pub use listeners::{Bind, Listener, SecurityProtocol};
pub use offset_reset::AutoOffsetReset;
pub use origin::Origin;
pub use properties::{Properties, Setting};
pub use quorum::HostPort;
pub use server_properties::{built_in, render};
pub use types::{CleanupPolicy, IsolationLevel, MigrationPolicy, TopicCompression};
pub use value::{FromValue, Kind, Secret, Value};
pub use warning::Warning;

#[cfg(test)]
mod tests;
