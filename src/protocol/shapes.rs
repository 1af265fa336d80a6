//! The shapes of all requests of Kafka 4.4: which fields a version has, and how long they are.
//! Facts for the walk in `shape.rs`; the order is that of the wire.

use super::apis::key;
use super::shape::Kind::{Array, Blob, Fixed, Str, Struct};
use super::shape::{Field, field, tagged};

const MAX: i16 = i16::MAX;

/// The fields of a request, by the number of its API.
pub(super) fn of(api: i16) -> Option<&'static [Field]> {
    Some(match api {
        key::Produce => PRODUCE,
        key::Fetch => FETCH,
        key::ListOffsets => LIST_OFFSETS,
        key::Metadata => METADATA,
        key::OffsetCommit => OFFSET_COMMIT,
        key::OffsetFetch => OFFSET_FETCH,
        key::FindCoordinator => FIND_COORDINATOR,
        key::JoinGroup => JOIN_GROUP,
        key::Heartbeat => HEARTBEAT,
        key::LeaveGroup => LEAVE_GROUP,
        key::SyncGroup => SYNC_GROUP,
        key::DescribeGroups => DESCRIBE_GROUPS,
        key::ListGroups => LIST_GROUPS,
        key::SaslHandshake => SASL_HANDSHAKE,
        key::ApiVersions => API_VERSIONS,
        key::CreateTopics => CREATE_TOPICS,
        key::DeleteTopics => DELETE_TOPICS,
        key::DeleteRecords => DELETE_RECORDS,
        key::InitProducerId => INIT_PRODUCER_ID,
        key::OffsetForLeaderEpoch => OFFSET_FOR_LEADER_EPOCH,
        key::AddPartitionsToTxn => ADD_PARTITIONS_TO_TXN,
        key::AddOffsetsToTxn => ADD_OFFSETS_TO_TXN,
        key::EndTxn => END_TXN,
        key::WriteTxnMarkers => WRITE_TXN_MARKERS,
        key::TxnOffsetCommit => TXN_OFFSET_COMMIT,
        key::DescribeAcls => DESCRIBE_ACLS,
        key::CreateAcls => CREATE_ACLS,
        key::DeleteAcls => DELETE_ACLS,
        key::DescribeConfigs => DESCRIBE_CONFIGS,
        key::AlterConfigs => ALTER_CONFIGS,
        key::AlterReplicaLogDirs => ALTER_REPLICA_LOG_DIRS,
        key::DescribeLogDirs => DESCRIBE_LOG_DIRS,
        key::SaslAuthenticate => SASL_AUTHENTICATE,
        key::CreatePartitions => CREATE_PARTITIONS,
        key::CreateDelegationToken => CREATE_DELEGATION_TOKEN,
        key::RenewDelegationToken => RENEW_DELEGATION_TOKEN,
        key::ExpireDelegationToken => EXPIRE_DELEGATION_TOKEN,
        key::DescribeDelegationToken => DESCRIBE_DELEGATION_TOKEN,
        key::DeleteGroups => DELETE_GROUPS,
        key::ElectLeaders => ELECT_LEADERS,
        key::IncrementalAlterConfigs => INCREMENTAL_ALTER_CONFIGS,
        key::AlterPartitionReassignments => ALTER_PARTITION_REASSIGNMENTS,
        key::ListPartitionReassignments => LIST_PARTITION_REASSIGNMENTS,
        key::OffsetDelete => OFFSET_DELETE,
        key::DescribeClientQuotas => DESCRIBE_CLIENT_QUOTAS,
        key::AlterClientQuotas => ALTER_CLIENT_QUOTAS,
        key::DescribeUserScramCredentials => DESCRIBE_USER_SCRAM_CREDENTIALS,
        key::AlterUserScramCredentials => ALTER_USER_SCRAM_CREDENTIALS,
        key::Vote => VOTE,
        key::BeginQuorumEpoch => BEGIN_QUORUM_EPOCH,
        key::EndQuorumEpoch => END_QUORUM_EPOCH,
        key::DescribeQuorum => DESCRIBE_QUORUM,
        key::AlterPartition => ALTER_PARTITION,
        key::UpdateFeatures => UPDATE_FEATURES,
        key::Envelope => ENVELOPE,
        key::FetchSnapshot => FETCH_SNAPSHOT,
        key::DescribeCluster => DESCRIBE_CLUSTER,
        key::DescribeProducers => DESCRIBE_PRODUCERS,
        key::BrokerRegistration => BROKER_REGISTRATION,
        key::BrokerHeartbeat => BROKER_HEARTBEAT,
        key::UnregisterBroker => UNREGISTER_BROKER,
        key::DescribeTransactions => DESCRIBE_TRANSACTIONS,
        key::ListTransactions => LIST_TRANSACTIONS,
        key::AllocateProducerIds => ALLOCATE_PRODUCER_IDS,
        key::ConsumerGroupHeartbeat => CONSUMER_GROUP_HEARTBEAT,
        key::ConsumerGroupDescribe => CONSUMER_GROUP_DESCRIBE,
        key::ControllerRegistration => CONTROLLER_REGISTRATION,
        key::GetTelemetrySubscriptions => GET_TELEMETRY_SUBSCRIPTIONS,
        key::PushTelemetry => PUSH_TELEMETRY,
        key::AssignReplicasToDirs => ASSIGN_REPLICAS_TO_DIRS,
        key::ListConfigResources => LIST_CONFIG_RESOURCES,
        key::DescribeTopicPartitions => DESCRIBE_TOPIC_PARTITIONS,
        key::ShareGroupHeartbeat => SHARE_GROUP_HEARTBEAT,
        key::ShareGroupDescribe => SHARE_GROUP_DESCRIBE,
        key::ShareFetch => SHARE_FETCH,
        key::ShareAcknowledge => SHARE_ACKNOWLEDGE,
        key::AddRaftVoter => ADD_RAFT_VOTER,
        key::RemoveRaftVoter => REMOVE_RAFT_VOTER,
        key::UpdateRaftVoter => UPDATE_RAFT_VOTER,
        key::InitializeShareGroupState => INITIALIZE_SHARE_GROUP_STATE,
        key::ReadShareGroupState => READ_SHARE_GROUP_STATE,
        key::WriteShareGroupState => WRITE_SHARE_GROUP_STATE,
        key::DeleteShareGroupState => DELETE_SHARE_GROUP_STATE,
        key::ReadShareGroupStateSummary => READ_SHARE_GROUP_STATE_SUMMARY,
        key::StreamsGroupHeartbeat => STREAMS_GROUP_HEARTBEAT,
        key::StreamsGroupDescribe => STREAMS_GROUP_DESCRIBE,
        key::DescribeShareGroupOffsets => DESCRIBE_SHARE_GROUP_OFFSETS,
        key::AlterShareGroupOffsets => ALTER_SHARE_GROUP_OFFSETS,
        key::DeleteShareGroupOffsets => DELETE_SHARE_GROUP_OFFSETS,
        key::StreamsGroupTopologyDescriptionUpdate => STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE,
        key::UnregisterController => UNREGISTER_CONTROLLER,
        _ => return None,
    })
}

