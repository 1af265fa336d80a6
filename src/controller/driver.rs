//! The task that owns the controller and the metadata log.
//!
//! [`start`] reads what the log holds, leads a new epoch, and appends what a new leader owes. Then
//! [`Driver::run`] takes commands off a bounded queue, a group at a time: each is decided and
//! applied in order; the records of the whole group are appended and synced once; whoever must act
//! on the new image acts; the image is published; the replies leave. So no reply is older than what
//! a client can read, nor promises what a power loss could take back.

pub mod start;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::command::{Command, FeaturesUpdated, Operation, Refusal, Reply};
use super::machine::{Context, Controller, Outcome, RECORDS_MAX};
use crate::env::Env;
use crate::log::LogView;
use crate::metadata::features::Release;
use crate::metadata::image::Changes;
use crate::metadata::{MetadataImage, MetadataRecord};
use crate::raft::batch::{self, BATCH_BYTES_MAX, ControlRecord, RECORD_OVERHEAD_MAX};
use crate::raft::log::{MetadataLog, MetadataLogError};
use crate::raft::quorum::{Quorum, QuorumRecords};
use crate::raft::snapshot::{self, SnapshotError, SnapshotId};
use crate::raft::{Voter, VoterSet};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono, Offset, Timestamp};

/// How many commands may wait.
const QUEUE_LEN: usize = 1024;
/// How many commands share one sync.
const GROUP_LEN: usize = 256;
/// A stop makes a snapshot behind so small a part of what makes one otherwise: 320 KB by default.
const STOP_SNAPSHOT_PART: u64 = 64;
/// How often old snapshots are looked for (Kafka 4.4 `RaftMetadataLogCleanerManager`).
const CLEAN_INTERVAL: Duration = Duration::from_mins(1);
/// Whoever acts on new images: the broker, which has a partition's log before its creation is
/// answered.
pub trait Observer: Send + Sync {
    /// Called with each image before it is published, one after the other; the next is not made
    /// before this is done.
    fn on_image<'a>(
        &'a self,
        image: Arc<MetadataImage>,
        changes: &'a Changes,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// The quorum, as DescribeQuorum tells of it.
#[derive(Clone)]
pub struct QuorumStatus {
    /// Who leads.
    pub leader: BrokerId,
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// Who votes.
    pub voters: VoterSet,
    /// The version of the quorum.
    pub kraft_version: i16,
    /// The log, for its offsets.
    pub log: Arc<ArcSwap<LogView>>,
}

enum Request {
    Command(Command, oneshot::Sender<Result<Reply, Refusal>>),
    Stop(oneshot::Sender<()>),
}

/// The way to a running controller. Cheap to clone.
#[derive(Clone)]
pub struct ControllerHandle {
    requests: mpsc::Sender<Request>,
    images: Arc<ArcSwap<MetadataImage>>,
    quorum: Arc<ArcSwap<QuorumStatus>>,
}

impl ControllerHandle {
    /// Asks, and waits until what was decided is committed, acted on and published.
    ///
    /// Errors: what the controller refuses as a whole; REQUEST_TIMED_OUT when it is stopping.
    pub async fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, Refusal> {
        let stopping =
            || Refusal::new(ErrorCode::RequestTimedOut, "The controller is shutting down.");
        let (answer, answered) = oneshot::channel();
        let request = Request::Command(operation.into_command(), answer);
        self.requests.send(request).await.map_err(|_| stopping())?;
        let reply = answered.await.map_err(|_| stopping())??;
        O::reply(reply).ok_or_else(stopping)
    }

    /// The newest image.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.images.load_full()
    }

    /// Where images are published.
    pub fn images(&self) -> Arc<ArcSwap<MetadataImage>> {
        Arc::clone(&self.images)
    }

    /// The quorum as it is now.
    pub fn quorum(&self) -> Arc<QuorumStatus> {
        self.quorum.load_full()
    }

    /// Answers what was asked so far, closes the log, and ends [`Driver::run`].
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.requests.send(Request::Stop(done)).await.is_ok() {
            let _ = stopped.await; // An error is the run's to report.
        }
    }
}

