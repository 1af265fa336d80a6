//! What happened in a world, as one number: equal seeds must give equal traces.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;

use super::rng::Fnv;
use crate::types::Mono;

/// Virtual time, as the trace stamps it.
type Now = Box<dyn Fn() -> Mono + Send + Sync>;

/// The events of a world in their order: always as a fingerprint, and as text when asked for.
pub struct Trace {
    now: Now,
    inner: Mutex<TraceInner>,
}

struct TraceInner {
    hash: Fnv,
    events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(now: impl Fn() -> Mono + Send + Sync + 'static) -> Arc<Self> {
        let inner = TraceInner { hash: Fnv::new(), events: 0, lines: None };
        Arc::new(Self { now: Box::new(now), inner: Mutex::new(inner) })
    }

    /// Adds an event. The text is hashed as it is, so it names nothing that differs between runs
    /// of one seed: no addresses, no real time.
    pub fn note(&self, event: fmt::Arguments<'_>) {
        let now = (self.now)();
        let mut inner = self.inner.lock();
        let TraceInner { hash, events, lines } = &mut *inner;
        let mut sink = Sink { hash, line: lines.as_ref().map(|_| String::new()) };
        // A sink never fails, and neither does formatting what we print.
        let _ = writeln!(sink, "{} {event}", now.0);
        *events += 1;
        if let (Some(lines), Some(line)) = (lines.as_mut(), sink.line) {
            lines.push(line);
        }
    }

    /// The fingerprint of all events so far.
    pub fn hash(&self) -> u64 {
        self.inner.lock().hash.finish()
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.inner.lock().events
    }

    /// Keeps the text of the events from here on, to find where two runs part.
    pub fn keep_lines(&self) {
        self.inner.lock().lines.get_or_insert_default();
    }

    /// The kept text, one event a line.
    pub fn lines(&self) -> Vec<String> {
        self.inner.lock().lines.clone().unwrap_or_default()
    }
}

struct Sink<'a> {
    hash: &'a mut Fnv,
    line: Option<String>,
}

impl fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hash.update(text.as_bytes());
        if let Some(line) = &mut self.line {
            line.push_str(text);
        }
        Ok(())
    }
}
