//! Who may do what (Kafka 4.4 `StandardAuthorizer`, `StandardAuthorizerData`, `AclEntry`; KIP-11,
//! KIP-290).
//!
//! A super user may do everything. Else an entry that denies wins over those that allow; where no
//! entry is for the resource, it is the configuration that says.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::acls::{AclEntry, Acls, PREFIXED, WILDCARD};
use crate::types::ErrorCode;

/// What someone wants to do, by the numbers of Kafka's `AclOperation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // The words say it.
pub enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
    TwoPhaseCommit = 15,
}

/// The number of an entry that is for every operation.
const ALL: i8 = 2;
/// The number of an entry that allows; another one denies.
const ALLOW: i8 = 3;
/// The principal of an entry that is for everyone.
const EVERYONE: &str = "User:*";
/// The one resource of its type.
pub const CLUSTER_NAME: &str = "kafka-cluster";

impl Operation {
    /// Kafka's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Alter => "ALTER",
            Self::Describe => "DESCRIBE",
            Self::ClusterAction => "CLUSTER_ACTION",
            Self::DescribeConfigs => "DESCRIBE_CONFIGS",
            Self::AlterConfigs => "ALTER_CONFIGS",
            Self::IdempotentWrite => "IDEMPOTENT_WRITE",
            Self::CreateTokens => "CREATE_TOKENS",
            Self::DescribeTokens => "DESCRIBE_TOKENS",
            Self::TwoPhaseCommit => "TWO_PHASE_COMMIT",
        }
    }

    /// Whether an entry that allows the operation of this number allows this one too.
    fn is_allowed_by(self, number: i8) -> bool {
        let is = |operation: Self| number == operation as i8;
        match self {
            Self::Describe => {
                is(self) || is(Self::Read) || is(Self::Write) || is(Self::Delete) || is(Self::Alter)
            }
            Self::DescribeConfigs => is(self) || is(Self::AlterConfigs),
            operation => is(operation),
        }
    }
}

/// A type of resource, by the numbers of Kafka's `ResourceType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // The words say it.
pub enum ResourceKind {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
    DelegationToken = 6,
    User = 7,
}

impl ResourceKind {
    /// What there is to allow.
    pub fn operations(self) -> &'static [Operation] {
        use Operation::{
            Alter, AlterConfigs, ClusterAction, Create, CreateTokens, Delete, Describe,
            DescribeConfigs, DescribeTokens, IdempotentWrite, Read, TwoPhaseCommit, Write,
        };
        match self {
            Self::Topic => {
                &[Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs]
            }
            Self::Group => &[Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            Self::Cluster => &[
                Create,
                ClusterAction,
                DescribeConfigs,
                AlterConfigs,
                IdempotentWrite,
                Alter,
                Describe,
            ],
            Self::TransactionalId => &[Describe, Write, TwoPhaseCommit],
            Self::DelegationToken => &[Describe],
            Self::User => &[CreateTokens, DescribeTokens],
        }
    }

    /// What whoever may not hears.
    pub fn refusal(self) -> ErrorCode {
        match self {
            Self::Topic => ErrorCode::TopicAuthorizationFailed,
            Self::Group => ErrorCode::GroupAuthorizationFailed,
            // Kafka has no code of its own for users: only tokens are asked for in their name.
            Self::DelegationToken | Self::User => ErrorCode::DelegationTokenAuthorizationFailed,
            Self::Cluster => ErrorCode::ClusterAuthorizationFailed,
            Self::TransactionalId => ErrorCode::TransactionalIdAuthorizationFailed,
        }
    }
}

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The words say it.
pub enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    Cluster,
    TransactionalId(&'a str),
}

impl Resource<'_> {
    /// Its type.
    pub fn kind(&self) -> ResourceKind {
        match self {
            Self::Topic(_) => ResourceKind::Topic,
            Self::Group(_) => ResourceKind::Group,
            Self::Cluster => ResourceKind::Cluster,
            Self::TransactionalId(_) => ResourceKind::TransactionalId,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Topic(name) | Self::Group(name) | Self::TransactionalId(name) => name,
            Self::Cluster => CLUSTER_NAME,
        }
    }
}

/// Who a client is: `Type:name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(Cow<'static, str>);

impl Principal {
    /// Whoever did not say who he is.
    pub const ANONYMOUS: Self = Self(Cow::Borrowed("User:ANONYMOUS"));

    /// A user.
    pub fn user(name: &str) -> Self {
        Self(Cow::Owned(format!("User:{name}")))
    }

    /// `Type:name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who asks, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// From where.
    pub host: IpAddr,
}

