//! Scenarios of Kafka's `KafkaRaftClientTest`, `KafkaRaftClientPreVoteTest`,
//! `KafkaRaftClientFetchTest`, `KafkaRaftClientSnapshotTest` and `LeaderStateTest`, and the rules in
//! which this replica differs.

use super::super::super::batch::ControlRecord;
use super::super::super::history::QuorumHistory;
use super::super::super::log_summary::{LogPosition, LogSummary};
use super::super::super::quorum_state::ElectionState;
use super::super::super::snapshot::SnapshotId;
use super::super::super::voters::ReplicaKey;
use super::super::*;
use super::replica::*;
use super::world::{LISTENER, ms};
use crate::types::{BrokerId, ErrorCode, Mono, Offset};

fn high_watermarks(effects: &[RaftEffect]) -> Vec<Offset> {
    let moved = |effect: &RaftEffect| match effect {
        RaftEffect::HighWatermark(to) => Some(*to),
        _ => None,
    };
    effects.iter().filter_map(moved).collect()
}

fn at(offset: Offset, epoch: i32) -> LogPosition {
    LogPosition { epoch, offset }
}

fn fetch_reply(response: Option<RaftResponse>) -> FetchResponse {
    match response {
        Some(RaftResponse::Fetch(response)) => response,
        other => panic!("not a fetch response: {other:?}"),
    }
}

#[test]
fn a_replica_starts_in_the_role_that_its_quorum_state_leaves() {
    use RoleKind::{Candidate, Follower, Resigned, Unattached};
    let other_directory = ReplicaKey { id: 1, ..key(9) };
    let check = |epoch, leader, voted, expect: RoleKind, left: (i32, Option<BrokerId>)| {
        let election = ElectionState { epoch, leader, voted };
        let replica = Start { election: election.clone(), ..Start::default() }.replica();
        let machine = &replica.machine;
        assert_eq!(machine.role(), expect, "{election:?}");
        assert_eq!((machine.epoch(), machine.election().leader), left, "{election:?}");
        let persisted = replica.effects.first();
        assert!(matches!(persisted, Some(RaftEffect::Persist { .. })), "{:?}", replica.effects);
    };
    check(5, None, None, Unattached, (5, None));
    check(5, None, Some(key(2)), Unattached, (5, None));
    check(5, None, Some(key(1)), Unattached, (5, None));
    check(6, None, Some(key(1)), Candidate, (6, None));
    check(5, None, Some(other_directory), Unattached, (5, None));
    check(5, Some(1), None, Resigned, (5, Some(1)));
    check(5, Some(1), Some(key(1)), Resigned, (5, Some(1)));
    check(5, Some(2), Some(key(1)), Follower, (5, Some(2)));
    check(5, Some(9), None, Unattached, (5, Some(9)));
    check(3, Some(2), Some(key(2)), Unattached, (5, None));
}

#[test]
fn a_sole_voter_leads_at_once_and_commits_what_it_has_synced() {
    let mut replica = Start { voters: vec![1], ..Start::default() }.replica();
    assert_eq!(replica.machine.role(), RoleKind::Leader);
    assert_eq!(replica.machine.epoch(), 6);
    let election = ElectionState { epoch: 6, leader: Some(1), voted: Some(key(1)) };
    let persist = RaftEffect::Persist { election, kraft_version: 1 };
    assert_eq!(replica.effects[0], persist, "one write for all of it, before everything else");
    let elected = Leadership::Elected { epoch: 6, epoch_start: 10 };
    let [.., leadership, RaftEffect::Append(batch), RaftEffect::Sync] = &replica.effects[..] else {
        panic!("{:?}", replica.effects)
    };
    assert_eq!((leadership, batch.base), (&RaftEffect::Leadership(elected), 10));
    assert_eq!(replica.machine.high_watermark(), None, "appended, not synced");
    assert_eq!(high_watermarks(replica.sync()), [11]);
    replica.append();
    assert_eq!(replica.machine.high_watermark(), Some(11));
    assert_eq!(high_watermarks(replica.sync()), [12]);
    replica.pass(ms(60_000));
    assert_eq!(replica.machine.role(), RoleKind::Leader, "check-quorum needs no other voter");
}

