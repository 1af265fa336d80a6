//! CreateDelegationToken: v1-3.
//!
//! Tokens are given to authenticated clients only (KIP-48). Every listener is PLAINTEXT, so every
//! request is refused with DELEGATION_TOKEN_REQUEST_NOT_ALLOWED (Kafka 4.4
//! `KafkaApis.allowTokenRequests`). v2: flexible. v3: a token for another owner (KIP-373).

use crate::protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, StrBytes, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// In place of a time in an error.
pub(super) const NO_TIME: i64 = -1;

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: CreateDelegationTokenRequest,
) -> CreateDelegationTokenResponse {
    let requester = context.principal.as_str();
    let (kind, name) = requester.split_once(':').unwrap_or(("User", requester));
    let requester = (text(kind), text(name));
    let owner = owner(&request).unwrap_or_else(|| requester.clone());
    let response = CreateDelegationTokenResponse::default()
        .with_error_code(ErrorCode::DelegationTokenRequestNotAllowed.code())
        .with_principal_type(owner.0)
        .with_principal_name(owner.1)
        .with_issue_timestamp_ms(NO_TIME)
        .with_expiry_timestamp_ms(NO_TIME)
        .with_max_timestamp_ms(NO_TIME);
    if context.version < 3 {
        return response;
    }
    response
        .with_token_requester_principal_type(requester.0)
        .with_token_requester_principal_name(requester.1)
}

/// The owner that a request names, if it is not the requester.
fn owner(request: &CreateDelegationTokenRequest) -> Option<(StrBytes, StrBytes)> {
    let name = request.owner_principal_name.clone().filter(|name| !name.is_empty())?;
    Some((request.owner_principal_type.clone().unwrap_or_default(), name))
}
