//! Everything the controller can be asked, and what it answers. Domain words: the wire stops at
//! the handlers.

use crate::metadata::cluster::FeatureRange;
use crate::metadata::image::QuotaEntity;
use crate::metadata::{ConfigResource, ListenerEndpoint};
use crate::types::BrokerEpoch;
use crate::types::{
    BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, Uuid,
};

/// A "no" with the code and message that Kafka answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}", .code.name(), if .message.is_some() { ": " } else { "" }, .message.as_deref().unwrap_or(""))]
pub struct Refusal {
    /// What goes on the wire.
    pub code: ErrorCode,
    /// The message beside it; where there is none, a client shows the code's own text.
    pub message: Option<String>,
}

impl Refusal {
    /// With a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

/// Done, or refused.
pub type Verdict = Result<(), Refusal>;

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident -> $reply:ty;)*) => {
        /// A command.
        #[derive(Clone, Debug)]
        #[allow(missing_docs)] // Each is the struct of its name.
        pub enum Command { $($name($name)),* }

        /// The answer to a command that was not refused as a whole.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)] // Each is the reply of the command of its name.
        pub enum Reply { $($name($reply)),* }

        impl Command {
            /// Its name, for logs.
            pub fn name(&self) -> &'static str {
                match self { $(Command::$name(_) => stringify!($name)),* }
            }
        }

        $(
            impl Operation for $name {
                type Reply = $reply;

                fn into_command(self) -> Command {
                    Command::$name(self)
                }

                fn reply(reply: Reply) -> Option<Self::Reply> {
                    match reply {
                        Reply::$name(reply) => Some(reply),
                        #[allow(unreachable_patterns)] // With one command there is no other.
                        _ => None,
                    }
                }
            }
        )*
    };
}

/// A command with the type of its reply.
pub trait Operation {
    /// What it is answered with.
    type Reply;
    /// The command.
    fn into_command(self) -> Command;
    /// The reply, if it is one to this command.
    fn reply(reply: Reply) -> Option<Self::Reply>;
}

commands! {
    RegisterBroker -> BrokerEpoch;
    BrokerHeartbeat -> BrokerHeartbeatReply;
    UnregisterBroker -> ();
    RegisterController -> ();
    UnregisterController -> ();
    CreateTopics -> Vec<CreateTopicResult>;
    DeleteTopics -> Vec<DeleteTopicResult>;
    CreatePartitions -> Vec<(String, Verdict)>;
    AlterPartition -> Vec<AlteredPartition>;
    ElectLeaders -> Vec<(String, Vec<(PartitionIndex, Verdict)>)>;
    AlterPartitionReassignments -> Vec<(String, Vec<(PartitionIndex, Verdict)>)>;
    AssignReplicasToDirs -> Vec<(Uuid, TopicId, Vec<(PartitionIndex, Verdict)>)>;
    AlterConfigs -> Vec<(ConfigResource, Verdict)>;
    UpdateFeatures -> FeaturesUpdated;
    AllocateProducerIds -> ProducerIdBlock;
    AlterClientQuotas -> Vec<(QuotaEntity, Verdict)>;
    AlterUserScramCredentials -> Vec<(String, Verdict)>;
    CreateAcls -> Vec<Verdict>;
    DeleteAcls -> Vec<Result<Vec<Acl>, Refusal>>;
}

/// BrokerRegistration: a broker started.
#[derive(Clone, Debug)]
pub struct RegisterBroker {
    /// Which.
    pub broker_id: BrokerId,
    /// Of which cluster.
    pub cluster_id: String,
    /// Drawn anew at each start.
    pub incarnation_id: Uuid,
    /// Where it is reached.
    pub endpoints: Vec<ListenerEndpoint>,
    /// What it supports.
    pub features: Vec<FeatureRange>,
    /// Where it stands.
    pub rack: Option<String>,
    /// The ids of its log directories.
    pub log_dirs: Vec<Uuid>,
    /// The epoch that it held when it last stopped cleanly, or -1. `None` from a broker too old
    /// to tell (before version 3).
    pub previous_epoch: Option<BrokerEpoch>,
}

/// BrokerHeartbeat: a broker is alive, and wants to be in a certain state.
#[derive(Clone, Debug, Default)]
pub struct BrokerHeartbeat {
    /// Which.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// The end of the metadata that it has applied.
    pub metadata_offset: Offset,
    /// It wants to be (or remain) fenced.
    pub want_fence: bool,
    /// It wants to stop.
    pub want_shut_down: bool,
    /// Directories that failed.
    pub offline_log_dirs: Vec<Uuid>,
    /// Directories that take no new replicas; `None` from a broker that does not yet know.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// The state of a broker after its heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerHeartbeatReply {
    /// It has applied its own registration.
    pub is_caught_up: bool,
    /// Nobody is sent to it.
    pub is_fenced: bool,
    /// Its leaderships are being moved.
    pub in_controlled_shutdown: bool,
    /// It may stop now.
    pub should_shut_down: bool,
}

