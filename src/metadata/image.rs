//! Everything the cluster agreed on, at one offset of the metadata log.
//!
//! An image is cheap to clone: its parts are shared, and [`MetadataImage::apply`] copies only what
//! it changes. A request loads one image and sees no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cluster::Cluster;
use super::configs::{ConfigResource, Configs};
use super::features::{METADATA_VERSION, Release};
use super::record::{
    AccessControlEntryRecord, ClientQuotaRecord, DelegationTokenRecord, MetadataRecord,
    UserScramCredentialRecord,
};
use super::topics::{Topic, Topics};
use crate::types::{BrokerId, LeaderEpoch, Offset, TopicId, TopicPartition, Uuid};

/// A record that contradicts the image: the log is not the one this image was built from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The fields are what the messages say.
pub enum ApplyError {
    #[error("topic {name} ({id}) exists already")]
    TopicExists { name: String, id: TopicId },
    #[error("no topic has id {id}")]
    UnknownTopic { id: TopicId },
    #[error("no topic is named {name}")]
    UnknownTopicName { name: String },
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition { topic: TopicId, partition: i32 },
    #[error("broker {id} is not registered")]
    UnknownBroker { id: BrokerId },
    #[error("broker {id} is registered with epoch {registered}, the record says {record}")]
    BrokerEpoch { id: BrokerId, record: i64, registered: i64 },
    #[error("controller {id} is not registered")]
    UnknownController { id: BrokerId },
    #[error("no access control entry has id {id}")]
    UnknownAcl { id: Uuid },
    #[error("metadata.version {level} is unknown to this release")]
    UnknownRelease { level: i16 },
}

/// Who a client quota is for: sorted (type, name) pairs, where no name is the default entity.
pub type QuotaEntity = Vec<(String, Option<String>)>;

/// The metadata at one offset.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataImage {
    /// The offset of the last record it holds, -1 before the first.
    pub offset: Offset,
    /// The leader epoch of that record.
    pub epoch: LeaderEpoch,
    /// The level that rules the formats of records.
    pub release: Release,
    /// Finalized features but `metadata.version` (and `kraft.version`, which is not a record).
    pub features: Arc<BTreeMap<String, i16>>,
    /// Brokers and controllers.
    pub cluster: Arc<Cluster>,
    /// Topics and partitions.
    pub topics: Topics,
    /// Dynamic configuration.
    pub configs: Arc<Configs>,
    /// Client quotas by entity and key.
    pub quotas: Arc<BTreeMap<QuotaEntity, BTreeMap<String, f64>>>,
    /// The first producer id that was not given to a broker; -1 when none ever was.
    pub next_producer_id: i64,
    /// Access control entries by id.
    pub acls: Arc<BTreeMap<Uuid, AccessControlEntryRecord>>,
    /// SCRAM credentials by mechanism and user.
    pub scram: Arc<BTreeMap<(i8, String), UserScramCredentialRecord>>,
    /// Delegation tokens by id.
    pub tokens: Arc<BTreeMap<String, DelegationTokenRecord>>,
}

impl Default for MetadataImage {
    fn default() -> Self {
        Self {
            offset: -1,
            epoch: -1,
            release: Release::MINIMUM,
            features: Arc::default(),
            cluster: Arc::default(),
            topics: Topics::default(),
            configs: Arc::default(),
            quotas: Arc::default(),
            next_producer_id: -1,
            acls: Arc::default(),
            scram: Arc::default(),
            tokens: Arc::default(),
        }
    }
}

/// What changed from one image to the next, for those who must act on it.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Topics that are new.
    pub topics_created: BTreeSet<TopicId>,
    /// Topics that are gone, as they were.
    pub topics_deleted: Vec<Arc<Topic>>,
    /// Partitions that are new or changed.
    pub partitions: BTreeSet<TopicPartition>,
    /// Resources whose configuration changed.
    pub configs: BTreeSet<ConfigResource>,
    /// Whether brokers or controllers changed.
    pub cluster: bool,
    /// Whether a finalized feature changed.
    pub features: bool,
}

