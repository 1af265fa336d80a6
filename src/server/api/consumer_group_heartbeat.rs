//! ConsumerGroupHeartbeat: v0-1 (KIP-848).
//!
//! v1: subscriptions by pattern; members name themselves (KIP-1082).

use std::collections::BTreeMap;

use crate::coordinator::groups::command::{GroupCommand, GroupReply};
use crate::coordinator::groups::consumer::command::{ConsumerHeartbeat, HeartbeatReply, Refused};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    consumer_group_heartbeat_response::{Assignment, TopicPartitions},
    text, uuid_of, wire_uuid,
};
use crate::server::context::RequestContext;
use crate::server::quirks;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let group = request.group_id.0.to_string();
    let may = super::groups::require_consumer_protocol(context);
    if let Err(code) = may.and_then(|()| context.require(Operation::Read, Resource::Group(&group)))
    {
        return failed(code);
    }
    let names = request.subscribed_topic_names.as_ref();
    let hidden = names
        .into_iter()
        .flatten()
        .find_map(|name| context.require(Operation::Describe, Resource::Topic(&name.0)).err());
    if let Some(code) = hidden {
        return failed(code);
    }
    let owned = request.topic_partitions.as_ref().map(|topics| {
        // A topic that is named twice is owned as both say.
        let mut owned = BTreeMap::<_, Vec<_>>::new();
        for topic in topics {
            let partitions = owned.entry(uuid_of(topic.topic_id)).or_default();
            partitions.extend_from_slice(&topic.partitions);
        }
        owned
    });
    let clock = &context.broker.env.clock;
    let subscribes = names.is_some() || request.subscribed_topic_regex.is_some();
    let settled = subscribes.then(|| clock.now() + quirks::SUBSCRIBING);
    let owns = |text: &crate::protocol::messages::StrBytes| text.to_string();
    let asked = ConsumerHeartbeat {
        member: MemberRef {
            group: group.clone(),
            member_id: request.member_id.to_string(),
            instance_id: request.instance_id.as_ref().map(owns),
            generation: request.member_epoch,
        },
        client_id: context.client_id.to_string(),
        client_host: format!("/{}", context.peer.ip()),
        rack_id: request.rack_id.as_ref().map(owns),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != -1),
        names: names.map(|names| names.iter().map(|name| name.0.to_string()).collect()),
        regex: request.subscribed_topic_regex.as_ref().map(owns),
        topic_filter: context.topic_filter(),
        assignor: request.server_assignor.as_ref().map(owns),
        owned,
        must_name_itself: context.version >= 1,
        fresh_id: context.broker.env.random.uuid().to_string(),
    };
    let command = GroupCommand::ConsumerHeartbeat(Box::new(asked));
    match super::groups::ask(context, &group, command).await {
        Ok(GroupReply::ConsumerHeartbeat(Ok(told))) => {
            if let (Some(settled), Some(_)) = (settled, &told.assignment) {
                clock.sleep_until(settled).await;
            }
            tell(told)
        }
        Ok(GroupReply::ConsumerHeartbeat(Err(Refused { error, message }))) => {
            tracing::debug!(group, member = %request.member_id, ?error, message, "a heartbeat is refused");
            failed(error).with_error_message(Some(text(message)))
        }
        Ok(_) | Err(ErrorCode::RecordListTooLarge) => failed(ErrorCode::UnknownServerError),
        Err(error) => failed(error),
    }
}

fn failed(error: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(error.code())
}

fn tell(told: HeartbeatReply) -> ConsumerGroupHeartbeatResponse {
    let assignment = told.assignment.map(|assignment| {
        let topics = assignment.into_iter().map(|(topic, partitions)| {
            TopicPartitions::default().with_topic_id(wire_uuid(topic)).with_partitions(partitions)
        });
        Assignment::default().with_topic_partitions(topics.collect())
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(text(told.member_id)))
        .with_member_epoch(told.epoch)
        .with_heartbeat_interval_ms(told.heartbeat_interval_ms)
        .with_assignment(assignment)
}
