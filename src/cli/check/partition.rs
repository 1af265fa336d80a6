//! The directory of a partition: its segments in order, and what lies beside them.

use std::path::Path;

use super::aborted::OpenTxns;
use super::partition_walk::{Known, PartitionWalk};
use super::segment;
use super::segment_files::Names;
use super::{Advice, At, Check};
use crate::format;
use crate::log::checkpoint::{PARTITION_METADATA, topic_id_of};
use crate::log::epochs::Epochs;
use crate::log::files::{EPOCHS_FILE, LOG, SNAPSHOT, file_name, offset_of};
use crate::log::producers_file;
use crate::raft::quorum_state;
use crate::raft::snapshot::{self, SnapshotId, SnapshotState};
use crate::types::Offset;

/// Checks all files of a partition; the offset behind its last record.
pub(super) fn check(check: &mut Check<'_>, dir: &Path, known: Known) -> Offset {
    check.totals.partitions += 1;
    let names: Vec<String> = match check.disk.list(dir) {
        Ok(entries) => entries.into_iter().filter(|e| !e.is_dir).map(|e| e.name).collect(),
        Err(error) => {
            check.report(dir, At::File, &error.to_string(), Advice::ReadAgain);
            return known.log_start_offset;
        }
    };
    let has = |name: &str| names.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
    let epochs = epochs(check, &dir.join(EPOCHS_FILE));
    let mut walk = PartitionWalk {
        known,
        epochs: None,
        end: known.log_start_offset,
        has_gaps: false,
        is_broken: false,
        has_epochs: false,
        txns: OpenTxns::default(),
    };
    let epochs_are_damaged = matches!(epochs, Some(None));
    walk.epochs = epochs.flatten();
    let bases: Vec<Offset> = names.iter().filter_map(|name| offset_of(name, LOG)).collect();
    for (at, base) in bases.iter().enumerate() {
        let place = Names {
            dir,
            base_offset: *base,
            next: bases.get(at + 1).copied(),
            has: &has,
            is_first: at == 0,
        };
        segment::check(check, &mut walk, &place);
    }
    let end = walk.end;
    if !walk.is_broken {
        beyond_the_end(check, dir, &walk, epochs_are_damaged);
    }
    for offset in names.iter().filter_map(|name| offset_of(name, SNAPSHOT)) {
        producers(check, &dir.join(file_name(offset, SNAPSHOT)), offset, &walk);
    }
    for name in &names {
        if let Some((_, SnapshotState::Complete)) = SnapshotId::parse(name) {
            metadata_snapshot(check, &dir.join(name));
        }
    }
    if dir.ends_with(format::METADATA_LOG) {
        check.totals.files += u64::from(has(quorum_state::FILE_NAME));
        if let Err(error) = quorum_state::read(check.disk, dir) {
            let path = dir.join(quorum_state::FILE_NAME);
            check.report(&path, At::File, &error.to_string(), Advice::RestoreFile);
        }
    } else if let Some(bytes) = check.read(&dir.join(PARTITION_METADATA)) {
        let id = std::str::from_utf8(&bytes).ok().and_then(topic_id_of);
        if id.is_none() {
            let what = "it does not name a topic id";
            check.report(&dir.join(PARTITION_METADATA), At::File, what, Advice::RestoreFile);
        }
    }
    end
}

/// The epochs of a partition: nothing if the file is missing or empty, as Kafka creates it, and nothing in that if it is damaged.
#[expect(clippy::option_option, reason = "missing and damaged are two things")]
fn epochs(check: &mut Check<'_>, path: &Path) -> Option<Option<Epochs>> {
    let bytes = check.read(path).filter(|bytes| !bytes.is_empty())?;
    let epochs = std::str::from_utf8(&bytes).ok().and_then(Epochs::from_text);
    if epochs.is_none() {
        let what = "it does not hold as many rising epochs as it says";
        check.report(path, At::File, what, Advice::RemoveEpochs);
    }
    Some(epochs)
}

/// Epochs that begin where there is no log. The newest may begin at its end.
fn beyond_the_end(
    check: &mut Check<'_>,
    dir: &Path,
    walk: &PartitionWalk,
    epochs_are_damaged: bool,
) {
    let path = dir.join(EPOCHS_FILE);
    if let Some(epochs) = &walk.epochs {
        let is_beyond = |start: Offset| start > walk.end && start < walk.known.trusted_to;
        if let Some(at) = epochs.entries().iter().position(|(_, start)| is_beyond(*start)) {
            let (epoch, start) = epochs.entries()[at];
            let what =
                format!("epoch {epoch} begins at offset {start}, the log ends at {}", walk.end);
            check.report(&path, At::Line(at + 3), &what, Advice::RemoveEpochs);
        }
    } else if !epochs_are_damaged && walk.has_epochs && walk.known.trusted_to > 0 {
        let what = "it is missing, and the records have leader epochs";
        check.report(&path, At::File, what, Advice::RemoveEpochs);
    }
}

fn producers(check: &mut Check<'_>, path: &Path, offset: Offset, walk: &PartitionWalk) {
    let Some(bytes) = check.read(path) else { return };
    let Some(entries) = producers_file::entries(&bytes) else {
        let what = "its CRC is not that of its bytes, or its version is unknown";
        check.report(path, At::File, what, Advice::RemoveSnapshot);
        return;
    };
    if let Some(entry) = entries.iter().find(|entry| entry.last_offset >= offset) {
        let (id, last) = (entry.producer_id, entry.last_offset);
        let what = format!("producer {id} has offset {last}, which the snapshot is before");
        check.report(path, At::File, &what, Advice::RemoveSnapshot);
    }
    // A log that lost its end to a power loss gives up the snapshots behind it.
    if offset > walk.end && !walk.is_broken && walk.end < walk.known.trusted_to {
        let what = format!("it is of offset {offset}, the log ends at {}", walk.end);
        check.report(path, At::File, &what, Advice::RemoveSnapshot);
    }
}

fn metadata_snapshot(check: &mut Check<'_>, path: &Path) {
    check.totals.files += 1;
    if let Err(error) = snapshot::read_file(check.disk, path) {
        let text = error.to_string();
        let what = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text);
        check.report(path, At::File, what, Advice::RemoveMetadataSnapshot);
    }
}
