//! Virtual time: tokio's clock, which the test that builds the runtime pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::env::clock::{Clock, Sleep};
use crate::types::{Mono, Timestamp};

/// The wall clock's time when a world begins: 2026-01-01, 00:00 UTC.
pub const EPOCH: Timestamp = Timestamp(1_767_225_600_000);

/// What time it is for files.
pub(super) type Wall = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The time of a world.
#[derive(Clone, Copy)]
pub(super) struct WorldClock {
    start: Instant,
}

impl WorldClock {
    /// Begins now.
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the world began.
    pub(super) fn now(self) -> Mono {
        Mono::default() + self.start.elapsed()
    }

    /// Ready at `at`.
    pub(super) fn sleep_until(self, at: Mono) -> tokio::time::Sleep {
        tokio::time::sleep_until(self.start + Duration::from_nanos(at.0))
    }

    /// The wall clock of a machine that is `skew` milliseconds ahead of the world.
    pub(super) fn wall(self, skew: Arc<AtomicI64>) -> Wall {
        Arc::new(move || {
            let since = (self.now().0 / 1_000_000) as i64;
            Timestamp(EPOCH.0 + since + skew.load(Ordering::Relaxed))
        })
    }
}

/// [`Clock`] of one process: its monotonic time begins with it.
pub(super) struct SimClock {
    started: WorldClock,
    wall: Wall,
}

impl SimClock {
    pub(super) fn new(wall: Wall) -> Self {
        Self { started: WorldClock::new(), wall }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Mono {
        self.started.now()
    }

    fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    fn sleep_until(&self, deadline: Mono) -> Sleep {
        Box::pin(self.started.sleep_until(deadline))
    }
}
