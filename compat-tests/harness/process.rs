//! Child processes with deadlines: nothing here waits for ever, and nothing outlives its test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A program that runs until it is told to stop, its standard output and standard error in one file.
pub(crate) struct Process {
    pid: Pid,
    output: PathBuf,
    lines: Receiver<String>,
    exit: Receiver<ExitStatus>,
    exited: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; what it prints is appended to the file `output`.
    pub(crate) fn start(mut command: Command, output: &Path) -> Self {
        let mut log = File::options().create(true).append(true).open(output).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone().unwrap());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = channel();
        thread::spawn(move || {
            for text in stdout.lines().map_while(Result::ok) {
                writeln!(log, "{text}").ok();
                line.send(text).ok();
            }
        });
        let (status, exit) = channel();
        thread::spawn(move || status.send(child.wait().unwrap()));
        Self { pid, output: output.to_owned(), lines, exit, exited: None }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Waits for a line of standard output that contains `text`. Panics with the output when the program ends or
    /// `patience` passes first.
    pub(crate) fn wait_for_line(&self, text: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {text:?} within {patience:?}:\n{}", self.printed())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {text:?}:\n{}", self.printed())
                }
            }
        }
    }

    /// Sends `signal`, if the program still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.exited.is_none() {
            kill_process(self.pid, signal).ok();
        }
    }

    /// Waits for the program's end.
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        if let Some(status) = self.exited {
            return status;
        }
        let status = self.exit.recv_timeout(patience).unwrap_or_else(|_| {
            panic!("process {} still runs after {patience:?}:\n{}", self.pid(), self.printed())
        });
        self.exited = Some(status);
        status
    }

    /// The last part of what the program printed so far.
    pub(crate) fn printed(&self) -> String {
        const TAIL: usize = 8_000;
        let text = std::fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited.is_none() {
            self.signal(Signal::KILL);
            self.exit.recv_timeout(Duration::from_secs(10)).ok();
        }
        if thread::panicking() {
            eprintln!("--- {}\n{}", self.output.display(), self.printed());
        }
    }
}

/// What a program that ran to its end has left.
#[derive(Debug)]
pub(crate) struct Ran {
    command: String,
    status: ExitStatus,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// Standard output of a program that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.status.success(), "{self}");
        self.stdout
    }

    /// Whether it succeeded.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Its exit code, unless a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Everything that it printed.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr } = self;
        write!(f, "{command}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// Runs `command` to its end, with `input` on its standard input.
pub(crate) fn run(mut command: Command, input: &[u8], patience: Duration) -> Ran {
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
    let pid = Pid::from_child(&child);
    let stdin = child.stdin.take().unwrap();
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    feed(stdin, input.to_vec());
    let (exit, exited) = channel();
    thread::spawn(move || exit.send(child.wait().unwrap()));
    let status = exited.recv_timeout(patience);
    if status.is_err() {
        kill_process(pid, Signal::KILL).ok();
    }
    let (stdout, stderr) = (stdout.recv().unwrap(), stderr.recv().unwrap());
    let Ok(status) = status else {
        panic!("{shown} still ran after {patience:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    };
    Ran { command: shown, status, stdout, stderr }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).ok();
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// (A program that ends without having read all of its input is no failure of the feeding.)
fn feed(mut to: ChildStdin, input: Vec<u8>) {
    thread::spawn(move || to.write_all(&input).ok());
}
