//! What the process uses, under the names that every Prometheus client library gives.

use crate::env::Env;
use crate::metrics::{Collect, Collector, declare_metrics};

declare_metrics! {
    /// The process, read when it is collected.
    struct ProcessGauges {
        /// Processor time in user and system mode, in seconds.
        cpu: Counter, MillisAsSeconds, "process_cpu_seconds_total";
        /// Resident memory, in bytes.
        resident: Gauge, Bytes, "process_resident_memory_bytes";
        /// Open file descriptors.
        open_files: Gauge, Count, "process_open_fds";
        /// Time at which the process started, in seconds since 1970.
        started_at: Gauge, MillisAsSeconds, "process_start_time_seconds";
    }
}

/// Reports what the process uses, where the environment knows it.
pub struct ProcessMetrics {
    env: Env,
    started_at_ms: i64,
}

impl ProcessMetrics {
    /// Metrics of the process of `env`.
    pub fn new(env: &Env) -> Self {
        let running_ms = i64::try_from(env.clock.now().0 / 1_000_000).unwrap_or(i64::MAX);
        let started_at_ms = env.clock.wall().0.saturating_sub(running_ms);
        Self { env: env.clone(), started_at_ms }
    }
}

impl Collect for ProcessMetrics {
    fn collect(&self, collector: &mut dyn Collector) {
        let Some(usage) = self.env.threads.process_usage() else { return };
        let gauges = ProcessGauges::default();
        gauges.cpu.add(u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX));
        gauges.resident.set(i64::try_from(usage.resident_bytes).unwrap_or(i64::MAX));
        gauges.open_files.set(i64::try_from(usage.open_files).unwrap_or(i64::MAX));
        gauges.started_at.set(self.started_at_ms);
        gauges.collect_labelled(&[], collector);
    }
}
