//! What a flush syncs, outside the monitor of its partition.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::epochs::Epochs;
use super::files::{EPOCHS_FILE, is_out_of_descriptors};
use super::segment::Segment;
use crate::env::{Disk, OpenMode};
use crate::types::Offset;

/// What a flush is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushKind {
    /// To acknowledge records: only they must survive. Indexes are rebuilt from them.
    Records,
    /// To move the recovery point: indexes and epochs must survive as well.
    RecoveryPoint,
}

/// A flush that was begun.
pub struct FlushJob {
    pub(super) dir: PathBuf,
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) kind: FlushKind,
    pub(super) upto: Offset,
    /// So many changes of names will be synced, if any is not.
    pub(super) dir_changes: Option<u64>,
    /// The epochs as the log has written them down, if that is not durable yet.
    pub(super) epochs: Option<Arc<Epochs>>,
    /// A snapshot of the producers that is written, and not durable yet.
    pub(super) snapshot: Option<PathBuf>,
}

impl FlushJob {
    /// What it is for.
    pub fn kind(&self) -> FlushKind {
        self.kind
    }

    /// Whether a sync that failed so was not tried, for want of a descriptor.
    pub fn may_be_retried(error: &io::Error) -> bool {
        is_out_of_descriptors(error)
    }

    /// How many syncs it takes on its own.
    pub fn sync_count(&self) -> usize {
        let each = if self.kind == FlushKind::Records { 1 } else { 3 };
        self.segments.len() * each + usize::from(self.dir_changes.is_some())
    }

    /// The log directory of its log.
    pub fn log_dir(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// Syncs file by file, then the directory if names in it are new.
    pub fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        self.prepare()?;
        for segment in &self.segments {
            segment.log.open(true)?.sync_data()?;
            if self.kind == FlushKind::RecoveryPoint {
                segment.index.sync()?;
                segment.time_index.sync()?;
                segment.txn_index.sync()?;
            }
        }
        if let Some(path) = &self.snapshot {
            disk.open(path, OpenMode::Write)?.sync_all()?;
        }
        if self.epochs.is_some() {
            // The log has written it; what it writes meanwhile is synced by the next flush.
            disk.open(&self.dir.join(EPOCHS_FILE), OpenMode::Write)?.sync_data()?;
        }
        if self.dir_changes.is_some() || self.epochs.is_some() {
            sync_names(disk, &self.dir)?;
        }
        Ok(())
    }

    /// What must be written before a sync of the whole file system can stand for [`Self::sync`].
    pub fn prepare(&self) -> io::Result<()> {
        if self.kind == FlushKind::RecoveryPoint {
            for segment in &self.segments {
                segment.index.write_out()?;
                segment.time_index.write_out()?;
            }
        }
        Ok(())
    }
}

/// Makes the names in a log's directory durable, and that of the directory itself, which may be new.
pub(super) fn sync_names(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.sync_dir(dir)?;
    dir.parent().map_or(Ok(()), |parent| disk.sync_dir(parent))
}
