//! Keys of one group.

use crate::config::key::config_keys;
use crate::config::offset_reset::AutoOffsetReset;
use crate::config::types::IsolationLevel;

config_keys! {
    /// The keys of a group (Kafka 4.4 `GroupConfig`).
    GROUP_KEYS, GroupConfig;
    /// A member of the group silent for this long is removed.
    "consumer.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ClusterWide
        from ["group.consumer.session.timeout.ms"] => consumer_session_timeout_ms: i32;
    /// How often a member of the group sends a heartbeat.
    "consumer.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ClusterWide
        from ["group.consumer.heartbeat.interval.ms"] => consumer_heartbeat_interval_ms: i32;
    /// The shortest time between two assignments of the group.
    "consumer.assignment.interval.ms": Int = "1000", AtLeast(0), Medium, ClusterWide
        from ["group.consumer.assignment.interval.ms"] => consumer_assignment_interval_ms: i32;
    /// Whether the group's assignor runs on threads of its own.
    "consumer.assignor.offload.enable": Boolean = "true", Any, Internal, ClusterWide
        from ["group.consumer.assignor.offload.enable"]
        accepted "Assignors run where the coordinator does.";
    /// A member of the share group silent for this long is removed.
    "share.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ClusterWide
        from ["group.share.session.timeout.ms"]
        pending "Share groups are not served."
        => share_session_timeout_ms: i32;
    /// How often a member of the share group sends a heartbeat.
    "share.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ClusterWide
        from ["group.share.heartbeat.interval.ms"]
        pending "Share groups are not served."
        => share_heartbeat_interval_ms: i32;
    /// How long a record in delivery is locked.
    "share.record.lock.duration.ms": Int = "30000", AtLeast(1_000), Medium, ClusterWide
        from ["group.share.record.lock.duration.ms"]
        pending "Share groups are not served."
        => share_record_lock_duration_ms: i32;
    /// How many times a record is delivered before it is archived as undeliverable.
    "share.delivery.count.limit": Int = "5", AtLeast(2), Medium, ClusterWide
        from ["group.share.delivery.count.limit"]
        pending "Share groups are not served."
        => share_delivery_count_limit: i32;
    /// How many records of a partition may be in delivery at once.
    "share.partition.max.record.locks": Int = "2000", AtLeast(100), Medium, ClusterWide
        from ["group.share.partition.max.record.locks"]
        pending "Share groups are not served."
        => share_partition_max_record_locks: i32;
    /// Where a share group begins: `latest`, `earliest`, or `by_duration:` and an ISO 8601
    /// duration.
    "share.auto.offset.reset": String = "latest", AutoOffsetReset, Medium, ClusterWide
        pending "Share groups are not served."
        => share_auto_offset_reset: AutoOffsetReset;
    /// Whether records of open and aborted transactions are delivered.
    "share.isolation.level": String =
        "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), Medium, ClusterWide
        pending "Share groups are not served."
        => share_isolation_level: IsolationLevel;
    /// Whether a consumer may renew the lock of a record.
    "share.renew.acknowledge.enable": Boolean = "true", Any, Medium, ClusterWide
        pending "Share groups are not served."
        => share_renew_acknowledge_enable: bool;
    /// The shortest time between two assignments of the share group.
    "share.assignment.interval.ms": Int = "1000", AtLeast(0), Medium, ClusterWide
        from ["group.share.assignment.interval.ms"]
        pending "Share groups are not served."
        => share_assignment_interval_ms: i32;
    /// Whether the share group's assignor runs on threads of its own.
    "share.assignor.offload.enable": Boolean = "true", Any, Internal, ClusterWide
        from ["group.share.assignor.offload.enable"]
        accepted "Assignors run where the coordinator does.";
    /// A member of the streams group silent for this long is removed.
    "streams.session.timeout.ms": Int = "45000", AtLeast(1), Medium, ClusterWide
        from ["group.streams.session.timeout.ms"]
        pending "Streams groups are not served."
        => streams_session_timeout_ms: i32;
    /// How often a member of the streams group sends a heartbeat.
    "streams.heartbeat.interval.ms": Int = "5000", AtLeast(1), Medium, ClusterWide
        from ["group.streams.heartbeat.interval.ms"]
        pending "Streams groups are not served."
        => streams_heartbeat_interval_ms: i32;
    /// How many standby replicas each task of the group has.
    "streams.num.standby.replicas": Int = "0", AtLeast(0), Medium, ClusterWide
        from ["group.streams.num.standby.replicas"]
        pending "Streams groups are not served."
        => streams_num_standby_replicas: i32;
    /// How long the group, when it was empty, waits for more members.
    "streams.initial.rebalance.delay.ms": Int = "3000", AtLeast(0), Medium, ClusterWide
        from ["group.streams.initial.rebalance.delay.ms"]
        pending "Streams groups are not served."
        => streams_initial_rebalance_delay_ms: i32;
    /// The shortest time between two assignments of the streams group.
    "streams.assignment.interval.ms": Int = "1000", AtLeast(0), Medium, ClusterWide
        from ["group.streams.assignment.interval.ms"]
        pending "Streams groups are not served."
        => streams_assignment_interval_ms: i32;
    /// Whether the streams group's assignor runs on threads of its own.
    "streams.assignor.offload.enable": Boolean = "true", Any, Internal, ClusterWide
        from ["group.streams.assignor.offload.enable"]
        accepted "Assignors run where the coordinator does.";
    /// How often a member reports how far its tasks are.
    "streams.task.offset.interval.ms": Int = "60000", AtLeast(1), Internal, ClusterWide
        from ["group.streams.task.offset.interval.ms"]
        pending "Streams groups are not served."
        => streams_task_offset_interval_ms: i32;
    /// How many replicas of the group may warm up at once.
    "streams.num.warmup.replicas": Int = "2", AtLeast(0), Internal, ClusterWide
        from ["group.streams.num.warmup.replicas"]
        pending "Streams groups are not served."
        => streams_num_warmup_replicas: i32;
    /// The client tags that standby replicas are spread over.
    "streams.rack.aware.assignment.tags": List = "", Names, Low, ClusterWide
        from ["group.streams.rack.aware.assignment.tags"]
        => streams_rack_aware_assignment_tags: Vec<String>;
    /// A task that lags less than this many records counts as caught up.
    "streams.acceptable.recovery.lag": Long = "10000", AtLeast(0), Internal, ClusterWide
        from ["group.streams.acceptable.recovery.lag"]
        pending "Streams groups are not served."
        => streams_acceptable_recovery_lag: i64;
    /// The assignor of the group; not set, it is the first of `group.streams.assignors`.
    "streams.assignor.name": String = null, Any, Medium, ClusterWide
        from ["group.streams.assignors"]
        pending "Streams groups are not served."
        => streams_assignor_name: Option<String>;
    /// The dead letter topic for undeliverable records; empty disables it (KIP-1191).
    "errors.deadletterqueue.topic.name": String = "", Any, Medium, ClusterWide
        pending "Share groups are not served."
        => errors_deadletterqueue_topic_name: String;
    /// Whether the record itself is written to the dead letter topic, or only where it was.
    "errors.deadletterqueue.copy.record.enable": Boolean = "false", Any, Medium, ClusterWide
        pending "Share groups are not served."
        => errors_deadletterqueue_copy_record_enable: bool;
}
