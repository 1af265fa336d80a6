//! From a broker's configuration to what its parts are told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::rules::ConfigKeyRules;
use super::settings::{Advertised, BrokerSettings, ListenerSettings};
use super::shares::Shares;
pub use super::shares::{LimitError, check_memory};
use crate::config::{BrokerConfig, Props, TopicConfig};
use crate::coordinator::groups::GroupsConfig;
use crate::coordinator::groups::consumer::{Assignor, Bounded, ConsumerConfig};
use crate::drivers::coordinators::LogUse;
use crate::env::Limits;
use crate::log::LogConfig;
use crate::metadata::{Authorizer, ConfigResource};
use crate::raft::MetadataLogConfig;
use crate::raft::{ReplicaKey, Voter, VoterEndpoint, VoterSet};
use crate::record::{CompressionType, Rules};
use crate::server::config::ServerConfig;
use crate::server::live_config::{LiveConfig, say};
use crate::server::request_log::RequestLog;
use crate::store::cleaner::CleanerSettings;
use crate::store::housekeeping::Intervals;

/// With fewer connections than this the numbers are logged at startup.
const FEW_CONNECTIONS: u64 = 1000;
/// A log with more than this past its recovery point is flushed: it is read again after a crash.
const UNFLUSHED_BYTES_MAX: u64 = 64 << 20;
/// How often logs are looked at for that.
const FLUSH_LOOK: Duration = Duration::from_secs(5);

/// The settings of a topic's logs.
fn log_config(broker: &BrokerConfig, topic: &Props) -> LogConfig {
    let (config, warnings) = TopicConfig::resolve_stored(broker, topic);
    say(&warnings);
    let bounded = |value: i64| (value >= 0).then_some(value);
    LogConfig {
        segment_bytes: config.largest_segment().max(1).unsigned_abs(),
        segment_ms: config.longest_segment_ms(),
        segment_jitter_ms: config.segment_jitter_ms,
        segment_index_bytes: config.segment_index_bytes.max(1).unsigned_abs(),
        index_interval_bytes: config.index_interval_bytes.max(0).unsigned_abs(),
        retention_ms: bounded(config.retention_ms),
        retention_bytes: bounded(config.retention_bytes).map(i64::unsigned_abs),
        flush_messages: config.flush_messages,
        flush_ms: (config.flush_ms < i64::MAX).then_some(config.flush_ms),
        file_delete_delay_ms: config.file_delete_delay_ms,
        delete: config.cleanup_policy.delete,
        delete_retention_ms: config.delete_retention_ms,
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        min_insync_replicas: usize::try_from(config.min_insync_replicas).unwrap_or(1),
        rules: Rules {
            max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
            timestamp_type: config.message_timestamp_type,
            timestamp_before_max_ms: config.message_timestamp_before_max_ms,
            timestamp_after_max_ms: config.message_timestamp_after_max_ms,
            compression: config.target_compression(),
            compacted: config.cleanup_policy.compact,
        },
    }
}

/// How compaction runs, within `bytes_max` of memory.
fn cleaner(config: &BrokerConfig, bytes_max: u64) -> CleanerSettings {
    let log = &config.log;
    let within = |bytes: usize| bytes.min(usize::try_from(bytes_max).unwrap_or(usize::MAX));
    CleanerSettings {
        threads: usize::try_from(log.log_cleaner_threads).unwrap_or(1),
        map_bytes: within(usize::try_from(log.log_cleaner_dedupe_buffer_size).unwrap_or(0)),
        load_factor: log.log_cleaner_io_buffer_load_factor,
        io_buffer_bytes: within(usize::try_from(log.log_cleaner_io_buffer_size).unwrap_or(0)),
        bytes_per_second: log.log_cleaner_io_max_bytes_per_second,
        backoff: milliseconds(log.log_cleaner_backoff_ms),
    }
}

fn milliseconds(value: impl TryInto<u64>) -> Duration {
    Duration::from_millis(value.try_into().unwrap_or(0))
}

