//! The driver of a simulated replica: carries the effects of each step out, on its disk and over the
//! network.

use std::time::Duration;

use super::super::super::voters::ReplicaKey;
use super::super::faults::PlantedFault;
use super::super::*;
use super::disk::{SimBatch, SimSnapshot};
use super::ledger::Ledger;
use super::world::{Attached, CHUNK, Event, Origin, SimNode, World, ms};
use crate::types::{BrokerId, ErrorCode};

impl World {
    pub(super) fn step(&mut self, id: BrokerId, input: RaftInput) {
        self.step_with(id, input, &Attached::default());
    }

    pub(super) fn step_with(&mut self, id: BrokerId, input: RaftInput, attached: &Attached) {
        let now = self.now;
        let Some(process) = self.nodes.get_mut(&id).unwrap().process.as_mut() else { return };
        let effects = process.machine.step(now, input);
        self.carry_out(id, effects, attached);
    }

    pub(super) fn carry_out(
        &mut self,
        id: BrokerId,
        effects: Vec<RaftEffect>,
        attached: &Attached,
    ) {
        for effect in effects {
            self.apply(id, effect, attached);
        }
        let now = self.now;
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(process) = &mut node.process else { return };
        // Planted, it is the vote itself that must be found.
        if self.fault != Some(PlantedFault::VoteNotPersisted) {
            Ledger::check_persisted(&process.machine, &node.disk);
        }
        self.ledger.after_step(&process.machine, &process.log, &node.disk);
        let incarnation = node.incarnation;
        if let Some(at) = process.machine.deadline() {
            let at = at.max(now + Duration::from_micros(1));
            self.schedule(at, Event::Wake { node: id, incarnation });
        }
    }

    fn cover(&mut self, effect: &RaftEffect) {
        let voters = |records: &[ControlRecord]| {
            records.iter().any(|it| matches!(it, ControlRecord::Voters(_)))
        };
        let event = match effect {
            RaftEffect::Leadership(Leadership::Elected { .. }) => "election",
            RaftEffect::Leadership(Leadership::Resigned { .. }) => "resignation",
            RaftEffect::Truncate(_) => "truncation",
            RaftEffect::InstallSnapshot(_) => "snapshot installed",
            RaftEffect::Append(batch) if voters(&batch.records) => "voters recorded",
            RaftEffect::AppendFetched(batches) if batches.len() > 1 => "several batches fetched",
            RaftEffect::ShutdownComplete => "graceful shutdown",
            RaftEffect::Send { request: RaftRequest::UpdateVoter(_), .. } => "voter update asked",
            RaftEffect::Send { request: RaftRequest::RemoveVoter(_), .. } => {
                "old disk removal asked"
            }
            RaftEffect::Send { request: RaftRequest::AddVoter(_), .. } => "join asked",
            RaftEffect::Reply { response: RaftResponse::AddVoter(answer), .. }
                if answer.error.is_none() =>
            {
                "voter added"
            }
            RaftEffect::Reply { response: RaftResponse::RemoveVoter(answer), .. }
                if answer.error.is_none() =>
            {
                "voter removed"
            }
            RaftEffect::Reply {
                response: RaftResponse::KraftVersionUpgrade { error: ErrorCode::None, .. },
                ..
            } => "kraft.version raised",
            RaftEffect::Reply { response: RaftResponse::Vote { granted: true, .. }, .. } => "vote",
            _ => return,
        };
        *self.coverage.entry(event).or_insert(0) += 1;
    }

