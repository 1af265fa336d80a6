//! Fetch sessions (KIP-227): a consumer names its partitions once, then only what changes.
//!
//! Pure: time and random session ids are given. A fetch is two calls: [`FetchSessions::begin`]
//! resolves a request into the partitions to read, and [`FetchSessions::finish`] takes what was
//! read, remembers it, and says which partitions the response must carry.
//! Source: Kafka 4.4 `FetchManager`, `FetchContext`, `FetchSessionCacheShard`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::types::{ErrorCode, LeaderEpoch, Mono, Offset, PartitionIndex, TopicId};

/// The session id of a fetch without a session.
pub const NO_SESSION: i32 = 0;
/// The epoch that asks for a new session.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch that asks for no session, and closes the one named.
pub const FINAL_EPOCH: i32 = -1;

/// A session unused for this long gives way to any new one (Kafka 4.4
/// `KafkaBroker.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const STALE_AFTER: Duration = Duration::from_mins(2);

/// How a request names a topic: by id since version 13, by name before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicKey {
    /// Versions below 13.
    Name(Arc<str>),
    /// Versions from 13.
    Id(TopicId),
}

/// What a fetch asks of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedPartition {
    /// The topic, as the request names it.
    pub topic: TopicKey,
    /// The partition.
    pub partition: PartitionIndex,
    /// First offset to read.
    pub fetch_offset: Offset,
    /// The most bytes to return of it.
    pub max_bytes: i32,
    /// The epoch the client believes in, -1 for none.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the record before `fetch_offset`, -1 for none.
    pub last_fetched_epoch: LeaderEpoch,
    /// A follower's log start offset, -1 from a consumer.
    pub fetcher_log_start_offset: Offset,
}

/// The part of an answer for one partition that a session remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The high watermark in the answer, -1 for none.
    pub high_watermark: Offset,
    /// The log start offset in the answer, -1 for none.
    pub log_start_offset: Offset,
    /// Whether records are returned.
    pub has_records: bool,
    /// Whether it carries an error, a diverging epoch or a preferred replica: always sent.
    pub is_notable: bool,
    /// Whether it carries an error.
    pub is_error: bool,
}

/// What a request asks of its session.
pub struct SessionRequest {
    /// The session; [`NO_SESSION`] for none.
    pub id: i32,
    /// The epoch of the session.
    pub epoch: i32,
    /// Topics are named by their ids.
    pub uses_topic_ids: bool,
    /// Another broker asks.
    pub is_follower: bool,
    /// Partitions that are new, or asked for otherwise than before.
    pub wanted: Vec<RequestedPartition>,
    /// Partitions that are no longer asked for.
    pub forgotten: Vec<SessionPartition>,
}

/// A fetch that has begun. Hand it back to [`FetchSessions::finish`].
#[derive(Debug)]
pub struct SessionFetch {
    kind: SessionKind,
    uses_topic_ids: bool,
    is_follower: bool,
}

#[derive(Debug)]
enum SessionKind {
    Sessionless,
    Full,
    Incremental { session: i32, epoch: i32 },
}

#[derive(Debug)]
struct SessionSlot {
    wanted: RequestedPartition,
    high_watermark: Offset,
    log_start_offset: Offset,
    /// Its place in the order of reading; partitions that returned records go last, so that
    /// each gets its share of a response that is bounded in bytes.
    place: u64,
}

type SessionPartition = (TopicKey, PartitionIndex);

#[derive(Debug)]
struct CachedSession {
    slots: IndexMap<SessionPartition, SessionSlot>,
    order: BTreeMap<u64, SessionPartition>,
    next_place: u64,
    uses_topic_ids: bool,
    is_follower: bool,
    created: Mono,
    last_used: Mono,
    /// The epoch that the next request must carry.
    epoch: i32,
}

/// The sessions of one broker, bounded in number. Callers hold one lock around it.
#[derive(Debug)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, CachedSession>,
    by_last_use: BTreeSet<(Mono, i32)>,
    max_sessions: usize,
    /// Sessions that gave way to others.
    evictions: u64,
}

/// The epoch after `epoch`; wraps past the values with a meaning of their own.
fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        FINAL_EPOCH => FINAL_EPOCH,
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

