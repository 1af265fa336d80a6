//! Blumfeld's client for calls to other nodes, against Apache Kafka and against Blumfeld.

use std::sync::Arc;
use std::time::Duration;

use blumfeld::client::{
    CallError, ClientSettings, ConnectError, NodeAddress, NodeClient, Plaintext, UnsentReason,
};
use blumfeld::codec::shape::Versions;
use blumfeld::env::{Env, Limits};
use blumfeld::protocol::key;
use blumfeld::protocol::messages::{
    DescribeQuorumRequest, FetchRequest, FetchSnapshotRequest, MetadataRequest,
    describe_quorum_request, fetch_request, fetch_snapshot_request, text, topic_name,
};
use blumfeld::types::ErrorCode;

use crate::harness::client::create_topic;
use crate::harness::kafka::Release;
use crate::harness::{Broker, CLUSTER_ID, Make};

const TIMEOUT: Duration = Duration::from_secs(20);
/// The id of the topic `__cluster_metadata` (Kafka 4.4 `Uuid.METADATA_TOPIC_ID`).
const METADATA_TOPIC_ID: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn client(env: &Env, id: i32, cluster_id: &str, port: u16) -> NodeClient {
    let node = NodeAddress { id: Some(id), host: "127.0.0.1".to_owned(), port };
    let settings = ClientSettings {
        client_id: "3000".to_owned(),
        cluster_id: Some(cluster_id.to_owned()),
        ..ClientSettings::default()
    };
    NodeClient::new(env, node, settings, Arc::new(Plaintext))
}

