//! Failures that group coordinators have had, each as the story that must end well.

use super::*;
use crate::coordinator::records::classic::{OffsetCommitKey, OffsetCommitValue};
use crate::metadata::MetadataImage;
use crate::metadata::image::Changes;
use crate::metadata::record::{MetadataRecord, TopicRecord};

fn offset_record(offset: i64) -> GroupRecord {
    let key = OffsetCommitKey { group: "g".to_owned(), topic: "t".to_owned(), partition: 0 };
    GroupRecord::OffsetCommit(
        key,
        Some(OffsetCommitValue { offset, ..OffsetCommitValue::default() }),
    )
}

fn leave(story: &mut Story, id: &str) {
    let leaving = LeavingMember { member_id: id.to_owned(), instance_id: None };
    let left = LeaveGroup { group: "g".into(), members: vec![leaving] };
    assert!(matches!(story.ask(GroupCommand::Leave(left)), Ok(GroupReply::Left(_))));
}

/// Time passes, and members are heard of meanwhile.
fn pass_alive(story: &mut Story, ids: &[String], generation: i32, seconds: u64) {
    for _ in 0..seconds / 5 {
        story.pass(Duration::from_secs(5));
        for id in ids {
            let _ = story.ask(GroupCommand::Heartbeat(member(id, None, generation)));
        }
    }
}

/// KIP-211; offsets of a group that rebalanced for long were lost (KAFKA-13636).
#[test]
fn offsets_of_a_group_that_has_members_do_not_expire_unless_nobody_reads_the_topic() {
    let mut story = Story::new();
    let ids = story.stable(&[None, None]);
    let who = member(&ids[0], None, 1);
    story.commit(who.clone(), 1, "").unwrap();
    story.commit_to("unread", who, 1, "").unwrap();
    pass_alive(&mut story, &ids, 1, 90);
    assert_eq!(story.committed(false).0, 1, "a member reads it");
    assert_eq!(story.committed_to("unread", false).0, -1);
    // It is being rebalanced: nobody knows who reads what.
    let who = member(&ids[0], None, 1);
    story.commit_to("unread", who, 1, "").unwrap();
    story.shard.classic("g").unwrap().members[&*ids[0]].rebalance_timeout_ms = 200_000;
    leave(&mut story, &ids[1]);
    pass_alive(&mut story, &ids[..1], 1, 90);
    assert_eq!(story.state(), "PreparingRebalance");
    assert_eq!(story.committed_to("unread", false).0, 1);
}

/// KIP-211.
#[test]
fn offsets_of_a_group_expire_a_while_after_it_has_become_empty() {
    let mut story = Story::new();
    let ids = story.stable(&[None]);
    story.commit(member(&ids[0], None, 1), 1, "").unwrap();
    pass_alive(&mut story, &ids, 1, 200);
    leave(&mut story, &ids[0]);
    story.pass(Duration::from_secs(50));
    let mut story = story.reloaded();
    assert_eq!(story.committed(false).0, 1, "since it became so, not since the commit");
    story.pass(Duration::from_secs(30));
    assert_eq!(story.committed(false).0, -1, "whoever loaded it knows since when");
}

/// Commits of old clients lost their own expiry when they were loaded (KAFKA-8069).
#[test]
fn an_offset_with_an_expiry_of_its_own_keeps_it_when_it_is_loaded() {
    let mut story = Story::new();
    let key = OffsetCommitKey { group: "g".to_owned(), topic: "t".to_owned(), partition: 0 };
    let value = OffsetCommitValue {
        offset: 5,
        commit_timestamp: story.wall,
        expire_timestamp: story.wall + 300_000,
        ..OffsetCommitValue::default()
    };
    let record = GroupRecord::OffsetCommit(key, Some(value));
    let (bytes, value) = Groups::encode(&record).unwrap();
    assert_eq!(value.as_ref().unwrap()[..2], [0, 1], "the version that has one");
    story.log.push(Groups::decode(&bytes, value.as_deref()).unwrap());
    let mut story = story.reloaded();
    story.pass(Duration::from_secs(290));
    assert_eq!(story.committed(false).0, 5, "longer than the usual retention");
    story.pass(Duration::from_secs(20));
    assert_eq!(story.committed(false).0, -1);
}

