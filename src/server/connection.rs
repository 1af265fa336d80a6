//! The life of a connection: frames in, replies out, in order.
//!
//! One task on one worker. It reads what has arrived, runs every request that may run, collects
//! the replies that are there in the order of their requests, and sends them together. Requests
//! run one at a time, as in Kafka: the next begins when all before it are answered. Those whose
//! API is pipelined (Produce) begin in order as well, but their waits overlap.
//!
//! Nothing here grows with what a client claims or leaves lying: a frame owns no memory that it
//! has not filled, a connection that waits has no buffer (`buffers.rs`), incomplete and large
//! requests of all connections share one bound (`budget.rs`), and no request begins while replies
//! to earlier ones are not yet taken.
//!
//! A connection works for one slice (`slice.rs`), then yields to the others of its worker.
//!
//! Deadlines count from the last progress of the peer, in both directions, and are Kafka's
//! `connections.max.idle.ms`: a slow request is bounded by the memory it may hold, not by the time
//! it takes as a whole. A client that has shut down its sending side gets the answers to all that it
//! sent; then the connection is closed.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::apis::{self, Api, Order};
use super::budget::{Account, Budget, Reserve};
use super::buffers::{self, BUFFER_LEN};
use super::config::ServerConfig;
use super::context::{Handled, Reply, RequestContext, Services};
use super::listener_info::ListenerInfo;
use super::request_log::{RequestTrace, ResponseOutcome, TracedRequest};
use super::request_metrics::{AnsweredRequest, RequestMetrics, RequestTimes};
use super::slice::Slice;
use crate::drivers::ShutdownSignal;
use crate::env::clock::Sleep;
use crate::env::threads::poll_give_way;
use crate::env::{Connection, Env, OutPart};
use crate::metadata::Principal;
use crate::protocol::{ApiFacts, RequestHeader, key};
use crate::types::Mono;

/// Bytes before a frame: its length.
const PREFIX_LEN: usize = 4;
/// While `queued.max.request.bytes` is used up, a client that holds part of it must send
/// [`PACE_LEN`] bytes of its request in this time.
const PACE_TIME: Duration = Duration::from_mins(1);
/// See [`PACE_TIME`].
const PACE_LEN: usize = BUFFER_LEN;
/// The least room for a read.
const READ_LEN_MIN: usize = 4 * 1024;
/// Up to so many bytes of an incomplete frame are moved to a buffer of their own length while
/// nothing comes, so that the large one can be used by others.
const ASIDE_LEN_MAX: usize = 16 * 1024;
/// Up to so many bytes of an incomplete frame are not charged: they are part of what a connection
/// costs.
const UNCHARGED_LEN_MAX: usize = 1024;
/// A frame gets room for so much at once only if the connection has sent as much before.
const TRUSTED_LEN_MAX: usize = 2 * 1024 * 1024;
/// Requests of one connection that may be unanswered at once.
const WAITING_MAX: usize = 64;
/// While replies that are ready and not sent are longer than this, no request begins.
const READY_LEN_MAX: usize = 256 * 1024;

/// Why a connection ended, other than by its client.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseReason {
    #[error("a frame of {len} bytes, socket.request.max.bytes={max}{}", explain(*len))]
    FrameLength { len: i32, max: usize },
    #[error("{0}")]
    Refused(String),
    #[error("nothing more of an incomplete request arrived, connections.max.idle.ms={}", .0.as_millis())]
    HalfSent(Duration),
    #[error(
        "a request made less progress than {PACE_LEN} bytes in {} s while \
         queued.max.request.bytes={limit} was used up",
        PACE_TIME.as_secs()
    )]
    TooSlow { limit: u64 },
    #[error(
        "no memory for a request within connections.max.idle.ms={}: \
         queued.max.request.bytes={limit} is held by others",
        waited.as_millis()
    )]
    NoRoom { limit: u64, waited: Duration },
    #[error("the client read nothing of a response, connections.max.idle.ms={}", .0.as_millis())]
    NotReading(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the first bytes are that were taken for the length of a frame, if they are well known.
fn explain(len: i32) -> &'static str {
    match len.to_be_bytes() {
        [0x16, 0x03, ..] => ": the client speaks TLS, this listener does not",
        [b'G', b'E', b'T', b' ']
        | [b'P', b'O', b'S', b'T']
        | [b'P', b'U', b'T', b' ']
        | [b'H', b'E', b'A', b'D']
        | [b'P', b'R', b'I', b'*'] => ": the client speaks HTTP",
        _ => "",
    }
}

