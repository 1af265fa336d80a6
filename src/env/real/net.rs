//! TCP.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::optional::OptionalCall;
use crate::env::File;
use crate::env::net::{
    Accepted, Connection, IoFuture, Listener, Net, OutPart, ReadHalf, WriteHalf,
};
use crate::env::threads::poll_give_way;

/// A file range shorter than this is copied into the vectored write: below it two system calls
/// cost more than the copy.
const SENDFILE_LEN_MIN: usize = 16 * 1024;
/// How many parts leave in one vectored write.
const PARTS_MAX: usize = 64;
/// After so many bytes a sender yields to the other connections of its worker, however fast its
/// peer reads.
const SEND_LEN_MAX: usize = 2 * 1024 * 1024;
/// The most that one sendfile sends.
const SENDFILE_LEN_MAX: usize = 1024 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How much of a file is in memory at once for a connection, where there is no sendfile.
const COPY_LEN: usize = 128 * 1024;

static SENDFILE: OptionalCall =
    OptionalCall::new("sendfile", "records are read and written, which costs a copy");
static REUSE_ADDRESS: OptionalCall = OptionalCall::new(
    "setsockopt SO_REUSEADDR",
    "a port cannot be bound again for a minute after connections on it were open",
);
static NO_DELAY: OptionalCall =
    OptionalCall::new("setsockopt TCP_NODELAY", "small answers may be delayed by 40 ms");

pub(super) struct TcpNet;

struct Tcp {
    listeners: Vec<TcpListener>,
    next: usize,
}

struct TcpIncoming {
    stream: std::net::TcpStream,
    peer: SocketAddr,
}

struct TcpReader {
    stream: Arc<TcpStream>,
    /// Waits for an error of the socket; made when it is first asked for.
    reset: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

struct TcpWriter(Arc<TcpStream>);

/// Goes on where an option of a socket cannot be set.
fn without(call: &OptionalCall, result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if Errno::from_io_error(&error).is_some_and(|e| call.is_refused(e)) => Ok(()),
        result => result,
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    without(&REUSE_ADDRESS, socket.set_reuseaddr(true))?;
    if address.is_ipv6() {
        // The wildcard takes IPv4 too, whatever the system's default is.
        set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds one socket for IPv4 and IPv6 alike, or for IPv4 where there is nothing else.
fn bind_any(port: u16) -> io::Result<TcpListener> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => bind(([0, 0, 0, 0], port).into()),
        bound => bound,
    }
}

impl Net for TcpNet {
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> IoFuture<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            // As Java does it, the wildcard of IPv4 is that of IPv6 too.
            if host.is_empty() || host.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
            {
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
                        Ok(Box::new(TcpIncoming { stream: stream.into_std()?, peer })
                            as Box<dyn Accepted>)
                    });
                    return Poll::Ready(incoming);
                }
            }
            Poll::Pending
        }))
    }
}

impl Accepted for TcpIncoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Connection> {
        open(TcpStream::from_std(self.stream)?)
    }
}

fn open(stream: TcpStream) -> io::Result<Connection> {
    without(&NO_DELAY, stream.set_nodelay(true))?;
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    let stream = Arc::new(stream);
    Ok(Connection {
        peer,
        local,
        reader: Box::new(TcpReader { stream: Arc::clone(&stream), reset: None }),
        writer: Box::new(TcpWriter(stream)),
    })
}

impl ReadHalf for TcpReader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let reset = self.reset.get_or_insert_with(|| {
            let stream = Arc::clone(&self.stream);
            Box::pin(async move { drop(stream.ready(Interest::ERROR).await) })
        });
        reset.as_mut().poll(cx)
    }
}

