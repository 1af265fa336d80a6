//! Consumer groups as a part of the shard: their records, commands and deadlines.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::command::{
    ConsumerHeartbeat, DescribedConsumerGroup, LEAVE_EPOCH, LEAVE_FOR_A_WHILE_EPOCH, Refused, Told,
};
use super::group::ConsumerGroup;
use super::heartbeat::{
    Beat, Revocation, World, beat, check_instance, leave_for_a_while, remove, unknown_member,
};
use super::member::MemberState;
use crate::coordinator::groups::classic::State;
use crate::coordinator::groups::command::{GroupReply, LeaveGroup};
use crate::coordinator::groups::timers::Due;
use crate::coordinator::groups::{Decided, Group, Groups, group_tombstone};
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{Decision, Moment, Ticket};
use crate::types::ErrorCode;

type Done = Result<(Vec<GroupRecord>, Told), Refused>;

impl Groups {
    fn consumer(&self, name: &str) -> Result<&ConsumerGroup, Refused> {
        let message = match self.groups.get(name) {
            Some(Group::Consumer(group)) => return Ok(group),
            Some(_) => format!("Group {name} is not a consumer group."),
            None => format!("Group {name} not found."),
        };
        Err(Refused::new(ErrorCode::GroupIdNotFound, message))
    }

    fn consumer_mut(&mut self, name: &str) -> Option<&mut ConsumerGroup> {
        match self.groups.get_mut(name)? {
            Group::Consumer(group) => Some(group),
            Group::Classic(_) => None,
        }
    }

    /// ConsumerGroupHeartbeat.
    pub(in crate::coordinator::groups) fn consumer_heartbeat(
        &mut self,
        moment: &Moment,
        ticket: Ticket,
        asked: &ConsumerHeartbeat,
    ) -> Decided {
        let checked = asked.check(&self.config.consumer.assignors);
        let done = checked.and_then(|()| match asked.member.generation {
            LEAVE_EPOCH | LEAVE_FOR_A_WHILE_EPOCH => self.consumer_leave(moment, asked),
            _ => self.consumer_beat(moment, asked),
        });
        match done {
            Ok((records, told)) => {
                Decision::write(records, ticket, Ok(GroupReply::ConsumerHeartbeat(Ok(told))))
            }
            Err(refused) => {
                Decision::answer(ticket, Ok(GroupReply::ConsumerHeartbeat(Err(refused))))
            }
        }
    }

