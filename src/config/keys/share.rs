//! Keys of share groups.

use crate::config::key::config_keys;

config_keys! {
    /// Share groups and their state (Kafka 4.4 `ShareGroupConfig`, `ShareCoordinatorConfig`, and
    /// the share keys of `GroupCoordinatorConfig`).
    SHARE, ShareSettings;
    /// A member of a share group silent for this long is removed.
    "group.share.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_session_timeout_ms: i32;
    /// The shortest session timeout that a share group may be given.
    "group.share.min.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_min_session_timeout_ms: i32;
    /// The longest session timeout that a share group may be given.
    "group.share.max.session.timeout.ms": Int = "60000", AtLeast(1), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_session_timeout_ms: i32;
    /// How often a member of a share group sends a heartbeat.
    "group.share.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_heartbeat_interval_ms: i32;
    /// The shortest heartbeat interval that a share group may be given.
    "group.share.min.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_min_heartbeat_interval_ms: i32;
    /// The longest heartbeat interval that a share group may be given.
    "group.share.max.heartbeat.interval.ms": Int = "15000", AtLeast(1), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_heartbeat_interval_ms: i32;
    /// How many members a share group may have.
    "group.share.max.size": Int = "200", Between(1, 1_000), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_size: i32;
    /// How many share sessions are kept.
    "group.share.max.share.sessions": Int = "2000", AtLeast(1), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_share_sessions: i32;
    /// The assignor of share groups, exactly one.
    "group.share.assignors": List = "simple", NonEmptyNames, Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_assignors: Vec<String>;
    /// The shortest time between two assignments of a share group.
    "group.share.assignment.interval.ms": Int = "1000", AtLeast(0), Medium, ClusterWide
        pending "Share groups are not served."
        => group_share_assignment_interval_ms: i32;
    /// The least that a share group's assignment interval may be.
    "group.share.min.assignment.interval.ms": Int = "0", AtLeast(0), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_min_assignment_interval_ms: i32;
    /// The most that a share group's assignment interval may be.
    "group.share.max.assignment.interval.ms": Int = "15000", AtLeast(0), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_assignment_interval_ms: i32;
    /// Whether the assignors of share groups run on threads of their own.
    "group.share.assignor.offload.enable": Boolean = "true", Any, Internal, ClusterWide
        accepted "Assignors run where the coordinator does.";
    /// The pause before the state of a share partition is initialized again.
    "group.share.initialize.retry.interval.ms": Int = "30000", AtLeast(1), Internal, ReadOnly
        pending "Share groups are not served."
        => group_share_initialize_retry_interval_ms: i32;
    /// How many times a record is delivered before it is archived as undeliverable.
    "group.share.delivery.count.limit": Int = "5", Between(2, 10), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_delivery_count_limit: i32;
    /// The lowest delivery limit that a share group may be given.
    "group.share.min.delivery.count.limit": Int = "2", Between(2, 5), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_min_delivery_count_limit: i32;
    /// The highest delivery limit that a share group may be given.
    "group.share.max.delivery.count.limit": Int = "10", Between(5, 25), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_delivery_count_limit: i32;
    /// How many records of a partition may be in delivery at once.
    "group.share.partition.max.record.locks": Int = "2000", Between(100, 10_000), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_partition_max_record_locks: i32;
    /// The lowest such bound that a share group may be given.
    "group.share.min.partition.max.record.locks": Int = "100", Between(100, 2_000), Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_min_partition_max_record_locks: i32;
    /// The highest such bound that a share group may be given.
    "group.share.max.partition.max.record.locks": Int = "4000", Between(2_000, 10_000),
        Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_partition_max_record_locks: i32;
    /// How long a record in delivery is locked.
    "group.share.record.lock.duration.ms": Int = "30000", Between(1_000, 3_600_000),
        Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_record_lock_duration_ms: i32;
    /// The shortest lock that a share group may be given.
    "group.share.min.record.lock.duration.ms": Int = "15000", Between(1_000, 30_000),
        Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_min_record_lock_duration_ms: i32;
    /// The longest lock that a share group may be given.
    "group.share.max.record.lock.duration.ms": Int = "60000", Between(30_000, 3_600_000),
        Medium, ReadOnly
        pending "Share groups are not served."
        => group_share_max_record_lock_duration_ms: i32;
    /// The class that keeps the state of share groups.
    "group.share.persister.class.name": String =
        "org.apache.kafka.server.share.persister.DefaultStatePersister", Any, Internal, ReadOnly
        refused "Java classes cannot be loaded, and the state of share groups would not be \
         where it is expected.";
    /// The class that writes undeliverable records to their dead letter topics.
    "group.share.dlq.manager.class.name": String =
        "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager", Any, Internal, ReadOnly
        refused "Java classes cannot be loaded, and undeliverable records would not be \
         where they are expected.";
    /// Whether a share group's dead letter topic is created when it is needed (KIP-1191).
    "errors.deadletterqueue.auto.create.topics.enable": Boolean = "false", Any, Medium, ClusterWide
        pending "Share groups are not served."
        => errors_deadletterqueue_auto_create_topics_enable: bool;
    /// What the name of every dead letter topic begins with.
    "errors.deadletterqueue.topic.name.prefix": String = "dlq.", Any, Medium, ClusterWide
        pending "Share groups are not served."
        => errors_deadletterqueue_topic_name_prefix: String;
    /// How many partitions `__share_group_state` has.
    "share.coordinator.state.topic.num.partitions": Int = "50", AtLeast(1), High, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_state_topic_num_partitions: i32;
    /// How many replicas `__share_group_state` has; it is not created while there are fewer
    /// brokers.
    "share.coordinator.state.topic.replication.factor": Short = "3", AtLeast(1), High, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_state_topic_replication_factor: i16;
    /// `min.insync.replicas` of `__share_group_state`.
    "share.coordinator.state.topic.min.isr": Short = "2", AtLeast(1), High, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_state_topic_min_isr: i16;
    /// `segment.bytes` of `__share_group_state`.
    "share.coordinator.state.topic.segment.bytes": Int = "104857600", AtLeast(1), High, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_state_topic_segment_bytes: i32;
    /// The codec of `__share_group_state`, by its number; 0 is none.
    "share.coordinator.state.topic.compression.codec": Int = "0", Any, High, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_state_topic_compression_codec: i32;
    /// How often records of `__share_group_state` that are no longer needed are deleted.
    "share.coordinator.state.topic.prune.interval.ms": Int = "300000", AtLeast(1),
        Internal, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_state_topic_prune_interval_ms: i32;
    /// How often a share partition without traffic gets a new snapshot.
    "share.coordinator.cold.partition.snapshot.interval.ms": Int = "300000", AtLeast(1),
        Internal, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_cold_partition_snapshot_interval_ms: i32;
    /// How many updates of a share partition's state lie between two snapshots.
    "share.coordinator.snapshot.update.records.per.snapshot": Int = "500", Between(0, 500),
        Medium, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_snapshot_update_records_per_snapshot: i32;
    /// How long a write of the share coordinator may wait for its replicas.
    "share.coordinator.write.timeout.ms": Int = "5000", AtLeast(1), High, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_write_timeout_ms: i32;
    /// How much of `__share_group_state` is read at once when it is loaded.
    "share.coordinator.load.buffer.size": Int = "5242880", AtLeast(1), High, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_load_buffer_size: i32;
    /// How many threads run the share coordinator.
    "share.coordinator.threads": Int = "1", AtLeast(1), Medium, ReadOnly
        accepted "A coordinator runs on the threads that serve connections.";
    /// How long the share coordinator collects records before it writes them; -1 decides by load.
    "share.coordinator.append.linger.ms": Int = "-1", AtLeast(-1), Medium, ReadOnly
        pending "Share groups are not served."
        => share_coordinator_append_linger_ms: i32;
    /// The largest buffer that the share coordinator keeps for the next write.
    "share.coordinator.cached.buffer.max.bytes": Int = "1048588", AtLeast(524_288),
        Medium, ClusterWide accepted "Buffers are not cached.";
}
