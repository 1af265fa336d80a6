//! A network in memory: streams with latency that can be cut, reset, or fall silent.
//!
//! One mutex holds it all. A connection is two ends and two pipes; a pipe has room for a socket
//! buffer's worth of bytes, each piece of which arrives at a moment that the seed chose, in order.
//! A cut link holds back what is under way, as TCP does, until it heals. A process that is killed
//! leaves a machine that closes its connections; a machine without power answers nothing, until it
//! is up again and resets connections that it has never heard of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;
use tokio::time::Sleep;

use super::clock::WorldClock;
use super::rng::Rng;
use super::trace::Trace;
use crate::env::net::{
    Accepted, Connection, IoFuture, Listener, Net, OutPart, ReadHalf, WriteHalf,
};
use crate::types::Mono;

/// Bytes that one direction holds between the writer and the reader.
const PIPE_LEN_MAX: usize = 256 * 1024;
/// Bytes that travel as one piece.
const SEGMENT_LEN_MAX: usize = 64 * 1024;
/// How long a connect waits for an answer, and how often it asks.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_RETRY: Duration = Duration::from_secs(1);
/// The first port that is given to those who do not care.
const FREE_PORT_FIRST: u16 = 32768;

/// A machine's number in the network.
pub(super) type HostId = u8;
/// A process's number in the world. Never used twice.
pub(super) type ProcessId = u64;
type ConnectionId = u64;
/// 0 connected, 1 accepted.
type Side = usize;

/// The network of a world.
pub(super) struct Network {
    clock: WorldClock,
    trace: Arc<Trace>,
    state: Mutex<NetState>,
}

struct NetState {
    rng: Rng,
    latency_ms_max: u64,
    hosts: Vec<SimHost>,
    listeners: BTreeMap<(HostId, u16), Queue>,
    connections: BTreeMap<ConnectionId, Stream>,
    next_connection: ConnectionId,
    next_port: u16,
    /// Directions in which nothing gets through.
    cuts: BTreeSet<(HostId, HostId)>,
}

struct SimHost {
    name: String,
    powered: bool,
    /// So many accepts still fail for want of descriptors.
    failing_accepts: u64,
}

/// What a listener has not accepted yet.
struct Queue {
    process: ProcessId,
    waiting: VecDeque<ConnectionId>,
    waker: Option<Waker>,
}

struct Stream {
    ends: [SocketEnd; 2],
    /// What the end of the same number sends.
    pipes: [Pipe; 2],
}

struct SocketEnd {
    host: HostId,
    process: ProcessId,
    address: SocketAddr,
    life: Life,
    reads: bool,
    writes: bool,
    /// When it learns that the connection is no more.
    reset: Option<Mono>,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    Closed,
    /// Its machine lost its power.
    Silent,
}

#[derive(Default)]
struct Pipe {
    segments: VecDeque<(Mono, Bytes)>,
    buffered: usize,
    last: Mono,
    /// When the reader learns that nothing more will come.
    end: Option<Mono>,
}

impl Network {
    pub(super) fn new(clock: WorldClock, trace: Arc<Trace>, rng: Rng) -> Arc<Self> {
        let state = NetState {
            rng,
            latency_ms_max: 1,
            hosts: Vec::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
            next_port: FREE_PORT_FIRST,
            cuts: BTreeSet::new(),
        };
        Arc::new(Self { clock, trace, state: Mutex::new(state) })
    }

    pub(super) fn add_host(&self, name: &str) -> HostId {
        let mut state = self.state.lock();
        let id = HostId::try_from(state.hosts.len()).expect("a world has at most 256 machines");
        state.hosts.push(SimHost { name: name.to_owned(), powered: true, failing_accepts: 0 });
        id
    }

    pub(super) fn set_latency(&self, milliseconds_max: u64) {
        self.state.lock().latency_ms_max = milliseconds_max;
    }

    pub(super) fn fail_accepts(&self, host: HostId, count: u64) {
        self.state.lock().hosts[usize::from(host)].failing_accepts = count;
    }

