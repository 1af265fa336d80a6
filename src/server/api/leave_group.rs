//! LeaveGroup: v0-5.
//!
//! v3: several members, by instance too (KIP-345). v4: flexible. v5: a reason (KIP-800).

use crate::coordinator::groups::command::{GroupCommand, GroupReply, LeaveGroup, LeavingMember};
use crate::protocol::messages::{
    LeaveGroupRequest, LeaveGroupResponse, leave_group_response::MemberResponse, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let group = request.group_id.0.to_string();
    let members = if context.version < 3 {
        let member_id = request.member_id.to_string();
        vec![LeavingMember { member_id, instance_id: None }]
    } else {
        let named = request.members.iter().map(|member| LeavingMember {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
        });
        named.collect()
    };
    let command = GroupCommand::Leave(LeaveGroup { group: group.clone(), members });
    let response = LeaveGroupResponse::default();
    match super::groups::ask_as_member(context, &group, command).await {
        Ok(GroupReply::Left(left)) if context.version < 3 => {
            let error = left.first().map_or(ErrorCode::None, |(_, error)| *error);
            response.with_error_code(error.code())
        }
        Ok(GroupReply::Left(left)) => {
            let told = left.into_iter().map(|(member, error)| {
                MemberResponse::default()
                    .with_member_id(text(member.member_id))
                    .with_group_instance_id(member.instance_id.map(text))
                    .with_error_code(error.code())
            });
            response.with_members(told.collect())
        }
        Ok(_) => response.with_error_code(ErrorCode::UnknownServerError.code()),
        // There is no such group, and so none of these members.
        Err(error @ ErrorCode::UnknownMemberId) if context.version >= 3 => {
            let told = request.members.into_iter().map(|member| {
                MemberResponse::default()
                    .with_member_id(member.member_id)
                    .with_group_instance_id(member.group_instance_id)
                    .with_error_code(error.code())
            });
            response.with_members(told.collect())
        }
        Err(error) => response.with_error_code(error.code()),
    }
}
