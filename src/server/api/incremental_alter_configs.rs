//! IncrementalAlterConfigs: v0-1.
//!
//! What is named is altered, the rest stays. v1: flexible. A broker refuses first what concerns it
//! alone, in Kafka 4.4 `ConfigAdminManager`'s words; a controller's listener has other words for
//! some of it. The levels of loggers (KIP-412) are altered in this process, not in the metadata.
//! Differs from Kafka: a controller's listener too refuses a broker's values that are none.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::command::{AlterConfigs, ConfigChange, ConfigOp, Refusal, Verdict};
use crate::env::log_levels::ROOT;
use crate::env::{LogLevel, LogLevels};
use crate::metadata::{ConfigResource, Operation, ResourceType};
use crate::protocol::messages::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, StrBytes,
    incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    incremental_alter_configs_response::AlterConfigsResourceResponse,
};
use crate::server::context::RequestContext;
use crate::types::{BrokerId, ErrorCode};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let is_controller = context.listener.is_controller;
    let (loggers, others): (Vec<_>, Vec<_>) =
        request.resources.iter().enumerate().partition(|(_, resource)| is_logger(resource));
    let places: Vec<usize> = loggers.iter().chain(&others).map(|(place, _)| *place).collect();
    let mut times: BTreeMap<&StrBytes, usize> = BTreeMap::new();
    for (_, logger) in &loggers {
        *times.entry(&logger.resource_name).or_default() += 1;
    }
    let mut answers = Vec::with_capacity(places.len());
    for (_, resource) in &loggers {
        let is_once = times.get(&resource.resource_name) == Some(&1);
        let verdict = alter_levels(context, resource, is_once, request.validate_only);
        answers.push((named(resource), verdict));
    }
    let others: Vec<ConfigAlteration> =
        others.into_iter().map(|(_, resource)| asked(resource, is_controller)).collect();
    answers.extend(alter(context, others, request.validate_only).await);
    // A controller answers loggers last, a broker in the order of the request.
    if is_controller {
        answers.rotate_left(loggers.len());
    } else {
        assert_eq!(places.len(), answers.len(), "a broker answers every resource");
        let mut placed: Vec<_> = places.into_iter().zip(answers).collect();
        placed.sort_by_key(|(place, _)| *place);
        answers = placed.into_iter().map(|(_, answer)| answer).collect();
    }
    let responses = answers.into_iter().map(|(named, verdict)| {
        let (code, message) = super::verdict(&verdict);
        AlterConfigsResourceResponse::default()
            .with_resource_type(named.kind)
            .with_resource_name(named.name)
            .with_error_code(code)
            .with_error_message(message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

/// A resource as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) kind: i8,
    pub(super) name: StrBytes,
}

/// How often a resource is named in a request, and how often of these it is answered.
#[derive(Default)]
struct Times {
    named: usize,
    answered: usize,
}

/// What a request wants of a resource.
pub(super) struct ConfigAlteration {
    pub(super) named: Named,
    /// The change; or why it is none.
    pub(super) change: Result<ConfigChange, Refusal>,
}

fn named(resource: &AlterConfigsResource) -> Named {
    Named { kind: resource.resource_type, name: resource.resource_name.clone() }
}

fn is_logger(resource: &AlterConfigsResource) -> bool {
    ResourceType::from_id(resource.resource_type) == ResourceType::BrokerLogger
}

/// Alters levels of this node's loggers (Kafka 4.4 `RuntimeLoggerManager`). `is_once` is whether the
/// request names the resource once.
fn alter_levels(
    context: &RequestContext,
    resource: &AlterConfigsResource,
    is_once: bool,
    validate_only: bool,
) -> Verdict {
    if !context.listener.is_controller {
        if !is_once {
            return Err(invalid("Each resource must appear at most once."));
        }
        let keys = resource.configs.iter().map(|config| (&config.name, lacks_value(config)));
        check_keys(keys)?;
    }
    may_alter(context, &named(resource))?;
    check_logger_node(&resource.resource_name, context.broker.node_id)?;
    let changes: Vec<_> = resource.configs.iter().map(level_change).collect::<Result<_, _>>()?;
    if validate_only {
        return Ok(());
    }
    let client = &context.client_id;
    context.broker.env.log_levels.alter(&changes).map_err(|reason| {
        tracing::error!(%client, reason, "log levels cannot be changed");
        Refusal::from(ErrorCode::UnknownServerError)
    })?;
    for (logger, level) in &changes {
        let level = level.map_or("unset", LogLevel::name);
        tracing::warn!(%client, logger, level, "changed a log level");
    }
    Ok(())
}

/// What a broker checks of the keys of any resource before it looks at the resource. Each key comes
/// with whether it lacks a value that it needs.
pub(super) fn check_keys<'a>(
    keys: impl Iterator<Item = (&'a StrBytes, bool)>,
) -> Result<(), Refusal> {
    let (mut known, mut is_twice, mut nulls) = (BTreeSet::new(), false, Vec::new());
    for (key, lacks_value) in keys {
        is_twice |= !known.insert(key);
        nulls.extend(lacks_value.then_some(key.as_str()));
    }
    if is_twice {
        return Err(invalid("Error due to duplicate config keys"));
    }
    if nulls.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))))
}

