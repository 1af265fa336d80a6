//! DescribeTransactions: v0.
//!
//! What the coordinator knows of transactional ids (KIP-664).

use crate::coordinator::transactions::{TransactionCommand, TransactionReply};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    self, DescribeTransactionsRequest, DescribeTransactionsResponse, TopicName,
    describe_transactions_response::{TopicData, TransactionState},
    text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let mut states = Vec::new();
    for id in request.transactional_ids {
        let may = context.require(Operation::Describe, Resource::TransactionalId(&id.0));
        let answer = if let Err(code) = may {
            Err(code)
        } else if id.0.is_empty() {
            Err(ErrorCode::InvalidRequest)
        } else {
            let command = |_| TransactionCommand::Describe { id: id.0.to_string() };
            context.broker.transactions.ask(&id.0, command).await
        };
        let state = TransactionState::default().with_transactional_id(id);
        states.push(match answer {
            Ok(TransactionReply::Described(found)) => {
                let seen = found
                    .partitions
                    .into_iter()
                    .filter(|(topic, _)| context.may(Operation::Describe, Resource::Topic(topic)));
                let topics = seen.map(|(topic, indexes)| {
                    TopicData::default()
                        .with_topic(TopicName(text(topic)))
                        .with_partitions(indexes.into_iter().collect())
                });
                state
                    .with_transaction_state(text(found.state.name()))
                    .with_transaction_timeout_ms(found.timeout_ms)
                    .with_transaction_start_time_ms(found.started.0)
                    .with_producer_id(messages::ProducerId(found.producer_id))
                    .with_producer_epoch(found.epoch)
                    .with_topics(topics.collect())
            }
            Ok(_) => state.with_error_code(ErrorCode::UnknownServerError.code()),
            Err(code) => state.with_error_code(code.code()),
        });
    }
    DescribeTransactionsResponse::default().with_transaction_states(states)
}
