//! Memory for requests: what all connections together may hold of what clients sent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Bytes of large requests that were received and not answered, over all connections
/// (`queued.max.request.bytes`). At the limit no more of them is read until some are answered.
///
/// Requests are charged as their bytes arrive, not by the length they claim. So all could be there
/// in part and none whole when the limit is reached; to go on even then, one connection at a time
/// may exceed the limit until its request is answered.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    /// Whether a connection exceeds the limit.
    overdrawn: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// What one connection holds of the budget.
#[derive(Debug, Default)]
pub struct Account {
    held: u64,
    overdraws: bool,
}

impl Budget {
    /// At most about `limit` bytes: a read that began below it may go over by one buffer.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            overdrawn: AtomicBool::new(false),
            waiting: Mutex::new(Vec::new()),
        }
    }

    /// How many bytes are held.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// `bytes` more are held.
    pub fn take(&self, account: &mut Account, bytes: usize) {
        account.held += bytes as u64;
        self.used.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// `bytes` are not held any more.
    pub fn give(&self, account: &mut Account, bytes: usize) {
        let bytes = (bytes as u64).min(account.held);
        account.held -= bytes;
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        let has_room_again = before >= self.limit && before - bytes < self.limit;
        let overdraft_ends = account.overdraws && account.held == 0;
        if overdraft_ends {
            account.overdraws = false;
            self.overdrawn.store(false, Ordering::Release);
        }
        if has_room_again || overdraft_ends {
            self.waiting.lock().drain(..).for_each(Waker::wake);
        }
    }

    /// Nothing is held any more.
    pub fn close(&self, account: &mut Account) {
        self.give(account, usize::try_from(account.held).unwrap_or(usize::MAX));
    }

    /// Ready when more may be read.
    pub fn poll_room(&self, cx: &Context<'_>, account: &mut Account) -> Poll<()> {
        if account.overdraws || self.used() < self.limit {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock();
        // Given back between the look and the lock?
        if self.used() < self.limit {
            return Poll::Ready(());
        }
        if !self.overdrawn.swap(true, Ordering::AcqRel) {
            account.overdraws = true;
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
    fn above_the_limit_one_may_go_on_and_the_others_wait_for_it() {
        let budget = Budget::new(100);
        let cx = Context::from_waker(Waker::noop());
        let [mut one, mut other, mut third] = <[Account; 3]>::default();
        assert!(budget.poll_room(&cx, &mut one).is_ready());
        budget.take(&mut one, 60);
        budget.take(&mut other, 60);
        assert!(budget.poll_room(&cx, &mut other).is_ready(), "the first to ask overdraws");
        assert!(budget.poll_room(&cx, &mut one).is_pending());
        assert!(budget.poll_room(&cx, &mut third).is_pending());
        budget.take(&mut other, 1_000);
        assert!(budget.poll_room(&cx, &mut other).is_ready(), "until it is done");
        budget.give(&mut other, 1_060);
        assert!(budget.waiting.lock().is_empty());
        assert_eq!(budget.used(), 60);
        assert!(budget.poll_room(&cx, &mut third).is_ready());
        assert!(!third.overdraws);
    }

    #[test]
    fn a_connection_that_ends_gives_all_back() {
        let budget = Budget::new(10);
        let cx = Context::from_waker(Waker::noop());
        let [mut one, mut other] = <[Account; 2]>::default();
        budget.take(&mut one, 20);
        assert!(budget.poll_room(&cx, &mut other).is_ready());
        assert!(budget.poll_room(&cx, &mut one).is_pending());
        budget.close(&mut other);
        assert!(budget.poll_room(&cx, &mut one).is_ready(), "the overdraft is free again");
        budget.close(&mut one);
        assert_eq!((budget.used(), one.held, one.overdraws), (0, 0, false));
    }
}
