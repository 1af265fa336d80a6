//! Produce and Fetch, which are read by hand.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use super::super::{fetch, produce};
use super::{Sample, shape};

/// The two that are read by hand, since they are the hot path.
#[test]
fn produce_and_fetch_are_read_as_the_message_library_reads_them() {
    for version in 3..=13 {
        for seed in 0..200 {
            let body = Sample::of(shape("ProduceRequest"), version, seed).body;
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
            let body = Sample::of(shape("FetchRequest"), version, seed).body;
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