fn lacks_value(config: &AlterableConfig) -> bool {
    config.config_operation != DELETE && config.value.is_none()
}

/// The logger and its new level, or none where it loses its own.
fn level_change(config: &AlterableConfig) -> Result<(String, Option<LogLevel>), Refusal> {
    let logger = config.name.as_str();
    let not_allowed =
        |what: &str| Err(invalid(format!("{what} is not allowed for the BROKER_LOGGER resource")));
    match config.config_operation {
        SET | DELETE if !LogLevels::has(logger) => {
            Err(Refusal::new(ErrorCode::InvalidConfig, format!("Logger {logger} does not exist!")))
        }
        SET => {
            let value = config.value.as_ref().map_or("null", |value| value.as_str());
            let Some(level) = LogLevel::settable(value) else {
                let valid = LogLevel::SETTABLE.map(LogLevel::name).join(", ");
                let words = format!(
                    "Cannot set the log level of {logger} to {value} as it is not a supported log \
                     level. Valid log levels are {valid}"
                );
                return Err(Refusal::new(ErrorCode::InvalidConfig, words));
            };
            Ok((logger.to_owned(), Some(level)))
        }
        DELETE if logger == ROOT => {
            Err(invalid(format!("Removing the log level of the {ROOT} logger is not allowed")))
        }
        DELETE => Ok((logger.to_owned(), None)),
        APPEND => not_allowed("APPEND operation"),
        SUBTRACT => not_allowed("SUBTRACT operation"),
        other => not_allowed(&format!("Unknown operation type {other}")),
    }
}

/// A controller takes a value that is none for a deletion.
fn asked(resource: &AlterConfigsResource, is_controller: bool) -> ConfigAlteration {
    let named = named(resource);
    let is_null = |config: &&AlterableConfig| match config.config_operation {
        DELETE => false,
        SET if is_controller => false,
        _ => config.value.is_none(),
    };
    let nulls = resource.configs.iter().filter(is_null).map(|config| config.name.as_str());
    let nulls: Vec<&str> = nulls.collect();
    let change = if nulls.is_empty() {
        let operations = resource.configs.iter().map(operation);
        operations.collect::<Result<_, _>>().map(ConfigChange::Incremental)
    } else {
        Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))))
    };
    ConfigAlteration { named, change }
}

/// The numbers of Kafka's `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn operation(config: &AlterableConfig) -> Result<(String, ConfigOp), Refusal> {
    let value = || config.value.as_ref().map(ToString::to_string);
    let operation = match config.config_operation {
        SET => ConfigOp::Set(value()),
        DELETE => ConfigOp::Delete,
        APPEND => ConfigOp::Append(value().unwrap_or_default()),
        SUBTRACT => ConfigOp::Subtract(value().unwrap_or_default()),
        other => return Err(invalid(format!("Unknown operations type {other}"))),
    };
    Ok((config.name.to_string(), operation))
}

