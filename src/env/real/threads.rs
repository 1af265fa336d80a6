//! Worker threads, each with a runtime of its own, and a pool for what blocks.
//!
//! One worker runs no connections: the node starts there, and with it all of its background tasks
//! (control plane, flusher, compaction, housekeeping, listeners). So neither a burst of requests
//! delays an election or a heartbeat, nor a long replay of metadata a request.
//!
//! A connection lives on one worker and never changes it: passing a request to another thread
//! costs more than the request. Work that blocks goes to the pool, whose threads after the first are
//! started when they are first needed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Builder, Handle};

use crate::env::threads::{BlockingTask, ProcessUsage, Task, Threads, give_way};

/// Threads of the pool. Most of their time is spent waiting for a disk.
const BLOCKING_THREADS_MAX: usize = 8;

/// Events of sockets that a worker takes from the system at a time.
const EVENTS_PER_POLL: usize = 1024;

/// A length that mimalloc serves with pages of their own.
const SPAN_LEN: usize = 8 * 1024 * 1024;

/// How many processors this process may use.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(super) struct Workers {
    /// Runs what is spawned from outside of the workers, and what that spawns.
    background: Handle,
    /// Run connections.
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
struct CountedTask(Arc<AtomicUsize>);

impl Drop for CountedTask {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts the background worker, and `count` workers for connections.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let background = start_runtime("background".to_owned())?;
        let mut workers = Vec::new();
        for number in 0..count.max(1) {
            let runtime = start_runtime(format!("worker-{number}"))?;
            workers.push(Worker { runtime, connections: Arc::default() });
        }
        let pool: Arc<Pool> = Arc::default();
        // The first thread runs from the start: if it cannot be started, startup fails.
        pool.state.lock().threads = 1;
        pool.start_thread(1)?;
        Ok(Self { background, workers, pool })
    }
}

/// Starts a thread that runs tasks.
fn start_runtime(name: String) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_io_events_per_tick(EVENTS_PER_POLL)
        .build()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name(name).spawn(run)?;
    Ok(handle)
}

impl Threads for Workers {
    fn spawn(&self, task: Task) {
        match Handle::try_current() {
            Ok(here) => here.spawn(task),
            Err(_) => self.background.spawn(task),
        };
    }

    fn spawn_connection(&self, task: Task) {
        let least = self.workers.iter().min_by_key(|w| w.connections.load(Ordering::Relaxed));
        let Some(worker) = least else { unreachable!("there is at least one worker") };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        let counted = CountedTask(Arc::clone(&worker.connections));
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
        let number = state.threads;
        drop(state);
        if self.pool.start_thread(number).is_err() {
            // Those that run take the work.
            let mut state = self.pool.state.lock();
            state.threads -= 1;
            assert!(state.threads > 0, "the first thread was started with the pool");
            drop(state);
            self.pool.wake.notify_one();
        }
    }

    /// After a task of a worker has yielded once, everything that was ready or readable before has
    /// run, up to [`EVENTS_PER_POLL`] connections; after a second time, also those that had yielded
    /// themselves.
    fn full_turn(&self) -> Task {
        let turns: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let connections = worker.connections.load(Ordering::Relaxed);
                worker.runtime.spawn(async move {
                    for _ in 0..2 + connections / EVENTS_PER_POLL {
                        give_way().await;
                    }
                })
            })
            .collect();
        Box::pin(async move {
            for turn in turns {
                let _ = turn.await; // It neither panics nor is it aborted.
            }
        })
    }

    /// mimalloc returns what has been free for a second when it next takes or frees a span of
    /// pages, which a quiet process does not do. This takes one and frees it, untouched.
    fn return_memory(&self) {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(SPAN_LEN)));
    }

    fn process_usage(&self) -> Option<ProcessUsage> {
        Some(super::process::usage())
    }

    fn blocking_parallelism(&self) -> usize {
        self.workers.len().min(BLOCKING_THREADS_MAX)
    }
}

impl Pool {
    fn start_thread(self: &Arc<Self>, number: usize) -> io::Result<()> {
        let pool = Arc::clone(self);
        let builder = std::thread::Builder::new().name(format!("blocking-{number}"));
        builder.spawn(move || pool.run()).map(drop)
    }

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

    #[test]
    fn background_tasks_share_no_worker_with_connections() {
        let threads: Arc<dyn Threads> = Arc::new(Workers::start(2).unwrap());
        let (send, receive) = std::sync::mpsc::channel();
        let report = move |kind: &'static str| {
            let name = std::thread::current().name().map(str::to_owned);
            send.send((kind, name.unwrap())).unwrap();
        };
        let inner = Arc::clone(&threads);
        threads.spawn(Box::pin(async move {
            report("node");
            let of_task = report.clone();
            inner.spawn(Box::pin(async move { of_task("task") }));
            for _ in 0..2 {
                let (report, of_connection) = (report.clone(), Arc::clone(&inner));
                inner.spawn_connection(Box::pin(async move {
                    report("connection");
                    of_connection.spawn(Box::pin(async move { report("task of a connection") }));
                }));
            }
        }));
        for (kind, worker) in receive.iter().take(6) {
            let is_background = worker == "background";
            assert_eq!(is_background, ["node", "task"].contains(&kind), "{kind} on {worker}");
        }
    }

    #[test]
    fn the_pool_stays_within_its_bound_and_loses_no_work() {
        let workers = Arc::new(Workers::start(3).unwrap());
        let threads: Arc<dyn Threads> = Arc::clone(&workers) as _;
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (send, receive) = std::sync::mpsc::channel();
        for _ in 0..50 {
            let (inner, send) = (Arc::clone(&threads), send.clone());
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            threads.spawn_connection(Box::pin(async move {
                for _ in 0..100 {
                    let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                    inner
                        .run_blocking(move || {
                            most.fetch_max(
                                running.fetch_add(1, Ordering::Relaxed) + 1,
                                Ordering::Relaxed,
                            );
                            std::thread::yield_now();
                            running.fetch_sub(1, Ordering::Relaxed);
                        })
                        .await;
                    send.send(()).unwrap();
                }
            }));
        }
        assert_eq!(receive.iter().take(5000).count(), 5000);
        assert!((1..=BLOCKING_THREADS_MAX).contains(&most.load(Ordering::Relaxed)));
        assert!(workers.pool.state.lock().threads <= BLOCKING_THREADS_MAX);
    }

    #[test]
    fn a_connection_goes_to_the_worker_with_the_fewest() {
        let workers = Workers::start(3).unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(());
        let counts = || {
            let loads = workers.workers.iter();
            loads.map(|worker| worker.connections.load(Ordering::Relaxed)).collect::<Vec<_>>()
        };
        for _ in 0..7 {
            let mut stopped = stopped.clone();
            workers.spawn_connection(Box::pin(async move { drop(stopped.changed().await) }));
        }
        assert_eq!(counts(), [3, 2, 2]);
        drop(stopped);
        stop.send(()).unwrap();
        // Every task has let go of its receiver, and of its count just before or after.
        let (send, receive) = std::sync::mpsc::channel();
        for worker in &workers.workers {
            let send = send.clone();
            worker.runtime.spawn(async move { send.send(()).unwrap() });
        }
        assert_eq!(receive.iter().take(3).count(), 3);
        assert_eq!(counts(), [0, 0, 0]);
    }
}
