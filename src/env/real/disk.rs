//! Files of the operating system.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, RawDir, Stat, fcntl_lock, fdatasync, fsync,
    openat, statat, statvfs, syncfs,
};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, pwritev, retry_on_intr};

use super::optional::{OptionalCall, is_unknown_here};
use crate::env::disk::{DirEntry, Directory, Disk, File, FileInfo, Lock, OpenMode};

/// The kernel takes no more parts in one call.
const PARTS_MAX: usize = 1024;

/// How many bytes of a directory, or of a small file in one, are read at a time. A name takes 280
/// at most.
const DIR_READ_LEN: usize = 8192;
const SMALL_READ_LEN: usize = 512;

static SYNC_DIRECTORY: OptionalCall = OptionalCall::new(
    "fsync of a directory",
    "a power loss may take the names of new files away; a process that is killed loses nothing",
);
static SYNC_FILESYSTEM: OptionalCall =
    OptionalCall::new("syncfs", "files are synced one by one, which takes longer");
static SYNC_DATA: OptionalCall = OptionalCall::new("fdatasync", "fsync is used");
static READ_CACHED: OptionalCall = OptionalCall::new(
    "preadv2 with RWF_NOWAIT",
    "records that are not in the page cache are read on network threads, which waits for the disk",
);

#[derive(Default)]
pub(super) struct OsDisk {
    /// The files whose locks this process holds. The kernel's locks belong to the process: it
    /// would give us one twice, and drop both when any handle of the file is closed.
    held: Arc<Mutex<BTreeSet<FileId>>>,
}

/// Device and inode: one file under all its names.
type FileId = (u64, u64);

struct OsFile(fs::File);

struct OsDirectory(OwnedFd);

struct OsLock {
    id: FileId,
    held: Arc<Mutex<BTreeSet<FileId>>>,
    /// Its closing gives the lock back.
    file: Option<fs::File>,
}

impl Lock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        // Under the mutex: closing also drops a lock that another thread takes meanwhile.
        let mut held = self.held.lock();
        self.file = None;
        held.remove(&self.id);
    }
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write => options.write(true),
            OpenMode::CreateOrOpen => options.write(true).create(true).truncate(false),
            OpenMode::CreateNew => options.write(true).create_new(true),
            OpenMode::CreateEmpty => options.write(true).create(true).truncate(true),
        };
        Ok(Arc::new(OsFile(options.open(path)?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        OsDirectory::open(dir)?.list()
    }

    fn open_dir(&self, dir: &Path) -> io::Result<(Vec<DirEntry>, Box<dyn Directory + '_>)> {
        let dir = OsDirectory::open(dir)?;
        Ok((dir.list()?, Box::new(dir)))
    }

    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(FileInfo {
                len: found.len(),
                is_dir: found.is_dir(),
                modified_ms: found.mtime() * 1000 + found.mtime_nsec() / 1_000_000,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match fsync(fs::File::open(dir)?) {
            // Shared and network file systems have no such call, and keep names as they can.
            Err(error) if SYNC_DIRECTORY.is_refused(error) => Ok(()),
            synced => Ok(synced?),
        }
    }

    fn sync_filesystem(&self, path: &Path) -> io::Result<()> {
        if SYNC_FILESYSTEM.is_there() {
            match syncfs(fs::File::open(path)?) {
                Err(error) if SYNC_FILESYSTEM.is_refused(error) => {}
                synced => return Ok(synced?),
            }
        }
        sync_tree(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut held = self.held.lock();
        // Asked by name: to open the file and close it again would drop the lock that is held.
        match fs::metadata(path) {
            Ok(found) if held.contains(&(found.dev(), found.ino())) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(None),
            Err(error) => {
                let why = "record locks (fcntl F_SETLK) are refused; a network file system needs its \
                           lock daemon";
                return Err(match error {
                    Errno::NOLCK => {
                        io::Error::new(io::ErrorKind::Unsupported, format!("{why}: {error}"))
                    }
                    error => explained(error, why),
                });
            }
        }
        let found = file.metadata()?;
        let id = (found.dev(), found.ino());
        held.insert(id);
        Ok(Some(Box::new(OsLock { id, held: Arc::clone(&self.held), file: Some(file) })))
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let found = statvfs(path)?;
        Ok((found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize))
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        std::path::absolute(path)
    }
}

/// An error of a call that cannot be done without: `why` where the file system or a sandbox lacks it.
fn explained(error: Errno, why: &str) -> io::Error {
    if is_unknown_here(error) {
        return io::Error::new(io::ErrorKind::Unsupported, format!("{why}: {error}"));
    }
    error.into()
}

/// Syncs everything at and below `path`, call by call. What goes meanwhile needs no sync.
fn sync_tree(path: &Path) -> io::Result<()> {
    let present = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            present(sync_tree(&entry.path()))?;
        } else if kind.is_file() {
            present(fs::File::open(entry.path()).and_then(|file| Ok(fsync(file)?)))?;
        }
    }
    OsDisk::default().sync_dir(path)
}

impl OsDirectory {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || openat(rustix::fs::CWD, path, flags, Mode::empty());
        Ok(Self(retry_on_intr(open)?))
    }

    /// All names; called once.
    fn list(&self) -> io::Result<Vec<DirEntry>> {
        let mut buffer = [MaybeUninit::uninit(); DIR_READ_LEN];
        let mut names = RawDir::new(&self.0, &mut buffer);
        let mut entries = Vec::with_capacity(8); // As many as a partition has, mostly.
        while let Some(entry) = names.next() {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let is_dir = match entry.file_type() {
                FileType::Symlink | FileType::Unknown => {
                    self.stat(name).ok().flatten().is_some_and(|found| is_dir(&found))
                }
                kind => kind.is_dir(),
            };
            entries.push(DirEntry { name: name.to_owned(), is_dir });
        }
        entries.sort_unstable(); // No two are alike.
        Ok(entries)
    }

    fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        match statat(&self.0, name, AtFlags::empty()) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_dir(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode).is_dir()
}

