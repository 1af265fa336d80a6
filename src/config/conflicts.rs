//! Settings that are each right, and together are not (Kafka 4.4 `KafkaConfig.validateValues`,
//! `GroupCoordinatorConfig.checkConstraints`, `ShareGroupConfig.validate`).

use super::broker::BrokerConfig;
use super::error::Conflict;
use super::listeners::{Listener, SecurityProtocol};
use super::quorum::is_host;
use super::value::{Value, split_list};

/// How the values of two keys must compare.
#[derive(Clone, Copy)]
enum Relation {
    AtLeast,
    AtMost,
    Less,
}

use Relation::{AtLeast, AtMost, Less};

#[rustfmt::skip]
const RELATIONS: &[(&str, Relation, &str)] = &[
    ("group.consumer.max.heartbeat.interval.ms", AtLeast, "group.consumer.min.heartbeat.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", AtLeast, "group.consumer.min.heartbeat.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", AtMost, "group.consumer.max.heartbeat.interval.ms"),
    ("group.consumer.max.session.timeout.ms", AtLeast, "group.consumer.min.session.timeout.ms"),
    ("group.consumer.session.timeout.ms", AtLeast, "group.consumer.min.session.timeout.ms"),
    ("group.consumer.session.timeout.ms", AtMost, "group.consumer.max.session.timeout.ms"),
    ("group.consumer.heartbeat.interval.ms", Less, "group.consumer.session.timeout.ms"),
    ("group.consumer.max.assignment.interval.ms", AtLeast, "group.consumer.min.assignment.interval.ms"),
    ("group.consumer.assignment.interval.ms", AtLeast, "group.consumer.min.assignment.interval.ms"),
    ("group.consumer.assignment.interval.ms", AtMost, "group.consumer.max.assignment.interval.ms"),
    ("group.share.max.heartbeat.interval.ms", AtLeast, "group.share.min.heartbeat.interval.ms"),
    ("group.share.heartbeat.interval.ms", AtLeast, "group.share.min.heartbeat.interval.ms"),
    ("group.share.heartbeat.interval.ms", AtMost, "group.share.max.heartbeat.interval.ms"),
    ("group.share.max.session.timeout.ms", AtLeast, "group.share.min.session.timeout.ms"),
    ("group.share.session.timeout.ms", AtLeast, "group.share.min.session.timeout.ms"),
    ("group.share.session.timeout.ms", AtMost, "group.share.max.session.timeout.ms"),
    ("group.share.heartbeat.interval.ms", Less, "group.share.session.timeout.ms"),
    ("group.share.max.assignment.interval.ms", AtLeast, "group.share.min.assignment.interval.ms"),
    ("group.share.assignment.interval.ms", AtLeast, "group.share.min.assignment.interval.ms"),
    ("group.share.assignment.interval.ms", AtMost, "group.share.max.assignment.interval.ms"),
    ("group.streams.max.heartbeat.interval.ms", AtLeast, "group.streams.min.heartbeat.interval.ms"),
    ("group.streams.heartbeat.interval.ms", AtLeast, "group.streams.min.heartbeat.interval.ms"),
    ("group.streams.heartbeat.interval.ms", AtMost, "group.streams.max.heartbeat.interval.ms"),
    ("group.streams.max.session.timeout.ms", AtLeast, "group.streams.min.session.timeout.ms"),
    ("group.streams.session.timeout.ms", AtLeast, "group.streams.min.session.timeout.ms"),
    ("group.streams.session.timeout.ms", AtMost, "group.streams.max.session.timeout.ms"),
    ("group.streams.heartbeat.interval.ms", Less, "group.streams.session.timeout.ms"),
    ("group.streams.max.assignment.interval.ms", AtLeast, "group.streams.min.assignment.interval.ms"),
    ("group.streams.assignment.interval.ms", AtLeast, "group.streams.min.assignment.interval.ms"),
    ("group.streams.assignment.interval.ms", AtMost, "group.streams.max.assignment.interval.ms"),
    ("group.streams.num.standby.replicas", AtMost, "group.streams.max.standby.replicas"),
    ("group.streams.task.offset.interval.ms", AtLeast, "group.streams.min.task.offset.interval.ms"),
    ("group.streams.num.warmup.replicas", AtMost, "group.streams.max.warmup.replicas"),
    ("group.share.max.delivery.count.limit", AtLeast, "group.share.delivery.count.limit"),
    ("group.share.delivery.count.limit", AtLeast, "group.share.min.delivery.count.limit"),
    ("group.share.max.partition.max.record.locks", AtLeast, "group.share.partition.max.record.locks"),
    ("group.share.partition.max.record.locks", AtLeast, "group.share.min.partition.max.record.locks"),
    ("group.share.record.lock.duration.ms", AtLeast, "group.share.min.record.lock.duration.ms"),
    ("group.share.max.record.lock.duration.ms", AtLeast, "group.share.record.lock.duration.ms"),
    ("group.share.max.share.sessions", AtLeast, "group.share.max.size"),
];

