//! Batches of the metadata log and its snapshots: control records, or metadata records; never
//! compressed (Kafka 4.4 `BatchBuilder`, `RecordsIterator`, `ControlRecordType`).

use bytes::{BufMut, BytesMut};

use super::voters::{ReplicaKey, Voter, VoterEndpoint, VoterSet};
use crate::codec::{CodecError, Reader, Writer};
use crate::metadata::control::{
    Endpoint, KRaftVersionFeature, KRaftVersionRecord, LeaderChangeMessage, LeaderChangeVoter,
    SnapshotFooterRecord, SnapshotHeaderRecord, Voter as VoterRecord, VotersRecord,
};
use crate::metadata::record::{MetadataRecord, RecordError};
use crate::record::batch::{
    Attributes, BatchHeader, BatchView, CRC_START, HEADER_LEN, LENGTH_PREFIX_LEN, MAGIC,
};
use crate::types::{
    BrokerId, LeaderEpoch, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Offset, Timestamp, Uuid,
};

/// No batch of the metadata log is larger (Kafka 4.4 `KafkaRaftClient.MAX_BATCH_SIZE_BYTES`).
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The version of every control record's key, and of every value but as stated.
const CONTROL_VERSION: i16 = 0;

/// A control record of the quorum.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlRecord {
    /// First in each epoch.
    LeaderChange {
        /// The new leader.
        leader: BrokerId,
        /// All voters.
        voters: Vec<BrokerId>,
        /// Those that voted for it.
        granting: Vec<BrokerId>,
    },
    /// First in a snapshot.
    SnapshotHeader {
        /// When the last record that it contains was appended to the log.
        last_contained: Timestamp,
    },
    /// Last in a snapshot: without it the snapshot is torn.
    SnapshotFooter,
    /// The version of the quorum's protocol.
    KraftVersion(i16),
    /// The voters.
    Voters(VoterSet),
}

/// What a batch holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Records of the quorum.
    Control(Vec<ControlRecord>),
    /// Records of the cluster.
    Data(Vec<MetadataRecord>),
}

/// Why a batch is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The metadata log is never compressed.
    #[error("batch at offset {0} is compressed, which no batch of the metadata log is")]
    Compressed(Offset),
    /// The bytes between the records make no sense.
    #[error("record {index} of the batch at offset {base}: {source}")]
    Frame {
        /// The batch.
        base: Offset,
        /// The record in it.
        index: i32,
        /// What is wrong.
        source: CodecError,
    },
    /// A metadata record of a newer release, or damaged.
    #[error("record at offset {offset}: {source}")]
    Record {
        /// Where.
        offset: Offset,
        /// What is wrong.
        source: RecordError,
    },
    /// A control record of a newer release.
    #[error("record at offset {offset}: control record type {kind} is unknown to this release")]
    ControlType {
        /// Where.
        offset: Offset,
        /// Its type.
        kind: i16,
    },
    /// A data record without a value.
    #[error("record at offset {0} has no value")]
    NoValue(Offset),
}

impl ControlRecord {
    fn kind(&self) -> i16 {
        match self {
            Self::LeaderChange { .. } => 2,
            Self::SnapshotHeader { .. } => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion(_) => 5,
            Self::Voters(_) => 6,
        }
    }

    fn value(&self) -> BytesMut {
        let mut writer = Writer::new();
        let version = CONTROL_VERSION;
        // Only a field that a version lacks makes encoding fail, and there is one version.
        let _ = match self {
            Self::LeaderChange { leader, voters, granting } => {
                let list = |ids: &[BrokerId]| {
                    let voter = |id: &BrokerId| LeaderChangeVoter {
                        voter_id: *id,
                        voter_directory_id: Uuid::ZERO,
                    };
                    ids.iter().map(voter).collect()
                };
                let (voters, granting_voters) = (list(voters), list(granting));
                LeaderChangeMessage { version, leader_id: *leader, voters, granting_voters }
                    .encode(&mut writer, version)
            }
            Self::SnapshotHeader { last_contained } => {
                let last_contained_log_timestamp = last_contained.0;
                SnapshotHeaderRecord { version, last_contained_log_timestamp }
                    .encode(&mut writer, version)
            }
            Self::SnapshotFooter => SnapshotFooterRecord { version }.encode(&mut writer, version),
            Self::KraftVersion(kraft_version) => {
                KRaftVersionRecord { version, kraft_version: *kraft_version }
                    .encode(&mut writer, version)
            }
            Self::Voters(voters) => {
                VotersRecord { version, voters: voters.iter().map(voter_to_record).collect() }
                    .encode(&mut writer, version)
            }
        };
        writer.into_bytes()
    }

