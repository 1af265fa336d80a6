//! CreateTopics: v2-7.
//!
//! Topics are placed, configured and led when this answers. v4: partitions and replication factor
//! may be -1, the broker's defaults. v5: flexible; what the topic looks like (KIP-525). v6: a quota
//! may refuse. v7: the topic's id.
//! Differs from Kafka: the timeout is not looked at, since nothing here waits for another node.

use crate::controller::command::{
    CreateTopicResult, CreateTopics, CreatedTopic, EffectiveConfig, NewTopic,
};
use crate::protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse,
    create_topics_request::CreatableTopic,
    create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
    text, topic_name, wire_uuid,
};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let topics: Vec<NewTopic> = request.topics.iter().map(new_topic).collect();
    let command = CreateTopics { topics, validate_only: request.validate_only };
    let topics = match context.broker.controller.call(command).await {
        Ok(results) => results.iter().map(result).collect(),
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

fn result(result: &CreateTopicResult) -> CreatableTopicResult {
    let named = CreatableTopicResult::default().with_name(topic_name(&*result.name));
    match &result.result {
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
