//! Faults that tests plant to see that the simulation finds them.

/// A mistake in the rules of the quorum.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlantedFault {
    /// A granted vote is answered before it is durable.
    VoteNotPersisted,
    /// A vote is given although another candidate has it.
    VoteGivenTwice,
    /// A candidate gets a vote although its log is behind.
    VoteIgnoresLog,
    /// A pre-vote asks for the next epoch.
    PreVoteRaisesEpoch,
    /// The high watermark moves by records of an earlier epoch.
    CommitOfOlderEpoch,
    /// The leader counts itself up to what it has appended.
    LeaderCountsItselfBeforeSync,
    /// The leader counts what it sends as fetched.
    SentRecordsCount,
    /// The leader counts the position of a diverging fetch.
    DivergingFetchCounts,
    /// A replica with a voter's id and another directory counts as that voter.
    ObserverCountsAsVoter,
    /// A follower takes the high watermark of a response that makes it truncate.
    HighWatermarkFromDivergingResponse,
    /// A follower takes a high watermark beyond its own log.
    HighWatermarkBeyondLog,
    /// A new follower truncates to its high watermark.
    TruncationToHighWatermark,
    /// A follower fetches before what it has is durable.
    FetchBeforeSync,
    /// Voters change before a record of the epoch is committed, and two at a time.
    VoterChangeBeforeOwnCommit,
    /// A snapshot is made of records that are not committed.
    SnapshotAboveHighWatermark,
    /// A former leader leads the same epoch again after a restart.
    RestartedLeaderKeepsEpoch,
}

/// Whether a test has planted this fault in the machine; `false` outside tests.
#[cfg(test)]
macro_rules! planted {
    ($machine:expr, $fault:ident) => {
        $machine.fault == Some($crate::raft::machine::faults::PlantedFault::$fault)
    };
}
#[cfg(not(test))]
macro_rules! planted {
    ($machine:expr, $fault:ident) => {
        false
    };
}
pub(super) use planted;
