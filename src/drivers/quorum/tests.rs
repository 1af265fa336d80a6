//! The quorum's events and staging, and a double of the quorum for the tests of its listeners.

use super::*;
use crate::metadata::record::{NoOpRecord, TopicRecord};
use crate::raft::ReplicaKey;

/// A quorum without a log: the test says who leads, and what is committed.
pub(in crate::drivers) struct QuorumDouble {
    pub(in crate::drivers) client: QuorumClient,
    _requests: mpsc::Receiver<Request>,
}

impl QuorumDouble {
    /// Nothing is committed, and no node leads.
    pub(in crate::drivers) fn new() -> Self {
        let key = ReplicaKey { id: 1, directory: None };
        let local = Voter { key, endpoints: Vec::new(), kraft_versions: (0, 1) };
        let voters = VoterSet::new([local.clone()]);
        let status = QuorumStatus { leader: None, epoch: 0, voters, kraft_version: 0 };
        let shared = Shared {
            staged: Mutex::new(Staged { leads: None, end: 0, batches: Vec::new() }),
            staged_wake: Notify::new(),
            events: Arc::new(Events::new(0, None)),
            status: ArcSwap::from_pointee(status),
            local,
            is_snapshotting: AtomicBool::new(false),
        };
        let (sender, requests) = mpsc::channel(QUEUE_LEN);
        let client = QuorumClient { requests: sender, shared: Arc::new(shared) };
        Self { client, _requests: requests }
    }

    /// This node leads an epoch from now on; its first record is staged.
    pub(in crate::drivers) fn lead(&self, epoch: LeaderEpoch) {
        let start = self.client.shared.staged.lock().end;
        self.client.shared.staged.lock().leads = Some(epoch);
        let change = ControlRecord::LeaderChange { leader: 1, voters: vec![1], granting: vec![1] };
        let mut staging = self.client.stage(epoch).unwrap();
        staging.push_batch(Vec::new(), Content::Control(vec![change]), 1, Timestamp(0));
        drop(staging);
        self.client.shared.events.set_leadership(Some(Leadership { epoch, start }));
    }

    /// The records of each batch that is staged and not committed.
    pub(in crate::drivers) fn staged(&self) -> Vec<Vec<&'static str>> {
        let staged = self.client.shared.staged.lock();
        let names = |batch: &LogBatch| match &batch.content {
            Content::Data(records) => records.iter().map(MetadataRecord::name).collect(),
            Content::Control(records) => vec!["CONTROL"; records.len()],
        };
        staged.batches.iter().map(|(_, batch)| names(batch)).collect()
    }

    /// Commits what is staged.
    pub(in crate::drivers) fn commit_staged(&self) {
        let batches = std::mem::take(&mut self.client.shared.staged.lock().batches);
        self.client.shared.events.commit(batches.into_iter().map(|(_, batch)| Arc::new(batch)));
    }

    /// This node leads no more. What it staged may still be committed.
    pub(in crate::drivers) fn resign(&self) {
        self.client.shared.staged.lock().leads = None;
        self.client.shared.events.set_leadership(None);
    }

    /// The next leader truncates what was staged.
    pub(in crate::drivers) fn truncate(&self) {
        let mut staged = self.client.shared.staged.lock();
        staged.batches.clear();
        staged.end = self.client.high_watermark();
    }

    /// Another leader commits a batch.
    pub(in crate::drivers) fn commit(&self, epoch: LeaderEpoch, records: Vec<MetadataRecord>) {
        let mut staged = self.client.shared.staged.lock();
        assert!(staged.batches.is_empty(), "truncate first");
        let batch = LogBatch {
            base_offset: staged.end,
            last_offset: staged.end + records.len() as Offset - 1,
            epoch,
            appended_at: Timestamp(0),
            size: 100,
            content: Content::Data(records),
        };
        staged.end = batch.last_offset + 1;
        drop(staged);
        self.client.shared.events.commit([Arc::new(batch)]);
    }

    /// The driver has ended.
    pub(in crate::drivers) fn end(&self) {
        self.client.shared.events.end();
    }
}