    fn decode(kind: i16, value: &[u8]) -> Result<Option<Self>, CodecError> {
        Ok(Some(match kind {
            2 => {
                let message = LeaderChangeMessage::decode(value, CONTROL_VERSION)?;
                let ids = |list: &[LeaderChangeVoter]| list.iter().map(|v| v.voter_id).collect();
                Self::LeaderChange {
                    leader: message.leader_id,
                    voters: ids(&message.voters),
                    granting: ids(&message.granting_voters),
                }
            }
            3 => {
                let header = SnapshotHeaderRecord::decode(value, CONTROL_VERSION)?;
                let last_contained = Timestamp(header.last_contained_log_timestamp);
                Self::SnapshotHeader { last_contained }
            }
            4 => {
                SnapshotFooterRecord::decode(value, CONTROL_VERSION)?;
                Self::SnapshotFooter
            }
            5 => Self::KraftVersion(
                KRaftVersionRecord::decode(value, CONTROL_VERSION)?.kraft_version,
            ),
            6 => {
                let voters = VotersRecord::decode(value, CONTROL_VERSION)?.voters;
                Self::Voters(VoterSet::new(voters.into_iter().map(voter_from_record)))
            }
            _ => return Ok(None),
        }))
    }
}

fn voter_to_record(voter: &Voter) -> VoterRecord {
    let endpoint = |at: &VoterEndpoint| Endpoint {
        name: at.listener.clone(),
        host: at.host.clone(),
        port: at.port,
    };
    VoterRecord {
        voter_id: voter.key.id,
        voter_directory_id: voter.key.directory.unwrap_or(Uuid::ZERO),
        endpoints: voter.endpoints.iter().map(endpoint).collect(),
        kraft_version_feature: KRaftVersionFeature {
            min_supported_version: voter.kraft_versions.0,
            max_supported_version: voter.kraft_versions.1,
        },
    }
}

fn voter_from_record(record: VoterRecord) -> Voter {
    let directory = Some(record.voter_directory_id).filter(|id| !id.is_zero());
    let endpoint = |at: Endpoint| VoterEndpoint { listener: at.name, host: at.host, port: at.port };
    let feature = record.kraft_version_feature;
    Voter {
        key: ReplicaKey { id: record.voter_id, directory },
        endpoints: record.endpoints.into_iter().map(endpoint).collect(),
        kraft_versions: (feature.min_supported_version, feature.max_supported_version),
    }
}

/// Puts records into a batch, one after the other.
#[derive(Debug)]
pub struct BatchWriter {
    bytes: BytesMut,
    count: i32,
}

impl Default for BatchWriter {
    fn default() -> Self {
        Self { bytes: BytesMut::zeroed(HEADER_LEN), count: 0 }
    }
}

impl BatchWriter {
    /// How many records it holds.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// The whole batch in bytes, so far.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the framed value of a metadata record.
    pub fn push(&mut self, value: &[u8]) {
        self.add(None, value);
    }

    /// Adds a control record.
    pub fn push_control(&mut self, record: &ControlRecord) {
        let mut key = [0; 4];
        key[..2].copy_from_slice(&CONTROL_VERSION.to_be_bytes());
        key[2..].copy_from_slice(&record.kind().to_be_bytes());
        self.add(Some(&key), &record.value());
    }

    fn add(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let mut record = Writer::new();
        record.buf().put_i8(0); // Attributes: none are defined.
        record.varlong(0); // All records of a batch have its time.
        record.varint(self.count);
        match key {
            None => record.varint(-1),
            Some(key) => {
                record.varint(key.len() as i32);
                record.buf().put_slice(key);
            }
        }
        record.varint(value.len() as i32);
        record.buf().put_slice(value);
        record.varint(0); // Headers.
        let record = record.into_bytes();
        let mut length = Writer::new();
        length.varint(record.len() as i32);
        self.bytes.put_slice(&length.into_bytes());
        self.bytes.put_slice(&record);
        self.count += 1;
    }

    /// The batch, with its header.
    pub fn finish(
        self,
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
        now: Timestamp,
        control: bool,
    ) -> BytesMut {
        let mut bytes = self.bytes;
        let mut header = BatchHeader {
            base_offset,
            batch_length: (bytes.len() - LENGTH_PREFIX_LEN) as i32,
            leader_epoch,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default().control(control),
            last_offset_delta: self.count - 1,
            base_timestamp: now,
            max_timestamp: now,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            records_count: self.count,
        };
        bytes[..HEADER_LEN].copy_from_slice(&header.write());
        header.crc = crc32c::crc32c(&bytes[CRC_START..]);
        bytes[..HEADER_LEN].copy_from_slice(&header.write());
        bytes
    }
}

