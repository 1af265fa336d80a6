//! A topic's configuration (Kafka 4.4 `LogConfig`).

use super::broker::BrokerConfig;
use super::error::AlterError;
use super::key::Key;
use super::keys;
use super::keys::topic::TopicConfig;
use super::layers::{Props, Values};
use super::types::TopicCompression;
use super::value::Value;
use super::warning::Warning;
use crate::record::{CompressionType, TargetCompression};

impl TopicConfig {
    /// The configuration of a topic with these values of its own, over a broker's.
    pub fn resolve(broker: &BrokerConfig, topic: &Props) -> Result<Self, AlterError> {
        Ok(Self::from_values(&values(broker, topic)?))
    }

    /// The configuration of a topic as it is stored. What of it does not fit is left out, with a
    /// warning: older releases had other bounds.
    pub fn resolve_stored(broker: &BrokerConfig, topic: &Props) -> (Self, Vec<Warning>) {
        let mut warnings = Vec::new();
        let mut resolved = Values::default();
        for key in keys::topics() {
            let own = topic.get(key.name).map(|text| key.parse(text));
            let value = match own {
                Some(Ok(value)) => value,
                Some(Err(error)) => {
                    warnings.push(Warning::NotApplied(error.message));
                    inherited(broker, key)
                }
                None => inherited(broker, key),
            };
            resolved.insert(key, value);
        }
        (Self::from_values(&resolved), warnings)
    }

    /// Whether a topic that had the values `before` may have these (Kafka 4.4 `LogConfig.validate`).
    /// Without tiered storage in the broker there is none in the topic.
    pub fn validate(
        broker: &BrokerConfig,
        topic: &Props,
        before: &Props,
    ) -> Result<(), AlterError> {
        let values = values(broker, topic)?;
        let number = |key: &str| values.typed::<i64>(key);
        let (min, max) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
        if min > max {
            return Err(AlterError::Conflict(format!(
                "conflict topic config setting min.compaction.lag.ms ({min}) > \
                 max.compaction.lag.ms ({max})"
            )));
        }
        if values.typed("remote.storage.enable") {
            return Err(AlterError::Conflict(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be \
                 configured with remote log storage."
                    .to_owned(),
            ));
        }
        let was_tiered = before
            .get("remote.storage.enable")
            .is_some_and(|enabled| enabled.eq_ignore_ascii_case("true"));
        if was_tiered && !values.typed::<bool>("remote.log.delete.on.disable") {
            return Err(AlterError::Conflict(
                "It is invalid to disable remote storage without deleting remote data. If you want \
                 to keep the remote data and turn to read only, please set \
                 `remote.storage.enable=true,remote.log.copy.disable=true`. If you want to disable \
                 remote storage and delete all remote data, please set \
                 `remote.storage.enable=false,remote.log.delete.on.disable=true`."
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// How large a segment gets: `internal.segment.bytes`, or `segment.bytes`.
    pub fn largest_segment(&self) -> i32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }

    /// How long a segment is written to: where old records must be compacted, it is closed in time.
    pub fn longest_segment_ms(&self) -> i64 {
        if self.cleanup_policy.compact && self.max_compaction_lag_ms > 0 {
            return self.segment_ms.min(self.max_compaction_lag_ms);
        }
        self.segment_ms
    }

    /// The codec that batches are stored in, and its level.
    pub fn target_compression(&self) -> TargetCompression {
        let TopicCompression::Codec(codec) = self.compression_type else {
            return TargetCompression::Producer;
        };
        let level = match codec {
            CompressionType::Gzip => Some(self.compression_gzip_level),
            CompressionType::Lz4 => Some(self.compression_lz4_level),
            CompressionType::Zstd => Some(self.compression_zstd_level),
            CompressionType::None | CompressionType::Snappy => None,
        };
        TargetCompression::Codec(codec, level)
    }
}

/// All values of a topic, its own and those that it takes from the broker, checked alike.
fn values(broker: &BrokerConfig, topic: &Props) -> Result<Values, AlterError> {
    if let Some(unknown) = topic.keys().find(|name| keys::topic(name).is_none()) {
        return Err(AlterError::UnknownTopicKey(unknown.clone()));
    }
    let mut values = Values::default();
    for key in keys::topics() {
        let value = if let Some(text) = topic.get(key.name) {
            key.parse(text)?
        } else {
            let value = inherited(broker, key);
            key.check_value(&value)?;
            value
        };
        values.insert(key, value);
    }
    Ok(values)
}

/// The value of a key that the topic leaves open: the broker's, of its names the first that is set
/// (Kafka 4.4 `KafkaConfig.extractLogConfigMap`), or the default.
pub(super) fn inherited(broker: &BrokerConfig, key: &Key) -> Value {
    let of_broker = key.synonyms.iter().find_map(|synonym| {
        let value = broker.value(synonym.name);
        Some(match value {
            Value::Null => return None,
            Value::Int(number) if synonym.factor != 1 => {
                Value::Long(i64::from(*number) * synonym.factor)
            }
            value => value.clone(),
        })
    });
    match of_broker {
        Some(Value::Long(kept)) if key.name == "retention.ms" => Value::Long(kept.max(-1)),
        Some(value) => value,
        None => key.default_value(),
    }
}
