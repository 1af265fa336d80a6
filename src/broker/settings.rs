//! Everything a broker is told at its start, as plain values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::controller::ConfigRules;
use crate::coordinator::groups::GroupsConfig;
use crate::drivers::coordinators::LogUse;
use crate::metadata::MetadataImage;
use crate::raft::MetadataLogConfig;
use crate::raft::{VoterEndpoint, VoterSet};
use crate::server::config::ServerConfig;
use crate::server::live_config::LiveConfig;
use crate::store::cleaner::CleanerSettings;
use crate::store::housekeeping::Intervals;

use crate::store::placement::LogConfigOf;
use crate::types::BrokerId;

/// Makes the settings of compaction from an image.
pub type CleanerOf = Arc<dyn Fn(&MetadataImage) -> CleanerSettings + Send + Sync>;

/// A listener to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Its name, in capitals.
    pub name: String,
    /// What to bind, "" for every address.
    pub host: String,
    /// 0 takes a free port.
    pub port: u16,
    /// Whether it is the controller's.
    pub is_controller: bool,
}

/// Where clients are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Host name or address.
    pub host: String,
    /// 0 is the port that was bound.
    pub port: u16,
}

/// What a broker is told.
#[derive(Clone)]
pub struct BrokerSettings {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first log directory.
    pub metadata_dir: PathBuf,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The listeners, in order.
    pub listeners: Vec<ListenerSettings>,
    /// What is advertised, by listener; a listener that is missing here is not advertised.
    pub advertised: BTreeMap<String, Advertised>,
    /// `controller.quorum.voters`.
    pub static_voters: VoterSet,
    /// The controller's listeners as the quorum knows them.
    pub controller_endpoints: Vec<VoterEndpoint>,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `metadata.max.idle.interval.ms`.
    pub max_idle_interval: Option<Duration>,
    /// How the metadata log is kept.
    pub metadata_log: MetadataLogConfig,
    /// What can be altered while the broker runs.
    pub configuration: Arc<LiveConfig>,
    /// What configurations mean.
    pub rules: Arc<dyn ConfigRules>,
    /// The settings of a topic's logs.
    pub log_config_of: LogConfigOf,
    /// Group coordinators.
    pub groups: Arc<GroupsConfig>,
    /// `offsets.topic.compression.codec`, `offsets.commit.timeout.ms`.
    pub offsets_log_use: LogUse,
    /// The network side.
    pub server: ServerConfig,
    /// How compaction runs.
    pub cleaner_of: CleanerOf,
    /// `num.replica.alter.log.dirs.threads`: how many chunks are copied at once between log
    /// directories.
    pub moves_at_once: usize,
    /// What runs by the clock.
    pub intervals: Intervals,
    /// How many files of logs stay open.
    pub open_files: usize,
}
