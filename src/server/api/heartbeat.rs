//! Heartbeat: v0-4.
//!
//! A member of a classic group is alive. v3: static members (KIP-345). v4: flexible.

use crate::coordinator::groups::command::GroupCommand;
use crate::protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let group = &request.group_id.0;
    let instance = request.group_instance_id.as_ref();
    let member = super::groups::member(group, &request.member_id, instance, request.generation_id);
    let command = GroupCommand::Heartbeat(member);
    let error = match super::groups::ask_as_member(context, group, command).await {
        // Whoever loads knows nothing yet, and fails nobody for it.
        Ok(_) | Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
        Err(error) => error,
    };
    HeartbeatResponse::default().with_error_code(error.code())
}