    fn apply(&mut self, id: BrokerId, effect: RaftEffect, attached: &Attached) {
        self.cover(&effect);
        if self.is_traced {
            println!("{} {id} {effect:?}", self.now.0 / 1_000_000);
        }
        let key = self.key(id);
        let node = self.nodes.get_mut(&id).unwrap();
        let process = node.process.as_mut().unwrap();
        match effect {
            RaftEffect::Persist { mut election, kraft_version } => {
                if election.voted == Some(key) {
                    self.ledger.voted(key, election.epoch, id);
                }
                if kraft_version == 0
                    && let Some(voted) = &mut election.voted
                {
                    voted.directory = None;
                }
                node.disk.election = Some(election);
            }
            RaftEffect::Append(batch) => {
                let history = process.log.history(&self.formatted);
                self.ledger.appended(history.voters(), history.voters_offset(), &batch);
                let ControlBatch { base, epoch, records } = batch;
                let end = base + records.len() as Offset;
                process.log.append(SimBatch { base, end, epoch, data: 0, control: records });
            }
            RaftEffect::AppendFetched(batches) => {
                for (batch, summary) in attached.batches.iter().zip(&batches) {
                    assert_eq!(batch.summary(), *summary);
                    process.log.append(batch.clone());
                }
            }
            RaftEffect::Truncate(to) => {
                self.ledger.truncated(key, &process.log, to);
                process.log.truncate(to);
                for end in process.syncs.values_mut() {
                    *end = (*end).min(to);
                }
            }
            RaftEffect::Sync => {
                self.sequence += 1;
                let sync = self.sequence;
                process.syncs.insert(sync, process.log.end());
                let incarnation = node.incarnation;
                let at = self.now + self.within(self.chaos.sync_max);
                self.schedule(at, Event::Synced { node: id, incarnation, sync });
            }
            RaftEffect::HighWatermark(end) => self.committed(id, end),
            RaftEffect::Send { id: request_id, to, request } => {
                self.send(id, request_id, to, request);
            }
            RaftEffect::Reply { token, response } => self.reply(id, token, response),
            RaftEffect::Leadership(Leadership::Elected { epoch, .. }) => {
                process.leads = true;
                self.ledger.elected(key, epoch, &process.log);
            }
            RaftEffect::Leadership(_) => process.leads = false,
            RaftEffect::BeginSnapshot(snapshot) => process.download = Some((snapshot, 0)),
            RaftEffect::AppendSnapshot { id: snapshot, position } => {
                assert_eq!(
                    process.download,
                    Some((snapshot, position)),
                    "chunks continue the file"
                );
                process.download = Some((snapshot, position + u64::from(CHUNK.unsigned_abs())));
            }
            RaftEffect::InstallSnapshot(snapshot_id) => {
                let own = process.log.snapshots.get(&snapshot_id).cloned();
                let snapshot = attached.snapshot.clone().or(own).unwrap();
                assert_eq!(snapshot.id, snapshot_id);
                self.ledger.installed(key, &snapshot.records);
                let (kraft_version, voters) = (snapshot.kraft_version, snapshot.voters.clone());
                process.syncs.clear();
                process.log.restart_at(snapshot);
                node.disk.log = process.log.clone();
                let bytes = SimSnapshot::BYTES;
                let input =
                    RaftInput::SnapshotInstalled { id: snapshot_id, bytes, kraft_version, voters };
                self.step(id, input);
            }
            RaftEffect::ShutdownComplete => self.crash(id),
            RaftEffect::Halt(line) => panic!("{key} halts: {line}"),
        }
    }

    fn committed(&mut self, id: BrokerId, end: Offset) {
        let key = self.key(id);
        let nodes = &self.nodes;
        let process = nodes[&id].process.as_ref().unwrap();
        if process.leads {
            let lost = &self.lost_disks;
            let disk_of = |voter: ReplicaKey| {
                let node = nodes.get(&voter.id)?;
                match voter.directory.filter(|directory| *directory != node.directory) {
                    Some(directory) => lost.get(&directory).cloned(),
                    None => Some(node.disk.clone()),
                }
            };
            self.ledger.leader_committed(&process.machine, &process.log, end, &disk_of);
        }
        let from = process.known_committed;
        self.ledger.knows_committed(key, &process.log, from, end);
        self.nodes.get_mut(&id).unwrap().process.as_mut().unwrap().known_committed = end;
    }

