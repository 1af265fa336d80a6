//! The shapes of responses. Source: Kafka 4.4
//! `clients/src/main/resources/common/message/*Response.json`.

use super::shapes;

shapes! {
    Produce {
        Responses [
            Name string 0-12;
            TopicId uuid 13+;
            PartitionResponses [
                Index i32 0+;
                ErrorCode i16 0+;
                BaseOffset i64 0+;
                LogAppendTimeMs i64 2+;
                LogStartOffset i64 5+;
                RecordErrors [ BatchIndex i32 8+; BatchIndexErrorMessage string 8+; ] 8+;
                ErrorMessage string 8+;
                CurrentLeader { LeaderId i32 10+; LeaderEpoch i32 10+; } 10+ tag 0;
            ] 0+;
        ] 0+;
        ThrottleTimeMs i32 1+;
        NodeEndpoints [ NodeId i32 10+; Host string 10+; Port i32 10+; Rack string 10+; ] 10+ tag 0;
    }
    Fetch {
        ThrottleTimeMs i32 1+;
        ErrorCode i16 7+;
        SessionId i32 7+;
        Responses [
            Topic string 0-12;
            TopicId uuid 13+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                HighWatermark i64 0+;
                LastStableOffset i64 4+;
                LogStartOffset i64 5+;
                DivergingEpoch { Epoch i32 12+; EndOffset i64 12+; } 12+ tag 0;
                CurrentLeader { LeaderId i32 12+; LeaderEpoch i32 12+; } 12+ tag 1;
                SnapshotId { EndOffset i64 0+; Epoch i32 0+; } 12+ tag 2;
                AbortedTransactions [ ProducerId i64 4+; FirstOffset i64 4+; ] 4+;
                PreferredReadReplica i32 11+;
                Records bytes 0+;
            ] 0+;
        ] 0+;
        NodeEndpoints [ NodeId i32 16+; Host string 16+; Port i32 16+; Rack string 16+; ] 16+ tag 0;
    }
    ListOffsets {
        ThrottleTimeMs i32 2+;
        Topics [
            Name string 0+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                Timestamp i64 1+;
                Offset i64 1+;
                LeaderEpoch i32 4+;
            ] 0+;
        ] 0+;
    }
    Metadata {
        ThrottleTimeMs i32 3+;
        Brokers [ NodeId i32 0+; Host string 0+; Port i32 0+; Rack string 1+; ] 0+;
        ClusterId string 2+;
        ControllerId i32 1+;
        Topics [
            ErrorCode i16 0+;
            Name string 0+;
            TopicId uuid 10+;
            IsInternal bool 1+;
            Partitions [
                ErrorCode i16 0+;
                PartitionIndex i32 0+;
                LeaderId i32 0+;
                LeaderEpoch i32 7+;
                ReplicaNodes [i32] 0+;
                IsrNodes [i32] 0+;
                OfflineReplicas [i32] 5+;
            ] 0+;
            TopicAuthorizedOperations i32 8+;
        ] 0+;
        ClusterAuthorizedOperations i32 8-10;
        ErrorCode i16 13+;
    }
    FindCoordinator {
        ThrottleTimeMs i32 1+;
        ErrorCode i16 0-3;
        ErrorMessage string 1-3;
        NodeId i32 0-3;
        Host string 0-3;
        Port i32 0-3;
        Coordinators [
            Key string 4+;
            NodeId i32 4+;
            Host string 4+;
            Port i32 4+;
            ErrorCode i16 4+;
            ErrorMessage string 4+;
        ] 4+;
    }
    JoinGroup {
        ThrottleTimeMs i32 2+;
        ErrorCode i16 0+;
        GenerationId i32 0+;
        ProtocolType string 7+;
        ProtocolName string 0+;
        Leader string 0+;
        SkipAssignment bool 9+;
        MemberId string 0+;
        Members [ MemberId string 0+; GroupInstanceId string 5+; Metadata bytes 0+; ] 0+;
    }
    Heartbeat { ThrottleTimeMs i32 1+; ErrorCode i16 0+; }
    LeaveGroup {
        ThrottleTimeMs i32 1+;
        ErrorCode i16 0+;
        Members [ MemberId string 3+; GroupInstanceId string 3+; ErrorCode i16 3+; ] 3+;
    }
    SyncGroup {
        ThrottleTimeMs i32 1+;
        ErrorCode i16 0+;
        ProtocolType string 5+;
        ProtocolName string 5+;
        Assignment bytes 0+;
    }
    DescribeGroups {
        ThrottleTimeMs i32 1+;
        Groups [
            ErrorCode i16 0+;
            ErrorMessage string 6+;
            GroupId string 0+;
            GroupState string 0+;
            ProtocolType string 0+;
            ProtocolData string 0+;
            Members [
                MemberId string 0+;
                GroupInstanceId string 4+;
                ClientId string 0+;
                ClientHost string 0+;
                MemberMetadata bytes 0+;
                MemberAssignment bytes 0+;
            ] 0+;
            AuthorizedOperations i32 3+;
        ] 0+;
    }
    ListGroups {
        ThrottleTimeMs i32 1+;
        ErrorCode i16 0+;
        Groups [
            GroupId string 0+;
            ProtocolType string 0+;
            GroupState string 4+;
            GroupType string 5+;
        ] 0+;
    }
    SaslHandshake { ErrorCode i16 0+; Mechanisms [string] 0+; }
    CreateTopics {
        ThrottleTimeMs i32 2+;
        Topics [
            Name string 0+;
            TopicId uuid 7+;
            ErrorCode i16 0+;
            ErrorMessage string 1+;
            TopicConfigErrorCode i16 5+ tag 0;
            NumPartitions i32 5+;
            ReplicationFactor i16 5+;
            Configs [
                Name string 5+;
                Value string 5+;
                ReadOnly bool 5+;
                ConfigSource i8 5+;
                IsSensitive bool 5+;
            ] 5+;
        ] 0+;
    }
    DeleteTopics {
        ThrottleTimeMs i32 1+;
        Responses [ Name string 0+; TopicId uuid 6+; ErrorCode i16 0+; ErrorMessage string 5+; ] 0+;
    }
    DeleteRecords {
        ThrottleTimeMs i32 0+;
        Topics [
            Name string 0+;
            Partitions [ PartitionIndex i32 0+; LowWatermark i64 0+; ErrorCode i16 0+; ] 0+;
        ] 0+;
    }
    OffsetForLeaderEpoch {
        ThrottleTimeMs i32 2+;
        Topics [
            Topic string 0+;
            Partitions [
                ErrorCode i16 0+;
                Partition i32 0+;
                LeaderEpoch i32 1+;
                EndOffset i64 0+;
            ] 0+;
        ] 0+;
    }
    AddPartitionsToTxn {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 4+;
        ResultsByTransaction [
            TransactionalId string 4+;
            TopicResults [
                Name string 0+;
                ResultsByPartition [ PartitionIndex i32 0+; PartitionErrorCode i16 0+; ] 0+;
            ] 4+;
        ] 4+;
        ResultsByTopicV3AndBelow [
            Name string 0+;
            ResultsByPartition [ PartitionIndex i32 0+; PartitionErrorCode i16 0+; ] 0+;
        ] 0-3;
    }
    AddOffsetsToTxn { ThrottleTimeMs i32 0+; ErrorCode i16 0+; }
    EndTxn { ThrottleTimeMs i32 0+; ErrorCode i16 0+; ProducerId i64 5+; ProducerEpoch i16 5+; }
    DescribeAcls {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Resources [
            ResourceType i8 0+;
            ResourceName string 0+;
            PatternType i8 1+;
            Acls [ Principal string 0+; Host string 0+; Operation i8 0+; PermissionType i8 0+; ] 0+;
        ] 0+;
    }
    CreateAcls { ThrottleTimeMs i32 0+; Results [ ErrorCode i16 0+; ErrorMessage string 0+; ] 0+; }
    DeleteAcls {
        ThrottleTimeMs i32 0+;
        FilterResults [
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            MatchingAcls [
                ErrorCode i16 0+;
                ErrorMessage string 0+;
                ResourceType i8 0+;
                ResourceName string 0+;
                PatternType i8 1+;
                Principal string 0+;
                Host string 0+;
                Operation i8 0+;
                PermissionType i8 0+;
            ] 0+;
        ] 0+;
    }
    DescribeConfigs {
        ThrottleTimeMs i32 0+;
        Results [
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            ResourceType i8 0+;
            ResourceName string 0+;
            Configs [
                Name string 0+;
                Value string 0+;
                ReadOnly bool 0+;
                ConfigSource i8 1+;
                IsSensitive bool 0+;
                Synonyms [ Name string 1+; Value string 1+; Source i8 1+; ] 1+;
                ConfigType i8 3+;
                Documentation string 3+;
            ] 0+;
        ] 0+;
    }
    AlterConfigs {
        ThrottleTimeMs i32 0+;
        Responses [
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            ResourceType i8 0+;
            ResourceName string 0+;
        ] 0+;
    }
    AlterReplicaLogDirs {
        ThrottleTimeMs i32 0+;
        Results [
            TopicName string 0+;
            Partitions [ PartitionIndex i32 0+; ErrorCode i16 0+; ] 0+;
        ] 0+;
    }
    SaslAuthenticate {
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        AuthBytes bytes 0+;
        SessionLifetimeMs i64 1+;
    }
    CreatePartitions {
        ThrottleTimeMs i32 0+;
        Results [ Name string 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
    }
    CreateDelegationToken {
        ErrorCode i16 0+;
        PrincipalType string 0+;
        PrincipalName string 0+;
        TokenRequesterPrincipalType string 3+;
        TokenRequesterPrincipalName string 3+;
        IssueTimestampMs i64 0+;
        ExpiryTimestampMs i64 0+;
        MaxTimestampMs i64 0+;
        TokenId string 0+;
        Hmac bytes 0+;
        ThrottleTimeMs i32 0+;
    }
    RenewDelegationToken { ErrorCode i16 0+; ExpiryTimestampMs i64 0+; ThrottleTimeMs i32 0+; }
    ExpireDelegationToken { ErrorCode i16 0+; ExpiryTimestampMs i64 0+; ThrottleTimeMs i32 0+; }
    DescribeDelegationToken {
        ErrorCode i16 0+;
        Tokens [
            PrincipalType string 0+;
            PrincipalName string 0+;
            TokenRequesterPrincipalType string 3+;
            TokenRequesterPrincipalName string 3+;
            IssueTimestamp i64 0+;
            ExpiryTimestamp i64 0+;
            MaxTimestamp i64 0+;
            TokenId string 0+;
            Hmac bytes 0+;
            Renewers [ PrincipalType string 0+; PrincipalName string 0+; ] 0+;
        ] 0+;
        ThrottleTimeMs i32 0+;
    }
    ElectLeaders {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 1+;
        ReplicaElectionResults [
            Topic string 0+;
            PartitionResult [ PartitionId i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
        ] 0+;
    }
    IncrementalAlterConfigs {
        ThrottleTimeMs i32 0+;
        Responses [
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            ResourceType i8 0+;
            ResourceName string 0+;
        ] 0+;
    }
    AlterPartitionReassignments {
        ThrottleTimeMs i32 0+;
        AllowReplicationFactorChange bool 1+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Responses [
            Name string 0+;
            Partitions [ PartitionIndex i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
        ] 0+;
    }
    ListPartitionReassignments {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Topics [
            Name string 0+;
            Partitions [
                PartitionIndex i32 0+;
                Replicas [i32] 0+;
                AddingReplicas [i32] 0+;
                RemovingReplicas [i32] 0+;
            ] 0+;
        ] 0+;
    }
    OffsetDelete {
        ErrorCode i16 0+;
        ThrottleTimeMs i32 0+;
        Topics [ Name string 0+; Partitions [ PartitionIndex i32 0+; ErrorCode i16 0+; ] 0+; ] 0+;
    }
    DescribeClientQuotas {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Entries [
            Entity [ EntityType string 0+; EntityName string 0+; ] 0+;
            Values [ Key string 0+; Value f64 0+; ] 0+;
        ] 0+;
    }
    AlterClientQuotas {
        ThrottleTimeMs i32 0+;
        Entries [
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            Entity [ EntityType string 0+; EntityName string 0+; ] 0+;
        ] 0+;
    }
    DescribeUserScramCredentials {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Results [
            User string 0+;
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            CredentialInfos [ Mechanism i8 0+; Iterations i32 0+; ] 0+;
        ] 0+;
    }
    AlterUserScramCredentials {
        ThrottleTimeMs i32 0+;
        Results [ User string 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
    }
    Vote {
        ErrorCode i16 0+;
        Topics [
            TopicName string 0+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
                VoteGranted bool 0+;
            ] 0+;
        ] 0+;
        NodeEndpoints [ NodeId i32 1+; Host string 1+; Port u16 1+; ] 1+ tag 0;
    }
    BeginQuorumEpoch {
        ErrorCode i16 0+;
        Topics [
            TopicName string 0+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
            ] 0+;
        ] 0+;
        NodeEndpoints [ NodeId i32 1+; Host string 1+; Port u16 1+; ] 1+ tag 0;
    }
    EndQuorumEpoch {
        ErrorCode i16 0+;
        Topics [
            TopicName string 0+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
            ] 0+;
        ] 0+;
        NodeEndpoints [ NodeId i32 1+; Host string 1+; Port u16 1+; ] 1+ tag 0;
    }
    DescribeQuorum {
        ErrorCode i16 0+;
        ErrorMessage string 2+;
        Topics [
            TopicName string 0+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                ErrorMessage string 2+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
                HighWatermark i64 0+;
                CurrentVoters [
                    ReplicaId i32 0+;
                    ReplicaDirectoryId uuid 2+;
                    LogEndOffset i64 0+;
                    LastFetchTimestamp i64 1+;
                    LastCaughtUpTimestamp i64 1+;
                ] 0+;
                Observers [
                    ReplicaId i32 0+;
                    ReplicaDirectoryId uuid 2+;
                    LogEndOffset i64 0+;
                    LastFetchTimestamp i64 1+;
                    LastCaughtUpTimestamp i64 1+;
                ] 0+;
            ] 0+;
        ] 0+;
        Nodes [ NodeId i32 2+; Listeners [ Name string 2+; Host string 2+; Port u16 2+; ] 2+; ] 2+;
    }
    AlterPartition {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        Topics [
            TopicId uuid 2+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
                Isr [i32] 0+;
                LeaderRecoveryState i8 1+;
                PartitionEpoch i32 0+;
            ] 0+;
        ] 0+;
    }
    UpdateFeatures {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Results [ Feature string 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0-1;
    }
    Envelope { ResponseData bytes 0+; ErrorCode i16 0+; }
    FetchSnapshot {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        Topics [
            Name string 0+;
            Partitions [
                Index i32 0+;
                ErrorCode i16 0+;
                SnapshotId { EndOffset i64 0+; Epoch i32 0+; } 0+;
                CurrentLeader { LeaderId i32 0+; LeaderEpoch i32 0+; } 0+ tag 0;
                Size i64 0+;
                Position i64 0+;
                UnalignedRecords bytes 0+;
            ] 0+;
        ] 0+;
        NodeEndpoints [ NodeId i32 1+; Host string 1+; Port u16 1+; ] 1+ tag 0;
    }
    DescribeCluster {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        EndpointType i8 1+;
        ClusterId string 0+;
        ControllerId i32 0+;
        Brokers [
            BrokerId i32 0+;
            Host string 0+;
            Port i32 0+;
            Rack string 0+;
            IsFenced bool 2+;
        ] 0+;
        ClusterAuthorizedOperations i32 0+;
    }
    DescribeProducers {
        ThrottleTimeMs i32 0+;
        Topics [
            Name string 0+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                ErrorMessage string 0+;
                ActiveProducers [
                    ProducerId i64 0+;
                    ProducerEpoch i32 0+;
                    LastSequence i32 0+;
                    LastTimestamp i64 0+;
                    CoordinatorEpoch i32 0+;
                    CurrentTxnStartOffset i64 0+;
                ] 0+;
            ] 0+;
        ] 0+;
    }
    BrokerRegistration { ThrottleTimeMs i32 0+; ErrorCode i16 0+; BrokerEpoch i64 0+; }
    BrokerHeartbeat {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        IsCaughtUp bool 0+;
        IsFenced bool 0+;
        ShouldShutDown bool 0+;
    }
    UnregisterBroker { ThrottleTimeMs i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; }
    DescribeTransactions {
        ThrottleTimeMs i32 0+;
        TransactionStates [
            ErrorCode i16 0+;
            TransactionalId string 0+;
            TransactionState string 0+;
            TransactionTimeoutMs i32 0+;
            TransactionStartTimeMs i64 0+;
            ProducerId i64 0+;
            ProducerEpoch i16 0+;
            Topics [ Topic string 0+; Partitions [i32] 0+; ] 0+;
        ] 0+;
    }
    ListTransactions {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        UnknownStateFilters [string] 0+;
        TransactionStates [
            TransactionalId string 0+;
            ProducerId i64 0+;
            TransactionState string 0+;
        ] 0+;
    }
    AllocateProducerIds {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ProducerIdStart i64 0+;
        ProducerIdLen i32 0+;
    }
    ConsumerGroupHeartbeat {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        MemberId string 0+;
        MemberEpoch i32 0+;
        HeartbeatIntervalMs i32 0+;
        Assignment ( TopicPartitions [ TopicId uuid 0+; Partitions [i32] 0+; ] 0+; ) 0+;
    }
    ConsumerGroupDescribe {
        ThrottleTimeMs i32 0+;
        Groups [
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            GroupId string 0+;
            GroupState string 0+;
            GroupEpoch i32 0+;
            AssignmentEpoch i32 0+;
            AssignorName string 0+;
            Members [
                MemberId string 0+;
                InstanceId string 0+;
                RackId string 0+;
                MemberEpoch i32 0+;
                ClientId string 0+;
                ClientHost string 0+;
                SubscribedTopicNames [string] 0+;
                SubscribedTopicRegex string 0+;
                Assignment {
                    TopicPartitions [
                        TopicId uuid 0+;
                        TopicName string 0+;
                        Partitions [i32] 0+;
                    ] 0+;
                } 0+;
                TargetAssignment {
                    TopicPartitions [
                        TopicId uuid 0+;
                        TopicName string 0+;
                        Partitions [i32] 0+;
                    ] 0+;
                } 0+;
                MemberType i8 1+;
            ] 0+;
            AuthorizedOperations i32 0+;
        ] 0+;
    }
    ControllerRegistration { ThrottleTimeMs i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; }
    GetTelemetrySubscriptions {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ClientInstanceId uuid 0+;
        SubscriptionId i32 0+;
        AcceptedCompressionTypes [i8] 0+;
        PushIntervalMs i32 0+;
        TelemetryMaxBytes i32 0+;
        DeltaTemporality bool 0+;
        RequestedMetrics [string] 0+;
    }
    PushTelemetry { ThrottleTimeMs i32 0+; ErrorCode i16 0+; }
    AssignReplicasToDirs {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        Directories [
            Id uuid 0+;
            Topics [
                TopicId uuid 0+;
                Partitions [ PartitionIndex i32 0+; ErrorCode i16 0+; ] 0+;
            ] 0+;
        ] 0+;
    }
    ListConfigResources {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ConfigResources [ ResourceName string 0+; ResourceType i8 1+; ] 0+;
    }
    DescribeTopicPartitions {
        ThrottleTimeMs i32 0+;
        Topics [
            ErrorCode i16 0+;
            Name string 0+;
            TopicId uuid 0+;
            IsInternal bool 0+;
            Partitions [
                ErrorCode i16 0+;
                PartitionIndex i32 0+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
                ReplicaNodes [i32] 0+;
                IsrNodes [i32] 0+;
                EligibleLeaderReplicas [i32] 0+;
                LastKnownElr [i32] 0+;
                OfflineReplicas [i32] 0+;
            ] 0+;
            TopicAuthorizedOperations i32 0+;
        ] 0+;
        NextCursor ( TopicName string 0+; PartitionIndex i32 0+; ) 0+;
    }
    ShareGroupHeartbeat {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        MemberId string 0+;
        MemberEpoch i32 0+;
        HeartbeatIntervalMs i32 0+;
        Assignment ( TopicPartitions [ TopicId uuid 0+; Partitions [i32] 0+; ] 0+; ) 0+;
    }
    ShareGroupDescribe {
        ThrottleTimeMs i32 0+;
        Groups [
            ErrorCode i16 0+;
            ErrorMessage string 0+;
            GroupId string 0+;
            GroupState string 0+;
            GroupEpoch i32 0+;
            AssignmentEpoch i32 0+;
            AssignorName string 0+;
            Members [
                MemberId string 0+;
                RackId string 0+;
                MemberEpoch i32 0+;
                ClientId string 0+;
                ClientHost string 0+;
                SubscribedTopicNames [string] 0+;
                Assignment {
                    TopicPartitions [
                        TopicId uuid 0+;
                        TopicName string 0+;
                        Partitions [i32] 0+;
                    ] 0+;
                } 0+;
            ] 0+;
            AuthorizedOperations i32 0+;
        ] 0+;
    }
    ShareFetch {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        AcquisitionLockTimeoutMs i32 1+;
        Responses [
            TopicId uuid 0+;
            Partitions [
                PartitionIndex i32 0+;
                ErrorCode i16 0+;
                ErrorMessage string 0+;
                AcknowledgeErrorCode i16 0+;
                AcknowledgeErrorMessage string 0+;
                CurrentLeader { LeaderId i32 0+; LeaderEpoch i32 0+; } 0+;
                Records bytes 0+;
                AcquiredRecords [ FirstOffset i64 0+; LastOffset i64 0+; DeliveryCount i16 0+; ] 0+;
            ] 0+;
        ] 0+;
        NodeEndpoints [ NodeId i32 0+; Host string 0+; Port i32 0+; Rack string 0+; ] 0+;
    }
    AddRaftVoter { ThrottleTimeMs i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; }
    RemoveRaftVoter { ThrottleTimeMs i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; }
    UpdateRaftVoter {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        CurrentLeader {
            LeaderId i32 0+;
            LeaderEpoch i32 0+;
            Host string 0+;
            Port i32 0+;
        } 0+ tag 0;
    }
    InitializeShareGroupState {
        Results [
            TopicId uuid 0+;
            Partitions [ Partition i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
        ] 0+;
    }
    ReadShareGroupState {
        Results [
            TopicId uuid 0+;
            Partitions [
                Partition i32 0+;
                ErrorCode i16 0+;
                ErrorMessage string 0+;
                StateEpoch i32 0+;
                StartOffset i64 0+;
                StateBatches [
                    FirstOffset i64 0+;
                    LastOffset i64 0+;
                    DeliveryState i8 0+;
                    DeliveryCount i16 0+;
                ] 0+;
            ] 0+;
        ] 0+;
    }
    WriteShareGroupState {
        Results [
            TopicId uuid 0+;
            Partitions [ Partition i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
        ] 0+;
    }
    DeleteShareGroupState {
        Results [
            TopicId uuid 0+;
            Partitions [ Partition i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
        ] 0+;
    }
    AlterShareGroupOffsets {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Responses [
            TopicName string 0+;
            TopicId uuid 0+;
            Partitions [ PartitionIndex i32 0+; ErrorCode i16 0+; ErrorMessage string 0+; ] 0+;
        ] 0+;
    }
    DeleteShareGroupOffsets {
        ThrottleTimeMs i32 0+;
        ErrorCode i16 0+;
        ErrorMessage string 0+;
        Responses [
            TopicName string 0+;
            TopicId uuid 0+;
            ErrorCode i16 0+;
            ErrorMessage string 0+;
        ] 0+;
    }
}