#[test]
fn a_vote_outlives_a_reboot() {
    let mut replica = Replica::unattached();
    let RaftResponse::Vote { granted: true, .. } = replica.request(vote(2, 6, END, false)).unwrap()
    else {
        panic!("granted")
    };
    let election = replica.machine.election().clone();
    let mut rebooted = Start { election, ..Start::default() }.replica();
    for (candidate, expect) in [(3, false), (2, true)] {
        let answer = rebooted.request(vote(candidate, 6, END, false)).unwrap();
        let RaftResponse::Vote { granted, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(granted, expect, "candidate {candidate}");
    }
}

#[test]
fn malformed_votes_get_kafkas_codes_in_kafkas_order() {
    let check = |change: &dyn Fn(&mut VoteRequest), expect: ErrorCode, left: i32| {
        let mut replica = Replica::unattached();
        let RaftRequest::Vote(mut request) = vote(2, 6, END, false) else { unreachable!() };
        change(&mut request);
        let answer = replica.request(RaftRequest::Vote(request.clone())).unwrap();
        let RaftResponse::Vote { error, granted, .. } = answer else { panic!("{answer:?}") };
        assert_eq!((error, granted, replica.machine.epoch()), (expect, false, left), "{request:?}");
    };
    check(&|it| it.log_end.offset = -1, ErrorCode::InvalidRequest, 5);
    check(&|it| it.log_end.epoch = -1, ErrorCode::InvalidRequest, 5);
    check(&|it| it.log_end.epoch = 6, ErrorCode::InvalidRequest, 5);
    check(&|it| (it.log_end.epoch, it.epoch) = (4, 4), ErrorCode::InvalidRequest, 5);
    check(&|it| (it.log_end.epoch, it.epoch) = (3, 4), ErrorCode::FencedLeaderEpoch, 5);
    check(&|it| it.candidate.id = -1, ErrorCode::InvalidRequest, 5);
    check(&|it| it.voter = Some(key(2)), ErrorCode::InvalidVoterKey, 6);
    check(&|it| it.candidate = key(1), ErrorCode::None, 6);
    let pre_vote = |it: &mut VoteRequest| (it.pre_vote, it.epoch, it.log_end.epoch) = (true, 5, 6);
    check(&pre_vote, ErrorCode::InvalidRequest, 5);
}

#[test]
fn cluster_and_partition_are_checked_first() {
    let head = |cluster: &str, target| RequestHead { cluster_id: Some(cluster.to_owned()), target };
    let snapshot = SnapshotId { offset: 4, epoch: 3 };
    let (epoch, position, max_bytes) = (99, 0, 100);
    let fetch_snapshot =
        FetchSnapshotRequest { replica: key(2), epoch, snapshot, position, max_bytes };
    for request in [
        vote(2, 99, END, false),
        begin_epoch(2, 99),
        end_epoch(2, 99, &[]),
        fetch(key(2), 99, END),
        RaftRequest::FetchSnapshot(fetch_snapshot.clone()),
    ] {
        let mut replica = Replica::follower();
        let answer =
            replica.request_with(head("other", RequestTarget::MetadataLog), request.clone());
        assert_eq!(answer, Some(RaftResponse::Rejected(ErrorCode::InconsistentClusterId)));
        let answer =
            replica.request_with(head("cluster", RequestTarget::Malformed), request.clone());
        assert_eq!(answer, Some(RaftResponse::Rejected(ErrorCode::InvalidRequest)));
        assert_eq!(replica.machine.epoch(), 6, "nothing is believed of it: {request:?}");
        let anonymous = RequestHead { cluster_id: None, target: RequestTarget::MetadataLog };
        let answer = replica.request_with(anonymous, request);
        assert!(!matches!(answer, Some(RaftResponse::Rejected(_))), "{answer:?}");
    }
    let mut leader = Replica::committed_leader();
    let other = head("cluster", RequestTarget::OtherPartition);
    let answer = leader.request_with(other.clone(), RaftRequest::FetchSnapshot(fetch_snapshot));
    let Some(RaftResponse::FetchSnapshot(answer)) = answer else { panic!("{answer:?}") };
    assert_eq!(answer.error, ErrorCode::UnknownTopicOrPartition);
    let answer = leader.request_with(other, RaftRequest::DescribeQuorum);
    let expect = RaftResponse::DescribeQuorum(Err(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(answer, Some(expect));
}

#[test]
fn a_record_is_committed_when_a_majority_has_it_durably() {
    let mut leader = Replica::candidate();
    leader.answer_votes(true);
    assert_eq!(leader.end(), at(11, 6));
    leader.fetch_of(2, END);
    assert_eq!(leader.machine.high_watermark(), None, "records of older epochs do not count");
    leader.fetch_of(2, at(11, 6));
    assert_eq!(leader.machine.high_watermark(), None, "the leader has not synced: one of three");
    assert_eq!(high_watermarks(leader.sync()), [11]);
    leader.append();
    leader.append();
    leader.fetch_of(3, at(13, 6));
    assert_eq!(leader.machine.high_watermark(), Some(11));
    leader.fetch_of(2, at(12, 6));
    assert_eq!(leader.machine.high_watermark(), Some(12), "without the leader");
    leader.fetch_of(2, at(11, 6));
    assert_eq!(leader.machine.high_watermark(), Some(12), "a fetch that was delayed");
    leader.sync();
    assert_eq!(leader.machine.high_watermark(), Some(13));
    let observer = ReplicaKey { id: 2, ..key(8) };
    leader.append();
    leader.sync();
    leader.request(fetch(observer, 6, at(14, 6)));
    assert_eq!(leader.machine.high_watermark(), Some(13), "another disk is another replica");
}

#[test]
fn a_fetch_waits_for_records_a_commit_or_its_time() {
    let mut leader = Replica::committed_leader();
    assert_eq!(leader.fetch_of(2, leader.end()), None);
    leader.append();
    let FetchResponse { content, .. } = fetch_reply(leader.replies().pop());
    assert_eq!(content, FetchContent::Read { offset: 11, max_bytes: 1 << 20 });

    assert_eq!(leader.fetch_of(3, leader.end()), None);
    leader.sync();
    let response = fetch_reply(leader.replies().pop());
    assert_eq!((response.content, response.high_watermark), (FetchContent::Empty, Some(12)));

    assert_eq!(leader.fetch_of(3, leader.end()), None);
    leader.pass(ms(499));
    assert_eq!(leader.replies(), []);
    leader.pass(ms(1));
    assert_eq!(fetch_reply(leader.replies().pop()).error, ErrorCode::None);

    assert_eq!(leader.fetch_of(3, leader.end()), None);
    leader.step(RaftInput::Resign(6));
    let response = fetch_reply(leader.replies().pop());
    assert_eq!(response.error, ErrorCode::NotLeaderOrFollower);
    assert_eq!(response.view.leader, None, "it does not name itself");
}

#[test]
fn a_fetch_with_an_older_high_watermark_is_answered_at_once() {
    let mut leader = Replica::committed_leader();
    let RaftRequest::Fetch(request) = fetch(key(2), 6, leader.end()) else { unreachable!() };
    for (high_watermark, is_answered) in [
        (HIGH_WATERMARK_UNKNOWN, true),
        (10, true),
        (11, false),
        (HIGH_WATERMARK_UNSUPPORTED, false),
    ] {
        let request = FetchRequest { high_watermark, ..request.clone() };
        let answer = leader.request(RaftRequest::Fetch(request));
        assert_eq!(answer.is_some(), is_answered, "{high_watermark}");
    }
}

#[test]
fn a_parked_fetch_counts_when_it_arrives_and_not_again() {
    let mut leader = Replica::committed_leader();
    leader.fetch_of(2, leader.end());
    leader.pass(ms(400));
    let describe = |leader: &mut Replica| match leader.request(RaftRequest::DescribeQuorum) {
        Some(RaftResponse::DescribeQuorum(Ok(it))) => it.voters[1].clone(),
        other => panic!("{other:?}"),
    };
    let before = describe(&mut leader);
    leader.append();
    assert_ne!(leader.replies(), [], "the fetch is answered");
    assert_eq!(describe(&mut leader), before);
}

#[test]
fn a_leader_resigns_unless_a_majority_fetches_within_one_and_a_half_timeouts() {
    let role_after = |act: &dyn Fn(&mut Replica)| {
        let mut leader = Replica::committed_leader();
        for _ in 0..8 {
            leader.pass(ms(1000));
            act(&mut leader);
        }
        leader.machine.role()
    };
    let fetches = |id: BrokerId| move |leader: &mut Replica| _ = leader.fetch_of(id, END);
    assert_eq!(role_after(&fetches(2)), RoleKind::Leader);
    assert_eq!(role_after(&fetches(8)), RoleKind::Prospective, "an observer is no majority");
    let snapshots = |leader: &mut Replica| {
        let id = SnapshotId { offset: 10, epoch: 5 };
        if leader.machine.log().latest_snapshot().is_none() {
            leader.step(RaftInput::SnapshotTaken { id, bytes: 500 });
        }
        let (epoch, position, max_bytes) = (6, 100, 100);
        let replica = key(3);
        let request = FetchSnapshotRequest { replica, epoch, snapshot: id, position, max_bytes };
        leader.request(RaftRequest::FetchSnapshot(request));
    };
    assert_eq!(role_after(&snapshots), RoleKind::Leader, "a download of a snapshot counts");
    let mut silent = Replica::committed_leader();
    silent.pass(ms(2999));
    assert_eq!(silent.machine.role(), RoleKind::Leader);
    silent.pass(ms(1));
    assert_eq!(silent.machine.role(), RoleKind::Resigned);
}

#[test]
fn successors_stand_one_after_the_other() {
    for (successors, wait) in
        [(&[1, 3, 4][..], 0), (&[3, 1, 4], 250), (&[3, 4, 1], 500), (&[3, 1], 500), (&[3], 1000)]
    {
        let mut follower = Replica::follower();
        follower.request(end_epoch(2, 6, successors));
        if wait > 0 {
            follower.pass(ms(wait - 1));
            assert_eq!(follower.machine.role(), RoleKind::Follower, "{successors:?}");
            follower.pass(ms(1));
        }
        assert_eq!(follower.machine.role(), RoleKind::Prospective, "{successors:?}");
    }
    // KAFKA-20895: a follower that knows of the resignation does not hold the old leader against its successor.
    let mut follower = Replica::follower();
    follower.request(end_epoch(2, 6, &[3, 1]));
    let answer = follower.request(vote(3, 6, END, true));
    assert!(matches!(answer, Some(RaftResponse::Vote { granted: true, .. })), "{answer:?}");
}

#[test]
fn a_peer_without_pre_votes_makes_a_prospective_a_candidate() {
    let unsupported = |replica: &mut Replica, input: &dyn Fn(RequestId) -> RaftInput| {
        let (id, ..) = replica.sent()[0];
        replica.step(input(id));
        (replica.machine.role(), replica.machine.epoch())
    };
    let mut replica = Replica::prospective();
    let failed = |id| RaftInput::Failed { id, failure: SendFailure::UnsupportedVersion };
    assert_eq!(unsupported(&mut replica, &failed), (RoleKind::Candidate, 6));
    let mut replica = Replica::prospective();
    let response = RaftResponse::Rejected(ErrorCode::UnsupportedVersion);
    let rejected = |id| RaftInput::Response { id, response: response.clone() };
    assert_eq!(unsupported(&mut replica, &rejected), (RoleKind::Candidate, 6));
}

#[test]
fn a_late_answer_to_a_pre_vote_is_no_vote() {
    let mut replica = Replica::prospective();
    let pre_votes = replica.sent();
    replica.answer_votes(true);
    assert_eq!((replica.machine.role(), replica.machine.epoch()), (RoleKind::Candidate, 6));
    for (id, ..) in pre_votes {
        let (error, view, granted) = (ErrorCode::None, view(6, None), true);
        replica.step(RaftInput::Response {
            id,
            response: RaftResponse::Vote { error, view, granted },
        });
    }
    assert_eq!(replica.machine.role(), RoleKind::Candidate);
}

#[test]
fn a_follower_fetches_again_only_when_its_log_is_durable() {
    let mut follower = Replica::follower();
    let batch = BatchSummary { base: 10, end: 12, epoch: 6, control: Vec::new() };
    let response = fetched(6, 2, Some(12), FetchContent::Batches(vec![batch]));
    let effects = follower.answer(|it| matches!(it, RaftRequest::Fetch(_)), response).to_vec();
    assert!(matches!(effects[..], [RaftEffect::AppendFetched(_), RaftEffect::Sync]), "{effects:?}");
    assert_eq!(follower.machine.high_watermark(), Some(10));
    let effects = follower.sync().to_vec();
    assert_eq!(high_watermarks(&effects), [12]);
    let [(_, _, RaftRequest::Fetch(request))] = &follower.sent()[..] else { panic!("{effects:?}") };
    assert_eq!((request.offset, request.last_epoch, request.high_watermark), (12, 6, 12));
}

#[test]
fn batches_that_do_not_continue_the_log_are_dropped() {
    let batch = |base, end, epoch| BatchSummary { base, end, epoch, control: Vec::new() };
    for (batches, expect) in [
        (vec![batch(10, 11, 6), batch(11, 12, 6)], 12),
        (vec![batch(10, 11, 6), batch(12, 13, 6)], 11),
        (vec![batch(9, 11, 6)], 10),
        (vec![batch(10, 11, 4)], 10),
        (vec![batch(10, 11, 7)], 10),
        (vec![batch(10, 10, 6)], 10),
        (vec![batch(10, 11, 6), batch(11, 12, 5)], 11),
    ] {
        let mut follower = Replica::follower();
        let response = fetched(6, 2, Some(10), FetchContent::Batches(batches.clone()));
        follower.answer(|it| matches!(it, RaftRequest::Fetch(_)), response);
        assert_eq!(follower.end().offset, expect, "{batches:?}");
    }
}

#[test]
fn a_follower_truncates_what_its_leader_has_not_and_halts_below_the_high_watermark() {
    let diverge = |mut follower: Replica, end: LogPosition| {
        let response = fetched(6, 2, Some(10), FetchContent::Diverging(end));
        follower.answer(|it| matches!(it, RaftRequest::Fetch(_)), response);
        follower
    };
    let truncated = diverge(Replica::new_follower(), at(7, 5));
    assert_eq!(truncated.end(), at(7, 5));
    assert!(truncated.effects.contains(&RaftEffect::Truncate(7)));
    assert_eq!(truncated.machine.high_watermark(), None, "the answer says nothing of this log");
    let mut halted = diverge(Replica::follower(), at(7, 5));
    assert!(matches!(halted.effects[..], [RaftEffect::Halt(_)]), "{:?}", halted.effects);
    assert_eq!(halted.end(), END);
    assert_eq!(halted.request(vote(3, 9, END, false)), None, "a halted replica answers nothing");
}

#[test]
fn a_snapshot_is_fetched_in_pieces_and_replaces_the_log() {
    let id = SnapshotId { offset: 40, epoch: 6 };
    let is_fetch = |it: &RaftRequest| matches!(it, RaftRequest::Fetch(_));
    let is_chunk = |it: &RaftRequest| matches!(it, RaftRequest::FetchSnapshot(_));
    let chunk = |position, bytes| {
        let (error, view, snapshot) = (ErrorCode::None, view(6, Some(2)), Some(id));
        let size = 150;
        RaftResponse::FetchSnapshot(FetchSnapshotResponse {
            error,
            view,
            snapshot,
            size,
            position,
            bytes,
        })
    };
    let mut follower = Replica::follower();
    follower.answer(is_fetch, fetched(6, 2, Some(50), FetchContent::Snapshot(id)));
    assert!(follower.effects.contains(&RaftEffect::BeginSnapshot(id)));
    follower.answer(is_chunk, chunk(0, 100));
    assert_eq!(follower.effects[0], RaftEffect::AppendSnapshot { id, position: 0 });
    let mut wrong = follower.clone();
    wrong.answer(is_chunk, chunk(0, 100));
    assert!(!wrong.effects.iter().any(|it| matches!(it, RaftEffect::AppendSnapshot { .. })));
    follower.answer(is_chunk, chunk(100, 50));
    let expect =
        [RaftEffect::AppendSnapshot { id, position: 100 }, RaftEffect::InstallSnapshot(id)];
    assert_eq!(follower.effects, expect);
    let (kraft_version, voters) = (1, Some(voters(&[1, 2, 3, 4])));
    follower.step(RaftInput::SnapshotInstalled { id, bytes: 150, kraft_version, voters });
    assert_eq!((follower.end(), follower.machine.high_watermark()), (at(40, 6), Some(40)));
    assert_eq!(follower.machine.history().voters().len(), 4);
    let [(_, _, RaftRequest::Fetch(request))] = &follower.sent()[..] else { panic!() };
    assert_eq!((request.offset, request.last_epoch), (40, 6));
}

#[test]
fn a_snapshot_that_is_gone_or_not_ahead_is_not_fetched() {
    let is_fetch = |it: &RaftRequest| matches!(it, RaftRequest::Fetch(_));
    let mut follower = Replica::follower();
    let behind = SnapshotId { offset: 8, epoch: 5 };
    follower.answer(is_fetch, fetched(6, 2, Some(10), FetchContent::Snapshot(behind)));
    assert!(!follower.effects.contains(&RaftEffect::BeginSnapshot(behind)));
    let mut follower = Replica::follower();
    let id = SnapshotId { offset: 40, epoch: 6 };
    follower.answer(is_fetch, fetched(6, 2, Some(50), FetchContent::Snapshot(id)));
    let (error, view, snapshot) = (ErrorCode::SnapshotNotFound, view(6, Some(2)), None);
    let (size, position, bytes) = (0, 0, 0);
    let gone = FetchSnapshotResponse { error, view, snapshot, size, position, bytes };
    let is_chunk = |it: &RaftRequest| matches!(it, RaftRequest::FetchSnapshot(_));
    follower.answer(is_chunk, RaftResponse::FetchSnapshot(gone));
    assert!(matches!(follower.sent()[..], [(_, _, RaftRequest::Fetch(_))]), "it starts over");
}

#[test]
fn fetch_snapshot_has_kafkas_errors() {
    let id = SnapshotId { offset: 10, epoch: 5 };
    let mut leader = Replica::committed_leader();
    leader.step(RaftInput::SnapshotTaken { id, bytes: 150 });
    let mut check = |epoch, snapshot, position, expect: Result<u64, ErrorCode>| {
        let (replica, max_bytes) = (key(2), 100);
        let request = FetchSnapshotRequest { replica, epoch, snapshot, position, max_bytes };
        let answer = leader.request(RaftRequest::FetchSnapshot(request));
        let Some(RaftResponse::FetchSnapshot(answer)) = answer else { panic!("{answer:?}") };
        let found = if answer.error.is_none() { Ok(answer.bytes) } else { Err(answer.error) };
        assert_eq!(found, expect, "{epoch} {snapshot} {position}");
    };
    check(6, id, 0, Ok(100));
    check(6, id, 100, Ok(50));
    check(6, id, 150, Err(ErrorCode::PositionOutOfRange));
    check(6, id, -1, Err(ErrorCode::PositionOutOfRange));
    check(6, SnapshotId { offset: 9, ..id }, 0, Err(ErrorCode::SnapshotNotFound));
    check(6, SnapshotId::BOOTSTRAP, 0, Err(ErrorCode::SnapshotNotFound));
    check(5, id, 0, Err(ErrorCode::FencedLeaderEpoch));
    check(7, id, 0, Err(ErrorCode::UnknownLeaderEpoch));
    let response = fetch_reply(leader.fetch_of(3, at(0, 0)));
    assert_eq!(response.content, FetchContent::Snapshot(id), "a snapshot beats the log from 0");
}

#[test]
fn bootstrap_servers_are_asked_while_the_leader_is_unreachable() {
    let mut follower = Replica::new_follower();
    let mut hosts = Vec::new();
    for _ in 0..6 {
        let sent = follower.sent();
        let Some((id, to, _)) = sent.first() else { break };
        hosts.push(to.host.clone());
        follower.step(RaftInput::Failed { id: *id, failure: SendFailure::Unreachable });
        if follower.sent().is_empty() {
            follower.pass(ms(21));
        }
    }
    assert!(hosts.contains(&"boot".to_owned()) && hosts.contains(&"n2".to_owned()), "{hosts:?}");
    assert_eq!(hosts.len(), 6, "for ever: {hosts:?}");
}

#[test]
fn no_fetch_is_sent_while_another_is_in_flight() {
    let mut follower = Replica::new_follower();
    assert_eq!(follower.sent().len(), 1);
    follower.pass(ms(1500));
    let fetches = |replica: &Replica| {
        replica.sent().iter().filter(|(_, _, it)| matches!(it, RaftRequest::Fetch(_))).count()
    };
    assert_eq!(fetches(&follower), 0);
}

#[test]
fn describe_quorum_knows_who_is_caught_up() {
    let mut leader = Replica::committed_leader();
    let first = leader.now;
    leader.pass(ms(500));
    leader.append();
    leader.fetch_of(3, END);
    leader.request(fetch(key(8), 6, leader.end()));
    let Some(RaftResponse::DescribeQuorum(Ok(it))) = leader.request(RaftRequest::DescribeQuorum)
    else {
        panic!("{:?}", leader.effects)
    };
    let rows = |replicas: &[ReplicaDescription]| -> Vec<_> {
        let row =
            |it: &ReplicaDescription| (it.key.id, it.log_end, it.last_fetch, it.last_caught_up);
        replicas.iter().map(row).collect()
    };
    let now = Some(leader.now);
    assert_eq!((it.leader, it.epoch, it.high_watermark), (1, 6, Some(11)));
    assert_eq!(
        rows(&it.voters),
        [
            (1, Some(12), now, now),
            (2, Some(11), Some(first), Some(first)),
            (3, Some(10), now, None),
        ]
    );
    assert_eq!(rows(&it.observers), [(8, Some(12), now, now)]);
    leader.pass(ms(1000));
    leader.fetch_of(2, leader.end());
    leader.pass(ms(299_500));
    let observers = match leader.request(RaftRequest::DescribeQuorum) {
        Some(RaftResponse::DescribeQuorum(Ok(it))) => it.observers.len(),
        _ => 0,
    };
    assert_eq!(observers, 0, "not after five minutes of silence");
}

#[test]
fn a_graceful_shutdown_hands_the_epoch_over() {
    let mut leader = Replica::committed_leader();
    leader.step(RaftInput::Shutdown);
    assert_eq!(leader.machine.role(), RoleKind::Resigned);
    assert!(!leader.effects.contains(&RaftEffect::ShutdownComplete));
    leader.pass(ms(5000));
    assert_eq!((leader.machine.role(), leader.machine.epoch()), (RoleKind::Resigned, 6));
    leader.request(begin_epoch(3, 7));
    assert!(leader.effects.contains(&RaftEffect::ShutdownComplete));
    assert_eq!(leader.step(RaftInput::Tick), []);
}

#[test]
fn of_two_states_in_one_step_only_the_later_is_persisted() {
    let mut replica = Replica::unattached();
    replica.request(vote(2, 9, END, false));
    let persisted: Vec<_> =
        replica.effects.iter().filter(|it| matches!(it, RaftEffect::Persist { .. })).collect();
    let election = ElectionState { epoch: 9, leader: None, voted: Some(key(2)) };
    assert_eq!(persisted, [&RaftEffect::Persist { election, kraft_version: 1 }]);
    assert!(matches!(replica.effects[0], RaftEffect::Persist { .. }), "before everything else");
}

#[test]
fn the_last_epoch_has_no_successor() {
    let mut replica = Replica::unattached();
    replica.request(vote(2, i32::MAX, END, true));
    replica.pass(ms(20_000));
    assert_eq!(replica.machine.epoch(), i32::MAX);
    let election = ElectionState { epoch: i32::MAX, leader: None, voted: None };
    let log = LogSummary::default();
    let alone = Start { voters: vec![1], election, log, ..Start::default() }.replica();
    assert_ne!(alone.machine.role(), RoleKind::Leader);
}

#[test]
fn timeouts_of_zero_make_no_circle() {
    let zero = std::time::Duration::ZERO;
    let config = RaftConfig {
        election_timeout: zero,
        fetch_timeout: zero,
        request_timeout: zero,
        retry_backoff: zero,
        ..RaftConfig::new("cluster".to_owned(), voter(1), LISTENER.to_owned(), 7)
    };
    let mut history = QuorumHistory::default();
    history.apply(&ControlRecord::KraftVersion(1), -1);
    history.apply(&ControlRecord::Voters(voters(&[1, 2, 3])), -1);
    let (election, log) = (ElectionState::default(), LogSummary::default());
    let (mut machine, _) = QuorumMachine::start(Mono(0), config, election, log, history);
    for millis in 0..100 {
        let now = Mono(0) + ms(millis);
        machine.step(now, RaftInput::Tick);
        assert!(machine.deadline().is_some_and(|at| at > now), "at {millis} ms");
    }
}

#[test]
fn an_unreachable_leader_is_followed_at_the_address_that_others_know() {
    let mut moved = voter(2).endpoints;
    "elsewhere".clone_into(&mut moved[0].host);
    let told = |error| {
        let view = LeaderView { endpoints: moved.clone(), ..view(6, Some(2)) };
        let (log_start, high_watermark, content) = (0, None, FetchContent::Empty);
        RaftResponse::Fetch(FetchResponse { error, view, log_start, high_watermark, content })
    };
    let mut follower = Replica::new_follower();
    let (id, ..) = follower.sent()[0];
    follower.step(RaftInput::Failed { id, failure: SendFailure::Unreachable });
    assert_eq!(follower.sent()[0].1.host, "boot");
    follower.answer(|_| true, told(ErrorCode::NotLeaderOrFollower));
    assert_eq!(follower.sent()[0].1.host, "elsewhere");
    // The leader itself is believed at any time, another peer only while the leader is silent.
    let mut follower = Replica::new_follower();
    follower.answer(|_| true, told(ErrorCode::NotLeaderOrFollower));
    follower.pass(ms(21));
    assert!(follower.sent().iter().all(|(_, to, _)| to.host != "elsewhere"));
    let mut follower = Replica::new_follower();
    follower.answer(|_| true, told(ErrorCode::None));
    assert_eq!(follower.sent()[0].1.host, "elsewhere");
}
