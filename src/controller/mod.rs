//! Decides the cluster's next metadata records.

pub mod features;
