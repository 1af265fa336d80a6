//! Keys of quotas and metrics.

use crate::config::key::config_keys;

config_keys! {
    /// Windows of quotas and metrics (Kafka 4.4 `QuotaConfig`, `MetricConfigs`).
    QUOTA, QuotaSettings;
    /// How many windows a client quota is measured over.
    "quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly
        pending "Client quotas are stored and not enforced."
        => quota_window_num: i32;
    /// How long a window of a client quota is.
    "quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly
        pending "Client quotas are stored and not enforced."
        => quota_window_size_seconds: i32;
    /// How many windows the replication quotas are measured over.
    "replication.quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly
        pending "Replication is not throttled."
        => replication_quota_window_num: i32;
    /// How long a window of the replication quotas is.
    "replication.quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly
        pending "Replication is not throttled."
        => replication_quota_window_size_seconds: i32;
    /// How many windows the quota of moves between directories is measured over.
    "alter.log.dirs.replication.quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly
        pending "Moves are throttled without windows."
        => alter_log_dirs_replication_quota_window_num: i32;
    /// How long a window of the quota of moves between directories is.
    "alter.log.dirs.replication.quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly
        pending "Moves are throttled without windows."
        => alter_log_dirs_replication_quota_window_size_seconds: i32;
    /// How many windows the quota of topic changes is measured over.
    "controller.quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly
        pending "Client quotas are stored and not enforced."
        => controller_quota_window_num: i32;
    /// How long a window of the quota of topic changes is.
    "controller.quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly
        pending "Client quotas are stored and not enforced."
        => controller_quota_window_size_seconds: i32;
    /// The class that decides the quotas of clients.
    "client.quota.callback.class": Class = null, Any, Low, ReadOnly
        refused "Java classes cannot be loaded, and clients would have other quotas than \
         intended.";
    /// The classes that report metrics.
    "metric.reporters": List = "org.apache.kafka.common.metrics.JmxReporter", Names,
        Low, ClusterWide
        accepted "Java classes cannot be loaded; nothing but the reports depends on them.";
    /// How many samples a metric keeps.
    "metrics.num.samples": Int = "2", AtLeast(1), Low, ReadOnly
        accepted "Metrics are counters and histograms without windows; the rates are the reader's \
         to compute.";
    /// How long a sample of a metric is.
    "metrics.sample.window.ms": Long = "30000", AtLeast(1), Low, ReadOnly
        accepted "Metrics are counters and histograms without windows; the rates are the reader's \
         to compute.";
    /// The finest level of the metrics that are recorded.
    "metrics.recording.level": String = "INFO", Any, Low, ReadOnly
        accepted "All metrics are always recorded.";
    /// How many bytes of metrics a client may push at once (KIP-714).
    "telemetry.max.bytes": Int = "1048576", AtLeast(1), Low, ReadOnly
        pending "Client metrics subscriptions are stored, and clients are not asked for metrics."
        => telemetry_max_bytes: i32;
    /// The classes that report Kafka's older metrics.
    "kafka.metrics.reporters": List = "", Names, Low, ReadOnly
        accepted "Java classes cannot be loaded; nothing but the reports depends on them.";
    /// How often Kafka's older reporters report.
    "kafka.metrics.polling.interval.secs": Int = "10", AtLeast(1), Low, ReadOnly
        accepted "See `kafka.metrics.reporters`.";
}

config_keys! {
    /// Keys of a broker that are only set while it runs (Kafka 4.4
    /// `QuotaConfig.brokerQuotaConfigs`).
    DYNAMIC_ONLY;
    /// How fast this broker sends throttled replicas.
    "leader.replication.throttled.rate": Long = "9223372036854775807", AtLeast(0),
        Medium, ClusterWide pending "Replication is not throttled.";
    /// How fast this broker receives throttled replicas.
    "follower.replication.throttled.rate": Long = "9223372036854775807", AtLeast(0),
        Medium, ClusterWide pending "Replication is not throttled.";
    /// How fast replicas move between directories.
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = "9223372036854775807", AtLeast(0),
        Medium, ClusterWide => replica_alter_log_dirs_io_max_bytes_per_second: i64;
}
