//! Stories: given what happened, when a command comes, then these records and this reply.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::command::*;
use super::*;
use crate::metadata::cluster::FeatureRange;
use crate::metadata::features;
use crate::metadata::{ConfigResource, MetadataRecord, ResourceType};
use crate::types::{ErrorCode, Mono, Offset, Uuid};

/// Rules that know a few keys.
pub(super) struct FewRules;

impl ConfigRules for FewRules {
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &Values,
        _before: &Values,
    ) -> Result<(), Refusal> {
        let known = ["retention.ms", "cleanup.policy", "min.insync.replicas", "cordoned.log.dirs"];
        let unclean = "unclean.leader.election.enable";
        match values.keys().find(|key| !known.contains(&key.as_str()) && *key != unclean) {
            Some(key) if resource.kind == ResourceType::Topic => Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Unknown topic config name: {key}"),
            )),
            _ => Ok(()),
        }
    }

    fn is_list(&self, _kind: ResourceType, key: &str) -> bool {
        key == "cleanup.policy"
    }

    fn default_value(&self, _kind: ResourceType, key: &str) -> Option<String> {
        (key == "cleanup.policy").then(|| "delete".to_owned())
    }

    fn effective_topic(
        &self,
        topic: &Values,
        _node: &Values,
        _cluster: &Values,
    ) -> Vec<EffectiveConfig> {
        let effective = |(name, value): (&String, &String)| EffectiveConfig {
            name: name.clone(),
            value: Some(value.clone()),
            source: 1,
            sensitive: false,
        };
        topic.iter().map(effective).collect()
    }

    fn effective_topic_value(
        &self,
        key: &str,
        topic: &Values,
        _node: &Values,
        cluster: &Values,
    ) -> Option<String> {
        topic.get(key).or_else(|| cluster.get(key)).cloned()
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        node_id: 1,
        cluster_id: "cluster".to_owned(),
        voters: BTreeSet::from([1]),
        kraft_version: 0,
        default_partitions: 1,
        default_replication_factor: 1,
        min_insync_replicas: 1,
        delete_topic_enable: true,
        session_timeout: Duration::from_secs(9),
        max_idle_interval: None,
    }
}

pub(super) fn directory(broker: i32) -> Uuid {
    Uuid::from_halves(0xd1 << 32, 1000 + broker as u64)
}

pub(super) fn supported() -> Vec<FeatureRange> {
    features::supported()
        .map(|(name, min, max)| FeatureRange { name: name.to_owned(), min, max })
        .collect()
}

pub(super) fn registration(broker: i32, incarnation: u64) -> RegisterBroker {
    RegisterBroker {
        broker_id: broker,
        cluster_id: "cluster".to_owned(),
        incarnation_id: Uuid::from_halves(7, incarnation),
        endpoints: Vec::new(),
        features: supported(),
        rack: None,
        log_dirs: vec![directory(broker)],
        previous_epoch: Some(-1),
    }
}

