//! One partition's data on disk, in Apache Kafka's files, byte for byte.
//!
//! It owns segments, indexes, epochs, producers and recovery. It refuses to know who leads, what
//! is committed (the high watermark is told to it) and when anything is due: time is given.
//! Blocking I/O goes through `env::Disk`; `store` calls it, `raft` for the metadata log.
//!
//! Read `log.rs` (the writer) and `view.rs` (what readers see), then `segment.rs`, `index.rs`,
//! `recovery.rs`, `producers.rs`, `epochs.rs`, `flush.rs`, and the small files in `checkpoint.rs`.

mod batch_reader;
pub mod checkpoint;
pub mod cleaner;
pub mod config;
pub mod copy;
pub mod dirs;
pub mod epochs;
pub mod error;
pub mod files;
pub mod flush;
pub mod index;
pub mod listing;
pub mod log;
pub mod marker;
pub mod producers;
pub mod producers_file;
pub mod recovery;
pub mod retention;
pub mod scan;
pub mod segment;
mod split;
pub mod txn_index;
pub mod verification;
pub mod view;

pub use config::LogConfig;
pub use copy::CopyError;
pub use error::{AppendError, OpenError, ReadError};
pub use files::OpenFiles;
pub use flush::{FlushJob, FlushKind};
pub use listing::Listing;
pub use log::{Appended, Deletable, Log, LogShared};
pub use marker::Marker;
pub use recovery::{OpenContext, RecoveryReport};
pub use verification::{Verification, VerificationGuard};
pub use view::{LogView, ReadPlan, TimestampOffset, UpTo};
