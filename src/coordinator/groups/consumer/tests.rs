//! Stories of consumer groups, and what must be true of each whatever happens.

mod matrix;
mod migration;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::command::*;
use super::*;
use crate::config::MigrationPolicy;
use crate::coordinator::groups::command::*;
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::groups::{Group, Groups, GroupsConfig};
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{Decision, Producer, Shard, ShardContext, Ticket};
use crate::metadata::image::Changes;
use crate::metadata::record::{ConfigRecord, MetadataRecord, PartitionRecord, TopicRecord};
use crate::types::{ErrorCode, Mono, Timestamp, TopicId};

/// The usual settings, but targets are computed at once.
pub(in crate::coordinator::groups) fn usual_config() -> ConsumerConfig {
    ConsumerConfig {
        session_timeout: Bounded { usual_ms: 45_000, min_ms: 45_000, max_ms: 60_000 },
        heartbeat_interval: Bounded { usual_ms: 5_000, min_ms: 5_000, max_ms: 15_000 },
        assignment_interval_of: Arc::new(|_| Bounded { usual_ms: 0, min_ms: 0, max_ms: 15_000 }),
        members_max: 5,
        assignors: vec![Assignor::Uniform, Assignor::Range],
        regex_refresh_interval_ms: 600_000,
    }
}

fn topic_id(number: u64) -> TopicId {
    TopicId::from_halves(7, number)
}

fn image_of(topics: &[(&str, u64, i32)], offset: i64) -> MetadataImage {
    let mut image = MetadataImage::default();
    let mut changes = Changes::default();
    for (name, id, partitions) in topics {
        let topic = TopicRecord { name: (*name).to_owned(), topic_id: topic_id(*id) };
        image.apply(&MetadataRecord::Topic(topic), &mut changes).unwrap();
        for partition in 0..*partitions {
            let record = PartitionRecord {
                partition_id: partition,
                topic_id: topic_id(*id),
                replicas: vec![0],
                isr: vec![0],
                leader: 0,
                ..PartitionRecord::default()
            };
            image.apply(&MetadataRecord::Partition(record), &mut changes).unwrap();
        }
    }
    image.offset = offset;
    image
}

/// A shard, its clock, its log, and the members as their clients know themselves.
struct Story {
    shard: Groups,
    now: Mono,
    wall: i64,
    image: Arc<MetadataImage>,
    tickets: u64,
    log: Vec<GroupRecord>,
    clients: BTreeMap<String, Client>,
}

#[derive(Clone, Debug, Default)]
struct Client {
    epoch: i32,
    owned: Assignment,
    topics: Vec<String>,
    /// It got no answer: it says everything again.
    lost: bool,
}

fn shard(config: ConsumerConfig) -> Groups {
    let config = GroupsConfig {
        session_timeout_min_ms: 6_000,
        session_timeout_max_ms: 1_800_000,
        initial_rebalance_delay: Duration::from_secs(3),
        members_max: 3,
        metadata_max_bytes: 10,
        offsets_retention_ms: 60_000,
        offsets_check_interval: Duration::from_secs(1_000_000),
        migration: MigrationPolicy { upgrade: true, downgrade: true },
        consumer: config,
    };
    Groups::new(Arc::new(config))
}

impl Story {
    fn new(topics: &[(&str, u64, i32)]) -> Self {
        let mut story = Self {
            shard: shard(usual_config()),
            now: Mono::default(),
            wall: 1_000_000,
            image: Arc::new(image_of(topics, 1)),
            tickets: 0,
            log: Vec::new(),
            clients: BTreeMap::new(),
        };
        story.load();
        story
    }

    fn context(&self) -> ShardContext {
        ShardContext { now: self.now, wall: Timestamp(self.wall), image: Arc::clone(&self.image) }
    }

    fn take(&mut self, decision: Decision<Groups>) -> Option<Result<GroupReply, ErrorCode>> {
        for record in decision.records {
            let (key, value) = Groups::encode(&record).unwrap();
            assert_eq!(Groups::decode(&key, value.as_deref()).unwrap(), record);
            self.log.push(record.clone());
            self.shard.apply(self.log.len() as i64, decision.producer, record);
        }
        decision.replies.into_iter().next().map(|(_, reply)| reply)
    }

