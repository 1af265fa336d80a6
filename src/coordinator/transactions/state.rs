//! What is known of one transactional id, and its record (Kafka 4.4 `TransactionMetadata`,
//! `TransactionState`, `TransactionLog`).

use std::collections::{BTreeMap, BTreeSet};

use crate::coordinator::records::TransactionRecord;
use crate::coordinator::records::transaction::{
    PartitionsSchema, TransactionLogKey, TransactionLogValue,
};
use crate::types::{
    NO_PRODUCER_ID, NO_TIMESTAMP, PartitionIndex, ProducerEpoch, ProducerId, Timestamp,
};

/// Where a transactional id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum TransactionState {
    /// No transaction yet.
    Empty = 0,
    /// A transaction is open.
    Ongoing = 1,
    /// It will be committed, whatever happens: markers are being written.
    PrepareCommit = 2,
    /// It will be aborted, whatever happens: markers are being written.
    PrepareAbort = 3,
    /// All markers of the commit are written.
    CompleteCommit = 4,
    /// All markers of the abort are written.
    CompleteAbort = 5,
}

impl TransactionState {
    /// Every state that is stored.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether markers are being written.
    pub const fn is_ending(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    /// Whether an id may be forgotten here.
    pub const fn may_expire(self) -> bool {
        matches!(self, Self::Empty | Self::CompleteCommit | Self::CompleteAbort)
    }

    fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i8 == number)
    }
}

/// The partitions of a transaction, by topic.
pub type TransactionPartitions = BTreeMap<String, BTreeSet<PartitionIndex>>;

/// The hard state of one transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its producer.
    pub producer_id: ProducerId,
    /// The producer before the last change: another one only where epochs were used up.
    pub previous_producer_id: ProducerId,
    /// The producer that takes over when the transaction has ended, if epochs are used up.
    pub next_producer_id: ProducerId,
    /// The producer's epoch.
    pub epoch: ProducerEpoch,
    /// How long a transaction may stay open.
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: TransactionState,
    /// Partitions of the transaction that may hold its records, and no marker yet.
    pub partitions: TransactionPartitions,
    /// When the transaction began.
    pub started: Timestamp,
    /// When this was changed.
    pub updated: Timestamp,
    /// The version by which the client ends transactions.
    pub client_version: i16,
}

/// The last epoch that is given to a client; one more is kept for a fence (Kafka 4.4
/// `TransactionMetadata.isEpochExhausted`).
pub const fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch >= ProducerEpoch::MAX - 1
}

impl Transaction {
    /// Before the first record of an id.
    pub fn new(producer_id: ProducerId, timeout_ms: i32, now: Timestamp) -> Self {
        Self {
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            epoch: -1,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: TransactionPartitions::new(),
            started: NO_TIMESTAMP,
            updated: now,
            client_version: 0,
        }
    }

    /// Whether all of these are in the transaction.
    pub fn holds(&self, partitions: &TransactionPartitions) -> bool {
        partitions.iter().all(|(topic, indexes)| {
            self.partitions.get(topic).is_some_and(|known| known.is_superset(indexes))
        })
    }

    /// Its record, for a version of its value; what version 0 cannot say is left out, as in Kafka.
    pub fn to_record(&self, id: &str, version: i16) -> TransactionRecord {
        let from_version_1 = |id: ProducerId| if version >= 1 { id } else { NO_PRODUCER_ID };
        let schema = |(topic, indexes): (&String, &BTreeSet<i32>)| PartitionsSchema {
            topic: topic.clone(),
            partition_ids: indexes.iter().copied().collect(),
        };
        let value = TransactionLogValue {
            producer_id: self.producer_id,
            previous_producer_id: from_version_1(self.previous_producer_id),
            next_producer_id: from_version_1(self.next_producer_id),
            producer_epoch: self.epoch,
            next_producer_epoch: -1,
            transaction_timeout_ms: self.timeout_ms,
            transaction_status: self.state as i8,
            transaction_partitions: (self.state != TransactionState::Empty)
                .then(|| self.partitions.iter().map(schema).collect()),
            transaction_last_update_timestamp_ms: self.updated.0,
            transaction_start_timestamp_ms: self.started.0,
            client_transaction_version: if version >= 1 { self.client_version } else { 0 },
        };
        let key = TransactionLogKey { transactional_id: id.to_owned() };
        TransactionRecord::TransactionLog(key, Some(value))
    }

    /// From a record's value; `None` for a state that cannot be stored.
    pub fn from_value(value: TransactionLogValue) -> Option<Self> {
        let mut partitions = TransactionPartitions::new();
        for schema in value.transaction_partitions.unwrap_or_default() {
            partitions.entry(schema.topic).or_default().extend(schema.partition_ids);
        }
        Some(Self {
            producer_id: value.producer_id,
            previous_producer_id: value.previous_producer_id,
            next_producer_id: value.next_producer_id,
            epoch: value.producer_epoch,
            timeout_ms: value.transaction_timeout_ms,
            state: TransactionState::from_number(value.transaction_status)?,
            partitions,
            started: Timestamp(value.transaction_start_timestamp_ms),
            updated: Timestamp(value.transaction_last_update_timestamp_ms),
            client_version: value.client_transaction_version,
        })
    }
}
