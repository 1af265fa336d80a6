//! From role to role: what each transition requires, persists and aborts.

use super::super::quorum_state::ElectionState;
use super::super::voters::VoterEndpoint;
use super::contract::{Leadership, RaftEffect};
use super::faults::planted;
use super::message::RaftResponse;
use super::progress::Leader;
use super::role::{
    Candidate, Follower, Prospective, Resigned, RoleKind, RoleState, Tally, Unattached,
};
use super::{ControlRecord, QuorumMachine};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono};

impl QuorumMachine {
    /// The role in which a restarted replica begins. A leader does not lead its epoch again: what it
    /// had not synced may be gone.
    pub(super) fn enter_first_role(&mut self) {
        let log_epoch = self.log.end().epoch;
        if self.election.epoch < log_epoch {
            tracing::warn!(
                persisted = self.election.epoch,
                log = log_epoch,
                "the quorum-state file is older than the log"
            );
            self.election = ElectionState { epoch: log_epoch, leader: None, voted: None };
        }
        self.write_election();
        let me = self.me();
        let ElectionState { leader, voted, .. } = self.election;
        let endpoints = leader.and_then(|id| self.history.voters().get(id));
        let endpoints = endpoints.map(|voter| voter.endpoints.clone()).unwrap_or_default();
        match leader {
            Some(id) if id == me.id => {
                if planted!(self, RestartedLeaderKeepsEpoch) && self.is_voter() {
                    let candidate = self.candidate();
                    self.set_role(RoleState::Candidate(candidate));
                    self.become_leader();
                    return;
                }
                let resigned = self.resigned(Vec::new());
                self.set_role(RoleState::Resigned(resigned));
            }
            Some(id) if self.config.address(&endpoints).is_some() => {
                let follower = self.follower(id, endpoints);
                self.set_role(RoleState::Follower(follower));
            }
            // With records of its own epoch the election is over: another node has won it.
            None if voted.is_some()
                && self.is_me(voted)
                && self.is_voter()
                && log_epoch < self.election.epoch =>
            {
                let candidate = self.candidate();
                self.set_role(RoleState::Candidate(candidate));
                self.win_if_granted();
            }
            _ => {
                let election_at = self.election_deadline();
                self.set_role(RoleState::Unattached(Unattached { election_at }));
            }
        }
        let is_waiting = !matches!(self.role.kind(), RoleKind::Candidate | RoleKind::Leader);
        if is_waiting && self.history.voters().is_only_voter(me) {
            self.become_prospective();
        }
    }

    /// Enters an epoch without a leader to follow: a later one, or the present one after a lost
    /// pre-vote.
    pub(super) fn become_unattached(&mut self, epoch: LeaderEpoch, leader: Option<BrokerId>) {
        let is_later = epoch > self.election.epoch;
        assert!(
            is_later || (epoch == self.election.epoch && self.role.kind() == RoleKind::Prospective),
            "unattached in epoch {epoch} from {:?} in epoch {}",
            self.role.kind(),
            self.election.epoch
        );
        // A pending timeout goes on, so that a peer that keeps raising the epoch cannot keep this
        // node from standing.
        let pending = match &self.role {
            RoleState::Unattached(unattached) => unattached.election_at,
            RoleState::Prospective(prospective) if !prospective.tally.is_rejected() => {
                Some(prospective.election_at)
            }
            RoleState::Candidate(candidate) => Some(candidate.election_at),
            RoleState::Resigned(resigned) => Some(resigned.election_at),
            _ => None,
        };
        let fresh = self.election_deadline();
        let election_at = fresh.map(|fresh| pending.unwrap_or(fresh));
        let voted = self.election.voted.filter(|_| !is_later);
        self.persist(ElectionState { epoch, leader, voted });
        self.set_role(RoleState::Unattached(Unattached { election_at }));
    }

    /// Follows the leader of an epoch that is not below the present one.
    pub(super) fn become_follower(
        &mut self,
        epoch: LeaderEpoch,
        leader: BrokerId,
        endpoints: Vec<VoterEndpoint>,
    ) {
        let is_later = epoch > self.election.epoch;
        assert!(leader != self.me().id && !endpoints.is_empty(), "cannot follow {leader}");
        assert!(epoch >= self.election.epoch, "epoch {epoch} is over");
        assert!(is_later || self.role.kind() != RoleKind::Leader, "a leader follows in its epoch");
        let voted = self.election.voted.filter(|_| !is_later);
        self.persist(ElectionState { epoch, leader: Some(leader), voted });
        let follower = self.follower(leader, endpoints);
        self.set_role(RoleState::Follower(follower));
        if planted!(self, TruncationToHighWatermark) {
            self.truncate(self.high_watermark.unwrap_or(self.log.start()));
        }
    }

    /// Asks whether an election could be won. Nothing is persisted.
    pub(super) fn become_prospective(&mut self) {
        let kind = self.role.kind();
        assert!(self.is_voter(), "an observer does not stand for election");
        assert!(
            !matches!(kind, RoleKind::Leader | RoleKind::Prospective),
            "prospective as {kind:?}"
        );
        let leader_endpoints = self.view().endpoints;
        let prospective = self.prospective(leader_endpoints);
        self.set_role(RoleState::Prospective(prospective));
        self.stand_if_granted();
    }

    /// Stands for election in the next epoch, with its own vote.
    pub(super) fn become_candidate(&mut self) {
        assert!(self.role.kind() == RoleKind::Prospective && self.is_voter());
        let epoch = self.election.epoch + 1;
        self.persist(ElectionState { epoch, leader: None, voted: Some(self.me()) });
        let candidate = self.candidate();
        self.set_role(RoleState::Candidate(candidate));
        self.win_if_granted();
    }

