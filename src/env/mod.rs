//! The only road outside: clock, disk, network, randomness, threads, and the levels of the log.
//!
//! [`Env`] is one value, handed to everything that reaches out. `Env::real` is the operating
//! system; `Env::sim` is a world of memory on one thread, paused time and a seed, in which a disk
//! can crash and a network can cut. Production and simulation differ in that value alone.
//!
//! Read `disk.rs` (the durability contract, call by call), `net.rs`, then `clock.rs` and
//! `threads.rs`. `real/` and `sim/` implement them.

pub mod clock;
pub mod disk;
pub mod limits;
pub mod log_levels;
pub mod net;
pub mod random;
pub mod real;
pub mod sim;
pub mod threads;

use std::sync::Arc;

pub use clock::Clock;
pub use disk::{DirEntry, Directory, Disk, File, FileInfo, Lock, OpenMode};
pub use limits::Limits;
pub use log_levels::{LogLevel, LogLevels};
pub use net::{Accepted, Connection, Listener, Net, OutPart, ReadHalf, WriteHalf};
pub use random::Random;
pub use threads::{BlockingTask, ProcessUsage, Task, Threads};

/// The world outside, as this process sees it. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// What time it is, and when a deadline has passed.
    pub clock: Arc<dyn Clock>,
    /// Files and directories.
    pub disk: Arc<dyn Disk>,
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// How much is logged.
    pub log_levels: Arc<LogLevels>,
    /// Random bytes; from the run's seed in simulation.
    pub random: Arc<dyn Random>,
    /// Where tasks and blocking work run.
    pub threads: Arc<dyn Threads>,
}
