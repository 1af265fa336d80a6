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
use crate::types::{BrokerId, Mono, Uuid};

pub(super) const LISTENER: &str = "CONTROLLER";
pub(super) const CHUNK: i32 = 100;

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A node: its disk, and what runs on it.
pub(super) struct SimNode {
    pub(super) directory: Uuid,
    /// Grows with every start: connections of an earlier process are gone.
    pub(super) incarnation: u64,
    pub(super) host: String,
    pub(super) disk: SimDisk,
    pub(super) process: Option<Process>,
    pub(super) paused_until: Mono,
}

/// A running replica.
pub(super) struct Process {
    pub(super) machine: QuorumMachine,
    /// The log as readers see it; the disk has what is durable.
    pub(super) log: SimLog,
    /// Syncs under way: their number and the end that they will make durable.
    pub(super) syncs: BTreeMap<u64, Offset>,
    pub(super) requests: BTreeMap<ReplyToken, (Origin, RaftRequest)>,
    pub(super) last_token: u64,
    pub(super) known_committed: Offset,
    /// Whether the replica leads, as far as the effects have been carried out.
    pub(super) leads: bool,
    pub(super) download: Option<(SnapshotId, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A request of another node.
    Node { node: BrokerId, incarnation: u64, id: RequestId },
    /// An administrator, who does not wait.
    Admin,
}

/// The records or the snapshot that a response carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Attached {
    pub(super) batches: Vec<SimBatch>,
    pub(super) snapshot: Option<SimSnapshot>,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
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
    /// The disks that were replaced: what they had counts for what was committed then.
    pub(super) lost_disks: BTreeMap<Uuid, SimDisk>,
    pub(super) ledger: Ledger,
    /// What `format` wrote, or the configured voters.
    pub(super) formatted: QuorumHistory,
    pub(super) fault: Option<PlantedFault>,
    pub(super) auto_join: bool,
    /// Whether every effect is printed (`RAFT_TRACE`).
    pub(super) is_traced: bool,
    /// What has happened, and how often.
    pub(super) coverage: BTreeMap<&'static str, u64>,
    pub(super) events: BTreeMap<(Mono, u64), Event>,
    pub(super) sequence: u64,
    pub(super) last_data: u64,
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
            lost_disks: BTreeMap::new(),
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
        self.lost_disks.insert(node.directory, std::mem::take(&mut node.disk));
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

    pub(super) fn schedule(&mut self, at: Mono, event: Event) {
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
}
