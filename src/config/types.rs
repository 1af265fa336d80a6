//! Values that are more than a number or a text.

use super::value::{FromValue, Value};
use crate::record::{CompressionType, TimestampType};

/// `cleanup.policy`: what happens to old records. Neither is possible: they stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// They are deleted with their segments.
    pub delete: bool,
    /// Of the records of each key, the last one stays.
    pub compact: bool,
}

impl FromValue for CleanupPolicy {
    fn from_value(value: &Value) -> Self {
        let policies = Vec::<String>::from_value(value);
        let has = |name: &str| policies.iter().any(|policy| policy == name);
        Self { delete: has("delete"), compact: has("compact") }
    }
}

/// `compression.type` of a topic (Kafka 4.4 `BrokerCompressionType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicCompression {
    /// `producer`: batches stay as they came.
    Producer,
    /// Every batch is stored in this codec.
    Codec(CompressionType),
}

impl FromValue for TopicCompression {
    fn from_value(value: &Value) -> Self {
        match String::from_value(value).as_str() {
            "uncompressed" => Self::Codec(CompressionType::None),
            "gzip" => Self::Codec(CompressionType::Gzip),
            "snappy" => Self::Codec(CompressionType::Snappy),
            "lz4" => Self::Codec(CompressionType::Lz4),
            "zstd" => Self::Codec(CompressionType::Zstd),
            // The check of the key lets nothing else through than `producer`.
            _ => Self::Producer,
        }
    }
}

impl FromValue for TimestampType {
    fn from_value(value: &Value) -> Self {
        match String::from_value(value).as_str() {
            "LogAppendTime" => Self::LogAppendTime,
            _ => Self::CreateTime,
        }
    }
}

/// Which records of transactions a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All, those of open and aborted transactions too.
    ReadUncommitted,
    /// Those of committed transactions.
    ReadCommitted,
}

impl FromValue for IsolationLevel {
    fn from_value(value: &Value) -> Self {
        match String::from_value(value).as_str() {
            "read_committed" => Self::ReadCommitted,
            _ => Self::ReadUncommitted,
        }
    }
}

/// `group.consumer.migration.policy`: between which protocols a group may move while it has
/// members (KIP-848).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationPolicy {
    /// From the classic protocol to the consumer protocol.
    pub upgrade: bool,
    /// From the consumer protocol to the classic protocol.
    pub downgrade: bool,
}

impl FromValue for MigrationPolicy {
    fn from_value(value: &Value) -> Self {
        let policy = String::from_value(value).to_ascii_lowercase();
        Self {
            upgrade: policy == "upgrade" || policy == "bidirectional",
            downgrade: policy == "downgrade" || policy == "bidirectional",
        }
    }
}
