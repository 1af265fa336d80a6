//! The runner of one shard: a monitor that executes queued commands in rounds.
//!
//! A round decides every queued command, applies the records, and appends all records together. With
//! a linger, the records of several rounds are appended together. A reply is sent when the last
//! record that was decided before it is committed. Without a linger, and with neither a replica nor
//! a flush to wait for, that is the end of the round.

use std::collections::VecDeque;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::load::load;
use super::{LogUse, Shared, code_of};
use crate::coordinator::{Answer, Decision, Outcome, Producer, Shard, ShardContext, Ticket};
use crate::log::AppendError;
use crate::record::{BatchBuilder, BatchView, HEADER_LEN};
use crate::store::error::StoreError;
use crate::store::partition::{AcceptedAppend, Acknowledged, Partition};
use crate::types::{ErrorCode, Mono, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Offset};

/// More than a record adds to its key and value: its length, deltas, and the lengths of both.
const RECORD_OVERHEAD: usize = 32;
/// Bound of the deadlines that one round handles, so that commands do not wait for more.
const DEADLINES_A_ROUND: usize = 1_000;
/// Delay before a failed load is retried.
const LOAD_RETRY: Duration = Duration::from_secs(1);

/// The answer to a command whose commit timed out: the client looks up the coordinator again (Kafka 4.4
/// `GroupCoordinatorService.handleOperationException`).
const TOO_LATE: ErrorCode = ErrorCode::CoordinatorNotAvailable;

type ReplySender<S> = oneshot::Sender<Answer<S>>;

/// A shard, loading, active or gone.
pub(super) struct ShardRunner<S: Shard> {
    shared: Arc<Shared<S>>,
    partition: Arc<Partition>,
    /// Commands that no round has taken yet, at most one for each connection.
    queue: Mutex<Vec<(S::Command, ReplySender<S>)>>,
    state: Mutex<RunnerState<S>>,
}

enum RunnerState<S: Shard> {
    Loading,
    Active(Box<Active<S>>),
    /// The load failed.
    Failed,
    Closed,
}

struct Active<S: Shard> {
    shard: S,
    next_ticket: u64,
    /// Commands that are not answered yet.
    waiting: IndexMap<Ticket, ReplySender<S>>,
    /// Commands that are decided after all expired deadlines are handled.
    held_back: Vec<(S::Command, ReplySender<S>)>,
    /// Records that are decided and applied, but not appended.
    staged: Option<Staged>,
    /// Replies and effects that wait for a commit, in order.
    uncommitted: VecDeque<HeldReplies<S>>,
    /// The first N entries of `uncommitted` have already failed with a timeout.
    overdue: usize,
    /// The offset after the last record that was appended and not committed at once.
    appended: Offset,
    /// Everything that waited for a commit up to this offset was released.
    settled: Offset,
    /// The deadline for which the timer is set.
    armed: Option<Mono>,
    /// Every request that had arrived by then has been queued: deadlines up to here may expire.
    heard_until: Mono,
    /// Wakes the timer: the deadline is earlier now, or the shard is unloaded.
    wake: Arc<Notify>,
}

impl<S: Shard> Active<S> {
    fn new(shard: S) -> Self {
        Self {
            shard,
            next_ticket: 0,
            waiting: IndexMap::new(),
            held_back: Vec::new(),
            staged: None,
            uncommitted: VecDeque::new(),
            overdue: 0,
            appended: 0,
            settled: 0,
            armed: None,
            heard_until: Mono::default(),
            wake: Arc::default(),
        }
    }

    /// When the timer must fire: for a deadline of the shard, to append lingering records, to time
    /// out commits, or at once for commands that are held back.
    fn deadline(&self, log_use: &LogUse) -> Option<Mono> {
        let held = self.uncommitted.get(self.overdue);
        let overdue = held.zip(log_use.commit_timeout).map(|(held, timeout)| held.since + timeout);
        let lingers_until = self.lingers_until(log_use);
        let held_back = (!self.held_back.is_empty()).then(Mono::default);
        self.shard.deadline().into_iter().chain(overdue).chain(lingers_until).chain(held_back).min()
    }