/// Reads the records of a batch whose CRC was checked.
pub fn decode(batch: &BatchView<'_>) -> Result<Content, ContentError> {
    let header = batch.header();
    let base = header.base_offset;
    if header.attributes.0 & 0x07 != 0 {
        return Err(ContentError::Compressed(base));
    }
    let is_control = header.attributes.is_control();
    let (mut control, mut data) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(batch.payload());
    for index in 0..header.records_count {
        let offset = base + i64::from(index);
        let (key, value) = next_record(&mut reader).map_err(|source| ContentError::Frame {
            base,
            index,
            source,
        })?;
        let value = value.ok_or(ContentError::NoValue(offset))?;
        if is_control {
            let frame = |source| ContentError::Frame { base, index, source };
            let mut key = Reader::new(key.unwrap_or_default());
            let _version = key.i16().map_err(frame)?;
            let kind = key.i16().map_err(frame)?;
            let record = ControlRecord::decode(kind, value).map_err(frame)?;
            control.push(record.ok_or(ContentError::ControlType { offset, kind })?);
        } else {
            let (record, _version) = MetadataRecord::decode(value)
                .map_err(|source| ContentError::Record { offset, source })?;
            data.push(record);
        }
    }
    reader.finish().map_err(|source| ContentError::Frame {
        base,
        index: header.records_count,
        source,
    })?;
    Ok(if is_control { Content::Control(control) } else { Content::Data(data) })
}

type KeyAndValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn next_record<'a>(reader: &mut Reader<'a>) -> Result<KeyAndValue<'a>, CodecError> {
    let take = |reader: &mut Reader<'a>| -> Result<Option<&'a [u8]>, CodecError> {
        let length = usize::try_from(reader.varint()?).ok();
        length.map(|length| reader.take(length)).transpose()
    };
    let mut record = Reader::new(take(reader)?.ok_or(CodecError::Null)?);
    let _attributes = record.i8()?;
    let _timestamp_delta = record.varlong()?;
    let _offset_delta = record.varint()?;
    let key = take(&mut record)?;
    let value = take(&mut record)?;
    for _ in 0..record.varint()? {
        take(&mut record)?;
        take(&mut record)?;
    }
    record.finish()?;
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::record::FeatureLevelRecord;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// The first batch of a metadata log, written by Apache Kafka 4.4.0 on a node that was
    /// formatted with `--standalone`.
    const FIRST_BATCH: &str = "
        0000 0000 0000 0000 0000 00a2 0000 0001 0244 7333 bb00 2000 0000 0200 0001 a20b
        7587 9f00 0001 a20b 7587 9fff ffff ffff ffff ffff ffff ffff ff00 0000 033a 0000
        0008 0000 0002 2600 0000 0000 0102 0000 0001 0002 0000 0001 0000 001e 0000 0208
        0000 0005 0a00 0000 0100 0082 0100 0004 0800 0000 066e 0000 0200 0000 016a 85c4
        296e 0149 12b8 69a7 bc1d b827 7e02 0b43 4f4e 5452 4f4c 4c45 520a 6c6f 6361 6c68
        6f73 744c a600 0000 0001 0000 0000";

    fn first_records() -> Vec<ControlRecord> {
        let voter = super::super::voters::DynamicVoter {
            id: 1,
            host: "localhost".to_owned(),
            port: 19622,
            directory: "aoXEKW4BSRK4aae8Hbgnfg".parse().unwrap(),
        };
        vec![
            ControlRecord::LeaderChange { leader: 1, voters: vec![1], granting: vec![1] },
            ControlRecord::KraftVersion(1),
            ControlRecord::Voters(VoterSet::new([voter.to_voter("CONTROLLER")])),
        ]
    }

    #[test]
    fn kafkas_control_batch_is_written_byte_for_byte() {
        let mut writer = BatchWriter::default();
        for record in first_records() {
            writer.push_control(&record);
        }
        let written = writer.finish(0, 1, Timestamp(1_795_488_581_535), true);
        assert_eq!(written, bytes(FIRST_BATCH));
    }

    #[test]
    fn kafkas_control_batch_is_read() {
        let bytes = bytes(FIRST_BATCH);
        let view = BatchView::first(&bytes).unwrap();
        view.check_crc().unwrap();
        assert_eq!(decode(&view), Ok(Content::Control(first_records())));
    }

    #[test]
    fn metadata_records_come_back_from_their_batch() {
        let records: Vec<MetadataRecord> = (0..3)
            .map(|level| {
                let name = "group.version".to_owned();
                FeatureLevelRecord { name, feature_level: level }.into()
            })
            .collect();
        let mut writer = BatchWriter::default();
        for record in &records {
            writer.push(&record.encode(0).unwrap());
        }
        let bytes = writer.finish(7, 3, Timestamp(5), false);
        let view = BatchView::first(&bytes).unwrap();
        assert_eq!(view.header().next_offset(), 10);
        assert_eq!(decode(&view), Ok(Content::Data(records)));
    }

    #[test]
    fn damage_and_newer_records_are_refused_and_never_panic() {
        let good = bytes(FIRST_BATCH);
        for at in HEADER_LEN..good.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = decode(&BatchView::first(&bad).unwrap());
            }
        }
        let mut newer = good;
        newer[0x45] = 9; // The type in the first key.
        let error = decode(&BatchView::first(&newer).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "record at offset 0: control record type 9 is unknown to this release");
    }
}
