//! What can go wrong between a request and a log.

use crate::log::{AppendError, ReadError};
use crate::replica::{AckFailure, NotEnoughReplicas};
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
    /// The records were appended, and cannot be acknowledged.
    #[error(transparent)]
    NotAcknowledged(#[from] AckFailure),
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
            Self::NotAcknowledged(failure) => failure.code(),
            Self::Append(error) => error.code(),
            Self::Read(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::producers::ProducerError;

    /// A client that is told of an unknown error takes its batch for lost and goes on with a new
    /// epoch, though the batch may be in the log: then it is stored twice (KAFKA-14034).
    #[test]
    fn a_producer_is_told_of_no_unknown_error_where_it_may_try_again() {
        let (producer_id, epoch, current) = (9, 1, 2);
        let refusals = [
            StoreError::NotLeader,
            StoreError::Offline("a failed write".to_owned()),
            StoreError::FencedEpoch { request: 1, current: 2 },
            StoreError::UnknownEpoch { request: 2, current: 1 },
            NotEnoughReplicas { in_sync: 1, required: 2 }.into(),
            AckFailure::NotEnoughReplicas(NotEnoughReplicas { in_sync: 1, required: 2 }).into(),
            AckFailure::TimedOut.into(),
            AckFailure::NotLeader.into(),
            AckFailure::Offline("a failed write".to_owned()).into(),
            AppendError::Offline("a failed write".to_owned()).into(),
            AppendError::LargerThanSegment { size: 2, segment_bytes: 1 }.into(),
            AppendError::from(ProducerError::Fenced { producer_id, epoch, current }).into(),
            AppendError::from(ProducerError::OutOfOrder { producer_id, got: 1, last: 5 }).into(),
            AppendError::from(ProducerError::NotTransactional { producer_id }).into(),
            AppendError::from(ProducerError::NotInTransaction { producer_id }).into(),
            AppendError::from(ProducerError::CoordinatorFenced {
                producer_id,
                epoch: 1,
                current: 2,
            })
            .into(),
            ReadError::Io(std::io::Error::other("bad sector")).into(),
        ];
        for refusal in refusals {
            assert_ne!(refusal.code(), ErrorCode::UnknownServerError, "{refusal}");
        }
    }
}
