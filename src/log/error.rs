//! What can go wrong with a log, and what a client is told.

use std::io;
use std::path::PathBuf;

use super::producers::ProducerError;
use crate::types::{ErrorCode, Offset};

/// Why a batch was not appended. Nothing of it is in the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// What its producer may not do.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The offsets of the partition are used up.
    #[error("offset {0} is the last there can be")]
    OffsetsExhausted(Offset),
    /// A replicated batch that does not continue the log.
    #[error("batch starts at offset {batch}, the log ends at {end}")]
    OutOfOrder {
        /// First offset of the batch.
        batch: Offset,
        /// The log's end.
        end: Offset,
    },
    /// A batch that no segment can hold.
    #[error("a batch of {size} bytes does not fit into a segment of {segment_bytes}")]
    LargerThanSegment {
        /// Of the batch.
        size: usize,
        /// `segment.bytes`.
        segment_bytes: u32,
    },
    /// The disk failed, now or before: the log takes nothing more until it is opened anew.
    #[error("the log is offline after a failed write: {0}")]
    Offline(String),
    /// No descriptor is left to open a file with. The log is as it was: a retry may do better.
    #[error("no descriptor is left to append with: {0}")]
    NoDescriptors(io::Error),
}

impl AppendError {
    /// The Kafka code of this refusal.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Producer(error) => error.code(),
            Self::OffsetsExhausted(_) | Self::OutOfOrder { .. } => ErrorCode::UnknownServerError,
            Self::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::Offline(_) | Self::NoDescriptors(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why a read gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log.
    #[error("offset {offset} is not in the log, which holds {start} to {end}")]
    OutOfRange {
        /// As asked for.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// The disk failed, or the files are damaged.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// The Kafka code of this failure.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Io(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why a log does not open. The node goes on without this partition.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Damage below the recovery point: what was promised to be on disk is not.
    #[error("{path}, byte {position}: {what}, below the recovery point {recovery_point}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        what: String,
        /// Everything below was flushed.
        recovery_point: Offset,
    },
    /// After a clean stop the log ends before `log-start-offset-checkpoint` has it begin.
    #[error(
        "{path}: the log ends at offset {end}, and log-start-offset-checkpoint has it begin at \
         {start}: one of the two is damaged; remove the line to keep the records"
    )]
    Contradiction {
        /// The directory of the log.
        path: PathBuf,
        /// Where it ends.
        end: Offset,
        /// Where it is said to begin.
        start: Offset,
    },
}

impl OpenError {
    /// Wraps an I/O error with its path.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
