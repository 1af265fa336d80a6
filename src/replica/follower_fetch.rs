//! The leader's side of a follower's fetch: what it checks, in Kafka's order, and what it may
//! count.

use super::divergence::{EpochEnd, OutOfRange};
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, NO_LEADER_EPOCH, Offset};

/// A follower's fetch of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The follower.
    pub replica: BrokerId,
    /// The epoch of its registration, [`super::UNKNOWN_BROKER_EPOCH`] below version 15.
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch that it follows, [`NO_LEADER_EPOCH`] below version 9.
    pub leader_epoch: LeaderEpoch,
    /// The epoch of its last record, [`NO_LEADER_EPOCH`] for none.
    pub last_fetched_epoch: LeaderEpoch,
    /// The offset to read from: its log end.
    pub offset: Offset,
    /// Its log start.
    pub log_start: Offset,
}

/// Why a replica does not serve a request that names a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochMismatch {
    /// The request's leader epoch is older.
    #[error("request epoch {request} is older than leader epoch {current}")]
    Fenced {
        /// In the request.
        request: LeaderEpoch,
        /// The epoch of this replica.
        current: LeaderEpoch,
    },
    /// The request's leader epoch is newer: this broker has not heard of it.
    #[error("request epoch {request} is newer than leader epoch {current}")]
    Unknown {
        /// In the request.
        request: LeaderEpoch,
        /// The epoch of this replica.
        current: LeaderEpoch,
    },
}

impl EpochMismatch {
    /// The Kafka code of this failure.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Fenced { .. } => ErrorCode::FencedLeaderEpoch,
            Self::Unknown { .. } => ErrorCode::UnknownLeaderEpoch,
        }
    }
}

/// Compares the leader epoch of a request with the replica's; [`NO_LEADER_EPOCH`] is not checked
/// (KIP-320; Kafka 4.4 `Partition.checkCurrentLeaderEpoch`).
pub fn check_leader_epoch(current: LeaderEpoch, request: LeaderEpoch) -> Result<(), EpochMismatch> {
    if request == NO_LEADER_EPOCH || request == current {
        Ok(())
    } else if request < current {
        Err(EpochMismatch::Fenced { request, current })
    } else {
        Err(EpochMismatch::Unknown { request, current })
    }
}

/// Why a leader does not serve a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefusal {
    /// This broker does not lead in the epoch of the request any more.
    #[error("this broker is not the leader of the partition")]
    NotLeader,
    /// The leader epochs differ.
    #[error(transparent)]
    Epoch(#[from] EpochMismatch),
    /// The follower is not in the assignment that this leader knows. It may have seen a
    /// reassignment that has not arrived here, so it is told to retry.
    #[error("broker {replica} is not a replica of the partition as far as this leader knows")]
    NotReplica {
        /// The follower.
        replica: BrokerId,
    },
    /// The same without a leader epoch in the request.
    #[error("broker {replica} is not a replica of the partition as far as this leader knows")]
    NotReplicaWithoutEpoch {
        /// The follower.
        replica: BrokerId,
    },
    /// The fetch was sent before the follower's broker registered again: its log may have lost
    /// records since (KIP-903).
    #[error(
        "broker {replica} fetched with broker epoch {request}, and is registered with {current}"
    )]
    StaleBrokerEpoch {
        /// The follower.
        replica: BrokerId,
        /// In the request.
        request: BrokerEpoch,
        /// In the metadata image.
        current: BrokerEpoch,
    },
    /// The log does not have the requested offset.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

impl FetchRefusal {
    /// The Kafka code of this failure.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader
            | Self::NotReplicaWithoutEpoch { .. }
            | Self::StaleBrokerEpoch { .. } => ErrorCode::NotLeaderOrFollower,
            Self::Epoch(mismatch) => mismatch.code(),
            Self::NotReplica { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::OutOfRange(out_of_range) => out_of_range.code(),
        }
    }
}

/// A fetch that passed every check, to be given to [`super::PartitionLeader::on_fetch`] once its
/// read is planned. There is no other way to make one, and it counts once: a fetch that waits for
/// records is not counted again when it is answered (KAFKA-8400).
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct AcceptedFetch {
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) replica: BrokerId,
    pub(super) broker_epoch: BrokerEpoch,
    pub(super) offset: Offset,
    pub(super) log_start: Offset,
    /// The leader's log end before the read, so that appends during it do not keep the follower
    /// out of sync.
    pub(super) leader_end: Offset,
    /// The leader's log start at that time.
    pub(super) leader_start: Offset,
}

/// What a leader answers a follower.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum FetchCheck {
    /// Read from the requested offset up to the log end.
    Read(AcceptedFetch),
    /// The follower's log parts from this one: answer at once, without records. Nothing is counted
    /// (KAFKA-13141).
    Diverging(EpochEnd),
}
