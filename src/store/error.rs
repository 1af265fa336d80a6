//! What can go wrong between a request and a log.

use crate::log::{AppendError, ReadError};
use crate::replica::NotEnoughReplicas;
use crate::types::{ErrorCode, LeaderEpoch};

/// Why a partition does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// This broker does not lead the partition.
    #[error("this broker is not the leader of the partition")]
    NotLeader,
    /// The partition's log is offline, since its disk failed or its files are damaged.
    #[error("the log is offline: {0}")]
    Offline(String),
    /// The request's leader epoch is older than the leader's.
    #[error("request epoch {request} is older than leader epoch {current}")]
    FencedEpoch {
        /// In the request.
        request: LeaderEpoch,
        /// Of this leader.
        current: LeaderEpoch,
    },
    /// The request's leader epoch is newer than the leader's.
    #[error("request epoch {request} is newer than leader epoch {current}")]
    UnknownEpoch {
        /// In the request.
        request: LeaderEpoch,
        /// Of this leader.
        current: LeaderEpoch,
    },
    /// Too few replicas are in sync for acks=all.
    #[error(transparent)]
    NotEnoughReplicas(#[from] NotEnoughReplicas),
    /// The log refused the append.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log refused the read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl StoreError {
    /// The Kafka code of this failure.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::Offline(_) => ErrorCode::KafkaStorageError,
            Self::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::NotEnoughReplicas(error) => error.code(),
            Self::Append(error) => error.code(),
            Self::Read(error) => error.code(),
        }
    }
}
