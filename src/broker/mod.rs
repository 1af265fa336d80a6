//! The composition root: what starts in which order, and stops in reverse.
//!
//! Start: lock the directories; check what they are; bind the listeners (port 0 becomes a port
//! before it is registered); read the metadata log. Up to here nothing was changed. Lead its next
//! epoch; recover the logs; register and be unfenced, which raises the leader epoch of every
//! partition led here; only then accept connections. Stop: tell the controller; answer what was
//! asked; end compaction; flush and close the logs; write checkpoints; stop the controller; mark the
//! stop as clean, last.

pub mod configuration;
mod publishers;
mod rules;
pub mod settings;
mod shares;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::settings::BrokerSettings;
use crate::controller::command::{BrokerHeartbeat, Refusal, RegisterBroker, RegisterController};
use crate::coordinator::groups::Groups;
use crate::drivers::Publisher;
use crate::drivers::control_plane::{
    self, ControlPlane, ControlPlaneDriver, ControlPlaneError, ControlPlaneStartError,
    ControllerSettings,
};
use crate::drivers::coordinators::{CoordinatorDependencies, Coordinators};
use crate::drivers::partition_reports::{PartitionReporter, report_moves};
use crate::drivers::producer_ids::ProducerIds;
use crate::drivers::quorum::start::QuorumSettings;
use crate::drivers::transactions::Transactions;
use crate::drivers::{MetadataFeed, ShutdownSignal};
use crate::env::{Env, Listener};
use crate::format::{self, FormatError};
use crate::log::{LogShared, OpenFiles};
use crate::metadata::cluster::FeatureRange;
use crate::metadata::image::Changes;
use crate::metadata::{ConfigResource, ListenerEndpoint, MetadataImage, Topic, features};
use crate::metrics::Registry;
use crate::server::budget::{self, Budget};
use crate::server::context::ListenerInfo;
use crate::server::fetch_sessions::FetchSessions;
use crate::server::listener::{self, Connections};
use crate::server::services::Services;
use crate::store::cleaner::Cleaner;
use crate::store::failures::{self, Watched};
use crate::store::flusher::close_all;
use crate::store::leftovers;
use crate::store::log_dirs::{self, Checkpoints, LogDir, LogDirError};
use crate::store::moves::{BytesPerSecondOf, Mover, Movers};
use crate::store::{Flusher, Partitions, Placement, housekeeping};
use crate::types::{BrokerId, ErrorCode, TopicPartition};

