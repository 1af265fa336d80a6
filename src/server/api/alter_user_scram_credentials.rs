//! AlterUserScramCredentials: v0.
//!
//! SCRAM credentials are stored and removed (KIP-554). The client sends salt and salted password;
//! only what cannot be turned back into it is kept.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use crate::controller::command::{AlterUserScramCredentials, ScramUpsertion};
use crate::metadata::Operation;
use crate::protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, StrBytes,
    alter_user_scram_credentials_request::ScramCredentialUpsertion,
    alter_user_scram_credentials_response::AlterUserScramCredentialsResult, text,
};
use crate::server::context::RequestContext;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let deletions: Vec<(String, i8)> =
        request.deletions.iter().map(|d| (d.name.to_string(), d.mechanism)).collect();
    let upsertions: Vec<ScramUpsertion> = request.upsertions.iter().map(upsertion).collect();
    let mut users: BTreeSet<String> = deletions.iter().map(|(user, _)| user.clone()).collect();
    users.extend(upsertions.iter().map(|upsertion| upsertion.user.clone()));
    let command = AlterUserScramCredentials { deletions, upsertions };
    let results = match context.call_on_cluster(Operation::Alter, command).await {
        Ok(results) => {
            results.iter().map(|(user, verdict)| result(user, super::verdict(verdict))).collect()
        }
        Err(refusal) => users.iter().map(|user| result(user, super::error(&refusal))).collect(),
    };
    AlterUserScramCredentialsResponse::default().with_results(results)
}

fn result(user: &str, (code, message): (i16, Option<StrBytes>)) -> AlterUserScramCredentialsResult {
    AlterUserScramCredentialsResult::default()
        .with_user(text(user))
        .with_error_code(code)
        .with_error_message(message)
}

fn upsertion(wanted: &ScramCredentialUpsertion) -> ScramUpsertion {
    let (stored_key, server_key) = match wanted.mechanism {
        1 => sha256_keys(&wanted.salted_password),
        2 => sha512_keys(&wanted.salted_password),
        // The controller refuses it.
        _ => (Vec::new(), Vec::new()),
    };
    ScramUpsertion {
        user: wanted.name.to_string(),
        mechanism: wanted.mechanism,
        iterations: wanted.iterations,
        salt: wanted.salt.to_vec(),
        stored_key,
        server_key,
    }
}

/// Stored key and server key (RFC 5802, section 3).
macro_rules! keys {
    ($name:ident, $hash:ty) => {
        fn $name(salted_password: &[u8]) -> (Vec<u8>, Vec<u8>) {
            let key = |of: &[u8]| {
                // A key of any length will do for HMAC.
                Hmac::<$hash>::new_from_slice(salted_password)
                    .map(|mac| mac.chain_update(of).finalize().into_bytes().to_vec())
                    .unwrap_or_default()
            };
            let client_key = key(b"Client Key");
            (<$hash>::digest(client_key).to_vec(), key(b"Server Key"))
        }
    };
}

keys!(sha256_keys, Sha256);
keys!(sha512_keys, Sha512);

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn keys_are_those_of_the_example_in_rfc_7677() {
        // User "user", password "pencil", 4096 iterations, salt W22ZaJ0SNY7soEsUEjb6gQ==.
        let salted = STANDARD.decode("xKSVEDI6tPlSysH6mUQZOeeOp01r6B3fcJbodRPcYV0=").unwrap();
        let (stored_key, server_key) = sha256_keys(&salted);
        assert_eq!(STANDARD.encode(stored_key), "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
        assert_eq!(STANDARD.encode(server_key), "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    }
}
