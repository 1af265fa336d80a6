//! The quorum driver: owns the metadata log, its snapshots and this node's role in the quorum.
//!
//! The active controller stages batches under the epoch in which it decided them; the driver
//! appends them, syncs everything that was staged meanwhile at once, moves the high watermark, and
//! emits what is committed to its listeners (`quorum/events.rs`). `quorum/start.rs` reads the log
//! at startup and changes nothing until it is clear that this node understands it.
//!
//! Today's quorum has one voter: what it synced is committed. The place of votes, fetches and
//! timers of others is [`QuorumDriver::run`], their entry [`QuorumClient::handle`].

mod events;
pub mod start;
#[cfg(test)]
pub(super) mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, oneshot};

use self::events::Events;
pub use self::events::{CatchUpError, Leadership, LogBatch, QuorumEvent, Subscription};
use crate::env::Env;
use crate::log::FlushJob;
use crate::metadata::{MetadataImage, MetadataRecord};
use crate::raft::batch::{self, Content, ControlRecord};
use crate::raft::quorum::{Quorum, QuorumRecords};
use crate::raft::snapshot::{self, SnapshotError, SnapshotId};
use crate::raft::{MetadataLog, MetadataLogError};
use crate::raft::{Voter, VoterSet};
use crate::types::{BrokerId, LeaderEpoch, Mono, Offset, Timestamp};

/// How many requests may wait.
const QUEUE_LEN: usize = 1024;
/// How many requests are taken at a time.
const GROUP_LEN: usize = 256;
/// Interval between scans for old snapshots (Kafka 4.4 `RaftMetadataLogCleanerManager`).
const CLEAN_INTERVAL: Duration = Duration::from_mins(1);
/// The pause after a sync that the process had no file descriptor for.
const SYNC_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The quorum as this node knows it.
#[derive(Clone)]
pub struct QuorumStatus {
    /// The leader; `None` while it is unknown.
    pub leader: Option<BrokerId>,
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The voters.
    pub voters: VoterSet,
    /// The finalized kraft.version.
    pub kraft_version: i16,
}

/// What other nodes, or handlers, ask of the quorum.
#[derive(Clone, Debug)]
pub enum QuorumRequest {
    /// DescribeQuorum.
    Describe,
}

/// The reply to a [`QuorumRequest`].
#[derive(Clone)]
pub enum QuorumReply {
    /// The quorum and the log as of now.
    Description(QuorumDescription),
}

/// What DescribeQuorum reports.
#[derive(Clone)]
pub struct QuorumDescription {
    /// Roles and voters.
    pub status: Arc<QuorumStatus>,
    /// The end of what is committed.
    pub high_watermark: Offset,
    /// The end of this node's log.
    pub log_end: Offset,
}

/// This node does not lead the epoch in which a batch was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not lead epoch {decided_in} of the metadata quorum")]
pub struct NotLeaderError {
    /// The epoch.
    pub decided_in: LeaderEpoch,
}

/// The quorum driver has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quorum driver has stopped")]
pub struct StoppedError;

enum Request {
    Handle(QuorumRequest, oneshot::Sender<QuorumReply>),
    Snapshot(SnapshotRequest),
    Stop(oneshot::Sender<()>),
}

/// An image to write a snapshot of.
struct SnapshotRequest {
    image: Arc<MetadataImage>,
    /// When the last record that it contains was appended.
    last_contained: Timestamp,
}

/// What the driver shares with its clients.
struct Shared {
    staged: Mutex<Staged>,
    /// Notified when something was staged.
    staged_wake: Notify,
    events: Arc<Events>,
    status: ArcSwap<QuorumStatus>,
    /// How this node is reached, as a voter.
    local: Voter,
    /// Whether a snapshot is being written.
    is_snapshotting: AtomicBool,
}

/// Batches that are decided and not yet appended.
struct Staged {
    /// The epoch that this node leads.
    leads: Option<LeaderEpoch>,
    /// The offset that the next record gets.
    end: Offset,
    batches: Vec<(Vec<u8>, LogBatch)>,
}

