//! Whole brokers with an authorizer: what a client may not do it does not do, in every API.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[allow(dead_code, unused_imports, reason = "every test program uses its part of it")]
mod support;

use std::time::Duration;

use blumfeld::env::sim::{Crash, World};
use blumfeld::metadata::authorizer::{Operation, ResourceKind};
use blumfeld::protocol::apis::{facts, key};
use blumfeld::record::BatchBuilder;
use blumfeld::server::apis::{APIS, On};
use blumfeld::types::{ErrorCode, Timestamp};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use support::broker::{PORT, SimBroker};
use support::client::Client;
use support::simulate;

const HOST: &str = "broker";
const STANDARD: (&str, &str) =
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
/// Nobody may anything.
const CLOSED: &[(&str, &str)] = &[STANDARD];
/// Everybody may what no entry is about.
const OPEN: &[(&str, &str)] = &[
    STANDARD,
    ("allow.everyone.if.no.acl.found", "true"),
    // There is one broker, and groups need their topic.
    ("offsets.topic.replication.factor", "1"),
];
/// How often something is tried that a coordinator needs time for.
const TRIES_MAX: usize = 100;
/// There are only super users.
const SUPER: &[(&str, &str)] = &[STANDARD, ("super.users", "User:ANONYMOUS")];

const OK: i16 = 0;
const NO_TOPIC: i16 = ErrorCode::TopicAuthorizationFailed.code();
const NO_GROUP: i16 = ErrorCode::GroupAuthorizationFailed.code();
const NO_CLUSTER: i16 = ErrorCode::ClusterAuthorizationFailed.code();
const NO_TRANSACTION: i16 = ErrorCode::TransactionalIdAuthorizationFailed.code();
const DISABLED: i16 = ErrorCode::SecurityDisabled.code();

const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;
const ALL: i8 = 2;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn group_id(name: &str) -> GroupId {
    GroupId(text(name))
}

/// One broker, and a client of its listener and one of the controller's.
struct Story {
    broker: SimBroker,
    client: Client,
    admin: Client,
    world: World,
}

impl Story {
    async fn begin(world: World, properties: &'static [(&'static str, &'static str)]) -> Self {
        let mut broker = SimBroker::new(&world, HOST, properties);
        broker.start_and_serve().await;
        let env = world.machine("client").start();
        let client = Client::connect(&env, HOST, PORT).await.unwrap();
        let admin = Client::connect(&env, HOST, PORT + 1).await.unwrap();
        Self { broker, client, admin, world }
    }

    async fn connect_again(&mut self) {
        let env = self.world.machine("client-again").start();
        self.client = Client::connect(&env, HOST, PORT).await.unwrap();
        self.admin = Client::connect(&env, HOST, PORT + 1).await.unwrap();
    }

    async fn create_topics(&mut self, names: &[&str]) -> Vec<i16> {
        let topics = names.iter().map(|name| {
            create_topics_request::CreatableTopic::default()
                .with_name(topic_name(name))
                .with_num_partitions(1)
                .with_replication_factor(1)
        });
        let request =
            CreateTopicsRequest::default().with_topics(topics.collect()).with_timeout_ms(10_000);
        let response = self.client.call(7, &request).await.unwrap();
        let of = |name: &&str| response.topics.iter().find(|t| *t.name.0 == **name).unwrap();
        names.iter().map(|name| of(name).error_code).collect()
    }

    /// Creates an entry; by everyone, since there are no others here.
    async fn create_acl(&mut self, acl: Entry<'_>) -> i16 {
        self.create_acls(&[acl]).await[0]
    }

