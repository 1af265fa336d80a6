//! What the group coordinator can be asked, and what it answers. Domain words: the wire stops at
//! the handlers.

use bytes::Bytes;

use super::consumer::command::{
    ConsumerHeartbeat, DescribedConsumerGroup, HeartbeatReply, Refused, TopicFilter,
};
use super::member_ref::MemberRef;
use crate::coordinator::Producer;
use crate::types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

/// A command to the shard that has charge of a group.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each is told where its content is declared.
pub enum GroupCommand {
    Join(Box<JoinGroup>),
    Sync(SyncGroup),
    Heartbeat(MemberRef),
    Leave(LeaveGroup),
    ConsumerHeartbeat(Box<ConsumerHeartbeat>),
    Commit(CommitOffsets),
    Fetch(FetchOffsets),
    DeleteOffsets(DeleteOffsets),
    /// One group by name.
    Describe(String),
    /// One consumer group by name.
    DescribeConsumer(String),
    /// All groups of the shard.
    List,
    /// One group by name.
    Delete(String),
    /// The names of topics that are gone: their offsets go too.
    TopicsDeleted(Vec<String>),
    /// There are new topics, as of this metadata.
    TopicsCreated(Offset),
}

/// What a command is answered with.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // Each answers the command of its name.
pub enum GroupReply {
    Join(Joined),
    Sync(Synced),
    Done,
    ConsumerHeartbeat(Result<HeartbeatReply, Refused>),
    Left(Vec<(LeavingMember, ErrorCode)>),
    Partitions(Vec<(String, Vec<(PartitionIndex, ErrorCode)>)>),
    Fetched(Vec<(String, Vec<FetchedOffset>)>),
    Described(DescribedGroup),
    DescribedConsumer(Result<DescribedConsumerGroup, Refused>),
    /// The group is of a kind that is described otherwise.
    OfOtherKind,
    Listed(Vec<ListedGroup>),
}

/// JoinGroup.
#[derive(Clone, Debug, Default)]
pub struct JoinGroup {
    /// Who; the generation is not looked at.
    pub member: MemberRef,
    /// How its client calls itself.
    pub client_id: String,
    /// Where from.
    pub client_host: String,
    /// Silent for so long, it is removed.
    pub session_timeout_ms: i32,
    /// How long it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// "consumer", "connect" and the like.
    pub protocol_type: String,
    /// Name and metadata of each protocol that it knows, best first.
    pub protocols: Vec<(String, Bytes)>,
    /// It must come back with the id that it is given (KIP-394).
    pub requires_known_member_id: bool,
    /// It can be told to skip its assignment (KIP-814).
    pub can_skip_assignment: bool,
    /// What a fresh member id ends with.
    pub fresh_id: String,
    /// What patterns of others may match when they are matched again for this one.
    pub topic_filter: TopicFilter,
}

/// How a join ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// `None` is fine.
    pub error: Option<ErrorCode>,
    /// The generation, -1 by an error.
    pub generation: i32,
    /// Its protocol type.
    pub protocol_type: Option<String>,
    /// The protocol that was selected.
    pub protocol_name: Option<String>,
    /// The member that assigns.
    pub leader: String,
    /// The leader shall not assign anew.
    pub skip_assignment: bool,
    /// The id of the member that joined.
    pub member_id: String,
    /// For the leader: id, instance and metadata of each member.
    pub members: Vec<(String, Option<String>, Bytes)>,
}

impl Joined {
    /// A join that failed.
    pub fn failed(member_id: &str, error: ErrorCode) -> Self {
        let member_id = member_id.to_owned();
        Self { error: Some(error), generation: -1, member_id, ..Self::default() }
    }
}

/// SyncGroup.
#[derive(Clone, Debug, Default)]
pub struct SyncGroup {
    /// Who.
    pub member: MemberRef,
    /// What it believes of the group.
    pub protocol_type: Option<String>,
    /// What it believes was selected.
    pub protocol_name: Option<String>,
    /// From the leader: the assignment of each member.
    pub assignments: Vec<(String, Bytes)>,
}

/// What a member is assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Of the group.
    pub protocol_type: Option<String>,
    /// That was selected.
    pub protocol_name: Option<String>,
    /// In the words of the protocol.
    pub assignment: Bytes,
}

/// LeaveGroup.
#[derive(Clone, Debug, Default)]
pub struct LeaveGroup {
    /// The group.
    pub group: String,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves: by its id, or by its instance alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeavingMember {
    /// May be "".
    pub member_id: String,
    /// Of a static member.
    pub instance_id: Option<String>,
}

/// OffsetCommit.
#[derive(Clone, Debug, Default)]
pub struct CommitOffsets {
    /// Who.
    pub member: MemberRef,
    /// Whose transaction they are part of, and count once it is committed.
    pub producer: Option<Producer>,
    /// How long to keep them, by old clients.
    pub retention_ms: Option<i64>,
    /// Whether the request has a code for a group that is not there; in a transaction, also for a
    /// member's epoch that is not current.
    pub says_no_group: bool,
    /// By topic.
    pub topics: Vec<(String, TopicId, Vec<OffsetToCommit>)>,
}

/// One offset to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// Of the topic.
    pub partition: PartitionIndex,
    /// The next to read.
    pub offset: Offset,
    /// Of the last record that was read, -1 for unknown.
    pub leader_epoch: LeaderEpoch,
    /// A note.
    pub metadata: String,
}

/// OffsetFetch.
#[derive(Clone, Debug, Default)]
pub struct FetchOffsets {
    /// The group.
    pub group: String,
    /// Which member asks.
    pub member_id: Option<String>,
    /// Its epoch, -1 for none.
    pub member_epoch: i32,
    /// Offsets that an open transaction would change are not told (KIP-447).
    pub require_stable: bool,
    /// Of which partitions; `None` is all.
    pub topics: Option<Vec<(String, Vec<PartitionIndex>)>>,
}

/// A committed offset, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// Of the topic.
    pub partition: PartitionIndex,
    /// -1 for none.
    pub offset: Offset,
    /// -1 for unknown.
    pub leader_epoch: LeaderEpoch,
    /// The note.
    pub metadata: String,
    /// `UNSTABLE_OFFSET_COMMIT`, or nothing.
    pub error: ErrorCode,
}

/// OffsetDelete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOffsets {
    /// The group.
    pub group: String,
    /// By topic; whether the topic has the partition stands beside it.
    pub topics: Vec<(String, Vec<PartitionIndex>)>,
}

/// A group and its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedGroup {
    /// "Stable" and the like.
    pub state: &'static str,
    /// "" for none.
    pub protocol_type: String,
    /// "" for none.
    pub protocol: String,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it.
pub struct DescribedMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub group: String,
    /// "" for none.
    pub protocol_type: String,
    /// "Stable" and the like.
    pub state: &'static str,
    /// "classic" and the like.
    pub kind: &'static str,
}
