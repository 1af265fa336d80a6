//! Replication rules of one partition: pure, without a log, a clock or a channel. Time is an
//! argument; what is to be done leaves as a value.
//!
//! Read `role.rs` first: which roles a replica has, and what a change of role must do. Then, for
//! the leader, `isr.rs` (committed and maximal ISR), `remote_replica.rs` (what is known about a
//! follower), `leader.rs` (high watermark, fetches, proposals to the controller), `acks.rs`
//! (produce requests that wait) and `reads.rs` (offsets and replicas for consumers). For the
//! follower, `divergence.rs` (where two logs part), `follower.rs` (one partition), and `fetcher.rs`
//! with `fetch_session.rs` (the requests to one leader). `throttle.rs` serves both.
//!
//! `faults.rs` names the mistakes that `tests/simulation` plants and must find.
//!
//! The rules are those of KIP-101, KIP-207, KIP-227, KIP-279, KIP-320, KIP-392, KIP-497, KIP-595,
//! KIP-841, KIP-903 and KIP-966.

mod acks;
mod divergence;
mod faults;
mod fetch_session;
mod fetcher;
mod follower;
mod follower_fetch;
mod isr;
mod leader;
mod reads;
mod remote_replica;
mod role;
mod throttle;

#[cfg(test)]
mod tests;

pub use acks::{AckFailure, AckResult, ParkedAcks};
pub use divergence::{EpochEnd, LogFacts, OutOfRange, Truncation, check_position, truncation};
pub use fetcher::{FetchPlan, ReplicaFetcher, ReplicaFetcherSettings, ResponseVerdict, fetcher_of};
pub use follower::{
    BatchFacts, DivergenceCheck, Effects, FetchAnswer, FollowerAction, FollowerFailure,
    FollowerPosition, FollowerRequest, FollowerState, LogCut, PartitionFollower,
};
pub use follower_fetch::{
    AcceptedFetch, EpochMismatch, FetchCheck, FetchRefusal, FollowerFetch, check_leader_epoch,
};
pub use isr::{
    BrokerStatus, Isr, IsrMember, PartitionEpoch, Proposal, ProposalId, UNKNOWN_BROKER_EPOCH,
};
pub use leader::{
    AlterPartitionOutcome, CommittedIsr, LeaderOutcome, LeaderSettings, LocalEnd,
    NotEnoughReplicas, PartitionLeader,
};
pub use reads::{OffsetNotAvailable, ReadReplica, select_by_rack};
pub use role::{
    Replica, ReplicaHost, ReplicaRole, ReplicaRoleEvent, ReplicaRoleKind, ReplicaSettings,
    RoleStep, RoleTransition, transition,
};
pub use throttle::{ReplicationQuota, ThrottledReplicas, holds_back};
