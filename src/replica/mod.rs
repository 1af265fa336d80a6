//! Replication rules of one partition: pure, without a log, a clock or a channel.
//!
//! Read `leader.rs`: what a leader may accept, and how far its records are committed. Called by
//! `store::partition` under the partition's monitor.

mod leader;

pub use leader::{Leader, NotEnoughReplicas};
