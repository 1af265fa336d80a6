//! Topics.

use super::*;

#[test]
fn a_topic_is_created_with_its_configuration_before_its_partitions() {
    let mut world = World::of_brokers(1);
    let before = world.log.len();
    let topic = NewTopic {
        partitions: 2,
        configs: vec![("retention.ms".to_owned(), Some("5".to_owned()))],
        ..named("orders")
    };
    let created = world.create(topic).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (2, 1));
    assert_eq!(
        world.lines_since(before),
        [
            "topic orders",
            "config 2:orders retention.ms=5",
            "partition 0 replicas[1] isr[1] leader 1 epoch 0",
            "partition 1 replicas[1] isr[1] leader 1 epoch 0",
        ]
    );
    let topic = world.machine.image().topics.by_name("orders").unwrap();
    assert_eq!(topic.partitions[0].directories, [directory(1)]);
    assert_eq!(topic.id, created.id);
}

#[test]
fn a_topic_that_cannot_be_is_refused_with_kafkas_words() {
    let mut world = World::of_brokers(2);
    world.topic("taken.name", &[&[1]]);
    let mut check = |topic: NewTopic, code, message: &str| {
        let before = world.log.len();
        refused(world.create(topic), code, message);
        assert_eq!(world.log.len(), before, "nothing was written");
    };
    check(
        named("a b"),
        ErrorCode::InvalidTopicException,
        "Topic name is invalid: 'a b' contains one or more characters other than ASCII \
         alphanumerics, '.', '_' and '-'",
    );
    check(named("taken.name"), ErrorCode::TopicAlreadyExists, "Topic 'taken.name' already exists.");
    check(
        named("taken_name"),
        ErrorCode::InvalidTopicException,
        "Topic 'taken_name' collides with existing topic: taken.name",
    );
    check(
        NewTopic { replication_factor: 3, ..named("a") },
        ErrorCode::InvalidReplicationFactor,
        "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot \
         be reached because only 2 broker(s) are registered or some brokers have all their log \
         directories cordoned.",
    );
    check(
        NewTopic { replication_factor: 0, ..named("a") },
        ErrorCode::InvalidReplicationFactor,
        "Replication factor must be larger than 0, or -1 to use the default value.",
    );
    check(
        NewTopic { partitions: 0, ..named("a") },
        ErrorCode::InvalidPartitions,
        "Number of partitions was set to an invalid non-positive value.",
    );
    let config = |key: &str, value: Option<&str>| vec![(key.to_owned(), value.map(str::to_owned))];
    check(
        NewTopic { configs: config("no.such", Some("1")), ..named("a") },
        ErrorCode::InvalidConfig,
        "Unknown topic config name: no.such",
    );
    check(
        NewTopic { configs: config("retention.ms", None), ..named("a") },
        ErrorCode::InvalidConfig,
        "Null value not supported for topic configs: retention.ms",
    );
    let assigned = |assignments: &[(i32, &[i32])]| NewTopic {
        assignments: assignments.iter().map(|(at, ids)| (*at, ids.to_vec())).collect(),
        ..named("a")
    };
    check(
        NewTopic { partitions: 1, ..assigned(&[(0, &[1])]) },
        ErrorCode::InvalidRequest,
        "A manual partition assignment was specified, but numPartitions was not set to -1.",
    );
    let bad = ErrorCode::InvalidReplicaAssignment;
    check(
        assigned(&[(0, &[1]), (2, &[1])]),
        bad,
        "partitions should be a consecutive 0-based integer sequence",
    );
    check(
        assigned(&[(0, &[1]), (0, &[1])]),
        bad,
        "Found multiple manual partition assignments for partition 0",
    );
    check(
        assigned(&[(0, &[])]),
        bad,
        "The manual partition assignment includes an empty replica list.",
    );
    check(
        assigned(&[(0, &[9])]),
        bad,
        "The manual partition assignment includes broker 9, but no such broker is registered.",
    );
    check(
        assigned(&[(0, &[1, 1])]),
        bad,
        "The manual partition assignment includes the broker 1 more than once.",
    );
    check(
        assigned(&[(0, &[1]), (1, &[1, 2])]),
        bad,
        "The manual partition assignment includes a partition with 2 replica(s), but this is not \
         consistent with previous partitions, which have 1 replica(s).",
    );
}

#[test]
fn one_bad_topic_does_not_hinder_the_others_and_doubles_are_told() {
    let mut world = World::of_brokers(1);
    let topics = ["a", "b b", "twice", "twice", "__cluster_metadata"].map(named).to_vec();
    let results = world.ask(CreateTopics { topics, validate_only: false }).unwrap();
    let said: Vec<(&str, Option<&str>)> = results
        .iter()
        .map(|done| {
            let refusal = done.result.as_ref().err();
            (done.name.as_str(), refusal.and_then(|refusal| refusal.message.as_deref()))
        })
        .collect();
    assert_eq!(said[0], ("a", None));
    assert_eq!(said[1].0, "b b");
    assert_eq!(said[2], ("twice", Some("Duplicate topic name.")));
    assert_eq!(
        said[3],
        (
            "__cluster_metadata",
            Some("Creation of internal topic __cluster_metadata is prohibited.")
        )
    );
    assert_eq!(world.machine.image().topics.len(), 1);
}

