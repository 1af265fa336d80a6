//! Consumer groups as a part of the shard: their records, commands and deadlines.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::classic_member::Downgrade;
use super::command::{
    ConsumerHeartbeat, DescribedConsumerGroup, HeartbeatReply, LEAVE_EPOCH,
    LEAVE_FOR_A_WHILE_EPOCH, Refused,
};
use super::group::ConsumerGroup;
use super::heartbeat::{
    HeartbeatContext, HeartbeatOutcome, Revocation, check_instance, heartbeat, leave_for_a_while,
    remove, unknown_member,
};
use super::member::{ConsumerMember, MemberState};
use super::migration::{check_upgrade, downgrade, may_downgrade_without, upgrade};
use crate::coordinator::groups::classic::{ClassicGroup, State};
use crate::coordinator::groups::classic_events::milliseconds;
use crate::coordinator::groups::command::{GroupReply, Joined};
use crate::coordinator::groups::timers::Due;
use crate::coordinator::groups::{Decided, Group, Groups, Kept, Undo, group_tombstone};
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{Decision, ShardContext, Ticket};
use crate::types::ErrorCode;

impl Groups {
    fn consumer(&self, name: &str) -> Result<&ConsumerGroup, Refused> {
        let message = match self.groups.get(name) {
            Some(Group::Consumer(group)) => return Ok(group),
            Some(_) => format!("Group {name} is not a consumer group."),
            None => format!("Group {name} not found."),
        };
        Err(Refused::new(ErrorCode::GroupIdNotFound, message))
    }

    pub(super) fn consumer_mut(&mut self, name: &str) -> Option<&mut ConsumerGroup> {
        match self.groups.get_mut(name)? {
            Group::Consumer(group) => Some(group),
            Group::Classic(_) => None,
        }
    }

    /// ConsumerGroupHeartbeat.
    pub(in crate::coordinator::groups) fn consumer_heartbeat(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: &ConsumerHeartbeat,
    ) -> Decided {
        let checked = asked.check(&self.config.consumer.assignors);
        let mut decision = Decision::default();
        let done = checked.and_then(|()| match asked.member.generation {
            LEAVE_EPOCH | LEAVE_FOR_A_WHILE_EPOCH => {
                self.consumer_leave(context, asked, &mut decision)
            }
            _ => self.consumer_beat(context, asked, &mut decision),
        });
        decision.replies.push((ticket, Ok(GroupReply::ConsumerHeartbeat(done))));
        decision
    }

    fn consumer_beat(
        &mut self,
        context: &ShardContext,
        asked: &ConsumerHeartbeat,
        decision: &mut Decided,
    ) -> Result<HeartbeatReply, Refused> {
        let name = &asked.member.group;
        let joins = asked.member.generation == super::command::JOIN_EPOCH;
        let image = &context.image;
        let mut records = Vec::new();
        let mut fresh = None;
        let group = match self.groups.get(name) {
            Some(Group::Consumer(group)) => group,
            Some(Group::Classic(_)) if !joins => {
                let message = format!("Group {name} is not a consumer group.");
                return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
            }
            Some(Group::Classic(group)) if group.state != State::Empty => {
                let members_max = self.config.consumer.members_max;
                check_upgrade(group, self.config.migration, members_max)?;
                let (upgraded, converted) = upgrade(group, &mut self.topic_hashes, image)?;
                records = converted;
                &*fresh.insert(upgraded)
            }
            None if !joins => {
                let message = format!("Consumer group {name} not found.");
                return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
            }
            other => {
                if other.is_some() {
                    // An empty group changes its kind; its offsets stay.
                    records.push(group_tombstone(name));
                }
                &*fresh.insert(ConsumerGroup::new(name))
            }
        };
        let config = &self.config.consumer;
        let times = config.times_of(name, &context.image);
        let newest_topic_at = self.newest_topic_at;
        let heartbeat_context = HeartbeatContext { context, config, times, newest_topic_at };
        let done = heartbeat(group, &mut self.topic_hashes, &heartbeat_context, asked)?;
        let group_name = Arc::clone(&group.name);
        if let Some(fresh) = fresh {
            self.begin_consumer(context, fresh, decision);
        }
        let HeartbeatOutcome { records: more, reply, member, revocation, replaced } = done;
        records.extend(more);
        if let Some(replaced) = replaced {
            self.forget_member(&group_name, &replaced);
        }
        self.member_is_alive(context, name, &member, times.session_timeout);
        let due = Due::Revocation(group_name, member);
        match revocation {
            Some(Revocation::Begins(ms)) => {
                self.timers.set(due, context.now + milliseconds(ms));
            }
            Some(Revocation::Over) => self.timers.cancel(&due),
            None => {}
        }
        if let Some(group) = self.consumer_mut(name) {
            group.compared_with = Some(context.image.offset);
        }
        decision.records = records;
        Ok(reply)
    }