    /// Whether a deadline of the shard has passed.
    fn is_due(&self, now: Mono) -> bool {
        self.shard.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Until when staged records linger; `None` if they do not.
    fn lingers_until(&self, log_use: &LogUse) -> Option<Mono> {
        let staged = self.staged.as_ref().filter(|staged| staged.producer.is_none());
        staged.zip(log_use.linger).map(|(staged, linger)| staged.since + linger)
    }

    /// The offset up to which the log must be committed before a new decision may be answered.
    fn relies_on(&self) -> Option<Offset> {
        let appended = Some(self.appended).filter(|upto| *upto > self.settled);
        self.staged.as_ref().map(|staged| staged.end).or(appended)
    }

    /// Releases what waited for a commit up to `upto`.
    fn settle(&mut self, upto: Offset) -> ShardRelease<S> {
        self.settled = self.settled.max(upto);
        let mut release = ShardRelease::default();
        while self.uncommitted.front().is_some_and(|held| held.upto <= upto) {
            let Some(held) = self.uncommitted.pop_front() else { break };
            self.overdue = self.overdue.saturating_sub(1);
            release.append(held.release);
        }
        release
    }

    /// Times out the commands that have waited too long for a commit. Their decisions stay.
    fn give_up_waiting(&mut self, now: Mono, timeout: Option<Duration>) -> ShardRelease<S> {
        let mut release = ShardRelease::default();
        let Some(timeout) = timeout else { return release };
        while let Some(held) = self.uncommitted.get_mut(self.overdue) {
            if held.since + timeout > now {
                break;
            }
            release.replies.append(&mut held.release.replies);
            self.overdue += 1;
        }
        release.fail(TOO_LATE);
        release
    }
}

/// A batch that is being filled.
struct Staged {
    /// It is part of this producer's transaction.
    producer: Option<Producer>,
    batch: BatchBuilder,
    since: Mono,
    /// The offset of the next record.
    end: Offset,
}

impl Staged {
    /// The offset of its first record.
    fn begin(&self) -> Offset {
        self.end - Offset::from(self.batch.count())
    }
}

/// What leaves once the log is committed so far.
struct HeldReplies<S: Shard> {
    upto: Offset,
    since: Mono,
    release: ShardRelease<S>,
}

/// What leaves the monitor.
struct ShardRelease<S: Shard> {
    replies: Vec<(ReplySender<S>, Answer<S>)>,
    effects: Vec<S::Effect>,
}

impl<S: Shard> Default for ShardRelease<S> {
    fn default() -> Self {
        Self { replies: Vec::new(), effects: Vec::new() }
    }
}

impl<S: Shard> ShardRelease<S> {
    fn append(&mut self, mut later: Self) {
        self.replies.append(&mut later.replies);
        self.effects.append(&mut later.effects);
    }

    fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.effects.is_empty()
    }

    /// The same as a failure: nothing that was decided holds.
    fn fail(&mut self, code: ErrorCode) {
        for (_, answer) in &mut self.replies {
            *answer = Err(code);
        }
        self.effects.clear();
    }
}

/// One round: what is decided in it.
struct Round<S: Shard> {
    context: ShardContext,
    /// Behind the last record that was appended, and what that waits for to be committed.
    appended: Option<(Offset, Option<Acknowledged>)>,
    release: ShardRelease<S>,
    failed: Option<ErrorCode>,
}

