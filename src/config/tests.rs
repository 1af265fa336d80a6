//! The declarations as a whole, and what broker and topic make of them.

mod reference;

use super::*;
use crate::record::{CompressionType, TargetCompression, TimestampType};
use crate::types::ErrorCode;

/// Settings as text.
pub(super) fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The settings of a file with these lines.
fn file(lines: &str) -> Properties {
    Properties::parse("server.properties", lines.as_bytes()).unwrap()
}

const COMBINED: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
controller.listener.names=CONTROLLER
";

/// A combined node with these settings besides.
pub(super) fn broker(settings: &[(&str, &str)]) -> BrokerConfig {
    let mut properties = file(COMBINED);
    for (key, value) in settings {
        properties.set((*key).to_owned(), (*value).to_owned(), Origin::Override);
    }
    BrokerConfig::start(&properties).unwrap().0
}

/// What is wrong with a combined node with these lines besides.
fn wrong(lines: &str) -> Vec<String> {
    let errors = BrokerConfig::start(&file(&format!("{COMBINED}{lines}"))).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

fn warned(lines: &str) -> Vec<String> {
    let (_, warnings) = BrokerConfig::start(&file(&format!("{COMBINED}{lines}"))).unwrap();
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn every_default_is_a_value_that_its_key_takes() {
    let tables = keys::BROKER_TABLES.iter().flat_map(|(_, table)| table.iter());
    let all = tables
        .chain(keys::quota::DYNAMIC_ONLY)
        .chain(keys::topics())
        .chain(keys::groups())
        .chain(keys::all_client_metrics());
    let mut count = 0;
    for key in all {
        count += 1;
        if let Default::Text(text) = key.default {
            let value = key.parse(text).unwrap_or_else(|error| panic!("{}: {error}", key.name));
            assert_eq!(value.text().as_deref(), Some(text), "{}", key.name);
            assert_eq!(key.refusal(&value), None, "{}", key.name);
        }
        assert!(key.doc.ends_with('.') && key.doc.len() > 10, "{}", key.name);
        for synonym in key.synonyms {
            let of_broker = keys::broker(synonym.name).expect(synonym.name);
            let is_first_name = key.name == "streams.assignor.name";
            assert!(is_first_name || of_broker.kind == key.kind || synonym.factor != 1);
        }
    }
    assert_eq!(count, 379 + 3 + 38 + 27 + 3, "the keys of Kafka 4.4.0");
    assert_eq!(keys::brokers().count(), 379, "no name twice");
}

#[test]
fn a_wrong_value_is_named_with_its_line_and_what_would_be_right() {
    assert_eq!(
        wrong("\n# no\nmessage.max.bytes=-3\nlog.flush.interval.messages = many\n"),
        [
            "log.flush.interval.messages=many (server.properties:9): must be a whole number from 1 \
             to 9223372036854775807",
            "message.max.bytes=-3 (server.properties:8): must be a whole number of bytes from 0 to \
             2147483647",
        ]
    );
    assert_eq!(
        wrong(
            "log.message.timestamp.type=Now\nlog.cleanup.policy=compact,x\ndelete.topic.enable=1"
        ),
        [
            "delete.topic.enable=1 (server.properties:8): must be true or false",
            "log.cleanup.policy=compact,x (server.properties:7): must be a list of any of compact, \
             delete, or empty",
            "log.message.timestamp.type=Now (server.properties:6): must be one of CreateTime, \
             LogAppendTime",
        ]
    );
}

#[test]
fn what_must_be_set_is_missed() {
    let errors = BrokerConfig::start(&file("log.dirs=/a")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "controller.listener.names is not set, and has no default: must be a list, not empty and \
         without empty parts\n\
         node.id is not set, and has no default: must be a whole number from 0 to 2147483647\n\
         process.roles is not set, and has no default: must be a list of any of broker, controller"
    );
}

#[test]
fn what_is_not_honoured_yet_and_must_not_be_neglected_stops_the_start() {
    assert_eq!(
        wrong("authorizer.class.name=com.example.Authorizer"),
        ["authorizer.class.name=com.example.Authorizer (server.properties:6): not supported yet, \
             and not ignored: Java classes cannot be loaded, and everyone could do what they \
             were to forbid. Remove it to start without it."]
    );
    for line in [
        "principal.builder.class=com.example.Builder",
        "create.topic.policy.class.name=com.example.Policy",
        "alter.config.policy.class.name=com.example.Policy",
        "client.quota.callback.class=com.example.Quotas",
        "remote.log.storage.system.enable=true",
        "config.providers=file",
        "replica.selector.class=com.example.Selector",
        "security.providers=com.example.Provider",
        "listener.name.plaintext.principal.builder.class=com.example.Builder",
    ] {
        let errors = wrong(line);
        assert!(errors.len() == 1 && errors[0].contains("not ignored: "), "{line}: {errors:?}");
    }
    let fine = "\
authorizer.class.name=
remote.log.storage.system.enable=false
replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector
principal.builder.class=org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder
";
    assert_eq!(warned(fine), [] as [&str; 0]);
}

#[test]
fn kafkas_authorizer_reads_keys_of_its_own() {
    const STANDARD: &str =
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n";
    let authorizer = |lines: &str| {
        let settings = file(&format!("{COMBINED}{STANDARD}{lines}"));
        let (config, warnings) = BrokerConfig::start(&settings).unwrap();
        assert_eq!(warnings, []);
        config.authorizer().unwrap()
    };
    assert_eq!(authorizer(""), AuthorizerConfig::default());
    assert_eq!(
        authorizer("super.users= User:a ;;Other:b:c\nallow.everyone.if.no.acl.found= TRUE"),
        AuthorizerConfig {
            super_users: ["User:a".to_owned(), "Other:b:c".to_owned()].into(),
            allow_everyone_if_no_acl_found: true,
        }
    );
    assert_eq!(
        wrong(&format!("{STANDARD}super.users=User:a;b")),
        ["super.users=User:a;b (server.properties:7): expected a string in format \
          principalType:principalName but got b"]
    );
    let (config, _) = BrokerConfig::start(&file(COMBINED)).unwrap();
    assert_eq!(config.authorizer(), None);
    assert_eq!(warned("super.users=User:a").len(), 1, "nobody reads it");
}

#[test]
fn a_listener_that_is_secured_stops_the_start() {
    let errors = wrong(
        "listeners=PLAINTEXT://:9092,OUT://:9094,CONTROLLER://:9093\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,OUT:SASL_SSL",
    );
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].ends_with(
            "listener OUT has the security protocol SASL_SSL, which is not supported yet, and not \
             ignored: only PLAINTEXT is"
        ),
        "{errors:?}"
    );
    let errors = wrong(
        "security.inter.broker.protocol=SSL\nlisteners=SSL://:1,CONTROLLER://:2\n\
         listener.security.protocol.map=SSL:SSL,CONTROLLER:PLAINTEXT",
    );
    assert!(errors.iter().any(|error| error.contains("listener SSL has")), "{errors:?}");
}

