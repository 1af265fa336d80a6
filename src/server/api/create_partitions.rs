//! CreatePartitions: v0-3.
//!
//! Topics get more partitions (KIP-195). v2: flexible. v3: a quota may refuse.
//! Differs from Kafka: the timeout is not looked at, since nothing here waits for another node.

use crate::controller::command::{CreatePartitions, MorePartitions};
use crate::protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse,
    create_partitions_request::CreatePartitionsTopic,
    create_partitions_response::CreatePartitionsTopicResult, topic_name,
};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let topics = request.topics.iter().map(more_partitions).collect();
    let command = CreatePartitions { topics, validate_only: request.validate_only };
    let results = match context.broker.controller.call(command).await {
        Ok(results) => results
            .into_iter()
            .map(|(name, verdict)| {
                let (code, message) = super::verdict(&verdict);
                CreatePartitionsTopicResult::default()
                    .with_name(topic_name(name))
                    .with_error_code(code)
                    .with_error_message(message)
            })
            .collect(),
        Err(refusal) => {
            let (code, message) = super::error(&refusal);
            let refused = request.topics.into_iter().map(|topic| {
                CreatePartitionsTopicResult::default()
                    .with_name(topic.name)
                    .with_error_code(code)
                    .with_error_message(message.clone())
            });
            refused.collect()
        }
    };
    CreatePartitionsResponse::default().with_results(results)
}

fn more_partitions(topic: &CreatePartitionsTopic) -> MorePartitions {
    let assignments = topic.assignments.as_ref().map(|partitions| {
        partitions.iter().map(|assigned| super::broker_ids(&assigned.broker_ids)).collect()
    });
    MorePartitions { name: topic.name.0.to_string(), count: topic.count, assignments }
}
