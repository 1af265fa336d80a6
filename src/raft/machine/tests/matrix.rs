//! Every role meets every event: what comes of it, as a table that a reviewer reads
//! (`matrix.txt`). With `RAFT_MATRIX=print` the test prints the table that it finds.

use std::fmt::Write as _;

use super::super::super::log_summary::LogPosition;
use super::super::super::snapshot::SnapshotId;
use super::super::*;
use super::replica::*;
use super::world::ms;
use crate::types::ErrorCode;

type Build = fn() -> Replica;

const ROLES: &[(&str, Build)] = &[
    ("unattached", Replica::unattached),
    ("unattached, voted for 3", || {
        let mut replica = Replica::unattached();
        replica.request(vote(3, 6, END, false));
        replica
    }),
    ("prospective", Replica::prospective),
    ("candidate", Replica::candidate),
    ("leader, nothing committed", Replica::leader),
    ("leader", Replica::committed_leader),
    ("follower, has not fetched", Replica::new_follower),
    ("follower", Replica::follower),
    ("resigned", Replica::resigned),
    ("observer, unattached", Replica::observer),
    ("observer, follower", Replica::observing_follower),
];

type Act = fn(&mut Replica);

/// The epoch of a replica and the one after it.
fn epoch(replica: &Replica) -> i32 {
    replica.machine.epoch()
}

fn behind(replica: &Replica) -> LogPosition {
    LogPosition { epoch: 3, offset: 5.min(replica.end().offset) }
}

const EVENTS: &[(&str, Act)] = &[
    ("10 s pass", |it| _ = it.pass(ms(10_000))),
    ("vote, next epoch", |it| {
        let request = vote(2, epoch(it) + 1, it.end(), false);
        it.request(request);
    }),
    ("vote, next epoch, log behind", |it| {
        let request = vote(2, epoch(it) + 1, behind(it), false);
        it.request(request);
    }),
    ("vote, same epoch", |it| {
        let end = LogPosition { epoch: epoch(it) - 1, offset: 99 };
        let request = vote(2, epoch(it), end, false);
        it.request(request);
    }),
    ("vote, older epoch", |it| {
        it.request(vote(2, 4, LogPosition { epoch: 3, offset: 9 }, false));
    }),
    ("vote for another voter key", |it| {
        let RaftRequest::Vote(request) = vote(2, epoch(it) + 1, it.end(), false) else { return };
        it.request(RaftRequest::Vote(VoteRequest { voter: Some(key(9)), ..request }));
    }),
    ("pre-vote, same epoch", |it| {
        let request = vote(2, epoch(it), it.end(), true);
        it.request(request);
    }),
    ("pre-vote, same epoch, log behind", |it| {
        let request = vote(2, epoch(it), behind(it), true);
        it.request(request);
    }),
    ("pre-vote, next epoch", |it| {
        let request = vote(2, epoch(it) + 1, it.end(), true);
        it.request(request);
    }),
    ("begin epoch of 2, same epoch", |it| _ = it.request(begin_epoch(2, epoch(it)))),
    ("begin epoch of 3, same epoch", |it| _ = it.request(begin_epoch(3, epoch(it)))),
    ("begin epoch of 3, next epoch", |it| _ = it.request(begin_epoch(3, epoch(it) + 1))),
    ("begin epoch of 3, older epoch", |it| _ = it.request(begin_epoch(3, 4))),
    ("begin epoch of this node, next epoch", |it| _ = it.request(begin_epoch(1, epoch(it) + 1))),
    ("end epoch of 2, first successor", |it| _ = it.request(end_epoch(2, epoch(it), &[1, 3]))),
    ("end epoch of 2, second successor", |it| _ = it.request(end_epoch(2, epoch(it), &[3, 1]))),
    ("end epoch of 2, not a successor", |it| _ = it.request(end_epoch(2, epoch(it), &[3]))),
    ("fetch of 2 at the end", |it| _ = it.fetch_of(2, it.end())),
    ("fetch of 3 from behind", |it| _ = it.fetch_of(3, behind(it))),
    ("fetch of 3, diverging", |it| _ = it.fetch_of(3, LogPosition { epoch: 4, offset: 9 })),
    ("fetch of 2, older epoch", |it| _ = it.request(fetch(key(2), 4, behind(it)))),
    ("fetch of 2, newer epoch", |it| _ = it.request(fetch(key(2), epoch(it) + 1, it.end()))),
    ("fetch with this node's id", |it| _ = it.request(fetch(key(1), epoch(it), it.end()))),
    ("fetch of an unknown snapshot", |it| {
        let snapshot = SnapshotId { offset: 4, epoch: 3 };
        let (epoch, position, max_bytes) = (epoch(it), 0, 100);
        let request =
            FetchSnapshotRequest { replica: key(2), epoch, snapshot, position, max_bytes };
        it.request(RaftRequest::FetchSnapshot(request));
    }),
    ("describe quorum", |it| _ = it.request(RaftRequest::DescribeQuorum)),
    ("add voter 4", |it| {
        let (voter, endpoints) = (key(4), voter(4).endpoints);
        let ack_when_committed = true;
        it.request(RaftRequest::AddVoter(AddVoterRequest { voter, endpoints, ack_when_committed }));
    }),
    ("remove voter 3", |it| _ = it.request(RaftRequest::RemoveVoter(key(3)))),
    ("update voter 3", |it| {
        let (voter, endpoints) = (key(3), voter(3).endpoints);
        let (epoch, kraft_versions) = (epoch(it), (0, 1));
        let request = UpdateVoterRequest { epoch, voter, endpoints, kraft_versions };
        it.request(RaftRequest::UpdateVoter(request));
    }),
    ("resign", |it| {
        let epoch = epoch(it);
        it.step(RaftInput::Resign(epoch));
    }),
    ("shutdown", |it| {
        it.step(RaftInput::Shutdown);
    }),
    ("answer of its last request: leader 3, next epoch", |it| {
        let told = view(epoch(it) + 1, Some(3));
        answer_all(it, ErrorCode::FencedLeaderEpoch, &told);
    }),
    ("answer of its last request: leader 3, same epoch", |it| {
        let told = view(epoch(it), Some(3));
        answer_all(it, ErrorCode::NotLeaderOrFollower, &told);
    }),
];

