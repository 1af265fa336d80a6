//! Batches of the metadata log to images, transactions honoured.
//!
//! Records between Begin and End of a metadata transaction show in no image before the End; an
//! Abort drops them (KIP-868, Kafka 4.4 `MetadataBatchLoader`).

use super::apply_error::ApplyError;
use super::features;
use super::image::{Changes, MetadataImage};
use super::record::MetadataRecord;
use crate::types::{LeaderEpoch, Offset};

/// Reads the log from its start, or from a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// What is committed, as far as transactions go.
    image: MetadataImage,
    changes: Changes,
    /// The image with the records of the open transaction, if one is open, and what they changed.
    open: Option<(MetadataImage, Changes)>,
}

/// A transaction record where none may stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A Begin inside a transaction.
    #[error("a metadata transaction begins inside another")]
    Nested,
    /// An End or an Abort outside.
    #[error("a metadata transaction ends that never began")]
    NotOpen,
    /// A feature at a level that this release does not support.
    #[error("feature {name} is finalized at level {level}, this release supports {min} to {max}")]
    Feature {
        /// The feature.
        name: String,
        /// The level in the log.
        level: i16,
        /// The lowest level supported.
        min: i16,
        /// The highest level supported.
        max: i16,
    },
    /// A record that contradicts the image.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Replay {
    /// Continues from `image`. With `in_transaction`, a metadata transaction was begun after it,
    /// whose records are not known here: the next record of the log can only abort it.
    pub fn from_image(image: MetadataImage, in_transaction: bool) -> Self {
        let open = in_transaction.then(|| (image.clone(), Changes::default()));
        Self { image, changes: Changes::default(), open }
    }

    /// Exchanges the image for an equal one, so that the two share their memory. Does nothing
    /// while a transaction is open.
    pub fn share(&mut self, image: &MetadataImage) {
        if self.open.is_some() || self.image.offset != image.offset {
            return;
        }
        debug_assert!(self.image == *image, "two replays of one log differ at {}", image.offset);
        self.image = image.clone();
    }

    /// The image: without the records of an open transaction.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Whether a transaction is open: a new leader aborts it.
    pub fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Applies one record of the log.
    pub fn apply(
        &mut self,
        record: &MetadataRecord,
        offset: Offset,
        epoch: LeaderEpoch,
    ) -> Result<(), ReplayError> {
        if let MetadataRecord::FeatureLevel(feature) = record {
            let (min, max) = features::supported_range(&feature.name);
            let level = feature.feature_level;
            if !(min..=max).contains(&level) {
                return Err(ReplayError::Feature { name: feature.name.clone(), level, min, max });
            }
        }
        match record {
            MetadataRecord::BeginTransaction(_) => {
                if self.open.is_some() {
                    return Err(ReplayError::Nested);
                }
                self.open = Some((self.image.clone(), Changes::default()));
            }
            MetadataRecord::EndTransaction(_) => {
                let (image, changes) = self.open.take().ok_or(ReplayError::NotOpen)?;
                self.image = image;
                self.changes.merge(changes);
            }
            MetadataRecord::AbortTransaction(_) => {
                self.open.take().ok_or(ReplayError::NotOpen)?;
            }
            record => {
                let (image, changes) = match &mut self.open {
                    Some((image, changes)) => (image, changes),
                    None => (&mut self.image, &mut self.changes),
                };
                image.apply(record, changes)?;
            }
        }
        self.advance(offset, epoch);
        Ok(())
    }

    /// Moves to `offset` without a record: control batches.
    pub fn advance(&mut self, offset: Offset, epoch: LeaderEpoch) {
        let image = self.open.as_mut().map_or(&mut self.image, |(image, _)| image);
        (image.offset, image.epoch) = (offset, epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{
        AbortTransactionRecord, BeginTransactionRecord, EndTransactionRecord, TopicRecord,
    };
    use super::*;
    use crate::types::Uuid;

    fn topic(name: &str, id: u64) -> MetadataRecord {
        TopicRecord { name: name.into(), topic_id: Uuid::from_halves(0, id) }.into()
    }

    fn replay(records: &[MetadataRecord]) -> Result<Replay, ReplayError> {
        let mut replay = Replay::default();
        for (offset, record) in records.iter().enumerate() {
            replay.apply(record, offset as Offset, 1)?;
        }
        Ok(replay)
    }

    #[test]
    fn records_of_a_transaction_show_once_it_ends() {
        let begin = MetadataRecord::from(BeginTransactionRecord::default());
        let end = MetadataRecord::from(EndTransactionRecord::default());
        let abort = MetadataRecord::from(AbortTransactionRecord::default());
        let names = |replay: &Replay| {
            replay.image().topics.iter_by_name().map(|t| t.name.to_string()).collect::<Vec<_>>()
        };
        let open = replay(&[topic("a", 1), begin.clone(), topic("b", 2)]).unwrap();
        assert!(open.in_transaction());
        assert_eq!((names(&open), open.image().offset), (vec!["a".into()], 0));
        let ended = replay(&[topic("a", 1), begin.clone(), topic("b", 2), end.clone()]).unwrap();
        assert_eq!((names(&ended), ended.image().offset), (vec!["a".into(), "b".into()], 3));
        let aborted = replay(&[topic("a", 1), begin.clone(), topic("b", 2), abort]).unwrap();
        assert_eq!((names(&aborted), aborted.image().offset), (vec!["a".into()], 3));
        assert_eq!(replay(&[begin.clone(), begin]).unwrap_err(), ReplayError::Nested);
        assert_eq!(replay(&[end]).unwrap_err(), ReplayError::NotOpen);
    }

    #[test]
    fn what_a_transaction_changed_is_told_when_it_ends_and_once() {
        let begin = MetadataRecord::from(BeginTransactionRecord::default());
        let end = MetadataRecord::from(EndTransactionRecord::default());
        let mut replay = replay(&[topic("a", 1), begin, topic("b", 2)]).unwrap();
        let created = |replay: &mut Replay| {
            let created = replay.take_changes().topics_created.into_iter();
            created.map(|id| id.0[15]).collect::<Vec<_>>()
        };
        assert_eq!(created(&mut replay), [1]);
        replay.apply(&end, 3, 1).unwrap();
        assert_eq!(created(&mut replay), [2]);
    }
}
