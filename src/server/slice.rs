//! A bounded slice of a worker's time.
//!
//! The connections of a worker share one thread. Each works for one slice, then yields to the
//! others (`env::threads::give_way`), whatever it still has to do. Bounds on requests and bytes make
//! that the same in every run of a simulation, where no time passes during work; the bound on time
//! covers requests that cost more than others.

use std::sync::Arc;
use std::time::Duration;

use crate::env::clock::Clock;
use crate::env::threads::give_way;
use crate::types::Mono;

/// Requests that a connection begins in one slice.
pub(super) const SLICE_REQUESTS_MAX: usize = 64;
/// Bytes that a connection receives in one slice, and that a handler passes over in one.
pub(super) const SLICE_LEN_MAX: usize = 1024 * 1024;
/// Steps of a handler's loop, such as partitions, in one slice.
pub(super) const SLICE_STEPS_MAX: usize = 256;
/// The longest slice. A request or a step that takes longer ends its slice.
pub(super) const SLICE_TIME_MAX: Duration = Duration::from_millis(1);

/// What a connection has done since it was polled.
#[derive(Debug)]
pub(super) struct Slice {
    until: Mono,
    requests: usize,
    bytes: usize,
}

impl Slice {
    /// A slice that begins now.
    pub(super) fn new(now: Mono) -> Self {
        Self { until: now + SLICE_TIME_MAX, requests: 0, bytes: 0 }
    }

    /// Counts a request that was begun.
    pub(super) fn count_request(&mut self) {
        self.requests += 1;
    }

    /// Counts bytes that were received.
    pub(super) fn count_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Whether the connection yields at `now`. Never before it has done something.
    pub(super) fn is_spent(&self, now: Mono) -> bool {
        if self.requests == 0 && self.bytes == 0 {
            return false;
        }
        self.requests >= SLICE_REQUESTS_MAX || self.bytes >= SLICE_LEN_MAX || now >= self.until
    }
}

/// The slices of one request whose handler loops over what the client asked for.
pub(crate) struct Steps {
    clock: Arc<dyn Clock>,
    until: Mono,
    steps: usize,
    bytes: usize,
}

impl Steps {
    /// The first slice begins now.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let until = clock.now() + SLICE_TIME_MAX;
        Self { clock, until, steps: 0, bytes: 0 }
    }

    /// One step is done: yields to other connections if the slice is spent. Costs nothing else.
    /// No lock may be held.
    pub(crate) async fn step(&mut self) {
        self.step_over(0).await;
    }

    /// One step over so many bytes is done.
    pub(crate) async fn step_over(&mut self, bytes: usize) {
        self.steps += 1;
        self.bytes += bytes;
        let is_spent = self.steps >= SLICE_STEPS_MAX
            || self.bytes >= SLICE_LEN_MAX
            || self.clock.now() >= self.until;
        if is_spent {
            give_way().await;
            (self.steps, self.bytes) = (0, 0);
            self.until = self.clock.now() + SLICE_TIME_MAX;
        }
    }
}
