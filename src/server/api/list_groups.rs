//! ListGroups: v0-5.
//!
//! v3: flexible. v4: by state (KIP-518). v5: by type (KIP-848).

use crate::coordinator::groups::command::{GroupCommand, GroupReply};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    GroupId, ListGroupsRequest, ListGroupsResponse, StrBytes, list_groups_response::ListedGroup,
    text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers: the groups whose coordinators are here.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let coordinators = &context.broker.groups;
    let wanted = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let may_all = context.may_quietly(Operation::Describe, Resource::Cluster);
    let may_see =
        |group: &str| may_all || context.may_quietly(Operation::Describe, Resource::Group(group));
    let mut groups = Vec::new();
    for partition in coordinators.partitions() {
        let listed = match coordinators.call(partition, GroupCommand::List).await {
            Ok(GroupReply::Listed(listed)) => listed,
            Ok(_) => continue,
            // It has gone elsewhere meanwhile, and so have its groups.
            Err(ErrorCode::NotCoordinator) => continue,
            Err(error) => return ListGroupsResponse::default().with_error_code(error.code()),
        };
        for group in listed {
            let is_wanted = wanted(&request.states_filter, group.state)
                && wanted(&request.types_filter, group.kind)
                && may_see(&group.group);
            if is_wanted {
                let state = if context.version >= 4 { group.state } else { "" };
                let kind = if context.version >= 5 { group.kind } else { "" };
                let told = ListedGroup::default()
                    .with_group_id(GroupId(text(group.group)))
                    .with_protocol_type(text(group.protocol_type))
                    .with_group_state(text(state))
                    .with_group_type(text(kind));
                groups.push(told);
            }
        }
    }
    ListGroupsResponse::default().with_groups(groups)
}
