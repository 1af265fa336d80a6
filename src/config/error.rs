//! What can be wrong with a configuration.

use std::fmt;

use super::origin::Origin;
use crate::types::ErrorCode;

/// A value that its key does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// The key.
    pub key: String,
    /// Kafka's message.
    pub message: String,
    /// What would be accepted: `must be ...`.
    pub accepted: String,
}

/// Settings that are each right, and together are not (Kafka 4.4 `KafkaConfig.validateValues` and
/// others like it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The keys in question.
    pub keys: Vec<&'static str>,
    /// Kafka's message.
    pub message: String,
    /// Whether Kafka's message to a client begins with "requirement failed: ".
    pub requirement: bool,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.requirement { "requirement failed: " } else { "" };
        write!(f, "{prefix}{}", self.message)
    }
}

/// Why a configuration is not altered. Its text is Kafka's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterError {
    /// A value of a topic, a group or a client metrics subscription is not one.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A topic has no such key.
    #[error("Unknown topic config name: {0}")]
    UnknownTopicKey(String),
    /// A group has no such key.
    #[error("Unknown group config name: {0}")]
    UnknownGroupKey(String),
    /// A client metrics subscription has no such key.
    #[error("Unknown client metrics configuration: {0}")]
    UnknownClientMetricsKey(String),
    /// Values that are each right, and together or in this broker are not.
    #[error("{0}")]
    Conflict(String),
    /// The name of the resource is not one, or not one that may be altered here.
    #[error("{0}")]
    Name(String),
    /// A client metrics subscription's interval is out of bounds.
    #[error("Invalid value {0} for interval.ms, interval must be between 100 and 3600000 (1 hour)")]
    Interval(i32),
    /// A broker's keys cannot be altered so.
    #[error("{0}")]
    Broker(String),
}

impl AlterError {
    /// The code that goes to the client. For a broker's keys it is not that of the others, which
    /// Kafka knows and keeps (KAFKA-13609).
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Value(_)
            | Self::UnknownTopicKey(_)
            | Self::UnknownGroupKey(_)
            | Self::Conflict(_) => ErrorCode::InvalidConfig,
            Self::UnknownClientMetricsKey(_)
            | Self::Name(_)
            | Self::Interval(_)
            | Self::Broker(_) => ErrorCode::InvalidRequest,
        }
    }
}

/// A key with its value and where that comes from, as messages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// The key.
    pub key: String,
    /// Its value, unless it is a secret; `None` if it is not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
}

impl fmt::Display for Cited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value} ({})", self.key, self.origin),
            None => write!(f, "{} (not set)", self.key),
        }
    }
}

/// Why the broker does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A line of the file is not one.
    #[error("{origin}: {problem}")]
    Syntax {
        /// Which line.
        origin: Origin,
        /// What is wrong with it.
        problem: String,
    },
    /// A value is not one.
    #[error("{at}: must be {accepted}")]
    Value {
        /// The key and its value.
        at: Cited,
        /// What would be accepted.
        accepted: String,
    },
    /// A key without a default is not set.
    #[error("{key} is not set, and has no default: must be {accepted}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What would be accepted.
        accepted: String,
    },
    /// A setting that is not honoured yet, and must not be neglected.
    #[error("{at}: not supported yet, and not ignored: {reason} Remove it to start without it.")]
    Refused {
        /// The key and its value.
        at: Cited,
        /// What its neglect would do.
        reason: String,
    },
    /// Values that are each right, and together are not.
    #[error("{}: {message}", cite(at))]
    Conflict {
        /// The keys and their values.
        at: Vec<Cited>,
        /// What is wrong with them.
        message: String,
    },
}

fn cite(at: &[Cited]) -> String {
    at.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Everything that is wrong with a configuration, one line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartErrors(pub Vec<StartError>);

impl fmt::Display for StartErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for StartErrors {}
