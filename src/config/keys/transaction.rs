//! Keys of transactions.

use crate::config::key::config_keys;

config_keys! {
    /// Transactions and idempotent producers (Kafka 4.4 `TransactionLogConfig`,
    /// `TransactionStateManagerConfig`, `AddPartitionsToTxnConfig`).
    TRANSACTION, TransactionSettings;
    /// The longest timeout that a producer may ask for its transactions.
    "transaction.max.timeout.ms": Int = "900000", AtLeast(1), High, ReadOnly
        => transaction_max_timeout_ms: i32;
    /// A transactional id not used for this long is forgotten.
    "transactional.id.expiration.ms": Int = "604800000", AtLeast(1), High, ReadOnly
        => transactional_id_expiration_ms: i32;
    /// How many partitions `__transaction_state` has.
    "transaction.state.log.num.partitions": Int = "50", AtLeast(1), High, ReadOnly
        => transaction_state_log_num_partitions: i32;
    /// How many replicas `__transaction_state` has; it is not created while there are fewer
    /// brokers.
    "transaction.state.log.replication.factor": Short = "3", AtLeast(1), High, ReadOnly
        => transaction_state_log_replication_factor: i16;
    /// `min.insync.replicas` of `__transaction_state`.
    "transaction.state.log.min.isr": Int = "2", AtLeast(1), High, ReadOnly
        => transaction_state_log_min_isr: i32;
    /// `segment.bytes` of `__transaction_state`.
    "transaction.state.log.segment.bytes": Int = "104857600", AtLeast(1), High, ReadOnly
        => transaction_state_log_segment_bytes: i32;
    /// How much of `__transaction_state` is read at once when it is loaded.
    "transaction.state.log.load.buffer.size": Int = "5242880", AtLeast(1), High, ReadOnly
        => transaction_state_log_load_buffer_size: i32;
    /// Interval between scans for timed-out transactions.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = "10000", AtLeast(1),
        Low, ReadOnly => transaction_abort_timed_out_transaction_cleanup_interval_ms: i32;
    /// Interval between scans for expired transactional ids.
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = "3600000", AtLeast(1),
        Low, ReadOnly => transaction_remove_expired_transaction_cleanup_interval_ms: i32;
    /// Whether an append to a transaction is checked with its coordinator first.
    "transaction.partition.verification.enable": Boolean = "true", Any, Low, ClusterWide
        => transaction_partition_verification_enable: bool;
    /// Whether producers may prepare transactions that never time out (KIP-939).
    "transaction.two.phase.commit.enable": Boolean = "false", Any, Low, ReadOnly
        => transaction_two_phase_commit_enable: bool;
    /// A producer that has not written for this long is forgotten.
    "producer.id.expiration.ms": Int = "86400000", AtLeast(1), Low, ClusterWide
        => producer_id_expiration_ms: i32;
    /// Interval between scans for expired producer ids.
    "producer.id.expiration.check.interval.ms": Int = "600000", AtLeast(1), Internal, ReadOnly
        => producer_id_expiration_check_interval_ms: i32;
    /// The first pause before a partition is added again to a transaction that is still ending.
    "add.partitions.to.txn.retry.backoff.ms": Int = "20", AtLeast(1), High, ReadOnly
        => add_partitions_to_txn_retry_backoff_ms: i32;
    /// The longest such pause.
    "add.partitions.to.txn.retry.backoff.max.ms": Int = "100", AtLeast(0), High, ReadOnly
        => add_partitions_to_txn_retry_backoff_max_ms: i32;
}
