//! The life of a connection: frames in, replies out, in order.
//!
//! One task on one worker. It reads what has arrived, runs every request that may run, collects
//! the replies that are there in the order of their requests, and sends them together. Requests
//! run one at a time, as in Kafka: the next begins when all before it are answered. Those whose
//! API is pipelined (Produce) begin in order as well, but their waits overlap.
//!
//! Nothing here grows with what a client claims or leaves lying: a frame owns no memory that it
//! has not filled, a connection that waits has no buffer (`buffers.rs`), large requests of all
//! connections share one bound (`budget.rs`), and no request begins while replies to earlier ones
//! are not yet taken.

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
use super::budget::{Account, Budget};
use super::buffers::{self, BUFFER_LEN};
use super::context::{Handled, ListenerInfo, Reply, RequestContext, Services};
use super::services::ServerConfig;
use crate::drivers::ShutdownSignal;
use crate::env::clock::Sleep;
use crate::env::{Connection, Env, OutPart};
use crate::metadata::Principal;
use crate::protocol::{ApiFacts, RequestHeader, key};
use crate::types::Mono;

/// Bytes before a frame: its length.
const PREFIX_LEN: usize = 4;
/// A request that was begun must be whole by then.
const FRAME_DEADLINE: Duration = Duration::from_mins(1);
/// A client that takes nothing of what is sent to it for so long is gone.
const SEND_DEADLINE: Duration = Duration::from_mins(1);
/// The least room for a read.
const READ_LEN_MIN: usize = 4 * 1024;
/// Up to so many bytes of a frame are put aside, so that their buffer can go.
const ASIDE_LEN_MAX: usize = 1024;
/// A frame gets room for so much at once only if the connection has sent as much before.
const TRUSTED_LEN_MAX: usize = 2 * 1024 * 1024;
/// Requests of one connection that may be unanswered at once.
const WAITING_MAX: usize = 64;
/// While replies that are ready and not sent are longer than this, no request begins.
const READY_LEN_MAX: usize = 256 * 1024;

/// Why a connection ended, other than by its client.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    #[error("a frame of {len} bytes, socket.request.max.bytes={max}{}", explain(*len))]
    FrameLength { len: i32, max: usize },
    #[error("{0}")]
    Refused(String),
    #[error("a request was begun and not finished within {} s", FRAME_DEADLINE.as_secs())]
    HalfSent,
    #[error(
        "no room for a request within {} s: queued.max.request.bytes={limit} is held by others",
        FRAME_DEADLINE.as_secs()
    )]
    NoRoom { limit: u64 },
    #[error("the client took nothing of a response for {} s", SEND_DEADLINE.as_secs())]
    NotReading,
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
struct Next {
    /// Of its frame, with the prefix.
    len: usize,
    /// Where its body begins.
    body_at: usize,
    request: Request,
}

