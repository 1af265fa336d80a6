//! What replicas say to one another, without the wire: the requests and responses of the quorum.
//!
//! A driver translates these to and from the messages of its protocol versions. It fills in what an
//! older version lacks: no voter key, no endpoints, [`HIGH_WATERMARK_UNSUPPORTED`].

use super::super::batch::ControlRecord;
use super::super::log_summary::LogPosition;
use super::super::snapshot::SnapshotId;
use super::super::voters::{ReplicaKey, VoterEndpoint};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono, Offset};

/// [`FetchRequest::high_watermark`] of a peer that does not send one (below version 18).
pub const HIGH_WATERMARK_UNSUPPORTED: Offset = Offset::MAX;

/// [`FetchRequest::high_watermark`] of a replica that knows none.
pub const HIGH_WATERMARK_UNKNOWN: Offset = -1;

/// The partition that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestTarget {
    /// One topic with one partition: the metadata log.
    MetadataLog,
    /// One topic with one partition, but another one.
    OtherPartition,
    /// None, or several.
    Malformed,
}

/// What all requests carry, and what is checked first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The cluster that the sender means; `None` is accepted.
    pub cluster_id: Option<String>,
    /// The partition that the sender means.
    pub target: RequestTarget,
}

/// A leader as its peers know it. Every answer of a partition carries one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LeaderView {
    /// The epoch of the sender.
    pub epoch: LeaderEpoch,
    /// The leader of that epoch, if the sender knows one.
    pub leader: Option<BrokerId>,
    /// The addresses of the leader, if the sender knows them.
    pub endpoints: Vec<VoterEndpoint>,
}

/// A request of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaftRequest {
    /// Vote or pre-vote.
    Vote(VoteRequest),
    /// The sender leads.
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    /// The sender has resigned.
    EndQuorumEpoch(EndQuorumEpochRequest),
    /// Records of the metadata log.
    Fetch(FetchRequest),
    /// A part of a snapshot.
    FetchSnapshot(FetchSnapshotRequest),
    /// Voters, observers and their progress.
    DescribeQuorum,
    /// Add a voter.
    AddVoter(AddVoterRequest),
    /// Remove a voter: id and directory.
    RemoveVoter(ReplicaKey),
    /// The sender, a voter, has other endpoints or versions than are recorded.
    UpdateVoter(UpdateVoterRequest),
    /// Which versions the receiver supports: the leader asks a voter before it believes its address.
    ApiVersions,
}

/// Vote, versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// The voter that is asked; `None` from version 0.
    pub voter: Option<ReplicaKey>,
    /// The epoch of the candidate: for a pre-vote its present epoch.
    pub epoch: LeaderEpoch,
    /// The candidate.
    pub candidate: ReplicaKey,
    /// The end of its log.
    pub log_end: LogPosition,
    /// Whether this asks only whether the candidate could win.
    pub pre_vote: bool,
}

/// BeginQuorumEpoch, versions 0 and 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginQuorumEpochRequest {
    /// The voter that the request is for; `None` from version 0.
    pub voter: Option<ReplicaKey>,
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Its addresses; empty from version 0.
    pub endpoints: Vec<VoterEndpoint>,
}

/// EndQuorumEpoch, versions 0 and 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndQuorumEpochRequest {
    /// The leader that resigned.
    pub leader: BrokerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Who should stand for election, best first. Directories are `None` from version 0.
    pub successors: Vec<ReplicaKey>,
    /// The addresses of the leader; empty from version 0.
    pub endpoints: Vec<VoterEndpoint>,
}

/// Fetch of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Who fetches; a negative id is not a replica.
    pub replica: ReplicaKey,
    /// The epoch of the replica.
    pub epoch: LeaderEpoch,
    /// The offset of the first record wanted.
    pub offset: Offset,
    /// The epoch of the record before it.
    pub last_epoch: LeaderEpoch,
    /// How long the leader may wait for records, in milliseconds.
    pub max_wait_ms: i32,
    /// The most bytes to return.
    pub max_bytes: i32,
    /// The high watermark that the replica knows (KIP-1166), [`HIGH_WATERMARK_UNKNOWN`] or
    /// [`HIGH_WATERMARK_UNSUPPORTED`].
    pub high_watermark: Offset,
}

/// FetchSnapshot, versions 0 and 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSnapshotRequest {
    /// Who fetches.
    pub replica: ReplicaKey,
    /// The epoch of the replica.
    pub epoch: LeaderEpoch,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The position of the first byte wanted.
    pub position: i64,
    /// The most bytes to return.
    pub max_bytes: i32,
}

/// AddRaftVoter, versions 0 and 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddVoterRequest {
    /// The new voter.
    pub voter: ReplicaKey,
    /// Its addresses.
    pub endpoints: Vec<VoterEndpoint>,
    /// Whether to answer when the change is committed, or as soon as it is in the leader's log.
    pub ack_when_committed: bool,
}

/// UpdateRaftVoter, version 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateVoterRequest {
    /// The epoch of the voter.
    pub epoch: LeaderEpoch,
    /// The voter.
    pub voter: ReplicaKey,
    /// Its addresses.
    pub endpoints: Vec<VoterEndpoint>,
    /// The lowest and highest kraft.version that it supports.
    pub kraft_versions: (i16, i16),
}