/// One line for one record: enough to tell what it does.
pub(super) fn line(record: &MetadataRecord) -> String {
    let or = |ids: &Option<Vec<i32>>, name: &str| {
        ids.as_ref().map_or_else(String::new, |ids| format!(" {name}{ids:?}"))
    };
    match record {
        MetadataRecord::FeatureLevel(r) => format!("feature {}={}", r.name, r.feature_level),
        MetadataRecord::Config(r) => format!(
            "config {}:{} {}={}",
            r.resource_type,
            r.resource_name,
            r.name,
            r.value.as_deref().unwrap_or("-")
        ),
        MetadataRecord::Topic(r) => format!("topic {}", r.name),
        MetadataRecord::RemoveTopic(_) => "remove topic".to_owned(),
        MetadataRecord::Partition(r) => format!(
            "partition {} replicas{:?} isr{:?} leader {} epoch {}",
            r.partition_id, r.replicas, r.isr, r.leader, r.leader_epoch
        ),
        MetadataRecord::PartitionChange(r) => {
            let leader =
                if r.leader == -2 { String::new() } else { format!(" leader {}", r.leader) };
            let recovery = match r.leader_recovery_state {
                0 => " recovered",
                1 => " recovering",
                _ => "",
            };
            format!(
                "change {}{leader}{}{}{}{}{}{}{recovery}",
                r.partition_id,
                or(&r.isr, "isr"),
                or(&r.replicas, "replicas"),
                or(&r.removing_replicas, "removing"),
                or(&r.adding_replicas, "adding"),
                or(&r.eligible_leader_replicas, "elr"),
                or(&r.last_known_elr, "last"),
            )
        }
        MetadataRecord::RegisterBroker(r) => {
            format!("register {} epoch {} fenced {}", r.broker_id, r.broker_epoch, r.fenced)
        }
        MetadataRecord::BrokerRegistrationChange(r) => {
            let fenced = match r.fenced {
                1 => " fence",
                -1 => " unfence",
                _ => "",
            };
            let stopping = if r.in_controlled_shutdown == 1 { " stopping" } else { "" };
            let dirs = if r.log_dirs.is_empty() { "" } else { " dirs" };
            let cordoned = if r.cordoned_log_dirs.is_some() { " cordoned" } else { "" };
            format!("broker {}{fenced}{stopping}{dirs}{cordoned}", r.broker_id)
        }
        MetadataRecord::ProducerIds(r) => format!("producer ids to {}", r.next_producer_id),
        MetadataRecord::ClearElr(r) => format!("clear elr '{}'", r.topic_name),
        other => other.name().to_lowercase(),
    }
}

/// A controller and its log.
pub(super) struct World {
    pub(super) machine: Controller,
    pub(super) log: Vec<MetadataRecord>,
    pub(super) now: Mono,
}

impl World {
    /// Of a cluster formatted at these levels, without brokers.
    pub(super) fn formatted(levels: &[(&str, i16)], settings: Settings) -> Self {
        let feature = |(name, level): &(&str, i16)| {
            let name = (*name).to_owned();
            crate::metadata::record::FeatureLevelRecord { name, feature_level: *level }.into()
        };
        let bootstrap: Vec<MetadataRecord> = levels.iter().map(feature).collect();
        let machine = Controller::new(settings, Arc::new(FewRules));
        let mut world = Self { machine, log: Vec::new(), now: Mono::default() };
        let records = world.machine.activate(world.now, &bootstrap).unwrap();
        world.apply(&records);
        world
    }

    /// With eligible leader replicas, and brokers 1 to `count` alive.
    pub(super) fn of_brokers(count: i32) -> Self {
        Self::of_brokers_at(
            count,
            &[("metadata.version", 33), ("eligible.leader.replicas.version", 1)],
        )
    }

    pub(super) fn of_brokers_at(count: i32, levels: &[(&str, i16)]) -> Self {
        let mut world = Self::formatted(levels, settings());
        for broker in 1..=count {
            world.start(broker, 1);
        }
        world
    }

    /// Registers a new incarnation of a broker and unfences it.
    pub(super) fn start(&mut self, broker: i32, incarnation: u64) -> i64 {
        let epoch = self.ask(registration(broker, incarnation)).unwrap();
        self.heartbeat(broker, false, false);
        epoch
    }

    pub(super) fn heartbeat(&mut self, broker: i32, fence: bool, stop: bool) -> HeartbeatReply {
        let broker_epoch = self.machine.image().cluster.brokers[&broker].epoch;
        self.ask(BrokerHeartbeat {
            broker_id: broker,
            broker_epoch,
            metadata_offset: self.log.len() as Offset,
            want_fence: fence,
            want_shut_down: stop,
            ..BrokerHeartbeat::default()
        })
        .unwrap()
    }

