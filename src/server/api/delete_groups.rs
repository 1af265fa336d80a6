//! DeleteGroups: v0-3.
//!
//! v2: flexible. v3: messages beside the codes, which Kafka 4.4 has for no group of a kind that is
//! served here.

use crate::coordinator::groups::command::GroupCommand;
use crate::metadata::{Operation, Resource};
use crate::protocol::declared::{DeletableGroupResult, DeleteGroupsResponse};
use crate::protocol::messages::DeleteGroupsRequest;
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for name in &request.groups_names {
        let command = GroupCommand::Delete(name.0.to_string());
        let asked = match context.require(Operation::Delete, Resource::Group(&name.0)) {
            Ok(()) => super::groups::ask(context, &name.0, command).await,
            Err(code) => Err(code),
        };
        let error = match asked {
            Ok(_) => ErrorCode::None,
            Err(ErrorCode::RecordListTooLarge) => ErrorCode::UnknownServerError,
            Err(error) => error,
        };
        results.push(DeletableGroupResult {
            group_id: name.0.to_string(),
            error_code: error.code(),
            error_message: None,
        });
    }
    DeleteGroupsResponse { throttle_time_ms: 0, results }
}
