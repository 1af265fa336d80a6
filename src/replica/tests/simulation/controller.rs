//! A controller of one partition and three brokers, as KIP-966 describes it: enough to elect, to
//! judge AlterPartition requests, and to be behind or ahead of its brokers.

use super::super::super::*;
use crate::metadata::Partition as Registration;
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch};

pub(super) const BROKERS: [BrokerId; 3] = [1, 2, 3];
pub(super) const NO_LEADER: BrokerId = -1;

/// The metadata image at one offset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Image {
    pub(super) registration: Registration,
    brokers: [Option<BrokerStatus>; 3],
}

impl Image {
    pub(super) fn broker(&self, id: BrokerId) -> Option<BrokerStatus> {
        self.brokers[id as usize - 1]
    }

    fn broker_mut(&mut self, id: BrokerId) -> &mut BrokerStatus {
        self.brokers[id as usize - 1].as_mut().unwrap()
    }

    pub(super) fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.is_fenced && !broker.is_shutting_down)
    }
}

/// A request with its sender.
#[derive(Clone, Debug)]
pub(super) struct AlterPartition {
    pub(super) from: BrokerId,
    pub(super) broker_epoch: BrokerEpoch,
    pub(super) proposal: Box<Proposal>,
}

#[derive(Debug)]
pub(super) struct Controller {
    /// Every image since the beginning; brokers follow at their own pace.
    pub(super) images: Vec<Image>,
    min_isr: usize,
    allows_unclean: bool,
    next_broker_epoch: BrokerEpoch,
    /// The epoch of the last leader that was elected without proof that it has all records.
    pub(super) last_unclean: LeaderEpoch,
}

impl Controller {
    pub(super) fn new(min_isr: usize, allows_unclean: bool) -> Self {
        let registration = Registration {
            replicas: BROKERS.to_vec(),
            directories: Vec::new(),
            isr: BROKERS.to_vec(),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            leader_recovery_state: 0,
        };
        let broker =
            |epoch| Some(BrokerStatus { epoch, is_fenced: false, is_shutting_down: false });
        Self {
            images: vec![Image { registration, brokers: [broker(1), broker(2), broker(3)] }],
            min_isr,
            allows_unclean,
            next_broker_epoch: 4,
            last_unclean: -1,
        }
    }

    pub(super) fn now(&self) -> &Image {
        self.images.last().unwrap()
    }

    /// A process of `id` registers. One that did not shut down cleanly may have lost records, so it
    /// leaves ISR and ELR.
    pub(super) fn register(&mut self, id: BrokerId, is_clean: bool) -> BrokerEpoch {
        self.fence(id);
        let epoch = self.next_broker_epoch;
        self.next_broker_epoch += 1;
        let mut image = self.now().clone();
        *image.broker_mut(id) = BrokerStatus { epoch, is_fenced: true, is_shutting_down: false };
        self.images.push(image);
        if !is_clean {
            self.change(None, Some(id), None, false);
        }
        epoch
    }

    pub(super) fn fence(&mut self, id: BrokerId) {
        self.set_broker(id, |broker| broker.is_fenced = true);
    }

    pub(super) fn unfence(&mut self, id: BrokerId) {
        self.set_broker(id, |broker| broker.is_fenced = false);
    }

    pub(super) fn begin_shutdown(&mut self, id: BrokerId) {
        self.set_broker(id, |broker| broker.is_shutting_down = true);
    }

    fn set_broker(&mut self, id: BrokerId, change: impl FnOnce(&mut BrokerStatus)) {
        let mut image = self.now().clone();
        change(image.broker_mut(id));
        self.images.push(image);
        self.change(None, None, None, false);
    }

    /// Moves leadership to `to`, if it may lead, or raises the leader epoch of the present leader.
    pub(super) fn elect(&mut self, to: BrokerId) {
        self.change(None, None, Some(to), true);
    }

    pub(super) fn allow_unclean(&mut self) {
        self.allows_unclean = true;
        self.change(None, None, None, false);
    }

