//! The rules of a follower, each as a table or a short story.

use super::super::*;
use super::{BACKOFF, Facts};
use crate::types::{ErrorCode, Mono, NO_LEADER_EPOCH, Offset};

const NOW: Mono = Mono(1_000_000_000);

/// A follower of broker 1 in epoch 5, with records 0 to 10 of epochs 1, 2 and 4.
struct Story {
    follower: PartitionFollower,
    facts: Facts,
}

impl Story {
    fn new() -> Self {
        Self::with(Facts::new(0, 4, 10, &[(1, 0), (2, 3), (4, 7)]), DivergenceCheck::OnFetch)
    }

    fn with(facts: Facts, check: DivergenceCheck) -> Self {
        Self { follower: PartitionFollower::new(Some(1), 5, check, BACKOFF, facts.log()), facts }
    }

    fn next(&self) -> FollowerAction {
        self.follower.next(NOW, self.facts.log())
    }

    fn position(&self) -> FollowerPosition {
        match self.next() {
            FollowerAction::Ask(FollowerRequest::Fetch(position)) => position,
            other => panic!("{other:?} instead of a fetch"),
        }
    }

    fn answer(&mut self, answer: Result<FetchAnswer<'_>, ErrorCode>) -> Effects {
        let sent = self.position();
        self.follower.on_fetched(NOW, &sent, answer, self.facts.log())
    }
}

fn nothing() -> FetchAnswer<'static> {
    FetchAnswer { diverging: None, high_watermark: 0, log_start: 0, batches: &[] }
}

fn batch(base_offset: Offset, last_offset: Offset, leader_epoch: i32) -> BatchFacts {
    BatchFacts { base_offset, last_offset, leader_epoch }
}

fn effects() -> Effects {
    Effects::default()
}

#[test]
fn a_follower_fetches_from_its_end_with_its_latest_epoch() {
    let mut story = Story::new();
    let position =
        FollowerPosition { leader_epoch: 5, offset: 10, last_fetched_epoch: 4, log_start: 0 };
    assert_eq!(story.position(), position);
    assert_eq!(story.follower.state(NOW), FollowerState::Fetching);
    story.follower =
        PartitionFollower::new(None, 6, DivergenceCheck::OnFetch, BACKOFF, story.facts.log());
    assert_eq!(story.next(), FollowerAction::AwaitMetadata, "nobody leads");
}

/// The follower appends what continues its log, of the epochs that its leader can have had
/// (KAFKA-18723), and takes the high watermark and the log start.
#[test]
fn an_answer_is_appended_then_the_high_watermark_and_the_log_start_follow() {
    for (name, high_watermark, log_start, batches, expected) in [
        ("nothing new", 4, 0, &[][..], effects()),
        (
            "records",
            12,
            0,
            &[batch(10, 11, 4), batch(12, 14, 5)],
            Effects { append: 2, high_watermark: Some(12), ..effects() },
        ),
        (
            "never above the own end",
            99,
            0,
            &[batch(10, 11, 4)],
            Effects { append: 1, high_watermark: Some(12), ..effects() },
        ),
        ("a gap of compaction", 4, 0, &[batch(13, 14, 5)], Effects { append: 1, ..effects() }),
        (
            "a batch of a later epoch",
            4,
            0,
            &[batch(10, 10, 5), batch(11, 11, 6), batch(12, 12, 5)],
            Effects { append: 1, ..effects() },
        ),
        ("an older high watermark", 2, 0, &[], effects()),
        (
            "log start",
            8,
            6,
            &[],
            Effects { high_watermark: Some(8), log_start: Some(6), ..effects() },
        ),
        (
            "log start above the high watermark",
            4,
            6,
            &[],
            Effects { log_start: Some(4), ..effects() },
        ),
        (
            "offsets that overlap",
            4,
            0,
            &[batch(9, 11, 4)],
            Effects { retry_at: Some(NOW + BACKOFF), ..effects() },
        ),
        (
            "offsets that go back",
            4,
            0,
            &[batch(10, 12, 4), batch(11, 13, 4)],
            Effects { retry_at: Some(NOW + BACKOFF), ..effects() },
        ),
    ] {
        let answer = FetchAnswer { high_watermark, log_start, batches, ..nothing() };
        assert_eq!(Story::new().answer(Ok(answer)), expected, "{name}");
    }
}

