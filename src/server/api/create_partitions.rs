//! CreatePartitions: v0-3.
//!
//! Topics get more partitions (KIP-195). v2: flexible. v3: a quota may refuse.
//! A timeout of 0 or less is refused, as by Kafka; any other is not used: no change here takes long.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::command::{CreatePartitions, MorePartitions};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse,
    create_partitions_request::CreatePartitionsTopic,
    create_partitions_response::CreatePartitionsTopicResult, topic_name,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let forbidden = forbidden(context, &request.topics);
    let (refused, wanted): (Vec<&CreatePartitionsTopic>, Vec<&CreatePartitionsTopic>) =
        request.topics.iter().partition(|topic| forbidden.contains(topic.name.as_str()));
    let topics = wanted.into_iter().map(more_partitions).collect();
    let refused = refused.into_iter().map(|topic| {
        CreatePartitionsTopicResult::default()
            .with_name(topic.name.clone())
            .with_error_code(ErrorCode::TopicAuthorizationFailed.code())
            .with_error_message(None)
    });
    let command = CreatePartitions { topics, validate_only: request.validate_only };
    let results = match super::call_within(context, request.timeout_ms, command).await {
        Ok(results) => results
            .into_iter()
            .map(|(name, verdict)| {
                let (code, message) = super::verdict(&verdict);
                CreatePartitionsTopicResult::default()
                    .with_name(topic_name(name))
                    .with_error_code(code)
                    .with_error_message(message)
            })
            .chain(refused)
            .collect(),
        Err(refusal) => {
            let (code, message) = super::error(&refusal);
            let refused = request.topics.iter().map(|topic| {
                CreatePartitionsTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(code)
                    .with_error_message(message.clone())
            });
            refused.collect()
        }
    };
    CreatePartitionsResponse::default().with_results(results)
}

/// The topics that the client may not alter. One that is named twice, the controller refuses
/// whoever asks.
fn forbidden<'a>(
    context: &RequestContext,
    topics: &'a [CreatePartitionsTopic],
) -> BTreeSet<&'a str> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in topics {
        *times.entry(topic.name.as_str()).or_default() += 1;
    }
    let once = times.into_iter().filter(|(_, times)| *times == 1).map(|(name, _)| name);
    once.filter(|name| !context.may(Operation::Alter, Resource::Topic(name))).collect()
}

fn more_partitions(topic: &CreatePartitionsTopic) -> MorePartitions {
    let assignments = topic.assignments.as_ref().map(|partitions| {
        partitions.iter().map(|assigned| super::broker_ids(&assigned.broker_ids)).collect()
    });
    MorePartitions { name: topic.name.0.to_string(), count: topic.count, assignments }
}
