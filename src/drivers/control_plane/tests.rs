//! The controller on a disk that can lose what was not synced: starts, reboots, power cuts.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use super::*;
use crate::controller::Refusal;
use crate::controller::command::{CreateTopics, DeleteTopics, NewTopic, Operation, TopicRef};
use crate::controller::tests::{FewRules, registration, settings};
use crate::drivers::quorum::start::{replay_batch, replay_snapshot};
use crate::drivers::quorum::{QuorumEvent, QuorumStatus};
use crate::env::net::IoFuture;
use crate::env::sim::{Call, Crash, Fault, Rng, SimDisk, World};
use crate::env::threads::{BlockingTask, Task};
use crate::env::{Clock, Connection, Disk, Listener, Net, Random, Threads};
use crate::format::{FormatRequest, InitialControllers, format};
use crate::log::{LogShared, OpenFiles};
use crate::metadata::MetadataRecord;
use crate::metadata::image::Changes;
use crate::metadata::record::{NoOpRecord, RemoveTopicRecord};
use crate::metadata::replay::Replay;
use crate::raft::batch::{self, Content, ControlRecord};
use crate::raft::{MetadataLogConfig, ReplicaKey, SnapshotId, Voter, VoterEndpoint, VoterSet};
use crate::types::{ErrorCode, Mono, Offset, Timestamp, Uuid};

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Mono {
        Mono(1)
    }

    fn wall(&self) -> Timestamp {
        Timestamp(1_800_000_000_000)
    }

    fn sleep_until(&self, _deadline: Mono) -> crate::env::clock::Sleep {
        Box::pin(std::future::pending())
    }
}

struct Seeded(parking_lot::Mutex<Rng>);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill(bytes);
    }
}

struct Inline;

impl Threads for Inline {
    fn spawn(&self, _task: Task) {
        unreachable!("the control plane spawns no task");
    }

    fn spawn_connection(&self, _task: Task) {
        unreachable!("the control plane has no connections");
    }

    fn blocking(&self, work: BlockingTask) {
        work();
    }

    fn full_turn(&self) -> Task {
        Box::pin(std::future::ready(()))
    }

    fn blocking_parallelism(&self) -> usize {
        1
    }
}

struct NoNet;

impl Net for NoNet {
    fn listen<'a>(&'a self, _: &'a str, _: u16) -> IoFuture<'a, Box<dyn Listener>> {
        unreachable!("the control plane does not listen")
    }

    fn connect<'a>(&'a self, _: &'a str, _: u16) -> IoFuture<'a, Connection> {
        unreachable!("the control plane does not connect")
    }

    fn canonical_host_name(&self) -> String {
        "here".to_owned()
    }
}

/// Notes the number of topics of each image, in their order.
#[derive(Default)]
struct Seen(parking_lot::Mutex<Vec<usize>>);

impl Publisher for Seen {
    fn publish<'a>(
        &'a self,
        image: &'a Arc<MetadataImage>,
        _changes: &'a Changes,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.0.lock().push(image.topics.len());
        Box::pin(std::future::ready(()))
    }
}

pub(in crate::drivers) fn env(disk: &SimDisk) -> Env {
    Env {
        clock: Arc::new(StoppedClock),
        disk: Arc::new(disk.clone()),
        net: Arc::new(NoNet),
        log_levels: Arc::new(crate::env::LogLevels::detached()),
        random: Arc::new(Seeded(parking_lot::Mutex::new(Rng::new(1)))),
        threads: Arc::new(Inline),
    }
}

const DIRECTORY: &str = "/data";

fn log_file(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join("__cluster_metadata-0").join(name)
}

/// A disk with one directory, formatted for a quorum of one with a dynamic voter set, and its id.
fn formatted(seed: u64, release: Option<&str>) -> (SimDisk, Uuid) {
    formatted_as(seed, release, false)
}

