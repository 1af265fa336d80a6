//! IncrementalAlterConfigs: v0-1.
//!
//! What is named is altered, the rest stays. v1: flexible. A broker refuses first what concerns it
//! alone, in Kafka 4.4 `ConfigAdminManager`'s words; a controller's listener has other words for
//! some of it.
//! Differs from Kafka: the levels of loggers cannot be altered; a controller's listener too refuses
//! a broker's values that are none.

use std::collections::BTreeMap;

use crate::controller::command::{AlterConfigs, ConfigChange, ConfigOp, Refusal, Verdict};
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
    let asked = request.resources.into_iter().map(|resource| asked(resource, is_controller));
    let answers = alter(context, asked.collect(), request.validate_only).await;
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
pub(super) struct Asked {
    pub(super) named: Named,
    /// The change; or why it is none.
    pub(super) change: Result<ConfigChange, Refusal>,
}

/// A controller takes a value that is none for a deletion.
fn asked(resource: AlterConfigsResource, is_controller: bool) -> Asked {
    let named = Named { kind: resource.resource_type, name: resource.resource_name };
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
    Asked { named, change }
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
    asked: Vec<Asked>,
    validate_only: bool,
) -> Vec<(Named, Verdict)> {
    let is_controller = context.listener.is_controller;
    let mut times: BTreeMap<(i8, StrBytes), Times> = BTreeMap::new();
    for Asked { named: Named { kind, name }, .. } in &asked {
        times.entry((*kind, name.clone())).or_default().named += 1;
    }
    let mut answers: Vec<(Named, Option<Verdict>)> = Vec::new();
    let mut changes: Vec<(ConfigResource, ConfigChange)> = Vec::new();
    for Asked { named, change } in asked {
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
        // The rights on a logger come before all else, those on others after it (Kafka 4.4
        // `ConfigAdminManager`, `RuntimeLoggerManager`, `ControllerApis`).
        let is_logger = ResourceType::from_id(named.kind) == ResourceType::BrokerLogger;
        let may = || may_alter(context, &named);
        let decided = if is_logger { may() } else { Ok(()) }
            .and_then(|()| check(&named, is_controller, context.broker.node_id))
            .and(change)
            .and_then(|change| may().map(|()| change));
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
fn check(named: &Named, is_controller: bool, node_id: BrokerId) -> Result<(), Refusal> {
    let kind = named.kind;
    match ResourceType::from_id(kind) {
        ResourceType::Topic
        | ResourceType::Broker
        | ResourceType::ClientMetrics
        | ResourceType::Group => Ok(()),
        ResourceType::BrokerLogger => match named.name.parse::<BrokerId>() {
            Ok(id) if id == node_id => Err(Refusal::new(
                ErrorCode::InvalidConfig,
                "The levels of log lines are set at the start, and cannot be altered.",
            )),
            Ok(id) => {
                Err(invalid(format!("Unexpected node id. Expected {node_id}, but received {id}")))
            }
            Err(_) => {
                Err(invalid(format!("Node id must be an integer, but it is: {}", named.name)))
            }
        },
        ResourceType::Unknown if is_controller => Err(Refusal::new(
            ErrorCode::UnsupportedVersion,
            format!("Unknown resource type {kind}."),
        )),
        ResourceType::Unknown => Err(invalid(format!("Unknown resource type {kind}"))),
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
        asked(AlterConfigsResource::default().with_configs(configs), false).change
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
        assert_eq!(asked(set, true).change, Ok(expected), "a controller deletes");
    }

    #[test]
    fn a_kind_that_is_none_is_refused_by_brokers_and_controllers_in_their_own_way() {
        let named = |kind, name| Named { kind, name: text(name) };
        assert_eq!(check(&named(2, "t"), false, 1), Ok(()));
        assert_eq!(check(&named(3, "t"), false, 1).unwrap_err().code, ErrorCode::InvalidRequest);
        let refusal = check(&named(3, "t"), true, 1).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::UnsupportedVersion);
        assert_eq!(refusal.message.as_deref(), Some("Unknown resource type 3."));
        let logger = ResourceType::BrokerLogger as i8;
        for (name, words) in [
            ("2", "Unexpected node id. Expected 1, but received 2"),
            ("x", "Node id must be an integer, but it is: x"),
        ] {
            let refusal = check(&named(logger, name), false, 1).unwrap_err();
            assert_eq!(refusal.message.as_deref(), Some(words));
        }
        assert_eq!(
            check(&named(logger, "1"), false, 1).unwrap_err().code,
            ErrorCode::InvalidConfig
        );
    }
}