/// How a connection ended without fault.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    ByClient,
    Idle,
    Stopped,
}

/// What a connection needs of its broker.
pub(super) trait Host: Send + Sync {
    /// The world outside.
    fn env(&self) -> &Env;
    /// Limits.
    fn config(&self) -> &ServerConfig;
    /// Memory for large requests.
    fn budget(&self) -> &Budget;
    /// Metrics of requests.
    fn request_metrics(&self) -> &RequestMetrics;
    /// Whether it stops.
    fn stopping(&self) -> &Arc<ShutdownSignal>;
    /// An API by its number and the kind of listener.
    fn find(&self, api_key: i16, is_controller: bool) -> Option<&'static Api>;
    /// Begins a request. Its version is one that the API serves, or any of `ApiVersions`.
    fn begin(self: &Arc<Self>, request: Request, body: BytesMut) -> Handled;
}

/// A request as its header tells it.
pub(super) struct Request {
    pub(super) api: &'static ApiFacts,
    pub(super) entry: &'static Api,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: Arc<str>,
    pub(super) peer: SocketAddr,
    pub(super) listener: Arc<ListenerInfo>,
    pub(super) received_at: Mono,
    /// If the request is logged.
    pub(super) trace: Option<Arc<RequestTrace>>,
}

/// What stands at the front of the input.
#[derive(Clone, Copy)]
enum Front {
    Nothing,
    /// Part of a length.
    Prefix,
    /// Part of a frame, whose length with its prefix is this.
    Part(usize),
    /// A frame, of this length with its prefix.
    Whole(usize),
    /// A length that no frame may have.
    Invalid(i32),
}

/// A request that may begin.
struct NextRequest {
    /// Of its frame, with the prefix.
    len: usize,
    /// Where its body begins.
    body_at: usize,
    request: Request,
}

/// A request that is not answered.
struct UnansweredRequest {
    reply: Pending,
    /// What it holds of the budget.
    charged: usize,
    trace: Option<Arc<RequestTrace>>,
    api: &'static ApiFacts,
    version: i16,
    /// Of its frame, without the prefix.
    request_len: usize,
    times: RequestTimes,
    /// A reply that is there later has been polled.
    is_polled: bool,
}

