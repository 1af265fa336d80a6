//! An image back to records, in the order in which Kafka writes a snapshot (Kafka 4.4
//! `MetadataImage.write`).
//!
//! Every kind of record that is kept is written, acted on or not: a snapshot replaces the log
//! before it, and must not erase what another node stored.

use super::cluster::{Broker, Controller, FeatureRange, ListenerEndpoint};
use super::features::{ELIGIBLE_LEADER_REPLICAS_VERSION, METADATA_VERSION, Release};
use super::image::MetadataImage;
use super::record::{
    BrokerEndpoint, BrokerFeature, ClientQuotaRecord, ConfigRecord, ControllerEndpoint,
    ControllerFeature, EntityData, FeatureLevelRecord, MetadataRecord, PartitionRecord,
    ProducerIdsRecord, RegisterBrokerRecord, RegisterControllerRecord, TopicRecord,
};
use super::topics::Partition;
use crate::types::{PartitionIndex, TopicId, Uuid};

impl Release {
    /// The version at which `record` is written under this release (Kafka 4.4 `MetadataVersion`).
    pub fn record_version(self, record: &MetadataRecord) -> i16 {
        match record {
            MetadataRecord::RegisterBroker(_) => match self.level {
                30.. => 4,
                17.. => 3,
                8.. => 2,
                _ => 1,
            },
            // The least that holds what changes, as Kafka's controller writes it.
            MetadataRecord::BrokerRegistrationChange(change) => {
                if change.cordoned_log_dirs.is_some() {
                    3
                } else if !change.log_dirs.is_empty() {
                    2
                } else {
                    i16::from(change.in_controlled_shutdown != 0)
                }
            }
            MetadataRecord::Partition(_) | MetadataRecord::PartitionChange(_) => match self.level {
                23.. => 2,
                17.. => 1,
                _ => 0,
            },
            _ => 0,
        }
    }
}

fn partition_record(
    topic_id: TopicId,
    partition_id: PartitionIndex,
    partition: &Partition,
    has_elr: bool,
    has_directories: bool,
) -> MetadataRecord {
    // Older formats have no place for directories; then none is assigned, and nothing is lost.
    let is_migrating = |directory: &Uuid| *directory == Uuid::MIGRATING_DIRECTORY;
    let directories = match &partition.directories {
        none if !has_directories && none.iter().all(is_migrating) => Vec::new(),
        known => known.clone(),
    };
    // These are tagged fields, left out when there is nothing to say.
    let unless_empty = |ids: &Vec<i32>| (has_elr && !ids.is_empty()).then(|| ids.clone());
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: partition.replicas.clone(),
        isr: partition.isr.clone(),
        removing_replicas: partition.removing_replicas.clone(),
        adding_replicas: partition.adding_replicas.clone(),
        leader: partition.leader,
        leader_recovery_state: partition.leader_recovery_state,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        directories,
        eligible_leader_replicas: unless_empty(&partition.elr),
        last_known_elr: unless_empty(&partition.last_known_elr),
    }
    .into()
}

macro_rules! endpoints {
    ($from:expr, $to:ident) => {
        $from
            .iter()
            .map(|ListenerEndpoint { name, host, port, security_protocol }| $to {
                name: name.clone(),
                host: host.clone(),
                port: *port,
                security_protocol: *security_protocol,
            })
            .collect()
    };
}

macro_rules! feature_ranges {
    ($from:expr, $to:ident) => {
        $from
            .iter()
            .map(|FeatureRange { name, min, max }| $to {
                name: name.clone(),
                min_supported_version: *min,
                max_supported_version: *max,
            })
            .collect()
    };
}

fn broker_record(broker: &Broker) -> MetadataRecord {
    RegisterBrokerRecord {
        broker_id: broker.id,
        is_migrating_zk_broker: broker.is_migrating_zk_broker,
        incarnation_id: broker.incarnation_id,
        broker_epoch: broker.epoch,
        end_points: endpoints!(broker.endpoints, BrokerEndpoint),
        features: feature_ranges!(broker.features, BrokerFeature),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: broker.log_dirs.clone(),
        cordoned_log_dirs: broker.cordoned_log_dirs.clone(),
    }
    .into()
}

fn controller_record(controller: &Controller) -> MetadataRecord {
    RegisterControllerRecord {
        controller_id: controller.id,
        incarnation_id: controller.incarnation_id,
        zk_migration_ready: controller.zk_migration_ready,
        end_points: endpoints!(controller.endpoints, ControllerEndpoint),
        features: feature_ranges!(controller.features, ControllerFeature),
    }
    .into()
}

