//! What goes into the quorum machine and what comes out: the contract with its driver.

use super::super::batch::ControlRecord;
use super::super::quorum_state::ElectionState;
use super::super::snapshot::SnapshotId;
use super::super::voters::VoterSet;
use super::message::{BatchSummary, RaftRequest, RaftResponse, RequestHead};
use crate::types::{BrokerId, LeaderEpoch, Offset};

/// Names a request that was received, so that its answer finds it. The driver chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyToken(pub u64);

/// Names a request that was sent, so that its answer is matched. The machine chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The receiver of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerId {
    /// A replica.
    Node(BrokerId),
    /// The n-th bootstrap server: its id is not known before it answers.
    Bootstrap(usize),
}

/// Where a request goes. The driver resolves the name for every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The receiver.
    pub peer: PeerId,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// No connection, or it was lost.
    Unreachable,
    /// The peer supports no version that can carry the request: a pre-vote before 4.0.
    UnsupportedVersion,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaftInput {
    /// [`super::QuorumMachine::deadline`] was reached.
    Tick,
    /// A request arrived. It is answered once, now or later.
    Request {
        /// Names it.
        token: ReplyToken,
        /// Cluster and partition.
        head: RequestHead,
        /// The request.
        request: RaftRequest,
    },
    /// The answer to a request of this node.
    Response {
        /// The request.
        id: RequestId,
        /// The answer.
        response: RaftResponse,
    },
    /// A request of this node was not answered.
    Failed {
        /// The request.
        id: RequestId,
        /// Why.
        failure: SendFailure,
    },
    /// The driver appended data batches of this leader. Only valid while this node leads `epoch`.
    Appended {
        /// The epoch in which the records were decided.
        epoch: LeaderEpoch,
        /// The new end of the log.
        end: Offset,
    },
    /// The log is durable up to this offset: the end when the sync began, or the point of a
    /// truncation that happened since.
    Synced(Offset),
    /// A snapshot of this node's own state was written and synced.
    SnapshotTaken {
        /// The snapshot: at the end of a batch, not above the high watermark.
        id: SnapshotId,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The snapshot of [`RaftEffect::InstallSnapshot`] is the log now.
    SnapshotInstalled {
        /// The snapshot.
        id: SnapshotId,
        /// Its size in bytes.
        bytes: u64,
        /// The kraft.version that it carries.
        kraft_version: i16,
        /// The voters that it carries.
        voters: Option<VoterSet>,
    },
    /// The log starts at this offset now, and snapshots before it are gone.
    Cleaned(Offset),
    /// The controller cannot lead this epoch any more.
    Resign(LeaderEpoch),
    /// Raise kraft.version.
    UpgradeKraftVersion {
        /// Names the request.
        token: ReplyToken,
        /// The epoch in which it was decided.
        epoch: LeaderEpoch,
        /// The new version.
        version: i16,
        /// Whether to check only.
        validate_only: bool,
    },
    /// The node is stopping: it resigns if it leads, and stands for no election. The driver limits
    /// how long it waits for [`RaftEffect::ShutdownComplete`].
    Shutdown,
}

/// A control batch of a leader.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlBatch {
    /// Where it is appended: the end of the log.
    pub base: Offset,
    /// The epoch of its header.
    pub epoch: LeaderEpoch,
    /// Its records.
    pub records: Vec<ControlRecord>,
}

impl Eq for ControlBatch {}

/// What the driver does, in this order (as `Ready` of etcd's raft):
///
/// 1. The effects of one step are carried out in their order, each before the next, and all of them
///    before the next step.
/// 2. [`RaftEffect::Persist`] is durable (file and directory synced) before the next effect begins.
///    If it fails, none of the later effects may happen: the node stops.
/// 3. [`RaftEffect::Append`], [`RaftEffect::AppendFetched`] and [`RaftEffect::Truncate`] are visible
///    to readers of the log before the next effect begins, but need not be durable.
/// 4. [`RaftEffect::Sync`] begins a sync; several may be under way. When one is done the driver
///    reports [`RaftInput::Synced`].
/// 5. [`RaftEffect::Send`] and [`RaftEffect::Reply`] are handed to the network and not waited for.
/// 6. [`RaftEffect::InstallSnapshot`] is carried out whole, and [`RaftInput::SnapshotInstalled`] is
///    the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaftEffect {
    /// Replace the quorum-state file.
    Persist {
        /// Epoch, leader and vote.
        election: ElectionState,
        /// Decides the version of the file.
        kraft_version: i16,
    },
    /// Append a control batch of this leader.
    Append(ControlBatch),
    /// Append the first batches of the Fetch response of this step.
    AppendFetched(Vec<BatchSummary>),
    /// Remove the records from this offset on. Never below the high watermark.
    Truncate(Offset),
    /// Make the log durable up to its end.
    Sync,
    /// Records up to here are committed. Rises only.
    HighWatermark(Offset),
    /// Send a request.
    Send {
        /// Names it.
        id: RequestId,
        /// Where to.
        to: Destination,
        /// The request.
        request: RaftRequest,
    },
    /// Answer a request.
    Reply {
        /// The request.
        token: ReplyToken,
        /// The answer.
        response: RaftResponse,
    },
    /// Leader or epoch changed.
    Leadership(Leadership),
    /// Begin to receive a snapshot: an empty file, not under its final name.
    BeginSnapshot(SnapshotId),
    /// Append the bytes of the FetchSnapshot response of this step at this position.
    AppendSnapshot {
        /// The snapshot.
        id: SnapshotId,
        /// Its present size.
        position: u64,
    },
    /// The snapshot is whole: sync it, give it its name, drop the log and start it at the snapshot.
    InstallSnapshot(SnapshotId),
    /// The node may stop: the hand-over is done, or there is no other voter.
    ShutdownComplete,
    /// A peer contradicted what this node knows to be committed. The driver stops the node with this
    /// line; the machine ignores every later input.
    Halt(String),
}

/// What listeners learn about the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// No leader is known in this epoch.
    Unknown {
        /// The epoch.
        epoch: LeaderEpoch,
    },
    /// Another node leads.
    Following {
        /// The epoch.
        epoch: LeaderEpoch,
        /// The leader.
        leader: BrokerId,
    },
    /// This node leads. A controller becomes active when it has replayed everything before
    /// `epoch_start` and the first batch of the epoch, which begins there, is committed.
    Elected {
        /// The epoch.
        epoch: LeaderEpoch,
        /// The end of the log at the election.
        epoch_start: Offset,
    },
    /// This node has resigned: what is not committed may be lost.
    Resigned {
        /// The epoch.
        epoch: LeaderEpoch,
    },
}
