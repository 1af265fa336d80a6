//! How the controller begins: it reads all that is there and changes nothing, then it opens the log
//! and leads. What it may not lead, or does not understand, is left byte for byte as it was.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::super::bootstrap::{self, BootstrapError};
use super::super::configs::ConfigRules;
use super::super::machine::{Controller, HistoryError, Settings};
use super::{
    CLEAN_INTERVAL, ControllerHandle, Driver, QUEUE_LEN, QuorumStatus, append_and_commit, encode,
};
use crate::env::{Disk, Env};
use crate::log::LogShared;
use crate::metadata::features::{METADATA_VERSION, Release};
use crate::metadata::{MetadataImage, MetadataRecord};
use crate::raft::batch::{self, Content};
use crate::raft::log::{MetadataLog, MetadataLogConfig, MetadataLogError};
use crate::raft::quorum::{Quorum, QuorumError, QuorumRecords};
use crate::raft::quorum_state::{self, ElectionState, QuorumStateError};
use crate::raft::snapshot::{self, SnapshotError, SnapshotId};
use crate::raft::{ReplicaKey, Unopened, Voter, VoterEndpoint, VoterSet};
use crate::record::BatchHeader;
use crate::types::{BrokerId, Offset, Uuid};

/// The first records of a directory that was formatted for a release before 4.4.
const BOOTSTRAP_CHECKPOINT: &str = "bootstrap.checkpoint";

/// Everything a controller needs to begin.
pub struct Start {
    /// Where the metadata log lies.
    pub metadata_dir: PathBuf,
    /// The `directory.id` of that directory.
    pub directory_id: Uuid,
    /// What logs share.
    pub shared: LogShared,
    /// How the metadata log is kept.
    pub log: MetadataLogConfig,
    /// `controller.quorum.voters`; empty where the voters are recorded in the log.
    pub static_voters: VoterSet,
    /// Where this controller is reached, its first listener first.
    pub endpoints: Vec<VoterEndpoint>,
    /// What the machine is told; voters and version of the quorum are filled in.
    pub settings: Settings,
    /// What configurations mean.
    pub rules: Arc<dyn ConfigRules>,
}