const PRODUCE: &[Field] = &[
    field("transactional_id", 3, MAX, Str),
    field("acks", 0, MAX, Fixed(2)),
    field("timeout_ms", 0, MAX, Fixed(4)),
    field(
        "topic_data",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, 12, Str),
            field("topic_id", 13, MAX, Fixed(16)),
            field(
                "partition_data",
                0,
                MAX,
                Array(&Struct(&[field("index", 0, MAX, Fixed(4)), field("records", 0, MAX, Blob)])),
            ),
        ])),
    ),
];

const FETCH: &[Field] = &[
    tagged(0, "cluster_id", 12, MAX, Str),
    field("replica_id", 0, 14, Fixed(4)),
    tagged(
        1,
        "replica_state",
        15,
        MAX,
        Struct(&[
            field("replica_id", 15, MAX, Fixed(4)),
            field("replica_epoch", 15, MAX, Fixed(8)),
        ]),
    ),
    field("max_wait_ms", 0, MAX, Fixed(4)),
    field("min_bytes", 0, MAX, Fixed(4)),
    field("max_bytes", 3, MAX, Fixed(4)),
    field("isolation_level", 4, MAX, Fixed(1)),
    field("session_id", 7, MAX, Fixed(4)),
    field("session_epoch", 7, MAX, Fixed(4)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic", 0, 12, Str),
            field("topic_id", 13, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition", 0, MAX, Fixed(4)),
                    field("current_leader_epoch", 9, MAX, Fixed(4)),
                    field("fetch_offset", 0, MAX, Fixed(8)),
                    field("last_fetched_epoch", 12, MAX, Fixed(4)),
                    field("log_start_offset", 5, MAX, Fixed(8)),
                    field("partition_max_bytes", 0, MAX, Fixed(4)),
                    tagged(0, "replica_directory_id", 17, MAX, Fixed(16)),
                    tagged(1, "high_watermark", 18, MAX, Fixed(8)),
                ])),
            ),
        ])),
    ),
    field(
        "forgotten_topics_data",
        7,
        MAX,
        Array(&Struct(&[
            field("topic", 7, 12, Str),
            field("topic_id", 13, MAX, Fixed(16)),
            field("partitions", 7, MAX, Array(&Fixed(4))),
        ])),
    ),
    field("rack_id", 11, MAX, Str),
];

const LIST_OFFSETS: &[Field] = &[
    field("replica_id", 0, MAX, Fixed(4)),
    field("isolation_level", 2, MAX, Fixed(1)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("current_leader_epoch", 4, MAX, Fixed(4)),
                    field("timestamp", 0, MAX, Fixed(8)),
                ])),
            ),
        ])),
    ),
    field("timeout_ms", 10, MAX, Fixed(4)),
];

const METADATA: &[Field] = &[
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[field("topic_id", 10, MAX, Fixed(16)), field("name", 0, MAX, Str)])),
    ),
    field("allow_auto_topic_creation", 4, MAX, Fixed(1)),
    field("include_cluster_authorized_operations", 8, 10, Fixed(1)),
    field("include_topic_authorized_operations", 8, MAX, Fixed(1)),
];

const OFFSET_COMMIT: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("generation_id_or_member_epoch", 1, MAX, Fixed(4)),
    field("member_id", 1, MAX, Str),
    field("group_instance_id", 7, MAX, Str),
    field("retention_time_ms", 2, 4, Fixed(8)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, 9, Str),
            field("topic_id", 10, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("committed_offset", 0, MAX, Fixed(8)),
                    field("committed_leader_epoch", 6, MAX, Fixed(4)),
                    field("committed_metadata", 0, MAX, Str),
                ])),
            ),
        ])),
    ),
];

const OFFSET_FETCH: &[Field] = &[
    field("group_id", 0, 7, Str),
    field(
        "topics",
        0,
        7,
        Array(&Struct(&[
            field("name", 0, 7, Str),
            field("partition_indexes", 0, 7, Array(&Fixed(4))),
        ])),
    ),
    field(
        "groups",
        8,
        MAX,
        Array(&Struct(&[
            field("group_id", 8, MAX, Str),
            field("member_id", 9, MAX, Str),
            field("member_epoch", 9, MAX, Fixed(4)),
            field(
                "topics",
                8,
                MAX,
                Array(&Struct(&[
                    field("name", 8, 9, Str),
                    field("topic_id", 10, MAX, Fixed(16)),
                    field("partition_indexes", 8, MAX, Array(&Fixed(4))),
                ])),
            ),
        ])),
    ),
    field("require_stable", 7, MAX, Fixed(1)),
];

const FIND_COORDINATOR: &[Field] = &[
    field("key", 0, 3, Str),
    field("key_type", 1, MAX, Fixed(1)),
    field("coordinator_keys", 4, MAX, Array(&Str)),
];

const JOIN_GROUP: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("session_timeout_ms", 0, MAX, Fixed(4)),
    field("rebalance_timeout_ms", 1, MAX, Fixed(4)),
    field("member_id", 0, MAX, Str),
    field("group_instance_id", 5, MAX, Str),
    field("protocol_type", 0, MAX, Str),
    field(
        "protocols",
        0,
        MAX,
        Array(&Struct(&[field("name", 0, MAX, Str), field("metadata", 0, MAX, Blob)])),
    ),
    field("reason", 8, MAX, Str),
];

const HEARTBEAT: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("generation_id", 0, MAX, Fixed(4)),
    field("member_id", 0, MAX, Str),
    field("group_instance_id", 3, MAX, Str),
];

