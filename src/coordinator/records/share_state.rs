//! What share groups have taken and acknowledged: the records of `__share_group_state` (KIP-932).

// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use super::NEVER;
use crate::codec::messages;
use crate::types::Uuid;

messages! {
    /// Key of record 0: the state of a partition.
    pub struct ShareSnapshotKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        topic_id: Uuid = 0..;
        partition: i32 = 0..;
    }
    /// Value of record 0: the state of a partition.
    pub struct ShareSnapshotValue: 0..=0, flexible 0..; {
        snapshot_epoch: i32 = 0..;
        state_epoch: i32 = 0..;
        leader_epoch: i32 = 0..;
        start_offset: i64 = 0..;
        delivery_complete_count: i32 = 0.., tag 0, default -1;
        create_timestamp: i64 = 0..;
        write_timestamp: i64 = 0..;
        state_batches: Vec<StateBatch> = 0..;
    }
    /// Part of both values.
    pub struct StateBatch: 0..=0, flexible 0..; {
        first_offset: i64 = 0..;
        last_offset: i64 = 0..;
        delivery_state: i8 = 0..;
        delivery_count: i16 = 0..;
    }
    /// Key of record 1: a change to the state of a partition since its last snapshot.
    pub struct ShareUpdateKey: 0..=0, flexible NEVER; {
        group_id: String = 0..;
        topic_id: Uuid = 0..;
        partition: i32 = 0..;
    }
    /// Value of record 1: a change to the state of a partition since its last snapshot.
    pub struct ShareUpdateValue: 0..=0, flexible 0..; {
        snapshot_epoch: i32 = 0..;
        leader_epoch: i32 = 0..;
        start_offset: i64 = 0..;
        delivery_complete_count: i32 = 0.., tag 0, default -1;
        state_batches: Vec<StateBatch> = 0..;
    }
}
