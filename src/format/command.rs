//! The format command (Kafka 4.4 `StorageTool`, `Formatter`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::directories::{self, Directories, METADATA_LOG};
use super::error::FormatError;
use super::meta_properties::{FILE_NAME, MetaProperties, Version};
use crate::env::{Disk, Random};
use crate::metadata::features::{self, FEATURES, Feature, Release};
use crate::metadata::record::{FeatureLevelRecord, MetadataRecord};
use crate::raft::snapshot::{self, SnapshotId};
use crate::raft::{DynamicVoter, VoterSet};
use crate::types::{BrokerId, Timestamp};

/// The bootstrap records of a directory formatted for a release before 4.4.
pub const BOOTSTRAP_CHECKPOINT: &str = "bootstrap.checkpoint";

/// Who votes in the quorum of the cluster that is formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialControllers {
    /// No option was given: right where the voters are static, or the node no controller.
    Unspecified,
    /// `--standalone`: this node alone.
    Standalone,
    /// `--no-initial-controllers`: the set is learned from the others.
    None,
    /// `--initial-controllers`.
    Listed(Vec<DynamicVoter>),
}

/// What to format, from the options of the command and the node's configuration.
#[derive(Clone, Debug)]
pub struct FormatRequest {
    /// `--cluster-id`.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: BrokerId,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first of `log_dirs`.
    pub metadata_dir: PathBuf,
    /// Whether `process.roles` has `controller`.
    pub is_controller: bool,
    /// The first of `controller.listener.names`.
    pub controller_listener: String,
    /// Host (if one is named) and port of the first advertised controller listener.
    pub controller_endpoint: Option<(Option<String>, u16)>,
    /// Whether `controller.quorum.voters` is set: the voters are static then.
    pub has_static_voters: bool,
    /// Who votes, if they are not static.
    pub initial_controllers: InitialControllers,
    /// `--release-version`.
    pub release: Option<String>,
    /// `--feature NAME=LEVEL`, each.
    pub features: Vec<(String, i16)>,
    /// `--ignore-formatted`.
    pub ignore_formatted: bool,
    /// Further records of the new cluster, after its features (SCRAM credentials, say), each with
    /// the version to write it at.
    pub records: Vec<(MetadataRecord, i16)>,
}

/// Reads `NAME=LEVEL`, as `--feature` has it.
pub fn parse_feature(text: &str) -> Result<(String, i16), String> {
    let Some((name, level)) = text.split_once('=') else {
        return Err(format!("Can't parse feature=level string {text}: equals sign not found."));
    };
    let (name, level) = (name.trim(), level.trim());
    match level.parse() {
        Ok(number) => Ok((name.to_owned(), number)),
        Err(_) => Err(format!(
            "Can't parse feature=level string {text}: unable to parse {level} as a short."
        )),
    }
}

/// Formats the directories that are not yet, and tells `say` what it does, line by line, in
/// Kafka's words (4.4 `StorageTool.runFormatCommand`, `Formatter`). On an error no directory that
/// was not announced has been touched.
pub fn format(
    disk: &dyn Disk,
    random: &dyn Random,
    now: Timestamp,
    request: &FormatRequest,
    say: &mut dyn FnMut(&str),
) -> Result<(), FormatError> {
    directories::check_cluster_id(&request.cluster_id)?;
    let voters = initial_voters(random, request)?;
    if request.node_id < 0 {
        return Err(FormatError::NodeId);
    }
    let dirs: BTreeSet<PathBuf> =
        request.log_dirs.iter().cloned().chain([request.metadata_dir.clone()]).collect();
    if request.log_dirs.is_empty() {
        return Err(FormatError::NoDirectories);
    }
    let (release, levels) = levels(request)?;
    let found = Directories::load(disk, dirs)?;
    found.verify(Some(&request.cluster_id), request.node_id)?;
    if let Some(directory) = found.formatted.keys().next()
        && !request.ignore_formatted
    {
        return Err(FormatError::AlreadyFormatted(directory.clone()));
    }
    for directory in found.failed.keys() {
        let directory = directory.display();
        say(&format!("I/O error trying to read log directory {directory}. Ignoring..."));
    }
    if found.empty.is_empty() {
        if found.formatted.is_empty() {
            return Err(FormatError::NoneAvailable);
        }
        say("All of the log directories are already formatted.");
        return Ok(());
    }
    let mut records = bootstrap_records(&levels);
    say(&describe(&records, release));
    records.extend(request.records.iter().cloned());
    let kraft_version = levels.get(features::KRAFT_VERSION).copied().unwrap_or(0);
    let formatting =
        Formatting { disk, now, request, release, records, voters: &voters, kraft_version };
    for directory in &found.empty {
        formatting.one(directory, &found, random, say)?;
    }
    Ok(())
}