const LEAVE_GROUP: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("member_id", 0, 2, Str),
    field(
        "members",
        3,
        MAX,
        Array(&Struct(&[
            field("member_id", 3, MAX, Str),
            field("group_instance_id", 3, MAX, Str),
            field("reason", 5, MAX, Str),
        ])),
    ),
];

const SYNC_GROUP: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("generation_id", 0, MAX, Fixed(4)),
    field("member_id", 0, MAX, Str),
    field("group_instance_id", 3, MAX, Str),
    field("protocol_type", 5, MAX, Str),
    field("protocol_name", 5, MAX, Str),
    field(
        "assignments",
        0,
        MAX,
        Array(&Struct(&[field("member_id", 0, MAX, Str), field("assignment", 0, MAX, Blob)])),
    ),
];

const DESCRIBE_GROUPS: &[Field] = &[
    field("groups", 0, MAX, Array(&Str)),
    field("include_authorized_operations", 3, MAX, Fixed(1)),
];

const LIST_GROUPS: &[Field] =
    &[field("states_filter", 4, MAX, Array(&Str)), field("types_filter", 5, MAX, Array(&Str))];

const SASL_HANDSHAKE: &[Field] = &[field("mechanism", 0, MAX, Str)];

const API_VERSIONS: &[Field] = &[
    field("client_software_name", 3, MAX, Str),
    field("client_software_version", 3, MAX, Str),
    field("cluster_id", 5, MAX, Str),
    field("node_id", 5, MAX, Fixed(4)),
];

const CREATE_TOPICS: &[Field] = &[
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("num_partitions", 0, MAX, Fixed(4)),
            field("replication_factor", 0, MAX, Fixed(2)),
            field(
                "assignments",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("broker_ids", 0, MAX, Array(&Fixed(4))),
                ])),
            ),
            field(
                "configs",
                0,
                MAX,
                Array(&Struct(&[field("name", 0, MAX, Str), field("value", 0, MAX, Str)])),
            ),
        ])),
    ),
    field("timeout_ms", 0, MAX, Fixed(4)),
    field("validate_only", 1, MAX, Fixed(1)),
];

const DELETE_TOPICS: &[Field] = &[
    field(
        "topics",
        6,
        MAX,
        Array(&Struct(&[field("name", 6, MAX, Str), field("topic_id", 6, MAX, Fixed(16))])),
    ),
    field("topic_names", 0, 5, Array(&Str)),
    field("timeout_ms", 0, MAX, Fixed(4)),
];

const DELETE_RECORDS: &[Field] = &[
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("offset", 0, MAX, Fixed(8)),
                ])),
            ),
        ])),
    ),
    field("timeout_ms", 0, MAX, Fixed(4)),
];

const INIT_PRODUCER_ID: &[Field] = &[
    field("transactional_id", 0, MAX, Str),
    field("transaction_timeout_ms", 0, MAX, Fixed(4)),
    field("producer_id", 3, MAX, Fixed(8)),
    field("producer_epoch", 3, MAX, Fixed(2)),
    field("enable2_pc", 6, MAX, Fixed(1)),
    field("keep_prepared_txn", 6, MAX, Fixed(1)),
];

const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    field("replica_id", 3, MAX, Fixed(4)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition", 0, MAX, Fixed(4)),
                    field("current_leader_epoch", 2, MAX, Fixed(4)),
                    field("leader_epoch", 0, MAX, Fixed(4)),
                ])),
            ),
        ])),
    ),
];

const ADD_PARTITIONS_TO_TXN: &[Field] = &[
    field(
        "transactions",
        4,
        MAX,
        Array(&Struct(&[
            field("transactional_id", 4, MAX, Str),
            field("producer_id", 4, MAX, Fixed(8)),
            field("producer_epoch", 4, MAX, Fixed(2)),
            field("verify_only", 4, MAX, Fixed(1)),
            field(
                "topics",
                4,
                MAX,
                Array(&Struct(&[
                    field("name", 0, MAX, Str),
                    field("partitions", 0, MAX, Array(&Fixed(4))),
                ])),
            ),
        ])),
    ),
    field("v3_and_below_transactional_id", 0, 3, Str),
    field("v3_and_below_producer_id", 0, 3, Fixed(8)),
    field("v3_and_below_producer_epoch", 0, 3, Fixed(2)),
    field(
        "v3_and_below_topics",
        0,
        3,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("partitions", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
];

const ADD_OFFSETS_TO_TXN: &[Field] = &[
    field("transactional_id", 0, MAX, Str),
    field("producer_id", 0, MAX, Fixed(8)),
    field("producer_epoch", 0, MAX, Fixed(2)),
    field("group_id", 0, MAX, Str),
];

const END_TXN: &[Field] = &[
    field("transactional_id", 0, MAX, Str),
    field("producer_id", 0, MAX, Fixed(8)),
    field("producer_epoch", 0, MAX, Fixed(2)),
    field("committed", 0, MAX, Fixed(1)),
];

const WRITE_TXN_MARKERS: &[Field] = &[field(
    "markers",
    0,
    MAX,
    Array(&Struct(&[
        field("producer_id", 0, MAX, Fixed(8)),
        field("producer_epoch", 0, MAX, Fixed(2)),
        field("transaction_result", 0, MAX, Fixed(1)),
        field(
            "topics",
            0,
            MAX,
            Array(&Struct(&[
                field("name", 0, MAX, Str),
                field("partition_indexes", 0, MAX, Array(&Fixed(4))),
            ])),
        ),
        field("coordinator_epoch", 0, MAX, Fixed(4)),
        field("transaction_version", 2, MAX, Fixed(1)),
    ])),
)];

const TXN_OFFSET_COMMIT: &[Field] = &[
    field("transactional_id", 0, MAX, Str),
    field("group_id", 0, MAX, Str),
    field("producer_id", 0, MAX, Fixed(8)),
    field("producer_epoch", 0, MAX, Fixed(2)),
    field("generation_id_or_member_epoch", 3, MAX, Fixed(4)),
    field("member_id", 3, MAX, Str),
    field("group_instance_id", 3, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, 5, Str),
            field("topic_id", 6, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("committed_offset", 0, MAX, Fixed(8)),
                    field("committed_leader_epoch", 2, MAX, Fixed(4)),
                    field("committed_metadata", 0, MAX, Str),
                ])),
            ),
        ])),
    ),
];

