//! What happens to transactional ids, and when.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;

use super::queries::{Listed, TransactionDescription, TransactionFilter};
use super::state::{Transaction, TransactionPartitions, TransactionState, is_exhausted};
use crate::codec::CodecError;
use crate::coordinator::records::transaction::TransactionLogKey;
use crate::coordinator::records::{CoordinatorRecordError, TransactionRecord};
use crate::coordinator::{Answer, Decision, Outcome, Producer, Shard, ShardContext, Ticket};
use crate::metadata::features::TRANSACTION_VERSION;
use crate::types::{
    ErrorCode, Mono, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_TIMESTAMP, Offset, PartitionIndex,
    ProducerEpoch, ProducerId,
};

/// Settings of the coordinators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionCoordinatorConfig {
    /// `transaction.max.timeout.ms`.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub abort_interval: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub expiration_interval: Duration,
}

/// What a coordinator is asked. Where a new producer id may be needed, `fresh` is one that nobody
/// has; without it the answer may be [`TransactionReply::WantsProducerId`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionCommand {
    /// A producer begins: earlier ones of the same id are fenced.
    InitProducerId {
        /// The transactional id.
        id: String,
        /// How long its transactions may stay open.
        timeout_ms: i32,
        /// Whether they never time out instead (KIP-939).
        two_phase: bool,
        /// What the producer believes it is (KIP-360).
        expected: Option<Producer>,
        /// A new producer id.
        fresh: Option<ProducerId>,
    },
    /// Partitions join the transaction, which begins with the first.
    AddPartitions {
        /// The transactional id.
        id: String,
        /// Who asks.
        producer: Producer,
        /// What joins.
        partitions: TransactionPartitions,
        /// By which version the client will end the transaction.
        client_version: i16,
    },
    /// Are these partitions in the transaction?
    Verify {
        /// The transactional id.
        id: String,
        /// Who asks.
        producer: Producer,
        /// Which.
        partitions: TransactionPartitions,
    },
    /// The transaction ends.
    End {
        /// The transactional id.
        id: String,
        /// Who asks.
        producer: Producer,
        /// How.
        outcome: Outcome,
        /// By which version.
        client_version: i16,
        /// A new producer id.
        fresh: Option<ProducerId>,
    },
    /// The transaction of this producer has been open for too long.
    AbortTimedOut {
        /// The transactional id.
        id: String,
        /// Whose time was over when it was looked.
        producer: Producer,
        /// A new producer id.
        fresh: Option<ProducerId>,
    },
    /// All markers are written.
    MarkersWritten {
        /// The transactional id.
        id: String,
        /// The producer that the markers are of.
        producer: Producer,
        /// Who asked for them, as in [`TransactionEffect::WriteMarkers`].
        load: u64,
    },
    /// What is known of an id?
    Describe {
        /// The transactional id.
        id: String,
    },
    /// Which ids are there?
    List {
        /// Of which kind.
        filter: TransactionFilter,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionReply {
    /// It is done.
    Done,
    /// Go on as this producer.
    Producer(Producer),
    /// Ask again, with a producer id that nobody has.
    WantsProducerId,
    /// An answer for each partition.
    Verified(Vec<(String, PartitionIndex, ErrorCode)>),
    /// Of one id.
    Described(TransactionDescription),
    /// Of all.
    Listed(Vec<Listed>),
}

/// What others are to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionEffect {
    /// Write markers into all these partitions, then say [`TransactionCommand::MarkersWritten`].
    WriteMarkers {
        /// The transactional id.
        id: String,
        /// The load of the coordinator that asks, see [`TransactionShard::new`].
        load: u64,
        /// The producer, with the epoch that the markers carry.
        producer: Producer,
        /// How the transaction ends.
        outcome: Outcome,
        /// By which version.
        version: i16,
        /// Where.
        partitions: TransactionPartitions,
    },
    /// Say [`TransactionCommand::AbortTimedOut`], with a producer id.
    AbortTimedOut {
        /// The transactional id.
        id: String,
        /// Whose time is over.
        producer: Producer,
    },
}

/// A record with the version of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The record.
    pub record: TransactionRecord,
    /// 1 under transaction.version 1 and later, else 0.
    pub version: i16,
}

/// The timeout of transactions that have none: they are prepared, and another system says how they
/// end (KIP-939).
const NEVER_MS: i32 = i32::MAX;

