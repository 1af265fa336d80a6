//! Replicas, their disks and the network between them, from one seed: the driver of the machine as a
//! simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::super::history::QuorumHistory;
use super::super::super::snapshot::SnapshotId;
use super::super::super::voters::{ReplicaKey, Voter, VoterEndpoint, VoterSet};
use super::super::config::Jitter;
use super::super::faults::PlantedFault;
use super::super::*;
use super::disk::{SimBatch, SimDisk, SimLog, SimSnapshot};
use super::ledger::Ledger;
use crate::types::{BrokerId, ErrorCode, Mono, Uuid};

pub(super) const LISTENER: &str = "CONTROLLER";
const CHUNK: i32 = 100;

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A node: its disk, and what runs on it.
pub(super) struct SimNode {
    pub(super) directory: Uuid,
    /// Grows with every start: connections of an earlier process are gone.
    incarnation: u64,
    host: String,
    pub(super) disk: SimDisk,
    pub(super) process: Option<Process>,
    paused_until: Mono,
}

/// A running replica.
pub(super) struct Process {
    pub(super) machine: QuorumMachine,
    /// The log as readers see it; the disk has what is durable.
    pub(super) log: SimLog,
    /// Syncs under way: their number and the end that they will make durable.
    syncs: BTreeMap<u64, Offset>,
    requests: BTreeMap<ReplyToken, (Origin, RaftRequest)>,
    last_token: u64,
    known_committed: Offset,
    /// Whether the replica leads, as far as the effects have been carried out.
    leads: bool,
    download: Option<(SnapshotId, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A request of another node.
    Node { node: BrokerId, incarnation: u64, id: RequestId },
    /// An administrator, who does not wait.
    Admin,
}

/// The records or the snapshot that a response carries.
#[derive(Clone, Debug, Default)]
struct Attached {
    batches: Vec<SimBatch>,
    snapshot: Option<SimSnapshot>,
}

#[derive(Clone, Debug)]
enum Event {
    Request {
        origin: Origin,
        to: BrokerId,
        request: RaftRequest,
    },
    Response {
        to: BrokerId,
        incarnation: u64,
        id: RequestId,
        response: RaftResponse,
        attached: Attached,
    },
    Failed {
        to: BrokerId,
        incarnation: u64,
        id: RequestId,
    },
    Synced {
        node: BrokerId,
        incarnation: u64,
        sync: u64,
    },
    Wake {
        node: BrokerId,
        incarnation: u64,
    },
    Restart {
        node: BrokerId,
        incarnation: u64,
    },
    Kill {
        node: BrokerId,
        incarnation: u64,
    },
}

/// How the network and the disks misbehave.
#[derive(Clone, Debug)]
pub(super) struct Chaos {
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    pub(super) delay_max: Duration,
    pub(super) sync_max: Duration,
    /// How often a node crashes right after it has voted.
    pub(super) restart_after_vote_percent: u64,
    /// One-way cuts.
    pub(super) cuts: BTreeSet<(BrokerId, BrokerId)>,
}

impl Chaos {
    pub(super) fn none() -> Self {
        Self {
            loss_percent: 0,
            duplicate_percent: 0,
            delay_max: ms(3),
            sync_max: ms(3),
            restart_after_vote_percent: 0,
            cuts: BTreeSet::new(),
        }
    }
}

pub(super) struct World {
    pub(super) now: Mono,
    pub(super) rng: Jitter,
    pub(super) chaos: Chaos,
    pub(super) nodes: BTreeMap<BrokerId, SimNode>,
    pub(super) ledger: Ledger,
    /// What `format` wrote, or the configured voters.
    formatted: QuorumHistory,
    pub(super) fault: Option<PlantedFault>,
    pub(super) auto_join: bool,
    /// Whether every effect is printed (`RAFT_TRACE`).
    is_traced: bool,
    /// What has happened, and how often.
    pub(super) coverage: BTreeMap<&'static str, u64>,
    events: BTreeMap<(Mono, u64), Event>,
    sequence: u64,
    last_data: u64,
}

pub(super) fn directory(number: u64) -> Uuid {
    Uuid::from_halves(0x1111_0000_0000_4000, 0x8000_0000_0000_0000 | number)
}

impl World {
    /// `count` nodes of which the first `voters` vote; with static voters below kraft.version 1.
    pub(super) fn new(
        seed: u64,
        count: i32,
        voters: i32,
        kraft_version: i16,
        fault: Option<PlantedFault>,
    ) -> Self {
        let mut rng = Jitter::new(seed);
        rng.below(2);
        let mut world = Self {
            now: Mono(1_000_000_000),
            rng,
            chaos: Chaos::none(),
            nodes: BTreeMap::new(),
            ledger: Ledger::default(),
            formatted: QuorumHistory::default(),
            fault,
            auto_join: false,
            is_traced: std::env::var("RAFT_TRACE").is_ok(),
            coverage: BTreeMap::new(),
            events: BTreeMap::new(),
            sequence: 0,
            last_data: 0,
        };
        for id in 1..=count {
            let (directory, host) = (directory(u64::from(id.unsigned_abs())), format!("n{id}"));
            let (disk, process) = (SimDisk::default(), None);
            let paused_until = Mono(0);
            let node = SimNode { directory, incarnation: 0, host, disk, process, paused_until };
            world.nodes.insert(id, node);
        }
        let voters: Vec<Voter> = (1..=voters)
            .map(|id| {
                let mut voter = world.local(id);
                if kraft_version == 0 {
                    voter.key.directory = None;
                    voter.kraft_versions = (0, 0);
                }
                voter
            })
            .collect();
        let voters = VoterSet::new(voters);
        if kraft_version == 0 {
            world.formatted = QuorumHistory::new(voters);
        } else {
            world.formatted.apply(&ControlRecord::KraftVersion(kraft_version), -1);
            world.formatted.apply(&ControlRecord::Voters(voters), -1);
        }
        world
    }