const DESCRIBE_ACLS: &[Field] = &[
    field("resource_type_filter", 0, MAX, Fixed(1)),
    field("resource_name_filter", 0, MAX, Str),
    field("pattern_type_filter", 1, MAX, Fixed(1)),
    field("principal_filter", 0, MAX, Str),
    field("host_filter", 0, MAX, Str),
    field("operation", 0, MAX, Fixed(1)),
    field("permission_type", 0, MAX, Fixed(1)),
];

const CREATE_ACLS: &[Field] = &[field(
    "creations",
    0,
    MAX,
    Array(&Struct(&[
        field("resource_type", 0, MAX, Fixed(1)),
        field("resource_name", 0, MAX, Str),
        field("resource_pattern_type", 1, MAX, Fixed(1)),
        field("principal", 0, MAX, Str),
        field("host", 0, MAX, Str),
        field("operation", 0, MAX, Fixed(1)),
        field("permission_type", 0, MAX, Fixed(1)),
    ])),
)];

const DELETE_ACLS: &[Field] = &[field(
    "filters",
    0,
    MAX,
    Array(&Struct(&[
        field("resource_type_filter", 0, MAX, Fixed(1)),
        field("resource_name_filter", 0, MAX, Str),
        field("pattern_type_filter", 1, MAX, Fixed(1)),
        field("principal_filter", 0, MAX, Str),
        field("host_filter", 0, MAX, Str),
        field("operation", 0, MAX, Fixed(1)),
        field("permission_type", 0, MAX, Fixed(1)),
    ])),
)];

const DESCRIBE_CONFIGS: &[Field] = &[
    field(
        "resources",
        0,
        MAX,
        Array(&Struct(&[
            field("resource_type", 0, MAX, Fixed(1)),
            field("resource_name", 0, MAX, Str),
            field("configuration_keys", 0, MAX, Array(&Str)),
        ])),
    ),
    field("include_synonyms", 1, MAX, Fixed(1)),
    field("include_documentation", 3, MAX, Fixed(1)),
];

const ALTER_CONFIGS: &[Field] = &[
    field(
        "resources",
        0,
        MAX,
        Array(&Struct(&[
            field("resource_type", 0, MAX, Fixed(1)),
            field("resource_name", 0, MAX, Str),
            field(
                "configs",
                0,
                MAX,
                Array(&Struct(&[field("name", 0, MAX, Str), field("value", 0, MAX, Str)])),
            ),
        ])),
    ),
    field("validate_only", 0, MAX, Fixed(1)),
];

const ALTER_REPLICA_LOG_DIRS: &[Field] = &[field(
    "dirs",
    0,
    MAX,
    Array(&Struct(&[
        field("path", 0, MAX, Str),
        field(
            "topics",
            0,
            MAX,
            Array(&Struct(&[
                field("name", 0, MAX, Str),
                field("partitions", 0, MAX, Array(&Fixed(4))),
            ])),
        ),
    ])),
)];

const DESCRIBE_LOG_DIRS: &[Field] = &[field(
    "topics",
    0,
    MAX,
    Array(&Struct(&[field("topic", 0, MAX, Str), field("partitions", 0, MAX, Array(&Fixed(4)))])),
)];

const SASL_AUTHENTICATE: &[Field] = &[field("auth_bytes", 0, MAX, Blob)];

const CREATE_PARTITIONS: &[Field] = &[
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("count", 0, MAX, Fixed(4)),
            field(
                "assignments",
                0,
                MAX,
                Array(&Struct(&[field("broker_ids", 0, MAX, Array(&Fixed(4)))])),
            ),
        ])),
    ),
    field("timeout_ms", 0, MAX, Fixed(4)),
    field("validate_only", 0, MAX, Fixed(1)),
];

const CREATE_DELEGATION_TOKEN: &[Field] = &[
    field("owner_principal_type", 3, MAX, Str),
    field("owner_principal_name", 3, MAX, Str),
    field(
        "renewers",
        0,
        MAX,
        Array(&Struct(&[
            field("principal_type", 0, MAX, Str),
            field("principal_name", 0, MAX, Str),
        ])),
    ),
    field("max_lifetime_ms", 0, MAX, Fixed(8)),
];

const RENEW_DELEGATION_TOKEN: &[Field] =
    &[field("hmac", 0, MAX, Blob), field("renew_period_ms", 0, MAX, Fixed(8))];

const EXPIRE_DELEGATION_TOKEN: &[Field] =
    &[field("hmac", 0, MAX, Blob), field("expiry_time_period_ms", 0, MAX, Fixed(8))];

const DESCRIBE_DELEGATION_TOKEN: &[Field] = &[field(
    "owners",
    0,
    MAX,
    Array(&Struct(&[field("principal_type", 0, MAX, Str), field("principal_name", 0, MAX, Str)])),
)];

const DELETE_GROUPS: &[Field] = &[field("groups_names", 0, MAX, Array(&Str))];

const ELECT_LEADERS: &[Field] = &[
    field("election_type", 1, MAX, Fixed(1)),
    field(
        "topic_partitions",
        0,
        MAX,
        Array(&Struct(&[
            field("topic", 0, MAX, Str),
            field("partitions", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
    field("timeout_ms", 0, MAX, Fixed(4)),
];

const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    field(
        "resources",
        0,
        MAX,
        Array(&Struct(&[
            field("resource_type", 0, MAX, Fixed(1)),
            field("resource_name", 0, MAX, Str),
            field(
                "configs",
                0,
                MAX,
                Array(&Struct(&[
                    field("name", 0, MAX, Str),
                    field("config_operation", 0, MAX, Fixed(1)),
                    field("value", 0, MAX, Str),
                ])),
            ),
        ])),
    ),
    field("validate_only", 0, MAX, Fixed(1)),
];

const ALTER_PARTITION_REASSIGNMENTS: &[Field] = &[
    field("timeout_ms", 0, MAX, Fixed(4)),
    field("allow_replication_factor_change", 1, MAX, Fixed(1)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("replicas", 0, MAX, Array(&Fixed(4))),
                ])),
            ),
        ])),
    ),
];

const LIST_PARTITION_REASSIGNMENTS: &[Field] = &[
    field("timeout_ms", 0, MAX, Fixed(4)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("partition_indexes", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
];

const OFFSET_DELETE: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[field("partition_index", 0, MAX, Fixed(4))])),
            ),
        ])),
    ),
];

