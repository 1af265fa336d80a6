//! The controller: commands to records and replies, records to the next image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::bootstrap;
use super::command::{Command, Refusal, Reply};
use super::config_rules::ConfigRules;
use super::placement::Entropy;
use crate::metadata::MetadataImage;
use crate::metadata::record::{MetadataRecord, NoOpRecord};
use crate::metadata::replay::{Replay, ReplayError};
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono, Offset};

/// No request may write more records (Kafka 4.4 `QuorumController.MAX_RECORDS_PER_USER_OP`), and
/// no batch holds more (`MAX_RECORDS_PER_BATCH`).
pub const RECORDS_MAX: usize = 10_000;

/// A record of the log that cannot be replayed: the log is of another history, or of a newer
/// release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata log at offset {offset}: {source}")]
pub struct HistoryError {
    /// The offset of the record.
    pub offset: Offset,
    /// What is wrong with it.
    pub source: ReplayError,
}

/// What the controller is told once, at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub node_id: BrokerId,
    /// This cluster.
    pub cluster_id: String,
    /// The voters of the quorum.
    pub voters: BTreeSet<BrokerId>,
    /// The version of the quorum.
    pub kraft_version: i16,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `min.insync.replicas`, as configured statically.
    pub min_insync_replicas: i32,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// `metadata.max.idle.interval.ms`; `None`: no record is written for its own sake.
    pub max_idle_interval: Option<Duration>,
}

/// What a decision needs from outside.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// When it is made.
    pub now: Mono,
    /// The offset that its first record will get.
    pub next_offset: Offset,
    /// Where its randomness comes from.
    pub seed: u128,
}

impl Context {
    /// Randomness for this decision.
    pub(super) fn entropy(&self) -> Entropy {
        Entropy::new(self.seed)
    }
}

/// A decision. The reply is given once the records are committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What to append and apply.
    pub records: Vec<MetadataRecord>,
    /// Whether the records must stand in one batch. Else a batch may end after any of them.
    pub atomic: bool,
    /// The answer.
    pub reply: Result<Reply, Refusal>,
}

/// Records with the reply to one command.
pub(super) struct ControllerDecision<R> {
    pub(super) records: Vec<MetadataRecord>,
    pub(super) atomic: bool,
    pub(super) reply: R,
}

impl<R> ControllerDecision<R> {
    /// Records that stand or fall together.
    pub(super) fn atomic(records: Vec<MetadataRecord>, reply: R) -> Self {
        Self { records, atomic: true, reply }
    }

    /// Records that may be split over batches.
    pub(super) fn split(records: Vec<MetadataRecord>, reply: R) -> Self {
        Self { records, atomic: false, reply }
    }

    /// The same without records, if it was only to be checked.
    pub(super) fn unless(mut self, validate_only: bool) -> Self {
        if validate_only {
            self.records.clear();
        }
        self
    }
}

/// What is known of a broker beside its registration. Soft: lost with the controller.
#[derive(Clone, Debug)]
pub(super) struct BrokerSession {
    /// Which registration it belongs to.
    pub(super) epoch: BrokerEpoch,
    /// The last heartbeat.
    pub(super) contact: Mono,
    /// How far it has applied the metadata; -1: not known.
    pub(super) metadata_offset: Offset,
    /// Where the records that move its leaderships end, once it wants to stop.
    pub(super) shutdown_offset: Option<Offset>,
}

/// The controller of a cluster, as a pure machine. Hard state changes only in [`Self::apply`];
/// [`Self::decide`] may touch what is soft: who was heard of, and when.
pub struct Controller {
    pub(super) settings: Settings,
    pub(super) rules: Arc<dyn ConfigRules>,
    replay: Replay,
    /// The offset of each broker's registration. Of a broker that was registered before this
    /// machine was made, the offset of the image that it was made from, which is not below.
    pub(super) registered_at: BTreeMap<BrokerId, Offset>,
    pub(super) sessions: BTreeMap<BrokerId, BrokerSession>,
    last_record: Mono,
}

impl Controller {
    /// A controller of an empty cluster: records come through [`Self::apply`].
    pub fn new(settings: Settings, rules: Arc<dyn ConfigRules>) -> Self {
        Self::from_committed(settings, rules, MetadataImage::default(), false)
    }

    /// A controller that begins with what is committed. `in_transaction`: a metadata transaction
    /// was begun after the image and not ended; [`Self::activate`] aborts it.
    pub fn from_committed(
        settings: Settings,
        rules: Arc<dyn ConfigRules>,
        image: MetadataImage,
        in_transaction: bool,
    ) -> Self {
        let registered = image.cluster.brokers.keys();
        Self {
            settings,
            rules,
            registered_at: registered.map(|id| (*id, image.offset)).collect(),
            replay: Replay::from_image(image, in_transaction),
            sessions: BTreeMap::new(),
            last_record: Mono::default(),
        }
    }

    /// Tells it who votes, which the log says.
    pub fn join(&mut self, voters: impl Iterator<Item = BrokerId>, kraft_version: i16) {
        self.settings.voters = voters.collect();
        self.settings.kraft_version = kraft_version;
    }

    /// The quorum's version was upgraded; its voters are the same.
    pub fn set_kraft_version(&mut self, version: i16) {
        self.settings.kraft_version = version;
    }

    /// The metadata as of the last record applied.
    pub fn image(&self) -> &MetadataImage {
        self.replay.image()
    }

