//! Replication throttles (KIP-73): which replicas are throttled, and whether the quota of this
//! broker is used up (Kafka 4.4 `ReplicationQuotaManager`, `SimpleRate`).

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::{BrokerId, Mono, PartitionIndex};

/// The replicas that `leader.replication.throttled.replicas` or
/// `follower.replication.throttled.replicas` of a topic names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// None: the value is empty.
    #[default]
    None,
    /// All: the value is `*`.
    All,
    /// These partitions of this broker, sorted.
    Partitions(Vec<PartitionIndex>),
}

impl ThrottledReplicas {
    /// The part of a value (`*`, or `partition:broker` items) that concerns `broker`. Items that do
    /// not parse name nothing: the configuration check has refused them before.
    pub fn of<'a>(value: impl IntoIterator<Item = &'a str>, broker: BrokerId) -> Self {
        let mut partitions = Vec::new();
        for item in value.into_iter().map(str::trim) {
            if item == "*" {
                return Self::All;
            }
            let pair = item.split_once(':').and_then(|(partition, replica)| {
                Some((
                    partition.trim().parse::<PartitionIndex>().ok()?,
                    replica.trim().parse::<BrokerId>().ok()?,
                ))
            });
            partitions.extend(pair.filter(|(_, replica)| *replica == broker).map(|pair| pair.0));
        }
        partitions.sort_unstable();
        partitions.dedup();
        if partitions.is_empty() { Self::None } else { Self::Partitions(partitions) }
    }

    /// Whether `partition` is throttled.
    pub fn contains(&self, partition: PartitionIndex) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Partitions(partitions) => partitions.binary_search(&partition).is_ok(),
        }
    }
}

/// The replication traffic of throttled replicas through this broker, in one direction.
///
/// Bytes are counted in windows. The rate is what the windows of the last
/// `replication.quota.window.num` x `replication.quota.window.size.seconds` contain, divided by the
/// time since the oldest of them began, which counts as one window at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationQuota {
    /// Bytes a second; `None` without a quota.
    bytes_per_second: Option<u64>,
    window: Duration,
    windows: usize,
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    began: Mono,
    last: Mono,
    bytes: u64,
}

impl ReplicationQuota {
    /// A quota over `windows` windows of `window` each, both at least 1.
    pub fn new(bytes_per_second: Option<u64>, window: Duration, windows: usize) -> Self {
        let window = window.max(Duration::from_nanos(1));
        Self { bytes_per_second, window, windows: windows.max(1), samples: VecDeque::new() }
    }

    /// Changes the quota.
    pub fn set(&mut self, bytes_per_second: Option<u64>) {
        self.bytes_per_second = bytes_per_second;
    }

    /// Counts bytes of a throttled replica, in or out of sync. What is counted may exceed the
    /// quota: the next request is held back instead.
    pub fn record(&mut self, now: Mono, bytes: u64) {
        self.expire(now);
        match self.samples.back_mut().filter(|sample| now.since(sample.began) < self.window) {
            Some(sample) => {
                sample.bytes = sample.bytes.saturating_add(bytes);
                sample.last = now;
            }
            None => self.samples.push_back(Sample { began: now, last: now, bytes }),
        }
    }

    /// Bytes a second at `now`.
    pub fn rate(&self, now: Mono) -> f64 {
        let live = self.samples.iter().filter(|sample| self.is_live(now, sample));
        let (mut bytes, mut oldest) = (0u64, now);
        for sample in live {
            bytes = bytes.saturating_add(sample.bytes);
            oldest = oldest.min(sample.began);
        }
        bytes as f64 / now.since(oldest).max(self.window).as_secs_f64()
    }

    /// Whether more has gone through than the quota allows.
    pub fn is_exceeded(&self, now: Mono) -> bool {
        self.bytes_per_second.is_some_and(|quota| self.rate(now) > quota as f64)
    }

    fn is_live(&self, now: Mono, sample: &Sample) -> bool {
        now.since(sample.last) < self.window * u32::try_from(self.windows).unwrap_or(u32::MAX)
    }

    fn expire(&mut self, now: Mono) {
        while self.samples.front().is_some_and(|sample| !self.is_live(now, sample)) {
            self.samples.pop_front();
        }
        assert!(self.samples.len() <= self.windows + 1, "each window has one sample");
    }
}

/// Whether a throttled replica is held back: replicas in sync never are, so that a throttle does
/// not make the ISR shrink (Kafka 4.4 `ReplicaManager.shouldLeaderThrottle`,
/// `RemoteLeaderEndPoint.shouldFollowerThrottle`).
pub fn holds_back(is_in_sync: bool, is_throttled: bool, is_exceeded: bool) -> bool {
    !is_in_sync && is_throttled && is_exceeded
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: f64) -> Mono {
        Mono(0) + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn throttled_replicas_are_those_of_this_broker() {
        for (value, expected) in [
            (vec![], ThrottledReplicas::None),
            (vec!["*"], ThrottledReplicas::All),
            (vec!["3:1", "0:1", "2:2", "x"], ThrottledReplicas::Partitions(vec![0, 3])),
            (vec!["2:2"], ThrottledReplicas::None),
        ] {
            assert_eq!(ThrottledReplicas::of(value.iter().copied(), 1), expected, "{value:?}");
        }
        let some = ThrottledReplicas::of(["3:1", "0:1"], 1);
        assert!(some.contains(3) && !some.contains(1));
    }

    /// Kafka 4.4 `SimpleRate.windowSize`: the first window counts whole.
    #[test]
    fn the_rate_is_taken_over_the_windows_of_the_recent_past() {
        let mut quota = ReplicationQuota::new(Some(100), SECOND, 3);
        assert!(!quota.is_exceeded(at(0.0)));
        quota.record(at(0.0), 150);
        assert!((quota.rate(at(0.1)) - 150.0).abs() < 1e-6);
        assert!(quota.is_exceeded(at(0.1)));
        assert!(!quota.is_exceeded(at(1.5)), "150 bytes in 1.5 s are within 100 bytes a second");
        quota.record(at(1.5), 60);
        assert!(quota.is_exceeded(at(2.0)), "210 bytes in 2 s");
        assert!((quota.rate(at(3.0)) - 60.0 / 1.5).abs() < 1e-6, "the first window has expired");
        assert!(quota.rate(at(4.5)).abs() < 1e-6);
        quota.set(None);
        quota.record(at(4.5), u64::MAX);
        assert!(!quota.is_exceeded(at(4.5)));
    }

    #[test]
    fn samples_are_bounded_by_the_number_of_windows() {
        let mut quota = ReplicationQuota::new(Some(1), SECOND, 11);
        for tick in 0..10_000u32 {
            quota.record(at(f64::from(tick) / 10.0), 1);
        }
        assert!(quota.samples.len() <= 12);
        assert!((quota.rate(at(999.9)) - 10.0).abs() < 1.0);
    }

    #[test]
    fn only_a_lagging_throttled_replica_is_held_back_by_an_exceeded_quota() {
        for (is_in_sync, is_throttled, is_exceeded, expected) in
            [(false, true, true, true), (true, true, true, false), (false, false, true, false)]
        {
            assert_eq!(holds_back(is_in_sync, is_throttled, is_exceeded), expected);
        }
        assert!(!holds_back(false, true, false));
    }
}
