//! The controller's driver: a listener of the quorum, active while this node leads it.
//!
//! While active, it decides commands against the uncommitted state, stages their records, and
//! defers each reply until everything staged up to then is committed; commands decided meanwhile
//! share the next sync. While standby, it holds no state: what is committed is the metadata feed's.
//! A new epoch begins from that, with the records that a new leader owes, before any command.
//! When leadership is lost, all commands that wait are answered NOT_CONTROLLER, whatever becomes
//! of their records, and the uncommitted state is dropped.

mod pending;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use self::pending::PendingReplies;
use super::metadata_feed::MetadataFeed;
use super::quorum::{
    CatchUpError, Leadership, NotLeaderError, QuorumClient, QuorumEvent, Staging, Subscription,
};
use crate::controller::bootstrap::BootstrapError;
use crate::controller::command::{Command, FeaturesUpdated, Operation, Refusal, Reply};
use crate::controller::{
    ConfigRules, Context, Controller, Outcome, RECORDS_MAX, Settings, too_large,
};
use crate::env::{Env, Random};
use crate::metadata::MetadataRecord;
use crate::metadata::features::{METADATA_VERSION, Release};
use crate::raft::batch::{self, BATCH_BYTES_MAX, RECORD_OVERHEAD_MAX};
use crate::record::BatchBuilder;
use crate::types::{ErrorCode, LeaderEpoch, Mono, Offset, Timestamp};

/// How many commands may wait to be decided.
const QUEUE_LEN: usize = 1024;
/// How many commands are decided in a row.
const GROUP_LEN: usize = 256;
/// How many replies may wait for a commit before no more commands are decided.
const PENDING_MAX: usize = 4096;

/// A reply with the offset of the last record that it depends on.
type DecidedReply = (Offset, Result<Reply, Refusal>);

enum ControllerRequest {
    Command(Command, oneshot::Sender<DecidedReply>),
    Stop(oneshot::Sender<()>),
}

/// The way to the active controller: the one of this process, later also one that another node
/// runs. Cheap to clone.
#[derive(Clone)]
pub struct ControllerClient {
    route: Route,
}

#[derive(Clone)]
enum Route {
    Local(LocalController),
}

#[derive(Clone)]
struct LocalController {
    requests: mpsc::Sender<ControllerRequest>,
    feed: MetadataFeed,
}

impl ControllerClient {
    /// Sends a command to the active controller. Returns when its records are committed and the
    /// image of this node holds them, so that the caller sees its own write.
    ///
    /// Errors: what the controller refuses as a whole; NOT_CONTROLLER when it is not active, or
    /// not any more; REQUEST_TIMED_OUT when this node is stopping. After the last two the command
    /// may have been executed.
    pub async fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, Refusal> {
        match &self.route {
            Route::Local(local) => local.call(operation).await,
        }
    }

    /// Answers what was asked so far and ends [`ControllerDriver::run`], where the controller is
    /// this process's.
    pub async fn stop(&self) {
        match &self.route {
            Route::Local(local) => {
                let (done, stopped) = oneshot::channel();
                if local.requests.send(ControllerRequest::Stop(done)).await.is_ok() {
                    let _ = stopped.await; // An error is the run's to report.
                }
            }
        }
    }
}

impl LocalController {
    async fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, Refusal> {
        let stopping =
            || Refusal::new(ErrorCode::RequestTimedOut, "The controller is shutting down.");
        let (answer, answered) = oneshot::channel();
        let request = ControllerRequest::Command(operation.into_command(), answer);
        self.requests.send(request).await.map_err(|_| stopping())?;
        let (offset, reply) = answered.await.map_err(|_| stopping())?;
        self.feed.wait_for(offset).await.map_err(|_| stopping())?;
        O::reply(reply?).ok_or_else(stopping)
    }
}

/// Why the controller's driver ended.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// It cannot begin its epoch.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A record of its own cannot be written at the cluster's release.
    #[error("the controller cannot write what a new leader owes: {0}")]
    Encode(Refusal),
    /// The log cannot be read.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
}

