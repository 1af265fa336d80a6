//! The leader of a partition: follower progress, the ISR, and the high watermark (Kafka 4.4
//! `Partition`).

use std::time::Duration;

use super::divergence::{LogFacts, check_position};
use super::faults::PlantedFault;
use super::follower_fetch::{
    AcceptedFetch, FetchCheck, FetchRefusal, FollowerFetch, check_leader_epoch,
};
use super::isr::{
    BrokerStatus, Isr, IsrMember, PartitionEpoch, Proposal, ProposalId, UNKNOWN_BROKER_EPOCH,
};
use super::remote_replica::{LastFetch, RemoteReplica};
use crate::metadata::Partition as Registration;
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono, NO_LEADER_EPOCH, Offset};

/// The ISR is too small for acks=all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{in_sync} replicas are in sync, min.insync.replicas is {required}")]
pub struct NotEnoughReplicas {
    /// The size of the ISR.
    pub in_sync: usize,
    /// The smaller of `min.insync.replicas` and the replication factor.
    pub required: usize,
}

impl NotEnoughReplicas {
    /// The code before the append: nothing was appended, and a retry may succeed.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::NotEnoughReplicas
    }
}

/// Settings of a leader that can change while it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderSettings {
    /// `min.insync.replicas` of the topic.
    pub min_insync_replicas: usize,
    /// `replica.lag.time.max.ms`.
    pub lag_time_max: Duration,
}

/// The leader's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalEnd {
    /// The log end offset.
    pub log_end: Offset,
    /// The offset up to which the own records may be acknowledged: the log end, or the flushed
    /// offset where the topic wants a flush before the acknowledgement. At most `log_end`.
    pub durable: Offset,
}

impl LocalEnd {
    /// A log whose records count as soon as they are appended.
    pub fn appended(log_end: Offset) -> Self {
        Self { log_end, durable: log_end }
    }
}

/// What an event came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct LeaderOutcome {
    /// The new high watermark, if it moved.
    pub high_watermark: Option<Offset>,
    /// A change of the ISR to send to the controller.
    pub proposal: Option<Box<Proposal>>,
}

/// A partition in an AlterPartition response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedIsr {
    /// The leader epoch at the controller.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch after the change.
    pub partition_epoch: PartitionEpoch,
    /// The ISR after the change.
    pub isr: Vec<BrokerId>,
}

/// What the answer to a proposal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum AlterPartitionOutcome {
    /// The answer does not belong to the pending proposal.
    Outdated,
    /// The change is committed, or dropped: nothing is pending. The new high watermark, if it
    /// moved.
    Settled(Option<Offset>),
    /// The change stays pending until the metadata log brings a new partition epoch.
    AwaitMetadata,
    /// Send this copy of the proposal, after a back-off.
    Retry(Box<Proposal>),
}

/// The leader of one partition, for one leader epoch.
///
/// The same leader in a new epoch is a new value: ends that followers reported in an earlier epoch
/// say nothing about this one. Invariants: the high watermark never goes back; it passes no member
/// of the maximal ISR; at most one change of the ISR is pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLeader {
    epoch: LeaderEpoch,
    epoch_start: Offset,
    this_broker: BrokerId,
    broker_epoch: BrokerEpoch,
    partition_epoch: PartitionEpoch,
    isr: Isr,
    /// The other replicas of the assignment.
    followers: Vec<RemoteReplica>,
    local: LocalEnd,
    high_watermark: Offset,
    settings: LeaderSettings,
    proposals: u64,
}

impl PartitionLeader {
    /// The leader of a new epoch. The epoch entry (`registration.leader_epoch`, `local.log_end`)
    /// must already be in the epoch checkpoint (KAFKA-7415; [`super::RoleStep::RecordEpochStart`]).
    ///
    /// `high_watermark` is the last one known here, at most `local.durable`; `brokers` looks up
    /// registered brokers.
    pub fn new(
        now: Mono,
        this_broker: BrokerId,
        registration: &Registration,
        brokers: impl Fn(BrokerId) -> Option<BrokerStatus>,
        local: LocalEnd,
        high_watermark: Offset,
        settings: LeaderSettings,
    ) -> (Self, LeaderOutcome) {
        assert!(local.durable <= local.log_end, "records past the log end cannot be durable");
        assert!(high_watermark <= local.log_end, "the high watermark lies within the log");
        let mut leader = Self {
            epoch: registration.leader_epoch,
            epoch_start: local.log_end,
            this_broker,
            broker_epoch: brokers(this_broker).map_or(UNKNOWN_BROKER_EPOCH, |own| own.epoch),
            partition_epoch: registration.partition_epoch,
            isr: Isr::Committed(registration.isr.clone()),
            followers: Vec::new(),
            local,
            high_watermark,
            settings,
            proposals: 0,
        };
        leader.assign(now, &registration.replicas, brokers);
        let high_watermark = leader.advance();
        (leader, LeaderOutcome { high_watermark, proposal: None })
    }