    /// Creates entries at once: the first about the cluster ends what everyone may do with it.
    async fn create_acls(&mut self, acls: &[Entry<'_>]) -> Vec<i16> {
        let creations = acls.iter().map(|acl| creation(*acl)).collect();
        let request = CreateAclsRequest::default().with_creations(creations);
        let response = self.client.call(3, &request).await.unwrap();
        response.results.iter().map(|result| result.error_code).collect()
    }

    /// Deletes all entries; how many there were.
    async fn delete_acls(&mut self) -> usize {
        let request = DeleteAclsRequest::default().with_filters(vec![any_filter()]);
        let response = self.client.call(3, &request).await.unwrap();
        response.filter_results[0].matching_acls.len()
    }

    async fn metadata(&mut self, request: &MetadataRequest) -> Vec<(Option<String>, i16)> {
        let response = self.client.call(12, request).await.unwrap();
        let topics = response.topics.into_iter();
        topics.map(|t| (t.name.map(|name| name.0.to_string()), t.error_code)).collect()
    }

    async fn produce(&mut self, topic: &str) -> i16 {
        let request = produce(topic, 1);
        let response = self.client.call(9, &request).await.unwrap();
        response.responses[0].partition_responses[0].error_code
    }
}

/// Permission, operation, type and name of the resource, type of the pattern.
type Entry<'a> = (i8, i8, ResourceKind, &'a str, i8);

fn creation(
    (permission, operation, kind, name, pattern): Entry<'_>,
) -> create_acls_request::AclCreation {
    create_acls_request::AclCreation::default()
        .with_resource_type(kind as i8)
        .with_resource_name(text(name))
        .with_resource_pattern_type(pattern)
        .with_principal(text("User:ANONYMOUS"))
        .with_host(text("*"))
        .with_operation(operation)
        .with_permission_type(permission)
}

fn any_filter() -> delete_acls_request::DeleteAclsFilter {
    delete_acls_request::DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(1)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1)
}

fn describe_all() -> DescribeAclsRequest {
    DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(1)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1)
}

fn produce(topic: &str, acks: i16) -> ProduceRequest {
    let mut batch = BatchBuilder::new(0);
    batch.push(Timestamp(1_767_225_600_000), None, Some(b"value"));
    let batch = batch.build().unwrap();
    let partition = produce_request::PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch.into()));
    let data = produce_request::TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![partition]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![data])
}

fn named(topics: &[&str]) -> MetadataRequest {
    let topics = topics.iter().map(|name| {
        metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)))
    });
    MetadataRequest::default()
        .with_topics(Some(topics.collect()))
        .with_allow_auto_topic_creation(true)
}

/// Asks with the right request of an API, and gives the codes of the answer.
macro_rules! ask {
    ($client:ident, $version:literal, $request:expr, |$response:ident| $codes:expr) => {{
        let $response = $client.call($version, &$request).await.unwrap();
        let codes: Vec<i16> = $codes;
        codes
    }};
}

