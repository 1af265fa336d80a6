//! Groups as clients of one broker meet them: how their coordinators come into being.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::support::broker::SimBroker;
use crate::support::workload::Session;
use crate::support::{seeds, simulate};

const HOST: &str = "broker";
pub(crate) const PROPERTIES: &[(&str, &str)] =
    &[("offsets.topic.replication.factor", "1"), ("offsets.topic.num.partitions", "7")];
const CLIENTS: usize = 20;

/// The node that coordinates group "g", once there is one.
pub(crate) async fn coordinator(session: &mut Session) -> i32 {
    let find = FindCoordinatorRequest::default()
        .with_key_type(0)
        .with_coordinator_keys(vec![StrBytes::from_static_str("g")]);
    loop {
        let told = session.call(4, &find).await.unwrap();
        let found = &told.coordinators[0];
        if found.error_code == 0 {
            return found.node_id.0;
        }
        assert_eq!(found.error_code, 15, "it is not there yet, and nothing else");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Clients that ask for a coordinator at once, the first to ask at all, bring the topic of offsets
/// into being once: all are sent to the one coordinator, and its topic stays the same.
#[test]
fn clients_that_are_the_first_to_ask_for_a_coordinator_at_once_create_its_topic_once() {
    for seed in seeds(5) {
        simulate("clients_that_are_the_first", seed, |world| async move {
            world.set_latency(3);
            let mut broker = SimBroker::new(&world, HOST, PROPERTIES);
            broker.start_and_serve().await;
            let (tell, mut told) = tokio::sync::mpsc::channel(CLIENTS);
            for number in 0..CLIENTS {
                let env = world.machine(&format!("client-{number}")).start();
                let mut session = Session::new(env.clone(), HOST);
                let tell = tell.clone();
                env.threads.spawn(Box::pin(async move {
                    let found = coordinator(&mut session).await;
                    let name = TopicName(StrBytes::from_static_str("__consumer_offsets"));
                    let asked = MetadataRequestTopic::default().with_name(Some(name));
                    let metadata = MetadataRequest::default().with_topics(Some(vec![asked]));
                    let known = session.call(12, &metadata).await.unwrap();
                    let topic = &known.topics[0];
                    tell.send((found, topic.topic_id, topic.partitions.len())).await.unwrap();
                }));
            }
            drop(tell);
            let mut answers = BTreeSet::new();
            let mut count = 0;
            while let Some((node, topic, partitions)) = told.recv().await {
                answers.insert((node, topic.to_string(), partitions));
                count += 1;
            }
            assert_eq!(count, CLIENTS);
            assert_eq!(answers.len(), 1, "{answers:?}");
            let (node, _, partitions) = answers.first().unwrap();
            assert_eq!((*node, *partitions), (1, 7));
        });
    }
}
