//! Stories of groups: what members are told, and what is written.

pub(super) mod matrix;
mod scenarios;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::command::*;
use super::{Groups, GroupsConfig};
use crate::config::MigrationPolicy;
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{Decision, Outcome, Producer, Shard, ShardContext, Ticket};
use crate::types::{ErrorCode, Mono, Timestamp, Uuid};

/// A shard, its clock, and everything it has written.
struct Story {
    shard: Groups,
    now: Mono,
    wall: i64,
    tickets: u64,
    log: Vec<GroupRecord>,
    replies: Vec<(Ticket, Result<GroupReply, ErrorCode>)>,
}

impl Story {
    fn new() -> Self {
        let config = GroupsConfig {
            session_timeout_min_ms: 6_000,
            session_timeout_max_ms: 1_800_000,
            initial_rebalance_delay: Duration::from_secs(3),
            members_max: 3,
            metadata_max_bytes: 10,
            offsets_retention_ms: 60_000,
            offsets_check_interval: Duration::from_secs(10),
            migration: MigrationPolicy { upgrade: true, downgrade: true },
            consumer: super::consumer::usual_config(),
        };
        let mut story = Self {
            shard: Groups::new(Arc::new(config)),
            now: Mono::default(),
            wall: 1_000_000,
            tickets: 0,
            log: Vec::new(),
            replies: Vec::new(),
        };
        story.begin();
        story
    }

    fn begin(&mut self) {
        let context = self.context();
        let decision = self.shard.loaded(&context);
        self.take(decision);
    }

    fn context(&self) -> ShardContext {
        ShardContext { now: self.now, wall: Timestamp(self.wall), image: Arc::default() }
    }

    fn take(&mut self, decision: Decision<Groups>) {
        for record in decision.records {
            let (key, value) = Groups::encode(&record).unwrap();
            assert_eq!(Groups::decode(&key, value.as_deref()).unwrap(), record);
            self.log.push(record.clone());
            self.shard.apply(self.log.len() as i64, decision.producer, record);
        }
        self.replies.extend(decision.replies);
    }

