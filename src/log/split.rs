//! Splits a segment whose offsets reach further from its first than its indexes can tell (Kafka 4.4
//! `LocalLog.splitOverflowedSegment`, KAFKA-6264). The cleaner of old releases made such segments.
//!
//! The parts are written and named as the cleaner's output is (`cleaner/replace.rs`), so recovery
//! drops or completes what a crash interrupted:
//!
//! 1. All parts are whole and synced as `.log.cleaned`. A crash: they are dropped.
//! 2. They become `.log.swap`, the last one first. A crash between two: all of them are dropped.
//! 3. The old segment goes and the parts take their names ([`super::recovery`] completes this).
//!
//! The first part keeps the name of the segment, though it may be empty: so the parts cover the name
//! that they replace. They get their indexes when they are opened.

use std::io::{self, IoSlice};
use std::path::Path;

use super::LogShared;
use super::batch_reader::BatchReader;
use super::files::{CLEANED, LOG, SWAP, file_name, file_path};
use crate::env::{File, OpenMode};
use crate::types::Offset;

/// How much is copied at a time.
const COPIED_BYTES: usize = 1 << 20;

/// A part of a segment: its base offset and its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    base_offset: Offset,
    from: u32,
}

/// Does steps 1 and 2 for a segment whose batches are whole and in order; how many parts it becomes.
pub(super) fn prepare(shared: &LogShared, dir: &Path, base_offset: Offset) -> io::Result<usize> {
    let disk = &shared.disk;
    let source = disk.open(&file_path(dir, base_offset, LOG), OpenMode::Read)?;
    let size = u32::try_from(source.len()?).map_err(io::Error::other)?;
    let parts = parts(&*source, size, base_offset)?;
    for (at, part) in parts.iter().enumerate() {
        let end = parts.get(at + 1).map_or(size, |next| next.from);
        let path = dir.join(file_name(part.base_offset, LOG) + CLEANED);
        let target = disk.open(&path, OpenMode::CreateEmpty)?;
        copy(&*source, part.from, end, &*target)?;
        target.sync_data()?;
    }
    disk.sync_dir(dir)?;
    for part in parts.iter().rev() {
        let name = file_name(part.base_offset, LOG);
        disk.rename(&dir.join(name.clone() + CLEANED), &dir.join(name + SWAP))?;
        disk.sync_dir(dir)?;
    }
    Ok(parts.len())
}

fn parts(source: &dyn File, size: u32, base_offset: Offset) -> io::Result<Vec<Part>> {
    let mut parts = vec![Part { base_offset, from: 0 }];
    let mut part_base = base_offset;
    let mut batches = BatchReader::new(source, size);
    let mut position = 0;
    while position < size {
        let batch = batches.at(position)?;
        let batch = batch.map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        let header = *batch.header();
        let is_beyond = |base: Offset| header.last_offset() - base > i64::from(i32::MAX);
        if is_beyond(part_base) {
            // The header of a wrapper in an old format does not tell its first offset.
            let first = batch.base_offset().ok().filter(|first| !is_beyond(*first));
            part_base = first.unwrap_or(header.base_offset);
            parts.push(Part { base_offset: part_base, from: position });
        }
        position += header.size() as u32;
    }
    Ok(parts)
}

fn copy(source: &dyn File, from: u32, end: u32, target: &dyn File) -> io::Result<()> {
    let mut buffer = vec![0; COPIED_BYTES.min((end - from) as usize)];
    let mut position = from;
    while position < end {
        let len = buffer.len().min((end - position) as usize);
        let got = source.read_at(&mut buffer[..len], u64::from(position))?;
        if got < len {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        target.write_at(&[IoSlice::new(&buffer[..len])], u64::from(position - from))?;
        position += len as u32;
    }
    Ok(())
}
