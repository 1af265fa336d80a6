//! Everything the cluster agreed on, at one offset of the metadata log.
//!
//! An image is cheap to clone: its parts are shared, and [`MetadataImage::apply`] copies only what
//! it changes. A request loads one image and sees no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::acls::Acls;
use super::apply_error::ApplyError;
use super::cluster::Cluster;
use super::configs::{ConfigResource, Configs, ResourceType};
use super::features::{KRAFT_VERSION, METADATA_VERSION, Release};
use super::record::{
    ClientQuotaRecord, DelegationTokenRecord, MetadataRecord, UserScramCredentialRecord,
};
use super::shared::SharedMap;
use super::topics::{Topic, Topics};
use crate::types::{LeaderEpoch, Offset, TopicId, TopicPartition};

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
    /// Whether a record has finalized the release; before the first one [`Release::MINIMUM`] is
    /// assumed.
    pub has_release: bool,
    /// Finalized features but `metadata.version` (and `kraft.version`, which is not a record).
    pub features: Arc<BTreeMap<String, i16>>,
    /// Brokers and controllers.
    pub cluster: Arc<Cluster>,
    /// Topics and partitions.
    pub topics: Topics,
    /// Dynamic configuration.
    pub configs: Configs,
    /// Client quotas by entity and key.
    pub quotas: SharedMap<QuotaEntity, BTreeMap<String, f64>>,
    /// The first producer id that was not given to a broker; -1 when none ever was.
    pub next_producer_id: i64,
    /// Access control entries.
    pub acls: Acls,
    /// SCRAM credentials by mechanism and user.
    pub scram: SharedMap<(i8, String), UserScramCredentialRecord>,
    /// Delegation tokens by id.
    pub tokens: SharedMap<String, DelegationTokenRecord>,
}

