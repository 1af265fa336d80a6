//! Values of the control records in the metadata log and its snapshots.
//!
//! Their keys (version, type) are those of every control record: `record::control`.

// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use crate::codec::messages;
use crate::types::Uuid;

messages! {
/// The first record of each epoch: who leads, and who voted for it.
pub struct LeaderChangeMessage: 0..=1, flexible 0..; {
    version: i16 = 0..;
    leader_id: i32 = 0..;
    voters: Vec<LeaderChangeVoter> = 0..;
    granting_voters: Vec<LeaderChangeVoter> = 0..;
}
/// Part of [`LeaderChangeMessage`].
pub struct LeaderChangeVoter: 0..=1, flexible 0..; {
    voter_id: i32 = 0..;
    voter_directory_id: Uuid = 1..;
}
/// The first record of a snapshot.
pub struct SnapshotHeaderRecord: 0..=0, flexible 0..; {
    version: i16 = 0..;
    last_contained_log_timestamp: i64 = 0..;
}
/// The last record of a snapshot: without it the snapshot is torn.
pub struct SnapshotFooterRecord: 0..=0, flexible 0..; {
    version: i16 = 0..;
}
/// The version of the quorum protocol: 0 with static voters, 1 with voters in the log.
pub struct KRaftVersionRecord: 0..=0, flexible 0..; {
    version: i16 = 0..;
    kraft_version: i16 = 0..;
}
/// The voters of the quorum (KIP-853).
pub struct VotersRecord: 0..=0, flexible 0..; {
    version: i16 = 0..;
    voters: Vec<Voter> = 0..;
}
/// Part of [`VotersRecord`].
pub struct Voter: 0..=0, flexible 0..; {
    voter_id: i32 = 0..;
    voter_directory_id: Uuid = 0..;
    endpoints: Vec<Endpoint> = 0..;
    kraft_version_feature: KRaftVersionFeature = 0..;
}
/// Part of [`Voter`].
pub struct Endpoint: 0..=0, flexible 0..; {
    name: String = 0..;
    host: String = 0..;
    port: u16 = 0..;
}
/// Part of [`Voter`].
pub struct KRaftVersionFeature: 0..=0, flexible 0..; {
    min_supported_version: i16 = 0..;
    max_supported_version: i16 = 0..;
}}
