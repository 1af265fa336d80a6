//! SaslHandshake: v0-1.
//!
//! Every listener is PLAINTEXT, so no SASL exchange can begin: ILLEGAL_SASL_STATE, as Kafka 4.4
//! `KafkaApis.handleSaslHandshakeRequest` answers. A client that is set up for SASL reports it, and
//! clients that infer the broker's release from the advertised APIs find this one.

use crate::protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    _: &RequestContext,
    _: SaslHandshakeRequest,
) -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ErrorCode::IllegalSaslState.code())
}
