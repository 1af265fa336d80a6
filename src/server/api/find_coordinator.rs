//! FindCoordinator: v0-6.
//!
//! Which broker coordinates a transactional id. v1: the type of the key. v4: many keys at once
//! (KIP-699).
//! Not yet: groups and share partitions.

use crate::protocol::messages::{
    self, FindCoordinatorRequest, FindCoordinatorResponse, StrBytes,
    find_coordinator_response::Coordinator, text,
};
use crate::server::context::RequestContext;
use crate::server::transactions::TOPIC;
use crate::types::ErrorCode;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if context.version < 4 {
        let found = find(context, request.key_type, request.key).await;
        return FindCoordinatorResponse::default()
            .with_error_code(found.error_code)
            .with_error_message(found.error_message)
            .with_node_id(found.node_id)
            .with_host(found.host)
            .with_port(found.port);
    }
    let mut coordinators = Vec::new();
    let mut refused: Option<Coordinator> = None;
    for key in request.coordinator_keys {
        // Where the topic cannot be created for one key, it is not tried for each.
        let found = match &refused {
            Some(refused) if !key.is_empty() => refused.clone().with_key(key),
            _ => find(context, request.key_type, key).await,
        };
        if found.error_code == ErrorCode::CoordinatorNotAvailable.code() {
            refused.get_or_insert_with(|| found.clone());
        }
        coordinators.push(found);
    }
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

async fn find(context: &RequestContext, key_type: i8, key: StrBytes) -> Coordinator {
    let found = match key_type {
        TRANSACTION if key.is_empty() => Err(ErrorCode::InvalidRequest),
        TRANSACTION => of_transaction(context, &key).await,
        GROUP => Err(ErrorCode::CoordinatorNotAvailable),
        _ => Err(ErrorCode::InvalidRequest),
    };
    let answer = Coordinator::default().with_key(key);
    match found {
        Ok((node, host, port)) => {
            answer.with_node_id(messages::BrokerId(node)).with_host(text(&*host)).with_port(port)
        }
        Err(code) => answer
            .with_node_id(messages::BrokerId(-1))
            .with_port(-1)
            .with_error_code(code.code())
            .with_error_message(Some(text(code.name()))),
    }
}

async fn of_transaction(
    context: &RequestContext,
    id: &str,
) -> Result<(i32, String, i32), ErrorCode> {
    let index = context.broker.transactions.locate(id).await?;
    let image = context.broker.image.load_full();
    let leader = image
        .topics
        .by_name(TOPIC)
        .and_then(|topic| topic.partition(index))
        .map(|registration| registration.leader);
    let endpoint = leader.and_then(|leader| {
        let broker = image.cluster.brokers.get(&leader)?;
        let endpoint = broker.endpoint(&context.listener.name)?;
        Some((leader, endpoint.host.clone(), i32::from(endpoint.port)))
    });
    endpoint.ok_or(ErrorCode::CoordinatorNotAvailable)
}