/// The settings of a broker, from its configuration and the limits of its process.
///
/// Errors: the limits are too low for any use.
pub fn settings(config: BrokerConfig, limits: &Limits) -> Result<BrokerSettings, LimitError> {
    let shares = Shares::of(limits, config.listeners.len(), config.log_dirs().len())?;
    if shares.connections < FEW_CONNECTIONS {
        tracing::info!(
            open_files = limits.open_files,
            connections = shares.connections,
            log_files = shares.log_files,
            "the limit of open files allows few connections (max.connections is no larger)"
        );
    }
    let live = Arc::new(LiveConfig::new(config.clone()));
    let host = |host: &Option<String>| host.clone().unwrap_or_default();
    let listeners: Vec<ListenerSettings> = config
        .listeners
        .iter()
        .map(|listener| ListenerSettings {
            name: listener.name.clone(),
            host: host(&listener.host),
            port: listener.port,
            is_controller: config.is_controller_listener(&listener.name),
        })
        .collect();
    // Hosts and ports that are open are filled in once the listeners are bound.
    let none = std::collections::BTreeMap::new();
    let advertised = config
        .advertised_broker_listeners("", &none)
        .into_iter()
        .chain(config.advertised_controller_listeners("", &none))
        .map(|l| (l.name.clone(), Advertised { host: host(&l.host), port: l.port }))
        .collect();
    let controller_listener =
        config.node.controller_listener_names.first().cloned().unwrap_or_default();
    let static_voters = VoterSet::new(config.voters.iter().map(|(id, address)| Voter {
        key: ReplicaKey { id: *id, directory: None },
        endpoints: vec![VoterEndpoint {
            listener: controller_listener.to_uppercase(),
            host: address.host.clone(),
            port: address.port,
        }],
        kraft_versions: (0, 0),
    }));
    let controller_endpoints = config
        .advertised_controller_listeners("localhost", &none)
        .into_iter()
        .map(|l| VoterEndpoint { host: host(&l.host), port: l.port, listener: l.name })
        .collect();
    let within = |value: i32| {
        let connections = usize::try_from(shares.connections).unwrap_or(usize::MAX);
        usize::try_from(value).unwrap_or(0).min(connections)
    };
    let log_of = Arc::clone(&live);
    let cleaner_of = Arc::clone(&live);
    let groups_of = Arc::clone(&live);
    Ok(BrokerSettings {
        node_id: config.node.node_id,
        log_dirs: config.log_dirs().iter().map(PathBuf::from).collect(),
        metadata_dir: PathBuf::from(config.metadata_dir()),
        rack: config.node.broker_rack.clone(),
        listeners,
        advertised,
        static_voters,
        controller_endpoints,
        default_partitions: config.log.num_partitions,
        default_replication_factor: config.replication.default_replication_factor as i16,
        min_insync_replicas: config.log.min_insync_replicas,
        delete_topic_enable: config.node.delete_topic_enable,
        session_timeout: milliseconds(config.node.broker_session_timeout_ms),
        heartbeat_interval: milliseconds(config.node.broker_heartbeat_interval_ms),
        max_idle_interval: Some(milliseconds(config.node.metadata_max_idle_interval_ms))
            .filter(|interval| !interval.is_zero()),
        metadata_log: metadata_log(&config),
        rules: Arc::new(ConfigKeyRules(Arc::clone(&live))),
        configuration: live,
        log_config_of: Arc::new(move |image, topic| {
            let own = image.configs.of(&ConfigResource::topic(topic));
            log_config(&log_of.at(image), own.unwrap_or(&Props::new()))
        }),
        cleaner_of: Arc::new(move |image| cleaner(&cleaner_of.at(image), shares.cleaner_bytes)),
        groups: Arc::new(groups_config(&config, groups_of)),
        offsets_log_use: LogUse {
            compression: u8::try_from(config.group.offsets_topic_compression_codec)
                .ok()
                .and_then(CompressionType::from_id)
                .unwrap_or(CompressionType::None),
            base_sequence: 0,
            linger: Some(milliseconds(config.group.group_coordinator_append_linger_ms))
                .filter(|linger| !linger.is_zero()),
            commit_timeout: Some(milliseconds(config.group.offsets_commit_timeout_ms)),
            load_bytes: config.group.offsets_load_buffer_size.max(1) as usize,
        },
        server: ServerConfig {
            socket_request_max_bytes: config.network.socket_request_max_bytes.max(0) as usize,
            queued_max_request_bytes: u64::try_from(config.network.queued_max_request_bytes)
                .unwrap_or(shares.request_bytes),
            connections_max_idle: match config.network.connections_max_idle_ms {
                ..0 => Duration::MAX,
                ms => milliseconds(ms),
            },
            max_connections: within(config.network.max_connections),
            max_connections_per_ip: within(config.network.max_connections_per_ip),
            fetch_max_bytes: config.network.fetch_max_bytes,
            fetch_sessions_max: config.network.max_incremental_fetch_session_cache_slots.max(0)
                as usize,
            auto_create_topics: config.log.auto_create_topics_enable,
            max_request_partitions: config.network.max_request_partition_size_limit,
            unstable_api_versions: config.network.unstable_api_versions_enable,
            authorizer: config.authorizer().map(|told| Authorizer {
                super_users: told.super_users,
                allows_without_acl: told.allow_everyone_if_no_acl_found,
            }),
            request_log: RequestLog::default(),
        },
        moves_at_once: config
            .replication
            .num_replica_alter_log_dirs_threads
            .and_then(|threads| usize::try_from(threads).ok())
            .unwrap_or(config.log_dirs().len()),
        intervals: Intervals {
            retention: milliseconds(config.log.log_retention_check_interval_ms),
            flush: FLUSH_LOOK
                .min(milliseconds(config.log.log_flush_scheduler_interval_ms))
                .max(Duration::from_millis(10)),
            checkpoint: milliseconds(
                config
                    .log
                    .log_flush_offset_checkpoint_interval_ms
                    .min(config.log.log_flush_start_offset_checkpoint_interval_ms),
            )
            .min(FLUSH_LOOK),
            producers: milliseconds(config.transaction.producer_id_expiration_check_interval_ms),
            producer_expiration_ms: i64::from(config.transaction.producer_id_expiration_ms),
            unflushed_bytes_max: UNFLUSHED_BYTES_MAX,
        },
        open_files: usize::try_from(shares.log_files).unwrap_or(usize::MAX),
    })
}

