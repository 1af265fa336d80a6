//! Produce: v3-13.
//!
//! Appends the batch of each partition, in the order of the connection's requests; the answers
//! wait for flushes and replicas, as acks asks.
//! v7: zstd. v8: the records at fault are named (KIP-467). v9: flexible. v10: the new leader is
//! named with NOT_LEADER_OR_FOLLOWER (KIP-951). v11, v12: transactions (KIP-890). v13: topic ids
//! (KIP-516).
//! Differs from Kafka: the acknowledgement of acks=1 waits for a flush that is due, together with
//! others, instead of flushing under the partition's lock.

mod transactional;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;

use self::transactional::Looked;
use crate::log::Verification;
use crate::metadata::{Operation, Resource};
use crate::protocol::produce::{
    Fault, PartitionAnswer, ProduceRequest, TopicAnswer, TopicRef, encode_response,
};
use crate::record::InvalidBatch;
use crate::record::validate::{single_batch, validate};
use crate::server::context::{Handled, Reply, RequestContext};
use crate::store::partition::{Accepted, Acknowledged};
use crate::store::{Acks, StoreError};
use crate::types::{ErrorCode, PartitionIndex, TopicPartition, Uuid};

/// The client id that may write to internal topics (Kafka 4.4 `AdminUtils.ADMIN_CLIENT_ID`).
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// Answers.
pub(in crate::server) fn handle(context: RequestContext, body: BytesMut) -> Handled {
    let request = match ProduceRequest::scan(&body, context.version) {
        Ok(request) => request,
        Err(error) => return Handled::Now(super::malformed(error)),
    };
    let acks = match request.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        -1 => Acks::All,
        _ => {
            let refused = |partition: &crate::protocol::produce::PartitionRecords| {
                PartitionAnswer::refused(partition.index, ErrorCode::InvalidRequiredAcks)
            };
            let answers: Vec<_> = request.partitions.iter().map(refused).collect();
            return Handled::Now(respond(&context, &request, &body, &answers));
        }
    };
    match transactional::look(&context, &request, &body) {
        Ok(Looked::Ready(verified)) => append_all(context, request, body, acks, Verified(verified)),
        Ok(Looked::Asks(question)) => Handled::LaterAlone(Box::pin(async move {
            let verified = transactional::ask(&context, question).await;
            match append_all(context, request, body, acks, Verified(verified)) {
                Handled::Now(reply) => reply,
                Handled::Later(reply) | Handled::LaterAlone(reply) => reply.await,
            }
        })),
        Err(code) => {
            let refused = |partition: &crate::protocol::produce::PartitionRecords| {
                PartitionAnswer::refused(partition.index, code)
            };
            let answers: Vec<_> = request.partitions.iter().map(refused).collect();
            if acks == Acks::None {
                return Handled::Now(no_answer(&context, &answers));
            }
            Handled::Now(respond(&context, &request, &body, &answers))
        }
    }
}

/// What was found out of batches in transactions, by their place in the request.
struct Verified(BTreeMap<usize, Result<Verification, ErrorCode>>);

impl Verified {
    fn of(&self, at: usize) -> Result<Verification, Refusal> {
        match self.0.get(&at) {
            Some(Ok(verification)) => Ok(*verification),
            Some(Err(code)) => Err(Refusal::Transaction(*code)),
            None => Ok(Verification::NotNeeded),
        }
    }
}