/// What a client that may nothing is told by the APIs of records and topics.
async fn refused_on_topics(client: &mut Client, api: i16) -> Option<Vec<i16>> {
    let name = || topic_name("t");
    Some(match api {
        key::Produce => ask!(client, 9, produce("t", 1), |r| {
            r.responses[0].partition_responses.iter().map(|p| p.error_code).collect()
        }),
        key::Fetch => {
            let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(9);
            let topic = fetch_request::FetchTopic::default()
                .with_topic(name())
                .with_partitions(vec![partition]);
            let request = FetchRequest::default()
                .with_replica_id((-1).into())
                .with_max_bytes(9)
                .with_session_epoch(-1)
                .with_topics(vec![topic]);
            ask!(client, 12, request, |r| vec![r.responses[0].partitions[0].error_code])
        }
        key::ListOffsets => {
            let partition =
                list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
            let topic = list_offsets_request::ListOffsetsTopic::default()
                .with_name(name())
                .with_partitions(vec![partition]);
            let request =
                ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
            ask!(client, 7, request, |r| vec![r.topics[0].partitions[0].error_code])
        }
        key::Metadata => ask!(client, 12, named(&["t"]), |r| vec![r.topics[0].error_code]),
        key::CreateTopics => {
            let topic = create_topics_request::CreatableTopic::default()
                .with_name(name())
                .with_num_partitions(1)
                .with_replication_factor(1);
            let request = CreateTopicsRequest::default().with_topics(vec![topic]);
            ask!(client, 7, request, |r| vec![r.topics[0].error_code])
        }
        key::DeleteTopics => {
            let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(name()));
            let request =
                DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
            ask!(client, 6, request, |r| vec![r.responses[0].error_code])
        }
        key::DeleteRecords => {
            let partition = delete_records_request::DeleteRecordsPartition::default();
            let topic = delete_records_request::DeleteRecordsTopic::default()
                .with_name(name())
                .with_partitions(vec![partition]);
            let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
            ask!(client, 2, request, |r| vec![r.topics[0].partitions[0].error_code])
        }
        key::OffsetForLeaderEpoch => {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(name())
                .with_partitions(vec![partition]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            ask!(client, 4, request, |r| vec![r.topics[0].partitions[0].error_code])
        }
        key::CreatePartitions => {
            let topic = create_partitions_request::CreatePartitionsTopic::default()
                .with_name(name())
                .with_count(2);
            let request =
                CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
            ask!(client, 3, request, |r| vec![r.results[0].error_code])
        }
        key::DescribeProducers => {
            let topic = describe_producers_request::TopicRequest::default()
                .with_name(name())
                .with_partition_indexes(vec![0]);
            let request = DescribeProducersRequest::default().with_topics(vec![topic]);
            ask!(client, 0, request, |r| vec![r.topics[0].partitions[0].error_code])
        }
        key::DescribeTopicPartitions => {
            let topic =
                describe_topic_partitions_request::TopicRequest::default().with_name(name());
            let request = DescribeTopicPartitionsRequest::default()
                .with_topics(vec![topic])
                .with_response_partition_limit(9);
            ask!(client, 0, request, |r| vec![r.topics[0].error_code])
        }
        key::DescribeConfigs => {
            let resource = |kind, name: &str| {
                describe_configs_request::DescribeConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(text(name))
            };
            let request = DescribeConfigsRequest::default().with_resources(vec![
                resource(2, "t"),
                resource(4, "1"),
                resource(32, "g"),
            ]);
            ask!(client, 4, request, |r| r.results.iter().map(|r| r.error_code).collect())
        }
        key::AlterConfigs => {
            let resource = |kind, name: &str| {
                alter_configs_request::AlterConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(text(name))
            };
            let resources = vec![resource(2, "t"), resource(4, "1"), resource(32, "g")];
            let request = AlterConfigsRequest::default().with_resources(resources);
            ask!(client, 2, request, |r| r.responses.iter().map(|r| r.error_code).collect())
        }
        key::IncrementalAlterConfigs => {
            let resource = |kind, name: &str| {
                incremental_alter_configs_request::AlterConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(text(name))
            };
            let resources =
                vec![resource(2, "t"), resource(4, "1"), resource(8, "1"), resource(32, "g")];
            let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
            ask!(client, 1, request, |r| r.responses.iter().map(|r| r.error_code).collect())
        }
        _ => return None,
    })
}

