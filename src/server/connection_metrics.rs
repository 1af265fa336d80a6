//! Metrics of connections by listener (Kafka 4.4 `SocketServer`).

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::metrics::{Collect, Collector, declare_metrics};

declare_metrics! {
    /// Connections of one listener.
    pub(super) struct ListenerMetrics {
        /// Open connections.
        open: Gauge, Count, "kafka.server:type=socket-server-metrics,name=connection-count";
        /// Connections that were accepted.
        created: Counter, Count,
            "kafka.server:type=socket-server-metrics,name=connection-creation-total";
        /// Connections that were closed.
        closed: Counter, Count,
            "kafka.server:type=socket-server-metrics,name=connection-close-total";
    }
}

declare_metrics! {
    /// Connections of all listeners.
    struct AllListenersMetrics {
        /// Idle connections that were closed after connections.max.idle.ms.
        expired: Counter, Count, "kafka.network:type=SocketServer,name=ExpiredConnectionsKilledCount";
    }
}

/// The connections of a node.
#[derive(Debug, Default)]
pub struct ConnectionMetrics {
    by_listener: Mutex<BTreeMap<String, Arc<ListenerMetrics>>>,
    all: AllListenersMetrics,
}

impl ConnectionMetrics {
    /// Counts an idle connection that was closed.
    pub(super) fn count_expired(&self) {
        self.all.expired.increment();
    }

    /// The metrics of a listener, created with its first use.
    pub(super) fn of(&self, listener: &str) -> Arc<ListenerMetrics> {
        Arc::clone(self.by_listener.lock().entry(listener.to_owned()).or_default())
    }
}

impl Collect for ConnectionMetrics {
    fn collect(&self, collector: &mut dyn Collector) {
        for (listener, metrics) in &*self.by_listener.lock() {
            metrics.collect_labelled(&[("listener", listener)], collector);
        }
        self.all.collect_labelled(&[], collector);
    }
}

/// A connection that counts as open until it is dropped.
pub(super) struct OpenConnection(Arc<ListenerMetrics>);

impl OpenConnection {
    pub(super) fn new(metrics: &Arc<ListenerMetrics>) -> Self {
        metrics.open.add(1);
        metrics.created.increment();
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.add(-1);
        self.0.closed.increment();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Registry, prometheus};

    #[test]
    fn a_connection_counts_on_its_listener_until_it_ends() {
        let metrics = Arc::new(ConnectionMetrics::default());
        let [first, second] = [0, 1].map(|_| OpenConnection::new(&metrics.of("INTERNAL")));
        let other = OpenConnection::new(&metrics.of("EXTERNAL"));
        drop(first);
        let text = prometheus::render(&Registry::of([Arc::clone(&metrics) as _]));
        for (name, listener, value) in [
            ("count", "INTERNAL", 1),
            ("creation_total", "INTERNAL", 2),
            ("close_total", "INTERNAL", 1),
            ("count", "EXTERNAL", 1),
            ("close_total", "EXTERNAL", 0),
        ] {
            let line = format!(
                "kafka_server_socket_server_metrics_connection_{name}{{listener=\"{listener}\"}} \
                 {value}\n"
            );
            assert!(text.contains(&line), "{line}{text}");
        }
        drop((second, other));
        assert_eq!(metrics.of("INTERNAL").open.value(), 0);
    }
}
