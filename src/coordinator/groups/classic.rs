//! One group of the classic protocol: its members, its state, its generation. What it decides on
//! events is in `classic_events.rs` (Kafka 4.4 `ClassicGroup`, `ClassicGroupMember`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;

use super::command::{DescribedGroup, DescribedMember, JoinGroup, Joined};
use crate::coordinator::Ticket;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::classic::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
use crate::types::{ErrorCode, Mono, Timestamp};

/// What a group is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl State {
    /// As tools print it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct GroupMember {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    /// Its join is outstanding.
    pub(super) joining: Option<Ticket>,
    /// Its sync is outstanding.
    pub(super) syncing: Option<Ticket>,
    /// It has not been in a generation yet.
    pub(super) is_new: bool,
    /// Silent until then, it is removed.
    pub(super) expires: Mono,
}

impl GroupMember {
    /// A member, as it asks to join.
    pub(super) fn new(id: &str, asked: &JoinGroup) -> Self {
        Self {
            id: Arc::from(id),
            instance_id: asked.member.instance_id.clone(),
            client_id: asked.client_id.clone(),
            client_host: asked.client_host.clone(),
            rebalance_timeout_ms: asked.rebalance_timeout_ms,
            session_timeout_ms: asked.session_timeout_ms,
            protocols: asked.protocols.clone(),
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
            is_new: false,
            expires: Mono::default(),
        }
    }

    /// What it said for a protocol.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let known = self.protocols.iter().find(|(name, _)| Some(&**name) == protocol);
        known.map_or_else(Bytes::new, |(_, metadata)| metadata.clone())
    }
}

#[derive(Debug)]
pub(super) struct ClassicGroup {
    pub(super) name: Arc<str>,
    pub(super) state: State,
    /// The state before.
    pub(super) before: State,
    /// Since when, by the wall clock: offsets of an empty group are kept from then on.
    pub(super) since: Timestamp,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) generation: i32,
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: IndexMap<Arc<str>, GroupMember>,
    /// Ids of static members by instance.
    pub(super) instances: BTreeMap<String, Arc<str>>,
    /// Ids that were given to clients which must come back with them.
    pub(super) pending_joins: BTreeSet<Arc<str>>,
    /// Members of this generation that have not synced yet.
    pub(super) pending_syncs: BTreeSet<Arc<str>>,
    /// Since the last look during an initial rebalance.
    pub(super) new_member_added: bool,
    /// How much longer an initial rebalance may be put off.
    pub(super) initial_left: Option<Duration>,
}

impl ClassicGroup {
    pub(super) fn new(name: &str, now: Timestamp) -> Self {
        Self {
            name: Arc::from(name),
            state: State::Empty,
            before: State::Empty,
            since: now,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: IndexMap::new(),
            instances: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            new_member_added: false,
            initial_left: None,
        }
    }

    /// The group that a record holds; its members have until the caller says.
    pub(super) fn of_record(name: &str, value: GroupMetadataValue, now: Timestamp) -> Self {
        let state = if value.members.is_empty() { State::Empty } else { State::Stable };
        let protocol = value.protocol.clone();
        let mut group = Self {
            state,
            since: match value.current_state_timestamp {
                -1 => now,
                since => Timestamp(since),
            },
            protocol_type: Some(value.protocol_type).filter(|kind| !kind.is_empty()),
            protocol: value.protocol,
            generation: value.generation,
            leader: value.leader.map(Arc::from),
            ..Self::new(name, now)
        };
        for member in value.members {
            let rebalance = member.rebalance_timeout;
            group.insert(GroupMember {
                id: Arc::from(&*member.member_id),
                instance_id: member.group_instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                rebalance_timeout_ms: if rebalance < 0 {
                    member.session_timeout
                } else {
                    rebalance
                },
                session_timeout_ms: member.session_timeout,
                protocols: vec![(protocol.clone().unwrap_or_default(), member.subscription)],
                assignment: member.assignment,
                joining: None,
                syncing: None,
                is_new: false,
                expires: Mono::default(),
            });
        }
        group
    }