/// An id, and what is not kept.
#[derive(Clone, Debug)]
struct TransactionEntry {
    transaction: Transaction,
    /// The epoch before the last bump that a producer asked for: if it asks again, the answer was
    /// lost.
    last_epoch: ProducerEpoch,
}

/// The coordinator of one partition.
pub struct TransactionShard {
    settings: TransactionCoordinatorConfig,
    load: u64,
    ids: BTreeMap<String, TransactionEntry>,
    next_abort_scan: Option<Mono>,
    next_expiration_scan: Option<Mono>,
    /// What a scan found.
    due: VecDeque<DueTransition>,
}

enum DueTransition {
    TimedOut(String, Producer),
    Expired(String),
}

type D = Decision<TransactionShard>;

fn server_version(context: &ShardContext) -> i16 {
    context.image.features.get(TRANSACTION_VERSION).copied().unwrap_or(0)
}

impl TransactionShard {
    /// Knows nothing yet. No two have the same `load`: a partition that is read again asks for all
    /// unwritten markers anew, and only they complete a transaction from then on. Were one completed
    /// by those that were asked for before, the new ones could end the next of the same epoch.
    pub fn new(settings: TransactionCoordinatorConfig, load: u64) -> Self {
        Self {
            settings,
            load,
            ids: BTreeMap::new(),
            next_abort_scan: None,
            next_expiration_scan: None,
            due: VecDeque::new(),
        }
    }

    /// What is known of an id.
    pub fn get(&self, id: &str) -> Option<&Transaction> {
        self.ids.get(id).map(|entry| &entry.transaction)
    }

    /// The change of an id: its record, and the answer behind it.
    fn change(
        &self,
        context: &ShardContext,
        id: &str,
        mut next: Transaction,
        before: &Transaction,
        reply: Option<(Ticket, Answer<Self>)>,
    ) -> D {
        next.previous_producer_id = before.producer_id;
        next.updated = context.wall;
        let mut effects = Vec::new();
        effects.extend(markers(id, self.load, &next));
        let version = i16::from(server_version(context) >= 1);
        let records = vec![Versioned { record: next.to_record(id, version), version }];
        Decision { records, replies: reply.into_iter().collect(), effects, ..Decision::default() }
    }

    fn init_producer_id(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        id: &str,
        (timeout_ms, two_phase): (i32, bool),
        (expected, fresh): (Option<Producer>, Option<ProducerId>),
    ) -> D {
        let refuse = |code| Decision::answer(ticket, Err(code));
        let wants_id = || Decision::answer(ticket, Ok(TransactionReply::WantsProducerId));
        if id.is_empty() {
            return refuse(ErrorCode::InvalidRequest);
        }
        if timeout_ms <= 0 || (timeout_ms > self.settings.max_timeout_ms && !two_phase) {
            return refuse(ErrorCode::InvalidTransactionTimeout);
        }
        let timeout_ms = if two_phase { NEVER_MS } else { timeout_ms };
        let Some(entry) = self.ids.get_mut(id) else {
            let Some(producer_id) = fresh else { return wants_id() };
            let before = Transaction::new(producer_id, timeout_ms, context.wall);
            let next = Transaction { epoch: 0, ..before.clone() };
            let producer = Producer { id: producer_id, epoch: 0 };
            let reply = (ticket, Ok(TransactionReply::Producer(producer)));
            return self.change(context, id, next, &before, Some(reply));
        };
        let before = entry.transaction.clone();
        // First: who goes on is known when the transaction has ended, and not before.
        if before.state.is_ending() {
            return refuse(ErrorCode::ConcurrentTransactions);
        }
        let is_known = |asked: Producer| {
            asked.id == before.producer_id
                || (asked.id == before.previous_producer_id && is_exhausted(asked.epoch))
        };
        if expected.is_some_and(|asked| !is_known(asked)) {
            return refuse(ErrorCode::ProducerFenced);
        }
        if before.state == TransactionState::Ongoing {
            return self.fence(context, id, fresh, Some(ticket));
        }
        let exhausted = is_exhausted(before.epoch);
        let (producer, last_epoch) = match expected {
            _ if exhausted && expected.is_none_or(|asked| asked.epoch == before.epoch) => {
                let Some(producer_id) = fresh else { return wants_id() };
                let last = if expected.is_some() { before.epoch } else { NO_PRODUCER_EPOCH };
                (Producer { id: producer_id, epoch: 0 }, last)
            }
            None => {
                let producer = Producer { id: before.producer_id, epoch: before.epoch + 1 };
                (producer, NO_PRODUCER_EPOCH)
            }
            Some(asked) if asked.epoch == before.epoch => {
                (Producer { id: before.producer_id, epoch: before.epoch + 1 }, before.epoch)
            }
            Some(asked) if asked.epoch == entry.last_epoch => {
                (Producer { id: before.producer_id, epoch: before.epoch }, entry.last_epoch)
            }
            Some(_) => return refuse(ErrorCode::ProducerFenced),
        };
        entry.last_epoch = last_epoch;
        let next = Transaction {
            producer_id: producer.id,
            epoch: producer.epoch,
            next_producer_id: NO_PRODUCER_ID,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: TransactionPartitions::new(),
            started: NO_TIMESTAMP,
            ..before.clone()
        };
        self.change(
            context,
            id,
            next,
            &before,
            Some((ticket, Ok(TransactionReply::Producer(producer)))),
        )
    }

