//! Drives the machines: owns their state, does their I/O, waits, and answers.
//!
//! The control plane has three parts: `quorum.rs` owns the metadata log and emits what is
//! committed; `metadata_feed.rs` makes images of it and hands them to publishers; `controller.rs`
//! decides commands while this node leads the quorum. `control_plane.rs` starts and stops them
//! together.
//!
//! `coordinators` runs the coordinators of an internal topic on the partitions that store it;
//! `transactions.rs` writes the markers that transaction coordinators ask for; `producer_ids.rs`
//! and `partition_reports.rs` are clients of the controller on behalf of this broker.

pub mod control_plane;
pub mod controller;
pub mod coordinators;
pub mod metadata_feed;
pub mod partition_reports;
pub mod producer_ids;
pub mod quorum;
pub mod shutdown;
pub mod transactions;

pub use control_plane::ControlPlane;
pub use controller::ControllerClient;
pub use coordinators::Coordinators;
pub use metadata_feed::{MetadataFeed, Publisher};
pub use quorum::QuorumClient;
pub use shutdown::ShutdownSignal;
