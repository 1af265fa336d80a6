//! One group of the consumer protocol, as its records make it (Kafka 4.4 `ConsumerGroup`,
//! `ModernGroup`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::assignment::{Assignment, Owned, target_of_record};
use super::assignor::Assignor;
use super::command::{DescribedConsumerGroup, DescribedConsumerMember, DescribedPartitions};
use super::member::{ConsumerMember, tombstones};
use super::regex::ResolvedRegex;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::consumer::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
};
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, Mono, Offset, PartitionIndex, Timestamp, TopicId};

/// The epoch of a group that has just come into being, and of its target.
const FIRST_EPOCH: i32 = 1;

pub(super) type RegexPatterns = BTreeMap<String, Arc<ResolvedRegex>>;

#[derive(Debug)]
pub(in crate::coordinator::groups) struct ConsumerGroup {
    pub(super) name: Arc<str>,
    /// Moves on whenever members or topics change.
    pub(super) epoch: i32,
    /// Of the topics, as they were when the epoch began.
    pub(super) metadata_hash: i64,
    /// The epoch that the target is for.
    pub(super) target_epoch: i32,
    /// When the target was computed, 0 if that does not matter.
    pub(super) target_at: i64,
    pub(super) members: BTreeMap<Arc<str>, ConsumerMember>,
    /// Ids of static members by instance.
    pub(super) instances: BTreeMap<String, Arc<str>>,
    pub(super) targets: BTreeMap<Arc<str>, Arc<Assignment>>,
    /// Who owns a partition, or has not said yet that it gave it up.
    owners: BTreeMap<TopicId, BTreeMap<PartitionIndex, Arc<str>>>,
    /// Patterns that were matched.
    pub(super) patterns: RegexPatterns,
    /// How many members have a pattern.
    pattern_counts: BTreeMap<String, usize>,
    /// How many members name a topic.
    name_counts: BTreeMap<String, usize>,
    /// How many members would have an assignor.
    assignor_counts: BTreeMap<String, usize>,
    /// How many members speak the classic protocol.
    classic_count: usize,
    /// How many of them know a protocol.
    classic_protocol_counts: BTreeMap<String, usize>,
    /// A record that this release replaces by the hash is still there.
    pub(super) has_partition_metadata: bool,
    /// Soft: members that are silent until then are removed.
    pub(super) expires: BTreeMap<Arc<str>, Mono>,
    /// Soft: the metadata that the topics were last compared with.
    pub(super) compared_with: Option<Offset>,
}