/// The voters that the options name; `None` where they are static or not known here.
fn initial_voters(
    random: &dyn Random,
    request: &FormatRequest,
) -> Result<Option<Vec<DynamicVoter>>, FormatError> {
    let voters = match &request.initial_controllers {
        InitialControllers::Listed(voters) => Some(voters.clone()),
        InitialControllers::Standalone if request.has_static_voters => Some(Vec::new()),
        InitialControllers::Standalone => {
            if !request.is_controller {
                return Err(FormatError::StandaloneBroker);
            }
            let (host, port) =
                request.controller_endpoint.as_ref().ok_or(FormatError::NoControllerListener)?;
            let host = host.as_deref().filter(|host| !host.is_empty()).unwrap_or("localhost");
            let (host, directory) = (host.to_owned(), random.uuid());
            Some(vec![DynamicVoter { id: request.node_id, host, port: *port, directory }])
        }
        InitialControllers::Unspecified | InitialControllers::None => None,
    };
    if request.has_static_voters && voters.is_some() {
        return Err(FormatError::StaticAndDynamic);
    }
    let unspecified = request.initial_controllers == InitialControllers::Unspecified;
    if unspecified && request.is_controller && !request.has_static_voters {
        return Err(FormatError::VotersUnspecified);
    }
    Ok(voters)
}

/// The level of every feature: what was asked for, else the release's default.
fn levels(request: &FormatRequest) -> Result<(Release, BTreeMap<&str, i16>), FormatError> {
    let asked: BTreeMap<&str, i16> =
        request.features.iter().map(|(name, level)| (name.as_str(), *level)).collect();
    let release = match (&request.release, asked.get(features::METADATA_VERSION)) {
        (Some(_), Some(_)) => return Err(FormatError::AmbiguousRelease),
        (None, Some(level)) => Release::from_level(*level)?,
        (Some(text), None) => Release::parse(text)?,
        (None, None) => Release::LATEST,
    };
    for name in asked.keys() {
        if *name != features::METADATA_VERSION && Feature::named(name).is_none() {
            return Err(FormatError::UnsupportedFeature {
                name: (*name).to_owned(),
                supported: FEATURES.iter().map(|f| f.name).collect::<Vec<_>>().join(", "),
            });
        }
    }
    let mut levels = asked;
    levels.insert(features::METADATA_VERSION, release.level);
    for feature in FEATURES {
        let asked = levels.get(feature.name).copied();
        let level = match asked {
            None if feature.name == features::KRAFT_VERSION => {
                i16::from(!request.has_static_voters)
            }
            None => feature.default_level(release),
            Some(0) if feature.name == features::KRAFT_VERSION && !request.has_static_voters => {
                return Err(FormatError::StaticKraftVersion);
            }
            Some(level)
                if feature.name == features::KRAFT_VERSION
                    && level != 0
                    && request.has_static_voters =>
            {
                return Err(FormatError::DynamicKraftVersion(level));
            }
            Some(level) => level,
        };
        levels.insert(feature.name, level);
    }
    let pairs: Vec<(&str, i16)> = levels.iter().map(|(name, level)| (*name, *level)).collect();
    for feature in FEATURES {
        let level = levels.get(feature.name).copied().unwrap_or(0);
        feature.check(level, &pairs)?;
    }
    Ok((release, levels))
}

/// The first records of a cluster: `metadata.version`, then the features that are not 0.
fn bootstrap_records(levels: &BTreeMap<&str, i16>) -> Vec<(MetadataRecord, i16)> {
    let first = levels.get_key_value(features::METADATA_VERSION);
    let others = levels.iter().filter(|(name, level)| {
        **name != features::METADATA_VERSION && **name != features::KRAFT_VERSION && **level > 0
    });
    first
        .into_iter()
        .chain(others)
        .map(|(name, level)| {
            let (name, feature_level) = ((*name).to_owned(), *level);
            (FeatureLevelRecord { name, feature_level }.into(), 0)
        })
        .collect()
}

