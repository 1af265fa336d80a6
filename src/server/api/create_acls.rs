//! CreateAcls: v1-3.
//!
//! Access control entries are created (KIP-140). v1: prefixed patterns (KIP-290). v2: flexible. v3:
//! user resources (KIP-373).
//! Without an authorizer nobody would heed them, and this says so, as Kafka does.

use crate::protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, create_acls_response::AclCreationResult, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    _context: &RequestContext,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let refused = AclCreationResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(text("No Authorizer is configured.")));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}
