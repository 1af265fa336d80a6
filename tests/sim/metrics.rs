//! Metrics of a whole broker under the names that dashboards query (Strimzi's `strimzi-kafka.json` and
//! Confluent's `jmx-monitoring-stacks`).

use blumfeld::record::BatchBuilder;
use blumfeld::types::{ErrorCode, Timestamp};
use bytes::Bytes;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    DeleteTopicsRequest, GroupId, HeartbeatRequest, OffsetCommitRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::group_stories::{PROPERTIES, coordinator};
use crate::support::broker::SimBroker;
use crate::support::simulate;
use crate::support::workload::{Session, TOPIC};

const HOST: &str = "broker";

/// Series with the value that they have after the scenario, `None` for any.
const SERIES: &[(&str, Option<f64>)] = &[
    ("kafka_controller_kafkacontroller_activebrokercount", Some(1.0)),
    ("kafka_controller_kafkacontroller_activecontrollercount", Some(1.0)),
    ("kafka_controller_kafkacontroller_fencedbrokercount", Some(0.0)),
    // Those of the test and __consumer_offsets, with two and seven partitions.
    ("kafka_controller_kafkacontroller_globalpartitioncount", Some(9.0)),
    ("kafka_controller_kafkacontroller_globaltopiccount", Some(2.0)),
    ("kafka_controller_kafkacontroller_lastappliedrecordoffset", None),
    ("kafka_controller_kafkacontroller_lastcommittedrecordoffset", None),
    ("kafka_controller_kafkacontroller_offlinepartitionscount", Some(0.0)),
    ("kafka_controller_kafkacontroller_preferredreplicaimbalancecount", Some(0.0)),
    ("kafka_cluster_partition_underminisr{topic=\"orders\",partition=\"0\"}", Some(0.0)),
    ("kafka_cluster_partition_atminisr{topic=\"orders\",partition=\"0\"}", Some(1.0)),
    ("kafka_cluster_partition_replicascount{topic=\"orders\",partition=\"0\"}", Some(1.0)),
    ("kafka_log_log_size{topic=\"orders\",partition=\"1\"}", Some(0.0)),
    ("kafka_log_log_logstartoffset{topic=\"orders\",partition=\"0\"}", Some(0.0)),
    ("kafka_log_log_logendoffset{topic=\"orders\",partition=\"0\"}", Some(2.0)),
    ("kafka_log_log_numlogsegments{topic=\"orders\",partition=\"0\"}", Some(1.0)),
    ("kafka_log_logmanager_offlinelogdirectorycount", Some(0.0)),
    ("kafka_log_logflushstats_logflushrateandtimems_count", None),
    ("kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"9\"}", Some(2.0)),
    ("kafka_network_requestmetrics_errors_total{request=\"Produce\",error=\"NONE\"}", Some(1.0)),
    (
        "kafka_network_requestmetrics_errors_total{request=\"Produce\",\
         error=\"UNKNOWN_TOPIC_OR_PARTITION\"}",
        Some(1.0),
    ),
    ("kafka_network_requestmetrics_errors_total{request=\"Fetch\",error=\"NONE\"}", Some(1.0)),
    (
        "kafka_network_requestmetrics_errors_total{request=\"Heartbeat\",\
         error=\"UNKNOWN_MEMBER_ID\"}",
        Some(1.0),
    ),
    (
        "kafka_network_requestmetrics_requests_total{request=\"FetchConsumer\",version=\"12\"}",
        Some(1.0),
    ),
    ("kafka_network_requestmetrics_requestqueuetimems_count{request=\"Produce\"}", Some(2.0)),
    ("kafka_network_requestmetrics_localtimems_count{request=\"Fetch\"}", Some(1.0)),
    ("kafka_network_requestmetrics_remotetimems_count{request=\"FetchConsumer\"}", Some(1.0)),
    ("kafka_network_requestmetrics_responsequeuetimems_count{request=\"Produce\"}", Some(2.0)),
    ("kafka_network_requestmetrics_responsesendtimems_count{request=\"Produce\"}", Some(2.0)),
    ("kafka_network_requestmetrics_totaltimems_count{request=\"Metadata\"}", None),
    ("kafka_network_requestmetrics_totaltimems{request=\"Produce\",quantile=\"0.99\"}", None),
    ("kafka_network_requestmetrics_throttletimems_count{request=\"Fetch\"}", Some(1.0)),
    ("kafka_network_requestmetrics_requestbytes_count{request=\"Produce\"}", Some(2.0)),
    ("kafka_network_requestmetrics_responsebytes_count{request=\"Produce\"}", Some(2.0)),
    ("kafka_network_socketserver_expiredconnectionskilledcount", Some(0.0)),
    ("kafka_network_socketserver_memorypoolused", Some(0.0)),
    ("kafka_server_broker_metadata_metrics_last_applied_record_offset", None),
    ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"}", Some(2.0)),
    ("kafka_server_brokertopicmetrics_bytesin_total", None),
    ("kafka_server_fetchsessioncache_numincrementalfetchsessions", Some(0.0)),
    ("kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", Some(0.0)),
    ("kafka_coordinator_group_groupmetadatamanager_numgroups", Some(1.0)),
    ("kafka_coordinator_group_groupmetadatamanager_numgroupsempty", Some(1.0)),
    ("kafka_coordinator_group_groupmetadatamanager_numgroupsstable", Some(0.0)),
    ("kafka_coordinator_group_groupmetadatamanager_numgroupsdead", Some(0.0)),
    ("kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance", Some(0.0)),
    ("kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance", Some(0.0)),
    ("kafka_server_group_coordinator_metrics_group_count{protocol=\"classic\"}", Some(1.0)),
    ("kafka_server_group_coordinator_metrics_consumer_group_count{state=\"stable\"}", Some(0.0)),
    ("kafka_server_kafkaserver_brokerstate", Some(3.0)),
    ("kafka_server_raft_metrics_current_epoch", None),
    ("kafka_server_raft_metrics_current_leader", Some(1.0)),
    ("kafka_server_raft_metrics_current_state{current_state=\"leader\"}", Some(1.0)),
    ("kafka_server_raft_metrics_high_watermark", None),
    ("kafka_server_raft_metrics_number_of_voters", Some(1.0)),
    ("kafka_server_replicamanager_leadercount", Some(9.0)),
    ("kafka_server_replicamanager_offlinereplicacount", Some(0.0)),
    ("kafka_server_replicamanager_partitioncount", Some(9.0)),
    ("kafka_server_replicamanager_underminisrpartitioncount", Some(0.0)),
    ("kafka_server_replicamanager_underreplicatedpartitions", Some(0.0)),
    ("kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\"}", Some(1.0)),
    (
        "kafka_server_socket_server_metrics_connection_creation_total{listener=\"PLAINTEXT\"}",
        Some(1.0),
    ),
    (
        "kafka_server_socket_server_metrics_connection_close_total{listener=\"PLAINTEXT\"}",
        Some(0.0),
    ),
];

