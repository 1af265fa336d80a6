//! One shard with its partition: a monitor that executes what was brought to it in rounds.
//!
//! In a round every waiting command is decided, its records are applied, and all records are
//! appended together; with a linger, those of the rounds of so long. What is to be answered leaves
//! when the last record that was decided before it is committed; without a linger, a replica or a
//! flush to wait for, that is at the end of the round.

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
use crate::coordinator::{Answer, Decision, Moment, Outcome, Producer, Shard, Ticket};
use crate::log::AppendError;
use crate::record::{BatchBuilder, BatchView, HEADER_LEN};
use crate::store::error::StoreError;
use crate::store::partition::{Accepted, Acknowledged, Partition};
use crate::types::{ErrorCode, Mono, NO_LEADER_EPOCH, NO_SEQUENCE, Offset};

/// More than a record adds to its key and value: its length, deltas, and the lengths of both.
const RECORD_OVERHEAD: usize = 32;
/// At most this many deadlines are handled in a round; whoever brought a command waits no longer.
const DEADLINES_A_ROUND: usize = 1_000;
/// A log that could not be read is read again after so long.
const LOAD_RETRY: Duration = Duration::from_secs(1);

/// Whoever waited for a commit for too long looks for the coordinator again (Kafka 4.4
/// `GroupCoordinatorService.handleOperationException`).
const TOO_LATE: ErrorCode = ErrorCode::CoordinatorNotAvailable;

type Reply<S> = oneshot::Sender<Answer<S>>;

/// A shard, loading, active or gone.
pub(super) struct Slot<S: Shard> {
    shared: Arc<Shared<S>>,
    partition: Arc<Partition>,
    /// What was brought, and not yet begun. At most one command a connection.
    queue: Mutex<Vec<(S::Command, Reply<S>)>>,
    state: Mutex<State<S>>,
}

enum State<S: Shard> {
    Loading,
    Active(Box<Active<S>>),
    /// The log could not be read.
    Failed,
    Closed,
}

struct Active<S: Shard> {
    shard: S,
    next_ticket: u64,
    /// Commands that are not answered yet.
    waiting: IndexMap<Ticket, Reply<S>>,
    /// Records that are decided and applied, and not yet appended.
    staged: Option<Staged>,
    /// What leaves once the log is committed, in order.
    uncommitted: VecDeque<Held<S>>,
    /// So many of them, the first ones, have been answered that it took too long.
    overdue: usize,
    /// Behind the last record that was appended and had to wait.
    appended: Offset,
    /// What needed the log to be committed up to here has left.
    settled: Offset,
    /// The deadline that the timer knows.
    armed: Option<Mono>,
    /// Wakes the timer: there is an earlier deadline, or none ever again.
    wake: Arc<Notify>,
}

impl<S: Shard> Active<S> {
    fn new(shard: S) -> Self {
        Self {
            shard,
            next_ticket: 0,
            waiting: IndexMap::new(),
            staged: None,
            uncommitted: VecDeque::new(),
            overdue: 0,
            appended: 0,
            settled: 0,
            armed: None,
            wake: Arc::default(),
        }
    }

    /// When the timer must wake: for the shard, to append what has lingered, or to answer whoever
    /// has waited too long for a commit.
    fn deadline(&self, log_use: &LogUse) -> Option<Mono> {
        let held = self.uncommitted.get(self.overdue);
        let overdue = held.zip(log_use.commit_timeout).map(|(held, timeout)| held.since + timeout);
        let lingers_until = self.lingers_until(log_use);
        self.shard.deadline().into_iter().chain(overdue).chain(lingers_until).min()
    }

    /// Until when what is staged waits for more; `None` where it does not wait.
    fn lingers_until(&self, log_use: &LogUse) -> Option<Mono> {
        let staged = self.staged.as_ref().filter(|staged| staged.producer.is_none());
        staged.zip(log_use.linger).map(|(staged, linger)| staged.since + linger)
    }

    /// Up to where the log must be committed before anything that is decided now may leave.
    fn relies_on(&self) -> Option<Offset> {
        let appended = Some(self.appended).filter(|upto| *upto > self.settled);
        self.staged.as_ref().map(|staged| staged.end).or(appended)
    }

    /// What may leave when the log is committed up to `upto`.
    fn settle(&mut self, upto: Offset) -> Release<S> {
        self.settled = self.settled.max(upto);
        let mut release = Release::default();
        while self.uncommitted.front().is_some_and(|held| held.upto <= upto) {
            let Some(held) = self.uncommitted.pop_front() else { break };
            self.overdue = self.overdue.saturating_sub(1);
            release.append(held.release);
        }
        release
    }

