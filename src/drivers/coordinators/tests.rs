//! Coordinators over partitions of a simulated disk: a register that someone keeps, and that is
//! empty when he was not heard of in time.

use std::future::Future;
use std::path::Path;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::codec::CodecError;
use crate::coordinator::records::CoordinatorRecordError;
use crate::coordinator::{Decision, Ticket};
use crate::env::Clock;
use crate::env::clock::Sleep;
use crate::env::sim::{Call, Fault, Machine, World, paused_runtime};
use crate::env::threads::give_way;
use crate::log::{FlushKind, Log, LogConfig, LogShared, OpenContext, OpenFiles, UpTo};
use crate::metadata::record::{MetadataRecord, PartitionRecord, TopicRecord};
use crate::record::batch::batches;
use crate::record::{BatchBuilder, BatchView};
use crate::types::{Mono, Offset, Timestamp, TopicId};

const TOPIC: &str = "__registers";
const US: BrokerId = 1;
const OTHERS: BrokerId = 2;
const SESSION: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_millis(5);
const PARTITIONS: i32 = 2;
/// How much is read at once.
const LOAD_BYTES: usize = 1 << 20;
/// More than that.
const LONG: usize = 3 << 20;

/// What is in the register, and until when.
#[derive(Default)]
struct Register {
    value: i64,
    kept_until: Option<Mono>,
}

enum Command {
    Set(i64),
    Get,
    /// Someone keeps the register from now on.
    Join(Duration),
    /// Whoever keeps it is alive.
    Heartbeat,
}

impl Shard for Register {
    type Record = i64;
    type Command = Command;
    type Reply = i64;
    type Effect = i64;
    type Undo = std::convert::Infallible;

    fn decode(_key: &[u8], value: Option<&[u8]>) -> Result<i64, CoordinatorRecordError> {
        Ok(i64::from_be_bytes(value.unwrap()[..8].try_into().unwrap()))
    }

    /// Values below nothing are long ones.
    fn encode(record: &i64) -> Result<(BytesMut, Option<BytesMut>), CodecError> {
        let mut value = BytesMut::from(&record.to_be_bytes()[..]);
        value.resize(if *record < 0 { LONG } else { value.len() }, 0);
        Ok((BytesMut::from("register"), Some(value)))
    }

    fn apply(&mut self, _offset: Offset, _producer: Option<Producer>, record: i64) {
        self.value = record;
    }

    fn apply_marker(&mut self, _producer: Producer, _outcome: Outcome) {}

    fn loaded(&mut self, context: &ShardContext) -> Decision<Self> {
        // Whoever keeps a register that is not empty has as long as ever.
        self.kept_until = (self.value != 0).then(|| context.now + SESSION);
        Decision::default()
    }

    fn decide(
        &mut self,
        context: &ShardContext,
        ticket: Ticket,
        command: Command,
    ) -> Decision<Self> {
        match command {
            Command::Set(value) => {
                Decision { effects: vec![value], ..Decision::write(vec![value], ticket, Ok(value)) }
            }
            Command::Get => Decision::answer(ticket, Ok(self.value)),
            Command::Join(session) => {
                self.kept_until = Some(context.now + session);
                Decision::answer(ticket, Ok(self.value))
            }
            Command::Heartbeat => {
                let known = self.kept_until.map(|_| self.value);
                self.kept_until = known.map(|_| context.now + SESSION);
                Decision::answer(ticket, known.ok_or(ErrorCode::UnknownMemberId))
            }
        }
    }

    fn waits_for_due(command: &Command) -> bool {
        matches!(command, Command::Get)
    }

    fn deadline(&self) -> Option<Mono> {
        self.kept_until
    }

    fn on_deadline(&mut self, _context: &ShardContext) -> Decision<Self> {
        self.kept_until = None;
        Decision { records: vec![0], ..Decision::default() }
    }

    fn refused(
        &mut self,
        _context: &ShardContext,
        undo: std::convert::Infallible,
    ) -> Decision<Self> {
        match undo {}
    }
}

/// A clock that can jump: whoever sleeps does not notice.
struct Jumping {
    inner: Arc<dyn Clock>,
    ahead_ms: AtomicU64,
}

impl Clock for Jumping {
    fn now(&self) -> Mono {
        self.inner.now() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        self.inner.wall()
    }

    fn sleep_until(&self, deadline: Mono) -> Sleep {
        let left = deadline.since(self.now());
        self.inner.sleep_until(self.inner.now() + left)
    }
}

