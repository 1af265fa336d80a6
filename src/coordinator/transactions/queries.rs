//! What can be asked of a coordinator without changing anything (Kafka 4.4
//! `TransactionCoordinator.handleDescribeTransactions`, `TransactionStateManager.listTransactionStates`).

use super::state::{Transaction, TransactionPartitions, TransactionState};
use crate::types::{ProducerEpoch, ProducerId, Timestamp};

/// One transactional id as DescribeTransactions tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Where it stands.
    pub state: TransactionState,
    /// Its producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub epoch: ProducerEpoch,
    /// How long a transaction may stay open.
    pub timeout_ms: i32,
    /// When the transaction began, or -1.
    pub started: Timestamp,
    /// Its partitions.
    pub partitions: TransactionPartitions,
}

impl From<&Transaction> for TransactionDescription {
    fn from(transaction: &Transaction) -> Self {
        Self {
            state: transaction.state,
            producer_id: transaction.producer_id,
            epoch: transaction.epoch,
            timeout_ms: transaction.timeout_ms,
            started: transaction.started,
            partitions: transaction.partitions.clone(),
        }
    }
}

/// Which transactional ids ListTransactions asks for; a pattern of ids is applied by who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Of these producers; empty for all.
    pub producer_ids: std::collections::BTreeSet<ProducerId>,
    /// In these states; `None` for all.
    pub states: Option<Vec<TransactionState>>,
    /// Whose transaction has been open for longer; negative for all.
    pub longer_than_ms: i64,
}

impl TransactionFilter {
    /// Whether it lets through.
    pub fn admits(&self, transaction: &Transaction, now: Timestamp) -> bool {
        let lasted = now.0.saturating_sub(transaction.started.0);
        (self.producer_ids.is_empty() || self.producer_ids.contains(&transaction.producer_id))
            && self.states.as_ref().is_none_or(|states| states.contains(&transaction.state))
            && (self.longer_than_ms < 0 || lasted > self.longer_than_ms)
    }
}

/// One transactional id as ListTransactions tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The id.
    pub id: String,
    /// Its producer.
    pub producer_id: ProducerId,
    /// Where it stands.
    pub state: TransactionState,
}
