//! AlterConfigs: v0-2.
//!
//! What is named is set, and the rest of the resource's own values deleted: old clients do this
//! where new ones send IncrementalAlterConfigs. v2: flexible.

use super::incremental_alter_configs::{ConfigAlteration, Named, alter, check_keys};
use crate::controller::command::ConfigChange;
use crate::protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, alter_configs_request::AlterConfigsResource,
    alter_configs_response::AlterConfigsResourceResponse,
};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let is_controller = context.listener.is_controller;
    let asked = request.resources.into_iter().map(|resource| asked(resource, is_controller));
    let asked = asked.collect();
    let answers = alter(context, asked, request.validate_only).await;
    let responses = answers.into_iter().map(|(named, verdict)| {
        let (code, message) = super::verdict(&verdict);
        AlterConfigsResourceResponse::default()
            .with_resource_type(named.kind)
            .with_resource_name(named.name)
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn asked(resource: AlterConfigsResource, is_controller: bool) -> ConfigAlteration {
    let keys = resource.configs.iter().map(|config| (&config.name, config.value.is_none()));
    let checked = if is_controller { Ok(()) } else { check_keys(keys) };
    let values = resource
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)));
    ConfigAlteration {
        change: checked.map(|()| ConfigChange::Replace(values.collect())),
        named: Named { kind: resource.resource_type, name: resource.resource_name },
    }
}