/// The right to stage batches: nobody else stages meanwhile, so that the offset that a decision
/// sees is the one that its records get. The driver appends what was staged when this is dropped.
pub struct Staging<'a> {
    shared: &'a Shared,
    staged: MutexGuard<'a, Staged>,
    epoch: LeaderEpoch,
}

impl Staging<'_> {
    /// The offset that the next staged record gets.
    pub fn next_offset(&self) -> Offset {
        self.staged.end
    }

    /// Stages a batch of records, encoded as `bytes` for [`Self::next_offset`].
    pub fn push(&mut self, bytes: Vec<u8>, records: Vec<MetadataRecord>, appended_at: Timestamp) {
        let count = records.len();
        self.push_batch(bytes, Content::Data(records), count, appended_at);
    }

    /// Stages the upgrade from configured to recorded voters (KIP-853; Kafka 4.4
    /// `LeaderState.maybeAppendUpgradedKRaftVersion`). The only voter is this node.
    pub fn upgrade_quorum(&mut self, version: i16, appended_at: Timestamp) {
        let voters = VoterSet::new([self.shared.local.clone()]);
        let records = vec![ControlRecord::KraftVersion(version), ControlRecord::Voters(voters)];
        let bytes = batch::control(self.staged.end, self.epoch, appended_at, &records);
        let count = records.len();
        self.push_batch(bytes, Content::Control(records), count, appended_at);
    }

    fn push_batch(
        &mut self,
        bytes: Vec<u8>,
        content: Content,
        count: usize,
        appended_at: Timestamp,
    ) {
        let base_offset = self.staged.end;
        let next = base_offset + count as Offset;
        let batch = LogBatch {
            base_offset,
            last_offset: next - 1,
            epoch: self.epoch,
            appended_at,
            size: bytes.len(),
            content,
        };
        self.staged.end = next;
        self.staged.batches.push((bytes, batch));
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if !self.staged.batches.is_empty() {
            self.shared.staged_wake.notify_one();
        }
    }
}

/// The way to the quorum driver of this node. Cheap to clone.
#[derive(Clone)]
pub struct QuorumClient {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

impl QuorumClient {
    /// Begins to stage batches that are decided in `epoch`. Hold the guard for as long as a few
    /// decisions take, never across an await.
    ///
    /// Errors: this node does not lead that epoch, or not any more.
    pub fn stage(&self, epoch: LeaderEpoch) -> Result<Staging<'_>, NotLeaderError> {
        let staged = self.shared.staged.lock();
        if staged.leads != Some(epoch) {
            return Err(NotLeaderError { decided_in: epoch });
        }
        Ok(Staging { shared: &self.shared, staged, epoch })
    }

    /// A listener that was already told everything below `position`.
    pub fn subscribe(&self, position: Offset) -> Subscription {
        Subscription::new(Arc::clone(&self.shared.events), position)
    }

    /// Leader, epoch, voters and version as of now.
    pub fn status(&self) -> Arc<QuorumStatus> {
        self.shared.status.load_full()
    }

    /// The end of what is committed.
    pub fn high_watermark(&self) -> Offset {
        self.shared.events.high_watermark()
    }

    /// The start of the epoch that this node leads, if it leads.
    pub fn epoch_start(&self) -> Option<Offset> {
        self.shared.events.leadership().map(|leadership| leadership.start)
    }

    /// Handles a request of another node, or of a handler.
    pub async fn handle(&self, request: QuorumRequest) -> Result<QuorumReply, StoppedError> {
        let (reply, replied) = oneshot::channel();
        let request = Request::Handle(request, reply);
        self.requests.send(request).await.map_err(|_| StoppedError)?;
        replied.await.map_err(|_| StoppedError)
    }

    /// The version of the record at `offset`, read from the log; for the message about a record
    /// that cannot be replayed.
    pub async fn record_version(&self, offset: Offset) -> Option<i16> {
        self.shared.events.record_version(offset).await
    }