/// A broker of nothing but registers.
struct Node {
    machine: Machine,
    dependencies: CoordinatorDependencies,
    clock: Arc<Jumping>,
    registers: Arc<Coordinators<Register>>,
    leader_epoch: i32,
}

impl Node {
    /// It leads nothing. What is set in one register is set in the other, less one, until nothing
    /// is left, where `chained`.
    fn new(world: &World, config: LogConfig, linger: Option<Duration>, chained: bool) -> Self {
        let machine = world.machine("node");
        let mut env = machine.start();
        let clock =
            Arc::new(Jumping { inner: Arc::clone(&env.clock), ahead_ms: AtomicU64::new(0) });
        env.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        env.disk.create_dir_all(Path::new("/data")).unwrap();
        let dependencies = CoordinatorDependencies {
            env: env.clone(),
            this_broker: US,
            partitions: Arc::default(),
            flusher: Arc::default(),
            image: Arc::default(),
        };
        let shared = LogShared { disk: Arc::clone(&env.disk), files: OpenFiles::new(16) };
        let context = OpenContext {
            clean: true,
            recovery_point: 0,
            log_start_offset: 0,
            high_watermark: 0,
            now: env.clock.wall(),
        };
        let config = Arc::new(config);
        for partition in 0..PARTITIONS {
            let dir = format!("/data/{TOPIC}-{partition}");
            let open = Log::open(shared.clone(), Path::new(&dir), Arc::clone(&config), &context);
            let id = TopicPartition { topic: topic_id(), partition };
            dependencies.partitions.insert([Arc::new(Partition::new(
                id,
                TOPIC.into(),
                open.unwrap().0,
            ))]);
        }
        let registers = Arc::new_cyclic(|this: &Weak<Coordinators<Register>>| {
            let this = Weak::clone(this);
            let log_use = LogUse {
                compression: CompressionType::None,
                base_sequence: 0,
                linger,
                commit_timeout: Some(TIMEOUT),
                load_bytes: LOAD_BYTES,
            };
            let chain: OnEffect<Register> = Box::new(move |partition, value| {
                if let (true, true, Some(this)) = (chained, value > 0, this.upgrade()) {
                    drop(this.submit(1 - partition, Command::Set(value - 1)));
                }
            });
            let make: MakeShard<Register> = Box::new(|_| Register::default());
            Coordinators::new(TOPIC, dependencies.clone(), log_use, make, chain)
        });
        Self { machine, dependencies, clock, registers, leader_epoch: 0 }
    }

    /// A leader is elected.
    fn elect(&mut self, leader: BrokerId) {
        self.leader_epoch += 1;
        let (mut image, mut changes) = (MetadataImage::default(), Changes::default());
        let topic = TopicRecord { name: TOPIC.to_owned(), topic_id: topic_id() };
        image.apply(&MetadataRecord::Topic(topic), &mut changes).unwrap();
        for partition_id in 0..PARTITIONS {
            let record = PartitionRecord {
                partition_id,
                topic_id: topic_id(),
                replicas: vec![US, OTHERS],
                isr: vec![leader],
                leader,
                leader_epoch: self.leader_epoch,
                partition_epoch: self.leader_epoch,
                ..PartitionRecord::default()
            };
            image.apply(&MetadataRecord::Partition(record), &mut changes).unwrap();
        }
        let topic = image.topics.by_name(TOPIC).unwrap();
        for (partition, ours) in self.dependencies.partitions.of_topic(topic_id()) {
            ours.set_role(US, topic.partition(partition).unwrap());
        }
        self.dependencies.image.store(Arc::new(image.clone()));
        self.registers.on_image(&image, &changes);
    }

    fn partition(&self) -> Arc<Partition> {
        self.dependencies
            .partitions
            .get(TopicPartition { topic: topic_id(), partition: 0 })
            .unwrap()
    }

    fn send(&self, command: Command) -> oneshot::Receiver<Answer<Register>> {
        self.registers.submit(0, command).unwrap()
    }

    async fn ask(&self, command: Command) -> Answer<Register> {
        self.registers.call(0, command).await
    }

    fn log_end(&self) -> Offset {
        self.partition().view().log_end_offset
    }

    /// The first and the last offset of each batch in the log.
    fn batches(&self) -> Vec<(Offset, Offset)> {
        let view = self.partition().view();
        let plan = view.read(0, 16 << 20, UpTo::LogEnd, true).unwrap();
        let mut bytes = vec![0; plan.len];
        plan.file.unwrap().read_at(&mut bytes, plan.position).unwrap();
        let span =
            |batch: BatchView<'_>| (batch.header().base_offset, batch.header().last_offset());
        batches(&bytes).map(|batch| span(batch.unwrap())).collect()
    }