impl MetadataImage {
    /// The next image: applies one record, notes in `changes` what it changed.
    ///
    /// Total for records that a controller decided on this image; an error means that the record
    /// belongs to another history.
    pub fn apply(
        &mut self,
        record: &MetadataRecord,
        changes: &mut Changes,
    ) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::Topic(topic) => {
                self.topics.create(&topic.name, topic.topic_id)?;
                changes.topics_created.insert(topic.topic_id);
            }
            MetadataRecord::RemoveTopic(topic) => {
                let gone = self.topics.remove(topic.topic_id)?;
                let resource = ConfigResource::topic(&gone.name);
                if self.configs.of(&resource).is_some() {
                    Arc::make_mut(&mut self.configs).remove(&resource);
                }
                changes.configs.remove(&resource);
                let at = |partition| TopicPartition { topic: gone.id, partition };
                changes.partitions.retain(|id| !(at(0)..=at(i32::MAX)).contains(id));
                if !changes.topics_created.remove(&gone.id) {
                    changes.topics_deleted.push(gone);
                }
            }
            MetadataRecord::Partition(partition) => {
                self.topics.put_partition(partition)?;
                changes.partitions.insert(TopicPartition {
                    topic: partition.topic_id,
                    partition: partition.partition_id,
                });
            }
            MetadataRecord::PartitionChange(partition) => {
                self.topics.change_partition(partition)?;
                changes.partitions.insert(TopicPartition {
                    topic: partition.topic_id,
                    partition: partition.partition_id,
                });
            }
            MetadataRecord::ClearElr(topic) => {
                changes.partitions.extend(self.topics.clear_elr(&topic.topic_name)?);
            }
            MetadataRecord::Config(config) => {
                changes.configs.insert(Arc::make_mut(&mut self.configs).apply(config));
            }
            MetadataRecord::FeatureLevel(feature) if feature.name == METADATA_VERSION => {
                let level = feature.feature_level;
                self.release =
                    Release::from_level(level).map_err(|_| ApplyError::UnknownRelease { level })?;
                changes.features = true;
            }
            MetadataRecord::FeatureLevel(feature) => {
                let features = Arc::make_mut(&mut self.features);
                if feature.feature_level == 0 {
                    features.remove(&feature.name);
                } else {
                    features.insert(feature.name.clone(), feature.feature_level);
                }
                changes.features = true;
            }
            MetadataRecord::RegisterBroker(_)
            | MetadataRecord::UnregisterBroker(_)
            | MetadataRecord::FenceBroker(_)
            | MetadataRecord::UnfenceBroker(_)
            | MetadataRecord::BrokerRegistrationChange(_)
            | MetadataRecord::RegisterController(_)
            | MetadataRecord::UnregisterController(_) => {
                self.apply_to_cluster(record)?;
                changes.cluster = true;
            }
            MetadataRecord::ClientQuota(quota) => self.apply_quota(quota),
            MetadataRecord::ProducerIds(ids) => self.next_producer_id = ids.next_producer_id,
            MetadataRecord::AccessControlEntry(acl) => {
                Arc::make_mut(&mut self.acls).insert(acl.id, acl.clone());
            }
            MetadataRecord::RemoveAccessControlEntry(acl) => {
                let gone = Arc::make_mut(&mut self.acls).remove(&acl.id);
                gone.ok_or(ApplyError::UnknownAcl { id: acl.id })?;
            }
            MetadataRecord::UserScramCredential(user) => {
                Arc::make_mut(&mut self.scram)
                    .insert((user.mechanism, user.name.clone()), user.clone());
            }
            MetadataRecord::RemoveUserScramCredential(user) => {
                Arc::make_mut(&mut self.scram).remove(&(user.mechanism, user.name.clone()));
            }
            MetadataRecord::DelegationToken(token) => {
                Arc::make_mut(&mut self.tokens).insert(token.token_id.clone(), token.clone());
            }
            MetadataRecord::RemoveDelegationToken(token) => {
                Arc::make_mut(&mut self.tokens).remove(&token.token_id);
            }
            // Transactions are the loader's; the other two hold nothing that is kept.
            MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_)
            | MetadataRecord::ZkMigrationState(_)
            | MetadataRecord::NoOp(_) => {}
        }
        Ok(())
    }

    fn apply_to_cluster(&mut self, record: &MetadataRecord) -> Result<(), ApplyError> {
        let cluster = Arc::make_mut(&mut self.cluster);
        match record {
            MetadataRecord::RegisterBroker(broker) => cluster.register_broker(broker),
            MetadataRecord::UnregisterBroker(broker) => {
                cluster.unregister_broker(broker.broker_id, broker.broker_epoch)?;
            }
            MetadataRecord::FenceBroker(broker) => {
                cluster.set_fenced(broker.id, broker.epoch, true)?;
            }
            MetadataRecord::UnfenceBroker(broker) => {
                cluster.set_fenced(broker.id, broker.epoch, false)?;
            }
            MetadataRecord::BrokerRegistrationChange(change) => cluster.change_broker(change)?,
            MetadataRecord::RegisterController(node) => cluster.register_controller(node),
            MetadataRecord::UnregisterController(node) => {
                cluster.unregister_controller(node.controller_id)?;
            }
            other => unreachable!("{} is not about nodes", other.name()),
        }
        Ok(())
    }

    fn apply_quota(&mut self, quota: &ClientQuotaRecord) {
        let mut entity: QuotaEntity = quota
            .entity
            .iter()
            .map(|part| (part.entity_type.clone(), part.entity_name.clone()))
            .collect();
        entity.sort();
        let quotas = Arc::make_mut(&mut self.quotas);
        let keys = quotas.entry(entity.clone()).or_default();
        if quota.remove {
            keys.remove(&quota.key);
        } else {
            keys.insert(quota.key.clone(), quota.value);
        }
        if keys.is_empty() {
            quotas.remove(&entity);
        }
    }
}
