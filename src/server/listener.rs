//! Accepting connections, within limits.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::{Closed, Ended, Session};
use super::connection_metrics::{ConnectionMetrics, OpenConnection};
use super::context::{ListenerInfo, Services};
use crate::env::Listener;

/// How long to wait after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At most one line in this time about connections that were closed for cause.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The connections of a broker, counted.
#[derive(Debug, Default)]
pub struct Connections {
    by_address: Mutex<BTreeMap<IpAddr, usize>>,
    total: Mutex<usize>,
    /// The metrics of all listeners.
    pub metrics: Arc<ConnectionMetrics>,
    unlogged: AtomicU64,
    logged_at_ns: AtomicU64,
}

/// One counted connection.
struct Counted {
    broker: Arc<Services>,
    address: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let connections = &self.broker.connections;
        *connections.total.lock() -= 1;
        let mut by_address = connections.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

impl Connections {
    /// How many are open.
    pub fn total(&self) -> usize {
        *self.total.lock()
    }

    /// Counts a connection, or says why it is one too many. The controller's listener has no
    /// limit: clients must not be able to shut the quorum out.
    fn admit(
        broker: &Arc<Services>,
        is_controller: bool,
        address: IpAddr,
    ) -> Result<Counted, String> {
        let connections = &broker.connections;
        let config = &broker.config;
        let mut total = connections.total.lock();
        if !is_controller && *total >= config.max_connections {
            return Err(format!(
                "{} connections are open, as many as max.connections and the limit of open files \
                 allow",
                config.max_connections
            ));
        }
        let mut by_address = connections.by_address.lock();
        let open = by_address.get(&address).copied().unwrap_or(0);
        if !is_controller && open >= config.max_connections_per_ip {
            let max = config.max_connections_per_ip;
            return Err(format!(
                "{max} connections are open from {address}, as many as max.connections.per.ip and \
                 the limit of open files allow"
            ));
        }
        *by_address.entry(address).or_default() += 1;
        *total += 1;
        drop(by_address);
        drop(total);
        Ok(Counted { broker: Arc::clone(broker), address })
    }

    /// Whether a line may be written now, and how many were left out since the last.
    fn may_log(&self, now_ns: u64) -> Option<u64> {
        let last = self.logged_at_ns.load(Ordering::Relaxed);
        if last != 0 && now_ns.saturating_sub(last) < LOG_INTERVAL.as_nanos() as u64 {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.logged_at_ns.store(now_ns.max(1), Ordering::Relaxed);
        Some(self.unlogged.swap(0, Ordering::Relaxed))
    }
}

/// Whether an error of a connection lies with its client or the network between, not with a file or a
/// system call here.
fn is_of_network(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, HostUnreachable, NetworkDown,
        NetworkUnreachable, NotConnected, TimedOut,
    };
    matches!(
        error.kind(),
        BrokenPipe
            | ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | NotConnected
            | TimedOut
    )
}

/// Whether a call failed for want of descriptors, of the process (EMFILE) or the system (ENFILE).
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// Accepts connections until the broker stops.
pub async fn run(mut listener: Box<dyn Listener>, info: Arc<ListenerInfo>, broker: Arc<Services>) {
    let metrics = broker.connections.metrics.of(&info.name);
    loop {
        let accepted = tokio::select! {
            biased;
            () = broker.stopping.wait() => return,
            accepted = listener.accept() => accepted,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(left_out) = broker.connections.may_log(broker.env.clock.now().0) {
                    let advice = if is_out_of_files(&error) {
                        "; raise the limit of open files"
                    } else {
                        ""
                    };
                    tracing::warn!(
                        listener = info.name, %error, left_out,
                        "a connection cannot be accepted{advice}"
                    );
                }
                let until = broker.env.clock.now() + ACCEPT_PAUSE;
                broker.env.clock.sleep_until(until).await;
                continue;
            }
        };
        let peer = accepted.peer();
        let counted = match Connections::admit(&broker, info.is_controller, peer.ip()) {
            Ok(counted) => counted,
            Err(reason) => {
                if let Some(left_out) = broker.connections.may_log(broker.env.clock.now().0) {
                    tracing::warn!(%peer, listener = info.name, reason, left_out, "connection refused");
                }
                continue;
            }
        };
        let (info, inner) = (Arc::clone(&info), Arc::clone(&broker));
        let open = OpenConnection::new(&metrics);
        broker.env.threads.spawn_connection(Box::pin(async move {
            let _counted = (counted, open);
            let connection = match accepted.open() {
                Ok(connection) => connection,
                Err(error) if is_of_network(&error) => {
                    tracing::debug!(%peer, %error, "a connection was gone before it was served");
                    return;
                }
                Err(error) => {
                    if let Some(left_out) = inner.connections.may_log(inner.env.clock.now().0) {
                        tracing::warn!(%peer, %error, left_out, "a connection cannot be served");
                    }
                    return;
                }
            };
            let session = Session::new(connection, Arc::clone(&info), Arc::clone(&inner));
            match session.run().await {
                Ok(Ended::ByClient | Ended::Stopped) => {}
                Ok(Ended::Idle) => {
                    inner.connections.metrics.count_expired();
                    tracing::debug!(%peer, "closed an idle connection");
                }
                Err(Closed::Io(error)) if is_of_network(&error) => {
                    tracing::debug!(%peer, %error, "connection lost");
                }
                Err(reason) => {
                    if let Some(left_out) = inner.connections.may_log(inner.env.clock.now().0) {
                        tracing::warn!(
                            %peer, listener = info.name, %reason, left_out, "connection closed"
                        );
                    }
                }
            }
        }));
    }
}
