//! The files of the APIs say of themselves what the table of APIs says, and the table says what
//! Apache Kafka's does.

use std::path::Path;

use blumfeld::protocol::apis::facts;
use blumfeld::server::apis::{APIS, Forwarding, On, Quota};

/// `DescribeLogDirs` as the name of a file.
fn file_name(api: &str) -> String {
    let mut name = String::new();
    for letter in api.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name + ".rs"
}

#[test]
fn every_api_has_a_file_that_names_it_and_its_versions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/api");
    for api in APIS {
        let name = facts(api.key).unwrap().name;
        let path = folder.join(file_name(name));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let versions = if api.min_version == api.max_version {
            format!("v{}", api.min_version)
        } else {
            format!("v{}-{}", api.min_version, api.max_version)
        };
        let first = text.lines().next().unwrap_or_default();
        let is_said = first.strip_prefix(&format!("//! {name}: {versions}"));
        let ends = is_said.is_some_and(|rest| rest.starts_with('.') || rest.starts_with(" ("));
        assert!(ends, "{}: {first:?} is not {name}: {versions}", path.display());
    }
}

/// Number, name, oldest and newest version, and listeners of every API of Apache Kafka 4.4
/// (`ApiKeys`, the schemas of its messages; the newest stable version).
#[rustfmt::skip]
const KAFKA_4_4: &[(i16, &str, i16, i16, On)] = &[
    (0, "Produce", 3, 13, On::Broker),
    (1, "Fetch", 4, 18, On::Both),
    (2, "ListOffsets", 1, 11, On::Broker),
    (3, "Metadata", 0, 13, On::Broker),
    (8, "OffsetCommit", 2, 10, On::Broker),
    (9, "OffsetFetch", 1, 10, On::Broker),
    (10, "FindCoordinator", 0, 6, On::Broker),
    (11, "JoinGroup", 0, 9, On::Broker),
    (12, "Heartbeat", 0, 4, On::Broker),
    (13, "LeaveGroup", 0, 5, On::Broker),
    (14, "SyncGroup", 0, 5, On::Broker),
    (15, "DescribeGroups", 0, 6, On::Broker),
    (16, "ListGroups", 0, 5, On::Broker),
    (17, "SaslHandshake", 0, 1, On::Both),
    (18, "ApiVersions", 0, 5, On::Both),
    (19, "CreateTopics", 2, 7, On::Both),
    (20, "DeleteTopics", 1, 6, On::Both),
    (21, "DeleteRecords", 0, 2, On::Broker),
    (22, "InitProducerId", 0, 5, On::Broker),
    (23, "OffsetForLeaderEpoch", 2, 4, On::Broker),
    (24, "AddPartitionsToTxn", 0, 5, On::Broker),
    (25, "AddOffsetsToTxn", 0, 4, On::Broker),
    (26, "EndTxn", 0, 5, On::Broker),
    (27, "WriteTxnMarkers", 1, 2, On::Broker),
    (28, "TxnOffsetCommit", 0, 6, On::Broker),
    (29, "DescribeAcls", 1, 3, On::Both),
    (30, "CreateAcls", 1, 3, On::Both),
    (31, "DeleteAcls", 1, 3, On::Both),
    (32, "DescribeConfigs", 1, 4, On::Both),
    (33, "AlterConfigs", 0, 2, On::Both),
    (34, "AlterReplicaLogDirs", 1, 2, On::Broker),
    (35, "DescribeLogDirs", 1, 5, On::Broker),
    (36, "SaslAuthenticate", 0, 2, On::Both),
    (37, "CreatePartitions", 0, 3, On::Both),
    (38, "CreateDelegationToken", 1, 3, On::Both),
    (39, "RenewDelegationToken", 1, 2, On::Both),
    (40, "ExpireDelegationToken", 1, 2, On::Both),
    (41, "DescribeDelegationToken", 1, 3, On::Both),
    (42, "DeleteGroups", 0, 3, On::Broker),
    (43, "ElectLeaders", 0, 2, On::Both),
    (44, "IncrementalAlterConfigs", 0, 1, On::Both),
    (45, "AlterPartitionReassignments", 0, 1, On::Both),
    (46, "ListPartitionReassignments", 0, 0, On::Both),
    (47, "OffsetDelete", 0, 0, On::Broker),
    (48, "DescribeClientQuotas", 0, 1, On::Broker),
    (49, "AlterClientQuotas", 0, 1, On::Both),
    (50, "DescribeUserScramCredentials", 0, 0, On::Both),
    (51, "AlterUserScramCredentials", 0, 0, On::Both),
    (52, "Vote", 0, 2, On::Controller),
    (53, "BeginQuorumEpoch", 0, 1, On::Controller),
    (54, "EndQuorumEpoch", 0, 1, On::Controller),
    (55, "DescribeQuorum", 0, 2, On::Both),
    (56, "AlterPartition", 2, 3, On::Controller),
    (57, "UpdateFeatures", 0, 2, On::Both),
    (58, "Envelope", 0, 0, On::Controller),
    (59, "FetchSnapshot", 0, 1, On::Controller),
    (60, "DescribeCluster", 0, 2, On::Both),
    (61, "DescribeProducers", 0, 0, On::Broker),
    (62, "BrokerRegistration", 0, 4, On::Controller),
    (63, "BrokerHeartbeat", 0, 2, On::Controller),
    (64, "UnregisterBroker", 0, 0, On::Both),
    (65, "DescribeTransactions", 0, 0, On::Broker),
    (66, "ListTransactions", 0, 2, On::Broker),
    (67, "AllocateProducerIds", 0, 0, On::Controller),
    (68, "ConsumerGroupHeartbeat", 0, 1, On::Broker),
    (69, "ConsumerGroupDescribe", 0, 1, On::Broker),
    (70, "ControllerRegistration", 0, 0, On::Controller),
    (71, "GetTelemetrySubscriptions", 0, 0, On::Broker),
    (72, "PushTelemetry", 0, 0, On::Broker),
    (73, "AssignReplicasToDirs", 0, 0, On::Controller),
    (74, "ListConfigResources", 0, 1, On::Broker),
    (75, "DescribeTopicPartitions", 0, 0, On::Broker),
    (76, "ShareGroupHeartbeat", 1, 1, On::Broker),
    (77, "ShareGroupDescribe", 1, 1, On::Broker),
    (78, "ShareFetch", 1, 2, On::Broker),
    (79, "ShareAcknowledge", 1, 2, On::Broker),
    (80, "AddRaftVoter", 0, 1, On::Both),
    (81, "RemoveRaftVoter", 0, 0, On::Both),
    (82, "UpdateRaftVoter", 0, 0, On::Controller),
    (83, "InitializeShareGroupState", 0, 0, On::Broker),
    (84, "ReadShareGroupState", 0, 0, On::Broker),
    (85, "WriteShareGroupState", 0, 1, On::Broker),
    (86, "DeleteShareGroupState", 0, 0, On::Broker),
    (87, "ReadShareGroupStateSummary", 0, 1, On::Broker),
    (88, "StreamsGroupHeartbeat", 0, 1, On::Broker),
    (89, "StreamsGroupDescribe", 0, 1, On::Broker),
    (90, "DescribeShareGroupOffsets", 0, 1, On::Broker),
    (91, "AlterShareGroupOffsets", 0, 0, On::Broker),
    (92, "DeleteShareGroupOffsets", 0, 0, On::Broker),
    (93, "StreamsGroupTopologyDescriptionUpdate", 0, 0, On::Broker),
    (94, "UnregisterController", 0, 0, On::Both),
];

