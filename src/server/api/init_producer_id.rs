//! InitProducerId: v0-5.
//!
//! Gives an idempotent producer its id, and a transactional one its id and epoch, with which
//! earlier producers of the same transactional id are fenced. v2: flexible. v3: the id to keep
//! (KIP-360). v4: PRODUCER_FENCED. v5: TRANSACTION_ABORTABLE.

use crate::coordinator::Producer;
use crate::coordinator::transactions::{Command, Reply};
use crate::metadata::{Operation, Resource, ResourceKind};
use crate::protocol::messages::{self, InitProducerIdRequest, InitProducerIdResponse};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let (id, epoch) = (request.producer_id.0, request.producer_epoch);
    let expected = (id != NO_PRODUCER_ID).then_some(Producer { id, epoch });
    let result = if let Err(code) = may(context, &request) {
        Err(code)
    } else if (id == NO_PRODUCER_ID) != (epoch == NO_PRODUCER_EPOCH) {
        Err(ErrorCode::InvalidRequest)
    } else if let Some(transactional_id) = &request.transactional_id {
        let timeout_ms = request.transaction_timeout_ms;
        of_transaction(context, &transactional_id.0, timeout_ms, expected).await
    } else {
        let next = context.broker.producer_ids.next(context.broker.controller.clone()).await;
        next.map(|id| Producer { id, epoch: 0 })
    };
    match result {
        Ok(producer) => InitProducerIdResponse::default()
            .with_producer_id(messages::ProducerId(producer.id))
            .with_producer_epoch(producer.epoch),
        Err(error) => {
            // Older clients do not know the newer code.
            let error = match error {
                ErrorCode::ProducerFenced if context.version < 4 => ErrorCode::InvalidProducerEpoch,
                error => error,
            };
            InitProducerIdResponse::default()
                .with_error_code(error.code())
                .with_producer_id(messages::ProducerId(NO_PRODUCER_ID))
                .with_producer_epoch(NO_PRODUCER_EPOCH)
        }
    }
}

/// Whoever may write to a topic may do so idempotently (KIP-679).
fn may(context: &RequestContext, request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    match &request.transactional_id {
        Some(id) => context.require(Operation::Write, Resource::TransactionalId(&id.0)),
        None if context.may_quietly(Operation::IdempotentWrite, Resource::Cluster)
            || context.may_with_any(Operation::Write, ResourceKind::Topic) =>
        {
            Ok(())
        }
        None => Err(ErrorCode::ClusterAuthorizationFailed),
    }
}

async fn of_transaction(
    context: &RequestContext,
    transactional_id: &str,
    timeout_ms: i32,
    expected: Option<Producer>,
) -> Result<Producer, ErrorCode> {
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let command = |fresh| Command::InitProducerId {
        id: transactional_id.to_owned(),
        timeout_ms,
        expected,
        fresh,
    };
    match context.broker.transactions.ask(transactional_id, command).await? {
        Reply::Producer(producer) => Ok(producer),
        _ => Err(ErrorCode::UnknownServerError),
    }
}