#[test]
fn unknown_keys_warn_and_do_not_stop() {
    assert_eq!(
        warned(
            "log.segment.byte=1\nzookeeper.connect=a:2181\nmy.own=1\nmy.password=hunter2\n\
             super.users=User:a\nnum.io.threads=16\nnum.io.threads=8\nbroker.id=1\n\
             listener.name.plaintext.max.connections=7"
        ),
        [
            "num.io.threads=16 (server.properties:11): set again further down, this one is ignored",
            "log.segment.byte=1 (server.properties:6): unknown key, ignored. Was log.segment.bytes \
             meant?",
            "zookeeper.connect=a:2181 (server.properties:7): unknown key, ignored. Kafka had it \
             once, and has removed it",
            "my.own=1 (server.properties:8): unknown key, ignored",
            "my.password=[hidden] (server.properties:9): unknown key, ignored",
            "super.users=User:a (server.properties:10): accepted without effect. It is the \
             authorizer's, and none is configured.",
            "broker.id=1 (server.properties:13): deprecated, use node.id",
        ]
    );
    assert!(warned("num.io.threads=16")[0].starts_with(
        "num.io.threads=16 (server.properties:6): accepted without effect. A connection's thread"
    ));
}

#[test]
fn a_key_that_is_not_implemented_warns_where_it_is_not_at_its_default() {
    let lines = "max.connection.creation.rate=5\nnum.network.threads=3\nqueued.max.requests=9";
    let (_, warnings) = BrokerConfig::start(&file(&format!("{COMBINED}{lines}"))).unwrap();
    let shown: Vec<_> = warnings.iter().map(|w| (w.is_note(), w.to_string())).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(
        shown[0],
        (
            false,
            "max.connection.creation.rate=5 (server.properties:6): not implemented yet, the value \
             has no effect. The rate of new connections is not limited."
                .to_owned()
        )
    );
    let (is_note, text) = &shown[1];
    assert!(*is_note && text.starts_with("queued.max.requests=9"), "{text}");
}

