//! The transaction coordinator of one partition of `__transaction_state`, pure.
//!
//! Read `state.rs` (what is known of a transactional id), then `machine.rs` (what may happen to
//! it). A decision holds once its record is committed: no state waits in between, and what Kafka
//! calls a pending state is a round of the runtime here.
//!
//! Source: Kafka 4.4 `TransactionCoordinator`, `TransactionStateManager`; KIP-98, KIP-360, KIP-890.

pub mod machine;
mod queries;
pub mod state;
#[cfg(test)]
mod tests;

pub use machine::{
    TransactionCommand, TransactionCoordinatorConfig, TransactionEffect, TransactionReply,
    TransactionShard,
};
pub use queries::{Listed, TransactionDescription, TransactionFilter};
pub use state::{Transaction, TransactionPartitions, TransactionState};
