//! What a heartbeat does to a group (Kafka 4.4 `GroupMetadataManager.consumerGroupHeartbeat`): the
//! group as it is and the request in, records and an answer out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignment::{Owned, partitions};
use super::command::{
    ConsumerHeartbeat, HeartbeatReply, JOIN_EPOCH, LEAVE_FOR_A_WHILE_EPOCH, Refused, TopicFilter,
};
use super::group::{
    ConsumerGroup, RegexPatterns, epoch_record, pattern_record, target_epoch_record,
};
use super::hash::TopicHashes;
use super::member::{ConsumerMember, MemberState, tombstones};
use super::reconcile::{ReconciliationTarget, step};
use super::regex::{ResolvedRegex, resolve};
use super::target::{compute, target_record};
use super::{ConsumerConfig, GroupTimes};
use crate::coordinator::ShardContext;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::consumer::ConsumerGroupPartitionMetadataKey;
use crate::types::{ErrorCode, Offset, PartitionIndex, TopicId};

/// Patterns are not matched again before so long after the last time (Kafka 4.4
/// `REGEX_BATCH_REFRESH_MIN_INTERVAL_MS`).
const MATCH_INTERVAL_MIN_MS: i64 = 10_000;

/// What there is beside the group.
pub(super) struct HeartbeatContext<'a> {
    pub(super) context: &'a ShardContext,
    pub(super) config: &'a ConsumerConfig,
    pub(super) times: GroupTimes,
    /// The metadata with the newest topic.
    pub(super) newest_topic_at: Offset,
}

/// What a heartbeat comes to.
pub(super) struct HeartbeatOutcome {
    pub(super) records: Vec<GroupRecord>,
    pub(super) reply: HeartbeatReply,
    pub(super) member: Arc<str>,
    /// Its time to give up partitions begins, or is no more.
    pub(super) revocation: Option<Revocation>,
    /// It took the place of this one.
    pub(super) replaced: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revocation {
    Begins(i32),
    Over,
}

/// A member, found or made, as it was before the heartbeat.
struct MemberLookup<'a> {
    member: ConsumerMember,
    /// The static member whose place it takes.
    replaced: Option<&'a ConsumerMember>,
}

pub(super) fn heartbeat(
    group: &ConsumerGroup,
    hashes: &mut TopicHashes,
    heartbeat_context: &HeartbeatContext<'_>,
    asked: &ConsumerHeartbeat,
) -> Result<HeartbeatOutcome, Refused> {
    let instance = asked.member.instance_id.as_deref();
    check_room(group, &asked.member.member_id, instance, heartbeat_context.config.members_max)?;
    let MemberLookup { member, replaced } = find(group, asked)?;
    let mut records = Vec::new();
    if let Some(old) = replaced {
        records.extend(replacement_records(group, old, &member));
    }
    let change = MemberChange {
        member: &member,
        updated: member.updated(asked),
        replaced,
        topic_filter: &asked.topic_filter,
        owned: asked.owned.as_ref(),
        keeps_target: false,
    };
    let ReconciledMember { member: updated, revocation, .. } =
        settle(group, hashes, heartbeat_context, change, &mut records)?;
    let is_full = asked.rebalance_timeout_ms.is_some()
        && (asked.names.is_some() || asked.regex.is_some())
        && asked.owned.is_some();
    let tells =
        asked.member.generation == JOIN_EPOCH || is_full || updated.assigned != member.assigned;
    let reply = HeartbeatReply {
        member_id: updated.id.to_string(),
        epoch: updated.epoch,
        heartbeat_interval_ms: heartbeat_context.times.heartbeat_interval_ms,
        assignment: tells.then(|| partitions(&updated.assigned)),
    };
    let replaced = replaced.map(|old| Arc::clone(&old.id)).filter(|old| *old != updated.id);
    Ok(HeartbeatOutcome { records, reply, member: updated.id, revocation, replaced })
}

