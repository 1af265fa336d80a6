//! Batches in transactions: before one begins a transaction in a partition, the coordinator is
//! asked whether the partition is in it, or, from version 12 on, told that it is.
//!
//! Source: Kafka 4.4 `ReplicaManager.handleProduceAppend`, `AddPartitionsToTxnManager`; KIP-890.

use std::collections::BTreeMap;

use crate::coordinator::Producer;
use crate::coordinator::transactions::Partitions;
use crate::log::Verification;
use crate::metadata::{Operation, Resource};
use crate::protocol::produce::{ProduceRequest, TopicRef};
use crate::record::validate::single_batch;
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, TopicPartition};

/// By place in the request: what a batch may bring along, or why it is refused.
pub(super) type Verifications = BTreeMap<usize, Result<Verification, ErrorCode>>;

/// What is known without asking.
pub(super) enum Looked {
    /// All of it.
    Ready(Verifications),
    /// The coordinator is to be asked.
    Asks(Question),
}

/// What the coordinator is asked.
pub(super) struct Question {
    transactional_id: String,
    producer: Producer,
    wanted: Vec<(usize, String, i32)>,
    verified: Verifications,
}

/// Looks at a request's batches. What is wrong with a batch otherwise is found at its append.
///
/// Errors: none of the request may be appended.
pub(super) fn look(
    context: &RequestContext,
    request: &ProduceRequest,
    body: &[u8],
) -> Result<Looked, ErrorCode> {
    let mut verified = Verifications::new();
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
        if let Ok(Verification::Guarded(_)) = begun {
            wanted.push((at, topic.name.to_string(), records.index));
        }
        verified.insert(at, begun.map_err(|error| error.code()));
    }
    let id = request.transactional_id.clone().map(|range| &body[range]);
    match (of, id) {
        (Some(producer), Some(id)) if !wanted.is_empty() => {
            let transactional_id = String::from_utf8_lossy(id).into_owned();
            Ok(Looked::Asks(Question { transactional_id, producer, wanted, verified }))
        }
        _ => Ok(Looked::Ready(verified)),
    }
}

/// Asks the coordinator.
pub(super) async fn ask(context: &RequestContext, question: Question) -> Verifications {
    let Question { transactional_id: id, producer, wanted, mut verified } = question;
    let mut partitions = Partitions::new();
    for (_, topic, index) in &wanted {
        partitions.entry(topic.clone()).or_default().insert(*index);
    }
    let transactions = &context.broker.transactions;
    let answers: Result<BTreeMap<_, _>, ErrorCode> = if context.version >= 12 {
        transactions.add(&id, producer, &partitions).await.map(|()| BTreeMap::new())
    } else {
        transactions.verify(&id, producer, &partitions).await.map(|answers| {
            answers.into_iter().map(|(topic, index, code)| ((topic, index), code)).collect()
        })
    };
    for (at, topic, index) in wanted {
        let code = match &answers {
            Ok(codes) => codes.get(&(topic, index)).copied().unwrap_or(ErrorCode::None),
            Err(code) => *code,
        };
        if !code.is_none() {
            verified.insert(at, Err(for_producer(code, context.version)));
        }
    }
    verified
}

/// What a producer is told where its coordinator refuses. What may be tried again is a code upon
/// which every client does, without looking for another leader.
fn for_producer(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
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
