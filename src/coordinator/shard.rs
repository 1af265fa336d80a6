//! A coordinator for one partition of an internal topic, as a machine: commands in, records and
//! replies out. What runs it is `drivers/coordinators` (Kafka 4.4 `CoordinatorRuntime`,
//! `CoordinatorShard`).
//!
//! A shard has hard state, which its records make and [`Shard::apply`] alone changes, and soft
//! state: who waits for what, and until when. Records are applied at once when they are decided;
//! whatever is answered after leaves when they are committed. If they cannot be written, the shard
//! is thrown away and loaded from the log again.

use std::sync::Arc;

use bytes::BytesMut;

use super::records::CoordinatorRecordError;
use crate::codec::CodecError;
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, Mono, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Names a command whose reply is outstanding. Never used twice by one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The world as a decision sees it.
#[derive(Clone)]
pub struct ShardContext {
    /// For deadlines.
    pub now: Mono,
    /// For what is stored.
    pub wall: Timestamp,
    /// The cluster.
    pub image: Arc<MetadataImage>,
}

/// A producer whose transaction holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its records count.
    Committed,
    /// They never were.
    Aborted,
}

/// What a command is answered with.
pub type Answer<S> = Result<<S as Shard>::Reply, ErrorCode>;

/// What a shard decided.
pub struct Decision<S: Shard> {
    /// To be written together, or not at all; unless `in_pieces`.
    pub records: Vec<S::Record>,
    /// The records have nothing to do with one another, and may be written in several batches.
    pub in_pieces: bool,
    /// The records are part of this producer's transaction.
    pub producer: Option<Producer>,
    /// Answers, each to this command or to one that has waited. They leave when the records, and
    /// all that were decided before, are committed.
    pub replies: Vec<(Ticket, Answer<S>)>,
    /// What is to be done elsewhere, at the same time as the replies.
    pub effects: Vec<S::Effect>,
    /// Given to [`Shard::refused`] if the records are too large for a batch of the topic. They are
    /// not applied then, and the replies are replaced by an error.
    pub undo: Option<S::Undo>,
}

impl<S: Shard> Default for Decision<S> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            in_pieces: false,
            producer: None,
            replies: Vec::new(),
            effects: Vec::new(),
            undo: None,
        }
    }
}

impl<S: Shard> Decision<S> {
    /// Nothing is written, and the command answered.
    pub fn answer(ticket: Ticket, answer: Answer<S>) -> Self {
        Self { replies: vec![(ticket, answer)], ..Self::default() }
    }

    /// The records are written, then the command is answered.
    pub fn write(records: Vec<S::Record>, ticket: Ticket, answer: Answer<S>) -> Self {
        Self { records, replies: vec![(ticket, answer)], ..Self::default() }
    }
}

/// A coordinator of one partition.
pub trait Shard: Sized + Send + 'static {
    /// A record of the topic.
    type Record: Send;
    /// What it can be asked.
    type Command: Send;
    /// What it answers.
    type Reply: Send;
    /// What it has others do.
    type Effect: Send;
    /// What it needs to take back a decision whose records are too large.
    type Undo: Send;

    /// Reads a record of the log. `UnknownType` is passed over and kept; anything else ends the
    /// load.
    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self::Record, CoordinatorRecordError>;

    /// Key and value of a record, as they are written.
    fn encode(record: &Self::Record) -> Result<(BytesMut, Option<BytesMut>), CodecError>;

    /// A record is in the log, or about to be, at `offset`; with a producer it is part of a
    /// transaction that is open. Never fails.
    fn apply(&mut self, offset: Offset, producer: Option<Producer>, record: Self::Record);

    /// A marker that ends a transaction is in the log.
    fn apply_marker(&mut self, producer: Producer, outcome: Outcome);

    /// The log was read to its end: the shard begins to decide.
    fn loaded(&mut self, context: &ShardContext) -> Decision<Self>;

    /// A command. One that is not answered in the decision waits, under its ticket.
    fn decide(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        command: Self::Command,
    ) -> Decision<Self>;

    /// Whether the command is decided after everything that is due. Not one that may renew a session:
    /// it may have arrived before the deadline.
    fn waits_for_due(_command: &Self::Command) -> bool {
        false
    }

    /// When it must be woken at the latest.
    fn deadline(&self) -> Option<Mono>;

    /// The deadline has passed: handles one thing that is due, and is called again while there is
    /// more. The deadline must move.
    fn on_deadline(&mut self, context: &ShardContext) -> Decision<Self>;

    /// Records that were decided are too large to be written, and were not applied.
    fn refused(&mut self, context: &ShardContext, undo: Self::Undo) -> Decision<Self>;
}

/// The partition, of `count`, whose coordinator has charge of a group or transactional id: the hash
/// of Java's strings, over UTF-16 units (Kafka 4.4 `GroupCoordinatorService.partitionFor`).
pub fn partition_for(key: &str, count: i32) -> i32 {
    let hash = key
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // The absolute value of the smallest number does not exist; Java's is taken for 0.
    hash.checked_abs().unwrap_or(0) % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_coordinated_where_kafka_coordinates_it() {
        // Values of `"...".hashCode()` in Java.
        assert_eq!(partition_for("", 50), 0);
        assert_eq!(partition_for("a", 50), 97 % 50);
        assert_eq!(partition_for("my-group", i32::MAX), 1_906_497_762, "its hash is negative");
        assert_eq!(partition_for("polygenelubricants", 50), 0, "its hash is the smallest number");
    }
}
