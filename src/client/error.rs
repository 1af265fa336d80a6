//! Why a call failed, and whether its request was sent.

use std::time::Duration;

use super::NodeAddress;
use crate::codec::shape::Versions;
use crate::types::ErrorCode;

/// A call without a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No byte of the request left this node. It can be repeated, here or elsewhere.
    #[error("{api} was not sent to {node}: {reason}")]
    Unsent {
        /// The API.
        api: &'static str,
        /// The node.
        node: NodeAddress,
        /// The reason.
        reason: UnsentReason,
    },
    /// The request left this node, at least in part. The other node may have acted on it.
    #[error("{api} was sent to {node}, its outcome is unknown: {reason}")]
    OutcomeUnknown {
        /// The API.
        api: &'static str,
        /// The node.
        node: NodeAddress,
        /// The reason.
        reason: LostReason,
    },
}

impl CallError {
    /// Whether the other node may have acted on the request.
    pub fn was_sent(&self) -> bool {
        matches!(self, CallError::OutcomeUnknown { .. })
    }
}

/// Why a request was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsentReason {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was lost before the request left.
    #[error("the connection was lost: {0}")]
    ConnectionLost(LostReason),
    /// The deadline passed while it was queued.
    #[error("its deadline passed before it could be sent")]
    DeadlinePassed,
    /// As many requests as the setting allows are queued or in flight.
    #[error("{0} requests are pending already")]
    TooManyPending(usize),
    /// The two nodes have no version in common.
    #[error("{}", unsupported(*.wanted, *.offered))]
    UnsupportedVersion {
        /// The versions that the caller can use.
        wanted: Versions,
        /// The versions that the node has; `None` if it does not have the API.
        offered: Option<Versions>,
    },
    /// The version cannot carry the request.
    #[error("{0}")]
    Encode(String),
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
}

fn unsupported(wanted: Versions, offered: Option<Versions>) -> String {
    let wanted = format!("versions {} to {} are needed", wanted.first, wanted.last);
    match offered {
        Some(offered) => format!("{wanted}, the node has {} to {}", offered.first, offered.last),
        None => format!("{wanted}, the node does not have the API"),
    }
}

/// Why a node could not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or the connection was refused or broke.
    #[error("cannot connect: {0}")]
    Io(String),
    /// It took too long.
    #[error("the connection was not ready within {0:?}")]
    Timeout(Duration),
    /// The peer did not authenticate us, or we did not authenticate it.
    #[error("cannot authenticate: {0}")]
    Authentication(String),
    /// The peer closed the connection instead of answering ApiVersions.
    #[error("the peer closed the connection instead of answering ApiVersions")]
    ClosedByPeer,
    /// The peer answered ApiVersions with bytes that are not its response.
    #[error("the peer did not answer ApiVersions: {0}")]
    Malformed(String),
    /// The peer answered ApiVersions with an error.
    #[error("the peer answered ApiVersions with {}", .0.name())]
    Refused(ErrorCode),
    /// The peer is another node, or belongs to another cluster.
    #[error("the peer is another node or belongs to another cluster")]
    WrongNode,
}

/// Why the outcome of a request is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LostReason {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    ClosedByPeer,
    /// The connection broke.
    #[error("{0}")]
    Io(String),
    /// No response came before the deadline.
    #[error("no response before the deadline")]
    DeadlinePassed,
    /// Another request on the connection had no response before its deadline, so that the
    /// connection was closed.
    #[error("the connection was closed: another request had no response before its deadline")]
    PeerUnresponsive,
    /// The peer sent something that is not the next response.
    #[error("the peer broke the protocol: {0}")]
    Violation(String),
    /// The response cannot be decoded.
    #[error("the response is malformed: {0}")]
    Malformed(String),
    /// The task of the client ended, as it does when the process stops.
    #[error("the client has stopped")]
    Stopped,
}
