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
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use self::transactional::TransactionCheck;
use crate::log::Verification;
use crate::metadata::{Operation, Resource};
use crate::protocol::produce::{
    ProduceFault, ProducePartitionAnswer, ProduceRequest, TopicAnswer, TopicRef, encode_response,
};
use crate::record::validate::{KEYLESS, single_batch, validate};
use crate::record::{BatchError, InvalidBatch};
use crate::server::context::{Handled, Reply, RequestContext};
use crate::store::partition::{AcceptedAppend, Acknowledged};
use crate::store::{Acks, Partition, StoreError};
use crate::types::{ErrorCode, Offset, PartitionIndex, TopicPartition, Uuid};

/// The client id that may write to internal topics (Kafka 4.4 `AdminUtils.ADMIN_CLIENT_ID`).
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// In place of an offset that is not known.
const NO_OFFSET: Offset = -1;
/// The shortest record of the oldest message format, which Kafka checks a length against before it
/// knows the format (Kafka 4.4 `LegacyRecord.RECORD_OVERHEAD_V0`).
const OLDEST_RECORD_LEN: i32 = 14;
/// A request with more partitions yields to other connections while its batches are appended.
const PARTITIONS_AT_ONCE: usize = 100;
/// So does one that is longer, with more than one partition.
const LEN_AT_ONCE: usize = 1024 * 1024;

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
                ProducePartitionAnswer::refused(partition.index, ErrorCode::InvalidRequiredAcks)
            };
            let answers: Vec<_> = request.partitions.iter().map(refused).collect();
            return Handled::Now(respond(&context, &request, &body, &answers));
        }
    };
    match transactional::look(&context, &request, &body) {
        Ok(TransactionCheck::Ready(verified)) => {
            append_all(context, request, body, acks, Verified(verified))
        }
        Ok(TransactionCheck::Asks(question)) => Handled::LaterAlone(Box::pin(async move {
            let verified = transactional::ask(&context, question).await;
            match append_all(context, request, body, acks, Verified(verified)) {
                Handled::Now(reply) => reply,
                Handled::Later(reply) | Handled::LaterAlone(reply) => reply.await,
            }
        })),
        Err(code) => {
            let refused = |partition: &crate::protocol::produce::PartitionRecords| {
                ProducePartitionAnswer::refused(partition.index, code)
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
    fn of(&self, at: usize) -> Result<Verification, TopicRefusal> {
        match self.0.get(&at) {
            Some(Ok(verification)) => Ok(*verification),
            Some(Err(code)) => Err(TopicRefusal::Transaction(*code)),
            None => Ok(Verification::NotNeeded),
        }
    }
}

/// A request whose batches are appended, one after the other.
struct Appending {
    context: RequestContext,
    request: ProduceRequest,
    body: BytesMut,
    acks: Acks,
    verified: Verified,
    /// Of the batches so far.
    answers: Vec<ProducePartitionAnswer>,
    waits: Vec<(usize, Acknowledged)>,
}

impl Appending {
    /// Appends the next batch; how long it is, or nothing if there is none.
    fn append_next(&mut self) -> Option<usize> {
        let at = self.answers.len();
        let partition = self.request.partitions.get(at)?;
        let (index, len) = (partition.index, partition.records.len());
        let (context, body) = (&self.context, &mut self.body);
        let appended = match self.verified.of(at) {
            Ok(verified) => append(context, &self.request, at, (self.acks, verified), body),
            Err(refusal) => Err((refusal, NO_OFFSET)),
        };
        match appended {
            Ok(accepted) => {
                self.answers.push(accepted_answer(index, &accepted));
                self.waits.extend(accepted.wait.map(|wait| (at, wait)));
            }
            Err((refusal, log_start_offset)) => {
                tracing::debug!(
                    client = %context.client_id, partition = index, reason = %refusal,
                    "produce refused"
                );
                let name = || topic_name(context, &self.request, at, body);
                let answer =
                    ProducePartitionAnswer { log_start_offset, ..refusal.answer(index, name) };
                self.answers.push(answer);
            }
        }
        Some(len)
    }
}

fn append_all(
    context: RequestContext,
    request: ProduceRequest,
    body: BytesMut,
    acks: Acks,
    verified: Verified,
) -> Handled {
    let count = request.partitions.len();
    let is_long = count > PARTITIONS_AT_ONCE || (count > 1 && body.len() > LEN_AT_ONCE);
    let answers = Vec::with_capacity(count);
    let mut appending =
        Appending { context, request, body, acks, verified, answers, waits: Vec::new() };
    if !is_long {
        while appending.append_next().is_some() {}
        return acknowledge(appending);
    }
    // Alone: later batches of the connection come after all of these.
    Handled::LaterAlone(Box::pin(async move {
        let mut steps = appending.context.steps();
        while let Some(len) = appending.append_next() {
            steps.step_over(len).await;
        }
        match acknowledge(appending) {
            Handled::Now(reply) => reply,
            Handled::Later(reply) | Handled::LaterAlone(reply) => reply.await,
        }
    }))
}

/// Answers when everything is as durable as `acks` asks.
fn acknowledge(appending: Appending) -> Handled {
    let Appending { context, mut request, body, acks, mut answers, waits, .. } = appending;
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
                    answers[at] = ProducePartitionAnswer::refused(index, ErrorCode::RequestTimedOut);
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
            answers[at] = ProducePartitionAnswer::refused(answers[at].index, error);
        }
        respond(&context, &request, &names, &answers)
    }))
}

