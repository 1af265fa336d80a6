//! Scenarios of Kafka's `KafkaRaftClientReconfigTest`, `KafkaRaftClientAutoJoinTest` and the upgrade
//! of kraft.version.

use super::super::super::batch::ControlRecord;
use super::super::super::log_summary::LogPosition;
use super::super::super::voters::{ReplicaKey, VoterEndpoint};
use super::super::*;
use super::replica::*;
use super::world::ms;
use crate::types::{BrokerId, ErrorCode, Offset};

fn add(id: BrokerId, ack_when_committed: bool) -> RaftRequest {
    let (voter, endpoints) = (key(id), voter(id).endpoints);
    RaftRequest::AddVoter(AddVoterRequest { voter, endpoints, ack_when_committed })
}

fn update(id: BrokerId, host: &str, kraft_versions: (i16, i16)) -> RaftRequest {
    let mut endpoints = voter(id).endpoints;
    host.clone_into(&mut endpoints[0].host);
    let (epoch, voter) = (6, key(id));
    RaftRequest::UpdateVoter(UpdateVoterRequest { epoch, voter, endpoints, kraft_versions })
}

fn code(response: Option<&RaftResponse>) -> Option<ErrorCode> {
    match response? {
        RaftResponse::AddVoter(answer) | RaftResponse::RemoveVoter(answer) => Some(answer.error),
        RaftResponse::UpdateVoter { error, .. }
        | RaftResponse::KraftVersionUpgrade { error, .. } => Some(*error),
        other => panic!("{other:?}"),
    }
}

/// The code of the last answer that is not to a fetch.
fn last_code(replica: &Replica) -> Option<ErrorCode> {
    let replies = replica.replies();
    code(replies.iter().rfind(|it| !matches!(it, RaftResponse::Fetch(_))))
}

fn probed(replica: &mut Replica, kraft_versions: Option<(i16, i16)>) {
    let error = ErrorCode::None;
    let response = RaftResponse::ApiVersions { error, kraft_versions };
    replica.answer(|it| matches!(it, RaftRequest::ApiVersions), response);
}

/// A leader of which node 4 is an observer that has everything.
fn leader_with_observer() -> Replica {
    let mut leader = Replica::committed_leader();
    leader.request(fetch(key(4), 6, leader.end()));
    leader
}

fn ids(replica: &Replica) -> Vec<BrokerId> {
    replica.machine.history().voters().ids().collect()
}

fn commit(leader: &mut Replica, by: &[BrokerId]) {
    leader.sync();
    for id in by {
        leader.fetch_of(*id, leader.end());
    }
}

#[test]
fn a_voter_is_added_after_a_probe_by_the_majority_of_the_new_set() {
    let mut leader = leader_with_observer();
    assert_eq!(leader.request(add(4, true)), None);
    probed(&mut leader, Some((0, 1)));
    assert_eq!(ids(&leader), [1, 2, 3, 4]);
    commit(&mut leader, &[2]);
    assert_eq!(leader.machine.high_watermark(), Some(11), "two of four");
    assert_eq!(
        leader.request(RaftRequest::RemoveVoter(key(3))).as_ref().and_then(|it| code(Some(it))),
        Some(ErrorCode::RequestTimedOut)
    );
    leader.fetch_of(4, leader.end());
    assert_eq!(leader.machine.high_watermark(), Some(12));
    assert_eq!(last_code(&leader), Some(ErrorCode::None));
}

#[test]
fn a_voter_that_joins_by_itself_is_answered_when_the_record_is_appended() {
    let mut leader = leader_with_observer();
    leader.request(add(4, false));
    probed(&mut leader, Some((0, 1)));
    assert_eq!(last_code(&leader), Some(ErrorCode::None));
    assert_eq!(leader.machine.high_watermark(), Some(11), "not committed yet");
}