    /// From now on nothing gets from one host to the other.
    pub(super) fn cut(&self, from: HostId, to: HostId) {
        self.trace.note(format_args!("net cut {from} -> {to}"));
        self.state.lock().cuts.insert((from, to));
    }

    pub(super) fn heal(&self, from: HostId, to: HostId) {
        self.trace.note(format_args!("net heal {from} -> {to}"));
        let mut state = self.state.lock();
        if state.cuts.remove(&(from, to)) {
            state.connections.values_mut().for_each(Stream::wake_all);
        }
    }

    pub(super) fn heal_all(&self) {
        self.trace.note(format_args!("net heal all"));
        let mut state = self.state.lock();
        state.cuts.clear();
        state.connections.values_mut().for_each(Stream::wake_all);
    }

    /// Breaks every connection between two hosts; both ends learn it at once.
    pub(super) fn reset(&self, a: HostId, b: HostId) {
        let now = self.clock.now();
        self.trace.note(format_args!("net reset {a} {b}"));
        let mut state = self.state.lock();
        for stream in state.connections.values_mut() {
            let hosts = (stream.ends[0].host, stream.ends[1].host);
            if hosts == (a, b) || hosts == (b, a) {
                for end in &mut stream.ends {
                    end.reset = Some(now);
                }
                stream.pipes.iter_mut().for_each(Pipe::clear);
                stream.wake_all();
            }
        }
    }

    /// The machine has power (again). Connections from before that still send to it are reset.
    pub(super) fn power_on(&self, host: HostId) {
        let mut state = self.state.lock();
        state.hosts[usize::from(host)].powered = true;
        let at = self.arrival(&mut state);
        for stream in state.connections.values_mut() {
            for side in 0..2 {
                let silent =
                    stream.ends[side].host == host && stream.ends[side].life == Life::Silent;
                if silent && stream.pipes[1 - side].buffered > 0 {
                    stream.learn_reset(1 - side, at);
                }
            }
        }
    }

    /// The process is no more. Its machine closes what it had open, or has lost its power too.
    pub(super) fn end_process(&self, host: HostId, process: ProcessId, power_lost: bool) {
        let mut state = self.state.lock();
        if power_lost {
            state.hosts[usize::from(host)].powered = false;
        }
        let ports: Vec<_> = state
            .listeners
            .iter()
            .filter(|(_, queue)| queue.process == process)
            .map(|(at, _)| *at)
            .collect();
        for at in ports {
            state.listeners.remove(&at);
        }
        let ids: Vec<_> = state.connections.keys().copied().collect();
        for id in ids {
            for side in 0..2 {
                let Some(stream) = state.connections.get_mut(&id) else { break };
                let end = &mut stream.ends[side];
                if end.process != process || end.life != Life::Open {
                    continue;
                }
                if power_lost {
                    (end.life, end.reads, end.writes) = (Life::Silent, false, false);
                } else {
                    self.close(&mut state, id, side);
                }
            }
        }
    }

    /// When something sent now arrives.
    fn arrival(&self, state: &mut NetState) -> Mono {
        let bound = state.latency_ms_max + 1;
        self.clock.now() + Duration::from_millis(state.rng.below(bound))
    }

    /// Closes one end: the other reads to the end, or is reset if this end left bytes unread.
    fn close(&self, state: &mut NetState, id: ConnectionId, side: Side) {
        let at = self.arrival(state);
        let Some(stream) = state.connections.get_mut(&id) else { return };
        let end = &mut stream.ends[side];
        if end.life != Life::Open {
            return;
        }
        (end.life, end.reads, end.writes) = (Life::Closed, false, false);
        let unread = stream.pipes[1 - side].buffered > 0;
        self.trace.note(format_args!("net {id}.{side} close, unread {unread}"));
        if unread {
            stream.pipes[1 - side].clear();
            stream.learn_reset(1 - side, at);
        } else {
            stream.finish(side, at);
        }
        stream.wake_all();
        if stream.ends.iter().all(|end| end.life != Life::Open) {
            state.connections.remove(&id);
        }
    }

