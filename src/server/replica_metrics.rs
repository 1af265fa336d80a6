//! Metrics of replicas, computed from the metadata and the partitions when they are collected
//! (Kafka 4.4 `ReplicaManager`, `Partition`, `LogManager`).

use std::sync::Weak;

use super::services::Services;
use crate::metadata;
use crate::metrics::{Collect, Collector, declare_metrics};
use crate::types::BrokerId;

declare_metrics! {
    /// All replicas of this broker.
    struct ReplicaManagerMetrics {
        /// Replicas on this broker.
        partitions: Gauge, Count, "kafka.server:type=ReplicaManager,name=PartitionCount";
        /// Partitions that this broker leads.
        leaders: Gauge, Count, "kafka.server:type=ReplicaManager,name=LeaderCount";
        /// Led partitions with a replica that is not in sync.
        under_replicated: Gauge, Count,
            "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions";
        /// Led partitions with fewer in-sync replicas than min.insync.replicas.
        under_min_isr: Gauge, Count,
            "kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount";
        /// Led partitions with just as many in-sync replicas as min.insync.replicas.
        at_min_isr: Gauge, Count, "kafka.server:type=ReplicaManager,name=AtMinIsrPartitionCount";
        /// Led partitions whose replicas are being reassigned.
        reassigning: Gauge, Count, "kafka.server:type=ReplicaManager,name=ReassigningPartitions";
        /// Replicas of this broker that are offline.
        offline: Gauge, Count, "kafka.server:type=ReplicaManager,name=OfflineReplicaCount";
        /// Log directories of this broker that are offline.
        offline_dirs: Gauge, Count, "kafka.log:type=LogManager,name=OfflineLogDirectoryCount";
    }
}

declare_metrics! {
    /// One partition that this broker leads.
    struct PartitionMetrics {
        /// Whether a replica of the partition is not in sync.
        under_replicated: Gauge, Count, "kafka.cluster:type=Partition,name=UnderReplicated";
        /// Whether the partition has fewer in-sync replicas than min.insync.replicas.
        under_min_isr: Gauge, Count, "kafka.cluster:type=Partition,name=UnderMinIsr";
        /// Whether the partition has just as many in-sync replicas as min.insync.replicas.
        at_min_isr: Gauge, Count, "kafka.cluster:type=Partition,name=AtMinIsr";
        /// Replicas of the partition.
        replicas: Gauge, Count, "kafka.cluster:type=Partition,name=ReplicasCount";
        /// In-sync replicas of the partition.
        in_sync: Gauge, Count, "kafka.cluster:type=Partition,name=InSyncReplicasCount";
    }
}

/// Reports the replicas of a broker.
pub struct ReplicaManager(pub Weak<Services>);

impl Collect for ReplicaManager {
    fn collect(&self, collector: &mut dyn Collector) {
        let Some(services) = self.0.upgrade() else { return };
        let image = services.image.load_full();
        let all = ReplicaManagerMetrics::default();
        for partition in services.partitions.all() {
            all.partitions.add(1);
            all.offline.add(i64::from(partition.offline().is_some()));
            let Some(registration) = image.topics.partition(partition.id) else { continue };
            if registration.leader != services.node_id {
                continue;
            }
            let min_isr = partition.config().min_insync_replicas;
            let health = Health::of(registration, min_isr, services.node_id);
            all.leaders.add(1);
            all.under_replicated.add(health.is_under_replicated.into());
            all.under_min_isr.add(health.is_under_min_isr.into());
            all.at_min_isr.add(health.is_at_min_isr.into());
            all.reassigning.add(health.is_reassigning.into());
            let one = PartitionMetrics::default();
            one.under_replicated.set(health.is_under_replicated.into());
            one.under_min_isr.set(health.is_under_min_isr.into());
            one.at_min_isr.set(health.is_at_min_isr.into());
            one.replicas.set(registration.replicas.len() as i64);
            one.in_sync.set(registration.isr.len() as i64);
            let number = partition.id.partition.to_string();
            let labels = [("topic", &*partition.topic), ("partition", &*number)];
            one.collect_labelled(&labels, collector);
        }
        // Those that do not open are not among the partitions.
        let unopened = services.placement.offline().len() as i64;
        all.partitions.add(unopened);
        all.offline.add(unopened);
        let offline_dirs = services.log_dirs.iter().filter(|dir| dir.failure().is_some()).count();
        all.offline_dirs.set(offline_dirs as i64);
        all.collect_labelled(&[], collector);
    }
}

/// What is wrong with a partition that `this_broker` leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Health {
    is_under_replicated: bool,
    is_under_min_isr: bool,
    is_at_min_isr: bool,
    is_reassigning: bool,
}

impl Health {
    /// Replicas that are being added do not count as missing. More in-sync replicas than there are
    /// replicas cannot be demanded (Kafka 4.4 `Partition.effectiveMinIsr`).
    fn of(registration: &metadata::Partition, min_isr: usize, this_broker: BrokerId) -> Self {
        assert_eq!(registration.leader, this_broker, "only the leader knows the in-sync replicas");
        let is_old = |replica: &&BrokerId| !registration.adding_replicas.contains(replica);
        let assigned = registration.replicas.iter().filter(is_old).count();
        let in_sync = registration.isr.len();
        let min_isr = min_isr.min(registration.replicas.len());
        let (adding, removing) = (&registration.adding_replicas, &registration.removing_replicas);
        Self {
            is_under_replicated: in_sync < assigned,
            is_under_min_isr: in_sync < min_isr,
            is_at_min_isr: in_sync == min_isr,
            is_reassigning: !adding.is_empty() || !removing.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(replicas: &[BrokerId], isr: &[BrokerId], adding: &[BrokerId]) -> Health {
        let registration = metadata::Partition {
            replicas: replicas.to_vec(),
            directories: Vec::new(),
            isr: isr.to_vec(),
            removing_replicas: Vec::new(),
            adding_replicas: adding.to_vec(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            leader_recovery_state: 0,
        };
        Health::of(&registration, 2, 1)
    }

    #[test]
    fn a_partition_is_compared_with_its_assignment_and_min_insync_replicas() {
        let flags = |replicas: &[_], isr: &[_], adding: &[_]| {
            let health = health(replicas, isr, adding);
            (health.is_under_replicated, health.is_under_min_isr, health.is_at_min_isr)
        };
        assert_eq!(flags(&[1, 2, 3], &[1, 2, 3], &[]), (false, false, false));
        assert_eq!(flags(&[1, 2, 3], &[1, 2], &[]), (true, false, true));
        assert_eq!(flags(&[1, 2, 3], &[1], &[]), (true, true, false));
        assert_eq!(flags(&[1, 2, 3], &[1, 2], &[3]), (false, false, true), "3 is being added");
        assert_eq!(flags(&[1], &[1], &[]), (false, false, true), "a single replica is enough");
        assert!(health(&[1, 2, 3], &[1, 2], &[3]).is_reassigning);
    }
}
