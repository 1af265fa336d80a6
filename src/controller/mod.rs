//! Decides the cluster's next metadata records.
//!
//! Owns the rules by which topics, brokers, configurations and the rest of the cluster's metadata
//! change; a pure machine: commands in, records and replies out, records applied. Refuses to know
//! clocks, files, sockets and the wire. Its driver is `drivers/controller.rs`.
//!
//! Read `command.rs` (what can be asked), `machine.rs` (decide and apply), then one file per
//! subject: `bootstrap.rs`, `brokers.rs`, `topics.rs`, `partitions.rs` (how one partition changes),
//! `elections.rs`, `placement.rs`, `configs.rs`, `update_features.rs`, `producer_ids.rs`,
//! `quotas.rs`, `security.rs`.

// Commands are decided by functions of one signature, whether they can be refused or not.
#![allow(clippy::unnecessary_wraps)]

pub mod bootstrap;
mod brokers;
pub mod command;
mod config_rules;
mod configs;
mod elections;
mod machine;
mod partitions;
pub mod placement;
mod producer_ids;
mod quotas;
mod security;
#[cfg(test)]
pub(crate) mod tests;
pub mod topic_names;
mod topics;
mod update_features;

pub use command::{Command, Operation, Refusal, Reply, Verdict};
pub use config_rules::{ConfigRules, ConfigValues};
pub use elections::{Ongoing, ongoing_reassignments};
pub use machine::{Context, Controller, HistoryError, Outcome, RECORDS_MAX, Settings};
pub use producer_ids::BLOCK_LEN as PRODUCER_ID_BLOCK_LEN;
pub use topics::too_large;
