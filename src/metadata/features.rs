//! The features of a cluster and their levels (Kafka 4.4 `MetadataVersion`, `Feature`, KIP-584,
//! KIP-1022): which there are, which a release finalizes, and which need which.

use crate::types::ErrorCode;

/// The feature that rules the formats of metadata records.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature that rules the quorum: 1 has a dynamic set of voters (KIP-853). It is not kept as
/// a FeatureLevelRecord but as a control record of the metadata log.
pub const KRAFT_VERSION: &str = "kraft.version";
/// The feature that keeps eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";
/// The feature of consumer groups with server-side assignment (KIP-848).
pub const GROUP_VERSION: &str = "group.version";
/// The feature of share groups (KIP-932).
pub const SHARE_VERSION: &str = "share.version";
/// The feature of streams groups (KIP-1071).
pub const STREAMS_VERSION: &str = "streams.version";
/// The feature of transactions with an epoch of their own (KIP-890).
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// A level of `metadata.version`. Ordered by level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// What is stored.
    pub level: i16,
    /// The release that brought it, "4.4".
    pub release: &'static str,
    /// Its name, "4.4-IV2".
    pub name: &'static str,
    /// Whether the formats of records changed with it, so that going back below it loses data.
    changed_metadata: bool,
}

macro_rules! releases {
    ($($level:literal $release:literal $sub:literal $changed:literal;)*) => {
        /// Every level of `metadata.version` that Kafka 4.4 knows, in order.
        pub const RELEASES: &[Release] = &[$(Release {
            level: $level,
            release: $release,
            name: concat!($release, "-", $sub),
            changed_metadata: $changed,
        }),*];
    };
}

releases! {
    7 "3.3" "IV3" true;
    8 "3.4" "IV0" true;
    9 "3.5" "IV0" false;
    10 "3.5" "IV1" false;
    11 "3.5" "IV2" true;
    12 "3.6" "IV0" false;
    13 "3.6" "IV1" true;
    14 "3.6" "IV2" true;
    15 "3.7" "IV0" true;
    16 "3.7" "IV1" false;
    17 "3.7" "IV2" true;
    18 "3.7" "IV3" false;
    19 "3.7" "IV4" false;
    20 "3.8" "IV0" false;
    21 "3.9" "IV0" false;
    22 "4.0" "IV0" false;
    23 "4.0" "IV1" true;
    24 "4.0" "IV2" false;
    25 "4.0" "IV3" false;
    26 "4.1" "IV0" false;
    27 "4.1" "IV1" false;
    28 "4.2" "IV0" false;
    29 "4.2" "IV1" false;
    30 "4.3" "IV0" true;
    31 "4.4" "IV0" false;
    32 "4.4" "IV1" true;
    33 "4.4" "IV2" true;
}

impl Release {
    /// The lowest level that is supported.
    pub const MINIMUM: Self = RELEASES[0];
    /// The newest level, finalized when nothing else is asked for.
    pub const LATEST: Self = RELEASES[RELEASES.len() - 1];

    /// The level of this number.
    pub fn from_level(level: i16) -> Result<Self, FeatureError> {
        let known = RELEASES.iter().find(|release| release.level == level);
        known.copied().ok_or(FeatureError::UnknownLevel(level))
    }

    /// The level that a text such as "4.4", "4.4.0" or "4.4-IV1" names; parts after the second
    /// dot-separated one do not matter (`MetadataVersion.fromVersionString`).
    pub fn parse(text: &str) -> Result<Self, FeatureError> {
        let mut dots = text.match_indices('.');
        let key = match (dots.next(), dots.next()) {
            (_, Some((second, _))) => &text[..second],
            _ => text,
        };
        let named = RELEASES.iter().find(|release| release.name == key);
        let newest = || RELEASES.iter().rev().find(|release| release.release == key);
        named.or_else(newest).copied().ok_or_else(|| FeatureError::UnknownRelease(text.to_owned()))
    }

    /// Since 3.6-IV1 a change may span batches, between Begin and EndTransactionRecord (KIP-868).
    pub fn has_transactions(self) -> bool {
        self.level >= 13
    }

    /// Since 3.7-IV0 controllers register themselves (KIP-919).
    pub fn has_controller_registration(self) -> bool {
        self.level >= 15
    }

    /// Since 3.7-IV2 replicas name their directory (KIP-858).
    pub fn has_directories(self) -> bool {
        self.level >= 17
    }

    /// Since 4.0-IV1 partition records may name eligible leader replicas (KIP-966).
    pub fn has_elr(self) -> bool {
        self.level >= 23
    }

    /// Since 4.3-IV0 a registration names the directories that take no new replicas (KIP-1066).
    pub fn has_cordoned_directories(self) -> bool {
        self.level >= 30
    }

