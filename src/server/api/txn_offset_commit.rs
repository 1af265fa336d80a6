//! TxnOffsetCommit: v0-6.
//!
//! Offsets that count once the transaction is committed. v2: leader epochs. v3: members
//! (KIP-447); flexible. v4: TRANSACTION_ABORTABLE. v5: the partition of the group joins the
//! transaction (KIP-890). v6: topics by their ids.

use std::sync::Arc;

use crate::coordinator::Producer;
use crate::coordinator::groups::command::{
    CommitOffsets, GroupCommand, GroupReply, OffsetToCommit,
};
use crate::coordinator::groups::member_ref::MemberRef;
use crate::coordinator::transactions::TransactionPartitions;
use crate::log::Verification;
use crate::metadata::{Operation, Resource, Topic};
use crate::protocol::declared::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::server::context::RequestContext;
use crate::types::{ErrorCode, TopicPartition};

/// The version from which on topics are named by id, and it is told that there is no such group.
const TOPIC_IDS_SINCE: i16 = 6;

/// Answers.
pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let group = request.group_id.clone();
    let by_id = context.version >= TOPIC_IDS_SINCE;
    let known = |topic: &TxnOffsetCommitRequestTopic| -> Option<&Arc<Topic>> {
        let topics = &context.image.topics;
        if by_id { topics.by_id(topic.topic_id) } else { topics.by_name(&topic.name) }
    };
    let id = Resource::TransactionalId(&request.transactional_id);
    let may_commit = context
        .require(Operation::Write, id)
        .and_then(|()| context.require(Operation::Read, Resource::Group(&group)));
    let may_read = |topic: &TxnOffsetCommitRequestTopic| -> Result<(), ErrorCode> {
        may_commit?;
        match known(topic) {
            None if by_id => Ok(()), // There is nothing that could be forbidden.
            None => context.require(Operation::Read, Resource::Topic(&topic.name)),
            Some(image) => context.require(Operation::Read, Resource::Topic(&image.name)),
        }
    };
    let rights: Vec<Result<(), ErrorCode>> = request.topics.iter().map(may_read).collect();
    let mut offsets = Vec::new();
    for (topic, may) in request.topics.iter().zip(&rights) {
        let (Some(image), Ok(())) = (known(topic), may) else { continue };
        let there =
            topic.partitions.iter().filter(|p| image.partition(p.partition_index).is_some());
        let there: Vec<OffsetToCommit> = there
            .map(|asked| OffsetToCommit {
                partition: asked.partition_index,
                offset: asked.committed_offset,
                leader_epoch: asked.committed_leader_epoch,
                metadata: asked.committed_metadata.clone().unwrap_or_default(),
            })
            .collect();
        if !there.is_empty() {
            offsets.push((image.name.to_string(), image.id, there));
        }
    }
    let answer = if offsets.is_empty() {
        Ok(Vec::new())
    } else {
        commit(context, &request, &group, offsets).await
    };
    let (results, failed) = match answer {
        Ok(results) => (results, None),
        // The first clients crash on a code that they do not expect (KAFKA-7296).
        Err(ErrorCode::CoordinatorLoadInProgress) if context.version < 2 => {
            (Vec::new(), Some(ErrorCode::CoordinatorNotAvailable))
        }
        Err(code) => (Vec::new(), Some(code)),
    };
    let mut committed = results.into_iter().flat_map(|(_, partitions)| partitions);
    let told = request.topics.iter().zip(rights).map(|(topic, may)| {
        let image = known(topic);
        let partitions = topic.partitions.iter().map(|asked| {
            let code = if let Err(code) = may {
                code
            } else if by_id && image.is_none() {
                ErrorCode::UnknownTopicId
            } else if image.is_none_or(|i| i.partition(asked.partition_index).is_none()) {
                ErrorCode::UnknownTopicOrPartition
            } else {
                failed.unwrap_or_else(|| committed.next().map_or(ErrorCode::None, |(_, code)| code))
            };
            TxnOffsetCommitResponsePartition {
                partition_index: asked.partition_index,
                error_code: code.code(),
            }
        });
        TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    });
    TxnOffsetCommitResponse { throttle_time_ms: 0, topics: told.collect() }
}

type CommittedPartitions = Vec<(String, Vec<(i32, ErrorCode)>)>;

async fn commit(
    context: &RequestContext,
    request: &TxnOffsetCommitRequest,
    group: &str,
    topics: Vec<(String, crate::types::TopicId, Vec<OffsetToCommit>)>,
) -> Result<CommittedPartitions, ErrorCode> {
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    enlist(context, &request.transactional_id, producer, group).await?;
    let member = MemberRef {
        group: group.to_owned(),
        member_id: request.member_id.clone(),
        instance_id: request.group_instance_id.clone(),
        generation: request.generation_id_or_member_epoch,
    };
    let command = GroupCommand::Commit(CommitOffsets {
        member,
        producer: Some(producer),
        retention_ms: None,
        says_no_group: context.version >= TOPIC_IDS_SINCE,
        topics,
    });
    match super::groups::ask(context, group, command).await? {
        GroupReply::Partitions(results) => Ok(results),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

/// Unless its transaction is open there already, the coordinator of the transaction is asked
/// whether the partition of the group is in it, or told that it is.
async fn enlist(
    context: &RequestContext,
    id: &str,
    producer: Producer,
    group: &str,
) -> Result<(), ErrorCode> {
    let groups = &context.broker.groups;
    let image = context.broker.image.load_full();
    let index = groups.partition_for(&image, group).ok_or(ErrorCode::NotCoordinator)?;
    let topic = image.topics.by_name(groups.topic()).ok_or(ErrorCode::NotCoordinator)?;
    let log = TopicPartition { topic: topic.id, partition: index };
    let log = context.broker.partitions.get(log).ok_or(ErrorCode::NotCoordinator)?;
    let begin = || {
        let now = context.broker.env.clock.wall();
        log.begin_own_verification(producer.id, producer.epoch, now)
    };
    let mut guard = begin();
    if guard == Verification::Ongoing {
        return Ok(());
    }
    let transactions = &context.broker.transactions;
    let partitions = TransactionPartitions::from([(groups.topic().to_owned(), [index].into())]);
    let code = if context.version >= 5 {
        let guards_stand = || std::mem::replace(&mut guard, begin()) == guard;
        transactions.add(id, producer, &partitions, guards_stand).await.err()
    } else if transactions.verifies() {
        let verified = transactions.verify(id, producer, &partitions).await;
        match verified {
            Ok(codes) => codes.first().map(|(_, _, code)| *code).filter(|code| !code.is_none()),
            Err(code) => Some(code),
        }
    } else {
        None
    };
    match code {
        None => Ok(()),
        Some(ErrorCode::ProducerFenced) => Err(ErrorCode::InvalidProducerEpoch),
        Some(ErrorCode::TransactionAbortable) if context.version < 4 => {
            Err(ErrorCode::InvalidTxnState)
        }
        Some(
            ErrorCode::ConcurrentTransactions
            | ErrorCode::NetworkException
            | ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable,
        ) => Err(ErrorCode::CoordinatorLoadInProgress),
        Some(code) => Err(code),
    }
}
