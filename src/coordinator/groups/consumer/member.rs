//! A member of a consumer group (Kafka 4.4 `ConsumerGroupMember`), and its records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::assignment::{Owned, owned_of_record, owned_to_record};
use super::command::{ConsumerHeartbeat, LEAVE_EPOCH};
use crate::coordinator::records::GroupRecord;
use crate::coordinator::records::consumer::{
    ClassicMemberMetadata, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue, ConsumerGroupTargetAssignmentMemberKey,
};

/// How far a member is on its way to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberState {
    /// It has what it shall have in its epoch.
    Stable,
    /// It has been told to give up partitions, and has not said that it did.
    Unrevoked,
    /// It waits for partitions that others have not given up.
    Unreleased,
    /// Of a later release.
    Unknown,
}

impl MemberState {
    fn of_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            _ => Self::Unknown,
        }
    }

    fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::Unrevoked => 1,
            Self::Unreleased => 2,
            Self::Unknown => 127,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConsumerMember {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<String>,
    pub(super) rack_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) names: Arc<BTreeSet<String>>,
    /// The topics that it reads, by pattern; empty for none. Older logs have null for that.
    pub(super) regex: Option<String>,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) assignor: Option<String>,
    /// It speaks the classic protocol.
    pub(super) classic: Option<ClassicMemberMetadata>,
    pub(super) epoch: i32,
    /// The one before: the answer that told it of the new one may be lost.
    pub(super) previous_epoch: i32,
    pub(super) state: MemberState,
    /// What it may read.
    pub(super) assigned: Arc<Owned>,
    /// What it must give up, and has until it says that it did.
    pub(super) revoking: Arc<Owned>,
}

impl ConsumerMember {
    /// Someone who is no member yet.
    pub(super) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            names: Arc::default(),
            regex: Some(String::new()),
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Arc::default(),
            revoking: Arc::default(),
        }
    }

    /// As it says that it is now.
    pub(super) fn updated(&self, asked: &ConsumerHeartbeat) -> Self {
        let or = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
        let names = match &asked.names {
            Some(names) if !self.has_names(names) => Arc::new(names.iter().cloned().collect()),
            _ => Arc::clone(&self.names),
        };
        Self {
            instance_id: or(&asked.member.instance_id, &self.instance_id),
            rack_id: or(&asked.rack_id, &self.rack_id),
            client_id: asked.client_id.clone(),
            client_host: asked.client_host.clone(),
            names,
            regex: or(&asked.regex, &self.regex),
            rebalance_timeout_ms: asked.rebalance_timeout_ms.unwrap_or(self.rebalance_timeout_ms),
            assignor: or(&asked.assignor, &self.assignor),
            classic: None,
            ..self.clone()
        }
    }

    fn has_names(&self, names: &[String]) -> bool {
        names.len() == self.names.len() && names.iter().all(|name| self.names.contains(name))
    }

    /// Its pattern, unless it is empty.
    pub(super) fn pattern(&self) -> Option<&str> {
        self.regex.as_deref().filter(|regex| !regex.is_empty())
    }

    /// How long it may be silent, if it speaks the classic protocol.
    pub(super) fn classic_session(&self) -> Option<Duration> {
        let ms = self.classic.as_ref()?.session_timeout_ms;
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// Takes over what its metadata record says.
    pub(super) fn describe_itself(&mut self, value: ConsumerGroupMemberMetadataValue) {
        self.instance_id = value.instance_id;
        self.rack_id = value.rack_id;
        self.client_id = value.client_id;
        self.client_host = value.client_host;
        self.names = Arc::new(value.subscribed_topic_names.into_iter().collect());
        self.regex = value.subscribed_topic_regex;
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.assignor = value.server_assignor;
        self.classic = value.classic_member_metadata;
    }

    /// Takes over what its assignment record says; a tombstone takes all away.
    pub(super) fn own(&mut self, value: Option<ConsumerGroupCurrentMemberAssignmentValue>) {
        let Some(value) = value else {
            (self.epoch, self.previous_epoch) = (LEAVE_EPOCH, LEAVE_EPOCH);
            (self.assigned, self.revoking) = (Arc::default(), Arc::default());
            return;
        };
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::of_code(value.state);
        self.assigned = Arc::new(owned_of_record(value.assigned_partitions, value.member_epoch));
        let revoking = value.partitions_pending_revocation;
        self.revoking = Arc::new(owned_of_record(revoking, value.member_epoch));
    }

    pub(super) fn metadata_record(&self, group: &str) -> GroupRecord {
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.names.iter().cloned().collect(),
            subscribed_topic_regex: self.regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.clone(),
            classic_member_metadata: self.classic.clone(),
        };
        GroupRecord::ConsumerGroupMemberMetadata(metadata_key(group, &self.id), Some(value))
    }

    pub(super) fn assignment_record(&self, group: &str) -> GroupRecord {
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned_partitions: owned_to_record(&self.assigned),
            partitions_pending_revocation: owned_to_record(&self.revoking),
        };
        let key = assignment_key(group, &self.id);
        GroupRecord::ConsumerGroupCurrentMemberAssignment(key, Some(value))
    }
}

fn metadata_key(group: &str, member: &str) -> ConsumerGroupMemberMetadataKey {
    ConsumerGroupMemberMetadataKey { group_id: group.to_owned(), member_id: member.to_owned() }
}

fn assignment_key(group: &str, member: &str) -> ConsumerGroupCurrentMemberAssignmentKey {
    let (group_id, member_id) = (group.to_owned(), member.to_owned());
    ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id }
}

/// The records that make a member be no more. Their order matters: whoever reads them expects it.
pub(super) fn tombstones(group: &str, member: &str) -> [GroupRecord; 3] {
    let (group_id, member_id) = (group.to_owned(), member.to_owned());
    let target = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id };
    [
        GroupRecord::ConsumerGroupCurrentMemberAssignment(assignment_key(group, member), None),
        GroupRecord::ConsumerGroupTargetAssignmentMember(target, None),
        GroupRecord::ConsumerGroupMemberMetadata(metadata_key(group, member), None),
    ]
}
