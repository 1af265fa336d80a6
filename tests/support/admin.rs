//! Administrators that create, extend and delete topics whatever happens to the broker, and know
//! afterwards which there must be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blumfeld::env::sim::Rng;
use blumfeld::types::ErrorCode;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;

use super::workload::Session;

const CREATE_TOPICS: i16 = 7;
const DELETE_TOPICS: i16 = 6;
const CREATE_PARTITIONS: i16 = 3;
const METADATA: i16 = 12;

const TOPICS_EACH: u64 = 3;
const TIMEOUT_MS: i32 = 10_000;
const RETRY: Duration = Duration::from_millis(50);

/// The topics there are, with their partitions.
pub type Topics = Arc<Mutex<BTreeMap<String, i32>>>;

/// One thing an administrator wants.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Create(i32),
    Extend(i32),
    Delete,
}

fn name_of(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// Does `steps` things to topics of its own, each until the broker says that it is done.
pub async fn administrate(
    mut session: Session,
    admin: u32,
    steps: u32,
    mut rng: Rng,
    topics: Topics,
) {
    for _ in 0..steps {
        let topic = format!("of-{admin}-{}", rng.below(TOPICS_EACH));
        let partitions = topics.lock().get(&topic).copied();
        let wish = match partitions {
            None => Wish::Create(1 + rng.below(3) as i32),
            Some(partitions) if rng.coin() => Wish::Extend(partitions + 1),
            Some(_) => Wish::Delete,
        };
        fulfil(&mut session, &topic, wish).await;
        match wish {
            Wish::Create(partitions) | Wish::Extend(partitions) => {
                topics.lock().insert(topic, partitions);
            }
            Wish::Delete => drop(topics.lock().remove(&topic)),
        }
        tokio::time::sleep(Duration::from_millis(rng.below(100))).await;
    }
}

/// Asks until the answer is that it is done; by an earlier attempt, if one was not answered.
async fn fulfil(session: &mut Session, topic: &str, wish: Wish) {
    let mut unanswered = false;
    loop {
        let error = match ask(session, topic, wish).await {
            Ok(None) => return,
            Ok(Some(error)) => error,
            Err(_) => {
                unanswered = true;
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let is_done = match wish {
            Wish::Create(_) => error == ErrorCode::TopicAlreadyExists,
            Wish::Extend(_) => error == ErrorCode::InvalidPartitions,
            Wish::Delete => error == ErrorCode::UnknownTopicOrPartition,
        };
        match error {
            _ if is_done && unanswered => return,
            ErrorCode::RequestTimedOut => unanswered = true,
            // While the broker shuts down, no broker can hold a replica.
            ErrorCode::NotController | ErrorCode::InvalidReplicationFactor => {}
            _ => panic!("{wish:?} of {topic}: {error:?}"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn ask(session: &mut Session, topic: &str, wish: Wish) -> std::io::Result<Option<ErrorCode>> {
    let name = name_of(topic);
    let code = match wish {
        Wish::Create(partitions) => {
            let topic = CreatableTopic::default()
                .with_name(name)
                .with_num_partitions(partitions)
                .with_replication_factor(1);
            let request =
                CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
            session.call(CREATE_TOPICS, &request).await?.topics[0].error_code
        }
        Wish::Extend(partitions) => {
            let topic = CreatePartitionsTopic::default().with_name(name).with_count(partitions);
            let request = CreatePartitionsRequest::default()
                .with_topics(vec![topic.with_assignments(None)])
                .with_timeout_ms(TIMEOUT_MS);
            session.call(CREATE_PARTITIONS, &request).await?.results[0].error_code
        }
        Wish::Delete => {
            let topic = DeleteTopicState::default().with_name(Some(name));
            let request =
                DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
            session.call(DELETE_TOPICS, &request).await?.responses[0].error_code
        }
    };
    Ok((code != 0).then(|| ErrorCode::from_code(code).expect("a known error")))
}

/// The topics that the broker knows, with their partitions; all led and without error.
pub async fn known_topics(session: &mut Session) -> BTreeMap<String, i32> {
    let request = MetadataRequest::default().with_topics(None);
    loop {
        let Ok(response) = session.call(METADATA, &request).await else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        return response
            .topics
            .iter()
            .map(|topic| {
                let name = topic.name.as_ref().unwrap().0.to_string();
                for partition in &topic.partitions {
                    let known = (partition.error_code, partition.leader_id.0);
                    assert_eq!(known, (0, 1), "{name}-{}", partition.partition_index);
                }
                (name, topic.partitions.len() as i32)
            })
            .collect();
    }
}
