//! Metadata: v0-13.
//!
//! Brokers, topics and who leads them, as seen from the listener that was asked; unknown topics are
//! created where that is configured and allowed.
//! v0: no topics means all. v1: controller, racks, internal topics; null means all. v2: cluster id.
//! v4: auto-creation can be declined. v5: offline replicas. v7: leader epochs. v8: authorized
//! operations. v9: flexible. v10: topic ids in answers. v12: asked for by topic id. v13: an error
//! of the whole.
//! Differs from Kafka: a topic that is created on the way is in the answer already.

use std::collections::BTreeSet;

use crate::controller::command::{CreateTopics, NewTopic, Refusal};
use crate::metadata::{MetadataImage, Operation, Resource, Topic};
use crate::protocol::messages::{
    self, MetadataRequest, MetadataResponse,
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    text, topic_name, uuid_of, wire_uuid,
};
use crate::server::context::RequestContext;
use crate::types::{BrokerId, ErrorCode, Uuid};

/// "Not asked for".
const NO_OPERATIONS: i32 = i32::MIN;

/// What a partition counts in a slice of work, as bytes.
const PARTITION_COST: usize = 1024;

/// What a request asks for.
enum RequestedTopics {
    All,
    Names(Vec<String>),
    Ids(Vec<Uuid>),
}

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: MetadataRequest,
) -> MetadataResponse {
    let asked = match asked(context.version, &request) {
        Ok(asked) => asked,
        Err(error) => return respond(context, &context.image, &request, vec![error], true),
    };
    let mut image = std::sync::Arc::clone(&context.image);
    let mut steps = context.steps();
    let names = match asked {
        RequestedTopics::All => {
            let mut topics = Vec::new();
            for topic in image.topics.iter_by_name() {
                if context.may_quietly(Operation::Describe, Resource::Topic(&topic.name)) {
                    topics.push(describe(context, &image, &request, topic));
                }
                steps.step_over(topic.partitions.len() * PARTITION_COST).await;
            }
            return respond(context, &image, &request, topics, false);
        }
        RequestedTopics::Ids(ids) => {
            let mut topics = Vec::with_capacity(ids.len());
            for id in ids {
                topics.push(match image.topics.by_id(id) {
                    Some(topic)
                        if !context.may(Operation::Describe, Resource::Topic(&topic.name)) =>
                    {
                        // An id gives nothing away, a name does.
                        refused_topic(None).with_topic_id(wire_uuid(id))
                    }
                    Some(topic) => describe(context, &image, &request, topic),
                    None => MetadataResponseTopic::default()
                        .with_name(None)
                        .with_error_code(ErrorCode::UnknownTopicId.code())
                        .with_topic_id(wire_uuid(id)),
                });
                steps.step().await;
            }
            return respond(context, &image, &request, topics, false);
        }
        RequestedTopics::Names(names) => names,
    };
    // Whether a topic exists that the client may not see is not even looked at.
    let (names, hidden): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| context.may(Operation::Describe, Resource::Topic(name)));
    let missing: Vec<&String> =
        names.iter().filter(|name| image.topics.by_name(name).is_none()).collect();
    let may_create = request.allow_auto_topic_creation || context.version < 4;
    let mut forbidden_names = BTreeSet::new();
    if !missing.is_empty() && may_create && context.broker.config.auto_create_topics {
        let may_all = context.may_quietly(Operation::Create, Resource::Cluster);
        let (missing, forbidden): (Vec<&String>, Vec<&String>) = missing
            .into_iter()
            .partition(|name| may_all || context.may(Operation::Create, Resource::Topic(name)));
        if !missing.is_empty() {
            create(context, &missing).await;
        }
        forbidden_names = forbidden.into_iter().cloned().collect();
        // The controller's client returned after this node had published the new topics.
        image = context.broker.image.load_full();
    }
    let mut topics = Vec::with_capacity(names.len() + hidden.len());
    for name in &names {
        topics.push(match image.topics.by_name(name) {
            Some(topic) => describe(context, &image, &request, topic),
            None => unknown(context, &request, name, unknown_code(name, &forbidden_names)),
        });
        steps.step().await;
    }
    topics.extend(hidden.iter().map(|name| refused_topic(Some(name))));
    respond(context, &image, &request, topics, false)
}

