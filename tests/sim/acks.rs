//! What acks=all needs of the ISR.

use crate::HOST;
use crate::stops::with_records_of;
use crate::support::broker::SimBroker;
use crate::support::simulate;

/// `min.insync.replicas` is capped by the replication factor (Kafka 4.4 `Partition.effectiveMinIsr`).
#[test]
fn a_topic_with_one_replica_takes_acks_all_whatever_the_minimum_isr() {
    simulate("a_topic_with_one_replica", 1, |world| async move {
        let broker = SimBroker::new(&world, HOST, &[("min.insync.replicas", "2")]);
        with_records_of(broker, &world, 3).await;
    });
}
