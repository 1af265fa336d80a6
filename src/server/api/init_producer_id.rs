//! InitProducerId: v0-5.
//!
//! Gives an idempotent producer its id. v2: flexible. v3: the id to keep (KIP-360). v4, v5: other
//! error codes.
//! Not yet: transactional ids, which need a transaction coordinator.

use crate::protocol::messages::{self, InitProducerIdRequest, InitProducerIdResponse};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let result = match &request.transactional_id {
        Some(id) if id.0.is_empty() => Err(ErrorCode::InvalidRequest),
        Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
        None => context.broker.producer_ids.next(context.broker.controller.clone()).await,
    };
    match result {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(messages::ProducerId(id))
            .with_producer_epoch(0),
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(messages::ProducerId(NO_PRODUCER_ID))
            .with_producer_epoch(NO_PRODUCER_EPOCH),
    }
}
