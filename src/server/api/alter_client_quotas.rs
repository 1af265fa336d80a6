//! AlterClientQuotas: v0-1.
//!
//! Quotas of users, clients and addresses are set and removed (KIP-546). v1: flexible.

use crate::controller::command::AlterClientQuotas;
use crate::metadata::Operation;
use crate::metadata::image::QuotaEntity;
use crate::protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, StrBytes,
    alter_client_quotas_response::{EntityData, EntryData},
    text,
};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let changes: Vec<_> = request
        .entries
        .iter()
        .map(|entry| {
            let entity: QuotaEntity = entry
                .entity
                .iter()
                .map(|part| {
                    (
                        part.entity_type.to_string(),
                        part.entity_name.as_ref().map(ToString::to_string),
                    )
                })
                .collect();
            let keys = entry.ops.iter().map(|op| {
                let value = (!op.remove).then_some(op.value);
                (op.key.to_string(), value)
            });
            (entity, keys.collect())
        })
        .collect();
    let entities: Vec<QuotaEntity> = changes.iter().map(|(entity, _)| entity.clone()).collect();
    let command = AlterClientQuotas { changes, validate_only: request.validate_only };
    let entries = match context.call_on_cluster(Operation::AlterConfigs, command).await {
        Ok(results) => {
            results.iter().map(|(entity, verdict)| entry(entity, super::verdict(verdict))).collect()
        }
        Err(refusal) => {
            entities.iter().map(|entity| entry(entity, super::error(&refusal))).collect()
        }
    };
    AlterClientQuotasResponse::default().with_entries(entries)
}

fn entry(entity: &QuotaEntity, (code, message): (i16, Option<StrBytes>)) -> EntryData {
    let entity = entity.iter().map(|(kind, name)| {
        EntityData::default()
            .with_entity_type(text(&**kind))
            .with_entity_name(name.as_deref().map(text))
    });
    EntryData::default()
        .with_error_code(code)
        .with_error_message(message)
        .with_entity(entity.collect())
}
