//! A disk in memory that knows what of it would survive a power loss.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::clock::{EPOCH, Wall};
use super::fault::{Call, Fault};
use super::inode::Survival;
use super::rng::Rng;
use super::trace::Trace;
use super::tree::{Node, NodeId, Tree, components};
use crate::env::disk::{
    DirEntry, Directory, DirectoryByPath, Disk, File, FileInfo, Lock, OpenMode,
};
use crate::types::{Mono, Timestamp};

/// How a machine, or the process on it, dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: the effects of every call stay. What was not synced is still at risk.
    Kill,
    /// The power goes: by the seed, each thing unsynced survives in whole, in part, or not.
    PowerLoss,
    /// The power goes, and nothing unsynced survives.
    PowerLossKeepingNothing,
}

/// A simulated disk, and a running process's way to it: after a [`crash`](Self::crash) every call
/// through this value and its files fails, and the disk lives on in the value that `crash` gives.
///
/// One mutex holds all of it, and nothing of it depends on threads, addresses or real time: the
/// same calls under the same seed have the same effects.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<SharedDisk>,
}

struct SharedDisk {
    label: String,
    trace: Arc<Trace>,
    wall: Wall,
    /// `None` after a crash.
    state: Mutex<Option<DiskState>>,
}

struct DiskState {
    tree: Tree,
    rng: Rng,
    faults: Vec<Fault>,
    calls: u64,
    changes: u64,
    /// The power goes once `changes` has reached this.
    power_until: Option<u64>,
    capacity: u64,
    /// One read in so many is told to be cold; 0 is none.
    cold_one_in: u64,
    removals: u64,
}

/// After so many removals the unreachable files are looked for.
const SWEEP_INTERVAL: u64 = 64;
/// A disk without a set capacity holds one terabyte.
const DEFAULT_CAPACITY: u64 = 1 << 40;

impl SimDisk {
    /// An empty disk that stands alone, outside any world. Its time stands still.
    pub fn new(seed: u64) -> Self {
        let wall: Wall = Arc::new(|| EPOCH);
        Self::create("disk", &Rng::new(seed), Trace::new(|| Mono(0)), wall)
    }

    pub(super) fn create(label: &str, rng: &Rng, trace: Arc<Trace>, wall: Wall) -> Self {
        let state = DiskState {
            tree: Tree::new(wall()),
            rng: rng.fork("disk"),
            faults: Vec::new(),
            calls: 0,
            changes: 0,
            power_until: None,
            capacity: DEFAULT_CAPACITY,
            cold_one_in: 0,
            removals: 0,
        };
        Self::hold(label.to_owned(), trace, wall, Some(state))
    }

    fn hold(label: String, trace: Arc<Trace>, wall: Wall, state: Option<DiskState>) -> Self {
        Self { shared: Arc::new(SharedDisk { label, trace, wall, state: Mutex::new(state) }) }
    }

    /// Ends the life of every handle and lock, decides what is left, and gives the disk as the
    /// next process finds it. Faults and a set power cut are gone.
    ///
    /// # Panics
    /// If this disk has crashed before: its content lives elsewhere.
    #[must_use]
    pub fn crash(&self, mode: Crash) -> SimDisk {
        let SharedDisk { label, trace, wall, state } = &*self.shared;
        let state = state.lock().take().expect("a disk crashes once");
        let unsynced = state.tree.unsynced();
        let mut rng = state.rng;
        let tree = match mode {
            Crash::Kill => state.tree.after_kill(),
            Crash::PowerLoss => state.tree.after_power_loss(Survival::Seeded, &mut rng),
            Crash::PowerLossKeepingNothing => {
                state.tree.after_power_loss(Survival::Nothing, &mut rng)
            }
        };
        trace.note(format_args!("{label} crash {mode:?}, {unsynced} names unsynced"));
        let state = DiskState { tree, rng, faults: Vec::new(), power_until: None, ..state };
        Self::hold(label.clone(), Arc::clone(trace), Arc::clone(wall), Some(state))
    }

    /// Makes calls fail. Faults stack; the oldest that matches strikes.
    pub fn inject(&self, fault: Fault) {
        self.with(|state| state.faults.push(fault));
    }

    /// How many injected faults have not struck as often as they may.
    pub fn faults_left(&self) -> usize {
        self.with(|state| state.faults.len())
    }

    /// Makes no call fail any more.
    pub fn clear_faults(&self) {
        self.with(|state| state.faults.clear());
    }

    /// How many calls were made, failed ones included.
    pub fn calls(&self) -> u64 {
        self.with(|state| state.calls)
    }