/// Answers what the replica has asked last, in the kind of each request.
fn answer_all(replica: &mut Replica, error: ErrorCode, view: &LeaderView) {
    let mut all = Vec::new();
    for (id, _, request) in replica.sent() {
        let view = view.clone();
        let response = match request {
            RaftRequest::Vote(_) => RaftResponse::Vote { error, view, granted: false },
            RaftRequest::BeginQuorumEpoch(_) => RaftResponse::BeginQuorumEpoch { error, view },
            RaftRequest::EndQuorumEpoch(_) => RaftResponse::EndQuorumEpoch { error, view },
            RaftRequest::Fetch(_) => {
                let (log_start, high_watermark, content) = (0, None, FetchContent::Empty);
                RaftResponse::Fetch(FetchResponse {
                    error,
                    view,
                    log_start,
                    high_watermark,
                    content,
                })
            }
            _ => continue,
        };
        all.extend(replica.step(RaftInput::Response { id, response }).to_vec());
    }
    replica.effects = all;
}

/// An effect in a few words.
fn brief(effect: &RaftEffect) -> String {
    match effect {
        RaftEffect::Persist { election, .. } => {
            let leader = election.leader.map_or(String::new(), |id| format!(" leader {id}"));
            let voted = election.voted.map_or(String::new(), |key| format!(" voted {}", key.id));
            format!("persist e{}{leader}{voted}", election.epoch)
        }
        RaftEffect::Append(batch) => {
            format!("append {} records at {}", batch.records.len(), batch.base)
        }
        RaftEffect::AppendFetched(batches) => format!("append {} batches", batches.len()),
        RaftEffect::Truncate(to) => format!("truncate {to}"),
        RaftEffect::Sync => "sync".to_owned(),
        RaftEffect::HighWatermark(end) => format!("high watermark {end}"),
        RaftEffect::Send { to, request, .. } => format!("{} to {}", name(request), to.host),
        RaftEffect::Reply { response, .. } => format!("reply {}", reply(response)),
        RaftEffect::Leadership(leadership) => match leadership {
            Leadership::Unknown { epoch } => format!("e{epoch} without leader"),
            Leadership::Following { epoch, leader } => format!("e{epoch} led by {leader}"),
            Leadership::Elected { epoch, epoch_start } => {
                format!("elected e{epoch} at {epoch_start}")
            }
            Leadership::Resigned { epoch } => format!("resigned e{epoch}"),
        },
        RaftEffect::BeginSnapshot(id) => format!("begin snapshot {}", id.offset),
        RaftEffect::AppendSnapshot { id, position } => {
            format!("snapshot {} at {position}", id.offset)
        }
        RaftEffect::InstallSnapshot(id) => format!("install snapshot {}", id.offset),
        RaftEffect::ShutdownComplete => "stopped".to_owned(),
        RaftEffect::Halt(line) => format!("halt: {line}"),
    }
}