fn formatted_as(seed: u64, release: Option<&str>, has_static_voters: bool) -> (SimDisk, Uuid) {
    let disk = SimDisk::new(seed);
    let env = env(&disk);
    let request = FormatRequest {
        cluster_id: "cluster".to_owned(),
        node_id: 1,
        log_dirs: vec![DIRECTORY.into()],
        metadata_dir: DIRECTORY.into(),
        is_controller: true,
        controller_listener: "CONTROLLER".to_owned(),
        controller_endpoint: Some((Some("localhost".to_owned()), 9093)),
        has_static_voters,
        initial_controllers: if has_static_voters {
            InitialControllers::Unspecified
        } else {
            InitialControllers::Standalone
        },
        release: release.map(str::to_owned),
        features: Vec::new(),
        ignore_formatted: false,
        records: Vec::new(),
    };
    let now = env.clock.wall();
    format(&disk, &*env.random, now, &request, &mut |_| {}).unwrap();
    let dirs = [PathBuf::from(DIRECTORY)];
    let opened = crate::format::open(&disk, &*env.random, &dirs, Path::new(DIRECTORY), 1).unwrap();
    let id = opened.directories[Path::new(DIRECTORY)];
    (disk, id)
}

fn start(env: &Env, directory_id: Uuid, log: MetadataLogConfig) -> QuorumSettings {
    QuorumSettings {
        node_id: 1,
        metadata_dir: DIRECTORY.into(),
        directory_id,
        shared: LogShared { disk: Arc::clone(&env.disk), files: OpenFiles::new(100) },
        log,
        static_voters: VoterSet::default(),
        endpoints: vec![VoterEndpoint {
            listener: "CONTROLLER".to_owned(),
            host: "localhost".to_owned(),
            port: 9093,
        }],
    }
}

/// The drivers of a control plane, at work.
type Run = Pin<Box<dyn Future<Output = Result<(), ControlPlaneError>> + Send>>;

/// A control plane that leads, and is active.
struct Handle(ControlPlane);

impl Handle {
    async fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, Refusal> {
        self.0.controller.call(operation).await
    }

    fn image(&self) -> Arc<MetadataImage> {
        self.0.feed.image()
    }

    fn quorum(&self) -> Arc<QuorumStatus> {
        self.0.quorum.status()
    }

    async fn stop(&self) {
        self.0.stop().await;
    }
}

async fn open_with(
    env: &Env,
    start: QuorumSettings,
    publishers: Vec<Arc<dyn Publisher>>,
) -> Result<(Run, Handle), String> {
    let controller = ControllerSettings { settings: settings(), rules: Arc::new(FewRules) };
    let loaded = load(env, start, controller).map_err(|error| error.to_string())?;
    let (driver, control) = loaded.lead(env).map_err(|error| error.to_string())?;
    let mut run: Run = Box::pin(driver.run(publishers));
    tokio::select! {
        biased;
        ended = &mut run => return Err(ended.unwrap_err().to_string()),
        caught_up = control.caught_up() => caught_up.unwrap(),
    }
    Ok((run, Handle(control)))
}

async fn open(env: &Env, start: QuorumSettings) -> Result<(Run, Handle), String> {
    open_with(env, start, vec![Arc::new(Seen::default())]).await
}

async fn open_default(disk: &SimDisk, id: Uuid) -> Result<(Run, Handle), String> {
    let env = env(disk);
    open(&env, start(&env, id, MetadataLogConfig::default())).await
}

/// Runs the drivers while `client` asks, then stops them cleanly.
async fn with<T>(
    run: Run,
    handle: &Handle,
    client: impl Future<Output = T>,
) -> (T, Result<(), ControlPlaneError>) {
    let ask = async {
        let answer = client.await;
        handle.stop().await;
        answer
    };
    tokio::join!(ask, run)
}

async fn begin(handle: &Handle, incarnation: u64) -> Result<(), Refusal> {
    let epoch = handle.call(registration(1, incarnation)).await?;
    let heartbeat = crate::controller::command::BrokerHeartbeat {
        broker_id: 1,
        broker_epoch: epoch,
        metadata_offset: Offset::MAX,
        ..Default::default()
    };
    handle.call(heartbeat).await.map(|_| ())
}

