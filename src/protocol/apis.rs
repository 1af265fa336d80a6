//! The table of all APIs of Kafka 4.4: key, name, versions, flexible versions, listeners and the two
//! messages of each. It is the only source of ApiVersions, of header versions and of the limits
//! under which messages are decoded. Which of them are served, and how, is `server::apis`.

use super::{declared, messages, shapes};
use crate::codec::shape::{Shape, Versions};

/// On which listeners Kafka serves an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Those of brokers.
    Broker,
    /// Those of controllers.
    Controller,
    /// Both.
    Both,
}

impl On {
    /// Whether it includes the listeners of controllers, or those of brokers.
    pub fn includes(self, controller: bool) -> bool {
        self == On::Both || (self == On::Controller) == controller
    }
}

/// One API of the protocol.
#[derive(Debug)]
pub struct ApiFacts {
    /// Its key.
    pub key: i16,
    /// Kafka's name for it.
    pub name: &'static str,
    /// The oldest version that Kafka 4.4 accepts.
    pub min_version: i16,
    /// The newest stable version of Kafka 4.4.
    pub max_version: i16,
    /// The newest version, including those that Kafka marks as unstable.
    pub max_unstable_version: i16,
    /// The first version with compact lengths and tagged fields; `i16::MAX` if there is none. From
    /// it on the header of the request is version 2.
    pub flexible_from: i16,
    /// The listeners on which Kafka serves it.
    pub on: On,
    /// The shape of its request.
    pub request: Shape,
    /// The shape of its response.
    pub response: Shape,
}

