//! `blumfeld dump-log`: shows what is in the files of a log directory.
//!
//! It takes the options of Kafka's `kafka-dump-log` and prints the same lines, so that scripts
//! that read those go on working. It opens files for reading only, in a running broker's directory
//! too, and holds at most one batch in memory.
//!
//! Read `records.rs` (segments and snapshots of the metadata log), `indexes.rs` (what lies beside
//! a segment) and `decode.rs` (keys, values and control records as text).
//!
//! Source: Kafka 4.4 `DumpLogSegments`, `FileLogInputStream`.

mod blocks;
mod decode;
mod indexes;
mod records;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use decode::{Decoder, Plain};

use crate::env::Disk;
use crate::log::files::{INDEX, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX};
use crate::raft::snapshot::SUFFIX as CHECKPOINT;
use crate::types::Offset;

/// The options of Kafka's tool; those for other decoders come with what they decode.
#[derive(clap::Args, Clone, Debug)]
pub struct DumpLogArgs {
    /// The files to show, separated by commas: .log, .checkpoint, .index, .timeindex, .txnindex,
    /// .snapshot
    #[arg(long, required = true, value_delimiter = ',', value_name = "FILE,...")]
    pub files: Vec<PathBuf>,
    /// Print keys and values of records too; any decoder option implies it
    #[arg(long)]
    pub print_data_log: bool,
    /// Look into the batches, at each record; --print-data-log implies it
    #[arg(long)]
    pub deep_iteration: bool,
    /// Check an index against its log without printing its entries
    #[arg(long)]
    pub verify_index_only: bool,
    /// Make the check of an index that a broker makes when it starts, and no other
    #[arg(long)]
    pub index_sanity_check: bool,
    /// The largest batch that an index entry may point to, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 5 * 1024 * 1024)]
    pub max_message_size: u32,
    /// Stop after so many bytes of each log
    #[arg(long, value_name = "BYTES", default_value_t = i32::MAX as u32)]
    pub max_bytes: u32,
    /// Print keys and values alone, and no control records
    #[arg(long)]
    pub skip_record_metadata: bool,
    /// Values are records of the cluster metadata log
    #[arg(long)]
    pub cluster_metadata_decoder: bool,
    /// How to read keys: StringDecoder, IntegerDecoder or LongDecoder, with or without Kafka's
    /// package name
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = "StringDecoder")]
    pub key_decoder_class: Option<Plain>,
    /// How to read values
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = "StringDecoder")]
    pub value_decoder_class: Option<Plain>,
}

impl DumpLogArgs {
    fn prints_contents(&self) -> bool {
        self.print_data_log
            || self.cluster_metadata_decoder
            || self.key_decoder_class.is_some()
            || self.value_decoder_class.is_some()
    }

    fn decoder(&self) -> Decoder {
        if self.cluster_metadata_decoder {
            return Decoder::ClusterMetadata;
        }
        let key = self.key_decoder_class.unwrap_or_default();
        Decoder::Plain { key, value: self.value_decoder_class.unwrap_or_default() }
    }
}

/// Why a dump ended early.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// A file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds what cannot be shown.
    #[error("{}: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        what: String,
    },
    /// The output went away. A closed pipe (`dump-log ... | head`) is no failure to report.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// One run of the command.
struct Dump<'a> {
    args: &'a DumpLogArgs,
    disk: &'a dyn Disk,
    out: &'a mut dyn Write,
    findings: indexes::IndexFindings,
}

/// Shows each file on `out`; what it finds wrong between a log and its indexes goes to `err`, once
/// all files are shown. Stops at the first file that cannot be read to its end, as Kafka's tool
/// does.
pub fn run(
    args: &DumpLogArgs,
    disk: &dyn Disk,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), DumpError> {
    let mut dump = Dump { args, disk, out, findings: indexes::IndexFindings::default() };
    for path in &args.files {
        // Printed as Java's `File` is: without doubled and final slashes.
        let path: PathBuf = path.components().collect();
        writeln!(dump.out, "Dumping {}", path.display())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let suffix = name.rfind('.').map_or("", |at| &name[at..]);
        match suffix {
            LOG | CHECKPOINT => dump.records(&path)?,
            INDEX => dump.offset_index(&path)?,
            TIME_INDEX => dump.time_index(&path)?,
            TXN_INDEX => dump.txn_index(&path)?,
            SNAPSHOT => dump.producers(&path, err)?,
            _ => writeln!(err, "Ignoring unknown file {}", path.display())?,
        }
    }
    dump.findings.print(err)?;
    Ok(())
}

/// The first offset that a segment's file name says: what stands before its first dot.
fn base_offset(path: &Path) -> Result<Offset, DumpError> {
    let stem = stem(path);
    stem.parse().map_err(|_| DumpError::Damaged {
        path: path.to_owned(),
        what: format!("the name does not begin with an offset: {stem:?}"),
    })
}

/// The file of the same segment with another suffix.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_file_name(format!("{}{suffix}", stem(path)))
}

fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}