#[test]
fn additions_are_refused_in_kafkas_order() {
    let check = |leader: &mut Replica, request: RaftRequest, expect: ErrorCode| {
        let answer = leader.request(request.clone());
        assert_eq!(code(answer.as_ref()), Some(expect), "{request:?}");
    };
    let without_directory = |id| {
        let RaftRequest::AddVoter(request) = add(id, true) else { unreachable!() };
        let voter = ReplicaKey { id, directory: None };
        RaftRequest::AddVoter(AddVoterRequest { voter, ..request })
    };
    let without_endpoint = |id| {
        let RaftRequest::AddVoter(request) = add(id, true) else { unreachable!() };
        let endpoints =
            vec![VoterEndpoint { listener: "OTHER".to_owned(), ..voter(id).endpoints[0].clone() }];
        RaftRequest::AddVoter(AddVoterRequest { endpoints, ..request })
    };
    check(&mut Replica::follower(), without_directory(4), ErrorCode::NotLeaderOrFollower);
    check(&mut Replica::leader(), without_directory(4), ErrorCode::InvalidRequest);
    check(&mut Replica::leader(), without_endpoint(4), ErrorCode::InvalidRequest);
    check(&mut Replica::leader(), add(2, true), ErrorCode::RequestTimedOut);
    check(&mut Replica::committed_leader(), add(2, true), ErrorCode::DuplicateVoter);
    let mut pending = Replica::committed_leader();
    pending.request(add(4, true));
    check(&mut pending, add(2, true), ErrorCode::RequestTimedOut);
    let mut fixed = static_leader();
    check(&mut fixed, add(2, true), ErrorCode::UnsupportedVersion);
    check(&mut fixed, RaftRequest::RemoveVoter(key(9)), ErrorCode::UnsupportedVersion);
    let mut other = Replica::committed_leader();
    let (cluster_id, target) = (Some("other".to_owned()), RequestTarget::MetadataLog);
    let answer = other.request_with(RequestHead { cluster_id, target }, add(4, true));
    let expect = VoterChangeAnswer {
        error: ErrorCode::InconsistentClusterId,
        message: Some("The given id \"other\" doesn't match the cluster id \"cluster\"".to_owned()),
    };
    assert_eq!(answer, Some(RaftResponse::AddVoter(expect)));
}

#[test]
fn an_addition_fails_when_its_probe_fails() {
    let check = |leader: &mut Replica, versions: Option<(i16, i16)>, expect: ErrorCode| {
        leader.request(add(4, true));
        probed(leader, versions);
        assert_eq!(last_code(leader), Some(expect), "{versions:?}");
        assert_eq!(ids(leader), [1, 2, 3]);
    };
    check(&mut leader_with_observer(), Some((0, 0)), ErrorCode::InvalidRequest);
    check(&mut leader_with_observer(), None, ErrorCode::InvalidRequest);
    check(&mut Replica::committed_leader(), Some((0, 1)), ErrorCode::RequestTimedOut);
    let mut lagging = Replica::committed_leader();
    lagging.request(fetch(key(4), 6, LogPosition { epoch: 3, offset: 5 }));
    check(&mut lagging, Some((0, 1)), ErrorCode::RequestTimedOut);
    let mut unreachable = leader_with_observer();
    unreachable.request(add(4, true));
    let (id, ..) = unreachable.sent()[0];
    unreachable.step(RaftInput::Failed { id, failure: SendFailure::Unreachable });
    assert_eq!(last_code(&unreachable), Some(ErrorCode::RequestTimedOut));
    let mut silent = leader_with_observer();
    silent.request(add(4, true));
    silent.pass(ms(2000));
    assert_eq!(last_code(&silent), Some(ErrorCode::RequestTimedOut));
}

