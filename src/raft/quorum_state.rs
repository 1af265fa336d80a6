//! The `quorum-state` file: the election that this node has seen, so that it never votes twice in
//! an epoch (Kafka 4.4 `FileQuorumStateStore`, `ElectionState`).
//!
//! One line of JSON. Version 0 belongs to kraft.version 0, version 1 to kraft.version 1.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::voters::ReplicaKey;
use crate::env::Disk;
use crate::types::{BrokerId, LeaderEpoch, Uuid};

/// The name of the file in the metadata log's folder.
pub const FILE_NAME: &str = "quorum-state";

/// What is remembered of the newest election.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ElectionState {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its leader, if known.
    pub leader: Option<BrokerId>,
    /// Whom this node voted for in it.
    pub voted: Option<ReplicaKey>,
}

/// All that the file tells.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Remembered {
    /// The newest election.
    pub election: ElectionState,
    /// The configured voters of then: version 0 lists them.
    pub static_voters: Option<BTreeSet<BrokerId>>,
}

/// Why a `quorum-state` file is not understood: the directory is left untouched.
#[derive(Debug, thiserror::Error)]
pub enum QuorumStateError {
    /// It cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not the JSON that Kafka writes.
    #[error("Error while reading the Quorum status from the file {}: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A version that this release does not know.
    #[error("{}: data_version {found} is not within the min (0) and max (1) supported version",
        .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

/// Reads the file in `dir`; `None` if there is none, as before a node's first start.
pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Remembered>, QuorumStateError> {
    let path = dir.join(FILE_NAME);
    let bytes = match disk.read_file(&path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(source) => return Err(QuorumStateError::Io { path, source }),
    };
    decode(&bytes, path).map(Some)
}

/// Replaces the file in `dir`; it is durable when this returns. `voters` are those that version 0
/// lists.
pub fn write(
    disk: &dyn Disk,
    dir: &Path,
    state: &ElectionState,
    kraft_version: i16,
    voters: impl Iterator<Item = BrokerId>,
) -> Result<(), QuorumStateError> {
    let path = dir.join(FILE_NAME);
    let text = encode(state, kraft_version, voters);
    disk.replace_file(&path, text.as_bytes())
        .map_err(|source| QuorumStateError::Io { path, source })
}

fn decode(bytes: &[u8], path: PathBuf) -> Result<Remembered, QuorumStateError> {
    let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let object: Map<String, Value> = match serde_json::from_slice(line) {
        Ok(object) => object,
        Err(error) => {
            return Err(QuorumStateError::Malformed { path, reason: error.to_string() });
        }
    };
    let number = |key: &'static str| object.get(key).and_then(Value::as_i64);
    let Some(version) = number("data_version") else {
        return Err(QuorumStateError::Malformed { path, reason: missing("data_version") });
    };
    if !(0..=1).contains(&version) {
        return Err(QuorumStateError::Version { path, found: version });
    }
    let int = |key: &'static str| number(key).and_then(|n| i32::try_from(n).ok());
    let required = |key: &'static str| {
        int(key)
            .ok_or_else(|| QuorumStateError::Malformed { path: path.clone(), reason: missing(key) })
    };
    let epoch = required("leaderEpoch")?;
    let leader = required("leaderId")?;
    let voted = required("votedId")?;
    let directory = match object.get("votedDirectoryId") {
        None => None,
        Some(value) => {
            let Some(Ok(id)) = value.as_str().map(str::parse::<Uuid>) else {
                let reason = format!("votedDirectoryId {value} is not a uuid");
                return Err(QuorumStateError::Malformed { path, reason });
            };
            Some(id).filter(|id| !id.is_zero())
        }
    };
    let voter = |value: &Value| i32::try_from(value.get("voterId")?.as_i64()?).ok();
    let voters = object.get("currentVoters").and_then(Value::as_array);
    Ok(Remembered {
        election: ElectionState {
            epoch,
            leader: (leader >= 0).then_some(leader),
            voted: (voted >= 0).then_some(ReplicaKey { id: voted, directory }),
        },
        static_voters: voters.map(|voters| voters.iter().filter_map(voter).collect()),
    })
}

fn missing(key: &str) -> String {
    format!("field {key} is missing or not a number of its size")
}

fn encode(
    state: &ElectionState,
    kraft_version: i16,
    voters: impl Iterator<Item = BrokerId>,
) -> String {
    let leader = state.leader.unwrap_or(-1);
    let voted = state.voted.map_or(-1, |key| key.id);
    let epoch = state.epoch;
    // In Kafka's order of fields, which serde_json's sorted maps would not keep.
    if kraft_version == 0 {
        let voters = voters.map(|id| json!({ "voterId": id })).collect::<Value>();
        format!(
            "{{\"clusterId\":\"\",\"leaderId\":{leader},\"leaderEpoch\":{epoch},\
             \"votedId\":{voted},\"appliedOffset\":0,\"currentVoters\":{voters},\
             \"data_version\":0}}"
        )
    } else {
        let directory = state.voted.and_then(|key| key.directory).unwrap_or(Uuid::ZERO);
        format!(
            "{{\"leaderId\":{leader},\"leaderEpoch\":{epoch},\"votedId\":{voted},\
             \"votedDirectoryId\":\"{directory}\",\"data_version\":1}}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // As Apache Kafka 4.4.0 writes them.
    const STATIC: &str = r#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
    const DYNAMIC: &str = r#"{"leaderId":-1,"leaderEpoch":3,"votedId":1,"votedDirectoryId":"J8aAPcfLQt2bqs1JT_rMgQ","data_version":1}"#;

    fn check(text: &str, expect: &str) {
        let error = decode(text.as_bytes(), PathBuf::from("q")).unwrap_err().to_string();
        assert_eq!(error, expect);
    }

    #[test]
    fn both_versions_are_read_and_written_byte_for_byte() {
        let read = decode(STATIC.as_bytes(), PathBuf::new()).unwrap();
        let state = ElectionState { epoch: 2, leader: Some(1), voted: None };
        assert_eq!((&read.election, read.static_voters), (&state, Some(BTreeSet::from([1]))));
        assert_eq!(encode(&state, 0, [1].into_iter()), STATIC);
        let read = decode(DYNAMIC.as_bytes(), PathBuf::new()).unwrap();
        assert_eq!(read.static_voters, None);
        let state = read.election;
        let directory = Some("J8aAPcfLQt2bqs1JT_rMgQ".parse().unwrap());
        let voted = Some(ReplicaKey { id: 1, directory });
        assert_eq!(state, ElectionState { epoch: 3, leader: None, voted });
        assert_eq!(encode(&state, 1, [1].into_iter()), DYNAMIC);
    }

    #[test]
    fn a_file_that_is_not_understood_is_refused() {
        check(
            r#"{"leaderId":-1,"leaderEpoch":2,"votedId":1,"data_version":2}"#,
            "q: data_version 2 is not within the min (0) and max (1) supported version",
        );
        check(
            r#"{"leaderId":-1,"leaderEpoch":99999999999,"votedId":1,"data_version":1}"#,
            "Error while reading the Quorum status from the file q: field leaderEpoch is missing \
             or not a number of its size",
        );
        check(
            "",
            "Error while reading the Quorum status from the file q: EOF while parsing a value at \
             line 1 column 0",
        );
    }
}
