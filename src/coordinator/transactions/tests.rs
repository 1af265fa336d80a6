//! A coordinator as its clients meet it: each command, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::coordinator::{Answer, Outcome, Producer, Shard, ShardContext, Ticket};
use crate::metadata::MetadataImage;
use crate::metadata::features::TRANSACTION_VERSION;
use crate::types::{ErrorCode, Mono, ProducerEpoch, ProducerId, Timestamp};

const ID: &str = "tx";
const LOAD: u64 = 5;

struct Story {
    shard: TransactionShard,
    context: ShardContext,
    tickets: u64,
    ids: ProducerId,
    effects: Vec<TransactionEffect>,
}

fn settings() -> TransactionCoordinatorConfig {
    TransactionCoordinatorConfig {
        max_timeout_ms: 900_000,
        id_expiration_ms: 1_000_000,
        abort_interval: Duration::from_secs(10),
        expiration_interval: Duration::from_hours(1),
    }
}

fn partitions(indexes: &[i32]) -> TransactionPartitions {
    BTreeMap::from([("t".to_owned(), indexes.iter().copied().collect::<BTreeSet<_>>())])
}

fn producer(id: ProducerId, epoch: ProducerEpoch) -> Producer {
    Producer { id, epoch }
}

impl Story {
    fn new(version: i16) -> Self {
        let features = Arc::new(BTreeMap::from([(TRANSACTION_VERSION.to_owned(), version)]));
        let image = MetadataImage { features, ..MetadataImage::default() };
        let context =
            ShardContext { now: Mono(0), wall: Timestamp(1_000_000_000), image: Arc::new(image) };
        let mut shard = TransactionShard::new(settings(), LOAD);
        shard.loaded(&context);
        Self { shard, context, tickets: 0, ids: 100, effects: Vec::new() }
    }

    fn absorb(
        &mut self,
        decision: crate::coordinator::Decision<TransactionShard>,
    ) -> Option<Answer<TransactionShard>> {
        for record in decision.records {
            let (key, value) = TransactionShard::encode(&record).unwrap();
            let read = TransactionShard::decode(&key, value.as_deref()).unwrap();
            self.shard.apply(0, None, read);
        }
        self.effects.extend(decision.effects);
        decision.replies.into_iter().next().map(|(_, answer)| answer)
    }

    fn ask(&mut self, command: TransactionCommand) -> Answer<TransactionShard> {
        self.tickets += 1;
        let decision = self.shard.decide(&self.context, Ticket(self.tickets), command);
        self.absorb(decision).unwrap()
    }

    fn init(&mut self, expected: Option<Producer>) -> Result<Producer, ErrorCode> {
        self.ids += 1;
        let fresh = Some(self.ids);
        let command = TransactionCommand::InitProducerId {
            id: ID.to_owned(),
            timeout_ms: 60_000,
            two_phase: false,
            expected,
            fresh,
        };
        self.ask(command).map(|reply| match reply {
            TransactionReply::Producer(producer) => producer,
            other => panic!("{other:?}"),
        })
    }

    fn add(
        &mut self,
        producer: Producer,
        indexes: &[i32],
        client_version: i16,
    ) -> Option<ErrorCode> {
        let (id, partitions) = (ID.to_owned(), partitions(indexes));
        self.ask(TransactionCommand::AddPartitions { id, producer, partitions, client_version })
            .err()
    }

    fn end(
        &mut self,
        producer: Producer,
        outcome: Outcome,
        client_version: i16,
    ) -> Result<Producer, ErrorCode> {
        self.ids += 1;
        let (id, fresh) = (ID.to_owned(), Some(self.ids));
        let command = TransactionCommand::End { id, producer, outcome, client_version, fresh };
        self.ask(command).map(|reply| match reply {
            TransactionReply::Producer(producer) => producer,
            other => panic!("{other:?}"),
        })
    }