    /// The leader epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The log end at the election.
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// The newest partition epoch known, from the metadata log or from the controller's answer.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// The ISR, with a pending change.
    pub fn isr(&self) -> &Isr {
        &self.isr
    }

    /// Everything below is committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The smaller of `min.insync.replicas` and the replication factor (Kafka 4.4
    /// `Partition.effectiveMinIsr`).
    pub fn min_isr(&self) -> usize {
        self.settings.min_insync_replicas.min(self.followers.len() + 1)
    }

    /// Whether the committed ISR is smaller than [`PartitionLeader::min_isr`]: the high watermark
    /// stands still.
    pub fn is_under_min_isr(&self) -> bool {
        self.isr.committed().len() < self.min_isr()
    }

    /// How many replicas of the assignment are not in sync.
    pub fn under_replicated(&self) -> usize {
        (self.followers.len() + 1).saturating_sub(self.isr.committed().len())
    }

    /// Whether `replica` is in the assignment.
    pub(super) fn has_replica(&self, replica: BrokerId) -> bool {
        self.followers.iter().any(|follower| follower.id == replica)
    }

    /// Whether an append with acks=all may begin (Kafka 4.4 `Partition.appendRecordsToLeader`).
    pub fn check_before_append(&self) -> Result<(), NotEnoughReplicas> {
        self.check_size(self.isr.committed().len())
    }

    /// Whether an append whose records are committed may be acknowledged (Kafka 4.4
    /// `Partition.checkEnoughReplicasReachOffset`). The error becomes
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    pub fn check_after_append(&self) -> Result<(), NotEnoughReplicas> {
        self.check_size(self.isr.maximal_len())
    }

    fn check_size(&self, in_sync: usize) -> Result<(), NotEnoughReplicas> {
        let required = self.min_isr();
        if in_sync < required {
            return Err(NotEnoughReplicas { in_sync, required });
        }
        Ok(())
    }

    /// The smallest log start of the live replicas: records below are deleted everywhere that is
    /// reachable (Kafka 4.4 `Partition.lowWatermarkIfLeader`). `None` while a live replica has not
    /// fetched.
    pub fn low_watermark(&self, local_start: Offset) -> Option<Offset> {
        let live = self.followers.iter().filter(|f| f.broker.is_some_and(|b| !b.is_fenced));
        live.map(|follower| follower.fetched.map(|fetched| fetched.start))
            .try_fold(local_start, |low, start| start.map(|start| low.min(start)))
    }

    /// The own log grew, or more of it is flushed. Returns the new high watermark, if it moved.
    /// Does not allocate, and costs nothing for a partition without followers.
    pub fn on_local_progress(&mut self, local: LocalEnd) -> Option<Offset> {
        assert!(local.durable <= local.log_end, "records past the log end cannot be durable");
        self.local = local;
        self.advance()
    }

    /// Checks a follower's fetch (Kafka 4.4 `Partition.fetchRecords`). Topic ids are compared
    /// before; the broker epoch is checked by [`PartitionLeader::on_fetch`], last, as Kafka does.
    ///
    /// Errors: the fetch is answered with a code and counts for nothing.
    pub fn check_fetch(
        &self,
        fetch: &FollowerFetch,
        log: LogFacts<'_>,
    ) -> Result<FetchCheck, FetchRefusal> {
        let replica = fetch.replica;
        check_leader_epoch(self.epoch(), fetch.leader_epoch)?;
        if !self.has_replica(replica) {
            return Err(if fetch.leader_epoch == NO_LEADER_EPOCH {
                FetchRefusal::NotReplicaWithoutEpoch { replica }
            } else {
                FetchRefusal::NotReplica { replica }
            });
        }
        match check_position(log, fetch.offset, fetch.last_fetched_epoch)? {
            Some(end) if !PlantedFault::RejectedFetchCounts.is_planted() => {
                Ok(FetchCheck::Diverging(end))
            }
            _ => Ok(FetchCheck::Read(AcceptedFetch {
                leader_epoch: self.epoch(),
                replica,
                broker_epoch: fetch.broker_epoch,
                offset: fetch.offset,
                log_start: fetch.log_start,
                leader_end: log.end,
                leader_start: log.start,
            })),
        }
    }

