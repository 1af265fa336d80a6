//! KRaft for one log.

pub mod batch;
pub mod quorum_state;
pub mod snapshot;
mod voters;

pub use snapshot::SnapshotId;
pub use voters::{DynamicVoter, ReplicaKey, Voter, VoterEndpoint, VoterParseError, VoterSet};
