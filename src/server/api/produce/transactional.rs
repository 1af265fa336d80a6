//! Batches in transactions: before one begins a transaction in a partition, the coordinator is
//! asked whether the partition is in it, or, from version 12 on, told that it is.
//!
//! Source: Kafka 4.4 `ReplicaManager.handleProduceAppend`, `AddPartitionsToTxnManager`; KIP-890.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordinator::Producer;
use crate::coordinator::transactions::TransactionPartitions;
use crate::log::Verification;
use crate::metadata::{Operation, Resource};
use crate::protocol::produce::{ProduceRequest, TopicRef};
use crate::record::BatchHeader;
use crate::record::validate::single_batch;
use crate::server::context::RequestContext;
use crate::store::partition::Partition;
use crate::types::{ErrorCode, PartitionIndex, TopicPartition};

/// By place in the request: what a batch may bring along, or why it is refused.
pub(super) type BatchVerifications = BTreeMap<usize, Result<Verification, ErrorCode>>;

/// What is known without asking.
pub(super) enum TransactionCheck {
    /// All of it.
    Ready(BatchVerifications),
    /// The coordinator is to be asked.
    Asks(Question),
}

/// What the coordinator is asked.
pub(super) struct Question {
    transactional_id: String,
    producer: Producer,
    wanted: Vec<UnverifiedBatch>,
    verified: BatchVerifications,
}

/// A batch that begins a transaction in its partition.
struct UnverifiedBatch {
    /// Its place in the request.
    at: usize,
    topic: String,
    partition: Arc<Partition>,
    header: BatchHeader,
    /// What it was given to bring along.
    guard: Verification,
}

impl UnverifiedBatch {
    fn key(&self) -> (String, PartitionIndex) {
        (self.topic.clone(), self.partition.id.partition)
    }
}

/// Looks at a request's batches. What is wrong with a batch otherwise is found at its append.
///
/// Errors: none of the request may be appended.
pub(super) fn look(
    context: &RequestContext,
    request: &ProduceRequest,
    body: &[u8],
) -> Result<TransactionCheck, ErrorCode> {
    let mut verified = BatchVerifications::new();
    let mut wanted = Vec::new();
    let mut of = None;
    let bumps_epoch = context.version >= 12;
    let now = context.broker.env.clock.wall();
    let needed = std::cell::OnceCell::new();
    let may_write = std::cell::OnceCell::new();
    for (at, records) in request.partitions.iter().enumerate() {
        let Ok(batch) = single_batch(&body[records.records.clone()]) else { continue };
        let header = batch.header();
        if !header.attributes.is_transactional() {
            continue;
        }
        let Some(id) = request.transactional_id.clone() else {
            return Err(ErrorCode::TransactionalIdAuthorizationFailed);
        };
        let may = may_write.get_or_init(|| {
            let id = String::from_utf8_lossy(&body[id]);
            context.require(Operation::Write, Resource::TransactionalId(&id))
        });
        (*may)?;
        let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
        if *of.get_or_insert(producer) != producer {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if !*needed.get_or_init(|| bumps_epoch || context.broker.transactions.verifies()) {
            continue;
        }
        let topics = &context.image.topics;
        let topic = match &request.topics[records.topic] {
            TopicRef::Id(id) => topics.by_id(*id),
            TopicRef::Name(name) => {
                topics.by_name(std::str::from_utf8(&body[name.clone()]).unwrap_or_default())
            }
        };
        // One that may not be written to is refused at its append, and joins no transaction.
        let topic = topic
            .filter(|topic| context.may_quietly(Operation::Write, Resource::Topic(&topic.name)));
        let Some(topic) = topic else { continue };
        let id = TopicPartition { topic: topic.id, partition: records.index };
        let Some(partition) = context.broker.partitions.get(id) else { continue };
        let begun = partition.begin_verification(header, bumps_epoch, now);
        if let Ok(guard @ Verification::Guarded(_)) = begun {
            let topic = topic.name.to_string();
            wanted.push(UnverifiedBatch { at, topic, partition, header: *header, guard });
        }
        verified.insert(at, begun.map_err(|error| error.code()));
    }
    let id = request.transactional_id.clone().map(|range| &body[range]);
    match (of, id) {
        (Some(producer), Some(id)) if !wanted.is_empty() => {
            let transactional_id = String::from_utf8_lossy(id).into_owned();
            Ok(TransactionCheck::Asks(Question { transactional_id, producer, wanted, verified }))
        }
        _ => Ok(TransactionCheck::Ready(verified)),
    }
}

/// Asks the coordinator.
pub(super) async fn ask(context: &RequestContext, question: Question) -> BatchVerifications {
    let Question { transactional_id: id, producer, mut wanted, mut verified } = question;
    let mut partitions = TransactionPartitions::new();
    for (topic, index) in wanted.iter().map(UnverifiedBatch::key) {
        partitions.entry(topic).or_default().insert(index);
    }
    let transactions = &context.broker.transactions;
    let answers: Result<BTreeMap<_, _>, ErrorCode> = if context.version >= 12 {
        let guards_stand = || {
            let now = context.broker.env.clock.wall();
            let mut stood = true;
            for UnverifiedBatch { at, partition, header, guard, .. } in &mut wanted {
                let begun = partition.begin_verification(header, true, now);
                if let Ok(again) = begun {
                    stood &= again == *guard;
                    *guard = again;
                }
                verified.insert(*at, begun.map_err(|error| error.code()));
            }
            stood
        };
        let added = transactions.add(&id, producer, &partitions, guards_stand).await;
        added.map(|()| BTreeMap::new())
    } else {
        transactions.verify(&id, producer, &partitions).await.map(|answers| {
            answers.into_iter().map(|(topic, index, code)| ((topic, index), code)).collect()
        })
    };
    for wanted in wanted {
        let at = wanted.at;
        let code = match &answers {
            Ok(codes) => codes.get(&wanted.key()).copied().unwrap_or(ErrorCode::None),
            Err(code) => *code,
        };
        if !code.is_none() {
            verified.insert(at, Err(for_producer(code, context.version)));
        }
    }
    verified
}

/// What a producer is told where its coordinator refuses. What may be tried again is a code upon
/// which every client does, without looking for another leader; clients of version 12 know the one
/// that they meet most.
fn for_producer(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::ConcurrentTransactions if version >= 12 => code,
        ErrorCode::ConcurrentTransactions
        | ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < 11 => ErrorCode::InvalidTxnState,
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kafka 4.4 `ReplicaManager.handleProduceAppend`.
    #[test]
    fn what_a_coordinator_refuses_is_told_in_words_that_the_producer_knows() {
        use ErrorCode::*;
        for (code, version, told) in [
            (ConcurrentTransactions, 12, ConcurrentTransactions),
            (ConcurrentTransactions, 11, NotEnoughReplicas),
            (CoordinatorLoadInProgress, 12, NotEnoughReplicas),
            (CoordinatorNotAvailable, 9, NotEnoughReplicas),
            (NotCoordinator, 12, NotEnoughReplicas),
            (NetworkException, 11, NotEnoughReplicas),
            (ProducerFenced, 12, InvalidProducerEpoch),
            (TransactionAbortable, 11, TransactionAbortable),
            (TransactionAbortable, 10, InvalidTxnState),
            (InvalidProducerIdMapping, 12, InvalidProducerIdMapping),
        ] {
            assert_eq!(for_producer(code, version), told, "{code:?} {version}");
        }
    }
}
