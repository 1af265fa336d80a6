//! The plans of a fetcher.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::*;
use super::BACKOFF;
use super::simulation::Rng;
use crate::types::{ErrorCode, Mono, Offset, PartitionIndex, TopicId, TopicPartition};

const NOW: Mono = Mono(1_000_000_000);
const NONE: Duration = Duration::ZERO;

fn partition(partition: PartitionIndex) -> TopicPartition {
    TopicPartition { topic: TopicId::ZERO, partition }
}

fn position(offset: Offset) -> FollowerPosition {
    FollowerPosition { leader_epoch: 1, offset, last_fetched_epoch: 1, log_start: 0 }
}

fn fetcher(partitions: PartitionIndex) -> ReplicaFetcher {
    let mut fetcher = ReplicaFetcher::new(ReplicaFetcherSettings {
        max_wait: Duration::from_millis(500),
        min_bytes: 1,
        max_bytes: 10 << 20,
        partition_max_bytes: 1 << 20,
        backoff: BACKOFF,
    });
    for index in 0..partitions {
        fetcher.fetch_from(partition(index), position(0), true);
    }
    fetcher
}

/// Session id, session epoch, partitions to fetch with their offsets, partitions to forget.
type Short = (i32, i32, Vec<(PartitionIndex, Offset)>, Vec<PartitionIndex>);

fn plan_with(
    fetcher: &mut ReplicaFetcher,
    now: Mono,
    is_held_back: impl Fn(TopicPartition) -> bool,
) -> Option<Short> {
    let plan = fetcher.plan(now, is_held_back)?;
    let send = plan.send.iter().map(|(id, at)| (id.partition, at.offset)).collect();
    let forget = plan.forget.iter().map(|id| id.partition).collect();
    Some((plan.session_id, plan.session_epoch, send, forget))
}

fn plan(fetcher: &mut ReplicaFetcher) -> Option<Short> {
    plan_with(fetcher, NOW, |_| false)
}

fn answer(fetcher: &mut ReplicaFetcher, partitions: &[PartitionIndex]) -> ResponseVerdict {
    let partitions: Vec<_> = partitions.iter().copied().map(partition).collect();
    fetcher.on_response(NOW, Ok(9), &partitions, NONE)
}

#[test]
fn a_session_names_all_partitions_once_and_then_what_changes() {
    let mut fetcher = fetcher(3);
    assert_eq!(plan(&mut fetcher), Some((0, 0, vec![(0, 0), (1, 0), (2, 0)], vec![])));
    assert_eq!(plan(&mut fetcher), None, "one request is under way");
    assert_eq!(answer(&mut fetcher, &[0, 1, 2]), ResponseVerdict::Process);
    assert_eq!(plan(&mut fetcher), Some((9, 1, vec![], vec![])), "an empty request waits for all");
    assert_eq!(answer(&mut fetcher, &[1]), ResponseVerdict::Process);
    assert_eq!(fetcher.sent(partition(1)), Some(position(0)));
    fetcher.fetch_from(partition(1), position(8), false);
    fetcher.remove(partition(0));
    assert_eq!((fetcher.len(), fetcher.sent(partition(0))), (2, None));
    assert_eq!(plan(&mut fetcher), Some((9, 2, vec![(1, 8)], vec![0])));
}

#[test]
fn a_partition_that_waits_leaves_the_session_until_its_time() {
    let mut fetcher = fetcher(2);
    plan(&mut fetcher);
    let _ = answer(&mut fetcher, &[0, 1]);
    fetcher.hold(partition(0), Some(NOW + BACKOFF));
    assert_eq!(fetcher.next_deadline(), Some(NOW + BACKOFF));
    assert_eq!(plan(&mut fetcher), Some((9, 1, vec![], vec![0])));
    let _ = answer(&mut fetcher, &[]);
    assert!(fetcher.due(NOW).is_empty());
    assert_eq!(fetcher.due(NOW + BACKOFF), [partition(0)]);
    assert!(fetcher.due(NOW + BACKOFF).is_empty(), "each is named once");
    fetcher.fetch_from(partition(0), position(3), false);
    assert_eq!(plan(&mut fetcher), Some((9, 2, vec![(0, 3)], vec![])));
}