    /// Answers whoever has waited for a commit for too long. What was decided stays.
    fn give_up_waiting(&mut self, now: Mono, timeout: Option<Duration>) -> Release<S> {
        let mut release = Release::default();
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
struct Held<S: Shard> {
    upto: Offset,
    since: Mono,
    release: Release<S>,
}

/// What leaves the monitor.
struct Release<S: Shard> {
    replies: Vec<(Reply<S>, Answer<S>)>,
    effects: Vec<S::Effect>,
}

impl<S: Shard> Default for Release<S> {
    fn default() -> Self {
        Self { replies: Vec::new(), effects: Vec::new() }
    }
}

impl<S: Shard> Release<S> {
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
    moment: Moment,
    /// Behind the last record that was appended, and what that waits for to be committed.
    appended: Option<(Offset, Option<Acknowledged>)>,
    release: Release<S>,
    failed: Option<ErrorCode>,
}

impl<S: Shard> Slot<S> {
    /// A slot that is about to load.
    pub(super) fn new(shared: Arc<Shared<S>>, partition: Arc<Partition>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            partition,
            queue: Mutex::new(Vec::new()),
            state: Mutex::new(State::Loading),
        })
    }

    /// Whether it coordinates over this very log.
    pub(super) fn is_over(&self, partition: &Arc<Partition>) -> bool {
        Arc::ptr_eq(&self.partition, partition)
    }

    /// Whether its log could not be read.
    pub(super) fn has_failed(&self) -> bool {
        matches!(*self.state.lock(), State::Failed)
    }

