//! What is done for the sake of clients that break on what the protocol allows: which, in which
//! release, and how. So far each of them is stuck where an answer comes sooner than Apache Kafka's
//! does, and is given the time that it needs there.

use std::time::Duration;

use super::context::RequestContext;
use crate::types::Mono;

/// librdkafka 2.15, consumer protocol: where the answer to one step of a changing subscription
/// comes before the next step, the consumer may be stuck: after an `unsubscribe()` then, it never
/// joins again. So whoever subscribes hears of the partitions that this brings it no sooner than
/// after so long, as with every answer of Apache Kafka 4.0's coordinator, which lingers for 5 ms.
const SUBSCRIBING: Duration = Duration::from_millis(5);

/// kafka-python 3.0: a `subscribe()`, that of the constructor too, which comes while its first
/// Metadata request is under way is forgotten for five minutes. It sends that request when it
/// hears of the versions, and is given so long to come to its subscription before.
const BOOTSTRAPPING: Duration = Duration::from_millis(5);
const KAFKA_PYTHON: &str = "kafka-python";

/// Waits, from when a request was `begun`, before a member is told of partitions for the
/// subscription that came with the request.
pub(super) async fn before_assigning(context: &RequestContext, begun: Mono) {
    context.broker.env.clock.sleep_until(begun + SUBSCRIBING).await;
}

/// Whether a client is to wait before it is told of the versions.
pub(super) fn bootstraps_too_soon(software: &str) -> bool {
    software == KAFKA_PYTHON
}

/// Waits, from when a request was `begun`, before such a client is told of the versions.
pub(super) async fn before_versions(context: &RequestContext, begun: Mono) {
    context.broker.env.clock.sleep_until(begun + BOOTSTRAPPING).await;
}
