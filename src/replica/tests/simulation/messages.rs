//! The network: messages that are lost, repeated, delayed and reordered, and what they do.

use super::super::super::*;
use super::broker::{Broker, Record};
use super::world::World;
use crate::types::BrokerEpoch;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

/// A message under way.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Ask {
        from: BrokerId,
        broker_epoch: BrokerEpoch,
        to: BrokerId,
        request: FollowerRequest,
    },
    Answer {
        from: BrokerId,
        to: BrokerId,
        broker_epoch: BrokerEpoch,
        request: FollowerRequest,
        answer: Answer,
    },
    Altered {
        to: BrokerId,
        broker_epoch: BrokerEpoch,
        id: ProposalId,
        result: Result<CommittedIsr, ErrorCode>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Fetched {
        diverging: Option<EpochEnd>,
        high_watermark: Offset,
        log_start: Offset,
        records: Records,
    },
    EpochEnd(Option<EpochEnd>),
    Offset(Offset),
    Failed(ErrorCode),
}

/// The records of an answer.
#[derive(Clone, Debug)]
pub(super) enum Records {
    Read(Vec<(Offset, Record)>),
    /// A range of the log's file that is read when the answer is sent, which may be after a
    /// truncation.
    FileRange {
        from: Offset,
        upto: Offset,
    },
}

impl World {
    /// A message is lost, repeated, or kept back, perhaps for very long.
    pub(super) fn disturb_network(&mut self) {
        if self.rng.below(3) == 0 && !self.kept_back.is_empty() {
            let which = self.rng.below(self.kept_back.len() as u64) as usize;
            self.network.push(self.kept_back.swap_remove(which));
        }
        if self.network.is_empty() {
            return;
        }
        let which = self.rng.below(self.network.len() as u64) as usize;
        match self.rng.below(3) {
            0 => {
                self.network.swap_remove(which);
            }
            1 if self.network.len() < 30 => self.network.push(self.network[which].clone()),
            _ if self.kept_back.len() < 10 => self.kept_back.push(self.network[which].clone()),
            _ => {}
        }
    }

    /// The follower asks for what it needs next, if no request is under way.
    pub(super) fn ask(&mut self, at: usize) {
        if !self.brokers[at].is_running() || self.brokers[at].asked.is_some() {
            return;
        }
        let now = self.now;
        let Broker { id: from, broker_epoch, log, .. } = &self.brokers[at];
        let (from, broker_epoch) = (*from, *broker_epoch);
        let Some(follower) = self.brokers[at].follower() else { return };
        match follower.next(now, log.facts()) {
            FollowerAction::Ask(request) => {
                let Some(to) = follower.leader() else { return };
                self.brokers[at].asked = Some(request);
                self.network.push(Message::Ask { from, broker_epoch, to, request });
            }
            FollowerAction::Truncate(effects) => {
                self.apply_effects(at, effects, &[]);
                let follower = self.brokers[at].replica.as_mut().and_then(Replica::follower_mut);
                follower.unwrap().on_truncated();
            }
            FollowerAction::WaitUntil(_) | FollowerAction::AwaitMetadata => {}
        }
    }

    pub(super) fn deliver(&mut self) {
        if !self.network.is_empty() {
            let which = self.rng.below(self.network.len() as u64) as usize;
            let message = self.network.swap_remove(which);
            self.receive(message);
        }
    }

    pub(super) fn receive(&mut self, message: Message) {
        let to = match &message {
            Message::Ask { to, .. } | Message::Answer { to, .. } | Message::Altered { to, .. } => {
                *to
            }
        };
        let at = to as usize - 1;
        if self.brokers[at].replica.is_none() {
            return;
        }
        if self.brokers[at].is_paused {
            self.network.push(message);
            return;
        }
        match message {
            Message::Ask { from, broker_epoch, request, .. } => {
                let answer = self.answer(at, from, broker_epoch, &request);
                self.note(format!("broker {to} answers {from} {request:?}: {answer:?}"));
                self.network.push(Message::Answer {
                    from: to,
                    to: from,
                    broker_epoch,
                    request,
                    answer,
                });
            }
            Message::Answer { from, broker_epoch, request, answer, .. } => {
                if broker_epoch == self.brokers[at].broker_epoch {
                    self.take_answer(at, from, &request, answer);
                }
            }
            Message::Altered { broker_epoch, id, result, .. } => {
                let broker = &mut self.brokers[at];
                if broker_epoch != broker.broker_epoch {
                    return;
                }
                let Some(leader) = broker.replica.as_mut().and_then(Replica::leader_mut) else {
                    return;
                };
                match leader.on_alter_partition(id, result) {
                    AlterPartitionOutcome::Settled(high_watermark) => {
                        self.on_progress(at, LeaderOutcome { high_watermark, proposal: None });
                    }
                    AlterPartitionOutcome::Retry(proposal) => self.send_alter(at, proposal),
                    AlterPartitionOutcome::Outdated | AlterPartitionOutcome::AwaitMetadata => {}
                }
            }
        }
    }

