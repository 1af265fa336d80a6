//! What is done for the sake of clients that break on what the protocol allows: which, in which
//! release, and how. So far each of them is stuck where an answer comes sooner than Apache Kafka's
//! does, and is given the time that it needs there.

use std::time::Duration;

/// librdkafka 2.15, consumer protocol: where the answer to one step of a changing subscription
/// comes before the next step, the consumer may be stuck: after an `unsubscribe()` then, it never
/// joins again. So whoever subscribes hears of the partitions that this brings it no sooner than
/// after so long, as with every answer of Apache Kafka 4.0's coordinator, which lingers for 5 ms.
pub(super) const SUBSCRIBING: Duration = Duration::from_millis(5);

/// kafka-python 3.0: a `subscribe()`, that of the constructor too, which comes while its first
/// Metadata request is under way is forgotten for five minutes. It sends that request when it
/// hears of the versions, and is given so long to come to its subscription before.
const BOOTSTRAPPING: Duration = Duration::from_millis(5);

/// How long a client waits before it is told of the versions, if it does.
pub(super) fn before_versions(software: &str) -> Option<Duration> {
    (software == "kafka-python").then_some(BOOTSTRAPPING)
}
