//! What coordinators keep in internal topics, and how they decide. Pure: no I/O, no clock.
//!
//! Read `shard.rs` (a coordinator of one partition as a machine), then `records/mod.rs`: the
//! records of `__consumer_offsets`, `__transaction_state` and `__share_group_state`.

pub mod groups;
pub mod records;
pub mod shard;
pub mod transactions;

pub use shard::{Answer, Decision, Outcome, Producer, Shard, ShardContext, Ticket, partition_for};
