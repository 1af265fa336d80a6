//! Compaction: of each key the last record stays (Kafka 4.4 `LogCleaner`, `Cleaner`).
//!
//! What decides is pure: `choose.rs` (which log, and how far), `grouping.rs` (which segments become
//! one), `offset_map.rs` (the last offset of each key, in bounded memory), `txns.rs` (what a
//! transaction leaves behind), `filter.rs` (what is left of a batch). `pass.rs` reads and writes,
//! `replace.rs` puts what was written in the place of what it came from, so that a crash leaves
//! the one or the other.

pub mod choose;
pub mod error;
pub mod filter;
pub mod grouping;
pub mod offset_map;
pub mod pass;
pub mod replace;
pub mod txns;

pub use choose::{DirtyRange, Extent};
pub use error::CleanError;
pub use pass::{CleanerBudget, Pass, Step};
pub use replace::Replacement;