    /// A follower's fetch was accepted by [`PartitionLeader::check_fetch`] and its read was
    /// planned.
    ///
    /// Errors: the fetch is of an earlier incarnation of the broker, or was accepted in another
    /// leader epoch. It counts for nothing.
    pub fn on_fetch(
        &mut self,
        now: Mono,
        fetch: AcceptedFetch,
    ) -> Result<LeaderOutcome, FetchRefusal> {
        if fetch.leader_epoch != self.epoch {
            return Err(FetchRefusal::NotLeader);
        }
        let Some(at) = self.followers.iter().position(|f| f.id == fetch.replica) else {
            return Err(FetchRefusal::NotReplica { replica: fetch.replica });
        };
        let follower = &mut self.followers[at];
        if let Some(broker) = follower.broker
            && fetch.broker_epoch != UNKNOWN_BROKER_EPOCH
            && fetch.broker_epoch < broker.epoch
            && !PlantedFault::StaleBrokerEpoch.is_planted()
        {
            return Err(FetchRefusal::StaleBrokerEpoch {
                replica: fetch.replica,
                request: fetch.broker_epoch,
                current: broker.epoch,
            });
        }
        follower.record(now, &fetch);
        self.refresh(now);
        let proposal = self.maybe_expand(at);
        Ok(LeaderOutcome { high_watermark: self.advance(), proposal })
    }

    /// Time passed: members that have not caught up for `replica.lag.time.max.ms` are to leave the
    /// ISR (Kafka 4.4 `Partition.maybeShrinkIsr`). Call it at least every half of that time.
    pub fn on_time(&mut self, now: Mono) -> LeaderOutcome {
        self.refresh(now);
        let proposal = self.maybe_shrink();
        LeaderOutcome { high_watermark: self.advance(), proposal }
    }

    /// The metadata log changed the registration within this leader epoch. An older partition epoch
    /// than the known one is ignored: the controller's answer was faster than the log.
    ///
    /// A change of the ISR that is pending ends when the partition epoch rises, since the
    /// controller refuses proposals that are based on an older one. It does not end otherwise: an
    /// answer may have brought this very partition epoch already, and the pending proposal may be
    /// based on it. (Apache Kafka drops it there, and may then move the high watermark past a
    /// replica that the controller is about to add.)
    pub fn on_registration(
        &mut self,
        now: Mono,
        registration: &Registration,
        brokers: impl Fn(BrokerId) -> Option<BrokerStatus>,
    ) -> LeaderOutcome {
        assert_eq!(registration.leader_epoch, self.epoch, "a new leader epoch needs a new leader");
        if registration.partition_epoch < self.partition_epoch {
            return LeaderOutcome::default();
        }
        if registration.partition_epoch > self.partition_epoch
            || PlantedFault::PendingEndsAtSameEpoch.is_planted()
        {
            self.partition_epoch = registration.partition_epoch;
            self.isr = Isr::Committed(registration.isr.clone());
        }
        self.assign(now, &registration.replicas, brokers);
        self.refresh(now);
        LeaderOutcome { high_watermark: self.advance(), proposal: None }
    }

    /// Registrations of brokers changed: one was fenced, unfenced, restarted, or is shutting down.
    pub fn on_brokers(
        &mut self,
        now: Mono,
        brokers: impl Fn(BrokerId) -> Option<BrokerStatus>,
    ) -> LeaderOutcome {
        if let Some(own) = brokers(self.this_broker) {
            self.broker_epoch = own.epoch;
        }
        for follower in &mut self.followers {
            follower.broker = brokers(follower.id);
        }
        self.refresh(now);
        LeaderOutcome { high_watermark: self.advance(), proposal: None }
    }

    /// Settings changed. Returns the new high watermark, if it moved.
    pub fn set_settings(&mut self, settings: LeaderSettings) -> Option<Offset> {
        self.settings = settings;
        self.advance()
    }

    /// The pending proposal to send again, after its request failed or was not answered. It has a
    /// new id: answers to the copies before are outdated.
    pub fn resend(&mut self) -> Option<Box<Proposal>> {
        self.proposals += 1;
        let id = ProposalId { leader_epoch: self.epoch, number: self.proposals };
        let sent = self.isr.pending_mut()?;
        sent.id = id;
        Some(Box::new(sent.clone()))
    }

