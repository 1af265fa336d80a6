//! The rules of a leader, each as a table or a short story.

use std::time::Duration;

use super::super::*;
use super::{BROKER, Facts, LAG_TIME_MAX, registration, settings};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono, NO_LEADER_EPOCH, Offset};

const SECOND: Duration = Duration::from_secs(1);
/// No proposal.
const NOBODY: [BrokerId; 0] = [];
/// The log end at the election.
const START: Offset = 10;

fn at(seconds: u64) -> Mono {
    Mono(0) + SECOND * u32::try_from(seconds).unwrap()
}

/// Broker 1 leads in epoch 3 from offset 10 on, with the high watermark at 5.
struct Story {
    leader: PartitionLeader,
    now: Mono,
    end: Offset,
}

impl Story {
    fn new(replicas: &[BrokerId], isr: &[BrokerId], min_insync_replicas: usize) -> Self {
        let settings = LeaderSettings { min_insync_replicas, ..settings().leader };
        let registration = registration(replicas, isr);
        let (leader, _) = PartitionLeader::new(
            at(100),
            1,
            &registration,
            |_| Some(BROKER),
            LocalEnd::appended(START),
            5,
            settings,
        );
        Self { leader, now: at(100), end: START }
    }

    fn append(&mut self, end: Offset) -> Option<Offset> {
        self.end = end;
        self.leader.on_local_progress(LocalEnd::appended(end))
    }

    fn fetch_with(&mut self, fetch: FollowerFetch) -> Result<LeaderOutcome, FetchRefusal> {
        let log = Facts::new(0, 5, self.end, &[(1, 0), (3, START)]);
        match self.leader.check_fetch(&fetch, log.log())? {
            FetchCheck::Read(accepted) => self.leader.on_fetch(self.now, accepted),
            FetchCheck::Diverging(end) => panic!("diverges at {end:?}"),
        }
    }

    fn fetch(&mut self, replica: BrokerId, offset: Offset) -> LeaderOutcome {
        self.fetch_with(fetch(replica, offset)).unwrap()
    }

    /// The pending proposal is granted.
    fn grant(&mut self) -> Option<Offset> {
        let sent = self.leader.isr().pending().unwrap().clone();
        let altered = CommittedIsr {
            leader_epoch: sent.leader_epoch,
            partition_epoch: sent.partition_epoch + 1,
            isr: sent.brokers().collect(),
        };
        match self.leader.on_alter_partition(sent.id, Ok(altered)) {
            AlterPartitionOutcome::Settled(high_watermark) => high_watermark,
            other => panic!("{other:?}"),
        }
    }

    fn refuse(&mut self, code: ErrorCode) -> AlterPartitionOutcome {
        let id = self.leader.isr().pending().unwrap().id;
        self.leader.on_alter_partition(id, Err(code))
    }
}

fn fetch(replica: BrokerId, offset: Offset) -> FollowerFetch {
    FollowerFetch {
        replica,
        broker_epoch: BROKER.epoch,
        leader_epoch: 3,
        last_fetched_epoch: if offset > START { 3 } else { 1 },
        offset,
        log_start: 0,
    }
}

fn proposed(progress: &LeaderOutcome) -> Vec<BrokerId> {
    progress.proposal.iter().flat_map(|proposal| proposal.brokers()).collect()
}

#[test]
fn a_leader_alone_commits_what_is_durable() {
    let mut story = Story::new(&[1], &[1], 1);
    assert_eq!(story.leader.high_watermark(), START);
    assert_eq!(story.leader.on_local_progress(LocalEnd { log_end: 14, durable: 12 }), Some(12));
    assert_eq!(story.leader.on_local_progress(LocalEnd { log_end: 14, durable: 11 }), None);
    assert_eq!(story.leader.high_watermark(), 12, "the high watermark never goes back");
}

