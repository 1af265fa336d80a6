//! Where two logs of one partition part, as their leader epochs show it (KIP-101, KIP-279,
//! KIP-595).
//!
//! Both sides are pure functions over the epochs of one log: the leader finds whether a reader's
//! position is on its log, the follower finds how far it must truncate.

use super::faults::PlantedFault;
use crate::log::epochs::{Epochs, UNDEFINED};
use crate::types::{ErrorCode, LeaderEpoch, NO_LEADER_EPOCH, Offset};

/// A leader epoch and the offset at which it ends: the start of the next epoch, or the log end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end: Offset,
}

/// The bounds and epochs of a log at one moment.
#[derive(Clone, Copy, Debug)]
pub struct LogFacts<'a> {
    /// The log start offset.
    pub start: Offset,
    /// The log end offset.
    pub end: Offset,
    /// Everything below is known to be committed.
    pub high_watermark: Offset,
    /// The leader epochs with their start offsets.
    pub epochs: &'a Epochs,
}

impl LogFacts<'_> {
    /// The end of the largest epoch at or below `epoch`; `None` when the log has no such epoch.
    pub fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let (epoch, end) = self.epochs.end_offset_for(epoch, self.end);
        ((epoch, end) != UNDEFINED).then_some(EpochEnd { epoch, end })
    }
}

/// An offset, or the epoch before it, that a log does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "offset {offset} after epoch {last_fetched_epoch} is not within the log, which has {start} to {end}"
)]
pub struct OutOfRange {
    /// The requested offset.
    pub offset: Offset,
    /// The epoch of the record before it, [`NO_LEADER_EPOCH`] when the request states none.
    pub last_fetched_epoch: LeaderEpoch,
    /// The log start offset.
    pub start: Offset,
    /// The log end offset.
    pub end: Offset,
}

impl OutOfRange {
    /// The Kafka code of this failure.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::OffsetOutOfRange
    }
}

/// Checks a reader's position on the leader's log: `offset`, after a record of `last_fetched_epoch`
/// ([`NO_LEADER_EPOCH`] for none). Returns where the reader's log parts from this one, if it does.
///
/// In Kafka's order (4.4 `Partition.readRecords`): an epoch that this log cannot place, then an
/// offset below the log start (KAFKA-12996: divergence there is of no use, since the follower must
/// start over), then divergence, then the bounds.
pub fn check_position(
    log: LogFacts<'_>,
    offset: Offset,
    last_fetched_epoch: LeaderEpoch,
) -> Result<Option<EpochEnd>, OutOfRange> {
    let (start, end) = (log.start, log.end);
    let out_of_range = OutOfRange { offset, last_fetched_epoch, start, end };
    if last_fetched_epoch != NO_LEADER_EPOCH {
        let ours = log.end_of(last_fetched_epoch).ok_or(out_of_range)?;
        if offset < start {
            return Err(out_of_range);
        }
        if ours.epoch < last_fetched_epoch || ours.end < offset {
            return Ok(Some(ours));
        }
    }
    if offset < start || offset > end { Err(out_of_range) } else { Ok(None) }
}

/// How far a follower truncates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The new log end. It may be the present one: epoch entries at or after it are still dropped
    /// (KAFKA-10706).
    pub to: Offset,
    /// Whether the logs agree below `to`; otherwise the follower asks again with the epoch that it
    /// then ends with.
    pub is_final: bool,
}

