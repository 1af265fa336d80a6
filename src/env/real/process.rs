//! The process itself: its limits and what it uses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::env::{Limits, ProcessUsage};

/// The limit of open files where the system does not tell it: Linux's default.
const OPEN_FILES_UNKNOWN: u64 = 1024;
/// Descriptors in use where the system does not tell: three streams, and five for each worker.
const IN_USE_UNKNOWN: usize = 3;
const IN_USE_PER_WORKER: usize = 5;
/// Bytes of a limited address space that hold no data: the program, the stacks of its threads, and
/// what the allocator reserves.
const ADDRESS_SPACE_OVERHEAD: u64 = 128 << 20;
/// Where control groups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

impl Limits {
    /// Raises the limit of open files to its hard limit; the limits that hold afterwards.
    pub fn raise() -> Self {
        let files = limit(Resource::Nofile, "Max open files");
        let raised = Rlimit { current: files.maximum, maximum: files.maximum };
        let is_raised = setrlimit(Resource::Nofile, raised).is_ok();
        let open_files = if is_raised { files.maximum } else { files.current };
        let address_space = limit(Resource::As, "Max address space").current;
        let address_space = address_space.map(|limit| limit.saturating_sub(ADDRESS_SPACE_OVERHEAD));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let group = cgroup_files(&read(Path::new("/proc/self/cgroup")));
        let of_groups = group.iter().filter_map(|path| read(path).trim().parse().ok());
        let installed = installed_memory(&read(Path::new("/proc/meminfo")));
        let memory = of_groups.chain(address_space).chain(installed).min();
        Self {
            open_files: open_files.unwrap_or(u64::MAX),
            memory: memory.unwrap_or(u64::MAX),
            ..Self::default()
        }
    }

    /// The same, with the descriptors that are open now, with `workers` worker threads.
    #[must_use]
    pub fn with_descriptors_in_use(mut self, workers: usize) -> Self {
        let counted = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
        let assumed = IN_USE_UNKNOWN + IN_USE_PER_WORKER * workers;
        self.descriptors_in_use = counted.unwrap_or(assumed) as u64;
        self
    }
}

/// What this process uses. A value that the system does not report is 0.
pub(super) fn usage() -> ProcessUsage {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Duration::try_from(cpu).unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident_kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
    let open_files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    ProcessUsage {
        cpu,
        resident_bytes: resident_kib.unwrap_or(0_u64) * 1024,
        // Reading the directory opens one.
        open_files: (open_files as u64).saturating_sub(1),
    }
}

/// A limit. `name` is how `/proc/self/limits` calls it, which is read where a sandbox refuses the
/// system call.
fn limit(resource: Resource, name: &str) -> Rlimit {
    // No process has this id. (`getrlimit` cannot report a refusal.)
    let nobody = Pid::from_raw(i32::MAX);
    let nothing = Rlimit { current: None, maximum: None };
    if prlimit(nobody, resource, nothing) == Err(Errno::SRCH) {
        return getrlimit(resource);
    }
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    limit_in(&text, name).unwrap_or_else(|| {
        let current = (resource == Resource::Nofile).then_some(OPEN_FILES_UNKNOWN);
        tracing::warn!(limit = name, assumed = ?current, "a limit of the process cannot be read");
        Rlimit { current, maximum: current }
    })
}

/// The limit of this name in the text of `/proc/self/limits`.
fn limit_in(text: &str, name: &str) -> Option<Rlimit> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut values = line.split_whitespace().map(|value| match value {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    });
    Some(Rlimit { current: values.next()??, maximum: values.next()?? })
}

/// The files with the memory limits of a process's control group and those above it, of both versions
/// of the hierarchy; `text` is that of `/proc/self/cgroup`. In a container the group may be mounted
/// at the root.
fn cgroup_files(text: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (mount, file) = match controllers {
            "" => (PathBuf::from(CGROUPS), "memory.max"),
            list if list.split(',').any(|controller| controller == "memory") => {
                (Path::new(CGROUPS).join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(path.trim_start_matches('/'));
        files.extend(group.ancestors().map(|group| mount.join(group).join(file)));
    }
    files
}

/// Bytes of memory of the machine; `text` is that of `/proc/meminfo`.
fn installed_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Lets the kernel give this process its memory in pages of 4 KiB instead of 2 MiB. The allocator
/// asks for large ones, and keeps what each thread uses apart: with 10,000 partitions, 80 MB were
/// resident of which 55 were in use. A kernel that does not know the call has no large pages to give.
pub fn use_small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_this_process_is_plausible() {
        let _open = std::fs::File::open("/proc/self/statm").unwrap();
        let usage = usage();
        assert!(usage.cpu > Duration::ZERO && usage.cpu < Duration::from_hours(1), "{usage:?}");
        assert!((1 << 20..1 << 40).contains(&usage.resident_bytes), "{usage:?}");
        assert!((1..100_000).contains(&usage.open_files), "{usage:?}");
    }

    #[test]
    fn limits_are_read_from_proc_where_the_call_is_refused() {
        let text = "\
Limit                     Soft Limit           Hard Limit           Units     
Max address space         unlimited            unlimited            bytes     
Max open files            1024                 524288               files     
";
        let files = limit_in(text, "Max open files").unwrap();
        assert_eq!((files.current, files.maximum), (Some(1024), Some(524_288)));
        let memory = limit_in(text, "Max address space").unwrap();
        assert_eq!((memory.current, memory.maximum), (None, None));
        assert!(limit_in(text, "Max file locks").is_none());
        assert!(limit_in("", "Max open files").is_none());
    }

    #[test]
    fn the_limits_of_all_control_groups_above_the_process_count() {
        let files = |text: &str| -> Vec<String> {
            cgroup_files(text).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            files("0::/a/b\n"),
            [
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            files("5:cpu,memory:/d\n4:cpuset:/d\nnonsense\n"),
            [
                "/sys/fs/cgroup/memory/d/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert_eq!(installed_memory("MemTotal:   16 kB\nMemFree: 1 kB\n"), Some(16 * 1024));
    }

    #[test]
    fn the_limits_of_this_process_are_found() {
        let limits = Limits::raise().with_descriptors_in_use(1);
        assert!(limits.open_files >= 16);
        assert!((3..limits.open_files).contains(&limits.descriptors_in_use));
        assert!(limits.memory > 1 << 20);
    }
}