    /// All markers that were asked for are written.
    fn complete(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            let TransactionEffect::WriteMarkers { id, producer, load, .. } = effect else {
                panic!("{effect:?}")
            };
            let written = TransactionCommand::MarkersWritten { id, producer, load };
            assert_eq!(self.ask(written), Ok(TransactionReply::Done));
        }
    }

    fn known(&self) -> &Transaction {
        self.shard.get(ID).unwrap()
    }

    fn wait(&mut self, time: Duration) {
        self.context.now = self.context.now + time;
        self.context.wall = Timestamp(self.context.wall.0 + time.as_millis() as i64);
        while self.shard.deadline().is_some_and(|at| at <= self.context.now) {
            let decision = self.shard.on_deadline(&self.context);
            self.absorb(decision);
        }
    }

    /// As after a restart: only the record is left.
    fn set(
        &mut self,
        state: TransactionState,
        epoch: ProducerEpoch,
        client_version: i16,
    ) -> Producer {
        let mut transaction = Transaction::new(7, 60_000, self.context.wall);
        (transaction.state, transaction.epoch) = (state, epoch);
        transaction.client_version = client_version;
        if state != TransactionState::Empty {
            transaction.started = self.context.wall;
        }
        let record = transaction.to_record(ID, 1);
        self.shard.apply(0, None, machine::Versioned { record, version: 1 });
        producer(7, epoch)
    }
}

