//! Three brokers, a controller, and a network that loses, repeats, delays and reorders.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::super::*;
use super::broker::{BACKOFF, Broker, Host, LAG_TIME_MAX, Record, SimLog};
use super::checks::Checker;
use super::controller::{AlterPartition, BROKERS, Controller};
use super::messages::{Message, epoch_of};
use super::{Config, Disturbance, Rng};
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, Mono, Offset};

pub(super) struct World {
    pub(super) config: Config,
    pub(super) rng: Rng,
    pub(super) now: Mono,
    pub(super) controller: Controller,
    pub(super) brokers: Vec<Broker>,
    pub(super) network: Vec<Message>,
    /// Messages that are delayed until much later.
    pub(super) kept_back: Vec<Message>,
    /// AlterPartition requests by broker: they arrive in the order in which they were sent,
    /// repeated ones too.
    pub(super) alters: [VecDeque<AlterPartition>; 3],
    pub(super) next_value: u64,
    /// Appends with acks=all that were answered since the last check.
    pub(super) answers: Vec<(u64, AckResult)>,
    pub(super) checker: Checker,
    pub(super) trace: Vec<String>,
}

impl World {
    pub(super) fn new(config: Config, seed: u64) -> Self {
        let controller = Controller::new(config.min_isr, config.allows_unclean);
        let broker = |id| Broker {
            id,
            log: SimLog::default(),
            replica: None,
            broker_epoch: BrokerEpoch::from(id),
            is_paused: false,
            image_at: 0,
            asked: None,
            acks: ParkedAcks::default(),
            was_clean: true,
        };
        let mut world = Self {
            config,
            rng: Rng(seed),
            now: Mono(0) + Duration::from_secs(1),
            controller,
            brokers: BROKERS.map(broker).into(),
            network: Vec::new(),
            kept_back: Vec::new(),
            alters: Default::default(),
            next_value: 0,
            answers: Vec::new(),
            checker: Checker::new(config),
            trace: Vec::new(),
        };
        for at in 0..3 {
            world.start_process(at);
            world.apply_image(at, 0);
        }
        world
    }

    /// Plays random events, then heals everything. Errors name the first invariant that was broken.
    pub(super) fn run(&mut self, events: usize) -> Result<(), String> {
        for _ in 0..events {
            self.step();
            self.check()?;
        }
        self.heal()
    }