/// The records by which a member takes the place of a static one, and what that one had.
pub(super) fn replacement_records(
    group: &ConsumerGroup,
    old: &ConsumerMember,
    member: &ConsumerMember,
) -> Vec<GroupRecord> {
    let target = group.targets.get(&old.id).cloned().unwrap_or_default();
    let mut records = Vec::from(tombstones(&group.name, &old.id));
    records.push(member.metadata_record(&group.name));
    records.push(target_record(&group.name, &member.id, &target));
    records.push(member.assignment_record(&group.name));
    records
}

/// A member that has said something of itself.
pub(super) struct MemberChange<'a> {
    /// As it was.
    pub(super) member: &'a ConsumerMember,
    /// As it says that it is.
    pub(super) updated: ConsumerMember,
    /// The static member whose place it has taken.
    pub(super) replaced: Option<&'a ConsumerMember>,
    /// What its pattern may match.
    pub(super) topic_filter: &'a TopicFilter,
    /// What it says that it has.
    pub(super) owned: Option<&'a BTreeMap<TopicId, Vec<PartitionIndex>>>,
    /// No other target is computed for it.
    pub(super) keeps_target: bool,
}

/// What a member is then.
pub(super) struct ReconciledMember {
    pub(super) member: ConsumerMember,
    pub(super) revocation: Option<Revocation>,
    /// The target is not that of the group's epoch.
    pub(super) is_behind: bool,
}

/// Takes over what a member says of itself, for members of both protocols: the epoch of the group
/// moves on if it has to, the target with it, and the member goes a step towards its own.
pub(super) fn settle(
    group: &ConsumerGroup,
    hashes: &mut TopicHashes,
    heartbeat_context: &HeartbeatContext<'_>,
    change: MemberChange<'_>,
    records: &mut Vec<GroupRecord>,
) -> Result<ReconciledMember, Refused> {
    let MemberChange { member, mut updated, replaced, topic_filter, owned, keeps_target } = change;
    let (context, image) = (heartbeat_context.context, &*heartbeat_context.context.image);
    // Whom the group counts, in the place of this member.
    let counted = replaced.or_else(|| group.members.get(&member.id));
    let counted_list: Vec<&ConsumerMember> = counted.into_iter().collect();
    let names_changed = updated.names != member.names;
    if updated != *member {
        records.push(updated.metadata_record(&group.name));
    }
    let matched = match_patterns(
        group,
        heartbeat_context,
        (member, &updated),
        &counted_list,
        topic_filter,
        records,
    )?;
    let usual = heartbeat_context.config.usual_assignor();
    let assignor = group.assignor_with(counted, Some(&updated)).unwrap_or(usual);
    let assignor_changed = assignor != group.assignor_with(None, None).unwrap_or(usual);

    let mut bumps = names_changed || matched.bumps || assignor_changed;
    let mut epoch = group.epoch;
    if bumps || group.compared_with != Some(image.offset) {
        let topics = group.topics_with(&counted_list, Some(&updated), &matched.patterns);
        let hash = hashes.of(image, topics);
        bumps |= hash != group.metadata_hash;
        if bumps {
            epoch = epoch.saturating_add(1);
            records.push(epoch_record(&group.name, epoch, hash));
        }
        if group.has_partition_metadata {
            let key = ConsumerGroupPartitionMetadataKey { group_id: group.name.to_string() };
            records.push(GroupRecord::ConsumerGroupPartitionMetadata(key, None));
        }
    }

    let known_as = replaced.map_or(&updated.id, |old| &old.id);
    let computes =
        group.target_epoch < epoch && !keeps_target && may_compute(group, heartbeat_context);
    let (target_epoch, target) = if computes {
        let (targets, own) =
            compute(group, image, assignor, &matched.patterns, (replaced, &updated));
        records.extend(targets);
        records.push(target_epoch_record(&group.name, epoch, context.wall.0));
        (epoch, own)
    } else {
        (group.target_epoch, group.targets.get(known_as).cloned().unwrap_or_default())
    };

    let is_behind = target_epoch < epoch;
    let changed = names_changed || matched.has_changed;
    let mut revocation = None;
    let steps = changed || !updated.is_reconciled_to(target_epoch);
    if steps && !(keeps_target && is_behind) {
        let next = {
            let is_subscribed =
                |topic: TopicId| reads(heartbeat_context, &matched.patterns, &updated, topic);
            let is_free = |topic: TopicId, partition: i32| {
                group.owner(topic, partition).is_none_or(|owner| *owner == updated.id)
            };
            let aim = ReconciliationTarget {
                epoch: target_epoch,
                target: &target,
                has_subscription_changed: changed,
                is_subscribed: &is_subscribed,
                is_free: &is_free,
                owned,
            };
            step(&updated, &aim)?
        };
        if next != updated {
            records.push(next.assignment_record(&group.name));
            revocation = Some(match next.state {
                MemberState::Unrevoked => Revocation::Begins(next.rebalance_timeout_ms),
                _ => Revocation::Over,
            });
            updated = next;
        }
    }
    Ok(ReconciledMember { member: updated, revocation, is_behind })
}

