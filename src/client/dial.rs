//! From a name to a connection that is ready for requests.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};

use super::error::ConnectError;
use super::versions::NodeVersions;
use super::{ClientSettings, NodeAddress};
use crate::env::{Connection, Env, OutPart};
use crate::protocol::header::ResponseHeader;
use crate::protocol::key;
use crate::protocol::messages::{
    self, ApiVersionsRequest, ApiVersionsResponse, WireMessage, encode_request,
};
use crate::types::ErrorCode;

/// The most bytes of an ApiVersions response: a few times what Kafka sends.
const API_VERSIONS_LEN_MAX: usize = 256 * 1024;

/// A future of [`Security`].
pub type SecureFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send + 'a>>;

/// Secures a connection before the first request of the client: wraps it in TLS, and authenticates
/// both sides (the SASL exchange, which sends its own ApiVersions, SaslHandshake and
/// SaslAuthenticate requests).
pub trait Security: Send + Sync {
    /// Returns the connection that requests go through.
    ///
    /// Errors: the peer is not authenticated, or refuses us.
    fn secure<'a>(&'a self, connection: Connection, node: &'a NodeAddress) -> SecureFuture<'a>;
}

/// No encryption and no authentication.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plaintext;

impl Security for Plaintext {
    fn secure<'a>(&'a self, connection: Connection, _: &'a NodeAddress) -> SecureFuture<'a> {
        Box::pin(std::future::ready(Ok(connection)))
    }
}

/// Resolves the name, connects, secures the connection, and asks for the versions of the node.
pub(super) async fn dial(
    env: &Env,
    node: &NodeAddress,
    settings: &ClientSettings,
    security: &dyn Security,
) -> Result<(Connection, NodeVersions), ConnectError> {
    let connection = env.net.connect(&node.host, node.port).await;
    let connection = connection.map_err(|error| ConnectError::Io(error.to_string()))?;
    let mut connection = security.secure(connection, node).await?;
    let response = api_versions(&mut connection, node, settings).await?;
    Ok((connection, NodeVersions::of(&response)))
}

/// Asks for the versions of the node, first at the newest version of ApiVersions. A node that does
/// not have it answers UNSUPPORTED_VERSION at version 0 with the versions that it has (Kafka 4.4
/// `NetworkClient.handleApiVersionsResponse`).
async fn api_versions(
    connection: &mut Connection,
    node: &NodeAddress,
    settings: &ClientSettings,
) -> Result<ApiVersionsResponse, ConnectError> {
    let mut version = ApiVersionsRequest::api().max_version;
    // A node refuses a request that names only one of the two (KIP-1242).
    let meant = node.id.zip(settings.cluster_id.clone());
    // Negative numbers are never used by the requests that follow.
    let mut correlation_id = i32::MIN;
    loop {
        let request = ApiVersionsRequest {
            client_software_name: "blumfeld".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: meant.as_ref().map(|(_, cluster_id)| cluster_id.clone()),
            node_id: meant.as_ref().map_or(-1, |(id, _)| *id),
        };
        let frame = encode_request(&request, version, correlation_id, Some(&settings.client_id));
        let frame = frame.map_err(|error| ConnectError::Malformed(error.to_string()))?;
        let response = exchange(connection, frame).await?;
        let response = decode(response, version, correlation_id)?;
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => return Ok(response),
            Some(ErrorCode::RebootstrapRequired) => return Err(ConnectError::WrongNode),
            Some(ErrorCode::UnsupportedVersion) if version > 0 => {
                let theirs = NodeVersions::of(&response).api(key::ApiVersions);
                let newest = theirs.map_or(0, |versions| versions.last);
                // Each round asks for an older version, so that a peer cannot keep us here.
                version = newest.clamp(0, version - 1);
                correlation_id += 1;
            }
            Some(code) => return Err(ConnectError::Refused(code)),
            None => {
                let code = response.error_code;
                return Err(ConnectError::Malformed(format!("unknown error code {code}")));
            }
        }
    }
}

fn decode(
    mut frame: Bytes,
    version: i16,
    correlation_id: i32,
) -> Result<ApiVersionsResponse, ConnectError> {
    let malformed = |error: messages::DecodeError| ConnectError::Malformed(error.to_string());
    let header = ResponseHeader::read(&frame, ApiVersionsResponse::api(), version)
        .map_err(|error| malformed(error.into()))?;
    if header.correlation_id != correlation_id {
        let text = format!("response {} instead of {correlation_id}", header.correlation_id);
        return Err(ConnectError::Malformed(text));
    }
    let body = frame.split_off(header.len);
    // The code comes first in every version. With this one the rest has version 0.
    let is_unsupported = body.starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
    let version = if is_unsupported { 0 } else { version };
    ApiVersionsResponse::decode_body(body, version).map_err(malformed)
}

/// Sends one frame and returns the next one, without its length.
async fn exchange(connection: &mut Connection, frame: Bytes) -> Result<Bytes, ConnectError> {
    let io = |error: std::io::Error| ConnectError::Io(error.to_string());
    let mut parts = VecDeque::from([OutPart::Bytes(frame)]);
    poll_fn(|cx| connection.writer.poll_send(cx, &mut parts)).await.map_err(io)?;
    let mut received = BytesMut::new();
    loop {
        if let Some(prefix) = received.first_chunk::<4>() {
            let len = i32::from_be_bytes(*prefix);
            let Some(len) = usize::try_from(len).ok().filter(|len| *len <= API_VERSIONS_LEN_MAX)
            else {
                return Err(ConnectError::Malformed(format!("a frame of {len} bytes")));
            };
            if received.len() > 4 + len {
                return Err(ConnectError::Malformed("bytes after the response".to_owned()));
            }
            if received.len() == 4 + len {
                received.advance(4);
                return Ok(received.freeze());
            }
        }
        received.reserve(4096);
        if poll_fn(|cx| connection.reader.poll_read(cx, &mut received)).await.map_err(io)? == 0 {
            return Err(ConnectError::ClosedByPeer);
        }
    }
}
