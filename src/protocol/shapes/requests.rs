//! The shapes of requests. Source: Kafka 4.4 `clients/src/main/resources/common/message/*Request.json`.

use super::shapes;

shapes! {
    Produce {
        TransactionalId string 3+;
        Acks i16 0+;
        TimeoutMs i32 0+;
        TopicData [
            Name string 0-12;
            TopicId uuid 13+;
            PartitionData [ Index i32 0+; Records bytes 0+; ] 0+;
        ] 0+;
    }
    Fetch {
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
    ListOffsets {
        ReplicaId i32 0+;
        IsolationLevel i8 2+;
        Topics [
            Name string 0+;
            Partitions [ PartitionIndex i32 0+; CurrentLeaderEpoch i32 4+; Timestamp i64 0+; ] 0+;
        ] 0+;
        TimeoutMs i32 10+;
    }
    Metadata {
        Topics [ TopicId uuid 10+; Name string 0+; ] 0+;
        AllowAutoTopicCreation bool 4+;
        IncludeClusterAuthorizedOperations bool 8-10;
        IncludeTopicAuthorizedOperations bool 8+;
    }
    FindCoordinator { Key string 0-3; KeyType i8 1+; CoordinatorKeys [string] 4+; }
    JoinGroup {
        GroupId string 0+;
        SessionTimeoutMs i32 0+;
        RebalanceTimeoutMs i32 1+;
        MemberId string 0+;
        GroupInstanceId string 5+;
        ProtocolType string 0+;
        Protocols [ Name string 0+; Metadata bytes 0+; ] 0+;
        Reason string 8+;
    }
    Heartbeat {
        GroupId string 0+;
        GenerationId i32 0+;
        MemberId string 0+;
        GroupInstanceId string 3+;
    }
    LeaveGroup {
        GroupId string 0+;
        MemberId string 0-2;
        Members [ MemberId string 3+; GroupInstanceId string 3+; Reason string 5+; ] 3+;
    }
    SyncGroup {
        GroupId string 0+;
        GenerationId i32 0+;
        MemberId string 0+;
        GroupInstanceId string 3+;
        ProtocolType string 5+;
        ProtocolName string 5+;
        Assignments [ MemberId string 0+; Assignment bytes 0+; ] 0+;
    }
    DescribeGroups { Groups [string] 0+; IncludeAuthorizedOperations bool 3+; }
    ListGroups { StatesFilter [string] 4+; TypesFilter [string] 5+; }
    SaslHandshake { Mechanism string 0+; }
    CreateTopics {
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
    DeleteTopics {
        Topics [ Name string 6+; TopicId uuid 6+; ] 6+;
        TopicNames [string] 0-5;
        TimeoutMs i32 0+;
    }
    DeleteRecords {
        Topics [ Name string 0+; Partitions [ PartitionIndex i32 0+; Offset i64 0+; ] 0+; ] 0+;
        TimeoutMs i32 0+;
    }
    OffsetForLeaderEpoch {
        ReplicaId i32 3+;
        Topics [
            Topic string 0+;
            Partitions [ Partition i32 0+; CurrentLeaderEpoch i32 2+; LeaderEpoch i32 0+; ] 0+;
        ] 0+;
    }
    AddPartitionsToTxn {
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
    AddOffsetsToTxn {
        TransactionalId string 0+;
        ProducerId i64 0+;
        ProducerEpoch i16 0+;
        GroupId string 0+;
    }
    EndTxn {
        TransactionalId string 0+;
        ProducerId i64 0+;
        ProducerEpoch i16 0+;
        Committed bool 0+;
    }
    DescribeAcls {
        ResourceTypeFilter i8 0+;
        ResourceNameFilter string 0+;
        PatternTypeFilter i8 1+;
        PrincipalFilter string 0+;
        HostFilter string 0+;
        Operation i8 0+;
        PermissionType i8 0+;
    }
    CreateAcls {
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
    DeleteAcls {
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
    DescribeConfigs {
        Resources [ ResourceType i8 0+; ResourceName string 0+; ConfigurationKeys [string] 0+; ] 0+;
        IncludeSynonyms bool 1+;
        IncludeDocumentation bool 3+;
    }
    AlterConfigs {
        Resources [
            ResourceType i8 0+;
            ResourceName string 0+;
            Configs [ Name string 0+; Value string 0+; ] 0+;
        ] 0+;
        ValidateOnly bool 0+;
    }
    AlterReplicaLogDirs {
        Dirs [ Path string 0+; Topics [ Name string 0+; Partitions [i32] 0+; ] 0+; ] 0+;
    }
    DescribeLogDirs { Topics [ Topic string 0+; Partitions [i32] 0+; ] 0+; }
    SaslAuthenticate { AuthBytes bytes 0+; }
    CreatePartitions {
        Topics [ Name string 0+; Count i32 0+; Assignments [ BrokerIds [i32] 0+; ] 0+; ] 0+;
        TimeoutMs i32 0+;
        ValidateOnly bool 0+;
    }
    CreateDelegationToken {
        OwnerPrincipalType string 3+;
        OwnerPrincipalName string 3+;
        Renewers [ PrincipalType string 0+; PrincipalName string 0+; ] 0+;
        MaxLifetimeMs i64 0+;
    }
    RenewDelegationToken { Hmac bytes 0+; RenewPeriodMs i64 0+; }
    ExpireDelegationToken { Hmac bytes 0+; ExpiryTimePeriodMs i64 0+; }
    DescribeDelegationToken { Owners [ PrincipalType string 0+; PrincipalName string 0+; ] 0+; }
    DeleteGroups { GroupsNames [string] 0+; }
    ElectLeaders {
        ElectionType i8 1+;
        TopicPartitions [ Topic string 0+; Partitions [i32] 0+; ] 0+;
        TimeoutMs i32 0+;
    }
    IncrementalAlterConfigs {
        Resources [
            ResourceType i8 0+;
            ResourceName string 0+;
            Configs [ Name string 0+; ConfigOperation i8 0+; Value string 0+; ] 0+;
        ] 0+;
        ValidateOnly bool 0+;
    }
    AlterPartitionReassignments {
        TimeoutMs i32 0+;
        AllowReplicationFactorChange bool 1+;
        Topics [ Name string 0+; Partitions [ PartitionIndex i32 0+; Replicas [i32] 0+; ] 0+; ] 0+;
    }
    ListPartitionReassignments {
        TimeoutMs i32 0+;
        Topics [ Name string 0+; PartitionIndexes [i32] 0+; ] 0+;
    }
    OffsetDelete {
        GroupId string 0+;
        Topics [ Name string 0+; Partitions [ PartitionIndex i32 0+; ] 0+; ] 0+;
    }
    DescribeClientQuotas {
        Components [ EntityType string 0+; MatchType i8 0+; Match string 0+; ] 0+;
        Strict bool 0+;
    }
    AlterClientQuotas {
        Entries [
            Entity [ EntityType string 0+; EntityName string 0+; ] 0+;
            Ops [ Key string 0+; Value f64 0+; Remove bool 0+; ] 0+;
        ] 0+;
        ValidateOnly bool 0+;
    }
    DescribeUserScramCredentials { Users [ Name string 0+; ] 0+; }
    AlterUserScramCredentials {
        Deletions [ Name string 0+; Mechanism i8 0+; ] 0+;
        Upsertions [
            Name string 0+;
            Mechanism i8 0+;
            Iterations i32 0+;
            Salt bytes 0+;
            SaltedPassword bytes 0+;
        ] 0+;
    }
    Vote {
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
    BeginQuorumEpoch {
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
    EndQuorumEpoch {
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
    DescribeQuorum { Topics [ TopicName string 0+; Partitions [ PartitionIndex i32 0+; ] 0+; ] 0+; }
    AlterPartition {
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
    UpdateFeatures {
        timeoutMs i32 0+;
        FeatureUpdates [
            Feature string 0+;
            MaxVersionLevel i16 0+;
            AllowDowngrade bool 0-0;
            UpgradeType i8 1+;
        ] 0+;
        ValidateOnly bool 1+;
    }
    Envelope { RequestData bytes 0+; RequestPrincipal bytes 0+; ClientHostAddress bytes 0+; }
    FetchSnapshot {
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
    DescribeCluster {
        IncludeClusterAuthorizedOperations bool 0+;
        EndpointType i8 1+;
        IncludeFencedBrokers bool 2+;
    }
    DescribeProducers { Topics [ Name string 0+; PartitionIndexes [i32] 0+; ] 0+; }
    BrokerRegistration {
        BrokerId i32 0+;
        ClusterId string 0+;
        IncarnationId uuid 0+;
        Listeners [ Name string 0+; Host string 0+; Port u16 0+; SecurityProtocol i16 0+; ] 0+;
        Features [ Name string 0+; MinSupportedVersion i16 0+; MaxSupportedVersion i16 0+; ] 0+;
        Rack string 0+;
        IsMigratingZkBroker bool 1+;
        LogDirs [uuid] 2+;
        PreviousBrokerEpoch i64 3+;
    }
    UnregisterBroker { BrokerId i32 0+; }
    DescribeTransactions { TransactionalIds [string] 0+; }
    ListTransactions {
        StateFilters [string] 0+;
        ProducerIdFilters [i64] 0+;
        DurationFilter i64 1+;
        TransactionalIdPattern string 2+;
    }
    AllocateProducerIds { BrokerId i32 0+; BrokerEpoch i64 0+; }
    ConsumerGroupHeartbeat {
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
    ConsumerGroupDescribe { GroupIds [string] 0+; IncludeAuthorizedOperations bool 0+; }
    ControllerRegistration {
        ControllerId i32 0+;
        IncarnationId uuid 0+;
        ZkMigrationReady bool 0+;
        Listeners [ Name string 0+; Host string 0+; Port u16 0+; SecurityProtocol i16 0+; ] 0+;
        Features [ Name string 0+; MinSupportedVersion i16 0+; MaxSupportedVersion i16 0+; ] 0+;
    }
    GetTelemetrySubscriptions { ClientInstanceId uuid 0+; }
    PushTelemetry {
        ClientInstanceId uuid 0+;
        SubscriptionId i32 0+;
        Terminating bool 0+;
        CompressionType i8 0+;
        Metrics bytes 0+;
    }
    AssignReplicasToDirs {
        BrokerId i32 0+;
        BrokerEpoch i64 0+;
        Directories [
            Id uuid 0+;
            Topics [ TopicId uuid 0+; Partitions [ PartitionIndex i32 0+; ] 0+; ] 0+;
        ] 0+;
    }
    ListConfigResources { ResourceTypes [i8] 1+; }
    DescribeTopicPartitions {
        Topics [ Name string 0+; ] 0+;
        ResponsePartitionLimit i32 0+;
        Cursor ( TopicName string 0+; PartitionIndex i32 0+; ) 0+;
    }
    ShareGroupHeartbeat {
        GroupId string 0+;
        MemberId string 0+;
        MemberEpoch i32 0+;
        RackId string 0+;
        SubscribedTopicNames [string] 0+;
    }
    ShareGroupDescribe { GroupIds [string] 0+; IncludeAuthorizedOperations bool 0+; }
    RemoveRaftVoter { ClusterId string 0+; VoterId i32 0+; VoterDirectoryId uuid 0+; }
    UpdateRaftVoter {
        ClusterId string 0+;
        CurrentLeaderEpoch i32 0+;
        VoterId i32 0+;
        VoterDirectoryId uuid 0+;
        Listeners [ Name string 0+; Host string 0+; Port u16 0+; ] 0+;
        KRaftVersionFeature { MinSupportedVersion i16 0+; MaxSupportedVersion i16 0+; } 0+;
    }
    InitializeShareGroupState {
        GroupId string 0+;
        Topics [
            TopicId uuid 0+;
            Partitions [ Partition i32 0+; StateEpoch i32 0+; StartOffset i64 0+; ] 0+;
        ] 0+;
    }
    ReadShareGroupState {
        GroupId string 0+;
        Topics [ TopicId uuid 0+; Partitions [ Partition i32 0+; LeaderEpoch i32 0+; ] 0+; ] 0+;
    }
    DeleteShareGroupState {
        GroupId string 0+;
        Topics [ TopicId uuid 0+; Partitions [ Partition i32 0+; ] 0+; ] 0+;
    }
    ReadShareGroupStateSummary {
        GroupId string 0+;
        Topics [ TopicId uuid 0+; Partitions [ Partition i32 0+; LeaderEpoch i32 0+; ] 0+; ] 0+;
    }
    DescribeShareGroupOffsets {
        Groups [ GroupId string 0+; Topics [ TopicName string 0+; Partitions [i32] 0+; ] 0+; ] 0+;
    }
    AlterShareGroupOffsets {
        GroupId string 0+;
        Topics [
            TopicName string 0+;
            Partitions [ PartitionIndex i32 0+; StartOffset i64 0+; ] 0+;
        ] 0+;
    }
    DeleteShareGroupOffsets { GroupId string 0+; Topics [ TopicName string 0+; ] 0+; }
}
