//! The program's log: what is written, and the last words of a panic.

use std::backtrace::Backtrace;
use std::io;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use crate::env::LogLevels;
use crate::env::real::{LogOutput, thread_name, try_write_to_stderr};
use crate::server::request_log::RequestLog;

/// The variable that sets what is logged.
const VARIABLE: &str = "BLUMFELD_LOG";
/// The variable that names the clients whose requests are logged.
const REQUESTS_VARIABLE: &str = "BLUMFELD_REQUEST_LOG";
/// The target of these lines.
const REQUESTS_TARGET: &str = "blumfeld::request";
/// What is logged where it is not set.
const DEFAULT: &str = "info";

/// Whose requests are logged, apart from those of everyone.
pub(super) fn request_log() -> RequestLog {
    RequestLog::of_clients(&std::env::var(REQUESTS_VARIABLE).unwrap_or_default())
}

/// The directives of the filter, from the values of the two variables.
///
/// Errors: a directive is invalid.
fn directives(text: &str, clients: &str) -> Result<String, ParseError> {
    EnvFilter::try_new(text)?;
    if clients.is_empty() || text.contains(REQUESTS_TARGET) {
        return Ok(text.to_owned());
    }
    // An operator who names clients wants their requests logged at any level of the rest.
    Ok(format!("{text},{REQUESTS_TARGET}=info"))
}

/// Writes each event as one line.
struct Lines(LogOutput);

struct Line<'a>(&'a LogOutput);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

impl io::Write for Line<'_> {
    /// The subscriber writes an event in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends events and panics to standard output, which what waits for a broker to be ready reads.
///
/// Errors: the thread that writes cannot be started.
pub(super) fn start() -> io::Result<(LogOutput, LogLevels)> {
    let output = LogOutput::start()?;
    let text = std::env::var(VARIABLE).unwrap_or_else(|_| DEFAULT.to_owned());
    let clients = std::env::var(REQUESTS_VARIABLE).unwrap_or_default();
    let (directives, invalid) = match directives(&text, &clients) {
        Ok(directives) => (directives, None),
        Err(error) => (DEFAULT.to_owned(), Some(error)),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(&directives)
        .with_writer(Lines(output.clone()))
        // It would print to standard error, and panic where that cannot be written.
        .log_internal_errors(false)
        .with_filter_reloading();
    let levels = super::log_levels::of(&directives, subscriber.reload_handle());
    subscriber.init();
    if let Some(error) = invalid {
        tracing::warn!(value = text, %error, "{VARIABLE} is invalid, {DEFAULT} is used instead");
    }
    let of_panics = output.clone();
    std::panic::set_hook(Box::new(move |panic| log_panic(panic, &of_panics)));
    Ok((output, levels))
}

fn log_panic(panic: &PanicHookInfo<'_>, output: &LogOutput) {
    let message = panic.payload_as_str().unwrap_or("a value that is no text");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread_name();
    // Empty unless RUST_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    tracing::error!(thread, at, "panicked: {message}");
    for line in backtrace.to_string().lines().filter(|_| is_captured(&backtrace)) {
        tracing::error!("{line}");
    }
    try_write_to_stderr(&format!("thread {thread} panicked at {at}: {message}\n"));
    output.flush();
}

fn is_captured(backtrace: &Backtrace) -> bool {
    backtrace.status() == std::backtrace::BacktraceStatus::Captured
}
