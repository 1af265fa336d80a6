//! The signal that the node shuts down.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Set once, when the node begins to shut down; every task can wait for it.
#[derive(Debug, Default)]
pub struct ShutdownSignal {
    is_set: AtomicBool,
    wake: Notify,
}

impl ShutdownSignal {
    /// Begins the shutdown.
    pub fn set(&self) {
        self.is_set.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    /// Whether the shutdown has begun.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Returns once the shutdown has begun.
    pub async fn wait(&self) {
        let notified = self.wake.notified();
        let mut notified = std::pin::pin!(notified);
        // Registered before the look, so that no call of `set` falls between.
        notified.as_mut().enable();
        if !self.is_set() {
            notified.await;
        }
    }
}
