//! Decides the cluster's next metadata records.

pub use crate::metadata::features;
