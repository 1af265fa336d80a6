//! A world of memory: what `Env` is in tests of whole brokers and of crashes.
//!
//! Everything in it follows from a seed: the same seed gives the same [`Trace`]. It has no threads
//! and no real time, and nothing in it is part of a running broker.
//!
//! Read `disk.rs` first ([`SimDisk`], which also stands alone): a disk that can lose what was not
//! synced, fail calls and cut the power after any of them. `inode.rs` and `tree.rs` hold its model
//! of what survives. `rng.rs` and `trace.rs` are the seed and the fingerprint.

mod clock;
mod content;
mod disk;
#[cfg(test)]
mod disk_tests;
mod fault;
mod inode;
mod rng;
mod trace;
mod tree;

pub use clock::EPOCH;
pub use disk::{Crash, SimDisk};
pub use fault::{Call, Fault};
pub use rng::Rng;
pub use trace::Trace;
