//! Standard output as the log's stream: a thread of its own writes, so that no other thread waits for
//! a reader and none fails with the stream.
//!
//! Lines wait in a queue of at most [`QUEUE_LEN_MAX`] bytes. What does not fit (nobody reads the
//! pipe, the terminal is stopped), and what cannot be written (the reader has ended, the disk is
//! full), is dropped and counted; the count is logged once the stream takes lines again.
//!
//! The standard library opens `/dev/null` for each of the descriptors 0 to 2 that is closed when the
//! process starts, so that no file of ours can be given one of these numbers.

use std::io::{self, Stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::{Errno, write};

/// Bytes of lines that may wait to be written.
const QUEUE_LEN_MAX: usize = 1024 * 1024;
/// Bytes that are written in one call, so that a slow reader is told from none.
const WRITE_LEN_MAX: usize = 32 * 1024;
/// A stream that takes nothing for this long is not waited for at exit.
const FLUSH_STALL: Duration = Duration::from_secs(1);
/// The exit is not delayed for longer than this, however slowly the stream takes lines.
const FLUSH_MAX: Duration = Duration::from_secs(10);
/// A message this long is written to a pipe whole or not at all (`PIPE_BUF`).
const ATOMIC_LEN: usize = 4096;

/// The log's stream. Cheap to clone.
#[derive(Clone)]
pub struct LogOutput(Arc<SharedOutput>);

struct SharedOutput {
    state: Mutex<OutputState>,
    /// There is something to write.
    filled: Condvar,
    /// Something was written, or given up.
    progressed: Condvar,
}

#[derive(Default)]
struct OutputState {
    /// Whole lines, not yet given to the writer.
    queue: Vec<u8>,
    /// The writer holds lines that were in the queue.
    writing: bool,
    /// Bytes written or given up so far.
    progress: u64,
    /// Lines dropped since the last time that their number was logged.
    dropped: u64,
}

impl LogOutput {
    /// Starts the thread that writes to standard output.
    ///
    /// Errors: the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        Self::start_with(io::stdout())
    }

    fn start_with(stream: impl AsFd + Send + 'static) -> io::Result<Self> {
        let state = Mutex::new(OutputState::default());
        let shared = SharedOutput { state, filled: Condvar::new(), progressed: Condvar::new() };
        let output = Self(Arc::new(shared));
        let writer = output.clone();
        let builder = std::thread::Builder::new().name("log".to_owned());
        builder.spawn(move || writer.run(stream.as_fd()))?;
        Ok(output)
    }

    /// Queues a line, which ends with a line feed. Never waits, never fails.
    pub fn write_line(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if state.queue.len() + line.len() > QUEUE_LEN_MAX {
            state.dropped += 1;
            return;
        }
        let was_idle = state.queue.is_empty();
        state.queue.extend_from_slice(line);
        drop(state);
        if was_idle {
            self.0.filled.notify_one();
        }
    }

    /// Waits until all queued lines are written, for as long as the stream takes them.
    pub fn flush(&self) {
        let mut state = self.0.state.lock();
        let rounds = FLUSH_MAX.as_secs() / FLUSH_STALL.as_secs();
        for _ in 0..rounds {
            let before = state.progress;
            let waited = self.0.progressed.wait_while_for(
                &mut state,
                |s| s.writing || !s.queue.is_empty(),
                FLUSH_STALL,
            );
            if !waited.timed_out() || state.progress == before {
                return;
            }
        }
    }

    fn run(&self, stream: BorrowedFd<'_>) {
        let mut batch = Vec::new();
        // The stream was left within a line.
        let mut is_torn = false;
        loop {
            let mut state = self.0.state.lock();
            self.0.filled.wait_while(&mut state, |state| state.queue.is_empty());
            std::mem::swap(&mut state.queue, &mut batch);
            state.writing = true;
            drop(state);

            if is_torn {
                batch.insert(0, b'\n');
            }
            let written = self.write_all(stream, &batch);
            let rest = &batch[written..];
            is_torn = match written {
                0 => is_torn,
                _ => batch[written - 1] != b'\n',
            };
            let lost = rest.iter().filter(|byte| **byte == b'\n').count() as u64;

            let mut state = self.0.state.lock();
            state.progress += rest.len() as u64;
            state.dropped += lost;
            let dropped = if rest.is_empty() { std::mem::take(&mut state.dropped) } else { 0 };
            drop(state);
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "log lines were dropped: standard output was full, blocked or closed"
                );
            }
            // After the warning, which a flush waits for too.
            let mut state = self.0.state.lock();
            state.writing = false;
            drop(state);
            self.0.progressed.notify_all();
            batch.clear();
            batch.shrink_to(WRITE_LEN_MAX);
        }
    }

    /// Writes as much of `bytes` as the stream takes; how much that is.
    fn write_all(&self, stream: BorrowedFd<'_>, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes.len().min(at + WRITE_LEN_MAX);
            match write(stream, &bytes[at..end]) {
                Ok(0) => break,
                Ok(len) => {
                    at += len;
                    self.0.state.lock().progress += len as u64;
                    self.0.progressed.notify_all();
                }
                Err(Errno::INTR) => {}
                // Another process has made the shared stream non-blocking.
                Err(Errno::AGAIN) => {
                    let mut fds = [PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
                    if !matches!(poll(&mut fds, None), Ok(_) | Err(Errno::INTR)) {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        at
    }
}

/// Writes the front of `message` to standard error, unless that is the same stream as standard output
/// or would have to be waited for. For the last words of a process.
pub fn try_write_to_stderr(message: &str) {
    let (out, err): (Stdout, _) = (io::stdout(), io::stderr());
    let file_of = |fd: BorrowedFd<'_>| fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino));
    if file_of(err.as_fd()).is_none_or(|file| file_of(out.as_fd()) == Some(file)) {
        return;
    }
    let mut fds = [PollFd::new(&err, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut fds, Some(&at_once)) == Ok(1) && fds[0].revents().contains(PollFlags::OUT) {
        let bytes = message.as_bytes();
        // There is nobody left to hear of a failure.
        let _ = write(err.as_fd(), &bytes[..bytes.len().min(ATOMIC_LEN)]);
    }
}

/// The name of the calling thread.
pub fn thread_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn lines_come_out_in_order_and_a_flush_waits_for_them() {
        let (mut reader, writer) = io::pipe().unwrap();
        let output = LogOutput::start_with(writer).unwrap();
        for n in 0..1000 {
            output.write_line(format!("line {n}\n").as_bytes());
        }
        output.flush();
        let expected: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let mut bytes = vec![0; expected.len()];
        reader.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn a_pipe_that_nobody_reads_blocks_no_writer_and_costs_bounded_memory() {
        let (mut reader, writer) = io::pipe().unwrap();
        let output = LogOutput::start_with(writer).unwrap();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        for _ in 0..4096 {
            output.write_line(&line);
        }
        output.flush(); // Returns although nothing is taken.
        let state = output.0.state.lock();
        assert!(state.queue.len() <= QUEUE_LEN_MAX);
        assert!(state.dropped > 2000, "{}", state.dropped);
        drop(state);
        let mut bytes = vec![0; 1024 * 1024];
        reader.read_exact(&mut bytes).unwrap();
        assert!(bytes.chunks(1024).all(|chunk| chunk == line), "whole lines, in order");
    }

    #[test]
    fn a_stream_without_a_reader_or_without_room_drops_lines_and_counts_them() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        for output in [LogOutput::start_with(writer), LogOutput::start_with(full)] {
            let output = output.unwrap();
            output.write_line(b"one\n");
            output.write_line(b"two\n");
            output.flush();
            assert_eq!(output.0.state.lock().dropped, 2);
        }
    }
}