    /// How many calls were made that change or sync something ([`Call::is_change`]).
    pub fn changes(&self) -> u64 {
        self.with(|state| state.changes)
    }

    /// Cuts the power once `count` more such calls were made: the calls after them all fail, as
    /// no process would live to make them. [`crash`](Self::crash) then tells what is left.
    pub fn cut_power_after(&self, count: u64) {
        self.with(|state| state.power_until = Some(state.changes + count));
    }

    /// Whether a set power cut has come.
    pub fn is_without_power(&self) -> bool {
        self.with(|state| state.is_without_power())
    }

    /// How much fits on the disk, in bytes. Beyond it writes fail with `ENOSPC`.
    pub fn set_capacity(&self, bytes: u64) {
        self.with(|state| state.capacity = bytes);
    }

    /// Tells one read in `n` on average that it would wait for the disk
    /// ([`File::is_cached`]); 0, the default, tells none.
    pub fn set_cold_reads(&self, one_in: u64) {
        self.with(|state| state.cold_one_in = one_in);
    }

    /// How many changes of names, and how many changes of the file at `path`, are not synced.
    pub fn unsynced(&self, path: &Path) -> (usize, usize) {
        self.with(|state| {
            let file = state.tree.resolve(path).and_then(|id| Ok(state.tree.file(id)?.unsynced()));
            (state.tree.unsynced(), file.unwrap_or(0))
        })
    }

    /// Flips the bits `flip` of one byte of a file, in the cache and on the disk, as a bad medium
    /// does. The error of a missing file; beyond the end nothing happens.
    pub fn damage(&self, path: &Path, position: u64, flip: u8) -> io::Result<()> {
        self.with(|state| {
            let id = state.tree.resolve(path)?;
            state.tree.file_mut(id)?.damage(position, flip);
            Ok(())
        })
    }

    /// The fingerprint of everything this disk's world did so far.
    pub fn trace(&self) -> &Arc<Trace> {
        &self.shared.trace
    }

    /// For the one who arranges the test: works without counting as a call.
    fn with<T>(&self, act: impl FnOnce(&mut DiskState) -> T) -> T {
        act(self.shared.state.lock().as_mut().expect("this disk has crashed: use the one after"))
    }

    /// One call of the process: counted, traced, failed if a fault says so.
    fn call<T>(
        &self,
        call: Call,
        path: &str,
        act: impl FnOnce(&mut DiskState, Timestamp) -> io::Result<(T, Effect)>,
    ) -> io::Result<T> {
        self.call_even_if_struck(call, path, |state, now, fault| match fault {
            Some(error) => Err(error),
            None => act(state, now),
        })
    }

    /// Like `call`, for calls that leave something behind when a fault strikes: `act` is given
    /// the error it must fail with.
    fn call_even_if_struck<T>(
        &self,
        call: Call,
        path: &str,
        act: impl FnOnce(&mut DiskState, Timestamp, Option<io::Error>) -> io::Result<(T, Effect)>,
    ) -> io::Result<T> {
        let now = (self.shared.wall)();
        let mut guard = self.shared.state.lock();
        let state = guard.as_mut().ok_or_else(machine_is_gone)?;
        if state.is_without_power() {
            return Err(machine_is_gone());
        }
        state.calls += 1;
        state.changes += u64::from(call.is_change());
        let fault = state.strike(call, path);
        let result = act(state, now, fault);
        let SharedDisk { label, trace, .. } = &*self.shared;
        match result {
            Ok((value, effect)) => {
                trace.note(format_args!("{label} {call:?} {path}{effect}"));
                Ok(value)
            }
            Err(error) => {
                trace.note(format_args!("{label} {call:?} {path}: {}", error.kind()));
                Err(error)
            }
        }
    }

    fn open_handle(
        &self,
        id: NodeId,
        path: &str,
        writable: bool,
        state: &mut DiskState,
    ) -> SimFile {
        if let Ok(file) = state.tree.file_mut(id) {
            file.handles += 1;
        }
        SimFile { disk: self.clone(), id, path: path.to_owned(), writable }
    }
}

/// What a call did, for the trace.
enum Effect {
    None,
    Number(u64),
    Bytes { position: u64, len: u64, crc: u32 },
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::None => Ok(()),
            Effect::Number(number) => write!(f, " = {number}"),
            Effect::Bytes { position, len, crc } => write!(f, " {position}+{len} crc {crc:08x}"),
        }
    }
}

impl DiskState {
    fn is_without_power(&self) -> bool {
        self.power_until.is_some_and(|until| self.changes >= until)
    }

