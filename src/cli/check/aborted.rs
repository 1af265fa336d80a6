//! The index of aborted transactions of a segment, compared with the markers in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::segment_files::{Names, Placed};
use super::{Advice, At, Check};
use crate::log::files::TXN_INDEX;
use crate::log::txn_index::AbortedTxn;
use crate::record::{BatchView, ControlType, Records};
use crate::types::{Offset, ProducerId};

/// The transactions that are open at a point of a log.
#[derive(Default)]
pub(super) struct OpenTxns {
    /// Where each producer's began.
    open: BTreeMap<ProducerId, Offset>,
    /// Batches were passed over: what is open is not known.
    is_unsure: bool,
}

impl OpenTxns {
    /// What follows does not follow what was read.
    pub(super) fn forget(&mut self) {
        self.open.clear();
        self.is_unsure = true;
    }
}

/// The entries of a segment that no marker was met for yet.
pub(super) struct TxnsOfSegment {
    path: PathBuf,
    entries: Vec<AbortedTxn>,
    at: usize,
}

impl TxnsOfSegment {
    pub(super) fn read(check: &mut Check<'_>, names: &Names<'_>) -> Self {
        let path = names.path(TXN_INDEX);
        let bytes = names.read(check, TXN_INDEX).unwrap_or_default();
        let mut entries: Vec<AbortedTxn> = Vec::new();
        for (at, chunk) in bytes.chunks(AbortedTxn::LEN).enumerate() {
            let position = At::Byte((at * AbortedTxn::LEN) as u64);
            let Some(entry) = AbortedTxn::read(chunk) else {
                let what = "an entry that ends early, or is of a version that is unknown";
                check.report(&path, position, what, Advice::RemoveTxnIndex);
                break;
            };
            entries.push(entry);
        }
        Self { path, entries, at: 0 }
    }

    fn report(&self, check: &mut Check<'_>, at: usize, what: &str) {
        let position = At::Byte((at * AbortedTxn::LEN) as u64);
        check.report(&self.path, position, what, Advice::RemoveTxnIndex);
    }

    pub(super) fn on_batch(
        &mut self,
        check: &mut Check<'_>,
        txns: &mut OpenTxns,
        batch: &Placed,
        bytes: &[u8],
        has_gaps: bool,
    ) {
        let header = &batch.header;
        if !header.attributes.is_control() {
            if header.attributes.is_transactional() {
                txns.open.entry(header.producer_id).or_insert(header.base_offset);
            }
            return;
        }
        let Some(is_abort) = ends_transaction(bytes) else { return };
        let (id, last) = (header.producer_id, header.last_offset());
        let began = txns.open.remove(&id);
        let stable = txns.open.values().min().copied().unwrap_or(last + 1);
        while let Some(entry) = self.entries.get(self.at).filter(|e| e.last_offset < last) {
            let what = format!("no marker at offset {} aborts a transaction", entry.last_offset);
            self.report(check, self.at, &what);
            self.at += 1;
        }
        let Some(entry) = self.entries.get(self.at).copied().filter(|e| e.last_offset == last)
        else {
            if is_abort && let Some(began) = began.filter(|_| !txns.is_unsure) {
                let what = format!(
                    "the transaction of producer {id} from offset {began}, which the marker at \
                     {last} aborts, is missing"
                );
                check.report(&self.path, At::File, &what, Advice::RemoveTxnIndex);
            }
            return;
        };
        let at = self.at;
        self.at += 1;
        let is_known = !has_gaps && !txns.is_unsure;
        let wrong = if !is_abort || entry.producer_id != id {
            let end = if is_abort { "aborts" } else { "commits" };
            Some(format!("producer {}, where the marker {end} one of {id}", entry.producer_id))
        } else if entry.first_offset >= last
            || began.is_some_and(|began| entry.first_offset > began)
            || is_known && began.is_some_and(|began| entry.first_offset != began)
        {
            Some(format!("a transaction from offset {}, which began elsewhere", entry.first_offset))
        } else if entry.last_stable_offset > last + 1
            || is_known && entry.last_stable_offset != stable
        {
            Some(format!("last stable offset {}, which was {stable}", entry.last_stable_offset))
        } else {
            None
        };
        if let Some(what) = wrong {
            self.report(check, at, &what);
        }
    }

    /// The segment is over.
    pub(super) fn finish(&mut self, check: &mut Check<'_>, trusted_to: Offset) {
        if let Some(entry) = self.entries.get(self.at).filter(|e| e.last_offset < trusted_to) {
            let what = format!("no marker at offset {} aborts a transaction", entry.last_offset);
            self.report(check, self.at, &what);
        }
    }
}

/// Whether a control batch ends a transaction, and if so, by aborting it.
fn ends_transaction(bytes: &[u8]) -> Option<bool> {
    let view = BatchView::first(bytes).ok()?;
    let records = Records::of(&view).ok()?;
    let record = records.iter().next()?.ok()?;
    match ControlType::of(&record)? {
        ControlType::Abort => Some(true),
        ControlType::Commit => Some(false),
        _ => None,
    }
}
