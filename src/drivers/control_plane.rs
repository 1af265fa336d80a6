//! The control plane of a node: quorum, metadata feed and controller, started and stopped together.

use std::sync::Arc;

use super::controller::{
    self, ControllerClient, ControllerDriver, ControllerError, ControllerParts,
};
use super::metadata_feed::{self, FeedDriver, FeedError, MetadataFeed, Publisher};
use super::quorum::start::{self, LoadedLog, QuorumSettings, QuorumStartError};
use super::quorum::{QuorumClient, QuorumDriver, StoppedError};
use crate::controller::bootstrap::{self, BootstrapError};
use crate::controller::{ConfigRules, Controller, Settings};
use crate::env::Env;
use crate::metadata::MetadataImage;
use crate::raft::{MetadataLogConfig, MetadataLogError};

/// The settings of the controller role.
#[derive(Clone)]
pub struct ControllerSettings {
    /// What the machine is told; voters and kraft.version are the quorum's.
    pub settings: Settings,
    /// The meaning of configurations.
    pub rules: Arc<dyn ConfigRules>,
}

/// Why the control plane does not start. Nothing was changed, unless the disk failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneStartError {
    /// The quorum does not start.
    #[error(transparent)]
    Quorum(#[from] QuorumStartError),
    /// The controller could not begin an epoch.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

/// Why the control plane ended. The node must end with it.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// The metadata log failed.
    #[error(transparent)]
    Quorum(#[from] MetadataLogError),
    /// The metadata cannot be followed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The controller cannot go on.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// A control plane whose log was read and understood. Nothing was changed.
pub struct LoadedControlPlane {
    log: LoadedLog,
    config: MetadataLogConfig,
    controller: ControllerSettings,
}

/// Reads the metadata log, and checks that this node can lead it. Blocks.
pub fn load(
    env: &Env,
    quorum: QuorumSettings,
    controller: ControllerSettings,
) -> Result<LoadedControlPlane, ControlPlaneStartError> {
    let config = quorum.log;
    let log = start::load(quorum, bootstrap::default_records())?;
    // A bootstrap that cannot be written is found before anything is changed.
    let history = log.history();
    let (settings, rules) = (controller.settings.clone(), Arc::clone(&controller.rules));
    let (image, in_transaction) = (log.image().clone(), history.replay.in_transaction());
    let mut machine = Controller::from_committed(settings, rules, image, in_transaction);
    let records = log.records();
    machine.join(records.voters.ids(), records.kraft_version);
    machine.activate(env.clock.now(), history.bootstrap.as_deref().unwrap_or_default())?;
    Ok(LoadedControlPlane { log, config, controller })
}

impl LoadedControlPlane {
    /// The metadata as it was left.
    pub fn image(&self) -> &MetadataImage {
        self.log.image()
    }

    /// Opens the log, and begins to lead. Nothing is served before [`ControlPlaneDriver::run`].
    /// Blocks.
    pub fn lead(
        self,
        env: &Env,
    ) -> Result<(ControlPlaneDriver, ControlPlane), ControlPlaneStartError> {
        let Self { log, config, controller: ControllerSettings { settings, rules } } = self;
        let (quorum_driver, quorum, mut history) = log.lead(env)?;
        let bootstrap = history.bootstrap.take().unwrap_or_default();
        let end = history.end;
        let (feed_driver, feed) = metadata_feed::new(env, config, history, &quorum);
        let parts = ControllerParts {
            env: env.clone(),
            settings,
            rules,
            bootstrap,
            quorum: quorum.clone(),
            feed: feed.clone(),
        };
        let (controller_driver, controller) = controller::new(parts, end);
        let driver = ControlPlaneDriver {
            quorum: quorum_driver,
            feed: feed_driver,
            controller: controller_driver,
        };
        Ok((driver, ControlPlane { quorum, feed, controller }))
    }
}

/// The drivers of the control plane. They run as one task: what passes from one to the next wakes
/// no other thread.
pub struct ControlPlaneDriver {
    quorum: QuorumDriver,
    feed: FeedDriver,
    controller: ControllerDriver,
}

impl ControlPlaneDriver {
    /// Serves until the control plane is stopped, or one of its parts fails.
    pub async fn run(self, publishers: Vec<Arc<dyn Publisher>>) -> Result<(), ControlPlaneError> {
        let Self { quorum, feed, controller } = self;
        tokio::try_join!(
            async { quorum.run().await.map_err(ControlPlaneError::from) },
            async { feed.run(publishers).await.map_err(ControlPlaneError::from) },
            async { controller.run().await.map_err(ControlPlaneError::from) },
        )?;
        Ok(())
    }
}

/// The parts of the control plane, for the rest of the node.
#[derive(Clone)]
pub struct ControlPlane {
    /// The quorum.
    pub quorum: QuorumClient,
    /// The images.
    pub feed: MetadataFeed,
    /// The active controller.
    pub controller: ControllerClient,
}

impl ControlPlane {
    /// Waits until this node's image holds what was committed when the wait began, and the cluster
    /// has a release.
    ///
    /// Errors: the control plane has stopped.
    pub async fn caught_up(&self) -> Result<(), StoppedError> {
        let epoch_start = self.quorum.epoch_start().map_or(0, |start| start + 1);
        let mut end = self.quorum.high_watermark().max(epoch_start);
        loop {
            let committed = self.feed.wait_for_committed(end).await?;
            self.feed.wait_for(committed.image.offset).await?;
            if committed.image.has_release {
                return Ok(());
            }
            end = committed.end + 1;
        }
    }

    /// Stops the parts: what was asked is answered, what is committed is published, and the log is
    /// closed.
    pub async fn stop(&self) {
        self.controller.stop().await;
        self.feed.stop().await;
        self.quorum.stop().await;
    }
}

#[cfg(test)]
pub(super) mod tests;
