//! How the limits of the process are shared out among connections, logs, requests and compaction.

use crate::env::Limits;

/// Descriptors of each listener: two addresses, as for `localhost`.
const FILES_PER_LISTENER: u64 = 2;
/// Descriptors that are neither connections nor open log files: the metadata log, checkpoints and
/// indexes while they are read or written by a few threads at once, locks.
const FILES_OF_THE_BROKER: u64 = 16;
/// The least that is worth a start.
const CONNECTIONS_MIN: u64 = 8;
const LOG_FILES_MIN: u64 = 8;
/// More files are not kept open for logs.
const LOG_FILES_MAX: u64 = 65_536;
/// Requests are held in memory up to this much, where Kafka has no bound.
const REQUEST_BYTES: u64 = 512 << 20;
/// Shares of the memory: for requests, and for the buffers of compaction.
const REQUEST_MEMORY_SHARE: u64 = 4;
const CLEANER_MEMORY_SHARE: u64 = 8;
/// The least memory that a start is tried with.
const MEMORY_MIN: u64 = 32 << 20;

/// Why the limits of the process do not allow a start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Too few descriptors.
    #[error(
        "the limit of open files is {limit}, and at least {needed} are needed with these listeners and \
         log directories: raise it (ulimit -n 65536, LimitNOFILE= of systemd, --ulimit nofile= of \
         Docker)"
    )]
    OpenFiles {
        /// `RLIMIT_NOFILE`.
        limit: u64,
        /// The least that would do.
        needed: u64,
    },
    /// Too little memory.
    #[error(
        "the limit of memory leaves {} MiB for data, and at least {} MiB are needed: raise it \
         (ulimit -v, LimitAS= or MemoryMax= of systemd, --memory of Docker)",
        .limit >> 20, MEMORY_MIN >> 20
    )]
    Memory {
        /// Bytes.
        limit: u64,
    },
}

/// Whether there is memory enough to begin; the first thing to ask, since nothing works without.
pub fn check_memory(limits: &Limits) -> Result<(), LimitError> {
    if limits.memory < MEMORY_MIN {
        return Err(LimitError::Memory { limit: limits.memory });
    }
    Ok(())
}

/// What each part may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Connections of clients.
    pub(super) connections: u64,
    /// Files that are kept open for logs.
    pub(super) log_files: u64,
    /// Bytes of requests in memory, where the configuration has no bound.
    pub(super) request_bytes: u64,
    /// Bytes of the offset maps and buffers of compaction, at most.
    pub(super) cleaner_bytes: u64,
}

impl Shares {
    /// Shares `limits` out for a broker with so many listeners and log directories.
    pub(super) fn of(
        limits: &Limits,
        listeners: usize,
        log_dirs: usize,
    ) -> Result<Self, LimitError> {
        let (listeners, log_dirs) = (listeners as u64, log_dirs as u64);
        let own = limits.descriptors_in_use
            + FILES_OF_THE_BROKER
            + FILES_PER_LISTENER * listeners
            + log_dirs;
        let needed = own + CONNECTIONS_MIN + LOG_FILES_MIN;
        if limits.open_files < needed {
            return Err(LimitError::OpenFiles { limit: limits.open_files, needed });
        }
        check_memory(limits)?;
        let log_files = ((limits.open_files - own) / 2).clamp(LOG_FILES_MIN, LOG_FILES_MAX);
        Ok(Self {
            connections: limits.open_files - own - log_files,
            log_files,
            request_bytes: REQUEST_BYTES.min(limits.memory / REQUEST_MEMORY_SHARE),
            cleaner_bytes: limits.memory / CLEANER_MEMORY_SHARE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(open_files: u64, memory: u64) -> Result<Shares, LimitError> {
        Shares::of(&Limits { open_files, descriptors_in_use: 20, memory }, 2, 1)
    }

    #[test]
    fn every_limit_leaves_room_for_connections_and_logs_or_refuses_the_start() {
        let needed = 20 + 16 + 4 + 1 + 16;
        for limit in 0..needed {
            assert_eq!(shares(limit, 1 << 30), Err(LimitError::OpenFiles { limit, needed }));
        }
        for limit in (needed..5000).chain([1 << 20, u64::MAX]) {
            let shares = shares(limit, 1 << 30).unwrap();
            assert!(shares.connections >= 8 && shares.log_files >= 8, "{limit}: {shares:?}");
            assert!(shares.connections + shares.log_files + 41 <= limit, "{limit}: {shares:?}");
        }
        assert_eq!(shares(64, 1 << 30).unwrap().connections, 12);
    }

    #[test]
    fn requests_and_compaction_take_a_share_of_little_memory() {
        let usual = shares(1024, 64 << 30).unwrap();
        assert_eq!(usual.request_bytes, 512 << 20);
        let small = shares(1024, 256 << 20).unwrap();
        assert_eq!((small.request_bytes, small.cleaner_bytes), (64 << 20, 32 << 20));
        assert_eq!(shares(1024, 31 << 20), Err(LimitError::Memory { limit: 31 << 20 }));
    }
}