    fn consumer_beat(&mut self, moment: &Moment, asked: &ConsumerHeartbeat) -> Done {
        let name = &asked.member.group;
        let joins = asked.member.generation == super::command::JOIN_EPOCH;
        let mut records = Vec::new();
        let mut fresh = None;
        let group = match self.groups.get(name) {
            Some(Group::Consumer(group)) => group,
            Some(Group::Classic(group)) if joins && group.state != State::Empty => {
                let message = format!(
                    "Cannot upgrade classic group {name} to consumer group because online upgrade \
                     is disabled."
                );
                return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
            }
            Some(Group::Classic(_)) if !joins => {
                let message = format!("Group {name} is not a consumer group.");
                return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
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
        let times = config.times_of(name, &moment.image);
        let newest_topic_at = self.newest_topic_at;
        let world = World { moment, config, times, newest_topic_at };
        let done = beat(group, &mut self.topic_hashes, &world, asked)?;
        let group_name = Arc::clone(&group.name);
        if let Some(fresh) = fresh {
            self.groups.insert(name.clone(), Group::Consumer(fresh));
        }
        let Beat { records: more, told, member, revocation, replaced } = done;
        records.extend(more);
        if let Some(replaced) = replaced {
            self.forget_member(&group_name, &replaced);
        }
        self.member_is_alive(moment, name, &member, times.session_timeout);
        let due = Due::Revocation(group_name, member);
        match revocation {
            Some(Revocation::Begins(ms)) => {
                let timeout = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
                self.timers.set(due, moment.now + timeout);
            }
            Some(Revocation::Over) => self.timers.cancel(&due),
            None => {}
        }
        if let Some(group) = self.consumer_mut(name) {
            group.compared_with = Some(moment.image.offset);
        }
        Ok((records, told))
    }

    fn consumer_leave(&mut self, moment: &Moment, asked: &ConsumerHeartbeat) -> Done {
        let (id, epoch) = (&*asked.member.member_id, asked.member.generation);
        let group = self.consumer(&asked.member.group)?;
        let member = match &asked.member.instance_id {
            None => group.members.get(id).ok_or_else(|| unknown_member(group, id))?,
            Some(instance) => check_instance(group.static_member(instance), instance, id)?,
        };
        let told = Told { member_id: id.to_owned(), epoch, ..Told::default() };
        if epoch == LEAVE_FOR_A_WHILE_EPOCH {
            let record = leave_for_a_while(group, member);
            let due = Due::Revocation(Arc::clone(&group.name), Arc::clone(&member.id));
            self.timers.cancel(&due);
            return Ok((vec![record], told));
        }
        let id = Arc::clone(&member.id);
        Ok((self.remove_member(moment, &asked.member.group, &id), told))
    }

    /// The records by which a member is no more.
    fn remove_member(&mut self, moment: &Moment, name: &str, id: &Arc<str>) -> Vec<GroupRecord> {
        self.remove_members(moment, name, &BTreeSet::from([Arc::clone(id)]))
    }

    fn remove_members(
        &mut self,
        moment: &Moment,
        name: &str,
        ids: &BTreeSet<Arc<str>>,
    ) -> Vec<GroupRecord> {
        let Some(Group::Consumer(group)) = self.groups.get(name) else { return Vec::new() };
        let members: Vec<_> = ids.iter().filter_map(|id| group.members.get(id)).collect();
        if members.is_empty() {
            return Vec::new();
        }
        let config = &self.config.consumer;
        let times = config.times_of(name, &moment.image);
        let world = World { moment, config, times, newest_topic_at: self.newest_topic_at };
        let records = remove(group, &mut self.topic_hashes, &world, &members);
        let group_name = Arc::clone(&group.name);
        ids.iter().for_each(|id| self.forget_member(&group_name, id));
        records
    }

    /// LeaveGroup of a consumer group: a tool removes members, or a client of the classic protocol
    /// leaves (Kafka 4.4 `GroupMetadataManager.classicGroupLeaveToConsumerGroup`).
    pub(in crate::coordinator::groups) fn remove_named(
        &mut self,
        moment: &Moment,
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
        let records = self.remove_members(moment, &asked.group, &leaving);
        Decision::write(records, ticket, Ok(GroupReply::Left(left)))
    }

    /// Nothing is due from a member any more.
    fn forget_member(&mut self, group: &Arc<str>, id: &Arc<str>) {
        self.timers.cancel(&Due::Session(Arc::clone(group), Arc::clone(id)));
        self.timers.cancel(&Due::Revocation(Arc::clone(group), Arc::clone(id)));
        if let Some(group) = self.consumer_mut(group) {
            group.expires.remove(id);
        }
    }

    fn member_is_alive(&mut self, moment: &Moment, name: &str, id: &Arc<str>, timeout: Duration) {
        let expires = moment.now + timeout;
        let Some(group) = self.consumer_mut(name) else { return };
        let before = group.expires.insert(Arc::clone(id), expires);
        let group_name = Arc::clone(&group.name);
        // A later deadline is looked up when the earlier one has passed.
        if before.is_none_or(|before| expires < before) {
            self.timers.set(Due::Session(group_name, Arc::clone(id)), expires);
        }
    }

    /// Whether the session of a member of a consumer group is over; `None` for other groups.
    pub(in crate::coordinator::groups) fn consumer_session_over(
        &mut self,
        moment: &Moment,
        name: &str,
        id: &Arc<str>,
    ) -> Option<Vec<GroupRecord>> {
        let group = self.consumer_mut(name)?;
        let expires = group.expires.get(id).copied();
        if let Some(expires) = expires.filter(|expires| *expires > moment.now) {
            let due = Due::Session(Arc::clone(&group.name), Arc::clone(id));
            self.timers.set(due, expires);
            return Some(Vec::new());
        }
        group.expires.remove(id);
        Some(self.remove_member(moment, name, id))
    }

    /// A member had time enough to give up what it was told to.
    pub(in crate::coordinator::groups) fn revocation_time_over(
        &mut self,
        moment: &Moment,
        name: &str,
        id: &Arc<str>,
    ) -> Vec<GroupRecord> {
        let Some(group) = self.consumer_mut(name) else { return Vec::new() };
        let state = group.members.get(id).map(|member| member.state);
        if state != Some(MemberState::Unrevoked) {
            return Vec::new();
        }
        self.remove_member(moment, name, id)
    }

    /// ConsumerGroupDescribe.
    pub(in crate::coordinator::groups) fn describe_consumer(
        &self,
        moment: &Moment,
        name: &str,
    ) -> Result<DescribedConsumerGroup, Refused> {
        let usual = self.config.consumer.usual_assignor();
        Ok(self.consumer(name)?.describe(&moment.image, usual))
    }

    /// The shard begins to decide: all members are alive for now.
    pub(in crate::coordinator::groups) fn consumers_loaded(&mut self, moment: &Moment) {
        let mut members = Vec::new();
        for group in self.groups.values() {
            let Group::Consumer(group) = group else { continue };
            for member in group.members.values() {
                let gives_up = member.state == MemberState::Unrevoked;
                let timeout = gives_up.then_some(member.rebalance_timeout_ms);
                members.push((Arc::clone(&group.name), Arc::clone(&member.id), timeout));
            }
        }
        for (group, id, timeout) in members {
            let times = self.config.consumer.times_of(&group, &moment.image);
            self.member_is_alive(moment, &group, &id, times.session_timeout);
            if let Some(ms) = timeout {
                let timeout = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
                self.timers.set(Due::Revocation(group, id), moment.now + timeout);
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
            R::ConsumerGroupMetadata(key, None) => {
                if self.consumer_mut(&key.group_id).is_some() {
                    self.groups.remove(&key.group_id);
                }
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
