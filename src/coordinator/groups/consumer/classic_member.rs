//! A member of a consumer group that speaks the classic protocol: what its JoinGroup, SyncGroup and
//! Heartbeat do (Kafka 4.4 `GroupMetadataManager.classicGroup...ToConsumerGroup`). It is told of
//! partitions to give up, and of a new epoch, by a rebalance of its own: the other members go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::Refused;
use super::group::ConsumerGroup;
use super::hash::TopicHashes;
use super::heartbeat::{
    HeartbeatContext, MemberChange, check_instance, check_room, replacement_records, settle,
    unknown_member,
};
use super::member::{ConsumerMember, MemberState};
use super::migration::{PROTOCOL_TYPE, classic_metadata, may_downgrade_with};
use crate::config::MigrationPolicy;
use crate::coordinator::groups::command::{JoinGroup, Joined, SyncGroup};
use crate::coordinator::groups::embedded::{self, Subscription};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::records::GroupRecord;
use crate::types::ErrorCode;

/// When groups become classic ones.
#[derive(Clone, Copy)]
pub(super) struct Downgrade {
    pub(super) policy: MigrationPolicy,
    /// How large they may be then.
    pub(super) members_max: usize,
}

/// What a join comes to.
pub(super) struct Join {
    pub(super) records: Vec<GroupRecord>,
    pub(super) joined: Joined,
    pub(super) member: ConsumerMember,
    /// It took the place of this one.
    pub(super) replaced: Option<Arc<str>>,
    pub(super) becomes: Becomes,
}

/// What becomes of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    Consumer,
    /// Nobody speaks the consumer protocol any more. None of the records is needed.
    Classic {
        /// Its members have not got what they shall have.
        rebalances: bool,
    },
}

fn id_of(asked: &JoinGroup) -> Arc<str> {
    let is_unknown = asked.member.member_id.is_empty();
    Arc::from(if is_unknown { &*asked.fresh_id } else { &*asked.member.member_id })
}

/// Whether there is room for whoever joins, and a protocol.
pub(super) fn check_join(
    group: &ConsumerGroup,
    asked: &JoinGroup,
    members_max: usize,
) -> Result<(), ErrorCode> {
    let instance = asked.member.instance_id.as_deref();
    check_room(group, &id_of(asked), instance, members_max).map_err(|refused| refused.error)?;
    if asked.protocol_type != PROTOCOL_TYPE || !group.supports_classic(&asked.protocols) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}

/// JoinGroup of whoever may, see [`check_join`].
pub(super) fn join(
    group: &ConsumerGroup,
    hashes: &mut TopicHashes,
    heartbeat_context: &HeartbeatContext<'_>,
    asked: &JoinGroup,
    downgrade: Downgrade,
) -> Result<Join, ErrorCode> {
    let code = |refused: Refused| refused.error;
    let is_unknown = asked.member.member_id.is_empty();
    let instance = asked.member.instance_id.as_deref();
    let id = id_of(asked);
    let owner = instance.and_then(|instance| group.static_member(instance));
    let known =
        |id: Arc<str>| group.members.get(&id).cloned().unwrap_or_else(|| ConsumerMember::new(id));
    let (member, replaced) = match (instance, owner) {
        (Some(_), Some(owner)) if is_unknown => {
            let fresh = ConsumerMember { id, epoch: 0, previous_epoch: 0, ..owner.clone() };
            (fresh, Some(owner))
        }
        (Some(instance), owner) if !is_unknown => {
            (check_instance(owner, instance, &id).map_err(code)?.clone(), None)
        }
        _ => (known(id), None),
    };
    let downgrades = owner
        .is_some_and(|old| may_downgrade_with(group, old, downgrade.policy, downgrade.members_max));
    let first = asked.protocols.first().map(|(_, metadata)| metadata);
    let subscription = first.and_then(|metadata| embedded::subscription(metadata));
    let subscription = subscription.ok_or(ErrorCode::InconsistentGroupProtocol)?;
    let owned = embedded::by_id(&subscription.owned_partitions, &heartbeat_context.context.image);
    let updated = updated(&member, asked, subscription);
    let mut records = Vec::new();
    if let Some(old) = replaced {
        records.extend(replacement_records(group, old, &member));
    }
    let change = MemberChange {
        member: &member,
        updated,
        replaced,
        topic_filter: &asked.topic_filter,
        owned: Some(&owned),
        keeps_target: downgrades,
    };
    let settled = settle(group, hashes, heartbeat_context, change, &mut records).map_err(code)?;
    let member = settled.member;
    let protocol = asked.protocols.first().map(|(name, _)| name.clone());
    let joined = Joined {
        generation: member.epoch,
        protocol_type: Some(PROTOCOL_TYPE.to_owned()),
        protocol_name: protocol,
        member_id: member.id.to_string(),
        ..Joined::default()
    };
    let becomes = if downgrades {
        Becomes::Classic { rebalances: settled.is_behind }
    } else {
        Becomes::Consumer
    };
    let replaced = replaced.map(|old| Arc::clone(&old.id)).filter(|old| *old != member.id);
    Ok(Join { records, joined, member, replaced, becomes })
}

