//! Stories of groups whose members speak both protocols, and of groups that move between them.

use super::*;
use crate::coordinator::groups::classic::State;
use crate::coordinator::groups::embedded;
use crate::coordinator::groups::member_ref::MemberRef;

/// A member that speaks the classic protocol, as its client knows itself.
#[derive(Clone, Debug, Default)]
struct Classic {
    id: String,
    instance: Option<String>,
    generation: i32,
    owned: Vec<i32>,
}

impl Classic {
    fn known_as(instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..Self::default() }
    }

    fn member(&self) -> MemberRef {
        MemberRef {
            group: "g".to_owned(),
            member_id: self.id.clone(),
            instance_id: self.instance.clone(),
            generation: self.generation,
        }
    }

    fn joining(&self) -> JoinGroup {
        JoinGroup {
            member: self.member(),
            client_id: "classic".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 20_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), embedded::words(&["t"], &[("t", &self.owned)]))],
            fresh_id: self.instance.clone().unwrap_or_else(|| "fresh".to_owned()) + "-1",
            ..JoinGroup::default()
        }
    }
}

impl Story {
    fn with_policy(upgrade: bool, downgrade: bool) -> Self {
        let mut story = Self::new(&[("t", 1, 2)]);
        let config = GroupsConfig {
            migration: MigrationPolicy { upgrade, downgrade },
            ..GroupsConfig::clone(&story.shard.config)
        };
        story.shard.config = Arc::new(config);
        story
    }

    /// Everything that a command is answered with, and others for it.
    fn exchange(&mut self, command: GroupCommand) -> Vec<(Ticket, Result<GroupReply, ErrorCode>)> {
        self.tickets += 1;
        let decision = self.shard.decide(&self.context(), Ticket(self.tickets), command);
        let replies = decision.replies.clone();
        self.take(decision);
        replies
    }

    /// A join; nothing if it waits.
    fn classic_join(&mut self, member: &mut Classic) -> Option<Joined> {
        let asked = GroupCommand::Join(Box::new(member.joining()));
        let (_, reply) = self.exchange(asked).pop()?;
        let Ok(GroupReply::Join(joined)) = reply else { panic!("{reply:?}") };
        member.id = joined.member_id.clone();
        if joined.error.is_none() {
            member.generation = joined.generation;
        }
        Some(joined)
    }

