//! `blumfeld`: runs a broker until it is asked to stop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::configuration::{check_memory, settings};
use crate::config::{BrokerConfig, Properties, built_in, render};
use crate::env::real::{LogOutput, StopSignal, try_write_to_stderr, use_small_pages, workers};
use crate::env::{Env, Limits, LogLevels};
use crate::format::{InitialControllers, format};
use crate::server::live_config::say;

/// The data directory of a broker that is given no file.
const DATA: &str = "data";
/// Its settings are written there, for Apache Kafka to open the same directory with.
const WRITTEN: &str = "server.properties";

type ServeError = Box<dyn std::error::Error + Send + Sync>;

/// Runs a broker. The calling thread only waits.
pub(super) fn run(file: Option<PathBuf>, overrides: Vec<String>) -> ExitCode {
    use_small_pages();
    let (output, log_levels) = match super::logging::start() {
        Ok(started) => started,
        Err(error) => {
            try_write_to_stderr(&format!("the log's thread cannot be started: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let code = run_logged(file, overrides, &output, log_levels);
    output.flush();
    code
}

fn run_logged(
    file: Option<PathBuf>,
    overrides: Vec<String>,
    output: &LogOutput,
    log_levels: LogLevels,
) -> ExitCode {
    let of_signals = output.clone();
    let stop = match StopSignal::watch(move || of_signals.flush()) {
        Ok(stop) => stop,
        Err(error) => {
            tracing::error!(%error, "the thread that receives signals cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let limits = Limits::raise();
    if let Err(error) = check_memory(&limits) {
        tracing::error!("{error}");
        return ExitCode::FAILURE;
    }
    let env = match Env::real(&limits) {
        Ok(env) => Env { log_levels: Arc::new(log_levels), ..env },
        Err(error) => {
            tracing::error!(
                %error, open_files = limits.open_files,
                "the worker threads cannot be started: allow more threads, open files or memory"
            );
            return ExitCode::FAILURE;
        }
    };
    let limits = limits.with_descriptors_in_use(workers(&limits));
    let (done, finished) = std::sync::mpsc::channel();
    let inner = env.clone();
    env.threads.spawn(Box::pin(async move {
        let result = serve(inner, file.as_deref(), &overrides, &stop, limits).await;
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

async fn serve(
    env: Env,
    file: Option<&Path>,
    overrides: &[String],
    stop: &StopSignal,
    limits: Limits,
) -> Result<(), ServeError> {
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
    let mut settings = settings(config, &limits)?;
    settings.server.request_log = super::logging::request_log();
    let data: Vec<String> = settings.log_dirs.iter().map(|dir| dir.display().to_string()).collect();
    let broker = tokio::select! {
        biased;
        signal = stop.wait() => {
            tracing::info!(signal, "asked to stop during startup");
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
        signal = stop.wait() => tracing::info!(signal, "stopping"),
        () = broker.failed() => {}
    }
    broker.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

fn built_in_settings(env: &Env, overrides: &[String]) -> Result<Properties, ServeError> {
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
fn format_if_new(
    env: &Env,
    config: &BrokerConfig,
    properties: &Properties,
) -> Result<(), ServeError> {
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
