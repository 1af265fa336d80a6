//! The settings of a node that is given none, and the file that is written of them.

use std::fmt::Write as _;

use super::origin::Origin;
use super::properties::Properties;

/// The settings in the order of the file, in groups with a remark each. They are those that Apache
/// Kafka ships (`config/server.properties`), but that nothing outside this machine can reach it.
const GROUPS: &[(&str, &[(&str, &str)])] = &[
    (
        "One node that is broker and controller.",
        &[
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ],
    ),
    (
        "Where to listen, and what clients are told of it.",
        &[
            ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("controller.listener.names", "CONTROLLER"),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,\
                 SASL_SSL:SASL_SSL",
            ),
            ("num.network.threads", "3"),
            ("num.io.threads", "8"),
            ("socket.send.buffer.bytes", "102400"),
            ("socket.receive.buffer.bytes", "102400"),
            ("socket.request.max.bytes", "104857600"),
        ],
    ),
    (
        "Where and how data is kept.",
        &[
            ("log.dirs", ""),
            ("num.partitions", "1"),
            ("num.recovery.threads.per.data.dir", "2"),
            ("log.retention.hours", "168"),
            ("log.segment.bytes", "1073741824"),
            ("log.retention.check.interval.ms", "300000"),
        ],
    ),
    (
        "One broker has no others to replicate to: with more of them, 3 replicas and 2 in sync.",
        &[
            ("offsets.topic.replication.factor", "1"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
            ("share.coordinator.state.topic.replication.factor", "1"),
            ("share.coordinator.state.topic.min.isr", "1"),
        ],
    ),
];

/// The settings of a node that is given none: one node, reachable from this machine alone, with
/// its data in this directory.
pub fn built_in(log_dir: &str) -> Properties {
    let mut properties = Properties::default();
    for (key, value) in GROUPS.iter().flat_map(|(_, settings)| *settings) {
        let value = if *key == "log.dirs" { log_dir } else { value };
        properties.set((*key).to_owned(), value.to_owned(), Origin::BuiltIn);
    }
    properties
}

/// The text of a `server.properties` with these settings, which gives them back when it is read,
/// by this program or by Apache Kafka.
pub fn render(settings: &Properties) -> String {
    let mut text = String::new();
    let line = |text: &mut String, key: &str, value: &str| {
        // Writing to a string does not fail.
        _ = writeln!(text, "{}={}", escape(key, true), escape(value, false));
    };
    for (remark, keys) in GROUPS {
        let given: Vec<_> =
            keys.iter().filter_map(|(key, _)| Some((*key, settings.get(key)?))).collect();
        if given.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        _ = writeln!(text, "# {remark}");
        for (key, setting) in given {
            line(&mut text, key, &setting.value);
        }
    }
    let is_grouped = |key: &str| GROUPS.iter().any(|(_, keys)| keys.iter().any(|(k, _)| *k == key));
    let others: Vec<_> = settings.iter().filter(|(key, _)| !is_grouped(key)).collect();
    if !others.is_empty() {
        text.push('\n');
    }
    for (key, setting) in others {
        line(&mut text, key, &setting.value);
    }
    text
}

/// The text with backslashes where it would be read otherwise without them.
fn escape(text: &str, is_key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\x0c' => escaped.push_str("\\f"),
            ' ' if is_key || at == 0 => escaped.push_str("\\ "),
            '=' | ':' | '#' | '!' if is_key || at == 0 => {
                escaped.push('\\');
                escaped.push(c);
            }
            ' '..='~' => escaped.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    _ = write!(escaped, "\\u{unit:04x}");
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BrokerConfig, Warning};

    fn values(properties: &Properties) -> Vec<(String, String)> {
        properties.iter().map(|(key, s)| (key.to_owned(), s.value.clone())).collect()
    }

    #[test]
    fn the_file_of_a_node_that_is_given_nothing_starts_the_same_node() {
        let settings = built_in("/var/lib/data");
        let text = render(&settings);
        let read = Properties::parse("server.properties", text.as_bytes()).unwrap();
        assert_eq!(values(&read), values(&settings));
        let (config, warnings) = BrokerConfig::start(&read).unwrap();
        // Apache Kafka needs keys in it that have no effect here so far.
        let is_pending = |warning: &Warning| matches!(warning, Warning::NotImplemented { .. });
        assert!(warnings.iter().all(is_pending), "{warnings:?}");
        assert_eq!(BrokerConfig::start(&settings).unwrap().1, [], "the operator has set none");
        assert_eq!(config.log_dirs(), ["/var/lib/data"]);
        assert!(config.is_broker() && config.is_controller());
    }

    #[test]
    fn odd_text_comes_back_from_the_file_as_it_was() {
        let mut settings = Properties::default();
        for (key, value) in [
            ("a b=c:d", " x = \\ y\t\u{e9}\u{1f600}\n#"),
            ("#!", "#!"),
            ("log.dirs", "C:\\data dir"),
            ("", "=:"),
        ] {
            settings.set(key.to_owned(), value.to_owned(), Origin::Override);
        }
        let text = render(&settings);
        assert!(text.is_ascii());
        let read = Properties::parse("f", text.as_bytes()).unwrap();
        let sorted = |properties| {
            let mut values = values(properties);
            values.sort();
            values
        };
        assert_eq!(sorted(&read), sorted(&settings));
    }
}