/// Asks the controller for what can be asked of it, and answers every resource in the request's
/// order.
pub(super) async fn alter(
    context: &RequestContext,
    asked: Vec<ConfigAlteration>,
    validate_only: bool,
) -> Vec<(Named, Verdict)> {
    let is_controller = context.listener.is_controller;
    let mut times: BTreeMap<(i8, StrBytes), Times> = BTreeMap::new();
    for ConfigAlteration { named: Named { kind, name }, .. } in &asked {
        times.entry((*kind, name.clone())).or_default().named += 1;
    }
    let mut answers: Vec<(Named, Option<Verdict>)> = Vec::new();
    let mut changes: Vec<(ConfigResource, ConfigChange)> = Vec::new();
    for ConfigAlteration { named, change } in asked {
        if let Some(times) = times.get_mut(&(named.kind, named.name.clone()))
            && times.named > 1
        {
            // A controller answers each resource once.
            if !is_controller {
                let refusal = invalid("Each resource must appear at most once.");
                answers.push((named, Some(Err(refusal))));
            } else if times.answered == 0 {
                answers.push((named, Some(Err(invalid("Duplicate resource.")))));
            }
            times.answered += 1;
            continue;
        }
        let decided = change
            .and_then(|change| check(&named, is_controller).map(|()| change))
            .and_then(|change| may_alter(context, &named).map(|()| change));
        match decided {
            Ok(change) => {
                changes.push((resource(&named), change));
                answers.push((named, None));
            }
            Err(refusal) => answers.push((named, Some(Err(refusal)))),
        }
    }
    let mut results = BTreeMap::new();
    let mut whole = Ok(());
    if !changes.is_empty() {
        let command = AlterConfigs { changes, validate_only, forwarded: !is_controller };
        match context.broker.controller.call(command).await {
            Ok(verdicts) => results.extend(verdicts),
            Err(refusal) => whole = Err(refusal),
        }
    }
    let decided =
        |named: &Named| results.get(&resource(named)).map_or_else(|| whole.clone(), Verdict::clone);
    answers
        .into_iter()
        .map(|(named, answer)| {
            let verdict = answer.unwrap_or_else(|| decided(&named));
            (named, verdict)
        })
        .collect()
}

fn may_alter(context: &RequestContext, named: &Named) -> Result<(), Refusal> {
    let kind = ResourceType::from_id(named.kind);
    let operation = match kind {
        ResourceType::BrokerLogger if context.listener.is_controller => Operation::ClusterAction,
        _ => Operation::AlterConfigs,
    };
    let of = super::configured(kind, &named.name);
    of.map_or(Ok(()), |of| context.require_in_words(operation, of))
}

fn resource(named: &Named) -> ConfigResource {
    ConfigResource { kind: ResourceType::from_id(named.kind), name: named.name.to_string() }
}

/// Whether there are such resources.
fn check(named: &Named, is_controller: bool) -> Result<(), Refusal> {
    let kind = named.kind;
    match ResourceType::from_id(kind) {
        ResourceType::Topic
        | ResourceType::Broker
        | ResourceType::ClientMetrics
        | ResourceType::Group => Ok(()),
        ResourceType::Unknown if is_controller => Err(Refusal::new(
            ErrorCode::UnsupportedVersion,
            format!("Unknown resource type {kind}."),
        )),
        // AlterConfigs alone asks here for loggers, which it does not alter.
        ResourceType::BrokerLogger | ResourceType::Unknown => {
            Err(invalid(format!("Unknown resource type {kind}")))
        }
    }
}