fn asked(
    version: i16,
    request: &MetadataRequest,
) -> Result<RequestedTopics, MetadataResponseTopic> {
    let Some(topics) = &request.topics else { return Ok(RequestedTopics::All) };
    if version == 0 && topics.is_empty() {
        return Ok(RequestedTopics::All);
    }
    // Each once: what is asked a million times is not answered a million times.
    let ids: BTreeSet<Uuid> =
        topics.iter().map(|topic| uuid_of(topic.topic_id)).filter(|id| !id.is_zero()).collect();
    let invalid = || {
        MetadataResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(topic_name("")))
    };
    if version < 12 && (!ids.is_empty() || topics.iter().any(|topic| topic.name.is_none())) {
        return Err(invalid());
    }
    if !ids.is_empty() {
        return Ok(RequestedTopics::Ids(ids.into_iter().collect()));
    }
    let names: BTreeSet<String> =
        topics.iter().filter_map(|topic| topic.name.as_ref()).map(|n| n.0.to_string()).collect();
    Ok(RequestedTopics::Names(names.into_iter().collect()))
}

/// Creates topics with the broker's defaults. Why one cannot be created is logged; Kafka does not
/// tell the client either (Kafka 4.4 `DefaultAutoTopicCreationManager`).
async fn create(context: &RequestContext, names: &[&String]) {
    let topics = names
        .iter()
        .map(|name| NewTopic {
            name: (*name).clone(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        })
        .collect();
    let command = CreateTopics { topics, validate_only: false };
    let refused: Vec<(String, Refusal)> = match context.broker.controller.call(command).await {
        Ok(results) => results
            .into_iter()
            .filter_map(|result| result.result.err().map(|refusal| (result.name, refusal)))
            .collect(),
        Err(refusal) => names.iter().map(|name| ((*name).clone(), refusal.clone())).collect(),
    };
    for (topic, refusal) in refused {
        // The client is told of an invalid name; another client may have been quicker.
        let is_expected = crate::controller::topic_names::check(&topic).is_err()
            || refusal.code == ErrorCode::TopicAlreadyExists;
        if !is_expected {
            tracing::warn!(topic, %refusal, client = %context.client_id, "auto-creation failed");
        }
    }
}

/// The code of a topic that does not exist. Clients ask again after UNKNOWN_TOPIC_OR_PARTITION,
/// which is the answer whatever kept a topic with a valid name from being created.
fn unknown_code(name: &str, forbidden: &BTreeSet<String>) -> ErrorCode {
    if forbidden.contains(name) {
        ErrorCode::TopicAuthorizationFailed
    } else if crate::controller::topic_names::check(name).is_err() {
        ErrorCode::InvalidTopicException
    } else {
        ErrorCode::UnknownTopicOrPartition
    }
}

/// A topic that the client may not see, as if there were none.
fn refused_topic(name: Option<&str>) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(ErrorCode::TopicAuthorizationFailed.code())
        .with_name(name.map(topic_name))
        .with_topic_authorized_operations(NO_OPERATIONS)
}

/// What the client may do with a topic, if it asks.
fn topic_operations(context: &RequestContext, request: &MetadataRequest, name: &str) -> i32 {
    if context.version >= 8 && request.include_topic_authorized_operations {
        context.operations(Resource::Topic(name))
    } else {
        NO_OPERATIONS
    }
}

/// What the client may do with the cluster: nothing that it hears of, if it may not see it.
pub(super) fn cluster_operations(context: &RequestContext) -> i32 {
    if context.may(Operation::Describe, Resource::Cluster) {
        context.operations(Resource::Cluster)
    } else {
        0
    }
}

