//! Levels of features are finalized (Kafka 4.4 `FeatureControlManager`; KIP-584, KIP-1022).

use std::collections::BTreeMap;

use super::command::{FeaturesUpdated, Refusal, UpdateFeatures, UpgradeType};
use super::machine::{Context, Controller, ControllerDecision};
use crate::metadata::cluster::FeatureRange;
use crate::metadata::features::{
    self, ELIGIBLE_LEADER_REPLICAS_VERSION, Feature, KRAFT_VERSION, METADATA_VERSION, Release,
};
use crate::metadata::record::{FeatureLevelRecord, MetadataRecord, NoOpRecord};
use crate::types::{BrokerId, ErrorCode};

impl Controller {
    /// All updates, or none.
    pub(super) fn update_features(
        &mut self,
        _context: Context,
        command: UpdateFeatures,
    ) -> Result<ControllerDecision<FeaturesUpdated>, Refusal> {
        let mut proposed: BTreeMap<&str, i16> =
            self.image().features.iter().map(|(name, level)| (name.as_str(), *level)).collect();
        proposed.insert(METADATA_VERSION, self.image().release.level);
        proposed.extend(command.updates.iter().map(|(name, level, _)| (name.as_str(), *level)));
        let proposed: Vec<(&str, i16)> = proposed.into_iter().collect();
        let mut records = Vec::new();
        for (name, level, how) in &command.updates {
            records.extend(self.update_feature(name, *level, *how, &proposed)?);
        }
        let begins_elr = command
            .updates
            .iter()
            .any(|(name, level, _)| name == ELIGIBLE_LEADER_REPLICAS_VERSION && *level > 0);
        if begins_elr {
            let mut safe = self.elr_safety_records();
            safe.append(&mut records);
            records = safe;
        }
        let current = self.settings.kraft_version;
        let moved = command
            .updates
            .iter()
            .find(|(name, level, _)| name == KRAFT_VERSION && *level != current)
            .map(|(_, level, _)| *level);
        let kraft_version = moved.filter(|_| !command.validate_only);
        let reply = FeaturesUpdated { kraft_version };
        Ok(ControllerDecision::atomic(records, reply).unless(command.validate_only))
    }

    fn update_feature(
        &self,
        name: &str,
        level: i16,
        how: UpgradeType,
        proposed: &[(&str, i16)],
    ) -> Result<Option<MetadataRecord>, Refusal> {
        let refuse = |reason: &str| {
            Err(Refusal::new(
                ErrorCode::InvalidUpdateVersion,
                format!("Invalid update version {level} for feature {name}. {reason}"),
            ))
        };
        if how == UpgradeType::Unknown {
            return refuse("The controller does not support the given upgrade type.");
        }
        let current = match name {
            METADATA_VERSION => self.image().release.level,
            KRAFT_VERSION => self.settings.kraft_version,
            name => self.image().features.get(name).copied().unwrap_or(0),
        };
        if level < 0 {
            return refuse("A feature version cannot be less than 0.");
        }
        if let Some(reason) = self.reason_not_supported(name, level) {
            return refuse(&reason);
        }
        if level < current && how == UpgradeType::Upgrade {
            return refuse(
                "Can't downgrade the version of this feature without setting the upgrade type to \
                 either safe or unsafe downgrade.",
            );
        }
        if level > current && how != UpgradeType::Upgrade {
            return refuse("Can't downgrade to a newer version.");
        }
        match name {
            METADATA_VERSION => self.update_release(level, how).map(Some),
            // The quorum's version is not a record of the cluster.
            KRAFT_VERSION if how != UpgradeType::Upgrade && level != current => {
                refuse("Can't downgrade the version of this feature.")
            }
            KRAFT_VERSION if how != UpgradeType::Upgrade => Ok(None),
            // Something to wait for: the quorum's own records are not the controller's.
            KRAFT_VERSION => Ok(Some(NoOpRecord {}.into())),
            name => {
                // Level 0 of a feature that nobody has is supported by everyone.
                let Some(feature) = Feature::named(name) else {
                    return refuse(&format!("Feature {name} not found."));
                };
                if let Err(error) = feature.check(level, proposed) {
                    return refuse(&error.to_string());
                }
                let name = name.to_owned();
                Ok(Some(FeatureLevelRecord { name, feature_level: level }.into()))
            }
        }
    }

    fn update_release(&self, level: i16, how: UpgradeType) -> Result<MetadataRecord, Refusal> {
        let refuse = |message| Refusal::new(ErrorCode::InvalidUpdateVersion, message);
        let current = self.image().release;
        let Ok(new) = Release::from_level(level) else {
            return Err(refuse(format!(
                "Invalid metadata.version {level}. Valid versions are from {} to {}.",
                Release::MINIMUM.level,
                Release::LATEST.level
            )));
        };
        if current.metadata_changes_down_to(new) {
            let reason = if how == UpgradeType::UnsafeDowngrade {
                "Unsafe metadata downgrade is not supported in this version."
            } else {
                "Refusing to perform the requested downgrade because it might delete metadata \
                 information."
            };
            return Err(refuse(format!(
                "Unsupported metadata.version downgrade from {} to {level}. {reason}",
                current.level
            )));
        }
        tracing::warn!(from = %current, to = %new, "changing metadata.version");
        let name = METADATA_VERSION.to_owned();
        Ok(FeatureLevelRecord { name, feature_level: level }.into())
    }

    /// Every node must support a level before it is finalized.
    fn reason_not_supported(&self, name: &str, level: i16) -> Option<String> {
        let id = self.settings.node_id;
        let cluster = &self.image().cluster;
        let mine = features::supported_range(name);
        let local = reason_outside(&format!("Local controller {id}"), mine, level);
        let of = |ranges: &[FeatureRange]| {
            let range = ranges.iter().find(|range| range.name == name);
            range.map_or((0, 0), |range| (range.min, range.max))
        };
        let brokers = || {
            cluster.brokers.values().find_map(|broker| {
                reason_outside(&format!("Broker {}", broker.id), of(&broker.features), level)
            })
        };
        let controllers = || {
            if !self.image().release.has_controller_registration() {
                return None;
            }
            let others = cluster.controllers.values().filter(|other| other.id != id);
            let unsupported = others.into_iter().find_map(|other| {
                reason_outside(&format!("Controller {}", other.id), of(&other.features), level)
            });
            let is_absent =
                |voter: &&BrokerId| **voter != id && !cluster.controllers.contains_key(*voter);
            let absent = || self.settings.voters.iter().find(is_absent);
            unsupported.or_else(|| {
                absent().map(|voter| {
                    format!(
                        "controller {voter} has not registered, and may not support this feature"
                    )
                })
            })
        };
        local.or_else(brokers).or_else(controllers)
    }
}

fn reason_outside(who: &str, (min, max): (i16, i16), level: i16) -> Option<String> {
    if (min..=max).contains(&level) {
        return None;
    }
    Some(match max {
        0 => format!("{who} does not support this feature."),
        max if max == min => format!("{who} only supports versions {min}"),
        max => format!("{who} only supports versions {min}-{max}"),
    })
}
