//! Groups by state and protocol (Kafka 4.4 `GroupCoordinatorMetrics`), counted when they are collected.

use std::collections::BTreeMap;
use std::sync::Weak;

use parking_lot::Mutex;

use super::services::Services;
use crate::coordinator::groups::command::{GroupCommand, GroupReply, ListedGroup};
use crate::metrics::{Collect, Collector, declare_metrics};
use crate::types::PartitionIndex;

declare_metrics! {
    /// Classic groups by state.
    struct ClassicGroupMetrics {
        /// Classic groups.
        all: Gauge, Count, "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroups";
        /// Classic groups in state PreparingRebalance.
        preparing: Gauge, Count,
            "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsPreparingRebalance";
        /// Classic groups in state CompletingRebalance.
        completing: Gauge, Count,
            "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsCompletingRebalance";
        /// Classic groups in state Stable.
        stable: Gauge, Count, "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsStable";
        /// Classic groups in state Dead.
        dead: Gauge, Count, "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsDead";
        /// Classic groups in state Empty.
        empty: Gauge, Count, "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsEmpty";
    }
}

declare_metrics! {
    /// Groups of one protocol, in the label `protocol`.
    struct ProtocolMetrics {
        /// Groups by protocol.
        groups: Gauge, Count, "kafka.server:type=group-coordinator-metrics,name=group-count";
    }
}

declare_metrics! {
    /// Consumer groups in one state, in the label `state`.
    struct ConsumerGroupMetrics {
        /// Groups of the consumer protocol by state.
        groups: Gauge, Count, "kafka.server:type=group-coordinator-metrics,name=consumer-group-count";
    }
}

/// The states of a group of the consumer protocol.
const CONSUMER_STATES: [&str; 5] = ["Empty", "Assigning", "Reconciling", "Stable", "Dead"];

/// Number of groups by kind and state.
type Counts = BTreeMap<(&'static str, &'static str), i64>;

/// Counts the groups whose coordinators are here.
pub struct GroupMetrics {
    services: Weak<Services>,
    /// Of each coordinator as it last answered: one that waits for a commit answers later.
    last: Mutex<BTreeMap<PartitionIndex, Counts>>,
}

impl GroupMetrics {
    /// Metrics of these coordinators.
    pub fn new(services: Weak<Services>) -> Self {
        Self { services, last: Mutex::default() }
    }
}

impl Collect for GroupMetrics {
    fn collect(&self, collector: &mut dyn Collector) {
        let Some(services) = self.services.upgrade() else { return };
        let here = services.groups.partitions();
        let mut last = self.last.lock();
        last.retain(|partition, _| here.contains(partition));
        for partition in here {
            let answer = services.groups.submit(partition, GroupCommand::List);
            if let Ok(mut answer) = answer
                && let Ok(Ok(GroupReply::Listed(groups))) = answer.try_recv()
            {
                last.insert(partition, counts(&groups));
            }
        }
        let mut total = Counts::new();
        for (key, count) in last.values().flatten() {
            *total.entry(*key).or_default() += count;
        }
        collect_counts(&total, collector);
    }
}

fn counts(groups: &[ListedGroup]) -> Counts {
    let mut counts = Counts::new();
    for group in groups {
        *counts.entry((group.kind, group.state)).or_default() += 1;
    }
    counts
}

fn collect_counts(counts: &Counts, collector: &mut dyn Collector) {
    let of = |kind, state| counts.get(&(kind, state)).copied().unwrap_or(0);
    let all_of = |kind| -> i64 {
        counts.iter().filter(|((of, _), _)| *of == kind).map(|(_, count)| count).sum()
    };
    let classic = ClassicGroupMetrics::default();
    classic.all.set(all_of("classic"));
    for (gauge, state) in [
        (&classic.preparing, "PreparingRebalance"),
        (&classic.completing, "CompletingRebalance"),
        (&classic.stable, "Stable"),
        (&classic.dead, "Dead"),
        (&classic.empty, "Empty"),
    ] {
        gauge.set(of("classic", state));
    }
    classic.collect_labelled(&[], collector);
    for protocol in ["classic", "consumer"] {
        let metrics = ProtocolMetrics::default();
        metrics.groups.set(all_of(protocol));
        metrics.collect_labelled(&[("protocol", protocol)], collector);
    }
    for state in CONSUMER_STATES {
        let metrics = ConsumerGroupMetrics::default();
        metrics.groups.set(of("consumer", state));
        metrics.collect_labelled(&[("state", &state.to_ascii_lowercase())], collector);
    }
}
