//! ConsumerGroupDescribe: v0-1 (KIP-848).
//!
//! v1: which protocol each member speaks (KIP-1099).

use std::collections::BTreeSet;

use super::describe_groups::NO_OPERATIONS;
use crate::coordinator::groups::command::{GroupCommand, GroupReply};
use crate::coordinator::groups::consumer::command::{
    DescribedConsumerGroup, DescribedConsumerMember, DescribedPartitions,
};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, TopicName,
    consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions},
    text, wire_uuid,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// In Kafka's words.
const HIDDEN_TOPICS: &str =
    "The group has described topic(s) that the client is not authorized to describe.";

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let with_operations = request.include_authorized_operations;
    let operations = |group: &str| {
        if with_operations { context.operations(Resource::Group(group)) } else { NO_OPERATIONS }
    };
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for name in &request.group_ids {
        let command = GroupCommand::DescribeConsumer(name.0.to_string());
        let told = DescribedGroup::default().with_group_id(GroupId(text(name.0.as_str())));
        let may = super::groups::require_consumer_protocol(context)
            .and_then(|()| context.require(Operation::Describe, Resource::Group(&name.0)));
        let asked = match may {
            Ok(()) => super::groups::ask(context, &name.0, command).await,
            Err(code) => Err(code),
        };
        groups.push(match asked {
            // A group shows its topics: whoever may not see one of them sees no member.
            Ok(GroupReply::DescribedConsumer(Ok(group))) if shows_hidden(context, &group) => told
                .with_error_code(ErrorCode::TopicAuthorizationFailed.code())
                .with_error_message(Some(text(HIDDEN_TOPICS))),
            Ok(GroupReply::DescribedConsumer(Ok(group))) => {
                let operations = operations(&name.0);
                describe(told, group, context.version).with_authorized_operations(operations)
            }
            Ok(GroupReply::DescribedConsumer(Err(refused))) => told
                .with_error_code(refused.error.code())
                .with_error_message(Some(text(refused.message))),
            Ok(_) => told.with_error_code(ErrorCode::UnknownServerError.code()),
            Err(error) => told.with_error_code(error.code()),
        });
    }
    ConsumerGroupDescribeResponse::default().with_groups(groups)
}

/// Whether the group has a topic that the client may not see.
fn shows_hidden(context: &RequestContext, group: &DescribedConsumerGroup) -> bool {
    let mut names = BTreeSet::new();
    for member in &group.members {
        names.extend(member.names.iter().map(String::as_str));
        names.extend(member.assignment.iter().chain(&member.target).map(|topic| &*topic.topic));
    }
    !names.into_iter().all(|name| context.may(Operation::Describe, Resource::Topic(name)))
}

fn describe(told: DescribedGroup, group: DescribedConsumerGroup, version: i16) -> DescribedGroup {
    let members = group.members.into_iter().map(|member| describe_member(member, version));
    told.with_group_state(text(group.state))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.assignment_epoch)
        .with_assignor_name(text(group.assignor))
        .with_members(members.collect())
}

fn describe_member(member: DescribedConsumerMember, version: i16) -> Member {
    let names = member.names.into_iter().map(|name| TopicName(text(name)));
    let member_type = match version {
        0 => -1,
        _ => i8::from(!member.is_classic),
    };
    Member::default()
        .with_member_id(text(member.member_id))
        .with_instance_id(member.instance_id.map(text))
        .with_rack_id(member.rack_id.map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(member.regex.map(text))
        .with_assignment(assignment(member.assignment))
        .with_target_assignment(assignment(member.target))
        .with_member_type(member_type)
}

fn assignment(topics: Vec<DescribedPartitions>) -> Assignment {
    let topics = topics.into_iter().map(|topic| {
        TopicPartitions::default()
            .with_topic_id(wire_uuid(topic.topic_id))
            .with_topic_name(TopicName(text(&*topic.topic)))
            .with_partitions(topic.partitions)
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
