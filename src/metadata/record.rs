//! The records of the metadata log (KIP-631), declared as Kafka 4.4 declares them.
//!
//! A record's value is framed: frame version 1, the record's type, its version, each an unsigned
//! varint, then the message (Kafka 4.4 `MetadataRecordSerde`).

// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use bytes::{Bytes, BytesMut};

use crate::codec::{CodecError, Reader, Writer, messages};
use crate::types::Uuid;

messages! {
    /// Record 0 of the metadata log.
    pub struct RegisterBrokerRecord: 0..=4, flexible 0..; {
        broker_id: i32 = 0..;
        is_migrating_zk_broker: bool = 2..;
        incarnation_id: Uuid = 0..;
        broker_epoch: i64 = 0..;
        end_points: Vec<BrokerEndpoint> = 0..;
        features: Vec<BrokerFeature> = 0..;
        rack: Option<String> = 0..;
        fenced: bool = 0.., default true;
        in_controlled_shutdown: bool = 1..;
        log_dirs: Vec<Uuid> = 3.., tag 0;
        cordoned_log_dirs: Option<Vec<Uuid>> = 4.., tag 1;
    }
    /// Part of [`RegisterBrokerRecord`].
    pub struct BrokerEndpoint: 0..=4, flexible 0..; {
        name: String = 0..;
        host: String = 0..;
        port: u16 = 0..;
        security_protocol: i16 = 0..;
    }
    /// Part of [`RegisterBrokerRecord`].
    pub struct BrokerFeature: 0..=4, flexible 0..; {
        name: String = 0..;
        min_supported_version: i16 = 0..;
        max_supported_version: i16 = 0..;
    }
    /// Record 1 of the metadata log.
    pub struct UnregisterBrokerRecord: 0..=0, flexible 0..; {
        broker_id: i32 = 0..;
        broker_epoch: i64 = 0..;
    }
    /// Record 2 of the metadata log.
    pub struct TopicRecord: 0..=0, flexible 0..; {
        name: String = 0..;
        topic_id: Uuid = 0..;
    }
    /// Record 3 of the metadata log.
    pub struct PartitionRecord: 0..=2, flexible 0..; {
        partition_id: i32 = 0.., default -1;
        topic_id: Uuid = 0..;
        replicas: Vec<i32> = 0..;
        isr: Vec<i32> = 0..;
        removing_replicas: Vec<i32> = 0..;
        adding_replicas: Vec<i32> = 0..;
        leader: i32 = 0.., default -1;
        leader_recovery_state: i8 = 0.., tag 0;
        leader_epoch: i32 = 0.., default -1;
        partition_epoch: i32 = 0.., default -1;
        directories: Vec<Uuid> = 1..;
        eligible_leader_replicas: Option<Vec<i32>> = 2.., tag 1;
        last_known_elr: Option<Vec<i32>> = 2.., tag 2;
    }
    /// Record 4 of the metadata log.
    pub struct ConfigRecord: 0..=0, flexible 0..; {
        resource_type: i8 = 0..;
        resource_name: String = 0..;
        name: String = 0..;
        value: Option<String> = 0..;
    }
    /// Record 5 of the metadata log.
    pub struct PartitionChangeRecord: 0..=2, flexible 0..; {
        partition_id: i32 = 0.., default -1;
        topic_id: Uuid = 0..;
        isr: Option<Vec<i32>> = 0.., tag 0;
        leader: i32 = 0.., tag 1, default -2;
        replicas: Option<Vec<i32>> = 0.., tag 2;
        removing_replicas: Option<Vec<i32>> = 0.., tag 3;
        adding_replicas: Option<Vec<i32>> = 0.., tag 4;
        leader_recovery_state: i8 = 0.., tag 5, default -1;
        directories: Option<Vec<Uuid>> = 1.., tag 8;
        eligible_leader_replicas: Option<Vec<i32>> = 2.., tag 6;
        last_known_elr: Option<Vec<i32>> = 2.., tag 7;
    }
    /// Record 7 of the metadata log.
    pub struct FenceBrokerRecord: 0..=0, flexible 0..; {
        id: i32 = 0..;
        epoch: i64 = 0..;
    }
    /// Record 8 of the metadata log.
    pub struct UnfenceBrokerRecord: 0..=0, flexible 0..; {
        id: i32 = 0..;
        epoch: i64 = 0..;
    }
    /// Record 9 of the metadata log.
    pub struct RemoveTopicRecord: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
    }
    /// Record 10 of the metadata log.
    pub struct DelegationTokenRecord: 0..=0, flexible 0..; {
        owner: String = 0..;
        requester: String = 0..;
        renewers: Vec<String> = 0..;
        issue_timestamp: i64 = 0..;
        max_timestamp: i64 = 0..;
        expiration_timestamp: i64 = 0..;
        token_id: String = 0..;
    }
    /// Record 11 of the metadata log.
    pub struct UserScramCredentialRecord: 0..=0, flexible 0..; {
        name: String = 0..;
        mechanism: i8 = 0..;
        salt: Bytes = 0..;
        stored_key: Bytes = 0..;
        server_key: Bytes = 0..;
        iterations: i32 = 0..;
    }
    /// Record 12 of the metadata log.
    pub struct FeatureLevelRecord: 0..=0, flexible 0..; {
        name: String = 0..;
        feature_level: i16 = 0..;
    }
    /// Record 14 of the metadata log.
    pub struct ClientQuotaRecord: 0..=0, flexible 0..; {
        entity: Vec<EntityData> = 0..;
        key: String = 0..;
        value: f64 = 0..;
        remove: bool = 0..;
    }
    /// Part of [`ClientQuotaRecord`].
    pub struct EntityData: 0..=0, flexible 0..; {
        entity_type: String = 0..;
        entity_name: Option<String> = 0..;
    }
    /// Record 15 of the metadata log.
    pub struct ProducerIdsRecord: 0..=0, flexible 0..; {
        broker_id: i32 = 0..;
        broker_epoch: i64 = 0.., default -1;
        next_producer_id: i64 = 0..;
    }
    /// Record 17 of the metadata log.
    pub struct BrokerRegistrationChangeRecord: 0..=3, flexible 0..; {
        broker_id: i32 = 0..;
        broker_epoch: i64 = 0..;
        fenced: i8 = 0.., tag 0;
        in_controlled_shutdown: i8 = 1.., tag 1;
        log_dirs: Vec<Uuid> = 2.., tag 2;
        cordoned_log_dirs: Option<Vec<Uuid>> = 3.., tag 3;
    }
    /// Record 18 of the metadata log.
    pub struct AccessControlEntryRecord: 0..=0, flexible 0..; {
        id: Uuid = 0..;
        resource_type: i8 = 0..;
        resource_name: String = 0..;
        pattern_type: i8 = 0..;
        principal: String = 0..;
        host: String = 0..;
        operation: i8 = 0..;
        permission_type: i8 = 0..;
    }
    /// Record 19 of the metadata log.
    pub struct RemoveAccessControlEntryRecord: 0..=0, flexible 0..; {
        id: Uuid = 0..;
    }
    /// Record 20 of the metadata log.
    pub struct NoOpRecord: 0..=0, flexible 0..; {
    }
    /// Record 21 of the metadata log.
    pub struct ZkMigrationStateRecord: 0..=0, flexible 0..; {
        zk_migration_state: i8 = 0..;
    }
    /// Record 22 of the metadata log.
    pub struct RemoveUserScramCredentialRecord: 0..=0, flexible 0..; {
        name: String = 0..;
        mechanism: i8 = 0..;
    }
    /// Record 23 of the metadata log.
    pub struct BeginTransactionRecord: 0..=0, flexible 0..; {
        name: Option<String> = 0.., tag 0;
    }
    /// Record 24 of the metadata log.
    pub struct EndTransactionRecord: 0..=0, flexible 0..; {
    }
    /// Record 25 of the metadata log.
    pub struct AbortTransactionRecord: 0..=0, flexible 0..; {
        reason: Option<String> = 0.., tag 0;
    }
    /// Record 26 of the metadata log.
    pub struct RemoveDelegationTokenRecord: 0..=0, flexible 0..; {
        token_id: String = 0..;
    }
    /// Record 27 of the metadata log.
    pub struct RegisterControllerRecord: 0..=0, flexible 0..; {
        controller_id: i32 = 0..;
        incarnation_id: Uuid = 0..;
        zk_migration_ready: bool = 0..;
        end_points: Vec<ControllerEndpoint> = 0..;
        features: Vec<ControllerFeature> = 0..;
    }
    /// Part of [`RegisterControllerRecord`].
    pub struct ControllerEndpoint: 0..=0, flexible 0..; {
        name: String = 0..;
        host: String = 0..;
        port: u16 = 0..;
        security_protocol: i16 = 0..;
    }
    /// Part of [`RegisterControllerRecord`].
    pub struct ControllerFeature: 0..=0, flexible 0..; {
        name: String = 0..;
        min_supported_version: i16 = 0..;
        max_supported_version: i16 = 0..;
    }
    /// Record 28 of the metadata log.
    pub struct ClearElrRecord: 0..=0, flexible 0..; {
        topic_name: String = 0..;
    }
    /// Record 29 of the metadata log.
    pub struct UnregisterControllerRecord: 0..=0, flexible 0..; {
        controller_id: i32 = 0..;
    }
}

