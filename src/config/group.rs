//! A group's configuration (Kafka 4.4 `GroupConfig`).

use super::broker::BrokerConfig;
use super::conflicts::{assignor_names, has_duplicates};
use super::error::AlterError;
use super::key::Key;
use super::keys;
use super::keys::group_level::GroupConfig;
use super::layers::{Props, Values};
use super::value::{Value, split_list};
use super::warning::Warning;

const ASSIGNOR: &str = "streams.assignor.name";
const ASSIGNORS: &str = "group.streams.assignors";

/// The bounds that a broker sets to its groups' numbers: the key, and the broker's keys that hold
/// the least and the most.
#[rustfmt::skip]
const BOUNDS: &[(&str, Option<&str>, Option<&str>)] = &[
    ("consumer.heartbeat.interval.ms", Some("group.consumer.min.heartbeat.interval.ms"), Some("group.consumer.max.heartbeat.interval.ms")),
    ("consumer.session.timeout.ms", Some("group.consumer.min.session.timeout.ms"), Some("group.consumer.max.session.timeout.ms")),
    ("consumer.assignment.interval.ms", Some("group.consumer.min.assignment.interval.ms"), Some("group.consumer.max.assignment.interval.ms")),
    ("share.heartbeat.interval.ms", Some("group.share.min.heartbeat.interval.ms"), Some("group.share.max.heartbeat.interval.ms")),
    ("share.session.timeout.ms", Some("group.share.min.session.timeout.ms"), Some("group.share.max.session.timeout.ms")),
    ("share.record.lock.duration.ms", Some("group.share.min.record.lock.duration.ms"), Some("group.share.max.record.lock.duration.ms")),
    ("share.delivery.count.limit", Some("group.share.min.delivery.count.limit"), Some("group.share.max.delivery.count.limit")),
    ("share.partition.max.record.locks", Some("group.share.min.partition.max.record.locks"), Some("group.share.max.partition.max.record.locks")),
    ("share.assignment.interval.ms", Some("group.share.min.assignment.interval.ms"), Some("group.share.max.assignment.interval.ms")),
    ("streams.heartbeat.interval.ms", Some("group.streams.min.heartbeat.interval.ms"), Some("group.streams.max.heartbeat.interval.ms")),
    ("streams.session.timeout.ms", Some("group.streams.min.session.timeout.ms"), Some("group.streams.max.session.timeout.ms")),
    ("streams.num.standby.replicas", None, Some("group.streams.max.standby.replicas")),
    ("streams.assignment.interval.ms", Some("group.streams.min.assignment.interval.ms"), Some("group.streams.max.assignment.interval.ms")),
    ("streams.task.offset.interval.ms", Some("group.streams.min.task.offset.interval.ms"), None),
    ("streams.num.warmup.replicas", None, Some("group.streams.max.warmup.replicas")),
];

