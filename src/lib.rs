//! Blumfeld: a Kafka-wire-compatible broker.
//!
//! ARCHITECTURE.md describes how the modules fit together; `tests/tidy.rs` holds their layers.

pub mod broker;
pub mod cli;
pub mod client;
pub mod codec;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod drivers;
pub mod env;
pub mod format;
pub mod log;
pub mod metadata;
pub mod metrics;
pub mod protocol;
pub mod raft;
pub mod record;
pub mod replica;
pub mod server;
pub mod store;
pub mod types;
