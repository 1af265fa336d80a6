//! The response of DescribeLogDirs 1-5. The message library lacks version 5 (KIP-1066).

use crate::codec::messages;

messages! {
    /// DescribeLogDirs. Version 5 tells cordoned directories (KIP-1066).
    pub struct DescribeLogDirsResponse: 1..=5, flexible 2..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 0..;
        /// What happened.
        error_code: i16 = 3.., [ignorable];
        /// The log directories.
        results: Vec<DescribeLogDirsResult> = 0..;
    }
    /// One log directory.
    pub struct DescribeLogDirsResult: 1..=5, flexible 2..; {
        /// What happened.
        error_code: i16 = 0..;
        /// Its absolute path.
        log_dir: String = 0..;
        /// What lies in it.
        topics: Vec<DescribeLogDirsTopic> = 0..;
        /// The size of its file system, -1 for unknown.
        total_bytes: i64 = 4.., default -1, [ignorable];
        /// What is free of it.
        usable_bytes: i64 = 4.., default -1, [ignorable];
        /// Whether it takes no new replicas.
        is_cordoned: bool = 5.., [ignorable];
    }
    /// One topic of a log directory.
    pub struct DescribeLogDirsTopic: 1..=5, flexible 2..; {
        /// Its name.
        name: String = 0..;
        /// Its partitions there.
        partitions: Vec<DescribeLogDirsPartition> = 0..;
    }
    /// One partition of a log directory.
    pub struct DescribeLogDirsPartition: 1..=5, flexible 2..; {
        /// Its number.
        partition_index: i32 = 0..;
        /// Bytes of its segments.
        partition_size: i64 = 0..;
        /// How far it is behind the high watermark.
        offset_lag: i64 = 0..;
        /// Whether it is a copy that moves here.
        is_future_key: bool = 0..;
    }
}