    /// Since 4.4-IV1 an access control entry may be for a range of addresses (KIP-1276).
    pub fn has_cidr_acls(self) -> bool {
        self.level >= 32
    }

    /// Since 4.4-IV2 a controller's registration can be removed (KIP-1312).
    pub fn has_controller_unregistration(self) -> bool {
        self.level >= 33
    }

    /// Before 3.6-IV0 a smaller set of in-sync replicas raised the leader epoch (KAFKA-15021).
    pub fn raises_epoch_on_shrink(self) -> bool {
        self.level < 12
    }

    /// Since 3.5-IV2 SCRAM credentials are metadata (KIP-900).
    pub fn has_scram(self) -> bool {
        self.level >= 11
    }

    /// Since 4.4-IV0 `format` writes the bootstrap records into the 0-0 checkpoint of the
    /// metadata log (KAFKA-19648); before, into `bootstrap.checkpoint`.
    pub fn bootstraps_from_snapshot(self) -> bool {
        self.level >= 31
    }

    /// Whether records written at `self` may not be understood at `to`
    /// (`MetadataVersion.checkIfMetadataChanged`).
    pub fn metadata_changes_down_to(self, to: Self) -> bool {
        RELEASES.iter().any(|release| {
            release.level > to.level && release.level <= self.level && release.changed_metadata
        })
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A feature other than `metadata.version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Its levels: the index is the level.
    levels: &'static [FeatureLevel],
}

/// A level of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FeatureLevel {
    /// The `metadata.version` from which on it is a new cluster's default.
    default_since: i16,
    /// Features that it needs, with the least level of each.
    needs: &'static [(&'static str, i16)],
}

const fn level(default_since: i16) -> FeatureLevel {
    FeatureLevel { default_since, needs: &[] }
}

/// Every feature of Kafka 4.4 beside `metadata.version`, by name.
pub const FEATURES: &[Feature] = &[
    Feature {
        name: ELIGIBLE_LEADER_REPLICAS_VERSION,
        levels: &[level(7), FeatureLevel { default_since: 26, needs: &[(METADATA_VERSION, 23)] }],
    },
    Feature { name: GROUP_VERSION, levels: &[level(7), level(22)] },
    Feature { name: KRAFT_VERSION, levels: &[level(7), level(21)] },
    Feature { name: SHARE_VERSION, levels: &[level(7), level(28), level(31)] },
    Feature { name: STREAMS_VERSION, levels: &[level(7), level(29)] },
    Feature { name: TRANSACTION_VERSION, levels: &[level(7), level(24), level(24)] },
];

impl Feature {
    /// The feature of this name.
    pub fn named(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// The newest level.
    pub fn newest(&self) -> i16 {
        self.levels.len() as i16 - 1
    }

    /// What a cluster formatted at `release` finalizes.
    pub fn default_level(&self, release: Release) -> i16 {
        let later = self.levels.iter().position(|level| level.default_since > release.level);
        later.unwrap_or(self.levels.len()) as i16 - 1
    }

    /// Whether `level` exists and what it needs is among `finalized` (name, level).
    pub fn check(&self, level: i16, finalized: &[(&str, i16)]) -> Result<(), FeatureError> {
        let feature = self.name;
        let Some(wanted) = usize::try_from(level).ok().and_then(|at| self.levels.get(at)) else {
            return Err(FeatureError::NoSuchLevel { feature: feature.to_owned(), level });
        };
        let has = |name: &str| finalized.iter().find(|(n, _)| *n == name).map(|(_, level)| *level);
        let minimum = Release::MINIMUM;
        if level >= 1 && has(METADATA_VERSION).is_none_or(|at| at < minimum.level) {
            return Err(FeatureError::NeedsRelease { feature, level, needed: minimum });
        }
        for (needed, needed_level) in wanted.needs {
            if has(needed).is_none_or(|at| at < *needed_level) {
                let needed_level = *needed_level;
                return Err(FeatureError::Needs { feature, level, needed, needed_level });
            }
        }
        Ok(())
    }
}

/// The range of levels that this program supports of each feature, as it is listed in a
/// registration and in ApiVersions (`QuorumFeatures.defaultSupportedFeatureMap`).
pub fn supported() -> impl Iterator<Item = (&'static str, i16, i16)> {
    let metadata = (METADATA_VERSION, Release::MINIMUM.level, Release::LATEST.level);
    let others = FEATURES.iter().map(|feature| (feature.name, 0, feature.newest()));
    std::iter::once(metadata).chain(others)
}

/// The range of one feature; an unknown one is supported from 0 to 0, which is not at all.
pub fn supported_range(name: &str) -> (i16, i16) {
    supported().find(|(n, ..)| *n == name).map_or((0, 0), |(_, min, max)| (min, max))
}

/// Why a level cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// No such `metadata.version`.
    #[error(
        "No MetadataVersion with feature level {0}. Valid feature levels are from {min} to {max}.",
        min = Release::MINIMUM.level, max = Release::LATEST.level
    )]
    UnknownLevel(i16),
    /// No such release.
    #[error("Unknown metadata.version '{0}'. Supported metadata.version are: {names}", names = release_names())]
    UnknownRelease(String),
    /// No such level of another feature.
    #[error("No feature:{feature} with feature level {level}")]
    NoSuchLevel {
        /// The feature.
        feature: String,
        /// The level asked for.
        level: i16,
    },
    /// The `metadata.version` is too low for any level above 0.
    #[error(
        "{feature} could not be set to {level} because it depends on metadata.version={} ({needed})",
        .needed.level
    )]
    NeedsRelease {
        /// The feature.
        feature: &'static str,
        /// The level asked for.
        level: i16,
        /// What it needs.
        needed: Release,
    },
    /// Another feature's level is too low.
    #[error(
        "{feature} could not be set to {level} because it depends on {needed} level {needed_level}"
    )]
    Needs {
        /// The feature.
        feature: &'static str,
        /// The level asked for.
        level: i16,
        /// The feature that it needs.
        needed: &'static str,
        /// At this level or above.
        needed_level: i16,
    },
}

impl FeatureError {
    /// The code of an UpdateFeatures that fails so.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownLevel(_)
            | Self::UnknownRelease(_)
            | Self::NoSuchLevel { .. }
            | Self::NeedsRelease { .. }
            | Self::Needs { .. } => ErrorCode::InvalidUpdateVersion,
        }
    }
}

fn release_names() -> String {
    let names: Vec<&str> = RELEASES.iter().map(|release| release.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_found_by_every_name_that_kafka_takes() {
        let check = |text: &str, level: i16| assert_eq!(Release::parse(text).unwrap().level, level);
        check("4.4", 33);
        check("4.4.0", 33);
        check("4.3.1", 30);
        check("4.4-IV1", 32);
        check("3.7", 19);
        check("3.9.2.1", 21);
        let error = Release::parse("9.9").unwrap_err().to_string();
        assert!(error.starts_with(
            "Unknown metadata.version '9.9'. Supported metadata.version are: 3.3-IV3, 3.4-IV0"
        ));
        assert!(error.ends_with("4.4-IV1, 4.4-IV2"));
    }

    #[test]
    fn the_defaults_of_a_release_are_kafkas() {
        let check = |release: &str, expect: [(&str, i16); 6]| {
            let release = Release::parse(release).unwrap();
            let levels: Vec<_> =
                FEATURES.iter().map(|f| (f.name, f.default_level(release))).collect();
            assert_eq!(levels, expect, "{release}");
        };
        let names = |elr, group, kraft, share, streams, transaction| {
            [
                (ELIGIBLE_LEADER_REPLICAS_VERSION, elr),
                (GROUP_VERSION, group),
                (KRAFT_VERSION, kraft),
                (SHARE_VERSION, share),
                (STREAMS_VERSION, streams),
                (TRANSACTION_VERSION, transaction),
            ]
        };
        // `kafka-storage version-mapping` of 4.4.0.
        check("4.4", names(1, 1, 1, 2, 1, 2));
        check("4.3", names(1, 1, 1, 1, 1, 2));
        check("4.1", names(1, 1, 1, 0, 0, 2));
        check("4.0", names(0, 1, 1, 0, 0, 2));
        check("3.9", names(0, 0, 1, 0, 0, 0));
        check("3.3", names(0, 0, 0, 0, 0, 0));
    }

    #[test]
    fn a_level_needs_what_it_needs() {
        let elr = Feature::named(ELIGIBLE_LEADER_REPLICAS_VERSION).unwrap();
        assert_eq!(elr.check(1, &[(METADATA_VERSION, 23)]), Ok(()));
        assert_eq!(
            elr.check(1, &[(METADATA_VERSION, 22)]).unwrap_err().to_string(),
            "eligible.leader.replicas.version could not be set to 1 because it depends on \
             metadata.version level 23"
        );
        assert_eq!(
            elr.check(2, &[(METADATA_VERSION, 33)]).unwrap_err().to_string(),
            "No feature:eligible.leader.replicas.version with feature level 2"
        );
    }

    #[test]
    fn going_back_loses_metadata_only_across_a_change_of_formats() {
        let changes = |from: &str, to: &str| {
            let [from, to] = [from, to].map(|text| Release::parse(text).unwrap());
            from.metadata_changes_down_to(to)
        };
        assert!(changes("4.4-IV2", "4.4-IV1"));
        assert!(!changes("4.4-IV0", "4.3-IV0"));
        assert!(!changes("4.2-IV1", "4.0-IV1"));
        assert!(changes("4.2-IV1", "4.0-IV0"));
    }
}
