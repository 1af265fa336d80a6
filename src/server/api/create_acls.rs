//! CreateAcls: v1-3.
//!
//! Access control entries are created (KIP-140). v1: prefixed patterns (KIP-290). v2: flexible. v3:
//! user resources (KIP-373).
//! Without an authorizer nobody would heed them, and this says so, as Kafka does.
//! Differs from Kafka: a number without a meaning is an error of its entry and does not end the
//! connection.

use crate::controller::command::{Acl, CreateAcls, Refusal, Verdict};
use crate::metadata::authorizer::CLUSTER_NAME;
use crate::metadata::{Operation, ResourceKind};
use crate::protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, create_acls_request::AclCreation,
    create_acls_response::AclCreationResult,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let verdicts = match create(context, &request.creations).await {
        Ok(verdicts) => verdicts,
        Err(refusal) => vec![Err(refusal); request.creations.len()],
    };
    let results = verdicts.iter().map(|verdict| {
        let (code, message) = super::verdict(verdict);
        AclCreationResult::default().with_error_code(code).with_error_message(message)
    });
    CreateAclsResponse::default().with_results(results.collect())
}

async fn create(
    context: &RequestContext,
    creations: &[AclCreation],
) -> Result<Vec<Verdict>, Refusal> {
    context.require_on_cluster(Operation::Alter)?;
    if context.authorizer().is_none() {
        let message = "No Authorizer is configured.";
        return Err(Refusal::new(ErrorCode::SecurityDisabled, message));
    }
    let checked: Vec<Verdict> = creations.iter().map(check).collect();
    let sound = creations.iter().zip(&checked).filter(|(_, verdict)| verdict.is_ok());
    let acls: Vec<Acl> = sound.map(|(creation, _)| acl(creation)).collect();
    if acls.is_empty() {
        return Ok(checked);
    }
    let mut created = context.broker.controller.call(CreateAcls { acls }).await?.into_iter();
    Ok(checked
        .into_iter()
        .map(|checked| checked.and_then(|()| created.next().unwrap_or(Ok(()))))
        .collect())
}

/// What the broker checks itself (Kafka 4.4 `AclApis`).
fn check(creation: &AclCreation) -> Verdict {
    if creation.resource_type == ResourceKind::Cluster as i8
        && *creation.resource_name != *CLUSTER_NAME
    {
        return Err(invalid(format!(
            "The only valid name for the CLUSTER resource is {CLUSTER_NAME}"
        )));
    }
    if creation.resource_name.is_empty() {
        return Err(invalid("Invalid empty resource name"));
    }
    Ok(())
}

fn acl(creation: &AclCreation) -> Acl {
    Acl {
        resource_type: creation.resource_type,
        resource_name: creation.resource_name.to_string(),
        pattern_type: creation.resource_pattern_type,
        principal: creation.principal.to_string(),
        host: creation.host.to_string(),
        operation: creation.operation,
        permission: creation.permission_type,
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}