    /// A group begins as a consumer group, in the place of a classic one if there is one: whoever
    /// waits there is told to come again.
    fn begin_consumer(
        &mut self,
        context: &ShardContext,
        group: ConsumerGroup,
        decision: &mut Decided,
    ) {
        let name = Arc::clone(&group.name);
        let sessions: Vec<(Arc<str>, Duration)> = group
            .members
            .values()
            .filter_map(|member| Some((Arc::clone(&member.id), member.classic_session()?)))
            .collect();
        let before = self.groups.insert(name.to_string(), Group::Consumer(group));
        let Some(Group::Classic(mut classic)) = before else { return };
        let again = ErrorCode::RebalanceInProgress;
        for member in classic.members.values_mut() {
            if let Some(ticket) = member.joining.take() {
                let joined = Joined::failed(&member.id, again);
                decision.replies.push((ticket, Ok(GroupReply::Join(joined))));
            }
            if let Some(ticket) = member.syncing.take() {
                decision.replies.push((ticket, Err(again)));
            }
        }
        for (id, timeout) in sessions {
            self.member_is_alive(context, &name, &id, timeout);
        }
        decision.undo = Some(Undo(Kept::Group(Box::new(Group::Classic(classic)))));
    }

    fn consumer_leave(
        &mut self,
        context: &ShardContext,
        asked: &ConsumerHeartbeat,
        decision: &mut Decided,
    ) -> Result<HeartbeatReply, Refused> {
        let (id, epoch) = (&*asked.member.member_id, asked.member.generation);
        let group = self.consumer(&asked.member.group)?;
        let member = match &asked.member.instance_id {
            None => group.members.get(id).ok_or_else(|| unknown_member(group, id))?,
            Some(instance) => check_instance(group.static_member(instance), instance, id)?,
        };
        let reply = HeartbeatReply { member_id: id.to_owned(), epoch, ..HeartbeatReply::default() };
        if epoch == LEAVE_FOR_A_WHILE_EPOCH {
            let record = leave_for_a_while(group, member);
            let due = Due::Revocation(Arc::clone(&group.name), Arc::clone(&member.id));
            self.timers.cancel(&due);
            decision.records.push(record);
            return Ok(reply);
        }
        let id = Arc::clone(&member.id);
        self.remove_member(context, &asked.member.group, &id, decision);
        Ok(reply)
    }

    /// A member is no more.
    fn remove_member(
        &mut self,
        context: &ShardContext,
        name: &str,
        id: &Arc<str>,
        decision: &mut Decided,
    ) {
        self.remove_members(context, name, &BTreeSet::from([Arc::clone(id)]), decision);
    }

    /// Members are no more. If all others speak the classic protocol, they go on in a classic
    /// group.
    pub(super) fn remove_members(
        &mut self,
        context: &ShardContext,
        name: &str,
        ids: &BTreeSet<Arc<str>>,
        decision: &mut Decided,
    ) {
        let Some(Group::Consumer(group)) = self.groups.get(name) else { return };
        let members: Vec<_> = ids.iter().filter_map(|id| group.members.get(id)).collect();
        if members.is_empty() {
            return;
        }
        let Downgrade { policy, members_max } = self.downgrade_rules();
        if may_downgrade_without(group, &members, policy, members_max) {
            let classic = downgrade(group, ids, None, context);
            self.begin_classic(context, classic, decision);
            self.prepare_rebalance(context, name, decision);
            return;
        }
        let config = &self.config.consumer;
        let times = config.times_of(name, &context.image);
        let heartbeat_context =
            HeartbeatContext { context, config, times, newest_topic_at: self.newest_topic_at };
        decision.records.extend(remove(
            group,
            &mut self.topic_hashes,
            &heartbeat_context,
            &members,
        ));
        let group_name = Arc::clone(&group.name);
        ids.iter().for_each(|id| self.forget_member(&group_name, id));
    }

