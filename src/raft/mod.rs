//! KRaft for one log.

pub mod quorum_state;
mod voters;

pub use voters::{DynamicVoter, ReplicaKey, Voter, VoterEndpoint, VoterParseError, VoterSet};
