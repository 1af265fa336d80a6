//! A simulated file: what readers see, what the disk is sure to hold, and the changes between.
//!
//! The model is that of a page cache over a journaling file system:
//!
//! - A sector holds, after a power loss, what it held after one of the changes that touched it.
//!   Sectors go to the disk in any order, so a later write may survive an earlier one.
//! - The length is metadata and travels apart from the bytes. Where it arrives first, the bytes
//!   that did not are zeroes.
//! - A cut is journaled: no byte that it removed is seen again once it happened, and what was
//!   written behind it afterwards does not appear without it.

use std::collections::BTreeMap;

use super::content::{FileContent, PAGE, SECTOR, pages_of, sectors_of};
use super::rng::Rng;
use crate::types::Timestamp;

/// One unsynced change.
#[derive(Clone)]
enum InodeChange {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
}

/// How much of what was not synced survives a power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survival {
    /// Nothing.
    Nothing,
    /// As chance has it.
    Seeded,
}

#[derive(Clone)]
pub(super) struct FileNode {
    /// What every handle reads.
    content: FileContent,
    /// What is on the disk for sure.
    durable: FileContent,
    /// What the page cache held before the first of `pending`, if a failed sync has made that
    /// differ from `durable`: pages that were dropped unwritten yet still read well.
    cached: Option<FileContent>,
    /// The changes since the last sync, oldest first.
    pending: Vec<InodeChange>,
    pub(super) modified: Timestamp,
    /// How many handles are open; an unlinked file lives as long as one is.
    pub(super) handles: usize,
    /// Whether the record lock is held.
    pub(super) locked: bool,
}

