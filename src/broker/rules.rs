//! What configurations mean, for the controller, which does not know.

use std::sync::Arc;

use crate::config::{
    BrokerConfig, ClientMetricsConfig, Description, GroupConfig, Key, Kind, TopicConfig, keys,
};
use crate::controller::command::EffectiveConfig;
use crate::controller::{ConfigRules, ConfigValues, Refusal, topic_names};
use crate::metadata::{ConfigResource, ResourceType};
use crate::server::live_config::LiveConfig;
use crate::types::{BrokerId, ErrorCode};

/// The rules of this broker's release, and of what it is configured to.
pub(super) struct ConfigKeyRules(pub(super) Arc<LiveConfig>);

impl ConfigRules for ConfigKeyRules {
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &ConfigValues,
        before: &ConfigValues,
    ) -> Result<(), Refusal> {
        check_name(resource)?;
        let broker = self.0.latest();
        let checked = match resource.kind {
            ResourceType::Topic => TopicConfig::validate(&broker, values, before),
            ResourceType::Broker => validate_broker(&broker, &resource.name, values),
            ResourceType::Group => GroupConfig::validate(&broker, values),
            ResourceType::ClientMetrics => ClientMetricsConfig::validate(&resource.name, values),
            ResourceType::Unknown | ResourceType::BrokerLogger => Ok(()),
        };
        checked.map_err(|error| Refusal::new(error.code(), error.to_string()))
    }

    fn is_list(&self, kind: ResourceType, key: &str) -> bool {
        declared(kind, key).is_some_and(|key| key.kind == Kind::List)
    }

    fn default_value(&self, kind: ResourceType, key: &str) -> Option<String> {
        declared(kind, key)?.default_text()
    }

    fn effective_topic(
        &self,
        topic: &ConfigValues,
        node: &ConfigValues,
        cluster: &ConfigValues,
    ) -> Vec<EffectiveConfig> {
        let keys = self.0.started_with().effective_topic(topic, node, cluster);
        keys.into_iter().map(effective).collect()
    }

    fn effective_topic_value(
        &self,
        key: &str,
        topic: &ConfigValues,
        node: &ConfigValues,
        cluster: &ConfigValues,
    ) -> Option<String> {
        let key = keys::topic(key)?;
        self.0.started_with().effective_topic_key(key, topic, node, cluster).value
    }
}

fn effective(key: Description) -> EffectiveConfig {
    EffectiveConfig {
        name: key.name,
        value: key.value.filter(|_| !key.sensitive),
        source: key.source as i8,
        sensitive: key.sensitive,
    }
}

/// Whether a resource of the kind may have this name (Kafka 4.4 `ControllerConfigurationValidator`).
fn check_name(resource: &ConfigResource) -> Result<(), Refusal> {
    let name = &resource.name;
    let invalid = |words: &str| Err(Refusal::new(ErrorCode::InvalidRequest, words));
    match resource.kind {
        ResourceType::Topic if name.is_empty() => {
            invalid("Default topic resources are not allowed.")
        }
        ResourceType::Topic => topic_names::check(name)
            .map_err(|words| Refusal::new(ErrorCode::InvalidTopicException, words)),
        ResourceType::Group if name.is_empty() => {
            invalid("Default group resources are not allowed.")
        }
        ResourceType::Broker if !name.is_empty() => match name.parse::<BrokerId>() {
            Ok(0..) => Ok(()),
            Ok(_) => invalid("Invalid negative broker ID."),
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
        },
        ResourceType::Group
        | ResourceType::Broker
        | ResourceType::ClientMetrics
        | ResourceType::BrokerLogger
        | ResourceType::Unknown => Ok(()),
    }
}

/// What another broker may be altered to is for that one to say.
fn validate_broker(
    broker: &BrokerConfig,
    name: &str,
    values: &ConfigValues,
) -> Result<(), crate::config::AlterError> {
    let is_this = name == broker.node.node_id.to_string();
    if name.is_empty() || is_this {
        return broker.validate_alterations(values, is_this);
    }
    Ok(())
}

