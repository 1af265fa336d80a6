//! Settings of a broker before configuration is read: the shipped defaults, some keys overridden.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::settings::{Advertised, BrokerSettings, ListenerSettings};
use crate::controller::command::EffectiveConfig;
use crate::controller::{ConfigRules, Refusal, Values};
use crate::log::LogConfig;
use crate::metadata::{ConfigResource, ResourceType};
use crate::raft::{ReplicaKey, Voter, VoterEndpoint, VoterSet};
use crate::server::services::ServerConfig;
use crate::store::housekeeping::Intervals;

struct Rules;

impl ConfigRules for Rules {
    fn validate(&self, _: &ConfigResource, _: &Values, _: &Values) -> Result<(), Refusal> {
        Ok(())
    }
    fn is_list(&self, _: ResourceType, key: &str) -> bool {
        key == "cleanup.policy"
    }
    fn default_value(&self, _: ResourceType, _: &str) -> Option<String> {
        None
    }
    fn effective_topic(&self, _: &Values, _: &Values, _: &Values) -> Vec<EffectiveConfig> {
        Vec::new()
    }
    fn effective_topic_value(
        &self,
        key: &str,
        topic: &Values,
        _: &Values,
        _: &Values,
    ) -> Option<String> {
        topic.get(key).cloned()
    }
}

/// Settings from overrides.
pub fn settings(overrides: &BTreeMap<String, String>) -> BrokerSettings {
    let get = |key: &str, default: &str| overrides.get(key).cloned().unwrap_or(default.to_owned());
    let node_id = get("node.id", "1").parse().unwrap_or(1);
    let listeners = get("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093");
    let listeners: Vec<ListenerSettings> = listeners
        .split(',')
        .filter_map(|text| {
            let (name, rest) = text.split_once("://")?;
            let (host, port) = rest.rsplit_once(':')?;
            Some(ListenerSettings {
                name: name.to_owned(),
                host: host.to_owned(),
                port: port.parse().ok()?,
                is_controller: name == "CONTROLLER",
            })
        })
        .collect();
    let advertised = listeners
        .iter()
        .map(|l| (l.name.clone(), Advertised { host: l.host.clone(), port: l.port }))
        .collect();
    let controller = listeners.iter().find(|l| l.is_controller);
    let controller_port = controller.map_or(9093, |l| l.port);
    let endpoint = VoterEndpoint {
        listener: "CONTROLLER".into(),
        host: "localhost".into(),
        port: controller_port,
    };
    let voter = Voter {
        key: ReplicaKey { id: node_id, directory: None },
        endpoints: vec![endpoint.clone()],
        kraft_versions: (0, 0),
    };
    let log_dirs: Vec<PathBuf> = get("log.dirs", "data").split(',').map(PathBuf::from).collect();
    let number = |key: &str, default: i64| {
        overrides.get(key).and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    let base = LogConfig {
        segment_bytes: number("log.segment.bytes", 1 << 30) as u32,
        flush_messages: number("log.flush.interval.messages", i64::MAX),
        ..LogConfig::default()
    };
    BrokerSettings {
        node_id,
        metadata_dir: log_dirs[0].clone(),
        log_dirs,
        rack: None,
        listeners,
        advertised,
        static_voters: VoterSet::new([voter]),
        controller_endpoints: vec![endpoint],
        default_partitions: number("num.partitions", 1) as i32,
        default_replication_factor: 1,
        min_insync_replicas: 1,
        delete_topic_enable: true,
        session_timeout: Duration::from_secs(9),
        heartbeat_interval: Duration::from_secs(2),
        max_idle_interval: Some(Duration::from_millis(500)),
        metadata_log: crate::raft::log::MetadataLogConfig::default(),
        rules: Arc::new(Rules),
        log_config_of: Arc::new(move |image, topic| {
            let mut config = base.clone();
            if let Some(values) = image.configs.of(&ConfigResource::topic(topic)) {
                if let Some(v) = values.get("segment.bytes").and_then(|v| v.parse().ok()) {
                    config.segment_bytes = v;
                }
                if let Some(v) = values.get("flush.messages").and_then(|v| v.parse().ok()) {
                    config.flush_messages = v;
                }
            }
            config
        }),
        server: ServerConfig {
            socket_request_max_bytes: 104_857_600,
            queued_max_request_bytes: 512 << 20,
            connections_max_idle: Duration::from_secs(600),
            max_connections: 100_000,
            max_connections_per_ip: 100_000,
            fetch_max_bytes: 57_671_680,
            fetch_sessions_max: 1000,
            auto_create_topics: true,
            max_request_partitions: 2000,
        },
        intervals: Intervals {
            retention: Duration::from_secs(300),
            flush: Duration::from_secs(5),
            checkpoint: Duration::from_secs(5),
            producers: Duration::from_secs(600),
            producer_expiration_ms: 86_400_000,
            unflushed_bytes_max: 64 << 20,
        },
        open_files: 4096,
    }
}
