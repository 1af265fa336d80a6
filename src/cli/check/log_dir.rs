//! A log directory: whose it is, its checkpoints, and its partitions.

use std::io;
use std::path::{Path, PathBuf};

use super::partition;
use super::partition_walk::Known;
use super::{Advice, At, Check, CheckError};
use crate::format::{self, MetaProperties};
use crate::log::checkpoint::{
    CLEAN_SHUTDOWN, CLEANER_OFFSETS, HIGH_WATERMARKS, LOG_START_OFFSETS, Offsets, RECOVERY_POINTS,
    offsets_from_text,
};
use crate::log::dirs::{self, PartitionDir};
use crate::types::{Offset, PartitionIndex};

/// The lock file of a log directory.
const LOCK: &str = ".lock";

/// What the files of a log directory say of its partitions.
pub(super) struct LogDirState {
    /// A copy of a partition that lies alone: nothing is known of it.
    is_alone: bool,
    is_clean: bool,
    dir: PathBuf,
    recovery_points: Offsets,
    high_watermarks: Offsets,
    log_start_offsets: Offsets,
    cleaner_offsets: Offsets,
}

/// Checks the log directory or the partition at `dir`.
pub(super) fn check(check: &mut Check<'_>, dir: &Path) -> Result<(), CheckError> {
    let failed = |source| CheckError::Read { path: dir.to_owned(), source };
    let entries = check.disk.list(dir).map_err(failed)?;
    let is_log_dir = entries.iter().any(|entry| {
        !entry.is_dir && [format::FILE_NAME, RECOVERY_POINTS].contains(&entry.name.as_str())
    });
    if !is_log_dir {
        let dir = check.disk.absolute(dir).map_err(failed)?;
        return check_partition(check, &dir, entries.iter().map(|entry| entry.name.as_str()));
    }
    let _lock = lock(check, dir)?;
    let state = LogDirState::read(check, dir);
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        let path = dir.join(&entry.name);
        if entry.name == format::METADATA_LOG {
            partition::check(check, &path, state.known(None));
            continue;
        }
        match dirs::parse(&entry.name) {
            Some(PartitionDir::Live { topic, partition }) => {
                let end = partition::check(check, &path, state.known(Some((&topic, partition))));
                state.compare(check, &topic, partition, end);
            }
            // A copy that is still being made, from its beginning.
            Some(PartitionDir::Future { .. }) => {
                partition::check(check, &path, Known { trusted_to: 0, log_start_offset: 0 });
            }
            Some(PartitionDir::Stray) => {
                partition::check(check, &path, Known { trusted_to: 0, log_start_offset: 0 });
            }
            Some(PartitionDir::Deleting) | None => {}
        }
    }
    Ok(())
}

/// A partition that was named by itself; its log directory is asked what it knows of it.
fn check_partition<'a>(
    check: &mut Check<'_>,
    dir: &Path,
    mut names: impl Iterator<Item = &'a str>,
) -> Result<(), CheckError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let live = match dirs::parse(&name) {
        Some(PartitionDir::Live { topic, partition }) => Some((topic, partition)),
        _ => None,
    };
    let has_segment = names.any(|name| name.ends_with(crate::log::files::LOG));
    if live.is_none() && !has_segment {
        return Err(CheckError::NoLogDir(dir.to_owned()));
    }
    let parent = dir.parent().unwrap_or(dir).to_owned();
    let _lock = lock(check, &parent)?;
    let state = LogDirState::read(check, &parent);
    match live.filter(|_| name != format::METADATA_LOG) {
        Some((topic, partition)) => {
            let end = partition::check(check, dir, state.known(Some((&topic, partition))));
            state.compare(check, &topic, partition, end);
        }
        None => {
            partition::check(check, dir, state.known(None));
        }
    }
    Ok(())
}

