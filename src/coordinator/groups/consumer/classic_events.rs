//! Requests of the classic protocol to a consumer group, as a part of the shard: what they do to the
//! group stands in `classic_member.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::classic_member::{
    Becomes, Join, check_join, check_protocol, is_behind, join, must_join, who_asks,
};
use super::heartbeat::HeartbeatContext;
use super::member::ConsumerMember;
use super::migration::downgrade;
use crate::coordinator::groups::classic_events::{failed, milliseconds};
use crate::coordinator::groups::command::{
    GroupReply, JoinGroup, Joined, LeaveGroup, SyncGroup, Synced,
};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::groups::timers::Due;
use crate::coordinator::groups::{Decided, Group, Groups, embedded};
use crate::coordinator::{Decision, ShardContext, Ticket};
use crate::types::ErrorCode;

impl Groups {
    /// JoinGroup of a consumer group that has members.
    pub(in crate::coordinator::groups) fn join_consumer(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: &JoinGroup,
    ) -> Decided {
        let MemberRef { group: name, member_id, instance_id, .. } = &asked.member;
        let policy = self.config.migration;
        if !policy.upgrade && !policy.downgrade {
            return failed(ticket, "", ErrorCode::InconsistentGroupProtocol);
        }
        let rules = self.downgrade_rules();
        let Some(Group::Consumer(group)) = self.groups.get(name) else {
            return failed(ticket, "", ErrorCode::UnknownMemberId);
        };
        let config = &self.config.consumer;
        if let Err(error) = check_join(group, asked, config.members_max) {
            return failed(ticket, "", error);
        }
        let is_stranger = member_id.is_empty() && instance_id.is_none();
        if is_stranger && asked.requires_known_member_id {
            // Whoever comes back with an id is taken: nothing need be kept.
            let joined = Joined::failed(&asked.fresh_id, ErrorCode::MemberIdRequired);
            return Decision::answer(ticket, Ok(GroupReply::Join(joined)));
        }
        let times = config.times_of(name, &context.image);
        let heartbeat_context =
            HeartbeatContext { context, config, times, newest_topic_at: self.newest_topic_at };
        let done = match join(group, &mut self.topic_hashes, &heartbeat_context, asked, rules) {
            Ok(done) => done,
            Err(error) => return failed(ticket, "", error),
        };
        let Join { records, joined, member, replaced, becomes } = done;
        let group_name = Arc::clone(&group.name);
        let mut decision = Decision::default();
        if let Becomes::Classic { rebalances } = becomes {
            let classic = downgrade(group, &BTreeSet::new(), Some(&member), context);
            self.begin_classic(context, classic, &mut decision);
            if rebalances {
                self.prepare_rebalance(context, name, &mut decision);
            }
        } else {
            decision.records = records;
            if let Some(replaced) = replaced {
                self.forget_member(&group_name, &replaced);
            }
            self.classic_member_joined(context, &group_name, &member);
        }
        decision.replies.push((ticket, Ok(GroupReply::Join(joined))));
        decision
    }

    /// A member has joined, and has as long to sync.
    fn classic_member_joined(
        &mut self,
        context: &ShardContext,
        name: &Arc<str>,
        member: &ConsumerMember,
    ) {
        let due =
            |kind: fn(Arc<str>, Arc<str>) -> Due| kind(Arc::clone(name), Arc::clone(&member.id));
        self.timers.cancel(&due(Due::MemberJoin));
        self.timers.cancel(&due(Due::Revocation));
        let until = context.now + milliseconds(member.rebalance_timeout_ms);
        self.timers.set(due(Due::MemberSync), until);
        if let Some(timeout) = member.classic_session() {
            self.member_is_alive(context, name, &member.id, timeout);
        }
        if let Some(group) = self.consumer_mut(name) {
            group.compared_with = Some(context.image.offset);
        }
    }

