//! DescribeConfigs: v1-4.
//!
//! The keys of brokers, topics, groups and client metrics subscriptions, with where their values
//! come from. v3: types and documentation. v4: flexible. A broker describes itself alone; clients
//! send each resource to the broker that it is about.

use crate::config::{BrokerConfig, DescribedSynonym, Description, Props, Source};
use crate::controller::command::Refusal;
use crate::controller::topic_names;
use crate::env::{LogLevel, LogLevels};
use crate::metadata::{ConfigResource, MetadataImage, Operation, ResourceType};
use crate::protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse,
    describe_configs_request::DescribeConfigsResource,
    describe_configs_response::{
        DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
    },
    text,
};
use crate::server::context::RequestContext;
use crate::types::{BrokerId, ErrorCode};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let config = context.broker.configuration.at(&context.image);
    let unknown = request.resources.iter().find(|r| kind_of(r) == ResourceType::Unknown);
    // A kind that is none fails the request, not the resource.
    let refused = unknown.map(|_| {
        let code = ErrorCode::InvalidRequest;
        Refusal { code, message: code.message().map(str::to_owned) }
    });
    let describe = |resource: &DescribeConfigsResource| match &refused {
        Some(refusal) => Err(refusal.clone()),
        None => {
            may_describe(context, resource)?;
            let broker = &context.broker;
            match kind_of(resource) {
                ResourceType::BrokerLogger => {
                    check_logger_node(&resource.resource_name, broker.node_id)?;
                    Ok(describe_loggers(&broker.env.log_levels))
                }
                _ => describe(&config, &context.image, broker.node_id, resource),
            }
        }
    };
    let one = |resource: &DescribeConfigsResource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match describe(resource) {
            Ok(keys) => {
                let keys = keys.into_iter().filter(|key| is_chosen(key, resource));
                result.with_configs(keys.map(|key| answer(key, &request)).collect())
            }
            Err(refusal) => {
                let (code, message) = super::error(&refusal);
                result.with_error_code(code).with_error_message(message)
            }
        }
    };
    let mut steps = context.steps();
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        results.push(one(resource));
        steps.step().await;
    }
    DescribeConfigsResponse::default().with_results(results)
}

fn may_describe(
    context: &RequestContext,
    resource: &DescribeConfigsResource,
) -> Result<(), Refusal> {
    let of = super::configured(kind_of(resource), &resource.resource_name);
    of.map_or(Ok(()), |of| context.require_in_words(Operation::DescribeConfigs, of))
}

fn kind_of(resource: &DescribeConfigsResource) -> ResourceType {
    ResourceType::from_id(resource.resource_type)
}

/// All keys of a resource.
fn describe(
    config: &BrokerConfig,
    image: &MetadataImage,
    node_id: BrokerId,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Description>, Refusal> {
    let kind = kind_of(resource);
    let name = resource.resource_name.as_str();
    let stored = || -> Props {
        let resource = ConfigResource { kind, name: name.to_owned() };
        image.configs.of(&resource).cloned().unwrap_or_default()
    };
    let named = |words: &str| if name.is_empty() { Err(invalid(words)) } else { Ok(()) };
    match kind {
        ResourceType::Topic => {
            topic_names::check(name)
                .map_err(|words| Refusal::new(ErrorCode::InvalidTopicException, words))?;
            if image.topics.by_name(name).is_none() {
                return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, ""));
            }
            Ok(config.describe_topic(&stored()))
        }
        ResourceType::Broker if name.is_empty() => Ok(config.describe_all_brokers()),
        ResourceType::Broker => {
            let expected = format!("{node_id} or empty string,");
            check_node(name, node_id, &expected)?;
            Ok(config.describe_broker())
        }
        ResourceType::ClientMetrics => {
            named("Client metrics subscription name must not be empty")?;
            Ok(config.describe_client_metrics(&stored()))
        }
        ResourceType::Group => {
            named("Group name must not be empty")?;
            Ok(config.describe_group(&stored()))
        }
        ResourceType::BrokerLogger | ResourceType::Unknown => {
            Err(invalid(format!("Unsupported resource type: {}", resource.resource_type)))
        }
    }
}

/// Loggers are those of the node that answers.
fn check_logger_node(name: &str, node_id: BrokerId) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(invalid("Broker id must not be empty"));
    }
    check_node(name, node_id, &node_id.to_string())
}