/// The same of the APIs of groups and transactions.
async fn refused_on_groups(client: &mut Client, api: i16) -> Option<Vec<i16>> {
    let group = || group_id("g");
    let id = || TransactionalId(text("x"));
    Some(match api {
        key::OffsetCommit => {
            let partition = offset_commit_request::OffsetCommitRequestPartition::default();
            let topic = offset_commit_request::OffsetCommitRequestTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![partition]);
            let request =
                OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![topic]);
            ask!(client, 8, request, |r| vec![r.topics[0].partitions[0].error_code])
        }
        key::OffsetFetch => {
            let request = OffsetFetchRequest::default().with_group_id(group()).with_topics(None);
            ask!(client, 7, request, |r| vec![r.error_code])
        }
        key::FindCoordinator => {
            let of = |key_type| {
                FindCoordinatorRequest::default()
                    .with_key_type(key_type)
                    .with_coordinator_keys(vec![text("k")])
            };
            let mut codes = ask!(client, 4, of(0), |r| vec![r.coordinators[0].error_code]);
            codes.extend(ask!(client, 4, of(1), |r| vec![r.coordinators[0].error_code]));
            codes
        }
        key::JoinGroup => {
            let request = JoinGroupRequest::default().with_group_id(group());
            ask!(client, 5, request, |r| vec![r.error_code])
        }
        key::Heartbeat => {
            let request = HeartbeatRequest::default().with_group_id(group());
            ask!(client, 3, request, |r| vec![r.error_code])
        }
        key::LeaveGroup => {
            let request = LeaveGroupRequest::default().with_group_id(group());
            ask!(client, 3, request, |r| vec![r.error_code])
        }
        key::SyncGroup => {
            let request = SyncGroupRequest::default().with_group_id(group());
            ask!(client, 3, request, |r| vec![r.error_code])
        }
        key::ConsumerGroupHeartbeat => {
            let request = ConsumerGroupHeartbeatRequest::default().with_group_id(group());
            vec![client.call(1, &request).await.unwrap().error_code]
        }
        key::ConsumerGroupDescribe => {
            let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()]);
            let response = client.call(1, &request).await.unwrap();
            response.groups.iter().map(|group| group.error_code).collect()
        }
        key::DescribeGroups => {
            let request = DescribeGroupsRequest::default().with_groups(vec![group()]);
            ask!(client, 5, request, |r| vec![r.groups[0].error_code])
        }
        key::DeleteGroups => {
            let request = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
            ask!(client, 2, request, |r| vec![r.results[0].error_code])
        }
        key::OffsetDelete => {
            let request = OffsetDeleteRequest::default().with_group_id(group());
            ask!(client, 0, request, |r| vec![r.error_code])
        }
        key::InitProducerId => {
            let of = |id: Option<TransactionalId>| {
                InitProducerIdRequest::default()
                    .with_transactional_id(id)
                    .with_producer_id((-1).into())
                    .with_producer_epoch(-1)
            };
            let mut codes = ask!(client, 4, of(None), |r| vec![r.error_code]);
            codes.extend(ask!(client, 4, of(Some(id())), |r| vec![r.error_code]));
            codes
        }
        key::AddPartitionsToTxn => {
            let topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![0]);
            let request = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(id())
                .with_v3_and_below_topics(vec![topic]);
            let mut codes = ask!(client, 3, request, |r| {
                let topics = r.results_by_topic_v3_and_below.iter();
                topics.map(|t| t.results_by_partition[0].partition_error_code).collect()
            });
            let request = AddPartitionsToTxnRequest::default();
            codes.extend(ask!(client, 4, request, |r| vec![r.error_code]));
            codes
        }
        key::AddOffsetsToTxn => {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(id())
                .with_group_id(group());
            ask!(client, 3, request, |r| vec![r.error_code])
        }
        key::EndTxn => {
            let request = EndTxnRequest::default().with_transactional_id(id());
            ask!(client, 3, request, |r| vec![r.error_code])
        }
        key::WriteTxnMarkers => {
            let topic = write_txn_markers_request::WritableTxnMarkerTopic::default()
                .with_name(topic_name("t"))
                .with_partition_indexes(vec![0]);
            let marker =
                write_txn_markers_request::WritableTxnMarker::default().with_topics(vec![topic]);
            let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
            ask!(client, 1, request, |r| vec![r.markers[0].topics[0].partitions[0].error_code])
        }
        key::TxnOffsetCommit => {
            let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
            let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![partition]);
            let request = TxnOffsetCommitRequest::default()
                .with_transactional_id(id())
                .with_group_id(group())
                .with_topics(vec![topic]);
            ask!(client, 3, request, |r| vec![r.topics[0].partitions[0].error_code])
        }
        key::DescribeTransactions => {
            let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]);
            ask!(client, 0, request, |r| vec![r.transaction_states[0].error_code])
        }
        _ => return None,
    })
}

