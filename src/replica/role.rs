//! The role of this broker in a partition, its legal transitions, and what each must do first.
//!
//! [`transition`] is the table. [`Replica`] walks it: it compares a registration of the metadata
//! log with what it knows, has its host perform the steps that come first, enters the role, and has
//! the host perform the steps that come after.

use std::time::Duration;

use super::divergence::LogFacts;
use super::faults::PlantedFault;
use super::follower::{DivergenceCheck, PartitionFollower};
use super::isr::{BrokerStatus, PartitionEpoch};
use super::leader::{LeaderOutcome, LeaderSettings, LocalEnd, PartitionLeader};
use crate::metadata::Partition as Registration;
use crate::types::{BrokerId, LeaderEpoch, Mono, NO_LEADER_EPOCH};

/// The role of this broker in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaRole {
    /// It takes appends and serves everyone.
    Leader(PartitionLeader),
    /// It copies the leader's log, and serves consumers up to its high watermark.
    Follower(PartitionFollower),
    /// Its log failed. It serves nothing until the broker restarts.
    Offline(String),
    /// The partition was deleted or moved away, or the broker shuts down.
    Closed,
}

/// The kind of a [`ReplicaRole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaRoleKind {
    /// See [`ReplicaRole::Leader`].
    Leader,
    /// See [`ReplicaRole::Follower`].
    Follower,
    /// See [`ReplicaRole::Offline`].
    Offline,
    /// See [`ReplicaRole::Closed`].
    Closed,
}

/// An event that concerns the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaRoleEvent {
    /// A registration is older than the known partition epoch.
    Outdated,
    /// This broker leads in a new leader epoch.
    Elected,
    /// This broker leads in the known leader epoch: ISR or assignment changed.
    LeaderKept,
    /// Another broker, or none, leads in a new leader epoch.
    FollowNew,
    /// Another broker, or none, leads in the known leader epoch.
    FollowKept,
    /// The log cannot be written or read any more.
    LogFailed,
    /// The partition is deleted or moved away, or the broker shuts down.
    Closed,
}

/// What a driver does before or after a change of role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleStep {
    /// Remove the partition from its fetcher; answers under way are dropped.
    StopFetching,
    /// Write (new leader epoch, log end) to the epoch checkpoint, before the first append and
    /// before the first answer to a follower: a follower may have records of an epoch that this log
    /// lacks, and finds out only if the present epoch is later than any it asks about (KAFKA-7415).
    RecordEpochStart,
    /// Acknowledge what the high watermark covers, and fail all other requests that need the
    /// leader.
    FailWaiting,
    /// Forget which transactions were verified with their coordinator.
    ForgetVerifications,
    /// Add the partition to the fetcher of its leader, if it has one.
    StartFetching,
    /// Have waiting fetches examine the partition again.
    WakeReaders,
}

/// A row of the table of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleTransition {
    /// The next role.
    pub to: ReplicaRoleKind,
    /// Whether the role begins anew; otherwise its state is kept.
    pub is_new: bool,
    /// What must be done before the role is entered.
    pub before: &'static [RoleStep],
    /// What must be done after the role is entered.
    pub after: &'static [RoleStep],
}

/// The table of roles: what `event` does to a replica in role `from`. `None` for what the
/// controller never asks: a change of leader within a leader epoch.
pub fn transition(from: ReplicaRoleKind, event: ReplicaRoleEvent) -> Option<RoleTransition> {
    use ReplicaRoleEvent::{
        Closed, Elected, FollowKept, FollowNew, LeaderKept, LogFailed, Outdated,
    };
    use RoleStep::{
        FailWaiting, ForgetVerifications, RecordEpochStart, StartFetching, StopFetching,
        WakeReaders,
    };
    let stay = RoleTransition { to: from, is_new: false, before: &[], after: &[] };
    let enter = |to, before, after| RoleTransition { to, is_new: true, before, after };
    Some(match (from, event) {
        // Closed is final. An offline log serves no role; the broker reads it again when it
        // restarts.
        (ReplicaRoleKind::Closed, _) | (_, Outdated) => stay,
        (ReplicaRoleKind::Offline, Closed) => enter(ReplicaRoleKind::Closed, &[], &[]),
        (ReplicaRoleKind::Offline, _) => stay,

        // Requests that wait keep waiting when the same broker leads on: its log is unchanged.
        (ReplicaRoleKind::Leader, Elected) => {
            enter(ReplicaRoleKind::Leader, &[RecordEpochStart], &[WakeReaders])
        }
        (ReplicaRoleKind::Leader, LeaderKept) => stay,
        (ReplicaRoleKind::Leader, FollowNew) => enter(
            ReplicaRoleKind::Follower,
            &[FailWaiting, ForgetVerifications],
            &[StartFetching, WakeReaders],
        ),
        (ReplicaRoleKind::Leader, LogFailed) => {
            enter(ReplicaRoleKind::Offline, &[FailWaiting], &[WakeReaders])
        }
        (ReplicaRoleKind::Leader, Closed) => {
            enter(ReplicaRoleKind::Closed, &[FailWaiting], &[WakeReaders])
        }

        (ReplicaRoleKind::Follower, Elected) => {
            enter(ReplicaRoleKind::Leader, &[StopFetching, RecordEpochStart], &[WakeReaders])
        }
        (ReplicaRoleKind::Follower, FollowNew) => {
            enter(ReplicaRoleKind::Follower, &[StopFetching], &[StartFetching, WakeReaders])
        }
        (ReplicaRoleKind::Follower, FollowKept) => stay,
        (ReplicaRoleKind::Follower, LogFailed) => {
            enter(ReplicaRoleKind::Offline, &[StopFetching], &[WakeReaders])
        }
        (ReplicaRoleKind::Follower, Closed) => {
            enter(ReplicaRoleKind::Closed, &[StopFetching], &[WakeReaders])
        }

        (ReplicaRoleKind::Leader, FollowKept) | (ReplicaRoleKind::Follower, LeaderKept) => {
            return None;
        }
    })
}

