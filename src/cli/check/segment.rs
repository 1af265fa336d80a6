//! A segment, batch by batch, with its indexes in step.

use std::io;

use super::aborted::TxnsOfSegment;
use super::blocks::FileBlocks;
use super::indexes::{OffsetsInStep, TimesInStep};
use super::partition_walk::PartitionWalk;
use super::segment_files::{Names, Placed};
use super::{Advice, At, Check};
use crate::log::files::{INDEX, LOG, TIME_INDEX, file_name};
use crate::record::batch::MAGIC_END;
use crate::record::{BatchHeader, BatchView, HEADER_LEN};
use crate::types::Offset;

/// Checks a segment and what lies beside it.
pub(super) fn check(check: &mut Check<'_>, walk: &mut PartitionWalk, names: &Names<'_>) {
    let path = names.path(LOG);
    check.totals.files += 1;
    let mut file = match FileBlocks::open(check.disk, &path) {
        Ok(file) => file,
        Err(error) => {
            check.report(&path, At::File, &error.to_string(), Advice::ReadAgain);
            walk.is_broken = true;
            return;
        }
    };
    if names.is_first {
        walk.has_gaps |= names.base_offset > 0;
        walk.end = names.base_offset;
    } else if names.base_offset < walk.end {
        let what = format!(
            "the file begins at offset {}, the one before it ends at {}",
            names.base_offset, walk.end
        );
        let advice = advice(walk, names.base_offset);
        check.report(&path, At::Byte(0), &what, advice);
    } else {
        walk.has_gaps |= names.base_offset > walk.end;
    }
    // An empty segment stands at the end of its log, and closed ones may be empty after compaction.
    walk.end = walk.end.max(names.base_offset);
    let is_trusted = names.next.is_some_and(|next| next <= walk.known.trusted_to)
        || walk.known.trusted_to == Offset::MAX;
    let mut offsets = OffsetsInStep::read(check, names);
    let mut times = TimesInStep::read(check, names);
    let mut txns = TxnsOfSegment::read(check, names);
    let mut position = 0;
    let mut epoch_told = false;
    let is_whole = loop {
        if position >= file.len() {
            break true;
        }
        let batch = match batch_at(&mut file, position) {
            Ok(Ok(batch)) => batch,
            Ok(Err(what)) => {
                let advice = advice(walk, walk.end);
                check.report(&path, At::Byte(position), &what, advice);
                break false;
            }
            Err(error) => {
                let what = error.to_string();
                check.report(&path, At::Byte(position), &what, Advice::ReadAgain);
                break false;
            }
        };
        let header = batch.header;
        if let Some(what) = order(walk, names, &header) {
            let advice = advice(walk, walk.end);
            check.report(&path, At::Byte(position), &what, advice);
        }
        walk.has_gaps |= header.base_offset > walk.end && position > 0;
        if !epoch_told && let Some(what) = epoch(walk, &header) {
            epoch_told = true;
            check.report(&path, At::Byte(position), &what, Advice::RemoveEpochs);
        }
        walk.has_epochs |= header.leader_epoch >= 0;
        offsets.on_batch(check, &batch, walk.known.trusted_to);
        times.on_batch(check, &batch, walk.known.trusted_to);
        let bytes = file.at(position, header.size()).ok().flatten().unwrap_or_default();
        txns.on_batch(check, &mut walk.txns, &batch, bytes, walk.has_gaps);
        walk.end = walk.end.max(header.next_offset());
        position += header.size() as u64;
    };
    check.totals.record_bytes += position;
    walk.is_broken |= !is_whole;
    if is_whole {
        offsets.finish(check, walk.known.trusted_to);
        times.finish(check, walk.known.trusted_to);
        txns.finish(check, walk.known.trusted_to);
    } else {
        walk.txns.forget();
    }
    missing(check, names, is_trusted, file.len());
}

/// What to do about records that end at `offset`.
fn advice(walk: &PartitionWalk, offset: Offset) -> Advice {
    if offset < walk.known.trusted_to { Advice::Restore } else { Advice::WillBeCut }
}

/// The batch at `position`, whole; what is wrong with it otherwise.
fn batch_at(file: &mut FileBlocks, position: u64) -> io::Result<Result<Placed, String>> {
    let left = file.len() - position;
    let head_len = HEADER_LEN.min(usize::try_from(left).unwrap_or(HEADER_LEN));
    let Some(head) = file.at(position, head_len)?.filter(|head| head.len() >= MAGIC_END) else {
        return Ok(Err(format!("{left} bytes are no batch header")));
    };
    let header = match BatchHeader::stored(head) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let Some(bytes) = file.at(position, header.size())? else {
        return Ok(Err(format!("a batch of {} bytes, {left} are left", header.size())));
    };
    let checked = BatchView::stored(bytes).and_then(|batch| batch.check_crc());
    Ok(checked.map(|()| Placed { header, position }).map_err(|error| error.to_string()))
}

/// What is wrong with the offsets of a batch, in the place where it stands.
fn order(walk: &PartitionWalk, names: &Names<'_>, header: &BatchHeader) -> Option<String> {
    let (first, last) = (header.base_offset, header.last_offset());
    if first < walk.end || last < first {
        return Some(format!("offsets {first} to {last}, where {} comes next", walk.end));
    }
    if last - names.base_offset > i64::from(i32::MAX) {
        return Some(format!("offset {last} is too far from the segment's {}", names.base_offset));
    }
    let next = names.next.filter(|next| last >= *next)?;
    Some(format!("offsets {first} to {last}, and the next file begins at {next}"))
}

/// Whether the epoch of a batch is another than the epochs of the log have it.
fn epoch(walk: &PartitionWalk, header: &BatchHeader) -> Option<String> {
    let epochs = walk.epochs.as_ref().filter(|_| !header.is_legacy())?;
    if header.base_offset >= walk.known.trusted_to
        || header.last_offset() < walk.known.log_start_offset
    {
        return None;
    }
    let expected = epochs.epoch_at(header.base_offset.max(walk.known.log_start_offset));
    // What retention keeps of a segment may be older than the oldest epoch.
    let is_older = expected.is_none() && (header.leader_epoch < 0 || !epochs.entries().is_empty());
    (expected != Some(header.leader_epoch) && !is_older).then(|| {
        format!(
            "offset {} is of epoch {}, of {} by leader-epoch-checkpoint",
            header.base_offset,
            header.leader_epoch,
            expected.map_or("none".to_owned(), |epoch| epoch.to_string())
        )
    })
}

/// Indexes that are not there. The one of aborted transactions is made when there are some.
fn missing(check: &mut Check<'_>, names: &Names<'_>, is_trusted: bool, len: u64) {
    for suffix in [INDEX, TIME_INDEX] {
        if is_trusted && len > 0 && !(names.has)(&file_name(names.base_offset, suffix)) {
            let what = "it is missing";
            check.report(&names.path(suffix), At::File, what, Advice::RemoveIndex);
        }
    }
}
