//! DescribeGroups: v0-6.
//!
//! v3: authorized operations. v4: static members. v5: flexible. v6: a group that does not exist is
//! an error (KIP-1043); before, it is "Dead".

use crate::coordinator::groups::command::{DescribedGroup, GroupCommand, GroupReply};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    describe_groups_response::{DescribedGroup as HeartbeatReply, DescribedGroupMember},
    text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Operations were not asked for.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let with_operations = context.version >= 3 && request.include_authorized_operations;
    let operations = |group: &str| {
        if with_operations { context.operations(Resource::Group(group)) } else { NO_OPERATIONS }
    };
    let mut groups = Vec::with_capacity(request.groups.len());
    for name in &request.groups {
        let command = GroupCommand::Describe(name.0.to_string());
        let told = HeartbeatReply::default().with_group_id(GroupId(text(name.0.as_str())));
        let asked = match context.require(Operation::Describe, Resource::Group(&name.0)) {
            Ok(()) => super::groups::ask(context, &name.0, command).await,
            Err(code) => Err(code),
        };
        groups.push(match asked {
            Ok(GroupReply::Described(group)) => {
                describe(told, group).with_authorized_operations(operations(&name.0))
            }
            Err(ErrorCode::GroupIdNotFound) => {
                let dead = told.with_group_state(text("Dead"));
                if context.version < 6 {
                    dead.with_authorized_operations(operations(&name.0))
                } else {
                    dead.with_error_code(ErrorCode::GroupIdNotFound.code())
                        .with_error_message(Some(text(format!("Group {} not found.", name.0))))
                }
            }
            Ok(GroupReply::OfOtherKind) => {
                let dead = told.with_group_state(text("Dead"));
                if context.version < 6 {
                    dead.with_authorized_operations(operations(&name.0))
                } else {
                    let message = format!("Group {} is not a classic group.", name.0);
                    dead.with_error_code(ErrorCode::GroupIdNotFound.code())
                        .with_error_message(Some(text(message)))
                }
            }
            Ok(_) => told.with_error_code(ErrorCode::UnknownServerError.code()),
            Err(error) => told.with_error_code(error.code()),
        });
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

fn describe(told: HeartbeatReply, group: DescribedGroup) -> HeartbeatReply {
    let members = group.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.instance_id.map(text))
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    told.with_group_state(text(group.state))
        .with_protocol_type(text(group.protocol_type))
        .with_protocol_data(text(group.protocol))
        .with_members(members.collect())
}
