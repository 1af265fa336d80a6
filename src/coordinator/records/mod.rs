//! The records of the internal topics, declared as Kafka 4.4 declares them.
//!
//! A key is framed by the record's type, a value by its version, 16 bits each; a record without a
//! value deletes what its key names. A type that is not known is of a later release: whoever loads
//! a topic passes over it and keeps it (KIP-915, Kafka 4.4 `CoordinatorRecordSerde`).

pub mod classic;
pub mod consumer;
pub mod share;
pub mod share_state;
pub mod streams;
pub mod transaction;

use std::ops::RangeFrom;

use bytes::BytesMut;

use crate::codec::{CodecError, Reader, Writer};

/// The versions from which on a key has tagged fields.
pub(super) const NEVER: RangeFrom<i16> = i16::MAX..;

/// Every key has this version only; its frame holds the record's type instead.
const KEY_VERSION: i16 = 0;

/// Why a record of an internal topic is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoordinatorRecordError {
    /// Of a later release: to be passed over, and kept.
    #[error("record type {0} is unknown to this release")]
    UnknownType(i16),
    /// The key or value is damaged, or of a newer version.
    #[error("{part} of record {name}: {source}")]
    Damaged {
        /// Which record.
        name: &'static str,
        /// "key" or "value".
        part: &'static str,
        /// What is wrong.
        source: CodecError,
    },
    /// The key ends before the record's type does.
    #[error("the key has no type: {0}")]
    NoType(CodecError),
}

fn frame(number: i16) -> Writer {
    let mut writer = Writer::new();
    bytes::BufMut::put_i16(writer.buf(), number);
    writer
}