/// What the controller is made of.
pub struct ControllerParts {
    /// The world outside.
    pub env: Env,
    /// Its settings; voters and kraft.version are the quorum's.
    pub settings: Settings,
    /// The meaning of configurations.
    pub rules: Arc<dyn ConfigRules>,
    /// The records with which the first leader of a cluster begins.
    pub bootstrap: Vec<MetadataRecord>,
    /// The quorum.
    pub quorum: QuorumClient,
    /// What is committed.
    pub feed: MetadataFeed,
}

/// The driver; see the module.
pub struct ControllerDriver {
    with: ControllerParts,
    subscription: Subscription,
    requests: mpsc::Receiver<ControllerRequest>,
    /// The end of what is committed.
    committed: Offset,
    role: ControllerRole,
    pending: PendingReplies<(oneshot::Sender<DecidedReply>, Result<Reply, Refusal>)>,
    /// Told once nothing waits any more.
    stopping: Option<oneshot::Sender<()>>,
}

enum ControllerRole {
    Standby,
    Active(Box<ActiveController>),
}

struct ActiveController {
    epoch: LeaderEpoch,
    /// The uncommitted state.
    machine: Controller,
}

/// A controller on standby, and the way to it.
pub fn new(with: ControllerParts, committed: Offset) -> (ControllerDriver, ControllerClient) {
    let (sender, requests) = mpsc::channel(QUEUE_LEN);
    let local = LocalController { requests: sender, feed: with.feed.clone() };
    let driver = ControllerDriver {
        subscription: with.quorum.subscribe(committed),
        with,
        requests,
        committed,
        role: ControllerRole::Standby,
        pending: PendingReplies::default(),
        stopping: None,
    };
    (driver, ControllerClient { route: Route::Local(local) })
}

fn not_controller() -> Refusal {
    Refusal::new(ErrorCode::NotController, "This node is not the active controller.")
}