/// The same of the APIs of the cluster.
async fn refused_on_the_cluster(client: &mut Client, api: i16) -> Option<Vec<i16>> {
    Some(match api {
        key::DescribeAcls => ask!(client, 3, describe_all(), |r| vec![r.error_code]),
        key::CreateAcls => {
            let entry = (ALLOW, ALL, ResourceKind::Cluster, "kafka-cluster", LITERAL);
            let request = CreateAclsRequest::default().with_creations(vec![creation(entry)]);
            ask!(client, 3, request, |r| vec![r.results[0].error_code])
        }
        key::DeleteAcls => {
            let request = DeleteAclsRequest::default().with_filters(vec![any_filter()]);
            ask!(client, 3, request, |r| vec![r.filter_results[0].error_code])
        }
        key::DescribeLogDirs => {
            let request = DescribeLogDirsRequest::default().with_topics(None);
            ask!(client, 4, request, |r| vec![r.error_code])
        }
        key::AlterReplicaLogDirs => {
            let topic = alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![0]);
            let dir = alter_replica_log_dirs_request::AlterReplicaLogDir::default()
                .with_path(text("/data"))
                .with_topics(vec![topic]);
            let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
            ask!(client, 2, request, |r| vec![r.results[0].partitions[0].error_code])
        }
        key::ElectLeaders => {
            let request = ElectLeadersRequest::default().with_topic_partitions(None);
            ask!(client, 2, request, |r| vec![r.error_code])
        }
        key::AlterPartitionReassignments => {
            let request = AlterPartitionReassignmentsRequest::default();
            ask!(client, 0, request, |r| vec![r.error_code])
        }
        key::ListPartitionReassignments => {
            let request = ListPartitionReassignmentsRequest::default().with_topics(None);
            ask!(client, 0, request, |r| vec![r.error_code])
        }
        key::DescribeClientQuotas => {
            ask!(client, 1, DescribeClientQuotasRequest::default(), |r| vec![r.error_code])
        }
        key::AlterClientQuotas => {
            let request = AlterClientQuotasRequest::default()
                .with_entries(vec![alter_client_quotas_request::EntryData::default()]);
            ask!(client, 1, request, |r| vec![r.entries[0].error_code])
        }
        key::DescribeUserScramCredentials => {
            let request = DescribeUserScramCredentialsRequest::default();
            ask!(client, 0, request, |r| vec![r.error_code])
        }
        key::AlterUserScramCredentials => {
            let deletion = alter_user_scram_credentials_request::ScramCredentialDeletion::default()
                .with_name(text("ann"))
                .with_mechanism(1);
            let request =
                AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion]);
            ask!(client, 0, request, |r| vec![r.results[0].error_code])
        }
        key::DescribeQuorum => {
            ask!(client, 1, DescribeQuorumRequest::default(), |r| vec![r.error_code])
        }
        key::UpdateFeatures => {
            ask!(client, 1, UpdateFeaturesRequest::default(), |r| vec![r.error_code])
        }
        key::UnregisterBroker => {
            let request = UnregisterBrokerRequest::default().with_broker_id(7.into());
            ask!(client, 0, request, |r| vec![r.error_code])
        }
        key::AllocateProducerIds => {
            let request = AllocateProducerIdsRequest::default().with_broker_id(1.into());
            ask!(client, 0, request, |r| vec![r.error_code])
        }
        key::ListConfigResources => {
            ask!(client, 1, ListConfigResourcesRequest::default(), |r| vec![r.error_code])
        }
        _ => return None,
    })
}

/// APIs that show a client that may nothing an empty list, or leave rights out.
const THAT_ONLY_SHOW_LESS: &[i16] = &[key::ListGroups, key::ListTransactions, key::DescribeCluster];

#[test]
fn whoever_may_nothing_is_refused_by_every_api() {
    simulate("whoever_may_nothing_is_refused_by_every_api", 1, |world| async move {
        let mut story = Story::begin(world, CLOSED).await;
        for api in APIS.iter().filter(|api| !api.authorizes.is_empty()) {
            let name = facts(api.key).unwrap().name;
            if THAT_ONLY_SHOW_LESS.contains(&api.key) {
                continue;
            }
            for on_controller in [false, true] {
                let serves =
                    if on_controller { api.on != On::Broker } else { api.on != On::Controller };
                if !serves {
                    continue;
                }
                let client = if on_controller { &mut story.admin } else { &mut story.client };
                let mut codes = refused_on_topics(client, api.key).await;
                if codes.is_none() {
                    codes = refused_on_groups(client, api.key).await;
                }
                if codes.is_none() {
                    codes = refused_on_the_cluster(client, api.key).await;
                }
                let codes = codes.unwrap_or_else(|| panic!("no story tells of {name}"));
                assert!(!codes.is_empty(), "{name}");
                for code in codes {
                    let kinds = api.authorizes.iter();
                    let stated: Vec<i16> = kinds.map(|(kind, _)| kind.refusal().code()).collect();
                    assert!(stated.contains(&code), "{name} answers {code}, not one of {stated:?}");
                }
            }
        }
        // A producer that wants no answer loses its connection.
        story.client.send(9, &produce("t", 0)).await.unwrap();
        assert!(story.client.answer::<ProduceRequest>(9).await.is_err());
    });
}