/// The level of each logger. Kafka describes them with an empty documentation, asked for or not.
fn describe_loggers(levels: &LogLevels) -> Vec<Description> {
    let describe = |(name, level): (&str, LogLevel)| Description {
        name: name.to_owned(),
        value: Some(level.name().to_owned()),
        source: Source::DynamicBrokerLogger,
        sensitive: false,
        read_only: false,
        synonyms: Vec::new(),
        kind: None,
        documentation: Some(""),
    };
    levels.all().into_iter().map(describe).collect()
}

fn check_node(name: &str, node_id: BrokerId, expected: &str) -> Result<(), Refusal> {
    match name.parse::<BrokerId>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(_) => {
            Err(invalid(format!("Unexpected broker id, expected {expected} but received {name}")))
        }
        Err(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
    }
}

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, words)
}

/// Whether a key was asked for; where none is named, all are.
fn is_chosen(key: &Description, resource: &DescribeConfigsResource) -> bool {
    let wanted = resource.configuration_keys.as_deref().unwrap_or_default();
    wanted.is_empty() || wanted.iter().any(|name| name.as_str() == key.name)
}

fn answer(key: Description, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let synonyms = if request.include_synonyms { key.synonyms } else { Vec::new() };
    let is_always_there = key.source == Source::DynamicBrokerLogger;
    let documentation =
        key.documentation.filter(|_| request.include_documentation || is_always_there);
    DescribeConfigsResourceResult::default()
        .with_name(text(key.name))
        .with_value(key.value.map(text))
        .with_read_only(key.read_only)
        .with_config_source(key.source as i8)
        .with_is_sensitive(key.sensitive)
        .with_synonyms(synonyms.into_iter().map(synonym).collect())
        .with_config_type(key.kind.map_or(0, crate::config::Kind::id))
        .with_documentation(documentation.map(text))
}

fn synonym(synonym: DescribedSynonym) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(text(synonym.name))
        .with_value(synonym.value.map(text))
        .with_source(synonym.source as i8)
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

    fn config() -> BrokerConfig {
        let settings = Properties::parse("server.properties", SETTINGS.as_bytes()).unwrap();
        BrokerConfig::start(&settings).unwrap().0
    }

    fn resource(kind: ResourceType, name: &str) -> DescribeConfigsResource {
        DescribeConfigsResource::default()
            .with_resource_type(kind as i8)
            .with_resource_name(text(name))
            .with_configuration_keys(None)
    }

    fn refused(kind: ResourceType, name: &str) -> (ErrorCode, String) {
        let image = MetadataImage::default();
        let refusal = describe(&config(), &image, 1, &resource(kind, name)).unwrap_err();
        (refusal.code, refusal.message.unwrap_or_default())
    }

    #[test]
    fn a_node_describes_its_own_loggers() {
        let refused = |name| check_logger_node(name, 1).unwrap_err().message.unwrap();
        assert_eq!(refused("2"), "Unexpected broker id, expected 1 but received 2");
        assert_eq!(refused(""), "Broker id must not be empty");
        assert_eq!(check_logger_node("1", 1), Ok(()));

        let loggers = describe_loggers(&LogLevels::detached());
        let root = loggers.iter().find(|logger| logger.name == "root").unwrap().clone();
        let answer = answer(root, &DescribeConfigsRequest::default());
        assert_eq!(answer.value.as_deref(), Some("INFO"));
        assert_eq!((answer.config_source, answer.read_only), (6, false));
        assert_eq!(answer.documentation.as_deref(), Some(""));
    }

    #[test]
    fn a_broker_describes_itself_alone() {
        assert_eq!(
            refused(ResourceType::Broker, "2"),
            (
                ErrorCode::InvalidRequest,
                "Unexpected broker id, expected 1 or empty string, but received 2".to_owned()
            )
        );
        assert_eq!(
            refused(ResourceType::Broker, "x").1,
            "Broker id must be an integer, but it is: x"
        );
        assert_eq!(refused(ResourceType::Group, "").1, "Group name must not be empty");
        assert_eq!(
            refused(ResourceType::ClientMetrics, "").1,
            "Client metrics subscription name must not be empty"
        );
        assert_eq!(refused(ResourceType::Topic, "a b").0, ErrorCode::InvalidTopicException);
        assert_eq!(
            refused(ResourceType::Topic, "t"),
            (ErrorCode::UnknownTopicOrPartition, String::new())
        );
    }
}
