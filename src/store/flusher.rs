//! Group commit: one flush for all partitions that wait.
//!
//! A partition that wants a flush before it acknowledges joins the next round. While a round is
//! on the disk, everything that arrives collects for the one after it, so that the number of
//! flushes follows the speed of the disk and not the number of producers.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::partition::Partition;
use crate::env::{Disk, Env};
use crate::log::{FlushJob, FlushKind};

/// Up to this many files are flushed one by one; more are flushed with their whole file system
/// in one call (64 files: 20 ms one by one, 2 ms together).
const SYNCS_ONE_BY_ONE_MAX: usize = 3;

type Wanted = Vec<(Arc<Partition>, FlushKind)>;

/// The partitions that wait for a flush. One task runs [`Flusher::run`].
#[derive(Default)]
pub struct Flusher {
    waiting: Mutex<Wanted>,
    wake: Notify,
}

impl Flusher {
    /// Adds `partition` to the next round.
    pub fn request(&self, partition: &Arc<Partition>, kind: FlushKind) {
        let mut waiting = self.waiting.lock();
        match waiting.iter_mut().find(|(other, _)| Arc::ptr_eq(other, partition)) {
            Some((_, wanted)) if kind == FlushKind::RecoveryPoint => *wanted = kind,
            Some(_) => {}
            None => waiting.push((Arc::clone(partition), kind)),
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Flushes round after round, for as long as the broker lives.
    pub async fn run(self: Arc<Self>, env: Env) {
        loop {
            self.wake.notified().await;
            let round = std::mem::take(&mut *self.waiting.lock());
            flush(&env, round).await;
        }
    }
}

/// Flushes what the partitions have appended by now, and lets their acknowledgements go.
pub async fn flush(env: &Env, partitions: Wanted) {
    let jobs: Vec<(Arc<Partition>, FlushJob)> = partitions
        .into_iter()
        .filter_map(|(partition, kind)| partition.begin_flush(kind).map(|job| (partition, job)))
        .collect();
    if jobs.is_empty() {
        return;
    }
    let disk = Arc::clone(&env.disk);
    let work = move || {
        let results = sync(&*disk, &jobs);
        (jobs, results)
    };
    let (jobs, results) = env.threads.run_blocking(work).await;
    let now = env.clock.wall();
    for ((partition, job), result) in jobs.into_iter().zip(results) {
        partition.finish_flush(&job, result, now);
    }
}

/// One result per job.
fn sync(disk: &dyn Disk, jobs: &[(Arc<Partition>, FlushJob)]) -> Vec<io::Result<()>> {
    let syncs: usize = jobs.iter().map(|(_, job)| job.sync_count()).sum();
    if syncs <= SYNCS_ONE_BY_ONE_MAX || jobs.len() == 1 {
        return jobs.iter().map(|(_, job)| job.sync(disk)).collect();
    }
    let prepared: Vec<io::Result<()>> = jobs.iter().map(|(_, job)| job.prepare()).collect();
    // One call for each file system; a failure there is a failure of all that wait on it.
    let mut synced: Vec<(PathBuf, Result<(), io::ErrorKind>)> = Vec::new();
    let together = |(prepared, (_, job)): (io::Result<()>, &(Arc<Partition>, FlushJob))| {
        prepared?;
        let log_dir = job.log_dir();
        let known = synced.iter().find(|(dir, _)| dir == log_dir).map(|(_, result)| *result);
        let result = known.unwrap_or_else(|| {
            let result = disk.sync_filesystem(log_dir).map_err(|error| error.kind());
            synced.push((log_dir.to_owned(), result));
            result
        });
        result.map_err(io::Error::from)
    };
    prepared.into_iter().zip(jobs).map(together).collect()
}
