//! The task that owns the connection of a client.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::dial::{self, Security};
use super::error::{ConnectError, LostReason, UnsentReason};
use super::pipeline::{Pipeline, PipelinedCall};
use super::versions::NodeVersions;
use crate::env::clock::Sleep;
use crate::env::{Connection, Env, OutPart};
use crate::types::Mono;

/// Room for the next read. A long response gets as much again as has arrived of it.
const READ_LEN: usize = 16 * 1024;
/// Responses up to this length are copied out of the buffer, so that strings and records that are
/// kept do not keep all of it.
const COPIED_LEN_MAX: usize = 4 * 1024;

/// What callers ask of the driver.
pub(super) enum DriverCommand {
    /// To send a request.
    Call(Box<dyn PipelinedCall>),
    /// To close, and to report it.
    Close(oneshot::Sender<()>),
}

/// See the module.
pub(super) struct Driver {
    env: Env,
    shared: Arc<Shared>,
    security: Arc<dyn Security>,
    commands: mpsc::Receiver<DriverCommand>,
    pipeline: Pipeline,
    /// Attempts to connect that have failed in a row.
    failures: u32,
    /// No attempt to connect before this time.
    not_before: Mono,
    /// Whether no more calls are accepted.
    closing: bool,
    /// Those who wait for the end.
    closers: Vec<oneshot::Sender<()>>,
}

/// Why a connection ended.
enum ConnectionEnd {
    /// Nothing was in flight.
    Idle,
    /// Requests may be lost.
    Lost(LostReason),
}

impl Driver {
    pub(super) fn new(
        env: Env,
        shared: Arc<Shared>,
        security: Arc<dyn Security>,
        commands: mpsc::Receiver<DriverCommand>,
        pipeline: Pipeline,
    ) -> Self {
        let not_before = env.clock.now();
        let closers = Vec::new();
        Self {
            env,
            shared,
            security,
            commands,
            pipeline,
            failures: 0,
            not_before,
            closing: false,
            closers,
        }
    }

    /// Runs until the client is closed or dropped.
    pub(super) async fn run(mut self) {
        while !self.closing {
            if self.pipeline.is_empty() {
                let command = self.commands.recv().await;
                self.accept(command);
                continue;
            }
            let clock = Arc::clone(&self.env.clock);
            if clock.now() < self.not_before {
                let pause = clock.sleep_until(self.not_before);
                if self.meanwhile(pause).await.is_none() {
                    continue;
                }
            }
            match self.connect().await {
                Ok((connection, versions)) => self.serve(connection, versions).await,
                Err(error) => {
                    tracing::debug!(node = %self.shared.node, %error, "cannot connect");
                    self.back_off();
                    self.pipeline.connect_failed(&error);
                }
            }
        }
        // Whatever is still in the channel came after the last moment.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.accept(Some(command));
        }
        self.pipeline.fail_queued(&UnsentReason::Closed);
        for closer in self.closers.drain(..) {
            let _ = closer.send(()); // The caller may have given up.
        }
    }

    /// Takes a command; `None` once all clients are dropped.
    fn accept(&mut self, command: Option<DriverCommand>) {
        match command {
            Some(DriverCommand::Call(call)) if !self.closing => self.pipeline.enqueue(call),
            Some(DriverCommand::Call(call)) => {
                self.pipeline.enqueue(call);
                self.pipeline.fail_queued(&UnsentReason::Closed);
            }
            Some(DriverCommand::Close(closer)) => {
                self.closing = true;
                self.closers.push(closer);
                self.pipeline.fail_queued(&UnsentReason::Closed);
            }
            None => {
                self.closing = true;
                self.pipeline.fail_queued(&UnsentReason::Closed);
            }
        }
    }

    /// Waits, taking commands and failing calls whose deadline passes. `None` once there is no
    /// call left to wait for.
    async fn meanwhile<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = pin!(wait);
        let clock = Arc::clone(&self.env.clock);
        while let Some(deadline) = self.pipeline.next_deadline() {
            tokio::select! {
                biased;
                output = &mut wait => return Some(output),
                command = self.commands.recv() => self.accept(command),
                () = clock.sleep_until(deadline) => {
                    self.pipeline.expire(clock.now());
                }
            }
        }
        None
    }

    /// One attempt to connect.
    async fn connect(&mut self) -> Result<(Connection, NodeVersions), ConnectError> {
        let (env, shared) = (self.env.clone(), Arc::clone(&self.shared));
        let security = Arc::clone(&self.security);
        let random = env.random.next_u64();
        let timeout = shared.settings.setup_timeout.after(self.failures, random);
        let too_late = env.clock.sleep_until(env.clock.now() + timeout);
        let attempt = async move {
            tokio::select! {
                biased;
                connected = dial::dial(&env, &shared.node, &shared.settings, &*security) => connected,
                () = too_late => Err(ConnectError::Timeout(timeout)),
            }
        };
        // An attempt that outlasts the patience of all callers has failed too.
        self.meanwhile(attempt).await.unwrap_or(Err(ConnectError::Timeout(timeout)))
    }

    /// Sets the time of the next attempt to connect.
    fn back_off(&mut self) {
        let random = self.env.random.next_u64();
        let pause = self.shared.settings.reconnect_backoff.after(self.failures, random);
        self.not_before = self.env.clock.now() + pause;
        self.failures = self.failures.saturating_add(1);
    }

    /// Sends and receives until the connection ends.
    async fn serve(&mut self, connection: Connection, versions: NodeVersions) {
        self.failures = 0;
        let versions = Arc::new(versions);
        *self.shared.versions.lock() = Some(Arc::clone(&versions));
        let mut live = Live {
            connection,
            versions,
            out: VecDeque::new(),
            received: BytesMut::new(),
            timer: None,
            last_use: self.env.clock.now(),
        };
        let end = poll_fn(|cx| live.poll(cx, self)).await;
        *self.shared.versions.lock() = None;
        match end {
            ConnectionEnd::Idle => {
                let _ = poll_fn(|cx| live.connection.writer.poll_shutdown(cx)).await;
            }
            ConnectionEnd::Lost(reason) => {
                tracing::debug!(node = %self.shared.node, %reason, "connection lost");
                self.back_off();
                self.failures = 0;
                self.pipeline.connection_lost(&reason, self.env.clock.now());
            }
        }
    }
}

