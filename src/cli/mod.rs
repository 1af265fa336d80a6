//! The commands of the `blumfeld` program. Each is given the world outside and where to print; this
//! page parses the command line and picks one.

pub mod check;
pub mod dump_log;
mod format;
mod log_levels;
mod logging;
mod serve;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Properties, StartError};
use crate::env::Disk;

/// A broker that speaks Apache Kafka's protocol.
#[derive(Parser)]
#[command(
    name = "blumfeld",
    version,
    about,
    args_conflicts_with_subcommands = true,
    after_help = "Without a file: one node on localhost:9092, its data in ./data, formatted on \
                  first start.\nBLUMFELD_LOG sets what is logged: info, debug, \
                  blumfeld::server=debug,info ...\nBLUMFELD_REQUEST_LOG names client ids \
                  whose requests are logged: orders,payments-* ..."
)]
struct Arguments {
    /// A server.properties, as Apache Kafka has it.
    file: Option<PathBuf>,
    /// Sets a key, over what the file says.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Formats the directories of a node, as kafka-storage format does.
    Format(format::FormatArgs),
    /// Prints what the files of a log hold, as kafka-dump-log does.
    DumpLog(dump_log::DumpLogArgs),
    /// Reads all files of log directories and tells what is damaged; changes nothing. Exit status: 1
    /// when something is found, 2 when something cannot be looked at, 141 when nobody reads what it
    /// prints.
    Check(check::CheckArgs),
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Arguments { file, overrides, command } = Arguments::parse_from(arguments);
    match command {
        None => serve::run(file, overrides),
        Some(Command::Format(arguments)) => format::run(&arguments),
        Some(Command::DumpLog(arguments)) => dump(&arguments),
        Some(Command::Check(arguments)) => check_dirs(&arguments),
    }
}

/// The exit status that a shell reports for a program that SIGPIPE (13) ended.
const READER_GONE: u8 = 128 + 13;

fn is_reader_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

fn dump(arguments: &dump_log::DumpLogArgs) -> ExitCode {
    let disk = crate::env::real::disk();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    match dump_log::run(arguments, &*disk, &mut out, &mut err) {
        Ok(()) => ExitCode::SUCCESS,
        // As a program that SIGPIPE ended.
        Err(dump_log::DumpError::Print(error)) if is_reader_gone(&error) => {
            ExitCode::from(READER_GONE)
        }
        Err(error) => {
            let _ = writeln!(err, "{error}"); // There is nowhere left to say it.
            ExitCode::FAILURE
        }
    }
}

fn check_dirs(arguments: &check::CheckArgs) -> ExitCode {
    let disk = crate::env::real::disk();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let checked = check::run(arguments, &*disk, &mut out);
    let flushed = out.flush();
    match checked {
        // As a program that SIGPIPE ended: the check was cut short, and there is nobody to tell.
        Err(check::CheckError::Print(error)) if is_reader_gone(&error) => {
            ExitCode::from(READER_GONE)
        }
        Ok(_) if flushed.as_ref().is_err_and(is_reader_gone) => ExitCode::from(READER_GONE),
        Ok(totals) if flushed.is_ok() && totals.findings == 0 => ExitCode::SUCCESS,
        Ok(_) if flushed.is_ok() => ExitCode::FAILURE,
        Ok(_) => ExitCode::from(2),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}"); // There is nowhere left to say it.
            ExitCode::from(2)
        }
    }
}

/// Why the settings cannot be read.
#[derive(Debug, thiserror::Error)]
enum SettingsError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{0}: no such file")]
    Missing(PathBuf),
    #[error(transparent)]
    Parse(#[from] StartError),
}

/// Reads a server.properties and puts the overrides over it.
fn read_settings(
    disk: &dyn Disk,
    path: &std::path::Path,
    overrides: &[String],
) -> Result<Properties, SettingsError> {
    let read = disk.read_file(path);
    let bytes = read
        .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?
        .ok_or_else(|| SettingsError::Missing(path.to_owned()))?;
    let mut settings = Properties::parse(&path.to_string_lossy(), &bytes)?;
    put_over(&mut settings, overrides)?;
    Ok(settings)
}

fn put_over(settings: &mut Properties, overrides: &[String]) -> Result<(), SettingsError> {
    for argument in overrides {
        settings.set_override(argument)?;
    }
    Ok(())
}
