//! The marker that ends a transaction in a partition (Kafka 4.4 `EndTransactionMarker`,
//! `MemoryRecords.withEndTransactionMarker`).

use std::io;

use crate::record::control::end_transaction_value;
use crate::record::{BatchBuilder, ControlType};
use crate::types::{NO_SEQUENCE, ProducerEpoch, ProducerId, Timestamp};

/// A marker, as the coordinator of the transaction asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction ends.
    pub producer_id: ProducerId,
    /// The producer's epoch; under transaction.version 2 higher than that of its records.
    pub producer_epoch: ProducerEpoch,
    /// The epoch of the coordinator; a lower one than before is a zombie's.
    pub coordinator_epoch: i32,
    /// Whether the records count.
    pub committed: bool,
    /// The version of the protocol by which the transaction ends (KIP-1228).
    pub transaction_version: i16,
}

impl Marker {
    /// The control batch.
    pub fn batch(&self, now: Timestamp) -> io::Result<Vec<u8>> {
        let kind = if self.committed { ControlType::Commit } else { ControlType::Abort };
        let mut batch = BatchBuilder::new(0)
            .producer(self.producer_id, self.producer_epoch, NO_SEQUENCE)
            .transactional()
            .control();
        let value = end_transaction_value(self.coordinator_epoch);
        batch.push(now, Some(&kind.key()), Some(&value));
        batch.build()
    }
}
