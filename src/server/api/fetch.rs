//! Fetch: v4-18.
//!
//! Reads ranges of record files, and waits for more where there is less than the client wants.
//! v4: isolation levels. v7: sessions (KIP-227). v9: leader epochs (KIP-320). v12: flexible;
//! diverging epochs. v13: topic ids (KIP-516). v15: replica state (KIP-903). v16: the new leader is
//! named (KIP-951). v17, v18: for followers.
//! Differs from Kafka: a range whose pages are not in memory is read ahead on another thread
//! before it is sent, so that a reader of old records holds up nobody else (KAFKA-7504).

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use crate::env::OutPart;
use crate::log::{ReadPlan, UpTo};
use crate::metadata::{Operation, Resource};
use crate::protocol::fetch::{
    FetchRequest, PartitionAnswer, ResponseHead, TopicRef, encode_response,
};
use crate::server::context::{Handled, Reply, RequestContext, Response};
use crate::server::fetch_sessions::{
    Answered, FINAL_EPOCH, RequestedPartition, SessionFetch, SessionRequest, TopicKey,
};
use crate::store::{FetchWatch, Partition, StoreError};
use crate::types::{BrokerId, ErrorCode, TopicPartition};

/// How much is read at a time to bring a range into memory.
const READ_AHEAD_LEN: usize = 1024 * 1024;

/// A fetch of more partitions yields to other connections while it reads them.
const PARTITIONS_AT_ONCE: usize = 100;

/// Answers.
pub(in crate::server) fn handle(context: RequestContext, body: BytesMut) -> Handled {
    let request = match FetchRequest::read(&body, context.version) {
        Ok(request) => request,
        Err(error) => return Handled::Now(super::malformed(error)),
    };
    drop(body);
    let fetch = match Fetch::begin(&context, request) {
        Ok(fetch) => fetch,
        Err(error) => return Handled::Now(refuse(&context, error)),
    };
    if fetch.wanted.len() <= PARTITIONS_AT_ONCE {
        let read = fetch.read(&context);
        if fetch.is_enough(&read) && read.is_cached() {
            return Handled::Now(fetch.finish(&context, read));
        }
        return Handled::Later(Box::pin(fetch.answer_later(context, read)));
    }
    Handled::Later(Box::pin(async move {
        let read = fetch.read_in_steps(&context).await;
        fetch.answer_later(context, read).await
    }))
}

fn refuse(context: &RequestContext, error: ErrorCode) -> Reply {
    context.note_errors(std::iter::once(error));
    let head = head(context, error, 0);
    // A session that is refused is rare; it counts as a consumer's.
    Reply::Send(Response { parts: encode_response(head, &[], &[]), is_for_follower: false })
}

fn head(context: &RequestContext, error: ErrorCode, session_id: i32) -> ResponseHead {
    let (correlation_id, version) = (context.correlation_id, context.version);
    // Before sessions there is no place for an error of the whole.
    ResponseHead { correlation_id, version, error, session_id, throttle_time_ms: 0 }
}

/// Who fetches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetcher {
    /// A consumer, which needs Read on each topic.
    Consumer,
    /// A follower that may act for the cluster.
    Follower,
    /// A follower that may not.
    Stranger,
}

impl Fetcher {
    fn of(context: &RequestContext, replica_id: BrokerId) -> Self {
        if replica_id < 0 {
            Fetcher::Consumer
        } else if context.may(Operation::ClusterAction, Resource::Cluster) {
            Fetcher::Follower
        } else {
            Fetcher::Stranger
        }
    }
}

/// A fetch that was begun: what it reads, and how much it wants.
struct Fetch {
    session: SessionFetch,
    wanted: Vec<(RequestedPartition, Result<Arc<Partition>, Box<PartitionAnswer>>)>,
    up_to: UpTo,
    is_for_follower: bool,
    min_bytes: usize,
    max_bytes: usize,
    max_wait: Duration,
}

/// What a fetch has read so far.
struct Read {
    answers: Vec<PartitionAnswer>,
    bytes: usize,
    /// Whether something must be told at once: an error, or a diverging epoch.
    is_notable: bool,
}

fn key(topic: &TopicRef) -> TopicKey {
    match topic {
        TopicRef::Name(name) => TopicKey::Name(name.as_str().into()),
        TopicRef::Id(id) => TopicKey::Id(*id),
    }
}