/// A request that is not answered.
struct Waiting {
    reply: Pending,
    /// What it holds of the budget.
    charged: usize,
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
    /// Since when the frame at the front is there in part.
    part_since: Option<Mono>,
    /// The longest frame that was received whole.
    longest: usize,
    account: Account,
    /// What the input holds of the budget.
    charged: usize,
    /// Reading the frame at the front had to wait for room in the budget.
    was_starved: bool,
    /// In the order of the requests.
    waiting: VecDeque<Waiting>,
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
    /// The time of this poll, or of the last read.
    now: Mono,
    last_read: Mono,
    last_active: Mono,
    at_end: bool,
    stopping: bool,
    /// Ends when the output is sent, for this reason.
    closing: Option<String>,
    timer: Option<Sleep>,
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
            part_since: None,
            longest: 0,
            account: Account::default(),
            charged: 0,
            was_starved: false,
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
        }
    }

    /// Runs until the connection ends. What is unanswered then is dropped.
    pub(super) async fn run(mut self) -> Result<Ended, Closed> {
        let stopping = Arc::clone(self.host.stopping());
        let mut stopped = std::pin::pin!(stopping.wait());
        let result = poll_fn(|cx| {
            self.now = self.host.env().clock.now();
            self.stopping = self.stopping || stopped.as_mut().poll(cx).is_ready();
            self.poll(cx)
        })
        .await;
        self.host.budget().close(&mut self.account);
        buffers::give_back(std::mem::take(&mut self.input));
        let _ = poll_fn(|cx| self.connection.writer.poll_shutdown(cx)).await; // It may be gone.
        result
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Ended, Closed>> {
        loop {
            self.begin_requests()?;
            self.collect_replies(cx);
            let sent = self.send(cx)?;
            if sent {
                if let Some(why) = self.closing.take() {
                    return Poll::Ready(Err(Closed::Refused(why)));
                }
                if self.stopping && self.waiting.is_empty() {
                    return Poll::Ready(Ok(Ended::Stopped));
                }
                // As in Kafka, who hangs up gets no answers to what is still waiting, but
                // requests that had arrived are carried out.
                if self.at_end && !matches!(self.front(), Front::Whole(_)) {
                    return Poll::Ready(Ok(Ended::ByClient));
                }
            }
            // What was just answered may let the next begin.
            if self.next_request()?.is_some() || self.receive(cx)? {
                continue;
            }
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

    /// Begins every request that is whole and may begin.
    fn begin_requests(&mut self) -> Result<(), Closed> {
        while let Some(next) = self.next_request()? {
            self.begin(next);
        }
        self.part_since = match self.front() {
            Front::Prefix | Front::Part(_) => Some(self.part_since.unwrap_or(self.now)),
            Front::Nothing | Front::Whole(_) | Front::Invalid(_) => None,
        };
        Ok(())
    }

    /// The request that may begin now. Errors for what no request may be; where earlier requests
    /// are unanswered, that waits until they are.
    fn next_request(&self) -> Result<Option<Next>, Closed> {
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
                Err(Closed::FrameLength { len, max })
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
    fn request(&self, len: usize) -> Result<Next, Closed> {
        let header = RequestHeader::read(&self.input[PREFIX_LEN..len])
            .map_err(|error| Closed::Refused(error.to_string()))?;
        let (api, version) = (header.api, header.version);
        let entry = self.host.find(api.key, self.listener.is_controller).ok_or_else(|| {
            let (name, listener) = (api.name, &self.listener.name);
            Closed::Refused(format!("{name} is not served on listener {listener}"))
        })?;
        // ApiVersions alone is answered at any version, so that a client can begin with its own.
        let with_unstable = self.host.config().unstable_api_versions;
        if !entry.serves(version, with_unstable) && api.key != key::ApiVersions {
            return Err(Closed::Refused(format!(
                "{} version {version} is not supported, versions {} to {} are",
                api.name,
                entry.min_version,
                entry.newest(with_unstable)
            )));
        }
        let client_id = header.client_id.unwrap_or_default();
        let is_known = *self.client_id == *client_id;
        Ok(Next {
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
            },
        })
    }

    fn begin(&mut self, next: Next) {
        let Next { len, body_at, request } = next;
        let order = request.entry.order;
        self.client_id = Arc::clone(&request.client_id);
        self.charge(len);
        let mut charged = std::mem::take(&mut self.charged);
        self.longest = self.longest.max(len);
        (self.part_since, self.was_starved) = (None, false);
        let mut frame = self.input.split_to(len);
        frame.advance(body_at);
        let handled = self.host.begin(request, frame);
        let (reply, alone) = match handled {
            Handled::Now(reply) => {
                self.ready_len += reply.len();
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
        self.waiting.push_back(Waiting { reply, charged });
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
            let reply = match self.waiting.pop_front() {
                Some(Waiting { reply: Pending::Ready(reply), charged }) => {
                    self.host.budget().give(&mut self.account, charged);
                    reply
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
                Reply::Whole(bytes) => self.output.push_back(OutPart::Bytes(bytes)),
                Reply::Send(response) => self.output.extend(response.parts),
                Reply::Nothing => {}
                Reply::Close(why) => self.closing = Some(why),
            }
        }
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>, at: usize) {
        let Some(Waiting { reply, .. }) = self.waiting.get_mut(at) else { return };
        if let Pending::Later(later) = reply
            && let Poll::Ready(ready) = later.as_mut().poll(cx)
        {
            self.pending -= 1;
            self.ready_len += ready.len();
            *reply = Pending::Ready(ready);
        }
    }

    /// Sends what goes; whether nothing is left.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        let left = |output: &VecDeque<OutPart>| (output.len(), output.front().map(OutPart::len));
        let before = left(&self.output);
        if before.0 == 0 {
            return Ok(true);
        }
        let done = self.connection.writer.poll_send(cx, &mut self.output)?.is_ready();
        if left(&self.output) != before {
            self.stalled_since = self.now;
            self.last_active = self.now;
        }
        Ok(done)
    }

    /// Reads what has arrived; whether that was anything.
    ///
    /// Goes on while requests wait: to notice that the client has gone, and to have the next
    /// request ready. No more than one whole frame is read ahead.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        if self.at_end || self.stopping || self.closing.is_some() {
            return Ok(false);
        }
        let missing = match self.front() {
            Front::Whole(_) | Front::Invalid(_) => return Ok(false),
            Front::Nothing | Front::Prefix => 0,
            Front::Part(len) => len - self.input.len(),
        };
        if missing > BUFFER_LEN && self.host.budget().poll_room(cx, &mut self.account).is_pending()
        {
            self.was_starved = true;
            return Ok(false);
        }
        self.make_room(missing);
        match self.connection.reader.poll_read(cx, &mut self.input) {
            Poll::Pending => {
                self.put_aside();
                Ok(false)
            }
            Poll::Ready(Ok(0)) => {
                self.at_end = true;
                Ok(true)
            }
            Poll::Ready(Ok(_)) => {
                self.now = self.host.env().clock.now();
                (self.last_read, self.last_active) = (self.now, self.now);
                if let Front::Part(len) = self.front() {
                    self.charge(len);
                }
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error.into()),
        }
    }

    /// Charges what is there of a frame of `len` bytes, if it is a large one.
    fn charge(&mut self, len: usize) {
        let there = if len > BUFFER_LEN { self.input.len().min(len) } else { 0 };
        if there > self.charged {
            self.host.budget().take(&mut self.account, there - self.charged);
            self.charged = there;
        }
    }

    /// Makes room to read the `missing` bytes of a frame, or whatever comes: as much as the frame
    /// has filled already, or as the connection has filled before.
    fn make_room(&mut self, missing: usize) {
        let filled = self.input.len();
        let spare = self.input.capacity() - filled;
        if spare >= READ_LEN_MIN || (missing > 0 && spare >= missing) {
            return;
        }
        if filled == 0 {
            buffers::give_back(std::mem::take(&mut self.input));
            self.input = buffers::borrow();
            return;
        }
        if filled <= ASIDE_LEN_MAX {
            let mut buffer = buffers::borrow();
            buffer.extend_from_slice(&self.input);
            buffers::give_back(std::mem::replace(&mut self.input, buffer));
            return;
        }
        let trusted = filled.max(self.longest.min(TRUSTED_LEN_MAX)).max(BUFFER_LEN);
        self.input.reserve(missing.clamp(READ_LEN_MIN, trusted));
    }

    /// Gives the buffer back while nothing comes, if hardly anything is in it.
    fn put_aside(&mut self) {
        if self.input.len() <= ASIDE_LEN_MAX && self.input.capacity() > ASIDE_LEN_MAX {
            let mut aside = BytesMut::new();
            aside.extend_from_slice(&self.input);
            buffers::give_back(std::mem::replace(&mut self.input, aside));
        }
    }

    /// Looks at the deadlines, and sees to it that this is polled at the next.
    ///
    /// The timer is not set anew for every request: it goes off at least every
    /// [`FRAME_DEADLINE`], which no deadline that begins later can precede.
    fn check_deadlines(&mut self, cx: &mut Context<'_>) -> Result<Option<Ended>, Closed> {
        let max_idle = self.host.config().connections_max_idle;
        loop {
            if let Some(timer) = &mut self.timer {
                if timer.as_mut().poll(cx).is_pending() {
                    return Ok(None);
                }
                self.timer = None;
                self.now = self.host.env().clock.now();
            }
            let part = self.part_since.map(|since| since + FRAME_DEADLINE);
            let send = (!self.output.is_empty()).then(|| self.stalled_since + SEND_DEADLINE);
            let idle = self.is_quiet().then(|| self.last_active + max_idle);
            let has_passed = |deadline: Option<Mono>| deadline.is_some_and(|at| at <= self.now);
            if has_passed(send) {
                return Err(Closed::NotReading);
            }
            if has_passed(part) {
                let limit = self.host.config().queued_max_request_bytes;
                return Err(if self.was_starved {
                    Closed::NoRoom { limit }
                } else {
                    Closed::HalfSent
                });
            }
            if has_passed(idle) {
                return Ok(Some(Ended::Idle));
            }
            let tick = self.now + FRAME_DEADLINE.min(max_idle);
            let next = [part, send, idle].into_iter().flatten().fold(tick, Mono::min);
            self.timer = Some(self.host.env().clock.sleep_until(next));
        }
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