/// A coordinator that took over in the middle of transactions made the offsets count whose marker came last.
#[test]
fn offsets_of_transactions_that_were_open_when_the_log_was_read_count_by_their_place_in_it() {
    let (first, second) = (Producer { id: 1, epoch: 0 }, Producer { id: 2, epoch: 0 });
    for (markers, expected) in [
        (vec![(second, Outcome::Committed), (first, Outcome::Committed)], 20),
        (vec![(first, Outcome::Committed), (second, Outcome::Aborted)], 10),
        (vec![(first, Outcome::Aborted), (second, Outcome::Aborted)], 1),
    ] {
        let mut story = Story::new();
        story.shard.apply(0, None, offset_record(1));
        story.shard.apply(1, Some(first), offset_record(10));
        story.shard.apply(2, Some(second), offset_record(20));
        story.begin();
        assert_eq!(story.committed(true).1, ErrorCode::UnstableOffsetCommit);
        for (producer, outcome) in markers {
            story.shard.apply_marker(producer, outcome);
        }
        assert_eq!(story.committed(true), (expected, ErrorCode::None));
    }
    // A plain commit behind it is the newer one.
    let mut story = Story::new();
    story.shard.apply(1, Some(first), offset_record(10));
    story.shard.apply(2, None, offset_record(30));
    story.shard.apply_marker(first, Outcome::Committed);
    assert_eq!(story.committed(true), (30, ErrorCode::None));
}

/// A group whose record was larger than a read could not be loaded (KAFKA-7286).
#[test]
fn a_group_of_a_thousand_members_is_loaded() {
    let mut story = Story::new();
    let config = GroupsConfig { members_max: 2_000, ..GroupsConfig::clone(&story.shard.config) };
    story.shard.config = Arc::new(config);
    for _ in 0..1_000 {
        story.join("", None, false);
    }
    story.pass(Duration::from_secs(7));
    let group = story.shard.classic("g").unwrap();
    let ids: Vec<String> = group.members.keys().map(ToString::to_string).collect();
    let leader = group.leader.clone().unwrap();
    let big = Bytes::from(vec![7; 2_000]);
    let assignments = ids.iter().map(|id| (id.clone(), big.clone())).collect();
    let sync = SyncGroup { member: member(&leader, None, 1), assignments, ..SyncGroup::default() };
    assert!(matches!(story.ask(GroupCommand::Sync(sync)), Ok(GroupReply::Sync(_))));
    let config = Arc::clone(&story.shard.config);
    let mut story = story.reloaded();
    story.shard.config = config;
    assert_eq!(story.state(), "Stable");
    for id in ids {
        assert!(story.ask(GroupCommand::Heartbeat(member(&id, None, 1))).is_ok());
    }
}

/// KIP-389.
#[test]
fn a_group_that_is_larger_than_it_may_be_when_it_is_loaded_rebalances() {
    let mut story = Story::new();
    let ids = story.stable(&[None, None, None]);
    let config = GroupsConfig { members_max: 2, ..GroupsConfig::clone(&story.shard.config) };
    story.shard.config = Arc::new(config);
    let mut story = story.reloaded();
    assert_eq!(story.state(), "PreparingRebalance");
    let who = member(&ids[0], None, 1);
    assert_eq!(story.commit(who, 1, ""), Ok(ErrorCode::None), "there is time to commit");
    let tickets: Vec<Ticket> = ids.iter().map(|id| story.join(id, None, true)).collect();
    assert_eq!(story.joined(tickets[2]).error, Some(ErrorCode::GroupMaxSizeReached));
    story.pass(Duration::from_secs(20));
    assert_eq!(story.joined(tickets[0]).generation, 2);
    assert_eq!(story.joined(tickets[1]).generation, 2);
}

