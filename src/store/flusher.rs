//! Group commit: one flush for all partitions that wait.
//!
//! A partition that wants a flush before it acknowledges joins the next round. While a round is
//! on the disk, everything that arrives collects for the one after it, so that the number of
//! flushes follows the speed of the disk and not the number of producers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::log_metrics::LogFlushMetrics;
use super::partition::Partition;
use crate::env::{Disk, Env};
use crate::log::{FlushJob, FlushKind};
use crate::metrics::{Collect, Collector};
use crate::types::{Timestamp, TopicPartition};

/// Up to this many files are flushed one by one; more are flushed with their whole file system
/// in one call (64 files: 20 ms one by one, 2 ms together).
const SYNCS_ONE_BY_ONE_MAX: usize = 3;

/// How long a flush waits that had no descriptor.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// What failed for several.
#[derive(Clone, Copy)]
struct FlushFailure(io::ErrorKind, Option<i32>);

impl FlushFailure {
    fn of(error: &io::Error) -> Self {
        Self(error.kind(), error.raw_os_error())
    }

    fn error(self) -> io::Error {
        self.1.map_or_else(|| self.0.into(), io::Error::from_raw_os_error)
    }
}

type PendingFlushes = BTreeMap<TopicPartition, (Arc<Partition>, FlushKind)>;

/// The partitions that wait for a flush. One task runs [`Flusher::run`].
#[derive(Default)]
pub struct Flusher {
    waiting: Mutex<PendingFlushes>,
    wake: Notify,
    metrics: LogFlushMetrics,
}

impl Flusher {
    /// Adds `partition` to the next round.
    pub fn request(&self, partition: &Arc<Partition>, kind: FlushKind) {
        let mut waiting = self.waiting.lock();
        let wanted = waiting.entry(partition.id).or_insert_with(|| (Arc::clone(partition), kind));
        if kind == FlushKind::RecoveryPoint {
            wanted.1 = kind;
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Flushes round after round, for as long as the broker lives.
    pub async fn run(self: Arc<Self>, env: Env) {
        loop {
            self.wake.notified().await;
            let round = std::mem::take(&mut *self.waiting.lock());
            let again = flush(&env, round, &self.metrics).await;
            if !again.is_empty() {
                env.clock.sleep_until(env.clock.now() + RETRY_PAUSE).await;
                for (partition, kind) in again {
                    self.request(&partition, kind);
                }
            }
        }
    }
}

impl Collect for Flusher {
    fn collect(&self, collector: &mut dyn Collector) {
        self.metrics.collect_labelled(&[], collector);
    }

    fn rotate(&self) {
        self.metrics.rotate();
    }
}

/// Flushes what the partitions have appended by now, and lets their acknowledgements go. Those for
/// which no descriptor was left come back.
async fn flush(
    env: &Env,
    partitions: PendingFlushes,
    metrics: &LogFlushMetrics,
) -> Vec<(Arc<Partition>, FlushKind)> {
    let jobs: Vec<(Arc<Partition>, FlushJob)> = partitions
        .into_values()
        .filter_map(|(partition, kind)| partition.begin_flush(kind).map(|job| (partition, job)))
        .collect();
    if jobs.is_empty() {
        return Vec::new();
    }
    let disk = Arc::clone(&env.disk);
    let work = move || {
        let results = sync(&*disk, &jobs);
        (jobs, results)
    };
    let begun_at = env.clock.now();
    let (jobs, results) = env.threads.run_blocking(work).await;
    let took = env.clock.now().since(begun_at);
    // Each log waited for the whole round.
    jobs.iter().for_each(|_| metrics.flush.record(took.as_micros() as u64));
    let now = env.clock.wall();
    let mut again = Vec::new();
    for ((partition, job), result) in jobs.into_iter().zip(results) {
        let is_to_wait = result.as_ref().is_err_and(FlushJob::may_be_retried);
        partition.finish_flush(&job, result, now);
        if is_to_wait {
            again.push((partition, job.kind()));
        }
    }
    again
}

/// Closes all partitions for a clean stop, with as few syncs as it takes; the log directories in
/// which one could not be closed. Blocks.
pub fn close_all(
    disk: &dyn Disk,
    partitions: Vec<Arc<Partition>>,
    now: Timestamp,
) -> BTreeSet<PathBuf> {
    let mut unclean = BTreeSet::new();
    let mut failed = |partition: &Partition, error: &io::Error| {
        tracing::error!(
            topic = %partition.topic, partition = partition.id.partition, %error,
            "a log cannot be closed: the next start will recover"
        );
        unclean.insert(partition.log_dir());
    };
    let mut jobs = Vec::new();
    for partition in partitions {
        match partition.begin_close() {
            Ok(job) => jobs.extend(job.map(|job| (partition, job))),
            Err(error) => failed(&partition, &error),
        }
    }
    let results = sync(disk, &jobs);
    for ((partition, job), result) in jobs.into_iter().zip(results) {
        if let Err(error) = &result {
            failed(&partition, error);
        }
        partition.finish_flush(&job, result, now);
    }
    unclean
}

/// One result per job.
fn sync(disk: &dyn Disk, jobs: &[(Arc<Partition>, FlushJob)]) -> Vec<io::Result<()>> {
    let syncs: usize = jobs.iter().map(|(_, job)| job.sync_count()).sum();
    if syncs <= SYNCS_ONE_BY_ONE_MAX || jobs.len() == 1 {
        return jobs.iter().map(|(_, job)| job.sync(disk)).collect();
    }
    let prepared: Vec<io::Result<()>> = jobs.iter().map(|(_, job)| job.prepare()).collect();
    // One call for each file system; a failure there is a failure of all that wait on it.
    let mut synced: Vec<(PathBuf, Result<(), FlushFailure>)> = Vec::new();
    let together = |(prepared, (_, job)): (io::Result<()>, &(Arc<Partition>, FlushJob))| {
        prepared?;
        let log_dir = job.log_dir();
        let known = synced.iter().find(|(dir, _)| dir == log_dir).map(|(_, result)| *result);
        let result = known.unwrap_or_else(|| {
            let result = disk.sync_filesystem(log_dir).map_err(|error| FlushFailure::of(&error));
            synced.push((log_dir.to_owned(), result));
            result
        });
        result.map_err(FlushFailure::error)
    };
    prepared.into_iter().zip(jobs).map(together).collect()
}
