//! Who votes (Kafka 4.4 `VoterSet`, `DynamicVoter`, `ReplicaKey`; KIP-853).

use std::collections::BTreeMap;
use std::fmt;

use crate::types::{BrokerId, Uuid};

/// A voter: the node, and the directory that holds its copy of the log. A voter that lost its disk
/// comes back with another directory, and is then another voter. The directory is not known under
/// kraft.version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaKey {
    /// The node.
    pub id: BrokerId,
    /// The directory; `None` under kraft.version 0.
    pub directory: Option<Uuid>,
}

/// Where a voter is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VoterEndpoint {
    /// The listener's name, in capitals.
    pub listener: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// One voter of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Who it is.
    pub key: ReplicaKey,
    /// Where it is reached, by listener.
    pub endpoints: Vec<VoterEndpoint>,
    /// The kraft.versions that it supports, from and to.
    pub kraft_versions: (i16, i16),
}

/// The voters of a quorum, by node id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterSet {
    voters: BTreeMap<BrokerId, Voter>,
}

impl Voter {
    /// Whether a replica is this voter: by node alone where no directory is known.
    pub fn is(&self, replica: ReplicaKey) -> bool {
        self.key.id == replica.id
            && (self.key.directory.is_none() || self.key.directory == replica.directory)
    }

    /// Whether it supports a kraft.version.
    pub fn supports(&self, kraft_version: i16) -> bool {
        (self.kraft_versions.0..=self.kraft_versions.1).contains(&kraft_version)
    }
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.directory {
            Some(directory) => write!(f, "{}:{directory}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

impl fmt::Display for VoterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.iter().map(|voter| voter.key.to_string()).collect();
        write!(f, "[{}]", keys.join(", "))
    }
}

impl VoterSet {
    /// The set of these voters; of two with one id the later counts.
    pub fn new(voters: impl IntoIterator<Item = Voter>) -> Self {
        Self { voters: voters.into_iter().map(|voter| (voter.key.id, voter)).collect() }
    }

    /// The voters, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> {
        self.voters.values()
    }

    /// Their ids, ascending.
    pub fn ids(&self) -> impl Iterator<Item = BrokerId> {
        self.voters.keys().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.voters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty()
    }

    /// Whether a replica is one of them.
    pub fn is_voter(&self, replica: ReplicaKey) -> bool {
        self.voters.get(&replica.id).is_some_and(|voter| voter.is(replica))
    }

    /// Whether a replica is the only one of them.
    pub fn is_only_voter(&self, replica: ReplicaKey) -> bool {
        self.voters.len() == 1 && self.is_voter(replica)
    }

    /// The set with what is known of a voter replaced, if it is a voter and something changed.
    pub fn updated(&self, voter: &Voter) -> Option<Self> {
        let old = self.voters.get(&voter.key.id)?;
        if !old.is(voter.key) || old == voter {
            return None;
        }
        let mut voters = self.voters.clone();
        voters.insert(voter.key.id, voter.clone());
        Some(Self { voters })
    }

    /// The voter with this id.
    pub fn get(&self, id: BrokerId) -> Option<&Voter> {
        self.voters.get(&id)
    }

    /// The set with one voter more; `None` if its id votes already.
    pub fn with(&self, voter: Voter) -> Option<Self> {
        let mut voters = self.voters.clone();
        voters.insert(voter.key.id, voter).is_none().then_some(Self { voters })
    }

    /// The set without a voter; `None` unless id and directory match one of several voters.
    pub fn without(&self, key: ReplicaKey) -> Option<Self> {
        let is_removable = self.len() > 1 && self.get(key.id).is_some_and(|old| old.key == key);
        let mut voters = self.voters.clone();
        voters.remove(&key.id);
        is_removable.then_some(Self { voters })
    }

    /// The set with a voter's entry replaced, whatever its directory; `None` if its id does not vote.
    pub fn replaced(&self, voter: Voter) -> Option<Self> {
        let mut voters = self.voters.clone();
        voters.insert(voter.key.id, voter)?;
        Some(Self { voters })
    }