    pub(super) fn downgrade_rules(&self) -> Downgrade {
        Downgrade { policy: self.config.migration, members_max: self.config.members_max }
    }

    /// A consumer group goes on as a classic one.
    pub(super) fn begin_classic(
        &mut self,
        context: &ShardContext,
        mut classic: ClassicGroup,
        decision: &mut Decided,
    ) {
        let name = Arc::clone(&classic.name);
        let Some(before @ Group::Consumer(_)) = self.groups.remove(&*name) else { return };
        if let Group::Consumer(group) = &before {
            for id in group.members.keys() {
                self.forget_member(&name, id);
            }
        }
        for member in classic.members.values_mut() {
            member.expires = context.now + milliseconds(member.session_timeout_ms);
            let due = Due::Session(Arc::clone(&name), Arc::clone(&member.id));
            self.timers.set(due, member.expires);
        }
        decision.records.extend(before.tombstones(&name));
        decision.records.push(classic.to_record());
        decision.undo = Some(Undo(Kept::Group(Box::new(before))));
        self.groups.insert(name.to_string(), Group::Classic(classic));
    }

    /// A group could not become one of the other protocol, and goes on as it was.
    pub(in crate::coordinator::groups) fn take_back(
        &mut self,
        context: &ShardContext,
        group: Group,
    ) {
        let name = match &group {
            Group::Classic(group) => Arc::clone(&group.name),
            Group::Consumer(group) => Arc::clone(&group.name),
        };
        match self.groups.insert(name.to_string(), group) {
            Some(Group::Consumer(other)) => {
                // The sessions of the classic members that it had go on as they were.
                let ids = other.members.keys();
                let strangers: Vec<Arc<str>> = match self.classic(&name) {
                    Some(classic) => {
                        ids.filter(|id| !classic.members.contains_key(*id)).cloned().collect()
                    }
                    None => ids.cloned().collect(),
                };
                strangers.iter().for_each(|id| self.forget_member(&name, id));
            }
            _ => self.group_is_alive(context, &name),
        }
    }

    /// Nothing is due from a member any more.
    pub(super) fn forget_member(&mut self, group: &Arc<str>, id: &Arc<str>) {
        self.timers.cancel(&Due::Session(Arc::clone(group), Arc::clone(id)));
        self.timers.cancel(&Due::Revocation(Arc::clone(group), Arc::clone(id)));
        self.timers.cancel(&Due::MemberJoin(Arc::clone(group), Arc::clone(id)));
        self.timers.cancel(&Due::MemberSync(Arc::clone(group), Arc::clone(id)));
        if let Some(group) = self.consumer_mut(group) {
            group.expires.remove(id);
        }
    }

    pub(super) fn member_is_alive(
        &mut self,
        context: &ShardContext,
        name: &str,
        id: &Arc<str>,
        timeout: Duration,
    ) {
        let expires = context.now + timeout;
        let Some(group) = self.consumer_mut(name) else { return };
        let before = group.expires.insert(Arc::clone(id), expires);
        let group_name = Arc::clone(&group.name);
        // A later deadline is looked up when the earlier one has passed.
        if before.is_none_or(|before| expires < before) {
            self.timers.set(Due::Session(group_name, Arc::clone(id)), expires);
        }
    }

    /// The session of a member of a consumer group may be over.
    pub(in crate::coordinator::groups) fn consumer_session_over(
        &mut self,
        context: &ShardContext,
        name: &str,
        id: &Arc<str>,
        decision: &mut Decided,
    ) {
        let Some(group) = self.consumer_mut(name) else { return };
        let expires = group.expires.get(id).copied();
        if let Some(expires) = expires.filter(|expires| *expires > context.now) {
            let due = Due::Session(Arc::clone(&group.name), Arc::clone(id));
            self.timers.set(due, expires);
            return;
        }
        group.expires.remove(id);
        self.remove_member(context, name, id, decision);
    }

    /// A member had time enough to give up what it was told to.
    pub(in crate::coordinator::groups) fn revocation_time_over(
        &mut self,
        context: &ShardContext,
        name: &str,
        id: &Arc<str>,
        decision: &mut Decided,
    ) {
        let Some(group) = self.consumer_mut(name) else { return };
        let state = group.members.get(id).map(|member| member.state);
        if state == Some(MemberState::Unrevoked) {
            self.remove_member(context, name, id, decision);
        }
    }