impl ControllerDriver {
    /// Serves until it is stopped, or the quorum ends.
    pub async fn run(mut self) -> Result<(), ControllerError> {
        let mut group = Vec::new();
        while self.stopping.is_none() || !self.pending.is_empty() {
            let deadline = self.next_deadline();
            // A queue that is never empty must not keep time from passing.
            let now = self.with.env.clock.now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.on_deadline(now);
                continue;
            }
            let clock = Arc::clone(&self.with.env.clock);
            let wake = async {
                match deadline {
                    Some(deadline) => clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let takes_commands = self.stopping.is_none() && self.pending.len() < PENDING_MAX;
            tokio::select! {
                biased;
                event = self.subscription.next() => {
                    if !self.on_event(event?).await? {
                        return Ok(());
                    }
                }
                count = self.requests.recv_many(&mut group, GROUP_LEN), if takes_commands => {
                    if count == 0 {
                        return Ok(()); // No client is left.
                    }
                    self.serve(&mut group);
                }
                () = wake => {}
            }
        }
        if let Some(stop) = self.stopping.take() {
            let _ = stop.send(()); // The asker may be gone.
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Mono> {
        match &self.role {
            ControllerRole::Active(active) if self.stopping.is_none() => {
                active.machine.next_deadline()
            }
            _ => None,
        }
    }

    /// Acts on what the quorum emits; whether it goes on.
    async fn on_event(&mut self, event: QuorumEvent) -> Result<bool, ControllerError> {
        match event {
            QuorumEvent::Committed(batches) => {
                if let Some(last) = batches.last() {
                    self.on_committed(last.last_offset + 1);
                }
            }
            QuorumEvent::Snapshot(id, _) => {
                // A leader's own log never lacks what it committed.
                assert!(
                    matches!(self.role, ControllerRole::Standby),
                    "the active controller was given {id}"
                );
                self.on_committed(id.offset);
            }
            QuorumEvent::Leading(leadership) => self.activate(leadership).await?,
            QuorumEvent::Resigned(epoch) => self.resign(epoch),
            QuorumEvent::Ended => return Ok(false),
        }
        Ok(true)
    }

    fn on_committed(&mut self, end: Offset) {
        assert!(end >= self.committed, "the committed end goes from {} to {end}", self.committed);
        self.committed = end;
        self.answer_committed();
        if let ControllerRole::Active(active) = &mut self.role {
            // Two replays of one log need not be in memory twice.
            active.machine.share(&self.with.feed.committed().image);
        }
    }

    /// Answers what waited for what is committed now.
    fn answer_committed(&mut self) {
        for (offset, (answer, reply)) in self.pending.take_below(self.committed) {
            let _ = answer.send((offset, reply)); // The asker may be gone.
        }
    }

    /// Begins an epoch from what is committed.
    async fn activate(&mut self, leadership: Leadership) -> Result<(), ControllerError> {
        let Leadership { epoch, start } = leadership;
        assert!(
            matches!(self.role, ControllerRole::Standby),
            "epoch {epoch} begins before the last ended"
        );
        assert!(self.pending.is_empty(), "commands of an older epoch wait in epoch {epoch}");
        let Ok(committed) = self.with.feed.wait_for_committed(start).await else {
            return Ok(()); // The feed has ended, and with it the node.
        };
        let with = &self.with;
        let (image, in_transaction) = ((*committed.image).clone(), committed.in_transaction);
        let (settings, rules) = (with.settings.clone(), Arc::clone(&with.rules));
        let mut machine = Controller::from_committed(settings, rules, image, in_transaction);
        let status = with.quorum.status();
        machine.join(status.voters.ids(), status.kraft_version);
        let records = machine.activate(with.env.clock.now(), &with.bootstrap)?;
        // Whoever loses the epoch at once is told so by the next event.
        let Ok(mut staging) = with.quorum.stage(epoch) else { return Ok(()) };
        machine.advance(staging.next_offset() - 1, epoch);
        let mut active = ActiveController { epoch, machine };
        let release = release_of(&records).unwrap_or(active.machine.image().release);
        let now = with.env.clock.wall();
        let staged = active.stage_at(records, false, release, &mut staging, now);
        staged.map_err(ControllerError::Encode)?;
        drop(staging);
        tracing::info!(epoch, "this node is the active controller");
        self.role = ControllerRole::Active(Box::new(active));
        Ok(())
    }

    /// Fails what waits, and drops the uncommitted state.
    fn resign(&mut self, epoch: LeaderEpoch) {
        if let ControllerRole::Active(active) = &self.role {
            assert!(active.epoch == epoch, "epoch {} is led, {epoch} resigned", active.epoch);
            tracing::info!(epoch, failed = self.pending.len(), "this controller is on standby");
        }
        self.role = ControllerRole::Standby;
        for (_, (answer, _)) in self.pending.take_all() {
            let _ = answer.send((-1, Err(not_controller()))); // The asker may be gone.
        }
    }

    /// Decides a group of commands. They share a sync.
    fn serve(&mut self, group: &mut Vec<ControllerRequest>) {
        let Self { with, role, pending, stopping, .. } = self;
        let mut staged = match role {
            ControllerRole::Active(active) => stage(&with.quorum, active),
            ControllerRole::Standby => None,
        };
        for request in group.drain(..) {
            match request {
                ControllerRequest::Stop(done) => {
                    *stopping = Some(done);
                    break; // Later ones see their channel close.
                }
                ControllerRequest::Command(command, answer) => match &mut staged {
                    Some((active, staging)) => {
                        let reply = active.decide(command, &with.env, staging);
                        // Also a reply without records rests on what is not committed yet.
                        pending.push(staging.next_offset() - 1, (answer, reply));
                    }
                    None => {
                        let _ = answer.send((-1, Err(not_controller()))); // The asker may be gone.
                    }
                },
            }
        }
        drop(staged);
        self.answer_committed();
    }

    fn on_deadline(&mut self, now: Mono) {
        let ControllerRole::Active(active) = &mut self.role else { return };
        let records = active.machine.on_deadline(now);
        let Some((active, mut staging)) = stage(&self.with.quorum, active) else {
            // The epoch is lost, which the next event says: until then nothing is decided.
            self.role = ControllerRole::Standby;
            return;
        };
        let wall = self.with.env.clock.wall();
        if let Err(refusal) = active.stage(records, false, &mut staging, wall) {
            unreachable!("what time alone brings about cannot be written: {refusal}");
        }
    }
}

/// The right to stage what `active` decides, if its epoch is still led.
fn stage<'a>(
    quorum: &'a QuorumClient,
    active: &'a mut ActiveController,
) -> Option<(&'a mut ActiveController, Staging<'a>)> {
    match quorum.stage(active.epoch) {
        Ok(staging) => Some((active, staging)),
        Err(NotLeaderError { .. }) => None,
    }
}

impl ActiveController {
    /// Decides a command, and stages and applies its records.
    fn decide(
        &mut self,
        command: Command,
        env: &Env,
        staging: &mut Staging<'_>,
    ) -> Result<Reply, Refusal> {
        let seed = seed(&*env.random);
        let next_offset = staging.next_offset();
        let context = Context { now: env.clock.now(), next_offset, seed };
        let Outcome { records, atomic, reply } = self.machine.decide(context, command);
        let now = env.clock.wall();
        if let Ok(Reply::UpdateFeatures(FeaturesUpdated { kraft_version: Some(version) })) = reply {
            staging.upgrade_quorum(version, now);
            self.machine.advance(staging.next_offset() - 1, self.epoch);
            self.machine.set_kraft_version(version);
        }
        self.stage(records, atomic, staging, now)?;
        reply
    }

    fn stage(
        &mut self,
        records: Vec<MetadataRecord>,
        atomic: bool,
        staging: &mut Staging<'_>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let release = self.machine.image().release;
        self.stage_at(records, atomic, release, staging, now)
    }

    /// Encodes, applies and stages records. Nothing is done on an error.
    fn stage_at(
        &mut self,
        records: Vec<MetadataRecord>,
        atomic: bool,
        release: Release,
        staging: &mut Staging<'_>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (base, epoch) = (staging.next_offset(), self.epoch);
        let batches = encode(&records, base, epoch, now, release, atomic)?;
        for (record, offset) in records.iter().zip(base..) {
            if let Err(error) = self.machine.apply(record, offset, epoch) {
                unreachable!("the controller decided what its image refuses: {error}");
            }
        }
        let mut records = records.into_iter();
        for batch in batches {
            let count = batch.count() as usize;
            staging.push(batch::finish(batch), records.by_ref().take(count).collect(), now);
        }
        assert!(records.next().is_none(), "a decided record is in no batch");
        Ok(())
    }
}

fn seed(random: &dyn Random) -> u128 {
    (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64())
}

/// Records as batches: one if they are atomic, else as few as hold them.
fn encode(
    records: &[MetadataRecord],
    base_offset: Offset,
    epoch: LeaderEpoch,
    now: Timestamp,
    release: Release,
    atomic: bool,
) -> Result<Vec<BatchBuilder>, Refusal> {
    let mut done = Vec::new();
    let mut next = batch::empty(base_offset, epoch);
    let mut offset = base_offset;
    for record in records {
        let value = record.encode(release.record_version(record)).map_err(|error| {
            tracing::error!(record = record.name(), %error, %release, "not a record of the release");
            Refusal::from(ErrorCode::UnknownServerError)
        })?;
        let is_full = next.count() as usize >= RECORDS_MAX
            || next.len() + value.len() + RECORD_OVERHEAD_MAX > BATCH_BYTES_MAX;
        if is_full && !next.is_empty() {
            if atomic {
                return Err(too_large());
            }
            offset += Offset::from(next.count());
            done.push(std::mem::replace(&mut next, batch::empty(offset, epoch)));
        }
        next.push(now, None, Some(&value));
    }
    if !next.is_empty() {
        done.push(next);
    }
    Ok(done)
}

/// The release that records finalize.
fn release_of(records: &[MetadataRecord]) -> Option<Release> {
    records.iter().find_map(|record| match record {
        MetadataRecord::FeatureLevel(feature) if feature.name == METADATA_VERSION => {
            Release::from_level(feature.feature_level).ok()
        }
        _ => None,
    })
}

#[cfg(test)]
pub(super) mod tests;