    /// The controller answered the proposal `id`, or the request failed with a code of its own.
    ///
    /// INELIGIBLE_REPLICA and OPERATION_NOT_ATTEMPTED state that the partition epoch was current
    /// and the change was not made, so it can be dropped. That holds for earlier copies of the
    /// request as well, since the requests of a broker are processed in the order in which they
    /// were sent; only the last copy's answer counts, since a later one could still be granted.
    /// Other refusals leave open what was made of an earlier copy: both ISRs keep counting until
    /// the metadata log brings a new partition epoch (Kafka 4.4
    /// `Partition.handleAlterPartitionError`).
    pub fn on_alter_partition(
        &mut self,
        id: ProposalId,
        answer: Result<CommittedIsr, ErrorCode>,
    ) -> AlterPartitionOutcome {
        let is_to = |sent: &Proposal| {
            sent.id == id
                || PlantedFault::AnswerToEarlierCopy.is_planted() && id.leader_epoch == self.epoch
        };
        if !self.isr.pending().is_some_and(is_to) {
            return AlterPartitionOutcome::Outdated;
        }
        match answer {
            Ok(altered) => {
                if altered.leader_epoch != self.epoch
                    || altered.partition_epoch < self.partition_epoch
                {
                    return AlterPartitionOutcome::AwaitMetadata;
                }
                self.partition_epoch = altered.partition_epoch;
                self.isr = Isr::Committed(altered.isr);
                AlterPartitionOutcome::Settled(self.advance())
            }
            Err(ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted) => {
                self.isr.revert();
                AlterPartitionOutcome::Settled(self.advance())
            }
            Err(_) if PlantedFault::AnyRefusalReverts.is_planted() => {
                self.isr.revert();
                AlterPartitionOutcome::Settled(self.advance())
            }
            Err(
                ErrorCode::UnknownTopicId
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected,
            ) => AlterPartitionOutcome::AwaitMetadata,
            Err(_) => match self.resend() {
                Some(proposal) => AlterPartitionOutcome::Retry(proposal),
                None => AlterPartitionOutcome::Outdated,
            },
        }
    }

    /// The next time at which [`PartitionLeader::on_time`] may have an effect; `None` while every
    /// replica is at the log end or out of sync.
    pub fn next_deadline(&self) -> Option<Mono> {
        let late = self.followers.iter().filter(|f| f.end() != Some(self.local.log_end));
        late.filter(|f| f.is_recent).filter_map(|f| f.caught_up).min().map(|at| {
            // The limit itself is still in time.
            at + self.settings.lag_time_max + Duration::from_nanos(1)
        })
    }

