//! What a leader knows about another replica, from that replica's fetches and from the metadata
//! image (Kafka 4.4 `Replica`, `ReplicaState`).

use std::time::Duration;

use super::faults::PlantedFault;
use super::follower_fetch::AcceptedFetch;
use super::isr::BrokerStatus;
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, Mono, Offset};

/// What the leader knows about one other replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteReplica {
    pub(super) id: BrokerId,
    /// Its broker; `None` when that is not registered.
    pub(super) broker: Option<BrokerStatus>,
    /// What its last accepted fetch stated; `None` before the first one in this leader epoch.
    pub(super) fetched: Option<LastFetch>,
    /// The latest time at which it is known to have had everything that the leader had.
    pub(super) caught_up: Option<Mono>,
    /// Whether `caught_up` is within `replica.lag.time.max.ms`, at the last event with a time.
    pub(super) is_recent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastFetch {
    /// The follower's log end.
    pub(super) end: Offset,
    /// The follower's log start.
    pub(super) start: Offset,
    pub(super) at: Mono,
    /// The leader's log end at that time.
    pub(super) leader_end: Offset,
    /// Whether it has deleted what the leader has deleted.
    pub(super) follows_log_start: bool,
    pub(super) broker_epoch: BrokerEpoch,
}

impl RemoteReplica {
    /// A replica that has not fetched in this epoch. Members of the ISR count as caught up now, so
    /// that a new leader does not expel them at once.
    pub(super) fn new(
        now: Mono,
        id: BrokerId,
        broker: Option<BrokerStatus>,
        is_in_sync: bool,
    ) -> Self {
        let caught_up = is_in_sync.then_some(now);
        Self { id, broker, fetched: None, caught_up, is_recent: is_in_sync }
    }

    /// The log end, as far as it is known in this epoch.
    pub(super) fn end(&self) -> Option<Offset> {
        self.fetched.map(|fetched| fetched.end)
    }

    /// Whether it may join the ISR, as far as its broker is concerned.
    pub(super) fn is_eligible(&self) -> bool {
        match (self.broker, self.fetched) {
            (Some(broker), Some(fetched)) => {
                broker.may_join(fetched.broker_epoch) || PlantedFault::StaleBrokerEpoch.is_planted()
            }
            _ => false,
        }
    }

    /// Kafka 4.4 `Replica.updateFetchStateOrThrow`: a fetch at the leader's end is caught up now;
    /// one at the end that the leader had at the fetch before was caught up then. So a follower of
    /// a busy log is in sync though it never meets the end.
    pub(super) fn record(&mut self, now: Mono, fetch: &AcceptedFetch) {
        let caught_up = if fetch.offset >= fetch.leader_end {
            Some(now)
        } else {
            self.fetched.filter(|before| fetch.offset >= before.leader_end).map(|before| before.at)
        };
        self.caught_up = self.caught_up.max(caught_up);
        let leader_end = self.fetched.map_or(0, |before| before.leader_end).max(fetch.leader_end);
        self.fetched = Some(LastFetch {
            end: fetch.offset,
            start: fetch.log_start,
            at: now,
            leader_end,
            follows_log_start: fetch.log_start >= fetch.leader_start,
            broker_epoch: fetch.broker_epoch,
        });
    }

    pub(super) fn refresh(&mut self, now: Mono, lag_time_max: Duration) {
        self.is_recent = self.caught_up.is_some_and(|at| now.since(at) <= lag_time_max);
    }
}
