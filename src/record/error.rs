//! Why bytes are not the records of a batch.

use std::io;

/// Why bytes are not the records that their batch claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The codec is unknown, or the bytes do not inflate.
    #[error("the records cannot be read: {0}")]
    Unreadable(String),
    /// A length, count or varint that cannot be, or one that the bytes end in.
    #[error("record {index}: {what}")]
    Malformed {
        /// Which record, from 0.
        index: i32,
        /// What about it.
        what: &'static str,
    },
    /// The batch counts fewer than no records.
    #[error("the batch counts {0} records")]
    Count(i32),
    /// Bytes after the last record that the batch counts.
    #[error("bytes follow the {count} records that the batch counts")]
    Trailing {
        /// As the header says.
        count: i32,
    },
}

impl From<io::Error> for RecordsError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}