impl Fetch {
    fn begin(context: &RequestContext, request: FetchRequest) -> Result<Self, ErrorCode> {
        let broker = &context.broker;
        let fetcher = Fetcher::of(context, request.replica_id);
        let mut wanted = Vec::new();
        for (topic, partitions) in &request.topics {
            let topic = key(topic);
            wanted.extend(partitions.iter().map(|partition| RequestedPartition {
                topic: topic.clone(),
                partition: partition.partition,
                fetch_offset: partition.fetch_offset,
                max_bytes: partition.max_bytes,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
                fetcher_log_start_offset: partition.log_start_offset,
            }));
        }
        let forgotten = request
            .forgotten
            .iter()
            .flat_map(|(topic, partitions)| partitions.iter().map(|p| (key(topic), *p)))
            .collect();
        let epoch = if context.version >= 7 { request.session_epoch } else { FINAL_EPOCH };
        let asked = SessionRequest {
            id: request.session_id,
            epoch,
            uses_topic_ids: context.version >= 13,
            is_follower: fetcher != Fetcher::Consumer,
            wanted,
            forgotten,
        };
        let (session, wanted) =
            broker.fetch_sessions.lock().begin(broker.env.clock.now(), asked)?;
        let wanted = wanted
            .into_iter()
            .map(|wanted| {
                let partition = find(context, fetcher, &wanted);
                (wanted, partition)
            })
            .collect();
        let up_to = match request.isolation_level {
            1 => UpTo::LastStable,
            _ => UpTo::HighWatermark,
        };
        let max_bytes = request.max_bytes.min(broker.config.fetch_max_bytes).max(0);
        Ok(Self {
            session,
            wanted,
            up_to,
            is_for_follower: fetcher != Fetcher::Consumer,
            min_bytes: request.min_bytes.min(max_bytes).max(0) as usize,
            max_bytes: max_bytes as usize,
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        })
    }

    /// Reads every partition, in order, until the response is full. The first that has records
    /// gives at least one batch, however large.
    fn read(&self, context: &RequestContext) -> Read {
        let mut read = self.nothing_read();
        while self.read_next(context, &mut read) {}
        read
    }

    /// [`Self::read`], with other connections served in between.
    async fn read_in_steps(&self, context: &RequestContext) -> Read {
        let mut read = self.nothing_read();
        let mut steps = context.steps();
        while self.read_next(context, &mut read) {
            steps.step().await;
        }
        read
    }

    fn nothing_read(&self) -> Read {
        Read { answers: Vec::with_capacity(self.wanted.len()), bytes: 0, is_notable: false }
    }

    /// Reads the next partition; whether there was one.
    fn read_next(&self, context: &RequestContext, read: &mut Read) -> bool {
        let Some((wanted, partition)) = self.wanted.get(read.answers.len()) else { return false };
        let left = self.max_bytes.saturating_sub(read.bytes);
        let result = match partition {
            Ok(partition) => read_one(partition, wanted, left, self.up_to, read.bytes == 0)
                .map_err(|error| mistaken(context, partition.id, error.code())),
            Err(refused) => Err((**refused).clone()),
        };
        let mut answer = result.unwrap_or_else(|refused| refused);
        // Old clients do not retry after a storage error, but after this one they do.
        if context.version <= 5 && answer.error == ErrorCode::KafkaStorageError {
            answer.error = ErrorCode::NotLeaderOrFollower;
        }
        read.bytes += answer.records_len();
        read.is_notable |= !answer.error.is_none() || answer.diverging_epoch.is_some();
        read.answers.push(answer);
        true
    }

    /// Waits until there is enough, and for what the disk must read first.
    async fn answer_later(self, context: RequestContext, read: Read) -> Reply {
        let read = self.wait(&context, read).await;
        read.bring_into_memory(&context).await;
        self.finish(&context, read)
    }

    fn is_enough(&self, read: &Read) -> bool {
        self.max_wait.is_zero()
            || self.wanted.is_empty()
            || read.bytes >= self.min_bytes
            || read.is_notable
    }