/// The version of the frame around a record.
const FRAME_VERSION: u32 = 1;

/// Why the value of a record is not one that this release knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another frame.
    #[error("metadata record frame version {0} is unknown, only {FRAME_VERSION} is known")]
    Frame(u32),
    /// A record of a newer release.
    #[error("metadata record type {0} is unknown to this release")]
    Type(u32),
    /// The message is damaged, or of a newer version.
    #[error("metadata record {name} version {version}: {source}")]
    Message {
        /// Which record.
        name: &'static str,
        /// Its version.
        version: u32,
        /// What is wrong.
        source: CodecError,
    },
    /// Damage before the message.
    #[error("metadata record frame: {0}")]
    Header(#[from] CodecError),
}

macro_rules! records {
    ($($variant:ident($record:ident) = $key:literal, $name:literal;)*) => {
        /// A record of the metadata log.
        #[derive(Clone, Debug, PartialEq)]
        pub enum MetadataRecord {
            $($variant($record),)*
        }

        impl MetadataRecord {
            /// Its number in the frame.
            pub const fn key(&self) -> u32 {
                match self { $(Self::$variant(_) => $key,)* }
            }

            /// Kafka's name for its type, as `kafka-dump-log` prints it.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// Type, version and fields, as `kafka-dump-log --cluster-metadata-decoder` prints
            /// them.
            pub fn to_json(&self, version: i16) -> String {
                let data = match self { $(Self::$variant(record) => record.to_json(version),)* };
                format!(r#"{{"type":"{}","version":{version},"data":{data}}}"#, self.name())
            }

            /// The framed value of a record, at a version of the message.
            pub fn encode(&self, version: i16) -> Result<BytesMut, CodecError> {
                let mut writer = Writer::new();
                writer.unsigned_varint(FRAME_VERSION);
                writer.unsigned_varint(self.key());
                writer.unsigned_varint(version as u32);
                match self { $(Self::$variant(record) => record.encode(&mut writer, version)?,)* }
                Ok(writer.into_bytes())
            }

            /// Reads a framed value; the version it was written at comes with it.
            pub fn decode(bytes: &[u8]) -> Result<(Self, i16), RecordError> {
                let mut reader = Reader::new(bytes);
                let frame = reader.unsigned_varint()?;
                if frame != FRAME_VERSION {
                    return Err(RecordError::Frame(frame));
                }
                let key = reader.unsigned_varint()?;
                let version = reader.unsigned_varint()?;
                let at = i16::try_from(version).unwrap_or(i16::MAX);
                match key {
                    $($key => $record::decode(reader.rest(), at)
                        .map(|record| (Self::$variant(record), at))
                        .map_err(|source| RecordError::Message { name: $name, version, source }),)*
                    unknown => Err(RecordError::Type(unknown)),
                }
            }
        }

        $(impl From<$record> for MetadataRecord {
            fn from(record: $record) -> Self {
                Self::$variant(record)
            }
        })*
    };
}

records! {
    RegisterBroker(RegisterBrokerRecord) = 0, "REGISTER_BROKER_RECORD";
    UnregisterBroker(UnregisterBrokerRecord) = 1, "UNREGISTER_BROKER_RECORD";
    Topic(TopicRecord) = 2, "TOPIC_RECORD";
    Partition(PartitionRecord) = 3, "PARTITION_RECORD";
    Config(ConfigRecord) = 4, "CONFIG_RECORD";
    PartitionChange(PartitionChangeRecord) = 5, "PARTITION_CHANGE_RECORD";
    FenceBroker(FenceBrokerRecord) = 7, "FENCE_BROKER_RECORD";
    UnfenceBroker(UnfenceBrokerRecord) = 8, "UNFENCE_BROKER_RECORD";
    RemoveTopic(RemoveTopicRecord) = 9, "REMOVE_TOPIC_RECORD";
    DelegationToken(DelegationTokenRecord) = 10, "DELEGATION_TOKEN_RECORD";
    UserScramCredential(UserScramCredentialRecord) = 11, "USER_SCRAM_CREDENTIAL_RECORD";
    FeatureLevel(FeatureLevelRecord) = 12, "FEATURE_LEVEL_RECORD";
    ClientQuota(ClientQuotaRecord) = 14, "CLIENT_QUOTA_RECORD";
    ProducerIds(ProducerIdsRecord) = 15, "PRODUCER_IDS_RECORD";
    BrokerRegistrationChange(BrokerRegistrationChangeRecord) = 17, "BROKER_REGISTRATION_CHANGE_RECORD";
    AccessControlEntry(AccessControlEntryRecord) = 18, "ACCESS_CONTROL_ENTRY_RECORD";
    RemoveAccessControlEntry(RemoveAccessControlEntryRecord) = 19, "REMOVE_ACCESS_CONTROL_ENTRY_RECORD";
    NoOp(NoOpRecord) = 20, "NO_OP_RECORD";
    ZkMigrationState(ZkMigrationStateRecord) = 21, "ZK_MIGRATION_STATE_RECORD";
    RemoveUserScramCredential(RemoveUserScramCredentialRecord) = 22, "REMOVE_USER_SCRAM_CREDENTIAL_RECORD";
    BeginTransaction(BeginTransactionRecord) = 23, "BEGIN_TRANSACTION_RECORD";
    EndTransaction(EndTransactionRecord) = 24, "END_TRANSACTION_RECORD";
    AbortTransaction(AbortTransactionRecord) = 25, "ABORT_TRANSACTION_RECORD";
    RemoveDelegationToken(RemoveDelegationTokenRecord) = 26, "REMOVE_DELEGATION_TOKEN_RECORD";
    RegisterController(RegisterControllerRecord) = 27, "REGISTER_CONTROLLER_RECORD";
    ClearElr(ClearElrRecord) = 28, "CLEAR_ELR_RECORD";
    UnregisterController(UnregisterControllerRecord) = 29, "UNREGISTER_CONTROLLER_RECORD";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_record_is_framed_as_kafka_frames_it() {
        let record = MetadataRecord::Topic(TopicRecord {
            name: "foo".into(),
            topic_id: Uuid::from_halves(0, 5),
        });
        let bytes = record.encode(0).unwrap();
        let mut expected = vec![1, 2, 0, 4, b'f', b'o', b'o'];
        expected.extend_from_slice(&Uuid::from_halves(0, 5).0);
        expected.push(0);
        assert_eq!(&bytes[..], &expected[..]);
        assert_eq!(MetadataRecord::decode(&bytes).unwrap(), (record, 0));
    }

    #[test]
    fn an_unknown_type_version_or_frame_is_refused_by_name() {
        assert_eq!(MetadataRecord::decode(&[1, 99, 0, 0]), Err(RecordError::Type(99)));
        assert_eq!(MetadataRecord::decode(&[2, 2, 0, 0]), Err(RecordError::Frame(2)));
        let error = MetadataRecord::decode(&[1, 2, 9, 0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "metadata record TOPIC_RECORD version 9: TopicRecord has no version 9"
        );
    }
}
