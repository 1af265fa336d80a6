//! Access control entries: kept by id as the log has them, and by the patterns of resources that
//! they are for, so that the ones which concern a resource are found without looking at the others
//! (Kafka 4.4 `AclCache`).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::record::AccessControlEntryRecord;
use super::shared::SharedMap;
use crate::types::Uuid;

/// The name of a literal pattern that fits every resource.
pub const WILDCARD: &str = "*";
/// The numbers of Kafka's `PatternType` that entries may have.
pub const LITERAL: i8 = 3;
/// Fits every resource whose name begins so.
pub const PREFIXED: i8 = 4;

/// An entry, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct AclEntry {
    /// As the log has it.
    pub record: AccessControlEntryRecord,
    hosts: Hosts,
}

impl AclEntry {
    /// Whether it speaks of clients at this address.
    pub fn concerns_host(&self, host: IpAddr) -> bool {
        self.hosts.contains(host)
    }
}

/// The entries of one pattern.
type AclEntries = SharedMap<Uuid, Arc<AclEntry>>;

/// The patterns of one type of resource.
#[derive(Clone, Debug, Default, PartialEq)]
struct AclPatterns {
    literal: SharedMap<String, AclEntries>,
    prefixed: SharedMap<String, AclEntries>,
}

/// All entries of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acls {
    by_id: SharedMap<Uuid, Arc<AclEntry>>,
    /// By the number of the resource's type.
    by_pattern: BTreeMap<i8, AclPatterns>,
}

impl Acls {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them, in the order of their ids.
    pub fn records(&self) -> impl Iterator<Item = &AccessControlEntryRecord> {
        self.by_id.values().map(|entry| &entry.record)
    }

    /// All of them, type by type and name by name: literal patterns first.
    pub fn records_by_pattern(&self) -> impl Iterator<Item = &AccessControlEntryRecord> {
        self.by_pattern.values().flat_map(AclPatterns::entries).map(|entry| &entry.record)
    }

    /// All that are for resources of this type.
    pub fn of_type(&self, resource_type: i8) -> impl Iterator<Item = &AclEntry> {
        self.by_pattern.get(&resource_type).into_iter().flat_map(AclPatterns::entries)
    }

    /// Those whose pattern fits a resource: literally, by a prefix, or as one for all.
    pub fn of_resource<'a>(
        &'a self,
        resource_type: i8,
        name: &'a str,
    ) -> impl Iterator<Item = &'a AclEntry> {
        let patterns = self.by_pattern.get(&resource_type).into_iter();
        patterns.flat_map(move |patterns| {
            let literal =
                [name, WILDCARD].into_iter().filter_map(|name| patterns.literal.get(name));
            let fitting = literal.chain(patterns.prefixes_of(name));
            fitting.flat_map(|entries| entries.values().map(|entry| &**entry))
        })
    }

    /// Adds an entry.
    pub fn insert(&mut self, record: AccessControlEntryRecord) {
        self.remove(&record.id);
        let (id, hosts) = (record.id, Hosts::of(&record.host));
        let entry = Arc::new(AclEntry { record, hosts });
        let record = &entry.record;
        let patterns = self.by_pattern.entry(record.resource_type).or_default();
        let patterns = patterns.of_kind(record.pattern_type);
        patterns.get_or_default(record.resource_name.clone()).insert(id, Arc::clone(&entry));
        self.by_id.insert(id, entry);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: &Uuid) -> Option<Arc<AclEntry>> {
        let entry = self.by_id.remove(id)?;
        let record = &entry.record;
        if let Some(patterns) = self.by_pattern.get_mut(&record.resource_type) {
            let of_kind = patterns.of_kind(record.pattern_type);
            let name = record.resource_name.as_str();
            if let Some(entries) = of_kind.get_mut(name) {
                entries.remove(id);
                if entries.is_empty() {
                    of_kind.remove(name);
                }
            }
            if patterns.literal.is_empty() && patterns.prefixed.is_empty() {
                self.by_pattern.remove(&record.resource_type);
            }
        }
        Some(entry)
    }
}

impl AclPatterns {
    /// What is not prefixed is literal: the controller lets nothing else in.
    fn of_kind(&mut self, pattern_type: i8) -> &mut SharedMap<String, AclEntries> {
        if pattern_type == PREFIXED { &mut self.prefixed } else { &mut self.literal }
    }

    fn entries(&self) -> impl Iterator<Item = &AclEntry> {
        let patterns = self.literal.values().chain(self.prefixed.values());
        patterns.flat_map(|entries| entries.values().map(|entry| &**entry))
    }

    /// The entries of the prefixes of a name, the longest first. Each step looks for the greatest
    /// pattern that is not after what may still come; where that one parts from the name, nothing
    /// longer can fit.
    fn prefixes_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a AclEntries> {
        let mut longest = Some(name);
        std::iter::from_fn(move || {
            loop {
                let (pattern, entries) = self.prefixed.last_up_to(longest?)?;
                if name.starts_with(pattern.as_str()) {
                    let last = pattern.char_indices().next_back();
                    longest = last.map(|(at, _)| &name[..at]);
                    return Some(entries);
                }
                longest = Some(common_prefix(name, pattern));
            }
        })
    }
}

fn common_prefix<'a>(name: &'a str, other: &str) -> &'a str {
    let same = name.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    &name[..same.map(|(letter, _)| letter.len_utf8()).sum()]
}

