//! One replica by hand: a voter of three, or an observer, brought into a role by its messages.

use super::super::super::batch::ControlRecord;
use super::super::super::history::QuorumHistory;
use super::super::super::log_summary::{LogPosition, LogSummary};
use super::super::super::quorum_state::ElectionState;
use super::super::super::voters::{ReplicaKey, Voter, VoterEndpoint, VoterSet};
use super::super::*;
use super::world::{LISTENER, directory, ms};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Mono, Offset};

/// A voter or observer with this id, as its peers know it.
pub(super) fn voter(id: BrokerId) -> Voter {
    let directory = Some(directory(u64::from(id.unsigned_abs())));
    let endpoint =
        VoterEndpoint { listener: LISTENER.to_owned(), host: format!("n{id}"), port: 9093 };
    Voter { key: ReplicaKey { id, directory }, endpoints: vec![endpoint], kraft_versions: (0, 1) }
}

pub(super) fn key(id: BrokerId) -> ReplicaKey {
    voter(id).key
}

pub(super) fn voters(ids: &[BrokerId]) -> VoterSet {
    VoterSet::new(ids.iter().map(|id| voter(*id)))
}

/// The epoch and the log end with which a [`Replica`] starts.
pub(super) const EPOCH: LeaderEpoch = 5;
pub(super) const END: LogPosition = LogPosition { epoch: 5, offset: 10 };

pub(super) fn view(epoch: LeaderEpoch, leader: Option<BrokerId>) -> LeaderView {
    let endpoints = leader.map(|id| voter(id).endpoints).unwrap_or_default();
    LeaderView { epoch, leader, endpoints }
}

/// A replica, the effects of its last step, and a clock.
#[derive(Clone)]
pub(super) struct Replica {
    pub(super) machine: QuorumMachine,
    pub(super) now: Mono,
    pub(super) effects: Vec<RaftEffect>,
    tokens: u64,
}

/// How a replica starts.
pub(super) struct Start {
    pub(super) id: BrokerId,
    pub(super) voters: Vec<BrokerId>,
    pub(super) kraft_version: i16,
    pub(super) election: ElectionState,
    pub(super) log: LogSummary,
    pub(super) auto_join: bool,
}

impl Default for Start {
    /// Voter 1 of 1, 2 and 3 in epoch 5, with records 0 to 4 of epoch 3 and 5 to 9 of epoch 5.
    fn default() -> Self {
        Self {
            id: 1,
            voters: vec![1, 2, 3],
            kraft_version: 1,
            election: ElectionState { epoch: EPOCH, leader: None, voted: None },
            log: LogSummary::new(0, 10, vec![(3, 0), (5, 5)], []),
            auto_join: false,
        }
    }
}

impl Start {
    pub(super) fn replica(self) -> Replica {
        let mut members = voters(&self.voters);
        let mut history = QuorumHistory::default();
        if self.kraft_version == 0 {
            let unknown = |voter: &Voter| {
                let key = ReplicaKey { directory: None, ..voter.key };
                Voter { key, kraft_versions: (0, 0), ..voter.clone() }
            };
            members = VoterSet::new(members.iter().map(unknown));
            history = QuorumHistory::new(members);
        } else {
            history.apply(&ControlRecord::KraftVersion(self.kraft_version), 1);
            history.apply(&ControlRecord::Voters(members), 2);
        }
        let config = RaftConfig {
            bootstrap_servers: vec![("boot".to_owned(), 9093)],
            auto_join: self.auto_join,
            ..RaftConfig::new("cluster".to_owned(), voter(self.id), LISTENER.to_owned(), 7)
        };
        let now = Mono(1_000_000_000);
        let (machine, effects) =
            QuorumMachine::start(now, config, self.election, self.log, history);
        Replica { machine, now, effects, tokens: 0 }
    }
}

impl Replica {
    pub(super) fn unattached() -> Self {
        Start::default().replica()
    }

    pub(super) fn prospective() -> Self {
        let mut replica = Self::unattached();
        replica.pass(ms(2000));
        replica
    }

    pub(super) fn candidate() -> Self {
        let mut replica = Self::prospective();
        replica.answer_votes(true);
        replica
    }

    /// A leader of epoch 6 that has synced its first record and committed nothing.
    pub(super) fn leader() -> Self {
        let mut replica = Self::candidate();
        replica.answer_votes(true);
        replica.sync();
        replica
    }

    /// A leader of epoch 6 with a high watermark.
    pub(super) fn committed_leader() -> Self {
        let mut replica = Self::leader();
        replica.fetch_of(2, replica.end());
        replica
    }

    /// A follower of node 2 in epoch 6 that has not fetched yet.
    pub(super) fn new_follower() -> Self {
        let mut replica = Self::unattached();
        replica.request(begin_epoch(2, 6));
        replica
    }

    /// A follower of node 2 in epoch 6 that has fetched everything, committed up to 10.
    pub(super) fn follower() -> Self {
        let mut replica = Self::new_follower();
        let response = fetched(6, 2, Some(10), FetchContent::Empty);
        replica.answer(|request| matches!(request, RaftRequest::Fetch(_)), response);
        replica
    }

    pub(super) fn resigned() -> Self {
        let mut replica = Self::committed_leader();
        replica.step(RaftInput::Resign(6));
        replica
    }

    pub(super) fn observer() -> Self {
        Start { voters: vec![2, 3, 4], ..Start::default() }.replica()
    }

    pub(super) fn observing_follower() -> Self {
        let mut replica = Self::observer();
        replica.request(begin_epoch(2, 6));
        replica
    }

