//! The broker, as its connections and handlers know it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::budget::Budget;
use super::fetch_sessions::FetchSessions;
use super::listener::Connections;
use super::live_config::LiveConfig;
use super::request_log::RequestLog;
use super::request_metrics::RequestMetrics;
use crate::coordinator::groups::Groups;
use crate::drivers::producer_ids::ProducerIds;
use crate::drivers::transactions::Transactions;
use crate::drivers::{ControllerClient, Coordinators, QuorumClient, ShutdownSignal};
use crate::env::Env;
use crate::metadata::{Authorizer, MetadataImage};
use crate::metrics::Registry;
use crate::store::{Flusher, LogDir, Mover, Partitions, Placement};
use crate::types::BrokerId;

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

/// What every connection shares.
pub struct Services {
    /// The world outside.
    pub env: Env,
    /// Settings of the network side.
    pub config: ServerConfig,
    /// The configuration as it is now.
    pub configuration: Arc<LiveConfig>,
    /// Which cluster this is.
    pub cluster_id: String,
    /// Which node this is.
    pub node_id: BrokerId,
    /// The newest metadata.
    pub image: Arc<ArcSwap<MetadataImage>>,
    /// The metadata quorum.
    pub quorum: QuorumClient,
    /// The active controller.
    pub controller: ControllerClient,
    /// The partitions of this broker.
    pub partitions: Arc<Partitions>,
    /// The coordinators of groups.
    pub groups: Arc<Coordinators<Groups>>,
    /// Group commit.
    pub flusher: Arc<Flusher>,
    /// The log directories.
    pub log_dirs: Vec<Arc<LogDir>>,
    /// What is here and does not open.
    pub placement: Arc<Placement>,
    /// Moves between log directories.
    pub mover: Arc<Mover>,
    /// Ids for idempotent producers.
    pub producer_ids: Arc<ProducerIds>,
    /// The transaction coordinators that are here.
    pub transactions: Arc<Transactions>,
    /// Memory for requests.
    pub budget: Budget,
    /// Open connections.
    pub connections: Connections,
    /// Fetch sessions.
    pub fetch_sessions: Mutex<FetchSessions>,
    /// Whether the node shuts down.
    pub stopping: Arc<ShutdownSignal>,
    /// Metrics of requests by API.
    pub requests: Arc<RequestMetrics>,
    /// The metrics of all parts.
    pub metrics: Registry,
}
