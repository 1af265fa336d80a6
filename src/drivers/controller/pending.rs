//! Replies that wait for a commit, in the order of their offsets.

use std::collections::VecDeque;

use crate::types::Offset;

/// Replies, each with the offset of the last record that it depends on. Each leaves once.
#[derive(Debug)]
pub(super) struct PendingReplies<T> {
    waiting: VecDeque<(Offset, T)>,
}

impl<T> Default for PendingReplies<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<T> PendingReplies<T> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a reply that waits until the record at `offset` is committed; none waits for a later
    /// one.
    pub(super) fn push(&mut self, offset: Offset, reply: T) {
        if let Some((last, _)) = self.waiting.back() {
            assert!(*last <= offset, "a reply for offset {offset} after one for {last}");
        }
        self.waiting.push_back((offset, reply));
    }

    /// Takes the replies that wait for nothing at or above `committed`.
    pub(super) fn take_below(
        &mut self,
        committed: Offset,
    ) -> impl Iterator<Item = (Offset, T)> + '_ {
        let ready = self.waiting.partition_point(|(offset, _)| *offset < committed);
        self.waiting.drain(..ready)
    }

    /// Takes all replies.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = (Offset, T)> + '_ {
        self.waiting.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_leave_in_order_and_once_when_their_offset_is_committed() {
        let mut pending = PendingReplies::default();
        for (offset, reply) in [(3, "a"), (3, "b"), (5, "c"), (9, "d")] {
            pending.push(offset, reply);
        }
        let mut take = |committed| pending.take_below(committed).collect::<Vec<_>>();
        assert_eq!(take(3), []);
        assert_eq!(take(6), [(3, "a"), (3, "b"), (5, "c")]);
        assert_eq!(take(6), []);
        assert_eq!(pending.take_all().collect::<Vec<_>>(), [(9, "d")]);
        assert!(pending.is_empty());
    }

    #[test]
    #[should_panic(expected = "a reply for offset 2 after one for 3")]
    fn a_reply_that_waits_for_less_than_one_before_it_is_a_bug() {
        let mut pending = PendingReplies::default();
        pending.push(3, ());
        pending.push(2, ());
    }
}