    /// It coordinates no more: whoever waits is told to look for another coordinator.
    pub(super) fn close(self: &Arc<Self>) {
        let old = std::mem::replace(&mut *self.state.lock(), State::Closed);
        if let State::Active(active) = &old {
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
        let slot = Arc::clone(self);
        self.shared.around.env.threads.spawn(Box::pin(async move { slot.read_log().await }));
    }

    /// Reads the log until it could be read, or is none of ours to read.
    async fn read_log(self: Arc<Self>) {
        let env = self.shared.around.env.clone();
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
                if !matches!(*state, State::Loading) {
                    return;
                }
                if !again {
                    *state = State::Failed;
                    return;
                }
            }
            env.clock.sleep_until(env.clock.now() + LOAD_RETRY).await;
        }
    }

    fn activate(self: &Arc<Self>, shard: S) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Loading) {
            return;
        }
        let mut active = Box::new(Active::new(shard));
        let wake = Arc::clone(&active.wake);
        let mut round = self.begin();
        let decision = active.shard.loaded(&round.moment);
        self.absorb(&mut active, &mut round, decision);
        *state = State::Active(active);
        let release = self.end(&mut state, round);
        let slot = Arc::clone(self);
        self.shared.around.env.threads.spawn(Box::pin(async move { slot.keep_time(wake).await }));
        drop(state);
        self.let_go(release);
    }

    /// Brings a command and executes what has been brought.
    pub(super) fn submit(self: &Arc<Self>, command: S::Command) -> oneshot::Receiver<Answer<S>> {
        let (reply, answer) = oneshot::channel();
        self.queue.lock().push((command, reply));
        self.run();
        answer
    }

    /// Executes what has been brought, unless another thread has done so meanwhile.
    fn run(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let brought = std::mem::take(&mut *self.queue.lock());
        if brought.is_empty() {
            return;
        }
        let release = match &mut *state {
            State::Active(active) => {
                let mut round = self.begin();
                self.handle_due(active, &mut round);
                for (command, reply) in brought {
                    let ticket = Ticket(active.next_ticket);
                    active.next_ticket += 1;
                    active.waiting.insert(ticket, reply);
                    let decision = active.shard.decide(&round.moment, ticket, command);
                    self.absorb(active, &mut round, decision);
                }
                self.end(&mut state, round)
            }
            other => {
                let code = match other {
                    State::Loading => ErrorCode::CoordinatorLoadInProgress,
                    _ => ErrorCode::NotCoordinator,
                };
                let replies = brought.into_iter().map(|(_, reply)| (reply, Err(code))).collect();
                Release { replies, effects: Vec::new() }
            }
        };
        drop(state);
        self.let_go(release);
    }

    /// Handles deadlines that have passed. Commits come first: what is committed by now is not
    /// overdue, however late the timer wakes.
    fn run_due(self: &Arc<Self>) {
        let timeout = self.shared.log_use.commit_timeout;
        let mut state = self.state.lock();
        let State::Active(active) = &mut *state else { return };
        // What is staged is not in the log, whoever else may have written there.
        let begins = active.staged.as_ref().map_or(Offset::MAX, Staged::begin);
        let mut release = active.settle(self.partition.view().high_watermark.min(begins));
        let mut round = self.begin();
        release.append(active.give_up_waiting(round.moment.now, timeout));
        self.handle_due(active, &mut round);
        release.append(self.end(&mut state, round));
        drop(state);
        self.let_go(release);
    }

    /// What is due comes before what is brought: however late a timer wakes, a command finds no
    /// session that is over.
    fn handle_due(&self, active: &mut Active<S>, round: &mut Round<S>) {
        for _ in 0..DEADLINES_A_ROUND {
            if active.shard.deadline().is_none_or(|deadline| deadline > round.moment.now) {
                break;
            }
            let decision = active.shard.on_deadline(&round.moment);
            self.absorb(active, round, decision);
        }
    }

    /// Wakes the shard that came with `wake` at its deadlines, for as long as it is active.
    async fn keep_time(self: Arc<Self>, wake: Arc<Notify>) {
        let clock = Arc::clone(&self.shared.around.env.clock);
        loop {
            let deadline = {
                let mut state = self.state.lock();
                let State::Active(active) = &mut *state else { return };
                if !Arc::ptr_eq(&active.wake, &wake) {
                    return; // It was loaded again, and has a timer of its own.
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
                () = clock.sleep_until(deadline) => self.run_due(),
            }
        }
    }

    /// Appends a transaction marker between two rounds; see
    /// [`super::Coordinators::end_transaction`].
    pub(super) fn end_transaction(
        self: &Arc<Self>,
        producer: Producer,
        outcome: Outcome,
        append: impl FnOnce(&Partition) -> Result<Accepted, StoreError>,
    ) -> Result<Accepted, ErrorCode> {
        let mut state = self.state.lock();
        // What was decided before the marker lies before it.
        let release = self.append_staged(&mut state);
        let result = match &mut *state {
            State::Active(active) => self.append_marker(active, producer, outcome, append),
            State::Loading => Err(ErrorCode::CoordinatorLoadInProgress),
            State::Failed | State::Closed => Err(ErrorCode::NotCoordinator),
        };
        drop(state);
        self.let_go(release);
        result
    }

    fn append_staged(self: &Arc<Self>, state: &mut State<S>) -> Release<S> {
        match state {
            State::Active(active) if active.staged.is_some() => {
                let mut round = self.begin();
                self.write(active, &mut round);
                self.end(state, round)
            }
            _ => Release::default(),
        }
    }

    fn append_marker(
        &self,
        active: &mut Active<S>,
        producer: Producer,
        outcome: Outcome,
        append: impl FnOnce(&Partition) -> Result<Accepted, StoreError>,
    ) -> Result<Accepted, ErrorCode> {
        let accepted = append(&self.partition).map_err(|error| match error {
            StoreError::Append(AppendError::Producer(error)) => error.code(),
            error => code_of(&error),
        })?;
        active.shard.apply_marker(producer, outcome);
        if let Some(kind) = accepted.flush {
            self.shared.around.flusher.request(&self.partition, kind);
        }
        Ok(accepted)
    }

    fn begin(&self) -> Round<S> {
        Round {
            moment: self.shared.around.moment(),
            appended: None,
            release: Release::default(),
            failed: None,
        }
    }

    /// Takes a decision over: its records into the batch and into the state, its replies behind
    /// them.
    fn absorb(&self, active: &mut Active<S>, round: &mut Round<S>, decision: Decision<S>) {
        let Decision { records, in_pieces, producer, mut replies, effects, undo } = decision;
        let mut refused = None;
        if !records.is_empty()
            && let Some(producer) = producer
        {
            // Its transaction may have ended since it was asked about: then this decision falls,
            // and not the whole round.
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
                    tracing::error!(topic = self.shared.topic, %error, "a record has no form");
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
            let decision = active.shard.refused(&round.moment, undo);
            // What takes back is small; if it is not, it is not taken back again.
            self.absorb(active, round, Decision { undo: None, ..decision });
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
            let mut batch = BatchBuilder::new(0).compression(self.shared.log_use.compression, None);
            if let Some(producer) = producer {
                batch = batch.producer(producer.id, producer.epoch, NO_SEQUENCE).transactional();
            }
            let (since, end) = (round.moment.now, self.partition.view().log_end_offset);
            active.staged = Some(Staged { producer, batch, since, end });
        }
        let Some(staged) = &mut active.staged else { return };
        for (record, (key, value)) in records.into_iter().zip(encoded) {
            staged.batch.push(round.moment.wall, Some(key), value.as_deref());
            active.shard.apply(staged.end, producer, record);
            staged.end += 1;
        }
    }

    /// Appends what is staged.
    fn write(&self, active: &mut Active<S>, round: &mut Round<S>) {
        let Some(Staged { batch, end, .. }) = active.staged.take() else { return };
        if round.failed.is_some() {
            return;
        }
        let appended = batch.build().map_err(|error| error.to_string()).and_then(|mut bytes| {
            let header = *BatchView::first(&bytes).map_err(|error| error.to_string())?.header();
            Ok(self.partition.append_as_coordinator(&mut bytes, &header, round.moment.wall))
        });
        let (topic, partition) = (self.shared.topic, self.partition.id.partition);
        match appended {
            Ok(Ok(accepted)) => {
                if let Some(kind) = accepted.flush {
                    self.shared.around.flusher.request(&self.partition, kind);
                }
                let upto = accepted.appended.last_offset + 1;
                round.appended = Some((upto, accepted.wait));
                if upto != end {
                    // Someone else wrote there, and the state lacks what he wrote.
                    tracing::error!(
                        topic,
                        partition,
                        upto,
                        end,
                        "records of a coordinator lie elsewhere than it took for granted"
                    );
                    round.failed = Some(ErrorCode::NotCoordinator);
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(topic, partition, %error, "records of a coordinator are not written");
                round.failed = Some(code_of(&error));
            }
            Err(error) => {
                tracing::error!(topic, partition, %error, "a batch cannot be built");
                round.failed = Some(ErrorCode::UnknownServerError);
            }
        }
    }

    /// Ends a round: what may leave now.
    fn end(self: &Arc<Self>, state: &mut State<S>, mut round: Round<S>) -> Release<S> {
        let State::Active(active) = state else { return round.release };
        let log_use = &self.shared.log_use;
        if active.lingers_until(log_use).is_none_or(|until| until <= round.moment.now) {
            self.write(active, &mut round);
        }
        if let Some(code) = round.failed {
            round.release.fail(code);
            return self.start_over(state, round.release, code);
        }
        let mut release = Release::default();
        match round.appended {
            Some((upto, Some(wait))) => {
                let (slot, wake) = (Arc::clone(self), Arc::clone(&active.wake));
                self.shared.around.env.threads.spawn(Box::pin(async move {
                    let result = wait.await.unwrap_or(Err(StoreError::NotLeader));
                    slot.on_committed(&wake, upto, &result);
                }));
                active.appended = upto;
            }
            Some((upto, None)) => release = active.settle(upto),
            None => {}
        }
        // What is not committed before it holds it up, for it was decided on that.
        match active.relies_on() {
            Some(upto) if !round.release.is_empty() => {
                let since = round.moment.now;
                active.uncommitted.push_back(Held { upto, since, release: round.release });
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

    /// The log of the shard that came with `wake` is committed up to `upto`, or will never be.
    fn on_committed(
        self: &Arc<Self>,
        wake: &Arc<Notify>,
        upto: Offset,
        result: &Result<(), StoreError>,
    ) {
        let mut state = self.state.lock();
        let State::Active(active) = &mut *state else { return };
        if !Arc::ptr_eq(&active.wake, wake) || upto <= active.settled {
            return; // Of a shard that is gone, or a later commit came first.
        }
        let release = match result {
            Ok(()) => active.settle(upto),
            Err(error) => {
                let code = code_of(error);
                self.start_over(&mut state, Release::default(), code)
            }
        };
        drop(state);
        self.let_go(release);
    }

    /// Throws the shard away and reads the log again: its state holds what was never written.
    fn start_over(
        self: &Arc<Self>,
        state: &mut State<S>,
        mut release: Release<S>,
        code: ErrorCode,
    ) -> Release<S> {
        let leads = self.partition.check_leader(NO_LEADER_EPOCH).is_ok();
        let next = if leads { State::Loading } else { State::Failed };
        if let State::Active(active) = std::mem::replace(state, next) {
            active.wake.notify_one();
            for Held { release: mut held, .. } in active.uncommitted {
                held.fail(code);
                release.append(held);
            }
            let waiting = active.waiting.into_values();
            release.replies.extend(waiting.map(|reply| (reply, Err(ErrorCode::NotCoordinator))));
        }
        if leads {
            let slot = Arc::clone(self);
            let reload = async move { slot.load() };
            self.shared.around.env.threads.spawn(Box::pin(reload));
        }
        release
    }

    /// Outside of the monitor: answers, and has done what is to be done.
    fn let_go(&self, release: Release<S>) {
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