impl Default for MetadataImage {
    fn default() -> Self {
        Self {
            offset: -1,
            epoch: -1,
            release: Release::MINIMUM,
            has_release: false,
            features: Arc::default(),
            cluster: Arc::default(),
            topics: Topics::default(),
            configs: Configs::default(),
            quotas: SharedMap::default(),
            next_producer_id: -1,
            acls: Acls::default(),
            scram: SharedMap::default(),
            tokens: SharedMap::default(),
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

impl Changes {
    /// Notes that a topic is gone, and forgets what else was noted of it. One that came and went
    /// was never seen by anyone.
    fn delete(&mut self, topic: Arc<Topic>) {
        self.configs.remove(&ConfigResource::topic(&topic.name));
        let at = |partition| TopicPartition { topic: topic.id, partition };
        let noted: Vec<TopicPartition> =
            self.partitions.range(at(0)..=at(i32::MAX)).copied().collect();
        for id in noted {
            self.partitions.remove(&id);
        }
        if !self.topics_created.remove(&topic.id) {
            self.topics_deleted.push(topic);
        }
    }

    /// The changes that lead from one image to another one of the same cluster, as if they had been
    /// made by records: what is equal in both is not named.
    pub fn between(before: &MetadataImage, after: &MetadataImage) -> Self {
        let mut changes = Self::default();
        for topic in before.topics.iter() {
            if after.topics.by_id(topic.id).is_none() {
                changes.topics_deleted.push(Arc::clone(topic));
            }
        }
        for topic in after.topics.iter() {
            let known = before.topics.by_id(topic.id);
            if known.is_some_and(|known| Arc::ptr_eq(known, topic)) {
                continue;
            }
            if known.is_none() {
                changes.topics_created.insert(topic.id);
            }
            for (partition, registration) in (0..).zip(topic.partitions.iter()) {
                if known.and_then(|known| known.partition(partition)) != Some(registration) {
                    changes.partitions.insert(TopicPartition { topic: topic.id, partition });
                }
            }
        }
        for (resource, values) in after.configs.iter() {
            if before.configs.of(resource) != Some(values) {
                changes.configs.insert(resource.clone());
            }
        }
        for (resource, _) in before.configs.iter() {
            let belongs_to_deleted = resource.kind == ResourceType::Topic
                && after.topics.by_name(&resource.name).is_none();
            if after.configs.of(resource).is_none() && !belongs_to_deleted {
                changes.configs.insert(resource.clone());
            }
        }
        changes.cluster = before.cluster != after.cluster;
        changes.features = before.features != after.features
            || (before.release, before.has_release) != (after.release, after.has_release);
        changes
    }

    /// Adds what changed after.
    pub fn merge(&mut self, later: Self) {
        let Self { topics_created, topics_deleted, partitions, configs, cluster, features } = later;
        for topic in topics_deleted {
            self.delete(topic);
        }
        self.topics_created.extend(topics_created);
        self.partitions.extend(partitions);
        self.configs.extend(configs);
        self.cluster |= cluster;
        self.features |= features;
    }
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
                self.configs.remove(&resource);
                changes.delete(gone);
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
                changes.configs.insert(self.configs.apply(config));
            }
            MetadataRecord::FeatureLevel(feature) if feature.name == METADATA_VERSION => {
                let level = feature.feature_level;
                self.release =
                    Release::from_level(level).map_err(|_| ApplyError::UnknownRelease { level })?;
                self.has_release = true;
                changes.features = true;
            }
            // The quorum's own records rule it. Kafka 3.9 wrote it here by mistake (KAFKA-18979).
            MetadataRecord::FeatureLevel(feature) if feature.name == KRAFT_VERSION => {}
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
            MetadataRecord::AccessControlEntry(acl) => self.acls.insert(acl.clone()),
            MetadataRecord::RemoveAccessControlEntry(acl) => {
                self.acls.remove(&acl.id).ok_or(ApplyError::UnknownAcl { id: acl.id })?;
            }
            MetadataRecord::UserScramCredential(user) => {
                self.scram.insert((user.mechanism, user.name.clone()), user.clone());
            }
            MetadataRecord::RemoveUserScramCredential(user) => {
                self.scram.remove(&(user.mechanism, user.name.clone()));
            }
            MetadataRecord::DelegationToken(token) => {
                self.tokens.insert(token.token_id.clone(), token.clone());
            }
            MetadataRecord::RemoveDelegationToken(token) => {
                self.tokens.remove(&token.token_id);
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
        if !quota.remove {
            let keys = self.quotas.get_or_default(entity);
            keys.insert(quota.key.clone(), quota.value);
        } else if let Some(keys) = self.quotas.get_mut(&entity) {
            keys.remove(&quota.key);
            if keys.is_empty() {
                self.quotas.remove(&entity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{
        BrokerRegistrationChangeRecord, ClearElrRecord, ConfigRecord, FeatureLevelRecord,
        PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord,
        TopicRecord,
    };
    use super::*;
    use crate::types::Uuid;

    const TOPIC: TopicId = Uuid::from_halves(1, 2);

    fn image(records: &[MetadataRecord]) -> (MetadataImage, Changes) {
        let (mut image, mut changes) = (MetadataImage::default(), Changes::default());
        for record in records {
            image.apply(record, &mut changes).unwrap();
        }
        (image, changes)
    }

    fn topic() -> MetadataRecord {
        TopicRecord { name: "t".into(), topic_id: TOPIC }.into()
    }

    fn partition(id: i32) -> PartitionRecord {
        PartitionRecord {
            partition_id: id,
            topic_id: TOPIC,
            replicas: vec![1, 2],
            isr: vec![1],
            leader: 1,
            leader_epoch: 3,
            partition_epoch: 4,
            ..PartitionRecord::default()
        }
    }

    fn change(change: PartitionChangeRecord) -> MetadataRecord {
        PartitionChangeRecord { partition_id: 0, topic_id: TOPIC, ..change }.into()
    }

    #[test]
    fn every_change_of_a_partition_raises_its_epoch_and_a_named_leader_the_leader_epoch() {
        let epochs = |record: MetadataRecord| {
            let (image, changes) = image(&[topic(), partition(0).into(), record]);
            assert_eq!(changes.partitions.len(), 1);
            let partition = &image.topics.by_id(TOPIC).unwrap().partitions[0];
            (partition.leader, partition.leader_epoch, partition.partition_epoch)
        };
        let isr = PartitionChangeRecord { isr: Some(vec![1, 2]), ..Default::default() };
        assert_eq!(epochs(change(isr)), (1, 3, 5));
        let again = PartitionChangeRecord { leader: 1, ..Default::default() };
        assert_eq!(epochs(change(again)), (1, 4, 5));
        let gone = PartitionChangeRecord { leader: -1, ..Default::default() };
        assert_eq!(epochs(change(gone)), (-1, 4, 5));
    }

    #[test]
    fn clearing_eligible_leader_replicas_changes_only_partitions_that_have_some() {
        let elr = PartitionRecord { last_known_elr: Some(vec![2]), ..partition(0) };
        let clear = ClearElrRecord { topic_name: "t".into() }.into();
        let (image, _) = image(&[topic(), elr.into(), partition(1).into(), clear]);
        let partitions = &image.topics.by_id(TOPIC).unwrap().partitions;
        assert!(partitions[0].last_known_elr.is_empty());
        assert_eq!([partitions[0].partition_epoch, partitions[1].partition_epoch], [5, 4]);
    }

    #[test]
    fn directories_that_were_never_assigned_follow_the_number_of_replicas() {
        let replicas =
            PartitionChangeRecord { replicas: Some(vec![1, 2, 3]), ..Default::default() };
        let (image, _) = image(&[topic(), partition(0).into(), change(replicas)]);
        let partition = &image.topics.by_id(TOPIC).unwrap().partitions[0];
        assert_eq!(partition.directories, [Uuid::MIGRATING_DIRECTORY; 3]);
    }

    #[test]
    fn the_version_of_the_quorum_is_no_feature_of_the_image() {
        let level = |name: &str, level| {
            FeatureLevelRecord { name: name.into(), feature_level: level }.into()
        };
        let (image, _) = image(&[level(KRAFT_VERSION, 1), level("group.version", 1)]);
        assert_eq!(image.features.keys().collect::<Vec<_>>(), ["group.version"]);
    }

    #[test]
    fn a_topic_that_came_and_went_was_never_there() {
        let config = ConfigRecord {
            resource_type: 2,
            resource_name: "t".into(),
            name: "segment.bytes".into(),
            value: Some("1048576".into()),
        };
        let gone = RemoveTopicRecord { topic_id: TOPIC }.into();
        let (image, changes) = image(&[topic(), partition(0).into(), config.into(), gone]);
        assert!(image.topics.is_empty() && image.configs.iter().next().is_none());
        assert!(changes.topics_created.is_empty() && changes.topics_deleted.is_empty());
        assert!(changes.partitions.is_empty() && changes.configs.is_empty());
    }

    #[test]
    fn the_changes_between_two_images_name_what_differs_and_nothing_else() {
        let other = TopicId::from_halves(1, 3);
        let kept = TopicId::from_halves(1, 4);
        let named =
            |name: &str, id| MetadataRecord::from(TopicRecord { name: name.into(), topic_id: id });
        let of = |topic_id, id| MetadataRecord::from(PartitionRecord { topic_id, ..partition(id) });
        let config = |name: &str| {
            MetadataRecord::from(ConfigRecord {
                resource_type: 2,
                resource_name: name.into(),
                name: "segment.bytes".into(),
                value: Some("1048576".into()),
            })
        };
        let shared = [named("kept", kept), of(kept, 0), of(kept, 1), config("kept")];
        let old = [topic(), partition(0).into(), config("t")];
        let (before, _) = image(&[&shared[..], &old[..]].concat());
        let changed = PartitionRecord { topic_id: kept, leader: 2, ..partition(1) };
        let new = [named("other", other), of(other, 0), changed.into(), config("other")];
        let (after, _) = image(&[&shared[..], &new[..]].concat());
        let changes = Changes::between(&before, &after);
        assert_eq!(changes.topics_created.into_iter().collect::<Vec<_>>(), [other]);
        assert_eq!(changes.topics_deleted.iter().map(|t| t.id).collect::<Vec<_>>(), [TOPIC]);
        let at = |topic, partition| TopicPartition { topic, partition };
        assert_eq!(changes.partitions.into_iter().collect::<Vec<_>>(), [at(other, 0), at(kept, 1)]);
        let configs: Vec<_> = changes.configs.iter().map(|c| c.name.clone()).collect();
        assert_eq!(
            (configs, changes.cluster, changes.features),
            (vec!["other".into()], false, false)
        );
        let none = Changes::between(&after, &after.clone());
        assert!(none.partitions.is_empty() && none.configs.is_empty() && !none.cluster);
    }

    #[test]
    fn a_later_deletion_cancels_an_earlier_creation() {
        let (mut before, mut changes) = image(&[topic(), partition(0).into()]);
        let mut later = Changes::default();
        before.apply(&RemoveTopicRecord { topic_id: TOPIC }.into(), &mut later).unwrap();
        assert_eq!(later.topics_deleted.len(), 1);
        changes.merge(later);
        assert!(changes.topics_created.is_empty() && changes.topics_deleted.is_empty());
        assert!(changes.partitions.is_empty());
    }

    #[test]
    fn a_change_of_a_broker_that_is_not_understood_changes_nothing() {
        let broker = RegisterBrokerRecord { broker_id: 1, broker_epoch: 7, ..Default::default() };
        let (before, _) = image(&[broker.into()]);
        let record =
            BrokerRegistrationChangeRecord { broker_id: 1, broker_epoch: 7, ..Default::default() };
        let odd = [
            BrokerRegistrationChangeRecord { fenced: 2, ..record.clone() },
            BrokerRegistrationChangeRecord { fenced: -1, in_controlled_shutdown: -1, ..record },
        ];
        for record in odd {
            let mut image = before.clone();
            let error = image.apply(&record.into(), &mut Changes::default()).unwrap_err();
            assert!(matches!(error, ApplyError::UnknownChange { id: 1, .. }), "{error}");
            assert_eq!(image, before);
        }
    }
}
