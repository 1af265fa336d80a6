//! A client in a simulated world, and peers that answer, keep silent, lie and break off.

mod faults;
mod flow;
mod pipeline;
mod random;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::{CallError, ClientSettings, NodeAddress, NodeClient, Plaintext};
use crate::env::sim::{Machine, World, paused_runtime};
use crate::env::{Connection, Env, Listener, OutPart};
use crate::protocol::RequestHeader;
use crate::protocol::declared::ApiVersion;
use crate::protocol::key;
use crate::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse, WireMessage,
    WireResponse, encode_response,
};
use crate::types::ErrorCode;

const PORT: u16 = 9093;
const SECOND: Duration = Duration::from_secs(1);
/// What the peers here offer: (key, oldest, newest version).
const OFFERED: &[(i16, i16, i16)] = &[(key::ApiVersions, 0, 5), (key::Heartbeat, 0, 3)];

/// Runs a test in a world with a machine for the client and one for the peer.
fn in_world<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(Scene) -> F) {
    paused_runtime().block_on(async {
        let world = World::new(seed);
        let (near, far) = (world.machine("near"), world.machine("far"));
        let (env, peer_env) = (near.start(), far.start());
        test(Scene { world: world.clone(), near, far, env, peer_env }).await;
        assert_eq!(world.panics(), [""; 0]);
    });
}

struct Scene {
    world: World,
    near: Machine,
    far: Machine,
    env: Env,
    peer_env: Env,
}

impl Scene {
    fn client(&self, settings: ClientSettings) -> NodeClient {
        let node = NodeAddress { id: Some(2), host: "far".to_owned(), port: PORT };
        NodeClient::new(&self.env, node, settings, Arc::new(Plaintext))
    }

    async fn listen(&self) -> Peer {
        Peer { listener: self.peer_env.net.listen("", PORT).await.unwrap() }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.env.clock.now().0)
    }
}

fn settings() -> ClientSettings {
    ClientSettings {
        client_id: "1".to_owned(),
        cluster_id: Some("cluster".to_owned()),
        ..ClientSettings::default()
    }
}

/// A request that says which one it is.
fn numbered(number: i16) -> HeartbeatRequest {
    HeartbeatRequest::default().with_generation_id(number.into())
}

/// Sends request `number` and returns the number in the response.
async fn call(client: &NodeClient, number: i16, timeout: Duration) -> Result<i16, CallError> {
    client.send(numbered(number), timeout).await.map(|response| response.error_code)
}

/// The other side.
struct Peer {
    listener: Box<dyn Listener>,
}

/// A connection, seen from the peer.
struct Session {
    connection: Connection,
    received: BytesMut,
}

/// A request as the peer receives it.
#[derive(Debug)]
struct Received {
    key: i16,
    version: i16,
    correlation_id: i32,
    client_id: Option<String>,
    body: Bytes,
}

impl Received {
    /// The number of a [`numbered`] request.
    fn number(&self) -> i16 {
        assert_eq!(self.key, key::Heartbeat);
        let request = HeartbeatRequest::decode_body(self.body.clone(), self.version).unwrap();
        request.generation_id.try_into().unwrap()
    }
}

fn api_versions(error: ErrorCode, offered: &[(i16, i16, i16)]) -> ApiVersionsResponse {
    let api_keys = offered.iter().map(|(api_key, min_version, max_version)| ApiVersion {
        api_key: *api_key,
        min_version: *min_version,
        max_version: *max_version,
    });
    let api_keys = api_keys.collect();
    ApiVersionsResponse { error_code: error.code(), api_keys, ..ApiVersionsResponse::default() }
}

impl Peer {
    /// The next connection.
    async fn accept(&mut self) -> Session {
        let connection = self.listener.accept().await.unwrap().open().unwrap();
        Session { connection, received: BytesMut::new() }
    }

    /// The next connection, after ApiVersions.
    async fn accept_ready(&mut self) -> Session {
        let mut session = self.accept().await;
        let request = session.request().await.unwrap();
        session.answer(&request, request.version, &api_versions(ErrorCode::None, OFFERED)).await;
        session
    }
}

impl Session {
    /// The next request; `None` at the end of the stream.
    async fn request(&mut self) -> Option<Received> {
        loop {
            if let Some(prefix) = self.received.first_chunk::<4>() {
                let len = u32::from_be_bytes(*prefix) as usize;
                if self.received.len() >= 4 + len {
                    self.received.advance(4);
                    let frame = self.received.split_to(len).freeze();
                    let header = RequestHeader::read(&frame).unwrap();
                    return Some(Received {
                        key: header.api.key,
                        version: header.version,
                        correlation_id: header.correlation_id,
                        client_id: header.client_id.map(str::to_owned),
                        body: frame.slice(header.len..),
                    });
                }
            }
            self.received.reserve(4096);
            let reader = &mut self.connection.reader;
            match poll_fn(|cx| reader.poll_read(cx, &mut self.received)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }

    async fn send(&mut self, bytes: Bytes) {
        let mut parts = VecDeque::from([OutPart::Bytes(bytes)]);
        // The client may have closed the connection.
        let _ = poll_fn(|cx| self.connection.writer.poll_send(cx, &mut parts)).await;
    }

    async fn answer<T: WireResponse>(&mut self, request: &Received, version: i16, body: &T) {
        self.send(encode_response(body, version, request.correlation_id).unwrap()).await;
    }

    /// Answers a [`numbered`] request with its number.
    async fn echo(&mut self, request: &Received) {
        let response = HeartbeatResponse::default().with_error_code(request.number());
        self.answer(request, request.version, &response).await;
    }

    /// Answers until the client closes the connection, and returns how many requests came.
    async fn echo_all(&mut self) -> usize {
        let mut count = 0;
        while let Some(request) = self.request().await {
            self.echo(&request).await;
            count += 1;
        }
        count
    }
}
