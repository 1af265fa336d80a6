//! Kafka's API over the layers below: connections, the table of APIs, one handler an API.
//!
//! It owns sockets, ordering, limits and the translation between wire and domain. Handlers decide
//! nothing: they authorize, resolve, call one thing, translate back.
//!
//! Read `apis.rs` (the table), `context.rs` (what a handler sees), `connection.rs` (the life of a
//! request), `listener.rs`, `budget.rs`, `buffers.rs`, `quirks.rs` (what some clients need),
//! `request_log.rs` (a line for each request), `request_metrics.rs`, `connection_metrics.rs`, `replica_metrics.rs`, `group_metrics.rs`, `memory_metrics.rs`, `process_metrics.rs` and
//! `cluster_metrics.rs` (what operators count), then any file of `api/`.

pub mod api;
pub mod apis;
mod authorization;
pub mod budget;
mod buffers;
pub mod cluster_metrics;
pub mod config;
pub mod connection;
pub mod connection_counts;
pub mod connection_metrics;
pub mod context;
pub mod fetch_sessions;
pub mod group_metrics;
pub mod listener;
pub mod listener_info;
pub mod live_config;
pub mod memory_metrics;
pub mod process_metrics;
mod quirks;
pub mod replica_metrics;
pub mod request_log;
pub mod request_metrics;
pub mod return_memory;
pub mod services;
pub(crate) mod slice;