/// A connection that is ready.
struct Live {
    connection: Connection,
    versions: Arc<NodeVersions>,
    /// Frames on their way into the socket.
    out: VecDeque<OutPart>,
    received: BytesMut,
    /// Wakes the task at or before the next deadline.
    timer: Option<(Mono, Sleep)>,
    /// When the last response came or the last request was sent.
    last_use: Mono,
}

impl Live {
    fn poll(&mut self, cx: &mut Context<'_>, driver: &mut Driver) -> Poll<ConnectionEnd> {
        loop {
            let now = driver.env.clock.now();
            if driver.pipeline.expire(now) {
                return Poll::Ready(ConnectionEnd::Lost(LostReason::DeadlinePassed));
            }
            while !driver.closing
                && let Poll::Ready(command) = driver.commands.poll_recv(cx)
            {
                driver.accept(command);
            }
            // First, so that no request is written into a connection that the peer has closed.
            match self.receive(cx, driver, now) {
                Ok(true) => {}
                Ok(false) if driver.pipeline.is_empty() => return Poll::Ready(ConnectionEnd::Idle),
                Ok(false) => return Poll::Ready(ConnectionEnd::Lost(LostReason::ClosedByPeer)),
                Err(reason) => return Poll::Ready(ConnectionEnd::Lost(reason)),
            }
            if let Err(reason) = self.send(cx, driver, now) {
                return Poll::Ready(ConnectionEnd::Lost(reason));
            }
            let idle_at = self.last_use + driver.shared.settings.idle_max;
            if driver.pipeline.is_empty() && (driver.closing || idle_at <= now) {
                return Poll::Ready(ConnectionEnd::Idle);
            }
            if !self.arm(cx, driver, driver.pipeline.next_deadline().unwrap_or(idle_at)) {
                return Poll::Pending;
            }
        }
    }

    /// Hands requests to the socket for as long as it takes them.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        driver: &mut Driver,
        now: Mono,
    ) -> Result<(), LostReason> {
        loop {
            while let Some(frame) = driver.pipeline.next_frame(&self.versions) {
                self.last_use = now;
                self.out.push_back(OutPart::Bytes(frame));
            }
            if self.out.is_empty() {
                return Ok(());
            }
            let before = self.unsent();
            let sent = self.connection.writer.poll_send(cx, &mut self.out);
            driver.pipeline.record_sent(before - self.unsent());
            match sent {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(LostReason::Io(error.to_string())),
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn unsent(&self) -> u64 {
        self.out.iter().map(|part| part.len() as u64).sum()
    }

    /// Completes calls with what has arrived. `false` at the end of the stream.
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        driver: &mut Driver,
        now: Mono,
    ) -> Result<bool, LostReason> {
        loop {
            while let Some(frame) = self.next_frame(driver.shared.settings.response_len_max)? {
                self.last_use = now;
                driver.pipeline.answer(frame)?;
            }
            self.received.reserve(READ_LEN.max(self.received.len()));
            match self.connection.reader.poll_read(cx, &mut self.received) {
                Poll::Ready(Ok(0)) => return Ok(false),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(LostReason::Io(error.to_string())),
                Poll::Pending => return Ok(true),
            }
        }
    }

    /// The next whole frame, without its length.
    fn next_frame(&mut self, len_max: usize) -> Result<Option<Bytes>, LostReason> {
        let Some(prefix) = self.received.first_chunk::<4>() else { return Ok(None) };
        let claimed = i32::from_be_bytes(*prefix);
        let len = usize::try_from(claimed).ok().filter(|len| *len <= len_max).ok_or_else(|| {
            LostReason::Violation(format!("a response of {claimed} bytes, at most {len_max} fit"))
        })?;
        if self.received.len() < 4 + len {
            return Ok(None);
        }
        self.received.advance(4);
        let frame = self.received.split_to(len);
        let is_small = len <= COPIED_LEN_MAX;
        Ok(Some(if is_small { Bytes::copy_from_slice(&frame) } else { frame.freeze() }))
    }

    /// Makes the task wake at `deadline`; whether it has passed already.
    fn arm(&mut self, cx: &mut Context<'_>, driver: &Driver, deadline: Mono) -> bool {
        // A timer that fires too early costs less than a new one for every request.
        if self.timer.as_ref().is_none_or(|(armed, _)| *armed > deadline) {
            self.timer = Some((deadline, driver.env.clock.sleep_until(deadline)));
        }
        let fired =
            self.timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
        if fired {
            self.timer = None;
        }
        fired
    }
}
