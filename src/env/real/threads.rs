//! Worker threads, each with a runtime of its own, and a pool for what blocks.
//!
//! A connection lives on one worker and never changes it: passing a request to another thread
//! costs more than the request. Work that blocks goes to the pool, whose threads are started when
//! they are first needed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Builder, Handle};

use crate::env::threads::{BlockingTask, Task, Threads};

/// Threads of the pool. Most of their time is spent waiting for a disk.
const BLOCKING_THREADS_MAX: usize = 8;

pub(super) struct Workers {
    workers: Vec<Worker>,
    pool: Arc<Pool>,
}

struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Pool {
    state: Mutex<PoolState>,
    wake: Condvar,
}

#[derive(Default)]
struct PoolState {
    queue: VecDeque<BlockingTask>,
    threads: usize,
    idle: usize,
}

/// Counts a connection for as long as its task lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let mut workers = Vec::new();
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
            workers.push(Worker { runtime: handle, connections: Arc::default() });
        }
        Ok(Self { workers, pool: Arc::default() })
    }
}

impl Threads for Workers {
    fn spawn(&self, task: Task) {
        match Handle::try_current() {
            Ok(here) => here.spawn(task),
            Err(_) => self.workers[0].runtime.spawn(task),
        };
    }

    fn spawn_connection(&self, task: Task) {
        let least = self.workers.iter().min_by_key(|w| w.connections.load(Ordering::Relaxed));
        let Some(worker) = least else { unreachable!("there is at least one worker") };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&worker.connections));
        worker.runtime.spawn(async move {
            let _counted = counted;
            task.await;
        });
    }

    fn blocking(&self, work: BlockingTask) {
        let mut state = self.pool.state.lock();
        state.queue.push_back(work);
        if state.idle >= state.queue.len() || state.threads == BLOCKING_THREADS_MAX {
            drop(state);
            self.pool.wake.notify_one();
            return;
        }
        state.threads += 1;
        let pool = Arc::clone(&self.pool);
        let name = format!("blocking-{}", state.threads);
        drop(state);
        let started = std::thread::Builder::new().name(name).spawn(move || pool.run());
        if let Err(error) = started {
            let mut state = self.pool.state.lock();
            state.threads -= 1;
            assert!(state.threads > 0, "no thread can be started for blocking work: {error}");
        }
    }

    fn blocking_parallelism(&self) -> usize {
        self.workers.len().min(BLOCKING_THREADS_MAX)
    }
}

impl Pool {
    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                work();
                state = self.state.lock();
            } else {
                state.idle += 1;
                self.wake.wait(&mut state);
                state.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_work_runs_and_connections_are_counted_until_they_end() {
        let threads: Arc<dyn Threads> = Arc::new(Workers::start(2).unwrap());
        let (send, receive) = std::sync::mpsc::channel();
        for number in 0..20 {
            let send = send.clone();
            let inner = Arc::clone(&threads);
            threads.spawn_connection(Box::pin(async move {
                let doubled = inner.run_blocking(move || number * 2).await;
                send.send(doubled).unwrap();
            }));
        }
        let mut all: Vec<i32> = receive.iter().take(20).collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).map(|n| n * 2).collect::<Vec<_>>());
    }
}