/// Holds the lock of a log directory, if it has one: no broker starts while it is read.
fn lock(check: &Check<'_>, dir: &Path) -> Result<Option<Box<dyn crate::env::Lock>>, CheckError> {
    let path = dir.join(LOCK);
    let there = check.disk.info(&path);
    if there.map_err(|source| CheckError::Read { path: path.clone(), source })?.is_none() {
        return Ok(None);
    }
    match check.disk.try_lock(&path) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(CheckError::InUse(dir.to_owned())),
        // Whoever may only read it cannot lock it.
        Err(error) if is_read_only(&error) => Ok(None),
        Err(source) => Err(CheckError::Read { path, source }),
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl LogDirState {
    fn read(check: &mut Check<'_>, dir: &Path) -> Self {
        let meta = dir.join(format::FILE_NAME);
        let bytes = check.read(&meta);
        let is_alone = bytes.is_none();
        if let Some(Err(error)) = bytes.as_deref().map(MetaProperties::parse) {
            check.report(&meta, At::File, &error.to_string(), Advice::RestoreFile);
        }
        let marker = dir.join(CLEAN_SHUTDOWN);
        let marked = check.read(&marker);
        let is_clean = marked.is_some();
        // Older releases leave it empty.
        if let Some(bytes) = marked.filter(|bytes| !bytes.is_empty())
            && serde_json::from_slice::<serde_json::Value>(&bytes).is_err()
        {
            let what = "it is not the JSON that marks a clean stop";
            check.report(&marker, At::File, what, Advice::RemoveCheckpoint);
        }
        let mut offsets = |name: &str| read_offsets(check, &dir.join(name));
        Self {
            is_alone,
            is_clean,
            dir: dir.to_owned(),
            recovery_points: offsets(RECOVERY_POINTS),
            high_watermarks: offsets(HIGH_WATERMARKS),
            log_start_offsets: offsets(LOG_START_OFFSETS),
            cleaner_offsets: offsets(CLEANER_OFFSETS),
        }
    }

    /// What is known of a partition; of the metadata log only whether the stop was clean, since it
    /// has no line in the checkpoints.
    fn known(&self, partition: Option<(&str, PartitionIndex)>) -> Known {
        let of = |offsets: &Offsets| {
            let (topic, partition) = partition?;
            offsets.get(topic, partition)
        };
        let trusted_to = if self.is_alone || self.is_clean {
            Offset::MAX
        } else {
            of(&self.recovery_points).unwrap_or(0)
        };
        Known { trusted_to, log_start_offset: of(&self.log_start_offsets).unwrap_or(0) }
    }

    /// Compares the lines of a partition in the checkpoints with each other and with its log's end.
    fn compare(&self, check: &mut Check<'_>, topic: &str, partition: PartitionIndex, end: Offset) {
        for (name, offsets) in [
            (RECOVERY_POINTS, &self.recovery_points),
            (HIGH_WATERMARKS, &self.high_watermarks),
            (LOG_START_OFFSETS, &self.log_start_offsets),
            (CLEANER_OFFSETS, &self.cleaner_offsets),
        ] {
            let Some(offset) = offsets.get(topic, partition) else { continue };
            // After a power loss a log may be shorter than what was known of it.
            if offset < 0 || (offset > end && self.is_clean) {
                let what = format!("{topic} {partition} {offset}: the log ends at offset {end}");
                check.report(&self.dir.join(name), At::File, &what, Advice::RemoveCheckpoint);
            }
        }
        let of = |offsets: &Offsets| offsets.get(topic, partition);
        if let (Some(start), Some(mark)) = (of(&self.log_start_offsets), of(&self.high_watermarks))
            && start > mark
            && self.is_clean
        {
            let what = format!(
                "{topic} {partition} {start}: the log starts behind its high watermark {mark}"
            );
            let path = self.dir.join(LOG_START_OFFSETS);
            check.report(&path, At::File, &what, Advice::RemoveCheckpoint);
        }
    }
}

fn read_offsets(check: &mut Check<'_>, path: &Path) -> Offsets {
    let Some(bytes) = check.read(path) else { return Offsets::default() };
    let text = std::str::from_utf8(&bytes);
    if let Some(offsets) = text.ok().and_then(offsets_from_text) {
        return offsets;
    }
    // The first line that is none, for whoever looks at the file.
    let text = String::from_utf8_lossy(&bytes);
    let is_offset = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words[..], [_, partition, offset]
            if partition.parse::<i32>().is_ok() && offset.parse::<Offset>().is_ok())
    };
    let mut lines = text.lines().enumerate().skip(2);
    let at = lines.find(|(_, line)| !is_offset(line)).map_or(At::File, |(n, _)| At::Line(n + 1));
    let what = "it does not hold as many lines of topic, partition and offset as it says";
    check.report(path, at, what, Advice::RemoveCheckpoint);
    Offsets::default()
}
