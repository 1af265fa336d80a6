//! A follower's replication of one partition: what it asks its leader next, and what an answer
//! makes it do to its log (Kafka 4.4 `AbstractFetcherThread`, `ReplicaFetcherThread`).
//!
//! The machine does not hold the log. It is given the log's bounds and epochs, and returns
//! [`Effects`] that the driver applies in one step, on disk before the next request leaves.

use std::time::Duration;

use super::divergence::{EpochEnd, LogFacts, Truncation, truncation};
use super::faults::PlantedFault;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono, NO_LEADER_EPOCH, Offset};

/// How a follower finds where its log parts from the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DivergenceCheck {
    /// The leader compares epochs at each fetch (version 12 and later).
    OnFetch,
    /// The follower asks with OffsetForLeaderEpoch before its first fetch in an epoch.
    BeforeFetch,
}

/// The position of a fetch. An answer is processed only while it is still the follower's
/// (KAFKA-13207).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerPosition {
    /// The leader epoch that the follower is in.
    pub leader_epoch: LeaderEpoch,
    /// The log end.
    pub offset: Offset,
    /// The epoch of the last record, [`NO_LEADER_EPOCH`] for none.
    pub last_fetched_epoch: LeaderEpoch,
    /// The log start.
    pub log_start: Offset,
}

/// What a follower asks its leader next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerRequest {
    /// Records after this position.
    Fetch(FollowerPosition),
    /// Where `epoch` ended (OffsetForLeaderEpoch).
    EpochEnd {
        /// The leader epoch that the follower is in.
        leader_epoch: LeaderEpoch,
        /// The latest epoch of its log.
        epoch: LeaderEpoch,
    },
    /// The leader's log end (ListOffsets, latest).
    LogEnd {
        /// The leader epoch that the follower is in.
        leader_epoch: LeaderEpoch,
    },
    /// The leader's log start (ListOffsets, earliest).
    LogStart {
        /// The leader epoch that the follower is in.
        leader_epoch: LeaderEpoch,
    },
}

/// What a follower does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerAction {
    /// Ask the leader.
    Ask(FollowerRequest),
    /// Truncate first: the log has no epochs that could be compared.
    Truncate(Effects),
    /// Nothing before this time.
    WaitUntil(Mono),
    /// Nothing until the metadata log names a leader in a newer epoch.
    AwaitMetadata,
}

/// Why replication of a partition stopped until its leader changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerFailure {
    /// The leader is in a newer epoch, which the metadata log has not brought here yet.
    Fenced,
    /// The own log cannot be written.
    Storage,
    /// The leader has moved the records to tiered storage, from which this broker cannot restore a
    /// replica.
    TieredStorage,
}

/// The records of a fetch answer, batch by batch: their bytes stay with the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFacts {
    /// The first offset.
    pub base_offset: Offset,
    /// The last offset.
    pub last_offset: Offset,
    /// The leader epoch in the batch header.
    pub leader_epoch: LeaderEpoch,
}

/// A successful answer to a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchAnswer<'a> {
    /// Where the logs part, if they do.
    pub diverging: Option<EpochEnd>,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The leader's log start.
    pub log_start: Offset,
    /// The complete batches, with valid checksums.
    pub batches: &'a [BatchFacts],
}

/// How the end of a log is changed before anything is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogCut {
    /// Remove the records at and after this offset, and the epoch entries that begin there, even
    /// where no record is removed (KAFKA-10706).
    TruncateTo(Offset),
    /// Remove everything, epochs included, and begin at this offset with the high watermark there
    /// (KAFKA-9491).
    RestartAt(Offset),
}

/// What the driver does to the log, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Effects {
    /// Remove records.
    pub cut: Option<LogCut>,
    /// Append the first so many batches of the answer.
    pub append: usize,
    /// Raise the high watermark. Never above the log end that results from the effects before.
    pub high_watermark: Option<Offset>,
    /// Raise the log start. Never above the high watermark.
    pub log_start: Option<Offset>,
    /// Do nothing before this time.
    pub retry_at: Option<Mono>,
}

