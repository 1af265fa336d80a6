//! Deadlines of a shard, by what they are for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::types::Mono;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A member of a group may be silent for too long.
    Session(Arc<str>, Arc<str>),
    /// A member that was given an id has not come back.
    PendingJoin(Arc<str>, Arc<str>),
    /// The members of a group had time enough to join.
    Join(Arc<str>),
    /// The members of a group had time enough to sync.
    Sync(Arc<str>),
    /// A member of a consumer group had time enough to give up partitions.
    Revocation(Arc<str>, Arc<str>),
    /// A classic member of a consumer group had time enough to join again.
    MemberJoin(Arc<str>, Arc<str>),
    /// A classic member of a consumer group had time enough to sync.
    MemberSync(Arc<str>, Arc<str>),
    /// Offsets that nobody needs are looked for.
    Expiry,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    at: BTreeMap<Due, Mono>,
    order: BTreeSet<(Mono, Due)>,
}

impl Timers {
    pub(super) fn set(&mut self, due: Due, at: Mono) {
        if let Some(old) = self.at.insert(due.clone(), at) {
            self.order.remove(&(old, due.clone()));
        }
        self.order.insert((at, due));
    }

    pub(super) fn set_if_absent(&mut self, due: Due, at: Mono) {
        if !self.at.contains_key(&due) {
            self.set(due, at);
        }
    }

    pub(super) fn cancel(&mut self, due: &Due) {
        if let Some(old) = self.at.remove(due) {
            self.order.remove(&(old, due.clone()));
        }
    }

    pub(super) fn next(&self) -> Option<Mono> {
        self.order.first().map(|(at, _)| *at)
    }

    pub(super) fn take_due(&mut self, now: Mono) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        let (_, due) = self.order.pop_first()?;
        self.at.remove(&due);
        Some(due)
    }
}