/// Kafka 4.4 `Partition.maybeIncrementLeaderHW`.
#[test]
fn the_high_watermark_is_the_smallest_end_in_the_maximal_isr() {
    let mut story = Story::new(&[1, 2, 3], &[1, 2], 1);
    assert_eq!(story.append(20), None, "nothing is known about broker 2");
    assert_eq!(story.fetch(2, 15).high_watermark, Some(15));
    assert_eq!(story.fetch(2, 13).high_watermark, None);
    assert_eq!(story.append(30), None);
    assert_eq!(story.fetch(2, 30).high_watermark, Some(30));
}

/// KIP-966: the committed ISR must have the minimum size; the replication factor caps the minimum.
#[test]
fn the_high_watermark_stands_still_below_the_minimum_isr() {
    for (replicas, isr, min_isr, expected) in [
        (&[1, 2, 3][..], &[1][..], 1, Some(20)),
        (&[1, 2, 3], &[1], 2, None),
        (&[1], &[1], 2, Some(20)),
        (&[1, 2], &[1], 3, None),
    ] {
        let mut story = Story::new(replicas, isr, min_isr);
        assert_eq!(story.append(20), expected, "{isr:?} of {replicas:?}, at least {min_isr}");
        let refused = story.leader.check_before_append().is_err();
        assert_eq!(refused, expected.is_none());
        assert_eq!(story.leader.is_under_min_isr(), refused);
    }
    let mut story = Story::new(&[1, 2], &[1], 2);
    story.append(20);
    assert_eq!(proposed(&story.fetch(2, 20)), [1, 2]);
    assert_eq!(story.leader.high_watermark(), 5, "a joining replica does not count yet");
    assert_eq!(story.leader.check_after_append(), Ok(()), "Kafka counts it here");
    assert!(story.leader.check_before_append().is_err());
    assert_eq!(story.grant(), Some(20));
    let relaxed = LeaderSettings { min_insync_replicas: 1, ..settings().leader };
    let mut story = Story::new(&[1, 2], &[1], 2);
    assert_eq!(story.leader.set_settings(relaxed), Some(START), "settings change at once");
}

/// Kafka 4.4 `Partition.maybeExpandIsr`, KAFKA-7128.
#[test]
fn a_follower_joins_at_the_high_watermark_and_the_epoch_start() {
    for (offset, high_watermark, joins) in
        [(9, 5, false), (10, 5, true), (12, 15, false), (15, 15, true)]
    {
        let mut story = Story::new(&[1, 2, 3], &[1, 2], 1);
        story.append(15);
        let _ = story.fetch(2, high_watermark);
        story.append(20);
        let expected = if joins { vec![1, 2, 3] } else { vec![] };
        assert_eq!(proposed(&story.fetch(3, offset)), expected, "{offset}, {high_watermark}");
    }
}

/// KIP-841, KIP-903.
#[test]
fn a_follower_joins_only_with_a_live_broker_and_its_present_epoch() {
    let fenced = BrokerStatus { is_fenced: true, ..BROKER };
    let leaving = BrokerStatus { is_shutting_down: true, ..BROKER };
    let restarted = BrokerStatus { epoch: 9, ..BROKER };
    for (name, broker, epoch, joins) in [
        ("alive", Some(BROKER), 7, true),
        ("alive, without an epoch", Some(BROKER), UNKNOWN_BROKER_EPOCH, true),
        ("ahead of the metadata", Some(BROKER), 9, false),
        ("fenced", Some(fenced), 7, false),
        ("shutting down", Some(leaving), 7, false),
        ("not registered", None, 7, false),
    ] {
        let mut story = Story::new(&[1, 2], &[1], 1);
        let _ =
            story.leader.on_brokers(story.now, |id| if id == 2 { broker } else { Some(BROKER) });
        let progress = story.fetch_with(FollowerFetch { broker_epoch: epoch, ..fetch(2, START) });
        assert_eq!(!proposed(&progress.unwrap()).is_empty(), joins, "{name}");
    }
    let mut story = Story::new(&[1, 2], &[1], 1);
    let _ = story.leader.on_brokers(story.now, |_| Some(restarted));
    let stale = FetchRefusal::StaleBrokerEpoch { replica: 2, request: 7, current: 9 };
    assert_eq!(story.fetch_with(fetch(2, START)), Err(stale));
    assert_eq!(stale.code(), ErrorCode::NotLeaderOrFollower);
}

