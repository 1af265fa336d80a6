//! UnregisterBroker: v0.
//!
//! A broker that will not come back is forgotten (KIP-631).

use crate::controller::command::UnregisterBroker;
use crate::metadata::Operation;
use crate::protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let command = UnregisterBroker { broker_id: request.broker_id.0 };
    match context.call_on_cluster(Operation::Alter, command).await {
        Ok(()) => UnregisterBrokerResponse::default(),
        Err(refusal) => {
            let (code, message) = super::error(&refusal);
            UnregisterBrokerResponse::default().with_error_code(code).with_error_message(message)
        }
    }
}