    fn is_cut(state: &NetState, from: HostId, to: HostId) -> bool {
        state.cuts.contains(&(from, to))
    }

    /// The host that a name or address means, asked on `from`.
    fn resolve(state: &NetState, from: HostId, host: &str) -> Option<HostId> {
        if ["localhost", "127.0.0.1", "::1"].contains(&host) {
            return Some(from);
        }
        let position = match host.parse::<IpAddr>() {
            Ok(address) => {
                (0..state.hosts.len()).position(|id| address_of(id as HostId) == address)
            }
            Err(_) => state.hosts.iter().position(|known| known.name == host),
        };
        position.map(|id| id as HostId)
    }

    /// One attempt to connect: `None` when no answer comes.
    fn try_connect(
        &self,
        from: (HostId, ProcessId),
        to: HostId,
        port: u16,
    ) -> Option<io::Result<ConnectionId>> {
        let mut state = self.state.lock();
        let reachable = state.hosts[usize::from(to)].powered
            && !Self::is_cut(&state, from.0, to)
            && !Self::is_cut(&state, to, from.0);
        if !reachable {
            return None;
        }
        let local = SocketAddr::new(address_of(from.0), state.free_port(from.0));
        let id = state.next_connection;
        let Some(queue) = state.listeners.get_mut(&(to, port)) else {
            return Some(Err(Errno::CONNREFUSED.into()));
        };
        let accepting = queue.process;
        queue.waiting.push_back(id);
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        let remote = SocketAddr::new(address_of(to), port);
        let ends = [SocketEnd::new(from.0, from.1, local), SocketEnd::new(to, accepting, remote)];
        state.connections.insert(id, Stream { ends, pipes: Default::default() });
        state.next_connection += 1;
        self.trace.note(format_args!("net {id} connect {local} -> {remote}"));
        Some(Ok(id))
    }

    fn connection(self: &Arc<Self>, id: ConnectionId, side: Side) -> io::Result<Connection> {
        let state = self.state.lock();
        let stream = state.connections.get(&id).ok_or(Errno::CONNABORTED)?;
        let (local, peer) = (stream.ends[side].address, stream.ends[1 - side].address);
        let half = || Half { network: Arc::clone(self), id, side };
        let reader = Box::new(SimReader { half: half(), sleep: None });
        Ok(Connection { peer, local, reader, writer: Box::new(SimWriter { half: half() }) })
    }
}

impl NetState {
    fn free_port(&mut self, host: HostId) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(FREE_PORT_FIRST);
            if !self.listeners.contains_key(&(host, port)) {
                return port;
            }
        }
    }
}

impl SocketEnd {
    fn new(host: HostId, process: ProcessId, address: SocketAddr) -> Self {
        Self {
            host,
            process,
            address,
            life: Life::Open,
            reads: true,
            writes: true,
            reset: None,
            read_waker: None,
            write_waker: None,
        }
    }

    fn wake(&mut self) {
        self.read_waker.take().into_iter().chain(self.write_waker.take()).for_each(Waker::wake);
    }
}

impl Stream {
    fn wake_all(&mut self) {
        self.ends.iter_mut().for_each(SocketEnd::wake);
    }

    /// Tells an end at `at` that the connection is no more.
    fn learn_reset(&mut self, side: Side, at: Mono) {
        self.ends[side].reset.get_or_insert(at);
        self.ends[side].wake();
    }

    /// Nothing more will come from `side`.
    fn finish(&mut self, side: Side, at: Mono) {
        let pipe = &mut self.pipes[side];
        let at = at.max(pipe.last);
        pipe.end.get_or_insert(at);
        self.ends[1 - side].wake();
    }
}

impl Pipe {
    fn clear(&mut self) {
        self.segments.clear();
        self.buffered = 0;
    }

