//! The rules of configuration keys, which the controller is given by its owner.

use std::collections::BTreeMap;

use super::command::{EffectiveConfig, Refusal};
use crate::metadata::{ConfigResource, ResourceType};

/// The altered keys of a resource.
pub type ConfigValues = BTreeMap<String, String>;

/// What configurations mean, which the controller does not know.
pub trait ConfigRules: Send + Sync {
    /// Whether a resource may have these values, where it had `before`; the refusal has Kafka's
    /// code and message (Kafka 4.4 `ControllerConfigurationValidator`, `LogConfig`, `GroupConfig`,
    /// `ClientMetricsConfigs`).
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &ConfigValues,
        before: &ConfigValues,
    ) -> Result<(), Refusal>;
    /// Whether a key holds a list, which alone can be added to.
    fn is_list(&self, kind: ResourceType, key: &str) -> bool;
    /// The value of a key that nobody altered, as text.
    fn default_value(&self, kind: ResourceType, key: &str) -> Option<String>;
    /// The configuration of a topic as it takes effect, by key: altered for the topic, else for
    /// this node, else for the cluster, else as this node's file has it, else the default.
    fn effective_topic(
        &self,
        topic: &ConfigValues,
        node: &ConfigValues,
        cluster: &ConfigValues,
    ) -> Vec<EffectiveConfig>;
    /// One key of it.
    fn effective_topic_value(
        &self,
        key: &str,
        topic: &ConfigValues,
        node: &ConfigValues,
        cluster: &ConfigValues,
    ) -> Option<String>;
}