#[test]
fn either_name_of_the_node_id_will_do_and_both_must_agree() {
    let lines = COMBINED.replace("node.id=1", "broker.id=1");
    let (config, _) = BrokerConfig::start(&file(&lines)).unwrap();
    assert_eq!(config.node.node_id, 1);
    assert_eq!(
        wrong("broker.id=2"),
        ["node.id=1 (server.properties:2), broker.id=2 (server.properties:6): `node.id` and \
             `broker.id` must be set to the same value. `broker.id` is deprecated, please use \
             `node.id` instead."]
    );
}

#[test]
fn kafkas_defaults_are_not_changed_where_there_is_a_file() {
    let config = broker(&[]);
    assert_eq!(config.group.offsets_topic_replication_factor, 3);
    assert_eq!(config.transaction.transaction_state_log_min_isr, 2);
    assert_eq!(config.log_dirs(), ["/tmp/kafka-logs"]);
    assert_eq!(config.metadata_dir(), "/tmp/kafka-logs");
    assert_eq!(config.inter_broker.listener, "PLAINTEXT");
    assert_eq!(config.log.retention_ms(), 604_800_000);
}

#[test]
fn of_several_names_of_a_duration_the_finest_counts() {
    let kept = |settings: &[(&str, &str)]| broker(settings).log.retention_ms();
    assert_eq!(kept(&[("log.retention.hours", "2")]), 7_200_000);
    assert_eq!(kept(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]), 180_000);
    assert_eq!(kept(&[("log.retention.ms", "4"), ("log.retention.minutes", "3")]), 4);
    assert_eq!(kept(&[("log.retention.minutes", "-7")]), -1);
    let config = broker(&[("log.roll.hours", "2"), ("log.flush.scheduler.interval.ms", "9")]);
    assert_eq!((config.log.roll_ms(), config.log.flush_ms()), (7_200_000, 9));
    let topic = TopicConfig::resolve(&config, &props(&[])).unwrap();
    assert_eq!((topic.segment_ms, topic.flush_ms), (7_200_000, 9));
}

