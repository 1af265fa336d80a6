//! WriteTxnMarkers 1-2 (the message library lacks version 2, KIP-1228) and InitProducerId 0-6 (it
//! lacks version 6, which is unstable in Kafka 4.4, KIP-939).

use crate::codec::messages;

messages! {
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
    /// InitProducerId. Version 6 is of two-phase commit.
    pub struct InitProducerIdRequest: 0..=6, flexible 2..; {
        /// The transactional id, if the producer has one.
        transactional_id: Option<String> = 0.., default Some(String::new());
        /// How long its transactions may stay open.
        transaction_timeout_ms: i32 = 0..;
        /// The id to go on with, -1 for a new one.
        producer_id: i64 = 3.., default -1;
        /// Its epoch, -1 for a new one.
        producer_epoch: i16 = 3.., default -1;
        /// Whether its transactions never time out.
        enable_2pc: bool = 6..;
        /// Whether an open transaction is to be kept.
        keep_prepared_txn: bool = 6..;
    }
    /// Who the producer is.
    pub struct InitProducerIdResponse: 0..=6, flexible 2..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 0.., [ignorable];
        /// What went wrong, 0 for nothing.
        error_code: i16 = 0..;
        /// Its id.
        producer_id: i64 = 0.., default -1;
        /// Its epoch.
        producer_epoch: i16 = 0..;
        /// Who has the transaction that was kept open.
        ongoing_txn_producer_id: i64 = 6.., default -1;
        /// With which epoch.
        ongoing_txn_producer_epoch: i16 = 6.., default -1;
    }
}
