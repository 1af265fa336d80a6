//! DescribeClientQuotas: v0-1.
//!
//! The quotas of users, clients and addresses that fit a filter (KIP-546). v1: flexible.

use std::collections::BTreeMap;

use crate::controller::command::Refusal;
use crate::metadata::image::QuotaEntity;
use crate::metadata::{MetadataImage, Operation, Resource};
use crate::protocol::messages::{
    DescribeClientQuotasRequest, DescribeClientQuotasResponse,
    describe_client_quotas_request::ComponentData,
    describe_client_quotas_response::{EntityData, EntryData, ValueData},
    text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let may = context.require_in_words(Operation::DescribeConfigs, Resource::Cluster);
    match may.and_then(|()| filter(&request.components)) {
        Ok(filter) => {
            let entries = matching(&context.image, &filter, request.strict);
            DescribeClientQuotasResponse::default().with_entries(Some(entries))
        }
        Err(refusal) => {
            let (code, message) = super::error(&refusal);
            DescribeClientQuotasResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_entries(None)
        }
    }
}

/// What the name of a part of an entity must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Match {
    /// This one.
    Name(String),
    /// The default entity.
    Default,
    /// Any.
    Any,
}

/// The parts that an entity must have, by type.
type QuotaFilter = BTreeMap<String, Match>;

/// Checks a filter as Kafka 4.4 `ClientQuotasImage.describe` does.
fn filter(components: &[ComponentData]) -> Result<QuotaFilter, Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let mut filter = QuotaFilter::new();
    for component in components {
        let kind = &*component.entity_type;
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if filter.contains_key(kind) {
            return invalid(format!(
                "Entity type {kind} cannot appear more than once in the filter."
            ));
        }
        if !["user", "client-id", "ip"].contains(&kind) {
            let message = format!("Unsupported entity type {kind}");
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
        let wanted = match (component.match_type, &component._match) {
            (0, Some(name)) => Match::Name(name.to_string()),
            (0, None) => {
                return invalid(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned(),
                );
            }
            (1, None) => Match::Default,
            (2, None) => Match::Any,
            (number @ (1 | 2), Some(_)) => {
                let name = if number == 1 { "DEFAULT" } else { "SPECIFIED" };
                return invalid(format!(
                    "Request specified MATCH_TYPE_{name}, but also specified a match string."
                ));
            }
            (unknown, _) => return invalid(format!("Unknown match type {unknown}")),
        };
        filter.insert(kind.to_owned(), wanted);
    }
    if filter.contains_key("ip") && filter.len() > 1 {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used \
             with user or clientId filter component."
                .to_owned(),
        );
    }
    Ok(filter)
}

fn matching(image: &MetadataImage, filter: &QuotaFilter, strict: bool) -> Vec<EntryData> {
    image
        .quotas
        .iter()
        .filter(|(entity, _)| fits(entity, filter, strict))
        .map(|(entity, values)| {
            let entity = entity.iter().map(|(kind, name)| {
                EntityData::default()
                    .with_entity_type(text(&**kind))
                    .with_entity_name(name.as_deref().map(text))
            });
            let values = values
                .iter()
                .map(|(key, value)| ValueData::default().with_key(text(&**key)).with_value(*value));
            EntryData::default().with_entity(entity.collect()).with_values(values.collect())
        })
        .collect()
}

/// Whether an entity has all parts that are asked for, and no other if that is `strict`.
fn fits(entity: &QuotaEntity, filter: &QuotaFilter, strict: bool) -> bool {
    let has = |(kind, wanted): (&String, &Match)| {
        entity.iter().any(|(part, name)| {
            part == kind
                && match wanted {
                    Match::Name(wanted) => name.as_ref() == Some(wanted),
                    Match::Default => name.is_none(),
                    Match::Any => true,
                }
        })
    };
    filter.iter().all(has) && (!strict || entity.len() == filter.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(kind: &str, match_type: i8, name: Option<&str>) -> ComponentData {
        ComponentData::default()
            .with_entity_type(text(kind))
            .with_match_type(match_type)
            .with_match(name.map(text))
    }

    #[test]
    fn a_strict_filter_leaves_out_entities_with_further_parts() {
        let both: QuotaEntity = vec![("client-id".into(), Some("c".into())), ("user".into(), None)];
        let user: QuotaEntity = vec![("user".into(), Some("u".into()))];
        let of = |components: &[ComponentData]| filter(components).unwrap();
        let any_user = of(&[component("user", 2, None)]);
        assert!(fits(&both, &any_user, false) && !fits(&both, &any_user, true));
        assert!(fits(&user, &any_user, true));
        let default_user = of(&[component("user", 1, None)]);
        assert!(fits(&both, &default_user, false) && !fits(&user, &default_user, false));
        let named = of(&[component("user", 0, Some("u"))]);
        assert!(fits(&user, &named, true) && !fits(&both, &named, false));
        let nothing = of(&[]);
        assert!(fits(&user, &nothing, false) && !fits(&user, &nothing, true));
    }

    #[test]
    fn filters_that_make_no_sense_are_refused_in_kafkas_words() {
        let refusal = |components: &[ComponentData]| filter(components).unwrap_err();
        let message = |components: &[ComponentData]| refusal(components).message.unwrap();
        assert_eq!(
            message(&[component("user", 0, None)]),
            "Request specified MATCH_TYPE_EXACT, but set match string to null."
        );
        assert_eq!(
            message(&[component("user", 1, Some("u"))]),
            "Request specified MATCH_TYPE_DEFAULT, but also specified a match string."
        );
        assert_eq!(
            message(&[component("user", 2, None), component("user", 1, None)]),
            "Entity type user cannot appear more than once in the filter."
        );
        assert_eq!(message(&[component("user", 7, None)]), "Unknown match type 7");
        assert!(
            message(&[component("ip", 2, None), component("user", 2, None)])
                .starts_with("Invalid entity filter component combination.")
        );
        assert_eq!(refusal(&[component("x", 2, None)]).code, ErrorCode::UnsupportedVersion);
    }
}