    /// Aborts an open transaction with a bumped epoch, which no client is given. Who began anew
    /// and came upon it tries again until the abort is complete.
    fn fence(
        &mut self,
        context: &ShardContext,
        id: &str,
        fresh: Option<ProducerId>,
        ticket: Option<Ticket>,
    ) -> D {
        let version = server_version(context);
        let Some(entry) = self.ids.get_mut(id) else { return Decision::default() };
        let before = entry.transaction.clone();
        let mut next_producer_id = NO_PRODUCER_ID;
        if version >= 2 && is_exhausted(before.epoch) {
            let Some(producer_id) = fresh else {
                let reply = ticket.map(|ticket| (ticket, Ok(TransactionReply::WantsProducerId)));
                let producer = Producer { id: before.producer_id, epoch: before.epoch };
                let effect = TransactionEffect::AbortTimedOut { id: id.to_owned(), producer };
                let effects = if reply.is_none() { vec![effect] } else { Vec::new() };
                let replies = reply.into_iter().collect();
                return Decision { replies, effects, ..Decision::default() };
            };
            next_producer_id = producer_id;
        }
        entry.last_epoch = if version >= 2 { before.epoch } else { NO_PRODUCER_EPOCH };
        let next = Transaction {
            epoch: before.epoch.saturating_add(1),
            next_producer_id,
            state: TransactionState::PrepareAbort,
            client_version: if version >= 2 { version } else { 0 },
            ..before.clone()
        };
        let reply = ticket.map(|ticket| (ticket, Err(ErrorCode::ConcurrentTransactions)));
        self.change(context, id, next, &before, reply)
    }

    /// The id, if this producer may go on with it now.
    fn of_producer(&self, id: &str, producer: Producer) -> Result<&Transaction, ErrorCode> {
        let known = self.known(id)?;
        if known.producer_id != producer.id {
            Err(ErrorCode::InvalidProducerIdMapping)
        } else if known.epoch != producer.epoch {
            Err(ErrorCode::ProducerFenced)
        } else if known.state.is_ending() {
            Err(ErrorCode::ConcurrentTransactions)
        } else {
            Ok(known)
        }
    }

