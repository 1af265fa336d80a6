//! Keys of the logs.

use crate::config::key::config_keys;
use crate::config::types::{CleanupPolicy, TopicCompression};
use crate::record::TimestampType;

config_keys! {
    /// Where and how partitions are stored (Kafka 4.4 `ServerLogConfigs`, `CleanerConfig`). Most
    /// are the defaults of a topic's keys.
    LOG, LogSettings;
    /// The directories of the partitions; not set, it is `log.dir`.
    "log.dirs": List = null, NonEmptyNames, High, ReadOnly => log_dirs: Option<Vec<String>>;
    /// The directory of the partitions, if `log.dirs` is not set.
    "log.dir": List = "/tmp/kafka-logs", NonEmptyNames, High, ReadOnly => log_dir: Vec<String>;
    /// Directories that get no new partitions; `*` is all of them.
    "cordoned.log.dirs": List = "", Names, Medium, PerBroker
        pending "New partitions are placed in cordoned directories too."
        => cordoned_log_dirs: Vec<String>;
    /// How many partitions a topic gets that is created without a number.
    "num.partitions": Int = "1", AtLeast(1), Medium, ReadOnly => num_partitions: i32;
    /// Whether a client that asks for an unknown topic creates it.
    "auto.create.topics.enable": Boolean = "true", Any, High, ReadOnly
        => auto_create_topics_enable: bool;
    /// The largest segment.
    "log.segment.bytes": Int = "1073741824", AtLeast(1_048_576), High, ClusterWide
        => log_segment_bytes: i32;
    /// The longest time before a new segment begins; not set, it is `log.roll.hours`.
    "log.roll.ms": Long = null, Any, High, ClusterWide => log_roll_ms: Option<i64>;
    /// The longest time before a new segment begins.
    "log.roll.hours": Int = "168", AtLeast(1), High, ReadOnly => log_roll_hours: i32;
    /// Segments begin up to this much earlier, so that not all do at once; not set, it is
    /// `log.roll.jitter.hours`.
    "log.roll.jitter.ms": Long = null, Any, High, ClusterWide => log_roll_jitter_ms: Option<i64>;
    /// Segments begin up to this much earlier, so that not all do at once.
    "log.roll.jitter.hours": Int = "0", AtLeast(0), High, ReadOnly => log_roll_jitter_hours: i32;
    /// How long records are kept; -1 is for ever; not set, it is `log.retention.minutes`.
    "log.retention.ms": Long = null, Any, High, ClusterWide => log_retention_ms: Option<i64>;
    /// How long records are kept; not set, it is `log.retention.hours`.
    "log.retention.minutes": Int = null, Any, High, ReadOnly => log_retention_minutes: Option<i32>;
    /// How long records are kept.
    "log.retention.hours": Int = "168", Any, High, ReadOnly => log_retention_hours: i32;
    /// How many bytes of a partition are kept; -1 is no bound.
    "log.retention.bytes": Long = "-1", Any, High, ClusterWide => log_retention_bytes: i64;
    /// Interval between scans for segments that retention allows to delete.
    "log.retention.check.interval.ms": Long = "300000", AtLeast(1), Medium, ReadOnly
        => log_retention_check_interval_ms: i64;
    /// What happens to old records: `delete`, `compact`, both, or nothing.
    "log.cleanup.policy": List = "delete", SomeOf(&["compact", "delete"]), Medium, ClusterWide
        => log_cleanup_policy: CleanupPolicy;
    /// How long a deleted file stays on disk.
    "log.segment.delete.delay.ms": Long = "60000", AtLeast(0), High, ClusterWide
        => log_segment_delete_delay_ms: i64;
    /// The largest index of a segment.
    "log.index.size.max.bytes": Int = "10485760", AtLeast(4), Medium, ClusterWide
        => log_index_size_max_bytes: i32;
    /// How many bytes of records lie between two entries of an index.
    "log.index.interval.bytes": Int = "4096", AtLeast(0), Medium, ClusterWide
        => log_index_interval_bytes: i32;
    /// A partition is flushed to disk after this many records.
    "log.flush.interval.messages": Long = "9223372036854775807", AtLeast(1), High, ClusterWide
        => log_flush_interval_messages: i64;
    /// A partition is flushed to disk after this long; not set, it is
    /// `log.flush.scheduler.interval.ms`.
    "log.flush.interval.ms": Long = null, Any, High, ClusterWide
        => log_flush_interval_ms: Option<i64>;
    /// Interval between scans for partitions to flush.
    "log.flush.scheduler.interval.ms": Long = "9223372036854775807", Any, High, ReadOnly
        => log_flush_scheduler_interval_ms: i64;
    /// How often the recovery points are written down.
    "log.flush.offset.checkpoint.interval.ms": Int = "60000", AtLeast(0), High, ReadOnly
        => log_flush_offset_checkpoint_interval_ms: i32;
    /// How often the log start offsets are written down.
    "log.flush.start.offset.checkpoint.interval.ms": Int = "60000", AtLeast(0), High, ReadOnly
        => log_flush_start_offset_checkpoint_interval_ms: i32;
    /// Whether the file of a new segment gets its full size at once.
    "log.preallocate": Boolean = "false", Any, Medium, ClusterWide
        pending "Segments grow as they are written."
        => log_preallocate: bool;
    /// How many threads load each directory at the start and flush it at the stop.
    "num.recovery.threads.per.data.dir": Int = "2", AtLeast(1), High, ClusterWide
        pending "The number of recovery threads follows the number of processors."
        => num_recovery_threads_per_data_dir: i32;
    /// How many replicas must be in sync for acks=all to be accepted.
    "min.insync.replicas": Int = "1", AtLeast(1), High, ClusterWide => min_insync_replicas: i32;
    /// Whether a replica out of sync may lead when no other can, at the cost of records.
    "unclean.leader.election.enable": Boolean = "false", Any, High, ClusterWide
        => unclean_leader_election_enable: bool;
    /// Interval between scans for leaderless partitions that may elect an unclean leader.
    "unclean.leader.election.interval.ms": Long = "300000", AtLeast(1), Internal, ReadOnly
        pending "Partitions have one replica, on this node."
        => unclean_leader_election_interval_ms: i64;
    /// Whose time a record bears: `CreateTime` is the producer's, `LogAppendTime` the broker's.
    "log.message.timestamp.type": String = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]),
        Medium, ClusterWide => log_message_timestamp_type: TimestampType;
    /// How far a record's time may lie in the past.
    "log.message.timestamp.before.max.ms": Long = "9223372036854775807", AtLeast(0),
        Medium, ClusterWide => log_message_timestamp_before_max_ms: i64;
    /// How far a record's time may lie in the future.
    "log.message.timestamp.after.max.ms": Long = "3600000", AtLeast(0), Medium, ClusterWide
        => log_message_timestamp_after_max_ms: i64;
    /// The largest batch that is accepted, as it is compressed.
    "message.max.bytes": Int = "1048588", AtLeast(0), High, ClusterWide => message_max_bytes: i32;
    /// The largest batch that is accepted, decompressed.
    "max.decompressed.message.bytes": Int = "2147483639", Between(1, 2_147_483_639),
        Medium, ClusterWide
        pending "The size of decompressed records is not limited by this value."
        => max_decompressed_message_bytes: i32;
    /// The codec that batches are stored in; `producer` leaves them as they came.
    "compression.type": String =
        "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), High, ClusterWide
        => compression_type: TopicCompression;
    /// The level at which this broker compresses with gzip.
    "compression.gzip.level": Int = "-1", GzipLevel, Medium, ClusterWide
        => compression_gzip_level: i32;
    /// The level at which this broker compresses with lz4.
    "compression.lz4.level": Int = "9", Between(1, 17), Medium, ClusterWide
        => compression_lz4_level: i32;
    /// The level at which this broker compresses with zstd.
    "compression.zstd.level": Int = "3", Between(-131_072, 22), Medium, ClusterWide
        => compression_zstd_level: i32;
    /// A broker that cannot tell the controller of a failed directory for this long stops.
    "log.dir.failure.timeout.ms": Long = "30000", AtLeast(1), Low, ReadOnly
        pending "A failed log directory is reported to the controller of the same process."
        => log_dir_failure_timeout_ms: i64;
    /// How long after the start the periodic work on the logs begins.
    "log.initial.task.delay.ms": Long = "30000", AtLeast(0), Internal, ReadOnly
        pending "Background tasks start with their first interval."
        => log_initial_task_delay_ms: i64;
    /// Whether compaction runs.
    "log.cleaner.enable": Boolean = "true", Any, Medium, ReadOnly
        accepted "Kafka 4 has no way to run without the cleaner, and deprecated the key.";
    /// How many threads compact.
    "log.cleaner.threads": Int = "1", AtLeast(0), Medium, ClusterWide => log_cleaner_threads: i32;
    /// How fast compaction reads and writes, in total.
    "log.cleaner.io.max.bytes.per.second": Double = "1.7976931348623157E308", Any,
        Medium, ClusterWide => log_cleaner_io_max_bytes_per_second: f64;
    /// Memory for the offset maps of compaction, shared by its threads.
    "log.cleaner.dedupe.buffer.size": Long = "134217728", Any, Medium, ClusterWide
        => log_cleaner_dedupe_buffer_size: i64;
    /// Memory for the reads and writes of compaction, shared by its threads.
    "log.cleaner.io.buffer.size": Int = "524288", AtLeast(0), Medium, ClusterWide
        => log_cleaner_io_buffer_size: i32;
    /// How full an offset map of compaction may get.
    "log.cleaner.io.buffer.load.factor": Double = "0.9", Any, Medium, ClusterWide
        => log_cleaner_io_buffer_load_factor: f64;
    /// The pause when there is nothing to compact.
    "log.cleaner.backoff.ms": Long = "15000", AtLeast(0), Medium, ClusterWide
        => log_cleaner_backoff_ms: i64;
    /// A log is compacted when this part of it is not yet.
    "log.cleaner.min.cleanable.ratio": Double = "0.5", UpTo(1.0), Medium, ClusterWide
        => log_cleaner_min_cleanable_ratio: f64;
    /// How long compaction leaves a tombstone to be seen.
    "log.cleaner.delete.retention.ms": Long = "86400000", AtLeast(0), Medium, ClusterWide
        => log_cleaner_delete_retention_ms: i64;
    /// How long a record stays uncompacted at least.
    "log.cleaner.min.compaction.lag.ms": Long = "0", AtLeast(0), Medium, ClusterWide
        => log_cleaner_min_compaction_lag_ms: i64;
    /// How long a record stays uncompacted at most.
    "log.cleaner.max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1),
        Medium, ClusterWide => log_cleaner_max_compaction_lag_ms: i64;
}