/// What is not served yet, with quorums and clusters, telemetry,
/// and share and streams groups. This only shrinks.
const NOT_YET: &[i16] = &[
    52, 53, 54, 56, 58, 59, 62, 63, 70, 71, 72, 73, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87,
    88, 89, 90, 91, 92, 93, 94,
];

/// What is not served yet on the controller's listener: there is no other node to fetch from here.
const NOT_YET_ON_THE_CONTROLLER: &[i16] = &[1];

#[test]
fn what_is_served_is_what_apache_kafka_4_4_serves_in_the_same_versions() {
    for (key, name, min_version, max_version, on) in KAFKA_4_4 {
        let facts = facts(*key).unwrap();
        assert_eq!((facts.name, facts.on), (*name, *on));
        assert_eq!((facts.min_version, facts.max_version), (*min_version, *max_version), "{name}");
        let Some(api) = APIS.iter().find(|api| api.key == *key) else {
            assert!(NOT_YET.contains(key), "{name} is missing");
            continue;
        };
        assert!(!NOT_YET.contains(key), "{name} is served");
        assert_eq!((api.min_version, api.max_version), (*min_version, *max_version), "{name}");
        let served = if NOT_YET_ON_THE_CONTROLLER.contains(key) { On::Broker } else { *on };
        assert_eq!(api.on, served, "{name}");
    }
    for api in APIS {
        assert!(KAFKA_4_4.iter().any(|(key, ..)| *key == api.key), "{} is not Kafka's", api.key);
    }
}

/// The APIs that Apache Kafka 4.4 marks as forwardable (`ApiKeys.forwardable`).
const FORWARDABLE: &[i16] =
    &[19, 20, 30, 31, 33, 37, 38, 39, 40, 43, 44, 45, 46, 49, 51, 55, 57, 64, 67, 80, 81, 94];

#[test]
fn a_broker_forwards_what_apache_kafka_4_4_forwards() {
    for api in APIS {
        let name = facts(api.key).unwrap().name;
        let is_forwarded = api.forwarding != Forwarding::Local;
        assert_eq!(is_forwarded, FORWARDABLE.contains(&api.key), "{name}");
        // A controller is where requests are forwarded to.
        assert!(!is_forwarded || api.on != On::Broker, "{name} is not served by controllers");
        let has_own_part = ["AlterConfigs", "IncrementalAlterConfigs"].contains(&name);
        assert_eq!(api.forwarding == Forwarding::AfterOwnPart, has_own_part, "{name}");
    }
}

/// The APIs whose responses Apache Kafka 4.4 exempts from the request quota
/// (`KafkaApis`, `ControllerApis`: `sendResponseExemptThrottle`).
const EXEMPT: &[i16] = &[27, 52, 53, 54, 56, 58, 59];

#[test]
fn a_request_counts_against_the_quota_of_apache_kafka_4_4() {
    for api in APIS {
        let name = facts(api.key).unwrap().name;
        let expected = match name {
            "Produce" => Quota::Produce,
            "Fetch" | "ShareFetch" => Quota::Fetch,
            "CreateTopics" | "DeleteTopics" | "CreatePartitions" => Quota::ControllerMutation,
            _ if EXEMPT.contains(&api.key) => Quota::None,
            _ => Quota::Request,
        };
        assert_eq!(api.quota, expected, "{name}");
    }
}