    fn send(&mut self, command: GroupCommand) -> Result<GroupReply, ErrorCode> {
        self.tickets += 1;
        let decision = self.shard.decide(&self.context(), Ticket(self.tickets), command);
        self.take(decision).unwrap()
    }

    fn ask(&mut self, asked: ConsumerHeartbeat) -> Result<HeartbeatReply, ErrorCode> {
        match self.send(GroupCommand::ConsumerHeartbeat(Box::new(asked))).unwrap() {
            GroupReply::ConsumerHeartbeat(told) => told.map_err(|refused| refused.error),
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.shard.deadline().is_some_and(|deadline| deadline <= until) {
            let deadline = self.shard.deadline().unwrap().max(self.now);
            self.wall += deadline.since(self.now).as_millis() as i64;
            self.now = deadline;
            let decision = self.shard.on_deadline(&self.context());
            self.take(decision);
        }
        self.wall += until.since(self.now).as_millis() as i64;
        self.now = until;
    }

    /// The shard dies, and another reads its log.
    fn restart(&mut self) {
        self.shard = shard(usual_config());
        for (offset, record) in self.log.clone().into_iter().enumerate() {
            self.shard.apply(offset as i64, None, record);
        }
        self.load();
    }

    /// The shard has read its log.
    fn load(&mut self) {
        let decision = self.shard.loaded(&self.context());
        self.take(decision);
    }

    fn group(&self) -> &ConsumerGroup {
        match self.shard.groups.get("g") {
            Some(Group::Consumer(group)) => group,
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, id: &str, topics: &[&str]) -> Result<HeartbeatReply, ErrorCode> {
        let told = self.ask(joining(id, topics))?;
        self.hear(id, &told);
        let client = self.clients.entry(id.to_owned()).or_default();
        client.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Ok(told)
    }

    fn hear(&mut self, id: &str, told: &HeartbeatReply) {
        let client = self.clients.entry(id.to_owned()).or_default();
        (client.epoch, client.lost) = (told.epoch, false);
        if let Some(assignment) = &told.assignment {
            client.owned = assignment.clone();
        }
    }

    /// A heartbeat that says what the client has.
    fn beat(&mut self, id: &str) -> Result<HeartbeatReply, ErrorCode> {
        let client = self.clients.get(id).cloned().unwrap_or_default();
        let asked = ConsumerHeartbeat {
            owned: Some(client.owned.clone()),
            rebalance_timeout_ms: client.lost.then_some(30_000),
            names: client.lost.then_some(client.topics),
            ..heartbeat(id, client.epoch)
        };
        let told = self.ask(asked)?;
        self.hear(id, &told);
        Ok(told)
    }

    fn has(&self, id: &str) -> Vec<i32> {
        self.clients[id].owned.values().flatten().copied().collect()
    }
}

fn heartbeat(id: &str, epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        member: MemberRef {
            group: "g".to_owned(),
            member_id: id.to_owned(),
            instance_id: None,
            generation: epoch,
        },
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        must_name_itself: true,
        ..ConsumerHeartbeat::default()
    }
}

fn joining(id: &str, topics: &[&str]) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        rebalance_timeout_ms: Some(30_000),
        names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        owned: Some(BTreeMap::new()),
        ..heartbeat(id, JOIN_EPOCH)
    }
}

fn of_instance(instance: &str, asked: ConsumerHeartbeat) -> ConsumerHeartbeat {
    let member = MemberRef { instance_id: Some(instance.to_owned()), ..asked.member.clone() };
    ConsumerHeartbeat { member, ..asked }
}

#[test]
fn a_partition_is_given_to_a_member_once_the_one_before_has_given_it_up() {
    let mut story = Story::new(&[("t", 1, 2)]);
    let first = story.join("a", &["t"]).unwrap();
    assert_eq!((first.epoch, story.has("a")), (2, vec![0, 1]));
    let second = story.join("b", &["t"]).unwrap();
    assert_eq!((second.epoch, story.has("b")), (3, vec![]), "it waits");
    let told = story.beat("a").unwrap();
    assert_eq!((told.epoch, story.has("a")), (2, vec![0]), "it is told, and stays in its epoch");
    assert_eq!(story.beat("b").unwrap().assignment, None, "nobody said that it gave anything up");
    assert_eq!(story.beat("a").unwrap().epoch, 3);
    story.beat("b").unwrap();
    assert_eq!(story.has("b"), [1]);
    assert_eq!(story.group().state(), "Stable");
}