impl CachedSession {
    fn upsert(&mut self, wanted: RequestedPartition) {
        let key = (wanted.topic.clone(), wanted.partition);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.wanted = wanted;
            return;
        }
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, key.clone());
        self.slots
            .insert(key, SessionSlot { wanted, high_watermark: -1, log_start_offset: -1, place });
    }

    fn forget(&mut self, key: &SessionPartition) {
        if let Some(slot) = self.slots.swap_remove(key) {
            self.order.remove(&slot.place);
        }
    }

    fn wanted(&self) -> Vec<RequestedPartition> {
        self.order
            .values()
            .filter_map(|key| self.slots.get(key))
            .map(|slot| slot.wanted.clone())
            .collect()
    }

    /// Remembers `answered`; whether the response must carry it.
    fn answer(&mut self, key: &SessionPartition, answered: Answered) -> bool {
        let Some(slot) = self.slots.get_mut(key) else { return false };
        let changed = slot.high_watermark != answered.high_watermark
            || slot.log_start_offset != answered.log_start_offset;
        slot.log_start_offset = answered.log_start_offset;
        // An error forgets the high watermark, so that the partition is sent once it is over.
        slot.high_watermark = if answered.is_error { -1 } else { answered.high_watermark };
        if answered.has_records {
            self.order.remove(&slot.place);
            slot.place = self.next_place;
            self.order.insert(slot.place, key.clone());
            self.next_place += 1;
        }
        changed || answered.has_records || answered.is_notable || answered.is_error
    }
}

