//! Keys of replication.

use crate::config::key::config_keys;

config_keys! {
    /// How replicas follow their leader (Kafka 4.4 `ReplicationConfigs`).
    REPLICATION, ReplicationSettings;
    /// How many replicas a topic gets that is created without a number.
    "default.replication.factor": Int = "1", Any, Medium, ReadOnly
        => default_replication_factor: i32;
    /// A follower that has not caught up for this long is no longer in sync.
    "replica.lag.time.max.ms": Long = "30000", Any, High, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_lag_time_max_ms: i64;
    /// How long a fetch of a follower may take.
    "replica.socket.timeout.ms": Int = "30000", Any, High, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_socket_timeout_ms: i32;
    /// Receive buffer of a follower's connection to its leader.
    "replica.socket.receive.buffer.bytes": Int = "65536", Any, High, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_socket_receive_buffer_bytes: i32;
    /// How many bytes a follower fetches of one partition at once.
    "replica.fetch.max.bytes": Int = "1048576", AtLeast(0), Medium, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_fetch_max_bytes: i32;
    /// How long the leader may hold a follower's fetch back.
    "replica.fetch.wait.max.ms": Int = "500", Any, High, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_fetch_wait_max_ms: i32;
    /// How many bytes the leader waits for before it answers a follower's fetch.
    "replica.fetch.min.bytes": Int = "1", Any, High, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_fetch_min_bytes: i32;
    /// How many bytes a follower fetches at once.
    "replica.fetch.response.max.bytes": Int = "10485760", AtLeast(0), Medium, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_fetch_response_max_bytes: i32;
    /// The pause after a failed fetch of a follower.
    "replica.fetch.backoff.ms": Int = "1000", AtLeast(0), Medium, ReadOnly
        pending "Partitions have one replica, on this node."
        => replica_fetch_backoff_ms: i32;
    /// How many connections this broker has to each leader that it follows.
    "num.replica.fetchers": Int = "1", AtLeast(1), High, ClusterWide
        pending "Partitions have one replica, on this node."
        => num_replica_fetchers: i32;
    /// Interval between checkpoints of the high watermarks.
    "replica.high.watermark.checkpoint.interval.ms": Long = "5000", Any, High, ReadOnly
        pending "High watermarks are checkpointed together with recovery points."
        => replica_high_watermark_checkpoint_interval_ms: i64;
    /// The class that chooses which replica a consumer reads from.
    "replica.selector.class": String = null, Any, Medium, ReadOnly
        refused ["org.apache.kafka.common.replica.RackAwareReplicaSelector"]
        "Java classes cannot be loaded." => replica_selector_class: Option<String>;
    /// How many threads move replicas between directories; not set, as many as there are
    /// directories.
    "num.replica.alter.log.dirs.threads": Int = null, Any, High, ReadOnly
        => num_replica_alter_log_dirs_threads: Option<i32>;
    /// Whether the controller returns leadership to the preferred replicas.
    "auto.leader.rebalance.enable": Boolean = "true", Any, High, ReadOnly
        pending "Partitions have one replica, on this node."
        => auto_leader_rebalance_enable: bool;
    /// How often the controller looks for replicas that should lead.
    "leader.imbalance.check.interval.seconds": Long = "300", AtLeast(1), High, ReadOnly
        pending "Partitions have one replica, on this node."
        => leader_imbalance_check_interval_seconds: i64;
    /// The listener that brokers use among each other; not set, it is that of
    /// `security.inter.broker.protocol`.
    "inter.broker.listener.name": String = null, Any, Medium, ReadOnly
        => inter_broker_listener_name: Option<String>;
    /// The security protocol between brokers; only used if `inter.broker.listener.name` is not set.
    "security.inter.broker.protocol": String =
        "PLAINTEXT", OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly
        => security_inter_broker_protocol: String;
    /// After how many requests the answered ones are removed from those waiting.
    "fetch.purgatory.purge.interval.requests": Int = "1000", Any, Medium, ReadOnly
        accepted "Waiting requests are removed as soon as they are answered.";
    /// After how many requests the answered ones are removed from those waiting.
    "producer.purgatory.purge.interval.requests": Int = "1000", Any, Medium, ReadOnly
        accepted "Waiting requests are removed as soon as they are answered.";
    /// After how many requests the answered ones are removed from those waiting.
    "delete.records.purgatory.purge.interval.requests": Int = "1", Any, Medium, ReadOnly
        accepted "Waiting requests are removed as soon as they are answered.";
    /// After how many requests the answered ones are removed from those waiting.
    "share.fetch.purgatory.purge.interval.requests": Int = "1000", Any, Medium, ReadOnly
        accepted "Waiting requests are removed as soon as they are answered.";
    /// Whether a new follower begins at the first offset that is not in tiered storage.
    "follower.fetch.last.tiered.offset.enable": Boolean = "false", Any, Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
}
