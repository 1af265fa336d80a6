//! SyncGroup: v0-5.
//!
//! Gives a member its assignment, when the leader has made it. v3: static members (KIP-345). v4:
//! flexible. v5: protocol type and name are checked (KIP-559).

use crate::coordinator::groups::command::{GroupCommand, GroupReply, SyncGroup};
use crate::protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let group = request.group_id.0.to_string();
    let missing = request.protocol_type.is_none() || request.protocol_name.is_none();
    if context.version >= 5 && missing {
        return refused(ErrorCode::InconsistentGroupProtocol);
    }
    let instance = request.group_instance_id.as_ref();
    let member = super::groups::member(&group, &request.member_id, instance, request.generation_id);
    let assignments = request.assignments.into_iter();
    let command = GroupCommand::Sync(SyncGroup {
        member,
        protocol_type: request.protocol_type.map(|kind| kind.to_string()),
        protocol_name: request.protocol_name.map(|name| name.to_string()),
        assignments: assignments.map(|a| (a.member_id.to_string(), a.assignment)).collect(),
    });
    match super::groups::ask_as_member(context, &group, command).await {
        Ok(GroupReply::Sync(synced)) => {
            let maybe = |said: &Option<String>| {
                super::groups::maybe(said.as_ref().filter(|_| context.version >= 5))
            };
            SyncGroupResponse::default()
                .with_protocol_type(maybe(&synced.protocol_type))
                .with_protocol_name(maybe(&synced.protocol_name))
                .with_assignment(synced.assignment)
        }
        Ok(_) => refused(ErrorCode::UnknownServerError),
        Err(ErrorCode::RecordListTooLarge) => refused(ErrorCode::UnknownServerError),
        Err(error) => refused(error),
    }
}

fn refused(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(error.code())
}