fn groups_config(config: &BrokerConfig, live: Arc<LiveConfig>) -> GroupsConfig {
    let group = &config.group;
    GroupsConfig {
        session_timeout_min_ms: group.group_min_session_timeout_ms,
        session_timeout_max_ms: group.group_max_session_timeout_ms,
        initial_rebalance_delay: milliseconds(group.group_initial_rebalance_delay_ms),
        members_max: usize::try_from(group.group_max_size).unwrap_or(usize::MAX),
        metadata_max_bytes: usize::try_from(group.offset_metadata_max_bytes).unwrap_or(0),
        offsets_retention_ms: i64::from(group.offsets_retention_minutes) * 60_000,
        offsets_check_interval: milliseconds(group.offsets_retention_check_interval_ms),
        migration: group.group_consumer_migration_policy,
        consumer: consumer_config(config, live),
    }
}

fn consumer_config(config: &BrokerConfig, live: Arc<LiveConfig>) -> ConsumerConfig {
    let group = &config.group;
    // An assignor may be named by its class; others than Kafka's own do not start.
    let short = |name: &String| match name.rsplit('.').next().unwrap_or_default() {
        "UniformAssignor" => Some(Assignor::Uniform),
        "RangeAssignor" => Some(Assignor::Range),
        name => Assignor::of_name(name),
    };
    ConsumerConfig {
        session_timeout: Bounded {
            usual_ms: group.group_consumer_session_timeout_ms,
            min_ms: group.group_consumer_min_session_timeout_ms,
            max_ms: group.group_consumer_max_session_timeout_ms,
        },
        heartbeat_interval: Bounded {
            usual_ms: group.group_consumer_heartbeat_interval_ms,
            min_ms: group.group_consumer_min_heartbeat_interval_ms,
            max_ms: group.group_consumer_max_heartbeat_interval_ms,
        },
        assignment_interval_of: Arc::new(move |image| {
            let group = &live.at(image).group;
            Bounded {
                usual_ms: group.group_consumer_assignment_interval_ms,
                min_ms: group.group_consumer_min_assignment_interval_ms,
                max_ms: group.group_consumer_max_assignment_interval_ms,
            }
        }),
        members_max: usize::try_from(group.group_consumer_max_size).unwrap_or(usize::MAX),
        assignors: group.group_consumer_assignors.iter().filter_map(short).collect(),
        regex_refresh_interval_ms: i64::from(group.group_consumer_regex_refresh_interval_ms),
    }
}

fn metadata_log(config: &BrokerConfig) -> MetadataLogConfig {
    let node = &config.node;
    let bounded = |value: i64| (value >= 0).then_some(value);
    MetadataLogConfig {
        segment_bytes: node
            .internal_metadata_log_segment_bytes
            .unwrap_or(node.metadata_log_segment_bytes)
            .max(1)
            .unsigned_abs(),
        segment_ms: node.metadata_log_segment_ms,
        retention_bytes: bounded(node.metadata_max_retention_bytes).map(i64::unsigned_abs),
        retention_ms: bounded(node.metadata_max_retention_ms),
        snapshot_after_bytes: node
            .metadata_log_max_record_bytes_between_snapshots
            .max(1)
            .unsigned_abs(),
        snapshot_after_ms: bounded(node.metadata_log_max_snapshot_interval_ms)
            .filter(|ms| *ms > 0)
            .map(i64::unsigned_abs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Properties};
    use crate::metadata::MetadataImage;
    use crate::metadata::image::Changes;
    use crate::metadata::record::{ConfigRecord, MetadataRecord};

    #[test]
    fn coordinators_follow_an_assignment_interval_that_is_altered_for_all_brokers() {
        let mut properties = Properties::default();
        for (key, value) in [
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("controller.quorum.voters", "1@localhost:9093"),
            ("group.consumer.assignment.interval.ms", "2000"),
        ] {
            properties.set(key.to_owned(), value.to_owned(), Origin::BuiltIn);
        }
        let config = BrokerConfig::start(&properties).unwrap().0;
        let settings = settings(config, &Limits::default()).unwrap();
        let mut image = MetadataImage::default();
        let interval_of = &settings.groups.consumer.assignment_interval_of;
        assert_eq!(interval_of(&image).usual_ms, 2_000);
        let broker: i8 = 4;
        let record = ConfigRecord {
            resource_type: broker,
            resource_name: String::new(),
            name: "group.consumer.assignment.interval.ms".to_owned(),
            value: Some("3000".to_owned()),
        };
        image.apply(&MetadataRecord::Config(record), &mut Changes::default()).unwrap();
        assert_eq!(interval_of(&image).usual_ms, 3_000);
    }
}
