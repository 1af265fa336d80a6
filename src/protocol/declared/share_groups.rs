//! ShareFetch 1-2 (its request), ShareAcknowledge 1-2, and messages about the state and the offsets of
//! share groups. The message library lacks their newest versions (KIP-1206, KIP-1222, KIP-1226).

#![allow(missing_docs, reason = "fields have the names that Kafka's schemas give them")]

use crate::codec::messages;
use crate::types::Uuid;

messages! {
    /// The request of ShareFetch.
    pub struct ShareFetchRequest: 1..=2, flexible 0..; {
        group_id: Option<String> = 0..;
        member_id: Option<String> = 0.., default Some(String::new());
        share_session_epoch: i32 = 0..;
        max_wait_ms: i32 = 0..;
        min_bytes: i32 = 0..;
        max_bytes: i32 = 0.., default i32::MAX;
        max_records: i32 = 1..;
        batch_size: i32 = 1..;
        share_acquire_mode: i8 = 2.., [ignorable];
        is_renew_ack: bool = 2..;
        topics: Vec<ShareFetchTopic> = 0..;
        forgotten_topics_data: Vec<ShareFetchForgottenTopic> = 0..;
    }
    pub struct ShareFetchTopic: 1..=2, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<ShareFetchPartition> = 0..;
    }
    pub struct ShareFetchForgottenTopic: 1..=2, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }
    pub struct ShareFetchPartition: 1..=2, flexible 0..; {
        partition_index: i32 = 0..;
        acknowledgement_batches: Vec<ShareFetchAcknowledgementBatch> = 0..;
    }
    pub struct ShareFetchAcknowledgementBatch: 1..=2, flexible 0..; {
        first_offset: i64 = 0..;
        last_offset: i64 = 0..;
        acknowledge_types: Vec<i8> = 0..;
    }
    /// The request of ShareAcknowledge.
    pub struct ShareAcknowledgeRequest: 1..=2, flexible 0..; {
        group_id: Option<String> = 0..;
        member_id: Option<String> = 0.., default Some(String::new());
        share_session_epoch: i32 = 0..;
        is_renew_ack: bool = 2..;
        topics: Vec<ShareAcknowledgeTopic> = 0..;
    }
    pub struct ShareAcknowledgeTopic: 1..=2, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<ShareAcknowledgePartition> = 0..;
    }
    pub struct ShareAcknowledgePartition: 1..=2, flexible 0..; {
        partition_index: i32 = 0..;
        acknowledgement_batches: Vec<ShareAcknowledgeAcknowledgementBatch> = 0..;
    }
    pub struct ShareAcknowledgeAcknowledgementBatch: 1..=2, flexible 0..; {
        first_offset: i64 = 0..;
        last_offset: i64 = 0..;
        acknowledge_types: Vec<i8> = 0..;
    }
    /// The response of ShareAcknowledge.
    pub struct ShareAcknowledgeResponse: 1..=2, flexible 0..; {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
        acquisition_lock_timeout_ms: i32 = 2.., [ignorable];
        responses: Vec<ShareAcknowledgeTopicResponse> = 0..;
        node_endpoints: Vec<ShareAcknowledgeNodeEndpoint> = 0..;
    }
    pub struct ShareAcknowledgeTopicResponse: 1..=2, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<ShareAcknowledgePartitionData> = 0..;
    }
    pub struct ShareAcknowledgeNodeEndpoint: 1..=2, flexible 0..; {
        node_id: i32 = 0..;
        host: String = 0..;
        port: i32 = 0..;
        rack: Option<String> = 0..;
    }
    pub struct ShareAcknowledgePartitionData: 1..=2, flexible 0..; {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
        current_leader: ShareAcknowledgeLeaderIdAndEpoch = 0..;
    }
    pub struct ShareAcknowledgeLeaderIdAndEpoch: 1..=2, flexible 0..; {
        leader_id: i32 = 0..;
        leader_epoch: i32 = 0..;
    }
    /// The request of WriteShareGroupState.
    pub struct WriteShareGroupStateRequest: 0..=1, flexible 0..; {
        group_id: String = 0..;
        topics: Vec<WriteShareGroupStateWriteStateData> = 0..;
    }
    pub struct WriteShareGroupStateWriteStateData: 0..=1, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<WriteShareGroupStatePartitionData> = 0..;
    }
    pub struct WriteShareGroupStatePartitionData: 0..=1, flexible 0..; {
        partition: i32 = 0..;
        state_epoch: i32 = 0..;
        leader_epoch: i32 = 0..;
        start_offset: i64 = 0..;
        delivery_complete_count: i32 = 1.., default -1, [ignorable];
        state_batches: Vec<WriteShareGroupStateBatch> = 0..;
    }
    pub struct WriteShareGroupStateBatch: 0..=1, flexible 0..; {
        first_offset: i64 = 0..;
        last_offset: i64 = 0..;
        delivery_state: i8 = 0..;
        delivery_count: i16 = 0..;
    }
    /// The response of ReadShareGroupStateSummary.
    pub struct ReadShareGroupStateSummaryResponse: 0..=1, flexible 0..; {
        results: Vec<ReadShareGroupStateSummaryReadStateSummaryResult> = 0..;
    }
    pub struct ReadShareGroupStateSummaryReadStateSummaryResult: 0..=1, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<ReadShareGroupStateSummaryPartitionResult> = 0..;
    }
    pub struct ReadShareGroupStateSummaryPartitionResult: 0..=1, flexible 0..; {
        partition: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
        state_epoch: i32 = 0..;
        leader_epoch: i32 = 0..;
        start_offset: i64 = 0..;
        delivery_complete_count: i32 = 1.., default -1, [ignorable];
    }
    /// The response of DescribeShareGroupOffsets.
    pub struct DescribeShareGroupOffsetsResponse: 0..=1, flexible 0..; {
        throttle_time_ms: i32 = 0..;
        groups: Vec<DescribeShareGroupOffsetsResponseGroup> = 0..;
    }
    pub struct DescribeShareGroupOffsetsResponseGroup: 0..=1, flexible 0..; {
        group_id: String = 0..;
        topics: Vec<DescribeShareGroupOffsetsResponseTopic> = 0..;
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
    }
    pub struct DescribeShareGroupOffsetsResponseTopic: 0..=1, flexible 0..; {
        topic_name: String = 0..;
        topic_id: Uuid = 0..;
        partitions: Vec<DescribeShareGroupOffsetsResponsePartition> = 0..;
    }
    pub struct DescribeShareGroupOffsetsResponsePartition: 0..=1, flexible 0..; {
        partition_index: i32 = 0..;
        start_offset: i64 = 0..;
        leader_epoch: i32 = 0..;
        lag: i64 = 1.., default -1, [ignorable];
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
    }
}