    /// Whether every voter supports a kraft.version.
    pub fn supports(&self, kraft_version: i16) -> bool {
        self.iter().all(|voter| voter.supports(kraft_version))
    }

    /// Whether the two sets differ by one voter at most: then every majority of the one has a voter
    /// in common with every majority of the other. A voter whose directory becomes known is the same.
    pub fn is_adjacent(&self, other: &Self) -> bool {
        let is_in = |set: &Self, voter: &Voter| {
            set.get(voter.key.id).is_some_and(|it| it.is(voter.key) || voter.is(it.key))
        };
        let missing =
            |from: &Self, to: &Self| from.iter().filter(|voter| !is_in(to, voter)).count();
        missing(self, other) + missing(other, self) <= 1
    }
}

/// A voter as `--initial-controllers` names it: `ID@HOST:PORT:DIRECTORY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicVoter {
    /// The node.
    pub id: BrokerId,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port of the controller listener.
    pub port: u16,
    /// The id that its metadata directory gets.
    pub directory: Uuid,
}

/// Why a text does not name voters. The messages are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each says what it is.
pub enum VoterParseError {
    #[error("No @ found in dynamic voter string.")]
    NoAt,
    #[error("Invalid @ at beginning of dynamic voter string.")]
    AtFirst,
    #[error("Failed to parse node id in dynamic voter string.")]
    NodeId,
    #[error("Invalid negative node id {0} in dynamic voter string.")]
    NegativeNodeId(BrokerId),
    #[error("No hostname found after node id.")]
    NoHost,
    #[error("Hostname began with left bracket, but no right bracket was found.")]
    NoBracket,
    #[error("No colon following hostname could be found.")]
    NoColonAfterHost,
    #[error("Port section must start with a colon.")]
    PortColon,
    #[error("No colon following port could be found.")]
    NoColonAfterPort,
    #[error("Failed to parse port in dynamic voter string.")]
    Port,
    #[error("Invalid port {0} in dynamic voter string.")]
    PortRange(i32),
    #[error("Failed to parse directory ID in dynamic voter string.")]
    DirectoryId,
    #[error("No voters given.")]
    None,
    #[error("Node id {0} was specified more than once.")]
    Twice(BrokerId),
}

impl DynamicVoter {
    /// Reads one voter.
    pub fn parse(text: &str) -> Result<Self, VoterParseError> {
        use VoterParseError as E;
        let (id, rest) = text.trim().split_once('@').ok_or(E::NoAt)?;
        if id.is_empty() {
            return Err(E::AtFirst);
        }
        let id: BrokerId = id.parse().map_err(|_| E::NodeId)?;
        if id < 0 {
            return Err(E::NegativeNodeId(id));
        }
        if rest.is_empty() {
            return Err(E::NoHost);
        }
        let (host, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(E::NoBracket)?,
            None => rest.split_at(rest.find(':').ok_or(E::NoColonAfterHost)?),
        };
        let rest = rest.strip_prefix(':').ok_or(E::PortColon)?;
        let (port, directory) = rest.split_once(':').ok_or(E::NoColonAfterPort)?;
        let port: i32 = port.parse().map_err(|_| E::Port)?;
        let port = u16::try_from(port).map_err(|_| E::PortRange(port))?;
        let directory = directory.parse().map_err(|_| E::DirectoryId)?;
        Ok(Self { id, host: host.to_owned(), port, directory })
    }