enum Pending {
    Ready(Reply),
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

pub(super) struct Session<H> {
    connection: Connection,
    listener: Arc<ListenerInfo>,
    host: Arc<H>,
    client_id: Arc<str>,
    /// What was received and not begun: frames, the last of them in part.
    input: BytesMut,
    /// Bytes of the allocation that the input is part of.
    allocated: usize,
    /// The longest frame that was received whole.
    longest: usize,
    account: Account,
    /// What the input holds of the budget.
    charged: usize,
    /// Since when reading the frame at the front waits for room in the budget.
    starved_since: Option<Mono>,
    /// When the pace of the incomplete frame was last measured, and how much of it was there.
    pace: Option<(Mono, usize)>,
    slice: Slice,
    /// In the order of the requests.
    waiting: VecDeque<UnansweredRequest>,
    /// How many of them are answered later.
    pending: usize,
    /// How many at the end have never been polled.
    unpolled: usize,
    /// The last lets no other begin.
    alone: bool,
    /// Bytes of the replies that are ready, but not in the output.
    ready_len: usize,
    output: VecDeque<OutPart>,
    /// Since when nothing of the output was taken.
    stalled_since: Mono,
    /// The newest reading of the clock: when this poll began, bytes were received, a handler ran, or
    /// bytes were sent.
    now: Mono,
    last_read: Mono,
    last_active: Mono,
    at_end: bool,
    stopping: bool,
    /// Ends when the output is sent, for this reason.
    closing: Option<String>,
    timer: Option<Sleep>,
    /// Requests that are logged once their answers are sent.
    unsent: Vec<Arc<RequestTrace>>,
    /// Requests that are counted once their answers are sent.
    sending: Vec<AnsweredRequest>,
}

impl<H: Host> Session<H> {
    pub(super) fn new(connection: Connection, listener: Arc<ListenerInfo>, host: Arc<H>) -> Self {
        let now = host.env().clock.now();
        Self {
            connection,
            listener,
            host,
            client_id: "".into(),
            input: BytesMut::new(),
            allocated: 0,
            longest: 0,
            account: Account::default(),
            charged: 0,
            starved_since: None,
            pace: None,
            slice: Slice::new(now),
            waiting: VecDeque::new(),
            pending: 0,
            unpolled: 0,
            alone: false,
            ready_len: 0,
            output: VecDeque::new(),
            stalled_since: now,
            now,
            last_read: now,
            last_active: now,
            at_end: false,
            stopping: false,
            closing: None,
            timer: None,
            unsent: Vec::new(),
            sending: Vec::new(),
        }
    }

    /// Runs until the connection ends. What is unanswered then is dropped.
    pub(super) async fn run(mut self) -> Result<Ended, CloseReason> {
        let stopping = Arc::clone(self.host.stopping());
        let mut stopped = std::pin::pin!(stopping.wait());
        let result = poll_fn(|cx| {
            self.now = self.host.env().clock.now();
            self.slice = Slice::new(self.now);
            self.stopping = self.stopping || stopped.as_mut().poll(cx).is_ready();
            self.poll(cx)
        })
        .await;
        if let Err(closed) = &result {
            let (log, peer) = (&self.host.config().request_log, self.connection.peer);
            log.closed(&self.client_id, peer, &self.listener, closed);
        }
        self.unsent.extend(self.waiting.iter().filter_map(|waiting| waiting.trace.clone()));
        self.log_requests(ResponseOutcome::Unsent);
        self.host.budget().close(&mut self.account);
        buffers::give_back(std::mem::take(&mut self.input));
        let _ = poll_fn(|cx| self.connection.writer.poll_shutdown(cx)).await; // It may be gone.
        result
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Ended, CloseReason>> {
        loop {
            self.begin_requests()?;
            self.collect_replies(cx);
            let sent = self.send(cx)?;
            if sent {
                self.log_requests(ResponseOutcome::Answered);
                self.count_requests();
                if let Some(why) = self.closing.take() {
                    return Poll::Ready(Err(CloseReason::Refused(why)));
                }
                if self.stopping && self.waiting.is_empty() {
                    return Poll::Ready(Ok(Ended::Stopped));
                }
                // Requests that had arrived are carried out, and answered as far as the client
                // still reads.
                let is_all_answered = self.waiting.is_empty();
                if self.at_end && is_all_answered && !matches!(self.front(), Front::Whole(_)) {
                    return Poll::Ready(Ok(Ended::ByClient));
                }
            }
            if self.at_end && self.connection.reader.poll_reset(cx).is_ready() {
                return Poll::Ready(Ok(Ended::ByClient));
            }
            // What was just answered may let the next begin.
            if self.next_request()?.is_some() || self.receive(cx)? {
                if self.slice.is_spent(self.now) {
                    self.put_aside();
                    poll_give_way(cx);
                    return Poll::Pending;
                }
                continue;
            }
            self.put_aside();
            return match self.check_deadlines(cx) {
                Ok(None) => Poll::Pending,
                Ok(Some(ended)) => Poll::Ready(Ok(ended)),
                Err(closed) => Poll::Ready(Err(closed)),
            };
        }
    }

    fn front(&self) -> Front {
        let Some(prefix) = self.input.first_chunk::<PREFIX_LEN>() else {
            return if self.input.is_empty() { Front::Nothing } else { Front::Prefix };
        };
        let claimed = i32::from_be_bytes(*prefix);
        let max = self.host.config().socket_request_max_bytes;
        match usize::try_from(claimed) {
            Ok(len) if len > max => Front::Invalid(claimed),
            Ok(len) if self.input.len() - PREFIX_LEN < len => Front::Part(PREFIX_LEN + len),
            Ok(len) => Front::Whole(PREFIX_LEN + len),
            Err(_) => Front::Invalid(claimed),
        }
    }

    /// Nothing is unanswered or unsent.
    fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.output.is_empty()
    }

