use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Message, Request};

use super::super::apis::APIS;
use super::super::messages::request_layout;
use super::super::shapes::{CONSUMER_PROTOCOL, REQUESTS};
use super::super::{fetch, produce};
use super::*;
use sample::{Form, HOSTILE, Sample};

#[path = "../../../tests/support/sample.rs"]
#[expect(dead_code, unreachable_pub, reason = "tests of whole brokers include it as well")]
mod sample;

/// How the message library decodes a message: the bytes it leaves, or that it refuses. `None` when
/// it has no such message or version.
fn library_decodes(shape: &Shape, version: i16, body: &Bytes) -> Option<Result<usize, ()>> {
    macro_rules! among {
        ($($request:ident),* $(,)?) => {
            match (shape.api_key, shape.name) {
                (-1, "ConsumerProtocolSubscription") => {
                    decodes::<ConsumerProtocolSubscription>(version, body)
                }
                (-1, _) => decodes::<ConsumerProtocolAssignment>(version, body),
                $(($request::KEY, _) => decodes::<$request>(version, body),)*
                _ => None,
            }
        };
    }
    among! {
        ProduceRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
        OffsetFetchRequest, FindCoordinatorRequest, JoinGroupRequest, HeartbeatRequest,
        LeaveGroupRequest, SyncGroupRequest, DescribeGroupsRequest, ListGroupsRequest,
        SaslHandshakeRequest, ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
        DeleteRecordsRequest, InitProducerIdRequest, OffsetForLeaderEpochRequest,
        AddPartitionsToTxnRequest, AddOffsetsToTxnRequest, EndTxnRequest, WriteTxnMarkersRequest,
        TxnOffsetCommitRequest, DescribeAclsRequest, CreateAclsRequest, DeleteAclsRequest,
        DescribeConfigsRequest, AlterConfigsRequest, AlterReplicaLogDirsRequest,
        DescribeLogDirsRequest, SaslAuthenticateRequest, CreatePartitionsRequest,
        CreateDelegationTokenRequest, RenewDelegationTokenRequest, ExpireDelegationTokenRequest,
        DescribeDelegationTokenRequest, DeleteGroupsRequest, ElectLeadersRequest,
        IncrementalAlterConfigsRequest, AlterPartitionReassignmentsRequest,
        ListPartitionReassignmentsRequest, OffsetDeleteRequest, DescribeClientQuotasRequest,
        AlterClientQuotasRequest, DescribeUserScramCredentialsRequest,
        AlterUserScramCredentialsRequest, VoteRequest, BeginQuorumEpochRequest,
        EndQuorumEpochRequest, DescribeQuorumRequest, AlterPartitionRequest, UpdateFeaturesRequest,
        EnvelopeRequest, FetchSnapshotRequest, DescribeClusterRequest, DescribeProducersRequest,
        BrokerRegistrationRequest, BrokerHeartbeatRequest, UnregisterBrokerRequest,
        DescribeTransactionsRequest, ListTransactionsRequest, AllocateProducerIdsRequest,
        ConsumerGroupHeartbeatRequest, ConsumerGroupDescribeRequest, ControllerRegistrationRequest,
        GetTelemetrySubscriptionsRequest, PushTelemetryRequest, AssignReplicasToDirsRequest,
        ListConfigResourcesRequest, DescribeTopicPartitionsRequest, ShareGroupHeartbeatRequest,
        ShareGroupDescribeRequest, ShareFetchRequest, ShareAcknowledgeRequest, AddRaftVoterRequest,
        RemoveRaftVoterRequest, UpdateRaftVoterRequest, InitializeShareGroupStateRequest,
        ReadShareGroupStateRequest, WriteShareGroupStateRequest, DeleteShareGroupStateRequest,
        ReadShareGroupStateSummaryRequest, DescribeShareGroupOffsetsRequest,
        AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest,
    }
}

fn decodes<T: Message + Decodable>(version: i16, body: &Bytes) -> Option<Result<usize, ()>> {
    let mut rest = body.clone();
    (T::VERSIONS.min..=T::VERSIONS.max)
        .contains(&version)
        .then(|| T::decode(&mut rest, version).map(|_| rest.len()).map_err(drop))
}

