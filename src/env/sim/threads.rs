//! A simulated process's threads: tasks on the one runtime, which end with the process.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::rng::Rng;
use crate::env::threads::{BlockingTask, Task, Threads, give_way};

/// After so many new tasks, the ended ones are forgotten.
const PRUNE_INTERVAL: usize = 256;

/// Panics of tasks, which the runtime would swallow.
#[derive(Default)]
pub(super) struct Panics(Mutex<Vec<String>>);

impl Panics {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

pub(super) struct SimThreads {
    name: String,
    rng: Mutex<Rng>,
    blocking_ms_max: u64,
    tasks: Mutex<Tasks>,
    panics: Arc<Panics>,
}

#[derive(Default)]
struct Tasks {
    handles: Vec<AbortHandle>,
    ended: bool,
}

impl SimThreads {
    /// Threads of the process `name`, whose blocking calls take up to so long.
    pub(super) fn new(name: String, rng: Rng, blocking_ms_max: u64, panics: Arc<Panics>) -> Self {
        Self { name, rng: Mutex::new(rng), blocking_ms_max, tasks: Mutex::default(), panics }
    }

    /// No task of this process is polled again, and none is taken on.
    pub(super) fn end(&self) {
        let mut tasks = self.tasks.lock();
        tasks.ended = true;
        for task in tasks.handles.drain(..) {
            task.abort();
        }
    }
}

impl Threads for SimThreads {
    fn spawn(&self, task: Task) {
        let watch = Watch { process: self.name.clone(), panics: Arc::clone(&self.panics) };
        let mut tasks = self.tasks.lock();
        if tasks.ended {
            return;
        }
        if tasks.handles.len() % PRUNE_INTERVAL == PRUNE_INTERVAL - 1 {
            tasks.handles.retain(|task| !task.is_finished());
        }
        let spawned = tokio::spawn(async move {
            let _watch = watch;
            task.await;
        });
        tasks.handles.push(spawned.abort_handle());
    }

    fn spawn_connection(&self, task: Task) {
        self.spawn(task);
    }

    /// Runs `work` at once or, by the seed, a little later, as a pool of threads would.
    fn blocking(&self, work: BlockingTask) {
        let delay = {
            let mut rng = self.rng.lock();
            (self.blocking_ms_max > 0 && rng.coin()).then(|| rng.below(self.blocking_ms_max + 1))
        };
        match delay {
            None => work(),
            Some(milliseconds) => self.spawn(Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                work();
            })),
        }
    }

    fn full_turn(&self) -> Task {
        Box::pin(async {
            give_way().await;
            give_way().await;
        })
    }

    fn blocking_parallelism(&self) -> usize {
        1
    }
}

/// Notices when the task that holds it panics.
struct Watch {
    process: String,
    panics: Arc<Panics>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.panics.0.lock().push(format!("a task of {} panicked", self.process));
        }
    }
}