impl FetchSessions {
    /// At most `max_sessions` (`max.incremental.fetch.session.cache.slots`) at once.
    pub fn new(max_sessions: usize) -> Self {
        Self { sessions: BTreeMap::new(), by_last_use: BTreeSet::new(), max_sessions, evictions: 0 }
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How many sessions were evicted to make room for others.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// How many partitions all sessions have.
    pub fn partitions(&self) -> usize {
        self.sessions.values().map(|session| session.slots.len()).sum()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    fn remove(&mut self, id: i32) -> Option<CachedSession> {
        let session = self.sessions.remove(&id)?;
        self.by_last_use.remove(&(session.last_used, id));
        Some(session)
    }

    fn evict(&mut self, id: i32) -> bool {
        let is_evicted = self.remove(id).is_some();
        self.evictions += u64::from(is_evicted);
        is_evicted
    }

    fn touch(&mut self, id: i32, now: Mono) {
        if let Some(session) = self.sessions.get_mut(&id) {
            self.by_last_use.remove(&(session.last_used, id));
            session.last_used = now;
            self.by_last_use.insert((now, id));
        }
    }

    /// Resolves a request into the partitions to read, in the order in which to read them.
    ///
    /// Errors: `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH`,
    /// `FETCH_SESSION_TOPIC_ID_ERROR` (the version changed sides of 13 within a session).
    pub fn begin(
        &mut self,
        now: Mono,
        asked: SessionRequest,
    ) -> Result<(SessionFetch, Vec<RequestedPartition>), ErrorCode> {
        let SessionRequest { id, epoch, uses_topic_ids, is_follower, wanted, forgotten } = asked;
        let begun = |kind| SessionFetch { kind, uses_topic_ids, is_follower };
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if id != NO_SESSION {
                self.remove(id);
            }
            let kind =
                if epoch == FINAL_EPOCH { SessionKind::Sessionless } else { SessionKind::Full };
            return Ok((begun(kind), wanted));
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        for each in &wanted {
            session.upsert(each.clone());
        }
        for key in &forgotten {
            session.forget(key);
        }
        if session.slots.is_empty() {
            self.remove(id);
            return Ok((begun(SessionKind::Sessionless), wanted));
        }
        session.epoch = next_epoch(epoch);
        let (epoch, all) = (session.epoch, session.wanted());
        self.touch(id, now);
        Ok((begun(SessionKind::Incremental { session: id, epoch }), all))
    }

    /// Ends a fetch: `answers` are what was read of the partitions that `begin` gave, in that
    /// order. Returns the session id of the response and, for each answer, whether to send it.
    ///
    /// `new_id` draws a random positive id, for when a session is opened.
    /// Errors: `INVALID_FETCH_SESSION_EPOCH` when another request of the session came between.
    pub fn finish(
        &mut self,
        now: Mono,
        begun: SessionFetch,
        answers: Vec<(RequestedPartition, Answered)>,
        mut new_id: impl FnMut() -> i32,
    ) -> Result<(i32, Vec<bool>), ErrorCode> {
        match begun.kind {
            SessionKind::Sessionless => Ok((NO_SESSION, vec![true; answers.len()])),
            SessionKind::Full => {
                let everything = vec![true; answers.len()];
                if !self.make_room(now, begun.is_follower, answers.len()) {
                    return Ok((NO_SESSION, everything));
                }
                let id = loop {
                    let id = new_id();
                    if id > NO_SESSION && !self.sessions.contains_key(&id) {
                        break id;
                    }
                };
                let mut session = CachedSession {
                    slots: IndexMap::with_capacity(answers.len()),
                    order: BTreeMap::new(),
                    next_place: 0,
                    uses_topic_ids: begun.uses_topic_ids,
                    is_follower: begun.is_follower,
                    created: now,
                    last_used: now,
                    epoch: next_epoch(INITIAL_EPOCH),
                };
                for (wanted, answered) in answers {
                    let key = (wanted.topic.clone(), wanted.partition);
                    session.upsert(wanted);
                    if let Some(slot) = session.slots.get_mut(&key) {
                        slot.high_watermark = answered.high_watermark;
                        slot.log_start_offset = answered.log_start_offset;
                    }
                }
                self.sessions.insert(id, session);
                self.by_last_use.insert((now, id));
                Ok((id, everything))
            }
            SessionKind::Incremental { session: id, epoch } => {
                let session = self
                    .sessions
                    .get_mut(&id)
                    .filter(|session| session.epoch == epoch)
                    .ok_or(ErrorCode::InvalidFetchSessionEpoch)?;
                let send = answers
                    .into_iter()
                    .map(|(wanted, answered)| {
                        session.answer(&(wanted.topic, wanted.partition), answered)
                    })
                    .collect();
                Ok((id, send))
            }
        }
    }

    /// Whether a new session of `size` partitions fits, after evicting one if the rules allow:
    /// a stale one first, else the least valuable if the new one is worth more. Followers are
    /// worth more than consumers, large sessions more than small ones.
    fn make_room(&mut self, now: Mono, is_follower: bool, size: usize) -> bool {
        if self.sessions.len() < self.max_sessions {
            return true;
        }
        let Some(&(last_used, oldest)) = self.by_last_use.first() else { return false };
        if now.since(last_used) > STALE_AFTER {
            return self.evict(oldest);
        }
        let victim = self
            .sessions
            .iter()
            // A session is safe from its like for a while after it was opened.
            .filter(|(_, session)| {
                now.since(session.created) > STALE_AFTER || (is_follower && !session.is_follower)
            })
            .map(|(id, session)| ((session.is_follower, session.slots.len()), *id))
            .min();
        match victim {
            Some((worth, id)) if (is_follower, size) >= worth => self.evict(id),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(partition: PartitionIndex, fetch_offset: Offset) -> RequestedPartition {
        RequestedPartition {
            topic: TopicKey::Name("t".into()),
            partition,
            fetch_offset,
            max_bytes: 1024,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            fetcher_log_start_offset: -1,
        }
    }

    fn quiet(high_watermark: Offset) -> Answered {
        Answered {
            high_watermark,
            log_start_offset: 0,
            has_records: false,
            is_notable: false,
            is_error: false,
        }
    }

    /// Nothing more of a session.
    fn asked(id: i32, epoch: i32) -> SessionRequest {
        SessionRequest {
            id,
            epoch,
            uses_topic_ids: false,
            is_follower: false,
            wanted: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    fn begin(
        sessions: &mut FetchSessions,
        id: i32,
        epoch: i32,
        partitions: Vec<RequestedPartition>,
    ) -> Result<(SessionFetch, Vec<RequestedPartition>), ErrorCode> {
        sessions.begin(Mono(0), SessionRequest { wanted: partitions, ..asked(id, epoch) })
    }

    /// A session 7 with partitions 0 to `count`, all answered with high watermark 5.
    fn open(sessions: &mut FetchSessions, count: i32) -> i32 {
        let all: Vec<_> = (0..count).map(|partition| wanted(partition, 0)).collect();
        let (begun, all) = begin(sessions, NO_SESSION, INITIAL_EPOCH, all).unwrap();
        let answers = all.into_iter().map(|wanted| (wanted, quiet(5))).collect();
        sessions.finish(Mono(0), begun, answers, || 7).unwrap().0
    }

    #[test]
    fn an_incremental_fetch_reads_all_partitions_and_returns_only_what_changed() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, 3);
        let (begun, all) = begin(&mut sessions, id, 1, vec![wanted(1, 9)]).unwrap();
        assert_eq!(all.iter().map(|w| w.fetch_offset).collect::<Vec<_>>(), [0, 9, 0]);
        let answers = vec![
            (all[0].clone(), quiet(5)),
            (all[1].clone(), quiet(6)),
            (all[2].clone(), Answered { is_error: true, ..quiet(5) }),
        ];
        let (again, send) = sessions.finish(Mono(0), begun, answers, || 0).unwrap();
        assert_eq!((again, send), (id, vec![false, true, true]));
    }

    #[test]
    fn a_partition_is_sent_again_once_its_error_is_over() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, 1);
        for (epoch, answer, sent) in [
            (1, Answered { is_error: true, ..quiet(5) }, true),
            (2, quiet(5), true),
            (3, quiet(5), false),
        ] {
            let (begun, all) = begin(&mut sessions, id, epoch, vec![]).unwrap();
            let done = sessions.finish(Mono(0), begun, vec![(all[0].clone(), answer)], || 0);
            assert_eq!(done.unwrap().1, [sent], "at epoch {epoch}");
        }
    }

    #[test]
    fn a_partition_that_returned_records_is_read_last_the_next_time() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, 3);
        let (begun, all) = begin(&mut sessions, id, 1, vec![]).unwrap();
        let answers = all
            .into_iter()
            .map(|w| {
                let has_records = w.partition == 0;
                (w, Answered { has_records, ..quiet(5) })
            })
            .collect();
        sessions.finish(Mono(0), begun, answers, || 0).unwrap();
        let (_, all) = begin(&mut sessions, id, 2, vec![]).unwrap();
        assert_eq!(all.iter().map(|w| w.partition).collect::<Vec<_>>(), [1, 2, 0]);
    }

