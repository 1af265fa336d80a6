//! DeleteAcls: v1-3.
//!
//! The access control entries that fit filters are deleted (KIP-140). v1: prefixed patterns
//! (KIP-290). v2: flexible. v3: user resources (KIP-373).
//! Without an authorizer nobody would heed it, and this says so, as Kafka does.
//! Differs from Kafka: a number without a meaning is an error of its filter and does not end the
//! connection.

use crate::controller::command::{Acl, AclFilter, DeleteAcls, Refusal};
use crate::metadata::Operation;
use crate::protocol::messages::{
    DeleteAclsRequest, DeleteAclsResponse,
    delete_acls_request::DeleteAclsFilter,
    delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl},
    text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let results = match delete(context, &request.filters).await {
        Ok(results) => results,
        Err(refusal) => vec![Err(refusal); request.filters.len()],
    };
    let results = results.iter().map(|result| match result {
        Ok(deleted) => DeleteAclsFilterResult::default()
            .with_error_message(None)
            .with_matching_acls(deleted.iter().map(matching).collect()),
        Err(refusal) => {
            let (code, message) = super::error(refusal);
            DeleteAclsFilterResult::default().with_error_code(code).with_error_message(message)
        }
    });
    DeleteAclsResponse::default().with_filter_results(results.collect())
}

async fn delete(
    context: &RequestContext,
    filters: &[DeleteAclsFilter],
) -> Result<Vec<Result<Vec<Acl>, Refusal>>, Refusal> {
    context.require_on_cluster(Operation::Alter)?;
    if context.authorizer().is_none() {
        let message = "No Authorizer is configured.";
        return Err(Refusal::new(ErrorCode::SecurityDisabled, message));
    }
    let filters = filters.iter().map(filter).collect();
    context.broker.controller.call(DeleteAcls { filters }).await
}

fn filter(filter: &DeleteAclsFilter) -> AclFilter {
    AclFilter {
        resource_type: filter.resource_type_filter,
        resource_name: filter.resource_name_filter.as_ref().map(ToString::to_string),
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter.as_ref().map(ToString::to_string),
        host: filter.host_filter.as_ref().map(ToString::to_string),
        operation: filter.operation,
        permission: filter.permission_type,
    }
}

fn matching(acl: &Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(acl.resource_type)
        .with_resource_name(text(&*acl.resource_name))
        .with_pattern_type(acl.pattern_type)
        .with_principal(text(&*acl.principal))
        .with_host(text(&*acl.host))
        .with_operation(acl.operation)
        .with_permission_type(acl.permission)
}
