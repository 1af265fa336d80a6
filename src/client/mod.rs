//! Calls to another node: one pipelined connection, which is dialled again as needed.
//!
//! A [`NodeClient`] belongs to one node at one address. The first call dials; the name is resolved
//! anew each time. A connection begins with ApiVersions, which says which versions the node has,
//! and whether it is the node that was meant (KIP-1242). Each call has a deadline. A failed call
//! tells whether the request was sent: one that was not sent can be repeated without harm.
//!
//! Read `pipeline.rs` (which requests are queued and in flight; it does no I/O), `dial.rs` (from a
//! name to a connection that is ready), then `driver.rs` (the task that owns the connection).
//!
//! Source: Kafka 4.4 `NetworkClient`, `InterBrokerSendThread`, `ClusterConnectionStates`.

mod backoff;
mod dial;
mod driver;
mod error;
mod pipeline;
#[cfg(test)]
mod tests;
mod versions;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

pub use backoff::ExponentialBackoff;
pub use dial::{Plaintext, SecureFuture, Security};
pub use error::{CallError, ConnectError, LostReason, UnsentReason};
pub use versions::NodeVersions;

use crate::codec::shape::Versions;
use crate::env::{Clock, Env};
use crate::protocol::ApiFacts;
use crate::protocol::header::ResponseHeader;
use crate::protocol::messages::{self, DecodeError, EncodeError, WireMessage, WireRequest};
use crate::types::Mono;
use driver::{Driver, DriverCommand};
use pipeline::{CallAnswer, Failure, Pipeline, PipelinedCall};

/// The node to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its id; `None` where only an address is known, as of a bootstrap server.
    pub id: Option<i32>,
    /// Its host, a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "node {id} at {}:{}", self.host, self.port),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// How to call a node.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The client id in request headers: Kafka's nodes use their node id.
    pub client_id: String,
    /// The cluster that the node must belong to; `None` while it is not known.
    pub cluster_id: Option<String>,
    /// How long dialling, authentication and ApiVersions may take together. It grows with each
    /// failure (`socket.connection.setup.timeout.ms` and `.max.ms`).
    pub setup_timeout: ExponentialBackoff,
    /// The pause before the next attempt to connect (`reconnect.backoff.ms` and `.max.ms`).
    pub reconnect_backoff: ExponentialBackoff,
    /// The most requests in flight. 1 keeps their order over reconnects.
    pub in_flight_max: usize,
    /// The most requests that are queued or in flight; further calls fail.
    pub pending_max: usize,
    /// The longest response, in bytes. A longer one closes the connection.
    pub response_len_max: usize,
    /// Closes a connection without requests after so long. It should be less than the peer's
    /// `connections.max.idle.ms` (10 minutes), so that the peer does not close a connection at the
    /// moment at which a request leaves.
    pub idle_max: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            client_id: String::new(),
            cluster_id: None,
            setup_timeout: ExponentialBackoff { initial: seconds(10), max: seconds(30) },
            reconnect_backoff: ExponentialBackoff {
                initial: Duration::from_millis(50),
                max: Duration::from_secs(1),
            },
            in_flight_max: 1,
            pending_max: 1_000,
            response_len_max: 100 * 1024 * 1024,
            idle_max: seconds(9 * 60),
        }
    }
}

/// Calls one node. Cheap to clone; the connection closes when the last clone is dropped.
#[derive(Clone)]
pub struct NodeClient {
    commands: mpsc::Sender<DriverCommand>,
    shared: Arc<Shared>,
}

/// What callers and the driver share.
struct Shared {
    node: NodeAddress,
    settings: ClientSettings,
    clock: Arc<dyn Clock>,
    /// The versions of the node on the live connection.
    versions: Mutex<Option<Arc<NodeVersions>>>,
}

impl NodeClient {
    /// A client whose connections are secured by `security`. Connects with the first call. Must be
    /// called on a worker: its connection runs there.
    pub fn new(
        env: &Env,
        node: NodeAddress,
        settings: ClientSettings,
        security: Arc<dyn Security>,
    ) -> Self {
        let (commands, receiver) = mpsc::channel(settings.pending_max.max(1));
        let pipeline = Pipeline::new(settings.pending_max, settings.in_flight_max);
        let shared = Arc::new(Shared {
            node,
            settings,
            clock: Arc::clone(&env.clock),
            versions: Mutex::new(None),
        });
        let driver = Driver::new(env.clone(), Arc::clone(&shared), security, receiver, pipeline);
        env.threads.spawn(Box::pin(driver.run()));
        Self { commands, shared }
    }

