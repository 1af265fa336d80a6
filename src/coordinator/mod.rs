//! What coordinators keep in internal topics. Pure: no I/O, no clock.
//!
//! Read `records/mod.rs`: the records of `__consumer_offsets`, `__transaction_state` and
//! `__share_group_state`.

pub mod records;
