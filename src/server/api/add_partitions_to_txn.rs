//! AddPartitionsToTxn: v0-5.
//!
//! Partitions join a producer's transaction. v2: PRODUCER_FENCED. v3: flexible. v4: for brokers;
//! many transactions at once, or only asked whether partitions are in them (KIP-890). v5:
//! TRANSACTION_ABORTABLE.

use std::collections::BTreeSet;

use crate::coordinator::Producer;
use crate::coordinator::transactions::{
    TransactionCommand, TransactionPartitions, TransactionReply,
};
use crate::metadata::{Operation, Resource};
use crate::protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, TopicName,
    add_partitions_to_txn_request::AddPartitionsToTxnTransaction,
    add_partitions_to_txn_response::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
    },
    text,
};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, PartitionIndex};

type PartitionCodes = Vec<(String, PartitionIndex, ErrorCode)>;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let response = AddPartitionsToTxnResponse::default();
    if context.version < 4 {
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        let codes = one(context, &transaction).await;
        return response.with_results_by_topic_v3_and_below(by_topic(codes));
    }
    if let Err(code) = context.require(Operation::ClusterAction, Resource::Cluster) {
        return response.with_error_code(code.code());
    }
    let mut results = Vec::new();
    let mut seen = BTreeSet::new();
    for transaction in request.transactions {
        // Each addition writes all partitions of its transaction: were an id named again and again,
        // a request would cost the square of its size. (Apache Kafka never answers such a one.)
        let codes = if seen.insert(transaction.transactional_id.clone()) {
            one(context, &transaction).await
        } else {
            each(&partitions_of(&transaction), |_, _| ErrorCode::InvalidRequest)
        };
        results.push(
            AddPartitionsToTxnResult::default()
                .with_transactional_id(transaction.transactional_id)
                .with_topic_results(by_topic(codes)),
        );
    }
    response.with_results_by_transaction(results)
}

fn partitions_of(transaction: &AddPartitionsToTxnTransaction) -> TransactionPartitions {
    let mut partitions = TransactionPartitions::new();
    for topic in &transaction.topics {
        partitions.entry(topic.name.0.to_string()).or_default().extend(&topic.partitions);
    }
    partitions
}

async fn one(
    context: &RequestContext,
    transaction: &AddPartitionsToTxnTransaction,
) -> PartitionCodes {
    let partitions = partitions_of(transaction);
    let is_client = context.version < 4;
    let of = Resource::TransactionalId(&transaction.transactional_id.0);
    if is_client && let Err(code) = context.require(Operation::Write, of) {
        return each(&partitions, |_, _| code);
    }
    let writable: BTreeSet<&str> = partitions
        .keys()
        .map(String::as_str)
        .filter(|topic| !is_client || may_write(context, topic))
        .collect();
    let topics = &context.image.topics;
    let exists = |topic: &str, index: PartitionIndex| {
        topics.by_name(topic).is_some_and(|topic| topic.partition(index).is_some())
    };
    let unknown: PartitionCodes = each(&partitions, |topic, index| {
        // One that is forbidden or does not exist keeps the others out.
        if !writable.contains(topic) {
            ErrorCode::TopicAuthorizationFailed
        } else if exists(topic, index) {
            ErrorCode::OperationNotAttempted
        } else {
            ErrorCode::UnknownTopicOrPartition
        }
    });
    if unknown.iter().any(|(_, _, code)| *code != ErrorCode::OperationNotAttempted) {
        return unknown;
    }
    let id = &*transaction.transactional_id.0;
    let producer = Producer { id: transaction.producer_id.0, epoch: transaction.producer_epoch };
    let transactions = &context.broker.transactions;
    let answer = if id.is_empty() {
        Err(ErrorCode::InvalidRequest)
    } else if transaction.verify_only {
        transactions.verify(id, producer, &partitions).await.map(TransactionReply::Verified)
    } else {
        let client_version = if context.version >= 4 { 2 } else { 0 };
        let command = |_| TransactionCommand::AddPartitions {
            id: id.to_owned(),
            producer,
            partitions: partitions.clone(),
            client_version,
        };
        transactions.ask(id, command).await
    };
    match answer {
        Ok(TransactionReply::Verified(codes)) => codes,
        Ok(_) => each(&partitions, |_, _| ErrorCode::None),
        Err(ErrorCode::ProducerFenced) if context.version < 2 => {
            each(&partitions, |_, _| ErrorCode::InvalidProducerEpoch)
        }
        Err(code) => each(&partitions, |_, _| code),
    }
}

/// A client writes to no internal topic.
fn may_write(context: &RequestContext, topic: &str) -> bool {
    !super::is_internal(topic) && context.may(Operation::Write, Resource::Topic(topic))
}

fn each(
    partitions: &TransactionPartitions,
    code: impl Fn(&str, PartitionIndex) -> ErrorCode,
) -> PartitionCodes {
    let mut codes = PartitionCodes::new();
    for (topic, indexes) in partitions {
        codes.extend(indexes.iter().map(|index| (topic.clone(), *index, code(topic, *index))));
    }
    codes
}

/// Codes in the order of their topics.
fn by_topic(codes: PartitionCodes) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut topics: Vec<AddPartitionsToTxnTopicResult> = Vec::new();
    for (topic, index, code) in codes {
        if topics.last().is_none_or(|last| *last.name.0 != *topic) {
            let name = TopicName(text(topic));
            topics.push(AddPartitionsToTxnTopicResult::default().with_name(name));
        }
        let result = AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(index)
            .with_partition_error_code(code.code());
        topics.last_mut().into_iter().for_each(|last| {
            last.results_by_partition.push(result.clone());
        });
    }
    topics
}