/// The assignors that there are: key, name, Kafka's class.
const ASSIGNORS: &[(&str, &str, &str)] = &[
    (
        "group.consumer.assignors",
        "uniform",
        "org.apache.kafka.coordinator.group.assignor.UniformAssignor",
    ),
    (
        "group.consumer.assignors",
        "range",
        "org.apache.kafka.coordinator.group.assignor.RangeAssignor",
    ),
    (
        "group.share.assignors",
        "simple",
        "org.apache.kafka.coordinator.group.assignor.SimpleAssignor",
    ),
    (
        "group.streams.assignors",
        "sticky",
        "org.apache.kafka.coordinator.group.streams.assignor.StickyTaskAssignor",
    ),
];

/// The names of the assignors in a key that lists them by name or by class.
pub(super) fn assignor_names(key: &str, listed: &[String]) -> Vec<Result<&'static str, String>> {
    let name = |listed: &String| {
        let is_it = |(of, name, class): &&(&str, &str, &str)| {
            *of == key && (name == listed || class == listed)
        };
        ASSIGNORS.iter().find(is_it).map(|(_, name, _)| *name).ok_or_else(|| listed.clone())
    };
    listed.iter().map(name).collect()
}

/// Collects what is found.
#[derive(Default)]
struct ConflictList(Vec<Conflict>);

