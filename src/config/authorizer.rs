//! What the authorizer is told: keys that are its own, not the broker's (Kafka 4.4
//! `StandardAuthorizer.configure`).

use std::collections::BTreeSet;

use super::broker::BrokerConfig;
use super::error::Conflict;

const SUPER_USERS: &str = "super.users";
const ALLOW_EVERYONE: &str = "allow.everyone.if.no.acl.found";

/// The keys that the authorizer reads.
pub(super) const KEYS: &[&str] = &[SUPER_USERS, ALLOW_EVERYONE];

/// Settings of the authorizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizerConfig {
    /// `super.users`: principals, `Type:name`, that may do everything.
    pub super_users: BTreeSet<String>,
    /// `allow.everyone.if.no.acl.found`.
    pub allow_everyone_if_no_acl_found: bool,
}

impl BrokerConfig {
    /// What the authorizer is told; `None` without one. Which class it is was checked.
    pub fn authorizer(&self) -> Option<AuthorizerConfig> {
        if self.security.authorizer_class_name.is_empty() {
            return None;
        }
        let allow = self.layers().started_with.get(ALLOW_EVERYONE);
        Some(AuthorizerConfig {
            super_users: self.super_users().map(str::to_owned).collect(),
            allow_everyone_if_no_acl_found: allow
                .is_some_and(|text| text.trim().eq_ignore_ascii_case("true")),
        })
    }

    fn super_users(&self) -> impl Iterator<Item = &str> {
        let users = self.layers().started_with.get(SUPER_USERS).map_or("", String::as_str);
        users.split(';').map(str::trim).filter(|user| !user.is_empty())
    }

    /// A super user that is none, in Kafka's words.
    pub(super) fn wrong_super_user(&self) -> Option<Conflict> {
        self.authorizer()?;
        let wrong = self.super_users().find(|user| !user.contains(':'))?;
        let message =
            format!("expected a string in format principalType:principalName but got {wrong}");
        Some(Conflict { keys: vec![SUPER_USERS], message, requirement: false })
    }
}