    pub(super) fn apply(&mut self, records: &[MetadataRecord]) {
        for record in records {
            self.machine.apply(record, self.log.len() as Offset, 1).unwrap();
            self.log.push(record.clone());
        }
    }

    pub(super) fn ask<O: Operation>(&mut self, operation: O) -> Result<O::Reply, Refusal> {
        let next_offset = self.log.len() as Offset;
        let seed = next_offset as u128 + 1;
        let context = Context { now: self.now, next_offset, seed };
        let outcome = self.machine.decide(context, operation.into_command());
        self.apply(&outcome.records);
        outcome.reply.map(|reply| O::reply(reply).unwrap())
    }

    /// The records that an operation writes.
    pub(super) fn records<O: Operation>(&mut self, operation: O) -> Vec<String> {
        let before = self.log.len();
        self.ask(operation).unwrap();
        self.lines_since(before)
    }

    pub(super) fn lines_since(&self, offset: usize) -> Vec<String> {
        self.log[offset..].iter().map(line).collect()
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Refusal> {
        let command = CreateTopics { topics: vec![topic], validate_only: false };
        self.ask(command)?.remove(0).result
    }

    fn topic(&mut self, name: &str, replicas: &[&[i32]]) {
        let assignments = (0..).zip(replicas.iter().map(|ids| ids.to_vec())).collect();
        let topic = NewTopic { name: name.to_owned(), assignments, ..NewTopic::default() };
        self.create(topic).unwrap();
    }

    fn epochs(&self, name: &str) -> Vec<(i32, i32)> {
        let topic = self.machine.image().topics.by_name(name).unwrap();
        topic.partitions.iter().map(|p| (p.leader, p.leader_epoch)).collect()
    }
}

fn named(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), ..NewTopic::default() }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, code: ErrorCode, message: &str) {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.code, code, "{refusal}");
    assert_eq!(refusal.message.unwrap_or_default(), message);
}

// Bootstrap.

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

// Brokers.

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

// Topics.

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

// Leaders and replicas.

