//! Facts about every API of Kafka 4.4: its number, its stable versions, from which version on it is
//! flexible, and on which listeners Kafka answers it. What *we* answer is `server::apis`.

/// One API of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiFacts {
    /// Its number.
    pub key: i16,
    /// Kafka's name for it.
    pub name: &'static str,
    /// The oldest version that Kafka 4.4 takes.
    pub min_version: i16,
    /// The newest stable version of Kafka 4.4.
    pub max_version: i16,
    /// From this version on the request has compact lengths and tagged fields, and header version 2.
    pub flexible_from: i16,
    /// Whether brokers answer it.
    pub on_broker: bool,
    /// Whether controllers answer it.
    pub on_controller: bool,
}

/// The facts of an API, by number.
pub fn facts(key: i16) -> Option<&'static ApiFacts> {
    APIS.binary_search_by_key(&key, |api| api.key).ok().map(|at| &APIS[at])
}

macro_rules! apis {
    ($($key:literal $name:ident $min:literal-$max:literal flexible $flexible:expr, $broker:literal $controller:literal;)*) => {
        /// Every API, in the order of its number.
        pub const APIS: &[ApiFacts] = &[$(ApiFacts {
            key: $key,
            name: stringify!($name),
            min_version: $min,
            max_version: $max,
            flexible_from: $flexible,
            on_broker: $broker,
            on_controller: $controller,
        }),*];

        /// The numbers of the APIs.
        #[allow(non_upper_case_globals, missing_docs)]
        pub mod key {
            $(pub const $name: i16 = $key;)*
        }
    };
}

apis! {
    0 Produce 3-13 flexible 9, true false;
    1 Fetch 4-18 flexible 12, true true;
    2 ListOffsets 1-11 flexible 6, true false;
    3 Metadata 0-13 flexible 9, true false;
    8 OffsetCommit 2-10 flexible 8, true false;
    9 OffsetFetch 1-10 flexible 6, true false;
    10 FindCoordinator 0-6 flexible 3, true false;
    11 JoinGroup 0-9 flexible 6, true false;
    12 Heartbeat 0-4 flexible 4, true false;
    13 LeaveGroup 0-5 flexible 4, true false;
    14 SyncGroup 0-5 flexible 4, true false;
    15 DescribeGroups 0-6 flexible 5, true false;
    16 ListGroups 0-5 flexible 3, true false;
    17 SaslHandshake 0-1 flexible i16::MAX, true true;
    18 ApiVersions 0-5 flexible 3, true true;
    19 CreateTopics 2-7 flexible 5, true true;
    20 DeleteTopics 1-6 flexible 4, true true;
    21 DeleteRecords 0-2 flexible 2, true false;
    22 InitProducerId 0-5 flexible 2, true false;
    23 OffsetForLeaderEpoch 2-4 flexible 4, true false;
    24 AddPartitionsToTxn 0-5 flexible 3, true false;
    25 AddOffsetsToTxn 0-4 flexible 3, true false;
    26 EndTxn 0-5 flexible 3, true false;
    27 WriteTxnMarkers 1-2 flexible 1, true false;
    28 TxnOffsetCommit 0-6 flexible 3, true false;
    29 DescribeAcls 1-3 flexible 2, true true;
    30 CreateAcls 1-3 flexible 2, true true;
    31 DeleteAcls 1-3 flexible 2, true true;
    32 DescribeConfigs 1-4 flexible 4, true true;
    33 AlterConfigs 0-2 flexible 2, true true;
    34 AlterReplicaLogDirs 1-2 flexible 2, true false;
    35 DescribeLogDirs 1-5 flexible 2, true false;
    36 SaslAuthenticate 0-2 flexible 2, true true;
    37 CreatePartitions 0-3 flexible 2, true true;
    38 CreateDelegationToken 1-3 flexible 2, true true;
    39 RenewDelegationToken 1-2 flexible 2, true true;
    40 ExpireDelegationToken 1-2 flexible 2, true true;
    41 DescribeDelegationToken 1-3 flexible 2, true true;
    42 DeleteGroups 0-3 flexible 2, true false;
    43 ElectLeaders 0-2 flexible 2, true true;
    44 IncrementalAlterConfigs 0-1 flexible 1, true true;
    45 AlterPartitionReassignments 0-1 flexible 0, true true;
    46 ListPartitionReassignments 0-0 flexible 0, true true;
    47 OffsetDelete 0-0 flexible i16::MAX, true false;
    48 DescribeClientQuotas 0-1 flexible 1, true false;
    49 AlterClientQuotas 0-1 flexible 1, true true;
    50 DescribeUserScramCredentials 0-0 flexible 0, true true;
    51 AlterUserScramCredentials 0-0 flexible 0, true true;
    52 Vote 0-2 flexible 0, false true;
    53 BeginQuorumEpoch 0-1 flexible 1, false true;
    54 EndQuorumEpoch 0-1 flexible 1, false true;
    55 DescribeQuorum 0-2 flexible 0, true true;
    56 AlterPartition 2-3 flexible 0, false true;
    57 UpdateFeatures 0-2 flexible 0, true true;
    58 Envelope 0-0 flexible 0, false true;
    59 FetchSnapshot 0-1 flexible 0, false true;
    60 DescribeCluster 0-2 flexible 0, true true;
    61 DescribeProducers 0-0 flexible 0, true false;
    62 BrokerRegistration 0-4 flexible 0, false true;
    63 BrokerHeartbeat 0-2 flexible 0, false true;
    64 UnregisterBroker 0-0 flexible 0, true true;
    65 DescribeTransactions 0-0 flexible 0, true false;
    66 ListTransactions 0-2 flexible 0, true false;
    67 AllocateProducerIds 0-0 flexible 0, false true;
    68 ConsumerGroupHeartbeat 0-1 flexible 0, true false;
    69 ConsumerGroupDescribe 0-1 flexible 0, true false;
    70 ControllerRegistration 0-0 flexible 0, false true;
    71 GetTelemetrySubscriptions 0-0 flexible 0, true false;
    72 PushTelemetry 0-0 flexible 0, true false;
    73 AssignReplicasToDirs 0-0 flexible 0, false true;
    74 ListConfigResources 0-1 flexible 0, true false;
    75 DescribeTopicPartitions 0-0 flexible 0, true false;
    76 ShareGroupHeartbeat 1-1 flexible 0, true false;
    77 ShareGroupDescribe 1-1 flexible 0, true false;
    78 ShareFetch 1-2 flexible 0, true false;
    79 ShareAcknowledge 1-2 flexible 0, true false;
    80 AddRaftVoter 0-1 flexible 0, true true;
    81 RemoveRaftVoter 0-0 flexible 0, true true;
    82 UpdateRaftVoter 0-0 flexible 0, false true;
    83 InitializeShareGroupState 0-0 flexible 0, true false;
    84 ReadShareGroupState 0-0 flexible 0, true false;
    85 WriteShareGroupState 0-1 flexible 0, true false;
    86 DeleteShareGroupState 0-0 flexible 0, true false;
    87 ReadShareGroupStateSummary 0-1 flexible 0, true false;
    88 StreamsGroupHeartbeat 0-1 flexible 0, true false;
    89 StreamsGroupDescribe 0-1 flexible 0, true false;
    90 DescribeShareGroupOffsets 0-1 flexible 0, true false;
    91 AlterShareGroupOffsets 0-0 flexible 0, true false;
    92 DeleteShareGroupOffsets 0-0 flexible 0, true false;
    93 StreamsGroupTopologyDescriptionUpdate 0-0 flexible 0, true false;
    94 UnregisterController 0-0 flexible 0, true true;
}