    /// Begins every request that is whole and may begin, within the slice.
    fn begin_requests(&mut self) -> Result<(), CloseReason> {
        while !self.slice.is_spent(self.now)
            && let Some(next) = self.next_request()?
        {
            self.slice.count_request();
            self.begin(next);
        }
        Ok(())
    }

    /// The request that may begin now. Errors for what no request may be; where earlier requests
    /// are unanswered, that waits until they are.
    fn next_request(&self) -> Result<Option<NextRequest>, CloseReason> {
        let has_room = !self.stopping
            && !self.alone
            && self.closing.is_none()
            && self.output.is_empty()
            && self.waiting.len() < WAITING_MAX
            && self.ready_len < READY_LEN_MAX;
        if !has_room {
            return Ok(None);
        }
        let next = match self.front() {
            Front::Nothing | Front::Prefix | Front::Part(_) => return Ok(None),
            Front::Whole(len) => self.request(len),
            Front::Invalid(len) => {
                let max = self.host.config().socket_request_max_bytes;
                Err(CloseReason::FrameLength { len, max })
            }
        };
        match next {
            Ok(next) if self.pending > 0 && next.request.entry.order == Order::OneAtATime => {
                Ok(None)
            }
            Ok(next) => Ok(Some(next)),
            Err(_) if !self.is_quiet() => Ok(None),
            Err(closed) => Err(closed),
        }
    }

    /// The request in the first `len` bytes of the input.
    fn request(&self, len: usize) -> Result<NextRequest, CloseReason> {
        let header = RequestHeader::read(&self.input[PREFIX_LEN..len])
            .map_err(|error| CloseReason::Refused(error.to_string()))?;
        let (api, version) = (header.api, header.version);
        let entry = self.host.find(api.key, self.listener.is_controller).ok_or_else(|| {
            let (name, listener) = (api.name, &self.listener.name);
            CloseReason::Refused(format!("{name} is not served on listener {listener}"))
        })?;
        // ApiVersions alone is answered at any version, so that a client can begin with its own.
        let with_unstable = self.host.config().unstable_api_versions;
        if !entry.serves(version, with_unstable) && api.key != key::ApiVersions {
            return Err(CloseReason::Refused(format!(
                "{} version {version} is not supported, versions {} to {} are",
                api.name,
                entry.min_version,
                entry.newest(with_unstable)
            )));
        }
        let client_id = header.client_id.unwrap_or_default();
        let is_known = *self.client_id == *client_id;
        Ok(NextRequest {
            len,
            body_at: PREFIX_LEN + header.len,
            request: Request {
                api,
                entry,
                version,
                correlation_id: header.correlation_id,
                client_id: if is_known { Arc::clone(&self.client_id) } else { client_id.into() },
                peer: self.connection.peer,
                listener: Arc::clone(&self.listener),
                received_at: self.last_read,
                trace: None,
            },
        })
    }

    /// Logs the requests whose answers are sent, or will not be.
    fn log_requests(&mut self, outcome: ResponseOutcome) {
        if !self.unsent.is_empty() {
            let now = self.host.env().clock.now();
            self.unsent.drain(..).for_each(|trace| trace.finish(now, outcome));
        }
    }

    /// Counts the requests whose answers are sent.
    fn count_requests(&mut self) {
        let metrics = self.host.request_metrics();
        self.sending.drain(..).for_each(|answered| metrics.record(&answered, self.now));
    }

