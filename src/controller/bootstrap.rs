//! With which records a leader of the metadata log begins (Kafka 4.4 `ActivationRecordsGenerator`,
//! `BootstrapMetadata`).

use crate::metadata::features::{ELIGIBLE_LEADER_REPLICAS_VERSION, METADATA_VERSION, Release};
use crate::metadata::record::{
    AbortTransactionRecord, BeginTransactionRecord, ConfigRecord, EndTransactionRecord,
    FeatureLevelRecord, MetadataRecord,
};
use crate::metadata::{ConfigResource, ResourceType};

/// The topic configuration that a cluster with eligible leader replicas must have.
pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Why a leader cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The bootstrap records name no release.
    #[error("No FeatureLevelRecord for metadata.version was found in the bootstrap metadata")]
    NoRelease,
    /// They name one that is not known.
    #[error("bootstrap metadata: {0}")]
    Release(#[from] crate::metadata::features::FeatureError),
    /// A transaction is open that the release does not have.
    #[error(
        "Detected in-progress transaction, but the metadata.version {0} does not support \
         transactions. Cannot continue."
    )]
    Transaction(Release),
}

/// The records of a directory that names none (`BootstrapMetadata.fromDirectory`).
pub fn default_records() -> Vec<MetadataRecord> {
    let name = METADATA_VERSION.to_owned();
    vec![FeatureLevelRecord { name, feature_level: Release::LATEST.level }.into()]
}

/// A log that has records: only a transaction that a former leader left open is ended.
pub(super) fn of_known_log(
    in_transaction: bool,
    release: Release,
) -> Result<Vec<MetadataRecord>, BootstrapError> {
    match (in_transaction, release.has_transactions()) {
        (false, _) => Ok(Vec::new()),
        (true, true) => Ok(vec![abort()]),
        (true, false) => Err(BootstrapError::Transaction(release)),
    }
}

/// A log without a metadata.version: the bootstrap records, as one transaction where there are
/// transactions.
pub(super) fn of_empty_log(
    in_transaction: bool,
    bootstrap: &[MetadataRecord],
    min_insync_replicas: i32,
) -> Result<Vec<MetadataRecord>, BootstrapError> {
    let level_of = |name: &str| {
        bootstrap.iter().rev().find_map(|record| match record {
            MetadataRecord::FeatureLevel(feature) if feature.name == name => {
                Some(feature.feature_level)
            }
            _ => None,
        })
    };
    let release =
        Release::from_level(level_of(METADATA_VERSION).ok_or(BootstrapError::NoRelease)?)?;
    let has_transactions = release.has_transactions();
    if in_transaction && !has_transactions {
        return Err(BootstrapError::Transaction(release));
    }
    let mut records = Vec::with_capacity(bootstrap.len() + 4);
    records.extend(in_transaction.then(abort));
    if has_transactions {
        let name = Some("Bootstrap records".to_owned());
        records.push(BeginTransactionRecord { name }.into());
    }
    records.extend_from_slice(bootstrap);
    // Eligible leaders are those that the ISR's minimum makes safe: it must not differ by broker.
    if level_of(ELIGIBLE_LEADER_REPLICAS_VERSION).unwrap_or(0) > 0 {
        records.push(min_insync_replicas_of_cluster(min_insync_replicas));
    }
    if has_transactions {
        records.push(EndTransactionRecord {}.into());
    }
    Ok(records)
}

/// `min.insync.replicas` for all brokers.
pub(super) fn min_insync_replicas_of_cluster(value: i32) -> MetadataRecord {
    let cluster = ConfigResource::default_broker();
    ConfigRecord {
        resource_type: ResourceType::Broker as i8,
        resource_name: cluster.name,
        name: MIN_INSYNC_REPLICAS.to_owned(),
        value: Some(value.to_string()),
    }
    .into()
}

fn abort() -> MetadataRecord {
    AbortTransactionRecord { reason: Some("Controller failover".to_owned()) }.into()
}
