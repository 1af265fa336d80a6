//! Bootstrap, brokers, controllers.

use super::*;

#[test]
fn an_empty_log_begins_with_the_bootstrap_records_in_a_transaction() {
    let world = World::formatted(
        &[("metadata.version", 33), ("eligible.leader.replicas.version", 1)],
        settings(),
    );
    assert_eq!(
        world.lines_since(0),
        [
            "begin_transaction_record",
            "feature metadata.version=33",
            "feature eligible.leader.replicas.version=1",
            "config 4: min.insync.replicas=1",
            "end_transaction_record",
        ]
    );
    let old = World::formatted(&[("metadata.version", 11)], settings());
    assert_eq!(old.lines_since(0), ["feature metadata.version=11"], "before transactions");
}

#[test]
fn a_log_with_records_begins_with_nothing_but_the_end_of_an_open_transaction() {
    let mut world = World::of_brokers(1);
    let none = world.machine.activate(Mono::default(), &[]).unwrap();
    assert_eq!(none, []);
    let begin = crate::metadata::record::BeginTransactionRecord { name: None };
    world.apply(&[begin.into()]);
    let abort = world.machine.activate(Mono::default(), &[]).unwrap();
    assert_eq!(abort.iter().map(line).collect::<Vec<_>>(), ["abort_transaction_record"]);
}

#[test]
fn a_bootstrap_transaction_that_was_cut_short_is_written_again() {
    let machine = Controller::new(settings(), Arc::new(FewRules));
    let mut world = World { machine, log: Vec::new(), now: Mono::default() };
    let release = bootstrap::default_records();
    let begin = crate::metadata::record::BeginTransactionRecord { name: None };
    world.apply(&[begin.into()]);
    world.apply(&release);
    let records = world.machine.activate(Mono::default(), &release).unwrap();
    let lines: Vec<String> = records.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "abort_transaction_record",
            "begin_transaction_record",
            "feature metadata.version=33",
            "end_transaction_record",
        ]
    );
    world.apply(&records);
    assert_eq!(world.machine.image().release.level, 33);
}

#[test]
fn a_feature_of_a_newer_release_is_refused_by_name() {
    let mut world = World::of_brokers(0);
    let newer = crate::metadata::record::FeatureLevelRecord {
        name: "share.version".to_owned(),
        feature_level: 9,
    };
    let error = world.machine.apply(&newer.into(), 70, 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "metadata log at offset 70: feature share.version is finalized at level 9, this release \
         supports 0 to 2"
    );
}

#[test]
fn a_broker_registers_is_unfenced_and_its_epoch_is_the_logs_end() {
    let mut world = World::of_brokers(0);
    let end = world.log.len() as i64;
    let epoch = world.ask(registration(1, 1)).unwrap();
    assert_eq!(epoch, end);
    let before = world.log.len();
    let reply = world.heartbeat(1, false, false);
    assert!(reply.is_caught_up && !reply.is_fenced && !reply.should_shut_down);
    assert_eq!(world.lines_since(before), ["broker 1 unfence"]);
}

#[test]
fn every_start_raises_the_leader_epochs_clean_or_not() {
    let mut world = World::of_brokers(1);
    world.topic("a", &[&[1], &[1]]);
    assert_eq!(world.epochs("a"), [(1, 0), (1, 0)]);

    // Killed: the registration says that it led, and nobody stopped it.
    let before = world.log.len();
    world.start(1, 2);
    assert_eq!(
        world.lines_since(before),
        [
            "change 0 leader -1 isr[] last[1]",
            "change 1 leader -1 isr[] last[1]",
            format!("register 1 epoch {before} fenced true").as_str(),
            "broker 1 unfence",
            "change 0 leader 1 isr[1] last[] recovering",
            "change 1 leader 1 isr[1] last[] recovering",
        ]
    );
    assert_eq!(world.epochs("a"), [(1, 2), (1, 2)]);

    // Stopped cleanly: it leaves as a replica that is still eligible.
    let before = world.log.len();
    assert!(world.heartbeat(1, false, true).in_controlled_shutdown);
    assert!(world.heartbeat(1, false, true).should_shut_down);
    assert_eq!(
        world.lines_since(before),
        [
            "broker 1 stopping",
            "change 0 leader -1 isr[] elr[1] last[1]",
            "change 1 leader -1 isr[] elr[1] last[1]",
            "broker 1 fence",
        ]
    );
    let before = world.log.len();
    let previous = world.machine.image().cluster.brokers[&1].epoch;
    world.ask(RegisterBroker { previous_epoch: Some(previous), ..registration(1, 3) }).unwrap();
    world.heartbeat(1, false, false);
    assert_eq!(
        world.lines_since(before),
        [
            format!("register 1 epoch {before} fenced true").as_str(),
            "broker 1 unfence",
            "change 0 leader 1 isr[1] elr[] last[]",
            "change 1 leader 1 isr[1] elr[] last[]",
        ]
    );
    assert_eq!(world.epochs("a"), [(1, 4), (1, 4)]);
}

#[test]
fn without_eligible_replicas_the_last_in_sync_replica_stays_in_sync() {
    let mut world = World::of_brokers_at(1, &[("metadata.version", 33)]);
    world.topic("a", &[&[1]]);
    let before = world.log.len();
    world.start(1, 2);
    assert_eq!(
        world.lines_since(before),
        [
            "change 0 leader -1",
            format!("register 1 epoch {before} fenced true").as_str(),
            "broker 1 unfence",
            "change 0 leader 1",
        ]
    );
}