/// UnregisterBroker: a broker will not come back.
#[derive(Clone, Debug)]
pub struct UnregisterBroker {
    /// Which.
    pub broker_id: BrokerId,
}

/// ControllerRegistration: a controller started.
#[derive(Clone, Debug)]
pub struct RegisterController {
    /// Which.
    pub controller_id: BrokerId,
    /// Drawn anew at each start.
    pub incarnation_id: Uuid,
    /// Where it is reached.
    pub endpoints: Vec<ListenerEndpoint>,
    /// What it supports.
    pub features: Vec<FeatureRange>,
}

/// UnregisterController: a controller will not come back (KIP-1312).
#[derive(Clone, Debug)]
pub struct UnregisterController {
    /// Which.
    pub controller_id: BrokerId,
}

/// CreateTopics.
#[derive(Clone, Debug, Default)]
pub struct CreateTopics {
    /// What to create, in the request's order.
    pub topics: Vec<NewTopic>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// -1: the broker's default.
    pub partitions: i32,
    /// -1: the broker's default.
    pub replication_factor: i16,
    /// The brokers of each partition; empty: they are chosen.
    pub assignments: Vec<(PartitionIndex, Vec<BrokerId>)>,
    /// Its configuration.
    pub configs: Vec<(String, Option<String>)>,
}

impl Default for NewTopic {
    fn default() -> Self {
        Self {
            name: String::new(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// What became of a topic to create.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTopicResult {
    /// Its name.
    pub name: String,
    /// What it is, or why it is not.
    pub result: Result<CreatedTopic, Refusal>,
}

/// A topic as it was created, or would be.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas its first partition has.
    pub replication_factor: i16,
    /// Its configuration as it takes effect, by key.
    pub configs: Vec<EffectiveConfig>,
}

/// The value of a key that takes effect, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveConfig {
    /// The key.
    pub name: String,
    /// The value.
    pub value: Option<String>,
    /// The number of its DescribeConfigs source.
    pub source: i8,
    /// Whether the value is a secret.
    pub sensitive: bool,
}

/// How a topic is named in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// DeleteTopics.
#[derive(Clone, Debug)]
pub struct DeleteTopics {
    /// What to delete.
    pub topics: Vec<TopicRef>,
}

/// What became of a topic to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTopicResult {
    /// Its name, if given or found.
    pub name: Option<String>,
    /// Its id; zero if it was named and not found.
    pub id: TopicId,
    /// Whether it is deleted.
    pub result: Verdict,
}

/// CreatePartitions.
#[derive(Clone, Debug, Default)]
pub struct CreatePartitions {
    /// Which topics grow.
    pub topics: Vec<MorePartitions>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A topic that gets more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MorePartitions {
    /// Which.
    pub name: String,
    /// How many it shall have in all.
    pub count: i32,
    /// The brokers of each additional one; `None`: they are chosen.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// AlterPartition: a leader proposes a new set of in-sync replicas.
#[derive(Clone, Debug)]
pub struct AlterPartition {
    /// The leader.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// What it proposes.
    pub partitions: Vec<ProposedIsr>,
}

/// The in-sync replicas that a leader proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedIsr {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The epoch in which it leads.
    pub leader_epoch: LeaderEpoch,
    /// The state that it knows.
    pub partition_epoch: i32,
    /// Each replica with its broker epoch, -1 where that is not to be checked.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
    /// Whether the leader is still recovering from an unclean election.
    pub recovering: bool,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The state after it, or the code of the refusal.
    pub result: Result<PartitionState, ErrorCode>,
}

/// The changing part of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Who leads; -1: nobody.
    pub leader: BrokerId,
    /// In which epoch.
    pub leader_epoch: LeaderEpoch,
    /// Who is in sync.
    pub isr: Vec<BrokerId>,
    /// Whether the leader is still recovering from an unclean election.
    pub recovering: bool,
    /// Counts the states.
    pub partition_epoch: i32,
}

/// Which leader an election seeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica.
    Preferred,
    /// Any replica that is alive, in sync or not, where there is no leader.
    Unclean,
}

/// ElectLeaders.
#[derive(Clone, Debug)]
pub struct ElectLeaders {
    /// Which leader is sought.
    pub election: ElectionType,
    /// Where; `None`: everywhere.
    pub partitions: Option<Vec<(String, Vec<PartitionIndex>)>>,
}

/// AlterPartitionReassignments.
#[derive(Clone, Debug)]
pub struct AlterPartitionReassignments {
    /// The new replicas of each partition; `None` cancels its reassignment.
    pub topics: Vec<Reassignment>,
    /// Whether a partition may get more or fewer replicas (KIP-860).
    pub allow_replication_factor_change: bool,
}

