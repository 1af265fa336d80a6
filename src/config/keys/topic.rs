//! Keys of topics.

use crate::config::key::config_keys;
use crate::config::types::{CleanupPolicy, TopicCompression};
use crate::record::TimestampType;

config_keys! {
    /// The keys of a topic (Kafka 4.4 `TopicConfig`, `LogConfig`, `ServerTopicConfigSynonyms`).
    TOPIC, TopicConfig;
    /// What happens to old records: `delete`, `compact`, both, or nothing.
    "cleanup.policy": List = "delete", SomeOf(&["compact", "delete"]), Medium, ClusterWide
        from ["log.cleanup.policy"] => cleanup_policy: CleanupPolicy;
    /// The codec that batches are stored in; `producer` leaves them as they came.
    "compression.type": String =
        "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Medium, ClusterWide
        from ["compression.type"] => compression_type: TopicCompression;
    /// The level at which the broker compresses with gzip.
    "compression.gzip.level": Int = "-1", GzipLevel, Medium, ClusterWide
        from ["compression.gzip.level"] => compression_gzip_level: i32;
    /// The level at which the broker compresses with lz4.
    "compression.lz4.level": Int = "9", Between(1, 17), Medium, ClusterWide
        from ["compression.lz4.level"] => compression_lz4_level: i32;
    /// The level at which the broker compresses with zstd.
    "compression.zstd.level": Int = "3", Between(-131_072, 22), Medium, ClusterWide
        from ["compression.zstd.level"] => compression_zstd_level: i32;
    /// How long compaction leaves a tombstone to be seen.
    "delete.retention.ms": Long = "86400000", AtLeast(0), Medium, ClusterWide
        from ["log.cleaner.delete.retention.ms"] => delete_retention_ms: i64;
    /// Whether share groups may use the topic as a dead letter queue (KIP-1191).
    "errors.deadletterqueue.group.enable": Boolean = "false", Any, Medium, ClusterWide
        pending "Share groups are not served."
        => errors_deadletterqueue_group_enable: bool;
    /// How long a deleted file stays on disk.
    "file.delete.delay.ms": Long = "60000", AtLeast(0), Medium, ClusterWide
        from ["log.segment.delete.delay.ms"] => file_delete_delay_ms: i64;
    /// The topic is flushed to disk after this many records; 1 is before every answer.
    "flush.messages": Long = "9223372036854775807", AtLeast(1), Medium, ClusterWide
        from ["log.flush.interval.messages"] => flush_messages: i64;
    /// The topic is flushed to disk after this long.
    "flush.ms": Long = "9223372036854775807", AtLeast(0), Medium, ClusterWide
        from ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"] => flush_ms: i64;
    /// The replicas that are throttled where they lead, as PARTITION:BROKER; `*` is all of them.
    "leader.replication.throttled.replicas": List = "", ThrottledReplicas, Medium, ClusterWide
        pending "Replication is not throttled.";
    /// The replicas that are throttled where they follow, as PARTITION:BROKER; `*` is all of them.
    "follower.replication.throttled.replicas": List = "", ThrottledReplicas, Medium, ClusterWide
        pending "Replication is not throttled.";
    /// How many bytes of records lie between two entries of an index.
    "index.interval.bytes": Int = "4096", AtLeast(0), Medium, ClusterWide
        from ["log.index.interval.bytes"] => index_interval_bytes: i32;
    /// For tests: overrides `segment.bytes` without its lower bound.
    "internal.segment.bytes": Int = null, Any, Internal, ClusterWide
        => internal_segment_bytes: Option<i32>;
    /// How long records of a topic in tiered storage are kept on disk; -2 is as long as in all.
    "local.retention.ms": Long = "-2", AtLeast(-2), Medium, ClusterWide
        from ["log.local.retention.ms"]
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many bytes of a topic in tiered storage are kept on disk; -2 is as many as in all.
    "local.retention.bytes": Long = "-2", AtLeast(-2), Medium, ClusterWide
        from ["log.local.retention.bytes"]
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How long a record stays uncompacted at most.
    "max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1), Medium, ClusterWide
        from ["log.cleaner.max.compaction.lag.ms"] => max_compaction_lag_ms: i64;
    /// The largest batch that is accepted, decompressed.
    "max.decompressed.message.bytes": Int = "2147483639", Between(1, 2_147_483_639),
        Medium, ClusterWide from ["max.decompressed.message.bytes"]
        pending "The size of decompressed records is not limited by this value."
        => max_decompressed_message_bytes: i32;
    /// The largest batch that is accepted, as it is compressed.
    "max.message.bytes": Int = "1048588", AtLeast(0), Medium, ClusterWide
        from ["message.max.bytes"] => max_message_bytes: i32;
    /// How far a record's time may lie in the future.
    "message.timestamp.after.max.ms": Long = "3600000", AtLeast(0), Medium, ClusterWide
        from ["log.message.timestamp.after.max.ms"] => message_timestamp_after_max_ms: i64;
    /// How far a record's time may lie in the past.
    "message.timestamp.before.max.ms": Long = "9223372036854775807", AtLeast(0), Medium, ClusterWide
        from ["log.message.timestamp.before.max.ms"] => message_timestamp_before_max_ms: i64;
    /// Whose time a record bears: `CreateTime` is the producer's, `LogAppendTime` the broker's.
    "message.timestamp.type": String = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]),
        Medium, ClusterWide from ["log.message.timestamp.type"]
        => message_timestamp_type: TimestampType;
    /// The log is compacted when this part of it is not yet.
    "min.cleanable.dirty.ratio": Double = "0.5", UpTo(1.0), Medium, ClusterWide
        from ["log.cleaner.min.cleanable.ratio"] => min_cleanable_dirty_ratio: f64;
    /// How long a record stays uncompacted at least.
    "min.compaction.lag.ms": Long = "0", AtLeast(0), Medium, ClusterWide
        from ["log.cleaner.min.compaction.lag.ms"] => min_compaction_lag_ms: i64;
    /// How many replicas must be in sync for acks=all to be accepted.
    "min.insync.replicas": Int = "1", AtLeast(1), Medium, ClusterWide from ["min.insync.replicas"]
        => min_insync_replicas: i32;
    /// Whether the file of a new segment gets its full size at once.
    "preallocate": Boolean = "false", Any, Medium, ClusterWide from ["log.preallocate"]
        pending "Segments grow as they are written."
        => preallocate: bool;
    /// How old a segment is before it is copied; -1 is as old as it gets on disk.
    "remote.copy.lag.ms": Long = "0", AtLeast(-1), Medium, ClusterWide
        from ["log.remote.copy.lag.ms"]
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many newer bytes there are before a segment is copied; -1 is as many as are kept on
    /// disk.
    "remote.copy.lag.bytes": Long = "-1", AtLeast(-1), Medium, ClusterWide
        from ["log.remote.copy.lag.bytes"]
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// Whether copying to tiered storage has ended, and it is only read.
    "remote.log.copy.disable": Boolean = "false", Any, Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// Whether the remote data is deleted when tiered storage is disabled for the topic.
    "remote.log.delete.on.disable": Boolean = "false", Any, Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// Whether the topic is in tiered storage.
    "remote.storage.enable": Boolean = "false", Any, Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many bytes of a partition are kept; -1 is no bound.
    "retention.bytes": Long = "-1", Any, Medium, ClusterWide from ["log.retention.bytes"]
        => retention_bytes: i64;
    /// How long records are kept; -1 is for ever.
    "retention.ms": Long = "604800000", AtLeast(-1), Medium, ClusterWide
        from [
            "log.retention.ms", "log.retention.minutes" * 60_000, "log.retention.hours" * 3_600_000,
        ] => retention_ms: i64;
    /// The largest segment.
    "segment.bytes": Int = "1073741824", AtLeast(1_048_576), Medium, ClusterWide
        from ["log.segment.bytes"] => segment_bytes: i32;
    /// The largest index of a segment.
    "segment.index.bytes": Int = "10485760", AtLeast(4), Medium, ClusterWide
        from ["log.index.size.max.bytes"] => segment_index_bytes: i32;
    /// Segments begin up to this much earlier, so that not all do at once.
    "segment.jitter.ms": Long = "0", AtLeast(0), Medium, ClusterWide
        from ["log.roll.jitter.ms", "log.roll.jitter.hours" * 3_600_000] => segment_jitter_ms: i64;
    /// The longest time before a new segment begins.
    "segment.ms": Long = "604800000", AtLeast(1), Medium, ClusterWide
        from ["log.roll.ms", "log.roll.hours" * 3_600_000] => segment_ms: i64;
    /// Whether a replica out of sync may lead when no other can, at the cost of records.
    "unclean.leader.election.enable": Boolean = "false", Any, Medium, ClusterWide
        from ["unclean.leader.election.enable"] => unclean_leader_election_enable: bool;
}
