//! `blumfeld`: run a broker until it is asked to stop.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::broker::Broker;
use crate::env::Env;
use crate::env::real::{raise_open_files_limit, stop_signal};
use crate::format::{FormatRequest, InitialControllers};

/// Runs a broker.
pub(super) fn run(overrides: &BTreeMap<String, String>) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BLUMFELD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stdout).init();
    raise_open_files_limit();
    let env = match Env::real() {
        Ok(started) => started,
        Err(error) => {
            tracing::error!(%error, "the process cannot start its threads");
            return ExitCode::FAILURE;
        }
    };
    let settings = super::provisional::settings(overrides);
    let (done, finished) = std::sync::mpsc::channel();
    let inner = env.clone();
    env.threads.spawn(Box::pin(async move {
        let _ = done.send(serve(inner, settings).await);
    }));
    finished.recv().unwrap_or(ExitCode::FAILURE)
}

async fn serve(env: Env, settings: crate::broker::settings::BrokerSettings) -> ExitCode {
    let node_id = settings.node_id;
    if let Err(error) = format_if_new(&env, &settings) {
        tracing::error!(%error, "cannot format");
        return ExitCode::FAILURE;
    }
    let log_dirs = settings.log_dirs.clone();
    let broker = match Broker::start(env, settings).await {
        Ok(broker) => broker,
        Err(error) => {
            tracing::error!(%error, "the broker does not start");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!(
        "[KafkaRaftServer nodeId={node_id}] Kafka Server started (kafka.server.KafkaRaftServer)"
    );
    tracing::info!(
        "[KafkaServer id={node_id}] started, listening on {:?}, data in {log_dirs:?}",
        broker.addresses()
    );
    tokio::select! {
        biased;
        signal = stop_signal() => match signal {
            Ok(signal) => tracing::info!(signal, "stopping"),
            Err(error) => tracing::error!(%error, "signals cannot be received, stopping"),
        },
        () = broker.failed() => {}
    }
    match broker.stop().await {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "the stop was not clean");
            ExitCode::FAILURE
        }
    }
}

fn format_if_new(
    env: &Env,
    settings: &crate::broker::settings::BrokerSettings,
) -> Result<(), crate::format::FormatError> {
    let request = FormatRequest {
        cluster_id: env.random.uuid().to_string(),
        node_id: settings.node_id,
        log_dirs: settings.log_dirs.clone(),
        metadata_dir: settings.metadata_dir.clone(),
        is_controller: true,
        controller_listener: "CONTROLLER".into(),
        controller_endpoint: None,
        has_static_voters: true,
        initial_controllers: InitialControllers::Unspecified,
        release: None,
        features: Vec::new(),
        ignore_formatted: true,
        records: Vec::new(),
    };
    let meta = settings.log_dirs[0].join("meta.properties");
    if env.disk.info(&meta).ok().flatten().is_some() {
        return Ok(());
    }
    let mut say = |line: &str| tracing::info!("{line}");
    crate::format::format(&*env.disk, &*env.random, env.clock.wall(), &request, &mut say)
}