    pub(super) fn end(&self) -> LogPosition {
        self.machine.log().end()
    }

    pub(super) fn step(&mut self, input: RaftInput) -> &[RaftEffect] {
        self.effects = self.machine.step(self.now, input);
        &self.effects
    }

    /// Lets time pass, one deadline after the other; returns all effects.
    pub(super) fn pass(&mut self, time: std::time::Duration) -> Vec<RaftEffect> {
        let end = self.now + time;
        let mut all = Vec::new();
        while let Some(at) = self.machine.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            all.extend(self.machine.step(self.now, RaftInput::Tick));
        }
        self.now = end;
        all.extend(self.machine.step(self.now, RaftInput::Tick));
        self.effects = all.clone();
        all
    }

    pub(super) fn sync(&mut self) -> &[RaftEffect] {
        let end = self.end().offset;
        self.step(RaftInput::Synced(end))
    }

    /// Appends a data record as leader and syncs it.
    pub(super) fn append(&mut self) {
        let (epoch, end) = (self.machine.epoch(), self.end().offset + 1);
        self.step(RaftInput::Appended { epoch, end });
    }

    /// A request of the right cluster; returns its answer, if there is one at once.
    pub(super) fn request(&mut self, request: RaftRequest) -> Option<RaftResponse> {
        let cluster_id = Some("cluster".to_owned());
        self.request_with(RequestHead { cluster_id, target: RequestTarget::MetadataLog }, request)
    }

    pub(super) fn request_with(
        &mut self,
        head: RequestHead,
        request: RaftRequest,
    ) -> Option<RaftResponse> {
        self.tokens += 1;
        let token = ReplyToken(self.tokens);
        self.step(RaftInput::Request { token, head, request });
        self.reply_to(token)
    }

    fn reply_to(&self, wanted: ReplyToken) -> Option<RaftResponse> {
        self.effects.iter().find_map(|effect| match effect {
            RaftEffect::Reply { token, response } if *token == wanted => Some(response.clone()),
            _ => None,
        })
    }

    /// All answers of the last step.
    pub(super) fn replies(&self) -> Vec<RaftResponse> {
        let reply = |effect: &RaftEffect| match effect {
            RaftEffect::Reply { response, .. } => Some(response.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(reply).collect()
    }

    /// The requests of the last step.
    pub(super) fn sent(&self) -> Vec<(RequestId, Destination, RaftRequest)> {
        let send = |effect: &RaftEffect| match effect {
            RaftEffect::Send { id, to, request } => Some((*id, to.clone(), request.clone())),
            _ => None,
        };
        self.effects.iter().filter_map(send).collect()
    }

    /// Answers the first request of the last step that matches.
    pub(super) fn answer(
        &mut self,
        matches: impl Fn(&RaftRequest) -> bool,
        response: RaftResponse,
    ) -> &[RaftEffect] {
        let sent = self.sent();
        let (id, ..) =
            sent.iter().find(|(_, _, request)| matches(request)).expect("such a request");
        let id = *id;
        self.step(RaftInput::Response { id, response })
    }

    /// One voter answers the vote that this replica asked for in its last step.
    pub(super) fn answer_votes(&mut self, granted: bool) {
        let view = view(self.machine.epoch(), None);
        let response = RaftResponse::Vote { error: ErrorCode::None, view, granted };
        self.answer(|request| matches!(request, RaftRequest::Vote(_)), response);
    }

    /// A voter fetches from this leader, from a position on.
    pub(super) fn fetch_of(&mut self, id: BrokerId, at: LogPosition) -> Option<RaftResponse> {
        let epoch = self.machine.epoch();
        self.request(fetch(key(id), epoch, at))
    }
}

pub(super) fn begin_epoch(leader: BrokerId, epoch: LeaderEpoch) -> RaftRequest {
    let endpoints = voter(leader).endpoints;
    RaftRequest::BeginQuorumEpoch(BeginQuorumEpochRequest { voter: None, leader, epoch, endpoints })
}

pub(super) fn end_epoch(
    leader: BrokerId,
    epoch: LeaderEpoch,
    successors: &[BrokerId],
) -> RaftRequest {
    let endpoints = voter(leader).endpoints;
    let successors = successors.iter().map(|id| key(*id)).collect();
    RaftRequest::EndQuorumEpoch(EndQuorumEpochRequest { leader, epoch, successors, endpoints })
}

pub(super) fn vote(
    candidate: BrokerId,
    epoch: LeaderEpoch,
    log_end: LogPosition,
    pre_vote: bool,
) -> RaftRequest {
    let candidate = key(candidate);
    RaftRequest::Vote(VoteRequest { voter: Some(key(1)), epoch, candidate, log_end, pre_vote })
}

pub(super) fn fetch(replica: ReplicaKey, epoch: LeaderEpoch, at: LogPosition) -> RaftRequest {
    RaftRequest::Fetch(FetchRequest {
        replica,
        epoch,
        offset: at.offset,
        last_epoch: at.epoch,
        max_wait_ms: 500,
        max_bytes: 1 << 20,
        high_watermark: HIGH_WATERMARK_UNSUPPORTED,
    })
}

pub(super) fn fetched(
    epoch: LeaderEpoch,
    leader: BrokerId,
    high_watermark: Option<Offset>,
    content: FetchContent,
) -> RaftResponse {
    let (error, view, log_start) = (ErrorCode::None, view(epoch, Some(leader)), 0);
    RaftResponse::Fetch(FetchResponse { error, view, log_start, high_watermark, content })
}
