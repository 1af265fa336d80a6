//! DescribeAcls: v1-3.
//!
//! The access control entries that fit a filter (KIP-140). v1: prefixed patterns (KIP-290). v2:
//! flexible. v3: user resources (KIP-373).
//! Without an authorizer there is nothing to describe, and this says so, as Kafka does.

use std::collections::BTreeMap;

use crate::controller::command::{AclFilter, Refusal};
use crate::metadata::{Acls, Operation};
use crate::protocol::messages::{
    DescribeAclsRequest, DescribeAclsResponse,
    describe_acls_response::{AclDescription, DescribeAclsResource},
    text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    let response = DescribeAclsResponse::default().with_error_message(None);
    match may_describe(context).and_then(|()| filter(&request)) {
        Ok(filter) => response.with_resources(matching(&context.image.acls, &filter)),
        Err(refusal) => {
            let (code, message) = super::error(&refusal);
            response.with_error_code(code).with_error_message(message)
        }
    }
}

fn may_describe(context: &RequestContext) -> Result<(), Refusal> {
    context.require_on_cluster(Operation::Describe)?;
    if context.authorizer().is_some() {
        return Ok(());
    }
    let message = "No Authorizer is configured on the broker";
    Err(Refusal::new(ErrorCode::SecurityDisabled, message))
}

fn filter(request: &DescribeAclsRequest) -> Result<AclFilter, Refusal> {
    let filter = AclFilter {
        resource_type: request.resource_type_filter,
        resource_name: request.resource_name_filter.as_ref().map(ToString::to_string),
        pattern_type: request.pattern_type_filter,
        principal: request.principal_filter.as_ref().map(ToString::to_string),
        host: request.host_filter.as_ref().map(ToString::to_string),
        operation: request.operation,
        permission: request.permission_type,
    };
    filter.check().map(|()| filter)
}

/// The entries, pattern by pattern.
fn matching(acls: &Acls, filter: &AclFilter) -> Vec<DescribeAclsResource> {
    let mut resources: BTreeMap<(i8, &str, i8), Vec<AclDescription>> = BTreeMap::new();
    for record in acls.records_by_pattern().filter(|record| filter.matches(record)) {
        let pattern = (record.resource_type, record.resource_name.as_str(), record.pattern_type);
        resources.entry(pattern).or_default().push(
            AclDescription::default()
                .with_principal(text(&*record.principal))
                .with_host(text(&*record.host))
                .with_operation(record.operation)
                .with_permission_type(record.permission_type),
        );
    }
    let resources = resources.into_iter().map(|((resource_type, name, pattern_type), acls)| {
        DescribeAclsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_pattern_type(pattern_type)
            .with_acls(acls)
    });
    resources.collect()
}
