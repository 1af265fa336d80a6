//! JoinGroup: v0-9.
//!
//! The answer comes when the members of the group are known. v1: the rebalance timeout is apart
//! from the session's. v4: a fresh member is given its id first (KIP-394). v5: static members
//! (KIP-345). v6: flexible. v8: a reason (KIP-800). v9: the assignment may be skipped (KIP-814).

use crate::coordinator::groups::command::{GroupCommand, GroupReply, JoinGroup, Joined};
use crate::protocol::messages::{
    JoinGroupRequest, JoinGroupResponse, join_group_response::JoinGroupResponseMember, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let version = context.version;
    let member_id = request.member_id.to_string();
    if let Some(reason) = &request.reason {
        tracing::debug!(group = %request.group_id.0, member = %member_id, %reason, "a member joins");
    }
    let protocols = request.protocols.iter();
    let asked = JoinGroup {
        member: super::groups::member(
            &request.group_id.0,
            &member_id,
            request.group_instance_id.as_ref(),
            -1,
        ),
        client_id: context.client_id.to_string(),
        client_host: format!("/{}", context.peer.ip()),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.map(|p| (p.name.to_string(), p.metadata.clone())).collect(),
        requires_known_member_id: version >= 4,
        can_skip_assignment: version >= 9,
        fresh_id: hyphenated(context.broker.env.random.uuid()),
        topic_filter: context.topic_filter(),
    };
    let command = GroupCommand::Join(Box::new(asked));
    let group = &request.group_id.0;
    let joined = match super::groups::ask_as_member(context, group, command).await {
        Ok(GroupReply::Join(joined)) => joined,
        Ok(_) => Joined::failed(&member_id, ErrorCode::UnknownServerError),
        Err(error) => Joined::failed(&member_id, error),
    };
    let members = joined.members.into_iter().map(|(id, instance, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(instance.filter(|_| version >= 5).map(text))
            .with_metadata(metadata)
    });
    // Before version 7 the name of the protocol may not be missing.
    let protocol_name = match joined.protocol_name {
        None if version < 7 => Some(String::new()),
        name => name,
    };
    JoinGroupResponse::default()
        .with_error_code(joined.error.unwrap_or(ErrorCode::None).code())
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.filter(|_| version >= 7).map(text))
        .with_protocol_name(protocol_name.map(text))
        .with_leader(text(joined.leader))
        .with_skip_assignment(joined.skip_assignment && version >= 9)
        .with_member_id(text(joined.member_id))
        .with_members(members.collect())
}

/// An id as Java writes one.
pub(super) fn hyphenated(id: crate::types::Uuid) -> String {
    crate::protocol::messages::wire_uuid(id).to_string()
}