#[test]
fn a_voter_is_removed_by_id_and_directory_and_never_the_last() {
    let mut leader = Replica::committed_leader();
    let other_disk = ReplicaKey { id: 3, ..key(9) };
    for (key, expect) in [
        (other_disk, ErrorCode::VoterNotFound),
        (key(9), ErrorCode::VoterNotFound),
        (ReplicaKey { id: 3, directory: None }, ErrorCode::InvalidRequest),
    ] {
        let answer = leader.request(RaftRequest::RemoveVoter(key));
        assert_eq!(code(answer.as_ref()), Some(expect), "{key}");
    }
    assert_eq!(leader.request(RaftRequest::RemoveVoter(key(3))), None);
    assert_eq!(ids(&leader), [1, 2]);
    commit(&mut leader, &[2]);
    assert_eq!(last_code(&leader), Some(ErrorCode::None));
    let mut alone = Start { voters: vec![1], ..Start::default() }.replica();
    alone.sync();
    let answer = alone.request(RaftRequest::RemoveVoter(key(1)));
    assert_eq!(code(answer.as_ref()), Some(ErrorCode::VoterNotFound));
}

#[test]
fn a_leader_that_is_removed_does_not_count_itself_and_resigns_when_that_is_committed() {
    let mut leader = Replica::committed_leader();
    leader.request(RaftRequest::RemoveVoter(key(1)));
    leader.sync();
    leader.fetch_of(2, leader.end());
    assert_eq!(leader.machine.high_watermark(), Some(11), "one of two, without the leader");
    assert_eq!(leader.machine.role(), RoleKind::Leader);
    let answer = leader.request(RaftRequest::DescribeQuorum);
    let Some(RaftResponse::DescribeQuorum(Ok(it))) = answer else { panic!("{answer:?}") };
    assert!(it.observers.iter().any(|it| it.key == key(1)), "the leader is always described");
    leader.fetch_of(3, leader.end());
    assert_eq!(leader.machine.high_watermark(), Some(12));
    assert_eq!(leader.machine.role(), RoleKind::Resigned);
    assert_eq!(last_code(&leader), Some(ErrorCode::None));
    leader.pass(ms(5000));
    assert_eq!((leader.machine.role(), leader.machine.epoch()), (RoleKind::Unattached, 7));
}

#[test]
fn a_change_that_is_truncated_brings_the_voters_before_back() {
    let mut follower = Replica::follower();
    let control = vec![ControlRecord::Voters(voters(&[1, 2, 3, 4]))];
    let batch = BatchSummary { base: 10, end: 11, epoch: 6, control };
    let response = fetched(6, 2, Some(10), FetchContent::Batches(vec![batch]));
    follower.answer(|it| matches!(it, RaftRequest::Fetch(_)), response);
    assert_eq!(ids(&follower), [1, 2, 3, 4], "as soon as it is in the log");
    follower.sync();
    follower.request(begin_epoch(3, 7));
    let end = LogPosition { epoch: 5, offset: 10 };
    let response = fetched(7, 3, Some(10), FetchContent::Diverging(end));
    follower.answer(|it| matches!(it, RaftRequest::Fetch(_)), response);
    assert_eq!(ids(&follower), [1, 2, 3]);
}

#[test]
fn the_leader_probes_a_new_address_before_it_records_it() {
    let mut leader = Replica::committed_leader();
    assert_eq!(leader.request(update(3, "elsewhere", (0, 1))), None);
    assert_eq!(leader.sent()[0].1.host, "elsewhere");
    probed(&mut leader, Some((0, 1)));
    assert_eq!(last_code(&leader), Some(ErrorCode::None), "answered when it is appended");
    let host = &leader.machine.history().voters().get(3).unwrap().endpoints[0].host;
    assert_eq!(host, "elsewhere");
    let mut lying = Replica::committed_leader();
    lying.request(update(3, "elsewhere", (0, 1)));
    probed(&mut lying, Some((0, 2)));
    assert_eq!(last_code(&lying), Some(ErrorCode::InvalidRequest));
    for (request, expect) in [
        (update(1, "elsewhere", (0, 1)), ErrorCode::InvalidRequest),
        (update(3, "elsewhere", (1, 0)), ErrorCode::InvalidRequest),
        (update(3, "elsewhere", (-1, 1)), ErrorCode::InvalidRequest),
    ] {
        let answer = Replica::committed_leader().request(request.clone());
        assert_eq!(code(answer.as_ref()), Some(expect), "{request:?}");
    }
    let mut stranger = Replica::committed_leader();
    stranger.request(update(4, "n4", (0, 1)));
    probed(&mut stranger, Some((0, 1)));
    assert_eq!(last_code(&stranger), Some(ErrorCode::VoterNotFound));
}