    fn classic_sync(&mut self, member: &mut Classic) -> Result<Vec<i32>, ErrorCode> {
        let sync = SyncGroup {
            member: member.member(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: Vec::new(),
        };
        let GroupReply::Sync(synced) = self.send(GroupCommand::Sync(sync))? else { panic!() };
        let given = embedded::given(&synced.assignment).unwrap();
        member.owned = given.assigned_partitions.into_iter().flat_map(|t| t.partitions).collect();
        Ok(member.owned.clone())
    }

    fn classic_beat(&mut self, member: &Classic) -> Result<(), ErrorCode> {
        self.send(GroupCommand::Heartbeat(member.member())).map(|_| ())
    }

    /// A classic group of one member, who leads and has both partitions.
    fn classic_group(&mut self, mut member: Classic) -> Classic {
        assert_eq!(self.classic_join(&mut member), None, "the first generation waits");
        self.pass(Duration::from_secs(4));
        member.id = self.classic_state().members.keys().next().unwrap().to_string();
        member.generation = 1;
        let everything = Assignment::from([(topic_id(1), vec![0, 1])]);
        let words = embedded::words(&["t"], &[]);
        let sync = SyncGroup {
            member: member.member(),
            assignments: vec![(
                member.id.clone(),
                embedded::give(&everything, &self.image, &words),
            )],
            ..SyncGroup::default()
        };
        assert!(matches!(self.send(GroupCommand::Sync(sync)), Ok(GroupReply::Sync(_))));
        member.owned = vec![0, 1];
        member
    }

    fn classic_state(&self) -> &crate::coordinator::groups::classic::ClassicGroup {
        match self.shard.groups.get("g") {
            Some(Group::Classic(group)) => group,
            other => panic!("{other:?}"),
        }
    }

    fn check_that_it_loads(&mut self) {
        let before = self.group().describe(&self.image, Assignor::Uniform);
        let config = Arc::clone(&self.shard.config);
        self.restart();
        self.shard.config = config;
        assert_eq!(self.group().describe(&self.image, Assignor::Uniform), before);
    }
}

#[test]
fn a_classic_group_becomes_a_consumer_group_and_its_members_go_on() {
    let mut story = Story::new(&[("t", 1, 2)]);
    let mut old = story.classic_group(Classic::default());
    let told = story.join("new", &["t"]).unwrap();
    assert_eq!((told.epoch, story.has("new")), (2, vec![]), "it waits for the other");
    assert_eq!(story.group().members[&*old.id].epoch, 1);
    story.check_that_it_loads();
    assert_eq!(story.classic_beat(&old), Err(ErrorCode::RebalanceInProgress));
    let joined = story.classic_join(&mut old).unwrap();
    assert_eq!((joined.generation, &*joined.leader, joined.members.len()), (1, "", 0));
    assert_eq!(story.classic_sync(&mut old), Ok(vec![0]), "it is told what it may keep");
    assert_eq!(story.classic_beat(&old), Err(ErrorCode::RebalanceInProgress), "it gives one up");
    story.beat("new").unwrap();
    assert!(story.has("new").is_empty(), "nobody said that it did");
    assert_eq!(story.classic_join(&mut old).unwrap().generation, 2);
    assert_eq!(story.classic_sync(&mut old), Ok(vec![0]));
    assert_eq!(story.classic_beat(&old), Ok(()));
    story.beat("new").unwrap();
    assert_eq!((story.has("new"), story.group().state()), (vec![1], "Stable"));
    story.check_that_it_loads();
    let kinds: Vec<bool> = story.group().members.values().map(|m| m.classic.is_some()).collect();
    assert_eq!(kinds.iter().filter(|is_classic| **is_classic).count(), 1);
}

#[test]
fn a_group_is_a_classic_one_again_when_its_last_consumer_member_has_gone() {
    for how in ["leaves", "is removed", "is silent"] {
        let mut story = Story::new(&[("t", 1, 2)]);
        let mut old = story.classic_group(Classic::default());
        story.join("new", &["t"]).unwrap();
        story.classic_join(&mut old).unwrap();
        story.classic_sync(&mut old).unwrap();
        story.classic_join(&mut old).unwrap();
        story.classic_sync(&mut old).unwrap();
        match how {
            "leaves" => {
                story.ask(heartbeat("new", LEAVE_EPOCH)).unwrap();
            }
            "is removed" => {
                let member = LeavingMember { member_id: "new".to_owned(), instance_id: None };
                let leave = LeaveGroup { group: "g".to_owned(), members: vec![member] };
                story.send(GroupCommand::Leave(leave)).unwrap();
            }
            _ => {
                for _ in 0..6 {
                    story.pass(Duration::from_secs(8));
                    let _ = story.classic_beat(&old);
                }
            }
        }
        let group = story.classic_state();
        assert_eq!((group.state, group.generation), (State::PreparingRebalance, 2), "{how}");
        assert_eq!(story.classic_beat(&old), Err(ErrorCode::RebalanceInProgress));
        let joined = story.classic_join(&mut old).unwrap();
        assert_eq!((joined.generation, &joined.leader), (3, &old.id), "it assigns by itself now");
        // The log has the group as it was when it became one of the other kind.
        story.restart();
        let group = story.classic_state();
        let member = &group.members[&*old.id];
        assert_eq!((group.state, group.generation), (State::Stable, 2));
        assert_eq!(
            embedded::given(&member.assignment).unwrap().assigned_partitions[0].partitions,
            [0]
        );
        assert_eq!(member.session_timeout_ms, 10_000);
    }
}

#[test]
fn a_policy_says_which_groups_may_move() {
    for (upgrade, downgrade) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut story = Story::with_policy(upgrade, downgrade);
        story.classic_group(Classic::default());
        let length = story.log.len();
        let expected = if upgrade { Ok(2) } else { Err(ErrorCode::GroupIdNotFound) };
        assert_eq!(story.join("new", &["t"]).map(|told| told.epoch), expected);
        assert_eq!(upgrade, story.log.len() > length);

        let mut story = Story::with_policy(upgrade, downgrade);
        story.join("new", &["t"]).unwrap();
        let mut old = Classic::default();
        let joined = story.classic_join(&mut old).unwrap();
        if !upgrade && !downgrade {
            assert_eq!(joined.error, Some(ErrorCode::InconsistentGroupProtocol));
            continue;
        }
        assert_eq!(joined.error, None);
        story.ask(heartbeat("new", LEAVE_EPOCH)).unwrap();
        let is_classic = matches!(story.shard.groups["g"], Group::Classic(_));
        assert_eq!(is_classic, downgrade);
    }
}

