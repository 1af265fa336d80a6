//! The settings of one log.

use crate::record::TimestampType;
use crate::record::validate::{Rules, TargetCompression};

/// What a log needs to know of its topic's configuration. Sizes in bytes, times in milliseconds;
/// `None` is "never" or "no bound".
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: each segment rolls up to this much earlier.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: the largest index.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `retention.ms`.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`.
    pub retention_bytes: Option<u64>,
    /// `flush.messages`: a flush is due after this many records.
    pub flush_messages: i64,
    /// `flush.ms`: a flush is due after this long.
    pub flush_ms: Option<i64>,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// Whether `cleanup.policy` has `delete`.
    pub delete: bool,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// What a produced batch must satisfy.
    pub rules: Rules,
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: Some(7 * 24 * 3_600_000),
            retention_bytes: None,
            flush_messages: i64::MAX,
            flush_ms: None,
            file_delete_delay_ms: 60_000,
            delete: true,
            delete_retention_ms: 24 * 3_600_000,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_insync_replicas: 1,
            rules: Rules {
                max_message_bytes: 1_048_588,
                timestamp_type: TimestampType::CreateTime,
                timestamp_before_max_ms: i64::MAX,
                timestamp_after_max_ms: 3_600_000,
                compression: TargetCompression::Producer,
                compacted: false,
            },
        }
    }
}
