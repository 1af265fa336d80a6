//! Clients that are stuck where an answer comes too soon are given the time that they need.

use std::time::Duration;

use kafka_protocol::messages::{
    ApiVersionsRequest, ConsumerGroupHeartbeatRequest, GroupId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::group_stories::{PROPERTIES, coordinator};
use crate::support::broker::SimBroker;
use crate::support::simulate;
use crate::support::workload::{Session, TOPIC};

const HOST: &str = "broker";
/// What they are given.
const PAUSE: Duration = Duration::from_millis(5);

/// librdkafka that hears of its partitions between two steps of a changing subscription is stuck.
#[test]
fn whoever_subscribes_has_some_milliseconds_to_change_its_mind_before_it_is_given_partitions() {
    simulate("whoever_subscribes", 1, |world| async move {
        let mut broker = SimBroker::new(&world, HOST, PROPERTIES);
        broker.start_and_serve().await;
        let mut session = Session::new(world.machine("client").start(), HOST);
        session.create_topic().await;
        coordinator(&mut session).await;
        let member = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_member_id(StrBytes::from_static_str("m"));
        let topic = TopicName(StrBytes::from_static_str(TOPIC));
        let join = member
            .clone()
            .with_topic_partitions(Some(vec![]))
            .with_rebalance_timeout_ms(60_000)
            .with_subscribed_topic_names(Some(vec![topic]));
        let began = Instant::now();
        let answer = session.call(1, &join).await.unwrap();
        let took = began.elapsed();
        assert!(answer.assignment.is_some());
        assert!(took >= PAUSE, "{took:?}");
        let beat = member.with_member_epoch(answer.member_epoch).with_rebalance_timeout_ms(-1);
        let began = Instant::now();
        assert_eq!(session.call(1, &beat).await.unwrap().error_code, 0);
        assert!(began.elapsed() < PAUSE, "others are answered at once");
    });
}

/// kafka-python forgets a `subscribe()` that comes while its first Metadata request is under way.
#[test]
fn kafka_python_has_some_milliseconds_to_subscribe_before_it_asks_for_its_topics() {
    simulate("kafka_python", 1, |world| async move {
        let mut broker = SimBroker::new(&world, HOST, &[]);
        broker.start_and_serve().await;
        let mut session = Session::new(world.machine("client").start(), HOST);
        for (software, is_given_time) in [("kafka-python", true), ("librdkafka", false)] {
            let ask = ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str(software))
                .with_client_software_version(StrBytes::from_static_str("3.0.12"));
            let began = Instant::now();
            let answer = session.call(3, &ask).await.unwrap();
            assert_eq!(answer.error_code, 0);
            let took = began.elapsed();
            assert_eq!(took >= PAUSE, is_given_time, "{software}: {took:?}");
        }
    });
}
