//! A broker on a simulated machine, which crashes and comes back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blumfeld::broker::Broker;
use blumfeld::broker::settings::{Advertised, BrokerSettings, ListenerSettings};
use blumfeld::controller::command::EffectiveConfig;
use blumfeld::controller::{ConfigRules, Refusal, Values};
use blumfeld::env::Env;
use blumfeld::env::sim::{Crash, Machine, World};
use blumfeld::format::{FormatRequest, InitialControllers, format};
use blumfeld::log::LogConfig;
use blumfeld::metadata::{ConfigResource, ResourceType};
use blumfeld::raft::{ReplicaKey, Voter, VoterEndpoint, VoterSet};
use blumfeld::server::services::ServerConfig;
use blumfeld::store::housekeeping::Intervals;
use tokio::sync::{oneshot, watch};

/// Where clients connect.
pub const PORT: u16 = 9092;
const DATA: &str = "/data";

/// What a broker's process is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It reads what is on its disk.
    Starting,
    /// It serves.
    Serving,
    /// It gave up, and why.
    Failed(String),
    /// It stopped in good order.
    Stopped,
}

/// A combined broker and controller, alone in its cluster.
pub struct SimBroker {
    machine: Machine,
    log: LogConfig,
    life: Option<(watch::Receiver<Life>, oneshot::Sender<()>)>,
}