    /// A classic member had time enough to join again, or to sync.
    pub(in crate::coordinator::groups) fn classic_member_time_over(
        &mut self,
        context: &ShardContext,
        name: &str,
        id: &Arc<str>,
        decision: &mut Decided,
    ) {
        let Some(group) = self.consumer_mut(name) else { return };
        // One that speaks the new protocol by now is asked for neither.
        if group.members.get(id).is_some_and(|member| member.classic.is_some()) {
            self.remove_member(context, name, id, decision);
        }
    }

    /// ConsumerGroupDescribe.
    pub(in crate::coordinator::groups) fn describe_consumer(
        &self,
        context: &ShardContext,
        name: &str,
    ) -> Result<DescribedConsumerGroup, Refused> {
        let usual = self.config.consumer.usual_assignor();
        Ok(self.consumer(name)?.describe(&context.image, usual))
    }

    /// The shard begins to decide: all members are alive for now.
    pub(in crate::coordinator::groups) fn consumers_loaded(&mut self, context: &ShardContext) {
        let names: Vec<String> = self.groups.keys().cloned().collect();
        names.iter().for_each(|name| self.group_is_alive(context, name));
    }

    /// All members of a consumer group are alive for now.
    fn group_is_alive(&mut self, context: &ShardContext, name: &str) {
        let Some(group) = self.consumer_mut(name) else { return };
        // Of a group that was put aside and is back, no deadline is set any more.
        group.expires.clear();
        let group_name = Arc::clone(&group.name);
        let gives_up = |member: &ConsumerMember| {
            (member.state == MemberState::Unrevoked && member.classic.is_none())
                .then_some(member.rebalance_timeout_ms)
        };
        let members: Vec<_> = group
            .members
            .values()
            .map(|member| (Arc::clone(&member.id), gives_up(member)))
            .collect();
        let times = self.config.consumer.times_of(name, &context.image);
        for (id, timeout) in members {
            self.member_is_alive(context, name, &id, times.session_timeout);
            if let Some(ms) = timeout {
                let due = Due::Revocation(Arc::clone(&group_name), id);
                self.timers.set(due, context.now + milliseconds(ms));
            }
        }
    }

    /// Takes over a record of a consumer group.
    pub(in crate::coordinator::groups) fn apply_consumer(&mut self, record: GroupRecord) {
        use GroupRecord as R;
        let creates = !record.is_tombstone();
        match record {
            R::ConsumerGroupMetadata(key, Some(value)) => {
                let Some(group) = self.applied_to(&key.group_id, creates) else { return };
                (group.epoch, group.metadata_hash) = (value.epoch, value.metadata_hash);
            }
            R::ConsumerGroupMetadata(key, None) if self.consumer_mut(&key.group_id).is_some() => {
                self.groups.remove(&key.group_id);
            }
            R::ConsumerGroupPartitionMetadata(key, value) => {
                let Some(group) = self.applied_to(&key.group_id, creates) else { return };
                group.has_partition_metadata = value.is_some();
            }
            R::ConsumerGroupMemberMetadata(key, value) => {
                let Some(group) = self.applied_to(&key.group_id, creates) else { return };
                group.apply_member(&key.member_id, value);
            }
            R::ConsumerGroupTargetAssignmentMetadata(key, value) => {
                let Some(group) = self.applied_to(&key.group_id, creates) else { return };
                group.apply_target_epoch(value);
            }
            R::ConsumerGroupTargetAssignmentMember(key, value) => {
                let Some(group) = self.applied_to(&key.group_id, creates) else { return };
                group.apply_target(&key.member_id, value);
            }
            R::ConsumerGroupCurrentMemberAssignment(key, value) => {
                let Some(group) = self.applied_to(&key.group_id, creates) else { return };
                group.apply_owned(&key.member_id, value);
            }
            R::ConsumerGroupRegularExpression(key, value) => {
                let Some(group) = self.applied_to(&key.group_id, creates) else { return };
                group.apply_pattern(key.regular_expression, value);
            }
            _ => {}
        }
    }

    fn applied_to(&mut self, name: &str, creates: bool) -> Option<&mut ConsumerGroup> {
        if creates && self.consumer_mut(name).is_none() {
            self.groups.insert(name.to_owned(), Group::Consumer(ConsumerGroup::new(name)));
        }
        self.consumer_mut(name)
    }
}
