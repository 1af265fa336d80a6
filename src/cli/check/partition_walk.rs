//! What is known of a partition while its segments are checked.

use super::aborted::OpenTxns;
use crate::log::epochs::Epochs;
use crate::types::Offset;

/// What is known of one partition before its files are read.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// What lies behind it may be torn, or not be indexed yet.
    pub(super) trusted_to: Offset,
    pub(super) log_start_offset: Offset,
}

/// What is known of a log from its segments so far.
pub(super) struct PartitionWalk {
    pub(super) known: Known,
    /// As `leader-epoch-checkpoint` has them; nothing where that is missing or damaged.
    pub(super) epochs: Option<Epochs>,
    /// The offset behind the last batch.
    pub(super) end: Offset,
    /// Offsets are missing: of records that were compacted, or deleted from the front.
    pub(super) has_gaps: bool,
    /// A bad batch was met: what is behind it is not known.
    pub(super) is_broken: bool,
    /// Some batch has a leader epoch.
    pub(super) has_epochs: bool,
    pub(super) txns: OpenTxns,
}
