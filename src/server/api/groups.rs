//! What the handlers of groups share: the way to a group's coordinator, and members as requests
//! name them.

use crate::coordinator::groups::command::{GroupCommand, GroupReply};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::metadata::features::GROUP_VERSION;
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{StrBytes, text};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Asks the coordinator of a group.
pub(super) async fn ask(
    context: &RequestContext,
    group: &str,
    command: GroupCommand,
) -> Result<GroupReply, ErrorCode> {
    // Old clients committed without a group, and tools may look at what they did. Heartbeats of
    // consumer groups have a code of their own for it.
    let may_be_nameless = matches!(
        command,
        GroupCommand::Commit(_)
            | GroupCommand::Fetch(_)
            | GroupCommand::Describe(_)
            | GroupCommand::Delete(_)
            | GroupCommand::ConsumerHeartbeat(_)
    );
    if group.is_empty() && !may_be_nameless {
        return Err(ErrorCode::InvalidGroupId);
    }
    let groups = &context.broker.groups;
    // The newest image: the topic may have come into being after this request was read.
    let image = context.broker.image.load_full();
    groups.call_for(&image, group, command).await
}

/// The same for whoever is a member, or wants to be: that is a right of its own.
pub(super) async fn ask_as_member(
    context: &RequestContext,
    group: &str,
    command: GroupCommand,
) -> Result<GroupReply, ErrorCode> {
    context.require(Operation::Read, Resource::Group(group))?;
    ask(context, group, command).await
}

/// The consumer protocol is served where `group.coordinator.rebalance.protocols` names it and the
/// cluster has its feature (Kafka 4.4 `KafkaApis.isConsumerGroupProtocolEnabled`).
pub(super) fn require_consumer_protocol(context: &RequestContext) -> Result<(), ErrorCode> {
    let config = context.broker.configuration.started_with();
    let protocols = &config.group.group_coordinator_rebalance_protocols;
    let is_named = protocols.iter().any(|name| name == "consumer");
    let level = context.image.features.get(GROUP_VERSION).copied().unwrap_or(0);
    if is_named && level >= 1 { Ok(()) } else { Err(ErrorCode::UnsupportedVersion) }
}

/// Who asks.
pub(super) fn member(
    group: &str,
    member_id: &str,
    instance_id: Option<&StrBytes>,
    generation: i32,
) -> MemberRef {
    MemberRef {
        group: group.to_owned(),
        member_id: member_id.to_owned(),
        instance_id: instance_id.map(ToString::to_string),
        generation,
    }
}

/// A text that may be missing.
pub(super) fn maybe(value: Option<&String>) -> Option<StrBytes> {
    value.map(|value| text(value.as_str()))
}