fn declared(kind: ResourceType, key: &str) -> Option<&'static Key> {
    match kind {
        ResourceType::Topic => keys::topic(key),
        ResourceType::Broker => keys::broker(key).or_else(|| keys::dynamic_only(key)),
        ResourceType::Group => keys::group(key),
        ResourceType::ClientMetrics => keys::client_metrics(key),
        ResourceType::Unknown | ResourceType::BrokerLogger => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Properties;

    const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
controller.listener.names=CONTROLLER
";

    fn rules() -> ConfigKeyRules {
        let settings = Properties::parse("server.properties", SETTINGS.as_bytes()).unwrap();
        ConfigKeyRules(Arc::new(LiveConfig::new(BrokerConfig::start(&settings).unwrap().0)))
    }

    fn values(pairs: &[(&str, &str)]) -> ConfigValues {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn refused(kind: ResourceType, name: &str, pairs: &[(&str, &str)]) -> (ErrorCode, String) {
        let resource = ConfigResource { kind, name: name.to_owned() };
        let refusal = rules().validate(&resource, &values(pairs), &values(&[])).unwrap_err();
        (refusal.code, refusal.message.unwrap_or_default())
    }

    #[test]
    fn a_name_that_is_none_is_refused_before_its_values() {
        for (kind, name, code, words) in [
            (
                ResourceType::Topic,
                "",
                ErrorCode::InvalidRequest,
                "Default topic resources are not allowed.",
            ),
            (
                ResourceType::Group,
                "",
                ErrorCode::InvalidRequest,
                "Default group resources are not allowed.",
            ),
            (ResourceType::Broker, "-1", ErrorCode::InvalidRequest, "Invalid negative broker ID."),
            (
                ResourceType::Broker,
                "one",
                ErrorCode::InvalidRequest,
                "Unable to parse broker name as a base 10 number.",
            ),
            (
                ResourceType::ClientMetrics,
                "",
                ErrorCode::InvalidRequest,
                "Subscription name can't be empty",
            ),
        ] {
            assert_eq!(refused(kind, name, &[("x", "y")]), (code, words.to_owned()));
        }
        assert_eq!(refused(ResourceType::Topic, "a b", &[]).0, ErrorCode::InvalidTopicException);
    }

    #[test]
    fn an_alteration_is_checked_with_the_others_that_are_in_effect() {
        let rules = rules();
        let interval = "group.consumer.assignment.interval.ms";
        let broker = ConfigResource::broker(1);
        let check = |pairs: &[(&str, &str)]| {
            rules.validate(&broker, &values(pairs), &values(&[])).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(&[("num.io.threads", "32")]), Err(ErrorCode::InvalidRequest));
        rules.0.with(&values(&[("num.io.threads", "16")]), &values(&[]));
        assert_eq!(check(&[("num.io.threads", "32")]), Ok(()), "twice as many as now");
        assert_eq!(check(&[(interval, "15001")]), Err(ErrorCode::InvalidRequest));
        let other = ConfigResource::broker(2);
        let unknown = values(&[("log.dirs", "/a")]);
        assert_eq!(rules.validate(&other, &unknown, &values(&[])), Ok(()), "for that one to say");
    }

    #[test]
    fn lists_and_defaults_are_those_of_the_kind() {
        let rules = rules();
        assert!(rules.is_list(ResourceType::Topic, "cleanup.policy"));
        assert!(!rules.is_list(ResourceType::Broker, "cleanup.policy"));
        assert!(rules.is_list(ResourceType::Group, "streams.rack.aware.assignment.tags"));
        let default = rules.default_value(ResourceType::Topic, "cleanup.policy");
        assert_eq!(default.as_deref(), Some("delete"));
        let none = values(&[]);
        let node = values(&[("log.roll.hours", "1")]);
        let value = rules.effective_topic_value("segment.ms", &none, &node, &none);
        assert_eq!(value.as_deref(), Some("3600000"));
        assert_eq!(rules.effective_topic(&none, &none, &none).len(), 37);
    }
}