#[test]
fn the_same_incarnation_keeps_its_epoch_and_state() {
    let mut world = World::of_brokers(1);
    let epoch = world.machine.image().cluster.brokers[&1].epoch;
    let records = world.records(registration(1, 1));
    assert_eq!(records, [format!("register 1 epoch {epoch} fenced false")]);
}

#[test]
fn another_broker_with_a_live_session_is_not_replaced_but_our_own_is() {
    let mut world = World::of_brokers(2);
    refused(
        world.ask(registration(2, 9)),
        ErrorCode::DuplicateBrokerRegistration,
        "Another broker is registered with that broker id. If the broker was recently restarted \
         this should self-resolve once the heartbeat manager expires the broker's session.",
    );
    world.ask(registration(1, 9)).unwrap();
    world.now = Mono::default() + Duration::from_secs(9);
    world.ask(registration(2, 9)).unwrap();
}

#[test]
fn a_registration_that_does_not_fit_is_refused_with_kafkas_words() {
    let mut world = World::of_brokers(1);
    let other_cluster = RegisterBroker { cluster_id: "other".to_owned(), ..registration(2, 1) };
    refused(
        world.ask(other_cluster),
        ErrorCode::InconsistentClusterId,
        "Expected cluster ID cluster, but got cluster ID other",
    );
    let stolen = RegisterBroker { log_dirs: vec![directory(1)], ..registration(2, 1) };
    refused(
        world.ask(stolen),
        ErrorCode::InvalidRegistration,
        &format!("Broker 1 is already registered with directory {}", directory(1)),
    );
    let none = RegisterBroker { log_dirs: Vec::new(), ..registration(2, 1) };
    refused(world.ask(none), ErrorCode::InvalidRegistration, "No directories specified in request");
    let mut old = registration(2, 1);
    old.features.retain(|range| range.name != "eligible.leader.replicas.version");
    refused(
        world.ask(old),
        ErrorCode::UnsupportedVersion,
        "Unable to register because the broker does not support finalized version 1 of \
         eligible.leader.replicas.version. The broker wants a version between 0 and 0, inclusive.",
    );
    let mut unknown = registration(2, 1);
    unknown.features.retain(|range| range.name != "metadata.version");
    refused(
        world.ask(unknown),
        ErrorCode::InvalidRegistration,
        "Request features do not contain 'metadata.version'",
    );
}

#[test]
fn a_silent_broker_is_fenced_and_its_partitions_get_another_leader() {
    let mut world = World::of_brokers(3);
    world.topic("a", &[&[2, 3], &[3, 2]]);
    world.now = Mono::default() + Duration::from_secs(5);
    world.heartbeat(3, false, false);
    let deadline = world.machine.next_deadline().unwrap();
    assert_eq!(deadline, Mono::default() + Duration::from_secs(9));
    let records = world.machine.on_deadline(deadline);
    let lines: Vec<String> = records.iter().map(line).collect();
    assert_eq!(lines, ["change 0 leader 3 isr[3]", "change 1 isr[3]", "broker 2 fence",]);
    world.apply(&records);
    let deadline = world.machine.next_deadline().unwrap();
    assert_eq!(deadline, Mono::default() + Duration::from_secs(14), "of broker 3; never our own");
}

#[test]
fn a_failed_directory_takes_its_replicas_out_of_sync() {
    let mut world = World::of_brokers(1);
    let two = vec![directory(2), directory(22)];
    world.ask(RegisterBroker { log_dirs: two, ..registration(2, 1) }).unwrap();
    world.heartbeat(2, false, false);
    world.topic("a", &[&[2, 1], &[2, 1]]);
    let topic = world.machine.image().topics.by_name("a").unwrap().id;
    let broker_epoch = world.machine.image().cluster.brokers[&2].epoch;
    world
        .ask(AssignReplicasToDirs {
            broker_id: 2,
            broker_epoch,
            replicas: vec![(directory(2), topic, vec![0]), (directory(22), topic, vec![1])],
        })
        .unwrap();
    let records = world.records(BrokerHeartbeat {
        broker_id: 2,
        broker_epoch,
        metadata_offset: 99,
        offline_log_dirs: vec![directory(22)],
        cordoned_log_dirs: Some(Vec::new()),
        ..BrokerHeartbeat::default()
    });
    assert_eq!(records, ["change 1 leader 1 isr[1]", "broker 2 dirs", "broker 2 cordoned"]);
}

#[test]
fn an_unregistered_broker_leaves_its_partitions_and_the_cluster() {
    let mut world = World::of_brokers(2);
    world.topic("a", &[&[2, 1]]);
    let records = world.records(UnregisterBroker { broker_id: 2 });
    assert_eq!(records, ["change 0 leader 1 isr[1]", "unregister_broker_record"]);
    refused(
        world.ask(UnregisterBroker { broker_id: 2 }),
        ErrorCode::BrokerIdNotRegistered,
        "Broker ID 2 is not currently registered",
    );
}

#[test]
fn an_idle_controller_writes_a_record_that_says_nothing() {
    let idle = Some(Duration::from_millis(500));
    let levels = [("metadata.version", 33)];
    let mut world = World::formatted(&levels, Settings { max_idle_interval: idle, ..settings() });
    let at = world.machine.next_deadline().unwrap();
    assert_eq!(at, Mono(500_000_000));
    assert_eq!(world.machine.on_deadline(Mono(499_999_999)), []);
    let records = world.machine.on_deadline(at);
    assert_eq!(records.iter().map(line).collect::<Vec<_>>(), ["no_op_record"]);
    assert_eq!(world.machine.next_deadline(), Some(Mono(1_000_000_000)));
}
