//! Memory that requests hold (Kafka 4.4 `SocketServer`).

use std::sync::Weak;

use super::services::Services;
use crate::metrics::{Collect, Collector, declare_metrics};

declare_metrics! {
    /// Memory for requests, computed when it is collected.
    struct MemoryPoolMetrics {
        /// Bytes that large and incomplete requests hold of queued.max.request.bytes.
        used: Gauge, Bytes, "kafka.network:type=SocketServer,name=MemoryPoolUsed";
        /// Bytes that are left of queued.max.request.bytes.
        available: Gauge, Bytes, "kafka.network:type=SocketServer,name=MemoryPoolAvailable";
    }
}

/// Reports the memory that requests hold.
pub struct MemoryPool(pub Weak<Services>);

impl Collect for MemoryPool {
    fn collect(&self, collector: &mut dyn Collector) {
        let Some(services) = self.0.upgrade() else { return };
        let metrics = MemoryPoolMetrics::default();
        let used = services.budget.used();
        let available = services.config.queued_max_request_bytes.saturating_sub(used);
        metrics.used.set(i64::try_from(used).unwrap_or(i64::MAX));
        metrics.available.set(i64::try_from(available).unwrap_or(i64::MAX));
        metrics.collect_labelled(&[], collector);
    }
}
