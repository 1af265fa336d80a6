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

    /// From the key of a record, whatever its version (a later one only adds to it); `None` for a
    /// type that this release does not know, and for what is no such key.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        Some(match Self::number(key)? {
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

    /// The number of the type in a key, known or not.
    pub fn number(key: &[u8]) -> Option<i16> {
        let (version, number) = versioned::<2>(key)?;
        (version >= 0).then_some(i16::from_be_bytes(number))
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
    let (version, epoch) = versioned::<4>(value)?;
    (version >= 0).then_some(i32::from_be_bytes(epoch))
}

/// A version, and the first field after it.
fn versioned<const N: usize>(bytes: &[u8]) -> Option<(i16, [u8; N])> {
    let (version, rest) = bytes.split_first_chunk()?;
    Some((i16::from_be_bytes(*version), *rest.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_markers_are_kafkas_bytes() {
        assert_eq!(ControlType::Commit.key(), [0, 0, 0, 1]);
        assert_eq!(ControlType::from_key(&[0, 0, 0, 6]), Some(ControlType::KraftVoters));
        assert_eq!(end_transaction_value(7), [0, 0, 0, 0, 0, 7]);
        assert_eq!(coordinator_epoch(&[0, 0, 0, 0, 0, 7]), Some(7));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        assert_eq!(ControlType::from_key(&[0, 9, 0, 1, 3]), Some(ControlType::Commit));
        assert_eq!(coordinator_epoch(&[0, 9, 0, 0, 0, 7, 3]), Some(7));
        assert_eq!(
            (ControlType::from_key(&[0, 0, 0, 7]), ControlType::number(&[0, 0, 0, 7])),
            (None, Some(7))
        );
    }

    #[test]
    fn short_keys_and_negative_versions_say_nothing() {
        assert_eq!(ControlType::from_key(&[0, 0, 0]), None);
        assert_eq!(ControlType::from_key(&[0xff, 0xff, 0, 1]), None);
        assert_eq!(coordinator_epoch(&[0, 0, 0, 0, 0]), None);
        assert_eq!(coordinator_epoch(&[0x80, 0, 0, 0, 0, 7]), None);
    }
}