    pub(super) fn key(&self, id: BrokerId) -> ReplicaKey {
        ReplicaKey { id, directory: Some(self.nodes[&id].directory) }
    }

    pub(super) fn local(&self, id: BrokerId) -> Voter {
        let host = self.nodes[&id].host.clone();
        let endpoints = vec![VoterEndpoint { listener: LISTENER.to_owned(), host, port: 9093 }];
        Voter { key: self.key(id), endpoints, kraft_versions: (0, 1) }
    }

    fn config(&mut self, id: BrokerId) -> RaftConfig {
        let seed = self.rng.below(u64::MAX);
        let bootstrap_servers = self.nodes.keys().map(|id| (format!("boot{id}"), 9093)).collect();
        RaftConfig {
            bootstrap_servers,
            auto_join: self.auto_join,
            fetch_snapshot_max_bytes: CHUNK,
            ..RaftConfig::new("cluster".to_owned(), self.local(id), LISTENER.to_owned(), seed)
        }
    }

    pub(super) fn start(&mut self, id: BrokerId) {
        let config = self.config(id);
        let (now, fault) = (self.now, self.fault);
        let formatted = self.formatted.clone();
        let node = self.nodes.get_mut(&id).unwrap();
        if node.process.is_some() {
            return;
        }
        node.incarnation += 1;
        let log = node.disk.log.clone();
        let election = node.disk.election.clone().unwrap_or_default();
        let (summary, history) = (log.summary(), log.history(&formatted));
        let (machine, effects) =
            QuorumMachine::start_with_fault(now, config, election, summary, history, fault);
        node.process = Some(Process {
            machine,
            log,
            syncs: BTreeMap::new(),
            requests: BTreeMap::new(),
            last_token: 0,
            known_committed: 0,
            leads: false,
            download: None,
        });
        self.carry_out(id, effects, &Attached::default());
    }

    /// The process dies. Of what was not synced, any first part survives.
    pub(super) fn crash(&mut self, id: BrokerId) {
        let draw = self.rng.below(4);
        let part = self.rng.below(100);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(process) = node.process.take() else { return };
        let synced = node.disk.log.end();
        if draw == 0 && process.log.end() > synced && process.log.start == node.disk.log.start {
            let more = (process.log.end() - synced) * part as Offset / 100;
            let survived = process.log.prefix(synced + more);
            if survived.batches.starts_with(&node.disk.log.batches) {
                node.disk.log.batches = survived.batches;
            }
        }
    }

    /// The node loses its disk and comes back with an empty one: another replica.
    pub(super) fn wipe(&mut self, id: BrokerId) {
        self.crash(id);
        let number = 1000 + self.rng.below(u64::from(u32::MAX));
        let node = self.nodes.get_mut(&id).unwrap();
        node.disk = SimDisk::default();
        node.directory = directory(number);
        // What the lost replica has sent does not outlive it.
        self.events.retain(|_, event| match event {
            Event::Request { origin: Origin::Node { node, .. }, .. } => *node != id,
            _ => true,
        });
    }

    pub(super) fn move_host(&mut self, id: BrokerId) {
        self.crash(id);
        let number = self.rng.below(1000);
        self.nodes.get_mut(&id).unwrap().host = format!("n{id}-{number}");
    }

