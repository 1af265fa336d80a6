//! What becomes of a classic group: joins, syncs, heartbeats, leaves, and time that is over
//! (Kafka 4.4 `GroupMetadataManager.classicGroup...`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::classic::{ClassicGroup, GroupMember, State};
use super::command::{GroupReply, JoinGroup, Joined, LeaveGroup, LeavingMember, SyncGroup, Synced};
use super::timers::Due;
use super::{Decided, Group, Groups, Kept, NEW_MEMBER_TIMEOUT, Undo};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::{Decision, ShardContext, Ticket};
use crate::types::ErrorCode;

pub(super) fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

pub(super) fn failed(ticket: Ticket, member_id: &str, error: ErrorCode) -> Decided {
    Decision::answer(ticket, Ok(GroupReply::Join(Joined::failed(member_id, error))))
}

impl Groups {
    /// JoinGroup.
    pub(super) fn join(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: &JoinGroup,
    ) -> Decided {
        let MemberRef { group: name, member_id, instance_id, .. } = &asked.member;
        let bounds = self.config.session_timeout_min_ms..=self.config.session_timeout_max_ms;
        if !bounds.contains(&asked.session_timeout_ms) {
            return failed(ticket, member_id, ErrorCode::InvalidSessionTimeout);
        }
        if matches!(self.groups.get(name), Some(Group::Consumer(group)) if !group.is_empty()) {
            return self.join_consumer(context, ticket, asked);
        }
        let mut tombstones = Vec::new();
        let is_new = self.classic(name).is_none();
        if is_new {
            if !member_id.is_empty() {
                return failed(ticket, member_id, ErrorCode::UnknownMemberId);
            }
            let group = ClassicGroup::new(name, context.wall);
            if !group.supports(&asked.protocol_type, &asked.protocols) {
                return failed(ticket, member_id, ErrorCode::InconsistentGroupProtocol);
            }
            // An empty consumer group changes its kind; its offsets stay.
            let before = self.groups.insert(name.clone(), Group::Classic(group));
            tombstones = before.map(|before| before.tombstones(name)).unwrap_or_default();
        }
        let members_max = self.config.members_max;
        let Some(group) = self.classic(name) else { return Decision::default() };
        if !accepts(group, member_id, members_max) {
            group.remove(member_id);
            return failed(ticket, "", ErrorCode::GroupMaxSizeReached);
        }
        if !group.supports(&asked.protocol_type, &asked.protocols) {
            return failed(ticket, member_id, ErrorCode::InconsistentGroupProtocol);
        }
        let mut decision = Decision { records: tombstones, ..Decision::default() };
        if is_new {
            decision.records.push(group.to_record());
        }
        let group_name = Arc::clone(&group.name);
        if member_id.is_empty() {
            let prefix = instance_id.as_ref().unwrap_or(&asked.client_id);
            let fresh = format!("{prefix}-{}", asked.fresh_id);
            let old = instance_id.as_ref().and_then(|i| group.instances.get(i).cloned());
            if let Some(old) = old {
                self.replace_static(context, ticket, asked, (&old, &fresh), &mut decision);
            } else if instance_id.is_none() && asked.requires_known_member_id {
                let id: Arc<str> = Arc::from(&*fresh);
                group.pending_joins.insert(Arc::clone(&id));
                let at = context.now + milliseconds(asked.session_timeout_ms);
                self.timers.set(Due::PendingJoin(group_name, id), at);
                let joined = Joined::failed(&fresh, ErrorCode::MemberIdRequired);
                decision.replies.push((ticket, Ok(GroupReply::Join(joined))));
            } else {
                self.add(context, ticket, asked, &fresh, &mut decision);
            }
            return decision;
        }
        if group.pending_joins.contains(&**member_id) {
            self.timers.cancel(&Due::PendingJoin(group_name, Arc::from(&**member_id)));
            self.add(context, ticket, asked, member_id, &mut decision);
            return decision;
        }
        if let Err(error) = group.check(member_id, instance_id.as_deref()) {
            return failed(ticket, member_id, error);
        }
        let same = group.members.get(&**member_id).is_some_and(|m| m.protocols == asked.protocols);
        let rejoins = match group.state {
            State::PreparingRebalance => true,
            State::CompletingRebalance => !same,
            State::Stable => !same || group.is_leader(member_id),
            State::Empty => return failed(ticket, member_id, ErrorCode::UnknownMemberId),
        };
        if rejoins {
            self.join_again(ticket, asked, member_id, &mut decision);
            self.rebalance_or_complete(context, name, &mut decision);
        } else {
            // The answer to its join was lost: here it is again.
            let mut joined = group.joined(member_id);
            if group.state == State::Stable {
                joined.members.clear();
            }
            decision.replies.push((ticket, Ok(GroupReply::Join(joined))));
        }
        decision
    }

