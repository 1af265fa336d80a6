//! Reads a partition of an internal topic into a shard (Kafka 4.4 `CoordinatorLoaderImpl`).

use std::io;

use crate::coordinator::records::CoordinatorRecordError;
use crate::coordinator::{Outcome, Producer, Shard};
use crate::log::view::UpTo;
use crate::log::{LogView, ReadError};
use crate::record::{BatchError, BatchView, ControlType, Records, RecordsError};

/// Why a partition cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("offset {offset}: {source}")]
    Batch { offset: i64, source: BatchError },
    #[error("offset {offset}: {source}")]
    Records { offset: i64, source: RecordsError },
    #[error("offset {offset}: {source}")]
    Record { offset: i64, source: CoordinatorRecordError },
}

impl LoadError {
    /// Whether another attempt may do better: the disk failed, and not what is on it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Read(_) | Self::Io(_) => true,
            Self::Batch { .. } | Self::Records { .. } | Self::Record { .. } => false,
        }
    }
}

/// What was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Records that the shard was given.
    pub(super) records: u64,
    /// Records of kinds that this release does not know.
    pub(super) passed_over: u64,
    /// Bytes that were read.
    pub(super) bytes: u64,
}

/// Applies all that `view` shows, `load_bytes` at once, or one batch if that is more.
pub(super) fn load<S: Shard>(
    view: &LogView,
    load_bytes: usize,
    shard: &mut S,
) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    let mut offset = view.log_start_offset;
    let mut buffer = Vec::new();
    while offset < view.log_end_offset {
        let plan = view.read(offset, load_bytes, UpTo::LogEnd, true)?;
        let Some(file) = plan.file else { break };
        buffer.resize(plan.len, 0);
        let got = file.read_at(&mut buffer, plan.position)?;
        let before = offset;
        let mut rest = &buffer[..got];
        while !rest.is_empty() {
            let batch = match BatchView::stored(rest) {
                Ok(batch) => batch,
                Err(BatchError::Truncated { .. }) => break,
                Err(source) => return Err(LoadError::Batch { offset, source }),
            };
            rest = &rest[batch.bytes().len()..];
            if batch.header().last_offset() >= offset {
                apply(&batch, offset, shard, &mut loaded)?;
                offset = batch.header().next_offset();
            }
        }
        if offset == before {
            break; // Nothing whole is left: the view ends here.
        }
    }
    Ok(loaded)
}

fn apply<S: Shard>(
    batch: &BatchView<'_>,
    from: i64,
    shard: &mut S,
    loaded: &mut Loaded,
) -> Result<(), LoadError> {
    let header = batch.header();
    let at = header.base_offset;
    batch.check_crc().map_err(|source| LoadError::Batch { offset: at, source })?;
    loaded.bytes += batch.bytes().len() as u64;
    let producer = Producer { id: header.producer_id, epoch: header.producer_epoch };
    let failed = |source| LoadError::Records { offset: at, source };
    let records = Records::of(batch).map_err(failed)?;
    for record in records.iter() {
        let record = record.map_err(failed)?;
        if record.offset < from {
            continue;
        }
        if header.attributes.is_control() {
            match ControlType::of(&record) {
                Some(ControlType::Commit) => shard.apply_marker(producer, Outcome::Committed),
                Some(ControlType::Abort) => shard.apply_marker(producer, Outcome::Aborted),
                _ => {}
            }
            continue;
        }
        let of = header.attributes.is_transactional().then_some(producer);
        match S::decode(record.key.unwrap_or_default(), record.value) {
            Ok(decoded) => {
                shard.apply(record.offset, of, decoded);
                loaded.records += 1;
            }
            Err(CoordinatorRecordError::UnknownType(number)) => {
                tracing::warn!(
                    offset = record.offset,
                    number,
                    "a record of a kind that is not known is passed over"
                );
                loaded.passed_over += 1;
            }
            Err(source) => return Err(LoadError::Record { offset: record.offset, source }),
        }
    }
    Ok(())
}
