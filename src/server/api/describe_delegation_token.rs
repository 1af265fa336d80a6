//! DescribeDelegationToken: v1-3.
//!
//! Refused on PLAINTEXT listeners, of which every one here is, as CreateDelegationToken is (Kafka 4.4
//! `KafkaApis.allowTokenRequests`). v2: flexible. v3: who asked for a token (KIP-373).
//! Differs from Kafka: a controller's listener answers too, where Kafka advertises it and fails.

use crate::protocol::messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    _: &RequestContext,
    _: DescribeDelegationTokenRequest,
) -> DescribeDelegationTokenResponse {
    DescribeDelegationTokenResponse::default()
        .with_error_code(ErrorCode::DelegationTokenRequestNotAllowed.code())
}
