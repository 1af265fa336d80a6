//! Requests in flight and peers to leave alone for a while (Kafka 4.4 `RequestManager`).
//!
//! One request a peer and channel. Membership calls and probes have channels of their own, so that a
//! fetch that waits at the leader does not hold them back, nor a dead address the probe of a new one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::contract::{PeerId, RequestId};
use crate::types::{LeaderEpoch, Mono};

/// Requests of one channel wait for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    Replication,
    Membership,
    Probe,
}

/// What a request in flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Vote { epoch: LeaderEpoch, pre_vote: bool },
    BeginQuorumEpoch,
    EndQuorumEpoch,
    Fetch,
    FetchSnapshot,
    Membership,
    Probe,
}

#[derive(Clone, Debug)]
struct Flight {
    id: RequestId,
    purpose: Purpose,
    expires: Mono,
}

#[derive(Clone, Debug)]
pub(super) struct Peers {
    request_timeout: Duration,
    retry_backoff: Duration,
    last_id: u64,
    flights: BTreeMap<(PeerId, Channel), Flight>,
    backoffs: BTreeMap<(PeerId, Channel), Mono>,
}

impl Purpose {
    fn channel(self) -> Channel {
        match self {
            Self::Vote { .. }
            | Self::BeginQuorumEpoch
            | Self::EndQuorumEpoch
            | Self::Fetch
            | Self::FetchSnapshot => Channel::Replication,
            Self::Membership => Channel::Membership,
            Self::Probe => Channel::Probe,
        }
    }
}

impl Peers {
    pub(super) fn new(request_timeout: Duration, retry_backoff: Duration) -> Self {
        let (flights, backoffs) = (BTreeMap::new(), BTreeMap::new());
        Self { request_timeout, retry_backoff, last_id: 0, flights, backoffs }
    }

    /// When a request can be sent; `None` if now.
    pub(super) fn busy_until(&self, now: Mono, peer: PeerId, channel: Channel) -> Option<Mono> {
        let flight = self.flights.get(&(peer, channel)).map(|flight| flight.expires);
        flight.or_else(|| self.backoffs.get(&(peer, channel)).copied()).filter(|until| *until > now)
    }

    /// Whether the peer is left alone after a failure.
    pub(super) fn is_backing_off(&self, now: Mono, peer: PeerId, channel: Channel) -> bool {
        self.backoffs.get(&(peer, channel)).is_some_and(|until| *until > now)
    }

    /// Whether the peer has not answered in time. A late answer still counts until the next request.
    pub(super) fn has_timed_out(&self, now: Mono, peer: PeerId, channel: Channel) -> bool {
        self.flights.get(&(peer, channel)).is_some_and(|flight| flight.expires <= now)
    }

    /// When the last fetch in flight, to any peer, expires; `None` if there is none.
    pub(super) fn fetching_until(&self, now: Mono) -> Option<Mono> {
        let fetches = self.flights.values().filter(|flight| {
            matches!(flight.purpose, Purpose::Fetch | Purpose::FetchSnapshot)
                && flight.expires > now
        });
        fetches.map(|flight| flight.expires).max()
    }

    /// Notes a request that is being sent.
    pub(super) fn send(&mut self, now: Mono, peer: PeerId, purpose: Purpose) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        let slot = (peer, purpose.channel());
        self.backoffs.remove(&slot);
        let flight = Flight { id, purpose, expires: now + self.request_timeout };
        let replaced = self.flights.insert(slot, flight);
        assert!(replaced.is_none_or(|old| old.expires <= now), "two requests to {slot:?} at once");
        id
    }

    /// Takes a request out of flight; `None` if its answer is not expected any more.
    pub(super) fn complete(&mut self, id: RequestId) -> Option<(PeerId, Purpose)> {
        let (slot, purpose) = self
            .flights
            .iter()
            .find(|(_, flight)| flight.id == id)
            .map(|(slot, flight)| (*slot, flight.purpose))?;
        self.flights.remove(&slot);
        Some((slot.0, purpose))
    }

    /// Leaves a peer alone for the retry back-off.
    pub(super) fn back_off(&mut self, now: Mono, peer: PeerId, purpose: Purpose) {
        self.backoffs.insert((peer, purpose.channel()), now + self.retry_backoff);
    }

    /// Forgets what is known of a peer: its request has timed out, or it has another address.
    pub(super) fn forget(&mut self, peer: PeerId, channel: Channel) {
        self.flights.remove(&(peer, channel));
        self.backoffs.remove(&(peer, channel));
    }

    /// Forgets everything: a new role expects none of the answers to the old one.
    pub(super) fn reset(&mut self) {
        self.flights.clear();
        self.backoffs.clear();
    }
}
