//! Mistakes that tests plant in the machines of this module, to prove that the simulation would
//! find them. Production code contains none of them: [`PlantedFault::is_planted`] is `false` there,
//! and the branches disappear.

/// A mistake that a replication protocol has made before, with the report it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PlantedFault {
    /// A follower truncates to its high watermark when the leader changes (KIP-101).
    TruncateToHighWatermark,
    /// A new leader records its epoch with its first batch only (KAFKA-7415).
    NoEpochEntryOnElection,
    /// A follower joins the ISR below the start of the leader epoch (KAFKA-7128).
    JoinBelowEpochStart,
    /// The high watermark is computed over the committed ISR (KIP-497).
    CommittedInsteadOfMaximalIsr,
    /// A pending removal from the ISR counts before it is confirmed (KIP-497).
    ShrinkBeforeConfirmed,
    /// A fetch of an earlier incarnation counts, and is proposed with the present epoch
    /// (KAFKA-14617, KAFKA-15221).
    StaleBrokerEpoch,
    /// The high watermark of a response with a diverging epoch is applied (KAFKA-14704).
    HighWatermarkFromDivergence,
    /// A fetch that is answered with a diverging epoch counts as progress (KAFKA-13141).
    RejectedFetchCounts,
    /// The high watermark moves while the ISR is smaller than `min.insync.replicas` (KAFKA-15583).
    HighWatermarkBelowMinIsr,
    /// A joining replica counts towards `min.insync.replicas`.
    JoiningCountsForMinIsr,
    /// A registration with the partition epoch that is known already ends the pending change.
    PendingEndsAtSameEpoch,
    /// Any refusal of the controller ends the pending change (KAFKA-12686 in reverse).
    AnyRefusalReverts,
    /// The answer to an earlier copy of a proposal counts.
    AnswerToEarlierCopy,
    /// A follower joins the ISR with records that the leader has deleted.
    JoinBeforeLogStart,
    /// The leader keeps the ends that followers had in an earlier epoch.
    #[cfg_attr(not(test), expect(dead_code, reason = "its code is compiled for tests only"))]
    EndsSurviveEpoch,
    /// A follower truncates to the leader's end of an epoch that it does not have (KIP-279).
    TruncateToUnknownEpoch,
    /// An answer to a fetch is processed though the leader epoch has changed since (KAFKA-13207).
    AnswerOfEarlierEpoch,
    /// Batches of a later epoch than that of the request are appended (KAFKA-18723).
    BatchesOfLaterEpoch,
}

impl PlantedFault {
    /// Every mistake.
    #[cfg(test)]
    pub(super) const ALL: [Self; 18] = [
        Self::TruncateToHighWatermark,
        Self::NoEpochEntryOnElection,
        Self::JoinBelowEpochStart,
        Self::CommittedInsteadOfMaximalIsr,
        Self::ShrinkBeforeConfirmed,
        Self::StaleBrokerEpoch,
        Self::HighWatermarkFromDivergence,
        Self::RejectedFetchCounts,
        Self::HighWatermarkBelowMinIsr,
        Self::JoiningCountsForMinIsr,
        Self::PendingEndsAtSameEpoch,
        Self::AnyRefusalReverts,
        Self::AnswerToEarlierCopy,
        Self::JoinBeforeLogStart,
        Self::EndsSurviveEpoch,
        Self::TruncateToUnknownEpoch,
        Self::AnswerOfEarlierEpoch,
        Self::BatchesOfLaterEpoch,
    ];

    /// Whether the running test planted this mistake.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests look whether it is this one")]
    #[inline]
    pub(super) const fn is_planted(self) -> bool {
        false
    }

    /// Whether the running test planted this mistake.
    #[cfg(test)]
    pub(super) fn is_planted(self) -> bool {
        planted::get() == Some(self)
    }
}

/// The mistake that is planted, by thread: tests run side by side.
#[cfg(test)]
pub(super) mod planted {
    use std::cell::Cell;

    use super::PlantedFault;

    thread_local! {
        static PLANTED: Cell<Option<PlantedFault>> = const { Cell::new(None) };
    }

    pub(in crate::replica) fn get() -> Option<PlantedFault> {
        PLANTED.get()
    }

    /// Removes the mistake when the test ends, by a panic too.
    pub(in crate::replica) struct Guard;

    impl Drop for Guard {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    /// Plants `fault` until the guard is dropped.
    pub(in crate::replica) fn plant(fault: PlantedFault) -> Guard {
        PLANTED.set(Some(fault));
        Guard
    }
}
