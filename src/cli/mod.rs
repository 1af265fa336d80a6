//! The commands of the `blumfeld` program. Each is given the world outside and where to print; this
//! page parses the command line and picks one.

pub mod dump_log;
mod provisional;
mod serve;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A Kafka-wire-compatible broker.
#[derive(Parser)]
#[command(name = "blumfeld", version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// A server.properties, as Apache Kafka has it. Without one: a combined broker and controller
    /// on localhost:9092, formatted on first start.
    file: Option<PathBuf>,
    /// Sets a key, over what the file says.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Prints what the files of a log hold, as kafka-dump-log does.
    DumpLog(dump_log::DumpLogArgs),
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = Arguments::parse_from(arguments);
    if let Some(Command::DumpLog(arguments)) = &arguments.command {
        return dump(arguments);
    }
    let mut overrides = BTreeMap::new();
    for text in &arguments.overrides {
        if let Some((key, value)) = text.split_once('=') {
            overrides.insert(key.to_owned(), value.to_owned());
        }
    }
    serve::run(&overrides)
}

fn dump(arguments: &dump_log::DumpLogArgs) -> ExitCode {
    let disk = crate::env::real::disk();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    match dump_log::run(arguments, &*disk, &mut out, &mut err) {
        Ok(()) => ExitCode::SUCCESS,
        Err(dump_log::DumpError::Print(error))
            if error.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(err, "{error}"); // There is nowhere left to say it.
            ExitCode::FAILURE
        }
    }
}
