//! The log directories of a node and what their `meta.properties` say (Kafka 4.4
//! `MetaPropertiesEnsemble`, `KafkaRaftServer.initializeLogDirs`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::error::FormatError;
use super::meta_properties::{self, MetaProperties};
use crate::env::{Disk, Random};
use crate::types::{BrokerId, Timestamp, Uuid};

/// The folder of the metadata log in the metadata directory.
pub const METADATA_LOG: &str = "__cluster_metadata-0";

/// What was found in each log directory.
#[derive(Debug, Default)]
pub struct Directories {
    /// Without a `meta.properties`, or not there at all.
    pub empty: BTreeSet<PathBuf>,
    /// Unreadable, with the reason.
    pub failed: BTreeMap<PathBuf, String>,
    /// Belonging to a cluster.
    pub formatted: BTreeMap<PathBuf, MetaProperties>,
}

/// The directories of a node that may start.
#[derive(Debug, PartialEq, Eq)]
pub struct Storage {
    /// The cluster that all directories belong to.
    pub cluster_id: String,
    /// Each usable directory with its id.
    pub directories: BTreeMap<PathBuf, Uuid>,
    /// Directories that failed, with the reason; never the metadata directory.
    pub offline: BTreeMap<PathBuf, String>,
    /// Directories that were formatted before directories had ids, and what is to stand in their
    /// `meta.properties`.
    unidentified: BTreeMap<PathBuf, MetaProperties>,
}

impl Storage {
    /// Writes down the ids of directories that had none.
    pub fn begin(&self, disk: &dyn Disk, now: Timestamp) -> Result<(), FormatError> {
        for (directory, meta) in &self.unidentified {
            let path = directory.join(meta_properties::FILE_NAME);
            tracing::info!(path = %path.display(), directory.id = ?meta.directory_id, "rewriting");
            disk.replace_file(&path, &meta.encode(now)).map_err(at(&path))?;
        }
        Ok(())
    }
}

impl Directories {
    /// Reads every directory's file. An I/O error makes a directory `failed`; a file that is not
    /// understood (of a newer version, say) is an error, since nobody may write beside it.
    pub fn load(
        disk: &dyn Disk,
        directories: impl IntoIterator<Item = PathBuf>,
    ) -> Result<Self, FormatError> {
        let mut found = Self::default();
        for directory in directories {
            let path = directory.join(meta_properties::FILE_NAME);
            match disk.read_file(&path) {
                Ok(None) => {
                    found.empty.insert(directory);
                }
                Ok(Some(bytes)) => {
                    let meta = MetaProperties::parse(&bytes)
                        .map_err(|source| FormatError::MetaProperties { path, source })?;
                    found.formatted.insert(directory, meta);
                }
                Err(error) => {
                    found.failed.insert(directory, error.to_string());
                }
            }
        }
        Ok(found)
    }