#[test]
fn groups_that_cannot_move_stay_what_they_are() {
    // More members than the other kind of group may have.
    let mut story = Story::new(&[("t", 1, 2)]);
    story.join("new", &["t"]).unwrap();
    for number in 0..4 {
        let mut old = Classic { id: format!("old-{number}"), ..Classic::default() };
        assert_eq!(story.classic_join(&mut old).unwrap().error, None);
    }
    let mut late = Classic::default();
    let full = story.classic_join(&mut late).unwrap();
    assert_eq!(full.error, Some(ErrorCode::GroupMaxSizeReached));
    story.ask(heartbeat("new", LEAVE_EPOCH)).unwrap();
    assert_eq!(story.group().members.len(), 4, "a classic group may have three");

    // Words that are none of a consumer, and an assignor of one's own.
    for (kind, words, assignment) in [
        ("connect", embedded::words(&["t"], &[]), bytes::Bytes::new()),
        ("consumer", bytes::Bytes::from_static(b"\xff\xff"), bytes::Bytes::new()),
        ("consumer", embedded::words(&["t"], &[]), bytes::Bytes::from_static(b"\0")),
        (
            "consumer",
            embedded::words(&["t"], &[]),
            bytes::Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\x01x"),
        ),
    ] {
        let mut story = Story::new(&[("t", 1, 2)]);
        let join = JoinGroup {
            protocol_type: kind.to_owned(),
            protocols: vec![("own".to_owned(), words)],
            ..Classic::default().joining()
        };
        story.exchange(GroupCommand::Join(Box::new(join)));
        story.pass(Duration::from_secs(4));
        let id = story.classic_state().members.keys().next().unwrap().to_string();
        let member = Classic { id: id.clone(), generation: 1, ..Classic::default() };
        let sync = SyncGroup {
            member: member.member(),
            assignments: vec![(id, assignment)],
            ..SyncGroup::default()
        };
        story.send(GroupCommand::Sync(sync)).unwrap();
        assert_eq!(story.join("new", &["t"]), Err(ErrorCode::GroupIdNotFound), "{kind}");
        assert_eq!(story.classic_state().state, State::Stable);
    }
}

#[test]
fn a_static_member_that_comes_back_with_the_classic_protocol_takes_the_group_with_it() {
    let mut story = Story::new(&[("t", 1, 2)]);
    story.ask(of_instance("i", joining("a", &["t"]))).unwrap();
    let mut other = Classic::default();
    story.classic_join(&mut other).unwrap();
    story.beat("a").unwrap_err();
    let mut back = Classic { owned: Vec::new(), ..Classic::known_as("i") };
    let joined = story.classic_join(&mut back).unwrap();
    assert_eq!(joined.error, None);
    assert_ne!(back.id, "a");
    let group = story.classic_state();
    assert_eq!((group.state, group.generation), (State::Stable, 3));
    assert_eq!(joined.generation, 3, "it has what it shall have, and need not join again");
    assert_eq!(story.classic_sync(&mut back), Ok(vec![0]), "the target of the one before");
    assert_eq!(story.classic_beat(&back), Ok(()));
    let old = ConsumerHeartbeat { ..of_instance("i", heartbeat("a", 3)) };
    assert_eq!(story.ask(old), Err(ErrorCode::GroupIdNotFound));
    story.restart();
    let ids: Vec<&str> = story.classic_state().members.keys().map(|id| &**id).collect();
    assert!(ids.contains(&&*back.id) && ids.len() == 2, "{ids:?}");
}

