//! The operating system: what [`Env`](super::Env) is in production.

mod clock;
mod disk;
mod net;
mod optional;
mod output;
mod process;
mod random;
mod signals;
mod threads;

use std::sync::Arc;

pub use output::{LogOutput, thread_name, try_write_to_stderr};
pub use process::use_small_pages;
pub use signals::StopSignal;

use super::{Env, Limits, LogLevels};

impl Env {
    /// The operating system, with a worker that runs connections for each processor, or fewer where
    /// few files may be open, and one for background tasks. The calling thread runs no tasks.
    ///
    /// Errors: threads or what they wait on cannot be created; there is no source of random bytes.
    pub fn real(limits: &Limits) -> std::io::Result<Self> {
        Ok(Self {
            clock: Arc::new(clock::SystemClock::new()),
            disk: Arc::new(disk::OsDisk::default()),
            net: Arc::new(net::TcpNet),
            log_levels: Arc::new(LogLevels::detached()),
            random: Arc::new(random::OsRandom::open()?),
            threads: Arc::new(threads::Workers::start(workers(limits))?),
        })
    }
}

/// How many workers a process has within `limits`.
pub fn workers(limits: &Limits) -> usize {
    let by_files = usize::try_from(limits.open_files / FILES_PER_WORKER_MIN).unwrap_or(usize::MAX);
    threads::processors().min(by_files).max(1)
}

/// A worker holds some five descriptors; most are for others.
const FILES_PER_WORKER_MIN: u64 = 32;

/// The operating system's files alone, for commands that need nothing else.
pub fn disk() -> Arc<dyn super::Disk> {
    Arc::new(disk::OsDisk::default())
}

/// Files, clock and randomness, for commands that run no tasks.
pub type CommandEnv = (Arc<dyn super::Disk>, Arc<dyn super::Clock>, Arc<dyn super::Random>);

/// Files, clock and randomness, for commands that run no tasks.
///
/// Errors: there is no source of random bytes.
pub fn for_commands() -> std::io::Result<CommandEnv> {
    let random = random::OsRandom::open()?;
    Ok((disk(), Arc::new(clock::SystemClock::new()), Arc::new(random)))
}
