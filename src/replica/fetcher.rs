//! A fetcher: the partitions that share the fetch requests of one follower to one leader, and the
//! plan of the next request (Kafka 4.4 `AbstractFetcherManager`,
//! `RemoteLeaderEndPoint.buildFetch`).
//!
//! A plan costs as much as there are changes: a session of thousands of idle partitions is kept by
//! empty requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fetch_session::{FetchSession, SessionVerdict};
use super::follower::FollowerPosition;
use crate::types::{ErrorCode, Mono, PartitionIndex, TopicPartition};

/// The fetcher, of `fetchers` to one leader, that a partition is bound to (Kafka 4.4
/// `AbstractFetcherManager.getFetcherId`): all requests for a partition leave in one order.
pub fn fetcher_of(topic: &str, partition: PartitionIndex, fetchers: usize) -> usize {
    // Java's `String.hashCode`.
    let hash = topic
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let key = hash.wrapping_mul(31).wrapping_add(partition);
    // `Utils.abs`: the smallest number has no absolute value.
    let key = if key == i32::MIN { 0 } else { key.unsigned_abs() };
    key as usize % fetchers.max(1)
}

/// Limits of a fetcher's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaFetcherSettings {
    /// `replica.fetch.wait.max.ms`.
    pub max_wait: Duration,
    /// `replica.fetch.min.bytes`.
    pub min_bytes: i32,
    /// `replica.fetch.response.max.bytes`.
    pub max_bytes: i32,
    /// `replica.fetch.max.bytes`.
    pub partition_max_bytes: i32,
    /// `replica.fetch.backoff.ms`.
    pub backoff: Duration,
}

/// The next fetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlan {
    /// The session id.
    pub session_id: i32,
    /// The session epoch; 0 names all partitions.
    pub session_epoch: i32,
    /// The partitions that are new or have another position than the session knows, those that
    /// returned records last at the end.
    pub send: Vec<(TopicPartition, FollowerPosition)>,
    /// The partitions that leave the session.
    pub forget: Vec<TopicPartition>,
    /// The limits.
    pub settings: ReplicaFetcherSettings,
}

/// What a driver does with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ResponseVerdict {
    /// Give each partition its answer, with the position of [`ReplicaFetcher::sent`].
    Process,
    /// Ignore its partitions, and plan the next request.
    Ignore,
}

#[derive(Clone, Copy, Debug, Default)]
struct FetchSlot {
    /// The position to fetch from; `None` while the partition waits or truncates.
    wanted: Option<FollowerPosition>,
    /// What the session knows.
    sent: Option<FollowerPosition>,
    /// The order in full requests: partitions that returned records go last, so that each gets its
    /// share of a bounded response.
    place: u64,
    /// When the partition is examined again.
    wake: Option<Mono>,
    /// Whether a throttle may hold it back.
    is_lagging: bool,
    is_removed: bool,
}

/// One fetcher. At most one request is under way.
#[derive(Debug)]
pub struct ReplicaFetcher {
    settings: ReplicaFetcherSettings,
    session: FetchSession,
    slots: BTreeMap<TopicPartition, FetchSlot>,
    order: BTreeMap<u64, TopicPartition>,
    next_place: u64,
    /// Partitions whose wanted position may not be what the session knows.
    changed: BTreeSet<TopicPartition>,
    lagging: BTreeSet<TopicPartition>,
    wakes: BTreeSet<(Mono, TopicPartition)>,
    /// How many partitions the session has.
    in_session: usize,
    is_under_way: bool,
    /// No request before this time.
    resume_at: Option<Mono>,
}

impl ReplicaFetcher {
    /// A fetcher without partitions.
    pub fn new(settings: ReplicaFetcherSettings) -> Self {
        Self {
            settings,
            session: FetchSession::new(),
            slots: BTreeMap::new(),
            order: BTreeMap::new(),
            next_place: 0,
            changed: BTreeSet::new(),
            lagging: BTreeSet::new(),
            wakes: BTreeSet::new(),
            in_session: 0,
            is_under_way: false,
            resume_at: None,
        }
    }