    fn add(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: &JoinGroup,
        id: &str,
        decision: &mut Decided,
    ) {
        let mut member = GroupMember::new(id, asked);
        member.is_new = true;
        member.joining = Some(ticket);
        member.expires = context.now + NEW_MEMBER_TIMEOUT;
        let name = &asked.member.group;
        let Some(group) = self.classic(name) else { return };
        if group.members.is_empty() {
            group.protocol_type = Some(asked.protocol_type.clone());
        }
        group.new_member_added |= group.initial_left.is_some();
        let due = Due::Session(Arc::clone(&group.name), Arc::clone(&member.id));
        let expires = member.expires;
        group.insert(member);
        self.timers.set(due, expires);
        self.rebalance_or_complete(context, name, decision);
    }

    fn join_again(&mut self, ticket: Ticket, asked: &JoinGroup, id: &str, decision: &mut Decided) {
        let Some(group) = self.classic(&asked.member.group) else { return };
        let Some(member) = group.members.get_mut(id) else { return };
        let known = member.clone();
        *member = GroupMember {
            assignment: known.assignment,
            is_new: known.is_new,
            expires: known.expires,
            syncing: known.syncing,
            joining: Some(ticket),
            ..GroupMember::new(id, asked)
        };
        if let Some(before) = known.joining {
            // Its client gave that one up.
            let joined = Joined::failed(id, ErrorCode::RebalanceInProgress);
            decision.replies.push((before, Ok(GroupReply::Join(joined))));
        }
    }

    /// A static member comes back under a new id (KIP-345); the old one is fenced.
    fn replace_static(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: &JoinGroup,
        (old, fresh): (&str, &str),
        decision: &mut Decided,
    ) {
        let name = asked.member.group.clone();
        let Some(group) = self.classic(&name) else { return };
        let group_name = Arc::clone(&group.name);
        let was_leader = group.is_leader(old);
        let was_syncing = group.pending_syncs.contains(old);
        let Some(at) = group.members.get_index_of(old) else { return };
        let Some(known) = group.remove(old) else { return };
        fence(&known, decision);
        let mut member = GroupMember::new(fresh, asked);
        member.assignment = known.assignment;
        let timeout = milliseconds(asked.session_timeout_ms);
        member.expires = context.now + timeout;
        let id = Arc::clone(&member.id);
        group.insert(member);
        let last = group.members.len() - 1;
        group.members.move_index(last, at);
        if was_leader {
            group.leader = Some(Arc::clone(&id));
        }
        if was_syncing {
            group.pending_syncs.insert(Arc::clone(&id));
        }
        let is_unchanged =
            group.state == State::Stable && group.select_protocol() == group.protocol;
        self.timers.cancel(&Due::Session(Arc::clone(&group_name), Arc::from(old)));
        self.timers.set(Due::Session(group_name, id), context.now + timeout);
        if !is_unchanged {
            self.join_again(ticket, asked, fresh, decision);
            self.rebalance_or_complete(context, &name, decision);
            return;
        }
        let Some(group) = self.classic(&name) else { return };
        let mut joined = group.joined(fresh);
        if was_leader && asked.can_skip_assignment {
            joined.skip_assignment = true; // It leads, and what it assigned holds (KIP-814).
        } else {
            joined.members.clear();
            if was_leader {
                // Told of another leader, it does not assign.
                old.clone_into(&mut joined.leader);
            }
        }
        decision.records.push(group.to_record());
        decision.replies.push((ticket, Ok(GroupReply::Join(joined))));
    }