impl Effects {
    fn cut(cut: LogCut) -> Self {
        Self { cut: Some(cut), ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FollowerPhase {
    /// Fetches from the log end.
    Fetching,
    /// Must find where the logs part before it fetches.
    Truncating,
    /// The leader does not have the log end of this replica: asks for the leader's log end.
    OutOfRange,
    /// The leader's log end is not below the own: asks for the leader's log start.
    BelowLogStart,
    Failed(FollowerFailure),
}

/// The names of a follower's states, for metrics and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerState {
    /// Fetches from the log end.
    Fetching,
    /// Finds out what to truncate.
    Truncating,
    /// Waits after an error.
    Delayed,
    /// Waits for metadata.
    Failed(FollowerFailure),
}

/// A replica that follows a leader in one leader epoch.
///
/// Invariants: the log is truncated only where epochs differ, or where the leader has no such
/// offsets; the high watermark never passes the log end and is raised only by an answer that found
/// the logs equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionFollower {
    leader: Option<BrokerId>,
    epoch: LeaderEpoch,
    check: DivergenceCheck,
    backoff: Duration,
    state: FollowerPhase,
    retry_at: Option<Mono>,
    /// How many offsets the log lags behind the leader's high watermark; `None` before the first
    /// answer in this epoch.
    lag: Option<Offset>,
}

impl PartitionFollower {
    /// A follower of `leader` in `epoch`; without a leader it waits for one. `backoff` is
    /// `replica.fetch.backoff.ms`.
    pub fn new(
        leader: Option<BrokerId>,
        epoch: LeaderEpoch,
        check: DivergenceCheck,
        backoff: Duration,
        log: LogFacts<'_>,
    ) -> Self {
        let has_epochs = log.epochs.latest().is_some();
        let state = match check {
            DivergenceCheck::OnFetch
                if has_epochs && !PlantedFault::TruncateToHighWatermark.is_planted() =>
            {
                FollowerPhase::Fetching
            }
            DivergenceCheck::OnFetch | DivergenceCheck::BeforeFetch => FollowerPhase::Truncating,
        };
        Self { leader, epoch, check, backoff, state, retry_at: None, lag: None }
    }

    /// The leader to ask.
    pub fn leader(&self) -> Option<BrokerId> {
        self.leader
    }

    /// The leader epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Whether the log has reached the leader's high watermark, as of the last answer (Kafka 4.4
    /// `PartitionFetchState.isReplicaInSync`): such a replica is not throttled.
    pub fn is_in_sync(&self) -> bool {
        self.lag == Some(0)
    }

    /// How many offsets the log lags behind the leader's high watermark, if known.
    pub fn lag(&self) -> Option<Offset> {
        self.lag
    }

    /// The state at `now`.
    pub fn state(&self, now: Mono) -> FollowerState {
        match self.state {
            FollowerPhase::Failed(failure) => FollowerState::Failed(failure),
            _ if self.retry_at.is_some_and(|at| at > now) => FollowerState::Delayed,
            FollowerPhase::Fetching => FollowerState::Fetching,
            FollowerPhase::Truncating
            | FollowerPhase::OutOfRange
            | FollowerPhase::BelowLogStart => FollowerState::Truncating,
        }
    }

    /// What to do at `now`.
    pub fn next(&self, now: Mono, log: LogFacts<'_>) -> FollowerAction {
        let leader_epoch = self.epoch;
        if matches!(self.state, FollowerPhase::Failed(_)) || self.leader.is_none() {
            return FollowerAction::AwaitMetadata;
        }
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return FollowerAction::WaitUntil(at);
        }
        match (self.state, log.epochs.latest()) {
            (FollowerPhase::Truncating, Some(epoch))
                if !PlantedFault::TruncateToHighWatermark.is_planted() =>
            {
                FollowerAction::Ask(FollowerRequest::EpochEnd { leader_epoch, epoch })
            }
            // Without epochs only the high watermark is known to be common.
            (FollowerPhase::Truncating, _) => FollowerAction::Truncate(Effects::cut(
                LogCut::TruncateTo(log.high_watermark.clamp(log.start, log.end)),
            )),
            (FollowerPhase::OutOfRange, _) => {
                FollowerAction::Ask(FollowerRequest::LogEnd { leader_epoch })
            }
            (FollowerPhase::BelowLogStart, _) => {
                FollowerAction::Ask(FollowerRequest::LogStart { leader_epoch })
            }
            (FollowerPhase::Fetching | FollowerPhase::Failed(_), _) => {
                FollowerAction::Ask(FollowerRequest::Fetch(self.position(log)))
            }
        }
    }

    fn position(&self, log: LogFacts<'_>) -> FollowerPosition {
        let latest = match self.check {
            DivergenceCheck::OnFetch => log.epochs.latest(),
            DivergenceCheck::BeforeFetch => None,
        };
        FollowerPosition {
            leader_epoch: self.epoch,
            offset: log.end,
            last_fetched_epoch: latest.unwrap_or(NO_LEADER_EPOCH),
            log_start: log.start,
        }
    }

