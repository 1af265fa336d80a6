//! The table of all APIs that are served: listeners, order, forwarding, quota, rights, handler.
//!
//! Dispatch and ApiVersions come from it; the versions are those of `protocol::apis`. An API that is
//! not in it is not advertised.

use bytes::BytesMut;

use super::api;
use super::context::{Handled, RequestContext};
use crate::metadata::{Operation, ResourceKind};
pub use crate::protocol::apis::On;
use crate::protocol::apis::facts;
use crate::protocol::key;

/// When the next request of a connection may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Once this one is answered.
    OneAtATime,
    /// Once this one has begun: the waits of both overlap, the answers keep their order.
    Pipelined,
}

/// Which node of a cluster carries out a request that a broker receives (Kafka 4.4
/// `ApiKeys.forwardable`, `KafkaApis`). An envelope may contain only the two forwarded kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// The node that received it.
    Local,
    /// The active controller.
    ToController,
    /// The active controller, after the broker has done its own part: loggers, and its own dynamic
    /// configuration.
    AfterOwnPart,
}

/// The client quota that a request counts against. Each one but `None` counts its time against the
/// request quota as well (Kafka 4.4 `RequestHandlerHelper`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Bytes produced.
    Produce,
    /// Bytes fetched. A follower is exempt.
    Fetch,
    /// Processing time.
    Request,
    /// Partitions created and deleted.
    ControllerMutation,
    /// None: calls between nodes.
    None,
}

/// One API as it is served.
pub struct Api {
    /// Its number.
    pub key: i16,
    /// Its oldest version here.
    pub min_version: i16,
    /// Its newest version here.
    pub max_version: i16,
    /// Its newest version where `unstable.api.versions.enable` is set.
    pub max_unstable_version: i16,
    /// Where.
    pub on: On,
    /// In which order.
    pub order: Order,
    /// By which node.
    pub forwarding: Forwarding,
    /// Against which quota.
    pub quota: Quota,
    /// What it asks the authorizer for: one or all of these, as its handler says.
    pub authorizes: &'static [(ResourceKind, Operation)],
    /// By whom. Gets the body in a buffer of its own.
    pub handler: fn(RequestContext, BytesMut) -> Handled,
}

impl Api {
    /// Its newest version, with or without those that are still in development.
    pub fn newest(&self, with_unstable: bool) -> i16 {
        if with_unstable { self.max_unstable_version } else { self.max_version }
    }

    /// Whether it is served at this version.
    pub fn serves(&self, version: i16, with_unstable: bool) -> bool {
        (self.min_version..=self.newest(with_unstable)).contains(&version)
    }
}

/// The API with this number on a kind of listener.
pub fn find(key: i16, controller: bool) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key == key && api.on.includes(controller))
}

/// The APIs on a kind of listener.
pub fn served(controller: bool) -> impl Iterator<Item = &'static Api> {
    APIS.iter().filter(move |api| api.on.includes(controller))
}

/// A handler of a decoded request that answers at once.
macro_rules! now {
    ($handle:path) => {
        |context, body| {
            Handled::Now(match api::decode(&context, body) {
                Ok(request) => context.reply(&$handle(&context, request)),
                Err(error) => api::malformed(error),
            })
        }
    };
}

/// A handler of a decoded request that may wait.
macro_rules! later {
    ($handle:path) => {
        |context, body| match api::decode(&context, body) {
            Ok(request) => Handled::Later(Box::pin(async move {
                let response = $handle(&context, request).await;
                context.reply(&response)
            })),
            Err(error) => Handled::Now(api::malformed(error)),
        }
    };
}

macro_rules! apis {
    ($(
        $name:ident $on:ident $order:ident $forwarding:ident $quota:ident
        [$($kind:ident $operation:ident),*] $handler:expr;
    )*) => {
        /// Everything that is served, in the order of the keys.
        pub static APIS: &[Api] = &[$({
            let facts = facts(key::$name).expect("the API is in the table");
            Api {
                key: facts.key,
                min_version: facts.min_version,
                max_version: facts.max_version,
                max_unstable_version: facts.max_unstable_version,
                on: On::$on,
                order: Order::$order,
                forwarding: Forwarding::$forwarding,
                quota: Quota::$quota,
                authorizes: &[$((ResourceKind::$kind, Operation::$operation)),*],
                handler: $handler,
            }
        }),*];
    };
}

