//! Where work runs: tasks that wait, and blocking calls that must not hold a network thread.

use std::future::Future;
use std::pin::Pin;

/// A task: runs to completion, answers through channels it owns.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A blocking call.
pub type BlockingTask = Box<dyn FnOnce() + Send>;

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
    /// How many blocking calls may usefully run at once; at least 1.
    fn blocking_parallelism(&self) -> usize;
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
