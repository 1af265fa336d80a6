//! Keys of groups.

use crate::config::key::config_keys;
use crate::config::types::MigrationPolicy;

config_keys! {
    /// Consumer, streams and classic groups and their offsets (Kafka 4.4 `GroupCoordinatorConfig`).
    GROUP, GroupSettings;
    /// The group protocols that are served.
    "group.coordinator.rebalance.protocols": List =
        "classic,consumer,streams",
        AnyOf(&["consumer", "classic", "share", "streams"]), Medium, ReadOnly
        => group_coordinator_rebalance_protocols: Vec<String>;
    /// How many threads run the group coordinator.
    "group.coordinator.threads": Int = "4", AtLeast(1), High, ReadOnly
        accepted "A coordinator runs on the threads that serve connections.";
    /// How many threads do the group coordinator's longer work.
    "group.coordinator.background.threads": Int = "2", AtLeast(1), High, ReadOnly
        accepted "A coordinator runs on the threads that serve connections.";
    /// How long the group coordinator collects records before it appends them; -1 adapts to the
    /// load.
    "group.coordinator.append.linger.ms": Int = "-1", AtLeast(-1), Medium, ReadOnly
        => group_coordinator_append_linger_ms: i32;
    /// The largest buffer that the group coordinator keeps for the next write.
    "group.coordinator.cached.buffer.max.bytes": Int = "1048588", AtLeast(524_288),
        Medium, ClusterWide accepted "Buffers are not cached.";
    /// The largest metadata string that a consumer may commit with an offset.
    "offset.metadata.max.bytes": Int = "4096", Any, High, ReadOnly
        => offset_metadata_max_bytes: i32;
    /// Read size while `__consumer_offsets` is loaded.
    "offsets.load.buffer.size": Int = "5242880", AtLeast(1), High, ReadOnly
        => offsets_load_buffer_size: i32;
    /// How many replicas `__consumer_offsets` has; it is not created while there are fewer brokers.
    "offsets.topic.replication.factor": Short = "3", AtLeast(1), High, ReadOnly
        => offsets_topic_replication_factor: i16;
    /// How many partitions `__consumer_offsets` has.
    "offsets.topic.num.partitions": Int = "50", AtLeast(1), High, ReadOnly
        => offsets_topic_num_partitions: i32;
    /// `segment.bytes` of `__consumer_offsets`.
    "offsets.topic.segment.bytes": Int = "104857600", AtLeast(1), High, ReadOnly
        => offsets_topic_segment_bytes: i32;
    /// The codec of `__consumer_offsets`, by its number; 0 is none.
    "offsets.topic.compression.codec": Int = "0", Any, High, ReadOnly
        => offsets_topic_compression_codec: i32;
    /// How long the offsets of a group without members are kept.
    "offsets.retention.minutes": Int = "10080", AtLeast(1), High, ReadOnly
        => offsets_retention_minutes: i32;
    /// Interval between scans for expired offsets.
    "offsets.retention.check.interval.ms": Long = "600000", AtLeast(1), High, ReadOnly
        => offsets_retention_check_interval_ms: i64;
    /// How long an offset commit waits for replication.
    "offsets.commit.timeout.ms": Int = "5000", AtLeast(1), High, ReadOnly
        => offsets_commit_timeout_ms: i32;
    /// The shortest session timeout that a member of a classic group may ask for.
    "group.min.session.timeout.ms": Int = "6000", Any, Medium, ReadOnly
        => group_min_session_timeout_ms: i32;
    /// The longest session timeout that a member of a classic group may ask for.
    "group.max.session.timeout.ms": Int = "1800000", Any, Medium, ReadOnly
        => group_max_session_timeout_ms: i32;
    /// How long a classic group that was empty waits for more members.
    "group.initial.rebalance.delay.ms": Int = "3000", Any, Medium, ReadOnly
        => group_initial_rebalance_delay_ms: i32;
    /// How many members a classic group may have.
    "group.max.size": Int = "2147483647", AtLeast(1), Medium, ReadOnly => group_max_size: i32;
    /// A member of a consumer group silent for this long is removed.
    "group.consumer.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ReadOnly
        => group_consumer_session_timeout_ms: i32;
    /// The shortest session timeout that a consumer group may be given.
    "group.consumer.min.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ReadOnly
        => group_consumer_min_session_timeout_ms: i32;
    /// The longest session timeout that a consumer group may be given.
    "group.consumer.max.session.timeout.ms": Int = "60000", AtLeast(1), Medium, ReadOnly
        => group_consumer_max_session_timeout_ms: i32;
    /// How often a member of a consumer group sends a heartbeat.
    "group.consumer.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ReadOnly
        => group_consumer_heartbeat_interval_ms: i32;
    /// The shortest heartbeat interval that a consumer group may be given.
    "group.consumer.min.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ReadOnly
        => group_consumer_min_heartbeat_interval_ms: i32;
    /// The longest heartbeat interval that a consumer group may be given.
    "group.consumer.max.heartbeat.interval.ms": Int = "15000", AtLeast(1), Medium, ReadOnly
        => group_consumer_max_heartbeat_interval_ms: i32;
    /// How many members a consumer group may have.
    "group.consumer.max.size": Int = "2147483647", AtLeast(1), Medium, ReadOnly
        => group_consumer_max_size: i32;
    /// The assignors of consumer groups; the first is the default.
    "group.consumer.assignors": List = "uniform,range", NonEmptyNames, Medium, ReadOnly
        => group_consumer_assignors: Vec<String>;
    /// Between which protocols a group may move while it has members.
    "group.consumer.migration.policy": String =
        "bidirectional",
        OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), Medium, ReadOnly
        => group_consumer_migration_policy: MigrationPolicy;
    /// The shortest time between two assignments of a consumer group.
    "group.consumer.assignment.interval.ms": Int = "1000", AtLeast(0), Medium, ClusterWide
        => group_consumer_assignment_interval_ms: i32;
    /// The least that a consumer group's assignment interval may be.
    "group.consumer.min.assignment.interval.ms": Int = "0", AtLeast(0), Medium, ReadOnly
        => group_consumer_min_assignment_interval_ms: i32;
    /// The most that a consumer group's assignment interval may be.
    "group.consumer.max.assignment.interval.ms": Int = "15000", AtLeast(0), Medium, ReadOnly
        => group_consumer_max_assignment_interval_ms: i32;
    /// Whether the assignors of consumer groups run on threads of their own.
    "group.consumer.assignor.offload.enable": Boolean = "true", Any, Internal, ClusterWide
        accepted "Assignors run where the coordinator does.";
    /// How often a consumer group's regular expressions are matched again.
    "group.consumer.regex.refresh.interval.ms": Int = "600000", AtLeast(10_000), Internal, ReadOnly
        => group_consumer_regex_refresh_interval_ms: i32;
    /// A member of a streams group silent for this long is removed.
    "group.streams.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_session_timeout_ms: i32;
    /// The shortest session timeout that a streams group may be given.
    "group.streams.min.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_min_session_timeout_ms: i32;
    /// The longest session timeout that a streams group may be given.
    "group.streams.max.session.timeout.ms": Int = "60000", AtLeast(1), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_max_session_timeout_ms: i32;
    /// How often a member of a streams group sends a heartbeat.
    "group.streams.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_heartbeat_interval_ms: i32;
    /// The shortest heartbeat interval that a streams group may be given.
    "group.streams.min.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_min_heartbeat_interval_ms: i32;
    /// The longest heartbeat interval that a streams group may be given.
    "group.streams.max.heartbeat.interval.ms": Int = "15000", AtLeast(1), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_max_heartbeat_interval_ms: i32;
    /// How many members a streams group may have.
    "group.streams.max.size": Int = "2147483647", AtLeast(1), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_max_size: i32;
    /// How many standby replicas each task of a streams group has.
    "group.streams.num.standby.replicas": Int = "0", AtLeast(0), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_num_standby_replicas: i32;
    /// The most standby replicas that a streams group may be given.
    "group.streams.max.standby.replicas": Int = "2", AtLeast(0), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_max_standby_replicas: i32;
    /// How many replicas of a streams group may warm up at once.
    "group.streams.num.warmup.replicas": Int = "2", AtLeast(0), Internal, ReadOnly
        pending "Streams groups are not served."
        => group_streams_num_warmup_replicas: i32;
    /// The most warm-up replicas that a streams group may be given.
    "group.streams.max.warmup.replicas": Int = "20", AtLeast(0), Internal, ReadOnly
        pending "Streams groups are not served."
        => group_streams_max_warmup_replicas: i32;
    /// A streams task that lags less than this many records counts as caught up.
    "group.streams.acceptable.recovery.lag": Long = "10000", AtLeast(0), Internal, ReadOnly
        pending "Streams groups are not served."
        => group_streams_acceptable_recovery_lag: i64;
    /// How long a streams group that was empty waits for more members.
    "group.streams.initial.rebalance.delay.ms": Int = "3000", AtLeast(0), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_initial_rebalance_delay_ms: i32;
    /// The assignors of streams groups; the first is the default.
    "group.streams.assignors": List = "sticky", NonEmptyNames, Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_assignors: Vec<String>;
    /// The shortest time between two assignments of a streams group.
    "group.streams.assignment.interval.ms": Int = "1000", AtLeast(0), Medium, ClusterWide
        pending "Streams groups are not served."
        => group_streams_assignment_interval_ms: i32;
    /// The least that a streams group's assignment interval may be.
    "group.streams.min.assignment.interval.ms": Int = "0", AtLeast(0), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_min_assignment_interval_ms: i32;
    /// The most that a streams group's assignment interval may be.
    "group.streams.max.assignment.interval.ms": Int = "15000", AtLeast(0), Medium, ReadOnly
        pending "Streams groups are not served."
        => group_streams_max_assignment_interval_ms: i32;
    /// Whether the assignors of streams groups run on threads of their own.
    "group.streams.assignor.offload.enable": Boolean = "true", Any, Internal, ClusterWide
        accepted "Assignors run where the coordinator does.";
    /// The client tags that standby replicas are spread over.
    "group.streams.rack.aware.assignment.tags": List = "", Names, Low, ReadOnly
        pending "Streams groups are not served."
        => group_streams_rack_aware_assignment_tags: Vec<String>;
    /// How often a streams member reports how far its tasks are.
    "group.streams.task.offset.interval.ms": Int = "60000", AtLeast(1), Internal, ReadOnly
        pending "Streams groups are not served."
        => group_streams_task_offset_interval_ms: i32;
    /// The shortest such interval that a streams group may be given.
    "group.streams.min.task.offset.interval.ms": Int = "15000", AtLeast(1), Internal, ReadOnly
        pending "Streams groups are not served."
        => group_streams_min_task_offset_interval_ms: i32;
    /// The class that describes the topologies of streams groups.
    "group.streams.topology.description.plugin.class": Class = null, Any, Medium, ReadOnly
        accepted "Topologies are not described; nothing else depends on the class.";
}