    /// Whether a snapshot is being written.
    pub fn is_snapshotting(&self) -> bool {
        self.shared.is_snapshotting.load(Ordering::Acquire)
    }

    /// Begins to write a snapshot of a committed image, unless one is being written.
    /// `last_contained`: when the last record that it contains was appended.
    pub async fn snapshot(&self, image: Arc<MetadataImage>, last_contained: Timestamp) {
        if self.shared.is_snapshotting.swap(true, Ordering::AcqRel) {
            return;
        }
        let request = Request::Snapshot(SnapshotRequest { image, last_contained });
        if self.requests.send(request).await.is_err() {
            self.shared.is_snapshotting.store(false, Ordering::Release);
        }
    }

    /// Commits what was staged, finishes the snapshot that is being written, closes the log, and
    /// ends [`QuorumDriver::run`].
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.requests.send(Request::Stop(done)).await.is_ok() {
            let _ = stopped.await; // An error is the run's to report.
        }
    }
}

/// A snapshot that was written.
struct WrittenSnapshot {
    id: SnapshotId,
    bytes: u64,
    last_contained: Timestamp,
}

type Synced = (FlushJob, io::Result<()>);

/// The driver; see the module.
pub struct QuorumDriver {
    env: Env,
    /// `None` while files are deleted or closed on another thread.
    log: Option<MetadataLog>,
    quorum: Quorum,
    /// The quorum's records as of each offset at which they changed.
    history: Vec<(Offset, QuorumRecords)>,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    /// Batches that are appended and not committed.
    uncommitted: VecDeque<Arc<LogBatch>>,
    /// The sync that is under way.
    sync: Option<oneshot::Receiver<Synced>>,
    /// When the next sync may begin.
    sync_at: Option<Mono>,
    snapshot: Option<oneshot::Receiver<Result<WrittenSnapshot, SnapshotError>>>,
    clean_at: Mono,
}

/// Waits for the value of a channel, if there is one.
async fn received<T>(receiver: &mut Option<oneshot::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(waiting) => {
            let value = waiting.await;
            *receiver = None;
            value.ok() // Nothing comes when the executor stops.
        }
        None => std::future::pending().await,
    }
}