const DESCRIBE_CLIENT_QUOTAS: &[Field] = &[
    field(
        "components",
        0,
        MAX,
        Array(&Struct(&[
            field("entity_type", 0, MAX, Str),
            field("match_type", 0, MAX, Fixed(1)),
            field("match", 0, MAX, Str),
        ])),
    ),
    field("strict", 0, MAX, Fixed(1)),
];

const ALTER_CLIENT_QUOTAS: &[Field] = &[
    field(
        "entries",
        0,
        MAX,
        Array(&Struct(&[
            field(
                "entity",
                0,
                MAX,
                Array(&Struct(&[
                    field("entity_type", 0, MAX, Str),
                    field("entity_name", 0, MAX, Str),
                ])),
            ),
            field(
                "ops",
                0,
                MAX,
                Array(&Struct(&[
                    field("key", 0, MAX, Str),
                    field("value", 0, MAX, Fixed(8)),
                    field("remove", 0, MAX, Fixed(1)),
                ])),
            ),
        ])),
    ),
    field("validate_only", 0, MAX, Fixed(1)),
];

const DESCRIBE_USER_SCRAM_CREDENTIALS: &[Field] =
    &[field("users", 0, MAX, Array(&Struct(&[field("name", 0, MAX, Str)])))];

const ALTER_USER_SCRAM_CREDENTIALS: &[Field] = &[
    field(
        "deletions",
        0,
        MAX,
        Array(&Struct(&[field("name", 0, MAX, Str), field("mechanism", 0, MAX, Fixed(1))])),
    ),
    field(
        "upsertions",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("mechanism", 0, MAX, Fixed(1)),
            field("iterations", 0, MAX, Fixed(4)),
            field("salt", 0, MAX, Blob),
            field("salted_password", 0, MAX, Blob),
        ])),
    ),
];

const VOTE: &[Field] = &[
    field("cluster_id", 0, MAX, Str),
    field("voter_id", 1, MAX, Fixed(4)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("replica_epoch", 0, MAX, Fixed(4)),
                    field("replica_id", 0, MAX, Fixed(4)),
                    field("replica_directory_id", 1, MAX, Fixed(16)),
                    field("voter_directory_id", 1, MAX, Fixed(16)),
                    field("last_offset_epoch", 0, MAX, Fixed(4)),
                    field("last_offset", 0, MAX, Fixed(8)),
                    field("pre_vote", 2, MAX, Fixed(1)),
                ])),
            ),
        ])),
    ),
];

const BEGIN_QUORUM_EPOCH: &[Field] = &[
    field("cluster_id", 0, MAX, Str),
    field("voter_id", 1, MAX, Fixed(4)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("voter_directory_id", 1, MAX, Fixed(16)),
                    field("leader_id", 0, MAX, Fixed(4)),
                    field("leader_epoch", 0, MAX, Fixed(4)),
                ])),
            ),
        ])),
    ),
    field(
        "leader_endpoints",
        1,
        MAX,
        Array(&Struct(&[
            field("name", 1, MAX, Str),
            field("host", 1, MAX, Str),
            field("port", 1, MAX, Fixed(2)),
        ])),
    ),
];

const END_QUORUM_EPOCH: &[Field] = &[
    field("cluster_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("leader_id", 0, MAX, Fixed(4)),
                    field("leader_epoch", 0, MAX, Fixed(4)),
                    field("preferred_successors", 0, 0, Array(&Fixed(4))),
                    field(
                        "preferred_candidates",
                        1,
                        MAX,
                        Array(&Struct(&[
                            field("candidate_id", 1, MAX, Fixed(4)),
                            field("candidate_directory_id", 1, MAX, Fixed(16)),
                        ])),
                    ),
                ])),
            ),
        ])),
    ),
    field(
        "leader_endpoints",
        1,
        MAX,
        Array(&Struct(&[
            field("name", 1, MAX, Str),
            field("host", 1, MAX, Str),
            field("port", 1, MAX, Fixed(2)),
        ])),
    ),
];

const DESCRIBE_QUORUM: &[Field] = &[field(
    "topics",
    0,
    MAX,
    Array(&Struct(&[
        field("topic_name", 0, MAX, Str),
        field("partitions", 0, MAX, Array(&Struct(&[field("partition_index", 0, MAX, Fixed(4))]))),
    ])),
)];

const ALTER_PARTITION: &[Field] = &[
    field("broker_id", 0, MAX, Fixed(4)),
    field("broker_epoch", 0, MAX, Fixed(8)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 2, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("leader_epoch", 0, MAX, Fixed(4)),
                    field("new_isr", 0, 2, Array(&Fixed(4))),
                    field(
                        "new_isr_with_epochs",
                        3,
                        MAX,
                        Array(&Struct(&[
                            field("broker_id", 3, MAX, Fixed(4)),
                            field("broker_epoch", 3, MAX, Fixed(8)),
                        ])),
                    ),
                    field("leader_recovery_state", 1, MAX, Fixed(1)),
                    field("partition_epoch", 0, MAX, Fixed(4)),
                ])),
            ),
        ])),
    ),
];

const UPDATE_FEATURES: &[Field] = &[
    field("timeout_ms", 0, MAX, Fixed(4)),
    field(
        "feature_updates",
        0,
        MAX,
        Array(&Struct(&[
            field("feature", 0, MAX, Str),
            field("max_version_level", 0, MAX, Fixed(2)),
            field("allow_downgrade", 0, 0, Fixed(1)),
            field("upgrade_type", 1, MAX, Fixed(1)),
        ])),
    ),
    field("validate_only", 1, MAX, Fixed(1)),
];

const ENVELOPE: &[Field] = &[
    field("request_data", 0, MAX, Blob),
    field("request_principal", 0, MAX, Blob),
    field("client_host_address", 0, MAX, Blob),
];

const FETCH_SNAPSHOT: &[Field] = &[
    tagged(0, "cluster_id", 0, MAX, Str),
    field("replica_id", 0, MAX, Fixed(4)),
    field("max_bytes", 0, MAX, Fixed(4)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition", 0, MAX, Fixed(4)),
                    field("current_leader_epoch", 0, MAX, Fixed(4)),
                    field(
                        "snapshot_id",
                        0,
                        MAX,
                        Struct(&[
                            field("end_offset", 0, MAX, Fixed(8)),
                            field("epoch", 0, MAX, Fixed(4)),
                        ]),
                    ),
                    field("position", 0, MAX, Fixed(8)),
                    tagged(0, "replica_directory_id", 1, MAX, Fixed(16)),
                ])),
            ),
        ])),
    ),
];

