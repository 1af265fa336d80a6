//! What producers were told, against what a reader finds.
//!
//! Every record has a value of its own: who wrote it, and its number. A partition's history is
//! sound if offsets are dense, nothing appears that nobody sent, each producer's records appear in
//! the order they were sent in, and each acknowledged record that had to survive is where the
//! broker said it was. An idempotent producer's record appears at most once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A record as its writer knows it: the writer, and the number of the record, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Who wrote it.
    pub writer: u32,
    /// The number among the writer's records to this partition.
    pub number: u32,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.writer, self.number)
    }
}

impl Mark {
    /// The record's value.
    pub fn to_value(self) -> Vec<u8> {
        format!("{}:{}", self.writer, self.number).into_bytes()
    }

    /// The mark that a value carries.
    pub fn of_value(value: &[u8]) -> Option<Self> {
        let (writer, number) = std::str::from_utf8(value).ok()?.split_once(':')?;
        Some(Self { writer: writer.parse().ok()?, number: number.parse().ok()? })
    }
}

/// What happened to one partition.
#[derive(Clone, Default)]
pub struct History {
    sent: BTreeSet<Mark>,
    /// Where the broker said that a record is; whether it may no longer be lost.
    acknowledged: BTreeMap<Mark, (i64, bool)>,
    /// What readers saw below the high watermark.
    seen: BTreeMap<i64, Mark>,
    age: Age,
}

/// How many crashes there were that may have lost something. Told with what a client learns, so
/// that an answer from before such a crash, which arrives after it, proves nothing.
pub type Age = u64;

impl History {
    /// A record is about to be sent (again).
    pub fn sent(&mut self, mark: Mark) {
        self.sent.insert(mark);
    }

    /// What to remember when a request is sent.
    pub fn age(&self) -> Age {
        self.age
    }

    /// The broker says, to a request of `asked`, that it is at `offset`.
    pub fn acknowledged(&mut self, mark: Mark, offset: i64, asked: Age) {
        self.acknowledged.insert(mark, (offset, asked == self.age));
    }

    /// A reader that asked at `asked` got it from `offset`.
    pub fn seen(&mut self, mark: Mark, offset: i64, asked: Age) -> Result<(), String> {
        if asked != self.age {
            return Ok(());
        }
        match self.seen.insert(offset, mark) {
            Some(before) if before != mark => {
                Err(format!("offset {offset} was {before:?} and is now {mark:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A crash came that acknowledged records need not survive, and left those below `end`: what was
    /// behind is not missed, and offsets are given anew.
    pub fn lost_from(&mut self, end: i64) {
        for (offset, must_survive) in self.acknowledged.values_mut() {
            *must_survive &= *offset < end;
        }
        self.seen.split_off(&end);
        self.age += 1;
    }

    /// How many records were acknowledged.
    pub fn acknowledged_count(&self) -> usize {
        self.acknowledged.len()
    }

    /// Judges the whole partition as read at the end, from offset `start` on.
    pub fn check(&self, start: i64, log: &[(i64, Mark)]) -> Result<(), String> {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        let mut found: BTreeMap<Mark, i64> = BTreeMap::new();
        for (expected, (offset, mark)) in (start..).zip(log) {
            if *offset != expected {
                return Err(format!("offset {offset} follows {}", expected - 1));
            }
            if !self.sent.contains(mark) {
                return Err(format!("{mark:?} at {offset} was never sent"));
            }
            if let Some(before) = found.insert(*mark, *offset) {
                return Err(format!("{mark:?} is at {before} and at {offset}"));
            }
            if let Some(before) = last.insert(mark.writer, mark.number)
                && before > mark.number
            {
                return Err(format!("{mark:?} at {offset} comes after {before}"));
            }
            if let Some(seen) = self.seen.get(offset)
                && seen != mark
            {
                return Err(format!("offset {offset} was seen as {seen:?}, is {mark:?}"));
            }
        }
        for (mark, (offset, must_survive)) in &self.acknowledged {
            match found.get(mark) {
                None if *must_survive && *offset >= start => {
                    return Err(format!("{mark:?}, acknowledged at {offset}, is lost"));
                }
                Some(at) if *must_survive && at != offset => {
                    return Err(format!("{mark:?}, acknowledged at {offset}, is at {at}"));
                }
                None | Some(_) => {}
            }
        }
        let end = start + log.len() as i64;
        match self.seen.range(end..).next() {
            Some((offset, mark)) => Err(format!("{mark:?}, seen at {offset}, is lost")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `log` as "writer:number" in order, from offset 0, where 1:0 and 1:1 were acknowledged at 0
    /// and 1, 1:2 and 2:0 were sent, and 1:0 was seen.
    fn check(log: &str) -> Result<(), String> {
        let mark = |text: &str| Mark::of_value(text.as_bytes()).unwrap();
        let mut history = History::default();
        for text in ["1:0", "1:1", "1:2", "2:0", "2:1"] {
            history.sent(mark(text));
        }
        history.acknowledged(mark("1:0"), 0, 0);
        history.acknowledged(mark("1:1"), 1, 0);
        history.seen(mark("1:0"), 0, 0)?;
        let log: Vec<_> = (0..).zip(log.split_whitespace().map(mark)).collect();
        history.check(0, &log)
    }

    #[test]
    fn sound_histories_pass() {
        for log in ["1:0 1:1", "1:0 1:1 1:2", "1:0 1:1 2:0 1:2", "1:0 1:1 2:0"] {
            assert_eq!(check(log), Ok(()), "{log}");
        }
    }

    #[test]
    fn every_anomaly_is_told() {
        for (log, told) in [
            ("1:0", "1:1, acknowledged at 1, is lost"),
            ("1:0 2:0 1:1", "1:1, acknowledged at 1, is at 2"),
            ("1:0 1:1 1:1", "1:1 is at 1 and at 2"),
            ("1:0 1:1 3:0", "3:0 at 2 was never sent"),
            ("1:0 1:1 1:2 2:1 2:0", "2:0 at 4 comes after 1"),
            ("2:0 1:0 1:1", "offset 0 was seen as 1:0, is 2:0"),
            ("", "1:0, acknowledged at 0, is lost"),
        ] {
            assert_eq!(check(log), Err(told.to_owned()), "{log}");
        }
        let mut history = History::default();
        let mark = Mark { writer: 1, number: 1 };
        history.sent(mark);
        let gap = history.check(0, &[(0, mark), (2, Mark { writer: 1, number: 2 })]);
        assert_eq!(gap, Err("offset 2 follows 0".to_owned()));
    }

    #[test]
    fn what_a_crash_may_take_is_not_missed_but_nothing_appears_twice() {
        let (a, b) = (Mark { writer: 1, number: 0 }, Mark { writer: 1, number: 1 });
        let mut history = History::default();
        history.sent(a);
        history.sent(b);
        history.acknowledged(a, 0, 0);
        history.seen(a, 0, 0).unwrap();
        history.lost_from(0);
        history.seen(a, 0, 0).unwrap();
        history.acknowledged(b, 0, 1);
        assert_eq!(history.check(0, &[(0, b)]), Ok(()));
        assert!(history.check(0, &[]).is_err());
    }
}
