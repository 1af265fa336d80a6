//! Transactional ids: the records of `__transaction_state`.

// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use super::NEVER;
use crate::codec::messages;

messages! {
    /// Key of record 0: the state of a transactional id.
    pub struct TransactionLogKey: 0..=0, flexible NEVER; {
        transactional_id: String = 0..;
    }
    /// Value of record 0: the state of a transactional id. Written at version 1 under
    /// transaction.version 1 and later.
    pub struct TransactionLogValue: 0..=1, flexible 1..; {
        producer_id: i64 = 0..;
        previous_producer_id: i64 = 1.., tag 0, default -1;
        next_producer_id: i64 = 1.., tag 1, default -1;
        producer_epoch: i16 = 0..;
        next_producer_epoch: i16 = 1.., tag 3, default -1;
        transaction_timeout_ms: i32 = 0..;
        transaction_status: i8 = 0..;
        transaction_partitions: Option<Vec<PartitionsSchema>> = 0..;
        transaction_last_update_timestamp_ms: i64 = 0..;
        transaction_start_timestamp_ms: i64 = 0..;
        client_transaction_version: i16 = 1.., tag 2;
    }
    /// Part of [`TransactionLogValue`].
    pub struct PartitionsSchema: 0..=1, flexible 1..; {
        topic: String = 0..;
        partition_ids: Vec<i32> = 0..;
    }
}