#[test]
fn who_is_not_known_or_of_another_epoch_is_fenced() {
    let mut story = Story::new(&[("t", 1, 1)]);
    assert_eq!(story.ask(heartbeat("a", 1)), Err(ErrorCode::GroupIdNotFound));
    story.join("a", &["t"]).unwrap();
    let length = story.log.len();
    for (asked, error) in [
        (heartbeat("b", 1), ErrorCode::UnknownMemberId),
        (heartbeat("a", 3), ErrorCode::FencedMemberEpoch),
        (heartbeat("a", 1), ErrorCode::FencedMemberEpoch),
        (heartbeat("a", -3), ErrorCode::InvalidRequest),
        (heartbeat("", 1), ErrorCode::InvalidRequest),
        (heartbeat("b", JOIN_EPOCH), ErrorCode::InvalidRequest),
        (heartbeat("b", LEAVE_EPOCH), ErrorCode::UnknownMemberId),
        (of_instance("i", heartbeat("a", 2)), ErrorCode::UnknownMemberId),
        (
            ConsumerHeartbeat { assignor: Some("best".to_owned()), ..heartbeat("a", 2) },
            ErrorCode::UnsupportedAssignor,
        ),
        (
            ConsumerHeartbeat { regex: Some("(".to_owned()), ..heartbeat("a", 2) },
            ErrorCode::InvalidRegularExpression,
        ),
    ] {
        assert_eq!(story.ask(asked.clone()), Err(error), "{asked:?}");
    }
    assert_eq!(story.log.len(), length, "nothing was written for them");
    for id in ["b", "c", "d", "e"] {
        story.join(id, &["t"]).unwrap();
    }
    assert_eq!(story.join("f", &["t"]), Err(ErrorCode::GroupMaxSizeReached));
}

#[test]
fn a_member_whose_answer_was_lost_may_ask_again_in_the_epoch_before() {
    let mut story = Story::new(&[("t", 1, 2)]);
    story.join("a", &["t"]).unwrap();
    story.join("b", &["t"]).unwrap();
    story.beat("a").unwrap();
    let lost = story.clients["a"].clone();
    assert_eq!(story.beat("a").unwrap().epoch, 3);
    story.clients.insert("a".to_owned(), lost);
    assert_eq!(story.beat("a").unwrap().epoch, 3);
    let greedy = ConsumerHeartbeat {
        owned: Some(BTreeMap::from([(topic_id(1), vec![0, 1])])),
        ..heartbeat("a", 2)
    };
    assert_eq!(story.ask(greedy), Err(ErrorCode::FencedMemberEpoch));
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut story = Story::new(&[("t", 1, 2)]);
    story.ask(of_instance("i", joining("a", &["t"]))).unwrap();
    story.join("b", &["t"]).unwrap();
    let held = ConsumerHeartbeat {
        owned: Some(BTreeMap::from([(topic_id(1), vec![0])])),
        ..of_instance("i", heartbeat("a", 2))
    };
    story.ask(held.clone()).unwrap();
    let told = story.ask(held).unwrap();
    assert_eq!(told.epoch, 3);
    let again = of_instance("i", joining("a2", &["t"]));
    assert_eq!(story.ask(again.clone()), Err(ErrorCode::UnreleasedInstanceId));
    let away = of_instance("i", heartbeat("a", LEAVE_FOR_A_WHILE_EPOCH));
    assert_eq!(story.ask(away).unwrap().epoch, LEAVE_FOR_A_WHILE_EPOCH);
    story.beat("b").unwrap();
    assert_eq!(story.has("b"), [1], "what it had waits for it");
    let back = story.ask(again).unwrap();
    assert_eq!(back.epoch, 3, "nothing has changed for the others");
    assert_eq!(back.assignment, Some(BTreeMap::from([(topic_id(1), vec![0])])));
    let old = of_instance("i", heartbeat("a", 3));
    assert_eq!(story.ask(old), Err(ErrorCode::FencedInstanceId));
    let before = story.group().describe(&story.image, Assignor::Uniform);
    story.restart();
    assert_eq!(story.group().describe(&story.image, Assignor::Uniform), before);
}

