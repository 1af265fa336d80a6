//! How far a member may go towards its target (Kafka 4.4 `CurrentAssignmentBuilder`): first it gives
//! up what is not in its target, staying in its epoch until it says that it did; then it enters the
//! epoch of the target, and is given what nobody else owns any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignment::{Assignment, Owned, has};
use super::command::Refused;
use super::member::{ConsumerMember, MemberState};
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// What there is to know beside the member.
pub(super) struct ReconciliationTarget<'a> {
    pub(super) epoch: i32,
    pub(super) target: &'a Assignment,
    /// The member reads other topics than before.
    pub(super) has_subscription_changed: bool,
    /// Whether the member reads a topic.
    pub(super) is_subscribed: &'a dyn Fn(TopicId) -> bool,
    /// Whether nobody but the member owns a partition.
    pub(super) is_free: &'a dyn Fn(TopicId, PartitionIndex) -> bool,
    /// What the member says that it has.
    pub(super) owned: Option<&'a BTreeMap<TopicId, Vec<PartitionIndex>>>,
}

/// The member after a step; the same one if there is none to take.
pub(super) fn step(
    member: &ConsumerMember,
    aim: &ReconciliationTarget<'_>,
) -> Result<ConsumerMember, Refused> {
    match member.state {
        MemberState::Stable if member.epoch != aim.epoch => Ok(aim.advance(member, member.epoch)),
        MemberState::Stable if aim.has_subscription_changed => Ok(aim.drop_unsubscribed(member)),
        MemberState::Stable => Ok(member.clone()),
        MemberState::Unrevoked if aim.still_owns(&member.revoking) => {
            let changed = aim.has_subscription_changed;
            Ok(if changed { aim.drop_unsubscribed(member) } else { member.clone() })
        }
        MemberState::Unrevoked | MemberState::Unreleased => Ok(aim.advance(member, member.epoch)),
        MemberState::Unknown if aim.owned.is_some_and(BTreeMap::is_empty) => {
            Ok(aim.advance(member, aim.epoch))
        }
        MemberState::Unknown => Err(Refused::new(
            ErrorCode::FencedMemberEpoch,
            "The consumer group member is in a unknown state. The member must abandon all its \
             partitions and rejoin.",
        )),
    }
}

impl ReconciliationTarget<'_> {
    /// Whether the member has any of these, for all that it says.
    fn still_owns(&self, given_up: &Owned) -> bool {
        let Some(owned) = self.owned else { return true };
        let is_owned = |topic: &TopicId, partitions: &Vec<PartitionIndex>| {
            partitions.iter().any(|partition| has(given_up, *topic, *partition))
        };
        owned.iter().any(|(topic, partitions)| is_owned(topic, partitions))
    }

    /// Takes away at once what the member does not read any more, whatever its target says.
    fn drop_unsubscribed(&self, member: &ConsumerMember) -> ConsumerMember {
        let is_subscribed = |topic: &TopicId| (self.is_subscribed)(*topic);
        if member.assigned.keys().all(is_subscribed) {
            return member.clone();
        }
        let mut assigned = Owned::clone(&member.assigned);
        let mut revoking = Owned::clone(&member.revoking);
        for (topic, partitions) in &*member.assigned {
            if !is_subscribed(topic) {
                assigned.remove(topic);
                revoking.entry(*topic).or_default().extend(partitions.clone());
            }
        }
        let mut next = moved_to(member, member.epoch);
        next.assigned = Arc::new(assigned);
        if self.still_owns(&revoking) {
            next.state = MemberState::Unrevoked;
            next.revoking = Arc::new(revoking);
        }
        next
    }

    fn advance(&self, member: &ConsumerMember, epoch: i32) -> ConsumerMember {
        let mut assigned = Owned::new();
        let mut revoking = Owned::new();
        for (topic, partitions) in &*member.assigned {
            let target = self.target_of(*topic);
            for (partition, since) in partitions {
                let stays = target.binary_search(partition).is_ok();
                let into = if stays { &mut assigned } else { &mut revoking };
                into.entry(*topic).or_default().insert(*partition, *since);
            }
        }
        let mut next = moved_to(member, epoch);
        if !revoking.is_empty() && self.still_owns(&revoking) {
            next.state = MemberState::Unrevoked;
            (next.assigned, next.revoking) = (Arc::new(assigned), Arc::new(revoking));
            return next;
        }
        let mut waits = false;
        for topic in self.target.keys() {
            for partition in self.target_of(*topic) {
                if has(&assigned, *topic, *partition) {
                    continue;
                }
                if (self.is_free)(*topic, *partition) {
                    assigned.entry(*topic).or_default().insert(*partition, self.epoch);
                } else {
                    waits = true;
                }
            }
        }
        next.epoch = self.epoch;
        next.state = if waits { MemberState::Unreleased } else { MemberState::Stable };
        (next.assigned, next.revoking) = (Arc::new(assigned), Arc::default());
        next
    }

    fn target_of(&self, topic: TopicId) -> &[PartitionIndex] {
        let target = self.target.get(&topic).filter(|_| (self.is_subscribed)(topic));
        target.map_or(&[], Vec::as_slice)
    }
}

fn moved_to(member: &ConsumerMember, epoch: i32) -> ConsumerMember {
    ConsumerMember { epoch, previous_epoch: member.epoch, ..member.clone() }
}