const DESCRIBE_CLUSTER: &[Field] = &[
    field("include_cluster_authorized_operations", 0, MAX, Fixed(1)),
    field("endpoint_type", 1, MAX, Fixed(1)),
    field("include_fenced_brokers", 2, MAX, Fixed(1)),
];

const DESCRIBE_PRODUCERS: &[Field] = &[field(
    "topics",
    0,
    MAX,
    Array(&Struct(&[
        field("name", 0, MAX, Str),
        field("partition_indexes", 0, MAX, Array(&Fixed(4))),
    ])),
)];

const BROKER_REGISTRATION: &[Field] = &[
    field("broker_id", 0, MAX, Fixed(4)),
    field("cluster_id", 0, MAX, Str),
    field("incarnation_id", 0, MAX, Fixed(16)),
    field(
        "listeners",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("host", 0, MAX, Str),
            field("port", 0, MAX, Fixed(2)),
            field("security_protocol", 0, MAX, Fixed(2)),
        ])),
    ),
    field(
        "features",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("min_supported_version", 0, MAX, Fixed(2)),
            field("max_supported_version", 0, MAX, Fixed(2)),
        ])),
    ),
    field("rack", 0, MAX, Str),
    field("is_migrating_zk_broker", 1, MAX, Fixed(1)),
    field("log_dirs", 2, MAX, Array(&Fixed(16))),
    field("previous_broker_epoch", 3, MAX, Fixed(8)),
];

const BROKER_HEARTBEAT: &[Field] = &[
    field("broker_id", 0, MAX, Fixed(4)),
    field("broker_epoch", 0, MAX, Fixed(8)),
    field("current_metadata_offset", 0, MAX, Fixed(8)),
    field("want_fence", 0, MAX, Fixed(1)),
    field("want_shut_down", 0, MAX, Fixed(1)),
    tagged(0, "offline_log_dirs", 1, MAX, Array(&Fixed(16))),
    tagged(1, "cordoned_log_dirs", 2, MAX, Array(&Fixed(16))),
];

const UNREGISTER_BROKER: &[Field] = &[field("broker_id", 0, MAX, Fixed(4))];

const DESCRIBE_TRANSACTIONS: &[Field] = &[field("transactional_ids", 0, MAX, Array(&Str))];

const LIST_TRANSACTIONS: &[Field] = &[
    field("state_filters", 0, MAX, Array(&Str)),
    field("producer_id_filters", 0, MAX, Array(&Fixed(8))),
    field("duration_filter", 1, MAX, Fixed(8)),
    field("transactional_id_pattern", 2, MAX, Str),
];

const ALLOCATE_PRODUCER_IDS: &[Field] =
    &[field("broker_id", 0, MAX, Fixed(4)), field("broker_epoch", 0, MAX, Fixed(8))];

const CONSUMER_GROUP_HEARTBEAT: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("member_id", 0, MAX, Str),
    field("member_epoch", 0, MAX, Fixed(4)),
    field("instance_id", 0, MAX, Str),
    field("rack_id", 0, MAX, Str),
    field("rebalance_timeout_ms", 0, MAX, Fixed(4)),
    field("subscribed_topic_names", 0, MAX, Array(&Str)),
    field("subscribed_topic_regex", 1, MAX, Str),
    field("server_assignor", 0, MAX, Str),
    field(
        "topic_partitions",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field("partitions", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
];

const CONSUMER_GROUP_DESCRIBE: &[Field] = &[
    field("group_ids", 0, MAX, Array(&Str)),
    field("include_authorized_operations", 0, MAX, Fixed(1)),
];

const CONTROLLER_REGISTRATION: &[Field] = &[
    field("controller_id", 0, MAX, Fixed(4)),
    field("incarnation_id", 0, MAX, Fixed(16)),
    field("zk_migration_ready", 0, MAX, Fixed(1)),
    field(
        "listeners",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("host", 0, MAX, Str),
            field("port", 0, MAX, Fixed(2)),
            field("security_protocol", 0, MAX, Fixed(2)),
        ])),
    ),
    field(
        "features",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("min_supported_version", 0, MAX, Fixed(2)),
            field("max_supported_version", 0, MAX, Fixed(2)),
        ])),
    ),
];

const GET_TELEMETRY_SUBSCRIPTIONS: &[Field] = &[field("client_instance_id", 0, MAX, Fixed(16))];

const PUSH_TELEMETRY: &[Field] = &[
    field("client_instance_id", 0, MAX, Fixed(16)),
    field("subscription_id", 0, MAX, Fixed(4)),
    field("terminating", 0, MAX, Fixed(1)),
    field("compression_type", 0, MAX, Fixed(1)),
    field("metrics", 0, MAX, Blob),
];

const ASSIGN_REPLICAS_TO_DIRS: &[Field] = &[
    field("broker_id", 0, MAX, Fixed(4)),
    field("broker_epoch", 0, MAX, Fixed(8)),
    field(
        "directories",
        0,
        MAX,
        Array(&Struct(&[
            field("id", 0, MAX, Fixed(16)),
            field(
                "topics",
                0,
                MAX,
                Array(&Struct(&[
                    field("topic_id", 0, MAX, Fixed(16)),
                    field(
                        "partitions",
                        0,
                        MAX,
                        Array(&Struct(&[field("partition_index", 0, MAX, Fixed(4))])),
                    ),
                ])),
            ),
        ])),
    ),
];

const LIST_CONFIG_RESOURCES: &[Field] = &[field("resource_types", 1, MAX, Array(&Fixed(1)))];

const DESCRIBE_TOPIC_PARTITIONS: &[Field] = &[
    field("topics", 0, MAX, Array(&Struct(&[field("name", 0, MAX, Str)]))),
    field("response_partition_limit", 0, MAX, Fixed(4)),
    field(
        "cursor",
        0,
        MAX,
        Struct(&[field("topic_name", 0, MAX, Str), field("partition_index", 0, MAX, Fixed(4))]),
    ),
];

