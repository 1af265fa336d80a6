//! The target of a group: who shall own what in its newest epoch (Kafka 4.4
//! `TargetAssignmentBuilder`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignment::{Assignment, target_to_record};
use super::assignor::{Assignor, GroupSpec, MemberSpec};
use super::group::{ConsumerGroup, RegexPatterns};
use super::member::ConsumerMember;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::consumer::{
    ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue,
};
use crate::metadata::MetadataImage;
use crate::types::TopicId;

/// Computes the target of a group in which `member` has taken the place of `replaced`. The records
/// tell what differs from the target before; the member's own comes with them.
pub(super) fn compute(
    group: &ConsumerGroup,
    image: &MetadataImage,
    assignor: Assignor,
    patterns: &RegexPatterns,
    (replaced, member): (Option<&ConsumerMember>, &ConsumerMember),
) -> (Vec<GroupRecord>, Arc<Assignment>) {
    // A static member may come back under the id that it had.
    let before = group.members.get(&member.id);
    let before = before.filter(|before| replaced.is_none_or(|old| old.id != before.id));
    let old: Vec<&ConsumerMember> = before.into_iter().chain(replaced).collect();
    let is_homogeneous = group.is_homogeneous_with(&old, member);
    let others = group.members.values();
    let others = others.filter(|other| old.iter().all(|old| old.id != other.id));
    let mut members: Vec<&ConsumerMember> = others.chain([member]).collect();
    members.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let target_of = |of: &ConsumerMember| {
        let id = if of.id == member.id { replaced.map_or(&of.id, |r| &r.id) } else { &of.id };
        group.targets.get(id).cloned()
    };
    let mut specs: Vec<MemberSpec<'_>> = Vec::with_capacity(members.len());
    for of in &members {
        // All members of a homogeneous group read the same.
        let topics = match specs.first().filter(|_| is_homogeneous) {
            Some(first) => Arc::clone(&first.topics),
            None => topics_of(image, patterns, of),
        };
        specs.push(MemberSpec {
            id: &of.id,
            instance_id: of.instance_id.as_deref(),
            topics,
            target: target_of(of).unwrap_or_default(),
        });
    }
    let known = specs.iter().flat_map(|spec| spec.topics.iter());
    let partitions: BTreeMap<TopicId, i32> = known
        .map(|topic| {
            let count = image.topics.by_id(*topic).map_or(0, |topic| topic.partitions.len());
            (*topic, i32::try_from(count).unwrap_or(i32::MAX))
        })
        .collect();
    let spec = GroupSpec { members: specs, partitions, is_homogeneous };
    let targets = assignor.assign(&spec);
    let mut own = Arc::default();
    let mut records = Vec::new();
    for (of, target) in members.iter().zip(targets) {
        if target_of(of).as_ref() != Some(&target) {
            records.push(target_record(&group.name, &of.id, &target));
        }
        if of.id == member.id {
            own = target;
        }
    }
    (records, own)
}

/// The topics that a member reads and that exist, sorted.
fn topics_of(
    image: &MetadataImage,
    patterns: &RegexPatterns,
    member: &ConsumerMember,
) -> Arc<[TopicId]> {
    let matched = member.pattern().and_then(|pattern| patterns.get(pattern));
    let names = member.names.iter().chain(matched.into_iter().flat_map(|known| &known.topics));
    let mut topics: Vec<TopicId> =
        names.filter_map(|name| image.topics.by_name(name)).map(|topic| topic.id).collect();
    topics.sort_unstable();
    topics.dedup();
    Arc::from(topics)
}

/// The record of what a member shall own.
pub(super) fn target_record(group: &str, member: &str, target: &Assignment) -> GroupRecord {
    let key = ConsumerGroupTargetAssignmentMemberKey {
        group_id: group.to_owned(),
        member_id: member.to_owned(),
    };
    let value =
        ConsumerGroupTargetAssignmentMemberValue { topic_partitions: target_to_record(target) };
    GroupRecord::ConsumerGroupTargetAssignmentMember(key, Some(value))
}
