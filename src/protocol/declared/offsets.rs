//! OffsetCommit 2-10, OffsetFetch 1-10, TxnOffsetCommit 0-6 and the response of DeleteGroups 0-3. The
//! message library lacks their newest versions: topics named by id (KIP-848, KIP-1319), and error
//! messages (KIP-1331).

use crate::codec::messages;
use crate::types::Uuid;

messages! {
    /// OffsetCommit. Version 10 names topics by id.
    pub struct OffsetCommitRequest: 2..=10, flexible 8..; {
        /// The group.
        group_id: String = 0..;
        /// The generation, or the member's epoch.
        generation_id_or_member_epoch: i32 = 1.., default -1, [ignorable];
        /// Who, "" for nobody.
        member_id: String = 1.., [ignorable];
        /// Of a static member.
        group_instance_id: Option<String> = 7..;
        /// How long to keep the offsets, -1 for the group's own time.
        retention_time_ms: i64 = 2..=4, default -1, [ignorable];
        /// By topic.
        topics: Vec<OffsetCommitRequestTopic> = 0..;
    }
    /// One topic of it.
    pub struct OffsetCommitRequestTopic: 2..=10, flexible 8..; {
        /// Its name.
        name: String = 0..=9;
        /// Its id.
        topic_id: Uuid = 10..;
        /// Its partitions.
        partitions: Vec<OffsetCommitRequestPartition> = 0..;
    }
    /// One partition of it.
    pub struct OffsetCommitRequestPartition: 2..=10, flexible 8..; {
        /// Its number.
        partition_index: i32 = 0..;
        /// The next offset to read.
        committed_offset: i64 = 0..;
        /// The epoch of the last record read, -1 for unknown.
        committed_leader_epoch: i32 = 6.., default -1, [ignorable];
        /// Whatever the client keeps with it.
        committed_metadata: Option<String> = 0.., default Some(String::new());
    }
    /// What became of the offsets.
    pub struct OffsetCommitResponse: 2..=10, flexible 8..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 3.., [ignorable];
        /// By topic.
        topics: Vec<OffsetCommitResponseTopic> = 0..;
    }
    /// One topic of it.
    pub struct OffsetCommitResponseTopic: 2..=10, flexible 8..; {
        /// Its name.
        name: String = 0..=9, [ignorable];
        /// Its id.
        topic_id: Uuid = 10.., [ignorable];
        /// Its partitions.
        partitions: Vec<OffsetCommitResponsePartition> = 0..;
    }
    /// One partition of it.
    pub struct OffsetCommitResponsePartition: 2..=10, flexible 8..; {
        /// Its number.
        partition_index: i32 = 0..;
        /// What happened.
        error_code: i16 = 0..;
    }
    /// OffsetFetch. Version 8 asks for several groups, version 10 names topics by id.
    pub struct OffsetFetchRequest: 1..=10, flexible 6..; {
        /// The group.
        group_id: String = 0..=7;
        /// Its topics; none for all.
        topics: Option<Vec<OffsetFetchRequestTopic>> = 0..=7, default Some(Vec::new());
        /// The groups.
        groups: Vec<OffsetFetchRequestGroup> = 8..;
        /// Whether offsets of open transactions are an error.
        require_stable: bool = 7..;
    }
    /// One topic of it, for one group.
    pub struct OffsetFetchRequestTopic: 1..=10, flexible 6..; {
        /// Its name.
        name: String = 0..=7;
        /// Its partitions.
        partition_indexes: Vec<i32> = 0..=7;
    }
    /// One group of it.
    pub struct OffsetFetchRequestGroup: 1..=10, flexible 6..; {
        /// Its name.
        group_id: String = 8..;
        /// Who asks, by the new protocol.
        member_id: Option<String> = 9.., [ignorable];
        /// Its epoch.
        member_epoch: i32 = 9.., default -1, [ignorable];
        /// Its topics; none for all.
        topics: Option<Vec<OffsetFetchRequestTopics>> = 8.., default Some(Vec::new());
    }
    /// One topic of a group.
    pub struct OffsetFetchRequestTopics: 1..=10, flexible 6..; {
        /// Its name.
        name: String = 8..=9, [ignorable];
        /// Its id.
        topic_id: Uuid = 10.., [ignorable];
        /// Its partitions.
        partition_indexes: Vec<i32> = 8..;
    }
    /// The offsets.
    pub struct OffsetFetchResponse: 1..=10, flexible 6..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 3.., [ignorable];
        /// By topic, of the one group.
        topics: Vec<OffsetFetchResponseTopic> = 0..=7, [ignorable];
        /// What happened to the one group.
        error_code: i16 = 2..=7, [ignorable];
        /// By group.
        groups: Vec<OffsetFetchResponseGroup> = 8.., [ignorable];
    }
    /// One topic of the one group.
    pub struct OffsetFetchResponseTopic: 1..=10, flexible 6..; {
        /// Its name.
        name: String = 0..=7;
        /// Its partitions.
        partitions: Vec<OffsetFetchResponsePartition> = 0..=7;
    }
    /// One partition of it.
    pub struct OffsetFetchResponsePartition: 1..=10, flexible 6..; {
        /// Its number.
        partition_index: i32 = 0..=7;
        /// The offset, -1 for none.
        committed_offset: i64 = 0..=7;
        /// The epoch that was committed with it, -1 for none.
        committed_leader_epoch: i32 = 5..=7, default -1, [ignorable];
        /// What the client keeps with it.
        metadata: Option<String> = 0..=7;
        /// What happened.
        error_code: i16 = 0..=7;
    }
    /// One of several groups.
    pub struct OffsetFetchResponseGroup: 1..=10, flexible 6..; {
        /// Its name.
        group_id: String = 8..;
        /// Its topics.
        topics: Vec<OffsetFetchResponseTopics> = 8..;
        /// What happened.
        error_code: i16 = 8..;
    }
    /// One topic of one of several groups.
    pub struct OffsetFetchResponseTopics: 1..=10, flexible 6..; {
        /// Its name.
        name: String = 8..=9, [ignorable];
        /// Its id.
        topic_id: Uuid = 10.., [ignorable];
        /// Its partitions.
        partitions: Vec<OffsetFetchResponsePartitions> = 8..;
    }
    /// One partition of it.
    pub struct OffsetFetchResponsePartitions: 1..=10, flexible 6..; {
        /// Its number.
        partition_index: i32 = 8..;
        /// The offset, -1 for none.
        committed_offset: i64 = 8..;
        /// The epoch that was committed with it, -1 for none.
        committed_leader_epoch: i32 = 8.., default -1, [ignorable];
        /// What the client keeps with it.
        metadata: Option<String> = 8..;
        /// What happened.
        error_code: i16 = 8..;
    }
    /// TxnOffsetCommit. Version 6 names topics by id.
    pub struct TxnOffsetCommitRequest: 0..=6, flexible 3..; {
        /// Whose transaction.
        transactional_id: String = 0..;
        /// The group.
        group_id: String = 0..;
        /// The producer.
        producer_id: i64 = 0..;
        /// Its epoch.
        producer_epoch: i16 = 0..;
        /// The generation, or the member's epoch.
        generation_id_or_member_epoch: i32 = 3.., default -1;
        /// Who, "" for nobody.
        member_id: String = 3..;
        /// Of a static member.
        group_instance_id: Option<String> = 3..;
        /// By topic.
        topics: Vec<TxnOffsetCommitRequestTopic> = 0..;
    }
    /// One topic of it.
    pub struct TxnOffsetCommitRequestTopic: 0..=6, flexible 3..; {
        /// Its name.
        name: String = 0..=5;
        /// Its id.
        topic_id: Uuid = 6..;
        /// Its partitions.
        partitions: Vec<TxnOffsetCommitRequestPartition> = 0..;
    }
    /// One partition of it.
    pub struct TxnOffsetCommitRequestPartition: 0..=6, flexible 3..; {
        /// Its number.
        partition_index: i32 = 0..;
        /// The next offset to read.
        committed_offset: i64 = 0..;
        /// The epoch of the last record read, -1 for unknown.
        committed_leader_epoch: i32 = 2.., default -1, [ignorable];
        /// Whatever the client keeps with it.
        committed_metadata: Option<String> = 0.., default Some(String::new());
    }
    /// What became of the offsets.
    pub struct TxnOffsetCommitResponse: 0..=6, flexible 3..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 0..;
        /// By topic.
        topics: Vec<TxnOffsetCommitResponseTopic> = 0..;
    }
    /// One topic of it.
    pub struct TxnOffsetCommitResponseTopic: 0..=6, flexible 3..; {
        /// Its name.
        name: String = 0..=5, [ignorable];
        /// Its id.
        topic_id: Uuid = 6.., [ignorable];
        /// Its partitions.
        partitions: Vec<TxnOffsetCommitResponsePartition> = 0..;
    }
    /// One partition of it.
    pub struct TxnOffsetCommitResponsePartition: 0..=6, flexible 3..; {
        /// Its number.
        partition_index: i32 = 0..;
        /// What happened.
        error_code: i16 = 0..;
    }
    /// What became of the groups to delete. Version 3 has messages.
    pub struct DeleteGroupsResponse: 0..=3, flexible 2..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 0..;
        /// By group.
        results: Vec<DeletableGroupResult> = 0..;
    }
    /// One group of it.
    pub struct DeletableGroupResult: 0..=3, flexible 2..; {
        /// Its name.
        group_id: String = 0..;
        /// What happened.
        error_code: i16 = 0..;
        /// In words.
        error_message: Option<String> = 3.., [ignorable];
    }
}
