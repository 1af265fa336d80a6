//! Keys of the node and its quorum.

use crate::config::key::config_keys;

config_keys! {
    /// What this node is, and the quorum it belongs to (Kafka 4.4 `KRaftConfigs`, `QuorumConfig`,
    /// `MetadataLogConfig`).
    NODE, NodeSettings;
    /// What this node does: `broker`, `controller` or both.
    "process.roles": List = required, AnyOf(&["broker", "controller"]), High, ReadOnly
        => process_roles: Vec<String>;
    /// The id of this node, unique in the cluster.
    "node.id": Int = required, AtLeast(0), High, ReadOnly => node_id: i32;
    /// The deprecated name of `node.id`.
    "broker.id": Int = "-1", Any, High, ReadOnly
        accepted "The deprecated other name of `node.id`: either may be given, both must agree.";
    /// The rack of this broker; replicas are spread over racks.
    "broker.rack": String = null, Any, Medium, ReadOnly => broker_rack: Option<String>;
    /// The listeners of the controllers; the first is the one that brokers use.
    "controller.listener.names": List = required, NonEmptyNames, High, ReadOnly
        => controller_listener_names: Vec<String>;
    /// The controllers of a static quorum, as ID@HOST:PORT.
    "controller.quorum.voters": List = "", Voters, High, ReadOnly
        => controller_quorum_voters: Vec<String>;
    /// Where to find a dynamic quorum, as HOST:PORT.
    "controller.quorum.bootstrap.servers": List = "", BootstrapServers, High, ReadOnly
        => controller_quorum_bootstrap_servers: Vec<String>;
    /// Whether a controller adds itself to a dynamic quorum.
    "controller.quorum.auto.join.enable": Boolean = "false", Any, Low, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_auto_join_enable: bool;
    /// How long a candidate waits for votes before it tries again.
    "controller.quorum.election.timeout.ms": Int = "1000", AtLeast(0), High, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_election_timeout_ms: i32;
    /// The longest pause after a lost election.
    "controller.quorum.election.backoff.max.ms": Int = "1000", AtLeast(0), High, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_election_backoff_max_ms: i32;
    /// After this long without its leader's answer a voter stands for election; a leader without a
    /// majority's fetches steps down.
    "controller.quorum.fetch.timeout.ms": Int = "2000", AtLeast(0), High, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_fetch_timeout_ms: i32;
    /// The most bytes of the metadata log that one fetch returns.
    "controller.quorum.fetch.max.bytes": Int = "1048576", AtLeast(1), Low, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_fetch_max_bytes: i32;
    /// The most bytes of a metadata snapshot that one request returns.
    "controller.quorum.fetch.snapshot.max.bytes": Int = "1048576", AtLeast(1), Low, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_fetch_snapshot_max_bytes: i32;
    /// How long the leader of the metadata log collects records before it appends them.
    "controller.quorum.append.linger.ms": Int = "25", AtLeast(0), Medium, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_append_linger_ms: i32;
    /// How long a request within the quorum may take.
    "controller.quorum.request.timeout.ms": Int = "2000", AtLeast(0), Medium, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_request_timeout_ms: i32;
    /// The pause before a failed request within the quorum is retried.
    "controller.quorum.retry.backoff.ms": Int = "20", AtLeast(0), Low, ReadOnly
        pending "The metadata quorum is this node alone."
        => controller_quorum_retry_backoff_ms: i32;
    /// The SASL mechanism between brokers and controllers.
    "sasl.mechanism.controller.protocol": String = "GSSAPI", Any, High, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How long a broker tries to register before it shuts down.
    "initial.broker.registration.timeout.ms": Int = "60000", Any, Medium, ReadOnly
        pending "A broker registers with the controller of its own process, without a timeout."
        => initial_broker_registration_timeout_ms: i32;
    /// Interval between the heartbeats that a broker sends to the controller.
    "broker.heartbeat.interval.ms": Int = "2000", Any, Medium, ReadOnly
        => broker_heartbeat_interval_ms: i32;
    /// A broker silent for this long is fenced.
    "broker.session.timeout.ms": Int = "9000", Any, Medium, ReadOnly
        => broker_session_timeout_ms: i32;
    /// Whether leadership moves to other brokers before shutdown.
    "controlled.shutdown.enable": Boolean = "true", Any, Medium, ReadOnly
        accepted "Kafka 4 ignores it: a broker always moves its leaderships before it shuts down.";
    /// How long a request from the controller may take.
    "controller.socket.timeout.ms": Int = "30000", Any, Medium, ReadOnly
        pending "This node opens no connections to other nodes."
        => controller_socket_timeout_ms: i32;
    /// The directory of the metadata log; not set, it is the first of `log.dirs`.
    "metadata.log.dir": String = null, Any, High, ReadOnly => metadata_log_dir: Option<String>;
    /// The largest segment of the metadata log.
    "metadata.log.segment.bytes": Int = "1073741824", AtLeast(8_388_608), High, ReadOnly
        => metadata_log_segment_bytes: i32;
    /// The longest time before the metadata log begins a new segment.
    "metadata.log.segment.ms": Long = "604800000", Any, High, ReadOnly
        => metadata_log_segment_ms: i64;
    /// Old snapshots and segments of the metadata log beyond this size are deleted.
    "metadata.max.retention.bytes": Long = "104857600", Any, High, ReadOnly
        => metadata_max_retention_bytes: i64;
    /// Old snapshots and segments of the metadata log beyond this age are deleted.
    "metadata.max.retention.ms": Long = "604800000", Any, High, ReadOnly
        => metadata_max_retention_ms: i64;
    /// A snapshot of the metadata is taken after this many bytes of records.
    "metadata.log.max.record.bytes.between.snapshots": Long = "20971520", AtLeast(1), High, ReadOnly
        => metadata_log_max_record_bytes_between_snapshots: i64;
    /// A snapshot of the metadata is taken after this long, if there is anything new; 0 is never.
    "metadata.log.max.snapshot.interval.ms": Long = "3600000", AtLeast(0), High, ReadOnly
        => metadata_log_max_snapshot_interval_ms: i64;
    /// An idle active controller appends a no-op record this often; 0 is never.
    "metadata.max.idle.interval.ms": Int = "500", AtLeast(0), Low, ReadOnly
        => metadata_max_idle_interval_ms: i32;
    /// For tests: overrides `metadata.log.segment.bytes` without its lower bound.
    "internal.metadata.log.segment.bytes": Int = null, Any, Internal, ReadOnly
        => internal_metadata_log_segment_bytes: Option<i32>;
    /// The largest batch of the metadata log.
    "internal.metadata.max.batch.size.in.bytes": Int = "8388608", Any, Internal, ReadOnly
        pending "The built-in batch size applies."
        => internal_metadata_max_batch_size_in_bytes: i32;
    /// How long deleted files of the metadata log stay on disk.
    "internal.metadata.delete.delay.millis": Long = "60000", Any, Internal, ReadOnly
        pending "The built-in delay applies."
        => internal_metadata_delete_delay_millis: i64;
    /// How long startup may take before the process ends.
    "server.max.startup.time.ms": Long = "9223372036854775807", AtLeast(0), Internal, ReadOnly
        pending "Startup has no time limit."
        => server_max_startup_time_ms: i64;
    /// How often the controller reports how long its events took.
    "controller.performance.sample.period.ms": Long = "60000", AtLeast(100), Internal, ReadOnly
        pending "Slow controller events are not monitored.";
    /// Controller events slower than this are always logged.
    "controller.performance.always.log.threshold.ms": Long = "2000", AtLeast(0), Internal, ReadOnly
        pending "Slow controller events are not monitored.";
    /// Offers feature levels that are still in development.
    "unstable.feature.versions.enable": Boolean = "false", Any, Internal, ReadOnly
        accepted "No feature level that is still in development is offered.";
    /// Whether topics may be deleted.
    "delete.topic.enable": Boolean = "true", Any, High, ReadOnly => delete_topic_enable: bool;
    /// The class that decides which topics may be created.
    "create.topic.policy.class.name": Class = null, Any, Low, ReadOnly
        refused "A policy that is not consulted lets through what it was written to refuse.";
    /// The class that decides how configurations may be altered.
    "alter.config.policy.class.name": Class = null, Any, Low, ReadOnly
        refused "A policy that is not consulted lets through what it was written to refuse.";
    /// The providers that put values into the configuration from elsewhere.
    "config.providers": List = "", Names, Low, ClusterWide
        refused "Values such as `${file:...}` would be taken literally, passwords among them.";
}
