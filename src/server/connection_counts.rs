//! The open connections of a broker, counted in total and by address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::config::ServerConfig;
use super::connection_metrics::ConnectionMetrics;

/// At most one line in this time about connections that were closed for cause.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The connections of a broker, counted.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    by_address: Mutex<BTreeMap<IpAddr, usize>>,
    total: Mutex<usize>,
    /// The metrics of all listeners.
    pub metrics: Arc<ConnectionMetrics>,
    unlogged: AtomicU64,
    logged_at_ns: AtomicU64,
}

impl ConnectionCounts {
    /// How many are open.
    pub fn total(&self) -> usize {
        *self.total.lock()
    }

    /// Counts a connection, or reports which of these limits it exceeds.
    pub(super) fn add(&self, address: IpAddr, limits: Option<&ServerConfig>) -> Result<(), String> {
        let mut total = self.total.lock();
        if let Some(max) = limits.map(|limits| limits.max_connections)
            && *total >= max
        {
            return Err(format!(
                "{max} connections are open, as many as max.connections and the limit of open \
                 files allow"
            ));
        }
        let mut by_address = self.by_address.lock();
        let open = by_address.get(&address).copied().unwrap_or(0);
        if let Some(max) = limits.map(|limits| limits.max_connections_per_ip)
            && open >= max
        {
            return Err(format!(
                "{max} connections are open from {address}, as many as max.connections.per.ip and \
                 the limit of open files allow"
            ));
        }
        *by_address.entry(address).or_default() += 1;
        *total += 1;
        Ok(())
    }

    /// A counted connection has ended.
    pub(super) fn remove(&self, address: IpAddr) {
        *self.total.lock() -= 1;
        let mut by_address = self.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }

    /// Whether a line may be written now, and how many were left out since the last.
    pub(super) fn may_log(&self, now_ns: u64) -> Option<u64> {
        let last = self.logged_at_ns.load(Ordering::Relaxed);
        if last != 0 && now_ns.saturating_sub(last) < LOG_INTERVAL.as_nanos() as u64 {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.logged_at_ns.store(now_ns.max(1), Ordering::Relaxed);
        Some(self.unlogged.swap(0, Ordering::Relaxed))
    }
}
