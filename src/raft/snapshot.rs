//! Snapshots of the metadata log: `OFFSET-EPOCH.checkpoint` beside its segments (Kafka 4.4
//! `Snapshots`, `RecordsSnapshotWriter`, `RecordsSnapshotReader`; KIP-630).
//!
//! Batches like the log's: first a header record (with the quorum's version and voters, under
//! kraft.version 1), then the records of the image, then a footer record. A file that lacks its
//! footer is torn. A snapshot is written under another name, synced, and renamed.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::batch::{
    self, BATCH_BYTES_MAX, Content, ContentError, ControlRecord, RECORD_OVERHEAD_MAX,
};
use super::voters::VoterSet;
use crate::codec::CodecError;
use crate::env::{Disk, OpenMode};
use crate::metadata::record::MetadataRecord;
use crate::record::batch::{BatchError, BatchView, batches};
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// The first batch of a snapshot is smaller, voters included.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// The suffix of a snapshot that is whole.
pub const SUFFIX: &str = ".checkpoint";
const PARTIAL_SUFFIX: &str = ".checkpoint.part";
const DELETED_SUFFIX: &str = ".checkpoint.deleted";

/// Names a snapshot: all records before `offset`, the last of which has `epoch`. Ordered as the
/// log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The first offset that it does not contain.
    pub offset: Offset,
    /// The epoch of the last record that it contains.
    pub epoch: LeaderEpoch,
}

/// What the name of a file in the metadata log's folder says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotState {
    /// Whole, unless a disk lied.
    Complete,
    /// Being written when the node stopped.
    Partial,
    /// To be deleted.
    Deleted,
}

impl SnapshotId {
    /// What `format` writes: the voters and first records of a cluster.
    pub const BOOTSTRAP: Self = Self { offset: 0, epoch: 0 };

    /// Whether it tells more than a log up to `end`, whose last batch is of `epoch`.
    pub fn is_ahead_of(self, end: Offset, epoch: Option<LeaderEpoch>) -> bool {
        (self.epoch, self.offset) > (epoch.unwrap_or(0), end)
    }

    /// The name of its file.
    pub fn file_name(self) -> String {
        self.name_with(SUFFIX)
    }

    /// The name of its file once it is to be deleted.
    pub fn deleted_name(self) -> String {
        self.name_with(DELETED_SUFFIX)
    }

    fn name_with(self, suffix: &str) -> String {
        format!("{:020}-{:010}{suffix}", self.offset, self.epoch)
    }

    /// The snapshot that a file name names, if it names one.
    pub fn parse(name: &str) -> Option<(Self, SnapshotState)> {
        let state = if name.ends_with(PARTIAL_SUFFIX) {
            SnapshotState::Partial
        } else if name.ends_with(DELETED_SUFFIX) {
            SnapshotState::Deleted
        } else if name.ends_with(SUFFIX) {
            SnapshotState::Complete
        } else {
            return None;
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (offset, epoch) = (name.get(..20)?, name.get(21..31)?);
        if !digits(offset) || !digits(epoch) || name.as_bytes().get(20) != Some(&b'-') {
            return None;
        }
        Some((Self { offset: offset.parse().ok()?, epoch: epoch.parse().ok()? }, state))
    }
}

impl std::fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name_with(""))
    }
}

/// What a snapshot is made of.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// When the last record that it contains was appended to the log.
    pub last_contained_timestamp: Timestamp,
    /// When it is written.
    pub appended_at: Timestamp,
    /// The version of the quorum; voters are written from 1 on.
    pub kraft_version: i16,
    /// The voters, if they are known.
    pub voters: Option<&'a VoterSet>,
    /// The records, each with the version to write it at.
    pub records: &'a [(MetadataRecord, i16)],
}

/// A snapshot as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When the last record that it contains was appended to the log.
    pub last_contained_timestamp: Timestamp,
    /// The version of the quorum.
    pub kraft_version: i16,
    /// The voters, if it names them.
    pub voters: Option<VoterSet>,
    /// The records of the image.
    pub records: Vec<MetadataRecord>,
}

/// Why a snapshot is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is torn or damaged: an earlier one will do.
    #[error("{}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is not understood, being of a newer release: the directory is left untouched.
    #[error("{}: {source}", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is not known.
        source: ContentError,
    },
    /// A record cannot be written at its version.
    #[error("{}: {name}: {source}", .path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The record's type.
        name: &'static str,
        /// Why.
        source: CodecError,
    },
}

