//! What a log says before it is opened: read as recovery will read it, and nothing is changed.

use std::io;
use std::path::{Path, PathBuf};

use super::batch_reader::BatchReader;
use super::files::{LOG, offset_of};
use crate::env::{Disk, OpenMode};
use crate::record::BatchView;
use crate::types::{LeaderEpoch, Offset};

/// Which offsets were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScannedRange {
    /// Where the first file begins.
    pub start: Offset,
    /// Behind the last batch.
    pub end: Offset,
    /// The epoch of the last batch; `None` without one.
    pub epoch: Option<LeaderEpoch>,
}

/// Why a log was not read to its end.
#[derive(Debug)]
pub enum ReadFailure<E> {
    /// The disk does not answer.
    Io(PathBuf, io::Error),
    /// Who was given the batches has seen enough.
    Stopped(E),
}

/// Gives every batch of the log in `dir` to `each`, up to the first that is not whole or goes back.
/// A directory that is not there is an empty log.
pub fn read<E>(
    disk: &dyn Disk,
    dir: &Path,
    mut each: impl FnMut(BatchView<'_>) -> Result<(), E>,
) -> Result<ScannedRange, ReadFailure<E>> {
    let io = |error| ReadFailure::Io(dir.to_owned(), error);
    let mut extent = ScannedRange::default();
    if disk.info(dir).map_err(io)?.is_none() {
        return Ok(extent);
    }
    let mut files: Vec<(Offset, String)> = Vec::new();
    for entry in disk.list(dir).map_err(io)? {
        files.extend(offset_of(&entry.name, LOG).map(|base| (base, entry.name)));
    }
    files.sort_unstable();
    if let Some((first, _)) = files.first() {
        (extent.start, extent.end) = (*first, *first);
    }
    for (base, name) in files {
        let path = dir.join(name);
        let io = |error| ReadFailure::Io(path.clone(), error);
        extent.end = extent.end.max(base);
        let file = disk.open(&path, OpenMode::Read).map_err(io)?;
        let size = u32::try_from(file.len().map_err(io)?).unwrap_or(u32::MAX);
        let mut batches = BatchReader::new(&*file, size);
        let mut position = 0;
        while position < size {
            let Ok(batch) = batches.at(position).map_err(io)? else { return Ok(extent) };
            let header = *batch.header();
            if header.base_offset < extent.end || header.last_offset() < header.base_offset {
                return Ok(extent);
            }
            each(batch).map_err(ReadFailure::Stopped)?;
            extent.end = header.next_offset();
            extent.epoch = Some(header.leader_epoch);
            position += header.size() as u32;
        }
    }
    Ok(extent)
}
