//! DeleteGroups: v0-3.
//!
//! v2: flexible. v3: messages beside the codes, which Kafka 4.4 has for no group of a kind that is
//! served here.

use std::collections::BTreeSet;

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
    let mut results = Vec::new();
    let mut answered = BTreeSet::new();
    for name in &request.groups_names {
        // A group that is named twice is deleted and answered once.
        if !answered.insert(&name.0) {
            continue;
        }
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
