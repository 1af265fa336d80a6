//! DeleteAcls: v1-3.
//!
//! The access control entries that fit filters are deleted (KIP-140). v1: prefixed patterns
//! (KIP-290). v2: flexible. v3: user resources (KIP-373).
//! Without an authorizer nobody would heed it, and this says so, as Kafka does.

use crate::protocol::messages::{
    DeleteAclsRequest, DeleteAclsResponse, delete_acls_response::DeleteAclsFilterResult, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    _context: &RequestContext,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(text("No Authorizer is configured.")));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}