    /// How many partitions it has.
    pub fn len(&self) -> usize {
        self.slots.values().filter(|slot| !slot.is_removed).count()
    }

    /// Whether it has no partitions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the position that a partition fetches from, and whether the partition lags behind its
    /// leader (such a one may be throttled). A new partition is added.
    pub fn fetch_from(
        &mut self,
        partition: TopicPartition,
        at: FollowerPosition,
        is_lagging: bool,
    ) {
        self.update(partition, |slot| {
            slot.wanted = Some(at);
            slot.wake = None;
            slot.is_lagging = is_lagging;
            slot.is_removed = false;
        });
    }

    /// The partition does not fetch before `until`, or before it is given a position where that is
    /// `None`. [`ReplicaFetcher::due`] names it then.
    pub fn hold(&mut self, partition: TopicPartition, until: Option<Mono>) {
        self.update(partition, |slot| {
            slot.wanted = None;
            slot.wake = until;
            slot.is_lagging = false;
            slot.is_removed = false;
        });
    }

    /// The partition leaves the fetcher. Answers that are under way for it are not processed.
    pub fn remove(&mut self, partition: TopicPartition) {
        if self.slots.contains_key(&partition) {
            self.update(partition, |slot| {
                *slot = FetchSlot {
                    sent: slot.sent,
                    place: slot.place,
                    is_removed: true,
                    ..FetchSlot::default()
                };
            });
            self.drop_if_gone(partition);
        }
    }

    /// The partition returned records: in a full request it goes last.
    pub fn on_records(&mut self, partition: TopicPartition) {
        if let Some(slot) = self.slots.get_mut(&partition) {
            self.order.remove(&slot.place);
            slot.place = self.next_place;
            self.order.insert(slot.place, partition);
            self.next_place += 1;
        }
    }

    /// The partitions whose wait is over at `now`. Each is named once; give it a position, or hold
    /// it.
    pub fn due(&mut self, now: Mono) -> Vec<TopicPartition> {
        let mut due = Vec::new();
        while let Some((at, partition)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.wakes.remove(&(at, partition));
            if let Some(slot) = self.slots.get_mut(&partition) {
                slot.wake = None;
            }
            due.push(partition);
        }
        due
    }

    /// The next time at which there may be something to do without an answer.
    pub fn next_deadline(&self) -> Option<Mono> {
        let wake = self.wakes.first().map(|(at, _)| *at);
        match (wake, self.resume_at) {
            (Some(wake), Some(resume)) => Some(wake.min(resume)),
            (wake, resume) => wake.or(resume),
        }
    }

    /// The position that the session has for a partition: what an answer answers. `None` when no
    /// answer is expected.
    pub fn sent(&self, partition: TopicPartition) -> Option<FollowerPosition> {
        self.slots.get(&partition).filter(|slot| !slot.is_removed).and_then(|slot| slot.sent)
    }

    /// The next request; `None` while one is under way, during a back-off, and with nothing to
    /// fetch. `is_held_back` states whether the quota holds a lagging partition back; such a
    /// partition leaves the session until the quota allows it again.
    pub fn plan(
        &mut self,
        now: Mono,
        is_held_back: impl Fn(TopicPartition) -> bool,
    ) -> Option<FetchPlan> {
        if self.is_under_way || self.resume_at.is_some_and(|at| at > now) {
            return None;
        }
        self.resume_at = None;
        if self.session.is_full() {
            self.forget_session();
        }
        let mut examined = std::mem::take(&mut self.changed);
        examined.extend(self.lagging.iter().copied());
        let mut send = Vec::new();
        let mut forget = Vec::new();
        for partition in examined {
            let Some(slot) = self.slots.get_mut(&partition) else { continue };
            let allowed = slot.wanted.filter(|_| !(slot.is_lagging && is_held_back(partition)));
            match (slot.sent, allowed) {
                (sent, Some(at)) if sent != Some(at) => {
                    self.in_session += usize::from(sent.is_none());
                    send.push((slot.place, partition, at));
                }
                (Some(_), None) => {
                    self.in_session -= 1;
                    forget.push(partition);
                }
                _ => {}
            }
            slot.sent = allowed;
            self.drop_if_gone(partition);
        }
        if self.in_session == 0 && forget.is_empty() {
            return None;
        }
        send.sort_unstable_by_key(|(place, ..)| *place);
        self.is_under_way = true;
        Some(FetchPlan {
            session_id: self.session.id(),
            session_epoch: self.session.epoch(),
            send: send.into_iter().map(|(_, partition, at)| (partition, at)).collect(),
            forget,
            settings: self.settings,
        })
    }