#[test]
fn silent_members_and_those_who_give_nothing_up_are_removed() {
    let mut story = Story::new(&[("t", 1, 2)]);
    story.join("a", &["t"]).unwrap();
    story.join("b", &["t"]).unwrap();
    story.beat("a").unwrap();
    // It goes on sending heartbeats, but never says that it gave up its partition.
    for _ in 0..5 {
        story.pass(Duration::from_secs(7));
        story.beat("b").unwrap();
        let epoch = story.clients["a"].epoch;
        if story.group().members.contains_key("a") {
            story.ask(heartbeat("a", epoch)).unwrap();
        }
    }
    assert!(!story.group().members.contains_key("a"));
    story.beat("b").unwrap();
    assert_eq!(story.has("b"), [0, 1]);
    story.pass(Duration::from_secs(46));
    assert_eq!(story.group().state(), "Empty");
    assert!(matches!(story.send(GroupCommand::Delete("g".to_owned())), Ok(GroupReply::Done)));
    assert!(story.shard.groups.is_empty());
    story.restart();
    assert!(story.shard.groups.is_empty());
}

#[test]
fn topics_that_come_grow_and_match_are_read() {
    let mut story = Story::new(&[("t", 1, 1)]);
    let asked =
        ConsumerHeartbeat { regex: Some("t|new.*".to_owned()), names: None, ..joining("a", &[]) };
    let told = story.ask(asked).unwrap();
    story.hear("a", &told);
    assert_eq!(story.has("a"), [0]);
    story.image = Arc::new(image_of(&[("t", 1, 3), ("new-one", 2, 1), ("renew", 3, 1)], 2));
    story.beat("a").unwrap();
    assert_eq!(story.has("a"), [0, 1, 2], "its topic has grown");
    story.send(GroupCommand::TopicsCreated(2)).unwrap();
    story.pass(Duration::from_secs(11));
    story.beat("a").unwrap();
    assert_eq!(story.has("a"), [0, 1, 2, 0], "the pattern matches whole names");
    let topics = story.clients["a"].owned.keys().copied().collect::<Vec<_>>();
    assert_eq!(topics, [topic_id(1), topic_id(2)]);
    story.image = Arc::new(image_of(&[("t", 1, 3)], 3));
    let told = story.beat("a").unwrap();
    assert_eq!(told.assignment.map(|a| a.len()), Some(1), "what is gone is taken away");
}

#[test]
fn a_pattern_that_matches_nothing_yet_moves_no_epoch() {
    let mut story = Story::new(&[]);
    let matching = |pattern: &str| ConsumerHeartbeat {
        regex: Some(pattern.to_owned()),
        names: None,
        ..joining("a", &[])
    };
    let told = story.ask(matching("foo*")).unwrap();
    story.hear("a", &told);
    assert_eq!((told.epoch, story.group().epoch), (1, 1));
    story.restart();
    story.image = Arc::new(image_of(&[("foo", 1, 3)], 2));
    story.send(GroupCommand::TopicsCreated(2)).unwrap();
    story.pass(Duration::from_secs(11));
    let told = story.beat("a").unwrap();
    assert_eq!((told.epoch, story.has("a")), (2, vec![0, 1, 2]));
    // In the place of one that matched something it takes that away.
    let told = story.ask(matching("bar*")).unwrap();
    assert_eq!(told.assignment.map(|a| a.len()), Some(0));
    assert_eq!(story.group().epoch, 3);
}

#[test]
fn the_topics_of_names_come_before_those_of_a_pattern() {
    let mut story = Story::new(&[("t", 1, 2), ("foo", 2, 1)]);
    let asked = ConsumerHeartbeat { regex: Some("foo*".to_owned()), ..joining("a", &["t"]) };
    let told = story.ask(asked).unwrap();
    story.hear("a", &told);
    assert_eq!(story.has("a"), [0, 1]);
    story.beat("a").unwrap();
    assert_eq!(story.has("a"), [0, 1, 0]);
}

