//! Puts cleaned segments in the place of those they come from (Kafka 4.4 `LocalLog.replaceSegments`).
//!
//! 1. What is written is whole and synced, and named `.cleaned`. A crash: recovery drops it.
//! 2. It becomes `.swap`, the last segment first. A crash between two: recovery drops all of it,
//!    since a `.cleaned` one is left. Once all names are synced, recovery completes the swap.
//! 3. The old segments become `.deleted`, and these names are synced.
//! 4. `.swap` goes from the names. Only now may an old segment's file be removed.
//!
//! Names are synced between the steps, since a power loss may keep any of those that are not. A log
//! whose swap fails is offline: opening it anew completes or drops what was begun.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::CleanError;
use crate::log::files::{CLEANED, DELETED, SNAPSHOT, SWAP, file_name};
use crate::log::segment::Segment;
use crate::log::{Deletable, Log, LogShared};

/// Segments that are to replace others.
pub struct Replacement {
    shared: LogShared,
    dir: PathBuf,
    cleaned: Vec<Arc<Segment>>,
    old: Vec<Arc<Segment>>,
}

impl Replacement {
    pub(super) fn new(
        shared: &LogShared,
        dir: &Path,
        cleaned: Vec<Arc<Segment>>,
        old: Vec<Arc<Segment>>,
    ) -> Self {
        Self { shared: shared.clone(), dir: dir.to_owned(), cleaned, old }
    }

    /// Where it begins, and how many bytes become how many.
    pub fn sizes(&self) -> (u64, u64) {
        let sum = |all: &[Arc<Segment>]| all.iter().map(|s| u64::from(s.size())).sum();
        (sum(&self.old), sum(&self.cleaned))
    }

    /// Step 2, without the log.
    pub fn prepare(&self) -> io::Result<()> {
        for segment in self.cleaned.iter().rev() {
            segment.change_suffix(CLEANED, SWAP)?;
            self.shared.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Makes the names durable, without the log.
    pub fn sync(&self) -> io::Result<()> {
        self.shared.disk.sync_dir(&self.dir)
    }

    /// Where the old segments are in the log, if they are still all of it there.
    fn place(&self, log: &Log) -> Option<usize> {
        let first = self.old.first()?;
        let at = log.segments.iter().position(|segment| Arc::ptr_eq(segment, first))?;
        let there = log.segments.get(at..at + self.old.len())?;
        let is_same = there.iter().zip(&self.old).all(|(a, b)| Arc::ptr_eq(a, b));
        (is_same && log.dir == self.dir && log.offline.is_none()).then_some(at)
    }

    /// Whether the log is still the one that was cleaned.
    pub fn check(&self, log: &Log) -> Result<(), CleanError> {
        self.place(log).map(|_| ()).ok_or(CleanError::Changed)
    }

    /// Step 3, with the log at hand; readers go on with the old files.
    pub fn set_aside(&self, log: &Log) -> Result<(), CleanError> {
        self.check(log)?;
        self.old.iter().try_for_each(|segment| segment.add_suffix(DELETED))?;
        Ok(())
    }

    /// Step 4, with the log at hand. Readers see the new segments from now on; what is given back
    /// may be removed once readers had time to finish.
    pub fn finish(&self, log: &mut Log) -> Result<Deletable, CleanError> {
        let at = self.place(log).ok_or(CleanError::Changed)?;
        for segment in &self.cleaned {
            segment.change_suffix(SWAP, "")?;
        }
        let range = at..at + self.old.len();
        let old: Vec<_> = log.segments.splice(range, self.cleaned.iter().cloned()).collect();
        log.dir_changes += 1;
        log.publish();
        // Snapshots stand where segments begin.
        let is_new = |offset| self.cleaned.iter().any(|s| s.base_offset == offset);
        let is_gone = |offset| old.iter().any(|s| s.base_offset == offset) && !is_new(offset);
        for offset in log.snapshots.extract_if(.., |offset| is_gone(*offset)) {
            let path = self.dir.join(file_name(offset, SNAPSHOT));
            if let Err(error) = self.shared.disk.remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "a needless snapshot stays");
            }
        }
        Ok(Deletable::of(old))
    }

    /// All steps, for a log that nobody else uses. A failure takes it offline.
    pub fn apply(&self, log: &mut Log) -> Result<Deletable, CleanError> {
        self.check(log)?;
        let swapped = self
            .prepare()
            .map_err(CleanError::from)
            .and_then(|()| self.set_aside(log))
            .and_then(|()| Ok(self.sync()?))
            .and_then(|()| self.finish(log))
            .and_then(|gone| self.sync().map(|()| gone).map_err(CleanError::from));
        swapped.inspect_err(|error| log.fail_swap(error))
    }
}

impl Log {
    /// A swap that was begun did not end: only opening the log anew says what it is.
    pub fn fail_swap(&mut self, error: &CleanError) {
        self.fail("swap of cleaned segments", &io::Error::other(error.to_string()));
    }
}
