//! In-sync replicas as the leader knows them, and the change that it asked the controller for
//! (Kafka 4.4 `PartitionState`, `CommittedPartitionState`, `PendingExpandIsr`, `PendingShrinkIsr`).

use crate::types::{BrokerEpoch, BrokerId, LeaderEpoch};

/// Counts the changes of a partition's registration.
pub type PartitionEpoch = i32;

/// The broker epoch of a fetch below version 15, and of an ISR member that has not fetched yet.
pub const UNKNOWN_BROKER_EPOCH: BrokerEpoch = -1;

/// What the metadata image states about a broker, as far as ISR membership depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerStatus {
    /// The epoch of its registration.
    pub epoch: BrokerEpoch,
    /// Its session expired, or it has not caught up with the metadata log yet.
    pub is_fenced: bool,
    /// It is in controlled shutdown.
    pub is_shutting_down: bool,
}

impl From<&crate::metadata::Broker> for BrokerStatus {
    fn from(broker: &crate::metadata::Broker) -> Self {
        Self {
            epoch: broker.epoch,
            is_fenced: broker.fenced,
            is_shutting_down: broker.in_controlled_shutdown,
        }
    }
}

impl BrokerStatus {
    /// Whether a replica on this broker that fetched with `fetch_epoch` may join the ISR (KIP-841,
    /// KIP-903; Kafka 4.4 `Partition.isReplicaIsrEligible`). Fetches without an epoch are accepted.
    pub fn may_join(&self, fetch_epoch: BrokerEpoch) -> bool {
        !self.is_fenced
            && !self.is_shutting_down
            && (fetch_epoch == UNKNOWN_BROKER_EPOCH || fetch_epoch == self.epoch)
    }
}

/// Identifies one proposal of a leader, so that the answer to another one is recognised, one of an
/// earlier leadership too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProposalId {
    pub(super) leader_epoch: LeaderEpoch,
    /// Counts the proposals within the leader epoch.
    pub(super) number: u64,
}

/// A proposed ISR member with its incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrMember {
    /// The broker.
    pub broker: BrokerId,
    /// The broker epoch of its last fetch, or [`UNKNOWN_BROKER_EPOCH`]. The controller refuses a
    /// member that has registered again since.
    pub epoch: BrokerEpoch,
}

/// A change of the ISR that the leader asks of the controller: one partition of an AlterPartition
/// request. Its leader recovery state is always RECOVERED: the leader has truncated nothing and
/// serves (that is what ends RECOVERING after an unclean election).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Identifies the answer.
    pub id: ProposalId,
    /// The epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the change is based on.
    pub partition_epoch: PartitionEpoch,
    /// The members of the new ISR.
    pub members: Vec<IsrMember>,
}

impl Proposal {
    /// The brokers of the new ISR.
    pub fn brokers(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.members.iter().map(|member| member.broker)
    }
}

/// The ISR of a partition. At most one change is pending at a time.
///
/// The *committed* ISR is the last one known to be in the metadata log. The *maximal* ISR contains
/// every replica that the controller may consider in sync, whatever the outcome of the pending
/// change (KIP-497): a joining replica counts at once, a leaving one counts until its removal is
/// confirmed. High watermarks are computed over the maximal ISR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isr {
    /// No change is pending.
    Committed(Vec<BrokerId>),
    /// The leader asked to add `joining`.
    PendingExpand {
        /// The last committed ISR.
        committed: Vec<BrokerId>,
        /// The new member.
        joining: BrokerId,
        /// The request, for a retry.
        sent: Box<Proposal>,
    },
    /// The leader asked to remove the members that `sent` lacks.
    PendingShrink {
        /// The last committed ISR.
        committed: Vec<BrokerId>,
        /// The request, for a retry.
        sent: Box<Proposal>,
    },
}

impl Isr {
    /// The last committed ISR.
    pub fn committed(&self) -> &[BrokerId] {
        match self {
            Self::Committed(committed)
            | Self::PendingExpand { committed, .. }
            | Self::PendingShrink { committed, .. } => committed,
        }
    }

    /// The replica that a pending change adds.
    pub fn joining(&self) -> Option<BrokerId> {
        match self {
            Self::PendingExpand { joining, .. } => Some(*joining),
            Self::Committed(_) | Self::PendingShrink { .. } => None,
        }
    }

    /// The pending change.
    pub fn pending(&self) -> Option<&Proposal> {
        match self {
            Self::Committed(_) => None,
            Self::PendingExpand { sent, .. } | Self::PendingShrink { sent, .. } => Some(sent),
        }
    }

    pub(super) fn pending_mut(&mut self) -> Option<&mut Proposal> {
        match self {
            Self::Committed(_) => None,
            Self::PendingExpand { sent, .. } | Self::PendingShrink { sent, .. } => Some(sent),
        }
    }

    /// Whether the last committed ISR contains `id`.
    pub fn contains(&self, id: BrokerId) -> bool {
        self.committed().contains(&id)
    }

    /// Whether the maximal ISR contains `id`.
    pub fn maximal_contains(&self, id: BrokerId) -> bool {
        self.contains(id) || self.joining() == Some(id)
    }

    /// The size of the maximal ISR.
    pub fn maximal_len(&self) -> usize {
        self.committed().len() + usize::from(self.joining().is_some())
    }

    /// Drops the pending change.
    pub(super) fn revert(&mut self) {
        *self = Self::Committed(self.committed().to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(brokers: &[BrokerId]) -> Proposal {
        let members = brokers.iter().map(|broker| IsrMember { broker: *broker, epoch: 7 });
        Proposal {
            id: ProposalId { leader_epoch: 3, number: 1 },
            leader_epoch: 3,
            partition_epoch: 5,
            members: members.collect(),
        }
    }

    /// KIP-497: "maximal" covers both outcomes of the pending change.
    #[test]
    fn maximal_isr_counts_the_joining_and_the_leaving() {
        let committed = vec![1, 2];
        let expand = Isr::PendingExpand {
            committed: committed.clone(),
            joining: 3,
            sent: Box::new(proposal(&[1, 2, 3])),
        };
        let shrink =
            Isr::PendingShrink { committed: committed.clone(), sent: Box::new(proposal(&[1])) };
        for (isr, maximal, members) in
            [(Isr::Committed(committed), 2, [1, 2]), (expand, 3, [2, 3]), (shrink, 2, [1, 2])]
        {
            assert_eq!(isr.maximal_len(), maximal, "{isr:?}");
            assert!(members.iter().all(|id| isr.maximal_contains(*id)), "{isr:?}");
            assert_eq!(isr.committed(), [1, 2]);
            let mut reverted = isr;
            reverted.revert();
            assert_eq!(reverted, Isr::Committed(vec![1, 2]));
        }
    }

    /// Kafka 4.4 `Partition.isReplicaIsrEligible`, `isBrokerEpochIsrEligible`.
    #[test]
    fn a_replica_joins_only_unfenced_running_and_with_its_present_epoch() {
        for (is_fenced, is_shutting_down, fetch_epoch, expected) in [
            (false, false, 7, true),
            (false, false, UNKNOWN_BROKER_EPOCH, true),
            (false, false, 6, false),
            (false, false, 8, false),
            (true, false, 7, false),
            (false, true, 7, false),
        ] {
            let status = BrokerStatus { epoch: 7, is_fenced, is_shutting_down };
            assert_eq!(status.may_join(fetch_epoch), expected, "{status:?} {fetch_epoch}");
        }
    }
}