    /// Waits until there is enough, or time is up.
    async fn wait(&self, context: &RequestContext, mut read: Read) -> Read {
        if self.is_enough(&read) {
            return read;
        }
        let clock = &context.broker.env.clock;
        let mut late = clock.sleep_until(context.received_at + self.max_wait);
        let stopping = Arc::clone(&context.broker.stopping);
        let missing = |read: &Read| self.min_bytes.saturating_sub(read.bytes).max(1) as i64;
        let watch = FetchWatch::new(missing(&read));
        for (_, partition) in &self.wanted {
            if let Ok(partition) = partition {
                partition.watches().register(&watch);
            }
        }
        loop {
            // What came between the first read and the registration.
            watch.begin_read();
            read = self.read_in_steps(context).await;
            if self.is_enough(&read) {
                break;
            }
            if !watch.end_read(missing(&read)) {
                continue;
            }
            tokio::select! {
                biased;
                () = watch.woken() => {}
                () = &mut late => {
                    read = self.read_in_steps(context).await;
                    break;
                }
                () = stopping.wait() => break,
            }
        }
        watch.end();
        read
    }

    fn finish(self, context: &RequestContext, read: Read) -> Reply {
        let broker = &context.broker;
        for ((_, partition), answer) in self.wanted.iter().zip(&read.answers) {
            if let Ok(partition) = partition {
                let bytes = answer.error.is_none().then(|| answer.records_len() as u64);
                partition.traffic().read(bytes);
            }
        }
        let answered = |answer: &PartitionAnswer| Answered {
            high_watermark: answer.high_watermark,
            log_start_offset: answer.log_start_offset,
            has_records: answer.records_len() > 0,
            is_notable: answer.diverging_epoch.is_some(),
            is_error: !answer.error.is_none(),
        };
        let pairs: Vec<(RequestedPartition, Answered)> = self
            .wanted
            .into_iter()
            .zip(&read.answers)
            .map(|((wanted, _), answer)| (wanted, answered(answer)))
            .collect();
        let topics: Vec<TopicRef> = pairs
            .iter()
            .map(|(wanted, _)| match &wanted.topic {
                TopicKey::Name(name) => TopicRef::Name(name.to_string()),
                TopicKey::Id(id) => TopicRef::Id(*id),
            })
            .collect();
        let random = &broker.env.random;
        let new_id = || (random.next_u64() & 0x7fff_ffff) as i32;
        let now = broker.env.clock.now();
        let finished = broker.fetch_sessions.lock().finish(now, self.session, pairs, new_id);
        let (session_id, send) = match finished {
            Ok(finished) => finished,
            Err(error) => return refuse(context, error),
        };
        let mut grouped: Vec<(&TopicRef, Vec<&PartitionAnswer>)> = Vec::new();
        for ((topic, answer), send) in topics.iter().zip(&read.answers).zip(send) {
            if !send {
                continue;
            }
            match grouped.last_mut() {
                Some((last, answers)) if *last == topic => answers.push(answer),
                _ => grouped.push((topic, vec![answer])),
            }
        }
        context.note_errors(grouped.iter().flat_map(|(_, sent)| sent).map(|answer| answer.error));
        let head = head(context, ErrorCode::None, session_id);
        let is_for_follower = self.is_for_follower;
        Reply::Send(Response { parts: encode_response(head, &grouped, &[]), is_for_follower })
    }
}

impl Read {
    /// Whether sending would not wait for the disk.
    fn is_cached(&self) -> bool {
        self.answers.iter().all(|answer| match &answer.records {
            Some(OutPart::File { file, position, len }) => file.is_cached(*position, *len),
            _ => true,
        })
    }

    /// Reads what is not in memory, on a thread that may wait.
    async fn bring_into_memory(&self, context: &RequestContext) {
        for answer in &self.answers {
            let Some(OutPart::File { file, position, len }) = &answer.records else { continue };
            if file.is_cached(*position, *len) {
                continue;
            }
            let (file, position, len) = (Arc::clone(file), *position, *len);
            let threads = &context.broker.env.threads;
            threads
                .run_blocking(move || {
                    let mut scratch = vec![0; READ_AHEAD_LEN.min(len)];
                    let mut at = 0;
                    // An error shows again, and is told, when the range is sent.
                    while at < len {
                        let part = READ_AHEAD_LEN.min(len - at);
                        match file.read_at(&mut scratch[..part], position + at as u64) {
                            Ok(got) if got > 0 => at += got,
                            _ => break,
                        }
                    }
                })
                .await;
        }
    }
}