/// Settings of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaSettings {
    /// While it leads.
    pub leader: LeaderSettings,
    /// `replica.fetch.backoff.ms`.
    pub fetch_backoff: Duration,
    /// How it finds where its log parts from its leader's.
    pub divergence_check: DivergenceCheck,
}

/// What a [`Replica`] needs of its driver: the log, the image, and someone to do the work.
pub trait ReplicaHost {
    /// The bounds and epochs of the log.
    fn log(&self) -> LogFacts<'_>;
    /// The end of the log, and how much of it may be acknowledged.
    fn local_end(&self) -> LocalEnd;
    /// A registered broker.
    fn broker(&self, id: BrokerId) -> Option<BrokerStatus>;
    /// The settings of now.
    fn settings(&self) -> ReplicaSettings;
    /// Performs a step of a transition to `leader_epoch`.
    ///
    /// Errors: the log failed, with the reason; the replica goes offline instead.
    fn perform(&mut self, step: RoleStep, leader_epoch: LeaderEpoch) -> Result<(), String>;
}

/// This broker's replica of one partition.
///
/// Invariant: the partition epoch and the leader epoch never go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    this_broker: BrokerId,
    role: ReplicaRole,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
}

impl Replica {
    /// A replica whose registration has not been read yet: it follows nobody.
    pub fn new(this_broker: BrokerId, host: &impl ReplicaHost) -> Self {
        let ReplicaSettings { fetch_backoff, divergence_check, .. } = host.settings();
        let role = PartitionFollower::new(
            None,
            NO_LEADER_EPOCH,
            divergence_check,
            fetch_backoff,
            host.log(),
        );
        Self {
            this_broker,
            role: ReplicaRole::Follower(role),
            leader_epoch: NO_LEADER_EPOCH,
            partition_epoch: -1,
        }
    }

    /// The role.
    pub fn role(&self) -> &ReplicaRole {
        &self.role
    }

    /// The kind of the role.
    pub fn kind(&self) -> ReplicaRoleKind {
        match self.role {
            ReplicaRole::Leader(_) => ReplicaRoleKind::Leader,
            ReplicaRole::Follower(_) => ReplicaRoleKind::Follower,
            ReplicaRole::Offline(_) => ReplicaRoleKind::Offline,
            ReplicaRole::Closed => ReplicaRoleKind::Closed,
        }
    }

    /// The newest leader epoch known.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The leader's machine, while this broker leads.
    pub fn leader(&self) -> Option<&PartitionLeader> {
        match &self.role {
            ReplicaRole::Leader(leader) => Some(leader),
            ReplicaRole::Follower(_) | ReplicaRole::Offline(_) | ReplicaRole::Closed => None,
        }
    }

    /// The leader's machine, while this broker leads.
    pub fn leader_mut(&mut self) -> Option<&mut PartitionLeader> {
        match &mut self.role {
            ReplicaRole::Leader(leader) => Some(leader),
            ReplicaRole::Follower(_) | ReplicaRole::Offline(_) | ReplicaRole::Closed => None,
        }
    }

    /// The follower's machine, while another broker leads.
    pub fn follower(&self) -> Option<&PartitionFollower> {
        match &self.role {
            ReplicaRole::Follower(follower) => Some(follower),
            ReplicaRole::Leader(_) | ReplicaRole::Offline(_) | ReplicaRole::Closed => None,
        }
    }

    /// The follower's machine, while another broker leads.
    pub fn follower_mut(&mut self) -> Option<&mut PartitionFollower> {
        match &mut self.role {
            ReplicaRole::Follower(follower) => Some(follower),
            ReplicaRole::Leader(_) | ReplicaRole::Offline(_) | ReplicaRole::Closed => None,
        }
    }