/// Why a partition's batch was not appended.
#[derive(Debug, thiserror::Error)]
enum TopicRefusal {
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

impl TopicRefusal {
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

    /// Whether the log refused, which is then asked for its start. Kafka answers -1 for what it
    /// refuses before, and for these errors (Kafka 4.4 `ReplicaManager.appendRecordsToLeader`).
    fn is_of_log(&self) -> bool {
        match self {
            Self::Batch(error) => match error {
                InvalidBatch::NotOneBatch
                | InvalidBatch::Magic(_)
                | InvalidBatch::Corrupt(_)
                | InvalidBatch::TooLarge { .. }
                | InvalidBatch::ZstdTooOld(_) => false,
                InvalidBatch::UnknownCodec
                | InvalidBatch::BaseOffset(_)
                | InvalidBatch::Count { .. }
                | InvalidBatch::Control
                | InvalidBatch::Sequence { .. }
                | InvalidBatch::Records(_)
                | InvalidBatch::OffsetDeltas
                | InvalidBatch::Keyless(_)
                | InvalidBatch::Timestamps(_) => true,
            },
            Self::Store(error) => !matches!(
                error.code(),
                ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::UnknownTopicId
                    | ErrorCode::NotLeaderOrFollower
                    | ErrorCode::MessageTooLarge
                    | ErrorCode::RecordListTooLarge
                    | ErrorCode::CorruptMessage
                    | ErrorCode::KafkaStorageError
            ),
            _ => false,
        }
    }

