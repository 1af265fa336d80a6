//! Brokers and controllers come, are alive, stop and go (Kafka 4.4 `ClusterControlManager`,
//! `BrokerHeartbeatManager`).
//!
//! A new incarnation of a broker leads nothing that its former self led: its registration takes
//! the leaderships away, and unfencing it gives back those that nobody else has. So each start
//! raises the leader epochs before the first append, and a consumer can tell a lost tail.

use super::command::{
    BrokerHeartbeat, BrokerHeartbeatReply, Refusal, RegisterBroker, RegisterController,
    UnregisterBroker, UnregisterController,
};
use super::machine::{BrokerSession, Context, Controller, ControllerDecision, Settings};
use super::partitions::{NO_LEADER, Terms};
use super::placement::UsableBroker;
use crate::metadata::cluster::FeatureRange;
use crate::metadata::features::{KRAFT_VERSION, METADATA_VERSION};
use crate::metadata::record::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ControllerEndpoint,
    ControllerFeature, MetadataRecord, RegisterBrokerRecord, RegisterControllerRecord,
    UnregisterBrokerRecord, UnregisterControllerRecord,
};
use crate::metadata::{Broker, Partition};
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, ErrorCode, Mono, Offset, TopicPartition, Uuid};

/// A broker in the eyes of its heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BrokerState {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

/// What happened to a broker, for the partitions that it concerns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BrokerChange {
    /// It leaves the in-sync replicas and leads nothing.
    pub(super) remove: Option<BrokerId>,
    /// It may lead, though the image still shows it fenced.
    pub(super) add: Option<BrokerId>,
    /// It stopped uncleanly: it may lack what it acknowledged.
    pub(super) unclean: Option<BrokerId>,
}

pub(super) fn has_uncordoned_dirs(broker: &Broker) -> bool {
    match &broker.cordoned_log_dirs {
        Some(cordoned) if !broker.log_dirs.is_empty() => {
            broker.log_dirs.iter().any(|directory| !cordoned.contains(directory))
        }
        _ => true,
    }
}

fn is_reserved(directory: Uuid) -> bool {
    directory < Uuid::from_halves(0, 100)
}

