//! Keys, values and control records as text.

use std::str::FromStr;

use crate::metadata::MetadataRecord;
use crate::metadata::control::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord,
};
use crate::record::control::coordinator_epoch;
use crate::record::{ControlType, Record};

/// What a record's key and value say, where they are to be printed.
pub(super) struct DecodedContents {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
}

/// How the records of a log are read.
pub(super) enum Decoder {
    Plain { key: Plain, value: Plain },
    ClusterMetadata,
}

/// The decoders of Kafka that need no class of the user's (`org.apache.kafka.tools.api`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Plain {
    /// UTF-8; what is not is replaced.
    #[default]
    String,
    /// 4 bytes.
    Integer,
    /// 8 bytes.
    Long,
}

impl FromStr for Plain {
    type Err = String;

    fn from_str(class: &str) -> Result<Self, String> {
        match class.strip_prefix("org.apache.kafka.tools.api.").unwrap_or(class) {
            "StringDecoder" => Ok(Self::String),
            "IntegerDecoder" => Ok(Self::Integer),
            "LongDecoder" => Ok(Self::Long),
            _ => Err("classes of one's own cannot be loaded: expected StringDecoder, \
                      IntegerDecoder or LongDecoder"
                .to_owned()),
        }
    }
}

impl Plain {
    fn decode(self, bytes: &[u8]) -> String {
        let number = match self {
            Self::String => return String::from_utf8_lossy(bytes).into_owned(),
            Self::Integer => bytes.first_chunk().map(|bytes| i64::from(i32::from_be_bytes(*bytes))),
            Self::Long => bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes)),
        };
        number.map_or_else(|| format!("<{} bytes>", bytes.len()), |number| number.to_string())
    }
}

impl Decoder {
    pub(super) fn decode(&self, record: &Record<'_>) -> DecodedContents {
        match self {
            Self::Plain { key, value } => DecodedContents {
                key: record.key.map(|bytes| key.decode(bytes)),
                value: record.value.map(|bytes| value.decode(bytes)),
            },
            Self::ClusterMetadata => {
                let value = MetadataRecord::decode(record.value.unwrap_or_default()).map_or_else(
                    |error| format!("Error at {}, skipping. {error}", record.offset),
                    |(value, version)| value.to_json(version),
                );
                DecodedContents { key: None, value: Some(value) }
            }
        }
    }
}

/// What a control record says.
///
/// Errors: in words, when its key or value cannot be read.
pub(super) fn control(record: &Record<'_>) -> Result<String, String> {
    let number = record.key.and_then(ControlType::number).ok_or("its key is no control key")?;
    let value = record.value.unwrap_or_default();
    let Some(kind) = ControlType::of(record) else {
        return Ok(format!("controlType: UNKNOWN({number})"));
    };
    macro_rules! message {
        ($name:literal, $message:ty) => {{
            // The version comes first in the value, and once more as its first field.
            let version = value.first_chunk().map_or(0, |bytes| i16::from_be_bytes(*bytes));
            <$message>::decode(value, version)
                .map(|message| format!("{} {}", $name, message.to_json(version)))
                .map_err(|error| error.to_string())
        }};
    }
    match kind {
        ControlType::Abort | ControlType::Commit => {
            let name = if kind == ControlType::Commit { "COMMIT" } else { "ABORT" };
            let epoch = coordinator_epoch(value).ok_or("its value is no end of a transaction")?;
            Ok(format!("endTxnMarker: {name} coordinatorEpoch: {epoch}"))
        }
        ControlType::LeaderChange => message!("LeaderChange:", LeaderChangeMessage),
        ControlType::SnapshotHeader => message!("SnapshotHeader", SnapshotHeaderRecord),
        ControlType::SnapshotFooter => message!("SnapshotFooter", SnapshotFooterRecord),
        ControlType::KraftVersion => message!("KRaftVersion", KRaftVersionRecord),
        ControlType::KraftVoters => message!("KRaftVoters", VotersRecord),
    }
}