/// KAFKA-15221: the epoch that was checked is the one that is proposed.
#[test]
fn a_proposal_names_the_epoch_of_each_members_last_fetch() {
    let mut story = Story::new(&[1, 2, 3], &[1, 2], 1);
    let progress = story.fetch(3, START);
    let proposal = progress.proposal.unwrap();
    assert_eq!((proposal.leader_epoch, proposal.partition_epoch), (3, 5));
    let member = |broker, epoch| IsrMember { broker, epoch };
    assert_eq!(
        proposal.members,
        [member(1, 7), member(2, UNKNOWN_BROKER_EPOCH), member(3, 7)],
        "broker 2 has not fetched in this epoch"
    );
}

/// KAFKA-19996: below the minimum the high watermark proves nothing about lag.
#[test]
fn below_the_minimum_isr_a_follower_joins_only_when_it_is_caught_up() {
    let mut story = Story::new(&[1, 2, 3], &[1], 2);
    story.append(100);
    assert_eq!(proposed(&story.fetch(2, START)), NOBODY, "at the high watermark, far from the end");
    story.append(200);
    assert_eq!(proposed(&story.fetch(2, 100)), [1, 2], "at the end as of its previous fetch");
    let mut story = Story::new(&[1, 2, 3], &[1], 1);
    story.append(100);
    assert_eq!(proposed(&story.fetch(2, 100)), [1, 2]);
}

/// What the leader has deleted cannot be compared: the follower deletes it before it joins.
#[test]
fn a_follower_joins_only_after_it_follows_the_log_start() {
    let mut story = Story::new(&[1, 2], &[1], 1);
    let log = Facts::new(8, 10, START, &[(3, 8)]);
    for (log_start, joins) in [(7, false), (8, true)] {
        let fetch = FollowerFetch { log_start, last_fetched_epoch: 3, ..fetch(2, START) };
        let Ok(FetchCheck::Read(accepted)) = story.leader.check_fetch(&fetch, log.log()) else {
            panic!("{fetch:?} is refused");
        };
        let progress = story.leader.on_fetch(story.now, accepted).unwrap();
        assert_eq!(!proposed(&progress).is_empty(), joins, "{log_start}");
    }
}

/// Kafka 4.4 `ReplicaState.isCaughtUp`, `Partition.getOutOfSyncReplicas`; H19.
#[test]
fn a_member_leaves_the_isr_after_its_lag_time() {
    // Broker 2 is at the log end and idle; broker 3 is stuck behind it.
    let mut story = Story::new(&[1, 2, 3], &[1, 2, 3], 1);
    story.append(20);
    let _ = story.fetch(2, 20);
    let _ = story.fetch(3, 15);
    assert_eq!(story.leader.next_deadline(), Some(at(130) + Duration::from_nanos(1)));
    assert_eq!(proposed(&story.leader.on_time(at(130))), NOBODY);
    let progress = story.leader.on_time(at(131));
    assert_eq!(proposed(&progress), [1, 2]);
    assert_eq!(progress.high_watermark, None, "the removal is not confirmed");
    assert_eq!(story.leader.on_time(at(200)), LeaderOutcome::default(), "one change at a time");
    assert_eq!(story.grant(), Some(20), "KAFKA-13091");
    assert_eq!(story.leader.under_replicated(), 1);
}

/// Kafka 4.4 `Replica.updateFetchStateOrThrow`: on a busy log a follower never meets the end.
#[test]
fn a_fetch_at_the_previous_end_was_caught_up_at_that_time() {
    let mut story = Story::new(&[1, 2], &[1, 2], 1);
    for round in 0..10 {
        let end = 20 + round * 10;
        story.append(end);
        story.now = at(100 + round as u64 * 20);
        let _ = story.fetch(2, end - 10);
        assert_eq!(story.leader.on_time(story.now), LeaderOutcome::default(), "round {round}");
    }
    story.now = story.now + LAG_TIME_MAX + SECOND;
    story.append(500);
    assert_eq!(proposed(&story.leader.on_time(story.now)), [1]);
}