impl MetadataImage {
    /// The records that make this image from nothing, with the version of each.
    pub fn to_records(&self) -> Vec<(MetadataRecord, i16)> {
        let mut records: Vec<MetadataRecord> = Vec::new();
        let mut level = |name: &str, feature_level| {
            records.push(FeatureLevelRecord { name: name.to_owned(), feature_level }.into());
        };
        level(METADATA_VERSION, self.release.level);
        for (name, feature_level) in &*self.features {
            level(name, *feature_level);
        }
        records.extend(self.cluster.brokers.values().map(broker_record));
        records.extend(self.cluster.controllers.values().map(controller_record));
        let has_elr = self.features.contains_key(ELIGIBLE_LEADER_REPLICAS_VERSION);
        let has_directories = self.release.has_directories();
        for topic in self.topics.iter() {
            records.push(TopicRecord { name: topic.name.to_string(), topic_id: topic.id }.into());
            records.extend(topic.partitions.iter().enumerate().map(|(at, partition)| {
                partition_record(topic.id, at as i32, partition, has_elr, has_directories)
            }));
        }
        for (resource, keys) in self.configs.iter() {
            records.extend(keys.iter().map(|(name, value)| {
                ConfigRecord {
                    resource_type: resource.kind as i8,
                    resource_name: resource.name.clone(),
                    name: name.clone(),
                    value: Some(value.clone()),
                }
                .into()
            }));
        }
        for (entity, keys) in self.quotas.iter() {
            let entity: Vec<EntityData> = entity
                .iter()
                .map(|(kind, name)| EntityData {
                    entity_type: kind.clone(),
                    entity_name: name.clone(),
                })
                .collect();
            records.extend(keys.iter().map(|(key, value)| {
                let (entity, key) = (entity.clone(), key.clone());
                ClientQuotaRecord { entity, key, value: *value, remove: false }.into()
            }));
        }
        if self.next_producer_id >= 0 {
            let next_producer_id = self.next_producer_id;
            let record = ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id };
            records.push(record.into());
        }
        records.extend(self.acls.records().cloned().map(MetadataRecord::from));
        records.extend(self.scram.values().cloned().map(MetadataRecord::from));
        records.extend(self.tokens.values().cloned().map(MetadataRecord::from));
        let version = |record: &MetadataRecord| self.release.record_version(record);
        records.into_iter().map(|record| (version(&record), record)).map(|(v, r)| (r, v)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::image::Changes;
    use super::super::record::{
        AccessControlEntryRecord, DelegationTokenRecord, UserScramCredentialRecord,
    };
    use super::*;

    /// One record of each kind that is kept.
    fn records() -> Vec<MetadataRecord> {
        let topic_id = Uuid::from_halves(1, 2);
        vec![
            FeatureLevelRecord { name: METADATA_VERSION.into(), feature_level: 33 }.into(),
            FeatureLevelRecord { name: ELIGIBLE_LEADER_REPLICAS_VERSION.into(), feature_level: 1 }
                .into(),
            RegisterBrokerRecord {
                broker_id: 1,
                broker_epoch: 7,
                end_points: vec![BrokerEndpoint {
                    name: "PLAINTEXT".into(),
                    host: "localhost".into(),
                    port: 9092,
                    security_protocol: 0,
                }],
                log_dirs: vec![Uuid::from_halves(9, 9)],
                ..RegisterBrokerRecord::default()
            }
            .into(),
            RegisterControllerRecord { controller_id: 1, ..Default::default() }.into(),
            TopicRecord { name: "t".into(), topic_id }.into(),
            PartitionRecord {
                partition_id: 0,
                topic_id,
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                leader_epoch: 3,
                partition_epoch: 4,
                directories: vec![Uuid::from_halves(9, 9)],
                last_known_elr: Some(vec![1]),
                ..PartitionRecord::default()
            }
            .into(),
            ConfigRecord {
                resource_type: 2,
                resource_name: "t".into(),
                name: "segment.bytes".into(),
                value: Some("1048576".into()),
            }
            .into(),
            ClientQuotaRecord {
                entity: vec![EntityData { entity_type: "user".into(), entity_name: None }],
                key: "producer_byte_rate".into(),
                value: 1.5,
                remove: false,
            }
            .into(),
            ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id: 3000 }.into(),
            AccessControlEntryRecord { id: Uuid::from_halves(5, 5), ..Default::default() }.into(),
            UserScramCredentialRecord { name: "alice".into(), mechanism: 1, ..Default::default() }
                .into(),
            DelegationTokenRecord { token_id: "x".into(), ..Default::default() }.into(),
        ]
    }

    #[test]
    fn a_snapshot_holds_every_kind_of_record_that_was_stored() {
        let mut image = MetadataImage::default();
        for record in records() {
            image.apply(&record, &mut Changes::default()).unwrap();
        }
        let written = image.to_records();
        assert_eq!(written.iter().map(|(r, _)| r.clone()).collect::<Vec<_>>(), records());
        for (record, version) in written {
            let bytes = record.encode(version).unwrap();
            assert_eq!(MetadataRecord::decode(&bytes).unwrap(), (record, version));
        }
    }

    #[test]
    fn a_snapshot_can_be_written_at_every_release() {
        for release in super::super::features::RELEASES {
            let level =
                FeatureLevelRecord { name: METADATA_VERSION.into(), feature_level: release.level };
            let topic_id = Uuid::from_halves(1, 2);
            let records: [MetadataRecord; 4] = [
                level.into(),
                RegisterBrokerRecord { broker_id: 1, ..Default::default() }.into(),
                TopicRecord { name: "t".into(), topic_id }.into(),
                PartitionRecord {
                    partition_id: 0,
                    topic_id,
                    replicas: vec![1],
                    ..Default::default()
                }
                .into(),
            ];
            let mut image = MetadataImage::default();
            for record in &records {
                image.apply(record, &mut Changes::default()).unwrap();
            }
            let mut again = MetadataImage::default();
            for (record, version) in image.to_records() {
                let bytes = record.encode(version).unwrap();
                let (record, _) = MetadataRecord::decode(&bytes).unwrap();
                again.apply(&record, &mut Changes::default()).unwrap();
            }
            assert_eq!(again, image, "{release}");
        }
    }
}
