//! The partitions that this broker holds, by topic id and by name.
//!
//! Looked up by every request, changed by few: readers load an immutable table.

use std::sync::Arc;

use arc_swap::ArcSwap;
use indexmap::IndexMap;
use parking_lot::Mutex;

use super::log_metrics;
use super::partition::Partition;
use super::topic_metrics::{self, TopicMetrics, TopicTraffic};
use crate::metrics::{Collect, Collector};
use crate::types::{PartitionIndex, TopicId, TopicPartition};

/// The partitions of a topic by number, `None` where one is not here.
type ByNumber = Arc<Vec<Option<Arc<Partition>>>>;

/// The partitions of one topic, as they were when they were looked up.
pub struct OfTopic(Option<ByNumber>);

impl OfTopic {
    /// One partition.
    pub fn get(&self, partition: PartitionIndex) -> Option<&Arc<Partition>> {
        self.0.as_ref()?.get(usize::try_from(partition).ok()?)?.as_ref()
    }
}

/// Every partition of this broker.
#[derive(Default)]
pub struct Partitions {
    table: ArcSwap<Table>,
    /// Serializes changes of the table.
    changing: Mutex<()>,
    /// The traffic of all topics.
    traffic: Arc<TopicMetrics>,
}

#[derive(Clone, Default)]
struct Table {
    topics: IndexMap<TopicId, ByNumber>,
}

impl Partitions {
    /// One partition.
    pub fn get(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        let table = self.table.load();
        let partitions = table.topics.get(&id.topic)?;
        partitions.get(usize::try_from(id.partition).ok()?)?.clone()
    }

    /// Those of one topic, for whoever wants several.
    pub fn looked_up(&self, id: TopicId) -> OfTopic {
        OfTopic(self.table.load().topics.get(&id).cloned())
    }

    /// All partitions.
    pub fn all(&self) -> Vec<Arc<Partition>> {
        let table = self.table.load();
        table.topics.values().flat_map(|topic| topic.iter().flatten().cloned()).collect()
    }

    /// Adds partitions, many at once.
    pub fn insert(&self, partitions: impl IntoIterator<Item = Arc<Partition>>) {
        let _one = self.changing.lock();
        let mut table = Table::clone(&self.table.load());
        for partition in partitions {
            let Ok(at) = usize::try_from(partition.id.partition) else { continue };
            let topic = Arc::make_mut(table.topics.entry(partition.id.topic).or_default());
            let of_topic = topic.iter().flatten().next().map(|sibling| sibling.traffic().clone());
            partition.set_traffic(of_topic.unwrap_or_else(|| TopicTraffic::new(&self.traffic)));
            if topic.len() <= at {
                topic.resize_with(at + 1, || None);
            }
            topic[at] = Some(partition);
        }
        self.table.store(Arc::new(table));
    }

    /// Removes all partitions of a topic; they come back.
    pub fn remove_topic(&self, id: TopicId) -> Vec<Arc<Partition>> {
        let _one = self.changing.lock();
        let mut table = Table::clone(&self.table.load());
        let gone = table.topics.swap_remove(&id);
        self.table.store(Arc::new(table));
        gone.iter().flat_map(|topic| topic.iter().flatten().cloned()).collect()
    }

    /// The partitions of a topic that are here, by number.
    pub fn of_topic(&self, id: TopicId) -> Vec<(PartitionIndex, Arc<Partition>)> {
        let table = self.table.load();
        let Some(topic) = table.topics.get(&id) else { return Vec::new() };
        let numbered = (0..).zip(topic.iter());
        numbered.filter_map(|(at, partition)| Some((at, partition.clone()?))).collect()
    }
}

impl Collect for Partitions {
    fn collect(&self, collector: &mut dyn Collector) {
        self.traffic.collect_labelled(&[], collector);
        for topic in self.table.load().topics.values() {
            if let Some(partition) = topic.iter().flatten().next() {
                topic_metrics::collect(&partition.topic, partition.traffic(), collector);
            }
            for partition in topic.iter().flatten() {
                log_metrics::collect(partition, collector);
            }
        }
    }
}
