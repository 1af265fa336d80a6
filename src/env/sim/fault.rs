//! Disk calls that fail on purpose.

use std::io;

use rustix::io::Errno;

/// The kinds of calls a simulated disk serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Opening, and creating where the mode says so.
    Open,
    /// `create_dir_all`.
    CreateDir,
    /// `list`.
    List,
    /// `info`.
    Info,
    /// `rename`; a fault's path is matched with both names.
    Rename,
    /// `remove_file`.
    RemoveFile,
    /// `remove_dir_all`.
    RemoveDir,
    /// `sync_dir`.
    SyncDir,
    /// `sync_filesystem`.
    SyncFilesystem,
    /// `try_lock`.
    Lock,
    /// `space`.
    Space,
    /// `write_at`.
    Write,
    /// `read_at`.
    Read,
    /// `len`.
    Len,
    /// `set_len`.
    SetLen,
    /// `sync_data`.
    SyncData,
    /// `sync_all`.
    SyncAll,
}

impl Call {
    /// Whether the call changes what is on the disk, or what of it is sure: the calls that
    /// [`SimDisk::changes`](super::SimDisk::changes) counts.
    pub fn is_change(self) -> bool {
        match self {
            Call::Open
            | Call::CreateDir
            | Call::Rename
            | Call::RemoveFile
            | Call::RemoveDir
            | Call::SyncDir
            | Call::SyncFilesystem
            | Call::Write
            | Call::SetLen
            | Call::SyncData
            | Call::SyncAll => true,
            Call::List | Call::Info | Call::Lock | Call::Space | Call::Read | Call::Len => false,
        }
    }

    /// Whether it makes something durable.
    pub fn is_sync(self) -> bool {
        matches!(self, Call::SyncDir | Call::SyncFilesystem | Call::SyncData | Call::SyncAll)
    }
}

/// Which calls fail, and how. Without conditions: the next call, whatever it is.
///
/// ```
/// use blumfeld::env::sim::{Call, Fault, SimDisk};
///
/// let disk = SimDisk::new(1);
/// disk.inject(Fault::eio().on(Call::SyncData).path("orders-0").after(2));
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    error: i32,
    call: Option<Call>,
    path: Option<String>,
    /// Matching calls that still pass.
    skip: u64,
    /// Matching calls that fail afterwards.
    times: u64,
}

impl Fault {
    /// Fails with the error number `errno`.
    pub fn errno(errno: i32) -> Self {
        Self { error: errno, call: None, path: None, skip: 0, times: 1 }
    }

    /// Fails as a bad medium does.
    pub fn eio() -> Self {
        Self::errno(Errno::IO.raw_os_error())
    }

    /// Fails as a full disk does.
    pub fn enospc() -> Self {
        Self::errno(Errno::NOSPC.raw_os_error())
    }

    /// Only calls of this kind.
    #[must_use]
    pub fn on(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }

    /// Only calls on a path that contains `part`. A file keeps the path it was opened under.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Lets the first `skip` matching calls pass.
    #[must_use]
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Fails this many matching calls instead of one.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Fails every matching call from now on.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// The error for this call, if this fault strikes now.
    pub(super) fn strike(&mut self, call: Call, path: &str) -> Option<io::Error> {
        if self.call.is_some_and(|only| only != call)
            || self.path.as_ref().is_some_and(|part| !path.contains(part.as_str()))
        {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(io::Error::from_raw_os_error(self.error))
    }

    /// Whether it has struck as often as it may.
    pub(super) fn is_spent(&self) -> bool {
        self.times == 0
    }
}