    /// Notes a request whose answer is sent next.
    fn note_answered(&mut self, answered: AnsweredRequest) {
        if self.sending.capacity() == 0 {
            // Most connections have one request at a time; they keep no room for more.
            self.sending.reserve_exact(1);
        }
        self.sending.push(answered);
    }

    fn begin(&mut self, next: NextRequest) {
        let NextRequest { len, body_at, mut request } = next;
        let trace = self.host.config().request_log.wants(&request.client_id).then(|| {
            let trace = RequestTrace::new(TracedRequest {
                api: request.api,
                version: request.version,
                correlation_id: request.correlation_id,
                client_id: Arc::clone(&request.client_id),
                listener: Arc::clone(&request.listener),
                peer: request.peer,
                len: len - PREFIX_LEN,
                received_at: request.received_at,
            });
            trace.begin(self.host.env().clock.now());
            trace
        });
        request.trace.clone_from(&trace);
        let order = request.entry.order;
        self.client_id = Arc::clone(&request.client_id);
        if len > BUFFER_LEN {
            self.charge(len);
        }
        let mut charged = std::mem::take(&mut self.charged);
        self.longest = self.longest.max(len);
        (self.pace, self.starved_since) = (None, None);
        let mut frame = self.input.split_to(len);
        frame.advance(body_at);
        let (api, version, received_at) = (request.api, request.version, request.received_at);
        let begun_at = self.now;
        let handled = self.timed(trace.as_ref(), |session| session.host.begin(request, frame));
        self.now = self.host.env().clock.now();
        let ready_at = matches!(handled, Handled::Now(_)).then_some(self.now);
        let times = RequestTimes { received_at, begun_at, ran_until: self.now, ready_at };
        let (reply, alone) = match handled {
            Handled::Now(reply) => {
                self.ready_len += reply.len();
                self.note_ready(trace.as_ref(), &reply);
                (Pending::Ready(reply), false)
            }
            Handled::Later(later) => (Pending::Later(later), order == Order::OneAtATime),
            Handled::LaterAlone(later) => (Pending::Later(later), true),
        };
        if !alone {
            // The handler has let go of the bytes by now.
            self.host.budget().give(&mut self.account, std::mem::take(&mut charged));
        }
        self.alone = alone;
        self.pending += usize::from(matches!(reply, Pending::Later(_)));
        self.unpolled += 1;
        self.waiting.push_back(UnansweredRequest {
            reply,
            charged,
            trace,
            api,
            version,
            request_len: len - PREFIX_LEN,
            times,
            is_polled: false,
        });
    }

    /// Runs a part of a handler, and notes how long that took if its request is logged.
    fn timed<T>(
        &mut self,
        trace: Option<&Arc<RequestTrace>>,
        run: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let Some(trace) = trace else { return run(self) };
        let start = self.host.env().clock.now();
        let result = run(self);
        trace.ran(start, self.host.env().clock.now());
        result
    }

    fn note_ready(&self, trace: Option<&Arc<RequestTrace>>, reply: &Reply) {
        let Some(trace) = trace else { return };
        trace.ready(self.host.env().clock.now(), reply.len());
        if let Reply::Close(why) = reply {
            trace.closes(why);
        }
    }