/// Writes a snapshot to `path`, which gets its bytes and its name in one step, durably. Returns
/// its length in bytes.
pub fn write_file(
    disk: &dyn Disk,
    path: &Path,
    epoch: LeaderEpoch,
    contents: &Contents<'_>,
) -> Result<u64, SnapshotError> {
    let io = |source| SnapshotError::Io { path: path.to_owned(), source };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let file = disk.open(&partial, OpenMode::CreateEmpty).map_err(io)?;
    let mut length = 0;
    encode(path, epoch, contents, &mut |bytes| {
        file.write_at(&[IoSlice::new(bytes)], length).map_err(io)?;
        length += bytes.len() as u64;
        Ok(())
    })?;
    file.sync_all().map_err(io)?;
    disk.rename(&partial, path).map_err(io)?;
    if let Some(dir) = path.parent() {
        disk.sync_dir(dir).map_err(io)?;
    }
    Ok(length)
}

/// Gives `write` the batches of a snapshot, one by one.
fn encode(
    path: &Path,
    epoch: LeaderEpoch,
    contents: &Contents<'_>,
    write: &mut dyn FnMut(&[u8]) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let now = contents.appended_at;
    let last_contained = contents.last_contained_timestamp;
    let mut head = vec![ControlRecord::SnapshotHeader { last_contained }];
    if contents.kraft_version >= 1 {
        head.push(ControlRecord::KraftVersion(contents.kraft_version));
        head.extend(contents.voters.cloned().map(ControlRecord::Voters));
    }
    write(&batch::control(0, epoch, now, &head))?;
    let mut offset = head.len() as Offset;
    let mut data = batch::empty(offset, epoch);
    for (record, version) in contents.records {
        let value = record.encode(*version).map_err(|source| SnapshotError::Encode {
            path: path.to_owned(),
            name: record.name(),
            source,
        })?;
        if !data.is_empty() && data.len() + value.len() + RECORD_OVERHEAD_MAX > BATCH_BYTES_MAX {
            offset += Offset::from(data.count());
            write(&batch::finish(std::mem::replace(&mut data, batch::empty(offset, epoch))))?;
        }
        data.push(now, None, Some(&value));
    }
    if !data.is_empty() {
        offset += Offset::from(data.count());
        write(&batch::finish(data))?;
    }
    write(&batch::control(offset, epoch, now, &[ControlRecord::SnapshotFooter]))
}

/// Reads a snapshot, checking every byte of it.
pub fn read_file(disk: &dyn Disk, path: &Path) -> Result<Snapshot, SnapshotError> {
    let io = |source| SnapshotError::Io { path: path.to_owned(), source };
    match disk.read_file(path).map_err(io)? {
        Some(bytes) => decode(&bytes, path),
        None => Err(io(io::ErrorKind::NotFound.into())),
    }
}

/// Reads only when the last record that a snapshot contains was appended to the log.
pub fn read_header(disk: &dyn Disk, path: &Path) -> Result<Timestamp, SnapshotError> {
    let io = |source| SnapshotError::Io { path: path.to_owned(), source };
    let file = disk.open(path, OpenMode::Read).map_err(io)?;
    let mut bytes = vec![0; HEADER_BYTES_MAX];
    let got = file.read_at(&mut bytes, 0).map_err(io)?;
    let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
    let torn = |error: BatchError| damaged(error.to_string());
    let first = BatchView::first(&bytes[..got]).map_err(torn)?;
    first.check_crc().map_err(torn)?;
    let content = batch::decode(&first)
        .map_err(|source| SnapshotError::Unknown { path: path.to_owned(), source })?;
    match content {
        Content::Control(records) => match records.first() {
            Some(ControlRecord::SnapshotHeader { last_contained }) => Ok(*last_contained),
            _ => Err(damaged("it does not begin with a header".to_owned())),
        },
        Content::Data(_) => Err(damaged("it does not begin with a header".to_owned())),
    }
}

