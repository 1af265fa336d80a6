//! What readers see of a log: an immutable value, published after each change.
//!
//! A reader loads it once and reads files; it never meets the writer. What a view shows stays
//! readable as long as the view lives, also when the log deletes it meanwhile.

use std::sync::Arc;

use super::epochs::Epochs;
use super::error::ReadError;
use super::segment::{Located, Segment};
use super::txn_index::AbortedTxn;
use crate::env::File;
use crate::record::{BatchView, Records};
use crate::types::{LeaderEpoch, NO_TIMESTAMP, Offset, Timestamp};

/// A log at one moment. Invariant: `log_start_offset <= last_stable_offset <= high_watermark <=
/// log_end_offset`; `segments` is sorted and its last is the active one.
#[derive(Clone, Debug)]
pub struct LogView {
    /// The segments, oldest first; never empty.
    pub segments: Arc<[Arc<Segment>]>,
    /// The first offset there is.
    pub log_start_offset: Offset,
    /// Below it no transaction is open: what a read_committed reader may see.
    pub last_stable_offset: Offset,
    /// Below it all in-sync replicas have the records: what a consumer may see.
    pub high_watermark: Offset,
    /// The offset of the next record.
    pub log_end_offset: Offset,
    /// Bytes of the active segment, up to the log end.
    pub end_position: u32,
    /// Leader epochs and where they began.
    pub epochs: Arc<Epochs>,
}

/// How far a reader may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpTo {
    /// Followers: the log end.
    LogEnd,
    /// Consumers: the high watermark.
    HighWatermark,
    /// read_committed consumers: the last stable offset.
    LastStable,
}

/// A range of a record file. Begins with the batch that holds the offset asked for; may end inside
/// a batch, which clients cut off.
#[derive(Clone)]
pub struct ReadPlan {
    /// The file; `None` when there is nothing to read.
    pub file: Option<Arc<dyn File>>,
    /// First byte.
    pub position: u64,
    /// How many bytes.
    pub len: usize,
    /// The base offset in the header of the first batch.
    pub first_offset: Offset,
}

impl ReadPlan {
    fn nothing(offset: Offset) -> Self {
        Self { file: None, position: 0, len: 0, first_offset: offset }
    }
}