/// A group stayed in CompletingRebalance for ever (KAFKA-12890).
#[test]
fn a_rebalance_ends_though_a_member_does_not_sync() {
    let mut story = Story::new();
    let ids = story.stable(&[None, None]);
    let leader = story.join(&ids[0], None, true);
    let follower = story.join(&ids[1], None, true);
    assert_eq!((story.joined(leader).generation, story.joined(follower).generation), (2, 2));
    let sync = SyncGroup { member: member(&ids[1], None, 2), ..SyncGroup::default() };
    let waiting = story.send(GroupCommand::Sync(sync));
    // The leader is alive, and never assigns.
    pass_alive(&mut story, &ids[..1], 2, 20);
    assert_eq!(story.answer(waiting), Some(Err(ErrorCode::RebalanceInProgress)));
    assert_eq!(story.state(), "PreparingRebalance");
    let again = story.join(&ids[1], None, true);
    assert_eq!((story.joined(again).generation, story.state()), (3, "CompletingRebalance"));
}

/// A member that joined while a rebalance waited, and gave up, held it up for as long as its session (KAFKA-9752).
#[test]
fn a_member_that_is_kept_waiting_when_it_joins_is_forgotten_after_five_minutes() {
    let mut story = Story::new();
    let ids = story.stable(&[None]);
    story.shard.classic("g").unwrap().members[&*ids[0]].rebalance_timeout_ms = 900_000;
    let waiting = story.join("", None, false);
    pass_alive(&mut story, &ids, 1, 295);
    assert_eq!(story.answer(waiting), None);
    assert_eq!(story.shard.classic("g").unwrap().members.len(), 2);
    pass_alive(&mut story, &ids, 1, 10);
    assert_eq!(story.joined(waiting).error, Some(ErrorCode::UnknownMemberId));
    assert_eq!(story.shard.classic("g").unwrap().members.len(), 1);
    let again = story.join(&ids[0], None, true);
    assert_eq!(story.joined(again).generation, 2, "the rebalance waits for nobody else");
}

/// A static member that was gone held a rebalance up (KAFKA-10401).
#[test]
fn a_rebalance_ends_though_a_static_member_does_not_come() {
    let mut story = Story::new();
    let ids = story.stable(&[None, Some("i")]);
    let leader = story.join(&ids[0], None, true);
    assert_eq!(story.answer(leader), None);
    // It sends heartbeats, and never joins.
    pass_alive(&mut story, &ids[1..], 1, 20);
    assert_eq!(story.joined(leader).generation, 2);
    assert_eq!(story.shard.classic("g").unwrap().members.len(), 2, "it keeps its place for now");
    let assignments = vec![(ids[0].clone(), Bytes::from_static(b"all"))];
    let sync = SyncGroup { member: member(&ids[0], None, 2), assignments, ..SyncGroup::default() };
    assert!(matches!(story.ask(GroupCommand::Sync(sync)), Ok(GroupReply::Sync(_))));
    assert_eq!(story.state(), "Stable");
    pass_alive(&mut story, &ids[..1], 2, 20);
    assert_eq!(story.shard.classic("g").unwrap().members.len(), 1);
    assert_eq!(story.state(), "PreparingRebalance", "what it had is given to others");
}

/// A static member that came back at that moment was left without an assignment (KAFKA-9801).
#[test]
fn a_static_member_that_restarts_while_a_rebalance_completes_takes_part_in_it() {
    let mut story = Story::new();
    let ids = story.stable(&[None, Some("i")]);
    story.join(&ids[0], None, true);
    story.join(&ids[1], Some("i"), true);
    assert_eq!(story.state(), "CompletingRebalance");
    let back = story.join("", Some("i"), true);
    assert_eq!(story.state(), "PreparingRebalance", "the others join again");
    let other = story.join(&ids[0], None, true);
    let (back, other) = (story.joined(back), story.joined(other));
    assert_eq!((back.generation, other.generation), (3, 3));
    let group = story.shard.classic("g").unwrap();
    assert_eq!((group.members.len(), &*group.instances["i"]), (2, &*back.member_id));
}

/// A living member that joined with the instance of another took its place in the index of instances.
#[test]
fn a_member_that_asks_with_the_instance_of_another_is_fenced_and_the_other_stays() {
    let mut story = Story::new();
    let ids = story.stable(&[Some("i"), None]);
    for (id, instance, error) in [
        (&ids[1], "i", ErrorCode::FencedInstanceId),
        (&ids[1], "new", ErrorCode::UnknownMemberId),
        (&ids[0], "new", ErrorCode::UnknownMemberId),
    ] {
        let ticket = story.join(id, Some(instance), true);
        assert_eq!(story.joined(ticket).error, Some(error), "{id} {instance}");
    }
    let group = story.shard.classic("g").unwrap();
    assert_eq!(group.instances.len(), 1);
    assert_eq!(*group.instances["i"], *ids[0]);
    assert_eq!(story.state(), "Stable");
}

