//! Names of files, and files that are opened when they are needed.
//!
//! A broker of 10,000 partitions has 50,000 files; it keeps the last few thousand open that it
//! used. A reader's own reference keeps a file open, and readable after it was deleted.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use crate::env::{Disk, File, OpenMode};
use crate::types::Offset;

/// The name of the file of leader epochs.
pub const EPOCHS_FILE: &str = "leader-epoch-checkpoint";

/// The suffix of record files.
pub const LOG: &str = ".log";
/// The suffix of offset indexes.
pub const INDEX: &str = ".index";
/// The suffix of time indexes.
pub const TIME_INDEX: &str = ".timeindex";
/// The suffix of indexes of aborted transactions.
pub const TXN_INDEX: &str = ".txnindex";
/// The suffix of snapshots of producer state.
pub const SNAPSHOT: &str = ".snapshot";
/// Added to a file that is about to be removed.
pub const DELETED: &str = ".deleted";
/// Added by the cleaner to what it writes.
pub const CLEANED: &str = ".cleaned";
/// Added by the cleaner to what is whole and replaces older segments.
pub const SWAP: &str = ".swap";

/// The digits of an offset in the name of a file.
const OFFSET_DIGITS: usize = 20;

/// `00000000000000000042.log` and its like.
pub fn file_name(offset: Offset, suffix: &str) -> String {
    format!("{offset:0OFFSET_DIGITS$}{suffix}")
}

/// Where the file of that name is in `dir`.
pub fn file_path(dir: &Path, offset: Offset, suffix: &str) -> PathBuf {
    let mut path = PathBuf::with_capacity(dir.as_os_str().len() + 1 + OFFSET_DIGITS + suffix.len());
    path.push(dir);
    path.push(file_name(offset, suffix));
    path
}

/// The offset in a file name of 20 digits and a suffix.
pub fn offset_of(name: &str, suffix: &str) -> Option<Offset> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == OFFSET_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// The files of all logs that are open for reading and writing. Bounded.
pub struct OpenFiles {
    capacity: usize,
    open: Mutex<VecDeque<Arc<OpenFile>>>,
}

struct OpenFile {
    file: Arc<dyn File>,
    /// Set on each use, cleared when its turn to be closed passes by once.
    used: AtomicBool,
}

impl OpenFiles {
    /// Keeps about `capacity` files open.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity: capacity.max(1), open: Mutex::new(VecDeque::new()) })
    }

    fn keep(&self, file: Arc<OpenFile>) {
        // What is let go is closed outside the lock.
        let mut gone = None;
        let mut open = self.open.lock();
        while open.len() >= self.capacity {
            match open.pop_front() {
                Some(oldest) if oldest.used.swap(false, Ordering::Relaxed) => {
                    open.push_back(oldest);
                }
                oldest => {
                    gone = oldest;
                    break;
                }
            }
        }
        open.push_back(file);
        drop(open);
        drop(gone);
    }

    /// Closes all files that nobody uses at this moment.
    fn close_all(&self) {
        let all = std::mem::take(&mut *self.open.lock());
        drop(all);
    }
}

/// A file that is opened when it is needed, and may be closed between uses.
pub struct LazyFile {
    disk: Arc<dyn Disk>,
    files: Arc<OpenFiles>,
    state: Mutex<(PathBuf, Weak<OpenFile>)>,
    /// What keeps it open after it was removed.
    removed: OnceLock<Arc<dyn File>>,
}

impl LazyFile {
    /// The file at `path`, which need not exist yet.
    pub fn new(disk: Arc<dyn Disk>, files: Arc<OpenFiles>, path: PathBuf) -> Self {
        Self { disk, files, state: Mutex::new((path, Weak::new())), removed: OnceLock::new() }
    }

    /// The file, opened if it is not; created if `create` and it is missing.
    pub fn open(&self, create: bool) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.removed.get() {
            return Ok(Arc::clone(file));
        }
        let mut state = self.state.lock();
        if let Some(open) = state.1.upgrade() {
            open.used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(&open.file));
        }
        let mode = if create { OpenMode::CreateOrOpen } else { OpenMode::Write };
        let file = match self.disk.open(&state.0, mode) {
            Err(error) if is_out_of_descriptors(&error) => {
                // Connections took what there was: files are let go, which can be opened again.
                self.files.close_all();
                self.disk.open(&state.0, mode)?
            }
            opened => opened?,
        };
        let open = Arc::new(OpenFile { file: Arc::clone(&file), used: AtomicBool::new(false) });
        state.1 = Arc::downgrade(&open);
        drop(state);
        self.files.keep(open);
        Ok(file)
    }

    /// The file if it exists.
    pub fn open_existing(&self) -> io::Result<Option<Arc<dyn File>>> {
        match self.open(false) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file if it exists, for a look that is not expected to be followed by more: it is not kept
    /// open.
    pub fn peek(&self) -> io::Result<Option<Arc<dyn File>>> {
        let state = self.state.lock();
        if let Some(open) = state.1.upgrade() {
            return Ok(Some(Arc::clone(&open.file)));
        }
        match self.disk.open(&state.0, OpenMode::Read) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is in it, if it exists.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        self.disk.read_file(&self.path())
    }

    /// Replaces it in one step, durably; see [`Disk::replace_file`].
    pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        state.1 = Weak::new(); // Of the file that was.
        self.disk.replace_file(&state.0, bytes)
    }

    /// Removes it, if it exists. Where others `still_read` it, it stays open to them.
    pub fn remove(&self, still_read: bool) -> io::Result<()> {
        if still_read && let Some(file) = self.open_existing()? {
            // Whoever removed it before has kept the same file open.
            let _ = self.removed.set(file);
        }
        match self.disk.remove_file(&self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.state.lock().0.clone()
    }

    /// Renames it, if it exists. Handles stay good.
    pub fn rename(&self, to: PathBuf) -> io::Result<()> {
        let mut state = self.state.lock();
        match self.disk.rename(&state.0, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        state.0 = to;
        Ok(())
    }

    /// The directory was renamed: the file is in `dir` now.
    pub fn moved_to(&self, dir: &Path) {
        let mut state = self.state.lock();
        if let Some(name) = state.0.file_name().map(ToOwned::to_owned) {
            state.0 = dir.join(name);
        }
    }
}

/// EMFILE and ENFILE: this process, or the machine, has no descriptor left.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_has_twenty_digits() {
        assert_eq!(file_name(42, LOG), "00000000000000000042.log");
        assert_eq!(offset_of("00000000000000000042.log", LOG), Some(42));
        for name in ["42.log", "00000000000000000042.index", "0000000000000000004x.log"] {
            assert_eq!(offset_of(name, LOG), None, "{name}");
        }
    }
}
