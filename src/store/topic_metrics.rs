//! Traffic of each topic and of all topics (Kafka 4.4 `BrokerTopicStats`, `BrokerTopicMetrics`).

use std::sync::Arc;

use crate::metrics::{Collector, declare_metrics};

declare_metrics! {
    /// Traffic of one topic, or of all.
    pub struct TopicMetrics {
        /// Bytes appended by producers and coordinators.
        bytes_in: Counter, Bytes, "kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec";
        /// Bytes of records sent to consumers.
        bytes_out: Counter, Bytes, "kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec";
        /// Records appended by producers and coordinators.
        messages_in: Counter, Count, "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec";
        /// Appends that were attempted, one for each partition of a request.
        produce_requests: Counter, Count,
            "kafka.server:type=BrokerTopicMetrics,name=TotalProduceRequestsPerSec";
        /// Appends that failed.
        failed_produce_requests: Counter, Count,
            "kafka.server:type=BrokerTopicMetrics,name=FailedProduceRequestsPerSec";
        /// Reads that were attempted, one for each partition of a request.
        fetch_requests: Counter, Count,
            "kafka.server:type=BrokerTopicMetrics,name=TotalFetchRequestsPerSec";
        /// Reads that failed.
        failed_fetch_requests: Counter, Count,
            "kafka.server:type=BrokerTopicMetrics,name=FailedFetchRequestsPerSec";
    }
}

/// The metrics that the partitions of one topic update.
#[derive(Clone, Debug, Default)]
pub struct TopicTraffic {
    topic: Arc<TopicMetrics>,
    all: Arc<TopicMetrics>,
}

impl TopicTraffic {
    /// The metrics of a new topic; `all` are those of all topics.
    pub fn new(all: &Arc<TopicMetrics>) -> Self {
        Self { topic: Arc::default(), all: Arc::clone(all) }
    }

    /// The metrics of the topic alone.
    pub fn of_topic(&self) -> &TopicMetrics {
        &self.topic
    }

    fn update(&self, update: impl Fn(&TopicMetrics)) {
        update(&self.topic);
        update(&self.all);
    }

    /// Counts an append: `None` for one that failed, else its records and bytes. A retry that was
    /// found in the log already has neither.
    pub fn appended(&self, records_and_bytes: Option<(u64, u64)>) {
        self.update(|metrics| {
            metrics.produce_requests.increment();
            match records_and_bytes {
                Some((records, bytes)) => {
                    metrics.messages_in.add(records);
                    metrics.bytes_in.add(bytes);
                }
                None => metrics.failed_produce_requests.increment(),
            }
        });
    }

    /// Counts a read: `None` for one that failed, else the bytes of its records.
    pub fn read(&self, bytes: Option<u64>) {
        self.update(|metrics| {
            metrics.fetch_requests.increment();
            match bytes {
                Some(bytes) => metrics.bytes_out.add(bytes),
                None => metrics.failed_fetch_requests.increment(),
            }
        });
    }
}

/// Reports the metrics of one topic.
pub(super) fn collect(name: &str, traffic: &TopicTraffic, collector: &mut dyn Collector) {
    traffic.topic.collect_labelled(&[("topic", name)], collector);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_counts_for_the_topic_and_for_all() {
        let all = Arc::new(TopicMetrics::default());
        let (a, b) = (TopicTraffic::new(&all), TopicTraffic::new(&all));
        a.appended(Some((2, 100)));
        a.appended(None);
        b.appended(Some((1, 50)));
        b.read(Some(70));
        b.read(None);
        assert_eq!(a.of_topic().bytes_in.value(), 100);
        assert_eq!(all.messages_in.value(), 3);
        assert_eq!(all.bytes_in.value(), 150);
        assert_eq!((all.produce_requests.value(), all.failed_produce_requests.value()), (3, 1));
        assert_eq!((all.fetch_requests.value(), all.failed_fetch_requests.value()), (2, 1));
        assert_eq!((all.bytes_out.value(), a.of_topic().bytes_out.value()), (70, 0));
    }
}