#[test]
fn a_new_id_gets_a_producer_and_the_next_to_come_fences_it() {
    let mut story = Story::new(0);
    let first = story.init(None).unwrap();
    assert_eq!(first.epoch, 0);
    let second = story.init(None).unwrap();
    assert_eq!((second.id, second.epoch), (first.id, 1));
    assert_eq!(story.add(first, &[0], 0), Some(ErrorCode::ProducerFenced));
    assert_eq!(story.add(producer(999, 1), &[0], 0), Some(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(story.add(second, &[0], 0), None);
}

#[test]
fn a_timeout_beyond_the_brokers_and_an_empty_id_are_refused() {
    let mut story = Story::new(0);
    let mut ask = |id: &str, timeout_ms| {
        let (id, expected, fresh) = (id.to_owned(), None, Some(1));
        let two_phase = false;
        story
            .ask(TransactionCommand::InitProducerId { id, timeout_ms, two_phase, expected, fresh })
            .err()
    };
    assert_eq!(ask(ID, 900_001), Some(ErrorCode::InvalidTransactionTimeout));
    assert_eq!(ask(ID, 0), Some(ErrorCode::InvalidTransactionTimeout));
    assert_eq!(ask("", 1), Some(ErrorCode::InvalidRequest));
    assert_eq!(ask(ID, 900_000), None);
}

#[test]
fn a_transaction_is_committed_by_its_markers() {
    let mut story = Story::new(0);
    let p = story.init(None).unwrap();
    assert_eq!(story.add(p, &[0, 1], 0), None);
    assert_eq!(story.end(p, Outcome::Committed, 0), Ok(producer(-1, -1)));
    assert_eq!(story.known().state, TransactionState::PrepareCommit);
    assert_eq!(story.end(p, Outcome::Committed, 0), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(story.end(p, Outcome::Aborted, 0), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(story.add(p, &[2], 0), Some(ErrorCode::ConcurrentTransactions));
    assert_eq!(story.init(None), Err(ErrorCode::ConcurrentTransactions));
    let TransactionEffect::WriteMarkers { partitions: wanted, producer: of, outcome, .. } =
        &story.effects[0]
    else {
        panic!("no markers");
    };
    assert_eq!((wanted, *of, *outcome), (&partitions(&[0, 1]), p, Outcome::Committed));
    story.complete();
    assert_eq!(story.known().state, TransactionState::CompleteCommit);
    assert!(story.known().partitions.is_empty());
    assert_eq!(story.end(p, Outcome::Committed, 0), Ok(producer(-1, -1)), "a retry");
    assert_eq!(story.end(p, Outcome::Aborted, 0), Err(ErrorCode::InvalidTxnState));
    assert_eq!(story.add(p, &[2], 0), None, "the next transaction, by the same epoch");
}

#[test]
fn a_producer_that_begins_anew_aborts_what_it_finds_open() {
    for version in [0, 1, 2] {
        let mut story = Story::new(version);
        let p = story.init(None).unwrap();
        story.add(p, &[0], version);
        assert_eq!(story.init(None), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(story.known().state, TransactionState::PrepareAbort);
        assert_eq!(story.known().epoch, 1, "nobody has this epoch");
        assert!(story.end(p, Outcome::Committed, version).is_err());
        story.complete();
        assert_eq!(story.init(None), Ok(producer(p.id, 2)));
    }
}

#[test]
fn under_version_two_every_end_bumps_the_epoch_and_a_retry_is_known_by_it() {
    let mut story = Story::new(2);
    let p = story.init(None).unwrap();
    story.add(p, &[0], 2);
    let next = story.end(p, Outcome::Committed, 2).unwrap();
    assert_eq!(next, producer(p.id, 1));
    assert_eq!(story.end(p, Outcome::Committed, 2), Err(ErrorCode::ConcurrentTransactions));
    story.complete();
    assert_eq!(story.end(p, Outcome::Committed, 2), Ok(next), "its answer was lost");
    assert_eq!(story.end(p, Outcome::Aborted, 2), Err(ErrorCode::InvalidTxnState));
    assert_eq!(story.add(p, &[0], 2), Some(ErrorCode::ProducerFenced));
    assert_eq!(story.add(next, &[0], 2), None);
}

/// Kafka 4.4 `TransactionCoordinator.endTransaction` has this table in its comment.
#[test]
fn an_end_without_a_transaction_is_answered_as_kafka_answers_it() {
    use ErrorCode::{ConcurrentTransactions, InvalidTxnState, ProducerFenced};
    use Outcome::{Aborted, Committed};
    let bumped = Ok(producer(7, 6));
    let done = Ok(producer(7, 5));
    let none = Ok(producer(-1, -1));
    // State, version, how it ends, epoch sent (5 is current), answer.
    let table = [
        (TransactionState::Empty, 2, Aborted, 4, Err(ProducerFenced)),
        (TransactionState::Empty, 2, Aborted, 5, bumped),
        (TransactionState::Empty, 2, Committed, 4, Err(ProducerFenced)),
        (TransactionState::Empty, 2, Committed, 5, Err(InvalidTxnState)),
        (TransactionState::CompleteAbort, 2, Aborted, 4, done),
        (TransactionState::CompleteAbort, 2, Aborted, 5, bumped),
        (TransactionState::CompleteAbort, 2, Committed, 4, Err(InvalidTxnState)),
        (TransactionState::CompleteAbort, 2, Committed, 5, Err(InvalidTxnState)),
        (TransactionState::CompleteCommit, 2, Aborted, 4, Err(InvalidTxnState)),
        (TransactionState::CompleteCommit, 2, Aborted, 5, bumped),
        (TransactionState::CompleteCommit, 2, Committed, 4, done),
        (TransactionState::CompleteCommit, 2, Committed, 5, Err(InvalidTxnState)),
        (TransactionState::PrepareCommit, 2, Committed, 4, Err(ConcurrentTransactions)),
        (TransactionState::PrepareCommit, 2, Aborted, 5, Err(ConcurrentTransactions)),
        (TransactionState::PrepareAbort, 2, Committed, 4, Err(ConcurrentTransactions)),
        (TransactionState::PrepareAbort, 0, Committed, 4, Err(ProducerFenced)),
        (TransactionState::PrepareAbort, 0, Committed, 5, Err(ConcurrentTransactions)),
        (TransactionState::Ongoing, 2, Committed, 4, Err(ProducerFenced)),
        (TransactionState::Ongoing, 2, Committed, 6, Err(ProducerFenced)),
        (TransactionState::Ongoing, 2, Committed, 5, bumped),
        (TransactionState::Empty, 0, Aborted, 5, Err(InvalidTxnState)),
        (TransactionState::Empty, 0, Committed, 5, Err(InvalidTxnState)),
        (TransactionState::CompleteAbort, 0, Aborted, 5, none),
        (TransactionState::CompleteAbort, 0, Committed, 5, Err(InvalidTxnState)),
        (TransactionState::CompleteCommit, 0, Committed, 4, Err(ProducerFenced)),
        (TransactionState::CompleteCommit, 0, Committed, 6, Err(ProducerFenced)),
        (TransactionState::Ongoing, 0, Aborted, 5, none),
    ];
    for (state, version, outcome, epoch, expected) in table {
        let mut story = Story::new(2);
        story.set(state, 5, version);
        let answer = story.end(producer(7, epoch), outcome, version);
        assert_eq!(answer, expected, "{state:?} {version} {outcome:?} {epoch}");
    }
}

#[test]
fn a_producer_whose_epochs_are_used_up_goes_on_under_another_id() {
    let mut story = Story::new(2);
    let last = story.set(TransactionState::Ongoing, ProducerEpoch::MAX - 1, 2);
    let next = story.end(last, Outcome::Committed, 2).unwrap();
    assert_ne!(next.id, last.id);
    assert_eq!(next.epoch, 0);
    let TransactionEffect::WriteMarkers { producer: of, .. } = &story.effects[0] else { panic!() };
    assert_eq!(*of, producer(last.id, ProducerEpoch::MAX), "markers are of the old one");
    story.complete();
    assert_eq!(story.end(last, Outcome::Committed, 2), Ok(next), "its answer was lost");
    assert_eq!(story.add(next, &[0], 2), None);

    let mut story = Story::new(1);
    let last = story.set(TransactionState::CompleteCommit, ProducerEpoch::MAX - 1, 0);
    let next = story.init(Some(last)).unwrap();
    assert!(next.id != last.id && next.epoch == 0);
    assert_eq!(story.init(Some(last)), Ok(next), "its answer was lost");
}

#[test]
fn without_a_producer_id_at_hand_the_coordinator_asks_for_one_and_changes_nothing() {
    let mut story = Story::new(2);
    let last = story.set(TransactionState::Ongoing, ProducerEpoch::MAX - 1, 2);
    let command = TransactionCommand::End {
        id: ID.to_owned(),
        producer: last,
        outcome: Outcome::Aborted,
        client_version: 2,
        fresh: None,
    };
    assert_eq!(story.ask(command), Ok(TransactionReply::WantsProducerId));
    assert_eq!(story.known().state, TransactionState::Ongoing);
    story.wait(Duration::from_secs(80));
    assert_eq!(
        story.effects,
        [TransactionEffect::AbortTimedOut { id: ID.to_owned(), producer: last }]
    );
}

#[test]
fn a_producer_may_bump_its_own_epoch_and_ask_twice() {
    let mut story = Story::new(0);
    let p = story.init(None).unwrap();
    let bumped = story.init(Some(p)).unwrap();
    assert_eq!(bumped, producer(p.id, 1));
    assert_eq!(story.init(Some(p)), Ok(bumped));
    assert_eq!(story.init(Some(producer(p.id, 7))), Err(ErrorCode::ProducerFenced));
    assert_eq!(story.init(Some(producer(999, 1))), Err(ErrorCode::ProducerFenced));
}

#[test]
fn a_transaction_open_for_too_long_is_aborted_with_a_bumped_epoch() {
    let mut story = Story::new(2);
    let p = story.init(None).unwrap();
    story.add(p, &[3], 2);
    story.wait(Duration::from_mins(1));
    assert_eq!(story.known().state, TransactionState::Ongoing);
    story.wait(Duration::from_secs(10));
    assert_eq!(story.known().state, TransactionState::PrepareAbort);
    assert_eq!(story.known().epoch, p.epoch + 1);
    story.complete();
    assert_eq!(story.add(p, &[3], 2), Some(ErrorCode::ProducerFenced));
}

#[test]
fn a_transaction_of_two_phases_is_never_aborted_for_its_time() {
    let mut story = Story::new(2);
    let begin = TransactionCommand::InitProducerId {
        id: ID.to_owned(),
        timeout_ms: 1,
        two_phase: true,
        expected: None,
        fresh: Some(9),
    };
    assert_eq!(story.ask(begin), Ok(TransactionReply::Producer(producer(9, 0))));
    story.add(producer(9, 0), &[0], 2);
    story.wait(Duration::from_hours(24 * 365));
    assert_eq!(story.known().state, TransactionState::Ongoing);
    assert_eq!(story.end(producer(9, 0), Outcome::Committed, 2), Ok(producer(9, 1)));
}

#[test]
fn a_commit_after_its_transaction_timed_out_is_refused_as_kafka_refuses_it() {
    for (version, code) in [(0, ErrorCode::ProducerFenced), (2, ErrorCode::InvalidTxnState)] {
        let mut story = Story::new(version);
        let p = story.init(None).unwrap();
        story.add(p, &[0], version);
        story.wait(Duration::from_secs(80));
        let early = story.end(p, Outcome::Committed, version).unwrap_err();
        assert!([ErrorCode::ConcurrentTransactions, ErrorCode::ProducerFenced].contains(&early));
        story.complete();
        let late = story.end(p, Outcome::Committed, version);
        assert_eq!(late, Err(code), "version {version}");
    }
}

#[test]
fn who_ends_the_next_transaction_while_the_last_still_ends_is_told_to_wait_and_not_fenced() {
    let mut story = Story::new(2);
    let p = story.init(None).unwrap();
    story.add(p, &[0], 2);
    let next = story.end(p, Outcome::Committed, 2).unwrap();
    for outcome in [Outcome::Committed, Outcome::Aborted] {
        assert_eq!(story.end(next, outcome, 2), Err(ErrorCode::ConcurrentTransactions));
    }
    assert_eq!(story.init(Some(next)), Err(ErrorCode::ConcurrentTransactions));
    story.complete();
    let after = story.end(next, Outcome::Aborted, 2).unwrap();
    assert_eq!(after, producer(p.id, 2), "an abort of nothing");
    assert_eq!(story.known().state, TransactionState::PrepareAbort);
}

#[test]
fn a_late_end_of_the_transaction_before_is_told_from_the_end_of_this_one() {
    let mut story = Story::new(2);
    let first = story.init(None).unwrap();
    story.add(first, &[0], 2);
    let second = story.end(first, Outcome::Committed, 2).unwrap();
    story.complete();
    story.add(second, &[0], 2);
    for outcome in [Outcome::Committed, Outcome::Aborted] {
        assert_eq!(story.end(first, outcome, 2), Err(ErrorCode::ProducerFenced));
    }
    assert_eq!(story.known().state, TransactionState::Ongoing, "it goes on");

    // Before version 2 nothing tells them apart: a client must not do it (KAFKA-17754).
    let mut story = Story::new(1);
    let p = story.init(None).unwrap();
    story.add(p, &[0], 0);
    story.end(p, Outcome::Committed, 0).unwrap();
    story.complete();
    story.add(p, &[0], 0);
    assert!(story.end(p, Outcome::Committed, 0).is_ok());
}

#[test]
fn a_producer_under_its_new_id_waits_while_the_transaction_of_its_old_one_ends() {
    let mut story = Story::new(2);
    let last = story.set(TransactionState::Ongoing, ProducerEpoch::MAX - 1, 2);
    let next = story.end(last, Outcome::Committed, 2).unwrap();
    assert_ne!(next.id, last.id);
    assert_eq!(story.add(next, &[0], 2), Some(ErrorCode::ConcurrentTransactions));
    assert_eq!(story.end(next, Outcome::Aborted, 2), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(story.init(Some(next)), Err(ErrorCode::ConcurrentTransactions));
    story.complete();
    assert_eq!(story.add(next, &[0], 2), None);
}

#[test]
fn a_producer_that_is_fenced_again_and_again_gets_no_epoch_beyond_the_last() {
    for version in [1, 2] {
        let mut story = Story::new(version);
        let last = story.set(TransactionState::Ongoing, ProducerEpoch::MAX - 1, version);
        assert_eq!(story.init(None), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(story.known().epoch, ProducerEpoch::MAX, "kept for this");
        story.complete();
        let heir = story.init(None).unwrap();
        assert_ne!(heir.id, last.id);
        assert!(heir.epoch <= 1, "{heir:?}");
        let zombie = story.end(last, Outcome::Committed, version);
        assert_eq!(zombie, Err(ErrorCode::InvalidProducerIdMapping));
    }
}

#[test]
fn two_that_complete_one_transaction_complete_it_once() {
    let mut story = Story::new(2);
    let p = story.init(None).unwrap();
    story.add(p, &[0], 2);
    story.end(p, Outcome::Committed, 2).unwrap();
    let effects = story.effects.clone();
    story.complete();
    let TransactionEffect::WriteMarkers { id, producer, load, .. } = effects[0].clone() else {
        panic!()
    };
    let again = story.ask(TransactionCommand::MarkersWritten { id, producer, load });
    assert_eq!(again, Err(ErrorCode::InvalidTxnState));
    assert_eq!(story.known().state, TransactionState::CompleteCommit);
}

#[test]
fn a_coordinator_that_was_read_again_completes_a_transaction_by_its_own_markers_alone() {
    // Before version 2 the next transaction has the same epoch: markers that come after the end of
    // this one would end that.
    let mut story = Story::new(1);
    let p = story.set(TransactionState::PrepareCommit, 3, 0);
    let again = story.shard.loaded(&story.context).effects;
    let before =
        TransactionCommand::MarkersWritten { id: ID.to_owned(), producer: p, load: LOAD - 1 };
    assert_eq!(story.ask(before), Err(ErrorCode::NotCoordinator));
    assert_eq!(story.known().state, TransactionState::PrepareCommit);
    assert_eq!(story.add(p, &[0], 0), Some(ErrorCode::ConcurrentTransactions));
    story.effects = again;
    story.complete();
    assert_eq!(story.known().state, TransactionState::CompleteCommit);
    assert_eq!(story.add(p, &[0], 0), None);
}

#[test]
fn a_transaction_with_offsets_alone_has_markers_and_one_with_nothing_has_none() {
    let mut story = Story::new(2);
    let p = story.init(None).unwrap();
    let offsets =
        TransactionPartitions::from([("__consumer_offsets".to_owned(), BTreeSet::from([7]))]);
    let add = TransactionCommand::AddPartitions {
        id: ID.to_owned(),
        producer: p,
        partitions: offsets.clone(),
        client_version: 2,
    };
    assert_eq!(story.ask(add), Ok(TransactionReply::Done));
    let next = story.end(p, Outcome::Committed, 2).unwrap();
    let TransactionEffect::WriteMarkers { partitions: marked, .. } = &story.effects[0] else {
        panic!()
    };
    assert_eq!(*marked, offsets);
    story.complete();
    assert_eq!(story.end(next, Outcome::Committed, 2), Err(ErrorCode::InvalidTxnState));
    story.end(next, Outcome::Aborted, 2).unwrap();
    let TransactionEffect::WriteMarkers { partitions: marked, .. } = &story.effects[0] else {
        panic!()
    };
    assert!(marked.is_empty(), "an abort of nothing ends by itself");
    story.complete();
    assert_eq!(story.known().state, TransactionState::CompleteAbort);
}

#[test]
fn an_id_that_was_forgotten_and_comes_back_is_another_producer() {
    let mut story = Story::new(2);
    let p = story.init(None).unwrap();
    story.wait(Duration::from_hours(8 * 24));
    assert!(story.shard.get(ID).is_none());
    assert_eq!(story.add(p, &[0], 2), Some(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(story.end(p, Outcome::Committed, 2), Err(ErrorCode::InvalidProducerIdMapping));
    // As a Java producer does it from then on.
    let again = story.init(Some(p)).unwrap();
    assert_ne!(again.id, p.id);
    assert_eq!(story.add(again, &[0], 2), None);
}

#[test]
fn an_id_without_an_epoch_is_forgotten_and_one_that_comes_back_before_begins_with_the_first() {
    // As Apache Kafka leaves one whose first producer never got its epoch (KAFKA-14880).
    let mut story = Story::new(0);
    story.set(TransactionState::Empty, -1, 0);
    story.wait(Duration::from_hours(1));
    assert!(story.shard.get(ID).is_none());
    story.set(TransactionState::Empty, -1, 0);
    assert_eq!(story.init(None), Ok(producer(7, 0)));
}

#[test]
fn an_id_that_is_not_used_is_forgotten_unless_a_transaction_is_open() {
    let mut story = Story::new(0);
    story.set(TransactionState::Ongoing, 0, 0);
    story.shard.apply(
        0,
        None,
        machine::Versioned {
            record: Transaction::new(8, 60_000, story.context.wall).to_record("other", 0),
            version: 0,
        },
    );
    story.wait(Duration::from_hours(1));
    assert!(story.shard.get("other").is_none());
    assert!(story.shard.get(ID).is_some());
}

#[test]
fn after_a_restart_unfinished_transactions_get_their_markers() {
    for (state, outcome) in [
        (TransactionState::PrepareCommit, Outcome::Committed),
        (TransactionState::PrepareAbort, Outcome::Aborted),
    ] {
        let mut story = Story::new(2);
        let p = story.set(state, 3, 2);
        let decision = story.shard.loaded(&story.context);
        let [TransactionEffect::WriteMarkers { producer: of, outcome: how, version: 2, .. }] =
            &decision.effects[..]
        else {
            panic!("{:?}", decision.effects);
        };
        assert_eq!((*of, *how), (p, outcome));
    }
}

#[test]
fn a_partition_that_is_not_in_the_transaction_does_not_verify() {
    let mut story = Story::new(1);
    let p = story.init(None).unwrap();
    story.add(p, &[0], 0);
    let ask = |producer| TransactionCommand::Verify {
        id: ID.to_owned(),
        producer,
        partitions: partitions(&[0, 1]),
    };
    let t = || "t".to_owned();
    assert_eq!(
        story.ask(ask(p)),
        Ok(TransactionReply::Verified(vec![
            (t(), 0, ErrorCode::None),
            (t(), 1, ErrorCode::TransactionAbortable)
        ]))
    );
    assert_eq!(story.ask(ask(producer(p.id, 9))), Err(ErrorCode::ProducerFenced));
    story.end(p, Outcome::Committed, 0).unwrap();
    assert_eq!(story.ask(ask(p)), Err(ErrorCode::ConcurrentTransactions));
}

#[test]
fn ids_are_described_and_listed_by_what_they_are() {
    let mut story = Story::new(2);
    let p = story.init(None).unwrap();
    story.add(p, &[0], 2);
    let described = story.ask(TransactionCommand::Describe { id: ID.to_owned() });
    let Ok(TransactionReply::Described(description)) = described else { panic!("{described:?}") };
    assert_eq!((description.state, description.producer_id), (TransactionState::Ongoing, p.id));
    let missing = story.ask(TransactionCommand::Describe { id: "other".to_owned() });
    assert_eq!(missing, Err(ErrorCode::TransactionalIdNotFound));
    let mut count = |filter| match story.ask(TransactionCommand::List { filter }) {
        Ok(TransactionReply::Listed(listed)) => listed.len(),
        other => panic!("{other:?}"),
    };
    let all = TransactionFilter { longer_than_ms: -1, ..TransactionFilter::default() };
    assert_eq!(count(all.clone()), 1);
    assert_eq!(
        count(TransactionFilter { states: Some(vec![TransactionState::Empty]), ..all.clone() }),
        0
    );
    assert_eq!(count(TransactionFilter { producer_ids: BTreeSet::from([1]), ..all.clone() }), 0);
    assert_eq!(count(TransactionFilter { longer_than_ms: 10, ..all }), 0);
}
