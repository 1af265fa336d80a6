//! What a consumer group answers to each event in each of its states, and what it is at then: one
//! reviewed table (Kafka 4.4 `GroupMetadataManager.consumerGroupHeartbeat` and what it calls).

use super::*;
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::groups::tests::matrix::hold_against_table;

const STATES: [&str; 5] = ["(none)", "Empty", "Assigning", "Reconciling", "Stable"];

/// A group of two members that has come to a state. While it assigns, the second has just come;
/// while it reconciles, the first has yet to give up a partition for it.
fn scene(state: &str) -> Story {
    let mut story = Story::new(&[("t", 1, 2), ("u", 2, 1)]);
    if state == "Assigning" {
        let mut config = usual_config();
        let interval = Bounded { usual_ms: 5_000, min_ms: 0, max_ms: 15_000 };
        config.assignment_interval_of = Arc::new(move |_| interval);
        story.shard = shard(config);
        story.load();
    }
    if state == "(none)" {
        return story;
    }
    story.join("a", &["t"]).unwrap();
    story.join("b", &["t"]).unwrap();
    match state {
        "Empty" => {
            for id in ["a", "b"] {
                story.ask(heartbeat(id, LEAVE_EPOCH)).unwrap();
            }
        }
        "Stable" => {
            for id in ["a", "a", "b", "b"] {
                story.beat(id).unwrap();
            }
        }
        _ => {}
    }
    assert_eq!(story.group().state(), state);
    story
}

const EVENTS: [&str; 20] = [
    "a member joins",
    "a static member joins",
    "a joins again",
    "a says what it has",
    "a says nothing new",
    "a is an epoch behind, and says what it has",
    "a is an epoch behind, and says nothing",
    "a is an epoch ahead",
    "b subscribes to another topic",
    "a stranger sends a heartbeat",
    "a leaves",
    "a stranger leaves",
    "a leaves for a while",
    "a classic member joins",
    "a commits",
    "a commits in a later epoch",
    "nobody commits",
    "the group is deleted",
    "the offset of a topic that is read is deleted",
    "the time to give partitions up is over",
];

