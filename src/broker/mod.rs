//! The composition root: what starts in which order, and stops in reverse.
//!
//! A node is composed of parts, each with its own start and stop: the control plane
//! (`drivers/control_plane.rs`), and for its role as a broker the data plane (`data_plane.rs`), the
//! coordinators (`coordination.rs`), its life in the cluster (`lifecycle.rs`) and the server. The
//! control plane reaches them through publishers (`publishers.rs`), they reach it through its
//! clients; no part holds another one of a role that the node may not have.
//!
//! Start: lock the directories; check what they are; bind the listeners (port 0 becomes a port
//! before it is registered); read the metadata log. Up to here nothing was changed. Lead its next
//! epoch; recover the logs; register and be unfenced, which raises the leader epoch of every
//! partition led here; only then accept connections. Stop: tell the controller; answer what was
//! asked; end compaction; flush and close the logs; write checkpoints; stop the controller; mark the
//! stop as clean, last.

pub mod configuration;
mod coordination;
mod data_plane;
mod lifecycle;
mod publishers;
mod rules;
pub mod settings;
mod shares;
mod storage;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::coordination::Coordination;
use self::data_plane::DataPlane;
use self::lifecycle::Lifecycle;
use self::settings::BrokerSettings;
use self::storage::OpenedStorage;
use crate::controller::command::Refusal;
use crate::drivers::control_plane::{
    self, ControlPlane, ControlPlaneDriver, ControlPlaneError, ControlPlaneStartError,
    ControllerSettings,
};
use crate::drivers::partition_reports::{PartitionReporter, report_moves};
use crate::drivers::quorum::start::QuorumSettings;
use crate::drivers::{Publisher, ShutdownSignal};
use crate::env::{Env, Listener};
use crate::format::FormatError;
use crate::metadata::ListenerEndpoint;
use crate::metrics::{Collect, Registry};
use crate::server::budget::Budget;
use crate::server::cluster_metrics::ClusterMetrics;
use crate::server::connection_counts::ConnectionCounts;
use crate::server::fetch_sessions::FetchSessions;
use crate::server::group_metrics::GroupMetrics;
use crate::server::listener;
use crate::server::listener_info::ListenerInfo;
use crate::server::memory_metrics::MemoryPool;
use crate::server::process_metrics::ProcessMetrics;
use crate::server::replica_metrics::ReplicaManager;
use crate::server::request_metrics::RequestMetrics;
use crate::server::return_memory;
use crate::server::services::Services;
use crate::store::log_dirs::LogDirError;
use crate::store::startup_cleanup;
use crate::types::BrokerId;

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

/// The first error after which the node cannot go on; with it the shutdown begins.
#[derive(Clone, Default)]
struct PartFailure {
    error: Arc<Mutex<Option<BrokerError>>>,
    stopping: Arc<ShutdownSignal>,
}

impl PartFailure {
    fn set(&self, error: BrokerError) {
        self.error.lock().get_or_insert(error);
        self.stopping.set();
    }

    fn take(&self) -> Option<BrokerError> {
        self.error.lock().take()
    }
}

/// A node that serves, as controller and broker. Its parts start and stop in the order that the
/// module describes.
pub struct Broker {
    env: Env,
    control: ControlPlane,
    data: DataPlane,
    lifecycle: Lifecycle,
    /// What connections and handlers share.
    services: Arc<Services>,
    metadata_dir: PathBuf,
    addresses: Vec<(String, SocketAddr)>,
    failure: PartFailure,
    /// The metadata directory, where it is none of the log directories.
    _metadata_lock: Option<Box<dyn crate::env::Lock>>,
}

