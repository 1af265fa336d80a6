//! What the tests of whole brokers share: worlds from seeds, a client that speaks the wire, and a
//! checker of histories.

#![expect(unreachable_pub, reason = "each test is a crate of its own, which uses these")]

pub mod admin;
pub mod broker;
pub mod client;
pub mod history;
mod seeds;
pub mod workload;

use std::future::Future;
use std::sync::Arc;

use blumfeld::env::sim::{Trace, World};
pub use seeds::seeds;

/// Runs `scenario` in the world of `seed`, on paused time, and asserts that no task panicked. A
/// failure prints how to see it again, and with `TRACE=1` everything that happened. Gives the fingerprint of what happened, and the result.
pub fn simulate<T, F: Future<Output = T>>(
    test: &str,
    seed: u64,
    scenario: impl FnOnce(World) -> F,
) -> (u64, T) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(seed);
        let wants_trace = std::env::var("TRACE").is_ok();
        if wants_trace {
            world.trace().keep_lines();
        }
        let _replay = Replay { test, seed, trace: wants_trace.then(|| world.trace().clone()) };
        let result = scenario(world.clone()).await;
        assert_eq!(world.panics(), [""; 0]);
        (world.trace().hash(), result)
    })
}

struct Replay<'a> {
    test: &'a str,
    seed: u64,
    trace: Option<Arc<Trace>>,
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.trace.iter().flat_map(|trace| trace.lines()) {
                eprintln!("{line}");
            }
            eprintln!("replay: SEED={} cargo test {}", self.seed, self.test);
        }
    }
}
