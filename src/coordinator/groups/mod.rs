//! The group coordinator of one partition of `__consumer_offsets` (Kafka 4.4
//! `GroupCoordinatorShard`): groups of the classic and of the consumer protocol, and the offsets of
//! all groups.
//!
//! `command.rs` says what it is asked, `classic.rs` what a group is, `classic_events.rs` what it
//! does, `consumer/mod.rs` the same of a consumer group, `offset_events.rs` and `offsets.rs` what becomes of commits. Records of groups of other
//! kinds are passed over; the log keeps them.

mod classic;
mod classic_events;
pub mod command;
pub mod consumer;
mod embedded;
pub mod member_ref;
mod offset_events;
mod offsets;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use self::classic::{ClassicGroup, State};
use self::command::{GroupCommand, GroupReply, ListedGroup};
use self::consumer::{ConsumerConfig, ConsumerGroup, TopicHashes};
use self::offsets::Offsets;
use self::timers::{Due, Timers};
use super::records::classic::{GroupMetadataKey, OffsetCommitKey, OffsetCommitValue};
use super::records::{CoordinatorRecordError, GroupRecord};
use super::shard::{Decision, Outcome, Producer, Shard, ShardContext, Ticket};
use crate::codec::CodecError;
use crate::config::MigrationPolicy;
use crate::types::{ErrorCode, Mono, Offset};

/// A member that joins for the first time, and is kept waiting, is held for so long at most.
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_mins(5);

