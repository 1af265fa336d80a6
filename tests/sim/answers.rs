//! Answers that clients, or their tests, rely on. Every field of every answer is compared with Apache
//! Kafka's in the compat tests (`compat-tests/differential`).

use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use crate::group_stories::{PROPERTIES, coordinator};
use crate::support::broker::SimBroker;
use crate::support::simulate;
use crate::support::workload::{Session, TOPIC};

const HOST: &str = "broker";
const NOT_LEADER: i16 = 6;
const TIMED_OUT: i16 = 7;
const ILLEGAL_SASL_STATE: i16 = 34;
const INVALID_REQUEST: i16 = 42;
const TOKENS_NOT_ALLOWED: i16 = 64;
const UNKNOWN_TOPIC_ID: i16 = 100;

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

/// A broker that serves, and a client that has created the topic.
async fn session(world: &blumfeld::env::sim::World) -> (SimBroker, Session) {
    let mut broker = SimBroker::new(world, HOST, PROPERTIES);
    broker.start_and_serve().await;
    let mut session = Session::new(world.machine("client").start(), HOST);
    session.create_topic().await;
    (broker, session)
}

#[test]
fn sasl_and_delegation_tokens_are_refused_on_a_plaintext_listener() {
    simulate("sasl", 1, |world| async move {
        let (_broker, mut session) = session(&world).await;
        let handshake = SaslHandshakeRequest::default();
        assert_eq!(session.call(1, &handshake).await.unwrap().error_code, ILLEGAL_SASL_STATE);
        let answer = session.call(2, &SaslAuthenticateRequest::default()).await.unwrap();
        assert_eq!(answer.error_code, ILLEGAL_SASL_STATE);
        assert!(answer.error_message.is_some_and(|message| !message.is_empty()));

        let create = CreateDelegationTokenRequest::default()
            .with_owner_principal_name(Some(StrBytes::from_static_str("other")))
            .with_owner_principal_type(Some(StrBytes::from_static_str("User")));
        let answer = session.call(3, &create).await.unwrap();
        assert_eq!((answer.error_code, &*answer.principal_name), (TOKENS_NOT_ALLOWED, "other"));
        assert_eq!(&*answer.token_requester_principal_name, "ANONYMOUS");
        assert_eq!(answer.expiry_timestamp_ms, -1);
        let renew = session.call(2, &RenewDelegationTokenRequest::default()).await.unwrap();
        let expire = session.call(2, &ExpireDelegationTokenRequest::default()).await.unwrap();
        let describe = session.call(3, &DescribeDelegationTokenRequest::default()).await.unwrap();
        let codes = [renew.error_code, expire.error_code, describe.error_code];
        assert_eq!(codes, [TOKENS_NOT_ALLOWED; 3]);
    });
}

#[test]
fn a_group_or_partition_that_is_named_twice_is_answered_once() {
    simulate("named_twice", 1, |world| async move {
        let (_broker, mut session) = session(&world).await;
        coordinator(&mut session).await;
        let group = GroupId(StrBytes::from_static_str("g"));
        let delete = DeleteGroupsRequest::default().with_groups_names(vec![group.clone(), group]);
        assert_eq!(session.call(2, &delete).await.unwrap().results.len(), 1);

        let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(topic())
            .with_partitions(vec![partition.clone(), partition]);
        let list =
            ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let answer = session.call(7, &list).await.unwrap();
        let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [INVALID_REQUEST]);
    });
}

#[test]
fn a_change_with_a_timeout_of_0_is_refused_and_not_made() {
    simulate("timeout_0", 1, |world| async move {
        let (_broker, mut session) = session(&world).await;
        let state = delete_topics_request::DeleteTopicState::default().with_name(Some(topic()));
        let delete = DeleteTopicsRequest::default().with_topics(vec![state]);
        let more = create_partitions_request::CreatePartitionsTopic::default()
            .with_name(topic())
            .with_count(9)
            .with_assignments(None);
        let extend = CreatePartitionsRequest::default().with_topics(vec![more]);
        for timeout in [0, -1] {
            let answer = session.call(6, &delete.clone().with_timeout_ms(timeout)).await.unwrap();
            assert_eq!(answer.responses[0].error_code, TIMED_OUT);
            let answer = session.call(3, &extend.clone().with_timeout_ms(timeout)).await.unwrap();
            assert_eq!(answer.results[0].error_code, TIMED_OUT);
        }
        let created = create_topics_request::CreatableTopic::default()
            .with_name(topic())
            .with_num_partitions(1)
            .with_replication_factor(1);
        let create = CreateTopicsRequest::default().with_topics(vec![created]).with_timeout_ms(0);
        assert_eq!(session.call(7, &create).await.unwrap().topics[0].error_code, TIMED_OUT);
        session.create_topic().await; // Asserts its partitions.
    });
}

#[test]
fn a_follower_is_refused_partition_by_partition() {
    simulate("follower", 1, |world| async move {
        let (_broker, mut session) = session(&world).await;
        for version in [4, 12] {
            let partition =
                fetch_request::FetchPartition::default().with_partition_max_bytes(1 << 20);
            let missing = partition.clone().with_partition(99);
            let topic = fetch_request::FetchTopic::default()
                .with_topic(topic())
                .with_partitions(vec![partition, missing]);
            let fetch = FetchRequest::default()
                .with_replica_id(7.into())
                .with_max_bytes(1 << 20)
                .with_session_epoch(-1)
                .with_topics(vec![topic]);
            let answer = session.call(version, &fetch).await.unwrap();
            assert_eq!(answer.error_code, 0);
            let partitions = &answer.responses[0].partitions;
            assert_eq!(partitions[0].error_code, NOT_LEADER);
            assert_eq!(partitions[0].aborted_transactions, None);
            assert_eq!(partitions[1].error_code, 3);
            assert_eq!(partitions[1].aborted_transactions, Some(Vec::new()));
        }
    });
}

#[test]
fn an_unknown_topic_id_has_no_name() {
    simulate("unknown_id", 1, |world| async move {
        let (_broker, mut session) = session(&world).await;
        let wanted = metadata_request::MetadataRequestTopic::default()
            .with_name(None)
            .with_topic_id(uuid::Uuid::from_u128(7));
        let ask = MetadataRequest::default().with_topics(Some(vec![wanted]));
        let answer = session.call(12, &ask).await.unwrap();
        assert_eq!(answer.topics[0].error_code, UNKNOWN_TOPIC_ID);
        assert_eq!(answer.topics[0].name, None);
    });
}

#[test]
fn auto_creation_of_a_name_that_collides_asks_the_client_to_try_again() {
    simulate("collision", 1, |world| async move {
        let (_broker, mut session) = session(&world).await;
        for (name, code) in [("or_ders", 0), ("or.ders", 3), ("or ders", 17)] {
            let wanted = metadata_request::MetadataRequestTopic::default()
                .with_name(Some(TopicName(StrBytes::from_static_str(name))));
            let ask = MetadataRequest::default()
                .with_topics(Some(vec![wanted]))
                .with_allow_auto_topic_creation(true);
            let answer = session.call(9, &ask).await.unwrap();
            assert_eq!(answer.topics[0].error_code, code, "{name}");
        }
    });
}