    /// Leads, and begins the epoch with its control records.
    pub(super) fn become_leader(&mut self) {
        let RoleState::Candidate(candidate) = &self.role else {
            panic!("only a candidate is elected")
        };
        let granting = candidate.tally.granting();
        let (epoch, me) = (self.election.epoch, self.me());
        let voted = self.election.voted;
        self.persist(ElectionState { epoch, leader: Some(me.id), voted });
        let epoch_start = self.log.end().offset;
        let local = self.config.local.clone();
        let (voters, kraft_version) = (self.history.voters(), self.history.kraft_version());
        let leader = Leader::new(
            self.now,
            local,
            epoch_start,
            voters,
            kraft_version,
            self.config.fetch_timeout,
        );
        self.set_role(RoleState::Leader(Box::new(leader)));
        let records = self.first_records(granting);
        self.append_control(records);
    }

    /// The records with which an epoch begins. Voters are recorded when only `format` has recorded
    /// them, and when the leader's own entry has changed.
    fn first_records(&self, granting: Vec<BrokerId>) -> Vec<ControlRecord> {
        let (voters, leader) = (self.history.voters(), self.me().id);
        let ids = voters.ids().collect();
        let mut records = vec![ControlRecord::LeaderChange { leader, voters: ids, granting }];
        let kraft_version = self.history.kraft_version();
        if kraft_version >= 1 {
            let is_in_log = self.history.voters_offset().is_some_and(|offset| offset >= 0);
            let changed = voters.updated(&self.config.local);
            if !is_in_log || changed.is_some() {
                records.push(ControlRecord::KraftVersion(kraft_version));
                records.push(ControlRecord::Voters(changed.unwrap_or_else(|| voters.clone())));
            }
        }
        records
    }

    /// Gives leadership up. The epoch goes on without a leader until another one begins.
    pub(super) fn become_resigned(&mut self) {
        let RoleState::Leader(leader) = &self.role else { panic!("only a leader resigns") };
        let successors = leader.successors();
        let resigned = self.resigned(successors);
        self.set_role(RoleState::Resigned(resigned));
    }

    fn prospective(&mut self, leader_endpoints: Vec<VoterEndpoint>) -> Prospective {
        let tally = Tally::new(self.history.voters(), self.me().id);
        let election_at = self.now + self.jitter.doubled(self.config.election_timeout);
        Prospective { tally, election_at, leader_endpoints }
    }

    /// Another candidate got this prospective's vote: its election starts over.
    pub(super) fn restart_prospective(&mut self) {
        let leader_endpoints = self.view().endpoints;
        self.role = RoleState::Prospective(self.prospective(leader_endpoints));
    }

    fn candidate(&mut self) -> Candidate {
        let tally = Tally::new(self.history.voters(), self.me().id);
        let election_at = self.now + self.jitter.doubled(self.config.election_timeout);
        Candidate { tally, election_at }
    }

    fn follower(&self, leader: BrokerId, endpoints: Vec<VoterEndpoint>) -> Follower {
        Follower {
            leader,
            endpoints,
            fetch_timeout_at: self.now + self.config.fetch_timeout,
            has_live_leader: false,
            membership_at: self.now + self.config.fetch_timeout * 2,
            has_updated_leader: false,
            leader_high_watermark: None,
            download: None,
        }
    }

    fn resigned(&mut self, successors: Vec<super::ReplicaKey>) -> Resigned {
        let me = self.me().id;
        let unacknowledged = self.history.voters().ids().filter(|id| *id != me).collect();
        let election_at = self.now + self.jitter.doubled(self.config.election_timeout);
        Resigned { unacknowledged, successors, election_at }
    }

    /// When an unattached voter stands for election; never for an observer.
    pub(super) fn election_deadline(&mut self) -> Option<Mono> {
        let timeout = self.jitter.doubled(self.config.election_timeout);
        self.is_voter().then(|| self.now + timeout)
    }

    /// Changes the role. Answers that the old role expected are dropped; requests that waited for a
    /// leader are answered.
    fn set_role(&mut self, role: RoleState) {
        let old = std::mem::replace(&mut self.role, role);
        self.peers.reset();
        let epoch = self.election.epoch;
        let leadership = match (&self.role, self.election.leader) {
            (RoleState::Leader(leader), _) => {
                Some(Leadership::Elected { epoch, epoch_start: leader.epoch_start })
            }
            (RoleState::Resigned(_), _) => Some(Leadership::Resigned { epoch }),
            (RoleState::Follower(follower), _) => {
                Some(Leadership::Following { epoch, leader: follower.leader })
            }
            (RoleState::Prospective(_), _) => None,
            (_, Some(leader)) => Some(Leadership::Following { epoch, leader }),
            (_, None) => Some(Leadership::Unknown { epoch }),
        };
        self.effects.extend(leadership.map(RaftEffect::Leadership));
        if let RoleState::Leader(mut leader) = old {
            let view = self.view();
            for parked in std::mem::take(&mut leader.parked) {
                let response = self.empty_fetch_response(ErrorCode::NotLeaderOrFollower);
                self.reply(parked.token, RaftResponse::Fetch(response));
            }
            if let Some(change) = leader.change.take() {
                let answer = change.answer(ErrorCode::NotLeaderOrFollower, None, &view);
                self.effects.extend(answer);
            }
        }
    }
}
