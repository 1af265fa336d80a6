//! The operating system: what [`Env`](super::Env) is in production.

mod clock;
mod disk;
mod net;
mod process;
mod random;
mod threads;

use std::sync::Arc;

pub use process::{raise_open_files_limit, stop_signal};

use super::Env;

impl Env {
    /// The operating system, with `workers` threads that run connections. Must be called from the
    /// thread that will wait for the broker: it runs no tasks itself.
    pub fn real(workers: usize) -> std::io::Result<Self> {
        Ok(Self {
            clock: Arc::new(clock::SystemClock::new()),
            disk: Arc::new(disk::OsDisk::default()),
            net: Arc::new(net::TcpNet),
            random: Arc::new(random::OsRandom),
            threads: Arc::new(threads::Workers::start(workers)?),
        })
    }
}