    /// The node that this client calls.
    pub fn node(&self) -> &NodeAddress {
        &self.shared.node
    }

    /// The versions of the node on the live connection; `None` without a connection.
    pub fn versions(&self) -> Option<Arc<NodeVersions>> {
        self.shared.versions.lock().clone()
    }

    /// Sends `request` at the newest version that both nodes have, and returns the response.
    ///
    /// Errors: see [`CallError`]; [`CallError::was_sent`] tells whether the node may have acted.
    pub async fn send<R>(&self, request: R, timeout: Duration) -> Result<R::Response, CallError>
    where
        R: WireRequest + Send + 'static,
        R::Response: Send,
    {
        let all = R::shape().versions;
        self.send_within(all, timeout, move |_| request).await
    }

    /// Sends the request that `build` makes for the newest version within `versions` that both
    /// nodes have. Use it where another range than the API's applies, as metadata.version sets it
    /// for replica fetches, or where the request depends on its version.
    ///
    /// Errors as [`Self::send`].
    pub async fn send_within<R, B>(
        &self,
        versions: Versions,
        timeout: Duration,
        build: B,
    ) -> Result<R::Response, CallError>
    where
        R: WireRequest + Send + 'static,
        R::Response: Send,
        B: FnOnce(i16) -> R + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let call: TypedCall<R, B> = TypedCall {
            versions,
            deadline: self.shared.clock.now() + timeout,
            client_id: self.shared.settings.client_id.clone(),
            build: Some(build),
            reply,
        };
        let outcome = match self.commands.try_send(DriverCommand::Call(Box::new(call))) {
            // The driver completes each call, unless its task is ended with the process.
            Ok(()) => outcome.await.unwrap_or(Err(Failure::Lost(LostReason::Stopped))),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(Failure::Unsent(UnsentReason::TooManyPending(self.shared.settings.pending_max)))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Failure::Unsent(UnsentReason::Closed)),
        };
        outcome.map_err(|failure| {
            let (api, node) = (R::api().name, self.shared.node.clone());
            match failure {
                Failure::Unsent(reason) => CallError::Unsent { api, node, reason },
                Failure::Lost(reason) => CallError::OutcomeUnknown { api, node, reason },
            }
        })
    }

    /// Closes the connection once the requests in flight are answered or their deadlines have
    /// passed. Queued requests fail as not sent, and so do later calls of any clone.
    pub async fn close(self) {
        let (closed, done) = oneshot::channel();
        // Without a driver it is closed already.
        if self.commands.send(DriverCommand::Close(closed)).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// A call of one API.
struct TypedCall<R: WireRequest, B> {
    versions: Versions,
    deadline: Mono,
    client_id: String,
    build: Option<B>,
    reply: oneshot::Sender<Result<R::Response, Failure>>,
}

impl<R, B> PipelinedCall for TypedCall<R, B>
where
    R: WireRequest + Send,
    R::Response: Send,
    B: FnOnce(i16) -> R + Send,
{
    fn api(&self) -> &'static ApiFacts {
        R::api()
    }

    fn versions(&self) -> Versions {
        self.versions
    }

    fn deadline(&self) -> Mono {
        self.deadline
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn encode(&mut self, version: i16, correlation_id: i32) -> Result<Bytes, EncodeError> {
        let build = self.build.take().expect("a request is encoded once");
        let request = build(version);
        messages::encode_request(&request, version, correlation_id, Some(&self.client_id))
    }

    fn complete(self: Box<Self>, outcome: Result<CallAnswer, Failure>) -> Result<(), DecodeError> {
        let decoded = match outcome {
            Ok(answer) => decode::<R::Response>(answer),
            Err(failure) => {
                let _ = self.reply.send(Err(failure)); // The caller may have given up.
                return Ok(());
            }
        };
        let (outcome, result) = match decoded {
            Ok(response) => (Ok(response), Ok(())),
            Err(error) => {
                (Err(Failure::Lost(LostReason::Malformed(error.to_string()))), Err(error))
            }
        };
        let _ = self.reply.send(outcome); // The caller may have given up.
        result
    }
}

fn decode<T: WireMessage>(answer: CallAnswer) -> Result<T, DecodeError> {
    let CallAnswer { version, mut frame } = answer;
    let header = ResponseHeader::read(&frame, T::api(), version)?;
    T::decode_body(frame.split_off(header.len), version)
}
