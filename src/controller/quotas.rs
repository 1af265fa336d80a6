//! Client quotas are altered (Kafka 4.4 `ClientQuotaControlManager`, `QuotaConfig`; KIP-546).

use std::collections::{BTreeMap, BTreeSet};

use super::command::{AlterClientQuotas, QuotaChange, Refusal, Verdict};
use super::machine::{Context, Controller, ControllerDecision};
use crate::metadata::image::QuotaEntity;
use crate::metadata::record::{ClientQuotaRecord, EntityData, MetadataRecord};
use crate::types::ErrorCode;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// What a quota's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntityKind {
    Double,
    Int,
    Long,
}

/// The quotas of users and clients.
const USER_AND_CLIENT: &[(&str, EntityKind)] = &[
    ("producer_byte_rate", EntityKind::Long),
    ("consumer_byte_rate", EntityKind::Long),
    ("request_percentage", EntityKind::Double),
    ("controller_mutation_rate", EntityKind::Double),
];
/// The quotas of addresses.
const ADDRESS: &[(&str, EntityKind)] = &[("connection_creation_rate", EntityKind::Int)];

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

impl Controller {
    pub(super) fn alter_quotas(
        &mut self,
        _context: Context,
        command: AlterClientQuotas,
    ) -> Result<ControllerDecision<Vec<(QuotaEntity, Verdict)>>, Refusal> {
        let mut records = Vec::new();
        let mut results: Vec<(QuotaEntity, Verdict)> = Vec::new();
        // An entity that is named again is answered once, for the last time it is named.
        let last: BTreeMap<&QuotaEntity, usize> =
            command.changes.iter().enumerate().map(|(at, (entity, _))| (entity, at)).collect();
        let mut seen = BTreeSet::new();
        for (at, (entity, changes)) in command.changes.iter().enumerate() {
            let verdict = if seen.insert(entity) {
                self.quota_records(entity, changes).map(|more| records.extend(more))
            } else {
                let entity = describe(entity);
                Err(invalid(format!("Ignoring duplicate entity {entity}")))
            };
            if last.get(entity) == Some(&at) {
                results.push((entity.clone(), verdict));
            }
        }
        Ok(ControllerDecision::atomic(records, results).unless(command.validate_only))
    }

    fn quota_records(
        &self,
        entity: &QuotaEntity,
        changes: &[QuotaChange],
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let mut wanted: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        for (key, value) in changes {
            if wanted.insert(key, *value).is_some() {
                return Err(invalid(format!(
                    "Duplicate quota key {key} not updating quota for this entity {}",
                    describe(entity)
                )));
            }
        }
        let keys = keys_of(entity)?;
        let mut sorted = entity.clone();
        sorted.sort();
        let current = self.image().quotas.get(&sorted);
        let current = |key: &str| current.and_then(|values| values.get(key)).copied();
        let record = |key: &str, value: Option<f64>| {
            let part = |(kind, name): &(String, Option<String>)| EntityData {
                entity_type: kind.clone(),
                entity_name: name.clone(),
            };
            ClientQuotaRecord {
                entity: entity.iter().map(part).collect(),
                key: key.to_owned(),
                value: value.unwrap_or(0.0),
                remove: value.is_none(),
            }
            .into()
        };
        let mut records = Vec::new();
        for (key, value) in wanted {
            match value {
                None if current(key).is_some() => records.push(record(key, None)),
                None => {}
                Some(new) => {
                    check_value(keys, key, new)?;
                    let is_same = current(key).is_some_and(|old| old.to_bits() == new.to_bits());
                    if !is_same {
                        records.push(record(key, value));
                    }
                }
            }
        }
        Ok(records)
    }
}

/// The keys that an entity of these types may have.
fn keys_of(entity: &QuotaEntity) -> Result<&'static [(&'static str, EntityKind)], Refusal> {
    if entity.is_empty() {
        return Err(invalid("Invalid empty client quota entity"));
    }
    for (at, (kind, name)) in entity.iter().enumerate() {
        if entity[..at].iter().any(|(earlier, _)| earlier == kind) {
            return Err(invalid(format!(
                "Invalid client quota entity, duplicate entity entry {kind}"
            )));
        }
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if name.as_deref() == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
    }
    let Some((_, address)) = entity.iter().find(|(kind, _)| kind == IP) else {
        return Ok(USER_AND_CLIENT);
    };
    if entity.len() > 1 {
        return Err(invalid(
            "Invalid quota entity combination, IP entity shouldnot be combined with User or \
             ClientId",
        ));
    }
    match address {
        Some(address) if !is_host(address) => {
            Err(invalid(format!("{address} is not a valid IP or resolvable host.")))
        }
        _ => Ok(ADDRESS),
    }
}

/// An address, or what could be a host's name: whether it resolves is not known here.
fn is_host(text: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    text.parse::<std::net::IpAddr>().is_ok() || text.bytes().all(is_name)
}

fn check_value(keys: &[(&str, EntityKind)], key: &str, value: f64) -> Result<(), Refusal> {
    let Some((_, kind)) = keys.iter().find(|(known, _)| *known == key) else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    if value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    let (max, name) = match kind {
        EntityKind::Double => return Ok(()),
        EntityKind::Int => (f64::from(i32::MAX), "an INT"),
        EntityKind::Long => (i64::MAX as f64, "a LONG"),
    };
    if value > max {
        return Err(invalid(format!("Proposed value for {key} is too large for {name}.")));
    }
    if (value % 1.0).abs() > 1e-6 {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}

/// As Java prints it.
fn describe(entity: &QuotaEntity) -> String {
    let parts: Vec<String> = entity
        .iter()
        .map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null")))
        .collect();
    format!("ClientQuotaEntity(entries={{{}}})", parts.join(", "))
}
