//! SCRAM credentials and access control entries (Kafka 4.4 `ScramControlManager`,
//! `AclControlManager`; KIP-554, KIP-11, KIP-290, KIP-1276).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;

use super::command::{
    Acl, AclFilter, AlterUserScramCredentials, CreateAcls, DeleteAcls, Refusal, ScramUpsertion,
    Verdict,
};
use super::machine::{Context, Controller, ControllerDecision, RECORDS_MAX};
use crate::metadata::acls::{LITERAL, PREFIXED, WILDCARD};
use crate::metadata::record::{
    AccessControlEntryRecord, MetadataRecord, RemoveAccessControlEntryRecord,
    RemoveUserScramCredentialRecord, UserScramCredentialRecord,
};
use crate::types::{ErrorCode, Uuid};

/// The mechanisms' numbers, each with the fewest iterations allowed.
const MECHANISMS: &[(i8, i32)] = &[(1, 4096), (2, 4096)];
const ITERATIONS_MAX: i32 = 16_384;

// The numbers of the protocol that filters give a meaning.
const ANY: i8 = 1;
const MATCH: i8 = 2;

/// How many entries the answer to one request may tell; every filter tells of all that it fits.
const TOLD_MAX: usize = 10 * RECORDS_MAX;

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

/// The entries that a filter picked.
type Deleted = Result<Vec<Acl>, Refusal>;

/// What one request wants of one user.
enum Wish<'a> {
    Remove(i8),
    Store(&'a ScramUpsertion),
    Refused(Refusal),
}

impl Controller {
    pub(super) fn alter_scram(
        &mut self,
        _context: Context,
        command: AlterUserScramCredentials,
    ) -> Result<ControllerDecision<Vec<(String, Verdict)>>, Refusal> {
        let mut wishes: BTreeMap<&str, Wish<'_>> = BTreeMap::new();
        let mut wish = |user, wanted: Result<_, Refusal>| {
            let twice = || {
                Wish::Refused(Refusal::new(
                    ErrorCode::DuplicateResource,
                    "A user credential cannot be altered twice in the same request",
                ))
            };
            match wishes.get(user) {
                Some(Wish::Refused(_)) => {}
                Some(_) => _ = wishes.insert(user, twice()),
                None => _ = wishes.insert(user, wanted.unwrap_or_else(Wish::Refused)),
            }
        };
        for (user, mechanism) in &command.deletions {
            let wanted = self.check_scram(user, *mechanism).and_then(|_| {
                let exists = self.image().scram.contains_key(&(*mechanism, user.clone()));
                let message = "Attempt to delete a user credential that does not exist";
                let missing = || Refusal::new(ErrorCode::ResourceNotFound, message);
                exists.then_some(Wish::Remove(*mechanism)).ok_or_else(missing)
            });
            wish(user.as_str(), wanted);
        }
        for upsertion in &command.upsertions {
            let bad = |message| Refusal::new(ErrorCode::UnacceptableCredential, message);
            let wanted =
                self.check_scram(&upsertion.user, upsertion.mechanism).and_then(|fewest| {
                    match upsertion.iterations {
                        few if few < fewest => Err(bad("Too few iterations")),
                        many if many > ITERATIONS_MAX => Err(bad("Too many iterations")),
                        _ => Ok(Wish::Store(upsertion)),
                    }
                });
            wish(upsertion.user.as_str(), wanted);
        }
        let mut records: Vec<MetadataRecord> = Vec::new();
        let results = wishes
            .into_iter()
            .map(|(user, wish)| {
                let name = user.to_owned();
                let verdict = match wish {
                    Wish::Refused(refusal) => Err(refusal),
                    Wish::Remove(mechanism) => {
                        let name = name.clone();
                        records.push(RemoveUserScramCredentialRecord { name, mechanism }.into());
                        Ok(())
                    }
                    Wish::Store(credential) => {
                        records.push(
                            UserScramCredentialRecord {
                                name: name.clone(),
                                mechanism: credential.mechanism,
                                salt: Bytes::copy_from_slice(&credential.salt),
                                stored_key: Bytes::copy_from_slice(&credential.stored_key),
                                server_key: Bytes::copy_from_slice(&credential.server_key),
                                iterations: credential.iterations,
                            }
                            .into(),
                        );
                        Ok(())
                    }
                };
                (name, verdict)
            })
            .collect();
        Ok(ControllerDecision::atomic(records, results))
    }

    /// The fewest iterations of a mechanism, if user and mechanism may be.
    fn check_scram(&self, user: &str, mechanism: i8) -> Result<i32, Refusal> {
        if !self.image().release.has_scram() {
            return Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                "The current metadata.version does not support SCRAM",
            ));
        }
        if user.is_empty() {
            return Err(Refusal::new(
                ErrorCode::UnacceptableCredential,
                "Username must not be empty",
            ));
        }
        let known = MECHANISMS.iter().find(|(number, _)| *number == mechanism);
        known.map(|(_, fewest)| *fewest).ok_or_else(|| {
            Refusal::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
        })
    }

    pub(super) fn create_acls(
        &mut self,
        context: Context,
        command: CreateAcls,
    ) -> Result<ControllerDecision<Vec<Verdict>>, Refusal> {
        let mut entropy = context.entropy();
        let mut known: BTreeSet<Acl> = self.image().acls.records().map(acl_of).collect();
        let mut records: Vec<MetadataRecord> = Vec::new();
        let has_ranges = self.image().release.has_cidr_acls();
        let mut results = Vec::with_capacity(command.acls.len());
        for acl in command.acls {
            let verdict = check_acl(&acl, has_ranges);
            if verdict.is_ok() && known.insert(acl.clone()) {
                records.push(record_of(entropy.uuid(), acl).into());
            }
            results.push(verdict);
        }
        Ok(ControllerDecision::atomic(records, results))
    }

    pub(super) fn delete_acls(
        &mut self,
        _context: Context,
        command: DeleteAcls,
    ) -> Result<ControllerDecision<Vec<Deleted>>, Refusal> {
        let mut gone: BTreeSet<Uuid> = BTreeSet::new();
        let mut told = 0;
        let mut results = Vec::with_capacity(command.filters.len());
        for filter in &command.filters {
            if let Err(refusal) = filter.check() {
                results.push(Err(refusal));
                continue;
            }
            let matching = self.image().acls.records().filter(|record| filter.matches(record));
            let (ids, acls): (Vec<Uuid>, Vec<Acl>) =
                matching.map(|record| (record.id, acl_of(record))).unzip();
            gone.extend(ids);
            told += acls.len();
            if gone.len() > RECORDS_MAX || told > TOLD_MAX {
                return Err(invalid(format!(
                    "Cannot remove more than {RECORDS_MAX} acls in a single delete operation."
                )));
            }
            results.push(Ok(acls));
        }
        let records =
            gone.into_iter().map(|id| RemoveAccessControlEntryRecord { id }.into()).collect();
        Ok(ControllerDecision::atomic(records, results))
    }
}

