//! Idempotent producers of one partition: which batch is new, a retry, or out of order; and which
//! transactions are open. Pure.
//!
//! Source: Kafka 4.4 `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`; KIP-98,
//! KIP-360.

use std::collections::{BTreeMap, VecDeque};

use super::cleaner::filter::LastRecord;
use super::marker::Marker;
use super::txn_index::AbortedTxn;
use crate::record::BatchHeader;
use crate::types::{
    ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Offset, ProducerEpoch, ProducerId,
    Sequence, Timestamp,
};

/// How many batches of a producer are remembered (Kafka 4.4
/// `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`): as many as a client may have in flight.
pub const RECENT_BATCHES_MAX: usize = 5;

/// What a producer may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The messages say what the fields are.
pub enum ProducerError {
    #[error("producer {producer_id} writes with epoch {epoch}, its newest is {current}")]
    Fenced { producer_id: ProducerId, epoch: ProducerEpoch, current: ProducerEpoch },
    #[error("producer {producer_id} writes sequence {got}, its last was {last}")]
    OutOfOrder { producer_id: ProducerId, got: Sequence, last: Sequence },
    #[error("producer {producer_id} has a transaction open and writes outside it")]
    NotTransactional { producer_id: ProducerId },
    #[error("producer {producer_id} has no transaction here that its coordinator knows of")]
    NotInTransaction { producer_id: ProducerId },
    #[error(
        "a marker for producer {producer_id} is of coordinator epoch {epoch}, now is {current}"
    )]
    CoordinatorFenced { producer_id: ProducerId, epoch: i32, current: i32 },
}

impl ProducerError {
    /// The Kafka code of this refusal.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
            Self::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::NotTransactional { .. } | Self::NotInTransaction { .. } => {
                ErrorCode::InvalidTxnState
            }
            Self::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceVerdict {
    /// Append it.
    Append,
    /// It is in the log: answer with these.
    Duplicate(RecentBatch),
}

/// A batch that its producer may send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentBatch {
    /// The sequence of its last record.
    pub last_sequence: Sequence,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// Its records, less one.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: Timestamp,
}

impl RecentBatch {
    /// The offset of its first record.
    pub fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// The sequence of its first record: sequences wrap from `i32::MAX` to 0.
    pub fn first_sequence(&self) -> Sequence {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        if first < 0 { (first + (1 << 31)) as i32 } else { first as i32 }
    }
}

/// One producer. Invariant: `recent` is of `epoch`, oldest first, at most [`RECENT_BATCHES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// Its last batches.
    pub recent: VecDeque<RecentBatch>,
    /// When it was last seen, by this broker's clock. Apache Kafka keeps the timestamp of its last
    /// record here, and expires the producer by it, also when a log is recovered: a producer of
    /// records with old timestamps is forgotten while it writes, and its retry stored twice.
    pub last_seen: Timestamp,
    /// The epoch of the coordinator that last ended a transaction of it, or -1.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub open_since: Option<Offset>,
}

impl Producer {
    fn new(now: Timestamp) -> Self {
        Self {
            epoch: NO_PRODUCER_EPOCH,
            recent: VecDeque::new(),
            last_seen: now,
            coordinator_epoch: -1,
            open_since: None,
        }
    }