#[test]
fn a_member_of_an_older_epoch_commits_what_it_has_had_since() {
    let mut story = Story::new(&[("t", 1, 2)]);
    story.join("a", &["t"]).unwrap();
    story.join("b", &["t"]).unwrap();
    let group = story.group();
    let commit = |member: &str, epoch, partition: i32| {
        group.check_commit(member, epoch, true, [(topic_id(1), &[partition][..])])
    };
    assert_eq!(commit("a", 2, 0), Ok(()));
    assert_eq!(commit("a", 1, 0), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit("a", 3, 0), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit("c", 2, 0), Err(ErrorCode::UnknownMemberId));
    assert_eq!(
        group.check_commit("a", 2, false, [(topic_id(1), &[0][..])]),
        Err(ErrorCode::UnsupportedVersion)
    );
    assert_eq!(group.check_fetch(Some("a"), 1), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.check_fetch(None, -1), Ok(()));
}

#[test]
fn a_commit_in_a_transaction_of_an_older_epoch_hears_the_code_that_its_version_has() {
    let mut story = Story::new(&[("t", 1, 2)]);
    story.join("a", &["t"]).unwrap();
    story.join("b", &["t"]).unwrap();
    for (says_no_group, expected) in
        [(false, ErrorCode::IllegalGeneration), (true, ErrorCode::StaleMemberEpoch)]
    {
        let offset =
            OffsetToCommit { partition: 0, offset: 5, leader_epoch: -1, metadata: String::new() };
        let commit = CommitOffsets {
            member: MemberRef {
                group: "g".to_owned(),
                member_id: "a".to_owned(),
                generation: 1,
                ..MemberRef::default()
            },
            producer: Some(Producer { id: 9, epoch: 0 }),
            says_no_group,
            topics: vec![("t".to_owned(), topic_id(1), vec![offset])],
            ..CommitOffsets::default()
        };
        let told = story.send(GroupCommand::Commit(commit));
        assert!(matches!(told, Err(code) if code == expected), "{told:?}");
    }
}

#[test]
fn a_group_has_the_times_that_were_set_for_it_within_the_bounds_of_the_broker() {
    let mut story = Story::new(&[("t", 1, 2)]);
    let told = story.join("a", &["t"]).unwrap();
    assert_eq!(told.heartbeat_interval_ms, 5_000, "the broker's");
    for (set, expected) in [("7000", 7_000), ("99000", 15_000), ("10", 5_000)] {
        let mut image = image_of(&[("t", 1, 2)], 1);
        let record = ConfigRecord {
            resource_type: 32,
            resource_name: "g".to_owned(),
            name: "consumer.heartbeat.interval.ms".to_owned(),
            value: Some(set.to_owned()),
        };
        image.apply(&MetadataRecord::Config(record), &mut Changes::default()).unwrap();
        story.image = Arc::new(image);
        assert_eq!(story.beat("a").unwrap().heartbeat_interval_ms, expected, "{set}");
    }
}

#[test]
fn the_next_target_waits_for_an_interval_that_may_be_altered_meanwhile() {
    let mut story = Story::new(&[("t", 1, 2)]);
    let mut config = usual_config();
    config.assignment_interval_of = Arc::new(|image| {
        let usual_ms = if image.offset < 2 { 10_000 } else { 1_000 };
        Bounded { usual_ms, min_ms: 0, max_ms: 15_000 }
    });
    story.shard = shard(config);
    story.load();
    story.join("a", &["t"]).unwrap();
    story.pass(Duration::from_secs(2));
    story.join("b", &["t"]).unwrap();
    let (epoch, target_epoch) = (story.group().epoch, story.group().target_epoch);
    assert!(target_epoch < epoch, "the target of before stands for now");
    story.pass(Duration::from_secs(2));
    story.beat("a").unwrap();
    assert_eq!(story.group().target_epoch, target_epoch);
    story.image = Arc::new(image_of(&[("t", 1, 2)], 2));
    story.beat("a").unwrap();
    assert_eq!(story.group().target_epoch, epoch);
}

#[test]
fn an_empty_group_changes_its_kind() {
    let mut story = Story::new(&[("t", 1, 1)]);
    story.join("a", &["t"]).unwrap();
    story.ask(heartbeat("a", LEAVE_EPOCH)).unwrap();
    let join = JoinGroup {
        member: MemberRef { group: "g".to_owned(), ..MemberRef::default() },
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), bytes::Bytes::new())],
        fresh_id: "x".to_owned(),
        ..JoinGroup::default()
    };
    story.tickets += 1;
    let command = GroupCommand::Join(Box::new(join));
    let decision = story.shard.decide(&story.context(), Ticket(story.tickets), command);
    story.take(decision);
    assert!(matches!(story.shard.groups.get("g"), Some(Group::Classic(_))));
    assert_eq!(story.join("b", &["t"]), Err(ErrorCode::GroupIdNotFound), "it is not empty");
}

