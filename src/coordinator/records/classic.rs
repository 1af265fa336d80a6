//! Committed offsets, and groups of the classic protocol.

// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use bytes::Bytes;

use super::NEVER;
use crate::codec::messages;
use crate::types::Uuid;

messages! {
    /// Key of record 0: a committed offset, as releases before 0.
    pub struct LegacyOffsetCommitKey: 0..=0, flexible NEVER; {
        group: String = 0..;
        topic: String = 0..;
        partition: i32 = 0..;
    }
    /// Value of record 0: a committed offset, as releases before 0.9 wrote it.
    pub struct LegacyOffsetCommitValue: 0..=0, flexible NEVER; {
        offset: i64 = 0..;
        metadata: String = 0..;
        commit_timestamp: i64 = 0..;
    }
    /// Key of record 1: a committed offset.
    pub struct OffsetCommitKey: 0..=0, flexible NEVER; {
        group: String = 0..;
        topic: String = 0..;
        partition: i32 = 0..;
    }
    /// Value of record 1: a committed offset. Written at version 1 with an expiry of its own, else
    /// at 4.
    pub struct OffsetCommitValue: 0..=4, flexible 4..; {
        offset: i64 = 0..;
        leader_epoch: i32 = 3.., default -1, [ignorable];
        metadata: String = 0..;
        commit_timestamp: i64 = 0..;
        expire_timestamp: i64 = 1..=1, default -1, [ignorable];
        topic_id: Uuid = 4.., tag 0, [ignorable];
    }
    /// Key of record 2: a group of the classic protocol.
    pub struct GroupMetadataKey: 0..=0, flexible NEVER; {
        group: String = 0..;
    }
    /// Value of record 2: a group of the classic protocol. Written at version 3.
    pub struct GroupMetadataValue: 0..=4, flexible 4..; {
        protocol_type: String = 0..;
        generation: i32 = 0..;
        protocol: Option<String> = 0..;
        leader: Option<String> = 0..;
        current_state_timestamp: i64 = 2.., default -1, [ignorable];
        members: Vec<MemberMetadata> = 0..;
    }
    /// Part of [`GroupMetadataValue`].
    pub struct MemberMetadata: 0..=4, flexible 4..; {
        member_id: String = 0..;
        group_instance_id: Option<String> = 3.., [ignorable];
        client_id: String = 0..;
        client_host: String = 0..;
        rebalance_timeout: i32 = 1.., default -1, [ignorable];
        session_timeout: i32 = 0..;
        subscription: Bytes = 0..;
        assignment: Bytes = 0..;
    }
}