/// A follower that is about to join is waited for, or it would never reach the high watermark.
#[test]
fn the_high_watermark_waits_for_a_follower_that_may_join() {
    let mut story = Story::new(&[1, 2, 3], &[1, 2], 1);
    story.append(20);
    let _ = story.fetch(3, 10);
    story.append(30);
    let _ = story.fetch(3, 20);
    assert_eq!(story.leader.isr().joining(), Some(3));
    let _ = story.refuse(ErrorCode::IneligibleReplica);
    assert_eq!(story.fetch(2, 30).high_watermark, Some(20));
    let fenced = BrokerStatus { is_fenced: true, ..BROKER };
    let progress =
        story.leader.on_brokers(story.now, |id| Some(if id == 3 { fenced } else { BROKER }));
    assert_eq!(progress.high_watermark, Some(30), "one that is fenced is not");
}

/// Kafka 4.4 `Partition.handleAlterPartitionError`, for every code there is.
#[test]
fn each_answer_to_a_proposal_settles_it_or_waits_for_metadata_or_retries() {
    use ErrorCode::{
        FencedLeaderEpoch, IneligibleReplica, InvalidRequest, InvalidUpdateVersion,
        NewLeaderElected, OperationNotAttempted, UnknownTopicId, UnknownTopicOrPartition,
    };
    for code in ErrorCode::ALL.iter().copied().filter(|code| *code != ErrorCode::None) {
        let mut story = Story::new(&[1, 2, 3], &[1, 2], 1);
        let first = story.fetch(3, START).proposal.unwrap();
        match (code, story.refuse(code)) {
            (IneligibleReplica | OperationNotAttempted, AlterPartitionOutcome::Settled(None)) => {
                assert_eq!(*story.leader.isr(), Isr::Committed(vec![1, 2]));
            }
            (
                UnknownTopicId
                | UnknownTopicOrPartition
                | FencedLeaderEpoch
                | InvalidUpdateVersion
                | InvalidRequest
                | NewLeaderElected,
                AlterPartitionOutcome::AwaitMetadata,
            ) => assert_eq!(story.leader.isr().joining(), Some(3), "{code:?}"),
            (_, AlterPartitionOutcome::Retry(again)) => {
                assert_eq!(again.members, first.members, "{code:?}");
                assert_ne!(again.id, first.id);
                assert_eq!(
                    story.leader.on_alter_partition(first.id, Err(IneligibleReplica)),
                    AlterPartitionOutcome::Outdated,
                    "only the last copy's answer counts"
                );
                assert_eq!(story.leader.isr().joining(), Some(3), "{code:?}");
            }
            (code, outcome) => panic!("{code:?}: {outcome:?}"),
        }
    }
}