/// Those who came at once were more than `group.max.size` (KAFKA-9844).
#[test]
fn a_full_group_takes_as_many_as_it_may_of_those_who_come_at_once() {
    let mut story = Story::new();
    let tickets: Vec<Ticket> = (0..6).map(|_| story.join("", None, false)).collect();
    story.pass(Duration::from_secs(20));
    let joined: Vec<Joined> = tickets.into_iter().map(|ticket| story.joined(ticket)).collect();
    let full = Some(ErrorCode::GroupMaxSizeReached);
    assert_eq!(joined.iter().filter(|joined| joined.error == full).count(), 3);
    assert_eq!(joined.iter().filter(|joined| joined.error.is_none()).count(), 3);
}

/// Offsets outlived their topic (KAFKA-2000).
#[test]
fn offsets_of_a_topic_that_is_deleted_do_not_come_back_with_its_name() {
    let image_with = |number: u64| {
        let mut image = MetadataImage::default();
        let topic_id = crate::types::TopicId::from_halves(7, number);
        let topic = TopicRecord { name: "t".to_owned(), topic_id };
        image.apply(&MetadataRecord::Topic(topic), &mut Changes::default()).unwrap();
        Arc::new(image)
    };
    let mut story = Story::new();
    let GroupRecord::OffsetCommit(key, Some(value)) = offset_record(5) else { panic!() };
    let topic_id = crate::types::TopicId::from_halves(7, 1);
    let value = OffsetCommitValue { topic_id, ..value };
    story.shard.apply(0, None, GroupRecord::OffsetCommit(key, Some(value)));
    let look = |story: &mut Story, image: Arc<MetadataImage>| {
        story.tickets += 1;
        let fetch = FetchOffsets {
            group: "g".into(),
            member_epoch: -1,
            topics: Some(vec![("t".to_owned(), vec![0])]),
            ..FetchOffsets::default()
        };
        let context = ShardContext { image, ..story.context() };
        let decision =
            story.shard.decide(&context, Ticket(story.tickets), GroupCommand::Fetch(fetch));
        match decision.replies.into_iter().next() {
            Some((_, Ok(GroupReply::Fetched(topics)))) => topics[0].1[0].offset,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(look(&mut story, image_with(1)), 5);
    assert_eq!(look(&mut story, image_with(2)), -1, "another topic of this name");
    story.ask(GroupCommand::TopicsDeleted(vec!["t".to_owned()])).unwrap();
    assert_eq!(look(&mut story, image_with(1)), -1);
    let mut story = story.reloaded();
    assert_eq!(story.committed(false).0, -1);
}

/// Offsets that were acknowledged before a move of the coordinator were gone behind it.
#[test]
fn a_coordinator_that_takes_over_in_any_state_has_what_was_committed() {
    for state in ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable"] {
        let mut story = Story::new();
        let ids = story.stable(&[None, None]);
        story.commit(member(&ids[0], None, 1), 42, "").unwrap();
        match state {
            "Empty" => ids.iter().for_each(|id| leave(&mut story, id)),
            "PreparingRebalance" => {
                story.join(&ids[0], None, true);
            }
            "CompletingRebalance" => ids.iter().for_each(|id| {
                story.join(id, None, true);
            }),
            _ => {}
        }
        assert_eq!(story.state(), state);
        let mut story = story.reloaded();
        assert_eq!(story.committed(true), (42, ErrorCode::None), "{state}");
        if state == "Empty" {
            assert_eq!(story.state(), "Empty");
            continue;
        }
        // The last generation that was written goes on; members find out on their own.
        assert_eq!(story.state(), "Stable", "{state}");
        assert_eq!(story.commit(member(&ids[1], None, 1), 43, ""), Ok(ErrorCode::None));
        let again: Vec<Ticket> = ids.iter().map(|id| story.join(id, None, true)).collect();
        assert_eq!(story.joined(again[0]).generation, 2);
    }
}
