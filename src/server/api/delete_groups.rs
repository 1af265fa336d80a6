//! DeleteGroups: v0-2.
//!
//! v2: flexible.
//! Differs from Kafka: version 3, with messages beside the codes, is not served yet.

use crate::coordinator::groups::command::GroupCommand;
use crate::protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, GroupId,
    delete_groups_response::DeletableGroupResult, text,
};
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
        let error = match super::groups::ask(context, &name.0, command).await {
            Ok(_) => ErrorCode::None,
            Err(ErrorCode::RecordListTooLarge) => ErrorCode::UnknownServerError,
            Err(error) => error,
        };
        let result = DeletableGroupResult::default()
            .with_group_id(GroupId(text(name.0.as_str())))
            .with_error_code(error.code());
        results.push(result);
    }
    DeleteGroupsResponse::default().with_results(results)
}