/// A snapshot that was written.
struct Written {
    id: SnapshotId,
    bytes: u64,
    last_contained: Timestamp,
}

/// The controller with its log.
pub struct Driver {
    env: Env,
    machine: Controller,
    /// `None` while it is at work elsewhere.
    log: Option<MetadataLog>,
    quorum: Quorum,
    local: Voter,
    status: Arc<ArcSwap<QuorumStatus>>,
    images: Arc<ArcSwap<MetadataImage>>,
    requests: mpsc::Receiver<Request>,
    next_offset: Offset,
    last_append: Timestamp,
    bytes_since_snapshot: u64,
    last_snapshot: Mono,
    snapshot: Option<oneshot::Receiver<Result<Written, SnapshotError>>>,
    next_clean: Mono,
}

/// The batches of one group of decisions, not yet appended.
#[derive(Default)]
struct Batches {
    batches: Vec<Vec<u8>>,
    bytes: u64,
}

type Waiting = (oneshot::Sender<Result<Reply, Refusal>>, Result<Reply, Refusal>);

/// Records as batches: one if they are atomic, else as few as hold them.
fn encode(
    records: &[MetadataRecord],
    base_offset: Offset,
    epoch: LeaderEpoch,
    now: Timestamp,
    release: Release,
    atomic: bool,
) -> Result<Batches, Refusal> {
    let mut done = Batches::default();
    let mut next = batch::empty(base_offset, epoch);
    let mut offset = base_offset;
    for record in records {
        let value = record.encode(release.record_version(record)).map_err(|error| {
            tracing::error!(record = record.name(), %error, %release, "not a record of the release");
            Refusal::from(ErrorCode::UnknownServerError)
        })?;
        let is_full = next.count() as usize >= RECORDS_MAX
            || next.len() + value.len() + RECORD_OVERHEAD_MAX > BATCH_BYTES_MAX;
        if is_full && !next.is_empty() {
            if atomic {
                return Err(super::topics::too_large());
            }
            offset += Offset::from(next.count());
            done.push(std::mem::replace(&mut next, batch::empty(offset, epoch)));
        }
        next.push(now, None, Some(&value));
    }
    if !next.is_empty() {
        done.push(next);
    }
    Ok(done)
}

impl Batches {
    fn push(&mut self, batch: crate::record::BatchBuilder) {
        self.push_bytes(batch::finish(batch));
    }

    fn push_bytes(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.len() as u64;
        self.batches.push(bytes);
    }

    fn append(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.batches.append(&mut other.batches);
    }
}

/// Appends batches and makes them durable.
fn append_and_commit(
    log: &mut MetadataLog,
    batches: Batches,
    epoch: LeaderEpoch,
    now: Timestamp,
    disk: &dyn crate::env::Disk,
) -> Result<(), MetadataLogError> {
    for batch in batches.batches {
        log.append(batch, epoch, now)?;
    }
    if let Some(job) = log.begin_sync() {
        let result = job.sync(disk);
        log.commit(&job, result, now)?;
    }
    Ok(())
}