async fn create(handle: &Handle, name: &str) -> Result<(), Refusal> {
    let topics = vec![NewTopic { name: name.to_owned(), ..NewTopic::default() }];
    let mut results = handle.call(CreateTopics { topics, validate_only: false }).await?;
    results.remove(0).result.map(|_| ())
}

fn names(image: &MetadataImage) -> Vec<String> {
    image.topics.iter_by_name().map(|topic| topic.name.to_string()).collect()
}

fn read(disk: &SimDisk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let disk: &dyn Disk = disk;
    disk.read_file(path)
}

/// Every batch of the log, one line each.
fn log_lines(disk: &SimDisk) -> Vec<String> {
    let mut lines = Vec::new();
    crate::log::scan::read::<()>(disk, &log_file(""), |bytes| {
        let (header, content) = (bytes.header(), batch::decode(&bytes).unwrap());
        let names: Vec<&str> = match &content {
            Content::Data(records) => records.iter().map(MetadataRecord::name).collect(),
            Content::Control(records) => records
                .iter()
                .map(|record| match record {
                    ControlRecord::LeaderChange { .. } => "LeaderChange",
                    ControlRecord::KraftVersion(_) => "KRaftVersion",
                    ControlRecord::Voters(_) => "Voters",
                    ControlRecord::SnapshotHeader { .. } | ControlRecord::SnapshotFooter => "?",
                })
                .collect(),
        };
        lines.push(format!("{} e{} {}", header.base_offset, header.leader_epoch, names.join(" ")));
        Ok(())
    })
    .unwrap();
    lines
}

#[tokio::test]
async fn a_driver_can_run_as_a_task_of_a_worker() {
    let (disk, id) = formatted(11, None);
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    let task: Task = Box::pin(async move { driver.await.unwrap() });
    tokio::join!(task, handle.stop());
}

#[tokio::test]
async fn a_fresh_directory_is_led_and_its_log_begins_as_kafkas_does() {
    let (disk, id) = formatted(1, None);
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    let image = handle.image();
    assert_eq!(image.release.level, 33);
    assert_eq!(image.features["share.version"], 2);
    assert_eq!((handle.quorum().epoch, handle.quorum().kraft_version), (1, 1));
    with(driver, &handle, async {}).await.1.unwrap();
    let feature = "FEATURE_LEVEL_RECORD";
    assert_eq!(
        log_lines(&disk),
        [
            "0 e1 LeaderChange KRaftVersion Voters".to_owned(),
            format!(
                "3 e1 BEGIN_TRANSACTION_RECORD {feature} {feature} {feature} {feature} {feature} \
             {feature} CONFIG_RECORD END_TRANSACTION_RECORD"
            ),
        ]
    );
    let state = read(&disk, &log_file("quorum-state")).unwrap().unwrap();
    assert_eq!(
        String::from_utf8(state).unwrap(),
        "{\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\
         \"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}"
    );
}