impl Directory for OsDirectory {
    fn info(&self, name: &str) -> io::Result<Option<FileInfo>> {
        Ok(self.stat(name)?.map(|found| FileInfo {
            len: found.st_size as u64,
            is_dir: is_dir(&found),
            modified_ms: found.st_mtime * 1000 + found.st_mtime_nsec as i64 / 1_000_000,
        }))
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = match retry_on_intr(|| openat(&self.0, name, flags, Mode::empty())) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        let mut part = [0; SMALL_READ_LEN];
        loop {
            let got = retry_on_intr(|| pread(&file, &mut part, bytes.len() as u64))?;
            bytes.extend_from_slice(&part[..got]);
            // A part lies within a page, which is read whole or not at all: less is the end.
            if got < part.len() {
                return Ok(Some(bytes));
            }
        }
    }
}

impl File for OsFile {
    fn write_at(&self, parts: &[IoSlice<'_>], mut position: u64) -> io::Result<()> {
        if let [only] = parts {
            return self.0.write_all_at(only, position);
        }
        let mut parts = parts.to_vec();
        let mut rest = &mut parts[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let count = rest.len().min(PARTS_MAX);
            match pwritev(&self.0, &rest[..count], position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if SYNC_DATA.is_there() {
            match fdatasync(&self.0) {
                Err(error) if SYNC_DATA.is_refused(error) => {}
                synced => return Ok(synced?),
            }
        }
        self.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        fsync(&self.0).map_err(|error| {
            explained(error, "fsync is refused, so that nothing written here can be made durable")
        })
    }

    fn is_cached(&self, position: u64, len: usize) -> bool {
        // Both ends: what lies between was most likely read or written with them. On a file system
        // that cannot tell, reading is not worse than asking.
        let probe = |at: u64| {
            let mut byte = [0];
            let parts = &mut [IoSliceMut::new(&mut byte)];
            match preadv2(&self.0, parts, at, ReadWriteFlags::NOWAIT) {
                Ok(_) => true,
                Err(Errno::AGAIN) => false,
                Err(error) => {
                    READ_CACHED.is_refused(error);
                    true
                }
            }
        };
        len == 0 || !READ_CACHED.is_there() || (probe(position) && probe(position + len as u64 - 1))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("blumfeld-disk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn parts_are_written_one_after_the_other_at_a_position() {
        let dir = scratch("parts");
        let disk = OsDisk::default();
        let file = disk.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")], 3).unwrap();
        let mut bytes = [9; 10];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 7);
        assert_eq!(&bytes[..7], b"\0\0\0abcd");
        assert!(file.is_cached(0, 7));
        let _ = fs::remove_dir_all(dir);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = scratch("replace");
        let disk: Box<dyn Disk> = Box::new(OsDisk::default());
        disk.replace_file(&dir.join("f"), b"one").unwrap();
        disk.replace_file(&dir.join("f"), b"two").unwrap();
        assert_eq!(disk.read_file(&dir.join("f")).unwrap().unwrap(), b"two");
        assert_eq!(disk.read_file(&dir.join("g")).unwrap(), None);
        assert_eq!(disk.list(&dir).unwrap().len(), 1);
        let _ = fs::remove_dir_all(dir);
    }

    #[test]
    fn an_open_directory_tells_of_its_names_what_the_disk_does() {
        let dir = scratch("directory");
        let disk = OsDisk::default();
        let long = [b'x'; SMALL_READ_LEN + 1];
        for (name, bytes) in [("b", &long[..]), ("a", b"")] {
            let file = disk.open(&dir.join(name), OpenMode::CreateNew).unwrap();
            file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        }
        disk.create_dir_all(&dir.join("d")).unwrap();
        for (to, name) in [("d", "to-dir"), ("b", "to-file"), ("nowhere", "to-nothing")] {
            std::os::unix::fs::symlink(dir.join(to), dir.join(name)).unwrap();
        }
        let (entries, open) = disk.open_dir(&dir).unwrap();
        let found: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.is_dir)).collect();
        let (names, links) = (
            [("a", false), ("b", false), ("d", true)],
            [("to-dir", true), ("to-file", false), ("to-nothing", false)],
        );
        assert_eq!(found, [names, links].concat());
        for (name, _) in found {
            assert_eq!(open.info(name).unwrap(), disk.info(&dir.join(name)).unwrap(), "{name}");
        }
        assert_eq!(open.read_file("b").unwrap().unwrap(), long);
        assert_eq!(open.read_file("a").unwrap().unwrap(), b"");
        assert_eq!(open.read_file("c").unwrap(), None);
        assert_eq!(
            disk.open_dir(&dir.join("b")).err().unwrap().kind(),
            io::ErrorKind::NotADirectory
        );
        assert_eq!(disk.list(&dir.join("c")).err().unwrap().kind(), io::ErrorKind::NotFound);
        let _ = fs::remove_dir_all(dir);
    }

    #[test]
    fn a_directory_of_many_names_is_listed_in_order() {
        let dir = scratch("many");
        for number in 0..1000 {
            let name = dir.join(format!("a-name-that-takes-its-room-{number:04}"));
            OsDisk::default().open(&name, OpenMode::CreateNew).unwrap();
        }
        let names = OsDisk::default().list(&dir).unwrap();
        assert_eq!(names.len(), 1000);
        assert!(names.is_sorted());
        let _ = fs::remove_dir_all(dir);
    }

    #[test]
    fn without_syncfs_a_tree_is_synced_file_by_file() {
        let dir = scratch("sync-tree");
        let disk = OsDisk::default();
        disk.create_dir_all(&dir.join("a/b")).unwrap();
        disk.open(&dir.join("a/b/f"), OpenMode::CreateNew).unwrap();
        std::os::unix::fs::symlink(dir.join("nowhere"), dir.join("a/link")).unwrap();
        sync_tree(&dir).unwrap();
        disk.sync_filesystem(&dir).unwrap();
        assert_eq!(sync_tree(&dir.join("c")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let _ = fs::remove_dir_all(dir);
    }

    #[test]
    fn a_lock_is_given_once_until_it_is_dropped() {
        let dir = scratch("lock");
        let disk = OsDisk::default();
        let lock = disk.try_lock(&dir.join(".lock")).unwrap();
        assert!(lock.is_some());
        assert!(disk.try_lock(&dir.join(".lock")).unwrap().is_none());
        std::os::unix::fs::symlink(&dir, dir.join("alias")).unwrap();
        assert!(disk.try_lock(&dir.join("alias/.lock")).unwrap().is_none());
        drop(lock);
        assert!(disk.try_lock(&dir.join(".lock")).unwrap().is_some());
        let _ = fs::remove_dir_all(dir);
    }
}
