//! The table of all APIs that are served: versions, listeners, order, rights, handler.
//!
//! Dispatch and ApiVersions come from it. What is not in it is not advertised.

use bytes::BytesMut;

use super::api;
use super::context::{Handled, RequestContext};
use crate::metadata::{Operation, ResourceKind};
use crate::protocol::key;

/// Which listeners serve an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Those of brokers.
    Broker,
    /// Those of controllers.
    Controller,
    /// Both.
    Both,
}

/// When the next request of a connection may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Once this one is answered.
    OneAtATime,
    /// Once this one has begun: the waits of both overlap, the answers keep their order.
    Pipelined,
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
    let here = if controller { On::Controller } else { On::Broker };
    APIS.iter().find(|api| api.key == key && (api.on == On::Both || api.on == here))
}

/// The APIs on a kind of listener.
pub fn served(controller: bool) -> impl Iterator<Item = &'static Api> {
    let here = if controller { On::Controller } else { On::Broker };
    APIS.iter().filter(move |api| api.on == On::Both || api.on == here)
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
        $name:ident $min:literal-$max:literal $(($unstable:literal))? $on:ident $order:ident
        [$($kind:ident $operation:ident),*] $handler:expr;
    )*) => {
        /// Everything that is served, in the order of the numbers.
        pub static APIS: &[Api] = &[$(Api {
            key: key::$name,
            min_version: $min,
            max_version: $max,
            max_unstable_version: [$($unstable,)? $max][0],
            on: On::$on,
            order: Order::$order,
            authorizes: &[$((ResourceKind::$kind, Operation::$operation)),*],
            handler: $handler,
        }),*];
    };
}

