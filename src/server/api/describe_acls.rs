//! DescribeAcls: v1-3.
//!
//! The access control entries that fit a filter (KIP-140). v1: prefixed patterns (KIP-290). v2:
//! flexible. v3: user resources (KIP-373).
//! Without an authorizer there is nothing to describe, and this says so, as Kafka does.

use crate::protocol::messages::{DescribeAclsRequest, DescribeAclsResponse, text};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    _context: &RequestContext,
    _request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(text("No Authorizer is configured on the broker")))
}