fn play(state: &str, event: &str) -> (String, String) {
    let mut story = scene(state);
    let client = story.clients.get("a").cloned().unwrap_or_default();
    let (epoch, owned) = (client.epoch.max(1), Some(client.owned));
    let member = |id: &str, epoch| heartbeat(id, epoch).member;
    let commit = |who: MemberRef| {
        let offset =
            OffsetToCommit { partition: 0, offset: 7, leader_epoch: -1, metadata: String::new() };
        let topics = vec![("t".to_owned(), crate::types::Uuid::ZERO, vec![offset])];
        let says_no_group = true;
        GroupCommand::Commit(CommitOffsets {
            member: who,
            topics,
            says_no_group,
            ..CommitOffsets::default()
        })
    };
    let beat = |asked: ConsumerHeartbeat| GroupCommand::ConsumerHeartbeat(Box::new(asked));
    let command = match event {
        "a member joins" => beat(joining("c", &["t"])),
        "a static member joins" => beat(of_instance("i", joining("c", &["t"]))),
        "a joins again" => beat(joining("a", &["t"])),
        "a says what it has" => beat(ConsumerHeartbeat { owned, ..heartbeat("a", epoch) }),
        "a says nothing new" => beat(heartbeat("a", epoch)),
        "a is an epoch behind, and says what it has" => {
            beat(ConsumerHeartbeat { owned, ..heartbeat("a", epoch - 1) })
        }
        "a is an epoch behind, and says nothing" => beat(heartbeat("a", epoch - 1)),
        "a is an epoch ahead" => beat(heartbeat("a", epoch + 1)),
        "b subscribes to another topic" => {
            let names = Some(vec!["u".to_owned()]);
            let epoch = story.clients.get("b").map_or(1, |client| client.epoch);
            beat(ConsumerHeartbeat { names, ..heartbeat("b", epoch) })
        }
        "a stranger sends a heartbeat" => beat(heartbeat("stranger", epoch)),
        "a leaves" => beat(heartbeat("a", LEAVE_EPOCH)),
        "a stranger leaves" => beat(heartbeat("stranger", LEAVE_EPOCH)),
        "a leaves for a while" => beat(heartbeat("a", LEAVE_FOR_A_WHILE_EPOCH)),
        "a classic member joins" => GroupCommand::Join(Box::new(JoinGroup {
            member: member("", -1),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000,
            protocol_type: "consumer".into(),
            protocols: vec![(
                "range".into(),
                vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into(),
            )],
            requires_known_member_id: true,
            fresh_id: "classic".into(),
            ..JoinGroup::default()
        })),
        "a commits" => commit(member("a", epoch)),
        "a commits in a later epoch" => commit(member("a", epoch + 1)),
        "nobody commits" => commit(member("", -1)),
        "the group is deleted" => GroupCommand::Delete("g".to_owned()),
        "the offset of a topic that is read is deleted" => {
            let topics = vec![("t".to_owned(), vec![0])];
            GroupCommand::DeleteOffsets(DeleteOffsets { group: "g".into(), topics })
        }
        "the time to give partitions up is over" => {
            // Both are heard of, and a is told to give one up when it is time to.
            for _ in 0..4 {
                for id in ["a", "b"] {
                    let epoch = story.clients.get(id).map_or(1, |client| client.epoch);
                    let _ = story.ask(heartbeat(id, epoch));
                }
                story.pass(Duration::from_secs(10));
            }
            GroupCommand::List
        }
        _ => panic!("{event}"),
    };
    let answer = match story.send(command) {
        Err(error) => format!("{error:?}"),
        Ok(GroupReply::ConsumerHeartbeat(Err(refused))) => format!("{:?}", refused.error),
        Ok(GroupReply::ConsumerHeartbeat(Ok(told))) => match told.assignment {
            Some(given) => {
                let partitions: Vec<_> = given.values().flatten().collect();
                format!("epoch {}, has {partitions:?}", told.epoch)
            }
            None => format!("epoch {}", told.epoch),
        },
        Ok(GroupReply::Join(Joined { error: Some(error), .. })) => format!("{error:?}"),
        Ok(GroupReply::Partitions(results)) => format!("{:?}", results[0].1[0].1),
        Ok(GroupReply::Listed(_)) => "-".to_owned(),
        Ok(GroupReply::Done) => "None".to_owned(),
        Ok(other) => panic!("{other:?}"),
    };
    let after = match story.shard.groups.get("g") {
        Some(Group::Consumer(group)) => {
            format!("{} of {}", group.state(), group.members.len())
        }
        Some(Group::Classic(_)) => "classic".to_owned(),
        None => "(none)".to_owned(),
    };
    (answer, after)
}

#[test]
fn every_event_in_every_state_ends_as_the_table_says() {
    hold_against_table(TABLE, &EVENTS, &STATES, |state, event| {
        let (answer, after) = play(state, event);
        format!("{answer} -> {after}")
    });
}

const TABLE: &str = "\
a member joins
    (none)      epoch 2, has [0, 1] -> Stable of 1
    Empty       epoch 6, has [0, 1] -> Stable of 1
    Assigning   epoch 2, has [] -> Assigning of 3
    Reconciling epoch 4, has [] -> Reconciling of 3
    Stable      epoch 4, has [] -> Reconciling of 3
a static member joins
    (none)      epoch 2, has [0, 1] -> Stable of 1
    Empty       epoch 6, has [0, 1] -> Stable of 1
    Assigning   epoch 2, has [] -> Assigning of 3
    Reconciling epoch 4, has [] -> Reconciling of 3
    Stable      epoch 4, has [] -> Reconciling of 3
a joins again
    (none)      epoch 2, has [0, 1] -> Stable of 1
    Empty       epoch 6, has [0, 1] -> Stable of 1
    Assigning   epoch 2, has [0, 1] -> Assigning of 2
    Reconciling epoch 3, has [0] -> Reconciling of 2
    Stable      epoch 3, has [0] -> Stable of 2
