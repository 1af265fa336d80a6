//! Segments, and snapshots of the metadata log: batch by batch, record by record.

use std::collections::BTreeMap;
use std::path::Path;

use super::blocks::LogBlocks;
use super::decode::{self, DecodedContents, Decoder};
use super::{Dump, DumpError, base_offset};
use crate::format::BOOTSTRAP_CHECKPOINT;
use crate::log::files::LOG;
use crate::raft::snapshot::SnapshotId;
use crate::record::batch::increment_sequence;
use crate::record::legacy::{Message, Messages};
use crate::record::{BatchHeader, BatchView, CompressionType, Record, Records, TimestampType};
use crate::types::{NO_SEQUENCE, Offset};

impl Dump<'_> {
    /// Shows a segment or a snapshot.
    pub(super) fn records(&mut self, path: &Path) -> Result<(), DumpError> {
        self.title(path)?;
        let mut file = LogBlocks::open(self.disk, path)?;
        let end = file.len().min(u64::from(self.args.max_bytes));
        let decoder = self.args.decoder();
        let is_deep = self.args.deep_iteration || self.args.prints_contents();
        let mut gaps = BTreeMap::new();
        let mut last_offset = -1;
        let mut position = 0;
        while let Some(header) = file.batch_at(position, end)? {
            let codec = header.attributes.compression().ok_or_else(|| {
                let id = header.attributes.0 & 0x07;
                file.damaged(format!("unknown compression type id {id} at byte {position}"))
            })?;
            let size = header.size();
            let bytes = file.at(position, size)?;
            let view = BatchView::stored(bytes).map_err(|error| DumpError::Damaged {
                path: path.to_owned(),
                what: format!("at byte {position}: {error}"),
            })?;
            self.batch(&header, codec, position, view.check_crc().is_ok())?;
            if is_deep {
                let at_fault = self.batch_records(&view, &decoder, &mut last_offset, &mut gaps)?;
                if let Some(what) = at_fault {
                    return Err(file.damaged(format!("the batch at byte {position}: {what}")));
                }
            }
            position += size as u64;
        }
        if position < end && self.args.max_bytes == i32::MAX as u32 {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let left = end - position;
            writeln!(self.out, "Found {left} invalid bytes at the end of {name}")?;
        }
        if !gaps.is_empty() {
            let path = self.disk.absolute(path)?;
            self.findings.gaps.insert(path, gaps);
        }
        Ok(())
    }

    fn title(&mut self, path: &Path) -> Result<(), DumpError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(LOG) {
            writeln!(self.out, "Log starting offset: {}", base_offset(path)?)?;
        } else if name == BOOTSTRAP_CHECKPOINT {
            writeln!(self.out, "KRaft bootstrap snapshot")?;
        } else if let Some((SnapshotId { offset, epoch }, _)) = SnapshotId::parse(&name) {
            writeln!(self.out, "Snapshot end offset: {offset}, epoch: {epoch}")?;
        } else {
            let what = "the name is not that of a snapshot: OFFSET-EPOCH.checkpoint".to_owned();
            return Err(DumpError::Damaged { path: path.to_owned(), what });
        }
        Ok(())
    }

    fn batch(
        &mut self,
        header: &BatchHeader,
        codec: CompressionType,
        position: u64,
        is_valid: bool,
    ) -> Result<(), DumpError> {
        if header.is_legacy() {
            write!(self.out, "offset: {}", header.last_offset())?;
        } else {
            self.batch_of_format_2(header)?;
        }
        writeln!(
            self.out,
            " position: {position} {}: {} size: {} magic: {} compresscodec: {} crc: {} \
             isvalid: {is_valid}",
            timestamp_type(header),
            header.max_timestamp.0,
            header.size(),
            header.magic,
            codec.name(),
            header.crc,
        )?;
        Ok(())
    }

    /// What Kafka shows of a batch only where its format has it.
    fn batch_of_format_2(&mut self, header: &BatchHeader) -> Result<(), DumpError> {
        let attributes = header.attributes;
        let delete_horizon = if attributes.has_delete_horizon() {
            format!("OptionalLong[{}]", header.base_timestamp.0)
        } else {
            "OptionalLong.empty".to_owned()
        };
        write!(
            self.out,
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} \
             producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} \
             isControl: {} deleteHorizonMs: {delete_horizon}",
            header.base_offset,
            header.last_offset(),
            header.records_count,
            header.base_sequence,
            header.last_sequence(),
            header.producer_id,
            header.producer_epoch,
            header.leader_epoch,
            attributes.is_transactional(),
            attributes.is_control(),
        )?;
        Ok(())
    }

    /// Shows the records of a batch; what is wrong with them, if something is. Offsets that are
    /// not consecutive go to `gaps`.
    fn batch_records(
        &mut self,
        view: &BatchView<'_>,
        decoder: &Decoder,
        last_offset: &mut Offset,
        gaps: &mut BTreeMap<Offset, Offset>,
    ) -> Result<Option<String>, DumpError> {
        let header = view.header();
        if header.records_count == 0 {
            return Ok(None);
        }
        if header.is_legacy() {
            return self.messages(view, decoder, last_offset, gaps);
        }
        let records = match Records::of(view) {
            Ok(records) => records,
            Err(error) => return Ok(Some(error.to_string())),
        };
        for record in records.iter() {
            let record = match record {
                Ok(record) => record,
                Err(error) => return Ok(Some(error.to_string())),
            };
            note_offset(record.offset, last_offset, gaps);
            if !self.args.skip_record_metadata
                && let Some(fault) = self.record(header, &record)?
            {
                return Ok(Some(fault));
            }
            if self.args.prints_contents() && !header.attributes.is_control() {
                self.contents(decoder, &record)?;
            }
            writeln!(self.out)?;
        }
        Ok(None)
    }

    /// The same, of message formats 0 and 1.
    fn messages(
        &mut self,
        view: &BatchView<'_>,
        decoder: &Decoder,
        last_offset: &mut Offset,
        gaps: &mut BTreeMap<Offset, Offset>,
    ) -> Result<Option<String>, DumpError> {
        let messages = match Messages::of(view) {
            Ok(messages) => messages,
            Err(error) => return Ok(Some(error.to_string())),
        };
        for message in messages.iter() {
            let message = match message {
                Ok(message) => message,
                Err(error) => return Ok(Some(error.to_string())),
            };
            note_offset(message.offset, last_offset, gaps);
            if !self.args.skip_record_metadata {
                write!(
                    self.out,
                    "| offset: {} {}: {} keySize: {} valueSize: {} isValid: {} crc: {}",
                    message.offset,
                    timestamp_type(view.header()),
                    message.timestamp.0,
                    size_of(message.key),
                    size_of(message.value),
                    message.is_valid(),
                    message.crc,
                )?;
            }
            if self.args.prints_contents() {
                let Message { offset, timestamp, key, value, .. } = message;
                let record = Record { offset, timestamp, key, value, headers: Vec::new() };
                self.contents(decoder, &record)?;
            }
            writeln!(self.out)?;
        }
        Ok(None)
    }

    fn record(
        &mut self,
        header: &BatchHeader,
        record: &Record<'_>,
    ) -> Result<Option<String>, DumpError> {
        let sequence = if header.base_sequence < 0 {
            NO_SEQUENCE
        } else {
            let delta = record.offset.wrapping_sub(header.base_offset) as i32;
            increment_sequence(header.base_sequence, delta)
        };
        let keys: Vec<_> = record.headers.iter().map(|h| String::from_utf8_lossy(h.key)).collect();
        write!(
            self.out,
            "| offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
            record.offset,
            timestamp_type(header),
            record.timestamp.0,
            size_of(record.key),
            size_of(record.value),
            keys.join(","),
        )?;
        if header.attributes.is_control() {
            match decode::control(record) {
                Ok(text) => write!(self.out, " {text}")?,
                Err(fault) => return Ok(Some(format!("record {}: {fault}", record.offset))),
            }
        }
        Ok(None)
    }

    fn contents(&mut self, decoder: &Decoder, record: &Record<'_>) -> Result<(), DumpError> {
        let DecodedContents { key, value } = decoder.decode(record);
        let mut prefix = if self.args.skip_record_metadata { "| " } else { " " };
        if let Some(key) = key {
            write!(self.out, "{prefix}key: {key}")?;
            prefix = " ";
        }
        if let Some(value) = value {
            write!(self.out, "{prefix}payload: {value}")?;
        }
        Ok(())
    }
}

/// Notes the offset of the next record, and a gap before it.
fn note_offset(offset: Offset, last_offset: &mut Offset, gaps: &mut BTreeMap<Offset, Offset>) {
    if offset != last_offset.wrapping_add(1) {
        gaps.insert(*last_offset, offset);
    }
    *last_offset = offset;
}

fn size_of(field: Option<&[u8]>) -> i64 {
    field.map_or(-1, |field| field.len() as i64)
}

fn timestamp_type(header: &BatchHeader) -> &'static str {
    match header.attributes.timestamp_type() {
        _ if header.magic == 0 => "NoTimestampType",
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}
