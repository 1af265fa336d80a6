//! Returns the memory of large requests to the system.

use std::sync::Arc;
use std::time::Duration;

use super::services::Services;

/// Time between the end of a large request and the return, longer than the allocator waits for the
/// memory to be used again (mimalloc: 1 s).
const RETURN_DELAY: Duration = Duration::from_millis(1_500);

/// Returns the memory of large requests to the system soon after they have ended. Otherwise the
/// allocator keeps it until enough else is allocated, on a quiet broker for minutes.
pub async fn return_memory(broker: Arc<Services>) {
    let clock = &broker.env.clock;
    loop {
        tokio::select! {
            () = broker.stopping.wait() => return,
            () = broker.budget.large_request_ended() => {}
        }
        clock.sleep_until(clock.now() + RETURN_DELAY).await;
        broker.env.threads.return_memory();
    }
}
