//! The metadata feed: builds images from the committed batches of the metadata log, on every node,
//! with or without a controller (Kafka 4.4 `MetadataLoader`).
//!
//! Each image goes through the publishers, one after the other, in their order; then requests see
//! it. Whoever must see its own write waits for its offset. A record that cannot be replayed ends
//! the feed, and with it the node: an image that lacks a record is wrong.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use super::quorum::start::{LogHistory, ReplayFailure, replay_batch, replay_snapshot};
use super::quorum::{
    CatchUpError, LogBatch, QuorumClient, QuorumEvent, StoppedError, Subscription,
};
use crate::env::Env;
use crate::metadata::MetadataImage;
use crate::metadata::image::Changes;
use crate::metadata::replay::Replay;
use crate::raft::MetadataLogConfig;
use crate::raft::snapshot::{Snapshot, SnapshotId};
use crate::types::{Mono, Offset, Timestamp};

/// At a shutdown, a snapshot is written if more than this part of `snapshot_after_bytes` was
/// appended since the last one: 320 KB by default.
const STOP_SNAPSHOT_PART: u64 = 64;

/// A part of the node that acts on new metadata.
pub trait Publisher: Send + Sync {
    /// Acts on `image`, which differs by `changes` from the one before. The next publisher, and
    /// the next image, wait until this is done. Requests do not see the image yet.
    fn publish<'a>(
        &'a self,
        image: &'a Arc<MetadataImage>,
        changes: &'a Changes,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// Why the feed ended.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A record cannot be replayed.
    #[error("{0}. This node stops serving, because its metadata would be wrong")]
    Replay(#[from] ReplayFailure),
    /// The log cannot be read.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
}

/// What is committed, as far as it was replayed.
#[derive(Clone, Debug)]
pub struct CommittedState {
    /// The end of what was replayed.
    pub end: Offset,
    /// The metadata, without the records of an open transaction.
    pub image: Arc<MetadataImage>,
    /// Whether a metadata transaction is open.
    pub in_transaction: bool,
}

/// How far the feed is.
#[derive(Clone, Copy, Debug)]
struct FeedProgress {
    /// The end of what was replayed.
    replayed: Offset,
    /// The offset of the image that requests see.
    published: Offset,
    has_ended: bool,
}

struct SharedFeed {
    /// What requests see.
    published: Arc<ArcSwap<MetadataImage>>,
    /// What the publishers are given.
    committed: ArcSwap<CommittedState>,
    progress: watch::Sender<FeedProgress>,
}

/// The images of this node. Cheap to clone.
#[derive(Clone)]
pub struct MetadataFeed {
    shared: Arc<SharedFeed>,
    requests: mpsc::Sender<oneshot::Sender<()>>,
}

impl MetadataFeed {
    /// The newest image that every publisher has acted on.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.shared.published.load_full()
    }

    /// Where images are published.
    pub fn images(&self) -> Arc<ArcSwap<MetadataImage>> {
        Arc::clone(&self.shared.published)
    }

    /// What is committed; publishers may not have acted on it yet.
    pub fn committed(&self) -> Arc<CommittedState> {
        self.shared.committed.load_full()
    }

    /// Waits until an image is published that holds the record at `offset`.
    ///
    /// Errors: the feed has ended before.
    pub async fn wait_for(&self, offset: Offset) -> Result<(), StoppedError> {
        // Most callers find the image published: they need not be registered.
        if self.shared.published.load().offset >= offset {
            return Ok(());
        }
        self.wait(|progress| progress.published >= offset).await
    }

    /// Waits until everything below `end` is replayed, and returns what is committed then.
    ///
    /// Errors: the feed has ended before.
    pub async fn wait_for_committed(
        &self,
        end: Offset,
    ) -> Result<Arc<CommittedState>, StoppedError> {
        self.wait(|progress| progress.replayed >= end).await?;
        Ok(self.committed())
    }

    async fn wait(&self, reached: impl Fn(&FeedProgress) -> bool) -> Result<(), StoppedError> {
        let mut progress = self.shared.progress.subscribe();
        let waited = progress.wait_for(|progress| reached(progress) || progress.has_ended).await;
        match waited {
            Ok(progress) if reached(&progress) => Ok(()),
            _ => Err(StoppedError),
        }
    }

    /// Publishes what is committed, begins a snapshot if the next startup would have much to read
    /// (each shutdown and startup of a broker changes every partition that it leads), and ends
    /// [`FeedDriver::run`].
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.requests.send(done).await.is_ok() {
            let _ = stopped.await; // An error is the run's to report.
        }
    }
}

/// The driver of the feed; see the module.
pub struct FeedDriver {
    env: Env,
    replay: Replay,
    end: Offset,
    subscription: Subscription,
    quorum: QuorumClient,
    shared: Arc<SharedFeed>,
    requests: mpsc::Receiver<oneshot::Sender<()>>,
    snapshots: SnapshotPolicy,
}

/// When a snapshot is due (Kafka 4.4 `SnapshotGenerator`).
struct SnapshotPolicy {
    config: MetadataLogConfig,
    bytes: u64,
    last: Mono,
    /// When the last committed batch was appended.
    last_append: Timestamp,
}

