//! How the quorum driver starts: [`load`] reads everything and changes nothing, then
//! [`LoadedLog::lead`] opens the log and leads the next epoch. A log that this node may not lead,
//! or does not understand, stays byte for byte as it was.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::events::{Events, Leadership, LogReader};
use super::{
    CLEAN_INTERVAL, LogBatch, QUEUE_LEN, QuorumClient, QuorumDriver, QuorumStatus, Shared, Staged,
};
use crate::env::Env;
use crate::log::LogShared;
use crate::metadata::replay::{Replay, ReplayError};
use crate::metadata::{MetadataImage, MetadataRecord};
use crate::raft::batch::{self, Content};
use crate::raft::log_scan::record_version_at;
use crate::raft::quorum::{Quorum, QuorumError, QuorumRecords};
use crate::raft::quorum_state::{self, ElectionState, QuorumStateError};
use crate::raft::snapshot::{self, SnapshotError, SnapshotId};
use crate::raft::{MetadataLog, MetadataLogConfig, MetadataLogError};
use crate::raft::{MetadataLogScan, ReplicaKey, Voter, VoterEndpoint, VoterSet};
use crate::record::BatchHeader;
use crate::types::{BrokerId, Offset, Uuid};

/// The bootstrap records of a directory that was formatted for a release before 4.4.
const BOOTSTRAP_CHECKPOINT: &str = "bootstrap.checkpoint";

/// The settings of the quorum on this node.
pub struct QuorumSettings {
    /// This node.
    pub node_id: BrokerId,
    /// The directory that the metadata log is in.
    pub metadata_dir: PathBuf,
    /// The `directory.id` of that directory.
    pub directory_id: Uuid,
    /// What logs share.
    pub shared: LogShared,
    /// The configuration of the metadata log.
    pub log: MetadataLogConfig,
    /// `controller.quorum.voters`; empty where the voters are recorded in the log.
    pub static_voters: VoterSet,
    /// The endpoints of this controller, its first listener first.
    pub endpoints: Vec<VoterEndpoint>,
}

/// A record of the metadata log that cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "metadata log at offset {offset}: {record}{} cannot be replayed: {source}",
    .version.map_or_else(String::new, |version| format!(" version {version}"))
)]
pub struct ReplayFailure {
    /// The offset of the record.
    pub offset: Offset,
    /// Kafka's name for its type.
    pub record: &'static str,
    /// The version that it was written at, if the log could be read again.
    pub version: Option<i16>,
    /// Why.
    pub source: ReplayError,
}

