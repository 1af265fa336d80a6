//! ListTransactions: v0-2.
//!
//! The transactional ids whose coordinator is here (KIP-664). v1: only those open for longer
//! (KIP-994). v2: only those whose id matches a pattern (KIP-1152).

use crate::coordinator::transactions::{
    TransactionCommand, TransactionFilter, TransactionReply, TransactionState,
};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    self, ListTransactionsRequest, ListTransactionsResponse, TransactionalId,
    list_transactions_response::TransactionState as ListedTransaction, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// States that Kafka knows and that are never listed: they only last for a moment there.
const PASSING: [&str; 2] = ["Dead", "PrepareEpochFence"];

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let response = ListTransactionsResponse::default();
    let pattern = request.transactional_id_pattern.filter(|pattern| !pattern.is_empty());
    // The whole id must match, as in Java.
    let pattern = match pattern.map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$"))) {
        Some(Err(_)) => {
            return response.with_error_code(ErrorCode::InvalidRegularExpression.code());
        }
        Some(Ok(pattern)) => Some(pattern),
        None => None,
    };
    let (mut states, mut unknown) = (Vec::new(), Vec::new());
    let filters_states = !request.state_filters.is_empty();
    for name in request.state_filters {
        match TransactionState::ALL.into_iter().find(|state| state.name() == &*name) {
            Some(state) => states.push(state),
            None if PASSING.contains(&&*name) => {}
            None => unknown.push(name),
        }
    }
    states.sort_unstable();
    states.dedup();
    let filter = TransactionFilter {
        producer_ids: request.producer_id_filters.iter().map(|id| id.0).collect(),
        states: filters_states.then_some(states),
        longer_than_ms: if context.version >= 1 { request.duration_filter } else { -1 },
    };
    let mut found = Vec::new();
    for partition in context.broker.transactions.here() {
        let command = TransactionCommand::List { filter: filter.clone() };
        match context.broker.transactions.ask_partition(partition, command).await {
            Ok(TransactionReply::Listed(listed)) => found.extend(listed),
            Err(ErrorCode::CoordinatorLoadInProgress) => {
                return response.with_error_code(ErrorCode::CoordinatorLoadInProgress.code());
            }
            // Given up meanwhile: whoever has it now lists it.
            _ => {}
        }
    }
    let listed = found
        .into_iter()
        .filter(|listed| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&listed.id)))
        .filter(|listed| context.may(Operation::Describe, Resource::TransactionalId(&listed.id)))
        .map(|listed| {
            ListedTransaction::default()
                .with_transactional_id(TransactionalId(text(listed.id)))
                .with_producer_id(messages::ProducerId(listed.producer_id))
                .with_transaction_state(text(listed.state.name()))
        });
    response.with_unknown_state_filters(unknown).with_transaction_states(listed.collect())
}
