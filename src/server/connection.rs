//! The life of a connection: frames in, replies out, in order.
//!
//! One task on one worker. It reads what has arrived, runs every request that may run, collects
//! the replies that are there in the order of their requests, and sends them together. Requests
//! run one at a time, as in Kafka, but for those whose API is pipelined (Produce): they begin in
//! order, their waits overlap.
//!
//! A frame owns no memory that it has not filled: its buffer grows as its bytes arrive, whatever
//! its length claims; an idle connection has no buffer.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::apis::{self, Order};
use super::context::{Handled, ListenerInfo, Reply, RequestContext, Services};
use crate::env::clock::Sleep;
use crate::env::{Connection, OutPart};
use crate::protocol::RequestHeader;
use crate::types::Mono;

/// The first buffer of a connection, and what it grows by at least.
const BUFFER_LEN: usize = 64 * 1024;
/// A frame that was begun must be whole by then.
const FRAME_DEADLINE: Duration = Duration::from_secs(60);
/// A client that takes nothing of what is sent to it for so long is gone.
const SEND_DEADLINE: Duration = Duration::from_secs(60);
/// A connection that was silent for so long gives its buffer back.
const BUFFER_IDLE: Duration = Duration::from_secs(5);
/// Pipelined requests of one connection that may wait at once.
const WAITING_MAX: usize = 64;
/// Bytes of requests of one connection that may wait at once, beyond the last.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a connection ended, other than by its client.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    #[error("a frame of {len} bytes, socket.request.max.bytes is {max}")]
    FrameTooLong { len: i64, max: usize },
    #[error("{0}")]
    Refused(String),
    #[error("a request was begun and not finished within {} s", FRAME_DEADLINE.as_secs())]
    HalfSent,
    #[error("the client takes no responses")]
    NotReading,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How a connection went on without fault.
pub(super) enum Ended {
    ByClient,
    Idle,
    Stopped,
}

struct Waiting {
    reply: Pending,
    /// Bytes of the request, given back when it is answered.
    bytes: usize,
}

enum Pending {
    Ready(Reply),
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

pub(super) struct Session {
    connection: Connection,
    listener: Arc<ListenerInfo>,
    broker: Arc<Services>,
    client_id: Arc<str>,
    input: BytesMut,
    /// The length of the frame that is being received.
    frame_len: Option<usize>,
    frame_since: Mono,
    /// The longest frame that was received whole: the next may get a buffer like it.
    honest_len: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// The last request that was begun lets no other begin before it is answered.
    exclusive: bool,
    output: VecDeque<OutPart>,
    sending_since: Mono,
    last_active: Mono,
    /// Bytes of the input that the budget counts.
    charged: usize,
    at_end: bool,
    timer: Option<Sleep>,
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        listener: Arc<ListenerInfo>,
        broker: Arc<Services>,
    ) -> Self {
        let now = broker.env.clock.now();
        Self {
            connection,
            listener,
            broker,
            client_id: "".into(),
            input: BytesMut::new(),
            frame_len: None,
            frame_since: now,
            honest_len: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            exclusive: false,
            output: VecDeque::new(),
            sending_since: now,
            last_active: now,
            charged: 0,
            at_end: false,
            timer: None,
        }
    }

    /// Runs until the connection ends. Whatever is unanswered then is dropped.
    pub(super) async fn run(mut self) -> Result<Ended, Closed> {
        let stopping = Arc::clone(&self.broker.stopping);
        let mut stopped = Box::pin(stopping.wait());
        let result = poll_fn(|cx| self.poll(cx, stopped.as_mut())).await;
        self.broker.budget.give(self.charged + self.waiting_bytes);
        let _ = poll_fn(|cx| self.connection.writer.poll_shutdown(cx)).await;
        result
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stopped: Pin<&mut (impl Future<Output = ()> + ?Sized)>,
    ) -> Poll<Result<Ended, Closed>> {
        let stopping = stopped.poll(cx).is_ready();
        loop {
            if !stopping {
                self.begin_requests()?;
            }
            self.collect_replies(cx)?;
            let sent = self.send(cx)?;
            let idle = self.waiting.is_empty() && self.output.is_empty();
            if idle && stopping {
                return Poll::Ready(Ok(Ended::Stopped));
            }
            if idle && self.at_end {
                return Poll::Ready(Ok(Ended::ByClient));
            }
            // A reply that is gone may let the next request begin.
            if sent && !stopping && self.may_begin() && self.has_whole_frame() {
                continue;
            }
            if !stopping && self.receive(cx)? {
                continue;
            }
            return match self.check_deadlines(cx) {
                Ok(None) => Poll::Pending,
                Ok(Some(ended)) => Poll::Ready(Ok(ended)),
                Err(closed) => Poll::Ready(Err(closed)),
            };
        }
    }