impl Driver {
    /// Serves until it is stopped, or until the disk fails: then nothing more can be promised, and
    /// the process should end.
    pub async fn run(mut self, observer: Arc<dyn Observer>) -> Result<(), MetadataLogError> {
        let mut group = Vec::new();
        loop {
            let deadline = self.next_deadline();
            // A queue that is never empty must not keep time from passing.
            if deadline.is_some_and(|deadline| deadline <= self.env.clock.now()) {
                self.on_deadline(&*observer).await?;
                continue;
            }
            let wake = async {
                match deadline {
                    Some(deadline) => self.env.clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let written = async {
                match &mut self.snapshot {
                    Some(written) => written.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                written = written => {
                    self.snapshot = None;
                    self.finish_snapshot(written).await?;
                }
                count = self.requests.recv_many(&mut group, GROUP_LEN) => {
                    let stop = self.serve(&mut group, &*observer).await?;
                    if stop.is_some() || count == 0 {
                        self.close().await?;
                        if let Some(stop) = stop {
                            let _ = stop.send(()); // Whoever asked may have gone away.
                        }
                        return Ok(());
                    }
                }
                () = wake => {}
            }
        }
    }

    fn next_deadline(&self) -> Option<Mono> {
        let is_cleanable = self.log.as_ref().is_some_and(MetadataLog::is_cleanable);
        let clean = is_cleanable.then_some(self.next_clean);
        self.machine.next_deadline().into_iter().chain(clean).min()
    }

    /// Decides a group of commands; the way to whoever wants us to stop, if someone does.
    async fn serve(
        &mut self,
        group: &mut Vec<Request>,
        observer: &dyn Observer,
    ) -> Result<Option<oneshot::Sender<()>>, MetadataLogError> {
        let mut batches = Batches::default();
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut stop = None;
        for request in group.drain(..) {
            match request {
                Request::Command(command, answer) => {
                    let reply = self.decide(command, &mut batches);
                    waiting.push((answer, reply));
                }
                Request::Stop(done) => {
                    stop = Some(done);
                    break; // Later ones see their channel close.
                }
            }
        }
        self.commit(batches, observer).await?;
        for (answer, reply) in waiting {
            let _ = answer.send(reply); // Whoever asked may have gone away.
        }
        Ok(stop)
    }

    /// Decides a command and applies its records, which are not yet durable.
    fn decide(&mut self, command: Command, batches: &mut Batches) -> Result<Reply, Refusal> {
        let random = &self.env.random;
        let seed = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        let context = Context { now: self.env.clock.now(), next_offset: self.next_offset, seed };
        let Outcome { records, atomic, reply } = self.machine.decide(context, command);
        if let Ok(Reply::UpdateFeatures(FeaturesUpdated { kraft_version: Some(version) })) = reply {
            self.upgrade_quorum(version, batches);
        }
        self.take(&records, atomic, batches)?;
        reply
    }

    /// Moves the quorum from configured to recorded voters (KIP-853; Kafka 4.4
    /// `LeaderState.maybeAppendUpgradedKRaftVersion`). The only voter is this node.
    fn upgrade_quorum(&mut self, version: i16, batches: &mut Batches) {
        let (epoch, now) = (self.quorum.epoch(), self.env.clock.wall());
        let voters = VoterSet::new([self.local.clone()]);
        let records = [ControlRecord::KraftVersion(version), ControlRecord::Voters(voters.clone())];
        batches.push_bytes(batch::control(self.next_offset, epoch, now, &records));
        for record in &records {
            self.quorum.apply(record, self.next_offset);
            self.machine.advance(self.next_offset, epoch);
            self.next_offset += 1;
        }
        self.machine.join(voters.ids(), version);
        let status = (*self.status.load_full()).clone();
        self.status.store(Arc::new(QuorumStatus { voters, kraft_version: version, ..status }));
        tracing::info!(version, "upgraded kraft.version");
    }

    /// Encodes and applies decided records.
    fn take(
        &mut self,
        records: &[MetadataRecord],
        atomic: bool,
        batches: &mut Batches,
    ) -> Result<(), Refusal> {
        if records.is_empty() {
            return Ok(());
        }
        let epoch = self.quorum.epoch();
        let now = self.env.clock.wall();
        let release = self.machine.image().release;
        let encoded = encode(records, self.next_offset, epoch, now, release, atomic)?;
        for record in records {
            if let Err(error) = self.machine.apply(record, self.next_offset, epoch) {
                unreachable!("the controller decided what its image refuses: {error}");
            }
            self.next_offset += 1;
        }
        self.last_append = now;
        batches.append(encoded);
        Ok(())
    }

    /// Makes batches durable, then shows what they changed.
    async fn commit(
        &mut self,
        batches: Batches,
        observer: &dyn Observer,
    ) -> Result<(), MetadataLogError> {
        if batches.batches.is_empty() {
            return Ok(());
        }
        self.bytes_since_snapshot += batches.bytes;
        let (epoch, now) = (self.quorum.epoch(), self.last_append);
        let disk = Arc::clone(&self.env.disk);
        self.with_log(move |log| append_and_commit(log, batches, epoch, now, &*disk)).await?;
        let changes = self.machine.take_changes();
        let image = Arc::new(self.machine.image().clone());
        observer.on_image(Arc::clone(&image), &changes).await;
        self.images.store(image);
        self.maybe_snapshot();
        Ok(())
    }

    async fn on_deadline(&mut self, observer: &dyn Observer) -> Result<(), MetadataLogError> {
        let now = self.env.clock.now();
        let mut batches = Batches::default();
        let records = self.machine.on_deadline(now);
        if let Err(refusal) = self.take(&records, false, &mut batches) {
            unreachable!("what time alone brings about cannot be written: {refusal}");
        }
        self.commit(batches, observer).await?;
        if self.next_clean <= now {
            self.next_clean = now + CLEAN_INTERVAL;
            let wall = self.env.clock.wall();
            self.with_log(move |log| log.clean(wall)).await?;
        }
        Ok(())
    }

    /// Runs `work` on the log where blocking is allowed.
    async fn with_log<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut MetadataLog) -> T + Send + 'static,
    ) -> T {
        let mut log = self.log.take().expect("the log comes back from each work");
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

    /// Begins a snapshot of the image if enough was appended, or enough time has passed, since the
    /// last one (Kafka 4.4 `SnapshotGenerator`).
    fn maybe_snapshot(&mut self) {
        let Some(log) = &self.log else { return };
        let since = self.env.clock.now().since(self.last_snapshot);
        let config = log.config();
        let is_due = self.bytes_since_snapshot >= config.snapshot_after_bytes
            || config.snapshot_after_ms.is_some_and(|ms| since >= Duration::from_millis(ms));
        if is_due {
            self.begin_snapshot();
        }
    }

    /// Begins a snapshot of the image, unless one is under way.
    fn begin_snapshot(&mut self) {
        let Some(log) = &self.log else { return };
        if self.snapshot.is_some() || self.machine.in_transaction() {
            return;
        }
        let now = self.env.clock.now();
        let image = self.machine.image().clone();
        let id = SnapshotId { offset: image.offset + 1, epoch: image.epoch };
        let Some(path) = log.snapshot_path(id) else { return };
        self.bytes_since_snapshot = 0;
        self.last_snapshot = now;
        let (last_contained, appended_at) = (self.last_append, self.env.clock.wall());
        let QuorumRecords { kraft_version, voters, .. } = self.quorum.records().clone();
        let disk = Arc::clone(&self.env.disk);
        let (done, written) = oneshot::channel();
        tracing::info!(snapshot = %id, "writing a snapshot");
        self.env.threads.blocking(Box::new(move || {
            let records = image.to_records();
            let contents = snapshot::Contents {
                last_contained_timestamp: last_contained,
                appended_at,
                kraft_version,
                voters: Some(&voters),
                records: &records,
            };
            let written = snapshot::write_file(&*disk, &path, id.epoch, &contents);
            let _ = done.send(written.map(|bytes| Written { id, bytes, last_contained }));
        }));
        self.snapshot = Some(written);
    }

    async fn finish_snapshot(
        &mut self,
        written: Result<Result<Written, SnapshotError>, oneshot::error::RecvError>,
    ) -> Result<(), MetadataLogError> {
        match written {
            Ok(Ok(Written { id, bytes, last_contained })) => {
                let now = self.env.clock.wall();
                self.with_log(move |log| {
                    log.add_snapshot(id, bytes, last_contained);
                    log.clean(now)
                })
                .await
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Ok(()), // The executor is stopping.
        }
    }

    /// Closes the log, behind a snapshot if the next start would have much to read: each stop and start
    /// of a broker changes every partition that it leads.
    async fn close(&mut self) -> Result<(), MetadataLogError> {
        let after = self.log.as_ref().map_or(u64::MAX, |log| log.config().snapshot_after_bytes);
        if self.bytes_since_snapshot > after / STOP_SNAPSHOT_PART {
            self.begin_snapshot();
        }
        if let Some(written) = self.snapshot.take() {
            self.finish_snapshot(written.await).await?;
        }
        self.with_log(MetadataLog::close).await
    }
}

#[cfg(test)]
mod tests;