#[test]
fn a_follower_whose_entry_is_out_of_date_asks_every_two_fetch_timeouts() {
    let mut follower = Replica::new_follower();
    let mut moved = voter(1);
    "before".clone_into(&mut moved.endpoints[0].host);
    let control = vec![ControlRecord::Voters(voters(&[1, 2, 3]).replaced(moved).unwrap())];
    let batch = BatchSummary { base: 10, end: 11, epoch: 6, control };
    let response = fetched(6, 2, None, FetchContent::Batches(vec![batch]));
    follower.answer(|it| matches!(it, RaftRequest::Fetch(_)), response);
    follower.sync();
    let asked = membership_requests(follower);
    assert_eq!(asked, vec![update(1, "n1", (0, 1)); 2], "ten seconds, two seconds a fetch timeout");
}

/// The membership requests of a follower that keeps its leader for ten seconds.
fn membership_requests(mut follower: Replica) -> Vec<RaftRequest> {
    let mut requests = Vec::new();
    let mut waiting: Vec<RequestId> = follower
        .sent()
        .into_iter()
        .filter(|(_, _, it)| matches!(it, RaftRequest::Fetch(_)))
        .map(|(id, ..)| id)
        .collect();
    for _ in 0..20 {
        let mut effects = Vec::new();
        for id in std::mem::take(&mut waiting) {
            let response = fetched(6, 2, None, FetchContent::Empty);
            effects.extend(follower.step(RaftInput::Response { id, response }).to_vec());
        }
        effects.extend(follower.pass(ms(500)));
        for effect in effects {
            match effect {
                RaftEffect::Send { id, request: RaftRequest::Fetch(_), .. } => waiting.push(id),
                RaftEffect::Send { request, .. } => requests.push(request),
                _ => {}
            }
        }
    }
    requests
}

#[test]
fn an_observer_with_auto_join_removes_its_lost_disk_and_joins() {
    let observing = |voters: Vec<BrokerId>, id, auto_join| {
        let mut replica = Start { id, voters, auto_join, ..Start::default() }.replica();
        replica.request(begin_epoch(2, 6));
        replica
    };
    let asked = membership_requests(observing(vec![2, 3], 1, true));
    assert!(!asked.is_empty() && asked.iter().all(|it| *it == add(1, false)), "{asked:?}");
    assert_eq!(membership_requests(observing(vec![2, 3], 1, false)), []);

    let mut replaced = observing(vec![2, 3], 1, true);
    let old = ReplicaKey { id: 1, ..key(9) };
    let mut lost = voter(1);
    lost.key = old;
    let control = vec![ControlRecord::Voters(voters(&[2, 3]).with(lost).unwrap())];
    let batch = BatchSummary { base: 10, end: 11, epoch: 6, control };
    let response = fetched(6, 2, None, FetchContent::Batches(vec![batch]));
    replaced.answer(|it| matches!(it, RaftRequest::Fetch(_)), response);
    replaced.sync();
    let asked = membership_requests(replaced);
    assert!(
        !asked.is_empty() && asked.iter().all(|it| *it == RaftRequest::RemoveVoter(old)),
        "{asked:?}"
    );
}