/// What the operator says beside the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorizer {
    /// `super.users`: `Type:name`.
    pub super_users: BTreeSet<String>,
    /// `allow.everyone.if.no.acl.found`.
    pub allows_without_acl: bool,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AclDecision {
    Allowed,
    Denied,
}

impl Authorizer {
    /// Whether someone may do something with a resource.
    pub fn allows(
        &self,
        acls: &Acls,
        requester: Requester<'_>,
        operation: Operation,
        resource: Resource<'_>,
    ) -> bool {
        let (kind, name) = (resource.kind() as i8, resource.name());
        self.allows_named(acls, requester, operation, (kind, name))
    }

    fn allows_named(
        &self,
        acls: &Acls,
        requester: Requester<'_>,
        operation: Operation,
        (kind, name): (i8, &str),
    ) -> bool {
        if self.is_super(requester) {
            return true;
        }
        let (mut is_found, mut is_allowed) = (false, false);
        for entry in acls.of_resource(kind, name) {
            is_found = true;
            match verdict(entry, requester, operation) {
                Some(AclDecision::Denied) => return false,
                Some(AclDecision::Allowed) => is_allowed = true,
                None => {}
            }
        }
        is_allowed || (!is_found && self.allows_without_acl)
    }

    /// Whether someone may do something with any resource of a type, now or once it exists (Kafka
    /// 4.4 `Authorizer.authorizeByResourceType`): one entry that allows and that none which denies
    /// covers whole.
    pub fn allows_any(
        &self,
        acls: &Acls,
        requester: Requester<'_>,
        operation: Operation,
        kind: ResourceKind,
    ) -> bool {
        let kind = kind as i8;
        // A name like any other: without entries everyone may, or a super user.
        if self.allows_named(acls, requester, operation, (kind, "hardcode")) {
            return true;
        }
        let (mut denied, mut denied_prefixes) = (BTreeSet::new(), BTreeSet::new());
        let (mut allowed, mut allowed_prefixes) = (Vec::new(), Vec::new());
        let mut is_all_allowed = false;
        for entry in acls.of_type(kind).filter(|entry| is_about(entry, requester)) {
            let record = &entry.record;
            if record.operation != ALL && record.operation != operation as i8 {
                continue;
            }
            let name = record.resource_name.as_str();
            match (record.pattern_type != PREFIXED, record.permission_type == ALLOW) {
                (true, false) if name == WILDCARD => return false,
                (true, true) if name == WILDCARD => is_all_allowed = true,
                (true, false) => _ = denied.insert(name),
                (false, false) => _ = denied_prefixes.insert(name),
                (true, true) => allowed.push(name),
                (false, true) => allowed_prefixes.push(name),
            }
        }
        let is_covered = |name: &str| {
            let ends = name.char_indices().map(|(at, letter)| at + letter.len_utf8());
            ends.into_iter().any(|end| denied_prefixes.contains(&name[..end]))
        };
        is_all_allowed
            || allowed.iter().any(|name| !denied.contains(name) && !is_covered(name))
            || allowed_prefixes.iter().any(|name| !is_covered(name))
    }

    /// All that someone may do with a resource, as a bit of each operation's number.
    pub fn operations(&self, acls: &Acls, requester: Requester<'_>, resource: Resource<'_>) -> i32 {
        let operations = resource.kind().operations().iter().copied();
        bits(operations.filter(|operation| self.allows(acls, requester, *operation, resource)))
    }

    fn is_super(&self, requester: Requester<'_>) -> bool {
        !self.super_users.is_empty() && self.super_users.contains(requester.principal.as_str())
    }
}

/// A bit of each operation's number.
pub fn bits(operations: impl Iterator<Item = Operation>) -> i32 {
    operations.fold(0, |bits, operation| bits | 1 << operation as i32)
}

/// Whether an entry speaks of who asks, and of where from.
fn is_about(entry: &AclEntry, requester: Requester<'_>) -> bool {
    let principal = entry.record.principal.as_str();
    (principal == requester.principal.as_str() || principal == EVERYONE)
        && entry.concerns_host(requester.host)
}

fn verdict(
    entry: &AclEntry,
    requester: Requester<'_>,
    operation: Operation,
) -> Option<AclDecision> {
    if !is_about(entry, requester) {
        return None;
    }
    let number = entry.record.operation;
    // Who is denied to read may still describe; who is allowed to read may describe too.
    match entry.record.permission_type == ALLOW {
        true if number == ALL || operation.is_allowed_by(number) => Some(AclDecision::Allowed),
        false if number == ALL || number == operation as i8 => Some(AclDecision::Denied),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
