//! The broker, as its connections and handlers know it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::budget::Budget;
use super::config::ServerConfig;
use super::connection_counts::ConnectionCounts;
use super::fetch_sessions::FetchSessions;
use super::live_config::LiveConfig;
use super::request_metrics::RequestMetrics;
use crate::coordinator::groups::Groups;
use crate::drivers::producer_ids::ProducerIds;
use crate::drivers::transactions::Transactions;
use crate::drivers::{ControllerClient, Coordinators, QuorumClient, ShutdownSignal};
use crate::env::Env;
use crate::metadata::MetadataImage;
use crate::metrics::Registry;
use crate::store::{Flusher, LogDir, Mover, Partitions, Placement};
use crate::types::BrokerId;

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
    pub connections: ConnectionCounts,
    /// Fetch sessions.
    pub fetch_sessions: Mutex<FetchSessions>,
    /// Whether the node shuts down.
    pub stopping: Arc<ShutdownSignal>,
    /// Metrics of requests by API.
    pub requests: Arc<RequestMetrics>,
    /// The metrics of all parts.
    pub metrics: Registry,
}