#[test]
fn a_static_member_keeps_its_place_when_it_changes_its_protocol() {
    let mut story = Story::new(&[("t", 1, 2)]);
    let old = story.classic_group(Classic::known_as("i"));
    story.join("other", &["t"]).unwrap();
    let told = story.ask(of_instance("i", joining("new", &["t"]))).unwrap();
    assert_eq!(told.member_id, "new");
    assert!(!story.group().members.contains_key(&*old.id));
    assert_eq!(story.classic_beat(&old), Err(ErrorCode::FencedInstanceId));
    assert_eq!(story.group().members.len(), 2);
    story.check_that_it_loads();
}

#[test]
fn whoever_waits_in_a_group_that_changes_its_kind_is_told_to_join_again() {
    let mut story = Story::new(&[("t", 1, 2)]);
    let mut waiting = Classic::default();
    assert_eq!(story.classic_join(&mut waiting), None);
    let ticket = Ticket(story.tickets);
    let beat = GroupCommand::ConsumerHeartbeat(Box::new(joining("new", &["t"])));
    let replies = story.exchange(beat);
    let (told, first) = &replies[0];
    assert_eq!(*told, ticket);
    let Ok(GroupReply::Join(joined)) = first else { panic!("{first:?}") };
    assert_eq!(joined.error, Some(ErrorCode::RebalanceInProgress));
    waiting.id = joined.member_id.clone();
    assert_eq!(story.classic_join(&mut waiting).unwrap().error, None);
    assert_eq!(story.group().members.len(), 2);
}