impl ConsumerGroup {
    pub(in crate::coordinator::groups) fn new(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            epoch: FIRST_EPOCH,
            metadata_hash: 0,
            target_epoch: FIRST_EPOCH,
            target_at: 0,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            targets: BTreeMap::new(),
            owners: BTreeMap::new(),
            patterns: BTreeMap::new(),
            pattern_counts: BTreeMap::new(),
            name_counts: BTreeMap::new(),
            assignor_counts: BTreeMap::new(),
            classic_count: 0,
            classic_protocol_counts: BTreeMap::new(),
            has_partition_metadata: false,
            expires: BTreeMap::new(),
            compared_with: None,
        }
    }

    pub(in crate::coordinator::groups) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What it is at, as tools print it.
    pub(in crate::coordinator::groups) fn state(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(|m| m.is_reconciled_to(self.target_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub(super) fn static_member(&self, instance: &str) -> Option<&ConsumerMember> {
        self.members.get(self.instances.get(instance)?)
    }

    pub(super) fn owner(&self, topic: TopicId, partition: PartitionIndex) -> Option<&Arc<str>> {
        self.owners.get(&topic)?.get(&partition)
    }

    /// How many members speak the classic protocol.
    pub(super) fn classic_count(&self) -> usize {
        self.classic_count
    }

    /// Whether a member with these classic protocols could be one of the group: all others that
    /// speak the classic protocol know one of them.
    pub(super) fn supports_classic(&self, protocols: &[(String, Bytes)]) -> bool {
        let known = |name: &str| self.classic_protocol_counts.get(name).copied().unwrap_or(0);
        protocols.iter().any(|(name, _)| known(name) == self.classic_count)
    }

    pub(super) fn pattern_count(&self, pattern: &str) -> usize {
        self.pattern_counts.get(pattern).copied().unwrap_or(0)
    }

    /// The patterns of the members but `old`, with how many have each.
    pub(super) fn patterns_without(&self, old: &[&ConsumerMember]) -> BTreeMap<&str, usize> {
        let mut counts: BTreeMap<&str, usize> =
            self.pattern_counts.iter().map(|(pattern, count)| (&**pattern, *count)).collect();
        for pattern in old.iter().filter_map(|member| member.pattern()) {
            if let Some(count) = counts.get_mut(pattern) {
                *count = count.saturating_sub(1);
            }
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// The topics that members name, with how many do, when `new` has taken the place of `old`.
    fn names_with<'a>(
        &'a self,
        old: &[&ConsumerMember],
        new: Option<&'a ConsumerMember>,
    ) -> BTreeMap<&'a str, usize> {
        let mut counts: BTreeMap<&str, usize> =
            self.name_counts.iter().map(|(name, count)| (&**name, *count)).collect();
        for name in old.iter().flat_map(|member| member.names.iter()) {
            if let Some(count) = counts.get_mut(&**name) {
                *count = count.saturating_sub(1);
            }
        }
        counts.retain(|_, count| *count > 0);
        for name in new.into_iter().flat_map(|member| member.names.iter()) {
            *counts.entry(name).or_default() += 1;
        }
        counts
    }

    /// The topics of the members, when `new` has taken the place of `old` and the patterns match
    /// as given.
    pub(super) fn topics_with<'a>(
        &'a self,
        old: &[&ConsumerMember],
        new: Option<&'a ConsumerMember>,
        patterns: &'a RegexPatterns,
    ) -> BTreeSet<&'a str> {
        let mut topics: BTreeSet<&str> = self.names_with(old, new).into_keys().collect();
        topics
            .extend(patterns.values().flat_map(|known| known.topics.iter().map(|topic| &**topic)));
        topics
    }

    /// Whether all members read the same topics, as far as can be told quickly, when `new` has
    /// taken the place of `old`.
    pub(super) fn is_homogeneous_with(
        &self,
        old: &[&ConsumerMember],
        new: &ConsumerMember,
    ) -> bool {
        let was_there = |member: &&&ConsumerMember| self.members.contains_key(&member.id);
        let count = self.members.len() + 1 - old.iter().filter(was_there).count();
        let names = self.names_with(old, Some(new));
        let patterns = self.patterns_without(old);
        let same = |pattern: &str| {
            let others = patterns.get(pattern).copied().unwrap_or(0);
            patterns.len() <= usize::from(others > 0) && others + 1 == count
        };
        match new.pattern() {
            None => patterns.is_empty() && names.values().all(|named| *named == count),
            Some(pattern) => names.is_empty() && same(pattern),
        }
    }

    /// The assignor that most members would have, when `new` has taken the place of `old`.
    pub(super) fn assignor_with(
        &self,
        old: Option<&ConsumerMember>,
        new: Option<&ConsumerMember>,
    ) -> Option<Assignor> {
        let name = |member: Option<&ConsumerMember>| member.and_then(|m| m.assignor.clone());
        let mut counts = self.assignor_counts.clone();
        if let Some(count) = name(old).and_then(|name| counts.get_mut(&name)) {
            *count = count.saturating_sub(1);
        }
        if let Some(name) = name(new) {
            *counts.entry(name).or_default() += 1;
        }
        let most = counts.iter().filter(|(_, count)| **count > 0).max_by_key(|(_, count)| **count);
        most.and_then(|(name, _)| Assignor::of_name(name))
    }

    /// Whether a member reads the topic.
    pub(in crate::coordinator::groups) fn is_subscribed(&self, topic: &str) -> bool {
        self.name_counts.contains_key(topic)
            || self.patterns.values().any(|known| known.topics.contains(topic))
    }

    /// Whether a member may commit offsets (Kafka 4.4 `ConsumerGroup.validateOffsetCommit`); a
    /// member of an older epoch may for what it has had since then.
    pub(in crate::coordinator::groups) fn check_commit<'a>(
        &self,
        member_id: &str,
        epoch: i32,
        is_new_version: bool,
        partitions: impl IntoIterator<Item = (TopicId, &'a [PartitionIndex])>,
    ) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        let stale = if member.classic.is_some() {
            ErrorCode::IllegalGeneration
        } else {
            ErrorCode::StaleMemberEpoch
        };
        if !is_new_version && member.classic.is_none() {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if epoch == member.epoch {
            return Ok(());
        }
        if epoch > member.epoch {
            return Err(stale);
        }
        let since = |owned: &Owned, topic: TopicId, partition: PartitionIndex| {
            owned.get(&topic).and_then(|partitions| partitions.get(&partition)).copied()
        };
        for (topic, partitions) in partitions {
            for partition in partitions {
                let given = since(&member.assigned, topic, *partition)
                    .or_else(|| since(&member.revoking, topic, *partition));
                if given.is_none_or(|given| epoch < given) {
                    return Err(stale);
                }
            }
        }
        Ok(())
    }

    /// Whether a member may look offsets up.
    pub(in crate::coordinator::groups) fn check_fetch(
        &self,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(()); // A tool.
        }
        let member = self.members.get(member_id.unwrap_or_default());
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if epoch == member.epoch {
            Ok(())
        } else if member.classic.is_some() {
            Err(ErrorCode::IllegalGeneration)
        } else {
            Err(ErrorCode::StaleMemberEpoch)
        }
    }

    /// What stands in it, members in the order in which groups are listed.
    pub(in crate::coordinator::groups) fn describe(
        &self,
        image: &MetadataImage,
        usual: Assignor,
    ) -> DescribedConsumerGroup {
        let named = |partitions: &BTreeMap<TopicId, BTreeSet<PartitionIndex>>| {
            let known = partitions.iter().filter_map(|(id, partitions)| {
                let topic = Arc::clone(&image.topics.by_id(*id)?.name);
                let partitions = partitions.iter().copied().collect();
                Some(DescribedPartitions { topic_id: *id, topic, partitions })
            });
            known.collect()
        };
        let member = |member: &ConsumerMember| {
            let mut has: BTreeMap<TopicId, BTreeSet<PartitionIndex>> = BTreeMap::new();
            for (topic, partitions) in member.assigned.iter().chain(&*member.revoking) {
                has.entry(*topic).or_default().extend(partitions.keys());
            }
            let target = self.targets.get(&member.id).into_iter().flat_map(|target| target.iter());
            let target =
                target.map(|(topic, partitions)| (*topic, partitions.iter().copied().collect()));
            DescribedConsumerMember {
                member_id: member.id.to_string(),
                instance_id: member.instance_id.clone(),
                rack_id: member.rack_id.clone(),
                epoch: member.epoch,
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                names: member.names.iter().cloned().collect(),
                regex: Some(member.regex.clone().unwrap_or_default()),
                assignment: named(&has),
                target: named(&target.collect()),
                is_classic: member.classic.is_some(),
            }
        };
        DescribedConsumerGroup {
            state: self.state(),
            epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor: self.assignor_with(None, None).unwrap_or(usual).name().to_owned(),
            members: self.members.values().rev().map(member).collect(),
        }
    }

    /// The records that make the group be no more.
    pub(in crate::coordinator::groups) fn tombstones(&self) -> Vec<GroupRecord> {
        let group_id = || self.name.to_string();
        let mut records = Vec::new();
        for member in self.members.keys() {
            records.extend(tombstones(&self.name, member));
        }
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id() };
        records.push(GroupRecord::ConsumerGroupTargetAssignmentMetadata(key, None));
        records.extend(self.patterns.keys().map(|p| pattern_record(&self.name, p, None)));
        let key = ConsumerGroupPartitionMetadataKey { group_id: group_id() };
        records.push(GroupRecord::ConsumerGroupPartitionMetadata(key, None));
        let key = ConsumerGroupMetadataKey { group_id: group_id() };
        records.push(GroupRecord::ConsumerGroupMetadata(key, None));
        records
    }

    pub(super) fn apply_member(
        &mut self,
        id: &str,
        value: Option<ConsumerGroupMemberMetadataValue>,
    ) {
        match value {
            Some(value) => self.change(id, |member| member.describe_itself(value)),
            None => self.remove(id),
        }
    }

    pub(super) fn apply_owned(
        &mut self,
        id: &str,
        value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
    ) {
        if value.is_some() || self.members.contains_key(id) {
            self.change(id, |member| member.own(value));
        }
    }

    pub(super) fn apply_target(
        &mut self,
        id: &str,
        value: Option<ConsumerGroupTargetAssignmentMemberValue>,
    ) {
        match value {
            Some(value) => {
                let target = Arc::new(target_of_record(value.topic_partitions));
                self.targets.insert(Arc::from(id), target);
            }
            None => {
                self.targets.remove(id);
            }
        }
    }

    pub(super) fn apply_target_epoch(
        &mut self,
        value: Option<ConsumerGroupTargetAssignmentMetadataValue>,
    ) {
        (self.target_epoch, self.target_at) =
            value.map_or((-1, 0), |value| (value.assignment_epoch, value.assignment_timestamp));
    }

    pub(super) fn apply_pattern(
        &mut self,
        pattern: String,
        value: Option<ConsumerGroupRegularExpressionValue>,
    ) {
        match value {
            Some(value) => {
                let resolved = ResolvedRegex {
                    topics: value.topics.into_iter().collect(),
                    version: value.version,
                    at: Timestamp(value.timestamp),
                };
                self.patterns.insert(pattern, Arc::new(resolved));
            }
            None => {
                self.patterns.remove(&pattern);
            }
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut ConsumerMember)) {
        let before = self.members.remove(id);
        if let Some(before) = &before {
            self.uncount(before);
        }
        let mut member = before.unwrap_or_else(|| ConsumerMember::new(Arc::from(id)));
        change(&mut member);
        self.count(&member);
        self.members.insert(Arc::clone(&member.id), member);
    }

    /// Someone is a member from now on.
    pub(super) fn insert(&mut self, member: ConsumerMember) {
        self.remove(&member.id);
        self.count(&member);
        self.members.insert(Arc::clone(&member.id), member);
    }

    fn remove(&mut self, id: &str) {
        if let Some(member) = self.members.remove(id) {
            self.uncount(&member);
            self.expires.remove(id);
        }
    }

    fn count(&mut self, member: &ConsumerMember) {
        for name in &*member.names {
            add(&mut self.name_counts, name);
        }
        if let Some(pattern) = member.pattern() {
            add(&mut self.pattern_counts, pattern);
        }
        if let Some(assignor) = &member.assignor {
            add(&mut self.assignor_counts, assignor);
        }
        for name in protocol_names(member) {
            add(&mut self.classic_protocol_counts, name);
        }
        self.classic_count += usize::from(member.classic.is_some());
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), Arc::clone(&member.id));
        }
        for (topic, partitions) in member.assigned.iter().chain(&*member.revoking) {
            let owners = self.owners.entry(*topic).or_default();
            owners.extend(partitions.keys().map(|at| (*at, Arc::clone(&member.id))));
        }
    }

    fn uncount(&mut self, member: &ConsumerMember) {
        for name in &*member.names {
            subtract(&mut self.name_counts, name);
        }
        if let Some(pattern) = member.pattern() {
            subtract(&mut self.pattern_counts, pattern);
        }
        if let Some(assignor) = &member.assignor {
            subtract(&mut self.assignor_counts, assignor);
        }
        for name in protocol_names(member) {
            subtract(&mut self.classic_protocol_counts, name);
        }
        self.classic_count -= usize::from(member.classic.is_some());
        if let Some(instance) = &member.instance_id
            && self.instances.get(instance) == Some(&member.id)
        {
            self.instances.remove(instance);
        }
        for (topic, partitions) in member.assigned.iter().chain(&*member.revoking) {
            let Some(owners) = self.owners.get_mut(topic) else { continue };
            for partition in partitions.keys() {
                // What has another owner by now stays with it.
                if owners.get(partition) == Some(&member.id) {
                    owners.remove(partition);
                }
            }
            if owners.is_empty() {
                self.owners.remove(topic);
            }
        }
    }
}

