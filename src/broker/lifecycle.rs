//! The life of a broker in its cluster: registration, heartbeats, controlled shutdown (Kafka 4.4
//! `BrokerLifecycleManager`).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::BrokerError;
use super::settings::BrokerSettings;
use super::storage::OpenedStorage;
use crate::controller::command::{BrokerHeartbeat, Refusal, RegisterBroker, RegisterController};
use crate::drivers::{ControlPlane, MetadataFeed, ShutdownSignal};
use crate::env::Env;
use crate::metadata::cluster::FeatureRange;
use crate::metadata::{ListenerEndpoint, features};
use crate::store::LogDir;
use crate::types::{BrokerId, ErrorCode};

/// How often a broker that wants to shut down asks for leave: the first time its leaderships are
/// moved, the second time it may go.
const SHUTDOWN_REQUESTS: usize = 2;

/// A broker that is registered and unfenced.
pub(super) struct Lifecycle {
    env: Env,
    control: ControlPlane,
    node_id: BrokerId,
    /// The epoch of the registration.
    pub(super) epoch: i64,
}

impl Lifecycle {
    /// Registers this node as controller and broker, and waits until it is unfenced.
    pub(super) async fn begin(
        env: &Env,
        settings: &BrokerSettings,
        storage: &OpenedStorage,
        control: &ControlPlane,
        endpoints: Vec<(bool, ListenerEndpoint)>,
    ) -> Result<Self, BrokerError> {
        let epoch = register(env, settings, storage, control, endpoints).await?;
        let (env, control) = (env.clone(), control.clone());
        Ok(Self { env, control, node_id: settings.node_id, epoch })
    }

    /// Sends heartbeats until the shutdown.
    pub(super) fn start(
        &self,
        settings: &BrokerSettings,
        log_dirs: Vec<Arc<LogDir>>,
        stopping: Arc<ShutdownSignal>,
    ) {
        let interval = settings.heartbeat_interval;
        let (node_id, epoch) = (self.node_id, self.epoch);
        let (clock, control) = (Arc::clone(&self.env.clock), self.control.clone());
        self.env.threads.spawn(Box::pin(async move {
            loop {
                tokio::select! {
                    biased;
                    () = stopping.wait() => return,
                    () = clock.sleep_until(clock.now() + interval) => {}
                }
                let mut beat = heartbeat(node_id, epoch, &control.feed);
                let offline = log_dirs.iter().filter(|dir| dir.failure().is_some());
                beat.offline_log_dirs = offline.map(|dir| dir.id).collect();
                if let Err(refusal) = control.controller.call(beat).await {
                    tracing::warn!(%refusal, "the controller refused a heartbeat");
                }
            }
        }));
    }

    /// Asks the controller for leave to shut down.
    pub(super) async fn shut_down(&self) {
        for _ in 0..SHUTDOWN_REQUESTS {
            let mut request = heartbeat(self.node_id, self.epoch, &self.control.feed);
            request.want_shut_down = true;
            match self.control.controller.call(request).await {
                Ok(reply) if reply.should_shut_down => break,
                Ok(_) => {}
                Err(refusal) => {
                    tracing::warn!(%refusal, "the controller did not accept the shutdown request");
                    break;
                }
            }
        }
    }
}

/// Registers this node as controller and broker, and waits until it is unfenced.
async fn register(
    env: &Env,
    settings: &BrokerSettings,
    storage: &OpenedStorage,
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
