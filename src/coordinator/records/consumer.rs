//! Groups of the consumer protocol (KIP-848).

// A nullable tag without a default of its own is empty when it is left out, and null only when it
// is written so.
// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use bytes::Bytes;

use super::NEVER;
use crate::codec::messages;
use crate::types::Uuid;

messages! {
    /// Key of record 3: the epoch of a group.
    pub struct ConsumerGroupMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 3: the epoch of a group.
    pub struct ConsumerGroupMetadataValue: 0..=0, flexible 0..; {
        epoch: i32 = 0..;
        metadata_hash: i64 = 0.., tag 0;
    }
    /// Key of record 4: the partitions that a group is subscribed to.
    pub struct ConsumerGroupPartitionMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 4: the partitions that a group is subscribed to; 4.1 and later only delete
    /// it.
    pub struct ConsumerGroupPartitionMetadataValue: 0..=0, flexible 0..; {
        topics: Vec<TopicMetadata> = 0..;
    }
    /// Part of [`ConsumerGroupPartitionMetadataValue`].
    pub struct TopicMetadata: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
        topic_name: String = 0..;
        num_partitions: i32 = 0..;
        partition_metadata: Vec<PartitionMetadata> = 0..;
    }
    /// Part of [`TopicMetadata`].
    pub struct PartitionMetadata: 0..=0, flexible 0..; {
        partition: i32 = 0..;
        racks: Vec<String> = 0..;
    }
    /// Key of record 5: a member, as it last described itself.
    pub struct ConsumerGroupMemberMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 5: a member, as it last described itself.
    pub struct ConsumerGroupMemberMetadataValue: 0..=0, flexible 0..; {
        instance_id: Option<String> = 0..;
        rack_id: Option<String> = 0..;
        client_id: String = 0..;
        client_host: String = 0..;
        subscribed_topic_names: Vec<String> = 0..;
        subscribed_topic_regex: Option<String> = 0..;
        rebalance_timeout_ms: i32 = 0.., default -1;
        server_assignor: Option<String> = 0..;
        classic_member_metadata: Option<ClassicMemberMetadata> = 0.., tag 0,
            default Some(ClassicMemberMetadata::default());
    }
    /// Part of [`ConsumerGroupMemberMetadataValue`].
    pub struct ClassicMemberMetadata: 0..=0, flexible 0..; {
        session_timeout_ms: i32 = 0..;
        supported_protocols: Vec<ClassicProtocol> = 0..;
    }
    /// Part of [`ClassicMemberMetadata`].
    pub struct ClassicProtocol: 0..=0, flexible 0..; {
        name: String = 0..;
        metadata: Bytes = 0..;
    }
    /// Key of record 6: the epoch of the target assignment.
    pub struct ConsumerGroupTargetAssignmentMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 6: the epoch of the target assignment.
    pub struct ConsumerGroupTargetAssignmentMetadataValue: 0..=0, flexible 0..; {
        assignment_epoch: i32 = 0..;
        assignment_timestamp: i64 = 0.., tag 0, [ignorable];
    }
    /// Key of record 7: what a member is to own.
    pub struct ConsumerGroupTargetAssignmentMemberKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 7: what a member is to own.
    pub struct ConsumerGroupTargetAssignmentMemberValue: 0..=0, flexible 0..; {
        topic_partitions: Vec<TopicPartition> = 0..;
    }
    /// Part of [`ConsumerGroupTargetAssignmentMemberValue`].
    pub struct TopicPartition: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }
    /// Key of record 8: what a member owns, and is to give up.
    pub struct ConsumerGroupCurrentMemberAssignmentKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 8: what a member owns, and is to give up.
    pub struct ConsumerGroupCurrentMemberAssignmentValue: 0..=0, flexible 0..; {
        member_epoch: i32 = 0..;
        previous_member_epoch: i32 = 0..;
        state: i8 = 0..;
        assigned_partitions: Vec<TopicPartitions> = 0..;
        partitions_pending_revocation: Vec<TopicPartitions> = 0..;
    }
    /// Part of [`ConsumerGroupCurrentMemberAssignmentValue`].
    pub struct TopicPartitions: 0..=0, flexible 0..; {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
        assignment_epochs: Option<Vec<i32>> = 0.., tag 0, default Some(Vec::new());
    }
    /// Key of record 16: the topics that a regular expression was resolved to.
    pub struct ConsumerGroupRegularExpressionKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        regular_expression: String = 0..;
    }
    /// Value of record 16: the topics that a regular expression was resolved to.
    pub struct ConsumerGroupRegularExpressionValue: 0..=0, flexible 0..; {
        topics: Vec<String> = 0..;
        version: i64 = 0..;
        timestamp: i64 = 0..;
    }
}