#[test]
fn a_fetcher_without_ready_partitions_sends_nothing() {
    let mut fetcher = fetcher(1);
    fetcher.hold(partition(0), None);
    assert_eq!(plan(&mut fetcher), None);
    fetcher.remove(partition(0));
    assert!(fetcher.is_empty());
    assert_eq!((plan(&mut fetcher), fetcher.next_deadline()), (None, None));
}

/// KIP-73; Kafka 4.4 `RemoteLeaderEndPoint.shouldFollowerThrottle`.
#[test]
fn an_exceeded_quota_holds_lagging_partitions_back() {
    let mut fetcher = fetcher(2);
    fetcher.fetch_from(partition(1), position(0), false);
    let held = plan_with(&mut fetcher, NOW, |_| true);
    assert_eq!(held, Some((0, 0, vec![(1, 0)], vec![])), "partition 1 does not lag");
    let _ = answer(&mut fetcher, &[1]);
    assert_eq!(plan(&mut fetcher), Some((9, 1, vec![(0, 0)], vec![])));
    let _ = answer(&mut fetcher, &[0]);
    assert_eq!(plan_with(&mut fetcher, NOW, |_| true), Some((9, 2, vec![], vec![0])));
}

#[test]
fn partitions_that_returned_records_go_last_in_a_full_request() {
    let mut fetcher = fetcher(3);
    plan(&mut fetcher);
    let _ = answer(&mut fetcher, &[0, 1, 2]);
    fetcher.on_records(partition(0));
    plan(&mut fetcher);
    let lost = fetcher.on_response(NOW, Err(ErrorCode::FetchSessionIdNotFound), &[], NONE);
    assert_eq!(lost, ResponseVerdict::Ignore);
    assert_eq!(plan(&mut fetcher), Some((0, 0, vec![(1, 0), (2, 0), (0, 0)], vec![])));
}

#[test]
fn a_failed_request_and_a_wrong_answer_restart_the_session_after_a_pause() {
    let mut fetcher = fetcher(2);
    plan(&mut fetcher);
    assert_eq!(answer(&mut fetcher, &[0]), ResponseVerdict::Ignore, "partition 1 is missing");
    assert_eq!((plan(&mut fetcher), fetcher.next_deadline()), (None, Some(NOW + BACKOFF)));
    let later = NOW + BACKOFF;
    let full = vec![(0, 0), (1, 0)];
    assert_eq!(plan_with(&mut fetcher, later, |_| false), Some((0, 0, full.clone(), vec![])));
    let _ = answer(&mut fetcher, &[0, 1]);
    plan(&mut fetcher);
    fetcher.on_no_answer(NOW);
    assert_eq!(plan(&mut fetcher), None);
    assert_eq!(
        plan_with(&mut fetcher, later, |_| false),
        Some((9, 0, full, vec![])),
        "the old session is closed"
    );
    let pause = Duration::from_millis(50);
    assert_eq!(fetcher.on_response(NOW, Ok(0), &[], pause), ResponseVerdict::Ignore, "KIP-219");
    assert_eq!(fetcher.next_deadline(), Some(NOW + pause));
}

#[test]
fn a_removed_partition_that_returns_is_named_again() {
    let mut fetcher = fetcher(1);
    plan(&mut fetcher);
    let _ = answer(&mut fetcher, &[0]);
    fetcher.remove(partition(0));
    fetcher.fetch_from(partition(0), position(4), true);
    assert_eq!(plan(&mut fetcher), Some((9, 1, vec![(0, 4)], vec![])));
    let _ = answer(&mut fetcher, &[0]);
    fetcher.remove(partition(0));
    assert_eq!(plan(&mut fetcher), Some((9, 2, vec![], vec![0])));
    let _ = answer(&mut fetcher, &[]);
    assert_eq!(plan(&mut fetcher), None, "the session is empty");
}

