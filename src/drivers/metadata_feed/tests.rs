//! The feed over a double of the quorum.

use parking_lot::Mutex;

use super::super::control_plane::tests::env;
use super::super::quorum::tests::QuorumDouble;
use super::*;
use crate::env::sim::SimDisk;
use crate::metadata::MetadataRecord;
use crate::metadata::record::{
    BeginTransactionRecord, EndTransactionRecord, FeatureLevelRecord, NoOpRecord, PartitionRecord,
    RemoveTopicRecord, TopicRecord,
};
use crate::types::{TopicId, Uuid};

fn start(quorum: &QuorumDouble) -> (FeedDriver, MetadataFeed) {
    let history =
        LogHistory { replay: Replay::default(), end: 0, bytes_since_snapshot: 0, bootstrap: None };
    let env = env(&SimDisk::new(1));
    new(&env, MetadataLogConfig::default(), history, &quorum.client)
}

fn topic(number: u64) -> (TopicId, MetadataRecord) {
    let topic_id = Uuid::from_halves(7, number);
    (topic_id, TopicRecord { name: format!("t{number}"), topic_id }.into())
}

fn partition(topic_id: TopicId, leader: i32) -> MetadataRecord {
    let replicas = vec![1, 2];
    let isr = vec![leader];
    PartitionRecord { partition_id: 0, topic_id, replicas, isr, leader, ..Default::default() }
        .into()
}

/// Lets every task that can go on do so.
pub(in crate::drivers) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Notes its name, the image that it was given and the one that requests saw meanwhile; it takes
/// its time.
struct Slow {
    name: &'static str,
    feed: MetadataFeed,
    calls: Arc<Mutex<Vec<(&'static str, Offset, Offset)>>>,
}

impl Publisher for Slow {
    fn publish<'a>(
        &'a self,
        image: &'a Arc<MetadataImage>,
        _changes: &'a Changes,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.calls.lock().push((self.name, image.offset, self.feed.image().offset));
        })
    }
}

#[tokio::test]
async fn publishers_act_one_after_the_other_before_requests_see_the_image() {
    let quorum = QuorumDouble::new();
    let (driver, feed) = start(&quorum);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let publishers = ["partitions", "coordinators"].map(|name| {
        let (feed, calls) = (feed.clone(), Arc::clone(&calls));
        Arc::new(Slow { name, feed, calls }) as Arc<dyn Publisher>
    });
    let run = tokio::spawn(driver.run(publishers.into()));
    quorum.commit(1, vec![topic(1).1]);
    settle().await;
    quorum.commit(1, vec![topic(2).1]);
    settle().await;
    let expect = [
        ("partitions", 0, -1),
        ("coordinators", 0, -1),
        ("partitions", 1, 0),
        ("coordinators", 1, 0),
    ];
    assert_eq!(*calls.lock(), expect);
    assert_eq!(feed.image().offset, 1);
    feed.stop().await;
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_wait_ends_when_the_offset_is_published_and_fails_when_the_feed_ends() {
    let quorum = QuorumDouble::new();
    let (driver, feed) = start(&quorum);
    let run = tokio::spawn(driver.run(Vec::new()));
    let waiter = |offset| {
        let feed = feed.clone();
        tokio::spawn(async move { feed.wait_for(offset).await })
    };
    let (first, third) = (waiter(0), waiter(2));
    settle().await;
    assert!(!first.is_finished());
    quorum.commit(1, vec![topic(1).1, NoOpRecord {}.into()]);
    settle().await;
    assert_eq!(first.await.unwrap(), Ok(()));
    assert!(!third.is_finished());
    quorum.end();
    settle().await;
    run.await.unwrap().unwrap();
    assert_eq!(third.await.unwrap(), Err(StoppedError));
    assert_eq!(feed.wait_for(1).await, Ok(()), "what is published needs no feed");
}

#[tokio::test]
async fn a_transaction_shows_in_no_image_before_its_end() {
    let quorum = QuorumDouble::new();
    let (driver, feed) = start(&quorum);
    let _run = tokio::spawn(driver.run(Vec::new()));
    quorum.commit(1, vec![BeginTransactionRecord::default().into(), topic(1).1]);
    let committed = feed.wait_for_committed(2).await.unwrap();
    assert!(committed.in_transaction && committed.image.topics.is_empty());
    assert_eq!((feed.image().offset, committed.end), (-1, 2));
    quorum.commit(1, vec![EndTransactionRecord::default().into()]);
    feed.wait_for(2).await.unwrap();
    assert_eq!(feed.image().topics.len(), 1);
    assert!(!feed.committed().in_transaction);
}

#[tokio::test]
async fn a_record_that_cannot_be_replayed_ends_the_feed_and_shows_nothing() {
    let unknown = RemoveTopicRecord { topic_id: topic(9).0 };
    let newer = FeatureLevelRecord { name: "share.version".into(), feature_level: 99 };
    for (record, expect) in [
        (MetadataRecord::from(unknown), "REMOVE_TOPIC_RECORD cannot be replayed: no topic has id"),
        (newer.into(), "FEATURE_LEVEL_RECORD cannot be replayed: feature share.version is"),
    ] {
        let quorum = QuorumDouble::new();
        let (driver, feed) = start(&quorum);
        let run = tokio::spawn(driver.run(Vec::new()));
        quorum.commit(1, vec![topic(1).1]);
        quorum.commit(1, vec![topic(2).1, record]);
        let error = run.await.unwrap().unwrap_err().to_string();
        assert!(error.starts_with(&format!("metadata log at offset 2: {expect}")), "{error}");
        assert!(feed.image().topics.is_empty(), "no part of the event is shown");
        assert_eq!(feed.wait_for(0).await, Err(StoppedError));
    }
}

#[tokio::test]
async fn a_snapshot_is_loaded_as_one_change() {
    let quorum = QuorumDouble::new();
    let (mut driver, _feed) = start(&quorum);
    let ((gone, a), (kept, b), (new, c)) = (topic(1), topic(2), topic(3));
    for (offset, record) in (0..).zip([a, partition(gone, 1), b.clone(), partition(kept, 1)]) {
        driver.replay.apply(&record, offset, 1).unwrap();
    }
    let _ = driver.replay.take_changes();
    let snapshot = Snapshot {
        last_contained_timestamp: Timestamp(5),
        kraft_version: 0,
        voters: None,
        records: vec![b, partition(kept, 1), c, partition(new, 2)],
    };
    let changes = driver.load(SnapshotId { offset: 40, epoch: 3 }, &snapshot).unwrap();
    assert_eq!((driver.end, driver.replay.image().offset), (40, 39));
    assert_eq!(changes.topics_deleted.iter().map(|t| t.id).collect::<Vec<_>>(), [gone]);
    assert_eq!(changes.topics_created.into_iter().collect::<Vec<_>>(), [new]);
    let changed: Vec<TopicId> = changes.partitions.iter().map(|id| id.topic).collect();
    assert_eq!(changed, [new], "partitions that are equal in both keep running");
}