a says what it has
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   epoch 2 -> Assigning of 2
    Reconciling epoch 2, has [0] -> Reconciling of 2
    Stable      epoch 3 -> Stable of 2
a says nothing new
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   epoch 2 -> Assigning of 2
    Reconciling epoch 2, has [0] -> Reconciling of 2
    Stable      epoch 3 -> Stable of 2
a is an epoch behind, and says what it has
    (none)      InvalidRequest -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   FencedMemberEpoch -> Assigning of 2
    Reconciling FencedMemberEpoch -> Reconciling of 2
    Stable      epoch 3 -> Stable of 2
a is an epoch behind, and says nothing
    (none)      InvalidRequest -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   FencedMemberEpoch -> Assigning of 2
    Reconciling FencedMemberEpoch -> Reconciling of 2
    Stable      FencedMemberEpoch -> Stable of 2
a is an epoch ahead
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   FencedMemberEpoch -> Assigning of 2
    Reconciling FencedMemberEpoch -> Reconciling of 2
    Stable      FencedMemberEpoch -> Stable of 2
b subscribes to another topic
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   epoch 2 -> Assigning of 2
    Reconciling epoch 4, has [0] -> Reconciling of 2
    Stable      epoch 3, has [] -> Reconciling of 2
a stranger sends a heartbeat
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   UnknownMemberId -> Assigning of 2
    Reconciling UnknownMemberId -> Reconciling of 2
    Stable      UnknownMemberId -> Stable of 2
a leaves
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   epoch -1 -> Assigning of 1
    Reconciling epoch -1 -> Assigning of 1
    Stable      epoch -1 -> Assigning of 1
a stranger leaves
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   UnknownMemberId -> Assigning of 2
    Reconciling UnknownMemberId -> Reconciling of 2
    Stable      UnknownMemberId -> Stable of 2
a leaves for a while
    (none)      InvalidRequest -> (none)
    Empty       InvalidRequest -> Empty of 0
    Assigning   InvalidRequest -> Assigning of 2
    Reconciling InvalidRequest -> Reconciling of 2
    Stable      InvalidRequest -> Stable of 2
a classic member joins
    (none)      MemberIdRequired -> classic
    Empty       MemberIdRequired -> classic
    Assigning   MemberIdRequired -> Assigning of 2
    Reconciling MemberIdRequired -> Reconciling of 2
    Stable      MemberIdRequired -> Stable of 2
a commits
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   None -> Assigning of 2
    Reconciling None -> Reconciling of 2
    Stable      None -> Stable of 2
a commits in a later epoch
    (none)      GroupIdNotFound -> (none)
    Empty       UnknownMemberId -> Empty of 0
    Assigning   StaleMemberEpoch -> Assigning of 2
    Reconciling StaleMemberEpoch -> Reconciling of 2
    Stable      StaleMemberEpoch -> Stable of 2
nobody commits
    (none)      None -> classic
    Empty       None -> Empty of 0
    Assigning   UnknownMemberId -> Assigning of 2
    Reconciling UnknownMemberId -> Reconciling of 2
    Stable      UnknownMemberId -> Stable of 2
the group is deleted
    (none)      GroupIdNotFound -> (none)
    Empty       None -> (none)
    Assigning   NonEmptyGroup -> Assigning of 2
    Reconciling NonEmptyGroup -> Reconciling of 2
    Stable      NonEmptyGroup -> Stable of 2
the offset of a topic that is read is deleted
    (none)      GroupIdNotFound -> (none)
    Empty       None -> Empty of 0
    Assigning   GroupSubscribedToTopic -> Assigning of 2
    Reconciling GroupSubscribedToTopic -> Reconciling of 2
    Stable      GroupSubscribedToTopic -> Stable of 2
the time to give partitions up is over
    (none)      - -> (none)
    Empty       - -> Empty of 0
    Assigning   - -> Assigning of 1
    Reconciling - -> Stable of 1
    Stable      - -> Stable of 2
";