    fn answer(&self, index: PartitionIndex, topic: impl Fn() -> String) -> ProducePartitionAnswer {
        let fault = match self {
            Self::Batch(error) => Some(Box::new(fault(error, || format!("{}-{index}", topic())))),
            _ => None,
        };
        ProducePartitionAnswer { fault, ..ProducePartitionAnswer::refused(index, self.code()) }
    }
}

/// The message beside an invalid batch, and those beside its records: Kafka's where it has some
/// (Kafka 4.4 `LogValidator`, `ByteBufferLogInputStream`).
fn fault(error: &InvalidBatch, partition: impl Fn() -> String) -> ProduceFault {
    let mut records: Vec<(i32, String)> =
        error.faults().iter().map(|fault| (fault.index, fault.message.clone())).collect();
    for (_, message) in records.iter_mut().filter(|(_, message)| message == KEYLESS) {
        *message += &format!(" in topic partition {}", partition());
    }
    let message = match error {
        InvalidBatch::Corrupt(BatchError::Magic(magic)) => {
            format!("Invalid magic found in record: {magic}")
        }
        InvalidBatch::Corrupt(BatchError::LengthTooSmall(len)) if *len < OLDEST_RECORD_LEN => {
            format!(
                "Record size {len} is less than the minimum record overhead ({OLDEST_RECORD_LEN})"
            )
        }
        InvalidBatch::Keyless(_) => {
            let first: Vec<String> = records
                .iter()
                .take(3)
                .map(|(index, message)| {
                    format!("RecordError(batchIndex={index}, message='{message}')")
                })
                .collect();
            format!(
                "One or more records have been rejected due to {} record errors in total, and only \
                 showing the first three errors at most: [{}]",
                records.len(),
                first.join(", ")
            )
        }
        error => error.to_string(),
    };
    ProduceFault { message: Some(message), records }
}

/// The name of a partition's topic, as the request or the metadata has it.
fn topic_name(
    context: &RequestContext,
    request: &ProduceRequest,
    at: usize,
    body: &[u8],
) -> String {
    match &request.topics[request.partitions[at].topic] {
        TopicRef::Name(name) => String::from_utf8_lossy(&body[name.clone()]).into_owned(),
        TopicRef::Id(id) => {
            let topic = context.image.topics.by_id(*id);
            topic.map_or_else(String::new, |topic| topic.name.to_string())
        }
    }
}

fn may_write(context: &RequestContext, topic: &str) -> Result<(), TopicRefusal> {
    context.require(Operation::Write, Resource::Topic(topic)).map_err(TopicRefusal::Forbidden)
}

/// Appends the batch of a partition. An error comes with the log start offset of its answer.
fn append(
    context: &RequestContext,
    request: &ProduceRequest,
    at: usize,
    how: (Acks, Verification),
    body: &mut BytesMut,
) -> Result<AcceptedAppend, (TopicRefusal, Offset)> {
    let (partition, batch) =
        resolve(context, request, at, body).map_err(|refusal| (refusal, NO_OFFSET))?;
    append_to(context, &partition, how, &mut body[batch]).map_err(|refusal| {
        let start = if refusal.is_of_log() { partition.view().log_start_offset } else { NO_OFFSET };
        (refusal, start)
    })
}

/// The partition, and where in the body its one batch is.
fn resolve(
    context: &RequestContext,
    request: &ProduceRequest,
    at: usize,
    body: &BytesMut,
) -> Result<(Arc<Partition>, Range<usize>), TopicRefusal> {
    let wanted = &request.partitions[at];
    let topics = &context.image.topics;
    let topic = match &request.topics[wanted.topic] {
        TopicRef::Id(id) => {
            let topic = topics.by_id(*id).ok_or(TopicRefusal::UnknownTopicId)?;
            may_write(context, &topic.name)?;
            topic
        }
        TopicRef::Name(name) => {
            let name = std::str::from_utf8(&body[name.clone()]).unwrap_or_default();
            may_write(context, name)?;
            topics.by_name(name).ok_or(TopicRefusal::UnknownTopicOrPartition)?
        }
    };
    if topic.partition(wanted.index).is_none() {
        return Err(TopicRefusal::UnknownTopicOrPartition);
    }
    let len = single_batch(&body[wanted.records.clone()])?.bytes().len();
    if super::is_internal(&topic.name) && *context.client_id != *ADMIN_CLIENT_ID {
        return Err(TopicRefusal::Internal(topic.name.to_string()));
    }
    let id = TopicPartition { topic: topic.id, partition: wanted.index };
    let partition = context.broker.partitions.get(id).ok_or(StoreError::NotLeader)?;
    Ok((partition, wanted.records.start..wanted.records.start + len))
}

fn append_to(
    context: &RequestContext,
    partition: &Arc<Partition>,
    (acks, verified): (Acks, Verification),
    bytes: &mut [u8],
) -> Result<AcceptedAppend, TopicRefusal> {
    let now = context.broker.env.clock.wall();
    let mut valid = validate(bytes, &partition.config().rules, context.version, now)
        .inspect_err(|_| partition.traffic().appended(None))?;
    let accepted = if valid.header.attributes.is_transactional() {
        partition.append_in_transaction(bytes, &mut valid, verified, acks, now)?
    } else {
        partition.append(bytes, &mut valid, acks, now)?
    };
    if let Some(kind) = accepted.flush {
        context.broker.flusher.request(partition, kind);
    }
    Ok(accepted)
}

fn accepted_answer(index: PartitionIndex, accepted: &AcceptedAppend) -> ProducePartitionAnswer {
    ProducePartitionAnswer {
        base_offset: accepted.appended.base_offset,
        log_append_time_ms: accepted.appended.append_time.map_or(-1, |time| time.0),
        log_start_offset: accepted.log_start_offset,
        ..ProducePartitionAnswer::refused(index, ErrorCode::None)
    }
}

/// A producer that wants no answer learns of an error by losing its connection.
fn no_answer(context: &RequestContext, answers: &[ProducePartitionAnswer]) -> Reply {
    context.note_errors(answers.iter().map(|answer| answer.error));
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
    answers: &[ProducePartitionAnswer],
) -> Reply {
    context.note_errors(answers.iter().map(|answer| answer.error));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::validate::RecordFault;

    #[test]
    fn invalid_batches_have_kafkas_message_where_kafka_has_one() {
        let said = |error: &InvalidBatch| fault(error, || "t-0".to_owned());
        let magic = said(&InvalidBatch::Corrupt(BatchError::Magic(3)));
        assert_eq!(magic.message.as_deref(), Some("Invalid magic found in record: 3"));
        let short = said(&InvalidBatch::Corrupt(BatchError::LengthTooSmall(0)));
        let expected = "Record size 0 is less than the minimum record overhead (14)";
        assert_eq!(short.message.as_deref(), Some(expected));
        let faults =
            (0..4).map(|index| RecordFault { index, message: KEYLESS.to_owned() }).collect();
        let keyless = said(&InvalidBatch::Keyless(faults));
        let record = format!("{KEYLESS} in topic partition t-0");
        assert_eq!(keyless.records[3], (3, record.clone()));
        let first = |index: i32| format!("RecordError(batchIndex={index}, message='{record}')");
        let expected = format!(
            "One or more records have been rejected due to 4 record errors in total, and only \
             showing the first three errors at most: [{}, {}, {}]",
            first(0),
            first(1),
            first(2)
        );
        assert_eq!(keyless.message, Some(expected));
    }

    #[test]
    fn what_the_log_refuses_has_the_log_start_offset() {
        assert!(TopicRefusal::from(InvalidBatch::Control).is_of_log());
        assert!(TopicRefusal::from(InvalidBatch::Timestamps(Vec::new())).is_of_log());
        for before in [
            TopicRefusal::from(InvalidBatch::NotOneBatch),
            TopicRefusal::from(InvalidBatch::TooLarge { size: 2, max: 1 }),
            TopicRefusal::from(StoreError::NotLeader),
            TopicRefusal::UnknownTopicOrPartition,
        ] {
            assert!(!before.is_of_log(), "{before}");
        }
    }
}