impl<S: Shard> ShardRunner<S> {
    /// A runner that is about to load.
    pub(super) fn new(shared: Arc<Shared<S>>, partition: Arc<Partition>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            partition,
            queue: Mutex::new(Vec::new()),
            state: Mutex::new(RunnerState::Loading),
        })
    }

    /// Whether it coordinates over this very log.
    pub(super) fn is_over(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition)
    }

    /// Whether its log could not be read.
    pub(super) fn has_failed(&self) -> bool {
        matches!(*self.state.lock(), RunnerState::Failed)
    }

    /// It coordinates no more: whoever waits is told to look for another coordinator.
    pub(super) fn close(self: &Arc<Self>) {
        let old = std::mem::replace(&mut *self.state.lock(), RunnerState::Closed);
        if let RunnerState::Active(active) = &old {
            active.wake.notify_one();
        }
        drop(old); // Outside of the monitor: senders wake tasks.
        self.run();
    }

    /// Reads the log, and begins to decide.
    pub(super) fn load(self: &Arc<Self>) {
        let view = self.partition.view();
        if view.log_start_offset == view.log_end_offset {
            self.activate((self.shared.make)(self.partition.id.partition));
            return;
        }
        let runner = Arc::clone(self);
        self.shared
            .dependencies
            .env
            .threads
            .spawn(Box::pin(async move { runner.read_log().await }));
    }

    /// Reads the log until it could be read, or is none of ours to read.
    async fn read_log(self: Arc<Self>) {
        let env = self.shared.dependencies.env.clone();
        let (topic, partition) = (self.shared.topic, self.partition.id.partition);
        loop {
            let began = env.clock.now();
            let view = self.partition.view();
            let mut shard = (self.shared.make)(partition);
            let load_bytes = self.shared.log_use.load_bytes;
            let read = env.threads.run_blocking(move || {
                let result = load(&view, load_bytes, &mut shard);
                (shard, result)
            });
            let (shard, result) = read.await;
            let error = match result {
                Ok(loaded) => {
                    let took_ms = env.clock.now().since(began).as_millis() as u64;
                    tracing::info!(
                        topic,
                        partition,
                        records = loaded.records,
                        passed_over = loaded.passed_over,
                        bytes = loaded.bytes,
                        took_ms,
                        "a coordinator is loaded"
                    );
                    return self.activate(shard);
                }
                Err(error) => error,
            };
            // Without this one nobody coordinates: a disk that failed once is asked again, one that
            // is given up takes the leadership with it, and damage stays.
            let again = error.may_pass() && self.partition.check_leader(NO_LEADER_EPOCH).is_ok();
            tracing::error!(topic, partition, again, %error, "a coordinator cannot be loaded");
            {
                let mut state = self.state.lock();
                if !matches!(*state, RunnerState::Loading) {
                    return;
                }
                if !again {
                    *state = RunnerState::Failed;
                    return;
                }
            }
            env.clock.sleep_until(env.clock.now() + LOAD_RETRY).await;
        }
    }

    fn activate(self: &Arc<Self>, shard: S) {
        let mut state = self.state.lock();
        if !matches!(*state, RunnerState::Loading) {
            return;
        }
        let mut active = Box::new(Active::new(shard));
        let wake = Arc::clone(&active.wake);
        let mut round = self.begin();
        let decision = active.shard.loaded(&round.context);
        self.stage_decision(&mut active, &mut round, decision);
        *state = RunnerState::Active(active);
        let release = self.end(&mut state, round);
        let runner = Arc::clone(self);
        self.shared
            .dependencies
            .env
            .threads
            .spawn(Box::pin(async move { runner.keep_time(wake).await }));
        drop(state);
        self.release(release);
    }

    /// Queues a command and executes the queue.
    pub(super) fn submit(self: &Arc<Self>, command: S::Command) -> oneshot::Receiver<Answer<S>> {
        let (reply, answer) = oneshot::channel();
        self.queue.lock().push((command, reply));
        self.run();
        answer
    }

    /// Executes the queued commands, unless another thread has executed them meanwhile.
    fn run(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let brought = std::mem::take(&mut *self.queue.lock());
        if brought.is_empty() {
            return;
        }
        let release = match &mut *state {
            RunnerState::Active(active) => {
                let mut round = self.begin();
                self.handle_due(active, &mut round);
                for (command, reply) in brought {
                    if S::waits_for_due(&command) && active.is_due(round.context.now) {
                        active.held_back.push((command, reply));
                        continue;
                    }
                    self.decide(active, &mut round, command, reply);
                }
                self.end(&mut state, round)
            }
            other => {
                let code = match other {
                    RunnerState::Loading => ErrorCode::CoordinatorLoadInProgress,
                    _ => ErrorCode::NotCoordinator,
                };
                let replies = brought.into_iter().map(|(_, reply)| (reply, Err(code))).collect();
                ShardRelease { replies, effects: Vec::new() }
            }
        };
        drop(state);
        self.release(release);
    }

    fn decide(
        &self,
        active: &mut Active<S>,
        round: &mut Round<S>,
        command: S::Command,
        reply: ReplySender<S>,
    ) {
        let ticket = Ticket(active.next_ticket);
        active.next_ticket += 1;
        active.waiting.insert(ticket, reply);
        let decision = active.shard.decide(&round.context, ticket, command);
        self.stage_decision(active, round, decision);
    }

    /// Handles expired deadlines. Commits are handled first: what is committed by now has not timed
    /// out, even if the timer fires late. Returns whether deadlines of the shard remain, for which
    /// all connections must have a turn first.
    fn run_due(self: &Arc<Self>) -> bool {
        let timeout = self.shared.log_use.commit_timeout;
        let mut state = self.state.lock();
        let RunnerState::Active(active) = &mut *state else { return false };
        // Staged records are not in the log, even if another writer appended at their offsets.
        let begins = active.staged.as_ref().map_or(Offset::MAX, Staged::begin);
        let mut release = active.settle(self.partition.view().high_watermark.min(begins));
        let mut round = self.begin();
        release.append(active.give_up_waiting(round.context.now, timeout));
        self.handle_due(active, &mut round);
        let remain = active.is_due(round.context.now);
        if !remain {
            for (command, reply) in std::mem::take(&mut active.held_back) {
                self.decide(active, &mut round, command, reply);
            }
        }
        release.append(self.end(&mut state, round));
        drop(state);
        self.release(release);
        remain
    }

    /// Handles the expired deadlines of the shard before any command, up to the time by which every
    /// arrived request has been queued: an expiry never overtakes a heartbeat that is still unread in
    /// a socket.
    fn handle_due(&self, active: &mut Active<S>, round: &mut Round<S>) {
        let until = active.heard_until.min(round.context.now);
        for _ in 0..DEADLINES_A_ROUND {
            if active.shard.deadline().is_none_or(|deadline| deadline > until) {
                break;
            }
            let decision =
                active.shard.on_deadline(&ShardContext { now: until, ..round.context.clone() });
            self.stage_decision(active, round, decision);
        }
    }

    /// Gives every connection a turn to queue the requests that have arrived by now.
    async fn hear_all(&self, wake: &Arc<Notify>) {
        let now = self.shared.dependencies.env.clock.now();
        self.shared.dependencies.env.threads.full_turn().await;
        if let RunnerState::Active(active) = &mut *self.state.lock()
            && Arc::ptr_eq(&active.wake, wake)
        {
            active.heard_until = now;
        }
    }

    /// Handles the deadlines of the shard that owns `wake` until it is unloaded.
    async fn keep_time(self: Arc<Self>, wake: Arc<Notify>) {
        let clock = Arc::clone(&self.shared.dependencies.env.clock);
        loop {
            let deadline = {
                let mut state = self.state.lock();
                let RunnerState::Active(active) = &mut *state else { return };
                if !Arc::ptr_eq(&active.wake, &wake) {
                    return; // The shard was loaded again and has its own timer.
                }
                active.armed = active.deadline(&self.shared.log_use);
                active.armed
            };
            let Some(deadline) = deadline else {
                wake.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = wake.notified() => {}
                () = clock.sleep_until(deadline) => {
                    if self.run_due() {
                        self.hear_all(&wake).await;
                        self.run_due();
                    }
                }
            }
        }
    }

    /// Appends a transaction marker between two rounds; see
    /// [`super::Coordinators::end_transaction`].
    pub(super) fn end_transaction(
        self: &Arc<Self>,
        producer: Producer,
        outcome: Outcome,
        append: impl FnOnce(&Partition) -> Result<AcceptedAppend, StoreError>,
    ) -> Result<AcceptedAppend, ErrorCode> {
        let mut state = self.state.lock();
        // Records that were decided before the marker are appended before it.
        let release = self.append_staged(&mut state);
        let result = match &mut *state {
            RunnerState::Active(active) => self.append_marker(active, producer, outcome, append),
            RunnerState::Loading => Err(ErrorCode::CoordinatorLoadInProgress),
            RunnerState::Failed | RunnerState::Closed => Err(ErrorCode::NotCoordinator),
        };
        drop(state);
        self.release(release);
        result
    }

    fn append_staged(self: &Arc<Self>, state: &mut RunnerState<S>) -> ShardRelease<S> {
        match state {
            RunnerState::Active(active) if active.staged.is_some() => {
                let mut round = self.begin();
                self.write(active, &mut round);
                self.end(state, round)
            }
            _ => ShardRelease::default(),
        }
    }

    fn append_marker(
        &self,
        active: &mut Active<S>,
        producer: Producer,
        outcome: Outcome,
        append: impl FnOnce(&Partition) -> Result<AcceptedAppend, StoreError>,
    ) -> Result<AcceptedAppend, ErrorCode> {
        let accepted = append(&self.partition).map_err(|error| match error {
            StoreError::Append(AppendError::Producer(error)) => error.code(),
            error => code_of(&error),
        })?;
        active.shard.apply_marker(producer, outcome);
        if let Some(kind) = accepted.flush {
            self.shared.dependencies.flusher.request(&self.partition, kind);
        }
        Ok(accepted)
    }

    fn begin(&self) -> Round<S> {
        Round {
            context: self.shared.dependencies.context(),
            appended: None,
            release: ShardRelease::default(),
            failed: None,
        }
    }

    /// Adds a decision to the round: its records to the batch and the state, its replies and effects
    /// after them.
    fn stage_decision(&self, active: &mut Active<S>, round: &mut Round<S>, decision: Decision<S>) {
        let Decision { records, in_pieces, producer, mut replies, effects, undo } = decision;
        let mut refused = None;
        if !records.is_empty()
            && let Some(producer) = producer
        {
            // The transaction may have ended since the decision was requested. Then this decision
            // fails, and the round goes on.
            let may = self.partition.check_own_transaction(producer.id, producer.epoch);
            refused = may.err().map(|error| error.code());
        }
        if !records.is_empty() && round.failed.is_none() && refused.is_none() {
            let encoded: Result<Vec<_>, _> = records.iter().map(S::encode).collect();
            match encoded {
                Ok(encoded) if self.fits(&encoded) => {
                    self.stage(active, round, producer, records, &encoded);
                }
                Ok(encoded)
                    if in_pieces && encoded.iter().all(|one| self.fits(slice::from_ref(one))) =>
                {
                    for (record, one) in records.into_iter().zip(&encoded) {
                        self.stage(active, round, producer, vec![record], slice::from_ref(one));
                    }
                }
                Ok(_) => refused = Some(ErrorCode::RecordListTooLarge),
                Err(error) => {
                    tracing::error!(topic = self.shared.topic, %error, "a coordinator record cannot be encoded");
                    refused = Some(ErrorCode::UnknownServerError);
                }
            }
        }
        if let Some(code) = refused {
            for (_, answer) in &mut replies {
                *answer = Err(code);
            }
        } else {
            round.release.effects.extend(effects);
        }
        for (ticket, answer) in replies {
            if let Some(reply) = active.waiting.swap_remove(&ticket) {
                round.release.replies.push((reply, answer));
            }
        }
        if let (Some(_), Some(undo)) = (refused, undo) {
            let decision = active.shard.refused(&round.context, undo);
            // The records that roll a decision back are small; if they do not fit, they are dropped.
            self.stage_decision(active, round, Decision { undo: None, ..decision });
        }
    }

    fn bytes_max(&self) -> usize {
        self.partition.config().rules.max_message_bytes
    }

    fn fits(&self, encoded: &[(BytesMut, Option<BytesMut>)]) -> bool {
        HEADER_LEN + size_of(encoded) <= self.bytes_max()
    }

    fn stage(
        &self,
        active: &mut Active<S>,
        round: &mut Round<S>,
        producer: Option<Producer>,
        records: Vec<S::Record>,
        encoded: &[(BytesMut, Option<BytesMut>)],
    ) {
        let fits = active.staged.as_ref().is_some_and(|Staged { producer: of, batch, .. }| {
            *of == producer && HEADER_LEN + batch.len() + size_of(encoded) <= self.bytes_max()
        });
        if !fits {
            self.write(active, round);
            let log_use = &self.shared.log_use;
            let mut batch = BatchBuilder::new(0).compression(log_use.compression, None);
            batch = match producer {
                Some(Producer { id, epoch }) => {
                    batch.producer(id, epoch, log_use.base_sequence).transactional()
                }
                None => batch.producer(NO_PRODUCER_ID, NO_PRODUCER_EPOCH, log_use.base_sequence),
            };
            let (since, end) = (round.context.now, self.partition.view().log_end_offset);
            active.staged = Some(Staged { producer, batch, since, end });
        }
        let Some(staged) = &mut active.staged else { return };
        for (record, (key, value)) in records.into_iter().zip(encoded) {
            staged.batch.push(round.context.wall, Some(key), value.as_deref());
            active.shard.apply(staged.end, producer, record);
            staged.end += 1;
        }
    }

    /// Appends the staged records.
    fn write(&self, active: &mut Active<S>, round: &mut Round<S>) {
        let Some(Staged { batch, end, .. }) = active.staged.take() else { return };
        if round.failed.is_some() {
            return;
        }
        let appended = batch.build().map_err(|error| error.to_string()).and_then(|mut bytes| {
            let header = *BatchView::first(&bytes).map_err(|error| error.to_string())?.header();
            Ok(self.partition.append_as_coordinator(&mut bytes, &header, round.context.wall))
        });
        let (topic, partition) = (self.shared.topic, self.partition.id.partition);
        match appended {
            Ok(Ok(accepted)) => {
                if let Some(kind) = accepted.flush {
                    self.shared.dependencies.flusher.request(&self.partition, kind);
                }
                let upto = accepted.appended.last_offset + 1;
                round.appended = Some((upto, accepted.wait));
                if upto != end {
                    // Another writer appended, and the state lacks its records.
                    tracing::error!(
                        topic,
                        partition,
                        upto,
                        end,
                        "coordinator batch appended at an unexpected offset; the shard is loaded again"
                    );
                    round.failed = Some(ErrorCode::NotCoordinator);
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(topic, partition, %error, "coordinator batch cannot be appended");
                round.failed = Some(code_of(&error));
            }
            Err(error) => {
                tracing::error!(topic, partition, %error, "coordinator batch cannot be built");
                round.failed = Some(ErrorCode::UnknownServerError);
            }
        }
    }

    /// Ends a round and returns what may be sent now.
    fn end(self: &Arc<Self>, state: &mut RunnerState<S>, mut round: Round<S>) -> ShardRelease<S> {
        let RunnerState::Active(active) = state else { return round.release };
        let log_use = &self.shared.log_use;
        if active.lingers_until(log_use).is_none_or(|until| until <= round.context.now) {
            self.write(active, &mut round);
        }
        if let Some(code) = round.failed {
            round.release.fail(code);
            return self.start_over(state, round.release, code);
        }
        let mut release = ShardRelease::default();
        match round.appended {
            Some((upto, Some(wait))) => {
                let (runner, wake) = (Arc::clone(self), Arc::clone(&active.wake));
                self.shared.dependencies.env.threads.spawn(Box::pin(async move {
                    let result = wait.await.unwrap_or(Err(StoreError::NotLeader));
                    runner.on_committed(&wake, upto, &result);
                }));
                active.appended = upto;
            }
            Some((upto, None)) => release = active.settle(upto),
            None => {}
        }
        // A decision relies on the uncommitted records before it, so its replies wait for them.
        match active.relies_on() {
            Some(upto) if !round.release.is_empty() => {
                let since = round.context.now;
                active.uncommitted.push_back(HeldReplies { upto, since, release: round.release });
            }
            Some(_) => {}
            None => release.append(round.release),
        }
        let deadline = active.deadline(log_use);
        if deadline.is_some_and(|next| active.armed.is_none_or(|armed| next < armed)) {
            active.armed = deadline;
            active.wake.notify_one();
        }
        release
    }

    /// The batch up to `upto` of the shard that owns `wake` is committed, or failed.
    fn on_committed(
        self: &Arc<Self>,
        wake: &Arc<Notify>,
        upto: Offset,
        result: &Result<(), StoreError>,
    ) {
        let mut state = self.state.lock();
        let RunnerState::Active(active) = &mut *state else { return };
        if !Arc::ptr_eq(&active.wake, wake) || upto <= active.settled {
            return; // The shard was unloaded, or a later commit arrived first.
        }
        let release = match result {
            Ok(()) => active.settle(upto),
            Err(error) => {
                let code = code_of(error);
                self.start_over(&mut state, ShardRelease::default(), code)
            }
        };
        drop(state);
        self.release(release);
    }

    /// Unloads the shard and loads the log again: the state contains records that were not appended.
    fn start_over(
        self: &Arc<Self>,
        state: &mut RunnerState<S>,
        mut release: ShardRelease<S>,
        code: ErrorCode,
    ) -> ShardRelease<S> {
        let leads = self.partition.check_leader(NO_LEADER_EPOCH).is_ok();
        let next = if leads { RunnerState::Loading } else { RunnerState::Failed };
        if let RunnerState::Active(active) = std::mem::replace(state, next) {
            active.wake.notify_one();
            for HeldReplies { release: mut held, .. } in active.uncommitted {
                held.fail(code);
                release.append(held);
            }
            let held_back = active.held_back.into_iter().map(|(_, reply)| reply);
            let waiting = active.waiting.into_values().chain(held_back);
            release.replies.extend(waiting.map(|reply| (reply, Err(ErrorCode::NotCoordinator))));
        }
        if leads {
            let runner = Arc::clone(self);
            let reload = async move { runner.load() };
            self.shared.dependencies.env.threads.spawn(Box::pin(reload));
        }
        release
    }

    /// Sends replies and runs effects. Called outside the monitor.
    fn release(&self, release: ShardRelease<S>) {
        for (reply, answer) in release.replies {
            let _ = reply.send(answer); // The client may be gone.
        }
        for effect in release.effects {
            (self.shared.on_effect)(self.partition.id.partition, effect);
        }
    }
}

fn size_of(encoded: &[(BytesMut, Option<BytesMut>)]) -> usize {
    let one = |(key, value): &(BytesMut, Option<BytesMut>)| {
        RECORD_OVERHEAD + key.len() + value.as_ref().map_or(0, BytesMut::len)
    };
    encoded.iter().map(one).sum()
}
