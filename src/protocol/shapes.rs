//! What the body of each request looks like: Kafka 4.4's schemas as facts, one entry an API.
//!
//! ```text
//! 3 Metadata 0-13 flexible 9+ {                      API key, name, versions, flexible from
//!     Topics [ TopicId uuid 10+; Name string 0+; ] 0+;      [] an array, here of structs
//!     AllowAutoTopicCreation bool 4+;                       a field, and the versions with it
//!     IncludeClusterAuthorizedOperations bool 8-10;
//! }
//! ```
//!
//! `[i32]` is an array of integers, `{}` a struct, `()` a struct that may be null, `tag N` a tagged
//! field. Which strings, bytes and arrays may be null is not said: whoever decodes them knows, and
//! for a walk null is but short. Entries are made from the schemas and can be laid beside them.
//! Source: Kafka 4.4 `clients/src/main/resources/common/message/*Request.json`.

use super::shape::shape_table;

shape_table! {
    /// Every request that Kafka 4.4 has, in the order of its key. Versions include unstable ones.
    pub static REQUESTS =

    0 Produce 3-13 flexible 9+ {
        TransactionalId string 3+;
        Acks i16 0+;
        TimeoutMs i32 0+;
        TopicData [
            Name string 0-12;
            TopicId uuid 13+;
            PartitionData [ Index i32 0+; Records bytes 0+; ] 0+;
        ] 0+;
    }
    1 Fetch 4-18 flexible 12+ {
        ClusterId string 12+ tag 0;
        ReplicaId i32 0-14;
        ReplicaState { ReplicaId i32 15+; ReplicaEpoch i64 15+; } 15+ tag 1;
        MaxWaitMs i32 0+;
        MinBytes i32 0+;
        MaxBytes i32 3+;
        IsolationLevel i8 4+;
        SessionId i32 7+;
        SessionEpoch i32 7+;
        Topics [
            Topic string 0-12;
            TopicId uuid 13+;
            Partitions [
                Partition i32 0+;
                CurrentLeaderEpoch i32 9+;
                FetchOffset i64 0+;
                LastFetchedEpoch i32 12+;
                LogStartOffset i64 5+;
                PartitionMaxBytes i32 0+;
                ReplicaDirectoryId uuid 17+ tag 0;
                HighWatermark i64 18+ tag 1;
            ] 0+;
        ] 0+;
        ForgottenTopicsData [ Topic string 7-12; TopicId uuid 13+; Partitions [i32] 7+; ] 7+;
        RackId string 11+;
    }
    2 ListOffsets 1-11 flexible 6+ {
        ReplicaId i32 0+;
        IsolationLevel i8 2+;
        Topics [
            Name string 0+;
            Partitions [
                PartitionIndex i32 0+;
                CurrentLeaderEpoch i32 4+;
                Timestamp i64 0+;
            ] 0+;
        ] 0+;
        TimeoutMs i32 10+;
    }
    3 Metadata 0-13 flexible 9+ {
        Topics [ TopicId uuid 10+; Name string 0+; ] 0+;
        AllowAutoTopicCreation bool 4+;
        IncludeClusterAuthorizedOperations bool 8-10;
        IncludeTopicAuthorizedOperations bool 8+;
    }
    8 OffsetCommit 2-10 flexible 8+ {
        GroupId string 0+;
        GenerationIdOrMemberEpoch i32 1+;
        MemberId string 1+;
        GroupInstanceId string 7+;
        RetentionTimeMs i64 2-4;
        Topics [
            Name string 0-9;
            TopicId uuid 10+;
            Partitions [
                PartitionIndex i32 0+;
                CommittedOffset i64 0+;
                CommittedLeaderEpoch i32 6+;
                CommittedMetadata string 0+;
            ] 0+;
        ] 0+;
    }
    9 OffsetFetch 1-10 flexible 6+ {
        GroupId string 0-7;
        Topics [ Name string 0-7; PartitionIndexes [i32] 0-7; ] 0-7;
        Groups [
            GroupId string 8+;
            MemberId string 9+;
            MemberEpoch i32 9+;
            Topics [ Name string 8-9; TopicId uuid 10+; PartitionIndexes [i32] 8+; ] 8+;
        ] 8+;
        RequireStable bool 7+;
    }
    10 FindCoordinator 0-6 flexible 3+ {
        Key string 0-3;
        KeyType i8 1+;
        CoordinatorKeys [string] 4+;
    }
    11 JoinGroup 0-9 flexible 6+ {
        GroupId string 0+;
        SessionTimeoutMs i32 0+;
        RebalanceTimeoutMs i32 1+;
        MemberId string 0+;
        GroupInstanceId string 5+;
        ProtocolType string 0+;
        Protocols [ Name string 0+; Metadata bytes 0+; ] 0+;
        Reason string 8+;
    }
    12 Heartbeat 0-4 flexible 4+ {
        GroupId string 0+;
        GenerationId i32 0+;
        MemberId string 0+;
        GroupInstanceId string 3+;
    }
    13 LeaveGroup 0-5 flexible 4+ {
        GroupId string 0+;
        MemberId string 0-2;
        Members [ MemberId string 3+; GroupInstanceId string 3+; Reason string 5+; ] 3+;
    }
    14 SyncGroup 0-5 flexible 4+ {
        GroupId string 0+;
        GenerationId i32 0+;
        MemberId string 0+;
        GroupInstanceId string 3+;
        ProtocolType string 5+;
        ProtocolName string 5+;
        Assignments [ MemberId string 0+; Assignment bytes 0+; ] 0+;
    }
    15 DescribeGroups 0-6 flexible 5+ {
        Groups [string] 0+;
        IncludeAuthorizedOperations bool 3+;
    }
    16 ListGroups 0-5 flexible 3+ { StatesFilter [string] 4+; TypesFilter [string] 5+; }
    17 SaslHandshake 0-1 flexible never { Mechanism string 0+; }
    18 ApiVersions 0-5 flexible 3+ {
        ClientSoftwareName string 3+;
        ClientSoftwareVersion string 3+;
        ClusterId string 5+;
        NodeId i32 5+;
    }
    19 CreateTopics 2-7 flexible 5+ {
        Topics [
            Name string 0+;
            NumPartitions i32 0+;
            ReplicationFactor i16 0+;
            Assignments [ PartitionIndex i32 0+; BrokerIds [i32] 0+; ] 0+;
            Configs [ Name string 0+; Value string 0+; ] 0+;
        ] 0+;
        timeoutMs i32 0+;
        validateOnly bool 1+;
    }
    20 DeleteTopics 1-6 flexible 4+ {
        Topics [ Name string 6+; TopicId uuid 6+; ] 6+;
        TopicNames [string] 0-5;
        TimeoutMs i32 0+;
    }
    21 DeleteRecords 0-2 flexible 2+ {
        Topics [ Name string 0+; Partitions [ PartitionIndex i32 0+; Offset i64 0+; ] 0+; ] 0+;
        TimeoutMs i32 0+;
    }
    22 InitProducerId 0-6 flexible 2+ {
        TransactionalId string 0+;
        TransactionTimeoutMs i32 0+;
        ProducerId i64 3+;
        ProducerEpoch i16 3+;
        Enable2Pc bool 6+;
        KeepPreparedTxn bool 6+;
    }
    23 OffsetForLeaderEpoch 2-4 flexible 4+ {
        ReplicaId i32 3+;
        Topics [
            Topic string 0+;
            Partitions [ Partition i32 0+; CurrentLeaderEpoch i32 2+; LeaderEpoch i32 0+; ] 0+;
        ] 0+;
    }
    24 AddPartitionsToTxn 0-5 flexible 3+ {
        Transactions [
            TransactionalId string 4+;
            ProducerId i64 4+;
            ProducerEpoch i16 4+;
            VerifyOnly bool 4+;
            Topics [ Name string 0+; Partitions [i32] 0+; ] 4+;
        ] 4+;
        V3AndBelowTransactionalId string 0-3;
        V3AndBelowProducerId i64 0-3;
        V3AndBelowProducerEpoch i16 0-3;
        V3AndBelowTopics [ Name string 0+; Partitions [i32] 0+; ] 0-3;
    }
    25 AddOffsetsToTxn 0-4 flexible 3+ {
        TransactionalId string 0+;
        ProducerId i64 0+;
        ProducerEpoch i16 0+;
        GroupId string 0+;
    }
    26 EndTxn 0-5 flexible 3+ {
        TransactionalId string 0+;
        ProducerId i64 0+;
        ProducerEpoch i16 0+;
        Committed bool 0+;
    }
    27 WriteTxnMarkers 1-2 flexible 1+ {
        Markers [
            ProducerId i64 0+;
            ProducerEpoch i16 0+;
            TransactionResult bool 0+;
            Topics [ Name string 0+; PartitionIndexes [i32] 0+; ] 0+;
            CoordinatorEpoch i32 0+;
            TransactionVersion i8 2+;
        ] 0+;
    }
    28 TxnOffsetCommit 0-6 flexible 3+ {
        TransactionalId string 0+;
        GroupId string 0+;
        ProducerId i64 0+;
        ProducerEpoch i16 0+;
        GenerationIdOrMemberEpoch i32 3+;
        MemberId string 3+;
        GroupInstanceId string 3+;
        Topics [
            Name string 0-5;
            TopicId uuid 6+;
            Partitions [
                PartitionIndex i32 0+;
                CommittedOffset i64 0+;
                CommittedLeaderEpoch i32 2+;
                CommittedMetadata string 0+;
            ] 0+;
        ] 0+;
    }
    29 DescribeAcls 1-3 flexible 2+ {
        ResourceTypeFilter i8 0+;
        ResourceNameFilter string 0+;
        PatternTypeFilter i8 1+;
        PrincipalFilter string 0+;
        HostFilter string 0+;
        Operation i8 0+;
        PermissionType i8 0+;
    }
    30 CreateAcls 1-3 flexible 2+ {
        Creations [
            ResourceType i8 0+;
            ResourceName string 0+;
            ResourcePatternType i8 1+;
            Principal string 0+;
            Host string 0+;
            Operation i8 0+;
            PermissionType i8 0+;
        ] 0+;
    }
    31 DeleteAcls 1-3 flexible 2+ {
        Filters [
            ResourceTypeFilter i8 0+;
            ResourceNameFilter string 0+;
            PatternTypeFilter i8 1+;
            PrincipalFilter string 0+;
            HostFilter string 0+;
            Operation i8 0+;
            PermissionType i8 0+;
        ] 0+;
    }
    32 DescribeConfigs 1-4 flexible 4+ {
        Resources [
            ResourceType i8 0+;
            ResourceName string 0+;
            ConfigurationKeys [string] 0+;
        ] 0+;
        IncludeSynonyms bool 1+;
        IncludeDocumentation bool 3+;
    }
    33 AlterConfigs 0-2 flexible 2+ {
        Resources [
            ResourceType i8 0+;
            ResourceName string 0+;
            Configs [ Name string 0+; Value string 0+; ] 0+;
        ] 0+;
        ValidateOnly bool 0+;
    }
    34 AlterReplicaLogDirs 1-2 flexible 2+ {
        Dirs [ Path string 0+; Topics [ Name string 0+; Partitions [i32] 0+; ] 0+; ] 0+;
    }
    35 DescribeLogDirs 1-5 flexible 2+ { Topics [ Topic string 0+; Partitions [i32] 0+; ] 0+; }
    36 SaslAuthenticate 0-2 flexible 2+ { AuthBytes bytes 0+; }
    37 CreatePartitions 0-3 flexible 2+ {
        Topics [ Name string 0+; Count i32 0+; Assignments [ BrokerIds [i32] 0+; ] 0+; ] 0+;
        TimeoutMs i32 0+;
        ValidateOnly bool 0+;
    }
    38 CreateDelegationToken 1-3 flexible 2+ {
        OwnerPrincipalType string 3+;
        OwnerPrincipalName string 3+;
        Renewers [ PrincipalType string 0+; PrincipalName string 0+; ] 0+;
        MaxLifetimeMs i64 0+;
    }
    39 RenewDelegationToken 1-2 flexible 2+ { Hmac bytes 0+; RenewPeriodMs i64 0+; }
    40 ExpireDelegationToken 1-2 flexible 2+ { Hmac bytes 0+; ExpiryTimePeriodMs i64 0+; }
    41 DescribeDelegationToken 1-3 flexible 2+ {
        Owners [ PrincipalType string 0+; PrincipalName string 0+; ] 0+;
    }
    42 DeleteGroups 0-3 flexible 2+ { GroupsNames [string] 0+; }
    43 ElectLeaders 0-2 flexible 2+ {
        ElectionType i8 1+;
        TopicPartitions [ Topic string 0+; Partitions [i32] 0+; ] 0+;
        TimeoutMs i32 0+;
    }
    44 IncrementalAlterConfigs 0-1 flexible 1+ {
        Resources [
            ResourceType i8 0+;
            ResourceName string 0+;
            Configs [ Name string 0+; ConfigOperation i8 0+; Value string 0+; ] 0+;
        ] 0+;
        ValidateOnly bool 0+;
    }
    45 AlterPartitionReassignments 0-1 flexible 0+ {
        TimeoutMs i32 0+;
        AllowReplicationFactorChange bool 1+;
        Topics [
            Name string 0+;
            Partitions [ PartitionIndex i32 0+; Replicas [i32] 0+; ] 0+;
        ] 0+;
    }
    46 ListPartitionReassignments 0-0 flexible 0+ {
        TimeoutMs i32 0+;
        Topics [ Name string 0+; PartitionIndexes [i32] 0+; ] 0+;
    }
    47 OffsetDelete 0-0 flexible never {
        GroupId string 0+;
        Topics [ Name string 0+; Partitions [ PartitionIndex i32 0+; ] 0+; ] 0+;
    }
    48 DescribeClientQuotas 0-1 flexible 1+ {
        Components [ EntityType string 0+; MatchType i8 0+; Match string 0+; ] 0+;
        Strict bool 0+;
    }
    49 AlterClientQuotas 0-1 flexible 1+ {
        Entries [
            Entity [ EntityType string 0+; EntityName string 0+; ] 0+;
            Ops [ Key string 0+; Value f64 0+; Remove bool 0+; ] 0+;
        ] 0+;
        ValidateOnly bool 0+;
    }
    50 DescribeUserScramCredentials 0-0 flexible 0+ { Users [ Name string 0+; ] 0+; }
    51 AlterUserScramCredentials 0-0 flexible 0+ {
        Deletions [ Name string 0+; Mechanism i8 0+; ] 0+;
        Upsertions [
            Name string 0+;
            Mechanism i8 0+;
            Iterations i32 0+;
            Salt bytes 0+;
            SaltedPassword bytes 0+;
        ] 0+;
    }
    52 Vote 0-2 flexible 0+ {
        ClusterId string 0+;
        VoterId i32 1+;
        Topics [
            TopicName string 0+;
            Partitions [
                PartitionIndex i32 0+;
                ReplicaEpoch i32 0+;
                ReplicaId i32 0+;
                ReplicaDirectoryId uuid 1+;
                VoterDirectoryId uuid 1+;
                LastOffsetEpoch i32 0+;
                LastOffset i64 0+;
                PreVote bool 2+;
            ] 0+;
        ] 0+;
    }
    53 BeginQuorumEpoch 0-1 flexible 1+ {
        ClusterId string 0+;
        VoterId i32 1+;
        Topics [
            TopicName string 0+;
            Partitions [
                PartitionIndex i32 0+;
                VoterDirectoryId uuid 1+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
            ] 0+;
        ] 0+;
        LeaderEndpoints [ Name string 1+; Host string 1+; Port u16 1+; ] 1+;
    }
    54 EndQuorumEpoch 0-1 flexible 1+ {
        ClusterId string 0+;
        Topics [
            TopicName string 0+;
            Partitions [
                PartitionIndex i32 0+;
                LeaderId i32 0+;
                LeaderEpoch i32 0+;
                PreferredSuccessors [i32] 0-0;
                PreferredCandidates [ CandidateId i32 1+; CandidateDirectoryId uuid 1+; ] 1+;
            ] 0+;
        ] 0+;
        LeaderEndpoints [ Name string 1+; Host string 1+; Port u16 1+; ] 1+;
    }
    55 DescribeQuorum 0-2 flexible 0+ {
        Topics [ TopicName string 0+; Partitions [ PartitionIndex i32 0+; ] 0+; ] 0+;
    }
    56 AlterPartition 2-3 flexible 0+ {
        BrokerId i32 0+;
        BrokerEpoch i64 0+;
        Topics [
            TopicId uuid 2+;
            Partitions [
                PartitionIndex i32 0+;
                LeaderEpoch i32 0+;
                NewIsr [i32] 0-2;
                NewIsrWithEpochs [ BrokerId i32 3+; BrokerEpoch i64 3+; ] 3+;
                LeaderRecoveryState i8 1+;
                PartitionEpoch i32 0+;
            ] 0+;
        ] 0+;
    }
    57 UpdateFeatures 0-2 flexible 0+ {
        timeoutMs i32 0+;
        FeatureUpdates [
            Feature string 0+;
            MaxVersionLevel i16 0+;
            AllowDowngrade bool 0-0;
            UpgradeType i8 1+;
        ] 0+;
        ValidateOnly bool 1+;
    }
    58 Envelope 0-0 flexible 0+ {
        RequestData bytes 0+;
        RequestPrincipal bytes 0+;
        ClientHostAddress bytes 0+;
    }
    59 FetchSnapshot 0-1 flexible 0+ {
        ClusterId string 0+ tag 0;
        ReplicaId i32 0+;
        MaxBytes i32 0+;
        Topics [
            Name string 0+;
            Partitions [
                Partition i32 0+;
                CurrentLeaderEpoch i32 0+;
                SnapshotId { EndOffset i64 0+; Epoch i32 0+; } 0+;
                Position i64 0+;
                ReplicaDirectoryId uuid 1+ tag 0;
            ] 0+;
        ] 0+;
    }
    60 DescribeCluster 0-2 flexible 0+ {
        IncludeClusterAuthorizedOperations bool 0+;
        EndpointType i8 1+;
        IncludeFencedBrokers bool 2+;
    }
    61 DescribeProducers 0-0 flexible 0+ {
        Topics [ Name string 0+; PartitionIndexes [i32] 0+; ] 0+;
    }
    62 BrokerRegistration 0-4 flexible 0+ {
        BrokerId i32 0+;
        ClusterId string 0+;
        IncarnationId uuid 0+;
        Listeners [
            Name string 0+;
            Host string 0+;
            Port u16 0+;
            SecurityProtocol i16 0+;
        ] 0+;
        Features [ Name string 0+; MinSupportedVersion i16 0+; MaxSupportedVersion i16 0+; ] 0+;
        Rack string 0+;
        IsMigratingZkBroker bool 1+;
        LogDirs [uuid] 2+;
        PreviousBrokerEpoch i64 3+;
    }
    63 BrokerHeartbeat 0-2 flexible 0+ {
        BrokerId i32 0+;
        BrokerEpoch i64 0+;
        CurrentMetadataOffset i64 0+;
        WantFence bool 0+;
        WantShutDown bool 0+;
        OfflineLogDirs [uuid] 1+ tag 0;
        CordonedLogDirs [uuid] 2+ tag 1;
    }
    64 UnregisterBroker 0-0 flexible 0+ { BrokerId i32 0+; }
    65 DescribeTransactions 0-0 flexible 0+ { TransactionalIds [string] 0+; }
    66 ListTransactions 0-2 flexible 0+ {
        StateFilters [string] 0+;
        ProducerIdFilters [i64] 0+;
        DurationFilter i64 1+;
        TransactionalIdPattern string 2+;
    }
    67 AllocateProducerIds 0-0 flexible 0+ { BrokerId i32 0+; BrokerEpoch i64 0+; }
    68 ConsumerGroupHeartbeat 0-1 flexible 0+ {
        GroupId string 0+;
        MemberId string 0+;
        MemberEpoch i32 0+;
        InstanceId string 0+;
        RackId string 0+;
        RebalanceTimeoutMs i32 0+;
        SubscribedTopicNames [string] 0+;
        SubscribedTopicRegex string 1+;
        ServerAssignor string 0+;
        TopicPartitions [ TopicId uuid 0+; Partitions [i32] 0+; ] 0+;
    }
    69 ConsumerGroupDescribe 0-1 flexible 0+ {
        GroupIds [string] 0+;
        IncludeAuthorizedOperations bool 0+;
    }
    70 ControllerRegistration 0-0 flexible 0+ {
        ControllerId i32 0+;
        IncarnationId uuid 0+;
        ZkMigrationReady bool 0+;
        Listeners [
            Name string 0+;
            Host string 0+;
            Port u16 0+;
            SecurityProtocol i16 0+;
        ] 0+;
        Features [ Name string 0+; MinSupportedVersion i16 0+; MaxSupportedVersion i16 0+; ] 0+;
    }
    71 GetTelemetrySubscriptions 0-0 flexible 0+ { ClientInstanceId uuid 0+; }
    72 PushTelemetry 0-0 flexible 0+ {
        ClientInstanceId uuid 0+;
        SubscriptionId i32 0+;
        Terminating bool 0+;
        CompressionType i8 0+;
        Metrics bytes 0+;
    }
    73 AssignReplicasToDirs 0-0 flexible 0+ {
        BrokerId i32 0+;
        BrokerEpoch i64 0+;
        Directories [
            Id uuid 0+;
            Topics [ TopicId uuid 0+; Partitions [ PartitionIndex i32 0+; ] 0+; ] 0+;
        ] 0+;
    }
    74 ListConfigResources 0-1 flexible 0+ { ResourceTypes [i8] 1+; }
    75 DescribeTopicPartitions 0-0 flexible 0+ {
        Topics [ Name string 0+; ] 0+;
        ResponsePartitionLimit i32 0+;
        Cursor ( TopicName string 0+; PartitionIndex i32 0+; ) 0+;
    }
    76 ShareGroupHeartbeat 1-1 flexible 0+ {
        GroupId string 0+;
        MemberId string 0+;
        MemberEpoch i32 0+;
        RackId string 0+;
        SubscribedTopicNames [string] 0+;
    }
    77 ShareGroupDescribe 1-1 flexible 0+ {
        GroupIds [string] 0+;
        IncludeAuthorizedOperations bool 0+;
    }
    78 ShareFetch 1-2 flexible 0+ {
        GroupId string 0+;
        MemberId string 0+;
        ShareSessionEpoch i32 0+;
        MaxWaitMs i32 0+;
        MinBytes i32 0+;
        MaxBytes i32 0+;
        MaxRecords i32 1+;
        BatchSize i32 1+;
        ShareAcquireMode i8 2+;
        IsRenewAck bool 2+;
        Topics [
            TopicId uuid 0+;
            Partitions [
                PartitionIndex i32 0+;
                AcknowledgementBatches [
                    FirstOffset i64 0+;
                    LastOffset i64 0+;
                    AcknowledgeTypes [i8] 0+;
                ] 0+;
            ] 0+;
        ] 0+;
        ForgottenTopicsData [ TopicId uuid 0+; Partitions [i32] 0+; ] 0+;
    }
    79 ShareAcknowledge 1-2 flexible 0+ {
        GroupId string 0+;
        MemberId string 0+;
        ShareSessionEpoch i32 0+;
        IsRenewAck bool 2+;
        Topics [
            TopicId uuid 0+;
            Partitions [
                PartitionIndex i32 0+;
                AcknowledgementBatches [
                    FirstOffset i64 0+;
                    LastOffset i64 0+;
                    AcknowledgeTypes [i8] 0+;
                ] 0+;
            ] 0+;
        ] 0+;
    }
    80 AddRaftVoter 0-1 flexible 0+ {
        ClusterId string 0+;
        TimeoutMs i32 0+;
        VoterId i32 0+;
        VoterDirectoryId uuid 0+;
        Listeners [ Name string 0+; Host string 0+; Port u16 0+; ] 0+;
        AckWhenCommitted bool 1+;
    }
    81 RemoveRaftVoter 0-0 flexible 0+ {
        ClusterId string 0+;
        VoterId i32 0+;
        VoterDirectoryId uuid 0+;
    }
    82 UpdateRaftVoter 0-0 flexible 0+ {
        ClusterId string 0+;
        CurrentLeaderEpoch i32 0+;
        VoterId i32 0+;
        VoterDirectoryId uuid 0+;
        Listeners [ Name string 0+; Host string 0+; Port u16 0+; ] 0+;
        KRaftVersionFeature { MinSupportedVersion i16 0+; MaxSupportedVersion i16 0+; } 0+;
    }
    83 InitializeShareGroupState 0-0 flexible 0+ {
        GroupId string 0+;
        Topics [
            TopicId uuid 0+;
            Partitions [ Partition i32 0+; StateEpoch i32 0+; StartOffset i64 0+; ] 0+;
        ] 0+;
    }
    84 ReadShareGroupState 0-0 flexible 0+ {
        GroupId string 0+;
        Topics [ TopicId uuid 0+; Partitions [ Partition i32 0+; LeaderEpoch i32 0+; ] 0+; ] 0+;
    }
    85 WriteShareGroupState 0-1 flexible 0+ {
        GroupId string 0+;
        Topics [
            TopicId uuid 0+;
            Partitions [
                Partition i32 0+;
                StateEpoch i32 0+;
                LeaderEpoch i32 0+;
                StartOffset i64 0+;
                DeliveryCompleteCount i32 1+;
                StateBatches [
                    FirstOffset i64 0+;
                    LastOffset i64 0+;
                    DeliveryState i8 0+;
                    DeliveryCount i16 0+;
                ] 0+;
            ] 0+;
        ] 0+;
    }
    86 DeleteShareGroupState 0-0 flexible 0+ {
        GroupId string 0+;
        Topics [ TopicId uuid 0+; Partitions [ Partition i32 0+; ] 0+; ] 0+;
    }
    87 ReadShareGroupStateSummary 0-1 flexible 0+ {
        GroupId string 0+;
        Topics [ TopicId uuid 0+; Partitions [ Partition i32 0+; LeaderEpoch i32 0+; ] 0+; ] 0+;
    }
    88 StreamsGroupHeartbeat 0-1 flexible 0+ {
        GroupId string 0+;
        MemberId string 0+;
        MemberEpoch i32 0+;
        EndpointInformationEpoch i32 0+;
        InstanceId string 0+;
        RackId string 0+;
        RebalanceTimeoutMs i32 0+;
        Topology (
            Epoch i32 0+;
            Subtopologies [
                SubtopologyId string 0+;
                SourceTopics [string] 0+;
                SourceTopicRegex [string] 0+;
                StateChangelogTopics [
                    Name string 0+;
                    Partitions i32 0+;
                    ReplicationFactor i16 0+;
                    TopicConfigs [ Key string 0+; Value string 0+; ] 0+;
                ] 0+;
                RepartitionSinkTopics [string] 0+;
                RepartitionSourceTopics [
                    Name string 0+;
                    Partitions i32 0+;
                    ReplicationFactor i16 0+;
                    TopicConfigs [ Key string 0+; Value string 0+; ] 0+;
                ] 0+;
                CopartitionGroups [
                    SourceTopics [i16] 0+;
                    SourceTopicRegex [i16] 0+;
                    RepartitionSourceTopics [i16] 0+;
                ] 0+;
            ] 0+;
        ) 0+;
        ActiveTasks [ SubtopologyId string 0+; Partitions [i32] 0+; ] 0+;
        StandbyTasks [ SubtopologyId string 0+; Partitions [i32] 0+; ] 0+;
        WarmupTasks [ SubtopologyId string 0+; Partitions [i32] 0+; ] 0+;
        ProcessId string 0+;
        UserEndpoint ( Host string 0+; Port u16 0+; ) 0+;
        ClientTags [ Key string 0+; Value string 0+; ] 0+;
        TaskOffsets [ SubtopologyId string 0+; Partition i32 0+; Offset i64 0+; ] 0+;
        TaskEndOffsets [ SubtopologyId string 0+; Partition i32 0+; Offset i64 0+; ] 0+;
        ShutdownApplication bool 0+;
    }
    89 StreamsGroupDescribe 0-1 flexible 0+ {
        GroupIds [string] 0+;
        IncludeAuthorizedOperations bool 0+;
        IncludeTopologyDescription bool 1+;
    }
    90 DescribeShareGroupOffsets 0-1 flexible 0+ {
        Groups [
            GroupId string 0+;
            Topics [ TopicName string 0+; Partitions [i32] 0+; ] 0+;
        ] 0+;
    }
    91 AlterShareGroupOffsets 0-0 flexible 0+ {
        GroupId string 0+;
        Topics [
            TopicName string 0+;
            Partitions [ PartitionIndex i32 0+; StartOffset i64 0+; ] 0+;
        ] 0+;
    }
    92 DeleteShareGroupOffsets 0-0 flexible 0+ {
        GroupId string 0+;
        Topics [ TopicName string 0+; ] 0+;
    }
    93 StreamsGroupTopologyDescriptionUpdate 0-0 flexible 0+ {
        GroupId string 0+;
        MemberId string 0+;
        TopologyEpoch i32 0+;
        TopologyDescription {
            Subtopologies [
                SubtopologyId string 0+;
                Nodes [
                    Name string 0+;
                    NodeType i8 0+;
                    SourceTopics [string] 0+;
                    SinkTopic string 0+;
                    Stores [string] 0+;
                    Successors [string] 0+;
                ] 0+;
            ] 0+;
            GlobalStores [
                Source {
                    Name string 0+;
                    NodeType i8 0+;
                    SourceTopics [string] 0+;
                    SinkTopic string 0+;
                    Stores [string] 0+;
                    Successors [string] 0+;
                } 0+;
                Processor {
                    Name string 0+;
                    NodeType i8 0+;
                    SourceTopics [string] 0+;
                    SinkTopic string 0+;
                    Stores [string] 0+;
                    Successors [string] 0+;
                } 0+;
            ] 0+;
        } 0+;
    }
    94 UnregisterController 0-0 flexible 0+ { ControllerId i32 0+; }
}

shape_table! {
    /// Messages of clients inside the bytes of other messages: what a member of a classic group
    /// says to the others (Kafka 4.4 `ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`).
    /// They have no key.
    pub static CONSUMER_PROTOCOL =

    -1 ConsumerProtocolSubscription 0-3 flexible never {
        Topics [string] 0+;
        UserData bytes 0+;
        OwnedPartitions [ Topic string 1+; Partitions [i32] 1+; ] 1+;
        GenerationId i32 2+;
        RackId string 3+;
    }
    -1 ConsumerProtocolAssignment 0-3 flexible never {
        AssignedPartitions [ Topic string 0+; Partitions [i32] 0+; ] 0+;
        UserData bytes 0+;
    }
}