apis! {
    // API, versions (the newest unstable one), listeners, order, [rights], handler
    Produce 3-13 Broker Pipelined [Topic Write, TransactionalId Write] api::produce::handle;
    Fetch 4-18 Broker OneAtATime [Topic Read, Cluster ClusterAction] api::fetch::handle;
    ListOffsets 1-11 Broker OneAtATime [Topic Describe] now!(api::list_offsets::handle);
    Metadata 0-13 Broker OneAtATime [Topic Describe, Topic Create, Cluster Create, Cluster Describe] later!(api::metadata::handle);
    OffsetCommit 2-10 Broker OneAtATime [Group Read, Topic Read] later!(api::offset_commit::handle);
    OffsetFetch 1-10 Broker OneAtATime [Group Describe, Topic Describe] later!(api::offset_fetch::handle);
    FindCoordinator 0-6 Broker OneAtATime [Group Describe, TransactionalId Describe] later!(api::find_coordinator::handle);
    JoinGroup 0-9 Broker OneAtATime [Group Read, Topic Describe] later!(api::join_group::handle);
    Heartbeat 0-4 Broker OneAtATime [Group Read] later!(api::heartbeat::handle);
    LeaveGroup 0-5 Broker OneAtATime [Group Read] later!(api::leave_group::handle);
    SyncGroup 0-5 Broker OneAtATime [Group Read] later!(api::sync_group::handle);
    DescribeGroups 0-6 Broker OneAtATime [Group Describe] later!(api::describe_groups::handle);
    ListGroups 0-5 Broker OneAtATime [Cluster Describe, Group Describe] later!(api::list_groups::handle);
    SaslHandshake 0-1 Both OneAtATime [] now!(api::sasl_handshake::handle);
    ApiVersions 0-5 Both OneAtATime [] api::api_versions::handle;
    CreateTopics 2-7 Both OneAtATime [Cluster Create, Topic Create, Topic DescribeConfigs] later!(api::create_topics::handle);
    DeleteTopics 1-6 Both OneAtATime [Cluster Delete, Topic Describe, Topic Delete] later!(api::delete_topics::handle);
    DeleteRecords 0-2 Broker OneAtATime [Topic Delete] now!(api::delete_records::handle);
    InitProducerId 0-5 (6) Broker OneAtATime [TransactionalId Write, TransactionalId TwoPhaseCommit, Cluster IdempotentWrite, Topic Write] later!(api::init_producer_id::handle);
    OffsetForLeaderEpoch 2-4 Broker OneAtATime [Cluster ClusterAction, Topic Describe] now!(api::offset_for_leader_epoch::handle);
    AddPartitionsToTxn 0-5 Broker OneAtATime [Cluster ClusterAction, TransactionalId Write, Topic Write] later!(api::add_partitions_to_txn::handle);
    AddOffsetsToTxn 0-4 Broker OneAtATime [TransactionalId Write, Group Read] later!(api::add_offsets_to_txn::handle);
    EndTxn 0-5 Broker OneAtATime [TransactionalId Write] later!(api::end_txn::handle);
    WriteTxnMarkers 1-2 Broker OneAtATime [Cluster Alter, Cluster ClusterAction] api::write_txn_markers::handle;
    TxnOffsetCommit 0-6 Broker OneAtATime [TransactionalId Write, Group Read, Topic Read] later!(api::txn_offset_commit::handle);
    DescribeAcls 1-3 Both OneAtATime [Cluster Describe] now!(api::describe_acls::handle);
    CreateAcls 1-3 Both OneAtATime [Cluster Alter] later!(api::create_acls::handle);
    DeleteAcls 1-3 Both OneAtATime [Cluster Alter] later!(api::delete_acls::handle);
    DescribeConfigs 1-4 Both OneAtATime [Cluster DescribeConfigs, Topic DescribeConfigs, Group DescribeConfigs] now!(api::describe_configs::handle);
    AlterConfigs 0-2 Both OneAtATime [Cluster AlterConfigs, Topic AlterConfigs, Group AlterConfigs] later!(api::alter_configs::handle);
    AlterReplicaLogDirs 1-2 Broker OneAtATime [Cluster Alter] later!(api::alter_replica_log_dirs::handle);
    DescribeLogDirs 1-5 Broker OneAtATime [Cluster Describe] now!(api::describe_log_dirs::handle);
    SaslAuthenticate 0-2 Both OneAtATime [] now!(api::sasl_authenticate::handle);
    CreatePartitions 0-3 Both OneAtATime [Topic Alter] later!(api::create_partitions::handle);
    CreateDelegationToken 1-3 Both OneAtATime [] now!(api::create_delegation_token::handle);
    RenewDelegationToken 1-2 Both OneAtATime [] now!(api::renew_delegation_token::handle);
    ExpireDelegationToken 1-2 Both OneAtATime [] now!(api::expire_delegation_token::handle);
    DescribeDelegationToken 1-3 Both OneAtATime [] now!(api::describe_delegation_token::handle);
    DeleteGroups 0-3 Broker OneAtATime [Group Delete] later!(api::delete_groups::handle);
    ElectLeaders 0-2 Both OneAtATime [Cluster Alter] later!(api::elect_leaders::handle);
    IncrementalAlterConfigs 0-1 Both OneAtATime [Cluster AlterConfigs, Topic AlterConfigs, Group AlterConfigs, Cluster ClusterAction] later!(api::incremental_alter_configs::handle);
    AlterPartitionReassignments 0-1 Both OneAtATime [Cluster Alter] later!(api::alter_partition_reassignments::handle);
    ListPartitionReassignments 0-0 Both OneAtATime [Cluster Describe] now!(api::list_partition_reassignments::handle);
    OffsetDelete 0-0 Broker OneAtATime [Group Delete, Topic Read] later!(api::offset_delete::handle);
    DescribeClientQuotas 0-1 Broker OneAtATime [Cluster DescribeConfigs] now!(api::describe_client_quotas::handle);
    AlterClientQuotas 0-1 Both OneAtATime [Cluster AlterConfigs] later!(api::alter_client_quotas::handle);
    DescribeUserScramCredentials 0-0 Both OneAtATime [Cluster Describe] now!(api::describe_user_scram_credentials::handle);
    AlterUserScramCredentials 0-0 Both OneAtATime [Cluster Alter] later!(api::alter_user_scram_credentials::handle);
    DescribeQuorum 0-2 Both OneAtATime [Cluster Describe] now!(api::describe_quorum::handle);
    UpdateFeatures 0-2 Both OneAtATime [Cluster Alter] later!(api::update_features::handle);
    DescribeCluster 0-2 Both OneAtATime [Cluster Describe, Cluster Alter] now!(api::describe_cluster::handle);
    DescribeProducers 0-0 Broker OneAtATime [Topic Read] now!(api::describe_producers::handle);
    UnregisterBroker 0-0 Both OneAtATime [Cluster Alter] later!(api::unregister_broker::handle);
    DescribeTransactions 0-0 Broker OneAtATime [TransactionalId Describe, Topic Describe] later!(api::describe_transactions::handle);
    ListTransactions 0-2 Broker OneAtATime [TransactionalId Describe] later!(api::list_transactions::handle);
    AllocateProducerIds 0-0 Controller OneAtATime [Cluster ClusterAction] later!(api::allocate_producer_ids::handle);
    ConsumerGroupHeartbeat 0-1 Broker OneAtATime [Group Read, Topic Describe] later!(api::consumer_group_heartbeat::handle);
    ConsumerGroupDescribe 0-1 Broker OneAtATime [Group Describe, Topic Describe] later!(api::consumer_group_describe::handle);
    ListConfigResources 0-1 Broker OneAtATime [Cluster DescribeConfigs] now!(api::list_config_resources::handle);
    DescribeTopicPartitions 0-0 Broker OneAtATime [Topic Describe] now!(api::describe_topic_partitions::handle);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::apis::facts;

    #[test]
    fn nothing_is_served_that_kafka_does_not_have() {
        for api in APIS {
            let facts = facts(api.key).unwrap();
            assert!(api.min_version >= facts.min_version, "{}", facts.name);
            assert!(api.max_version <= facts.max_version, "{}", facts.name);
            let broker = api.on != On::Controller;
            let controller = api.on != On::Broker;
            assert!(!broker || facts.on_broker, "{} is not for brokers", facts.name);
            assert!(!controller || facts.on_controller, "{} is not for controllers", facts.name);
        }
        assert!(APIS.is_sorted_by_key(|api| api.key));
    }
}