    /// Reads a comma-separated list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, VoterParseError> {
        let mut voters: BTreeMap<BrokerId, Self> = BTreeMap::new();
        for part in text.trim().split(',').filter(|part| !part.is_empty()) {
            let voter = Self::parse(part)?;
            let id = voter.id;
            if voters.insert(id, voter).is_some() {
                return Err(VoterParseError::Twice(id));
            }
        }
        if voters.is_empty() {
            return Err(VoterParseError::None);
        }
        Ok(voters.into_values().collect())
    }

    /// As it stands in a voter set of kraft.version 1, reached by the named listener.
    pub fn to_voter(&self, listener: &str) -> Voter {
        Voter {
            key: ReplicaKey { id: self.id, directory: Some(self.directory) },
            endpoints: vec![VoterEndpoint {
                listener: listener.to_uppercase(),
                host: self.host.clone(),
                port: self.port,
            }],
            kraft_versions: (0, 1),
        }
    }
}

impl fmt::Display for DynamicVoter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, host, port, directory } = self;
        if host.contains(':') {
            write!(f, "{id}@[{host}]:{port}:{directory}")
        } else {
            write!(f, "{id}@{host}:{port}:{directory}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voter_is_read_as_it_is_written() {
        for text in [
            "0@example.com:8082:JEXY6aqzQY-32P5TStzaFg",
            "12@[2001:db8::1]:65535:MvDxzVmcRsaTz33bUuRU6A",
        ] {
            assert_eq!(DynamicVoter::parse(text).unwrap().to_string(), text);
        }
        let list = "1@b:2:JEXY6aqzQY-32P5TStzaFg,0@a:1:MvDxzVmcRsaTz33bUuRU6A,";
        let ids: Vec<_> =
            DynamicVoter::parse_list(list).unwrap().iter().map(|voter| voter.id).collect();
        assert_eq!(ids, [0, 1]);
    }

    #[test]
    fn a_text_that_names_no_voter_is_refused_with_kafkas_words() {
        let check = |text: &str, expect: &str| {
            assert_eq!(DynamicVoter::parse_list(text).unwrap_err().to_string(), expect);
        };
        check("", "No voters given.");
        check("a", "No @ found in dynamic voter string.");
        check("@a", "Invalid @ at beginning of dynamic voter string.");
        check("x@a:1:q", "Failed to parse node id in dynamic voter string.");
        check("-1@a:1:q", "Invalid negative node id -1 in dynamic voter string.");
        check("1@", "No hostname found after node id.");
        check("1@[::1:9", "Hostname began with left bracket, but no right bracket was found.");
        check("1@a", "No colon following hostname could be found.");
        check("1@[::1]9", "Port section must start with a colon.");
        check("1@a:9", "No colon following port could be found.");
        check("1@a:p:q", "Failed to parse port in dynamic voter string.");
        check("1@a:65536:q", "Invalid port 65536 in dynamic voter string.");
        check("1@a:1:q", "Failed to parse directory ID in dynamic voter string.");
        let twice = "1@a:1:JEXY6aqzQY-32P5TStzaFg,1@b:1:MvDxzVmcRsaTz33bUuRU6A";
        check(twice, "Node id 1 was specified more than once.");
    }

    #[test]
    fn a_voter_with_another_directory_is_another_voter_where_directories_are_known() {
        let listed = DynamicVoter::parse("1@a:9:JEXY6aqzQY-32P5TStzaFg").unwrap();
        let voters = VoterSet::new([listed.to_voter("controller")]);
        let here = ReplicaKey { id: 1, directory: Some(listed.directory) };
        let elsewhere = ReplicaKey { id: 1, directory: Some(Uuid::METADATA_TOPIC) };
        assert!(voters.is_only_voter(here));
        assert!(!voters.is_voter(elsewhere));
        let mut moved = listed.to_voter("controller");
        assert_eq!(voters.updated(&moved), None, "nothing changed");
        moved.endpoints[0].host = "b".to_owned();
        assert_eq!(voters.updated(&moved), Some(VoterSet::new([moved.clone()])));
        moved.key.directory = None;
        assert_eq!(voters.updated(&moved), None, "not this voter");
        let by_id = Voter { key: ReplicaKey { id: 1, directory: None }, ..moved };
        assert!(VoterSet::new([by_id]).is_voter(elsewhere), "a static voter is known by id");
    }
}