#[test]
fn validating_only_writes_nothing() {
    let mut world = World::of_brokers(1);
    let before = world.log.len();
    let results =
        world.ask(CreateTopics { topics: vec![named("a")], validate_only: true }).unwrap();
    assert!(results[0].result.is_ok());
    let more = MorePartitions { name: "none".to_owned(), count: 2, assignments: None };
    world.ask(CreatePartitions { topics: vec![more], validate_only: true }).unwrap();
    assert_eq!(world.log.len(), before);
}

#[test]
fn a_request_of_too_many_records_is_refused_whole() {
    let mut world = World::of_brokers(1);
    let before = world.log.len();
    let policy = ErrorCode::PolicyViolation;
    let too_large = "Unable to perform excessively large batch operation.";
    let of = |partitions| CreateTopics {
        topics: vec![NewTopic { partitions, ..named("a") }],
        validate_only: false,
    };
    refused(world.ask(of(10_000)), policy, too_large);
    let too_many = "Excessively large number of partitions per request.";
    refused(world.ask(of(10_001)), policy, too_many);
    assert_eq!(world.log.len(), before);
    world.ask(of(9_999)).unwrap();
    let more = |count| CreatePartitions {
        topics: vec![MorePartitions { name: "a".to_owned(), count, assignments: None }],
        validate_only: false,
    };
    refused(world.ask(more(9_999 + 10_001)), policy, too_large);
    refused(world.ask(more(i32::MAX)), policy, too_large);
}

#[test]
fn topics_are_deleted_by_name_and_by_id_and_ambiguity_is_refused() {
    let mut world = World::of_brokers(1);
    for name in ["a", "b", "c"] {
        world.topic(name, &[&[1]]);
    }
    let id = |world: &World, name| world.machine.image().topics.by_name(name).unwrap().id;
    let (b, c) = (id(&world, "b"), id(&world, "c"));
    let name = |name: &str| TopicRef::Name(name.to_owned());
    let nobody = Uuid::from_halves(9, 9);
    let topics = vec![
        name("a"),
        TopicRef::Id(b),
        name("missing"),
        TopicRef::Id(nobody),
        name("c"),
        TopicRef::Id(c),
    ];
    let results = world.ask(DeleteTopics { topics }).unwrap();
    let codes: BTreeMap<String, String> = results
        .into_iter()
        .map(|done| {
            let key = done.name.unwrap_or_else(|| done.id.to_string());
            let said = done.result.map_or_else(|refusal| refusal.to_string(), |()| "ok".to_owned());
            (key, said)
        })
        .collect();
    let expect = |name: &str, words: &str| assert_eq!(codes[name], words);
    expect("a", "ok");
    expect("b", "ok");
    expect(
        "missing",
        "UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.",
    );
    expect(&nobody.to_string(), "UNKNOWN_TOPIC_ID: This server does not host this topic ID.");
    expect(
        "c",
        "INVALID_REQUEST: The provided topic name maps to an ID that was already supplied.",
    );
    assert_eq!(world.machine.image().topics.len(), 1, "c is still there");
}

#[test]
fn nothing_is_deleted_where_deleting_is_switched_off() {
    let levels = [("metadata.version", 33)];
    let off = Settings { delete_topic_enable: false, ..settings() };
    let mut world = World::formatted(&levels, off);
    refused(
        world.ask(DeleteTopics { topics: Vec::new() }),
        ErrorCode::TopicDeletionDisabled,
        "Topic deletion is disabled.",
    );
}

#[test]
fn a_topic_gets_more_partitions_or_kafkas_words_why_not() {
    let mut world = World::of_brokers(2);
    world.topic("a", &[&[1]]);
    let ask = |world: &mut World, count, assignments: Option<Vec<Vec<i32>>>| {
        let topics = vec![MorePartitions { name: "a".to_owned(), count, assignments }];
        let before = world.log.len();
        let result = world.ask(CreatePartitions { topics, validate_only: false }).unwrap();
        (result[0].1.clone(), world.lines_since(before))
    };
    let (result, lines) = ask(&mut world, 2, Some(vec![vec![2]]));
    assert_eq!(result, Ok(()));
    assert_eq!(lines, ["partition 1 replicas[2] isr[2] leader 2 epoch 0"]);
    let invalid = ErrorCode::InvalidPartitions;
    refused(ask(&mut world, 2, None).0, invalid, "Topic already has 2 partition(s).");
    refused(
        ask(&mut world, 1, None).0,
        invalid,
        "The topic a currently has 2 partition(s); 1 would not be an increase.",
    );
    refused(
        ask(&mut world, 4, Some(vec![vec![1]])).0,
        ErrorCode::InvalidReplicaAssignment,
        "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
    );
    let missing = MorePartitions { name: "b".to_owned(), count: 2, assignments: None };
    let topics = vec![missing];
    let result = world.ask(CreatePartitions { topics, validate_only: false }).unwrap();
    refused(result[0].1.clone(), ErrorCode::UnknownTopicOrPartition, "");
}