/// The leader's log start lies within a batch, after DeleteRecords.
#[test]
fn an_empty_log_restarts_at_a_batch_that_begins_below_it() {
    let mut story = Story::with(Facts::new(10, 10, 10, &[]), DivergenceCheck::OnFetch);
    assert_eq!(
        story.next(),
        FollowerAction::Truncate(Effects { cut: Some(LogCut::TruncateTo(10)), ..effects() }),
        "without epochs only the high watermark is common"
    );
    story.follower.on_truncated();
    assert_eq!(story.position().last_fetched_epoch, NO_LEADER_EPOCH);
    let batches = [batch(8, 12, 3)];
    let answer = FetchAnswer { high_watermark: 12, log_start: 10, batches: &batches, ..nothing() };
    let expected = Effects {
        cut: Some(LogCut::RestartAt(8)),
        append: 1,
        high_watermark: Some(12),
        log_start: None,
        retry_at: None,
    };
    assert_eq!(story.answer(Ok(answer)), expected);
}

/// KIP-595, KIP-279, KAFKA-14704 (the high watermark of that answer is not taken).
#[test]
fn a_diverging_epoch_truncates_and_nothing_else() {
    for (name, epoch, end, to) in [
        ("the leader's epoch ends earlier", 2, 5, 5),
        ("the own epoch ends earlier", 2, 9, 7),
        ("an epoch that is not in the log", 3, 9, 7),
        ("all is equal but the epoch entry", 4, 12, 10),
    ] {
        let mut story = Story::new();
        let diverging = Some(EpochEnd { epoch, end });
        let batches = [batch(10, 11, 5)];
        let answer = FetchAnswer { diverging, high_watermark: 9, log_start: 2, batches: &batches };
        let expected = Effects { cut: Some(LogCut::TruncateTo(to)), ..effects() };
        assert_eq!(story.answer(Ok(answer)), expected, "{name}");
        assert_eq!(story.follower.lag(), None, "{name}");
    }
}

/// KAFKA-13207: the partition changed while the answer was under way.
#[test]
fn an_answer_to_another_position_or_epoch_is_dropped() {
    let batches = [batch(10, 11, 4)];
    let answer = || Ok(FetchAnswer { high_watermark: 12, batches: &batches, ..nothing() });
    let sent = Story::new().position();
    let mut moved = Story::new();
    moved.facts.end = 8;
    let mut rewritten = Story::new();
    rewritten.facts = Facts::new(0, 4, 10, &[(1, 0), (2, 3), (5, 7)]);
    let mut newer = Story::new();
    newer.follower =
        PartitionFollower::new(Some(2), 6, DivergenceCheck::OnFetch, BACKOFF, newer.facts.log());
    let mut delayed = Story::new();
    let _ = delayed.follower.on_no_answer(NOW, 5);
    let mut failed = Story::new();
    failed.follower.on_storage_failure();
    for (name, mut story) in [
        ("moved", moved),
        ("rewritten up to the same offset", rewritten),
        ("newer", newer),
        ("delayed", delayed),
        ("failed", failed),
    ] {
        let before = story.follower.clone();
        let effects = story.follower.on_fetched(NOW, &sent, answer(), story.facts.log());
        assert_eq!((effects, story.follower), (Effects::default(), before), "{name}");
    }
}

/// Kafka 4.4 `AbstractFetcherThread.processFetchRequest`, for every code there is.
#[test]
fn each_error_delays_or_fails_the_partition_or_looks_for_the_range() {
    for code in ErrorCode::ALL.iter().copied().filter(|code| *code != ErrorCode::None) {
        let mut story = Story::new();
        let effects = story.answer(Err(code));
        let state = story.follower.state(NOW);
        let expected = match code {
            ErrorCode::OffsetOutOfRange => FollowerState::Truncating,
            ErrorCode::FencedLeaderEpoch => FollowerState::Failed(FollowerFailure::Fenced),
            ErrorCode::OffsetMovedToTieredStorage => {
                FollowerState::Failed(FollowerFailure::TieredStorage)
            }
            _ => FollowerState::Delayed,
        };
        assert_eq!(state, expected, "{code:?}");
        let retry_at = (state == FollowerState::Delayed).then_some(NOW + BACKOFF);
        assert_eq!(effects, Effects { retry_at, ..Effects::default() }, "{code:?}");
        match state {
            FollowerState::Delayed => {
                assert_eq!(story.next(), FollowerAction::WaitUntil(NOW + BACKOFF));
                let later = story.follower.next(NOW + BACKOFF, story.facts.log());
                assert!(
                    matches!(later, FollowerAction::Ask(FollowerRequest::Fetch(_))),
                    "{code:?}"
                );
            }
            FollowerState::Failed(_) => assert_eq!(story.next(), FollowerAction::AwaitMetadata),
            _ => assert_eq!(
                story.next(),
                FollowerAction::Ask(FollowerRequest::LogEnd { leader_epoch: 5 })
            ),
        }
    }
}