    fn check(&mut self) -> Result<(), String> {
        let answers = std::mem::take(&mut self.answers);
        self.checker.check(&self.controller, &self.brokers, &answers)
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    fn step(&mut self) {
        let at = self.rng.below(3) as usize;
        match self.rng.below(100) {
            0..36 => self.deliver(),
            36..54 => self.ask(at),
            54..64 => self.produce(at),
            64..72 => self.apply_next_image(at),
            72..78 => self.process_alter(at, true),
            78..81 => self.pass(),
            81..83 => self.brokers[at].log.sync(),
            83..84 => self.brokers[at].log.checkpoint(),
            84..85 => self.delete_records(at),
            85..87 => self.time_out(at),
            87..89 => self.repair(at),
            _ => {
                if self.rng.below(self.config.calm) == 0 {
                    self.fault(at);
                }
            }
        }
    }

    fn fault(&mut self, at: usize) {
        match self.config.faults[self.rng.below(self.config.faults.len() as u64) as usize] {
            Disturbance::Network => self.disturb_network(),
            Disturbance::Election => self.elect(at),
            Disturbance::Crash => self.crash_or_start(at),
            Disturbance::Shutdown => self.shut_down(at),
            Disturbance::Pause => self.pause_or_resume(at),
            Disturbance::Fence => self.fence_or_unfence(at),
        }
    }

    /// What operators and heartbeats do: restart, resume, unfence.
    fn repair(&mut self, at: usize) {
        let broker = &self.brokers[at];
        if broker.replica.is_none() {
            self.start(at);
        } else if broker.is_paused {
            self.brokers[at].is_paused = false;
        } else if self.controller.now().broker(broker.id).is_some_and(|it| it.is_fenced) {
            self.fence_or_unfence(at);
        }
    }

    // Brokers.

    fn start_process(&mut self, at: usize) {
        self.with_host(at, |replica, host| {
            *replica = Some(Replica::new(host.1, &host.0));
        });
    }

    /// Gives `act` the replica of a broker and its surroundings.
    fn with_host<T>(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut Option<Replica>, &mut (Host<'_>, BrokerId)) -> T,
    ) -> T {
        let settings = ReplicaSettings {
            leader: LeaderSettings {
                min_insync_replicas: self.config.min_isr,
                lag_time_max: LAG_TIME_MAX,
            },
            fetch_backoff: BACKOFF,
            divergence_check: self.config.divergence_check,
        };
        let Broker { id, log, replica, image_at, asked, acks, .. } = &mut self.brokers[at];
        let image = &self.controller.images[*image_at];
        let host = Host { log, image, settings, acks, answers: &mut self.answers, asked };
        act(replica, &mut (host, *id))
    }

    fn apply_next_image(&mut self, at: usize) {
        let (next, last) = (self.brokers[at].image_at + 1, self.controller.images.len() - 1);
        let is_late = self.rng.below(self.config.slow_metadata) > 0;
        if self.brokers[at].is_running() && next <= last && !is_late {
            let to = next + self.rng.below((last - next) as u64 + 1) as usize;
            self.apply_image(at, to);
        }
    }

    fn apply_image(&mut self, at: usize, to: usize) {
        self.brokers[at].image_at = to;
        let registration = self.controller.images[to].registration.clone();
        let now = self.now;
        let (first, second) = self.with_host(at, |replica, (host, _)| {
            let replica = replica.as_mut().unwrap();
            let first =
                replica.leader_mut().map(|leader| leader.on_brokers(now, |id| host.broker(id)));
            (first, replica.on_registration(now, &registration, host))
        });
        self.note(format!("broker {} reaches image {to}: {registration:?}", at + 1));
        self.on_progress(at, first.unwrap_or_default());
        self.on_progress(at, second);
    }

    pub(super) fn on_progress(&mut self, at: usize, progress: LeaderOutcome) {
        let broker = &mut self.brokers[at];
        if let Some(leader) = broker.leader() {
            let (high_watermark, size) = (leader.high_watermark(), leader.check_after_append());
            broker.log.high_watermark = high_watermark;
            let answers = &mut self.answers;
            broker.acks.release(high_watermark, size, |value, it| answers.push((value, it)));
        }
        if let Some(proposal) = progress.proposal {
            self.send_alter(at, proposal);
        }
    }

    pub(super) fn send_alter(&mut self, at: usize, proposal: Box<Proposal>) {
        let Broker { id: from, broker_epoch, .. } = self.brokers[at];
        self.note(format!("broker {from} proposes {proposal:?}"));
        self.alters[at].push_back(AlterPartition { from, broker_epoch, proposal });
    }

    fn produce(&mut self, at: usize) {
        if !self.brokers[at].is_running() {
            return;
        }
        let acks_all = self.rng.below(4) > 0;
        let Some(leader) = self.brokers[at].replica.as_mut().and_then(Replica::leader_mut) else {
            return;
        };
        if acks_all && leader.check_before_append().is_err() {
            return;
        }
        let value = self.next_value;
        self.next_value += 1;
        let record = Record { epoch: leader.epoch(), value };
        self.brokers[at].log.append(record);
        let end = self.brokers[at].log.end();
        if acks_all {
            self.brokers[at].acks.park(end, Some(self.now + LAG_TIME_MAX * 2), value);
        }
        let leader = self.brokers[at].replica.as_mut().and_then(Replica::leader_mut).unwrap();
        let high_watermark = leader.on_local_progress(LocalEnd::appended(end));
        self.note(format!("broker {} appends {record:?} at {}", at + 1, end - 1));
        self.on_progress(at, LeaderOutcome { high_watermark, proposal: None });
    }

    fn delete_records(&mut self, at: usize) {
        let broker = &mut self.brokers[at];
        if broker.is_running() && broker.leader().is_some() && self.rng.below(3) == 0 {
            let span = (broker.log.high_watermark - broker.log.start) as u64;
            let start = broker.log.start + self.rng.below(span + 1) as Offset;
            broker.log.set_start(start);
            self.note(format!("broker {} deletes records before {start}", at + 1));
        }
    }

    fn crash_or_start(&mut self, at: usize) {
        if self.brokers[at].replica.is_none() {
            self.start(at);
        } else {
            let lost = if self.config.loses_power {
                self.rng.below(self.brokers[at].log.unsynced() + 1)
            } else {
                0
            };
            self.stop(at, lost, false);
        }
    }

    fn stop(&mut self, at: usize, lost: u64, is_clean: bool) {
        let broker = &mut self.brokers[at];
        broker.log.crash(lost);
        broker.replica = None;
        broker.is_paused = false;
        broker.asked = None;
        broker.acks = ParkedAcks::default();
        broker.was_clean = is_clean;
        self.checker.on_stop(at, is_clean);
        self.note(format!("broker {} stops, clean {is_clean}, {lost} records lost", at + 1));
    }

    fn start(&mut self, at: usize) {
        let (id, was_clean) = (self.brokers[at].id, self.brokers[at].was_clean);
        self.brokers[at].broker_epoch = self.controller.register(id, was_clean);
        self.brokers[at].image_at = self.controller.images.len() - 1;
        self.start_process(at);
        self.note(format!("broker {id} starts"));
        self.apply_image(at, self.brokers[at].image_at);
    }

    /// Controlled shutdown: leadership moves first, and the log is synced.
    fn shut_down(&mut self, at: usize) {
        if !self.brokers[at].is_running() {
            return;
        }
        let id = self.brokers[at].id;
        if self.controller.now().broker(id).is_some_and(|broker| broker.is_shutting_down) {
            self.brokers[at].log.sync();
            self.brokers[at].log.checkpoint();
            self.stop(at, 0, true);
        } else {
            self.note(format!("broker {id} begins to shut down"));
            self.controller.begin_shutdown(id);
        }
    }

    fn pause_or_resume(&mut self, at: usize) {
        let broker = &mut self.brokers[at];
        if broker.replica.is_some() {
            broker.is_paused = !broker.is_paused;
        }
    }

    // The controller.

    fn fence_or_unfence(&mut self, at: usize) {
        let broker = &self.brokers[at];
        let id = broker.id;
        let state = self.controller.now().broker(id).unwrap();
        if broker.is_running() && state.is_fenced && state.epoch == broker.broker_epoch {
            self.note(format!("broker {id} is unfenced"));
            self.controller.unfence(id);
        } else if !state.is_fenced && (!broker.is_running() || self.rng.below(8) == 0) {
            self.note(format!("broker {id} is fenced"));
            self.controller.fence(id);
        }
    }

    fn elect(&mut self, at: usize) {
        self.controller.elect(self.brokers[at].id);
        let leader = self.controller.now().registration.leader;
        self.note(format!("the controller elects {leader}"));
    }

    fn process_alter(&mut self, at: usize, may_lose: bool) {
        let Some(request) = self.alters[at].pop_front() else { return };
        let result = self.controller.alter(&request);
        self.note(format!("the controller answers broker {}: {result:?}", request.from));
        if may_lose && self.rng.below(4) == 0 {
            return;
        }
        let AlterPartition { from: to, broker_epoch, proposal } = request;
        self.network.push(Message::Altered { to, broker_epoch, id: proposal.id, result });
    }

    // Time.

    fn pass(&mut self) {
        let millis =
            if self.rng.below(6) == 0 { 1 + self.rng.below(120) } else { self.rng.below(12) };
        self.now = self.now + Duration::from_millis(millis);
        for at in 0..3 {
            self.tick(at);
        }
    }

    fn tick(&mut self, at: usize) {
        let now = self.now;
        if !self.brokers[at].is_running() {
            return;
        }
        let answers = &mut self.answers;
        self.brokers[at].acks.expire(now, |value, it| answers.push((value, it)));
        if let Some(leader) = self.brokers[at].replica.as_mut().and_then(Replica::leader_mut) {
            let progress = leader.on_time(now);
            self.on_progress(at, progress);
        }
    }

    /// Requests under way are given up: the follower asks again, the leader proposes again.
    fn time_out(&mut self, at: usize) {
        if !self.brokers[at].is_running() {
            return;
        }
        let now = self.now;
        if let Some(request) = self.brokers[at].asked.take()
            && let Some(follower) =
                self.brokers[at].replica.as_mut().and_then(Replica::follower_mut)
        {
            let _ = follower.on_no_answer(now, epoch_of(&request));
        }
        let leader = self.brokers[at].replica.as_mut().and_then(Replica::leader_mut);
        if let Some(proposal) = leader.and_then(PartitionLeader::resend) {
            self.send_alter(at, proposal);
        }
    }

    // The quiet phase.

    /// Ends all faults. The replicas must then become equal, and nothing may stay pending.
    fn heal(&mut self) -> Result<(), String> {
        for at in 0..3 {
            self.brokers[at].is_paused = false;
            if self.brokers[at].replica.is_none() {
                self.start(at);
            } else if self.controller.now().broker(self.brokers[at].id).unwrap().is_shutting_down {
                self.stop(at, 0, true);
                self.start(at);
            }
            self.check()?;
        }
        for round in 0..400 {
            self.now = self.now + Duration::from_millis(3);
            for at in 0..3 {
                let (id, epoch) = (self.brokers[at].id, self.brokers[at].broker_epoch);
                let state = self.controller.now().broker(id).unwrap();
                if state.is_fenced && state.epoch == epoch {
                    self.controller.unfence(id);
                }
                self.process_alter(at, false);
                if round % 50 == 49 {
                    self.time_out(at);
                }
                let last = self.controller.images.len() - 1;
                if self.brokers[at].image_at < last {
                    self.apply_image(at, last);
                }
                self.tick(at);
                self.ask(at);
                self.check()?;
            }
            for message in std::mem::take(&mut self.network) {
                self.receive(message);
                self.check()?;
            }
            if self.controller.now().registration.leader < 0 && round == 200 {
                self.controller.allow_unclean();
            }
            if self.is_converged() {
                return Ok(());
            }
        }
        Err(format!(
            "the replicas do not converge: {:?}, {:#?}",
            self.controller.now().registration,
            self.brokers
        ))
    }

    /// Log starts may differ: a follower does not fetch what it has deleted, even if a leader that
    /// was elected uncleanly still has it.
    fn is_converged(&self) -> bool {
        let first = &self.brokers[0].log;
        let start = self.brokers.iter().map(|broker| broker.log.start).max().unwrap_or(0);
        self.controller.now().registration.isr.len() == 3
            && self.alters.iter().all(VecDeque::is_empty)
            && self.brokers.iter().all(|broker| {
                let is_settled =
                    broker.leader().is_none_or(|leader| leader.isr().pending().is_none());
                is_settled
                    && broker.acks.is_empty()
                    && broker.log.end() == first.end()
                    && broker.log.high_watermark == first.end()
                    && (start..first.end()).all(|at| broker.log.get(at) == first.get(at))
            })
    }
}
