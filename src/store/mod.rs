//! The data plane: the partitions of this broker, and whoever waits on them.
//!
//! It owns every log but the metadata log, knows roles and high watermarks, and wakes fetches and
//! produces. It refuses to know the wire: its callers are `server/api` handlers and the broker.
//!
//! Read `partition.rs` first (one partition as a monitor), then `partitions.rs` (all of them),
//! `flusher.rs` (group commit), `fetch_watch.rs` (long polls), `placement.rs` (what a new
//! metadata image changes), `log_dirs.rs` (what lies where), `log_dir_moves.rs` (from one log directory to
//! another), `startup_cleanup.rs` (what a crash left of that), `failures.rs` (a log directory that fails),
//! `topic_metrics.rs` (traffic of each topic), `log_metrics.rs` (logs and flushes), `in_parallel.rs` (work shared out to threads) and `housekeeping.rs` (what runs by
//! the clock).

pub mod cleaner;
pub mod error;
pub mod failures;
pub mod fetch_watch;
pub mod flusher;
pub mod housekeeping;
mod in_parallel;
pub mod log_dir_moves;
pub mod log_dirs;
pub mod log_metrics;
pub mod partition;
pub mod partitions;
pub mod placement;
pub mod startup_cleanup;
pub mod topic_metrics;

pub use error::StoreError;
pub use fetch_watch::{FetchWatch, FetchWatches};
pub use flusher::Flusher;
pub use log_dir_moves::Mover;
pub use log_dirs::LogDir;
pub use partition::{AcceptedAppend, Acks, Partition};
pub use partitions::Partitions;
pub use placement::Placement;
