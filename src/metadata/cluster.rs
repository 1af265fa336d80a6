//! Brokers and controllers.

use std::collections::BTreeMap;

use super::apply_error::ApplyError;
use super::record::{
    BrokerRegistrationChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
};
use crate::types::{BrokerId, Uuid};

/// Where a node is reached on one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerEndpoint {
    /// The listener's name.
    pub name: String,
    /// Host name or address, as advertised.
    pub host: String,
    /// Port, as advertised.
    pub port: u16,
    /// Kafka's number of the security protocol: 0 is PLAINTEXT.
    pub security_protocol: i16,
}

/// The levels of a feature that a node supports, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRange {
    /// The feature.
    pub name: String,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// The offset of its registration: fences a former life.
    pub epoch: i64,
    /// Drawn anew by each process.
    pub incarnation_id: Uuid,
    /// Where clients and brokers reach it.
    pub endpoints: Vec<ListenerEndpoint>,
    /// What it supports.
    pub features: Vec<FeatureRange>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Not fit to lead or to be named to clients.
    pub fenced: bool,
    /// Asked to stop.
    pub in_controlled_shutdown: bool,
    /// The ids of its online log directories, in Kafka's order of ids.
    pub log_dirs: Vec<Uuid>,
    /// Log directories that take no new replicas (KIP-1066); `None` when never said.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
    /// A relic of the migration from ZooKeeper, kept as it was stored.
    pub is_migrating_zk_broker: bool,
}

impl Broker {
    /// The endpoint on a listener.
    pub fn endpoint(&self, listener: &str) -> Option<&ListenerEndpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == listener)
    }
}

/// A registered controller (KIP-919).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its id.
    pub id: BrokerId,
    /// Drawn anew by each process.
    pub incarnation_id: Uuid,
    /// A relic of the migration from ZooKeeper, kept as it was stored.
    pub zk_migration_ready: bool,
    /// Where it is reached.
    pub endpoints: Vec<ListenerEndpoint>,
    /// What it supports.
    pub features: Vec<FeatureRange>,
}

/// The nodes of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Brokers by id.
    pub brokers: BTreeMap<BrokerId, Broker>,
    /// Controllers by id.
    pub controllers: BTreeMap<BrokerId, Controller>,
}

macro_rules! endpoints {
    ($from:expr) => {
        $from
            .iter()
            .map(|endpoint| ListenerEndpoint {
                name: endpoint.name.clone(),
                host: endpoint.host.clone(),
                port: endpoint.port,
                security_protocol: endpoint.security_protocol,
            })
            .collect()
    };
}

macro_rules! feature_ranges {
    ($from:expr) => {
        $from
            .iter()
            .map(|feature| FeatureRange {
                name: feature.name.clone(),
                min: feature.min_supported_version,
                max: feature.max_supported_version,
            })
            .collect()
    };
}

/// In the order of Java's `Uuid.compareTo`, which takes both halves for signed numbers.
fn sorted(directories: &[Uuid]) -> Vec<Uuid> {
    let mut directories = directories.to_vec();
    directories.sort_by_key(|id| {
        let number = u128::from_be_bytes(id.0);
        ((number >> 64) as i64, number as i64)
    });
    directories
}

impl Cluster {
    /// Brokers that clients may be told of.
    pub fn alive(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values().filter(|broker| !broker.fenced)
    }

    /// Whether `id` is registered and not fenced.
    pub fn is_alive(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(|broker| !broker.fenced)
    }

    pub(super) fn register_broker(&mut self, record: &RegisterBrokerRecord) {
        let broker = Broker {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: endpoints!(record.end_points),
            features: feature_ranges!(record.features),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: sorted(&record.log_dirs),
            cordoned_log_dirs: record.cordoned_log_dirs.clone(),
            is_migrating_zk_broker: record.is_migrating_zk_broker,
        };
        self.brokers.insert(broker.id, broker);
    }

    pub(super) fn register_controller(&mut self, record: &RegisterControllerRecord) {
        let controller = Controller {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: endpoints!(record.end_points),
            features: feature_ranges!(record.features),
        };
        self.controllers.insert(controller.id, controller);
    }

    /// The registration of `id`, if its epoch is the one that a record speaks of.
    fn broker_mut(&mut self, id: BrokerId, epoch: i64) -> Result<&mut Broker, ApplyError> {
        match self.brokers.get_mut(&id) {
            Some(broker) if broker.epoch == epoch => Ok(broker),
            Some(broker) => {
                Err(ApplyError::BrokerEpoch { id, record: epoch, registered: broker.epoch })
            }
            None => Err(ApplyError::UnknownBroker { id }),
        }
    }

    pub(super) fn unregister_broker(&mut self, id: BrokerId, epoch: i64) -> Result<(), ApplyError> {
        self.broker_mut(id, epoch)?;
        self.brokers.remove(&id);
        Ok(())
    }

    pub(super) fn unregister_controller(&mut self, id: BrokerId) -> Result<(), ApplyError> {
        self.controllers.remove(&id).map(|_| ()).ok_or(ApplyError::UnknownController { id })
    }

    pub(super) fn set_fenced(
        &mut self,
        id: BrokerId,
        epoch: i64,
        fenced: bool,
    ) -> Result<(), ApplyError> {
        self.broker_mut(id, epoch)?.fenced = fenced;
        Ok(())
    }

    pub(super) fn change_broker(
        &mut self,
        record: &BrokerRegistrationChangeRecord,
    ) -> Result<(), ApplyError> {
        let id = record.broker_id;
        let unknown = |field, value| Err(ApplyError::UnknownChange { id, field, value });
        let broker = self.broker_mut(id, record.broker_epoch)?;
        let fenced = match record.fenced {
            1 => true,
            0 => broker.fenced,
            -1 => false,
            value => return unknown("fenced", value),
        };
        let in_controlled_shutdown = match record.in_controlled_shutdown {
            1 => true,
            0 => broker.in_controlled_shutdown,
            value => return unknown("in_controlled_shutdown", value),
        };
        (broker.fenced, broker.in_controlled_shutdown) = (fenced, in_controlled_shutdown);
        if !record.log_dirs.is_empty() {
            broker.log_dirs = sorted(&record.log_dirs);
        }
        if let Some(cordoned) = &record.cordoned_log_dirs {
            broker.cordoned_log_dirs = Some(cordoned.clone());
        }
        Ok(())
    }
}
