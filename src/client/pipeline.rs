//! Which calls are queued and which are in flight on the connection. It does no I/O: the driver
//! reports what was sent, what came and what time it is.
//!
//! Responses come in the order of their requests (Kafka 4.4 `InFlightRequests`), so a response with
//! another correlation id than the oldest request's is a violation, after which nothing on the
//! connection can be trusted.

use std::collections::VecDeque;

use bytes::Bytes;

use super::error::{ConnectError, LostReason, UnsentReason};
use super::versions::NodeVersions;
use crate::codec::shape::Versions;
use crate::protocol::ApiFacts;
use crate::protocol::header::ResponseHeader;
use crate::protocol::messages::{DecodeError, EncodeError};
use crate::types::Mono;

/// A response before it is decoded.
pub(super) struct CallAnswer {
    /// The version of the request.
    pub(super) version: i16,
    /// Header and body.
    pub(super) frame: Bytes,
}

/// Why a call has no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of it was sent.
    Unsent(UnsentReason),
    /// It was sent, at least in part.
    Lost(LostReason),
}

/// A call of whichever API.
pub(super) trait PipelinedCall: Send {
    /// The API.
    fn api(&self) -> &'static ApiFacts;
    /// The versions that the caller can use.
    fn versions(&self) -> Versions;
    /// When it fails without a response.
    fn deadline(&self) -> Mono;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// The whole frame of the request. Called once.
    fn encode(&mut self, version: i16, correlation_id: i32) -> Result<Bytes, EncodeError>;
    /// Tells the caller. Errors if the response cannot be decoded; the caller knows it then.
    fn complete(self: Box<Self>, outcome: Result<CallAnswer, Failure>) -> Result<(), DecodeError>;
}

struct InFlight {
    call: Box<dyn PipelinedCall>,
    version: i16,
    correlation_id: i32,
    /// Where its frame starts in the bytes of the connection.
    start: u64,
}

/// The calls of one client.
pub(super) struct Pipeline {
    pending_max: usize,
    in_flight_max: usize,
    queued: VecDeque<Box<dyn PipelinedCall>>,
    /// In the order in which they were sent.
    in_flight: VecDeque<InFlight>,
    next_correlation_id: i32,
    /// Bytes of all frames that were handed out on this connection.
    handed_out: u64,
    /// Bytes of them that the socket accepted.
    sent: u64,
}

impl Pipeline {
    /// Without calls, and with these bounds (see `ClientSettings`).
    pub(super) fn new(pending_max: usize, in_flight_max: usize) -> Self {
        Self {
            pending_max,
            in_flight_max: in_flight_max.max(1),
            queued: VecDeque::new(),
            in_flight: VecDeque::new(),
            next_correlation_id: 0,
            handed_out: 0,
            sent: 0,
        }
    }