impl ConflictList {
    /// A condition whose failure Kafka reports with "requirement failed: " before its message.
    fn require(&mut self, condition: bool, keys: &[&'static str], message: impl Into<String>) {
        if !condition {
            let message = message.into();
            self.0.push(Conflict { keys: keys.to_vec(), message, requirement: true });
        }
    }

    fn expect(&mut self, condition: bool, keys: &[&'static str], message: impl Into<String>) {
        if !condition {
            let message = message.into();
            self.0.push(Conflict { keys: keys.to_vec(), message, requirement: false });
        }
    }
}

/// All conflicts of a configuration.
pub(super) fn find(config: &BrokerConfig) -> Vec<Conflict> {
    let mut found = ConflictList::default();
    groups(config, &mut found);
    logs(config, &mut found);
    roles(config, &mut found);
    listeners(config, &mut found);
    connections(config, &mut found);
    found.0.extend(config.wrong_super_user());
    found.0
}

fn groups(config: &BrokerConfig, found: &mut ConflictList) {
    for (key, relation, other) in RELATIONS {
        let (a, b) = (config.value(key).number(), config.value(other).number());
        let (Some(a), Some(b)) = (a, b) else { continue };
        let (holds, words) = match relation {
            AtLeast => (a >= b, "greater than or equal to"),
            AtMost => (a <= b, "less than or equal to"),
            Less => (a < b, "less than"),
        };
        found.expect(holds, &[key, other], format!("{key} must be {words} {other}"));
    }
    let classic = "group.coordinator.rebalance.protocols";
    found.expect(
        config.group.group_coordinator_rebalance_protocols.iter().any(|name| name == "classic"),
        &[classic],
        "Disabling the 'classic' protocol is not supported.",
    );
    for key in ["group.consumer.assignors", "group.share.assignors", "group.streams.assignors"] {
        let Value::List(listed) = config.value(key) else { continue };
        let mut seen = Vec::new();
        for (assignor, listed) in assignor_names(key, listed).into_iter().zip(listed) {
            let problem = match assignor {
                Ok(name) if seen.contains(&name) => format!(
                    "Assignor name '{name}' is already registered by another configured assignor. \
                     Assignor names, whether built-in or custom, must be unique"
                ),
                Ok(name) => {
                    seen.push(name);
                    continue;
                }
                Err(_) => "Class cannot be found".to_owned(),
            };
            let message = format!("Invalid value {listed} for configuration {key}: {problem}");
            found.expect(false, &[key], message);
        }
    }
    for key in
        ["offsets.topic.compression.codec", "share.coordinator.state.topic.compression.codec"]
    {
        let id = config.value(key).number().unwrap_or(0.0);
        found.expect(
            (0.0..=4.0).contains(&id),
            &[key],
            format!("Unknown compression type id: {id}"),
        );
    }
    let shares = config.share.group_share_assignors.len();
    found.expect(
        shares == 1,
        &["group.share.assignors"],
        format!("group.share.assignors must contain exactly one assignor, but found {shares}"),
    );
    let tags = "group.streams.rack.aware.assignment.tags";
    let raw = config.effective.get(tags).map(|text| split_list(text)).unwrap_or_default();
    found.expect(
        !has_duplicates(&raw),
        &[tags],
        format!("{tags} must not contain duplicate tag keys."),
    );
}

/// Whether two parts of a list are the same.
pub(super) fn has_duplicates(list: &[String]) -> bool {
    list.iter().enumerate().any(|(at, part)| list[..at].contains(part))
}

fn logs(config: &BrokerConfig, found: &mut ConflictList) {
    let log = &config.log;
    let kept = log.retention_ms();
    found.require(
        log.roll_ms() >= 1,
        &["log.roll.ms"],
        "log.roll.ms must be greater than or equal to 1",
    );
    found.require(
        log.roll_jitter_ms() >= 0,
        &["log.roll.jitter.ms"],
        "log.roll.jitter.ms must be greater than or equal to 0",
    );
    found.require(
        kept >= 1 || kept == -1,
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
    );
    found.expect(
        log.log_cleaner_threads >= 1,
        &["log.cleaner.threads"],
        "Log cleaner threads should be at least 1",
    );
    let threads = i64::from(log.log_cleaner_threads.max(1));
    found.require(
        log.log_cleaner_dedupe_buffer_size / threads > 1024 * 1024,
        &["log.cleaner.dedupe.buffer.size", "log.cleaner.threads"],
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
    );
    let replication = &config.replication;
    found.require(
        replication.replica_fetch_wait_max_ms <= replication.replica_socket_timeout_ms,
        &["replica.fetch.wait.max.ms", "replica.socket.timeout.ms"],
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent \
         unnecessary socket timeouts",
    );
    found.require(
        i64::from(replication.replica_fetch_wait_max_ms) <= replication.replica_lag_time_max_ms,
        &["replica.fetch.wait.max.ms", "replica.lag.time.max.ms"],
        "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms \
         to prevent frequent changes in ISR",
    );
    let (min, max) = (log.log_cleaner_min_compaction_lag_ms, log.log_cleaner_max_compaction_lag_ms);
    found.expect(
        min <= max,
        &["log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"],
        format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms \
             ({max})"
        ),
    );
    if config.is_broker() {
        let cordoned = &log.cordoned_log_dirs;
        let dirs = &["cordoned.log.dirs", "log.dirs", "log.dir"];
        if cordoned.iter().any(|dir| dir == "*") {
            found.require(
                cordoned.len() == 1,
                dirs,
                "When cordoned.log.dirs is set to *, it must not contain other values",
            );
        } else {
            let unknown: Vec<&str> = cordoned
                .iter()
                .filter(|dir| !config.log_dirs().contains(dir))
                .map(String::as_str)
                .collect();
            found.require(
                unknown.is_empty(),
                dirs,
                format!(
                    "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. \
                     Missing entries : {}",
                    unknown.join(", ")
                ),
            );
        }
    }
}

fn roles(config: &BrokerConfig, found: &mut ConflictList) {
    const VOTERS: &str = "controller.quorum.voters";
    const SERVERS: &str = "controller.quorum.bootstrap.servers";
    const NAMES: &str = "controller.listener.names";
    let node = &config.node;
    let id = node.node_id;
    found.expect(
        config.value("broker.id") == config.value("node.id"),
        &["node.id", "broker.id"],
        "`node.id` and `broker.id` must be set to the same value. `broker.id` is deprecated, \
         please use `node.id` instead.",
    );
    found.expect(
        !config.voters.is_empty() || !config.bootstrap_servers.is_empty(),
        &[VOTERS, SERVERS],
        format!(
            "If using process.roles, either {SERVERS} must contain the set of bootstrap \
             controllers or {VOTERS} must contain a parseable set of controllers."
        ),
    );
    if let Some(voter) = config.voters.values().find(|voter| voter.host == "0.0.0.0") {
        found.expect(false, &[VOTERS], format!("Host string ({}) is not routeable", voter.host));
    }
    let voters = config.voters.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (is_broker, is_controller) = (config.is_broker(), config.is_controller());
    if is_broker && !is_controller {
        found.require(
            !config.voters.contains_key(&id),
            &["process.roles", "node.id", VOTERS],
            format!(
                "If process.roles contains just the 'broker' role, the node id {id} must not be \
                 included in the set of voters {VOTERS}=Set({voters})"
            ),
        );
        found.require(
            config.controller_listeners().next().is_none(),
            &[NAMES, "listeners"],
            format!(
                "{NAMES} must not contain a value appearing in the 'listeners' configuration when \
                 running KRaft with just the broker role"
            ),
        );
        for name in &node.controller_listener_names {
            found.expect(
                config.protocol_of(name).is_some(),
                &[NAMES, "listener.security.protocol.map"],
                format!(
                    "Controller listener with name {} defined in {NAMES} not found in \
                     listener.security.protocol.map  (an explicit security mapping for each \
                     controller listener is required if listener.security.protocol.map is \
                     non-empty, or if there are security protocols other than PLAINTEXT in use)",
                    name.to_uppercase()
                ),
            );
        }
        found.require(
            !node.controller_quorum_auto_join_enable,
            &["controller.quorum.auto.join.enable", "process.roles"],
            "controller.quorum.auto.join.enable is only supported when process.roles contains the \
             'controller' role.",
        );
    }
    if !is_controller {
        return;
    }
    let advertised = config.advertised_for_controllers().len();
    if !is_broker {
        found.require(
            advertised == config.listeners.len(),
            &["listeners", NAMES, "process.roles"],
            format!(
                "The listeners config must only contain KRaft controller listeners from {NAMES} \
                 when process.roles=controller"
            ),
        );
        let inter_broker = config.replication.inter_broker_listener_name.is_some();
        found.require(
            !(inter_broker && config.is_controller_listener(&config.inter_broker.listener)),
            &[NAMES, "inter.broker.listener.name", "process.roles"],
            format!(
                "{NAMES} must not contain an explicitly set inter.broker.listener.name \
                 configuration value when process.roles=controller'"
            ),
        );
    }
    found.require(
        config.voters.is_empty() || config.voters.contains_key(&id),
        &["process.roles", "node.id", VOTERS],
        format!(
            "If process.roles contains the 'controller' role, the node id {id} must be included \
             in the set of voters {VOTERS}=Set({voters})"
        ),
    );
    found.require(
        advertised > 0,
        &[NAMES, "listeners"],
        format!(
            "{NAMES} must contain at least one value appearing in the 'listeners' configuration \
             when running the KRaft controller role"
        ),
    );
    let is_listener = |name: &String| config.listeners.iter().any(|l| l.name == *name);
    found.require(
        node.controller_listener_names.iter().all(is_listener),
        &[NAMES, "listeners"],
        format!(
            "{NAMES} must only contain values appearing in the 'listeners' configuration when \
             running the KRaft controller role"
        ),
    );
}

fn listeners(config: &BrokerConfig, found: &mut ConflictList) {
    const ADVERTISED: &str = "advertised.listeners";
    let names = |listeners: &[&Listener]| {
        listeners.iter().map(|listener| listener.name.clone()).collect::<Vec<_>>().join(",")
    };
    let advertised: Vec<&Listener> = config.advertised_for_brokers().collect();
    if config.is_broker() {
        found.require(
            !advertised.is_empty(),
            &["listeners", ADVERTISED, "controller.listener.names"],
            "There must be at least one broker advertised listener. Perhaps all listeners appear \
             in controller.listener.names?",
        );
        let inter_broker = &config.inter_broker.listener;
        found.require(
            advertised.iter().any(|listener| listener.name == *inter_broker),
            &["inter.broker.listener.name", "security.inter.broker.protocol", ADVERTISED],
            format!(
                "inter.broker.listener.name must be a listener name defined in {ADVERTISED}. The \
                 valid options based on currently configured listeners are {}",
                names(&advertised)
            ),
        );
        let all: Vec<&Listener> = config.listeners.iter().collect();
        found.require(
            advertised.iter().all(|listener| all.iter().any(|l| l.name == listener.name)),
            &[ADVERTISED, "listeners"],
            format!(
                "{ADVERTISED} listener names must be equal to or a subset of the ones defined in \
                 listeners. Found {}. The valid options based on the current configuration are {}",
                names(&advertised),
                names(&all)
            ),
        );
    }
    if let Value::List(early) = config.value("early.start.listeners") {
        let is_known = |name: &str| {
            config.listeners.iter().any(|listener| listener.name == name)
                || config.is_controller_listener(name)
        };
        for name in early.iter().filter(|name| !is_known(name)) {
            found.expect(
                false,
                &["early.start.listeners", "listeners", "controller.listener.names"],
                format!(
                    "early.start.listeners contains listener {name}, but this is not contained in \
                     listeners or controller.listener.names"
                ),
            );
        }
    }
    let is_meta = |listener: &Listener| listener.host.as_deref() == Some("0.0.0.0");
    found.require(
        !advertised.iter().any(|listener| is_meta(listener))
            && !config.advertised_for_controllers().iter().any(is_meta),
        &[ADVERTISED, "listeners"],
        format!(
            "{ADVERTISED} cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP \
             address."
        ),
    );
    // Ours: what is not built yet is not neglected.
    let of_controllers =
        config.node.controller_listener_names.iter().map(|name| (name, config.protocol_of(name)));
    let in_use = config
        .listeners
        .iter()
        .map(|listener| (&listener.name, Some(listener.protocol)))
        .chain(of_controllers)
        .chain([(&config.inter_broker.listener, Some(config.inter_broker.protocol))]);
    let mut secured: Vec<(&String, SecurityProtocol)> = in_use
        .filter_map(|(name, protocol)| Some((name, protocol?)))
        .filter(|(_, protocol)| *protocol != SecurityProtocol::Plaintext)
        .collect();
    secured.dedup();
    for (name, protocol) in secured {
        found.expect(
            false,
            &["listeners", "listener.security.protocol.map"],
            format!(
                "listener {name} has the security protocol {}, which is not supported yet, and \
                 not ignored: only PLAINTEXT is",
                protocol.name()
            ),
        );
    }
}

fn connections(config: &BrokerConfig, found: &mut ConflictList) {
    const OVERRIDES: &str = "max.connections.per.ip.overrides";
    let network = &config.network;
    let number = |key: &str| config.value(key).number().unwrap_or(0.0);
    let queued = number("queued.max.request.bytes");
    found.require(
        queued <= 0.0 || queued >= f64::from(network.socket_request_max_bytes),
        &["queued.max.request.bytes", "socket.request.max.bytes"],
        "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
    );
    match parse_connection_overrides(&network.max_connections_per_ip_overrides) {
        Ok(overrides) => {
            found.require(
                network.max_connections_per_ip != 0 || !overrides.is_empty(),
                &["max.connections.per.ip", OVERRIDES],
                format!(
                    "max.connections.per.ip can be set to zero only if {OVERRIDES} property is set."
                ),
            );
            let invalid: Vec<&str> = overrides
                .iter()
                .map(|(host, _)| host.as_str())
                .filter(|host| !is_host(host))
                .collect();
            found.expect(
                invalid.is_empty(),
                &[OVERRIDES],
                format!("{OVERRIDES} contains invalid addresses : {}", invalid.join(",")),
            );
        }
        Err(message) => found.expect(false, &[OVERRIDES], message),
    }
    let (delay, idle) =
        (number("connection.failed.authentication.delay.ms"), network.connections_max_idle_ms);
    found.require(
        idle < 0 || delay < idle as f64,
        &["connection.failed.authentication.delay.ms", "connections.max.idle.ms"],
        format!(
            "connection.failed.authentication.delay.ms={delay} should always be less than \
             connections.max.idle.ms={idle} to prevent failed authentication responses from \
             timing out"
        ),
    );
}

/// Reads `max.connections.per.ip.overrides`: HOST:COUNT, each.
pub(super) fn parse_connection_overrides(text: &str) -> Result<Vec<(String, i32)>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let parse = |entry: &String| {
        let (host, count) = entry.rsplit_once(':')?;
        Some((host.trim().to_owned(), count.trim().parse().ok()?))
    };
    split_list(text)
        .iter()
        .map(|entry| {
            parse(entry).ok_or_else(|| {
                format!(
                    "Error parsing configuration property 'max.connections.per.ip.overrides': \
                     {entry} is not HOST:COUNT"
                )
            })
        })
        .collect()
}
