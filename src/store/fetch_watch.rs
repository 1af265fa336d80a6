//! A fetch that waits for bytes, and the partitions that wake it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// More bytes than can arrive while a fetch reads.
const READING: i64 = i64::MAX / 2;

/// One waiting fetch. It is registered with every partition it reads; the first that completes
/// its bytes, or changes in a way that a reader must hear of, wakes it once.
#[derive(Debug)]
pub struct FetchWatch {
    missing_bytes: AtomicI64,
    over: AtomicBool,
    wake: Notify,
}

impl FetchWatch {
    /// A fetch that still wants `missing_bytes`.
    pub fn new(missing_bytes: i64) -> Arc<Self> {
        Arc::new(Self {
            missing_bytes: AtomicI64::new(missing_bytes),
            over: AtomicBool::new(false),
            wake: Notify::new(),
        })
    }

    /// `bytes` more became readable.
    fn on_bytes(&self, bytes: i64) {
        let before = self.missing_bytes.fetch_sub(bytes, Ordering::AcqRel);
        if before > 0 && before <= bytes {
            self.wake.notify_one();
        }
    }

    /// Something other than bytes happened: read again.
    fn on_event(&self) {
        self.wake.notify_one();
    }

    /// Ready once woken. A wake-up before the call is not lost.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The fetch is about to read its partitions, one after the other. Until [`Self::end_read`],
    /// bytes do not wake it: they are counted.
    pub fn begin_read(&self) {
        self.missing_bytes.store(READING, Ordering::Release);
    }

    /// The fetch has read its partitions and still wants `missing_bytes`. Whether it waits now: not
    /// if as much arrived while it read, which it may not have seen.
    pub fn end_read(&self, missing_bytes: i64) -> bool {
        let change = READING - missing_bytes;
        self.missing_bytes.fetch_sub(change, Ordering::AcqRel) > change
    }

    /// The fetch is answered; its registrations are dropped when their partitions next look.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

/// The fetches that wait for one partition.
#[derive(Debug, Default)]
pub struct FetchWatches {
    any: AtomicBool,
    watches: Mutex<Vec<Arc<FetchWatch>>>,
}

impl FetchWatches {
    /// Registers a fetch. It must look at the partition again afterwards, before it waits.
    pub fn register(&self, watch: &Arc<FetchWatch>) {
        let mut watches = self.watches.lock();
        watches.retain(|watch| !watch.over.load(Ordering::Acquire));
        watches.push(Arc::clone(watch));
        self.any.store(true, Ordering::SeqCst);
    }

    /// `bytes` more became readable. Costs one load when nobody waits.
    pub fn on_bytes(&self, bytes: usize) {
        self.each(|watch| watch.on_bytes(bytes as i64));
    }

    /// Readers must look again: a role, an epoch or the log start changed.
    pub fn on_event(&self) {
        self.each(FetchWatch::on_event);
    }

    fn each(&self, tell: impl Fn(&FetchWatch)) {
        // SeqCst pairs with `register`: either the reader sees the new bytes, or we see it.
        std::sync::atomic::fence(Ordering::SeqCst);
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let mut watches = self.watches.lock();
        watches.retain(|watch| {
            let waits = !watch.over.load(Ordering::Acquire);
            if waits {
                tell(watch);
            }
            waits
        });
        if watches.is_empty() {
            self.any.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_woken(watch: &FetchWatch) -> bool {
        let mut woken = std::pin::pin!(watch.woken());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        woken.as_mut().poll(&mut cx).is_ready()
    }

    #[test]
    fn a_fetch_wakes_once_its_bytes_are_there_and_not_before() {
        let watches = FetchWatches::default();
        let watch = FetchWatch::new(100);
        watches.register(&watch);
        watches.on_bytes(60);
        assert!(!is_woken(&watch));
        watches.on_bytes(60);
        assert!(is_woken(&watch));
        watches.on_bytes(60);
        assert!(!is_woken(&watch), "it was woken once already");
    }

    #[test]
    fn bytes_that_arrive_while_a_fetch_reads_are_counted() {
        let watches = FetchWatches::default();
        let watch = FetchWatch::new(100);
        watches.register(&watch);
        for (arrives, waits) in [(0, true), (99, true), (100, false), (500, false)] {
            watch.begin_read();
            watches.on_bytes(arrives);
            assert!(!is_woken(&watch));
            assert_eq!(watch.end_read(100), waits, "{arrives} bytes");
        }
        watch.begin_read();
        watches.on_bytes(60);
        assert!(watch.end_read(100));
        watches.on_bytes(40);
        assert!(is_woken(&watch));
    }

    #[test]
    fn an_answered_fetch_is_forgotten() {
        let watches = FetchWatches::default();
        let watch = FetchWatch::new(1);
        watches.register(&watch);
        watch.end();
        watches.on_bytes(10);
        assert!(!is_woken(&watch));
        assert!(watches.watches.lock().is_empty());
    }

    #[test]
    fn an_event_wakes_whoever_waits() {
        let watches = FetchWatches::default();
        let watch = FetchWatch::new(1_000_000);
        watches.register(&watch);
        watches.on_event();
        assert!(is_woken(&watch));
    }
}