/// Why the quorum does not start. Nothing was changed, unless the disk failed.
#[derive(Debug, thiserror::Error)]
pub enum QuorumStartError {
    /// The metadata log.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// The file of votes.
    #[error(transparent)]
    QuorumState(#[from] QuorumStateError),
    /// This node may not lead.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// A record contradicts the ones before it, or a newer release wrote it.
    #[error(transparent)]
    Replay(#[from] ReplayFailure),
    /// `bootstrap.checkpoint`.
    #[error(transparent)]
    Checkpoint(#[from] SnapshotError),
    /// Two reads of the log do not agree.
    #[error("the metadata log was read up to offset {read}, and ends at {opened} once it is open")]
    Unsteady {
        /// The end of what was read.
        read: Offset,
        /// The end of the opened log.
        opened: Offset,
    },
}

/// A metadata log that was read and understood, and that this node may lead. Nothing was changed.
pub struct LoadedLog {
    settings: QuorumSettings,
    scan: MetadataLogScan,
    /// The end of what was read.
    end: Offset,
    quorum: Quorum,
    history: LogHistory,
}

/// What the listeners of a quorum begin with.
pub struct LogHistory {
    /// The metadata at the end of the log.
    pub replay: Replay,
    /// The end of the log.
    pub end: Offset,
    /// Bytes of the log after its newest snapshot.
    pub bytes_since_snapshot: u64,
    /// The records with which the first leader of a cluster begins.
    pub bootstrap: Option<Vec<MetadataRecord>>,
}

/// Reads the metadata log, and what is needed to lead it. Blocks.
///
/// `default_bootstrap` are the records of a directory that names none.
pub fn load(
    settings: QuorumSettings,
    default_bootstrap: Vec<MetadataRecord>,
) -> Result<LoadedLog, QuorumStartError> {
    let shared = settings.shared.clone();
    let mut scan = MetadataLogScan::new(shared, &settings.metadata_dir, settings.log)?;
    let mut loader = Loader::new(&settings, &scan)?;
    let extent = scan.read(|header, content| loader.apply(header, content))?;
    let mut position = (extent.end, extent.epoch.unwrap_or(0));
    if scan.is_behind(&extent) {
        loader = Loader::new(&settings, &scan)?;
        position = scan.snapshot().map_or(position, |(id, _)| (id.offset, id.epoch));
    }
    let (end, last_epoch) = position;
    let me = ReplicaKey { id: settings.node_id, directory: Some(settings.directory_id) };
    let remembered = quorum_state::read(&*settings.shared.disk, scan.dir())?;
    let Loader { records, mut history, .. } = loader;
    let mut quorum = Quorum::new(me, records, remembered, last_epoch);
    quorum.become_candidate()?;
    history.end = end;
    if history.bootstrap.is_none() {
        history.bootstrap = Some(read_bootstrap(&settings, default_bootstrap)?);
    }
    scan.forget_records();
    Ok(LoadedLog { settings, scan, end, quorum, history })
}

impl LoadedLog {
    /// The metadata at the end of the log, committed or not.
    pub fn image(&self) -> &MetadataImage {
        self.history.replay.image()
    }

    /// What the listeners will begin with.
    pub fn history(&self) -> &LogHistory {
        &self.history
    }

    /// The voters, and the version of the quorum.
    pub fn records(&self) -> &QuorumRecords {
        self.quorum.records()
    }

    /// Opens the log, and leads a new epoch, whose first batch is appended and not yet synced.
    /// Blocks.
    ///
    /// The log of the only voter is committed to its end: no other node can have another one.
    pub fn lead(
        self,
        env: &Env,
    ) -> Result<(QuorumDriver, QuorumClient, LogHistory), QuorumStartError> {
        self.lead_it(env, false)
    }

    fn lead_it(
        self,
        env: &Env,
        is_again: bool,
    ) -> Result<(QuorumDriver, QuorumClient, LogHistory), QuorumStartError> {
        let Self { settings, scan, end, quorum, history } = self;
        let log = MetadataLog::open(scan, env.clock.wall())?;
        if log.end() != end {
            let (read, opened) = (end, log.end());
            if is_again {
                return Err(QuorumStartError::Unsteady { read, opened });
            }
            // Recovery has cut off more of a torn tail than was skipped: now both see the same.
            tracing::warn!(read, opened, "the metadata log is read again");
            drop(log);
            let bootstrap = history.bootstrap.unwrap_or_default();
            return load(settings, bootstrap)?.lead_it(env, true);
        }
        let (driver, client) = begin(env, &settings, log, quorum)?;
        Ok((driver, client, history))
    }
}

/// Leads a new epoch over an opened log.
fn begin(
    env: &Env,
    settings: &QuorumSettings,
    mut log: MetadataLog,
    mut quorum: Quorum,
) -> Result<(QuorumDriver, QuorumClient), QuorumStartError> {
    let key = ReplicaKey { id: settings.node_id, directory: Some(settings.directory_id) };
    let endpoints = settings.endpoints.clone();
    let local = Voter { key, endpoints, kraft_versions: (0, 1) };
    let now = env.clock.wall();
    let voters: Vec<BrokerId> = quorum.records().voters.ids().collect();
    let kraft_version = quorum.records().kraft_version;
    let disk = &*settings.shared.disk;
    let remember = |state: &ElectionState| {
        quorum_state::write(disk, log.dir(), state, kraft_version, voters.iter().copied())
    };
    remember(quorum.election())?;
    let start = log.end();
    remember(quorum.become_leader(start))?;
    let epoch = quorum.epoch();
    let first = quorum.first_records(&local);
    let bytes = batch::control(start, epoch, now, &first);
    let first_batch = LogBatch {
        base_offset: start,
        last_offset: start + first.len() as Offset - 1,
        epoch,
        appended_at: now,
        size: bytes.len(),
        content: Content::Control(first.clone()),
    };
    log.append(bytes, epoch, now)?;
    let dir = log.dir().to_owned();
    let reader = LogReader { env: env.clone(), dir, views: log.views() };
    let events = Arc::new(Events::new(start, Some(reader)));
    events.set_snapshot(log.latest_snapshot());
    events.set_leadership(Some(Leadership { epoch, start }));
    let records = quorum.records().clone();
    let status = QuorumStatus {
        leader: Some(local.key.id),
        epoch,
        voters: records.voters.clone(),
        kraft_version,
    };
    let staged = Staged { leads: Some(epoch), end: log.end(), batches: Vec::new() };
    let shared = Arc::new(Shared {
        staged: Mutex::new(staged),
        staged_wake: Notify::new(),
        events,
        status: ArcSwap::from_pointee(status),
        local,
        is_snapshotting: AtomicBool::new(false),
    });
    let (sender, requests) = mpsc::channel(QUEUE_LEN);
    let client = QuorumClient { requests: sender, shared: Arc::clone(&shared) };
    let mut driver = QuorumDriver {
        env: env.clone(),
        log: Some(log),
        quorum,
        history: vec![(start - 1, records)],
        shared,
        requests,
        uncommitted: [Arc::new(first_batch)].into(),
        sync: None,
        sync_at: None,
        snapshot: None,
        clean_at: env.clock.now() + CLEAN_INTERVAL,
    };
    driver.apply_control(&first, start);
    tracing::info!(epoch, offset = start, "leading the metadata quorum");
    Ok((driver, client))
}

/// Replays snapshot and log.
struct Loader {
    log_dir: PathBuf,
    shared: LogShared,
    records: QuorumRecords,
    history: LogHistory,
}

impl Loader {
    /// As of the snapshot.
    fn new(settings: &QuorumSettings, scan: &MetadataLogScan) -> Result<Self, QuorumStartError> {
        let mut records = QuorumRecords::new(settings.static_voters.clone());
        let mut replay = Replay::default();
        let mut bootstrap = None;
        if let Some((id, snapshot)) = scan.snapshot() {
            records.kraft_version = snapshot.kraft_version;
            if let Some(voters) = snapshot.voters.clone() {
                records.voters = voters;
                records.voters_at = Some(id.offset - 1);
            }
            if *id == SnapshotId::BOOTSTRAP {
                // What `format` wrote is not yet agreed on: the first leader appends it to the log.
                let records = snapshot.records.clone();
                bootstrap = Some(records).filter(|records| !records.is_empty());
            } else {
                replay = replay_snapshot(*id, &snapshot.records)?;
            }
        }
        let history = LogHistory { replay, end: 0, bytes_since_snapshot: 0, bootstrap };
        let (log_dir, shared) = (scan.dir().to_owned(), settings.shared.clone());
        Ok(Self { log_dir, shared, records, history })
    }

    fn apply(&mut self, header: &BatchHeader, content: Content) -> Result<(), QuorumStartError> {
        self.history.bytes_since_snapshot += header.size() as u64;
        if let Content::Control(records) = &content {
            for (record, offset) in records.iter().zip(header.base_offset..) {
                self.records.apply(record, offset);
            }
        }
        let batch = LogBatch::new(header, content);
        replay_batch(&mut self.history.replay, &batch).map_err(|mut failure| {
            let disk = &*self.shared.disk;
            failure.version = record_version_at(disk, &self.log_dir, failure.offset);
            failure.into()
        })
    }
}

/// The metadata that a snapshot holds.
pub fn replay_snapshot(
    id: SnapshotId,
    records: &[MetadataRecord],
) -> Result<Replay, ReplayFailure> {
    let (mut replay, last) = (Replay::default(), id.offset - 1);
    for record in records {
        let applied = replay.apply(record, last, id.epoch);
        applied.map_err(|source| failure(record, last, source))?;
    }
    replay.advance(last, id.epoch);
    let _ = replay.take_changes(); // Everything is new.
    Ok(replay)
}

/// Replays a batch. A failure names no version: the caller may read it from the log.
pub fn replay_batch(replay: &mut Replay, batch: &LogBatch) -> Result<(), ReplayFailure> {
    match &batch.content {
        Content::Control(_) => replay.advance(batch.last_offset, batch.epoch),
        Content::Data(records) => {
            for (record, offset) in records.iter().zip(batch.base_offset..) {
                let applied = replay.apply(record, offset, batch.epoch);
                applied.map_err(|source| failure(record, offset, source))?;
            }
        }
    }
    Ok(())
}

fn failure(record: &MetadataRecord, offset: Offset, source: ReplayError) -> ReplayFailure {
    ReplayFailure { offset, record: record.name(), version: None, source }
}

/// The bootstrap records of a directory that Kafka before 4.4 formatted, or the default ones.
fn read_bootstrap(
    settings: &QuorumSettings,
    default: Vec<MetadataRecord>,
) -> Result<Vec<MetadataRecord>, QuorumStartError> {
    let path = settings.metadata_dir.join(BOOTSTRAP_CHECKPOINT);
    match snapshot::read_file(&*settings.shared.disk, &path) {
        Ok(snapshot) => Ok(snapshot.records),
        Err(SnapshotError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(default)
        }
        Err(error) => Err(error.into()),
    }
}