apis! {
    // API, listeners, order, forwarding, quota, [rights], handler
    Produce Broker Pipelined Local Produce [Topic Write, TransactionalId Write] api::produce::handle;
    Fetch Broker OneAtATime Local Fetch [Topic Read, Cluster ClusterAction] api::fetch::handle;
    ListOffsets Broker OneAtATime Local Request [Topic Describe] later!(api::list_offsets::handle);
    Metadata Broker OneAtATime Local Request [Topic Describe, Topic Create, Cluster Create, Cluster Describe] later!(api::metadata::handle);
    OffsetCommit Broker OneAtATime Local Request [Group Read, Topic Read] later!(api::offset_commit::handle);
    OffsetFetch Broker OneAtATime Local Request [Group Describe, Topic Describe] later!(api::offset_fetch::handle);
    FindCoordinator Broker OneAtATime Local Request [Group Describe, TransactionalId Describe] later!(api::find_coordinator::handle);
    JoinGroup Broker OneAtATime Local Request [Group Read, Topic Describe] later!(api::join_group::handle);
    Heartbeat Broker OneAtATime Local Request [Group Read] later!(api::heartbeat::handle);
    LeaveGroup Broker OneAtATime Local Request [Group Read] later!(api::leave_group::handle);
    SyncGroup Broker OneAtATime Local Request [Group Read] later!(api::sync_group::handle);
    DescribeGroups Broker OneAtATime Local Request [Group Describe] later!(api::describe_groups::handle);
    ListGroups Broker OneAtATime Local Request [Cluster Describe, Group Describe] later!(api::list_groups::handle);
    SaslHandshake Both OneAtATime Local Request [] now!(api::sasl_handshake::handle);
    ApiVersions Both OneAtATime Local Request [] api::api_versions::handle;
    CreateTopics Both OneAtATime ToController ControllerMutation [Cluster Create, Topic Create, Topic DescribeConfigs] later!(api::create_topics::handle);
    DeleteTopics Both OneAtATime ToController ControllerMutation [Cluster Delete, Topic Describe, Topic Delete] later!(api::delete_topics::handle);
    DeleteRecords Broker OneAtATime Local Request [Topic Delete] later!(api::delete_records::handle);
    InitProducerId Broker OneAtATime Local Request [TransactionalId Write, TransactionalId TwoPhaseCommit, Cluster IdempotentWrite, Topic Write] later!(api::init_producer_id::handle);
    OffsetForLeaderEpoch Broker OneAtATime Local Request [Cluster ClusterAction, Topic Describe] later!(api::offset_for_leader_epoch::handle);
    AddPartitionsToTxn Broker OneAtATime Local Request [Cluster ClusterAction, TransactionalId Write, Topic Write] later!(api::add_partitions_to_txn::handle);
    AddOffsetsToTxn Broker OneAtATime Local Request [TransactionalId Write, Group Read] later!(api::add_offsets_to_txn::handle);
    EndTxn Broker OneAtATime Local Request [TransactionalId Write] later!(api::end_txn::handle);
    WriteTxnMarkers Broker OneAtATime Local None [Cluster Alter, Cluster ClusterAction] api::write_txn_markers::handle;
    TxnOffsetCommit Broker OneAtATime Local Request [TransactionalId Write, Group Read, Topic Read] later!(api::txn_offset_commit::handle);
    DescribeAcls Both OneAtATime Local Request [Cluster Describe] now!(api::describe_acls::handle);
    CreateAcls Both OneAtATime ToController Request [Cluster Alter] later!(api::create_acls::handle);
    DeleteAcls Both OneAtATime ToController Request [Cluster Alter] later!(api::delete_acls::handle);
    DescribeConfigs Both OneAtATime Local Request [Cluster DescribeConfigs, Topic DescribeConfigs, Group DescribeConfigs] later!(api::describe_configs::handle);
    AlterConfigs Both OneAtATime AfterOwnPart Request [Cluster AlterConfigs, Topic AlterConfigs, Group AlterConfigs] later!(api::alter_configs::handle);
    AlterReplicaLogDirs Broker OneAtATime Local Request [Cluster Alter] later!(api::alter_replica_log_dirs::handle);
    DescribeLogDirs Broker OneAtATime Local Request [Cluster Describe] later!(api::describe_log_dirs::handle);
    SaslAuthenticate Both OneAtATime Local Request [] now!(api::sasl_authenticate::handle);
    CreatePartitions Both OneAtATime ToController ControllerMutation [Topic Alter] later!(api::create_partitions::handle);
    CreateDelegationToken Both OneAtATime ToController Request [] now!(api::create_delegation_token::handle);
    RenewDelegationToken Both OneAtATime ToController Request [] now!(api::renew_delegation_token::handle);
    ExpireDelegationToken Both OneAtATime ToController Request [] now!(api::expire_delegation_token::handle);
    DescribeDelegationToken Both OneAtATime Local Request [] now!(api::describe_delegation_token::handle);
    DeleteGroups Broker OneAtATime Local Request [Group Delete] later!(api::delete_groups::handle);
    ElectLeaders Both OneAtATime ToController Request [Cluster Alter] later!(api::elect_leaders::handle);
    IncrementalAlterConfigs Both OneAtATime AfterOwnPart Request [Cluster AlterConfigs, Topic AlterConfigs, Group AlterConfigs, Cluster ClusterAction] later!(api::incremental_alter_configs::handle);
    AlterPartitionReassignments Both OneAtATime ToController Request [Cluster Alter] later!(api::alter_partition_reassignments::handle);
    ListPartitionReassignments Both OneAtATime ToController Request [Cluster Describe] now!(api::list_partition_reassignments::handle);
    OffsetDelete Broker OneAtATime Local Request [Group Delete, Topic Read] later!(api::offset_delete::handle);
    DescribeClientQuotas Broker OneAtATime Local Request [Cluster DescribeConfigs] now!(api::describe_client_quotas::handle);
    AlterClientQuotas Both OneAtATime ToController Request [Cluster AlterConfigs] later!(api::alter_client_quotas::handle);
    DescribeUserScramCredentials Both OneAtATime Local Request [Cluster Describe] now!(api::describe_user_scram_credentials::handle);
    AlterUserScramCredentials Both OneAtATime ToController Request [Cluster Alter] later!(api::alter_user_scram_credentials::handle);
    DescribeQuorum Both OneAtATime ToController Request [Cluster Describe] later!(api::describe_quorum::handle);
    UpdateFeatures Both OneAtATime ToController Request [Cluster Alter] later!(api::update_features::handle);
    DescribeCluster Both OneAtATime Local Request [Cluster Describe, Cluster Alter] now!(api::describe_cluster::handle);
    DescribeProducers Broker OneAtATime Local Request [Topic Read] later!(api::describe_producers::handle);
    UnregisterBroker Both OneAtATime ToController Request [Cluster Alter] later!(api::unregister_broker::handle);
    DescribeTransactions Broker OneAtATime Local Request [TransactionalId Describe, Topic Describe] later!(api::describe_transactions::handle);
    ListTransactions Broker OneAtATime Local Request [TransactionalId Describe] later!(api::list_transactions::handle);
    AllocateProducerIds Controller OneAtATime ToController Request [Cluster ClusterAction] later!(api::allocate_producer_ids::handle);
    ConsumerGroupHeartbeat Broker OneAtATime Local Request [Group Read, Topic Describe] later!(api::consumer_group_heartbeat::handle);
    ConsumerGroupDescribe Broker OneAtATime Local Request [Group Describe, Topic Describe] later!(api::consumer_group_describe::handle);
    ListConfigResources Broker OneAtATime Local Request [Cluster DescribeConfigs] now!(api::list_config_resources::handle);
    DescribeTopicPartitions Broker OneAtATime Local Request [Topic Describe] now!(api::describe_topic_partitions::handle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_served_only_on_listeners_where_kafka_serves_it() {
        for api in APIS {
            let facts = facts(api.key).unwrap();
            for controller in [false, true] {
                let serves = api.on.includes(controller);
                assert!(!serves || facts.on.includes(controller), "{} {controller}", facts.name);
            }
        }
        assert!(APIS.is_sorted_by_key(|api| api.key));
    }
}
