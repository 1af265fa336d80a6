//! InitProducerId: v0-5.
//!
//! Gives an idempotent producer its id, and a transactional one its id and epoch, with which
//! earlier producers of the same transactional id are fenced. v2: flexible. v3: the id to keep
//! (KIP-360). v4: PRODUCER_FENCED. v5: TRANSACTION_ABORTABLE. v6, unstable: transactions that never
//! time out (KIP-939); of these, Kafka 4.4 cannot keep one that is prepared, nor can we.

use crate::coordinator::Producer;
use crate::coordinator::transactions::{TransactionCommand, TransactionReply};
use crate::metadata::{Operation, Resource, ResourceKind};
use crate::protocol::declared::{InitProducerIdRequest, InitProducerIdResponse};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let (id, epoch) = (request.producer_id, request.producer_epoch);
    let expected = (id != NO_PRODUCER_ID).then_some(Producer { id, epoch });
    let result = if let Err(code) = may(context, &request) {
        Err(code)
    } else if (id == NO_PRODUCER_ID) != (epoch == NO_PRODUCER_EPOCH) {
        Err(ErrorCode::InvalidRequest)
    } else if let Some(transactional_id) = &request.transactional_id {
        of_transaction(context, transactional_id, &request, expected).await
    } else {
        let next = context.broker.producer_ids.next().await;
        next.map(|id| Producer { id, epoch: 0 })
    };
    let none = Producer { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH };
    let (producer, error) = match result {
        Ok(producer) => (producer, ErrorCode::None),
        // Older clients do not know the newer code.
        Err(ErrorCode::ProducerFenced) if context.version < 4 => {
            (none, ErrorCode::InvalidProducerEpoch)
        }
        Err(error) => (none, error),
    };
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        ..InitProducerIdResponse::default()
    }
}

/// Whoever may write to a topic may do so idempotently (KIP-679).
fn may(context: &RequestContext, request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    match &request.transactional_id {
        Some(id) => {
            let id = Resource::TransactionalId(id);
            context.require(Operation::Write, id)?;
            if request.enable_2pc {
                context.require(Operation::TwoPhaseCommit, id)?;
            }
            Ok(())
        }
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
    request: &InitProducerIdRequest,
    expected: Option<Producer>,
) -> Result<Producer, ErrorCode> {
    let transactions = &context.broker.transactions;
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    if request.enable_2pc && !transactions.has_two_phase_commit() {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if request.keep_prepared_txn {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let (timeout_ms, two_phase) = (request.transaction_timeout_ms, request.enable_2pc);
    let command = |fresh| TransactionCommand::InitProducerId {
        id: transactional_id.to_owned(),
        timeout_ms,
        two_phase,
        expected,
        fresh,
    };
    match transactions.ask(transactional_id, command).await? {
        TransactionReply::Producer(producer) => Ok(producer),
        _ => Err(ErrorCode::UnknownServerError),
    }
}
