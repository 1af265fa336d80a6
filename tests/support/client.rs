//! A client that says what the test tells it to, one request at a time, and retries nothing.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::time::Duration;

use blumfeld::env::{Connection, Env, OutPart};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// How long an answer may take before the connection counts as broken.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection to a broker.
pub struct Client {
    connection: Connection,
    received: BytesMut,
    correlation: i32,
}

impl Client {
    /// Connects from the process of `env`.
    pub async fn connect(env: &Env, host: &str, port: u16) -> io::Result<Self> {
        let connection = env.net.connect(host, port).await?;
        Ok(Self { connection, received: BytesMut::new(), correlation: 0 })
    }

    /// Sends a request and waits for its response. After an error the connection is of no use.
    pub async fn call<R: Request>(&mut self, version: i16, body: &R) -> io::Result<R::Response> {
        self.send(version, body).await?;
        tokio::time::timeout(ANSWER_TIMEOUT, self.answer::<R>(version))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Sends a request whose response is fetched by [`answer`](Self::answer), or has none.
    pub async fn send<R: Request>(&mut self, version: i16, body: &R) -> io::Result<()> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("sim")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, R::header_version(version)).unwrap();
        body.encode(&mut frame, version).unwrap();
        let len = frame.len() as i32 - 4;
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.send_raw(frame.freeze()).await
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: Bytes) -> io::Result<()> {
        let mut parts = VecDeque::from([OutPart::Bytes(bytes)]);
        poll_fn(|cx| self.connection.writer.poll_send(cx, &mut parts)).await
    }

    /// Waits for the response to the oldest unanswered request, which was an `R`.
    pub async fn answer<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut frame = self.frame().await?;
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version));
        let header = header.expect("a response begins with a response header");
        assert!(header.correlation_id <= self.correlation, "an answer to a question not asked");
        let response = R::Response::decode(&mut frame, version);
        let response = response.unwrap_or_else(|error| panic!("api {}: {error}", R::KEY));
        assert!(frame.is_empty(), "api {} version {version}: bytes left over", R::KEY);
        Ok(response)
    }

    async fn frame(&mut self) -> io::Result<Bytes> {
        loop {
            if self.received.len() >= 4 {
                let len = i32::from_be_bytes(self.received[..4].try_into().unwrap()) as usize;
                if self.received.len() >= 4 + len {
                    self.received.advance(4);
                    return Ok(self.received.split_to(len).freeze());
                }
            }
            self.received.reserve(64 * 1024);
            let reader = &mut self.connection.reader;
            if poll_fn(|cx| reader.poll_read(cx, &mut self.received)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
