//! KRaft for the metadata log.
//!
//! Owns the log of the cluster's metadata, its snapshots, its voters and who leads it. Refuses to
//! know what the records mean: the controller, whose driver calls this module, decides that.
//!
//! Read `voters.rs` and `quorum.rs` (pure: who votes, who leads), `batch.rs` and `snapshot.rs`
//! (bytes), then those that touch files: `quorum_state.rs`, `log_scan.rs` and `log.rs`.
//!
//! `machine` is KRaft for any number of voters and observers, with `history.rs` (voters by offset)
//! and `log_summary.rs` (the log as the quorum sees it). It is pure, and takes the place of
//! `quorum.rs`, the quorum of one, when the driver moves over.

pub mod batch;
pub mod history;
pub mod log;
mod log_config;
mod log_error;
pub mod log_scan;
pub mod log_summary;
pub mod machine;
pub mod quorum;
pub mod quorum_state;
pub mod snapshot;
mod voters;

pub use log::MetadataLog;
pub use log_config::MetadataLogConfig;
pub use log_error::MetadataLogError;
pub use log_scan::MetadataLogScan;
pub use quorum::{Quorum, QuorumError, QuorumRecords, Role};
pub use snapshot::SnapshotId;
pub use voters::{DynamicVoter, ReplicaKey, Voter, VoterEndpoint, VoterParseError, VoterSet};
