//! StreamsGroupHeartbeat 0-1, StreamsGroupDescribe 0-1 and StreamsGroupTopologyDescriptionUpdate 0. The
//! message library lacks these APIs (KIP-1071, KIP-1331).

#![allow(missing_docs, reason = "fields have the names that Kafka's schemas give them")]

use crate::codec::messages;

messages! {
    /// The request of StreamsGroupHeartbeat.
    pub struct StreamsGroupHeartbeatRequest: 0..=1, flexible 0..; {
        group_id: String = 0..;
        member_id: String = 0..;
        member_epoch: i32 = 0..;
        endpoint_information_epoch: i32 = 0..;
        instance_id: Option<String> = 0..;
        rack_id: Option<String> = 0..;
        rebalance_timeout_ms: i32 = 0.., default -1;
        topology: Option<StreamsGroupHeartbeatTopology> = 0..;
        active_tasks: Option<Vec<StreamsGroupHeartbeatTaskIds>> = 0..;
        standby_tasks: Option<Vec<StreamsGroupHeartbeatTaskIds>> = 0..;
        warmup_tasks: Option<Vec<StreamsGroupHeartbeatTaskIds>> = 0..;
        process_id: Option<String> = 0..;
        user_endpoint: Option<StreamsGroupHeartbeatEndpoint> = 0..;
        client_tags: Option<Vec<StreamsGroupHeartbeatKeyValue>> = 0..;
        task_offsets: Option<Vec<StreamsGroupHeartbeatTaskOffset>> = 0..;
        task_end_offsets: Option<Vec<StreamsGroupHeartbeatTaskOffset>> = 0..;
        shutdown_application: bool = 0..;
    }
    pub struct StreamsGroupHeartbeatTopology: 0..=1, flexible 0..; {
        epoch: i32 = 0..;
        subtopologies: Vec<StreamsGroupHeartbeatSubtopology> = 0..;
    }
    pub struct StreamsGroupHeartbeatTaskIds: 0..=1, flexible 0..; {
        subtopology_id: String = 0..;
        partitions: Vec<i32> = 0..;
    }
    pub struct StreamsGroupHeartbeatEndpoint: 0..=1, flexible 0..; {
        host: String = 0..;
        port: u16 = 0..;
    }
    pub struct StreamsGroupHeartbeatKeyValue: 0..=1, flexible 0..; {
        key: String = 0..;
        value: String = 0..;
    }
    pub struct StreamsGroupHeartbeatTaskOffset: 0..=1, flexible 0..; {
        subtopology_id: String = 0..;
        partition: i32 = 0..;
        offset: i64 = 0..;
    }
    pub struct StreamsGroupHeartbeatSubtopology: 0..=1, flexible 0..; {
        subtopology_id: String = 0..;
        source_topics: Vec<String> = 0..;
        source_topic_regex: Vec<String> = 0..;
        state_changelog_topics: Vec<StreamsGroupHeartbeatTopicInfo> = 0..;
        repartition_sink_topics: Vec<String> = 0..;
        repartition_source_topics: Vec<StreamsGroupHeartbeatTopicInfo> = 0..;
        copartition_groups: Vec<StreamsGroupHeartbeatCopartitionGroup> = 0..;
    }
    pub struct StreamsGroupHeartbeatTopicInfo: 0..=1, flexible 0..; {
        name: String = 0..;
        partitions: i32 = 0..;
        replication_factor: i16 = 0..;
        topic_configs: Vec<StreamsGroupHeartbeatKeyValue> = 0..;
    }
    pub struct StreamsGroupHeartbeatCopartitionGroup: 0..=1, flexible 0..; {
        source_topics: Vec<i16> = 0..;
        source_topic_regex: Vec<i16> = 0..;
        repartition_source_topics: Vec<i16> = 0..;
    }
    /// The response of StreamsGroupHeartbeat.
    pub struct StreamsGroupHeartbeatResponse: 0..=1, flexible 0..; {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
        member_id: String = 0..;
        member_epoch: i32 = 0..;
        heartbeat_interval_ms: i32 = 0..;
        acceptable_recovery_lag_legacy: i32 = 0..=0;
        task_offset_interval_ms: i32 = 0..;
        acceptable_recovery_lag: i64 = 1.., default -1, [ignorable];
        status: Option<Vec<StreamsGroupHeartbeatStatus>> = 0.., default Some(Vec::new());
        active_tasks: Option<Vec<StreamsGroupHeartbeatTaskIds>> = 0..;
        standby_tasks: Option<Vec<StreamsGroupHeartbeatTaskIds>> = 0..;
        warmup_tasks: Option<Vec<StreamsGroupHeartbeatTaskIds>> = 0..;
        topology_description_required: bool = 1..;
        endpoint_information_epoch: i32 = 0..;
        partitions_by_user_endpoint: Option<Vec<StreamsGroupHeartbeatEndpointToPartitions>> = 0..;
    }
    pub struct StreamsGroupHeartbeatStatus: 0..=1, flexible 0..; {
        status_code: i8 = 0..;
        status_detail: String = 0..;
    }
    pub struct StreamsGroupHeartbeatEndpointToPartitions: 0..=1, flexible 0..; {
        user_endpoint: StreamsGroupHeartbeatEndpoint = 0..;
        active_partitions: Vec<StreamsGroupHeartbeatTopicPartition> = 0..;
        standby_partitions: Vec<StreamsGroupHeartbeatTopicPartition> = 0..;
    }
    pub struct StreamsGroupHeartbeatTopicPartition: 0..=1, flexible 0..; {
        topic: String = 0..;
        partitions: Vec<i32> = 0..;
    }
    /// The request of StreamsGroupDescribe.
    pub struct StreamsGroupDescribeRequest: 0..=1, flexible 0..; {
        group_ids: Vec<String> = 0..;
        include_authorized_operations: bool = 0..;
        include_topology_description: bool = 1..;
    }
    /// The response of StreamsGroupDescribe.
    pub struct StreamsGroupDescribeResponse: 0..=1, flexible 0..; {
        throttle_time_ms: i32 = 0..;
        groups: Vec<StreamsGroupDescribeDescribedGroup> = 0..;
    }
    pub struct StreamsGroupDescribeDescribedGroup: 0..=1, flexible 0..; {
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
        group_id: String = 0..;
        group_state: String = 0..;
        group_epoch: i32 = 0..;
        assignment_epoch: i32 = 0..;
        topology: Option<StreamsGroupDescribeTopology> = 0..;
        members: Vec<StreamsGroupDescribeMember> = 0..;
        authorized_operations: i32 = 0.., default i32::MIN;
        topology_description: Option<StreamsGroupDescribeTopologyDescription> = 1..;
        topology_description_status: i8 = 1..;
        assignor_name: Option<String> = 1.., [ignorable];
    }
    pub struct StreamsGroupDescribeTopology: 0..=1, flexible 0..; {
        epoch: i32 = 0..;
        subtopologies: Option<Vec<StreamsGroupDescribeSubtopology>> = 0..;
    }
    pub struct StreamsGroupDescribeMember: 0..=1, flexible 0..; {
        member_id: String = 0..;
        member_epoch: i32 = 0..;
        instance_id: Option<String> = 0..;
        rack_id: Option<String> = 0..;
        client_id: String = 0..;
        client_host: String = 0..;
        topology_epoch: i32 = 0..;
        process_id: String = 0..;
        user_endpoint: Option<StreamsGroupDescribeEndpoint> = 0..;
        client_tags: Vec<StreamsGroupDescribeKeyValue> = 0..;
        task_offsets: Vec<StreamsGroupDescribeTaskOffset> = 0..;
        task_end_offsets: Vec<StreamsGroupDescribeTaskOffset> = 0..;
        assignment: StreamsGroupDescribeAssignment = 0..;
        target_assignment: StreamsGroupDescribeAssignment = 0..;
        is_classic: bool = 0..;
    }
    pub struct StreamsGroupDescribeTopologyDescription: 0..=1, flexible 0..; {
        subtopologies: Vec<StreamsGroupDescribeTopologyDescriptionSubtopology> = 1..;
        global_stores: Vec<StreamsGroupDescribeTopologyDescriptionGlobalStore> = 1..;
    }
    pub struct StreamsGroupDescribeSubtopology: 0..=1, flexible 0..; {
        subtopology_id: String = 0..;
        source_topics: Vec<String> = 0..;
        repartition_sink_topics: Vec<String> = 0..;
        state_changelog_topics: Vec<StreamsGroupDescribeTopicInfo> = 0..;
        repartition_source_topics: Vec<StreamsGroupDescribeTopicInfo> = 0..;
    }
    pub struct StreamsGroupDescribeEndpoint: 0..=1, flexible 0..; {
        host: String = 0..;
        port: u16 = 0..;
    }
    pub struct StreamsGroupDescribeKeyValue: 0..=1, flexible 0..; {
        key: String = 0..;
        value: String = 0..;
    }
    pub struct StreamsGroupDescribeTaskOffset: 0..=1, flexible 0..; {
        subtopology_id: String = 0..;
        partition: i32 = 0..;
        offset: i64 = 0..;
    }
    pub struct StreamsGroupDescribeAssignment: 0..=1, flexible 0..; {
        active_tasks: Vec<StreamsGroupDescribeTaskIds> = 0..;
        standby_tasks: Vec<StreamsGroupDescribeTaskIds> = 0..;
        warmup_tasks: Vec<StreamsGroupDescribeTaskIds> = 0..;
    }
    pub struct StreamsGroupDescribeTopologyDescriptionSubtopology: 0..=1, flexible 0..; {
        subtopology_id: String = 1..;
        nodes: Vec<StreamsGroupDescribeTopologyDescriptionNode> = 1..;
    }
    pub struct StreamsGroupDescribeTopologyDescriptionGlobalStore: 0..=1, flexible 0..; {
        source: StreamsGroupDescribeTopologyDescriptionNode = 1..;
        processor: StreamsGroupDescribeTopologyDescriptionNode = 1..;
    }
    pub struct StreamsGroupDescribeTopicInfo: 0..=1, flexible 0..; {
        name: String = 0..;
        partitions: i32 = 0..;
        replication_factor: i16 = 0..;
        topic_configs: Vec<StreamsGroupDescribeKeyValue> = 0..;
    }
    pub struct StreamsGroupDescribeTaskIds: 0..=1, flexible 0..; {
        subtopology_id: String = 0..;
        partitions: Vec<i32> = 0..;
    }
    pub struct StreamsGroupDescribeTopologyDescriptionNode: 0..=1, flexible 0..; {
        name: String = 1..;
        node_type: i8 = 1..;
        source_topics: Vec<String> = 1..;
        sink_topic: Option<String> = 1..;
        stores: Vec<String> = 1..;
        successors: Vec<String> = 1..;
    }
    /// The request of StreamsGroupTopologyDescriptionUpdate.
    pub struct StreamsGroupTopologyDescriptionUpdateRequest: 0..=0, flexible 0..; {
        group_id: String = 0..;
        member_id: String = 0..;
        topology_epoch: i32 = 0..;
        topology_description: StreamsGroupTopologyDescriptionUpdateTopologyDescription = 0..;
    }
    pub struct StreamsGroupTopologyDescriptionUpdateTopologyDescription: 0..=0, flexible 0..; {
        subtopologies: Vec<StreamsGroupTopologyDescriptionUpdateTopologyDescriptionSubtopology> = 0..;
        global_stores: Vec<StreamsGroupTopologyDescriptionUpdateTopologyDescriptionGlobalStore> = 0..;
    }
    pub struct StreamsGroupTopologyDescriptionUpdateTopologyDescriptionSubtopology: 0..=0, flexible 0..; {
        subtopology_id: String = 0..;
        nodes: Vec<StreamsGroupTopologyDescriptionUpdateTopologyDescriptionNode> = 0..;
    }
    pub struct StreamsGroupTopologyDescriptionUpdateTopologyDescriptionGlobalStore: 0..=0, flexible 0..; {
        source: StreamsGroupTopologyDescriptionUpdateTopologyDescriptionNode = 0..;
        processor: StreamsGroupTopologyDescriptionUpdateTopologyDescriptionNode = 0..;
    }
    pub struct StreamsGroupTopologyDescriptionUpdateTopologyDescriptionNode: 0..=0, flexible 0..; {
        name: String = 0..;
        node_type: i8 = 0..;
        source_topics: Vec<String> = 0..;
        sink_topic: Option<String> = 0..;
        stores: Vec<String> = 0..;
        successors: Vec<String> = 0..;
    }
    /// The response of StreamsGroupTopologyDescriptionUpdate.
    pub struct StreamsGroupTopologyDescriptionUpdateResponse: 0..=0, flexible 0..; {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<String> = 0..;
    }
}