impl AclFilter {
    /// Whether all its numbers are ones that Kafka 4.4 has a word for.
    pub fn check(&self) -> Result<(), Refusal> {
        if !(1..=7).contains(&self.resource_type) || !(1..=4).contains(&self.pattern_type) {
            return Err(invalid("Unknown patternFilter."));
        }
        if !(1..=15).contains(&self.operation) || !(1..=3).contains(&self.permission) {
            return Err(invalid("Unknown entryFilter."));
        }
        Ok(())
    }

    /// Whether it picks an entry (Kafka 4.4 `ResourcePatternFilter`, `AccessControlEntryFilter`).
    pub fn matches(&self, acl: &AccessControlEntryRecord) -> bool {
        let fits = |wanted: i8, has: i8| wanted == ANY || wanted == has;
        let is = |wanted: &Option<String>, has: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == has)
        };
        let name_fits = match &self.resource_name {
            None => true,
            Some(name) if self.pattern_type != MATCH => *name == acl.resource_name,
            Some(name) => match acl.pattern_type {
                LITERAL => *name == acl.resource_name || acl.resource_name == WILDCARD,
                PREFIXED => name.starts_with(&acl.resource_name),
                _ => false,
            },
        };
        fits(self.resource_type, acl.resource_type)
            && (self.pattern_type == MATCH || fits(self.pattern_type, acl.pattern_type))
            && name_fits
            && is(&self.principal, &acl.principal)
            && is(&self.host, &acl.host)
            && fits(self.operation, acl.operation)
            && fits(self.permission, acl.permission_type)
    }
}

fn acl_of(record: &AccessControlEntryRecord) -> Acl {
    Acl {
        resource_type: record.resource_type,
        resource_name: record.resource_name.clone(),
        pattern_type: record.pattern_type,
        principal: record.principal.clone(),
        host: record.host.clone(),
        operation: record.operation,
        permission: record.permission_type,
    }
}

fn record_of(id: Uuid, acl: Acl) -> AccessControlEntryRecord {
    AccessControlEntryRecord {
        id,
        resource_type: acl.resource_type,
        resource_name: acl.resource_name,
        pattern_type: acl.pattern_type,
        principal: acl.principal,
        host: acl.host,
        operation: acl.operation,
        permission_type: acl.permission,
    }
}

fn check_acl(acl: &Acl, has_ranges: bool) -> Verdict {
    let named = |names: &[&str], number: i8| {
        let name = usize::try_from(number).ok().and_then(|at| names.get(at).copied());
        name.unwrap_or("UNKNOWN").to_owned()
    };
    let early = ["UNKNOWN", "ANY", "MATCH"];
    if !(2..=7).contains(&acl.resource_type) {
        return Err(invalid(format!("Invalid resourceType {}", named(&early, acl.resource_type))));
    }
    if ![LITERAL, PREFIXED].contains(&acl.pattern_type) {
        return Err(invalid(format!("Invalid patternType {}", named(&early, acl.pattern_type))));
    }
    if !(2..=15).contains(&acl.operation) {
        return Err(invalid(format!("Invalid operation {}", named(&early, acl.operation))));
    }
    if ![2, 3].contains(&acl.permission) {
        return Err(invalid(format!("Invalid permissionType {}", named(&early, acl.permission))));
    }
    if acl.resource_name.is_empty() {
        return Err(invalid("Resource name should not be empty"));
    }
    if !acl.principal.contains(':') {
        return Err(invalid(format!(
            "Could not parse principal from `{}` (no colon is present separating the principal \
             type from the principal name)",
            acl.principal
        )));
    }
    check_host(&acl.host, has_ranges)
}

fn check_host(host: &str, has_ranges: bool) -> Verdict {
    if host.is_empty() {
        return Err(invalid("Host pattern cannot be null or empty"));
    }
    let Some((address, bits)) = host.split_once('/') else { return Ok(()) };
    if !has_ranges {
        return Err(Refusal::new(
            ErrorCode::UnsupportedVersion,
            "CIDR-based ACL host patterns require metadata version 4.4-IV1 or higher.",
        ));
    }
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => {
            return Err(invalid(format!(
                "Invalid CIDR notation '{host}': Invalid IP address: {address}"
            )));
        }
    };
    match bits.parse::<u32>() {
        Ok(bits) if bits <= most => Ok(()),
        _ => Err(invalid(format!("Invalid CIDR notation '{host}': Invalid prefix length: {bits}"))),
    }
}
