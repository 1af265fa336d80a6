//! What a transaction leaves behind: which batches were aborted, and which markers end nothing that
//! is left. Pure (Kafka 4.4 `CleanedTransactionMetadata`).

use std::collections::{BTreeMap, BTreeSet};

use crate::log::txn_index::AbortedTxn;
use crate::record::{BatchHeader, ControlType};
use crate::types::{Offset, ProducerId};

/// Transactions as a walk over a log meets them.
#[derive(Default)]
pub struct CleanedTxns {
    /// Aborted ones that the walk has not come to, by first offset and producer.
    ahead: BTreeMap<(Offset, ProducerId), AbortedTxn>,
    /// Aborted ones that the walk is in, and whether a batch of theirs was met.
    aborted: BTreeMap<ProducerId, (AbortedTxn, bool)>,
    /// Producers of which a batch was met that is not aborted.
    committed: BTreeSet<ProducerId>,
}

/// What a control batch may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanedMarker {
    /// Nothing is left of what it ends.
    pub is_discardable: bool,
    /// The transaction is aborted and something of it was met: its entry stays in the index.
    pub indexed: Option<AbortedTxn>,
}

impl CleanedTxns {
    /// Aborted transactions of what is walked next. One may be added twice.
    pub fn add_aborted(&mut self, aborted: impl IntoIterator<Item = AbortedTxn>) {
        self.ahead
            .extend(aborted.into_iter().map(|txn| ((txn.first_offset, txn.producer_id), txn)));
    }

    fn come_to(&mut self, offset: Offset) {
        while let Some(entry) = self.ahead.first_entry()
            && entry.key().0 <= offset
        {
            let txn = entry.remove();
            self.aborted.entry(txn.producer_id).or_insert((txn, false));
        }
    }

    /// A data batch is met; whether it was aborted.
    pub fn on_data(&mut self, header: &BatchHeader) -> bool {
        self.come_to(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some((_, was_met)) => {
                *was_met = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// A control batch is met; `kind` is that of its record, or nothing if it is empty.
    pub fn on_control(&mut self, header: &BatchHeader, kind: ControlKind) -> CleanedMarker {
        self.come_to(header.last_offset());
        let (is_discardable, indexed) = match kind {
            ControlKind::Empty => (true, None),
            ControlKind::Of(ControlType::Abort) => match self.aborted.remove(&header.producer_id) {
                Some((txn, true)) => (false, Some(txn)),
                _ => (true, None),
            },
            ControlKind::Of(ControlType::Commit) => {
                (!self.committed.remove(&header.producer_id), None)
            }
            ControlKind::Of(_) | ControlKind::Unknown => (false, None),
        };
        CleanedMarker { is_discardable, indexed }
    }
}

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// Nothing any more: it was cleaned.
    Empty,
    /// This.
    Of(ControlType),
    /// Something that a later release knows.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchView};
    use crate::types::Timestamp;

    fn header(offset: Offset, producer: ProducerId) -> BatchHeader {
        let mut builder = BatchBuilder::new(offset).producer(producer, 0, 0).transactional();
        builder.push(Timestamp(1), Some(b"k"), None);
        *BatchView::first(&builder.build().unwrap()).unwrap().header()
    }

    fn aborted(producer_id: ProducerId, first_offset: Offset, last_offset: Offset) -> AbortedTxn {
        AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset: last_offset }
    }

    const ABORT: ControlKind = ControlKind::Of(ControlType::Abort);
    const COMMIT: ControlKind = ControlKind::Of(ControlType::Commit);

    #[test]
    fn a_marker_goes_once_nothing_of_its_transaction_was_met() {
        let mut txns = CleanedTxns::default();
        txns.add_aborted([aborted(1, 0, 5), aborted(1, 0, 5), aborted(1, 10, 12)]);
        assert!(txns.on_data(&header(0, 1)), "aborted");
        assert!(!txns.on_data(&header(1, 2)), "another producer's, committed");
        let marker = txns.on_control(&header(5, 1), ABORT);
        assert_eq!(
            marker,
            CleanedMarker { is_discardable: false, indexed: Some(aborted(1, 0, 5)) }
        );
        assert!(!txns.on_control(&header(6, 2), COMMIT).is_discardable);
        assert!(txns.on_control(&header(7, 2), COMMIT).is_discardable, "it ends nothing");
        assert!(!txns.on_data(&header(8, 1)), "between two aborted ones");
        assert!(!txns.on_control(&header(9, 1), COMMIT).is_discardable);
        assert!(txns.on_control(&header(12, 1), ABORT).is_discardable, "its batches are gone");
    }

    #[test]
    fn what_is_not_a_marker_stays_and_what_was_cleaned_goes() {
        let mut txns = CleanedTxns::default();
        assert!(txns.on_control(&header(0, -1), ControlKind::Empty).is_discardable);
        for kind in [ControlKind::Unknown, ControlKind::Of(ControlType::LeaderChange)] {
            assert!(!txns.on_control(&header(1, -1), kind).is_discardable);
        }
    }
}