    fn flush(&self) {
        let partition = self.partition();
        let job = partition.begin_flush(FlushKind::Records).unwrap();
        let result = job.sync(&*self.dependencies.env.disk);
        partition.finish_flush(&job, result, self.clock.wall());
    }
}

fn topic_id() -> TopicId {
    TopicId::from_halves(1, 2)
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

fn tell<F: Future<Output = ()>>(config: LogConfig, story: impl FnOnce(Node) -> F) {
    tell_of(config, None, story);
}

/// Of a coordinator that waits for more before it appends.
fn tell_of_lingering<F: Future<Output = ()>>(config: LogConfig, story: impl FnOnce(Node) -> F) {
    tell_of(config, Some(LINGER), story);
}

fn tell_of<F: Future<Output = ()>>(
    config: LogConfig,
    linger: Option<Duration>,
    story: impl FnOnce(Node) -> F,
) {
    let runtime = paused_runtime();
    runtime.block_on(async {
        let world = World::new(1);
        world.set_blocking_time(5);
        story(Node::new(&world, config, linger, false)).await;
        assert_eq!(world.panics(), [""; 0]);
    });
}

fn usual() -> LogConfig {
    LogConfig::default()
}

/// Nothing is committed before it is flushed, and nobody flushes but the test.
fn flushed() -> LogConfig {
    LogConfig { flush_messages: 1, ..usual() }
}

/// After a pause of the process, the heartbeats of the pause lie unread in the sockets: whoever is
/// read first must neither be rejected nor expire the others.
#[test]
fn a_session_does_not_expire_before_all_connections_have_had_a_turn_since_its_deadline() {
    tell(usual(), async |mut node| {
        node.elect(US);
        assert_eq!(node.ask(Command::Set(7)).await, Ok(7));
        assert_eq!(node.ask(Command::Join(SESSION)).await, Ok(7));
        node.clock.ahead_ms.store(19_999, Ordering::Relaxed);
        assert_eq!(node.ask(Command::Set(8)).await, Ok(8), "another's command expires nothing");
        assert_eq!(node.ask(Command::Heartbeat).await, Ok(8));
        pass(2 * SESSION).await;
        assert_eq!(node.ask(Command::Heartbeat).await, Err(ErrorCode::UnknownMemberId));
        assert_eq!(node.ask(Command::Get).await, Ok(0));
    });
}

/// A member whose session had ended just before was still counted when its group was deleted.
#[test]
fn what_looks_at_sessions_from_outside_waits_until_those_that_ended_have_expired() {
    tell(usual(), async |mut node| {
        node.elect(US);
        assert_eq!(node.ask(Command::Set(7)).await, Ok(7));
        assert_eq!(node.ask(Command::Join(SESSION)).await, Ok(7));
        node.clock.ahead_ms.store(10_000, Ordering::Relaxed);
        let started = node.clock.inner.now();
        let (get, other) = (node.send(Command::Get), node.send(Command::Get));
        assert_eq!(get.await.unwrap(), Ok(0));
        assert_eq!(other.await.unwrap(), Ok(0));
        assert_eq!(node.clock.inner.now(), started, "it waits for a turn, and for no time");
        // A heartbeat that comes meanwhile is in time.
        assert_eq!(node.ask(Command::Set(7)).await, Ok(7));
        assert_eq!(node.ask(Command::Join(SESSION)).await, Ok(7));
        node.clock.ahead_ms.store(20_000, Ordering::Relaxed);
        let get = node.send(Command::Get);
        assert_eq!(node.ask(Command::Heartbeat).await, Ok(7));
        assert_eq!(get.await.unwrap(), Ok(7));
    });
}

#[test]
fn a_heartbeat_that_had_arrived_at_the_deadline_keeps_the_session() {
    for yields in [0, 1, 20] {
        tell(usual(), async |mut node| {
            node.elect(US);
            assert_eq!(node.ask(Command::Set(7)).await, Ok(7));
            assert_eq!(node.ask(Command::Join(SESSION)).await, Ok(7));
            // A connection with bytes to read at the deadline: it is woken along with the timer.
            pass(SESSION).await;
            for _ in 0..yields {
                give_way().await;
            }
            let in_time = yields < 2;
            let expected = if in_time { Ok(7) } else { Err(ErrorCode::UnknownMemberId) };
            assert_eq!(node.ask(Command::Heartbeat).await, expected, "after {yields} turns");
        });
    }
}

/// A coordinator that was loaded again served what it had known before (KAFKA-5600).
#[test]
fn nothing_is_answered_while_the_log_is_read_and_then_what_is_in_it() {
    tell(usual(), async |mut node| {
        node.elect(US);
        assert_eq!(node.ask(Command::Set(7)).await, Ok(7));
        node.elect(OTHERS);
        assert_eq!(node.ask(Command::Get).await, Err(ErrorCode::NotCoordinator));
        node.elect(US);
        for command in [Command::Get, Command::Set(8), Command::Join(SESSION)] {
            assert_eq!(node.ask(command).await, Err(ErrorCode::CoordinatorLoadInProgress));
        }
        pass(Duration::from_secs(1)).await;
        assert_eq!(node.ask(Command::Get).await, Ok(7), "nothing was kept of what was refused");
        assert_eq!(node.log_end(), 1);
    });
}

/// Expiry ran while a coordinator was given up and loaded again (KAFKA-2163).
#[test]
fn a_coordinator_that_is_given_up_lets_no_deadline_pass_and_its_successor_counts_anew() {
    tell(usual(), async |mut node| {
        node.elect(US);
        node.ask(Command::Set(7)).await.unwrap();
        node.ask(Command::Join(SESSION)).await.unwrap();
        pass(SESSION / 2).await;
        node.elect(OTHERS);
        pass(SESSION).await;
        assert_eq!(node.log_end(), 1, "the session has ended, and nobody is here to say so");
        node.elect(US);
        pass(SESSION / 2).await;
        assert_eq!(node.ask(Command::Heartbeat).await, Ok(7));
        pass(SESSION + TIMEOUT).await;
        assert_eq!(node.ask(Command::Get).await, Ok(0));
        assert_eq!(node.log_end(), 2, "its deadline passed once");
    });
}

#[test]
fn a_coordinator_that_is_given_up_while_it_loads_does_not_begin() {
    tell(usual(), async |mut node| {
        node.elect(US);
        node.ask(Command::Set(7)).await.unwrap();
        node.elect(OTHERS);
        node.elect(US);
        node.elect(OTHERS);
        pass(SESSION * 2).await;
        assert_eq!(node.ask(Command::Get).await, Err(ErrorCode::NotCoordinator));
        assert_eq!(node.log_end(), 1);
    });
}

#[test]
fn what_could_not_be_written_is_forgotten_and_the_log_is_read_again() {
    tell(usual(), async |mut node| {
        node.elect(US);
        node.ask(Command::Set(7)).await.unwrap();
        let strict = LogConfig { min_insync_replicas: 2, ..usual() };
        node.partition().set_config(Arc::new(strict));
        let (set, get) = (node.send(Command::Set(8)), node.send(Command::Get));
        assert_eq!(set.await.unwrap(), Err(ErrorCode::CoordinatorNotAvailable));
        assert_eq!(get.await.unwrap(), Err(ErrorCode::CoordinatorLoadInProgress));
        pass(Duration::from_secs(1)).await;
        assert_eq!(node.ask(Command::Get).await, Ok(7));
        node.partition().set_config(Arc::new(usual()));
        assert_eq!(node.ask(Command::Set(8)).await, Ok(8));
    });
}

/// A coordinator whose load had failed stayed away (KAFKA-15910).
#[test]
fn a_log_that_cannot_be_read_at_once_is_read_again_until_it_can_be() {
    tell(usual(), async |mut node| {
        node.elect(US);
        node.ask(Command::Set(7)).await.unwrap();
        node.elect(OTHERS);
        node.machine.disk().inject(Fault::eio().on(Call::Read).path(TOPIC).times(3));
        node.elect(US);
        pass(Duration::from_millis(2_500)).await;
        assert_eq!(node.ask(Command::Get).await, Err(ErrorCode::CoordinatorLoadInProgress));
        pass(Duration::from_millis(2_500)).await;
        assert_eq!(node.ask(Command::Get).await, Ok(7));
        assert_eq!(node.machine.disk().faults_left(), 0);
    });
}

/// A record that was larger than a read could not be loaded (KAFKA-7286).
#[test]
fn a_record_that_is_larger_than_a_read_is_loaded() {
    let mut config = usual();
    config.rules.max_message_bytes = 2 * LONG;
    tell(config, async |mut node| {
        node.elect(US);
        for value in [7, -8, 9, -10] {
            node.ask(Command::Set(value)).await.unwrap();
        }
        node.elect(OTHERS);
        node.elect(US);
        pass(Duration::from_secs(1)).await;
        assert_eq!(node.ask(Command::Get).await, Ok(-10));
    });
}

/// One whose partition went offline was taken for loaded, and empty (KAFKA-16030).
#[test]
fn a_partition_that_goes_offline_while_it_is_loaded_has_no_coordinator_until_it_leads_again() {
    tell(usual(), async |mut node| {
        node.elect(US);
        node.ask(Command::Set(7)).await.unwrap();
        node.elect(OTHERS);
        node.machine.disk().inject(Fault::eio().on(Call::Read).path(TOPIC).always());
        node.elect(US);
        node.partition().fail("the disk is gone");
        pass(Duration::from_secs(10)).await;
        node.machine.disk().clear_faults();
        pass(Duration::from_secs(10)).await;
        assert_eq!(node.ask(Command::Get).await, Err(ErrorCode::NotCoordinator));
    });
}

#[test]
fn whoever_waits_too_long_for_a_commit_is_told_and_what_was_decided_stays() {
    tell(flushed(), async |mut node| {
        node.elect(US);
        let set = node.send(Command::Set(7));
        pass(Duration::from_secs(4)).await;
        let later = node.send(Command::Get);
        pass(Duration::from_secs(1)).await;
        assert_eq!(set.await.unwrap(), Err(ErrorCode::CoordinatorNotAvailable));
        pass(Duration::from_secs(3)).await;
        node.flush();
        assert_eq!(later.await.unwrap(), Ok(7), "its own time is not over");
        assert_eq!(node.log_end(), 1);
    });
}

/// The move of the high watermark came behind the timers, and commits timed out (KAFKA-16374).
#[test]
fn what_is_committed_is_answered_as_such_though_its_time_is_over_before_that_is_noticed() {
    tell(flushed(), async |mut node| {
        node.elect(US);
        let set = node.send(Command::Set(7));
        pass(Duration::from_secs(1)).await;
        // Everything stands still for a while: then the timer runs first, and the commit is news.
        let join = node.send(Command::Join(Duration::from_secs(1)));
        node.clock.ahead_ms.store(20_000, Ordering::Relaxed);
        node.flush();
        assert_eq!(set.await.unwrap(), Ok(7));
        assert_eq!(join.await.unwrap(), Ok(7));
        pass(Duration::from_secs(1)).await;
        let get = node.send(Command::Get);
        node.flush();
        assert_eq!(get.await.unwrap(), Ok(0), "the session has ended all the same");
    });
}

#[test]
fn a_disk_that_fails_after_the_time_of_a_commit_is_over_costs_the_coordinator_its_state() {
    tell(flushed(), async |mut node| {
        node.elect(US);
        let set = node.send(Command::Set(7));
        pass(TIMEOUT).await;
        assert_eq!(set.await.unwrap(), Err(ErrorCode::CoordinatorNotAvailable));
        node.machine.disk().inject(Fault::eio().on(Call::SyncData).path(TOPIC));
        node.flush();
        pass(Duration::from_secs(1)).await;
        assert_eq!(node.ask(Command::Get).await, Err(ErrorCode::NotCoordinator));
    });
}

#[test]
fn what_is_decided_within_the_linger_is_appended_and_answered_together() {
    tell_of_lingering(usual(), async |mut node| {
        node.elect(US);
        let mut first = node.send(Command::Set(7));
        pass(Duration::from_millis(4)).await;
        let (mut second, mut get) = (node.send(Command::Set(8)), node.send(Command::Get));
        for answer in [&mut first, &mut second, &mut get] {
            assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
        }
        assert_eq!(node.log_end(), 0);
        pass(Duration::from_millis(1)).await;
        assert_eq!(first.await.unwrap(), Ok(7));
        assert_eq!(second.await.unwrap(), Ok(8));
        assert_eq!(get.await.unwrap(), Ok(8), "it was decided on what was not appended yet");
        assert_eq!(node.batches(), [(0, 1)]);
        let mut get = node.send(Command::Get);
        assert_eq!(get.try_recv(), Ok(Ok(8)), "what writes nothing does not linger");
    });
}

#[test]
fn what_lingered_is_answered_when_it_is_committed_and_no_sooner() {
    tell_of_lingering(flushed(), async |mut node| {
        node.elect(US);
        let (mut first, mut second) = (node.send(Command::Set(7)), node.send(Command::Set(8)));
        pass(2 * LINGER).await;
        assert_eq!(node.batches(), [(0, 1)]);
        let mut third = node.send(Command::Set(9));
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        node.flush();
        assert_eq!(first.await.unwrap(), Ok(7));
        assert_eq!(second.try_recv(), Ok(Ok(8)));
        assert_eq!(third.try_recv(), Err(TryRecvError::Empty), "it lingers");
        pass(2 * LINGER).await;
        node.flush();
        assert_eq!(third.await.unwrap(), Ok(9));
    });
}

#[test]
fn a_full_batch_does_not_linger() {
    let mut config = usual();
    config.rules.max_message_bytes = 2 * LONG - 1;
    tell_of_lingering(config, async |mut node| {
        node.elect(US);
        let mut first = node.send(Command::Set(-1));
        let mut second = node.send(Command::Set(-2));
        assert_eq!(first.try_recv(), Ok(Ok(-1)));
        assert_eq!(second.try_recv(), Err(TryRecvError::Empty));
        pass(2 * LINGER).await;
        assert_eq!(second.await.unwrap(), Ok(-2));
        assert_eq!(node.batches(), [(0, 0), (1, 1)]);
    });
}

#[test]
fn a_marker_lies_behind_what_lingered() {
    tell_of_lingering(usual(), async |mut node| {
        node.elect(US);
        let mut set = node.send(Command::Set(7));
        let ends = node.registers.end_transaction(
            0,
            Producer { id: 1, epoch: 0 },
            Outcome::Aborted,
            |partition| {
                assert_eq!(partition.view().log_end_offset, 1);
                Err(StoreError::NotLeader)
            },
        );
        assert_eq!(ends.err(), Some(ErrorCode::NotCoordinator));
        assert_eq!(set.try_recv(), Ok(Ok(7)));
    });
}

#[test]
fn a_coordinator_that_is_given_up_while_records_linger_never_appends_them() {
    tell_of_lingering(usual(), async |mut node| {
        node.elect(US);
        let set = node.send(Command::Set(7));
        node.elect(OTHERS);
        assert!(set.await.is_err(), "whoever asked is told that this is not the coordinator");
        pass(2 * LINGER).await;
        node.elect(US);
        pass(Duration::from_secs(1)).await;
        assert_eq!(node.ask(Command::Get).await, Ok(0));
        assert_eq!(node.log_end(), 0);
    });
}

/// Kafka 4.4 `CoordinatorRuntime.flushCurrentBatch`: the state machine is out of sync with its log.
#[test]
fn a_coordinator_whose_log_someone_else_wrote_to_is_loaded_anew() {
    tell_of_lingering(usual(), async |mut node| {
        node.elect(US);
        let set = node.send(Command::Set(7));
        let mut foreign = BatchBuilder::new(0);
        foreign.push(node.clock.wall(), Some(b"register"), Some(&8i64.to_be_bytes()));
        let mut foreign = foreign.build().unwrap();
        let header = *BatchView::first(&foreign).unwrap().header();
        node.partition().append_as_coordinator(&mut foreign, &header, node.clock.wall()).unwrap();
        pass(2 * LINGER).await;
        assert_eq!(set.await.unwrap(), Err(ErrorCode::NotCoordinator));
        pass(Duration::from_secs(1)).await;
        assert_eq!(node.ask(Command::Get).await, Ok(7), "the last record in the log");
        assert_eq!(node.log_end(), 2);
    });
}

/// Operations of two groups that completed each other waited for each other (KAFKA-6042).
#[test]
fn coordinators_that_ask_each_other_from_many_threads_never_wait_for_one_another() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(1);
        let mut node = Node::new(&world, usual(), None, true);
        node.elect(US);
        let everyone = (0..8).map(|number| {
            let registers = Arc::clone(&node.registers);
            tokio::spawn(async move {
                for value in 0..100 {
                    let answer = registers.call(number % 2, Command::Set(value % 4)).await;
                    assert_eq!(answer, Ok(value % 4));
                    registers
                        .call(number % 2, Command::Join(Duration::from_millis(1)))
                        .await
                        .unwrap();
                }
            })
        });
        let all: Vec<_> = everyone.collect();
        for one in all {
            tokio::time::timeout(Duration::from_mins(1), one).await.unwrap().unwrap();
        }
        assert_eq!(world.panics(), [""; 0]);
    });
}
