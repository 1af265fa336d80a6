//! Share groups: members and assignments (KIP-932). What was delivered is in `share_state.rs`.

// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use super::NEVER;
use crate::codec::messages;
use crate::types::Uuid;

messages! {
    /// Key of record 10: a member, as it last described itself.
    pub struct ShareGroupMemberMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 10: a member, as it last described itself.
    pub struct ShareGroupMemberMetadataValue: 0..=0, flexible 0..; {
        rack_id: Option<String> = 0..;
        client_id: String = 0..;
        client_host: String = 0..;
        subscribed_topic_names: Vec<String> = 0..;
    }
    /// Key of record 11: the epoch of a group.
    pub struct ShareGroupMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 11: the epoch of a group.
    pub struct ShareGroupMetadataValue: 0..=0, flexible 0..; {
        epoch: i32 = 0..;
        metadata_hash: i64 = 0..;
    }
    /// Key of record 12: the epoch of the target assignment.
    pub struct ShareGroupTargetAssignmentMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 12: the epoch of the target assignment.
    pub struct ShareGroupTargetAssignmentMetadataValue: 0..=0, flexible 0..; {
        assignment_epoch: i32 = 0..;
        assignment_timestamp: i64 = 0.., tag 0, [ignorable];
    }
    /// Key of record 13: what a member is to take from.
    pub struct ShareGroupTargetAssignmentMemberKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 13: what a member is to take from.
    pub struct ShareGroupTargetAssignmentMemberValue: 0..=0, flexible 0..; {
        topic_partitions: Vec<TopicPartition> = 0..;
    }
    /// Part of [`ShareGroupTargetAssignmentMemberValue`].
    pub struct TopicPartition: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }
    /// Key of record 14: what a member takes from.
    pub struct ShareGroupCurrentMemberAssignmentKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 14: what a member takes from.
    pub struct ShareGroupCurrentMemberAssignmentValue: 0..=0, flexible 0..; {
        member_epoch: i32 = 0..;
        previous_member_epoch: i32 = 0..;
        state: i8 = 0..;
        assigned_partitions: Vec<TopicPartitions> = 0..;
    }
    /// Part of [`ShareGroupCurrentMemberAssignmentValue`].
    pub struct TopicPartitions: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }
    /// Key of record 15: the partitions whose state is kept, was asked for, or is being deleted.
    pub struct ShareGroupStatePartitionMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 15: the partitions whose state is kept, was asked for, or is being deleted.
    pub struct ShareGroupStatePartitionMetadataValue: 0..=0, flexible 0..; {
        initializing_topics: Vec<TopicPartitionsInfo> = 0..;
        initialized_topics: Vec<TopicPartitionsInfo> = 0..;
        deleting_topics: Vec<TopicInfo> = 0..;
    }
    /// Part of [`ShareGroupStatePartitionMetadataValue`].
    pub struct TopicPartitionsInfo: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
        topic_name: String = 0..;
        partitions: Vec<i32> = 0..;
    }
    /// Part of [`ShareGroupStatePartitionMetadataValue`].
    pub struct TopicInfo: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
        topic_name: String = 0..;
    }
}
