//! Assignors: who shall read which partition of a consumer group (KIP-848). Pure functions.

mod range;
#[cfg(test)]
mod tests;
mod uniform;
mod uniform_mixed;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::assignment::Assignment;
use crate::types::{PartitionIndex, TopicId};

/// The assignors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// As even as can be, and moving as little as can be.
    Uniform,
    /// Each topic cut into ranges, so that partitions of one number meet at one member.
    Range,
}

impl Assignor {
    /// By its name.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// As configured, asked for, and told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The new target of each member, in the order of the members.
    pub(super) fn assign(self, group: &GroupSpec<'_>) -> Vec<Arc<Assignment>> {
        if group.members.is_empty() {
            return Vec::new();
        }
        match self {
            Self::Range => range::assign(group),
            Self::Uniform if group.is_homogeneous => uniform::assign(group),
            Self::Uniform => uniform_mixed::assign(group),
        }
    }
}

/// A member, as assignors see it.
pub(super) struct MemberSpec<'a> {
    pub(super) id: &'a str,
    pub(super) instance_id: Option<&'a str>,
    /// The topics that it reads and that exist, sorted.
    pub(super) topics: Arc<[TopicId]>,
    /// What it was to own before.
    pub(super) target: Arc<Assignment>,
}

/// A group, as assignors see it.
pub(super) struct GroupSpec<'a> {
    pub(super) members: Vec<MemberSpec<'a>>,
    /// How many partitions each topic of a member has.
    pub(super) partitions: BTreeMap<TopicId, PartitionIndex>,
    /// All members read the same topics.
    pub(super) is_homogeneous: bool,
}

impl GroupSpec<'_> {
    fn count(&self, topic: TopicId) -> usize {
        self.partitions.get(&topic).map_or(0, |count| usize::try_from(*count).unwrap_or(0))
    }
}

/// The number of a partition from its place in a list.
fn number(index: usize) -> PartitionIndex {
    PartitionIndex::try_from(index).unwrap_or(PartitionIndex::MAX)
}
