//! The controller over a double of the quorum: the tests say when something is committed, and who
//! leads.

use super::super::control_plane::tests::env;
use super::super::metadata_feed::tests::settle;
use super::super::metadata_feed::{self, Publisher};
use super::super::quorum::start::LogHistory;
use super::super::quorum::tests::QuorumDouble;
use super::*;
use crate::controller::bootstrap;
use crate::controller::command::{BrokerHeartbeat, CreateTopics, NewTopic};
use crate::controller::tests::{FewRules, registration, settings};
use crate::env::sim::SimDisk;
use crate::metadata::record::TopicRecord;
use crate::metadata::replay::Replay;
use crate::raft::MetadataLogConfig;
use crate::types::Uuid;

type Called<T> = tokio::task::JoinHandle<Result<T, Refusal>>;

/// A controller with its feed, at work.
pub(in crate::drivers) struct Node {
    quorum: QuorumDouble,
    feed: MetadataFeed,
    pub(in crate::drivers) client: ControllerClient,
}

impl Node {
    pub(in crate::drivers) fn start() -> Self {
        let env = env(&SimDisk::new(1));
        let quorum = QuorumDouble::new();
        let history = LogHistory {
            replay: Replay::default(),
            end: 0,
            bytes_since_snapshot: 0,
            bootstrap: None,
        };
        let config = MetadataLogConfig::default();
        let (feed_driver, feed) = metadata_feed::new(&env, config, history, &quorum.client);
        let parts = ControllerParts {
            env,
            settings: settings(),
            rules: Arc::new(FewRules),
            bootstrap: bootstrap::default_records(),
            quorum: quorum.client.clone(),
            feed: feed.clone(),
        };
        let (driver, client) = new(parts, 0);
        let publishers: Vec<Arc<dyn Publisher>> = Vec::new();
        tokio::spawn(feed_driver.run(publishers));
        tokio::spawn(driver.run());
        Self { quorum, feed, client }
    }

    /// Leads an epoch, in which a broker can hold partitions.
    async fn lead(&self, epoch: LeaderEpoch) {
        self.quorum.lead(epoch);
        settle().await;
        self.quorum.commit_staged();
        let broker_epoch = self.committed(registration(1, epoch as u64)).await.unwrap();
        let heartbeat = BrokerHeartbeat {
            broker_id: 1,
            broker_epoch,
            metadata_offset: Offset::MAX,
            ..BrokerHeartbeat::default()
        };
        self.committed(heartbeat).await.unwrap();
    }

    /// Calls, and lets the controller decide.
    async fn call<O>(&self, operation: O) -> Called<O::Reply>
    where
        O: Operation + Send + 'static,
        O::Reply: Send,
    {
        let client = self.client.clone();
        let called = tokio::spawn(async move { client.call(operation).await });
        settle().await;
        called
    }

    /// Calls, commits what was decided, and returns the reply.
    async fn committed<O>(&self, operation: O) -> Result<O::Reply, Refusal>
    where
        O: Operation + Send + 'static,
        O::Reply: Send,
    {
        let called = self.call(operation).await;
        self.quorum.commit_staged();
        called.await.unwrap()
    }

    fn topics(&self) -> Vec<String> {
        self.feed.image().topics.iter_by_name().map(|topic| topic.name.to_string()).collect()
    }
}

fn create(name: &str) -> CreateTopics {
    let topic = NewTopic { name: name.to_owned(), ..NewTopic::default() };
    CreateTopics { topics: vec![topic], validate_only: false }
}

fn code_of(called: Vec<crate::controller::command::CreateTopicResult>) -> Option<ErrorCode> {
    called.into_iter().next().unwrap().result.err().map(|refusal| refusal.code)
}

#[tokio::test]
async fn a_controller_on_standby_refuses_every_command() {
    let node = Node::start();
    let refused = node.client.call(create("a")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotController);
    assert_eq!(node.quorum.staged(), Vec::<Vec<&str>>::new());
}

#[tokio::test]
async fn a_new_leader_stages_what_it_owes_before_any_command() {
    let node = Node::start();
    node.quorum.lead(1);
    let called = node.call(registration(1, 1)).await;
    let staged: Vec<&str> = node.quorum.staged().into_iter().map(|batch| batch[0]).collect();
    assert_eq!(staged, ["CONTROL", "BEGIN_TRANSACTION_RECORD", "REGISTER_BROKER_RECORD"]);
    node.quorum.commit_staged();
    called.await.unwrap().unwrap();
}