    /// The truncation of [`FollowerAction::Truncate`] is done.
    pub fn on_truncated(&mut self) {
        if self.state == FollowerPhase::Truncating {
            self.state = FollowerPhase::Fetching;
        }
    }

    /// Whether an answer to a request of `leader_epoch` still concerns this follower.
    fn expects(&self, now: Mono, leader_epoch: LeaderEpoch, state: FollowerPhase) -> bool {
        self.state == state
            && self.retry_at.is_none_or(|at| at <= now)
            && (leader_epoch == self.epoch || PlantedFault::AnswerOfEarlierEpoch.is_planted())
    }

    /// A fetch was answered. `sent` is the position that was asked for; an answer to another one
    /// than the present is dropped. Offset and epoch together tell the log apart: after a truncation
    /// it may have grown to the same offset again with other records, which a late answer about
    /// divergence would remove.
    ///
    /// An answer with a diverging epoch truncates and does nothing else: its high watermark speaks
    /// of the leader's records, not of those that are about to be removed (KAFKA-14704).
    pub fn on_fetched(
        &mut self,
        now: Mono,
        sent: &FollowerPosition,
        answer: Result<FetchAnswer<'_>, ErrorCode>,
        log: LogFacts<'_>,
    ) -> Effects {
        let present = self.position(log);
        let is_present =
            (sent.offset, sent.last_fetched_epoch) == (present.offset, present.last_fetched_epoch);
        if !self.expects(now, sent.leader_epoch, FollowerPhase::Fetching) || !is_present {
            return Effects::default();
        }
        self.retry_at = None;
        let answer = match answer {
            Ok(answer) => answer,
            Err(code) => return self.on_error(now, code),
        };
        if let Some(leader) = answer.diverging {
            if PlantedFault::HighWatermarkFromDivergence.is_planted()
                && log.high_watermark < answer.high_watermark.min(log.end)
            {
                self.lag = Some(0);
                let high_watermark = Some(answer.high_watermark.min(log.end));
                return Effects { high_watermark, ..Effects::default() };
            }
            let Truncation { to, .. } = truncation(log, Some(leader));
            return truncate(to, log);
        }
        let Some((cut, append, end)) = continuing(sent, answer.batches, log) else {
            return self.delay(now);
        };
        self.lag = Some((answer.high_watermark - end).max(0));
        let high_watermark = answer.high_watermark.min(end);
        let known = match cut {
            Some(LogCut::RestartAt(start)) => start,
            Some(LogCut::TruncateTo(_)) | None => log.high_watermark,
        };
        let committed = high_watermark.max(known);
        let log_start = answer.log_start.min(committed);
        Effects {
            cut,
            append,
            high_watermark: (high_watermark > known).then_some(high_watermark),
            log_start: (log_start > log.start).then_some(log_start),
            retry_at: None,
        }
    }

    /// OffsetForLeaderEpoch was answered; `None` stands for "the leader cannot tell". `asked` is
    /// the epoch that was asked about: an answer about another one than the log's latest is
    /// dropped, since a truncation has taken place since.
    pub fn on_epoch_end(
        &mut self,
        now: Mono,
        leader_epoch: LeaderEpoch,
        asked: LeaderEpoch,
        answer: Result<Option<EpochEnd>, ErrorCode>,
        log: LogFacts<'_>,
    ) -> Effects {
        if !self.expects(now, leader_epoch, FollowerPhase::Truncating)
            || log.epochs.latest() != Some(asked)
        {
            return Effects::default();
        }
        self.retry_at = None;
        match answer {
            Ok(leader) => {
                let Truncation { to, is_final } = truncation(log, leader);
                if is_final {
                    self.state = FollowerPhase::Fetching;
                }
                truncate(to, log)
            }
            Err(code) => self.on_error(now, code),
        }
    }

    /// ListOffsets for the leader's log end was answered. A shorter log than the own is followed;
    /// where it is not shorter, the own end may lie below the leader's log start.
    pub fn on_log_end(
        &mut self,
        now: Mono,
        leader_epoch: LeaderEpoch,
        answer: Result<Offset, ErrorCode>,
        log: LogFacts<'_>,
    ) -> Effects {
        if !self.expects(now, leader_epoch, FollowerPhase::OutOfRange) {
            return Effects::default();
        }
        self.retry_at = None;
        match answer {
            Ok(leader_end) if leader_end < log.end => {
                self.state = FollowerPhase::Fetching;
                truncate(leader_end, log)
            }
            Ok(_) => {
                self.state = FollowerPhase::BelowLogStart;
                Effects::default()
            }
            Err(code) => self.on_error(now, code),
        }
    }