const SHARE_GROUP_HEARTBEAT: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("member_id", 0, MAX, Str),
    field("member_epoch", 0, MAX, Fixed(4)),
    field("rack_id", 0, MAX, Str),
    field("subscribed_topic_names", 0, MAX, Array(&Str)),
];

const SHARE_GROUP_DESCRIBE: &[Field] = &[
    field("group_ids", 0, MAX, Array(&Str)),
    field("include_authorized_operations", 0, MAX, Fixed(1)),
];

const SHARE_FETCH: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("member_id", 0, MAX, Str),
    field("share_session_epoch", 0, MAX, Fixed(4)),
    field("max_wait_ms", 0, MAX, Fixed(4)),
    field("min_bytes", 0, MAX, Fixed(4)),
    field("max_bytes", 0, MAX, Fixed(4)),
    field("max_records", 1, MAX, Fixed(4)),
    field("batch_size", 1, MAX, Fixed(4)),
    field("share_acquire_mode", 2, MAX, Fixed(1)),
    field("is_renew_ack", 2, MAX, Fixed(1)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("partition_max_bytes", 0, 0, Fixed(4)),
                    field(
                        "acknowledgement_batches",
                        0,
                        MAX,
                        Array(&Struct(&[
                            field("first_offset", 0, MAX, Fixed(8)),
                            field("last_offset", 0, MAX, Fixed(8)),
                            field("acknowledge_types", 0, MAX, Array(&Fixed(1))),
                        ])),
                    ),
                ])),
            ),
        ])),
    ),
    field(
        "forgotten_topics_data",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field("partitions", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
];

const SHARE_ACKNOWLEDGE: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("member_id", 0, MAX, Str),
    field("share_session_epoch", 0, MAX, Fixed(4)),
    field("is_renew_ack", 2, MAX, Fixed(1)),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field(
                        "acknowledgement_batches",
                        0,
                        MAX,
                        Array(&Struct(&[
                            field("first_offset", 0, MAX, Fixed(8)),
                            field("last_offset", 0, MAX, Fixed(8)),
                            field("acknowledge_types", 0, MAX, Array(&Fixed(1))),
                        ])),
                    ),
                ])),
            ),
        ])),
    ),
];

const ADD_RAFT_VOTER: &[Field] = &[
    field("cluster_id", 0, MAX, Str),
    field("timeout_ms", 0, MAX, Fixed(4)),
    field("voter_id", 0, MAX, Fixed(4)),
    field("voter_directory_id", 0, MAX, Fixed(16)),
    field(
        "listeners",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("host", 0, MAX, Str),
            field("port", 0, MAX, Fixed(2)),
        ])),
    ),
    field("ack_when_committed", 1, MAX, Fixed(1)),
];

const REMOVE_RAFT_VOTER: &[Field] = &[
    field("cluster_id", 0, MAX, Str),
    field("voter_id", 0, MAX, Fixed(4)),
    field("voter_directory_id", 0, MAX, Fixed(16)),
];

const UPDATE_RAFT_VOTER: &[Field] = &[
    field("cluster_id", 0, MAX, Str),
    field("current_leader_epoch", 0, MAX, Fixed(4)),
    field("voter_id", 0, MAX, Fixed(4)),
    field("voter_directory_id", 0, MAX, Fixed(16)),
    field(
        "listeners",
        0,
        MAX,
        Array(&Struct(&[
            field("name", 0, MAX, Str),
            field("host", 0, MAX, Str),
            field("port", 0, MAX, Fixed(2)),
        ])),
    ),
    field(
        "k_raft_version_feature",
        0,
        MAX,
        Struct(&[
            field("min_supported_version", 0, MAX, Fixed(2)),
            field("max_supported_version", 0, MAX, Fixed(2)),
        ]),
    ),
];

const INITIALIZE_SHARE_GROUP_STATE: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition", 0, MAX, Fixed(4)),
                    field("state_epoch", 0, MAX, Fixed(4)),
                    field("start_offset", 0, MAX, Fixed(8)),
                ])),
            ),
        ])),
    ),
];

const READ_SHARE_GROUP_STATE: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition", 0, MAX, Fixed(4)),
                    field("leader_epoch", 0, MAX, Fixed(4)),
                ])),
            ),
        ])),
    ),
];

const WRITE_SHARE_GROUP_STATE: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition", 0, MAX, Fixed(4)),
                    field("state_epoch", 0, MAX, Fixed(4)),
                    field("leader_epoch", 0, MAX, Fixed(4)),
                    field("start_offset", 0, MAX, Fixed(8)),
                    field("delivery_complete_count", 1, MAX, Fixed(4)),
                    field(
                        "state_batches",
                        0,
                        MAX,
                        Array(&Struct(&[
                            field("first_offset", 0, MAX, Fixed(8)),
                            field("last_offset", 0, MAX, Fixed(8)),
                            field("delivery_state", 0, MAX, Fixed(1)),
                            field("delivery_count", 0, MAX, Fixed(2)),
                        ])),
                    ),
                ])),
            ),
        ])),
    ),
];

const DELETE_SHARE_GROUP_STATE: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field("partitions", 0, MAX, Array(&Struct(&[field("partition", 0, MAX, Fixed(4))]))),
        ])),
    ),
];

const READ_SHARE_GROUP_STATE_SUMMARY: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_id", 0, MAX, Fixed(16)),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition", 0, MAX, Fixed(4)),
                    field("leader_epoch", 0, MAX, Fixed(4)),
                ])),
            ),
        ])),
    ),
];