fn check_logger_node(name: &str, node_id: BrokerId) -> Result<(), Refusal> {
    match name.parse::<BrokerId>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(id) => {
            Err(invalid(format!("Unexpected node id. Expected {node_id}, but received {id}")))
        }
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::text;

    fn config(name: &str, operation: i8, value: Option<&str>) -> AlterableConfig {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(value.map(text))
    }

    fn change(configs: Vec<AlterableConfig>) -> Result<ConfigChange, Refusal> {
        asked(&AlterConfigsResource::default().with_configs(configs), false).change
    }

    #[test]
    fn operations_are_told_apart_by_number() {
        let configs = vec![
            config("a", SET, Some("1")),
            config("b", DELETE, None),
            config("c", APPEND, Some("2")),
            config("d", SUBTRACT, Some("3")),
        ];
        let expected = [
            ("a", ConfigOp::Set(Some("1".to_owned()))),
            ("b", ConfigOp::Delete),
            ("c", ConfigOp::Append("2".to_owned())),
            ("d", ConfigOp::Subtract("3".to_owned())),
        ];
        let expected = expected.map(|(name, operation)| (name.to_owned(), operation)).to_vec();
        assert_eq!(change(configs), Ok(ConfigChange::Incremental(expected)));
        let refusal = change(vec![config("a", 9, Some("1"))]).unwrap_err();
        assert_eq!(refusal.message.as_deref(), Some("Unknown operations type 9"));
    }

    #[test]
    fn only_a_deletion_has_no_value() {
        let configs =
            vec![config("a", SET, None), config("b", DELETE, None), config("c", APPEND, None)];
        let refusal = change(configs).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRequest);
        assert_eq!(refusal.message.as_deref(), Some("Null value not supported for : a, c"));
        let set = AlterConfigsResource::default().with_configs(vec![config("a", SET, None)]);
        let expected = ConfigChange::Incremental(vec![("a".to_owned(), ConfigOp::Set(None))]);
        assert_eq!(asked(&set, true).change, Ok(expected), "a controller deletes");
    }

    #[test]
    fn a_kind_that_is_none_is_refused_by_brokers_and_controllers_in_their_own_way() {
        let named = |kind, name| Named { kind, name: text(name) };
        assert_eq!(check(&named(2, "t"), false), Ok(()));
        assert_eq!(check(&named(3, "t"), false).unwrap_err().code, ErrorCode::InvalidRequest);
        let refusal = check(&named(3, "t"), true).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::UnsupportedVersion);
        assert_eq!(refusal.message.as_deref(), Some("Unknown resource type 3."));
        // AlterConfigs does not know loggers.
        let refusal = check(&named(ResourceType::BrokerLogger as i8, "1"), false).unwrap_err();
        assert_eq!(refusal.message.as_deref(), Some("Unknown resource type 8"));
    }

    #[test]
    fn loggers_are_those_of_the_node() {
        assert_eq!(check_logger_node("1", 1), Ok(()));
        for (name, words) in [
            ("2", "Unexpected node id. Expected 1, but received 2"),
            ("x", "Node id must be an integer, but it is: x"),
        ] {
            let refusal = check_logger_node(name, 1).unwrap_err();
            assert_eq!(refusal.message.as_deref(), Some(words));
        }
    }

    #[test]
    fn levels_are_set_and_taken_and_nothing_else() {
        let logger = "blumfeld.server";
        let level = Ok((logger.to_owned(), Some(LogLevel::Debug)));
        assert_eq!(level_change(&config(logger, SET, Some("DEBUG"))), level);
        assert_eq!(level_change(&config(logger, DELETE, None)), Ok((logger.to_owned(), None)));
        let refused = |name, operation, value| {
            let refusal = level_change(&config(name, operation, value)).unwrap_err();
            (refusal.code, refusal.message.unwrap())
        };
        let valid = "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN";
        let (request, invalid) = (ErrorCode::InvalidRequest, ErrorCode::InvalidConfig);
        for (answer, code, words) in [
            (refused("nope", SET, Some("INFO")), invalid, "Logger nope does not exist!".to_owned()),
            (refused("nope", DELETE, None), invalid, "Logger nope does not exist!".to_owned()),
            (
                refused("root", SET, Some("LOUD")),
                invalid,
                format!(
                    "Cannot set the log level of root to LOUD as it is not a supported log level. \
                     {valid}"
                ),
            ),
            (
                refused("root", DELETE, None),
                request,
                "Removing the log level of the root logger is not allowed".to_owned(),
            ),
            (
                refused("root", APPEND, Some("INFO")),
                request,
                "APPEND operation is not allowed for the BROKER_LOGGER resource".to_owned(),
            ),
            (
                refused("root", 9, Some("INFO")),
                request,
                "Unknown operation type 9 is not allowed for the BROKER_LOGGER resource".to_owned(),
            ),
        ] {
            assert_eq!(answer, (code, words));
        }
        let twice = vec![config("root", SET, Some("INFO")), config("root", SET, Some("WARN"))];
        let keys = |configs: &[AlterableConfig]| {
            let checked =
                check_keys(configs.iter().map(|config| (&config.name, lacks_value(config))));
            checked.map_err(|refusal| refusal.message.unwrap())
        };
        assert_eq!(keys(&twice), Err("Error due to duplicate config keys".to_owned()));
        let nulls = [config("a", SET, None), config("b", DELETE, None), config("c", APPEND, None)];
        assert_eq!(keys(&nulls), Err("Null value not supported for : a, c".to_owned()));
    }
}