/// The partitions of a topic that move: the new replicas of each, `None` to stay.
pub type Reassignment = (String, Vec<(PartitionIndex, Option<Vec<BrokerId>>)>);

/// AssignReplicasToDirs: a broker says in which directories its replicas lie (KIP-858).
#[derive(Clone, Debug)]
pub struct AssignReplicasToDirs {
    /// The broker.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// Directory, topic and partitions.
    pub replicas: Vec<(Uuid, TopicId, Vec<PartitionIndex>)>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOp {
    /// To this value; `None`, which some clients send, is refused or deletes, as Kafka has it.
    Set(Option<String>),
    /// Back to the default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes from a list.
    Subtract(String),
}

/// The changes of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// IncrementalAlterConfigs: what is not named stays. Of two operations on a key the later
    /// counts.
    Incremental(Vec<(String, ConfigOp)>),
    /// AlterConfigs: what is not named is deleted.
    Replace(Vec<(String, Option<String>)>),
}

/// IncrementalAlterConfigs and AlterConfigs.
#[derive(Clone, Debug)]
pub struct AlterConfigs {
    /// What changes.
    pub changes: Vec<(ConfigResource, ConfigChange)>,
    /// Only say whether it could be done.
    pub validate_only: bool,
    /// Whether it came through a broker, which has checks of its own, rather than to a controller
    /// listener.
    pub forwarded: bool,
}

/// How a feature's level may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Not one that is known.
    Unknown,
    /// Up.
    Upgrade,
    /// Down, where no metadata is lost.
    SafeDowngrade,
    /// Down.
    UnsafeDowngrade,
}

/// UpdateFeatures.
#[derive(Clone, Debug)]
pub struct UpdateFeatures {
    /// Feature, level, and how it may move. All of them or none.
    pub updates: Vec<(String, i16, UpgradeType)>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// Features are at the levels asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeaturesUpdated {
    /// The version that the quorum itself moves to, which is not a record of the cluster: the
    /// leader appends it.
    pub kraft_version: Option<i16>,
}

/// AllocateProducerIds.
#[derive(Clone, Debug)]
pub struct AllocateProducerIds {
    /// For which broker.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
}

/// Producer ids that one broker may hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first.
    pub first: ProducerId,
    /// How many.
    pub len: i32,
}

/// A quota's key and its new value; `None` removes it.
pub type QuotaChange = (String, Option<f64>);

/// AlterClientQuotas.
#[derive(Clone, Debug)]
pub struct AlterClientQuotas {
    /// The keys of each entity.
    pub changes: Vec<(QuotaEntity, Vec<QuotaChange>)>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A SCRAM credential to store, its keys computed from the salted password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramUpsertion {
    /// The user.
    pub user: String,
    /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
    pub mechanism: i8,
    /// How often the password was hashed.
    pub iterations: i32,
    /// With this salt.
    pub salt: Vec<u8>,
    /// H(HMAC(salted password, "Client Key")).
    pub stored_key: Vec<u8>,
    /// HMAC(salted password, "Server Key").
    pub server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramUpsertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, mechanism, .. } = self;
        write!(f, "ScramUpsertion {{ user: {user:?}, mechanism: {mechanism}, [hidden] }}")
    }
}

/// AlterUserScramCredentials.
#[derive(Clone, Debug)]
pub struct AlterUserScramCredentials {
    /// User and mechanism of credentials to remove.
    pub deletions: Vec<(String, i8)>,
    /// Credentials to store.
    pub upsertions: Vec<ScramUpsertion>,
}

/// An access control entry, in the numbers of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
    pub resource_type: i8,
    /// The resource.
    pub resource_name: String,
    /// 3 literal, 4 prefixed.
    pub pattern_type: i8,
    /// `Type:name`.
    pub principal: String,
    /// From where.
    pub host: String,
    /// What.
    pub operation: i8,
    /// 2 deny, 3 allow.
    pub permission: i8,
}

/// CreateAcls.
#[derive(Clone, Debug)]
pub struct CreateAcls {
    /// The entries; one that exists is no error.
    pub acls: Vec<Acl>,
}

/// Which entries to delete: `None`, and the numbers for "any" (1) and "match" (2, of patterns),
/// fit everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    /// As in [`Acl`]; 1: any.
    pub resource_type: i8,
    /// Of this name.
    pub resource_name: Option<String>,
    /// As in [`Acl`]; 1: any; 2: every pattern that matches the name.
    pub pattern_type: i8,
    /// Of this principal.
    pub principal: Option<String>,
    /// Of this host.
    pub host: Option<String>,
    /// As in [`Acl`]; 1: any.
    pub operation: i8,
    /// As in [`Acl`]; 1: any.
    pub permission: i8,
}

/// DeleteAcls.
#[derive(Clone, Debug)]
pub struct DeleteAcls {
    /// One result for each.
    pub filters: Vec<AclFilter>,
}