    fn send(&mut self, command: GroupCommand) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let context = self.context();
        let decision = self.shard.decide(&context, ticket, command);
        self.take(decision);
        ticket
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.shard.deadline().is_some_and(|deadline| deadline <= until) {
            let deadline = self.shard.deadline().unwrap().max(self.now);
            self.wall += deadline.since(self.now).as_millis() as i64;
            self.now = deadline;
            let context = self.context();
            let decision = self.shard.on_deadline(&context);
            self.take(decision);
        }
        self.wall += until.since(self.now).as_millis() as i64;
        self.now = until;
    }

    fn answer(&mut self, ticket: Ticket) -> Option<Result<GroupReply, ErrorCode>> {
        let at = self.replies.iter().position(|(of, _)| *of == ticket)?;
        Some(self.replies.remove(at).1)
    }

    fn ask(&mut self, command: GroupCommand) -> Result<GroupReply, ErrorCode> {
        let ticket = self.send(command);
        self.answer(ticket).expect("answered at once")
    }

    fn join(&mut self, id: &str, instance: Option<&str>, known: bool) -> Ticket {
        self.join_with(id, instance, known, vec![("range".into(), subscription("t"))])
    }

    fn join_with(
        &mut self,
        id: &str,
        instance: Option<&str>,
        known: bool,
        protocols: Vec<(String, Bytes)>,
    ) -> Ticket {
        self.tickets += 1;
        let fresh_id = format!("{}", self.tickets);
        self.send(GroupCommand::Join(Box::new(JoinGroup {
            member: member(id, instance, -1),
            client_id: "c".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000,
            protocol_type: "consumer".into(),
            protocols,
            requires_known_member_id: known,
            can_skip_assignment: true,
            fresh_id,
            ..JoinGroup::default()
        })))
    }

    fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.answer(ticket) {
            Some(Ok(GroupReply::Join(joined))) => joined,
            other => panic!("{other:?}"),
        }
    }

    /// A group with these many members, stable; their ids, the leader's first.
    fn stable(&mut self, instances: &[Option<&str>]) -> Vec<String> {
        let tickets: Vec<_> = instances.iter().map(|i| self.join("", *i, false)).collect();
        self.pass(Duration::from_secs(6));
        let joined: Vec<_> = tickets.into_iter().map(|ticket| self.joined(ticket)).collect();
        let ids: Vec<String> = joined.iter().map(|joined| joined.member_id.clone()).collect();
        assert_eq!(joined[0].leader, ids[0]);
        let assign = |id: &String| (id.clone(), Bytes::from(format!("for {id}")));
        for id in ids.iter().rev() {
            let leads = *id == ids[0];
            let assignments = ids.iter().filter(|_| leads).map(assign).collect();
            let generation = joined[0].generation;
            self.send(GroupCommand::Sync(SyncGroup {
                member: member(id, None, generation),
                assignments,
                ..SyncGroup::default()
            }));
        }
        assert_eq!(self.state(), "Stable");
        ids
    }

    fn state(&mut self) -> &'static str {
        match self.ask(GroupCommand::Describe("g".into())) {
            Ok(GroupReply::Described(group)) => group.state,
            other => panic!("{other:?}"),
        }
    }

    fn commit(
        &mut self,
        who: MemberRef,
        offset: i64,
        metadata: &str,
    ) -> Result<ErrorCode, ErrorCode> {
        self.commit_to("t", who, offset, metadata)
    }

    fn commit_to(
        &mut self,
        topic: &str,
        who: MemberRef,
        offset: i64,
        metadata: &str,
    ) -> Result<ErrorCode, ErrorCode> {
        let offset = OffsetToCommit {
            partition: 0,
            offset,
            leader_epoch: -1,
            metadata: metadata.to_owned(),
        };
        let topics = vec![(topic.to_owned(), Uuid::ZERO, vec![offset])];
        let command = CommitOffsets {
            member: who,
            producer: None,
            retention_ms: None,
            says_no_group: false,
            topics,
        };
        match self.ask(GroupCommand::Commit(command))? {
            GroupReply::Partitions(results) => Ok(results[0].1[0].1),
            other => panic!("{other:?}"),
        }
    }

    fn committed(&mut self, require_stable: bool) -> (i64, ErrorCode) {
        self.committed_to("t", require_stable)
    }

    fn committed_to(&mut self, topic: &str, require_stable: bool) -> (i64, ErrorCode) {
        let topics = Some(vec![(topic.to_owned(), vec![0])]);
        let command = FetchOffsets {
            group: "g".into(),
            member_id: None,
            member_epoch: -1,
            require_stable,
            topics,
        };
        match self.ask(GroupCommand::Fetch(command)) {
            Ok(GroupReply::Fetched(topics)) => (topics[0].1[0].offset, topics[0].1[0].error),
            other => panic!("{other:?}"),
        }
    }

    /// Another shard, which has read what this one wrote.
    fn reloaded(self) -> Self {
        // Tickets are never used twice.
        let tickets = self.tickets;
        let mut next = Self { now: self.now, wall: self.wall, tickets, ..Self::new() };
        next.shard = Groups::new(Arc::clone(&self.shard.config));
        for (offset, record) in self.log.into_iter().enumerate() {
            next.shard.apply(offset as i64, None, record.clone());
            next.log.push(record);
        }
        next.begin();
        next
    }
}

fn member(id: &str, instance: Option<&str>, generation: i32) -> MemberRef {
    let instance_id = instance.map(str::to_owned);
    MemberRef { group: "g".into(), member_id: id.to_owned(), instance_id, generation }
}

fn subscription(topic: &str) -> Bytes {
    let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, topic.len() as u8];
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.into()
}

#[test]
fn a_fresh_member_is_given_its_id_first_and_is_forgotten_if_it_does_not_come_back() {
    let mut story = Story::new();
    let ticket = story.join("", None, true);
    let refused = story.joined(ticket);
    assert_eq!(refused.error, Some(ErrorCode::MemberIdRequired));
    let ticket = story.join(&refused.member_id, None, true);
    story.pass(Duration::from_secs(6));
    assert_eq!(story.joined(ticket).generation, 1);

    let mut story = Story::new();
    let ticket = story.join("", None, true);
    let id = story.joined(ticket).member_id;
    story.pass(Duration::from_secs(11));
    let ticket = story.join(&id, None, true);
    assert_eq!(story.joined(ticket).error, Some(ErrorCode::UnknownMemberId));
}

