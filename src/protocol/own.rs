//! Messages that the message library lacks, or whose newest version it lacks.

use crate::codec::messages;

messages! {
    /// ApiVersions. Version 5 says which node the client believes it talks to (KIP-1242).
    pub struct ApiVersionsRequest: 0..=5, flexible 3..; {
        /// "librdkafka", "apache-kafka-java" and the like.
        client_software_name: String = 3.., [ignorable];
        /// Its version.
        client_software_version: String = 3.., [ignorable];
        /// The cluster the client believes in.
        cluster_id: Option<String> = 5.., [ignorable];
        /// The node it believes in, -1 for none.
        node_id: i32 = 5.., default -1, [ignorable];
    }
    /// What a node answers.
    pub struct ApiVersionsResponse: 0..=5, flexible 3..; {
        /// What happened.
        error_code: i16 = 0..;
        /// The APIs of this listener.
        api_keys: Vec<ApiVersion> = 0..;
        /// How long the client must wait.
        throttle_time_ms: i32 = 1.., [ignorable];
        /// What this node could do.
        supported_features: Vec<SupportedFeature> = 3.., tag 0, [ignorable];
        /// The metadata offset of what is finalized, -1 for unknown.
        finalized_features_epoch: i64 = 3.., tag 1, default -1, [ignorable];
        /// What the cluster does.
        finalized_features: Vec<FinalizedFeature> = 3.., tag 2, [ignorable];
        /// A relic of the migration from ZooKeeper.
        zk_migration_ready: bool = 3.., tag 3, [ignorable];
    }
    /// One API.
    pub struct ApiVersion: 0..=5, flexible 3..; {
        /// Its number.
        api_key: i16 = 0..;
        /// Its oldest version here.
        min_version: i16 = 0..;
        /// Its newest version here.
        max_version: i16 = 0..;
    }
    /// One feature that a node supports.
    pub struct SupportedFeature: 0..=5, flexible 3..; {
        /// Its name.
        name: String = 3..;
        /// Its lowest level.
        min_version: i16 = 3..;
        /// Its highest level.
        max_version: i16 = 3..;
    }
    /// One feature that the cluster finalized.
    pub struct FinalizedFeature: 0..=5, flexible 3..; {
        /// Its name.
        name: String = 3..;
        /// Its level.
        max_version_level: i16 = 3..;
        /// Its level again.
        min_version_level: i16 = 3..;
    }
    /// DescribeLogDirs. Version 5 tells cordoned directories (KIP-1066).
    pub struct DescribeLogDirsResponse: 1..=5, flexible 2..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 0..;
        /// What happened.
        error_code: i16 = 3.., [ignorable];
        /// The log directories.
        results: Vec<DescribeLogDirsResult> = 0..;
    }
    /// One log directory.
    pub struct DescribeLogDirsResult: 1..=5, flexible 2..; {
        /// What happened.
        error_code: i16 = 0..;
        /// Its absolute path.
        log_dir: String = 0..;
        /// What lies in it.
        topics: Vec<DescribeLogDirsTopic> = 0..;
        /// The size of its file system, -1 for unknown.
        total_bytes: i64 = 4.., default -1, [ignorable];
        /// What is free of it.
        usable_bytes: i64 = 4.., default -1, [ignorable];
        /// Whether it takes no new replicas.
        is_cordoned: bool = 5.., [ignorable];
    }
    /// One topic of a log directory.
    pub struct DescribeLogDirsTopic: 1..=5, flexible 2..; {
        /// Its name.
        name: String = 0..;
        /// Its partitions there.
        partitions: Vec<DescribeLogDirsPartition> = 0..;
    }
    /// One partition of a log directory.
    pub struct DescribeLogDirsPartition: 1..=5, flexible 2..; {
        /// Its number.
        partition_index: i32 = 0..;
        /// Bytes of its segments.
        partition_size: i64 = 0..;
        /// How far it is behind the high watermark.
        offset_lag: i64 = 0..;
        /// Whether it is a copy that moves here.
        is_future_key: bool = 0..;
    }
    /// WriteTxnMarkers. Version 2 says by which version a transaction ends (KIP-1228).
    pub struct WriteTxnMarkersRequest: 1..=2, flexible 1..; {
        /// The markers.
        markers: Vec<WritableTxnMarker> = 1..;
    }
    /// One marker, for many partitions.
    pub struct WritableTxnMarker: 1..=2, flexible 1..; {
        /// Whose transaction ends.
        producer_id: i64 = 1..;
        /// The producer's epoch.
        producer_epoch: i16 = 1..;
        /// Whether it is committed.
        transaction_result: bool = 1..;
        /// Where.
        topics: Vec<WritableTxnMarkerTopic> = 1..;
        /// The epoch of the coordinator.
        coordinator_epoch: i32 = 1..;
        /// By which version it ends.
        transaction_version: i8 = 2.., [ignorable];
    }
    /// One topic of a marker.
    pub struct WritableTxnMarkerTopic: 1..=2, flexible 1..; {
        /// Its name.
        name: String = 1..;
        /// Its partitions.
        partition_indexes: Vec<i32> = 1..;
    }
    /// What became of the markers.
    pub struct WriteTxnMarkersResponse: 1..=2, flexible 1..; {
        /// By producer.
        markers: Vec<WritableTxnMarkerResult> = 1..;
    }
    /// What became of one producer's.
    pub struct WritableTxnMarkerResult: 1..=2, flexible 1..; {
        /// Whose.
        producer_id: i64 = 1..;
        /// By topic.
        topics: Vec<WritableTxnMarkerTopicResult> = 1..;
    }
    /// What became of one topic's.
    pub struct WritableTxnMarkerTopicResult: 1..=2, flexible 1..; {
        /// Its name.
        name: String = 1..;
        /// By partition.
        partitions: Vec<WritableTxnMarkerPartitionResult> = 1..;
    }
    /// What became of one partition's.
    pub struct WritableTxnMarkerPartitionResult: 1..=2, flexible 1..; {
        /// Its number.
        partition_index: i32 = 1..;
        /// What happened.
        error_code: i16 = 1..;
    }
}

macro_rules! request_bodies {
    ($($message:ident),*) => {$(
        impl $crate::protocol::messages::RequestBody for $message {
            fn decode_body(
                api: &'static $crate::protocol::ApiFacts,
                version: i16,
                body: bytes::Bytes,
            ) -> Result<Self, $crate::protocol::messages::DecodeError> {
                $crate::protocol::shape::check(api, version, &body)?;
                Ok(Self::decode(&body, version)?)
            }
        }
    )*};
}
pub(super) use request_bodies;

macro_rules! response_bodies {
    ($($message:ident header $flexible:expr;)*) => {$(
        impl $crate::protocol::messages::ResponseBody for $message {
            fn has_flexible_header(version: i16) -> bool {
                ($flexible).contains(&version)
            }
            fn encode_body(
                &self,
                out: &mut bytes::BytesMut,
                version: i16,
            ) -> Result<(), String> {
                let mut writer = $crate::codec::Writer::new();
                self.encode(&mut writer, version).map_err(|error| error.to_string())?;
                out.extend_from_slice(&writer.into_bytes());
                Ok(())
            }
        }
    )*};
}
pub(super) use response_bodies;

response_bodies! {
    // A client that does not know the broker yet must be able to read its header.
    ApiVersionsResponse header 1..1;
    DescribeLogDirsResponse header 2..;
    WriteTxnMarkersResponse header 1..;
}