const STREAMS_GROUP_HEARTBEAT: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("member_id", 0, MAX, Str),
    field("member_epoch", 0, MAX, Fixed(4)),
    field("endpoint_information_epoch", 0, MAX, Fixed(4)),
    field("instance_id", 0, MAX, Str),
    field("rack_id", 0, MAX, Str),
    field("rebalance_timeout_ms", 0, MAX, Fixed(4)),
    field(
        "topology",
        0,
        MAX,
        Struct(&[
            field("epoch", 0, MAX, Fixed(4)),
            field(
                "subtopologies",
                0,
                MAX,
                Array(&Struct(&[
                    field("subtopology_id", 0, MAX, Str),
                    field("source_topics", 0, MAX, Array(&Str)),
                    field("source_topic_regex", 0, MAX, Array(&Str)),
                    field(
                        "state_changelog_topics",
                        0,
                        MAX,
                        Array(&Struct(&[
                            field("name", 0, MAX, Str),
                            field("partitions", 0, MAX, Fixed(4)),
                            field("replication_factor", 0, MAX, Fixed(2)),
                            field(
                                "topic_configs",
                                0,
                                MAX,
                                Array(&Struct(&[
                                    field("key", 0, MAX, Str),
                                    field("value", 0, MAX, Str),
                                ])),
                            ),
                        ])),
                    ),
                    field("repartition_sink_topics", 0, MAX, Array(&Str)),
                    field(
                        "repartition_source_topics",
                        0,
                        MAX,
                        Array(&Struct(&[
                            field("name", 0, MAX, Str),
                            field("partitions", 0, MAX, Fixed(4)),
                            field("replication_factor", 0, MAX, Fixed(2)),
                            field(
                                "topic_configs",
                                0,
                                MAX,
                                Array(&Struct(&[
                                    field("key", 0, MAX, Str),
                                    field("value", 0, MAX, Str),
                                ])),
                            ),
                        ])),
                    ),
                    field(
                        "copartition_groups",
                        0,
                        MAX,
                        Array(&Struct(&[
                            field("source_topics", 0, MAX, Array(&Fixed(2))),
                            field("source_topic_regex", 0, MAX, Array(&Fixed(2))),
                            field("repartition_source_topics", 0, MAX, Array(&Fixed(2))),
                        ])),
                    ),
                ])),
            ),
        ]),
    ),
    field(
        "active_tasks",
        0,
        MAX,
        Array(&Struct(&[
            field("subtopology_id", 0, MAX, Str),
            field("partitions", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
    field(
        "standby_tasks",
        0,
        MAX,
        Array(&Struct(&[
            field("subtopology_id", 0, MAX, Str),
            field("partitions", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
    field(
        "warmup_tasks",
        0,
        MAX,
        Array(&Struct(&[
            field("subtopology_id", 0, MAX, Str),
            field("partitions", 0, MAX, Array(&Fixed(4))),
        ])),
    ),
    field("process_id", 0, MAX, Str),
    field(
        "user_endpoint",
        0,
        MAX,
        Struct(&[field("host", 0, MAX, Str), field("port", 0, MAX, Fixed(2))]),
    ),
    field(
        "client_tags",
        0,
        MAX,
        Array(&Struct(&[field("key", 0, MAX, Str), field("value", 0, MAX, Str)])),
    ),
    field(
        "task_offsets",
        0,
        MAX,
        Array(&Struct(&[
            field("subtopology_id", 0, MAX, Str),
            field("partition", 0, MAX, Fixed(4)),
            field("offset", 0, MAX, Fixed(8)),
        ])),
    ),
    field(
        "task_end_offsets",
        0,
        MAX,
        Array(&Struct(&[
            field("subtopology_id", 0, MAX, Str),
            field("partition", 0, MAX, Fixed(4)),
            field("offset", 0, MAX, Fixed(8)),
        ])),
    ),
    field("shutdown_application", 0, MAX, Fixed(1)),
];

const STREAMS_GROUP_DESCRIBE: &[Field] = &[
    field("group_ids", 0, MAX, Array(&Str)),
    field("include_authorized_operations", 0, MAX, Fixed(1)),
    field("include_topology_description", 1, MAX, Fixed(1)),
];

const DESCRIBE_SHARE_GROUP_OFFSETS: &[Field] = &[field(
    "groups",
    0,
    MAX,
    Array(&Struct(&[
        field("group_id", 0, MAX, Str),
        field(
            "topics",
            0,
            MAX,
            Array(&Struct(&[
                field("topic_name", 0, MAX, Str),
                field("partitions", 0, MAX, Array(&Fixed(4))),
            ])),
        ),
    ])),
)];

const ALTER_SHARE_GROUP_OFFSETS: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field(
        "topics",
        0,
        MAX,
        Array(&Struct(&[
            field("topic_name", 0, MAX, Str),
            field(
                "partitions",
                0,
                MAX,
                Array(&Struct(&[
                    field("partition_index", 0, MAX, Fixed(4)),
                    field("start_offset", 0, MAX, Fixed(8)),
                ])),
            ),
        ])),
    ),
];

const DELETE_SHARE_GROUP_OFFSETS: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("topics", 0, MAX, Array(&Struct(&[field("topic_name", 0, MAX, Str)]))),
];

const STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE: &[Field] = &[
    field("group_id", 0, MAX, Str),
    field("member_id", 0, MAX, Str),
    field("topology_epoch", 0, MAX, Fixed(4)),
    field(
        "topology_description",
        0,
        MAX,
        Struct(&[
            field(
                "subtopologies",
                0,
                MAX,
                Array(&Struct(&[
                    field("subtopology_id", 0, MAX, Str),
                    field(
                        "nodes",
                        0,
                        MAX,
                        Array(&Struct(&[
                            field("name", 0, MAX, Str),
                            field("node_type", 0, MAX, Fixed(1)),
                            field("source_topics", 0, MAX, Array(&Str)),
                            field("sink_topic", 0, MAX, Str),
                            field("stores", 0, MAX, Array(&Str)),
                            field("successors", 0, MAX, Array(&Str)),
                        ])),
                    ),
                ])),
            ),
            field(
                "global_stores",
                0,
                MAX,
                Array(&Struct(&[
                    field(
                        "source",
                        0,
                        MAX,
                        Struct(&[
                            field("name", 0, MAX, Str),
                            field("node_type", 0, MAX, Fixed(1)),
                            field("source_topics", 0, MAX, Array(&Str)),
                            field("sink_topic", 0, MAX, Str),
                            field("stores", 0, MAX, Array(&Str)),
                            field("successors", 0, MAX, Array(&Str)),
                        ]),
                    ),
                    field(
                        "processor",
                        0,
                        MAX,
                        Struct(&[
                            field("name", 0, MAX, Str),
                            field("node_type", 0, MAX, Fixed(1)),
                            field("source_topics", 0, MAX, Array(&Str)),
                            field("sink_topic", 0, MAX, Str),
                            field("stores", 0, MAX, Array(&Str)),
                            field("successors", 0, MAX, Array(&Str)),
                        ]),
                    ),
                ])),
            ),
        ]),
    ),
];

const UNREGISTER_CONTROLLER: &[Field] = &[field("controller_id", 0, MAX, Fixed(4))];
