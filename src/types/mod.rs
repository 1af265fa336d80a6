//! The domain's words. Depends on nothing of ours; every other module may name it.
//!
//! Read `ids.rs` first, then `time.rs` (two kinds of time that never mix) and `error_code.rs`.

mod error_code;
mod ids;
mod time;

pub use error_code::ErrorCode;
pub use ids::{
    BrokerEpoch, BrokerId, LeaderEpoch, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId,
    TopicPartition, Uuid, UuidParseError,
};
pub use time::{Mono, NO_TIMESTAMP, Timestamp};
