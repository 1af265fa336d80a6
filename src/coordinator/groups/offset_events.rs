//! Commits, look-ups, deletions and expiry of offsets (Kafka 4.4 `OffsetMetadataManager`,
//! `OffsetExpirationConditionImpl`).

use super::classic::{ClassicGroup, State};
use super::command::{CommitOffsets, DeleteOffsets, FetchOffsets, FetchedOffset, GroupReply};
use super::offsets::{Committed, tombstone};
use super::{Decided, Group, Groups};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::classic::{OffsetCommitKey, OffsetCommitValue};
use crate::coordinator::{Decision, ShardContext, Ticket};
use crate::types::{ErrorCode, TopicId, Uuid};

impl Groups {
    /// OffsetCommit.
    pub(super) fn commit(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        asked: CommitOffsets,
    ) -> Decided {
        let CommitOffsets { member, producer, retention_ms, says_no_group, topics } = asked;
        let name = &member.group;
        let checked = match self.groups.get(name) {
            None if member.generation >= 0 && says_no_group => Err(ErrorCode::GroupIdNotFound),
            None if member.generation >= 0 => Err(ErrorCode::IllegalGeneration),
            None => Ok(()),
            Some(Group::Classic(group)) => check_commit(group, &member, producer.is_some()),
            Some(Group::Consumer(group)) => {
                let partitions: Vec<(TopicId, Vec<i32>)> = topics
                    .iter()
                    .map(|(_, id, offsets)| (*id, offsets.iter().map(|o| o.partition).collect()))
                    .collect();
                let asks_as_nobody = member.generation < 0
                    && (group.is_empty()
                        || producer.is_some()
                            && member.member_id.is_empty()
                            && member.instance_id.is_none());
                if asks_as_nobody {
                    Ok(())
                } else {
                    let is_new_version = says_no_group || producer.is_some();
                    let partitions = partitions.iter().map(|(id, at)| (*id, &**at));
                    let checked = group.check_commit(
                        &member.member_id,
                        member.generation,
                        is_new_version,
                        partitions,
                    );
                    checked.map_err(|error| match error {
                        // Commits in transactions had no other code before they could say so.
                        ErrorCode::StaleMemberEpoch if producer.is_some() && !says_no_group => {
                            ErrorCode::IllegalGeneration
                        }
                        error => error,
                    })
                }
            }
        };
        if let Err(error) = checked {
            return Decision::answer(ticket, Err(error));
        }
        let simple = || Group::Classic(ClassicGroup::new(name, context.wall));
        self.groups.entry(name.clone()).or_insert_with(simple);
        if producer.is_none() {
            self.alive(context, name, &member.member_id);
        }
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(topics.len());
        for (topic, topic_id, offsets) in topics {
            let mut partitions = Vec::with_capacity(offsets.len());
            for offset in offsets {
                if offset.metadata.len() > self.config.metadata_max_bytes {
                    partitions.push((offset.partition, ErrorCode::OffsetMetadataTooLarge));
                    continue;
                }
                partitions.push((offset.partition, ErrorCode::None));
                let key = OffsetCommitKey {
                    group: name.clone(),
                    topic: topic.clone(),
                    partition: offset.partition,
                };
                let value = OffsetCommitValue {
                    offset: offset.offset,
                    leader_epoch: offset.leader_epoch,
                    metadata: offset.metadata,
                    commit_timestamp: context.wall.0,
                    expire_timestamp: retention_ms
                        .map_or(-1, |ms| context.wall.0.saturating_add(ms)),
                    topic_id,
                };
                records.push(GroupRecord::OffsetCommit(key, Some(value)));
            }
            results.push((topic, partitions));
        }
        let written = Decision::write(records, ticket, Ok(GroupReply::Partitions(results)));
        Decision { producer, ..written }
    }

    /// OffsetFetch.
    pub(super) fn fetch(
        &self,
        context: &ShardContext,
        asked: &FetchOffsets,
    ) -> Result<Vec<(String, Vec<FetchedOffset>)>, ErrorCode> {
        if let Some(Group::Consumer(group)) = self.groups.get(&asked.group) {
            group.check_fetch(asked.member_id.as_deref(), asked.member_epoch)?;
        }
        let one = |topic: &str, partition: i32| {
            let unstable =
                asked.require_stable && self.offsets.is_unstable(&asked.group, topic, partition);
            let known = self.offsets.of(&asked.group, topic, partition);
            let error = if unstable { ErrorCode::UnstableOffsetCommit } else { ErrorCode::None };
            match known.filter(|known| !unstable && is_of_topic(context, topic, known)) {
                None => FetchedOffset {
                    partition,
                    offset: -1,
                    leader_epoch: -1,
                    metadata: String::new(),
                    error,
                },
                Some(Committed { value, .. }) => FetchedOffset {
                    partition,
                    offset: value.offset,
                    leader_epoch: value.leader_epoch,
                    metadata: value.metadata.clone(),
                    error,
                },
            }
        };
        Ok(match &asked.topics {
            Some(topics) => {
                let told = topics.iter().map(|(topic, partitions)| {
                    (topic.clone(), partitions.iter().map(|at| one(topic, *at)).collect())
                });
                told.collect()
            }
            None => {
                let known = self.offsets.of_group(&asked.group).into_iter().flatten();
                let told = known.map(|(topic, partitions)| {
                    (topic.clone(), partitions.keys().map(|at| one(topic, *at)).collect())
                });
                told.collect()
            }
        })
    }

