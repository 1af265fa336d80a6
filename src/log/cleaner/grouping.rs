//! Which segments become one. Pure (Kafka 4.4 `Cleaner.groupSegmentsBySize`).

use std::ops::Range;

use crate::types::Offset;

/// What is looked at in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPart {
    /// Its first offset.
    pub base_offset: Offset,
    /// Its bytes.
    pub size: u64,
    /// Bytes of its offset index.
    pub index_bytes: u64,
    /// Bytes of its time index.
    pub time_index_bytes: u64,
}

/// Neighbours that together are no larger than one segment, in bytes, in either index, and in the
/// range of offsets that an index can tell. `end` is the offset behind the last part.
pub fn group(
    parts: &[SegmentPart],
    segment_bytes: u64,
    index_bytes: u64,
    end: Offset,
) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        let first = at;
        let mut sum = parts[first];
        at += 1;
        while let Some(next) = parts.get(at) {
            let next_end = parts.get(at + 1).map_or(end, |part| part.base_offset);
            let in_range = next.size == 0
                || next_end.saturating_sub(1).saturating_sub(sum.base_offset)
                    <= i64::from(i32::MAX);
            if sum.size + next.size > segment_bytes
                || sum.index_bytes + next.index_bytes > index_bytes
                || sum.time_index_bytes + next.time_index_bytes > index_bytes
                || !in_range
            {
                break;
            }
            sum.size += next.size;
            sum.index_bytes += next.index_bytes;
            sum.time_index_bytes += next.time_index_bytes;
            at += 1;
        }
        groups.push(first..at);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(base_offset: Offset, size: u64) -> SegmentPart {
        SegmentPart { base_offset, size, index_bytes: 8, time_index_bytes: 12 }
    }

    #[test]
    fn neighbours_are_grouped_up_to_the_size_of_a_segment() {
        let parts = [part(0, 40), part(10, 40), part(20, 40), part(30, 100), part(40, 1)];
        assert_eq!(group(&parts, 100, 1000, 50), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(group(&parts, 1000, 1000, 50), [0..5; 1]);
        assert!(group(&[], 100, 1000, 0).is_empty());
    }

    #[test]
    fn indexes_bound_a_group_too() {
        let parts = [part(0, 1), part(10, 1), part(20, 1)];
        assert_eq!(group(&parts, 100, 24, 30), [0..2, 2..3]);
    }

    #[test]
    fn no_group_spans_more_offsets_than_an_index_can_tell() {
        let max = i64::from(i32::MAX);
        let parts = [part(0, 1), part(10, 1), part(max, 1), part(max + 10, 1)];
        assert_eq!(group(&parts, 100, 1000, max + 20), [0..2, 2..4]);
        assert_eq!(group(&parts[..3], 100, 1000, max + 1), [0..3; 1]);
        // What is empty has no offsets.
        let parts = [part(0, 1), part(10, 0)];
        assert_eq!(group(&parts, 100, 1000, max * 3), [0..2; 1]);
    }
}
