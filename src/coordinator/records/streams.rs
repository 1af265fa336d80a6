//! Streams groups (KIP-1071).

// A nullable tag without a default of its own is empty when it is left out, and null only when it
// is written so.
// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use super::NEVER;
use crate::codec::messages;

messages! {
    /// Key of record 17: the epochs of a group.
    pub struct StreamsGroupMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 17: the epochs of a group.
    pub struct StreamsGroupMetadataValue: 0..=0, flexible 0..; {
        epoch: i32 = 0..;
        metadata_hash: i64 = 0..;
        validated_topology_epoch: i32 = 0.., tag 0, default -1;
        last_assignment_configs: Option<Vec<LastAssignmentConfig>> = 0.., tag 1,
            default Some(Vec::new());
        stored_description_topology_epoch: i32 = 0.., tag 2, default -1;
        failed_description_topology_epoch: i32 = 0.., tag 3, default -1;
    }
    /// Part of [`StreamsGroupMetadataValue`].
    pub struct LastAssignmentConfig: 0..=0, flexible 0..; {
        key: String = 0..;
        value: String = 0..;
    }
    /// Key of record 19: a member, as it last described itself.
    pub struct StreamsGroupMemberMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 19: a member, as it last described itself.
    pub struct StreamsGroupMemberMetadataValue: 0..=0, flexible 0..; {
        instance_id: Option<String> = 0..;
        rack_id: Option<String> = 0..;
        client_id: String = 0..;
        client_host: String = 0..;
        rebalance_timeout_ms: i32 = 0.., default -1;
        topology_epoch: i32 = 0..;
        process_id: String = 0..;
        user_endpoint: Option<Endpoint> = 0..;
        client_tags: Vec<KeyValue> = 0..;
    }
    /// Part of [`StreamsGroupMemberMetadataValue`].
    pub struct Endpoint: 0..=0, flexible 0..; {
        host: String = 0..;
        port: u16 = 0..;
    }
    /// Part of [`StreamsGroupMemberMetadataValue`].
    pub struct KeyValue: 0..=0, flexible 0..; {
        key: String = 0..;
        value: String = 0..;
    }
    /// Key of record 20: the epoch of the target assignment.
    pub struct StreamsGroupTargetAssignmentMetadataKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 20: the epoch of the target assignment.
    pub struct StreamsGroupTargetAssignmentMetadataValue: 0..=0, flexible 0..; {
        assignment_epoch: i32 = 0..;
        assignment_timestamp: i64 = 0.., tag 0, [ignorable];
    }
    /// Key of record 21: the tasks that a member is to own.
    pub struct StreamsGroupTargetAssignmentMemberKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 21: the tasks that a member is to own.
    pub struct StreamsGroupTargetAssignmentMemberValue: 0..=0, flexible 0..; {
        active_tasks: Vec<TargetTaskIds> = 0..;
        standby_tasks: Vec<TargetTaskIds> = 0..;
        warmup_tasks: Vec<TargetTaskIds> = 0..;
    }
    /// Part of [`StreamsGroupTargetAssignmentMemberValue`].
    pub struct TargetTaskIds: 0..=0, flexible 0..; {
        subtopology_id: String = 0..;
        partitions: Vec<i32> = 0..;
    }
    /// Key of record 22: the tasks that a member owns, and is to give up.
    pub struct StreamsGroupCurrentMemberAssignmentKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        member_id: String = 0..;
    }
    /// Value of record 22: the tasks that a member owns, and is to give up.
    pub struct StreamsGroupCurrentMemberAssignmentValue: 0..=0, flexible 0..; {
        member_epoch: i32 = 0..;
        previous_member_epoch: i32 = 0..;
        state: i8 = 0..;
        active_tasks: Vec<TaskIds> = 0..;
        standby_tasks: Vec<TaskIds> = 0..;
        warmup_tasks: Vec<TaskIds> = 0..;
        active_tasks_pending_revocation: Vec<TaskIds> = 0..;
        standby_tasks_pending_revocation: Vec<TaskIds> = 0..;
        warmup_tasks_pending_revocation: Vec<TaskIds> = 0..;
    }
    /// Part of [`StreamsGroupCurrentMemberAssignmentValue`].
    pub struct TaskIds: 0..=0, flexible 0..; {
        subtopology_id: String = 0..;
        partitions: Vec<i32> = 0..;
        assignment_epochs: Option<Vec<i32>> = 0.., tag 0, default Some(Vec::new());
    }
    /// Key of record 23: the topology of a group.
    pub struct StreamsGroupTopologyKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
    }
    /// Value of record 23: the topology of a group.
    pub struct StreamsGroupTopologyValue: 0..=0, flexible 0..; {
        epoch: i32 = 0..;
        subtopologies: Vec<Subtopology> = 0..;
    }
    /// Part of [`StreamsGroupTopologyValue`].
    pub struct Subtopology: 0..=0, flexible 0..; {
        subtopology_id: String = 0..;
        source_topics: Vec<String> = 0..;
        source_topic_regex: Vec<String> = 0..;
        state_changelog_topics: Vec<TopicInfo> = 0..;
        repartition_sink_topics: Vec<String> = 0..;
        repartition_source_topics: Vec<TopicInfo> = 0..;
        copartition_groups: Vec<CopartitionGroup> = 0..;
    }
    /// Part of [`Subtopology`].
    pub struct CopartitionGroup: 0..=0, flexible 0..; {
        source_topics: Vec<i16> = 0..;
        source_topic_regex: Vec<i16> = 0..;
        repartition_source_topics: Vec<i16> = 0..;
    }
    /// Part of [`StreamsGroupTopologyValue`].
    pub struct TopicConfig: 0..=0, flexible 0..; {
        key: String = 0..;
        value: String = 0..;
    }
    /// Part of [`StreamsGroupTopologyValue`].
    pub struct TopicInfo: 0..=0, flexible 0..; {
        name: String = 0..;
        partitions: i32 = 0..;
        replication_factor: i16 = 0..;
        topic_configs: Vec<TopicConfig> = 0..;
    }
}