/// The line that `kafka-storage` prints.
fn describe(records: &[(MetadataRecord, i16)], release: Release) -> String {
    let records: Vec<String> = records
        .iter()
        .filter_map(|(record, _)| match record {
            MetadataRecord::FeatureLevel(FeatureLevelRecord { name, feature_level }) => {
                Some(format!(
                    "ApiMessageAndVersion(FeatureLevelRecord(name='{name}', \
                     featureLevel={feature_level}) at version 0)"
                ))
            }
            _ => None,
        })
        .collect();
    format!(
        "Bootstrap metadata: BootstrapMetadata(records=[{}], metadataVersionLevel={}, \
         source=format command)",
        records.join(", "),
        release.level
    )
}

struct Formatting<'a> {
    disk: &'a dyn Disk,
    now: Timestamp,
    request: &'a FormatRequest,
    release: Release,
    records: Vec<(MetadataRecord, i16)>,
    voters: &'a Option<Vec<DynamicVoter>>,
    kraft_version: i16,
}

impl Formatting<'_> {
    fn one(
        &self,
        directory: &Path,
        found: &Directories,
        random: &dyn Random,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), FormatError> {
        let Self { disk, request, .. } = *self;
        let is_metadata = directory == request.metadata_dir;
        let mine = self
            .voters
            .iter()
            .flatten()
            .find(|voter| voter.id == request.node_id)
            .filter(|_| is_metadata);
        let kind = match (is_metadata, self.voters, mine) {
            (false, ..) => "data directory",
            (true, None, _) => "metadata directory",
            (true, Some(_), None) => "dynamic metadata directory",
            (true, Some(_), Some(_)) => "dynamic metadata voter directory",
        };
        say(&format!(
            "Formatting {kind} {} with {} {}.",
            directory.display(),
            features::METADATA_VERSION,
            self.release
        ));
        let at = directories::at(directory);
        disk.create_dir_all(directory).map_err(&at)?;
        if let Some(parent) = directory.parent().filter(|parent| *parent != Path::new("")) {
            disk.sync_dir(parent).map_err(&at)?;
        }
        self.write_checkpoints(directory, is_metadata)?;
        let meta = MetaProperties {
            version: Version::V1,
            cluster_id: Some(request.cluster_id.clone()),
            node_id: Some(request.node_id),
            directory_id: Some(match mine {
                Some(voter) => voter.directory,
                None => found.new_directory_id(random),
            }),
        };
        let path = directory.join(FILE_NAME);
        disk.replace_file(&path, &meta.encode(self.now)).map_err(directories::at(&path))
    }

    /// Since 4.4 everything stands in the metadata log's 0-0 checkpoint, which only a controller's
    /// metadata directory gets. Kafka 4.3 wants the records in `bootstrap.checkpoint` of each
    /// directory, and the voters, if they are dynamic, in the 0-0 checkpoint.
    fn write_checkpoints(&self, directory: &Path, is_metadata: bool) -> Result<(), FormatError> {
        let Self { disk, request, .. } = *self;
        let voters = self.voters.as_ref().map(|voters| {
            VoterSet::new(voters.iter().map(|v| v.to_voter(&request.controller_listener)))
        });
        let log = directory.join(METADATA_LOG);
        let image = snapshot::Contents {
            last_contained_timestamp: self.now,
            appended_at: self.now,
            kraft_version: self.kraft_version,
            voters: voters.as_ref(),
            records: &self.records,
        };
        let write = |path: &Path, contents: &snapshot::Contents<'_>| {
            snapshot::write_file(disk, path, 0, contents)
        };
        let has_metadata_log = is_metadata && request.is_controller;
        if has_metadata_log {
            disk.create_dir_all(&log).map_err(directories::at(&log))?;
            disk.sync_dir(directory).map_err(directories::at(directory))?;
        }
        let checkpoint = log.join(SnapshotId::BOOTSTRAP.file_name());
        if self.release.bootstraps_from_snapshot() {
            if has_metadata_log {
                write(&checkpoint, &image)?;
            }
            return Ok(());
        }
        if has_metadata_log && voters.is_some() {
            write(&checkpoint, &snapshot::Contents { records: &[], ..image })?;
        }
        let nothing_contained = Timestamp(0);
        write(
            &directory.join(BOOTSTRAP_CHECKPOINT),
            &snapshot::Contents {
                last_contained_timestamp: nothing_contained,
                kraft_version: 0,
                voters: None,
                ..image
            },
        )?;
        Ok(())
    }
}
