//! CreateTopics: v2-7.
//!
//! Topics are placed, configured and led when this answers. v4: partitions and replication factor
//! may be -1, the broker's defaults. v5: flexible; what the topic looks like (KIP-525). v6: a quota
//! may refuse. v7: the topic's id.
//! A timeout of 0 or less is refused, as by Kafka; any other is not used: no change here takes long.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::command::{
    CreateTopicResult, CreateTopics, CreatedTopic, EffectiveConfig, NewTopic,
};
use crate::controller::topic_names::CLUSTER_METADATA;
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse,
    create_topics_request::CreatableTopic,
    create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
    text, topic_name, wire_uuid,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let forbidden = forbidden(context, &request.topics);
    let (refused, wanted): (Vec<&CreatableTopic>, Vec<&CreatableTopic>) =
        request.topics.iter().partition(|topic| forbidden.contains(topic.name.as_str()));
    let topics: Vec<NewTopic> = wanted.iter().map(|topic| new_topic(topic)).collect();
    let command = CreateTopics { topics, validate_only: request.validate_only };
    let refused = refused.iter().map(|topic| {
        CreatableTopicResult::default()
            .with_name(topic.name.clone())
            .with_error_code(ErrorCode::TopicAuthorizationFailed.code())
            .with_error_message(Some(text("Authorization failed.")))
    });
    let topics = match super::call_within(context, request.timeout_ms, command).await {
        Ok(results) => {
            results.iter().map(|created| result(context, created)).chain(refused).collect()
        }
        Err(refusal) => {
            let (code, message) = super::error(&refusal);
            let refused = request.topics.iter().map(|topic| {
                CreatableTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(code)
                    .with_error_message(message.clone())
            });
            refused.collect()
        }
    };
    CreateTopicsResponse::default().with_topics(topics)
}

/// The topics that the client may not create. One that is named twice, or never may be, the
/// controller refuses whoever asks.
fn forbidden<'a>(context: &RequestContext, topics: &'a [CreatableTopic]) -> BTreeSet<&'a str> {
    if context.may_quietly(Operation::Create, Resource::Cluster) {
        return BTreeSet::new();
    }
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in topics {
        *times.entry(topic.name.as_str()).or_default() += 1;
    }
    let once = times.into_iter().filter(|(name, times)| *times == 1 && *name != CLUSTER_METADATA);
    once.map(|(name, _)| name)
        .filter(|name| !context.may(Operation::Create, Resource::Topic(name)))
        .collect()
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    NewTopic {
        name: topic.name.0.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assigned| (assigned.partition_index, super::broker_ids(&assigned.broker_ids)))
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect(),
    }
}

fn result(context: &RequestContext, result: &CreateTopicResult) -> CreatableTopicResult {
    let named = CreatableTopicResult::default().with_name(topic_name(&*result.name));
    let may_see = || context.may_quietly(Operation::DescribeConfigs, Resource::Topic(&result.name));
    match &result.result {
        Ok(CreatedTopic { id, .. }) if !may_see() => named
            .with_error_message(None)
            .with_topic_id(wire_uuid(*id))
            .with_topic_config_error_code(ErrorCode::TopicAuthorizationFailed.code())
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_configs(Some(Vec::new())),
        Ok(CreatedTopic { id, partitions, replication_factor, configs }) => named
            .with_error_message(None)
            .with_topic_id(wire_uuid(*id))
            .with_num_partitions(*partitions)
            .with_replication_factor(*replication_factor)
            .with_configs(Some(configs.iter().map(config).collect())),
        Err(refusal) => {
            let (code, message) = super::error(refusal);
            named.with_error_code(code).with_error_message(message)
        }
    }
}

fn config(config: &EffectiveConfig) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(text(&*config.name))
        .with_value(config.value.as_deref().map(text))
        .with_config_source(config.source)
        .with_is_sensitive(config.sensitive)
}
