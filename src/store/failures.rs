//! A log directory that fails goes offline alone (KIP-112; Kafka 4.4
//! `ReplicaManager.handleLogDirFailure`): its partitions answer KAFKA_STORAGE_ERROR, the others
//! serve, and the controller hears of it with the next heartbeat. A broker without a directory that
//! is left, or without its metadata, ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::log_dir_moves::Mover;
use crate::env::Env;

/// What is looked at.
pub struct Watched {
    /// The moves, with the partitions and the log directories.
    pub mover: Arc<Mover>,
    /// The directory without which nothing goes on.
    pub metadata_dir: PathBuf,
}

/// Looks for logs whose disk failed, every `interval`. Ready when the broker cannot go on; why.
pub async fn watch(env: Env, watched: Watched, interval: Duration) -> String {
    loop {
        env.clock.sleep_until(env.clock.now() + interval).await;
        if let Some(why) = watched.look() {
            return why;
        }
    }
}

impl Watched {
    /// Takes directories offline in which a log failed; why the broker cannot go on, if so.
    fn look(&self) -> Option<String> {
        let (partitions, log_dirs) = (self.mover.partitions(), self.mover.log_dirs());
        for partition in partitions.all() {
            let Some(why) = partition.offline() else { continue };
            let path = partition.log_dir();
            let Some(dir) = log_dirs.iter().find(|dir| dir.path == path) else { continue };
            if !dir.fail(&why) {
                continue;
            }
            tracing::error!(dir = %path.display(), why,
                "a log directory failed, and its partitions are offline");
            for other in partitions.all().iter().filter(|other| other.log_dir() == path) {
                other.fail(&why);
            }
            self.mover.on_failed_dir(&path);
            if path == self.metadata_dir {
                return Some(format!("the log directory with the metadata log failed: {why}"));
            }
        }
        let all_failed = log_dirs.iter().all(|dir| dir.failure().is_some());
        all_failed.then(|| "all log directories failed".to_owned())
    }
}