    /// Lets waits go on, and moves the replies at the front that are there to the output.
    ///
    /// Of those that wait, the new ones are polled, so that they begin, and one that runs alone;
    /// then only the first: no other can be sent before it.
    fn collect_replies(&mut self, cx: &mut Context<'_>) {
        let polled = std::mem::take(&mut self.unpolled).max(usize::from(self.alone));
        for at in self.waiting.len() - polled..self.waiting.len() {
            self.poll_reply(cx, at);
        }
        while self.closing.is_none() && !self.waiting.is_empty() {
            self.poll_reply(cx, 0);
            let (reply, mut answered) = match self.waiting.pop_front() {
                Some(UnansweredRequest {
                    reply: Pending::Ready(reply),
                    charged,
                    trace,
                    api,
                    version,
                    request_len,
                    times,
                    ..
                }) => {
                    self.unsent.extend(trace);
                    self.host.budget().give(&mut self.account, charged);
                    let (response_len, popped_at) = (reply.len(), self.now);
                    let answered = AnsweredRequest {
                        api,
                        version,
                        from_follower: false,
                        request_len,
                        response_len,
                        error: None,
                        times,
                        popped_at,
                    };
                    (reply, answered)
                }
                Some(still) => {
                    self.waiting.push_front(still);
                    break;
                }
                None => break,
            };
            self.ready_len -= reply.len();
            self.alone = self.alone && !self.waiting.is_empty();
            if self.output.is_empty() {
                self.stalled_since = self.now;
            }
            match reply {
                Reply::Whole(bytes) => {
                    let (api, version) = (answered.api, answered.version);
                    answered.error = self.host.request_metrics().error_in(api, version, &bytes);
                    self.output.push_back(OutPart::Bytes(bytes));
                }
                Reply::Send(response) => {
                    answered.from_follower = response.is_for_follower;
                    self.output.extend(response.parts);
                }
                Reply::Nothing => {}
                Reply::Close(why) => {
                    self.closing = Some(why);
                    continue;
                }
            }
            self.note_answered(answered);
        }
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>, at: usize) {
        let Some(waiting) = self.waiting.get_mut(at) else { return };
        let UnansweredRequest { reply: Pending::Later(later), trace, .. } = waiting else { return };
        let is_first = !std::mem::replace(&mut waiting.is_polled, true);
        let start = trace.as_ref().map(|_| self.host.env().clock.now());
        let polled = later.as_mut().poll(cx);
        if let (Some(trace), Some(start)) = (trace, start) {
            trace.ran(start, self.host.env().clock.now());
        }
        if let Poll::Ready(ready) = polled {
            self.pending -= 1;
            self.ready_len += ready.len();
            let times = &mut self.waiting[at].times;
            if is_first {
                // The handler has not waited. One that has was woken when this poll began.
                self.now = self.host.env().clock.now();
                times.ran_until = self.now;
            }
            times.ready_at = Some(self.now);
            self.note_ready(self.waiting[at].trace.as_ref(), &ready);
            self.waiting[at].reply = Pending::Ready(ready);
        }
    }

    /// Sends what goes; whether nothing is left.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseReason> {
        let left = |output: &VecDeque<OutPart>| (output.len(), output.front().map(OutPart::len));
        let before = left(&self.output);
        if before.0 == 0 {
            return Ok(true);
        }
        let done = self.connection.writer.poll_send(cx, &mut self.output)?.is_ready();
        if left(&self.output) != before {
            self.now = self.host.env().clock.now();
            self.stalled_since = self.now;
            self.last_active = self.now;
        }
        Ok(done)
    }