    fn known(&self, id: &str) -> Result<&Transaction, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        self.get(id).ok_or(ErrorCode::InvalidProducerIdMapping)
    }

    fn add_partitions(
        &self,
        context: &ShardContext,
        ticket: Ticket,
        (id, producer): (&str, Producer),
        partitions: TransactionPartitions,
        client_version: i16,
    ) -> D {
        // While a transaction ends, its producer may already be another one, which takes over where
        // epochs are used up: it is told to wait before it is looked at.
        let free = self.known(id).and_then(|known| {
            if known.state.is_ending() { Err(ErrorCode::ConcurrentTransactions) } else { Ok(()) }
        });
        let before = match free.and_then(|()| self.of_producer(id, producer)) {
            Ok(known) => known,
            Err(code) => return Decision::answer(ticket, Err(code)),
        };
        let is_open = before.state == TransactionState::Ongoing;
        if is_open && before.holds(&partitions) {
            return Decision::answer(ticket, Ok(TransactionReply::Done));
        }
        let mut next = before.clone();
        if !is_open {
            next.started = context.wall;
        }
        for (topic, indexes) in partitions {
            next.partitions.entry(topic).or_default().extend(indexes);
        }
        next.state = TransactionState::Ongoing;
        next.client_version = client_version;
        self.change(context, id, next, before, Some((ticket, Ok(TransactionReply::Done))))
    }

    fn verify(&self, id: &str, producer: Producer, asked: TransactionPartitions) -> Answer<Self> {
        let known = self.of_producer(id, producer)?;
        let mut verified = Vec::new();
        for (topic, indexes) in asked {
            let held = known.partitions.get(&topic);
            for index in indexes {
                let is_in = held.is_some_and(|held| held.contains(&index));
                let code = if is_in { ErrorCode::None } else { ErrorCode::TransactionAbortable };
                verified.push((topic.clone(), index, code));
            }
        }
        Ok(TransactionReply::Verified(verified))
    }

    /// EndTxn of a client. Under version 2 every end bumps the epoch, so that a request that is
    /// sent again is told from the next by its epoch.
    fn end(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        (id, producer): (&str, Producer),
        outcome: Outcome,
        (version, fresh): (i16, Option<ProducerId>),
    ) -> D {
        let bumps = version >= 2;
        let answer = match self.judge_end(id, producer, outcome, bumps) {
            Err(code) => Err(code),
            Ok(EndOutcome::Again(producer)) => Ok(TransactionReply::Producer(producer)),
            Ok(EndOutcome::New { without_records }) => {
                let Some(entry) = self.ids.get_mut(id) else { return Decision::default() };
                let before = entry.transaction.clone();
                let mut next = before.clone();
                next.state = match outcome {
                    Outcome::Committed => TransactionState::PrepareCommit,
                    Outcome::Aborted => TransactionState::PrepareAbort,
                };
                next.next_producer_id = NO_PRODUCER_ID;
                let mut answered = Producer { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH };
                if bumps {
                    next.epoch = before.epoch.saturating_add(1);
                    answered = Producer { id: before.producer_id, epoch: next.epoch };
                    if is_exhausted(before.epoch) {
                        let Some(producer_id) = fresh else {
                            return Decision::answer(ticket, Ok(TransactionReply::WantsProducerId));
                        };
                        next.next_producer_id = producer_id;
                        answered = Producer { id: producer_id, epoch: 0 };
                    }
                    entry.last_epoch = before.epoch;
                }
                if without_records {
                    next.started = context.wall;
                }
                next.client_version = if bumps { version } else { 0 };
                let reply = (ticket, Ok(TransactionReply::Producer(answered)));
                return self.change(context, id, next, &before, Some(reply));
            }
        };
        Decision::answer(ticket, answer)
    }

    /// What an EndTxn is, or why it is refused. While another end is under way, whoever asks is told
    /// to wait: under version 2 before anything else is looked at, since its producer has gone on
    /// with an epoch, or an id, that is not current yet (KAFKA-18464).
    fn judge_end(
        &self,
        id: &str,
        producer: Producer,
        outcome: Outcome,
        bumps: bool,
    ) -> Result<EndOutcome, ErrorCode> {
        let known = self.known(id)?;
        if bumps && known.state.is_ending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let none = Producer { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH };
        let current = Producer { id: known.producer_id, epoch: known.epoch };
        let is_current = producer.epoch == known.epoch;
        // Its answer was lost, and it had used up the epochs.
        let after_rotation = bumps
            && known.previous_producer_id == producer.id
            && producer.epoch == ProducerEpoch::MAX - 1
            && known.epoch == 0;
        let after_bump = bumps && i32::from(known.epoch) == i32::from(producer.epoch) + 1;
        if known.producer_id != producer.id && !after_rotation {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        let has_ended = matches!(
            known.state,
            TransactionState::CompleteCommit | TransactionState::CompleteAbort
        );
        if !is_current && !(has_ended && (after_bump || after_rotation)) {
            return Err(ErrorCode::ProducerFenced);
        }
        let is_again = !bumps || after_bump || after_rotation;
        let again = if bumps { current } else { none };
        let commits = outcome == Outcome::Committed;
        match known.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            TransactionState::Ongoing => Ok(EndOutcome::New { without_records: false }),
            TransactionState::Empty if bumps && !commits => {
                Ok(EndOutcome::New { without_records: true })
            }
            TransactionState::CompleteCommit if commits && is_again => Ok(EndOutcome::Again(again)),
            TransactionState::CompleteAbort if !commits && is_again => Ok(EndOutcome::Again(again)),
            TransactionState::CompleteCommit | TransactionState::CompleteAbort
                if !commits && !is_again =>
            {
                Ok(EndOutcome::New { without_records: true })
            }
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }

    fn markers_written(
        &self,
        context: &ShardContext,
        ticket: Ticket,
        id: &str,
        (of, load): (Producer, u64),
    ) -> D {
        if load != self.load {
            return Decision::answer(ticket, Err(ErrorCode::NotCoordinator));
        }
        let Some(before) = self.get(id) else {
            return Decision::answer(ticket, Err(ErrorCode::InvalidProducerIdMapping));
        };
        let state = match before.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            TransactionState::PrepareAbort => TransactionState::CompleteAbort,
            _ => return Decision::answer(ticket, Err(ErrorCode::InvalidTxnState)),
        };
        if before.producer_id != of.id || before.epoch != of.epoch {
            return Decision::answer(ticket, Err(ErrorCode::ProducerFenced));
        }
        let mut next = before.clone();
        next.state = state;
        next.partitions.clear();
        if before.client_version >= 2 && before.next_producer_id != NO_PRODUCER_ID {
            (next.producer_id, next.epoch) = (before.next_producer_id, 0);
        }
        next.next_producer_id = NO_PRODUCER_ID;
        self.change(context, id, next, before, Some((ticket, Ok(TransactionReply::Done))))
    }

    fn expel(
        &mut self,
        context: &ShardContext,
        (id, producer): (&str, Producer),
        fresh: Option<ProducerId>,
        ticket: Option<Ticket>,
    ) -> D {
        let is_it = self.get(id).is_some_and(|known| {
            known.state == TransactionState::Ongoing
                && known.producer_id == producer.id
                && known.epoch == producer.epoch
        });
        if is_it {
            tracing::info!(transactional_id = id, "a transaction is aborted, its time is over");
            return self.fence(context, id, fresh, ticket);
        }
        // It has ended, or another producer goes on.
        let replies = ticket.map(|ticket| (ticket, Err(ErrorCode::ProducerFenced)));
        Decision { replies: replies.into_iter().collect(), ..Decision::default() }
    }

    fn scan(&mut self, context: &ShardContext) {
        let wall = context.wall.0;
        if self.next_abort_scan.is_some_and(|at| at <= context.now) {
            self.next_abort_scan = Some(context.now + self.settings.abort_interval);
            for (id, TransactionEntry { transaction, .. }) in &self.ids {
                let end = transaction.started.0.saturating_add(transaction.timeout_ms.into());
                let never = transaction.timeout_ms == NEVER_MS;
                if transaction.state == TransactionState::Ongoing && !never && end < wall {
                    let (id, epoch) = (id.clone(), transaction.epoch);
                    let producer = Producer { id: transaction.producer_id, epoch };
                    self.due.push_back(DueTransition::TimedOut(id, producer));
                }
            }
        }
        if self.next_expiration_scan.is_some_and(|at| at <= context.now) {
            self.next_expiration_scan = Some(context.now + self.settings.expiration_interval);
            let before = wall.saturating_sub(self.settings.id_expiration_ms);
            for (id, TransactionEntry { transaction, .. }) in &self.ids {
                if transaction.state.may_expire() && transaction.updated.0 <= before {
                    self.due.push_back(DueTransition::Expired(id.clone()));
                }
            }
        }
    }
}

