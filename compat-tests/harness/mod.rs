//! What every story needs: a broker in a folder of its own, clients, Kafka's tools, and the reading of files.

mod broker;
pub(crate) mod client;
pub(crate) mod dump;
mod home;
pub(crate) mod kafka;
pub(crate) mod process;
pub(crate) mod transcript;
pub(crate) mod watch;

pub(crate) use broker::{Broker, CLUSTER_ID, Make, Plan};
pub(crate) use home::Home;

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that a healthy broker does in well under a second. Generous, since a machine that runs
/// tests is a busy one: when it passes, something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Looks until `expected` is what there is to see. For what a broker may do in its own time: Kafka answers CreateTopics
/// when its controller has written the topic, and its Metadata knows of it a moment later.
#[track_caller]
pub(crate) fn soon<T: PartialEq + Debug>(expected: T, look: impl Fn() -> T) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if seen == expected {
            return;
        }
        assert!(Instant::now() < deadline, "still {seen:?} after {PATIENCE:?}, not {expected:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