    /// The record that holds the group as it is.
    pub(super) fn to_record(&self) -> GroupRecord {
        let protocol = self.protocol.as_deref();
        let members = self.members.values().map(|member| MemberMetadata {
            member_id: member.id.to_string(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: member.assignment.clone(),
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.as_ref().map(ToString::to_string),
            current_state_timestamp: self.since.0,
            members: members.collect(),
        };
        GroupRecord::GroupMetadata(GroupMetadataKey { group: self.name.to_string() }, Some(value))
    }

    pub(super) fn enter(&mut self, state: State, now: Timestamp) {
        (self.before, self.state, self.since) = (self.state, state, now);
    }

    pub(super) fn insert(&mut self, member: GroupMember) {
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), Arc::clone(&member.id));
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(&member.id));
        }
        self.pending_joins.remove(&member.id);
        self.members.insert(Arc::clone(&member.id), member);
    }

    /// Takes a member out; the first of the others leads, if it led.
    pub(super) fn remove(&mut self, id: &str) -> Option<GroupMember> {
        let member = self.members.shift_remove(id)?;
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_syncs.remove(id);
        Some(member)
    }

    pub(super) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// Whether this is a member, by id and instance.
    pub(super) fn check(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if **known != *id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Protocols that all members know, each with how many of them would take it first.
    fn votes(&self) -> IndexMap<&str, usize> {
        let mut known: IndexMap<&str, usize> = IndexMap::new();
        for member in self.members.values() {
            let names: BTreeSet<&str> = member.protocols.iter().map(|(name, _)| &**name).collect();
            for name in names {
                *known.entry(name).or_default() += 1;
            }
        }
        known.retain(|_, count| *count == self.members.len());
        for count in known.values_mut() {
            *count = 0;
        }
        for member in self.members.values() {
            let first = member.protocols.iter().find(|(name, _)| known.contains_key(&**name));
            if let Some(votes) = first.and_then(|(name, _)| known.get_mut(&**name)) {
                *votes += 1;
            }
        }
        known
    }

    /// The protocol that most members would take first, of those that all know.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let votes = self.votes();
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    /// Whether a member with these protocols could be one of the group.
    pub(super) fn supports(&self, kind: &str, protocols: &[(String, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !kind.is_empty() && !protocols.is_empty();
        }
        if self.protocol_type.as_deref() != Some(kind) {
            return false;
        }
        let votes = self.votes();
        // While the members of a rebalance are all gone, anyone may come.
        self.members.is_empty() && !protocols.is_empty()
            || protocols.iter().any(|(name, _)| votes.contains_key(&**name))
    }

    pub(super) fn all_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(|m| m.joining.is_some())
    }

    /// The longest that any member may take to join again.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        let longest = self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0);
        Duration::from_millis(u64::try_from(longest).unwrap_or(0))
    }

    /// The answer to a join that is over.
    pub(super) fn joined(&self, id: &str) -> Joined {
        let protocol = self.protocol.as_deref();
        let members = if self.is_leader(id) {
            let told =
                |m: &GroupMember| (m.id.to_string(), m.instance_id.clone(), m.metadata(protocol));
            self.members.values().map(told).collect()
        } else {
            Vec::new()
        };
        Joined {
            error: None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.as_ref().map(ToString::to_string).unwrap_or_default(),
            skip_assignment: false,
            member_id: id.to_owned(),
            members,
        }
    }

    pub(super) fn describe(&self) -> DescribedGroup {
        let stable = self.state == State::Stable;
        let protocol = self.protocol.as_deref().filter(|_| stable);
        let members = self.members.values().map(|member| DescribedMember {
            member_id: member.id.to_string(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol),
            assignment: if stable { member.assignment.clone() } else { Bytes::new() },
        });
        DescribedGroup {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: members.collect(),
        }
    }

    /// Whether a member reads the topic, as far as the consumer protocol tells. A consumer whose
    /// metadata is not understood may read any (Kafka 4.4 `ClassicGroup.isSubscribedToTopic`).
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        if self.protocol_type.as_deref() != Some("consumer") {
            return false;
        }
        let reads = |member: &GroupMember| {
            let protocol = self.protocol.as_deref();
            let told = protocol.and_then(|_| subscribes(&member.metadata(protocol), topic));
            told.unwrap_or(true)
        };
        self.members.values().any(reads)
    }
}

/// Whether the metadata of a consumer names the topic: a version, then the topics. `None` where it
/// is no such metadata.
fn subscribes(metadata: &[u8], topic: &str) -> Option<bool> {
    fn take<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = from.split_at_checked(len)?;
        *from = rest;
        Some(taken)
    }
    let mut rest = metadata;
    let mut search = || -> Option<bool> {
        take(&mut rest, 2)?;
        let count = i32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
        for _ in 0..count {
            let len = i16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
            if take(&mut rest, usize::try_from(len).ok()?)? == topic.as_bytes() {
                return Some(true);
            }
        }
        Some(false)
    };
    search()
}