#[test]
fn a_voter_that_was_removed_does_not_join_again_by_itself() {
    let mut follower = Start { auto_join: true, ..Start::default() }.replica();
    follower.request(begin_epoch(2, 6));
    follower.answer(
        |it| matches!(it, RaftRequest::Fetch(_)),
        fetched(6, 2, Some(10), FetchContent::Empty),
    );
    let control = vec![ControlRecord::Voters(voters(&[2, 3]))];
    let batch = BatchSummary { base: 10, end: 11, epoch: 6, control };
    let response = fetched(6, 2, Some(11), FetchContent::Batches(vec![batch]));
    follower.answer(|it| matches!(it, RaftRequest::Fetch(_)), response);
    follower.sync();
    assert!(!follower.machine.is_voter());
    assert_eq!(membership_requests(follower), [], "KAFKA-19850");
}

fn static_leader() -> Replica {
    let mut replica = Start { kraft_version: 0, ..Start::default() }.replica();
    replica.pass(ms(2000));
    replica.answer_votes(true);
    replica.answer_votes(true);
    replica.sync();
    replica.fetch_of(2, replica.end());
    replica
}

fn upgrade(leader: &mut Replica, version: i16, validate_only: bool) -> (ErrorCode, Option<Offset>) {
    let (token, epoch) = (ReplyToken(u64::MAX), 6);
    leader.step(RaftInput::UpgradeKraftVersion { token, epoch, version, validate_only });
    match leader.replies().pop() {
        Some(RaftResponse::KraftVersionUpgrade { error, offset, .. }) => (error, offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn kraft_version_is_raised_once_every_voter_has_described_itself() {
    let invalid = (ErrorCode::InvalidUpdateVersion, None);
    let mut leader = static_leader();
    assert_eq!(leader.machine.history().voters_offset(), None, "static voters are not recorded");
    assert_eq!(upgrade(&mut leader, 0, false), (ErrorCode::None, None));
    assert_eq!(upgrade(&mut leader, 1, false), invalid, "no other voter has");
    for (id, versions) in [(2, (0, 1)), (3, (0, 0))] {
        leader.request(update(id, &format!("n{id}"), versions));
        probed(&mut leader, Some(versions));
        assert_eq!(last_code(&leader), Some(ErrorCode::None));
    }
    assert_eq!(upgrade(&mut leader, 1, false), invalid, "3 does not support it");
    leader.request(update(3, "n3", (0, 1)));
    probed(&mut leader, Some((0, 1)));
    assert_eq!(upgrade(&mut leader, 1, true), (ErrorCode::None, None));
    assert_eq!(leader.machine.history().kraft_version(), 0, "only checked");
    assert_eq!(upgrade(&mut leader, 2, false), invalid);
    assert_eq!(upgrade(&mut leader, 1, false), (ErrorCode::None, Some(12)));
    let expect = [ControlRecord::KraftVersion(1), ControlRecord::Voters(voters(&[1, 2, 3]))];
    let RaftEffect::Append(batch) = &leader.effects[0] else { panic!("{:?}", leader.effects) };
    assert_eq!(batch.records, expect);
    let rewrites = |it: &RaftEffect| matches!(it, RaftEffect::Persist { kraft_version: 1, .. });
    assert!(leader.effects.iter().any(rewrites), "quorum-state becomes version 1");
    commit(&mut leader, &[2]);
    assert_eq!(leader.machine.high_watermark(), Some(13));
    assert_eq!(upgrade(&mut leader, 0, false), invalid, "no way back");
}

#[test]
fn static_voters_describe_themselves_once_an_epoch() {
    let mut follower = Start { kraft_version: 0, ..Start::default() }.replica();
    follower.request(begin_epoch(2, 6));
    let asked = membership_requests(follower);
    assert!(!asked.is_empty(), "until the leader has answered");
    assert!(asked.iter().all(|it| *it == update(1, "n1", (0, 1))), "{asked:?}");
}
