//! Where work runs: tasks that wait, and blocking calls that must not hold a network thread.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Context;
use std::time::Duration;

/// A task: runs to completion, answers through channels it owns.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A blocking call.
pub type BlockingTask = Box<dyn FnOnce() + Send>;

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Processor time of all threads, in user and system mode.
    pub cpu: Duration,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
}

/// Executors. In simulation there is one thread: `spawn` queues, and `blocking` runs at once or, by
/// the seed, as a task a little later.
pub trait Threads: Send + Sync {
    /// Runs `task` on the calling worker's own thread; from outside of the workers, on the one for
    /// background tasks.
    fn spawn(&self, task: Task);
    /// Runs `task` on the worker with the least connections. The task is the connection's life:
    /// the worker counts one connection until it ends.
    fn spawn_connection(&self, task: Task);
    /// Runs `work` where blocking is allowed (fsync, cold reads, recovery).
    fn blocking(&self, work: BlockingTask);
    /// Ready once every connection, on every worker, has run at least once since the call if it had
    /// anything to do, bytes that had already arrived included. Whoever lets a session expire awaits
    /// this first, so that the expiry does not overtake requests that lie unread in a socket.
    fn full_turn(&self) -> Task;
    /// Returns memory that was freed to the system, as far as the allocator still holds it.
    fn return_memory(&self) {}
    /// What the process that runs them uses; `None` where nothing is known of a process, as in
    /// simulation.
    fn process_usage(&self) -> Option<ProcessUsage> {
        None
    }
    /// How many blocking calls may usefully run at once; at least 1.
    fn blocking_parallelism(&self) -> usize;
}

/// Yields to the other tasks of this worker: those that are ready, and those that become ready by
/// what has arrived meanwhile, run before the caller resumes.
pub async fn give_way() {
    tokio::task::yield_now().await;
}

/// [`give_way`] for a future that is polled by hand: it returns `Pending` after this call, and is
/// polled again in its next turn.
pub fn poll_give_way(cx: &mut Context<'_>) {
    let _ = pin!(give_way()).poll(cx);
}

impl dyn Threads {
    /// Runs `work` where blocking is allowed, and gives its result.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (send, receive) = tokio::sync::oneshot::channel();
        self.blocking(Box::new(move || {
            let _ = send.send(work()); // The waiter may have gone away.
        }));
        receive.await.expect("blocking work is never dropped before it ran")
    }
}