    /// Replicas a consumer may be sent to, with their log bounds: the ISR members that have fetched
    /// in this epoch and are alive.
    pub(super) fn readable_followers(
        &self,
        now: Mono,
    ) -> impl Iterator<Item = (BrokerId, Offset, Offset, Duration)> + '_ {
        self.followers.iter().filter(|f| self.isr.contains(f.id)).filter_map(move |follower| {
            let fetched = follower.fetched?;
            follower.broker.filter(|broker| !broker.is_fenced)?;
            let since = follower.caught_up.map_or(Duration::MAX, |at| now.since(at));
            Some((follower.id, fetched.start, fetched.end, since))
        })
    }

    /// Takes over the assignment. Replicas that stay keep what is known about them.
    fn assign(
        &mut self,
        now: Mono,
        replicas: &[BrokerId],
        brokers: impl Fn(BrokerId) -> Option<BrokerStatus>,
    ) {
        let mut before = std::mem::take(&mut self.followers);
        let others = replicas.iter().copied().filter(|id| *id != self.this_broker);
        self.followers = others
            .map(|id| match before.iter().position(|follower| follower.id == id) {
                Some(at) => RemoteReplica { broker: brokers(id), ..before.swap_remove(at) },
                None => RemoteReplica::new(now, id, brokers(id), self.isr.contains(id)),
            })
            .collect();
    }

    fn refresh(&mut self, now: Mono) {
        for follower in &mut self.followers {
            follower.refresh(now, self.settings.lag_time_max);
        }
    }

    /// The replica may join when it has everything that was committed: up to the high watermark,
    /// and up to the start of this epoch, since a predecessor may have committed more than this
    /// leader has learned (KAFKA-7128). Below the minimum ISR the high watermark stands still and
    /// proves nothing about lag, so the replica must also be caught up; otherwise it would join, be
    /// removed for its lag, and join again (KAFKA-19996). What lies below the leader's log start
    /// cannot be compared by epochs, so the replica must have deleted it, which its next fetch
    /// shows (Apache Kafka lets it join before; it could then lead with records that were never
    /// committed, at offsets that were deleted).
    fn maybe_expand(&mut self, at: usize) -> Option<Box<Proposal>> {
        let follower = &self.followers[at];
        let LastFetch { end, follows_log_start, .. } = follower.fetched?;
        let id = follower.id;
        let reached_epoch_start =
            end >= self.epoch_start || PlantedFault::JoinBelowEpochStart.is_planted();
        let is_stable = !self.is_under_min_isr() || follower.is_recent || end == self.local.log_end;
        let may_join = self.isr.pending().is_none()
            && !self.isr.contains(id)
            && follower.is_eligible()
            && end >= self.high_watermark
            && reached_epoch_start
            && (follows_log_start || PlantedFault::JoinBeforeLogStart.is_planted())
            && is_stable;
        if !may_join {
            return None;
        }
        let committed = self.isr.committed().to_vec();
        let sent = Box::new(self.propose(committed.iter().copied().chain([id])));
        self.isr = Isr::PendingExpand { committed, joining: id, sent: sent.clone() };
        Some(sent)
    }

    fn maybe_shrink(&mut self) -> Option<Box<Proposal>> {
        if self.isr.pending().is_some() {
            return None;
        }
        let is_late = |id: &BrokerId| {
            *id != self.this_broker
                && self
                    .followers
                    .iter()
                    .find(|follower| follower.id == *id)
                    .is_none_or(|f| !f.is_recent && f.end() != Some(self.local.log_end))
        };
        if !self.isr.committed().iter().any(is_late) {
            return None;
        }
        let remaining: Vec<_> =
            self.isr.committed().iter().copied().filter(|id| !is_late(id)).collect();
        let committed = self.isr.committed().to_vec();
        let sent = Box::new(self.propose(remaining.into_iter()));
        self.isr = Isr::PendingShrink { committed, sent: sent.clone() };
        Some(sent)
    }

    fn propose(&mut self, brokers: impl Iterator<Item = BrokerId>) -> Proposal {
        self.proposals += 1;
        let members = brokers.map(|broker| IsrMember { broker, epoch: self.epoch_of(broker) });
        Proposal {
            id: ProposalId { leader_epoch: self.epoch, number: self.proposals },
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            members: members.collect(),
        }
    }

    /// The broker epoch to propose: the one that was checked, which is that of the last fetch.
    fn epoch_of(&self, broker: BrokerId) -> BrokerEpoch {
        if broker == self.this_broker {
            return self.broker_epoch;
        }
        let follower = self.followers.iter().find(|follower| follower.id == broker);
        if PlantedFault::StaleBrokerEpoch.is_planted() {
            return follower.and_then(|f| f.broker).map_or(UNKNOWN_BROKER_EPOCH, |b| b.epoch);
        }
        follower.and_then(|f| f.fetched).map_or(UNKNOWN_BROKER_EPOCH, |f| f.broker_epoch)
    }

    /// Moves the high watermark to the smallest end among the maximal ISR and the replicas that are
    /// about to join it, which could otherwise never reach it on a busy log. It moves only while
    /// the committed ISR has the minimum size (KIP-966; Kafka 4.4
    /// `Partition.maybeIncrementLeaderHW`): a joining replica makes the condition stricter, but
    /// does not count towards the minimum.
    fn advance(&mut self) -> Option<Offset> {
        let is_under_min = if PlantedFault::JoiningCountsForMinIsr.is_planted() {
            self.isr.maximal_len() < self.min_isr()
        } else {
            self.is_under_min_isr()
        };
        if is_under_min && !PlantedFault::HighWatermarkBelowMinIsr.is_planted() {
            return None;
        }
        let mut committed = self.local.durable;
        for follower in &self.followers {
            if self.waits_for(follower) {
                committed = committed.min(follower.end()?);
            }
        }
        if committed <= self.high_watermark {
            return None;
        }
        assert!(committed <= self.local.log_end, "the high watermark lies within the log");
        self.high_watermark = committed;
        Some(committed)
    }

    fn waits_for(&self, follower: &RemoteReplica) -> bool {
        if PlantedFault::CommittedInsteadOfMaximalIsr.is_planted() {
            return self.isr.contains(follower.id);
        }
        if PlantedFault::ShrinkBeforeConfirmed.is_planted()
            && let Isr::PendingShrink { sent, .. } = &self.isr
        {
            return sent.brokers().any(|id| id == follower.id);
        }
        self.isr.maximal_contains(follower.id) || (follower.is_recent && follower.is_eligible())
    }
}

#[cfg(test)]
impl PartitionLeader {
    /// For [`PlantedFault::EndsSurviveEpoch`].
    pub(super) fn with_ends_of(mut self, before: &Self) -> Self {
        for follower in &mut self.followers {
            follower.fetched = before
                .followers
                .iter()
                .find(|known| known.id == follower.id)
                .and_then(|known| known.fetched);
        }
        self
    }
}