/// How long connections may take to get their last answers when the broker stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How often that is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A directory is in use, or its disk fails.
    #[error(transparent)]
    LogDir(#[from] LogDirError),
    /// A directory is not this broker's, or not formatted.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The directories hold partitions that the metadata knows nothing of.
    #[error(
        "{} holds {partitions} partitions, and the metadata log in {} has never heard of broker \
         {node_id}: this is a broker's directory without its controller's. Nothing was changed. Set \
         metadata.log.dir to the directory of that controller, or empty the log directories to begin \
         a new cluster", .dir.display(), .metadata_dir.display()
    )]
    OfAnotherController {
        /// A log directory.
        dir: PathBuf,
        /// How many partitions are in it.
        partitions: usize,
        /// Where the metadata log is.
        metadata_dir: PathBuf,
        /// This broker.
        node_id: BrokerId,
    },
    /// A listener cannot be opened.
    #[error("listener {name}://{host}:{port} cannot be opened: {source}")]
    Listen {
        /// Its name.
        name: String,
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
        /// What the network says.
        source: io::Error,
    },
    /// The metadata log cannot be read or led.
    #[error(transparent)]
    ControlPlaneStart(#[from] ControlPlaneStartError),
    /// The controller refuses this broker.
    #[error("the controller refuses this broker: {0}")]
    Refused(#[from] Refusal),
    /// The metadata log failed while the broker ran, or could not be followed.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// No log directory is left, or not the one with the metadata log.
    #[error("{0}")]
    LogDirsFailed(String),
    /// A clean stop failed at its end.
    #[error("stopping: {0}")]
    Stop(io::Error),
}

/// A broker that serves.
pub struct Broker {
    env: Env,
    services: Arc<Services>,
    placement: Arc<Placement>,
    checkpoints: Arc<Checkpoints>,
    cleaner: Arc<Cleaner>,
    control: ControlPlane,
    node_id: BrokerId,
    epoch: i64,
    metadata_dir: PathBuf,
    addresses: Vec<(String, SocketAddr)>,
    failed: Arc<Mutex<Option<BrokerError>>>,
    /// The metadata directory, where it is none of the log directories.
    _metadata_lock: Option<Box<dyn crate::env::Lock>>,
}

impl Broker {
    /// Starts a broker; it serves when this returns.
    ///
    /// Errors: as long as it is not clear that this broker understands and may lead all that is there,
    /// nothing was changed on disk.
    pub async fn start(env: Env, settings: BrokerSettings) -> Result<Self, BrokerError> {
        let storage = Storage::open(&env, &settings).await?;
        let mut bound = Vec::new();
        for wanted in &settings.listeners {
            let listener = env.net.listen(&wanted.host, wanted.port).await.map_err(|source| {
                let (name, host) = (wanted.name.clone(), wanted.host.clone());
                BrokerError::Listen { name, host, port: wanted.port, source }
            })?;
            bound.push((wanted.clone(), listener));
        }
        let endpoints = endpoints(&env, &settings, &bound);
        // What lies in ten thousand directories is found while the metadata log is read.
        let opening = open_control_plane(&env, &settings, &storage);
        let (opened, found) = tokio::join!(opening, leftovers::find(&env, &storage.log_dirs));
        let (driver, control) = opened?;

        let partitions = Arc::new(Partitions::default());
        let placement = Arc::new(Placement::new(
            env.clone(),
            settings.node_id,
            storage.log_dirs.clone(),
            storage.shared.clone(),
            Arc::clone(&partitions),
            Arc::clone(&settings.log_config_of),
        ));
        let image = control.feed.image();
        placement.open_all(&image, found).await.tell();
        let led = led_by(settings.node_id, &image);
        placement.apply(&image, &led).await;
        let flusher = Arc::new(Flusher::default());
        let surroundings = || CoordinatorDependencies {
            env: env.clone(),
            this_broker: settings.node_id,
            partitions: Arc::clone(&partitions),
            flusher: Arc::clone(&flusher),
            image: control.feed.images(),
        };
        let groups = group_coordinators(&settings, surroundings());
        groups.on_image(&image, &led);

        let producer_ids = Arc::new(ProducerIds::new(settings.node_id, control.controller.clone()));
        let configuration = Arc::clone(&settings.configuration);
        let transactions = Transactions::new(
            surroundings(),
            Arc::clone(&producer_ids),
            Arc::clone(&groups),
            &settings.configuration.started_with().transaction,
            Arc::new(move || configuration.latest().transaction.clone()),
        );
        transactions.on_image(&image, &led);

        let failed = Arc::new(Mutex::new(None));
        let stopping = Arc::new(ShutdownSignal::default());
        let changed = Arc::new(Notify::new());
        let publishers = publishers::in_order(&placement, &transactions, &groups, &changed);
        spawn_control_plane(&env, driver, publishers, &failed, &stopping);
        let epoch = register(&env, &settings, &storage, &control, endpoints).await?;
        let checkpoints =
            Arc::new(Checkpoints::new(Arc::clone(&env.disk), settings.log_dirs.clone()));
        let cleaner = cleaner(&env, &settings, &partitions, &control.feed);
        let mover = Mover::new(
            Movers {
                env: env.clone(),
                shared: storage.shared.clone(),
                partitions: Arc::clone(&partitions),
                log_dirs: storage.log_dirs.clone(),
                checkpoints: Arc::clone(&checkpoints),
                cleaner: Arc::clone(&cleaner),
                report: report_moves(
                    (settings.node_id, epoch),
                    control.controller.clone(),
                    control.feed.clone(),
                ),
                bytes_per_second: move_bytes_per_second(control.feed.images(), settings.node_id),
                changed: Arc::clone(&changed),
            },
            settings.moves_at_once,
        );
        mover.resume(placement.take_unfinished());
        spawn_dir_watch(&env, &settings, &mover, &failed, &stopping);
        let reporter = PartitionReporter {
            broker_id: settings.node_id,
            broker_epoch: epoch,
            controller: control.controller.clone(),
            feed: control.feed.clone(),
            mover: Arc::clone(&mover),
        };
        env.threads.spawn(Box::pin(reporter.run(changed, Arc::clone(&stopping))));
        producer_ids.set_broker_epoch(epoch);
        let services = Arc::new(Services {
            env: env.clone(),
            config: settings.server.clone(),
            configuration: Arc::clone(&settings.configuration),
            cluster_id: storage.found.cluster_id.clone(),
            node_id: settings.node_id,
            image: control.feed.images(),
            quorum: control.quorum.clone(),
            controller: control.controller.clone(),
            partitions: Arc::clone(&partitions),
            groups,
            flusher: Arc::clone(&flusher),
            log_dirs: storage.log_dirs.clone(),
            placement: Arc::clone(&placement),
            mover,
            producer_ids,
            transactions,
            budget: Budget::new(settings.server.queued_max_request_bytes),
            connections: Connections::default(),
            fetch_sessions: Mutex::new(FetchSessions::new(settings.server.fetch_sessions_max)),
            stopping,
            metrics: Registry::of([Arc::clone(&partitions) as _]),
        });
        env.threads.spawn(Box::pin(Arc::clone(&flusher).run(env.clone())));
        env.threads.spawn(Box::pin(Arc::clone(&cleaner).run()));
        env.threads.spawn(Box::pin(housekeeping::run(
            env.clone(),
            partitions,
            flusher,
            Arc::clone(&checkpoints),
            settings.intervals,
        )));
        spawn_upkeep(&services, &settings, &control.feed, epoch);
        let mut addresses = Vec::new();
        for (wanted, listener) in bound {
            let local = listener.local_addresses().into_iter();
            addresses.extend(local.map(|address| (wanted.name.clone(), address)));
            let info = ListenerInfo { name: wanted.name, is_controller: wanted.is_controller };
            let run = listener::run(listener, Arc::new(info), Arc::clone(&services));
            env.threads.spawn(Box::pin(run));
        }
        Ok(Self {
            env,
            services,
            placement,
            checkpoints,
            cleaner,
            control,
            node_id: settings.node_id,
            epoch,
            metadata_dir: settings.metadata_dir,
            addresses,
            failed,
            _metadata_lock: storage.metadata_lock,
        })
    }

    /// Where it listens: the name of each listener with its address.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// What connections and handlers share.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Ready when the metadata log has failed: nothing more can be promised.
    pub async fn failed(&self) {
        self.services.stopping.wait().await;
    }

    /// Stops cleanly: what was asked is answered, everything is on disk, and said to be.
    pub async fn stop(self) -> Result<(), BrokerError> {
        // The first is taken note of, the second answered with leave to go.
        for _ in 0..2 {
            let mut asked = heartbeat(self.node_id, self.epoch, &self.control.feed);
            asked.want_shut_down = true;
            match self.control.controller.call(asked).await {
                Ok(reply) if reply.should_shut_down => break,
                Ok(_) => {}
                Err(refusal) => {
                    tracing::warn!(%refusal, "the controller was not told of the stop");
                    break;
                }
            }
        }
        self.services.stopping.set();
        self.services.groups.stop(); // Whoever waits to join looks for another coordinator.
        let clock = &self.env.clock;
        let until = clock.now() + DRAIN_MAX;
        while self.services.connections.total() > 0 && clock.now() < until {
            clock.sleep_until(clock.now() + DRAIN_LOOK).await;
        }
        self.services.transactions.stop();
        self.cleaner.stop().await;
        let partitions = Arc::clone(&self.services.partitions);
        let checkpoints = Arc::clone(&self.checkpoints);
        let mover = Arc::clone(&self.services.mover);
        let (disk, now) = (Arc::clone(&self.env.disk), self.env.clock.wall());
        let closed = self.env.threads.run_blocking(move || {
            mover.stop();
            let all = partitions.all();
            let offline = all.iter().filter(|partition| partition.offline().is_some());
            let mut unclean: BTreeSet<_> = offline.map(|partition| partition.log_dir()).collect();
            unclean.extend(close_all(&*disk, all, now));
            (checkpoints.write(&partitions), unclean)
        });
        let (written, unclean) = closed.await;
        self.control.stop().await;
        if let Some(error) = self.failed.lock().take() {
            return Err(error);
        }
        if self.placement.offline().is_empty() {
            let is_whole =
                |dir: &&Arc<LogDir>| dir.failure().is_none() && !unclean.contains(&dir.path);
            if unclean.is_empty() {
                written.map_err(BrokerError::Stop)?;
            }
            for dir in self.placement.log_dirs().iter().filter(is_whole) {
                dir.mark_clean_shutdown(&*self.env.disk, self.epoch).map_err(BrokerError::Stop)?;
            }
        }
        tracing::debug!(metadata = %self.metadata_dir.display(), "stopped");
        Ok(())
    }
}

/// The directories of a broker, locked and understood.
struct Storage {
    found: Arc<format::Storage>,
    log_dirs: Vec<Arc<LogDir>>,
    metadata_directory_id: crate::types::Uuid,
    metadata_lock: Option<Box<dyn crate::env::Lock>>,
    shared: LogShared,
}

impl Storage {
    async fn open(env: &Env, settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let (inner, settings) = (env.clone(), settings.clone());
        env.threads.run_blocking(move || Self::open_blocking(&inner, &settings)).await
    }

    fn open_blocking(env: &Env, settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let disk = &*env.disk;
        let found = format::open(
            disk,
            &*env.random,
            &settings.log_dirs,
            &settings.metadata_dir,
            settings.node_id,
        )?;
        let mut locks = Vec::new();
        for path in &settings.log_dirs {
            locks.push((path, log_dirs::lock(disk, path)?));
        }
        let apart = !settings.log_dirs.contains(&settings.metadata_dir);
        let metadata_lock =
            if apart { Some(log_dirs::lock(disk, &settings.metadata_dir)?) } else { None };
        let mut log_dirs = Vec::new();
        for (path, lock) in locks {
            let id = found.directories.get(path).copied().unwrap_or_default();
            log_dirs.push(Arc::new(LogDir::open(disk, path, id, lock)?));
        }
        let metadata_directory_id =
            found.directories.get(&settings.metadata_dir).copied().unwrap_or_default();
        let files = OpenFiles::new(settings.open_files);
        Ok(Self {
            found: Arc::new(found),
            log_dirs,
            metadata_directory_id,
            metadata_lock,
            shared: LogShared { disk: Arc::clone(&env.disk), files },
        })
    }

    /// Whether the metadata is that of these directories: who holds partitions has registered, or is
    /// still named as a replica where the registration was taken back. A broker's directories without
    /// those of its controller are not taken for a new cluster, in which every partition would be
    /// nobody's.
    fn check_is_of(
        &self,
        image: &MetadataImage,
        settings: &BrokerSettings,
    ) -> Result<(), BrokerError> {
        let node_id = settings.node_id;
        let mut partitions = image.topics.iter().flat_map(|topic| topic.partitions.iter());
        if image.cluster.brokers.contains_key(&node_id)
            || partitions.any(|partition| partition.replicas.contains(&node_id))
        {
            return Ok(());
        }
        let mut holding = self.log_dirs.iter().filter(|dir| dir.held_count() > 0);
        let Some(dir) = holding.next() else { return Ok(()) };
        Err(BrokerError::OfAnotherController {
            dir: dir.path.clone(),
            partitions: dir.held_count(),
            metadata_dir: settings.metadata_dir.clone(),
            node_id,
        })
    }

    /// The first changes: the ids of directories, the marks of a clean stop, what was being deleted.
    async fn begin(&self, env: &Env) -> Result<(), BrokerError> {
        let (inner, found, log_dirs) =
            (env.clone(), Arc::clone(&self.found), self.log_dirs.clone());
        let begin = move || {
            let disk = &*inner.disk;
            found.begin(disk, inner.clock.wall())?;
            log_dirs.iter().try_for_each(|dir| dir.begin(disk)).map_err(BrokerError::from)
        };
        env.threads.run_blocking(begin).await
    }
}

type Bound = (settings::ListenerSettings, Box<dyn Listener>);

/// What is advertised of the listeners that were bound.
fn endpoints(
    env: &Env,
    settings: &BrokerSettings,
    bound: &[Bound],
) -> Vec<(bool, ListenerEndpoint)> {
    bound
        .iter()
        .filter_map(|(listener, socket)| {
            let advertised = settings.advertised.get(&listener.name)?;
            let host = if advertised.host.is_empty() {
                env.net.canonical_host_name()
            } else {
                advertised.host.clone()
            };
            let port = match advertised.port {
                0 => socket.local_addresses().first().map_or(0, SocketAddr::port),
                port => port,
            };
            let name = listener.name.clone();
            let endpoint = ListenerEndpoint { name, host, port, security_protocol: 0 };
            Some((listener.is_controller, endpoint))
        })
        .collect()
}

/// Reads the metadata log, and leads it.
async fn open_control_plane(
    env: &Env,
    settings: &BrokerSettings,
    storage: &Storage,
) -> Result<(ControlPlaneDriver, ControlPlane), BrokerError> {
    let quorum = QuorumSettings {
        node_id: settings.node_id,
        metadata_dir: settings.metadata_dir.clone(),
        directory_id: storage.metadata_directory_id,
        shared: storage.shared.clone(),
        log: settings.metadata_log,
        static_voters: settings.static_voters.clone(),
        endpoints: settings.controller_endpoints.clone(),
    };
    let controller = ControllerSettings {
        settings: crate::controller::Settings {
            node_id: settings.node_id,
            cluster_id: storage.found.cluster_id.clone(),
            voters: BTreeSet::from([settings.node_id]),
            kraft_version: 0,
            default_partitions: settings.default_partitions,
            default_replication_factor: settings.default_replication_factor,
            min_insync_replicas: settings.min_insync_replicas,
            delete_topic_enable: settings.delete_topic_enable,
            session_timeout: settings.session_timeout,
            max_idle_interval: settings.max_idle_interval,
        },
        rules: Arc::clone(&settings.rules),
    };
    let inner = env.clone();
    let load = move || control_plane::load(&inner, quorum, controller);
    let loaded = env.threads.run_blocking(load).await?;
    storage.check_is_of(loaded.image(), settings)?;
    // All that is there was understood, and is this broker's: from here on files change.
    storage.begin(env).await?;
    let inner = env.clone();
    Ok(env.threads.run_blocking(move || loaded.lead(&inner)).await?)
}

fn cleaner(
    env: &Env,
    settings: &BrokerSettings,
    partitions: &Arc<Partitions>,
    feed: &MetadataFeed,
) -> Arc<Cleaner> {
    let (images, cleaner_of) = (feed.images(), Arc::clone(&settings.cleaner_of));
    let settings_now = Arc::new(move || cleaner_of(&images.load()));
    let (partitions, log_dirs) = (Arc::clone(partitions), settings.log_dirs.clone());
    Arc::new(Cleaner::new(env.clone(), partitions, log_dirs, settings_now))
}

/// How fast partitions may move between log directories: a key that is only set while a broker
/// runs, and without a bound unless it is.
fn move_bytes_per_second(
    images: Arc<ArcSwap<MetadataImage>>,
    broker: BrokerId,
) -> BytesPerSecondOf {
    let layers = [ConfigResource::broker(broker), ConfigResource::default_broker()];
    Arc::new(move || {
        let image = images.load();
        let of = |layer| {
            image.configs.of(layer)?.get("replica.alter.log.dirs.io.max.bytes.per.second").cloned()
        };
        layers.iter().find_map(of).and_then(|text| text.trim().parse().ok()).unwrap_or(i64::MAX)
    })
}

/// The partitions that an image lets `broker` lead, as if they were new. Of all others nothing is
/// to be done when it starts.
fn led_by(broker: BrokerId, image: &MetadataImage) -> Changes {
    let of_topic = |topic: &Arc<Topic>| {
        let id = topic.id;
        let numbered = (0..).zip(topic.partitions.iter().map(|partition| partition.leader));
        let led = numbered.filter(move |(_, leader)| *leader == broker);
        led.map(move |(partition, _)| TopicPartition { topic: id, partition }).collect::<Vec<_>>()
    };
    let partitions = image.topics.iter().flat_map(of_topic).collect();
    Changes { partitions, ..Changes::default() }
}

fn spawn_control_plane(
    env: &Env,
    driver: ControlPlaneDriver,
    publishers: Vec<Arc<dyn Publisher>>,
    failed: &Arc<Mutex<Option<BrokerError>>>,
    stopping: &Arc<ShutdownSignal>,
) {
    let (failed, stopping) = (Arc::clone(failed), Arc::clone(stopping));
    env.threads.spawn(Box::pin(async move {
        if let Err(error) = driver.run(publishers).await {
            tracing::error!(%error, "the control plane failed, the broker stops");
            failed.lock().get_or_insert(error.into());
            stopping.set();
        }
    }));
}

/// The coordinators of groups, over the partitions of `__consumer_offsets`.
fn group_coordinators(
    settings: &BrokerSettings,
    surroundings: CoordinatorDependencies,
) -> Arc<Coordinators<Groups>> {
    let config = Arc::clone(&settings.groups);
    Arc::new(Coordinators::new(
        "__consumer_offsets",
        surroundings,
        settings.offsets_log_use,
        Box::new(move |_| Groups::new(Arc::clone(&config))),
        Box::new(|_, effect| match effect {}),
    ))
}

/// Looks after the log directories, until the broker cannot go on without one that failed.
fn spawn_dir_watch(
    env: &Env,
    settings: &BrokerSettings,
    mover: &Arc<Mover>,
    failed: &Arc<Mutex<Option<BrokerError>>>,
    stopping: &Arc<ShutdownSignal>,
) {
    let watched = Watched { mover: Arc::clone(mover), metadata_dir: settings.metadata_dir.clone() };
    let interval = settings.intervals.flush;
    let (failed, stopping) = (Arc::clone(failed), Arc::clone(stopping));
    let watch = failures::watch(env.clone(), watched, interval);
    env.threads.spawn(Box::pin(async move {
        let why = watch.await;
        tracing::error!(why, "the broker stops");
        failed.lock().get_or_insert(BrokerError::LogDirsFailed(why));
        stopping.set();
    }));
}

/// Registers this node as controller and broker, and waits until it is unfenced.
async fn register(
    env: &Env,
    settings: &BrokerSettings,
    storage: &Storage,
    control: &ControlPlane,
    endpoints: Vec<(bool, ListenerEndpoint)>,
) -> Result<i64, BrokerError> {
    let incarnation_id = env.random.uuid();
    let features: Vec<FeatureRange> = features::supported()
        .map(|(name, min, max)| FeatureRange { name: name.to_owned(), min, max })
        .collect();
    let of_kind = |wanted: bool| -> Vec<ListenerEndpoint> {
        let matching = endpoints.iter().filter(|(is_controller, _)| *is_controller == wanted);
        matching.map(|(_, endpoint)| endpoint.clone()).collect()
    };
    let stopped = |_| Refusal::new(ErrorCode::RequestTimedOut, "The control plane has stopped.");
    control.caught_up().await.map_err(stopped)?;
    let ControlPlane { controller, feed, .. } = control;
    let release = feed.image().release;
    if release.has_controller_registration() {
        controller
            .call(RegisterController {
                controller_id: settings.node_id,
                incarnation_id,
                endpoints: of_kind(true),
                features: features.clone(),
            })
            .await?;
    }
    // A stop was clean only if every directory says so, of the same life.
    let epochs: BTreeSet<Option<i64>> =
        storage.log_dirs.iter().map(|dir| dir.clean_shutdown).collect();
    let previous = match epochs.first() {
        Some(Some(epoch)) if epochs.len() == 1 => *epoch,
        _ => -1,
    };
    let epoch = controller
        .call(RegisterBroker {
            broker_id: settings.node_id,
            cluster_id: storage.found.cluster_id.clone(),
            incarnation_id,
            endpoints: of_kind(false),
            features,
            rack: settings.rack.clone(),
            log_dirs: storage.log_dirs.iter().map(|dir| dir.id).collect(),
            previous_epoch: Some(previous),
        })
        .await?;
    loop {
        let reply = controller.call(heartbeat(settings.node_id, epoch, feed)).await?;
        if !reply.is_fenced {
            tracing::info!(
                "[BrokerLifecycleManager id={}] The broker has been unfenced. Transitioning from \
                 RECOVERY to RUNNING.",
                settings.node_id
            );
            return Ok(epoch);
        }
    }
}

fn heartbeat(broker_id: BrokerId, broker_epoch: i64, feed: &MetadataFeed) -> BrokerHeartbeat {
    BrokerHeartbeat {
        broker_id,
        broker_epoch,
        metadata_offset: feed.image().offset,
        want_fence: false,
        want_shut_down: false,
        offline_log_dirs: Vec::new(),
        cordoned_log_dirs: Some(Vec::new()),
    }
}

/// Spawns the tasks that a serving broker needs, until it stops.
fn spawn_upkeep(
    services: &Arc<Services>,
    settings: &BrokerSettings,
    feed: &MetadataFeed,
    epoch: i64,
) {
    services.env.threads.spawn(Box::pin(budget::return_memory(Arc::clone(services))));
    spawn_heartbeats(services, settings, feed, epoch);
}

/// Tells the controller that this broker lives, until it stops.
fn spawn_heartbeats(
    services: &Arc<Services>,
    settings: &BrokerSettings,
    feed: &MetadataFeed,
    epoch: i64,
) {
    let feed = feed.clone();
    let (services, interval) = (Arc::clone(services), settings.heartbeat_interval);
    let env = services.env.clone();
    env.threads.spawn(Box::pin(async move {
        let clock = &services.env.clock;
        loop {
            tokio::select! {
                biased;
                () = services.stopping.wait() => return,
                () = clock.sleep_until(clock.now() + interval) => {}
            }
            let mut beat = heartbeat(services.node_id, epoch, &feed);
            let offline = services.log_dirs.iter().filter(|dir| dir.failure().is_some());
            beat.offline_log_dirs = offline.map(|dir| dir.id).collect();
            if let Err(refusal) = services.controller.call(beat).await {
                tracing::warn!(%refusal, "a heartbeat was refused");
            }
        }
    }));
}