    fn push(&mut self, bytes: Bytes, at: Mono) {
        self.last = self.last.max(at);
        self.buffered += bytes.len();
        self.segments.push_back((self.last, bytes));
    }
}

/// The address of the machine with this number.
fn address_of(host: HostId) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, host).into()
}

/// [`Net`] of one process.
pub(super) struct SimNet {
    pub(super) network: Arc<Network>,
    pub(super) host: HostId,
    pub(super) process: ProcessId,
}

impl Net for SimNet {
    fn listen<'a>(&'a self, _host: &'a str, port: u16) -> IoFuture<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let mut state = self.network.state.lock();
            let port = if port == 0 { state.free_port(self.host) } else { port };
            let at = (self.host, port);
            if state.listeners.contains_key(&at) {
                return Err(Errno::ADDRINUSE.into());
            }
            let queue = Queue { process: self.process, waiting: VecDeque::new(), waker: None };
            state.listeners.insert(at, queue);
            self.network.trace.note(format_args!("net listen {}:{port}", self.host));
            let network = Arc::clone(&self.network);
            Ok(Box::new(SimListener { network, at, process: self.process }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> IoFuture<'a, Connection> {
        Box::pin(async move {
            let network = &self.network;
            let (to, first) = {
                let mut state = network.state.lock();
                let to = Network::resolve(&state, self.host, host).ok_or_else(|| {
                    io::Error::new(ErrorKind::NotFound, format!("no machine is called {host}"))
                })?;
                (to, network.arrival(&mut state))
            };
            let deadline = network.clock.now() + CONNECT_TIMEOUT;
            let mut next = first;
            while next <= deadline {
                network.clock.sleep_until(next).await;
                match network.try_connect((self.host, self.process), to, port) {
                    Some(connected) => return network.connection(connected?, 0),
                    None => next = next + CONNECT_RETRY,
                }
            }
            Err(Errno::TIMEDOUT.into())
        })
    }

    fn canonical_host_name(&self) -> String {
        self.network.state.lock().hosts[usize::from(self.host)].name.clone()
    }
}

struct SimListener {
    network: Arc<Network>,
    at: (HostId, u16),
    process: ProcessId,
}

impl Listener for SimListener {
    fn local_addresses(&self) -> Vec<SocketAddr> {
        vec![SocketAddr::new(address_of(self.at.0), self.at.1)]
    }

    fn accept(&mut self) -> IoFuture<'_, Box<dyn Accepted>> {
        Box::pin(std::future::poll_fn(|cx| {
            let mut state = self.network.state.lock();
            let NetState { listeners, hosts, connections, .. } = &mut *state;
            let Some(queue) = listeners.get_mut(&self.at) else {
                return Poll::Ready(Err(Errno::BADF.into()));
            };
            while let Some(id) = queue.waiting.front().copied() {
                let host = &mut hosts[usize::from(self.at.0)];
                if host.failing_accepts > 0 {
                    host.failing_accepts -= 1;
                    return Poll::Ready(Err(Errno::MFILE.into()));
                }
                queue.waiting.pop_front();
                // It may be gone again.
                if let Some(stream) = connections.get(&id) {
                    let peer = stream.ends[0].address;
                    let half = Half { network: Arc::clone(&self.network), id, side: 1 };
                    return Poll::Ready(Ok(
                        Box::new(SimIncoming { half: Some(half), peer }) as Box<_>
                    ));
                }
            }
            queue.waker = Some(cx.waker().clone());
            Poll::Pending
        }))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.network.state.lock();
        if state.listeners.get(&self.at).is_some_and(|queue| queue.process == self.process)
            && let Some(queue) = state.listeners.remove(&self.at)
        {
            for id in queue.waiting {
                self.network.close(&mut state, id, 1);
            }
        }
    }
}

/// A connection in nobody's hands. Without an `open` it is closed.
struct SimIncoming {
    half: Option<Half>,
    peer: SocketAddr,
}

