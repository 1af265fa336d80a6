//! Keys of tiered storage.

use crate::config::key::config_keys;

config_keys! {
    /// Tiered storage (Kafka 4.4 `RemoteLogManagerConfig`), which is not built yet.
    REMOTE;
    /// Whether tiered storage is used.
    "remote.log.storage.system.enable": Boolean = "false", Any, Medium, ReadOnly
        refused "Topics in tiered storage would miss the records that exist only in the remote \
         tier.";
    /// How long records of a topic in tiered storage are kept on disk; -2 is as long as in all.
    "log.local.retention.ms": Long = "-2", AtLeast(-2), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many bytes of a topic in tiered storage are kept on disk; -2 is as many as in all.
    "log.local.retention.bytes": Long = "-2", AtLeast(-2), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How old a segment is before it is copied; -1 is as old as it gets on disk.
    "log.remote.copy.lag.ms": Long = "0", AtLeast(-1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many newer bytes there are before a segment is copied; -1 is as many as are kept on
    /// disk.
    "log.remote.copy.lag.bytes": Long = "-1", AtLeast(-1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How long a fetch may wait for tiered storage.
    "remote.fetch.max.wait.ms": Int = "500", AtLeast(1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How long a search by time in tiered storage may take.
    "remote.list.offsets.request.timeout.ms": Long = "30000", AtLeast(1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How much disk the indexes of remote segments may take.
    "remote.log.index.file.cache.total.size.bytes": Long = "1073741824", AtLeast(1),
        Low, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How long an unused index of a remote segment is kept.
    "remote.log.index.file.cache.ttl.ms": Long = "900000", AtLeast(-1), Internal, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many threads copy segments.
    "remote.log.manager.copier.thread.pool.size": Int = "10", AtLeast(1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How fast segments are copied.
    "remote.log.manager.copy.max.bytes.per.second": Long = "9223372036854775807", AtLeast(1),
        Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many windows the speed of copying is measured over.
    "remote.log.manager.copy.quota.window.num": Int = "11", AtLeast(1), Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How long such a window is.
    "remote.log.manager.copy.quota.window.size.seconds": Int = "1", AtLeast(1), Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many threads delete old remote segments.
    "remote.log.manager.expiration.thread.pool.size": Int = "10", AtLeast(1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How fast remote segments are read.
    "remote.log.manager.fetch.max.bytes.per.second": Long = "9223372036854775807", AtLeast(1),
        Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many windows the speed of reading is measured over.
    "remote.log.manager.fetch.quota.window.num": Int = "11", AtLeast(1), Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How long such a window is.
    "remote.log.manager.fetch.quota.window.size.seconds": Int = "1", AtLeast(1), Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many threads do a follower's part.
    "remote.log.manager.follower.thread.pool.size": Int = "2", AtLeast(1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// Interval between scans for segments to copy or delete.
    "remote.log.manager.task.interval.ms": Long = "30000", AtLeast(1), Low, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// The longest pause after a failure.
    "remote.log.manager.task.retry.backoff.max.ms": Long = "30000", AtLeast(1), Internal, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// The first pause after a failure.
    "remote.log.manager.task.retry.backoff.ms": Long = "500", AtLeast(1), Internal, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How much the pauses vary, as a part of them.
    "remote.log.manager.task.retry.jitter": Double = "0.2", UpTo(0.5), Internal, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many threads do what has no pool of its own.
    "remote.log.manager.thread.pool.size": Int = "2", AtLeast(1), Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many bytes a storage plug-in may keep with a segment.
    "remote.log.metadata.custom.metadata.max.bytes": Int = "128", AtLeast(0), Low, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// The class that keeps the metadata of remote segments.
    "remote.log.metadata.manager.class.name": String =
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        NonEmpty, Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// Where to load that class from.
    "remote.log.metadata.manager.class.path": String = null, Any, Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// The prefix of that class's own keys.
    "remote.log.metadata.manager.impl.prefix": String = "rlmm.config.", NonEmpty, Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// The listener through which that class reaches the brokers.
    "remote.log.metadata.manager.listener.name": String = null, NonEmpty, Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many reads of remote segments may wait.
    "remote.log.reader.max.pending.tasks": Int = "100", AtLeast(1), Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// How many threads read remote segments.
    "remote.log.reader.threads": Int = "10", AtLeast(1), Medium, ClusterWide
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// The class that stores segments.
    "remote.log.storage.manager.class.name": String = null, NonEmpty, Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// Where to load that class from.
    "remote.log.storage.manager.class.path": String = null, Any, Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
    /// The prefix of that class's own keys.
    "remote.log.storage.manager.impl.prefix": String = "rsm.config.", NonEmpty, Medium, ReadOnly
        accepted "Concerns tiered storage, which stops the start when it is enabled.";
}