#[test]
fn roles_listeners_and_quorum_must_fit_each_other() {
    let cases: &[(&str, &str)] = &[
        ("process.roles=worker", "must be a list of any of broker, controller"),
        ("controller.quorum.voters=2@a:1", "the node id 1 must be included in the set of voters"),
        ("controller.quorum.voters=", "If using process.roles, either"),
        ("controller.quorum.voters=1@0.0.0.0:1", "Host string (0.0.0.0) is not routeable"),
        ("controller.quorum.voters=1", "must be a list of ID@HOST:PORT"),
        ("process.roles=broker", "the node id 1 must not be included in the set of voters"),
        ("process.roles=controller", "must only contain KRaft controller listeners"),
        (
            "controller.listener.names=OTHER\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,\
             CONTROLLER:PLAINTEXT",
            "must contain at least one value appearing in the",
        ),
        (
            "listeners=CONTROLLER://:9093",
            "There must be at least one broker advertised listener. Perhaps all listeners",
        ),
        (
            "inter.broker.listener.name=OTHER",
            "Listener with name OTHER defined in inter.broker.listener.name not found in",
        ),
        (
            "inter.broker.listener.name=CONTROLLER",
            "must be a listener name defined in advertised.listeners. The valid options based on \
             currently configured listeners are PLAINTEXT",
        ),
        (
            "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should",
        ),
        (
            "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0.",
        ),
        ("listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://:9093", "cannot use the nonroutable"),
        (
            "advertised.listeners=PLAINTEXT://a:1,SSL://a:2",
            "advertised.listeners listener names must be equal to or a subset",
        ),
        (
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9092",
            "Each listener must have a different port",
        ),
        ("queued.max.request.bytes=1", "must be larger or equal to socket.request.max.bytes"),
        ("max.connections.per.ip=0", "can be set to zero only if"),
        ("max.connections.per.ip.overrides=a b:1", "contains invalid addresses : a b"),
        ("max.connections.per.ip.overrides=a", "a is not HOST:COUNT"),
        ("connections.max.idle.ms=100", "failed.authentication.delay.ms=100 should always be less"),
        ("replica.fetch.wait.max.ms=40000", "replica.socket.timeout.ms should always be at least"),
        ("log.roll.ms=0", "log.roll.ms must be greater than or equal to 1"),
        ("log.retention.ms=0", "log.retention.ms must be unlimited (-1) or"),
        ("log.cleaner.threads=0", "Log cleaner threads should be at least 1"),
        ("offsets.topic.compression.codec=9", "Unknown compression type id: 9"),
        ("early.start.listeners=X", "early.start.listeners contains listener X, but"),
        ("log.cleaner.threads=200", "must be at least 1MB per cleaner thread"),
        ("cordoned.log.dirs=/x", "Missing entries : /x"),
        ("cordoned.log.dirs=*,/tmp/kafka-logs", "it must not contain other values"),
        ("group.coordinator.rebalance.protocols=consumer", "Disabling the 'classic' protocol"),
        ("group.consumer.assignors=com.example.A", "Class cannot be found"),
        ("group.consumer.assignors=range,range", ""),
        (
            "group.consumer.session.timeout.ms=1",
            "group.consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms",
        ),
        (
            "group.share.max.share.sessions=100",
            "must be greater than or equal to group.share.max.size",
        ),
        ("log.flush.interval.ms=-1", "configuration flush.ms: Value must be at least 0"),
        ("log.cleaner.min.compaction.lag.ms=9\nlog.cleaner.max.compaction.lag.ms=8", "(9) > max"),
    ];
    for (lines, words) in cases {
        if words.is_empty() {
            broker(&[lines.split_once('=').unwrap()]);
            continue;
        }
        let errors = wrong(lines);
        assert!(errors.iter().any(|error| error.contains(words)), "{lines}: {errors:?}");
        let first_key = lines.split('=').next().unwrap();
        assert!(errors.iter().any(|e| e.contains(first_key)), "{lines}: {errors:?}");
    }
}