    /// A response arrived: its session id or top-level error, and the partitions in it. A full
    /// request is answered with all of its partitions, an incremental one with some of the
    /// session's.
    ///
    /// A leader that throttles answers a full request without partitions: the request is repeated
    /// after `throttle`.
    pub fn on_response(
        &mut self,
        now: Mono,
        answer: Result<i32, ErrorCode>,
        partitions: &[TopicPartition],
        throttle: Duration,
    ) -> ResponseVerdict {
        assert!(self.is_under_way, "a response answers the request that is under way");
        self.is_under_way = false;
        let is_full = self.session.is_full();
        let fits =
            partitions.iter().all(|it| self.slots.get(it).is_some_and(|slot| slot.sent.is_some()))
                && (!is_full || partitions.len() == self.in_session);
        match self.session.on_response(answer, fits) {
            SessionVerdict::Process => ResponseVerdict::Process,
            SessionVerdict::Resend => ResponseVerdict::Ignore,
            SessionVerdict::BackOff => {
                let is_throttled = answer.is_ok() && partitions.is_empty() && !throttle.is_zero();
                let pause = if is_throttled { throttle } else { self.settings.backoff };
                self.resume_at = Some(now + pause);
                ResponseVerdict::Ignore
            }
        }
    }

    /// The request could not be sent, or its answer did not arrive.
    pub fn on_no_answer(&mut self, now: Mono) {
        assert!(self.is_under_way, "only a request that is under way can fail");
        self.is_under_way = false;
        self.session.restart();
        self.resume_at = Some(now + self.settings.backoff);
    }

    fn update(&mut self, partition: TopicPartition, change: impl FnOnce(&mut FetchSlot)) {
        let slot = self.slots.entry(partition).or_insert_with(|| {
            let place = self.next_place;
            self.next_place += 1;
            self.order.insert(place, partition);
            FetchSlot { place, ..FetchSlot::default() }
        });
        if let Some(at) = slot.wake {
            self.wakes.remove(&(at, partition));
        }
        change(slot);
        if let Some(at) = slot.wake {
            self.wakes.insert((at, partition));
        }
        if slot.wanted == slot.sent {
            self.changed.remove(&partition);
        } else {
            self.changed.insert(partition);
        }
        if slot.is_lagging {
            self.lagging.insert(partition);
        } else {
            self.lagging.remove(&partition);
        }
    }

    /// The leader has no session: the next request names every partition.
    fn forget_session(&mut self) {
        self.in_session = 0;
        let all: Vec<_> = self.slots.keys().copied().collect();
        for partition in all {
            if let Some(slot) = self.slots.get_mut(&partition) {
                slot.sent = None;
                if slot.wanted.is_some() {
                    self.changed.insert(partition);
                }
            }
            self.drop_if_gone(partition);
        }
    }

    /// Drops a removed partition once the session does not have it any more.
    fn drop_if_gone(&mut self, partition: TopicPartition) {
        if let Some(slot) = self.slots.get(&partition)
            && slot.is_removed
            && slot.sent.is_none()
        {
            self.order.remove(&slot.place);
            self.slots.remove(&partition);
            self.changed.remove(&partition);
        }
    }
}