fn every_version() -> impl Iterator<Item = (&'static Shape, i16)> {
    let messages = REQUESTS.iter().chain(CONSUMER_PROTOCOL);
    messages.flat_map(|shape| {
        (shape.versions.first..=shape.versions.last).map(move |version| (shape, version))
    })
}

/// What the walk passes, the library must read to the same byte or refuse, in memory that is
/// bounded by what was sent.
fn check_against_library(shape: &Shape, version: i16, body: Vec<u8>) {
    let checked = shape.check(version, &body);
    let Ok(taken) = checked else { return };
    let body = Bytes::from(body);
    let mut decoded = None;
    let memory = allocation_counter::measure(|| {
        decoded = library_decodes(shape, version, &body);
    });
    if let Some(Ok(left)) = decoded {
        assert_eq!(left, body.len() - taken, "{} v{version} {body:02x?}", shape.name);
    }
    let bound = 100 * body.len() as u64 + 4096;
    let most = memory.bytes_max;
    assert!(most <= bound, "{} v{version} took {most} bytes for {body:02x?}", shape.name);
}

#[test]
fn every_request_of_kafka_4_4_has_its_shape() {
    let keys: Vec<i16> = REQUESTS.iter().map(|shape| shape.api_key).collect();
    assert_eq!(keys, (0..=3).chain(8..=94).collect::<Vec<i16>>());
    for api in APIS {
        let shape = Shape::of_request(api.key).unwrap();
        assert_eq!((shape.api_key, shape.name), (api.key, api.name));
        let newest = if api.name == "InitProducerId" { 6 } else { api.max_version }; // 6 is unstable.
        assert_eq!((shape.versions.first, shape.versions.last), (api.min_version, newest));
        for version in api.min_version..=api.max_version {
            assert_eq!(shape.flexible.contains(version), version >= api.flexible_from);
        }
    }
    assert!(Shape::of_request(4).is_none() && Shape::of_request(-1).is_none());
}

#[test]
fn the_message_library_reads_every_request_as_its_shape_says() {
    let mut compared = 0;
    for (shape, version) in every_version() {
        for seed in 0..20 {
            let sample = Sample::of(shape, version, seed);
            assert_eq!(shape.check(version, &sample.body), Ok(sample.body.len()), "{}", shape.name);
            let body = Bytes::from(sample.body);
            let Some(decoded) = library_decodes(shape, version, &body) else { continue };
            assert_eq!(decoded, Ok(0), "{} v{version} {body:02x?}", shape.name);
            compared += 1;
        }
    }
    assert!(compared > 20 * 230, "only {compared} bodies were compared");
}

