//! SaslAuthenticate: v0-2.
//!
//! Every listener is PLAINTEXT, where a connection counts as authenticated from its start: code and
//! message are those of Kafka 4.4 `KafkaApis.handleSaslAuthenticateRequest`. v1: session lifetimes
//! (KIP-368). v2: flexible.

use crate::protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse, text};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Kafka's message.
const MESSAGE: &str = "SaslAuthenticate request received after successful authentication";

/// Answers.
pub(in crate::server) fn handle(
    _: &RequestContext,
    _: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default()
        .with_error_code(ErrorCode::IllegalSaslState.code())
        .with_error_message(Some(text(MESSAGE)))
}
