//! Runs compaction: picks the dirtiest log, cleans it off the network threads, remembers how far
//! (Kafka 4.4 `LogCleaner`, `LogCleanerManager`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::partition::Partition;
use super::partitions::Partitions;
use crate::env::Env;
use crate::log::checkpoint::{CLEANER_OFFSETS, Offsets, read_offsets, write_offsets};
use crate::log::cleaner::{CleanError, CleanerBudget, DirtyRange, Pass, Replacement, Step};
use crate::types::{Mono, Offset, TopicPartition};

/// What the configuration says of compaction.
#[derive(Clone, Copy, Debug)]
pub struct CleanerSettings {
    /// `log.cleaner.threads`: how many logs are cleaned at once.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`, of all of them.
    pub map_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`, of all of them.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`, of all of them.
    pub bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`.
    pub backoff: Duration,
}

/// The settings as they are now.
pub type SettingsOf = Arc<dyn Fn() -> CleanerSettings + Send + Sync>;

/// Bytes of the largest offset map.
const MAP_BYTES_MAX: usize = i32::MAX as usize;

impl CleanerSettings {
    fn budget(&self) -> CleanerBudget {
        let threads = self.threads.max(1);
        CleanerBudget {
            map_bytes: (self.map_bytes / threads).min(MAP_BYTES_MAX),
            load_factor: self.load_factor,
            // One half to read into, one to write from.
            read_bytes: self.io_buffer_bytes / threads / 2,
        }
    }
}

/// The cleaner of this broker.
pub struct Cleaner {
    env: Env,
    partitions: Arc<Partitions>,
    log_dirs: Vec<PathBuf>,
    settings: SettingsOf,
    state: Mutex<CleanerState>,
    /// One file is written at a time.
    writing: Mutex<()>,
    finished: Notify,
    /// How many logs are being cleaned, and no more of them once it is stopping.
    busy: watch::Sender<usize>,
    stopping: watch::Sender<bool>,
}

#[derive(Default)]
struct CleanerState {
    /// How far each log is clean.
    cleaned_to: BTreeMap<TopicPartition, Offset>,
    in_progress: BTreeSet<TopicPartition>,
    /// Logs in which damage was met; they are left alone until the broker starts anew.
    uncleanable: BTreeSet<TopicPartition>,
    /// When the next byte may be moved.
    free_at: Option<Mono>,
}

impl Cleaner {
    /// Over the partitions of this broker; reads what the log directories remember.
    pub fn new(
        env: Env,
        partitions: Arc<Partitions>,
        log_dirs: Vec<PathBuf>,
        settings: SettingsOf,
    ) -> Self {
        let mut state = CleanerState::default();
        for dir in &log_dirs {
            let path = dir.join(CLEANER_OFFSETS);
            let offsets = read_offsets(&*env.disk, &path).unwrap_or_else(|error| {
                tracing::warn!(file = %path.display(), %error, "logs are cleaned from their start");
                Offsets::default()
            });
            if offsets.is_empty() {
                continue;
            }
            for partition in partitions.all() {
                let offset = offsets.get(&partition.topic, partition.id.partition);
                if let Some(offset) = offset.filter(|_| partition.log_dir() == *dir) {
                    state.cleaned_to.insert(partition.id, offset);
                }
            }
        }
        let (state, finished) = (Mutex::new(state), Notify::new());
        let writing = Mutex::default();
        let (busy, stopping) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { env, partitions, log_dirs, settings, state, writing, finished, busy, stopping }
    }

    /// Logs that are not cleaned since damage was met in them.
    pub fn uncleanable(&self) -> Vec<TopicPartition> {
        self.state.lock().uncleanable.iter().copied().collect()
    }

    /// Ends what is being cleaned, which leaves nothing behind, and cleans no more.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let _ = self.busy.subscribe().wait_for(|busy| *busy == 0).await; // The sender is here.
    }

    /// Runs until it is stopped.
    pub async fn run(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow() {
            let settings = (self.settings)();
            while self.state.lock().in_progress.len() < settings.threads {
                let choosing = Arc::clone(&self);
                let chosen = self.env.threads.run_blocking(move || choosing.choose()).await;
                let Some((partition, dirty_range)) = chosen else { break };
                let cleaner = Arc::clone(&self);
                self.busy.send_modify(|busy| *busy += 1);
                self.env.threads.spawn(Box::pin(async move {
                    // It may have been stopped while it chose: who stops looks at `busy` after that.
                    if !*cleaner.stopping.borrow() {
                        cleaner.clean(partition, dirty_range).await;
                    }
                    cleaner.busy.send_modify(|busy| *busy -= 1);
                }));
            }
            let until = self.env.clock.now() + settings.backoff.max(Duration::from_millis(1));
            tokio::select! {
                () = self.env.clock.sleep_until(until) => {}
                () = self.finished.notified() => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// The dirtiest log that is due, marked as in progress.
    fn choose(&self) -> Option<(Arc<Partition>, DirtyRange)> {
        let now = self.env.clock.wall();
        let mut best: Option<(Arc<Partition>, DirtyRange)> = None;
        let all = self.partitions.all();
        {
            let here: BTreeSet<TopicPartition> = all.iter().map(|partition| partition.id).collect();
            let mut state = self.state.lock();
            state.uncleanable.retain(|id| here.contains(id));
            state.cleaned_to.retain(|id, _| here.contains(id));
        }
        for partition in all {
            let cleaned_to = {
                let state = self.state.lock();
                let id = partition.id;
                if state.in_progress.contains(&id) || state.uncleanable.contains(&id) {
                    continue;
                }
                state.cleaned_to.get(&id).copied()
            };
            let config = partition.config();
            if !config.rules.compacted {
                continue;
            }
            match partition.dirty_range(cleaned_to, now) {
                Ok(Some(dirty_range)) => {
                    let is_worse =
                        best.as_ref().is_none_or(|(_, b)| dirty_range.ratio() > b.ratio());
                    if dirty_range.is_due(&config) && is_worse {
                        best = Some((partition, dirty_range));
                    }
                }
                Ok(None) => {}
                Err(error) => self.give_up(&partition, &error.to_string()),
            }
        }
        if let Some((partition, _)) = &best {
            self.state.lock().in_progress.insert(partition.id);
        }
        best
    }

    fn give_up(&self, partition: &Partition, why: &str) {
        tracing::error!(
            topic = %partition.topic, partition = partition.id.partition, why,
            "the log cannot be compacted, and is left alone until the broker starts anew"
        );
        self.state.lock().uncleanable.insert(partition.id);
    }

    async fn clean(self: &Arc<Self>, partition: Arc<Partition>, dirty_range: DirtyRange) {
        let budget = (self.settings)().budget();
        let now = self.env.clock.wall();
        let pass = partition.begin_cleaning(&dirty_range, budget, now);
        let result = self.passes(&partition, pass).await;
        partition.end_cleaning();
        let comes_further = matches!(&result, Ok(offset) if *offset > dirty_range.first_dirty);
        match result {
            Ok(cleaned_to) => {
                tracing::info!(
                    topic = %partition.topic, partition = partition.id.partition,
                    from = dirty_range.first_dirty, to = cleaned_to, "compacted a log"
                );
                self.remember(&partition, cleaned_to).await;
            }
            Err(CleanError::Changed) => {}
            // A topic that is deleted takes its files away.
            Err(_) if self.partitions.get(partition.id).is_none() => {}
            Err(error) => self.give_up(&partition, &error.to_string()),
        }
        self.state.lock().in_progress.remove(&partition.id);
        if comes_further {
            self.finished.notify_one();
        }
    }

    /// Steps until the end, no faster than the configuration has it.
    async fn passes(
        &self,
        partition: &Arc<Partition>,
        mut pass: Pass,
    ) -> Result<Offset, CleanError> {
        let mut stopping = self.stopping.subscribe();
        loop {
            let (back, step) = self
                .env
                .threads
                .run_blocking(move || {
                    let step = pass.step();
                    if step.is_err() {
                        pass.abandon();
                    }
                    (pass, step)
                })
                .await;
            pass = back;
            // Whoever takes compaction away from a topic wants its records from now on.
            let is_wanted = partition.config().rules.compacted
                && self.partitions.get(partition.id).is_some()
                && !*stopping.borrow();
            if step.is_ok() && (partition.is_moving() || !is_wanted) {
                pass.abandon();
                return Err(CleanError::Changed);
            }
            match step? {
                Step::Moved(bytes) => {
                    let until = self.throttle(bytes);
                    if until > self.env.clock.now() {
                        tokio::select! {
                            () = self.env.clock.sleep_until(until) => {}
                            _ = stopping.changed() => {}
                        }
                    }
                }
                Step::Swap(replacement) => self.swap(partition, replacement).await?,
                Step::Done(offset) => return Ok(offset),
            }
        }
    }

    /// When the next bytes may be moved, after so many.
    fn throttle(&self, bytes: u64) -> Mono {
        let now = self.env.clock.now();
        let per_second = (self.settings)().bytes_per_second.max(1.0);
        let takes = (bytes as f64 / per_second).min(3600.0);
        let mut state = self.state.lock();
        let from = state.free_at.map_or(now, |at| at.max(now));
        let until = from + Duration::from_secs_f64(takes);
        state.free_at = Some(until);
        until
    }

    async fn swap(
        &self,
        partition: &Arc<Partition>,
        replacement: Replacement,
    ) -> Result<(), CleanError> {
        let inner = Arc::clone(partition);
        let swapped = self.env.threads.run_blocking(move || inner.swap(&replacement)).await;
        let gone = swapped?;
        let delay = partition.config().file_delete_delay_ms.max(0).unsigned_abs();
        let env = self.env.clone();
        self.env.threads.spawn(Box::pin(async move {
            env.clock.sleep_until(env.clock.now() + Duration::from_millis(delay)).await;
            if let Err(error) = env.threads.run_blocking(move || gone.remove()).await {
                tracing::warn!(%error, "segments that were compacted stay on disk");
            }
        }));
        Ok(())
    }

    async fn remember(self: &Arc<Self>, partition: &Partition, cleaned_to: Offset) {
        let dir = partition.log_dir();
        self.state.lock().cleaned_to.insert(partition.id, cleaned_to);
        let cleaner = Arc::clone(self);
        let written = self.env.threads.run_blocking(move || cleaner.write_down(&dir)).await;
        if let Err(error) = written {
            tracing::error!(%error, "how far logs are compacted cannot be written down");
        }
    }

    /// Writes down how far the logs in `dir` are clean.
    fn write_down(&self, dir: &Path) -> std::io::Result<()> {
        if !self.log_dirs.iter().any(|known| known == dir) {
            return Ok(());
        }
        let _one = self.writing.lock();
        let cleaned = self.state.lock().cleaned_to.clone();
        let mut offsets = Offsets::default();
        for partition in self.partitions.all() {
            if let Some(offset) = cleaned.get(&partition.id).filter(|_| partition.log_dir() == dir)
            {
                offsets.set(&partition.topic, partition.id.partition, *offset);
            }
        }
        write_offsets(&*self.env.disk, &dir.join(CLEANER_OFFSETS), &offsets)
    }

    /// A partition moved between two log directories, and what is known of it goes along (Kafka 4.4
    /// `LogCleanerManager.alterCheckpointDir`). Blocks.
    pub fn note_move(&self, from: &Path, to: &Path) {
        for dir in [to, from] {
            if let Err(error) = self.write_down(dir) {
                tracing::error!(%error, "how far logs are compacted cannot be written down");
            }
        }
    }
}