#[test]
fn a_leader_shrinks_and_expands_its_isr_and_stale_proposals_are_refused() {
    let mut world = World::of_brokers(2);
    world.topic("a", &[&[1, 2]]);
    let topic = world.machine.image().topics.by_name("a").unwrap().id;
    let epoch = |world: &World, id: i32| world.machine.image().cluster.brokers[&id].epoch;
    let propose = |world: &mut World, partition_epoch, isr: &[i32]| {
        let isr = isr.iter().map(|id| (*id, epoch(world, *id))).collect();
        let proposed = ProposedIsr {
            topic,
            partition: 0,
            leader_epoch: 0,
            partition_epoch,
            isr,
            recovering: false,
        };
        let command = AlterPartition {
            broker_id: 1,
            broker_epoch: epoch(world, 1),
            partitions: vec![proposed],
        };
        world.ask(command).unwrap().remove(0).result
    };
    let state = propose(&mut world, 0, &[1]).unwrap();
    assert_eq!((state.isr, state.partition_epoch, state.leader_epoch), (vec![1], 1, 0));
    assert_eq!(propose(&mut world, 0, &[1]), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(propose(&mut world, 9, &[1]), Err(ErrorCode::NotController));
    assert_eq!(propose(&mut world, 1, &[2]), Err(ErrorCode::InvalidRequest), "without its leader");
    assert_eq!(propose(&mut world, 1, &[1, 2]).unwrap().isr, [1, 2]);
    world.heartbeat(2, true, false);
    assert_eq!(propose(&mut world, 3, &[1, 2]), Err(ErrorCode::IneligibleReplica), "2 is fenced");
}

#[test]
fn leaders_are_elected_as_asked_for_or_kafkas_code_says_why_not() {
    let mut world = World::of_brokers(2);
    world.topic("a", &[&[2, 1], &[1, 2]]);
    world.heartbeat(2, true, false);
    world.heartbeat(2, false, false);
    assert_eq!(world.epochs("a")[0], (1, 1));
    let elect = |world: &mut World, election, partitions: Option<Vec<i32>>| {
        let partitions = partitions.map(|indexes| vec![("a".to_owned(), indexes)]);
        let before = world.log.len();
        let mut results = world.ask(ElectLeaders { election, partitions }).unwrap();
        (results.remove(0).1, world.lines_since(before))
    };
    let (results, _) = elect(&mut world, ElectionType::Preferred, Some(vec![0, 1, 7]));
    let codes: Vec<ErrorCode> = results
        .iter()
        .map(|(_, r)| r.as_ref().map_or_else(|e| e.code, |()| ErrorCode::None))
        .collect();
    assert_eq!(
        codes,
        [
            ErrorCode::PreferredLeaderNotAvailable,
            ErrorCode::ElectionNotNeeded,
            ErrorCode::UnknownTopicOrPartition
        ]
    );
    // Back in sync, it can lead.
    let topic = world.machine.image().topics.by_name("a").unwrap();
    let (id, partition_epoch) = (topic.id, topic.partitions[0].partition_epoch);
    let proposed = ProposedIsr {
        topic: id,
        partition: 0,
        leader_epoch: 1,
        partition_epoch,
        isr: vec![(1, -1), (2, -1)],
        recovering: false,
    };
    let broker_epoch = world.machine.image().cluster.brokers[&1].epoch;
    let command = AlterPartition { broker_id: 1, broker_epoch, partitions: vec![proposed] };
    world.ask(command).unwrap();
    let (results, lines) = elect(&mut world, ElectionType::Preferred, None);
    assert_eq!(results, [(0, Ok(()))], "those that are as asked for are not listed");
    assert_eq!(lines, ["change 0 leader 2"]);
}

#[test]
fn a_reassignment_adds_removes_completes_and_can_be_cancelled() {
    let mut world = World::of_brokers(3);
    world.topic("a", &[&[1, 2]]);
    let reassign = |world: &mut World, target: Option<Vec<i32>>| {
        let before = world.log.len();
        let command = AlterPartitionReassignments {
            topics: vec![("a".to_owned(), vec![(0, target)])],
            allow_replication_factor_change: false,
        };
        let result = world.ask(command).unwrap().remove(0).1.remove(0).1;
        (result, world.lines_since(before))
    };
    let (_, lines) = reassign(&mut world, Some(vec![1, 3]));
    assert_eq!(lines, ["change 0 replicas[1, 3, 2] removing[2] adding[3]"]);
    let ongoing = ongoing_reassignments(world.machine.image(), None);
    assert_eq!((&ongoing[0].1[0].adding, &ongoing[0].1[0].removing), (&vec![3], &vec![2]));
    let (_, lines) = reassign(&mut world, None);
    assert_eq!(lines, ["change 0 leader 1 replicas[1, 2] removing[] adding[]"]);
    refused(reassign(&mut world, None).0, ErrorCode::NoReassignmentInProgress, "");
    refused(
        reassign(&mut world, Some(vec![1])).0,
        ErrorCode::InvalidReplicationFactor,
        "The replication factor is changed from 2 to 1",
    );
    reassign(&mut world, Some(vec![1, 3])).0.unwrap();
    let topic = world.machine.image().topics.by_name("a").unwrap();
    let (id, partition) = (topic.id, &topic.partitions[0]);
    let proposed = ProposedIsr {
        topic: id,
        partition: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        isr: vec![(1, -1), (2, -1), (3, -1)],
        recovering: false,
    };
    let broker_epoch = world.machine.image().cluster.brokers[&1].epoch;
    let records =
        world.records(AlterPartition { broker_id: 1, broker_epoch, partitions: vec![proposed] });
    assert_eq!(records, ["change 0 leader 1 isr[1, 3] replicas[1, 3] removing[] adding[]"]);
}

// Configuration.

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

// Features.

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

// The rest.

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