/// Why a controller does not begin. Nothing was changed, unless the disk failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The metadata log.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// The file of votes.
    #[error(transparent)]
    QuorumState(#[from] QuorumStateError),
    /// This node may not lead.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// The log says what cannot be, or what a newer release said.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The first records.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// `bootstrap.checkpoint`.
    #[error(transparent)]
    Checkpoint(#[from] SnapshotError),
    /// It is not the same from one look to the next.
    #[error("the metadata log was read up to offset {read}, and ends at {opened} once it is open")]
    Unsteady {
        /// Behind the last record that was read.
        read: Offset,
        /// Behind the last record of the opened log.
        opened: Offset,
    },
    /// A record cannot be written at the cluster's release.
    #[error("{0}")]
    Encode(String),
}

/// A metadata log that was read and understood, and that this node may lead. Nothing was changed.
pub struct Understood {
    start: Start,
    unopened: Unopened,
    /// Behind the last record.
    end: Offset,
    leader: Leader,
}

/// What a node leads with, once the log is open.
struct Leader {
    machine: Controller,
    quorum: Quorum,
    bytes_since_snapshot: u64,
    /// The records with which it begins.
    activation: Vec<MetadataRecord>,
}

/// Reads the metadata log, and what is needed to lead it. Blocks: call it where blocking is allowed.
pub fn understand(env: &Env, start: Start) -> Result<Understood, StartError> {
    let (shared, log) = (start.shared.clone(), start.log);
    let mut unopened = Unopened::find(shared, &start.metadata_dir, log)?;
    let mut loaded = Loaded::new(&start, &unopened)?;
    let extent = unopened.read(|header, content| loaded.apply(header, content))?;
    let mut position = (extent.end, extent.epoch.unwrap_or(0));
    if unopened.is_behind(&extent) {
        loaded = Loaded::new(&start, &unopened)?;
        position = unopened.snapshot().map_or(position, |(id, _)| (id.offset, id.epoch));
    }
    let (end, last_epoch) = position;
    let me = ReplicaKey { id: start.settings.node_id, directory: Some(start.directory_id) };
    let remembered = quorum_state::read(&*start.shared.disk, unopened.dir())?;
    let mut quorum = Quorum::new(me, loaded.quorum, remembered, last_epoch);
    quorum.stand()?;
    let bootstrap_records = match loaded.bootstrap {
        Some(records) => records,
        None => read_bootstrap(&start)?,
    };
    let mut machine = loaded.machine;
    machine.join(quorum.records().voters.ids(), quorum.records().kraft_version);
    let activation = machine.activate(env.clock.now(), &bootstrap_records)?;
    let bytes_since_snapshot = loaded.bytes_since_snapshot;
    unopened.forget_records();
    let leader = Leader { machine, quorum, bytes_since_snapshot, activation };
    Ok(Understood { start, unopened, end, leader })
}

impl Understood {
    /// The metadata as it was left.
    pub fn image(&self) -> &MetadataImage {
        self.leader.machine.image()
    }

    /// Opens the log, leads a new epoch, and commits its first records. Blocks.
    pub fn lead(self, env: &Env) -> Result<(Driver, ControllerHandle), StartError> {
        self.lead_it(env, false)
    }

    fn lead_it(self, env: &Env, is_again: bool) -> Result<(Driver, ControllerHandle), StartError> {
        let now = env.clock.wall();
        let Self { start, unopened, end, leader } = self;
        let log = MetadataLog::open(unopened, now)?;
        if log.end() != end {
            let (read, opened) = (end, log.end());
            if is_again {
                return Err(StartError::Unsteady { read, opened });
            }
            // A torn tail, of which recovery knew more: now it is off, and both see the same.
            tracing::warn!(read, opened, "the metadata log is read again");
            drop(log);
            return understand(env, start)?.lead_it(env, true);
        }
        let Start { directory_id, shared, endpoints, settings, .. } = start;
        let me = ReplicaKey { id: settings.node_id, directory: Some(directory_id) };
        let local = Voter { key: me, endpoints, kraft_versions: (0, 1) };
        leader.begin(env, log, local, &*shared.disk)
    }
}

impl Leader {
    /// Leads a new epoch, and commits its first records.
    fn begin(
        self,
        env: &Env,
        mut log: MetadataLog,
        local: Voter,
        disk: &dyn Disk,
    ) -> Result<(Driver, ControllerHandle), StartError> {
        let Self { mut machine, mut quorum, bytes_since_snapshot, activation } = self;
        let now = env.clock.wall();
        let voters: Vec<BrokerId> = quorum.records().voters.ids().collect();
        let kraft_version = quorum.records().kraft_version;
        let remember = |state: &ElectionState| {
            quorum_state::write(disk, log.dir(), state, kraft_version, voters.iter().copied())
        };
        remember(quorum.election())?;
        let epoch_start = log.end();
        remember(quorum.win(epoch_start))?;
        let epoch = quorum.epoch();
        let first = quorum.first_records(&local);
        log.append(batch::control(epoch_start, epoch, now, &first), epoch, now)?;
        for (record, offset) in first.iter().zip(epoch_start..) {
            quorum.apply(record, offset);
            machine.advance(offset, epoch);
        }
        let release = release_of(&activation).unwrap_or(machine.image().release);
        let mut offset = log.end();
        let batches = encode(&activation, offset, epoch, now, release, false)
            .map_err(|refusal| StartError::Encode(refusal.to_string()))?;
        for record in &activation {
            machine.apply(record, offset, epoch)?;
            offset += 1;
        }
        append_and_commit(&mut log, batches, epoch, now, disk)?;
        let _ = machine.take_changes(); // Whoever begins with an image begins with all of it.
        tracing::info!(epoch, offset, "leading the metadata quorum");
        let status = QuorumStatus {
            leader: local.key.id,
            epoch,
            voters: quorum.records().voters.clone(),
            kraft_version,
            log: log.views(),
        };
        let status = Arc::new(ArcSwap::from_pointee(status));
        let images = Arc::new(ArcSwap::from_pointee(machine.image().clone()));
        let (sender, requests) = mpsc::channel(QUEUE_LEN);
        let handle = ControllerHandle {
            requests: sender,
            images: Arc::clone(&images),
            quorum: Arc::clone(&status),
        };
        let driver = Driver {
            env: env.clone(),
            machine,
            log: Some(log),
            quorum,
            local,
            status,
            images,
            requests,
            next_offset: offset,
            last_append: now,
            bytes_since_snapshot,
            last_snapshot: env.clock.now(),
            snapshot: None,
            next_clean: env.clock.now() + CLEAN_INTERVAL,
        };
        Ok((driver, handle))
    }
}

/// What snapshot and log say.
struct Loaded {
    quorum: QuorumRecords,
    machine: Controller,
    /// The first records of the cluster, where the 0-0 snapshot holds them.
    bootstrap: Option<Vec<MetadataRecord>>,
    bytes_since_snapshot: u64,
}

impl Loaded {
    /// As of the snapshot.
    fn new(start: &Start, unopened: &Unopened) -> Result<Self, StartError> {
        let mut quorum = QuorumRecords::new(start.static_voters.clone());
        let mut machine = Controller::new(start.settings.clone(), Arc::clone(&start.rules));
        let mut bootstrap = None;
        if let Some((id, snapshot)) = unopened.snapshot() {
            let last = id.offset - 1;
            quorum.kraft_version = snapshot.kraft_version;
            if let Some(voters) = snapshot.voters.clone() {
                quorum.voters = voters;
                quorum.voters_at = Some(last);
            }
            if *id == SnapshotId::BOOTSTRAP {
                // What `format` wrote is not yet agreed on: the first leader appends it to the log.
                let records = snapshot.records.clone();
                bootstrap = Some(records).filter(|records| !records.is_empty());
            } else {
                for record in &snapshot.records {
                    machine.apply(record, last, id.epoch)?;
                }
                machine.advance(last, id.epoch);
            }
        }
        Ok(Self { quorum, machine, bootstrap, bytes_since_snapshot: 0 })
    }

    fn apply(&mut self, header: &BatchHeader, content: Content) -> Result<(), StartError> {
        self.bytes_since_snapshot += header.size() as u64;
        match content {
            Content::Control(records) => {
                for (record, offset) in records.iter().zip(header.base_offset..) {
                    self.quorum.apply(record, offset);
                }
                self.machine.advance(header.last_offset(), header.leader_epoch);
            }
            Content::Data(records) => {
                for (record, offset) in records.iter().zip(header.base_offset..) {
                    self.machine.apply(record, offset, header.leader_epoch)?;
                }
            }
        }
        Ok(())
    }
}

/// The first records of a directory that Kafka before 4.4 formatted, or the default ones.
fn read_bootstrap(start: &Start) -> Result<Vec<MetadataRecord>, StartError> {
    let path = start.metadata_dir.join(BOOTSTRAP_CHECKPOINT);
    match snapshot::read_file(&*start.shared.disk, &path) {
        Ok(snapshot) => Ok(snapshot.records),
        Err(SnapshotError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(bootstrap::default_records())
        }
        Err(error) => Err(error.into()),
    }
}

/// The release that records finalize.
fn release_of(records: &[MetadataRecord]) -> Option<Release> {
    records.iter().find_map(|record| match record {
        MetadataRecord::FeatureLevel(feature) if feature.name == METADATA_VERSION => {
            Release::from_level(feature.feature_level).ok()
        }
        _ => None,
    })
}
