//! Messages about transactions whose newest versions the message library lacks: prepared
//! transactions, which are unstable in Kafka 4.4 (KIP-939).

use crate::codec::messages;

messages! {
    /// InitProducerId. Version 6 is of two-phase commit.
    pub struct InitProducerIdRequest: 0..=6, flexible 2..; {
        /// The transactional id, if the producer has one.
        transactional_id: Option<String> = 0..;
        /// How long its transactions may stay open.
        transaction_timeout_ms: i32 = 0..;
        /// The id to go on with, -1 for a new one.
        producer_id: i64 = 3.., default -1;
        /// Its epoch, -1 for a new one.
        producer_epoch: i16 = 3.., default -1;
        /// Whether its transactions never time out.
        enable_2pc: bool = 6..;
        /// Whether an open transaction is to be kept.
        keep_prepared_txn: bool = 6..;
    }
    /// Who the producer is.
    pub struct InitProducerIdResponse: 0..=6, flexible 2..; {
        /// How long the client must wait.
        throttle_time_ms: i32 = 0.., [ignorable];
        /// What went wrong, 0 for nothing.
        error_code: i16 = 0..;
        /// Its id.
        producer_id: i64 = 0.., default -1;
        /// Its epoch.
        producer_epoch: i16 = 0..;
        /// Who has the transaction that was kept open.
        ongoing_txn_producer_id: i64 = 6.., default -1;
        /// With which epoch.
        ongoing_txn_producer_epoch: i16 = 6.., default -1;
    }
}

super::own::request_bodies! { InitProducerIdRequest }

super::own::response_bodies! { InitProducerIdResponse header 2..; }