/// The two that are read by hand, since they are the hot path.
#[test]
fn produce_and_fetch_are_read_as_the_message_library_reads_them() {
    for version in 3..=13 {
        for seed in 0..200 {
            let body = Sample::of(request("Produce"), version, seed).body;
            let scan = produce::ProduceRequest::scan(&body, version).unwrap();
            let read = ProduceRequest::decode(&mut Bytes::from(body.clone()), version).unwrap();
            assert_eq!((scan.acks, scan.timeout_ms), (read.acks, read.timeout_ms));
            let transactional_id = scan.transactional_id.map(|range| body[range].to_vec());
            let theirs = read.transactional_id.map(|id| id.0.as_bytes().to_vec());
            assert_eq!(transactional_id, theirs);
            let mut ours = scan.partitions.iter();
            assert_eq!(scan.topics.len(), read.topic_data.len());
            for (at, topic) in read.topic_data.iter().enumerate() {
                match &scan.topics[at] {
                    produce::TopicRef::Name(name) => {
                        assert_eq!(&body[name.clone()], topic.name.0.as_bytes());
                    }
                    produce::TopicRef::Id(id) => assert_eq!(id.0, *topic.topic_id.as_bytes()),
                }
                for partition in &topic.partition_data {
                    let scanned = ours.next().unwrap();
                    assert_eq!((scanned.topic, scanned.index), (at, partition.index));
                    let records = partition.records.as_deref().unwrap_or_default();
                    assert_eq!(&body[scanned.records.clone()], records);
                }
            }
            assert!(ours.next().is_none());
        }
    }
    for version in 4..=18 {
        for seed in 0..200 {
            let body = Sample::of(request("Fetch"), version, seed).body;
            let ours = fetch::FetchRequest::read(&body, version).unwrap();
            let read = FetchRequest::decode(&mut Bytes::from(body), version).unwrap();
            let replica =
                if version >= 15 { read.replica_state.replica_id } else { read.replica_id };
            assert_eq!(ours.replica_id, replica.0);
            assert_eq!((ours.max_wait_ms, ours.min_bytes), (read.max_wait_ms, read.min_bytes));
            assert_eq!(
                (ours.max_bytes, ours.isolation_level),
                (read.max_bytes, read.isolation_level)
            );
            assert_eq!(
                (ours.session_id, ours.session_epoch),
                (read.session_id, read.session_epoch)
            );
            assert_eq!(ours.rack_id, read.rack_id.as_str());
            let name = |name: &TopicName, id: &[u8; 16]| match version {
                13.. => fetch::TopicRef::Id(crate::types::Uuid(*id)),
                _ => fetch::TopicRef::Name(name.0.to_string()),
            };
            let topics = read.topics.iter().map(|topic| {
                let partition = |p: &fetch_request::FetchPartition| fetch::FetchPartition {
                    partition: p.partition,
                    current_leader_epoch: p.current_leader_epoch,
                    fetch_offset: p.fetch_offset,
                    last_fetched_epoch: p.last_fetched_epoch,
                    log_start_offset: p.log_start_offset,
                    max_bytes: p.partition_max_bytes,
                };
                let partitions = topic.partitions.iter().map(partition).collect();
                (name(&topic.topic, topic.topic_id.as_bytes()), partitions)
            });
            assert_eq!(ours.topics, topics.collect::<Vec<_>>());
            let forgotten = read.forgotten_topics_data.iter();
            let forgotten = forgotten.map(|topic| {
                (name(&topic.topic, topic.topic_id.as_bytes()), topic.partitions.clone())
            });
            assert_eq!(ours.forgotten, forgotten.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_version_that_is_read_as_the_one_before_has_its_layout() {
    fn differs(fields: &[Field], version: i16) -> bool {
        fields.iter().any(|field| match &field.kind {
            _ if field.versions.first == version || field.versions.last == version - 1 => true,
            Kind::Array(Kind::Struct(inner))
            | Kind::Struct(inner)
            | Kind::NullableStruct(inner) => differs(inner, version),
            _ => false,
        })
    }
    for api in APIS {
        let shape = Shape::of_request(api.key).unwrap();
        for version in api.min_version..=api.max_version {
            let layout = request_layout(api, version);
            if layout != version {
                assert!(layout == version - 1 && !differs(shape.fields, version), "{}", api.name);
                assert_eq!(layout >= api.flexible_from, version >= api.flexible_from);
            }
        }
    }
}

#[test]
fn a_body_that_ends_early_is_refused_wherever_it_ends() {
    for (shape, version) in every_version() {
        let body = Sample::of(shape, version, 7).body;
        for len in 0..body.len() {
            assert!(shape.check(version, &body[..len]).is_err(), "{} v{version} {len}", shape.name);
        }
    }
}

#[test]
fn a_hostile_length_in_any_place_costs_no_more_memory_than_was_sent() {
    for (shape, version) in every_version() {
        for seed in 0..8 {
            let sample = Sample::of(shape, version, seed);
            for length in &sample.lengths {
                for value in HOSTILE {
                    check_against_library(shape, version, sample.with(*length, value));
                }
            }
        }
    }
}

#[test]
fn a_damaged_byte_in_any_place_is_refused_or_read_alike() {
    for (shape, version) in every_version() {
        let body = Sample::of(shape, version, 3).body;
        for at in 0..body.len() {
            for byte in [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] {
                let mut body = body.clone();
                body[at] = byte;
                check_against_library(shape, version, body);
            }
        }
    }
}

fn request(name: &str) -> &'static Shape {
    REQUESTS.iter().find(|shape| shape.name == name).unwrap()
}

#[test]
fn eight_bytes_that_once_took_four_gigabytes_are_refused() {
    let frame = [0x03, 0x00, 0x00, 0x03, 0x3c, 0x0c, 0x00, 0xb6];
    assert!(request("Metadata").check(0, &frame).is_err());
    assert!(request("Metadata").check(0, &frame[4..]).is_err());
}

#[test]
fn two_million_tagged_fields_are_refused_before_the_first_is_read() {
    let mut body = vec![1, 0, 0];
    Form::Varint.write(&mut body, 2_000_000);
    body.resize(body.len() + 4_000_000, 0);
    let error = request("Metadata").check(12, &body).unwrap_err().to_string();
    assert_eq!(
        error,
        "Metadata.tagged fields: tagged fields: 2000000 elements, at most 10000 are possible here"
    );
}

#[test]
fn an_array_may_have_a_million_elements_and_not_one_more() {
    let topics = |count: i32| {
        let mut body = count.to_be_bytes().to_vec();
        body.resize(4 + 2 * count as usize, 0); // Each an empty name.
        request("Metadata").check(0, &body)
    };
    assert!(topics(1_000_000).is_ok());
    assert!(topics(1_000_001).is_err());
}

#[test]
fn arrays_within_arrays_share_one_bound() {
    // Deletions of one partition each, in three hundred arrays.
    let body = |partitions: i32| {
        let mut body = 300i32.to_be_bytes().to_vec();
        for _ in 0..300 {
            body.extend([0, 0]);
            body.extend(partitions.to_be_bytes());
            body.resize(body.len() + 12 * partitions as usize, 0);
        }
        body.extend([0; 4]);
        request("DeleteRecords").check(0, &body)
    };
    assert!(body(1_000).is_ok());
    let error = body(7_000).unwrap_err().to_string();
    assert!(error.starts_with("DeleteRecords.Partitions: all arrays of a message"), "{error}");
}

#[test]
fn a_tagged_field_that_lies_about_its_length_is_refused() {
    let heartbeat = |section: &[u8]| {
        let mut body = vec![0; 4 + 8 + 8 + 1 + 1]; // Five plain fields.
        body.extend(section);
        request("BrokerHeartbeat").check(1, &body)
    };
    let mut directories = vec![1, 0, 17, 2]; // One field, tag 0, 17 bytes, one id.
    directories.extend([7; 16]);
    assert!(heartbeat(&directories).is_ok());
    directories.push(0);
    directories[2] = 18;
    assert!(heartbeat(&directories).is_err());
    directories[2] = 16;
    assert!(heartbeat(&directories).is_err());
}

#[test]
fn a_version_that_kafka_lacks_is_refused() {
    let error = request("Produce").check(2, &[]).unwrap_err();
    assert_eq!(error, CodecError::UnknownVersion { message: "Produce", version: 2 });
}

#[test]
fn no_array_has_elements_without_bytes() {
    fn visit(kind: &Kind, at: At) {
        match kind {
            Kind::Array(element) => {
                assert!(element.min_len(at) > 0);
                visit(element, at);
            }
            Kind::Struct(fields) | Kind::NullableStruct(fields) => fields
                .iter()
                .filter(|field| field.versions.contains(at.version))
                .for_each(|field| visit(&field.kind, at)),
            Kind::Fixed(_) | Kind::String | Kind::Bytes => {}
        }
    }
    for (shape, version) in every_version() {
        let at = At { version, flexible: shape.flexible.contains(version) };
        shape
            .fields
            .iter()
            .filter(|f| f.versions.contains(version))
            .for_each(|f| visit(&f.kind, at));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_walk_panic(at in 0..REQUESTS.len(), version: i16, body: Vec<u8>) {
        let _ = REQUESTS[at].check(version % 19, &body);
    }
}