fn decode(bytes: &[u8], path: &Path) -> Result<Snapshot, SnapshotError> {
    let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
    let torn = |error: BatchError| damaged(error.to_string());
    let mut snapshot: Option<Snapshot> = None;
    let mut is_complete = false;
    for batch in batches(bytes) {
        let batch = batch.map_err(torn)?;
        batch.check_crc().map_err(torn)?;
        // The CRC holds: these are the bytes that somebody wrote.
        let content = batch::decode(&batch)
            .map_err(|source| SnapshotError::Unknown { path: path.to_owned(), source })?;
        if is_complete {
            return Err(damaged("batches follow the footer".to_owned()));
        }
        match content {
            Content::Data(records) => match &mut snapshot {
                Some(snapshot) => snapshot.records.extend(records),
                None => return Err(damaged("it does not begin with a header".to_owned())),
            },
            Content::Control(records) => {
                for record in records {
                    match (record, &mut snapshot) {
                        (ControlRecord::SnapshotHeader { last_contained }, None) => {
                            snapshot = Some(Snapshot {
                                last_contained_timestamp: last_contained,
                                kraft_version: 0,
                                voters: None,
                                records: Vec::new(),
                            });
                        }
                        (ControlRecord::KraftVersion(version), Some(snapshot)) => {
                            snapshot.kraft_version = version;
                        }
                        (ControlRecord::Voters(voters), Some(snapshot)) => {
                            snapshot.voters = Some(voters);
                        }
                        (ControlRecord::SnapshotFooter, Some(_)) => is_complete = true,
                        (record, _) => {
                            return Err(damaged(format!("{record:?} is out of place")));
                        }
                    }
                }
            }
        }
    }
    match snapshot {
        Some(snapshot) if is_complete => Ok(snapshot),
        _ => Err(damaged("it ends without a footer".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::record::FeatureLevelRecord;
    use crate::raft::voters::DynamicVoter;

    fn feature(name: &str, level: i16) -> (MetadataRecord, i16) {
        (FeatureLevelRecord { name: name.to_owned(), feature_level: level }.into(), 0)
    }

    fn voters() -> VoterSet {
        let voter = DynamicVoter::parse("1@localhost:19622:aoXEKW4BSRK4aae8Hbgnfg").unwrap();
        VoterSet::new([voter.to_voter("CONTROLLER")])
    }

    fn encoded(records: &[(MetadataRecord, i16)]) -> Vec<u8> {
        let voters = voters();
        let contents = Contents {
            last_contained_timestamp: Timestamp(3),
            appended_at: Timestamp(4),
            kraft_version: 1,
            voters: Some(&voters),
            records,
        };
        let mut bytes = Vec::new();
        encode(Path::new("s"), 2, &contents, &mut |batch| {
            bytes.extend_from_slice(batch);
            Ok(())
        })
        .unwrap();
        bytes
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let records = [feature("metadata.version", 33), feature("group.version", 1)];
        let snapshot = decode(&encoded(&records), Path::new("s")).unwrap();
        assert_eq!(
            snapshot,
            Snapshot {
                last_contained_timestamp: Timestamp(3),
                kraft_version: 1,
                voters: Some(voters()),
                records: records.into_iter().map(|(record, _)| record).collect(),
            }
        );
    }

    #[test]
    fn a_snapshot_torn_at_any_byte_is_refused() {
        let bytes = encoded(&[feature("metadata.version", 33)]);
        for length in 0..bytes.len() {
            let error = decode(&bytes[..length], Path::new("s")).unwrap_err();
            assert!(matches!(error, SnapshotError::Damaged { .. }), "{length}: {error}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            let _ = decode(&flipped, Path::new("s")); // May differ in an epoch, and never panics.
        }
    }

    #[test]
    fn many_records_are_spread_over_batches_below_the_limit() {
        let name = "n".repeat(30_000);
        let records: Vec<_> = (0..600).map(|level| feature(&name, level)).collect();
        let bytes = encoded(&records);
        let sizes: Vec<usize> =
            batches(&bytes).map(|batch| batch.unwrap().header().size()).collect();
        assert!(sizes.len() > 4 && sizes.iter().all(|size| *size <= BATCH_BYTES_MAX), "{sizes:?}");
        assert_eq!(decode(&bytes, Path::new("s")).unwrap().records.len(), 600);
    }

    #[test]
    fn a_file_name_says_what_it_is() {
        let id = SnapshotId { offset: 42, epoch: 7 };
        let check = |name: &str, expect| assert_eq!(SnapshotId::parse(name), expect, "{name}");
        assert_eq!(id.file_name(), "00000000000000000042-0000000007.checkpoint");
        check(&id.file_name(), Some((id, SnapshotState::Complete)));
        check(&id.deleted_name(), Some((id, SnapshotState::Deleted)));
        let partial = "00000000000000000042-0000000007-123.checkpoint.part";
        check(partial, Some((id, SnapshotState::Partial)));
        check("00000000000000000042-0000000007.log", None);
        check("bootstrap.checkpoint", None);
        check("+0000000000000000042-0000000007.checkpoint", None);
        check("é.checkpoint", None);
    }
}