pub(super) fn check_room(
    group: &ConsumerGroup,
    id: &str,
    instance: Option<&str>,
    members_max: usize,
) -> Result<(), Refused> {
    let is_known = instance.is_some_and(|instance| group.instances.contains_key(instance))
        || group.members.contains_key(id);
    if is_known || group.members.len() < members_max {
        return Ok(());
    }
    let message =
        format!("The consumer group has reached its maximum capacity of {members_max} members.");
    Err(Refused::new(ErrorCode::GroupMaxSizeReached, message))
}

fn find<'a>(
    group: &'a ConsumerGroup,
    asked: &ConsumerHeartbeat,
) -> Result<MemberLookup<'a>, Refused> {
    let joins = asked.member.generation == JOIN_EPOCH;
    let id: Arc<str> = match &*asked.member.member_id {
        "" => Arc::from(&*asked.fresh_id),
        id => Arc::from(id),
    };
    let found = |member: &ConsumerMember| {
        check_epoch(member, asked)?;
        Ok(MemberLookup { member: member.clone(), replaced: None })
    };
    let Some(instance) = &asked.member.instance_id else {
        return match group.members.get(&id) {
            Some(member) => found(member),
            None if joins => Ok(MemberLookup { member: ConsumerMember::new(id), replaced: None }),
            None => Err(unknown_member(group, &id)),
        };
    };
    match group.static_member(instance) {
        None if joins => {
            let known = group.members.get(&id).cloned();
            let member = known.unwrap_or_else(|| ConsumerMember::new(id));
            Ok(MemberLookup { member, replaced: None })
        }
        Some(owner) if joins => {
            if owner.classic.is_none() && owner.epoch != LEAVE_FOR_A_WHILE_EPOCH {
                let message = format!(
                    "Static member {id} with instance id {instance} cannot join the group because \
                     the instance id is owned by {} member.",
                    owner.id
                );
                return Err(Refused::new(ErrorCode::UnreleasedInstanceId, message));
            }
            let member = ConsumerMember { id, epoch: 0, previous_epoch: 0, ..owner.clone() };
            Ok(MemberLookup { member, replaced: Some(owner) })
        }
        owner => found(check_instance(owner, instance, &id)?),
    }
}

/// The static member of an instance, if it is the one who asks.
pub(super) fn check_instance<'a>(
    owner: Option<&'a ConsumerMember>,
    instance: &str,
    id: &str,
) -> Result<&'a ConsumerMember, Refused> {
    let Some(owner) = owner else {
        let message = format!("Instance id {instance} is unknown.");
        return Err(Refused::new(ErrorCode::UnknownMemberId, message));
    };
    if *owner.id == *id {
        return Ok(owner);
    }
    let message = format!(
        "Static member {id} with instance id {instance} was fenced by member {}.",
        owner.id
    );
    Err(Refused::new(ErrorCode::FencedInstanceId, message))
}

