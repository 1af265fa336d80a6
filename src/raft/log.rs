//! The metadata log: `__cluster_metadata-0`, its segments and its snapshots (Kafka 4.4
//! `KafkaRaftLog`, `MetadataLogConfig`; KIP-630).
//!
//! [`MetadataLog::begin_sync`] returns what to sync, [`MetadataLog::finish_sync`] how far the log is
//! durable after it. The high watermark is the quorum's decision. A log shorter than its newest
//! snapshot begins anew at the snapshot.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::log_config::MetadataLogConfig;
use super::log_error::MetadataLogError;
use super::log_scan::{MetadataLogScan, SnapshotInfo};
use super::snapshot::SnapshotId;
use crate::log::checkpoint::{PARTITION_METADATA, partition_metadata};
use crate::log::{AppendError, FlushJob, FlushKind, Log, LogConfig, LogShared, OpenContext};
use crate::record::batch::BatchView;
use crate::types::{LeaderEpoch, Offset, Timestamp, Uuid};

/// The metadata log.
pub struct MetadataLog {
    log: Log,
    dir: PathBuf,
    shared: LogShared,
    config: MetadataLogConfig,
    snapshots: BTreeMap<SnapshotId, SnapshotInfo>,
}

impl MetadataLog {
    /// Opens the log, creating it if it is missing, and makes it ready for appends: what is torn is
    /// cut off, what is no snapshot any more, or not yet, is removed.
    pub fn open(scan: MetadataLogScan, now: Timestamp) -> Result<Self, MetadataLogError> {
        let MetadataLogScan { shared, metadata_dir, dir, config, snapshots, newest, useless } =
            scan;
        let io = |source| MetadataLogError::Io { path: dir.clone(), source };
        shared.disk.create_dir_all(&dir).map_err(io)?;
        shared.disk.sync_dir(&metadata_dir).map_err(io)?;
        let log_config = Arc::new(LogConfig {
            segment_bytes: config.segment_bytes,
            segment_ms: config.segment_ms,
            retention_ms: None,
            retention_bytes: None,
            ..LogConfig::default()
        });
        let open = |log_start_offset| {
            let context = OpenContext {
                clean: false, // Read and checked at each start, as Kafka does.
                recovery_point: 0,
                log_start_offset,
                high_watermark: 0,
                now,
            };
            Log::open(shared.clone(), &dir, Arc::clone(&log_config), &context)
        };
        let (mut log, report) = open(0)?;
        if let Some(cut) = &report.cut {
            let (whole_batches, bytes) = (cut.whole_batches, cut.bytes);
            let (path, what) = (cut.path.display(), &cut.what);
            tracing::warn!(%path, cut.offset, what, bytes, whole_batches, "torn tail was cut");
        }
        if let Some((id, _)) = &newest {
            let epoch = log.views().load().epochs.latest();
            if id.is_ahead_of(log.end(), epoch) {
                tracing::info!(snapshot = %id, end = log.end(), "the log begins anew at a snapshot");
                drop(log);
                (log, _) = open(id.offset)?;
            }
        }
        let mut opened = Self { log, dir, shared, config, snapshots };
        opened.remove_useless(useless)?;
        opened.write_partition_metadata()?;
        Ok(opened)
    }

    /// Removes these files, and the snapshots before the log's start.
    fn remove_useless(&mut self, mut names: Vec<String>) -> Result<(), MetadataLogError> {
        let start = self.log.log_start_offset();
        let stale: Vec<SnapshotId> =
            self.snapshots.keys().copied().filter(|id| id.offset < start).collect();
        for id in stale {
            self.snapshots.remove(&id);
            names.push(id.file_name());
        }
        for name in names {
            let path = self.dir.join(name);
            tracing::info!(path = %path.display(), "removing a snapshot that is not needed");
            self.shared
                .disk
                .remove_file(&path)
                .map_err(|source| MetadataLogError::Io { path, source })?;
        }
        Ok(())
    }

    fn write_partition_metadata(&self) -> Result<(), MetadataLogError> {
        let path = self.dir.join(PARTITION_METADATA);
        let disk = &self.shared.disk;
        let io = |source| MetadataLogError::Io { path: path.clone(), source };
        if disk.info(&path).map_err(io)?.is_none() {
            let text = partition_metadata(Uuid::METADATA_TOPIC);
            disk.replace_file(&path, text.as_bytes()).map_err(io)?;
        }
        Ok(())
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its configuration.
    pub fn config(&self) -> &MetadataLogConfig {
        &self.config
    }

    /// The offset of the next record.
    pub fn end(&self) -> Offset {
        self.log.end()
    }

    /// The newest snapshot.
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.keys().next_back().copied()
    }

    /// What readers see: for Fetch and DescribeQuorum.
    pub fn views(&self) -> Arc<arc_swap::ArcSwap<crate::log::LogView>> {
        self.log.views()
    }

