//! Why a directory was not formatted or is not opened.

use std::io;
use std::path::PathBuf;

use super::meta_properties::MetaPropertiesError;
use crate::types::{BrokerId, Uuid};

/// Why directories were not formatted, or are refused at start. Where Apache Kafka has a message,
/// it is Kafka's (4.4 `StorageTool`, `Formatter`, `MetaPropertiesEnsemble`, `KafkaRaftServer`).
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The node id is missing or negative.
    #[error("You must specify a valid non-negative node ID.")]
    NodeId,
    /// No log directory is configured.
    #[error("You must specify at least one directory to format")]
    NoDirectories,
    /// The metadata directory is not one of the directories.
    #[error(
        "The specified metadata log directory, {} was not one of the given directories: {}",
        .metadata.display(), list(.directories)
    )]
    MetadataDirectory {
        /// `metadata.log.dir`.
        metadata: PathBuf,
        /// `log.dirs`.
        directories: Vec<PathBuf>,
    },
    /// A directory already belongs to a cluster.
    #[error(
        "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory \
         and format the others.", .0.display()
    )]
    AlreadyFormatted(PathBuf),
    /// Every directory failed.
    #[error("No available log directories to format.")]
    NoneAvailable,
    /// Static voters are configured, and dynamic ones asked for.
    #[error(
        "You cannot specify controller.quorum.voters and format the node with \
         --initial-controllers or --standalone. If you want to use dynamic quorum, please remove \
         controller.quorum.voters and specify controller.quorum.bootstrap.servers instead."
    )]
    StaticAndDynamic,
    /// A controller without static voters must say who the voters are.
    #[error(
        "Because controller.quorum.voters is not set on this controller, you must specify one of \
         the following: --standalone, --initial-controllers, or --no-initial-controllers."
    )]
    VotersUnspecified,
    /// `--standalone` on a node that is only a broker.
    #[error("You can only use --standalone on a controller.")]
    StandaloneBroker,
    /// `--standalone` needs an endpoint for the voter set.
    #[error("No controller listeners found.")]
    NoControllerListener,
    /// `--initial-controllers` is not a list of voters.
    #[error(transparent)]
    Voters(#[from] crate::raft::VoterParseError),
    /// A feature or version that cannot be finalized.
    #[error(transparent)]
    Feature(#[from] crate::metadata::features::FeatureError),
    /// `--feature metadata.version=..` beside `--release-version`.
    #[error("Use --release-version instead of --feature metadata.version=X to avoid ambiguity.")]
    AmbiguousRelease,
    /// A feature that no release knows.
    #[error("Unsupported feature: {name}. Supported features are: {supported}")]
    UnsupportedFeature {
        /// What was asked for.
        name: String,
        /// What there is.
        supported: String,
    },
    /// kraft.version 0 with dynamic voters.
    #[error(
        "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags \
         --standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic \
         controllers support, try removing the --feature flag for kraft.version."
    )]
    StaticKraftVersion,
    /// kraft.version 1 with static voters.
    #[error(
        "Cannot set kraft.version to {0} unless controller.quorum.voters is empty and one of the \
         flags --standalone, --initial-controllers, or --no-initial-controllers is used. For \
         dynamic controllers support, try using one of --standalone, --initial-controllers, or \
         --no-initial-controllers and removing controller.quorum.voters."
    )]
    DynamicKraftVersion(i16),
    /// A cluster id that no response can carry.
    #[error(
        "the cluster id has {len} bytes, the protocol carries {max} at most: use a shorter one, \
         such as 22 characters of URL-safe base64"
    )]
    ClusterIdTooLong {
        /// Its length in bytes.
        len: usize,
        /// The longest that is accepted, in bytes.
        max: usize,
    },
    /// A directory belongs to another cluster.
    #[error("Invalid cluster.id in: {}. Expected {expected}, but read {found}", .path.display())]
    ClusterId {
        /// The file.
        path: PathBuf,
        /// The cluster of the other directories, or the one asked for.
        expected: String,
        /// The cluster in the file.
        found: String,
    },
    /// A directory belongs to another node.
    #[error(
        "Stored node id {found} doesn't match previous node id {expected} in {}. If you moved \
         your data, make sure your configured node id matches. If you intend to create a new \
         node, you should remove all data in your data directories.", .path.display()
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// The configured node id.
        expected: BrokerId,
        /// The node in the file.
        found: BrokerId,
    },
    /// A directory id that Kafka keeps for itself.
    #[error("Invalid reserved directory ID {id} found in {}", .path.display())]
    ReservedDirectoryId {
        /// The directory.
        path: PathBuf,
        /// Its id.
        id: Uuid,
    },
    /// Two directories with one id: one is a copy.
    #[error(
        "Duplicate directory ID {id} found. It was the ID of {}, but also of {}",
        .first.display(), .second.display()
    )]
    DuplicateDirectoryId {
        /// The id.
        id: Uuid,
        /// A directory.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// No directory could be read.
    #[error("No readable meta.properties files found.")]
    NothingReadable,
    /// The metadata directory cannot be read.
    #[error(
        "Encountered I/O error in metadata log directory {}. Cannot continue.: {reason}",
        .path.display()
    )]
    MetadataDirectoryFailed {
        /// The directory.
        path: PathBuf,
        /// The error.
        reason: String,
    },
    /// A directory was never formatted.
    #[error(
        "No `meta.properties` found in {} (have you run `blumfeld format` to format the \
         directory?)", .0.display()
    )]
    NotFormatted(PathBuf),
    /// A file of version 0 that lacks what a start needs.
    #[error("{what} not found in {}", .path.display())]
    Incomplete {
        /// The directory.
        path: PathBuf,
        /// The field.
        what: &'static str,
    },
    /// The metadata log lies in another directory than configured.
    #[error(
        "Found unexpected metadata location in data directory `{}` (the configured metadata \
         directory is {}).", .found.display(), .configured.display()
    )]
    MisplacedMetadata {
        /// Where it lies.
        found: PathBuf,
        /// Where it should.
        configured: PathBuf,
    },
    /// A `meta.properties` that is not understood: the directory is left untouched.
    #[error("{}: {source}", .path.display())]
    MetaProperties {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MetaPropertiesError,
    },
    /// A checkpoint could not be written.
    #[error(transparent)]
    Snapshot(#[from] crate::raft::snapshot::SnapshotError),
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    format!("[{}]", names.join(", "))
}
