//! Kafka's own reading of the files that a broker wrote.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{PATIENCE, kafka, process};

/// The length of an index in use, short of at most one entry: 10 MiB by default.
const PREALLOCATED: u64 = (10 << 20) - 12;

/// Reads every file of every partition below the log directory `data` with kafka-dump-log: logs by deep iteration,
/// indexes against their logs and by their sanity check, producer snapshots, aborted-transaction indexes, the metadata
/// log and its snapshots. Returns everything that Kafka has to complain of, empty when the files are sound. Folders of
/// deleted partitions are left out.
///
/// The broker must be stopped: a file that grows while it is read has an end that looks torn.
pub(crate) fn complaints(data: &Path) -> String {
    let (metadata, partitions): (Vec<_>, Vec<_>) =
        folders(data).into_iter().partition(|folder| folder.ends_with("__cluster_metadata-0"));
    let of = |folders: &[PathBuf], extensions: &[&str]| -> Vec<_> {
        folders.iter().flat_map(|folder| files(folder, extensions)).collect()
    };
    let mut complaints = String::new();
    dump(&of(&partitions, &["log"]), &["--deep-iteration"], &mut complaints);
    let decode = ["--cluster-metadata-decoder", "--skip-record-metadata"];
    dump(&of(&metadata, &["log", "checkpoint"]), &decode, &mut complaints);
    let mut indexes = of(&metadata, &["index", "timeindex"]);
    // Apache Kafka never closes its metadata log: its indexes keep the length that they were given ahead.
    indexes.retain(|index| fs::metadata(index).unwrap().len() < PREALLOCATED);
    indexes.extend(of(&partitions, &["index", "timeindex"]));
    dump(&indexes, &["--verify-index-only"], &mut complaints);
    dump(&indexes, &["--index-sanity-check"], &mut complaints);
    dump(&of(&partitions, &["snapshot", "txnindex"]), &[], &mut complaints);
    complaints
}

/// Panics when Kafka complains of any file below `data`.
#[track_caller]
pub(crate) fn assert_sound(data: &Path) {
    let complaints = complaints(data);
    assert!(complaints.is_empty(), "kafka-dump-log on {}:\n{complaints}", data.display());
}

/// The partitions' folders.
fn folders(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let deleted = |path: &Path| path.to_string_lossy().ends_with("-delete");
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir() && !deleted(path)).collect();
    folders.sort();
    folders
}

/// The files of a folder with one of `extensions`, in order.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| {
            path.extension().is_some_and(|known| extensions.iter().any(|&wanted| known == wanted))
        })
        .collect();
    files.sort();
    files
}

fn dump(files: &[PathBuf], options: &[&str], complaints: &mut String) {
    // The system bounds the length of an argument.
    for files in files.chunks(500) {
        dump_some(files, options, complaints);
    }
}

fn dump_some(files: &[PathBuf], options: &[&str], complaints: &mut String) {
    let list: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    let mut command = kafka::tool("kafka-dump-log");
    command.args(options).args(["--files", &list.join(",")]);
    let ran = process::run(command, b"", PATIENCE * 5);
    if !ran.succeeded() {
        writeln!(complaints, "{options:?}: {ran}").unwrap();
        return;
    }
    let dumped = ran.stdout.lines().filter(|line| line.starts_with("Dumping ")).count();
    if dumped != files.len() {
        writeln!(complaints, "{options:?}: {dumped} of {} files were read", files.len()).unwrap();
    }
    let mut file = "";
    for line in ran.stdout.lines() {
        file = line.strip_prefix("Dumping ").unwrap_or(file);
        if line.contains("isvalid: false")
            || line.contains("invalid bytes at the end")
            || line.contains("Error at ")
        {
            writeln!(complaints, "{file}: {line}").unwrap();
        }
    }
    complain_of_errors(&ran.stderr, complaints);
}

/// Standard error holds nothing but complaints, save two that are none: a segment that does not start at offset 0 is
/// said to have a gap between "offset -1" and its first, and a batch that compaction left without records to have no
/// time, where Kafka's own cleaner leads to it by the largest time that it had.
fn complain_of_errors(stderr: &str, complaints: &mut String) {
    let mut heading = "";
    for line in stderr.lines() {
        let starts_late = line.trim_start().starts_with("-1 is followed by ");
        let has_no_records = line.ends_with(", log timestamp: -1");
        if line.starts_with("Non-consecutive offsets in ")
            || line.starts_with("Found timestamp mismatch in ")
        {
            heading = line;
        } else if !starts_late && !has_no_records {
            writeln!(complaints, "{}{line}", std::mem::take(&mut heading)).unwrap();
        }
    }
}