    pub(super) fn pause(&mut self, id: BrokerId, time: Duration) {
        self.nodes.get_mut(&id).unwrap().paused_until = self.now + time;
    }

    pub(super) fn machine(&self, id: BrokerId) -> Option<&QuorumMachine> {
        self.nodes[&id].process.as_ref().map(|process| &process.machine)
    }

    pub(super) fn leaders(&self) -> Vec<BrokerId> {
        let leads =
            |id: &BrokerId| self.machine(*id).is_some_and(|it| it.role() == RoleKind::Leader);
        self.nodes.keys().copied().filter(leads).collect()
    }

    /// The leader of the highest epoch.
    pub(super) fn leader(&self) -> Option<BrokerId> {
        self.leaders().into_iter().max_by_key(|id| self.machine(*id).map(QuorumMachine::epoch))
    }

    /// A controller on the node appends a record, if it leads.
    pub(super) fn append(&mut self, id: BrokerId) {
        self.last_data += 1;
        let data = self.last_data;
        let Some(process) = self.nodes.get_mut(&id).unwrap().process.as_mut() else { return };
        if process.machine.role() != RoleKind::Leader {
            return;
        }
        let (base, epoch) = (process.log.end(), process.machine.epoch());
        let batch = SimBatch { base, end: base + 1, epoch, data, control: Vec::new() };
        process.log.append(batch);
        self.step(id, RaftInput::Appended { epoch, end: base + 1 });
    }

    /// The node writes a snapshot of what it knows committed, and may delete the log before it.
    pub(super) fn snapshot(&mut self, id: BrokerId, clean: bool) {
        let fault = self.fault;
        let Some(process) = self.nodes.get_mut(&id).unwrap().process.as_mut() else { return };
        let machine = &process.machine;
        let mut offset = machine.high_watermark().unwrap_or(0);
        if fault == Some(PlantedFault::SnapshotAboveHighWatermark) {
            offset = process.log.end();
        }
        let Some((epoch, _)) = process.log.record(offset - 1) else { return };
        let snapshot_id = SnapshotId { offset, epoch };
        if process.log.snapshots.contains_key(&snapshot_id) || offset <= process.log.start {
            return;
        }
        let history = machine.history();
        let kraft_version = history.kraft_version_before(offset);
        let voters = (kraft_version > 0).then(|| history.voters_before(offset).clone());
        let Some(records) = process.log.records_before(offset) else { return };
        let snapshot = SimSnapshot { id: snapshot_id, kraft_version, voters, records };
        process.log.snapshots.insert(snapshot_id, snapshot.clone());
        let node = self.nodes.get_mut(&id).unwrap();
        node.disk.log.snapshots.insert(snapshot_id, snapshot);
        self.step(id, RaftInput::SnapshotTaken { id: snapshot_id, bytes: SimSnapshot::BYTES });
        let node = self.nodes.get_mut(&id).unwrap();
        if clean && node.disk.log.end() >= offset {
            node.disk.log.clean(offset);
            node.process.as_mut().unwrap().log.clean(offset);
            self.step(id, RaftInput::Cleaned(offset));
        }
    }

    /// An administrator upgrades kraft.version.
    pub(super) fn upgrade(&mut self, id: BrokerId) {
        let Some(process) = self.nodes.get_mut(&id).unwrap().process.as_mut() else { return };
        process.last_token += 1;
        let token = ReplyToken(process.last_token);
        let epoch = process.machine.epoch();
        process.requests.insert(token, (Origin::Admin, RaftRequest::DescribeQuorum));
        let (version, validate_only) = (1, false);
        self.step(id, RaftInput::UpgradeKraftVersion { token, epoch, version, validate_only });
    }

    pub(super) fn formatted(&self) -> QuorumHistory {
        self.formatted.clone()
    }

    /// An administrator asks the node.
    pub(super) fn ask(&mut self, id: BrokerId, request: RaftRequest) {
        self.deliver_request(Origin::Admin, id, request);
    }

    /// The node stops by itself, and is killed if that takes too long.
    pub(super) fn shut_down(&mut self, id: BrokerId) {
        if self.nodes[&id].process.is_some() {
            let incarnation = self.nodes[&id].incarnation;
            self.schedule(self.now + ms(5000), Event::Kill { node: id, incarnation });
            self.step(id, RaftInput::Shutdown);
        }
    }

    pub(super) fn input(&mut self, id: BrokerId, input: RaftInput) {
        if self.nodes[&id].process.is_some() {
            self.step(id, input);
        }
    }

    // Time.

