//! TCP.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustix::fs::sendfile;
use rustix::net::{SendFlags, send};
use tokio::io::Interest;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::env::net::{
    Accepted, Connection, IoFuture, Listener, Net, OutPart, ReadHalf, WriteHalf,
};

/// A file range shorter than this is copied into the vectored write: below it two system calls
/// cost more than the copy.
const SENDFILE_LEN_MIN: usize = 16 * 1024;
/// How many parts leave in one vectored write.
const PARTS_MAX: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

pub(super) struct TcpNet;

struct Tcp {
    listeners: Vec<TcpListener>,
    next: usize,
}

struct Incoming {
    stream: std::net::TcpStream,
    peer: SocketAddr,
}

struct Reader(OwnedReadHalf);

struct Writer(OwnedWriteHalf);

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds one socket for IPv4 and IPv6 alike, or for IPv4 where there is nothing else.
fn bind_any(port: u16) -> io::Result<TcpListener> {
    bind((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|_| bind(([0, 0, 0, 0], port).into()))
}

impl Net for TcpNet {
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> IoFuture<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if host.is_empty() {
                let listeners = vec![bind_any(port)?];
                return Ok(Box::new(Tcp { listeners, next: 0 }) as Box<dyn Listener>);
            }
            let mut addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
                Ok(address) => vec![(address, port).into()],
                Err(_) if host.eq_ignore_ascii_case("localhost") => {
                    vec![([127, 0, 0, 1], port).into(), (Ipv6Addr::LOCALHOST, port).into()]
                }
                Err(_) => tokio::net::lookup_host((host, port)).await?.collect(),
            };
            addresses.sort();
            addresses.dedup();
            let mut listeners: Vec<TcpListener> = Vec::new();
            let mut failed = None;
            for mut address in addresses {
                if let Some(first) = listeners.first() {
                    // Port 0 is one free port, the same on every address.
                    address.set_port(first.local_addr()?.port());
                }
                match bind(address) {
                    Ok(listener) => listeners.push(listener),
                    // A machine without IPv6 has no ::1.
                    Err(error) if address.is_ipv6() && error.kind() != io::ErrorKind::AddrInUse => {
                        failed = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            match failed {
                Some(error) if listeners.is_empty() => Err(error),
                _ if listeners.is_empty() => Err(io::Error::new(
                    io::ErrorKind::AddrNotAvailable,
                    format!("{host} has no address"),
                )),
                _ => Ok(Box::new(Tcp { listeners, next: 0 }) as Box<dyn Listener>),
            }
        })
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> IoFuture<'a, Connection> {
        Box::pin(async move { open(TcpStream::connect((host, port)).await?) })
    }

    fn canonical_host_name(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
}

impl Listener for Tcp {
    fn local_addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    fn accept(&mut self) -> IoFuture<'_, Box<dyn Accepted>> {
        Box::pin(std::future::poll_fn(move |cx| {
            for _ in 0..self.listeners.len() {
                let at = self.next % self.listeners.len();
                self.next = at + 1;
                if let Poll::Ready(accepted) = self.listeners[at].poll_accept(cx) {
                    let incoming = accepted.and_then(|(stream, peer)| {
                        Ok(Box::new(Incoming { stream: stream.into_std()?, peer })
                            as Box<dyn Accepted>)
                    });
                    return Poll::Ready(incoming);
                }
            }
            Poll::Pending
        }))
    }
}

impl Accepted for Incoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Connection> {
        open(TcpStream::from_std(self.stream)?)
    }
}

fn open(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    let (reader, writer) = stream.into_split();
    Ok(Connection {
        peer,
        local,
        reader: Box::new(Reader(reader)),
        writer: Box::new(Writer(writer)),
    })
}

impl ReadHalf for Reader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.as_ref().poll_read_ready(cx))?;
            match self.0.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl WriteHalf for Writer {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        parts: &mut VecDeque<OutPart>,
    ) -> Poll<io::Result<()>> {
        while let Some(first) = parts.front() {
            if first.is_empty() {
                parts.pop_front();
                continue;
            }
            let sent = match first {
                OutPart::File { len, .. } if *len >= SENDFILE_LEN_MIN => self.send_file(first),
                _ => {
                    load_short_ranges(parts)?;
                    self.send_bytes(parts)
                }
            };
            match sent {
                Ok(sent) => advance(parts, sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.as_ref().poll_write_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = rustix::net::shutdown(self.0.as_ref().as_fd(), rustix::net::Shutdown::Write);
        Poll::Ready(shut.map_err(io::Error::from))
    }
}

impl Writer {
    fn send_file(&self, part: &OutPart) -> io::Result<usize> {
        let OutPart::File { file, position, len } = part else { return Ok(0) };
        let Some(descriptor) = file.descriptor() else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a file without descriptor"));
        };
        let stream = self.0.as_ref();
        let mut at = *position;
        let sent = stream.try_io(Interest::WRITABLE, || {
            Ok(sendfile(stream.as_fd(), descriptor, Some(&mut at), *len)?)
        })?;
        if sent == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is shorter than said",
            ));
        }
        Ok(sent)
    }

    /// Sends the bytes at the front, up to the first range that sendfile will send.
    fn send_bytes(&self, parts: &VecDeque<OutPart>) -> io::Result<usize> {
        let stream = self.0.as_ref();
        let mut slices = [IoSlice::new(&[]); PARTS_MAX];
        let mut count = 0;
        let mut file_follows = false;
        for (part, slot) in parts.iter().zip(&mut slices) {
            let OutPart::Bytes(bytes) = part else {
                file_follows = true;
                break;
            };
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        if let (1, true) = (count, file_follows) {
            // The kernel holds the header back for the records that follow at once.
            return stream.try_io(Interest::WRITABLE, || {
                Ok(send(stream.as_fd(), &slices[0], SendFlags::MORE | SendFlags::NOSIGNAL)?)
            });
        }
        stream.try_write_vectored(&slices[..count])
    }
}

/// Reads ranges that are too short for sendfile into memory, as many as one write takes.
fn load_short_ranges(parts: &mut VecDeque<OutPart>) -> io::Result<()> {
    for part in parts.iter_mut().take(PARTS_MAX) {
        match part {
            OutPart::Bytes(_) => {}
            OutPart::File { len, .. } if *len >= SENDFILE_LEN_MIN => break,
            OutPart::File { file, position, len } => {
                let mut bytes = vec![0; *len];
                if file.read_at(&mut bytes, *position)? < *len {
                    let short = io::ErrorKind::UnexpectedEof;
                    return Err(io::Error::new(short, "the file is shorter than said"));
                }
                *part = OutPart::Bytes(Bytes::from(bytes));
            }
        }
    }
    Ok(())
}

fn advance(parts: &mut VecDeque<OutPart>, mut sent: usize) {
    while let Some(first) = parts.front_mut() {
        let here = sent.min(first.len());
        sent -= here;
        match first {
            OutPart::Bytes(bytes) => bytes.advance(here),
            OutPart::File { position, len, .. } => {
                *position += here as u64;
                *len -= here;
            }
        }
        if !first.is_empty() {
            return;
        }
        parts.pop_front();
    }
}