    /// SyncGroup of a consumer group: what the member was given.
    pub(in crate::coordinator::groups) fn sync_consumer(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: SyncGroup,
    ) -> Decided {
        let Some(group) = self.consumer_mut(&asked.member.group) else {
            return Decision::answer(ticket, Err(ErrorCode::UnknownMemberId));
        };
        let member = match who_asks(group, &asked.member) {
            Ok(member) => member,
            Err(error) => return Decision::answer(ticket, Err(error)),
        };
        if let Err(error) = check_protocol(member, &asked) {
            return Decision::answer(ticket, Err(error));
        }
        let (name, member) = (Arc::clone(&group.name), member.clone());
        if is_behind(group, &member) {
            self.member_must_join(context, &name, &member);
            return Decision::answer(ticket, Err(ErrorCode::RebalanceInProgress));
        }
        self.timers.cancel(&Due::MemberSync(Arc::clone(&name), Arc::clone(&member.id)));
        if let Some(timeout) = member.classic_session() {
            self.member_is_alive(context, &name, &member.id, timeout);
        }
        let classic = member.classic.as_ref();
        let first = classic.and_then(|classic| classic.supported_protocols.first());
        let subscription = first.map(|protocol| &*protocol.metadata).unwrap_or_default();
        let assigned = super::assignment::partitions(&member.assigned);
        let synced = Synced {
            protocol_type: asked.protocol_type,
            protocol_name: asked.protocol_name,
            assignment: embedded::give(&assigned, &context.image, subscription),
        };
        Decision::answer(ticket, Ok(GroupReply::Sync(synced)))
    }

    /// Heartbeat of a consumer group.
    pub(in crate::coordinator::groups) fn heartbeat_consumer(
        &mut self,
        context: &ShardContext,
        asked: &MemberRef,
    ) -> Result<(), ErrorCode> {
        let group = self.consumer_mut(&asked.group).ok_or(ErrorCode::UnknownMemberId)?;
        let member = who_asks(group, asked)?.clone();
        let name = Arc::clone(&group.name);
        let must_join = must_join(group, &member);
        if let Some(timeout) = member.classic_session() {
            self.member_is_alive(context, &name, &member.id, timeout);
        }
        if must_join {
            self.member_must_join(context, &name, &member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A member has been told to join again; the time for it runs from the first time.
    fn member_must_join(
        &mut self,
        context: &ShardContext,
        name: &Arc<str>,
        member: &ConsumerMember,
    ) {
        let due = Due::MemberJoin(Arc::clone(name), Arc::clone(&member.id));
        let until = context.now + milliseconds(member.rebalance_timeout_ms);
        self.timers.set_if_absent(due, until);
    }

    /// LeaveGroup of a consumer group: a tool removes members, or a client of the classic protocol
    /// leaves (Kafka 4.4 `GroupMetadataManager.classicGroupLeaveToConsumerGroup`).
    pub(in crate::coordinator::groups) fn leave_consumer(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: LeaveGroup,
    ) -> Decided {
        let mut leaving = BTreeSet::new();
        let mut left = Vec::with_capacity(asked.members.len());
        let Some(group) = self.consumer_mut(&asked.group) else {
            return Decision::answer(ticket, Err(ErrorCode::UnknownMemberId));
        };
        for member in asked.members {
            let found = match &member.instance_id {
                None => group.members.get(&*member.member_id).ok_or(ErrorCode::UnknownMemberId),
                Some(instance) => match group.static_member(instance) {
                    None => Err(ErrorCode::UnknownMemberId),
                    Some(owner)
                        if !member.member_id.is_empty() && *owner.id != *member.member_id =>
                    {
                        Err(ErrorCode::FencedInstanceId)
                    }
                    Some(owner) => Ok(owner),
                },
            };
            let error = match found {
                Ok(found) => {
                    leaving.insert(Arc::clone(&found.id));
                    ErrorCode::None
                }
                Err(error) => error,
            };
            left.push((member, error));
        }
        let mut decision = Decision::default();
        self.remove_members(context, &asked.group, &leaving, &mut decision);
        decision.replies.push((ticket, Ok(GroupReply::Left(left))));
        decision
    }
}
