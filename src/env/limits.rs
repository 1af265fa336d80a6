//! What the process may use.

/// Limits of the process, as values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors that may be open (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Descriptors that are open before any listener, log or connection is.
    pub descriptors_in_use: u64,
    /// Bytes of memory for data: the least of what `RLIMIT_AS` leaves, the control group's limit and
    /// what is installed.
    pub memory: u64,
}

impl Default for Limits {
    /// Those of a usual server, for simulation and tests.
    fn default() -> Self {
        Self { open_files: 1 << 16, descriptors_in_use: 32, memory: 1 << 40 }
    }
}
