//! A world of memory: what [`Env`] is in tests of whole brokers and of crashes.
//!
//! Everything in it follows from a seed: the same seed gives the same [`Trace`]. It has one thread
//! and no real time, and nothing in it is part of a running broker.
//!
//! Read `world.rs` ([`World`] and its machines, which start processes and crash), then `disk.rs`
//! ([`SimDisk`], which also stands alone): a disk that can lose what was not synced, fail calls and
//! cut the power after any of them. `inode.rs` and `tree.rs` hold its model of what survives.
//! `net.rs` is the network; `rng.rs` and `trace.rs` are the seed and the fingerprint.

mod clock;
mod content;
mod disk;
#[cfg(test)]
mod disk_model_tests;
#[cfg(test)]
mod disk_tests;
mod fault;
mod inode;
mod net;
mod rng;
mod threads;
mod trace;
mod tree;
mod world;
#[cfg(test)]
mod world_tests;

pub use clock::EPOCH;
pub use disk::{Crash, SimDisk};
pub use fault::{Call, Fault};
pub use rng::Rng;
pub use trace::Trace;
pub use world::{Machine, World};

use super::Env;

/// One thread whose time passes when all its tasks wait: what a world lives on.
#[cfg(test)]
pub(crate) fn paused_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

impl Env {
    /// The outside of a new process on a simulated machine ([`Machine::start`]).
    pub fn sim(machine: &Machine) -> Self {
        machine.start()
    }
}
