//! ApiVersions: v0-5.
//!
//! What this listener serves, what this node supports, and what the cluster has finalized.
//! v3: flexible; the response header never is. v4: features with minimum level 0 are told
//! (KIP-584). v5: the client says which node it means (KIP-1242); another answers with
//! REBOOTSTRAP_REQUIRED.

use bytes::BytesMut;

use crate::metadata::features::{self, METADATA_VERSION};
use crate::protocol::declared::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature,
};
use crate::protocol::key;
use crate::server::apis;
use crate::server::context::{Handled, Reply, RequestContext};
use crate::server::quirks;
use crate::types::ErrorCode;

/// Librdkafka takes a broker for an ancient one unless Produce begins at 0 (KAFKA-18659).
const PRODUCE_MIN_VERSION_TOLD: i16 = 0;

/// Answers.
pub(in crate::server) fn handle(context: RequestContext, body: BytesMut) -> Handled {
    let request: ApiVersionsRequest = match super::decode(&context, body) {
        Ok(request) => request,
        Err(error) => return Handled::Now(super::malformed(error)),
    };
    let Some(pause) = quirks::before_versions(&request.client_software_name) else {
        return Handled::Now(context.reply(&answer(&context, &request)));
    };
    let until = context.broker.env.clock.now() + pause;
    Handled::Later(Box::pin(async move {
        context.broker.env.clock.sleep_until(until).await;
        context.reply(&answer(&context, &request))
    }))
}

/// The answer to a version that nobody knows yet: in version 0, with the versions of this API
/// itself, so that the client can ask again.
pub(in crate::server) fn unsupported(context: &RequestContext) -> Reply {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![ApiVersion { api_key: key::ApiVersions, min_version: 0, max_version: 5 }],
        ..ApiVersionsResponse::default()
    };
    context.reply_at(&response, 0)
}

fn answer(context: &RequestContext, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let refused = |error: ErrorCode| ApiVersionsResponse {
        error_code: error.code(),
        ..ApiVersionsResponse::default()
    };
    let names_software =
        is_valid(&request.client_software_name) && is_valid(&request.client_software_version);
    let names_half_a_node = request.cluster_id.is_some() != (request.node_id != -1);
    if (context.version >= 3 && !names_software) || (context.version >= 5 && names_half_a_node) {
        return refused(ErrorCode::InvalidRequest);
    }
    let broker = &context.broker;
    // Kafka's controllers do not ask whom the client means.
    if let (Some(cluster_id), false) = (&request.cluster_id, context.listener.is_controller)
        && (*cluster_id != broker.cluster_id || request.node_id != broker.node_id)
    {
        return refused(ErrorCode::RebootstrapRequired);
    }
    let image = &context.image;
    let api_keys = apis::served(context.listener.is_controller)
        .map(|api| ApiVersion {
            api_key: api.key,
            min_version: if api.key == key::Produce {
                PRODUCE_MIN_VERSION_TOLD
            } else {
                api.min_version
            },
            max_version: api.newest(broker.config.unstable_api_versions),
        })
        .collect();
    let supported_features = features::supported()
        // Older clients fail on a minimum level of 0.
        .filter(|(_, min, _)| context.version >= 4 || *min > 0)
        .map(|(name, min_version, max_version)| SupportedFeature {
            name: name.to_owned(),
            min_version,
            max_version,
        })
        .collect();
    let finalized = |name: &str, level| FinalizedFeature {
        name: name.to_owned(),
        max_version_level: level,
        min_version_level: level,
    };
    let mut finalized_features = vec![finalized(METADATA_VERSION, image.release.level)];
    let kraft_version = broker.quorum.status().kraft_version;
    if kraft_version > 0 {
        finalized_features.push(finalized(features::KRAFT_VERSION, kraft_version));
    }
    finalized_features.extend(image.features.iter().map(|(name, level)| finalized(name, *level)));
    ApiVersionsResponse {
        error_code: ErrorCode::None.code(),
        api_keys,
        supported_features,
        finalized_features_epoch: image.offset,
        finalized_features,
        ..ApiVersionsResponse::default()
    }
}

/// Letters, digits, dots and dashes, beginning and ending with a letter or digit (KIP-511).
fn is_valid(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_letters_digits_dots_and_dashes() {
        for good in ["librdkafka", "apache-kafka-java", "2.3.0", "a"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a_b", "ä"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
