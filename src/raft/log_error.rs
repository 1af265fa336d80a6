//! Why the metadata log cannot be read or written.

use std::io;
use std::path::PathBuf;

use super::batch::ContentError;
use super::snapshot::SnapshotError;
use crate::log::{AppendError, OpenError};
use crate::record::batch::BatchError;
use crate::types::Offset;

/// Why the metadata log is of no use.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// The disk failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is to be appended is no batch.
    #[error("batch at offset {offset}: {source}")]
    Batch {
        /// Where.
        offset: Offset,
        /// What is wrong.
        source: BatchError,
    },
    /// A record is of a newer release: the directory is left untouched.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A snapshot is of a newer release, or cannot be read or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The log begins behind every snapshot that is whole: the records between are gone.
    #[error(
        "Inconsistent snapshot state: there must be a snapshot at an offset larger than the \
         current log start offset {start}, but the latest snapshot is {latest}"
    )]
    NoSnapshot {
        /// Where the log begins.
        start: Offset,
        /// The newest snapshot that is whole.
        latest: String,
    },
    /// Nothing is appended any more.
    #[error(transparent)]
    Append(#[from] AppendError),
}