    /// ListOffsets for the leader's log start was answered: a log that ends below it begins anew
    /// there. If neither end explains the refusal, the follower waits before it fetches again.
    pub fn on_log_start(
        &mut self,
        now: Mono,
        leader_epoch: LeaderEpoch,
        answer: Result<Offset, ErrorCode>,
        log: LogFacts<'_>,
    ) -> Effects {
        if !self.expects(now, leader_epoch, FollowerPhase::BelowLogStart) {
            return Effects::default();
        }
        self.retry_at = None;
        match answer {
            Ok(leader_start) => {
                self.state = FollowerPhase::Fetching;
                if leader_start > log.end {
                    Effects::cut(LogCut::RestartAt(leader_start))
                } else {
                    self.delay(now)
                }
            }
            Err(code) => self.on_error(now, code),
        }
    }

    /// The request could not be sent, or its answer did not arrive or could not be read.
    pub fn on_no_answer(&mut self, now: Mono, leader_epoch: LeaderEpoch) -> Effects {
        if leader_epoch != self.epoch || matches!(self.state, FollowerPhase::Failed(_)) {
            return Effects::default();
        }
        self.delay(now)
    }

    /// The records of an answer are damaged: they are fetched again, other partitions go on.
    pub fn on_corrupt_records(&mut self, now: Mono) -> Effects {
        self.delay(now)
    }

    /// The own log could not be written or truncated.
    pub fn on_storage_failure(&mut self) {
        self.state = FollowerPhase::Failed(FollowerFailure::Storage);
    }

    fn on_error(&mut self, now: Mono, code: ErrorCode) -> Effects {
        match code {
            ErrorCode::OffsetOutOfRange => {
                self.state = FollowerPhase::OutOfRange;
                Effects::default()
            }
            // The answer is to a request of the present epoch, so the leader's is newer.
            ErrorCode::FencedLeaderEpoch => {
                self.state = FollowerPhase::Failed(FollowerFailure::Fenced);
                Effects::default()
            }
            ErrorCode::OffsetMovedToTieredStorage => {
                self.state = FollowerPhase::Failed(FollowerFailure::TieredStorage);
                Effects::default()
            }
            // The other broker does not know yet, or no longer, that it leads; its log failed; or
            // it sends a code that this version does not know.
            _ => self.delay(now),
        }
    }

    fn delay(&mut self, now: Mono) -> Effects {
        let at = now + self.backoff;
        self.retry_at = Some(at);
        Effects { retry_at: Some(at), ..Effects::default() }
    }
}

/// How many of `batches` continue the log, and where it then ends. Batches of a later epoch than
/// the request's are left: the answer was read before the leader truncated to become a follower
/// of that epoch (KAFKA-18723). An empty log restarts at a first batch that begins below it: the
/// leader's log start lies within that batch. `None` when the records do not fit the log.
fn continuing(
    sent: &FollowerPosition,
    batches: &[BatchFacts],
    log: LogFacts<'_>,
) -> Option<(Option<LogCut>, usize, Offset)> {
    let later = |batch: &BatchFacts| {
        batch.leader_epoch > sent.leader_epoch && !PlantedFault::BatchesOfLaterEpoch.is_planted()
    };
    let count = batches.iter().position(later).unwrap_or(batches.len());
    let Some(first) = batches[..count].first() else { return Some((None, 0, log.end)) };
    let is_empty = log.start == log.end;
    let cut = match first.base_offset {
        base if base >= log.end => None,
        base if is_empty && first.last_offset >= log.end => Some(LogCut::RestartAt(base)),
        _ => return None,
    };
    let mut end = first.base_offset;
    for batch in &batches[..count] {
        if batch.base_offset < end || batch.last_offset < batch.base_offset {
            return None;
        }
        end = batch.last_offset + 1;
    }
    Some((cut, count, end))
}

/// Truncates below the log start only by starting over.
fn truncate(to: Offset, log: LogFacts<'_>) -> Effects {
    if to < log.start {
        return Effects::cut(LogCut::RestartAt(to.max(0)));
    }
    Effects::cut(LogCut::TruncateTo(to))
}