/// The session timeout of each kind of group, which its heartbeat interval must not reach.
const SESSIONS: &[(&str, &str)] = &[
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

impl GroupConfig {
    /// The configuration of a group with these values of its own, over a broker's. What of it does
    /// not fit is left out, and what is out of the broker's bounds is moved into them, with a
    /// warning.
    pub fn resolve(broker: &BrokerConfig, group: &Props) -> (Self, Vec<Warning>) {
        let mut warnings = Vec::new();
        let mut values = Values::default();
        for key in keys::groups() {
            let value = match group.get(key.name).map(|text| key.parse(text)) {
                Some(Ok(value)) => clamped(broker, key, value, &mut warnings),
                Some(Err(error)) => {
                    warnings.push(Warning::NotApplied(error.message));
                    inherited(broker, key)
                }
                None => inherited(broker, key),
            };
            values.insert(key, value);
        }
        (Self::from_values(&values), warnings)
    }

    /// Whether a group may have these values (Kafka 4.4 `GroupConfig.validate`).
    pub fn validate(broker: &BrokerConfig, group: &Props) -> Result<(), AlterError> {
        if let Some(unknown) = group.keys().find(|name| keys::group(name).is_none()) {
            return Err(AlterError::UnknownGroupKey(unknown.clone()));
        }
        let conflict = |message: String| Err(AlterError::Conflict(message));
        let tags = "streams.rack.aware.assignment.tags";
        if group.get(tags).is_some_and(|text| has_duplicates(&split_list(text))) {
            return conflict(format!("{tags} must not contain duplicate tag keys."));
        }
        let mut own = Values::default();
        for key in keys::groups() {
            if let Some(text) = group.get(key.name) {
                own.insert(key, key.parse(text)?);
            }
        }
        let number = |key: &str| match own.get(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        for (key, min, max) in BOUNDS {
            let Some(value) = number(key) else { continue };
            let (min, max) = (bound(broker, *min), bound(broker, *max));
            if min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max) {
                continue;
            }
            return conflict(match (min, max) {
                (Some(min), Some(max)) => {
                    format!("{key} must be in the range {min} to {max} inclusive.")
                }
                (Some(min), None) => format!("{key} must be greater than or equal to {min}"),
                (None, max) => {
                    format!("{key} must be less than or equal to {}", max.unwrap_or(i32::MAX))
                }
            });
        }
        if let Some(Value::String(name)) = own.get(ASSIGNOR) {
            let known = streams_assignors(broker);
            if !known.contains(&name.as_str()) {
                return conflict(format!(
                    "{ASSIGNOR} '{name}' is not a registered task assignor. Registered assignors \
                     are: [{}].",
                    known.join(", ")
                ));
            }
        }
        for (session, heartbeat) in SESSIONS {
            if number(session).is_none() && number(heartbeat).is_none() {
                continue;
            }
            let effective =
                |key: &str| number(key).or_else(|| bound(broker, Some(&format!("group.{key}"))));
            if effective(session) <= effective(heartbeat) {
                return conflict(format!("{session} must be greater than {heartbeat}"));
            }
        }
        let dlq = "errors.deadletterqueue.topic.name";
        if matches!(own.get(dlq), Some(Value::String(name)) if name.starts_with("__")) {
            return conflict(format!("{dlq}: DLQ topic name must not start with '__'"));
        }
        Ok(())
    }
}

fn bound(broker: &BrokerConfig, key: Option<&str>) -> Option<i32> {
    match broker.value(key?) {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

fn clamped(
    broker: &BrokerConfig,
    key: &'static Key,
    value: Value,
    warnings: &mut Vec<Warning>,
) -> Value {
    let (Value::Int(number), Some((_, min, max))) =
        (&value, BOUNDS.iter().find(|(name, _, _)| *name == key.name))
    else {
        return value;
    };
    let least = bound(broker, *min).unwrap_or(i32::MIN);
    let most = bound(broker, *max).unwrap_or(i32::MAX);
    let clamped = (*number).min(most).max(least);
    if clamped != *number {
        warnings.push(Warning::Clamped {
            key: key.name.to_owned(),
            value: number.to_string(),
            clamped: clamped.to_string(),
        });
    }
    Value::Int(clamped)
}

/// The value of a key that the group leaves open: the broker's, or the default.
pub(super) fn inherited(broker: &BrokerConfig, key: &Key) -> Value {
    if key.name == ASSIGNOR {
        let first = streams_assignors(broker).first().map(|name| (*name).to_owned());
        return first.map_or(Value::Null, Value::String);
    }
    let of_broker = key.synonyms.first().map(|synonym| broker.value(synonym.name).clone());
    of_broker.unwrap_or_else(|| key.default_value())
}

fn streams_assignors(broker: &BrokerConfig) -> Vec<&'static str> {
    let listed = &broker.group.group_streams_assignors;
    assignor_names(ASSIGNORS, listed).into_iter().filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{broker, props};
    use crate::config::{AutoOffsetReset, IsolationLevel};
    use crate::types::ErrorCode;

    fn refused(pairs: &[(&str, &str)]) -> String {
        let error = GroupConfig::validate(&broker(&[]), &props(pairs)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        error.to_string()
    }

    #[test]
    fn a_group_takes_from_the_broker_what_it_leaves_open() {
        let broker = broker(&[
            ("group.consumer.session.timeout.ms", "50000"),
            ("group.share.heartbeat.interval.ms", "6000"),
        ]);
        let own = props(&[
            ("consumer.heartbeat.interval.ms", "7000"),
            ("share.auto.offset.reset", "earliest"),
            ("share.isolation.level", "read_committed"),
        ]);
        let (group, warnings) = GroupConfig::resolve(&broker, &own);
        assert_eq!(warnings, []);
        assert_eq!(group.consumer_session_timeout_ms, 50_000);
        assert_eq!(group.consumer_heartbeat_interval_ms, 7000);
        assert_eq!(group.share_heartbeat_interval_ms, 6000);
        assert_eq!(group.share_auto_offset_reset, AutoOffsetReset::Earliest);
        assert_eq!(group.share_isolation_level, IsolationLevel::ReadCommitted);
        assert_eq!(group.streams_assignor_name.as_deref(), Some("sticky"));
    }

    #[test]
    fn what_is_stored_out_of_bounds_is_moved_into_them() {
        let own = props(&[
            ("consumer.session.timeout.ms", "1"),
            ("streams.num.standby.replicas", "9"),
            ("share.delivery.count.limit", "x"),
        ]);
        let (group, warnings) = GroupConfig::resolve(&broker(&[]), &own);
        assert_eq!(group.consumer_session_timeout_ms, 45_000);
        assert_eq!(group.streams_num_standby_replicas, 2);
        assert_eq!(group.share_delivery_count_limit, 5);
        assert_eq!(warnings.len(), 3);
    }

    #[test]
    fn an_alteration_out_of_bounds_is_refused_as_kafka_refuses_it() {
        for (key, value, message) in [
            ("x", "1", "Unknown group config name: x"),
            (
                "consumer.session.timeout.ms",
                "1",
                "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.",
            ),
            (
                "streams.num.standby.replicas",
                "3",
                "streams.num.standby.replicas must be less than or equal to 2",
            ),
            (
                "streams.task.offset.interval.ms",
                "1",
                "streams.task.offset.interval.ms must be greater than or equal to 15000",
            ),
            (
                "share.record.lock.duration.ms",
                "999",
                "Invalid value 999 for configuration share.record.lock.duration.ms: Value must be \
                 at least 1000",
            ),
            (
                "streams.assignor.name",
                "best",
                "streams.assignor.name 'best' is not a registered task assignor. Registered \
                 assignors are: [sticky].",
            ),
            (
                "errors.deadletterqueue.topic.name",
                "__x",
                "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'",
            ),
            (
                "streams.rack.aware.assignment.tags",
                "a, a",
                "streams.rack.aware.assignment.tags must not contain duplicate tag keys.",
            ),
            (
                "share.auto.offset.reset",
                "never",
                "Invalid value never for configuration share.auto.offset.reset: Invalid value \
                 `never` for configuration share.auto.offset.reset. The value must be either \
                 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
            ),
        ] {
            assert_eq!(refused(&[(key, value)]), message);
        }
    }

    #[test]
    fn a_session_must_outlast_a_heartbeat_be_it_the_brokers() {
        let broker = broker(&[
            ("group.consumer.min.session.timeout.ms", "6000"),
            ("group.consumer.max.heartbeat.interval.ms", "40000"),
        ]);
        let own = props(&[("consumer.heartbeat.interval.ms", "40000")]);
        assert_eq!(GroupConfig::validate(&broker, &own), Ok(()));
        let own = props(&[
            ("consumer.heartbeat.interval.ms", "40000"),
            ("consumer.session.timeout.ms", "40000"),
        ]);
        assert_eq!(
            GroupConfig::validate(&broker, &own).unwrap_err().to_string(),
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"
        );
    }
}
