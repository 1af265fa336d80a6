//! `blumfeld`: runs a broker until it is asked to stop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::configuration::settings;
use crate::config::{BrokerConfig, Properties, built_in, render};
use crate::env::Env;
use crate::env::real::{raise_open_files_limit, stop_signal, use_small_pages};
use crate::format::{InitialControllers, format};
use crate::server::live_config::say;

/// The data directory of a broker that is given no file.
const DATA: &str = "data";
/// Its settings are written there, for Apache Kafka to open the same directory with.
const WRITTEN: &str = "server.properties";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a broker. The calling thread only waits.
pub(super) fn run(file: Option<PathBuf>, overrides: Vec<String>) -> ExitCode {
    use_small_pages();
    let directives = std::env::var("BLUMFELD_LOG").ok();
    let is_filter = |text: &String| tracing_subscriber::EnvFilter::try_new(text).is_ok();
    let directives = directives.filter(is_filter).unwrap_or_else(|| "info".to_owned());
    // What waits for a broker to be ready reads its standard output.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(&directives)
        .with_writer(std::io::stdout)
        .with_filter_reloading();
    let log_levels = super::log_levels::of(&directives, subscriber.reload_handle());
    subscriber.init();
    let env = match Env::real() {
        Ok(env) => Env { log_levels: Arc::new(log_levels), ..env },
        Err(error) => {
            tracing::error!(%error, "the threads of the broker cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let (done, finished) = std::sync::mpsc::channel();
    let inner = env.clone();
    env.threads.spawn(Box::pin(async move {
        let result = serve(inner, file.as_deref(), &overrides).await;
        let _ = done.send(match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                for line in error.to_string().lines() {
                    tracing::error!("{line}");
                }
                ExitCode::FAILURE
            }
        });
    }));
    finished.recv().unwrap_or(ExitCode::FAILURE)
}

async fn serve(env: Env, file: Option<&Path>, overrides: &[String]) -> Result<(), Failure> {
    let properties = match file {
        Some(path) => super::read_settings(&*env.disk, path, overrides)?,
        None => built_in_settings(&env, overrides)?,
    };
    let (config, warnings) = BrokerConfig::start(&properties)?;
    say(&warnings);
    if file.is_none() {
        format_if_new(&env, &config, &properties)?;
    }
    let node_id = config.node.node_id;
    let open_files = raise_open_files_limit();
    let settings = settings(config, open_files);
    let data: Vec<String> = settings.log_dirs.iter().map(|dir| dir.display().to_string()).collect();
    let mut stop = Box::pin(stop_signal());
    let broker = tokio::select! {
        biased;
        signal = &mut stop => {
            tracing::info!(signal = signal?, "asked to stop before the start was over");
            return Ok(());
        }
        broker = Broker::start(env, settings) => broker?,
    };
    // In Apache Kafka's words, since scripts and test harnesses wait for them.
    tracing::info!(
        "[KafkaRaftServer nodeId={node_id}] Kafka Server started (kafka.server.KafkaRaftServer)"
    );
    let addresses: Vec<String> =
        broker.addresses().iter().map(|(name, at)| format!("{name}://{at}")).collect();
    tracing::info!(
        "[KafkaServer id={node_id}] started: ready on {}, data in {}",
        addresses.join(" "),
        data.join(" ")
    );
    tokio::select! {
        biased;
        signal = &mut stop => tracing::info!(signal = signal?, "stopping"),
        () = broker.failed() => {}
    }
    broker.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

fn built_in_settings(env: &Env, overrides: &[String]) -> Result<Properties, Failure> {
    let data = env.disk.absolute(Path::new(DATA))?;
    let mut properties = built_in(&data.to_string_lossy());
    super::put_over(&mut properties, &with_advertised(overrides))?;
    Ok(properties)
}

/// Whoever moves the listeners of the built-in settings means their advertised addresses too:
/// without this, clients would be sent to the port that was left.
fn with_advertised(overrides: &[String]) -> Vec<String> {
    let sets =
        |key: &str| overrides.iter().find_map(|text| text.strip_prefix(key)?.strip_prefix('='));
    let mut all = overrides.to_vec();
    if let (Some(listeners), None) = (sets("listeners"), sets("advertised.listeners")) {
        all.push(format!("advertised.listeners={listeners}"));
    }
    all
}

/// Formats the directories of a broker that was given no file, when they are new.
fn format_if_new(env: &Env, config: &BrokerConfig, properties: &Properties) -> Result<(), Failure> {
    let mut request = super::format::request_of(config, env.random.uuid().to_string());
    let meta = request.metadata_dir.join(crate::format::FILE_NAME);
    if env.disk.info(&meta)?.is_some() {
        return Ok(());
    }
    if !request.has_static_voters {
        request.initial_controllers = InitialControllers::Standalone;
    }
    let mut say = |line: &str| tracing::debug!("{line}");
    format(&*env.disk, &*env.random, env.clock.wall(), &request, &mut say)?;
    let written = request.metadata_dir.join(WRITTEN);
    env.disk.replace_file(&written, render(properties).as_bytes())?;
    tracing::info!(
        cluster = request.cluster_id, settings = %written.display(), "formatted a new data directory"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_that_are_moved_take_their_advertised_addresses_along() {
        let given = |overrides: &[&str]| -> Vec<String> {
            with_advertised(&overrides.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            given(&["listeners=PLAINTEXT://localhost:1"]),
            ["listeners=PLAINTEXT://localhost:1", "advertised.listeners=PLAINTEXT://localhost:1"]
        );
        assert_eq!(given(&["listeners=A", "advertised.listeners=B"]).len(), 2);
        assert_eq!(given(&["num.partitions=2"]).len(), 1);
    }
}
