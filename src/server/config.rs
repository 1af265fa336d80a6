//! The configuration of the network side.

use std::time::Duration;

use super::request_log::RequestLog;
use crate::metadata::Authorizer;

/// Settings of the network side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// `socket.request.max.bytes`.
    pub socket_request_max_bytes: usize,
    /// `queued.max.request.bytes`; ours has a bound unless told otherwise.
    pub queued_max_request_bytes: u64,
    /// `connections.max.idle.ms`.
    pub connections_max_idle: Duration,
    /// `max.connections`.
    pub max_connections: usize,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: usize,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: usize,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `max.request.partition.size.limit`.
    pub max_request_partitions: i32,
    /// `unstable.api.versions.enable`.
    pub unstable_api_versions: bool,
    /// `authorizer.class.name`, with what it is told.
    pub authorizer: Option<Authorizer>,
    /// Whose requests are logged.
    pub request_log: RequestLog,
}

#[cfg(test)]
impl Default for ServerConfig {
    /// As Kafka's defaults are, for tests of parts.
    fn default() -> Self {
        Self {
            socket_request_max_bytes: 100 * 1024 * 1024,
            queued_max_request_bytes: 512 * 1024 * 1024,
            connections_max_idle: Duration::from_mins(10),
            max_connections: usize::MAX,
            max_connections_per_ip: usize::MAX,
            fetch_max_bytes: 55 * 1024 * 1024,
            fetch_sessions_max: 1_000,
            auto_create_topics: true,
            max_request_partitions: 2_000,
            unstable_api_versions: false,
            authorizer: None,
            request_log: RequestLog::default(),
        }
    }
}
