//! What a handler sees of a request and of the broker, and what it answers with.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::env::OutPart;
use crate::metadata::{MetadataImage, Principal};
use crate::protocol::ApiFacts;
use crate::protocol::messages::{WireResponse, encode_response};
use crate::types::{ErrorCode, Mono};

use super::listener_info::ListenerInfo;
use super::request_log::RequestTrace;
pub use super::services::Services;
use super::slice::Steps;

/// One request: who asks, for what, and the metadata it sees.
pub struct RequestContext {
    /// The broker.
    pub broker: Arc<Services>,
    /// The metadata that this request sees; it sees no other.
    pub image: Arc<MetadataImage>,
    /// Where it came in.
    pub listener: Arc<ListenerInfo>,
    /// From where it was sent.
    pub peer: SocketAddr,
    /// Who sent it.
    pub principal: Principal,
    /// Which API.
    pub api: &'static ApiFacts,
    /// Its version.
    pub version: i16,
    /// Goes back with the response.
    pub correlation_id: i32,
    /// How the client calls itself, "" for nothing.
    pub client_id: Arc<str>,
    /// When its last byte arrived.
    pub received_at: Mono,
    /// What the request log wants to know, if the request is logged.
    pub trace: Option<Arc<RequestTrace>>,
}

/// A whole response, length included; nothing for a request that gets none.
#[derive(Default)]
pub struct Response {
    /// What to send, in order.
    pub parts: Vec<OutPart>,
    /// Whether it answers the Fetch of a follower, which metrics tell apart.
    pub is_for_follower: bool,
}

/// How a request ends.
pub enum Reply {
    /// With a response in one piece, length included.
    Whole(Bytes),
    /// With a response in pieces.
    Send(Response),
    /// Without (acks=0).
    Nothing,
    /// By closing the connection; why.
    Close(String),
}

/// A reply that is there, or will be.
pub enum Handled {
    /// Now, on this thread.
    Now(Reply),
    /// Later. If the client goes away first, the future is dropped.
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
    /// Later, and until then no other request of the connection begins: for a pipelined request
    /// that has not had its effect yet.
    LaterAlone(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

impl RequestContext {
    /// Slices for a handler that loops over what the client asked for.
    pub(crate) fn steps(&self) -> Steps {
        Steps::new(Arc::clone(&self.broker.env.clock))
    }

    /// The reply with this body.
    pub fn reply<T: WireResponse>(&self, body: &T) -> Reply {
        self.reply_at(body, self.version)
    }

    /// Error codes of an answer that is not made by [`Self::reply`], for metrics and the request log.
    pub fn note_errors(&self, codes: impl Iterator<Item = ErrorCode> + Clone) {
        self.broker.requests.count_errors(self.api, codes.clone());
        if let Some(trace) = &self.trace {
            codes.for_each(|code| trace.note(code));
        }
    }

    /// The reply with this body at another version than the request's.
    pub fn reply_at<T: WireResponse>(&self, body: &T, version: i16) -> Reply {
        if let Some(trace) = &self.trace {
            trace.note_body(body);
        }
        match encode_response(body, version, self.correlation_id) {
            Ok(bytes) => Reply::from(bytes),
            Err(error) => Reply::Close(error.to_string()),
        }
    }
}

impl Reply {
    /// Bytes that it will send.
    pub fn len(&self) -> usize {
        match self {
            Reply::Whole(bytes) => bytes.len(),
            Reply::Send(response) => response.parts.iter().map(OutPart::len).sum(),
            Reply::Nothing | Reply::Close(_) => 0,
        }
    }

    /// Whether it sends nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Reply::Whole(bytes)
    }
}
