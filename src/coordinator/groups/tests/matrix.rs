//! What a classic group answers to each event in each of its states, and what it is at then: one
//! reviewed table (Kafka 4.4 `GroupMetadataManager.classicGroup...ToClassicGroup`).

use super::*;
use crate::coordinator::groups::member_ref::MemberRef;

const STATES: [&str; 5] =
    ["(none)", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable"];

/// Two members, the leader first, and the generation that they know.
struct Scene {
    story: Story,
    leader: String,
    follower: String,
    generation: i32,
}

/// A group that has come to a state. While it prepares, the leader has joined again and the
/// follower has not; while it completes, both have joined and nobody has synced.
fn scene(state: &str) -> Scene {
    let mut story = Story::new();
    if state == "(none)" {
        let (leader, follower) = ("a".to_owned(), "b".to_owned());
        return Scene { story, leader, follower, generation: 1 };
    }
    let ids = story.stable(&[None, None]);
    let (leader, follower) = (ids[0].clone(), ids[1].clone());
    let mut generation = 1;
    match state {
        "Empty" => {
            // An offset keeps the group.
            story.commit(member(&leader, None, 1), 1, "").unwrap();
            story.pass(Duration::from_secs(30));
            generation = 2;
        }
        "PreparingRebalance" => {
            story.join(&leader, None, true);
        }
        "CompletingRebalance" => {
            story.join(&leader, None, true);
            story.join(&follower, None, true);
            generation = 2;
        }
        _ => {}
    }
    assert_eq!(story.state(), state);
    story.replies.clear();
    Scene { story, leader, follower, generation }
}

const EVENTS: [&str; 21] = [
    "a stranger joins without an id",
    "a stranger joins with an id",
    "the leader joins again",
    "the follower joins again",
    "the follower joins with another protocol list",
    "a static member joins",
    "the leader syncs",
    "the follower syncs",
    "a stranger syncs",
    "the follower syncs in another generation",
    "the follower sends a heartbeat",
    "a stranger sends a heartbeat",
    "the follower sends a heartbeat of another generation",
    "the follower leaves",
    "a stranger leaves",
    "the follower commits",
    "the follower commits in another generation",
    "nobody commits",
    "the group is deleted",
    "the offset of a topic that is read is deleted",
    "the time to join or sync is over",
];

fn said(error: ErrorCode) -> String {
    format!("{error:?}")
}

fn told(answer: Option<Result<GroupReply, ErrorCode>>) -> String {
    match answer {
        None => "waits".to_owned(),
        Some(Err(error)) => said(error),
        Some(Ok(GroupReply::Join(Joined { error: Some(error), .. }))) => said(error),
        Some(Ok(GroupReply::Join(joined))) => format!("joins {}", joined.generation),
        Some(Ok(GroupReply::Sync(synced))) => {
            if synced.assignment.is_empty() { "syncs, nothing" } else { "syncs" }.to_owned()
        }
        Some(Ok(GroupReply::Left(left))) => said(left[0].1),
        Some(Ok(GroupReply::Partitions(results))) => said(results[0].1[0].1),
        Some(Ok(_)) => said(ErrorCode::None),
    }
}

fn play(state: &str, event: &str) -> (String, String) {
    let Scene { mut story, leader, follower, generation } = scene(state);
    let follows = member(&follower, None, generation);
    let later = member(&follower, None, generation + 1);
    let stranger = member("stranger", None, generation);
    let sync = |who: MemberRef, assigns: bool| {
        let everyone = [&leader, &follower].map(|id| (id.clone(), Bytes::from_static(b"this")));
        let assignments = if assigns { everyone.to_vec() } else { Vec::new() };
        GroupCommand::Sync(SyncGroup { member: who, assignments, ..SyncGroup::default() })
    };
    let leave = |id: &str| {
        let leaving = LeavingMember { member_id: id.to_owned(), instance_id: None };
        GroupCommand::Leave(LeaveGroup { group: "g".to_owned(), members: vec![leaving] })
    };
    let commit = |who: MemberRef| {
        let offset =
            OffsetToCommit { partition: 0, offset: 7, leader_epoch: -1, metadata: String::new() };
        let topics = vec![("t".to_owned(), Uuid::ZERO, vec![offset])];
        GroupCommand::Commit(CommitOffsets { member: who, topics, ..CommitOffsets::default() })
    };
    let ticket = match event {
        "a stranger joins without an id" => story.join("", None, true),
        "a stranger joins with an id" => story.join("stranger", None, true),
        "the leader joins again" => story.join(&leader, None, true),
        "the follower joins again" => story.join(&follower, None, true),
        "the follower joins with another protocol list" => {
            let protocols = vec![
                ("range".to_owned(), subscription("u")),
                ("sticky".to_owned(), subscription("u")),
            ];
            story.join_with(&follower, None, true, protocols)
        }
        "a static member joins" => story.join("", Some("i"), true),
        "the leader syncs" => story.send(sync(member(&leader, None, generation), true)),
        "the follower syncs" => story.send(sync(follows, false)),
        "a stranger syncs" => story.send(sync(stranger, false)),
        "the follower syncs in another generation" => story.send(sync(later, false)),
        "the follower sends a heartbeat" => story.send(GroupCommand::Heartbeat(follows)),
        "a stranger sends a heartbeat" => story.send(GroupCommand::Heartbeat(stranger)),
        "the follower sends a heartbeat of another generation" => {
            story.send(GroupCommand::Heartbeat(later))
        }
        "the follower leaves" => story.send(leave(&follower)),
        "a stranger leaves" => story.send(leave("stranger")),
        "the follower commits" => story.send(commit(follows)),
        "the follower commits in another generation" => story.send(commit(later)),
        "nobody commits" => story.send(commit(member("", None, -1))),
        "the group is deleted" => story.send(GroupCommand::Delete("g".to_owned())),
        "the offset of a topic that is read is deleted" => {
            let topics = vec![("t".to_owned(), vec![0])];
            story.send(GroupCommand::DeleteOffsets(DeleteOffsets { group: "g".into(), topics }))
        }
        "the time to join or sync is over" => {
            // Both members are heard of all the while.
            for _ in 0..3 {
                story.pass(Duration::from_secs(7));
                for id in [&leader, &follower] {
                    story.send(GroupCommand::Heartbeat(member(id, None, generation)));
                }
            }
            Ticket(0)
        }
        _ => panic!("{event}"),
    };
    let answer = match event {
        "the time to join or sync is over" => "-".to_owned(),
        _ => told(story.answer(ticket)),
    };
    let after = match story.ask(GroupCommand::Describe("g".into())) {
        Ok(GroupReply::Described(group)) => group.state.to_owned(),
        _ => "(none)".to_owned(),
    };
    (answer, after)
}

/// Plays each event in each state, and holds what comes of it against a table: an event, and below it
/// a line for each state.
pub(in crate::coordinator::groups) fn hold_against_table(
    table: &str,
    events: &[&str],
    states: &[&str],
    play: impl Fn(&str, &str) -> String,
) {
    let width = states.iter().map(|state| state.len() + 1).max().unwrap_or(0);
    let mut played = String::new();
    for event in events {
        played.push_str(event);
        played.push('\n');
        for state in states {
            played.push_str(&format!("    {state:width$}{}\n", play(state, event)));
        }
    }
    for (played, expected) in played.lines().zip(table.lines()) {
        assert_eq!(played, expected);
    }
    assert_eq!(played.len(), table.len(), "{played}");
}

#[test]
fn every_event_in_every_state_ends_as_the_table_says() {
    hold_against_table(TABLE, &EVENTS, &STATES, |state, event| {
        let (answer, after) = play(state, event);
        if after == state { answer } else { format!("{answer} -> {after}") }
    });
}

const TABLE: &str = "\
a stranger joins without an id
    (none)              MemberIdRequired -> Empty
    Empty               MemberIdRequired
    PreparingRebalance  MemberIdRequired
    CompletingRebalance MemberIdRequired
    Stable              MemberIdRequired
a stranger joins with an id
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  UnknownMemberId
    CompletingRebalance UnknownMemberId
    Stable              UnknownMemberId
the leader joins again
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  waits
    CompletingRebalance joins 2
    Stable              waits -> PreparingRebalance
the follower joins again
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  joins 2 -> CompletingRebalance
    CompletingRebalance joins 2
    Stable              joins 1
the follower joins with another protocol list
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  joins 2 -> CompletingRebalance
    CompletingRebalance waits -> PreparingRebalance
    Stable              waits -> PreparingRebalance
a static member joins
    (none)              waits -> PreparingRebalance
    Empty               waits -> PreparingRebalance
    PreparingRebalance  waits
    CompletingRebalance waits -> PreparingRebalance
    Stable              waits -> PreparingRebalance
the leader syncs
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  RebalanceInProgress
    CompletingRebalance syncs -> Stable
    Stable              syncs
the follower syncs
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  RebalanceInProgress
    CompletingRebalance waits
    Stable              syncs
a stranger syncs
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  UnknownMemberId
    CompletingRebalance UnknownMemberId
    Stable              UnknownMemberId
the follower syncs in another generation
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  IllegalGeneration
    CompletingRebalance IllegalGeneration
    Stable              IllegalGeneration
the follower sends a heartbeat
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  RebalanceInProgress
    CompletingRebalance None
    Stable              None
a stranger sends a heartbeat
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  UnknownMemberId
    CompletingRebalance UnknownMemberId
    Stable              UnknownMemberId
the follower sends a heartbeat of another generation
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  IllegalGeneration
    CompletingRebalance IllegalGeneration
    Stable              IllegalGeneration
the follower leaves
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  None -> CompletingRebalance
    CompletingRebalance None -> PreparingRebalance
    Stable              None -> PreparingRebalance
a stranger leaves
    (none)              UnknownMemberId
    Empty               UnknownMemberId
    PreparingRebalance  UnknownMemberId
    CompletingRebalance UnknownMemberId
    Stable              UnknownMemberId
the follower commits
    (none)              IllegalGeneration
    Empty               UnknownMemberId
    PreparingRebalance  None
    CompletingRebalance RebalanceInProgress
    Stable              None
the follower commits in another generation
    (none)              IllegalGeneration
    Empty               UnknownMemberId
    PreparingRebalance  IllegalGeneration
    CompletingRebalance IllegalGeneration
    Stable              IllegalGeneration
nobody commits
    (none)              None -> Empty
    Empty               None
    PreparingRebalance  UnknownMemberId
    CompletingRebalance UnknownMemberId
    Stable              UnknownMemberId
the group is deleted
    (none)              GroupIdNotFound
    Empty               None -> (none)
    PreparingRebalance  NonEmptyGroup
    CompletingRebalance NonEmptyGroup
    Stable              NonEmptyGroup
the offset of a topic that is read is deleted
    (none)              GroupIdNotFound
    Empty               None
    PreparingRebalance  GroupSubscribedToTopic
    CompletingRebalance GroupSubscribedToTopic
    Stable              GroupSubscribedToTopic
the time to join or sync is over
    (none)              -
    Empty               -
    PreparingRebalance  - -> CompletingRebalance
    CompletingRebalance - -> Empty
    Stable              -
";
