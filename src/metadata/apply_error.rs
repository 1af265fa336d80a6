//! Why a record cannot be applied to an image.

use crate::types::{BrokerId, TopicId, Uuid};

/// A record that contradicts the image: the log is not the one this image was built from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The fields are what the messages say.
pub enum ApplyError {
    #[error("topic {name} ({id}) exists already")]
    TopicExists { name: String, id: TopicId },
    #[error("no topic has id {id}")]
    UnknownTopic { id: TopicId },
    #[error("no topic is named {name}")]
    UnknownTopicName { name: String },
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition { topic: TopicId, partition: i32 },
    #[error("broker {id} is not registered")]
    UnknownBroker { id: BrokerId },
    #[error("broker {id} is registered with epoch {registered}, the record says {record}")]
    BrokerEpoch { id: BrokerId, record: i64, registered: i64 },
    #[error("controller {id} is not registered")]
    UnknownController { id: BrokerId },
    #[error("no access control entry has id {id}")]
    UnknownAcl { id: Uuid },
    #[error("metadata.version {level} is unknown to this release")]
    UnknownRelease { level: i16 },
    #[error("{field} of the change to broker {id} is {value}, which is unknown to this release")]
    UnknownChange { id: BrokerId, field: &'static str, value: i8 },
}
