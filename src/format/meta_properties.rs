//! `meta.properties`: whose directory this is (Kafka 4.4 `MetaProperties`, `PropertiesUtils`).
//!
//! A Java properties file. Version 1 has `cluster.id`, `node.id` and, since KIP-858,
//! `directory.id`; version 0 (before KRaft) has `broker.id` for `node.id`, and may lack any field.

use std::fmt::Write as _;

use crate::types::{BrokerId, Timestamp, Uuid};

/// The name of the file in each log directory.
pub const FILE_NAME: &str = "meta.properties";

/// The versions of the file that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Written before KRaft; the field `version` may be missing.
    V0,
    /// What is written today.
    V1,
}

/// The contents of a `meta.properties` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The file's version.
    pub version: Version,
    /// The cluster that the directory belongs to; always there in version 1.
    pub cluster_id: Option<String>,
    /// The node that the directory belongs to; always there in version 1.
    pub node_id: Option<BrokerId>,
    /// The id of the directory itself; missing in files written before Kafka 3.7.
    pub directory_id: Option<Uuid>,
}

/// Why a `meta.properties` file is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaPropertiesError {
    /// The version is not a number.
    #[error("Invalid version number string '{0}'")]
    VersionNotANumber(String),
    /// A version that this release does not know.
    #[error("version={0} is not known: 0 and 1 are")]
    UnknownVersion(i32),
    /// A field that the version demands is missing.
    #[error("{0} was not found.")]
    Missing(&'static str),
    /// A field that must be a number is none.
    #[error("Unable to read {key}={value} as a base-10 number.")]
    NotANumber {
        /// The field.
        key: &'static str,
        /// What it holds.
        value: String,
    },
    /// The directory id is not a uuid.
    #[error("Unable to read directory.id as a Uuid: {0}")]
    DirectoryId(#[from] crate::types::UuidParseError),
    /// A `\u` that four hexadecimal digits do not follow.
    #[error("Malformed \\uxxxx encoding.")]
    Escape,
}

impl MetaProperties {
    /// Reads a file's bytes. Unknown fields are passed over, as Kafka passes over them.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetaPropertiesError> {
        let fields = parse_properties(bytes)?;
        // The last of equal keys holds, as in Java.
        let get = |key: &str| fields.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        let version = match get("version") {
            None => Version::V0,
            Some(text) => match text.trim().parse::<i32>() {
                Ok(0) => Version::V0,
                Ok(1) => Version::V1,
                Ok(other) => return Err(MetaPropertiesError::UnknownVersion(other)),
                Err(_) => return Err(MetaPropertiesError::VersionNotANumber(text)),
            },
        };
        let key = node_id_key(version);
        let node_id = match get(key) {
            None => None,
            Some(value) => match value.parse() {
                Ok(id) => Some(id),
                Err(_) => return Err(MetaPropertiesError::NotANumber { key, value }),
            },
        };
        let cluster_id = get("cluster.id");
        if version == Version::V1 {
            if node_id.is_none() {
                return Err(MetaPropertiesError::Missing(key));
            }
            if cluster_id.is_none() {
                return Err(MetaPropertiesError::Missing("cluster.id"));
            }
        }
        let directory_id = get("directory.id").map(|text| text.parse()).transpose()?;
        Ok(Self { version, cluster_id, node_id, directory_id })
    }

    /// The file's bytes, in the order in which Kafka writes the fields.
    pub fn encode(&self, now: Timestamp) -> Vec<u8> {
        let version = match self.version {
            Version::V0 => "0",
            Version::V1 => "1",
        };
        let mut text = format!("#\n#{}\n", java_date(now));
        let mut put = |key: &str, value: &str| {
            text.push_str(key);
            text.push('=');
            escape_value(value, &mut text);
            text.push('\n');
        };
        if let Some(id) = self.node_id {
            put(node_id_key(self.version), &id.to_string());
        }
        if let Some(id) = &self.directory_id {
            put("directory.id", &id.to_string());
        }
        put("version", version);
        if let Some(id) = &self.cluster_id {
            put("cluster.id", id);
        }
        text.into_bytes()
    }
}

fn node_id_key(version: Version) -> &'static str {
    match version {
        Version::V0 => "broker.id",
        Version::V1 => "node.id",
    }
}

