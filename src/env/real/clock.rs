//! The system's clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::env::clock::{Clock, Sleep};
use crate::types::{Mono, Timestamp};

pub(super) struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    pub(super) fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Mono {
        Mono::default() + self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, deadline: Mono) -> Sleep {
        Box::pin(tokio::time::sleep_until(self.start + Duration::from_nanos(deadline.0)))
    }
}