/// A feed that continues from what the log holds.
pub fn new(
    env: &Env,
    config: MetadataLogConfig,
    history: LogHistory,
    quorum: &QuorumClient,
) -> (FeedDriver, MetadataFeed) {
    let LogHistory { mut replay, end, bytes_since_snapshot, bootstrap: _ } = history;
    let _ = replay.take_changes(); // Whoever begins with an image begins with all of it.
    let image = Arc::new(replay.image().clone());
    let in_transaction = replay.in_transaction();
    let committed = CommittedState { end, image: Arc::clone(&image), in_transaction };
    let progress = FeedProgress { replayed: end, published: image.offset, has_ended: false };
    let shared = Arc::new(SharedFeed {
        published: Arc::new(ArcSwap::new(image)),
        committed: ArcSwap::from_pointee(committed),
        progress: watch::Sender::new(progress),
    });
    let (sender, requests) = mpsc::channel(1);
    let feed = MetadataFeed { shared: Arc::clone(&shared), requests: sender };
    let snapshots = SnapshotPolicy {
        config,
        bytes: bytes_since_snapshot,
        last: env.clock.now(),
        last_append: env.clock.wall(),
    };
    let driver = FeedDriver {
        env: env.clone(),
        replay,
        end,
        subscription: quorum.subscribe(end),
        quorum: quorum.clone(),
        shared,
        requests,
        snapshots,
    };
    (driver, feed)
}

impl FeedDriver {
    /// Serves until it is stopped, the quorum ends, or a record cannot be replayed.
    pub async fn run(mut self, publishers: Vec<Arc<dyn Publisher>>) -> Result<(), FeedError> {
        loop {
            let event = tokio::select! {
                biased;
                event = self.subscription.next() => event?,
                stop = self.requests.recv() => {
                    if self.snapshots.is_due_at_stop() {
                        self.begin_snapshot().await;
                    }
                    if let Some(stop) = stop {
                        let _ = stop.send(()); // The asker may be gone.
                    }
                    return Ok(());
                }
            };
            match event {
                QuorumEvent::Committed(batches) => {
                    for batch in &batches {
                        self.replay(batch).await?;
                    }
                    let changes = self.replay.take_changes();
                    self.publish(&changes, &publishers).await;
                    if self.snapshots.is_due(self.env.clock.now()) {
                        self.begin_snapshot().await;
                    }
                }
                QuorumEvent::Snapshot(id, snapshot) => {
                    let changes = self.load(id, &snapshot)?;
                    self.publish(&changes, &publishers).await;
                }
                // Images do not depend on who leads.
                QuorumEvent::Leading(_) | QuorumEvent::Resigned(_) => {}
                QuorumEvent::Ended => return Ok(()),
            }
        }
    }

    async fn replay(&mut self, batch: &LogBatch) -> Result<(), FeedError> {
        assert!(
            batch.base_offset == self.end,
            "the feed is at {}, the next batch at {}",
            self.end,
            batch.base_offset
        );
        if let Err(mut failure) = replay_batch(&mut self.replay, batch) {
            failure.version = self.quorum.record_version(failure.offset).await;
            return Err(failure.into());
        }
        self.end = batch.last_offset + 1;
        self.snapshots.bytes += batch.size as u64;
        self.snapshots.last_append = batch.appended_at;
        Ok(())
    }

    /// Replaces everything by a snapshot, as one change.
    fn load(&mut self, id: SnapshotId, snapshot: &Snapshot) -> Result<Changes, FeedError> {
        let before = self.replay.image().clone();
        self.replay = replay_snapshot(id, &snapshot.records)?;
        self.end = id.offset;
        self.snapshots.bytes = 0;
        self.snapshots.last_append = snapshot.last_contained_timestamp;
        tracing::info!(snapshot = %id, "loaded the metadata from a snapshot");
        Ok(Changes::between(&before, self.replay.image()))
    }

    /// Hands the image to the publishers, then lets requests see it.
    async fn publish(&mut self, changes: &Changes, publishers: &[Arc<dyn Publisher>]) {
        let image = Arc::new(self.replay.image().clone());
        let before = self.shared.published.load().offset;
        assert!(image.offset >= before, "an image at {} after one at {before}", image.offset);
        self.shared.committed.store(Arc::new(CommittedState {
            end: self.end,
            image: Arc::clone(&image),
            in_transaction: self.replay.in_transaction(),
        }));
        let replayed = self.end;
        self.shared.progress.send_modify(|progress| progress.replayed = replayed);
        for publisher in publishers {
            publisher.publish(&image, changes).await;
        }
        let published = image.offset;
        self.shared.published.store(image);
        self.shared.progress.send_modify(|progress| progress.published = published);
    }

    async fn begin_snapshot(&mut self) {
        if self.replay.in_transaction() || self.quorum.is_snapshotting() {
            return;
        }
        self.snapshots.bytes = 0;
        self.snapshots.last = self.env.clock.now();
        let image = self.shared.published.load_full();
        self.quorum.snapshot(image, self.snapshots.last_append).await;
    }
}

impl Drop for FeedDriver {
    fn drop(&mut self) {
        self.shared.progress.send_modify(|progress| progress.has_ended = true);
    }
}

impl SnapshotPolicy {
    /// Whether enough was appended, or enough time has passed, since the last snapshot.
    fn is_due(&self, now: Mono) -> bool {
        let after_ms = self.config.snapshot_after_ms;
        self.bytes >= self.config.snapshot_after_bytes
            || after_ms.is_some_and(|ms| now.since(self.last) >= Duration::from_millis(ms))
    }

    fn is_due_at_stop(&self) -> bool {
        self.bytes > self.config.snapshot_after_bytes / STOP_SNAPSHOT_PART
    }
}

#[cfg(test)]
pub(super) mod tests;