    /// The answer to a request, in the order of Kafka's checks.
    pub(super) fn alter(&mut self, request: &AlterPartition) -> Result<CommittedIsr, ErrorCode> {
        let now = self.now();
        let (sent, registered) = (&request.proposal, &now.registration);
        if now.broker(request.from).is_none_or(|broker| broker.epoch != request.broker_epoch) {
            return Err(ErrorCode::StaleBrokerEpoch);
        }
        if sent.leader_epoch > registered.leader_epoch
            || sent.partition_epoch > registered.partition_epoch
        {
            return Err(ErrorCode::NotController);
        }
        if sent.leader_epoch < registered.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if request.from != registered.leader {
            return Err(ErrorCode::InvalidRequest);
        }
        if sent.partition_epoch < registered.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let isr: Vec<BrokerId> = sent.brokers().collect();
        if !isr.contains(&request.from) {
            return Err(ErrorCode::InvalidRequest);
        }
        let is_ineligible = |member: &IsrMember| {
            !now.is_active(member.broker)
                || now.broker(member.broker).is_some_and(|broker| {
                    member.epoch != UNKNOWN_BROKER_EPOCH && member.epoch != broker.epoch
                })
        };
        if sent.members.iter().any(is_ineligible) {
            return Err(ErrorCode::IneligibleReplica);
        }
        self.change(Some(isr), None, None, false);
        let Registration { leader_epoch, partition_epoch, isr, .. } =
            self.now().registration.clone();
        Ok(CommittedIsr { leader_epoch, partition_epoch, isr })
    }

    /// Builds the next registration: ISR, ELR, then the election. No change, no record.
    fn change(
        &mut self,
        isr: Option<Vec<BrokerId>>,
        stopped_uncleanly: Option<BrokerId>,
        wanted_leader: Option<BrokerId>,
        raises_epoch: bool,
    ) {
        let image = self.now().clone();
        let before = &image.registration;
        let min_isr = self.min_isr.min(before.replicas.len());
        let mut next = before.clone();
        if isr.is_some() {
            next.leader_recovery_state = 0;
        }
        let stays = |id: &BrokerId| image.is_active(*id) && Some(*id) != stopped_uncleanly;
        next.isr = isr.unwrap_or_else(|| before.isr.clone()).into_iter().filter(stays).collect();
        next.elr = before.elr.iter().chain(&before.isr).copied().collect();
        next.elr.retain(|id| !next.isr.contains(id) && Some(*id) != stopped_uncleanly);
        next.elr.sort_unstable();
        next.elr.dedup();
        let candidates = if next.isr.is_empty() { next.elr.clone() } else { next.isr.clone() };
        let can_lead = |id: &BrokerId| candidates.contains(id) && image.is_active(*id);
        let elected = wanted_leader
            .filter(can_lead)
            .or(Some(before.leader).filter(can_lead))
            .or_else(|| next.replicas.iter().copied().find(can_lead));
        let last_resort = match before.last_known_elr[..] {
            [last] if next.isr.is_empty() && next.elr.is_empty() && image.is_active(last) => {
                Some(last)
            }
            _ if self.allows_unclean => {
                next.replicas.iter().copied().find(|id| image.is_active(*id))
            }
            _ => None,
        };
        let is_unclean = elected.is_none() && last_resort.is_some();
        next.leader = elected.or(last_resort).unwrap_or(NO_LEADER);
        if is_unclean {
            next.isr = vec![next.leader];
            next.elr.clear();
            next.leader_recovery_state = 1;
        } else if next.isr.is_empty() && next.leader != NO_LEADER {
            next.isr = vec![next.leader];
            next.elr.retain(|id| *id != next.leader);
        }
        if next.isr.len() >= min_isr {
            next.elr.clear();
        }
        if next.leader != NO_LEADER {
            next.last_known_elr.clear();
        } else if before.leader != NO_LEADER {
            next.last_known_elr = vec![before.leader];
        }
        if next.leader != before.leader || (raises_epoch && next.leader != NO_LEADER) {
            next.leader_epoch += 1;
        }
        if next == *before {
            return;
        }
        next.partition_epoch += 1;
        if is_unclean {
            self.last_unclean = next.leader_epoch;
        }
        self.images.push(Image { registration: next, ..image });
    }
}