#[test]
fn the_first_generation_waits_for_those_who_come_a_little_later() {
    let mut story = Story::new();
    let first = story.join("", None, false);
    story.pass(Duration::from_secs(2));
    let second = story.join("", None, false);
    story.pass(Duration::from_secs(2));
    assert_eq!(story.answer(first), None, "a member came since: it waits once more");
    story.pass(Duration::from_secs(2));
    let (first, second) = (story.joined(first), story.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
}

#[test]
fn a_member_that_leaves_makes_the_others_join_again() {
    let mut story = Story::new();
    let ids = story.stable(&[None, None]);
    let leaving = LeavingMember { member_id: ids[1].clone(), instance_id: None };
    let left = LeaveGroup { group: "g".into(), members: vec![leaving] };
    assert!(matches!(story.ask(GroupCommand::Leave(left)), Ok(GroupReply::Left(_))));
    let beat = GroupCommand::Heartbeat(member(&ids[0], None, 1));
    assert_eq!(story.ask(beat), Err(ErrorCode::RebalanceInProgress));
    let ticket = story.join(&ids[0], None, true);
    assert_eq!(story.joined(ticket).generation, 2);
}

#[test]
fn a_silent_member_is_removed_and_one_that_is_heard_of_stays() {
    let mut story = Story::new();
    let ids = story.stable(&[None, None]);
    for _ in 0..4 {
        story.pass(Duration::from_secs(3));
        let _ = story.ask(GroupCommand::Heartbeat(member(&ids[0], None, 1)));
    }
    assert_eq!(story.state(), "PreparingRebalance");
    let beat = GroupCommand::Heartbeat(member(&ids[1], None, 1));
    assert_eq!(story.ask(beat), Err(ErrorCode::UnknownMemberId));
    story.pass(Duration::from_mins(1));
    let gone = story.ask(GroupCommand::Describe("g".into()));
    assert_eq!(gone, Err(ErrorCode::GroupIdNotFound), "the other fell silent too: nothing is left");
}

#[test]
fn heartbeats_and_commits_of_others_are_told_what_they_are() {
    let mut story = Story::new();
    let ids = story.stable(&[Some("i")]);
    let cases = [
        (member("stranger", None, 1), ErrorCode::UnknownMemberId),
        (member(&ids[0], None, 7), ErrorCode::IllegalGeneration),
        (member("stranger", Some("i"), 1), ErrorCode::FencedInstanceId),
        (member(&ids[0], Some("other"), 1), ErrorCode::UnknownMemberId),
    ];
    for (who, error) in cases {
        assert_eq!(story.ask(GroupCommand::Heartbeat(who.clone())), Err(error), "{who:?}");
        assert_eq!(story.commit(who, 1, ""), Err(error));
    }
    assert_eq!(story.commit(member("", None, -1), 1, ""), Err(ErrorCode::UnknownMemberId));
    assert_eq!(story.commit(member(&ids[0], Some("i"), 1), 1, ""), Ok(ErrorCode::None));
}

#[test]
fn a_static_member_that_restarts_keeps_its_assignment_and_fences_its_old_self() {
    let mut story = Story::new();
    let ids = story.stable(&[Some("i"), None]);
    let ticket = story.join("", Some("i"), true);
    let joined = story.joined(ticket);
    assert_eq!((joined.generation, joined.skip_assignment), (1, true));
    assert_eq!(story.state(), "Stable");
    let beat = GroupCommand::Heartbeat(member(&ids[0], Some("i"), 1));
    assert_eq!(story.ask(beat), Err(ErrorCode::FencedInstanceId));
    let sync =
        SyncGroup { member: member(&joined.member_id, Some("i"), 1), ..SyncGroup::default() };
    match story.ask(GroupCommand::Sync(sync)) {
        Ok(GroupReply::Sync(synced)) => {
            assert_eq!(synced.assignment, format!("for {}", ids[0]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_group_takes_nobody_else() {
    let mut story = Story::new();
    story.stable(&[None, None, None]);
    let ticket = story.join("", None, false);
    assert_eq!(story.joined(ticket).error, Some(ErrorCode::GroupMaxSizeReached));
    assert_eq!(story.state(), "Stable");
}

#[test]
fn a_stable_group_goes_on_where_it_is_loaded() {
    let mut story = Story::new();
    let ids = story.stable(&[None, Some("i")]);
    assert_eq!(story.commit(member(&ids[0], None, 1), 42, "note"), Ok(ErrorCode::None));
    let mut story = story.reloaded();
    assert_eq!(story.state(), "Stable");
    assert_eq!(story.committed(false), (42, ErrorCode::None));
    for (id, instance) in [(&ids[0], None), (&ids[1], Some("i"))] {
        let beat = GroupCommand::Heartbeat(member(id, instance, 1));
        assert_eq!(story.ask(beat), Ok(GroupReply::Done));
    }
    story.pass(Duration::from_mins(1));
    assert_eq!(story.state(), "Empty", "sessions run from the load on");
}

#[test]
fn offsets_are_committed_by_nobody_in_particular_while_the_group_is_empty() {
    let mut story = Story::new();
    assert_eq!(story.commit(member("", None, 5), 1, ""), Err(ErrorCode::IllegalGeneration));
    assert_eq!(story.commit(member("", None, -1), 1, ""), Ok(ErrorCode::None));
    assert_eq!(
        story.commit(member("", None, -1), 2, "much too long"),
        Ok(ErrorCode::OffsetMetadataTooLarge)
    );
    assert_eq!(story.committed(true), (1, ErrorCode::None));
    let mut story = story.reloaded();
    assert_eq!(story.state(), "Empty");
    assert_eq!(story.committed(true), (1, ErrorCode::None));
}

#[test]
fn offsets_of_an_open_transaction_count_when_it_commits() {
    for (outcome, after) in [(Outcome::Committed, 9), (Outcome::Aborted, 1)] {
        let mut story = Story::new();
        assert_eq!(story.commit(member("", None, -1), 1, ""), Ok(ErrorCode::None));
        let producer = Producer { id: 7, epoch: 0 };
        let GroupRecord::OffsetCommit(key, Some(value)) = story.log[0].clone() else { panic!() };
        let value = crate::coordinator::records::classic::OffsetCommitValue { offset: 9, ..value };
        let record = GroupRecord::OffsetCommit(key, Some(value));
        story.shard.apply(5, Some(producer), record);
        assert_eq!(story.committed(false), (1, ErrorCode::None));
        assert_eq!(story.committed(true), (-1, ErrorCode::UnstableOffsetCommit));
        story.shard.apply_marker(producer, outcome);
        assert_eq!(story.committed(true), (after, ErrorCode::None));
    }
}

#[test]
fn offsets_and_their_group_are_forgotten_once_it_has_been_empty_for_long_enough() {
    let mut story = Story::new();
    let ids = story.stable(&[None]);
    assert_eq!(story.commit(member(&ids[0], None, 1), 42, ""), Ok(ErrorCode::None));
    story.pass(Duration::from_secs(40));
    assert_eq!(story.committed(false), (42, ErrorCode::None));
    story.pass(Duration::from_secs(80));
    assert_eq!(story.committed(false), (-1, ErrorCode::None));
    let gone = story.ask(GroupCommand::Describe("g".into()));
    assert_eq!(gone, Err(ErrorCode::GroupIdNotFound));
}

#[test]
fn only_an_empty_group_is_deleted_and_only_offsets_that_nobody_reads() {
    let mut story = Story::new();
    let ids = story.stable(&[None]);
    assert_eq!(story.commit(member(&ids[0], None, 1), 42, ""), Ok(ErrorCode::None));
    assert_eq!(story.ask(GroupCommand::Delete("g".into())), Err(ErrorCode::NonEmptyGroup));
    let topics = vec![("t".to_owned(), vec![0]), ("u".to_owned(), vec![0])];
    let command = DeleteOffsets { group: "g".into(), topics };
    let Ok(GroupReply::Partitions(results)) = story.ask(GroupCommand::DeleteOffsets(command))
    else {
        panic!()
    };
    assert_eq!(results[0].1, [(0, ErrorCode::GroupSubscribedToTopic)]);
    assert_eq!(results[1].1, [(0, ErrorCode::None)]);
    story.pass(Duration::from_secs(40));
    assert_eq!(story.ask(GroupCommand::Delete("g".into())), Ok(GroupReply::Done));
    assert_eq!(story.ask(GroupCommand::Delete("g".into())), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(story.committed(false), (-1, ErrorCode::None));
}
