//! Decides the cluster's next metadata records.

pub mod command;
pub mod placement;
pub mod topic_names;