#[test]
fn a_classic_member_that_comes_too_late_is_removed() {
    // It has joined and does not sync.
    let mut story = Story::new(&[("t", 1, 2)]);
    story.join("new", &["t"]).unwrap();
    let mut old = Classic::default();
    story.classic_join(&mut old).unwrap();
    for _ in 0..3 {
        story.pass(Duration::from_secs(7));
        story.beat("new").unwrap();
        let _ = story.classic_beat(&old);
    }
    assert_eq!(story.group().members.len(), 1);
    assert_eq!(story.classic_beat(&old), Err(ErrorCode::UnknownMemberId));

    // It is told to join again, and goes on with heartbeats only.
    let mut old = Classic::default();
    story.classic_join(&mut old).unwrap();
    story.classic_sync(&mut old).unwrap();
    assert_eq!(story.classic_beat(&old), Ok(()), "others have what it waits for");
    story.join("third", &["t"]).unwrap();
    for _ in 0..3 {
        assert_eq!(story.classic_beat(&old), Err(ErrorCode::RebalanceInProgress));
        story.pass(Duration::from_secs(7));
    }
    assert_eq!(story.classic_beat(&old), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn requests_of_the_classic_protocol_are_checked_as_in_a_classic_group() {
    let mut story = Story::new(&[("t", 1, 2)]);
    story.join("new", &["t"]).unwrap();
    let ask = |story: &mut Story, join: JoinGroup| {
        let (_, reply) = story.exchange(GroupCommand::Join(Box::new(join))).pop().unwrap();
        match reply {
            Ok(GroupReply::Join(joined)) => joined,
            other => panic!("{other:?}"),
        }
    };
    let usual = Classic::default().joining();
    let unknown = JoinGroup { requires_known_member_id: true, ..usual.clone() };
    let joined = ask(&mut story, unknown);
    assert_eq!((joined.error, &*joined.member_id), (Some(ErrorCode::MemberIdRequired), "fresh-1"));
    let other = JoinGroup { protocol_type: "connect".to_owned(), ..usual.clone() };
    assert_eq!(ask(&mut story, other).error, Some(ErrorCode::InconsistentGroupProtocol));
    let nonsense = vec![("range".to_owned(), bytes::Bytes::new())];
    let nonsense = JoinGroup { protocols: nonsense, ..usual.clone() };
    assert_eq!(ask(&mut story, nonsense).error, Some(ErrorCode::InconsistentGroupProtocol));
    let stranger = Classic { id: "x".to_owned(), ..Classic::known_as("nobody") };
    let joined = ask(&mut story, stranger.joining());
    assert_eq!(joined.error, Some(ErrorCode::UnknownMemberId));
    assert_eq!(story.group().members.len(), 1);

    let mut old = Classic::known_as("i");
    story.classic_join(&mut old).unwrap();
    let unlike = vec![("sticky".to_owned(), embedded::words(&["t"], &[]))];
    let unlike = JoinGroup { protocols: unlike, ..usual };
    assert_eq!(ask(&mut story, unlike).error, Some(ErrorCode::InconsistentGroupProtocol));
    let as_new = Classic { id: "new".to_owned(), generation: 2, ..Classic::default() };
    let later = Classic { generation: old.generation + 1, ..old.clone() };
    let thief = Classic { id: "new".to_owned(), ..old.clone() };
    for (who, error) in [
        (&as_new, ErrorCode::UnknownMemberId),
        (&later, ErrorCode::IllegalGeneration),
        (&thief, ErrorCode::FencedInstanceId),
    ] {
        assert_eq!(story.classic_beat(who), Err(error), "{who:?}");
        assert_eq!(story.classic_sync(&mut who.clone()), Err(error), "{who:?}");
    }
    let sync = SyncGroup {
        member: old.member(),
        protocol_name: Some("sticky".to_owned()),
        ..SyncGroup::default()
    };
    let refused = story.send(GroupCommand::Sync(sync)).unwrap_err();
    assert_eq!(refused, ErrorCode::InconsistentGroupProtocol);
    let commit = |generation| {
        story.group().check_commit(&old.id, generation, false, [(topic_id(1), &[0][..])])
    };
    assert_eq!(commit(old.generation), Ok(()), "of any version");
    assert_eq!(commit(old.generation + 1), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit(0), Err(ErrorCode::IllegalGeneration));
}

#[test]
fn a_group_that_is_too_large_to_be_written_anew_stays_what_it_was() {
    let mut story = Story::new(&[("t", 1, 2)]);
    let old = story.classic_group(Classic::default());
    let beat = GroupCommand::ConsumerHeartbeat(Box::new(joining("new", &["t"])));
    let decision = story.shard.decide(&story.context(), Ticket(900), beat);
    let undo = decision.undo.expect("it can be taken back");
    story.shard.refused(&story.context(), undo);
    assert_eq!(story.classic_state().members.len(), 1);
    assert_eq!(story.classic_beat(&old), Ok(()));
    story.pass(Duration::from_mins(1));
    assert_eq!(story.classic_state().state, State::Empty, "sessions end as ever");

    let mut story = Story::new(&[("t", 1, 2)]);
    let old = story.classic_group(Classic::default());
    story.join("new", &["t"]).unwrap();
    let leave = GroupCommand::ConsumerHeartbeat(Box::new(heartbeat("new", LEAVE_EPOCH)));
    let decision = story.shard.decide(&story.context(), Ticket(901), leave);
    let undo = decision.undo.expect("it can be taken back");
    story.shard.refused(&story.context(), undo);
    assert_eq!(story.group().members.len(), 2);
    assert_eq!(story.classic_beat(&old), Err(ErrorCode::RebalanceInProgress));
    story.pass(Duration::from_mins(1));
    assert!(!matches!(&story.shard.groups["g"], Group::Consumer(group) if !group.is_empty()));
}