fn append_all(
    context: RequestContext,
    mut request: ProduceRequest,
    mut body: BytesMut,
    acks: Acks,
    verified: Verified,
) -> Handled {
    let mut answers = Vec::with_capacity(request.partitions.len());
    let mut waits: Vec<(usize, Acknowledged)> = Vec::new();
    for at in 0..request.partitions.len() {
        let index = request.partitions[at].index;
        let appended = verified
            .of(at)
            .and_then(|verified| append(&context, &request, at, (acks, verified), &mut body));
        match appended {
            Ok(accepted) => {
                answers.push(accepted_answer(index, &accepted));
                waits.extend(accepted.wait.map(|wait| (at, wait)));
            }
            Err(refusal) => {
                tracing::debug!(
                    client = %context.client_id, partition = index, reason = %refusal,
                    "produce refused"
                );
                answers.push(refusal.answer(index));
            }
        }
    }
    if acks == Acks::None {
        return Handled::Now(no_answer(&context, &answers));
    }
    if waits.is_empty() {
        return Handled::Now(respond(&context, &request, &body, &answers));
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = context.received_at + timeout;
    let names = request.move_names(&body);
    drop(body); // The records are in the log; their buffer can be read into again.
    Handled::Later(Box::pin(async move {
        let mut late = context.broker.env.clock.sleep_until(deadline);
        for (at, wait) in waits {
            let acknowledged = tokio::select! {
                biased;
                acknowledged = wait => acknowledged,
                () = &mut late => {
                    let index = answers[at].index;
                    answers[at] = PartitionAnswer::refused(index, ErrorCode::RequestTimedOut);
                    // Whatever else waits has the same deadline.
                    late = context.broker.env.clock.sleep_until(deadline);
                    continue;
                }
            };
            let error = match acknowledged {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.code(),
                Err(_) => ErrorCode::NotLeaderOrFollower,
            };
            answers[at] = PartitionAnswer::refused(answers[at].index, error);
        }
        respond(&context, &request, &names, &answers)
    }))
}

/// Why a partition's batch was not appended.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no such topic or partition")]
    UnknownTopicOrPartition,
    #[error("no topic has this id")]
    UnknownTopicId,
    #[error("the client may not write there")]
    Forbidden(ErrorCode),
    #[error("{0} is internal")]
    Internal(String),
    #[error("the transaction coordinator says {}", .0.name())]
    Transaction(ErrorCode),
    #[error(transparent)]
    Batch(#[from] InvalidBatch),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::Internal(_) => ErrorCode::InvalidTopicException,
            Self::Forbidden(code) | Self::Transaction(code) => *code,
            Self::Batch(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn answer(&self, index: PartitionIndex) -> PartitionAnswer {
        let fault = match self {
            Self::Batch(error) => Some(Box::new(Fault {
                message: Some(error.to_string()),
                records: error.faults().iter().map(|f| (f.index, f.message.clone())).collect(),
            })),
            _ => None,
        };
        PartitionAnswer { fault, ..PartitionAnswer::refused(index, self.code()) }
    }
}

fn may_write(context: &RequestContext, topic: &str) -> Result<(), Refusal> {
    context.require(Operation::Write, Resource::Topic(topic)).map_err(Refusal::Forbidden)
}

fn append(
    context: &RequestContext,
    request: &ProduceRequest,
    at: usize,
    (acks, verified): (Acks, Verification),
    body: &mut BytesMut,
) -> Result<Accepted, Refusal> {
    let wanted = &request.partitions[at];
    let topics = &context.image.topics;
    let topic = match &request.topics[wanted.topic] {
        TopicRef::Id(id) => {
            let topic = topics.by_id(*id).ok_or(Refusal::UnknownTopicId)?;
            may_write(context, &topic.name)?;
            topic
        }
        TopicRef::Name(name) => {
            let name = std::str::from_utf8(&body[name.clone()]).unwrap_or_default();
            may_write(context, name)?;
            topics.by_name(name).ok_or(Refusal::UnknownTopicOrPartition)?
        }
    };
    if topic.partition(wanted.index).is_none() {
        return Err(Refusal::UnknownTopicOrPartition);
    }
    let len = single_batch(&body[wanted.records.clone()])?.bytes().len();
    if super::is_internal(&topic.name) && *context.client_id != *ADMIN_CLIENT_ID {
        return Err(Refusal::Internal(topic.name.to_string()));
    }
    let id = TopicPartition { topic: topic.id, partition: wanted.index };
    let partition = context.broker.partitions.get(id).ok_or(StoreError::NotLeader)?;
    let now = context.broker.env.clock.wall();
    let bytes = &mut body[wanted.records.start..wanted.records.start + len];
    let mut valid = validate(bytes, &partition.config().rules, context.version, now)?;
    let accepted = if valid.header.attributes.is_transactional() {
        partition.append_in_transaction(bytes, &mut valid, verified, acks, now)?
    } else {
        partition.append(bytes, &mut valid, acks, now)?
    };
    if let Some(kind) = accepted.flush {
        context.broker.flusher.request(&partition, kind);
    }
    Ok(accepted)
}

fn accepted_answer(index: PartitionIndex, accepted: &Accepted) -> PartitionAnswer {
    PartitionAnswer {
        base_offset: accepted.appended.base_offset,
        log_append_time_ms: accepted.appended.append_time.map_or(-1, |time| time.0),
        log_start_offset: accepted.log_start_offset,
        ..PartitionAnswer::refused(index, ErrorCode::None)
    }
}

/// A producer that wants no answer learns of an error by losing its connection.
fn no_answer(context: &RequestContext, answers: &[PartitionAnswer]) -> Reply {
    match answers.iter().find(|answer| !answer.error.is_none()) {
        None => Reply::Nothing,
        Some(answer) => Reply::Close(format!(
            "produce with acks=0 of client {:?} failed with {} on partition {}",
            context.client_id,
            answer.error.name(),
            answer.index
        )),
    }
}

fn respond(
    context: &RequestContext,
    request: &ProduceRequest,
    names: &[u8],
    answers: &[PartitionAnswer],
) -> Reply {
    let mut rest = answers;
    let mut at = 0;
    let topics = request.topics.iter().enumerate().map(|(topic, named)| {
        let count = request.partitions[at..].iter().take_while(|p| p.topic == topic).count();
        let (partitions, others) = rest.split_at(count);
        (rest, at) = (others, at + count);
        match named {
            TopicRef::Name(name) => {
                TopicAnswer { name: &names[name.clone()], id: Uuid::ZERO, partitions }
            }
            TopicRef::Id(id) => TopicAnswer { name: b"", id: *id, partitions },
        }
    });
    let (correlation_id, version) = (context.correlation_id, context.version);
    Reply::from(encode_response(correlation_id, version, 0, topics, &[]))
}