    /// Whether all directories belong to one cluster and to this node, and no two are one.
    /// Changes nothing.
    pub fn verify(&self, cluster_id: Option<&str>, node_id: BrokerId) -> Result<(), FormatError> {
        let mut cluster_id = cluster_id;
        let mut seen: BTreeMap<Uuid, &Path> = BTreeMap::new();
        for (directory, meta) in &self.formatted {
            let path = || directory.join(meta_properties::FILE_NAME);
            if let Some(found) = meta.cluster_id.as_deref() {
                match cluster_id {
                    None => cluster_id = Some(found),
                    Some(expected) if expected == found => {}
                    Some(expected) => {
                        return Err(FormatError::ClusterId {
                            path: path(),
                            expected: expected.to_owned(),
                            found: found.to_owned(),
                        });
                    }
                }
            }
            if let Some(found) = meta.node_id.filter(|found| *found != node_id) {
                return Err(FormatError::OtherNode { path: path(), expected: node_id, found });
            }
            if let Some(id) = meta.directory_id {
                if is_reserved(id) {
                    return Err(FormatError::ReservedDirectoryId { path: directory.clone(), id });
                }
                if let Some(first) = seen.insert(id, directory) {
                    return Err(FormatError::DuplicateDirectoryId {
                        id,
                        first: first.to_owned(),
                        second: directory.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// A directory id that none of the directories has.
    pub fn new_directory_id(&self, random: &dyn Random) -> Uuid {
        loop {
            let id = random.uuid();
            let taken = self.formatted.values().any(|meta| meta.directory_id == Some(id));
            if !taken && !is_reserved(id) {
                return id;
            }
        }
    }
}

/// Strings of the protocol carry their length in 16 bits.
const CLUSTER_ID_LEN_MAX: usize = i16::MAX as usize;

/// Any text is a cluster id, the empty one included (Kafka 4.4 `Formatter` checks nothing), as long
/// as Metadata and DescribeCluster can carry it. Apache Kafka formats with a longer one, and fails
/// when it starts.
pub(super) fn check_cluster_id(id: &str) -> Result<(), FormatError> {
    if id.len() > CLUSTER_ID_LEN_MAX {
        return Err(FormatError::ClusterIdTooLong { len: id.len(), max: CLUSTER_ID_LEN_MAX });
    }
    Ok(())
}

/// The first hundred ids are kept for meanings such as "unassigned" (`DirectoryId.reserved`).
fn is_reserved(id: Uuid) -> bool {
    id < Uuid::from_halves(0, 100)
}

/// Checks the directories of a node that is about to start, and chooses an id for a directory that
/// was formatted before directories had ids. Nothing is changed before [`Storage::begin`].
///
/// `log_dirs` need not contain `metadata_dir`.
pub fn open(
    disk: &dyn Disk,
    random: &dyn Random,
    log_dirs: &[PathBuf],
    metadata_dir: &Path,
    node_id: BrokerId,
) -> Result<Storage, FormatError> {
    let all: BTreeSet<PathBuf> =
        log_dirs.iter().cloned().chain([metadata_dir.to_owned()]).collect();
    let mut found = Directories::load(disk, all)?;
    if let Some(reason) = found.failed.get(metadata_dir) {
        let (path, reason) = (metadata_dir.to_owned(), reason.clone());
        return Err(FormatError::MetadataDirectoryFailed { path, reason });
    }
    if let Some(directory) = found.empty.first() {
        return Err(FormatError::NotFormatted(directory.clone()));
    }
    found.verify(None, node_id)?;
    let mut cluster_id = None;
    for (directory, meta) in &found.formatted {
        let missing = |what| FormatError::Incomplete { path: directory.clone(), what };
        meta.node_id.ok_or_else(|| missing("node ID"))?;
        cluster_id = Some(meta.cluster_id.clone().ok_or_else(|| missing("cluster ID"))?);
        let metadata_log = directory.join(METADATA_LOG);
        if directory != metadata_dir && is_there(disk, &metadata_log)? {
            let configured = metadata_dir.to_owned();
            return Err(FormatError::MisplacedMetadata { found: metadata_log, configured });
        }
    }
    let cluster_id = cluster_id.ok_or(FormatError::NothingReadable)?;
    check_cluster_id(&cluster_id)?;
    let (mut directories, mut unidentified) = (BTreeMap::new(), BTreeMap::new());
    for directory in found.formatted.keys().cloned().collect::<Vec<_>>() {
        let fresh = found.new_directory_id(random);
        let Some(meta) = found.formatted.get_mut(&directory) else { continue };
        if meta.directory_id.is_none() {
            meta.directory_id = Some(fresh);
            unidentified.insert(directory.clone(), meta.clone());
        }
        let id = meta.directory_id.unwrap_or(fresh);
        directories.insert(directory, id);
    }
    Ok(Storage { cluster_id, directories, offline: found.failed, unidentified })
}

fn is_there(disk: &dyn Disk, path: &Path) -> Result<bool, FormatError> {
    Ok(disk.info(path).map_err(at(path))?.is_some())
}

/// Turns an I/O error at `path` into ours.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> FormatError + '_ {
    |source| FormatError::Io { path: path.to_owned(), source }
}
