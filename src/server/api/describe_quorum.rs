//! DescribeQuorum: v0-2.
//!
//! Who votes on the metadata log, and how far each has it (KIP-595). v1: when voters were last
//! heard of (KIP-836). v2: error messages, directory ids and endpoints (KIP-853).

use crate::controller::topic_names::CLUSTER_METADATA;
use crate::drivers::quorum::{QuorumDescription, QuorumReply, QuorumRequest};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    self, DescribeQuorumRequest, DescribeQuorumResponse,
    describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData},
    text, topic_name, wire_uuid,
};
use crate::raft::Voter;
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    if let Err(code) = context.require(Operation::Describe, Resource::Cluster) {
        return DescribeQuorumResponse::default().with_error_code(code.code());
    }
    if !asks_for_the_metadata_log(&request) {
        return unknown(request);
    }
    let Ok(QuorumReply::Description(described)) =
        context.broker.quorum.handle(QuorumRequest::Describe).await
    else {
        return DescribeQuorumResponse::default()
            .with_error_code(ErrorCode::BrokerNotAvailable.code());
    };
    let QuorumDescription { status: quorum, high_watermark, log_end } = described;
    let leader = quorum.leader.unwrap_or(-1);
    let now = context.broker.env.clock.wall();
    let state = |voter: &Voter| {
        let (offset, heard_of) = if voter.key.id == leader { (log_end, now.0) } else { (-1, -1) };
        let state = ReplicaState::default()
            .with_replica_id(messages::BrokerId(voter.key.id))
            .with_log_end_offset(offset)
            .with_last_fetch_timestamp(heard_of)
            .with_last_caught_up_timestamp(heard_of);
        match voter.key.directory {
            Some(directory) if context.version >= 2 => {
                state.with_replica_directory_id(wire_uuid(directory))
            }
            _ => state,
        }
    };
    let partition = PartitionData::default()
        .with_leader_id(messages::BrokerId(leader))
        .with_leader_epoch(quorum.epoch)
        .with_high_watermark(high_watermark)
        .with_current_voters(quorum.voters.iter().map(state).collect());
    let topic = TopicData::default()
        .with_topic_name(topic_name(CLUSTER_METADATA))
        .with_partitions(vec![partition]);
    let response = DescribeQuorumResponse::default().with_topics(vec![topic]);
    if context.version < 2 {
        return response;
    }
    response.with_nodes(quorum.voters.iter().map(node).collect())
}

/// Nothing else can be asked for.
fn asks_for_the_metadata_log(request: &DescribeQuorumRequest) -> bool {
    match &request.topics[..] {
        [topic] => {
            *topic.topic_name.0 == *CLUSTER_METADATA
                && matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
        }
        _ => false,
    }
}

fn unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                .with_error_message(Some(text("This server does not host this topic-partition.")))
        });
        TopicData::default().with_topic_name(topic.topic_name).with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_topics(topics.collect())
}

fn node(voter: &Voter) -> Node {
    let listeners = voter.endpoints.iter().map(|endpoint| {
        Listener::default()
            .with_name(text(&*endpoint.listener))
            .with_host(text(&*endpoint.host))
            .with_port(endpoint.port)
    });
    Node::default()
        .with_node_id(messages::BrokerId(voter.key.id))
        .with_listeners(listeners.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::describe_quorum_request as ask;

    fn request(topics: &[(&str, &[i32])]) -> DescribeQuorumRequest {
        let topics = topics.iter().map(|(name, partitions)| {
            let partitions = partitions
                .iter()
                .map(|index| ask::PartitionData::default().with_partition_index(*index));
            ask::TopicData::default()
                .with_topic_name(topic_name(*name))
                .with_partitions(partitions.collect())
        });
        DescribeQuorumRequest::default().with_topics(topics.collect())
    }

    #[test]
    fn only_partition_0_of_the_metadata_log_alone_can_be_asked_for() {
        assert!(asks_for_the_metadata_log(&request(&[(CLUSTER_METADATA, &[0])])));
        for asked in [
            &[][..],
            &[("other", &[0][..])],
            &[(CLUSTER_METADATA, &[])],
            &[(CLUSTER_METADATA, &[1])],
            &[(CLUSTER_METADATA, &[0, 0])],
            &[(CLUSTER_METADATA, &[0]), (CLUSTER_METADATA, &[0])],
        ] {
            assert!(!asks_for_the_metadata_log(&request(asked)), "{asked:?}");
        }
    }

    #[test]
    fn what_is_not_the_metadata_log_is_unknown_partition_by_partition() {
        let response = unknown(request(&[("a", &[0, 1])]));
        let codes: Vec<i16> = response.topics[0].partitions.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [ErrorCode::UnknownTopicOrPartition.code(); 2]);
        assert_eq!(response.error_code, 0);
    }
}