    fn schedule(&mut self, at: Mono, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    /// Runs until `end`.
    pub(super) fn run_until(&mut self, end: Mono) {
        while let Some(entry) = self.events.first_entry() {
            let at = entry.key().0;
            if at > end {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(at);
            self.handle(event);
        }
        self.now = end;
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Runs until `holds`, or fails after `limit`.
    pub(super) fn run_while_not(
        &mut self,
        limit: Duration,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) {
        let end = self.now + limit;
        while !holds(self) {
            assert!(self.now < end, "not within {limit:?}: {what}\n{}", self.describe());
            self.run_for(ms(20));
        }
    }

    pub(super) fn describe(&self) -> String {
        let line = |(id, node): (&BrokerId, &SimNode)| match &node.process {
            None => format!("{id}: stopped"),
            Some(process) => {
                let machine = &process.machine;
                format!(
                    "{id}: {:?} {:?} log {}..{} hw {:?} voters {} v{}",
                    machine.role(),
                    machine.election(),
                    process.log.start,
                    process.log.end(),
                    machine.high_watermark(),
                    machine.history().voters(),
                    machine.history().kraft_version(),
                )
            }
        };
        self.nodes.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn handle(&mut self, event: Event) {
        let (node, incarnation) = match &event {
            Event::Request { to, .. } => (*to, None),
            Event::Response { to, incarnation, .. } | Event::Failed { to, incarnation, .. } => {
                (*to, Some(*incarnation))
            }
            Event::Synced { node, incarnation, .. }
            | Event::Wake { node, incarnation }
            | Event::Restart { node, incarnation }
            | Event::Kill { node, incarnation } => (*node, Some(*incarnation)),
        };
        let Some(target) = self.nodes.get(&node) else { return };
        if target.process.is_none() || incarnation.is_some_and(|it| it != target.incarnation) {
            return;
        }
        if target.paused_until > self.now {
            return self.schedule(target.paused_until, event);
        }
        match event {
            Event::Request { origin, to, request } => self.deliver_request(origin, to, request),
            Event::Response { to, id, response, attached, .. } => {
                self.step_with(to, RaftInput::Response { id, response }, &attached);
            }
            Event::Failed { to, id, .. } => {
                self.step(to, RaftInput::Failed { id, failure: SendFailure::Unreachable });
            }
            Event::Synced { node, sync, .. } => self.sync_done(node, sync),
            Event::Kill { node, .. } => self.crash(node),
            Event::Restart { node, .. } => {
                self.crash(node);
                self.start(node);
            }
            Event::Wake { node, .. } => {
                let due = self.machine(node).and_then(QuorumMachine::deadline);
                if due.is_some_and(|at| at <= self.now) {
                    self.step(node, RaftInput::Tick);
                }
            }
        }
    }

    fn sync_done(&mut self, id: BrokerId, sync: u64) {
        let node = self.nodes.get_mut(&id).unwrap();
        let process = node.process.as_mut().unwrap();
        let Some(end) = process.syncs.remove(&sync) else { return };
        let durable = process.log.prefix(end);
        // Later syncs may have finished first; a truncation since is durable with this one.
        if durable.end() > node.disk.log.end()
            || !process.log.batches.starts_with(&node.disk.log.batches)
        {
            node.disk.log = durable;
        }
        self.step(id, RaftInput::Synced(end));
    }

    fn deliver_request(&mut self, origin: Origin, to: BrokerId, request: RaftRequest) {
        let Some(process) = self.nodes.get_mut(&to).unwrap().process.as_mut() else { return };
        process.last_token += 1;
        let token = ReplyToken(process.last_token);
        process.requests.insert(token, (origin, request.clone()));
        let cluster_id = Some("cluster".to_owned());
        let head = RequestHead { cluster_id, target: RequestTarget::MetadataLog };
        self.step(to, RaftInput::Request { token, head, request });
    }

    // Steps.

    pub(super) fn step(&mut self, id: BrokerId, input: RaftInput) {
        self.step_with(id, input, &Attached::default());
    }

    fn step_with(&mut self, id: BrokerId, input: RaftInput, attached: &Attached) {
        let now = self.now;
        let Some(process) = self.nodes.get_mut(&id).unwrap().process.as_mut() else { return };
        let effects = process.machine.step(now, input);
        self.carry_out(id, effects, attached);
    }

    fn carry_out(&mut self, id: BrokerId, effects: Vec<RaftEffect>, attached: &Attached) {
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
            let disk_of = |voter: ReplicaKey| {
                let node = nodes.get(&voter.id)?;
                let is_it = voter.directory.is_none_or(|directory| directory == node.directory);
                is_it.then(|| node.disk.clone())
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