#[test]
fn a_broker_alone_and_a_controller_alone_start() {
    let lines = "\
process.roles=broker
node.id=2
controller.quorum.bootstrap.servers=c1:9093,c2:9093
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://[::1]:9092
";
    let (config, warnings) = BrokerConfig::start(&file(lines)).unwrap();
    assert_eq!(warnings, []);
    assert!(config.is_broker() && !config.is_controller());
    assert_eq!(config.bootstrap_servers.len(), 2);
    assert_eq!(config.protocol_of("CONTROLLER"), Some(SecurityProtocol::Plaintext));
    let lines = "\
process.roles=controller
node.id=3
controller.quorum.voters=3@c3:9093
controller.listener.names=CONTROLLER
listeners=CONTROLLER://:9093
";
    let (config, _) = BrokerConfig::start(&file(lines)).unwrap();
    let advertised = config.advertised_controller_listeners("me", &[].into());
    assert_eq!(advertised[0].to_string(), "CONTROLLER://c3:9093", "as the quorum knows it");
}

#[test]
fn what_is_advertised_is_completed_by_the_host_and_the_ports_that_were_bound() {
    let config = broker(&[("listeners", "PLAINTEXT://:0,CONTROLLER://localhost:0")]);
    let bound = [("PLAINTEXT".to_owned(), 41_000), ("CONTROLLER".to_owned(), 41_001)].into();
    let shown = |listeners: Vec<Listener>| {
        listeners.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    assert_eq!(
        shown(config.advertised_broker_listeners("box.example", &bound)),
        "PLAINTEXT://box.example:41000"
    );
    assert_eq!(
        shown(config.advertised_controller_listeners("box.example", &bound)),
        "CONTROLLER://localhost:41001"
    );
    let config = broker(&[("advertised.listeners", "PLAINTEXT://[fe80::1]:1,CONTROLLER://c:2")]);
    assert_eq!(
        shown(config.advertised_broker_listeners("h", &[].into())),
        "PLAINTEXT://[fe80::1]:1"
    );
    assert_eq!(shown(config.advertised_controller_listeners("h", &[].into())), "CONTROLLER://c:2");
    assert_eq!(config.broker_listeners().count() + config.controller_listeners().count(), 2);
}

#[test]
fn a_node_that_is_given_nothing_is_reached_from_this_machine_over_both_versions_of_ip() {
    let (config, _) = BrokerConfig::start(&built_in("data")).unwrap();
    assert!(config.listeners.iter().all(|listener| listener.bind() == Bind::Loopback));
    let advertised = config.advertised_broker_listeners("h", &[].into());
    assert_eq!(advertised[0].to_string(), "PLAINTEXT://localhost:9092");
    assert_eq!(config.group.offsets_topic_replication_factor, 1);
    assert_eq!(config.share.share_coordinator_state_topic_min_isr, 1);
}

#[test]
fn a_key_with_a_listeners_prefix_holds_for_that_listener() {
    let config =
        broker(&[("max.connections", "9"), ("listener.name.controller.max.connections", "3")]);
    assert_eq!(config.of_listener("CONTROLLER", "max.connections"), Some("3"));
    assert_eq!(config.of_listener("PLAINTEXT", "max.connections"), Some("9"));
    assert_eq!(config.of_listener("PLAINTEXT", "num.network.threads"), None);
}

#[test]
fn a_topic_takes_from_the_broker_what_it_leaves_open() {
    let config = broker(&[
        ("log.segment.bytes", "2097152"),
        ("compression.type", "zstd"),
        ("log.message.timestamp.type", "LogAppendTime"),
        ("message.max.bytes", "5"),
    ]);
    let own = props(&[
        ("cleanup.policy", "compact, delete"),
        ("max.compaction.lag.ms", "1000"),
        ("compression.zstd.level", "-7"),
        ("min.cleanable.dirty.ratio", "0.25"),
    ]);
    let topic = TopicConfig::resolve(&config, &own).unwrap();
    assert_eq!(topic.largest_segment(), 2_097_152);
    assert_eq!(topic.longest_segment_ms(), 1000);
    assert_eq!(topic.cleanup_policy, CleanupPolicy { delete: true, compact: true });
    assert_eq!(
        topic.target_compression(),
        TargetCompression::Codec(CompressionType::Zstd, Some(-7))
    );
    assert_eq!(topic.message_timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(topic.max_message_bytes, 5);
    let empty = TopicConfig::resolve(&config, &props(&[("cleanup.policy", "")])).unwrap();
    assert_eq!(empty.cleanup_policy, CleanupPolicy { delete: false, compact: false });
}

#[test]
fn a_topics_wrong_value_is_refused_as_kafka_refuses_it() {
    let config = broker(&[]);
    for (key, value, message) in [
        ("x", "1", "Unknown topic config name: x"),
        (
            "retention.ms",
            "x",
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            "retention.ms",
            "-2",
            "Invalid value -2 for configuration retention.ms: Value must be at least -1",
        ),
        (
            "segment.bytes",
            "14",
            "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            "min.cleanable.dirty.ratio",
            "1.5",
            "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more \
             than 1",
        ),
        (
            "cleanup.policy",
            "delete,shred",
            "Invalid value shred for configuration cleanup.policy: String must be one of: compact, \
             delete",
        ),
        ("cleanup.policy", "delete,", "Configuration 'cleanup.policy' values must not be empty."),
        (
            "compression.type",
            "brotli",
            "Invalid value brotli for configuration compression.type: String must be one of: \
             uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            "compression.gzip.level",
            "0",
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and \
             9 or equal to -1",
        ),
        (
            "preallocate",
            "maybe",
            "Invalid value maybe for configuration preallocate: Expected value to be either true \
             or false",
        ),
        (
            "leader.replication.throttled.replicas",
            "1:2,x",
            "Invalid value [1:2, x] for configuration leader.replication.throttled.replicas: \
             leader.replication.throttled.replicas must be the literal '*' or a list of replicas \
             in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            "max.compaction.lag.ms",
            "0",
            "Invalid value 0 for configuration max.compaction.lag.ms: Value must be at least 1",
        ),
        (
            "remote.storage.enable",
            "true",
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
             with remote log storage.",
        ),
    ] {
        let error =
            TopicConfig::validate(&config, &props(&[(key, value)]), &props(&[])).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (ErrorCode::InvalidConfig, message));
    }
    let lags = props(&[("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "8")]);
    assert_eq!(
        TopicConfig::validate(&config, &lags, &props(&[])).unwrap_err().to_string(),
        "conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)"
    );
    let tiered = props(&[("remote.storage.enable", "true")]);
    assert!(TopicConfig::validate(&config, &props(&[]), &tiered).is_err());
    let deleting = props(&[("remote.log.delete.on.disable", "true")]);
    assert_eq!(TopicConfig::validate(&config, &deleting, &tiered), Ok(()));
    for fine in ["*", "", "0:1,1:2"] {
        let own = props(&[("follower.replication.throttled.replicas", fine)]);
        assert_eq!(TopicConfig::validate(&config, &own, &props(&[])), Ok(()));
    }
}

#[test]
fn a_stored_value_that_is_none_any_more_is_left_out_with_a_warning() {
    let stored = props(&[("segment.bytes", "1000"), ("retention.ms", "5")]);
    let (topic, warnings) = TopicConfig::resolve_stored(&broker(&[]), &stored);
    assert_eq!((topic.segment_bytes, topic.retention_ms), (1 << 30, 5));
    assert_eq!(warnings.len(), 1);
}

#[test]
fn alterations_lie_over_the_file_and_those_of_one_broker_over_those_of_all() {
    let config = broker(&[("log.retention.hours", "1"), ("message.max.bytes", "10")]);
    let cluster = props(&[("log.retention.ms", "60"), ("message.max.bytes", "20")]);
    let own = props(&[("message.max.bytes", "30")]);
    let (altered, warnings) = config.altered(&cluster, &own);
    assert_eq!(warnings, []);
    assert_eq!((altered.log.retention_ms(), altered.log.message_max_bytes), (60, 30));
    let (back, _) = altered.altered(&props(&[]), &props(&[]));
    assert_eq!(back, config);
}

#[test]
fn stored_alterations_that_do_not_fit_are_left_out_one_by_one() {
    let config = broker(&[]);
    let cluster = props(&[
        ("log.dirs", "/elsewhere"),
        ("listeners", "PLAINTEXT://:1"),
        ("num.network.threads", "x"),
        ("config.providers", "file"),
        ("message.max.bytes", "7"),
        ("unknown.key", "kept"),
        ("group.consumer.assignment.interval.ms", "99999"),
        ("log.roll.ms", "0"),
    ]);
    let (altered, warnings) = config.altered(&cluster, &props(&[]));
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("15000 is used")));
    assert!(warnings.iter().any(|warning| warning.contains("log.roll.ms must be greater")));
    assert_eq!(altered.log.message_max_bytes, 7);
    assert_eq!(altered.layers().cluster.len(), 3);
}

#[test]
fn an_alteration_of_a_broker_is_refused_as_kafka_refuses_it() {
    let config = broker(&[]);
    let refused = |pairs: &[(&str, &str)], for_this_broker| {
        let error = config.validate_alterations(&props(pairs), for_this_broker).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest, "KAFKA-13609");
        error.to_string()
    };
    assert_eq!(
        refused(&[("log.dirs", "/a"), ("node.id", "2")], true),
        "Cannot update these configs dynamically: [log.dirs, node.id]"
    );
    assert_eq!(
        refused(&[("ssl.keystore.location", "a")], true),
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix: [ssl.keystore.location]"
    );
    assert_eq!(
        refused(&[("listener.name.a.ssl.keystore.location", "a"), ("listeners", "A://:1")], false),
        "Cannot update these configs at default cluster level, broker id must be specified: \
         [listener.name.a.ssl.keystore.location, listeners]"
    );
    assert_eq!(
        refused(&[("message.max.bytes", "-1")], false),
        "Invalid value -1 for configuration message.max.bytes: Value must be at least 0"
    );
    assert_eq!(
        refused(&[("log.roll.ms", "0")], false),
        "requirement failed: log.roll.ms must be greater than or equal to 1"
    );
    assert_eq!(
        refused(&[("num.io.threads", "17")], true),
        "Invalid dynamic configuration: Dynamic thread count update validation failed for \
         num.io.threads=17, value should not be greater than double the current value 8"
    );
    assert!(refused(&[("num.io.threads", "3")], true).ends_with("half the current value 8"));
    assert!(refused(&[("log.cleaner.threads", "0")], true).ends_with("at least 1"));
    assert!(refused(&[("log.cleaner.threads", "3")], true).ends_with("the current value 1"));
    assert!(
        refused(&[("listeners", "OTHER://:1")], true).contains("OTHER"),
        "a listener that no protocol is known of"
    );
    assert!(refused(&[("listeners", "CONTROLLER://:9093")], true).contains("advertised"));
    assert!(refused(&[("config.providers", "file")], false).contains("not ignored"));
    assert!(
        refused(&[("log.local.retention.ms", "-1")], false)
            .contains("Value must not be -1 as log.retention.ms value is set as 604800000.")
    );
    assert!(
        refused(&[("log.local.retention.ms", "604800001")], false).contains("must not be more")
    );
    assert!(refused(&[("log.remote.copy.lag.ms", "604800001")], false).contains("must not exceed"));
    for (pairs, for_this_broker) in [
        (&[("num.io.threads", "16"), ("log.cleaner.threads", "2")][..], true),
        (&[("leader.replication.throttled.rate", "5")], false),
        (&[("my.own", "x")], false),
        (&[("max.connections", "5"), ("listener.name.plaintext.max.connections", "5")], false),
        (&[("unclean.leader.election.enable", "true")], false),
        (&[], true),
    ] {
        assert_eq!(
            config.validate_alterations(&props(pairs), for_this_broker),
            Ok(()),
            "{pairs:?}"
        );
    }
}