    /// The sequence of its last record, [`NO_SEQUENCE`] if none is remembered.
    pub fn last_sequence(&self) -> Sequence {
        self.recent.back().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// Whether it has a transaction open, begun with this epoch.
    pub fn is_in_transaction(&self, epoch: ProducerEpoch) -> bool {
        self.open_since.is_some() && self.epoch == epoch
    }

    fn decide(&self, header: &BatchHeader) -> Result<SequenceVerdict, ProducerError> {
        let producer_id = header.producer_id;
        if header.producer_epoch == self.epoch {
            let same = self.recent.iter().find(|batch| {
                batch.first_sequence() == header.base_sequence
                    && batch.last_sequence == header.last_sequence()
            });
            if let Some(original) = same {
                return Ok(SequenceVerdict::Duplicate(*original));
            }
        }
        if header.producer_epoch < self.epoch {
            let (epoch, current) = (header.producer_epoch, self.epoch);
            return Err(ProducerError::Fenced { producer_id, epoch, current });
        }
        let (got, last) = (header.base_sequence, self.last_sequence());
        let in_order = if self.epoch == NO_PRODUCER_EPOCH {
            true // Nothing is known: any sequence may be the first (KIP-360).
        } else if header.producer_epoch != self.epoch {
            got == 0
        } else {
            i64::from(got) == i64::from(last) + 1 || (got == 0 && last == i32::MAX)
        };
        if !in_order {
            return Err(ProducerError::OutOfOrder { producer_id, got, last });
        }
        if self.open_since.is_some() && !header.attributes.is_transactional() {
            return Err(ProducerError::NotTransactional { producer_id });
        }
        Ok(SequenceVerdict::Append)
    }

    fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.recent.clear(); // Sequences restart with every epoch.
        }
    }

    fn push(&mut self, batch: RecentBatch) {
        if self.recent.len() == RECENT_BATCHES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(batch);
    }
}

/// A marker that ended a transaction with records in this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Whose.
    pub producer_id: ProducerId,
    /// Where it began.
    pub first_offset: Offset,
    /// The marker.
    pub last_offset: Offset,
    /// Whether it was aborted.
    pub aborted: bool,
}

/// All producers of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: BTreeMap<ProducerId, Producer>,
    /// Open transactions by the offset they began at.
    open: BTreeMap<Offset, ProducerId>,
    /// Ended transactions whose marker is not below the high watermark yet, by first offset.
    uncommitted: BTreeMap<Offset, Offset>,
}

