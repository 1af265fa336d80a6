//! UpdateFeatures: v0-2.
//!
//! Levels of features are finalized, all of them or none (KIP-584, KIP-778, KIP-1022). v1: the kind
//! of downgrade; validation only. v2: no results by feature, since there is only one outcome.
//! Version 0's permission to downgrade is not heeded: Kafka 4.4's controller reads the field that
//! came after it.

use crate::controller::command::{UpdateFeatures, UpgradeType};
use crate::metadata::Operation;
use crate::protocol::messages::{
    UpdateFeaturesRequest, UpdateFeaturesResponse, text,
    update_features_response::UpdatableFeatureResult,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    if let Err(refusal) = context.require_on_cluster(Operation::Alter) {
        let (code, message) = super::error(&refusal);
        return UpdateFeaturesResponse::default().with_error_code(code).with_error_message(message);
    }
    let updates = request
        .feature_updates
        .iter()
        .map(|u| (u.feature.to_string(), u.max_version_level, upgrade_type(u.upgrade_type)))
        .collect();
    let command = UpdateFeatures { updates, validate_only: request.validate_only };
    match context.broker.controller.call(command).await {
        Err(refusal) if refusal.code == ErrorCode::RequestTimedOut => {
            let (code, message) = super::error(&refusal);
            UpdateFeaturesResponse::default().with_error_code(code).with_error_message(message)
        }
        Err(refusal) => {
            let reason = refusal.message.as_deref().unwrap_or("null");
            UpdateFeaturesResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(format!(
                    "The update failed for all features since the following feature had an error: \
                     {reason}"
                ))))
        }
        Ok(_) if context.version > 1 => UpdateFeaturesResponse::default().with_error_message(None),
        Ok(_) => {
            let done = request.feature_updates.into_iter().map(|update| {
                UpdatableFeatureResult::default()
                    .with_feature(update.feature)
                    .with_error_message(Some(text(ErrorCode::None.name())))
            });
            UpdateFeaturesResponse::default().with_error_message(None).with_results(done.collect())
        }
    }
}

/// By the numbers of Kafka 4.4 `FeatureUpdate.UpgradeType`.
fn upgrade_type(number: i8) -> UpgradeType {
    match number {
        1 => UpgradeType::Upgrade,
        2 => UpgradeType::SafeDowngrade,
        3 => UpgradeType::UnsafeDowngrade,
        _ => UpgradeType::Unknown,
    }
}