    /// SyncGroup.
    pub(super) fn sync(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: SyncGroup,
    ) -> Decided {
        let MemberRef { group: name, member_id: id, instance_id, generation } = &asked.member;
        if let Some(Group::Consumer(_)) = self.groups.get(name) {
            return self.sync_consumer(context, ticket, asked);
        }
        let Some(group) = self.classic(name) else {
            return Decision::answer(ticket, Err(ErrorCode::UnknownMemberId));
        };
        let differs = |said: &Option<String>, is: &Option<String>| said.is_some() && said != is;
        let checked = group.check(id, instance_id.as_deref()).and_then(|()| {
            if *generation != group.generation {
                Err(ErrorCode::IllegalGeneration)
            } else if differs(&asked.protocol_type, &group.protocol_type)
                || differs(&asked.protocol_name, &group.protocol)
            {
                Err(ErrorCode::InconsistentGroupProtocol)
            } else {
                match group.state {
                    State::Empty => Err(ErrorCode::UnknownMemberId),
                    State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
                    State::CompletingRebalance | State::Stable => Ok(()),
                }
            }
        });
        if let Err(error) = checked {
            return Decision::answer(ticket, Err(error));
        }
        group.pending_syncs.remove(&**id);
        let all_synced = group.pending_syncs.is_empty();
        let group_name = Arc::clone(&group.name);
        let is_leader = group.is_leader(id);
        let is_stable = group.state == State::Stable;
        let mut decision = Decision::default();
        if let Some(member) = group.members.get_mut(&**id)
            && let Some(before) = member.syncing.replace(ticket)
        {
            decision.replies.push((before, Err(ErrorCode::RebalanceInProgress)));
        }
        if is_stable {
            let synced = synced(group, id);
            if let Some(member) = group.members.get_mut(&**id) {
                member.syncing = None;
            }
            decision.replies.push((ticket, Ok(GroupReply::Sync(synced))));
            self.alive(context, name, id);
        } else if is_leader {
            let mut assignments: std::collections::BTreeMap<String, Bytes> =
                asked.assignments.into_iter().collect();
            for member in group.members.values_mut() {
                member.assignment = assignments.remove(&*member.id).unwrap_or_default();
            }
            group.enter(State::Stable, context.wall);
            decision.records.push(group.to_record());
            decision.undo = Some(Undo(Kept::Rebalance(name.clone())));
            let ids: Vec<Arc<str>> = group.members.keys().cloned().collect();
            for id in ids {
                let Some(group) = self.classic(name) else { break };
                let waiting = group.members.get_mut(&id).and_then(|member| member.syncing.take());
                if let Some(waiting) = waiting {
                    let synced = synced(group, &id);
                    decision.replies.push((waiting, Ok(GroupReply::Sync(synced))));
                    self.alive(context, name, &id);
                }
            }
        }
        if all_synced {
            self.timers.cancel(&Due::Sync(group_name));
        }
        decision
    }

