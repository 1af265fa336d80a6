//! A broker on a simulated machine, which crashes and comes back.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blumfeld::broker::Broker;
use blumfeld::broker::configuration;
use blumfeld::broker::settings::BrokerSettings;
use blumfeld::config::{BrokerConfig, Origin, Properties};
use blumfeld::env::sim::{Crash, Machine, World};
use blumfeld::env::{Env, Limits};
use blumfeld::format::{FormatRequest, InitialControllers, format};
use blumfeld::log::LogConfig;
use blumfeld::metrics::{Registry, prometheus};
use tokio::sync::{oneshot, watch};

/// Where clients connect.
pub const PORT: u16 = 9092;
/// The one log directory.
pub const DATA: &str = "/data";

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
    properties: &'static [(&'static str, &'static str)],
    life: Option<(watch::Receiver<Life>, oneshot::Sender<()>)>,
    metrics: Arc<Mutex<Registry>>,
}

impl SimBroker {
    /// A machine whose disk is empty yet, with these properties beside those of all.
    pub fn new(
        world: &World,
        name: &str,
        properties: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { machine: world.machine(name), properties, life: None, metrics: Arc::default() }
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The metrics of the process that serves, in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        prometheus::render(&self.metrics.lock().unwrap())
    }

    /// Starts a process, which formats the disk if nothing is on it.
    pub fn start(&mut self) {
        let (tell, life) = watch::channel(Life::Starting);
        let (stop, stopped) = oneshot::channel();
        let env = self.machine.start();
        let settings = settings(self.machine.name(), self.properties);
        let metrics = Arc::clone(&self.metrics);
        self.life = Some((life, stop));
        env.threads.clone().spawn(Box::pin(async move {
            // Nobody is left to be told once the test is over.
            let _ = tell.send(match run(env, settings, &tell, stopped, &metrics).await {
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

    /// Whether its process has ended by itself.
    pub fn has_ended(&self) -> bool {
        let life = self.life.as_ref().map(|(life, _)| life.borrow().clone());
        !matches!(life, Some(Life::Starting | Life::Serving))
    }

    /// Stops it in good order.
    pub async fn stop(&mut self) {
        assert_eq!(self.ask_to_stop().await, Life::Stopped);
        self.life = None;
        self.machine.stopped();
    }

    /// Asks it to stop and waits for how it ends.
    pub async fn ask_to_stop(&mut self) -> Life {
        let (life, stop) = self.life.take().expect("it runs");
        drop(stop);
        self.life = Some((life, oneshot::channel().0));
        self.ended().await
    }

    /// How it ended, once it has.
    pub async fn ended(&mut self) -> Life {
        self.wait_for(|life| !matches!(life, Life::Starting | Life::Serving)).await
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
    metrics: &Mutex<Registry>,
) -> Result<(), String> {
    let in_words = |error: &dyn std::error::Error| error.to_string();
    format_if_new(&env, &settings)?;
    let broker = Broker::start(env, settings).await.map_err(|error| in_words(&error))?;
    *metrics.lock().unwrap() = broker.services().metrics.clone();
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
    for dir in &settings.log_dirs {
        env.disk.create_dir_all(dir).map_err(|error| error.to_string())?;
    }
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

/// Small segments and snapshots everywhere, so that there are many.
const PROPERTIES: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
    ("controller.listener.names", "CONTROLLER"),
    ("log.dirs", DATA),
    ("num.partitions", "2"),
    ("log.index.interval.bytes", "300"),
    ("internal.metadata.log.segment.bytes", "4000"),
    ("metadata.log.max.record.bytes.between.snapshots", "3000"),
];
const SEGMENT_BYTES: u32 = 2000;

fn settings(host: &str, more: &[(&str, &str)]) -> BrokerSettings {
    let mut properties = Properties::default();
    let advertised = format!("PLAINTEXT://{host}:{PORT},CONTROLLER://{host}:{}", PORT + 1);
    let voters = format!("1@{host}:{}", PORT + 1);
    let of_host = [("advertised.listeners", &*advertised), ("controller.quorum.voters", &voters)];
    for (key, value) in PROPERTIES.iter().chain(&of_host).chain(more) {
        properties.set((*key).to_owned(), (*value).to_owned(), Origin::BuiltIn);
    }
    let (config, _warnings) = BrokerConfig::start(&properties).unwrap();
    let mut settings = configuration::settings(config, &Limits::default()).unwrap();
    // No topic may be configured to have segments that small.
    let configured = Arc::clone(&settings.log_config_of);
    settings.log_config_of = Arc::new(move |image, topic| LogConfig {
        segment_bytes: SEGMENT_BYTES,
        ..configured(image, topic)
    });
    settings
}
