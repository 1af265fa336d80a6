//! Keys of control records, and the marker that ends a transaction (Kafka 4.4
//! `ControlRecordType`, `EndTransactionMarker`).

use super::record::Record;

/// What a control record says; its key is version 0 and this number, both 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum ControlType {
    /// A transaction is aborted.
    Abort = 0,
    /// A transaction is committed.
    Commit = 1,
    /// A quorum has a new leader.
    LeaderChange = 2,
    /// A snapshot begins.
    SnapshotHeader = 3,
    /// A snapshot is whole.
    SnapshotFooter = 4,
    /// The version of the quorum protocol.
    KraftVersion = 5,
    /// The voters of the quorum.
    KraftVoters = 6,
}

impl ControlType {
    /// The key of such a record.
    pub fn key(self) -> [u8; 4] {
        let [high, low] = (self as i16).to_be_bytes();
        [0, 0, high, low]
    }

    /// From the key of a record; `None` for one that this release does not know.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let [_, _, high, low, ..] = *key else { return None };
        Some(match i16::from_be_bytes([high, low]) {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            _ => return None,
        })
    }

    /// Of a record in a control batch.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        Self::from_key(record.key?)
    }
}

/// The value of a transaction marker: version 0 and the epoch of the coordinator.
pub fn end_transaction_value(coordinator_epoch: i32) -> [u8; 6] {
    let [a, b, c, d] = coordinator_epoch.to_be_bytes();
    [0, 0, a, b, c, d]
}

/// The epoch of the coordinator in a marker's value.
pub fn coordinator_epoch(value: &[u8]) -> Option<i32> {
    let [_, _, a, b, c, d, ..] = *value else { return None };
    Some(i32::from_be_bytes([a, b, c, d]))
}