/// What an EndTxn is.
enum EndOutcome {
    New {
        without_records: bool,
    },
    /// It was done before.
    Again(Producer),
}

/// The markers that a transaction still needs.
fn markers(id: &str, load: u64, transaction: &Transaction) -> Option<TransactionEffect> {
    let outcome = match transaction.state {
        TransactionState::PrepareCommit => Outcome::Committed,
        TransactionState::PrepareAbort => Outcome::Aborted,
        _ => return None,
    };
    Some(TransactionEffect::WriteMarkers {
        id: id.to_owned(),
        load,
        producer: Producer { id: transaction.producer_id, epoch: transaction.epoch },
        outcome,
        version: transaction.client_version,
        partitions: transaction.partitions.clone(),
    })
}

impl Shard for TransactionShard {
    type Record = Versioned;
    type Command = TransactionCommand;
    type Reply = TransactionReply;
    type Effect = TransactionEffect;
    type Undo = ();

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Versioned, CoordinatorRecordError> {
        let (record, version) = TransactionRecord::decode(key, value)?;
        Ok(Versioned { record, version })
    }

    fn encode(record: &Versioned) -> Result<(BytesMut, Option<BytesMut>), CodecError> {
        record.record.encode(record.version)
    }

    fn apply(&mut self, _offset: Offset, _producer: Option<Producer>, record: Versioned) {
        let TransactionRecord::TransactionLog(key, value) = record.record;
        match value.and_then(Transaction::from_value) {
            None => {
                self.ids.remove(&key.transactional_id);
            }
            Some(transaction) => match self.ids.get_mut(&key.transactional_id) {
                Some(entry) => entry.transaction = transaction,
                None => {
                    let entry = TransactionEntry { transaction, last_epoch: NO_PRODUCER_EPOCH };
                    self.ids.insert(key.transactional_id, entry);
                }
            },
        }
    }

