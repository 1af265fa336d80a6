//! What a leader tells consumers about offsets, and which replica it sends them to.

use std::time::Duration;

use super::leader::PartitionLeader;
use crate::types::{BrokerId, ErrorCode, Mono, Offset};

/// A consumer asked for an offset that this leader cannot know yet: its high watermark has not
/// reached the start of its epoch, so its predecessor may have committed more (KIP-207).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the high watermark {high_watermark} has not reached the start of the leader epoch {epoch_start}"
)]
pub struct OffsetNotAvailable {
    /// The high watermark.
    pub high_watermark: Offset,
    /// The log end at the election.
    pub epoch_start: Offset,
}

impl OffsetNotAvailable {
    /// The Kafka code of this failure, for ListOffsets 5 and later; LEADER_NOT_AVAILABLE before.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::OffsetNotAvailable
    }
}

/// A replica that a consumer could read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReplica<'a> {
    /// The broker.
    pub broker: BrokerId,
    /// Its rack.
    pub rack: Option<&'a str>,
    /// Its log end.
    pub log_end: Offset,
    /// The time since it last had everything that the leader had.
    pub since_caught_up: Duration,
}

/// Picks a replica in the consumer's rack (KIP-392; Kafka 4.4 `RackAwareReplicaSelector`): the
/// leader if it is there, else the one with the most records, then the one that caught up last,
/// then the highest id. `None` for the leader.
pub fn select_by_rack<'a>(
    consumer_rack: &str,
    leader_rack: Option<&str>,
    followers: impl IntoIterator<Item = ReadReplica<'a>>,
) -> Option<BrokerId> {
    if consumer_rack.is_empty() || leader_rack == Some(consumer_rack) {
        return None;
    }
    followers
        .into_iter()
        .filter(|replica| replica.rack == Some(consumer_rack))
        .max_by_key(|replica| {
            (replica.log_end, std::cmp::Reverse(replica.since_caught_up), replica.broker)
        })
        .map(|replica| replica.broker)
}

impl PartitionLeader {
    /// Whether the latest offset may be given to a consumer; replicas get the log end always
    /// (Kafka 4.4 `Partition.fetchOffsetForTimestamp`).
    pub fn check_latest_offset(&self) -> Result<(), OffsetNotAvailable> {
        let (high_watermark, epoch_start) = (self.high_watermark(), self.epoch_start());
        if high_watermark < epoch_start {
            return Err(OffsetNotAvailable { high_watermark, epoch_start });
        }
        Ok(())
    }

    /// The answer to a consumer that searches by time: `found` is the first record at or after the
    /// time, `bound` the offset up to which the consumer may read. A record at or past the bound is
    /// not shown; whether there is none below is known only once
    /// [`PartitionLeader::check_latest_offset`] passes. The earliest offset is not searched by
    /// time, and always known.
    pub fn visible_by_time(
        &self,
        found: Option<Offset>,
        bound: Offset,
    ) -> Result<Option<Offset>, OffsetNotAvailable> {
        match found.filter(|offset| *offset < bound) {
            Some(offset) => Ok(Some(offset)),
            None => self.check_latest_offset().map(|()| None),
        }
    }

    /// The replica that a consumer in `consumer_rack` should fetch `offset` from; `None` for this
    /// leader. Candidates are live ISR members whose log has the offset (Kafka 4.4
    /// `ReplicaManager.findPreferredReadReplica`): one out of sync would keep the consumer behind.
    /// `rack_of` returns `None` for a broker that the consumer's listener does not reach.
    pub fn preferred_read_replica<'a>(
        &self,
        now: Mono,
        consumer_rack: &str,
        leader_rack: Option<&str>,
        offset: Offset,
        rack_of: impl Fn(BrokerId) -> Option<&'a str>,
    ) -> Option<BrokerId> {
        let has_offset = |start, end| start <= offset && offset <= end;
        let followers = self
            .readable_followers(now)
            .filter(|(_, start, end, _)| has_offset(*start, *end))
            .map(|(broker, _, log_end, since_caught_up)| ReadReplica {
                broker,
                rack: rack_of(broker),
                log_end,
                since_caught_up,
            });
        select_by_rack(consumer_rack, leader_rack, followers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(broker: BrokerId, rack: &str, log_end: Offset, seconds: u64) -> ReadReplica<'_> {
        let since_caught_up = Duration::from_secs(seconds);
        ReadReplica { broker, rack: Some(rack), log_end, since_caught_up }
    }

    /// KIP-392, Kafka 4.4 `ReplicaView.comparator`.
    #[test]
    fn the_most_advanced_replica_of_the_rack_is_selected_unless_the_leader_is_there() {
        let [a, b, c, d] = [
            replica(1, "a", 9, 5),
            replica(2, "a", 9, 3),
            replica(3, "a", 8, 0),
            replica(4, "b", 9, 0),
        ];
        for (name, rack, leader_rack, replicas, expected) in [
            ("no rack", "", Some("b"), vec![a, b], None),
            ("the leader's rack", "a", Some("a"), vec![a, b], None),
            ("nobody there", "c", Some("b"), vec![a, b, d], None),
            ("more records", "a", Some("b"), vec![a, c], Some(1)),
            ("caught up later", "a", None, vec![a, b, c], Some(2)),
            ("higher id", "a", None, vec![a, replica(7, "a", 9, 5)], Some(7)),
        ] {
            assert_eq!(select_by_rack(rack, leader_rack, replicas), expected, "{name}");
        }
    }
}