/// The hosts that an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    One(IpAddr),
    /// The first bits of addresses (KIP-1276).
    Range(IpAddr, u32),
    /// A name, or an address that is not written as Java writes one: no client's host is called so.
    None,
}

impl Hosts {
    fn of(pattern: &str) -> Self {
        if pattern == WILDCARD {
            return Self::All;
        }
        if let Some((address, bits)) = pattern.split_once('/') {
            let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u32>()) else {
                return Self::None;
            };
            let most = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
            return if bits <= most { Self::Range(address, bits) } else { Self::None };
        }
        match pattern.parse::<IpAddr>() {
            Ok(address) if as_java_writes(address) == pattern => Self::One(address),
            _ => Self::None,
        }
    }

    fn contains(self, host: IpAddr) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::One(address), host) => address == host,
            (Self::Range(IpAddr::V4(net), bits), IpAddr::V4(host)) => {
                let differing = net.to_bits() ^ host.to_bits();
                differing.checked_shr(Ipv4Addr::BITS - bits).unwrap_or(0) == 0
            }
            (Self::Range(IpAddr::V6(net), bits), IpAddr::V6(host)) => {
                let differing = net.to_bits() ^ host.to_bits();
                differing.checked_shr(Ipv6Addr::BITS - bits).unwrap_or(0) == 0
            }
            (Self::Range(..) | Self::None, _) => false,
        }
    }
}

/// An address as `InetAddress.getHostAddress` writes it, which is what entries are compared with:
/// an IPv6 address has all its eight parts.
pub fn as_java_writes(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|segment| format!("{segment:x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acls(patterns: &[(i8, &str)]) -> Acls {
        let mut acls = Acls::default();
        for (number, (pattern_type, name)) in patterns.iter().enumerate() {
            acls.insert(AccessControlEntryRecord {
                id: Uuid::from_halves(0, number as u64),
                resource_type: 2,
                resource_name: (*name).to_owned(),
                pattern_type: *pattern_type,
                ..AccessControlEntryRecord::default()
            });
        }
        acls
    }

    fn found<'a>(acls: &'a Acls, name: &'a str) -> Vec<&'a str> {
        acls.of_resource(2, name).map(|entry| entry.record.resource_name.as_str()).collect()
    }

    #[test]
    fn a_resource_is_found_by_its_name_by_prefixes_and_by_the_wildcard() {
        let acls = acls(&[
            (PREFIXED, "gar"),
            (PREFIXED, "foobar"),
            (LITERAL, "foob"),
            (PREFIXED, "foo"),
            (PREFIXED, "fb"),
            (PREFIXED, "fa"),
            (PREFIXED, "f"),
            (LITERAL, "eeee"),
            (LITERAL, "*"),
            (PREFIXED, "*"),
        ]);
        assert_eq!(found(&acls, "foobar"), ["*", "foobar", "foo", "f"]);
        assert_eq!(found(&acls, "foob"), ["foob", "*", "foo", "f"]);
        assert_eq!(found(&acls, "eeee"), ["eeee", "*"]);
        assert_eq!(found(&acls, "z"), ["*"]);
        assert_eq!(found(&acls, "*a"), ["*", "*"]);
        assert_eq!(acls.of_resource(3, "foobar").count(), 0, "another type of resource");
    }

    #[test]
    fn prefixes_are_found_among_many_patterns_and_beyond_ascii() {
        let mut patterns = Vec::new();
        for first in 'a'..='z' {
            for second in 'a'..='z' {
                patterns.push(format!("{first}{second}"));
            }
            patterns.push(first.to_string());
        }
        patterns.extend(["é", "éü", "éa", "éüx"].map(str::to_owned));
        let patterns: Vec<(i8, &str)> = patterns.iter().map(|name| (PREFIXED, &**name)).collect();
        let acls = acls(&patterns);
        for name in ["a", "az", "mno", "éüy", "éz", "zzzz", "0", ""] {
            let mut expected: Vec<&str> =
                patterns.iter().map(|(_, p)| *p).filter(|p| name.starts_with(p)).collect();
            expected.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
            assert_eq!(found(&acls, name), expected, "{name}");
        }
    }

    #[test]
    fn what_was_removed_is_found_no_more_and_images_before_keep_it() {
        let before = acls(&[(LITERAL, "t"), (LITERAL, "t"), (PREFIXED, "t")]);
        let mut after = before.clone();
        for number in 0..3 {
            assert!(after.remove(&Uuid::from_halves(0, number)).is_some());
        }
        assert_eq!(after.remove(&Uuid::from_halves(0, 0)), None);
        assert_eq!((after.len(), found(&after, "t").len()), (0, 0));
        assert_eq!(after, Acls::default());
        assert_eq!((before.len(), found(&before, "t").len()), (3, 3));
    }

    #[test]
    fn hosts_are_compared_as_java_writes_them_or_by_their_first_bits() {
        for (pattern, host, fits) in [
            ("*", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.200.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/24", "10.1.2.255", true),
            ("10.1.2.3/32", "10.1.2.4", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/8", "::a00:1", false),
            ("0:0:0:0:0:0:0:1", "::1", true),
            ("::1", "::1", false),
            ("fe80::/10", "fe80::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("localhost", "127.0.0.1", false),
        ] {
            let hosts = Hosts::of(pattern);
            assert_eq!(hosts.contains(host.parse().unwrap()), fits, "{pattern} and {host}");
        }
    }
}
