//! How dirty a log is, how far it may be cleaned, and which log is next. Pure (Kafka 4.4
//! `LogCleanerManager.cleanableOffsets`, `LogToClean`, `grabFilthiestCompactedLog`).

use crate::log::LogConfig;
use crate::types::{Offset, Timestamp};

/// What is looked at in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its first offset.
    pub base_offset: Offset,
    /// Its bytes.
    pub size: u64,
    /// Its largest timestamp.
    pub max_timestamp: Timestamp,
    /// The largest timestamp of its first batch; looked at where the topic bounds the lag.
    pub first_timestamp: Timestamp,
}

/// What bounds a cleaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset of the log.
    pub log_start: Offset,
    /// Nothing at or behind it is touched: the last stable offset, or the recovery point if that is
    /// lower, so that what is cleaned is never what a crash may cut.
    pub stable: Offset,
    /// The offset of the next record.
    pub log_end: Offset,
}

/// How dirty a log is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DirtyRange {
    /// Everything below was cleaned before.
    pub first_dirty: Offset,
    /// Cleaning ends here: the first offset of a segment.
    pub first_uncleanable: Offset,
    /// Bytes that may be cleaned.
    pub cleanable_bytes: u64,
    /// Those, and the bytes that are clean.
    pub total_bytes: u64,
    /// Records wait for longer than `max.compaction.lag.ms`.
    pub is_overdue: bool,
    /// What was remembered as cleaned does not fit the log: it begins anew.
    pub was_reset: bool,
}

impl DirtyRange {
    /// The dirty part of the log.
    pub fn ratio(&self) -> f64 {
        if self.total_bytes == 0 {
            return 0.0;
        }
        self.cleanable_bytes as f64 / self.total_bytes as f64
    }

    /// Whether the log wants cleaning now.
    pub fn is_due(&self, config: &LogConfig) -> bool {
        self.total_bytes > 0
            && ((self.is_overdue && self.cleanable_bytes > 0)
                || self.ratio() > config.min_cleanable_dirty_ratio)
    }
}

