//! Groups that move between the protocols while they have members, as
//! `group.consumer.migration.policy` lets them (KIP-848, Kafka 4.4
//! `GroupMetadataManager.convertToConsumerGroup`, `convertToClassicGroup`).
//!
//! A classic group of consumers becomes a consumer group when a member of the consumer protocol
//! joins it; its members go on as members that speak the classic protocol. When the last member of
//! the consumer protocol is gone, or has come back with the classic one, the group becomes a classic
//! group again, and its members are made to join it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::assignment::Owned;
use super::command::Refused;
use super::group::{ConsumerGroup, RegexPatterns, epoch_record, target_epoch_record};
use super::hash::TopicHashes;
use super::member::{ConsumerMember, MemberState};
use super::target::target_record;
use crate::config::MigrationPolicy;
use crate::coordinator::ShardContext;
use crate::coordinator::groups::classic::{ClassicGroup, GroupMember, State};
use crate::coordinator::groups::{embedded, group_tombstone};
use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::consumer::{ClassicMemberMetadata, ClassicProtocol};
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, Mono};

/// The protocol type of consumers.
pub(super) const PROTOCOL_TYPE: &str = "consumer";

/// Whether a classic group may become a consumer group of so many members.
pub(super) fn check_upgrade(
    group: &ClassicGroup,
    policy: MigrationPolicy,
    members_max: usize,
) -> Result<(), Refused> {
    let because = if !policy.upgrade {
        "online upgrade is disabled"
    } else if group.protocol_type.as_deref() != Some(PROTOCOL_TYPE) {
        "the group does not use the consumer embedded protocol"
    } else if group.members.len() > members_max {
        "the group size exceeds the consumer group maximum size"
    } else {
        return Ok(());
    };
    Err(no_upgrade(group, because))
}

fn no_upgrade(group: &ClassicGroup, because: &str) -> Refused {
    let message =
        format!("Cannot upgrade classic group {} to consumer group because {because}.", group.name);
    Refused::new(ErrorCode::GroupIdNotFound, message)
}

/// The consumer group that a classic group becomes, and the records that say so: each member has
/// what it was last given, and the generation is its epoch.
pub(super) fn upgrade(
    classic: &ClassicGroup,
    hashes: &mut TopicHashes,
    image: &MetadataImage,
) -> Result<(ConsumerGroup, Vec<GroupRecord>), Refused> {
    let mut group = ConsumerGroup::new(&classic.name);
    (group.epoch, group.target_epoch) = (classic.generation, classic.generation);
    // Until the first generation no protocol was selected.
    let selected = classic.protocol.clone().or_else(|| classic.select_protocol());
    for member in classic.members.values() {
        let malformed = "the embedded consumer protocol is malformed";
        let metadata = member.metadata(selected.as_deref());
        let subscription =
            embedded::subscription(&metadata).ok_or_else(|| no_upgrade(classic, malformed))?;
        let target = if member.assignment.is_empty() {
            Arc::default()
        } else {
            let given = embedded::given(&member.assignment);
            let given = given.ok_or_else(|| no_upgrade(classic, malformed))?;
            if given.user_data.is_some_and(|data| !data.is_empty()) {
                let because = "an unsupported custom assignor is in use. Please refer to the \
                               documentation or switch to a default assignor before \
                               re-attempting the upgrade";
                return Err(no_upgrade(classic, because));
            }
            Arc::new(embedded::by_id(&given.assigned_partitions, image))
        };
        let since = classic.generation;
        let owned: Owned = target
            .iter()
            .map(|(topic, partitions)| {
                (*topic, partitions.iter().map(|partition| (*partition, since)).collect())
            })
            .collect();
        let upgraded = ConsumerMember {
            instance_id: member.instance_id.clone(),
            rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            names: Arc::new(subscription.topics.into_iter().collect()),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            classic: Some(classic_metadata(member.session_timeout_ms, &member.protocols)),
            epoch: classic.generation,
            previous_epoch: classic.generation,
            state: MemberState::Stable,
            assigned: Arc::new(owned),
            ..ConsumerMember::new(Arc::clone(&member.id))
        };
        group.targets.insert(Arc::clone(&member.id), target);
        group.insert(upgraded);
    }
    group.metadata_hash = hashes.of(image, group.topics_with(&[], None, &RegexPatterns::new()));

    let mut records = vec![group_tombstone(&group.name)];
    records.extend(group.members.values().map(|member| member.metadata_record(&group.name)));
    records.push(epoch_record(&group.name, group.epoch, group.metadata_hash));
    let targets = group.targets.iter();
    records.extend(targets.map(|(member, target)| target_record(&group.name, member, target)));
    records.push(target_epoch_record(&group.name, group.target_epoch, group.target_at));
    records.extend(group.members.values().map(|member| member.assignment_record(&group.name)));
    Ok((group, records))
}

