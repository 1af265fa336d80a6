//! DeleteTopics: v1-6.
//!
//! Topics are gone from the metadata when this answers; their files go later. v3: a code of its own
//! where deletion is disabled. v4: flexible. v5: error messages; a quota may refuse. v6: topics may
//! be named by id (KIP-516).
//! A timeout of 0 or less is refused, as by Kafka; any other is not used: no change here takes long.

use std::collections::BTreeMap;

use crate::controller::command::{DeleteTopicResult, DeleteTopics, Refusal, TopicRef};
use crate::metadata::ResourceKind;
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName, delete_topics_request::DeleteTopicState,
    delete_topics_response::DeletableTopicResult, text, topic_name, uuid_of, wire_uuid,
};
use crate::server::authorization::refused;
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, Uuid};

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = |name: &TopicName| DeleteTopicState::default().with_name(Some(name.clone()));
    let mut wanted: Vec<DeleteTopicState> = request.topic_names.iter().map(by_name).collect();
    wanted.extend(request.topics);
    let mut topics = Vec::with_capacity(wanted.len());
    let mut responses = Vec::new();
    let may_all = context.may_quietly(Operation::Delete, Resource::Cluster);
    let times = times(&wanted);
    for state in &wanted {
        match topic_ref(state) {
            // What is named twice the controller refuses whoever asks.
            Ok(topic) if may_all || times.get(&topic).is_some_and(|times| *times > 1) => {
                topics.push(topic);
            }
            Ok(topic) => match forbidden(context, &topic) {
                Some(refused) => responses.push(refused),
                None => topics.push(topic),
            },
            Err(message) => responses.push(
                DeletableTopicResult::default()
                    .with_name(state.name.clone())
                    .with_topic_id(state.topic_id)
                    .with_error_code(ErrorCode::InvalidRequest.code())
                    .with_error_message(Some(text(message))),
            ),
        }
    }
    match super::call_within(context, request.timeout_ms, DeleteTopics { topics }).await {
        Ok(results) => responses.extend(results.iter().map(result)),
        Err(refusal) => {
            let code = code_of_whole(context.version, &refusal);
            responses.clear();
            responses.extend(wanted.into_iter().map(|state| {
                DeletableTopicResult::default()
                    .with_name(state.name)
                    .with_topic_id(state.topic_id)
                    .with_error_code(code.code())
            }));
        }
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

fn times(wanted: &[DeleteTopicState]) -> BTreeMap<TopicRef, usize> {
    let mut times = BTreeMap::new();
    for topic in wanted.iter().filter_map(|state| topic_ref(state).ok()) {
        *times.entry(topic).or_default() += 1;
    }
    times
}

/// The answer to a client that may not delete a topic. It hears the name only if it knows it, or
/// may see the topic, and nothing of whether there is one if it may not.
fn forbidden(context: &RequestContext, topic: &TopicRef) -> Option<DeletableTopicResult> {
    let topics = &context.image.topics;
    let (name, known) = match topic {
        TopicRef::Name(name) => (name.as_str(), topics.by_name(name)),
        TopicRef::Id(id) => {
            let known = topics.by_id(*id)?;
            (&*known.name, Some(known))
        }
    };
    let may_see = context.may(Operation::Describe, Resource::Topic(name));
    if may_see && (known.is_none() || context.may(Operation::Delete, Resource::Topic(name))) {
        return None;
    }
    let code = ErrorCode::TopicAuthorizationFailed;
    let (code, message) = super::error(&refused(ResourceKind::Topic, code));
    let (told, id) = match topic {
        TopicRef::Name(name) => (Some(name.as_str()), Uuid::ZERO),
        TopicRef::Id(id) => (Some(name).filter(|_| may_see), *id),
    };
    Some(
        DeletableTopicResult::default()
            .with_name(told.map(topic_name))
            .with_topic_id(wire_uuid(id))
            .with_error_code(code)
            .with_error_message(message),
    )
}

/// What a request means, if it says one thing.
fn topic_ref(state: &DeleteTopicState) -> Result<TopicRef, &'static str> {
    match (&state.name, uuid_of(state.topic_id)) {
        (Some(name), Uuid::ZERO) => Ok(TopicRef::Name(name.0.to_string())),
        (None, Uuid::ZERO) => Err("Neither topic name nor id were specified."),
        (None, id) => Ok(TopicRef::Id(id)),
        (Some(_), _) => Err("You may not specify both topic name and topic id."),
    }
}

/// Old clients do not know the code that says that deletion is disabled.
fn code_of_whole(version: i16, refusal: &Refusal) -> ErrorCode {
    match refusal.code {
        ErrorCode::TopicDeletionDisabled if version < 3 => ErrorCode::InvalidRequest,
        code => code,
    }
}

fn result(result: &DeleteTopicResult) -> DeletableTopicResult {
    let (code, message) = super::verdict(&result.result);
    DeletableTopicResult::default()
        .with_name(result.name.as_deref().map(topic_name))
        .with_topic_id(wire_uuid(result.id))
        .with_error_code(code)
        .with_error_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_by_name_or_by_id_and_not_by_both() {
        let id = Uuid::from_halves(1, 2);
        let named = DeleteTopicState::default().with_name(Some(topic_name("a")));
        let by_id = DeleteTopicState::default().with_topic_id(wire_uuid(id));
        assert_eq!(topic_ref(&named), Ok(TopicRef::Name("a".to_owned())));
        assert_eq!(topic_ref(&by_id), Ok(TopicRef::Id(id)));
        assert!(topic_ref(&named.with_topic_id(wire_uuid(id))).is_err());
        assert!(topic_ref(&DeleteTopicState::default()).is_err());
    }

    #[test]
    fn clients_before_version_3_hear_of_disabled_deletion_as_an_invalid_request() {
        let refusal = Refusal::from(ErrorCode::TopicDeletionDisabled);
        assert_eq!(code_of_whole(2, &refusal), ErrorCode::InvalidRequest);
        assert_eq!(code_of_whole(3, &refusal), ErrorCode::TopicDeletionDisabled);
    }
}
