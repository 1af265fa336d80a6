//! Histograms with a bounded relative error.
//!
//! A histogram counts values in buckets whose width grows with the value: [`SUB_BUCKETS`] buckets
//! for each power of two, so that a quantile is at most 1/8 too high. The buckets are allocated on
//! the first value, because most APIs are never used.
//!
//! Quantiles should describe the recent past, as Kafka's decaying reservoirs do. Two windows of
//! buckets are kept: values go into the current one, quantiles are computed over both, and
//! [`Histogram::rotate`] replaces the older one. The count and the sum cover the time since startup.
//! The count is the number of values in the windows and in those that were replaced, so that a value
//! costs two additions, and a zero one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Buckets for each power of two.
const SUB_BUCKETS: usize = 1 << SUB_BITS;
const SUB_BITS: u32 = 3;
/// Values of this many bits or more share the last bucket: 2^40 microseconds are twelve days.
const VALUE_BITS_MAX: u32 = 40;
const BUCKETS: usize = SUB_BUCKETS * (VALUE_BITS_MAX - SUB_BITS + 1) as usize;
const WINDOWS: usize = 2;

const _: () = assert!(bucket_of(u64::MAX) == BUCKETS - 1, "every value has a bucket");
const _: () = assert!(bucket_of(0) == 0);

/// The bucket of a value. Values below [`SUB_BUCKETS`] have a bucket each.
const fn bucket_of(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    if bits <= SUB_BITS {
        return value as usize;
    }
    if bits > VALUE_BITS_MAX {
        return BUCKETS - 1;
    }
    let shift = bits - SUB_BITS - 1;
    let sub = (value >> shift) as usize - SUB_BUCKETS;
    SUB_BUCKETS * (shift as usize + 1) + sub
}

/// The largest value of a bucket.
const fn upper_bound(bucket: usize) -> u64 {
    if bucket < SUB_BUCKETS {
        return bucket as u64;
    }
    let shift = (bucket / SUB_BUCKETS - 1) as u32;
    let sub = (bucket % SUB_BUCKETS) as u64;
    ((sub + SUB_BUCKETS as u64 + 1) << shift) - 1
}

type Buckets = [AtomicU64; BUCKETS];

/// A distribution of values, for example of times in microseconds.
#[derive(Debug, Default)]
pub struct Histogram {
    windows: OnceLock<Box<[Buckets; WINDOWS]>>,
    current: AtomicUsize,
    sum: AtomicU64,
    /// Number of values in windows that were replaced. Locked while a window is replaced or read, so
    /// that no count is taken in between.
    replaced: Mutex<u64>,
}

impl Histogram {
    /// Counts a value.
    pub fn record(&self, value: u64) {
        let windows = self.windows.get_or_init(|| {
            Box::new(std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))))
        });
        let current = self.current.load(Ordering::Relaxed) % WINDOWS;
        windows[current][bucket_of(value)].fetch_add(1, Ordering::Relaxed);
        if value > 0 {
            self.sum.fetch_add(value, Ordering::Relaxed);
        }
    }

    /// Empties the older window and makes it the current one.
    pub fn rotate(&self) {
        let Some(windows) = self.windows.get() else { return };
        let mut replaced = self.replaced.lock();
        let next = (self.current.load(Ordering::Relaxed) + 1) % WINDOWS;
        for bucket in &windows[next] {
            *replaced += bucket.swap(0, Ordering::Relaxed);
        }
        self.current.store(next, Ordering::Relaxed);
    }

    /// The distribution over both windows.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let replaced = self.replaced.lock();
        let buckets: Vec<u64> = self.windows.get().map_or_else(Vec::new, |windows| {
            (0..BUCKETS)
                .map(|i| windows.iter().map(|window| window[i].load(Ordering::Relaxed)).sum())
                .collect()
        });
        let count = *replaced + buckets.iter().sum::<u64>();
        HistogramSnapshot { count, sum: self.sum.load(Ordering::Relaxed), buckets }
    }
}

/// The values of a [`Histogram`] at one moment.
#[derive(Clone, Debug, Default)]
pub struct HistogramSnapshot {
    /// Number of values since startup.
    pub count: u64,
    /// Sum of the values since startup.
    pub sum: u64,
    buckets: Vec<u64>,
}

impl HistogramSnapshot {
    /// The value below or at which the share `quantile` (0 to 1) of the recent values lies, at most
    /// 1/8 too high; 0 without recent values.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let recent: u64 = self.buckets.iter().sum();
        let rank = ((recent as f64 * quantile).ceil() as u64).clamp(1, recent.max(1));
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(bucket);
            }
        }
        0
    }

    /// The largest recent value, at most 1/8 too high.
    pub fn max(&self) -> u64 {
        self.buckets.iter().rposition(|count| *count > 0).map_or(0, upper_bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_all_values_in_order_without_gaps() {
        for bucket in 0..BUCKETS - 1 {
            let upper = upper_bound(bucket);
            assert_eq!(bucket_of(upper), bucket);
            assert_eq!(bucket_of(upper + 1), bucket + 1);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_never_too_low_and_at_most_an_eighth_too_high() {
        let histogram = Histogram::default();
        let values: Vec<u64> = (1..=10_000).map(|i| i * i % 99_991).collect();
        values.iter().for_each(|value| histogram.record(*value));
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let snapshot = histogram.snapshot();
        for quantile in [0.5, 0.75, 0.95, 0.99, 0.999] {
            let exact = sorted[(quantile * 10_000.0_f64).ceil() as usize - 1];
            let shown = snapshot.quantile(quantile);
            assert!(
                shown >= exact && shown <= exact + exact / 8 + 1,
                "{quantile}: {shown} {exact}"
            );
        }
        assert_eq!(snapshot.count, 10_000);
        assert_eq!(snapshot.sum, values.iter().sum::<u64>());
        assert!(snapshot.max() >= sorted[9_999]);
    }

    #[test]
    fn rotation_forgets_old_values_in_the_quantiles_only() {
        let histogram = Histogram::default();
        histogram.record(1_000_000);
        histogram.rotate();
        histogram.record(5);
        assert!(histogram.snapshot().max() >= 1_000_000);
        histogram.rotate();
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.max(), snapshot.quantile(0.99)), (5, 5));
        assert_eq!((snapshot.count, snapshot.sum), (2, 1_000_005));
    }

    #[test]
    fn an_unused_histogram_reports_zeros() {
        let snapshot = Histogram::default().snapshot();
        assert_eq!((snapshot.quantile(0.5), snapshot.max(), snapshot.count), (0, 0, 0));
    }
}