/// What may happen to a group.
#[derive(Clone, Debug)]
enum Event {
    Join(usize, Vec<bool>),
    Beat(usize),
    Lose(usize),
    Leave(usize),
    Vanish(usize),
    Wait,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let member = || 0usize..4;
    let topics = prop::collection::vec(any::<bool>(), 3);
    let one = prop_oneof![
        4 => (member(), topics).prop_map(|(member, topics)| Event::Join(member, topics)),
        20 => member().prop_map(Event::Beat),
        3 => member().prop_map(Event::Lose),
        2 => member().prop_map(Event::Leave),
        1 => member().prop_map(Event::Vanish),
        1 => Just(Event::Wait),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(one, 1..120)
}

/// No partition is with two clients whose members are alive.
fn check_owners(story: &Story) {
    let mut seen = BTreeSet::new();
    for member in story.group().members.values() {
        for (topic, partitions) in member.assigned.iter().chain(&*member.revoking) {
            for partition in partitions.keys() {
                assert!(seen.insert((*topic, *partition)), "two owners of {partition}");
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (id, client) in &story.clients {
        if story.group().members.get(&**id).is_some_and(|member| member.epoch > 0) {
            for (topic, partitions) in &client.owned {
                for partition in partitions {
                    assert!(seen.insert((*topic, *partition)), "two clients read {partition}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_ever_has_two_owners_and_the_group_comes_to_rest(events in events()) {
        let names = ["t", "u", "v"];
        let mut story = Story::new(&[("t", 1, 4), ("u", 2, 3), ("v", 3, 1)]);
        let id = |member: usize| format!("m{member}");
        story.join("m0", &["t"]).unwrap();
        for event in events {
            match event {
                Event::Join(member, topics) => {
                    // Whoever joins again has dropped everything.
                    let wanted = names.iter().zip(topics).filter(|(_, wanted)| *wanted);
                    let wanted: Vec<&str> = wanted.map(|(name, _)| *name).collect();
                    story.clients.remove(&id(member));
                    story.join(&id(member), &wanted).unwrap();
                }
                Event::Beat(member) => {
                    if story.beat(&id(member)).is_err() {
                        story.clients.remove(&id(member));
                    }
                }
                Event::Lose(member) => {
                    // The answer is lost: the client knows what it knew.
                    let known = story.clients.get(&id(member)).cloned();
                    let Some(known) = known else { continue };
                    let _ = story.beat(&id(member));
                    story.clients.insert(id(member), Client { lost: true, ..known });
                }
                Event::Leave(member) => {
                    let _ = story.ask(heartbeat(&id(member), LEAVE_EPOCH));
                    story.clients.remove(&id(member));
                }
                Event::Vanish(member) => {
                    story.clients.remove(&id(member));
                    for _ in 0..12 {
                        story.pass(Duration::from_secs(4));
                        let others: Vec<String> = story.clients.keys().cloned().collect();
                        for other in others {
                            if story.beat(&other).is_err() {
                                story.clients.remove(&other);
                            }
                        }
                    }
                }
                Event::Wait => story.pass(Duration::from_secs(3)),
                Event::Restart => story.restart(),
            }
            check_owners(&story);
        }
        for _ in 0..30 {
            story.pass(Duration::from_secs(4));
            let clients: Vec<String> = story.clients.keys().cloned().collect();
            for client in clients {
                if story.beat(&client).is_err() {
                    story.clients.remove(&client);
                }
                check_owners(&story);
            }
        }
        let group = story.group();
        prop_assert!(group.is_empty() || group.state() == "Stable", "{}", group.state());
        for (id, member) in &group.members {
            let assigned = super::assignment::partitions(&member.assigned);
            let target = group.targets.get(id).cloned().unwrap_or_default();
            prop_assert_eq!(&assigned, &*target, "it has its target");
            prop_assert_eq!(&story.clients[&**id].owned, &assigned, "and knows it");
        }
    }
}