    #[test]
    fn a_wrong_epoch_an_unknown_session_and_a_change_of_naming_are_told_apart() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, 1);
        let error = |result: Result<(SessionFetch, Vec<RequestedPartition>), ErrorCode>| {
            result.unwrap_err()
        };
        assert_eq!(error(begin(&mut sessions, id, 2, vec![])), ErrorCode::InvalidFetchSessionEpoch);
        assert_eq!(
            error(begin(&mut sessions, id + 1, 1, vec![])),
            ErrorCode::FetchSessionIdNotFound
        );
        assert_eq!(
            error(sessions.begin(Mono(0), SessionRequest { uses_topic_ids: true, ..asked(id, 1) })),
            ErrorCode::FetchSessionTopicIdError
        );
    }

    #[test]
    fn forgetting_the_last_partition_closes_the_session() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, 1);
        let forgotten = vec![(TopicKey::Name("t".into()), 0)];
        let (begun, all) =
            sessions.begin(Mono(0), SessionRequest { forgotten, ..asked(id, 1) }).unwrap();
        assert!(all.is_empty() && sessions.is_empty());
        assert_eq!(sessions.finish(Mono(0), begun, vec![], || 1).unwrap().0, NO_SESSION);
    }

    #[test]
    fn a_request_that_overtook_another_of_its_session_is_refused_at_its_end() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, 1);
        let (first, _) = begin(&mut sessions, id, 1, vec![]).unwrap();
        begin(&mut sessions, id, 2, vec![]).unwrap();
        assert_eq!(
            sessions.finish(Mono(0), first, vec![], || 0).unwrap_err(),
            ErrorCode::InvalidFetchSessionEpoch
        );
    }

    #[test]
    fn a_full_cache_opens_no_session_until_one_is_stale() {
        let mut sessions = FetchSessions::new(1);
        open(&mut sessions, 1);
        let try_open = |sessions: &mut FetchSessions, now: Mono, new_id: i32| {
            let (begun, all) = sessions
                .begin(
                    now,
                    SessionRequest {
                        wanted: vec![wanted(0, 0)],
                        ..asked(NO_SESSION, INITIAL_EPOCH)
                    },
                )
                .unwrap();
            let answers = all.into_iter().map(|w| (w, quiet(0))).collect();
            sessions.finish(now, begun, answers, || new_id).unwrap().0
        };
        assert_eq!(try_open(&mut sessions, Mono(0) + STALE_AFTER, 8), NO_SESSION);
        let later = Mono(1) + STALE_AFTER;
        assert_eq!(sessions.evictions(), 0);
        assert_eq!(try_open(&mut sessions, later, 9), 9);
        assert_eq!((sessions.len(), sessions.evictions()), (1, 1));
    }
}
