//! Names of things: brokers, topics, partitions, producers, offsets.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};

/// The epoch of a broker: the offset of its registration in the metadata log.
pub type BrokerEpoch = i64;

/// The position of a record in a partition. Ranges are end-exclusive everywhere.
pub type Offset = i64;
/// Counts the leaders a partition has had. -1 is "not known".
pub type LeaderEpoch = i32;
/// A node of the cluster, broker or controller. -1 is "none".
pub type BrokerId = i32;
/// The number of a partition within its topic, from 0.
pub type PartitionIndex = i32;
/// Identifies an idempotent producer. -1 is "not idempotent".
pub type ProducerId = i64;
/// Counts the incarnations of one producer id.
pub type ProducerEpoch = i16;
/// The number of a record within a producer's stream to one partition; wraps from `i32::MAX` to 0.
pub type Sequence = i32;

/// The leader epoch of a request or batch that states none.
pub const NO_LEADER_EPOCH: LeaderEpoch = -1;
/// The producer id of a batch that is not idempotent.
pub const NO_PRODUCER_ID: ProducerId = -1;
/// The producer epoch of a batch that is not idempotent.
pub const NO_PRODUCER_EPOCH: ProducerEpoch = -1;
/// The base sequence of a batch that is not idempotent.
pub const NO_SEQUENCE: Sequence = -1;

/// 128 bits, written as Kafka writes them: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

/// The id of a topic, which survives as long as the topic and is never used again.
pub type TopicId = Uuid;

impl Uuid {
    /// "No id": what a request without topic ids carries.
    pub const ZERO: Self = Self([0; 16]);
    /// The topic id of `__cluster_metadata` (Kafka 4.4 `Uuid.METADATA_TOPIC_ID`).
    pub const METADATA_TOPIC: Self = Self::from_halves(0, 1);
    /// The directory of a replica that has none assigned yet (Kafka 4.4 `DirectoryId.UNASSIGNED`).
    pub const UNASSIGNED_DIRECTORY: Self = Self::ZERO;
    /// A directory that is lost (Kafka 4.4 `DirectoryId.LOST`).
    pub const LOST_DIRECTORY: Self = Self::from_halves(0, 1);
    /// The directory of a replica whose broker knows no directory ids (`DirectoryId.MIGRATING`).
    pub const MIGRATING_DIRECTORY: Self = Self::from_halves(0, 2);

    /// From the most and the least significant 64 bits.
    pub const fn from_halves(most: u64, least: u64) -> Self {
        Self((((most as u128) << 64) | least as u128).to_be_bytes())
    }

    /// A random id from 16 random bytes: version 4, and never one that Kafka reserves or whose
    /// text begins with a dash (a dash confuses command lines; Kafka 4.4 `Uuid.randomUuid`).
    /// `None` when these bytes make such an id: draw again.
    pub fn from_random_bytes(mut bytes: [u8; 16]) -> Option<Self> {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Self(bytes);
        (!id.to_string().starts_with('-')).then_some(id)
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 22];
        match URL_SAFE_NO_PAD.encode_slice(self.0, &mut text) {
            Ok(_) => f.write_str(&String::from_utf8_lossy(&text)),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Decodes as Java does: the bits of the last character that belong to no byte may be set.
const JAVA_URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// A text that is not 16 bytes in URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Kafka uuid: expected 22 characters of URL-safe base64")]
pub struct UuidParseError(String);

impl FromStr for Uuid {
    type Err = UuidParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = JAVA_URL_SAFE
            .decode(text.trim_end_matches('='))
            .map_err(|_| UuidParseError(text.to_owned()))?;
        bytes.try_into().map(Self).map_err(|_| UuidParseError(text.to_owned()))
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition within it.
    pub partition: PartitionIndex,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_and_read_as_kafka_writes_it() {
        let id: Uuid = "4L6g3nShT-eMCtK--X86sw".parse().unwrap();
        assert_eq!(id.to_string(), "4L6g3nShT-eMCtK--X86sw");
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert!("nonsense".parse::<Uuid>().is_err());
        let with_trailing_bits: Uuid = "MkU3OEVBNTcwNTJENDM2Qk".parse().unwrap();
        assert_eq!(with_trailing_bits.to_string(), "MkU3OEVBNTcwNTJENDM2Qg");
    }

    #[test]
    fn a_random_uuid_is_of_version_4_and_never_begins_with_a_dash() {
        for first in 0..=255u8 {
            let mut bytes = [0xabu8; 16];
            bytes[0] = first;
            let Some(id) = Uuid::from_random_bytes(bytes) else {
                assert_eq!(first >> 2, 62, "only a first sextet of 62 is written as a dash");
                continue;
            };
            assert_eq!(id.0[6] >> 4, 4);
            assert!(!id.to_string().starts_with('-'));
        }
    }
}
