//! The metadata log as a start finds it, before anything is changed: its snapshots, and what stands
//! in its batches. What a newer release wrote, or another node led, is left as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::batch::{self, Content};
use super::log_config::{DIRECTORY, MetadataLogConfig};
use super::log_error::MetadataLogError;
use super::snapshot::{self, Snapshot, SnapshotError, SnapshotId, SnapshotState};
use crate::env::Disk;
use crate::log::LogShared;
use crate::log::scan::{ReadFailure, ScannedRange, read};
use crate::metadata::MetadataRecord;
use crate::record::Records;
use crate::record::batch::BatchHeader;
use crate::types::{Offset, Timestamp};

/// The version of the metadata record at `offset`, read from the files of the log in `dir`: for the
/// message about a record that cannot be replayed. `None` if there is no such record.
pub fn record_version_at(disk: &dyn Disk, dir: &Path, offset: Offset) -> Option<i16> {
    let mut found = None;
    let stopped = read(disk, dir, |batch| {
        let header = *batch.header();
        if !(header.base_offset..header.next_offset()).contains(&offset) {
            return Ok(());
        }
        let at = usize::try_from(offset - header.base_offset).unwrap_or(usize::MAX);
        let Ok(records) = Records::of(&batch) else { return Err(()) };
        if let Some(Ok(record)) = records.iter().nth(at) {
            let decoded = record.value.and_then(|value| MetadataRecord::decode(value).ok());
            found = decoded.map(|(_, version)| version);
        }
        Err(())
    });
    let _ = stopped; // An unreadable log has no version to report.
    found
}

/// What is kept in memory of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SnapshotInfo {
    pub(super) bytes: u64,
    pub(super) last_contained: Timestamp,
}

/// A metadata log that is read, and not opened yet.
pub struct MetadataLogScan {
    pub(super) shared: LogShared,
    pub(super) metadata_dir: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) config: MetadataLogConfig,
    /// The snapshots up to the newest that is whole.
    pub(super) snapshots: BTreeMap<SnapshotId, SnapshotInfo>,
    pub(super) newest: Option<(SnapshotId, Snapshot)>,
    /// Files that are no snapshots: half written, half deleted, or torn.
    pub(super) useless: Vec<String>,
}

impl MetadataLogScan {
    /// The log in a metadata directory, which may not be there yet, with the newest snapshot that is
    /// whole.
    pub fn new(
        shared: LogShared,
        metadata_dir: &Path,
        config: MetadataLogConfig,
    ) -> Result<Self, MetadataLogError> {
        let mut log = Self {
            shared,
            metadata_dir: metadata_dir.to_owned(),
            dir: metadata_dir.join(DIRECTORY),
            config,
            snapshots: BTreeMap::new(),
            newest: None,
            useless: Vec::new(),
        };
        log.find_snapshots()?;
        Ok(log)
    }

    fn find_snapshots(&mut self) -> Result<(), MetadataLogError> {
        let Self { shared, dir, snapshots, newest, useless, .. } = self;
        let disk = &*shared.disk;
        let io = |source| MetadataLogError::Io { path: dir.clone(), source };
        if disk.info(dir).map_err(io)?.is_none() {
            return Ok(());
        }
        let mut complete = BTreeMap::new();
        for entry in disk.list(dir).map_err(io)? {
            match SnapshotId::parse(&entry.name) {
                Some((id, SnapshotState::Complete)) => _ = complete.insert(id, entry.name),
                Some((_, SnapshotState::Partial | SnapshotState::Deleted)) => {
                    useless.push(entry.name);
                }
                None => {}
            }
        }
        for (id, name) in complete.into_iter().rev() {
            let path = dir.join(&name);
            let read = if newest.is_none() {
                snapshot::read_file(disk, &path).map(|snapshot| {
                    let last_contained = snapshot.last_contained_timestamp;
                    *newest = Some((id, snapshot));
                    last_contained
                })
            } else {
                snapshot::read_header(disk, &path)
            };
            let last_contained = match read {
                Ok(last_contained) => last_contained,
                Err(SnapshotError::Damaged { path, reason }) => {
                    tracing::warn!(path = %path.display(), reason, "torn snapshot, taking an older one");
                    useless.push(name);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let bytes = disk.info(&path).map_err(io)?.map_or(0, |info| info.len);
            snapshots.insert(id, SnapshotInfo { bytes, last_contained });
        }
        Ok(())
    }

    /// The folder of the log.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Option<&(SnapshotId, Snapshot)> {
        self.newest.as_ref()
    }

    /// The records of the snapshot were taken note of, and are needed no more.
    pub fn forget_records(&mut self) {
        if let Some((_, snapshot)) = &mut self.newest {
            snapshot.records = Vec::new();
        }
    }

    /// Gives every batch behind the snapshot to `each`. Where the log turns out to be shorter than
    /// the snapshot it will begin anew there: see [`Self::is_behind`].
    pub fn read<E: From<MetadataLogError>>(
        &self,
        mut each: impl FnMut(&BatchHeader, Content) -> Result<(), E>,
    ) -> Result<ScannedRange, E> {
        let from = self.newest.as_ref().map_or(0, |(id, _)| id.offset);
        let extent = read(&*self.shared.disk, &self.dir, |batch| {
            if batch.header().base_offset < from {
                return Ok(());
            }
            each(batch.header(), batch::decode(&batch).map_err(MetadataLogError::from)?)
        });
        let extent = extent.map_err(|failure| match failure {
            ReadFailure::Io(path, source) => MetadataLogError::Io { path, source }.into(),
            ReadFailure::Stopped(error) => error,
        })?;
        if extent.start > from && !self.is_behind(&extent) {
            let latest = self.newest.as_ref();
            let latest = latest.map_or_else(|| "none".to_owned(), |(id, _)| id.to_string());
            return Err(MetadataLogError::NoSnapshot { start: extent.start, latest }.into());
        }
        Ok(extent)
    }

    /// Whether the snapshot is ahead of a log that was read: none of its batches count.
    pub fn is_behind(&self, extent: &ScannedRange) -> bool {
        self.newest.as_ref().is_some_and(|(id, _)| id.is_ahead_of(extent.end, extent.epoch))
    }
}
