//! `blumfeld check`: reads every file of log directories, changes nothing, and tells what is damaged.
//!
//! A broker reads what it needs: after a clean stop hardly anything, after any other what lies past
//! the recovery point. This reads all of it and reports whatever a CRC, a length, the order of
//! offsets or the agreement between two files can tell, one line each: the file, where in it, what
//! is wrong, and what to do. It works on directories of Apache Kafka too.
//!
//! What a broker that was killed leaves is no damage: an index that is longer than its entries, and
//! beyond the recovery point indexes and epochs that lag behind their log.
//!
//! Read `log_dir.rs` (checkpoints, and which partitions there are), `partition.rs` (what lies beside
//! the segments), `segment.rs` (batch by batch, indexes in step) and `indexes.rs`, `aborted.rs`.

mod aborted;
mod blocks;
mod indexes;
mod log_dir;
mod partition;
mod partition_walk;
mod segment;
mod segment_files;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::env::Disk;

/// The options.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckArgs {
    /// Log directories, or directories of single partitions, of a broker that is stopped
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
}

/// Why nothing can be said of a directory.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It cannot be read at all.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its files change while they are read.
    #[error("{}: a broker is running on this directory; stop it first", .0.display())]
    InUse(PathBuf),
    /// It is neither a log directory nor a partition.
    #[error("{}: neither a log directory nor the directory of a partition", .0.display())]
    NoLogDir(PathBuf),
    /// The output went away.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// What was looked at, and how much of it is damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Partitions, the metadata log among them.
    pub partitions: u64,
    /// Files.
    pub files: u64,
    /// Bytes of records.
    pub record_bytes: u64,
    /// Damage that was reported.
    pub findings: u64,
}

/// Where in a file something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    File,
    Byte(u64),
    Line(usize),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Byte(position) => write!(f, ", byte {position}"),
            Self::Line(number) => write!(f, ", line {number}"),
        }
    }
}

/// What to do about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    /// Records that were promised to be there are not.
    Restore,
    /// Records behind the recovery point of a broker that did not stop cleanly.
    WillBeCut,
    /// It is made anew from the segment.
    RemoveIndex,
    /// As that, but only together with the offset index.
    RemoveTxnIndex,
    RemoveSnapshot,
    RemoveEpochs,
    RemoveCheckpoint,
    RemoveMetadataSnapshot,
    /// Nothing makes it anew.
    RestoreFile,
    ReadAgain,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restore => {
                "take the partition from a replica or a backup; or accept the loss of what follows, \
                 and cut the file there"
            }
            Self::WillBeCut => "the next start cuts the log there",
            Self::RemoveIndex => "remove the file: the next start makes it anew",
            Self::RemoveTxnIndex => {
                "remove the file and the .index of the same name: the next start makes both anew"
            }
            Self::RemoveSnapshot => {
                "remove the file: the next start takes an older one, and the records behind it"
            }
            Self::RemoveEpochs => "remove the file: the next start makes it anew from the records",
            Self::RemoveCheckpoint => {
                "remove the file: the next start reads the logs from their beginning"
            }
            Self::RemoveMetadataSnapshot => "remove the file if there is an older one",
            Self::RestoreFile => "take it from a backup",
            Self::ReadAgain => "see to the disk, and check again",
        })
    }
}

/// One run: what it reads from, and what it has to say.
struct Check<'a> {
    disk: &'a dyn Disk,
    out: &'a mut dyn Write,
    totals: Totals,
    /// The output failed.
    print_error: Option<io::Error>,
}

impl Check<'_> {
    fn report(&mut self, path: &Path, at: At, what: &str, advice: Advice) {
        self.totals.findings += 1;
        if let Err(error) = writeln!(self.out, "{}{at}: {what}; {advice}", path.display()) {
            self.print_error.get_or_insert(error);
        }
    }

    /// The bytes of a small file; nothing if it is missing, or cannot be read, which is reported.
    fn read(&mut self, path: &Path) -> Option<Vec<u8>> {
        match self.disk.read_file(path) {
            Ok(bytes) => {
                self.totals.files += u64::from(bytes.is_some());
                bytes
            }
            Err(error) => {
                self.report(path, At::File, &error.to_string(), Advice::ReadAgain);
                None
            }
        }
    }
}

/// Checks each directory and reports on `out`, damage first, then what was looked at.
///
/// Errors: something could not be looked at; what was found before it is printed.
pub fn run(args: &CheckArgs, disk: &dyn Disk, out: &mut dyn Write) -> Result<Totals, CheckError> {
    let mut check = Check { disk, out, totals: Totals::default(), print_error: None };
    for dir in &args.dirs {
        let dir: PathBuf = dir.components().collect();
        log_dir::check(&mut check, &dir)?;
        if let Some(error) = check.print_error.take() {
            return Err(error.into());
        }
    }
    let Totals { partitions, files, record_bytes, findings } = check.totals;
    writeln!(
        check.out,
        "{partitions} partitions, {files} files, {record_bytes} bytes of records: {}",
        match findings {
            0 => "no damage".to_owned(),
            1 => "1 finding".to_owned(),
            more => format!("{more} findings"),
        }
    )?;
    Ok(check.totals)
}