fn run(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

/// Calls to the broker's listener that both makes answer alike.
async fn call_the_broker(env: &Env, broker: &Broker) {
    let port = broker.home().port;
    let client = client(env, 1, CLUSTER_ID, port);
    let metadata =
        client.send(MetadataRequest::default().with_topics(None), TIMEOUT).await.unwrap();
    assert_eq!(metadata.cluster_id.as_deref(), Some(CLUSTER_ID));
    assert_eq!(metadata.brokers.len(), 1);
    assert_eq!((metadata.brokers[0].node_id.0, metadata.brokers[0].port), (1, i32::from(port)));
    let names: Vec<_> = metadata.topics.iter().filter_map(|topic| topic.name.as_ref()).collect();
    assert_eq!(names, [&topic_name("t")]);
    let versions = client.versions().unwrap();
    assert_eq!(versions.api(key::Fetch), Some(Versions { first: 4, last: 18 }));
    assert_eq!(versions.api(key::Vote), None, "brokers do not vote");
    // Each older version of one API, on the same connection.
    for version in 0..=13 {
        let only = Versions { first: version, last: version };
        let request = |_| MetadataRequest::default().with_topics(Some(Vec::new()));
        let metadata = client.send_within(only, TIMEOUT, request).await.unwrap();
        assert_eq!(metadata.brokers.len(), 1, "version {version}");
    }
    client.close().await;
}

/// A node that is not the one that is meant is left before the first request (KIP-1242).
async fn call_the_wrong_node(env: &Env, broker: &Broker) {
    for (id, cluster_id) in [(2, CLUSTER_ID), (1, "b3RoZXItY2x1c3Rlci1pZA")] {
        let client = client(env, id, cluster_id, broker.home().port);
        let error = client.send(MetadataRequest::default(), TIMEOUT).await.unwrap_err();
        let CallError::Unsent { reason, .. } = error else { panic!("{error}") };
        assert_eq!(reason, UnsentReason::Connect(ConnectError::WrongNode));
    }
}

/// What an observer of the metadata log sends first.
fn observer_fetch(leader_epoch: i32) -> FetchRequest {
    let partition = fetch_request::FetchPartition::default()
        .with_current_leader_epoch(leader_epoch)
        .with_last_fetched_epoch(0)
        .with_partition_max_bytes(1_000_000);
    let topic = fetch_request::FetchTopic::default()
        .with_topic_id(uuid::Uuid::from_bytes(METADATA_TOPIC_ID))
        .with_partitions(vec![partition]);
    let replica = fetch_request::ReplicaState::default().with_replica_id(3_000.into());
    FetchRequest::default()
        .with_cluster_id(Some(text(CLUSTER_ID)))
        .with_replica_state(replica)
        .with_max_wait_ms(500)
        .with_max_bytes(1_000_000)
        .with_topics(vec![topic])
}

#[test]
fn the_client_calls_apache_kafka_as_another_node() {
    let plan = Broker::plan("node-client-kafka").run_by(Make::Apache(Release::V4_4_0));
    let broker = plan.start();
    create_topic(&broker, "t", 1, &[]);
    let env = Env::real(&Limits::raise()).unwrap();
    run(async {
        call_the_broker(&env, &broker).await;
        call_the_wrong_node(&env, &broker).await;

        let controller = client(&env, 1, CLUSTER_ID, broker.home().controller_port);
        let partition = describe_quorum_request::PartitionData::default();
        let topic = describe_quorum_request::TopicData::default()
            .with_topic_name(topic_name("__cluster_metadata"))
            .with_partitions(vec![partition]);
        let quorum = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let quorum = controller.send(quorum, TIMEOUT).await.unwrap();
        let partition = &quorum.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id.0), (0, 1));
        let (epoch, high_watermark) = (partition.leader_epoch, partition.high_watermark);

        // A fetch from offset 0 is answered with records, or with the snapshot to begin with.
        let fetched = controller.send(observer_fetch(epoch), TIMEOUT).await.unwrap();
        assert_eq!(fetched.error_code, ErrorCode::None.code());
        let partition = &fetched.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        assert_eq!(partition.current_leader.leader_id.0, 1);
        assert!(partition.high_watermark >= high_watermark);
        let snapshot = &partition.snapshot_id;
        if snapshot.epoch < 0 {
            assert!(!partition.records.as_ref().unwrap().is_empty());
            return;
        }
        let id = fetch_snapshot_request::SnapshotId::default()
            .with_end_offset(snapshot.end_offset)
            .with_epoch(snapshot.epoch);
        let part = fetch_snapshot_request::PartitionSnapshot::default()
            .with_current_leader_epoch(partition.current_leader.leader_epoch)
            .with_snapshot_id(id);
        let topic = fetch_snapshot_request::TopicSnapshot::default()
            .with_name(topic_name("__cluster_metadata"))
            .with_partitions(vec![part]);
        let request = FetchSnapshotRequest::default()
            .with_cluster_id(Some(text(CLUSTER_ID)))
            .with_replica_id(3_000.into())
            .with_max_bytes(1_000_000)
            .with_topics(vec![topic]);
        let piece = controller.send(request, TIMEOUT).await.unwrap();
        let piece = &piece.topics[0].partitions[0];
        assert_eq!(piece.error_code, 0);
        assert!(piece.size > 0 && !piece.unaligned_records.is_empty());
    });
}

#[test]
fn the_client_calls_blumfeld_as_another_node() {
    let broker = Broker::plan("node-client-own").run_by(Make::Blumfeld).start();
    create_topic(&broker, "t", 1, &[]);
    let env = Env::real(&Limits::raise()).unwrap();
    run(async {
        call_the_broker(&env, &broker).await;
        call_the_wrong_node(&env, &broker).await;
    });
}

#[test]
fn a_node_that_was_killed_is_reported_and_found_again_after_its_restart() {
    let broker = Broker::plan("node-client-kill").run_by(Make::Blumfeld).start();
    let env = Env::real(&Limits::raise()).unwrap();
    let client = client(&env, 1, CLUSTER_ID, broker.home().port);
    run(async {
        client.send(MetadataRequest::default(), TIMEOUT).await.unwrap();
        let plan = broker.kill();
        let error = client.send(MetadataRequest::default(), TIMEOUT).await.unwrap_err();
        let text = error.to_string();
        assert!(!error.was_sent() && text.contains("refused"), "{text}");
        let _broker = plan.start();
        client.send(MetadataRequest::default(), TIMEOUT).await.unwrap();
    });
}