    /// Heartbeat.
    pub(super) fn heartbeat(
        &mut self,
        context: &ShardContext,
        asked: &MemberRef,
    ) -> Result<(), ErrorCode> {
        if let Some(Group::Consumer(_)) = self.groups.get(&asked.group) {
            return self.heartbeat_consumer(context, asked);
        }
        let group = self.classic(&asked.group).ok_or(ErrorCode::UnknownMemberId)?;
        group.check(&asked.member_id, asked.instance_id.as_deref())?;
        if asked.generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let state = group.state;
        self.alive(context, &asked.group, &asked.member_id);
        match state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// LeaveGroup.
    pub(super) fn leave(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: LeaveGroup,
    ) -> Decided {
        match self.groups.get(&asked.group) {
            Some(Group::Classic(_)) => {}
            Some(Group::Consumer(_)) => return self.leave_consumer(context, ticket, asked),
            None => return Decision::answer(ticket, Err(ErrorCode::UnknownMemberId)),
        }
        let mut decision = Decision::default();
        let mut left = Vec::with_capacity(asked.members.len());
        let mut has_changed = false;
        for member in asked.members {
            let result = self.leave_one(&asked.group, &member, &mut decision);
            has_changed |= result.is_ok();
            left.push((member, result.err().unwrap_or(ErrorCode::None)));
        }
        if has_changed {
            self.after_removal(context, &asked.group, &mut decision);
        }
        decision.replies.push((ticket, Ok(GroupReply::Left(left))));
        decision
    }

    fn leave_one(
        &mut self,
        name: &str,
        leaving: &LeavingMember,
        decision: &mut Decided,
    ) -> Result<(), ErrorCode> {
        let group = self.classic(name).ok_or(ErrorCode::UnknownMemberId)?;
        let group_name = Arc::clone(&group.name);
        let instance = leaving.instance_id.as_deref();
        let id: Arc<str> = if leaving.member_id.is_empty() {
            let known = instance.and_then(|instance| group.instances.get(instance));
            Arc::clone(known.ok_or(ErrorCode::UnknownMemberId)?)
        } else {
            Arc::from(&*leaving.member_id)
        };
        if group.pending_joins.remove(&id) {
            self.timers.cancel(&Due::PendingJoin(group_name, id));
            return Ok(());
        }
        group.check(&id, instance)?;
        self.remove(name, &id, decision);
        Ok(())
    }

    /// Takes a member out and tells it so.
    fn remove(&mut self, name: &str, id: &str, decision: &mut Decided) {
        let Some(group) = self.classic(name) else { return };
        let group_name = Arc::clone(&group.name);
        let Some(member) = group.remove(id) else { return };
        let error = ErrorCode::UnknownMemberId;
        if let Some(ticket) = member.joining {
            decision.replies.push((ticket, Ok(GroupReply::Join(Joined::failed(id, error)))));
        }
        if let Some(ticket) = member.syncing {
            decision.replies.push((ticket, Err(error)));
        }
        self.timers.cancel(&Due::Session(group_name, member.id));
    }

    fn after_removal(&mut self, context: &ShardContext, name: &str, decision: &mut Decided) {
        let Some(group) = self.classic(name) else { return };
        match group.state {
            State::Stable | State::CompletingRebalance => {
                self.prepare_rebalance(context, name, decision);
            }
            State::PreparingRebalance => self.maybe_complete_join(context, name, decision),
            State::Empty => {}
        }
    }

    fn rebalance_or_complete(
        &mut self,
        context: &ShardContext,
        name: &str,
        decision: &mut Decided,
    ) {
        let Some(group) = self.classic(name) else { return };
        if group.state == State::PreparingRebalance {
            self.maybe_complete_join(context, name, decision);
        } else {
            self.prepare_rebalance(context, name, decision);
        }
    }

    pub(super) fn prepare_rebalance(
        &mut self,
        context: &ShardContext,
        name: &str,
        decision: &mut Decided,
    ) {
        let delay = self.config.initial_rebalance_delay;
        let Some(group) = self.classic(name) else { return };
        if group.state == State::CompletingRebalance {
            for member in group.members.values_mut() {
                member.assignment = Bytes::new();
                if let Some(ticket) = member.syncing.take() {
                    decision.replies.push((ticket, Err(ErrorCode::RebalanceInProgress)));
                }
            }
        }
        let is_initial = group.state == State::Empty;
        group.enter(State::PreparingRebalance, context.wall);
        let name = Arc::clone(&group.name);
        let timeout = group.rebalance_timeout();
        group.initial_left = is_initial.then(|| timeout.saturating_sub(delay));
        group.new_member_added = false;
        self.timers.cancel(&Due::Sync(Arc::clone(&name)));
        let wait = if is_initial { delay } else { timeout };
        self.timers.set(Due::Join(Arc::clone(&name)), context.now + wait);
        self.maybe_complete_join(context, &name, decision);
    }

    /// All have joined: the next generation begins. One that begins from nothing waits for more.
    pub(super) fn maybe_complete_join(
        &mut self,
        context: &ShardContext,
        name: &str,
        decision: &mut Decided,
    ) {
        let Some(group) = self.classic(name) else { return };
        let is_due = group.state == State::PreparingRebalance
            && group.initial_left.is_none()
            && group.all_joined();
        if is_due {
            self.complete_join(context, name, decision);
        }
    }

    pub(super) fn join_time_over(
        &mut self,
        context: &ShardContext,
        name: &str,
        decision: &mut Decided,
    ) {
        let delay = self.config.initial_rebalance_delay;
        let Some(group) = self.classic(name) else { return };
        if let Some(left) = group.initial_left
            && group.new_member_added
            && !left.is_zero()
        {
            group.new_member_added = false;
            group.initial_left = Some(left.saturating_sub(delay));
            let due = Due::Join(Arc::clone(&group.name));
            self.timers.set(due, context.now + delay.min(left));
            return;
        }
        self.complete_join(context, name, decision);
    }

    fn complete_join(&mut self, context: &ShardContext, name: &str, decision: &mut Decided) {
        let Some(group) = self.classic(name) else { return };
        if group.state != State::PreparingRebalance {
            return;
        }
        group.initial_left = None;
        let gone =
            group.members.values().filter(|m| m.joining.is_none() && m.instance_id.is_none());
        let gone: Vec<Arc<str>> = gone.map(|member| Arc::clone(&member.id)).collect();
        for id in gone {
            self.remove(name, &id, decision);
        }
        let Some(group) = self.classic(name) else { return };
        let group_name = Arc::clone(&group.name);
        let timeout = group.rebalance_timeout();
        let has_joined = |id: &Arc<str>| group.members.get(id).is_some_and(|m| m.joining.is_some());
        if !group.leader.as_ref().is_some_and(has_joined) {
            let next = group.members.values().find(|m| m.joining.is_some());
            if let Some(next) = next.map(|member| Arc::clone(&member.id)) {
                group.leader = Some(next);
            } else if !group.members.is_empty() {
                // Only static members, and none has come yet: they have as long again.
                self.timers.set(Due::Join(group_name), context.now + timeout);
                return;
            }
        }
        group.generation = group.generation.wrapping_add(1).max(1);
        group.pending_syncs.clear();
        self.timers.cancel(&Due::Join(Arc::clone(&group_name)));
        let Some(group) = self.classic(name) else { return };
        if group.members.is_empty() {
            group.protocol = None;
            group.leader = None;
            group.enter(State::Empty, context.wall);
            decision.records.push(group.to_record());
            return;
        }
        group.protocol = group.select_protocol();
        group.enter(State::CompletingRebalance, context.wall);
        let ids: Vec<Arc<str>> = group.members.keys().cloned().collect();
        for id in &ids {
            let Some(group) = self.classic(name) else { return };
            group.pending_syncs.insert(Arc::clone(id));
            let joined = group.joined(id);
            if let Some(member) = group.members.get_mut(id) {
                member.is_new = false;
                if let Some(ticket) = member.joining.take() {
                    decision.replies.push((ticket, Ok(GroupReply::Join(joined))));
                    self.alive(context, name, id);
                }
            }
        }
        self.timers.set(Due::Sync(group_name), context.now + timeout);
    }

    pub(super) fn sync_time_over(
        &mut self,
        context: &ShardContext,
        name: &str,
        decision: &mut Decided,
    ) {
        let Some(group) = self.classic(name) else { return };
        if !matches!(group.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        let late: Vec<Arc<str>> = group.pending_syncs.iter().cloned().collect();
        if late.is_empty() {
            return;
        }
        for id in late {
            self.remove(name, &id, decision);
        }
        self.prepare_rebalance(context, name, decision);
    }

    /// A member was heard of.
    pub(super) fn alive(&mut self, context: &ShardContext, name: &str, id: &str) {
        let Some(group) = self.classic(name) else { return };
        let group_name = Arc::clone(&group.name);
        let Some(member) = group.members.get_mut(id) else { return };
        let before = member.expires;
        member.expires = context.now + milliseconds(member.session_timeout_ms);
        let (id, expires) = (Arc::clone(&member.id), member.expires);
        // A later deadline is looked up when the earlier one has passed.
        if expires < before || before <= context.now {
            self.timers.set(Due::Session(group_name, id), expires);
        }
    }

    pub(super) fn session_over(
        &mut self,
        context: &ShardContext,
        name: &str,
        id: &str,
        decision: &mut Decided,
    ) {
        let Some(group) = self.classic(name) else { return };
        let Some(member) = group.members.get(id) else { return };
        let due = Due::Session(Arc::clone(&group.name), Arc::clone(&member.id));
        let waits = !member.is_new && (member.joining.is_some() || member.syncing.is_some());
        if member.expires > context.now || waits {
            let again = context.now + milliseconds(member.session_timeout_ms.max(1));
            let at = if waits { again } else { member.expires };
            self.timers.set(due, at);
            return;
        }
        self.remove(name, id, decision);
        self.after_removal(context, name, decision);
    }
}

fn synced(group: &ClassicGroup, id: &str) -> Synced {
    Synced {
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol.clone(),
        assignment: group.members.get(id).map(|m| m.assignment.clone()).unwrap_or_default(),
    }
}

/// Whoever used the id before is told that it is another's.
fn fence(member: &GroupMember, decision: &mut Decided) {
    let error = ErrorCode::FencedInstanceId;
    if let Some(ticket) = member.joining {
        decision.replies.push((ticket, Ok(GroupReply::Join(Joined::failed(&member.id, error)))));
    }
    if let Some(ticket) = member.syncing {
        decision.replies.push((ticket, Err(error)));
    }
}

/// Whether a group of limited size has room for whoever joins (Kafka 4.4
/// `GroupMetadataManager.acceptJoiningMember`).
fn accepts(group: &ClassicGroup, id: &str, members_max: usize) -> bool {
    let joining = || group.members.values().filter(|member| member.joining.is_some()).count();
    let is_waiting = || group.members.get(id).is_some_and(|member| member.joining.is_some());
    match group.state {
        State::Empty => true,
        State::PreparingRebalance => {
            group.members.contains_key(id) && is_waiting() || joining() < members_max
        }
        State::CompletingRebalance | State::Stable => {
            group.members.contains_key(id) || group.members.len() < members_max
        }
    }
}