impl Producers {
    /// Every producer by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// One producer.
    pub fn get(&self, id: ProducerId) -> Option<&Producer> {
        self.by_id.get(&id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What each wrote last: compaction keeps it.
    pub fn last_records(&self) -> BTreeMap<ProducerId, LastRecord> {
        let last = |producer: &Producer| LastRecord {
            data_offset: producer.recent.back().map(|batch| batch.last_offset),
            epoch: producer.epoch,
        };
        self.by_id.iter().map(|(id, producer)| (*id, last(producer))).collect()
    }

    /// Puts a producer back, from a snapshot.
    pub fn restore(&mut self, id: ProducerId, producer: Producer) {
        if let Some(first_offset) = producer.open_since {
            self.open.insert(first_offset, id);
        }
        self.by_id.insert(id, producer);
    }

    /// Judges a client's batch; changes nothing.
    pub fn decide(&self, header: &BatchHeader) -> Result<SequenceVerdict, ProducerError> {
        match self.by_id.get(&header.producer_id) {
            Some(producer) if header.has_producer_id() => producer.decide(header),
            _ => Ok(SequenceVerdict::Append),
        }
    }

    /// Whether this very batch is in the log.
    pub fn is_duplicate(&self, header: &BatchHeader) -> bool {
        matches!(self.decide(header), Ok(SequenceVerdict::Duplicate(_)))
    }

    /// Judges the producer of a batch that a coordinator made, which has no sequence; changes
    /// nothing.
    pub fn check_epoch(
        &self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<(), ProducerError> {
        match self.by_id.get(&producer_id) {
            Some(producer) if producer_id != NO_PRODUCER_ID && epoch < producer.epoch => {
                Err(ProducerError::Fenced { producer_id, epoch, current: producer.epoch })
            }
            _ => Ok(()),
        }
    }

    /// A data batch is in the log, at the offsets of its header. Never fails: called for new
    /// batches after [`Producers::decide`], and again on recovery.
    pub fn apply(&mut self, header: &BatchHeader, now: Timestamp) {
        if !header.has_producer_id() {
            return;
        }
        let id = header.producer_id;
        let producer = self.by_id.entry(id).or_insert_with(|| Producer::new(now));
        producer.set_epoch(header.producer_epoch);
        producer.push(RecentBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        producer.last_seen = now;
        if header.attributes.is_transactional() && producer.open_since.is_none() {
            producer.open_since = Some(header.base_offset);
            self.open.insert(header.base_offset, id);
        }
    }

    /// Judges a marker; changes nothing. Under transaction.version 2 every transaction ends with
    /// an epoch of its own: one that is not higher is of an earlier transaction, unless nothing is
    /// open, when it is a marker that is sent again (Kafka 4.4
    /// `ProducerAppendInfo.checkProducerEpoch`).
    pub fn decide_marker(&self, marker: &Marker) -> Result<(), ProducerError> {
        let producer_id = marker.producer_id;
        let Some(producer) = self.by_id.get(&producer_id) else { return Ok(()) };
        let (epoch, current) = (marker.producer_epoch, producer.epoch);
        let is_stale = if marker.transaction_version >= 2 {
            let is_again =
                epoch == current && (producer.open_since.is_none() || epoch == ProducerEpoch::MAX);
            epoch <= current && !is_again
        } else {
            epoch < current
        };
        if is_stale {
            return Err(ProducerError::Fenced { producer_id, epoch, current });
        }
        let (epoch, current) = (marker.coordinator_epoch, producer.coordinator_epoch);
        if epoch < current {
            return Err(ProducerError::CoordinatorFenced { producer_id, epoch, current });
        }
        Ok(())
    }

    /// A transaction marker is in the log. What it completed is to be put into the index of
    /// aborted transactions with [`Producers::stable_after`] first, and then given to
    /// [`Producers::complete`].
    pub fn apply_marker(
        &mut self,
        header: &BatchHeader,
        coordinator_epoch: i32,
        aborted: bool,
        now: Timestamp,
    ) -> Option<CompletedTxn> {
        let id = header.producer_id;
        let producer = self.by_id.entry(id).or_insert_with(|| Producer::new(now));
        let completed = producer.open_since.take().map(|first_offset| CompletedTxn {
            producer_id: id,
            first_offset,
            last_offset: header.base_offset,
            aborted,
        });
        producer.set_epoch(header.producer_epoch);
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_seen = now;
        completed
    }

    /// The entry of an aborted transaction for the index: its last stable offset is where the
    /// next open transaction begins, or behind the marker.
    pub fn aborted_entry(&self, txn: &CompletedTxn) -> AbortedTxn {
        let next = self.open.iter().find(|(_, id)| **id != txn.producer_id);
        AbortedTxn {
            producer_id: txn.producer_id,
            first_offset: txn.first_offset,
            last_offset: txn.last_offset,
            last_stable_offset: next.map_or(txn.last_offset + 1, |(offset, _)| *offset),
        }
    }

    /// The transaction is over; until its marker is committed it still holds the last stable
    /// offset.
    pub fn complete(&mut self, txn: &CompletedTxn) {
        self.open.remove(&txn.first_offset);
        self.uncommitted.insert(txn.first_offset, txn.last_offset);
    }

    /// The first offset that a read_committed reader may not see yet.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let open = self.open.first_key_value().map(|(offset, _)| *offset);
        let uncommitted = self.uncommitted.first_key_value().map(|(offset, _)| *offset);
        match (open, uncommitted) {
            (Some(open), Some(uncommitted)) => Some(open.min(uncommitted)),
            (open, uncommitted) => open.or(uncommitted),
        }
    }

    /// Markers below the high watermark hold nothing back any more.
    pub fn on_high_watermark(&mut self, high_watermark: Offset) {
        if !self.uncommitted.is_empty() {
            self.uncommitted.retain(|_, marker| *marker >= high_watermark);
        }
    }

    /// Forgets producers that were not seen for `expiration_ms` and have nothing open.
    pub fn expire(&mut self, now: Timestamp, expiration_ms: i64) {
        self.by_id.retain(|_, producer| {
            producer.open_since.is_some()
                || now.0.saturating_sub(producer.last_seen.0) < expiration_ms
        });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BatchBuilder;
    use crate::record::BatchView;

    const NOW: Timestamp = Timestamp(1000);

    /// A batch of producer 9: "epoch first-last".
    fn header(epoch: ProducerEpoch, first: Sequence, count: i32, offset: Offset) -> BatchHeader {
        let mut builder = BatchBuilder::new(offset).producer(9, epoch, first);
        for _ in 0..count {
            builder.push(Timestamp(5), None, Some(b"v"));
        }
        let bytes = builder.build().unwrap();
        *BatchView::first(&bytes).unwrap().header()
    }

    fn after(batches: &[(ProducerEpoch, Sequence, i32)]) -> Producers {
        let mut producers = Producers::default();
        let mut offset = 100;
        for (epoch, first, count) in batches {
            producers.apply(&header(*epoch, *first, *count, offset), NOW);
            offset += i64::from(*count);
        }
        producers
    }

    #[test]
    fn a_retry_of_a_remembered_batch_gets_its_first_offset_back() {
        let producers = after(&[(0, 0, 10), (0, 10, 10)]);
        let Ok(SequenceVerdict::Duplicate(original)) = producers.decide(&header(0, 0, 10, 0))
        else {
            panic!("not seen as a retry");
        };
        assert_eq!((original.first_offset(), original.last_offset), (100, 109));
    }

    #[test]
    fn a_retry_older_than_five_batches_is_out_of_order() {
        let producers = after(&[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1)]);
        assert!(matches!(
            producers.decide(&header(0, 0, 1, 0)),
            Err(ProducerError::OutOfOrder { got: 0, last: 5, .. })
        ));
        assert!(matches!(producers.decide(&header(0, 1, 1, 0)), Ok(SequenceVerdict::Duplicate(_))));
    }

    #[test]
    fn a_gap_and_a_fenced_epoch_are_refused_with_their_codes() {
        let producers = after(&[(1, 0, 10)]);
        let code = |epoch, first| producers.decide(&header(epoch, first, 1, 0)).unwrap_err().code();
        assert_eq!(code(1, 11), ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(code(0, 10), ErrorCode::InvalidProducerEpoch);
        assert_eq!(code(2, 10), ErrorCode::OutOfOrderSequenceNumber, "a new epoch begins at 0");
        assert_eq!(producers.decide(&header(2, 0, 1, 0)), Ok(SequenceVerdict::Append));
    }

    #[test]
    fn what_is_remembered_of_an_epoch_is_no_retry_of_the_next() {
        let mut producers = after(&[(0, 0, 10), (0, 10, 10)]);
        producers.apply(&header(1, 0, 10, 120), NOW);
        let Ok(SequenceVerdict::Duplicate(again)) = producers.decide(&header(1, 0, 10, 0)) else {
            panic!("not seen as a retry");
        };
        assert_eq!(again.first_offset(), 120, "and not the 100 of the epoch before");
        assert_eq!(producers.decide(&header(1, 10, 10, 0)), Ok(SequenceVerdict::Append));
        let late = producers.decide(&header(0, 10, 10, 0)).unwrap_err();
        assert_eq!(late.code(), ErrorCode::InvalidProducerEpoch);
    }

    #[test]
    fn a_retry_with_other_bounds_than_its_original_is_out_of_order() {
        let producers = after(&[(0, 0, 10), (0, 10, 10)]);
        for (first, count) in [(10, 9), (11, 9), (10, 11), (0, 20)] {
            let refused = producers.decide(&header(0, first, count, 0)).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::OutOfOrderSequenceNumber, "{first} {count}");
        }
    }

    #[test]
    fn a_marker_is_a_sign_of_life() {
        let mut producers = after(&[(0, 0, 1)]);
        let later = Timestamp(NOW.0 + 90);
        producers.apply_marker(&header(0, NO_SEQUENCE, 1, 101), 0, false, later);
        producers.expire(Timestamp(NOW.0 + 150), 100);
        assert_eq!(producers.len(), 1);
        producers.expire(Timestamp(later.0 + 100), 100);
        assert_eq!(producers.len(), 0);
    }

    #[test]
    fn a_producer_that_nothing_is_known_of_may_begin_anywhere() {
        assert_eq!(Producers::default().decide(&header(3, 77, 1, 0)), Ok(SequenceVerdict::Append));
    }

    #[test]
    fn a_marker_of_version_two_must_bring_a_higher_epoch_unless_it_is_sent_again() {
        let mut producers = Producers::default();
        let mut data = header(3, 0, 2, 50);
        data.attributes = data.attributes.transactional(true);
        producers.apply(&data, NOW);
        let marker = |producer_epoch, coordinator_epoch, transaction_version| Marker {
            producer_id: 9,
            producer_epoch,
            coordinator_epoch,
            committed: true,
            transaction_version,
        };
        let code = |producers: &Producers, marker: Marker| {
            producers.decide_marker(&marker).err().map(|error| error.code())
        };
        assert_eq!(code(&producers, marker(3, 0, 0)), None);
        assert_eq!(code(&producers, marker(2, 0, 0)), Some(ErrorCode::InvalidProducerEpoch));
        assert_eq!(code(&producers, marker(3, 0, 2)), Some(ErrorCode::InvalidProducerEpoch));
        assert_eq!(code(&producers, marker(4, 0, 2)), None);
        let txn = producers.apply_marker(&header(4, NO_SEQUENCE, 1, 52), 7, false, NOW).unwrap();
        producers.complete(&txn);
        assert_eq!(code(&producers, marker(4, 7, 2)), None, "sent again");
        let zombie = code(&producers, marker(5, 6, 2));
        assert_eq!(zombie, Some(ErrorCode::TransactionCoordinatorFenced));
    }

    #[test]
    fn sequences_wrap_from_the_largest_to_zero() {
        let producers = after(&[(0, i32::MAX - 4, 5)]);
        assert_eq!(producers.decide(&header(0, 0, 3, 0)), Ok(SequenceVerdict::Append));
        let wrapped = after(&[(0, i32::MAX - 1, 5)]);
        assert_eq!(wrapped.get(9).unwrap().last_sequence(), 2);
        assert!(matches!(
            wrapped.decide(&header(0, i32::MAX - 1, 5, 0)),
            Ok(SequenceVerdict::Duplicate(_))
        ));
        assert_eq!(wrapped.decide(&header(0, 3, 1, 0)), Ok(SequenceVerdict::Append));
    }

    #[test]
    fn a_producer_of_old_timestamps_is_kept_by_when_it_was_seen() {
        let mut producers = after(&[(0, 0, 1)]); // Its records are of 1970.
        producers.expire(Timestamp(NOW.0 + 99), 100);
        assert_eq!(producers.len(), 1);
        producers.expire(Timestamp(NOW.0 + 100), 100);
        assert_eq!(producers.len(), 0);
    }

    #[test]
    fn an_open_transaction_holds_the_last_stable_offset_until_its_marker_is_committed() {
        let mut producers = Producers::default();
        let mut data = header(0, 0, 2, 50);
        data.attributes = data.attributes.transactional(true);
        producers.apply(&data, NOW);
        assert_eq!(producers.first_unstable_offset(), Some(50));
        producers.expire(Timestamp(i64::MAX), 1);
        assert_eq!(producers.len(), 1, "a producer with a transaction open never expires");
        let marker = header(0, NO_SEQUENCE, 1, 52);
        let txn = producers.apply_marker(&marker, 3, true, NOW).unwrap();
        let entry = producers.aborted_entry(&txn);
        assert_eq!((entry.first_offset, entry.last_offset, entry.last_stable_offset), (50, 52, 53));
        producers.complete(&txn);
        assert_eq!(producers.first_unstable_offset(), Some(50));
        producers.on_high_watermark(53);
        assert_eq!(producers.first_unstable_offset(), None);
    }
}