/// KAFKA-12686, KAFKA-12751, KAFKA-13254, KAFKA-14144.
#[test]
fn metadata_overtakes_a_pending_change() {
    let change = |partition_epoch, isr: &[BrokerId]| crate::metadata::Partition {
        partition_epoch,
        ..registration(&[1, 2, 3], isr)
    };
    let committed = |isr: &[BrokerId]| Isr::Committed(isr.to_vec());
    // The log brings the change before the answer does.
    let mut story = Story::new(&[1, 2, 3], &[1, 2], 1);
    let sent = story.fetch(3, START).proposal.unwrap();
    let _ = story.leader.on_registration(story.now, &change(6, &[1, 2, 3]), |_| Some(BROKER));
    assert_eq!(*story.leader.isr(), committed(&[1, 2, 3]));
    let late = CommittedIsr { leader_epoch: 3, partition_epoch: 6, isr: vec![1, 2, 3] };
    let outcome = story.leader.on_alter_partition(sent.id, Ok(late));
    assert_eq!(outcome, AlterPartitionOutcome::Outdated);
    // The answer comes first; the log then repeats it, and later brings an older change.
    let mut story = Story::new(&[1, 2, 3, 4], &[1, 2], 1);
    let _ = story.fetch(3, START);
    story.grant();
    let _ = story.fetch(4, START);
    assert_eq!(story.leader.isr().joining(), Some(4));
    for partition_epoch in [6, 5] {
        let same = crate::metadata::Partition {
            replicas: vec![1, 2, 3, 4],
            ..change(partition_epoch, &[1, 2, 3])
        };
        let _ = story.leader.on_registration(story.now, &same, |_| Some(BROKER));
        assert_eq!(story.leader.isr().joining(), Some(4), "it may be granted still");
    }
    // The controller changed nothing, since the ISR was as proposed already.
    let id = story.leader.isr().pending().unwrap().id;
    let same = CommittedIsr { leader_epoch: 3, partition_epoch: 6, isr: vec![1, 2, 3, 4] };
    assert_eq!(story.leader.on_alter_partition(id, Ok(same)), AlterPartitionOutcome::Settled(None));
}

/// H24: the same registration again keeps what is known about followers.
#[test]
fn a_repeated_registration_keeps_progress_and_a_new_replica_starts_unknown() {
    let mut story = Story::new(&[1, 2], &[1, 2], 1);
    story.append(20);
    let _ = story.fetch(2, 15);
    let same = registration(&[1, 2], &[1, 2]);
    let _ = story.leader.on_registration(story.now, &same, |_| Some(BROKER));
    assert_eq!(story.leader.high_watermark(), 15);
    assert_eq!(story.append(30), None);
    assert_eq!(story.fetch(2, 20).high_watermark, Some(20));
    let grown =
        crate::metadata::Partition { partition_epoch: 6, ..registration(&[1, 2, 3], &[1, 2]) };
    let _ = story.leader.on_registration(story.now, &grown, |_| Some(BROKER));
    assert_eq!(story.leader.low_watermark(4), None, "broker 3 has not fetched");
    let _ = story.fetch(3, 12);
    assert_eq!(story.leader.low_watermark(4), Some(0));
}

/// Kafka 4.4 `Partition.fetchRecords`, in its order.
#[test]
fn a_followers_fetch_is_checked_in_kafkas_order() {
    let story = Story::new(&[1, 2], &[1, 2], 1);
    let log = Facts::new(4, 5, START, &[(1, 4), (3, START)]);
    let base = FollowerFetch { last_fetched_epoch: 1, log_start: 4, ..fetch(2, START) };
    let code = |fetch: FollowerFetch| match story.leader.check_fetch(&fetch, log.log()) {
        Ok(FetchCheck::Read(_)) => "read".to_owned(),
        Ok(FetchCheck::Diverging(EpochEnd { epoch, end })) => {
            format!("epoch {epoch} ends at {end}")
        }
        Err(refusal) => refusal.code().name().to_owned(),
    };
    let wrong = FollowerFetch { replica: 9, offset: 99, last_fetched_epoch: 8, ..base };
    for (name, fetch, expected) in [
        ("good", base, "read"),
        ("older epoch", FollowerFetch { leader_epoch: 2, ..wrong }, "FENCED_LEADER_EPOCH"),
        ("newer epoch", FollowerFetch { leader_epoch: 4, ..wrong }, "UNKNOWN_LEADER_EPOCH"),
        ("not a replica", wrong, "UNKNOWN_LEADER_EPOCH"),
        (
            "not a replica, without epoch",
            FollowerFetch { leader_epoch: NO_LEADER_EPOCH, ..wrong },
            "NOT_LEADER_OR_FOLLOWER",
        ),
        ("unknown last epoch", FollowerFetch { replica: 2, ..wrong }, "OFFSET_OUT_OF_RANGE"),
        (
            "below the log start, and diverging",
            FollowerFetch { offset: 3, last_fetched_epoch: 2, ..base },
            "OFFSET_OUT_OF_RANGE",
        ),
        ("diverging", FollowerFetch { last_fetched_epoch: 2, ..base }, "epoch 1 ends at 10"),
        ("beyond the end", FollowerFetch { offset: 11, ..base }, "epoch 1 ends at 10"),
        (
            "beyond the end, without epochs",
            FollowerFetch { offset: 11, last_fetched_epoch: NO_LEADER_EPOCH, ..base },
            "OFFSET_OUT_OF_RANGE",
        ),
    ] {
        assert_eq!(code(fetch), expected, "{name}");
    }
}

