//! Peers that send anything: no request and no response panics, and none moves what is committed.

use super::super::super::batch::ControlRecord;
use super::super::super::log_summary::LogPosition;
use super::super::super::snapshot::SnapshotId;
use super::super::super::voters::ReplicaKey;
use super::super::config::Jitter;
use super::super::*;
use super::replica::*;
use super::world::ms;
use crate::types::{BrokerId, ErrorCode, Offset};

const ROUNDS: u64 = 400;

struct Noise(Jitter);

impl Noise {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len() as u64) as usize]
    }

    fn id(&mut self) -> BrokerId {
        self.pick(&[-1, 0, 1, 2, 3, 4, 9, i32::MAX, i32::MIN])
    }

    /// Mostly near the replica's own, so that much gets past the first check.
    fn epoch(&mut self, own: i32) -> i32 {
        let far = self.pick(&[-1, 0, i32::MAX, i32::MIN, 7]);
        self.pick(&[own, own, own, own, own.saturating_add(1), own - 1, far])
    }

    fn offset(&mut self) -> Offset {
        self.pick(&[0, 3, 5, 9, 10, 11, 12, -1, i64::MAX, i64::MIN, 100])
    }

    fn key(&mut self) -> ReplicaKey {
        let id = self.id();
        let other = ReplicaKey { id, directory: None };
        if (1..=9).contains(&id) { self.pick(&[key(id), other]) } else { other }
    }

    fn position(&mut self, own: i32) -> LogPosition {
        LogPosition { epoch: self.epoch(own), offset: self.offset() }
    }

    fn view(&mut self, own: i32) -> LeaderView {
        let leader = self.pick(&[None, Some(1), Some(2), Some(2), Some(3), Some(-4)]);
        let mut view = view(self.epoch(own), leader);
        if self.0.below(4) == 0 {
            view.endpoints.clear();
        }
        view
    }

    fn error(&mut self) -> ErrorCode {
        self.pick(&[
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::FencedLeaderEpoch,
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::UnknownLeaderEpoch,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidVoterKey,
            ErrorCode::BrokerNotAvailable,
            ErrorCode::SnapshotNotFound,
            ErrorCode::UnsupportedVersion,
        ])
    }

    fn request(&mut self, own: i32) -> RaftRequest {
        let (epoch, id) = (self.epoch(own), self.id());
        let endpoints = self.pick(&[1, 2, 3, 4]);
        let endpoints = if self.0.below(4) == 0 { vec![] } else { voter(endpoints).endpoints };
        let named = self.pick(&[None, Some(key(1)), Some(key(2))]);
        let kraft_versions = self.pick(&[(0, 1), (1, 0), (-1, 5), (0, 0)]);
        match self.0.below(10) {
            0 | 1 => RaftRequest::Vote(VoteRequest {
                voter: named,
                epoch,
                candidate: self.key(),
                log_end: self.position(own),
                pre_vote: self.0.below(2) == 0,
            }),
            2 => RaftRequest::BeginQuorumEpoch(BeginQuorumEpochRequest {
                voter: named,
                leader: id,
                epoch,
                endpoints,
            }),
            3 => RaftRequest::EndQuorumEpoch(EndQuorumEpochRequest {
                leader: id,
                epoch,
                successors: (0..self.0.below(70)).map(|_| self.key()).collect(),
                endpoints,
            }),
            4 | 5 => RaftRequest::Fetch(FetchRequest {
                replica: self.key(),
                epoch,
                offset: self.offset(),
                last_epoch: self.epoch(own),
                max_wait_ms: self.pick(&[0, 500, -1, i32::MAX]),
                max_bytes: self.pick(&[0, 100, -1, i32::MAX]),
                high_watermark: self.offset(),
            }),
            6 => RaftRequest::FetchSnapshot(FetchSnapshotRequest {
                replica: self.key(),
                epoch,
                snapshot: SnapshotId { offset: self.offset(), epoch: self.epoch(own) },
                position: self.offset(),
                max_bytes: self.pick(&[0, 100, -1, i32::MAX]),
            }),
            7 => RaftRequest::RemoveVoter(self.key()),
            8 => RaftRequest::AddVoter(AddVoterRequest {
                voter: self.key(),
                endpoints,
                ack_when_committed: self.0.below(2) == 0,
            }),
            _ => RaftRequest::UpdateVoter(UpdateVoterRequest {
                epoch,
                voter: self.key(),
                endpoints,
                kraft_versions,
            }),
        }
    }

    fn response(&mut self, own: i32) -> RaftResponse {
        let (error, view) = (self.error(), self.view(own));
        match self.0.below(10) {
            0 => RaftResponse::Rejected(error),
            1 | 2 => RaftResponse::Vote { error, view, granted: self.0.below(2) == 0 },
            3 => RaftResponse::BeginQuorumEpoch { error, view },
            4 => RaftResponse::EndQuorumEpoch { error, view },
            5 => RaftResponse::FetchSnapshot(FetchSnapshotResponse {
                error,
                view,
                snapshot: self.pick(&[None, Some(SnapshotId { offset: 20, epoch: 6 })]),
                size: self.pick(&[0, 100, u64::MAX]),
                position: self.pick(&[0, 50, u64::MAX]),
                bytes: self.pick(&[0, 50, 100, u64::MAX]),
            }),
            6 => {
                let kraft_versions = self.pick(&[None, Some((0, 1)), Some((5, 2))]);
                RaftResponse::ApiVersions { error, kraft_versions }
            }
            7 => RaftResponse::UpdateVoter { error, view },
            _ => {
                let content = self.content(own);
                let high_watermark = self.pick(&[None, Some(10), Some(i64::MAX), Some(-5)]);
                let log_start = self.offset();
                let response = FetchResponse { error, view, log_start, high_watermark, content };
                RaftResponse::Fetch(response)
            }
        }
    }

    fn content(&mut self, own: i32) -> FetchContent {
        match self.0.below(5) {
            0 => FetchContent::Empty,
            1 => FetchContent::Diverging(self.position(own)),
            2 => {
                let (offset, epoch) = (self.offset(), self.epoch(own));
                FetchContent::Snapshot(SnapshotId { offset, epoch })
            }
            3 => FetchContent::Read { offset: self.offset(), max_bytes: -1 },
            _ => {
                let mut batch = || BatchSummary {
                    base: self.offset(),
                    end: self.offset(),
                    epoch: self.epoch(own),
                    control: vec![ControlRecord::Voters(voters(&[2, 3]))],
                };
                FetchContent::Batches(vec![batch(), batch()])
            }
        }
    }
}