impl Controller {
    pub(super) fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.image().cluster.brokers.get(&id)
    }

    /// Alive, and not about to stop.
    pub(super) fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
    }

    pub(super) fn check_epoch(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&Broker, Refusal> {
        let stale = |message| Refusal::new(ErrorCode::StaleBrokerEpoch, message);
        match self.broker(id) {
            None => Err(stale(format!("No broker registration found for broker id {id}"))),
            Some(broker) if broker.epoch != epoch => Err(stale(format!(
                "Expected broker epoch {}, but got broker epoch {epoch}",
                broker.epoch
            ))),
            Some(broker) => Ok(broker),
        }
    }

    /// Where a broker's new replicas go: known only if it has one directory.
    pub(super) fn default_directory(&self, id: BrokerId) -> Uuid {
        if !self.image().release.has_directories() {
            return Uuid::MIGRATING_DIRECTORY;
        }
        match self.broker(id).map(|broker| broker.log_dirs.as_slice()) {
            Some([]) => Uuid::MIGRATING_DIRECTORY,
            Some([only]) => *only,
            Some(_) | None => Uuid::UNASSIGNED_DIRECTORY,
        }
    }

    pub(super) fn usable_brokers(&self) -> Vec<UsableBroker> {
        let brokers = self.image().cluster.brokers.values();
        brokers
            .filter(|broker| {
                let session = self.sessions.get(&broker.id);
                let is_stopping = session.is_some_and(|session| session.shutdown_offset.is_some());
                !is_stopping && has_uncordoned_dirs(broker)
            })
            .map(|broker| UsableBroker {
                id: broker.id,
                rack: broker.rack.clone(),
                fenced: broker.fenced,
            })
            .collect()
    }

    pub(super) fn register_broker(
        &mut self,
        context: Context,
        command: RegisterBroker,
    ) -> Result<ControllerDecision<BrokerEpoch>, Refusal> {
        self.check_registration(context.now, &command)?;
        let id = command.broker_id;
        let release = self.image().release;
        let existing = self.broker(id);
        let is_same =
            existing.is_some_and(|broker| broker.incarnation_id == command.incarnation_id);
        let mut record = RegisterBrokerRecord {
            broker_id: id,
            incarnation_id: command.incarnation_id,
            rack: command.rack.clone(),
            end_points: command
                .endpoints
                .iter()
                .map(|at| BrokerEndpoint {
                    name: at.name.clone(),
                    host: at.host.clone(),
                    port: at.port,
                    security_protocol: at.security_protocol,
                })
                .collect(),
            features: command
                .features
                .iter()
                .map(|range| BrokerFeature {
                    name: range.name.clone(),
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                })
                .collect(),
            log_dirs: if release.has_directories() { command.log_dirs } else { Vec::new() },
            ..RegisterBrokerRecord::default()
        };
        let mut records = Vec::new();
        match existing {
            Some(broker) if is_same => {
                record.fenced = broker.fenced;
                record.in_controlled_shutdown = broker.in_controlled_shutdown;
                record.broker_epoch = broker.epoch;
            }
            existing => {
                let last_epoch = existing.map_or(-2, |broker| broker.epoch);
                let is_clean = command.previous_epoch == Some(last_epoch);
                records = self.after_shutdown(id, is_clean);
                record.broker_epoch = context.next_offset;
                tracing::info!(
                    broker = id,
                    epoch = record.broker_epoch,
                    previous_epoch = last_epoch,
                    clean = is_clean,
                    partitions = records.len(),
                    "registering a new incarnation"
                );
            }
        }
        let epoch = record.broker_epoch;
        let session = self.sessions.entry(id).or_insert(BrokerSession {
            epoch,
            contact: context.now,
            metadata_offset: -1,
            shutdown_offset: None,
        });
        if !is_same {
            *session =
                BrokerSession { epoch, shutdown_offset: None, metadata_offset: -1, ..*session };
        }
        // Last, so that a leader that fails in between finds the broker unregistered still.
        records.push(record.into());
        Ok(ControllerDecision::split(records, epoch))
    }

    fn check_registration(&self, now: Mono, command: &RegisterBroker) -> Result<(), Refusal> {
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidRegistration, message);
        let Settings { cluster_id, node_id, .. } = &self.settings;
        if command.cluster_id != *cluster_id {
            return Err(Refusal::new(
                ErrorCode::InconsistentClusterId,
                format!(
                    "Expected cluster ID {cluster_id}, but got cluster ID {}",
                    command.cluster_id
                ),
            ));
        }
        let id = command.broker_id;
        // The controller's own broker runs in this process: its former self is gone.
        if let Some(existing) = self.broker(id).filter(|_| id != *node_id) {
            let is_alive = self.sessions.get(&id).is_some_and(|session| {
                session.epoch == existing.epoch
                    && now.since(session.contact) < self.settings.session_timeout
            });
            if is_alive && existing.incarnation_id != command.incarnation_id {
                return Err(Refusal::new(
                    ErrorCode::DuplicateBrokerRegistration,
                    "Another broker is registered with that broker id. If the broker was recently \
                     restarted this should self-resolve once the heartbeat manager expires the \
                     broker's session.",
                ));
            }
        }
        if self.image().release.has_directories() {
            let dirs = &command.log_dirs;
            if dirs.is_empty() {
                return Err(invalid("No directories specified in request".to_owned()));
            }
            if dirs.iter().any(|directory| is_reserved(*directory)) {
                return Err(invalid("Reserved directory ID in request".to_owned()));
            }
            for (at, directory) in dirs.iter().enumerate() {
                if dirs[..at].contains(directory) {
                    return Err(invalid("Duplicate directory ID in request".to_owned()));
                }
                let others = self.image().cluster.brokers.values().filter(|other| other.id != id);
                for other in others {
                    if other.log_dirs.contains(directory) {
                        return Err(invalid(format!(
                            "Broker {} is already registered with directory {directory}",
                            other.id
                        )));
                    }
                }
            }
        }
        self.check_features(&command.features)
    }

    /// A node must support every finalized level.
    fn check_features(&self, ranges: &[FeatureRange]) -> Result<(), Refusal> {
        let finalized = |name: &str| match name {
            METADATA_VERSION => self.image().release.level,
            KRAFT_VERSION => self.settings.kraft_version,
            name => self.image().features.get(name).copied().unwrap_or(0),
        };
        let check = |name: &str, min: i16, max: i16| {
            let level = finalized(name);
            if (min..=max).contains(&level) {
                return Ok(());
            }
            Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                format!(
                    "Unable to register because the broker does not support finalized version \
                     {level} of {name}. The broker wants a version between {min} and {max}, \
                     inclusive."
                ),
            ))
        };
        for range in ranges {
            check(&range.name, range.min, range.max)?;
        }
        if !ranges.iter().any(|range| range.name == METADATA_VERSION) {
            return Err(Refusal::new(
                ErrorCode::InvalidRegistration,
                "Request features do not contain 'metadata.version'",
            ));
        }
        let names = self.image().features.keys().map(String::as_str).chain([KRAFT_VERSION]);
        for name in names {
            if finalized(name) != 0 && !ranges.iter().any(|range| range.name == name) {
                check(name, 0, 0)?;
            }
        }
        Ok(())
    }

    /// A new incarnation is there: its former self leads nothing and, unless it is known to have
    /// stopped cleanly, may lack what it acknowledged.
    fn after_shutdown(&self, id: BrokerId, is_clean: bool) -> Vec<MetadataRecord> {
        if self.has_elr() && !is_clean {
            let change = BrokerChange { unclean: Some(id), ..BrokerChange::default() };
            self.partition_changes(change, |partition| {
                partition.isr.contains(&id) || partition.elr.contains(&id)
            })
        } else {
            let change = BrokerChange { remove: Some(id), ..BrokerChange::default() };
            self.partition_changes(change, |partition| partition.isr.contains(&id))
        }
    }

    /// The records of all partitions that `concerned` picks, after what happened to a broker
    /// (Kafka 4.4 `ReplicationControlManager.generateLeaderAndIsrUpdates`).
    pub(super) fn partition_changes(
        &self,
        change: BrokerChange,
        concerned: impl Fn(&Partition) -> bool,
    ) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        for topic in self.image().topics.iter() {
            let mut terms = None; // A restart concerns every partition, a topic's terms are one.
            for (index, partition) in (0..).zip(&topic.partitions) {
                if concerned(partition) {
                    let terms = *terms.get_or_insert_with(|| self.terms_of(topic));
                    let id = TopicPartition { topic: topic.id, partition: index };
                    records.extend(self.partition_change(change, terms, id, partition));
                }
            }
        }
        records
    }

    pub(super) fn partition_change(
        &self,
        change: BrokerChange,
        terms: Terms,
        id: TopicPartition,
        partition: &Partition,
    ) -> Option<MetadataRecord> {
        let gone = |id: BrokerId| change.remove == Some(id) || change.unclean == Some(id);
        let is_candidate =
            |id: BrokerId| !gone(id) && (change.add == Some(id) || self.is_active(id));
        let isr = partition.isr.iter().copied().filter(|id| !gone(*id)).collect();
        let TopicPartition { topic, partition: index } = id;
        self.change_under(terms.rules, topic, index, partition, &is_candidate, |builder| {
            builder.election(terms.election).uncleanly_stopped(change.unclean).isr(isr)
        })
    }

    pub(super) fn heartbeat(
        &mut self,
        context: Context,
        command: BrokerHeartbeat,
    ) -> Result<ControllerDecision<BrokerHeartbeatReply>, Refusal> {
        let id = command.broker_id;
        let Some(registered_at) = self.registered_at.get(&id).copied() else {
            return Err(Refusal::new(
                ErrorCode::StaleBrokerEpoch,
                format!("Receive a heartbeat from broker {id} before registration"),
            ));
        };
        let broker = self.check_epoch(id, command.broker_epoch)?;
        let (fenced, epoch) = (broker.fenced, broker.epoch);
        let state = self.state(id, fenced);
        let next = self.next_state(state, &command, registered_at);
        let mut records = match next {
            next if next == state => Vec::new(),
            BrokerState::Fenced | BrokerState::ShutdownNow => self.fence(id),
            BrokerState::Unfenced => self.unfence(id),
            BrokerState::ControlledShutdown => self.begin_controlled_shutdown(id),
        };
        let will_be_fenced = matches!(next, BrokerState::Fenced | BrokerState::ShutdownNow);
        let release = self.image().release;
        if release.has_directories() {
            records.extend(self.take_directories_offline(id, &command.offline_log_dirs));
        }
        if release.has_cordoned_directories() {
            records.extend(self.cordon(id, command.cordoned_log_dirs));
        }
        let end = context.next_offset + records.len() as Offset - 1;
        let session = self.sessions.entry(id).or_insert(BrokerSession {
            epoch,
            contact: context.now,
            metadata_offset: -1,
            shutdown_offset: None,
        });
        session.contact = context.now;
        session.epoch = epoch;
        session.metadata_offset = command.metadata_offset;
        if will_be_fenced {
            session.shutdown_offset = None; // A fenced broker may stop at once.
        } else if next == BrokerState::ControlledShutdown {
            session.shutdown_offset.get_or_insert(end);
        }
        let reply = BrokerHeartbeatReply {
            is_caught_up: command.metadata_offset >= registered_at,
            is_fenced: will_be_fenced,
            in_controlled_shutdown: next == BrokerState::ControlledShutdown,
            should_shut_down: next == BrokerState::ShutdownNow,
        };
        Ok(ControllerDecision::split(records, reply))
    }

    fn state(&self, id: BrokerId, fenced: bool) -> BrokerState {
        let session = self.sessions.get(&id);
        if session.is_some_and(|session| session.shutdown_offset.is_some()) {
            BrokerState::ControlledShutdown
        } else if fenced {
            BrokerState::Fenced
        } else {
            BrokerState::Unfenced
        }
    }

    fn next_state(
        &self,
        state: BrokerState,
        wish: &BrokerHeartbeat,
        registered_at: Offset,
    ) -> BrokerState {
        let leads = || {
            let id = wish.broker_id;
            let mut topics = self.image().topics.iter();
            topics.any(|topic| topic.partitions.iter().any(|partition| partition.leader == id))
        };
        match state {
            BrokerState::Fenced if wish.want_shut_down => BrokerState::ShutdownNow,
            BrokerState::Fenced if !wish.want_fence && wish.metadata_offset >= registered_at => {
                BrokerState::Unfenced
            }
            BrokerState::Fenced => BrokerState::Fenced,
            BrokerState::Unfenced if wish.want_fence && wish.want_shut_down => {
                BrokerState::ShutdownNow
            }
            BrokerState::Unfenced if wish.want_fence => BrokerState::Fenced,
            BrokerState::Unfenced if wish.want_shut_down && leads() => {
                BrokerState::ControlledShutdown
            }
            BrokerState::Unfenced if wish.want_shut_down => BrokerState::ShutdownNow,
            BrokerState::Unfenced => BrokerState::Unfenced,
            BrokerState::ControlledShutdown if leads() => BrokerState::ControlledShutdown,
            // It may stop once everybody knows who leads in its place.
            BrokerState::ControlledShutdown => {
                let end = self.sessions.get(&wish.broker_id).and_then(|s| s.shutdown_offset);
                if end.is_none_or(|end| end <= self.lowest_active_offset()) {
                    BrokerState::ShutdownNow
                } else {
                    BrokerState::ControlledShutdown
                }
            }
            BrokerState::ShutdownNow => BrokerState::ShutdownNow,
        }
    }

    /// How far the slowest broker that is alive and stays has applied the metadata; without one,
    /// as far as can be.
    fn lowest_active_offset(&self) -> Offset {
        let active = self.sessions.iter().filter(|(id, session)| {
            session.shutdown_offset.is_none() && self.broker(**id).is_some_and(|b| !b.fenced)
        });
        active.map(|(_, session)| session.metadata_offset).min().unwrap_or(Offset::MAX)
    }

    fn fence(&self, id: BrokerId) -> Vec<MetadataRecord> {
        let change = BrokerChange { remove: Some(id), ..BrokerChange::default() };
        let mut records = self.partition_changes(change, |p| p.isr.contains(&id));
        if let Some(broker) = self.broker(id) {
            records.push(registration_change(broker, |record| record.fenced = 1));
        }
        records
    }

    fn unfence(&self, id: BrokerId) -> Vec<MetadataRecord> {
        let change = BrokerChange { add: Some(id), ..BrokerChange::default() };
        let broker = self.broker(id).into_iter();
        let mut records: Vec<MetadataRecord> =
            broker.map(|broker| registration_change(broker, |record| record.fenced = -1)).collect();
        records.extend(self.partition_changes(change, |p| p.leader == NO_LEADER));
        records
    }

    fn begin_controlled_shutdown(&self, id: BrokerId) -> Vec<MetadataRecord> {
        let change = BrokerChange { remove: Some(id), ..BrokerChange::default() };
        let broker = self.broker(id).filter(|broker| !broker.in_controlled_shutdown).into_iter();
        let mut records: Vec<MetadataRecord> = broker
            .map(|broker| registration_change(broker, |record| record.in_controlled_shutdown = 1))
            .collect();
        records.extend(self.partition_changes(change, |p| p.isr.contains(&id)));
        records
    }

    fn take_directories_offline(&self, id: BrokerId, offline: &[Uuid]) -> Vec<MetadataRecord> {
        let Some(broker) = self.broker(id) else { return Vec::new() };
        let (gone, left): (Vec<Uuid>, Vec<Uuid>) =
            broker.log_dirs.iter().copied().partition(|directory| offline.contains(directory));
        if gone.is_empty() {
            return Vec::new();
        }
        let change = BrokerChange { remove: Some(id), ..BrokerChange::default() };
        let mut records = self.partition_changes(change, |partition| {
            partition.directory_of(id).is_some_and(|directory| gone.contains(&directory))
        });
        tracing::warn!(broker = id, ?gone, ?left, "log directories are offline");
        records.push(registration_change(broker, |record| record.log_dirs = left));
        records
    }

    fn cordon(&self, id: BrokerId, cordoned: Option<Vec<Uuid>>) -> Option<MetadataRecord> {
        let (broker, cordoned) = (self.broker(id)?, cordoned?);
        let is_known = broker.cordoned_log_dirs.as_ref().is_some_and(|known| {
            known.iter().all(|directory| cordoned.contains(directory))
                && cordoned.iter().all(|directory| known.contains(directory))
        });
        let change = |record: &mut BrokerRegistrationChangeRecord| {
            record.cordoned_log_dirs = Some(cordoned);
        };
        (!is_known).then(|| registration_change(broker, change))
    }

    pub(super) fn unregister_broker(
        &mut self,
        _context: Context,
        command: UnregisterBroker,
    ) -> Result<ControllerDecision<()>, Refusal> {
        let id = command.broker_id;
        let Some(broker) = self.broker(id) else {
            return Err(Refusal::new(
                ErrorCode::BrokerIdNotRegistered,
                format!("Broker ID {id} is not currently registered"),
            ));
        };
        let change = BrokerChange { remove: Some(id), ..BrokerChange::default() };
        let mut records =
            self.partition_changes(change, |p| p.isr.contains(&id) || p.elr.contains(&id));
        records.push(UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch }.into());
        Ok(ControllerDecision::split(records, ()))
    }

    pub(super) fn register_controller(
        &mut self,
        _context: Context,
        command: RegisterController,
    ) -> Result<ControllerDecision<()>, Refusal> {
        if !self.image().release.has_controller_registration() {
            return Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                "The current MetadataVersion is too old to support controller registrations.",
            ));
        }
        let record = RegisterControllerRecord {
            controller_id: command.controller_id,
            incarnation_id: command.incarnation_id,
            zk_migration_ready: false,
            end_points: command
                .endpoints
                .into_iter()
                .map(|at| ControllerEndpoint {
                    name: at.name,
                    host: at.host,
                    port: at.port,
                    security_protocol: at.security_protocol,
                })
                .collect(),
            features: command
                .features
                .into_iter()
                .map(|range| ControllerFeature {
                    name: range.name,
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                })
                .collect(),
        };
        Ok(ControllerDecision::atomic(vec![record.into()], ()))
    }

    pub(super) fn unregister_controller(
        &mut self,
        _context: Context,
        command: UnregisterController,
    ) -> Result<ControllerDecision<()>, Refusal> {
        let controller_id = command.controller_id;
        if self.settings.voters.contains(&controller_id) {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!(
                    "Cannot unregister controller {controller_id} because it is part of the voter \
                     set."
                ),
            ));
        }
        if !self.image().release.has_controller_unregistration() {
            return Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                "The current MetadataVersion is too old to support controller unregistration.",
            ));
        }
        if !self.image().cluster.controllers.contains_key(&controller_id) {
            return Err(Refusal::new(
                ErrorCode::ControllerIdNotRegistered,
                format!("Controller ID {controller_id} is not currently registered."),
            ));
        }
        Ok(ControllerDecision::atomic(
            vec![UnregisterControllerRecord { controller_id }.into()],
            (),
        ))
    }

    /// When the next broker will not have been heard of for too long.
    pub(super) fn next_expiry(&self) -> Option<Mono> {
        let timeout = self.settings.session_timeout;
        self.expirable().map(|(_, session)| session.contact + timeout).min()
    }

    /// Fences the broker that was longest not heard of, if that is too long ago. One at a time, so
    /// that each sees what the one before left.
    pub(super) fn expire_session(&mut self, now: Mono) -> Vec<MetadataRecord> {
        let timeout = self.settings.session_timeout;
        let oldest = self
            .expirable()
            .filter(|(_, session)| session.contact + timeout <= now)
            .min_by_key(|(_, session)| session.contact)
            .map(|(id, _)| id);
        let Some(id) = oldest else { return Vec::new() };
        tracing::info!(broker = id, "fencing: its session has timed out");
        self.fence(id)
    }

    /// The brokers whose silence means something: this node's own runs in this process.
    fn expirable(&self) -> impl Iterator<Item = (BrokerId, &BrokerSession)> {
        self.sessions.iter().map(|(id, session)| (*id, session)).filter(|(id, session)| {
            *id != self.settings.node_id
                && self.broker(*id).is_some_and(|b| !b.fenced && b.epoch == session.epoch)
        })
    }
}

fn registration_change(
    broker: &Broker,
    change: impl FnOnce(&mut BrokerRegistrationChangeRecord),
) -> MetadataRecord {
    let mut record = BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        ..BrokerRegistrationChangeRecord::default()
    };
    change(&mut record);
    record.into()
}