impl Accepted for SimIncoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(mut self: Box<Self>) -> io::Result<Connection> {
        let Some(half) = self.half.take() else { return Err(Errno::BADF.into()) };
        half.network.connection(half.id, half.side)
    }
}

impl Drop for SimIncoming {
    fn drop(&mut self) {
        if let Some(Half { network, id, side }) = self.half.take() {
            network.close(&mut network.state.lock(), id, side);
        }
    }
}

/// One end's way to its connection.
struct Half {
    network: Arc<Network>,
    id: ConnectionId,
    side: Side,
}

impl Half {
    fn lock(&self) -> MutexGuard<'_, NetState> {
        self.network.state.lock()
    }

    /// Gives up this half; the end closes with its second one.
    fn give_up(&self, release: impl FnOnce(&mut SocketEnd)) {
        let mut state = self.lock();
        let at = self.network.arrival(&mut state);
        let Some(stream) = state.connections.get_mut(&self.id) else { return };
        let end = &mut stream.ends[self.side];
        release(end);
        let (reads, writes) = (end.reads, end.writes);
        if !reads && !writes {
            self.network.close(&mut state, self.id, self.side);
        } else if !writes {
            stream.finish(self.side, at);
        }
    }
}

struct SimReader {
    half: Half,
    /// The next moment at which something arrives.
    sleep: Option<(Mono, Pin<Box<Sleep>>)>,
}

impl SimReader {
    /// Bytes, the end of the stream, its error, or `Err(when)` to look again; `None` is "unless
    /// woken, never".
    fn receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Result<io::Result<usize>, Option<Mono>> {
        let Half { network, id, side } = &self.half;
        let now = network.clock.now();
        let mut state = network.state.lock();
        let NetState { connections, rng, cuts, .. } = &mut *state;
        let Some(stream) = connections.get_mut(id) else {
            return Ok(Err(Errno::CONNRESET.into()));
        };
        let [here, peer] = [&stream.ends[*side], &stream.ends[1 - *side]];
        let cut = cuts.contains(&(peer.host, here.host));
        let (reset, pipe) = (here.reset, &mut stream.pipes[1 - *side]);
        let arrives = pipe.segments.front().map(|(at, _)| *at).or(pipe.end).or(reset);
        match arrives {
            Some(at) if at <= now && !cut => {}
            _ => {
                stream.ends[*side].read_waker = Some(cx.waker().clone());
                return Err(arrives.filter(|_| !cut));
            }
        }
        let Some((_, bytes)) = pipe.segments.front_mut() else {
            let end = pipe.end.is_some_and(|at| at <= now);
            network.trace.note(format_args!("net {id}.{side} ends, reset {}", !end));
            return Ok(if end { Ok(0) } else { Err(Errno::CONNRESET.into()) });
        };
        let spare = buffer.capacity() - buffer.len();
        assert!(spare > 0, "whoever reads has reserved room");
        let mut count = bytes.len().min(spare);
        if rng.one_in(8) {
            count = count.min(1 + rng.below(count as u64) as usize); // TCP keeps no boundaries.
        }
        let piece = bytes.split_to(count);
        buffer.extend_from_slice(&piece);
        if bytes.is_empty() {
            pipe.segments.pop_front();
        }
        pipe.buffered -= count;
        if let Some(waker) = stream.ends[1 - *side].write_waker.take() {
            waker.wake();
        }
        network.trace.note(format_args!("net {id}.{side} receive {count}"));
        Ok(Ok(count))
    }
}

