//! RenewDelegationToken: v1-2.
//!
//! Refused on PLAINTEXT listeners, of which every one here is, as CreateDelegationToken is (Kafka 4.4
//! `KafkaApis.allowTokenRequests`). v2: flexible.

use super::create_delegation_token::NO_TIME;
use crate::protocol::messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    _: &RequestContext,
    _: RenewDelegationTokenRequest,
) -> RenewDelegationTokenResponse {
    RenewDelegationTokenResponse::default()
        .with_error_code(ErrorCode::DelegationTokenRequestNotAllowed.code())
        .with_expiry_timestamp_ms(NO_TIME)
}