    /// Whether no call is queued or in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.in_flight.is_empty()
    }

    /// Queues a call, or fails it if there are too many.
    pub(super) fn enqueue(&mut self, call: Box<dyn PipelinedCall>) {
        if self.queued.len() + self.in_flight.len() >= self.pending_max {
            fail(call, Failure::Unsent(UnsentReason::TooManyPending(self.pending_max)));
        } else {
            self.queued.push_back(call);
        }
    }

    /// The frame of the next request that may be sent to a node with `versions`. Calls that cannot
    /// be sent to it fail; abandoned calls are dropped.
    pub(super) fn next_frame(&mut self, versions: &NodeVersions) -> Option<Bytes> {
        while self.in_flight.len() < self.in_flight_max {
            let mut call = self.queued.pop_front()?;
            if call.is_abandoned() {
                continue;
            }
            let (api, wanted) = (call.api(), call.versions());
            let Some(version) = versions.newest(api, wanted) else {
                let offered = versions.api(api.key);
                let reason = UnsentReason::UnsupportedVersion { wanted, offered };
                fail(call, Failure::Unsent(reason));
                continue;
            };
            let correlation_id = self.next_correlation_id;
            let frame = match call.encode(version, correlation_id) {
                Ok(frame) => frame,
                Err(error) => {
                    fail(call, Failure::Unsent(UnsentReason::Encode(error.to_string())));
                    continue;
                }
            };
            self.next_correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
            let start = self.handed_out;
            self.handed_out += frame.len() as u64;
            self.in_flight.push_back(InFlight { call, version, correlation_id, start });
            return Some(frame);
        }
        None
    }

    /// The socket has accepted so many more bytes.
    pub(super) fn record_sent(&mut self, bytes: u64) {
        self.sent += bytes;
        assert!(self.sent <= self.handed_out, "no more bytes are sent than were handed out");
    }

    /// Completes the oldest request in flight with a frame from the peer (without its length).
    ///
    /// Errors: the frame is not its response. The connection must be closed.
    pub(super) fn answer(&mut self, frame: Bytes) -> Result<(), LostReason> {
        let violation = |text: String| Err(LostReason::Violation(text));
        let Ok(correlation_id) = ResponseHeader::correlation_id(&frame) else {
            return violation(format!("a response of {} bytes", frame.len()));
        };
        let Some(oldest) = self.in_flight.front() else {
            return violation(format!("response {correlation_id} without a request"));
        };
        if oldest.correlation_id != correlation_id {
            let expected = oldest.correlation_id;
            return violation(format!("response {correlation_id} instead of {expected}"));
        }
        if oldest.start >= self.sent {
            return violation(format!("response {correlation_id} before its request was sent"));
        }
        let Some(InFlight { call, version, .. }) = self.in_flight.pop_front() else {
            return Ok(());
        };
        call.complete(Ok(CallAnswer { version, frame }))
            .map_err(|error| LostReason::Malformed(error.to_string()))
    }

    /// Fails queued calls whose deadline has passed. Returns whether the deadline of a request in
    /// flight has passed: then the peer is unresponsive, and the connection must be closed, since
    /// later responses would wait for this one.
    pub(super) fn expire(&mut self, now: Mono) -> bool {
        let expired = |call: &dyn PipelinedCall| call.deadline() <= now;
        for _ in 0..self.queued.len() {
            let Some(call) = self.queued.pop_front() else { break };
            if expired(&*call) {
                fail(call, Failure::Unsent(UnsentReason::DeadlinePassed));
            } else if !call.is_abandoned() {
                self.queued.push_back(call);
            }
        }
        self.in_flight.iter().any(|flight| expired(&*flight.call))
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let queued = self.queued.iter().map(|call| call.deadline());
        queued.chain(self.in_flight.iter().map(|flight| flight.call.deadline())).min()
    }

    /// The connection is gone: fails all requests in flight. Queued ones stay for the next.
    pub(super) fn connection_lost(&mut self, reason: &LostReason, now: Mono) {
        for InFlight { call, start, .. } in self.in_flight.drain(..) {
            let failure = if start >= self.sent && call.deadline() <= now {
                Failure::Unsent(UnsentReason::DeadlinePassed)
            } else if start >= self.sent {
                Failure::Unsent(UnsentReason::ConnectionLost(reason.clone()))
            } else if *reason == LostReason::DeadlinePassed && call.deadline() > now {
                Failure::Lost(LostReason::PeerUnresponsive)
            } else {
                Failure::Lost(reason.clone())
            };
            fail(call, failure);
        }
        (self.handed_out, self.sent) = (0, 0);
    }

    /// Fails all queued calls, since there is no connection.
    pub(super) fn connect_failed(&mut self, error: &ConnectError) {
        self.fail_queued(&UnsentReason::Connect(error.clone()));
    }

    /// Fails all queued calls.
    pub(super) fn fail_queued(&mut self, reason: &UnsentReason) {
        for call in self.queued.drain(..) {
            fail(call, Failure::Unsent(reason.clone()));
        }
    }
}

/// Fails a call. There is nothing to decode.
fn fail(call: Box<dyn PipelinedCall>, failure: Failure) {
    let completed = call.complete(Err(failure));
    debug_assert!(completed.is_ok());
}
