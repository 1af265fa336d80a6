//! Batches of the metadata log and its snapshots: control records, or metadata records; never
//! compressed (Kafka 4.4 `BatchBuilder`, `RecordsIterator`, `ControlRecordType`).

use bytes::BytesMut;

use super::voters::{ReplicaKey, Voter, VoterEndpoint, VoterSet};
use crate::codec::{CodecError, Writer};
use crate::metadata::control::{
    Endpoint, KRaftVersionFeature, KRaftVersionRecord, LeaderChangeMessage, LeaderChangeVoter,
    SnapshotFooterRecord, SnapshotHeaderRecord, Voter as VoterRecord, VotersRecord,
};
use crate::metadata::record::{MetadataRecord, RecordError};
use crate::record::CompressionType;
use crate::record::batch::{BatchView, HEADER_LEN};
use crate::record::{BatchBuilder, ControlType, Records, RecordsError};
use crate::types::{BrokerId, LeaderEpoch, Offset, Timestamp, Uuid};

/// No batch of the metadata log is larger (Kafka 4.4 `KafkaRaftClient.MAX_BATCH_SIZE_BYTES`).
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a batch takes beside the value of a record: its header, and the frame of the record.
pub const RECORD_OVERHEAD_MAX: usize = HEADER_LEN + 21;

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
    #[error("batch at offset {base}: {source}")]
    Frame {
        /// The batch.
        base: Offset,
        /// What is wrong.
        source: RecordsError,
    },
    /// A control record of a newer version, or damaged.
    #[error("record at offset {offset}: {source}")]
    Control {
        /// Where.
        offset: Offset,
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
    fn kind(&self) -> ControlType {
        match self {
            Self::LeaderChange { .. } => ControlType::LeaderChange,
            Self::SnapshotHeader { .. } => ControlType::SnapshotHeader,
            Self::SnapshotFooter => ControlType::SnapshotFooter,
            Self::KraftVersion(_) => ControlType::KraftVersion,
            Self::Voters(_) => ControlType::KraftVoters,
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

    fn decode(kind: ControlType, value: &[u8]) -> Result<Option<Self>, CodecError> {
        Ok(Some(match kind {
            ControlType::LeaderChange => {
                let message = LeaderChangeMessage::decode(value, CONTROL_VERSION)?;
                let ids = |list: &[LeaderChangeVoter]| list.iter().map(|v| v.voter_id).collect();
                Self::LeaderChange {
                    leader: message.leader_id,
                    voters: ids(&message.voters),
                    granting: ids(&message.granting_voters),
                }
            }
            ControlType::SnapshotHeader => {
                let header = SnapshotHeaderRecord::decode(value, CONTROL_VERSION)?;
                let last_contained = Timestamp(header.last_contained_log_timestamp);
                Self::SnapshotHeader { last_contained }
            }
            ControlType::SnapshotFooter => {
                SnapshotFooterRecord::decode(value, CONTROL_VERSION)?;
                Self::SnapshotFooter
            }
            ControlType::KraftVersion => Self::KraftVersion(
                KRaftVersionRecord::decode(value, CONTROL_VERSION)?.kraft_version,
            ),
            ControlType::KraftVoters => {
                let voters = VotersRecord::decode(value, CONTROL_VERSION)?.voters;
                Self::Voters(VoterSet::new(voters.into_iter().map(voter_from_record)))
            }
            // Transactions of producers, which this log has not.
            ControlType::Abort | ControlType::Commit => return Ok(None),
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

/// A batch without records, of the metadata log at `base_offset`.
pub fn empty(base_offset: Offset, leader_epoch: LeaderEpoch) -> BatchBuilder {
    BatchBuilder::new(base_offset).leader_epoch(leader_epoch)
}

/// A batch of control records.
pub fn control(
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    now: Timestamp,
    records: &[ControlRecord],
) -> Vec<u8> {
    let mut batch = empty(base_offset, leader_epoch).control();
    for record in records {
        batch.push(now, Some(&record.kind().key()), Some(&record.value()));
    }
    finish(batch)
}

/// The bytes of a batch.
pub fn finish(batch: BatchBuilder) -> Vec<u8> {
    batch.build().expect("only a compressor fails, and there is none")
}

/// Reads the records of a batch whose CRC was checked.
pub fn decode(batch: &BatchView<'_>) -> Result<Content, ContentError> {
    let header = batch.header();
    let base = header.base_offset;
    if header.attributes.compression() != Some(CompressionType::None) {
        return Err(ContentError::Compressed(base));
    }
    let is_control = header.attributes.is_control();
    let (mut control, mut data) = (Vec::new(), Vec::new());
    let frame = |source| ContentError::Frame { base, source };
    for record in Records::of(batch).map_err(frame)?.iter() {
        let record = record.map_err(frame)?;
        let offset = record.offset;
        let value = record.value.ok_or(ContentError::NoValue(offset))?;
        if is_control {
            let key = record.key.unwrap_or_default();
            let number = ControlType::number(key).unwrap_or(-1);
            let unknown = ContentError::ControlType { offset, kind: number };
            let kind = ControlType::from_key(key).ok_or_else(|| unknown.clone())?;
            let record = ControlRecord::decode(kind, value)
                .map_err(|source| ContentError::Control { offset, source })?;
            control.push(record.ok_or(unknown)?);
        } else {
            let (record, _version) = MetadataRecord::decode(value)
                .map_err(|source| ContentError::Record { offset, source })?;
            data.push(record);
        }
    }
    Ok(if is_control { Content::Control(control) } else { Content::Data(data) })
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
        let written = control(0, 1, Timestamp(1_795_488_581_535), &first_records());
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
        let mut batch = empty(7, 3);
        for record in &records {
            batch.push(Timestamp(5), None, Some(&record.encode(0).unwrap()));
        }
        let bytes = finish(batch);
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