    fn apply_marker(&mut self, _producer: Producer, _outcome: Outcome) {
        // No transaction writes to this topic.
    }

    fn loaded(&mut self, context: &ShardContext) -> D {
        self.next_abort_scan = Some(context.now + self.settings.abort_interval);
        self.next_expiration_scan = Some(context.now + self.settings.expiration_interval);
        let (ids, load) = (self.ids.iter(), self.load);
        let unfinished = ids.filter_map(|(id, entry)| markers(id, load, &entry.transaction));
        Decision { effects: unfinished.collect(), ..Decision::default() }
    }

    fn decide(&mut self, context: &ShardContext, ticket: Ticket, command: TransactionCommand) -> D {
        match command {
            TransactionCommand::InitProducerId { id, timeout_ms, two_phase, expected, fresh } => {
                let timeout = (timeout_ms, two_phase);
                self.init_producer_id(context, ticket, &id, timeout, (expected, fresh))
            }
            TransactionCommand::AddPartitions { id, producer, partitions, client_version } => {
                self.add_partitions(context, ticket, (&id, producer), partitions, client_version)
            }
            TransactionCommand::Verify { id, producer, partitions } => {
                Decision::answer(ticket, self.verify(&id, producer, partitions))
            }
            TransactionCommand::End { id, producer, outcome, client_version, fresh } => {
                self.end(context, ticket, (&id, producer), outcome, (client_version, fresh))
            }
            TransactionCommand::AbortTimedOut { id, producer, fresh } => {
                self.expel(context, (&id, producer), fresh, Some(ticket))
            }
            TransactionCommand::MarkersWritten { id, producer, load } => {
                self.markers_written(context, ticket, &id, (producer, load))
            }
            TransactionCommand::Describe { id } => {
                let answer = match self.get(&id) {
                    _ if id.is_empty() => Err(ErrorCode::InvalidRequest),
                    None => Err(ErrorCode::TransactionalIdNotFound),
                    Some(known) => Ok(TransactionReply::Described(known.into())),
                };
                Decision::answer(ticket, answer)
            }
            TransactionCommand::List { filter } => {
                let admitted = self
                    .ids
                    .iter()
                    .filter(|(_, entry)| filter.admits(&entry.transaction, context.wall));
                let listed = admitted.map(|(id, TransactionEntry { transaction, .. })| Listed {
                    id: id.clone(),
                    producer_id: transaction.producer_id,
                    state: transaction.state,
                });
                Decision::answer(ticket, Ok(TransactionReply::Listed(listed.collect())))
            }
        }
    }

    fn deadline(&self) -> Option<Mono> {
        if !self.due.is_empty() {
            return Some(Mono::default());
        }
        self.next_abort_scan.into_iter().chain(self.next_expiration_scan).min()
    }

    fn on_deadline(&mut self, context: &ShardContext) -> D {
        match self.due.pop_front() {
            None => {
                self.scan(context);
                Decision::default()
            }
            Some(DueTransition::TimedOut(id, producer)) => {
                self.expel(context, (&id, producer), None, None)
            }
            Some(DueTransition::Expired(id)) => {
                let before = context.wall.0.saturating_sub(self.settings.id_expiration_ms);
                let expired = self
                    .get(&id)
                    .is_some_and(|known| known.state.may_expire() && known.updated.0 <= before);
                if !expired {
                    return Decision::default();
                }
                let version = i16::from(server_version(context) >= 1);
                let key = TransactionLogKey { transactional_id: id };
                let record = TransactionRecord::TransactionLog(key, None);
                Decision { records: vec![Versioned { record, version }], ..Decision::default() }
            }
        }
    }

    fn refused(&mut self, _moment: &ShardContext, (): ()) -> D {
        Decision::default()
    }
}