/// Kafka 4.4 `AbstractFetcherThread.fetchOffsetAndTruncate`; KAFKA-9491, KAFKA-7414.
#[test]
fn out_of_range_follows_the_leaders_bounds() {
    let cut = |cut| Effects { cut: Some(cut), ..Effects::default() };
    let wait = Effects { retry_at: Some(NOW + BACKOFF), ..Effects::default() };
    for (name, leader_end, leader_start, expected) in [
        ("the leader ends earlier", 7, None, cut(LogCut::TruncateTo(7))),
        ("the leader begins later", 90, Some(50), cut(LogCut::RestartAt(50))),
        ("neither explains it", 90, Some(10), wait),
    ] {
        let mut story = Story::new();
        let _ = story.answer(Err(ErrorCode::OffsetOutOfRange));
        let log = story.facts.clone();
        let mut effects = story.follower.on_log_end(NOW, 5, Ok(leader_end), log.log());
        if let Some(start) = leader_start {
            assert_eq!(effects, Effects::default(), "{name}");
            assert_eq!(
                story.next(),
                FollowerAction::Ask(FollowerRequest::LogStart { leader_epoch: 5 })
            );
            effects = story.follower.on_log_start(NOW, 5, Ok(start), log.log());
        }
        assert_eq!(effects, expected, "{name}");
        let later = story.follower.next(NOW + BACKOFF, log.log());
        assert!(
            matches!(later, FollowerAction::Ask(FollowerRequest::Fetch(_))),
            "{name}: {later:?}"
        );
    }
    let mut story = Story::with(Facts::new(6, 8, 10, &[(1, 6)]), DivergenceCheck::OnFetch);
    let _ = story.answer(Err(ErrorCode::OffsetOutOfRange));
    let effects = story.follower.on_log_end(NOW, 5, Ok(3), story.facts.log());
    assert_eq!(effects, cut(LogCut::RestartAt(3)), "the leader ends below the own log start");
}

/// KIP-101 and KIP-279, before fetches carried epochs.
#[test]
fn a_follower_may_ask_for_the_end_of_its_epoch_before_it_fetches() {
    let facts = Facts::new(0, 4, 10, &[(1, 0), (2, 3), (4, 7)]);
    let mut story = Story::with(facts, DivergenceCheck::BeforeFetch);
    let ask = |epoch| FollowerAction::Ask(FollowerRequest::EpochEnd { leader_epoch: 5, epoch });
    assert_eq!(story.next(), ask(4));
    let log = story.facts.clone();
    let step =
        story.follower.on_epoch_end(NOW, 5, 4, Ok(Some(EpochEnd { epoch: 3, end: 8 })), log.log());
    assert_eq!(step.cut, Some(LogCut::TruncateTo(7)), "epoch 3 is not here: step back");
    story.facts = Facts::new(0, 4, 7, &[(1, 0), (2, 3)]);
    assert_eq!(story.next(), ask(2), "and ask again");
    let log = story.facts.clone();
    let repeated = Ok(Some(EpochEnd { epoch: 3, end: 8 }));
    let dropped = story.follower.on_epoch_end(NOW, 5, 4, repeated, log.log());
    assert_eq!(dropped, Effects::default(), "an answer about epoch 4 comes too late");
    let step =
        story.follower.on_epoch_end(NOW, 5, 2, Ok(Some(EpochEnd { epoch: 2, end: 5 })), log.log());
    assert_eq!(step.cut, Some(LogCut::TruncateTo(5)));
    assert_eq!(story.position().last_fetched_epoch, NO_LEADER_EPOCH);
}

#[test]
fn lag_is_known_after_an_answer_and_zero_at_the_leaders_high_watermark() {
    let mut story = Story::new();
    assert!(!story.follower.is_in_sync());
    let _ = story.answer(Ok(FetchAnswer { high_watermark: 25, ..nothing() }));
    assert_eq!(story.follower.lag(), Some(15));
    let _ = story.answer(Ok(FetchAnswer { high_watermark: 9, ..nothing() }));
    assert!(story.follower.is_in_sync());
}