/// A timestamp with its offset and the leader epoch of the record there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Of the record, [`NO_TIMESTAMP`] where none is meant.
    pub timestamp: Timestamp,
    /// Of the record.
    pub offset: Offset,
    /// Of the record.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl LogView {
    /// The bound of a kind of reader.
    pub fn bound(&self, up_to: UpTo) -> Offset {
        match up_to {
            UpTo::LogEnd => self.log_end_offset,
            UpTo::HighWatermark => self.high_watermark,
            UpTo::LastStable => self.last_stable_offset,
        }
    }

    fn segment_at(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    }

    /// The bytes of the segment that this view shows.
    fn size_of(&self, at: usize) -> u32 {
        if at + 1 == self.segments.len() { self.end_position } else { self.segments[at].size() }
    }

    /// Plans a read from `offset`, of at most `max_bytes`, or of one whole batch if that is larger
    /// and `min_one_batch` is set. Offsets are checked first.
    ///
    /// Errors: `OutOfRange`, or what the disk says.
    pub fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        up_to: UpTo,
        min_one_batch: bool,
    ) -> Result<ReadPlan, ReadError> {
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        if offset < start || offset > end {
            return Err(ReadError::OutOfRange { offset, start, end });
        }
        let bound = self.bound(up_to);
        if offset >= bound {
            return Ok(ReadPlan::nothing(offset));
        }
        let mut at = self.segment_at(offset);
        while at < self.segments.len() {
            let segment = &self.segments[at];
            let size = self.size_of(at);
            let Some(first) = segment.locate(offset, size)? else {
                at += 1; // The offset was compacted away: the next segment has the next one.
                continue;
            };
            if first.header.base_offset >= bound {
                break;
            }
            let end = self.end_of(segment, at, size, bound)?;
            let available = end.saturating_sub(first.position) as usize;
            let wanted = if min_one_batch { max_bytes.max(first.header.size()) } else { max_bytes };
            let len = wanted.min(available);
            // Less than a whole batch is of no use to anyone.
            if len < first.header.size() {
                return Ok(ReadPlan::nothing(offset));
            }
            return Ok(ReadPlan {
                file: Some(segment.file()?),
                position: u64::from(first.position),
                len,
                first_offset: first.header.base_offset,
            });
        }
        Ok(ReadPlan::nothing(offset))
    }

    /// The offset of the first record of the batch that holds `offset`, or of the next batch.
    pub fn base_offset_at(&self, offset: Offset) -> Result<Option<Offset>, ReadError> {
        for at in self.segment_at(offset)..self.segments.len() {
            let segment = &self.segments[at];
            if let Some(batch) = segment.locate(offset, self.size_of(at))? {
                return Ok(Some(segment.base_offset_of(&batch)?));
            }
        }
        Ok(None)
    }

    /// The byte of `segment` at which `bound` begins.
    fn end_of(
        &self,
        segment: &Segment,
        at: usize,
        size: u32,
        bound: Offset,
    ) -> Result<u32, ReadError> {
        let next_base = self.segments.get(at + 1).map(|segment| segment.base_offset);
        if bound >= self.log_end_offset || next_base.is_some_and(|next| next <= bound) {
            return Ok(size);
        }
        Ok(segment.locate(bound, size)?.map_or(size, |located| located.position))
    }

    /// The aborted transactions that a read_committed reader from `offset` on must know of to read
    /// what was planned: those that begin behind it are told with what follows (Kafka 4.4
    /// `LocalLog.addAbortedTransactions`).
    pub fn aborted_in(
        &self,
        offset: Offset,
        plan: &ReadPlan,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        if plan.len == 0 {
            return Ok(Vec::new());
        }
        self.aborted(offset, || Ok(self.offset_behind(plan)?.min(self.last_stable_offset)))
    }

    /// An offset behind what was planned to be read, near it if the index tells one.
    fn offset_behind(&self, plan: &ReadPlan) -> Result<Offset, ReadError> {
        let at = self.segment_at(plan.first_offset);
        let position = plan.position + plan.len as u64;
        let behind = self.segments[at].offset_behind(position, self.size_of(at))?;
        let next_base = self.segments.get(at + 1).map(|next| next.base_offset);
        Ok(behind.or(next_base).unwrap_or(self.log_end_offset))
    }

    /// The aborted transactions with records from `offset` to `upper`.
    pub fn aborted_between(
        &self,
        offset: Offset,
        upper: Offset,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        self.aborted(offset, || Ok(upper))
    }

    /// As [`Self::aborted_between`]. Where nothing was aborted, as is usual, `upper` is not asked.
    fn aborted(
        &self,
        offset: Offset,
        upper: impl Fn() -> Result<Offset, ReadError>,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        let (mut all, mut known) = (Vec::new(), None);
        for segment in &self.segments[self.segment_at(offset)..] {
            if !segment.has_aborted()? {
                continue;
            }
            let upper = match known {
                Some(upper) => upper,
                None => *known.insert(upper()?),
            };
            let (found, is_all) = segment.aborted_between(offset, upper)?;
            all.extend(found);
            if is_all {
                break;
            }
        }
        Ok(all)
    }

    /// The first record whose timestamp is at or above `timestamp` (Kafka 4.4
    /// `UnifiedLog.searchOffsetInLocalLog`).
    pub fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        for (at, segment) in self.segments.iter().enumerate() {
            let end = self.size_of(at);
            let (latest, _) = segment.read_max_timestamp(end)?;
            if latest < timestamp {
                continue;
            }
            let mut from = segment.seek_time(timestamp, end)?;
            if self.log_start_offset > segment.base_offset {
                from = from.max(segment.seek(self.log_start_offset, end)?);
            }
            loop {
                let mut batch = None;
                segment.scan(from, end, |located| {
                    let header = &located.header;
                    let is_it = header.max_timestamp >= timestamp
                        && header.last_offset() >= self.log_start_offset;
                    if is_it {
                        batch = Some(located);
                    }
                    is_it
                })?;
                let Some(batch) = batch else { break };
                if let Some(found) = self.first_at(segment, &batch, timestamp)? {
                    return Ok(Some(found));
                }
                from = batch.end(); // Compaction took the record that had the batch's time.
            }
        }
        Ok(None)
    }

    /// The first record of `batch` at or above both `timestamp` and the log start.
    fn first_at(
        &self,
        segment: &Segment,
        batch: &Located,
        timestamp: Timestamp,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let mut bytes = vec![0; batch.header.size()];
        let got = segment.file()?.read_at(&mut bytes, u64::from(batch.position))?;
        bytes.truncate(got);
        let invalid = |error: String| {
            ReadError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        };
        let view = BatchView::stored(&bytes).map_err(|error| invalid(error.to_string()))?;
        let records = Records::of(&view).map_err(|error| invalid(error.to_string()))?;
        for record in records.iter() {
            let record = record.map_err(|error| invalid(error.to_string()))?;
            if record.timestamp >= timestamp && record.offset >= self.log_start_offset {
                let epoch = batch.header.leader_epoch;
                return Ok(Some(TimestampOffset {
                    timestamp: record.timestamp,
                    offset: record.offset,
                    leader_epoch: (epoch >= 0).then_some(epoch),
                }));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp; the first of several.
    pub fn offset_of_max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        let mut latest = NO_TIMESTAMP;
        for (at, segment) in self.segments.iter().enumerate() {
            latest = latest.max(segment.read_max_timestamp(self.size_of(at))?.0);
        }
        if latest == NO_TIMESTAMP { Ok(None) } else { self.offset_for_timestamp(latest) }
    }

    /// All bytes of the log.
    pub fn size_bytes(&self) -> u64 {
        (0..self.segments.len()).map(|at| u64::from(self.size_of(at))).sum()
    }
}