/// The pairs of a Java properties file in its order (`Properties.load`): bytes are ISO-8859-1.
fn parse_properties(bytes: &[u8]) -> Result<Vec<(String, String)>, MetaPropertiesError> {
    let text: String = bytes.iter().copied().map(char::from).collect();
    let blank = |c: char| matches!(c, ' ' | '\t' | '\x0c');
    let mut pairs = Vec::new();
    let mut lines = text.split(['\n', '\r']);
    while let Some(line) = lines.next() {
        let line = line.trim_start_matches(blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        while logical.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
            logical.pop();
            match lines.next() {
                Some(more) => logical.push_str(more.trim_start_matches(blank)),
                None => break,
            }
        }
        let mut escaped = false;
        let key_end = logical
            .char_indices()
            .find(|&(_, c)| {
                let ends = !escaped && (blank(c) || c == '=' || c == ':');
                escaped = c == '\\' && !escaped;
                ends
            })
            .map_or(logical.len(), |(at, _)| at);
        let (key, rest) = logical.split_at(key_end);
        let rest = rest.trim_start_matches(blank);
        let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(blank);
        pairs.push((unescape(key)?, unescape(value)?));
    }
    Ok(pairs)
}

fn unescape(text: &str) -> Result<String, MetaPropertiesError> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let hex: String = chars.by_ref().take(4).collect();
                    let unit = (hex.len() == 4).then(|| u16::from_str_radix(&hex, 16).ok());
                    units.push(unit.flatten().ok_or(MetaPropertiesError::Escape)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend(plain.encode_utf16(&mut [0; 2]).iter());
    }
    Ok(String::from_utf16_lossy(&units))
}

/// As Java's `Properties.store` escapes a value; beyond ASCII by `\u`, since it is read as
/// ISO-8859-1.
fn escape_value(value: &str, out: &mut String) {
    for (at, c) in value.chars().enumerate() {
        match c {
            ' ' if at == 0 => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04X}"); // A String takes every write.
                }
            }
        }
    }
}

/// `Tue Nov 24 02:41:23 UTC 2026`: Java's `Date.toString`, which heads a properties file.
fn java_date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = at.0.div_euclid(1000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Civil date from days since 1970, in years that begin in March (Howard Hinnant).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    format!(
        "{} {} {day:02} {:02}:{:02}:{:02} UTC {year}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[month as usize],
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `kafka-storage format` of Apache Kafka 4.4.0.
    const KAFKA: &str = "#\n#Tue Nov 24 02:41:23 UTC 2026\nnode.id=1\n\
        directory.id=EZ3m-z6IqZ3_24L-7kWXtw\nversion=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n";

    #[test]
    fn kafkas_file_is_read_and_written_byte_for_byte() {
        let meta = MetaProperties::parse(KAFKA.as_bytes()).unwrap();
        assert_eq!(meta.version, Version::V1);
        assert_eq!(meta.cluster_id.as_deref(), Some("4L6g3nShT-eMCtK--X86sw"));
        assert_eq!(meta.node_id, Some(1));
        assert_eq!(meta.directory_id, Some("EZ3m-z6IqZ3_24L-7kWXtw".parse().unwrap()));
        assert_eq!(meta.encode(Timestamp(1_795_488_083_809)), KAFKA.as_bytes());
    }

    #[test]
    fn a_value_survives_javas_escaping() {
        for cluster_id in ["a=b:c", " lead", "back\\slash", "tab\tnew\nline", "#!", "é√𝄞", ""]
        {
            let meta = MetaProperties {
                version: Version::V1,
                cluster_id: Some(cluster_id.to_owned()),
                node_id: Some(7),
                directory_id: None,
            };
            assert_eq!(MetaProperties::parse(&meta.encode(Timestamp(0))), Ok(meta));
        }
    }

    #[test]
    fn every_form_of_a_java_line_is_read() {
        let text =
            b"! no\n  broker.id : 3\r\ncluster.id\\\n   =x\\u0041\\\\y\r\nother\nbroker.id 4";
        let meta = MetaProperties::parse(text).unwrap();
        assert_eq!(meta.version, Version::V0);
        assert_eq!(meta.node_id, Some(4), "the last of equal keys holds");
        assert_eq!(meta.cluster_id.as_deref(), Some("xA\\y"));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_name() {
        let check = |text: &str, expect: &str| {
            assert_eq!(MetaProperties::parse(text.as_bytes()).unwrap_err().to_string(), expect);
        };
        check("version=2", "version=2 is not known: 0 and 1 are");
        check("version=x", "Invalid version number string 'x'");
        check("version=1\ncluster.id=c", "node.id was not found.");
        check("version=1\nnode.id=1", "cluster.id was not found.");
        check("version=1\nnode.id=one", "Unable to read node.id=one as a base-10 number.");
        check("a=\\u12", "Malformed \\uxxxx encoding.");
    }

    #[test]
    fn dates_are_javas() {
        let check = |seconds: i64, expect: &str| {
            assert_eq!(java_date(Timestamp(seconds * 1000)), expect);
        };
        check(0, "Thu Jan 01 00:00:00 UTC 1970");
        check(951_782_400, "Tue Feb 29 00:00:00 UTC 2000");
        check(4_107_542_399, "Sun Feb 28 23:59:59 UTC 2100");
        check(1_767_225_599, "Wed Dec 31 23:59:59 UTC 2025");
    }
}