/// What is kept of a member's classic protocol.
pub(super) fn classic_metadata(
    session_timeout_ms: i32,
    protocols: &[(String, Bytes)],
) -> ClassicMemberMetadata {
    let supported = protocols
        .iter()
        .map(|(name, metadata)| ClassicProtocol { name: name.clone(), metadata: metadata.clone() });
    ClassicMemberMetadata { session_timeout_ms, supported_protocols: supported.collect() }
}

/// Whether a consumer group may become a classic one once these members are gone: the others speak
/// its protocol.
pub(super) fn may_downgrade_without(
    group: &ConsumerGroup,
    gone: &[&ConsumerMember],
    policy: MigrationPolicy,
    members_max: usize,
) -> bool {
    let gone_classic = gone.iter().filter(|member| member.classic.is_some()).count();
    let left = group.members.len().saturating_sub(gone.len());
    policy.downgrade
        && left > 0
        && group.classic_count().saturating_sub(gone_classic) == left
        && left <= members_max
}

/// The same once this static member comes back with the classic protocol.
pub(super) fn may_downgrade_with(
    group: &ConsumerGroup,
    replaced: &ConsumerMember,
    policy: MigrationPolicy,
    members_max: usize,
) -> bool {
    policy.downgrade
        && replaced.classic.is_none()
        && group.classic_count() + 1 == group.members.len()
        && group.members.len() <= members_max
}

/// The classic group that a consumer group becomes without the members who are `gone`; `joined` has
/// the place of the static member of its instance. Its members' sessions begin now.
pub(super) fn downgrade(
    group: &ConsumerGroup,
    gone: &BTreeSet<Arc<str>>,
    joined: Option<&ConsumerMember>,
    context: &ShardContext,
) -> ClassicGroup {
    let mut classic = ClassicGroup::new(&group.name, context.wall);
    classic.enter(State::Stable, context.wall);
    classic.protocol_type = Some(PROTOCOL_TYPE.to_owned());
    classic.generation = group.epoch;
    let replaced = joined.and_then(|joined| group.static_member(joined.instance_id.as_deref()?));
    let is_replaced = |member: &ConsumerMember| replaced.is_some_and(|old| old.id == member.id);
    let stay = group.members.values().filter(|member| !gone.contains(&member.id));
    for member in stay.filter(|member| !is_replaced(member)).chain(joined) {
        classic.insert(classic_member(member));
    }
    classic.protocol = classic.select_protocol();
    for member in classic.members.values_mut() {
        let had = match (joined, replaced) {
            (Some(joined), Some(replaced)) if joined.id == member.id => &replaced.id,
            _ => &member.id,
        };
        let target = group.targets.get(had).cloned().unwrap_or_default();
        let subscription = member.metadata(classic.protocol.as_deref());
        member.assignment = embedded::give(&target, &context.image, &subscription);
    }
    classic
}

fn classic_member(member: &ConsumerMember) -> GroupMember {
    let classic = member.classic.clone().unwrap_or_default();
    let protocols = classic.supported_protocols.into_iter();
    GroupMember {
        id: Arc::clone(&member.id),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: protocols.map(|protocol| (protocol.name, protocol.metadata)).collect(),
        assignment: Bytes::new(),
        joining: None,
        syncing: None,
        is_new: false,
        expires: Mono::default(),
    }
}