/// `String.hashCode` of "topic" is 110546223.
#[test]
fn a_partition_is_bound_to_one_fetcher_as_in_kafka() {
    for (topic, partition, fetchers, expected) in [
        ("", 5, 1, 0),
        ("", 5, 3, 2),
        ("a", 0, 10, 7),
        ("topic", 0, 7, (31i32.wrapping_mul(110_546_223)).unsigned_abs() as usize % 7),
        ("topic", 3, 0, 0),
    ] {
        assert_eq!(fetcher_of(topic, partition, fetchers), expected, "{topic} {partition}");
    }
}

/// The leader's side of sessions: what it would answer for.
#[derive(Default)]
struct Sessions {
    id: i32,
    epoch: i32,
    partitions: BTreeMap<TopicPartition, FollowerPosition>,
}

impl Sessions {
    fn take(&mut self, plan: &FetchPlan) -> Result<i32, ErrorCode> {
        if plan.session_epoch == 0 {
            assert!(plan.forget.is_empty(), "a new session has nothing to forget");
            *self = Self { id: self.id + 1, epoch: 0, partitions: BTreeMap::new() };
        } else if plan.session_id != self.id {
            return Err(ErrorCode::FetchSessionIdNotFound);
        } else if plan.session_epoch != self.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        self.epoch += 1;
        for partition in &plan.forget {
            assert!(self.partitions.remove(partition).is_some(), "{partition:?} was never named");
        }
        for (partition, position) in &plan.send {
            let before = self.partitions.insert(*partition, *position);
            assert_ne!(before, Some(*position), "{partition:?} is named without a change");
        }
        Ok(self.id)
    }
}

/// Whatever happens to partitions, requests and sessions: after each request the leader's session
/// has exactly the partitions that are ready, at their positions.
#[test]
fn the_leaders_session_follows_the_ready_partitions() {
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let mut fetcher = fetcher(0);
        let mut ready = BTreeMap::new();
        let mut held = BTreeSet::new();
        let mut sessions = Sessions::default();
        let mut now = NOW;
        let mut under_way = None;
        for step in 0..200 {
            let id = partition(rng.below(6) as PartitionIndex);
            match rng.below(9) {
                0..3 => {
                    let is_lagging = rng.below(2) == 0;
                    let at = position(rng.below(4) as Offset);
                    fetcher.fetch_from(id, at, is_lagging);
                    ready.insert(id, (at, is_lagging));
                }
                3 => {
                    fetcher.hold(id, (rng.below(2) == 0).then_some(now + BACKOFF));
                    ready.remove(&id);
                }
                4 => {
                    fetcher.remove(id);
                    ready.remove(&id);
                }
                5 => {
                    held = (0..6).filter(|_| rng.below(3) == 0).map(partition).collect();
                }
                6 if rng.below(4) == 0 => {
                    sessions = Sessions { id: sessions.id + 7, ..Sessions::default() }
                }
                _ => {}
            }
            now = now + BACKOFF / 2;
            for due in fetcher.due(now) {
                assert!(!ready.contains_key(&due), "seed {seed}, step {step}: {due:?} is ready");
            }
            match under_way.take() {
                None => {
                    let Some(plan) = fetcher.plan(now, |id| held.contains(&id)) else { continue };
                    let answer = sessions.take(&plan);
                    let expected: BTreeMap<_, _> = ready
                        .iter()
                        .filter(|(id, (_, is_lagging))| !(*is_lagging && held.contains(id)))
                        .map(|(id, (at, _))| (*id, *at))
                        .collect();
                    if answer.is_ok() {
                        assert_eq!(sessions.partitions, expected, "seed {seed}, step {step}");
                    }
                    let answered: Vec<_> = sessions.partitions.keys().copied().collect();
                    under_way = Some((answer, answered));
                }
                Some(_) if rng.below(8) == 0 => fetcher.on_no_answer(now),
                Some((answer, answered)) => {
                    let verdict = fetcher.on_response(now, answer, &answered, NONE);
                    assert_eq!(verdict == ResponseVerdict::Process, answer.is_ok(), "seed {seed}");
                }
            }
        }
    }
}
