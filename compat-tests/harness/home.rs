//! The folder and the ports of one node: they outlive the brokers that run in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::{env, fs, net, process, thread};

/// A temporary folder, with the two ports that its node listens on. Gone when dropped, unless the test panics: then
/// the folder stays and its path is printed.
pub(crate) struct Home {
    path: PathBuf,
    /// The clients' port.
    pub(crate) port: u16,
    /// The controller's port.
    pub(crate) controller_port: u16,
}

impl Home {
    /// A new folder, named after `name` for whoever has to look into it.
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("compat-{}-{count}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self { path, port: free_port(), controller_port: free_port() }
    }

    /// The folder itself: properties, the processes' output.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The node's log directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// A folder that holds a copy of this one's data, as it is at this moment. The controller's port is the same (the
    /// voter's address stands in the data), the clients' another: those that know this node do not find its copy.
    pub(crate) fn copy(&self, name: &str) -> Self {
        let mut copy = Self::new(name);
        copy.controller_port = self.controller_port;
        copy_tree(&self.data(), &copy.data());
        copy
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if thread::panicking() || env::var_os("COMPAT_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
        } else {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A port that nobody listens on, below the range from which the kernel serves outgoing connections: one picked there
/// could be taken between now and the broker's start. Processes start their search at different places.
fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = (process::id() % 1_000 * 12) as u16;
    loop {
        let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if net::TcpListener::bind((net::Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