#[test]
fn an_api_without_a_right_reports_versions_or_refuses_everyone() {
    let free: Vec<i16> =
        APIS.iter().filter(|api| api.authorizes.is_empty()).map(|api| api.key).collect();
    let expected = [
        key::SaslHandshake,
        key::ApiVersions,
        key::SaslAuthenticate,
        key::CreateDelegationToken,
        key::RenewDelegationToken,
        key::ExpireDelegationToken,
        key::DescribeDelegationToken,
    ];
    assert_eq!(free, expected);
}

#[test]
fn a_super_user_may_everything_that_it_is_denied() {
    simulate("a_super_user_may_everything_that_it_is_denied", 1, |world| async move {
        let mut story = Story::begin(world, SUPER).await;
        let everything = (DENY, ALL, ResourceKind::Topic, "*", LITERAL);
        assert_eq!(story.create_acl(everything).await, OK);
        assert_eq!(story.create_topics(&["t"]).await, [OK]);
        assert_eq!(story.produce("t").await, OK);
        assert_eq!(story.metadata(&named(&["t"])).await, [(Some("t".to_owned()), OK)]);
    });
}

#[test]
fn a_topic_that_may_not_be_seen_is_not_there_for_the_client() {
    simulate("a_topic_that_may_not_be_seen_is_not_there_for_the_client", 1, |world| async move {
        let mut story = Story::begin(world, OPEN).await;
        assert_eq!(story.create_topics(&["seen", "hidden-a"]).await, [OK, OK]);
        let hide = (DENY, ALL, ResourceKind::Topic, "hidden", PREFIXED);
        assert_eq!(story.create_acl(hide).await, OK);
        let all = MetadataRequest::default().with_topics(None);
        assert_eq!(story.metadata(&all).await, [(Some("seen".to_owned()), OK)]);
        // One that there is and one that there is not cannot be told apart.
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            story.metadata(&named(&["hidden-a", "hidden-b", "seen"])).await,
            [(name("seen"), OK), (name("hidden-a"), NO_TOPIC), (name("hidden-b"), NO_TOPIC)]
        );
        for topic in ["hidden-a", "hidden-b"] {
            assert_eq!(story.produce(topic).await, NO_TOPIC);
        }
        assert_eq!(
            story.create_topics(&["hidden-b", "other"]).await,
            [OK, OK],
            "the cluster is free"
        );
        assert_eq!(story.delete_acls().await, 1);
        assert_eq!(story.produce("hidden-a").await, OK);
    });
}

#[test]
fn entries_hold_after_a_restart_and_are_shown_on_both_listeners() {
    simulate(
        "entries_hold_after_a_restart_and_are_shown_on_both_listeners",
        1,
        |world| async move {
            let mut story = Story::begin(world, OPEN).await;
            assert_eq!(story.create_topics(&["t"]).await, [OK]);
            let deny = (DENY, Operation::Write as i8, ResourceKind::Topic, "t", LITERAL);
            let allow = (ALLOW, ALL, ResourceKind::Topic, "t", LITERAL);
            for entry in [deny, allow, allow] {
                assert_eq!(story.create_acl(entry).await, OK);
            }
            story.broker.crash(Crash::PowerLoss);
            story.broker.start_and_serve().await;
            story.connect_again().await;
            assert_eq!(story.produce("t").await, NO_TOPIC);
            for client in [&mut story.client, &mut story.admin] {
                let response = client.call(3, &describe_all()).await.unwrap();
                assert_eq!(response.error_code, OK);
                let found: Vec<(&str, usize)> =
                    response.resources.iter().map(|r| (&*r.resource_name, r.acls.len())).collect();
                assert_eq!(found, [("t", 2)]);
            }
            assert_eq!(story.delete_acls().await, 2);
            assert_eq!(story.produce("t").await, OK);
        },
    );
}