/// A response of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaftResponse {
    /// The request as a whole was rejected: an error at the top level.
    Rejected(ErrorCode),
    /// Vote or pre-vote.
    Vote {
        /// The error of the partition.
        error: ErrorCode,
        /// The sender's leader and epoch.
        view: LeaderView,
        /// Whether the vote was granted.
        granted: bool,
    },
    /// BeginQuorumEpoch.
    BeginQuorumEpoch {
        /// The error of the partition.
        error: ErrorCode,
        /// The sender's leader and epoch.
        view: LeaderView,
    },
    /// EndQuorumEpoch.
    EndQuorumEpoch {
        /// The error of the partition.
        error: ErrorCode,
        /// The sender's leader and epoch.
        view: LeaderView,
    },
    /// Fetch.
    Fetch(FetchResponse),
    /// FetchSnapshot.
    FetchSnapshot(FetchSnapshotResponse),
    /// DescribeQuorum.
    DescribeQuorum(Result<QuorumDescription, ErrorCode>),
    /// AddRaftVoter.
    AddVoter(VoterChangeAnswer),
    /// RemoveRaftVoter.
    RemoveVoter(VoterChangeAnswer),
    /// UpdateRaftVoter.
    UpdateVoter {
        /// The error.
        error: ErrorCode,
        /// The sender's leader and epoch.
        view: LeaderView,
    },
    /// ApiVersions: the kraft.versions that the sender supports, if it knows the feature.
    ApiVersions {
        /// The error.
        error: ErrorCode,
        /// Lowest and highest kraft.version.
        kraft_versions: Option<(i16, i16)>,
    },
    /// The answer to [`super::RaftInput::UpgradeKraftVersion`].
    KraftVersionUpgrade {
        /// The error.
        error: ErrorCode,
        /// Why it was refused.
        message: Option<String>,
        /// The upgrade is done when the high watermark passes this offset; `None` if there is
        /// nothing to wait for.
        offset: Option<Offset>,
    },
}

/// Answer to AddRaftVoter and RemoveRaftVoter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterChangeAnswer {
    /// The error.
    pub error: ErrorCode,
    /// Why it was refused.
    pub message: Option<String>,
}

/// Answer to a Fetch of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchResponse {
    /// The error of the partition.
    pub error: ErrorCode,
    /// The sender's leader and epoch.
    pub view: LeaderView,
    /// The start of the leader's log.
    pub log_start: Offset,
    /// The leader's high watermark, if it knows one in its epoch.
    pub high_watermark: Option<Offset>,
    /// What it carries.
    pub content: FetchContent,
}

/// The content of a Fetch response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchContent {
    /// No records.
    Empty,
    /// On the leader: the driver reads the batches from `offset` on, at most `max_bytes` but at
    /// least one batch, committed or not.
    Read {
        /// The first offset.
        offset: Offset,
        /// The most bytes.
        max_bytes: i32,
    },
    /// On the follower: the batches that the driver received, whole and with a good checksum. What
    /// follows a damaged batch is dropped before.
    Batches(Vec<BatchSummary>),
    /// The follower must truncate: the end of the largest epoch of the leader that is not above its
    /// own.
    Diverging(LogPosition),
    /// The follower must load a snapshot.
    Snapshot(SnapshotId),
}

/// A batch as far as the quorum looks into it.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchSummary {
    /// The offset of its first record.
    pub base: Offset,
    /// The offset after its last record.
    pub end: Offset,
    /// The epoch in its header.
    pub epoch: LeaderEpoch,
    /// The records of a control batch; empty for data.
    pub control: Vec<ControlRecord>,
}

impl Eq for BatchSummary {}

/// Answer to FetchSnapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSnapshotResponse {
    /// The error of the partition.
    pub error: ErrorCode,
    /// The sender's leader and epoch.
    pub view: LeaderView,
    /// The snapshot; `None` with an error.
    pub snapshot: Option<SnapshotId>,
    /// Its size in bytes.
    pub size: u64,
    /// The position of the first byte of the chunk.
    pub position: u64,
    /// On the leader: how many bytes the driver reads at most. On the follower: how many arrived.
    pub bytes: u64,
}

/// Answer to DescribeQuorum. Times are of the leader's clock: the driver turns them into ages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumDescription {
    /// The leader: the node that answers.
    pub leader: BrokerId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Its high watermark, if it knows one in this epoch.
    pub high_watermark: Option<Offset>,
    /// The voters.
    pub voters: Vec<ReplicaDescription>,
    /// The replicas that fetch and do not vote.
    pub observers: Vec<ReplicaDescription>,
}

/// A replica in [`QuorumDescription`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaDescription {
    /// The replica.
    pub key: ReplicaKey,
    /// The end of its log, if known.
    pub log_end: Option<Offset>,
    /// When it last fetched.
    pub last_fetch: Option<Mono>,
    /// When it last had everything that the leader had.
    pub last_caught_up: Option<Mono>,
}
