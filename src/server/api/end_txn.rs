//! EndTxn: v0-5.
//!
//! Commits or aborts a transaction. v2: PRODUCER_FENCED. v3: flexible. v5: the epoch is bumped, and
//! the answer says to what (KIP-890).

use crate::coordinator::transactions::{TransactionCommand, TransactionReply};
use crate::coordinator::{Outcome, Producer};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{self, EndTxnRequest, EndTxnResponse};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: EndTxnRequest,
) -> EndTxnResponse {
    let id = request.transactional_id.0.to_string();
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let outcome = if request.committed { Outcome::Committed } else { Outcome::Aborted };
    let client_version = if context.version >= 5 { 2 } else { 0 };
    let answer =
        if let Err(code) = context.require(Operation::Write, Resource::TransactionalId(&id)) {
            Err(code)
        } else if id.is_empty() {
            Err(ErrorCode::InvalidRequest)
        } else {
            let command = |fresh| TransactionCommand::End {
                id: id.clone(),
                producer,
                outcome,
                client_version,
                fresh,
            };
            context.broker.transactions.ask(&id, command).await
        };
    let response = EndTxnResponse::default();
    match answer {
        Ok(TransactionReply::Producer(next)) if context.version >= 5 => {
            response.with_producer_id(messages::ProducerId(next.id)).with_producer_epoch(next.epoch)
        }
        Ok(_) => response,
        Err(ErrorCode::ProducerFenced) if context.version < 2 => {
            response.with_error_code(ErrorCode::InvalidProducerEpoch.code())
        }
        Err(code) => response.with_error_code(code.code()),
    }
}
