//! Metrics of the controller, the quorum, the metadata and the state of this node, computed when they
//! are collected (Kafka 4.4 `ControllerMetadataMetrics`, `KafkaRaftMetrics`, `BrokerServerMetrics`).

use std::sync::Weak;

use super::services::Services;
use crate::metadata::MetadataImage;
use crate::metrics::{Collect, Collector, declare_metrics};

declare_metrics! {
    /// The cluster as the controller of this node knows it.
    struct ControllerMetrics {
        /// 1 if this node is the active controller.
        active: Gauge, Count, "kafka.controller:type=KafkaController,name=ActiveControllerCount";
        /// Brokers that are registered and not fenced.
        active_brokers: Gauge, Count, "kafka.controller:type=KafkaController,name=ActiveBrokerCount";
        /// Brokers that are fenced.
        fenced_brokers: Gauge, Count, "kafka.controller:type=KafkaController,name=FencedBrokerCount";
        /// Topics of the cluster.
        topics: Gauge, Count, "kafka.controller:type=KafkaController,name=GlobalTopicCount";
        /// Partitions of the cluster.
        partitions: Gauge, Count, "kafka.controller:type=KafkaController,name=GlobalPartitionCount";
        /// Partitions without a leader.
        offline: Gauge, Count, "kafka.controller:type=KafkaController,name=OfflinePartitionsCount";
        /// Partitions whose leader is not the preferred one.
        imbalanced: Gauge, Count,
            "kafka.controller:type=KafkaController,name=PreferredReplicaImbalanceCount";
        /// Offset of the last metadata record that was applied.
        applied: Gauge, Count, "kafka.controller:type=KafkaController,name=LastAppliedRecordOffset";
        /// Offset of the last metadata record that was committed.
        committed: Gauge, Count,
            "kafka.controller:type=KafkaController,name=LastCommittedRecordOffset";
    }
}

declare_metrics! {
    /// The metadata quorum as this node knows it.
    struct QuorumMetrics {
        /// Leader of the metadata quorum, -1 while it is unknown.
        leader: Gauge, Count, "kafka.server:type=raft-metrics,name=current-leader";
        /// Epoch of the metadata quorum.
        epoch: Gauge, Count, "kafka.server:type=raft-metrics,name=current-epoch";
        /// End of the committed metadata log.
        high_watermark: Gauge, Count, "kafka.server:type=raft-metrics,name=high-watermark";
        /// Voters of the metadata quorum.
        voters: Gauge, Count, "kafka.server:type=raft-metrics,name=number-of-voters";
    }
}

declare_metrics! {
    /// The role of this node in the quorum, in the label `current_state`.
    struct QuorumStateMetrics {
        /// 1 for the state that this node has in the metadata quorum.
        state: Gauge, Count, "kafka.server:type=raft-metrics,name=current-state";
    }
}

declare_metrics! {
    /// This node as a broker.
    struct BrokerMetrics {
        /// Offset of the last metadata record that this broker has applied.
        applied: Gauge, Count,
            "kafka.server:type=broker-metadata-metrics,name=last-applied-record-offset";
        /// State of this broker: 3 running, 7 shutting down.
        state: Gauge, Count, "kafka.server:type=KafkaServer,name=BrokerState";
        /// Incremental fetch sessions.
        fetch_sessions: Gauge, Count,
            "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions";
        /// Partitions of the incremental fetch sessions.
        fetch_partitions: Gauge, Count,
            "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchPartitionsCached";
        /// Fetch sessions that were evicted to make room for others.
        fetch_evictions: Counter, Count,
            "kafka.server:type=FetchSessionCache,name=IncrementalFetchSessionEvictionsPerSec";
    }
}

/// Values of `BrokerState` (Kafka 4.4 `BrokerState`). No metric can be read before a broker runs.
const RUNNING: i64 = 3;
const SHUTTING_DOWN: i64 = 7;

/// Reports the cluster and the node.
pub struct ClusterMetrics(pub Weak<Services>);

impl Collect for ClusterMetrics {
    fn collect(&self, collector: &mut dyn Collector) {
        let Some(services) = self.0.upgrade() else { return };
        let image = services.image.load_full();
        let status = services.quorum.status();
        let is_leader = status.leader == Some(services.node_id);

        let controller = controller_metrics(&image);
        controller.active.set(is_leader.into());
        controller.committed.set(services.quorum.high_watermark() - 1);
        controller.collect_labelled(&[], collector);

        let quorum = QuorumMetrics::default();
        quorum.leader.set(status.leader.unwrap_or(-1).into());
        quorum.epoch.set(status.epoch.into());
        quorum.high_watermark.set(services.quorum.high_watermark());
        quorum.voters.set(status.voters.len() as i64);
        quorum.collect_labelled(&[], collector);
        let state = QuorumStateMetrics::default();
        state.state.set(1);
        let name = match (is_leader, status.leader) {
            (true, _) => "leader",
            (false, Some(_)) => "follower",
            (false, None) => "unattached",
        };
        state.collect_labelled(&[("current_state", name)], collector);

        let broker = BrokerMetrics::default();
        broker.applied.set(image.offset);
        broker.state.set(if services.stopping.is_set() { SHUTTING_DOWN } else { RUNNING });
        let sessions = services.fetch_sessions.lock();
        broker.fetch_sessions.set(sessions.len() as i64);
        broker.fetch_partitions.set(sessions.partitions() as i64);
        broker.fetch_evictions.add(sessions.evictions());
        drop(sessions);
        broker.collect_labelled(&[], collector);
    }
}

/// What follows from the metadata alone.
fn controller_metrics(image: &MetadataImage) -> ControllerMetrics {
    let metrics = ControllerMetrics::default();
    for broker in image.cluster.brokers.values() {
        let count = if broker.fenced { &metrics.fenced_brokers } else { &metrics.active_brokers };
        count.add(1);
    }
    metrics.topics.set(image.topics.len() as i64);
    for partition in image.topics.iter().flat_map(|topic| topic.partitions.iter()) {
        metrics.partitions.add(1);
        metrics.offline.add((partition.leader < 0).into());
        let preferred = partition.replicas.first();
        metrics.imbalanced.add((preferred != Some(&partition.leader)).into());
    }
    metrics.applied.set(image.offset);
    metrics
}
