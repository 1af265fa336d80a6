//! DescribeCluster: v0-2.
//!
//! The nodes of the cluster and its controller. v1: the endpoints of controllers (KIP-919). v2:
//! fenced brokers (KIP-1073).

use crate::metadata::{ListenerEndpoint, Operation};
use crate::protocol::messages::{
    self, DescribeClusterRequest, DescribeClusterResponse,
    describe_cluster_response::DescribeClusterBroker, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Kafka's `EndpointType`.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    // Kafka's controllers tell of themselves only to whoever may alter them.
    if context.listener.is_controller
        && let Err(refusal) = context.require_on_cluster(Operation::Alter)
    {
        let (code, message) = super::error(&refusal);
        return DescribeClusterResponse::default()
            .with_error_code(code)
            .with_error_message(message);
    }
    let wanted = if context.version == 0 { BROKERS } else { request.endpoint_type };
    let here = if context.listener.is_controller { CONTROLLERS } else { BROKERS };
    if wanted != here {
        return refused(context.version, wanted, here);
    }
    let response = DescribeClusterResponse::default()
        .with_cluster_id(text(&*context.broker.cluster_id))
        .with_endpoint_type(here)
        .with_cluster_authorized_operations(i32::MIN);
    let cluster = &context.image.cluster;
    let node = |id: i32, endpoint: &ListenerEndpoint, rack: Option<&str>, fenced: bool| {
        DescribeClusterBroker::default()
            .with_broker_id(messages::BrokerId(id))
            .with_host(text(&*endpoint.host))
            .with_port(i32::from(endpoint.port))
            .with_rack(rack.map(text))
            .with_is_fenced(fenced)
    };
    let listener = &context.listener.name;
    let nodes: Vec<DescribeClusterBroker> = if here == CONTROLLERS {
        let registered = cluster.controllers.values().filter_map(|controller| {
            let endpoint = controller.endpoints.iter().find(|e| e.name == *listener)?;
            Some(node(controller.id, endpoint, None, false))
        });
        registered.collect()
    } else {
        cluster
            .brokers
            .values()
            .filter(|broker| !broker.fenced || request.include_fenced_brokers)
            .filter_map(|broker| {
                let endpoint = broker.endpoint(listener)?;
                Some(node(broker.id, endpoint, broker.rack.as_deref(), broker.fenced))
            })
            .collect()
    };
    let controller = if here == CONTROLLERS {
        context.broker.quorum.status().leader.unwrap_or(-1)
    } else {
        cluster.alive().next().map_or(-1, |broker| broker.id)
    };
    let response = response.with_controller_id(messages::BrokerId(controller)).with_brokers(nodes);
    if request.include_cluster_authorized_operations {
        response.with_cluster_authorized_operations(super::metadata::cluster_operations(context))
    } else {
        response
    }
}

/// Kafka tells nothing but the error. Version 0 knows neither of its codes.
fn refused(version: i16, wanted: i8, here: i8) -> DescribeClusterResponse {
    let name = |kind| if kind == BROKERS { "BROKER" } else { "CONTROLLER" };
    let (error, message) = if wanted == BROKERS || wanted == CONTROLLERS {
        let (here, wanted) = (name(here), name(wanted));
        let sent = format!("The request was sent to an endpoint of type {here}");
        let message = format!("{sent}, but we wanted an endpoint of type {wanted}");
        (ErrorCode::MismatchedEndpointType, message)
    } else {
        (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {wanted}"))
    };
    let error = if version == 0 { ErrorCode::InvalidRequest } else { error };
    DescribeClusterResponse::default()
        .with_error_code(error.code())
        .with_error_message(Some(text(message)))
}