const ROLES: &[fn() -> Replica] = &[
    Replica::unattached,
    Replica::prospective,
    Replica::candidate,
    Replica::leader,
    Replica::committed_leader,
    Replica::new_follower,
    Replica::follower,
    Replica::resigned,
    Replica::observer,
    Replica::observing_follower,
];

#[test]
fn no_peer_can_make_a_replica_panic() {
    for round in 0..ROUNDS {
        let mut noise = Noise(Jitter::new(round));
        let build = ROLES[(round as usize) % ROLES.len()];
        let mut replica = build();
        let mut waiting: Vec<RequestId> = Vec::new();
        for _ in 0..60 {
            let own = replica.machine.epoch();
            match noise.0.below(4) {
                0 | 1 => _ = replica.request(noise.request(own)),
                2 if !waiting.is_empty() => {
                    let id = waiting.swap_remove(noise.0.below(waiting.len() as u64) as usize);
                    let response = noise.response(own);
                    replica.step(RaftInput::Response { id, response });
                }
                _ => _ = replica.pass(ms(noise.0.below(800))),
            }
            waiting.extend(replica.sent().into_iter().map(|(id, ..)| id));
            if replica.effects.iter().any(|effect| matches!(effect, RaftEffect::InstallSnapshot(_)))
            {
                break;
            }
            if replica.machine.role() == RoleKind::Leader {
                replica.sync();
            }
        }
    }
}
