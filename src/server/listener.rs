//! Accepting connections, within limits.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{CloseReason, Ended, Session};
use super::connection_metrics::OpenConnection;
use super::context::Services;
use super::listener_info::ListenerInfo;
use crate::env::Listener;

/// How long to wait after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// One counted connection.
struct CountedConnection {
    broker: Arc<Services>,
    address: IpAddr,
}

impl CountedConnection {
    /// Counts a connection, or reports why it exceeds a limit. The controller's listener has no
    /// limit: clients must not be able to shut the quorum out.
    fn admit(broker: &Arc<Services>, is_controller: bool, address: IpAddr) -> Result<Self, String> {
        let limits = (!is_controller).then_some(&broker.config);
        broker.connections.add(address, limits)?;
        Ok(Self { broker: Arc::clone(broker), address })
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.broker.connections.remove(self.address);
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
        let counted = match CountedConnection::admit(&broker, info.is_controller, peer.ip()) {
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
                Err(CloseReason::Io(error)) if is_of_network(&error) => {
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
