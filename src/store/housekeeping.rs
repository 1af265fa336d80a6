//! What runs by the clock: retention, flushes by time, checkpoints, silent producers.

use std::sync::Arc;
use std::time::Duration;

use super::flusher::Flusher;
use super::log_dirs::Checkpoints;
use super::partition::Partition;
use super::partitions::Partitions;
use crate::env::Env;
use crate::metrics::Registry;
use crate::types::Mono;

/// Length of a window of the histograms: quantiles cover the last one or two of them, as Kafka's
/// cover about the last five minutes.
const METRICS_WINDOW: Duration = Duration::from_mins(3);

/// How often housekeeping does what.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// `log.retention.check.interval.ms`.
    pub retention: Duration,
    /// How often logs are looked at for a flush by time, and checkpoints are written after one.
    pub flush: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`, and that of log starts and high watermarks.
    pub checkpoint: Duration,
    /// `producer.id.expiration.check.interval.ms`.
    pub producers: Duration,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// A log with so many bytes past its recovery point is flushed, so that a crash is recovered
    /// from quickly.
    pub unflushed_bytes_max: u64,
}

/// Runs for as long as the broker lives.
pub async fn run(
    env: Env,
    partitions: Arc<Partitions>,
    flusher: Arc<Flusher>,
    checkpoints: Arc<Checkpoints>,
    metrics: Registry,
    intervals: Intervals,
) {
    let start = env.clock.now();
    let mut flush_at = start + intervals.flush;
    let mut retention_at = start + Duration::from_secs(30).min(intervals.retention);
    let mut checkpoint_at = start + intervals.checkpoint;
    let mut producers_at = start + intervals.producers;
    let mut rotation_at = start + METRICS_WINDOW;
    loop {
        let next: Mono = [flush_at, retention_at, checkpoint_at, producers_at, rotation_at]
            .into_iter()
            .fold(flush_at, Mono::min);
        env.clock.sleep_until(next).await;
        let (now, wall) = (env.clock.now(), env.clock.wall());
        if now >= flush_at {
            flush_at = now + intervals.flush;
            for partition in partitions.all() {
                let due = partition.flush_due_by_time(wall, intervals.unflushed_bytes_max);
                if let Some(kind) = due {
                    flusher.request(&partition, kind);
                }
            }
        }
        if now >= retention_at {
            retention_at = now + intervals.retention;
            retain(&env, partitions.all()).await;
        }
        if now >= producers_at {
            producers_at = now + intervals.producers;
            for partition in partitions.all() {
                partition.expire_producers(wall, intervals.producer_expiration_ms);
            }
        }
        if now >= rotation_at {
            rotation_at = now + METRICS_WINDOW;
            metrics.rotate();
        }
        if now >= checkpoint_at {
            checkpoint_at = now + intervals.checkpoint;
            let (checkpoints, all) = (Arc::clone(&checkpoints), Arc::clone(&partitions));
            let written = env.threads.run_blocking(move || checkpoints.write(&all)).await;
            if let Err(error) = written {
                tracing::error!(%error, "the offset checkpoints cannot be written");
            }
        }
    }
}

/// Deletes segments whose time is over; their files go a while later.
async fn retain(env: &Env, all: Vec<Arc<Partition>>) {
    let now = env.clock.wall();
    let work = move || {
        let mut gone = Vec::new();
        for partition in all {
            match partition.retain(now) {
                Ok(Some(deletable)) => {
                    tracing::info!(
                        topic = %partition.topic, partition = partition.id.partition,
                        segments = deletable.len(), "segments outlived their retention"
                    );
                    gone.push((partition.config().file_delete_delay_ms, deletable));
                }
                Ok(None) => {}
                Err(error) => tracing::error!(
                    topic = %partition.topic, partition = partition.id.partition, %error,
                    "retention failed"
                ),
            }
        }
        gone
    };
    for (delay_ms, deletable) in env.threads.run_blocking(work).await {
        let inner = env.clone();
        env.threads.spawn(Box::pin(async move {
            let delay = Duration::from_millis(delay_ms.max(0).unsigned_abs());
            inner.clock.sleep_until(inner.clock.now() + delay).await;
            if let Err(error) = inner.threads.run_blocking(move || deletable.remove()).await {
                tracing::warn!(%error, "deleted segments stay on disk");
            }
        }));
    }
}