pub(super) fn unknown_member(group: &ConsumerGroup, id: &str) -> Refused {
    let message = format!("Member {id} is not a member of group {}.", group.name);
    Refused::new(ErrorCode::UnknownMemberId, message)
}

/// Its epoch, or the one before when the answer that told it of a new one was lost and it has
/// nothing that it should not have.
fn check_epoch(member: &ConsumerMember, asked: &ConsumerHeartbeat) -> Result<(), Refused> {
    let received = asked.member.generation;
    if received == JOIN_EPOCH || received == member.epoch {
        return Ok(());
    }
    let is_behind = received < member.epoch;
    let missed_an_answer = received == member.previous_epoch
        && asked.owned.as_ref().is_some_and(|owned| {
            owned.iter().all(|(topic, partitions)| is_within(&member.assigned, *topic, partitions))
        });
    if is_behind && missed_an_answer {
        return Ok(());
    }
    let than = if is_behind { "smaller" } else { "greater" };
    let message = format!(
        "The consumer group member has a {than} member epoch ({received}) than the one known by \
         the group coordinator ({}). The member must abandon all its partitions and rejoin.",
        member.epoch
    );
    Err(Refused::new(ErrorCode::FencedMemberEpoch, message))
}

fn is_within(assigned: &Owned, topic: TopicId, partitions: &[i32]) -> bool {
    let Some(assigned) = assigned.get(&topic) else { return false };
    partitions.iter().all(|partition| assigned.contains_key(partition))
}

/// The next target may be computed: the last one is old enough.
fn may_compute(group: &ConsumerGroup, heartbeat_context: &HeartbeatContext<'_>) -> bool {
    let interval = i64::from(
        heartbeat_context
            .config
            .assignment_interval_ms(&group.name, &heartbeat_context.context.image),
    );
    group.target_at == 0
        || interval == 0
        || heartbeat_context.context.wall.0 >= group.target_at.saturating_add(interval)
}

fn reads(
    heartbeat_context: &HeartbeatContext<'_>,
    patterns: &RegexPatterns,
    member: &ConsumerMember,
    id: TopicId,
) -> bool {
    let Some(topic) = heartbeat_context.context.image.topics.by_id(id) else { return false };
    let matched = member.pattern().and_then(|pattern| patterns.get(pattern));
    member.names.contains(&*topic.name)
        || matched.is_some_and(|known| known.topics.contains(&*topic.name))
}

/// What becomes of the patterns.
struct Matched {
    patterns: RegexPatterns,
    /// The member has another pattern.
    has_changed: bool,
    /// Members read other topics for it.
    bumps: bool,
}

