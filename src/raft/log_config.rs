//! The configuration and the place of the metadata log.

/// The folder of the log in the metadata directory.
pub(super) const DIRECTORY: &str = "__cluster_metadata-0";

/// The configuration of the metadata log. Sizes in bytes, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataLogConfig {
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `metadata.max.retention.bytes`, of segments and snapshots together; `None`: unbounded.
    pub retention_bytes: Option<u64>,
    /// `metadata.max.retention.ms`; `None`: forever.
    pub retention_ms: Option<i64>,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_after_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; `None`: not by time.
    pub snapshot_after_ms: Option<u64>,
}

impl Default for MetadataLogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        const WEEK_MS: i64 = 7 * 24 * 3_600_000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: WEEK_MS,
            retention_bytes: Some(100 << 20),
            retention_ms: Some(WEEK_MS),
            snapshot_after_bytes: 20 << 20,
            snapshot_after_ms: Some(3_600_000),
        }
    }
}