impl Broker {
    /// Starts a broker; it serves when this returns.
    ///
    /// Errors: as long as it is not clear that this broker understands and may lead all that is there,
    /// nothing was changed on disk.
    pub async fn start(env: Env, settings: BrokerSettings) -> Result<Self, BrokerError> {
        let failure = PartFailure::default();
        let storage = OpenedStorage::open(&env, &settings).await?;
        let bound = bind(&env, &settings).await?;
        let endpoints = endpoints(&env, &settings, &bound);
        // What lies in ten thousand directories is found while the metadata log is read.
        let opening = open_control_plane(&env, &settings, &storage);
        let (opened, found) = tokio::join!(opening, startup_cleanup::scan(&env, &storage.log_dirs));
        let (driver, control) = opened?;
        let images = || control.feed.images();
        let (data, led) = DataPlane::open(&env, &settings, &storage, images(), found).await;
        let coordination = Coordination::start(&data, &settings, &control, &led);
        let changed = Arc::new(Notify::new());
        let publishers = publishers::in_order(
            &data.placement,
            &coordination.transactions,
            &coordination.groups,
            &changed,
        );
        spawn_control_plane(&env, driver, publishers, &failure);
        let begun = Lifecycle::begin(&env, &settings, &storage, &control, endpoints).await;
        // A control plane that has failed refuses, and knows better why.
        let lifecycle = begun.map_err(|error| failure.take().unwrap_or(error))?;
        let registration = (settings.node_id, lifecycle.epoch);
        let report = report_moves(registration, control.controller.clone(), control.feed.clone());
        let mover = data.start_moves(&settings, &storage, images(), report, &changed);
        let reporter = PartitionReporter {
            broker_id: settings.node_id,
            broker_epoch: lifecycle.epoch,
            controller: control.controller.clone(),
            feed: control.feed.clone(),
            mover: Arc::clone(&mover),
        };
        env.threads.spawn(Box::pin(reporter.run(changed, Arc::clone(&failure.stopping))));
        coordination.producer_ids.set_broker_epoch(lifecycle.epoch);
        let requests = Arc::new(RequestMetrics::default());
        let metrics = Registry::of([
            Arc::clone(&data.partitions) as Arc<dyn Collect>,
            Arc::clone(&data.flusher) as _,
            Arc::clone(&requests) as _,
        ]);
        data.start(&settings, &mover, &metrics, &failure);
        lifecycle.start(&settings, storage.log_dirs.clone(), Arc::clone(&failure.stopping));
        let services = Arc::new(Services {
            env: env.clone(),
            config: settings.server.clone(),
            configuration: Arc::clone(&settings.configuration),
            cluster_id: storage.found.cluster_id.clone(),
            node_id: settings.node_id,
            image: images(),
            quorum: control.quorum.clone(),
            controller: control.controller.clone(),
            partitions: Arc::clone(&data.partitions),
            groups: coordination.groups,
            flusher: Arc::clone(&data.flusher),
            log_dirs: storage.log_dirs.clone(),
            placement: Arc::clone(&data.placement),
            mover,
            producer_ids: coordination.producer_ids,
            transactions: coordination.transactions,
            budget: Budget::new(settings.server.queued_max_request_bytes),
            connections: ConnectionCounts::default(),
            fetch_sessions: Mutex::new(FetchSessions::new(settings.server.fetch_sessions_max)),
            stopping: Arc::clone(&failure.stopping),
            requests: Arc::clone(&requests),
            metrics,
        });
        register_server(&services);
        env.threads.spawn(Box::pin(return_memory::return_memory(Arc::clone(&services))));
        let addresses = serve(&env, &services, bound);
        Ok(Self {
            env,
            control,
            data,
            lifecycle,
            services,
            metadata_dir: settings.metadata_dir,
            addresses,
            failure,
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
        self.lifecycle.shut_down().await;
        self.services.stopping.set();
        self.services.groups.stop(); // Whoever waits to join looks for another coordinator.
        let clock = &self.env.clock;
        let until = clock.now() + DRAIN_MAX;
        while self.services.connections.total() > 0 && clock.now() < until {
            clock.sleep_until(clock.now() + DRAIN_LOOK).await;
        }
        self.services.transactions.stop();
        let closed = self.data.stop(&self.services.mover).await;
        self.control.stop().await;
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.data.mark_clean(closed, self.lifecycle.epoch)?;
        tracing::debug!(metadata = %self.metadata_dir.display(), "stopped");
        Ok(())
    }
}

/// Registers the metrics of the server, and those that are computed from what it shares.
fn register_server(services: &Arc<Services>) {
    let of = || Arc::downgrade(services);
    let parts: [Arc<dyn Collect>; 6] = [
        Arc::clone(&services.connections.metrics) as _,
        Arc::new(MemoryPool(of())),
        Arc::new(ReplicaManager(of())),
        Arc::new(GroupMetrics::new(of())),
        Arc::new(ProcessMetrics::new(&services.env)),
        Arc::new(ClusterMetrics(of())),
    ];
    parts.into_iter().for_each(|part| services.metrics.register(part));
}

type Bound = (settings::ListenerSettings, Box<dyn Listener>);

/// Opens the listeners. Connections wait in their queues until [`serve`].
async fn bind(env: &Env, settings: &BrokerSettings) -> Result<Vec<Bound>, BrokerError> {
    let mut bound = Vec::new();
    for wanted in &settings.listeners {
        let listener = env.net.listen(&wanted.host, wanted.port).await.map_err(|source| {
            let (name, host) = (wanted.name.clone(), wanted.host.clone());
            BrokerError::Listen { name, host, port: wanted.port, source }
        })?;
        bound.push((wanted.clone(), listener));
    }
    Ok(bound)
}

/// Accepts connections on every listener; returns where.
fn serve(env: &Env, services: &Arc<Services>, bound: Vec<Bound>) -> Vec<(String, SocketAddr)> {
    let mut addresses = Vec::new();
    for (wanted, listener) in bound {
        let local = listener.local_addresses();
        addresses.extend(local.into_iter().map(|address| (wanted.name.clone(), address)));
        let info = ListenerInfo { name: wanted.name, is_controller: wanted.is_controller };
        let run = listener::run(listener, Arc::new(info), Arc::clone(services));
        env.threads.spawn(Box::pin(run));
    }
    addresses
}

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
    storage: &OpenedStorage,
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

fn spawn_control_plane(
    env: &Env,
    driver: ControlPlaneDriver,
    publishers: Vec<Arc<dyn Publisher>>,
    failure: &PartFailure,
) {
    let failure = failure.clone();
    env.threads.spawn(Box::pin(async move {
        if let Err(error) = driver.run(publishers).await {
            tracing::error!(%error, "the control plane failed, the node stops");
            failure.set(error.into());
        }
    }));
}