/// Takes note of a member's new pattern, and matches all patterns again when it is time to. They
/// are matched here and now: the member hears of its topics in this answer, where Apache Kafka
/// matches elsewhere and tells it on a later heartbeat.
fn match_patterns(
    group: &ConsumerGroup,
    heartbeat_context: &HeartbeatContext<'_>,
    (member, updated): (&ConsumerMember, &ConsumerMember),
    counted: &[&ConsumerMember],
    topic_filter: &TopicFilter,
    records: &mut Vec<GroupRecord>,
) -> Result<Matched, Refused> {
    let (image, now) = (&*heartbeat_context.context.image, heartbeat_context.context.wall);
    let mut patterns = group.patterns.clone();
    let has_changed = member.pattern() != updated.pattern();
    let (mut bumps, mut waits) = (false, false);
    if has_changed {
        if let Some(old) = member.pattern()
            && group.pattern_count(old) == 1
        {
            records.push(pattern_record(&group.name, old, None));
            patterns.remove(old);
        }
        bumps = true;
        if let Some(new) = updated.pattern()
            && !patterns.contains_key(new)
        {
            let resolved = resolve(new, image, topic_filter, now)?;
            // What matches nothing, in the place of nothing, changes nothing: the first topic will.
            bumps = member.pattern().is_some() || !resolved.topics.is_empty();
            // Where there are names too their topics come first, and what the pattern matches with the
            // next heartbeat, as on Apache Kafka, which matches apart from heartbeats.
            waits = !updated.names.is_empty();
            if !waits {
                records.push(pattern_record(&group.name, new, Some(&resolved)));
                patterns.insert(new.to_owned(), Arc::new(resolved));
            }
        }
    }
    let mut wanted: BTreeSet<&str> = group.patterns_without(counted).into_keys().collect();
    wanted.extend(updated.pattern());
    // A pattern that came alone was matched alone: the oldest match counts.
    let known = group.patterns.values();
    let last_at = known.clone().map(|known| known.at.0).min().unwrap_or(i64::MIN);
    let last_version = known.map(|known| known.version).min().unwrap_or(0);
    let is_known = wanted.iter().all(|pattern| patterns.contains_key(*pattern));
    let is_stale = last_version < heartbeat_context.newest_topic_at
        || now.0 > last_at.saturating_add(heartbeat_context.config.regex_refresh_interval_ms);
    let may_match = now.0 > last_at.saturating_add(MATCH_INTERVAL_MIN_MS)
        && image.offset >= heartbeat_context.newest_topic_at;
    if !waits
        && !wanted.is_empty()
        && (!is_known || !group.patterns.is_empty() && is_stale && may_match)
    {
        for pattern in wanted {
            let Ok(resolved) = resolve(pattern, image, topic_filter, now) else { continue };
            let matches_other = |known: &Arc<ResolvedRegex>| known.topics != resolved.topics;
            bumps |= patterns.get(pattern).map_or(!resolved.topics.is_empty(), matches_other);
            records.push(pattern_record(&group.name, pattern, Some(&resolved)));
            patterns.insert(pattern.to_owned(), Arc::new(resolved));
        }
    }
    Ok(Matched { patterns, has_changed, bumps })
}

/// The records by which members are no more: those of members who left, were silent, or did not
/// give up what they had to.
pub(super) fn remove(
    group: &ConsumerGroup,
    hashes: &mut TopicHashes,
    heartbeat_context: &HeartbeatContext<'_>,
    members: &[&ConsumerMember],
) -> Vec<GroupRecord> {
    let mut records = Vec::new();
    for member in members {
        records.extend(tombstones(&group.name, &member.id));
    }
    let wanted = group.patterns_without(members);
    let mut patterns = group.patterns.clone();
    patterns.retain(|pattern, _| {
        let is_wanted = wanted.contains_key(&**pattern);
        if !is_wanted {
            records.push(pattern_record(&group.name, pattern, None));
        }
        is_wanted
    });
    let topics = group.topics_with(members, None, &patterns);
    let hash = hashes.of(&heartbeat_context.context.image, topics);
    let epoch = group.epoch.saturating_add(1);
    records.push(epoch_record(&group.name, epoch, hash));
    if group.members.len() == members.len() {
        // An empty group's target is up to date; whoever comes next need not wait.
        records.push(target_epoch_record(&group.name, epoch, 0));
    }
    records
}

/// The record by which a static member leaves for a while: it keeps what it has, as of no epoch.
pub(super) fn leave_for_a_while(group: &ConsumerGroup, member: &ConsumerMember) -> GroupRecord {
    let mut assigned = Owned::clone(&member.assigned);
    for since in assigned.values_mut().flat_map(|partitions| partitions.values_mut()) {
        *since = 0;
    }
    let leaving = ConsumerMember {
        epoch: LEAVE_FOR_A_WHILE_EPOCH,
        assigned: Arc::new(assigned),
        revoking: Arc::default(),
        ..member.clone()
    };
    leaving.assignment_record(&group.name)
}
