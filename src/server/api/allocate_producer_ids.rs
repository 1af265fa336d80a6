//! AllocateProducerIds: v0 (KIP-730).

use crate::controller::command::AllocateProducerIds;
use crate::metadata::Operation;
use crate::protocol::messages::{self, AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AllocateProducerIdsRequest,
) -> AllocateProducerIdsResponse {
    let command =
        AllocateProducerIds { broker_id: request.broker_id.0, broker_epoch: request.broker_epoch };
    match context.call_on_cluster(Operation::ClusterAction, command).await {
        Ok(block) => AllocateProducerIdsResponse::default()
            .with_producer_id_start(messages::ProducerId(block.first))
            .with_producer_id_len(block.len),
        Err(refusal) => AllocateProducerIdsResponse::default().with_error_code(refusal.code.code()),
    }
}