    /// What a registration means for this replica.
    pub fn event_of(&self, registration: &Registration) -> ReplicaRoleEvent {
        let known = self.leader().map_or(self.partition_epoch, PartitionLeader::partition_epoch);
        let is_leader = registration.leader == self.this_broker;
        let is_new = registration.leader_epoch > self.leader_epoch;
        if registration.partition_epoch < known || registration.leader_epoch < self.leader_epoch {
            return ReplicaRoleEvent::Outdated;
        }
        match (is_leader, is_new) {
            (true, true) => ReplicaRoleEvent::Elected,
            (true, false) => ReplicaRoleEvent::LeaderKept,
            (false, true) => ReplicaRoleEvent::FollowNew,
            (false, false) => ReplicaRoleEvent::FollowKept,
        }
    }

    /// The metadata log brought a registration of the partition, or the same one again.
    pub fn on_registration(
        &mut self,
        now: Mono,
        registration: &Registration,
        host: &mut impl ReplicaHost,
    ) -> LeaderOutcome {
        let event = self.event_of(registration);
        let Some(transition) = transition(self.kind(), event) else {
            tracing::error!(
                broker = self.this_broker,
                leader_epoch = self.leader_epoch,
                leader = registration.leader,
                "registration names another leader within a leader epoch; ignored until the next"
            );
            return LeaderOutcome::default();
        };
        if event == ReplicaRoleEvent::Outdated {
            return LeaderOutcome::default();
        }
        self.partition_epoch = registration.partition_epoch;
        self.leader_epoch = registration.leader_epoch;
        if !transition.is_new {
            return match &mut self.role {
                ReplicaRole::Leader(leader) => {
                    leader.on_registration(now, registration, |id| host.broker(id))
                }
                ReplicaRole::Follower(_) | ReplicaRole::Offline(_) | ReplicaRole::Closed => {
                    LeaderOutcome::default()
                }
            };
        }
        if let Err(progress) = self.perform(transition.before, host) {
            return progress;
        }
        let progress = match transition.to {
            ReplicaRoleKind::Leader => self.lead(now, registration, host),
            ReplicaRoleKind::Follower => self.follow(registration, host),
            ReplicaRoleKind::Offline | ReplicaRoleKind::Closed => LeaderOutcome::default(),
        };
        match self.perform(transition.after, host) {
            Ok(()) => progress,
            Err(progress) => progress,
        }
    }

    /// The log failed.
    pub fn on_log_failed(&mut self, reason: &str, host: &mut impl ReplicaHost) {
        self.end(ReplicaRoleEvent::LogFailed, ReplicaRole::Offline(reason.to_owned()), host);
    }

    /// The partition is deleted or moved away, or the broker shuts down.
    pub fn close(&mut self, host: &mut impl ReplicaHost) {
        self.end(ReplicaRoleEvent::Closed, ReplicaRole::Closed, host);
    }

    fn end(&mut self, event: ReplicaRoleEvent, role: ReplicaRole, host: &mut impl ReplicaHost) {
        let Some(transition) = transition(self.kind(), event).filter(|it| it.is_new) else {
            return;
        };
        for step in transition.before {
            // The log may have failed again, which changes nothing.
            let _ = host.perform(*step, self.leader_epoch);
        }
        self.role = role;
        for step in transition.after {
            let _ = host.perform(*step, self.leader_epoch);
        }
    }

    fn perform(
        &mut self,
        steps: &[RoleStep],
        host: &mut impl ReplicaHost,
    ) -> Result<(), LeaderOutcome> {
        for step in steps {
            if *step == RoleStep::RecordEpochStart
                && PlantedFault::NoEpochEntryOnElection.is_planted()
            {
                continue;
            }
            if let Err(reason) = host.perform(*step, self.leader_epoch) {
                self.on_log_failed(&reason, host);
                return Err(LeaderOutcome::default());
            }
        }
        Ok(())
    }

    fn lead(
        &mut self,
        now: Mono,
        registration: &Registration,
        host: &impl ReplicaHost,
    ) -> LeaderOutcome {
        let high_watermark = host.log().high_watermark;
        let (leader, progress) = PartitionLeader::new(
            now,
            self.this_broker,
            registration,
            |id| host.broker(id),
            host.local_end(),
            high_watermark,
            host.settings().leader,
        );
        #[cfg(test)]
        let leader = match &self.role {
            ReplicaRole::Leader(before) if PlantedFault::EndsSurviveEpoch.is_planted() => {
                leader.with_ends_of(before)
            }
            _ => leader,
        };
        self.role = ReplicaRole::Leader(leader);
        progress
    }

    fn follow(&mut self, registration: &Registration, host: &impl ReplicaHost) -> LeaderOutcome {
        let ReplicaSettings { fetch_backoff, divergence_check, .. } = host.settings();
        let leader = Some(registration.leader).filter(|leader| *leader >= 0);
        self.role = ReplicaRole::Follower(PartitionFollower::new(
            leader,
            registration.leader_epoch,
            divergence_check,
            fetch_backoff,
            host.log(),
        ));
        LeaderOutcome::default()
    }
}