    fn may_begin(&self) -> bool {
        !self.exclusive
            && self.waiting.len() < WAITING_MAX
            && self.waiting_bytes < WAITING_BYTES_MAX
    }

    fn has_whole_frame(&self) -> bool {
        let len = match (self.frame_len, self.input.first_chunk::<4>()) {
            (Some(len), _) => return self.input.len() >= len,
            (None, Some(len)) => i32::from_be_bytes(*len),
            (None, None) => return false,
        };
        usize::try_from(len).is_ok_and(|len| self.input.len() - 4 >= len)
    }

    /// Begins every request that is whole and may begin.
    fn begin_requests(&mut self) -> Result<(), Closed> {
        while self.may_begin() {
            let max = self.broker.config.socket_request_max_bytes;
            let len = match (self.frame_len, self.input.first_chunk::<4>()) {
                (Some(len), _) => len,
                (None, Some(bytes)) => {
                    let len = i32::from_be_bytes(*bytes);
                    let valid = usize::try_from(len).ok().filter(|len| *len <= max);
                    let Some(valid) = valid else {
                        return Err(Closed::FrameTooLong { len: i64::from(len), max });
                    };
                    self.input.advance(4);
                    self.broker.budget.give(4.min(self.charged));
                    self.charged -= 4.min(self.charged);
                    self.frame_len = Some(valid);
                    self.frame_since = self.broker.env.clock.now();
                    valid
                }
                (None, None) => return Ok(()),
            };
            if self.input.len() < len {
                return Ok(());
            }
            let frame = self.input.split_to(len);
            self.frame_len = None;
            self.honest_len = self.honest_len.max(len);
            // What was charged as input is charged as a request from now on.
            self.charged -= len.min(self.charged);
            self.begin(frame)?;
        }
        Ok(())
    }

    fn begin(&mut self, mut frame: BytesMut) -> Result<(), Closed> {
        let bytes = frame.len();
        let header = RequestHeader::read(&frame).map_err(|e| Closed::Refused(e.to_string()))?;
        let (api, version, correlation_id) = (header.api, header.version, header.correlation_id);
        let client_id = header.client_id.unwrap_or_default();
        if *self.client_id != *client_id {
            self.client_id = client_id.into();
        }
        let entry = apis::find(api.key, self.listener.is_controller).ok_or_else(|| {
            Closed::Refused(format!(
                "{} is not served on listener {}",
                api.name, self.listener.name
            ))
        })?;
        let body_at = header.len;
        let context = RequestContext {
            image: self.broker.image.load_full(),
            broker: Arc::clone(&self.broker),
            listener: Arc::clone(&self.listener),
            peer: self.connection.peer,
            api,
            version,
            correlation_id,
            client_id: Arc::clone(&self.client_id),
            received_at: self.broker.env.clock.now(),
        };
        let handled = if (entry.min_version..=entry.max_version).contains(&version) {
            frame.advance(body_at);
            (entry.handler)(context, frame)
        } else if api.key == crate::protocol::key::ApiVersions {
            Handled::Now(super::api::api_versions::unsupported(&context))
        } else {
            return Err(Closed::Refused(format!(
                "{} version {version} is not supported, versions {} to {} are",
                api.name, entry.min_version, entry.max_version
            )));
        };
        self.waiting_bytes += bytes;
        let reply = match handled {
            Handled::Now(reply) => Pending::Ready(reply),
            Handled::Later(later) => {
                self.exclusive = entry.order == Order::OneAtATime;
                Pending::Later(later)
            }
        };
        self.waiting.push_back(Waiting { reply, bytes });
        Ok(())
    }

