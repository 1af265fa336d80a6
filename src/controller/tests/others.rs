//! Configuration, features, and the rest.

use super::*;

fn alter(kind: ResourceType, name: &str, ops: &[(&str, ConfigOp)]) -> AlterConfigs {
    let ops = ops.iter().map(|(key, op)| ((*key).to_owned(), op.clone())).collect();
    let resource = ConfigResource { kind, name: name.to_owned() };
    AlterConfigs {
        changes: vec![(resource, ConfigChange::Incremental(ops))],
        validate_only: false,
        forwarded: true,
    }
}

fn set(value: &str) -> ConfigOp {
    ConfigOp::Set(Some(value.to_owned()))
}

#[test]
fn keys_are_set_deleted_and_lists_added_to_and_taken_from() {
    let mut world = World::of_brokers(1);
    world.topic("a", &[&[1]]);
    let mut check = |op: ConfigOp, key: &str, expect: &[&str]| {
        let lines = world.records(alter(ResourceType::Topic, "a", &[(key, op)]));
        assert_eq!(lines, expect);
    };
    check(set("5"), "retention.ms", &["config 2:a retention.ms=5"]);
    check(set("5"), "retention.ms", &[]);
    check(ConfigOp::Delete, "retention.ms", &["config 2:a retention.ms=-"]);
    let compact = || "compact".to_owned();
    let policy = "cleanup.policy";
    check(ConfigOp::Append(compact()), policy, &["config 2:a cleanup.policy=delete,compact"]);
    check(ConfigOp::Append(compact()), policy, &[]);
    check(ConfigOp::Subtract("delete".to_owned()), policy, &["config 2:a cleanup.policy=compact"]);
    check(set("2"), "min.insync.replicas", &["config 2:a min.insync.replicas=2", "clear elr 'a'"]);
}

#[test]
fn the_old_request_replaces_all_keys() {
    let mut world = World::of_brokers(1);
    world.topic("a", &[&[1]]);
    world.records(alter(ResourceType::Topic, "a", &[("retention.ms", set("5"))]));
    let values = vec![("cleanup.policy".to_owned(), Some("compact".to_owned()))];
    let command = AlterConfigs {
        changes: vec![(ConfigResource::topic("a"), ConfigChange::Replace(values))],
        validate_only: false,
        forwarded: true,
    };
    assert_eq!(
        world.records(command),
        ["config 2:a cleanup.policy=compact", "config 2:a retention.ms=-",]
    );
}

#[test]
fn a_change_that_cannot_be_is_refused_with_kafkas_words() {
    let mut world = World::of_brokers(1);
    world.topic("a", &[&[1]]);
    let mut check = |command: AlterConfigs, code, message: &str| {
        let before = world.log.len();
        refused(world.ask(command).unwrap().remove(0).1, code, message);
        assert_eq!(world.log.len(), before);
    };
    let config = ErrorCode::InvalidConfig;
    let request = ErrorCode::InvalidRequest;
    let (topic, broker) = (ResourceType::Topic, ResourceType::Broker);
    check(
        alter(topic, "a", &[("retention.ms", ConfigOp::Append("1".to_owned()))]),
        config,
        "Can't APPEND to key retention.ms because its type is not LIST.",
    );
    check(
        alter(topic, "none", &[("retention.ms", set("1"))]),
        ErrorCode::UnknownTopicOrPartition,
        "The topic 'none' does not exist.",
    );
    check(
        alter(broker, "1", &[("min.insync.replicas", set("1"))]),
        config,
        "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
    );
    check(
        alter(broker, "", &[("min.insync.replicas", ConfigOp::Delete)]),
        config,
        "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
    );
    check(
        alter(broker, "2", &[("retention.ms", set("1"))]),
        request,
        "Unexpected broker id, expected 1, but received 2",
    );
    check(
        AlterConfigs { forwarded: false, ..alter(broker, "2", &[("retention.ms", set("1"))]) },
        ErrorCode::BrokerIdNotRegistered,
        "No node with id 2 found.",
    );
    check(
        alter(topic, "a", &[("retention.ms", set("1")), ("retention.ms", set("2"))]),
        request,
        "Error due to duplicate config keys",
    );
    check(
        alter(topic, "a", &[("retention.ms", ConfigOp::Set(None))]),
        request,
        "Null value not supported for : retention.ms",
    );
    check(
        alter(topic, "a", &[("retention.ms", set(&"9".repeat(32_768)))]),
        config,
        "The configuration value cannot be added because it exceeds the maximum value size of \
         32767 bytes.",
    );
}

#[test]
fn a_resource_that_is_named_twice_is_refused_each_time() {
    let mut world = World::of_brokers(1);
    world.topic("a", &[&[1]]);
    let mut twice = alter(ResourceType::Topic, "a", &[("retention.ms", set("1"))]);
    twice.changes.push(twice.changes[0].clone());
    let results = world.ask(twice.clone()).unwrap();
    assert_eq!(results.len(), 2);
    for (_, result) in results {
        refused(result, ErrorCode::InvalidRequest, "Each resource must appear at most once.");
    }
    let results = world.ask(AlterConfigs { forwarded: false, ..twice }).unwrap();
    assert_eq!(results.len(), 1);
    refused(results[0].1.clone(), ErrorCode::InvalidRequest, "Duplicate resource.");
}