#[tokio::test]
async fn replies_wait_for_their_offset_and_reads_for_the_highest_pending_one() {
    let node = Node::start();
    node.lead(1).await;
    let first = node.call(create("a")).await;
    let read = node.call(CreateTopics { validate_only: true, ..create("b") }).await;
    let again = node.call(create("a")).await;
    assert!(!first.is_finished() && !read.is_finished() && !again.is_finished());
    assert_eq!(node.topics(), Vec::<String>::new());
    node.quorum.commit_staged();
    assert_eq!(code_of(first.await.unwrap().unwrap()), None);
    assert_eq!(node.topics(), ["a"], "the reply leaves after the image is published");
    assert_eq!(code_of(read.await.unwrap().unwrap()), None);
    let again = code_of(again.await.unwrap().unwrap());
    assert_eq!(again, Some(ErrorCode::TopicAlreadyExists), "decided after the first");
    let read = node.call(CreateTopics { validate_only: true, ..create("b") }).await;
    assert!(read.is_finished(), "nothing is pending");
}

#[tokio::test]
async fn leadership_lost_fails_what_is_pending_and_the_next_epoch_begins_from_what_is_committed() {
    let node = Node::start();
    node.lead(1).await;
    node.committed(create("a")).await.unwrap();
    let (pending, read) = (node.call(create("b")).await, node.call(create("a")).await);
    node.quorum.resign();
    node.quorum.truncate();
    for failed in [pending, read] {
        assert_eq!(failed.await.unwrap().unwrap_err().code, ErrorCode::NotController);
    }
    let standby = node.client.call(create("x")).await.unwrap_err();
    assert_eq!(standby.code, ErrorCode::NotController);
    let other = TopicRecord { name: "c".to_owned(), topic_id: Uuid::from_halves(5, 5) };
    node.quorum.commit(2, vec![other.into()]);
    node.lead(3).await;
    assert_eq!(node.topics(), ["a", "c"]);
    let exists = code_of(node.committed(create("c")).await.unwrap());
    assert_eq!(exists, Some(ErrorCode::TopicAlreadyExists), "another leader created it");
    let created = code_of(node.committed(create("b")).await.unwrap());
    assert_eq!(created, None, "it was never committed");
    assert_eq!(node.topics(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_command_of_a_lost_epoch_fails_even_if_its_records_are_committed() {
    let node = Node::start();
    node.lead(1).await;
    let pending = node.call(create("a")).await;
    node.quorum.resign();
    node.quorum.commit_staged(); // By the next leader, which had them.
    let failed = pending.await.unwrap().unwrap_err();
    assert_eq!(failed.code, ErrorCode::NotController);
    settle().await;
    assert_eq!(node.topics(), ["a"]);
}

#[tokio::test]
async fn commands_that_are_decided_during_a_sync_are_committed_by_the_next() {
    let node = Node::start();
    node.lead(1).await;
    let (a, b) = (node.call(create("a")).await, node.call(create("b")).await);
    assert_eq!(node.quorum.staged().len(), 2, "both were decided while nothing was committed");
    node.quorum.commit_staged();
    a.await.unwrap().unwrap();
    b.await.unwrap().unwrap();
    assert_eq!(node.topics(), ["a", "b"]);
}

#[tokio::test]
async fn a_stop_answers_what_was_asked_and_refuses_what_comes_later() {
    let node = Node::start();
    node.lead(1).await;
    let pending = node.call(create("a")).await;
    let client = node.client.clone();
    let stop = tokio::spawn(async move { client.stop().await });
    settle().await;
    assert!(!stop.is_finished(), "a reply is pending");
    node.quorum.commit_staged();
    assert_eq!(code_of(pending.await.unwrap().unwrap()), None);
    stop.await.unwrap();
    let late = node.client.call(create("b")).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::RequestTimedOut);
}

#[tokio::test]
async fn a_quorum_that_ends_fails_what_is_pending() {
    let node = Node::start();
    node.lead(1).await;
    let pending = node.call(create("a")).await;
    node.quorum.end();
    assert_eq!(pending.await.unwrap().unwrap_err().code, ErrorCode::RequestTimedOut);
}