#[test]
fn what_may_be_done_is_told_with_the_topic() {
    simulate("what_may_be_done_is_told_with_the_topic", 1, |world| async move {
        let mut story = Story::begin(world, OPEN).await;
        assert_eq!(story.create_topics(&["t"]).await, [OK]);
        let entry = (ALLOW, Operation::Read as i8, ResourceKind::Topic, "t", LITERAL);
        assert_eq!(story.create_acl(entry).await, OK);
        let request = named(&["t"])
            .with_include_topic_authorized_operations(true)
            .with_include_cluster_authorized_operations(true);
        let response = story.client.call(9, &request).await.unwrap();
        assert_eq!(response.topics[0].topic_authorized_operations, 1 << 3 | 1 << 8);
        let all = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
        assert_eq!(response.cluster_authorized_operations, all);
        let entry =
            (DENY, Operation::Describe as i8, ResourceKind::Cluster, "kafka-cluster", LITERAL);
        assert_eq!(story.create_acl(entry).await, OK);
        let response = story.client.call(9, &request).await.unwrap();
        assert_eq!(response.cluster_authorized_operations, 0);
    });
}

#[test]
fn a_topic_comes_into_being_only_for_whoever_may_create_it() {
    simulate("a_topic_comes_into_being_only_for_whoever_may_create_it", 1, |world| async move {
        let mut story = Story::begin(world, OPEN).await;
        let cluster =
            (DENY, Operation::Create as i8, ResourceKind::Cluster, "kafka-cluster", LITERAL);
        let topics = (DENY, Operation::Create as i8, ResourceKind::Topic, "no", PREFIXED);
        let seen = (ALLOW, Operation::Describe as i8, ResourceKind::Topic, "no", PREFIXED);
        assert_eq!(story.create_acls(&[cluster, topics, seen]).await, [OK, OK, OK]);
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            story.metadata(&named(&["no", "yes"])).await,
            [(name("no"), NO_TOPIC), (name("yes"), OK)]
        );
        assert_eq!(story.create_topics(&["no-a", "yes-a"]).await, [NO_TOPIC, OK]);
    });
}