/// Where a follower's log truncates when the leader's log ends `leader` in the epoch that the
/// follower asked about; `None` when the leader cannot tell (Kafka 4.4
/// `AbstractFetcherThread.getOffsetTruncationState`).
pub fn truncation(log: LogFacts<'_>, leader: Option<EpochEnd>) -> Truncation {
    let Some(leader) = leader else {
        return Truncation { to: log.high_watermark.min(log.end), is_final: true };
    };
    if leader.epoch == NO_LEADER_EPOCH || PlantedFault::TruncateToUnknownEpoch.is_planted() {
        return Truncation { to: leader.end.min(log.end), is_final: true };
    }
    match log.end_of(leader.epoch) {
        Some(own) if own.epoch == leader.epoch => {
            Truncation { to: own.end.min(leader.end).min(log.end), is_final: true }
        }
        // The leader's epoch is not in this log: step back to the end of the one before (KIP-279).
        Some(own) => Truncation { to: own.end.min(log.end), is_final: false },
        // This log has no epochs, or none as late as the leader's.
        None => Truncation { to: leader.end.min(log.end), is_final: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(LeaderEpoch, Offset)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, start) in entries {
            assert!(epochs.assign(*epoch, *start));
        }
        epochs
    }

    fn facts(start: Offset, end: Offset, high_watermark: Offset, epochs: &Epochs) -> LogFacts<'_> {
        LogFacts { start, end, high_watermark, epochs }
    }

    /// Kafka 4.4 `Partition.readRecords`; KIP-595; T3, T7, T12, T13 of the failure list.
    #[test]
    fn a_position_is_on_the_log_or_diverges_or_is_out_of_range() {
        let epochs = epochs(&[(2, 5), (4, 10), (5, 20)]);
        let log = facts(7, 30, 25, &epochs);
        let diverging = |epoch, end| Ok(Some(EpochEnd { epoch, end }));
        let out_of_range = |offset, last_fetched_epoch| {
            Err(OutOfRange { offset, last_fetched_epoch, start: 7, end: 30 })
        };
        for (offset, epoch, expected) in [
            (30, 5, Ok(None)),
            (20, 5, Ok(None)),
            (20, 4, Ok(None)),
            (21, 4, diverging(4, 20)),
            (15, 3, diverging(2, 10)),
            (10, 2, Ok(None)),
            (11, 2, diverging(2, 10)),
            (31, 5, diverging(5, 30)),
            (30, 6, out_of_range(30, 6)),
            (6, 3, out_of_range(6, 3)),
            (8, 1, diverging(1, 5)),
            (30, NO_LEADER_EPOCH, Ok(None)),
            (31, NO_LEADER_EPOCH, out_of_range(31, NO_LEADER_EPOCH)),
            (6, NO_LEADER_EPOCH, out_of_range(6, NO_LEADER_EPOCH)),
        ] {
            assert_eq!(check_position(log, offset, epoch), expected, "{offset} after {epoch}");
        }
    }

    /// Kafka 4.4 `AbstractFetcherThread.getOffsetTruncationState`, and the cases A to G of the
    /// published analysis of KRaft's truncation.
    #[test]
    fn truncation_follows_the_epochs() {
        let both = |entries: &[(LeaderEpoch, Offset)], end, high_watermark, leader| {
            let epochs = epochs(entries);
            let Truncation { to, is_final } =
                truncation(facts(0, end, high_watermark, &epochs), leader);
            (to, is_final)
        };
        let at = |epoch, end| Some(EpochEnd { epoch, end });
        for (name, entries, end, leader, expected) in [
            ("the leader cannot tell", &[(1, 0)][..], 9, None, (3, true)),
            ("no epoch in the answer", &[(1, 0)], 9, at(-1, 5), (5, true)),
            ("same epoch, leader shorter", &[(1, 0), (2, 4)], 9, at(2, 6), (6, true)),
            ("same epoch, own shorter", &[(1, 0), (2, 4)], 9, at(1, 7), (4, true)),
            ("epoch unknown here", &[(1, 0), (3, 4)], 9, at(2, 7), (4, false)),
            ("older than all epochs here", &[(3, 2)], 9, at(2, 7), (2, true)),
            ("later than all epochs here", &[(1, 0)], 9, at(2, 7), (7, true)),
            ("beyond the own end", &[(1, 0)], 9, at(1, 12), (9, true)),
            ("no epochs at all", &[], 9, at(1, 5), (5, true)),
        ] {
            assert_eq!(both(entries, end, 3, leader), expected, "{name}");
        }
    }
}