#[test]
fn features_are_finalized_all_or_none() {
    let mut world = World::of_brokers_at(1, &[("metadata.version", 32)]);
    let update = |updates: &[(&str, i16, UpgradeType)]| UpdateFeatures {
        updates: updates.iter().map(|(n, l, how)| ((*n).to_owned(), *l, *how)).collect(),
        validate_only: false,
    };
    let up = UpgradeType::Upgrade;
    let records = world.records(update(&[
        ("metadata.version", 33, up),
        ("eligible.leader.replicas.version", 1, up),
    ]));
    assert_eq!(
        records,
        [
            "config 4: min.insync.replicas=1",
            "feature metadata.version=33",
            "feature eligible.leader.replicas.version=1",
        ]
    );
    let mut check = |name: &str, level, how, message: &str| {
        let before = world.log.len();
        let command = update(&[("group.version", 1, up), (name, level, how)]);
        refused(world.ask(command), ErrorCode::InvalidUpdateVersion, message);
        assert_eq!(world.log.len(), before, "none of them");
    };
    let (safe, by_force) = (UpgradeType::SafeDowngrade, UpgradeType::UnsafeDowngrade);
    check(
        "no.such",
        1,
        up,
        "Invalid update version 1 for feature no.such. Local controller 1 does not support this \
         feature.",
    );
    check(
        "no.such",
        0,
        UpgradeType::SafeDowngrade,
        "Invalid update version 0 for feature no.such. Feature no.such not found.",
    );
    check(
        "share.version",
        3,
        up,
        "Invalid update version 3 for feature share.version. Local controller 1 only supports \
         versions 0-2",
    );
    check(
        "metadata.version",
        30,
        up,
        "Invalid update version 30 for feature metadata.version. Can't downgrade the version of \
         this feature without setting the upgrade type to either safe or unsafe downgrade.",
    );
    check(
        "metadata.version",
        30,
        safe,
        "Unsupported metadata.version downgrade from 33 to 30. Refusing to perform the requested \
         downgrade because it might delete metadata information.",
    );
    check(
        "metadata.version",
        30,
        by_force,
        "Unsupported metadata.version downgrade from 33 to 30. Unsafe metadata downgrade is not \
         supported in this version.",
    );
    check(
        "share.version",
        2,
        safe,
        "Invalid update version 2 for feature share.version. Can't downgrade to a newer version.",
    );
    check(
        "share.version",
        1,
        UpgradeType::Unknown,
        "Invalid update version 1 for feature share.version. The controller does not support the \
         given upgrade type.",
    );
}

#[test]
fn producer_ids_come_in_blocks_that_never_overlap() {
    let mut world = World::of_brokers(1);
    let broker_epoch = world.machine.image().cluster.brokers[&1].epoch;
    let ask = AllocateProducerIds { broker_id: 1, broker_epoch };
    assert_eq!(world.records(ask.clone()), ["producer ids to 1000"]);
    assert_eq!(world.ask(ask).unwrap(), ProducerIdBlock { first: 1000, len: 1000 });
    let stale = AllocateProducerIds { broker_id: 1, broker_epoch: 0 };
    refused(
        world.ask(stale),
        ErrorCode::StaleBrokerEpoch,
        &format!("Expected broker epoch {broker_epoch}, but got broker epoch 0"),
    );
}

#[test]
fn quotas_are_set_once_and_removed_and_bad_ones_are_refused() {
    let mut world = World::of_brokers(1);
    let entity = |parts: &[(&str, Option<&str>)]| -> Vec<(String, Option<String>)> {
        parts.iter().map(|(k, n)| ((*k).to_owned(), n.map(str::to_owned))).collect()
    };
    let user = || entity(&[("user", Some("u")), ("client-id", None)]);
    let ask = |world: &mut World, entity, key: &str, value| {
        let before = world.log.len();
        let changes = vec![(entity, vec![(key.to_owned(), value)])];
        let command = AlterClientQuotas { changes, validate_only: false };
        (world.ask(command).unwrap().remove(0).1, world.log.len() - before)
    };
    let rate = "producer_byte_rate";
    assert_eq!(ask(&mut world, user(), rate, Some(1024.0)), (Ok(()), 1));
    assert_eq!(ask(&mut world, user(), rate, Some(1024.0)), (Ok(()), 0), "nothing changed");
    assert_eq!(ask(&mut world, user(), rate, None), (Ok(()), 1));
    assert_eq!(ask(&mut world, user(), rate, None), (Ok(()), 0), "nothing to remove");
    let mut check = |entity, key: &str, value, message: &str| {
        let (result, _) = ask(&mut world, entity, key, Some(value));
        refused(result, ErrorCode::InvalidRequest, message);
    };
    check(user(), "no_such_rate", 1.0, "Invalid configuration key no_such_rate");
    check(user(), rate, 0.0, "Quota producer_byte_rate must be greater than 0");
    check(user(), rate, 1.5, "producer_byte_rate cannot be a fractional value.");
    check(entity(&[]), rate, 1.0, "Invalid empty client quota entity");
    check(entity(&[("group", None)]), rate, 1.0, "Unhandled client quota entity type: group");
    check(entity(&[("user", Some(""))]), rate, 1.0, "Empty user not supported");
    let address = || entity(&[("ip", Some("10.0.0.1"))]);
    check(
        address(),
        "connection_creation_rate",
        3e9,
        "Proposed value for connection_creation_rate is too large for an INT.",
    );
    check(address(), rate, 1.0, "Invalid configuration key producer_byte_rate");
}