impl FileNode {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            content: FileContent::default(),
            durable: FileContent::default(),
            cached: None,
            pending: Vec::new(),
            modified: now,
            handles: 0,
            locked: false,
        }
    }

    pub(super) fn content(&self) -> &FileContent {
        &self.content
    }

    /// How many changes are not synced.
    pub(super) fn unsynced(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn write(&mut self, position: u64, bytes: Vec<u8>, now: Timestamp) {
        if bytes.is_empty() {
            return;
        }
        self.content.write(position, &bytes);
        self.pending.push(InodeChange::Write { position, bytes });
        self.modified = now;
    }

    pub(super) fn set_len(&mut self, len: u64, now: Timestamp) {
        if len != self.content.len() {
            self.content.set_len(len);
            self.pending.push(InodeChange::SetLen(len));
        }
        self.modified = now;
    }

    /// Damages a byte where it lies, in the cache and on the disk, as a bad medium does.
    pub(super) fn damage(&mut self, position: u64, flip: u8) {
        for content in [&mut self.content, &mut self.durable].into_iter().chain(&mut self.cached) {
            let mut byte = [0];
            if content.read(position, &mut byte) == 1 {
                content.write(position, &[byte[0] ^ flip]);
            }
        }
    }

    /// A sync that succeeded: every dirty page is written, and the length.
    pub(super) fn sync(&mut self) {
        for change in &self.pending {
            match change {
                InodeChange::Write { position, bytes } => {
                    for page in pages_of(*position, bytes.len() as u64) {
                        self.durable.take_page(&self.content, page);
                    }
                }
                InodeChange::SetLen(len) => {
                    self.durable.set_len(*len);
                    self.durable.take_page(&self.content, len / PAGE);
                }
            }
        }
        self.durable.set_len(self.content.len());
        self.pending.clear();
        // A page that a failed sync dropped stays dropped until it is written again.
        if self.cached.is_some() {
            self.cached = Some(self.content.clone());
        }
    }

    /// A sync that failed, as Linux does it: some dirty pages reached the disk, the others did
    /// not, all are marked clean, and the next sync succeeds without having written them.
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        self.durable = self.survivor(Survival::Seeded, rng);
        self.pending.clear();
        self.cached = Some(self.content.clone());
    }

    /// The file as it comes back from a power loss.
    pub(super) fn after_power_loss(&self, survival: Survival, rng: &mut Rng) -> Self {
        let content = self.survivor(survival, rng);
        Self {
            durable: content.clone(),
            content,
            cached: None,
            pending: Vec::new(),
            modified: self.modified,
            handles: 0,
            locked: false,
        }
    }

    fn survivor(&self, survival: Survival, rng: &mut Rng) -> FileContent {
        let count = self.pending.len();
        if count == 0 || survival == Survival::Nothing {
            return self.durable.clone();
        }
        let choice = match rng.below(5) {
            0 => return self.durable.clone(),
            1 => Choice { upto: count, torn: None, scattered: false },
            2 | 3 => {
                let upto = rng.below(count as u64 + 1) as usize;
                Choice { upto, torn: (upto < count).then_some(upto + 1), scattered: false }
            }
            _ => Choice { upto: rng.below(count as u64 + 1) as usize, torn: None, scattered: true },
        };
        self.replay(&choice, rng)
    }

    /// Applies the changes one after the other to what the cache held, and copies each sector out
    /// after the change whose version of it is the one that survives.
    fn replay(&self, choice: &Choice, rng: &mut Rng) -> FileContent {
        let start = self.cached.as_ref().unwrap_or(&self.durable);
        let (len, versions) = self.choose(choice, start.len(), rng);
        let mut current = start.clone();
        let mut result = self.durable.clone();
        for (index, change) in self.pending.iter().enumerate() {
            match change {
                InodeChange::Write { position, bytes } => current.write(*position, bytes),
                InodeChange::SetLen(len) => {
                    current.set_len(*len);
                    if index < choice.upto && *len < result.len() {
                        result.set_len(*len);
                    }
                }
            }
            for sector in change.sectors() {
                if versions.get(&sector) == Some(&(index + 1)) {
                    result.take_sector(&current, sector);
                }
            }
        }
        result.set_len(len);
        result
    }

    /// The length that survives, and for each touched sector the change (counted from 1; 0 is
    /// none) after which its content survives.
    fn choose(&self, choice: &Choice, start: u64, rng: &mut Rng) -> (u64, BTreeMap<u64, usize>) {
        let mut versions: BTreeMap<u64, usize> = BTreeMap::new();
        let mut kept_len = self.durable.len();
        let mut end = start;
        for (index, change) in self.pending.iter().enumerate() {
            let version = index + 1;
            let journaled = version <= choice.upto;
            let grown = change.end(end);
            for sector in change.sectors() {
                let chancy = choice.scattered || choice.torn == Some(version);
                if if chancy { rng.coin() } else { journaled } {
                    versions.insert(sector, version);
                }
            }
            let cut = grown < end;
            if cut && !journaled {
                // Nothing that was written behind a cut appears without the cut.
                break;
            } else if cut {
                // The cut happened to everything behind it.
                versions.split_off(&grown.div_ceil(SECTOR));
            }
            if journaled {
                kept_len = grown;
            } else if choice.torn == Some(version) && grown > kept_len {
                // A torn append: the length stopped at any sector on the way.
                let sectors = (grown - kept_len).div_ceil(SECTOR);
                kept_len = (kept_len + rng.below(sectors + 1) * SECTOR).min(grown);
            }
            end = grown;
        }
        (kept_len, versions)
    }
}

/// What a power loss leaves of a file's unsynced changes.
struct Choice {
    /// The length is the one after this many changes.
    upto: usize,
    /// This change (counted from 1) survives in some of its sectors.
    torn: Option<usize>,
    /// Every sector fares on its own.
    scattered: bool,
}

impl InodeChange {
    /// The length after this change to a file of length `end`.
    fn end(&self, end: u64) -> u64 {
        match self {
            InodeChange::Write { position, bytes } => end.max(position + bytes.len() as u64),
            InodeChange::SetLen(len) => *len,
        }
    }

    /// The sectors this change writes.
    fn sectors(&self) -> std::ops::Range<u64> {
        match self {
            InodeChange::Write { position, bytes } => sectors_of(*position, bytes.len() as u64),
            InodeChange::SetLen(_) => 0..0,
        }
    }
}
