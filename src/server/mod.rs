//! Kafka's API over the layers below: connections, the table of APIs, one handler an API.
//!
//! It owns sockets, ordering, limits and the translation between wire and domain. Handlers decide
//! nothing: they authorize, resolve, call one thing, translate back.
//!
//! Read `apis.rs` (the table), `context.rs` (what a handler sees), `connection.rs` (the life of a
//! request), `listener.rs`, `budget.rs`, `buffers.rs`, `quirks.rs` (what some clients need),
//! `request_log.rs` (a line for each request), then any file of `api/`.

pub mod api;
pub mod apis;
mod authorization;
pub mod budget;
mod buffers;
pub mod config;
pub mod connection;
pub mod connection_counts;
pub mod context;
pub mod fetch_sessions;
pub mod listener;
pub mod listener_info;
pub mod live_config;
mod quirks;
pub mod request_log;
pub mod return_memory;
pub mod services;
pub(crate) mod slice;
