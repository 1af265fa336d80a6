//! What is left of a batch. Pure (Kafka 4.4 `Cleaner.cleanInto`, `MemoryRecords.filterTo`; KIP-534).

use std::collections::BTreeMap;
use std::io;

use super::offset_map::OffsetMap;
use super::txns::{CleanedTxns, ControlKind};
use crate::log::txn_index::AbortedTxn;
use crate::record::retain::{emptied, retained};
use crate::record::{BatchHeader, BatchView, ControlType, RawRecord, Records};
use crate::types::{Offset, ProducerEpoch, ProducerId, Timestamp};

/// What a producer that may go on wrote last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRecord {
    /// Its last record of data, if one is remembered.
    pub data_offset: Option<Offset>,
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
}

/// What decides over records, for one pass.
pub struct Filter {
    /// The last offset of each key.
    pub map: OffsetMap,
    /// Up to here the map knows every key.
    pub mapped_to: Offset,
    /// The last records of producers.
    pub last_records: BTreeMap<ProducerId, LastRecord>,
    /// Below it all in-sync replicas have the records.
    pub high_watermark: Offset,
    /// The wall clock.
    pub now: Timestamp,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// It goes.
    Nothing,
    /// It stays as it is.
    All,
    /// This is written in its place.
    Some(Vec<u8>),
}

fn damaged(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl Filter {
    /// Judges the next batch of the walk. `keeps_place`: it is the last of what becomes one segment,
    /// and stays, without records if need be, so that the segment tells how far it reaches. The
    /// entry, if there is one, belongs into the index of aborted transactions. What is left of a batch
    /// of message format 0 or 1 is a batch of format 2, whose tombstones then have a delete horizon
    /// (Kafka goes by the time of the file instead, which a copy of the directory changes).
    ///
    /// Errors: the records are damaged.
    pub fn judge(
        &self,
        batch: &BatchView<'_>,
        txns: &mut CleanedTxns,
        keeps_place: bool,
    ) -> io::Result<(Left, Option<AbortedTxn>)> {
        let is_legacy = batch.header().is_legacy();
        let all = Records::of(batch).map_err(damaged)?;
        let header = all.header();
        let is_control = header.attributes.is_control();
        let horizon = header.attributes.has_delete_horizon().then_some(header.base_timestamp);
        let records: Vec<RawRecord<'_>> = all.raw().collect::<Result<_, _>>().map_err(damaged)?;

        let (discards, indexed, ends_nothing) = if is_control {
            let marker = txns.on_control(header, kind_of(&records));
            let is_over = horizon.is_some_and(|horizon| horizon <= self.now);
            (marker.is_discardable && is_over, marker.indexed, marker.is_discardable)
        } else {
            (txns.on_data(header), None, false)
        };
        let stays_empty = keeps_place
            || self.is_last_of_producer(header)
            || header.next_offset() == self.high_watermark;

        let stays = |record: &RawRecord<'_>| {
            !discards && (is_control || self.survives(header, record, horizon))
        };
        let mut left: Vec<RawRecord<'_>> = records.iter().copied().filter(stays).collect();
        if left.is_empty() {
            let left = match stays_empty {
                true if header.records_count == 0 => Left::All,
                true => Left::Some(emptied(header)),
                false => Left::Nothing,
            };
            return Ok((left, indexed));
        }
        let has_tombstone = left.iter().any(|record| !record.has_value);
        let wants_horizon = (has_tombstone || ends_nothing) && horizon.is_none();
        if left.len() == records.len() && !wants_horizon && !is_legacy {
            return Ok((Left::All, indexed));
        }
        let horizon = if wants_horizon {
            Some(Timestamp(self.now.0.saturating_add(self.delete_retention_ms)))
        } else {
            horizon
        };
        let header = if is_legacy { &narrowed(header, &mut left) } else { header };
        Ok((Left::Some(retained(header, &left, horizon)?), indexed))
    }

    /// Whether the batch tells the last sequence, or the epoch, of a producer that may go on.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.last_records.get(&header.producer_id).filter(|_| header.has_producer_id());
        last.is_some_and(|last| match last.data_offset {
            Some(offset) => header.last_offset() == offset,
            None => header.attributes.is_control() && header.producer_epoch == last.epoch,
        })
    }

    fn survives(
        &self,
        header: &BatchHeader,
        record: &RawRecord<'_>,
        horizon: Option<Timestamp>,
    ) -> bool {
        let offset = header.base_offset.saturating_add(i64::from(record.offset_delta));
        if offset > self.mapped_to {
            return true;
        }
        // Without a key it is nobody's last; a compacted topic takes no such record.
        let Some(key) = record.key else { return false };
        let is_last = self.map.get(key).is_none_or(|last| offset >= last);
        is_last && (record.has_value || horizon.is_none_or(|horizon| self.now < horizon))
    }
}

/// The header of a batch that begins and ends with what is left of it, whose offsets become relative
/// to that. Only a batch of format 2 must reach as far as it did, for the sequences of its producer.
fn narrowed(header: &BatchHeader, left: &mut [RawRecord<'_>]) -> BatchHeader {
    let (Some(first), Some(last)) = (left.first(), left.last()) else { return *header };
    let (first, last) = (first.offset_delta, last.offset_delta);
    for record in left {
        record.offset_delta -= first;
    }
    let base_offset = header.base_offset + i64::from(first);
    BatchHeader { base_offset, last_offset_delta: last - first, ..*header }
}

fn kind_of(records: &[RawRecord<'_>]) -> ControlKind {
    let Some(record) = records.first() else { return ControlKind::Empty };
    record.key.and_then(ControlType::from_key).map_or(ControlKind::Unknown, ControlKind::Of)
}