/// An offset to commit.
fn committed() -> OffsetCommitRequestTopic {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(1);
    OffsetCommitRequestTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partitions(vec![partition])
}

#[test]
fn a_broker_has_the_series_that_dashboards_query() {
    simulate("metrics", 1, |world| async move {
        let mut broker = SimBroker::new(&world, HOST, PROPERTIES);
        broker.start_and_serve().await;
        let mut session = Session::new(world.machine("client").start(), HOST);
        session.create_topic().await;
        coordinator(&mut session).await;

        let batch = || {
            let mut builder = BatchBuilder::new(0);
            builder.push(Timestamp(1_767_225_600_000), None, Some(b"1"));
            builder.push(Timestamp(1_767_225_600_000), None, Some(b"2"));
            Bytes::from(builder.build().unwrap())
        };
        assert_eq!(session.produce(0, batch()).await.unwrap(), Ok(0));
        let refused = session.produce(99, batch()).await.unwrap();
        assert_eq!(refused, Err(ErrorCode::UnknownTopicOrPartition));
        session.fetch_bytes(0, 0, 1024).await.unwrap().unwrap();
        let commit = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![committed()]);
        let answer = session.call(8, &commit).await.unwrap();
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
        let heartbeat = HeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_member_id(StrBytes::from_static_str("nobody"))
            .with_generation_id(1);
        assert_eq!(session.call(4, &heartbeat).await.unwrap().error_code, 25);

        let text = broker.metrics();
        for (series, expected) in SERIES {
            let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            let value = line.unwrap_or_else(|| panic!("{series}: {text}"));
            let is_as_expected = expected.is_none_or(|expected| expected.to_string() == value);
            assert!(is_as_expected, "{series}: {value}");
        }

        assert!(text.contains("topic=\"orders\""));
        let name = TopicName(StrBytes::from_static_str(TOPIC));
        let topic = DeleteTopicState::default().with_name(Some(name));
        let delete =
            DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        assert_eq!(session.call(6, &delete).await.unwrap().responses[0].error_code, 0);
        assert!(!broker.metrics().contains("topic=\"orders\""), "series outlive their topic");
    });
}
