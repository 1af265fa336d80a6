//! Files and directories, and what is promised of each call after a crash.
//!
//! Two crashes are told apart. After *kill -9* everything that a call returned `Ok` for is there.
//! After *power loss* only what was synced is sure: the bytes of a file after [`File::sync_data`]
//! or [`File::sync_all`], and the *name* of a created, renamed or removed file after
//! [`Disk::sync_dir`] of its directory. Anything unsynced may be there in whole, in part, torn in
//! blocks, or not at all, in any order.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing; the file must exist.
    Write,
    /// Reading and writing; created empty if it is missing.
    CreateOrOpen,
    /// Reading and writing; it must not exist.
    CreateNew,
    /// Reading and writing; created, or emptied if it exists.
    CreateEmpty,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The last component of its path.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Length in bytes (of a file).
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Last modification, milliseconds since 1970.
    pub modified_ms: i64,
}

/// A held lock; released when dropped, or when the process dies.
pub trait Lock: Send + Sync {}

/// A file system. Paths are absolute or relative to the working directory. Every call blocks.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Creates a directory and its missing parents. Not durable before the parents are synced.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// The names in a directory, sorted, and the directory itself, for a closer look at some of them.
    fn open_dir(&self, dir: &Path) -> io::Result<(Vec<DirEntry>, Box<dyn Directory + '_>)>;
    /// What is at `path`; `None` if nothing is.
    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>>;
    /// Renames a file or a directory, replacing a file at `to` atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Open handles go on reading it.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes all data and names at and below `path` durable: in one call for the whole file system
    /// that holds it, where there is such a call.
    fn sync_filesystem(&self, path: &Path) -> io::Result<()>;
    /// Takes the POSIX record lock on `path` (created if missing) as Java's `FileLock` does, or
    /// `None` when another process (or, in simulation, another owner) holds it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
    /// Total and usable bytes of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<(u64, u64)>;
    /// The absolute form of `path`, without asking whether it exists.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf>;
}

/// An open directory. What is asked of several names in it is asked without walking the path to it
/// each time.
pub trait Directory {
    /// What is at `name`; `None` if nothing is.
    fn info(&self, name: &str) -> io::Result<Option<FileInfo>>;
    /// The whole of a small file; `None` if it is missing.
    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
}

/// A [`Directory`] that asks a disk by paths.
pub(super) struct DirectoryByPath<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) path: PathBuf,
}

impl Directory for DirectoryByPath<'_> {
    fn info(&self, name: &str) -> io::Result<Option<FileInfo>> {
        self.disk.info(&self.path.join(name))
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.disk.read_file(&self.path.join(name))
    }
}

/// An open file. All calls are positioned, so that a file has no cursor to share.
pub trait File: Send + Sync {
    /// Writes all of `parts`, one after the other, at `position`; extends the file when needed.
    /// On an error any part of it may have been written.
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeroes) to `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the bytes, and the length needed to read them, durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes bytes and metadata durable (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
    /// Whether reading this range now would not wait for the disk. A hint.
    fn is_cached(&self, position: u64, len: usize) -> bool;
    /// The descriptor, for sendfile; `None` in simulation.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

impl dyn Disk + '_ {
    /// The whole of a small file; `None` if it is missing.
    pub fn read_file(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            let got = file.read_at(&mut bytes[filled..], filled as u64)?;
            if got == 0 {
                break;
            }
            filled += got;
        }
        bytes.truncate(filled);
        Ok(Some(bytes))
    }

    /// Replaces a small file so that after a power loss it holds the old bytes or the new ones:
    /// writes `path.tmp`, syncs it, renames it over `path`, syncs the directory.
    pub fn replace_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = self.open(&temporary, OpenMode::CreateEmpty)?;
        file.write_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_all()?;
        self.rename(&temporary, path)?;
        match path.parent() {
            Some(dir) => self.sync_dir(dir),
            None => Ok(()),
        }
    }
}
