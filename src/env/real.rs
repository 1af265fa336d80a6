//! The operating system: what [`Env`](super::Env) is in production.

mod clock;
mod disk;
mod net;
mod process;
mod random;
mod threads;

use std::sync::Arc;

pub use process::{raise_open_files_limit, stop_signal, use_small_pages};

use super::Env;

impl Env {
    /// The operating system, with a worker that runs connections for each processor, and one for
    /// background tasks. The calling thread runs no tasks.
    pub fn real() -> std::io::Result<Self> {
        Ok(Self {
            clock: Arc::new(clock::SystemClock::new()),
            disk: Arc::new(disk::OsDisk::default()),
            net: Arc::new(net::TcpNet),
            random: Arc::new(random::OsRandom),
            threads: Arc::new(threads::Workers::start(threads::processors())?),
        })
    }
}

/// The operating system's files alone, for commands that need nothing else.
pub fn disk() -> Arc<dyn super::Disk> {
    Arc::new(disk::OsDisk::default())
}

/// Files, clock and randomness, for commands that run no tasks.
pub fn for_commands() -> (Arc<dyn super::Disk>, Arc<dyn super::Clock>, Arc<dyn super::Random>) {
    (disk(), Arc::new(clock::SystemClock::new()), Arc::new(random::OsRandom))
}