/// Settings of group coordinators.
#[derive(Clone)]
pub struct GroupsConfig {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`.
    pub members_max: usize,
    /// `offset.metadata.max.bytes`.
    pub metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_check_interval: Duration,
    /// `group.consumer.migration.policy`.
    pub migration: MigrationPolicy,
    /// Of consumer groups.
    pub consumer: ConsumerConfig,
}

/// A group of any kind.
#[derive(Debug)]
enum Group {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

/// The coordinator of one partition.
pub struct Groups {
    config: Arc<GroupsConfig>,
    groups: BTreeMap<String, Group>,
    offsets: Offsets,
    timers: Timers,
    /// The metadata with the newest topic: patterns that were matched before are matched again.
    newest_topic_at: Offset,
    topic_hashes: TopicHashes,
    /// Records are decided here from now on: what a group is at stands in its soft state, and its
    /// own records add nothing.
    is_live: bool,
    /// Groups as the log holds them, until it is read.
    loading: BTreeMap<String, super::records::classic::GroupMetadataValue>,
}

/// What takes back a decision.
#[derive(Debug)]
pub struct Undo(Kept);

#[derive(Debug)]
enum Kept {
    /// The assignment of this classic group cannot be kept: it rebalances.
    Rebalance(String),
    /// A group cannot become one of the other protocol: it stays what it was.
    Group(Box<Group>),
}

type Decided = Decision<Groups>;

impl Groups {
    /// An empty coordinator.
    pub fn new(config: Arc<GroupsConfig>) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            timers: Timers::default(),
            newest_topic_at: 0,
            topic_hashes: TopicHashes::default(),
            is_live: false,
            loading: BTreeMap::new(),
        }
    }

    fn classic(&mut self, name: &str) -> Option<&mut ClassicGroup> {
        match self.groups.get_mut(name)? {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) => None,
        }
    }

    /// Groups that have more members than they may by now rebalance: those who come first stay.
    fn shrink(&mut self, context: &ShardContext) -> Decided {
        let members_max = self.config.members_max;
        let is_large = |group: &Group| matches!(group, Group::Classic(group) if group.members.len() > members_max);
        let large = self.groups.iter().filter(|(_, group)| is_large(group));
        let large: Vec<String> = large.map(|(name, _)| name.clone()).collect();
        let mut decision = Decision { in_pieces: true, ..Decision::default() };
        large.iter().for_each(|name| self.prepare_rebalance(context, name, &mut decision));
        decision
    }

    /// The groups, the last name first. Nobody promises an order, but that is the one in which hash
    /// tables of Apache Kafka's have similar names, and its own tests expect it.
    fn list(&self) -> Vec<ListedGroup> {
        let listed = |(name, group): (&String, &Group)| match group {
            Group::Classic(group) => ListedGroup {
                group: name.clone(),
                protocol_type: group.protocol_type.clone().unwrap_or_default(),
                state: group.state.name(),
                kind: "classic",
            },
            Group::Consumer(group) => ListedGroup {
                group: name.clone(),
                protocol_type: "consumer".to_owned(),
                state: group.state(),
                kind: "consumer",
            },
        };
        self.groups.iter().rev().map(listed).collect()
    }

    fn delete(&mut self, name: &str) -> Result<Vec<GroupRecord>, ErrorCode> {
        let group = self.groups.get(name).ok_or(ErrorCode::GroupIdNotFound)?;
        if !group.is_empty() {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let mut records = self.offsets.delete_group(name);
        records.extend(group.tombstones(name));
        Ok(records)
    }
}

impl Group {
    fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.state == State::Empty,
            Self::Consumer(group) => group.is_empty(),
        }
    }

    fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed(topic),
            Self::Consumer(group) => group.is_subscribed(topic),
        }
    }

    /// The records by which it is no more.
    fn tombstones(&self, name: &str) -> Vec<GroupRecord> {
        match self {
            Self::Classic(_) => vec![group_tombstone(name)],
            Self::Consumer(group) => group.tombstones(),
        }
    }
}

fn group_tombstone(name: &str) -> GroupRecord {
    GroupRecord::GroupMetadata(GroupMetadataKey { group: name.to_owned() }, None)
}

impl Shard for Groups {
    type Record = GroupRecord;
    type Command = GroupCommand;
    type Reply = GroupReply;
    type Effect = std::convert::Infallible;
    type Undo = Undo;

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<GroupRecord, CoordinatorRecordError> {
        GroupRecord::decode(key, value).map(|(record, _)| record)
    }

    fn encode(record: &GroupRecord) -> Result<(BytesMut, Option<BytesMut>), CodecError> {
        let version = match record {
            GroupRecord::OffsetCommit(_, Some(value)) if value.expire_timestamp != -1 => 1,
            GroupRecord::OffsetCommit(..) => 4,
            GroupRecord::GroupMetadata(..) => 3,
            _ => 0,
        };
        record.encode(version)
    }

    fn apply(&mut self, offset: Offset, producer: Option<Producer>, record: GroupRecord) {
        match record {
            GroupRecord::OffsetCommit(key, value) => {
                self.offsets.apply(offset, producer, key, value);
            }
            GroupRecord::LegacyOffsetCommit(key, value) => {
                let key = OffsetCommitKey {
                    group: key.group,
                    topic: key.topic,
                    partition: key.partition,
                };
                let value = value.map(|old| OffsetCommitValue {
                    offset: old.offset,
                    metadata: old.metadata,
                    commit_timestamp: old.commit_timestamp,
                    ..OffsetCommitValue::default()
                });
                self.offsets.apply(offset, producer, key, value);
            }
            GroupRecord::GroupMetadata(key, None) => {
                self.loading.remove(&key.group);
                if self.classic(&key.group).is_some() {
                    self.groups.remove(&key.group);
                }
            }
            GroupRecord::GroupMetadata(key, Some(value)) => {
                if !self.is_live {
                    self.loading.insert(key.group, value);
                }
            }
            record => self.apply_consumer(record),
        }
    }

    fn apply_marker(&mut self, producer: Producer, outcome: Outcome) {
        self.offsets.apply_marker(producer, outcome);
    }

    fn loaded(&mut self, context: &ShardContext) -> Decided {
        self.is_live = true;
        for (name, value) in std::mem::take(&mut self.loading) {
            let mut group = ClassicGroup::of_record(&name, value, context.wall);
            for member in group.members.values_mut() {
                let timeout = u64::try_from(member.session_timeout_ms).unwrap_or(0);
                member.expires = context.now + Duration::from_millis(timeout);
                let due = Due::Session(Arc::clone(&group.name), Arc::clone(&member.id));
                self.timers.set(due, member.expires);
            }
            self.groups.entry(name).or_insert(Group::Classic(group));
        }
        for name in self.offsets.groups() {
            let simple = || Group::Classic(ClassicGroup::new(name, context.wall));
            self.groups.entry(name.clone()).or_insert_with(simple);
        }
        self.newest_topic_at = context.image.offset;
        self.consumers_loaded(context);
        self.timers.set(Due::Expiry, context.now + self.config.offsets_check_interval);
        self.shrink(context)
    }

    fn decide(&mut self, context: &ShardContext, ticket: Ticket, command: GroupCommand) -> Decided {
        match command {
            GroupCommand::Join(asked) => self.join(context, ticket, &asked),
            GroupCommand::Sync(asked) => self.sync(context, ticket, asked),
            GroupCommand::Heartbeat(member) => {
                let answer = self.heartbeat(context, &member).map(|()| GroupReply::Done);
                Decision::answer(ticket, answer)
            }
            GroupCommand::Leave(asked) => self.leave(context, ticket, asked),
            GroupCommand::Commit(asked) => self.commit(context, ticket, asked),
            GroupCommand::ConsumerHeartbeat(asked) => {
                self.consumer_heartbeat(context, ticket, &asked)
            }
            GroupCommand::Fetch(asked) => {
                let fetched = self.fetch(context, &asked).map(GroupReply::Fetched);
                Decision::answer(ticket, fetched)
            }
            GroupCommand::DeleteOffsets(asked) => self.delete_offsets(ticket, &asked),
            GroupCommand::Describe(name) => {
                let answer = match self.groups.get(&name) {
                    Some(Group::Classic(group)) => Ok(GroupReply::Described(group.describe())),
                    Some(Group::Consumer(_)) => Ok(GroupReply::OfOtherKind),
                    None => Err(ErrorCode::GroupIdNotFound),
                };
                Decision::answer(ticket, answer)
            }
            GroupCommand::DescribeConsumer(name) => {
                let described = self.describe_consumer(context, &name);
                Decision::answer(ticket, Ok(GroupReply::DescribedConsumer(described)))
            }
            GroupCommand::List => Decision::answer(ticket, Ok(GroupReply::Listed(self.list()))),
            GroupCommand::Delete(name) => match self.delete(&name) {
                Ok(records) => Decision::write(records, ticket, Ok(GroupReply::Done)),
                Err(error) => Decision::answer(ticket, Err(error)),
            },
            GroupCommand::TopicsCreated(offset) => {
                self.newest_topic_at = self.newest_topic_at.max(offset);
                Decision::answer(ticket, Ok(GroupReply::Done))
            }
            GroupCommand::TopicsDeleted(names) => {
                names.iter().for_each(|name| self.topic_hashes.forget(name));
                let records = names.iter().flat_map(|name| self.offsets.delete_topic(name));
                let decision = Decision::write(records.collect(), ticket, Ok(GroupReply::Done));
                Decision { in_pieces: true, ..decision }
            }
        }
    }

    /// What looks at members from outside does not see those whose session has ended.
    fn waits_for_due(command: &GroupCommand) -> bool {
        matches!(
            command,
            GroupCommand::Describe(_)
                | GroupCommand::DescribeConsumer(_)
                | GroupCommand::List
                | GroupCommand::Delete(_)
                | GroupCommand::DeleteOffsets(_)
        )
    }

    fn deadline(&self) -> Option<Mono> {
        self.timers.next()
    }

    fn on_deadline(&mut self, context: &ShardContext) -> Decided {
        let mut decision = Decision::default();
        match self.timers.take_due(context.now) {
            Some(Due::Session(group, member)) => {
                if self.classic(&group).is_some() {
                    self.session_over(context, &group, &member, &mut decision);
                } else {
                    self.consumer_session_over(context, &group, &member, &mut decision);
                }
            }
            Some(Due::Revocation(group, member)) => {
                self.revocation_time_over(context, &group, &member, &mut decision);
            }
            Some(Due::MemberJoin(group, member) | Due::MemberSync(group, member)) => {
                self.classic_member_time_over(context, &group, &member, &mut decision);
            }
            Some(Due::PendingJoin(group, member)) => {
                if let Some(known) = self.classic(&group) {
                    known.pending_joins.remove(&member);
                }
                self.maybe_complete_join(context, &group, &mut decision);
            }
            Some(Due::Join(group)) => self.join_time_over(context, &group, &mut decision),
            Some(Due::Sync(group)) => self.sync_time_over(context, &group, &mut decision),
            Some(Due::Expiry) => {
                self.timers.set(Due::Expiry, context.now + self.config.offsets_check_interval);
                decision.records = self.expired(context);
                decision.in_pieces = true;
            }
            None => {}
        }
        decision
    }

    fn refused(&mut self, context: &ShardContext, undo: Undo) -> Decided {
        let mut decision = Decision::default();
        match undo.0 {
            Kept::Rebalance(name) => self.prepare_rebalance(context, &name, &mut decision),
            Kept::Group(group) => self.take_back(context, *group),
        }
        decision
    }
}