fn no_op() -> MetadataRecord {
    NoOpRecord {}.into()
}

/// One word for the next event, if there is one.
async fn next(subscription: &mut Subscription) -> String {
    tokio::select! {
        biased;
        event = subscription.next() => match event.unwrap() {
            QuorumEvent::Committed(batches) => {
                let offsets = batches.iter().map(|batch| batch.base_offset.to_string());
                format!("committed {}", offsets.collect::<Vec<_>>().join(" "))
            }
            QuorumEvent::Snapshot(id, _) => format!("snapshot {id}"),
            QuorumEvent::Leading(leadership) => format!("leading {}", leadership.epoch),
            QuorumEvent::Resigned(epoch) => format!("resigned {epoch}"),
            QuorumEvent::Ended => "ended".to_owned(),
        },
        () = std::future::ready(()) => "nothing".to_owned(),
    }
}

#[tokio::test]
async fn a_listener_hears_of_leadership_after_the_log_before_it_and_of_its_end_at_once() {
    let quorum = QuorumDouble::new();
    quorum.commit(1, vec![no_op(), no_op()]);
    quorum.lead(2);
    let mut listener = quorum.client.subscribe(0);
    assert_eq!(next(&mut listener).await, "committed 0");
    assert_eq!(next(&mut listener).await, "leading 2");
    assert_eq!(next(&mut listener).await, "nothing");
    quorum.resign();
    quorum.commit_staged();
    quorum.lead(4);
    assert_eq!(next(&mut listener).await, "resigned 2", "before what is committed after it");
    assert_eq!(next(&mut listener).await, "committed 2");
    assert_eq!(next(&mut listener).await, "leading 4");
    quorum.commit_staged();
    quorum.end();
    assert_eq!(next(&mut listener).await, "committed 3", "nothing committed is held back");
    assert_eq!(next(&mut listener).await, "ended");
}

#[tokio::test]
async fn batches_leave_memory_once_every_listener_has_taken_them() {
    let quorum = QuorumDouble::new();
    let (mut fast, mut slow) = (quorum.client.subscribe(0), quorum.client.subscribe(0));
    quorum.commit(1, vec![no_op()]);
    quorum.commit(1, vec![no_op()]);
    assert_eq!(next(&mut fast).await, "committed 0 1");
    assert_eq!(next(&mut slow).await, "committed 0 1", "kept for the slow one");
    let late = quorum.client.subscribe(0).next().await;
    assert!(matches!(late, Err(CatchUpError::Missing(0))), "{late:?}");
}

#[test]
fn a_batch_of_an_older_epoch_is_refused() {
    let quorum = QuorumDouble::new();
    assert!(quorum.client.stage(1).is_err(), "no node leads");
    quorum.lead(1);
    assert!(quorum.client.stage(1).is_ok());
    quorum.resign();
    quorum.lead(3);
    let refused = quorum.client.stage(1).err();
    assert_eq!(refused, Some(NotLeaderError { decided_in: 1 }));
    let mut staging = quorum.client.stage(3).unwrap();
    let base = staging.next_offset();
    let topic = TopicRecord { name: "t".into(), ..TopicRecord::default() };
    staging.push(Vec::new(), vec![topic.into(), no_op()], Timestamp(0));
    assert_eq!(staging.next_offset(), base + 2);
}

#[tokio::test]
async fn a_stopped_driver_answers_no_request() {
    let QuorumDouble { client, _requests: requests } = QuorumDouble::new();
    drop(requests);
    assert!(matches!(client.handle(QuorumRequest::Describe).await, Err(StoppedError)));
    client.snapshot(Arc::default(), Timestamp(0)).await;
    assert!(!client.is_snapshotting());
}