    fn strike(&mut self, call: Call, path: &str) -> Option<io::Error> {
        let error = self.faults.iter_mut().find_map(|fault| fault.strike(call, path));
        self.faults.retain(|fault| !fault.is_spent());
        error
    }

    /// The error of a file that would need `more` bytes than there are.
    fn check_space(&self, more: u64) -> io::Result<()> {
        if more > 0 && self.tree.allocated() + more > self.capacity {
            return Err(Errno::NOSPC.into());
        }
        Ok(())
    }

    fn removed(&mut self) {
        self.removals += 1;
        if self.removals.is_multiple_of(SWEEP_INTERVAL) {
            self.tree.sweep();
        }
    }
}

fn machine_is_gone() -> io::Error {
    io::Error::other("the simulated machine has crashed or has no power")
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let text = normal(path);
        self.call(Call::Open, &text, |state, now| {
            let found = state.tree.find(path)?;
            let id = match (found, mode) {
                (Some(_), OpenMode::CreateNew) => return Err(Errno::EXIST.into()),
                (Some(id), OpenMode::CreateEmpty) => {
                    state.tree.file_mut(id)?.set_len(0, now);
                    id
                }
                (Some(id), OpenMode::Read | OpenMode::Write | OpenMode::CreateOrOpen) => id,
                (None, OpenMode::Read | OpenMode::Write) => return Err(Errno::NOENT.into()),
                (None, OpenMode::CreateOrOpen | OpenMode::CreateNew | OpenMode::CreateEmpty) => {
                    let place = state.tree.place(path)?;
                    state.tree.create_file(place, now)
                }
            };
            state.tree.file(id)?;
            let file = self.open_handle(id, &text, mode != OpenMode::Read, state);
            Ok((Arc::new(file) as Arc<dyn File>, Effect::Number(id)))
        })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(Call::CreateDir, &normal(path), |state, now| {
            let mut at = PathBuf::from("/");
            for name in components(path) {
                at.push(name);
                if let Some(id) = state.tree.find(&at)? {
                    state.tree.dir(id).map_err(|_| Errno::EXIST)?;
                } else {
                    let place = state.tree.place(&at)?;
                    state.tree.create_dir(place, now);
                }
            }
            Ok(((), Effect::None))
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.call(Call::List, &normal(dir), |state, _| {
            let dir = state.tree.dir(state.tree.resolve(dir)?)?;
            let entries: Vec<_> = dir
                .names
                .iter()
                .map(|(name, id)| DirEntry {
                    name: name.clone(),
                    is_dir: matches!(state.tree.node(*id), Node::Dir(_)),
                })
                .collect();
            let count = entries.len() as u64;
            Ok((entries, Effect::Number(count)))
        })
    }

    fn open_dir(&self, dir: &Path) -> io::Result<(Vec<DirEntry>, Box<dyn Directory + '_>)> {
        let entries = self.list(dir)?;
        Ok((entries, Box::new(DirectoryByPath { disk: self, path: dir.to_owned() })))
    }

    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        self.call(Call::Info, &normal(path), |state, _| {
            let info = state.tree.find(path)?.map(|id| match state.tree.node(id) {
                Node::File(file) => FileInfo {
                    len: file.content().len(),
                    is_dir: false,
                    modified_ms: file.modified.0,
                },
                Node::Dir(dir) => FileInfo { len: 0, is_dir: true, modified_ms: dir.modified.0 },
            });
            Ok((info, info.map_or(Effect::None, |info| Effect::Number(info.len))))
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let both = format!("{} -> {}", normal(from), normal(to));
        self.call(Call::Rename, &both, |state, now| {
            let (from, to) = (state.tree.place(from)?, state.tree.place(to)?);
            state.tree.rename(from, to, now)?;
            Ok(((), Effect::None))
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Call::RemoveFile, &normal(path), |state, now| {
            let place = state.tree.place(path)?;
            let id = state.tree.at(&place).ok_or(Errno::NOENT)?;
            state.tree.file(id)?;
            state.tree.remove(place, now);
            state.removed();
            Ok(((), Effect::None))
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(Call::RemoveDir, &normal(path), |state, now| {
            let place = state.tree.place(path)?;
            let id = state.tree.at(&place).ok_or(Errno::NOENT)?;
            state.tree.dir(id)?;
            state.tree.remove(place, now);
            state.removed();
            Ok(((), Effect::None))
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, &normal(dir), |state, _| {
            let id = state.tree.resolve(dir)?;
            state.tree.dir(id)?;
            state.tree.sync_dir(id);
            Ok(((), Effect::None))
        })
    }

    fn sync_filesystem(&self, path: &Path) -> io::Result<()> {
        self.call(Call::SyncFilesystem, &normal(path), |state, _| {
            state.tree.resolve(path)?;
            state.tree.sync_all();
            Ok(((), Effect::None))
        })
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let text = normal(path);
        self.call(Call::Lock, &text, |state, now| {
            let id = if let Some(id) = state.tree.find(path)? {
                id
            } else {
                let place = state.tree.place(path)?;
                state.tree.create_file(place, now)
            };
            if std::mem::replace(&mut state.tree.file_mut(id)?.locked, true) {
                return Ok((None, Effect::Number(0)));
            }
            // The handle keeps the file for as long as the lock is held.
            let file = self.open_handle(id, &text, false, state);
            Ok((Some(Box::new(SimLock(file)) as Box<dyn Lock>), Effect::Number(1)))
        })
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        self.call(Call::Space, &normal(path), |state, _| {
            state.tree.resolve(path)?;
            let free = state.capacity.saturating_sub(state.tree.allocated());
            Ok(((state.capacity, free), Effect::Number(free)))
        })
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(PathBuf::from(normal(path)))
    }
}

/// The absolute form of a path, as traces and faults know it.
fn normal(path: &Path) -> String {
    format!("/{}", components(path).join("/"))
}

/// An open simulated file.
struct SimFile {
    disk: SimDisk,
    id: NodeId,
    /// The path it was opened under.
    path: String,
    writable: bool,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(Errno::BADF.into()) }
    }

    /// A sync that a fault strikes loses dirty pages, as it does on Linux.
    fn sync(&self, call: Call) -> io::Result<()> {
        self.disk.call_even_if_struck(call, &self.path, |state, _, fault| {
            let file = state.tree.file_mut(self.id)?;
            match fault {
                None => {
                    file.sync();
                    Ok(((), Effect::None))
                }
                Some(error) => {
                    file.fail_sync(&mut state.rng);
                    Err(error)
                }
            }
        })
    }
}

impl File for SimFile {
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let len = bytes.len() as u64;
        let crc = crc32c::crc32c(&bytes);
        self.disk.call_even_if_struck(Call::Write, &self.path, |state, now, fault| {
            self.check_writable()?;
            let content = state.tree.file(self.id)?.content();
            let error = match fault {
                Some(error) => Some(error),
                None => state.check_space(content.growth(position, len)).err(),
            };
            if error.is_some() {
                bytes.truncate(state.rng.below(len + 1) as usize);
                let content = state.tree.file(self.id)?.content();
                if state.check_space(content.growth(position, bytes.len() as u64)).is_err() {
                    bytes.clear();
                }
            }
            state.tree.file_mut(self.id)?.write(position, bytes, now);
            match error {
                Some(error) => Err(error),
                None => Ok(((), Effect::Bytes { position, len, crc })),
            }
        })
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.disk.call(Call::Read, &self.path, |state, _| {
            let got = state.tree.file(self.id)?.content().read(position, buffer);
            let crc = crc32c::crc32c(&buffer[..got]);
            Ok((got, Effect::Bytes { position, len: got as u64, crc }))
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.call(Call::Len, &self.path, |state, _| {
            let len = state.tree.file(self.id)?.content().len();
            Ok((len, Effect::Number(len)))
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.call(Call::SetLen, &self.path, |state, now| {
            self.check_writable()?;
            state.tree.file_mut(self.id)?.set_len(len, now);
            Ok(((), Effect::Number(len)))
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(Call::SyncData)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(Call::SyncAll)
    }

    fn is_cached(&self, _position: u64, _len: usize) -> bool {
        match self.disk.shared.state.lock().as_mut() {
            Some(state) if state.cold_one_in > 0 => {
                let cold = state.rng.one_in(state.cold_one_in);
                let SharedDisk { label, trace, .. } = &*self.disk.shared;
                trace.note(format_args!("{label} {}: cold {cold}", self.path));
                !cold
            }
            Some(_) | None => true,
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Some(state) = self.disk.shared.state.lock().as_mut()
            && let Ok(file) = state.tree.file_mut(self.id)
        {
            file.handles = file.handles.saturating_sub(1);
        }
    }
}

/// A held record lock.
struct SimLock(SimFile);

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Some(state) = self.0.disk.shared.state.lock().as_mut()
            && let Ok(file) = state.tree.file_mut(self.0.id)
        {
            file.locked = false;
        }
    }
}
