//! Memory for requests: what all connections together may hold of what clients sent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A request of this length makes it worth while to return memory to the system.
const RETURNED_LEN_MIN: usize = 1024 * 1024;
/// What incomplete requests of the length of one buffer may hold beyond the limit, so that they are
/// read while large ones wait for one another.
pub const SMALL_RESERVE: u64 = 64 * 1024 * 1024;

/// Bytes of large and of incomplete requests that were received and not answered, over all
/// connections (`queued.max.request.bytes`). At the limit no more of them is read until some are
/// answered.
///
/// Requests are charged with the buffers that their bytes fill as they arrive, not by the length
/// they claim. So all could be there in part and none whole when the limit is reached; to go on even
/// then, one connection at a time may exceed the limit until its request is answered. All requests
/// together hold at most the limit, [`SMALL_RESERVE`] and one request.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
    /// Whether a connection exceeds the limit.
    overdrawn: AtomicBool,
    waiting: Mutex<WaitingConnections>,
    /// A large request has ended.
    large_ended: Notify,
}

/// Up to which bound a connection may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// The limit: much of the request is missing.
    Large,
    /// [`SMALL_RESERVE`] beyond the limit: less than a buffer is missing.
    Small,
}

/// Connections that wait for memory.
#[derive(Debug, Default)]
struct WaitingConnections {
    wakers: Vec<Waker>,
    /// Counts how often all were woken.
    woken: u64,
}

/// What one connection holds of the budget.
#[derive(Debug, Default)]
pub struct Account {
    held: u64,
    overdraws: bool,
    /// It is among those that wait, unless they were woken more often since.
    waits_since: Option<u64>,
}

impl Budget {
    /// At most about `limit` bytes: a read that began below it may go over by one buffer.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            overdrawn: AtomicBool::new(false),
            waiting: Mutex::default(),
            large_ended: Notify::new(),
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
        if bytes >= RETURNED_LEN_MIN {
            self.large_ended.notify_one();
        }
        let bytes = (bytes as u64).min(account.held);
        account.held -= bytes;
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        let has_room_again = [Reserve::Large, Reserve::Small]
            .map(|reserve| self.bound(reserve))
            .into_iter()
            .any(|bound| before >= bound && before - bytes < bound);
        let overdraft_ends = account.overdraws && account.held == 0;
        if overdraft_ends {
            account.overdraws = false;
            self.overdrawn.store(false, Ordering::Release);
        }
        if has_room_again || overdraft_ends {
            let wakers = {
                let mut waiting = self.waiting.lock();
                waiting.woken += 1;
                std::mem::take(&mut waiting.wakers)
            };
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Nothing is held any more.
    pub fn close(&self, account: &mut Account) {
        self.give(account, usize::try_from(account.held).unwrap_or(usize::MAX));
    }

    /// Waits until a large request has ended.
    pub(super) async fn large_request_ended(&self) {
        self.large_ended.notified().await;
    }

    fn bound(&self, reserve: Reserve) -> u64 {
        match reserve {
            Reserve::Large => self.limit,
            Reserve::Small => self.limit.saturating_add(SMALL_RESERVE),
        }
    }

    /// Whether nothing is left for such a request.
    pub fn is_full(&self, reserve: Reserve) -> bool {
        self.used() >= self.bound(reserve)
    }

    /// Ready when more may be read. A connection polls with the waker of its one task.
    pub fn poll_room(&self, cx: &Context<'_>, account: &mut Account, reserve: Reserve) -> Poll<()> {
        let bound = self.bound(reserve);
        if account.overdraws || self.used() < bound {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock();
        // Given back between the look and the lock?
        if self.used() < bound {
            return Poll::Ready(());
        }
        if !self.overdrawn.swap(true, Ordering::AcqRel) {
            account.overdraws = true;
            return Poll::Ready(());
        }
        if account.waits_since != Some(waiting.woken) {
            account.waits_since = Some(waiting.woken);
            waiting.wakers.push(cx.waker().clone());
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
        assert!(budget.poll_room(&cx, &mut one, Reserve::Large).is_ready());
        budget.take(&mut one, 60);
        budget.take(&mut other, 60);
        assert!(
            budget.poll_room(&cx, &mut other, Reserve::Large).is_ready(),
            "the first to ask overdraws"
        );
        assert!(budget.poll_room(&cx, &mut one, Reserve::Large).is_pending());
        assert!(budget.poll_room(&cx, &mut third, Reserve::Large).is_pending());
        budget.take(&mut other, 1_000);
        assert!(budget.poll_room(&cx, &mut other, Reserve::Large).is_ready(), "until it is done");
        budget.give(&mut other, 1_060);
        assert!(budget.waiting.lock().wakers.is_empty());
        assert_eq!(budget.used(), 60);
        assert!(budget.poll_room(&cx, &mut third, Reserve::Large).is_ready());
        assert!(!third.overdraws);
    }

    #[test]
    fn small_requests_are_read_beyond_the_limit_until_their_reserve_is_used() {
        let budget = Budget::new(100);
        let cx = Context::from_waker(Waker::noop());
        let [mut large, mut small, mut overdrawer] = <[Account; 3]>::default();
        budget.take(&mut large, 100);
        assert!(budget.poll_room(&cx, &mut overdrawer, Reserve::Large).is_ready());
        assert!(budget.poll_room(&cx, &mut small, Reserve::Small).is_ready());
        budget.take(&mut small, SMALL_RESERVE as usize);
        assert!(budget.poll_room(&cx, &mut small, Reserve::Small).is_pending());
        assert_eq!(budget.waiting.lock().wakers.len(), 1);
        budget.give(&mut large, 1);
        assert!(budget.waiting.lock().wakers.is_empty(), "woken below the reserve");
        assert!(budget.poll_room(&cx, &mut small, Reserve::Small).is_ready());
        assert!(budget.poll_room(&cx, &mut large, Reserve::Large).is_pending());
    }

    #[test]
    fn a_connection_that_ends_gives_all_back() {
        let budget = Budget::new(10);
        let cx = Context::from_waker(Waker::noop());
        let [mut one, mut other] = <[Account; 2]>::default();
        budget.take(&mut one, 20);
        assert!(budget.poll_room(&cx, &mut other, Reserve::Large).is_ready());
        assert!(budget.poll_room(&cx, &mut one, Reserve::Large).is_pending());
        budget.close(&mut other);
        assert!(
            budget.poll_room(&cx, &mut one, Reserve::Large).is_ready(),
            "the overdraft is free again"
        );
        budget.close(&mut one);
        assert_eq!((budget.used(), one.held, one.overdraws), (0, 0, false));
    }
}