fn name(request: &RaftRequest) -> &'static str {
    match request {
        RaftRequest::Vote(VoteRequest { pre_vote: true, .. }) => "pre-vote",
        RaftRequest::Vote(_) => "vote",
        RaftRequest::BeginQuorumEpoch(_) => "begin epoch",
        RaftRequest::EndQuorumEpoch(_) => "end epoch",
        RaftRequest::Fetch(_) => "fetch",
        RaftRequest::FetchSnapshot(_) => "fetch snapshot",
        RaftRequest::DescribeQuorum => "describe",
        RaftRequest::AddVoter(_) => "add voter",
        RaftRequest::RemoveVoter(_) => "remove voter",
        RaftRequest::UpdateVoter(_) => "update voter",
        RaftRequest::ApiVersions => "api versions",
    }
}

fn reply(response: &RaftResponse) -> String {
    let seen = |view: &LeaderView| {
        let leader = view.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
        format!("e{} leader {leader}", view.epoch)
    };
    match response {
        RaftResponse::Rejected(error) => format!("top level {error:?}"),
        RaftResponse::Vote { error: ErrorCode::None, view, granted } => {
            format!("{}, {}", if *granted { "granted" } else { "rejected" }, seen(view))
        }
        RaftResponse::Vote { error, view, .. }
        | RaftResponse::BeginQuorumEpoch { error, view }
        | RaftResponse::EndQuorumEpoch { error, view }
        | RaftResponse::UpdateVoter { error, view } => format!("{error:?}, {}", seen(view)),
        RaftResponse::Fetch(FetchResponse {
            error: ErrorCode::None,
            high_watermark,
            content,
            ..
        }) => {
            format!("{content:?} hw {high_watermark:?}")
        }
        RaftResponse::Fetch(response) => format!("{:?}, {}", response.error, seen(&response.view)),
        RaftResponse::FetchSnapshot(response) => format!("{:?}", response.error),
        RaftResponse::DescribeQuorum(Ok(it)) => {
            format!(
                "{} voters {} observers hw {:?}",
                it.voters.len(),
                it.observers.len(),
                it.high_watermark
            )
        }
        RaftResponse::DescribeQuorum(Err(error)) => format!("{error:?}"),
        RaftResponse::AddVoter(answer) | RaftResponse::RemoveVoter(answer) => {
            format!("{:?}", answer.error)
        }
        RaftResponse::ApiVersions { .. } | RaftResponse::KraftVersionUpgrade { .. } => {
            "answer".to_owned()
        }
    }
}

/// Repeated effects once, with their number.
fn summary(effects: &[RaftEffect]) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    for effect in effects {
        let word = brief(effect);
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    let show = |(word, count): (String, usize)| match count {
        1 => word,
        _ => format!("{word} ({count}x)"),
    };
    words.into_iter().map(show).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_role_meets_every_event() {
    let mut table = String::new();
    for (event, act) in EVENTS {
        let _ = writeln!(table, "{event}");
        for (role, build) in ROLES {
            let mut replica = build();
            let before = replica.machine.election().epoch;
            act(&mut replica);
            let machine = &replica.machine;
            let kind = format!("{:?}", machine.role()).to_lowercase();
            let effects = summary(&replica.effects);
            let dash = if effects.is_empty() { "" } else { ": " };
            let _ = writeln!(
                table,
                "  {role} e{before} -> {kind} e{}{dash}{effects}",
                machine.election().epoch
            );
        }
    }
    if std::env::var("RAFT_MATRIX").is_ok_and(|value| value == "print") {
        print!("{table}");
        return;
    }
    let expected = include_str!("matrix.txt");
    for (line, (expected, found)) in expected.lines().zip(table.lines()).enumerate() {
        assert_eq!(found, expected, "matrix.txt:{}", line + 1);
    }
    assert_eq!(table.lines().count(), expected.lines().count());
}