#[test]
fn credentials_are_stored_removed_and_never_changed_twice_at_once() {
    let mut world = World::of_brokers(1);
    let upsert = |user: &str, iterations| ScramUpsertion {
        user: user.to_owned(),
        mechanism: 1,
        iterations,
        salt: vec![1],
        stored_key: vec![2],
        server_key: vec![3],
    };
    let store = AlterUserScramCredentials {
        deletions: vec![("gone".to_owned(), 1), ("both".to_owned(), 9)],
        upsertions: vec![
            upsert("a", 4096),
            upsert("few", 100),
            upsert("b", 4096),
            upsert("b", 4096),
        ],
    };
    let results: BTreeMap<String, Verdict> = world.ask(store).unwrap().into_iter().collect();
    assert_eq!(results["a"], Ok(()));
    let check = |user: &str, code: ErrorCode, message: &str| {
        refused(results[user].clone(), code, message);
    };
    check(
        "gone",
        ErrorCode::ResourceNotFound,
        "Attempt to delete a user credential that does not exist",
    );
    check("both", ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    check("few", ErrorCode::UnacceptableCredential, "Too few iterations");
    check(
        "b",
        ErrorCode::DuplicateResource,
        "A user credential cannot be altered twice in the same request",
    );
    let remove =
        AlterUserScramCredentials { deletions: vec![("a".to_owned(), 1)], upsertions: Vec::new() };
    assert_eq!(world.records(remove), ["remove_user_scram_credential_record"]);
    assert!(world.machine.image().scram.is_empty());
}

#[test]
fn acls_are_created_once_and_deleted_by_filter() {
    let mut world = World::of_brokers(1);
    let acl = |name: &str, pattern_type| Acl {
        resource_type: 2,
        resource_name: name.to_owned(),
        pattern_type,
        principal: "User:u".to_owned(),
        host: "*".to_owned(),
        operation: 3,
        permission: 3,
    };
    let acls = vec![
        acl("orders", 3),
        acl("orders", 3),
        acl("ord", 4),
        acl("*", 3),
        acl("other", 3),
        Acl { principal: "nobody".to_owned(), ..acl("x", 3) },
        Acl { host: "10.0.0.0/33".to_owned(), ..acl("x", 3) },
    ];
    let results = world.ask(CreateAcls { acls }).unwrap();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert_eq!(world.machine.image().acls.len(), 4, "one was there twice");
    refused(
        results[5].clone(),
        ErrorCode::InvalidRequest,
        "Could not parse principal from `nobody` (no colon is present separating the principal \
         type from the principal name)",
    );
    let filter = AclFilter {
        resource_type: 2,
        resource_name: Some("orders".to_owned()),
        pattern_type: 2,
        principal: None,
        host: None,
        operation: 1,
        permission: 1,
    };
    let deleted = world.ask(DeleteAcls { filters: vec![filter] }).unwrap().remove(0).unwrap();
    let mut names: Vec<String> = deleted.into_iter().map(|acl| acl.resource_name).collect();
    names.sort();
    assert_eq!(names, ["*", "ord", "orders"], "all that match the name");
    assert_eq!(world.machine.image().acls.len(), 1);
}

#[test]
fn a_controller_registers_and_a_voter_is_never_unregistered() {
    let mut world = World::of_brokers(0);
    let register = |id| RegisterController {
        controller_id: id,
        incarnation_id: Uuid::from_halves(1, 1),
        endpoints: Vec::new(),
        features: supported(),
    };
    world.ask(register(1)).unwrap();
    world.ask(register(2)).unwrap();
    refused(
        world.ask(UnregisterController { controller_id: 1 }),
        ErrorCode::InvalidRequest,
        "Cannot unregister controller 1 because it is part of the voter set.",
    );
    let gone = UnregisterController { controller_id: 2 };
    assert_eq!(world.records(gone.clone()), ["unregister_controller_record"]);
    refused(
        world.ask(gone),
        ErrorCode::ControllerIdNotRegistered,
        "Controller ID 2 is not currently registered.",
    );
}