impl SimBroker {
    /// A machine whose disk is empty yet; its topics get the settings `log`.
    pub fn new(world: &World, name: &str, log: LogConfig) -> Self {
        Self { machine: world.machine(name), log, life: None }
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Starts a process, which formats the disk if nothing is on it.
    pub fn start(&mut self) {
        let (tell, life) = watch::channel(Life::Starting);
        let (stop, stopped) = oneshot::channel();
        let env = self.machine.start();
        let settings = settings(self.machine.name(), self.log.clone());
        self.life = Some((life, stop));
        env.threads.clone().spawn(Box::pin(async move {
            // Nobody is left to be told once the test is over.
            let _ = tell.send(match run(env, settings, &tell, stopped).await {
                Ok(()) => Life::Stopped,
                Err(error) => Life::Failed(error),
            });
        }));
    }

    /// Starts and waits until it serves, an hour at most.
    pub async fn start_and_serve(&mut self) {
        self.start();
        let life = self.wait_for(|life| *life != Life::Starting).await;
        assert_eq!(life, Life::Serving, "{} does not start", self.machine.name());
    }

    /// Ends the process, as hard as `mode` says.
    pub fn crash(&mut self, mode: Crash) {
        self.life = None;
        self.machine.crash(mode);
    }

    /// Stops it in good order.
    pub async fn stop(&mut self) {
        let (life, stop) = self.life.take().expect("it runs");
        drop(stop);
        self.life = Some((life, oneshot::channel().0));
        assert_eq!(self.wait_for(|life| *life != Life::Serving).await, Life::Stopped);
        self.life = None;
        self.machine.stopped();
    }

    async fn wait_for(&mut self, wanted: impl FnMut(&Life) -> bool) -> Life {
        let (life, _) = self.life.as_mut().expect("it runs");
        let reached = tokio::time::timeout(Duration::from_hours(1), life.wait_for(wanted));
        reached.await.expect("within an hour").expect("its task tells").clone()
    }
}

async fn run(
    env: Env,
    settings: BrokerSettings,
    tell: &watch::Sender<Life>,
    stop: oneshot::Receiver<()>,
) -> Result<(), String> {
    let in_words = |error: &dyn std::error::Error| error.to_string();
    format_if_new(&env, &settings)?;
    let broker = Broker::start(env, settings).await.map_err(|error| in_words(&error))?;
    let _ = tell.send(Life::Serving);
    tokio::select! {
        biased;
        _ = stop => {}
        () = broker.failed() => {}
    }
    broker.stop().await.map_err(|error| in_words(&error))
}

/// As a container does it: a directory without `meta.properties` is formatted (again).
fn format_if_new(env: &Env, settings: &BrokerSettings) -> Result<(), String> {
    env.disk.create_dir_all(Path::new(DATA)).map_err(|error| error.to_string())?;
    env.disk.sync_dir(Path::new("/")).map_err(|error| error.to_string())?;
    let formatted = env.disk.info(&Path::new(DATA).join("meta.properties"));
    if formatted.map_err(|error| error.to_string())?.is_some() {
        return Ok(());
    }
    let request = FormatRequest {
        cluster_id: "TheClusterOfTheWorldAA".to_owned(),
        node_id: settings.node_id,
        log_dirs: settings.log_dirs.clone(),
        metadata_dir: settings.metadata_dir.clone(),
        is_controller: true,
        controller_listener: "CONTROLLER".to_owned(),
        controller_endpoint: None,
        has_static_voters: true,
        initial_controllers: InitialControllers::Unspecified,
        release: None,
        features: Vec::new(),
        ignore_formatted: true,
        records: Vec::new(),
    };
    let formatted =
        format(&*env.disk, &*env.random, env.clock.wall(), &request, &mut |_line: &str| {});
    formatted.map(drop).map_err(|error| error.to_string())
}

fn settings(host: &str, log: LogConfig) -> BrokerSettings {
    let listener = |name: &str, port, is_controller| ListenerSettings {
        name: name.to_owned(),
        host: String::new(),
        port,
        is_controller,
    };
    let endpoint =
        VoterEndpoint { listener: "CONTROLLER".to_owned(), host: host.to_owned(), port: PORT + 1 };
    let voter = Voter {
        key: ReplicaKey { id: 1, directory: None },
        endpoints: vec![endpoint.clone()],
        kraft_versions: (0, 0),
    };
    BrokerSettings {
        node_id: 1,
        log_dirs: vec![PathBuf::from(DATA)],
        metadata_dir: PathBuf::from(DATA),
        rack: None,
        listeners: vec![listener("PLAINTEXT", PORT, false), listener("CONTROLLER", PORT + 1, true)],
        advertised: BTreeMap::from([(
            "PLAINTEXT".to_owned(),
            Advertised { host: host.to_owned(), port: PORT },
        )]),
        static_voters: VoterSet::new([voter]),
        controller_endpoints: vec![endpoint],
        default_partitions: 2,
        default_replication_factor: 1,
        min_insync_replicas: 1,
        delete_topic_enable: true,
        session_timeout: Duration::from_secs(9),
        heartbeat_interval: Duration::from_secs(2),
        max_idle_interval: Some(Duration::from_millis(500)),
        metadata_log: blumfeld::raft::log::MetadataLogConfig::default(),
        rules: Arc::new(AnyConfig),
        log_config_of: Arc::new(move |_, _| log.clone()),
        server: ServerConfig {
            socket_request_max_bytes: 104_857_600,
            queued_max_request_bytes: 512 << 20,
            connections_max_idle: Duration::from_mins(10),
            max_connections: 1000,
            max_connections_per_ip: 1000,
            fetch_max_bytes: 57_671_680,
            fetch_sessions_max: 1000,
            auto_create_topics: true,
            max_request_partitions: 2000,
        },
        intervals: Intervals {
            retention: Duration::from_mins(5),
            flush: Duration::from_secs(1),
            checkpoint: Duration::from_secs(5),
            producers: Duration::from_mins(10),
            producer_expiration_ms: 86_400_000,
            unflushed_bytes_max: 1 << 20,
        },
        open_files: 64,
    }
}

/// Every configuration is right, and none has an effect.
struct AnyConfig;

impl ConfigRules for AnyConfig {
    fn validate(&self, _: &ConfigResource, _: &Values, _: &Values) -> Result<(), Refusal> {
        Ok(())
    }

    fn is_list(&self, _: ResourceType, _: &str) -> bool {
        false
    }

    fn default_value(&self, _: ResourceType, _: &str) -> Option<String> {
        None
    }

    fn effective_topic(&self, _: &Values, _: &Values, _: &Values) -> Vec<EffectiveConfig> {
        Vec::new()
    }

    fn effective_topic_value(&self, _: &str, _: &Values, _: &Values, _: &Values) -> Option<String> {
        None
    }
}
