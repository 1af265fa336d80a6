//! Which producers are about to begin a transaction here, with their coordinator's knowledge. Pure.
//!
//! Between the question to the coordinator and the append, the transaction may end; a batch that
//! came after its marker would hang open for ever. So each question leaves a guard here, a marker
//! takes it away, and only the batch that brings it may begin a transaction.
//!
//! Source: Kafka 4.4 `VerificationStateEntry`, `VerificationGuard`; KIP-890.

use std::collections::BTreeMap;

use super::producers::{Producer, ProducerError};
use crate::record::BatchHeader;
use crate::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Proof that a coordinator was asked after the last transaction of the producer had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// What an append of a transactional batch brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing, and nothing is asked for (`transaction.partition.verification.enable=false`, or a
    /// batch outside of transactions).
    NotNeeded,
    /// The transaction had begun here already when it was looked for.
    Ongoing,
    /// The coordinator has said that the partition is in the transaction.
    Guarded(VerificationGuard),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct VerificationEntry {
    guard: VerificationGuard,
    lowest_sequence: Sequence,
    epoch: ProducerEpoch,
    bumps_epoch: bool,
    since: Timestamp,
}

/// The questions that are open, one a producer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verifications {
    by_id: BTreeMap<ProducerId, VerificationEntry>,
    next: u64,
}

impl Verifications {
    /// The guard for a batch whose transaction has not begun here. Batches that wait together
    /// share it; the lowest of their sequences is remembered, since that one must come first.
    pub fn begin(
        &mut self,
        header: &BatchHeader,
        bumps_epoch: bool,
        now: Timestamp,
    ) -> VerificationGuard {
        let (id, epoch) = (header.producer_id, header.producer_epoch);
        self.begin_at(id, epoch, header.base_sequence, bumps_epoch, now)
    }

    /// As [`Verifications::begin`], for a batch that is not made yet.
    pub fn begin_at(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        sequence: Sequence,
        bumps_epoch: bool,
        now: Timestamp,
    ) -> VerificationGuard {
        let next = &mut self.next;
        let entry = self.by_id.entry(id).or_insert_with(|| {
            *next += 1;
            let guard = VerificationGuard(*next);
            VerificationEntry { guard, lowest_sequence: sequence, epoch, bumps_epoch, since: now }
        });
        if epoch > entry.epoch {
            (entry.epoch, entry.lowest_sequence) = (epoch, sequence);
        } else if epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(sequence);
        }
        entry.guard
    }

    /// Whether a question about this producer is open: what a coordinator of this broker needs to
    /// begin a transaction in its own log.
    pub fn is_open(&self, id: ProducerId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Whether a batch that is no retry may be appended; `producer` is what is known of its
    /// producer.
    pub fn check(
        &self,
        header: &BatchHeader,
        verification: Verification,
        producer: Option<&Producer>,
    ) -> Result<(), ProducerError> {
        let producer_id = header.producer_id;
        let entry = self.by_id.get(&producer_id);
        let ongoing = producer.is_some_and(|known| known.is_in_transaction(header.producer_epoch));
        if let Some(known) = producer.filter(|known| header.producer_epoch < known.epoch) {
            let (epoch, current) = (header.producer_epoch, known.epoch);
            return Err(ProducerError::Fenced { producer_id, epoch, current });
        }
        let verified = match verification {
            Verification::NotNeeded => true,
            Verification::Ongoing => false,
            Verification::Guarded(guard) => entry.is_some_and(|entry| entry.guard == guard),
        };
        if !ongoing && !verified {
            return Err(ProducerError::NotInTransaction { producer_id });
        }
        let Some(entry) = entry else { return Ok(()) };
        let got = header.base_sequence;
        let unknown = producer.is_none_or(|known| known.recent.is_empty());
        if (entry.bumps_epoch && got != 0 && unknown) || got > entry.lowest_sequence {
            let last = entry.lowest_sequence;
            return Err(ProducerError::OutOfOrder { producer_id, got, last });
        }
        Ok(())
    }

    /// A transaction has begun here, or ended: guards are void.
    pub fn clear(&mut self, id: ProducerId) {
        self.by_id.remove(&id);
    }

    /// Forgets what nobody came back for.
    pub fn expire(&mut self, now: Timestamp, expiration_ms: i64) {
        self.by_id.retain(|_, entry| now.0.saturating_sub(entry.since.0) < expiration_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchView};

    const NOW: Timestamp = Timestamp(1000);

    fn header(epoch: ProducerEpoch, sequence: Sequence) -> BatchHeader {
        let mut builder = BatchBuilder::new(0).producer(9, epoch, sequence).transactional();
        builder.push(NOW, None, Some(b"v"));
        *BatchView::first(&builder.build().unwrap()).unwrap().header()
    }

    #[test]
    fn a_batch_that_comes_after_its_marker_is_refused() {
        let mut open = Verifications::default();
        let guard = Verification::Guarded(open.begin(&header(0, 0), false, NOW));
        assert_eq!(open.check(&header(0, 0), guard, None), Ok(()));
        open.clear(9);
        let late = open.check(&header(0, 0), guard, None);
        assert_eq!(late, Err(ProducerError::NotInTransaction { producer_id: 9 }));
        let again = open.begin(&header(0, 0), false, NOW);
        assert_ne!(Verification::Guarded(again), guard, "a guard is given once");
        assert!(open.check(&header(0, 0), guard, None).is_err());
    }

    #[test]
    fn of_batches_that_wait_together_the_lowest_sequence_comes_first() {
        let mut open = Verifications::default();
        let first = open.begin(&header(0, 5), false, NOW);
        let second = open.begin(&header(0, 3), false, NOW);
        assert_eq!(first, second);
        let guard = Verification::Guarded(first);
        assert!(matches!(
            open.check(&header(0, 5), guard, None),
            Err(ProducerError::OutOfOrder { got: 5, last: 3, .. })
        ));
        assert_eq!(open.check(&header(0, 3), guard, None), Ok(()));
    }

    #[test]
    fn a_producer_that_bumps_its_epoch_begins_with_sequence_zero() {
        let mut open = Verifications::default();
        let guard = Verification::Guarded(open.begin(&header(1, 4), true, NOW));
        assert!(open.check(&header(1, 4), guard, None).is_err());
    }

    #[test]
    fn what_nobody_came_back_for_is_forgotten() {
        let mut open = Verifications::default();
        open.begin(&header(0, 0), false, NOW);
        open.expire(Timestamp(NOW.0 + 10), 10);
        assert_eq!(open.by_id.len(), 0);
    }
}