/// The classic protocols that a member knows, each once.
fn protocol_names(member: &ConsumerMember) -> BTreeSet<&str> {
    let known = member.classic.iter().flat_map(|classic| &classic.supported_protocols);
    known.map(|protocol| &*protocol.name).collect()
}

fn add(counts: &mut BTreeMap<String, usize>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}

fn subtract(counts: &mut BTreeMap<String, usize>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The record of what a pattern matches, or that nobody has it any more.
pub(super) fn pattern_record(
    group: &str,
    pattern: &str,
    resolved: Option<&ResolvedRegex>,
) -> GroupRecord {
    let key = ConsumerGroupRegularExpressionKey {
        group_id: group.to_owned(),
        regular_expression: pattern.to_owned(),
    };
    let value = resolved.map(|resolved| ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().cloned().collect(),
        version: resolved.version,
        timestamp: resolved.at.0,
    });
    GroupRecord::ConsumerGroupRegularExpression(key, value)
}

pub(super) fn epoch_record(group: &str, epoch: i32, metadata_hash: i64) -> GroupRecord {
    let key = ConsumerGroupMetadataKey { group_id: group.to_owned() };
    let value = ConsumerGroupMetadataValue { epoch, metadata_hash };
    GroupRecord::ConsumerGroupMetadata(key, Some(value))
}

pub(super) fn target_epoch_record(group: &str, epoch: i32, at: i64) -> GroupRecord {
    let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group.to_owned() };
    let value = ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: epoch,
        assignment_timestamp: at,
    };
    GroupRecord::ConsumerGroupTargetAssignmentMetadata(key, Some(value))
}