    /// Whether a metadata transaction is open: no snapshot can be taken now.
    pub fn in_transaction(&self) -> bool {
        self.replay.in_transaction()
    }

    /// Exchanges the image for an equal one, which was replayed from the committed log, so that
    /// the two share their memory.
    pub fn share(&mut self, committed: &MetadataImage) {
        self.replay.share(committed);
    }

    /// The records with which a new leader begins: the first ones of a cluster from `bootstrap`,
    /// if the log has none, and the end of a transaction that a former leader left open (Kafka
    /// 4.4 `ActivationRecordsGenerator`).
    pub fn activate(
        &mut self,
        now: Mono,
        bootstrap: &[MetadataRecord],
    ) -> Result<Vec<MetadataRecord>, bootstrap::BootstrapError> {
        for broker in self.replay.image().cluster.brokers.values().filter(|broker| !broker.fenced) {
            let session = BrokerSession {
                epoch: broker.epoch,
                contact: now,
                metadata_offset: -1,
                shutdown_offset: None,
            };
            self.sessions.insert(broker.id, session);
        }
        self.last_record = now;
        let in_transaction = self.replay.in_transaction();
        // What an open transaction finalized goes with it.
        if self.image().has_release {
            bootstrap::of_known_log(in_transaction, self.image().release)
        } else {
            let min_isr = self.settings.min_insync_replicas;
            bootstrap::of_empty_log(in_transaction, bootstrap, min_isr)
        }
    }

    /// Decides a command.
    pub fn decide(&mut self, context: Context, command: Command) -> Outcome {
        macro_rules! decide {
            ($($name:ident => $decide:ident;)*) => {
                match command {
                    $(Command::$name(command) => self
                        .$decide(context, command)
                        .map(|d| ControllerDecision {
                            records: d.records,
                            atomic: d.atomic,
                            reply: Reply::$name(d.reply),
                        }),)*
                }
            };
        }
        let name = command.name();
        // What earlier records changed matters to the metadata feed, which replays them too.
        let _ = self.replay.take_changes();
        let decision = decide! {
            RegisterBroker => register_broker;
            BrokerHeartbeat => heartbeat;
            UnregisterBroker => unregister_broker;
            RegisterController => register_controller;
            UnregisterController => unregister_controller;
            CreateTopics => create_topics;
            DeleteTopics => delete_topics;
            CreatePartitions => create_partitions;
            AlterPartition => alter_partition;
            ElectLeaders => elect_leaders;
            AlterPartitionReassignments => alter_reassignments;
            AssignReplicasToDirs => assign_directories;
            AlterConfigs => alter_configs;
            UpdateFeatures => update_features;
            AllocateProducerIds => allocate_producer_ids;
            AlterClientQuotas => alter_quotas;
            AlterUserScramCredentials => alter_scram;
            CreateAcls => create_acls;
            DeleteAcls => delete_acls;
        };
        let decision = decision.and_then(|decision| {
            // What clients ask for is bounded; a broker's restart concerns all it holds.
            if decision.atomic && decision.records.len() > RECORDS_MAX {
                return Err(Refusal::new(
                    ErrorCode::PolicyViolation,
                    "Unable to perform excessively large batch operation.",
                ));
            }
            Ok(decision)
        });
        match decision {
            Ok(ControllerDecision { records, atomic, reply }) => {
                if !records.is_empty() {
                    self.last_record = context.now;
                }
                Outcome { records, atomic, reply: Ok(reply) }
            }
            Err(refusal) => {
                tracing::debug!(command = name, %refusal, "refused");
                Outcome { records: Vec::new(), atomic: true, reply: Err(refusal) }
            }
        }
    }

    /// When [`Self::on_deadline`] wants to be called.
    pub fn next_deadline(&self) -> Option<Mono> {
        let idle = self.settings.max_idle_interval.map(|interval| self.last_record + interval);
        idle.into_iter().chain(self.next_expiry()).min()
    }

    /// What time alone brings about: brokers that were not heard of are fenced, one at a time; and
    /// a record that says nothing shows that the controller is there.
    pub fn on_deadline(&mut self, now: Mono) -> Vec<MetadataRecord> {
        let mut records = self.expire_session(now);
        let interval = self.settings.max_idle_interval;
        if records.is_empty() && interval.is_some_and(|interval| self.last_record + interval <= now)
        {
            records.push(NoOpRecord {}.into());
        }
        if !records.is_empty() {
            self.last_record = now;
        }
        records
    }

    /// Applies a record of the log: the only way hard state changes. Total for records that this
    /// machine decided; an error means that the log is of another history, or of a newer release.
    pub fn apply(
        &mut self,
        record: &MetadataRecord,
        offset: Offset,
        epoch: LeaderEpoch,
    ) -> Result<(), HistoryError> {
        let replayed = self.replay.apply(record, offset, epoch);
        replayed.map_err(|source| HistoryError { offset, source })?;
        match record {
            MetadataRecord::RegisterBroker(broker) => {
                self.registered_at.insert(broker.broker_id, offset);
            }
            MetadataRecord::UnregisterBroker(broker) => {
                self.registered_at.remove(&broker.broker_id);
                self.sessions.remove(&broker.broker_id);
            }
            _ => {}
        }
        Ok(())
    }

    /// Moves past an offset that holds no record of the cluster.
    pub fn advance(&mut self, offset: Offset, epoch: LeaderEpoch) {
        self.replay.advance(offset, epoch);
    }
}
