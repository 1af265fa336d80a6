//! What a consumer group is asked, and what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignment::Assignment;
use crate::coordinator::groups::member_ref::MemberRef;
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// The epoch with which a member joins, anew or again.
pub const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member leaves.
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves for a while.
pub const LEAVE_FOR_A_WHILE_EPOCH: i32 = -2;

/// Which topics whoever asks may see, by name; all of them by default.
#[derive(Clone, Default)]
pub struct TopicFilter(pub Option<Arc<dyn Fn(&str) -> bool + Send + Sync>>);

impl TopicFilter {
    pub(super) fn allows(&self, topic: &str) -> bool {
        self.0.as_ref().is_none_or(|allows| allows(topic))
    }
}

impl std::fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "TopicFilter(some)" } else { "TopicFilter(all)" })
    }
}

/// ConsumerGroupHeartbeat. What is `None` has not changed since the last one.
#[derive(Clone, Debug, Default)]
pub struct ConsumerHeartbeat {
    /// Who; the generation is the member's epoch.
    pub member: MemberRef,
    /// How its client calls itself.
    pub client_id: String,
    /// Where from.
    pub client_host: String,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// How long it may take to give up partitions.
    pub rebalance_timeout_ms: Option<i32>,
    /// The topics that it reads, by name.
    pub names: Option<Vec<String>>,
    /// And by pattern.
    pub regex: Option<String>,
    /// What a pattern may match.
    pub topic_filter: TopicFilter,
    /// The assignor that it would have.
    pub assignor: Option<String>,
    /// The partitions that it has.
    pub owned: Option<BTreeMap<TopicId, Vec<PartitionIndex>>>,
    /// Clients of version 1 name themselves (KIP-1082).
    pub must_name_itself: bool,
    /// The id of a member that does not.
    pub fresh_id: String,
}

/// What a member is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Its id.
    pub member_id: String,
    /// Its epoch.
    pub epoch: i32,
    /// When to send the next heartbeat; 0 when it leaves.
    pub heartbeat_interval_ms: i32,
    /// What it may read now, unless it knows.
    pub assignment: Option<Assignment>,
}

/// Why a member is told nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For its code.
    pub error: ErrorCode,
    /// For people.
    pub message: String,
}

impl Refused {
    pub(in crate::coordinator::groups) fn new(
        error: ErrorCode,
        message: impl Into<String>,
    ) -> Self {
        Self { error, message: message.into() }
    }
}

/// A consumer group and its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// "Stable" and the like.
    pub state: &'static str,
    /// Of its members and topics.
    pub epoch: i32,
    /// Of its target.
    pub assignment_epoch: i32,
    /// The assignor that it has.
    pub assignor: String,
    /// Its members.
    pub members: Vec<DescribedConsumerMember>,
}

/// A member of a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub struct DescribedConsumerMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub epoch: i32,
    pub client_id: String,
    pub client_host: String,
    pub names: Vec<String>,
    pub regex: Option<String>,
    /// What it has, partitions that it is to give up among them.
    pub assignment: Vec<DescribedPartitions>,
    pub target: Vec<DescribedPartitions>,
    /// It speaks the classic protocol.
    pub is_classic: bool,
}

/// Partitions of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub struct DescribedPartitions {
    pub topic_id: TopicId,
    pub topic: Arc<str>,
    pub partitions: Vec<PartitionIndex>,
}

impl ConsumerHeartbeat {
    /// Whether it makes sense by itself (Kafka 4.4 `GroupCoordinatorService`,
    /// `throwIfConsumerGroupHeartbeatRequestIsInvalid`).
    pub(super) fn check(&self, assignors: &[super::assignor::Assignor]) -> Result<(), Refused> {
        let invalid = |message: &str| Err(Refused::new(ErrorCode::InvalidRequest, message));
        let is_blank = |text: &str| text.trim().is_empty();
        let epoch = self.member.generation;
        let names_itself = self.must_name_itself || epoch > 0 || epoch == LEAVE_EPOCH;
        if names_itself && is_blank(&self.member.member_id) {
            return invalid("MemberId can't be empty.");
        }
        if is_blank(&self.member.group) {
            return invalid("GroupId can't be empty.");
        }
        if self.member.instance_id.as_deref().is_some_and(is_blank) {
            return invalid("InstanceId can't be empty.");
        }
        if self.rack_id.as_deref().is_some_and(is_blank) {
            return invalid("RackId can't be empty.");
        }
        if epoch == JOIN_EPOCH {
            if self.rebalance_timeout_ms.is_none() {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if self.names.is_none() && self.regex.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                     (re-)joining.",
                );
            }
        } else if epoch == LEAVE_FOR_A_WHILE_EPOCH && self.member.instance_id.is_none() {
            return invalid("InstanceId can't be null.");
        } else if epoch < LEAVE_FOR_A_WHILE_EPOCH {
            return invalid("MemberEpoch is invalid.");
        }
        let Some(wanted) = &self.assignor else { return Ok(()) };
        if !assignors.iter().any(|assignor| assignor.name() == wanted) {
            let known: Vec<&str> = assignors.iter().map(|assignor| assignor.name()).collect();
            let message = format!(
                "ServerAssignor {wanted} is not supported. Supported assignors: {}.",
                known.join(", ")
            );
            return Err(Refused::new(ErrorCode::UnsupportedAssignor, message));
        }
        Ok(())
    }
}
