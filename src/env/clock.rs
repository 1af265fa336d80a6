//! Time.

use std::future::Future;
use std::pin::Pin;

use crate::types::{Mono, Timestamp};

/// A future without a result that can be kept in a struct.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What time it is. Deciding code never asks: it is given `now`.
pub trait Clock: Send + Sync {
    /// Monotonic time since the process started.
    fn now(&self) -> Mono;
    /// The wall clock, for what is stored and shown.
    fn wall(&self) -> Timestamp;
    /// Ready once `now() >= deadline`.
    fn sleep_until(&self, deadline: Mono) -> Sleep;
}