    /// Lets all waits go on, and moves the replies at the front that are there to the output.
    fn collect_replies(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        for waiting in &mut self.waiting {
            if let Pending::Later(later) = &mut waiting.reply
                && let Poll::Ready(reply) = later.as_mut().poll(cx)
            {
                waiting.reply = Pending::Ready(reply);
            }
        }
        while let Some(Waiting { reply: Pending::Ready(_), .. }) = self.waiting.front() {
            let Some(Waiting { reply: Pending::Ready(reply), bytes }) = self.waiting.pop_front()
            else {
                break;
            };
            self.waiting_bytes -= bytes;
            self.broker.budget.give(bytes);
            self.exclusive = self.exclusive && !self.waiting.is_empty();
            match reply {
                Reply::Send(response) => {
                    if self.output.is_empty() {
                        self.sending_since = self.broker.env.clock.now();
                    }
                    self.output.extend(response.parts);
                }
                Reply::Nothing => {}
                Reply::Close(why) => return Err(Closed::Refused(why)),
            }
        }
        Ok(())
    }

    /// Sends what goes; whether the output is empty and was not before.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        if self.output.is_empty() {
            return Ok(true);
        }
        let before = self.output.len();
        let done = self.connection.writer.poll_send(cx, &mut self.output)?.is_ready();
        if done || self.output.len() != before {
            self.sending_since = self.broker.env.clock.now();
        }
        if done && self.output.capacity() > 64 {
            self.output = VecDeque::new();
        }
        Ok(done)
    }

    /// Reads what has arrived; whether that was anything.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        // No more than one whole request waits unread behind those that were begun.
        let blocked = !self.may_begin() && (self.has_whole_frame() || !self.output.is_empty());
        if self.at_end || blocked || self.broker.budget.poll_room(cx).is_pending() {
            return Ok(false);
        }
        self.make_room();
        match self.connection.reader.poll_read(cx, &mut self.input) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => {
                self.at_end = true;
                if self.frame_len.is_some() {
                    tracing::debug!(peer = %self.connection.peer, "closed inside a request");
                }
                Ok(true)
            }
            Poll::Ready(Ok(got)) => {
                self.charged += got;
                self.broker.budget.take(got);
                self.last_active = self.broker.env.clock.now();
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(error.into()),
        }
    }

    /// Makes room for the next read: what is missing of the frame, as far as the frame has earned
    /// it by what it has filled or the connection by what it has sent before.
    fn make_room(&mut self) {
        let filled = self.input.len();
        let missing = self.frame_len.map_or(0, |len| len.saturating_sub(filled));
        let earned = filled.max(self.honest_len).max(BUFFER_LEN);
        let wanted = if missing == 0 { BUFFER_LEN } else { missing.min(earned) };
        if self.input.capacity() - filled < wanted.min(BUFFER_LEN / 4) {
            self.input.reserve(wanted);
        }
    }

    /// Looks at the deadlines and sets the timer to the next.
    fn check_deadlines(&mut self, cx: &mut Context<'_>) -> Result<Option<Ended>, Closed> {
        loop {
            let clock = &self.broker.env.clock;
            let now = clock.now();
            if self.frame_len.is_some() && !self.exclusive && self.waiting.is_empty() {
                if now.since(self.frame_since) >= FRAME_DEADLINE {
                    return Err(Closed::HalfSent);
                }
            } else if !self.output.is_empty() && now.since(self.sending_since) >= SEND_DEADLINE {
                return Err(Closed::NotReading);
            }
            let silent = now.since(self.last_active);
            let quiet = self.waiting.is_empty() && self.output.is_empty();
            let max_idle = self.broker.config.connections_max_idle;
            if quiet && self.frame_len.is_none() && silent >= max_idle {
                return Ok(Some(Ended::Idle));
            }
            if quiet && self.input.is_empty() && silent >= BUFFER_IDLE {
                self.input = BytesMut::new();
            }
            let mut timer = match self.timer.take() {
                Some(timer) => timer,
                None => {
                    let holds_buffer = self.input.capacity() > 0;
                    let after = if silent < BUFFER_IDLE && holds_buffer {
                        BUFFER_IDLE
                    } else {
                        max_idle.saturating_sub(silent).clamp(BUFFER_IDLE, FRAME_DEADLINE)
                    };
                    clock.sleep_until(now + after)
                }
            };
            if timer.as_mut().poll(cx).is_pending() {
                self.timer = Some(timer);
                return Ok(None);
            }
        }
    }
}
