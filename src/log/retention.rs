//! Which segments have outlived their time. Pure (Kafka 4.4 `UnifiedLog.deleteOldSegments`).

use super::config::LogConfig;
use crate::types::{NO_TIMESTAMP, Offset, Timestamp};

/// What retention looks at in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOutline {
    /// The first offset behind it.
    pub next_offset: Offset,
    /// Its bytes.
    pub size: u64,
    /// Its largest timestamp.
    pub max_timestamp: Timestamp,
    /// When its file was last written, for records without timestamps.
    pub modified: Timestamp,
}

/// How many segments, from the oldest, may go: all below the log start; where the topic deletes,
/// those whose newest record is too old, and those beyond the size. Never one that reaches past the
/// high watermark. A timestamp in the future keeps its segment until then, as in Kafka.
pub fn deletable(
    segments: &[SegmentOutline],
    config: &LogConfig,
    log_start_offset: Offset,
    high_watermark: Offset,
    now: Timestamp,
) -> usize {
    let eligible = segments.iter().take_while(|s| s.next_offset <= high_watermark).count();
    let leading = |gone: &dyn Fn(&SegmentOutline) -> bool| {
        segments[..eligible].iter().take_while(|segment| gone(segment)).count()
    };
    let below_start = leading(&|segment| segment.next_offset <= log_start_offset);
    if !config.delete {
        return below_start;
    }
    let too_old = config.retention_ms.map_or(0, |retention_ms| {
        leading(&|segment| {
            let known = segment.max_timestamp != NO_TIMESTAMP;
            let newest = if known { segment.max_timestamp } else { segment.modified };
            now.0.saturating_sub(newest.0) > retention_ms
        })
    });
    let too_much = config.retention_bytes.map_or(0, |retention_bytes| {
        let total: u64 = segments.iter().map(|segment| segment.size).sum();
        let mut excess = total.saturating_sub(retention_bytes);
        segments[..eligible]
            .iter()
            .take_while(|segment| {
                let goes = excess >= segment.size && segment.size > 0;
                excess = excess.saturating_sub(segment.size);
                goes
            })
            .count()
    });
    below_start.max(too_old).max(too_much)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three segments of 100 bytes, up to offsets 10, 20, 30 and times 1000, 2000, 3000.
    fn segments() -> [SegmentOutline; 3] {
        [1, 2, 3].map(|n| SegmentOutline {
            next_offset: n * 10,
            size: 100,
            max_timestamp: Timestamp(n * 1000),
            modified: Timestamp(9000),
        })
    }

    fn config(retention_ms: Option<i64>, retention_bytes: Option<u64>) -> LogConfig {
        LogConfig { retention_ms, retention_bytes, ..LogConfig::default() }
    }

    #[test]
    fn segments_go_by_time_by_size_and_by_log_start() {
        let count =
            |config: &LogConfig, start| deletable(&segments(), config, start, 30, Timestamp(4000));
        assert_eq!(count(&config(Some(1500), None), 0), 2);
        assert_eq!(count(&config(None, Some(150)), 0), 1);
        assert_eq!(count(&config(None, Some(200)), 0), 1);
        assert_eq!(count(&config(None, None), 10), 1);
        assert_eq!(count(&config(None, None), 9), 0);
    }

    #[test]
    fn nothing_past_the_high_watermark_goes() {
        let config = config(Some(0), None);
        assert_eq!(deletable(&segments(), &config, 0, 19, Timestamp(9999)), 1);
    }

    #[test]
    fn a_compacted_topic_keeps_its_old_segments() {
        let config = LogConfig { delete: false, ..config(Some(0), Some(0)) };
        assert_eq!(deletable(&segments(), &config, 0, 30, Timestamp(9999)), 0);
    }

    /// C12.
    #[test]
    fn a_time_in_the_future_keeps_its_segment_and_those_behind_it_until_then() {
        let mut segments = segments();
        segments[1].max_timestamp = Timestamp(1 << 42);
        let config = config(Some(1500), None);
        assert_eq!(deletable(&segments, &config, 0, 30, Timestamp(9000)), 1);
        assert_eq!(deletable(&segments, &config, 0, 30, Timestamp((1 << 42) + 1501)), 3);
        // By size, and below the start of the log, it goes.
        assert_eq!(deletable(&segments, &config, 20, 30, Timestamp(9000)), 2);
    }

    #[test]
    fn records_without_timestamps_go_by_the_time_of_their_file() {
        let mut segments = segments();
        segments[0].max_timestamp = NO_TIMESTAMP;
        let config = config(Some(1500), None);
        assert_eq!(deletable(&segments, &config, 0, 30, Timestamp(4000)), 0);
    }
}
