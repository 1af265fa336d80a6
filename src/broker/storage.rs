//! The directories of a node: locked and checked before anything else starts.

use std::sync::Arc;

use super::BrokerError;
use super::settings::BrokerSettings;
use crate::env::{Env, Lock};
use crate::format;
use crate::log::{LogShared, OpenFiles};
use crate::metadata::MetadataImage;
use crate::store::log_dirs::{self, LogDir};
use crate::types::Uuid;

/// The directories of a broker, locked and understood.
pub(super) struct OpenedStorage {
    pub(super) found: Arc<format::Storage>,
    pub(super) log_dirs: Vec<Arc<LogDir>>,
    pub(super) metadata_directory_id: Uuid,
    /// The lock of the metadata directory, where it is none of the log directories.
    pub(super) metadata_lock: Option<Box<dyn Lock>>,
    pub(super) shared: LogShared,
}

impl OpenedStorage {
    /// Locks the directories and checks what they are. Nothing is changed but the locks.
    pub(super) async fn open(env: &Env, settings: &BrokerSettings) -> Result<Self, BrokerError> {
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
    pub(super) fn check_is_of(
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
    pub(super) async fn begin(&self, env: &Env) -> Result<(), BrokerError> {
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
