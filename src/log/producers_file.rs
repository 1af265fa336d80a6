//! `.snapshot` files: the producers of a log at an offset (Kafka 4.4 `ProducerSnapshot`, version 1).
//!
//! The timestamp of an entry is when the producer was last seen; Apache Kafka, which keeps its
//! last record's there, expires producers by it.

use std::collections::VecDeque;

use super::producers::{Producer, Producers, RecentBatch};
use crate::codec::{Reader, Writer, messages};
use crate::types::{ProducerId, Timestamp};

messages! {
    /// The file, after its version.
    pub struct ProducerSnapshot: 1..=1, flexible 2..; {
        /// Of what follows it.
        crc: u32 = 1..;
        /// The producers.
        producer_entries: Vec<ProducerEntry> = 1..;
    }
    /// One producer.
    pub struct ProducerEntry: 1..=1, flexible 2..; {
        /// Its id.
        producer_id: i64 = 1..;
        /// Its epoch.
        epoch: i16 = 1..;
        /// The sequence of its last record.
        last_sequence: i32 = 1..;
        /// The offset of its last record.
        last_offset: i64 = 1..;
        /// The records of its last batch, less one.
        offset_delta: i32 = 1..;
        /// When it was last seen.
        timestamp: i64 = 1..;
        /// The epoch of the last coordinator.
        coordinator_epoch: i32 = 1..;
        /// Where its open transaction began, or -1.
        current_txn_first_offset: i64 = 1..;
    }
}

const VERSION: i16 = 1;
/// Version and CRC; what follows is under the CRC.
const ENTRIES_AT: usize = 6;

/// The bytes of a snapshot.
pub fn encode(producers: &Producers) -> Vec<u8> {
    let entry = |(producer_id, producer): (ProducerId, &Producer)| {
        let last = producer.recent.back();
        ProducerEntry {
            producer_id,
            epoch: producer.epoch,
            last_sequence: producer.last_sequence(),
            last_offset: last.map_or(-1, |batch| batch.last_offset),
            offset_delta: last.map_or(0, |batch| batch.offset_delta),
            timestamp: producer.last_seen.0,
            coordinator_epoch: producer.coordinator_epoch,
            current_txn_first_offset: producer.open_since.unwrap_or(-1),
        }
    };
    let snapshot =
        ProducerSnapshot { crc: 0, producer_entries: producers.iter().map(entry).collect() };
    let mut writer = Writer::new();
    writer.buf().extend_from_slice(&VERSION.to_be_bytes());
    if snapshot.encode(&mut writer, VERSION).is_err() {
        unreachable!("version {VERSION} holds every field");
    }
    let mut bytes = writer.into_bytes().to_vec();
    let crc = crc32c::crc32c(&bytes[ENTRIES_AT..]);
    bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The entries of a snapshot; `None` when it is damaged, or of a version that is unknown.
pub fn entries(bytes: &[u8]) -> Option<Vec<ProducerEntry>> {
    let mut reader = Reader::new(bytes);
    if reader.i16().ok()? != VERSION {
        return None;
    }
    let snapshot = ProducerSnapshot::decode(reader.rest(), VERSION).ok()?;
    let is_whole = snapshot.crc == crc32c::crc32c(bytes.get(ENTRIES_AT..)?);
    is_whole.then_some(snapshot.producer_entries)
}

/// The producers of a snapshot; `None` as for [`entries`]. `seen_by` is a time at which these producers were known, such as the file's own: one that
/// Apache Kafka wrote may bear timestamps of records, which say nothing of when they were written.
pub fn decode(bytes: &[u8], seen_by: Timestamp) -> Option<Producers> {
    let mut producers = Producers::default();
    for entry in entries(bytes)? {
        let mut recent = VecDeque::new();
        if entry.last_offset >= 0 {
            recent.push_back(RecentBatch {
                last_sequence: entry.last_sequence,
                last_offset: entry.last_offset,
                offset_delta: entry.offset_delta,
                timestamp: Timestamp(entry.timestamp),
            });
        }
        let first_offset = entry.current_txn_first_offset;
        let producer = Producer {
            epoch: entry.epoch,
            recent,
            last_seen: Timestamp(entry.timestamp).max(seen_by),
            coordinator_epoch: entry.coordinator_epoch,
            open_since: (first_offset >= 0).then_some(first_offset),
        };
        producers.restore(entry.producer_id, producer);
    }
    Some(producers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producers() -> Producers {
        let mut producers = Producers::default();
        let batch = RecentBatch {
            last_sequence: 9,
            last_offset: 109,
            offset_delta: 4,
            timestamp: Timestamp(77),
        };
        let producer = Producer {
            epoch: 2,
            recent: [batch].into(),
            last_seen: Timestamp(77),
            coordinator_epoch: -1,
            open_since: Some(105),
        };
        producers.restore(4000, producer);
        producers
    }

    #[test]
    fn a_snapshot_gives_back_what_was_put_in() {
        assert_eq!(decode(&encode(&producers()), Timestamp(0)), Some(producers()));
    }

    #[test]
    fn a_changed_bit_anywhere_is_noticed() {
        let bytes = encode(&producers());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(decode(&changed, Timestamp(0)), None, "byte {at}");
        }
    }
}