    /// The other side of a follower's request.
    fn answer(
        &mut self,
        at: usize,
        from: BrokerId,
        broker_epoch: BrokerEpoch,
        request: &FollowerRequest,
    ) -> Answer {
        let now = self.now;
        let Broker { log, replica, .. } = &mut self.brokers[at];
        let replica = replica.as_mut().unwrap();
        if let Err(mismatch) = check_leader_epoch(replica.leader_epoch(), epoch_of(request)) {
            return Answer::Failed(mismatch.code());
        }
        let Some(leader) = replica.leader_mut() else {
            return Answer::Failed(ErrorCode::NotLeaderOrFollower);
        };
        let position = match request {
            FollowerRequest::Fetch(position) => position,
            FollowerRequest::EpochEnd { epoch, .. } => {
                return Answer::EpochEnd(log.facts().end_of(*epoch));
            }
            FollowerRequest::LogEnd { .. } => return Answer::Offset(log.end()),
            FollowerRequest::LogStart { .. } => return Answer::Offset(log.start),
        };
        let fetch = FollowerFetch {
            replica: from,
            broker_epoch,
            leader_epoch: position.leader_epoch,
            last_fetched_epoch: position.last_fetched_epoch,
            offset: position.offset,
            log_start: position.log_start,
        };
        let (high_watermark, log_start) = (log.high_watermark, log.start);
        let accepted = match leader.check_fetch(&fetch, log.facts()) {
            Ok(FetchCheck::Read(accepted)) => accepted,
            Ok(FetchCheck::Diverging(end)) => {
                let (diverging, records) = (Some(end), Records::Read(Vec::new()));
                return Answer::Fetched { diverging, high_watermark, log_start, records };
            }
            Err(refusal) => return Answer::Failed(refusal.code()),
        };
        let upto = log.end().min(position.offset + 1 + self.rng.below(4) as Offset);
        let records = match self.rng.below(3) {
            0 => Records::FileRange { from: position.offset, upto },
            _ => Records::Read(log.read(position.offset, upto)),
        };
        let diverging = None;
        match leader.on_fetch(now, accepted) {
            Ok(progress) => {
                self.on_progress(at, progress);
                Answer::Fetched { diverging, high_watermark, log_start, records }
            }
            Err(refusal) => Answer::Failed(refusal.code()),
        }
    }

    fn take_answer(
        &mut self,
        at: usize,
        from: BrokerId,
        request: &FollowerRequest,
        answer: Answer,
    ) {
        let now = self.now;
        let records = match &answer {
            Answer::Fetched { records: Records::Read(records), .. } => records.clone(),
            Answer::Fetched { records: Records::FileRange { from: start, upto }, .. } => {
                self.brokers[from as usize - 1].log.read(*start, *upto)
            }
            _ => Vec::new(),
        };
        let Broker { log, replica, asked, .. } = &mut self.brokers[at];
        if asked.as_ref() == Some(request) {
            *asked = None;
        }
        let Some(follower) = replica.as_mut().and_then(Replica::follower_mut) else { return };
        let leader_epoch = epoch_of(request);
        let facts = log.facts();
        let effects = match (request, &answer) {
            (
                FollowerRequest::Fetch(sent),
                Answer::Fetched { diverging, high_watermark, log_start, .. },
            ) => {
                let batches: Vec<_> = records
                    .iter()
                    .map(|(offset, record)| BatchFacts {
                        base_offset: *offset,
                        last_offset: *offset,
                        leader_epoch: record.epoch,
                    })
                    .collect();
                let answer = FetchAnswer {
                    diverging: *diverging,
                    high_watermark: *high_watermark,
                    log_start: *log_start,
                    batches: &batches,
                };
                follower.on_fetched(now, sent, Ok(answer), facts)
            }
            (FollowerRequest::Fetch(sent), Answer::Failed(code)) => {
                follower.on_fetched(now, sent, Err(*code), facts)
            }
            (FollowerRequest::EpochEnd { epoch, .. }, Answer::EpochEnd(end)) => {
                follower.on_epoch_end(now, leader_epoch, *epoch, Ok(*end), facts)
            }
            (FollowerRequest::EpochEnd { epoch, .. }, Answer::Failed(code)) => {
                follower.on_epoch_end(now, leader_epoch, *epoch, Err(*code), facts)
            }
            (FollowerRequest::LogEnd { .. }, Answer::Offset(end)) => {
                follower.on_log_end(now, leader_epoch, Ok(*end), facts)
            }
            (FollowerRequest::LogEnd { .. }, Answer::Failed(code)) => {
                follower.on_log_end(now, leader_epoch, Err(*code), facts)
            }
            (FollowerRequest::LogStart { .. }, Answer::Offset(start)) => {
                follower.on_log_start(now, leader_epoch, Ok(*start), facts)
            }
            (FollowerRequest::LogStart { .. }, Answer::Failed(code)) => {
                follower.on_log_start(now, leader_epoch, Err(*code), facts)
            }
            (request, answer) => unreachable!("{answer:?} does not answer {request:?}"),
        };
        self.apply_effects(at, effects, &records);
    }

    fn apply_effects(&mut self, at: usize, effects: Effects, records: &[(Offset, Record)]) {
        if effects != Effects::default() {
            self.note(format!("broker {}: {effects:?}", at + 1));
        }
        let log = &mut self.brokers[at].log;
        match effects.cut {
            Some(LogCut::TruncateTo(to)) => log.truncate(to),
            Some(LogCut::RestartAt(start)) => log.restart_at(start),
            None => {}
        }
        for (_, record) in &records[..effects.append] {
            log.append(*record);
        }
        if let Some(high_watermark) = effects.high_watermark {
            assert!(high_watermark <= log.end(), "the high watermark lies within the log");
            log.high_watermark = high_watermark;
        }
        if let Some(start) = effects.log_start {
            log.set_start(start);
        }
    }
}

pub(super) fn epoch_of(request: &FollowerRequest) -> LeaderEpoch {
    match request {
        FollowerRequest::Fetch(position) => position.leader_epoch,
        FollowerRequest::EpochEnd { leader_epoch, .. }
        | FollowerRequest::LogEnd { leader_epoch }
        | FollowerRequest::LogStart { leader_epoch } => *leader_epoch,
    }
}