    // The network.

    fn within(&mut self, most: Duration) -> Duration {
        Duration::from_micros(1 + self.rng.below(most.as_micros() as u64))
    }

    fn resolve(&self, host: &str) -> Option<BrokerId> {
        let has =
            |(id, node): &(&BrokerId, &SimNode)| node.host == host || format!("boot{id}") == host;
        self.nodes.iter().find(has).map(|(id, _)| *id)
    }

    fn send(&mut self, from: BrokerId, id: RequestId, to: Destination, request: RaftRequest) {
        if let RaftRequest::Vote(vote) = &request {
            let own = self.nodes[&from].disk.election.as_ref().map(|it| it.epoch);
            assert_eq!(
                Some(vote.epoch),
                own,
                "{from} asks for votes in an epoch that is not its own"
            );
        }
        let incarnation = self.nodes[&from].incarnation;
        let target = self.resolve(&to.host).filter(|to| self.nodes[to].process.is_some());
        let is_lost = self.rng.below(100) < self.chaos.loss_percent;
        let failed = Event::Failed { to: from, incarnation, id };
        match target {
            None => {
                let at = self.now + self.within(ms(5));
                self.schedule(at, failed);
            }
            Some(target) if self.chaos.cuts.contains(&(from, target)) || is_lost => {
                if self.rng.below(2) == 0 {
                    let at = self.now + self.within(ms(500));
                    self.schedule(at, failed);
                }
            }
            Some(target) => {
                let copies = 1 + u64::from(self.rng.below(100) < self.chaos.duplicate_percent);
                for _ in 0..copies {
                    let at = self.now + self.within(self.chaos.delay_max);
                    let origin = Origin::Node { node: from, incarnation, id };
                    self.schedule(
                        at,
                        Event::Request { origin, to: target, request: request.clone() },
                    );
                }
            }
        }
    }

    fn reply(&mut self, from: BrokerId, token: ReplyToken, response: RaftResponse) {
        let most = 1 + self.rng.below(5) as usize;
        let node = self.nodes.get_mut(&from).unwrap();
        let process = node.process.as_mut().unwrap();
        let (origin, request) =
            process.requests.remove(&token).expect("a request is answered once");
        if let (RaftRequest::Vote(vote), RaftResponse::Vote { granted: true, .. }) =
            (&request, &response)
            && !vote.pre_vote
        {
            let voter = ReplicaKey { id: from, directory: Some(node.directory) };
            self.ledger.voted(voter, vote.epoch, vote.candidate.id);
            let incarnation = node.incarnation;
            if self.rng.below(100) < self.chaos.restart_after_vote_percent {
                let at = self.now + self.within(ms(2));
                self.schedule(at, Event::Restart { node: from, incarnation });
            }
        }
        let mut attached = Attached::default();
        let process = self.nodes[&from].process.as_ref().unwrap();
        let response = match response {
            RaftResponse::Fetch(FetchResponse {
                content: FetchContent::Read { offset, .. },
                ..
            }) => {
                attached.batches = process.log.read(offset, most);
                let RaftResponse::Fetch(response) = response else { unreachable!() };
                let batches = attached.batches.iter().map(SimBatch::summary).collect();
                let content = FetchContent::Batches(batches);
                RaftResponse::Fetch(FetchResponse { content, ..response })
            }
            RaftResponse::FetchSnapshot(response) => {
                attached.snapshot =
                    response.snapshot.and_then(|id| process.log.snapshots.get(&id).cloned());
                RaftResponse::FetchSnapshot(response)
            }
            other => other,
        };
        let Origin::Node { node: to, incarnation, id } = origin else { return };
        let is_lost = self.rng.below(100) < self.chaos.loss_percent;
        if is_lost || self.chaos.cuts.contains(&(from, to)) {
            return;
        }
        let at = self.now + self.within(self.chaos.delay_max);
        self.schedule(at, Event::Response { to, incarnation, id, response, attached });
    }
}