/// The partition, or the answer of one that cannot be read. No other broker replicates from this
/// one, so it leads no partition that a follower could fetch.
fn find(
    context: &RequestContext,
    fetcher: Fetcher,
    wanted: &RequestedPartition,
) -> Result<Arc<Partition>, Box<PartitionAnswer>> {
    // Errors of the metadata have an empty list of aborted transactions, those of the log have none
    // (Kafka 4.4 `FetchResponse.partitionResponse`).
    let id = resolve(context, fetcher, wanted).map_err(|error| {
        let refused = PartitionAnswer::refused(wanted.partition, error);
        Box::new(PartitionAnswer { aborted: Some(Vec::new()), ..refused })
    })?;
    let partition = context.broker.partitions.get(id).filter(|_| fetcher == Fetcher::Consumer);
    partition.ok_or_else(|| Box::new(mistaken(context, id, ErrorCode::NotLeaderOrFollower)))
}

fn resolve(
    context: &RequestContext,
    fetcher: Fetcher,
    wanted: &RequestedPartition,
) -> Result<TopicPartition, ErrorCode> {
    let topics = &context.image.topics;
    let may_read = |name: &str| match fetcher {
        Fetcher::Consumer => context.require(Operation::Read, Resource::Topic(name)),
        Fetcher::Follower => Ok(()),
        Fetcher::Stranger => Err(ErrorCode::TopicAuthorizationFailed),
    };
    let topic = match &wanted.topic {
        TopicKey::Id(id) => {
            let topic = topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId)?;
            may_read(&topic.name)?;
            topic
        }
        TopicKey::Name(name) => {
            // Before it is known whether there is such a topic.
            may_read(name)?;
            topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)?
        }
    };
    if topic.partition(wanted.partition).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    Ok(TopicPartition { topic: topic.id, partition: wanted.partition })
}

fn read_one(
    partition: &Partition,
    wanted: &RequestedPartition,
    left: usize,
    up_to: UpTo,
    min_one_batch: bool,
) -> Result<PartitionAnswer, StoreError> {
    partition.check_leader(wanted.current_leader_epoch)?;
    let view = partition.view();
    let mut answer = PartitionAnswer {
        high_watermark: view.high_watermark,
        last_stable_offset: view.last_stable_offset,
        log_start_offset: view.log_start_offset,
        ..PartitionAnswer::refused(wanted.partition, ErrorCode::None)
    };
    if wanted.last_fetched_epoch >= 0 {
        let (start, end) = (view.log_start_offset, view.log_end_offset);
        let offset = wanted.fetch_offset;
        let (epoch, end_offset) = partition.end_offset_for(wanted.last_fetched_epoch);
        if epoch < 0 || end_offset < 0 || offset < start {
            return Err(crate::log::ReadError::OutOfRange { offset, start, end }.into());
        }
        if epoch < wanted.last_fetched_epoch || end_offset < offset {
            answer.diverging_epoch = Some((epoch, end_offset));
            return Ok(answer);
        }
    }
    let max_bytes = usize::try_from(wanted.max_bytes).unwrap_or(0).min(left);
    let plan = view.read(wanted.fetch_offset, max_bytes, up_to, min_one_batch)?;
    if up_to == UpTo::LastStable {
        let aborted = view.aborted_in(wanted.fetch_offset, &plan)?;
        answer.aborted =
            Some(aborted.iter().map(|txn| (txn.producer_id, txn.first_offset)).collect());
    }
    if let ReadPlan { file: Some(file), position, len, .. } = plan {
        answer.records = Some(OutPart::File { file, position, len });
    }
    Ok(answer)
}

/// The answer of a partition that the log refuses. It names the leader to a client that does not
/// know it, from version 16 on.
fn mistaken(context: &RequestContext, id: TopicPartition, error: ErrorCode) -> PartitionAnswer {
    let names_leader = context.version >= 16
        && matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
    let known = context.image.topics.partition(id).filter(|_| names_leader);
    PartitionAnswer {
        current_leader: known.map(|known| (known.leader, known.leader_epoch)),
        ..PartitionAnswer::refused(id.partition, error)
    }
}
