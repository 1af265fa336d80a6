//! Which leader epoch began at which offset (Kafka 4.4 `LeaderEpochFileCache`).

use crate::types::{LeaderEpoch, Offset};

/// The epochs of a log: strictly rising in epoch and in start offset. Immutable once shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

/// The offset that a leader epoch does not have.
pub const UNDEFINED: (LeaderEpoch, Offset) = (-1, -1);

impl Epochs {
    /// All epochs with their start offsets.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The newest epoch.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.0)
    }

    /// Where the newest epoch began.
    pub fn latest_start(&self) -> Option<Offset> {
        self.entries.last().map(|entry| entry.1)
    }

    /// `epoch` begins at `start`; whether that is news. Entries that contradict it are dropped:
    /// a log was truncated and written anew.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        while self.latest_start().is_some_and(|last| last >= start) {
            self.entries.pop();
        }
        self.entries.push((epoch, start));
        true
    }

    /// Where `requested` ended, as the leader answers OffsetForLeaderEpoch: the largest epoch at
    /// or below it, and the start of the next one, which is `end` for the newest.
    pub fn end_offset_for(&self, requested: LeaderEpoch, end: Offset) -> (LeaderEpoch, Offset) {
        if requested < 0 {
            return UNDEFINED;
        }
        let after = self.entries.partition_point(|(epoch, _)| *epoch <= requested);
        match (after.checked_sub(1).and_then(|at| self.entries.get(at)), self.entries.get(after)) {
            // The newest epoch, asked for by its number.
            (Some((epoch, _)), None) if *epoch == requested => (*epoch, end),
            // An epoch newer than any of this log: it cannot be told.
            (_, None) => UNDEFINED,
            // Older than the oldest: all of its records are gone.
            (None, Some((_, start))) => (requested, *start),
            (Some((epoch, _)), Some((_, next_start))) => (*epoch, *next_start),
        }
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|(_, start)| *start <= offset);
        Some(self.entries.get(after.checked_sub(1)?)?.0)
    }

    /// Drops epochs that began at or after `end`; whether any did.
    pub fn truncate_end(&mut self, end: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(_, start)| *start < end);
        before != self.entries.len()
    }

    /// Drops epochs that ended at or before `start`, and lets the oldest left begin there; whether
    /// anything changed.
    pub fn truncate_start(&mut self, start: Offset) -> bool {
        let after = self.entries.partition_point(|(_, begun)| *begun <= start);
        let Some(oldest) = after.checked_sub(1) else { return false };
        if oldest == 0 && self.entries[0].1 == start {
            return false;
        }
        self.entries.drain(..oldest);
        self.entries[0].1 = start;
        true
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The text of `leader-epoch-checkpoint`.
    pub fn to_text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!("0\n{}\n", self.entries.len());
        for (epoch, start) in &self.entries {
            let _ = writeln!(text, "{epoch} {start}"); // Writing to a String cannot fail.
        }
        text
    }

    /// From that text; `None` when it is damaged.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()?.trim() != "0" {
            return None;
        }
        let count: usize = lines.next()?.trim().parse().ok()?;
        let mut epochs = Self::default();
        for line in lines.by_ref().take(count) {
            let (epoch, start) = line.trim().split_once(' ')?;
            epochs.entries.push((epoch.parse().ok()?, start.trim().parse().ok()?));
        }
        let rises = epochs.entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        (rises && epochs.entries.len() == count && lines.all(|line| line.trim().is_empty()))
            .then_some(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(LeaderEpoch, Offset)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, start) in entries {
            assert!(epochs.assign(*epoch, *start));
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(2, 5), (4, 10), (5, 20)]);
        for (requested, expected) in [
            (1, (1, 5)),
            (2, (2, 10)),
            (3, (2, 10)),
            (4, (4, 20)),
            (5, (5, 30)),
            (6, UNDEFINED),
            (-1, UNDEFINED),
        ] {
            assert_eq!(epochs.end_offset_for(requested, 30), expected, "epoch {requested}");
        }
        assert_eq!(Epochs::default().end_offset_for(0, 30), UNDEFINED);
    }

    #[test]
    fn an_epoch_without_records_gives_way_to_the_next_at_the_same_offset() {
        let mut epochs = epochs(&[(0, 0), (1, 10)]);
        assert!(epochs.assign(2, 10));
        assert_eq!(epochs.entries(), [(0, 0), (2, 10)]);
        assert!(!epochs.assign(2, 15), "an epoch begins once");
        assert!(!epochs.assign(1, 15), "epochs do not go back");
    }

    #[test]
    fn truncation_keeps_what_the_log_still_holds() {
        let mut both = epochs(&[(0, 0), (1, 10), (2, 20)]);
        assert!(both.truncate_end(20));
        assert!(both.truncate_start(12));
        assert_eq!(both.entries(), [(1, 12)]);
        assert!(!both.truncate_start(12));
        assert_eq!(epochs(&[(0, 0), (1, 10)]).epoch_at(9), Some(0));
    }

    #[test]
    fn the_checkpoint_text_is_kafkas() {
        let epochs = epochs(&[(0, 0), (3, 17)]);
        assert_eq!(epochs.to_text(), "0\n2\n0 0\n3 17\n");
        assert_eq!(Epochs::from_text(&epochs.to_text()), Some(epochs));
        for damaged in ["", "1\n0\n", "0\n2\n0 0\n", "0\n1\nx y\n", "0\n2\n3 1\n2 5\n"] {
            assert_eq!(Epochs::from_text(damaged), None, "{damaged:?}");
        }
    }
}