impl QuorumDriver {
    /// Serves until it is stopped, or until the disk fails: then nothing more can be promised, and
    /// the process should end.
    pub async fn run(mut self) -> Result<(), MetadataLogError> {
        let mut requests = Vec::new();
        loop {
            self.append_staged()?;
            self.maybe_sync()?;
            let deadline = self.next_deadline();
            // A queue that is never empty must not keep time from passing.
            if deadline.is_some_and(|deadline| deadline <= self.env.clock.now()) {
                self.on_deadline().await?;
                continue;
            }
            let clock = Arc::clone(&self.env.clock);
            let wake = async {
                match deadline {
                    Some(deadline) => clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                synced = received(&mut self.sync) => self.finish_sync(synced)?,
                written = received(&mut self.snapshot) => self.finish_snapshot(written).await?,
                () = self.shared.staged_wake.notified() => {}
                count = self.requests.recv_many(&mut requests, GROUP_LEN) => {
                    let mut stop = None;
                    for request in requests.drain(..) {
                        match request {
                            Request::Handle(request, reply) => {
                                let _ = reply.send(self.handle(&request)); // The asker may be gone.
                            }
                            Request::Snapshot(request) => self.begin_snapshot(request),
                            Request::Stop(done) => stop = Some(done),
                        }
                    }
                    if stop.is_some() || count == 0 {
                        self.close().await?;
                        if let Some(stop) = stop {
                            let _ = stop.send(()); // The asker may be gone.
                        }
                        return Ok(());
                    }
                }
                () = wake => {}
            }
        }
    }

    fn log(&mut self) -> &mut MetadataLog {
        self.log.as_mut().expect("the log is back after each work on another thread")
    }

    fn handle(&mut self, request: &QuorumRequest) -> QuorumReply {
        match request {
            QuorumRequest::Describe => QuorumReply::Description(QuorumDescription {
                status: self.shared.status.load_full(),
                high_watermark: self.shared.events.high_watermark(),
                log_end: self.log().end(),
            }),
        }
    }

    /// Appends what was staged.
    fn append_staged(&mut self) -> Result<(), MetadataLogError> {
        let (batches, staged_end) = {
            let mut staged = self.shared.staged.lock();
            (std::mem::take(&mut staged.batches), staged.end)
        };
        if batches.is_empty() {
            return Ok(());
        }
        for (bytes, batch) in batches {
            self.log().append(bytes, batch.epoch, batch.appended_at)?;
            if let Content::Control(records) = &batch.content {
                self.apply_control(records, batch.base_offset);
            }
            self.uncommitted.push_back(Arc::new(batch));
        }
        let end = self.log().end();
        assert!(end == staged_end, "staged up to {staged_end}, appended up to {end}");
        Ok(())
    }

    /// Applies control records, which count from their append on.
    fn apply_control(&mut self, records: &[ControlRecord], base_offset: Offset) {
        for (record, offset) in records.iter().zip(base_offset..) {
            self.quorum.apply(record, offset);
            if let ControlRecord::KraftVersion(version) = record {
                tracing::info!(version, offset, "kraft.version is set");
            }
        }
        let known = self.quorum.records().clone();
        let status = (*self.shared.status.load_full()).clone();
        let (voters, kraft_version) = (known.voters.clone(), known.kraft_version);
        self.shared.status.store(Arc::new(QuorumStatus { voters, kraft_version, ..status }));
        self.history.push((base_offset + records.len() as Offset - 1, known));
    }

    /// Begins to sync what is appended, unless a sync is under way.
    fn maybe_sync(&mut self) -> Result<(), MetadataLogError> {
        let must_wait = self.sync_at.is_some_and(|at| at > self.env.clock.now());
        if self.sync.is_some() || must_wait || self.uncommitted.is_empty() {
            return Ok(());
        }
        self.sync_at = None;
        let Some(job) = self.log().begin_sync() else { return self.commit() };
        let (done, synced) = oneshot::channel();
        let disk = Arc::clone(&self.env.disk);
        self.env.threads.blocking(Box::new(move || {
            let result = job.sync(&*disk);
            let _ = done.send((job, result)); // The driver may be gone.
        }));
        self.sync = Some(synced);
        Ok(())
    }

    fn finish_sync(&mut self, synced: Option<Synced>) -> Result<(), MetadataLogError> {
        let Some((job, result)) = synced else { return Ok(()) };
        let now = self.env.clock.wall();
        let before = self.log().synced();
        if self.log().finish_sync(&job, result, now)? <= before {
            self.sync_at = Some(self.env.clock.now() + SYNC_RETRY_PAUSE);
        }
        self.commit()
    }

    /// Moves the high watermark, and emits what is committed.
    #[expect(clippy::unnecessary_wraps, reason = "remote voters make this fail")]
    fn commit(&mut self) -> Result<(), MetadataLogError> {
        let high_watermark = self.committed_end();
        let synced = self.log().synced();
        assert!(high_watermark <= synced, "committed {high_watermark}, synced {synced}");
        let count = self.uncommitted.partition_point(|batch| batch.last_offset < high_watermark);
        if count == 0 {
            return Ok(());
        }
        self.log().advance_high_watermark(high_watermark);
        let committed: Vec<Arc<LogBatch>> = self.uncommitted.drain(..count).collect();
        self.shared.events.commit(committed);
        Ok(())
    }

    /// The end of what a majority of the voters has. The only voter is this node, which counts
    /// itself after its sync.
    fn committed_end(&mut self) -> Offset {
        self.log().synced()
    }

    fn next_deadline(&self) -> Option<Mono> {
        let is_cleanable = self.log.as_ref().is_some_and(MetadataLog::is_cleanable);
        let clean = is_cleanable.then_some(self.clean_at);
        clean.into_iter().chain(self.sync_at).min()
    }

    async fn on_deadline(&mut self) -> Result<(), MetadataLogError> {
        let now = self.env.clock.now();
        if self.sync_at.is_some_and(|at| at <= now) {
            self.sync_at = None;
        }
        if self.clean_at <= now {
            self.clean_at = now + CLEAN_INTERVAL;
            let wall = self.env.clock.wall();
            self.with_log(move |log| log.clean(wall)).await?;
        }
        Ok(())
    }

    /// Runs `work` on the log on a thread that may block.
    async fn with_log<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut MetadataLog) -> T + Send + 'static,
    ) -> T {
        let mut log = self.log.take().expect("the log is back after each work on another thread");
        let (log, result) = self
            .env
            .threads
            .run_blocking(move || {
                let result = work(&mut log);
                (log, result)
            })
            .await;
        self.log = Some(log);
        result
    }

    /// Begins to write a snapshot, with the voters of its own offset.
    fn begin_snapshot(&mut self, request: SnapshotRequest) {
        let SnapshotRequest { image, last_contained } = request;
        let id = SnapshotId { offset: image.offset + 1, epoch: image.epoch };
        let high_watermark = self.shared.events.high_watermark();
        assert!(
            id.offset <= high_watermark,
            "snapshot {id} past the high watermark {high_watermark}"
        );
        let Some(path) = self.log().snapshot_path(id) else {
            self.shared.is_snapshotting.store(false, Ordering::Release);
            return;
        };
        let known = self.history.iter().rev().find(|(offset, _)| *offset < id.offset);
        let known = known.map_or_else(|| self.quorum.records().clone(), |(_, known)| known.clone());
        let appended_at = self.env.clock.wall();
        let disk = Arc::clone(&self.env.disk);
        let (done, written) = oneshot::channel();
        tracing::info!(snapshot = %id, "writing a snapshot");
        self.env.threads.blocking(Box::new(move || {
            let records = image.to_records();
            let contents = snapshot::Contents {
                last_contained_timestamp: last_contained,
                appended_at,
                kraft_version: known.kraft_version,
                voters: Some(&known.voters),
                records: &records,
            };
            let written = snapshot::write_file(&*disk, &path, id.epoch, &contents);
            let _ = done.send(written.map(|bytes| WrittenSnapshot { id, bytes, last_contained }));
        }));
        self.snapshot = Some(written);
    }

    async fn finish_snapshot(
        &mut self,
        written: Option<Result<WrittenSnapshot, SnapshotError>>,
    ) -> Result<(), MetadataLogError> {
        let Some(written) = written else { return Ok(()) };
        let WrittenSnapshot { id, bytes, last_contained } = written?;
        let now = self.env.clock.wall();
        let cleaned = self.with_log(move |log| {
            log.add_snapshot(id, bytes, last_contained);
            log.clean(now)
        });
        cleaned.await?;
        self.shared.events.set_snapshot(Some(id));
        let older = self.history.partition_point(|(offset, _)| *offset < id.offset);
        self.history.drain(..older.saturating_sub(1));
        self.shared.is_snapshotting.store(false, Ordering::Release);
        Ok(())
    }

    /// Commits what was staged, finishes the snapshot, and closes the log.
    async fn close(&mut self) -> Result<(), MetadataLogError> {
        self.shared.staged.lock().leads = None;
        loop {
            self.append_staged()?;
            self.maybe_sync()?;
            if self.sync.is_none() {
                break;
            }
            let synced = received(&mut self.sync).await;
            self.finish_sync(synced)?;
        }
        if self.snapshot.is_some() {
            let written = received(&mut self.snapshot).await;
            self.finish_snapshot(written).await?;
        }
        self.shared.events.set_leadership(None);
        self.with_log(MetadataLog::close).await
    }
}

impl Drop for QuorumDriver {
    fn drop(&mut self) {
        self.shared.staged.lock().leads = None;
        self.shared.events.end();
    }
}