#[tokio::test]
async fn a_directory_formatted_for_an_older_release_keeps_that_release() {
    let (disk, id) = formatted(1, Some("4.3"));
    let (_, handle) = open_default(&disk, id).await.unwrap();
    assert_eq!(handle.image().release.level, 30);
    assert_eq!(handle.image().features["share.version"], 1);
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_reboot_in_a_new_epoch() {
    let (disk, id) = formatted(2, None);
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    let ask = async {
        begin(&handle, 1).await.unwrap();
        create(&handle, "orders").await.unwrap();
        create(&handle, "orders").await.unwrap_err()
    };
    let (refusal, result) = with(driver, &handle, ask).await;
    result.unwrap();
    assert_eq!(refusal.code, ErrorCode::TopicAlreadyExists);
    let (driver, rebooted) = open_default(&disk, id).await.unwrap();
    assert_eq!(names(&rebooted.image()), ["orders"]);
    assert_eq!(rebooted.quorum().epoch, 2);
    with(driver, &rebooted, async {}).await.1.unwrap();
    let lines = log_lines(&disk);
    let last = lines.last().unwrap();
    assert!(last.ends_with("e2 LeaderChange"), "voters are recorded once: {last}");
}

#[tokio::test]
async fn a_group_of_commands_is_shown_once_and_each_sees_those_before_it() {
    let (disk, id) = formatted(3, None);
    let env = env(&disk);
    let seen = Arc::new(Seen::default());
    let start = start(&env, id, MetadataLogConfig::default());
    let (driver, handle) = open_with(&env, start, vec![seen.clone()]).await.unwrap();
    let ask = async {
        begin(&handle, 1).await.unwrap();
        seen.0.lock().clear();
        let (a, b, again) =
            tokio::join!(create(&handle, "a"), create(&handle, "b"), create(&handle, "a"));
        handle.stop().await;
        (a, b, again)
    };
    let ((a, b, again), result) = tokio::join!(ask, driver);
    result.unwrap();
    assert_eq!((a, b), (Ok(()), Ok(())));
    assert_eq!(again.unwrap_err().code, ErrorCode::TopicAlreadyExists);
    assert_eq!(*seen.0.lock(), [2], "one image for the group");
    assert!(create(&handle, "late").await.is_err(), "a stopped controller says so");
}

/// What a client was told before the power went.
async fn story(disk: &SimDisk, id: Uuid) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let Ok((driver, handle)) = open_default(disk, id).await else { return acknowledged };
    let ask = async {
        if begin(&handle, 1).await.is_err() {
            return;
        }
        for name in ["a", "b", "c"] {
            if create(&handle, name).await.is_ok() {
                acknowledged.push(name.to_owned());
            }
        }
    };
    let _ = with(driver, &handle, ask).await; // The disk may have failed: that is the point.
    acknowledged
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_whenever_the_power_goes() {
    let mut cuts = 0;
    loop {
        let (disk, id) = formatted(1000 + cuts, None);
        disk.cut_power_after(cuts);
        let acknowledged = story(&disk, id).await;
        let is_over = !disk.is_without_power();
        for crash in [Crash::PowerLoss, Crash::PowerLossKeepingNothing] {
            // A disk crashes once: tell the story again for the other way.
            let (disk, id) = formatted(1000 + cuts, None);
            disk.cut_power_after(cuts);
            assert_eq!(story(&disk, id).await, acknowledged, "the same seed, the same story");
            let disk = disk.crash(crash);
            let (driver, handle) = open_default(&disk, id)
                .await
                .unwrap_or_else(|error| panic!("{cuts} changes, {crash:?}: {error}"));
            let there = names(&handle.image());
            for name in &acknowledged {
                assert!(there.contains(name), "{cuts} changes, {crash:?}: {name} is lost");
            }
            let create = async { begin(&handle, 2).await.and(create(&handle, "after").await) };
            let (created, result) = with(driver, &handle, create).await;
            assert_eq!((created, result.is_ok()), (Ok(()), true), "{cuts} changes, {crash:?}");
        }
        if is_over {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 20, "the story makes {cuts} changes");
}

/// R15.
#[tokio::test]
async fn an_epoch_is_never_led_twice_whenever_the_power_goes() {
    for cuts in 0..60 {
        let (disk, id) = formatted(2000 + cuts, None);
        disk.cut_power_after(cuts);
        let led = open_default(&disk, id).await.ok().map(|(_, handle)| handle.quorum().epoch);
        let disk = disk.crash(Crash::PowerLoss);
        let (_, handle) = open_default(&disk, id).await.unwrap();
        assert!(led.is_none_or(|epoch| epoch < handle.quorum().epoch), "{cuts} changes");
    }
}

/// R11.
#[tokio::test]
async fn after_a_failed_sync_nothing_is_answered_any_more() {
    let (disk, id) = formatted(4, None);
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    let ask = async {
        begin(&handle, 1).await.unwrap();
        disk.inject(Fault::eio().on(Call::SyncData));
        create(&handle, "a").await
    };
    let (created, result) = with(driver, &handle, ask).await;
    assert_eq!(created.unwrap_err().code, ErrorCode::RequestTimedOut);
    assert!(result.unwrap_err().to_string().contains("flush"));
    assert_eq!(names(&handle.image()), Vec::<String>::new(), "nor shown");
}

/// Small enough that a few topics make a snapshot.
fn small() -> MetadataLogConfig {
    MetadataLogConfig {
        snapshot_after_bytes: 400,
        snapshot_after_ms: None,
        retention_bytes: Some(4_000),
        segment_bytes: 1_000,
        ..MetadataLogConfig::default()
    }
}

fn snapshots(disk: &SimDisk) -> Vec<String> {
    let names = disk.list(&log_file("")).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.contains(".checkpoint")).collect()
}

async fn with_snapshots(disk: &SimDisk, id: Uuid, topics: std::ops::Range<i32>) {
    let env = env(disk);
    let (driver, handle) = open(&env, start(&env, id, small())).await.unwrap();
    let ask = async {
        begin(&handle, topics.start as u64).await.unwrap();
        for topic in topics.clone() {
            create(&handle, &format!("t{topic:03}")).await.unwrap();
        }
    };
    with(driver, &handle, ask).await.1.unwrap();
}

#[tokio::test]
async fn snapshots_replace_the_beginning_of_the_log_and_bring_all_of_it_back() {
    let (disk, id) = formatted(5, None);
    with_snapshots(&disk, id, 0..30).await;
    let kept = snapshots(&disk);
    assert!((1..10).contains(&kept.len()), "{kept:?}");
    assert!(!kept.contains(&SnapshotId::BOOTSTRAP.file_name()), "the oldest went");
    let segments: Vec<String> = disk
        .list(&log_file(""))
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .filter(|name| name.ends_with(".log"))
        .collect();
    assert!(*segments[0] > *"00000000000000000000.log", "{segments:?}");
    let (_, handle) = open_default(&disk, id).await.unwrap();
    assert_eq!(handle.image().topics.len(), 30);
    assert_eq!(handle.image().features["share.version"], 2);
    assert_eq!(handle.quorum().voters.len(), 1, "the voters come from the snapshot");
}

#[tokio::test]
async fn a_stop_leaves_a_snapshot_where_the_next_start_would_have_much_to_read() {
    let (disk, id) = formatted(5, None);
    let live = async |topics: std::ops::Range<u32>| {
        let env = env(&disk);
        let config = MetadataLogConfig { snapshot_after_bytes: 128_000, ..Default::default() };
        let (driver, handle) = open(&env, start(&env, id, config)).await.unwrap();
        let before = handle.image().topics.len();
        let ask = async {
            begin(&handle, 1).await.unwrap();
            for number in topics {
                create(&handle, &format!("t{number}")).await.unwrap();
            }
        };
        with(driver, &handle, ask).await.1.unwrap();
        before
    };
    live(0..1).await;
    assert_eq!(snapshots(&disk), [SnapshotId::BOOTSTRAP.file_name()], "there is little");
    assert_eq!(live(1..40).await, 1);
    let kept = snapshots(&disk);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(live(40..41).await, 40);
    assert_eq!(snapshots(&disk), kept, "little was added to it");
    assert_eq!(live(0..0).await, 41);
}

/// R15.
#[tokio::test]
async fn a_torn_snapshot_is_passed_over_for_an_older_one() {
    let (disk, id) = formatted(6, None);
    with_snapshots(&disk, id, 0..8).await;
    let names = snapshots(&disk);
    let newest = names.last().unwrap();
    assert!(names.len() > 1, "{names:?}");
    let path = log_file(newest);
    let bytes = read(&disk, &path).unwrap().unwrap();
    disk.damage(&path, bytes.len() as u64 / 2, 0x40).unwrap();
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    assert_eq!(handle.image().topics.len(), 8);
    with(driver, &handle, async {}).await.1.unwrap();
    assert!(!snapshots(&disk).contains(newest), "it is gone");
}

#[tokio::test]
async fn a_log_behind_its_snapshot_begins_anew_there() {
    let (disk, id) = formatted(7, None);
    with_snapshots(&disk, id, 0..8).await;
    for entry in disk.list(&log_file("")).unwrap() {
        if !entry.name.contains("checkpoint") || entry.name.starts_with("leader-epoch") {
            disk.remove_file(&log_file(&entry.name)).unwrap();
        }
    }
    let newest = SnapshotId::parse(snapshots(&disk).last().unwrap()).unwrap().0;
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    assert!(handle.image().topics.len() >= 4);
    assert_eq!(handle.image().offset, newest.offset, "the change of leader is the first record");
    assert_eq!(handle.quorum().epoch, newest.epoch + 1);
    with(driver, &handle, async {}).await.1.unwrap();
}

#[tokio::test]
async fn records_of_a_newer_release_stop_the_start_and_stay_as_they_are() {
    let (disk, id) = formatted(8, None);
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    with(driver, &handle, async {}).await.1.unwrap();
    let mut batch = batch::empty(12, 1);
    batch.push(Timestamp(0), None, Some(&[1, 99, 0, 0]));
    let log = disk.open(&log_file("00000000000000000000.log"), crate::env::OpenMode::Write);
    let log = log.unwrap();
    let end = log.len().unwrap();
    log.write_at(&[std::io::IoSlice::new(&batch::finish(batch))], end).unwrap();
    let before = log.len().unwrap();
    let state = read(&disk, &log_file("quorum-state")).unwrap();
    let error = open_default(&disk, id).await.err().unwrap();
    assert_eq!(error, "record at offset 12: metadata record type 99 is unknown to this release");
    assert_eq!(log.len().unwrap(), before);
    assert_eq!(read(&disk, &log_file("quorum-state")).unwrap(), state);
}

#[tokio::test]
async fn a_record_that_cannot_be_replayed_is_named_with_offset_type_and_version() {
    let (disk, id) = formatted(8, None);
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    with(driver, &handle, async {}).await.1.unwrap();
    let unknown = RemoveTopicRecord { topic_id: Uuid::from_halves(0, 9) };
    let mut batch = batch::empty(12, 1);
    batch.push(Timestamp(0), None, Some(&MetadataRecord::from(NoOpRecord {}).encode(0).unwrap()));
    batch.push(Timestamp(0), None, Some(&MetadataRecord::from(unknown).encode(0).unwrap()));
    let log = disk.open(&log_file("00000000000000000000.log"), crate::env::OpenMode::Write);
    let log = log.unwrap();
    let end = log.len().unwrap();
    log.write_at(&[std::io::IoSlice::new(&batch::finish(batch))], end).unwrap();
    let state = read(&disk, &log_file("quorum-state")).unwrap();
    let error = open_default(&disk, id).await.err().unwrap();
    assert_eq!(
        error,
        "metadata log at offset 13: REMOVE_TOPIC_RECORD version 0 cannot be replayed: no topic has \
         id AAAAAAAAAAAAAAAAAAAACQ"
    );
    assert_eq!(read(&disk, &log_file("quorum-state")).unwrap(), state, "nothing was changed");
}

#[tokio::test]
async fn a_listener_that_lags_reads_the_log_and_a_snapshot_where_the_log_begins_later() {
    let (disk, id) = formatted(9, None);
    let (run, handle) = open_default(&disk, id).await.unwrap();
    let ask = async {
        begin(&handle, 1).await.unwrap();
        create(&handle, "a").await.unwrap();
        let mut listener = handle.0.quorum.subscribe(0);
        let mut replay = Replay::default();
        while replay.image().offset < handle.image().offset {
            match listener.next().await.unwrap() {
                QuorumEvent::Committed(batches) => {
                    for batch in batches {
                        replay_batch(&mut replay, &batch).unwrap();
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(*replay.image(), *handle.image(), "the log makes the same image");
    };
    with(run, &handle, ask).await.1.unwrap();

    with_snapshots(&disk, id, 0..30).await;
    let env = env(&disk);
    let (run, handle) = open(&env, start(&env, id, small())).await.unwrap();
    let ask = async {
        let mut listener = handle.0.quorum.subscribe(0);
        match listener.next().await.unwrap() {
            QuorumEvent::Snapshot(id, snapshot) => {
                let replay = replay_snapshot(id, &snapshot.records).unwrap();
                assert!(replay.image().topics.len() > 20);
            }
            other => panic!("{other:?}"),
        }
    };
    with(run, &handle, ask).await.1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_had_no_descriptor_left_is_repeated_before_anything_is_answered() {
    let (disk, id) = formatted(4, None);
    let clock = World::new(1).machine("broker").start().clock;
    let env = Env { clock: Arc::clone(&clock), ..env(&disk) };
    let start = start(&env, id, MetadataLogConfig::default());
    let (driver, handle) = open(&env, start).await.unwrap();
    let ask = async {
        begin(&handle, 1).await.unwrap();
        disk.inject(Fault::errno(24).on(Call::SyncData));
        let before = clock.now();
        create(&handle, "a").await.unwrap();
        assert!(clock.now().since(before) >= Duration::from_millis(100), "after the pause");
        assert_eq!(names(&handle.image()), ["a"]);
    };
    with(driver, &handle, ask).await.1.unwrap();
}

#[tokio::test]
async fn a_directory_that_does_not_vote_is_not_led() {
    let (disk, _) = formatted(9, None);
    let error = open_default(&disk, Uuid::from_halves(1 << 40, 5)).await.err().unwrap();
    assert!(error.contains("is not a voter"), "{error}");
    assert_eq!(read(&disk, &log_file("quorum-state")).unwrap(), None);
}

#[tokio::test]
async fn deleted_topics_stay_deleted() {
    let (disk, id) = formatted(10, None);
    let (driver, handle) = open_default(&disk, id).await.unwrap();
    let ask = async {
        begin(&handle, 1).await.unwrap();
        create(&handle, "a").await.unwrap();
        let topics = vec![TopicRef::Name("a".to_owned())];
        handle.call(DeleteTopics { topics }).await.unwrap()
    };
    let (results, _) = with(driver, &handle, ask).await;
    assert_eq!(results[0].result, Ok(()));
    let (_, rebooted) = open_default(&disk, id).await.unwrap();
    assert!(rebooted.image().topics.is_empty());
}

#[tokio::test]
async fn a_quorum_of_configured_voters_is_upgraded_to_recorded_ones_and_stays_so() {
    let (disk, id) = formatted_as(12, None, true);
    let env = env(&disk);
    let key = ReplicaKey { id: 1, directory: None };
    let configured = || {
        let mut start = start(&env, id, MetadataLogConfig::default());
        let endpoints = start.endpoints.clone();
        start.static_voters = VoterSet::new([Voter { key, endpoints, kraft_versions: (0, 0) }]);
        start
    };
    let (driver, handle) = open(&env, configured()).await.unwrap();
    assert_eq!(handle.quorum().kraft_version, 0);
    let update = |validate_only| crate::controller::command::UpdateFeatures {
        updates: vec![(
            "kraft.version".to_owned(),
            1,
            crate::controller::command::UpgradeType::Upgrade,
        )],
        validate_only,
    };
    let ask = async {
        handle.call(update(true)).await.unwrap();
        assert_eq!(handle.quorum().kraft_version, 0, "it was only asked");
        handle.call(update(false)).await.unwrap();
    };
    with(driver, &handle, ask).await.1.unwrap();
    let recorded = handle.quorum().voters.iter().next().unwrap().key;
    assert_eq!((handle.quorum().kraft_version, recorded.directory), (1, Some(id)));
    let lines = log_lines(&disk);
    assert!(lines[lines.len() - 2].ends_with("KRaftVersion Voters"), "{lines:?}");
    let (_, rebooted) = open(&env, configured()).await.unwrap();
    assert_eq!(rebooted.quorum().kraft_version, 1, "what is recorded counts");
}