/// Looks at a log; `segments` are all of it, the active one last, and never none.
pub fn dirty_range(
    segments: &[Extent],
    bounds: Bounds,
    cleaned_to: Option<Offset>,
    config: &LogConfig,
    now: Timestamp,
) -> DirtyRange {
    let remembered = cleaned_to.unwrap_or(bounds.log_start);
    let was_reset = remembered < bounds.log_start || remembered > bounds.log_end;
    let first_dirty = if was_reset { bounds.log_start } else { remembered };

    let Some((active, closed)) = segments.split_last() else {
        let (first_uncleanable, is_overdue) = (first_dirty, false);
        return DirtyRange {
            first_dirty,
            first_uncleanable,
            cleanable_bytes: 0,
            total_bytes: 0,
            is_overdue,
            was_reset,
        };
    };
    let holding = |offset: Offset| {
        segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    };
    let dirty_closed = &closed[holding(first_dirty).min(closed.len())..];

    let mut bound = bounds.stable.min(active.base_offset);
    if config.min_compaction_lag_ms > 0 {
        let newest = now.0.saturating_sub(config.min_compaction_lag_ms);
        let young = dirty_closed.iter().find(|segment| segment.max_timestamp.0 > newest);
        bound = bound.min(young.map_or(bound, |segment| segment.base_offset));
    }
    let bound = bound.max(first_dirty);
    // Whole segments only: the one that holds the bound stays.
    let first_uncleanable =
        if bound > active.base_offset { active } else { &segments[holding(bound)] }.base_offset;

    let size = |segments: &[Extent]| segments.iter().map(|segment| segment.size).sum::<u64>();
    let clean_count = segments.partition_point(|segment| segment.base_offset < first_dirty);
    let from = first_dirty.min(first_uncleanable);
    let upto = segments.partition_point(|segment| segment.base_offset < first_uncleanable);
    let cleanable_bytes = size(&segments[holding(from).min(upto)..upto]);

    let oldest = dirty_closed.iter().map(|s| s.first_timestamp.0).filter(|time| *time > 0).min();
    let overdue_before = now.0.saturating_sub(config.max_compaction_lag_ms.max(0));
    DirtyRange {
        first_dirty,
        first_uncleanable,
        cleanable_bytes,
        total_bytes: size(&segments[..clean_count]) + cleanable_bytes,
        is_overdue: oldest.is_some_and(|oldest| oldest < overdue_before),
        was_reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of 100 bytes at 0, 10, 20 and the active one at 30, at times 1000, 2000, ...
    fn segments() -> [Extent; 4] {
        [0, 1, 2, 3].map(|n| Extent {
            base_offset: n * 10,
            size: 100,
            max_timestamp: Timestamp((n + 1) * 1000),
            first_timestamp: Timestamp((n + 1) * 1000 - 500),
        })
    }

    fn look(stable: Offset, cleaned_to: Option<Offset>, config: &LogConfig) -> DirtyRange {
        let bounds = Bounds { log_start: 0, stable, log_end: 35 };
        dirty_range(&segments(), bounds, cleaned_to, config, Timestamp(5000))
    }

    #[test]
    fn cleaning_ends_before_the_active_segment_and_before_what_is_not_stable() {
        for (stable, cleaned_to, expected) in [
            (35, None, (0, 30, 300, 300)),
            (30, None, (0, 30, 300, 300)),
            (29, None, (0, 20, 200, 200)),
            (5, None, (0, 0, 0, 0)),
            (35, Some(20), (20, 30, 100, 300)),
            (35, Some(30), (30, 30, 0, 300)),
            // A segment that is cleaned in part counts on both sides.
            (35, Some(15), (15, 30, 200, 400)),
        ] {
            let found = look(stable, cleaned_to, &LogConfig::default());
            let got = (
                found.first_dirty,
                found.first_uncleanable,
                found.cleanable_bytes,
                found.total_bytes,
            );
            assert_eq!(got, expected, "stable {stable}, cleaned to {cleaned_to:?}");
        }
    }

    #[test]
    fn young_segments_wait_for_the_least_lag() {
        let config = LogConfig { min_compaction_lag_ms: 2500, ..LogConfig::default() };
        assert_eq!(look(35, None, &config).first_uncleanable, 20);
        let config = LogConfig { min_compaction_lag_ms: 10_000, ..LogConfig::default() };
        assert_eq!(look(35, None, &config).cleanable_bytes, 0);
    }

    #[test]
    fn old_records_are_overdue_after_the_greatest_lag_however_little_is_dirty() {
        let config = LogConfig {
            max_compaction_lag_ms: 3000,
            min_cleanable_dirty_ratio: 1.0,
            ..LogConfig::default()
        };
        assert!(look(35, None, &config).is_due(&config));
        assert!(!look(35, Some(20), &config).is_due(&config), "the last was written at 2500");
        assert!(!look(35, Some(30), &config).is_due(&config));
    }

    #[test]
    fn a_log_is_due_when_more_of_it_is_dirty_than_the_topic_wants() {
        let config = LogConfig { min_cleanable_dirty_ratio: 0.5, ..LogConfig::default() };
        assert!(look(35, None, &config).is_due(&config));
        assert!(look(35, Some(10), &config).is_due(&config));
        assert!(!look(35, Some(20), &config).is_due(&config));
        let config = LogConfig { min_cleanable_dirty_ratio: 0.0, ..config };
        assert!(look(35, Some(20), &config).is_due(&config));
        assert!(!look(35, Some(30), &config).is_due(&config));
    }

    #[test]
    fn a_remembered_offset_outside_the_log_begins_anew() {
        assert!(!look(35, Some(35), &LogConfig::default()).was_reset);
        let found = look(35, Some(36), &LogConfig::default());
        assert!(found.was_reset && found.first_dirty == 0);
        let bounds = Bounds { log_start: 12, stable: 35, log_end: 35 };
        let found =
            dirty_range(&segments(), bounds, Some(3), &LogConfig::default(), Timestamp(5000));
        assert!(found.was_reset && found.first_dirty == 12);
    }
}