fn unknown(
    context: &RequestContext,
    request: &MetadataRequest,
    name: &str,
    error: ErrorCode,
) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(topic_name(name)))
        .with_is_internal(super::is_internal(name))
        .with_topic_authorized_operations(if error == ErrorCode::TopicAuthorizationFailed {
            NO_OPERATIONS
        } else {
            topic_operations(context, request, name)
        })
}

fn describe(
    context: &RequestContext,
    image: &MetadataImage,
    request: &MetadataRequest,
    topic: &Topic,
) -> MetadataResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .enumerate()
        .map(|(index, _)| partition(context, image, topic, index as i32))
        .collect();
    let operations = topic_operations(context, request, &topic.name);
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(&*topic.name)))
        .with_topic_id(wire_uuid(topic.id))
        .with_is_internal(super::is_internal(&topic.name))
        .with_partitions(partitions)
        .with_topic_authorized_operations(operations)
}

/// Whether a broker is alive and has an endpoint on the listener that was asked.
pub(super) fn is_reachable(context: &RequestContext, image: &MetadataImage, id: BrokerId) -> bool {
    image.cluster.is_alive(id)
        && image
            .cluster
            .brokers
            .get(&id)
            .is_some_and(|b| b.endpoint(&context.listener.name).is_some())
}

fn partition(
    context: &RequestContext,
    image: &MetadataImage,
    topic: &Topic,
    index: i32,
) -> MetadataResponsePartition {
    let Some(known) = topic.partition(index) else { return MetadataResponsePartition::default() };
    let wire = |ids: &[BrokerId]| ids.iter().map(|id| messages::BrokerId(*id)).collect();
    let offline: Vec<BrokerId> =
        known.replicas.iter().copied().filter(|id| !is_reachable(context, image, *id)).collect();
    let has_leader = is_reachable(context, image, known.leader);
    let error = if has_leader {
        ErrorCode::None
    } else if image.cluster.is_alive(known.leader) && context.version >= 6 {
        ErrorCode::ListenerNotFound
    } else {
        ErrorCode::LeaderNotAvailable
    };
    // Version 0 had no offline replicas: it names only those that can be reached.
    let shown = |ids: &[BrokerId]| -> Vec<BrokerId> {
        ids.iter().copied().filter(|id| context.version > 0 || !offline.contains(id)).collect()
    };
    MetadataResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(index)
        .with_leader_id(messages::BrokerId(if has_leader { known.leader } else { -1 }))
        .with_leader_epoch(known.leader_epoch)
        .with_replica_nodes(wire(&shown(&known.replicas)))
        .with_isr_nodes(wire(&shown(&known.isr)))
        .with_offline_replicas(wire(&offline))
}

fn respond(
    context: &RequestContext,
    image: &MetadataImage,
    request: &MetadataRequest,
    topics: Vec<MetadataResponseTopic>,
    invalid: bool,
) -> MetadataResponse {
    let brokers: Vec<MetadataResponseBroker> = image
        .cluster
        .alive()
        .filter_map(|broker| {
            let endpoint = broker.endpoint(&context.listener.name)?;
            Some(
                MetadataResponseBroker::default()
                    .with_node_id(messages::BrokerId(broker.id))
                    .with_host(text(&*endpoint.host))
                    .with_port(i32::from(endpoint.port))
                    .with_rack(broker.rack.as_deref().map(text)),
            )
        })
        .collect();
    // Any broker forwards to the controller, so any may be named.
    let controller = brokers.first().map_or(-1, |broker| broker.node_id.0);
    let with_operations =
        (8..=10).contains(&context.version) && request.include_cluster_authorized_operations;
    let operations = if with_operations { cluster_operations(context) } else { NO_OPERATIONS };
    let error =
        if invalid && context.version >= 13 { ErrorCode::InvalidRequest } else { ErrorCode::None };
    MetadataResponse::default()
        .with_brokers(brokers)
        .with_cluster_id(Some(text(&*context.broker.cluster_id)))
        .with_controller_id(messages::BrokerId(controller))
        .with_topics(topics)
        .with_cluster_authorized_operations(operations)
        .with_error_code(error.code())
}
