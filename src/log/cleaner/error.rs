//! Why a log cannot be cleaned.

use std::io;

/// Why a log cannot be cleaned.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The disk failed, or the files are damaged.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The log is not what it was when the pass began; nothing is wrong with it.
    #[error("the log changed while it was cleaned")]
    Changed,
}
