//! Memory for requests: what all connections together may hold of what clients sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Bytes of requests that were received and not answered, over all connections
/// (`queued.max.request.bytes`). Above the limit no socket is read until some are answered.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
}

impl Budget {
    /// At most about `limit` bytes: a read that began below it may go over by one buffer.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0), waiting: Mutex::new(Vec::new()) }
    }

    /// How many bytes are held.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// `bytes` more are held.
    pub fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// `bytes` are not held any more.
    pub fn give(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let before = self.used.fetch_sub(bytes as u64, Ordering::AcqRel);
        if before >= self.limit && before - (bytes as u64) < self.limit {
            for waker in self.waiting.lock().drain(..) {
                waker.wake();
            }
        }
    }

    /// Ready when there is room to read more.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.used() < self.limit {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock();
        // Given back between the look and the lock?
        if self.used() < self.limit {
            return Poll::Ready(());
        }
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_above_the_limit_until_something_is_answered() {
        let budget = Budget::new(100);
        let cx = Context::from_waker(Waker::noop());
        assert!(budget.poll_room(&cx).is_ready());
        budget.take(150);
        assert!(budget.poll_room(&cx).is_pending());
        budget.give(100);
        assert!(budget.poll_room(&cx).is_ready());
        assert!(budget.waiting.lock().is_empty());
    }
}
