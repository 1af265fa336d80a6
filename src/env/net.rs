//! Sockets: byte streams in, lists of byte slices and file ranges out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::disk::File;

/// A future with an I/O result.
pub type IoFuture<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// The network.
pub trait Net: Send + Sync {
    /// Listens on all addresses that `host` names (`""`: every address, IPv4 and IPv6 alike).
    /// Port 0 takes a free one.
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> IoFuture<'a, Box<dyn Listener>>;
    /// Connects as a client.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> IoFuture<'a, Connection>;
    /// The name other machines know this one by (Java `getCanonicalHostName`).
    fn canonical_host_name(&self) -> String;
}

/// A listening socket.
pub trait Listener: Send {
    /// The addresses it is bound to.
    fn local_addresses(&self) -> Vec<SocketAddr>;
    /// Waits for the next connection. Errors such as EMFILE are returned; the listener stays usable.
    fn accept(&mut self) -> IoFuture<'_, Box<dyn Accepted>>;
}

/// A connection that was accepted and not yet bound to a worker.
pub trait Accepted: Send {
    /// Who connected.
    fn peer(&self) -> SocketAddr;
    /// Binds it to the worker that runs the calling task.
    fn open(self: Box<Self>) -> io::Result<Connection>;
}

/// An open connection.
pub struct Connection {
    /// The other side's address.
    pub peer: SocketAddr,
    /// This side's address.
    pub local: SocketAddr,
    /// What the peer sends.
    pub reader: Box<dyn ReadHalf>,
    /// What the peer receives.
    pub writer: Box<dyn WriteHalf>,
}

/// The receiving half.
pub trait ReadHalf: Send {
    /// Reads what has arrived into the spare capacity of `buffer` (which the caller has reserved).
    /// `Ok(0)` is the end of the stream. Never grows the buffer.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut)
    -> Poll<io::Result<usize>>;
    /// Ready once the connection is reset. Asked after the end of the stream: a peer that has shut
    /// down only its sending side still reads, and one that has closed its socket is told apart
    /// from it by nothing but the reset that answers the next bytes sent to it.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// The sending half.
pub trait WriteHalf: Send {
    /// Sends from the front of `parts` as much as goes without waiting, removing what was sent
    /// (a part sent in part is shortened). `Ready(Ok(()))` once `parts` is empty. `Pending` also
    /// when a fair share was sent: then the task is woken after the others of its worker. A file range
    /// is read at the moment of sending; a file that turns out short is an error, after which the
    /// connection must be closed.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        parts: &mut std::collections::VecDeque<OutPart>,
    ) -> Poll<io::Result<()>>;
    /// Tells the peer that nothing more will come.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A piece of a response.
#[derive(Clone)]
pub enum OutPart {
    /// Bytes in memory.
    Bytes(Bytes),
    /// `len` bytes of `file` from `position`, sent without entering user space where the socket
    /// and the kernel allow it.
    File {
        /// The file; it stays readable while it is referenced, also after it was deleted.
        file: Arc<dyn File>,
        /// First byte.
        position: u64,
        /// How many bytes.
        len: usize,
    },
}

impl OutPart {
    /// How many bytes it will send.
    pub fn len(&self) -> usize {
        match self {
            OutPart::Bytes(bytes) => bytes.len(),
            OutPart::File { len, .. } => *len,
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