    /// Reads what has arrived; whether that was anything.
    ///
    /// Goes on while requests wait: to notice that the client has gone, and to have the next
    /// request ready. No more than one whole frame is read ahead.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseReason> {
        if self.at_end || self.stopping || self.closing.is_some() {
            return Ok(false);
        }
        let missing = match self.front() {
            Front::Whole(_) | Front::Invalid(_) => return Ok(false),
            Front::Nothing | Front::Prefix => 0,
            Front::Part(len) => len - self.input.len(),
        };
        if !self.has_room(cx, missing) {
            return Ok(false);
        }
        self.make_room(missing);
        match self.connection.reader.poll_read(cx, &mut self.input) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => {
                self.at_end = true;
                Ok(true)
            }
            Poll::Ready(Ok(len)) => {
                self.slice.count_bytes(len);
                self.now = self.host.env().clock.now();
                (self.last_read, self.last_active) = (self.now, self.now);
                if matches!(self.front(), Front::Part(_)) {
                    self.pace.get_or_insert((self.now, 0));
                }
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error.into()),
        }
    }

    /// Whether the `missing` bytes of a frame, or what comes, can be read into the buffer as it is.
    fn has_space(&self, missing: usize) -> bool {
        let spare = self.input.capacity() - self.input.len();
        spare >= READ_LEN_MIN || (missing > 0 && spare >= missing)
    }

    /// Whether more of a frame of which `missing` bytes are missing can be read: its buffer has
    /// space, which is charged already, or the budget lets it grow.
    fn has_room(&mut self, cx: &Context<'_>, missing: usize) -> bool {
        let reserve = if missing > BUFFER_LEN { Reserve::Large } else { Reserve::Small };
        if missing > 0
            && !self.has_space(missing)
            && self.host.budget().poll_room(cx, &mut self.account, reserve).is_pending()
        {
            self.starved_since.get_or_insert(self.now);
            return false;
        }
        if self.starved_since.take().is_some() {
            // Bytes that were not read for want of memory are no fault of the client.
            self.last_read = self.now;
            self.pace = Some((self.now, self.input.len()));
        }
        true
    }

    /// Charges the input with so many bytes, if it is not charged with more.
    fn charge(&mut self, bytes: usize) {
        if bytes > self.charged {
            self.host.budget().take(&mut self.account, bytes - self.charged);
            self.charged = bytes;
        }
    }

    /// Makes room to read the `missing` bytes of a frame, or whatever comes: as much as the frame
    /// has filled already, or as the connection has filled before.
    fn make_room(&mut self, missing: usize) {
        if self.has_space(missing) {
            return;
        }
        let filled = self.input.len();
        if filled == 0 {
            // The buffer goes back before one is borrowed: the same one comes again, and it is in the
            // processor's cache.
            buffers::give_back(std::mem::take(&mut self.input));
        }
        if filled <= ASIDE_LEN_MAX {
            let mut buffer = self.buffer_for_first_read(filled);
            self.allocated = buffer.capacity();
            buffer.extend_from_slice(&self.input);
            buffers::give_back(std::mem::replace(&mut self.input, buffer));
            return;
        }
        let trusted = filled.max(self.longest.min(TRUSTED_LEN_MAX)).max(BUFFER_LEN);
        let more = missing.clamp(READ_LEN_MIN, trusted);
        if self.input.try_reclaim(more) {
            return;
        }
        self.charge(filled + more);
        // The exact length: `reserve` would allocate up to twice as much.
        let mut buffer = BytesMut::with_capacity(filled + more);
        self.allocated = buffer.capacity();
        buffer.extend_from_slice(&self.input);
        buffers::give_back(std::mem::replace(&mut self.input, buffer));
    }

    /// A buffer for the beginning of a request. If the request turns out incomplete, the buffer is
    /// charged, so its length depends on what is left of the budget.
    fn buffer_for_first_read(&self, filled: usize) -> BytesMut {
        let budget = self.host.budget();
        if !budget.is_full(Reserve::Large) {
            buffers::borrow()
        } else if !budget.is_full(Reserve::Small) || filled > 0 {
            buffers::fresh()
        } else {
            BytesMut::with_capacity(UNCHARGED_LEN_MAX)
        }
    }

    /// Others have their turn: gives the buffer back if little is in it, and charges what is kept.
    fn put_aside(&mut self) {
        let filled = self.input.len();
        let aside = if filled <= ASIDE_LEN_MAX && self.input.capacity() > filled {
            Some(BytesMut::from(&self.input[..]))
        } else if filled <= BUFFER_LEN
            && self.allocated > BUFFER_LEN
            && self.host.budget().is_full(Reserve::Large)
        {
            let mut buffer = buffers::fresh();
            buffer.extend_from_slice(&self.input);
            Some(buffer)
        } else {
            None
        };
        if let Some(aside) = aside {
            self.allocated = aside.capacity();
            buffers::give_back(std::mem::replace(&mut self.input, aside));
        }
        if filled > UNCHARGED_LEN_MAX {
            self.charge(self.allocated);
        }
    }

    /// Looks at the deadlines, and sees to it that this is polled at the next.
    ///
    /// The timer is not set anew for every request: it goes off at least every [`PACE_TIME`] or
    /// `connections.max.idle.ms`, which no deadline that begins later can precede.
    fn check_deadlines(&mut self, cx: &mut Context<'_>) -> Result<Option<Ended>, CloseReason> {
        let max_idle = self.host.config().connections_max_idle;
        loop {
            if let Some(timer) = &mut self.timer {
                if timer.as_mut().poll(cx).is_pending() {
                    return Ok(None);
                }
                self.timer = None;
                self.now = self.host.env().clock.now();
            }
            let now = self.now;
            let has_passed = |deadline: Option<Mono>| deadline.is_some_and(|at| at <= now);
            let is_part = !self.at_end && matches!(self.front(), Front::Prefix | Front::Part(_));
            let (part, starved) = match self.starved_since {
                Some(since) => (None, Some(since + max_idle)),
                None => (is_part.then(|| self.last_read + max_idle), None),
            };
            let send = (!self.output.is_empty()).then(|| self.stalled_since + max_idle);
            // A client that has gone looks like one that has shut down its sending side, until
            // something is sent to it.
            let is_idle = (self.is_quiet() && !is_part) || (self.at_end && self.output.is_empty());
            let idle = is_idle.then(|| self.last_active + max_idle);
            if has_passed(send) {
                return Err(CloseReason::NotReading(max_idle));
            }
            if has_passed(part) {
                return Err(CloseReason::HalfSent(max_idle));
            }
            if has_passed(starved) {
                let limit = self.host.config().queued_max_request_bytes;
                return Err(CloseReason::NoRoom { limit, waited: max_idle });
            }
            if is_part && self.is_too_slow() {
                let limit = self.host.config().queued_max_request_bytes;
                return Err(CloseReason::TooSlow { limit });
            }
            if has_passed(idle) {
                return Ok(Some(Ended::Idle));
            }
            let tick = now + PACE_TIME.min(max_idle);
            let deadlines = [part, starved, send, idle].into_iter().flatten();
            let next = deadlines.fold(tick, Mono::min);
            self.timer = Some(self.host.env().clock.sleep_until(next));
        }
    }

    /// Whether the incomplete frame holds memory while none is left and makes too little progress. Measures its progress anew when [`PACE_TIME`] has passed.
    fn is_too_slow(&mut self) -> bool {
        let Some((since, filled)) = self.pace else { return false };
        if self.starved_since.is_some() || self.now < since + PACE_TIME {
            return false;
        }
        let made = self.input.len() - filled.min(self.input.len());
        self.pace = Some((self.now, self.input.len()));
        made < PACE_LEN && self.charged > 0 && self.host.budget().is_full(Reserve::Large)
    }
}

impl Host for Services {
    fn env(&self) -> &Env {
        &self.env
    }

    fn config(&self) -> &ServerConfig {
        &self.config
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn request_metrics(&self) -> &RequestMetrics {
        &self.requests
    }

    fn stopping(&self) -> &Arc<ShutdownSignal> {
        &self.stopping
    }

    fn find(&self, api_key: i16, is_controller: bool) -> Option<&'static Api> {
        apis::find(api_key, is_controller)
    }

    fn begin(self: &Arc<Self>, request: Request, body: BytesMut) -> Handled {
        let entry = request.entry;
        let context = RequestContext {
            broker: Arc::clone(self),
            image: self.image.load_full(),
            listener: request.listener,
            peer: request.peer,
            principal: Principal::ANONYMOUS,
            api: request.api,
            version: request.version,
            correlation_id: request.correlation_id,
            client_id: request.client_id,
            received_at: request.received_at,
            trace: request.trace,
        };
        if entry.serves(context.version, self.config.unstable_api_versions) {
            (entry.handler)(context, body)
        } else {
            Handled::Now(super::api::api_versions::unsupported(&context))
        }
    }
}

#[cfg(test)]
mod tests;
