//! ListConfigResources: v0-1.
//!
//! What can be configured, by name. v0 lists client metrics subscriptions (as which the API began,
//! KIP-1000); v1: groups, brokers, their loggers and topics too (KIP-1142).

use crate::metadata::{MetadataImage, Operation, Resource, ResourceType};
use crate::protocol::messages::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
    list_config_resources_response::ConfigResource, text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// In the order of the answer.
const KINDS: [ResourceType; 5] = [
    ResourceType::Group,
    ResourceType::ClientMetrics,
    ResourceType::BrokerLogger,
    ResourceType::Broker,
    ResourceType::Topic,
];

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    if let Err(code) = context.require(Operation::DescribeConfigs, Resource::Cluster) {
        return ListConfigResourcesResponse::default().with_error_code(code.code());
    }
    let supported: &[ResourceType] =
        if context.version == 0 { &[ResourceType::ClientMetrics] } else { &KINDS };
    let wanted = &request.resource_types;
    let response = ListConfigResourcesResponse::default();
    if wanted.iter().any(|id| !supported.iter().any(|kind| *kind as i8 == *id)) {
        return response.with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let is_wanted = |kind: &ResourceType| wanted.is_empty() || wanted.contains(&(*kind as i8));
    let found = supported.iter().filter(|kind| is_wanted(kind)).flat_map(|kind| {
        let named = names(&context.image, *kind, &context.listener.name).into_iter();
        named.map(|name| {
            ConfigResource::default().with_resource_name(text(name)).with_resource_type(*kind as i8)
        })
    });
    response.with_config_resources(found.collect())
}

fn names(image: &MetadataImage, kind: ResourceType, listener: &str) -> Vec<String> {
    match kind {
        ResourceType::Topic => {
            image.topics.iter_by_name().map(|topic| topic.name.to_string()).collect()
        }
        ResourceType::Broker | ResourceType::BrokerLogger => image
            .cluster
            .brokers
            .values()
            .filter(|broker| broker.endpoint(listener).is_some())
            .map(|broker| broker.id.to_string())
            .collect(),
        ResourceType::Group | ResourceType::ClientMetrics => image
            .configs
            .iter()
            .filter(|(resource, _)| resource.kind == kind)
            .map(|(resource, _)| resource.name.clone())
            .collect(),
        ResourceType::Unknown => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::record::ConfigRecord;

    #[test]
    fn groups_and_subscriptions_are_those_that_have_values_of_their_own() {
        let mut image = MetadataImage::default();
        for (kind, name) in [
            (ResourceType::Group, "g"),
            (ResourceType::ClientMetrics, "s"),
            (ResourceType::Topic, "t"),
        ] {
            let record = ConfigRecord {
                resource_type: kind as i8,
                resource_name: name.to_owned(),
                name: "k".to_owned(),
                value: Some("v".to_owned()),
            };
            image.apply(&record.into(), &mut crate::metadata::image::Changes::default()).unwrap();
        }
        assert_eq!(names(&image, ResourceType::Group, "PLAINTEXT"), ["g"]);
        assert_eq!(names(&image, ResourceType::ClientMetrics, "PLAINTEXT"), ["s"]);
        assert!(names(&image, ResourceType::Topic, "PLAINTEXT").is_empty());
    }
}