#[test]
fn a_group_is_listed_and_its_offsets_are_told_only_to_whoever_may_see_them() {
    let test = "a_group_is_listed_and_its_offsets_are_told_only_to_whoever_may_see_them";
    simulate(test, 1, |world| async move {
        let mut story = Story::begin(world, OPEN).await;
        assert_eq!(story.create_topics(&["t", "u"]).await, [OK, OK]);
        let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
        for attempt in 0.. {
            let found = story.client.call(4, &find).await.unwrap();
            if found.coordinators[0].error_code == OK {
                break;
            }
            assert!(attempt < TRIES_MAX, "{found:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let offset = || {
            offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(3)
        };
        let topics = ["t", "u"].map(|name| {
            offset_commit_request::OffsetCommitRequestTopic::default()
                .with_name(topic_name(name))
                .with_partitions(vec![offset()])
        });
        let commit = OffsetCommitRequest::default()
            .with_group_id(group_id("g"))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.to_vec());
        let codes = |response: OffsetCommitResponse| -> Vec<i16> {
            response.topics.iter().map(|topic| topic.partitions[0].error_code).collect()
        };
        for attempt in 0.. {
            // The coordinator may still load.
            let found = codes(story.client.call(8, &commit).await.unwrap());
            if found == [OK, OK] {
                break;
            }
            assert!(attempt < TRIES_MAX, "{found:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let read = (DENY, ALL, ResourceKind::Topic, "u", LITERAL);
        assert_eq!(story.create_acl(read).await, OK);
        assert_eq!(codes(story.client.call(8, &commit).await.unwrap()), [OK, NO_TOPIC]);
        let all = OffsetFetchRequest::default().with_group_id(group_id("g")).with_topics(None);
        let told = story.client.call(7, &all).await.unwrap();
        let names: Vec<&str> = told.topics.iter().map(|topic| topic.name.0.as_str()).collect();
        assert_eq!(names, ["t"]);
        let list = ListGroupsRequest::default();
        assert_eq!(story.client.call(4, &list).await.unwrap().groups.len(), 1);
        let hide_all =
            (DENY, Operation::Describe as i8, ResourceKind::Cluster, "kafka-cluster", LITERAL);
        let hide = (DENY, ALL, ResourceKind::Group, "g", LITERAL);
        assert_eq!(story.create_acls(&[hide_all, hide]).await, [OK, OK]);
        assert_eq!(story.client.call(4, &list).await.unwrap().groups.len(), 0);
        assert_eq!(story.client.call(7, &all).await.unwrap().error_code, NO_GROUP);
        assert_eq!(codes(story.client.call(8, &commit).await.unwrap()), [NO_GROUP, NO_GROUP]);
    });
}

#[test]
fn an_idempotent_producer_needs_a_topic_that_it_may_write_to_and_a_transaction_its_id() {
    let test = "an_idempotent_producer_needs_a_topic_that_it_may_write_to_and_a_transaction_its_id";
    simulate(test, 1, |world| async move {
        let mut story = Story::begin(world, OPEN).await;
        let cluster = |permission, operation: Operation| {
            (permission, operation as i8, ResourceKind::Cluster, "kafka-cluster", LITERAL)
        };
        let entries = [
            (DENY, ALL, ResourceKind::Topic, "*", LITERAL),
            cluster(DENY, Operation::IdempotentWrite),
            cluster(ALLOW, Operation::Alter),
            (DENY, ALL, ResourceKind::TransactionalId, "x", LITERAL),
        ];
        assert_eq!(story.create_acls(&entries).await, [OK; 4]);
        let request = |id: Option<&str>| {
            InitProducerIdRequest::default()
                .with_transactional_id(id.map(|id| TransactionalId(text(id))))
                .with_transaction_timeout_ms(1_000)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1)
        };
        let code = story.client.call(4, &request(None)).await.unwrap().error_code;
        assert_eq!(code, NO_CLUSTER);
        let code = story.client.call(4, &request(Some("x"))).await.unwrap().error_code;
        assert_eq!(code, NO_TRANSACTION);
        assert_eq!(story.delete_acls().await, 4);
        assert_eq!(story.client.call(4, &request(None)).await.unwrap().error_code, OK);
    });
}

#[test]
fn an_entry_that_is_none_is_refused_in_its_place() {
    simulate("an_entry_that_is_none_is_refused_in_its_place", 1, |world| async move {
        let mut story = Story::begin(world, OPEN).await;
        let request = CreateAclsRequest::default().with_creations(vec![
            creation((ALLOW, ALL, ResourceKind::Topic, "t", LITERAL)),
            creation((ALLOW, ALL, ResourceKind::Cluster, "other", LITERAL)),
            creation((ALLOW, 99, ResourceKind::Topic, "t", LITERAL)),
            creation((ALLOW, ALL, ResourceKind::Topic, "", LITERAL)),
            creation((ALLOW, ALL, ResourceKind::Topic, "u", PREFIXED)),
        ]);
        let response = story.admin.call(3, &request).await.unwrap();
        let told: Vec<(i16, Option<&str>)> =
            response.results.iter().map(|r| (r.error_code, r.error_message.as_deref())).collect();
        let invalid = ErrorCode::InvalidRequest.code();
        assert_eq!(
            told,
            [
                (OK, None),
                (invalid, Some("The only valid name for the CLUSTER resource is kafka-cluster")),
                (invalid, Some("Invalid operation UNKNOWN")),
                (invalid, Some("Invalid empty resource name")),
                (OK, None),
            ]
        );
        assert_eq!(story.delete_acls().await, 2);
    });
}

#[test]
fn without_an_authorizer_there_is_nothing_to_administrate() {
    simulate("without_an_authorizer_there_is_nothing_to_administrate", 1, |world| async move {
        let mut story = Story::begin(world, &[]).await;
        assert_eq!(story.create_topics(&["t"]).await, [OK]);
        let entry = (DENY, ALL, ResourceKind::Topic, "t", LITERAL);
        assert_eq!(story.create_acl(entry).await, DISABLED);
        for client in [&mut story.client, &mut story.admin] {
            assert_eq!(client.call(3, &describe_all()).await.unwrap().error_code, DISABLED);
            let request = DeleteAclsRequest::default().with_filters(vec![any_filter()]);
            let response = client.call(3, &request).await.unwrap();
            assert_eq!(response.filter_results[0].error_code, DISABLED);
        }
        assert_eq!(story.produce("t").await, OK);
    });
}