    /// OffsetDelete.
    pub(super) fn delete_offsets(&mut self, ticket: Ticket, asked: &DeleteOffsets) -> Decided {
        let Some(group) = self.groups.get(&asked.group) else {
            return Decision::answer(ticket, Err(ErrorCode::GroupIdNotFound));
        };
        if let Group::Classic(group) = group {
            let is_consumer = group.protocol_type.as_deref() == Some("consumer");
            if group.state != State::Empty && !is_consumer {
                return Decision::answer(ticket, Err(ErrorCode::NonEmptyGroup));
            }
        }
        let subscribed: Vec<bool> =
            asked.topics.iter().map(|(topic, _)| group.is_subscribed(topic)).collect();
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(asked.topics.len());
        for ((topic, partitions), subscribed) in asked.topics.iter().zip(subscribed) {
            let error =
                if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            for partition in partitions.iter().filter(|_| !subscribed) {
                let is_known = self.offsets.of(&asked.group, topic, *partition).is_some();
                if is_known || self.offsets.is_unstable(&asked.group, topic, *partition) {
                    records.push(tombstone(&asked.group, topic, *partition));
                }
            }
            results.push((topic.clone(), partitions.iter().map(|at| (*at, error)).collect()));
        }
        Decision::write(records, ticket, Ok(GroupReply::Partitions(results)))
    }

    /// Offsets that nobody has needed for too long, and groups that have nothing else (KIP-211).
    pub(super) fn expired(&mut self, context: &ShardContext) -> Vec<GroupRecord> {
        let retention = self.config.offsets_retention_ms;
        let mut records = Vec::new();
        for (name, group) in &self.groups {
            let mut keeps = self.offsets.has_pending(name);
            for (topic, partitions) in self.offsets.of_group(name).into_iter().flatten() {
                // An empty group keeps its offsets since it became so; one that never had members,
                // and one that reads other topics now, since they were committed.
                let (emptied_at, is_in_use) = match group {
                    Group::Classic(group) => {
                        let has_emptied =
                            group.state == State::Empty && group.protocol_type.is_some();
                        let is_in_use = group.state != State::Empty
                            && (group.state != State::Stable
                                || group.protocol_type.as_deref() != Some("consumer")
                                || group.is_subscribed(topic));
                        (has_emptied.then_some(group.since.0), is_in_use)
                    }
                    Group::Consumer(group) => (None, group.is_subscribed(topic)),
                };
                for (partition, Committed { value, .. }) in partitions {
                    let since = emptied_at
                        .map_or(value.commit_timestamp, |at| at.max(value.commit_timestamp));
                    let is_over = match value.expire_timestamp {
                        -1 => context.wall.0.saturating_sub(since) >= retention,
                        until => context.wall.0 >= until,
                    };
                    let is_unstable = self.offsets.is_unstable(name, topic, *partition);
                    if is_over && !is_in_use && !is_unstable {
                        records.push(tombstone(name, topic, *partition));
                    } else {
                        keeps = true;
                    }
                }
            }
            if !keeps && group.is_empty() {
                records.extend(group.tombstones(name));
            }
        }
        records
    }
}

/// An offset of a topic that was deleted, and created anew, is none of the new one's.
fn is_of_topic(context: &ShardContext, topic: &str, known: &Committed) -> bool {
    let id = known.value.topic_id;
    id == Uuid::ZERO || context.image.topics.by_name(topic).is_none_or(|now| now.id == id)
}

fn check_commit(
    group: &ClassicGroup,
    member: &MemberRef,
    in_transaction: bool,
) -> Result<(), ErrorCode> {
    let is_nobody = member.member_id.is_empty() && member.instance_id.is_none();
    if member.generation < 0 && group.state == State::Empty {
        return Ok(()); // A consumer that assigns itself, or a tool.
    }
    if member.generation < 0 && is_nobody {
        if in_transaction {
            return Ok(()); // Old versions do not say who commits.
        }
        return Err(ErrorCode::UnknownMemberId);
    }
    group.check(&member.member_id, member.instance_id.as_deref())?;
    if member.generation != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    if group.state == State::CompletingRebalance && !in_transaction {
        return Err(ErrorCode::RebalanceInProgress);
    }
    Ok(())
}
