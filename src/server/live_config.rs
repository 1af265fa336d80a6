//! The configuration as it is now: what the broker was started with, and what was altered since.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{BrokerConfig, Props, Warning};
use crate::metadata::{ConfigResource, MetadataImage};

/// Resolves a broker's configuration anew where an image altered it, which is seldom: the last
/// result is kept.
pub struct LiveConfig {
    started_with: Arc<BrokerConfig>,
    broker: ConfigResource,
    last: Mutex<ResolvedConfig>,
}

/// A result, with the alterations that it is of.
struct ResolvedConfig {
    cluster: Props,
    broker: Props,
    config: Arc<BrokerConfig>,
}

impl LiveConfig {
    /// Nothing is altered yet.
    pub fn new(started_with: BrokerConfig) -> Self {
        let broker = ConfigResource::broker(started_with.node.node_id);
        let started_with = Arc::new(started_with);
        let config = Arc::clone(&started_with);
        let last = ResolvedConfig { cluster: Props::new(), broker: Props::new(), config };
        Self { last: Mutex::new(last), started_with, broker }
    }

    /// What the broker was started with.
    pub fn started_with(&self) -> &BrokerConfig {
        &self.started_with
    }

    /// The configuration as an image has it.
    pub fn at(&self, image: &MetadataImage) -> Arc<BrokerConfig> {
        let nothing = Props::new();
        let of = |resource: &ConfigResource| image.configs.of(resource).unwrap_or(&nothing);
        self.with(of(&ConfigResource::default_broker()), of(&self.broker))
    }

    /// The configuration with these alterations, for all brokers and for this one.
    pub fn with(&self, cluster: &Props, broker: &Props) -> Arc<BrokerConfig> {
        let mut last = self.last.lock();
        if last.cluster != *cluster || last.broker != *broker {
            let (config, warnings) = self.started_with.altered(cluster, broker);
            say(&warnings);
            let (cluster, broker) = (cluster.clone(), broker.clone());
            *last = ResolvedConfig { cluster, broker, config: Arc::new(config) };
        }
        Arc::clone(&last.config)
    }

    /// The configuration as the last image that was asked for had it.
    pub fn latest(&self) -> Arc<BrokerConfig> {
        Arc::clone(&self.last.lock().config)
    }
}

/// Tells the operator of warnings, one line each.
pub fn say(warnings: &[Warning]) {
    for warning in warnings {
        if warning.is_note() {
            tracing::info!("{warning}");
        } else {
            tracing::warn!("{warning}");
        }
    }
}