/// The member as it says that it is now.
fn updated(
    member: &ConsumerMember,
    asked: &JoinGroup,
    subscription: Subscription,
) -> ConsumerMember {
    let timeout = Some(asked.rebalance_timeout_ms).filter(|ms| *ms != -1);
    ConsumerMember {
        instance_id: asked.member.instance_id.clone().or_else(|| member.instance_id.clone()),
        rack_id: subscription
            .rack_id
            .filter(|rack| !rack.is_empty())
            .or_else(|| member.rack_id.clone()),
        client_id: asked.client_id.clone(),
        client_host: asked.client_host.clone(),
        names: Arc::new(subscription.topics.into_iter().collect()),
        // It matches patterns by itself.
        regex: Some(String::new()),
        rebalance_timeout_ms: timeout.unwrap_or(member.rebalance_timeout_ms),
        classic: Some(classic_metadata(asked.session_timeout_ms, &asked.protocols)),
        ..member.clone()
    }
}

/// The member who asks, if it is one and speaks the classic protocol, in its epoch.
pub(super) fn who_asks<'a>(
    group: &'a ConsumerGroup,
    asked: &MemberRef,
) -> Result<&'a ConsumerMember, ErrorCode> {
    let found = match &asked.instance_id {
        None => {
            let member = group.members.get(&*asked.member_id);
            member.ok_or_else(|| unknown_member(group, &asked.member_id))
        }
        Some(instance) => check_instance(group.static_member(instance), instance, &asked.member_id),
    };
    let member = found.map_err(|refused| refused.error)?;
    if member.classic.is_none() {
        return Err(ErrorCode::UnknownMemberId);
    }
    if asked.generation != member.epoch {
        return Err(ErrorCode::IllegalGeneration);
    }
    Ok(member)
}

/// Whether the protocol is the one that the member's join was answered with.
pub(super) fn check_protocol(member: &ConsumerMember, asked: &SyncGroup) -> Result<(), ErrorCode> {
    let classic = member.classic.as_ref();
    let first = classic.and_then(|classic| classic.supported_protocols.first());
    let is_kind = asked.protocol_type.as_ref().is_none_or(|kind| kind == PROTOCOL_TYPE);
    let is_first = asked
        .protocol_name
        .as_ref()
        .is_none_or(|name| first.is_some_and(|first| first.name == *name));
    if is_kind && is_first { Ok(()) } else { Err(ErrorCode::InconsistentGroupProtocol) }
}

/// There is a newer target that the member has not joined for. One who gives up partitions for the
/// one before joins again in any case when it has.
pub(super) fn is_behind(group: &ConsumerGroup, member: &ConsumerMember) -> bool {
    group.target_epoch > member.epoch && member.state != MemberState::Unrevoked
}

/// Whether a member shall join again: for a newer target, to give up partitions, or for partitions
/// that have become free.
pub(super) fn must_join(group: &ConsumerGroup, member: &ConsumerMember) -> bool {
    member.epoch < group.target_epoch
        || match member.state {
            MemberState::Unrevoked => true,
            MemberState::Unreleased => !waits(group, member),
            MemberState::Stable | MemberState::Unknown => false,
        }
}

/// Whether anyone has a partition that the member shall have.
fn waits(group: &ConsumerGroup, member: &ConsumerMember) -> bool {
    let nothing = BTreeMap::new();
    let target = group.targets.get(&member.id).into_iter().flat_map(|target| target.iter());
    target.into_iter().any(|(topic, partitions)| {
        let has = member.assigned.get(topic).unwrap_or(&nothing);
        partitions.iter().any(|at| !has.contains_key(at) && group.owner(*topic, *at).is_some())
    })
}