impl WriteHalf for TcpWriter {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        parts: &mut VecDeque<OutPart>,
    ) -> Poll<io::Result<()>> {
        let mut total = 0;
        while let Some(first) = parts.front() {
            if total >= SEND_LEN_MAX {
                poll_give_way(cx);
                return Poll::Pending;
            }
            if first.is_empty() {
                parts.pop_front();
                continue;
            }
            let sent = match first {
                OutPart::File { len, .. } if *len >= SENDFILE_LEN_MIN => {
                    match self.send_file(first) {
                        Ok(None) => {
                            load_front(parts)?;
                            self.send_bytes(parts)
                        }
                        Ok(Some(sent)) => Ok(sent),
                        Err(error) => Err(error),
                    }
                }
                _ => {
                    load_short_ranges(parts)?;
                    self.send_bytes(parts)
                }
            };
            match sent {
                Ok(sent) => {
                    total += sent;
                    advance(parts, sent);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.0.poll_write_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = rustix::net::shutdown(self.0.as_fd(), rustix::net::Shutdown::Write);
        Poll::Ready(shut.map_err(io::Error::from))
    }
}

impl TcpWriter {
    /// Sends a range of a file; how many bytes of it. `None` where sendfile is not to be had, for this
    /// file or at all.
    fn send_file(&self, part: &OutPart) -> io::Result<Option<usize>> {
        let OutPart::File { file, position, len } = part else { return Ok(None) };
        let Some(descriptor) = file.descriptor().filter(|_| SENDFILE.is_there()) else {
            return Ok(None);
        };
        let stream = &*self.0;
        let mut at = *position;
        let sent = stream.try_io(Interest::WRITABLE, || {
            match sendfile(stream.as_fd(), descriptor, Some(&mut at), (*len).min(SENDFILE_LEN_MAX))
            {
                Ok(sent) => Ok(Some(sent)),
                Err(error) if SENDFILE.is_refused(error) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        if sent == Some(0) {
            return Err(too_short());
        }
        Ok(sent)
    }

    /// Sends the bytes at the front, up to the first range that sendfile will send.
    fn send_bytes(&self, parts: &VecDeque<OutPart>) -> io::Result<usize> {
        let stream = &*self.0;
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
        let mut flags = SendFlags::NOSIGNAL;
        if file_follows {
            // The kernel holds the header back for the records that follow at once.
            flags |= SendFlags::MORE;
        }
        stream.try_io(Interest::WRITABLE, || {
            let mut nothing = SendAncillaryBuffer::default();
            Ok(sendmsg(stream.as_fd(), &slices[..count], &mut nothing, flags)?)
        })
    }
}

/// Reads ranges that are too short for sendfile into memory, as many as one write takes.
fn load_short_ranges(parts: &mut VecDeque<OutPart>) -> io::Result<()> {
    for part in parts.iter_mut().take(PARTS_MAX) {
        match part {
            OutPart::Bytes(_) => {}
            OutPart::File { len, .. } if *len >= SENDFILE_LEN_MIN => break,
            OutPart::File { file, position, len } => {
                *part = read_range(&**file, *position, *len)?;
            }
        }
    }
    Ok(())
}

/// Reads the front of the file range that comes first into memory, at most [`COPY_LEN`] bytes.
fn load_front(parts: &mut VecDeque<OutPart>) -> io::Result<()> {
    let Some(OutPart::File { file, position, len }) = parts.front_mut() else { return Ok(()) };
    let here = (*len).min(COPY_LEN);
    let loaded = read_range(&**file, *position, here)?;
    *position += here as u64;
    *len -= here;
    if *len == 0 {
        parts.pop_front();
    }
    parts.push_front(loaded);
    Ok(())
}

fn read_range(file: &dyn File, position: u64, len: usize) -> io::Result<OutPart> {
    let mut bytes = vec![0; len];
    if file.read_at(&mut bytes, position)? < len {
        return Err(too_short());
    }
    Ok(OutPart::Bytes(Bytes::from(bytes)))
}

fn too_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than the range to send")
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A file of the system, with its name already gone.
    fn file(name: &str, bytes: &[u8]) -> Arc<dyn File> {
        use crate::env::{Disk, OpenMode};
        let name = format!("blumfeld-net-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let disk = super::super::disk::OsDisk::default();
        let file = disk.open(&path, OpenMode::CreateEmpty).unwrap();
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        disk.remove_file(&path).unwrap();
        file
    }

    /// Two ends of a connection through `host`.
    async fn pair(host: &str) -> (Connection, Connection) {
        let mut listener = TcpNet.listen(host, 0).await.unwrap();
        let port = listener.local_addresses()[0].port();
        let client = TcpNet.connect("127.0.0.1", port).await.unwrap();
        let accepted = listener.accept().await.unwrap();
        (client, accepted.open().unwrap())
    }

    async fn send(writer: &mut Box<dyn WriteHalf>, parts: Vec<OutPart>) -> io::Result<()> {
        let mut parts = VecDeque::from(parts);
        std::future::poll_fn(|cx| writer.poll_send(cx, &mut parts)).await
    }

    async fn receive(reader: &mut Box<dyn ReadHalf>, len: usize) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        while buffer.len() < len {
            buffer.reserve(64 * 1024);
            if std::future::poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap() == 0 {
                break;
            }
        }
        buffer.to_vec()
    }

    #[tokio::test]
    async fn bytes_and_ranges_arrive_in_order_however_they_are_sent() {
        for host in ["", "0.0.0.0", "127.0.0.1", "localhost"] {
            let (mut client, mut server) = pair(host).await;
            let long: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
            let stored = file("order", &long);
            let range = |position, len| OutPart::File { file: Arc::clone(&stored), position, len };
            let bytes = |text: &'static str| OutPart::Bytes(Bytes::from_static(text.as_bytes()));
            let parts = vec![
                bytes("two "),
                bytes("headers"),
                range(5, 2_900_000),
                bytes(""),
                bytes("between"),
                range(100, 50),
                range(200, 0),
                range(300, SENDFILE_LEN_MIN),
                range(400, SENDFILE_LEN_MIN - 1),
            ];
            let expected = [
                b"two headers",
                &long[5..2_900_005],
                b"between",
                &long[100..150],
                &long[300..300 + SENDFILE_LEN_MIN],
                &long[400..400 + SENDFILE_LEN_MIN - 1],
            ]
            .concat();
            let (sent, got) = tokio::join!(
                send(&mut server.writer, parts),
                receive(&mut client.reader, expected.len())
            );
            sent.unwrap();
            assert!(got == expected, "{host:?}: {} of {} bytes", got.len(), expected.len());
        }
    }

    /// A file of which sendfile wants nothing.
    struct Unsendable(Arc<dyn File>, std::fs::File);

    impl File for Unsendable {
        fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
            self.0.write_at(parts, position)
        }
        fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
            self.0.read_at(buffer, position)
        }
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }
        fn sync_all(&self) -> io::Result<()> {
            self.0.sync_all()
        }
        fn is_cached(&self, position: u64, len: usize) -> bool {
            self.0.is_cached(position, len)
        }
        fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
            Some(self.1.as_fd())
        }
    }

    #[tokio::test]
    async fn a_file_that_sendfile_refuses_is_read_and_written() {
        let (mut client, mut server) = pair("127.0.0.1").await;
        let long: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        // The kernel answers EINVAL for a directory.
        let directory = std::fs::File::open("/").unwrap();
        let unsendable: Arc<dyn File> = Arc::new(Unsendable(file("unsendable", &long), directory));
        let parts = vec![
            OutPart::Bytes(Bytes::from_static(b"header")),
            OutPart::File { file: Arc::clone(&unsendable), position: 7, len: 2_900_000 },
            OutPart::File { file: unsendable, position: 0, len: COPY_LEN },
        ];
        let expected = [b"header", &long[7..2_900_007], &long[..COPY_LEN]].concat();
        let (sent, got) = tokio::join!(
            send(&mut server.writer, parts),
            receive(&mut client.reader, expected.len())
        );
        sent.unwrap();
        assert!(got == expected, "{} of {} bytes", got.len(), expected.len());
        assert!(SENDFILE.is_there(), "other files may be sent");
    }

    #[tokio::test]
    async fn a_file_shorter_than_said_is_an_error() {
        for len in [100, 2 * SENDFILE_LEN_MIN] {
            let (_client, mut server) = pair("127.0.0.1").await;
            let file = file("short", &vec![1; len - 1]);
            let parts = vec![OutPart::File { file, position: 0, len }];
            let error = send(&mut server.writer, parts).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[tokio::test]
    async fn a_shut_down_writer_ends_the_peers_stream() {
        let (mut client, mut server) = pair("localhost").await;
        send(&mut server.writer, vec![OutPart::Bytes(Bytes::from_static(b"bye"))]).await.unwrap();
        std::future::poll_fn(|cx| server.writer.poll_shutdown(cx)).await.unwrap();
        assert_eq!(receive(&mut client.reader, 100).await, b"bye");
    }

    #[tokio::test]
    async fn a_half_closed_peer_is_told_from_one_that_is_gone_by_the_reset() {
        let (mut client, mut server) = pair("127.0.0.1").await;
        std::future::poll_fn(|cx| client.writer.poll_shutdown(cx)).await.unwrap();
        assert_eq!(receive(&mut server.reader, 1).await, b"");
        send(&mut server.writer, vec![OutPart::Bytes(Bytes::from_static(b"late"))]).await.unwrap();
        assert_eq!(receive(&mut client.reader, 4).await, b"late");
        let mut reset = std::future::poll_fn(|cx| server.reader.poll_reset(cx));
        let wait = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(wait, &mut reset).await.is_err(), "it still reads");
        drop(client);
        assert!(tokio::time::timeout(wait, &mut reset).await.is_err(), "nothing was sent to it");
        let part = vec![OutPart::Bytes(Bytes::from_static(b"too late"))];
        send(&mut server.writer, part).await.unwrap();
        let reset = std::future::poll_fn(|cx| server.reader.poll_reset(cx));
        tokio::time::timeout(std::time::Duration::from_secs(5), reset).await.unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "the peer is another program")]
    #[tokio::test]
    async fn a_long_response_to_a_fast_reader_lets_others_have_a_turn() {
        let mut listener = TcpNet.listen("127.0.0.1", 0).await.unwrap();
        let port = listener.local_addresses()[0].port();
        let len = 16 * SEND_LEN_MAX;
        let file = file("turns", &vec![1; len]);
        // Read by another thread, so that the socket has room again at once.
        let reading = std::thread::spawn(move || {
            let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            std::io::copy(&mut client, &mut std::io::sink()).unwrap()
        });
        let mut server = listener.accept().await.unwrap().open().unwrap();
        let mut parts = VecDeque::from([OutPart::File { file, position: 0, len }]);
        let mut polls = 0;
        std::future::poll_fn(|cx| {
            polls += 1;
            server.writer.poll_send(cx, &mut parts)
        })
        .await
        .unwrap();
        assert!(polls >= 16, "{polls} polls");
        drop(server);
        assert_eq!(reading.join().unwrap(), len as u64);
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_that_names_it() {
        let listener = TcpNet.listen("127.0.0.1", 0).await.unwrap();
        let port = listener.local_addresses()[0].port();
        let error = TcpNet.listen("127.0.0.1", port).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