macro_rules! records {
    (
        $(#[$meta:meta])*
        pub enum $topic:ident {$(
            $variant:ident($module:ident::$key:ident, $value:ident) = $number:literal, $name:literal;
        )*}
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)] // Each is told beside its key and value.
        pub enum $topic {
            $($variant($module::$key, Option<$module::$value>),)*
        }

        impl $topic {
            /// The number of its type, which frames its key.
            pub const fn number(&self) -> i16 {
                match self { $(Self::$variant(..) => $number,)* }
            }

            /// Kafka's name of its type.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(..) => $name,)* }
            }

            /// Whether it deletes what its key names.
            pub const fn is_tombstone(&self) -> bool {
                match self { $(Self::$variant(_, value) => value.is_none(),)* }
            }

            /// Reads a record; with it comes the version of its value, 0 when it has none.
            pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<(Self, i16), CoordinatorRecordError> {
                let mut reader = Reader::new(key);
                match reader.i16().map_err(CoordinatorRecordError::NoType)? {
                    $($number => {
                        let damaged =
                            |part, source| CoordinatorRecordError::Damaged { name: $name, part, source };
                        let key = $module::$key::decode(reader.rest(), KEY_VERSION)
                            .map_err(|source| damaged("key", source))?;
                        let Some(value) = value else { return Ok((Self::$variant(key, None), 0)) };
                        let mut reader = Reader::new(value);
                        let version = reader.i16().map_err(|source| damaged("value", source))?;
                        let value = $module::$value::decode(reader.rest(), version)
                            .map_err(|source| damaged("value", source))?;
                        Ok((Self::$variant(key, Some(value)), version))
                    })*
                    unknown => Err(CoordinatorRecordError::UnknownType(unknown)),
                }
            }

            /// The framed key, and the framed value at a version of it, unless there is none.
            pub fn encode(
                &self,
                version: i16,
            ) -> Result<(BytesMut, Option<BytesMut>), CodecError> {
                match self {$(
                    Self::$variant(key, value) => {
                        let mut framed_key = frame($number);
                        key.encode(&mut framed_key, KEY_VERSION)?;
                        let Some(value) = value else { return Ok((framed_key.into_bytes(), None)) };
                        let mut framed_value = frame(version);
                        value.encode(&mut framed_value, version)?;
                        Ok((framed_key.into_bytes(), Some(framed_value.into_bytes())))
                    }
                )*}
            }

            /// Type and fields of the key, as `kafka-dump-log` prints them.
            pub fn key_to_json(&self) -> String {
                let data = match self {$(Self::$variant(key, _) => key.to_json(KEY_VERSION),)*};
                format!(r#"{{"type":"{}","data":{data}}}"#, self.number())
            }

            /// Version and fields of the value, as `kafka-dump-log` prints them; `None` for a
            /// record without one.
            pub fn value_to_json(&self, version: i16) -> Option<String> {
                let data = match self {$(
                    Self::$variant(_, value) => value.as_ref()?.to_json(version),
                )*};
                Some(format!(r#"{{"version":"{version}","data":{data}}}"#))
            }
        }
    };
}

records! {
    /// A record of `__consumer_offsets`: offsets and groups of every kind.
    pub enum GroupRecord {
        LegacyOffsetCommit(classic::LegacyOffsetCommitKey, LegacyOffsetCommitValue)
            = 0, "LEGACY_OFFSET_COMMIT";
        OffsetCommit(classic::OffsetCommitKey, OffsetCommitValue) = 1, "OFFSET_COMMIT";
        GroupMetadata(classic::GroupMetadataKey, GroupMetadataValue) = 2, "GROUP_METADATA";
        ConsumerGroupMetadata(consumer::ConsumerGroupMetadataKey, ConsumerGroupMetadataValue)
            = 3, "CONSUMER_GROUP_METADATA";
        ConsumerGroupPartitionMetadata(
            consumer::ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue
        ) = 4, "CONSUMER_GROUP_PARTITION_METADATA";
        ConsumerGroupMemberMetadata(
            consumer::ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue
        ) = 5, "CONSUMER_GROUP_MEMBER_METADATA";
        ConsumerGroupTargetAssignmentMetadata(
            consumer::ConsumerGroupTargetAssignmentMetadataKey,
            ConsumerGroupTargetAssignmentMetadataValue
        ) = 6, "CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA";
        ConsumerGroupTargetAssignmentMember(
            consumer::ConsumerGroupTargetAssignmentMemberKey,
            ConsumerGroupTargetAssignmentMemberValue
        ) = 7, "CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER";
        ConsumerGroupCurrentMemberAssignment(
            consumer::ConsumerGroupCurrentMemberAssignmentKey,
            ConsumerGroupCurrentMemberAssignmentValue
        ) = 8, "CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT";
        ShareGroupMemberMetadata(share::ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue)
            = 10, "SHARE_GROUP_MEMBER_METADATA";
        ShareGroupMetadata(share::ShareGroupMetadataKey, ShareGroupMetadataValue)
            = 11, "SHARE_GROUP_METADATA";
        ShareGroupTargetAssignmentMetadata(
            share::ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue
        ) = 12, "SHARE_GROUP_TARGET_ASSIGNMENT_METADATA";
        ShareGroupTargetAssignmentMember(
            share::ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue
        ) = 13, "SHARE_GROUP_TARGET_ASSIGNMENT_MEMBER";
        ShareGroupCurrentMemberAssignment(
            share::ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue
        ) = 14, "SHARE_GROUP_CURRENT_MEMBER_ASSIGNMENT";
        ShareGroupStatePartitionMetadata(
            share::ShareGroupStatePartitionMetadataKey, ShareGroupStatePartitionMetadataValue
        ) = 15, "SHARE_GROUP_STATE_PARTITION_METADATA";
        ConsumerGroupRegularExpression(
            consumer::ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue
        ) = 16, "CONSUMER_GROUP_REGULAR_EXPRESSION";
        StreamsGroupMetadata(streams::StreamsGroupMetadataKey, StreamsGroupMetadataValue)
            = 17, "STREAMS_GROUP_METADATA";
        StreamsGroupMemberMetadata(
            streams::StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue
        ) = 19, "STREAMS_GROUP_MEMBER_METADATA";
        StreamsGroupTargetAssignmentMetadata(
            streams::StreamsGroupTargetAssignmentMetadataKey,
            StreamsGroupTargetAssignmentMetadataValue
        ) = 20, "STREAMS_GROUP_TARGET_ASSIGNMENT_METADATA";
        StreamsGroupTargetAssignmentMember(
            streams::StreamsGroupTargetAssignmentMemberKey, StreamsGroupTargetAssignmentMemberValue
        ) = 21, "STREAMS_GROUP_TARGET_ASSIGNMENT_MEMBER";
        StreamsGroupCurrentMemberAssignment(
            streams::StreamsGroupCurrentMemberAssignmentKey,
            StreamsGroupCurrentMemberAssignmentValue
        ) = 22, "STREAMS_GROUP_CURRENT_MEMBER_ASSIGNMENT";
        StreamsGroupTopology(streams::StreamsGroupTopologyKey, StreamsGroupTopologyValue)
            = 23, "STREAMS_GROUP_TOPOLOGY";
    }
}

records! {
    /// A record of `__transaction_state`.
    pub enum TransactionRecord {
        TransactionLog(transaction::TransactionLogKey, TransactionLogValue) = 0, "TRANSACTION_LOG";
    }
}

records! {
    /// A record of `__share_group_state`.
    pub enum ShareStateRecord {
        ShareSnapshot(share_state::ShareSnapshotKey, ShareSnapshotValue) = 0, "SHARE_SNAPSHOT";
        ShareUpdate(share_state::ShareUpdateKey, ShareUpdateValue) = 1, "SHARE_UPDATE";
    }
}