impl ReadHalf for SimReader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        loop {
            let at = match self.receive(cx, buffer) {
                Ok(result) => {
                    self.sleep = None;
                    return Poll::Ready(result);
                }
                Err(None) => return Poll::Pending,
                Err(Some(at)) => at,
            };
            if self.sleep.as_ref().is_none_or(|(armed, _)| *armed != at) {
                self.sleep = Some((at, Box::pin(self.half.network.clock.sleep_until(at))));
            }
            let Some((_, sleep)) = &mut self.sleep else { return Poll::Pending };
            std::task::ready!(sleep.as_mut().poll(cx));
            // The clock ticks in milliseconds and rounds up: it is past `at` now.
        }
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Half { network, id, side } = &self.half;
        let at = {
            let mut state = network.state.lock();
            let Some(stream) = state.connections.get_mut(id) else { return Poll::Ready(()) };
            let end = &mut stream.ends[*side];
            match end.reset {
                Some(at) if at <= network.clock.now() => return Poll::Ready(()),
                reset => {
                    end.read_waker = Some(cx.waker().clone());
                    reset
                }
            }
        };
        let Some(at) = at else { return Poll::Pending };
        let sleep = self.sleep.insert((at, Box::pin(network.clock.sleep_until(at))));
        sleep.1.as_mut().poll(cx)
    }
}

impl Drop for SimReader {
    fn drop(&mut self) {
        self.half.give_up(|end| end.reads = false);
    }
}

struct SimWriter {
    half: Half,
}

impl WriteHalf for SimWriter {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        parts: &mut VecDeque<OutPart>,
    ) -> Poll<io::Result<()>> {
        let Half { network, id, side } = &self.half;
        let mut state = self.half.lock();
        while !parts.is_empty() {
            let at = network.arrival(&mut state);
            let NetState { connections, hosts, .. } = &mut *state;
            let Some(stream) = connections.get_mut(id) else {
                return Poll::Ready(Err(Errno::PIPE.into()));
            };
            let [here, peer] = [&stream.ends[*side], &stream.ends[1 - *side]];
            let broken = here.reset.is_some_and(|at| at <= network.clock.now());
            if broken || !here.writes {
                return Poll::Ready(Err(Errno::PIPE.into()));
            }
            let unheard = match peer.life {
                Life::Open => false,
                Life::Closed => true,
                Life::Silent => hosts[usize::from(peer.host)].powered,
            };
            let room = PIPE_LEN_MAX - stream.pipes[*side].buffered;
            if room == 0 && !unheard {
                stream.ends[*side].write_waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let bytes = match take(parts, room.clamp(1, SEGMENT_LEN_MAX)) {
                Ok(bytes) => bytes,
                Err(error) => return Poll::Ready(Err(error)),
            };
            let (len, crc) = (bytes.len(), crc32c::crc32c(&bytes));
            network.trace.note(format_args!("net {id}.{side} send {len} crc {crc:08x}"));
            if unheard {
                stream.learn_reset(*side, at);
            } else {
                stream.pipes[*side].push(bytes, at);
                if let Some(waker) = stream.ends[1 - *side].read_waker.take() {
                    waker.wake();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Half { network, id, side } = &self.half;
        let mut state = self.half.lock();
        let at = network.arrival(&mut state);
        match state.connections.get_mut(id) {
            Some(stream) => {
                stream.ends[*side].writes = false;
                stream.finish(*side, at);
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(Errno::NOTCONN.into())),
        }
    }
}

impl Drop for SimWriter {
    fn drop(&mut self) {
        self.half.give_up(|end| end.writes = false);
    }
}

/// Takes up to `max` bytes from the front of `parts`; a file range is read now.
fn take(parts: &mut VecDeque<OutPart>, max: usize) -> io::Result<Bytes> {
    let Some(first) = parts.front_mut() else { return Ok(Bytes::new()) };
    let bytes = match first {
        OutPart::Bytes(bytes) => bytes.split_to(max.min(bytes.len())),
        OutPart::File { file, position, len } => {
            let mut read = vec![0; max.min(*len)];
            if file.read_at(&mut read, *position)? < read.len() {
                let short = ErrorKind::UnexpectedEof;
                return Err(io::Error::new(short, "the file is shorter than said"));
            }
            *position += read.len() as u64;
            *len -= read.len();
            Bytes::from(read)
        }
    };
    if first.is_empty() {
        parts.pop_front();
    }
    Ok(bytes)
}