impl PartialEq for ApiFacts {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for ApiFacts {}

impl ApiFacts {
    /// Whether the header of the response has tagged fields at `version`. That of ApiVersions never
    /// has: a client must be able to read it before it knows which versions the node has.
    pub fn has_flexible_response_header(&self, version: i16) -> bool {
        self.key != key::ApiVersions && version >= self.flexible_from
    }
}

/// The API with this key.
pub const fn facts(key: i16) -> Option<&'static ApiFacts> {
    // Binary search; the standard library's cannot run at compile time.
    let (mut low, mut high) = (0, APIS.len());
    while low < high {
        let middle = low.midpoint(high);
        if APIS[middle].key < key {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low < APIS.len() && APIS[low].key == key { Some(&APIS[low]) } else { None }
}

macro_rules! apis {
    ($(
        $key:literal $name:ident $min:literal-$max:literal $(($unstable:literal))?
        flexible $flexible:tt $on:ident
        $request_source:ident $request:ident, $response_source:ident $response:ident $($throttled:ident)?;
    )*) => {
        /// Every API, in the order of the keys.
        pub static APIS: &[ApiFacts] = &[$(ApiFacts {
            key: $key,
            name: stringify!($name),
            min_version: $min,
            max_version: $max,
            max_unstable_version: apis!(@last $max $($unstable)?),
            flexible_from: apis!(@flexible $flexible),
            on: On::$on,
            request: Shape {
                name: stringify!($request),
                versions: Versions { first: $min, last: apis!(@last $max $($unstable)?) },
                flexible: Versions::from(apis!(@flexible $flexible)),
                fields: apis!(@fields $request_source requests $name $request),
            },
            response: Shape {
                name: stringify!($response),
                versions: Versions { first: $min, last: apis!(@last $max $($unstable)?) },
                flexible: Versions::from(apis!(@flexible $flexible)),
                fields: apis!(@fields $response_source responses $name $response),
            },
        }),*];

        /// The keys of the APIs.
        #[allow(non_upper_case_globals, missing_docs)]
        pub mod key {
            $(pub const $name: i16 = $key;)*
        }

        $(
            messages::$request_source!($request, $name, request);
            messages::$response_source!($response, $name, response);

            impl messages::WireRequest for messages::$request {
                type Response = messages::$response;
            }

            impl messages::WireResponse for messages::$response {
                apis!(@throttle $($throttled)?);
            }
        )*

        /// Calls `$each!(request, response)` for every API.
        #[cfg(test)]
        macro_rules! for_each_message {
            ($each:ident) => {
                $($each!($request, $response);)*
            };
        }
        #[cfg(test)]
        pub(super) use for_each_message;
    };

    (@last $max:literal) => { $max };
    (@last $max:literal $unstable:literal) => { $unstable };
    (@flexible never) => { i16::MAX };
    (@flexible $from:literal) => { $from };
    (@fields library $direction:ident $name:ident $message:ident) => { shapes::$direction::$name };
    (@fields declared $direction:ident $name:ident $message:ident) => {
        declared::$message::FIELDS
    };
    (@throttle) => {
        fn throttle_time(&mut self) -> Option<&mut i32> {
            None
        }
    };
    (@throttle throttled) => {
        fn throttle_time(&mut self) -> Option<&mut i32> {
            Some(&mut self.throttle_time_ms)
        }
    };
}

// Key, name, versions (newest unstable one), first flexible version, listeners, request, response.
//
// A message is either a struct of the message library, with its shape in `shapes`, or declared in
// `declared` where the library lacks it or its newest version. `throttled` says that the response
// has a throttle time.
apis! {
    0 Produce 3-13 flexible 9 Broker library ProduceRequest, library ProduceResponse throttled;
    1 Fetch 4-18 flexible 12 Both library FetchRequest, library FetchResponse throttled;
    2 ListOffsets 1-11 flexible 6 Broker library ListOffsetsRequest, library ListOffsetsResponse throttled;
    3 Metadata 0-13 flexible 9 Broker library MetadataRequest, library MetadataResponse throttled;
    8 OffsetCommit 2-10 flexible 8 Broker declared OffsetCommitRequest, declared OffsetCommitResponse throttled;
    9 OffsetFetch 1-10 flexible 6 Broker declared OffsetFetchRequest, declared OffsetFetchResponse throttled;
    10 FindCoordinator 0-6 flexible 3 Broker library FindCoordinatorRequest, library FindCoordinatorResponse throttled;
    11 JoinGroup 0-9 flexible 6 Broker library JoinGroupRequest, library JoinGroupResponse throttled;
    12 Heartbeat 0-4 flexible 4 Broker library HeartbeatRequest, library HeartbeatResponse throttled;
    13 LeaveGroup 0-5 flexible 4 Broker library LeaveGroupRequest, library LeaveGroupResponse throttled;
    14 SyncGroup 0-5 flexible 4 Broker library SyncGroupRequest, library SyncGroupResponse throttled;
    15 DescribeGroups 0-6 flexible 5 Broker library DescribeGroupsRequest, library DescribeGroupsResponse throttled;
    16 ListGroups 0-5 flexible 3 Broker library ListGroupsRequest, library ListGroupsResponse throttled;
    17 SaslHandshake 0-1 flexible never Both library SaslHandshakeRequest, library SaslHandshakeResponse;
    18 ApiVersions 0-5 flexible 3 Both declared ApiVersionsRequest, declared ApiVersionsResponse throttled;
    19 CreateTopics 2-7 flexible 5 Both library CreateTopicsRequest, library CreateTopicsResponse throttled;
    20 DeleteTopics 1-6 flexible 4 Both library DeleteTopicsRequest, library DeleteTopicsResponse throttled;
    21 DeleteRecords 0-2 flexible 2 Broker library DeleteRecordsRequest, library DeleteRecordsResponse throttled;
    22 InitProducerId 0-5 (6) flexible 2 Broker declared InitProducerIdRequest, declared InitProducerIdResponse throttled;
    23 OffsetForLeaderEpoch 2-4 flexible 4 Broker library OffsetForLeaderEpochRequest, library OffsetForLeaderEpochResponse throttled;
    24 AddPartitionsToTxn 0-5 flexible 3 Broker library AddPartitionsToTxnRequest, library AddPartitionsToTxnResponse throttled;
    25 AddOffsetsToTxn 0-4 flexible 3 Broker library AddOffsetsToTxnRequest, library AddOffsetsToTxnResponse throttled;
    26 EndTxn 0-5 flexible 3 Broker library EndTxnRequest, library EndTxnResponse throttled;
    27 WriteTxnMarkers 1-2 flexible 1 Broker declared WriteTxnMarkersRequest, declared WriteTxnMarkersResponse;
    28 TxnOffsetCommit 0-6 flexible 3 Broker declared TxnOffsetCommitRequest, declared TxnOffsetCommitResponse throttled;
    29 DescribeAcls 1-3 flexible 2 Both library DescribeAclsRequest, library DescribeAclsResponse throttled;
    30 CreateAcls 1-3 flexible 2 Both library CreateAclsRequest, library CreateAclsResponse throttled;
    31 DeleteAcls 1-3 flexible 2 Both library DeleteAclsRequest, library DeleteAclsResponse throttled;
    32 DescribeConfigs 1-4 flexible 4 Both library DescribeConfigsRequest, library DescribeConfigsResponse throttled;
    33 AlterConfigs 0-2 flexible 2 Both library AlterConfigsRequest, library AlterConfigsResponse throttled;
    34 AlterReplicaLogDirs 1-2 flexible 2 Broker library AlterReplicaLogDirsRequest, library AlterReplicaLogDirsResponse throttled;
    35 DescribeLogDirs 1-5 flexible 2 Broker library DescribeLogDirsRequest, declared DescribeLogDirsResponse throttled;
    36 SaslAuthenticate 0-2 flexible 2 Both library SaslAuthenticateRequest, library SaslAuthenticateResponse;
    37 CreatePartitions 0-3 flexible 2 Both library CreatePartitionsRequest, library CreatePartitionsResponse throttled;
    38 CreateDelegationToken 1-3 flexible 2 Both library CreateDelegationTokenRequest, library CreateDelegationTokenResponse throttled;
    39 RenewDelegationToken 1-2 flexible 2 Both library RenewDelegationTokenRequest, library RenewDelegationTokenResponse throttled;
    40 ExpireDelegationToken 1-2 flexible 2 Both library ExpireDelegationTokenRequest, library ExpireDelegationTokenResponse throttled;
    41 DescribeDelegationToken 1-3 flexible 2 Both library DescribeDelegationTokenRequest, library DescribeDelegationTokenResponse throttled;
    42 DeleteGroups 0-3 flexible 2 Broker library DeleteGroupsRequest, declared DeleteGroupsResponse throttled;
    43 ElectLeaders 0-2 flexible 2 Both library ElectLeadersRequest, library ElectLeadersResponse throttled;
    44 IncrementalAlterConfigs 0-1 flexible 1 Both library IncrementalAlterConfigsRequest, library IncrementalAlterConfigsResponse throttled;
    45 AlterPartitionReassignments 0-1 flexible 0 Both library AlterPartitionReassignmentsRequest, library AlterPartitionReassignmentsResponse throttled;
    46 ListPartitionReassignments 0-0 flexible 0 Both library ListPartitionReassignmentsRequest, library ListPartitionReassignmentsResponse throttled;
    47 OffsetDelete 0-0 flexible never Broker library OffsetDeleteRequest, library OffsetDeleteResponse throttled;
    48 DescribeClientQuotas 0-1 flexible 1 Broker library DescribeClientQuotasRequest, library DescribeClientQuotasResponse throttled;
    49 AlterClientQuotas 0-1 flexible 1 Both library AlterClientQuotasRequest, library AlterClientQuotasResponse throttled;
    50 DescribeUserScramCredentials 0-0 flexible 0 Both library DescribeUserScramCredentialsRequest, library DescribeUserScramCredentialsResponse throttled;
    51 AlterUserScramCredentials 0-0 flexible 0 Both library AlterUserScramCredentialsRequest, library AlterUserScramCredentialsResponse throttled;
    52 Vote 0-2 flexible 0 Controller library VoteRequest, library VoteResponse;
    53 BeginQuorumEpoch 0-1 flexible 1 Controller library BeginQuorumEpochRequest, library BeginQuorumEpochResponse;
    54 EndQuorumEpoch 0-1 flexible 1 Controller library EndQuorumEpochRequest, library EndQuorumEpochResponse;
    55 DescribeQuorum 0-2 flexible 0 Both library DescribeQuorumRequest, library DescribeQuorumResponse;
    56 AlterPartition 2-3 flexible 0 Controller library AlterPartitionRequest, library AlterPartitionResponse throttled;
    57 UpdateFeatures 0-2 flexible 0 Both library UpdateFeaturesRequest, library UpdateFeaturesResponse throttled;
    58 Envelope 0-0 flexible 0 Controller library EnvelopeRequest, library EnvelopeResponse;
    59 FetchSnapshot 0-1 flexible 0 Controller library FetchSnapshotRequest, library FetchSnapshotResponse throttled;
    60 DescribeCluster 0-2 flexible 0 Both library DescribeClusterRequest, library DescribeClusterResponse throttled;
    61 DescribeProducers 0-0 flexible 0 Broker library DescribeProducersRequest, library DescribeProducersResponse throttled;
    62 BrokerRegistration 0-4 flexible 0 Controller library BrokerRegistrationRequest, library BrokerRegistrationResponse throttled;
    63 BrokerHeartbeat 0-2 flexible 0 Controller declared BrokerHeartbeatRequest, library BrokerHeartbeatResponse throttled;
    64 UnregisterBroker 0-0 flexible 0 Both library UnregisterBrokerRequest, library UnregisterBrokerResponse throttled;
    65 DescribeTransactions 0-0 flexible 0 Broker library DescribeTransactionsRequest, library DescribeTransactionsResponse throttled;
    66 ListTransactions 0-2 flexible 0 Broker library ListTransactionsRequest, library ListTransactionsResponse throttled;
    67 AllocateProducerIds 0-0 flexible 0 Controller library AllocateProducerIdsRequest, library AllocateProducerIdsResponse throttled;
    68 ConsumerGroupHeartbeat 0-1 flexible 0 Broker library ConsumerGroupHeartbeatRequest, library ConsumerGroupHeartbeatResponse throttled;
    69 ConsumerGroupDescribe 0-1 flexible 0 Broker library ConsumerGroupDescribeRequest, library ConsumerGroupDescribeResponse throttled;
    70 ControllerRegistration 0-0 flexible 0 Controller library ControllerRegistrationRequest, library ControllerRegistrationResponse throttled;
    71 GetTelemetrySubscriptions 0-0 flexible 0 Broker library GetTelemetrySubscriptionsRequest, library GetTelemetrySubscriptionsResponse throttled;
    72 PushTelemetry 0-0 flexible 0 Broker library PushTelemetryRequest, library PushTelemetryResponse throttled;
    73 AssignReplicasToDirs 0-0 flexible 0 Controller library AssignReplicasToDirsRequest, library AssignReplicasToDirsResponse throttled;
    74 ListConfigResources 0-1 flexible 0 Broker library ListConfigResourcesRequest, library ListConfigResourcesResponse throttled;
    75 DescribeTopicPartitions 0-0 flexible 0 Broker library DescribeTopicPartitionsRequest, library DescribeTopicPartitionsResponse throttled;
    76 ShareGroupHeartbeat 1-1 flexible 0 Broker library ShareGroupHeartbeatRequest, library ShareGroupHeartbeatResponse throttled;
    77 ShareGroupDescribe 1-1 flexible 0 Broker library ShareGroupDescribeRequest, library ShareGroupDescribeResponse throttled;
    78 ShareFetch 1-2 flexible 0 Broker declared ShareFetchRequest, library ShareFetchResponse throttled;
    79 ShareAcknowledge 1-2 flexible 0 Broker declared ShareAcknowledgeRequest, declared ShareAcknowledgeResponse throttled;
    80 AddRaftVoter 0-1 flexible 0 Both declared AddRaftVoterRequest, library AddRaftVoterResponse throttled;
    81 RemoveRaftVoter 0-0 flexible 0 Both library RemoveRaftVoterRequest, library RemoveRaftVoterResponse throttled;
    82 UpdateRaftVoter 0-0 flexible 0 Controller library UpdateRaftVoterRequest, library UpdateRaftVoterResponse throttled;
    83 InitializeShareGroupState 0-0 flexible 0 Broker library InitializeShareGroupStateRequest, library InitializeShareGroupStateResponse;
    84 ReadShareGroupState 0-0 flexible 0 Broker library ReadShareGroupStateRequest, library ReadShareGroupStateResponse;
    85 WriteShareGroupState 0-1 flexible 0 Broker declared WriteShareGroupStateRequest, library WriteShareGroupStateResponse;
    86 DeleteShareGroupState 0-0 flexible 0 Broker library DeleteShareGroupStateRequest, library DeleteShareGroupStateResponse;
    87 ReadShareGroupStateSummary 0-1 flexible 0 Broker library ReadShareGroupStateSummaryRequest, declared ReadShareGroupStateSummaryResponse;
    88 StreamsGroupHeartbeat 0-1 flexible 0 Broker declared StreamsGroupHeartbeatRequest, declared StreamsGroupHeartbeatResponse throttled;
    89 StreamsGroupDescribe 0-1 flexible 0 Broker declared StreamsGroupDescribeRequest, declared StreamsGroupDescribeResponse throttled;
    90 DescribeShareGroupOffsets 0-1 flexible 0 Broker library DescribeShareGroupOffsetsRequest, declared DescribeShareGroupOffsetsResponse throttled;
    91 AlterShareGroupOffsets 0-0 flexible 0 Broker library AlterShareGroupOffsetsRequest, library AlterShareGroupOffsetsResponse throttled;
    92 DeleteShareGroupOffsets 0-0 flexible 0 Broker library DeleteShareGroupOffsetsRequest, library DeleteShareGroupOffsetsResponse throttled;
    93 StreamsGroupTopologyDescriptionUpdate 0-0 flexible 0 Broker declared StreamsGroupTopologyDescriptionUpdateRequest, declared StreamsGroupTopologyDescriptionUpdateResponse throttled;
    94 UnregisterController 0-0 flexible 0 Both declared UnregisterControllerRequest, declared UnregisterControllerResponse throttled;
}
