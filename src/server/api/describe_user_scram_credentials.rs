//! DescribeUserScramCredentials: v0.
//!
//! Which users have SCRAM credentials, by mechanism, never the secrets (KIP-554).

use std::collections::BTreeMap;

use crate::metadata::{MetadataImage, Operation, Resource};
use crate::protocol::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    describe_user_scram_credentials_response::{
        CredentialInfo, DescribeUserScramCredentialsResult,
    },
    text,
};
use crate::server::context::RequestContext;
use crate::types::ErrorCode;

/// Answers.
pub(in crate::server) fn handle(
    context: &RequestContext,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    if let Err(refusal) = context.require_in_words(Operation::Describe, Resource::Cluster) {
        let (code, message) = super::error(&refusal);
        return DescribeUserScramCredentialsResponse::default()
            .with_error_code(code)
            .with_error_message(message);
    }
    let users = request.users.unwrap_or_default();
    let users: Vec<&str> = users.iter().map(|user| &*user.name).collect();
    DescribeUserScramCredentialsResponse::default().with_results(describe(&context.image, &users))
}

/// One result a user; of all users if none is named.
fn describe(image: &MetadataImage, users: &[&str]) -> Vec<DescribeUserScramCredentialsResult> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for user in users {
        *counts.entry(user).or_default() += 1;
    }
    if users.is_empty() {
        counts.extend(image.scram.keys().map(|(_, user)| (user.as_str(), 1)));
    }
    let refused = |result: DescribeUserScramCredentialsResult, code: ErrorCode, message: String| {
        result.with_error_code(code.code()).with_error_message(Some(text(message)))
    };
    counts
        .into_iter()
        .map(|(user, count)| {
            let result = DescribeUserScramCredentialsResult::default().with_user(text(user));
            if count > 1 {
                let message = "Cannot describe SCRAM credentials for the same user twice in a \
                               single request: ";
                return refused(result, ErrorCode::DuplicateResource, format!("{message}{user}"));
            }
            let credentials: Vec<CredentialInfo> = image
                .scram
                .iter()
                .filter(|((_, name), _)| name == user)
                .map(|((mechanism, _), credential)| {
                    CredentialInfo::default()
                        .with_mechanism(*mechanism)
                        .with_iterations(credential.iterations)
                })
                .collect();
            if credentials.is_empty() {
                let message =
                    format!("Attempt to describe a user credential that does not exist: {user}");
                return refused(result, ErrorCode::ResourceNotFound, message);
            }
            result.with_credential_infos(credentials)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Changes;
    use crate::metadata::record::UserScramCredentialRecord;

    #[test]
    fn a_user_is_described_by_mechanism_and_refused_if_unknown_or_named_twice() {
        let mut image = MetadataImage::default();
        for mechanism in [1, 2] {
            let credential = UserScramCredentialRecord {
                name: "ann".into(),
                mechanism,
                iterations: 4096,
                ..UserScramCredentialRecord::default()
            };
            image.apply(&credential.into(), &mut Changes::default()).unwrap();
        }
        let all = describe(&image, &[]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].credential_infos.len(), 2);
        let codes = |users: &[&str]| -> Vec<i16> {
            describe(&image, users).iter().map(|result| result.error_code).collect()
        };
        assert_eq!(codes(&["ann", "bob"]), [0, ErrorCode::ResourceNotFound.code()]);
        assert_eq!(codes(&["ann", "ann"]), [ErrorCode::DuplicateResource.code()]);
    }
}