    /// Appends a batch of this leader; its offsets are those that the batch was built for.
    /// Returns its length in bytes. Nobody may rely on it before it is committed.
    pub fn append(
        &mut self,
        mut bytes: Vec<u8>,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<u64, MetadataLogError> {
        let end = self.log.end();
        let header = match BatchView::first(&bytes) {
            Ok(view) => *view.header(),
            Err(source) => return Err(MetadataLogError::Batch { offset: end, source }),
        };
        assert!(header.base_offset == end, "a batch for {} at {end}", header.base_offset);
        let appended = self.log.append_own(&mut bytes, &header, epoch, now)?;
        Ok(appended.bytes as u64)
    }

    /// What must be synced so that what is appended survives a power loss; `None` if nothing is.
    pub fn begin_sync(&mut self) -> Option<FlushJob> {
        self.log.begin_flush(FlushKind::Records)
    }

    /// Takes note of the result of a sync. Returns the end of what is durable; it does not move
    /// when the process had no file descriptor left for the sync, which must then be repeated.
    pub fn finish_sync(
        &mut self,
        job: &FlushJob,
        result: io::Result<()>,
        now: Timestamp,
    ) -> Result<Offset, MetadataLogError> {
        self.log.finish_flush(job, result, now);
        if let Some(why) = self.log.offline() {
            return Err(AppendError::Offline(why.to_owned()).into());
        }
        Ok(self.log.flushed())
    }

    /// The end of what is durable.
    pub fn synced(&self) -> Offset {
        self.log.flushed()
    }

    /// Lets readers see what was appended.
    pub fn publish(&mut self) {
        self.log.publish();
    }

    /// Moves the high watermark: records below `to` are committed.
    pub fn advance_high_watermark(&mut self, to: Offset) {
        assert!(to <= self.log.end(), "high watermark {to} past the end {}", self.log.end());
        self.log.set_high_watermark(to);
        self.log.publish();
    }

    /// Where a snapshot is to be written, unless there is one.
    pub fn snapshot_path(&self, id: SnapshotId) -> Option<PathBuf> {
        let is_new = !self.snapshots.contains_key(&id) && id.offset >= self.log.log_start_offset();
        is_new.then(|| self.dir.join(id.file_name()))
    }

    /// Notes a snapshot that was written.
    pub fn add_snapshot(&mut self, id: SnapshotId, bytes: u64, last_contained: Timestamp) {
        self.snapshots.insert(id, SnapshotInfo { bytes, last_contained });
    }

    /// Whether there may be something to delete.
    pub fn is_cleanable(&self) -> bool {
        self.snapshots.len() >= 2
    }

    /// Deletes the oldest snapshots while they are more, or older, than is to be kept; the log then
    /// begins at the next one, and segments before it go. The newest snapshot always stays.
    pub fn clean(&mut self, now: Timestamp) -> Result<(), MetadataLogError> {
        while self.is_cleanable() {
            let kept: u64 = self.snapshots.values().map(|kept| kept.bytes).sum();
            let size = self.log.views().load().size_bytes() + kept;
            let Some((oldest, about)) = self.snapshots.iter().next().map(|(id, k)| (*id, *k))
            else {
                return Ok(());
            };
            let is_large = self.config.retention_bytes.is_some_and(|most| size > most);
            let age_ms = now.0 - about.last_contained.0;
            let is_old = self.config.retention_ms.is_some_and(|most| age_ms > most);
            if !is_large && !is_old {
                return Ok(());
            }
            tracing::info!(snapshot = %oldest, size, age_ms, "deleting a snapshot");
            self.snapshots.remove(&oldest);
            let next = self.snapshots.keys().next().map_or(0, |id| id.offset);
            self.delete_before(oldest, next, now)?;
        }
        Ok(())
    }

    fn delete_before(
        &mut self,
        snapshot: SnapshotId,
        start: Offset,
        now: Timestamp,
    ) -> Result<(), MetadataLogError> {
        let dir = self.dir.clone();
        let io = |source| MetadataLogError::Io { path: dir.clone(), source };
        self.log.increment_log_start_offset(start).map_err(io)?;
        let segments = Arc::clone(&self.log.views().load().segments);
        let ends = segments.iter().skip(1).map(|segment| segment.base_offset);
        let below = ends.take_while(|end| *end <= start).count();
        if below > 0 {
            let gone = self.log.take_deletable(below, now).map_err(io)?;
            gone.remove().map_err(io)?;
        }
        self.log.publish();
        // The name goes first: a file that is half deleted is no snapshot.
        let disk = &self.shared.disk;
        let deleted = self.dir.join(snapshot.deleted_name());
        disk.rename(&self.dir.join(snapshot.file_name()), &deleted).map_err(io)?;
        disk.remove_file(&deleted).map_err(io)?;
        disk.sync_dir(&self.dir).map_err(io)
    }

    /// Everything to disk, for a clean stop.
    pub fn close(&mut self) -> Result<(), MetadataLogError> {
        let dir = self.dir.clone();
        self.log.close().map_err(|source| MetadataLogError::Io { path: dir, source })
    }
}
