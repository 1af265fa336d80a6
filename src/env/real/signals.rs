//! Signals: HUP, INT and TERM stop the process in order; the second one ends it at once.
//!
//! As in the JVM, a HUP or INT that is ignored when the process starts stays ignored: `nohup` and
//! shells that start background jobs ask for that. TERM is always acted on. PIPE is ignored by the
//! standard library. XFSZ is taken, so that a write beyond `RLIMIT_FSIZE` is an error instead of the
//! end of the process.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// SIGXFSZ, on every architecture of Linux but MIPS.
const XFSZ: i32 = 25;

/// Signals this close to the first belong to it: `timeout` signals the process and then its group, and
/// wrappers pass on what the terminal has sent to the whole group already.
const SAME_REQUEST: Duration = Duration::from_millis(100);

/// Whether the process was asked to stop.
#[derive(Clone)]
pub struct StopSignal(watch::Receiver<Option<&'static str>>);

impl StopSignal {
    /// Watches the signals from now on, on a thread of its own: a busy worker does not delay them.
    /// `before_exit` runs before a second signal ends the process with status 128 + its number.
    ///
    /// Errors: the thread cannot be started, or a signal cannot be taken.
    pub fn watch(before_exit: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (asked, receiver) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _context = runtime.enter();
            Signals::take(ignored_at_start())?
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let (name, _) = signals.next().await;
                let since = Instant::now();
                asked.send_replace(Some(name));
                loop {
                    let (name, number) = signals.next().await;
                    if since.elapsed() > SAME_REQUEST {
                        tracing::warn!(signal = name, "second signal: ending at once");
                        before_exit();
                        std::process::exit(128 + number);
                    }
                }
            });
        })?;
        Ok(Self(receiver))
    }

    /// Ready when the process is asked to stop; the name of the signal. Ready again when called again.
    pub async fn wait(&self) -> &'static str {
        let mut asked = self.0.clone();
        loop {
            if let Some(name) = *asked.borrow_and_update() {
                return name;
            }
            if asked.changed().await.is_err() {
                std::future::pending::<()>().await; // The watching thread has ended.
            }
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Option<Signal>,
    hangup: Option<Signal>,
    quit: Signal,
    /// Taken and never looked at.
    _file_size: Signal,
}

impl Signals {
    /// `ignored`: a bit for each signal, the lowest for signal 1.
    fn take(ignored: u64) -> io::Result<Self> {
        let unless_ignored = |kind: SignalKind| {
            let is_ignored = ignored >> (kind.as_raw_value() - 1) & 1 == 1;
            (!is_ignored).then(|| signal(kind)).transpose()
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: unless_ignored(SignalKind::interrupt())?,
            hangup: unless_ignored(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            _file_size: signal(SignalKind::from_raw(XFSZ))?,
        })
    }

    /// The next signal that asks for a stop: its name and number.
    async fn next(&mut self) -> (&'static str, i32) {
        async fn of(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => _ = signal.recv().await,
                None => std::future::pending().await,
            }
        }
        loop {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => return ("SIGTERM", 15),
                () = of(&mut self.interrupt) => return ("SIGINT", 2),
                () = of(&mut self.hangup) => return ("SIGHUP", 1),
                _ = self.quit.recv() => {
                    tracing::warn!("SIGQUIT is ignored: there is no thread dump as in a JVM");
                }
            }
        }
    }
}

/// The signals that whoever started this process has it ignore, a bit each. None where `/proc` cannot
/// be read.
fn ignored_at_start() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status)
}

fn ignored_in(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signals_that_are_ignored_are_read_from_the_status_of_the_process() {
        let status =
            "Name:\tsh\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
        assert_eq!(ignored_in(status), 0x1003, "HUP, INT and PIPE");
        assert_eq!(ignored_in("SigIgn:\tnonsense\n"), 0);
        assert_eq!(ignored_in(""), 0);
    }
}