/// A fetch that was accepted in an epoch counts in that epoch only.
#[test]
fn an_accepted_fetch_of_another_epoch_is_refused() {
    let old = Story::new(&[1, 2], &[1, 2], 1);
    let log = Facts::new(0, 5, START, &[(1, 0), (3, START)]);
    let Ok(FetchCheck::Read(accepted)) = old.leader.check_fetch(&fetch(2, START), log.log()) else {
        panic!("refused");
    };
    let newer: LeaderEpoch = 4;
    let next = crate::metadata::Partition { leader_epoch: newer, ..registration(&[1, 2], &[1, 2]) };
    let (mut leader, _) = PartitionLeader::new(
        at(100),
        1,
        &next,
        |_| Some(BROKER),
        LocalEnd::appended(START),
        5,
        settings().leader,
    );
    assert_eq!(leader.on_fetch(at(100), accepted), Err(FetchRefusal::NotLeader));
    assert_eq!(leader.high_watermark(), 5);
}

/// KIP-207; Kafka 4.4 `Partition.fetchOffsetForTimestamp`.
#[test]
fn offsets_are_not_available_before_the_epoch_start_is_committed() {
    let mut story = Story::new(&[1, 2], &[1, 2], 1);
    let unknown = OffsetNotAvailable { high_watermark: 5, epoch_start: START };
    assert_eq!(story.leader.check_latest_offset(), Err(unknown));
    for (found, bound, expected) in
        [(Some(4), 5, Ok(Some(4))), (Some(5), 5, Err(unknown)), (None, 5, Err(unknown))]
    {
        assert_eq!(story.leader.visible_by_time(found, bound), expected, "{found:?}");
    }
    let _ = story.fetch(2, START);
    assert_eq!(story.leader.check_latest_offset(), Ok(()));
    assert_eq!(story.leader.visible_by_time(Some(10), 10), Ok(None));
}

/// KIP-392, KAFKA-14372: never a replica that is fenced, out of sync, or lacks the offset.
#[test]
fn consumers_are_sent_to_a_live_replica_in_sync_that_has_the_offset() {
    let mut story = Story::new(&[1, 2, 3], &[1, 2], 1);
    story.append(20);
    let _ = story.fetch(2, 15);
    let _ = story.fetch(3, 9);
    let rack = |id| if id == 2 || id == 3 { Some("a") } else { Some("b") };
    let prefer = |story: &Story, offset| {
        story.leader.preferred_read_replica(story.now, "a", Some("b"), offset, rack)
    };
    assert_eq!(prefer(&story, 15), Some(2));
    assert_eq!(prefer(&story, 16), None);
    assert_eq!(prefer(&story, 9), Some(2), "broker 3 is not in sync");
    let fenced = BrokerStatus { is_fenced: true, ..BROKER };
    let _ = story.leader.on_brokers(story.now, |_| Some(fenced));
    assert_eq!(prefer(&story, 15), None);
}

/// The produce path must not allocate for the leader's bookkeeping.
#[test]
fn an_append_does_not_allocate() {
    for replicas in [&[1][..], &[1, 2, 3]] {
        let mut story = Story::new(replicas, replicas, 1);
        for replica in &replicas[1..] {
            let _ = story.fetch(*replica, START);
        }
        let memory = allocation_counter::measure(|| {
            for end in 11..1_000 {
                story.leader.check_before_append().unwrap();
                story.append(end);
            }
        });
        assert_eq!(memory.count_total, 0, "{replicas:?}");
    }
}
