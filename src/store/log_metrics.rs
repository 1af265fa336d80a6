//! Metrics of logs and of their flushes (Kafka 4.4 `UnifiedLog`, `LogManager`, `LogFlushStats`).

use super::partition::Partition;
use crate::metrics::{Collector, declare_metrics};

declare_metrics! {
    /// The log of one partition, computed when it is collected.
    struct LogMetrics {
        /// Bytes of the log.
        size: Gauge, Bytes, "kafka.log:type=Log,name=Size";
        /// First offset of the log.
        start_offset: Gauge, Count, "kafka.log:type=Log,name=LogStartOffset";
        /// Offset of the next record.
        end_offset: Gauge, Count, "kafka.log:type=Log,name=LogEndOffset";
        /// Segments of the log.
        segments: Gauge, Count, "kafka.log:type=Log,name=NumLogSegments";
    }
}

declare_metrics! {
    /// Flushes of all logs.
    pub struct LogFlushMetrics {
        /// Time to sync a log, together with others of the same round, in milliseconds.
        flush: Histogram, Micros, "kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs";
    }
}

/// Reports the log of one partition.
pub(super) fn collect(partition: &Partition, collector: &mut dyn Collector) {
    let view = partition.view();
    let metrics = LogMetrics::default();
    metrics.size.set(i64::try_from(view.size_bytes()).unwrap_or(i64::MAX));
    metrics.start_offset.set(view.log_start_offset);
    metrics.end_offset.set(view.log_end_offset);
    metrics.segments.set(i64::try_from(view.segments.len()).unwrap_or(i64::MAX));
    let number = partition.id.partition.to_string();
    metrics.collect_labelled(&[("topic", &partition.topic), ("partition", &number)], collector);
}
